// The built-in functions by number: what the checker writes and the engine runs. What they are called, take and mean stands in
// dsl/functions.cpp, once.
#pragma once

#include <cstdint>

namespace tocsin::event {

enum class Function : std::uint8_t {
  abs,
  amount,
  ceil,
  currency,
  days_between,
  distance_km,
  domain,
  floor,
  greatest,
  hour_of,
  hours_between,
  ip_flag,
  is_private,
  least,
  left,
  length,
  lower,
  right,
  round,
  subnet,
  trim,
  upper,
  weekday_of,
};

}  // namespace tocsin::event
