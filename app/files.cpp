#include "app/files.h"

#include <filesystem>
#include <fstream>

namespace tocsin::app {

bool replace_file(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  {
    std::ofstream out(beside, std::ios::binary | std::ios::trunc);
    out << text;
    out.flush();
    if (!out) return false;
  }
  std::error_code problem;
  std::filesystem::permissions(beside, std::filesystem::status(path, problem).permissions(), problem);
  // A link stays one: what it points at is replaced.
  std::filesystem::path target = std::filesystem::canonical(path, problem);
  if (problem) target = path;
  std::filesystem::rename(beside, target, problem);
  if (problem) {
    std::error_code ignored;
    std::filesystem::remove(beside, ignored);
  }
  return !problem;
}

}  // namespace tocsin::app
