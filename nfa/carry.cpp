#include "nfa/carry.h"

#include <algorithm>
#include <bit>

#include "nfa/exists.h"
#include "nfa/search.h"

namespace tocsin::nfa {
namespace {

/// Nothing is asked when begun matches are handed over; what the log holds for them is counted by the next step.
class Nobody final : public Host {
 public:
  bool guard(GuardId, const Binding&) override { return false; }
  bool accept(const Match&) override { return false; }
};

bool has_next(const Program& program, std::uint32_t steps) {
  return std::any_of(program.steps.begin(), program.steps.begin() + steps,
                     [](const Program::Step& s) { return s.link == Link::next; });
}

/// The bits of `to` that are taken over with events of its first `steps` steps.
std::uint64_t bits_kept(const Program& to, std::uint32_t steps) {
  std::uint64_t kept = to.until | to.first_no_mask;
  for (std::uint32_t i = 0; i < steps; ++i) {
    kept |= to.steps[i].predicates;
    if (to.steps[i].consecutive) kept |= to.slots[to.steps[i].first_slot].element.stream;
  }
  for (const Program::Absence& a : to.absences) {
    if (a.before <= steps) kept |= a.element.predicate;
  }
  if (has_next(to, steps)) kept |= to.relevant_mask;
  return kept;
}

/// Whether everything that fills `step` or must not stand before it is known when only what comes from now on is seen in
/// it: else it might be a match that what is not known forbids, or one with other events.
bool begins_clean(const Program& from, const Program& to, std::uint32_t step) {
  if (step == to.steps.size()) return true;
  const Program::Step& s = to.steps[step];
  if (s.kind != StepKind::single && s.kind != StepKind::all_of) return false;
  if (s.link != Link::any) return false;
  for (std::uint32_t k = 0; k < s.slot_count; ++k) {
    if (to.slots[s.first_slot + k].optional) return false;
  }
  const std::uint64_t no = to.parts.absences[step];
  if (no != 0 && (step >= from.parts.absences.size() || from.parts.absences[step] != no)) return false;
  // What is kept for a step before could fill this one too; chains are kept by step.
  return to.engine == Engine::exists || (s.predicates & bits_kept(to, step)) == 0;
}

/// The steps in common, with all that is said of what lies between them.
std::uint32_t common(const Program& from, const Program& to) {
  std::uint32_t steps = 0;
  const auto most = std::min(from.steps.size(), to.steps.size());
  while (steps < most && from.parts.steps[steps] == to.parts.steps[steps] &&
         from.parts.absences[steps] == to.parts.absences[steps]) {
    ++steps;
  }
  return steps;
}

/// Where matches begin from now on. What lies further back than the window of the old program is no longer known whole, so it
/// counts as used up: else a group that the window cuts off would lack members.
Place floor_of(const Program& from, Place floor, Timestamp base) {
  if (from.horizon == Program::unbounded) return floor;
  return std::max(floor, Place{base - Duration{from.horizon} + Duration{1}, 0});
}

/// An event that is taken over.
struct Event {
  Kept at;                     // with the bits of the new program
  const Value* old = nullptr;  // its values in the old one
};

/// A body of the new program in which nothing has come but these events, in their order.
std::unique_ptr<Body> body_of(const Program& from, const Program& to, std::uint32_t steps, Place floor,
                              const std::vector<Event>& events) {
  auto body = std::make_unique<Body>();
  Body& b = *body;
  b.floor = floor;
  b.event_bytes = Body::uncounted;
  b.reach.resize(to.steps.size());
  for (const Event& e : events) {
    b.kept.push_back(e.at);
    b.late_count += e.at.late() ? 1U : 0U;
    if ((e.at.bits & to.beyond_mask) != 0) b.newest_beyond = e.at.place();
    for (const std::uint64_t wanted : to.parts.values) {
      const auto at = std::find(from.parts.values.begin(), from.parts.values.end(), wanted);
      b.values.push_back(e.old == nullptr ? missing_value : e.old[at - from.parts.values.begin()]);
    }
    if (e.at.late()) continue;
    const Place here = e.at.place();
    for (std::uint32_t i = std::min<std::uint32_t>(steps, static_cast<std::uint32_t>(to.steps.size()) - 1); i-- > 0;) {
      const Program::Step& s = to.steps[i];
      if ((s.predicates & e.at.bits) == 0) continue;
      Place begun = s.can_be_first ? here : Place{};
      for (std::uint32_t j = i; begun != here && j-- > 0;) {
        begun = std::max(begun, b.reach[j]);
        if (!to.steps[j].can_be_empty) break;
      }
      if (begun < floor) continue;
      b.reach[i] = std::max(b.reach[i], begun);
    }
    if ((e.at.bits & to.start_mask) != 0 && here >= floor) b.newest_start = here;
  }
  return body;
}

/// The occurrences kept of the first steps, as `to` numbers their bits. Moves the floor.
std::vector<Event> events_of(const Program& from, Body& body, const Program& to, std::uint64_t kept_bits,
                             Timestamp now) {
  body.floor = floor_of(from, body.floor, body.pending.empty() ? now : std::min(now, body.pending.front().last.time));
  Nobody nobody;
  prune(from, body, now, nobody);
  std::vector<Event> events;
  for (std::size_t i = body.head; i < body.kept.size(); ++i) {
    const Kept& k = body.kept[i];
    std::uint64_t bits = 0;
    for (std::uint64_t left = k.bits & ~Kept::late_bit; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(left));
      if (bit >= from.parts.bits.size()) break;  // bytes that were not ours
      const std::uint64_t meaning = from.parts.bits[bit];
      for (std::size_t b = 0; b < to.parts.bits.size(); ++b) {
        if (to.parts.bits[b] == meaning) bits |= std::uint64_t{1} << b;
      }
    }
    bits &= kept_bits;
    // What stands before all that may begin is seen by a first `no` alone.
    if (k.place() < body.floor) bits &= to.first_no_mask;
    if (bits == 0) continue;
    events.push_back(
        {{k.event, k.order, k.time, bits | (k.bits & Kept::late_bit)}, body.values.data() + i * from.values.size()});
  }
  return events;
}

std::unique_ptr<RunsBody> from_search_to_search(const Program& from, Body& old, const Program& to,
                                                const Carried& carried, Timestamp now) {
  if (!carried.waiting) old.pending.clear();
  const std::vector<Event> events = events_of(from, old, to, bits_kept(to, carried.steps), now);
  auto body = body_of(from, to, carried.steps, old.floor, events);
  body->lost = old.lost;
  body->pending = old.pending;
  Nobody nobody;
  prune(to, *body, now, nobody);
  body->event_bytes = Body::uncounted;
  return body;
}

std::unique_ptr<RunsBody> from_search_to_exists(const Program& from, Body& old, const Program& to,
                                                const Carried& carried, Timestamp now) {
  old.pending.clear();
  auto body = std::make_unique<ExistsBody>(to);
  body->counted = false;
  const std::uint32_t steps = std::min<std::uint32_t>(carried.steps, static_cast<std::uint32_t>(to.steps.size()) - 1);
  const std::vector<Event> events = events_of(from, old, to, bits_kept(to, steps), now);
  body->floor = old.floor;
  if (old.lost != Place{}) body->lost_until = old.lost.time;
  for (const Event& e : events) {
    const Place here = e.at.place();
    const bool ends = (e.at.bits & to.until) != 0;
    for (std::uint32_t i = std::min(steps, body->reached + 1); !e.at.late() && i-- > 0;) {
      if ((e.at.bits & to.steps[i].predicates) == 0 || (ends && i != 0)) continue;
      if (body->may_follow(to, i, {e.at.time})) body->extend(i, {e.at.event, e.at.order, {e.at.time}});
    }
    if (ends) body->end_begun(here);
  }
  return body;
}

std::unique_ptr<RunsBody> from_exists_to_exists(const Program& from, const ExistsBody& old, const Program& to,
                                                const Carried& carried, Timestamp now) {
  auto body = std::make_unique<ExistsBody>(to);
  body->counted = false;
  const bool waits = carried.waiting && old.waiting_head != old.waiting.size();
  const Place begins = floor_of(from, old.floor, now);
  body->floor = waits ? old.floor : begins;  // what waits may have begun before
  body->lost_until = old.lost_until;
  const std::uint32_t steps = std::min<std::uint32_t>(carried.steps, static_cast<std::uint32_t>(to.steps.size()) - 1);
  for (std::uint32_t i = 0; i < std::min(steps, old.reached); ++i) {
    const Bound* chain = old.chains.of(i);
    if (chain->place() < begins) break;
    body->chains.reach(i + 1);
    std::copy_n(chain, i + 1, body->chains.of(i));
    body->reached = i + 1;
  }
  if (!waits) return body;
  for (std::size_t at = old.waiting_head; at < old.waiting.size(); at += old.step_count) {
    const Bound* chain = old.waiting.data() + at;
    const Duration lasts = chain[old.step_count - 1].time - chain->time;
    if (to.horizon != Program::unbounded && lasts.us >= to.horizon) continue;
    body->waiting.insert(body->waiting.end(), chain, chain + old.step_count);
  }
  return body;
}

/// The newest chain of the first step, as far as the chains of later steps are its own: what has been forgotten of older ones a
/// search cannot know.
std::unique_ptr<RunsBody> from_exists_to_search(const Program& from, const ExistsBody& old, const Program& to,
                                                const Carried& carried, Timestamp now) {
  const Place begins = floor_of(from, old.floor, now);
  std::vector<Event> events;
  for (std::uint32_t i = 0; i < std::min(carried.steps, old.reached); ++i) {
    const Bound* chain = old.chains.of(i);
    if (chain->place() < begins) break;
    if (i != 0 && !std::equal(chain, chain + i, old.chains.of(i - 1))) break;
    const Program::Element& element = to.slots[to.steps[i].first_slot].element;
    events.push_back({{chain[i].event, chain[i].order, chain[i].time.us, element.predicate}, nullptr});
  }
  auto body = body_of(from, to, carried.steps, begins, events);
  if (old.lost_until != Timestamp::min()) body->lost = {old.lost_until, 0};
  return body;
}

}  // namespace

