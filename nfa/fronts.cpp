#include "nfa/fronts.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/check.h"
#include "base/hash.h"
#include "nfa/exists.h"
#include "nfa/search.h"

namespace tocsin::nfa {
namespace {

using Node = FrontsBody::Node;
using Waiting = FrontsBody::Waiting;
using Fronts = Program::Fronts;
using Keeps = Fronts::Keeps;
using Op = Condition::Op;

constexpr std::uint32_t tops_min = 8;
/// So few nodes that nobody reaches are left where they are.
constexpr std::uint32_t sweep_slack = 8;

/// The values of one event that chains are found by.
struct Tuple {
  std::array<Value, values_max> values;
  std::uint32_t count = 0;
  [[nodiscard]] std::span<const Value> span() const { return {values.data(), count}; }
};

std::uint64_t hash_of(std::uint32_t step, std::span<const Value> tuple) {
  std::uint64_t h = step;
  for (const Value v : tuple) {
    const auto bits = static_cast<unsigned __int128>(v);
    h = hash_mix(hash_mix(h, static_cast<std::uint64_t>(bits)), static_cast<std::uint64_t>(bits >> 64U));
  }
  return h;
}

/// One body at work; lives for one call.
class Work {
 public:
  Work(const Program& program, FrontsBody& body) : program_(program), plan_(*program.fronts), body_(body) {}

  bool step(const Occurrence& o, std::uint64_t bits, Host& host, std::vector<Match>& out);
  void late(std::uint64_t bits, Place here);
  void advance(Timestamp time, Host& host, std::vector<Match>& out);

  /// For who reads bytes: appends a node whose values stand already, as the newest of its front.
  void append(Node node);

 private:
  /// What an event makes of the front before it.
  struct Taken {
    std::uint32_t before = 0;
    Place start;
  };

  [[nodiscard]] std::size_t last() const { return program_.steps.size() - 1; }
  [[nodiscard]] std::uint32_t end() const { return static_cast<std::uint32_t>(body_.nodes.size()); }
  [[nodiscard]] bool waits_for_some() const { return body_.waiting_head != body_.waiting.size(); }
  [[nodiscard]] Node& at(std::uint32_t n) { return body_.nodes[n]; }
  [[nodiscard]] std::uint32_t known(std::uint32_t n) const { return n < body_.first ? 0 : n; }
  [[nodiscard]] Value* values_of(std::uint32_t n) {
    return body_.values.data() + static_cast<std::size_t>(n) * plan_.width;
  }
  [[nodiscard]] Value compared(std::uint32_t n) { return values_of(n)[plan_.width - 1]; }
  [[nodiscard]] std::span<const Value> tuple_of(std::uint32_t n) {
    return {values_of(n), plan_.steps[at(n).step].tells.size()};
  }
  [[nodiscard]] Value own(const Occurrence& o, std::uint8_t v) const {
    const auto id = static_cast<std::size_t>(program_.values[v]);
    return id < o.values.size() ? o.values[id] : missing_value;
  }

  /// Where a match that is complete at `now`, or later, can begin.
  [[nodiscard]] Place earliest(Timestamp now) const { return std::max(windowed(now), body_.until); }
  [[nodiscard]] Place windowed(Timestamp now) const {
    Place from = std::max(body_.floor, body_.cut);
    if (program_.horizon != Program::unbounded) {
      from = std::max(from, Place{now - Duration{program_.horizon} + Duration{1}, 0});
    }
    return from;
  }
  /// The same for everything kept, what waits included.
  [[nodiscard]] Place needed(Timestamp now) const {
    if (!waits_for_some()) return earliest(now);
    return windowed(std::min(now, body_.waiting[body_.waiting_head].last.time));
  }

  /// Down the stack to the first node that is `wanted`, given that all below one that is are too.
  template <typename Wanted>
  std::uint32_t topmost(std::uint32_t n, const Wanted& wanted) {
    n = known(n);
    while (n != 0 && !wanted(n)) {
      const std::uint32_t j = known(at(n).jump);
      n = j != 0 && !wanted(j) ? j : known(at(n).below);
    }
    return n;
  }
  /// Down the stack to the last node that is `wanted`, given that `n` is and that none below one that is not is.
  template <typename Wanted>
  std::uint32_t deepest(std::uint32_t n, const Wanted& wanted) {
    while (true) {
      const std::uint32_t j = known(at(n).jump);
      const std::uint32_t b = known(at(n).below);
      if (j != 0 && wanted(j)) {
        n = j;
      } else if (b != 0 && wanted(b)) {
        n = b;
      } else {
        return n;
      }
    }
  }
  std::uint32_t alive(std::uint32_t n, Place from) {
    return topmost(n, [&](std::uint32_t i) { return !(at(i).start < from); });
  }
  /// The newest of a front whose value satisfies the comparison with `mine`.
  std::uint32_t satisfying(std::uint32_t n, Value mine) {
    const auto wanted = [&](std::uint32_t i) { return comparison_holds(plan_.comparison.op, mine, compared(i)); };
    if (plan_.comparison.op != Op::not_equal) return topmost(n, wanted);
    n = known(n);
    if (n != 0 && !wanted(n)) n = known(at(n).below);  // whose value differs from that above it
    return n != 0 && wanted(n) ? n : 0;
  }
  [[nodiscard]] bool near_enough(std::size_t step, Timestamp now, std::uint32_t before) {
    const std::int64_t within = program_.slots[step].within;
    return within == Program::unbounded || (now - at(before).event.time).us < within;
  }

