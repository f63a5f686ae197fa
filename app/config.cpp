#include "app/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "dsl/diagnostic.h"

namespace tocsin::app {

namespace {

constexpr std::string_view mask = "********";
constexpr std::uint32_t shards_max = 256;
constexpr std::size_t batch_max = 65'536;
const char* const duration_hint = "a duration such as 250ms, 30s, 10m or 1h30m";

/// A node that is not there must not be asked what it is: yaml-cpp would throw.
bool is_map(const YAML::Node& node) { return node.IsDefined() && node.IsMap(); }

/// Reads nodes, gathers mistakes. yaml-cpp throws on wrong conversions; nothing here asks it for one: scalars are taken
/// as text.
class Reader {
 public:
  Reader(std::string path, const Environment& environment)
      : path_(std::move(path)), base_(std::filesystem::path(path_).parent_path()), environment_(environment) {}

  [[nodiscard]] bool ok() const { return problems_.empty(); }
  [[nodiscard]] Error error() const {
    std::string text;
    for (const auto& [line, problem] : problems_) {
      if (!text.empty()) text += "\n";
      text += path_ + (line > 0 ? ":" + std::to_string(line) : "") + ": " + problem;
    }
    return {ErrorKind::refused, text};
  }
  void problem(const YAML::Node& node, const std::string& text) {
    problems_.emplace(node.IsDefined() && node.Mark().line >= 0 ? node.Mark().line + 1 : 0, text);
  }

  /// A mapping with only these keys; false (and said) when it is something else. Absent or empty is an empty mapping.
  bool keys(const YAML::Node& node, const std::string& where, const std::vector<std::string>& known) {
    if (!node.IsDefined() || node.IsNull()) return true;
    if (!node.IsMap()) {
      problem(node, (where.empty() ? "the configuration" : where) + " must be a mapping of keys to values");
      return false;
    }
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        problem(entry.first, "a key in " + where + " is not a word");
        continue;
      }
      const std::string& key = entry.first.Scalar();
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string near = dsl::nearest_name(key, known);
      std::string list;
      for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
      problem(entry.first, "unknown key `" + key + "`" + (where.empty() ? "" : " in " + where) +
                               (near.empty() ? "; known are: " + list : "; did you mean `" + near + "`?"));
    }
    return true;
  }

