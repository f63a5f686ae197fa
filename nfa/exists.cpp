#include "nfa/exists.h"

#include <algorithm>

#include "base/check.h"
#include "nfa/search.h"

namespace tocsin::nfa {
namespace {

/// Whether a match of `now` may begin at `start`.
bool alive(const Program& program, const ExistsBody& body, const Bound& start, Timestamp now) {
  return start.place() >= body.floor &&
         (program.horizon == Program::unbounded || start.time > now - Duration{program.horizon});
}

/// The chains that start first are those of the last steps.
void drop_dead(const Program& program, ExistsBody& body, Timestamp now) {
  while (body.reached != 0 && !alive(program, body, *body.chains.of(body.reached - 1), now)) --body.reached;
  if (body.reached == 0 && body.waiting.empty() && body.lost_until < now) body.lost_until = Timestamp::min();
}

/// What the log holds for the events of `chain` that are not in `neighbour` (nullptr: none).
std::uint64_t bytes_beside(const Bound* chain, const Bound* neighbour, std::size_t count, Host& host) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (neighbour == nullptr || neighbour[i].event != chain[i].event) bytes += host.event_bytes(chain[i].event);
  }
  return bytes;
}

/// After a store was read, or waiting chains went, the bytes of the others have to be added up.
void count_events(ExistsBody& body, Host& host) {
  if (body.counted) return;
  body.counted = true;
  body.waiting_bytes = 0;
  const Bound* before = nullptr;
  for (std::size_t i = body.waiting_head; i < body.waiting.size(); i += body.step_count) {
    const Bound* chain = body.waiting.data() + i;
    body.waiting_bytes += bytes_beside(chain, before, body.step_count, host);
    before = chain;
  }
  for (std::size_t i = 0; i < body.reached; ++i) {
    for (std::size_t k = 0; k <= i; ++k) {
      body.largest_event =
          std::max(body.largest_event, static_cast<std::uint32_t>(host.event_bytes(body.chains.of(i)[k].event)));
    }
  }
}

void forget_first_waiting(ExistsBody& body, Host& host) {
  const Bound* gone = body.waiting.data() + body.waiting_head;
  body.waiting_head += body.step_count;
  const bool others = body.waiting_head != body.waiting.size();
  body.waiting_bytes -= bytes_beside(gone, others ? gone + body.step_count : nullptr, body.step_count, host);
  if (!others) {
    body.waiting.clear();
    body.waiting_head = 0;
  } else if (body.waiting_head * 2 > body.waiting.size()) {
    // Half is gone: moving the rest costs at most one event for each that went.
    body.waiting.erase(body.waiting.begin(), body.waiting.begin() + static_cast<std::ptrdiff_t>(body.waiting_head));
    body.waiting_head = 0;
  }
}

void emit(const Program& program, ExistsBody& body, const Bound* chain, Host& host, std::vector<Match>& out) {
  const bool truncated = body.lost_until != Timestamp::min() && chain[0].time <= body.lost_until;
  put_out(program, {chain, body.step_count}, truncated, body.floor, host, out);
}

void wait(ExistsBody& body, const Bound* chain, Host& host) {
  const Bound* before =
      body.waiting_head == body.waiting.size() ? nullptr : body.waiting.data() + body.waiting.size() - body.step_count;
  body.waiting_bytes += bytes_beside(chain, before, body.step_count, host);
  body.waiting.insert(body.waiting.end(), chain, chain + body.step_count);
}

/// What the log holds for the chains of the steps, exactly enough: one has most of its events from the one before.
std::uint64_t chain_bytes(const ExistsBody& body, Host& host) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < body.reached; ++i) {
    const Bound* chain = body.chains.of(i);
    bytes += bytes_beside(chain, i == 0 ? nullptr : body.chains.of(i - 1), i, host) + host.event_bytes(chain[i].event);
  }
  return bytes;
}