  bool tuple(const Occurrence& o, const std::vector<std::uint8_t>& which, Tuple& to) const;
  std::uint32_t& top_of(std::uint32_t step, std::span<const Value> tuple);
  void grow_tops();
  void remove_top(std::uint32_t n);
  void set_top(std::uint32_t n);

  bool fits(std::size_t step, const Occurrence& o, std::uint64_t bits) const;
  bool take(std::size_t step, const Occurrence& o, Place from, Taken& taken);
  bool begin_or_extend(std::size_t step, const Occurrence& o, const Taken& taken, Place from, Host& host);
  bool trace(std::size_t step, std::uint32_t before, Value asks, Place from, std::span<Bound> chain);
  void complete(std::span<const Bound> chain, Host& host, std::vector<Match>& out);

  static std::uint32_t log_bytes_of(std::uint64_t event, Host& host) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(host.event_bytes(event), UINT32_MAX));
  }
  void count_events(Host& host);
  void count_waiting();
  void end_waiting(std::uint64_t bits, Place here);
  void forget_first_waiting();
  void settle();
  void drop_first();
  void prune(Timestamp now);
  void sweep(Timestamp now);
  void bound(Timestamp now, Host& host);

  const Program& program_;
  const Fronts& plan_;
  FrontsBody& body_;
};

// ---- fronts by their values

bool Work::tuple(const Occurrence& o, const std::vector<std::uint8_t>& which, Tuple& to) const {
  for (const std::uint8_t v : which) {
    const Value value = own(o, v);
    if (value == missing_value) return false;
    to.values[to.count++] = value;
  }
  return true;
}

/// The place of the front's top; one that holds 0 when there is no such front.
std::uint32_t& Work::top_of(std::uint32_t step, std::span<const Value> tuple) {
  const std::size_t mask = body_.tops.size() - 1;
  for (std::size_t i = hash_of(step, tuple) & mask;; i = (i + 1) & mask) {
    std::uint32_t& top = body_.tops[i];
    if (top == 0) return top;
    if (at(top).step == step && std::ranges::equal(tuple_of(top), tuple)) return top;
  }
}

void Work::grow_tops() {
  std::vector<std::uint32_t> before(std::max<std::size_t>(body_.tops.size() * 2, tops_min), 0);
  before.swap(body_.tops);
  for (const std::uint32_t n : before) {
    if (n != 0) top_of(at(n).step, tuple_of(n)) = n;
  }
}

void Work::set_top(std::uint32_t n) {
  if (body_.tops.empty() || body_.top_count * 2 >= body_.tops.size()) grow_tops();
  std::uint32_t& top = top_of(at(n).step, tuple_of(n));
  if (top == 0) ++body_.top_count;
  top = n;
}

/// If `n` is the top of its front, the front is gone.
void Work::remove_top(std::uint32_t n) {
  const std::size_t mask = body_.tops.size() - 1;
  std::size_t hole = hash_of(at(n).step, tuple_of(n)) & mask;
  for (;; hole = (hole + 1) & mask) {
    if (body_.tops[hole] == 0) return;  // the front has another top
    if (body_.tops[hole] == n) break;
  }
  --body_.top_count;
  // What was pushed behind it moves up, so that it is found without crossing the hole (Knuth, 6.4, algorithm R).
  for (std::size_t i = (hole + 1) & mask; body_.tops[i] != 0; i = (i + 1) & mask) {
    const std::size_t home = hash_of(at(body_.tops[i]).step, tuple_of(body_.tops[i])) & mask;
    if (((i - home) & mask) < ((i - hole) & mask)) continue;
    body_.tops[hole] = body_.tops[i];
    hole = i;
  }
  body_.tops[hole] = 0;
}

