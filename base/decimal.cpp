#include "base/decimal.h"

#include <algorithm>
#include <array>

namespace tocsin {
namespace {

using Wide = unsigned __int128;

constexpr Wide wide_max = ~Wide{0};
constexpr Wide positive_max = wide_max >> 1U;  // 2^127 - 1

// 10^0 to 10^38: all powers of ten that fit.
constexpr std::array<Wide, 39> make_powers() {
  std::array<Wide, 39> powers{};
  Wide power = 1;
  for (std::size_t i = 0; i < powers.size(); ++i) {
    powers[i] = power;
    if (i + 1 < powers.size()) power *= 10U;
  }
  return powers;
}
constexpr std::array<Wide, 39> powers_of_ten = make_powers();

constexpr std::array<std::uint64_t, 10> small_powers = {1,       10,        100,        1'000,       10'000,
                                                        100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

Wide magnitude(Int128 v) { return v < 0 ? Wide{0} - static_cast<Wide>(v) : static_cast<Wide>(v); }

// The magnitude with its sign; nothing when it does not fit. The one value whose negation does not fit, -2^127, does.
std::optional<Decimal> signed_of(Wide units, bool negative) {
  if (units > positive_max + (negative ? 1U : 0U)) return std::nullopt;
  return Decimal{static_cast<Int128>(negative ? Wide{0} - units : units)};
}

// Rounds `quotient` half to even, given what the division left. Nothing when the step up overflows.
std::optional<Wide> rounded(Wide quotient, Wide rest, Wide divisor) {
  const Wide to_next = divisor - rest;
  const bool up = rest > to_next || (rest == to_next && (quotient & 1U) != 0);
  if (!up) return quotient;
  if (quotient == wide_max) return std::nullopt;
  return quotient + 1U;
}

// 256 bits as four limbs, least significant first: what a product of two 128-bit numbers needs before it is scaled
// back.
using Limbs = std::array<std::uint64_t, 4>;

Limbs full_product(Wide a, Wide b) {
  const std::array<std::uint64_t, 2> as = {static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(a >> 64U)};
  const std::array<std::uint64_t, 2> bs = {static_cast<std::uint64_t>(b), static_cast<std::uint64_t>(b >> 64U)};
  Limbs product{};
  for (std::size_t i = 0; i < 2; ++i) {
    Wide carry = 0;
    for (std::size_t j = 0; j < 2; ++j) {
      const Wide sum = static_cast<Wide>(as[i]) * bs[j] + product[i + j] + carry;
      product[i + j] = static_cast<std::uint64_t>(sum);
      carry = sum >> 64U;
    }
    product[i + 2] = static_cast<std::uint64_t>(carry);
  }
  return product;
}

}  // namespace

std::optional<Decimal> add(Decimal a, Decimal b) {
  Int128 sum = 0;
  if (__builtin_add_overflow(a.units, b.units, &sum)) return std::nullopt;
  return Decimal{sum};
}

std::optional<Decimal> subtract(Decimal a, Decimal b) {
  Int128 difference = 0;
  if (__builtin_sub_overflow(a.units, b.units, &difference)) return std::nullopt;
  return Decimal{difference};
}

std::optional<Decimal> negate(Decimal a) { return subtract(Decimal{}, a); }

std::optional<Decimal> multiply(Decimal a, Decimal b) {
  const bool negative = (a.units < 0) != (b.units < 0);
  const Wide x = magnitude(a.units);
  const Wide y = magnitude(b.units);
  constexpr Wide one = static_cast<Wide>(Decimal::one);
  if ((x >> 64U) == 0 && (y >> 64U) == 0) {
    const Wide product = x * y;
    const std::optional<Wide> units = rounded(product / one, product % one, one);
    if (!units) return std::nullopt;
    return signed_of(*units, negative);
  }
  Limbs product = full_product(x, y);
  Wide rest = 0;
  for (std::size_t i = product.size(); i-- > 0;) {
    const Wide part = (rest << 64U) | product[i];
    product[i] = static_cast<std::uint64_t>(part / one);
    rest = part % one;
  }
  if (product[2] != 0) return std::nullopt;
  if (product[3] != 0) return std::nullopt;
  const std::optional<Wide> units = rounded((static_cast<Wide>(product[1]) << 64U) | product[0], rest, one);
  if (!units) return std::nullopt;
  return signed_of(*units, negative);
}

std::optional<Decimal> divide(Decimal a, Decimal b) {
  if (b.units == 0) return std::nullopt;
  const bool negative = (a.units < 0) != (b.units < 0);
  const Wide x = magnitude(a.units);
  const Wide divisor = magnitude(b.units);
  constexpr Wide one = static_cast<Wide>(Decimal::one);
  Wide quotient = 0;
  Wide rest = 0;
  if (x <= wide_max / one) {
    quotient = x * one / divisor;
    rest = x * one % divisor;
  } else {
    // Bit by bit, most significant first: rare (more than 3.4 * 10^11 * 10^9 units), so simple beats fast. The rest
    // stays below the divisor, which is at most 2^127, so that doubling it cannot overflow.
    const Limbs dividend = full_product(x, one);
    for (std::size_t bit = 256; bit-- > 0;) {
      if ((quotient >> 127U) != 0) return std::nullopt;
      rest = (rest << 1U) | ((dividend[bit / 64] >> (bit % 64)) & 1U);
      quotient <<= 1U;
      if (rest >= divisor) {
        rest -= divisor;
        quotient |= 1U;
      }
    }
  }
  const std::optional<Wide> units = rounded(quotient, rest, divisor);
  if (!units) return std::nullopt;
  return signed_of(*units, negative);
}

std::optional<Decimal> remainder(Decimal a, Decimal b) {
  if (b.units == 0) return std::nullopt;
  if (b.units == -1) return Decimal{};  // the smallest number divided by it would trap
  return Decimal{a.units % b.units};
}

namespace {

// What a number says before it is scaled: its digits without the zeros at either end, and the power of ten they stand
// for.
struct Scanned {
  bool negative = false;
  bool cut = false;  // digits that did not fit were dropped, at least one of them not zero
  Wide digits = 0;
  std::int64_t exponent = 0;  // of the last digit kept
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Keeps as many significant digits as fit into 128 bits (38 or 39); one more that is not zero sets `cut`.
std::optional<Scanned> scan(std::string_view text) {
  Scanned number;
  std::size_t at = 0;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) number.negative = text[at++] == '-';
  std::int64_t zeros = 0;     // zeros seen since the last digit kept
  std::int64_t fraction = 0;  // digits seen behind the point
  std::int64_t dropped = 0;   // digits seen since nothing fits any more, up to the last that is not zero
  bool in_fraction = false;
  const auto take = [&](char c) {
    if (in_fraction) ++fraction;
    if (c == '0') {
      if (number.digits != 0) ++zeros;
      return;
    }
    Wide next = 0;
    if (!number.cut && zeros < 38 &&
        !__builtin_mul_overflow(number.digits, powers_of_ten[static_cast<std::size_t>(zeros + 1)], &next) &&
        !__builtin_add_overflow(next, static_cast<unsigned>(c - '0'), &next)) {
      number.digits = next;
      zeros = 0;
      return;
    }
    // The zeros that still fit are kept, so that a cut number has all the digits it can have.
    while (!number.cut && zeros > 0 && !__builtin_mul_overflow(number.digits, Wide{10}, &next)) {
      number.digits = next;
      --zeros;
    }
    number.cut = true;
    dropped += zeros + 1;
    zeros = 0;
  };
  const std::size_t whole_begin = at;
  while (at < text.size() && is_digit(text[at])) take(text[at++]);
  if (at == whole_begin) return std::nullopt;
  if (at < text.size() && text[at] == '.') {
    ++at;
    in_fraction = true;
    const std::size_t fraction_begin = at;
    while (at < text.size() && is_digit(text[at])) take(text[at++]);
    if (at == fraction_begin) return std::nullopt;
  }
  std::int64_t power = 0;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    bool negative_power = false;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) negative_power = text[at++] == '-';
    const std::size_t power_begin = at;
    // Saturated far beyond any text we could hold, so that the sum below stays exact for all that can matter.
    while (at < text.size() && is_digit(text[at])) {
      power = std::min<std::int64_t>(power * 10 + (text[at] - '0'), std::int64_t{1} << 50U);
      ++at;
    }
    if (at == power_begin) return std::nullopt;
    if (negative_power) power = -power;
  }
  if (at != text.size()) return std::nullopt;
  number.exponent = power - fraction + zeros + dropped;
  return number;
}

}  // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
  // Nearly all numbers of events: at most 18 digits, at most nine of them behind a point, no exponent.
  const std::size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  if (text.size() - sign <= 18 && text.size() > sign) {
    std::uint64_t digits = 0;
    std::size_t at = sign;
    while (at < text.size() && is_digit(text[at])) digits = digits * 10 + static_cast<unsigned>(text[at++] - '0');
    if (at > sign) {
      std::size_t fraction = 0;
      if (at + 1 < text.size() && text[at] == '.') {
        const std::size_t begin = ++at;
        while (at < text.size() && is_digit(text[at])) digits = digits * 10 + static_cast<unsigned>(text[at++] - '0');
        fraction = at - begin;
      }
      if (at == text.size() && fraction <= 9) {
        const Wide units = static_cast<Wide>(digits) * small_powers[9 - fraction];
        return Decimal{text[0] == '-' ? -static_cast<Int128>(units) : static_cast<Int128>(units)};
      }
    }
  }
  const std::optional<Scanned> number = scan(text);
  if (!number) return std::nullopt;
  if (number->digits == 0) return Decimal{};
  if (number->cut) return std::nullopt;
  const std::int64_t scale = number->exponent + Decimal::digits;
  if (scale < 0 || scale > 38) return std::nullopt;
  Wide units = 0;
  if (__builtin_mul_overflow(number->digits, powers_of_ten[static_cast<std::size_t>(scale)], &units))
    return std::nullopt;
  return signed_of(units, number->negative);
}

