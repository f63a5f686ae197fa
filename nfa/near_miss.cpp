#include "nfa/near_miss.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "nfa/search.h"

namespace tocsin::nfa {
namespace {

/// Passes questions on; `when` only where it is asked.
class Asked final : public Host {
 public:
  explicit Asked(Host& host) : host_(host) { search_visits = near_miss_visits_max; }
  bool guard(GuardId guard, const Binding& binding) override { return host_.guard(guard, binding); }
  bool accept(const Match& match) override { return !asks_accept || host_.accept(match); }
  bool asks_accept = true;

 private:
  Host& host_;
};

Bound bound_of(const Occurrence& o) { return {o.event, o.order, o.time}; }
Place place_of(const Occurrence& o) { return {o.time, o.order}; }

/// A pattern with some clauses taken away, ready to be searched for matches that end with this or that event.
struct Relaxed {
  Program program;
  Body body;
  bool asks_accept = true;
  Place floor;
};

class Diagnosis {
 public:
  Diagnosis(const Pattern& pattern, std::span<const Occurrence> seen, std::size_t candidate, Place floor, Host& host)
      : pattern_(pattern), seen_(seen), candidate_(candidate), floor_(floor), host_(host), asked_(host) {}

  std::optional<NearMiss> run() {
    std::optional<std::size_t> own, any;
    for (std::size_t s = pattern_.steps.size(); s-- > 0;) {
      const std::optional<Failure> where = where_at(s);
      if (!is_of(s)) continue;
      if (!any) any = s;
      if (!where && !own) own = s;
      if (std::optional<NearMiss> found = at_step(s, where)) return found;
    }
    if (!any) return std::nullopt;
    return furthest(own.value_or(*any));
  }

 private:
  [[nodiscard]] std::size_t step_count() const { return pattern_.steps.size(); }
  [[nodiscard]] const Occurrence& asked_about() const { return seen_[candidate_]; }
  [[nodiscard]] bool is_whole(std::size_t prefix) const { return prefix == step_count(); }

  [[nodiscard]] bool is_of(std::size_t step) const {
    const Step& s = pattern_.steps[step];
    return std::any_of(s.parts.begin(), s.parts.end(), [&](const Part& p) {
      return asked_about().bits->test(p.element.stream) || asked_about().bits->test(p.element.predicate);
    });
  }
  /// The event is of the step's stream but satisfies no `where` of it.
  [[nodiscard]] std::optional<Failure> where_at(std::size_t step) const {
    std::optional<Failure> failure;
    const Step& s = pattern_.steps[step];
    for (std::uint32_t k = 0; k < s.parts.size(); ++k) {
      if (asked_about().bits->test(s.parts[k].element.predicate)) return std::nullopt;
      if (!failure && asked_about().bits->test(s.parts[k].element.stream)) {
        failure = Failure{Clause::where, static_cast<std::uint32_t>(step), k, 0, {bound_of(asked_about())}, {}, {}};
      }
    }
    return failure;
  }

  // ---- one question to the search

