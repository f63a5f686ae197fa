// From bytes to items: the one way in. Raw records of a source become events, or dead letters; what time itself has to say (a partition
// is idle, a tick) and what changes the rules stands between them in the same order. A batch is gathered here and handed to
// Engine::step at once. Replay, daemon and tests all come through this door, so what they see cannot differ.
//
// The intake remembers, per partition, the last record it took. That memory is captured together with the engine's state: after a
// restart the source goes on exactly behind the last event the engine knows.
//
// Owner: whoever owns the engine. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/arena.h"
#include "base/result.h"
#include "engine/run/engine.h"
#include "engine/run/item.h"
#include "engine/run/outbox.h"
#include "event/decode.h"
#include "event/mask.h"
#include "event/source.h"
#include "state/store.h"

namespace tocsin::engine {

/// Counted since the stream began; a restart goes on from what its checkpoint held.
struct IntakeCounts {
  std::uint64_t records = 0;  // lines taken; those that became events or dead letters
  std::uint64_t events = 0;
  std::array<std::uint64_t, event::reason_count> dead_letters{};  // by event::Reason
  std::uint64_t unknown_fields = 0;                               // fields in the input that no schema declares
  Timestamp first_time = Timestamp::max();  // smallest and largest event time; no event: max and min
  Timestamp last_time = Timestamp::min();

  [[nodiscard]] std::uint64_t dead_letter_count() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t n : dead_letters) sum += n;
    return sum;
  }
};

/// What is known of one partition.
struct IntakePartition {
  std::uint64_t sequence = 0;     // of the last record taken; 0: none yet
  std::uint64_t byte_offset = 0;  // where the one behind it begins
  bool taken = false;             // a record was taken at all: Kafka's numbers begin at 0
  bool ended = false;             // nothing will come any more
  Timestamp largest_time = Timestamp::min();
};

class Intake {
 public:
  /// `format_of_partition[p]` is an index into `formats`; partitions behind its end have format 0. Refused when a format names
  /// a type or field that the schema does not have. Requires: at least one format.
  static Result<Intake> make(const event::Schema& schema, std::vector<event::SourceFormat> formats,
                             std::vector<std::uint32_t> format_of_partition = {});

  /// What dead letters call the partitions; those behind its end have no name.
  void name_partitions(std::vector<std::string> names) { names_ = std::move(names); }
  /// Decodes with another schema from here on; positions and counts stay. When it is refused, nothing has changed.
  /// Requires: nothing is pending.
  Status adopt(const event::Schema& schema);

  /// Takes one record: an event joins the batch, anything else becomes a dead letter in `out`. True: it is an event. The bytes
  /// of the record are borrowed until flush(): flush before its partition is polled again.
  bool take(const event::RawRecord& record, Outbox& out);
  /// Any other item joins the batch.
  void add(Item item) { items_.push_back(std::move(item)); }
  void idle(std::uint32_t partition);
  void tick(Timestamp time);
  /// The partition was read to its end: it is idle, and a restart will not ask it again.
  void end(std::uint32_t partition);
  /// It may bring more after all: a file that was added to since.
  void reopen(std::uint32_t partition) { at(partition).ended = false; }

  [[nodiscard]] std::size_t pending_count() const { return items_.size(); }
  /// Steps the engine over what was gathered, if anything.
  void flush(Engine& engine, Outbox& out);

  [[nodiscard]] const IntakeCounts& counts() const { return counts_; }
  /// What counts().unknown_fields is made of, by type and name, the rest of a type last; not to be asked for each event.
  [[nodiscard]] std::vector<event::UnknownField> unknown_fields() const;
  [[nodiscard]] IntakePartition partition(std::uint32_t partition) const;
  /// Where sources go on, for partitions of which something was taken.
  [[nodiscard]] std::vector<event::SourcePosition> positions() const;

  /// One record with positions and counts, to be written with the engine's. Requires: nothing is pending.
  void capture(state::WriteSet& writes) const;
  /// Takes up what a store holds; nothing there: false.
  Result<bool> restore(const state::Store& store);

 private:
  Intake() = default;
  IntakePartition& at(std::uint32_t partition);

  std::vector<event::SourceFormat> formats_;
  std::vector<std::uint32_t> format_of_partition_;
  std::vector<event::JsonDecoder> decoders_;           // by format
  std::vector<event::UnknownField> unknown_before_;    // of decoders that are gone, and of earlier runs
  std::vector<std::vector<event::MaskedName>> masks_;  // by format
  Arena arena_;
  std::vector<Item> items_;
  std::vector<IntakePartition> partitions_;
  std::vector<std::string> names_;  // by partition
  IntakeCounts counts_;
};

}  // namespace tocsin::engine
