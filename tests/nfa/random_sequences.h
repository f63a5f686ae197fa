// Random sequences of the language and random streams, and the comparison of every engine that claims a sequence with
// the slow twin (tests/reference/matcher.h). Shared by the property and by the program matcher_random.
#pragma once

#include <string>
#include <vector>

#include "tests/nfa/dice.h"
#include "tests/nfa/patterns.h"
#include "tests/reference/matcher.h"

namespace tocsin::nfa::testing {

inline std::vector<Condition> random_conditions(Dice& dice, const std::vector<Step>& before) {
  std::vector<Condition> out;
  if (before.empty()) {
    if (dice.one_in(15)) out.push_back(ask(GuardId{7}, {}));
    return out;
  }
  const auto step = static_cast<std::uint32_t>(dice.below(static_cast<int>(before.size())));
  if (dice.one_in(5)) {
    const Step& s = before[step];
    if (s.kind != StepKind::group) {
      const auto part = static_cast<std::uint32_t>(dice.below(static_cast<int>(s.parts.size())));
      out.push_back(compare(static_cast<ValueId>(dice.below(2)), static_cast<Condition::Op>(dice.below(6)), step,
                            static_cast<ValueId>(dice.below(2)), part));
    }
  }
  if (dice.one_in(7)) {
    std::vector<std::uint32_t> steps{step};
    if (dice.one_in(3)) steps.push_back(static_cast<std::uint32_t>(dice.below(static_cast<int>(before.size()))));
    out.push_back(ask(static_cast<GuardId>(dice.below(4)), steps));
  }
  return out;
}

inline std::string random_source(Dice& dice, int streams) {
  std::string text(1, static_cast<char>('a' + dice.below(streams)));
  if (dice.one_in(5)) text += static_cast<char>('1' + dice.below(2));
  return text;
}

/// Single events told by themselves alone: what `exists` claims.
inline Pattern simple_pattern(Dice& dice) {
  Pattern p;
  const int streams = 2 + dice.below(2);
  const int steps = 1 + dice.below(5);
  for (int i = 0; i < steps; ++i) {
    Step s = single(random_source(dice, streams));
    if (i != 0 && dice.one_in(4)) s.within = Duration{1 + dice.below(12)};
    p.steps.push_back(s);
  }
  for (int waits = dice.below(6); waits > 3; --waits) {
    p.absences.push_back(no(static_cast<std::uint32_t>(steps), random_source(dice, streams), 1 + dice.below(10)));
  }
  if (dice.one_in(3)) p.until = element(random_source(dice, streams));
  if (dice.one_in(2)) p.within = Duration{3 + dice.below(25)};
  p.after = static_cast<AfterMatch>(dice.below(6));
  p.after_step = static_cast<std::uint32_t>(dice.below(steps));
  return p;
}

/// Single events that compare values with earlier steps in the ways that fronts answer, and now and then in another.
inline Pattern compared_pattern(Dice& dice) {
  Pattern p = simple_pattern(dice);
  const int steps = static_cast<int>(p.steps.size());
  if (steps == 1) return p;
  const auto value = [&] { return static_cast<ValueId>(dice.below(2)); };
  const auto add = [&](int step, Condition::Op op, int earlier) {
    p.steps[static_cast<std::size_t>(step)].parts[0].element.conditions.push_back(
        compare(value(), op, static_cast<std::uint32_t>(earlier), value()));
  };
  if (dice.one_in(2)) {  // equal values from one step to another, each with its neighbour or all with the first
    const int from = dice.below(steps - 1);
    const int to = dice.one_in(2) ? steps - 1 : from + 1 + dice.below(steps - 1 - from);
    const bool first = dice.one_in(2);
    for (int i = from + 1; i <= to; ++i) add(i, Condition::Op::equal, first ? from : i - 1);
  }
  if (!dice.one_in(3)) {
    const int later = 1 + dice.below(steps - 1);
    add(later, static_cast<Condition::Op>(1 + dice.below(5)), dice.one_in(2) ? later - 1 : dice.below(later));
  }
  if (dice.one_in(5)) {
    const int later = 1 + dice.below(steps - 1);
    add(later, static_cast<Condition::Op>(dice.one_in(2) ? 0 : dice.below(6)), dice.below(later));
  }
  return p;
}

inline Pattern random_pattern(Dice& dice) {
  if (dice.one_in(4)) return simple_pattern(dice);
  if (dice.one_in(3)) return compared_pattern(dice);
  Pattern p;
  const int streams = 2 + dice.below(2);
  const int steps = 1 + dice.below(4);
  int counted = 0;
  for (int i = 0; i < steps; ++i) {
    const bool last = i + 1 == steps;
    const int kind = dice.below(10);
    Step s = single(random_source(dice, streams), random_conditions(dice, p.steps));
    if (kind < 4 && counted < 3) {
      ++counted;
      s.kind = StepKind::group;
      s.min = static_cast<std::uint32_t>(1 + (dice.one_in(2) ? 0 : dice.below(3)));
      s.max = dice.one_in(2) ? 0 : s.min + static_cast<std::uint32_t>(dice.below(2));
      s.consecutive = dice.one_in(3);
    } else if (kind == 4 || kind == 5) {
      s.kind = kind == 4 ? StepKind::all_of : StepKind::any_of;
      const int more = 1 + dice.below(2);
      for (int k = 0; k < more; ++k)
        s.parts.push_back({element(random_source(dice, streams), random_conditions(dice, p.steps)), false, {}});
      s.min =
          s.kind == StepKind::any_of ? static_cast<std::uint32_t>(1 + dice.below(static_cast<int>(s.parts.size()))) : 1;
      for (Part& part : s.parts) {
        if (i != 0 && dice.one_in(5)) part.within = Duration{1 + dice.below(10)};
        if (s.kind == StepKind::all_of && dice.one_in(5) && !(last && &part == &s.parts[0])) part.optional = true;
      }
    } else if (!last && dice.one_in(4)) {
      s.optional = true;
    }
    if (i != 0 && dice.one_in(4)) s.within = Duration{1 + dice.below(12)};
    if (i != 0 && s.parts.size() == 1 && dice.one_in(5)) s.link = dice.one_in(2) ? Link::first : Link::next;
    p.steps.push_back(s);
  }
  const auto add_no = [&](int before, int wait) {
    std::vector<Step> seen(p.steps.begin(), p.steps.begin() + before);
    Absence a = no(static_cast<std::uint32_t>(before), random_source(dice, streams), wait);
    if (before != 0) a.element.conditions = random_conditions(dice, seen);
    p.absences.push_back(a);
  };
  if (dice.one_in(4)) {
    add_no(steps, 1 + dice.below(10));
    if (dice.one_in(4)) add_no(steps, 1 + dice.below(10));
  }
  for (int i = 1; i < steps; ++i) {
    if (dice.one_in(5)) add_no(i, 0);
    if (dice.one_in(20)) add_no(i, 0);
  }
  if (dice.one_in(5)) add_no(0, 1 + dice.below(8));
  if (dice.one_in(5)) p.until = element(random_source(dice, streams));
  if (dice.one_in(2)) p.within = Duration{3 + dice.below(25)};
  p.pick = static_cast<Pick>(dice.below(3));
  p.after = static_cast<AfterMatch>(dice.below(6));
  p.after_step = static_cast<std::uint32_t>(dice.below(steps));
  return p;
}

/// `count` of events; 0: as many as the slow twin likes.
inline std::vector<Item> random_stream(Dice& dice, int count = 0) {
  std::vector<Item> items;
  if (count == 0) count = 6 + dice.below(8);
  const int streams = 2 + dice.below(2);
  const int pace = 1 + dice.below(4);
  std::int64_t now = 20;
  for (int i = 0; i < count; ++i) {
    Item item;
    item.stream = static_cast<char>('a' + dice.below(streams));
    item.v = dice.below(4);
    if (dice.one_in(10)) {
      item.late = true;
      item.time = now - 1 - dice.below(8);
    } else {
      now += dice.below(pace + 1);
      item.time = now;
      item.is_event = !dice.one_in(12);
    }
    items.push_back(item);
  }
  items.push_back({false, now + dice.below(15)});
  items.push_back({false, now + 100});
  return items;
}

// Pure functions of their arguments, as they have to be.
inline void refuse_some(TestHost& host, std::uint64_t seed) {
  host.on_accept = [seed](const Match& m) {
    std::uint64_t h = seed;
    for (const auto& parts : m.places.steps) {
      for (const auto& part : parts) {
        for (const Bound& b : part) h = hash_mix(h, b.event);
        h = hash_mix(h, part.size());
      }
    }
    return h % 3 != 0;
  };
}

// Guards say by their number which steps they refer to, so that the test may look at these and no others.
inline void answer_by_steps(TestHost& host, const Pattern& p) {
  host.on_guard = [&p](GuardId id, const Binding& b) {
    const std::uint32_t which = static_cast<std::uint32_t>(id) / 100;
    std::uint64_t h = hash_mix(static_cast<std::uint64_t>(id), b.candidate.event);
    // which - 1 is the step referred to; 0 for none.
    if (which != 0) {
      const std::uint32_t s = which - 1;
      for (std::uint32_t k = 0; k < p.steps[s].parts.size(); ++k) {
        for (const Bound& o : b.at(s, k)) h = hash_mix(h, o.event);
        h = hash_mix(h, b.at(s, k).size());
      }
    }
    return h % 3 != 0;
  };
}

inline void number_guards(Element& e) {
  for (Condition& c : e.conditions) {
    if (c.op != Condition::Op::opaque) continue;
    c.guard =
        static_cast<GuardId>((c.steps.empty() ? 0 : c.steps[0] + 1) * 100 + static_cast<std::uint32_t>(c.guard) % 100);
  }
}

/// Empty when both agree, else what was said.
inline std::string disagreement(const Program& program, const Pattern& p, const std::vector<Item>& items,
                                std::uint64_t seed, bool refuses) {
  TestHost host;
  if (refuses) refuse_some(host, seed);
  answer_by_steps(host, p);
  reference::Matcher slow(p, host);
  Runs runs;
  Runs reread;
  std::vector<Match> expected;
  std::vector<Match> found;
  std::vector<Match> found_reread;
  bool read_back = true;
  const auto reread_all = [&] {
    std::string bytes;
    encode(program, reread, bytes);
    std::optional<Runs> back = decode(program, bytes);
    std::string again;
    if (back) encode(program, *back, again);
    read_back = read_back && back.has_value() && again == bytes;
    if (back) reread = std::move(*back);
    if (reread.empty()) reread = Runs{};  // what is empty may be forgotten
  };
  feed(
      items,
      [&](Timestamp t) {
        slow.advance(t, expected);
        advance(program, runs, t, host, found);
        advance(program, reread, t, host, found_reread);
      },
      [&](const Occurrence& o) {
        slow.step(o, expected);
        step(program, runs, o, host, found);
        step(program, reread, o, host, found_reread);
        reread_all();
      });
  const std::string engine = nfa::to_text(program.engine);
  if (!read_back) return engine + ": did not read back";
  if (to_text(expected) == to_text(found) && to_text(found) == to_text(found_reread)) return {};
  return engine + "\nexpected " + to_text(expected) + "\nfound    " + to_text(found) + "\nreread   " +
         to_text(found_reread);
}

/// Of the first engine that does not agree.
inline std::string disagreement(const Pattern& p, const std::vector<Item>& items, std::uint64_t seed, bool refuses) {
  for (const Program& program : programs_of(p, refuses)) {
    if (std::string said = disagreement(program, p, items, seed, refuses); !said.empty()) return said;
  }
  return {};
}

inline std::string explain(const Pattern& p, std::vector<Item> items, std::uint64_t seed, bool refuses) {
  // Fewer events first, then the sentence.
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (std::size_t i = 0; i < items.size(); ++i) {
      std::vector<Item> fewer = items;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      if (disagreement(p, fewer, seed, refuses).empty()) continue;
      items = fewer;
      smaller = true;
      break;
    }
  }
  return to_text(p) + to_text(items) + "\n" + disagreement(p, items, seed, refuses);
}

struct SequenceCase {
  Pattern pattern;
  std::vector<Item> items;
  bool refuses = false;
};

inline SequenceCase random_sequence_case(std::uint64_t seed) {
  Dice dice(seed);
  SequenceCase c;
  c.pattern = random_pattern(dice);
  for (Step& s : c.pattern.steps) {
    for (Part& part : s.parts) number_guards(part.element);
  }
  for (Absence& a : c.pattern.absences) number_guards(a.element);
  c.items = random_stream(dice);
  c.refuses = dice.one_in(3);
  return c;
}

}  // namespace tocsin::nfa::testing
