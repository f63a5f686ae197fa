#include "state/key_table.h"

#include <map>
#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/hash.h"

namespace tocsin::state {

TEST_CASE("a key table is a map whose values do not move") {
  CHECK(rc::check("operations", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    KeyTable<std::string> table;
    std::map<std::string, std::string> twin;
    std::map<std::string, const std::string*> places;
    // A poor hash at times: keys that collide in the place, in the tag, or altogether.
    const std::uint64_t keep = random() % 3 == 0 ? 0x0000000f'00000007ULL : ~0ULL;
    for (int i = 0; i < 600; ++i) {
      const std::string key = "key " + std::to_string(random() % 150);
      const std::uint64_t hash = hash64(key) & keep;
      switch (random() % 4) {
        case 0:
        case 1: {
          std::string& value = table.get_or_create(hash, key);
          RC_ASSERT(value == twin[key]);
          value = twin[key] = std::to_string(i);
          if (places.contains(key)) RC_ASSERT(places[key] == &value);
          places[key] = &value;
          RC_ASSERT(KeyTable<std::string>::key_of(value) == key);
          RC_ASSERT(KeyTable<std::string>::hash_of(value) == hash);
          break;
        }
        case 2:
          RC_ASSERT(table.erase(hash, key) == (twin.erase(key) == 1));
          places.erase(key);
          break;
        default: {
          table.prefetch(hash);
          table.prefetch_value(hash);
          const std::string* value = table.find(hash, key);
          RC_ASSERT((value != nullptr) == twin.contains(key));
          if (value != nullptr) RC_ASSERT(*value == twin[key]);
        }
      }
      RC_ASSERT(table.size() == twin.size());
    }
    std::map<std::string, std::string> seen;
    table.for_each([&](std::string_view key, const std::string& value) { seen.emplace(key, value); });
    RC_ASSERT(seen == twin);
    auto expected = twin.begin();
    table.for_each_sorted([&](std::string_view key, const std::string& value) {
      RC_ASSERT(key == expected->first);
      RC_ASSERT(value == expected->second);
      ++expected;
    });
  }));
}

TEST_CASE("iteration is in the order of insertion") {
  KeyTable<int> table;
  for (int i = 0; i < 200; ++i) {
    const std::string key = std::to_string(i * 7 % 200);
    table.get_or_create(hash64(key), key) = i;
  }
  int next = 0;
  table.for_each([&](std::string_view, int value) { CHECK(value == next++); });
  CHECK(next == 200);
}

}  // namespace tocsin::state
