// One librdkafka handle and what its callbacks report: who is away, what was not delivered, what cannot be mended.
// Shared by KafkaSource and KafkaCommit. librdkafka is used through its C API and in daemon/kafka_*.cpp only; the names
// below are its own, declared ahead. Callbacks run within serve() and within calls of librdkafka, in the thread of the
// owner.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct rd_kafka_topic_s;

namespace tocsin::daemon {

struct KafkaOptions {
  std::string brokers;                          // "host:port,host:port"
  std::map<std::string, std::string> settings;  // of librdkafka, as its manual names them
  Duration connect_timeout = Duration::seconds(10);
};

class KafkaClient {
 public:
  enum class Role { consumer, producer };

  /// Refused when librdkafka does not know a setting, or when it is one that our promises rest on.
  static Result<std::unique_ptr<KafkaClient>> make(Role role, const KafkaOptions& options);
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  [[nodiscard]] rd_kafka_s* get() const { return handle_; }
  /// Runs callbacks for at most so long.
  void serve(Duration wait);
  /// How many partitions a topic has. Errors name the topic, or the brokers that gave no answer in connect_timeout.
  /// Consumers only: a producer that asks for a topic may create it.
  Result<std::uint32_t> partition_count(const std::string& topic);
  /// Offsets of a partition: of the first record, and behind the last.
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  Result<Range> range(const std::string& topic, std::uint32_t partition, Duration timeout);
  [[nodiscard]] Error no_answer(const std::string& what) const;

  // What callbacks left.
  bool all_brokers_down = false;
  std::string last_error;  // in the words of librdkafka
  std::string fatal;       // the handle is of no use any more
  std::uint64_t failed_deliveries = 0;
  std::string first_failure;  // of a delivery: topic and reason

 private:
  KafkaClient() = default;
  static void on_error(rd_kafka_s* handle, int error, const char* reason, void* opaque);
  static void on_delivery(rd_kafka_s* handle, const rd_kafka_message_s* message, void* opaque);

  rd_kafka_s* handle_ = nullptr;
  KafkaOptions options_;
};

/// Every topic must be there: tocsin does not create topics. Asks with a handle of its own.
Status check_topics(const KafkaOptions& options, const std::vector<std::string>& topics);

}  // namespace tocsin::daemon
