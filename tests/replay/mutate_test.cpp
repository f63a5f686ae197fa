#include "replay/mutate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "engine/rules.h"
#include "replay/coverage.h"
#include "replay/rule_tests.h"

namespace tocsin::replay {
namespace {

constexpr const char* declarations = R"(
entity user
event a { key id : string  time at : time  user : user  v : decimal  w : decimal optional }
event b { key id : string  time at : time  user : user }
sample first = a { user: "u1", v: 1 }
)";

engine::Rules rules_of(const std::string& rules) {
  engine::Rules loaded = engine::rules_of_text("t.risk", std::string(declarations) + rules);
  REQUIRE_MESSAGE(loaded.ok(), loaded.messages());
  return loaded;
}

MutationReport report_of(const std::string& text) {
  const engine::Rules rules = rules_of(text);
  const Result<TestReport> tested = run_tests(rules.loaded);
  REQUIRE(tested.ok());
  REQUIRE(tested.value().failed == 0);
  Result<MutationReport> report = mutate(rules.loaded);
  REQUIRE(report.ok());
  return report.take();
}

bool survives(const MutationReport& report, const std::string& was, const std::string& now) {
  return std::any_of(report.survivors.begin(), report.survivors.end(),
                     [&](const Mutant& m) { return m.was == was && m.now == now; });
}
bool changes(const std::vector<Mutant>& mutants, const std::string& was, const std::string& now) {
  return std::any_of(mutants.begin(), mutants.end(), [&](const Mutant& m) { return m.was == was && m.now == now; });
}

}  // namespace

TEST_CASE("one thing of the rules is changed at a time") {
  const engine::Rules rules = rules_of(R"(
param limit = 100
stream large = a where v >= limit and w is not missing
feature often = count from a per user in last 10m
rule one on large as e {
  when often > 3 or not e.v in 1 ..< 5
  except known when e.v == 7
  score 40
}
rule two per user {
  sequence within 1h {
    at least 3 consecutive a as g where g.v < 50%
    then no b
    then first b as last_one within 5m
    until a where v > 99
  }
  alert once per 2h by user
}
policy p on a { score sum  block when score > 10  allow otherwise }
)");
  const std::vector<Mutant> mutants = mutants_of(rules.loaded);
  for (const auto& [was, now] : std::initializer_list<std::pair<const char*, const char*>>{
           {"100", "200"},
           {"100", "50"},
           {">=", ">"},
           {">=", "<"},
           {"v >= limit", "(left out)"},
           {"not", ""},
           {"10m", "20m"},
           {"10m", "5m"},
           {"in last 10m", "in 10m before"},
           {"3", "4"},
           {"3", "2"},
           {"often > 3", "(left out)"},
           {"..<", ".."},
           {"except known", ""},
           {"==", "!="},
           {"40", "80"},
           {"1h", "2h"},
           {"at least 3", "at least 4"},
           {"at least 3", "at least 2"},
           {"consecutive", ""},
           {"50%", "75%"},
           {"this no", ""},
           {"first", ""},
           {"5m", "10m"},
           {"until", ""},
           {"2h", "4h"},
           {"this line", "(left out)"},
       }) {
    CAPTURE(was);
    CAPTURE(now);
    const bool no = std::string(was) == "this no";
    CHECK((no ? changes(mutants, "this `no`", "(left out)") : changes(mutants, was, now)));
  }
  // Nothing of what is for people, and each change stands in the text where it says.
  for (const Mutant& m : mutants) {
    CHECK(!m.owner.empty());
    CHECK(m.span.end <= rules.loaded.sources[0].text().size());
    CHECK(!m.hint.empty());
  }
}

TEST_CASE("tests at the boundary notice every change, tests far from it do not") {
  const std::string rule = "rule big on a { when v >= 10 }\n";
  const std::string at_boundary = R"(
test "ten" { at "2026-01-05T10:00:00Z"  send first { v: 10 }  expect rule big }
test "less" { at "2026-01-05T10:00:00Z"  send first { v: 9.5 }  expect no rule big }
)";
  const std::string far = R"(
test "much" { at "2026-01-05T10:00:00Z"  send first { v: 1000 }  expect rule big }
test "little" { at "2026-01-05T10:00:00Z"  send first { v: 1 }  expect no rule big }
)";
  const MutationReport sharp = report_of(rule + at_boundary);
  CHECK(sharp.mutants == 4);
  CHECK(sharp.noticed == 4);
  CHECK(sharp.percent() == 100.0);
  const MutationReport blunt = report_of(rule + far);
  CHECK(blunt.mutants == 4);
  CHECK(blunt.noticed == 1);
  CHECK(survives(blunt, ">=", ">"));
  CHECK(survives(blunt, "10", "9"));
  CHECK(survives(blunt, "10", "11"));
  CHECK(!survives(blunt, ">=", "<"));
  const engine::Rules rules = rules_of(rule + far);
  const std::string text = to_text(blunt, rules.loaded.sources);
  CHECK(text.find("t.risk:6:24: not noticed, in rule big: `>=` as `>`\n    6 | rule big on a { when v >= 10 }\n"
                  "      a test would notice where both sides are equal\n") != std::string::npos);
  CHECK(text.ends_with("\n4 mutants, 1 noticed (25.0 %)\n"));
}

