#include "nfa/automaton.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "nfa/limits.h"

namespace tocsin::nfa {
namespace {

using Mask = std::uint64_t;
constexpr std::int64_t unbounded = Automaton::unbounded;

Error refuse(std::string text) { return {ErrorKind::refused, std::move(text)}; }

bool is_leaf(const Stage& s) { return s.stages.empty() && s.kind != StageKind::group && s.kind != StageKind::either; }
bool is_negation(const Stage& s) { return s.kind == StageKind::not_next || s.kind == StageKind::not_followed_by; }
bool is_loop(const Stage& s) { return s.max == 0; }
bool once(const Stage& s) { return s.min == 1 && s.max == 1; }

/// Whether it can be gone through without an event, apart from being optional itself.
bool nullable(const Stage& s);
bool can_be_empty(const Stage& s) { return s.optional || nullable(s); }

bool nullable(const Stage& s) {
  switch (s.kind) {
    case StageKind::take:
    case StageKind::not_next:
    case StageKind::not_followed_by: return false;
    case StageKind::group:
      return std::all_of(s.stages.begin(), s.stages.end(),
                         [](const Stage& i) { return is_negation(i) || can_be_empty(i); });
    case StageKind::either: return std::any_of(s.stages.begin(), s.stages.end(), can_be_empty);
    case StageKind::any_order: return std::all_of(s.stages.begin(), s.stages.end(), can_be_empty);
  }
  return false;
}

std::string quoted(const std::string& name) { return "`" + name + "`"; }

/// What a message calls a stage: its name, or of what has none, that of its first stage.
std::string place(const Stage& s) {
  if (is_leaf(s)) return "stage " + quoted(s.name);
  const Stage* first = &s;
  while (!first->stages.empty()) first = &first->stages.front();
  return "the group that begins with " + quoted(first->name);
}

/// Empty when the pattern can be built, else why not. In the order in which it is written.
class Check {
 public:
  explicit Check(const Pattern& pattern) : pattern_(pattern) {}

  std::string run() {
    if (pattern_.stages.empty()) return "a pattern needs at least one stage";
    if (!pattern_.steps.empty()) return "a pattern has either steps or stages";
    if (pattern_.within && pattern_.within->us <= 0) return "the window of the pattern must be above zero";
    if (std::string bad = names(pattern_.stages, 0); !bad.empty()) return bad;
    if (std::string bad = sequence(pattern_.stages, true); !bad.empty()) return bad;
    return after();
  }

 private:
  std::string names(const std::vector<Stage>& stages, std::size_t depth) {
    if (depth > nesting_max) {
      return "groups stand in groups more than " + std::to_string(nesting_max) + " deep, below " +
             (stages.empty() ? "an empty one" : place(stages.front()));
    }
    for (const Stage& s : stages) {
      if (is_leaf(s)) {
        if (s.name.empty()) return "stage " + std::to_string(names_.size() + 1) + " has no name";
        if (names_.size() == stages_max) {
          return "a pattern has at most " + std::to_string(stages_max) + " stages; " + place(s) + " is one too many";
        }
        if (!names_.insert(s.name).second) return "two stages are called " + quoted(s.name);
        leaves_.push_back(&s);
      } else {
        if (s.stages.empty()) return "a group is empty";
        if (std::string bad = names(s.stages, depth + 1); !bad.empty()) return bad;
      }
    }
    return {};
  }

  /// `ends`: nothing follows in any enclosing one.
  std::string sequence(const std::vector<Stage>& stages, bool ends) {
    for (std::size_t i = 0; i < stages.size(); ++i) {
      const Stage& s = stages[i];
      const bool last = i + 1 == stages.size();
      if (std::string bad = is_negation(s) ? negation(s, i == 0 ? nullptr : &stages[i - 1], ends && last) : positive(s);
          !bad.empty()) {
        return bad;
      }
      if (!is_negation(s) && i != 0 && can_be_empty(s) && !is_negation(stages[i - 1]) && stages[i - 1].greedy) {
        return place(s) + " may be left out and stands behind the greedy " + place(stages[i - 1]) +
               ": it would never be known where that one ends";
      }
      if (is_leaf(s) || s.kind == StageKind::any_order) continue;
      if (s.kind == StageKind::group) {
        if (std::string bad = sequence(s.stages, ends && last && once(s)); !bad.empty()) return bad;
      } else {
        for (const Stage& way : s.stages) {
          if (is_negation(way)) return "a way of an alternative cannot be a negation: " + quoted(way.name);
          const std::vector<Stage> alone{way};
          if (std::string bad = sequence(alone, ends && last); !bad.empty()) return bad;
        }
      }
    }
    return {};
  }

  std::string negation(const Stage& s, const Stage* before, bool trailing) {
    const std::string name = place(s);
    if (before == nullptr) return name + " is a negation and stands first; it needs something before it";
    if (!s.where) return name + " is a negation of every event: nothing could follow";
    if (s.optional) return name + " is a negation and cannot be optional";
    if (!once(s) || s.inner != Contiguity::relaxed) return name + " is a negation and happens no number of times";
    if (s.greedy || s.until || s.gap || s.within) return name + " is a negation: nothing of it repeats";
    if (s.wait && s.kind == StageKind::not_next) return name + ": `not next` looks at one event and waits for no time";
    if (s.wait && s.wait->us <= 0) return name + ": the time without it must be above zero";
    if (!is_negation(*before) && can_be_empty(*before)) {
      return name + " is a negation behind " + place(*before) + ", which may be left out: write two patterns, one " +
             "with it and one without";
    }
    if (s.within_previous) {
      if (!trailing)
        return name + ": only a negation at the end has a window of its own; in the middle it ends with " +
               "the next stage";
      if (s.wait) return name + " says twice how long it lasts";
      if (std::string bad = duration(s, s.within_previous, "the window from the event before"); !bad.empty())
        return bad;
    }
    if (trailing && s.kind == StageKind::not_followed_by && !pattern_.within && !s.within_previous && !s.wait) {
      return name + " is a negation at the end: without a window it is never known whether it holds";
    }
    return conditions(s);
  }

