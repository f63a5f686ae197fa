#include "event/source.h"

#include <algorithm>

#include "base/check.h"
#include "event/decode.h"

namespace tocsin::event {

Result<std::size_t> Source::poll(std::size_t max, std::vector<RawRecord>& out) {
  std::size_t taken = 0;
  for (std::uint32_t partition = 0; partition < partition_count() && taken < max; ++partition) {
    const Result<std::size_t> count = poll(partition, max - taken, out);
    if (!count) return count;
    taken += count.value();
  }
  return taken;
}

MemorySource::MemorySource(std::uint32_t partitions) : partitions_(partitions) {}

void MemorySource::add(std::uint32_t partition, std::string_view line, Timestamp arrival) {
  TOCSIN_CHECK(partition < partitions_.size(), partition);
  Partition& to = partitions_[partition];
  TOCSIN_CHECK(!to.finished, partition);
  const std::uint64_t begin = to.lines.empty() ? 0 : to.lines.back().next_offset;
  Line added{std::string(line), line.size(), arrival, begin + line.size() + 1};
  added.padded.append(padding_bytes, '\0');
  to.lines.push_back(std::move(added));
}

void MemorySource::finish(std::uint32_t partition) {
  TOCSIN_CHECK(partition < partitions_.size(), partition);
  partitions_[partition].finished = true;
}

void MemorySource::finish() {
  for (Partition& partition : partitions_) partition.finished = true;
}

std::uint32_t MemorySource::partition_count() const { return static_cast<std::uint32_t>(partitions_.size()); }

Result<std::size_t> MemorySource::poll(std::uint32_t partition, std::size_t max, std::vector<RawRecord>& out) {
  TOCSIN_CHECK(partition < partitions_.size(), partition);
  Partition& from = partitions_[partition];
  const std::size_t count = std::min(max, from.lines.size() - from.next);
  for (std::size_t i = 0; i < count; ++i) {
    const Line& line = from.lines[from.next++];
    out.push_back({std::string_view(line.padded).substr(0, line.size), Position{partition, from.next}, line.arrival,
                   line.next_offset});
  }
  return count;
}

bool MemorySource::at_end(std::uint32_t partition) const {
  TOCSIN_CHECK(partition < partitions_.size(), partition);
  return partitions_[partition].finished && partitions_[partition].next == partitions_[partition].lines.size();
}

Status MemorySource::seek(const SourcePosition& position) {
  if (position.partition >= partitions_.size()) {
    return Error{ErrorKind::refused, "there is no partition " + std::to_string(position.partition)};
  }
  Partition& in = partitions_[position.partition];
  if (position.sequence > in.lines.size()) {
    return Error{ErrorKind::corrupt, "partition " + std::to_string(position.partition) + " has " +
                                         std::to_string(in.lines.size()) + " records and not " +
                                         std::to_string(position.sequence)};
  }
  in.next = position.sequence;
  return {};
}

std::string MemorySource::partition_name(std::uint32_t partition) const {
  return "memory " + std::to_string(partition);
}

}  // namespace tocsin::event
