// Memory for tables that are read in no order: a look-up in a large one costs as much for finding the page as for the memory itself,
// unless pages are large. Asks the system for pages of 2 MiB where it gives them on request (Linux, `madvise`); elsewhere it is
// ordinary memory. Tables below a few MiB are not worth it: their last page would be mostly empty.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace tocsin {

constexpr std::size_t large_page_bytes = std::size_t{2} << 20U;

/// Freed with std::free. Never null: without memory nothing goes on.
void* allocate_large(std::size_t bytes);

/// For std::vector.
template <typename T>
struct LargePages {
  using value_type = T;
  static constexpr std::size_t large = 2 * large_page_bytes;
  LargePages() = default;
  template <typename U>
  LargePages(const LargePages<U>&) {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes >= large) return static_cast<T*>(allocate_large(bytes));
    void* memory = std::aligned_alloc(64, (bytes + 63) & ~std::size_t{63});
    if (memory == nullptr) std::abort();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { std::free(memory); }
  bool operator==(const LargePages&) const = default;
};

}  // namespace tocsin
