#include "state/ids_seen.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"

namespace tocsin::state {
namespace {

constexpr std::int64_t lot_us = 1'000'000;

/// The lot of all ends in ((n-1) s, n s]: when `n` seconds are reached all of it is over.
std::int64_t lot_of(Timestamp until) {
  const std::int64_t whole = until.us / lot_us;
  return until.us > whole * lot_us ? whole + 1 : whole;
}

}  // namespace

bool IdsSeen::seen_before(Digest id, Timestamp time, Duration keep) {
  // A late event is remembered as long as one of now: sent again at once it is still a second one.
  const Timestamp reached = std::max(time, now_);
  const Timestamp until = reached + keep;
  make_room();
  Place& place = places_[locate(id)];
  if (place.used) {
    if (reached.us < place.until_us) return true;
    place.until_us = until.us;
    if (!place.fresh) fresh_.push_back(id);
    place.fresh = true;
    remember_end(id, until);
    return false;
  }
  ++size_;
  place = {id, until.us, true, false, true};
  remember_end(id, until);
  fresh_.push_back(id);
  return false;
}

void IdsSeen::restore(const Seen& seen) {
  make_room();
  Place& place = places_[locate(seen.id)];
  if (!place.used) ++size_;
  place = {seen.id, seen.until.us, true, true, false};
  remember_end(seen.id, seen.until);
}

void IdsSeen::make_room() {
  if ((size_ + 1) * 4 > places_.size() * 3) grow();
}

void IdsSeen::remember_end(Digest id, Timestamp until) {
  if (const std::int64_t lot = lot_of(until); lot != newest_lot_number_) {
    close_newest_lot();
    newest_lot_number_ = lot;
  }
  newest_lot_.push_back(id);
}

void IdsSeen::close_newest_lot() {
  if (newest_lot_.empty()) return;
  std::vector<Digest>& lot = ends_[newest_lot_number_];
  lot.insert(lot.end(), newest_lot_.begin(), newest_lot_.end());
  newest_lot_.clear();
}

void IdsSeen::expire() {
  if (newest_lot_number_ <= now_.us / lot_us) close_newest_lot();
  while (!ends_.empty() && ends_.begin()->first <= now_.us / lot_us) {
    const std::vector<Digest>& lot = ends_.begin()->second;
    for (std::size_t i = 0; i < lot.size(); ++i) {
      if (i + 24 < lot.size()) prefetch(lot[i + 24]);
      const Digest id = lot[i];
      const std::size_t index = locate(id);
      // Seen again since, it stands in a later lot as well.
      if (!places_[index].used || places_[index].until_us > now_.us) continue;
      if (places_[index].stored) expired_.push_back(id);
      erase_at(index);
    }
    ends_.erase(ends_.begin());
  }
}

std::vector<IdsSeen::Seen> IdsSeen::added() const {
  std::vector<Seen> out;
  if (places_.empty()) return out;
  for (const Digest id : fresh_) {
    const Place& place = places_[locate(id)];
    if (place.used && place.fresh) out.push_back({id, {place.until_us}});
  }
  std::sort(out.begin(), out.end(), [](const Seen& a, const Seen& b) { return a.id < b.id; });
  out.erase(std::unique(out.begin(), out.end(), [](const Seen& a, const Seen& b) { return a.id == b.id; }), out.end());
  return out;
}

std::vector<Digest> IdsSeen::expired() const {
  std::vector<Digest> out;
  for (const Digest id : expired_) {
    // Seen again after it expired: its record is written anew, not deleted.
    if (places_.empty() || !places_[locate(id)].used) out.push_back(id);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void IdsSeen::checkpointed() {
  for (const Digest id : fresh_) {
    Place& place = places_[locate(id)];
    if (!place.used) continue;
    place.fresh = false;
    place.stored = true;
  }
  fresh_.clear();
  expired_.clear();
}

std::size_t IdsSeen::locate(Digest id) const {
  const std::size_t mask = places_.size() - 1;
  std::size_t i = id.low & mask;
  while (places_[i].used && places_[i].id != id) i = (i + 1) & mask;
  return i;
}

void IdsSeen::erase_at(std::size_t gap) {
  const std::size_t mask = places_.size() - 1;
  for (std::size_t i = (gap + 1) & mask; places_[i].used; i = (i + 1) & mask) {
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
  for (const Place& place : old) {
    if (place.used) places_[locate(place.id)] = place;
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
