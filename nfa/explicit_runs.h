// The engine `runs`: every partial match of a pattern of stages is kept by itself, as Flink's NFA keeps its computation
// states (SASE+, SIGMOD 2008, calls them runs). The only engine for conditions that look at what a partial match took
// before; the others share partial matches that such a condition would tell apart.
//
// Runs share what they have in common: a cell is one event taken, and points to the cell taken before it; a run is a
// state of the automaton and its last cell. So nothing is copied when a run branches, and no version numbers (Flink's
// Dewey numbers) are needed to find the way back. Cells nobody reaches any more are swept now and then.
//
// Runs stand in the order of their first events, which is the order in which they were begun. An event that no live
// state waits for costs one test of a mask; any other is shown to each run.
//
// Time ends runs at their `due`. Nothing due costs one comparison. The first that is due makes a heap of timers, and from
// then on what is due costs its own way through the heap: a run that ended otherwise leaves its timer behind, which no
// longer says what the run says, and an event that is shown to all runs makes all timers void at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa {

struct ExplicitRuns final : RunsBody {
  static constexpr std::uint32_t none = Automaton::none;

  struct Cell {
    std::uint64_t event = 0;
    std::uint64_t order = 0;
    std::int64_t time = 0;
    std::uint64_t begins = 0;     // windowed groups whose occurrence begins with this event
    std::uint64_t hash = 0;       // of all stages and events up to here: equal ones are the same partial match
    std::uint32_t before = none;  // always a smaller index
    std::uint32_t stage = 0;
  };
  struct Run {
    std::uint32_t state = 0;  // none: ended
    std::uint32_t cell = 0;
    Place start;
    Timestamp due = Timestamp::max();  // the end of its time, or of its wait
  };
  /// A complete match that waits for those that began earlier (Pattern::in_order).
  struct Held {
    std::uint32_t cell = 0;
    Place start;
  };

  struct Timer {
    Timestamp due;
    std::uint32_t run = 0;
    bool operator<(const Timer& other) const { return other.due < due; }  // a heap has its greatest on top
  };

  explicit ExplicitRuns(bool tells_timeouts) : RunsBody(Engine::runs), tells(tells_timeouts) {}
  [[nodiscard]] bool empty() const override {
    return live_count() == 0 && held.empty() && lost_until == Timestamp::min();
  }
  [[nodiscard]] std::size_t live_count() const { return runs.size() - ended; }
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override;
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override;
  void events(std::vector<std::uint64_t>& out) const override;
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::size_t held_count() const override { return held.size(); }
  [[nodiscard]] std::vector<Timestamp> deadlines() const override;
  void prefetch() const override { __builtin_prefetch(runs.data()); }
  void encode(const Program& program, ByteWriter& out) const override;

  std::vector<Cell> cells;
  std::vector<Value> values;                // of cells[i] at i * program.values.size()
  std::vector<Run> runs;                    // by start; ended ones among them, at most half
  std::size_t first = 0;                    // the first that lives
  std::size_t ended = 0;                    // so many of them have
  std::vector<Held> held;                   // in the order in which they will be put out
  std::vector<Timer> timers;                // a heap, once `timed`; those of ended runs are void
  bool timed = false;                       // each run that time ends has a timer
  std::uint64_t wakes = 0;                  // of the states of all runs, perhaps of some that ended
  Timestamp due = Timestamp::max();         // not later than the first of all runs
  std::size_t speaking = 0;                 // runs that time does not only end
  bool tells;                               // timeouts
  std::size_t sweep_at = 64;                // so many cells ask for a sweep
  Timestamp lost_until = Timestamp::min();  // a run dropped by a limit might have mattered till then
};

/// The work of step() and advance() for this engine. True when the runs hold on to the occurrence.
bool runs_step(const Program& program, Runs& runs, const Occurrence& occurrence, std::uint64_t bits, Host& host,
               std::vector<Match>& out);
void runs_advance(const Program& program, ExplicitRuns& body, Timestamp time, Host& host, std::vector<Match>& out);

/// Nothing when the bytes are not those of a body of this program.
std::unique_ptr<RunsBody> decode_runs(const Program& program, ByteReader& in);

}  // namespace tocsin::nfa
