// The engine: predicates alone and within it, a sequence and features over many keys, the whole way from the bytes of an event,
// and what a checkpoint and a change of rules cost while events wait.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "engine/run/fill.h"
#include "state/memory_store.h"
#include "tests/bench/driver.h"
#include "tests/bench/measure.h"
#include "tests/bench/rules.h"

using namespace tocsin;
using namespace tocsin::bench;

namespace {

constexpr std::size_t round_events = 16'384;
constexpr std::uint32_t many_users = 1'000'000;
constexpr std::uint32_t some_users = 100'000;
constexpr std::uint32_t few_users = 10'000;

enum class From : std::uint8_t { lines, events };

/// Every key alive before anything is measured.
void warm(Events& events, Driver& driver, std::uint64_t count) {
  while (events.made() < count)
    driver.take_decoded(events.next(std::min<std::uint64_t>(round_events, count - events.made())));
}

void run(benchmark::State& state, const std::string& rules, std::uint32_t users, From from) {
  Events events(users);
  Driver driver(compile(rules));
  warm(events, driver, users);
  const std::uint64_t before = driver.records();
  const std::uint64_t made_before = events.made();
  measure(state, events, round_events, [&](std::span<const std::string_view> lines) {
    return from == From::lines ? driver.take_lines(lines) : driver.take_decoded(lines);
  });
  const double made = static_cast<double>(events.made() - made_before);
  state.counters["out/1000"] = 1000 * static_cast<double>(driver.records() - before) / made;
  state.counters["keys"] = static_cast<double>(driver.engine().key_count());
}

// ---------------------------------------------------------------- predicates

class Deaf final : public engine::UnknownSink {
 public:
  void unknown(nfa::PredicateId, engine::CodeId, const engine::Context&) override {}
};

/// The predicates of decoded events and nothing else: `ask(table, ruleset, context)` for each.
template <typename Ask>
void run_predicates(benchmark::State& state, Ask&& ask) {
  const auto ruleset = compile(stateless_rules(static_cast<std::uint32_t>(state.range(0))));
  Events events(many_users);
  auto decoder = event::JsonDecoder::make(ruleset->schema, event::SourceFormat{});
  TOCSIN_CHECK(static_cast<bool>(decoder));
  Arena arena;
  std::vector<event::Event> decoded;
  measure(state, events, round_events, [&](std::span<const std::string_view> lines) {
    decoded.clear();
    arena.clear();
    for (const std::string_view line : lines) {
      const bool good = static_cast<bool>(decoder.value().decode(line, arena, decoded.emplace_back()));
      TOCSIN_CHECK(good);
    }
    const engine::PredicateTable& table = ruleset->types[0].strata[0].predicates;
    engine::Context context;
    const double begin = thread_seconds();
    for (event::Event& e : decoded) {
      context.subject = &e;
      ask(table, *ruleset, context);
    }
    return thread_seconds() - begin;
  });
}

void predicates_in_one_pass(benchmark::State& state) {
  Deaf deaf;
  std::vector<std::uint64_t> scratch;
  nfa::PredicateBits bits;
  run_predicates(state,
                 [&](const engine::PredicateTable& table, const engine::Ruleset& ruleset, engine::Context& context) {
                   bits.clear();
                   engine::answer(table, ruleset.codes, context, bits, scratch, deaf);
                   benchmark::DoNotOptimize(bits.words().data());
                 });
}

void predicates_rule_by_rule(benchmark::State& state) {
  run_predicates(state,
                 [&](const engine::PredicateTable& table, const engine::Ruleset& ruleset, engine::Context& context) {
                   std::uint64_t count = 0;
                   for (const engine::PredicateTable::Entry& entry : table.entries) {
                     if (engine::is_true(engine::evaluate(ruleset.codes, entry.whole, context))) ++count;
                   }
                   benchmark::DoNotOptimize(count);
                 });
}

void stateless(benchmark::State& state) {
  run(state, stateless_rules(static_cast<std::uint32_t>(state.range(0))), round_events, From::events);
}

// ---------------------------------------------------------------- keys

void sequence_of_3(benchmark::State& state) { run(state, sequence_rule(), many_users, From::events); }
/// Five sequences that have begun something under every key, among as many rules as the argument says.
void sequences_live_5(benchmark::State& state) {
  const auto rules = static_cast<std::uint32_t>(state.range(0));
  run(state, many_sequence_rules(5, rules - 5), few_users, From::events);
}
/// As many sequences as the argument says that begin alike, and the same when each has a first step of its own.
void sequences_alike(benchmark::State& state) {
  run(state, beginning_rules(static_cast<std::uint32_t>(state.range(0)), true), few_users, From::events);
}
void sequences_apart(benchmark::State& state) {
  run(state, beginning_rules(static_cast<std::uint32_t>(state.range(0)), false), few_users, From::events);
}
void features_5(benchmark::State& state) { run(state, feature_rule(), many_users, From::events); }

// ---------------------------------------------------------------- the whole way

void chain(benchmark::State& state) { run(state, stateless_rules(10) + sequence_rule(), many_users, From::lines); }
void chain_decided(benchmark::State& state) {
  run(state, stateless_rules(9) + deciding_rule() + sequence_rule(), many_users, From::lines);
}
void chain_large(benchmark::State& state) {
  run(state, stateless_rules(100) + sequence_rule() + feature_rule(), many_users, From::lines);
}

/// The chain under checkpoints (whose capture is not timed), without and with a history.
void chain_kept(benchmark::State& state) {
  Events events(many_users);
  Driver driver(compile(stateless_rules(10) + sequence_rule()), true, Duration::days(state.range(0)));
  warm(events, driver, many_users);
  state::WriteSet writes;
  driver.engine().capture(writes);
  std::uint64_t bytes = 0;
  const std::uint64_t made_before = events.made();
  measure(state, events, round_events, [&](std::span<const std::string_view> lines) {
    const double seconds = driver.take_lines(lines);
    bytes += driver.engine().history_bytes();
    writes.clear();
    driver.engine().capture(writes);
    return seconds;
  });
  state.counters["kept_bytes"] = static_cast<double>(bytes) / static_cast<double>(events.made() - made_before);
}

/// Five windows of an hour are filled from the history of an hour: reading, then how long events wait for the swap.
void fill_windows(benchmark::State& state) {
  Events events(some_users);
  const std::string rules = stateless_rules(10) + sequence_rule();
  const auto before = compile(rules);
  const auto after = compile(rules + feature_rule());
  Driver driver(before, true, Duration::days(30));
  state::MemoryStore store;
  const auto keep = [&] {
    state::WriteSet writes;
    driver.engine().capture(writes);
    const bool written = store.commit(writes).ok();
    TOCSIN_CHECK(written);
  };
  constexpr std::uint64_t events_per_hour = 900'000;
  while (events.made() < events_per_hour) {
    warm(events, driver, events.made() + 100'000);
    keep();
  }
  Fastest reading, stall, without;
  engine::Outbox out;
  std::uint64_t read_events = 0;
  for (auto _ : state) {
    const auto swap = [&](const std::shared_ptr<const engine::Ruleset>& next, std::shared_ptr<engine::Fill> fill) {
      engine::Item item;
      item.kind = engine::ItemKind::activation;
      item.ruleset = next;
      engine::DataChange change;
      change.fill = std::move(fill);
      item.change = std::make_shared<const engine::DataChange>(std::move(change));
      const double begin = thread_seconds();
      driver.engine().step({&item, 1}, out);
      return thread_seconds() - begin;
    };
    const std::shared_ptr<engine::Fill> fill = driver.engine().plan_fill(after);
    fill->open(store);
    const double begin = thread_seconds();
    const bool read = fill->read([] { return true; }).ok();
    const double seconds = thread_seconds() - begin;
    TOCSIN_CHECK(read);
    read_events = fill->event_count();
    reading.add(seconds, static_cast<double>(read_events));
    stall.add(swap(after, fill), 1);
    swap(before, nullptr);
    without.add(swap(after, nullptr), 1);
    swap(before, nullptr);
    state.SetIterationTime(seconds);
  }
  state.counters["events"] = static_cast<double>(read_events);
  state.counters["ns"] = reading.best() * 1e9;
  state.counters["stall_ms"] = stall.best() * 1e3;
  state.counters["stall_ms_empty"] = without.best() * 1e3;
}

// ---------------------------------------------------------------- while events wait

void checkpoint_capture(benchmark::State& state) {
  Events events(some_users, Turn::in_turn);
  Driver driver(compile(stateless_rules(10) + sequence_rule() + feature_rule()), true);
  warm(events, driver, 2 * some_users);
  state::WriteSet writes;
  driver.engine().capture(writes);
  // As the daemon does it, in pieces between the batches; events wait for one of them at a time.
  constexpr std::size_t piece = 512;
  Fastest stall;
  Fastest all;
  for (auto _ : state) {
    warm(events, driver, events.made() + some_users);
    writes.clear();
    double longest = 0;
    double seconds = 0;
    const auto timed = [&](const auto& part) {
      const double begin = thread_seconds();
      const bool whole = part();
      const double took = thread_seconds() - begin;
      longest = std::max(longest, took);
      seconds += took;
      return whole;
    };
    timed([&] {
      driver.engine().begin_capture();
      return false;
    });
    while (!timed([&] { return driver.engine().capture_some(piece, writes); })) {
    }
    stall.add(longest, 1);
    all.add(seconds, 1);
    state.SetIterationTime(seconds);
  }
  state.counters["dirty_keys"] = some_users;
  state.counters["stall_ms"] = stall.best() * 1e3;
  state.counters["stall_ms_mean"] = stall.mean() * 1e3;
  state.counters["capture_ms"] = all.best() * 1e3;
  state.counters["ns_per_key"] = all.best() * 1e9 / some_users;
  state.counters["writes"] = static_cast<double>(writes.writes.size());
  state.counters["MB"] = static_cast<double>(writes.bytes()) / 1e6;
}

void reload_adopt(benchmark::State& state) {
  Events events(some_users, Turn::in_turn);
  const std::string rules = stateless_rules(10) + sequence_rule() + feature_rule();
  const auto one = compile(rules);
  const auto other = compile(rules + sequence_rule("same_steps_again"));
  Driver driver(one);
  warm(events, driver, 3 * some_users);
  Fastest stall;
  engine::Outbox out;
  bool flip = false;
  for (auto _ : state) {
    flip = !flip;
    engine::Item item;
    item.kind = engine::ItemKind::activation;
    item.ruleset = flip ? other : one;
    const double begin = thread_seconds();
    driver.engine().step({&item, 1}, out);
    const double seconds = thread_seconds() - begin;
    stall.add(seconds, 1);
    state.SetIterationTime(seconds);
  }
  state.counters["keys"] = static_cast<double>(driver.engine().key_count());
  state.counters["stall_ms"] = stall.best() * 1e3;
  state.counters["stall_ms_mean"] = stall.mean() * 1e3;
  state.counters["ns_per_key"] = stall.best() * 1e9 / static_cast<double>(driver.engine().key_count());
}

}  // namespace

BENCHMARK(predicates_in_one_pass)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->UseManualTime()
    ->Iterations(20)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(predicates_rule_by_rule)->Arg(10)->Arg(100)->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(stateless)->Arg(10)->Arg(100)->Arg(1000)->UseManualTime()->Iterations(20)->Unit(benchmark::kMillisecond);
BENCHMARK(sequence_of_3)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(sequences_live_5)->Arg(5)->Arg(50)->Arg(1000)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(sequences_alike)->Arg(1)->Arg(10)->Arg(1000)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(sequences_apart)->Arg(1)->Arg(10)->Arg(1000)->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(features_5)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(chain)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(chain_decided)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(chain_large)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(chain_kept)->Arg(0)->Arg(30)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(fill_windows)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(checkpoint_capture)->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);
BENCHMARK(reload_adopt)->UseManualTime()->Iterations(4)->Unit(benchmark::kMillisecond);
