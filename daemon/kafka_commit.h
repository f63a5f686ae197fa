// Output into Kafka topics, one per stream. The producer is idempotent and waits for all replicas; a checkpoint first
// waits until every record delivered so far is acknowledged, and only then commits state and positions to the store. A
// record that Kafka did not take makes the next call fail: the task ends, and a restart sends again from the last
// checkpoint, with the same ids and content.
//
// One owner, one thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/kafka_client.h"
#include "daemon/notices.h"
#include "engine/run/commit.h"

namespace tocsin::daemon {

struct KafkaCommitOptions {
  KafkaOptions kafka;
  std::array<std::string, engine::out_stream_count> topics;  // empty: the stream is not written
};

class KafkaCommit final : public engine::Commit {
 public:
  /// `waiting` is asked a few times a second while brokers are waited for; false: give up (the call fails, nothing is
  /// lost).
  static Result<std::unique_ptr<KafkaCommit>> open(const KafkaCommitOptions& options, state::Store& store,
                                                   Notices notices, std::function<bool()> waiting);
  ~KafkaCommit() override;

  Status deliver(const engine::Outbox& outbox) override;
  Status seal(state::WriteSet& writes) override;
  Status settle(const state::WriteSet& writes) override;

 private:
  KafkaCommit(state::Store& store, Notices notices, std::function<bool()> waiting)
      : store_(store), notices_(std::move(notices)), waiting_(std::move(waiting)) {}
  Status produce(std::size_t stream, const std::string& key, const std::string& bytes);
  Status failure() const;
  /// To be asked while waiting: an error when there is no sense in waiting on.
  Status patience(const char* what);

  state::Store& store_;
  Notices notices_;
  std::function<bool()> waiting_;
  std::unique_ptr<KafkaClient> client_;
  std::array<std::string, engine::out_stream_count> names_;
  std::array<rd_kafka_topic_s*, engine::out_stream_count> topics_{};
  std::size_t record_bytes_max_ = 1'000'000;
  bool said_waiting_ = false;
};

}  // namespace tocsin::daemon
