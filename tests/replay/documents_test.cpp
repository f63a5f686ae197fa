// The rule text in docs/language.md is one rule file: it checks without a message, and its tests hold. So the page cannot promise what is
// not there.
#include <doctest/doctest.h>

#include <sstream>

#include "engine/rules.h"
#include "replay/rule_tests.h"
#include "tests/support/stream.h"

namespace tocsin::replay {

TEST_CASE("the rule text of docs/language.md checks, and its tests hold") {
  std::istringstream page(tests::read_file(std::string(TOCSIN_SOURCE_DIR) + "/docs/language.md"));
  // Other lines become empty ones, so that messages name the lines of the page.
  std::string text;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```risk";
      line.clear();
    }
    text += (inside ? line : std::string()) + "\n";
  }
  const engine::Rules rules = engine::rules_of_text("docs/language.md", text);
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  CHECK_MESSAGE(rules.loaded.diagnostics.warning_count() == 0, rules.messages());
  const Result<TestReport> report = run_tests(rules.loaded);
  REQUIRE(report.ok());
  CHECK(report.value().tests >= 7);
  CHECK_MESSAGE(report.value().failed == 0, to_text(report.value(), rules.loaded.sources));
}

}  // namespace tocsin::replay
