#include "state/ordered_values.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::state {

std::size_t OrderedValues::block_of(Int128 v) const {
  const auto at =
      std::partition_point(blocks_.begin(), blocks_.end(), [v](const Block& block) { return block.back() < v; });
  return std::min(static_cast<std::size_t>(at - blocks_.begin()), blocks_.size() - 1);
}

void OrderedValues::add(Int128 v) {
  ++size_;
  if (blocks_.empty()) {
    blocks_.push_back({v});
    return;
  }
  const std::size_t index = block_of(v);
  Block& block = blocks_[index];
  block.insert(std::upper_bound(block.begin(), block.end(), v), v);
  if (block.size() <= block_max) return;
  const auto middle = block.begin() + static_cast<std::ptrdiff_t>(block.size() / 2);
  Block upper(middle, block.end());
  block.erase(middle, block.end());
  blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(upper));
}

void OrderedValues::remove(Int128 v) {
  TOCSIN_CHECK(size_ != 0);
  const std::size_t index = block_of(v);
  Block& block = blocks_[index];
  const auto at = std::lower_bound(block.begin(), block.end(), v);
  TOCSIN_CHECK(at != block.end());
  TOCSIN_CHECK(*at == v);
  block.erase(at);
  --size_;
  if (block.size() >= block_max / 4) return;
  // A thin block joins a neighbour with room, so that the walk of at() stays as short as the header says.
  const auto merge = [&](std::size_t lower) {
    if (lower + 1 >= blocks_.size() || blocks_[lower].size() + blocks_[lower + 1].size() > block_max / 2 + 32)
      return false;
    blocks_[lower].insert(blocks_[lower].end(), blocks_[lower + 1].begin(), blocks_[lower + 1].end());
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(lower) + 1);
    return true;
  };
  if (merge(index) || (index > 0 && merge(index - 1))) return;
  if (blocks_[index].empty()) blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(index));
}

Int128 OrderedValues::at(std::uint64_t rank) const {
  TOCSIN_CHECK(rank >= 1, rank);
  TOCSIN_CHECK(rank <= size_, rank, size_);
  std::uint64_t left = rank - 1;
  for (const Block& block : blocks_) {
    if (left < block.size()) return block[left];
    left -= block.size();
  }
  return 0;
}

void OrderedValues::clear() {
  blocks_.clear();
  blocks_.shrink_to_fit();
  size_ = 0;
}

std::size_t OrderedValues::bytes() const {
  std::size_t sum = blocks_.capacity() * sizeof(Block);
  for (const Block& block : blocks_) sum += block.capacity() * sizeof(Int128);
  return sum;
}

}  // namespace tocsin::state