  std::string positive(const Stage& s) {
    const std::string name = place(s);
    const bool leaf = s.kind == StageKind::take;
    if (s.wait) return name + ": only a negation waits";
    if (!leaf && s.where) return name + " has a condition of its own; conditions stand at the stages in it";
    if (s.min == 0) return name + " must occur at least once; what may be missing is optional";
    if (s.max != 0 && s.max < s.min) {
      return name + " occurs at least " + std::to_string(s.min) + " times and at most " + std::to_string(s.max);
    }
    if (once(s)) {
      if (s.greedy) return name + " is greedy and occurs once";
      if (s.inner != Contiguity::relaxed && s.kind != StageKind::any_order) {
        return name + " says how its occurrences follow each other, and occurs once";
      }
      if (s.gap) return name + " has a gap between its occurrences, and occurs once";
    }
    if (s.until && !is_loop(s)) return name + " has an `until`, which only what repeats without upper bound can have";
    if (s.greedy && !leaf) return name + " is a group and cannot be greedy";
    if (s.greedy && s.inner == Contiguity::any) {
      return name + " is greedy and asks for all combinations: one forbids what the other wants";
    }
    if (s.times_window && !leaf) return name + " is a group: between its occurrences stands a gap";
    if (s.within_previous && !leaf)
      return name + ": a window from the event before is for stages; say it at those in it";
    if (s.kind == StageKind::group && !once(s) && nullable(s)) {
      return name + " repeats, and all of it may be left out: make the whole group optional instead";
    }
    if (s.within && s.kind != StageKind::group) return name + ": a window of its own is for groups";
    if (std::string bad = duration(s, s.gap, "the gap"); !bad.empty()) return bad;
    if (std::string bad = duration(s, s.within_previous, "the window from the event before"); !bad.empty()) return bad;
    if (std::string bad = duration(s, s.times_window, "the window of its times"); !bad.empty()) return bad;
    if (std::string bad = duration(s, s.within, "the window of the group"); !bad.empty()) return bad;
    if (s.kind == StageKind::either && (!once(s) || s.stages.size() < 2)) {
      return name + " is an alternative: it has two ways or more, and repeats only inside a group";
    }
    if (s.kind == StageKind::any_order) {
      if (!once(s)) return name + " takes its parts in any order: it repeats only inside a group";
      if (s.stages.size() < 2 || s.stages.size() > any_order_max) {
        return name + " takes from 2 to " + std::to_string(any_order_max) + " parts in any order, not " +
               std::to_string(s.stages.size());
      }
      if (s.least > s.stages.size()) return name + " asks for more parts than it has";
      for (const Stage& part : s.stages) {
        if (part.kind != StageKind::take || !once(part) || part.until || part.greedy || part.gap) {
          return place(part) + " is part of an any-order stage and must be a stage that occurs once";
        }
        if (s.least != 0 && part.optional) return place(part) + ": of `n of` parts each may be left out already";
        if (std::string bad = positive(part); !bad.empty()) return bad;
      }
    }
    return leaf ? conditions(s) : until(s);
  }

  std::string duration(const Stage& s, const std::optional<Duration>& d, const char* what) const {
    if (!d) return {};
    if (d->us <= 0) return place(s) + ": " + what + " must be above zero";
    if (pattern_.within && pattern_.within->us < d->us) {
      return place(s) + ": " + what + " cannot be longer than the window of the whole pattern";
    }
    return {};
  }

  std::string conditions(const Stage& s) {
    if (s.where) {
      if (std::string bad = element(s, *s.where); !bad.empty()) return bad;
    }
    return until(s);
  }
  std::string until(const Stage& s) { return s.until ? element(s, *s.until) : std::string{}; }

  std::string element(const Stage& s, const Element& e) {
    for (const nfa::Condition& c : e.conditions) {
      if (c.op == nfa::Condition::Op::opaque) {
        for (const std::uint32_t i : c.steps) {
          if (i >= leaves_.size()) return place(s) + ": its condition asks for a stage that is not there";
        }
        continue;
      }
      if (c.step >= leaves_.size()) return place(s) + ": its condition compares with a stage that is not there";
      if (c.part != 0) return place(s) + ": its condition compares with a part, and stages have none";
    }
    return {};
  }

  std::string after() const {
    switch (pattern_.after) {
      case AfterMatch::restart: return "patterns of stages have Flink's skip strategies; `restart` is none of them";
      case AfterMatch::continue_:
      case AfterMatch::skip_to_next:
      case AfterMatch::skip_past_last: return {};
      case AfterMatch::skip_to_first:
      case AfterMatch::skip_to_last: break;
    }
    for (std::size_t i = 0; i < pattern_.stages.size(); ++i) {
      const Stage& s = pattern_.stages[i];
      if (!is_leaf(s) || s.name != pattern_.after_stage) continue;
      if (is_negation(s)) return "after a match it should skip to " + quoted(s.name) + ", which takes no event";
      if (i == 0 && pattern_.after == AfterMatch::skip_to_first && pattern_.after_must_be_there && !s.optional) {
        return "after a match it should skip to the first event of " + quoted(s.name) +
               ", which is the first event of the match: it would go round in circles";
      }
      return {};
    }
    return "after a match it should skip to " + quoted(pattern_.after_stage) +
           (names_.count(pattern_.after_stage) != 0 ? ", which stands in a group" : ", and there is no such stage");
  }

