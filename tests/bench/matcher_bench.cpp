// The matcher of one key, engine by engine: what an event costs when much has begun, what a match costs to put out, what
// a partial match costs to remember. docs/matching.md, part "Cost", has the table and the commands.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

#include "base/check.h"
#include "base/hash.h"
#include "nfa/run_sets.h"
#include "nfa/step.h"
#include "tests/bench/measure.h"

using namespace tocsin;
using namespace tocsin::bench;

namespace {

/// Agrees with all, or only counts: a match it refuses costs no memory of its own, and under `continue` uses nothing up.
class Counting final : public nfa::Host {
 public:
  explicit Counting(bool keeps) : keeps_(keeps) {}
  bool guard(nfa::GuardId, const nfa::Binding&) override { return true; }
  bool accept(const nfa::Match&) override {
    ++count;
    return keeps_;
  }
  std::uint64_t count = 0;

 private:
  bool keeps_;
};

nfa::Element one(std::uint32_t i) { return {nfa::PredicateId{i}, nfa::PredicateId{i}, {}}; }

/// S0; S1; … within `window` microseconds, one event each; nothing is used up, so that all of the window stays in play.
nfa::Program sequence(std::uint32_t steps, std::int64_t window, nfa::Engine engine) {
  nfa::Pattern pattern;
  for (std::uint32_t i = 0; i < steps; ++i) {
    nfa::Step step;
    step.parts.push_back({one(i), false, {}});
    pattern.steps.push_back(step);
  }
  pattern.within = Duration{window};
  pattern.after = nfa::AfterMatch::continue_;
  auto program = nfa::compile(pattern, {}, {false, engine});
  TOCSIN_CHECK(static_cast<bool>(program));
  return program.take();
}

std::vector<nfa::PredicateBits> bits_of(std::uint32_t kinds) {
  std::vector<nfa::PredicateBits> bits(kinds, nfa::PredicateBits(64));
  for (std::uint32_t i = 0; i + 1 < kinds; ++i) bits[i].set(nfa::PredicateId{i});
  return bits;  // the last kind is of no interest
}

/// Which kind of event comes next: one in `one_in` is each of the steps.
class Draw {
 public:
  Draw(std::uint32_t steps, std::uint64_t one_in) : steps_(steps), one_in_(one_in) {}
  std::uint64_t next() {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return std::min<std::uint64_t>((random_ >> 33U) % one_in_, steps_);
  }

 private:
  std::uint64_t random_ = 1;
  std::uint64_t steps_, one_in_;
};

constexpr std::size_t round_events = 65'536;

/// Rounds of `take(count)`; the fastest stands for all, the mean beside it.
template <typename Take>
void measure_rounds(benchmark::State& state, std::size_t count, const Take& take) {
  Fastest fastest;
  for (auto _ : state) {
    const double begin = thread_seconds();
    take(count);
    const double seconds = thread_seconds() - begin;
    fastest.add(seconds, static_cast<double>(count));
    state.SetIterationTime(seconds);
  }
  state.counters["ns"] = fastest.best() * 1e9;
  state.counters["ns_mean"] = fastest.mean() * 1e9;
}

/// A sequence whose window holds range(1) events, one in ten (or one in as many as there are steps) for each step.
void run_sequence(benchmark::State& state, nfa::Engine engine) {
  const auto steps = static_cast<std::uint32_t>(state.range(0));
  const std::int64_t window = state.range(1);
  const nfa::Program program = sequence(steps, window, engine);
  const auto bits = bits_of(steps + 1);
  nfa::Runs runs;
  Counting host(engine == nfa::Engine::search);  // whom a refusal makes look for another
  host.runs_bytes = std::size_t{1} << 34U;
  std::vector<nfa::Match> matches;
  Draw draw(steps, std::max<std::uint64_t>(30, 3 * steps));
  std::uint64_t number = 0;
  const auto take = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      ++number;
      nfa::step(program, runs, {number, number, {static_cast<std::int64_t>(number)}, false, &bits[draw.next()], {}},
                host, matches);
      matches.clear();
    }
  };
  take(static_cast<std::size_t>(window) + round_events);
  host.count = 0;
  measure_rounds(state, round_events, take);
  state.counters["matches/1000"] = 1000 * static_cast<double>(host.count) /
                                   (static_cast<double>(round_events) * static_cast<double>(state.iterations()));
  state.counters["bytes"] = static_cast<double>(runs.bytes());
}

