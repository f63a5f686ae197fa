// The automaton of a pattern of stages (Semantics::derivations), flat and constant: what Flink's NFACompiler makes of
// its Pattern API, after the automaton of SASE+ (Agrawal et al., Efficient Pattern Matching over Event Streams, SIGMOD
// 2008) with its take, ignore and proceed edges. Here proceed edges are gone: each state lists all that the next event
// may do to a partial match in it, so a step looks at one list. It is built as Glushkov's automaton is: every
// occurrence of a stage is a position, and each position knows the entries that may follow it.
//
// What the states mean: a partial match has taken its last event and is *fresh* (any entry that follows is still open),
// or it has skipped events since and then *waits* for one of them, which it chose when it first skipped. That choice is
// what keeps two partial matches from becoming the same. Of an event, all edges are followed whose condition holds and
// the others not; a partial match without any dies. Negations are part of the conditions (`deny`): an event that a
// negation forbids opens no edge at all, whatever else it is.
//
// Conditions are bits of one word per event and partial match: the truth of the elements that the pattern names. Those
// below `unary_count` depend on the event alone, so for all partial matches of a state the answer is the same; the
// others (`history`) look at what the partial match took before.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"
#include "nfa/pattern.h"

namespace tocsin::nfa {

struct Automaton {
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();
  /// True of every event: a stage without `where`.
  static constexpr std::uint64_t always = std::uint64_t{1} << 63U;

  struct Condition {
    PredicateId predicate{};
    std::uint32_t base = 0;                  // the unary condition with the same predicate; of a unary one, itself
    std::vector<nfa::Condition> conditions;  // empty: unary
  };
  /// take: the event joins the match as one of `stage`. skip (Flink's IGNORE): it does not. In both cases only when
  /// (truth & need) == need and (truth & deny) == 0 and the windows hold.
  enum class Kind : std::uint8_t { take, skip };
  struct Edge {
    Kind kind = Kind::take;
    bool completes = false;       // a match: take, with this event; skip, without it
    std::uint32_t target = none;  // none: it only completes
    std::uint32_t stage = none;   // take: the leaf
    std::uint64_t need = 0;
    std::uint64_t deny = 0;
    std::int64_t gap = unbounded;  // time(event) - time(taken before) < gap
    std::uint64_t begins = 0;      // windowed groups: this event is the first of an occurrence
    std::uint64_t inside = 0;      // windowed groups whose running occurrence must still be open
  };
  struct State {
    std::uint32_t first_edge = 0;
    std::uint32_t edge_count = 0;
    std::uint32_t stage = none;        // the leaf taken last
    std::uint64_t wakes = 0;           // unary bits: an event without any of them leaves a partial match here as it is
    std::uint64_t asks = 0;            // conditions with history that its edges name
    bool last = false;                 // nothing more is taken: it waits for the end of a trailing negation
    bool completes_at_window = false;  // the end of the whole window completes the match instead of ending it
    std::int64_t wait = unbounded;     // after so long since the event taken last ...
    std::uint32_t after_wait = none;   // ... it moves there; none: the match is complete
    bool outlasts_window =
        false;            // the end of the whole window does nothing: its last event is taken, only `wait` counts
    bool closes = false;  // all that may still be taken is bound by gaps or group windows, not only by the whole one
    // What its partial matches are told apart by, besides what they took: the time of the event taken last, and of those with which
    // the running occurrences of windowed groups began.
    bool asks_last = false;
    std::uint64_t asks_begun = 0;
    std::string name;  // for dump: what was taken, what is awaited
  };

  std::vector<Condition> conditions;  // unary ones first
  std::uint32_t unary_count = 0;
  std::uint64_t history = 0;  // the bits of the others
  std::vector<State> states;
  std::vector<Edge> edges;
  std::uint32_t start = 0;                  // of no partial match: always there, only its take edges count
  std::vector<std::int64_t> group_windows;  // by bit of begins and inside
  std::vector<std::string> stages;          // names of the leaves
  std::vector<std::uint8_t> takes;          // by leaf: whether it takes events
  std::int64_t window = unbounded;          // whole match, half-open
  std::uint32_t after_leaf = none;          // skip_to_first, skip_to_last
  bool has_gaps = false;
  bool ambiguous = false;  // two ways through the automaton may take the same events for the same stages
};

/// Refuses what docs/matching.md, part "Refused", lists for stages; the sentence names the stage.
Result<Automaton> build_automaton(const Pattern& pattern);

/// States, edges, conditions; short and stable.
std::string dump(const Automaton& automaton);

}  // namespace tocsin::nfa
