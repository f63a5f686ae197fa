#include "tests/bench/driver.h"

#include "base/check.h"
#include "tests/bench/measure.h"

namespace tocsin::bench {

namespace {

engine::EngineOptions options_of(bool checkpoints, Duration history) {
  engine::EngineOptions options;
  options.data_begins.kind = engine::DataBegins::Kind::complete;
  options.checkpoints = checkpoints;
  options.history.all = history;
  return options;
}

template <typename T>
T must(Result<T> result) {
  TOCSIN_CHECK(static_cast<bool>(result));
  return result.take();
}

}  // namespace

Driver::Driver(std::shared_ptr<const engine::Ruleset> ruleset, bool checkpoints, Duration history)
    : engine_(ruleset, options_of(checkpoints, history)),
      intake_(must(engine::Intake::make(ruleset->schema, {event::SourceFormat{}}))),
      decoder_(must(event::JsonDecoder::make(ruleset->schema, event::SourceFormat{}))) {}

void Driver::drain() {
  records_ += out_.records.size();
  for (const engine::OutRecord& record : out_.records) {
    if (record.stream == engine::OutStream::dead_letters) ++dead_letters_;
  }
  out_.clear();
}

double Driver::take_lines(std::span<const std::string_view> lines) {
  const double begin = thread_seconds();
  event::RawRecord record;
  for (const std::string_view line : lines) {
    record.bytes = line;
    record.position.sequence = ++sequence_;
    record.next_offset += line.size() + 1;
    intake_.take(record, out_);
    if (intake_.pending_count() < batch) continue;
    intake_.flush(engine_, out_);
    drain();
  }
  intake_.flush(engine_, out_);
  drain();
  const double seconds = thread_seconds() - begin;
  TOCSIN_CHECK(dead_letters_ == 0, dead_letters_);
  return seconds;
}

double Driver::take_decoded(std::span<const std::string_view> lines) {
  double seconds = 0;
  while (!lines.empty()) {
    const std::size_t count = std::min(lines.size(), batch);
    items_.clear();
    arena_.clear();
    for (const std::string_view line : lines.first(count)) {
      engine::Item& item = items_.emplace_back();
      const bool decoded = static_cast<bool>(decoder_.decode(line, arena_, item.event));
      TOCSIN_CHECK(decoded);
      item.event.position.sequence = ++sequence_;
      item.time = item.event.time;
    }
    const double begin = thread_seconds();
    engine_.step(items_, out_);
    seconds += thread_seconds() - begin;
    drain();
    lines = lines.subspan(count);
  }
  return seconds;
}

}  // namespace tocsin::bench
