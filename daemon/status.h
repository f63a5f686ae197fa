// How a task stands at one moment, as a copy: what /status, /metrics and /readyz are made of. The task makes one,
// whoever shows it reads it; nobody looks into a running task.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "engine/run/engine.h"
#include "engine/run/intake.h"

namespace tocsin::daemon {

struct PartitionStatus {
  std::string name;
  std::optional<std::uint64_t> sequence;  // of the last record taken
  Timestamp largest_time = Timestamp::min();
  bool idle = false;
  bool ended = false;
  std::optional<std::uint64_t> lag;  // records waiting behind it
};

struct CheckpointStatus {
  std::uint64_t count = 0;
  Timestamp last_at;  // wall clock
  std::uint64_t last_bytes = 0;
  std::uint64_t last_stall_us = 0;  // the longest time at a stretch that no event was taken because of it
  std::uint64_t stall_us_max = 0;
  std::uint64_t stall_us_sum = 0;     // all such times
  std::uint64_t last_capture_us = 0;  // of them: writing down the state, without waiting for sink and store
  std::uint64_t capture_us_sum = 0;
};

/// Windows of new rules from the history of events (engine/run/fill.h).
struct FillStatus {
  bool running = false;              // beside the events
  std::uint64_t events = 0;          // read, of the last fill or the one that runs
  std::uint64_t failed = 0;          // since the process began
  std::string last_error;            // of the last fill, when it failed
  std::vector<std::string> filled;   // windows by the last reload: "TEXT" or "TEXT: whole from TIME"
  std::vector<std::string> warming;  // windows that warm since the last reload: "TEXT: until TIME, because …"
  std::uint64_t took_us = 0;         // from beginning to read until the rules were live
  std::uint64_t pause_us = 0;        // of which no event was judged: the end of the history and the swap
};

struct ReloadStatus {
  std::uint64_t ok = 0;
  std::uint64_t failed = 0;
  bool running = false;
  std::string last_error;  // of the last reload, when it failed; empty when it went well
  std::optional<Timestamp> last_at;
  FillStatus fill;
};

struct TaskStatus {
  bool ready = false;  // restored, and the source has answered
  std::string digest;
  std::vector<std::pair<std::string, std::string>> rules;  // name, revision
  Timestamp watermark = Timestamp::min();
  std::uint64_t keys = 0;
  std::uint64_t waiting = 0;
  std::uint64_t ticks = 0;
  engine::IntakeCounts intake;
  std::vector<event::UnknownField> unknown_fields;
  engine::Counters counters;
  std::vector<PartitionStatus> partitions;
  std::vector<std::string> warming;
  std::uint64_t history_bytes =
      0;  // of events written to the history since the process began, before the disk squeezes them
  CheckpointStatus checkpoint;
  ReloadStatus reload;
  std::string trouble;   // of the source; empty when all is well
  bool resumed = false;  // went on from a checkpoint
};

}  // namespace tocsin::daemon
