// The history: every judged event once, packed, in the order of judging, whether or not a rule of the day asks about it, so that the
// windows of later rules can be filled from it (LANGUAGE S11). It lies in the store in blocks, each of one event type, so that
// every type has its own retention and who fills reads only the types that are asked about. What was judged since the last
// checkpoint is the tail; a checkpoint takes it along, so the history ends at the very moment the state is of.
//
// Events are in the order of what they reached: their time, or for a late event the watermark it was judged at. That never
// goes back within a type, so a block says how far it reaches and whole blocks are passed over or forgotten.
//
// Owner: the engine's thread; a block that was read is anybody's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "event/event.h"
#include "state/records.h"
#include "state/store.h"

namespace tocsin::state {

/// One event of the history.
struct Judged {
  std::uint64_t release = 0;
  Timestamp watermark;      // at which it was judged, if it is late
  std::string_view packed;  // event/pack.h
};

/// What was judged since the last checkpoint.
class HistoryTail {
 public:
  /// A block is closed when it has grown to this: large enough that RocksDB squeezes it well and small enough to be read at once.
  static constexpr std::size_t block_bytes = 64 * 1024;

  void append(const event::Event& event, const event::Schema& schema, std::uint64_t release, Timestamp reached);
  /// Closes the blocks that are open: the types of the schema are about to get other numbers.
  void close();
  /// Everything, as records; then the tail is empty.
  void take(WriteSet& writes);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Block {
    std::uint64_t type = 0;  // hash of its name
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    Timestamp reached;
    std::string bytes;  // empty: not begun
  };
  void close(Block& block);

  std::vector<Block> open_;  // by event type
  std::vector<WriteSet::Write> closed_;
  std::size_t bytes_ = 0;
};

/// A block as it stands in the store; `value` must outlive it.
class HistoryBlock {
 public:
  /// Corrupt when the bytes are not a block of ours.
  static Result<HistoryBlock> open(const HistoryKey& key, std::string_view value);
  /// How far its events reach.
  [[nodiscard]] Timestamp reached() const { return reached_; }
  /// The next event, in order; nothing at the end. Requires: not failed().
  std::optional<Judged> next();
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  std::string_view body_;
  std::uint64_t release_ = 0;
  Timestamp reached_;
  bool failed_ = false;
};
/// Of the blocks of one type those that reach `time` stand behind those that do not. A release between: all blocks that begin before it
/// do not reach it, the others do. Looks at a few blocks only; one that does not read counts as reaching.
std::uint64_t history_reaching(Cursor& cursor, std::uint64_t type, std::uint64_t released, Timestamp time);

/// From when on the history has everything: since the stream began (Timestamp::min()) or since a later moment. A field that
/// the rules did not declare was not kept, so each field has a moment of its own.
struct HistoryCoverage {
  struct OfType {
    Timestamp since = Timestamp::min();
    std::map<std::uint32_t, Timestamp> fields;  // by tag (event/pack.h)
  };
  std::uint64_t released = 0;             // of the checkpoint it was written with: of another one it says nothing
  std::map<std::uint64_t, OfType> types;  // by hash of the name

  [[nodiscard]] std::string encode() const;
  static std::optional<HistoryCoverage> decode(std::string_view bytes);
};

}  // namespace tocsin::state
