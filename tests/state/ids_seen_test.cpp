#include "state/ids_seen.h"

#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "state/memory_store.h"
#include "state/records.h"

namespace tocsin::state {

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
  CHECK(rc::check("two of them", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    IdsSeen lazy;
    IdsSeen eager;
    MemoryStore store;
    Timestamp now{0};
    for (int i = 0; i < 800; ++i) {
      now = now + Duration::milliseconds(static_cast<std::int64_t>(random() % 400));
      const std::uint64_t n = random() % 60;
      const Digest id{n, n % 7};
      const Timestamp time = now - Duration::milliseconds(static_cast<std::int64_t>(random() % 3000));
      const Duration keep = Duration::seconds(static_cast<std::int64_t>(random() % 10));
      RC_ASSERT(lazy.seen_before(id, time, keep) == eager.seen_before(id, time, keep));
      lazy.advance(now);
      eager.advance(now);
      if (random() % 4 == 0) eager.expire();
      if (random() % 30 == 0) {
        WriteSet changes;
        for (const IdsSeen::Seen& seen : eager.added())
          changes.put(id_seen_record(seen.id), IdsSeen::encode(seen.until));
        for (const Digest gone : eager.expired()) changes.erase(id_seen_record(gone));
        RC_ASSERT(store.commit(changes).ok());
        eager.checkpointed();
        RC_ASSERT(store.records().size() == eager.size());
        IdsSeen back;
        back.advance(eager.now());
        for (const auto& [key, value] : store.records()) {
          back.restore({*parse_id_seen_record(key), IdsSeen::decode(value).value()});
        }
        eager = std::move(back);
      }
    }
    lazy.advance(now + Duration::hours(1));
    lazy.expire();
    RC_ASSERT(lazy.size() == 0U);
  }));
}

}  // namespace tocsin::state
