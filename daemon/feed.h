// Where the events of a task come from. A Feed is a source seen by somebody who lives on: it can be waited on, it knows
// whether there is more at present, and it says what is in the way. Its twins: SourceFeed over any event::Source
// (files, memory), KafkaSource, StdinSource. One owner, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "engine/run/intake.h"
#include "event/source.h"

namespace tocsin::daemon {

/// A partition as the state directory knows it. Its number is its place in the list and never changes.
struct FeedPartition {
  std::string name;         // a path, a topic and number
  std::uint64_t first = 0;  // Kafka: the offset the first run began with, so that "latest" means one moment for ever
  bool operator==(const FeedPartition&) const = default;
};

class Feed {
 public:
  virtual ~Feed() = default;

  [[nodiscard]] virtual const std::vector<FeedPartition>& partitions() const = 0;
  /// Appends at most `max` records, after waiting at most `wait` for the first. The views are valid until recycle().
  /// None means: nothing now, or nothing before recycle(). `intake` tells how far each partition has come.
  virtual Result<std::size_t> poll(const engine::Intake& intake, std::size_t max, Duration wait,
                                   std::vector<event::RawRecord>& out) = 0;
  /// Nobody looks at what was handed out any more.
  virtual void recycle() = 0;
  /// Nothing will ever come from this partition again.
  [[nodiscard]] virtual bool at_end(std::uint32_t partition) const = 0;
  /// All that was there when it was last asked has been handed out, and it could be asked: silence means silence.
  [[nodiscard]] virtual bool caught_up(std::uint32_t partition) const = 0;
  /// Before the first poll: goes on behind the record named.
  virtual Status seek(const event::SourcePosition& position) = 0;
  /// How many records wait behind the last one handed out, where that is known.
  [[nodiscard]] virtual std::optional<std::uint64_t> lag(std::uint32_t partition) const = 0;
  /// Why nothing comes at present, for status and log; empty when all is well.
  [[nodiscard]] virtual std::string trouble() const { return {}; }
};

/// Any event::Source as a feed. Several partitions are merged as replay merges them: each record is taken from the open
/// partition whose largest event time is smallest (of equals the first).
class SourceFeed final : public Feed {
 public:
  explicit SourceFeed(std::unique_ptr<event::Source> source);

  [[nodiscard]] const std::vector<FeedPartition>& partitions() const override { return partitions_; }
  Result<std::size_t> poll(const engine::Intake& intake, std::size_t max, Duration wait,
                           std::vector<event::RawRecord>& out) override;
  void recycle() override { handed_out_ = false; }
  [[nodiscard]] bool at_end(std::uint32_t partition) const override { return blocks_[partition].ended; }
  [[nodiscard]] bool caught_up(std::uint32_t partition) const override { return blocks_[partition].quiet; }
  Status seek(const event::SourcePosition& position) override { return source_->seek(position); }
  [[nodiscard]] std::optional<std::uint64_t> lag(std::uint32_t) const override { return std::nullopt; }

 private:
  /// Records of one partition that were read and not handed out.
  struct Block {
    std::vector<event::RawRecord> records;
    std::size_t next = 0;
    bool ended = false;
    bool asked = false;  // in this round, and there was nothing
    bool quiet = false;  // when last asked there was nothing
  };
  [[nodiscard]] std::optional<std::uint32_t> next_partition(const engine::Intake& intake) const;

  std::unique_ptr<event::Source> source_;
  std::vector<FeedPartition> partitions_;
  std::vector<Block> blocks_;
  bool handed_out_ = false;
};

/// Event files as a feed. `known`: the partitions of the state directory; they keep their numbers and new files come
/// behind them. A known file that is no longer among `paths` is refused.
Result<std::unique_ptr<Feed>> open_files(const std::vector<std::string>& paths,
                                         const std::vector<FeedPartition>& known);

}  // namespace tocsin::daemon
