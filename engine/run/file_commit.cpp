#include "engine/run/file_commit.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/coding.h"
#include "state/records.h"

namespace tocsin::engine {

namespace {

constexpr std::string_view record_name = "file lengths";
constexpr std::uint8_t record_version = 1;
// Large enough that a call of the system costs nothing per record, small enough to forget about.
constexpr std::size_t buffer_bytes = 256U << 10U;

Error failed(const std::string& what, const std::string& path, int error) {
  const ErrorKind kind = error == ENOSPC || error == EDQUOT ? ErrorKind::unavailable : ErrorKind::refused;
  return {kind, what + " " + path + ": " + std::strerror(error)};
}

using Lengths = std::array<std::uint64_t, out_stream_count>;

Result<std::optional<Lengths>> stored_lengths(const state::Store& store) {
  Result<std::optional<std::string>> stored = store.get(state::meta_record(record_name));
  if (!stored) return stored.error().while_doing("reading the lengths of the output files");
  if (!stored.value()) return std::optional<Lengths>{};
  ByteReader in(*stored.value());
  Lengths lengths{};
  const bool known = in.get_u8() == record_version;
  for (std::uint64_t& length : lengths) length = in.get_varint();
  if (!known || in.failed() || !in.at_end()) {
    return Error{ErrorKind::corrupt,
                 "the lengths of the output files in the store do not read; restore the directory from a copy"};
  }
  return std::optional<Lengths>{lengths};
}

}  // namespace

std::string FileCommit::file_name(OutStream stream) {
  return std::string(out_stream_names[static_cast<std::size_t>(stream)]) + ".ndjson";
}

Result<std::unique_ptr<FileCommit>> FileCommit::open(const std::string& directory, state::Store* store,
                                                     Existing existing) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return Error{ErrorKind::refused, "cannot make the output directory " + directory + ": " + error.message()};
  }
  std::optional<Lengths> known;
  if (store != nullptr) {
    Result<std::optional<Lengths>> stored = stored_lengths(*store);
    if (!stored) return stored.error();
    known = stored.value();
  }
  std::unique_ptr<FileCommit> commit(new FileCommit);
  commit->store_ = store;
  for (std::size_t i = 0; i < out_stream_count; ++i) {
    File& file = commit->files_[i];
    file.path = directory + "/" + file_name(static_cast<OutStream>(i));
    file.descriptor = ::open(file.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file.descriptor < 0) return failed("cannot write", file.path, errno);
    const ::off_t end = ::lseek(file.descriptor, 0, SEEK_END);
    if (end < 0) return failed("cannot write", file.path, errno);
    const std::uint64_t size = static_cast<std::uint64_t>(end);
    file.length = known ? (*known)[i] : 0;
    if (size < file.length) {
      return Error{ErrorKind::corrupt,
                   file.path + " holds " + std::to_string(size) + " bytes, but the checkpoint was made when it held " +
                       std::to_string(file.length) +
                       ": it was changed by somebody else; put it back, or begin anew with an empty state directory"};
    }
    if (!known && size > 0 && existing == Existing::refuse) {
      return Error{ErrorKind::refused,
                   file.path +
                       " already holds something that the state directory knows nothing of; move it away, or "
                       "name another output directory"};
    }
    const ::off_t length = static_cast<::off_t>(file.length);
    if (::ftruncate(file.descriptor, length) != 0) return failed("cannot cut", file.path, errno);
    if (::lseek(file.descriptor, length, SEEK_SET) < 0) return failed("cannot write", file.path, errno);
  }
  if (store != nullptr && !known) {
    // From here on the files are known to be ours, also after a kill before the first checkpoint.
    state::WriteSet writes;
    writes.put(state::meta_record(record_name), commit->encoded_lengths());
    const Status written = store->commit(writes);
    if (!written) return written.error();
  }
  return commit;
}

FileCommit::~FileCommit() {
  for (File& file : files_) {
    if (file.descriptor < 0) continue;
    // What cannot be written any more here was never promised; who needs to know calls flush() or checkpoint().
    [[maybe_unused]] const Status ignored = write(file);
    ::close(file.descriptor);
  }
}

Status FileCommit::write(File& file) {
  std::size_t done = 0;
  while (done < file.buffer.size()) {
    const ::ssize_t n = ::write(file.descriptor, file.buffer.data() + done, file.buffer.size() - done);
    if (n < 0) {
      if (errno == EINTR) continue;
      const int error = errno;
      file.buffer.erase(0, done);
      return failed("cannot write", file.path, error);
    }
    done += static_cast<std::size_t>(n);
    file.length += static_cast<std::uint64_t>(n);
  }
  file.buffer.clear();
  return {};
}

Status FileCommit::deliver(const Outbox& outbox) {
  for (const OutRecord& record : outbox.records) {
    File& file = files_[static_cast<std::size_t>(record.stream)];
    file.buffer += record.bytes;
    file.buffer += '\n';
    if (file.buffer.size() < buffer_bytes) continue;
    if (Status written = write(file); !written) return written;
  }
  // Alerts are few and somebody may be waiting for them.
  return write(files_[static_cast<std::size_t>(OutStream::alerts)]);
}

Status FileCommit::flush() {
  for (File& file : files_) {
    if (Status written = write(file); !written) return written;
  }
  return {};
}

Status FileCommit::seal(state::WriteSet& writes) {
  if (Status flushed = flush(); !flushed) return flushed;
  if (store_ != nullptr) writes.put(state::meta_record(record_name), encoded_lengths());
  return {};
}

Status FileCommit::settle(const state::WriteSet& writes) {
  if (store_ == nullptr) return {};
  // What was written to a file since seal() comes to the disk as well, and does no harm there: it stands behind the length.
  for (const File& file : files_) {
    if (::fdatasync(file.descriptor) != 0) return failed("cannot bring to the disk", file.path, errno);
  }
  return store_->commit(writes);
}

std::array<std::uint64_t, out_stream_count> FileCommit::lengths() const {
  Lengths lengths{};
  for (std::size_t i = 0; i < out_stream_count; ++i) lengths[i] = files_[i].length + files_[i].buffer.size();
  return lengths;
}

std::string FileCommit::encoded_lengths() const {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(record_version);
  for (const File& file : files_) out.put_varint(file.length);
  return bytes;
}

}  // namespace tocsin::engine
