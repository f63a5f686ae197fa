// What one window costs per event, by function and by how many events stand in it: an event comes in, the oldest leaves, the window is
// read. Numbers of a column of its own, read in order, as nearly all are.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "state/column.h"

using namespace tocsin;

namespace {

void window(benchmark::State& state, state::Function function, bool gaps, std::uint32_t error_ppm) {
  const auto held = state.range(0);
  state::Window asked;
  asked.function = function;
  asked.length = Duration{held};
  asked.gaps = gaps;
  asked.error_ppm = error_ppm;
  if (function == state::Function::percentile) asked.percent_e9 = 95'000'000'000;
  event::Type type;
  type.kind = gaps ? event::TypeKind::time : event::TypeKind::integer;
  const state::ColumnLayout layout({asked}, type, 1);
  state::Column column;
  std::uint64_t random = 1;
  std::uint64_t number = 0;
  const event::Value probe = event::Value::of_integer(7);
  const auto one = [&] {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    ++number;
    const state::Moment at{{static_cast<std::int64_t>(number)}, number};
    const auto low = static_cast<std::int64_t>(random >> 40U);
    column.insert(layout, at, gaps ? event::Value::of_time({at.time.us + low % 100}) : event::Value::of_integer(low));
    benchmark::DoNotOptimize(column.answer(layout, 0, {at, Timestamp::min(), &probe, false}));
    if (number % 512 == 0) column.expire(layout, at.time);
  };
  for (std::int64_t i = 0; i < 2 * held; ++i) one();
  for (auto _ : state) one();
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes/entry"] = static_cast<double>(column.bytes(layout)) / static_cast<double>(held);
}

void add(const char* name, state::Function function, bool gaps = false, std::uint32_t error_ppm = 0) {
  benchmark::RegisterBenchmark((std::string("window_") + name).c_str(),
                               [=](benchmark::State& state) { window(state, function, gaps, error_ppm); })
      ->Arg(10)
      ->Arg(1'000)
      ->Arg(100'000);
}

const bool registered = [] {
  add("count", state::Function::count);
  add("sum", state::Function::sum);
  add("max", state::Function::max);
  add("distinct", state::Function::distinct);
  add("distinct_approximate", state::Function::distinct, false, 50'000);
  add("set", state::Function::holds);
  add("entropy", state::Function::entropy);
  add("stddev", state::Function::stddev);
  add("percentile", state::Function::percentile);
  add("percentile_approximate", state::Function::percentile, false, 10'000);
  add("cv_of_gaps", state::Function::cv, true);
  return true;
}();

}  // namespace