  Pattern prefix_of(std::size_t prefix, std::span<const Failure> without, bool& asks_accept, Place& floor) const {
    Pattern p = pattern_;
    // The least span tells most, whatever is picked; but where `earliest` also says which members a group keeps, it stays.
    const bool earliest_keeps = p.pick == Pick::earliest &&
                                std::any_of(p.steps.begin(), p.steps.end(), [](const Step& s) { return s.max != 0; });
    if (!earliest_keeps) p.pick = Pick::nearest;
    p.after = AfterMatch::continue_;
    p.steps.resize(prefix);
    p.steps.back().optional = false;
    for (const Failure& f : without) {
      if (f.clause != Clause::absence && f.step >= prefix) continue;
      switch (f.clause) {
        case Clause::accept: asks_accept = false; break;
        case Clause::condition:
        case Clause::absence: break;  // taken away below, from the highest index on
        case Clause::until: p.until.reset(); break;
        case Clause::first:
        case Clause::next: p.steps[f.step].link = Link::any; break;
        case Clause::step_within:
          p.steps[f.step].within.reset();
          p.steps[f.step].parts[f.part].within.reset();
          break;
        case Clause::used_up: floor = Place{}; break;
        case Clause::row: p.steps[f.step].consecutive = false; break;
        case Clause::count: p.steps[f.step].min = 1; break;
        case Clause::part: p.steps[f.step].parts[f.part].optional = true; break;
        case Clause::window: p.within.reset(); break;
        case Clause::where: {
          Element& e = p.steps[f.step].parts[f.part].element;
          e.predicate = e.stream;
          break;
        }
        case Clause::missing: p.steps[f.step].optional = f.step + 1 < prefix; break;
      }
    }
    for (std::size_t s = 0; s < prefix; ++s) {
      for (std::size_t k = 0; k < p.steps[s].parts.size(); ++k) {
        std::vector<Condition>& conditions = p.steps[s].parts[k].element.conditions;
        for (std::size_t c = conditions.size(); c-- > 0;) {
          const bool gone = std::any_of(without.begin(), without.end(), [&](const Failure& f) {
            return f.clause == Clause::condition && f.step == s && f.part == k && f.index == c;
          });
          if (gone) conditions.erase(conditions.begin() + static_cast<std::ptrdiff_t>(c));
        }
      }
    }
    for (std::size_t a = p.absences.size(); a-- > 0;) {
      const bool behind = !is_whole(prefix) && p.absences[a].before >= prefix;
      const bool gone = std::any_of(without.begin(), without.end(),
                                    [&](const Failure& f) { return f.clause == Clause::absence && f.index == a; });
      if (behind || gone) p.absences.erase(p.absences.begin() + static_cast<std::ptrdiff_t>(a));
    }
    return p;
  }

  std::unique_ptr<Relaxed> relaxed(std::size_t prefix, std::span<const Failure> without) const {
    auto made = std::make_unique<Relaxed>();
    Relaxed& r = *made;
    r.floor = floor_;
    r.asks_accept = is_whole(prefix);
    const Pattern pattern = prefix_of(prefix, without, r.asks_accept, r.floor);
    Result<Program> program = compile(pattern, {}, {true, Engine::search});
    if (!program) return nullptr;  // what is left is no sequence
    r.program = program.take();
    r.body.reach.resize(prefix);
    const std::size_t width = r.program.values.size();
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      const Occurrence& o = seen_[i];
      std::uint64_t bits = own_bits(r.program, *o.bits);
      if (o.late) bits &= r.program.no_until_mask;
      if (bits == 0) continue;
      r.body.kept.push_back({o.event, o.order, o.time.us, o.late ? bits | Kept::late_bit : bits});
      for (std::size_t v = 0; v < width; ++v) {
        const auto id = static_cast<std::size_t>(r.program.values[v]);
        r.body.values.push_back(id < o.values.size() ? o.values[id] : missing_value);
      }
    }
    return made;
  }

  std::optional<Match> ask(const Relaxed& r, const Occurrence& completing) {
    const auto at = std::find_if(r.body.kept.begin(), r.body.kept.end(),
                                 [&](const Kept& k) { return k.place() == place_of(completing) && !k.late(); });
    if (at == r.body.kept.end()) return std::nullopt;
    if (++searches_ > near_miss_searches_max) {
      cut_ = true;
      return std::nullopt;
    }
    asked_.asks_accept = r.asks_accept;
    std::vector<Match> out;
    Place floor = r.floor;
    Search(r.program, r.body, static_cast<std::size_t>(at - r.body.kept.begin()), asked_).run(out, floor);
    if (asked_.counters.searches_cut > 0) cut_ = true;
    if (out.empty()) return std::nullopt;
    return std::move(out.front());
  }
  std::optional<Match> ask(std::size_t prefix, std::span<const Failure> without, const Occurrence& completing) {
    const std::unique_ptr<Relaxed> r = relaxed(prefix, without);
    return r ? ask(*r, completing) : std::nullopt;
  }

