#include "daemon/kafka_commit.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdlib>

namespace tocsin::daemon {

namespace {

// librdkafka counts its own overhead of a record; ours stays below by this much.
constexpr std::size_t record_overhead_bytes = 1024;
constexpr Duration wait_step = Duration::milliseconds(100);

/// What goes out instead of a dead letter that Kafka would not take: where it is to be found. Its key is
/// PARTITION-SEQUENCE. The source's name is taken over as it is written: inside of a text of the record its quotes would be escaped.
std::string short_dead_letter(const engine::OutRecord& record) {
  const std::size_t dash = record.key.find('-');
  std::string source;
  const std::size_t begin = record.bytes.find(R"(,"source":")");
  const std::size_t end = record.bytes.find(R"(,"partition":)");
  if (begin < end && end != std::string::npos) source = record.bytes.substr(begin, end - begin);
  return R"({"reason":"too_large_for_sink")" + source + R"(,"partition":)" + record.key.substr(0, dash) +
         R"(,"sequence":)" + record.key.substr(dash + 1) + R"(,"size":)" + std::to_string(record.bytes.size()) + "}";
}

}  // namespace

Result<std::unique_ptr<KafkaCommit>> KafkaCommit::open(const KafkaCommitOptions& options, state::Store& store,
                                                       Notices notices, std::function<bool()> waiting) {
  std::vector<std::string> named;
  for (const std::string& topic : options.topics) {
    if (!topic.empty()) named.push_back(topic);
  }
  if (Status there = check_topics(options.kafka, named); !there) return there.error().while_doing("sink");
  Result<std::unique_ptr<KafkaClient>> client = KafkaClient::make(KafkaClient::Role::producer, options.kafka);
  if (!client) return client.error().while_doing("sink");
  std::unique_ptr<KafkaCommit> commit(new KafkaCommit(store, std::move(notices), std::move(waiting)));
  commit->client_ = client.take();
  commit->names_ = options.topics;
  const auto limit = options.kafka.settings.find("message.max.bytes");
  if (limit != options.kafka.settings.end()) {
    commit->record_bytes_max_ = static_cast<std::size_t>(std::max(std::atoll(limit->second.c_str()), 2048LL));
  }
  for (std::size_t i = 0; i < options.topics.size(); ++i) {
    if (options.topics[i].empty()) continue;
    commit->topics_[i] = rd_kafka_topic_new(commit->client_->get(), options.topics[i].c_str(), nullptr);
    if (commit->topics_[i] == nullptr)
      return Error{ErrorKind::refused, "`" + options.topics[i] + "` is no name of a Kafka topic"};
  }
  return commit;
}

KafkaCommit::~KafkaCommit() {
  for (rd_kafka_topic_s* topic : topics_) {
    if (topic != nullptr) rd_kafka_topic_destroy(topic);
  }
}

Status KafkaCommit::failure() const {
  if (!client_->fatal.empty()) return Error{ErrorKind::unavailable, "Kafka sink: " + client_->fatal};
  if (client_->failed_deliveries > 0) {
    return Error{ErrorKind::unavailable, "Kafka did not take " + std::to_string(client_->failed_deliveries) +
                                             " records (" + client_->first_failure +
                                             "); a restart sends them again from the last checkpoint"};
  }
  return {};
}

Status KafkaCommit::patience(const char* what) {
  if (Status fine = failure(); !fine) return fine;
  if (client_->all_brokers_down && !said_waiting_ && notices_) {
    said_waiting_ = true;
    notices_({Level::warning,
              "sink_trouble",
              std::string(what) + ": no Kafka broker answers (" + client_->last_error + "); waiting for them",
              {}});
  }
  if (waiting_ && !waiting_()) {
    return Error{ErrorKind::unavailable,
                 std::string(what) + ": given up; a restart sends again from the last checkpoint"};
  }
  return {};
}

Status KafkaCommit::produce(std::size_t stream, const std::string& key, const std::string& bytes) {
  for (;;) {
    // librdkafka copies the bytes; the parameters are not const for the sake of its other mode.
    const int done =
        rd_kafka_produce(topics_[stream], RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, const_cast<char*>(bytes.data()),
                         bytes.size(), key.empty() ? nullptr : key.data(), key.size(), nullptr);
    if (done == 0) return {};
    const rd_kafka_resp_err_t error = rd_kafka_last_error();
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      return Error{ErrorKind::unavailable, "writing to topic " + names_[stream] + ": " + rd_kafka_err2str(error)};
    }
    client_->serve(wait_step);
    if (Status on = patience("waiting for room to send"); !on) return on;
  }
}

Status KafkaCommit::deliver(const engine::Outbox& outbox) {
  for (const engine::OutRecord& record : outbox.records) {
    const auto stream = static_cast<std::size_t>(record.stream);
    if (topics_[stream] == nullptr) continue;
    const bool too_large = record.bytes.size() + record.key.size() + record_overhead_bytes > record_bytes_max_;
    const bool letter = record.stream == engine::OutStream::dead_letters;
    if (too_large && letter && notices_) {
      notices_({Level::warning,
                "dead_letter_cut",
                "a dead letter of " + std::to_string(record.bytes.size()) +
                    " bytes is more than the sink takes; its place in the source was sent instead",
                {{"place", record.key}}});
    }
    if (Status done = produce(stream, record.key, too_large && letter ? short_dead_letter(record) : record.bytes);
        !done)
      return done;
  }
  client_->serve({});
  return failure();
}

Status KafkaCommit::seal(state::WriteSet&) {
  while (rd_kafka_outq_len(client_->get()) > 0) {
    rd_kafka_flush(client_->get(), static_cast<int>(wait_step.us / 1000));
    if (Status on = patience("waiting for Kafka to acknowledge"); !on) return on;
  }
  client_->serve({});  // the last reports
  if (Status fine = failure(); !fine) return fine;
  client_->all_brokers_down = false;
  said_waiting_ = false;
  return {};
}

Status KafkaCommit::settle(const state::WriteSet& writes) { return store_.commit(writes); }

}  // namespace tocsin::daemon
