// Rule text to a ruleset that runs, with everything that is to be said about it on the way: the one place where the compiling
// and the running half meet. Whoever needs rules (replay, daemon, tests, the program's commands) gets them here; a set that has
// an error is never handed out, so what runs stays as it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dsl/check.h"
#include "engine/compile/build.h"

namespace tocsin::engine {

struct Rules {
  dsl::Loaded loaded;
  std::shared_ptr<const Ruleset> ruleset;  // nothing when there was an error, or for checking

  [[nodiscard]] bool ok() const { return ruleset != nullptr; }
  [[nodiscard]] std::size_t error_count() const { return loaded.diagnostics.error_count(); }
  [[nodiscard]] std::size_t rule_count() const;
  /// All messages, then "7 files, 27 rules: 9 errors, 2 warnings; nothing was loaded", or "…: ok".
  [[nodiscard]] std::string messages() const;
  [[nodiscard]] std::string last_line() const;
};

/// How rules are checked when the libraries that will run them have a word in it: regular expressions are tried.
dsl::CheckOptions check_options();

/// The error is one of reading (a path that is not there); what is wrong with the rules stands in the result. `advice`: with what only
/// `tocsin lint` says.
/// `lateness`: of the source, where it is known.
Result<Rules> load_rules(const std::vector<std::string>& paths, bool advice = false,
                         BuildFor purpose = BuildFor::running, Duration lateness = {});
/// The same from texts, as a checkpoint keeps them or a test writes them; paths are what messages call them. The files
/// of lists and tables are among the texts, or are read from where the rules name them.
Rules rules_of_texts(const std::vector<RuleFileText>& files, BuildFor purpose = BuildFor::running);
/// What loading found, and the ruleset if there was no error; for who has looked at rules already.
Rules rules_of(dsl::Loaded loaded, BuildFor purpose = BuildFor::running);
inline Rules rules_of_text(std::string path, std::string text) {
  return rules_of_texts({{std::move(path), std::move(text)}});
}

}  // namespace tocsin::engine
