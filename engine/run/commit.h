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
  /// The first half of a checkpoint: what was delivered up to here belongs to it. The sink adds records of its own (the lengths of
  /// its files) to `writes`, and waits for what it cannot wait for in settle(). May be followed by other deliveries.
  virtual Status seal(state::WriteSet& writes) = 0;
  /// The second: everything delivered up to seal() is made safe, then `writes` are applied atomically. May be called from another
  /// thread while deliver() goes on, but only one at a time and before the next seal().
  virtual Status settle(const state::WriteSet& writes) = 0;

  Status checkpoint(state::WriteSet& writes) {
    if (Status sealed = seal(writes); !sealed) return sealed;
    return settle(writes);
  }
};

}  // namespace tocsin::engine
