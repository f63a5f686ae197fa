// Random patterns of stages and random streams, and the comparison of every engine that claims a pattern with the slow
// twin (tests/reference/derivations.h). Shared by the property and by the program matcher_random. A failing case is made
// smaller before it is told.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/nfa/dice.h"
#include "tests/nfa/patterns.h"
#include "tests/reference/derivations.h"

namespace tocsin::nfa::testing {

struct StageCase {
  Pattern pattern;
  std::vector<Item> items;
  bool refuses = false;  // Host::accept says no to some
};

class RandomStages {
 public:
  explicit RandomStages(std::uint64_t seed) : dice_(seed) {}

  StageCase draw() {
    StageCase c;
    Pattern& p = c.pattern;
    streams_ = 2 + dice_.below(3);
    unary_ = dice_.one_in(2);
    p.semantics = Semantics::derivations;
    p.stages = sequence(0);
    p.after = AfterMatch::continue_;
    if (dice_.one_in(2)) {
      p.after = static_cast<AfterMatch>(1 + dice_.below(5));
      if (p.after == AfterMatch::skip_to_first || p.after == AfterMatch::skip_to_last) {
        p.after_stage = p.stages[static_cast<std::size_t>(dice_.below(static_cast<int>(p.stages.size())))].name;
      }
      p.in_order = !dice_.one_in(3);
      p.after_must_be_there = dice_.one_in(6);
    }
    if (dice_.one_in(2)) p.within = Duration{4 + dice_.below(20)};
    p.tells_timeouts = dice_.one_in(2);
    p.runs_max = 0;
    c.refuses = dice_.one_in(8);
    c.items = stream();
    return c;
  }

 private:
  std::string source() {
    std::string text(1, static_cast<char>('a' + dice_.below(streams_)));
    if (dice_.one_in(6)) text += static_cast<char>('1' + dice_.below(2));
    return text;
  }

  Element condition() {
    Element e = element(source());
    if (unary_ || leaves_ == 0) return e;
    if (dice_.one_in(6)) {
      e.conditions.push_back(compare(static_cast<ValueId>(dice_.below(2)), static_cast<Condition::Op>(dice_.below(6)),
                                     static_cast<std::uint32_t>(dice_.below(leaves_)),
                                     static_cast<ValueId>(dice_.below(2))));
    } else if (dice_.one_in(6)) {
      e.conditions.push_back(
          ask(static_cast<GuardId>(dice_.below(3)), {static_cast<std::uint32_t>(dice_.below(leaves_))}));
    }
    return e;
  }

  std::vector<Stage> sequence(int depth) {
    std::vector<Stage> out;
    const int count = 1 + dice_.below(depth == 0 ? 4 : 3);
    for (int i = 0; i < count; ++i) {
      out.push_back(stage(depth));
      if (dice_.one_in(depth == 0 ? 4 : 8)) {
        out.push_back(negation());
        if (dice_.one_in(5)) out.push_back(negation());
      }
    }
    return out;
  }

  Stage leaf() {
    Stage s;
    s.where = dice_.one_in(15) ? std::nullopt : std::optional(condition());
    s.name = "s" + std::to_string(++leaves_);
    return s;
  }

  Stage negation() {
    Stage s;
    s.kind = dice_.one_in(3) ? StageKind::not_next : StageKind::not_followed_by;
    s.where = condition();
    s.name = "n" + std::to_string(++leaves_);
    if (dice_.one_in(6)) s.within_previous = Duration{1 + dice_.below(8)};
    if (s.kind == StageKind::not_followed_by && !s.within_previous && dice_.one_in(4)) {
      s.wait = Duration{1 + dice_.below(8)};
    }
    return s;
  }

