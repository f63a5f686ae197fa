#include "nfa/explicit_runs.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace tocsin::nfa {
namespace {

using Body = ExplicitRuns;
using Cell = ExplicitRuns::Cell;
using Run = ExplicitRuns::Run;
using Held = ExplicitRuns::Held;
constexpr std::uint32_t none = ExplicitRuns::none;
constexpr std::size_t cells_kept_small = 64;

Duration span_of(std::int64_t us) { return Duration{us}; }

/// When the running occurrence of a windowed group began: the newest event that begins one.
Timestamp begun(const Body& body, std::uint32_t cell, std::uint64_t group) {
  while ((body.cells[cell].begins & group) == 0) cell = body.cells[cell].before;
  return Timestamp{body.cells[cell].time};
}

/// From when on the edge cannot be taken any more: its gap, and the windows of the groups it goes on in.
Timestamp closes_at(const Automaton& a, const Automaton::Edge& e, const Body& body, std::uint32_t cell) {
  Timestamp at = Timestamp::max();
  if (e.gap != Automaton::unbounded) at = Timestamp{body.cells[cell].time} + span_of(e.gap);
  for (std::uint64_t left = e.inside; left != 0; left &= left - 1) {
    const std::int64_t window = a.group_windows[static_cast<std::size_t>(std::countr_zero(left))];
    at = std::min(at, begun(body, cell, left & (~left + 1)) + span_of(window));
  }
  return at;
}

Timestamp window_end(const Automaton& a, Place start) {
  return a.window == Automaton::unbounded ? Timestamp::max() : start.time + span_of(a.window);
}

/// From when on a partial match can take nothing more: the whole window, gaps, windows of groups.
Timestamp shut_at(const Automaton& a, const Body& body, std::uint32_t state, std::uint32_t cell, Place start) {
  const Automaton::State& s = a.states[state];
  const Timestamp shut = s.outlasts_window ? Timestamp::max() : window_end(a, start);
  if (!s.closes) return shut;
  Timestamp last = Timestamp::min();
  for (std::uint32_t i = s.first_edge; i < s.first_edge + s.edge_count; ++i) {
    last = std::max(last, closes_at(a, a.edges[i], body, cell));
  }
  return std::min(shut, last);
}

Timestamp due_of(const Automaton& a, const Body& body, std::uint32_t state, std::uint32_t cell, Place start) {
  const Automaton::State& s = a.states[state];
  const Timestamp shut = shut_at(a, body, state, cell, start);
  if (s.wait == Automaton::unbounded) return shut;
  return std::min(shut, Timestamp{body.cells[cell].time} + span_of(s.wait));
}

Places places_of(const Automaton& a, const Body& body, std::uint32_t cell) {
  Places places;
  places.steps.assign(a.stages.size(), std::vector<std::vector<Bound>>(1));
  for (; cell != none; cell = body.cells[cell].before) {
    const Cell& c = body.cells[cell];
    places.steps[c.stage][0].push_back({c.event, c.order, Timestamp{c.time}});
  }
  for (auto& step : places.steps) std::reverse(step[0].begin(), step[0].end());
  return places;
}

/// The truth of the conditions with history, for one event and one run; asked only where the event's own part holds.
class Asking {
 public:
  Asking(const Program& program, const Body& body, const Occurrence& occurrence, Host& host)
      : program_(program), body_(body), occurrence_(occurrence), host_(host) {}

  std::uint64_t truth(std::uint64_t unary, std::uint64_t asks, std::uint32_t cell) {
    const Automaton& a = program_.automaton;
    bool ready = false;
    std::uint64_t truth = unary;
    for (std::uint64_t left = asks; left != 0; left &= left - 1) {
      const auto n = static_cast<std::size_t>(std::countr_zero(left));
      const Automaton::Condition& c = a.conditions[n];
      if ((unary >> c.base & 1U) == 0) continue;
      bool holds = true;
      for (const nfa::Condition& one : c.conditions) {
        if (one.op == nfa::Condition::Op::opaque) {
          if (!ready) places_ = places_of(a, body_, cell);
          ready = true;
          holds = host_.guard(one.guard, {{occurrence_.event, occurrence_.order, occurrence_.time}, &places_});
        } else {
          holds = compares(one, cell);
        }
        if (!holds) break;
      }
      if (holds) truth |= std::uint64_t{1} << n;
    }
    return truth;
  }

