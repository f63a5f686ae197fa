// One event, or a moment in time, for one program and one key. The caller has put events in order: for each it first
// calls advance() with the event's time (or the watermark, when time moved on alone), then step(). A late event (T6) is
// handed to step() with `late` set; only `no` and `until` see it.
//
// What matches are there, which one is taken and what it uses up: docs/matching.md. An event that no predicate of the
// program names costs one test of a mask; one that extends nothing is not kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nfa/program.h"
#include "nfa/runs.h"

namespace tocsin::nfa {

struct Occurrence {
  std::uint64_t event = 0;  // position in the log of the key; opaque here
  std::uint64_t order = 0;  // arrival number: the total order is (time, order)
  Timestamp time;
  bool late = false;
  const PredicateBits* bits = nullptr;
  std::span<const Value> values;  // by ValueId; what is beyond its end is missing
};

/// The events of each step, and of each part of `all of` and `any n of`. An empty optional has none.
struct Places {
  std::vector<std::vector<std::vector<Bound>>> steps;
  [[nodiscard]] std::span<const Bound> at(std::uint32_t step, std::uint32_t part = 0) const {
    return steps[step][part];
  }
  bool operator==(const Places&) const = default;
};

struct Match {
  Places places;
  Timestamp at;  // the completing event's time, or the deadline
  bool by_deadline = false;
  bool truncated = false;  // a limit may have changed it (P20)
  bool timed_out = false;  // no match: a partial one whose time is over (Pattern::tells_timeouts)

  [[nodiscard]] Bound first() const;
  [[nodiscard]] Bound last() const;  // the completing event
};

/// What a guard may look at: its element's own event, and the steps it said it refers to.
struct Binding {
  Bound candidate;
  const Places* places = nullptr;
  [[nodiscard]] std::span<const Bound> at(std::uint32_t step, std::uint32_t part = 0) const {
    return places->at(step, part);
  }
};

struct Counters {
  std::uint64_t dropped = 0;       // occurrences, chains or runs dropped by a limit
  std::uint64_t every_capped = 0;  // events and moments with more matches than every_max, of stages moment_matches_max
  std::uint64_t searches_cut = 0;  // searches that looked at search_visits_max occurrences
  std::uint64_t skips_missed = 0;  // matches without the event to skip to, where the pattern says it must be there
};

/// Who runs the matcher: answers what it cannot know. Both answers must depend on their arguments alone (and on what is
/// known at that moment of the order), never on how often they are asked.
class Host {
 public:
  virtual ~Host() = default;
  virtual bool guard(GuardId guard, const Binding& binding) = 0;
  /// `when`: part of what a combination must satisfy (C1).
  virtual bool accept(const Match& match) = 0;
  /// What the log of the key holds for an event, the one at hand included: kept events count towards runs_bytes. The same answer
  /// as long as anything refers to the event.
  virtual std::size_t event_bytes(std::uint64_t /*event*/) { return 0; }

  Counters counters;
  Match
      scratch;  // the match accept() is asked about, for engines that make one at a time: a refused one costs no memory
  std::size_t runs_bytes = runs_bytes_max;
  std::int64_t search_visits = search_visits_max;
  std::size_t moment_matches = moment_matches_max;  // 0: all
};

/// Whether the program looks at anything that is true of the event. (A pattern of stages may have to be told even of an
/// event that is none of its own: `next` ends at it.)
inline bool concerns(const Program& program, const PredicateBits& bits) {
  for (const Program::Word& word : program.words) {
    if ((bits.word_at(word.index) & word.mask) != 0) return true;
  }
  return false;
}

/// The bits of the event as the program numbers them.
std::uint64_t own_bits(const Program& program, const PredicateBits& bits);

/// Requires: advance() to the event's time (late: to the watermark) came before; an event that is not late stands behind all that
/// came before it. That is checked against what is kept: out of order the process stops.
/// True when the runs hold on to the occurrence, so that the log must keep its event.
bool step(const Program& program, Runs& runs, const Occurrence& occurrence, Host& host, std::vector<Match>& out);

/// Fires the deadlines before `time`, in order of (deadline, place of the last event).
void advance(const Program& program, Runs& runs, Timestamp time, Host& host, std::vector<Match>& out);

}  // namespace tocsin::nfa
