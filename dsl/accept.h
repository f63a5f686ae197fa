// `# accept W0520` in a rule file: a warning that is meant. It silences the warnings of its codes on its line (the next line, when it
// stands alone); of a clause spread over several lines those of the whole clause, when its own line has none, so that laying a file out
// anew changes nothing. Errors are not silenced.
#pragma once

#include <vector>

#include "dsl/ast.h"
#include "dsl/diagnostic.h"

namespace tocsin::dsl {

/// Takes out what is accepted. `complete`: all warnings were looked for, so an accept that silences nothing is itself told; without
/// `advice` those of advice codes are left alone.
void apply_accepts(const SourceSet& sources, const std::vector<ast::File>& files, bool complete, bool advice,
                   Diagnostics& diagnostics);

}  // namespace tocsin::dsl
