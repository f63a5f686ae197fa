#include "nfa/all_matches.h"

#include <algorithm>

namespace tocsin::nfa {
namespace {

/// A set that became complete with the event: with it as one of `stage`, or, none, without it.
struct Completing {
  RunSet set = RunSets::empty_set;  // empty: the event alone
  Ordinal cut = 0;
  std::uint32_t stage = Automaton::none;
};

/// What one step needs for a moment; no step outlives it.
struct Scratch {
  std::vector<std::pair<std::uint32_t, RunSet>> woken;
  std::vector<std::uint32_t> filled;
  std::vector<Completing> completing;
};
thread_local Scratch scratch;

void note_wakes(const Automaton& automaton, AllBody& body) {
  body.wakes = automaton.states[automaton.start].wakes;
  for (const std::uint32_t s : body.live) body.wakes |= automaton.states[s].wakes;
}

/// With the last partial match goes the memory of all, and in time what was lost: a match that begins later than a window
/// after it is whole.
void let_go(AllBody& body, Timestamp now) {
  if (!body.live.empty()) return;
  if (body.sets.bytes() != 0) {
    body.sets = RunSets(body.sets.finds_oldest());
    body.compact_at = AllBody::compact_first;
  }
  if (body.held.empty() && body.lost.time + Duration{body.window} < now) body.lost = Place{};
}

void note_due(AllBody& body) {
  const bool any = body.sets.event_count() != 0;
  const Timestamp from = any ? body.sets.event(body.sets.first_event()).time : body.lost.time + Duration{1};
  body.due = any || body.lost != Place{} ? from + Duration{body.window} : Timestamp::max();
}

/// Sets whose partial matches have all ended are empty.
void drop_dead(const Automaton& automaton, AllBody& body, Timestamp now) {
  std::erase_if(body.live, [&](std::uint32_t s) {
    if (body.sets.lives(body.of_state[s])) return false;
    body.of_state[s] = RunSets::empty_set;
    return true;
  });
  note_wakes(automaton, body);
  let_go(body, now);
}

void compact(AllBody& body) {
  std::vector<RunSet*> roots;
  for (const std::uint32_t s : body.live) roots.push_back(&body.of_state[s]);
  body.sets.compact(roots);
  body.compact_at = std::max<std::size_t>(2 * body.sets.used_bytes(), AllBody::compact_first);
}

/// Frees what nothing reaches, and if that is not enough, drops what began first, half of the events at a time. Under a
/// window time alone frees nearly all, so that copying waits for the byte limit.
void limit(const Automaton& automaton, AllBody& body, Timestamp now, Host& host) {
  const std::size_t used = body.sets.used_bytes();
  const bool by_time = automaton.window != Automaton::unbounded;
  const std::size_t most = by_time ? host.runs_bytes : std::min(body.compact_at, host.runs_bytes);
  if (used <= most && !body.sets.nearly_out_of_numbers()) return;
  compact(body);
  while (body.sets.used_bytes() > host.runs_bytes - host.runs_bytes / 4 && body.sets.event_count() != 0) {
    const Ordinal first = body.sets.first_event();
    const Ordinal to = first + static_cast<Ordinal>(body.sets.event_count() / 2) + 1;
    host.counters.dropped += to - first;
    body.lost = std::max(body.lost, body.sets.event(to - 1).place());
    body.sets.raise_horizon(to);
    drop_dead(automaton, body, now);
    compact(body);
  }
}

/// What began at or before `to` and whose time is over: complete where that is what it waited for, else told if asked.
void end_of_time(const Automaton& automaton, const AllRule& rule, const AllBody& body, Ordinal to, const Host& host,
                 Found& complete, Found& told) {
  for (const std::uint32_t s : body.live) {
    const Automaton::State& state = automaton.states[s];
    if (state.last ? !state.completes_at_window : !rule.tells_timeouts) continue;
    Found& into = state.last ? complete : told;
    body.sets.each(body.of_state[s], 0, to, [&](std::span<const RunSets::Taken> taken) {
      return into.add(complete_of(body.sets, taken), host);
    });
  }
}

/// One event's work.
class Stepping {
 public:
  Stepping(const Automaton& automaton, const AllRule& rule, AllBody& body, const Occurrence& o, std::uint64_t truth,
           Host& host, std::vector<Match>& out)
      : automaton_(automaton),
        rule_(rule),
        body_(body),
        bound_{o.event, o.order, o.time},
        truth_(truth),
        host_(host),
        out_(out) {}

  bool run() {
    scratch.woken.clear();
    scratch.filled.clear();
    scratch.completing.clear();
    // All edges look at what was there before the event.
    for (const std::uint32_t s : body_.live) {
      if ((automaton_.states[s].wakes & truth_) == 0) continue;
      scratch.woken.emplace_back(s, body_.of_state[s]);
      body_.of_state[s] = RunSets::empty_set;
    }
    for (const auto& [s, set] : scratch.woken) {
      if (body_.sets.lives(set)) follow(automaton_.states[s], set);
    }
    begin();
    note_live();
    if (!scratch.completing.empty()) {
      complete();
    } else if (!body_.held.empty()) {
      release(automaton_, rule_, body_, bound_.time, false, host_, out_);
    }
    limit(automaton_, body_, bound_.time, host_);
    let_go(body_, bound_.time);
    note_due(body_);
    return event_ != 0;
  }