std::optional<Decimal> parse_decimal_rounding(std::string_view text) {
  const std::optional<Scanned> number = scan(text);
  if (!number) return std::nullopt;
  if (number->digits == 0) return Decimal{};
  const std::int64_t scale = number->exponent + Decimal::digits;
  if (scale > 38) return std::nullopt;
  if (scale >= 0) {
    Wide units = 0;
    // A cut number fills 128 bits: with no digit to round away it is at the very end of the range or beyond.
    if (number->cut) return std::nullopt;
    if (__builtin_mul_overflow(number->digits, powers_of_ten[static_cast<std::size_t>(scale)], &units))
      return std::nullopt;
    return signed_of(units, number->negative);
  }
  if (scale < -38) return Decimal{};
  const Wide divisor = powers_of_ten[static_cast<std::size_t>(-scale)];
  const Wide quotient = number->digits / divisor;
  Wide rest = number->digits % divisor;
  // Digits that were dropped lie behind the rest: they matter only where the rest is exactly one half, which they lift
  // above.
  const bool above_half = number->cut && rest == divisor - rest;
  const std::optional<Wide> units = above_half ? std::optional<Wide>(quotient + 1U) : rounded(quotient, rest, divisor);
  if (!units) return std::nullopt;
  return signed_of(*units, number->negative);
}

