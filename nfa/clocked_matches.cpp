#include "nfa/clocked_matches.h"

#include <algorithm>
#include <bit>

namespace tocsin::nfa {

template <typename Gone>
void ClockedBody::stop_waiting(Gone&& gone) {
  std::erase_if(waiting, gone);
  std::fill(waiting_counts.begin(), waiting_counts.end(), 0U);
  for (const Waiting& w : waiting) ++waiting_counts[w.state];
}

namespace {

using Class = ClockedBody::Class;
using Members = ClockedBody::Members;
using Waiting = ClockedBody::Waiting;

/// From when on the edge cannot be taken any more: its gap, and the windows of the groups it goes on in.
Timestamp closes_at(const Automaton& a, const Automaton::Edge& e, const Class& from) {
  Timestamp at = Timestamp::max();
  if (e.gap != Automaton::unbounded) at = from.last.time + Duration{e.gap};
  for (std::uint64_t left = e.inside; left != 0; left &= left - 1) {
    const auto group = static_cast<std::size_t>(std::countr_zero(left));
    at = std::min(at, from.begun[group].time + Duration{a.group_windows[group]});
  }
  return at;
}

/// From when on gaps and windows of groups let nothing more be taken.
Timestamp shut_at(const Automaton& a, const Class& c) {
  const Automaton::State& s = a.states[c.state];
  if (!s.closes) return Timestamp::max();
  Timestamp last = Timestamp::min();
  for (std::uint32_t i = s.first_edge; i < s.first_edge + s.edge_count; ++i) {
    last = std::max(last, closes_at(a, a.edges[i], c));
  }
  return last;
}

Timestamp waits_until(const Automaton& a, const Class& c) {
  const Automaton::State& s = a.states[c.state];
  return s.wait == Automaton::unbounded ? Timestamp::max() : c.last.time + Duration{s.wait};
}

/// Clocks that nothing will ask for again are forgotten, so that classes become one.
Class class_of(const Automaton& a, std::uint32_t state, Place last, const std::vector<Place>& begun,
               std::uint64_t begins, Place here) {
  Class c{state, a.states[state].asks_last ? last : Place{}, begun};
  for (std::size_t group = 0; group < c.begun.size(); ++group) {
    if ((begins >> group & 1U) != 0) c.begun[group] = here;
    if ((a.states[state].asks_begun >> group & 1U) == 0) c.begun[group] = Place{};
  }
  return c;
}

/// When the class ends: by its clocks, or when the newest of its members began a window ago.
Timestamp due_of(const Automaton& a, const ClockedBody& body, const Class& c, RunSet set) {
  const Timestamp due = std::min(shut_at(a, c), waits_until(a, c));
  if (body.window == Automaton::unbounded) return due;
  return std::min(due, body.sets.event(body.sets.newest(set)).time + Duration{body.window});
}

/// When time has something to do.
void note_due(ClockedBody& body) {
  body.due = body.dues.empty() ? Timestamp::max() : body.dues.begin()->first;
  if (!body.waiting.empty()) body.due = std::min(body.due, body.waiting.front().due);
  if (body.window == Automaton::unbounded) return;
  if (!body.classes.empty()) {
    if (!body.speaks && body.held.empty()) return;
    body.due = std::min(body.due, body.sets.event(body.sets.first_event()).time + Duration{body.window});
  } else if (body.lost != Place{} && body.waiting.empty() && body.held.empty()) {
    body.due = body.lost.time + Duration{body.window} + Duration{1};
  }
}

void note_wakes(const Automaton& a, ClockedBody& body) {
  body.wakes = a.states[a.start].wakes;
  for (std::size_t s = 0; s < body.counts.size(); ++s) {
    if (body.counts[s] + body.waiting_counts[s] != 0) body.wakes |= a.states[s].wakes;
  }
}

/// With the last class goes the memory of all, and in time what was lost.
void let_go(const Automaton& a, ClockedBody& body, Timestamp now) {
  if (body.classes.empty() && body.sets.bytes() != 0) {
    body.sets = RunSets(true);
    body.compact_at = SetsBody::compact_first;
  }
  if (body.classes.empty() && body.waiting.empty() && body.held.empty() && body.window != Automaton::unbounded &&
      body.lost.time + Duration{body.window} < now) {
    body.lost = Place{};
  }
  note_wakes(a, body);
}

/// Classes all of whose partial matches have ended are gone.
void drop_dead(const Automaton& a, ClockedBody& body, Timestamp now) {
  for (auto at = body.classes.begin(); at != body.classes.end();) {
    at = body.sets.lives(at->second.set) ? std::next(at) : body.forget(at);
  }
  let_go(a, body, now);
}

void compact(ClockedBody& body) {
  std::vector<RunSet*> roots;
  for (auto& [c, members] : body.classes) roots.push_back(&members.set);
  body.sets.compact(roots);
  body.compact_at = std::max<std::size_t>(2 * body.sets.used_bytes(), SetsBody::compact_first);
}

std::size_t used_bytes(const ClockedBody& body) {
  std::size_t all = body.sets.used_bytes() + body.classes.size() * (sizeof(Class) + sizeof(Members));
  for (const Waiting& w : body.waiting) all += sizeof w + w.complete.taken.size() * sizeof w.complete.taken.front();
  return all;
}

/// Frees what nothing reaches, which clocks end long before the window does, and if that is not enough, drops what began first, half
/// of the events at a time.
void limit(const Automaton& a, ClockedBody& body, Timestamp now, Host& host) {
  const bool frees = body.sets.used_bytes() > body.compact_at;
  if (!frees && used_bytes(body) <= host.runs_bytes && !body.sets.nearly_out_of_numbers()) return;
  compact(body);
  if (used_bytes(body) <= host.runs_bytes) return;
  while (used_bytes(body) > host.runs_bytes - host.runs_bytes / 4) {
    Place to;
    if (body.sets.event_count() != 0) {
      const Ordinal first = body.sets.first_event();
      to = body.sets.event(first + static_cast<Ordinal>(body.sets.event_count() / 2)).place();
      host.counters.dropped += body.sets.event_count() / 2 + 1;
    }
    if (!body.waiting.empty()) {
      // They stand in the order in which they will be decided.
      const std::size_t half = (body.waiting.size() + 1) / 2;
      for (std::size_t i = 0; i < half; ++i) to = std::max(to, body.waiting[i].complete.first());
      host.counters.dropped += half;
    }
    if (to == Place{}) return;
    body.lost = std::max(body.lost, to);
    const Place behind{to.time, to.order + 1};
    body.sets.raise_horizon(body.sets.from(behind));
    body.stop_waiting([&](const Waiting& w) { return w.complete.first() < behind; });
    drop_dead(a, body, now);
    compact(body);
  }
}

/// What a step, or a moment, does to classes before they are put among the others.
class Moving {
 public:
  Moving(const Automaton& automaton, ClockedBody& body, Host& host) : automaton_(automaton), body_(body), host_(host) {}

