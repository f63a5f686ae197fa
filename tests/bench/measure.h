// How a benchmark measures. It goes in rounds: the events of a round are made, then decoded by simdjson alone, then taken by what is
// measured. Time is that of this thread on the processor (other programs take the processor away, not our time), and what is
// said is the fastest round, of both; the mean stands beside it, because it holds what comes only now and then (a table that
// grows, a sweep).
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tests/bench/bare.h"
#include "tests/bench/events.h"

namespace tocsin::bench {

inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Seconds per piece of work, of many rounds.
class Fastest {
 public:
  void add(double seconds, double count) {
    best_ = std::min(best_, seconds / count);
    seconds_ += seconds;
    count_ += count;
  }
  [[nodiscard]] double best() const { return best_; }
  [[nodiscard]] double mean() const { return seconds_ / count_; }

 private:
  double best_ = std::numeric_limits<double>::max();
  double seconds_ = 0;
  double count_ = 0;
};

/// Of the whole run: how fast simdjson alone is depends on where its buffers happen to lie, by half, so that every benchmark adds its
/// rounds to the same yardstick, and a few parsers with buffers of their own have begun it.
inline Fastest& yardstick() {
  static Fastest fastest = [] {
    Fastest begun;
    for (int parsers = 0; parsers < 8; ++parsers) {
      Bare bare;
      Events events(1'000'000);
      for (int round = 0; round < 4; ++round) {
        const auto lines = events.next(4096 + 1024 * static_cast<std::size_t>(parsers));
        const double begin = thread_seconds();
        benchmark::DoNotOptimize(bare.decode(lines));
        begun.add(thread_seconds() - begin, static_cast<double>(lines.size()));
      }
    }
    return begun;
  }();
  return fastest;
}

/// Runs the rounds of a benchmark over events. `take(lines)` handles them and returns the seconds it took; what it does not want
/// to be measured it leaves out.
template <typename Take>
void measure(benchmark::State& state, Events& events, std::size_t events_per_round, Take&& take) {
  Bare bare;
  Fastest ours;
  Fastest& bare_decoding = yardstick();
  double bytes = 0;
  for (auto _ : state) {
    const auto lines = events.next(events_per_round);
    const auto count = static_cast<double>(lines.size());
    bytes = static_cast<double>(lines.back().data() + lines.back().size() + 1 - lines.front().data()) / count;
    const double begin = thread_seconds();
    benchmark::DoNotOptimize(bare.decode(lines));
    bare_decoding.add(thread_seconds() - begin, count);
    const double seconds = take(lines);
    ours.add(seconds, count);
    state.SetIterationTime(seconds);
  }
  state.counters["events/s"] = 1 / ours.best();
  state.counters["of_bare"] = bare_decoding.best() / ours.best();
  state.counters["ns"] = ours.best() * 1e9;
  state.counters["ns_mean"] = ours.mean() * 1e9;
  state.counters["bare_ns"] = bare_decoding.best() * 1e9;
  state.counters["bytes"] = bytes;
}

}  // namespace tocsin::bench
