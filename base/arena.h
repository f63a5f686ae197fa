// Memory of one batch: handed out by moving a pointer, given back all at once. Nothing in it is destroyed one by one,
// so only trivially destructible things may live here. One owner, one thread.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace tocsin {

class Arena {
 public:
  static constexpr std::size_t block_bytes = 64 * 1024;

  /// Uninitialised memory of `bytes` bytes, aligned for anything up to 16.
  char* allocate(std::size_t bytes) {
    bytes = (bytes + 15U) & ~std::size_t{15};
    while (block_ < blocks_.size()) {
      Block& block = blocks_[block_];
      if (block.size - used_ >= bytes) {
        char* at = block.memory.get() + used_;
        used_ += bytes;
        return at;
      }
      ++block_;
      used_ = 0;
    }
    const std::size_t size = bytes > block_bytes ? bytes : block_bytes;
    blocks_.push_back({std::make_unique<char[]>(size), size});
    block_ = blocks_.size() - 1;
    used_ = bytes;
    return blocks_.back().memory.get();
  }
  template <typename T>
  std::span<T> array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 16);
    T* first = reinterpret_cast<T*>(allocate(count * sizeof(T)));
    for (std::size_t i = 0; i < count; ++i) new (first + i) T();
    return {first, count};
  }
  std::string_view copy(std::string_view text) {
    char* at = allocate(text.size());
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }
  /// Forgets everything, keeps the blocks.
  void clear() {
    block_ = 0;
    used_ = 0;
  }

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    std::size_t size = 0;
  };
  std::vector<Block> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
};

}  // namespace tocsin