 private:
  [[nodiscard]] bool open(const Automaton::Edge& e) const {
    return (truth_ & e.need) == e.need && (truth_ & e.deny) == 0;
  }
  Ordinal event() {
    if (event_ == 0) event_ = body_.sets.add_event(bound_);
    return event_;
  }
  RunSet& filling(std::uint32_t state) {
    RunSet& set = body_.of_state[state];
    if (set == RunSets::empty_set) scratch.filled.push_back(state);
    return set;
  }

  void follow(const Automaton::State& state, RunSet set) {
    for (std::uint32_t i = state.first_edge; i < state.first_edge + state.edge_count; ++i) {
      const Automaton::Edge& e = automaton_.edges[i];
      if (!open(e)) continue;
      const Ordinal cut = e.gap == Automaton::unbounded ? 0 : body_.sets.after(bound_.time - Duration{e.gap});
      if (cut != 0 && !body_.sets.took_since(set, cut)) continue;
      const bool take = e.kind == Automaton::Kind::take;
      if (e.target != Automaton::none) {
        RunSet& to = filling(e.target);
        to = take ? body_.sets.extend(set, cut, event(), e.stage, to) : body_.sets.join(to, set);
      }
      if (e.completes) scratch.completing.push_back({set, cut, take ? e.stage : Automaton::none});
    }
  }

  void begin() {
    const Automaton::State& state = automaton_.states[automaton_.start];
    if ((state.wakes & truth_) == 0 || bound_.place() < body_.floor) return;
    for (std::uint32_t i = state.first_edge; i < state.first_edge + state.edge_count; ++i) {
      const Automaton::Edge& e = automaton_.edges[i];
      if (e.kind != Automaton::Kind::take || !open(e)) continue;
      if (e.target != Automaton::none) {
        RunSet& to = filling(e.target);
        to = body_.sets.begin(event(), e.stage, to);
      }
      if (e.completes) scratch.completing.push_back({RunSets::empty_set, 0, e.stage});
    }
  }

  void note_live() {
    if (!scratch.woken.empty()) {
      std::erase_if(body_.live, [&](std::uint32_t s) { return body_.of_state[s] == RunSets::empty_set; });
      // A state that was emptied and filled again stands in both.
      std::erase_if(scratch.filled, [&](std::uint32_t s) {
        return std::any_of(scratch.woken.begin(), scratch.woken.end(), [&](const auto& w) { return w.first == s; });
      });
    }
    body_.live.insert(body_.live.end(), scratch.filled.begin(), scratch.filled.end());
    std::sort(body_.live.begin(), body_.live.end());
    note_wakes(automaton_, body_);
  }

  void complete() {
    Found found;
    for (const Completing& c : scratch.completing) {
      const auto put = [&](std::span<const RunSets::Taken> taken) {
        Complete one = complete_of(body_.sets, taken);
        if (c.stage != Automaton::none) one.taken.emplace_back(bound_, c.stage);
        return found.add(std::move(one), host_);
      };
      if (c.set == RunSets::empty_set) {
        put({});
      } else {
        body_.sets.each(c.set, c.cut, RunSets::any_start, put);
      }
    }
    put_out(automaton_, rule_, body_, found, bound_.time, false, host_, out_);
  }

