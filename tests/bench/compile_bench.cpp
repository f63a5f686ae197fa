// From rule text to a ruleset, 2,000 rules in one file: all of it as `tocsin check` does it, and each phase by itself.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "dsl/check.h"
#include "dsl/lint.h"
#include "dsl/parse.h"
#include "engine/compile/build.h"
#include "engine/compile/plan.h"
#include "engine/rules.h"
#include "tests/bench/measure.h"
#include "tests/bench/rules.h"

using namespace tocsin;
using namespace tocsin::bench;

namespace {

const dsl::SourceSet& sources() {
  static const dsl::SourceSet set = {dsl::SourceFile("pack.risk", rule_pack(2000))};
  return set;
}

std::vector<dsl::ast::File> parsed() {
  dsl::Diagnostics messages;
  std::vector<dsl::ast::File> files = {dsl::parse(sources(), 0, messages)};
  TOCSIN_CHECK(messages.all().empty(), dsl::render(messages, sources()));
  return files;
}

std::optional<dsl::Rulebook> checked(const std::vector<dsl::ast::File>& files, bool lint) {
  dsl::Diagnostics messages;
  dsl::CheckOptions options = engine::check_options();
  options.lint.warn = lint;
  std::optional<dsl::Rulebook> book = dsl::check(sources(), files, messages, options);
  TOCSIN_CHECK(messages.all().empty(), dsl::render(messages, sources()));
  return book;
}

/// Says the fastest round and the mean of all; giving memory back is not timed.
template <typename Work>
void measure_whole(benchmark::State& state, Work&& work) {
  Fastest fastest;
  for (auto _ : state) {
    const double begin = thread_seconds();
    auto result = work();
    const double seconds = thread_seconds() - begin;
    benchmark::DoNotOptimize(result);
    fastest.add(seconds, 1);
    state.SetIterationTime(seconds);
  }
  state.counters["ms"] = fastest.best() * 1e3;
  state.counters["ms_mean"] = fastest.mean() * 1e3;
  state.counters["text_bytes"] = static_cast<double>(sources()[0].text().size());
}

void check_2000_rules(benchmark::State& state) {
  measure_whole(state, [] {
    engine::Rules rules =
        engine::rules_of(dsl::load_sources(sources(), engine::check_options()), engine::BuildFor::checking);
    TOCSIN_CHECK(rules.error_count() == 0, rules.messages());
    return rules;
  });
}

void build_2000_rules(benchmark::State& state) {
  measure_whole(state, [] {
    const auto built = engine::build(*checked(parsed(), false));
    TOCSIN_CHECK(static_cast<bool>(built));
    return built;
  });
}

void phase_parse(benchmark::State& state) {
  measure_whole(state, [] { return parsed(); });
}

void phase_check(benchmark::State& state) {
  const std::vector<dsl::ast::File> files = parsed();
  measure_whole(state, [&] { return checked(files, false); });
}

void phase_lint(benchmark::State& state) {
  const std::vector<dsl::ast::File> files = parsed();
  const std::optional<dsl::Rulebook> book = checked(files, false);
  measure_whole(state, [&] {
    dsl::Diagnostics messages;
    dsl::lint(sources(), files, *book, {}, messages);
    return messages;
  });
}

void phase_plan(benchmark::State& state) {
  const std::optional<dsl::Rulebook> book = checked(parsed(), false);
  measure_whole(state, [&] { return engine::lower(*book); });
}

void phase_build(benchmark::State& state) {
  const std::optional<dsl::Rulebook> book = checked(parsed(), false);
  measure_whole(state, [&] { return engine::build(*book); });
}

}  // namespace

BENCHMARK(check_2000_rules)->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(build_2000_rules)->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(phase_parse)->Name("phase_parse_2000")->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(phase_check)->Name("phase_check_2000")->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(phase_lint)->Name("phase_lint_2000")->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(phase_plan)->Name("phase_plan_2000")->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
BENCHMARK(phase_build)->Name("phase_build_2000")->UseManualTime()->Iterations(10)->Unit(benchmark::kMillisecond);
