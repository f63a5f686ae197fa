#include "base/decimal.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace tocsin;

namespace {

std::string shown(std::optional<Decimal> d) { return d ? to_text(*d) : "nothing"; }
Decimal read(std::string_view text) {
  const std::optional<Decimal> d = parse_decimal(text);
  REQUIRE_MESSAGE(d.has_value(), text);
  return *d;
}

// Long arithmetic on strings of digits, as taught at school: slow, and with nothing in common with what it checks.
using Digits = std::string;  // most significant first, no sign, no leading zeros except "0"

Digits trimmed(Digits d) {
  const std::size_t first = d.find_first_not_of('0');
  return first == std::string::npos ? "0" : d.substr(first);
}
int compare(const Digits& a, const Digits& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b) < 0 ? -1 : (a == b ? 0 : 1);
}
Digits plus(const Digits& a, const Digits& b) {
  Digits sum;
  int carry = 0;
  for (std::size_t i = 0; i < std::max(a.size(), b.size()) || carry != 0; ++i) {
    const int x = i < a.size() ? a[a.size() - 1 - i] - '0' : 0;
    const int y = i < b.size() ? b[b.size() - 1 - i] - '0' : 0;
    sum.push_back(static_cast<char>('0' + (x + y + carry) % 10));
    carry = (x + y + carry) / 10;
  }
  std::reverse(sum.begin(), sum.end());
  return trimmed(sum);
}
Digits minus(const Digits& a, const Digits& b) {  // a >= b
  Digits difference;
  int borrow = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    int x = a[a.size() - 1 - i] - '0' - borrow - (i < b.size() ? b[b.size() - 1 - i] - '0' : 0);
    borrow = x < 0 ? 1 : 0;
    if (x < 0) x += 10;
    difference.push_back(static_cast<char>('0' + x));
  }
  std::reverse(difference.begin(), difference.end());
  return trimmed(difference);
}
Digits times(const Digits& a, const Digits& b) {
  Digits product = "0";
  for (const char c : b) {
    product.push_back('0');
    product = trimmed(product);
    for (int i = 0; i < c - '0'; ++i) product = plus(product, a);
  }
  return product;
}
struct Quotient {
  Digits quotient, rest;
};
Quotient over(const Digits& a, const Digits& b) {
  Quotient q{"", "0"};
  for (const char c : a) {
    q.rest = trimmed(q.rest + c);
    char digit = '0';
    while (compare(q.rest, b) >= 0) {
      q.rest = minus(q.rest, b);
      ++digit;
    }
    q.quotient.push_back(digit);
  }
  q.quotient = trimmed(q.quotient);
  return q;
}
Digits half_even(const Quotient& q, const Digits& divisor) {
  const int half = compare(plus(q.rest, q.rest), divisor);
  const bool odd = (q.quotient.back() - '0') % 2 == 1;
  return half > 0 || (half == 0 && odd) ? plus(q.quotient, "1") : q.quotient;
}
Digits units_of(Decimal d) {
  auto v = d.units < 0 ? -static_cast<unsigned __int128>(d.units) : static_cast<unsigned __int128>(d.units);
  Digits text;
  do {
    text.push_back(static_cast<char>('0' + static_cast<int>(v % 10)));
    v /= 10;
  } while (v != 0);
  std::reverse(text.begin(), text.end());
  return text;
}
const Digits largest = "170141183460469231731687303715884105727";
std::string signed_units(const Digits& d, bool negative) { return negative && d != "0" ? "-" + d : d; }
// What the operation must give: the units with their sign, or "nothing" when they do not fit.
std::string expected_of(const Digits& d, bool negative) {
  if (compare(d, negative ? plus(largest, "1") : largest) > 0) return "nothing";
  return signed_units(d, negative);
}
std::string units_text(std::optional<Decimal> d) { return d ? signed_units(units_of(*d), d->units < 0) : "nothing"; }

// Any magnitude from a few digits to all 128 bits is about as likely as any other.
Decimal any_decimal() {
  const auto high = *rc::gen::arbitrary<std::uint64_t>();
  const auto low = *rc::gen::arbitrary<std::uint64_t>();
  const auto shift = *rc::gen::inRange(0, 128);
  const Int128 all = static_cast<Int128>((static_cast<unsigned __int128>(high) << 64U) | low);
  return {all >> shift};
}

const Digits one = "1000000000";

}  // namespace

