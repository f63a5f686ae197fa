#include "state/distinct_sample.h"

namespace tocsin::state {

std::uint64_t sample_hash(const event::Value& value) {
  // The value's hash once more through the end of MurmurHash3: levels need the upper bits to be as good as the lower.
  std::uint64_t hash = event::hash_of(value);
  hash ^= hash >> 33U;
  hash *= 0xff51afd7ed558ccdULL;
  hash ^= hash >> 33U;
  hash *= 0xc4ceb9fe1a85ec53ULL;
  hash ^= hash >> 33U;
  return hash | 1U;
}

std::uint64_t SampleLevels::estimate(std::uint64_t sample_max) const {
  std::uint64_t sampled = 0;
  unsigned level = static_cast<unsigned>(counts.size());
  while (level > 0 && sampled + counts[level - 1] <= sample_max) sampled += counts[--level];
  return sampled << level;
}

}  // namespace tocsin::state