  /// All of `set`, with the event as one of `stage` if there is one, go on as `to`. An empty set: the event alone.
  void put(const Class& to, RunSet set, const Bound* event, std::uint32_t stage) {
    const Automaton::State& s = automaton_.states[to.state];
    if (s.outlasts_window) {
      Found found;
      enumerate(set, event, stage, found);
      for (Complete& c : found.matches) {
        const Timestamp due = c.last().time + Duration{s.wait};
        body_.wait({to.state, std::move(c), due});
      }
      if (found.cut) {
        ++host_.counters.every_capped;
        if (event != nullptr) body_.lost = std::max(body_.lost, event->place());
      }
      return;
    }
    const auto at = body_.class_at(to);
    Members& members = at->second;
    if (event == nullptr) {
      members.set = body_.sets.join(members.set, set);
    } else if (set == RunSets::empty_set) {
      members.set = body_.sets.begin(ordinal(*event), stage, members.set);
    } else {
      members.set = body_.sets.extend(set, 0, ordinal(*event), stage, members.set);
    }
    body_.set_due(at, due_of(automaton_, body_, to, members.set));
  }

  void enumerate(RunSet set, const Bound* event, std::uint32_t stage, Found& found) {
    const auto add = [&](std::span<const RunSets::Taken> taken) {
      Complete one = complete_of(body_.sets, taken);
      if (event != nullptr) one.taken.emplace_back(*event, stage);
      return found.add(std::move(one), host_);
    };
    if (set == RunSets::empty_set) {
      add({});
    } else {
      body_.sets.each(set, 0, RunSets::any_start, add);
    }
  }