 private:
  [[nodiscard]] bool compares(const nfa::Condition& c, std::uint32_t cell) const {
    while (cell != none && body_.cells[cell].stage != c.step) cell = body_.cells[cell].before;
    if (cell == none) return false;
    const auto mine_at = static_cast<std::size_t>(c.mine);
    const Value mine = mine_at < occurrence_.values.size() ? occurrence_.values[mine_at] : missing_value;
    const auto v = std::find(program_.values.begin(), program_.values.end(), c.theirs) - program_.values.begin();
    const Value theirs = body_.values[cell * program_.values.size() + static_cast<std::size_t>(v)];
    return comparison_holds(c.op, mine, theirs);
  }

  const Program& program_;
  const Body& body_;
  const Occurrence& occurrence_;
  Host& host_;
  Places places_;
};

/// What one run became, before it is put among the others.
struct Branch {
  const Program& program;
  Body& body;
  const Occurrence& occurrence;
  std::vector<Run>& next;
  std::vector<Held>& complete;

  /// The cell of the event for a stage; edges of one run that differ only in their target share it.
  std::uint32_t cell(std::uint32_t before, const Automaton::Edge& e, std::size_t first_new) {
    for (std::size_t i = first_new; i < body.cells.size(); ++i) {
      if (body.cells[i].stage == e.stage && body.cells[i].begins == e.begins) return static_cast<std::uint32_t>(i);
    }
    Cell c;
    c.event = occurrence.event;
    c.order = occurrence.order;
    c.time = occurrence.time.us;
    c.begins = e.begins;
    c.before = before;
    c.stage = e.stage;
    c.hash = hash_mix(hash_mix(before == none ? 0 : body.cells[before].hash, e.stage), occurrence.order);
    body.cells.push_back(c);
    for (const ValueId id : program.values) {
      const auto at = static_cast<std::size_t>(id);
      body.values.push_back(at < occurrence.values.size() ? occurrence.values[at] : missing_value);
    }
    return static_cast<std::uint32_t>(body.cells.size() - 1);
  }

  void follow(std::uint32_t state, std::uint32_t from, Place start, std::uint64_t truth, const Run* run) {
    const Automaton& a = program.automaton;
    const Automaton::State& s = a.states[state];
    const std::size_t first_new = body.cells.size();
    for (std::uint32_t i = s.first_edge; i < s.first_edge + s.edge_count; ++i) {
      const Automaton::Edge& e = a.edges[i];
      if ((truth & e.need) != e.need || (truth & e.deny) != 0) continue;
      if (from != none && closes_at(a, e, body, from) <= occurrence.time) continue;
      const std::uint32_t at = e.kind == Automaton::Kind::take ? cell(from, e, first_new) : from;
      if (e.completes) complete.push_back({at, start});
      if (e.target == none) continue;
      if (run != nullptr && at == from && e.target == state) {
        next.push_back(*run);
      } else {
        next.push_back({e.target, at, start, due_of(a, body, e.target, at, start)});
      }
    }
  }
};

std::vector<std::uint32_t> path(const Body& body, std::uint32_t cell) {
  std::vector<std::uint32_t> cells;
  for (; cell != none; cell = body.cells[cell].before) cells.push_back(cell);
  std::reverse(cells.begin(), cells.end());
  return cells;
}

/// The order of matches: the earlier first event, then the earlier second one, and so on; the same events: the earlier
/// stages; the longer one before its own beginning.
int compare(const Body& body, std::uint32_t a, std::uint32_t b) {
  if (a == b) return 0;
  const std::vector<std::uint32_t> x = path(body, a);
  const std::vector<std::uint32_t> y = path(body, b);
  for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
    if (x[i] == y[i]) continue;
    const Cell& c = body.cells[x[i]];
    const Cell& d = body.cells[y[i]];
    const Place p{Timestamp{c.time}, c.order};
    const Place q{Timestamp{d.time}, d.order};
    if (p != q) return p < q ? -1 : 1;
    if (c.stage != d.stage) return c.stage < d.stage ? -1 : 1;
  }
  return x.size() == y.size() ? 0 : x.size() > y.size() ? -1 : 1;
}