void Work::append(Node node) {
  const std::uint32_t below = known(node.below);
  const std::uint32_t jump = below == 0 ? 0 : known(at(below).jump);
  const std::uint32_t further = jump == 0 ? 0 : known(at(jump).jump);
  const std::uint32_t depth_below = below == 0 ? 0 : at(below).depth;
  const std::uint32_t depth_jump = jump == 0 ? 0 : at(jump).depth;
  const std::uint32_t depth_further = further == 0 ? 0 : at(further).depth;
  node.below = below;
  node.depth = (depth_below + 1) & 0xffffffU;
  node.jump = depth_below - depth_jump == depth_jump - depth_further ? further : below;
  if (node.jump == 0) node.jump = below;
  body_.nodes.push_back(node);
  set_top(end() - 1);
}

// ---- an event

bool Work::fits(std::size_t step, const Occurrence& o, std::uint64_t bits) const {
  if ((bits & program_.slots[step].element.predicate) == 0) return false;
  return std::ranges::all_of(plan_.steps[step].same, [&](const auto& pair) {
    return comparison_holds(Op::equal, own(o, pair.first), own(o, pair.second));
  });
}

/// The chains of the step before that the event extends.
bool Work::take(std::size_t step, const Occurrence& o, Place from, Taken& taken) {
  if (body_.tops.empty()) return false;
  Tuple asks;
  if (!tuple(o, plan_.steps[step].asks, asks)) return false;
  std::uint32_t& top = top_of(static_cast<std::uint32_t>(step - 1), asks.span());
  if (top == 0) return false;
  const std::uint32_t newest = alive(top, from);
  if (newest == 0 || !near_enough(step, o.time, newest)) return false;
  top = newest;  // what died above it stays dead
  taken.before = newest;
  taken.start = at(newest).start;
  const Fronts::Comparison& c = plan_.comparison;
  if (plan_.compares() && c.asking == step) {
    std::uint32_t front = newest;
    for (std::size_t s = step - 1; s > c.asked && front != 0; --s) front = known(at(front).before);
    const std::uint32_t found = satisfying(front, own(o, c.mine));
    if (found == 0 || at(found).start < from) return false;
    taken.start = at(found).start;
    if (c.asked + 1 == step) {
      if (!near_enough(step, o.time, found)) return false;
      taken.before = found;
    }
  } else if (plan_.steps[step - 1].keeps == Keeps::starts) {
    taken.start = at(deepest(newest, [&](std::uint32_t n) { return near_enough(step, o.time, n); })).start;
  }
  return true;
}

/// The event becomes the newest of its front.
bool Work::begin_or_extend(std::size_t step, const Occurrence& o, const Taken& taken, Place from, Host& host) {
  const Fronts::Step& own_plan = plan_.steps[step];
  const Fronts::Comparison& c = plan_.comparison;
  Tuple tells;
  if (!tuple(o, own_plan.tells, tells)) return false;
  Value value = missing_value;
  if (plan_.compares() && (c.asked == step || c.asking == step)) {
    value = own(o, c.asked == step ? c.theirs : c.mine);
    if (value == missing_value) return false;  // satisfies no comparison
  }
  Node node;
  node.event = {o.event, o.order, o.time};
  node.start = taken.start;
  node.before = taken.before;
  node.step = static_cast<std::uint32_t>(step) & 0x3fU;
  std::uint32_t below = 0;
  if (!body_.tops.empty()) below = alive(top_of(node.step, tells.span()), from);
  switch (own_plan.keeps) {
    case Keeps::newest: below = 0; break;
    case Keeps::starts:
      while (below != 0 && at(below).start <= node.start) below = known(at(below).below);
      break;
    case Keeps::values: {
      const auto replaced = [&](Value older) {
        switch (c.op) {
          case Op::greater:
          case Op::greater_equal: return older >= value;
          case Op::less:
          case Op::less_equal: return older <= value;
          case Op::not_equal: return older == value;
          case Op::equal:
          case Op::opaque: break;
        }
        return true;
      };
      while (below != 0 && replaced(compared(below))) below = known(at(below).below);
      break;
    }
  }
  node.below = below;
  node.log_bytes = log_bytes_of(o.event, host);
  body_.node_log_bytes += node.log_bytes;
  body_.values.resize((static_cast<std::size_t>(end()) + 1) * plan_.width, missing_value);
  std::copy_n(tells.values.begin(), tells.count, values_of(end()));
  if (plan_.compares()) values_of(end())[plan_.width - 1] = value;
  append(node);
  ++body_.fresh_count;
  return true;
}

/// Fills the chain up to `step`, whose event took the front `before` and compares `asks`; false when all that was there is
/// over.
bool Work::trace(std::size_t step, std::uint32_t before, Value asks, Place from, std::span<Bound> chain) {
  const Fronts::Comparison& c = plan_.comparison;
  std::uint32_t n = before;
  for (std::size_t i = step; i-- > 0;) {
    n = alive(n, from);
    if (plan_.compares() && c.asked == i) n = satisfying(n, asks);
    if (n == 0 || at(n).start < from) return false;
    chain[i] = at(n).event;
    if (plan_.compares() && c.asking == i) asks = compared(n);
    n = at(n).before;
  }
  return true;
}