void detect_exists(benchmark::State& state) { run_sequence(state, nfa::Engine::exists); }
void detect_search(benchmark::State& state) { run_sequence(state, nfa::Engine::search); }

/// S0; S1 with a condition on both within range(0) events, one event in 30 for each. `equal`: one value in a thousand. `greater`:
/// S1 is so small that about one older S0 of the window is below it, if any, so that a search looks far.
void run_compared(benchmark::State& state, nfa::Engine engine, nfa::Condition::Op op) {
  const std::int64_t window = state.range(0);
  nfa::Pattern pattern;
  for (std::uint32_t i = 0; i < 2; ++i) pattern.steps.emplace_back().parts.push_back({one(i), false, {}});
  pattern.steps[1].parts[0].element.conditions.push_back(nfa::compare(nfa::ValueId{0}, op, 0, nfa::ValueId{0}));
  pattern.within = Duration{window};
  pattern.after = nfa::AfterMatch::continue_;
  auto compiled = nfa::compile(pattern, {}, {false, engine});
  TOCSIN_CHECK(compiled.ok());
  const nfa::Program program = compiled.take();
  const auto bits = bits_of(3);
  nfa::Runs runs;
  Counting host(engine == nfa::Engine::search);
  host.runs_bytes = std::size_t{1} << 34U;
  host.search_visits = std::int64_t{1} << 40U;
  std::vector<nfa::Match> matches;
  Draw draw(2, 30);
  std::uint64_t number = 0;
  const auto take = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      ++number;
      const std::uint64_t kind = draw.next();
      auto v = static_cast<nfa::Value>(hash_mix(7, number) >> 32U);
      if (op == nfa::Condition::Op::equal) {
        v %= 1000;
      } else if (kind == 1) {
        v = v * 30 / window;
      }
      nfa::step(program, runs, {number, number, {static_cast<std::int64_t>(number)}, false, &bits[kind], {&v, 1}}, host,
                matches);
      matches.clear();
    }
  };
  take(static_cast<std::size_t>(window) + round_events);
  host.count = 0;
  measure_rounds(state, round_events, take);
  state.counters["matches/1000"] = 1000 * static_cast<double>(host.count) /
                                   (static_cast<double>(round_events) * static_cast<double>(state.iterations()));
  state.counters["bytes"] = static_cast<double>(runs.bytes());
}
void equal_exists(benchmark::State& state) { run_compared(state, nfa::Engine::exists, nfa::Condition::Op::equal); }
void equal_search(benchmark::State& state) { run_compared(state, nfa::Engine::search, nfa::Condition::Op::equal); }
void greater_exists(benchmark::State& state) { run_compared(state, nfa::Engine::exists, nfa::Condition::Op::greater); }
void greater_search(benchmark::State& state) { run_compared(state, nfa::Engine::search, nfa::Condition::Op::greater); }

/// What drawing the kinds of events costs by itself, inside the figures above.
void detect_nothing(benchmark::State& state) {
  Draw draw(3, 30);
  const auto bits = bits_of(4);
  measure_rounds(state, round_events, [&](std::size_t count) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += bits[draw.next()].word_at(0);
    benchmark::DoNotOptimize(sum);
  });
}

nfa::Stage stage(std::uint32_t i, nfa::Contiguity link) {
  nfa::Stage s;
  s.name = "s" + std::to_string(i);
  s.link = link;
  s.where = one(i);
  return s;
}

nfa::Program build(std::vector<nfa::Stage> stages, std::int64_t window, nfa::Engine engine = nfa::Engine::all,
                   bool tells_timeouts = false) {
  nfa::Pattern pattern;
  pattern.semantics = nfa::Semantics::derivations;
  pattern.after = nfa::AfterMatch::continue_;
  pattern.stages = std::move(stages);
  pattern.runs_max = 0;
  pattern.tells_timeouts = tells_timeouts;
  if (window != 0) pattern.within = Duration{window};
  auto program = nfa::compile(pattern, {}, {false, engine});
  TOCSIN_CHECK(static_cast<bool>(program));
  return program.take();
}

