#include "state/event_log.h"

#include <algorithm>
#include <map>
#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "state/memory_store.h"
#include "state/records.h"

namespace tocsin::state {

TEST_CASE("a log keeps what was not trimmed, and a checkpoint writes only what changed") {
  CHECK(rc::check("against a map, through restarts", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    EventLog log;
    std::map<std::uint64_t, std::string> twin;
    MemoryStore store;
    std::pair<std::uint64_t, std::uint64_t> stored_range;
    std::uint64_t next = 0;
    std::uint64_t begin = 0;
    for (int i = 0; i < 400; ++i) {
      const auto choice = random() % 20;
      if (choice < 12) {
        std::string packed(1 + random() % 40, static_cast<char>('a' + i % 26));
        RC_ASSERT(log.append(packed) == next);
        twin[next++] = packed;
      } else if (choice < 14) {
        begin = std::max(begin, next - std::min<std::uint64_t>(next, random() % 30));
        log.trim_before(begin);
        twin.erase(twin.begin(), twin.lower_bound(begin));
      } else if (choice < 17 && next > begin) {
        const std::uint64_t position = begin + random() % (next - begin);
        if (random() % 2 == 0) {
          log.drop(position);
          twin.erase(position);
        } else {
          std::vector<std::uint64_t> wanted;
          for (const auto& [p, packed] : twin) {
            if (random() % 4 != 0) wanted.push_back(p);
          }
          std::erase_if(
              twin, [&](const auto& e) { return std::find(wanted.begin(), wanted.end(), e.first) == wanted.end(); });
          std::shuffle(wanted.begin(), wanted.end(), random);
          log.keep_only(wanted);
        }
      } else if (choice < 19) {
        WriteSet changes;
        const auto [from, until] = log.trimmed();
        for (std::uint64_t p = from; p < until; ++p) changes.erase(log_record({1, 2, "k", p}));
        for (const std::uint64_t p : log.dropped()) changes.erase(log_record({1, 2, "k", p}));
        for (std::uint64_t p = log.dirty_from(); p < log.end(); ++p) {
          if (const auto packed = log.find(p)) changes.put(log_record({1, 2, "k", p}), std::string(*packed));
        }
        RC_ASSERT(store.commit(changes).ok());
        log.checkpointed();
        stored_range = {log.begin(), log.end()};
        RC_ASSERT(store.records().size() == twin.size());
        // A restart here changes nothing.
        EventLog back;
        const Status scanned = store.scan(log_records_of(1, 2, "k"), [&](std::string_view key, std::string_view value) {
          RC_ASSERT(back.restore(parse_log_record(key)->position, value).ok());
          return true;
        });
        RC_ASSERT(scanned.ok());
        RC_ASSERT(back.restore_end(stored_range.first, stored_range.second).ok());
        log = std::move(back);
      }
      std::size_t bytes = 0;
      for (std::uint64_t p = 0; p < next + 2; ++p) {
        const auto found = log.find(p);
        const auto expected = twin.find(p);
        RC_ASSERT(found.has_value() == (expected != twin.end()));
        if (!found) continue;
        RC_ASSERT(*found == expected->second);
        bytes += found->size();
      }
      RC_ASSERT(log.bytes() == bytes);
      RC_ASSERT(log.end() == next);
    }
  }));
}

TEST_CASE("what was dropped costs nothing, though an older event is still needed") {
  EventLog log;
  const std::uint64_t first = log.append(std::string(100, 'a'));
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t position = log.append(std::string(100, 'b'));
    if (!log.has_grown()) continue;
    std::vector<std::uint64_t> needed = {position, first};
    log.keep_only(needed);
  }
  CHECK(log.find(first) == std::string(100, 'a'));
  CHECK(log.bytes() < 5'000);
  CHECK(log.memory() < 40'000);
  CHECK(log.end() == 100'001);
}

TEST_CASE("a log refuses positions that cannot be") {
  EventLog log;
  CHECK(log.restore(5, "a").ok());
  CHECK_FALSE(log.restore(5, "b").ok());
  CHECK_FALSE(log.restore(1ULL << 60U, "c").ok());
  CHECK_FALSE(log.restore(6, "").ok());
  CHECK_FALSE(log.restore_end(0, 5).ok());
  CHECK(log.restore_end(0, 9).ok());
  CHECK(log.append("d") == 9);
}

}  // namespace tocsin::state
