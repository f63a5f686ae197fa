// Where events come from, as bytes: a file, Kafka, a request, memory. A source has partitions; within one, records have
// an order and numbers that never change, so that it can be read again from any of them after a restart. Polling hands
// out views: no copy per record. One owner, one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "event/event.h"

namespace tocsin::event {

/// What a source says that does not know when a record arrived: the event's own time stands for it.
constexpr Timestamp arrival_unknown = Timestamp::min();

struct RawRecord {
  std::string_view
      bytes;  // `padding_bytes` (event/decode.h) readable bytes follow; valid until its partition is polled again
  Position position;
  Timestamp arrival = arrival_unknown;
  std::uint64_t next_offset = 0;  // where the record behind this one begins: with `position` what seek wants
};

/// From where to go on in one partition.
struct SourcePosition {
  std::uint32_t partition = 0;
  std::uint64_t sequence = 0;     // of the last record that was taken; 0: none yet
  std::uint64_t byte_offset = 0;  // its next_offset; sources that find records by number ignore it
};

/// How much of a source was read. `bytes_total` is missing where nobody knows the end.
struct Progress {
  std::uint64_t bytes_read = 0;
  std::optional<std::uint64_t> bytes_total;
};

class Source {
 public:
  virtual ~Source() = default;

  [[nodiscard]] virtual std::uint32_t partition_count() const = 0;
  /// Appends at most `max` records of one partition; returns how many. None is not the end: ask at_end. A failure is
  /// the world's; what was handed out before stays good.
  virtual Result<std::size_t> poll(std::uint32_t partition, std::size_t max, std::vector<RawRecord>& out) = 0;
  /// The same over all partitions, in their order and each once, until `max` is reached.
  virtual Result<std::size_t> poll(std::size_t max, std::vector<RawRecord>& out);
  /// Nothing will come from this partition any more.
  [[nodiscard]] virtual bool at_end(std::uint32_t partition) const = 0;
  /// Goes on behind the record named. Refused by sources that cannot be read twice.
  virtual Status seek(const SourcePosition& position) = 0;
  /// How a partition is called for a person: a path, a topic and number.
  [[nodiscard]] virtual std::string partition_name(std::uint32_t partition) const = 0;
  [[nodiscard]] virtual Progress progress() const { return {}; }
};

/// Lines handed in by the program itself: tests, and the twin of every other source.
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::uint32_t partitions = 1);

  void add(std::uint32_t partition, std::string_view line, Timestamp arrival = arrival_unknown);
  /// No more lines will be added to this partition, or to any.
  void finish(std::uint32_t partition);
  void finish();

  [[nodiscard]] std::uint32_t partition_count() const override;
  using Source::poll;
  Result<std::size_t> poll(std::uint32_t partition, std::size_t max, std::vector<RawRecord>& out) override;
  [[nodiscard]] bool at_end(std::uint32_t partition) const override;
  Status seek(const SourcePosition& position) override;
  [[nodiscard]] std::string partition_name(std::uint32_t partition) const override;

 private:
  struct Line {
    std::string padded;
    std::size_t size = 0;
    Timestamp arrival;
    std::uint64_t next_offset = 0;
  };
  struct Partition {
    std::deque<Line> lines;
    std::size_t next = 0;
    bool finished = false;
  };
  std::vector<Partition> partitions_;
};

}  // namespace tocsin::event
