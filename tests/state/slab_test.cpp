#include "state/slab.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace tocsin::state {

TEST_CASE("slabs read back, and damage is found") {
  CHECK(rc::check("there and back", [](const std::vector<std::pair<std::uint64_t, std::string>>& given,
                                       std::int64_t last_seen, std::uint32_t where, std::uint8_t what) {
    std::vector<Section> sections;
    for (const auto& [fingerprint, bytes] : given) sections.push_back({fingerprint, bytes});
    std::string bytes = encode_slab(sections, {last_seen});
    const auto back = decode_slab(bytes);
    RC_ASSERT(back.ok());
    RC_ASSERT(back.value().sections == sections);
    RC_ASSERT(back.value().last_seen.us == last_seen);
    char& changed = bytes[where % bytes.size()];
    changed = static_cast<char>(changed ^ static_cast<char>(what | 1U));
    RC_ASSERT(!decode_slab(bytes).ok());
    RC_ASSERT(!decode_slab(std::string_view(bytes).substr(0, where % bytes.size())).ok());
  }));
  CHECK_FALSE(decode_slab("").ok());
}

}  // namespace tocsin::state
