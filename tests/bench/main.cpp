// `./dev bench`. With --json what comes out is JSON; `--rules 2000` alone writes the text that the cases on so many rules read;
// everything else is Google Benchmark's (--benchmark_filter=chain).
// docs/decisions/0010-benchmarks.md says what the numbers mean.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include "tests/bench/rules.h"

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--rules") {
    std::cout << tocsin::bench::rule_pack(static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10)));
    return 0;
  }
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