/// The same events for the same stages; the hash is only a quick no.
bool same(const Body& body, std::uint32_t a, std::uint32_t b) {
  if (a == b) return true;
  return body.cells[a].hash == body.cells[b].hash && compare(body, a, b) == 0;
}

void order(const Body& body, std::vector<Held>& matches) {
  std::stable_sort(matches.begin(), matches.end(), [&](const Held& a, const Held& b) {
    if (a.start != b.start) return a.start < b.start;
    return compare(body, a.cell, b.cell) < 0;
  });
  matches.erase(
      std::unique(matches.begin(), matches.end(),
                  [&](const Held& a, const Held& b) { return a.start == b.start && same(body, a.cell, b.cell); }),
      matches.end());
}

Match match_of(const Program& program, const Body& body, std::uint32_t cell, Timestamp at, bool by_deadline) {
  Match match;
  match.places = places_of(program.automaton, body, cell);
  match.at = at;
  match.by_deadline = by_deadline;
  match.truncated = at < body.lost_until;
  return match;
}

/// Where what a match uses up ends: runs and matches that began before it are gone. Flink's AfterMatchSkipStrategy.
struct UsedUp {
  bool any = false;
  Place end;
  bool inclusive = false;
};

UsedUp used_up(const Program& program, const Match& match, Host& host) {
  const auto of_stage = [&](bool first) -> UsedUp {
    const std::vector<Bound>& events = match.places.steps[program.automaton.after_leaf][0];
    if (events.empty()) {
      if (program.after_must_be_there) ++host.counters.skips_missed;
      return {};
    }
    const Place end = first ? events.front().place() : events.back().place();
    if (program.after_must_be_there && end == match.first().place()) {
      ++host.counters.skips_missed;
      return {};
    }
    return {true, end, false};
  };
  switch (program.after) {
    case AfterMatch::continue_:
    case AfterMatch::restart: return {};
    case AfterMatch::skip_to_next: return {true, match.first().place(), true};
    case AfterMatch::skip_past_last: return {true, match.last().place(), true};
    case AfterMatch::skip_to_first: return of_stage(true);
    case AfterMatch::skip_to_last: return of_stage(false);
  }
  return {};
}

/// Time does not only end it.
bool speaks(const Automaton::State& s) { return s.last || s.wait != Automaton::unbounded; }

/// What a run waits for joins what all wait for.
void note(const Automaton& a, Body& body, std::uint32_t run) {
  const Run& r = body.runs[run];
  const Automaton::State& s = a.states[r.state];
  body.wakes |= s.wakes;
  body.speaking += speaks(s) ? 1U : 0U;
  body.due = std::min(body.due, r.due);
  if (!body.timed || r.due == Timestamp::max()) return;
  body.timers.push_back({r.due, run});
  std::push_heap(body.timers.begin(), body.timers.end());
}

void add_run(const Automaton& a, Body& body, const Run& r) {
  body.runs.push_back(r);
  note(a, body, static_cast<std::uint32_t>(body.runs.size() - 1));
}

void end_run(const Automaton& a, Body& body, std::size_t run) {
  Run& r = body.runs[run];
  body.speaking -= speaks(a.states[r.state]) ? 1U : 0U;
  r.state = none;
  ++body.ended;
  while (body.first != body.runs.size() && body.runs[body.first].state == none) ++body.first;
}

/// No runs, and so no timers.
void clear_runs(Body& body) {
  body.runs.clear();
  body.timers.clear();
  body.timed = false;
  body.first = body.ended = body.speaking = 0;
  body.wakes = 0;
  body.due = Timestamp::max();
}