  [[nodiscard]] bool took() const { return event_ != 0; }

 private:
  Ordinal ordinal(const Bound& event) {
    if (event_ == 0) event_ = body_.sets.add_event(event);
    return event_;
  }

  const Automaton& automaton_;
  ClockedBody& body_;
  Host& host_;
  Ordinal event_ = 0;
};

/// One event's work.
class Stepping {
 public:
  Stepping(const Automaton& automaton, const AllRule& rule, ClockedBody& body, const Occurrence& o, std::uint64_t truth,
           Host& host, std::vector<Match>& out)
      : automaton_(automaton),
        rule_(rule),
        body_(body),
        bound_{o.event, o.order, o.time},
        truth_(truth),
        host_(host),
        out_(out),
        moving_(automaton, body, host) {}

  bool run() {
    if (const RunSets& sets = body_.sets; sets.event_count() != 0) {
      TOCSIN_CHECK(sets.event(sets.end_event() - 1).place() < bound_.place(), bound_.time.us, bound_.order);
    }
    // All edges look at what was there before the event.
    std::vector<std::pair<Class, RunSet>> woken;
    for (std::uint32_t s = 0; s < body_.counts.size(); ++s) {
      if (body_.counts[s] == 0 || !wakes(s)) continue;
      for (auto at = body_.classes.lower_bound(Class{s, {}, {}}); at != body_.classes.end() && at->first.state == s;) {
        woken.emplace_back(at->first, at->second.set);
        at = body_.forget(at);
      }
    }
    std::vector<Waiting> waiting;
    for (std::uint32_t s = 0; s < body_.waiting_counts.size(); ++s) {
      if (body_.waiting_counts[s] == 0 || !wakes(s)) continue;
      for (Waiting& w : body_.waiting) {
        if (w.state == s) waiting.push_back(std::move(w));
      }
      body_.stop_waiting([&](const Waiting& w) { return w.state == s; });
    }
    for (const auto& [c, set] : woken) {
      if (body_.sets.lives(set)) follow(c, set);
    }
    for (Waiting& w : waiting) follow(w);
    begin();
    note_wakes(automaton_, body_);
    if (!found_.matches.empty() || !body_.held.empty()) {
      put_out(automaton_, rule_, body_, found_, bound_.time, false, host_, out_);
    }
    limit(automaton_, body_, bound_.time, host_);
    let_go(automaton_, body_, bound_.time);
    note_due(body_);
    return moving_.took() || !body_.waiting.empty() || !body_.held.empty();
  }

 private:
  [[nodiscard]] bool wakes(std::uint32_t state) const { return (automaton_.states[state].wakes & truth_) != 0; }
  [[nodiscard]] std::span<const Automaton::Edge> edges(std::uint32_t state) const {
    const Automaton::State& s = automaton_.states[state];
    return {automaton_.edges.data() + s.first_edge, s.edge_count};
  }
  [[nodiscard]] bool open(const Automaton::Edge& e) const {
    return (truth_ & e.need) == e.need && (truth_ & e.deny) == 0;
  }

