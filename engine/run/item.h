// The one way into the engine: items, in the order in which they happened here. Everything the engine does follows from them,
// so a run can be repeated from what was recorded: without ticks absence would never fire on a quiet topic, without activations
// a replay could not know which rules were in force.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "event/event.h"

namespace tocsin::engine {

class Fill;
struct Ruleset;

enum class ItemKind : std::uint8_t {
  event,  // `event`; its memory is borrowed for the length of the step
  tick,   // moves the watermark to `time` at least: what waits up to there is released, deadlines before it fire
  idle,   // `partition` gave nothing for a while and is left out of the watermark until its next event
  activation,  // `ruleset` goes live; state of what means the same is kept, windows of `change->fill` (if there) are taken over
  label_change,  // `change->values[0]` has label number `change->number` of the active rules from now on, without end
  list_change,   // list number `change->number` of the active rules now also holds values and networks
  table_change,  // table number `change->number` of the active rules has one more row: holding from `time` on, its cells are the
                 // values (keys first), its network is there if it is keyed by one
};

/// Of a list, a label or a table; and what the windows of an activation are filled with.
struct DataChange {
  std::uint32_t number = 0;
  std::vector<event::Value> values;
  std::vector<event::Network> networks;
  std::shared_ptr<Fill> fill;
};

/// Nearly all are events, so what the rare kinds need is behind a pointer.
struct Item {
  ItemKind kind = ItemKind::event;
  std::uint32_t partition = 0;
  event::Event event;
  Timestamp time;
  std::shared_ptr<const Ruleset> ruleset;
  std::shared_ptr<const DataChange> change;
};

}  // namespace tocsin::engine
