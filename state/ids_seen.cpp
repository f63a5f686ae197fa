#include "state/ids_seen.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"

namespace tocsin::state {

bool IdsSeen::seen_before(Digest id, Timestamp time, Duration keep) {
  // A late event is remembered as long as one of now: sent again at once it is still a second one.
  const Timestamp reached = std::max(time, now_);
  make_room();
  Place& place = places_[locate(id)];
  if (place.until_us != free && reached.us < place.until_us) return true;
  remember(place, id, reached + keep);
  return false;
}

void IdsSeen::remember(Place& place, Digest id, Timestamp until) {
  if (place.until_us == free) {
    ++size_;
    place.id = id;
    place.stored = false;
  } else if (place.fresh_in != interval_) {
    place.stored = true;
  }
  until = std::max(until, Timestamp{free + 1});
  place.until_us = until.us;
  place.fresh_in = interval_;
  last_until_ = std::max(last_until_, until);
  to_sweep_ += swept_per_id;
  if (checkpoints_) fresh_.push_back({id, until});
}

void IdsSeen::restore(const Seen& seen) {
  make_room();
  Place& place = places_[locate(seen.id)];
  if (place.until_us == free) ++size_;
  place = {seen.id, std::max(seen.until, Timestamp{free + 1}).us, 0, true};
  last_until_ = std::max(last_until_, seen.until);
}

void IdsSeen::make_room() {
  if ((size_ + 1) * 4 > places_.size() * 3) grow();
}

void IdsSeen::expire() {
  if (now_ >= last_until_) to_sweep_ = places_.size();
  if (to_sweep_ == 0 || size_ == 0) return;
  sweep(std::min(to_sweep_, places_.size()));
  to_sweep_ = 0;
}

void IdsSeen::sweep(std::size_t count) {
  const std::size_t mask = places_.size() - 1;
  while (count-- > 0) {
    // What moves into the gap stands under the hand then, so it stays until the place holds something alive.
    while (places_[hand_].until_us != free && places_[hand_].until_us <= now_.us) {
      const Place& place = places_[hand_];
      if (checkpoints_ && (place.stored || place.fresh_in != interval_)) expired_.push_back(place.id);
      erase_at(hand_);
    }
    hand_ = (hand_ + 1) & mask;
  }
}

std::vector<IdsSeen::Seen> IdsSeen::added() const {
  std::vector<Seen> out;
  out.reserve(fresh_.size());
  // What is over is not written: the hand may have come by already, and nobody would delete the record.
  for (const Seen& seen : fresh_) {
    if (seen.until > now_) out.push_back(seen);
  }
  return out;
}

void IdsSeen::checkpointed() {
  ++interval_;
  fresh_.clear();
  expired_.clear();
}

std::size_t IdsSeen::locate(Digest id) const {
  const std::size_t mask = places_.size() - 1;
  std::size_t i = id.low & mask;
  while (places_[i].until_us != free && places_[i].id != id) i = (i + 1) & mask;
  return i;
}

void IdsSeen::erase_at(std::size_t gap) {
  const std::size_t mask = places_.size() - 1;
  for (std::size_t i = (gap + 1) & mask; places_[i].until_us != free; i = (i + 1) & mask) {
    const std::size_t home = places_[i].id.low & mask;
    if (((i - home) & mask) >= ((i - gap) & mask)) {
      places_[gap] = places_[i];
      gap = i;
    }
  }
  places_[gap] = {};
  --size_;
}

void IdsSeen::grow() {
  const auto old = std::exchange(places_, decltype(places_)(places_.empty() ? 64 : places_.size() * 2));
  hand_ = 0;
  for (const Place& place : old) {
    if (place.until_us != free) places_[locate(place.id)] = place;
  }
}

std::string IdsSeen::encode(Timestamp until) {
  std::string out;
  ByteWriter(out).put_i64(until.us);
  return out;
}

Result<Timestamp> IdsSeen::decode(std::string_view bytes) {
  if (bytes.size() != 8) return Error{ErrorKind::corrupt, "the record of an id seen is not eight bytes long"};
  return Timestamp{ByteReader(bytes).get_i64()};
}

}  // namespace tocsin::state