/// Drops the oldest, waiting or begun, until the limit is kept; the newest beginning stays whatever its size.
void limit(const Program& program, ExistsBody& body, Host& host) {
  const auto is_over = [&] {
    const std::size_t in_chains = static_cast<std::size_t>(body.reached) * (body.reached + 1) / 2;
    const std::size_t bounds = in_chains + body.waiting.size() - body.waiting_head;
    const std::uint64_t known = bounds * sizeof(Bound) + body.waiting_bytes;
    if (known + in_chains * body.largest_event <= host.runs_bytes) return false;
    return known + chain_bytes(body, host) > host.runs_bytes;
  };
  while (is_over()) {
    const std::size_t waiting = (body.waiting.size() - body.waiting_head) / body.step_count;
    if (waiting + body.reached <= 1) return;
    ++host.counters.dropped;
    if (waiting != 0) {
      body.lost_until =
          std::max(body.lost_until, body.waiting[body.waiting_head + body.step_count - 1].time + body.wait);
      forget_first_waiting(body, host);
    } else {
      // Its match might have come at any time within the window.
      const Timestamp start = body.chains.of(body.reached - 1)->time;
      body.lost_until = program.horizon == Program::unbounded
                            ? Timestamp::max()
                            : std::max(body.lost_until, start + Duration{program.horizon});
      --body.reached;
    }
  }
}

/// A waiting match is dead as soon as an X of a final `no`, or the `until`, comes in its time.
void end_waiting(const Program& program, ExistsBody& body, std::uint64_t bits, Place here, Host& host) {
  if (body.waiting.empty() || (bits & program.no_until_mask) == 0) return;
  const auto ended = [&](const Bound* chain) {
    const Bound& last = chain[body.step_count - 1];
    // A late `until` may come between the first event and the last.
    if ((bits & program.until) != 0 && chain[0].place() < here && here.time <= last.time + body.wait &&
        here != last.place()) {
      return true;
    }
    if (!(last.place() < here)) return false;
    return std::any_of(program.absences.begin(), program.absences.end(), [&](const Program::Absence& a) {
      return (bits & a.element.predicate) != 0 && here.time <= last.time + Duration{a.wait};
    });
  };
  std::size_t to = body.waiting_head;
  for (std::size_t from = body.waiting_head; from < body.waiting.size(); from += body.step_count) {
    const Bound* chain = body.waiting.data() + from;
    if (ended(chain)) continue;
    if (to != from) std::copy(chain, chain + body.step_count, body.waiting.data() + to);
    to += body.step_count;
  }
  body.counted = body.counted && body.waiting.size() == to;
  body.waiting.resize(to);
  count_events(body, host);
  if (body.waiting_head == to) {
    body.waiting.clear();
    body.waiting_head = 0;
  }
}

/// After a match: what begins before the floor is gone, and waits for nothing.
void settle(ExistsBody& body, Host& host) {
  while (body.reached != 0 && body.chains.of(body.reached - 1)->place() < body.floor) --body.reached;
  while (body.waiting_head != body.waiting.size() && body.waiting[body.waiting_head].place() < body.floor) {
    forget_first_waiting(body, host);
  }
}

/// Reads a chain; false when its events are not in order.
bool get_chain(ByteReader& in, Bound* chain, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    chain[i] = get_bound(in);
    if (in.failed() || (i != 0 && !(chain[i - 1].place() < chain[i].place()))) return false;
  }
  return true;
}

}  // namespace

std::string why_not_chains(const Program& program, bool refuses) {
  if (program.pick == Pick::earliest) return "`pick earliest` needs the oldest beginnings too";
  if (program.pick == Pick::every) return "`pick every` asks for all matches";
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Program::Step& s = program.steps[i];
    const std::string name = "step " + std::to_string(i + 1);
    if (s.kind != StepKind::single) return name + " is more than one event";
    if (s.can_be_empty) return name + " is optional";
    if (s.link != Link::any) return name + " is `first` or `next`";
  }
  for (const Program::Absence& a : program.absences) {
    if (a.element.condition_count != 0) return "a `no` looks at steps";
    if (a.before != program.steps.size()) return "a `no` stands before the last step, and a late event may tell";
  }
  if (refuses) return "`when` may refuse the newest";
  return {};
}

std::string why_not_exists(const Program& program, bool refuses) {
  if (std::string why = why_not_chains(program, refuses); !why.empty()) return why;
  for (const Program::Slot& slot : program.slots) {
    if (slot.element.condition_count != 0) return "step " + std::to_string(slot.step + 1) + " looks at other steps";
  }
  return {};
}

