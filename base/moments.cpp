#include "base/moments.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace tocsin {
namespace {

using Uint128 = unsigned __int128;

Uint128 magnitude(Int128 v) { return v < 0 ? ~static_cast<Uint128>(v) + 1 : static_cast<Uint128>(v); }

/// The largest q with q * q <= v.
Uint128 root_of(Uint128 v) {
  if (v == 0) return 0;
  const auto high = static_cast<std::uint64_t>(v >> 64U);
  const int bits = high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<std::uint64_t>(v));
  // Newton's method from above: the guess is at least the root, and falls until it is.
  Uint128 q = static_cast<Uint128>(1) << static_cast<unsigned>((bits + 1) / 2);
  for (;;) {
    const Uint128 next = (q + v / q) >> 1U;
    if (next >= q) return q;
    q = next;
  }
}

/// The largest q with q * q <= v; nothing when it needs more than 127 bits.
std::optional<Int128> root_of(const Wide& v) {
  if (v.bits() <= 127) return static_cast<Int128>(root_of(static_cast<Uint128>(*v.narrow())));
  if (v.bits() > 254) return std::nullopt;
  Uint128 q = 0;
  for (unsigned bit = (v.bits() + 1) / 2; bit-- > 0;) {
    const Uint128 tried = q | (static_cast<Uint128>(1) << bit);
    if (Wide(tried).times(Wide(tried)).compare(v) <= 0) q = tried;
  }
  return static_cast<Int128>(q);
}

/// sqrt(square) / divisor, rounded half to even.
std::optional<Int128> root_over(const Wide& square, const Wide& divisor) {
  const Wide divisor_squared = divisor.times(divisor);
  const std::optional<Int128> down = root_of(square.divided_by(divisor_squared));
  if (!down) return std::nullopt;
  // Half a unit further is reached when (2q + 1)^2 * divisor^2 <= 4 * square.
  const Wide doubled(static_cast<Uint128>(*down) * 2 + 1);
  const int order = square.times(Wide(4)).compare(doubled.times(doubled).times(divisor_squared));
  if (order < 0 || (order == 0 && (*down & 1) == 0)) return down;
  Int128 up = 0;
  return __builtin_add_overflow(*down, 1, &up) ? std::nullopt : std::optional(up);
}

constexpr unsigned fraction_bits = 56;

/// log2(c) in 2^-56. log2(m) of the mantissa m in [1, 2) is 2 atanh(z) / ln 2 with z = (m - 1) / (m + 1) <= 1/3, whose series
/// gains more than three bits per term; in 2^-62 throughout, the error stays below 2^-57.
std::uint64_t log2_of(std::uint64_t c) {
  const auto exponent = static_cast<unsigned>(63 - std::countl_zero(c));
  const std::uint64_t power = std::uint64_t{1} << exponent;
  const std::uint64_t whole = static_cast<std::uint64_t>(exponent) << fraction_bits;
  if (c == power) return whole;
  const Uint128 z = (static_cast<Uint128>(c - power) << 62U) / (static_cast<Uint128>(c) + power);
  const Uint128 z_squared = (z * z) >> 62U;
  Uint128 term = z;
  Uint128 sum = 0;
  for (unsigned i = 1; i < 60 && term != 0; i += 2) {
    sum += term / i;
    term = (term * z_squared) >> 62U;
  }
  constexpr Uint128 two_over_ln2 = 13306513097844322491ULL;  // 2 / ln 2 = 2.885390081777926814… in 2^-62
  const Uint128 fraction = (sum * two_over_ln2) >> 62U;
  return whole + static_cast<std::uint64_t>((fraction + 32) >> (62 - fraction_bits));
}

}  // namespace

Wide::Wide(const WideSum& sum) {
  Uint128 low = sum.low;
  auto high = static_cast<std::uint64_t>(sum.high);
  if (sum.high < 0) {
    low = ~low + 1;
    high = ~high + (low == 0 ? 1 : 0);
  }
  limbs_ = {static_cast<std::uint64_t>(low), static_cast<std::uint64_t>(low >> 64U), high};
}

void Wide::add(const Wide& other) {
  Uint128 carry = 0;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    carry += static_cast<Uint128>(limbs_[i]) + other.limbs_[i];
    limbs_[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64U;
  }
}

void Wide::subtract(const Wide& other) {
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    const Uint128 taken = static_cast<Uint128>(other.limbs_[i]) + borrow;
    borrow = limbs_[i] < taken ? 1 : 0;
    limbs_[i] = static_cast<std::uint64_t>(limbs_[i] - taken);
  }
  TOCSIN_CHECK(borrow == 0);
}

Wide Wide::times(const Wide& other) const {
  Wide product;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    if (limbs_[i] == 0) continue;
    Uint128 carry = 0;
    for (std::size_t j = 0; i + j < limbs_.size(); ++j) {
      carry += static_cast<Uint128>(limbs_[i]) * other.limbs_[j] + product.limbs_[i + j];
      product.limbs_[i + j] = static_cast<std::uint64_t>(carry);
      carry >>= 64U;
    }
  }
  return product;
}

