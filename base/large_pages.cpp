#include "base/large_pages.h"

#include <sys/mman.h>

namespace tocsin {

void* allocate_large(std::size_t bytes) {
  bytes = (bytes + large_page_bytes - 1) & ~(large_page_bytes - 1);
  void* memory = std::aligned_alloc(large_page_bytes, bytes);
  if (memory == nullptr) std::abort();
#ifdef MADV_HUGEPAGE
  (void)madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: refused, everything works as before
#endif
  return memory;
}

}  // namespace tocsin
