#include "replay/reading.h"

namespace tocsin::replay {

std::optional<std::uint32_t> next_partition(const engine::Intake& intake, std::uint32_t partition_count) {
  std::optional<std::uint32_t> best;
  Timestamp best_time = Timestamp::max();
  for (std::uint32_t i = 0; i < partition_count; ++i) {
    const engine::IntakePartition partition = intake.partition(i);
    if (partition.ended) continue;
    if (!best || partition.largest_time < best_time) {
      best = i;
      best_time = partition.largest_time;
    }
  }
  return best;
}

}  // namespace tocsin::replay
