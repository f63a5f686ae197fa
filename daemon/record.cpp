#include "daemon/record.h"

#include "base/coding.h"
#include "state/records.h"

namespace tocsin::daemon {

namespace {
constexpr std::string_view record_name = "task";
constexpr std::uint8_t record_version = 1;
}  // namespace

std::string encode(const TaskRecord& record) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(record_version);
  out.put_varint(record.partitions.size());
  for (const FeedPartition& partition : record.partitions) {
    out.put_bytes(partition.name);
    out.put_varint(partition.first);
  }
  out.put_i64(record.largest_time.us);
  out.put_i64(record.largest_at.us);
  out.put_varint(record.decided.size());
  for (const Decided& decided : record.decided) {
    out.put_u8(static_cast<std::uint8_t>(decided.kind));
    out.put_u32(decided.partition);
    out.put_i64(decided.time.us);
    out.put_varint(decided.rules.size());
    for (const engine::RuleFileText& file : decided.rules) {
      out.put_bytes(engine::stored_path(file.path, file.data));
      out.put_bytes(file.text);
    }
  }
  return bytes;
}

std::optional<TaskRecord> decode_task_record(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.get_u8() != record_version) return std::nullopt;
  TaskRecord record;
  std::uint64_t count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    std::string name(in.get_bytes());
    const std::uint64_t first = in.get_varint();
    record.partitions.push_back({std::move(name), first});
  }
  record.largest_time.us = in.get_i64();
  record.largest_at.us = in.get_i64();
  count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    Decided decided;
    const std::uint8_t kind = in.get_u8();
    if (kind < 1 || kind > 3) return std::nullopt;
    decided.kind = static_cast<Decided::Kind>(kind);
    decided.partition = in.get_u32();
    decided.time.us = in.get_i64();
    const std::uint64_t files = in.get_varint();
    for (std::uint64_t f = 0; f < files && !in.failed(); ++f) {
      const std::string_view path = in.get_bytes();
      decided.rules.push_back(engine::stored_file(path, in.get_bytes()));
    }
    record.decided.push_back(std::move(decided));
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return record;
}

void put_task_record(state::WriteSet& writes, const TaskRecord& record) {
  writes.put(state::meta_record(record_name), encode(record));
}

Result<std::optional<TaskRecord>> stored_task_record(const state::Store& store) {
  Result<std::optional<std::string>> stored = store.get(state::meta_record(record_name));
  if (!stored) return stored.error().while_doing("reading the last checkpoint");
  if (!stored.value()) return std::optional<TaskRecord>{};
  std::optional<TaskRecord> record = decode_task_record(*stored.value());
  if (!record) {
    return Error{ErrorKind::corrupt,
                 "the record of the last checkpoint does not read; restore the state directory from a copy, or "
                 "begin with an empty one"};
  }
  return record;
}

}  // namespace tocsin::daemon