/// Of what one moment completes or ends no more than the limit, those that are put out first; the others are told of.
void cut(const Program& program, Body& body, std::vector<Held>& matches, Timestamp at, Host& host) {
  if (host.moment_matches == 0 || matches.size() <= host.moment_matches) return;
  matches.resize(host.moment_matches);
  ++host.counters.every_capped;
  // The others might have used up what has begun till now.
  const Timestamp until = program.after == AfterMatch::continue_ ? at : window_end(program.automaton, {at, 0});
  body.lost_until = std::max(body.lost_until, until + Duration{1});
}

/// Puts out what is complete, in order, as far as nothing that began earlier is alive.
void release(const Program& program, Body& body, std::vector<Held>& complete, Timestamp at, bool by_deadline,
             Host& host, std::vector<Match>& out) {
  if (complete.empty() && body.held.empty()) return;
  order(body, complete);
  cut(program, body, complete, at, host);
  if (program.after == AfterMatch::continue_) {
    for (const Held& m : complete) {
      Match match = match_of(program, body, m.cell, at, by_deadline);
      if (host.accept(match)) out.push_back(std::move(match));
    }
    complete.clear();
    return;
  }
  body.held.insert(body.held.end(), complete.begin(), complete.end());
  complete.clear();
  order(body, body.held);
  while (!body.held.empty()) {
    if (program.in_order && body.live_count() != 0 && body.runs[body.first].start < body.held.front().start) break;
    Match match = match_of(program, body, body.held.front().cell, at, by_deadline);
    body.held.erase(body.held.begin());
    if (!host.accept(match)) continue;
    if (const UsedUp gone = used_up(program, match, host); gone.any) {
      const auto is_gone = [&](const auto& r) { return gone.inclusive ? r.start <= gone.end : r.start < gone.end; };
      while (body.first != body.runs.size() && is_gone(body.runs[body.first])) {
        end_run(program.automaton, body, body.first);
      }
      std::erase_if(body.held, is_gone);
    }
    out.push_back(std::move(match));
  }
}

/// Cells that no run and no held match reaches are dropped; the others keep their order.
void sweep(const Program& program, Body& body) {
  std::vector<std::uint32_t> to(body.cells.size(), none);
  const auto mark = [&](std::uint32_t cell) {
    for (; cell != none && to[cell] == none; cell = body.cells[cell].before) to[cell] = 0;
  };
  for (const Run& r : body.runs) {
    if (r.state != none) mark(r.cell);
  }
  for (const Held& h : body.held) mark(h.cell);
  const std::size_t width = program.values.size();
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] == none) continue;
    to[i] = count;
    Cell c = body.cells[i];
    if (c.before != none) c.before = to[c.before];
    body.cells[count] = c;
    for (std::size_t v = 0; v < width; ++v) body.values[count * width + v] = body.values[i * width + v];
    ++count;
  }
  body.cells.resize(count);
  body.values.resize(count * width);
  if (body.cells.capacity() > 4 * cells_kept_small && body.cells.capacity() > 4 * body.cells.size()) {
    body.cells.shrink_to_fit();
    body.values.shrink_to_fit();
  }
  for (Run& r : body.runs) {
    if (r.state != none) r.cell = to[r.cell];
  }
  for (Held& h : body.held) h.cell = to[h.cell];
  body.sweep_at = std::max(cells_kept_small, 2 * body.cells.size());
}

/// Forgets ended runs when they are half of all, and cells when most are reached by nobody.
void settle(const Program& program, Body& body) {
  if (body.live_count() == 0 && body.held.empty()) {
    clear_runs(body);
    body.runs = {};
    body.timers = {};
    body.cells = {};
    body.values = {};
    body.sweep_at = cells_kept_small;
    return;
  }
  if (2 * body.ended > body.runs.size()) {
    std::vector<Run> live;
    live.reserve(body.live_count());
    std::copy_if(body.runs.begin(), body.runs.end(), std::back_inserter(live),
                 [](const Run& r) { return r.state != none; });
    clear_runs(body);
    for (const Run& r : live) add_run(program.automaton, body, r);
  }
  if (body.runs.capacity() > cells_kept_small && body.runs.capacity() > 4 * body.runs.size()) {
    body.runs.shrink_to_fit();
    body.timers.shrink_to_fit();
  }
  if (body.cells.size() >= body.sweep_at) sweep(program, body);
}

