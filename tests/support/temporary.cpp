#include "tests/support/temporary.h"

#include <stdlib.h>

#include <filesystem>

#include "base/check.h"

namespace tocsin::tests {

TemporaryDirectory::TemporaryDirectory() {
  // mkdtemp() wants six of them, to put other letters in their place.
  std::string pattern = (std::filesystem::temp_directory_path() / ("tocsin-test-" + std::string(6, 'X'))).string();
  TOCSIN_CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace tocsin::tests