namespace {

std::string digits_of(Wide v) {
  std::array<char, 40> buffer{};
  std::size_t at = buffer.size();
  do {
    buffer[--at] = static_cast<char>('0' + static_cast<int>(v % 10U));
    v /= 10U;
  } while (v != 0);
  return {buffer.data() + at, buffer.size() - at};
}

}  // namespace

std::string to_text(Decimal d) {
  const Wide units = magnitude(d.units);
  constexpr Wide one = static_cast<Wide>(Decimal::one);
  std::string text = d.units < 0 ? "-" : "";
  text += digits_of(units / one);
  std::uint64_t fraction = static_cast<std::uint64_t>(units % one);
  if (fraction == 0) return text;
  std::array<char, 9> digits{};
  for (std::size_t i = digits.size(); i-- > 0;) {
    digits[i] = static_cast<char>('0' + static_cast<int>(fraction % 10));
    fraction /= 10;
  }
  std::size_t length = digits.size();
  while (digits[length - 1] == '0') --length;
  text += '.';
  text.append(digits.data(), length);
  return text;
}

std::string to_rounded_text(Decimal d, int places) {
  if (places < 0) places = 0;
  if (places >= Decimal::digits) return to_text(d);
  const Wide unit = small_powers[static_cast<std::size_t>(Decimal::digits - places)];
  const Wide units = magnitude(d.units);
  // A magnitude is at most 2^127, so that neither the step up nor the way back overflows 128 unsigned bits.
  const Wide whole = rounded(units / unit, units % unit, unit).value_or(0) * unit;
  constexpr Wide one = static_cast<Wide>(Decimal::one);
  const bool negative = d.units < 0 && whole != 0;
  if (whole <= positive_max)
    return to_text(Decimal{negative ? -static_cast<Int128>(whole) : static_cast<Int128>(whole)});
  // The very ends of the range, rounded away from zero, are no Decimal any more; as text they still are.
  std::string text = negative ? "-" : "";
  text += digits_of(whole / one);
  const std::string fraction = to_text(Decimal{static_cast<Int128>(whole % one)});
  if (fraction.size() > 1) text += fraction.substr(1);
  return text;
}

}  // namespace tocsin
