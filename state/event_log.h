// The log of one key: the packed events that rules can ask about, each under a position, a number that only grows
// (DESIGN, border 6). Positions stay valid across checkpoints and restarts; everybody who remembers an event remembers
// its position. A late event gets the next position like any other: order by time is the reader's business.
//
// Since positions only grow and records never change, a checkpoint writes what was appended since the last one and
// deletes what was trimmed. Owned by the slab of its key; one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace tocsin::state {

class EventLog {
 public:
  /// Keeps a copy of `packed` and returns its position. Requires: not empty.
  std::uint64_t append(std::string_view packed);

  /// The event at a position, until the next append or trim; nothing when it was dropped, trimmed, or never there.
  [[nodiscard]] std::optional<std::string_view> find(std::uint64_t position) const;

  /// Forgets everything before `position`.
  void trim_before(std::uint64_t position);
  /// Forgets one event (retention differs per event type); its position stays taken.
  void drop(std::uint64_t position);

  /// Forgets all events but those at the positions, which need be neither sorted nor different; they are sorted.
  void keep_only(std::vector<std::uint64_t>& positions);
  /// Since the last keep_only() the events have come to twice as much (and more than is worth a look): asking who still needs them
  /// costs no more than what was appended since.
  [[nodiscard]] bool has_grown() const { return bytes() > 2 * kept_bytes_ + 4096; }

  /// Brings the newest event's place into the cache.
  void prefetch() const {
    __builtin_prefetch(entries_.data() + first_);
    __builtin_prefetch(bytes_.data());
  }

  [[nodiscard]] std::uint64_t begin() const { return begin_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] bool empty() const { return begin() == end(); }

  /// Events from here on are in no checkpoint yet.
  [[nodiscard]] std::uint64_t dirty_from() const { return dirty_from_ < begin_ ? begin_ : dirty_from_; }
  /// Positions [first, second) are in the store and were trimmed since the last checkpoint: their records are to be
  /// deleted.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> trimmed() const {
    return {stored_from_, std::max(stored_from_, std::min(begin_, dirty_from_))};
  }
  /// Positions dropped since the last checkpoint that an earlier one wrote: their records are to be deleted.
  [[nodiscard]] const std::vector<std::uint64_t>& dropped() const { return dropped_; }
  /// All of it is in the checkpoint now.
  void checkpointed();

  /// While loading: the log goes on at `position`. Refused when positions go backwards.
  Status restore(std::uint64_t position, std::string_view packed);
  /// While loading, after the events: the log's own numbers (the next position, where it began), from the key's slab.
  Status restore_end(std::uint64_t begin, std::uint64_t end);

  /// Of the packed events.
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() - dead_bytes_; }
  /// Memory held outside of this object.
  [[nodiscard]] std::size_t memory() const {
    return bytes_.capacity() + entries_.capacity() * sizeof(Entry) + dropped_.capacity() * sizeof(std::uint64_t);
  }

 private:
  /// Those dropped leave nothing behind: one old event that is still needed may stand before millions that are not.
  struct Entry {
    std::uint64_t position = 0;
    std::uint64_t at = 0;    // in bytes_
    std::uint64_t size = 0;  // 0: dropped since the last compaction
  };
  [[nodiscard]] std::size_t index_of(std::uint64_t position) const;
  void drop_at(std::size_t index);
  void compact();

  std::string bytes_;
  std::vector<Entry> entries_;  // from first_ on, by position
  std::size_t first_ = 0;
  std::size_t dead_entries_ = 0;  // dropped, from first_ on
  std::uint64_t dead_bytes_ = 0;  // of bytes_, held by nobody
  std::uint64_t kept_bytes_ = 0;  // left by the last keep_only()
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t dirty_from_ = 0;
  std::uint64_t stored_from_ = 0;
  std::vector<std::uint64_t> dropped_;
};

}  // namespace tocsin::state
