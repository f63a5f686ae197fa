#include "daemon/kafka_source.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstring>

#include "event/decode.h"

namespace tocsin::daemon {

namespace {

// How often a source in trouble asks whether the brokers are back, and how long it waits for the answer.
constexpr std::chrono::milliseconds probe_every{1000};
constexpr Duration probe_timeout = Duration::milliseconds(200);

std::string name_of(const std::string& topic, std::int32_t partition) {
  return topic + "/" + std::to_string(partition);
}

struct MessageDelete {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};

}  // namespace

Result<std::unique_ptr<KafkaSource>> KafkaSource::open(const KafkaSourceOptions& options,
                                                       const std::vector<FeedPartition>& known) {
  std::unique_ptr<KafkaSource> source(new KafkaSource);
  Result<std::unique_ptr<KafkaClient>> client = KafkaClient::make(KafkaClient::Role::consumer, options.kafka);
  if (!client) return client.error();
  source->client_ = client.take();
  source->brokers_ = options.kafka.brokers;
  for (const std::string& name : options.topics) {
    auto topic = std::make_unique<Topic>();
    topic->name = name;
    // Before anybody else asks for the topic: librdkafka keeps the settings, and with them the pointer, of the first.
    rd_kafka_topic_conf_t* config = rd_kafka_topic_conf_new();
    rd_kafka_topic_conf_set_opaque(config, topic.get());
    topic->handle = rd_kafka_topic_new(source->client_->get(), name.c_str(), config);
    if (topic->handle == nullptr) return Error{ErrorKind::refused, "`" + name + "` is no name of a Kafka topic"};
    source->topics_.push_back(std::move(topic));
  }
  for (const std::unique_ptr<Topic>& topic : source->topics_) {
    Result<std::uint32_t> count = source->client_->partition_count(topic->name);
    if (!count) return count.error().while_doing("source");
    for (std::uint32_t p = 0; p < count.value(); ++p) topic->numbers[static_cast<std::int32_t>(p)] = 0;
  }

  // Numbers: first what the state directory knows, in its order, then what is new.
  struct Place {
    std::size_t topic = 0;
    std::int32_t number = 0;
  };
  std::map<std::string, Place> places;
  std::vector<std::string> order;
  for (std::size_t t = 0; t < source->topics_.size(); ++t) {
    for (const auto& [number, unused] : source->topics_[t]->numbers) {
      const std::string name = name_of(source->topics_[t]->name, number);
      places[name] = {t, number};
      order.push_back(name);
    }
  }
  const auto add = [&](const FeedPartition& partition) {
    const Place place = places.at(partition.name);
    source->topics_[place.topic]->numbers[place.number] = static_cast<std::uint32_t>(source->partitions_.size());
    source->partitions_.push_back({place.topic, place.number, partition.first, false});
    source->names_.push_back(partition);
  };
  for (const FeedPartition& partition : known) {
    if (!places.contains(partition.name)) {
      return Error{ErrorKind::refused, "the state directory has read from " + partition.name +
                                           " (topic/partition), which is not among source.topics on " +
                                           options.kafka.brokers +
                                           "; name the topic again, or begin with another state directory"};
    }
    add(partition);
  }
  for (const std::string& name : order) {
    const auto has_name = [&name](const FeedPartition& p) { return p.name == name; };
    if (std::any_of(known.begin(), known.end(), has_name)) continue;
    const Place place = places.at(name);
    Result<KafkaClient::Range> range = source->client_->range(
        source->topics_[place.topic]->name, static_cast<std::uint32_t>(place.number), options.kafka.connect_timeout);
    if (!range) return range.error().while_doing("source");
    // A partition that came later has brought nothing that was not for us: it is read from its beginning.
    const bool latest = options.start == KafkaSourceOptions::Start::latest && known.empty();
    add({name, latest ? range.value().end : range.value().begin});
  }
  return source;
}

KafkaSource::~KafkaSource() {
  for (const Partition& partition : partitions_) {
    if (begun_) rd_kafka_consume_stop(topics_[partition.topic]->handle, partition.number);
  }
  if (queue_ != nullptr) rd_kafka_queue_destroy(queue_);
  for (const auto& topic : topics_) {
    if (topic->handle != nullptr) rd_kafka_topic_destroy(topic->handle);
  }
}

Status KafkaSource::seek(const event::SourcePosition& position) {
  if (position.partition >= partitions_.size()) {
    return Error{ErrorKind::corrupt, "the state directory holds a position in partition " +
                                         std::to_string(position.partition) + ", which it does not name"};
  }
  partitions_[position.partition].next = position.sequence + 1;
  return {};
}

// Before the first record: what is to be read must still be there, and must be there already.
Status KafkaSource::begin() {
  queue_ = rd_kafka_queue_new(client_->get());
  for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
    const Partition& partition = partitions_[i];
    Topic& topic = *topics_[partition.topic];
    Result<KafkaClient::Range> range =
        client_->range(topic.name, static_cast<std::uint32_t>(partition.number), Duration::seconds(10));
    if (!range) return range.error().while_doing("source");
    if (partition.next > range.value().end) {
      return Error{ErrorKind::refused,
                   names_[i].name + " ends at offset " + std::to_string(range.value().end) +
                       ", but the state directory has read up to " + std::to_string(partition.next) +
                       ": the topic was made anew or lost records; begin with another state directory"};
    }
    if (partition.next < range.value().begin) {
      return Error{ErrorKind::refused,
                   names_[i].name + " no longer holds offset " + std::to_string(partition.next) +
                       ", the next to be read; its first is " + std::to_string(range.value().begin) +
                       ": events were lost to the topic's retention; begin with another state directory"};
    }
    // The older consumer of librdkafka, without a group: nobody else shares these partitions, and no right to a group
    // is needed.
    if (rd_kafka_consume_start_queue(topic.handle, partition.number, static_cast<std::int64_t>(partition.next),
                                     queue_) != 0) {
      return Error{ErrorKind::unavailable,
                   "reading " + names_[i].name + ": " + rd_kafka_err2str(rd_kafka_last_error())};
    }
  }
  begun_ = true;
  return {};
}