TEST_CASE("a rule without tests keeps all its changes, one that does not pass the checks is none") {
  const MutationReport report = report_of(
      "rule pair per user { sequence within 10m { a as x then b where x.v > 3 } }\n"
      "test \"nothing\" { at \"2026-01-05T10:00:00Z\"  expect no rule pair }\n");
  CHECK(report.noticed == 0);
  CHECK(report.mutants == report.survivors.size());
  // Without its first step the second has nothing to compare with.
  CHECK(report.refused >= 1);
  CHECK(survives(report, "this step", "(left out)"));
}

TEST_CASE("a change that means the same is not counted") {
  // Of `x in [1, 2]` with both ends of a range there is no difference; of an unused param none either.
  const MutationReport report = report_of(
      "param unused = 5\nrule big on a { when v >= 10 }\n"
      "test \"ten\" { at \"2026-01-05T10:00:00Z\"  send first { v: 10 }  expect rule big }\n"
      "test \"nine\" { at \"2026-01-05T10:00:00Z\"  send first { v: 9 }  expect no rule big }\n");
  CHECK(report.equivalent == 2);
  CHECK(report.mutants == 4);
}

TEST_CASE("which rules, branches and lines the tests have seen") {
  const std::string text = R"(
rule big on a {
  when v > 10 or w > 10
  except known when v == 77
  decide block if v > 100 else review
}
rule never on b { when user == "u9" }
rule pair per user {
  sequence within 10m {
    a as x where x.v > 5 or x.w > 5
    then b as y where y.user == x.user or x.v > 3
  }
}
policy p on a { score sum  block when any rule decides block  allow otherwise }
test "t" {
  at "2026-01-05T10:00:00Z"
  send first { v: 11 }
  expect rule big
  send first { v: 1, w: 1 }
  send first { v: 77 }
  send b { user: "u1" }
  expect rule pair
}
)";
  const engine::Rules rules = rules_of(text);
  const Result<CoverageReport> seen = coverage(rules.loaded);
  REQUIRE(seen.ok());
  const CoverageReport& report = seen.value();
  REQUIRE(report.rules.size() == 3);
  CHECK(report.rules[0].hits == 1);
  CHECK(report.rules[1].hits == 0);
  CHECK(report.rules[2].hits == 1);
  const auto branch = [&](const std::string& written) {
    const auto& source = rules.loaded.sources[0].text();
    for (const SeenBranch& b : report.branches) {
      if (source.substr(b.span.begin, b.span.end - b.span.begin) == written) return b;
    }
    FAIL("no branch ", written);
    return SeenBranch{};
  };
  CHECK(branch("v > 10").as_true);
  CHECK(branch("v > 10").as_false);
  CHECK(!branch("w > 10").as_true);
  CHECK(branch("w > 10").as_false);
  CHECK(branch("v == 77").as_true);
  CHECK(branch("v == 77").as_false);
  CHECK(!branch("v > 100").as_true);
  CHECK(branch("v > 100").as_false);
  CHECK(branch("x.v > 5").as_true);
  CHECK(branch("x.v > 5").as_false);
  CHECK(!branch("x.w > 5").as_true);
  CHECK(!branch("y.user == x.user").measured);
  REQUIRE(report.lines.size() == 2);
  CHECK(report.lines[0].decisions == 0);
  CHECK(report.lines[1].decisions == 3);
  const std::string said = to_text(report, rules.loaded.sources);
  CHECK(said.find("no test makes never fire\n") != std::string::npos);
  CHECK(said.find("in big no test saw `w > 10` true\n") != std::string::npos);
  CHECK(said.find("no test is decided by this line of p\n") != std::string::npos);
  CHECK(said.ends_with("1 of 2 policy lines decided; 2 branches across events are not measured\n"));
}

TEST_CASE("the report as JUnit's XML") {
  const engine::Rules rules = rules_of(R"(rule big on a { when v > 10 }
test "a < b & \"c\"" { at "2026-01-05T10:00:00Z"  send first { v: 1 }  expect rule big }
test "fine" { at "2026-01-05T10:00:00Z"  send first { v: 11 }  expect rule big }
)");
  const Result<TestReport> report = run_tests(rules.loaded);
  REQUIRE(report.ok());
  const std::string xml = to_junit(report.value(), rules.loaded);
  CHECK(xml.find("<testsuite name=\"t.risk\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">") !=
        std::string::npos);
  CHECK(xml.find("name=\"a &lt; b &amp; &quot;c&quot;\" file=\"t.risk\" line=\"7\">") != std::string::npos);
  CHECK(xml.find("<failure message=\"big did not hit\">t.risk:7&#10;") != std::string::npos);
  CHECK(xml.find("name=\"fine\" file=\"t.risk\" line=\"8\"/>") != std::string::npos);
}

}  // namespace tocsin::replay