void Work::complete(std::span<const Bound> chain, Host& host, std::vector<Match>& out) {
  const bool in_window =
      program_.horizon == Program::unbounded || body_.cut.time > chain.back().time - Duration{program_.horizon};
  const bool dropped = body_.cut != Place{} && body_.cut > body_.floor && in_window;
  const bool used_up = body_.lost_until != Timestamp::min() && chain.front().time <= body_.lost_until;
  put_out(program_, chain, dropped || used_up, body_.floor, host, out);
}

bool Work::step(const Occurrence& o, std::uint64_t bits, Host& host, std::vector<Match>& out) {
  const Place here{o.time, o.order};
  count_events(host);
  prune(o.time);
  end_waiting(bits, here);
  const bool ends = (bits & program_.until) != 0;
  bool kept = false;
  const std::size_t before = out.size();
  // From the last step to the first, so that an event extends what was there before it.
  for (std::size_t i = last() + 1; i-- > 0;) {
    if (!fits(i, o, bits)) continue;
    if (ends && i != 0 && i != last()) continue;  // a U between the first event and the last
    const Place from = earliest(o.time);
    Taken taken{0, here};
    if (i == 0 ? here < body_.floor : !take(i, o, from, taken)) continue;
    if (i != last()) {
      kept = begin_or_extend(i, o, taken, from, host) || kept;
      continue;
    }
    const Fronts::Comparison& c = plan_.comparison;
    const Value asks = plan_.compares() && c.asking == i ? own(o, c.mine) : missing_value;
    const Bound bound{o.event, o.order, o.time};
    if (program_.waits()) {
      body_.waiting.push_back({bound, from, asks, taken.before, log_bytes_of(o.event, host)});
      body_.waiting_log_bytes += body_.waiting.back().log_bytes;
      kept = true;
      continue;
    }
    std::array<Bound, steps_max> chain;
    chain[i] = bound;
    if (trace(i, taken.before, asks, from, chain)) complete({chain.data(), i + 1}, host, out);
  }
  if (ends) body_.until = std::max(body_.until, here);
  if (ends || out.size() != before) prune(o.time);
  bound(o.time, host);
  return kept;
}

void Work::late(std::uint64_t bits, Place here) {
  end_waiting(bits, here);
  if ((bits & program_.until) == 0) return;
  body_.until = std::max(body_.until, here);
  // It may come between the first event and the last.
  for (std::size_t i = body_.waiting_head; i < body_.waiting.size(); ++i) {
    Waiting& w = body_.waiting[i];
    if (here < w.last.place()) w.from = std::max(w.from, here);
  }
}

// ---- what waits

/// After a store was read, the bytes of all events have to be asked for.
void Work::count_events(Host& host) {
  if (body_.counted) return;
  body_.counted = true;
  body_.node_log_bytes = 0;
  for (std::uint32_t n = body_.first; n != end(); ++n) {
    at(n).log_bytes = log_bytes_of(at(n).event.event, host);
    body_.node_log_bytes += at(n).log_bytes;
  }
  for (Waiting& w : body_.waiting) w.log_bytes = log_bytes_of(w.last.event, host);
  count_waiting();
}

void Work::count_waiting() {
  body_.waiting_log_bytes = 0;
  for (std::size_t i = body_.waiting_head; i < body_.waiting.size(); ++i) {
    body_.waiting_log_bytes += body_.waiting[i].log_bytes;
  }
}

/// A waiting match is dead as soon as an X of a final `no`, or the `until`, comes in its time.
void Work::end_waiting(std::uint64_t bits, Place here) {
  if (!waits_for_some() || (bits & program_.no_until_mask) == 0) return;
  const auto ended =
      std::remove_if(body_.waiting.begin() + static_cast<std::ptrdiff_t>(body_.waiting_head), body_.waiting.end(),
                     [&](const Waiting& w) {
                       if (!(w.last.place() < here)) return false;
                       if ((bits & program_.until) != 0 && here.time <= w.last.time + body_.wait) return true;
                       return std::ranges::any_of(program_.absences, [&](const Program::Absence& a) {
                         return (bits & a.element.predicate) != 0 && here.time <= w.last.time + Duration{a.wait};
                       });
                     });
  body_.waiting.erase(ended, body_.waiting.end());
  count_waiting();
}