  /// The text of a scalar with the environment put in; nothing when absent or wrong.
  std::optional<std::string> text(const YAML::Node& node, const std::string& name) {
    if (!node.IsDefined() || node.IsNull()) return std::nullopt;
    if (!node.IsScalar()) {
      problem(node, "`" + name + "` must be a single value");
      return std::nullopt;
    }
    return substituted(node, name);
  }
  std::vector<std::string> list(const YAML::Node& node, const std::string& name) {
    std::vector<std::string> texts;
    if (!node.IsDefined() || node.IsNull()) return texts;
    if (node.IsScalar()) {
      if (auto one = substituted(node, name)) texts.push_back(*one);
      return texts;
    }
    if (!node.IsSequence()) {
      problem(node, "`" + name + "` must be a list");
      return texts;
    }
    for (const YAML::Node& entry : node) {
      if (auto one = text(entry, name)) texts.push_back(*one);
    }
    return texts;
  }
  std::vector<std::string> paths(const YAML::Node& node, const std::string& name) {
    std::vector<std::string> list_of = list(node, name);
    for (std::string& one : list_of) one = resolved(one);
    return list_of;
  }
  std::map<std::string, std::string> settings(const YAML::Node& node, const std::string& name) {
    std::map<std::string, std::string> map;
    if (!node.IsDefined() || node.IsNull()) return map;
    if (!node.IsMap()) {
      problem(node, "`" + name + "` must be a mapping of settings to values");
      return map;
    }
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        problem(entry.first, "a key in " + name + " is not a word");
        continue;
      }
      if (auto value = text(entry.second, name + "." + entry.first.Scalar())) map[entry.first.Scalar()] = *value;
    }
    return map;
  }
  void duration(const YAML::Node& node, const std::string& name, Duration& to, Duration least) {
    const auto value = text(node, name);
    if (!value) return;
    const auto parsed = parse_duration(*value);
    if (!parsed || *parsed < least) {
      problem(node, "`" + name + "` must be " + duration_hint + (least.us > 0 ? ", at least " + to_text(least) : "") +
                        ", not `" + *value + "`");
      return;
    }
    to = *parsed;
  }
  void number(const YAML::Node& node, const std::string& name, std::uint64_t least, std::uint64_t most,
              const std::function<void(std::uint64_t)>& take) {
    const auto value = text(node, name);
    if (!value) return;
    const bool digits =
        !value->empty() && value->size() <= 18 && value->find_first_not_of("0123456789") == std::string::npos;
    const std::uint64_t parsed = digits ? std::strtoull(value->c_str(), nullptr, 10) : 0;
    if (!digits || parsed < least || parsed > most) {
      problem(node, "`" + name + "` must be a whole number from " + std::to_string(least) + " to " +
                        std::to_string(most) + ", not `" + *value + "`");
      return;
    }
    take(parsed);
  }
  /// The place of the value among `choices`; nothing when absent or wrong.
  std::optional<std::size_t> choice(const YAML::Node& node, const std::string& name,
                                    const std::vector<std::string>& choices) {
    const auto value = text(node, name);
    if (!value) return std::nullopt;
    const auto found = std::find(choices.begin(), choices.end(), *value);
    if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
    std::string all;
    for (const std::string& one : choices) all += (all.empty() ? "" : ", ") + one;
    problem(node, "`" + name + "` must be one of " + all + ", not `" + *value + "`");
    return std::nullopt;
  }
  [[nodiscard]] std::string resolved(const std::string& path) const {
    const std::filesystem::path given(path);
    if (given.is_absolute() || base_.empty()) return path;
    return (base_ / given).lexically_normal().string();
  }

 private:
  std::optional<std::string> substituted(const YAML::Node& node, const std::string& name) {
    const std::string& raw = node.Scalar();
    std::string value;
    for (std::size_t at = 0; at < raw.size();) {
      const std::size_t begin = raw.find("${", at);
      if (begin == std::string::npos) {
        value += raw.substr(at);
        break;
      }
      value += raw.substr(at, begin - at);
      const std::size_t end = raw.find('}', begin);
      if (end == std::string::npos) {
        problem(node, "`" + name + "`: ${ without its closing }");
        return std::nullopt;
      }
      const std::string inside = raw.substr(begin + 2, end - begin - 2);
      const std::size_t sign = inside.find(":-");
      const std::string variable = inside.substr(0, sign);
      const auto known = environment_(variable);
      if (known && !(known->empty() && sign != std::string::npos)) {
        value += *known;
      } else if (sign != std::string::npos) {
        value += inside.substr(sign + 2);
      } else {
        problem(node, "`" + name + "`: the environment has no variable " + variable + "; set it, or write ${" +
                          variable + ":-default}");
        return std::nullopt;
      }
      at = end + 1;
    }
    return value;
  }

  std::string path_;
  std::filesystem::path base_;
  const Environment& environment_;
  std::multimap<int, std::string> problems_;
};

const std::vector<std::string> stream_keys = {"hits", "alerts", "decisions", "dead letters"};
const std::vector<std::string> time_formats = {"rfc3339", "epoch s", "epoch ms", "epoch us"};
const std::vector<std::string> source_kinds = {"kafka", "files", "stdin"};
const std::vector<std::string> sink_kinds = {"kafka", "files", "stdout"};
const std::vector<std::string> log_levels = {"debug", "info", "warning", "error"};
const std::vector<std::string> log_formats = {"text", "json"};