Carried what_carries(const Program& from, const Program& to) {
  Carried none;
  if (from.parts.steps.empty() || to.parts.steps.empty()) {
    none.why = "patterns of stages begin anew when they change";
    return none;
  }
  const auto by_value = [](const Program& p) { return p.engine == Engine::exists && !p.conditions.empty(); };
  if (by_value(from) || by_value(to)) {
    none.why = "its chains are kept by value, and begin anew when it changes";
    return none;
  }
  if (from.parts.until != to.parts.until) {
    none.why = "`until` has changed";
    return none;
  }
  Carried carried;
  const auto from_count = static_cast<std::uint32_t>(from.steps.size());
  const auto to_count = static_cast<std::uint32_t>(to.steps.size());
  carried.steps = common(from, to);
  if (carried.steps == 0) {
    none.why = "the first step has changed, or a `no` before it";
    return none;
  }
  const bool same_steps = carried.steps == from_count && carried.steps == to_count;
  carried.waiting = same_steps && from.waits() && from.engine == to.engine &&
                    from.parts.absences[from_count] == to.parts.absences[to_count];
  // A last event is kept only where a later one may need it.
  const bool chains = from.engine == Engine::exists;
  const Program::Step& last = from.steps.back();
  const bool last_is_kept = !chains && (last.kind != StepKind::single || last.link == Link::first || from.waits());
  if (!last_is_kept && !carried.waiting) carried.steps = std::min(carried.steps, from_count - 1);
  if (has_next(to, to_count) && from.parts.streams != to.parts.streams) {
    // `next` minds all that the pattern names, and what was not named before is not known.
    const auto next =
        std::find_if(to.steps.begin(), to.steps.end(), [](const Program::Step& s) { return s.link == Link::next; });
    const auto before = static_cast<std::uint32_t>(next - to.steps.begin());
    if (carried.steps >= before) carried.steps = before - 1;
  }
  while (carried.steps != 0 && !begins_clean(from, to, carried.steps)) --carried.steps;
  carried.waiting = carried.waiting && carried.steps == to_count;
  if (carried.steps == 0) {
    none.why = "what follows the first step has changed in a way that asks for events that were not kept";
    return none;
  }
  const auto known = [&](std::uint64_t value) {
    return std::find(from.parts.values.begin(), from.parts.values.end(), value) != from.parts.values.end();
  };
  if (!std::all_of(to.parts.values.begin(), to.parts.values.end(), known)) {
    none.why = "it compares values that were not kept";
    return none;
  }
  if (chains && to.engine == Engine::search) {
    if (to.pick != Pick::nearest) {
      none.why = std::string("only the newest beginning is known, and `pick ") +
                 (to.pick == Pick::earliest ? "earliest" : "every") + "` asks for others";
      return none;
    }
    carried.newest = true;
  }
  return carried;
}

Runs carry(const Program& from, Runs runs, const Program& to, const Carried& carried, Timestamp now) {
  Runs out;
  if (runs.body == nullptr) return out;
  const bool exists = to.engine == Engine::exists;
  if (from.engine == Engine::exists) {
    const auto& old = static_cast<const ExistsBody&>(*runs.body);
    out.body = exists ? from_exists_to_exists(from, old, to, carried, now)
                      : from_exists_to_search(from, old, to, carried, now);
  } else {
    auto& old = static_cast<Body&>(*runs.body);
    out.body = exists ? from_search_to_exists(from, old, to, carried, now)
                      : from_search_to_search(from, old, to, carried, now);
  }
  // What a limit dropped before is told of matches that began before, too: without any there is nothing to tell.
  if (!oldest_needed(out)) out.body.reset();
  return out;
}

}  // namespace tocsin::nfa
