#include "daemon/kafka_client.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

namespace tocsin::daemon {

namespace {

struct Fixed {
  const char* name;
  const char* value;
};

// What our promises rest on; a configuration that sets one of these is refused.
constexpr std::array<Fixed, 7> fixed_consumer = {{
    {"enable.auto.commit", "false"},  // positions are in our store, with the state they belong to
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},  // a gap is told, never jumped over
    {"isolation.level", "read_committed"},
    {"allow.auto.create.topics", "false"},
    {"enable.partition.eof", "true"},  // who is at the end may become idle
    {"check.crcs", "true"},
}};
constexpr std::array<Fixed, 4> fixed_producer = {{
    {"enable.idempotence", "true"},  // in order and once, as long as the process lives
    {"acks", "all"},
    {"delivery.report.only.error", "true"},
    {"allow.auto.create.topics", "false"},
}};
// What may be set otherwise.
constexpr std::array<Fixed, 5> usual_consumer = {{
    {"client.id", "tocsin"},
    {"fetch.wait.max.ms", "50"},  // 500 would delay quiet topics
    {"fetch.error.backoff.ms", "100"},
    {"queued.min.messages", "50000"},
    {"reconnect.backoff.max.ms", "2000"},
}};
constexpr std::array<Fixed, 6> usual_producer = {{
    {"client.id", "tocsin"},
    {"linger.ms", "5"},
    {"compression.codec", "lz4"},
    {"partitioner", "murmur2_random"},  // as Java's: other producers put the same key into the same partition
    {"queue.buffering.max.kbytes", "262144"},
    {"reconnect.backoff.max.ms", "2000"},
}};

int to_ms(Duration d) { return static_cast<int>(std::clamp<std::int64_t>(d.us / 1000, 0, 3'600'000)); }

struct ConfigDelete {
  void operator()(rd_kafka_conf_s* config) const { rd_kafka_conf_destroy(config); }
};

void no_log(const rd_kafka_t*, int, const char*, const char*) {}  // what matters comes as an error as well

}  // namespace

void KafkaClient::on_error(rd_kafka_s* handle, int error, const char* reason, void* opaque) {
  auto& client = *static_cast<KafkaClient*>(opaque);
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, 512> text{};
    rd_kafka_fatal_error(handle, text.data(), text.size());
    client.fatal = text.data();
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    client.all_brokers_down = true;
    return;
  }
  client.last_error = reason;
}

void KafkaClient::on_delivery(rd_kafka_s*, const rd_kafka_message_s* message, void* opaque) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  auto& client = *static_cast<KafkaClient*>(opaque);
  if (client.failed_deliveries++ == 0) {
    client.first_failure =
        std::string("topic ") + rd_kafka_topic_name(message->rkt) + ": " + rd_kafka_err2str(message->err);
  }
}

Result<std::unique_ptr<KafkaClient>> KafkaClient::make(Role role, const KafkaOptions& options) {
  std::unique_ptr<KafkaClient> client(new KafkaClient);
  client->options_ = options;
  std::unique_ptr<rd_kafka_conf_s, ConfigDelete> config(rd_kafka_conf_new());
  std::array<char, 512> text{};
  const auto set = [&](const char* name, const char* value) -> Status {
    if (rd_kafka_conf_set(config.get(), name, value, text.data(), text.size()) == RD_KAFKA_CONF_OK) return {};
    // librdkafka's sentence may quote the value, and a value may be a secret.
    return Error{ErrorKind::refused,
                 std::string("librdkafka does not take the setting ") + name + "; its manual lists names and values"};
  };
  const auto set_all = [&](const auto& settings) -> Status {
    for (const Fixed& setting : settings) {
      if (Status done = set(setting.name, setting.value); !done) return done;
    }
    return {};
  };
  const bool consumer = role == Role::consumer;
  if (Status done = consumer ? set_all(usual_consumer) : set_all(usual_producer); !done) return done.error();
  for (const auto& [name, value] : options.settings) {
    const auto is_fixed = [&name = name](const Fixed& setting) { return name == setting.name; };
    const bool fixed = consumer ? std::any_of(fixed_consumer.begin(), fixed_consumer.end(), is_fixed)
                                : std::any_of(fixed_producer.begin(), fixed_producer.end(), is_fixed);
    if (fixed || name == "bootstrap.servers" || name == "metadata.broker.list") {
      return Error{ErrorKind::refused,
                   "the Kafka setting " + name + " is tocsin's own and cannot be set here; leave it out"};
    }
    if (Status done = set(name.c_str(), value.c_str()); !done) return done.error();
  }
  if (Status done = consumer ? set_all(fixed_consumer) : set_all(fixed_producer); !done) return done.error();
  if (Status done = set("bootstrap.servers", options.brokers.c_str()); !done) return done.error();
  rd_kafka_conf_set_opaque(config.get(), client.get());
  rd_kafka_conf_set_log_cb(config.get(), no_log);
  rd_kafka_conf_set_error_cb(config.get(), on_error);
  if (!consumer) rd_kafka_conf_set_dr_msg_cb(config.get(), on_delivery);
  client->handle_ =
      rd_kafka_new(consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, config.get(), text.data(), text.size());
  if (client->handle_ == nullptr) {
    return Error{ErrorKind::refused, std::string("the Kafka settings do not fit together: ") + text.data()};
  }
  [[maybe_unused]] auto* owned = config.release();  // rd_kafka_new took it
  return client;
}

