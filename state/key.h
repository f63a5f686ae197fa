// The bytes of a key: a tuple of values, each as a kind byte and its content. The encoding is prefix-free (no encoded
// tuple is the beginning of another of the same length), and two keys have equal bytes exactly when their values are
// same(). The bytes go to disk and into hashes: they never change. Layout: docs/state_format.md, "key".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event/value.h"

namespace tocsin::state {

/// Appends one value. A missing value has an encoding of its own, although the engine judges no event with a missing
/// key.
void append_key_part(std::string& key, const event::Value& value);

/// The values of a key; texts point into `key`. Nothing when the bytes are not a key.
std::optional<std::vector<event::Value>> decode_key(std::string_view key);

}  // namespace tocsin::state
