// What the store keeps of one key: sections of opaque bytes, each tagged with the fingerprint of what it means. Nobody
// here looks into a section; a section whose fingerprint nobody claims any more is kept until the next checkpoint, then
// dropped and counted by the engine. Layout of the bytes: docs/state_format.md, "slab".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace tocsin::state {

struct Section {
  std::uint64_t fingerprint = 0;
  std::string bytes;
  bool operator==(const Section&) const = default;
};

struct Slab {
  std::vector<Section> sections;
  Timestamp last_seen;  // of the newest event of the key
};

std::string encode_slab(std::span<const Section> sections, Timestamp last_seen);
/// Any bytes are safe; what does not carry the right checksum is refused as corrupt.
Result<Slab> decode_slab(std::string_view bytes);

}  // namespace tocsin::state
