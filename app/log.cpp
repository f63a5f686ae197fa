#include "app/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "event/schema.h"

namespace tocsin::app {

namespace {

LogFormat format_used = LogFormat::text;

spdlog::level::level_enum level_of(daemon::Level level) {
  switch (level) {
    case daemon::Level::debug: return spdlog::level::debug;
    case daemon::Level::info: return spdlog::level::info;
    case daemon::Level::warning: return spdlog::level::warn;
    case daemon::Level::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void start_log(LogLevel level, LogFormat format) {
  format_used = format;
  auto logger =
      format == LogFormat::json
          ? std::make_shared<spdlog::logger>("tocsin", std::make_shared<spdlog::sinks::stderr_sink_mt>())
          : std::make_shared<spdlog::logger>("tocsin", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(level_of(level));
  // In JSON the rest of the object is the message (see log()).
  logger->set_pattern(format == LogFormat::json ? R"({"at":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                                : "%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v",
                      spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void log(const daemon::Notice& notice) {
  const spdlog::level::level_enum level = level_of(notice.level);
  if (!spdlog::default_logger_raw()->should_log(level)) return;
  std::string line;
  if (format_used == LogFormat::json) {
    line = "\"code\":";
    event::append_json_string(line, notice.code);
    line += ",\"text\":";
    event::append_json_string(line, notice.text);
    for (const auto& [name, value] : notice.fields) {
      line += ',';
      event::append_json_string(line, name);
      line += ':';
      event::append_json_string(line, value);
    }
  } else {
    line = std::string(notice.code) + ": " + notice.text;
    for (const auto& [name, value] : notice.fields)
      line += " " + name + "=" + (value.find(' ') == std::string::npos ? value : "\"" + value + "\"");
  }
  spdlog::default_logger_raw()->log(level, line);
}

}  // namespace tocsin::app
