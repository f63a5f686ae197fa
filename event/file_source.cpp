#include "event/file_source.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/check.h"
#include "event/decode.h"

namespace tocsin::event {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t block_bytes = 1U << 20U;
// A longest line that began in one block must be whole in the next, with one byte more to see that it is too long.
constexpr std::size_t buffer_bytes = block_bytes + line_bytes_max + 2;

constexpr std::array<std::string_view, 6> endings = {".ndjson",    ".jsonl",     ".ndjson.zst",
                                                     ".jsonl.zst", ".ndjson.gz", ".jsonl.gz"};

bool is_event_file(const std::string& name) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

Result<std::vector<std::string>> files_of(const std::string& directory) {
  std::error_code code;
  fs::directory_iterator at(directory, code);
  std::vector<std::string> found;
  for (; !code && at != fs::directory_iterator(); at.increment(code)) {
    if (!is_event_file(at->path().filename().string())) continue;
    std::error_code ignored;  // what cannot be looked at fails with a clear text when it is opened
    if (!at->is_directory(ignored)) found.push_back(at->path().string());
  }
  if (code) return Error{ErrorKind::unavailable, "cannot list directory " + directory + ": " + code.message()};
  if (found.empty()) {
    return Error{ErrorKind::not_found,
                 "directory " + directory + " holds no event files (*.ndjson, *.jsonl, also .zst or .gz)"};
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Result<std::unique_ptr<FileSource>> FileSource::open(const std::vector<std::string>& paths) {
  std::unique_ptr<FileSource> source(new FileSource());
  const auto add = [&](const std::string& path) -> Status {
    File file;
    file.path = path;
    if (path != "-") {
      std::error_code code;
      const fs::file_status status = fs::status(path, code);
      if (status.type() == fs::file_type::not_found) return Error{ErrorKind::not_found, "there is no file " + path};
      if (code) return Error{ErrorKind::unavailable, "cannot look at " + path + ": " + code.message()};
      // A pipe has no size; it is read like a file all the same.
      if (status.type() == fs::file_type::regular) file.size = fs::file_size(path, code);
      if (code) return Error{ErrorKind::unavailable, "cannot look at " + path + ": " + code.message()};
    } else if (!source->seekable()) {
      return Error{ErrorKind::refused, "the standard input (-) can be named only once"};
    }
    source->files_.push_back(std::move(file));
    return {};
  };
  for (const std::string& path : paths) {
    std::error_code code;
    if (path != "-" && fs::is_directory(path, code)) {
      Result<std::vector<std::string>> found = files_of(path);
      if (!found) return found.error();
      for (const std::string& file : found.value()) {
        if (Status status = add(file); !status) return status.error();
      }
      continue;
    }
    if (Status status = add(path); !status) return status.error();
  }
  return source;
}

std::uint32_t FileSource::partition_count() const { return static_cast<std::uint32_t>(files_.size()); }

bool FileSource::seekable() const {
  return std::none_of(files_.begin(), files_.end(), [](const File& file) { return file.path == "-"; });
}

std::string FileSource::partition_name(std::uint32_t partition) const {
  TOCSIN_CHECK(partition < files_.size(), partition);
  return files_[partition].path == "-" ? "standard input" : files_[partition].path;
}

bool FileSource::at_end(std::uint32_t partition) const {
  TOCSIN_CHECK(partition < files_.size(), partition);
  return files_[partition].done;
}

Progress FileSource::progress() const {
  Progress progress;
  progress.bytes_total = 0;
  for (const File& file : files_) {
    progress.bytes_read += file.stream ? file.stream->consumed() : file.consumed;
    if (file.path == "-") progress.bytes_total.reset();
    if (progress.bytes_total) *progress.bytes_total += file.size;
  }
  return progress;
}

Status FileSource::start(File& file) {
  Result<std::unique_ptr<ByteStream>> stream = open_bytes(file.path);
  if (!stream) return stream.error();
  file.stream = stream.take();
  file.block.resize(buffer_bytes + padding_bytes);
  if (file.offset > 0) {
    if (Status status = file.stream->skip_to(file.offset - 1); !status) return status;
    // Where no line ended, the last record was the beginning of one that is too long: its rest is not wanted.
    char before = '\n';
    const Result<std::size_t> count = file.stream->read(&before, 1);
    if (!count) return count.error();
    if (count.value() == 0) {
      return Error{ErrorKind::corrupt,
                   file.path + " is shorter than what was read of it before: it is not the same file"};
    }
    file.passing = file.sequence > 0 && before != '\n';
  }
  file.started = true;
  return {};
}

// Moves what is left to the front and reads more behind it. Views handed out before are void.
Status FileSource::fill(File& file) {
  if (!file.started) {
    if (Status status = start(file); !status) return status;
  }
  const std::size_t left = file.end - file.begin;
  if (left > 0 && file.begin > 0) std::memmove(file.block.data(), file.block.data() + file.begin, left);
  file.scanned -= file.begin;
  file.begin = 0;
  file.end = left;
  const std::size_t room = std::min(block_bytes, buffer_bytes - left);
  const Result<std::size_t> count = file.stream->read(file.block.data() + file.end, room);
  if (!count) return count.error();
  file.end += count.value();
  if (count.value() == 0) {
    file.exhausted = true;
    file.consumed = file.stream->consumed();
    file.stream.reset();
  }
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (file.offset == 0 && std::string_view(file.block.data(), file.end).starts_with(byte_order_mark)) {
    file.begin = byte_order_mark.size();
    file.offset = file.begin;
    file.scanned = file.begin;
  }
  return {};
}

// The next line that is not empty, if the block holds one. False: more must be read, or all was handed out.
bool FileSource::next_line(File& file, std::uint32_t partition, RawRecord& record) {
  while (file.begin < file.end) {
    const char* data = file.block.data();
    const void* found = std::memchr(data + file.scanned, '\n', file.end - file.scanned);
    const bool ended = found != nullptr;
    std::size_t line_end = file.end;
    if (ended) {
      line_end = static_cast<std::size_t>(static_cast<const char*>(found) - data);
    } else {
      file.scanned = file.end;
    }
    const std::size_t begin = file.begin;
    const bool too_long = line_end - begin > line_bytes_max + 1;  // one more, for the \r that may end it
    if (!ended && !file.exhausted && !too_long) {
      if (!file.passing) return false;
    }
    const std::size_t after = ended ? line_end + 1 : line_end;
    const bool passed = file.passing;
    file.begin = after;
    file.scanned = after;
    file.offset += after - begin;
    file.passing = !ended && !file.exhausted;  // its rest is still to come
    if (passed) continue;
    ++file.sequence;
    std::size_t size = line_end - begin;
    if (size > 0 && data[line_end - 1] == '\r') --size;
    if (size == 0) continue;
    record.bytes = std::string_view(data + begin, std::min(size, line_bytes_max + 1));
    record.position = {partition, file.sequence};
    record.arrival = arrival_unknown;
    record.next_offset = file.offset;
    return true;
  }
  return false;
}

Result<std::size_t> FileSource::poll(std::uint32_t partition, std::size_t max, std::vector<RawRecord>& out) {
  TOCSIN_CHECK(partition < files_.size(), partition);
  File& file = files_[partition];
  if (file.done) {
    file.block = {};
    return std::size_t{0};
  }
  std::size_t taken = 0;
  RawRecord record;
  while (taken < max) {
    if (next_line(file, partition, record)) {
      out.push_back(record);
      ++taken;
      continue;
    }
    if (file.exhausted) {
      file.done = true;
      break;
    }
    // Reading moves the block, and with it what was handed out in this call.
    if (taken > 0) break;
    if (Status status = fill(file); !status) return status.error().while_doing("reading " + partition_name(partition));
  }
  return taken;
}

Status FileSource::seek(const SourcePosition& position) {
  if (position.partition >= files_.size()) {
    return Error{ErrorKind::refused, "there are " + std::to_string(files_.size()) +
                                         " event files, and a position in number " +
                                         std::to_string(position.partition) + " (counted from 0)"};
  }
  File& file = files_[position.partition];
  if (file.path == "-") {
    if (position.byte_offset == 0 && !file.started) return {};
    return Error{ErrorKind::refused,
                 "the standard input cannot be read again from where a run stopped; use files or Kafka"};
  }
  File fresh;
  fresh.path = file.path;
  fresh.size = file.size;
  fresh.offset = position.byte_offset;
  fresh.sequence = position.sequence;
  if (Status status = start(fresh); !status) return status.error().while_doing("going on in " + file.path);
  file = std::move(fresh);
  return {};
}

}  // namespace tocsin::event
