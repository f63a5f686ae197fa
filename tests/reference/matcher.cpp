#include "tests/reference/matcher.h"

#include <algorithm>

namespace tocsin::reference {

using nfa::Absence;
using nfa::Condition;
using nfa::Element;
using nfa::Link;
using nfa::Match;
using nfa::Pick;
using nfa::Place;
using nfa::Step;
using nfa::StepKind;

namespace {

int first_of(const std::vector<std::vector<int>>& step) {
  int first = -1;
  for (const auto& part : step) {
    for (const int e : part) first = first < 0 ? e : std::min(first, e);
  }
  return first;
}

int last_of(const std::vector<std::vector<int>>& step) {
  int last = -1;
  for (const auto& part : step) {
    for (const int e : part) last = std::max(last, e);
  }
  return last;
}

}  // namespace

std::int64_t Matcher::longest_final_wait() const {
  std::int64_t longest = -1;
  for (const Absence& a : pattern_.absences) {
    if (a.before == pattern_.steps.size()) longest = std::max(longest, a.wait->us);
  }
  return longest;
}

void Matcher::step(const nfa::Occurrence& o, std::vector<Match>& out) {
  Event e{{o.event, o.order, o.time}, o.late, *o.bits, {o.values.begin(), o.values.end()}};
  const auto at = std::upper_bound(log_.begin(), log_.end(), e,
                                   [](const Event& a, const Event& b) { return a.at.place() < b.at.place(); });
  const int index = static_cast<int>(at - log_.begin());
  log_.insert(at, e);
  if (o.late) return;
  if (longest_final_wait() >= 0) {
    waiting_.push_back(e.at.place());
  } else {
    report(index, out);
  }
}

void Matcher::advance(Timestamp time, std::vector<Match>& out) {
  const std::int64_t wait = longest_final_wait();
  while (!waiting_.empty() && waiting_.front().time + Duration{wait} < time) {
    const Place due = waiting_.front();
    waiting_.erase(waiting_.begin());
    for (std::size_t i = 0; i < log_.size(); ++i) {
      if (log_[i].at.place() == due) {
        report(static_cast<int>(i), out);
        break;
      }
    }
  }
}

bool Matcher::satisfies(const Element& element, int event, const Filling& filling) const {
  const Event& e = log_[static_cast<std::size_t>(event)];
  if (!e.bits.test(element.predicate)) return false;
  nfa::Places places;
  for (const auto& step : filling.places) {
    auto& to = places.steps.emplace_back();
    for (const auto& part : step) {
      auto& list = to.emplace_back();
      for (const int i : part) list.push_back(log_[static_cast<std::size_t>(i)].at);
    }
  }
  for (const Condition& c : element.conditions) {
    if (c.op == Condition::Op::opaque) {
      if (!host_.guard(c.guard, {e.at, &places})) return false;
      continue;
    }
    const std::vector<int>& other = filling.places[c.step][c.part];
    if (other.empty()) return false;
    const auto value = [](const Event& of, nfa::ValueId id) {
      const auto i = static_cast<std::size_t>(id);
      return i < of.values.size() ? of.values[i] : nfa::missing_value;
    };
    const nfa::Value mine = value(e, c.mine);
    const nfa::Value theirs = value(log_[static_cast<std::size_t>(other.front())], c.theirs);
    if (mine == nfa::missing_value || theirs == nfa::missing_value) return false;
    bool ok = false;
    switch (c.op) {
      case Condition::Op::equal: ok = mine == theirs; break;
      case Condition::Op::not_equal: ok = mine != theirs; break;
      case Condition::Op::less: ok = mine < theirs; break;
      case Condition::Op::less_equal: ok = mine <= theirs; break;
      case Condition::Op::greater: ok = mine > theirs; break;
      case Condition::Op::greater_equal: ok = mine >= theirs; break;
      case Condition::Op::opaque: break;
    }
    if (!ok) return false;
  }
  return true;
}

// Every filling by bits and order alone. Of a group only its first and last member are said; is_combination() fills in
// the rest.
void Matcher::enumerate(std::size_t step, int after, Filling& filling, int completing,
                        std::vector<Combination>& out) const {
  if (step == pattern_.steps.size()) {
    Combination c;
    c.filling = filling;
    if (!is_combination(c.filling, completing, c.match)) return;
    bool behind_group = false;  // the step before, as far as it is filled, is a group
    for (std::size_t i = 0; i < pattern_.steps.size(); ++i) {
      const Step& s = pattern_.steps[i];
      if (s.kind == StepKind::group) {
        const bool by_first = pattern_.pick == Pick::earliest;
        if (s.consecutive) c.points.push_back(by_first ? first_of(filling.places[i]) : last_of(filling.places[i]));
        if (behind_group) c.borders.push_back(first_of(filling.places[i]));
        behind_group = true;
      } else {
        for (const auto& part : filling.places[i]) {
          c.points.push_back(part.empty() ? -1 : part.front());
          behind_group = behind_group && part.empty();
        }
      }
    }
    out.push_back(std::move(c));
    return;
  }
  const Step& s = pattern_.steps[step];
  auto& places = filling.places[step];
  places.assign(s.parts.size(), {});
  if (s.kind == StepKind::all_of || s.kind == StepKind::any_of) {
    enumerate_parts(step, 0, after, filling, completing, out);
    return;
  }
  const auto candidate = [&](int i) {
    const Event& e = log_[static_cast<std::size_t>(i)];
    return !e.late && e.bits.test(s.parts[0].element.predicate);
  };
  const bool last = step + 1 == pattern_.steps.size();
  for (int i = after + 1; i <= completing; ++i) {
    if (!candidate(i)) continue;
    if (s.kind == StepKind::single) {
      if (last && i != completing) continue;
      places[0] = {i};
      enumerate(step + 1, i, filling, completing, out);
      continue;
    }
    for (int j = i; j <= completing; ++j) {
      if (!candidate(j) || (last && j != completing)) continue;
      places[0] = i == j ? std::vector<int>{i} : std::vector<int>{i, j};
      enumerate(step + 1, j, filling, completing, out);
    }
  }
  places[0].clear();
  if (s.optional) enumerate(step + 1, after, filling, completing, out);
}

void Matcher::enumerate_parts(std::size_t step, std::size_t part, int after, Filling& filling, int completing,
                              std::vector<Combination>& out) const {
  const Step& s = pattern_.steps[step];
  auto& places = filling.places[step];
  if (part == s.parts.size()) {
    std::size_t filled = 0;
    for (const auto& p : places) filled += p.size();
    if (s.kind == StepKind::any_of && filled < s.min) return;
    if (step + 1 == pattern_.steps.size() && last_of(places) != completing) return;
    const auto kept = places;
    enumerate(step + 1, filled == 0 ? after : last_of(places), filling, completing, out);
    places = kept;
    return;
  }
  for (int i = after + 1; i <= completing; ++i) {
    const Event& e = log_[static_cast<std::size_t>(i)];
    if (e.late || !e.bits.test(s.parts[part].element.predicate)) continue;
    bool used = false;
    for (std::size_t k = 0; k < part; ++k) used = used || (!places[k].empty() && places[k].front() == i);
    if (used) continue;
    places[part] = {i};
    enumerate_parts(step, part + 1, after, filling, completing, out);
  }
  places[part].clear();
  if (s.kind == StepKind::any_of || s.parts[part].optional)
    enumerate_parts(step, part + 1, after, filling, completing, out);
}

bool Matcher::is_combination(const Filling& said, int completing, Match& match) const {
  Filling filling = said;
  const std::size_t n = pattern_.steps.size();
  const auto time = [&](int i) { return log_[static_cast<std::size_t>(i)].at.time; };
  const auto is = [&](nfa::PredicateId p, int i) { return log_[static_cast<std::size_t>(i)].bits.test(p); };
  const auto late = [&](int i) { return log_[static_cast<std::size_t>(i)].late; };
  const int size = static_cast<int>(log_.size());
  std::vector<int> start(n);
  std::vector<int> end(n);
  int first = -1;
  for (std::size_t i = 0; i < n; ++i) {
    start[i] = first_of(filling.places[i]);
    end[i] = last_of(filling.places[i]);
    if (first < 0) first = start[i];
  }
  const auto before = [&](std::size_t step) {
    int at = -1;
    for (std::size_t i = 0; i < step; ++i) at = start[i] < 0 ? at : static_cast<int>(i);
    return at;
  };
  const auto after = [&](std::size_t step) {
    for (std::size_t i = step; i < n; ++i) {
      if (start[i] >= 0) return static_cast<int>(i);
    }
    return -1;
  };
  // 1 is how fillings are made. 2, 3.
  if (log_[static_cast<std::size_t>(first)].at.place() < floor_) return false;
  if (pattern_.within && (time(completing) - time(first)) >= *pattern_.within) return false;
  // 11.
  if (pattern_.until) {
    for (int i = first + 1; i < completing; ++i) {
      if (is(pattern_.until->predicate, i)) return false;
    }
    if (const std::int64_t wait = longest_final_wait(); wait >= 0) {
      for (int i = completing + 1; i < size; ++i) {
        if (is(pattern_.until->predicate, i) && time(i) <= time(completing) + Duration{wait}) return false;
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    const Step& s = pattern_.steps[i];
    if (start[i] < 0) continue;
    const int b = before(i);
    const int before_end = b < 0 ? -1 : end[static_cast<std::size_t>(b)];
    if (s.kind != StepKind::group) {
      for (std::size_t k = 0; k < s.parts.size(); ++k) {
        if (filling.places[i][k].empty()) continue;
        const int e = filling.places[i][k].front();
        if (!satisfies(s.parts[k].element, e, filling)) return false;
        // 4.
        if (b >= 0 && s.within && (time(e) - time(before_end)) >= *s.within) return false;
        if (b >= 0 && s.parts[k].within && (time(e) - time(before_end)) >= *s.parts[k].within) return false;
      }
    } else {
      // 5.
      const Element& element = s.parts[0].element;
      std::vector<int> span;
      const int next = after(i + 1);
      for (int e = 0; e <= completing; ++e) {
        if (b >= 0 && e <= before_end) continue;
        if (b < 0) {
          if (log_[static_cast<std::size_t>(e)].at.place() < floor_) continue;
          if (pattern_.within && (time(completing) - time(e)) >= *pattern_.within) continue;
          bool until_later = false;
          for (int u = e + 1; pattern_.until && u < completing; ++u)
            until_later = until_later || is(pattern_.until->predicate, u);
          if (until_later) continue;
        }
        if (next >= 0 && e >= start[static_cast<std::size_t>(next)]) continue;
        if (b >= 0 && s.within && time(e) >= time(before_end) + *s.within) continue;
        if (!late(e)) span.push_back(e);
      }
      std::vector<std::vector<int>> rows(1);
      for (const int e : span) {
        if (satisfies(element, e, filling)) {
          rows.back().push_back(e);
        } else if (s.consecutive && (is(element.stream, e) || is(element.predicate, e))) {
          rows.emplace_back();  // 6.
        }
      }
      const bool keep_first = s.link == Link::first || (pattern_.pick == Pick::earliest && i + 1 != n);
      bool is_one = false;
      for (std::vector<int>& row : rows) {
        if (row.size() < s.min) continue;
        if (s.max != 0 && row.size() > s.max) {
          if (keep_first) {
            row.resize(s.max);
          } else {
            row.erase(row.begin(), row.end() - s.max);
          }
        }
        if (row.front() == start[i] && row.back() == end[i]) {
          is_one = true;
          filling.places[i][0] = row;
          break;
        }
      }
      if (!is_one) return false;
    }
    // 7.
    if (b >= 0 && s.link != Link::any) {
      for (int e = before_end + 1; e < start[i]; ++e) {
        if (late(e)) continue;
        if (s.link == Link::first && satisfies(s.parts[0].element, e, filling)) return false;
        if (s.link != Link::next) continue;
        for (const Step& other : pattern_.steps) {
          for (const nfa::Part& part : other.parts) {
            if (is(part.element.stream, e)) return false;
          }
        }
        for (const Absence& a : pattern_.absences) {
          if (is(a.element.stream, e)) return false;
        }
        if (pattern_.until && is(pattern_.until->stream, e)) return false;
      }
    }
  }
  for (const Absence& a : pattern_.absences) {
    if (a.before == 0) {  // 9.
      for (int i = 0; i < first; ++i) {
        if (time(i) >= time(first) - *a.wait && satisfies(a.element, i, filling)) return false;
      }
    } else if (a.before == n) {  // 10.
      for (int i = completing + 1; i < size; ++i) {
        if (time(i) <= time(completing) + *a.wait && satisfies(a.element, i, filling)) return false;
      }
    } else if (const int b = before(a.before); b >= 0) {  // 8.
      const int next = after(a.before);
      for (int i = end[static_cast<std::size_t>(b)] + 1; i < start[static_cast<std::size_t>(next)]; ++i) {
        if (satisfies(a.element, i, filling)) return false;
      }
    }
  }
  // 12.
  for (const auto& step : filling.places) {
    auto& to = match.places.steps.emplace_back();
    for (const auto& part : step) {
      auto& list = to.emplace_back();
      for (const int i : part) list.push_back(log_[static_cast<std::size_t>(i)].at);
    }
  }
  match.at = time(completing);
  if (const std::int64_t wait = longest_final_wait(); wait >= 0) {
    match.at = match.at + Duration{wait};
    match.by_deadline = true;
  }
  return host_.accept(match);
}

std::vector<Matcher::Combination> Matcher::combinations(int completing) const {
  std::vector<Combination> all;
  Filling filling;
  filling.places.resize(pattern_.steps.size());
  enumerate(0, -1, filling, completing, all);
  // P9: of those that differ in borders only, the one whose last border is earliest, and so on.
  std::vector<Combination> out;
  for (Combination& c : all) {
    bool known = false;
    for (Combination& o : out) {
      if (o.points != c.points) continue;
      known = true;
      if (std::lexicographical_compare(c.borders.rbegin(), c.borders.rend(), o.borders.rbegin(), o.borders.rend()))
        o = c;
    }
    if (!known) out.push_back(std::move(c));
  }
  return out;
}

void Matcher::use_up(const Match& match) {
  const auto after = [](Place p) { return Place{p.time, p.order + 1}; };
  std::vector<Place> all;
  for (const auto& step : match.places.steps) {
    for (const auto& part : step) {
      for (const nfa::Bound& b : part) all.push_back(b.place());
    }
  }
  std::sort(all.begin(), all.end());
  Place to = floor_;
  std::vector<Place> of_step;
  switch (pattern_.after) {
    case nfa::AfterMatch::restart: to = match.by_deadline ? Place{{match.at.us + 1}, 0} : after(all.back()); break;
    case nfa::AfterMatch::continue_: break;
    case nfa::AfterMatch::skip_to_next: to = after(all.front()); break;
    case nfa::AfterMatch::skip_past_last: to = after(all.back()); break;
    case nfa::AfterMatch::skip_to_first:
    case nfa::AfterMatch::skip_to_last:
      for (const auto& part : match.places.steps[pattern_.after_step]) {
        for (const nfa::Bound& b : part) of_step.push_back(b.place());
      }
      std::sort(of_step.begin(), of_step.end());
      if (!of_step.empty()) to = pattern_.after == nfa::AfterMatch::skip_to_first ? of_step.front() : of_step.back();
      break;
  }
  floor_ = std::max(floor_, to);
}

void Matcher::report(int completing, std::vector<Match>& out) {
  std::vector<Combination> all = combinations(completing);
  // Empty is worst in all three orders: before everything when later is better, behind everything when earlier is.
  const auto better = [&](const Combination& a, const Combination& b) {
    if (pattern_.pick == Pick::nearest) {
      return std::lexicographical_compare(b.points.rbegin(), b.points.rend(), a.points.rbegin(), a.points.rend());
    }
    return std::lexicographical_compare(
        a.points.begin(), a.points.end(), b.points.begin(), b.points.end(),
        [](int x, int y) { return static_cast<unsigned>(x) < static_cast<unsigned>(y); });
  };
  std::sort(all.begin(), all.end(), better);
  if (pattern_.pick != Pick::every) {
    if (all.empty()) return;
    out.push_back(all.front().match);
    use_up(all.front().match);
    return;
  }
  const auto extends = [](const Combination& more, const Combination& less) {
    bool differs = false;
    for (std::size_t i = 0; i < more.points.size(); ++i) {
      if (more.points[i] == less.points[i]) continue;
      if (less.points[i] >= 0) return false;
      differs = true;
    }
    return differs;
  };
  std::vector<Match> reported;
  for (const Combination& c : all) {
    if (reported.size() == nfa::every_max) break;
    if (std::any_of(all.begin(), all.end(), [&](const Combination& o) { return extends(o, c); })) continue;
    const bool match_by_match = pattern_.after != nfa::AfterMatch::restart;
    if (match_by_match && c.match.first().place() < floor_) continue;
    reported.push_back(c.match);
    if (match_by_match) use_up(c.match);
  }
  for (Match& m : reported) {
    if (pattern_.after == nfa::AfterMatch::restart) use_up(m);
    out.push_back(std::move(m));
  }
}

}  // namespace tocsin::reference
