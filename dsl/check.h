// ast::File to Rulebook: names, types, bounds. All mistakes of all files are reported in one run; what could not be typed gets
// the poison type and stays silent, so that one mistake makes one message.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/ast.h"
#include "dsl/diagnostic.h"
#include "dsl/lint.h"
#include "dsl/rulebook.h"

namespace tocsin::dsl {

struct CheckOptions {
  LintOptions lint;
  Duration lateness;  // of the source whose events the rules will judge, where it is known: decisions wait as long (S1)
  /// Texts of the files that lists and tables name, by path from where the rule files are. What is not here is read from the disk.
  std::map<std::string, std::shared_ptr<const std::string>> data_files;
  /// What a library says against a regular expression; without it only what can be seen in its form is refused. The position is
  /// in bytes of the pattern.
  struct PatternProblem {
    std::string message;
    std::size_t at = 0;
  };
  std::function<std::optional<PatternProblem>(std::string_view pattern, bool ignoring_case)> pattern_problem;
};

/// Nothing when there was an error; warnings do not prevent a book. Messages are complete: linted, what is accepted taken out
/// (accept.h), fixes added (fix.h).
std::optional<Rulebook> check(const SourceSet& sources, const std::vector<ast::File>& files, Diagnostics& diagnostics,
                              const CheckOptions& options = {});

struct Loaded {
  SourceSet sources;
  std::vector<ast::File> files;
  Diagnostics diagnostics;       // sorted
  std::optional<Rulebook> book;  // nothing when there was an error
};
/// Reads, parses and checks the files and directories. The error is one of reading (a path that is not there). A name that is declared in
/// a file beside those given is told as such.
Result<Loaded> load(const std::vector<std::string>& paths, CheckOptions options = {});
/// The same from texts.
Loaded load_sources(SourceSet sources, const CheckOptions& options = {});

}  // namespace tocsin::dsl
