// Where output and state become one. Between checkpoints a Commit only delivers; with a checkpoint it first makes sure that
// everything delivered so far is safe (flushed, acknowledged) and only then writes the state and the source positions of the
// same moment, atomically. So after a kill nothing is lost, and what is sent a second time has the same id and content.
#pragma once

#include "base/result.h"
#include "engine/run/outbox.h"
#include "state/store.h"

namespace tocsin::engine {

class Commit {
 public:
  virtual ~Commit() = default;
  /// Hands the records to the world, in order. May return before they are safe.
  virtual Status deliver(const Outbox& outbox) = 0;
  /// Waits until everything delivered is safe, then applies `writes` atomically. The sink may add records of its own
  /// (the lengths of its files) to `writes` before it does.
  virtual Status checkpoint(state::WriteSet& writes) = 0;
};

}  // namespace tocsin::engine
