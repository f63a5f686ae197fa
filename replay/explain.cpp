#include "replay/explain.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "engine/run/intake.h"
#include "event/decode.h"
#include "event/file_source.h"
#include "event/source.h"
#include "replay/json.h"
#include "replay/reading.h"

namespace tocsin::replay {

namespace {

/// One way through the events, item by item.
class Pass {
 public:
  Pass(const ExplainOptions& options, const engine::Rules& rules, std::vector<std::string> own_lines)
      : options_(options), rules_(rules), own_lines_(std::move(own_lines)) {}

  /// Calls `more` after every record; false: that is all we need.
  template <typename More>
  Status run(engine::Tracer* tracer, const More& more) {
    std::unique_ptr<event::FileSource> files;
    std::uint32_t partitions = 0;
    if (!options_.events.empty()) {
      Result<std::unique_ptr<event::FileSource>> opened = event::FileSource::open(options_.events);
      if (!opened) return opened.error();
      files = opened.take();
      partitions = files->partition_count();
    }
    event::MemorySource own(partitions + 1);
    for (const std::string& line : own_lines_) own.add(partitions, line);
    own.finish();
    if (!own_lines_.empty()) ++partitions;
    Result<engine::Intake> made = engine::Intake::make(rules_.ruleset->schema, {options_.format});
    if (!made) return made.error();
    engine::Intake intake = made.take();
    engine::EngineOptions engine_options;
    engine_options.partitions = partitions;
    engine_options.lateness.assign(partitions, options_.lateness);
    engine_options.dedupe = options_.dedupe;
    engine_options.data_begins = options_.data_begins;
    engine_options.checkpoints = false;
    engine::Engine engine(rules_.ruleset, engine_options);
    engine.trace(tracer);
    engine::Outbox out;
    std::vector<event::RawRecord> records;
    std::vector<std::vector<event::RawRecord>> feeds(partitions);
    std::vector<std::size_t> next(partitions, 0);
    own_taken = 0;
    while (const std::optional<std::uint32_t> partition = next_partition(intake, partitions)) {
      std::vector<event::RawRecord>& feed = feeds[*partition];
      std::size_t& at = next[*partition];
      if (at == feed.size()) {
        feed.clear();
        at = 0;
        const bool of_files = files != nullptr && *partition < files->partition_count();
        event::Source& source = of_files ? static_cast<event::Source&>(*files) : own;
        const std::uint32_t number = *partition;
        Result<std::size_t> polled = source.poll(number, read_ahead, feed);
        if (!polled) return polled.error().while_doing("reading " + source.partition_name(number));
        if (feed.empty() && source.at_end(number)) intake.end(number);
        if (feed.empty()) {
          intake.flush(engine, out);
          if (!more(engine, out)) return {};
          out.clear();
          continue;
        }
      }
      if (*partition + 1 == partitions && !own_lines_.empty()) ++own_taken;
      intake.take(feed[at++], out);
      intake.flush(engine, out);
      if (!more(engine, out)) return {};
      out.clear();
    }
    events_taken = intake.counts().events;
    if (intake.counts().events > 0) intake.tick(intake.counts().last_time);
    if (options_.until) intake.tick(*options_.until);
    intake.flush(engine, out);
    more(engine, out);
    watermark = engine.watermark();
    return {};
  }

  std::size_t own_taken = 0;
  std::uint64_t events_taken = 0;
  Timestamp watermark;

 private:
  static constexpr std::size_t read_ahead = 1024;