  const Automaton& automaton_;
  const AllRule& rule_;
  AllBody& body_;
  Bound bound_;
  std::uint64_t truth_;
  Host& host_;
  std::vector<Match>& out_;
  Ordinal event_ = 0;
};

}  // namespace

namespace {
bool time_speaks(const Automaton& automaton, const AllRule& rule) {
  return rule.tells_timeouts || std::any_of(automaton.states.begin(), automaton.states.end(),
                                            [](const Automaton::State& s) { return s.completes_at_window; });
}

}  // namespace

// Time ends the oldest; so does what is held wait for them.
AllBody::AllBody(const Automaton& automaton, const AllRule& rule)
    : SetsBody(automaton.window,
               time_speaks(automaton, rule) || (rule.in_order && rule.after != AfterMatch::continue_)),
      of_state(automaton.states.size()),
      wakes(automaton.states[automaton.start].wakes) {
  speaks = time_speaks(automaton, rule);
}

bool AllBody::begun_before(Place place) const {
  const Ordinal to = sets.from(place) - 1;
  return std::any_of(live.begin(), live.end(), [&](std::uint32_t s) {
    return !sets.each(of_state[s], 0, to, [](std::span<const RunSets::Taken>) { return false; });
  });
}

void AllBody::use_up(const Automaton& automaton, Place to, Timestamp now) {
  if (floor < to) {
    floor = to;
    sets.raise_horizon(sets.from(to));
  }
  drop_dead(automaton, *this, now);
}

bool all_step(const Automaton& automaton, const AllRule& rule, AllBody& body, const Occurrence& o, std::uint64_t truth,
              Host& host, std::vector<Match>& out) {
  truth |= Automaton::always;
  if (o.late || (truth & body.wakes) == 0) return false;
  all_advance(automaton, rule, body, o.time, host, out);
  return Stepping(automaton, rule, body, o, truth, host, out).run();
}

void all_advance(const Automaton& automaton, const AllRule& rule, AllBody& body, Timestamp time, Host& host,
                 std::vector<Match>& out) {
  if (time < body.due) return;  // nearly always
  const Timestamp too_old = time - Duration{automaton.window};
  if (body.held.empty() && !body.speaks) {
    body.sets.raise_horizon(body.sets.after(too_old));
    drop_dead(automaton, body, time);
  }
  // Moment by moment: what ends is told or complete, and what is held leaves when the last that stood before it ends.
  while (body.sets.event_count() != 0 && body.sets.event(body.sets.first_event()).time <= too_old) {
    const Timestamp oldest = body.sets.event(body.sets.first_event()).time;
    const Timestamp now = oldest + Duration{automaton.window};
    const Ordinal to = body.sets.after(oldest);
    Found complete, told;
    if (body.speaks) end_of_time(automaton, rule, body, to - 1, host, complete, told);
    body.sets.raise_horizon(to);
    drop_dead(automaton, body, now);
    put_out_timeouts(automaton, body, told, now, host, out);
    put_out(automaton, rule, body, complete, now, true, host, out);
  }
  let_go(body, time);
  note_due(body);
}

std::optional<Timestamp> AllBody::next_deadline() const {
  if ((held.empty() && !speaks) || window == Automaton::unbounded || sets.event_count() == 0) return std::nullopt;
  return sets.event(sets.first_event()).time + Duration{window} - Duration{1};
}

std::vector<Timestamp> AllBody::deadlines() const {
  std::vector<Timestamp> all;
  for (Ordinal o = sets.first_event(); next_deadline() && o != sets.end_event(); ++o) {
    all.push_back(sets.event(o).time + Duration{window} - Duration{1});
  }
  return all;
}

std::size_t AllBody::bytes() const {
  std::size_t all =
      sizeof(AllBody) + sets.bytes() + of_state.capacity() * sizeof(RunSet) + live.capacity() * sizeof(std::uint32_t);
  return all + bytes_of(held);
}

std::optional<std::uint64_t> AllBody::oldest_needed() const {
  std::optional<std::uint64_t> oldest;
  if (sets.event_count() != 0) oldest = sets.event(sets.first_event()).event;
  for (const Complete& c : held) oldest = std::min(oldest.value_or(UINT64_MAX), c.taken.front().first.event);
  return oldest;
}

void AllBody::events(std::vector<std::uint64_t>& out) const {
  for (Ordinal o = sets.first_event(); o != sets.end_event(); ++o) out.push_back(sets.event(o).event);
  for (const Complete& c : held) {
    for (const auto& [bound, leaf] : c.taken) out.push_back(bound.event);
  }
}

std::optional<Timestamp> AllBody::expires_at(const Program&) const {
  if (!held.empty() || (window == Automaton::unbounded && !empty())) return std::nullopt;
  Timestamp at = lost == Place{} ? Timestamp::min() : lost.time + Duration{window} + Duration{1};
  for (const std::uint32_t s : live) {
    at = std::max(at, sets.event(sets.newest(of_state[s])).time + Duration{window} + Duration{1});
  }
  return at;
}

void AllBody::encode(const Program&, ByteWriter& out) const {
  put_begun(out, *this);
  out.put_varint(live.size());
  for (const std::uint32_t s : live) {
    out.put_varint(s);
    out.put_varint(sets.number_of(of_state[s]));
  }
  put_held(out, *this);
}

std::unique_ptr<RunsBody> decode_all(const Automaton& automaton, const AllRule& rule, ByteReader& in) {
  auto body = std::make_unique<AllBody>(automaton, rule);
  const auto stages = static_cast<std::uint32_t>(automaton.stages.size());
  if (!get_begun(in, stages, *body)) return nullptr;
  // Counts are believed only as far as the bytes that are left could hold them.
  const std::uint64_t live_count = in.get_varint();
  if (in.failed() || live_count > in.remaining() / 2) return nullptr;
  for (std::uint64_t i = 0; i < live_count; ++i) {
    const std::uint64_t state = in.get_varint();
    const std::uint64_t set = in.get_varint();
    if (in.failed() || state >= automaton.states.size() || set > body->sets.cell_count()) return nullptr;
    if (!body->sets.lives(static_cast<RunSet>(set))) return nullptr;
    if (!body->live.empty() && state <= body->live.back()) return nullptr;
    body->live.push_back(static_cast<std::uint32_t>(state));
    body->of_state[state] = static_cast<RunSet>(set);
    body->wakes |= automaton.states[state].wakes;
  }
  if (!get_held(in, stages, *body)) return nullptr;
  note_due(*body);
  return body;
}

}  // namespace tocsin::nfa