  // ---- what can be taken away

  std::vector<Failure> clauses(std::size_t prefix, bool between_only) const {
    std::vector<Failure> all;
    const auto add = [&](Clause clause, std::size_t step, std::size_t part, std::size_t index) {
      all.push_back({clause,
                     static_cast<std::uint32_t>(step),
                     static_cast<std::uint32_t>(part),
                     static_cast<std::uint32_t>(index),
                     {},
                     {},
                     {}});
    };
    const auto each_part = [&](const auto& f) {
      for (std::size_t s = prefix; s-- > 0;) {
        for (std::size_t k = 0; k < pattern_.steps[s].parts.size(); ++k) f(s, k, pattern_.steps[s].parts[k]);
      }
    };
    if (is_whole(prefix)) add(Clause::accept, 0, 0, 0);
    each_part([&](std::size_t s, std::size_t k, const Part& part) {
      for (std::size_t c = 0; c < part.element.conditions.size(); ++c) add(Clause::condition, s, k, c);
    });
    for (std::size_t a = 0; a < pattern_.absences.size(); ++a) {
      if (is_whole(prefix) || pattern_.absences[a].before < prefix) add(Clause::absence, 0, 0, a);
    }
    if (pattern_.until) add(Clause::until, 0, 0, 0);
    for (std::size_t s = prefix; s-- > 0;) {
      if (pattern_.steps[s].link == Link::first) add(Clause::first, s, 0, 0);
      if (pattern_.steps[s].link == Link::next) add(Clause::next, s, 0, 0);
    }
    each_part([&](std::size_t s, std::size_t k, const Part& part) {
      if (part.within || (k == 0 && pattern_.steps[s].within)) add(Clause::step_within, s, k, 0);
    });
    if (floor_ != Place{}) add(Clause::used_up, 0, 0, 0);
    for (std::size_t s = prefix; s-- > 0;) {
      const Step& step = pattern_.steps[s];
      if (step.consecutive) add(Clause::row, s, 0, 0);
      if ((step.kind == StepKind::group || step.kind == StepKind::any_of) && step.min > 1) add(Clause::count, s, 0, 0);
    }
    if (pattern_.within) add(Clause::window, 0, 0, 0);
    if (between_only) return all;
    each_part([&](std::size_t s, std::size_t k, const Part& part) {
      if (pattern_.steps[s].kind == StepKind::all_of && !part.optional) add(Clause::part, s, k, 0);
    });
    each_part([&](std::size_t s, std::size_t k, const Part& part) {
      if (part.element.predicate != part.element.stream) add(Clause::where, s, k, 0);
    });
    return all;
  }

  /// Steps in the middle of the prefix that may have had no event at all.
  std::vector<Failure> gaps(std::size_t prefix) const {
    std::vector<Failure> all;
    for (std::size_t s = prefix; s-- > 1;) {
      const Step& step = pattern_.steps[s];
      if (s + 1 == prefix || step.kind != StepKind::single || step.optional) continue;
      all.push_back({Clause::missing, static_cast<std::uint32_t>(s), 0, 0, {}, {}, {}});
    }
    return all;
  }

  // ---- what a choice says about a clause

  [[nodiscard]] static std::optional<std::pair<Bound, Bound>> ends(const Places& places, std::size_t step) {
    std::optional<std::pair<Bound, Bound>> found;
    for (const auto& part : places.steps[step]) {
      for (const Bound& b : part) {
        if (!found) found = {b, b};
        if (b.place() < found->first.place()) found->first = b;
        if (found->second.place() < b.place()) found->second = b;
      }
    }
    return found;
  }
  [[nodiscard]] static std::optional<Bound> end_before(const Places& places, std::size_t step) {
    for (std::size_t s = std::min(step, places.steps.size()); s-- > 0;) {
      if (const auto e = ends(places, s)) return e->second;
    }
    return std::nullopt;
  }
  [[nodiscard]] static std::optional<Bound> start_from(const Places& places, std::size_t step) {
    for (std::size_t s = step; s < places.steps.size(); ++s) {
      if (const auto e = ends(places, s)) return e->first;
    }
    return std::nullopt;
  }

