// The text of one rule file and where its lines begin. Everything that points into rule text is a Span of byte offsets into
// one of these; lines and columns are computed when a message is printed. Columns count characters (code points), as editors do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tocsin::dsl {

/// Bytes [begin, end) of the file with this index in its SourceSet.
struct Span {
  std::uint32_t file = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool operator==(const Span&) const = default;
};

class SourceFile {
 public:
  SourceFile(std::string path, std::string text);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string_view text() const { return text_; }

  struct Place {
    std::uint32_t line = 1;    // from 1
    std::uint32_t column = 1;  // from 1, in characters
  };
  [[nodiscard]] Place place_of(std::uint32_t offset) const;
  /// The line with this number without its line end.
  [[nodiscard]] std::string_view line(std::uint32_t number) const;

 private:
  std::string path_;
  std::string text_;
  std::vector<std::uint32_t> line_begins_;
};

using SourceSet = std::vector<SourceFile>;

/// The files and, of directories, every *.risk below them in name order, each once. Paths are kept as given (directory/name).
Result<std::vector<std::string>> rule_files(const std::vector<std::string>& paths);
/// Reads them.
Result<SourceSet> read_sources(const std::vector<std::string>& paths);

}  // namespace tocsin::dsl