void read_format(Reader& reader, const YAML::Node& node, event::SourceFormat& format) {
  if (!reader.keys(node, "source.format",
                   {"type field", "fixed type", "time", "truncate", "currency", "latitude", "longitude", "fields"}))
    return;
  if (!is_map(node)) return;
  if (auto text = reader.text(node["type field"], "type field")) format.type_field = *text;
  if (auto text = reader.text(node["fixed type"], "fixed type")) format.fixed_type = *text;
  if (auto choice = reader.choice(node["time"], "time", time_formats))
    format.time_format = static_cast<event::TimeFormat>(*choice);
  if (auto choice = reader.choice(node["truncate"], "truncate", {"false", "true"})) format.truncate = *choice == 1;
  if (auto text = reader.text(node["currency"], "currency")) {
    const auto currency = event::parse_currency(*text);
    if (currency) {
      format.currency = *currency;
    } else {
      reader.problem(node["currency"], "`currency` must be three capital letters, such as USD, not `" + *text + "`");
    }
  }
  if (auto text = reader.text(node["latitude"], "latitude")) format.latitude_name = *text;
  if (auto text = reader.text(node["longitude"], "longitude")) format.longitude_name = *text;
  const YAML::Node fields = node["fields"];
  if (!fields.IsDefined() || fields.IsNull()) return;
  if (!fields.IsMap()) {
    reader.problem(fields, "`fields` must be a mapping of event types to mappings of fields to their JSON names");
    return;
  }
  for (const auto& type : fields) {
    for (const auto& [field, json_name] : reader.settings(type.second, "fields." + type.first.Scalar())) {
      format.spellings.push_back({type.first.Scalar(), json_name, field});
    }
  }
}

void read_source(Reader& reader, const YAML::Node& node, Config::Source& source) {
  if (!reader.keys(node, "source",
                   {"kind", "brokers", "topics", "paths", "start", "connect timeout", "lateness", "idle after",
                    "dedupe for", "format", "kafka"})) {
    return;
  }
  if (!is_map(node)) {
    reader.problem(node, "`source` is missing: say where events come from (kind: kafka, files or stdin)");
    return;
  }
  const auto kind = reader.choice(node["kind"], "source.kind", source_kinds);
  if (!node["kind"].IsDefined()) reader.problem(node, "`source.kind` is missing: kafka, files or stdin");
  if (kind) source.kind = static_cast<Config::SourceKind>(*kind);
  if (auto text = reader.text(node["brokers"], "source.brokers")) source.brokers = *text;
  source.topics = reader.list(node["topics"], "source.topics");
  source.paths = reader.paths(node["paths"], "source.paths");
  if (auto choice = reader.choice(node["start"], "source.start", {"earliest", "latest"}))
    source.start_latest = *choice == 1;
  reader.duration(node["connect timeout"], "source.connect timeout", source.connect_timeout,
                  Duration::milliseconds(100));
  reader.duration(node["lateness"], "source.lateness", source.lateness, {});
  reader.duration(node["idle after"], "source.idle after", source.idle_after, Duration::milliseconds(100));
  reader.duration(node["dedupe for"], "source.dedupe for", source.dedupe_for, {});
  read_format(reader, node["format"], source.format);
  source.kafka = reader.settings(node["kafka"], "source.kafka");
  if (!kind) return;
  const bool kafka = source.kind == Config::SourceKind::kafka;
  if (kafka && source.brokers.empty())
    reader.problem(node, "`source.brokers` is missing: host:port of a Kafka broker, several with commas");
  if (kafka && source.topics.empty()) reader.problem(node, "`source.topics` is missing: the topics to read");
  if (source.kind == Config::SourceKind::files && source.paths.empty()) {
    reader.problem(node, "`source.paths` is missing: files or directories of events");
  }
  std::vector<std::string> sorted = source.topics;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    reader.problem(node["topics"], "`source.topics` names a topic twice");
  const auto only_for = [&](const char* key, bool fits, const char* which) {
    if (node[key].IsDefined() && !fits)
      reader.problem(node[key], std::string("`source.") + key + "` means something only for kind: " + which);
  };
  for (const char* key : {"brokers", "topics", "start", "connect timeout", "kafka"}) only_for(key, kafka, "kafka");
  only_for("paths", source.kind == Config::SourceKind::files, "files");
}

