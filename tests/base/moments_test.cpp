// Spread against plain arithmetic on small numbers, and against itself on large ones: what was added and taken away leaves no
// trace, and scaling all values scales the result.
#include "base/moments.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

namespace tocsin {
namespace {

Moments of(const std::vector<Int128>& values) {
  Moments moments;
  for (const Int128 v : values) moments.add(v);
  return moments;
}

constexpr Int128 largest = static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1U);

}  // namespace

TEST_CASE("the textbook's eight values") {
  std::vector<Int128> values;
  for (const int v : {2, 4, 4, 4, 5, 5, 7, 9}) values.push_back(Int128{v} * Decimal::one);
  const Moments moments = of(values);
  CHECK(*moments.stddev() == Int128{2} * Decimal::one);
  CHECK(*moments.variance_e9() == Int128{4} * Decimal::one);
  CHECK(*moments.cv_e9() == Int128{400'000'000});
}

TEST_CASE("rounded half to even, once") {
  CHECK(*of({0, 1}).stddev() == 0);  // 0.5
  CHECK(*of({0, 3}).stddev() == 2);  // 1.5
  CHECK(*of({0, 5}).stddev() == 2);  // 2.5
  CHECK(*of({0, 0, 1}).stddev() == 0);
  CHECK(*of({7}).stddev() == 0);
  CHECK(!of({}).stddev());
  CHECK(!of({}).variance_e9());
  CHECK(!of({-5, 5}).cv_e9());
  CHECK(*of({-1, -3}).cv_e9() == -500'000'000);
}

TEST_CASE("the largest numbers there are do not overflow on the way") {
  CHECK(*of({largest, largest, largest}).stddev() == 0);
  CHECK(*of({largest, -largest}).stddev() >= largest - 1);
  CHECK(!of({largest, -largest}).variance_e9());
  CHECK(*of({largest, largest - 2}).stddev() == 1);
}

TEST_CASE("small numbers: the root is the nearest whole number") {
  CHECK(rc::check("stddev", [](const std::vector<std::int16_t>& small) {
    RC_PRE(!small.empty());
    std::vector<Int128> values(small.begin(), small.end());
    const auto n = static_cast<Int128>(values.size());
    Int128 sum = 0;
    Int128 squares = 0;
    for (const Int128 v : values) {
      sum += v;
      squares += v * v;
    }
    const Int128 spread = n * squares - sum * sum;
    const Int128 q = *of(values).stddev();
    // |q - sqrt(spread) / n| <= 1/2, in whole numbers.
    RC_ASSERT((2 * q + 1) * (2 * q + 1) * n * n >= 4 * spread);
    RC_ASSERT(q == 0 || (2 * q - 1) * (2 * q - 1) * n * n <= 4 * spread);
    const Int128 variance = *of(values).variance_e9();
    RC_ASSERT(2 * (spread - variance * n * n * Decimal::one) <= n * n * Decimal::one);
    RC_ASSERT(2 * (variance * n * n * Decimal::one - spread) <= n * n * Decimal::one);
  }));
}

TEST_CASE("what comes and goes leaves no trace") {
  CHECK(rc::check("add and remove", [](const std::vector<std::int64_t>& stay, const std::vector<std::int64_t>& leave) {
    Moments moments;
    const auto wide = [](std::int64_t v) { return static_cast<Int128>(v) << 60U; };
    for (const std::int64_t v : leave) moments.add(wide(v));
    for (const std::int64_t v : stay) moments.add(wide(v));
    for (const std::int64_t v : leave) moments.remove(wide(v));
    Moments alone;
    for (const std::int64_t v : stay) alone.add(wide(v));
    RC_ASSERT(moments.stddev() == alone.stddev());
    RC_ASSERT(moments.cv_e9() == alone.cv_e9());
    RC_ASSERT(moments.count() == stay.size());
  }));
}

TEST_CASE("entropy in bits") {
  CHECK(entropy_e9(1, n_log2_n(1)) == 0);
  CHECK(entropy_e9(8, 8 * n_log2_n(1)) == Int128{3} * Decimal::one);
  CHECK(entropy_e9(1024, 4 * n_log2_n(256)) == Int128{2} * Decimal::one);
  CHECK(entropy_e9(5, n_log2_n(5)) == 0);
  // One in three: log2 3 - 2/3 = 0.918295834054489…
  CHECK(entropy_e9(3, n_log2_n(2) + n_log2_n(1)) == 918'295'834);
  CHECK(rc::check("against long double", [] {
    const auto counts = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(1, 5'000'000)));
    std::uint64_t n = 0;
    Int128 weight = 0;
    for (const std::uint32_t c : counts) {
      n += c;
      weight += n_log2_n(c);
    }
    long double bits = 0;
    for (const std::uint32_t c : counts) {
      const long double share = static_cast<long double>(c) / static_cast<long double>(n);
      bits -= share * std::log2(share);
    }
    const auto found = static_cast<long double>(entropy_e9(n, weight));
    RC_ASSERT(std::fabs(found - bits * 1e9L) < 0.51L);
  }));
}

TEST_CASE("nearest rank") {
  const auto rank = [](std::int64_t percent, std::uint64_t n) {
    return nearest_rank(static_cast<std::uint64_t>(percent) * 1'000'000'000U, n);
  };
  CHECK(rank(50, 8) == 4);
  CHECK(rank(95, 8) == 8);
  CHECK(rank(100, 8) == 8);
  CHECK(rank(1, 8) == 1);
  CHECK(rank(50, 1) == 1);
  CHECK(rank(95, 100) == 95);
  CHECK(rank(95, 101) == 96);
  CHECK(nearest_rank(1, 1'000'000) == 1);
}

}  // namespace tocsin
