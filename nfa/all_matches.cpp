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

/// The order of matches: the earlier first event, then the earlier second one, and so on; the same events: the earlier
/// stages; the longer one before its own beginning.
bool by_events(const Complete& a, const Complete& b) {
  for (std::size_t i = 0; i < a.taken.size() && i < b.taken.size(); ++i) {
    const auto& [x, x_stage] = a.taken[i];
    const auto& [y, y_stage] = b.taken[i];
    if (x.place() != y.place()) return x.place() < y.place();
    if (x_stage != y_stage) return x_stage < y_stage;
  }
  return a.taken.size() > b.taken.size();
}

bool same_events(const Complete& a, const Complete& b) { return a.taken == b.taken; }

Match match_of(const Automaton& automaton, const AllBody& body, const Complete& complete, Timestamp at,
               bool by_deadline) {
  Match match;
  match.places.steps.resize(automaton.stages.size());
  for (auto& parts : match.places.steps) parts.resize(1);
  for (const auto& [bound, stage] : complete.taken) match.places.steps[stage][0].push_back(bound);
  match.at = at;
  match.by_deadline = by_deadline;
  match.truncated = body.lost != Place{} && complete.first().time <= body.lost.time + Duration{body.window};
  return match;
}

/// Where what is still alive after a match must have begun; Place{} for anywhere. Flink's AfterMatchSkipStrategy.
Place skip_to(const Automaton& automaton, const AllRule& rule, const Complete& match, Host& host) {
  const auto behind = [](Place p) { return Place{p.time, p.order + 1}; };
  switch (rule.after) {
    case AfterMatch::continue_:
    case AfterMatch::restart: return {};
    case AfterMatch::skip_to_next: return behind(match.first());
    case AfterMatch::skip_past_last: return behind(match.last());
    case AfterMatch::skip_to_first:
    case AfterMatch::skip_to_last: {
      Place to;
      for (const auto& [bound, stage] : match.taken) {
        if (stage != automaton.after_leaf) continue;
        to = bound.place();
        if (rule.after == AfterMatch::skip_to_first) break;
      }
      if (rule.after_must_be_there && (to == Place{} || to == match.first())) {
        ++host.counters.skips_missed;
        return {};
      }
      return to;
    }
  }
  return {};
}

void raise(AllBody& body, Place floor) {
  if (!(body.floor < floor)) return;
  body.floor = floor;
  body.sets.raise_horizon(body.sets.from(floor));
}

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

/// Whether a partial match lives that began before the place.
bool begun_before(const AllBody& body, Place place) {
  const Ordinal to = body.sets.from(place) - 1;
  return std::any_of(body.live.begin(), body.live.end(), [&](std::uint32_t s) {
    return !body.sets.each(body.of_state[s], 0, to, [](std::span<const RunSets::Taken>) { return false; });
  });
}

/// Flink's skip strategies: complete matches leave in the order of their first events, each once nothing that began
/// before it lives, and take with them what may not begin after them.
void release(const Automaton& automaton, const AllRule& rule, AllBody& body, Timestamp now, bool by_deadline,
             Host& host, std::vector<Match>& out) {
  while (!body.held.empty()) {
    if (rule.in_order && begun_before(body, body.held.front().first())) return;
    const Complete complete = std::move(body.held.front());
    body.held.erase(body.held.begin());
    Match match = match_of(automaton, body, complete, now, by_deadline);
    if (!host.accept(match)) continue;
    out.push_back(std::move(match));
    const Place floor = skip_to(automaton, rule, complete, host);
    raise(body, floor);
    std::erase_if(body.held, [&](const Complete& c) { return c.first() < floor; });
    drop_dead(automaton, body, now);
  }
}

void in_order(std::vector<Complete>& matches) {
  std::sort(matches.begin(), matches.end(), by_events);
  matches.erase(std::unique(matches.begin(), matches.end(), same_events), matches.end());
}

Complete complete_of(const AllBody& body, std::span<const RunSets::Taken> taken) {
  Complete one;
  one.taken.reserve(taken.size() + 1);
  for (std::size_t i = taken.size(); i-- > 0;) one.taken.emplace_back(body.sets.event(taken[i].event), taken[i].stage);
  return one;
}

/// What one moment completes or ends, as far as the limit of a moment goes.
struct Found {
  std::vector<Complete> matches;
  bool cut = false;

  /// False: there is no room for one more.
  bool add(Complete&& one, const Host& host) {
    cut = host.moment_matches != 0 && matches.size() == host.moment_matches;
    if (!cut) matches.push_back(std::move(one));
    return !cut;
  }
};

/// What began at or before `to` and whose time is over: complete where that is what it waited for, else told if asked.
void end_of_time(const Automaton& automaton, const AllRule& rule, const AllBody& body, Ordinal to, const Host& host,
                 Found& complete, Found& told) {
  for (const std::uint32_t s : body.live) {
    const Automaton::State& state = automaton.states[s];
    if (state.last ? !state.completes_at_window : !rule.tells_timeouts) continue;
    Found& into = state.last ? complete : told;
    body.sets.each(body.of_state[s], 0, to,
                   [&](std::span<const RunSets::Taken> taken) { return into.add(complete_of(body, taken), host); });
  }
}

