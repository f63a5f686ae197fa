#include "base/sphere.h"

#include <array>
#include <cstdlib>

namespace tocsin {
namespace {

using Wide = unsigned __int128;

// Angles in radians and sines, with 60 binary digits behind the point.
constexpr int digits = 60;
constexpr std::int64_t one = std::int64_t{1} << digits;
// The arcs whose tangent is 2^-i, and the length that a vector must have before so many turns to have length 1 behind them.
constexpr std::array<std::int64_t, 61> arcs = {
    905502432259640355LL,
    534549298976576474LL,
    282441168888798124LL,
    143371547418228444LL,
    71963988336308046LL,
    36017075762092179LL,
    18012932708689205LL,
    9007016009513623LL,
    4503576721087964LL,
    2251796950380271LL,
    1125899548928887LL,
    562949908682076LL,
    281474971118251LL,
    140737487656277LL,
    70368744090283LL,
    35184372077909LL,
    17592186043051LL,
    8796093022037LL,
    4398046511083LL,
    2199023255549LL,
    1099511627776LL,
    549755813888LL,
    274877906944LL,
    137438953472LL,
    68719476736LL,
    34359738368LL,
    17179869184LL,
    8589934592LL,
    4294967296LL,
    2147483648LL,
    1073741824LL,
    536870912LL,
    268435456LL,
    134217728LL,
    67108864LL,
    33554432LL,
    16777216LL,
    8388608LL,
    4194304LL,
    2097152LL,
    1048576LL,
    524288LL,
    262144LL,
    131072LL,
    65536LL,
    32768LL,
    16384LL,
    8192LL,
    4096LL,
    2048LL,
    1024LL,
    512LL,
    256LL,
    128LL,
    64LL,
    32LL,
    16LL,
    8LL,
    4LL,
    2LL,
    1LL,
};
constexpr std::int64_t start_length = 700114967507363238LL;
// 10^-9 degrees in radians, with 120 binary digits behind the point.
constexpr Int128 radians = (static_cast<Int128>(1257642LL) << 64U) | static_cast<Int128>(4925783862968922064ULL);
constexpr std::int64_t radius_mm = 6'371'008'800;

struct SineCosine {
  std::int64_t sine = 0;
  std::int64_t cosine = 0;
};

/// Of an angle within 90 degrees, by turning (1, 0) through it.
SineCosine sine_cosine(std::int64_t angle) {
  std::int64_t x = start_length;
  std::int64_t y = 0;
  for (std::size_t i = 0; i < arcs.size(); ++i) {
    const std::int64_t dx = y >> i;
    const std::int64_t dy = x >> i;
    const bool left = angle >= 0;
    x += left ? -dx : dx;
    y += left ? dy : -dy;
    angle += left ? -arcs[i] : arcs[i];
  }
  return {y, x};
}

/// The angle of the vector (x, y), both not negative, by turning it down to the axis.
std::int64_t angle_of(std::int64_t x, std::int64_t y) {
  // Turning makes the vector 1.65 times as long: one digit less keeps it within 63.
  x >>= 1;
  y >>= 1;
  std::int64_t angle = 0;
  for (std::size_t i = 0; i < arcs.size(); ++i) {
    const std::int64_t dx = y >> i;
    const std::int64_t dy = x >> i;
    const bool down = y > 0;
    x += down ? dx : -dx;
    y += down ? -dy : dy;
    angle += down ? arcs[i] : -arcs[i];
  }
  return angle < 0 ? 0 : angle;
}

/// The whole part of the root.
std::int64_t root(Wide n) {
  Wide r = 0;
  Wide bit = Wide{1} << 124U;
  while (bit > n) bit >>= 2U;
  for (; bit != 0; bit >>= 2U) {
    if (n >= r + bit) {
      n -= r + bit;
      r = (r >> 1U) + bit;
    } else {
      r >>= 1U;
    }
  }
  return static_cast<std::int64_t>(r);
}

std::int64_t product(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>((static_cast<Int128>(a) * b) >> digits);
}

std::int64_t angle(std::int64_t e9) { return static_cast<std::int64_t>((radians * e9) >> digits); }
std::int64_t half_angle(std::int64_t e9) { return static_cast<std::int64_t>((radians * e9) >> (digits + 1)); }

}  // namespace

Decimal distance_km(std::int64_t latitude_a, std::int64_t longitude_a, std::int64_t latitude_b,
                    std::int64_t longitude_b) {
  constexpr std::int64_t whole_turn = 360'000'000'000;
  std::int64_t east = std::llabs(longitude_a - longitude_b);
  if (east > whole_turn / 2) east = whole_turn - east;
  const std::int64_t north = sine_cosine(half_angle(std::llabs(latitude_a - latitude_b))).sine;
  const std::int64_t across = sine_cosine(half_angle(east)).sine;
  // hav = sin²(Δφ/2) + cos φa cos φb sin²(Δλ/2). The second part as the square of its root, so that it keeps its digits when small.
  std::int64_t cosines = product(sine_cosine(angle(latitude_a)).cosine, sine_cosine(angle(latitude_b)).cosine);
  if (cosines < 0) cosines = 0;  // at a pole, by the last digits
  const std::int64_t width = product(across, root(static_cast<Wide>(cosines) << digits));
  constexpr Wide full = static_cast<Wide>(one) * static_cast<Wide>(one);
  Wide haversine =
      static_cast<Wide>(static_cast<Int128>(north) * north) + static_cast<Wide>(static_cast<Int128>(width) * width);
  if (haversine > full) haversine = full;
  const std::int64_t arc = angle_of(root(full - haversine), root(haversine));
  const Int128 scaled = static_cast<Int128>(2 * radius_mm) * arc;  // millimetres, 60 binary digits
  const Int128 metre = static_cast<Int128>(1000) << digits;
  Int128 metres = scaled / metre;
  const Int128 rest = 2 * (scaled % metre);
  if (rest > metre || (rest == metre && metres % 2 != 0)) ++metres;
  return {metres * (Decimal::one / 1000)};
}

}  // namespace tocsin