  bool holds(const Element& element, const Occurrence& o, const Places& places) {
    if (!o.bits->test(element.predicate)) return false;
    return std::all_of(element.conditions.begin(), element.conditions.end(),
                       [&](const Condition& c) { return holds(c, o, places); });
  }
  bool holds(const Condition& c, const Occurrence& o, const Places& places) {
    if (c.op == Condition::Op::opaque) return host_.guard(c.guard, Binding{bound_of(o), &places});
    const auto value = [](const Occurrence& of, ValueId id) {
      const auto i = static_cast<std::size_t>(id);
      return i < of.values.size() ? of.values[i] : missing_value;
    };
    if (places.at(c.step, c.part).empty()) return false;
    const Occurrence* other = occurrence_of(places.at(c.step, c.part).front());
    if (other == nullptr) return false;
    return comparison_holds(c.op, value(o, c.mine), value(*other, c.theirs));
  }
  [[nodiscard]] const Occurrence* occurrence_of(const Bound& b) const {
    const auto at = std::find_if(seen_.begin(), seen_.end(), [&](const Occurrence& o) { return bound_of(o) == b; });
    return at == seen_.end() ? nullptr : &*at;
  }
  [[nodiscard]] bool names(const Occurrence& o) const {
    for (const Step& s : pattern_.steps) {
      for (const Part& p : s.parts) {
        if (o.bits->test(p.element.stream)) return true;
      }
    }
    const bool by_absence = std::any_of(pattern_.absences.begin(), pattern_.absences.end(),
                                        [&](const Absence& a) { return o.bits->test(a.element.stream); });
    return by_absence || (pattern_.until && o.bits->test(pattern_.until->stream));
  }