std::size_t used_bytes(const Program& program, const Body& body) {
  return body.live_count() * sizeof(Run) + body.timers.size() * sizeof(Body::Timer) +
         body.cells.size() * (sizeof(Cell) + program.values.size() * sizeof(Value));
}

/// Drops the oldest runs beyond the limits; whether any.
bool limit(const Program& program, Body& body, Host& host) {
  const std::size_t count = body.live_count();
  std::size_t drop = 0;
  if (program.runs_max != 0 && count > program.runs_max) drop = count - program.runs_max;
  if (used_bytes(program, body) > host.runs_bytes) {
    sweep(program, body);
    // Half of the runs at once: each sweep is paid for by those it removes.
    if (used_bytes(program, body) > host.runs_bytes) drop = std::max(drop, (count + 1) / 2);
  }
  if (drop == 0) return false;
  host.counters.dropped += drop;
  for (; drop != 0; --drop) {
    body.lost_until = std::max(body.lost_until, body.runs[body.first].due);
    end_run(program.automaton, body, body.first);
  }
  settle(program, body);
  if (used_bytes(program, body) > host.runs_bytes) sweep(program, body);
  return true;
}

/// Whether the windows of groups run from the same events.
bool same_begins(const Body& body, std::uint32_t a, std::uint32_t b) {
  while (a != b && a != none && b != none) {
    if (body.cells[a].begins != body.cells[b].begins) return false;
    a = body.cells[a].before;
    b = body.cells[b].before;
  }
  return a == b;
}

/// Runs that became the same are one: only patterns whose stages repeat inside repeated groups have them.
void merge(const Body& body, std::vector<Run>& runs) {
  std::unordered_multimap<std::uint64_t, std::size_t> seen;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::uint64_t key = hash_mix(body.cells[runs[i].cell].hash, runs[i].state);
    const auto [first, last] = seen.equal_range(key);
    const bool again = std::any_of(first, last, [&](const auto& entry) {
      const Run& other = runs[entry.second];
      return other.state == runs[i].state && same(body, other.cell, runs[i].cell) &&
             same_begins(body, other.cell, runs[i].cell);
    });
    if (again) continue;
    seen.emplace(key, kept);
    runs[kept++] = runs[i];
  }
  runs.resize(kept);
}

/// Runs whose time has come, moment by moment.
class Clock {
 public:
  Clock(const Program& program, Body& body, Host& host, std::vector<Match>& out)
      : program_(program), automaton_(program.automaton), body_(body), host_(host), out_(out) {}

  void move_to(Timestamp time) {
    if (!body_.timed) set_timers();
    for (; next_due() <= time && body_.due != Timestamp::max();) {
      const Timestamp now = body_.due;
      std::vector<std::uint32_t> due;
      for (; next_due() == now; pop()) due.push_back(body_.timers.front().run);
      std::sort(due.begin(), due.end());
      std::vector<Held> complete;
      for (const std::uint32_t run : due) end(run, now, complete);
      if (program_.tells_timeouts) tell(now);
      release(program_, body_, complete, now, true, host_, out_);
    }
    settle(program_, body_);
  }

 private:
  void set_timers() {
    for (std::uint32_t i = 0; i < body_.runs.size(); ++i) {
      const Run& r = body_.runs[i];
      if (r.state != none && r.due != Timestamp::max()) body_.timers.push_back({r.due, i});
    }
    std::make_heap(body_.timers.begin(), body_.timers.end());
    body_.timed = true;
  }

  void pop() {
    std::pop_heap(body_.timers.begin(), body_.timers.end());
    body_.timers.pop_back();
  }