  const ExplainOptions& options_;
  const engine::Rules& rules_;
  std::vector<std::string> own_lines_;
};

/// The lines of the event's file: JSON lines, or one object however it is laid out.
std::vector<std::string> lines_of(const std::string& text) {
  if (parse_json(text)) {
    std::string line = text;
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return {line};
  }
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") != std::string::npos) lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

struct Asked {
  std::string id;
  std::optional<event::EventTypeId> type;
};

/// The key of the last line, as the engine will read it.
Result<Asked> event_of(const std::string& line, const ExplainOptions& options, const event::Schema& schema) {
  Result<event::JsonDecoder> decoder = event::JsonDecoder::make(schema, options.format);
  if (!decoder) return decoder.error();
  Arena arena;
  event::PaddedBuffer padded;
  event::Event e;
  const event::DecodeResult read = decoder.value().decode(padded.hold(line), arena, e);
  if (!read) {
    return Error{ErrorKind::refused, "the event does not read: " + std::string(event::to_text(read.reason)) +
                                         (read.field.empty() ? "" : ", field " + std::string(read.field))};
  }
  return Asked{std::string(e.at(schema.events[e.type].key).text()), e.type};
}

/// An event that was refused and seems to be the one asked about.
std::optional<std::string> refused(const engine::Outbox& out, const std::string& id) {
  for (const engine::OutRecord& record : out.records) {
    if (record.stream != engine::OutStream::dead_letters) continue;
    const std::optional<Json> json = parse_json(record.bytes);
    if (!json || (*json)["bytes"].text.find('"' + id + '"') == std::string::npos) continue;
    std::string text = "a line that names " + id + " was refused: " + (*json)["reason"].text;
    if (json->has("field")) text += ", field " + (*json)["field"].text;
    return text + " (partition " + (*json)["partition"].text + ", line " + (*json)["sequence"].text + ")";
  }
  return std::nullopt;
}

struct FoundHit {
  std::string rule;
  Asked last;  // the event that completed it
};

std::string counted_events(std::uint64_t n) { return std::to_string(n) + (n == 1 ? " event" : " events"); }

}  // namespace

Result<Explained> explain(const ExplainOptions& options, const engine::Rules& rules) {
  TOCSIN_CHECK(rules.ok());
  const engine::Ruleset& ruleset = *rules.ruleset;
  Explained explained;
  Asked asked{options.event_id, std::nullopt};
  std::string rule_name = options.rule;
  std::vector<std::string> own_lines = lines_of(options.event_text);
  if (!options.event_text.empty()) {
    if (own_lines.empty()) return Error{ErrorKind::refused, "the file of the event is empty"};
    Result<Asked> event = event_of(own_lines.back(), options, ruleset.schema);
    if (!event) return event.error();
    asked = event.take();
  }
  Pass pass(options, rules, own_lines);
  if (!options.alert_id.empty()) {
    std::optional<FoundHit> found;
    const Status looked = pass.run(nullptr, [&](engine::Engine&, const engine::Outbox& out) {
      for (const engine::OutRecord& record : out.records) {
        if (record.stream != engine::OutStream::hits || record.bytes.find(options.alert_id) == std::string::npos)
          continue;
        const std::optional<Json> json = parse_json(record.bytes);
        if (!json || (*json)["id"].text != options.alert_id || (*json)["events"].items.empty()) continue;
        // The completing event is the last in the order; of one time the last bound is as good.
        const Json* last = &(*json)["events"].items.front();
        for (const Json& e : (*json)["events"].items) {
          if (!((*last)["at"].text > e["at"].text)) last = &e;
        }
        found = FoundHit{(*json)["rule"].text, {(*last)["id"].text, ruleset.schema.find_event((*last)["type"].text)}};
      }
      return !found;
    });
    if (!looked) return looked.error();
    if (!found) {
      explained.said = "no alert and no hit with the id " + options.alert_id + " comes out of " +
                       counted_events(pass.events_taken) +
                       "; ids belong to rules and events: are these the ones it was made from?";
      return explained;
    }
    rule_name = found->rule;
    asked = found->last;
  }
  const auto rule = std::find_if(ruleset.rules.begin(), ruleset.rules.end(),
                                 [&](const engine::RulePlan& r) { return r.info.name == rule_name; });
  if (rule == ruleset.rules.end()) {
    std::string names;
    for (const engine::RulePlan& r : ruleset.rules) names += (names.empty() ? "" : ", ") + r.info.name;
    return Error{ErrorKind::refused, "there is no rule " + rule_name + "; there are: " + names};
  }
  for (const dsl::Rule& r : rules.loaded.book->rules) {
    if (r.name == rule_name && r.off) explained.said += "the rule " + rule_name + " is off (`mode off`)\n";
  }
  explained.words = words_of(rules.loaded, rule_name);
  TOCSIN_CHECK(explained.words.has_value(), rule_name);
  // A rule on a stream of several roles is judged once for each; each has its own account.
  std::uint64_t duplicates = 0;
  std::string letters;
  for (auto role = rule; role != ruleset.rules.end() && role->info.name == rule_name; ++role) {
    engine::Tracer::Wanted wanted;
    wanted.rule = static_cast<std::uint32_t>(role - ruleset.rules.begin());
    wanted.event_id = asked.id;
    wanted.event_type = asked.type;
    wanted.misses = false;
    if (role->pattern) {
      engine::Tracer keys(wanted);
      const Status looked =
          pass.run(&keys, [&](engine::Engine&, const engine::Outbox&) { return keys.accounts.empty(); });
      if (!looked) return looked.error();
      wanted.keys = keys.keys;
      wanted.misses = true;
    }
    engine::Tracer tracer(wanted);
    letters.clear();
    const Status told = pass.run(&tracer, [&](engine::Engine&, const engine::Outbox& out) {
      if (auto letter = refused(out, asked.id)) letters += *letter + "\n";
      const bool all_taken = own_lines.empty() || pass.own_taken == own_lines.size();
      return tracer.accounts.empty() || tracer.waits() || !all_taken;
    });
    if (!told) return told.error();
    for (engine::Account& account : tracer.accounts) explained.accounts.push_back(std::move(account));
    duplicates = tracer.duplicates;
  }
  explained.said += letters;
  if (duplicates > 0) {
    explained.said += "an event with the same key as " + asked.id +
                      " came again and was dropped as a duplicate; this is about the first\n";
  }
  if (explained.accounts.empty() && explained.said.empty()) {
    explained.said = "no event with the key " + asked.id + " is among " + counted_events(pass.events_taken) + "\n";
  }
  for (engine::Account& account : explained.accounts) {
    if (options.alert_id.empty()) continue;
    std::erase_if(account.hits, [&](const engine::TracedHit& hit) { return hit.id != options.alert_id; });
  }
  return explained;
}

std::string to_text(const Explained& explained) {
  std::string text;
  for (const engine::Account& account : explained.accounts) {
    text += (text.empty() ? "" : "\n") + to_text(account, *explained.words);
  }
  if (!explained.said.empty()) {
    text += (text.empty() ? "" : "\n") + explained.said;
    if (text.back() != '\n') text += '\n';
  }
  return text;
}

std::string to_json(const Explained& explained) {
  std::string text = "{\"accounts\":[";
  for (std::size_t i = 0; i < explained.accounts.size(); ++i) {
    text += (i == 0 ? "" : ",") + to_json(explained.accounts[i], *explained.words);
  }
  text += "],\"said\":";
  std::string said = explained.said;
  while (!said.empty() && said.back() == '\n') said.pop_back();
  event::append_json_string(text, said);
  return text + "}\n";
}

}  // namespace tocsin::replay
