// The engine counts since its process began; a replay that was killed and went on has to report what was counted since the stream
// began. So a checkpoint of a replay also holds the totals, and what the engine counts afterwards is added to them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/run/engine.h"

namespace tocsin::replay {

/// a + b. The samples of duplicates are the first few of both.
engine::Counters sum(const engine::Counters& a, const engine::Counters& b);
/// a - b, where b was counted before a by the same engine. Keeps the samples of a.
engine::Counters difference(const engine::Counters& a, const engine::Counters& b);

std::string encode(const engine::Counters& counters);
Result<engine::Counters> decode_counters(std::string_view bytes);

}  // namespace tocsin::replay
