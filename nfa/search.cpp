#include "nfa/search.h"

#include <algorithm>
#include <utility>

namespace tocsin::nfa {

Search::Search(const Program& program, const Body& body, std::size_t completing, Host& host)
    : program_(program),
      body_(body),
      host_(host),
      kept_(body.kept.data() + body.head),
      values_(body.values.data() + body.head * program.values.size()),
      width_(program.values.size()),
      count_(static_cast<Index>(body.kept.size() - body.head)),
      ce_(static_cast<Index>(completing - body.head)),
      last_(static_cast<int>(program.steps.size()) - 1),
      visits_(host.search_visits) {
  std::fill_n(choice_.begin(), program.slots.size(), none);
  has_optional_ =
      std::any_of(program.slots.begin(), program.slots.end(), [](const Program::Slot& s) { return s.optional; });
}

void Search::run(std::vector<Match>& out, Place& floor) {
  out_ = &out;
  floor_ = &floor;
  // The lower bound of all events: what is used up, the window, the last `until` before the completing event (it may
  // itself begin the match, and between the first and the completing event there is then none).
  const Timestamp completed{at(ce_).time};
  const Timestamp window = completed - Duration{program_.horizon};
  const Kept* begin = std::partition_point(kept_, kept_ + ce_, [&](const Kept& k) {
    return k.place() < floor || (program_.horizon != Program::unbounded && Timestamp{k.time} <= window);
  });
  low_ = static_cast<Index>(begin - kept_);
  const bool window_holds = program_.horizon == Program::unbounded || body_.lost.time > window;
  truncated_ = body_.lost != Place{} && window_holds && body_.lost >= floor;
  if (at(ce_).place() < floor) return;
  if (program_.until != 0) {
    for (Index i = ce_ - 1; i > low_; --i) {
      if ((at(i).bits & program_.until) != 0) {
        low_ = i;
        break;
      }
    }
    // After it, up to the deadline: then it no longer waits (end_waiting in step.cpp).
  }
  const std::size_t before = out.size();
  if (program_.pick == Pick::nearest) {
    back(last_, -1, none, ce_ + 1);
  } else {
    forward(0, none, low_);
  }
  if (cut_short_) {
    ++host_.counters.searches_cut;
    for (std::size_t i = before; i < out.size(); ++i) out[i].truncated = true;
  }
  if (capped_) ++host_.counters.every_capped;
  if (program_.pick == Pick::every && program_.after == AfterMatch::restart && out.size() > before) {
    use_up(program_, out.back(), floor);
  }
}

// ---- backwards ----

// The earliest place at which the end of `step` may stand, given that `next` begins at `start` with nothing filled
// between: from gaps, and from what must not stand between and can be told from bits alone.
Search::Index Search::lowest(int step, int next, Index start) const {
  if (next < 0 || start == none) return low_;
  Index low = low_;
  const Program::Step& to = program_.steps[static_cast<std::size_t>(next)];
  bool has_gap = false;
  Timestamp above = Timestamp::min();  // the end must be later than this
  for (std::uint32_t k = 0; k < to.slot_count; ++k) {
    const Program::Slot& slot = program_.slots[to.first_slot + k];
    const Index chosen = choice_[to.first_slot + k];
    if (slot.within == Program::unbounded || chosen == none) continue;
    above = std::max(above, Timestamp{at(chosen).time} - Duration{slot.within});
    has_gap = true;
  }
  std::uint64_t blocking = 0;  // stands between: bits of anything, late or not
  for (const Program::Absence& a : program_.absences) {
    if (static_cast<int>(a.before) > step && static_cast<int>(a.before) <= next && a.element.condition_count == 0) {
      blocking |= a.element.predicate;
    }
  }
  std::uint64_t blocking_live = 0;  // not by late ones
  if (to.link == Link::next) blocking_live = program_.relevant_mask;
  if (to.link == Link::first && program_.slots[to.first_slot].element.condition_count == 0) {
    blocking_live |= program_.slots[to.first_slot].element.predicate;
  }
  if (has_gap) {
    const Kept* begin =
        std::partition_point(kept_ + low_, kept_ + start, [&](const Kept& k) { return Timestamp{k.time} <= above; });
    low = static_cast<Index>(begin - kept_);
  }
  if ((blocking | blocking_live) != 0) {
    for (Index i = start - 1; i > low; --i) {
      if ((at(i).bits & blocking) != 0 || (!at(i).late() && (at(i).bits & blocking_live) != 0)) return i;
    }
  }
  return low;
}

bool Search::back_conditions(int step) {
  places_ready_ = false;
  for (const Program::Backward& b : program_.backward[static_cast<std::size_t>(step)]) {
    const Index own = choice_[b.slot];
    if (own != none && !holds(program_.conditions[b.condition], own)) return false;
  }
  return true;
}

bool Search::back(int step, int next, Index start, Index high) {
  if (step < 0) return leaf();
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  const std::uint32_t first = s.first_slot;
  const Program::Element& e = program_.slots[first].element;
  if (s.kind == StepKind::all_of || s.kind == StepKind::any_of) {
    return back_part(step, static_cast<int>(s.slot_count) - 1, next, start, high, 0);
  }
  const Index low = lowest(step, next, start);
  if (s.kind == StepKind::single) {
    const Index stop = is_last(step) ? ce_ : low;
    for (Index i = high - 1; i >= stop; --i) {
      if (!visit()) return true;
      if (!fits(e.predicate, i)) continue;
      choice_[first] = i;
      if (back_conditions(step) && back(step - 1, step, i, i)) return true;
    }
    choice_[first] = none;
    return s.can_be_empty && back_conditions(step) && back(step - 1, next, start, high);
  }
  // A group has at least `min` events before `high`; the step before ends before the first of these.
  const auto reach_back = [&](Index from) {
    std::uint32_t found_count = 0;
    for (Index i = from; i >= low_; --i) {
      if (!visit()) return none;
      if (fits(e.predicate, i)) {
        if (++found_count == s.min) return i;
      } else if (s.consecutive && fits(e.stream, i)) {
        return none;
      }
    }
    return none;
  };
  if (!s.consecutive) {
    if (is_last(step) && !fits(e.predicate, ce_)) return false;
    const Index begin = reach_back(high - 1);
    return cut_short_ || (begin != none && back(step - 1, step, none, begin));
  }
  const Index stop = is_last(step) ? ce_ : low_;
  for (Index i = high - 1; i >= stop; --i) {
    if (!visit()) return true;
    if (!fits(e.predicate, i)) continue;
    const Index begin = reach_back(i);
    if (cut_short_) return true;
    if (begin == none) continue;
    choice_[first] = i;
    if (back(step - 1, step, none, begin)) return true;
  }
  choice_[first] = none;
  return false;
}

bool Search::back_part(int step, int part, int next, Index start, Index high, std::uint32_t filled) {
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  if (part < 0) {
    if (filled < s.min) return false;
    Index begin = count_;
    Index end = none;
    for (std::uint32_t k = 0; k < s.slot_count; ++k) {
      const Index chosen = choice_[s.first_slot + k];
      if (chosen == none) continue;
      begin = std::min(begin, chosen);
      end = std::max(end, chosen);
    }
    if (end == none) return back_conditions(step) && back(step - 1, next, start, high);
    if (end < lowest(step, next, start) || (is_last(step) && end != ce_)) return false;
    return back_conditions(step) && back(step - 1, step, begin, begin);
  }
  const std::uint32_t slot = s.first_slot + static_cast<std::uint32_t>(part);
  const Program::Slot& which = program_.slots[slot];
  const auto used = [&](Index i) {
    for (std::uint32_t k = static_cast<std::uint32_t>(part) + 1; k < s.slot_count; ++k) {
      if (choice_[s.first_slot + k] == i) return true;
    }
    return false;
  };
  for (Index i = high - 1; i >= low_; --i) {
    if (!visit()) return true;
    if (!fits(which.element.predicate, i) || used(i)) continue;
    choice_[slot] = i;
    if (back_part(step, part - 1, next, start, high, filled + 1)) return true;
  }
  choice_[slot] = none;
  return which.optional && back_part(step, part - 1, next, start, high, filled);
}

// ---- forwards ----

bool Search::own_conditions(std::uint32_t slot, bool deferred) {
  const Program::Element& e = program_.slots[slot].element;
  places_ready_ = false;
  for (std::uint32_t i = e.first_condition; i < e.first_condition + e.condition_count; ++i) {
    const Program::Condition& c = program_.conditions[i];
    if (c.deferred == deferred && !holds(c, choice_[slot])) return false;
  }
  return true;
}

bool Search::forward(int step, Index end, Index low) {
  if (step > last_) return leaf();
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  const std::uint32_t first = s.first_slot;
  const Program::Slot& slot = program_.slots[first];
  const Program::Element& e = slot.element;
  if (s.kind == StepKind::all_of || s.kind == StepKind::any_of) return forward_part(step, 0, end, low, 0);
  if (s.kind == StepKind::single) {
    if (is_last(step)) {
      if (ce_ < low || !fits(e.predicate, ce_)) return false;
      choice_[first] = ce_;
      return own_conditions(first, false) && forward(step + 1, ce_, ce_ + 1);
    }
    std::uint64_t blocking = 0;
    std::uint64_t blocking_live = 0;
    if (end != none) {
      for (const Program::Absence& a : program_.absences) {
        // Of empty optionals in front the `no` count too; those are left to verify().
        if (static_cast<int>(a.before) == step && a.element.condition_count == 0) blocking |= a.element.predicate;
      }
      if (s.link == Link::next) blocking_live = program_.relevant_mask;
      if (s.link == Link::first && e.condition_count == 0) blocking_live |= e.predicate;
    }
    for (Index i = low; i < ce_; ++i) {
      if (!visit()) return true;
      if (end != none && slot.within != Program::unbounded && gap(end, i) >= slot.within) break;
      if (fits(e.predicate, i)) {
        choice_[first] = i;
        if (own_conditions(first, false) && forward(step + 1, i, i + 1)) return true;
      }
      if ((at(i).bits & blocking) != 0 || (!at(i).late() && (at(i).bits & blocking_live) != 0)) break;
    }
    choice_[first] = none;
    return s.can_be_empty && forward(step + 1, end, low);
  }
  const auto reach_forward = [&](Index from) {
    std::uint32_t found_count = 0;
    for (Index i = from; i <= ce_; ++i) {
      if (!visit()) return none;
      if (fits(e.predicate, i)) {
        if (++found_count == s.min) return i;
      } else if (s.consecutive && fits(e.stream, i)) {
        return none;
      }
    }
    return none;
  };
  if (!s.consecutive) {
    if (is_last(step) && !fits(e.predicate, ce_)) return false;
    const Index reached = reach_forward(low);
    return cut_short_ || (reached != none && forward(step + 1, none, reached + 1));
  }
  const bool by_first = program_.pick == Pick::earliest;
  for (Index i = is_last(step) && !by_first ? ce_ : low; i <= ce_; ++i) {
    if (!visit()) return true;
    if (!fits(e.predicate, i)) continue;
    const Index reached = by_first ? reach_forward(i) : i;
    if (cut_short_) return true;
    if (reached == none) continue;
    choice_[first] = i;
    if (forward(step + 1, none, reached + 1)) return true;
  }
  choice_[first] = none;
  return false;
}

bool Search::forward_part(int step, int part, Index end, Index low, std::uint32_t filled) {
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  if (part == static_cast<int>(s.slot_count)) {
    if (filled < s.min) return false;
    Index last = none;
    for (std::uint32_t k = 0; k < s.slot_count; ++k) last = std::max(last, choice_[s.first_slot + k]);
    if (last == none) return forward(step + 1, end, low);
    if (is_last(step) && last != ce_) return false;
    return forward(step + 1, last, last + 1);
  }
  const std::uint32_t slot = s.first_slot + static_cast<std::uint32_t>(part);
  const Program::Slot& which = program_.slots[slot];
  const auto used = [&](Index i) {
    for (std::uint32_t k = 0; k < static_cast<std::uint32_t>(part); ++k) {
      if (choice_[s.first_slot + k] == i) return true;
    }
    return false;
  };
  for (Index i = low; i <= ce_; ++i) {
    if (!visit()) return true;
    if (i == ce_ && !is_last(step)) break;
    if (end != none && which.within != Program::unbounded && gap(end, i) >= which.within) break;
    if (!fits(which.element.predicate, i) || used(i)) continue;
    choice_[slot] = i;
    if (own_conditions(slot, false) && forward_part(step, part + 1, end, low, filled + 1)) return true;
  }
  choice_[slot] = none;
  return which.optional && forward_part(step, part + 1, end, low, filled);
}

// ---- a whole choice ----

// Where two counted steps stand side by side, the border between them is not yet said (P9): all are tried, the later
// step as long as possible first.
bool Search::leaf() {
  std::fill_n(cut_.begin(), program_.steps.size(), none);
  bool previous_counted = false;
  bool any = false;
  for (int i = 0; i <= last_; ++i) {
    const Program::Step& s = program_.steps[static_cast<std::size_t>(i)];
    if (s.counted) {
      if (previous_counted) {
        cut_[static_cast<std::size_t>(i)] = 0;  // to be said
        any = true;
      }
      previous_counted = true;
    } else {
      for (std::uint32_t k = 0; k < s.slot_count; ++k) {
        if (choice_[s.first_slot + k] != none) previous_counted = false;
      }
    }
  }
  return (any ? cuts(last_) : verify()) && found();
}

bool Search::cuts(int step) {
  while (step >= 0 && cut_[static_cast<std::size_t>(step)] == none) --step;
  if (step < 0) return verify();
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  for (Index i = low_ + 1; i <= ce_; ++i) {
    if (!visit()) return false;
    if (!fits(program_.slots[s.first_slot].element.predicate, i)) continue;
    cut_[static_cast<std::size_t>(step)] = i;
    if (cuts(step - 1)) return true;
  }
  cut_[static_cast<std::size_t>(step)] = 0;
  return false;
}

bool Search::verify() {
  places_.steps.resize(program_.steps.size());
  places_ready_ = true;
  int previous = -1;
  for (int i = 0; i <= last_; ++i) {
    const auto step = static_cast<std::size_t>(i);
    const Program::Step& s = program_.steps[step];
    start_[step] = end_[step] = none;
    if (s.counted) continue;
    for (std::uint32_t k = 0; k < s.slot_count; ++k) {
      const Index chosen = choice_[s.first_slot + k];
      if (chosen == none) continue;
      start_[step] = start_[step] == none ? chosen : std::min(start_[step], chosen);
      end_[step] = std::max(end_[step], chosen);
    }
  }
  for (int i = 0; i <= last_; ++i) {
    const auto step = static_cast<std::size_t>(i);
    const Program::Step& s = program_.steps[step];
    const Index previous_end = previous < 0 ? none : end_[static_cast<std::size_t>(previous)];
    const Index low = previous < 0 ? low_ : previous_end + 1;
    if (s.counted) {
      group_.resize(program_.steps.size());
      Index high = ce_ + 1;
      for (int next = i + 1; next <= last_; ++next) {
        const auto n = static_cast<std::size_t>(next);
        if (!program_.steps[n].counted && start_[n] == none) continue;
        high = program_.steps[n].counted ? cut_[n] : start_[n];
        break;
      }
      if (!members(i, low, high, previous_end)) return false;
      start_[step] = group_[step].front();
      end_[step] = group_[step].back();
      if (cut_[step] != none && start_[step] != cut_[step]) return false;
    } else {
      if (start_[step] == none) {
        bind(i);
        continue;
      }
      if (start_[step] < low) return false;
      for (std::uint32_t k = 0; k < s.slot_count; ++k) {
        const Index chosen = choice_[s.first_slot + k];
        if (chosen == none) continue;
        const Program::Slot& slot = program_.slots[s.first_slot + k];
        if (previous >= 0 && slot.within != Program::unbounded && gap(previous_end, chosen) >= slot.within)
          return false;
        for (std::uint32_t c = slot.element.first_condition;
             c < slot.element.first_condition + slot.element.condition_count; ++c) {
          if (program_.conditions[c].deferred && !holds(program_.conditions[c], chosen)) return false;
        }
      }
    }
    if (!gap_holds(previous, i)) return false;
    bind(i);
    previous = i;
  }
  if (end_[static_cast<std::size_t>(last_)] != ce_) return false;
  if (!silent_after()) return false;
  Match match;
  match.places = std::move(places_);  // a refused match gives them back below
  match.at = Timestamp{at(ce_).time};
  if (program_.waits()) {
    match.at = match.at + Duration{program_.final_wait};
    match.by_deadline = true;
  }
  match.truncated = truncated_;
  if (!host_.accept(match)) {
    places_ = std::move(match.places);
    return false;
  }
  out_->push_back(std::move(match));
  return true;
}

bool Search::members(int step, Index low, Index high, Index previous_end) {
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  if (s.consecutive) return members_of_row(step, low, high, previous_end);
  const Program::Slot& slot = program_.slots[s.first_slot];
  std::vector<Index>& held = group_[static_cast<std::size_t>(step)];
  held.clear();
  visits_ -= std::max(high - low, 0);
  for (Index i = low; i < high; ++i) {
    if (previous_end != none && slot.within != Program::unbounded && gap(previous_end, i) >= slot.within) break;
    if (!fits(slot.element.predicate, i) || !holds(slot.element, i)) continue;
    held.push_back(i);
    if (s.keep_first && held.size() == s.max) break;  // max 0: never
  }
  if (s.max != 0 && held.size() > s.max) held.erase(held.begin(), held.end() - s.max);
  return held.size() >= s.min;
}

// Of the rows in the span, the one that was chosen: by its last member kept, with `earliest` by its first.
bool Search::members_of_row(int step, Index low, Index high, Index previous_end) {
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  const Program::Slot& slot = program_.slots[s.first_slot];
  const Index wanted = choice_[s.first_slot];
  const bool by_first = program_.pick == Pick::earliest;
  std::vector<Index>& held = group_[static_cast<std::size_t>(step)];
  held.clear();
  const auto chosen = [&] {
    if (held.size() < s.min) return false;
    if (s.max != 0 && held.size() > s.max) {
      if (s.keep_first) {
        held.resize(s.max);
      } else {
        held.erase(held.begin(), held.end() - s.max);
      }
    }
    return (by_first ? held.front() : held.back()) == wanted;
  };
  for (Index i = low; i < high; ++i) {
    if (previous_end != none && slot.within != Program::unbounded && gap(previous_end, i) >= slot.within) break;
    if (!fits(slot.element.stream | slot.element.predicate, i)) continue;
    if (fits(slot.element.predicate, i) && holds(slot.element, i)) {
      held.push_back(i);
      continue;
    }
    if (chosen()) return true;
    held.clear();
  }
  return chosen();
}

// What must not stand between `previous` (none: nothing filled before) and the start of `step`: P11, P12, P16, P17.
bool Search::gap_holds(int previous, int step) {
  const Index begin = start_[static_cast<std::size_t>(step)];
  if (previous < 0) {
    for (const Program::Absence& a : program_.absences) {
      if (a.before != 0) continue;
      const Timestamp from = Timestamp{at(begin).time} - Duration{a.wait};
      for (Index i = begin - 1; i >= 0 && Timestamp{at(i).time} >= from; --i) {
        if ((at(i).bits & a.element.predicate) != 0) return false;
      }
    }
    return true;
  }
  const Program::Step& s = program_.steps[static_cast<std::size_t>(step)];
  const Program::Element& own = program_.slots[s.first_slot].element;
  for (Index i = end_[static_cast<std::size_t>(previous)] + 1; i < begin; ++i) {
    if (s.link == Link::next && fits(program_.relevant_mask, i)) return false;
    if (s.link == Link::first && fits(own.predicate, i) && holds(own, i)) return false;
    for (const Program::Absence& a : program_.absences) {
      if (static_cast<int>(a.before) <= previous || static_cast<int>(a.before) > step) continue;
      if ((at(i).bits & a.element.predicate) != 0 && holds(a.element, i)) return false;
    }
  }
  return true;
}

bool Search::silent_after() {
  for (const Program::Absence& a : program_.absences) {
    if (static_cast<int>(a.before) <= last_) continue;
    const Timestamp until = Timestamp{at(ce_).time} + Duration{a.wait};
    for (Index i = ce_ + 1; i < count_ && Timestamp{at(i).time} <= until; ++i) {
      if ((at(i).bits & a.element.predicate) != 0 && holds(a.element, i)) return false;
    }
  }
  return true;
}

// True stops the search: one match is enough, unless `every`.
bool Search::found() {
  if (program_.pick != Pick::every) {
    use_up(program_, out_->back(), *floor_);
    return true;
  }
  const std::size_t slots = program_.slots.size();
  const auto extended_by = [&](const Choice& more) {
    bool differs = false;
    for (std::size_t i = 0; i < slots; ++i) {
      if (choice_[i] == more[i]) continue;
      if (choice_[i] != none) return false;
      differs = true;
    }
    return differs;
  };
  // What extends a choice comes before it, since an empty optional comes last; so the seen ones are enough.
  bool drop = false;
  if (has_optional_) {
    drop = std::any_of(seen_.begin(), seen_.end(), extended_by);
    seen_.push_back(choice_);
  }
  // With `restart` all matches of the event are reported first (M1), so the floor stays until the end.
  const bool match_by_match = program_.after != AfterMatch::restart;
  if (match_by_match && out_->back().first().place() < *floor_) drop = true;
  if (!drop && reported_ == every_max) {
    out_->pop_back();
    capped_ = true;
    return true;
  }
  if (drop) {
    out_->pop_back();
    return false;
  }
  ++reported_;
  if (match_by_match) use_up(program_, out_->back(), *floor_);
  return false;
}

void Search::bind(int step) {
  const auto i = static_cast<std::size_t>(step);
  const Program::Step& s = program_.steps[i];
  auto& parts = places_.steps[i];
  parts.resize(s.slot_count);
  for (std::uint32_t k = 0; k < s.slot_count; ++k) {
    parts[k].clear();
    if (s.counted) {
      for (const Index member : group_[i]) parts[k].push_back(bound(member));
    } else if (choice_[s.first_slot + k] != none) {
      parts[k].push_back(bound(choice_[s.first_slot + k]));
    }
  }
}

bool Search::holds(const Program::Element& e, Index candidate) {
  for (std::uint32_t c = e.first_condition; c < e.first_condition + e.condition_count; ++c) {
    if (!holds(program_.conditions[c], candidate)) return false;
  }
  return true;
}

bool Search::holds(const Program::Condition& c, Index candidate) {
  if (c.op == Condition::Op::opaque) {
    if (!places_ready_) {
      places_.steps.resize(program_.steps.size());
      for (std::uint32_t r = 0; r < c.ref_count; ++r) bind(static_cast<int>(program_.refs[c.first_ref + r]));
    }
    return host_.guard(c.guard, Binding{bound(candidate), &places_});
  }
  const Index other = choice_[c.slot];
  if (other == none) return false;
  return comparison_holds(c.op, value(candidate, c.mine), value(other, c.theirs));
}

void put_out(const Program& program, std::span<const Bound> chain, bool truncated, Place& floor, Host& host,
             std::vector<Match>& out) {
  Match& match = host.scratch;
  match.places.steps.resize(chain.size());
  for (std::size_t i = 0; i < chain.size(); ++i) {
    match.places.steps[i].resize(1);
    match.places.steps[i][0].assign(1, chain[i]);
  }
  match.at = chain.back().time + Duration{std::max<std::int64_t>(program.final_wait, 0)};
  match.by_deadline = program.waits();
  match.truncated = truncated;
  if (!host.accept(match)) return;
  use_up(program, match, floor);
  out.push_back(std::move(match));
}

void use_up(const Program& program, const Match& match, Place& floor) {
  const auto after = [](const Bound& b) { return Place{b.time, b.order + 1}; };
  Place to = floor;
  switch (program.after) {
    case AfterMatch::restart: to = match.by_deadline ? Place{match.at + Duration{1}, 0} : after(match.last()); break;
    case AfterMatch::continue_: break;
    case AfterMatch::skip_to_next: to = after(match.first()); break;
    case AfterMatch::skip_past_last: to = after(match.last()); break;
    case AfterMatch::skip_to_first:
    case AfterMatch::skip_to_last: {
      const bool first = program.after == AfterMatch::skip_to_first;
      bool any = false;
      for (const auto& part : match.places.steps[program.after_step]) {
        for (const Bound& b : part) {
          if (!any || (first ? b.place() < to : to < b.place())) to = b.place();
          any = true;
        }
      }
      break;
    }
  }
  floor = std::max(floor, to);
}

}  // namespace tocsin::nfa
