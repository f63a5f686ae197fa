#include "nfa/runs.h"

#include <algorithm>

#include "base/check.h"
#include "nfa/all_matches.h"
#include "nfa/clocked_matches.h"
#include "nfa/exists.h"
#include "nfa/explicit_runs.h"
#include "nfa/fronts.h"
#include "nfa/prefix.h"

namespace tocsin::nfa {
namespace {

constexpr std::uint8_t format_version = 2;

std::unique_ptr<RunsBody> decode_search(const Program& program, ByteReader& in);

}  // namespace

std::size_t Body::bytes() const {
  return sizeof(Body) + kept.capacity() * sizeof(Kept) + values.capacity() * sizeof(Value) +
         pending.capacity() * sizeof(Pending) + reach.capacity() * sizeof(Place);
}

void put_bound(ByteWriter& out, const Bound& b) {
  out.put_varint(b.event);
  out.put_varint(b.order);
  out.put_i64(b.time.us);
}

Bound get_bound(ByteReader& in) {
  Bound b;
  b.event = in.get_varint();
  b.order = in.get_varint();
  b.time = get_event_time(in, in.get_i64());
  return b;
}

void put_value(ByteWriter& out, Value v) {
  const auto bits = static_cast<unsigned __int128>(v);
  out.put_u64(static_cast<std::uint64_t>(bits));
  out.put_u64(static_cast<std::uint64_t>(bits >> 64U));
}

Value get_value(ByteReader& in) {
  const unsigned __int128 low = in.get_u64();
  return static_cast<Value>(low | static_cast<unsigned __int128>(in.get_u64()) << 64U);
}

void encode(const Program& program, const Runs& runs, std::string& out) {
  ByteWriter to(out);
  to.put_u8(format_version);
  to.put_u64(program.fingerprint);
  to.put_u8(runs.body == nullptr ? 0 : 1);
  if (runs.body != nullptr) runs.body->encode(program, to);
}

std::optional<Runs> decode(const Program& program, std::string_view bytes) {
  ByteReader in(bytes);
  if (in.get_u8() != format_version || in.get_u64() != program.fingerprint) return std::nullopt;
  const std::uint8_t has_body = in.get_u8();
  if (has_body > 1 || in.failed()) return std::nullopt;
  Runs runs;
  if (has_body == 1) {
    runs.body = program.members == 0 ? decode_body(program, in) : decode_prefix(program, in);
    if (runs.body == nullptr) return std::nullopt;
    if (runs.body->empty()) runs.body = nullptr;
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return runs;
}

std::unique_ptr<RunsBody> decode_body(const Program& program, ByteReader& in) {
  switch (program.engine) {
    case Engine::search: return decode_search(program, in);
    case Engine::exists: return program.fronts ? decode_fronts(program, in) : decode_exists(program, in);
    case Engine::all:
      return program.has_clocks ? decode_clocked(program.automaton, all_rule(program), in)
                                : decode_all(program.automaton, all_rule(program), in);
    case Engine::runs: return decode_runs(program, in);
  }
  return nullptr;
}

Runs copy(const Program& program, const Runs& runs) {
  std::string bytes;
  encode(program, runs, bytes);
  std::optional<Runs> copied = decode(program, bytes);
  TOCSIN_CHECK(copied.has_value());  // bytes we have just written
  return std::move(*copied);
}

void Body::encode(const Program& program, ByteWriter& to) const {
  const Body& b = *this;
  const std::size_t width = program.values.size();
  put_place(to, b.floor);
  put_place(to, b.lost);
  put_place(to, b.newest_start);
  to.put_varint(b.reach.size());
  for (const Place p : b.reach) put_place(to, p);
  to.put_varint(b.pending.size());
  for (const Pending& p : b.pending) {
    put_place(to, p.last);
    to.put_i64(p.deadline.us);
  }
  to.put_varint(b.kept.size() - b.head);
  // Neighbours differ little; differences wrap, so that any numbers come back.
  Kept before;
  for (std::size_t i = b.head; i < b.kept.size(); ++i) {
    const Kept& k = b.kept[i];
    to.put_signed(static_cast<std::int64_t>(k.event - before.event));
    to.put_signed(static_cast<std::int64_t>(k.order - before.order));
    to.put_signed(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(k.time) - static_cast<std::uint64_t>(before.time)));
    to.put_varint(k.bits);
    for (std::size_t v = 0; v < width; ++v) put_value(to, b.values[i * width + v]);
    before = k;
  }
}

namespace {

std::unique_ptr<RunsBody> decode_search(const Program& program, ByteReader& in) {
  auto body = std::make_unique<Body>();
  Body& b = *body;
  const std::size_t width = program.values.size();
  b.floor = get_place(in);
  b.lost = get_place(in);
  b.newest_start = get_place(in);
  // A count is believed only as far as the bytes that are left could hold it.
  const std::uint64_t reach_count = in.get_varint();
  if (in.failed() || reach_count != program.steps.size()) return nullptr;
  for (std::uint64_t i = 0; i < reach_count; ++i) b.reach.push_back(get_place(in));
  const std::uint64_t pending_count = in.get_varint();
  if (in.failed() || pending_count > in.remaining() / 17 || (pending_count != 0 && !program.waits())) return nullptr;
  for (std::uint64_t i = 0; i < pending_count; ++i) {
    Pending p;
    p.last = get_place(in);
    p.deadline.us = in.get_i64();
    if (p.deadline != p.last.time + Duration{program.final_wait}) return nullptr;
    if (!b.pending.empty() && !(b.pending.back().last < p.last)) return nullptr;
    b.pending.push_back(p);
  }
  const std::uint64_t kept_count = in.get_varint();
  if (in.failed() || kept_count > in.remaining() / (4 + 16 * width)) return nullptr;
  b.kept.reserve(kept_count);
  b.values.reserve(kept_count * width);
  Kept before;
  for (std::uint64_t i = 0; i < kept_count; ++i) {
    Kept k;
    k.event = before.event + static_cast<std::uint64_t>(in.get_signed());
    k.order = before.order + static_cast<std::uint64_t>(in.get_signed());
    const std::uint64_t later = static_cast<std::uint64_t>(in.get_signed());
    k.time = get_event_time(in, static_cast<std::int64_t>(static_cast<std::uint64_t>(before.time) + later)).us;
    k.bits = in.get_varint();
    for (std::size_t v = 0; v < width; ++v) b.values.push_back(get_value(in));
    if (in.failed() || (i != 0 && !(before.place() < k.place()))) return nullptr;
    b.late_count += k.late() ? 1U : 0U;
    if ((k.bits & program.beyond_mask) != 0) b.newest_beyond = k.place();
    b.kept.push_back(k);
    before = k;
  }
  if (!b.kept.empty()) b.event_bytes = Body::uncounted;
  return body;
}

}  // namespace

std::optional<Timestamp> Body::next_deadline() const {
  return pending.empty() ? std::nullopt : std::optional(pending.front().deadline);
}

std::optional<std::uint64_t> Body::oldest_needed() const {
  if (head == kept.size()) return std::nullopt;
  // Without late ones the order of time is the order of the log.
  std::uint64_t oldest = kept[head].event;
  if (late_count == 0) return oldest;
  for (std::size_t i = head; i < kept.size(); ++i) oldest = std::min(oldest, kept[i].event);
  return oldest;
}

void Body::events(std::vector<std::uint64_t>& out) const {
  for (std::size_t i = head; i < kept.size(); ++i) out.push_back(kept[i].event);
}

std::optional<Timestamp> Body::expires_at(const Program& program) const {
  Timestamp at = Timestamp::min();
  if (!pending.empty()) at = pending.back().deadline + Duration{1};
  if (program.horizon == Program::unbounded && (head != kept.size() || lost != Place{})) return std::nullopt;
  if (lost != Place{}) at = std::max(at, lost.time + Duration{program.horizon} + Duration{1});
  if (head != kept.size()) {
    const Timestamp newest{kept.back().time};
    at = std::max(at, newest + Duration{std::max(program.horizon, program.first_no_wait)} + Duration{1});
  }
  return at;
}

std::vector<Timestamp> Body::deadlines() const {
  std::vector<Timestamp> all;
  for (const Pending& p : pending) all.push_back(p.deadline);
  return all;
}

void Body::prefetch() const {
  __builtin_prefetch(kept.data());
  __builtin_prefetch(reach.data());
}

std::optional<Timestamp> expires_at(const Program& program, const Runs& runs) {
  if (runs.empty()) return Timestamp::min();
  return runs.body->expires_at(program);
}

}  // namespace tocsin::nfa