std::string why_exists(const Program& program) {
  std::string text = "single events, each told by itself alone: the newest chain of each step is enough, ";
  text += program.horizon == Program::unbounded ? "without a bound in time"
                                                : "no older than " + std::to_string(program.horizon) + "us";
  return text;
}

void Chains::reach(std::size_t count) {
  const std::size_t bounds = count * (count + 1) / 2;
  if (bounds <= near_.size() || bounds <= far_.size()) return;
  if (far_.empty()) far_.assign(near_.begin(), near_.end());
  far_.resize(bounds);
}

bool ExistsBody::may_follow(const Program& program, std::size_t step, Timestamp time) const {
  if (step == 0) return true;
  if (step > reached) return false;
  const std::int64_t within = program.slots[step].within;
  return within == Program::unbounded || (time - chains.of(step - 1)[step - 1].time).us < within;
}

void ExistsBody::extend(std::size_t step, const Bound& event) {
  chains.reach(step + 1);
  Bound* chain = chains.of(step);
  if (step != 0) std::copy_n(chains.of(step - 1), step, chain);
  chain[step] = event;
  reached = std::max(reached, static_cast<std::uint32_t>(step) + 1);
}

void ExistsBody::end_begun(Place here) {
  while (reached != 0 && chains.of(reached - 1)->place() < here) --reached;
}

bool exists_step(const Program& program, Runs& runs, const Occurrence& o, std::uint64_t bits, Host& host,
                 std::vector<Match>& out) {
  const Place here{o.time, o.order};
  auto* body = static_cast<ExistsBody*>(runs.body.get());
  if (o.late) {  // T6: nothing but `no` and `until` sees it
    if (body == nullptr || (bits & program.no_until_mask) == 0) return false;
    count_events(*body, host);
    end_waiting(program, *body, bits, here, host);
    if ((bits & program.until) != 0) body->end_begun(here);
    return false;
  }
  if (body == nullptr) {
    if ((bits & program.start_mask) == 0) return false;
    runs.body = std::make_unique<ExistsBody>(program);
    body = static_cast<ExistsBody*>(runs.body.get());
  }
  count_events(*body, host);
  drop_dead(program, *body, o.time);
  end_waiting(program, *body, bits, here, host);

  const std::size_t last = program.steps.size() - 1;
  const Bound bound{o.event, o.order, o.time};
  const bool ends = (bits & program.until) != 0;
  bool kept = false;
  // From the last step to the first, so that an event extends what was there before it.
  for (std::size_t i = std::min<std::size_t>(last, body->reached) + 1; i-- > 0;) {
    if ((bits & program.slots[i].element.predicate) == 0) continue;
    // A match of this very event may have used up what there was.
    if (i == 0 ? here < body->floor : !body->may_follow(program, i, o.time)) continue;
    if (const std::size_t before = i == 0 ? 0 : i - 1; before < body->reached) {
      TOCSIN_CHECK(body->chains.of(before)[before].place() < here, o.time.us, o.order);
    }
    if (i == last) {
      std::array<Bound, steps_max> whole;
      if (i != 0) std::copy_n(body->chains.of(i - 1), i, whole.begin());
      whole[i] = bound;
      if (program.waits()) {
        wait(*body, whole.data(), host);
        kept = true;
      } else {
        emit(program, *body, whole.data(), host, out);
        settle(*body, host);
      }
      continue;
    }
    if (ends && i != 0) continue;  // a U between the first event and the last
    body->extend(i, bound);
    kept = true;
  }
  if (ends) body->end_begun(here);
  if (kept) {
    body->largest_event = std::max(body->largest_event, static_cast<std::uint32_t>(host.event_bytes(o.event)));
    limit(program, *body, host);
  }
  return kept;
}

