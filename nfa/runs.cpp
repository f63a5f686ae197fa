#include "nfa/runs.h"

#include <algorithm>

#include "base/coding.h"

namespace tocsin::nfa {
namespace {

constexpr std::uint8_t format_version = 1;

void put_place(ByteWriter& out, Place p) {
  out.put_i64(p.time.us);
  out.put_varint(p.order);
}

Place get_place(ByteReader& in) {
  Place p;
  p.time.us = in.get_i64();
  p.order = in.get_varint();
  return p;
}

}  // namespace

bool Runs::empty() const { return body == nullptr || (body->head == body->kept.size() && body->pending.empty()); }

std::size_t Runs::bytes() const {
  if (body == nullptr) return 0;
  return sizeof(Body) + body->kept.capacity() * sizeof(Kept) + body->values.capacity() * sizeof(std::int64_t) +
         body->pending.capacity() * sizeof(Pending) + body->reach.capacity() * sizeof(Place);
}

void encode(const Program& program, const Runs& runs, std::string& out) {
  ByteWriter to(out);
  to.put_u8(format_version);
  to.put_u64(program.fingerprint);
  if (runs.body == nullptr) {
    to.put_u8(0);
    return;
  }
  const Body& b = *runs.body;
  const std::size_t width = program.values.size();
  to.put_u8(1);
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
    for (std::size_t v = 0; v < width; ++v) to.put_i64(b.values[i * width + v]);
    before = k;
  }
}

std::optional<Runs> decode(const Program& program, std::string_view bytes) {
  ByteReader in(bytes);
  if (in.get_u8() != format_version || in.get_u64() != program.fingerprint) return std::nullopt;
  Runs runs;
  const std::uint8_t has_body = in.get_u8();
  if (has_body > 1 || in.failed()) return std::nullopt;
  if (has_body == 0) return in.at_end() ? std::optional<Runs>(std::move(runs)) : std::nullopt;
  runs.body = std::make_unique<Body>();
  Body& b = *runs.body;
  const std::size_t width = program.values.size();
  b.floor = get_place(in);
  b.lost = get_place(in);
  b.newest_start = get_place(in);
  // A count is believed only as far as the bytes that are left could hold it.
  const std::uint64_t reach_count = in.get_varint();
  if (in.failed() || reach_count != program.steps.size()) return std::nullopt;
  for (std::uint64_t i = 0; i < reach_count; ++i) b.reach.push_back(get_place(in));
  const std::uint64_t pending_count = in.get_varint();
  if (in.failed() || pending_count > in.remaining() / 17 || (pending_count != 0 && !program.waits()))
    return std::nullopt;
  for (std::uint64_t i = 0; i < pending_count; ++i) {
    Pending p;
    p.last = get_place(in);
    p.deadline.us = in.get_i64();
    if (p.deadline != p.last.time + Duration{program.final_wait}) return std::nullopt;
    if (!b.pending.empty() && !(b.pending.back().last < p.last)) return std::nullopt;
    b.pending.push_back(p);
  }
  const std::uint64_t kept_count = in.get_varint();
  if (in.failed() || kept_count > in.remaining() / (4 + 8 * width)) return std::nullopt;
  b.kept.reserve(kept_count);
  b.values.reserve(kept_count * width);
  Kept before;
  for (std::uint64_t i = 0; i < kept_count; ++i) {
    Kept k;
    k.event = before.event + static_cast<std::uint64_t>(in.get_signed());
    k.order = before.order + static_cast<std::uint64_t>(in.get_signed());
    k.time = static_cast<std::int64_t>(static_cast<std::uint64_t>(before.time) +
                                       static_cast<std::uint64_t>(in.get_signed()));
    k.bits = in.get_varint();
    for (std::size_t v = 0; v < width; ++v) b.values.push_back(in.get_i64());
    if (in.failed() || (i != 0 && !(before.place() < k.place()))) return std::nullopt;
    b.late_count += k.late() ? 1U : 0U;
    b.kept.push_back(k);
    before = k;
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return runs;
}

std::optional<Timestamp> next_deadline(const Runs& runs) {
  if (runs.body == nullptr || runs.body->pending.empty()) return std::nullopt;
  return runs.body->pending.front().deadline;
}

std::optional<std::uint64_t> oldest_needed(const Runs& runs) {
  if (runs.empty() || runs.body->head == runs.body->kept.size()) return std::nullopt;
  const Body& b = *runs.body;
  // Without late ones the order of time is the order of the log.
  if (b.late_count == 0) return b.kept[b.head].event;
  std::uint64_t oldest = b.kept[b.head].event;
  for (std::size_t i = b.head; i < b.kept.size(); ++i) oldest = std::min(oldest, b.kept[i].event);
  return oldest;
}

std::optional<Timestamp> expires_at(const Program& program, const Runs& runs) {
  if (runs.empty()) return Timestamp::min();
  const Body& b = *runs.body;
  Timestamp at = Timestamp::min();
  if (!b.pending.empty()) at = b.pending.back().deadline + Duration{1};
  if (b.head != b.kept.size()) {
    if (program.horizon == Program::unbounded) return std::nullopt;
    const Timestamp newest{b.kept.back().time};
    at = std::max(at, newest + Duration{std::max(program.horizon, program.first_no_wait)} + Duration{1});
  }
  return at;
}

}  // namespace tocsin::nfa
