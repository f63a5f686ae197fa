// Numbers in order of size, each as often as it was added: which is the k-th smallest? For percentiles over windows, where
// numbers come and go with the events.
//
// They stand in blocks of up to 128, sorted within and among the blocks. Adding and taking away cost a binary search over the
// blocks, one within the block and a move of at most 2 KiB; the k-th costs a walk over the blocks' sizes, n / 64 steps at most
// (1,600 for 100,000 numbers, about a microsecond). A tree with counts would make that last part a logarithm and cost twice
// the memory for the small windows that most keys have. What stands inside follows from the numbers alone: answers do not
// depend on the order in which they came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/decimal.h"

namespace tocsin::state {

class OrderedValues {
 public:
  void add(Int128 v);
  void remove(Int128 v);  // Requires: v was added and not taken away since
  /// The `rank`-th smallest, counted from 1. Requires: 1 <= rank <= size().
  [[nodiscard]] Int128 at(std::uint64_t rank) const;
  [[nodiscard]] std::uint64_t size() const { return size_; }
  void clear();
  [[nodiscard]] std::size_t bytes() const;

 private:
  static constexpr std::size_t block_max = 128;
  using Block = std::vector<Int128>;
  /// The first block whose largest number is not below v; the last when all are.
  [[nodiscard]] std::size_t block_of(Int128 v) const;

  std::vector<Block> blocks_;  // none is empty
  std::uint64_t size_ = 0;
};

}  // namespace tocsin::state
