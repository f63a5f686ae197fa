// Rule text to a ruleset, for tests; a mistake in the text is a mistake of the test and shown.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "dsl/check.h"
#include "dsl/parse.h"
#include "engine/compile/build.h"

namespace tocsin::tests {

inline std::shared_ptr<const engine::Ruleset> rules_of(const std::string& text) {
  dsl::SourceSet sources;
  sources.emplace_back("test.risk", text);
  dsl::Diagnostics diagnostics;
  const dsl::ast::File file = dsl::parse(sources, 0, diagnostics);
  const std::optional<dsl::Rulebook> book = dsl::check(sources, {file}, diagnostics);
  if (!book) FAIL(dsl::render(diagnostics, sources));
  auto built = engine::build(*book, {{"test.risk", text}});
  if (!built) FAIL(built.error().text);
  return built.take();
}

}  // namespace tocsin::tests
