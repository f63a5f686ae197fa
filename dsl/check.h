// ast::File to Rulebook: names, types, bounds. All mistakes of all files are reported in one run; what could not be typed gets
// the poison type and stays silent, so that one mistake makes one message. What the language has and this version has not
// built is refused here by name (E0901), never ignored.
#pragma once

#include <optional>
#include <vector>

#include "dsl/ast.h"
#include "dsl/diagnostic.h"
#include "dsl/rulebook.h"

namespace tocsin::dsl {

/// Nothing when there was an error; warnings do not prevent a book.
std::optional<Rulebook> check(const SourceSet& sources, const std::vector<ast::File>& files, Diagnostics& diagnostics);

struct Loaded {
  SourceSet sources;
  std::vector<ast::File> files;
  Diagnostics diagnostics;       // sorted
  std::optional<Rulebook> book;  // nothing when there was an error
};
/// Reads, parses and checks the files and directories. The error is one of reading (a path that is not there).
Result<Loaded> load(const std::vector<std::string>& paths);

}  // namespace tocsin::dsl