  void follow(const Class& from, RunSet set) {
    for (const Automaton::Edge& e : edges(from.state)) {
      if (!open(e) || closes_at(automaton_, e, from) <= bound_.time) continue;
      const bool take = e.kind == Automaton::Kind::take;
      const Bound* event = take ? &bound_ : nullptr;
      if (e.target != Automaton::none) {
        moving_.put(class_of(automaton_, e.target, take ? bound_.place() : from.last, from.begun, take ? e.begins : 0,
                             bound_.place()),
                    set, event, e.stage);
      }
      if (e.completes) moving_.enumerate(set, event, e.stage, found_);
    }
  }

  /// Nothing more is taken: the event ends it, leaves it, or makes it complete.
  void follow(Waiting& w) {
    const Waiting was = std::move(w);
    for (const Automaton::Edge& e : edges(was.state)) {
      if (!open(e)) continue;
      if (e.completes) found_.add(Complete(was.complete), host_);
      if (e.target != Automaton::none) body_.wait({e.target, was.complete, was.due});
    }
  }

  void begin() {
    if (!wakes(automaton_.start) || bound_.place() < body_.floor) return;
    const std::vector<Place> none(automaton_.group_windows.size());
    for (const Automaton::Edge& e : edges(automaton_.start)) {
      if (e.kind != Automaton::Kind::take || !open(e)) continue;
      if (e.target != Automaton::none) {
        moving_.put(class_of(automaton_, e.target, bound_.place(), none, e.begins, bound_.place()), RunSets::empty_set,
                    &bound_, e.stage);
      }
      if (e.completes) moving_.enumerate(RunSets::empty_set, &bound_, e.stage, found_);
    }
  }

  const Automaton& automaton_;
  const AllRule& rule_;
  ClockedBody& body_;
  Bound bound_;
  std::uint64_t truth_;
  Host& host_;
  std::vector<Match>& out_;
  Moving moving_;
  Found found_;
};

/// What is due at one moment.
class Moment {
 public:
  Moment(const Automaton& automaton, const AllRule& rule, ClockedBody& body, Timestamp now, Host& host,
         std::vector<Match>& out)
      : automaton_(automaton),
        rule_(rule),
        body_(body),
        now_(now),
        host_(host),
        out_(out),
        moving_(automaton, body, host) {}

  void run() {
    end_windows();
    end_clocks();
    for (; !body_.waiting.empty() && body_.waiting.front().due <= now_; body_.waiting.pop_front()) {
      --body_.waiting_counts[body_.waiting.front().state];
      complete_.add(std::move(body_.waiting.front().complete), host_);
    }
    if (rule_.tells_timeouts) tell();
    let_go(automaton_, body_, now_);
    put_out(automaton_, rule_, body_, complete_, now_, true, host_, out_);
    let_go(automaton_, body_, now_);
    note_due(body_);
  }

 private:
  /// What began a window ago ends, wherever it is.
  void end_windows() {
    if (body_.window == Automaton::unbounded || body_.classes.empty()) return;
    const Ordinal to = body_.sets.after(now_ - Duration{body_.window});
    if (to == body_.sets.first_event()) return;
    if (body_.speaks) {
      for (const auto& [c, members] : body_.classes) ends(c, members.set, to - 1, waits_until(automaton_, c) <= now_);
    }
    body_.sets.raise_horizon(to);
  }

  /// Of a class whose partial matches that began at or before `to` end.
  void ends(const Class& c, RunSet set, Ordinal to, bool waited) {
    const Automaton::State& s = automaton_.states[c.state];
    if (s.last ? !waited && !s.completes_at_window : !rule_.tells_timeouts) return;
    Found& into = s.last ? complete_ : told_;
    body_.sets.each(set, 0, to, [&](std::span<const RunSets::Taken> taken) {
      return into.add(complete_of(body_.sets, taken), host_);
    });
  }

