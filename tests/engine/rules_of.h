// Rule text to a ruleset, for tests; a mistake in the text is a mistake of the test and shown.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "engine/rules.h"

namespace tocsin::tests {

inline std::shared_ptr<const engine::Ruleset> rules_of(const std::string& text) {
  const engine::Rules rules = engine::rules_of_text("test.risk", text);
  if (!rules.ok()) FAIL(rules.messages());
  return rules.ruleset;
}

}  // namespace tocsin::tests
