// Changes of rule text that a message carries and a program may make (`tocsin check --fix`, SARIF, editors).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dsl/diagnostic.h"

namespace tocsin::dsl {

/// A message that says "did you mean `X`?" or "write `X`" under one word or sign, and carries no fix, gets this one. So whoever writes
/// messages gets fixes for nothing; where more than a word is to change, the fix is written beside the message.
void add_fixes(Diagnostics& diagnostics, const SourceSet& sources);

struct Fixed {
  SourceSet sources;        // all files, those without fixes as they were
  std::vector<Edit> edits;  // the changes made
};
/// The files with the fixes of these messages. Of two fixes that touch one place the first is made.
Fixed fixed(const SourceSet& sources, const Diagnostics& diagnostics);

}  // namespace tocsin::dsl
