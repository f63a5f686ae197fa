// Patterns of stages (Semantics::derivations) as programs: their automaton, the words of bits that an event is asked
// for, the fingerprint, and the engine. Internal to nfa/; compile() in program.h is the border.
#pragma once

#include "nfa/program.h"

namespace tocsin::nfa {

Result<Program> compile_stages(const Pattern& pattern, const Meanings& meanings, const Choosing& choosing);

}  // namespace tocsin::nfa
