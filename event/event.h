// One decoded event. Its values stand in the order of its type's fields; texts point into memory of the batch it came
// with. An event that must live longer is packed (event/pack.h).
#pragma once

#include <cstdint>
#include <span>

#include "event/schema.h"

namespace tocsin::event {

/// Where an event came from: its partition, and its arrival number within it (Kafka: the offset; a file: the line).
struct Position {
  std::uint32_t partition = 0;
  std::uint64_t sequence = 0;
  auto operator<=>(const Position&) const = default;
};

struct Event {
  EventTypeId type = 0;
  bool late = false;  // arrived behind the watermark (LANGUAGE S1, T6)
  Timestamp time;     // event time
  Timestamp arrival;  // when the source read it; equal to `time` where nobody knows better
  Position position;
  std::span<Value> values;  // fields().size() of its type, derived ones included (missing until computed)

  [[nodiscard]] const Value& at(FieldIndex field) const { return values[field]; }
};

}  // namespace tocsin::event