  void end_clocks() {
    std::vector<std::pair<Class, RunSet>> due;
    while (!body_.dues.empty() && body_.dues.begin()->first <= now_) {
      const auto at = body_.classes.find(*body_.dues.begin()->second);
      due.emplace_back(at->first, at->second.set);
      body_.forget(at);
    }
    std::sort(due.begin(), due.end());
    for (const auto& [c, set] : due) {
      if (!body_.sets.lives(set)) continue;
      const Automaton::State& s = automaton_.states[c.state];
      const bool waited = waits_until(automaton_, c) <= now_;
      if (!s.last && waited && shut_at(automaton_, c) > now_) {
        moving_.put(class_of(automaton_, s.after_wait, c.last, c.begun, 0, {}), set, nullptr, Automaton::none);
      } else {
        ends(c, set, RunSets::any_start, waited);
      }
    }
  }

  /// A partial match is told once, when the last of its ways on is closed by time.
  void tell() {
    put_in_order(told_.matches);
    std::erase_if(told_.matches, [&](const Complete& one) { return lives(one); });
    put_out_timeouts(automaton_, body_, told_, now_, host_, out_);
  }

  [[nodiscard]] bool lives(const Complete& one) const {
    std::vector<RunSets::Taken> taken;
    for (auto at = one.taken.rbegin(); at != one.taken.rend(); ++at) {
      const Ordinal event = body_.sets.from(at->first.place());
      if (event == body_.sets.end_event() || body_.sets.event(event).event != at->first.event) return false;
      taken.push_back({event, at->second});
    }
    for (std::uint32_t s = 0; s < body_.counts.size(); ++s) {
      const Automaton::State& state = automaton_.states[s];
      if (body_.counts[s] == 0 || state.last) continue;
      const Place last = state.asks_last ? one.last() : Place{};
      for (auto at = body_.classes.lower_bound(Class{s, last, {}});
           at != body_.classes.end() && at->first.state == s && at->first.last == last; ++at) {
        if (body_.sets.contains(at->second.set, taken)) return true;
      }
    }
    return false;
  }

  const Automaton& automaton_;
  const AllRule& rule_;
  ClockedBody& body_;
  Timestamp now_;
  Host& host_;
  std::vector<Match>& out_;
  Moving moving_;
  Found complete_, told_;
};

bool time_speaks(const Automaton& a, const AllRule& rule) {
  return rule.tells_timeouts || std::any_of(a.states.begin(), a.states.end(), [](const Automaton::State& s) {
           return s.completes_at_window || s.wait != Automaton::unbounded;
         });
}

}  // namespace

ClockedBody::ClockedBody(const Automaton& automaton, const AllRule& rule)
    : SetsBody(automaton.window, true),
      counts(automaton.states.size()),
      waiting_counts(automaton.states.size()),
      wakes(automaton.states[automaton.start].wakes) {
  speaks = time_speaks(automaton, rule);
}

void ClockedBody::wait(Waiting one) {
  ++waiting_counts[one.state];
  const auto at = std::upper_bound(waiting.begin(), waiting.end(), one.due,
                                   [](Timestamp due_one, const Waiting& w) { return due_one < w.due; });
  waiting.insert(at, std::move(one));
}

ClockedBody::Classes::iterator ClockedBody::class_at(const Class& c) {
  const auto [at, fresh] = classes.try_emplace(c);
  if (fresh) ++counts[c.state];
  return at;
}

void ClockedBody::set_due(Classes::iterator at, Timestamp to) {
  Timestamp& was = at->second.due;
  if (was == to) return;
  if (was != Timestamp::max()) dues.erase({was, &at->first});
  if (to != Timestamp::max()) dues.insert({to, &at->first});
  was = to;
}

ClockedBody::Classes::iterator ClockedBody::forget(Classes::iterator at) {
  if (at->second.due != Timestamp::max()) dues.erase({at->second.due, &at->first});
  --counts[at->first.state];
  return classes.erase(at);
}

bool needs_clocks(const Automaton& automaton, const AllRule& rule) {
  if (!automaton.group_windows.empty()) return true;
  bool completes_at_window = false;
  for (const Automaton::State& s : automaton.states) {
    if (s.wait != Automaton::unbounded || s.outlasts_window) return true;
    completes_at_window = completes_at_window || s.completes_at_window;
  }
  // A gap alone only cuts sets; but when it tells, or lets go what others wait for, each end has its moment.
  return automaton.has_gaps &&
         (rule.tells_timeouts || completes_at_window || (rule.in_order && rule.after != AfterMatch::continue_));
}

bool clocked_step(const Automaton& automaton, const AllRule& rule, ClockedBody& body, const Occurrence& o,
                  std::uint64_t truth, Host& host, std::vector<Match>& out) {
  truth |= Automaton::always;
  clocked_advance(automaton, rule, body, o.time, host, out);
  if (o.late || (truth & body.wakes) == 0) return false;
  return Stepping(automaton, rule, body, o, truth, host, out).run();
}

void clocked_advance(const Automaton& automaton, const AllRule& rule, ClockedBody& body, Timestamp time, Host& host,
                     std::vector<Match>& out) {
  while (body.due <= time && body.due != Timestamp::max()) Moment(automaton, rule, body, body.due, host, out).run();
  // Where its end says nothing, the whole window only lets go.
  if (body.window != Automaton::unbounded && !body.speaks && body.held.empty() && !body.classes.empty())
    body.sets.raise_horizon(body.sets.after(time - Duration{body.window}));
}

bool ClockedBody::begun_before(Place place) const {
  const Ordinal to = sets.from(place) - 1;
  const auto any = [](std::span<const RunSets::Taken>) { return false; };
  return std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& w) { return w.complete.first() < place; }) ||
         std::any_of(classes.begin(), classes.end(),
                     [&](const auto& entry) { return !sets.each(entry.second.set, 0, to, any); });
}

