// The memory of events already judged, for `dedupe for` (SEMANTICS T8): an id is a digest of (type, key). An id is
// remembered until the source's span has passed since its event's time (since now, for a late one). Whether an event is
// a duplicate depends on what was asked before and on the event time told by advance(), never on when expired ids are
// thrown away: expire() may be called at any time.
//
// One owner, one thread. Bounded by the rate of events times the span; 40 bytes per id.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/large_pages.h"
#include "base/result.h"
#include "base/time.h"

namespace tocsin::state {

class IdsSeen {
 public:
  struct Seen {
    Digest id;
    Timestamp until;
  };

  /// Event time has come to `now`; it never goes back. Told at the same places of the input in every run.
  void advance(Timestamp now) { now_ = now > now_ ? now : now_; }
  [[nodiscard]] Timestamp now() const { return now_; }

  /// True when `id` is remembered and its end is reached neither by `time` nor by advance(). Otherwise the id is
  /// remembered from here on, until max(time, now()) + keep.
  bool seen_before(Digest id, Timestamp time, Duration keep);
  /// Brings the place of an id into the cache; some dozen ids ahead of seen_before() is enough.
  void prefetch(Digest id) const {
    if (!places_.empty()) __builtin_prefetch(&places_[id.low & (places_.size() - 1)], 1);
  }

  /// Throws away the ids that no event can meet any more.
  void expire();
  [[nodiscard]] std::size_t size() const { return size_; }

  /// For a checkpoint: ids remembered since the last one, and stored ids that expired since; both sorted by id.
  [[nodiscard]] std::vector<Seen> added() const;
  [[nodiscard]] std::vector<Digest> expired() const;
  void checkpointed();

  /// While loading: an id as added() gave it.
  void restore(const Seen& seen);

  /// The value of an id's record.
  static std::string encode(Timestamp until);
  static Result<Timestamp> decode(std::string_view bytes);

 private:
  struct Place {
    Digest id;
    std::int64_t until_us = 0;
    bool used = false;
    bool stored = false;  // an earlier checkpoint holds a record of this id
    bool fresh = false;   // to be written by the next
  };

  [[nodiscard]] std::size_t locate(Digest id) const;
  void make_room();
  void remember_end(Digest id, Timestamp until);
  void close_newest_lot();
  void erase_at(std::size_t index);
  void grow();

  std::vector<Place, LargePages<Place>> places_;
  std::size_t size_ = 0;
  Timestamp now_ = Timestamp::min();
  std::map<std::int64_t, std::vector<Digest>> ends_;  // by second of their end, so that throwing away is by the lot
  std::vector<Digest> newest_lot_;  // on its way into ends_: nearly every id ends with the one before it
  std::int64_t newest_lot_number_ = 0;
  std::vector<Digest> fresh_;  // may name an id twice, or one that is gone
  std::vector<Digest> expired_;
};

}  // namespace tocsin::state