void read_sink(Reader& reader, const YAML::Node& node, const Config::Source& source, Config::Sink& sink) {
  if (!reader.keys(node, "sink", {"kind", "brokers", "directory", "topics", "streams", "connect timeout", "kafka"}))
    return;
  if (!is_map(node)) {
    reader.problem(node, "`sink` is missing: say where alerts and decisions go (kind: kafka, files or stdout)");
    return;
  }
  const auto kind = reader.choice(node["kind"], "sink.kind", sink_kinds);
  if (!node["kind"].IsDefined()) reader.problem(node, "`sink.kind` is missing: kafka, files or stdout");
  if (kind) sink.kind = static_cast<Config::SinkKind>(*kind);
  if (auto text = reader.text(node["brokers"], "sink.brokers")) sink.brokers = *text;
  if (auto text = reader.text(node["directory"], "sink.directory")) sink.directory = reader.resolved(*text);
  reader.duration(node["connect timeout"], "sink.connect timeout", sink.connect_timeout, Duration::milliseconds(100));
  sink.kafka = reader.settings(node["kafka"], "sink.kafka");
  if (!kind) return;
  const bool kafka = sink.kind == Config::SinkKind::kafka;
  if (kafka) {
    if (sink.brokers.empty()) sink.brokers = source.brokers;
    if (sink.brokers.empty())
      reader.problem(node, "`sink.brokers` is missing: host:port of a Kafka broker, several with commas");
    const YAML::Node topics = node["topics"];
    reader.keys(topics, "sink.topics", stream_keys);
    for (std::size_t i = 0; i < stream_keys.size(); ++i) {
      const auto name =
          is_map(topics) ? reader.text(topics[stream_keys[i]], "sink.topics." + stream_keys[i]) : std::nullopt;
      if (!name || name->empty()) {
        reader.problem(topics.IsDefined() ? topics : node,
                       "`sink.topics." + stream_keys[i] + "` is missing: name a topic, or write off");
        continue;
      }
      if (*name != "off" && *name != "false") sink.topics[i] = *name;
    }
  }
  if (sink.kind == Config::SinkKind::files && sink.directory.empty())
    reader.problem(node, "`sink.directory` is missing: where the files go");
  const std::vector<std::string> streams = reader.list(node["streams"], "sink.streams");
  if (!streams.empty()) {
    sink.streams.fill(false);
    for (const std::string& stream : streams) {
      const auto found = std::find(stream_keys.begin(), stream_keys.end(), stream);
      if (found == stream_keys.end()) {
        reader.problem(node["streams"],
                       "`sink.streams` names `" + stream + "`; there are hits, alerts, decisions, dead letters");
        continue;
      }
      sink.streams[static_cast<std::size_t>(found - stream_keys.begin())] = true;
    }
  }
  const auto only_for = [&](const char* key, bool fits, const char* which) {
    if (node[key].IsDefined() && !fits)
      reader.problem(node[key], std::string("`sink.") + key + "` means something only for kind: " + which);
  };
  for (const char* key : {"brokers", "topics", "connect timeout", "kafka"}) only_for(key, kafka, "kafka");
  only_for("directory", sink.kind == Config::SinkKind::files, "files");
  only_for("streams", sink.kind == Config::SinkKind::stdout_lines, "stdout");
}

void read_history(Reader& reader, const YAML::Node& node, Config& config) {
  engine::HistoryOptions& history = config.history;
  if (config.state_directory.empty()) {
    history = {};
    if (node.IsDefined() && !node.IsNull())
      reader.problem(node, "`history` needs `state.directory`: events are kept there, for the windows of later rules");
    return;
  }
  const auto keep = [&](const YAML::Node& value, const std::string& name) -> std::optional<Duration> {
    const auto text = reader.text(value, name);
    if (!text) return std::nullopt;
    if (*text == "off" || *text == "false") return Duration{};
    const auto parsed = parse_duration(*text);
    if (parsed && parsed->us >= 0) return parsed;
    reader.problem(value, "`" + name + "` must be " + duration_hint + ", or off, not `" + *text + "`");
    return std::nullopt;
  };
  if (!node.IsDefined() || node.IsNull()) return;
  if (node.IsScalar()) {
    if (const auto all = keep(node, "history")) history.all = *all;
    return;
  }
  if (!node.IsMap()) {
    reader.problem(node, "`history` must be off, a duration, or a mapping of `default` and event types to durations");
    return;
  }
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      reader.problem(entry.first, "a key in history is not a word");
      continue;
    }
    const std::string& type = entry.first.Scalar();
    const auto value = keep(entry.second, "history." + type);
    if (!value) continue;
    if (type == "default") {
      history.all = *value;
    } else {
      history.by_type[type] = *value;
    }
  }
}

