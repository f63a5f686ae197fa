#include "dsl/source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace tocsin::dsl {
namespace {

/// Spans are 32 bits wide and rule files are written by people: one of this size is a mistake, and is refused before it
/// is read.
constexpr std::uintmax_t file_bytes_max = 64U << 20U;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

Result<std::string> read_text(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return Error{ErrorKind::not_found, path + ": cannot be read: " + error.message()};
  if (size > file_bytes_max) return Error{ErrorKind::refused, path + ": larger than 64 MiB, which is no rule file"};
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorKind::not_found, path + ": cannot be opened; check that it exists and may be read"};
  std::string text(size, '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad()) return Error{ErrorKind::unavailable, path + ": reading failed"};
  return text;
}

/// The rule files below a directory. Entries are walked by name and not by what the disk says first, so that messages
/// and everything that counts files come out the same everywhere.
Result<std::vector<std::string>> files_below(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator walk(directory, error);
  for (; !error && walk != std::filesystem::recursive_directory_iterator(); walk.increment(error)) {
    if (walk->path().extension() == ".risk" && walk->is_regular_file(error)) files.push_back(walk->path().string());
  }
  if (error) return Error{ErrorKind::unavailable, directory + ": cannot be walked: " + error.message()};
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

SourceFile::SourceFile(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {
  line_begins_.push_back(0);
  for (std::size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1)) {
    line_begins_.push_back(static_cast<std::uint32_t>(at + 1));
  }
}

SourceFile::Place SourceFile::place_of(std::uint32_t offset) const {
  offset = std::min(offset, static_cast<std::uint32_t>(text_.size()));
  const auto after = std::upper_bound(line_begins_.begin(), line_begins_.end(), offset);
  const auto index = static_cast<std::size_t>(after - line_begins_.begin()) - 1;
  std::size_t at = line_begins_[index];
  if (at == 0 && text_.starts_with(byte_order_mark)) at = std::min<std::size_t>(byte_order_mark.size(), offset);
  Place place{static_cast<std::uint32_t>(index + 1), 1};
  for (; at < offset; ++at) {
    // A character counts once it is passed, wherever in it the offset points.
    if (at + 1 == text_.size() || starts_character(text_[at + 1])) ++place.column;
  }
  return place;
}

std::string_view SourceFile::line(std::uint32_t number) const {
  if (number == 0 || number > line_begins_.size()) return {};
  const std::size_t begin = line_begins_[number - 1];
  const std::size_t end = number < line_begins_.size() ? line_begins_[number] - 1 : text_.size();
  std::string_view line = std::string_view(text_).substr(begin, end - begin);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (number == 1 && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
  return line;
}

Result<std::vector<std::string>> rule_files(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  std::set<std::string> seen;
  for (const std::string& path : paths) {
    std::vector<std::string> files{path};
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      auto found = files_below(path);
      if (!found) return found.error();
      files = found.take();
      if (files.empty()) return Error{ErrorKind::not_found, path + ": this directory holds no *.risk file"};
    }
    for (const std::string& file : files) {
      // A file named beside its own directory is one file, read once.
      const std::string real = std::filesystem::weakly_canonical(file, error).string();
      if (seen.insert(real.empty() ? file : real).second) all.push_back(file);
    }
  }
  return all;
}

Result<SourceSet> read_sources(const std::vector<std::string>& paths) {
  const auto files = rule_files(paths);
  if (!files) return files.error();
  SourceSet sources;
  for (const std::string& file : files.value()) {
    auto text = read_text(file);
    if (!text) return text.error();
    sources.emplace_back(file, text.take());
  }
  return sources;
}

}  // namespace tocsin::dsl