  const Pattern& pattern_;
  std::set<std::string> names_;
  std::vector<const Stage*> leaves_;
};

/// One way on from an event taken, or from the beginning: to a position, or to the end of the pattern.
struct Entry {
  static constexpr std::int32_t end = -1;

  std::int32_t to = end;  // below `end`: back to the head of the loop of that number
  Contiguity link = Contiguity::relaxed;
  bool head = false;     // the link is that of the group around, once it is known
  Mask take_deny = 0;    // `until`
  Mask skip_deny = 0;    // likewise
  Mask deny = 0;         // not_followed_by on the way: whatever the event does
  Mask next_deny = 0;    // not_next on the way: only of the first event
  Mask guard = 0;        // a greedy stage is left: it must not be able to take the event ...
  Mask guard_until = 0;  // ... unless this was seen
  std::int64_t gap = unbounded;
  std::int64_t fresh_gap = unbounded;  // bounds all ways on, as long as no event was skipped (Stage::times_window)
  std::int64_t wait = unbounded;
  Mask wait_deny = 0;
  bool decided = false;   // a trailing `not next` with a window of its own
  bool outlasts = false;  // the wait at the end is not cut short by the whole window
  Mask begins = 0;

  auto operator<=>(const Entry&) const = default;
};
using Entries = std::vector<Entry>;

struct Position {
  std::uint32_t stage = 0;
  Mask where = 0;
  Mask inside = 0;  // windowed groups around it
  Entries follow;
};

void add(Entries& to, const Entry& e) {
  if (std::find(to.begin(), to.end(), e) == to.end()) to.push_back(e);
}
void add(Entries& to, const Entries& more) {
  for (const Entry& e : more) add(to, e);
}

class Builder {
 public:
  explicit Builder(const Pattern& pattern) : pattern_(pattern) {}

  Result<Automaton> run() {
    name(pattern_.stages);
    collect(pattern_.stages);
    if (conditions_.size() >= conditions_max) {
      return refuse("a pattern has at most " + std::to_string(conditions_max - 1) + " different conditions");
    }
    number();
    if (pattern_.within) out_.window = pattern_.within->us;
    leaf_ = 0;
    const Entries head = sequence(pattern_.stages, {Entry{}}, 0, true);
    if (positions_.size() > positions_max || too_much_) return refuse(too_big());
    if (two_greedy_ != Automaton::none) {
      return refuse("stage " + quoted(out_.stages[two_greedy_]) +
                    " is greedy and can end together with another greedy " +
                    "stage, with a different `until`: it would not be known which of them counts");
    }
    if (!differently_.empty()) {
      return refuse("stage " + quoted(differently_) +
                    " stands beside another negation that lasts differently long: give " +
                    "them the same time, or write two patterns");
    }
    start(head);
    while (!todo_.empty() && !too_much_) {
      const auto make = std::move(todo_.back());
      todo_.pop_back();
      fill(make.first, make.second);
    }
    if (too_much_) return refuse(too_big());
    if (std::string bad = leads_nowhere(); !bad.empty()) return refuse(bad);
    finish();
    return std::move(out_);
  }

 private:
  // --- stages and conditions ---

  void name(const std::vector<Stage>& stages) {
    for (const Stage& s : stages) {
      if (is_leaf(s)) {
        leaf_of_[s.name] = static_cast<std::uint32_t>(out_.stages.size());
        out_.stages.push_back(s.name);
        out_.takes.push_back(is_negation(s) ? 0 : 1);
        const auto leaf = static_cast<std::uint32_t>(out_.stages.size() - 1);
        if (s.name == pattern_.after_stage && !pattern_.after_stage.empty()) out_.after_leaf = leaf;
      } else {
        name(s.stages);
      }
    }
  }

  static std::vector<std::uint64_t> key(const Element& e) {
    std::vector<std::uint64_t> k{static_cast<std::uint64_t>(e.predicate)};
    for (const nfa::Condition& c : e.conditions) {
      k.insert(k.end(), {static_cast<std::uint64_t>(c.op), static_cast<std::uint64_t>(c.mine), std::uint64_t{c.step},
                         static_cast<std::uint64_t>(c.theirs), static_cast<std::uint64_t>(c.guard), c.steps.size()});
      k.insert(k.end(), c.steps.begin(), c.steps.end());
    }
    return k;
  }

  void collect(const Element& e) {
    Element bare;
    bare.predicate = e.predicate;
    conditions_.try_emplace(key(bare), bare);
    conditions_.try_emplace(key(e), e);
  }
  void collect(const std::vector<Stage>& stages) {
    for (const Stage& s : stages) {
      if (s.where) collect(*s.where);
      if (s.until) collect(*s.until);
      collect(s.stages);
    }
  }

  /// Unary conditions first; each other one knows the unary one with its predicate.
  void number() {
    std::map<PredicateId, std::uint32_t> base;
    for (const bool history : {false, true}) {
      for (const auto& [k, e] : conditions_) {
        if (e.conditions.empty() == history) continue;
        const auto n = static_cast<std::uint32_t>(out_.conditions.size());
        if (!history) base[e.predicate] = n;
        out_.conditions.push_back({e.predicate, base[e.predicate], e.conditions});
        number_[k] = n;
        if (history) out_.history |= Mask{1} << n;
      }
      if (!history) out_.unary_count = static_cast<std::uint32_t>(out_.conditions.size());
    }
  }

  Mask bit(const std::optional<Element>& e) const { return e ? Mask{1} << number_.at(key(*e)) : Automaton::always; }

  // --- from stages to positions: backwards, each stage told what follows it ---

  std::int32_t position(std::uint32_t stage, Mask where) {
    if (positions_.size() > positions_max) too_much_ = true;
    positions_.push_back({stage, where, inside_, {}});
    return static_cast<std::int32_t>(positions_.size() - 1);
  }