void Work::forget_first_waiting() {
  body_.waiting_log_bytes -= body_.waiting[body_.waiting_head].log_bytes;
  ++body_.waiting_head;
  if (body_.waiting_head * 2 < body_.waiting.size()) return;
  // Half is gone: moving the rest costs at most one for each that went.
  body_.waiting.erase(body_.waiting.begin(), body_.waiting.begin() + static_cast<std::ptrdiff_t>(body_.waiting_head));
  body_.waiting_head = 0;
}

/// What waits and can begin nowhere any more waits for nothing.
void Work::settle() {
  while (waits_for_some()) {
    const Waiting& w = body_.waiting[body_.waiting_head];
    if (alive(w.before, std::max({w.from, body_.floor, body_.cut})) != 0) return;
    forget_first_waiting();
  }
}

void Work::advance(Timestamp time, Host& host, std::vector<Match>& out) {
  count_events(host);
  while (waits_for_some()) {
    const Waiting w = body_.waiting[body_.waiting_head];
    if (!(w.last.time + body_.wait < time)) break;
    std::array<Bound, steps_max> chain;
    chain[last()] = w.last;
    const Place from = std::max({w.from, body_.floor, body_.cut});
    if (trace(last(), w.before, w.value, from, chain)) {
      const std::int64_t within = program_.slots[last()].within;
      if (within == Program::unbounded || (w.last.time - chain[last() - 1].time).us < within) {
        complete({chain.data(), last() + 1}, host, out);
      }
    }
    forget_first_waiting();
    settle();
  }
  prune(time);
}

// ---- memory

void Work::drop_first() {
  remove_top(body_.first);
  body_.node_log_bytes -= at(body_.first).log_bytes;
  ++body_.first;
}

/// What no match can begin at or after goes, from the oldest on.
void Work::prune(Timestamp now) {
  const Place from = needed(now);
  while (body_.first != end() && at(body_.first).event.place() < from) drop_first();
  if (body_.first != end()) return;
  body_.nodes.resize(1);
  body_.values.resize(plan_.width);
  body_.first = 1;
  body_.alive_count = body_.fresh_count = 0;
  const bool over = program_.horizon != Program::unbounded && body_.cut.time <= now - Duration{program_.horizon};
  if (waits_for_some()) return;
  if (over || body_.cut <= body_.floor) body_.cut = Place{};
  if (body_.lost_until < now) body_.lost_until = Timestamp::min();
}

/// Keeps what fronts and waiting matches reach, in its order.
void Work::sweep(Timestamp now) {
  const Place from = needed(now);
  const Fronts::Comparison& c = plan_.comparison;
  // 1: without what lies below it; 2: with it.
  const auto reach = [&](std::uint32_t n, unsigned how) {
    if (n != 0) at(n).reached = std::max<unsigned>(at(n).reached, how) & 3U;
  };
  const auto how_taken = [&](std::size_t step) {
    return plan_.compares() && c.asking == step && c.asked + 1 == step ? 1U : 2U;  // one was chosen
  };
  for (const std::uint32_t top : body_.tops) reach(alive(top, from), 2);
  for (std::size_t i = body_.waiting_head; i < body_.waiting.size(); ++i) {
    Waiting& w = body_.waiting[i];
    w.before = alive(w.before, from);
    reach(w.before, how_taken(last()));
  }
  for (std::uint32_t n = end(); n-- > body_.first;) {
    Node& node = at(n);
    if (node.reached == 0) continue;
    if (node.reached == 2) {
      const bool two_are_enough = plan_.steps[node.step].keeps == Keeps::values && c.op == Op::not_equal;
      const std::uint32_t below = known(node.below);
      if (below != 0 && !(at(below).start < from)) reach(below, two_are_enough ? 1 : 2);
    }
    if (node.step == 0) continue;
    node.before = alive(node.before, from);
    reach(node.before, how_taken(node.step));
  }
  // New numbers first (in `jump`, which is made anew), then the move.
  std::uint32_t count = 1;
  const auto renumbered = [&](std::uint32_t n) {
    n = known(n);
    return n == 0 || at(n).reached == 0 ? 0 : at(n).jump;
  };
  for (std::uint32_t n = body_.first; n != end(); ++n) {
    Node& node = at(n);
    if (node.reached == 0) continue;
    node.below = renumbered(node.below);
    node.before = renumbered(node.before);
    node.jump = count++;
  }
  for (std::size_t i = body_.waiting_head; i < body_.waiting.size(); ++i) {
    body_.waiting[i].before = renumbered(body_.waiting[i].before);
  }
  std::vector<Node> old;
  old.swap(body_.nodes);
  body_.nodes.reserve(count);
  body_.nodes.emplace_back();
  std::fill(body_.tops.begin(), body_.tops.end(), 0);
  body_.top_count = 0;
  const std::uint32_t old_first = body_.first;
  body_.first = 1;
  for (std::uint32_t n = old_first; n != old.size(); ++n) {
    if (old[n].reached == 0) {
      body_.node_log_bytes -= old[n].log_bytes;
      continue;
    }
    const std::uint32_t to = end();
    std::copy_n(body_.values.begin() + static_cast<std::ptrdiff_t>(n) * plan_.width, plan_.width,
                body_.values.begin() + static_cast<std::ptrdiff_t>(to) * plan_.width);
    old[n].reached = 0;
    append(old[n]);
  }
  body_.values.resize(static_cast<std::size_t>(count) * plan_.width);
  body_.alive_count = count - 1;
  body_.fresh_count = 0;
}

