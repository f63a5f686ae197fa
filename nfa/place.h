// Where an event stands in the total order of a key, and an event in its place. Plain values.
#pragma once

#include <compare>
#include <cstdint>

#include "base/coding.h"
#include "base/time.h"

namespace tocsin::nfa {

/// A place in the total order (T1).
struct Place {
  Timestamp time = Timestamp::min();
  std::uint64_t order = 0;
  constexpr auto operator<=>(const Place&) const = default;
};

inline void put_place(ByteWriter& out, Place p) {
  out.put_i64(p.time.us);
  out.put_varint(p.order);
}

inline Place get_place(ByteReader& in) {
  Place p;
  p.time.us = in.get_i64();
  p.order = in.get_varint();
  return p;
}

/// The time of an event, in bytes. One that is far from all years (0 to 9999) is none: so whatever was read, the next event stands
/// behind it, and sums of times do not overflow.
inline Timestamp get_event_time(ByteReader& in, std::int64_t us) {
  constexpr std::int64_t far = std::int64_t{1} << 60U;
  if (us <= -far || us >= far) in.refuse();
  return {us};
}

/// An event in its place.
struct Bound {
  std::uint64_t event = 0;  // position in the log of the key
  std::uint64_t order = 0;  // arrival number
  Timestamp time;
  [[nodiscard]] Place place() const { return {time, order}; }
  bool operator==(const Bound&) const = default;
};

}  // namespace tocsin::nfa