  static std::uint32_t leaf_count(const Stage& s) {
    if (is_leaf(s)) return 1;
    std::uint32_t n = 0;
    for (const Stage& i : s.stages) n += leaf_count(i);
    return n;
  }

  /// The negations directly behind stage i that are in force between its occurrences, too.
  Mask armed_behind(const std::vector<Stage>& stages, std::size_t i) const {
    Mask armed = 0;
    for (++i; i < stages.size() && is_negation(stages[i]); ++i) {
      if (stages[i].kind == StageKind::not_followed_by && !stages[i].wait) armed |= bit(stages[i].where);
    }
    return armed;
  }

  /// What may come first, given what may follow. `first_leaf` is the number of the first leaf in `stages`; `ends`: no
  /// stage follows in the whole pattern.
  Entries sequence(const std::vector<Stage>& stages, Entries follow, std::uint32_t first_leaf, bool ends) {
    std::vector<std::uint32_t> leaves;
    for (const Stage& s : stages) {
      leaves.push_back(first_leaf);
      first_leaf += leaf_count(s);
    }
    for (std::size_t i = stages.size(); i-- > 0;) {
      if (is_negation(stages[i])) {
        negate(stages[i], follow, ends);
      } else {
        follow = stage(stages[i], leaves[i], follow, armed_behind(stages, i), ends);
        ends = false;
      }
      if (i == 0) continue;
      for (Entry& e : follow) e.head = false;
    }
    return follow;
  }

  /// A negation with stages behind it, even if all of them may be left out, says nothing about the end. Those on one way
  /// must not last differently long: it would need a clock each.
  void negate(const Stage& s, Entries& follow, bool trailing) {
    const Mask n = bit(s.where);
    const std::optional<Duration> lasts = s.wait ? s.wait : s.within_previous;
    for (Entry& e : follow) {
      const bool end = e.to == Entry::end;
      if (end && !trailing) continue;
      bool differ = e.decided;
      if (s.kind == StageKind::not_next) {
        differ = differ || (lasts && (e.deny | e.wait_deny | e.next_deny) != 0);
        e.next_deny |= n;
        e.decided = lasts.has_value();
        if (lasts) e.wait = lasts->us;
      } else if (lasts) {
        differ = differ || (end && e.deny != 0) ||
                 (e.wait != unbounded && (e.wait != lasts->us || e.outlasts != s.wait.has_value()));
        e.wait_deny |= n;
        e.outlasts = s.wait.has_value();
        e.wait = lasts->us;
      } else {
        differ = differ || (end && e.wait_deny != 0);
        e.deny |= n;
      }
      if (differ && differently_.empty()) differently_ = s.name;
    }
  }

  Entries stage(const Stage& s, std::uint32_t leaf, const Entries& follow, Mask armed, bool ends) {
    if (too_much_) return {};
    switch (s.kind) {
      case StageKind::take: return take(s, leaf, follow, armed);
      case StageKind::group: return group(s, leaf, follow, armed, ends);
      case StageKind::either: return either(s, leaf, follow, ends);
      case StageKind::any_order: return any_order(s, leaf, follow);
      case StageKind::not_next:
      case StageKind::not_followed_by: break;
    }
    return {};
  }

  Entries take(const Stage& s, std::uint32_t leaf, const Entries& follow, Mask armed) {
    const Mask where = bit(s.where);
    const Mask until = s.until ? bit(s.until) : 0;
    const bool greedy = s.greedy && s.min != s.max;
    Entries guarded = follow;
    if (greedy) {
      for (Entry& e : guarded) {
        if (e.guard != 0 && e.guard_until != until) two_greedy_ = leaf;
        e.guard_until = until;
        e.guard |= where;
      }
    }
    Entry in;
    in.link = s.link;
    in.head = true;
    in.take_deny = until | outer_until_;
    in.skip_deny = outer_until_;
    if (s.within_previous) in.gap = s.within_previous->us;
    Entry again = in;
    again.link = s.inner;
    again.head = false;
    again.skip_deny |= until;
    again.deny |= armed;
    if (s.gap) again.gap = std::min(again.gap, s.gap->us);

    // The state of the last occurrence is the one that Flink's compiler forgets.
    const auto times_window = [&](std::uint32_t k, Entry e) {
      if (!s.times_window || k == s.max || (is_loop(s) && k > s.min)) return e;
      std::int64_t& bound = (k == 1 ? !s.optional : k <= s.min) ? e.gap : e.fresh_gap;
      bound = std::min(bound, s.times_window->us);
      return e;
    };
    for (Entry& e : guarded) e.fresh_gap = unbounded;
    const std::uint32_t count = is_loop(s) ? s.min : s.max;
    std::int32_t next = 0;
    for (std::uint32_t k = count; k >= 1 && !too_much_; --k) {
      const std::int32_t p = position(leaf, where);
      Entries on;
      if (k < count || is_loop(s)) {
        Entry e = times_window(k + 1, again);
        e.to = k < count ? next : p;
        add(on, e);
      }
      // At the most occurrences nothing more could be taken, so nothing guards the way out.
      if (k >= s.min) add(on, k == s.max ? follow : guarded);
      positions_[static_cast<std::size_t>(p)].follow = std::move(on);
      next = p;
    }
    in.to = next;
    Entries out{times_window(1, in)};
    if (s.optional) {
      for (Entry e : guarded) {
        e.head = false;
        add(out, e);
      }
    }
    return out;
  }

  bool within(const Entry& e, std::size_t from, std::size_t to) const {
    return e.to >= 0 && static_cast<std::size_t>(e.to) >= from && static_cast<std::size_t>(e.to) < to;
  }