  /// That of the first timer that is not void.
  Timestamp next_due() {
    const auto is_void = [&](const Body::Timer& t) {
      return body_.runs[t.run].state == none || body_.runs[t.run].due != t.due;
    };
    while (!body_.timers.empty() && is_void(body_.timers.front())) pop();
    body_.due = body_.timers.empty() ? Timestamp::max() : body_.timers.front().due;
    return body_.due;
  }

  void end(std::uint32_t run, Timestamp now, std::vector<Held>& complete) {
    const Run r = body_.runs[run];
    const Automaton::State& s = automaton_.states[r.state];
    const bool shut = shut_at(automaton_, body_, r.state, r.cell, r.start) <= now;
    const bool waited = s.wait != Automaton::unbounded && Timestamp{body_.cells[r.cell].time} + span_of(s.wait) <= now;
    if (!s.last && waited && !shut) {
      body_.speaking -= speaks(s) ? 1U : 0U;
      body_.runs[run].state = s.after_wait;
      body_.runs[run].due = due_of(automaton_, body_, s.after_wait, r.cell, r.start);
      note(automaton_, body_, run);
      return;
    }
    end_run(automaton_, body_, run);
    if (!s.last) {
      timed_out_.push_back(r);
    } else if (waited || s.completes_at_window) {
      complete.push_back({r.cell, r.start});
    }
  }

  /// A partial match is told once, when the last of its ways on is closed by time.
  void tell(Timestamp now) {
    std::vector<Held> told;
    for (const Run& r : timed_out_) {
      const auto [from, to] = std::equal_range(body_.runs.begin(), body_.runs.end(), r,
                                               [](const Run& a, const Run& b) { return a.start < b.start; });
      const bool lives = std::any_of(from, to, [&](const Run& other) {
        return other.state != none && !automaton_.states[other.state].last && same(body_, other.cell, r.cell);
      });
      if (!lives) told.push_back({r.cell, r.start});
    }
    timed_out_.clear();
    order(body_, told);
    cut(program_, body_, told, now, host_);
    for (const Held& h : told) {
      Match partial = match_of(program_, body_, h.cell, now, true);
      partial.timed_out = true;
      out_.push_back(std::move(partial));
    }
  }

  const Program& program_;
  const Automaton& automaton_;
  Body& body_;
  Host& host_;
  std::vector<Match>& out_;
  std::vector<Run> timed_out_;
};

}  // namespace

bool runs_step(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host,
               std::vector<Match>& out) {
  if (o.late) return false;  // as in Flink, what comes behind the watermark reaches no pattern
  const Automaton& a = program.automaton;
  const std::uint64_t truth = bits | Automaton::always;
  const bool begins = (truth & a.states[a.start].wakes) != 0;
  if (runs.body == nullptr) {
    if (!begins) return false;
    runs.body = std::make_unique<ExplicitRuns>(program.tells_timeouts);
  }
  auto& body = static_cast<ExplicitRuns&>(*runs.body);
  if (!body.runs.empty()) TOCSIN_CHECK((body.runs.back().start < Place{o.time, o.order}), o.time.us, o.order);
  runs_advance(program, body, o.time, host, out);
  const bool moves = (truth & body.wakes) != 0;
  if (!begins && !moves) return false;

  const std::size_t cells_before = body.cells.size();
  // No step outlives these.
  thread_local std::vector<Run> next;
  thread_local std::vector<Held> complete;
  next.clear();
  complete.clear();
  Branch branch{program, body, o, next, complete};
  Asking asking(program, body, o, host);
  if (moves) {
    for (const Run& r : body.runs) {
      if (r.state == none) continue;
      const Automaton::State& s = a.states[r.state];
      if ((truth & s.wakes) == 0) {
        next.push_back(r);
        continue;
      }
      const std::uint64_t whole = s.asks == 0 ? truth : asking.truth(truth, s.asks, r.cell);
      branch.follow(r.state, r.cell, r.start, whole, &r);
    }
  }
  if (begins) {
    const Automaton::State& s = a.states[a.start];
    const std::uint64_t whole = s.asks == 0 ? truth : asking.truth(truth, s.asks, none);
    branch.follow(a.start, none, {o.time, o.order}, whole, nullptr);
  }
  if (a.ambiguous) merge(body, next);
  // An event that only begins leaves the others unread: a million first steps cost no more each than the first.
  if (moves) clear_runs(body);
  for (const Run& r : next) add_run(a, body, r);
  const bool took = body.cells.size() != cells_before;
  release(program, body, complete, o.time, false, host, out);
  // A held match may have waited for one that was dropped.
  while (limit(program, body, host)) release(program, body, complete, o.time, false, host, out);
  settle(program, body);
  return took && !body.cells.empty();
}

