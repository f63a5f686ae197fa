// Rule text to ast::File. Several syntax errors per file: a declaration that does not parse is reported once, at its first
// mistake, and the parser goes on at the next line that begins with a declaration word.
#pragma once

#include "dsl/ast.h"
#include "dsl/diagnostic.h"

namespace tocsin::dsl {

/// Parses file number `file` of `sources`; mistakes are appended to `diagnostics`, what parsed is returned.
ast::File parse(const SourceSet& sources, std::uint32_t file, Diagnostics& diagnostics);

/// Parses one expression standing inside a text, as in `because "{n} of {user}"`. `at` is where `text` stands in its file, so
/// that messages point there. Nothing (and a message) when it does not parse whole.
std::optional<ast::Expr> parse_expression(std::string_view text, Span at, Diagnostics& diagnostics);

}  // namespace tocsin::dsl