  Stage stage(int depth) {
    const int kind = depth < 2 ? dice_.below(9) : 9;
    Stage s;
    if (kind <= 1) {
      s.kind = StageKind::group;
      s.stages = sequence(depth + 1);
      if (dice_.one_in(4)) s.within = Duration{1 + dice_.below(10)};
    } else if (kind == 2 && dice_.one_in(2)) {
      s.kind = StageKind::either;
      for (int i = 0; i < 2; ++i) s.stages.push_back(stage(depth + 1));
    } else if (kind == 3 && dice_.one_in(2)) {
      s.kind = StageKind::any_order;
      const int parts = 2 + dice_.below(2);
      for (int i = 0; i < parts; ++i) {
        s.stages.push_back(leaf());
        if (dice_.one_in(8)) s.stages.back().within_previous = Duration{1 + dice_.below(8)};
      }
      s.least = dice_.one_in(3) ? static_cast<std::uint32_t>(1 + dice_.below(parts)) : 0;
      if (s.least == 0 && dice_.one_in(4)) s.stages[0].optional = true;
      s.inner = static_cast<Contiguity>(dice_.below(3));
    } else {
      s = leaf();
      if (dice_.one_in(6)) s.within_previous = Duration{1 + dice_.below(8)};
    }
    s.link = static_cast<Contiguity>(dice_.below(3));
    s.optional = dice_.one_in(5);
    if (s.kind == StageKind::take || s.kind == StageKind::group) {
      if (dice_.one_in(s.kind == StageKind::take ? 2 : 3)) {
        s.min = static_cast<std::uint32_t>(1 + (dice_.one_in(3) ? dice_.below(3) : 0));
        s.max = dice_.one_in(2) ? 0 : s.min + static_cast<std::uint32_t>(dice_.below(3));
      }
      if (s.min != 1 || s.max != 1) {
        s.inner = static_cast<Contiguity>(dice_.below(3));
        if (dice_.one_in(5)) s.gap = Duration{1 + dice_.below(8)};
        if (s.max == 0 && dice_.one_in(4)) s.until = condition();
        if (s.kind == StageKind::take && s.inner != Contiguity::any) s.greedy = dice_.one_in(3);
      }
    }
    return s;
  }

  std::vector<Item> stream() {
    std::vector<Item> items;
    const int count = 4 + dice_.below(9);
    const int pace = 1 + dice_.below(4);
    std::int64_t now = 20;
    for (int i = 0; i < count; ++i) {
      now += dice_.below(pace + 1);
      Item item;
      item.time = now;
      item.stream = static_cast<char>('a' + dice_.below(streams_));
      item.v = dice_.below(3);
      item.is_event = !dice_.one_in(12);
      items.push_back(item);
    }
    items.push_back({false, now + dice_.below(15)});
    items.push_back({false, now + 100});
    return items;
  }

