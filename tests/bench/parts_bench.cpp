// Parts by themselves: the decoder, and the matcher of one key.
#include <benchmark/benchmark.h>

#include "base/arena.h"
#include "base/check.h"
#include "event/decode.h"
#include "nfa/step.h"
#include "tests/bench/measure.h"
#include "tests/bench/rules.h"

using namespace tocsin;
using namespace tocsin::bench;

namespace {

constexpr std::size_t round_events = 16'384;

void decode(benchmark::State& state) {
  const auto ruleset = compile(stateless_rules(1));
  auto decoder = event::JsonDecoder::make(ruleset->schema, event::SourceFormat{});
  TOCSIN_CHECK(static_cast<bool>(decoder));
  Events events(1'000'000);
  Arena arena;
  measure(state, events, round_events, [&](std::span<const std::string_view> lines) {
    const double begin = thread_seconds();
    std::size_t in_batch = 0;
    for (const std::string_view line : lines) {
      event::Event e;
      const bool good = static_cast<bool>(decoder.value().decode(line, arena, e));
      TOCSIN_CHECK(good);
      benchmark::DoNotOptimize(e.values.data());
      if (++in_batch == 512) {  // a batch's memory is used again, as it is in the engine
        arena.clear();
        in_batch = 0;
      }
    }
    arena.clear();
    return thread_seconds() - begin;
  });
}

class Agreeing final : public nfa::Host {
 public:
  bool guard(nfa::GuardId, const nfa::Binding&) override { return true; }
  bool accept(const nfa::Match&) override { return true; }
};

/// A; B; C of one key, within `window` microseconds, one event in each. Nothing is used up by a match, so that all of the window
/// stays in play.
nfa::Program three_steps(std::int64_t window) {
  nfa::Pattern pattern;
  for (std::uint32_t i = 0; i < 3; ++i) {
    nfa::Step step;
    step.parts.push_back({{nfa::PredicateId{i}, nfa::PredicateId{i}, {}}, false, {}});
    pattern.steps.push_back(step);
  }
  pattern.within = Duration{window};
  pattern.after = nfa::AfterMatch::continue_;
  nfa::Choosing choosing;
  choosing.refuses = false;
  auto program = nfa::compile(pattern, {}, choosing);
  TOCSIN_CHECK(static_cast<bool>(program));
  return program.take();
}

/// One event in `one_in` is for each of the three steps; of 3 every event is.
void run_matcher(benchmark::State& state, std::int64_t window, std::uint64_t one_in) {
  const nfa::Program program = three_steps(window);
  nfa::Runs runs;
  Agreeing host;
  std::vector<nfa::PredicateBits> bits(4, nfa::PredicateBits(64));
  for (std::uint32_t i = 0; i < 4; ++i) bits[i].set(nfa::PredicateId{i});
  std::vector<nfa::Match> matches;
  std::uint64_t random = 1;
  std::uint64_t number = 0;
  std::uint64_t match_count = 0;
  Events events(1000);
  const auto step_many = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      const std::uint64_t which = std::min<std::uint64_t>((random >> 33U) % one_in, 3);
      ++number;
      nfa::step(program, runs, {number, number, {static_cast<std::int64_t>(number)}, false, &bits[which], {}}, host,
                matches);
      match_count += matches.size();
      matches.clear();
    }
  };
  step_many(static_cast<std::size_t>(window) * 2);
  measure(state, events, round_events, [&](std::span<const std::string_view> lines) {
    const double begin = thread_seconds();
    step_many(lines.size());
    return thread_seconds() - begin;
  });
  state.counters["matches/1000"] = 1000 * static_cast<double>(match_count) / static_cast<double>(number);
  state.counters["held_bytes"] = static_cast<double>(runs.bytes());
}

void matcher_relevant(benchmark::State& state) { run_matcher(state, state.range(0), 3); }
void matcher_mixed(benchmark::State& state) { run_matcher(state, state.range(0), 30); }
void matcher_irrelevant(benchmark::State& state) { run_matcher(state, 1000, std::uint64_t{1} << 31U); }

}  // namespace

BENCHMARK(decode)->UseManualTime()->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK(matcher_irrelevant)->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(matcher_relevant)->Arg(100)->Arg(10'000)->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(matcher_mixed)
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->UseManualTime()
    ->Iterations(10)
    ->Unit(benchmark::kMillisecond);
