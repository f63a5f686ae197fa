// What the task itself writes with a checkpoint, beside the engine and the intake: how the partitions are numbered, how
// event time and the wall clock stand to each other, and what the clock or a person has decided and is carried out
// right behind this checkpoint. A decision is written down before it is carried out: after a kill the same one is
// carried out at the same place of the input, and what it made is made again with the same ids and content.
// docs/state_format.md, "meta".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/feed.h"
#include "engine/compile/build.h"
#include "state/store.h"

namespace tocsin::daemon {

struct Decided {
  enum class Kind : std::uint8_t { idle = 1, tick = 2, activation = 3 };
  Kind kind = Kind::idle;
  std::uint32_t partition = 0;              // idle
  Timestamp time;                           // tick
  std::vector<engine::RuleFileText> rules;  // activation
};

struct TaskRecord {
  std::vector<FeedPartition> partitions;
  Timestamp largest_time = Timestamp::min();  // of all events taken,
  Timestamp largest_at;                       // and when, by the wall clock, it came
  std::vector<Decided> decided;
};

std::string encode(const TaskRecord& record);
std::optional<TaskRecord> decode_task_record(std::string_view bytes);

void put_task_record(state::WriteSet& writes, const TaskRecord& record);
/// Nothing when the store is new.
Result<std::optional<TaskRecord>> stored_task_record(const state::Store& store);

}  // namespace tocsin::daemon
