// A fuzzer as a plain program: runs its function once over each file of the directories given, in the order of their names.
// So every input that once was interesting is tried in every build, also where there is no libFuzzer. The name of a file is
// printed before it is tried: the last name in the log of a crash is the one that did it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// The files of `directory`, sorted. Nothing can be read: an empty list, which the caller counts as a failure, since a corpus
/// that has moved away must not look like one that passed.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argument_count, char** arguments) {
  int passed = 0;
  int failed = 0;
  for (int i = 1; i < argument_count; ++i) {
    const auto files = files_of(arguments[i]);
    if (files.empty()) {
      std::printf("%s: no files to try\n", arguments[i]);
      ++failed;
    }
    for (const auto& file : files) {
      std::printf("%s\n", file.c_str());
      std::fflush(stdout);
      std::ifstream in(file, std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      // A copy on the heap of exactly this size: the sanitizer sees the first byte read behind the end.
      const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
      LLVMFuzzerTestOneInput(input.data(), input.size());
      ++passed;
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
