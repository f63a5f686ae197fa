// Output into files, one per stream (hits.ndjson, alerts.ndjson, decisions.ndjson, dead_letters.ndjson), and with a store: made one
// with it. A checkpoint first brings the files to the disk and then writes their lengths with the state, atomically; after a
// kill whatever stands behind those lengths is cut off and will be written again, byte for byte. So a file never holds a
// record twice and never lacks one.
//
// One owner, one thread. Nobody else writes to the files while it is open; reading along is fine, alerts are handed over at once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/run/commit.h"

namespace tocsin::engine {

class FileCommit final : public Commit {
 public:
  enum class Existing : std::uint8_t {
    replace,  // files that the store knows nothing of are from an earlier run and begin anew
    refuse,   // they belong to somebody else: an error, if they hold anything
  };

  /// Makes `directory` if it is not there. With a store that holds lengths, the tails behind them are cut off; a file that is
  /// shorter than its length is refused. `store` may be null: then nothing survives but the files; else it outlives this.
  static Result<std::unique_ptr<FileCommit>> open(const std::string& directory, state::Store* store, Existing existing);
  ~FileCommit() override;
  FileCommit(const FileCommit&) = delete;
  FileCommit& operator=(const FileCommit&) = delete;

  Status deliver(const Outbox& outbox) override;
  Status seal(state::WriteSet& writes) override;
  Status settle(const state::WriteSet& writes) override;
  /// Hands everything delivered to the operating system, so that readers see it.
  Status flush();

  /// The lengths as they will be when everything delivered is written.
  [[nodiscard]] std::array<std::uint64_t, out_stream_count> lengths() const;
  /// Name of a stream's file: "hits.ndjson".
  static std::string file_name(OutStream stream);

 private:
  struct File {
    std::string path;
    int descriptor = -1;
    std::uint64_t length = 0;  // written
    std::string buffer;        // delivered, not written
  };

  FileCommit() = default;
  static Status write(File& file);
  [[nodiscard]] std::string encoded_lengths() const;

  std::array<File, out_stream_count> files_;
  state::Store* store_ = nullptr;
};

}  // namespace tocsin::engine
