// The configuration of `tocsin run`: YAML, every key named in docs/operations.md. A key nobody knows is refused with
// the nearest one that is known; all mistakes are reported at once, each with its line. ${NAME} and ${NAME:-default}
// stand for variables of the environment. What is secret is never printed, neither in messages nor by print_config().
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "engine/run/engine.h"
#include "engine/run/outbox.h"
#include "event/decode.h"

namespace tocsin::app {

enum class LogLevel { debug, info, warning, error };
enum class LogFormat { text, json };

struct Config {
  std::vector<std::string> rules;

  enum class SourceKind { kafka, files, stdin_lines };
  struct Source {
    SourceKind kind = SourceKind::files;
    std::string brokers;
    std::vector<std::string> topics;
    std::vector<std::string> paths;
    bool start_latest = false;
    Duration connect_timeout = Duration::seconds(10);
    Duration lateness;
    Duration idle_after = Duration::seconds(30);
    Duration dedupe_for = Duration::hours(1);
    event::SourceFormat format;
    std::map<std::string, std::string> kafka;
  };
  Source source;

  enum class SinkKind { kafka, files, stdout_lines };
  struct Sink {
    SinkKind kind = SinkKind::files;
    std::string brokers;
    std::string directory;
    Duration connect_timeout = Duration::seconds(10);
    std::array<std::string, engine::out_stream_count> topics;                    // empty: off
    std::array<bool, engine::out_stream_count> streams{true, true, true, true};  // standard output only
    std::map<std::string, std::string> kafka;
  };
  Sink sink;

  std::string state_directory;  // empty: nothing survives
  Duration checkpoint_interval = Duration::seconds(10);
  std::uint64_t checkpoint_events = 1'000'000;
  std::uint32_t shards = 1;
  std::size_t batch = 512;
  std::size_t program_bytes_max = std::size_t{1} << 20U;
  engine::DataBegins data_begins;
  engine::HistoryOptions history{Duration::days(30), {}};  // nothing where there is no state directory
  std::string http_listen = "127.0.0.1:8087";              // empty: off
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// Relative paths in the file are taken from the file's own directory.
Result<Config> load_config(const std::string& path, const Environment& environment);
/// The same of a text; `path` is what messages call it, and where relative paths begin.
Result<Config> parse_config(const std::string& text, const std::string& path, const Environment& environment);
/// As YAML, with all defaults; secrets are masked.
std::string print_config(const Config& config);

/// Whether the value of this setting must not be shown.
bool is_secret(std::string_view setting);

}  // namespace tocsin::app
