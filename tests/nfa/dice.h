// Random numbers for random tests: the same for a seed on every machine.
#pragma once

#include <cstdint>

#include "base/hash.h"

namespace tocsin::nfa::testing {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  int below(int n) {
    state_ = hash_mix(state_, 0x2545f4914f6cdd1dULL);
    return static_cast<int>(state_ >> 33U) % n;
  }
  bool one_in(int n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace tocsin::nfa::testing