void Work::bound(Timestamp now, Host& host) {
  if (body_.fresh_count > body_.alive_count + sweep_slack) sweep(now);
  // A top in a table that is half empty at most.
  const std::size_t each = sizeof(Node) + plan_.width * sizeof(Value) + 4 * sizeof(std::uint32_t);
  const std::size_t most = std::max(host.runs_bytes, plan_.steps.size() * each + sizeof(Waiting));
  const auto node_bytes = [&] { return (end() - body_.first) * each + body_.node_log_bytes; };
  const auto waiting_bytes = [&] {
    return (body_.waiting.size() - body_.waiting_head) * sizeof(Waiting) + body_.waiting_log_bytes;
  };
  const auto count = [&] { return (end() - body_.first) + (body_.waiting.size() - body_.waiting_head); };
  while (count() > 1 && node_bytes() + waiting_bytes() > most) {
    if (body_.fresh_count != 0 && end() != body_.first &&
        node_bytes() / (end() - body_.first) * body_.fresh_count > most / 4) {
      sweep(now);
      continue;
    }
    ++host.counters.dropped;
    if (waiting_bytes() > node_bytes()) {
      body_.lost_until = body_.waiting[body_.waiting_head].last.time + body_.wait;
      forget_first_waiting();
      continue;
    }
    const Place gone = at(body_.first).event.place();
    body_.cut = {gone.time, gone.order + 1};
    while (body_.first != end() && at(body_.first).event.place() == gone) drop_first();
    settle();
  }
}

void put_front(ByteWriter& out, std::uint32_t n, std::uint32_t named, std::uint32_t first) {
  out.put_varint(named < first ? 0 : n - named);
}

}  // namespace

// ---- at compile time

std::string plan_fronts(const Program& program, bool refuses, Program::Fronts& plan) {
  if (std::string why = why_not_chains(program, refuses); !why.empty()) return why;
  const auto name = [](std::size_t step) { return "step " + std::to_string(step + 1); };
  const std::size_t count = program.steps.size();
  // Values that must be equal, by step; joined classes leave an empty one behind.
  using Class = std::vector<std::vector<std::uint8_t>>;
  std::vector<Class> classes;
  const auto class_with = [&](std::size_t step, std::uint8_t value) {
    for (std::size_t i = 0; i < classes.size(); ++i) {
      if (std::ranges::find(classes[i][step], value) != classes[i][step].end()) return i;
    }
    classes.emplace_back(count)[step].push_back(value);
    return classes.size() - 1;
  };
  for (std::size_t step = 0; step < count; ++step) {
    const Program::Element& e = program.slots[step].element;
    for (std::uint32_t i = e.first_condition; i < e.first_condition + e.condition_count; ++i) {
      const Program::Condition& c = program.conditions[i];
      if (c.op == Op::opaque) return name(step) + " has a condition on other steps that no look-up answers";
      if (c.op != Op::equal) {
        if (plan.compares()) return "more than one comparison of steps that is not an equality";
        plan.comparison = {c.op, c.mine, c.theirs, static_cast<std::uint32_t>(step), c.slot};
        continue;
      }
      const std::size_t mine = class_with(step, c.mine);
      const std::size_t theirs = class_with(c.slot, c.theirs);
      if (mine == theirs) continue;
      for (std::size_t s = 0; s < count; ++s) {
        std::vector<std::uint8_t>& to = classes[std::min(mine, theirs)][s];
        std::vector<std::uint8_t>& from = classes[std::max(mine, theirs)][s];
        to.insert(to.end(), from.begin(), from.end());
        from.clear();
      }
    }
  }
  plan.steps.resize(count);
  std::vector<bool> ends(count, false);
  for (const Class& c : classes) {
    std::size_t from = count;
    std::size_t to = 0;
    for (std::size_t step = 0; step < count; ++step) {
      if (c[step].empty()) continue;
      from = std::min(from, step);
      to = step;
    }
    if (from == count) continue;
    ends[to] = true;
    for (std::size_t step = from; step <= to; ++step) {
      if (c[step].empty())
        return name(to) + " asks for a value of " + name(from) + " that " + name(step) + " is not asked for";
      if (step != from) plan.steps[step].asks.push_back(c[step].front());
      if (step != to) plan.steps[step].tells.push_back(c[step].front());
      for (std::size_t i = 1; i < c[step].size(); ++i) plan.steps[step].same.emplace_back(c[step][0], c[step][i]);
    }
  }
  const Fronts::Comparison& c = plan.comparison;
  bool in_order = true;  // a newer chain of the same values begins no earlier
  for (std::size_t step = 0; step < count; ++step) {
    if (plan.compares() && step == c.asking && !in_order) {
      return "an equality ends before " + name(step) + " compares";
    }
    if (ends[step] || (plan.compares() && step == c.asking)) in_order = false;
    plan.steps[step].keeps = in_order ? Keeps::newest : Keeps::starts;
    plan.width = std::max(plan.width, static_cast<std::uint32_t>(plan.steps[step].tells.size()));
  }
  if (!plan.compares()) return {};
  ++plan.width;
  plan.steps[c.asked].keeps = Keeps::values;
  if (c.asking != c.asked + 1 && program.slots[c.asked + 1].within != Program::unbounded) {
    return name(c.asked + 1) + " has a `within`, and " + name(c.asking) + " compares with the step before it";
  }
  return {};
}

