#include "tests/support/temporary.h"

#include <stdlib.h>

#include <filesystem>

#include "base/check.h"

namespace tocsin::tests {

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tocsin-test-XXXXXX").string();
  TOCSIN_CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace tocsin::tests
