// Sets of partial matches against lists of lists that do the same slowly.
#include "nfa/run_sets.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/hash.h"

using namespace tocsin;
using namespace tocsin::nfa;

namespace {

/// A partial match: (event, stage) from first to last.
using Naive = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

struct Twins {
  explicit Twins(bool finds_oldest) : sets(finds_oldest) {}

  RunSets sets;
  std::vector<RunSet> fast;
  std::vector<std::vector<Naive>> slow;
  std::uint64_t begins_from = 0;  // events before are too old to begin with

  [[nodiscard]] std::vector<Naive> read(RunSet set, Ordinal to = RunSets::any_start) const {
    std::vector<Naive> all;
    sets.each(set, 0, to, [&](std::span<const RunSets::Taken> taken) {
      Naive run;
      for (std::size_t i = taken.size(); i-- > 0;) run.emplace_back(sets.event(taken[i].event).event, taken[i].stage);
      all.push_back(run);
      return true;
    });
    std::sort(all.begin(), all.end());
    return all;
  }
  void forget() {
    for (auto& runs : slow) std::erase_if(runs, [&](const Naive& r) { return r.front().first < begins_from; });
  }
};

}  // namespace

TEST_CASE("a ring keeps numbers while it grows and is emptied") {
  Ring<std::uint64_t> ring;
  std::uint64_t next = 0;
  std::uint32_t from = ring.begin();
  std::vector<std::uint64_t> is;
  std::uint64_t random = 7;
  for (int round = 0; round < 3000; ++round) {
    random = hash_mix(random, 1);
    for (std::uint64_t n = random % 20; n > 0; --n) {
      ring.push(next);
      is.push_back(next++);
    }
    const std::uint64_t drops = std::min<std::uint64_t>((random >> 32U) % (round % 500 < 250 ? 19 : 22), is.size());
    is.erase(is.begin(), is.begin() + static_cast<std::ptrdiff_t>(drops));
    from += static_cast<std::uint32_t>(drops);
    ring.drop_before(from);
    REQUIRE(ring.size() == is.size());
    REQUIRE(ring.begin() == from);
    for (std::uint32_t i = 0; i < ring.size(); ++i) REQUIRE(ring[ring.begin() + i] == is[i]);
  }
  ring.drop_before(ring.end());
  CHECK(ring.size() == 0);
  CHECK(ring.bytes() <= 3 * sizeof(std::uint64_t) * 4096);
}

