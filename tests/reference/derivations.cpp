#include "tests/reference/derivations.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace tocsin::reference {

using namespace nfa;

namespace {

struct Take {
  int event = 0;
  std::uint32_t leaf = 0;
  std::vector<const Stage*> begins;  // windowed groups of which this event is the first (S8)
};
using Prefix = std::vector<Take>;
using Content = std::vector<std::pair<int, std::uint32_t>>;

Content content_of(const Prefix& prefix) {
  Content c;
  for (const Take& t : prefix) c.emplace_back(t.event, t.leaf);
  return c;
}

struct Way;
using Ways = std::vector<Way>;
/// The rest of the pattern: given what lay on the way since the last event taken, all ways on.
using Rest = std::function<void(Way, Ways&)>;

/// A way on: to the next event taken, or to the end of the pattern (S2).
struct Way {
  bool end = false;
  std::optional<Contiguity> link;  // set by a group for the first stage in it
  const Stage* stage = nullptr;
  std::uint32_t leaf = 0;
  std::vector<const Stage*> crossed;         // S5: negations
  std::vector<const Element*> forbids;       // S5: whatever the event is
  std::vector<const Element*> forbids_next;  // S5: the next event only
  std::vector<const Element*> take_until;    // S4
  std::vector<const Element*> skip_until;    // S4
  std::vector<const Stage*> greedy;          // S6
  std::optional<Duration> gap;               // S7
  std::optional<Duration> wait;              // S5
  std::vector<const Element*> wait_forbids;
  bool outlasts = false;
  std::vector<const Stage*> inside;  // windowed groups that go on
  std::vector<const Stage*> begins;
  std::set<int> empty_so_far;  // occurrences of groups in which nothing was taken yet
  Rest rest;
};

void narrow(std::optional<Duration>& to, const std::optional<Duration>& d) {
  if (d) to = to ? std::min(*to, *d) : *d;
}

bool negation(const Stage& s) { return s.kind == StageKind::not_next || s.kind == StageKind::not_followed_by; }

}  // namespace

/// One walk over the log: what matches, and which partial matches live when.
class Walk {
 public:
  explicit Walk(Derivations& of) : of_(of) {
    number(of.pattern_.stages);
    find_trailing(of.pattern_.stages);
  }

  std::vector<Match> run();

 private:
  /// What becomes of a way: an event ends it, or time does, or neither yet.
  struct Life {
    bool end = false;
    int born = 0;                   // the event taken last
    std::optional<int> killed;      // by this event
    std::optional<Timestamp> shut;  // by time
  };
  struct Moment {
    Timestamp time;
    int event = -1;  // -1: time alone, before the events of that time
    auto operator<=>(const Moment&) const = default;
  };

  void number(const std::vector<Stage>& stages) {
    for (const Stage& s : stages) {
      if (s.stages.empty()) leaf_of_[&s] = static_cast<std::uint32_t>(leaf_of_.size());
      number(s.stages);
    }
  }

  /// Negations behind which no stage is written.
  void find_trailing(const std::vector<Stage>& stages) {
    for (std::size_t i = stages.size(); i-- > 0;) {
      if (negation(stages[i])) {
        trailing_.insert(&stages[i]);
        continue;
      }
      if (stages[i].kind == StageKind::group) find_trailing(stages[i].stages);
      if (stages[i].kind == StageKind::either) {
        for (const Stage& way : stages[i].stages) {
          if (way.kind == StageKind::group) find_trailing(way.stages);
        }
      }
      return;
    }
  }

  // --- the pattern as a set of ways ---

  struct Around {
    std::vector<const Stage*> windows;
    std::vector<const Element*> untils;
  };

  /// S1: through the stages from the i-th on, then the rest.
  void sequence(const std::vector<Stage>* stages, std::size_t i, const Around& around, const Way& way, const Rest& rest,
                Ways& out) {
    if (i == stages->size()) return rest(way, out);
    const Stage& s = (*stages)[i];
    const Rest after = [this, stages, i, around, rest](Way w, Ways& o) {
      w.link.reset();
      sequence(stages, i + 1, around, w, rest, o);
    };
    if (negation(s)) {
      Way crossed = way;
      crossed.link.reset();
      crossed.crossed.push_back(&s);
      return sequence(stages, i + 1, around, crossed, rest, out);
    }
    std::vector<const Element*> armed;
    for (std::size_t k = i + 1; k < stages->size() && negation((*stages)[k]); ++k) {
      if ((*stages)[k].kind == StageKind::not_followed_by && !(*stages)[k].wait) {
        armed.push_back(&*(*stages)[k].where);
      }
    }
    single(s, around, armed, way, after, out);
  }