  Dice dice_;
  int streams_ = 2;
  int leaves_ = 0;
  bool unary_ = false;
};

/// Pure functions of their arguments, as they have to be. A guard looks at the one stage it says it looks at.
inline void answer(TestHost& host, bool refuses) {
  host.on_accept = [refuses](const Match& m) {
    if (!refuses) return true;
    std::uint64_t h = 1;
    for (const auto& parts : m.places.steps) {
      for (const Bound& b : parts[0]) h = hash_mix(h, b.event);
      h = hash_mix(h, parts[0].size());
    }
    return h % 3 != 0;
  };
  host.on_guard = [](GuardId id, const Binding& b) {
    const auto which = static_cast<std::uint32_t>(id) / 100;
    std::uint64_t h = hash_mix(static_cast<std::uint64_t>(id), b.candidate.event);
    for (const Bound& o : b.at(which)) h = hash_mix(h, o.event);
    return h % 4 != 0;
  };
}

inline void number_guards(std::vector<Stage>& stages) {
  const auto number = [](std::optional<Element>& e) {
    if (!e) return;
    for (Condition& c : e->conditions) {
      if (c.op == Condition::Op::opaque)
        c.guard = static_cast<GuardId>(c.steps[0] * 100 + static_cast<std::uint32_t>(c.guard) % 100);
    }
  };
  for (Stage& s : stages) {
    number(s.where);
    number(s.until);
    number_guards(s.stages);
  }
}

/// A case whose pattern is not refused: about every second draw is.
inline StageCase random_stage_case(std::uint64_t seed) {
  for (std::uint64_t i = 0;; ++i) {
    StageCase c = RandomStages(hash_mix(seed, i)).draw();
    number_guards(c.pattern.stages);
    if (compile(c.pattern)) return c;
  }
}

inline std::string told(const std::vector<Match>& matches) {
  std::string text;
  for (const Match& m : matches)
    text += (text.empty() ? "" : ", ") + std::string(m.timed_out ? "timeout " : "") + to_text(m);
  return text;
}

/// The programs of all engines that claim the pattern; none when it is refused.
inline std::vector<Program> stage_programs(const Pattern& pattern, const std::string& engine = "each") {
  std::vector<Program> out;
  for (const Engine e : all_engines) {
    if (engine != "each" && engine != nfa::to_text(e)) continue;
    Choosing choosing;
    choosing.engine = e;
    if (Result<Program> program = compile(pattern, {}, choosing)) out.push_back(program.take());
  }
  return out;
}

/// Empty when the program agrees with the slow twin, also when it is written down and read back at every point.
inline std::string stage_disagreement(const Program& program, const StageCase& c, const std::vector<Match>& expected) {
  TestHost host;
  host.runs_bytes = std::size_t{1} << 32U;  // limits have tests of their own
  answer(host, c.refuses);
  Runs runs;
  Runs reread;
  std::vector<Match> found;
  std::vector<Match> found_reread;
  bool read_back = true;
  feed(
      c.items,
      [&](Timestamp t) {
        advance(program, runs, t, host, found);
        advance(program, reread, t, host, found_reread);
      },
      [&](const Occurrence& o) {
        step(program, runs, o, host, found);
        step(program, reread, o, host, found_reread);
        std::string bytes;
        encode(program, reread, bytes);
        std::optional<Runs> back = decode(program, bytes);
        std::string again;
        if (back) encode(program, *back, again);
        read_back = read_back && back.has_value() && again == bytes;
        if (back) reread = std::move(*back);
      });
  const std::string engine = nfa::to_text(program.engine);
  if (!read_back) return engine + ": did not read back";
  const std::string right = told(expected);
  if (right == told(found) && right == told(found_reread)) return {};
  return engine + "\nexpected " + right + "\nfound    " + told(found) + "\nreread   " + told(found_reread);
}

inline std::string stage_disagreement(const StageCase& c, const std::vector<Program>& programs) {
  if (programs.empty()) return {};
  TestHost host;
  answer(host, c.refuses);
  reference::Derivations slow(c.pattern, host);
  feed(
      c.items, [&](Timestamp t) { slow.advance(t); }, [&](const Occurrence& o) { slow.step(o); });
  const std::vector<Match> expected = slow.all();
  for (const Program& program : programs) {
    if (std::string said = stage_disagreement(program, c, expected); !said.empty()) return said;
  }
  return {};
}

/// All patterns that are one simplification away.
inline void simpler(const std::vector<Stage>& stages, std::vector<std::vector<Stage>>& out) {
  const auto with = [&](std::size_t i, const Stage& s) {
    std::vector<Stage> changed = stages;
    changed[i] = s;
    out.push_back(std::move(changed));
  };
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Stage& s = stages[i];
    const auto change = [&](auto&& how) {
      Stage t = s;
      how(t);
      with(i, t);
    };
    if (s.optional) change([](Stage& t) { t.optional = false; });
    if (s.greedy) change([](Stage& t) { t.greedy = false; });
    if (s.until) change([](Stage& t) { t.until.reset(); });
    if (s.gap) change([](Stage& t) { t.gap.reset(); });
    if (s.within_previous) change([](Stage& t) { t.within_previous.reset(); });
    if (s.within) change([](Stage& t) { t.within.reset(); });
    if (s.wait) change([](Stage& t) { t.wait.reset(); });
    if (s.min != 1 || s.max != 1) {
      change([](Stage& t) {
        t.min = t.max = 1;
        t.inner = Contiguity::relaxed;
        t.greedy = false;
        t.until.reset();
        t.gap.reset();
      });
    }
    if (s.where && !s.where->conditions.empty()) change([](Stage& t) { t.where->conditions.clear(); });
    std::vector<std::vector<Stage>> inner;
    simpler(s.stages, inner);
    for (const auto& in : inner) {
      change([&](Stage& t) { t.stages = in; });
    }
  }
}

inline std::string stage_explain(StageCase c, const std::string& engine) {
  const auto fails = [&](const StageCase& d) {
    return !stage_disagreement(d, stage_programs(d.pattern, engine)).empty();
  };
  for (bool smaller = true; smaller;) {
    smaller = false;
    std::vector<StageCase> tries;
    for (std::size_t i = 0; i < c.items.size(); ++i) {
      StageCase d = c;
      d.items.erase(d.items.begin() + static_cast<std::ptrdiff_t>(i));
      tries.push_back(std::move(d));
    }
    std::vector<std::vector<Stage>> patterns;
    simpler(c.pattern.stages, patterns);
    for (auto& stages : patterns) {
      StageCase d = c;
      d.pattern.stages = std::move(stages);
      tries.push_back(std::move(d));
    }
    const auto change = [&](auto&& how) {
      StageCase d = c;
      how(d);
      tries.push_back(std::move(d));
    };
    if (c.refuses) change([](StageCase& d) { d.refuses = false; });
    if (c.pattern.within) change([](StageCase& d) { d.pattern.within.reset(); });
    if (c.pattern.tells_timeouts) change([](StageCase& d) { d.pattern.tells_timeouts = false; });
    if (c.pattern.after != AfterMatch::continue_) {
      change([](StageCase& d) {
        d.pattern.after = AfterMatch::continue_;
        d.pattern.after_stage.clear();
      });
    }
    for (StageCase& d : tries) {
      if (!fails(d)) continue;
      c = std::move(d);
      smaller = true;
      break;
    }
  }
  return to_text(c.pattern) + to_text(c.items) + "\n" + stage_disagreement(c, stage_programs(c.pattern, engine));
}

}  // namespace tocsin::nfa::testing