Result<std::size_t> KafkaSource::poll(const engine::Intake&, std::size_t max, Duration wait,
                                      std::vector<event::RawRecord>& out) {
  if (!begun_) {
    if (Status begun = begin(); !begun) return begun.error();
  }
  const std::size_t before = out.size();
  int wait_ms = static_cast<int>(wait.us / 1000);
  while (out.size() - before < max) {
    const std::unique_ptr<rd_kafka_message_t, MessageDelete> message(rd_kafka_consume_queue(queue_, wait_ms));
    if (!message) break;
    if (Status taken = take(*message, out); !taken) return taken.error();
    if (out.size() > before) wait_ms = 0;
  }
  client_->serve({});
  if (!client_->fatal.empty()) return Error{ErrorKind::unavailable, "Kafka source: " + client_->fatal};
  if (client_->all_brokers_down && trouble_.empty()) {
    trouble_ = "no Kafka broker of " + brokers_ + " answers (" + client_->last_error + "); waiting for them";
    probed_ = std::chrono::steady_clock::now();
  }
  if (!trouble_.empty()) probe();
  return out.size() - before;
}

Status KafkaSource::take(const rd_kafka_message_s& message, std::vector<event::RawRecord>& out) {
  if (message.rkt == nullptr) {  // about the handle, not a partition
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) client_->last_error = rd_kafka_message_errstr(&message);
    return {};
  }
  const Topic& topic = *static_cast<const Topic*>(rd_kafka_topic_opaque(message.rkt));
  const auto found = topic.numbers.find(message.partition);
  if (found == topic.numbers.end()) return {};
  const std::uint32_t number = found->second;
  Partition& partition = partitions_[number];
  switch (message.err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: partition.at_end = true; return {};
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return Error{ErrorKind::refused,
                   names_[number].name + " does not hold offset " + std::to_string(partition.next) +
                       ", the next to be read: it was lost to the topic's retention, or the topic was made anew; begin "
                       "with another state directory"};
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return Error{ErrorKind::refused, "reading " + names_[number].name + " is not allowed to this user"};
    default:
      // A broker that comes up again says strange things for a moment; all of them are waited out, visibly.
      trouble_ = "reading " + names_[number].name + ": " + rd_kafka_message_errstr(&message) + "; trying again";
      probed_ = std::chrono::steady_clock::now();
      return {};
  }
  partition.at_end = false;
  const auto offset = static_cast<std::uint64_t>(message.offset);
  if (offset < partition.next) return {};  // fetched twice around a reconnect
  partition.next = offset + 1;
  char* bytes = bytes_.allocate(message.len + event::padding_bytes);
  if (message.len > 0) std::memcpy(bytes, message.payload, message.len);
  std::memset(bytes + message.len, 0, event::padding_bytes);
  event::RawRecord record;
  record.bytes = std::string_view(bytes, message.len);
  record.position = {number, offset};
  record.next_offset = offset + 1;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t ms = rd_kafka_message_timestamp(&message, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && ms > 0) record.arrival = Timestamp{} + Duration::milliseconds(ms);
  out.push_back(record);
  return {};
}

// In trouble: are they back?
void KafkaSource::probe() {
  const auto now = std::chrono::steady_clock::now();
  if (now - probed_ < probe_every) return;
  bool all = true;
  for (const Partition& partition : partitions_) {
    all = all &&
          client_->range(topics_[partition.topic]->name, static_cast<std::uint32_t>(partition.number), probe_timeout)
              .ok();
    if (!all) break;
  }
  probed_ = std::chrono::steady_clock::now();
  if (!all) return;
  client_->all_brokers_down = false;
  trouble_.clear();
}

std::optional<std::uint64_t> KafkaSource::lag(std::uint32_t number) const {
  const Partition& partition = partitions_[number];
  std::int64_t low = 0;
  std::int64_t high = 0;
  // What the last fetch brought along: no question to the broker.
  const rd_kafka_resp_err_t error = rd_kafka_get_watermark_offsets(
      client_->get(), topics_[partition.topic]->name.c_str(), partition.number, &low, &high);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0) return std::nullopt;
  const auto end = static_cast<std::uint64_t>(high);
  return end > partition.next ? end - partition.next : 0;
}

}  // namespace tocsin::daemon