  void single(const Stage& s, const Around& around, const std::vector<const Element*>& armed, const Way& way,
              const Rest& after, Ways& out) {
    if (s.optional) {
      Way passed = way;
      if (s.greedy && s.min != s.max) passed.greedy.push_back(&s);
      after(passed, out);
    }
    Way entering = way;
    if (!entering.link) entering.link = s.link;
    switch (s.kind) {
      case StageKind::take: return occurrence(s, 1, around, armed, entering, after, out);
      case StageKind::group: return iteration(s, 1, around, armed, entering, after, out);
      case StageKind::either:
        for (const Stage& one : s.stages) single(one, around, {}, entering, after, out);
        return;
      case StageKind::any_order: return any_order(s, {}, around, entering, entering.link, after, out);
      case StageKind::not_next:
      case StageKind::not_followed_by: return;
    }
  }

  /// S3: the n-th occurrence of a leaf is taken; then another, or what follows.
  void occurrence(const Stage& s, std::uint32_t n, const Around& around, const std::vector<const Element*>& armed,
                  Way way, const Rest& rest, Ways& out) {
    way.stage = &s;
    way.leaf = leaf_of_.at(&s);
    narrow(way.gap, s.within_previous);
    for (const Element* u : around.untils) {
      way.take_until.push_back(u);
      way.skip_until.push_back(u);
    }
    if (s.until) way.take_until.push_back(&*s.until);
    way.inside = around.windows;
    way.rest = [this, &s, n, around, armed, rest](Way w, Ways& o) {
      if (s.max == 0 || n < s.max) {
        Way again = w;
        again.link = s.inner;
        narrow(again.gap, s.gap);
        again.forbids.insert(again.forbids.end(), armed.begin(), armed.end());
        if (s.until) again.skip_until.push_back(&*s.until);
        occurrence(s, n + 1, around, armed, again, rest, o);
      }
      if (n < s.min) return;
      if (s.greedy && s.min != s.max && n != s.max) w.greedy.push_back(&s);
      rest(w, o);
    };
    out.push_back(std::move(way));
  }

  /// S3: the n-th occurrence of a group.
  void iteration(const Stage& s, std::uint32_t n, const Around& around, const std::vector<const Element*>& armed,
                 const Way& way, const Rest& rest, Ways& out) {
    Around inner = around;
    Way entering = way;
    if (s.within) {
      inner.windows.push_back(&s);
      entering.begins.push_back(&s);
    }
    if (s.until) inner.untils.push_back(&*s.until);
    const int mark = ++marks_;
    entering.empty_so_far.insert(mark);
    sequence(
        &s.stages, 0, inner, entering,
        [this, &s, n, around, armed, rest, mark](Way w, Ways& o) {
          // A group in which nothing is taken leaves no trace; only one that occurs once can be gone through so.
          if (w.empty_so_far.count(mark) != 0) std::erase(w.begins, &s);
          if (s.max == 0 || n < s.max) {
            Way again = w;
            again.link = s.inner;
            narrow(again.gap, s.gap);
            again.forbids.insert(again.forbids.end(), armed.begin(), armed.end());
            iteration(s, n + 1, around, armed, again, rest, o);
          }
          if (n >= s.min) rest(w, o);
        },
        out);
  }

  void any_order(const Stage& s, std::vector<const Stage*> taken, const Around& around, const Way& way,
                 std::optional<Contiguity> link, const Rest& rest, Ways& out) {
    bool enough = taken.size() >= s.least;
    for (const Stage& part : s.stages) {
      if (std::find(taken.begin(), taken.end(), &part) != taken.end()) continue;
      enough = enough && (part.optional || s.least != 0);
      std::vector<const Stage*> now = taken;
      now.push_back(&part);
      Way to = way;
      to.link = link;
      Stage const* one = &part;
      occurrence(
          *one, 1, around, {}, to,
          [this, &s, now, around, rest](Way w, Ways& o) { any_order(s, now, around, w, s.inner, rest, o); }, out);
    }
    if (enough) rest(way, out);
  }

