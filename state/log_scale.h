// Numbers in classes of nearly equal size, for `percentile … approximate 1%`: all numbers of a class are within the stated share of
// the one that stands for them. Of a window only how many numbers each class has is kept in order, some hundred counts, instead
// of the numbers themselves.
//
// The classes of DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
// guarantees", PVLDB 12(12), 2019), with borders in whole numbers: no logarithm, so the same on every machine. Constant, shared.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/decimal.h"

namespace tocsin::state {

class LogScale {
 public:
  /// Requires: 0 < error_ppm <= 200'000.
  explicit LogScale(std::uint32_t error_ppm);

  /// The class of a number: 0 for 0, negative for negative ones; grows with the number.
  [[nodiscard]] std::int32_t class_of(Int128 v) const;
  /// What stands for a class.
  [[nodiscard]] Int128 middle_of(std::int32_t index) const;

 private:
  std::vector<Int128> first_;   // of each class of positive numbers, its smallest
  std::vector<Int128> middle_;  // within the stated share of all in it
};

/// How many numbers of each class there are, in order of the classes. There are at most some thousand classes, and as few as
/// the numbers are alike.
class ClassCounts {
 public:
  void add(std::int32_t index);
  void remove(std::int32_t index);  // Requires: was added
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// The class of the `rank`-th smallest, counted from 1. Requires: 1 <= rank <= size().
  [[nodiscard]] std::int32_t at(std::uint64_t rank) const;
  void clear();
  [[nodiscard]] std::size_t bytes() const { return counts_.capacity() * sizeof(Count); }

 private:
  struct Count {
    std::int32_t index;
    std::uint32_t count;
  };
  std::vector<Count> counts_;
  std::uint64_t size_ = 0;
};

}  // namespace tocsin::state