/// Puts out what became complete at one moment, or holds it.
void put_out(const Automaton& automaton, const AllRule& rule, AllBody& body, Found& found, Timestamp now,
             bool by_deadline, Host& host, std::vector<Match>& out) {
  std::vector<Complete>& complete = found.matches;
  in_order(complete);
  if (found.cut) ++host.counters.every_capped;
  if (rule.after == AfterMatch::continue_) {
    for (const Complete& c : complete) {
      Match match = match_of(automaton, body, c, now, by_deadline);
      match.truncated = match.truncated || found.cut;
      if (host.accept(match)) out.push_back(std::move(match));
    }
    return;
  }
  // What was not looked for might have used up what begins till now.
  if (found.cut) body.lost = std::max(body.lost, Place{now, 0});
  body.held.insert(body.held.end(), std::make_move_iterator(complete.begin()), std::make_move_iterator(complete.end()));
  in_order(body.held);
  release(automaton, rule, body, now, by_deadline, host, out);
  // What is held perhaps for ever has the byte limit of what is begun.
  std::size_t events = 0;
  for (const Complete& c : body.held) events += c.taken.size();
  while (!body.held.empty() && events * sizeof(body.held.front().taken.front()) > host.runs_bytes) {
    ++host.counters.dropped;
    events -= body.held.front().taken.size();
    body.lost = std::max(body.lost, body.held.front().first());
    body.held.erase(body.held.begin());
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
        Complete one = complete_of(body_, taken);
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

AllBody::AllBody(const Automaton& automaton, const AllRule& rule)
    : RunsBody(Engine::all),
      of_state(automaton.states.size()),
      wakes(automaton.states[automaton.start].wakes),
      window(automaton.window),
      speaks(rule.tells_timeouts) {
  for (const Automaton::State& s : automaton.states) speaks = speaks || s.completes_at_window;
  // Time ends the oldest; so does what is held wait for them.
  sets = RunSets(speaks || (rule.in_order && rule.after != AfterMatch::continue_));
}

std::string why_not_all(const Automaton& automaton, const Pattern& pattern) {
  if (automaton.history != 0) return "a condition looks at what the match took before";
  if (!automaton.group_windows.empty()) return "a group has a window of its own";
  bool gaps = false;
  for (const Automaton::Edge& e : automaton.edges) gaps = gaps || e.gap != Automaton::unbounded;
  for (const Automaton::State& s : automaton.states) {
    if (s.wait != Automaton::unbounded || s.outlasts_window) return "a negation is decided by its own time";
  }
  if (gaps && pattern.tells_timeouts) return "partial matches are told when a gap ends them one by one";
  if (gaps && std::any_of(automaton.states.begin(), automaton.states.end(),
                          [](const Automaton::State& s) { return s.completes_at_window; })) {
    return "a gap ends one by one what the end of the window would complete";
  }
  if (gaps && pattern.in_order && pattern.after != AfterMatch::continue_) {
    return "complete matches wait for partial ones, which a gap ends one by one";
  }
  return {};
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
    in_order(told.matches);
    if (told.cut) ++host.counters.every_capped;
    for (const Complete& c : told.matches) {
      out.push_back(match_of(automaton, body, c, now, true));
      out.back().timed_out = true;
      out.back().truncated = out.back().truncated || told.cut;
    }
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
  all += held.capacity() * sizeof(Complete);
  for (const Complete& c : held) all += c.taken.capacity() * sizeof c.taken.front();
  return all;
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
  put_place(out, floor);
  put_place(out, lost);
  sets.encode(out);
  out.put_varint(live.size());
  for (const std::uint32_t s : live) {
    out.put_varint(s);
    out.put_varint(sets.number_of(of_state[s]));
  }
  out.put_varint(held.size());
  for (const Complete& c : held) {
    out.put_varint(c.taken.size());
    for (const auto& [bound, stage] : c.taken) {
      out.put_varint(bound.event);
      put_place(out, bound.place());
      out.put_varint(stage);
    }
  }
}

std::unique_ptr<RunsBody> decode_all(const Automaton& automaton, const AllRule& rule, ByteReader& in) {
  auto body = std::make_unique<AllBody>(automaton, rule);
  body->floor = get_place(in);
  body->lost = get_place(in);
  const auto stages = static_cast<std::uint32_t>(automaton.stages.size());
  if (in.failed() || !body->sets.decode(in, stages)) return nullptr;
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
  const std::uint64_t held_count = in.get_varint();
  if (in.failed() || held_count > in.remaining() / 12) return nullptr;
  for (std::uint64_t i = 0; i < held_count; ++i) {
    Complete& c = body->held.emplace_back();
    const std::uint64_t count = in.get_varint();
    if (in.failed() || count == 0 || count > in.remaining() / 11) return nullptr;
    for (std::uint64_t k = 0; k < count; ++k) {
      Bound b;
      b.event = in.get_varint();
      const Place p = get_place(in);
      b.time = p.time;
      b.order = p.order;
      const std::uint64_t stage = in.get_varint();
      if (in.failed() || stage >= stages) return nullptr;
      if (!c.taken.empty() && !(c.taken.back().first.place() < p)) return nullptr;
      c.taken.emplace_back(b, static_cast<std::uint32_t>(stage));
    }
    if (i != 0 && c.first() < body->held[i - 1].first()) return nullptr;
  }
  note_due(*body);
  return body;
}

}  // namespace tocsin::nfa