  Entries group(const Stage& s, std::uint32_t leaf, const Entries& follow, Mask armed, bool ends) {
    const Mask outer_inside = inside_;
    const Mask outer_until = outer_until_;
    Mask own = 0;
    if (s.within) {
      const auto at = window_of_.try_emplace(&s, out_.group_windows.size());
      if (at.second) out_.group_windows.push_back(s.within->us);
      own = Mask{1} << at.first->second;
    }
    const std::int32_t back = Entry::end - 1 - loops_++;
    const std::uint32_t count = is_loop(s) ? s.min : s.max;
    Entries head;
    for (std::uint32_t k = count; k >= 1 && !too_much_; --k) {
      Entries on;
      if (k < count) {
        add(on, again(s, head, armed));
      } else if (is_loop(s)) {
        Entry e;
        e.to = back;
        add(on, e);
      }
      if (k >= s.min) add(on, follow);
      inside_ |= own;
      if (s.until) outer_until_ |= bit(s.until);
      const std::size_t from = positions_.size();
      head = sequence(s.stages, on, leaf, ends);
      const std::size_t to = positions_.size();
      inside_ = outer_inside;
      outer_until_ = outer_until;
      std::erase_if(head, [&](const Entry& e) { return e.to == back; });
      for (Entry& e : head) {
        if (within(e, from, to)) {
          e.begins |= own;
        } else {
          e.head = false;
        }
      }
      if (k == count && is_loop(s)) close(back, again(s, head, armed), from, to);
    }
    Entries out;
    for (Entry e : head) {
      if (e.head) e.link = s.link;
      add(out, e);
    }
    if (s.optional) {
      for (Entry e : follow) {
        e.head = false;
        e.fresh_gap = unbounded;
        add(out, e);
      }
    }
    return out;
  }

  /// The entries to the next occurrence of a group.
  Entries again(const Stage& s, const Entries& head, Mask armed) const {
    Entries out;
    for (Entry e : head) {
      if (e.head) e.link = s.inner;
      e.deny |= armed;
      if (s.gap) e.gap = std::min(e.gap, s.gap->us);
      e.head = false;
      add(out, e);
    }
    return out;
  }

  /// Puts the entries to the head in place of those that stand for it, with what lay on the way.
  void close(std::int32_t back, const Entries& head, std::size_t from, std::size_t to) {
    for (std::size_t p = from; p < to; ++p) {
      Entries on;
      for (const Entry& e : positions_[p].follow) {
        if (e.to != back) {
          add(on, e);
          continue;
        }
        for (Entry h : head) {
          if (!within(h, from, to)) continue;
          h.take_deny |= e.take_deny;
          h.skip_deny |= e.skip_deny;
          h.deny |= e.deny;
          h.next_deny |= e.next_deny;
          if (h.guard != 0 && e.guard != 0 && h.guard_until != e.guard_until) two_greedy_ = positions_[p].stage;
          h.guard_until |= e.guard_until;
          h.guard |= e.guard;
          h.gap = std::min(h.gap, e.gap);
          h.wait_deny |= e.wait_deny;
          h.outlasts = h.outlasts || e.outlasts;
          h.wait = h.wait == unbounded ? e.wait : e.wait == unbounded ? h.wait : std::max(h.wait, e.wait);
          add(on, h);
        }
      }
      positions_[p].follow = std::move(on);
    }
  }

  Entries either(const Stage& s, std::uint32_t leaf, const Entries& follow, bool ends) {
    Entries out;
    for (const Stage& way : s.stages) {
      for (Entry e : stage(way, leaf, follow, 0, ends)) {
        if (e.head) e.link = s.link;
        add(out, e);
      }
      leaf += leaf_count(way);
    }
    if (s.optional) add(out, follow);
    return out;
  }

  /// One position for each set of parts taken and the part taken last.
  Entries any_order(const Stage& s, std::uint32_t leaf, const Entries& follow) {
    const auto n = static_cast<std::uint32_t>(s.stages.size());
    const std::uint32_t all = (1U << n) - 1;
    std::uint32_t must = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      if (s.least == 0 && !s.stages[i].optional) must |= 1U << i;
    }
    const auto enough = [&](std::uint32_t taken) {
      return (taken & must) == must && static_cast<std::uint32_t>(std::popcount(taken)) >= s.least;
    };
    std::vector<std::vector<std::int32_t>> at(all + 1, std::vector<std::int32_t>(n, 0));
    const auto entry = [&](std::uint32_t taken, std::uint32_t i, bool first) {
      const Stage& part = s.stages[i];
      Entry e;
      e.to = at[taken | 1U << i][i];
      e.link = first ? s.link : s.inner;
      e.head = first;
      e.take_deny = outer_until_;
      e.skip_deny = outer_until_;
      if (part.within_previous) e.gap = part.within_previous->us;
      return e;
    };
    for (std::uint32_t taken = all; taken >= 1; --taken) {
      for (std::uint32_t i = 0; i < n && !too_much_; ++i) {
        if ((taken >> i & 1U) == 0) continue;
        const std::int32_t p = position(leaf + i, bit(s.stages[i].where));
        at[taken][i] = p;
        Entries on;
        for (std::uint32_t k = 0; k < n; ++k) {
          if ((taken >> k & 1U) == 0) add(on, entry(taken, k, false));
        }
        if (enough(taken)) add(on, follow);
        positions_[static_cast<std::size_t>(p)].follow = std::move(on);
      }
    }
    Entries out;
    for (std::uint32_t i = 0; i < n; ++i) add(out, entry(0, i, true));
    if (s.optional || enough(0)) add(out, follow);
    return out;
  }

  // --- from positions to states ---

