// Any number of random patterns of stages over random streams: every engine that claims a pattern against the slow twin.
//
//   matcher_random [--cases N] [--seed S] [--engine exists|all|runs|each]
//
// Case i of a seed is the same on every machine. The last line is "N passed, M failed"; the first five failures are made
// smaller and shown.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/nfa/random_stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

int main(int argc, char** argv) {
  std::uint64_t cases = 20000;
  std::uint64_t seed = 1;
  std::string engine = "each";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i];
    if (word == "--cases") cases = std::strtoull(argv[i + 1], nullptr, 10);
    if (word == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (word == "--engine") engine = argv[i + 1];
  }
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t unclaimed = 0;
  std::map<std::string, std::uint64_t> claimed;
  for (std::uint64_t i = 0; i < cases; ++i) {
    const StageCase c = random_stage_case(hash_mix(seed, i));
    const std::vector<Program> programs = stage_programs(c.pattern, engine);
    if (programs.empty()) ++unclaimed;
    for (const Program& p : programs) ++claimed[nfa::to_text(p.engine)];
    if (stage_disagreement(c, programs).empty()) {
      ++passed;
      continue;
    }
    ++failed;
    if (failed <= 5)
      std::printf("case %llu\n%s\n\n", static_cast<unsigned long long>(i), stage_explain(c, engine).c_str());
  }
  std::printf("seed %llu: %llu patterns not claimed", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(unclaimed));
  for (const auto& [name, count] : claimed) {
    std::printf(", %llu on %s", static_cast<unsigned long long>(count), name.c_str());
  }
  std::printf("\n%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