/// S0 ->> S1 ->> S2 ->> never within range(0) events: every combination is begun, none ends. Cost of keeping all matches.
void update_all(benchmark::State& state) {
  const std::int64_t window = state.range(0);
  std::vector<nfa::Stage> stages;
  for (std::uint32_t i = 0; i < 4; ++i) stages.push_back(stage(i, nfa::Contiguity::any));
  const nfa::Program program = build(std::move(stages), window);
  const auto bits = bits_of(4);
  nfa::Runs runs;
  Counting host(true);
  host.runs_bytes = std::size_t{1} << 34U;
  std::vector<nfa::Match> matches;
  Draw draw(3, 30);
  std::uint64_t number = 0;
  const auto take = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      ++number;
      const Timestamp now{static_cast<std::int64_t>(number)};
      nfa::advance(program, runs, now, host, matches);
      nfa::step(program, runs, {number, number, now, false, &bits[draw.next()], {}}, host, matches);
    }
  };
  take(static_cast<std::size_t>(window) + round_events);
  measure_rounds(state, round_events, take);
  state.counters["bytes"] = static_cast<double>(runs.bytes());
}

/// Walking range(0) matches of three events; per bound event.
void enumerate(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  nfa::RunSets sets;
  nfa::RunSet a = 0, b = 0;
  std::uint64_t number = 0;
  const auto event = [&] {
    ++number;
    return sets.add_event({number, number, {static_cast<std::int64_t>(number)}});
  };
  // count / 100 matches of two events behind each of a hundred, taken by one third.
  for (std::uint64_t i = 0; i < count / 100; ++i) a = sets.begin(event(), 0, a);
  for (std::uint64_t i = 0; i < 100; ++i) b = sets.extend(a, 0, event(), 1, b);
  const nfa::RunSet all = sets.extend(b, 0, event(), 2, 0);
  std::uint64_t bound = 0;
  measure_rounds(state, static_cast<std::size_t>(count / 100 * 100 * 3), [&](std::size_t) {
    std::uint64_t sum = 0;
    sets.each(all, 0, nfa::RunSets::any_start, [&](std::span<const nfa::RunSets::Taken> taken) {
      for (const auto& t : taken) sum += sets.event(t.event).order;
      bound += taken.size();
      return true;
    });
    benchmark::DoNotOptimize(sum);
  });
  TOCSIN_CHECK(bound == static_cast<std::uint64_t>(state.iterations()) * (count / 100 * 100 * 3), bound);
}

/// S0+ -> S1 with range(0) of S0: all range(0) * (range(0) + 1) / 2 matches put out, with their events. Milliseconds in all.
void loop_then_one(benchmark::State& state) {
  nfa::Stage loop = stage(0, nfa::Contiguity::relaxed);
  loop.max = 0;
  const nfa::Program program = build({loop, stage(1, nfa::Contiguity::relaxed)}, 0);
  const auto bits = bits_of(3);
  const auto count = static_cast<std::uint64_t>(state.range(0));
  std::size_t found = 0;
  measure_rounds(state, 1, [&](std::size_t) {
    nfa::Runs runs;
    Counting host(true);
    host.moment_matches = 0;
    std::vector<nfa::Match> matches;
    for (std::uint64_t n = 1; n <= count + 1; ++n) {
      nfa::step(program, runs, {n, n, {static_cast<std::int64_t>(n)}, false, &bits[n <= count ? 0 : 1], {}}, host,
                matches);
    }
    found = matches.size();
  });
  state.counters["matches"] = static_cast<double>(found);
  state.counters["ms"] = static_cast<double>(state.counters["ns"]) / 1e6;
}

