// The names by which outputs are known for ever: the same hit or decision has the same id live, in a replay, after a
// restart and on another number of shards, and receivers drop what they have seen by it. So what goes into an id and
// how it is laid out never changes (the layout is in docs/records.md; golden values stand in the test).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "alerts/hit.h"
#include "base/hash.h"
#include "base/time.h"

namespace tocsin::alerts {

/// Of a hit, and of the alert it makes. Of `key` the values count, not their names; of `events` the type and the
/// declared key, in the order of the steps.
Digest hit_id(std::string_view rule, Digest revision, std::span<const NamedValue> key,
              std::span<const BoundEvent> events, std::optional<Timestamp> deadline);
/// The same of a hit that is otherwise filled.
Digest hit_id(const Hit& hit);

Digest decision_id(std::string_view event_type, std::string_view event_id, std::string_view policy);

}  // namespace tocsin::alerts
