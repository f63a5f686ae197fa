// Rulebook to Ruleset: lower into a Plan, run the passes, build the constant ruleset with its digest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dsl/rulebook.h"
#include "engine/run/ruleset.h"

namespace tocsin::engine {

struct RuleFileText {
  std::string path;
  std::string text;
  bool data = false;  // of a list or a table, named by a rule file
};

/// A file as stored_path() wrote its path.
inline RuleFileText stored_file(std::string_view path, std::string_view text) {
  const bool data = path.starts_with('\0');
  return {std::string(data ? path.substr(1) : path), std::string(text), data};
}

/// What is built for explaining means the same and has the same digest; it also holds what engine/run/trace.h asks for. What is built
/// for the book's tests also answers what these expect of lists, labels and features (Ruleset::questions). Building for checking
/// fails where the others do and gives nothing that runs: it builds the sequences, since nothing else can fail.
enum class BuildFor : std::uint8_t { running, explaining, testing, explaining_tests, checking };

/// `files`, the rule files, are kept in the ruleset for the store, and behind them the data files of the book. Fails only for a sequence beyond the matcher's limits (nfa/limits.h), with a
/// sentence that names the rule.
Result<std::shared_ptr<const Ruleset>> build(const dsl::Rulebook& book, std::vector<RuleFileText> files = {},
                                             BuildFor purpose = BuildFor::running);

/// `tocsin explain --stage plan|program|ruleset`
std::string explain_plan(const dsl::Rulebook& book);
std::string explain_programs(const Ruleset& ruleset);
std::string explain_ruleset(const Ruleset& ruleset);

}  // namespace tocsin::engine
