#include "replay/rule_tests.h"

#include <doctest/doctest.h>

#include "engine/rules.h"

namespace tocsin::replay {
namespace {

constexpr const char* declarations = R"(
entity user
list @known : set<user> = ["u9"]
event a { key id : string  time at : time  user : user  v : decimal optional }
event b { key id : string  time at : time  user : user }
rule big on a { severity medium  when v > 10  decide block  because "{v}" }
rule pair per user { sequence within 10m { at least 2 a as g then b } }
rule quiet per user { sequence { b then no a for 1h } }
rule listed on b { when user in @known }
sample first = a { user: "u1", v: 1 }
)";

TestReport run(const std::string& tests) {
  const engine::Rules rules = engine::rules_of_text("t.risk", std::string(declarations) + tests);
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  Result<TestReport> report = run_tests(rules.loaded);
  REQUIRE(report.ok());
  return report.take();
}

TEST_CASE("tests that hold") {
  const TestReport report = run(R"(
test "hit, decision, alert" {
  at "2026-01-05T10:00:00Z"
  send first {}
  expect no rule big
  expect decision allow
  expect alerts 0
  send +1m first { v: 11 }
  expect rule big with 1 events
  expect decision block
  expect alerts 1
}
test "the newest hit has all its events" {
  at "2026-01-05T10:00:00Z"
  send first {} times 3 every 1m
  send b { user: "u1" }
  expect rule pair with 4 events
}
test "time passes by waiting only" {
  at "2026-01-05T10:00:00Z"
  send b { user: "u1" }
  wait 60m
  expect no rule quiet
  wait 1s
  expect rule quiet
}
test "a list is empty unless given" {
  at "2026-01-05T10:00:00Z"
  send b { user: "u9" }
  expect no rule listed
  given @known has "u9"
  send b { user: "u9" }
  expect rule listed
}
)");
  CHECK(report.tests == 4);
  CHECK_MESSAGE(report.failed == 0, (report.failures.empty() ? "" : report.failures.front().happened));
}

TEST_CASE("what failed is said with its place and what happened instead") {
  const engine::Rules rules = engine::rules_of_text("t.risk", std::string(declarations) + R"(test "wrong" {
  at "2026-01-05T10:00:00Z"
  send first { v: 11 }
  expect rule pair
  expect decision allow
}
)");
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  const Result<TestReport> report = run_tests(rules.loaded);
  REQUIRE(report.ok());
  const std::string text = to_text(report.value(), rules.loaded.sources);
  CHECK(text.find("t.risk:14:3: failed: test \"wrong\": pair did not hit\n") != std::string::npos);
  CHECK(text.find("rules that hit so far: big\n") != std::string::npos);
  CHECK(text.find("newest decision: block") != std::string::npos);
  CHECK(text.ends_with("4 rules, 1 tests, 1 failed\n"));
}

TEST_CASE("each expectation can fail") {
  const char* wrong[] = {"expect no rule big",    "expect rule big with 2 events",
                         "expect decision allow", "expect alerts 0",
                         "expect rule quiet",     "expect alerts 2"};
  for (const char* expectation : wrong) {
    CAPTURE(expectation);
    const TestReport report =
        run("test \"t\" { at \"2026-01-05T10:00:00Z\"  send first { v: 11 }  " + std::string(expectation) + " }\n");
    CHECK(report.failed == 1);
  }
}

}  // namespace
}  // namespace tocsin::replay
