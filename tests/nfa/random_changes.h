// Random changes of a sequence in the midst of a stream: what the changed one takes over (nfa/carry.h) against the slow twin,
// which reads the whole stream with the changed pattern and refuses by definition what is not kept: an event from before the
// change in a step that is not taken over. What was used up before the change is taken from the slow twin of the old pattern.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "nfa/carry.h"
#include "nfa/exists.h"
#include "tests/nfa/random_sequences.h"

namespace tocsin::nfa::testing {

struct ChangeCase {
  Pattern before, after;
  std::vector<Item> items;
  std::size_t change = 0;  // before this item
  bool refuses_before = false, refuses_after = false;
};

inline void number_all_guards(Pattern& p) {
  for (Step& s : p.steps) {
    for (Part& part : s.parts) number_guards(part.element);
  }
  for (Absence& a : p.absences) number_guards(a.element);
}

/// Something is changed, mostly not in front.
inline Pattern changed(Dice& dice, Pattern p) {
  const auto later = [&] {
    const auto count = static_cast<int>(p.steps.size());
    return std::min(count - 1, 1 + dice.below(count));
  };
  for (int changes = 1 + dice.below(2); changes > 0; --changes) {
    switch (dice.below(12)) {
      case 0: p.within = Duration{3 + dice.below(25)}; break;
      case 1: p.within.reset(); break;
      case 2: {
        Pattern other = random_pattern(dice);
        Step& s = p.steps[static_cast<std::size_t>(later())];
        const Step& o = other.steps.back();
        if (o.parts.size() == 1 && o.parts[0].element.conditions.empty()) s = o;
        break;
      }
      case 3: {
        Step& s = p.steps[static_cast<std::size_t>(later())];
        if (p.steps.size() > 1) s.within = Duration{1 + dice.below(12)};
        break;
      }
      case 4:
        if (p.steps.size() < 5) {
          const auto n = static_cast<std::uint32_t>(p.steps.size());
          std::erase_if(p.absences, [&](const Absence& a) { return a.before == n; });
          p.steps.push_back(single(random_source(dice, 3),
                                   dice.one_in(3) ? random_conditions(dice, p.steps) : std::vector<Condition>{}));
        }
        break;
      case 5:
        if (p.steps.size() > 1) {
          p.steps.pop_back();
          const auto n = static_cast<std::uint32_t>(p.steps.size());
          std::erase_if(p.absences, [&](const Absence& a) { return a.before >= n; });
        }
        break;
      case 6:
        p.absences.push_back(
            no(static_cast<std::uint32_t>(p.steps.size()), random_source(dice, 3), 1 + dice.below(10)));
        break;
      case 7: {
        const auto n = static_cast<std::uint32_t>(p.steps.size());
        if (n > 1)
          p.absences.push_back(
              no(1 + static_cast<std::uint32_t>(dice.below(static_cast<int>(n) - 1)), random_source(dice, 3)));
        break;
      }
      case 8: p.after = static_cast<AfterMatch>(dice.below(6)); break;
      case 9:
        if (dice.one_in(3)) p.pick = static_cast<Pick>(dice.below(3));
        break;
      case 10:
        if (dice.one_in(3)) p.until = dice.one_in(2) ? std::optional(element(random_source(dice, 3))) : std::nullopt;
        break;
      case 11: {
        Step& s = p.steps[static_cast<std::size_t>(later())];
        if (s.kind == StepKind::group) s.min = 1 + static_cast<std::uint32_t>(dice.below(2));
        break;
      }
    }
  }
  p.after_step = std::min(p.after_step, static_cast<std::uint32_t>(p.steps.size()) - 1);
  return p;
}

inline ChangeCase random_change_case(std::uint64_t seed) {
  Dice dice(seed);
  ChangeCase c;
  c.before = dice.one_in(2) ? simple_pattern(dice) : random_pattern(dice);
  c.after = changed(dice, c.before);
  number_all_guards(c.before);
  number_all_guards(c.after);
  c.items = random_stream(dice);
  c.change = static_cast<std::size_t>(dice.below(static_cast<int>(c.items.size())));
  c.refuses_before = dice.one_in(3);
  c.refuses_after = dice.one_in(3);
  return c;
}

/// Of one pair of engines; empty when both agree. `kept`: how many steps were taken over, when something was begun.
inline std::string change_disagreement(const ChangeCase& c, const Program& from, const Program& to, std::uint64_t seed,
                                       Carried* kept = nullptr) {
  const bool same = from.fingerprint == to.fingerprint;
  const Carried carried = same ? Carried{} : what_carries(from, to);
  TestHost before, after, refusing;
  if (c.refuses_before) refuse_some(before, seed);
  if (c.refuses_after) refuse_some(after, seed + 1);
  answer_by_steps(before, c.before);
  answer_by_steps(after, c.after);
  answer_by_steps(refusing, c.after);

  const std::vector<Item> first(c.items.begin(), c.items.begin() + static_cast<std::ptrdiff_t>(c.change));
  std::vector<Match> ignored, found, found_reread, expected;
  reference::Matcher slow_before(c.before, before);
  Runs runs;
  Timestamp now{0};
  std::uint64_t last_event = 0;
  feed(
      first,
      [&](Timestamp t) {
        now = t;
        slow_before.advance(t, ignored);
        advance(from, runs, t, before, ignored);
      },
      [&](const Occurrence& o) {
        last_event = o.event;
        slow_before.step(o, ignored);
        step(from, runs, o, before, ignored);
      });
  Timestamp base = now;
  std::vector<std::set<std::uint64_t>> newest(to.steps.size());
  Runs next, reread;
  if (same || carried.steps == 0 || runs.body == nullptr) return {};
  const std::vector<Timestamp> deadlines = runs.body->deadlines();
  if (carried.waiting && !deadlines.empty()) base = std::min(base, deadlines.front() - Duration{from.final_wait});
  if (carried.newest) {
    const auto& body = static_cast<const ExistsBody&>(*runs.body);
    for (std::uint32_t i = 0; i < std::min(body.reached, carried.steps); ++i) {
      const Bound* chain = body.chains.of(i);
      if (i != 0 && !std::equal(chain, chain + i, body.chains.of(i - 1))) break;
      newest[i].insert(chain[i].event);
    }
  }
  if (kept != nullptr && !runs.empty()) *kept = carried;
  next = carry(from, std::move(runs), to, carried, now);
  std::string bytes;
  encode(to, next, bytes);
  std::optional<Runs> back = decode(to, bytes);
  if (!back) return "what was taken over did not read back";
  reread = std::move(*back);

  // The whole stream, with the changed pattern.
  bool is_changed = false;
  const Duration horizon{from.horizon};
  refusing.on_accept = [&](const Match& m) {
    if (!is_changed) return false;
    for (std::size_t s = 0; s < m.places.steps.size(); ++s) {
      for (const auto& part : m.places.steps[s]) {
        for (const Bound& b : part) {
          if (b.event > last_event) continue;
          if (s >= carried.steps) return false;
          if (carried.newest && !newest[s].contains(b.event)) return false;
        }
      }
    }
    const Bound last = m.last();
    if (last.event <= last_event && !carried.waiting) return false;
    // What waits was begun within the window of its own moment.
    if (from.engine == Engine::exists && from.horizon != Program::unbounded &&
        m.first().time <= std::min(last.event <= last_event ? last.time : now, now) - horizon &&
        m.first().event <= last_event) {
      return false;
    }
    return after.accept(m);
  };
  reference::Matcher slow(c.after, refusing);
  std::size_t at = 0;
  const auto change = [&] {
    if (is_changed) return;
    is_changed = true;
    Place floor = slow_before.floor();
    if (from.horizon != Program::unbounded) floor = std::max(floor, Place{base - horizon + Duration{1}, 0});
    slow.raise_floor(floor);
  };
  // An item is a move of time and perhaps an event; the change lies between two items.
  feed(
      c.items,
      [&](Timestamp t) {
        if (at++ == c.change) change();
        slow.advance(t, expected);
        if (!is_changed) return;
        advance(to, next, t, after, found);
        advance(to, reread, t, after, found_reread);
      },
      [&](const Occurrence& o) {
        slow.step(o, expected);
        if (!is_changed) return;
        step(to, next, o, after, found);
        step(to, reread, o, after, found_reread);
      });
  if (to_text(expected) == to_text(found) && to_text(found) == to_text(found_reread)) return {};
  return std::string(nfa::to_text(from.engine)) + " to " + nfa::to_text(to.engine) + ", " +
         std::to_string(carried.steps) + " steps" + (carried.waiting ? " and what waits" : "") + "\nexpected " +
         to_text(expected) + "\nfound    " + to_text(found) + "\nreread   " + to_text(found_reread);
}

/// Of the first pair of engines that does not agree. `taken`: how often something was taken over, by pair.
inline std::string change_disagreement(const ChangeCase& c, std::uint64_t seed,
                                       std::map<std::string, std::uint64_t>* taken = nullptr) {
  for (const Program& from : programs_of(c.before, c.refuses_before)) {
    for (const Program& to : programs_of(c.after, c.refuses_after)) {
      Carried kept;
      std::string said = change_disagreement(c, from, to, seed, &kept);
      if (taken != nullptr && kept.steps != 0)
        ++(*taken)[std::string(nfa::to_text(from.engine)) + " to " + nfa::to_text(to.engine)];
      if (!said.empty()) return said;
    }
  }
  return {};
}

inline std::string explain_change(ChangeCase c, std::uint64_t seed) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (std::size_t i = 0; i < c.items.size(); ++i) {
      ChangeCase fewer = c;
      fewer.items.erase(fewer.items.begin() + static_cast<std::ptrdiff_t>(i));
      if (i < c.change) --fewer.change;
      if (change_disagreement(fewer, seed).empty()) continue;
      c = fewer;
      smaller = true;
      break;
    }
  }
  const std::vector<Item> first(c.items.begin(), c.items.begin() + static_cast<std::ptrdiff_t>(c.change));
  const std::vector<Item> rest(c.items.begin() + static_cast<std::ptrdiff_t>(c.change), c.items.end());
  return to_text(c.before) + to_text(first) + "\nthen\n" + to_text(c.after) + to_text(rest) + "\n" +
         change_disagreement(c, seed);
}

}  // namespace tocsin::nfa::testing
