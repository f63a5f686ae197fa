// Events from the standard input (or any descriptor): lines of JSON, as they come. It can be waited on without being
// stuck in it, so signals and the clock are heard while nobody writes. It cannot be read twice, and says so. One owner,
// one thread.
#pragma once

#include <string>

#include "daemon/feed.h"

namespace tocsin::daemon {

class StdinSource final : public Feed {
 public:
  explicit StdinSource(int descriptor = 0);

  [[nodiscard]] const std::vector<FeedPartition>& partitions() const override { return partitions_; }
  Result<std::size_t> poll(const engine::Intake& intake, std::size_t max, Duration wait,
                           std::vector<event::RawRecord>& out) override;
  void recycle() override { handed_out_ = false; }
  [[nodiscard]] bool at_end(std::uint32_t) const override { return ended_ && begin_ == bytes_.size() - padding(); }
  [[nodiscard]] bool caught_up(std::uint32_t) const override { return quiet_; }
  Status seek(const event::SourcePosition& position) override;
  [[nodiscard]] std::optional<std::uint64_t> lag(std::uint32_t) const override { return std::nullopt; }

 private:
  static std::size_t padding();
  std::size_t cut(std::size_t max, std::vector<event::RawRecord>& out);

  int descriptor_;
  std::vector<FeedPartition> partitions_;
  std::string bytes_;           // what was read and the decoder's padding behind it
  std::size_t begin_ = 0;       // of what is not handed out
  std::size_t scanned_ = 0;     // up to here there is no end of line
  std::uint64_t sequence_ = 0;  // lines, from 1
  std::uint64_t offset_ = 0;    // bytes handed out
  bool passing_ = false;        // in a line too long: its rest is not wanted
  bool handed_out_ = false;
  bool ended_ = false;
  bool quiet_ = false;
};

}  // namespace tocsin::daemon