std::string why_fronts(const Program& program) {
  std::string text =
      "single events with conditions across them that are answered by look-up: the newest chains under each "
      "value are enough, ";
  text += program.horizon == Program::unbounded ? "without a bound in time (byte limit only)"
                                                : "no older than " + std::to_string(program.horizon) + "us";
  return text;
}

const char* class_of(const Program& program, const Program::Condition& condition) {
  if (!program.fronts) return "needs search";
  switch (condition.op) {
    case Op::equal: return "equality, hashed";
    case Op::not_equal: return "difference, the newest two";
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal: return "monotone, front";
    case Op::opaque: break;
  }
  return "needs search";
}

// ---- the border

bool fronts_step(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host,
                 std::vector<Match>& out) {
  if (runs.body == nullptr) {
    if (o.late || (bits & program.start_mask) == 0) return false;
    auto body = std::make_unique<FrontsBody>();
    body->wait = Duration{std::max<std::int64_t>(program.final_wait, 0)};
    body->values.resize(program.fronts->width);
    runs.body = std::move(body);
  }
  auto& body = static_cast<FrontsBody&>(*runs.body);
  Work work(program, body);
  if (!o.late) {
    if (body.first != body.nodes.size()) {
      TOCSIN_CHECK((body.nodes.back().event.place() < Place{o.time, o.order}), o.time.us, o.order);
    }
    return work.step(o, bits, host, out);
  }
  work.late(bits & program.no_until_mask, {o.time, o.order});  // T6: nothing but `no` and `until` sees it
  return false;
}

void fronts_advance(const Program& program, FrontsBody& body, Timestamp time, Host& host, std::vector<Match>& out) {
  Work(program, body).advance(time, host, out);
}

FrontsBody::FrontsBody() : RunsBody(Engine::exists), nodes(1) {}

void FrontsBody::events(std::vector<std::uint64_t>& out) const {
  for (std::size_t n = first; n < nodes.size(); ++n) out.push_back(nodes[n].event.event);
  for (std::size_t i = waiting_head; i < waiting.size(); ++i) out.push_back(waiting[i].last.event);
}

std::size_t FrontsBody::bytes() const {
  return sizeof(FrontsBody) + nodes.capacity() * sizeof(Node) + values.capacity() * sizeof(Value) +
         tops.capacity() * sizeof(std::uint32_t) + waiting.capacity() * sizeof(Waiting);
}

std::optional<Timestamp> FrontsBody::next_deadline() const {
  if (waiting_head == waiting.size()) return std::nullopt;
  return waiting[waiting_head].last.time + wait;
}

std::optional<std::uint64_t> FrontsBody::oldest_needed() const {
  std::optional<std::uint64_t> oldest;
  if (first != nodes.size()) oldest = nodes[first].event.event;
  if (waiting_head != waiting.size()) {
    oldest = std::min(oldest.value_or(UINT64_MAX), waiting[waiting_head].last.event);
  }
  return oldest;
}

std::optional<Timestamp> FrontsBody::expires_at(const Program& program) const {
  Timestamp at = lost_until == Timestamp::min() ? lost_until : lost_until + Duration{1};
  if (waiting_head != waiting.size()) at = std::max(at, waiting.back().last.time + wait + Duration{1});
  const bool kept = first != nodes.size();
  if (!kept && cut == Place{}) return at;
  if (program.horizon == Program::unbounded) return std::nullopt;
  const Timestamp newest = kept ? std::max(nodes.back().event.time, cut.time) : cut.time;
  return std::max(at, newest + Duration{program.horizon} + Duration{1});
}

