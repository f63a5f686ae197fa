#include "replay/rule_tests.h"

#include <algorithm>

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

TEST_CASE("an expected rule that did not hit says how near it was") {
  const auto notes = [](const std::string& sends, const std::string& rule) {
    const TestReport report =
        run("test \"t\" { at \"2026-01-05T10:00:00Z\"  " + sends + "  expect rule " + rule + " }\n");
    REQUIRE(report.failures.size() == 1);
    std::string text;
    for (const std::string& note : report.failures.front().notes) text += note + "\n";
    return text.substr(std::min(text.find("nearest"), text.size()));
  };
  CHECK(notes("send first {}  send +1m first { v: 9 }", "big") ==
        "nearest: a test-2 of 2026-01-05T10:01:00Z\n  v > 10: false (v = 9)\n");
  CHECK(notes("send a { user: \"u1\" }", "big") ==
        "nearest: a test-1 of 2026-01-05T10:00:00Z\n"
        "  v > 10: unknown (v = missing), because `v` is missing in a test-1\n");
  CHECK(notes("send first {}  send +1m b { user: \"u1\" }", "pair") ==
        "nearest: b test-2 of 2026-01-05T10:01:00Z\n  step 1 `at least 2 a as g`: 1 of the 2 that are needed\n");
  CHECK(notes("send first {} times 2 every 1m  send +10m b { user: \"u1\" }", "pair") ==
        "nearest: b test-3 of 2026-01-05T10:11:00Z\n"
        "  `within 10m`: b test-3 came 11m after a test-1; the span is 10m\n");
  CHECK(notes("send b { user: \"u1\" }  send +30m first {}  wait 2h", "quiet") ==
        "nearest: b test-1 of 2026-01-05T10:00:00Z\n"
        "  `no a for 1h`: a test-2 of 2026-01-05T10:30:00Z came 30m after b test-1\n");
  CHECK(notes("send b { user: \"u1\" }", "quiet") ==
        "nearest: b test-1 of 2026-01-05T10:00:00Z\n  not decided before 2026-01-05T11:00:00Z has passed\n");
  const TestReport report =
      run("test \"t\" { at \"2026-01-05T10:00:00Z\"  send b { user: \"u1\" }  expect rule big }\n");
  REQUIRE(report.failures.size() == 1);
  CHECK(report.failures.front().notes.back() == "no event was sent that big looks at");
}

TEST_CASE("an expected score, label, entry or feature says what there was instead") {
  const auto failure = [](const std::string& steps) {
    const TestReport report = run(R"(
list @hot : set<user> for 1h
feature many = count from a per user in last 1h
feature of_both = count from a per user, v in last 1h
rule puts on a { severity info  when v > 5  label user "high" for 1h  label user "seen"  add user to @hot }
rule also on b { mode shadow  label user "high" }
test "t" { at "2026-01-05T10:00:00Z"  )" +
                                  steps + " }\n");
    REQUIRE(report.failures.size() == 1);
    std::string text = report.failures.front().happened + "\n";
    for (const std::string& note : report.failures.front().notes) {
      if (!note.starts_with("rules that hit") && !note.starts_with("left out")) text += note + "\n";
    }
    return text;
  };
  CHECK(failure("expect score 3") ==
        "there was no decision, and so no score\nnewest decision: none, no event of a policy was sent\n");
  CHECK(failure("send first { v: 11 }  expect score 3") ==
        "the score of the newest decision is 0, not 3\nnewest decision: block (rule big decides block)\n");
  CHECK(failure("send first {}  expect user \"u1\" has label \"high\"") ==
        "user \"u1\" does not have label \"high\"\nits labels at 2026-01-05T10:00:00Z: none\n"
        "rules that put it there: also (a shadow rule: only shadow rules see it) (did not hit), puts (did not hit)\n"
        "newest decision: allow (no rule decided: allow)\n");
  CHECK(failure("send first { v: 6 }  expect user \"u1\" has no label \"high\"") ==
        "user \"u1\" has label \"high\"\nits labels at 2026-01-05T10:00:00Z: \"high\", \"seen\"\n"
        "rules that put it there: also (a shadow rule: only shadow rules see it) (did not hit), puts (1 hit)\n"
        "newest decision: allow (no rule decided: allow)\n");
  CHECK(failure("send first { v: 6 }  expect @hot has \"u1\", \"u2\"") ==
        "@hot does not have \"u2\"\nrules that put it there: puts (1 hit)\nnewest decision: allow (no rule decided: "
        "allow)\n");
  CHECK(failure("expect @known has \"u9\"") ==
        "@known does not have \"u9\"\nrules that put it there: none\n"
        "newest decision: none, no event of a policy was sent\n");
  CHECK(failure("send first { v: 6 }  expect feature many of \"u1\" > 2 * of_both of [\"u1\", 6]") ==
        "`many of \"u1\" > 2 * of_both of [\"u1\", 6]` is not so\nmany of \"u1\" is 1 at 2026-01-05T10:00:00Z\n"
        "of_both of [\"u1\", 6] is 1 at 2026-01-05T10:00:00Z\nnewest decision: allow (no rule decided: allow)\n");
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