void exists_advance(const Program& program, ExistsBody& body, Timestamp time, Host& host, std::vector<Match>& out) {
  count_events(body, host);
  while (body.waiting_head != body.waiting.size()) {
    const Bound* chain = body.waiting.data() + body.waiting_head;
    if (!(chain[body.step_count - 1].time + body.wait < time)) break;
    if (chain[0].place() >= body.floor) emit(program, body, chain, host, out);
    forget_first_waiting(body, host);
    settle(body, host);
  }
  drop_dead(program, body, time);
}

std::size_t ExistsBody::bytes() const {
  return sizeof(ExistsBody) + chains.bytes() + waiting.capacity() * sizeof(Bound);
}

std::optional<Timestamp> ExistsBody::next_deadline() const {
  if (waiting_head == waiting.size()) return std::nullopt;
  return waiting[waiting_head + step_count - 1].time + wait;
}

std::optional<std::uint64_t> ExistsBody::oldest_needed() const {
  std::optional<std::uint64_t> oldest;
  if (reached != 0) oldest = chains.of(reached - 1)->event;
  if (waiting_head != waiting.size()) oldest = std::min(oldest.value_or(UINT64_MAX), waiting[waiting_head].event);
  return oldest;
}

void ExistsBody::events(std::vector<std::uint64_t>& out) const {
  for (std::size_t i = 0; i < reached; ++i) {
    for (std::size_t k = 0; k <= i; ++k) out.push_back(chains.of(i)[k].event);
  }
  for (std::size_t i = waiting_head; i < waiting.size(); ++i) out.push_back(waiting[i].event);
}

std::optional<Timestamp> ExistsBody::expires_at(const Program& program) const {
  Timestamp at = lost_until == Timestamp::min() ? lost_until : lost_until + Duration{1};
  if (waiting_head != waiting.size()) at = std::max(at, waiting.back().time + wait + Duration{1});
  if (reached != 0) {
    if (program.horizon == Program::unbounded) return std::nullopt;
    at = std::max(at, chains.of(0)->time + Duration{program.horizon} + Duration{1});
  }
  return at;
}

std::vector<Timestamp> ExistsBody::deadlines() const {
  std::vector<Timestamp> all;
  for (std::size_t i = waiting_head; i < waiting.size(); i += step_count)
    all.push_back(waiting[i + step_count - 1].time + wait);
  return all;
}

void ExistsBody::encode(const Program&, ByteWriter& out) const {
  put_place(out, floor);
  out.put_i64(lost_until.us);
  out.put_varint(reached);
  for (std::size_t i = 0; i < reached; ++i) {
    for (std::size_t k = 0; k <= i; ++k) put_bound(out, chains.of(i)[k]);
  }
  out.put_varint((waiting.size() - waiting_head) / step_count);
  for (std::size_t i = waiting_head; i < waiting.size(); ++i) put_bound(out, waiting[i]);
}

std::unique_ptr<RunsBody> decode_exists(const Program& program, ByteReader& in) {
  auto body = std::make_unique<ExistsBody>(program);
  body->floor = get_place(in);
  body->lost_until.us = in.get_i64();
  const std::uint64_t reached = in.get_varint();
  if (in.failed() || reached >= program.steps.size()) return nullptr;
  body->chains.reach(reached);
  for (std::uint64_t i = 0; i < reached; ++i) {
    Bound* chain = body->chains.of(i);
    if (!get_chain(in, chain, i + 1)) return nullptr;
    if (i != 0 && body->chains.of(i - 1)->place() < chain->place()) return nullptr;
  }
  body->reached = static_cast<std::uint32_t>(reached);
  // A count is believed only as far as the bytes that are left could hold it.
  const std::uint64_t count = in.get_varint();
  if (in.failed() || count > in.remaining() / (10 * body->step_count) || (count != 0 && !program.waits()))
    return nullptr;
  body->waiting.resize(count * body->step_count);
  for (std::uint64_t i = 0; i < count; ++i) {
    Bound* chain = body->waiting.data() + i * body->step_count;
    if (!get_chain(in, chain, body->step_count)) return nullptr;
    const Bound* before = chain - body->step_count;
    if (i != 0 && (!(before[body->step_count - 1].place() < chain[body->step_count - 1].place()) ||
                   chain->place() < before->place())) {
      return nullptr;
    }
  }
  body->counted = false;
  return body;
}

}  // namespace tocsin::nfa
