// The `test` blocks of rule files, run on the real engine (SEMANTICS X1-X4): each begins with nothing, sends its events in event time
// and looks at what came out. What failed is said with its place and with what happened instead.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "dsl/check.h"

namespace tocsin::replay {

struct TestFailure {
  std::string test;
  dsl::Span span;        // of the expectation
  std::string happened;  // "r06_guessed_password did not hit"
  std::vector<std::string> notes;
};

struct TestReport {
  std::uint64_t rules = 0;
  std::uint64_t tests = 0;
  std::uint64_t failed = 0;
  std::vector<TestFailure> failures;  // a test stops at its first
};

/// Requires: the rules were loaded without errors.
Result<TestReport> run_tests(const dsl::Loaded& rules);

/// Failures with the line they are about, then "R rules, T tests, F failed".
std::string to_text(const TestReport& report, const dsl::SourceSet& sources);

}  // namespace tocsin::replay
