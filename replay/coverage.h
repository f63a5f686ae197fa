// What the tests of a set of rules have seen of it: which rules fired, which lines of policies decided, and of each condition that joins
// or chooses (a part of `or`, an exception, `decide … if`) whether it was seen true and seen false.
//
// Measured by the engine that decides: beside each rule stand shadow rules that ask about one part of it, under names that no rule can
// have, and the tests are run once with them. Shadow rules have no part in alerts and decisions, so nothing else changes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "dsl/check.h"

namespace tocsin::replay {

struct SeenRule {
  std::string name;
  dsl::Span span;
  std::uint64_t hits = 0;
};
struct SeenBranch {
  std::string rule;
  dsl::Span span;
  bool as_true = false;
  bool as_false = false;
  bool measured = true;  // false: a condition on earlier steps inside a step, which no rule by itself can ask
};
struct SeenLine {
  std::string policy;
  dsl::Span span;
  std::uint64_t decisions = 0;
};
struct CoverageReport {
  std::vector<SeenRule> rules;
  std::vector<SeenBranch> branches;
  std::vector<SeenLine> lines;
};

/// Requires: the rules were loaded without errors.
Result<CoverageReport> coverage(const dsl::Loaded& rules);

/// What was not seen, with its lines, then one line of sums.
std::string to_text(const CoverageReport& report, const dsl::SourceSet& sources);

}  // namespace tocsin::replay
