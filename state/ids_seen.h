// The memory of events already judged, for `dedupe for` (SEMANTICS T8): an id is a digest of (type, key). An id is
// remembered until the source's span has passed since its event's time (since now, for a late one). Whether an event is
// a duplicate depends on what was asked before and on the event time told by advance(), never on when expired ids are
// thrown away: expire() may be called at any time.
//
// A table of 32-byte places, open addressing. Expired ids lie where they are until a hand that goes round the table like that of
// a clock comes by: memory is then read in its order, and nothing needs to know which id ends when. The hand goes
// `swept_per_id` places for each id remembered, so it is round once while the table takes an eighth of its places, and at most so
// many of them hold what is over.
//
// One owner, one thread. Bounded by the rate of events times the span; 32 bytes per place, at most three of four used.
#pragma once

#include <cstdint>
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

  /// `checkpoints` false: added(), expired() and checkpointed() will not be called, nothing is remembered for them.
  explicit IdsSeen(bool checkpoints = true) : checkpoints_(checkpoints) {}

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

  /// Moves the hand on, and throws away what it finds that no event can meet any more; everything when all is over.
  void expire();
  /// Ids in the table: the remembered ones, and the expired ones the hand has not come by.
  [[nodiscard]] std::size_t size() const { return size_; }

  /// For a checkpoint: ids remembered since the last one, in the order of remembering (of two of one id the later one counts), and
  /// ids of stored records that expired since. An id that expired and was seen again is in both: the records of expired() are to be
  /// deleted first, those of added() written then.
  [[nodiscard]] std::vector<Seen> added() const;
  [[nodiscard]] std::size_t added_count() const { return fresh_.size(); }
  [[nodiscard]] const std::vector<Digest>& expired() const { return expired_; }
  void checkpointed();

  /// While loading: an id as added() gave it.
  void restore(const Seen& seen);

  /// The value of an id's record.
  static std::string encode(Timestamp until);
  static Result<Timestamp> decode(std::string_view bytes);

 private:
  static constexpr std::int64_t free = INT64_MIN;
  static constexpr std::size_t swept_per_id = 8;

  struct alignas(32) Place {
    Digest id;
    std::int64_t until_us = free;
    std::uint32_t fresh_in = 0;  // between which checkpoints it was remembered (interval_)
    bool stored = false;         // an earlier checkpoint holds a record of this id
  };
  static_assert(sizeof(Place) == 32);

  [[nodiscard]] std::size_t locate(Digest id) const;
  void make_room();
  void remember(Place& place, Digest id, Timestamp until);
  void erase_at(std::size_t index);
  void sweep(std::size_t count);
  void grow();

  bool checkpoints_;
  std::vector<Place, LargePages<Place>> places_;
  std::size_t size_ = 0;
  std::size_t hand_ = 0;
  std::size_t to_sweep_ = 0;  // places
  Timestamp now_ = Timestamp::min();
  Timestamp last_until_ = Timestamp::min();  // the newest end of all
  std::uint32_t interval_ = 1;
  std::vector<Seen> fresh_;  // may name an id twice, or one that is over
  std::vector<Digest> expired_;
};

}  // namespace tocsin::state
