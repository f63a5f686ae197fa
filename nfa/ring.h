// A queue in memory of its own, addressed by numbers that never change while an element lives: first in, first out, no
// element is moved when another comes or goes. It begins with eight places and doubles; beyond a page it grows by whole
// pages, so that a long queue never costs twice its size, and pages whose elements are gone are used again or freed.
// Owned by one body of runs; one thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace tocsin::nfa {

template <typename T>
class Ring {
  static_assert(std::is_trivially_copyable_v<T>, "elements are moved by copying their bytes");

 public:
  static constexpr std::uint32_t page_bits = 12;

  /// The first one living, and one past the last. begin() == end(): empty.
  [[nodiscard]] std::uint32_t begin() const { return begin_; }
  [[nodiscard]] std::uint32_t end() const { return end_; }
  [[nodiscard]] std::uint32_t size() const { return end_ - begin_; }

  [[nodiscard]] T& operator[](std::uint32_t i) { return pages_[(i >> bits_) - first_page_][i & mask()]; }
  [[nodiscard]] const T& operator[](std::uint32_t i) const { return pages_[(i >> bits_) - first_page_][i & mask()]; }

  /// The number of the new element. The caller keeps end() below 2^32 - 1 (restart()).
  std::uint32_t push(const T& element) {
    if (end_ >> bits_ == first_page_ + pages_.size()) grow();
    (*this)[end_] = element;
    return end_++;
  }

  /// Forgets all before `to`.
  void drop_before(std::uint32_t to) {
    begin_ = std::min(std::max(begin_, to), end_);
    while (!pages_.empty() && begin_ >> bits_ > first_page_) {
      if (spare_ == nullptr) spare_ = std::move(pages_.front());
      pages_.erase(pages_.begin());  // a pointer for each thousands of elements
      ++first_page_;
    }
  }

  /// Empty, and the next element has the number `first`.
  void restart(std::uint32_t first) {
    pages_.clear();
    spare_ = nullptr;
    bits_ = smallest_bits;
    begin_ = end_ = first;
    first_page_ = first >> bits_;
  }

  [[nodiscard]] std::size_t bytes() const {
    return (pages_.size() + (spare_ != nullptr ? 1 : 0)) * (sizeof(T) << bits_);
  }

 private:
  static constexpr std::uint32_t smallest_bits = 3;

  [[nodiscard]] std::uint32_t mask() const { return (std::uint32_t{1} << bits_) - 1; }

  void grow() {
    if (bits_ == page_bits || pages_.empty() || size() <= mask() / 2) {
      // A page more; of small pages only while most of what is there is gone.
      pages_.push_back(spare_ != nullptr ? std::move(spare_)
                                         : std::make_unique_for_overwrite<T[]>(std::size_t{1} << bits_));
      return;
    }
    // Twice the page: elements keep their numbers and find new places.
    Ring bigger;
    bigger.bits_ = bits_ + 1;
    bigger.begin_ = bigger.end_ = begin_;
    bigger.first_page_ = begin_ >> bigger.bits_;
    while (bigger.first_page_ + bigger.pages_.size() <= end_ >> bigger.bits_) {
      bigger.pages_.push_back(std::make_unique_for_overwrite<T[]>(std::size_t{1} << bigger.bits_));
    }
    bigger.end_ = end_;
    for (std::uint32_t i = begin_; i != end_; ++i) bigger[i] = (*this)[i];
    *this = std::move(bigger);
  }

  std::vector<std::unique_ptr<T[]>> pages_;
  std::unique_ptr<T[]> spare_;
  std::uint32_t bits_ = smallest_bits;
  std::uint32_t begin_ = 1;
  std::uint32_t end_ = 1;  // 0 is nobody's number
  std::uint32_t first_page_ = 0;
};

}  // namespace tocsin::nfa
