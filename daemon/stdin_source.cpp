#include "daemon/stdin_source.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "event/decode.h"

namespace tocsin::daemon {

namespace {
constexpr std::size_t read_bytes = 256U << 10U;
}  // namespace

std::size_t StdinSource::padding() { return event::padding_bytes; }

StdinSource::StdinSource(int descriptor)
    : descriptor_(descriptor), partitions_{{"standard input", 0}}, bytes_(padding(), '\0') {}

Status StdinSource::seek(const event::SourcePosition&) {
  return Error{ErrorKind::refused,
               "the standard input cannot be read again from where a run stopped; use files or Kafka"};
}

std::size_t StdinSource::cut(std::size_t max, std::vector<event::RawRecord>& out) {
  std::size_t taken = 0;
  const std::size_t size = bytes_.size() - padding();
  while (taken < max && begin_ < size) {
    const void* found = std::memchr(bytes_.data() + scanned_, '\n', size - scanned_);
    std::size_t end = size;
    if (found != nullptr) {
      end = static_cast<std::size_t>(static_cast<const char*>(found) - bytes_.data());
    } else {
      scanned_ = size;
      if (!ended_ && size - begin_ <= event::line_bytes_max + 1) break;  // the rest of the line is still to come
    }
    const std::size_t begin = begin_;
    const bool passed = passing_;
    begin_ = found != nullptr ? end + 1 : end;
    scanned_ = begin_;
    offset_ += begin_ - begin;
    passing_ = found == nullptr && !ended_;
    if (passed) continue;
    ++sequence_;
    if (end > begin && bytes_[end - 1] == '\r') --end;
    if (end == begin) continue;
    event::RawRecord record;
    record.bytes = std::string_view(bytes_).substr(begin, std::min(end - begin, event::line_bytes_max + 1));
    record.position = {0, sequence_};
    record.next_offset = offset_;
    out.push_back(record);
    ++taken;
  }
  return taken;
}

Result<std::size_t> StdinSource::poll(const engine::Intake&, std::size_t max, Duration wait,
                                      std::vector<event::RawRecord>& out) {
  std::size_t taken = cut(max, out);
  if (taken == 0 && !handed_out_ && !ended_) {
    ::pollfd waited{descriptor_, POLLIN, 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(wait.us / 1000));
    quiet_ = ready == 0;
    if (ready < 0 && errno != EINTR) {
      return Error{ErrorKind::unavailable, std::string("waiting for the standard input: ") + std::strerror(errno)};
    }
    if (ready > 0) {
      bytes_.erase(0, begin_);
      scanned_ -= begin_;
      begin_ = 0;
      const std::size_t size = bytes_.size() - padding();
      bytes_.resize(size + read_bytes + padding());
      const ::ssize_t n = ::read(descriptor_, bytes_.data() + size, read_bytes);
      const int error = errno;
      bytes_.resize(size + static_cast<std::size_t>(std::max<::ssize_t>(n, 0)) + padding());
      if (n < 0 && error != EINTR && error != EAGAIN) {
        return Error{ErrorKind::unavailable, std::string("reading the standard input: ") + std::strerror(error)};
      }
      if (n == 0) ended_ = true;
      taken = cut(max, out);
    }
  }
  handed_out_ = handed_out_ || taken > 0;
  return taken;
}

}  // namespace tocsin::daemon