  struct Made {
    std::vector<Automaton::Edge> edges;
  };
  /// What makes two states the same: what was taken last matters only to who reads the dump.
  struct Key {
    Entries entries;
    Mask first_deny = 0;  // not_next: of the next event only
    std::int64_t fresh_gap = unbounded;
    std::int64_t wait = unbounded;
    bool any_event = false;  // a trailing `not next` alone: any one event decides
    auto operator<=>(const Key&) const = default;
  };

  static Key waiting(const Entry& e, Mask first_deny) {
    Key key;
    key.entries = {e};
    key.first_deny = first_deny;
    return key;
  }

  std::uint32_t state(Key key, std::uint32_t stage) {
    std::sort(key.entries.begin(), key.entries.end());
    for (Entry& e : key.entries) {
      e.next_deny = 0;
      e.fresh_gap = unbounded;
    }
    const auto [at, fresh] = states_.try_emplace(key, static_cast<std::uint32_t>(out_.states.size()));
    if (fresh) {
      Automaton::State s;
      s.stage = stage;
      out_.states.push_back(std::move(s));
      made_.emplace_back();
      todo_.emplace_back(at->second, key);
      if (out_.states.size() > states_max) too_much_ = true;
    }
    return at->second;
  }

  /// Where a partial match is after taking an event at a position: in more than one state when some ways on have to wait
  /// for a time, or for the end. `completes`: it is a match as it is.
  struct Landing {
    bool completes = false;
    std::vector<std::uint32_t> states;
  };
  const Landing& landing(std::int32_t p) {
    const auto [at, fresh] = landings_.try_emplace(p);
    if (!fresh) return at->second;
    Landing& landing = at->second;
    const Position& here = positions_[static_cast<std::size_t>(p)];
    // Whatever is forbidden next ends the partial match on every way on, as Flink's stop states do.
    Mask first_deny = 0;
    for (const Entry& e : here.follow) first_deny |= e.next_deny;
    Key now;
    now.first_deny = first_deny;
    for (const Entry& e : here.follow) {
      if (e.wait != unbounded || (e.to == Entry::end && (e.deny | e.next_deny) != 0)) {
        Key later;
        later.first_deny = first_deny;
        later.wait = e.wait;
        later.entries = {e};
        later.any_event = e.to == Entry::end && e.deny == 0 && e.wait_deny == 0;
        landing.states.push_back(state(std::move(later), here.stage));
      } else if (e.to == Entry::end) {
        landing.completes = true;
      } else {
        now.entries.push_back(e);
        now.fresh_gap = std::min(now.fresh_gap, e.fresh_gap);
      }
    }
    if (!now.entries.empty()) landing.states.push_back(state(std::move(now), here.stage));
    return landing;
  }

  /// The condition of a guard, in up to two ways: still guarded, or `until` was seen.
  struct Variant {
    Mask need = 0;
    Mask deny = 0;
    bool open = false;
  };
  static std::vector<Variant> variants(const Entry& e) {
    if (e.guard == 0) return {{}};
    std::vector<Variant> out{{0, e.guard | e.guard_until, false}};
    if (e.guard_until != 0) out.push_back({e.guard_until, 0, true});
    return out;
  }

  static bool contradictory(const Automaton::Edge& e) {
    return (e.need & e.deny) != 0 || (e.deny & Automaton::always) != 0;
  }

  /// An edge that contradicts itself may stay in the list: until when the state may wait for it counts all the same.
  void edge(std::uint32_t from, Automaton::Edge e) {
    if (!contradictory(e)) e.need &= ~Automaton::always;
    auto& edges = made_[from].edges;
    const auto same = [&](const Automaton::Edge& o) {
      return o.kind == e.kind && o.completes == e.completes && o.target == e.target && o.stage == e.stage &&
             o.need == e.need && o.deny == e.deny && o.gap == e.gap && o.begins == e.begins && o.inside == e.inside;
    };
    if (std::any_of(edges.begin(), edges.end(), same)) return;
    edges.push_back(e);
    if (++edge_count_ > edges_max) too_much_ = true;
  }

  void take_edges(std::uint32_t from, const Entry& e, const Variant& v, Mask first_deny) {
    const Position& p = positions_[static_cast<std::size_t>(e.to)];
    Automaton::Edge one;
    one.kind = Automaton::Kind::take;
    one.stage = p.stage;
    one.need = p.where | v.need;
    one.deny = e.deny | e.take_deny | v.deny | first_deny;
    one.gap = e.gap;
    one.begins = e.begins;
    one.inside = p.inside & ~e.begins;
    const Landing land = landing(e.to);
    one.completes = land.completes;
    if (land.states.empty()) edge(from, one);
    for (const std::uint32_t target : land.states) {
      one.target = target;
      edge(from, one);
      one.completes = false;
    }
  }

  void start(const Entries& head) {
    out_.start = static_cast<std::uint32_t>(out_.states.size());
    out_.states.emplace_back();
    made_.emplace_back();
    for (const Entry& e : head) {
      if (e.to == Entry::end) continue;  // the empty match is none
      for (const Variant& v : variants(e)) {
        Entry in = e;
        in.gap = unbounded;
        take_edges(out_.start, in, v, 0);
      }
    }
  }

