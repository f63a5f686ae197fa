#include "engine/run/intake.h"

#include <algorithm>
#include <map>
#include <string>

#include "alerts/record.h"
#include "base/check.h"
#include "base/coding.h"
#include "state/records.h"

namespace tocsin::engine {

namespace {

constexpr std::string_view record_name = "intake";
constexpr std::uint8_t record_version = 2;  // 1 had no names of unknown fields
// A checkpoint that claims more was not written by us.
constexpr std::uint64_t partitions_max = 1U << 20U;

Result<std::vector<event::JsonDecoder>> make_decoders(const event::Schema& schema,
                                                      const std::vector<event::SourceFormat>& formats) {
  std::vector<event::JsonDecoder> decoders;
  decoders.reserve(formats.size());
  for (const event::SourceFormat& format : formats) {
    Result<event::JsonDecoder> decoder = event::JsonDecoder::make(schema, format);
    if (!decoder) return decoder.error();
    decoders.push_back(decoder.take());
  }
  return decoders;
}

/// The masked fields of all event types, as each format spells them.
std::vector<std::vector<event::MaskedName>> masked_names(const event::Schema& schema,
                                                         const std::vector<event::SourceFormat>& formats) {
  std::vector<std::vector<event::MaskedName>> all;
  for (const event::SourceFormat& format : formats) {
    std::vector<event::MaskedName>& names = all.emplace_back();
    for (const event::EventType& type : schema.events) {
      for (const event::FieldDef& field : type.fields) {
        if (field.mask == event::Mask::none) continue;
        std::string name = field.name;
        for (const event::Spelling& spelling : format.spellings) {
          if (spelling.event_type == type.name && spelling.field == field.name) name = spelling.json_name;
        }
        names.push_back({std::move(name), field.mask});
      }
    }
  }
  return all;
}

Item item_of(ItemKind kind) {
  Item item;
  item.kind = kind;
  return item;
}

}  // namespace

Result<Intake> Intake::make(const event::Schema& schema, std::vector<event::SourceFormat> formats,
                            std::vector<std::uint32_t> format_of_partition) {
  TOCSIN_CHECK(!formats.empty());
  for (const std::uint32_t format : format_of_partition) TOCSIN_CHECK(format < formats.size());
  Result<std::vector<event::JsonDecoder>> decoders = make_decoders(schema, formats);
  if (!decoders) return decoders.error();
  Intake intake;
  intake.masks_ = masked_names(schema, formats);
  intake.formats_ = std::move(formats);
  intake.format_of_partition_ = std::move(format_of_partition);
  intake.decoders_ = decoders.take();
  return intake;
}

Status Intake::adopt(const event::Schema& schema) {
  TOCSIN_CHECK(items_.empty());
  Result<std::vector<event::JsonDecoder>> decoders = make_decoders(schema, formats_);
  if (!decoders) return decoders.error();
  unknown_before_ = unknown_fields();
  decoders_ = decoders.take();
  masks_ = masked_names(schema, formats_);
  return {};
}

IntakePartition& Intake::at(std::uint32_t partition) {
  if (partition >= partitions_.size()) partitions_.resize(partition + 1);
  return partitions_[partition];
}

std::vector<event::UnknownField> Intake::unknown_fields() const {
  std::map<std::pair<std::string_view, std::string_view>, std::uint64_t> sums;
  const auto add = [&](const event::UnknownField& f) { sums[{f.type, f.field}] += f.count; };
  std::for_each(unknown_before_.begin(), unknown_before_.end(), add);
  std::vector<std::vector<event::UnknownField>> of_decoders;
  of_decoders.reserve(decoders_.size());
  for (const event::JsonDecoder& decoder : decoders_) {
    of_decoders.push_back(decoder.unknown_fields());
    std::for_each(of_decoders.back().begin(), of_decoders.back().end(), add);
  }
  // Each decoder has its own bound, and earlier runs had theirs: the sum has it, too.
  std::vector<event::UnknownField> all;
  std::map<std::string_view, std::pair<std::size_t, std::uint64_t>> types;  // names listed, others
  for (const auto& [name, count] : sums) {
    auto& [listed, others] = types[name.first];
    if (name.second == event::unknown_others_name || listed == event::unknown_names_max) {
      others += count;
      continue;
    }
    ++listed;
    all.push_back({std::string(name.first), std::string(name.second), count});
  }
  for (const auto& [type, number] : types) {
    if (number.second > 0) all.push_back({std::string(type), std::string(event::unknown_others_name), number.second});
  }
  return all;
}

bool Intake::take(const event::RawRecord& record, Outbox& out) {
  const std::uint32_t number = record.position.partition;
  IntakePartition& partition = at(number);
  partition.sequence = record.position.sequence;
  partition.byte_offset = record.next_offset;
  partition.taken = true;
  partition.ended = false;
  ++counts_.records;

  const std::uint32_t format = number < format_of_partition_.size() ? format_of_partition_[number] : 0;
  Item& item = items_.emplace_back();
  event::JsonDecoder& decoder = decoders_[format];
  const std::uint64_t unknown = decoder.unknown_count();
  const event::DecodeResult decoded = decoder.decode(record.bytes, arena_, item.event);
  counts_.unknown_fields += decoder.unknown_count() - unknown;
  if (!decoded) {
    items_.pop_back();
    ++counts_.dead_letters[static_cast<std::size_t>(decoded.reason)];
    alerts::DeadLetter letter;
    letter.reason = event::to_text(decoded.reason);
    letter.field = decoded.field;
    letter.offset = decoded.offset;
    letter.position = record.position;
    if (number < names_.size()) letter.source = names_[number];
    const std::string masked =
        masks_[format].empty() ? std::string() : event::masked_line(record.bytes, masks_[format]);
    letter.bytes = masks_[format].empty() ? record.bytes : std::string_view(masked);
    out.add(OutStream::dead_letters, std::to_string(number) + "-" + std::to_string(record.position.sequence),
            alerts::dead_letter_record(letter));
    return false;
  }
  item.kind = ItemKind::event;
  item.partition = number;
  item.event.position = record.position;
  if (record.arrival != event::arrival_unknown) item.event.arrival = record.arrival;
  item.time = item.event.time;
  ++counts_.events;
  counts_.first_time = std::min(counts_.first_time, item.event.time);
  counts_.last_time = std::max(counts_.last_time, item.event.time);
  partition.largest_time = std::max(partition.largest_time, item.event.time);
  return true;
}

void Intake::idle(std::uint32_t partition) {
  Item item = item_of(ItemKind::idle);
  item.partition = partition;
  items_.push_back(std::move(item));
}

void Intake::tick(Timestamp time) {
  Item item = item_of(ItemKind::tick);
  item.time = time;
  items_.push_back(std::move(item));
}

void Intake::end(std::uint32_t partition) {
  at(partition).ended = true;
  idle(partition);
}

void Intake::flush(Engine& engine, Outbox& out) {
  if (!items_.empty()) engine.step(items_, out);
  items_.clear();
  arena_.clear();
}

IntakePartition Intake::partition(std::uint32_t partition) const {
  return partition < partitions_.size() ? partitions_[partition] : IntakePartition{};
}

std::vector<event::SourcePosition> Intake::positions() const {
  std::vector<event::SourcePosition> positions;
  for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
    if (!partitions_[i].taken) continue;
    positions.push_back({i, partitions_[i].sequence, partitions_[i].byte_offset});
  }
  return positions;
}

