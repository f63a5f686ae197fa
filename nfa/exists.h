// The engine `exists`: is there a match that ends with this event, and which one would `pick nearest` take? Per step it
// keeps one chain of events, O(steps) work and memory whatever the number of begun matches: no search, no list of
// occurrences.
//
// Why one chain is enough. Steps are single events, and what is asked of them looks at one event alone. Let e be the
// newest event of step i that had a chain before it. That chain has the newest events possible in every step before (P1,
// C2: its own step i-1 was the newest then, and so on), and so the newest start. An older event of step i has no chain
// that starts later, and lies no nearer to what comes after. So whatever ends the newest chain (the window, a gap, what is
// used up, `until`) has ended all others before: the newest dominates. For the same reason chains of later steps never
// start later than those of earlier ones, and the live ones are always those of the first steps.
//
// A late event (T6) breaks this for `no` between steps and before the first: it can end the newest chain and leave an
// older one. Such patterns are not claimed. SASE's active instance stacks (Wu, Diao, Rizvi, SIGMOD 2006) are the
// structure of which this keeps the tops; the domination by the newest start is that of CORE (Bucchi, Grez,
// Quintana, Riveros, Vansummeren, PVLDB 15(9), 2022).
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa {

/// Chains of the steps but the last, one behind the other: that of step i has i + 1 events.
class Chains {
 public:
  [[nodiscard]] const Bound* of(std::size_t step) const { return begin() + step * (step + 1) / 2; }
  [[nodiscard]] Bound* of(std::size_t step) { return begin() + step * (step + 1) / 2; }
  /// Makes room for chains of the first `count` steps.
  void reach(std::size_t count);
  [[nodiscard]] std::size_t bytes() const { return far_.capacity() * sizeof(Bound); }

 private:
  [[nodiscard]] const Bound* begin() const { return far_.empty() ? near_.data() : far_.data(); }
  [[nodiscard]] Bound* begin() { return far_.empty() ? near_.data() : far_.data(); }

  std::array<Bound, 3> near_;  // two steps: enough for most sequences
  std::vector<Bound> far_;
};

struct ExistsBody final : RunsBody {
  explicit ExistsBody(const Program& program)
      : RunsBody(Engine::exists),
        step_count(static_cast<std::uint32_t>(program.steps.size())),
        wait{std::max<std::int64_t>(program.final_wait, 0)} {}
  [[nodiscard]] bool empty() const override {
    return reached == 0 && waiting_head == waiting.size() && lost_until == Timestamp::min();
  }
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override;
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override;
  void events(std::vector<std::uint64_t>& out) const override;
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::vector<Timestamp> deadlines() const override;
  void prefetch() const override {}
  void encode(const Program& program, ByteWriter& out) const override;

  /// Whether an event of that time may follow a chain as that of `step`.
  [[nodiscard]] bool may_follow(const Program& program, std::size_t step, Timestamp time) const;
  /// Requires: may_follow().
  void extend(std::size_t step, const Bound& event);
  /// What began before a U is ended by it.
  void end_begun(Place here);

  std::uint32_t step_count;
  std::uint32_t reached = 0;  // the chains of so many first steps are alive
  Place floor;                // a match begins at or after it (M)
  Chains chains;
  /// Whole chains whose match is decided at a deadline, from waiting_head on, step_count events each; in order of their
  /// last events, and so of their deadlines and of their starts.
  std::vector<Bound> waiting;
  std::size_t waiting_head = 0;
  Duration wait;  // from the last event to the deadline
  Timestamp lost_until =
      Timestamp::min();  // a match dropped by the byte limit might have used up what begins till then
  /// What the log holds for the waiting chains (Host::event_bytes); events that a chain shares with the one before count once.
  std::uint64_t waiting_bytes = 0;
  std::uint32_t largest_event = 0;  // no event of a chain is larger
  bool counted = true;              // false: just read from a store, the two above are not known
};

/// Empty when the program is of the kind for which chains may be enough, whatever its conditions across events; else why not.
std::string why_not_chains(const Program& program, bool refuses);
/// Empty when `exists` gives exactly the matches of the program, else why not, in the words of a pattern.
std::string why_not_exists(const Program& program, bool refuses);
std::string why_exists(const Program& program);

/// The work of step() and advance() for this engine. True when the runs hold on to the occurrence.
bool exists_step(const Program& program, Runs& runs, const Occurrence& occurrence, std::uint64_t bits, Host& host,
                 std::vector<Match>& out);
void exists_advance(const Program& program, ExistsBody& body, Timestamp time, Host& host, std::vector<Match>& out);

/// Nothing when the bytes are not those of a body of this program.
std::unique_ptr<RunsBody> decode_exists(const Program& program, ByteReader& in);

}  // namespace tocsin::nfa