void runs_advance(const Program& program, ExplicitRuns& body, Timestamp time, Host& host, std::vector<Match>& out) {
  if (body.due <= time && body.due != Timestamp::max()) Clock(program, body, host, out).move_to(time);
  if (body.lost_until <= time) body.lost_until = Timestamp::min();
}

std::size_t ExplicitRuns::bytes() const {
  return sizeof(ExplicitRuns) + cells.capacity() * sizeof(Cell) + values.capacity() * sizeof(Value) +
         runs.capacity() * sizeof(Run) + timers.capacity() * sizeof(Timer) + held.capacity() * sizeof(Held);
}

std::optional<Timestamp> ExplicitRuns::next_deadline() const {
  // Whoever calls fires what is past; here the moment itself is enough.
  if ((!tells && speaking == 0 && held.empty()) || due == Timestamp::max()) return std::nullopt;
  return due - Duration{1};
}

std::optional<std::uint64_t> ExplicitRuns::oldest_needed() const {
  std::optional<std::uint64_t> oldest;
  const auto root = [&](std::uint32_t cell) {
    while (cells[cell].before != none) cell = cells[cell].before;
    oldest = std::min(oldest.value_or(cells[cell].event), cells[cell].event);
  };
  if (live_count() != 0) root(runs[first].cell);
  if (!held.empty()) root(held.front().cell);
  return oldest;
}

void ExplicitRuns::events(std::vector<std::uint64_t>& out) const {
  for (const Cell& cell : cells) out.push_back(cell.event);
}

std::optional<Timestamp> ExplicitRuns::expires_at(const Program&) const {
  Timestamp at = lost_until;
  for (const Run& r : runs) {
    if (r.state == none) continue;
    if (r.due == Timestamp::max()) return std::nullopt;
    at = std::max(at, r.due);
  }
  return at + Duration{1};
}

std::vector<Timestamp> ExplicitRuns::deadlines() const {
  std::vector<Timestamp> all;
  if (!next_deadline()) return all;
  for (const Run& r : runs) {
    if (r.state != none && r.due != Timestamp::max()) all.push_back(r.due - Duration{1});
  }
  std::sort(all.begin(), all.end());
  return all;
}

void ExplicitRuns::encode(const Program& program, ByteWriter& to) const {
  // Only what is reached is written, in the order of the cells.
  std::vector<std::uint32_t> number(cells.size(), none);
  const auto mark = [&](std::uint32_t cell) {
    for (; cell != none && number[cell] == none; cell = cells[cell].before) number[cell] = 0;
  };
  for (const Run& r : runs) {
    if (r.state != none) mark(r.cell);
  }
  for (const Held& h : held) mark(h.cell);
  std::uint32_t count = 0;
  for (std::uint32_t& n : number) {
    if (n != none) n = count++;
  }
  to.put_i64(lost_until.us);
  to.put_varint(count);
  const std::size_t width = program.values.size();
  Cell last;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (number[i] == none) continue;
    const Cell& c = cells[i];
    to.put_signed(static_cast<std::int64_t>(c.event - last.event));
    to.put_signed(static_cast<std::int64_t>(c.order - last.order));
    to.put_signed(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(c.time) - static_cast<std::uint64_t>(last.time)));
    to.put_varint(c.begins);
    to.put_varint(c.before == none ? 0 : number[c.before] + 1U);
    to.put_varint(c.stage);
    for (std::size_t v = 0; v < width; ++v) put_value(to, values[i * width + v]);
    last = c;
  }
  to.put_varint(live_count());
  for (const Run& r : runs) {
    if (r.state == none) continue;
    to.put_varint(r.state);
    to.put_varint(number[r.cell]);
  }
  to.put_varint(held.size());
  for (const Held& h : held) to.put_varint(number[h.cell]);
}

