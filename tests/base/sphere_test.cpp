#include "base/sphere.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>

using namespace tocsin;

namespace {

/// The same by another formula (Vincenty's, for a sphere) in 64 digits of long double: well conditioned everywhere.
long double slow_km(std::int64_t lat_a, std::int64_t lon_a, std::int64_t lat_b, std::int64_t lon_b) {
  const auto rad = [](std::int64_t e9) {
    return static_cast<long double>(e9) / 1e9L * 3.14159265358979323846264338327950288L / 180;
  };
  const long double a = rad(lat_a);
  const long double b = rad(lat_b);
  const long double d = rad(lon_a - lon_b);
  const long double y =
      std::hypot(std::cos(b) * std::sin(d), std::cos(a) * std::sin(b) - std::sin(a) * std::cos(b) * std::cos(d));
  const long double x = std::sin(a) * std::sin(b) + std::cos(a) * std::cos(b) * std::cos(d);
  return 6371.0088L * std::atan2(y, x);
}

long double km(const Decimal& d) { return static_cast<long double>(d.units) / 1e9L; }

}  // namespace

TEST_CASE("distances are right to the metre, for any two places") {
  CHECK(rc::check("sphere = another formula in floating point", [] {
    const auto latitude = rc::gen::inRange<std::int64_t>(-90'000'000'000, 90'000'000'001);
    const auto longitude = rc::gen::inRange<std::int64_t>(-180'000'000'000, 180'000'000'001);
    const std::int64_t lat_a = *latitude;
    const std::int64_t lon_a = *longitude;
    const bool near = *rc::gen::inRange(0, 2) == 1;
    const std::int64_t lat_b =
        near ? std::clamp<std::int64_t>(lat_a + *rc::gen::inRange<std::int64_t>(-1'000'000, 1'000'000), -90'000'000'000,
                                        90'000'000'000)
             : *latitude;
    const std::int64_t lon_b =
        near ? std::clamp<std::int64_t>(lon_a + *rc::gen::inRange<std::int64_t>(-1'000'000, 1'000'000),
                                        -180'000'000'000, 180'000'000'000)
             : *longitude;
    const Decimal d = distance_km(lat_a, lon_a, lat_b, lon_b);
    RC_ASSERT(d.units % 1'000'000 == 0);
    // Half a metre of rounding, and the two formulas' own errors.
    RC_ASSERT(std::fabs(km(d) - slow_km(lat_a, lon_a, lat_b, lon_b)) <= 0.00052L);
    RC_ASSERT(distance_km(lat_b, lon_b, lat_a, lon_a) == d);
  }));
}

TEST_CASE("known distances") {
  constexpr std::int64_t degree = 1'000'000'000;
  CHECK(to_text(distance_km(0, 0, 0, 0)) == "0");
  CHECK(to_text(distance_km(0, 0, 0, 180 * degree)) == "20015.114");
  CHECK(to_text(distance_km(90 * degree, 0, -90 * degree, 77 * degree)) == "20015.114");
  CHECK(to_text(distance_km(0, 179 * degree, 0, -179 * degree)) == "222.39");
  CHECK(to_text(distance_km(52'520'000'000, 13'405'000'000, 48'856'600'000, 2'352'200'000)) == "877.465");
}
