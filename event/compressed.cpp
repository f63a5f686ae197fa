#include "event/compressed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace tocsin::event {
namespace {

constexpr std::size_t block_bytes = 256 * 1024;

Error system_error(const std::string& what, const std::string& path) {
  const int code = errno;
  const ErrorKind kind = code == ENOENT ? ErrorKind::not_found : ErrorKind::unavailable;
  return {kind, what + " " + path + ": " + std::strerror(code)};
}

// A file descriptor read from front to back.
class PlainStream final : public ByteStream {
 public:
  PlainStream(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  PlainStream(const PlainStream&) = delete;
  PlainStream& operator=(const PlainStream&) = delete;
  ~PlainStream() override {
    if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
  }

  Result<std::size_t> read(char* to, std::size_t size) override {
    while (true) {
      const ssize_t count = ::read(descriptor_, to, size);
      if (count >= 0) {
        consumed_ += static_cast<std::uint64_t>(count);
        return static_cast<std::size_t>(count);
      }
      if (errno != EINTR) return system_error("cannot read", path_);
    }
  }
  Status skip_to(std::uint64_t offset) override {
    struct stat facts {};
    if (::fstat(descriptor_, &facts) != 0) return system_error("cannot look at", path_);
    if (offset > static_cast<std::uint64_t>(facts.st_size)) {
      return Error{ErrorKind::corrupt, path_ + " has " + std::to_string(facts.st_size) + " bytes, fewer than the " +
                                           std::to_string(offset) +
                                           " that were read of it before: it is not the same file"};
    }
    if (::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) return system_error("cannot seek in", path_);
    consumed_ = offset;
    return {};
  }
  [[nodiscard]] std::uint64_t consumed() const override { return consumed_; }

 private:
  int descriptor_;
  std::string path_;
  std::uint64_t consumed_ = 0;
};

// What both decompressors share: a block of compressed bytes, and skipping by reading.
class CompressedStream : public ByteStream {
 public:
  CompressedStream(std::unique_ptr<ByteStream> file, std::string path)
      : path_(std::move(path)), block_(block_bytes), file_(std::move(file)) {}

  Status skip_to(std::uint64_t offset) override {
    std::vector<char> unwanted(block_bytes);
    for (std::uint64_t at = 0; at < offset;) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(unwanted.size(), offset - at));
      const Result<std::size_t> count = read(unwanted.data(), wanted);
      if (!count) return count.error();
      if (count.value() == 0) {
        return Error{ErrorKind::corrupt, path_ + " holds " + std::to_string(at) + " bytes, fewer than the " +
                                             std::to_string(offset) +
                                             " that were read of it before: it is not the same file"};
      }
      at += count.value();
    }
    return {};
  }
  [[nodiscard]] std::uint64_t consumed() const override { return file_->consumed(); }

 protected:
  // More compressed bytes when all were used; an empty block is the end of the file.
  Status refill() {
    if (used_ < filled_) return {};
    const Result<std::size_t> count = file_->read(block_.data(), block_.size());
    if (!count) return count.error();
    used_ = 0;
    filled_ = count.value();
    return {};
  }
  [[nodiscard]] Error corrupt(const std::string& what) const { return {ErrorKind::corrupt, path_ + ": " + what}; }

  std::string path_;
  std::vector<char> block_;
  std::size_t used_ = 0;
  std::size_t filled_ = 0;

 private:
  std::unique_ptr<ByteStream> file_;
};

class ZstdStream final : public CompressedStream {
 public:
  ZstdStream(std::unique_ptr<ByteStream> file, std::string path) : CompressedStream(std::move(file), std::move(path)) {}

  Result<std::size_t> read(char* to, std::size_t size) override {
    if (!context_) return Error{ErrorKind::unavailable, path_ + ": no memory to decompress it"};
    ZSTD_outBuffer out{to, size, 0};
    while (out.pos == 0 && size > 0) {
      if (Status status = refill(); !status) return status.error();
      const bool end = filled_ == 0;
      // At the end of the file the decompressor may still hold bytes that did not fit before: it is asked once more.
      ZSTD_inBuffer in{block_.data(), filled_, used_};
      const std::size_t wanted = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(wanted) != 0) return corrupt(std::string("not good zstd: ") + ZSTD_getErrorName(wanted));
      const bool idle = in.pos == used_ && out.pos == 0;
      used_ = in.pos;
      // Asked at the end of the last frame the decompressor begins a new one and wants its header: that is not being
      // cut off.
      if (!(end && idle)) frame_open_ = wanted != 0;
      if (!end) continue;
      if (out.pos > 0) break;
      if (frame_open_) return corrupt("ends in the middle of a zstd frame: the file is cut off");
      return std::size_t{0};
    }
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  bool frame_open_ = false;
};

class GzipStream final : public CompressedStream {
 public:
  GzipStream(std::unique_ptr<ByteStream> file, std::string path) : CompressedStream(std::move(file), std::move(path)) {
    ready_ = inflateInit2(&stream_, window_bits) == Z_OK;
  }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  ~GzipStream() override {
    if (ready_) inflateEnd(&stream_);
  }

  Result<std::size_t> read(char* to, std::size_t size) override {
    if (!ready_) return Error{ErrorKind::unavailable, path_ + ": no memory to decompress it"};
    const std::size_t room = std::min<std::size_t>(size, 1U << 30U);
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    while (stream_.avail_out == room && room > 0) {
      if (Status status = refill(); !status) return status.error();
      const bool end = filled_ == 0;
      if (end && !member_open_) return std::size_t{0};
      stream_.next_in = reinterpret_cast<Bytef*>(block_.data()) + used_;
      stream_.avail_in = static_cast<uInt>(filled_ - used_);
      member_open_ = true;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      used_ = filled_ - stream_.avail_in;
      if (code == Z_STREAM_END) {
        member_open_ = false;
        if (inflateReset2(&stream_, window_bits) != Z_OK) return corrupt("cannot go on behind a gzip member");
        continue;
      }
      if (code == Z_BUF_ERROR && end) {
        if (stream_.avail_out == room) return corrupt("ends in the middle of a gzip member: the file is cut off");
        continue;
      }
      if (code != Z_OK && code != Z_BUF_ERROR) {
        return corrupt(std::string("not good gzip: ") + (stream_.msg != nullptr ? stream_.msg : "unknown error"));
      }
    }
    return room - stream_.avail_out;
  }

 private:
  static constexpr int window_bits = 15 + 16;  // the largest window, gzip framing
  z_stream stream_{};
  bool ready_ = false;
  bool member_open_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> open_bytes(const std::string& path) {
  if (path == "-") return std::unique_ptr<ByteStream>(std::make_unique<PlainStream>(STDIN_FILENO, "standard input"));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error("cannot open", path);
  std::unique_ptr<ByteStream> file = std::make_unique<PlainStream>(descriptor, path);
  if (path.ends_with(".zst")) return std::unique_ptr<ByteStream>(std::make_unique<ZstdStream>(std::move(file), path));
  if (path.ends_with(".gz")) return std::unique_ptr<ByteStream>(std::make_unique<GzipStream>(std::move(file), path));
  return file;
}

}  // namespace tocsin::event