int Wide::compare(const Wide& other) const {
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i] ? -1 : 1;
  }
  return 0;
}

unsigned Wide::bits() const {
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    if (limbs_[i] != 0) return static_cast<unsigned>(i * 64 + 64) - static_cast<unsigned>(std::countl_zero(limbs_[i]));
  }
  return 0;
}

std::optional<Int128> Wide::narrow() const {
  if (bits() > 127) return std::nullopt;
  return static_cast<Int128>((static_cast<Uint128>(limbs_[1]) << 64U) | limbs_[0]);
}

void Wide::shift_left_one() {
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    limbs_[i] = (limbs_[i] << 1U) | (i == 0 ? 0 : limbs_[i - 1] >> 63U);
  }
}

Wide Wide::divided_by(const Wide& divisor) const {
  const unsigned divisor_bits = divisor.bits();
  TOCSIN_CHECK(divisor_bits != 0);
  if (compare(divisor) < 0) return {};
  if (bits() <= 127) return Wide(static_cast<Uint128>(*narrow() / *divisor.narrow()));
  if (divisor_bits <= 64) {  // the square of how many values there are: limb by limb
    Wide quotient;
    Uint128 rest = 0;
    for (std::size_t i = limbs_.size(); i-- > 0;) {
      rest = (rest << 64U) | limbs_[i];
      quotient.limbs_[i] = static_cast<std::uint64_t>(rest / divisor.limbs_[0]);
      rest %= divisor.limbs_[0];
    }
    return quotient;
  }
  Wide rest;
  Wide quotient;
  for (unsigned bit = bits(); bit-- > 0;) {
    rest.shift_left_one();
    rest.limbs_[0] |= (limbs_[bit / 64] >> (bit % 64)) & 1U;
    quotient.shift_left_one();
    if (rest.compare(divisor) < 0) continue;
    rest.subtract(divisor);
    quotient.limbs_[0] |= 1U;
  }
  return quotient;
}

void Moments::add(Int128 v) {
  sum_.add(v);
  const Wide wide(magnitude(v));
  squares_.add(wide.times(wide));
  ++count_;
}

void Moments::remove(Int128 v) {
  TOCSIN_CHECK(count_ != 0);
  sum_.subtract(v);
  const Wide wide(magnitude(v));
  squares_.subtract(wide.times(wide));
  --count_;
}

Wide Moments::spread() const {
  Wide all = squares_.times(Wide(count_));
  const Wide sum(sum_);
  all.subtract(sum.times(sum));  // never negative (Cauchy and Schwarz)
  return all;
}

std::optional<Int128> Moments::variance_e9() const {
  if (count_ == 0) return std::nullopt;
  const Wide divisor = Wide(static_cast<Uint128>(count_) * count_).times(Wide(static_cast<Uint128>(Decimal::one)));
  const Wide square = spread();
  Wide quotient = square.divided_by(divisor);
  Wide rest = square;
  rest.subtract(quotient.times(divisor));
  const int order = rest.times(Wide(2)).compare(divisor);
  const std::optional<Int128> down = quotient.narrow();
  if (!down) return std::nullopt;
  if (order > 0 || (order == 0 && (*down & 1) != 0)) quotient.add(Wide(1));
  return quotient.narrow();
}

std::optional<Int128> Moments::stddev() const {
  if (count_ == 0) return std::nullopt;
  return root_over(spread(), Wide(count_));
}

std::optional<Int128> Moments::cv_e9() const {
  const Wide sum(sum_);
  if (count_ == 0 || sum.bits() == 0) return std::nullopt;
  const auto billion = static_cast<Uint128>(Decimal::one);
  const std::optional<Int128> ratio = root_over(spread().times(Wide(billion * billion)), sum);
  if (!ratio) return std::nullopt;
  return sum_.high < 0 ? -*ratio : *ratio;
}

Int128 n_log2_n(std::uint64_t c) {
  if (c < 2) return 0;
  return static_cast<Int128>(c) * static_cast<Int128>(log2_of(c));
}

Int128 entropy_e9(std::uint64_t count, Int128 weight) {
  TOCSIN_CHECK(count != 0);
  // log2 n - (sum of c log2 c) / n. The rounding of the logarithms may leave a hair below zero.
  const Int128 all = std::max<Int128>(n_log2_n(count) - weight, 0) * Decimal::one;
  const Int128 divisor = static_cast<Int128>(count) << fraction_bits;
  const Int128 down = all / divisor;
  const Int128 rest = all % divisor * 2;
  return down + (rest > divisor || (rest == divisor && (down & 1) != 0) ? 1 : 0);
}

std::uint64_t nearest_rank(std::uint64_t percent_e9, std::uint64_t count) {
  TOCSIN_CHECK(count != 0);
  constexpr Uint128 whole = static_cast<Uint128>(100) * static_cast<Uint128>(Decimal::one);
  const Uint128 rank = (static_cast<Uint128>(percent_e9) * count + whole - 1) / whole;
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(rank), 1, count);
}

}  // namespace tocsin
