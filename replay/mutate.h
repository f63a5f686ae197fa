// How good are the tests of a set of rules? One thing of the rules is changed at a time (a number, a window, a comparison, a part of a
// condition, a step), and the tests are run against what came of it; a change that no test notices is one that somebody could make by
// mistake. Mutation testing, after DeMillo, Lipton and Sayward 1978. Everything happens in memory: the changed text is parsed and checked
// again, and the tests stop at the first that fails.
//
// Not every change counts: what does not pass the checks is none, and what leaves the meaning as it was (the checked rules are the same)
// could not be noticed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "dsl/check.h"

namespace tocsin::replay {

struct Mutant {
  std::vector<dsl::Edit> edits;  // in one declaration
  std::size_t declaration = 0;   // of its file, counted from 0
  dsl::Span span;                // what the report points at
  std::string owner;             // the rule, policy, feature … that is changed
  std::string was, now;          // as they are shown
  std::string hint;              // a test that would tell them apart
};

struct MutationReport {
  std::uint64_t mutants = 0;  // that count
  std::uint64_t noticed = 0;
  std::uint64_t refused = 0;      // did not pass the checks
  std::uint64_t equivalent = 0;   // mean the same as before
  std::vector<Mutant> survivors;  // in the order of the text
  [[nodiscard]] double percent() const {
    return mutants == 0 ? 100.0 : 100.0 * static_cast<double>(noticed) / static_cast<double>(mutants);
  }
};

/// All changes of the rules, in the order of the text. What is for people (titles, texts) and tests themselves stay as they are.
std::vector<Mutant> mutants_of(const dsl::Loaded& rules);

/// Requires: the rules were loaded without errors and their tests pass.
Result<MutationReport> mutate(const dsl::Loaded& rules);

/// Survivors with their lines, then "M mutants, K noticed (P %)".
std::string to_text(const MutationReport& report, const dsl::SourceSet& sources);

}  // namespace tocsin::replay
