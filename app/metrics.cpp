#include "app/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <sstream>

#include "event/schema.h"

namespace tocsin::app {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Gathers families of metrics in the order of calls.
class Page {
 public:
  void begin(const char* name, const char* help, prometheus::MetricType type) {
    families_.push_back({name, help, type, {}});
  }
  void add(const Labels& labels, double value) {
    prometheus::ClientMetric metric;
    for (const auto& [name, text] : labels) metric.label.push_back({name, text});
    if (families_.back().type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    families_.back().metric.push_back(std::move(metric));
  }
  void counter(const char* name, const char* help, std::uint64_t value) {
    begin(name, help, prometheus::MetricType::Counter);
    add({}, static_cast<double>(value));
  }
  void counters(const char* name, const char* help, const char* label,
                const std::map<std::string, std::uint64_t>& values) {
    begin(name, help, prometheus::MetricType::Counter);
    for (const auto& [key, value] : values) add({{label, key}}, static_cast<double>(value));
  }
  void gauge(const char* name, const char* help, double value) {
    begin(name, help, prometheus::MetricType::Gauge);
    add({}, value);
  }
  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

double seconds(std::uint64_t us) { return static_cast<double>(us) / 1e6; }
double seconds(Timestamp t) { return static_cast<double>(t.us) / 1e6; }

/// Writes one JSON object, member by member.
class Object {
 public:
  void text(const char* name, std::string_view value) {
    key(name);
    event::append_json_string(out_, value);
  }
  void number(const char* name, std::uint64_t value) { raw(name, std::to_string(value)); }
  void truth(const char* name, bool value) { raw(name, value ? "true" : "false"); }
  void time(const char* name, Timestamp value) {
    if (value == Timestamp::min()) {
      raw(name, "null");
    } else {
      text(name, to_text(value));
    }
  }
  void raw(const char* name, const std::string& json) {
    key(name);
    out_ += json;
  }
  [[nodiscard]] std::string done() const { return out_ + "}"; }

 private:
  void key(const char* name) {
    if (out_.size() > 1) out_ += ',';
    event::append_json_string(out_, name);
    out_ += ':';
  }
  std::string out_ = "{";
};

template <typename List, typename Write>
std::string array(const List& list, Write write) {
  std::string text = "[";
  for (const auto& one : list) text += (text.size() > 1 ? "," : "") + write(one);
  return text + "]";
}

std::string quoted(std::string_view text) {
  std::string out;
  event::append_json_string(out, text);
  return out;
}

}  // namespace

void Board::publish(daemon::TaskStatus status) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

void Board::alive() {
  const std::lock_guard lock(mutex_);
  alive_ = std::chrono::steady_clock::now();
}

daemon::TaskStatus Board::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::chrono::steady_clock::duration Board::since_alive() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::steady_clock::now() - alive_;
}

std::string metrics_text(const daemon::TaskStatus& status) {
  using prometheus::MetricType;
  Page page;
  const engine::Counters& counters = status.counters;
  page.counter("tocsin_records_total", "Records read from the source since the stream began", status.intake.records);
  page.counter("tocsin_events_total", "Events that arrived since the process began, duplicates and late ones included",
               counters.events);
  page.counter("tocsin_events_judged_total", "Events released in order and evaluated", counters.judged);
  page.counter("tocsin_events_late_total", "Events that came behind the watermark", counters.late);
  page.counter("tocsin_events_duplicate_total", "Events whose id was seen before", counters.duplicates);
  page.begin("tocsin_unknown_fields_total", "Fields in the input that no schema declares", MetricType::Counter);
  for (const event::UnknownField& field : status.unknown_fields) {
    page.add({{"event", field.type}, {"field", field.field}}, static_cast<double>(field.count));
  }
  page.begin("tocsin_dead_letters_total", "Records that were refused since the stream began", MetricType::Counter);
  for (std::size_t i = 0; i < status.intake.dead_letters.size(); ++i) {
    page.add({{"reason", std::string(event::to_text(static_cast<event::Reason>(i)))}},
             static_cast<double>(status.intake.dead_letters[i]));
  }
  // A rule that never fired is there with zero, so that "never fired" can be seen.
  const auto with_all_rules = [&](std::map<std::string, std::uint64_t> counts) {
    for (const auto& rule : status.rules) counts.try_emplace(rule.first, 0);
    return counts;
  };
  page.counters("tocsin_hits_total", "Times a rule was true", "rule", with_all_rules(counters.hits_by_rule));
  page.counters("tocsin_alerts_total", "Alerts made", "rule", with_all_rules(counters.alerts_by_rule));
  page.counters("tocsin_alerts_folded_total", "Hits folded into an open alert", "rule", counters.folded_by_rule);
  page.counters("tocsin_alerts_suppressed_total", "Alerts that another rule suppressed", "rule",
                counters.suppressed_by_rule);
  page.counters("tocsin_alerts_resolved_total", "Alerts that an event resolved", "rule", counters.resolved_by_rule);
  page.counters("tocsin_decisions_total", "Decisions", "action", counters.decisions_by_action);
  page.counters("tocsin_bounds_reached_total", "Bounds that were reached, as rule/bound or engine/bound", "bound",
                counters.bounds);
  page.counter("tocsin_hits_truncated_total", "Hits that a bound may have changed", counters.truncated);
  page.begin("tocsin_unknown_total", "Conditions that could not be answered because a value was missing",
             MetricType::Counter);
  for (const auto& [place, count] : counters.unknown_by_rule_and_field) {
    page.add({{"rule", place.first}, {"field", place.second}}, static_cast<double>(count));
  }
  page.begin("tocsin_reloads_total", "Reloads of the rules", MetricType::Counter);
  page.add({{"result", "ok"}}, static_cast<double>(status.reload.ok));
  page.add({{"result", "failed"}}, static_cast<double>(status.reload.failed));
  page.gauge("tocsin_last_reload_failed", "1 when the last reload failed and the rules before it are running",
             status.reload.last_error.empty() ? 0 : 1);
  const daemon::FillStatus& fill = status.reload.fill;
  page.gauge("tocsin_fill_running", "1 while windows of new rules are filled from the history", fill.running ? 1 : 0);
  page.counter("tocsin_fills_failed_total", "Fills that failed: the windows warm", fill.failed);
  page.begin("tocsin_fill_windows", "Windows that the last reload filled, and those it left warming",
             MetricType::Gauge);
  page.add({{"result", "filled"}}, static_cast<double>(fill.filled.size()));
  page.add({{"result", "warming"}}, static_cast<double>(fill.warming.size()));
  page.gauge("tocsin_fill_events", "Events read for the last fill, or the one that runs",
             static_cast<double>(fill.events));
  page.gauge("tocsin_fill_seconds", "From the begin of reading until the rules went live", seconds(fill.took_us));
  page.gauge("tocsin_fill_stall_seconds", "Of which no event was judged", seconds(fill.pause_us));
  page.counter("tocsin_history_bytes_total", "Bytes of events written to the history, before the disk squeezes them",
               status.history_bytes);
  page.begin("tocsin_ruleset_info", "The active rules, as label", MetricType::Gauge);
  page.add({{"digest", status.digest}}, 1);
  page.gauge("tocsin_rules", "Active rules", static_cast<double>(status.rules.size()));
  page.begin("tocsin_lag_records", "Records that wait in a partition", MetricType::Gauge);
  for (const daemon::PartitionStatus& partition : status.partitions) {
    if (partition.lag) page.add({{"partition", partition.name}}, static_cast<double>(*partition.lag));
  }
  page.begin("tocsin_partition_idle", "1 when a partition is left out of the watermark", MetricType::Gauge);
  for (const daemon::PartitionStatus& partition : status.partitions) {
    page.add({{"partition", partition.name}}, partition.idle || partition.ended ? 1 : 0);
  }
  if (status.watermark != Timestamp::min()) {
    page.gauge("tocsin_watermark_seconds", "Event time up to which everything was judged, seconds since 1970",
               seconds(status.watermark));
  }
  page.counter("tocsin_ticks_total", "Times that time moved on without an event", status.ticks);
  page.gauge("tocsin_keys", "Keys remembered", static_cast<double>(status.keys));
  page.gauge("tocsin_events_waiting", "Events that wait for their place in the order",
             static_cast<double>(status.waiting));
  page.gauge("tocsin_warming", "Features whose window reaches back before the data",
             static_cast<double>(status.warming.size()));
  page.gauge("tocsin_source_up", "0 while the source does not answer", status.trouble.empty() ? 1 : 0);
  const daemon::CheckpointStatus& checkpoint = status.checkpoint;
  page.counter("tocsin_checkpoints_total", "Checkpoints written", checkpoint.count);
  page.gauge("tocsin_checkpoint_last_timestamp_seconds", "When the last checkpoint was written, seconds since 1970",
             seconds(checkpoint.last_at));
  page.gauge("tocsin_checkpoint_last_bytes", "Bytes of the last checkpoint",
             static_cast<double>(checkpoint.last_bytes));
  page.gauge("tocsin_checkpoint_stall_seconds",
             "The longest time at a stretch that the last checkpoint held up the events",
             seconds(checkpoint.last_stall_us));
  page.gauge("tocsin_checkpoint_stall_seconds_max", "The longest of them since the process began",
             seconds(checkpoint.stall_us_max));
  page.begin("tocsin_checkpoint_stall_seconds_total", "All time that checkpoints held up the events",
             MetricType::Counter);
  page.add({}, seconds(checkpoint.stall_us_sum));
  page.gauge("tocsin_checkpoint_capture_seconds", "Of the last one: writing down the state",
             seconds(checkpoint.last_capture_us));
  page.begin("tocsin_checkpoint_capture_seconds_total", "All of them", MetricType::Counter);
  page.add({}, seconds(checkpoint.capture_us_sum));
  return page.text();
}

std::string status_json(const daemon::TaskStatus& status) {
  Object object;
  object.truth("ready", status.ready);
  object.text("ruleset", status.digest);
  object.raw("rules", array(status.rules, [](const auto& rule) {
               Object one;
               one.text("name", rule.first);
               one.text("revision", rule.second);
               return one.done();
             }));
  object.time("watermark", status.watermark);
  object.raw("partitions", array(status.partitions, [](const daemon::PartitionStatus& partition) {
               Object one;
               one.text("name", partition.name);
               one.raw("position", partition.sequence ? std::to_string(*partition.sequence) : "null");
               one.time("largest_time", partition.largest_time);
               one.truth("idle", partition.idle);
               one.truth("ended", partition.ended);
               one.raw("lag", partition.lag ? std::to_string(*partition.lag) : "null");
               return one.done();
             }));
  object.raw("trouble", status.trouble.empty() ? "null" : quoted(status.trouble));
  object.number("events", status.counters.events);
  object.number("late", status.counters.late);
  object.number("duplicates", status.counters.duplicates);
  object.number("dead_letters", status.intake.dead_letter_count());
  object.raw("unknown_fields", array(status.unknown_fields, [](const event::UnknownField& field) {
               Object one;
               one.text("event", field.type);
               one.text("field", field.field);
               one.number("count", field.count);
               return one.done();
             }));
  object.number("decisions", status.counters.decisions);
  object.number("keys", status.keys);
  object.number("waiting", status.waiting);
  object.raw("warming", array(status.warming, [](const std::string& text) { return quoted(text); }));
  Object checkpoint;
  checkpoint.number("count", status.checkpoint.count);
  checkpoint.time("at", status.checkpoint.count > 0 ? status.checkpoint.last_at : Timestamp::min());
  checkpoint.number("bytes", status.checkpoint.last_bytes);
  checkpoint.number("stall_us", status.checkpoint.last_stall_us);
  checkpoint.number("stall_us_max", status.checkpoint.stall_us_max);
  object.raw("checkpoint", checkpoint.done());
  Object reload;
  reload.number("ok", status.reload.ok);
  reload.number("failed", status.reload.failed);
  reload.truth("running", status.reload.running);
  reload.time("at", status.reload.last_at.value_or(Timestamp::min()));
  reload.raw("error", status.reload.last_error.empty() ? "null" : quoted(status.reload.last_error));
  const daemon::FillStatus& filling = status.reload.fill;
  Object fill;
  fill.truth("running", filling.running);
  fill.number("events", filling.events);
  fill.raw("filled", array(filling.filled, [](const std::string& text) { return quoted(text); }));
  fill.raw("warming", array(filling.warming, [](const std::string& text) { return quoted(text); }));
  fill.number("took_us", filling.took_us);
  fill.number("stall_us", filling.pause_us);
  fill.raw("error", filling.last_error.empty() ? "null" : quoted(filling.last_error));
  reload.raw("fill", fill.done());
  object.raw("reload", reload.done());
  object.truth("resumed", status.resumed);
  return object.done() + "\n";
}

}  // namespace tocsin::app
