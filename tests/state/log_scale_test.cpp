#include "state/log_scale.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace tocsin::state {

TEST_CASE("what stands for a number is within the stated share of it, and classes keep the order") {
  for (const std::uint32_t ppm : {1'000U, 10'000U, 200'000U}) {
    const LogScale scale(ppm);
    CHECK(scale.middle_of(scale.class_of(0)) == 0);
    CHECK(rc::check("random numbers of all sizes", [&](std::int64_t high, std::uint64_t low) {
      const unsigned shift = static_cast<unsigned>(low % 127);
      const Int128 v = ((static_cast<Int128>(high) << 64) | static_cast<Int128>(low)) >> shift;
      const Int128 about = scale.middle_of(scale.class_of(v));
      const Int128 off = about > v ? about - v : v - about;
      const Int128 size = v < 0 ? -v : v;
      RC_ASSERT(static_cast<long double>(off) <= static_cast<long double>(size) * ppm / 1e6L * (1 + 1e-15L));
      if (size < static_cast<Int128>(1) << 100) RC_ASSERT(off * 1'000'000 <= size * ppm);
      RC_ASSERT(scale.class_of(v) <= scale.class_of(v + 1));
      RC_ASSERT(scale.class_of(-v) == -scale.class_of(v));
    }));
  }
}

TEST_CASE("counts of classes: the k-th") {
  CHECK(rc::check("against a sorted vector", [](const std::vector<std::int8_t>& indices) {
    ClassCounts counts;
    std::vector<std::int32_t> sorted;
    for (const std::int8_t index : indices) {
      counts.add(index);
      sorted.push_back(index);
    }
    for (std::size_t i = 0; i < indices.size() / 3; ++i) {
      counts.remove(indices[i]);
      sorted.erase(std::find(sorted.begin(), sorted.end(), indices[i]));
    }
    std::sort(sorted.begin(), sorted.end());
    RC_ASSERT(counts.size() == sorted.size());
    for (std::size_t i = 0; i < sorted.size(); ++i) RC_ASSERT(counts.at(i + 1) == sorted[i]);
  }));
}

}  // namespace tocsin::state
