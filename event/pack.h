// The one packed form of an event: what the per-key event log, the reorder buffer and the store keep (DESIGN, border
// 6). Layout (little-endian): format u8, hash of the type's name u64, time i64, arrival i64, partition varint, sequence
// varint, flags u8, number of present fields varint, then per present field: tag u32, form u8 (kind of value in the low
// four bits, how it is written in the high four; both needed to step over a field that is not known any more) and the
// value. A field's tag is a hash of its name and of its type as text (an enumeration's values included): after a reload
// a field that means the same is found again wherever it stands now, and one that changed its meaning is missing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "event/event.h"

namespace tocsin::event {

/// Appends the packed event to `out`.
void pack(const Event& event, const Schema& schema, std::string& out);
/// Texts of the result point into `bytes`; its values live in `arena`. Nothing when the bytes are not a packed event of
/// a type of this schema.
std::optional<Event> unpack(std::string_view bytes, const Schema& schema, Arena& arena);

}  // namespace tocsin::event
