// Rule text in one canonical layout: two blanks for each level, one clause, step or field a line, one blank line at most, and between
// declarations with a block exactly one; the `:` of fields, the `=` of definitions and the `when` of a policy's lines stand under each
// other. Only blanks and line ends change: words stay as written (`5_000`, parentheses), comments stay where they stand. A condition stays
// broken where its author broke it before an `and` or `or`; what is longer than a line is broken there too, else behind commas. Formatting
// what is formatted changes nothing.
//
// The form follows gofmt: the text's own words are laid out again, guided by the tree, so that nothing that the tree does not keep
// can be lost.
#pragma once

#include <optional>
#include <string>

#include "dsl/ast.h"

namespace tocsin::dsl {

/// Requires: `file` was parsed from `source` without a message. Nothing when the laid out text would not parse to the same tree, which
/// is a mistake of ours: then the text is to be left as it is.
std::optional<std::string> format(const SourceFile& source, const ast::File& file);

}  // namespace tocsin::dsl
