// The keys of the store. The first byte says what a record is; integers are big-endian, so that the order of bytes is
// the order of numbers and a scan by prefix meets records in the order they are needed in. Values belong to whoever
// writes them. The bytes are on disk: docs/state_format.md, "records", and no number here is used twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/time.h"
#include "event/event.h"

namespace tocsin::state {

enum class RecordType : std::uint8_t {
  meta = 0x00,  // by name: source positions, watermarks, lengths of sinks, counters; "store" is the store's own
  slab = 0x10,  // by (keyspace, key): state/slab.h
  log = 0x11,   // by (keyspace, hash of the key, key, position): one packed event
  history =
      0x12,  // by (hash of the event type's name, release of its first event): a block of judged events (state/history.h)
  alert = 0x30,    // by (rule, subject): an open alert
  id_seen = 0x40,  // by digest: an event already judged (state/ids_seen.h)
  order = 0x50,    // by (time, partition, sequence): an event that waits for its place in the order
  fact = 0x60,     // by (space, name): list entries, labels, parameters; what changes at run time and is not of a key
};

// A prefix for scans: all records of a type, or of a type and keyspace.
std::string records_of(RecordType type);
std::string records_of(RecordType type, std::uint64_t keyspace);
/// The end of the range that begins with the first of these.
std::string behind_records_of(RecordType type);
std::optional<RecordType> type_of_record(std::string_view record_key);

// A keyspace is the fingerprint of what the keys are keys of ("card", "account + device"); `key` are bytes of
// state/key.h.
struct SlabKey {
  std::uint64_t keyspace = 0;
  std::string_view key;
  bool operator==(const SlabKey&) const = default;
};
struct LogKey {
  std::uint64_t keyspace = 0;
  std::uint64_t hash = 0;  // hash64 of key
  std::string_view key;
  std::uint64_t position = 0;
  bool operator==(const LogKey&) const = default;
};
struct HistoryKey {
  std::uint64_t type = 0;     // hash of the event type's name
  std::uint64_t release = 0;  // of the first event of the block
  bool operator==(const HistoryKey&) const = default;
};
struct AlertKey {
  std::uint64_t rule = 0;  // fingerprint
  std::string_view subject;
  bool operator==(const AlertKey&) const = default;
};
struct OrderKey {
  Timestamp time;
  event::Position position;
  bool operator==(const OrderKey&) const = default;
};
struct FactKey {
  std::uint64_t space = 0;
  std::string_view name;
  bool operator==(const FactKey&) const = default;
};

std::string meta_record(std::string_view name);
std::string slab_record(const SlabKey& key);
std::string log_record(const LogKey& key);
/// All events of one key, in the order of positions.
std::string log_records_of(std::uint64_t keyspace, std::uint64_t hash, std::string_view key);
std::string history_record(const HistoryKey& key);
std::string alert_record(const AlertKey& key);
std::string id_seen_record(Digest id);
std::string order_record(const OrderKey& key);
std::string fact_record(const FactKey& key);

// Views of the results point into the argument. Nothing when it is not a key of that type.
std::optional<std::string_view> parse_meta_record(std::string_view record_key);
std::optional<SlabKey> parse_slab_record(std::string_view record_key);
std::optional<LogKey> parse_log_record(std::string_view record_key);
std::optional<HistoryKey> parse_history_record(std::string_view record_key);
std::optional<AlertKey> parse_alert_record(std::string_view record_key);
std::optional<Digest> parse_id_seen_record(std::string_view record_key);
std::optional<OrderKey> parse_order_record(std::string_view record_key);
std::optional<FactKey> parse_fact_record(std::string_view record_key);

}  // namespace tocsin::state
