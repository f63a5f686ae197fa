// What is right and yet probably not meant: conditions that are never or always true, lines of a policy and steps that nothing reaches,
// names that nothing uses, rules that flood, keys that swallow events. Warnings, each with a code of its own and a hint; those that are
// only advice (is_advice) are given by `tocsin lint`, the others by `check` too. Everything is found from the checked rules alone.
#pragma once

#include <vector>

#include "dsl/ast.h"
#include "dsl/diagnostic.h"
#include "dsl/rulebook.h"

namespace tocsin::dsl {

struct LintOptions {
  bool warn = true;  // false: for who only wants the book, and soon
  bool advice = false;
  bool all_files = true;  // the files are all there are: what nothing uses is used nowhere
};

/// Requires: `book` was checked from `files` without errors.
void lint(const SourceSet& sources, const std::vector<ast::File>& files, const Rulebook& book, LintOptions options,
          Diagnostics& diagnostics);

}  // namespace tocsin::dsl
