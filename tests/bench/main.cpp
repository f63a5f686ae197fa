// `./dev bench`. With --json what comes out is JSON; everything else is Google Benchmark's (--benchmark_filter=chain).
// docs/decisions/0010-benchmarks.md says what the numbers mean.
#include <benchmark/benchmark.h>

#include <string_view>
#include <vector>

int main(int argc, char** argv) {
  char json[] = "--benchmark_format=json";
  std::vector<char*> arguments(argv, argv + argc);
  for (char*& argument : arguments) {
    if (std::string_view(argument) == "--json") argument = json;
  }
  int count = argc;
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  benchmark::AddCustomContext("measured",
                              "processor time of one thread, fastest round; of_bare: share of bare simdjson, same run");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