  void fill(std::uint32_t id, const Key& key) {
    if (key.wait != unbounded || (key.entries.size() == 1 && key.entries[0].to == Entry::end)) {
      fill_waiting(id, key);
      return;
    }
    bool closes = true;
    for (Entry e : key.entries) {
      Entry next = e;
      e.gap = std::min(e.gap, key.fresh_gap);
      const Position& p = positions_[static_cast<std::size_t>(e.to)];
      closes = closes && (e.gap != unbounded || (p.inside & ~e.begins) != 0);
      for (const Variant& v : variants(e)) {
        take_edges(id, e, v, key.first_deny);
        if (e.link == Contiguity::strict) continue;
        next.guard = v.open ? 0 : e.guard;
        next.guard_until = v.open ? 0 : e.guard_until;
        Automaton::Edge skip;
        skip.kind = Automaton::Kind::skip;
        skip.need = v.need;
        skip.deny = e.deny | e.skip_deny | v.deny | key.first_deny;
        if (e.link == Contiguity::relaxed) skip.deny |= p.where;
        skip.gap = e.gap;
        skip.inside = p.inside & ~e.begins;
        if (((skip.need & skip.deny) | (skip.deny & Automaton::always)) != 0) continue;
        skip.target = state(waiting(next, 0), out_.states[id].stage);
        edge(id, skip);
      }
    }
    out_.states[id].closes = closes;
  }

  void fill_waiting(std::uint32_t id, const Key& key) {
    const Entry& e = key.entries[0];
    const bool last = e.to == Entry::end;
    for (const Variant& v : variants(e)) {
      Automaton::Edge skip;
      skip.kind = Automaton::Kind::skip;
      skip.need = v.need;
      skip.deny = e.deny | e.wait_deny | v.deny | key.first_deny;
      skip.gap = e.gap;
      if (!last) skip.inside = positions_[static_cast<std::size_t>(e.to)].inside & ~e.begins;
      if (key.any_event) {
        skip.completes = true;
      } else {
        Key next = key;
        next.first_deny = 0;
        if (v.open) next.entries[0].guard = next.entries[0].guard_until = 0;
        skip.target = state(std::move(next), out_.states[id].stage);
      }
      edge(id, skip);
    }
    std::uint32_t after = Automaton::none;
    if (!last) {
      Entry open = e;
      open.wait = unbounded;
      open.wait_deny = 0;
      after = state(waiting(open, key.first_deny), out_.states[id].stage);
    }
    Automaton::State& s = out_.states[id];
    s.closes = !last && (e.gap != unbounded || (positions_[static_cast<std::size_t>(e.to)].inside & ~e.begins) != 0);
    s.last = last;
    s.wait = key.wait;
    s.after_wait = after;
    s.completes_at_window = last && !e.outlasts;
    s.outlasts_window = e.outlasts && last;
  }

  // --- the end ---

  /// Says where the pattern ends when nothing can match. A state from which no match can be reached is no reason to
  /// drop it: the partial matches in it are there, and are told when their time is over.
  std::string leads_nowhere() {
    std::vector<char> leads(out_.states.size(), 0);
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < out_.states.size(); ++i) {
        if (leads[i] != 0) continue;
        const Automaton::State& s = out_.states[i];
        bool yes = s.last && (out_.window != unbounded || s.wait != unbounded);
        yes = yes || (s.wait < shortest(i) && s.after_wait != Automaton::none && leads[s.after_wait] != 0);
        for (const Automaton::Edge& e : made_[i].edges) {
          if (contradictory(e)) continue;
          yes = yes || e.completes || (e.target != Automaton::none && leads[e.target] != 0);
        }
        if (!yes) continue;
        leads[i] = 1;
        more = true;
      }
    }
    if (leads[out_.start] == 0) return "the pattern can match nothing: " + dead_end();
    return {};
  }

  /// What surely ends a wait in this state.
  std::int64_t shortest(std::size_t state) const {
    std::int64_t most = made_[state].edges.empty() ? unbounded : 0;
    for (const Automaton::Edge& e : made_[state].edges) most = std::max(most, e.gap);
    return std::min(most, out_.window);
  }

  std::string dead_end() const {
    std::uint32_t furthest = Automaton::none;
    for (const Automaton::State& s : out_.states) {
      if (s.stage != Automaton::none && (furthest == Automaton::none || s.stage > furthest)) furthest = s.stage;
    }
    if (furthest == Automaton::none) return "no event can be the first";
    return "after stage " + quoted(out_.stages[furthest]) + " no event can go on; what must not happen there, or the " +
           "time it takes, rules out all that could";
  }

  void finish() {
    for (std::size_t i = 0; i < out_.states.size(); ++i) {
      Automaton::State& s = out_.states[i];
      s.first_edge = static_cast<std::uint32_t>(out_.edges.size());
      s.edge_count = static_cast<std::uint32_t>(made_[i].edges.size());
      bool stays = false;
      for (const Automaton::Edge& e : made_[i].edges) {
        out_.edges.push_back(e);
        const bool self = e.kind == Automaton::Kind::skip && e.target == i && e.need == 0;
        stays = stays || self;
        s.asks |= (e.need | e.deny) & out_.history;
        // A guarded way is closed by one of its bits, so an event without any of them changes nothing.
        s.wakes |= self ? e.deny : e.need == 0 ? Automaton::always : e.need;
      }
      if (!stays && i != out_.start) s.wakes |= Automaton::always;
      for (Mask left = s.wakes & out_.history; left != 0; left &= left - 1) {
        s.wakes |= Mask{1} << out_.conditions[static_cast<std::size_t>(std::countr_zero(left))].base;
      }
      s.wakes &= ~out_.history;
      s.name = i == out_.start ? "start" : describe(i);
    }
    for (const Stage& s : pattern_.stages) out_.ambiguous = out_.ambiguous || ambiguous(s, false);
  }

  std::string describe(std::size_t i) const {
    const Automaton::State& s = out_.states[i];
    std::string text = "after " + out_.stages[s.stage];
    std::set<std::string> awaited;
    for (const Automaton::Edge& e : made_[i].edges) {
      if (e.kind == Automaton::Kind::take) awaited.insert(out_.stages[e.stage]);
    }
    for (const std::string& a : awaited) text += (&a == &*awaited.begin() ? ", awaits " : " or ") + a;
    if (s.last) text += ", at the end";
    return text;
  }

  /// Conservative: whether the order of stages taken tells how they were derived.
  static bool ambiguous(const Stage& s, bool repeated) {
    if (s.kind == StageKind::either) repeated = true;
    if (s.kind == StageKind::take) return repeated && (!once(s) || s.optional);
    if (is_negation(s)) return false;
    const bool here = !once(s);
    if (here && repeated) return true;
    return std::any_of(s.stages.begin(), s.stages.end(),
                       [&](const Stage& i) { return ambiguous(i, repeated || here || s.optional); });
  }

  std::string too_big() const {
    const std::string where =
        positions_.empty() ? "" : " (at stage " + quoted(out_.stages[positions_.back().stage]) + ")";
    return "the counts of this pattern, multiplied, come to more than " + std::to_string(positions_max) +
           " occurrences" + where + "; lower them, or write the upper ones as unbounded";
  }

  const Pattern& pattern_;
  Automaton out_;
  std::map<std::string, std::uint32_t> leaf_of_;
  std::map<std::vector<std::uint64_t>, Element> conditions_;
  std::map<std::vector<std::uint64_t>, std::uint32_t> number_;
  std::map<const Stage*, std::size_t> window_of_;
  std::vector<Position> positions_;
  std::map<Key, std::uint32_t> states_;
  std::map<std::int32_t, Landing> landings_;
  std::vector<Made> made_;
  std::vector<std::pair<std::uint32_t, Key>> todo_;
  Mask inside_ = 0;
  Mask outer_until_ = 0;
  std::int32_t loops_ = 0;
  std::uint32_t leaf_ = 0;
  std::string differently_;
  std::uint32_t two_greedy_ = Automaton::none;
  std::size_t edge_count_ = 0;
  bool too_much_ = false;
};