Config read(Reader& reader, const YAML::Node& root) {
  Config config;
  if (!reader.keys(
          root, "",
          {"rules", "source", "sink", "state", "checkpoint", "engine", "data begins", "history", "http", "log"}))
    return config;
  config.rules = reader.paths(root["rules"], "rules");
  if (config.rules.empty()) reader.problem(root, "`rules` is missing: the rule files, or directories of them");
  read_source(reader, root["source"], config.source);
  read_sink(reader, root["sink"], config.source, config.sink);
  const YAML::Node state = root["state"];
  if (reader.keys(state, "state", {"directory"}) && is_map(state)) {
    if (auto text = reader.text(state["directory"], "state.directory")) config.state_directory = reader.resolved(*text);
  }
  const YAML::Node checkpoint = root["checkpoint"];
  if (reader.keys(checkpoint, "checkpoint", {"interval", "events"}) && is_map(checkpoint)) {
    reader.duration(checkpoint["interval"], "checkpoint.interval", config.checkpoint_interval,
                    Duration::milliseconds(10));
    reader.number(checkpoint["events"], "checkpoint.events", 1, std::numeric_limits<std::uint32_t>::max(),
                  [&](std::uint64_t n) { config.checkpoint_events = n; });
  }
  const YAML::Node engine = root["engine"];
  if (reader.keys(engine, "engine", {"shards", "batch", "program bytes max"}) && is_map(engine)) {
    reader.number(engine["shards"], "engine.shards", 1, shards_max,
                  [&](std::uint64_t n) { config.shards = static_cast<std::uint32_t>(n); });
    reader.number(engine["batch"], "engine.batch", 1, batch_max, [&](std::uint64_t n) { config.batch = n; });
    reader.number(engine["program bytes max"], "engine.program bytes max", 4096, std::uint64_t{1} << 32U,
                  [&](std::uint64_t n) { config.program_bytes_max = n; });
  }
  if (auto text = reader.text(root["data begins"], "data begins")) {
    if (*text == "complete") {
      config.data_begins.kind = engine::DataBegins::Kind::complete;
    } else if (*text != "first event") {
      const auto time = parse_timestamp(*text);
      if (time) {
        config.data_begins = {engine::DataBegins::Kind::at, *time};
      } else {
        reader.problem(root["data begins"],
                       "`data begins` must be `first event`, `complete` or a time such as 2026-01-05T00:00:00Z, not `" +
                           *text + "`");
      }
    }
  }
  read_history(reader, root["history"], config);
  const YAML::Node http = root["http"];
  if (http.IsDefined() && http.IsScalar()) {
    const auto text = reader.text(http, "http");
    if (text && (*text == "off" || *text == "false")) {
      config.http_listen.clear();
    } else {
      reader.problem(http, "`http` must be `off` or a mapping with `listen`");
    }
  } else if (reader.keys(http, "http", {"listen"}) && is_map(http)) {
    if (auto text = reader.text(http["listen"], "http.listen")) {
      const std::size_t colon = text->rfind(':');
      const std::string port = colon == std::string::npos ? "" : text->substr(colon + 1);
      const bool digits =
          !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
      if (*text == "off" || *text == "false") {
        config.http_listen.clear();
      } else if (colon == 0 || !digits || std::strtoul(port.c_str(), nullptr, 10) > 65535) {
        reader.problem(
            http["listen"],
            "`http.listen` must be an address and a port, such as 127.0.0.1:8087, or off; not `" + *text + "`");
      } else {
        config.http_listen = *text;
      }
    }
  }
  const YAML::Node log = root["log"];
  if (reader.keys(log, "log", {"level", "format"}) && is_map(log)) {
    if (auto choice = reader.choice(log["level"], "log.level", log_levels))
      config.log_level = static_cast<LogLevel>(*choice);
    if (auto choice = reader.choice(log["format"], "log.format", log_formats))
      config.log_format = static_cast<LogFormat>(*choice);
  }
  const bool from_stdin = config.source.kind == Config::SourceKind::stdin_lines;
  if (from_stdin && !config.state_directory.empty()) {
    reader.problem(state,
                   "`state.directory`: the standard input cannot be read again, so positions in it are worth nothing; "
                   "leave `state` out, "
                   "or read files or Kafka");
  }
  if (!from_stdin && config.state_directory.empty() && reader.ok()) {
    reader.problem(root, "`state.directory` is missing: where state and positions are kept, so that a restart goes on");
  }
  return config;
}

