// The tree back to text, in two forms: rule text in one canonical layout, which parses to the same tree, and a dump
// that shows the tree itself, one node a line, for `tocsin explain --stage ast` and for tests. Neither shows places or
// comments.
#pragma once

#include <string>

#include "dsl/ast.h"

namespace tocsin::dsl {

std::string print(const ast::File& file);
std::string print(const ast::Expr& expression);

std::string dump(const ast::File& file);
std::string dump(const ast::Expr& expression);

}  // namespace tocsin::dsl
