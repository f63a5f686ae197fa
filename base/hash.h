// Hashes with fixed seeds: the same bytes give the same number on every machine, for ever, since they go to disk and
// into ids. XXH3 (Yann Collet, xxHash 0.8, stable output) in 64 and 128 bits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin {

std::uint64_t hash64(std::string_view bytes);
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed);

struct Digest {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Digest&) const = default;
};

Digest hash128(std::string_view bytes);
Digest hash128(std::string_view bytes, std::uint64_t seed);
/// 32 hexadecimal digits, high part first.
std::string to_text(Digest digest);

/// Mixes a number into a hash; for joining parts without building a string.
constexpr std::uint64_t hash_mix(std::uint64_t seed, std::uint64_t value) {
  std::uint64_t x = seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6U) + (seed >> 2U));
  x ^= x >> 32U;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32U;
  return x;
}

}  // namespace tocsin