/// Which times the states and all that may follow them ask for, until nothing changes.
void note_clocks(Automaton& a) {
  for (Automaton::State& s : a.states) s.asks_last = s.wait != unbounded;
  for (bool changed = true; changed;) {
    changed = false;
    for (Automaton::State& s : a.states) {
      bool last = s.asks_last;
      std::uint64_t begun = s.asks_begun;
      const auto follow = [&](std::uint32_t target, bool takes, std::uint64_t begins) {
        if (target == Automaton::none) return;
        last = last || (!takes && a.states[target].asks_last);
        begun |= a.states[target].asks_begun & ~begins;
      };
      for (std::uint32_t i = s.first_edge; i < s.first_edge + s.edge_count; ++i) {
        const Automaton::Edge& e = a.edges[i];
        last = last || e.gap != unbounded;
        begun |= e.inside;
        follow(e.target, e.kind == Automaton::Kind::take, e.begins);
      }
      follow(s.after_wait, false, 0);
      changed = changed || last != s.asks_last || begun != s.asks_begun;
      s.asks_last = last;
      s.asks_begun = begun;
    }
  }
  a.has_gaps = std::any_of(a.edges.begin(), a.edges.end(), [](const Automaton::Edge& e) { return e.gap != unbounded; });
}

std::string names_of(const Automaton& a, std::uint64_t mask) {
  std::string text;
  for (; mask != 0; mask &= mask - 1) {
    const auto n = static_cast<std::size_t>(std::countr_zero(mask));
    text += (text.empty() ? "" : " ");
    text += n == 63 ? "any" : "c" + std::to_string(n);
    (void)a;
  }
  return text;
}

}  // namespace

Result<Automaton> build_automaton(const Pattern& pattern) {
  if (std::string why = Check(pattern).run(); !why.empty()) return refuse(std::move(why));
  Result<Automaton> built = Builder(pattern).run();
  if (!built) return built;
  Automaton a = built.take();
  note_clocks(a);
  return a;
}

std::string dump(const Automaton& a) {
  std::string text;
  for (std::size_t i = 0; i < a.conditions.size(); ++i) {
    const Automaton::Condition& c = a.conditions[i];
    text += "  c" + std::to_string(i) + " = p" + std::to_string(static_cast<std::uint64_t>(c.predicate));
    if (!c.conditions.empty()) text += " and " + std::to_string(c.conditions.size()) + " conditions with history";
    text += "\n";
  }
  if (a.window != unbounded) text += "  window " + std::to_string(a.window) + "us\n";
  for (std::size_t i = 0; i < a.group_windows.size(); ++i) {
    text += "  window of group " + std::to_string(i) + " " + std::to_string(a.group_windows[i]) + "us\n";
  }
  for (std::size_t i = 0; i < a.states.size(); ++i) {
    const Automaton::State& s = a.states[i];
    text += "  " + std::to_string(i) + " " + s.name;
    if (s.wait != unbounded) {
      text += ", after " + std::to_string(s.wait) + "us " +
              (s.after_wait == Automaton::none ? "complete" : "to " + std::to_string(s.after_wait));
    }
    if (s.completes_at_window && a.window != unbounded) text += ", complete at the end of the window";
    text += "\n";
    for (std::uint32_t k = s.first_edge; k < s.first_edge + s.edge_count; ++k) {
      const Automaton::Edge& e = a.edges[k];
      text += e.kind == Automaton::Kind::take ? "    take " + a.stages[e.stage] : "    skip";
      if (e.need != 0) text += " if " + names_of(a, e.need);
      if (e.deny != 0) text += " not " + names_of(a, e.deny);
      if (e.gap != unbounded) text += " gap " + std::to_string(e.gap) + "us";
      if (e.begins != 0) text += " begins " + std::to_string(e.begins);
      if (e.inside != 0) text += " inside " + std::to_string(e.inside);
      if (e.completes) text += " complete";
      if (e.target != Automaton::none) text += " to " + std::to_string(e.target);
      text += "\n";
    }
  }
  return text;
}

}  // namespace tocsin::nfa
