#include "state/records.h"

#include "base/coding.h"

namespace tocsin::state {
namespace {

std::optional<std::string_view> body_of(std::string_view record_key, RecordType type) {
  if (type_of_record(record_key) != type) return std::nullopt;
  return record_key.substr(1);
}

void put_digest(std::string& out, Digest digest) {
  ByteWriter writer(out);
  writer.put_ordered_u64(digest.high);
  writer.put_ordered_u64(digest.low);
}

std::optional<Digest> digest_of(std::optional<std::string_view> body) {
  if (!body || body->size() != 16) return std::nullopt;
  ByteReader reader(*body);
  Digest digest;
  digest.high = reader.get_ordered_u64();
  digest.low = reader.get_ordered_u64();
  return digest;
}

template <typename Key>
std::optional<Key> if_whole(const ByteReader& reader, const Key& key) {
  if (reader.failed() || !reader.at_end()) return std::nullopt;
  return key;
}

}  // namespace

std::string records_of(RecordType type) { return std::string(1, static_cast<char>(type)); }

std::string records_of(RecordType type, std::uint64_t keyspace) {
  std::string out = records_of(type);
  ByteWriter(out).put_ordered_u64(keyspace);
  return out;
}

std::string behind_records_of(RecordType type) {
  return std::string(1, static_cast<char>(static_cast<unsigned>(type) + 1));
}

std::optional<RecordType> type_of_record(std::string_view record_key) {
  if (record_key.empty()) return std::nullopt;
  const auto type = static_cast<RecordType>(record_key[0]);
  switch (type) {
    case RecordType::meta:
    case RecordType::slab:
    case RecordType::log:
    case RecordType::history:
    case RecordType::alert:
    case RecordType::id_seen:
    case RecordType::order:
    case RecordType::fact: return type;
  }
  return std::nullopt;
}

std::string meta_record(std::string_view name) { return records_of(RecordType::meta).append(name); }

std::string slab_record(const SlabKey& key) { return records_of(RecordType::slab, key.keyspace).append(key.key); }

std::string log_records_of(std::uint64_t keyspace, std::uint64_t hash, std::string_view key) {
  std::string out = records_of(RecordType::log, keyspace);
  ByteWriter writer(out);
  writer.put_ordered_u64(hash);
  writer.put_bytes(key);  // with its length: of two keys with one hash neither sees the other's events
  return out;
}

std::string log_record(const LogKey& key) {
  std::string out = log_records_of(key.keyspace, key.hash, key.key);
  ByteWriter(out).put_ordered_u64(key.position);
  return out;
}

std::string history_record(const HistoryKey& key) {
  std::string out = records_of(RecordType::history, key.type);
  ByteWriter(out).put_ordered_u64(key.release);
  return out;
}

std::string alert_record(const AlertKey& key) { return records_of(RecordType::alert, key.rule).append(key.subject); }

std::string id_seen_record(Digest id) {
  std::string out = records_of(RecordType::id_seen);
  put_digest(out, id);
  return out;
}

std::string order_record(const OrderKey& key) {
  std::string out = records_of(RecordType::order);
  ByteWriter writer(out);
  writer.put_ordered_i64(key.time.us);
  writer.put_ordered_u32(key.position.partition);
  writer.put_ordered_u64(key.position.sequence);
  return out;
}

std::string fact_record(const FactKey& key) { return records_of(RecordType::fact, key.space).append(key.name); }

std::optional<std::string_view> parse_meta_record(std::string_view record_key) {
  return body_of(record_key, RecordType::meta);
}

std::optional<SlabKey> parse_slab_record(std::string_view record_key) {
  const auto body = body_of(record_key, RecordType::slab);
  if (!body || body->size() < 8) return std::nullopt;
  return SlabKey{ByteReader(*body).get_ordered_u64(), body->substr(8)};
}

std::optional<LogKey> parse_log_record(std::string_view record_key) {
  const auto body = body_of(record_key, RecordType::log);
  if (!body) return std::nullopt;
  ByteReader reader(*body);
  LogKey key;
  key.keyspace = reader.get_ordered_u64();
  key.hash = reader.get_ordered_u64();
  key.key = reader.get_bytes();
  key.position = reader.get_ordered_u64();
  return if_whole(reader, key);
}

std::optional<HistoryKey> parse_history_record(std::string_view record_key) {
  const auto body = body_of(record_key, RecordType::history);
  if (!body) return std::nullopt;
  ByteReader reader(*body);
  HistoryKey key;
  key.type = reader.get_ordered_u64();
  key.release = reader.get_ordered_u64();
  return if_whole(reader, key);
}

std::optional<AlertKey> parse_alert_record(std::string_view record_key) {
  const auto body = body_of(record_key, RecordType::alert);
  if (!body || body->size() < 8) return std::nullopt;
  return AlertKey{ByteReader(*body).get_ordered_u64(), body->substr(8)};
}

std::optional<Digest> parse_id_seen_record(std::string_view record_key) {
  return digest_of(body_of(record_key, RecordType::id_seen));
}

std::optional<OrderKey> parse_order_record(std::string_view record_key) {
  const auto body = body_of(record_key, RecordType::order);
  if (!body) return std::nullopt;
  ByteReader reader(*body);
  OrderKey key;
  key.time.us = reader.get_ordered_i64();
  key.position.partition = reader.get_ordered_u32();
  key.position.sequence = reader.get_ordered_u64();
  return if_whole(reader, key);
}

std::optional<FactKey> parse_fact_record(std::string_view record_key) {
  const auto body = body_of(record_key, RecordType::fact);
  if (!body || body->size() < 8) return std::nullopt;
  return FactKey{ByteReader(*body).get_ordered_u64(), body->substr(8)};
}

}  // namespace tocsin::state