TEST_CASE("sets of partial matches are those of lists") {
  CHECK(rc::check("same partial matches", [] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    std::uint64_t state = seed;
    const auto below = [&](std::uint64_t n) {
      state = hash_mix(state, 0x2545f4914f6cdd1dULL);
      return (state >> 33U) % n;
    };
    Twins t(below(2) == 0);
    constexpr std::size_t lists = 4;
    t.fast.resize(lists);
    t.slow.resize(lists);
    std::vector<std::uint64_t> all_events;
    std::uint64_t number = 0;
    for (int i = 0; i < 40; ++i) {
      const Bound bound{number, number, {static_cast<std::int64_t>(number)}};
      const Ordinal o = t.sets.add_event(bound);
      all_events.push_back(number);
      const std::size_t to = below(lists);
      const std::size_t of = below(lists);
      const auto stage = static_cast<std::uint32_t>(below(3));
      switch (below(8)) {
        case 0:
        case 1:
          t.fast[to] = t.sets.begin(o, stage, t.fast[to]);
          t.slow[to].push_back({{number, stage}});
          break;
        case 2:
        case 3: {
          if (t.slow[of].size() > 200) break;
          // Sometimes only what took its last event lately.
          const std::uint64_t since = below(3) == 0 ? number - std::min<std::uint64_t>(number, below(6)) : 0;
          Ordinal cut = 0;
          if (since != 0) {
            cut = t.sets.first_event();
            while (cut != t.sets.end_event() && t.sets.event(cut).event < since) ++cut;
          }
          std::vector<Naive> more;
          for (const Naive& run : t.slow[of]) {
            if (since != 0 && run.back().first < since) continue;
            more.push_back(run);
            more.back().emplace_back(number, stage);
          }
          t.fast[to] = t.sets.extend(t.fast[of], cut, o, stage, t.fast[to]);
          t.slow[to].insert(t.slow[to].end(), more.begin(), more.end());
          break;
        }
        case 4:
          if (to == of || t.slow[to].size() + t.slow[of].size() > 400) break;
          t.fast[to] = t.sets.join(t.fast[to], t.fast[of]);
          t.slow[to].insert(t.slow[to].end(), t.slow[of].begin(), t.slow[of].end());
          if (below(2) == 0) {
            t.fast[of] = RunSets::empty_set;
            t.slow[of].clear();
          }
          break;
        case 5:
          t.fast[to] = RunSets::empty_set;
          t.slow[to].clear();
          break;
        case 6: {
          if (below(3) != 0) break;
          Ordinal horizon = t.sets.horizon();
          for (std::uint64_t n = below(5); n > 0 && horizon + 1 < t.sets.end_event(); --n) ++horizon;
          t.begins_from = t.sets.event(horizon).event;
          t.sets.raise_horizon(horizon);
          t.forget();
          break;
        }
        case 7: {
          std::vector<RunSet*> live;
          for (RunSet& set : t.fast) live.push_back(&set);
          if (below(2) == 0) t.sets.compact(live);
          std::string bytes;
          ByteWriter out(bytes);
          t.sets.encode(out);
          RunSets back(t.sets.finds_oldest());
          ByteReader in(bytes);
          RC_ASSERT(back.decode(in, 3));
          RC_ASSERT(in.at_end());
          break;
        }
      }
      ++number;
      for (std::size_t l = 0; l < lists; ++l) {
        std::vector<Naive> expected = t.slow[l];
        std::sort(expected.begin(), expected.end());
        RC_ASSERT(t.read(t.fast[l]) == expected);
        const Ordinal latest = t.sets.horizon() + static_cast<Ordinal>(below(8));
        std::erase_if(expected, [&](const Naive& r) {
          return latest < t.sets.end_event() && t.sets.event(latest).event < r.front().first;
        });
        RC_ASSERT(t.read(t.fast[l], latest) == expected);
      }
    }
  }));
}

TEST_CASE("a walk puts out only what it was asked for") {
  RunSets sets;
  RunSet a = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Ordinal o = sets.add_event({i, i, {static_cast<std::int64_t>(i)}});
    a = sets.begin(o, 0, a);
  }
  std::size_t count = 0;
  Ordinal latest = 0;
  const auto visit = [&](std::span<const RunSets::Taken> taken) {
    CHECK(taken.size() == 1);
    latest = std::max(latest, taken[0].event);
    return ++count < 20;
  };
  CHECK(sets.each(a, 0, 12, visit));
  CHECK(count == 12);
  CHECK(latest == 12);
  CHECK(!sets.each(a, 0, RunSets::any_start, visit));
  CHECK(count == 20);
  sets.raise_horizon(90);
  CHECK(sets.cell_count() == 11);
  CHECK(sets.event_count() == 11);
}

TEST_CASE("any bytes may be handed to sets") {
  RunSets sets;
  RunSet a = 0;
  for (std::uint64_t i = 0; i < 9; ++i) {
    const Ordinal o = sets.add_event({i, i, {static_cast<std::int64_t>(i)}});
    a = i % 2 == 0 ? sets.begin(o, 0, a) : sets.extend(a, 0, o, 1, a);
  }
  std::string bytes;
  ByteWriter out(bytes);
  sets.encode(out);
  std::uint64_t random = 3;
  for (int i = 0; i < 20000; ++i) {
    std::string broken = bytes;
    for (int k = 0; k < 3; ++k) {
      random = hash_mix(random, 1);
      broken[random % broken.size()] = static_cast<char>(random >> 32U);
    }
    RunSets back(i % 2 == 0);
    ByteReader in(broken);
    if (!back.decode(in, 2)) continue;
    std::size_t count = 0;
    const Ordinal to = i % 3 == 0 ? static_cast<Ordinal>(i % 12) : RunSets::any_start;
    back.each(static_cast<RunSet>(back.cell_count()), 0, to, [&](std::span<const RunSets::Taken> taken) {
      for (const auto& t : taken) count += back.event(t.event).event & 1U;
      return true;
    });
    RunSet root = static_cast<RunSet>(back.cell_count());
    RunSet* roots[] = {&root};
    back.compact(roots);
  }
}