  /// Fills in what the choice shows about the clause; false when the clause holds there.
  bool violated(Failure& f, const Match& match) {
    const Places& places = match.places;
    const auto stands = [&](Place after, Place before, const auto& is) {
      for (const Occurrence& o : seen_) {
        if (after < place_of(o) && place_of(o) < before && is(o)) f.events.push_back(bound_of(o));
      }
      return !f.events.empty();
    };
    switch (f.clause) {
      case Clause::accept: return !host_.accept(match);
      case Clause::condition: {
        const Condition& c = pattern_.steps[f.step].parts[f.part].element.conditions[f.index];
        for (const Bound& b : places.at(f.step, f.part)) {
          const Occurrence* o = occurrence_of(b);
          if (o != nullptr && !holds(c, *o, places)) f.events.push_back(b);
        }
        return !f.events.empty();
      }
      case Clause::absence: {
        const Absence& a = pattern_.absences[f.index];
        const auto is = [&](const Occurrence& o) { return holds(a.element, o, places); };
        if (a.wait) f.allowed = *a.wait;
        if (a.before == 0) {
          const Bound first = match.first();
          const Place from{first.time - *a.wait, 0};
          for (const Occurrence& o : seen_) {
            if (from.time <= o.time && place_of(o) < first.place() && is(o)) f.events.push_back(bound_of(o));
          }
          if (!f.events.empty()) f.took = first.time - f.events.back().time;
          return !f.events.empty();
        }
        if (a.before == step_count()) {
          const Bound last = match.last();
          for (const Occurrence& o : seen_) {
            if (last.place() < place_of(o) && o.time <= last.time + *a.wait && is(o)) f.events.push_back(bound_of(o));
          }
          if (!f.events.empty()) f.took = f.events.front().time - last.time;
          return !f.events.empty();
        }
        const std::optional<Bound> after = end_before(places, a.before);
        const std::optional<Bound> before = start_from(places, a.before);
        return after && before && stands(after->place(), before->place(), is);
      }
      case Clause::until: {
        const auto is = [&](const Occurrence& o) { return o.bits->test(pattern_.until->predicate); };
        if (stands(match.first().place(), match.last().place(), is)) return true;
        return match.by_deadline && stands(match.last().place(), Place{match.at + Duration{1}, 0}, is);
      }
      case Clause::first:
      case Clause::next: {
        const auto e = ends(places, f.step);
        const std::optional<Bound> after = end_before(places, f.step);
        if (!e || !after) return false;
        const Element& element = pattern_.steps[f.step].parts.front().element;
        return stands(after->place(), e->first.place(), [&](const Occurrence& o) {
          return !o.late && (f.clause == Clause::first ? holds(element, o, places) : names(o));
        });
      }
      case Clause::step_within: {
        const std::optional<Bound> after = end_before(places, f.step);
        const Step& s = pattern_.steps[f.step];
        if (!after) return false;
        for (std::size_t k = 0; k < s.parts.size(); ++k) {
          std::optional<Duration> limit = s.parts[k].within;
          if (s.within && (!limit || *s.within < *limit)) limit = s.within;
          if (!limit) continue;
          for (const Bound& b : places.at(f.step, static_cast<std::uint32_t>(k))) {
            if (b.time - after->time < *limit) continue;
            f.took = b.time - after->time;
            f.allowed = *limit;
            f.events = {b};
          }
        }
        return !f.events.empty();
      }
      case Clause::used_up: f.events = {match.first()}; return match.first().place() < floor_;
      case Clause::row: {
        const auto e = ends(places, f.step);
        const Element& element = pattern_.steps[f.step].parts.front().element;
        if (!e) return false;
        f.have = static_cast<std::uint32_t>(places.at(f.step).size());
        f.needed = pattern_.steps[f.step].min;
        return stands(e->first.place(), e->second.place(), [&](const Occurrence& o) {
          return !o.late && o.bits->test(element.stream) && !holds(element, o, places);
        });
      }
      case Clause::count: {
        f.needed = pattern_.steps[f.step].min;
        f.have = 0;
        for (const auto& part : places.steps[f.step]) f.have += static_cast<std::uint32_t>(part.size());
        return f.have < f.needed;
      }
      case Clause::part: return places.at(f.step, f.part).empty();
      case Clause::window:
        f.events = {match.first(), match.last()};
        f.took = f.events.back().time - f.events.front().time;
        f.allowed = *pattern_.within;
        return f.took >= f.allowed;
      case Clause::where: {
        const Element& element = pattern_.steps[f.step].parts[f.part].element;
        for (const Bound& b : places.at(f.step, f.part)) {
          const Occurrence* o = occurrence_of(b);
          if (o != nullptr && !o->bits->test(element.predicate)) f.events.push_back(b);
        }
        return !f.events.empty();
      }
      case Clause::missing: return !ends(places, f.step).has_value();
    }
    return false;
  }

  NearMiss told(std::size_t step, const Match& match, std::span<const Failure> without) {
    NearMiss miss;
    miss.step = static_cast<std::uint32_t>(step);
    miss.reached = static_cast<std::uint32_t>(match.places.steps.size());
    miss.places = match.places;
    for (const Failure& f : without) {
      Failure filled = f;
      filled.events.clear();
      if (violated(filled, match)) miss.failures.push_back(std::move(filled));
    }
    miss.cut = cut_;
    return miss;
  }

  // ---- the answer