  // --- the ways over the log ---

  [[nodiscard]] int count() const { return static_cast<int>(of_.log_.size()); }
  [[nodiscard]] Timestamp time(int event) const { return of_.log_[static_cast<std::size_t>(event)].at.time; }

  Places places(const Prefix& prefix) const {
    Places p;
    p.steps.assign(leaf_of_.size(), std::vector<std::vector<Bound>>(1));
    for (const Take& t : prefix) p.steps[t.leaf][0].push_back(of_.log_[static_cast<std::size_t>(t.event)].at);
    return p;
  }

  bool satisfies(const Element& e, int event, const Prefix& prefix) {
    const Derivations::Event& x = of_.log_[static_cast<std::size_t>(event)];
    if (!x.bits.test(e.predicate)) return false;
    for (const Condition& c : e.conditions) {
      if (c.op == Condition::Op::opaque) {
        const Places p = places(prefix);
        if (!of_.host_.guard(c.guard, {x.at, &p})) return false;
        continue;
      }
      int last = -1;
      for (const Take& t : prefix) {
        if (t.leaf == c.step) last = t.event;
      }
      if (last < 0) return false;
      const auto value = [&](int i, ValueId v) {
        const auto& values = of_.log_[static_cast<std::size_t>(i)].values;
        const auto n = static_cast<std::size_t>(v);
        return n < values.size() ? values[n] : missing_value;
      };
      const Value a = value(event, c.mine);
      const Value b = value(last, c.theirs);
      if (a == missing_value || b == missing_value) return false;
      const bool holds = c.op == Condition::Op::equal        ? a == b
                         : c.op == Condition::Op::not_equal  ? a != b
                         : c.op == Condition::Op::less       ? a < b
                         : c.op == Condition::Op::less_equal ? a <= b
                         : c.op == Condition::Op::greater    ? a > b
                                                             : a >= b;
      if (!holds) return false;
    }
    return true;
  }
  bool satisfies_any(const std::vector<const Element*>& elements, int event, const Prefix& prefix) {
    return std::any_of(elements.begin(), elements.end(),
                       [&](const Element* e) { return satisfies(*e, event, prefix); });
  }
  bool where(const Stage& s, int event, const Prefix& prefix) { return !s.where || satisfies(*s.where, event, prefix); }

  void begin(int event) {
    Ways ways;
    sequence(
        &of_.pattern_.stages, 0, {}, {},
        [](Way w, Ways& o) {
          w.end = true;
          o.push_back(std::move(w));
        },
        ways);
    for (const Way& w : ways) {
      if (w.end) continue;  // the empty match is none
      const bool guarded = std::any_of(w.greedy.begin(), w.greedy.end(), [&](const Stage* g) {
        return where(*g, event, {}) && !(g->until && satisfies(*g->until, event, {}));
      });
      if (guarded || !where(*w.stage, event, {}) || satisfies_any(w.take_until, event, {})) continue;
      go_on({{event, w.leaf, w.begins}}, w.rest);
    }
  }

  void go_on(const Prefix& prefix, const Rest& rest) {
    Ways ways;
    rest({}, ways);
    for (Way& w : ways) apply_negations(w);
    std::vector<const Element*> forbidden_next;
    for (const Way& w : ways) {
      forbidden_next.insert(forbidden_next.end(), w.forbids_next.begin(), w.forbids_next.end());
    }
    for (const Way& w : ways) follow(prefix, w, forbidden_next);
  }

  /// S5: what the negations on the way forbid. Those with stages behind them say nothing about the end.
  void apply_negations(Way& w) const {
    for (const Stage* s : w.crossed) {
      if (w.end && trailing_.count(s) == 0) continue;
      if (s->kind == StageKind::not_next) {
        w.forbids_next.push_back(&*s->where);
        if (s->within_previous) narrow(w.wait, s->within_previous);
      } else if (s->wait || s->within_previous) {
        w.wait_forbids.push_back(&*s->where);
        w.outlasts = s->wait.has_value();
        const Duration d = s->wait ? *s->wait : *s->within_previous;
        w.wait = w.wait ? std::max(*w.wait, d) : d;
      } else {
        w.forbids.push_back(&*s->where);
      }
    }
  }