KafkaClient::~KafkaClient() {
  if (handle_ != nullptr) rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void KafkaClient::serve(Duration wait) { rd_kafka_poll(handle_, to_ms(wait)); }

Error KafkaClient::no_answer(const std::string& what) const {
  std::string text =
      what + ": no answer from the Kafka brokers " + options_.brokers + " in " + to_text(options_.connect_timeout);
  if (!last_error.empty()) text += " (" + last_error + ")";
  return {ErrorKind::unavailable, text + "; check `brokers`, that a broker runs there, and the network between"};
}

Result<std::uint32_t> KafkaClient::partition_count(const std::string& topic) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(options_.connect_timeout.us);
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    rd_kafka_topic_t* asked = rd_kafka_topic_new(handle_, topic.c_str(), nullptr);
    if (asked == nullptr) return Error{ErrorKind::refused, "`" + topic + "` is no name of a Kafka topic"};
    const struct rd_kafka_metadata* metadata = nullptr;  // a function has the same name
    const rd_kafka_resp_err_t error =
        rd_kafka_metadata(handle_, 0, asked, &metadata, static_cast<int>(std::max<std::int64_t>(left, 1)));
    rd_kafka_topic_destroy(asked);
    serve({});
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        if (left > 0 && error == RD_KAFKA_RESP_ERR__TRANSPORT) {
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
          continue;
        }
        return no_answer("asking for topic " + topic);
      }
      return Error{ErrorKind::unavailable,
                   "asking the Kafka brokers for topic " + topic + ": " + rd_kafka_err2str(error)};
    }
    rd_kafka_resp_err_t answer = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    std::uint32_t count = 0;
    if (metadata->topic_cnt == 1) {
      answer = metadata->topics[0].err;
      count = static_cast<std::uint32_t>(metadata->topics[0].partition_cnt);
    }
    rd_kafka_metadata_destroy(metadata);
    switch (answer) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (count > 0) return count;
        break;
      case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: break;  // being created, or a broker is just coming up
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return Error{ErrorKind::not_found,
                     "there is no topic " + topic + " on the Kafka brokers " + options_.brokers +
                         "; tocsin does not create topics: create it, or correct the configuration"};
      default:
        return Error{ErrorKind::refused,
                     "topic " + topic + " on the Kafka brokers " + options_.brokers + ": " + rd_kafka_err2str(answer)};
    }
    if (left <= 0)
      return Error{ErrorKind::unavailable,
                   "topic " + topic + " has no leader at present; try again when the brokers are up"};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<KafkaClient::Range> KafkaClient::range(const std::string& topic, std::uint32_t partition, Duration timeout) {
  std::int64_t low = 0;
  std::int64_t high = 0;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
      handle_, topic.c_str(), static_cast<std::int32_t>(partition), &low, &high, to_ms(timeout));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    serve({});
    return Error{ErrorKind::unavailable, "asking for the offsets of " + topic + "/" + std::to_string(partition) + ": " +
                                             rd_kafka_err2str(error)};
  }
  return Range{static_cast<std::uint64_t>(std::max<std::int64_t>(low, 0)),
               static_cast<std::uint64_t>(std::max<std::int64_t>(high, 0))};
}

Status check_topics(const KafkaOptions& options, const std::vector<std::string>& topics) {
  KafkaOptions asking = options;
  // Settings of producers mean nothing here, and librdkafka only takes those it knows for both.
  for (auto it = asking.settings.begin(); it != asking.settings.end();) {
    const auto is_fixed = [&it](const Fixed& setting) { return it->first == setting.name; };
    const bool ours = std::any_of(fixed_consumer.begin(), fixed_consumer.end(), is_fixed);
    it = ours ? asking.settings.erase(it) : std::next(it);
  }
  Result<std::unique_ptr<KafkaClient>> client = KafkaClient::make(KafkaClient::Role::consumer, asking);
  if (!client) return client.error();
  for (const std::string& topic : topics) {
    if (Result<std::uint32_t> count = client.value()->partition_count(topic); !count) return count.error();
  }
  return {};
}

}  // namespace tocsin::daemon
