// Sets of partial matches, shared and enumerable: the timed enumerable compact sets (tECS) of CORE (Bucchi, Grez,
// Quintana, Riveros, Vansummeren, PVLDB 15(9), 2022), with the equality joins of PCEA (Pinto, Riveros, arXiv
// 2408.01652) left out and the shared versioned buffer of SASE+ (Agrawal et al., SIGMOD 2008) as the plain case.
//
// A **set** is the number of a cell; 0 is the empty set. A cell says: all partial matches of `left`, each with one more
// event, and besides them those of `next`. A join says: those of `left` and those of `next`. Cells never change, so a set
// costs nothing to copy, and one more event for all partial matches of a set costs one cell, however many they are.
// Each cell knows the newest start in it: what began before the horizon is skipped with all that hangs on it.
//
// CORE counts references; here nobody does. Under a window from the first event a cell is dead once the newest start in
// it is, and since a start is never newer than the cell, the dead ones are those made first: the queue in which they lie
// is emptied from its old end. Without a window what live sets still reach is copied together (compact).
//
// Enumeration walks from the last event to the first and does work in proportion to what it puts out, as long as sets are
// joined newest start first; every join is made so, and where partial matches move backwards in a pattern (groups that
// repeat) a walk may look at dead ones in between.
//
// What time ends is the oldest, at the far end of each list. Who asks for it keeps beside each cell the oldest start in it
// and a jump along `next` (Myers, An Applicative Random-Access Stack, IPL 17, 1983), so that a walk passes over what began
// later in a number of steps that is the logarithm of it.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/coding.h"
#include "nfa/place.h"
#include "nfa/ring.h"

namespace tocsin::nfa {

using RunSet = std::uint32_t;
/// Number of an event among those taken, in order.
using Ordinal = std::uint32_t;

class RunSets {
 public:
  static constexpr RunSet empty_set = 0;

  struct Cell {
    Ordinal newest = 0;  // newest start of all in it
    RunSet left = 0;     // 0 in a cell: the event is the first
    RunSet next = 0;
    Ordinal event = 0;  // 0: a join
    Ordinal cut = 0;    // cell: of `left` only what took its last event at or after it. Join: newest last event in it
    std::uint32_t stage = 0;  // as what the event was taken
  };
  static_assert(sizeof(Cell) == 24);

  RunSets() = default;
  /// `finds_oldest`: walks that ask for the oldest pass over the others; 16 bytes more for each cell.
  explicit RunSets(bool finds_oldest) : finds_oldest_(finds_oldest) {}
  [[nodiscard]] bool finds_oldest() const { return finds_oldest_; }

  /// One event of a partial match.
  struct Taken {
    Ordinal event = 0;
    std::uint32_t stage = 0;
  };

  /// Requires: behind all that were added before.
  Ordinal add_event(const Bound& event) {
    if (events_.size() != 0) {
      TOCSIN_CHECK(events_[events_.end() - 1].place() < event.place(), event.time.us, event.order);
    }
    return events_.push(event);
  }
  [[nodiscard]] const Bound& event(Ordinal o) const { return events_[o]; }
  [[nodiscard]] Ordinal first_event() const { return events_.begin(); }
  [[nodiscard]] Ordinal end_event() const { return events_.end(); }
  /// The first event at or after the place, or the end.
  [[nodiscard]] Ordinal from(Place place) const;
  /// The first event later than `time`, or the end.
  [[nodiscard]] Ordinal after(Timestamp time) const { return from({time + Duration{1}, 0}); }

  /// `more` and the match that begins with `event`.
  RunSet begin(Ordinal event, std::uint32_t stage, RunSet more) { return add({event, 0, 0, event, 0, stage}, more); }
  /// `more` and those of `of` that took their last event at or after `cut`, each with `event`.
  RunSet extend(RunSet of, Ordinal cut, Ordinal event, std::uint32_t stage, RunSet more) {
    if (!lives(of) || last_event(cells_[of]) < cut) return more;
    return add({cells_[of].newest, of, 0, event, cut, stage}, more);
  }
  RunSet join(RunSet a, RunSet b) {
    if (!lives(a)) return b;
    if (!lives(b)) return a;
    const bool ordered = cells_[a].newest >= cells_[b].newest;
    const Cell& newer = cells_[ordered ? a : b];
    const Ordinal last = std::max(last_event(cells_[a]), last_event(cells_[b]));
    return push({newer.newest, ordered ? a : b, ordered ? b : a, 0, last, 0});
  }

  /// Whether anything in the set began at or after the horizon (cuts aside).
  [[nodiscard]] bool lives(RunSet set) const { return is_there(set) && cells_[set].newest >= horizon_; }
  [[nodiscard]] Ordinal newest(RunSet set) const { return cells_[set].newest; }
  /// Of a set that lives: whether anything in it took its last event at or after `cut` (and did not begin too early,
  /// perhaps).
  [[nodiscard]] bool took_since(RunSet set, Ordinal cut) const { return last_event(cells_[set]) >= cut; }

  /// What began before it is no more.
  [[nodiscard]] Ordinal horizon() const { return horizon_; }
  void raise_horizon(Ordinal to);