  void follow(const Prefix& prefix, const Way& w, const std::vector<const Element*>& forbidden_next) {
    const int last = prefix.back().event;
    const Timestamp first_time = time(prefix.front().event);
    const Timestamp last_time = time(last);
    const bool timed_end = !w.forbids.empty() || !w.wait_forbids.empty();
    if (w.end && w.forbids.empty() && w.forbids_next.empty() && w.wait_forbids.empty()) {
      complete({last_time, last}, prefix);
      return;
    }
    const auto& window = of_.pattern_.within;
    std::optional<Timestamp> shut;
    const auto shut_by = [&](Timestamp t) { shut = shut ? std::min(*shut, t) : t; };
    if (window && !(w.end && w.outlasts)) shut_by(first_time + *window);
    if (w.end) {
      if (w.wait) shut_by(last_time + *w.wait);
    } else {
      if (w.gap) shut_by(last_time + *w.gap);
      for (const Stage* g : w.inside) {
        if (std::find(w.begins.begin(), w.begins.end(), g) != w.begins.end()) continue;
        int begun = last;
        for (const Take& t : prefix) {
          if (std::find(t.begins.begin(), t.begins.end(), g) != t.begins.end()) begun = t.event;
        }
        shut_by(time(begun) + *g->within);
      }
    }
    Life life;
    life.end = w.end;
    life.born = last;
    std::vector<bool> until_seen(w.greedy.size(), false);
    for (int x = last + 1; x < count(); ++x) {
      if (shut && time(x) >= *shut) break;
      const bool waits = w.wait && time(x) < last_time + *w.wait;
      bool dies = satisfies_any(w.forbids, x, prefix);
      dies = dies || (x == last + 1 && satisfies_any(forbidden_next, x, prefix));
      dies = dies || (waits && satisfies_any(w.wait_forbids, x, prefix));
      for (std::size_t g = 0; g < w.greedy.size(); ++g) {
        const Stage& greedy = *w.greedy[g];
        if (greedy.until && satisfies(*greedy.until, x, prefix)) until_seen[g] = true;
        dies = dies || (!until_seen[g] && where(greedy, x, prefix));
      }
      if (!dies && w.end && !timed_end) {
        complete({time(x), x}, prefix);
        dies = true;
      }
      if (!dies && !w.end && !waits) {
        const bool fits = where(*w.stage, x, prefix);
        if (fits && !satisfies_any(w.take_until, x, prefix)) {
          Prefix longer = prefix;
          longer.push_back({x, w.leaf, w.begins});
          go_on(longer, w.rest);
        }
        dies = *w.link == Contiguity::strict || (*w.link == Contiguity::relaxed && fits) ||
               satisfies_any(w.skip_until, x, prefix);
      }
      if (dies) {
        life.killed = x;
        break;
      }
    }
    if (!life.killed && shut) {
      life.shut = *shut;
      if (w.end) complete({*shut, -1}, prefix);
    }
    lives_[content_of(prefix)].push_back(life);
  }

  void complete(Moment at, const Prefix& prefix) { matches_[at].insert(content_of(prefix)); }

  // --- what is put out when ---

  [[nodiscard]] Moment moment_of(int event) const { return {time(event), event}; }

  bool alive(const Life& life, Moment after) const {
    if (after < moment_of(life.born)) return false;
    if (life.killed && !(after < moment_of(*life.killed))) return false;
    return !life.shut || after < Moment{*life.shut, -1};
  }

  Match match_of(const Content& content, Moment at) const {
    Prefix prefix;
    for (const auto& [event, leaf] : content) prefix.push_back({event, leaf, {}});
    Match m;
    m.places = places(prefix);
    m.at = at.time;
    m.by_deadline = at.event < 0;
    return m;
  }

