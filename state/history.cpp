#include "state/history.h"

#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"
#include "event/pack.h"

namespace tocsin::state {

namespace {

constexpr std::uint8_t block_version = 1;
constexpr std::uint8_t coverage_version = 1;
constexpr std::size_t reached_at = 1;  // behind the version
constexpr std::size_t head_bytes = reached_at + 8;
constexpr std::size_t checksum_bytes = 8;

Error unreadable() { return {ErrorKind::corrupt, "a block of the history does not read"}; }

}  // namespace

void HistoryTail::append(const event::Event& event, const event::Schema& schema, std::uint64_t release,
                         Timestamp reached) {
  if (open_.size() < schema.events.size()) open_.resize(schema.events.size());
  Block& block = open_[event.type];
  if (block.bytes.empty()) {
    block.type = schema.events[event.type].name_hash;
    block.first = release;
    block.last = release;
    block.bytes.reserve(block_bytes + block_bytes / 8);
    block.bytes.assign(head_bytes, '\0');
  }
  const std::size_t before = block.bytes.size();
  ByteWriter out(block.bytes);
  out.put_varint((release - block.last) << 1U | (event.late ? 1U : 0U));
  if (event.late) out.put_i64(reached.us);
  const std::size_t size_at = block.bytes.size();
  out.put_u32(0);
  event::pack(event, schema, block.bytes);
  const auto size = static_cast<std::uint32_t>(block.bytes.size() - size_at - sizeof(std::uint32_t));
  std::memcpy(block.bytes.data() + size_at, &size, sizeof size);
  block.last = release;
  block.reached = reached;
  bytes_ += block.bytes.size() - before;
  if (block.bytes.size() >= block_bytes) close(block);
}

void HistoryTail::close(Block& block) {
  if (block.bytes.empty()) return;
  block.bytes[0] = static_cast<char>(block_version);
  std::memcpy(block.bytes.data() + reached_at, &block.reached.us, sizeof block.reached.us);
  const std::uint64_t checksum = hash64(block.bytes, block.first);
  ByteWriter(block.bytes).put_u64(checksum);
  closed_.push_back({history_record({block.type, block.first}), std::move(block.bytes)});
  block = {};
}

void HistoryTail::close() {
  for (Block& block : open_) close(block);
  open_.clear();
}

void HistoryTail::take(WriteSet& writes) {
  for (Block& block : open_) close(block);
  writes.writes.insert(writes.writes.end(), std::make_move_iterator(closed_.begin()),
                       std::make_move_iterator(closed_.end()));
  closed_.clear();
  bytes_ = 0;
}

std::uint64_t history_reaching(Cursor& cursor, std::uint64_t type, std::uint64_t released, Timestamp time) {
  const std::string all = records_of(RecordType::history, type);
  std::uint64_t low = 0;  // every block that begins before it ends too early
  std::uint64_t high = released + 1;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const bool found = cursor.seek(history_record({type, middle})) && cursor.key().starts_with(all);
    const std::optional<HistoryKey> key = found ? parse_history_record(cursor.key()) : std::nullopt;
    const bool ends_too_early = key && [&] {
      const Result<HistoryBlock> block = HistoryBlock::open(*key, cursor.value());
      return block.ok() && block.value().reached() < time;
    }();
    if (ends_too_early) {
      low = key->release + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Result<HistoryBlock> HistoryBlock::open(const HistoryKey& key, std::string_view value) {
  if (value.size() < head_bytes + checksum_bytes) return unreadable();
  const std::string_view hashed = value.substr(0, value.size() - checksum_bytes);
  if (ByteReader(value.substr(hashed.size())).get_u64() != hash64(hashed, key.release)) return unreadable();
  ByteReader head(hashed);
  if (head.get_u8() != block_version) return unreadable();
  HistoryBlock block;
  block.body_ = hashed.substr(head_bytes);
  block.release_ = key.release;
  block.reached_.us = head.get_i64();
  return block;
}

std::optional<Judged> HistoryBlock::next() {
  TOCSIN_CHECK(!failed_);
  if (body_.empty()) return std::nullopt;
  ByteReader in(body_);
  const std::uint64_t head = in.get_varint();
  Judged judged;
  release_ += head >> 1U;
  judged.release = release_;
  if ((head & 1U) != 0) judged.watermark.us = in.get_i64();
  const std::uint32_t size = in.get_u32();
  failed_ = in.failed() || size > in.remaining();
  if (failed_) return std::nullopt;
  judged.packed = body_.substr(body_.size() - in.remaining(), size);
  body_.remove_prefix(body_.size() - in.remaining() + size);
  return judged;
}

std::string HistoryCoverage::encode() const {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(coverage_version);
  out.put_u64(released);
  out.put_varint(types.size());
  for (const auto& [type, of_type] : types) {
    out.put_u64(type);
    out.put_i64(of_type.since.us);
    out.put_varint(of_type.fields.size());
    for (const auto& [tag, since] : of_type.fields) {
      out.put_u32(tag);
      out.put_i64(since.us);
    }
  }
  return bytes;
}

std::optional<HistoryCoverage> HistoryCoverage::decode(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.get_u8() != coverage_version) return std::nullopt;
  HistoryCoverage coverage;
  coverage.released = in.get_u64();
  const std::uint64_t types = in.get_varint();
  for (std::uint64_t i = 0; i < types && !in.failed(); ++i) {
    OfType& of_type = coverage.types[in.get_u64()];
    of_type.since.us = in.get_i64();
    const std::uint64_t fields = in.get_varint();
    for (std::uint64_t f = 0; f < fields && !in.failed(); ++f) {
      const std::uint32_t tag = in.get_u32();
      of_type.fields[tag].us = in.get_i64();
    }
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return coverage;
}

}  // namespace tocsin::state