void emit(YAML::Emitter& out, const char* key, const std::string& value) {
  out << YAML::Key << key << YAML::Value << value;
}
void emit(YAML::Emitter& out, const char* key, const std::vector<std::string>& values) {
  out << YAML::Key << key << YAML::Value << YAML::BeginSeq;
  for (const std::string& value : values) out << value;
  out << YAML::EndSeq;
}
/// As parse_duration reads it again.
std::string duration_text(Duration d) {
  std::string text;
  for (const char c : to_text(d)) {
    if (c != ' ') text += c;
  }
  const auto back = parse_duration(text);
  if (back && *back == d) return text;
  return std::to_string(d.us / 1000) + "ms";
}
void emit(YAML::Emitter& out, const char* key, Duration value) { emit(out, key, duration_text(value)); }
void emit_settings(YAML::Emitter& out, const std::map<std::string, std::string>& settings) {
  if (settings.empty()) return;
  out << YAML::Key << "kafka" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, value] : settings) emit(out, name.c_str(), is_secret(name) ? std::string(mask) : value);
  out << YAML::EndMap;
}

}  // namespace

bool is_secret(std::string_view setting) {
  for (const std::string_view part : {"password", "secret", "key.pem", "sasl"}) {
    if (setting.find(part) != std::string_view::npos) return true;
  }
  return false;
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Result<Config> load_config(const std::string& path, const Environment& environment) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open() || in.bad()) {
    return Error{ErrorKind::not_found,
                 "cannot read the configuration " + path + "; check the path and its permissions"};
  }
  return parse_config(text, path, environment);
}

Result<Config> parse_config(const std::string& text, const std::string& path, const Environment& environment) {
  Reader reader(path, environment);
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap())
      return Error{ErrorKind::refused, path + ": the configuration must be a mapping of keys to values"};
    const YAML::Node& constant = root;
    Config config = read(reader, constant);
    if (!reader.ok()) return reader.error();
    return config;
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.line >= 0 ? ":" + std::to_string(e.mark.line + 1) : "";
    return Error{ErrorKind::refused, path + line + ": this is not YAML: " + e.msg};
  }
}

