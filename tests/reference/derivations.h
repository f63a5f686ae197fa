// The slow twin of the stage half of nfa/: clauses S of docs/matching.md, line by line, by walking the pattern as
// written over the whole log of one key, from every event on. It knows nothing of automata, states or edges, keeps no
// runs, and finds out afterwards what was alive when. Exponential: use it with a dozen events.
#pragma once

#include <vector>

#include "nfa/step.h"

namespace tocsin::reference {

class Derivations {
 public:
  Derivations(const nfa::Pattern& pattern, nfa::Host& host) : pattern_(pattern), host_(host) {}

  /// An event in its order. Its bits and values are copied.
  void step(const nfa::Occurrence& occurrence);
  void advance(Timestamp time);
  /// All that is put out up to the time advanced to, in order.
  std::vector<nfa::Match> all();

 private:
  friend class Walk;
  struct Event {
    nfa::Bound at;
    nfa::PredicateBits bits;
    std::vector<nfa::Value> values;
  };

  const nfa::Pattern& pattern_;
  nfa::Host& host_;
  std::vector<Event> log_;
  Timestamp now_ = Timestamp::min();
};

}  // namespace tocsin::reference
