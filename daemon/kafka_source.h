// Events from Kafka. All partitions of the configured topics are read by this one process (assigned, not subscribed: no
// group, no rebalance); partitions are numbered in the order of the configuration and then of Kafka, and what the state
// directory knows keeps its number. Positions are ours alone: nothing is committed to Kafka. The sequence of a record
// is its offset.
//
// A broker that is away is waited for, and trouble() says so. What cannot be waited out (the next record is no longer
// kept, the topic was made anew) ends in an error: events are never jumped over in silence. One owner, one thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "daemon/feed.h"
#include "daemon/kafka_client.h"

struct rd_kafka_queue_s;

namespace tocsin::daemon {

struct KafkaSourceOptions {
  KafkaOptions kafka;
  std::vector<std::string> topics;
  enum class Start { earliest, latest };
  Start start = Start::earliest;  // of a first run, with a new state directory
};

class KafkaSource final : public Feed {
 public:
  /// Asks the brokers for topics and partitions, and where a first run begins. `known`: the partitions of the state
  /// directory.
  static Result<std::unique_ptr<KafkaSource>> open(const KafkaSourceOptions& options,
                                                   const std::vector<FeedPartition>& known);
  ~KafkaSource() override;

  [[nodiscard]] const std::vector<FeedPartition>& partitions() const override { return names_; }
  Result<std::size_t> poll(const engine::Intake& intake, std::size_t max, Duration wait,
                           std::vector<event::RawRecord>& out) override;
  void recycle() override { bytes_.clear(); }
  [[nodiscard]] bool at_end(std::uint32_t) const override { return false; }
  [[nodiscard]] bool caught_up(std::uint32_t partition) const override {
    return partitions_[partition].at_end && trouble_.empty();
  }
  Status seek(const event::SourcePosition& position) override;
  [[nodiscard]] std::optional<std::uint64_t> lag(std::uint32_t partition) const override;
  [[nodiscard]] std::string trouble() const override { return trouble_; }

 private:
  struct Topic {
    std::string name;
    rd_kafka_topic_s* handle = nullptr;
    std::map<std::int32_t, std::uint32_t> numbers;  // Kafka's partition to ours
  };
  struct Partition {
    std::size_t topic = 0;
    std::int32_t number = 0;  // Kafka's
    std::uint64_t next = 0;   // offset to be handed out next
    bool at_end = false;
  };

  KafkaSource() = default;
  Status begin();
  Status take(const rd_kafka_message_s& message, std::vector<event::RawRecord>& out);
  void probe();

  std::unique_ptr<KafkaClient> client_;
  rd_kafka_queue_s* queue_ = nullptr;
  std::vector<FeedPartition> names_;
  std::vector<std::unique_ptr<Topic>> topics_;  // librdkafka holds pointers to them
  std::vector<Partition> partitions_;
  Arena bytes_;  // of the records handed out: the decoder wants readable bytes behind each
  bool begun_ = false;
  std::string trouble_;
  std::string brokers_;
  std::chrono::steady_clock::time_point probed_;
};

}  // namespace tocsin::daemon
