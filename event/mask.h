// Masks: what of a field's value leaves the program (hits, alerts, decisions, texts, dead letters). Conditions, keys and identities see
// the whole value. A value computed from a masked one is hidden whole, unless it is the value itself.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "event/schema.h"

namespace tocsin::event {

std::optional<Mask> parse_mask(std::string_view name);
std::string_view to_text(Mask mask);
/// All names with what they show, in the order of the names, for messages.
std::span<const std::string_view> mask_names();
/// Whether the mask goes with values of the type: `net24` with addresses, `last4`, `initial`, `domain` with texts, `all` with all.
bool goes_with(Mask mask, const Type& type);

/// What is shown instead of the value; of a missing one nothing is hidden. Requires: mask is not none.
std::string masked_text(Mask mask, const Value& value);
/// The same as records write it: a JSON string, or null.
std::string masked_json(Mask mask, const Value& value);

/// A field of the input whose values are masked, by its name there.
struct MaskedName {
  std::string name;
  Mask mask = Mask::all;
};
/// A line that may not even be JSON, with the values behind these names masked: whatever stands behind `"name":`, to the end of its
/// text, number or bracket. A text that is cut off is hidden to the end of the line.
std::string masked_line(std::string_view line, std::span<const MaskedName> names);

}  // namespace tocsin::event
