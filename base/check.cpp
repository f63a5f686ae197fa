#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tocsin::detail {

void check_failed(const char* condition, const char* file, int line, const std::string& values) {
  std::fprintf(stderr, "%s:%d: this must hold and does not: %s%s\n", file, line, condition, values.c_str());
  std::abort();
}

}  // namespace tocsin::detail
