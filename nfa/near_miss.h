// Why an event completes no match: the furthest choice of events that leads up to it, and the clauses that stood in the way, by
// how much. Not a matcher of its own: the pattern is compiled again with one clause taken away (then two), and the search that
// decides is asked; the clauses without which it finds a match are the answer. This is minimal diagnosis by relaxation, as for
// unsatisfiable sets of constraints (Reiter, "A theory of diagnosis from first principles", 1987; Junker, "QuickXplain", 2004);
// sequences are short, so all single clauses and pairs are tried instead of dividing.
//
// For people who ask (`explain`, failed tests), never on the path of events: it costs some dozen searches. The caller keeps what it
// saw of the key; what the runs have forgotten (the span was over, nothing had begun) is just what is to be told. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa {

/// Searches for one answer; what was found until then is told, and `cut` says that it may not be the best.
inline constexpr std::uint32_t near_miss_searches_max = 4096;
/// Occurrences looked at in one of them.
inline constexpr std::int64_t near_miss_visits_max = std::int64_t{1} << 16U;

/// What a sequence demands, in the order in which one of several that would do is preferred.
enum class Clause : std::uint8_t {
  accept,     // `when` (and what else Host::accept answers)
  condition,  // a `where` that looks at other steps; `index` of the element's conditions
  absence,    // `no`; `index` of the pattern's absences
  until,
  first,        // `then first`
  next,         // `then next`
  step_within,  // `within` of a step or part
  used_up,      // what began before a match used it up
  row,          // `consecutive`
  count,        // too few members of a group, too few parts
  part,         // a part of `all of` with nothing in it
  window,       // `within` of the sequence
  where,        // of the stream, but its own condition is not true
  missing,      // nothing of the stream came
};

struct Failure {
  Clause clause = Clause::missing;
  std::uint32_t step = 0;
  std::uint32_t part = 0;
  std::uint32_t index = 0;
  /// absence, until, first, next, row: what stands in the way. condition, where, step_within: the event tested. window: first and
  /// last event. used_up: the first one. missing: nothing.
  std::vector<Bound> events;
  Duration took, allowed;    // window, step_within, absence with `for`
  std::uint32_t have = 0;    // count
  std::uint32_t needed = 0;  // count
  bool operator==(const Failure&) const = default;
};

struct NearMiss {
  std::uint32_t step = 0;     // at which the event was tried
  std::uint32_t reached = 0;  // steps [0, reached) have events in `places`, empty optionals and failing ones included
  Places places;              // by step, as many as were tried
  std::vector<Failure>
      failures;  // all of them stand in the way; none: the steps reached are fine and later ones are waited for
  bool cut = false;
};

/// `seen`: all events of the key that a predicate of the pattern names, in order; `candidate`: the event asked about, not late;
/// `floor`: from where a match may begin (M), before the candidate. Later events matter for a final `no` only. Nothing: the event
/// is of no step's stream. Requires: Semantics::choice.
std::optional<NearMiss> near_miss(const Pattern& pattern, std::span<const Occurrence> seen, std::size_t candidate,
                                  Place floor, Host& host);

}  // namespace tocsin::nfa
