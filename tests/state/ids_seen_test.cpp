#include "state/ids_seen.h"

#include <map>
#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "state/memory_store.h"
#include "state/records.h"

namespace tocsin::state {

namespace {

void write_changes(IdsSeen& ids, MemoryStore& store) {
  WriteSet changes;
  for (const Digest gone : ids.expired()) changes.erase(id_seen_record(gone));
  for (const IdsSeen::Seen& seen : ids.added()) changes.put(id_seen_record(seen.id), IdsSeen::encode(seen.until));
  RC_ASSERT(store.commit(changes).ok());
  ids.checkpointed();
}

}  // namespace

TEST_CASE("an id is a duplicate until its span has passed") {
  const Digest id{1, 2};
  const Duration hour = Duration::hours(1);
  IdsSeen ids;
  CHECK_FALSE(ids.seen_before(id, {0}, hour));
  CHECK(ids.seen_before(id, {hour.us - 1}, hour));
  CHECK(ids.seen_before(id, {-5}, hour));
  CHECK_FALSE(ids.seen_before(id, {hour.us}, hour));
  CHECK(ids.seen_before(id, {hour.us}, hour));
  ids.advance({10 * hour.us});
  CHECK_FALSE(ids.seen_before(id, {hour.us}, hour));  // late, and long forgotten
  CHECK(ids.seen_before(id, {hour.us}, hour));        // but not forgotten again at once
}

TEST_CASE("when expired ids are thrown away, and restarts, change no answer") {
  CHECK(rc::check("against a map", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::map<Digest, Timestamp> until;  // what is true
    IdsSeen lazy(false);
    IdsSeen eager;
    MemoryStore store;
    Timestamp now{0};
    Timestamp told = Timestamp::min();
    for (int i = 0; i < 800; ++i) {
      now = now + Duration::milliseconds(static_cast<std::int64_t>(random() % 400));
      const std::uint64_t n = random() % 60;
      const Digest id{n, n % 7};
      const Timestamp time = now - Duration::milliseconds(static_cast<std::int64_t>(random() % 3000));
      const Duration keep = Duration::seconds(static_cast<std::int64_t>(random() % 10));
      const Timestamp reached = std::max(time, told);
      const auto known = until.find(id);
      const bool expected = known != until.end() && reached < known->second;
      if (!expected) until[id] = reached + keep;
      RC_ASSERT(lazy.seen_before(id, time, keep) == expected);
      RC_ASSERT(eager.seen_before(id, time, keep) == expected);
      lazy.advance(now);
      eager.advance(now);
      told = now;
      if (random() % 4 == 0) eager.expire();
      if (random() % 30 == 0) {
        write_changes(eager, store);
        // The store holds each id that is alive with its end, and of others such only as the table holds still.
        std::size_t alive = 0;
        for (const auto& [key, end] : until) {
          const auto record = store.records().find(id_seen_record(key));
          if (end <= now) continue;
          ++alive;
          RC_ASSERT(record != store.records().end());
          RC_ASSERT(IdsSeen::decode(record->second).value() == end);
        }
        RC_ASSERT(store.records().size() >= alive);
        RC_ASSERT(store.records().size() <= eager.size());
        IdsSeen back;
        back.advance(eager.now());
        for (const auto& [key, value] : store.records()) {
          back.restore({*parse_id_seen_record(key), IdsSeen::decode(value).value()});
        }
        if (random() % 2 == 0) eager = std::move(back);
      }
    }
    lazy.advance(now + Duration::hours(1));
    lazy.expire();
    RC_ASSERT(lazy.size() == 0U);
    eager.advance(now + Duration::hours(1));
    eager.expire();
    RC_ASSERT(eager.size() == 0U);
    write_changes(eager, store);
    RC_ASSERT(store.records().empty());
  }));
}

TEST_CASE("ids at a steady rate need no more than twice the places of those that are alive") {
  IdsSeen ids(false);
  constexpr std::int64_t alive = 40'000;
  std::size_t largest = 0;
  for (std::int64_t i = 0; i < 10 * alive; ++i) {
    const Timestamp now{i};
    ids.advance(now);
    CHECK_FALSE(ids.seen_before(hash128(std::to_string(i)), now, Duration{alive}));
    if (i % 512 == 0) ids.expire();
    if (i > alive) largest = std::max(largest, ids.size());
  }
  CHECK(ids.size() >= static_cast<std::size_t>(alive));
  // 65,536 places, an eighth of which the hand may not have come by.
  CHECK(largest <= static_cast<std::size_t>(alive) + 65'536 / 8 + 512);
}

}  // namespace tocsin::state
