#include "daemon/stdout_commit.h"

#include <cerrno>
#include <cstring>

namespace tocsin::daemon {

Status StdoutCommit::deliver(const engine::Outbox& outbox) {
  std::string text;
  for (const engine::OutRecord& record : outbox.records) {
    const auto stream = static_cast<std::size_t>(record.stream);
    if (!wanted_[stream]) continue;
    text += "{\"stream\":\"";
    text += engine::out_stream_names[stream];
    text += "\",\"record\":";
    text += record.bytes;
    text += "}\n";
  }
  if (text.empty()) return {};
  if (std::fwrite(text.data(), 1, text.size(), stream_) != text.size() || std::fflush(stream_) != 0) {
    return Error{ErrorKind::unavailable, std::string("cannot write to the standard output: ") + std::strerror(errno)};
  }
  return {};
}

Status StdoutCommit::seal(state::WriteSet&) {
  if (std::fflush(stream_) != 0) {
    return Error{ErrorKind::unavailable, std::string("cannot write to the standard output: ") + std::strerror(errno)};
  }
  return {};
}

Status StdoutCommit::settle(const state::WriteSet& writes) {
  if (store_ == nullptr) return {};
  return store_->commit(writes);
}

}  // namespace tocsin::daemon
