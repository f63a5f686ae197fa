// What a changed program takes over from the one before it: the beginnings of matches in the steps that both have in
// common. What is kept and why it makes no match that the changed pattern would not have: docs/matching.md, "Over a
// change of rules".
#pragma once

#include <cstdint>
#include <string>

#include "nfa/runs.h"

namespace tocsin::nfa {

struct Carried {
  std::uint32_t steps = 0;  // events of so many first steps are taken over; 0: nothing, and why
  bool newest = false;      // of them only the newest beginning
  bool waiting = false;     // and the matches that wait for their deadline
  std::string why;
};

/// Requires: the programs are not the same (then everything is kept, and there is nothing to carry).
Carried what_carries(const Program& from, const Program& to);

/// `runs` are those of `from`, at the moment `now` up to which all events and deadlines have been judged; what comes out does not
/// depend on how much of what has ended was already forgotten. Requires: carried.steps != 0.
Runs carry(const Program& from, Runs runs, const Program& to, const Carried& carried, Timestamp now);

}  // namespace tocsin::nfa