std::vector<Timestamp> FrontsBody::deadlines() const {
  std::vector<Timestamp> all;
  for (std::size_t i = waiting_head; i < waiting.size(); ++i) all.push_back(waiting[i].last.time + wait);
  return all;
}

void FrontsBody::prefetch() const {
  __builtin_prefetch(nodes.data() + nodes.size() - 1);
  __builtin_prefetch(tops.data());
}

void FrontsBody::encode(const Program& program, ByteWriter& out) const {
  put_place(out, floor);
  put_place(out, until);
  put_place(out, cut);
  out.put_i64(lost_until.us);
  out.put_varint(alive_count);
  out.put_varint(fresh_count);
  const std::size_t width = program.fronts->width;
  const auto end = static_cast<std::uint32_t>(nodes.size());
  out.put_varint(end - first);
  for (std::uint32_t n = first; n != end; ++n) {
    const Node& node = nodes[n];
    out.put_u8(static_cast<std::uint8_t>(node.step));
    put_bound(out, node.event);
    put_place(out, node.start);
    put_front(out, n, node.below, first);
    put_front(out, n, node.before, first);
    for (std::size_t v = 0; v < width; ++v) put_value(out, values[n * width + v]);
  }
  out.put_varint(waiting.size() - waiting_head);
  for (std::size_t i = waiting_head; i < waiting.size(); ++i) {
    put_bound(out, waiting[i].last);
    put_place(out, waiting[i].from);
    put_value(out, waiting[i].value);
    put_front(out, end, waiting[i].before, first);
  }
}

std::unique_ptr<RunsBody> decode_fronts(const Program& program, ByteReader& in) {
  auto body = std::make_unique<FrontsBody>();
  Work work(program, *body);
  const std::size_t steps = program.steps.size();
  const std::size_t width = program.fronts->width;
  body->wait = Duration{std::max<std::int64_t>(program.final_wait, 0)};
  body->floor = get_place(in);
  body->until = get_place(in);
  body->cut = get_place(in);
  body->lost_until.us = in.get_i64();
  const std::uint64_t alive_count = in.get_varint();
  const std::uint64_t fresh_count = in.get_varint();
  // A count is believed only as far as the bytes that are left could hold it.
  const std::uint64_t count = in.get_varint();
  if (in.failed() || count > in.remaining() / (22 + 16 * width) || alive_count >= UINT32_MAX / 2 ||
      fresh_count > UINT32_MAX / 2) {
    return nullptr;
  }
  body->counted = false;
  body->alive_count = static_cast<std::uint32_t>(alive_count);
  body->fresh_count = static_cast<std::uint32_t>(fresh_count);
  body->nodes.reserve(count + 1);
  body->values.resize((count + 1) * width, missing_value);
  // What is named comes before, in the step that it should be of.
  const auto named = [&](std::uint64_t from, std::uint64_t back, std::size_t step, Place here, std::uint32_t& to) {
    if (back == 0) return true;
    if (back >= from) return false;
    to = static_cast<std::uint32_t>(from - back);
    return body->nodes[to].step == step && body->nodes[to].event.place() < here;
  };
  for (std::uint32_t n = 1; n <= count; ++n) {
    FrontsBody::Node node;
    const std::size_t step = in.get_u8();
    if (step + 1 >= steps) return nullptr;
    node.step = static_cast<std::uint32_t>(step) & 0x3fU;
    node.event = get_bound(in);
    node.start = get_place(in);
    const std::uint64_t below = in.get_varint();
    const std::uint64_t before = in.get_varint();
    for (std::size_t v = 0; v < width; ++v) body->values[n * width + v] = get_value(in);
    const Place here = node.event.place();
    if (in.failed() || here < node.start || here < body->nodes[n - 1].event.place()) return nullptr;
    if (!named(n, below, step, here, node.below)) return nullptr;
    if (step == 0 ? before != 0 : !named(n, before, step - 1, here, node.before)) return nullptr;
    work.append(node);
  }
  const std::uint64_t waiting = in.get_varint();
  if (in.failed() || waiting > in.remaining() / 36 || (waiting != 0 && !program.waits())) return nullptr;
  for (std::uint64_t i = 0; i < waiting; ++i) {
    FrontsBody::Waiting w;
    w.last = get_bound(in);
    w.from = get_place(in);
    w.value = get_value(in);
    const std::uint64_t before = in.get_varint();
    if (in.failed() || !named(count + 1, before, steps - 2, w.last.place(), w.before)) return nullptr;
    if (i != 0 && !(body->waiting.back().last.place() < w.last.place())) return nullptr;
    body->waiting.push_back(w);
  }
  return body;
}

}  // namespace tocsin::nfa
