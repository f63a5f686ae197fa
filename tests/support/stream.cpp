#include "tests/support/stream.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tocsin::tests {

engine::EngineOptions Stream::complete() {
  engine::EngineOptions options;
  options.data_begins.kind = engine::DataBegins::Kind::complete;
  return options;
}

Stream::Stream(std::shared_ptr<const engine::Ruleset> ruleset, engine::EngineOptions options, std::size_t batch)
    : ruleset_(std::move(ruleset)),
      engine_(ruleset_, options),
      intake_(engine::Intake::make(ruleset_->schema, {event::SourceFormat{}}).take()),
      batch_(batch),
      partitions_(options.partitions) {}

void Stream::send(std::string_view line, std::uint32_t partition) {
  std::string& padded = lines_.emplace_back(line);
  padded.append(event::padding_bytes, '\0');
  event::RawRecord record;
  record.bytes = std::string_view(padded).substr(0, line.size());
  record.position = {partition, ++sequence_};
  engine::Outbox out;
  intake_.take(record, out);
  for (engine::OutRecord& letter : out.records) {
    output_.dead_letters.push_back(*replay::parse_json(letter.bytes));
    output_.lines.push_back("dead_letters " + letter.bytes);
  }
  flush_if_full();
}

void Stream::advance(Timestamp time) {
  intake_.tick(time);
  flush_if_full();
}

bool Stream::give(const std::string& name, const std::vector<std::string>& entries) {
  for (std::uint32_t i = 0; i < ruleset_->lists.size(); ++i) {
    const engine::ListPlan& list = ruleset_->lists[i];
    if (list.name != name) continue;
    engine::Item item;
    item.kind = engine::ItemKind::list_change;
    engine::DataChange change;
    change.number = i;
    for (const std::string& entry : entries) {
      switch (list.element.kind) {
        case event::TypeKind::cidr:
        case event::TypeKind::ip: {
          const std::optional<event::Network> network = event::parse_network(entry);
          if (!network) return false;
          if (list.element.kind == event::TypeKind::ip && network->prefix == 128) {
            change.values.push_back(event::Value::of_ip(network->high, network->low));
          } else {
            change.networks.push_back(*network);
          }
          break;
        }
        case event::TypeKind::text:
        case event::TypeKind::entity: change.values.push_back(event::Value::of_text(texts_.emplace_back(entry))); break;
        case event::TypeKind::integer:
        case event::TypeKind::decimal: {
          const std::optional<Decimal> number = parse_decimal(entry);
          if (!number) return false;
          change.values.push_back(event::Value::of_number(*number));
          break;
        }
        default: return false;
      }
    }
    item.change = std::make_shared<const engine::DataChange>(std::move(change));
    intake_.add(std::move(item));
    flush_if_full();
    return true;
  }
  return false;
}

bool Stream::give_row(const std::string& name, const std::map<std::string, std::string>& cells) {
  for (std::uint32_t t = 0; t < ruleset_->tables.size(); ++t) {
    const engine::TableShape& shape = ruleset_->tables[t].shape;
    if (shape.name != name) continue;
    engine::Item item;
    item.kind = engine::ItemKind::table_change;
    item.time = Timestamp::min();
    engine::DataChange change;
    change.number = t;
    const auto read = [&](const event::Type& type, const std::string& text) -> std::optional<event::Value> {
      switch (type.kind) {
        case event::TypeKind::text:
        case event::TypeKind::entity: return event::Value::of_text(texts_.emplace_back(text));
        case event::TypeKind::integer:
        case event::TypeKind::decimal: {
          const auto number = parse_decimal(text);
          return number ? std::optional(event::Value::of_number(*number)) : std::nullopt;
        }
        case event::TypeKind::time: {
          const auto time = parse_timestamp(text);
          return time ? std::optional(event::Value::of_time(*time)) : std::nullopt;
        }
        case event::TypeKind::ip: return event::parse_ip(text);
        default: return std::nullopt;
      }
    };
    const std::vector<std::string>& key_names = ruleset_->tables[t].shape.key_names;
    for (std::size_t i = 0; i < shape.width(); ++i) {
      const bool key = i < shape.keys.size();
      const auto cell = cells.find(key ? key_names[i] : shape.column_names[i - shape.keys.size()]);
      event::Value value;
      if (cell != cells.end() && key && shape.by_network) {
        const auto network = event::parse_network(cell->second);
        if (!network) return false;
        change.networks.push_back(*network);
      } else if (cell != cells.end()) {
        const auto own = read(key ? shape.keys[i] : shape.columns[i - shape.keys.size()], cell->second);
        if (!own) return false;
        value = *own;
      }
      change.values.push_back(value);
    }
    if (const auto from = cells.find("from"); from != cells.end()) {
      const auto time = parse_timestamp(from->second);
      if (!time) return false;
      item.time = *time;
    }
    item.change = std::make_shared<const engine::DataChange>(std::move(change));
    intake_.add(std::move(item));
    flush_if_full();
    return true;
  }
  return false;
}

void Stream::change_rules(std::shared_ptr<const engine::Ruleset> ruleset) {
  flush();
  ruleset_ = std::move(ruleset);
  engine::Item item;
  item.kind = engine::ItemKind::activation;
  item.ruleset = ruleset_;
  intake_.add(std::move(item));
  flush();
}

void Stream::end() {
  for (std::uint32_t i = 0; i < partitions_; ++i) intake_.end(i);
  if (intake_.counts().events > 0) intake_.tick(intake_.counts().last_time);
  flush();
}

void Stream::flush_if_full() {
  if (intake_.pending_count() >= batch_) flush();
}

void Stream::flush() {
  engine::Outbox out;
  intake_.flush(engine_, out);
  lines_.clear();
  for (engine::OutRecord& record : out.records) {
    replay::Json json = *replay::parse_json(record.bytes);
    output_.lines.push_back(std::string(engine::out_stream_names[static_cast<std::size_t>(record.stream)]) + " " +
                            record.bytes);
    switch (record.stream) {
      case engine::OutStream::hits: output_.hits.push_back(std::move(json)); break;
      case engine::OutStream::alerts: output_.alerts.push_back(std::move(json)); break;
      case engine::OutStream::decisions: output_.decisions.push_back(std::move(json)); break;
      case engine::OutStream::dead_letters: output_.dead_letters.push_back(std::move(json)); break;
    }
  }
}

std::string shared_directory(const std::string& source_directory) {
  if (const char* named = std::getenv("TOCSIN_SHARED"); named != nullptr && *named != '\0') return named;
  std::error_code error;
  const std::filesystem::path beside = std::filesystem::path(source_directory) / ".." / "shared";
  if (std::filesystem::is_directory(beside / "language", error)) return beside.lexically_normal().string();
  return {};
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace tocsin::tests
