// Spread of numbers, exact: sums of values and of their squares in integers wide enough for every value there is, so that
// adding and taking away in any order ends at the same bits and nothing is lost by cancellation (no running variance in
// floating point, whose error grows with the stream). Results are rounded once, half to even, to whole units: for
// numbers and money a unit is 10^-9, for durations a microsecond.
//
// Divided by n, not n - 1 (SEMANTICS V9): the values are all there are in the window, not a sample of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/decimal.h"

namespace tocsin {

/// Exact sum of 128-bit numbers in 192 bits, for up to 2^63 of them.
struct WideSum {
  unsigned __int128 low = 0;
  std::int64_t high = 0;

  void add(Int128 v) {
    const auto bits = static_cast<unsigned __int128>(v);
    low += bits;
    high += (v < 0 ? -1 : 0) + (low < bits ? 1 : 0);
  }
  void subtract(Int128 v) {
    const auto bits = static_cast<unsigned __int128>(v);
    high -= (v < 0 ? -1 : 0) + (low < bits ? 1 : 0);
    low -= bits;
  }
  /// Nothing when it needs more than 128 bits.
  [[nodiscard]] std::optional<Int128> value() const {
    const auto v = static_cast<Int128>(low);
    if (high != (v < 0 ? -1 : 0)) return std::nullopt;
    return v;
  }
};

/// An unsigned number of 512 bits: what products of four 128-bit numbers need. Plain schoolbook arithmetic.
class Wide {
 public:
  Wide() = default;
  explicit Wide(unsigned __int128 v) : limbs_{static_cast<std::uint64_t>(v), static_cast<std::uint64_t>(v >> 64U)} {}
  /// The magnitude of a sum.
  explicit Wide(const WideSum& sum);

  void add(const Wide& other);
  void subtract(const Wide& other);                          // Requires: not larger
  [[nodiscard]] Wide times(const Wide& other) const;         // modulo 2^512; callers stay below
  [[nodiscard]] Wide divided_by(const Wide& divisor) const;  // rounded down; Requires: not zero
  [[nodiscard]] int compare(const Wide& other) const;
  [[nodiscard]] unsigned bits() const;  // of the highest one, counted from 1; 0 for zero
  /// Nothing when it needs more than 127 bits.
  [[nodiscard]] std::optional<Int128> narrow() const;

 private:
  void shift_left_one();
  std::array<std::uint64_t, 8> limbs_{};  // lowest first
};

/// Of the numbers added and not taken away.
class Moments {
 public:
  void add(Int128 v);
  void remove(Int128 v);  // Requires: v was added
  [[nodiscard]] std::uint64_t count() const { return count_; }

  // Nothing when there are no numbers, and when the result does not fit.
  [[nodiscard]] std::optional<Int128> variance_e9() const;  // of numbers in 10^-9: in 10^-9 of a square
  [[nodiscard]] std::optional<Int128> stddev() const;       // in the units of the numbers
  /// stddev / mean in 10^-9, from the exact sums, rounded once; nothing when the mean is 0.
  [[nodiscard]] std::optional<Int128> cv_e9() const;

 private:
  [[nodiscard]] Wide spread() const;  // n * sum of squares - square of the sum = n^2 * variance
  WideSum sum_;
  Wide squares_;
  std::uint64_t count_ = 0;
};

/// c * log2(c) in 2^-56, from integers alone, so that every machine has the same bits: for entropy. 0 for c = 0.
Int128 n_log2_n(std::uint64_t c);
/// Shannon entropy in bits (10^-9, rounded half to even) of `count` values whose n_log2_n() per different value add up
/// to `weight`. Requires: count > 0.
Int128 entropy_e9(std::uint64_t count, Int128 weight);

/// The place, from 1, of percentile `percent_e9` (in 10^-9 of a percent) among `count` ordered values: the nearest rank
/// ceil(p * n / 100) (SEMANTICS V9). Requires: count > 0, 0 < percent_e9 <= 100 * 10^9.
std::uint64_t nearest_rank(std::uint64_t percent_e9, std::uint64_t count);

}  // namespace tocsin
