#include "state/ordered_values.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <random>

namespace tocsin::state {

TEST_CASE("the k-th smallest, as numbers come and go") {
  CHECK(rc::check("against a sorted vector", [](std::uint64_t seed, bool narrow) {
    std::mt19937_64 random(seed);
    OrderedValues values;
    std::vector<Int128> sorted;
    for (int i = 0; i < 1500; ++i) {
      // Growing first, shrinking later; few different values or many, some of them wide.
      const bool remove = !sorted.empty() && random() % 100 < (i < 800 ? 20U : 70U);
      if (remove) {
        const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(random() % sorted.size());
        values.remove(*at);
        sorted.erase(at);
      } else {
        const auto v = static_cast<Int128>(static_cast<std::int64_t>(random() % (narrow ? 7 : 1000)) - 3)
                       << (narrow ? 0 : 90);
        values.add(v);
        sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), v), v);
      }
      RC_ASSERT(values.size() == sorted.size());
      if (sorted.empty()) continue;
      const std::uint64_t rank = random() % sorted.size() + 1;
      RC_ASSERT(values.at(rank) == sorted[rank - 1]);
    }
  }));
}

TEST_CASE("an emptied one gives its memory back") {
  OrderedValues values;
  for (int i = 0; i < 10'000; ++i) values.add(i * 7919 % 10'007);
  CHECK(values.at(1) < values.at(10'000));
  CHECK(values.bytes() < 10'000 * 16 * 3);
  values.clear();
  CHECK(values.bytes() == 0);
}

}  // namespace tocsin::state