void Intake::capture(state::WriteSet& writes) const {
  TOCSIN_CHECK(items_.empty());
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(record_version);
  out.put_varint(partitions_.size());
  for (const IntakePartition& partition : partitions_) {
    out.put_varint(partition.sequence);
    out.put_varint(partition.byte_offset);
    out.put_u8(partition.taken ? 1 : 0);
    out.put_u8(partition.ended ? 1 : 0);
    out.put_i64(partition.largest_time.us);
  }
  out.put_varint(counts_.records);
  out.put_varint(counts_.events);
  out.put_varint(counts_.dead_letters.size());
  for (const std::uint64_t n : counts_.dead_letters) out.put_varint(n);
  out.put_varint(counts_.unknown_fields);
  out.put_i64(counts_.first_time.us);
  out.put_i64(counts_.last_time.us);
  const std::vector<event::UnknownField> unknown = unknown_fields();
  out.put_varint(unknown.size());
  for (const event::UnknownField& field : unknown) {
    out.put_bytes(field.type);
    out.put_bytes(field.field);
    out.put_varint(field.count);
  }
  writes.put(state::meta_record(record_name), std::move(bytes));
}

Result<bool> Intake::restore(const state::Store& store) {
  Result<std::optional<std::string>> stored = store.get(state::meta_record(record_name));
  if (!stored) return stored.error().while_doing("reading the source positions");
  if (!stored.value()) return false;
  ByteReader in(*stored.value());
  const Error unreadable{ErrorKind::corrupt,
                         "the source positions in the store do not read; restore the directory from a copy"};
  const std::uint8_t version = in.get_u8();
  if (version < 1 || version > record_version) return unreadable;
  const std::uint64_t partition_count = in.get_varint();
  if (in.failed() || partition_count > partitions_max) return unreadable;
  std::vector<IntakePartition> partitions;
  for (std::uint64_t i = 0; i < partition_count && !in.failed(); ++i) {
    IntakePartition partition;
    partition.sequence = in.get_varint();
    partition.byte_offset = in.get_varint();
    partition.taken = in.get_u8() != 0;
    partition.ended = in.get_u8() != 0;
    partition.largest_time.us = in.get_i64();
    partitions.push_back(partition);
  }
  IntakeCounts counts;
  counts.records = in.get_varint();
  counts.events = in.get_varint();
  const std::uint64_t reasons = in.get_varint();
  for (std::uint64_t i = 0; i < reasons && !in.failed(); ++i) {
    const std::uint64_t n = in.get_varint();
    // A newer version may know more reasons; their sum would be lost, so they are refused like any other foreign bytes.
    if (i >= counts.dead_letters.size()) return unreadable;
    counts.dead_letters[i] = n;
  }
  counts.unknown_fields = in.get_varint();
  counts.first_time.us = in.get_i64();
  counts.last_time.us = in.get_i64();
  std::vector<event::UnknownField> unknown;
  const std::uint64_t unknown_count = version == 1 ? 0 : in.get_varint();
  for (std::uint64_t i = 0; i < unknown_count && !in.failed(); ++i) {
    event::UnknownField& field = unknown.emplace_back();
    field.type = in.get_bytes();
    field.field = in.get_bytes();
    field.count = in.get_varint();
  }
  if (in.failed() || !in.at_end()) return unreadable;
  partitions_ = std::move(partitions);
  unknown_before_ = std::move(unknown);
  counts_ = counts;
  return true;
}

}  // namespace tocsin::engine
