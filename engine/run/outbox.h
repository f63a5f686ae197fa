// What a batch wants to say to the world, in order: (stream, key, bytes). The engine fills it, a Commit delivers it; nothing
// else writes output.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::engine {

enum class OutStream : std::uint8_t { hits, alerts, decisions, dead_letters };
inline constexpr std::size_t out_stream_count = 4;
inline constexpr std::array<std::string_view, out_stream_count> out_stream_names = {"hits", "alerts", "decisions",
                                                                                    "dead_letters"};

struct OutRecord {
  OutStream stream = OutStream::hits;
  std::string key;    // what a topic is partitioned by: the entity the record is about
  std::string bytes;  // one JSON object, without a newline
};

struct Outbox {
  std::vector<OutRecord> records;
  void add(OutStream stream, std::string key, std::string bytes) {
    records.push_back({stream, std::move(key), std::move(bytes)});
  }
  void clear() { records.clear(); }
};

}  // namespace tocsin::engine
