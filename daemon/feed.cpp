#include "daemon/feed.h"

#include <algorithm>

#include "event/file_source.h"

namespace tocsin::daemon {

namespace {
// Lines read ahead per file: enough that asking costs nothing, few enough to forget about.
constexpr std::size_t read_ahead = 512;
}  // namespace

SourceFeed::SourceFeed(std::unique_ptr<event::Source> source) : source_(std::move(source)) {
  for (std::uint32_t i = 0; i < source_->partition_count(); ++i) partitions_.push_back({source_->partition_name(i), 0});
  blocks_.resize(partitions_.size());
}

std::optional<std::uint32_t> SourceFeed::next_partition(const engine::Intake& intake) const {
  std::optional<std::uint32_t> best;
  Timestamp best_time = Timestamp::max();
  for (std::uint32_t i = 0; i < blocks_.size(); ++i) {
    const engine::IntakePartition partition = intake.partition(i);
    if (partition.ended || blocks_[i].ended || blocks_[i].asked) continue;
    if (!best || partition.largest_time < best_time) {
      best = i;
      best_time = partition.largest_time;
    }
  }
  return best;
}

Result<std::size_t> SourceFeed::poll(const engine::Intake& intake, std::size_t max, Duration,
                                     std::vector<event::RawRecord>& out) {
  for (;;) {
    const std::optional<std::uint32_t> partition = next_partition(intake);
    if (!partition) {
      // A source that is still being written to (memory, in tests) is asked again next time.
      for (Block& block : blocks_) block.asked = false;
      return std::size_t{0};
    }
    Block& block = blocks_[*partition];
    if (block.next == block.records.size()) {
      // What was read of it is borrowed by the batch: the batch goes first.
      if (handed_out_) return std::size_t{0};
      block.records.clear();
      block.next = 0;
      Result<std::size_t> polled = source_->poll(*partition, read_ahead, block.records);
      if (!polled) return polled;
      block.quiet = block.records.empty();
      if (block.records.empty()) {
        block.asked = true;
        if (source_->at_end(*partition)) {
          block.ended = true;
          return std::size_t{0};
        }
        continue;
      }
    }
    // Among several partitions the next record may be another's, which only the decoder can tell.
    const std::size_t count = blocks_.size() == 1 ? std::min(max, block.records.size() - block.next) : 1;
    out.insert(out.end(), block.records.begin() + static_cast<std::ptrdiff_t>(block.next),
               block.records.begin() + static_cast<std::ptrdiff_t>(block.next + count));
    block.next += count;
    handed_out_ = true;
    return count;
  }
}

Result<std::unique_ptr<Feed>> open_files(const std::vector<std::string>& paths,
                                         const std::vector<FeedPartition>& known) {
  Result<std::unique_ptr<event::FileSource>> source = event::FileSource::open(paths);
  if (!source) return source.error();
  if (!known.empty()) {
    std::vector<std::string> named;
    for (std::uint32_t i = 0; i < source.value()->partition_count(); ++i)
      named.push_back(source.value()->partition_name(i));
    std::vector<std::string> ordered;
    for (const FeedPartition& partition : known) {
      if (std::find(named.begin(), named.end(), partition.name) == named.end()) {
        return Error{ErrorKind::refused,
                     "the state directory has read from " + partition.name +
                         ", which source.paths no longer names; name it again, or begin with another state "
                         "directory"};
      }
      ordered.push_back(partition.name);
    }
    for (const std::string& name : named) {
      if (std::find(ordered.begin(), ordered.end(), name) == ordered.end()) ordered.push_back(name);
    }
    source = event::FileSource::open(ordered);
    if (!source) return source.error();
  }
  std::unique_ptr<Feed> feed = std::make_unique<SourceFeed>(source.take());
  return feed;
}

}  // namespace tocsin::daemon