  /// Calls visit(span of Taken, from last to first) for each partial match of the set that took its last event at or
  /// after `cut` and began at or before `to`, until it answers false. False: it did.
  template <typename Visit>
  bool each(RunSet set, Ordinal cut, Ordinal to, Visit&& visit) const;
  static constexpr Ordinal any_start = std::numeric_limits<Ordinal>::max();

  /// Whether this partial match, from last to first, is in the set. Requires: no cuts. Looks at each cell once for each of its events at
  /// most, however many partial matches there are.
  [[nodiscard]] bool contains(RunSet set, std::span<const Taken> match) const;

  /// Puts together what `live` sets reach, with new numbers; they are changed. Nothing else stays valid but the order of
  /// events.
  void compact(std::span<RunSet*> live);

  [[nodiscard]] std::size_t cell_count() const { return cells_.size(); }
  [[nodiscard]] std::size_t event_count() const { return events_.size(); }
  [[nodiscard]] std::size_t used_bytes() const {
    return cells_.size() * sizeof(Cell) + ways_.size() * sizeof(Way) + events_.size() * sizeof(Bound);
  }
  [[nodiscard]] std::size_t bytes() const {
    return cells_.bytes() + ways_.bytes() + events_.bytes() + walk_.capacity() * sizeof(Step) +
           taken_.capacity() * sizeof(Taken);
  }
  /// Numbers run out: compact() before.
  [[nodiscard]] bool nearly_out_of_numbers() const { return std::max(cells_.end(), events_.end()) >= 0xf000'0000U; }

  void encode(ByteWriter& out) const;
  /// False when the bytes are not those of whole sets. Any bytes are safe. `stages`: how many there are.
  bool decode(ByteReader& in, std::uint32_t stages);
  /// What a set that lives is called in the bytes; its number once they are read.
  [[nodiscard]] RunSet number_of(RunSet set) const { return lives(set) ? set - cells_.begin() + 1 : 0; }

 private:
  /// From a cell along `next` to older starts.
  struct Way {
    Ordinal oldest = 0;      // start of all in the set; it may be dead
    Ordinal until_jump = 0;  // the oldest in this cell and those behind it, up to where the jump lands
    RunSet jump = 0;
    std::uint32_t length = 0;  // of the list from here
  };
  struct Step {
    RunSet set;
    std::uint32_t depth;
    Ordinal cut;
  };

  [[nodiscard]] static Ordinal last_event(const Cell& c) { return c.event != 0 ? c.event : c.cut; }
  [[nodiscard]] bool is_there(RunSet set) const { return set != empty_set && set - cells_.begin() < cells_.size(); }
  /// The oldest start in a cell, without what hangs on `next`.
  [[nodiscard]] Ordinal own_oldest(const Cell& c) const { return c.left == empty_set ? c.event : ways_[c.left].oldest; }
  [[nodiscard]] Way way_of(const Cell& cell) const;
  /// Of a cell from bytes: what hangs on it lives if it does, and its newest start is theirs.
  [[nodiscard]] bool is_whole(const Cell& cell) const;

  RunSet push(const Cell& cell) {
    if (finds_oldest_) ways_.push(way_of(cell));
    return cells_.push(cell);
  }
  RunSet add(Cell cell, RunSet more) {
    if (!lives(more)) return push(cell);
    if (cell.newest >= cells_[more].newest) {
      cell.next = more;
      return push(cell);
    }
    return join(more, push(cell));
  }

  bool finds_oldest_ = false;
  Ring<Cell> cells_;
  Ring<Way> ways_;  // of each cell, if asked for
  Ring<Bound> events_;
  Ordinal horizon_ = 1;
  mutable std::vector<Step> walk_;    // of each(), kept so that a walk costs no memory
  mutable std::vector<Taken> taken_;  // from the last to the first
};

template <typename Visit>
bool RunSets::each(RunSet set, Ordinal cut, Ordinal to, Visit&& visit) const {
  walk_.clear();
  walk_.push_back({set, 0, cut});
  const bool oldest_only = finds_oldest_ && to != any_start;
  while (!walk_.empty()) {
    Step at = walk_.back();
    walk_.pop_back();
    // Down the left side; what hangs on the right is left for later.
    while (is_there(at.set)) {
      const Cell& c = cells_[at.set];
      if (c.newest < horizon_ || last_event(c) < at.cut) break;
      if (oldest_only && own_oldest(c) > to) {
        const Way& way = ways_[at.set];
        at.set = way.until_jump > to ? way.jump : c.next;
        continue;
      }
      if (c.next != empty_set) walk_.push_back({c.next, at.depth, at.cut});
      if (c.event == 0) {
        at.set = c.left;
        continue;
      }
      if (at.depth == taken_.size()) taken_.emplace_back();
      taken_[at.depth] = {c.event, c.stage};
      if (c.left == empty_set) {
        if (c.event <= to && !visit(std::span<const Taken>(taken_.data(), at.depth + 1))) return false;
        break;
      }
      at = {c.left, at.depth + 1, c.cut};
    }
  }
  return true;
}

}  // namespace tocsin::nfa