std::unique_ptr<RunsBody> decode_runs(const Program& program, ByteReader& in) {
  const Automaton& a = program.automaton;
  auto body = std::make_unique<ExplicitRuns>(program.tells_timeouts);
  body->lost_until.us = in.get_i64();
  const std::size_t width = program.values.size();
  const std::uint64_t cell_count = in.get_varint();
  if (in.failed() || cell_count > in.remaining() / (6 + 16 * width)) return nullptr;
  std::vector<Place> starts;
  std::vector<std::uint64_t> groups;  // windowed groups begun so far
  Cell last;
  for (std::uint64_t i = 0; i < cell_count; ++i) {
    Cell c;
    c.event = last.event + static_cast<std::uint64_t>(in.get_signed());
    c.order = last.order + static_cast<std::uint64_t>(in.get_signed());
    const std::uint64_t later = static_cast<std::uint64_t>(in.get_signed());
    c.time = get_event_time(in, static_cast<std::int64_t>(static_cast<std::uint64_t>(last.time) + later)).us;
    c.begins = in.get_varint();
    const std::uint64_t before = in.get_varint();
    const std::uint64_t stage = in.get_varint();
    for (std::size_t v = 0; v < width; ++v) body->values.push_back(get_value(in));
    if (in.failed() || before > i || stage >= a.stages.size() || a.takes[stage] == 0) return nullptr;
    c.stage = static_cast<std::uint32_t>(stage);
    c.before = before == 0 ? none : static_cast<std::uint32_t>(before - 1);
    const Place here{Timestamp{c.time}, c.order};
    if (before != 0) {
      const Cell& b = body->cells[c.before];
      if (!(Place{Timestamp{b.time}, b.order} < here)) return nullptr;
    }
    c.hash = hash_mix(hash_mix(c.before == none ? 0 : body->cells[c.before].hash, c.stage), c.order);
    starts.push_back(c.before == none ? here : starts[c.before]);
    groups.push_back((c.before == none ? 0 : groups[c.before]) | c.begins);
    body->cells.push_back(c);
    last = c;
  }
  const std::uint64_t run_count = in.get_varint();
  if (in.failed() || run_count > in.remaining() / 2) return nullptr;
  for (std::uint64_t i = 0; i < run_count; ++i) {
    const std::uint64_t state = in.get_varint();
    const std::uint64_t cell = in.get_varint();
    if (in.failed() || state >= a.states.size() || state == a.start || cell >= cell_count) return nullptr;
    const Automaton::State& s = a.states[state];
    for (std::uint32_t k = s.first_edge; k < s.first_edge + s.edge_count; ++k) {
      if ((a.edges[k].inside & ~groups[cell]) != 0) return nullptr;
    }
    Run r;
    r.state = static_cast<std::uint32_t>(state);
    r.cell = static_cast<std::uint32_t>(cell);
    r.start = starts[cell];
    r.due = due_of(a, *body, r.state, r.cell, r.start);
    if (!body->runs.empty() && r.start < body->runs.back().start) return nullptr;
    add_run(a, *body, r);
  }
  const std::uint64_t held_count = in.get_varint();
  if (in.failed() || held_count > in.remaining()) return nullptr;
  for (std::uint64_t i = 0; i < held_count; ++i) {
    const std::uint64_t cell = in.get_varint();
    if (in.failed() || cell >= cell_count) return nullptr;
    body->held.push_back({static_cast<std::uint32_t>(cell), starts[cell]});
  }
  order(*body, body->held);
  settle(program, *body);
  return body;
}

}  // namespace tocsin::nfa
