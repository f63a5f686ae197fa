// A number of the rule language: nine digits after the point, exact, in 128 bits (LANGUAGE V1). Sums and differences
// are exact; a product or quotient is rounded half to even at the ninth digit; what does not fit is nothing (the
// language calls that missing). No floating point anywhere: the digits of the input are the number.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin {

using Int128 = __int128;

struct Decimal {
  static constexpr int digits = 9;
  static constexpr std::int64_t one = 1'000'000'000;

  Int128 units = 0;  // the number times 10^9

  static constexpr Decimal from_integer(std::int64_t n) { return {static_cast<Int128>(n) * one}; }
  constexpr auto operator<=>(const Decimal&) const = default;
};

// Nothing on overflow of 128 bits.
std::optional<Decimal> add(Decimal a, Decimal b);
std::optional<Decimal> subtract(Decimal a, Decimal b);
std::optional<Decimal> negate(Decimal a);
// Rounded half to even; nothing on overflow, on division by zero, on remainder by zero.
std::optional<Decimal> multiply(Decimal a, Decimal b);
std::optional<Decimal> divide(Decimal a, Decimal b);
std::optional<Decimal> remainder(Decimal a, Decimal b);

/// Decimal digits with an optional sign, point and exponent (as JSON writes numbers). Nothing when it is not a number,
/// has more than nine digits behind the point that are not zero, or does not fit.
std::optional<Decimal> parse_decimal(std::string_view text);
/// As parse_decimal, and digits behind the ninth are rounded half to even instead of refused: for measurements (places
/// on earth), never for money.
std::optional<Decimal> parse_decimal_rounding(std::string_view text);
/// Shortest exact form: "12.5", "-3", "0.333333333".
std::string to_text(Decimal d);
/// Rounded half to even to `places` digits, without trailing zeros: what texts for analysts show (two places).
std::string to_rounded_text(Decimal d, int places);

}  // namespace tocsin