  /// S11: earlier events first; then the earlier stages; the longer before its own beginning.
  static bool before(const Content& a, const Content& b) {
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
      if (a[i] != b[i]) return a[i] < b[i];
    }
    return a.size() > b.size();
  }

  struct Floor {
    int event = -1;
    bool inclusive = false;
  };
  std::optional<Floor> uses_up(const Content& match) const {
    std::vector<int> of_stage;
    for (const auto& [event, leaf] : match) {
      const bool named =
          std::any_of(of_.pattern_.stages.begin(), of_.pattern_.stages.end(), [&, l = leaf](const Stage& s) {
            return s.stages.empty() && leaf_of_.at(&s) == l && s.name == of_.pattern_.after_stage;
          });
      if (named) of_stage.push_back(event);
    }
    const bool must = of_.pattern_.after_must_be_there;
    switch (of_.pattern_.after) {
      case AfterMatch::restart:
      case AfterMatch::continue_: return std::nullopt;
      case AfterMatch::skip_to_next: return Floor{match.front().first, true};
      case AfterMatch::skip_past_last: return Floor{match.back().first, true};
      case AfterMatch::skip_to_first:
      case AfterMatch::skip_to_last: {
        if (of_stage.empty()) return std::nullopt;
        const int to = of_.pattern_.after == AfterMatch::skip_to_first ? of_stage.front() : of_stage.back();
        if (must && to == match.front().first) return std::nullopt;
        return Floor{to, false};
      }
    }
    return std::nullopt;
  }

  Derivations& of_;
  std::map<const Stage*, std::uint32_t> leaf_of_;
  std::set<const Stage*> trailing_;
  int marks_ = 0;
  std::map<Moment, std::set<Content>> matches_;
  std::map<Content, std::vector<Life>> lives_;
};

std::vector<Match> Walk::run() {
  for (int i = 0; i < count(); ++i) begin(i);
  // Moments at which something may be put out.
  std::set<Moment> moments;
  for (int i = 0; i < count(); ++i) moments.insert(moment_of(i));
  for (const auto& [at, contents] : matches_) moments.insert(at);
  for (const auto& [content, lives] : lives_) {
    for (const Life& life : lives) {
      if (life.shut) moments.insert({*life.shut, -1});
    }
  }
  std::vector<Match> out;
  std::vector<Content> held;
  std::vector<char> gone(static_cast<std::size_t>(count()), 0);  // S12: nothing that begins there is left
  const auto is_gone = [&](const Content& c) { return gone[static_cast<std::size_t>(c.front().first)] != 0; };
  for (const Moment& now : moments) {
    if (of_.now_ < now.time) break;
    // S10: partial matches whose last way on time has just closed.
    if (of_.pattern_.tells_timeouts && now.event < 0) {
      std::vector<Content> told;
      for (const auto& [content, lives] : lives_) {
        if (is_gone(content)) continue;
        bool shut = false;
        bool open = false;
        for (const Life& life : lives) {
          if (life.end) continue;
          shut = shut || (life.shut && Moment{*life.shut, -1} == now);
          open = open || alive(life, now);
        }
        if (shut && !open) told.push_back(content);
      }
      std::sort(told.begin(), told.end(), before);
      for (const Content& c : told) {
        out.push_back(match_of(c, now));
        out.back().timed_out = true;
      }
    }
    if (const auto at = matches_.find(now); at != matches_.end()) {
      for (const Content& c : at->second) {
        if (!is_gone(c)) held.push_back(c);
      }
    }
    std::sort(held.begin(), held.end(), before);
    held.erase(std::unique(held.begin(), held.end()), held.end());
    while (!held.empty()) {
      const Content first = held.front();
      const bool ordered = of_.pattern_.in_order && of_.pattern_.after != AfterMatch::continue_;
      const bool waits =
          ordered && std::any_of(lives_.begin(), lives_.end(), [&](const auto& entry) {
            return entry.first.front().first < first.front().first && !is_gone(entry.first) &&
                   std::any_of(entry.second.begin(), entry.second.end(), [&](const Life& l) { return alive(l, now); });
          });
      if (waits) break;
      held.erase(held.begin());
      Match match = match_of(first, now);
      if (!of_.host_.accept(match)) continue;
      out.push_back(std::move(match));
      if (const auto floor = uses_up(first)) {
        const int end = floor->event + (floor->inclusive ? 1 : 0);
        for (int i = 0; i < end; ++i) gone[static_cast<std::size_t>(i)] = 1;
        std::erase_if(held, is_gone);
      }
    }
  }
  return out;
}

void Derivations::step(const Occurrence& o) {
  Event e;
  e.at = {o.event, o.order, o.time};
  e.bits = *o.bits;
  e.values.assign(o.values.begin(), o.values.end());
  log_.push_back(std::move(e));
}

void Derivations::advance(Timestamp time) { now_ = std::max(now_, time); }

std::vector<Match> Derivations::all() { return Walk(*this).run(); }

}  // namespace tocsin::reference