  /// The event as this step, with everything before it: as it is, without one clause, without two.
  std::optional<NearMiss> at_step(std::size_t step, const std::optional<Failure>& where) {
    std::vector<Failure> base;
    if (where) base.push_back(*where);
    if (const auto match = ask(step + 1, base, asked_about())) {
      NearMiss miss = told(step, *match, base);
      if (miss.failures.empty() && match->by_deadline && pattern_.until) {
        Failure until{Clause::until, 0, 0, 0, {}, {}, {}};
        if (violated(until, *match)) miss.failures.push_back(std::move(until));
      }
      return miss;
    }
    if (where) return std::nullopt;  // it is not of this step, and what comes before does not lead there either
    const auto without = [&](std::span<const Failure> some) -> std::optional<NearMiss> {
      const auto match = ask(step + 1, some, asked_about());
      if (!match) return std::nullopt;
      NearMiss miss = told(step, *match, some);
      return miss.failures.empty() ? std::nullopt : std::optional(std::move(miss));
    };
    for (const Failure& one : clauses(step + 1, false)) {
      if (auto miss = without({&one, 1})) return miss;
    }
    const std::vector<Failure> between = clauses(step + 1, true);
    for (std::size_t i = 0; i < between.size(); ++i) {
      for (std::size_t j = i + 1; j < between.size(); ++j) {
        const Failure both[] = {between[i], between[j]};
        if (auto miss = without(both)) return miss;
      }
    }
    for (const Failure& one : gaps(step + 1)) {
      if (auto miss = without({&one, 1})) return miss;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool in_window(const Occurrence& o) const {
    return !pattern_.within || asked_about().time - o.time < *pattern_.within;
  }

  /// No choice leads up to the event at `step`: how far did anything come, and what was next?
  NearMiss furthest(std::size_t step) {
    NearMiss miss;
    miss.step = static_cast<std::uint32_t>(step);
    std::size_t reached = 0;
    for (std::size_t prefix = step; prefix > 0 && reached == 0; --prefix) {
      const std::unique_ptr<Relaxed> r = relaxed(prefix, {});
      if (!r) continue;
      for (std::size_t i = candidate_; i-- > 0 && in_window(seen_[i]);) {
        if (seen_[i].late) continue;
        const auto match = ask(*r, seen_[i]);
        if (!match || (pattern_.within && asked_about().time - match->first().time >= *pattern_.within)) continue;
        reached = prefix;
        miss.places = match->places;
        break;
      }
    }
    miss.reached = static_cast<std::uint32_t>(reached);
    // All steps before are there, and the event: then more than two things stand between, and all are told.
    if (reached == step) {
      const std::vector<Failure> between = clauses(step + 1, true);
      if (const auto match = ask(step + 1, between, asked_about())) {
        if (NearMiss all = told(step, *match, between); !all.failures.empty()) return all;
      }
    }
    // The next step: an event of its stream that a clause of it or before it kept out, else there was none.
    if (reached < step) {
      for (const Failure& one : clauses(reached + 1, false)) {
        const std::unique_ptr<Relaxed> r = relaxed(reached + 1, {&one, 1});
        if (!r) continue;
        for (std::size_t i = candidate_; i-- > 0 && in_window(seen_[i]);) {
          if (seen_[i].late) continue;
          const auto match = ask(*r, seen_[i]);
          if (!match) continue;
          const NearMiss told_of = told(step, *match, {&one, 1});
          if (told_of.failures.empty()) continue;
          miss.places = told_of.places;
          miss.failures = told_of.failures;
          miss.cut = cut_;
          return miss;
        }
      }
    }
    miss.failures.push_back({Clause::missing, static_cast<std::uint32_t>(reached), 0, 0, {}, {}, {}});
    miss.cut = cut_;
    return miss;
  }

  const Pattern& pattern_;
  std::span<const Occurrence> seen_;
  std::size_t candidate_;
  Place floor_;
  Host& host_;
  Asked asked_;
  std::uint32_t searches_ = 0;
  bool cut_ = false;
};

}  // namespace

std::optional<NearMiss> near_miss(const Pattern& pattern, std::span<const Occurrence> seen, std::size_t candidate,
                                  Place floor, Host& host) {
  return Diagnosis(pattern, seen, candidate, floor, host).run();
}

}  // namespace tocsin::nfa
