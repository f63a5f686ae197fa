#include "nfa/run_sets.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace tocsin::nfa {

void RunSets::raise_horizon(Ordinal to) {
  horizon_ = std::max(horizon_, std::min(to, events_.end()));
  std::uint32_t first = cells_.begin();
  while (first != cells_.end() && cells_[first].newest < horizon_) ++first;
  cells_.drop_before(first);
  ways_.drop_before(first);
  // What lives took no event before it began.
  events_.drop_before(horizon_);
}

Ordinal RunSets::from(Place place) const {
  Ordinal low = events_.begin();
  for (Ordinal high = events_.end(); low != high;) {
    const Ordinal middle = low + (high - low) / 2;
    if (events_[middle].place() < place) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

RunSets::Way RunSets::way_of(const Cell& cell) const {
  const Ordinal own = own_oldest(cell);
  Way way{own, own, cell.next, 1};
  if (!lives(cell.next)) return way;
  const Way& next = ways_[cell.next];
  way.oldest = std::min(own, next.oldest);
  way.length = next.length + 1;
  if (!is_there(next.jump)) return way;
  // Two jumps of one length become one of both: skew binary numbers.
  const Way& far = ways_[next.jump];
  const std::uint32_t beyond = far.jump == empty_set ? 0 : is_there(far.jump) ? ways_[far.jump].length : far.length;
  if (next.length - far.length != far.length - beyond) return way;
  way.until_jump = std::min({own, next.until_jump, far.until_jump});
  way.jump = far.jump;
  return way;
}

bool RunSets::contains(RunSet set, std::span<const Taken> match) const {
  std::vector<std::pair<RunSet, std::size_t>> open{{set, 0}};
  std::unordered_set<std::uint64_t> seen;
  while (!open.empty()) {
    const auto [at, depth] = open.back();
    open.pop_back();
    if (!lives(at) || !seen.insert(std::uint64_t{at} << 32U | depth).second) continue;
    const Cell& c = cells_[at];
    open.emplace_back(c.next, depth);
    if (c.event == 0) {
      open.emplace_back(c.left, depth);
    } else if (c.event == match[depth].event && c.stage == match[depth].stage) {
      const bool is_first = c.left == empty_set;
      const bool is_whole = depth + 1 == match.size();
      if (is_first && is_whole) return true;
      if (!is_first && !is_whole) open.emplace_back(c.left, depth + 1);
    }
  }
  return false;
}

void RunSets::compact(std::span<RunSet*> live) {
  const std::uint32_t first = cells_.begin();
  std::vector<bool> reached(cells_.size());
  std::vector<bool> taken(events_.size());
  const auto reach = [&](RunSet set) {
    if (lives(set)) reached[set - first] = true;
  };
  for (const RunSet* set : live) reach(*set);
  // What a cell hangs on was made before it.
  for (std::uint32_t i = cells_.end(); i-- != first;) {
    if (!reached[i - first]) continue;
    const Cell& c = cells_[i];
    if (c.event != 0) taken[c.event - events_.begin()] = true;
    reach(c.left);
    reach(c.next);
  }
  RunSets packed(finds_oldest_);
  std::vector<Ordinal> event_at(events_.size() + 1);
  for (std::uint32_t i = 0; i < taken.size(); ++i) {
    event_at[i] = packed.events_.end();
    if (taken[i]) packed.events_.push(events_[events_.begin() + i]);
  }
  event_at[taken.size()] = packed.events_.end();
  // The first one taken at or after it: cuts need not be events that are still there.
  const auto event_now = [&](Ordinal o) {
    return o <= events_.begin() ? event_at.front() : event_at[o - events_.begin()];
  };
  std::vector<RunSet> cell_at(cells_.size());
  const auto set_now = [&](RunSet set) { return lives(set) ? cell_at[set - first] : empty_set; };
  for (std::uint32_t i = first; i != cells_.end(); ++i) {
    if (!reached[i - first]) continue;
    Cell c = cells_[i];
    const RunSet left = set_now(c.left);
    const RunSet next = set_now(c.next);
    if (c.event == 0 && (left == empty_set || next == empty_set)) {  // nothing to join any more
      cell_at[i - first] = left == empty_set ? next : left;
      continue;
    }
    c.newest = event_now(c.newest);
    c.left = left;
    c.next = next;
    if (c.event != 0) {
      c.event = event_now(c.event);
      c.cut = c.cut == 0 ? 0 : event_now(c.cut);
    } else {
      c.cut = event_now(c.cut);
    }
    cell_at[i - first] = packed.push(c);
  }
  packed.horizon_ = event_now(horizon_);
  for (RunSet* set : live) *set = set_now(*set);
  *this = std::move(packed);
}

void RunSets::encode(ByteWriter& out) const {
  // Numbers are written as distances, so that they are small and the same wherever the queue has come to.
  out.put_varint(events_.size());
  Bound before;
  for (std::uint32_t i = events_.begin(); i != events_.end(); ++i) {
    const Bound& b = events_[i];
    out.put_signed(static_cast<std::int64_t>(b.event - before.event));
    out.put_signed(static_cast<std::int64_t>(b.order - before.order));
    out.put_signed(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(b.time.us) - static_cast<std::uint64_t>(before.time.us)));
    before = b;
  }
  const auto event_number = [&](Ordinal o) { return o < events_.begin() ? 0 : o - events_.begin() + 1; };
  out.put_varint(event_number(horizon_));
  out.put_varint(cells_.size());
  for (std::uint32_t i = cells_.begin(); i != cells_.end(); ++i) {
    const Cell& c = cells_[i];
    out.put_varint(event_number(c.newest));
    out.put_varint(number_of(c.left));
    out.put_varint(number_of(c.next));
    out.put_varint(event_number(c.event));
    out.put_varint(event_number(c.cut));
    out.put_varint(c.stage);
  }
}

bool RunSets::is_whole(const Cell& c) const {
  if (c.newest < horizon_) return true;  // nobody may hang on it
  if (c.left == empty_set && c.event == 0) return false;
  if (c.left != empty_set && !lives(c.left)) return false;
  if (c.next != empty_set && (!lives(c.next) || cells_[c.next].newest > c.newest)) return false;
  return c.newest == (c.left == empty_set ? c.event : cells_[c.left].newest);
}

bool RunSets::decode(ByteReader& in, std::uint32_t stages) {
  const std::uint64_t event_count = in.get_varint();
  if (in.failed() || event_count > in.remaining() / 3) return false;
  Bound before;
  for (std::uint64_t i = 0; i < event_count; ++i) {
    Bound b;
    b.event = before.event + static_cast<std::uint64_t>(in.get_signed());
    b.order = before.order + static_cast<std::uint64_t>(in.get_signed());
    const std::uint64_t later = static_cast<std::uint64_t>(in.get_signed());
    b.time = get_event_time(in, static_cast<std::int64_t>(static_cast<std::uint64_t>(before.time.us) + later));
    if (in.failed() || (i != 0 && !(before.place() < b.place()))) return false;
    events_.push(b);
    before = b;
  }
  const std::uint64_t horizon = in.get_varint();
  const std::uint64_t cell_count = in.get_varint();
  if (in.failed() || horizon > event_count + 1 || cell_count > in.remaining() / 6) return false;
  horizon_ = static_cast<Ordinal>(std::max<std::uint64_t>(horizon, 1));
  for (std::uint64_t i = 1; i <= cell_count; ++i) {
    std::uint64_t n[6];
    for (std::uint64_t& v : n) v = in.get_varint();
    const auto [newest, left, next, event, cut, stage] = n;
    if (in.failed() || newest > event_count || left >= i || next >= i || event > event_count || cut > event_count + 1 ||
        stage >= stages) {
      return false;
    }
    const Cell c{static_cast<Ordinal>(newest), static_cast<RunSet>(left), static_cast<RunSet>(next),
                 static_cast<Ordinal>(event),  static_cast<Ordinal>(cut), static_cast<std::uint32_t>(stage)};
    if (!is_whole(c)) return false;
    push(c);
  }
  return true;
}

}  // namespace tocsin::nfa