TEST_CASE("numbers are read as they are written and shown in their shortest form") {
  CHECK(to_text(read("12.50")) == "12.5");
  CHECK(to_text(read("-3")) == "-3");
  CHECK(to_text(read("+3")) == "3");
  CHECK(to_text(read("-0.0")) == "0");
  CHECK(to_text(read("0.000000001")) == "0.000000001");
  CHECK(to_text(read("1e3")) == "1000");
  CHECK(to_text(read("1.5E-2")) == "0.015");
  CHECK(to_text(read("0.1000000000000000000000000000000000000000000")) == "0.1");
  CHECK(to_text(read("100000000000000000000000000000e-29")) == "1");
  CHECK(to_text(read("170141183460469231731687303715.884105727")) == "170141183460469231731687303715.884105727");
  CHECK(to_text(read("-170141183460469231731687303715.884105728")) == "-170141183460469231731687303715.884105728");
  CHECK(to_text(read("0e999999999999999999999999")) == "0");
  const std::string zeros(60'000, '0');
  CHECK(to_text(read("0." + zeros + "1e60000")) == "0.1");
  CHECK(to_text(read("1" + zeros + "e-60000")) == "1");
}

TEST_CASE("what is no number, too fine or too large is nothing") {
  for (const char* text : {"",
                           "-",
                           "+",
                           ".",
                           ".5",
                           "5.",
                           "1e",
                           "1e+",
                           "--1",
                           "1 ",
                           " 1",
                           "0x1",
                           "1,5",
                           "nan",
                           "1.2.3",
                           "1e5e5",
                           "0.0000000001",
                           "170141183460469231731687303715.884105728",
                           "1e30",
                           "1e999999999999999999",
                           "-170141183460469231731687303715.884105729",
                           "1234567890123456789012345678901234567890"}) {
    CAPTURE(text);
    CHECK(!parse_decimal(text));
  }
}

TEST_CASE("measurements may be finer than nine digits: rounded half to even") {
  CHECK(shown(parse_decimal_rounding("52.5200081234567")) == "52.520008123");
  CHECK(shown(parse_decimal_rounding("0.0000000005")) == "0");
  CHECK(shown(parse_decimal_rounding("0.0000000015")) == "0.000000002");
  CHECK(shown(parse_decimal_rounding("-0.0000000015")) == "-0.000000002");
  CHECK(shown(parse_decimal_rounding("0.00000000050000000000000000000000000000000000000000000000001")) ==
        "0.000000001");
  CHECK(shown(parse_decimal_rounding("0.1000000000000000000000000000000000000000000000000000001")) == "0.1");
  CHECK(shown(parse_decimal_rounding("1e-400")) == "0");
  CHECK(shown(parse_decimal_rounding("7")) == "7");
  CHECK(shown(parse_decimal_rounding("x")) == "nothing");
}

TEST_CASE("arithmetic at the edges") {
  CHECK(shown(divide(Decimal::from_integer(1), Decimal::from_integer(3))) == "0.333333333");
  CHECK(shown(divide(Decimal::from_integer(2), Decimal::from_integer(3))) == "0.666666667");
  CHECK(shown(divide(Decimal::from_integer(1), Decimal{})) == "nothing");
  CHECK(shown(remainder(Decimal::from_integer(1), Decimal{})) == "nothing");
  CHECK(shown(remainder(read("-7.5"), read("2"))) == "-1.5");
  CHECK(shown(multiply(read("0.000000001"), read("0.5"))) == "0");
  CHECK(shown(multiply(read("0.000000003"), read("0.5"))) == "0.000000002");
  const Decimal smallest = read("-170141183460469231731687303715.884105728");
  CHECK(shown(negate(smallest)) == "nothing");
  CHECK(shown(remainder(smallest, read("-0.000000001"))) == "0");
  CHECK(shown(divide(smallest, read("-1"))) == "nothing");
  CHECK(shown(divide(smallest, read("1"))) == to_text(smallest));
  CHECK(shown(add(smallest, read("-0.000000001"))) == "nothing");
}

TEST_CASE("texts for analysts are rounded half to even and have no trailing zeros") {
  CHECK(to_rounded_text(read("1.005"), 2) == "1");
  CHECK(to_rounded_text(read("1.015"), 2) == "1.02");
  CHECK(to_rounded_text(read("-1.015"), 2) == "-1.02");
  CHECK(to_rounded_text(read("-0.004"), 2) == "0");
  CHECK(to_rounded_text(read("12.5"), 2) == "12.5");
  CHECK(to_rounded_text(read("2.5"), 0) == "2");
  CHECK(to_rounded_text(read("12.123456789"), 9) == "12.123456789");
  CHECK(to_rounded_text(read("170141183460469231731687303715.884105727"), 0) == "170141183460469231731687303716");
}

TEST_CASE("properties") {
  CHECK(rc::check("what is shown is read back as the same number", [] {
    const Decimal d = any_decimal();
    RC_ASSERT(units_text(parse_decimal(to_text(d))) == units_text(d));
    RC_ASSERT(units_text(parse_decimal_rounding(to_text(d))) == units_text(d));
  }));
  CHECK(rc::check("sums and differences are those of school", [] {
    const Decimal a = any_decimal();
    const Decimal b = any_decimal();
    const auto school = [](Decimal x, Decimal y, bool flip) {
      const bool nx = x.units < 0;
      const bool ny = (y.units < 0) != flip;
      if (nx == ny) return expected_of(plus(units_of(x), units_of(y)), nx);
      if (compare(units_of(x), units_of(y)) >= 0) return expected_of(minus(units_of(x), units_of(y)), nx);
      return expected_of(minus(units_of(y), units_of(x)), ny);
    };
    RC_ASSERT(units_text(add(a, b)) == school(a, b, false));
    RC_ASSERT(units_text(subtract(a, b)) == school(a, b, true));
  }));
  CHECK(rc::check("products are those of school, rounded", [] {
    const Decimal a = any_decimal();
    const Decimal b = any_decimal();
    const Digits units = half_even(over(times(units_of(a), units_of(b)), one), one);
    RC_ASSERT(units_text(multiply(a, b)) == expected_of(units, (a.units < 0) != (b.units < 0)));
  }));
  CHECK(rc::check("quotients and remainders are those of school, rounded", [] {
    const Decimal a = any_decimal();
    const Decimal b = any_decimal();
    RC_PRE(b.units != 0);
    const Digits units = half_even(over(times(units_of(a), one), units_of(b)), units_of(b));
    RC_ASSERT(units_text(divide(a, b)) == expected_of(units, (a.units < 0) != (b.units < 0)));
    RC_ASSERT(units_text(remainder(a, b)) == expected_of(over(units_of(a), units_of(b)).rest, a.units < 0));
  }));
}
