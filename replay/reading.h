// In which order several files are read: the next line comes from the open one whose largest event time is smallest, of equals the
// first. So it is a function of the input alone.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/run/intake.h"

namespace tocsin::replay {

/// Nothing: all partitions have ended.
std::optional<std::uint32_t> next_partition(const engine::Intake& intake, std::uint32_t partition_count);

}  // namespace tocsin::replay