/// One event of no interest while range(0) partial matches wait: by engine.
void run_irrelevant(benchmark::State& state, const nfa::Program& program) {
  const auto bits = bits_of(3);
  nfa::Runs runs;
  Counting host(true);
  std::vector<nfa::Match> matches;
  std::uint64_t number = 0;
  const auto take = [&](std::size_t count, std::size_t kind) {
    for (std::size_t i = 0; i < count; ++i) {
      ++number;
      const Timestamp now{static_cast<std::int64_t>(number)};
      nfa::advance(program, runs, now, host, matches);
      nfa::step(program, runs, {number, number, now, false, &bits[kind], {}}, host, matches);
    }
  };
  take(static_cast<std::size_t>(state.range(0)), 0);
  measure_rounds(state, round_events, [&](std::size_t count) { take(count, 2); });
}
void irrelevant_all(benchmark::State& state) {
  run_irrelevant(state, build({stage(0, nfa::Contiguity::relaxed), stage(1, nfa::Contiguity::relaxed)}, 1'000'000'000));
}
void irrelevant_exists(benchmark::State& state) {
  run_irrelevant(state, sequence(2, 1'000'000'000, nfa::Engine::exists));
}
void irrelevant_search(benchmark::State& state) {
  run_irrelevant(state, sequence(2, 1'000'000'000, nfa::Engine::search));
}

/// Events S0 alone, one a microsecond: each begins a partial match and, `lasts` events later, ends one, which is told.
void run_ends(benchmark::State& state, const nfa::Program& program, std::int64_t lasts) {
  const auto bits = bits_of(3);
  nfa::Runs runs;
  Counting host(true);
  host.runs_bytes = std::size_t{1} << 34U;
  std::vector<nfa::Match> matches;
  std::uint64_t number = 0;
  std::size_t told = 0;
  const auto take = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      ++number;
      const Timestamp now{static_cast<std::int64_t>(number)};
      nfa::advance(program, runs, now, host, matches);
      nfa::step(program, runs, {number, number, now, false, &bits[0], {}}, host, matches);
      told += matches.size();
      matches.clear();
    }
  };
  take(static_cast<std::size_t>(lasts));
  told = 0;
  measure_rounds(state, round_events, take);
  TOCSIN_CHECK(told + 1 >= round_events * static_cast<std::size_t>(state.iterations()), told);
}

/// S0 -> S1 within range(0) events, S1 never comes: each event begins a partial match and ends the oldest, which is told.
void run_window_ends(benchmark::State& state, nfa::Engine engine) {
  const std::int64_t window = state.range(0);
  run_ends(state, build({stage(0, nfa::Contiguity::relaxed), stage(1, nfa::Contiguity::relaxed)}, window, engine, true),
           window);
}
void window_ends_all(benchmark::State& state) { run_window_ends(state, nfa::Engine::all); }
void window_ends_runs(benchmark::State& state) { run_window_ends(state, nfa::Engine::runs); }

/// S0 -> S1 less than range(0) events later -> S2, S1 never comes: each event begins a partial match, and its gap ends the oldest.
void run_gap_ends(benchmark::State& state, nfa::Engine engine) {
  const std::int64_t gap = state.range(0);
  nfa::Stage near = stage(1, nfa::Contiguity::relaxed);
  near.within_previous = Duration{gap};
  run_ends(
      state,
      build({stage(0, nfa::Contiguity::relaxed), near, stage(2, nfa::Contiguity::relaxed)}, 100 * gap, engine, true),
      gap);
}
void gap_ends_all(benchmark::State& state) { run_gap_ends(state, nfa::Engine::all); }
void gap_ends_runs(benchmark::State& state) { run_gap_ends(state, nfa::Engine::runs); }

/// Bytes under one key: when nothing has begun, with one begun match, for each of ten thousand, and when their window has passed.
void run_remembered(benchmark::State& state, const nfa::Program& program, std::int64_t window) {
  const auto bits = bits_of(3);
  constexpr std::uint64_t starts = 10'000;
  for (auto _ : state) {
    nfa::Runs runs;
    Counting host(true);
    host.runs_bytes = std::size_t{1} << 34U;
    std::vector<nfa::Match> matches;
    for (std::uint64_t n = 1; n <= starts; ++n) {
      nfa::step(program, runs, {n, n, {static_cast<std::int64_t>(n)}, false, &bits[0], {}}, host, matches);
      if (n == 1) state.counters["one"] = static_cast<double>(runs.bytes());
    }
    state.counters["each"] = static_cast<double>(runs.bytes()) / static_cast<double>(starts);
    nfa::advance(program, runs, {window + static_cast<std::int64_t>(starts) + 1}, host, matches);
    state.counters["after"] = static_cast<double>(runs.bytes());
    state.counters["none"] = sizeof(nfa::Runs);
  }
}
void remembered_sequence(benchmark::State& state) {
  run_remembered(state, sequence(2, 1'000'000, static_cast<nfa::Engine>(state.range(0))), 1'000'000);
}
void remembered_stages(benchmark::State& state) {
  run_remembered(state,
                 build({stage(0, nfa::Contiguity::relaxed), stage(1, nfa::Contiguity::relaxed)}, 1'000'000,
                       static_cast<nfa::Engine>(state.range(0))),
                 1'000'000);
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    unsigned long size = 0, resident = 0;
    if (std::fscanf(file, "%lu %lu", &size, &resident) == 2) pages = resident;
    std::fclose(file);
  }
  return pages * 4096;
}

/// 1,000 starts a second on one key, a window of six hours: S0 -> S1 where S1 never comes. All 21.6 million starts are
/// kept by the engine of all matches. Then the window passes.
void six_hours(benchmark::State& state) {
  const auto starts = static_cast<std::uint64_t>(state.range(0));
  const std::int64_t each = 1000;
  const std::int64_t window = static_cast<std::int64_t>(starts) * each;
  const nfa::Program program = build({stage(0, nfa::Contiguity::relaxed), stage(1, nfa::Contiguity::relaxed)}, window);
  const auto bits = bits_of(3);
  for (auto _ : state) {
    const std::size_t before = resident_bytes();
    nfa::Runs runs;
    Counting host(true);
    host.runs_bytes = std::size_t{1} << 34U;
    std::vector<nfa::Match> matches;
    std::int64_t now = 0;
    std::uint64_t number = 0;
    const double begin = thread_seconds();
    for (; number < 2 * starts; ++number) {
      now += each;
      nfa::advance(program, runs, {now}, host, matches);
      nfa::step(program, runs, {number, number, {now}, false, &bits[0], {}}, host, matches);
    }
    const double seconds = thread_seconds() - begin;
    state.SetIterationTime(seconds);
    state.counters["ns"] = seconds * 1e9 / static_cast<double>(number);
    state.counters["MiB"] = static_cast<double>(runs.bytes()) / 1048576;
    state.counters["resident_MiB"] = static_cast<double>(resident_bytes() - before) / 1048576;
    state.counters["bytes_each"] = static_cast<double>(runs.bytes()) / static_cast<double>(starts - 1);
    state.counters["dropped"] = static_cast<double>(host.counters.dropped);
    nfa::advance(program, runs, {now + window + 1}, host, matches);
    state.counters["bytes_after"] = static_cast<double>(runs.bytes());
    state.counters["empty_after"] = runs.empty() ? 1 : 0;
  }
}

}  // namespace

BENCHMARK(detect_nothing)->UseManualTime()->Iterations(20);
BENCHMARK(detect_exists)
    ->ArgsProduct({{3}, {1'000, 10'000, 100'000, 1'000'000, 10'000'000}})
    ->ArgsProduct({{9, 24}, {10'000}})
    ->UseManualTime()
    ->Iterations(40);
BENCHMARK(detect_search)
    ->ArgsProduct({{3}, {1'000, 10'000, 100'000, 1'000'000, 10'000'000}})
    ->ArgsProduct({{9, 24}, {10'000}})
    ->UseManualTime()
    ->Iterations(40);
BENCHMARK(equal_exists)->RangeMultiplier(10)->Range(1'000, 1'000'000)->UseManualTime()->Iterations(20);
BENCHMARK(equal_search)->RangeMultiplier(10)->Range(1'000, 1'000'000)->UseManualTime()->Iterations(10);
BENCHMARK(greater_exists)->RangeMultiplier(10)->Range(1'000, 1'000'000)->UseManualTime()->Iterations(20);
BENCHMARK(greater_search)->RangeMultiplier(10)->Range(1'000, 1'000'000)->UseManualTime()->Iterations(10);
BENCHMARK(update_all)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->UseManualTime()
    ->Iterations(40);
BENCHMARK(enumerate)->Arg(1'000)->Arg(100'000)->Arg(10'000'000)->UseManualTime()->Iterations(10);
BENCHMARK(loop_then_one)->Arg(10)->Arg(50)->Arg(100)->Arg(200)->UseManualTime()->Iterations(10);
BENCHMARK(irrelevant_all)->Arg(0)->Arg(2'000)->UseManualTime()->Iterations(20);
BENCHMARK(irrelevant_exists)->Arg(0)->Arg(2'000)->UseManualTime()->Iterations(20);
BENCHMARK(irrelevant_search)->Arg(0)->Arg(2'000)->UseManualTime()->Iterations(20);
BENCHMARK(window_ends_all)->Arg(1'000)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->UseManualTime()->Iterations(10);
BENCHMARK(window_ends_runs)->Arg(1'000)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->UseManualTime()->Iterations(10);
BENCHMARK(gap_ends_all)->Arg(1'000)->Arg(100'000)->UseManualTime()->Iterations(10);
BENCHMARK(gap_ends_runs)->Arg(1'000)->Arg(100'000)->UseManualTime()->Iterations(10);
BENCHMARK(remembered_sequence)
    ->Arg(static_cast<int>(nfa::Engine::search))
    ->Arg(static_cast<int>(nfa::Engine::exists))
    ->Iterations(1);
BENCHMARK(remembered_stages)
    ->Arg(static_cast<int>(nfa::Engine::all))
    ->Arg(static_cast<int>(nfa::Engine::runs))
    ->Iterations(1);
BENCHMARK(six_hours)->Arg(21'600'000)->UseManualTime()->Iterations(1)->Unit(benchmark::kSecond);