void ClockedBody::use_up(const Automaton& automaton, Place to, Timestamp now) {
  if (floor < to) {
    floor = to;
    sets.raise_horizon(sets.from(to));
    stop_waiting([&](const Waiting& w) { return w.complete.first() < to; });
  }
  drop_dead(automaton, *this, now);
}

std::optional<Timestamp> ClockedBody::next_deadline() const {
  if ((held.empty() && !speaks) || due == Timestamp::max()) return std::nullopt;
  return due - Duration{1};
}

std::vector<Timestamp> ClockedBody::deadlines() const {
  std::vector<Timestamp> all;
  if (!next_deadline()) return all;
  for (const auto& [c, members] : classes) {
    if (members.due != Timestamp::max()) all.push_back(members.due - Duration{1});
  }
  for (const Waiting& w : waiting) all.push_back(w.due - Duration{1});
  for (Ordinal o = sets.first_event(); window != Automaton::unbounded && o != sets.end_event(); ++o) {
    all.push_back(sets.event(o).time + Duration{window} - Duration{1});
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::size_t ClockedBody::bytes() const {
  constexpr std::size_t node = 4 * sizeof(void*);  // of a tree
  std::size_t all = sizeof(ClockedBody) + sets.bytes() + waiting.size() * sizeof(Waiting) + bytes_of(held);
  for (const auto& [c, members] : classes) all += node + sizeof c + sizeof members + c.begun.capacity() * sizeof(Place);
  all += dues.size() * (node + sizeof *dues.begin()) + 2 * counts.capacity() * sizeof counts.front();
  for (const Waiting& w : waiting) all += w.complete.taken.capacity() * sizeof w.complete.taken.front();
  return all;
}

std::optional<std::uint64_t> ClockedBody::oldest_needed() const {
  std::optional<std::uint64_t> oldest;
  const auto see = [&](std::uint64_t event) { oldest = std::min(oldest.value_or(UINT64_MAX), event); };
  if (sets.event_count() != 0) see(sets.event(sets.first_event()).event);
  for (const Waiting& w : waiting) see(w.complete.taken.front().first.event);
  for (const Complete& c : held) see(c.taken.front().first.event);
  return oldest;
}

void ClockedBody::events(std::vector<std::uint64_t>& out) const {
  for (Ordinal o = sets.first_event(); o != sets.end_event(); ++o) out.push_back(sets.event(o).event);
  const auto see = [&](const Complete& c) {
    for (const auto& [bound, leaf] : c.taken) out.push_back(bound.event);
  };
  for (const Waiting& w : waiting) see(w.complete);
  for (const Complete& c : held) see(c);
}

std::optional<Timestamp> ClockedBody::expires_at(const Program&) const {
  if (!held.empty() || (window == Automaton::unbounded && lost != Place{})) return std::nullopt;
  Timestamp at = lost == Place{} ? Timestamp::min() : lost.time + Duration{window} + Duration{1};
  for (const auto& [c, members] : classes) {
    Timestamp end = members.due;
    if (window != Automaton::unbounded) {
      end = std::min(end, sets.event(sets.newest(members.set)).time + Duration{window} + Duration{1});
    }
    if (end == Timestamp::max()) return std::nullopt;
    at = std::max(at, end);
  }
  for (const Waiting& w : waiting) at = std::max(at, w.due);
  return at + Duration{1};
}

void ClockedBody::encode(const Program&, ByteWriter& out) const {
  put_begun(out, *this);
  out.put_varint(classes.size());
  for (const auto& [c, members] : classes) {
    out.put_varint(c.state);
    put_place(out, c.last);
    for (const Place p : c.begun) put_place(out, p);
    out.put_varint(sets.number_of(members.set));
  }
  out.put_varint(waiting.size());
  for (const Waiting& w : waiting) {
    out.put_varint(w.state);
    put_complete(out, w.complete);
  }
  put_held(out, *this);
}

std::unique_ptr<RunsBody> decode_clocked(const Automaton& automaton, const AllRule& rule, ByteReader& in) {
  auto body = std::make_unique<ClockedBody>(automaton, rule);
  const auto stages = static_cast<std::uint32_t>(automaton.stages.size());
  if (!get_begun(in, stages, *body)) return nullptr;
  // Counts are believed only as far as the bytes that are left could hold them.
  const std::uint64_t class_count = in.get_varint();
  if (in.failed() || class_count > in.remaining() / 11) return nullptr;
  for (std::uint64_t i = 0; i < class_count; ++i) {
    const std::uint64_t state = in.get_varint();
    if (in.failed() || state >= automaton.states.size() || state == automaton.start) return nullptr;
    if (automaton.states[state].outlasts_window) return nullptr;
    Class c{static_cast<std::uint32_t>(state), get_place(in), std::vector<Place>(automaton.group_windows.size())};
    for (Place& p : c.begun) p = get_place(in);
    for (const Place& p : c.begun) {
      if (p != Place{}) get_event_time(in, p.time.us);
    }
    if (c.last != Place{}) get_event_time(in, c.last.time.us);
    const std::uint64_t set = in.get_varint();
    if (in.failed() || set > body->sets.cell_count() || !body->sets.lives(static_cast<RunSet>(set))) return nullptr;
    if (c != class_of(automaton, c.state, c.last, c.begun, 0, {})) return nullptr;
    if (!body->classes.empty() && !(body->classes.rbegin()->first < c)) return nullptr;
    const auto at = body->class_at(c);
    at->second.set = static_cast<RunSet>(set);
    body->set_due(at, due_of(automaton, *body, c, at->second.set));
  }
  const std::uint64_t waiting_count = in.get_varint();
  if (in.failed() || waiting_count > in.remaining() / 13) return nullptr;
  for (std::uint64_t i = 0; i < waiting_count; ++i) {
    const std::uint64_t state = in.get_varint();
    if (in.failed() || state >= automaton.states.size() || !automaton.states[state].outlasts_window) return nullptr;
    Waiting w;
    w.state = static_cast<std::uint32_t>(state);
    if (!get_complete(in, stages, w.complete)) return nullptr;
    w.due = w.complete.last().time + Duration{automaton.states[state].wait};
    if (!body->waiting.empty() && w.due < body->waiting.back().due) return nullptr;
    body->wait(std::move(w));
  }
  if (!get_held(in, stages, *body)) return nullptr;
  note_wakes(automaton, *body);
  note_due(*body);
  return body;
}

}  // namespace tocsin::nfa
