// About how many different values, from a sample of them: for `distinct … approximate 1%` of keys with very many.
//
// After Gibbons and Tirthapura, "Distributed streams algorithms for sliding windows" (SPAA 2002): a value belongs to level l when its
// hash begins with l zero bits, so each level holds half of the one before. Asked for the values of a window, the lowest level that
// has at most `sample_max` of them there is counted, and the count doubled l times. While all values of a window fit into the
// sample the answer is exact. The standard error is at most the one that is stated: between half and all of the sample is
// counted, and a sample of n has a standard error of 1 / sqrt(n). Hashes have a fixed seed: the same events give the same answer.
//
// A column keeps of the values just the hash, and of the entries those that can still be counted: the newest `sample_max` of each
// level and the newest occurrence of each value. So its size grows with the logarithm of what came, and what is dropped never
// changes an answer: at whichever level it could be counted, there are more newer ones than the sample has.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "event/value.h"

namespace tocsin::state {

/// How many values a level needs for this standard error. Requires: 0 < error_ppm.
constexpr std::uint64_t sample_size(std::uint32_t error_ppm) {
  const std::uint64_t square = std::uint64_t{error_ppm} * error_ppm;
  return (2'000'000'000'000ULL + square - 1) / square;
}

/// The hash that is sampled by; never 0.
std::uint64_t sample_hash(const event::Value& value);
constexpr unsigned level_of(std::uint64_t hash) {
  return hash == 0 ? 63 : static_cast<unsigned>(std::countl_zero(hash));
}

/// How many different hashes of a window belong to each level and to none above.
struct SampleLevels {
  std::array<std::uint32_t, 64> counts{};

  [[nodiscard]] std::uint64_t estimate(std::uint64_t sample_max) const;
};

}  // namespace tocsin::state
