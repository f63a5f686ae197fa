// The `test` blocks of rule files, run on the real engine (SEMANTICS X1-X4): each begins with nothing, sends its events in event time
// and looks at what came out. What failed is said with its place and with what happened instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dsl/check.h"
#include "engine/compile/build.h"

namespace tocsin::replay {

struct TestFailure {
  std::string test;
  dsl::Span span;        // of the expectation
  std::string happened;  // "r06_guessed_password did not hit"
  std::vector<std::string> notes;
  std::size_t test_index = 0;     // in the book
  std::uint64_t events_sent = 0;  // until then
};

struct TestReport {
  std::uint64_t rules = 0;
  std::uint64_t tests = 0;
  std::uint64_t failed = 0;
  std::vector<TestFailure> failures;  // a test stops at its first
  // What came out of all tests together.
  std::map<std::string, std::uint64_t> hits_by_rule;
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t>
      decisions_by_line;  // policy and line; line 0: no line was true
};

/// Requires: the rules were loaded without errors.
Result<TestReport> run_tests(const dsl::Loaded& rules);
/// The tests of a book that somebody changed. `order` says which run, as indices into its tests, and in which order; `first_failure`: stop
/// there. `files`: the rule text, which decisions are told in.
Result<TestReport> run_tests(dsl::Rulebook book, const std::vector<std::size_t>& order, bool first_failure,
                             std::vector<engine::RuleFileText> files = {});

/// Failures with the line they are about, then "R rules, T tests, F failed".
std::string to_text(const TestReport& report, const dsl::SourceSet& sources);

/// The report in the form that build servers read (JUnit's XML as Jenkins and GitLab take it): one suite for each file, one case for each
/// test.
std::string to_junit(const TestReport& report, const dsl::Loaded& rules);

}  // namespace tocsin::replay
