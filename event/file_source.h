// Events from files of JSON lines, plain, .zst or .gz. Each file is a partition, numbered by its place in the list of
// arguments; a directory stands for its *.ndjson and *.jsonl files (also .zst, .gz) in the order of their names. The
// sequence of a record is the number of its line, from 1, empty ones counted. "-" is the standard input: read once,
// never sought.
//
// Per file one block of a mebibyte is read ahead and lines are handed out as views into it; files are opened when first
// polled and closed at their end. A line above line_bytes_max is handed out as its beginning, one byte too long, so
// that the decoder refuses it; the rest of it is passed over.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "event/compressed.h"
#include "event/source.h"

namespace tocsin::event {

class FileSource final : public Source {
 public:
  /// Finds the files and their sizes. A path that is not there, a directory without such files: an error.
  static Result<std::unique_ptr<FileSource>> open(const std::vector<std::string>& paths);

  [[nodiscard]] std::uint32_t partition_count() const override;
  using Source::poll;
  Result<std::size_t> poll(std::uint32_t partition, std::size_t max, std::vector<RawRecord>& out) override;
  [[nodiscard]] bool at_end(std::uint32_t partition) const override;
  Status seek(const SourcePosition& position) override;
  [[nodiscard]] std::string partition_name(std::uint32_t partition) const override;
  [[nodiscard]] Progress progress() const override;
  /// False when a partition is the standard input.
  [[nodiscard]] bool seekable() const;

 private:
  struct File {
    std::string path;
    std::uint64_t size = 0;
    std::unique_ptr<ByteStream> stream;  // null: not opened yet, or done
    std::vector<char> block;
    std::size_t begin = 0;       // of what is not handed out yet, in `block`
    std::size_t end = 0;         // of what was read
    std::size_t scanned = 0;     // up to here there is no end of line
    std::uint64_t offset = 0;    // of block[begin] in the decompressed file
    std::uint64_t sequence = 0;  // of the last line begun
    std::uint64_t consumed = 0;  // bytes of the file, for progress
    bool passing = false;        // in a line too long: its rest is not wanted
    bool started = false;
    bool exhausted = false;  // the stream has ended
    bool done = false;       // and all of it was handed out
  };

  FileSource() = default;
  static Status fill(File& file);
  static Status start(File& file);
  static bool next_line(File& file, std::uint32_t partition, RawRecord& record);
  std::vector<File> files_;
};

}  // namespace tocsin::event
