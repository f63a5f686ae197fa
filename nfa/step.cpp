#include "nfa/step.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "nfa/all_matches.h"
#include "nfa/clocked_matches.h"
#include "nfa/exists.h"
#include "nfa/explicit_runs.h"
#include "nfa/fronts.h"
#include "nfa/search.h"

namespace tocsin::nfa {
namespace {

/// The time that bounds what may still be used: now, or the last event of the oldest match that waits for its deadline.
Timestamp base_time(const Body& body, Timestamp now) {
  return body.pending.empty() ? now : std::min(now, body.pending.front().last.time);
}

/// Whether a match of now (or of a waiting one) may begin at `start`.
bool alive(const Program& program, const Body& body, Place start, Timestamp now) {
  if (start == Place{} || start < body.floor) return false;
  return program.horizon == Program::unbounded || start.time > base_time(body, now) - Duration{program.horizon};
}

/// After a store was read nobody knows yet what the events come to.
void count_events(Body& body, Host& host) {
  if (body.event_bytes != Body::uncounted) return;
  body.event_bytes = 0;
  for (std::size_t i = body.head; i < body.kept.size(); ++i) body.event_bytes += host.event_bytes(body.kept[i].event);
}

void drop_front(const Program& program, Body& body, Host& host) {
  body.late_count -= body.kept[body.head].late() ? 1U : 0U;
  body.event_bytes -= host.event_bytes(body.kept[body.head].event);
  ++body.head;
  if (body.head == body.kept.size()) {
    body.kept.clear();
    body.values.clear();
    body.head = 0;
  } else if (body.head >= 4 && body.head * 2 > body.kept.size()) {
    // Half is dropped: moving the rest costs at most one step for each drop since the last time.
    const auto width = static_cast<std::ptrdiff_t>(program.values.size());
    const auto head = static_cast<std::ptrdiff_t>(body.head);
    body.kept.erase(body.kept.begin(), body.kept.begin() + head);
    body.values.erase(body.values.begin(), body.values.begin() + head * width);
    body.head = 0;
  }
}

/// What must stay is a possible first event, and an X of a first `no` that may stand before one; all else counts only behind a first event.
void drop_unused(const Program& program, Body& body, Timestamp now, Host& host) {
  if (body.head == body.kept.size()) return;
  const bool live = alive(program, body, body.newest_start, now);
  const Timestamp base = base_time(body, now);
  const Timestamp window = program.horizon == Program::unbounded ? Timestamp::min() : base - Duration{program.horizon};
  const Timestamp quiet_from = (live ? std::max(body.floor.time, window) : now) - Duration{program.first_no_wait};
  while (body.head != body.kept.size()) {
    const Kept& k = body.kept[body.head];
    const Timestamp time{k.time};
    if (live && (k.bits & program.start_mask) != 0 && !k.late() && body.floor <= k.place() &&
        (program.horizon == Program::unbounded || time > window)) {
      return;
    }
    if ((k.bits & program.first_no_mask) != 0 && time >= quiet_from) return;
    drop_front(program, body, host);
  }
}

}  // namespace

void prune(const Program& program, Body& body, Timestamp now, Host& host) {
  drop_unused(program, body, now, host);
  if (body.head != body.kept.size() || body.lost == Place{}) return;
  // Nothing that is still to come can have missed what a limit dropped.
  const bool over =
      program.horizon != Program::unbounded && body.lost.time <= base_time(body, now) - Duration{program.horizon};
  if (over || body.lost < body.floor) body.lost = Place{};
}

namespace {

/// Requires: the caller counts the event's bytes if it stays.
void put(const Program& program, Body& body, const Occurrence& o, std::uint64_t bits) {
  const Kept k{o.event, o.order, o.time.us, bits};
  const auto at = std::upper_bound(body.kept.begin() + static_cast<std::ptrdiff_t>(body.head), body.kept.end(), k,
                                   [](const Kept& a, const Kept& b) { return a.place() < b.place(); });
  const auto index = at - body.kept.begin();
  const auto width = static_cast<std::ptrdiff_t>(program.values.size());
  body.kept.insert(at, k);
  body.late_count += k.late() ? 1U : 0U;
  if ((bits & program.beyond_mask) != 0) body.newest_beyond = std::max(body.newest_beyond, k.place());
  if (width == 0) return;
  body.values.insert(body.values.begin() + index * width, program.values.size(), missing_value);
  for (std::size_t v = 0; v < program.values.size(); ++v) {
    const auto id = static_cast<std::size_t>(program.values[v]);
    if (id < o.values.size()) body.values[static_cast<std::size_t>(index) * program.values.size() + v] = o.values[id];
  }
}

void take_back(const Program& program, Body& body, Host& host) {
  body.event_bytes -= host.event_bytes(body.kept.back().event);
  body.kept.pop_back();
  body.values.resize(body.values.size() - program.values.size());
}

/// A waiting match is dead as soon as an X that stands for itself, or the `until`, comes in its time.
void end_waiting(const Program& program, Body& body, std::uint64_t bits, Place here) {
  if (body.pending.empty()) return;
  if ((bits & program.no_until_mask) == 0) return;
  std::erase_if(body.pending, [&](const Pending& p) {
    if (!(p.last < here)) return false;
    if ((bits & program.until) != 0 && here.time <= p.deadline) return true;
    return std::any_of(program.absences.begin(), program.absences.end(), [&](const Program::Absence& a) {
      return a.before == program.steps.size() && a.element.condition_count == 0 && (bits & a.element.predicate) != 0 &&
             here.time <= p.last.time + Duration{a.wait};
    });
  });
}

/// After matches: what begins before the floor is gone.
void settle(const Program& program, Body& body, Timestamp now, Host& host) {
  for (Place& p : body.reach) {
    if (p < body.floor) p = Place{};
  }
  if (body.newest_start < body.floor) body.newest_start = Place{};
  std::erase_if(body.pending, [&](const Pending& p) { return p.last < body.floor; });
  prune(program, body, now, host);
}

void limit(const Program& program, Body& body, Host& host) {
  const std::size_t each = sizeof(Kept) + program.values.size() * sizeof(Value);
  const auto is_over = [&] {
    const std::size_t count = body.kept.size() - body.head;
    return count > 1 && count * each + body.event_bytes > host.runs_bytes;
  };
  while (is_over()) {
    ++host.counters.dropped;
    if (program.pick == Pick::earliest) {
      body.lost = std::max(body.lost, body.kept.back().place());
      body.late_count -= body.kept.back().late() ? 1U : 0U;
      take_back(program, body, host);
    } else {
      const Place gone = body.kept[body.head].place();
      body.lost = std::max(body.lost, gone);
      drop_front(program, body, host);
      std::erase_if(body.pending, [&](const Pending& p) { return p.last <= gone; });
    }
  }
  if (program.pick == Pick::earliest && !body.kept.empty()) {
    const Place newest = body.kept.back().place();
    std::erase_if(body.pending, [&](const Pending& p) { return newest < p.last; });
  }
}

Body& body_of(const Program& program, Runs& runs) {
  if (runs.body == nullptr) {
    auto body = std::make_unique<Body>();
    body->reach.resize(program.steps.size());
    runs.body = std::move(body);
  }
  return static_cast<Body&>(*runs.body);
}

bool keeps(const Body& body, std::uint64_t event) {
  for (std::size_t i = body.kept.size(); i > body.head; --i) {
    if (body.kept[i - 1].event == event) return true;
    if (!body.kept[i - 1].late() && body.kept[i - 1].event < event) return false;
  }
  return false;
}

/// T6: nothing but `no` and `until` sees a late event.
bool step_late(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host) {
  bits &= program.no_until_mask;
  if (bits == 0) return false;
  if (runs.empty() && (bits & program.first_no_mask) == 0) return false;
  Body& body = body_of(program, runs);
  count_events(body, host);
  end_waiting(program, body, bits, {o.time, o.order});
  put(program, body, o, bits | Kept::late_bit);
  body.event_bytes += host.event_bytes(o.event);
  limit(program, body, host);
  return keeps(body, o.event);
}

bool search_step(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host,
                 std::vector<Match>& out) {
  if (o.late) return step_late(program, runs, o, bits, host);
  if (runs.body == nullptr && (bits & (program.start_mask | program.first_no_mask)) == 0) return false;
  Body& body = body_of(program, runs);
  const Place here{o.time, o.order};
  if (body.head != body.kept.size() && !body.kept.back().late()) {
    TOCSIN_CHECK(body.kept.back().place() < here, o.time.us, o.order);
  }
  count_events(body, host);
  prune(program, body, o.time, host);
  end_waiting(program, body, bits, here);

  // A cheap filter, blind for gaps and conditions across events: how far has anything come, and may this event complete
  // it?
  const std::size_t last = program.steps.size() - 1;
  bool completes = false;
  bool extends = false;
  for (std::size_t i = last + 1; i-- > 0;) {
    const Program::Step& s = program.steps[i];
    if ((s.predicates & bits) == 0) continue;
    Place begun = s.can_be_first ? here : Place{};
    for (std::size_t j = i; begun != here && j-- > 0;) {
      begun = std::max(begun, body.reach[j]);
      if (!program.steps[j].can_be_empty) break;
    }
    if (begun != here && !alive(program, body, begun, o.time)) continue;
    if (i == last) {
      completes = true;
      // A single last event is of no use afterwards, unless it waits or stands in the way of a later one.
      if (s.kind != StepKind::single || s.link == Link::first || program.waits()) extends = true;
    } else {
      body.reach[i] = std::max(body.reach[i], begun);
      extends = true;
    }
  }
  if (extends && (bits & program.start_mask) != 0) body.newest_start = here;
  const bool live = alive(program, body, body.newest_start, o.time);
  const bool keep = extends || (bits & program.first_no_mask) != 0 || (live && (bits & program.aux_mask) != 0);
  if (!keep && !completes) return false;

  // Of neighbouring events that only a first `no` asks for, the later one says all the earlier one did.
  if ((bits & ~program.lonely_no_mask) == 0 && body.head != body.kept.size() && body.kept.back().bits == bits) {
    take_back(program, body, host);
  }
  put(program, body, o, bits);
  if (keep) body.event_bytes += host.event_bytes(o.event);
  if (completes && program.waits()) {
    body.pending.push_back({here, o.time + Duration{program.final_wait}});
  } else if (completes) {
    const std::size_t before = out.size();
    // A late event may carry a place behind this one, so the place is looked for.
    std::size_t at = body.kept.size() - 1;
    while (body.kept[at].place() != here) --at;
    Search(program, body, at, host).run(out, body.floor);
    if (!keep) {
      const auto width = static_cast<std::ptrdiff_t>(program.values.size());
      body.kept.erase(body.kept.begin() + static_cast<std::ptrdiff_t>(at));
      const auto first_value = body.values.begin() + static_cast<std::ptrdiff_t>(at) * width;
      body.values.erase(first_value, first_value + width);
    }
    if (out.size() != before) settle(program, body, o.time, host);
  }
  limit(program, body, host);
  return keeps(body, o.event);
}

void search_advance(const Program& program, Body& body, Timestamp time, Host& host, std::vector<Match>& out) {
  count_events(body, host);
  while (!body.pending.empty() && body.pending.front().deadline < time) {
    const Pending due = body.pending.front();
    const auto begin = body.kept.begin() + static_cast<std::ptrdiff_t>(body.head);
    const auto at = std::partition_point(begin, body.kept.end(), [&](const Kept& k) { return k.place() < due.last; });
    const std::size_t before = out.size();
    if (at != body.kept.end() && at->place() == due.last) {
      Search(program, body, static_cast<std::size_t>(at - body.kept.begin()), host).run(out, body.floor);
    }
    body.pending.erase(body.pending.begin());
    // Not pruned yet: what follows in the order of deadlines looks at times long gone.
    if (out.size() != before) settle(program, body, due.last.time, host);
  }
  prune(program, body, time, host);
}

/// Of all events of a match the one that stands before all others, as `before` has it.
Bound outermost(const Places& places, const auto& before) {
  Bound found;
  bool any = false;
  for (const auto& parts : places.steps) {
    for (const auto& part : parts) {
      for (const Bound& b : part) {
        if (!any || before(b.place(), found.place())) found = b;
        any = true;
      }
    }
  }
  return found;
}

}  // namespace

std::uint64_t own_bits(const Program& program, const PredicateBits& bits) {
  std::uint64_t own = 0;
  for (const Program::Word& word : program.words) {
    for (std::uint64_t left = bits.word_at(word.index) & word.mask; left != 0; left &= left - 1) {
      own |= std::uint64_t{1} << word.bit[static_cast<std::size_t>(std::countr_zero(left))];
    }
  }
  return own;
}

Bound Match::first() const {
  return outermost(places, [](Place a, Place b) { return a < b; });
}
Bound Match::last() const {
  return outermost(places, [](Place a, Place b) { return b < a; });
}

namespace {

bool all_matches_step(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host,
                      std::vector<Match>& out) {
  const Automaton& a = program.automaton;
  if (runs.body == nullptr) {
    if (((bits | Automaton::always) & a.states[a.start].wakes) == 0) return false;
    runs.body = std::make_unique<AllBody>(a, all_rule(program));
  }
  return all_step(a, all_rule(program), static_cast<AllBody&>(*runs.body), o, bits, host, out);
}

bool clocked_matches_step(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host,
                          std::vector<Match>& out) {
  const Automaton& a = program.automaton;
  if (runs.body == nullptr) {
    if (o.late || ((bits | Automaton::always) & a.states[a.start].wakes) == 0) return false;
    runs.body = std::make_unique<ClockedBody>(a, all_rule(program));
  }
  return clocked_step(a, all_rule(program), static_cast<ClockedBody&>(*runs.body), o, bits, host, out);
}

void clocked_matches_advance(const Program& program, ClockedBody& body, Timestamp time, Host& host,
                             std::vector<Match>& out) {
  clocked_advance(program.automaton, all_rule(program), body, time, host, out);
}

/// What follows each step and move of time: a body that holds nothing goes. Each engine has a function of its own for both, so
/// that an event of no interest pays for none of them.
/// With steps in common, what is used up must be told to the prefix before (nfa/prefix.h).
template <typename BodyOf>
bool lives(const Program& program, Runs& runs) {
  if (runs.body == nullptr) return false;
  if (program.common_steps == 0 && static_cast<const BodyOf&>(*runs.body).empty()) runs.body = nullptr;
  return runs.body != nullptr;
}

template <typename BodyOf, auto step_of>
[[gnu::noinline]] bool step_and_tidy(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits,
                                     Host& host, std::vector<Match>& out) {
  const bool kept = step_of(program, runs, o, bits, host, out);
  return lives<BodyOf>(program, runs) && kept;
}

template <typename BodyOf, auto advance_of>
[[gnu::noinline]] void advance_and_tidy(const Program& program, Runs& runs, Timestamp time, Host& host,
                                        std::vector<Match>& out) {
  advance_of(program, static_cast<BodyOf&>(*runs.body), time, host, out);
  lives<BodyOf>(program, runs);
}

void all_matches_advance(const Program& program, AllBody& body, Timestamp time, Host& host, std::vector<Match>& out) {
  all_advance(program.automaton, all_rule(program), body, time, host, out);
}

}  // namespace

bool step(const Program& program, Runs& runs, const Occurrence& o, Host& host, std::vector<Match>& out) {
  const std::uint64_t bits = own_bits(program, *o.bits);
  // Only a pattern of stages minds an event that is none of its own: `next` ends at it.
  if (bits == 0 && program.automaton.states.empty()) return false;
  switch (program.engine) {
    case Engine::search: return step_and_tidy<Body, search_step>(program, runs, o, bits, host, out);
    case Engine::exists:
      if (program.fronts) return step_and_tidy<FrontsBody, fronts_step>(program, runs, o, bits, host, out);
      return step_and_tidy<ExistsBody, exists_step>(program, runs, o, bits, host, out);
    case Engine::all:
      if (program.has_clocks)
        return step_and_tidy<ClockedBody, clocked_matches_step>(program, runs, o, bits, host, out);
      return step_and_tidy<AllBody, all_matches_step>(program, runs, o, bits, host, out);
    case Engine::runs: return step_and_tidy<ExplicitRuns, runs_step>(program, runs, o, bits, host, out);
  }
  return false;
}

void advance(const Program& program, Runs& runs, Timestamp time, Host& host, std::vector<Match>& out) {
  if (runs.body == nullptr) return;
  switch (program.engine) {
    case Engine::search: return advance_and_tidy<Body, search_advance>(program, runs, time, host, out);
    case Engine::exists:
      if (program.fronts) return advance_and_tidy<FrontsBody, fronts_advance>(program, runs, time, host, out);
      return advance_and_tidy<ExistsBody, exists_advance>(program, runs, time, host, out);
    case Engine::all:
      if (time < static_cast<const SetsBody&>(*runs.body).due) return;
      if (program.has_clocks)
        return advance_and_tidy<ClockedBody, clocked_matches_advance>(program, runs, time, host, out);
      return advance_and_tidy<AllBody, all_matches_advance>(program, runs, time, host, out);
    case Engine::runs: return advance_and_tidy<ExplicitRuns, runs_advance>(program, runs, time, host, out);
  }
}

}  // namespace tocsin::nfa