std::string print_config(const Config& config) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  emit(out, "rules", config.rules);

  const Config::Source& source = config.source;
  out << YAML::Key << "source" << YAML::Value << YAML::BeginMap;
  emit(out, "kind", source_kinds[static_cast<std::size_t>(source.kind)]);
  if (source.kind == Config::SourceKind::kafka) {
    emit(out, "brokers", source.brokers);
    emit(out, "topics", source.topics);
    emit(out, "start", source.start_latest ? "latest" : "earliest");
    emit(out, "connect timeout", source.connect_timeout);
    emit_settings(out, source.kafka);
  }
  if (source.kind == Config::SourceKind::files) emit(out, "paths", source.paths);
  emit(out, "lateness", source.lateness);
  emit(out, "idle after", source.idle_after);
  emit(out, "dedupe for", source.dedupe_for);
  const event::SourceFormat& format = source.format;
  out << YAML::Key << "format" << YAML::Value << YAML::BeginMap;
  if (format.fixed_type.empty()) {
    emit(out, "type field", format.type_field);
  } else {
    emit(out, "fixed type", format.fixed_type);
  }
  emit(out, "time", time_formats[static_cast<std::size_t>(format.time_format)]);
  out << YAML::Key << "truncate" << YAML::Value << format.truncate;
  if (format.currency.code != 0) emit(out, "currency", event::to_text(format.currency));
  emit(out, "latitude", format.latitude_name);
  emit(out, "longitude", format.longitude_name);
  std::map<std::string, std::map<std::string, std::string>> fields;
  for (const event::Spelling& spelling : format.spellings)
    fields[spelling.event_type][spelling.field] = spelling.json_name;
  if (!fields.empty()) out << YAML::Key << "fields" << YAML::Value << fields;
  out << YAML::EndMap << YAML::EndMap;

  const Config::Sink& sink = config.sink;
  out << YAML::Key << "sink" << YAML::Value << YAML::BeginMap;
  emit(out, "kind", sink_kinds[static_cast<std::size_t>(sink.kind)]);
  if (sink.kind == Config::SinkKind::kafka) {
    emit(out, "brokers", sink.brokers);
    emit(out, "connect timeout", sink.connect_timeout);
    out << YAML::Key << "topics" << YAML::Value << YAML::BeginMap;
    for (std::size_t i = 0; i < stream_keys.size(); ++i)
      emit(out, stream_keys[i].c_str(), sink.topics[i].empty() ? "off" : sink.topics[i]);
    out << YAML::EndMap;
    emit_settings(out, sink.kafka);
  }
  if (sink.kind == Config::SinkKind::files) emit(out, "directory", sink.directory);
  if (sink.kind == Config::SinkKind::stdout_lines) {
    std::vector<std::string> streams;
    for (std::size_t i = 0; i < stream_keys.size(); ++i) {
      if (sink.streams[i]) streams.push_back(stream_keys[i]);
    }
    emit(out, "streams", streams);
  }
  out << YAML::EndMap;

  if (!config.state_directory.empty()) {
    out << YAML::Key << "state" << YAML::Value << YAML::BeginMap;
    emit(out, "directory", config.state_directory);
    out << YAML::EndMap;
  }
  out << YAML::Key << "checkpoint" << YAML::Value << YAML::BeginMap;
  emit(out, "interval", config.checkpoint_interval);
  out << YAML::Key << "events" << YAML::Value << config.checkpoint_events << YAML::EndMap;
  out << YAML::Key << "engine" << YAML::Value << YAML::BeginMap;
  out << YAML::Key << "shards" << YAML::Value << config.shards;
  out << YAML::Key << "batch" << YAML::Value << config.batch;
  out << YAML::Key << "program bytes max" << YAML::Value << config.program_bytes_max << YAML::EndMap;
  switch (config.data_begins.kind) {
    case engine::DataBegins::Kind::first_event: emit(out, "data begins", "first event"); break;
    case engine::DataBegins::Kind::at: emit(out, "data begins", to_text(config.data_begins.at)); break;
    case engine::DataBegins::Kind::complete: emit(out, "data begins", "complete"); break;
  }
  if (!config.state_directory.empty()) {
    const auto keep = [&](const std::string& name, Duration value) {
      if (value.us == 0) {
        emit(out, name.c_str(), "off");
      } else {
        emit(out, name.c_str(), value);
      }
    };
    out << YAML::Key << "history" << YAML::Value << YAML::BeginMap;
    keep("default", config.history.all);
    for (const auto& [type, value] : config.history.by_type) keep(type, value);
    out << YAML::EndMap;
  }
  if (config.http_listen.empty()) {
    emit(out, "http", "off");
  } else {
    out << YAML::Key << "http" << YAML::Value << YAML::BeginMap;
    emit(out, "listen", config.http_listen);
    out << YAML::EndMap;
  }
  out << YAML::Key << "log" << YAML::Value << YAML::BeginMap;
  emit(out, "level", log_levels[static_cast<std::size_t>(config.log_level)]);
  emit(out, "format", log_formats[static_cast<std::size_t>(config.log_format)]);
  out << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace tocsin::app
