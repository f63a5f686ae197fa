// Output onto the standard output, or any stream: one JSON object a line, {"stream":"alerts","record":{…}}, handed over
// at once. What a pipe has swallowed cannot be cut off again: after a kill records since the last checkpoint come a
// second time, with the same ids.
#pragma once

#include <array>
#include <cstdio>

#include "engine/run/commit.h"

namespace tocsin::daemon {

class StdoutCommit final : public engine::Commit {
 public:
  /// `store` may be null: then nothing survives. `wanted`: by stream.
  StdoutCommit(std::FILE* stream, state::Store* store, std::array<bool, engine::out_stream_count> wanted)
      : stream_(stream), store_(store), wanted_(wanted) {}

  Status deliver(const engine::Outbox& outbox) override;
  Status seal(state::WriteSet& writes) override;
  Status settle(const state::WriteSet& writes) override;

 private:
  std::FILE* stream_;
  state::Store* store_;
  std::array<bool, engine::out_stream_count> wanted_;
};

}  // namespace tocsin::daemon
