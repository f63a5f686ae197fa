// Any number of random patterns over random streams: every engine that claims a pattern against its slow twin.
//
//   matcher_random [--cases N] [--seed S] [--engine exists|search|all|runs|each] [--algebra NAME]
//
// NAME: `stages`, `sequences`, `both` (the even cases are stages), `changes` (sequences that change in the midst of a stream),
// `families` (sequences that begin alike, together and alone). Case i of a seed is the same on every machine. The last line is "N
// passed, M failed"; the first five failures are made smaller and shown.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/nfa/random_changes.h"
#include "tests/nfa/random_families.h"
#include "tests/nfa/random_sequences.h"
#include "tests/nfa/random_stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

struct Outcome {
  std::string said;  // empty: all agree
  std::vector<Engine> engines;
};

Outcome try_stages(std::uint64_t seed, const std::string& engine) {
  const StageCase c = random_stage_case(seed);
  const std::vector<Program> programs = stage_programs(c.pattern, engine);
  Outcome o;
  for (const Program& p : programs) o.engines.push_back(p.engine);
  if (!stage_disagreement(c, programs).empty()) o.said = stage_explain(c, engine);
  return o;
}

Outcome try_sequence(std::uint64_t seed, const std::string& engine) {
  const SequenceCase c = random_sequence_case(seed);
  Outcome o;
  for (const Program& p : programs_of(c.pattern, c.refuses)) {
    if (engine != "each" && engine != nfa::to_text(p.engine)) continue;
    o.engines.push_back(p.engine);
    if (o.said.empty() && !disagreement(p, c.pattern, c.items, seed, c.refuses).empty()) {
      o.said = explain(c.pattern, c.items, seed, c.refuses);
    }
  }
  return o;
}

/// What was taken over, by pair of engines.
std::map<std::string, std::uint64_t> taken_over;

std::string try_change(std::uint64_t seed) {
  const ChangeCase c = random_change_case(seed);
  return change_disagreement(c, seed, &taken_over).empty() ? std::string() : explain_change(c, seed);
}

/// What sequences that begin alike did together, by engine.
FamilyCounts on_exists, on_search;

std::string try_family(std::uint64_t seed) {
  const FamilyCase c = random_family_case(seed);
  return family_disagreement(c, seed, &on_exists, &on_search).empty() ? std::string() : explain_family(c, seed);
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t cases = 20000;
  std::uint64_t seed = 1;
  std::string engine = "each";
  std::string algebra = "both";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i];
    if (word == "--cases") cases = std::strtoull(argv[i + 1], nullptr, 10);
    if (word == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (word == "--engine") engine = argv[i + 1];
    if (word == "--algebra") algebra = argv[i + 1];
  }
  const std::uint64_t from = hash_mix(0, seed);  // seeds that stand side by side have no cases in common
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t unclaimed = 0;
  std::map<std::string, std::uint64_t> claimed;
  for (std::uint64_t i = 0; i < cases; ++i) {
    const bool stages = algebra == "stages" || (algebra == "both" && i % 2 == 0);
    Outcome o;
    if (algebra == "changes") {
      o.said = try_change(hash_mix(from, i));
    } else if (algebra == "families") {
      o.said = try_family(hash_mix(from, i));
    } else {
      o = stages ? try_stages(hash_mix(from, i), engine) : try_sequence(hash_mix(from, i), engine);
    }
    if (o.engines.empty()) ++unclaimed;
    for (const Engine e : o.engines) ++claimed[nfa::to_text(e)];
    ++(o.said.empty() ? passed : failed);
    if (!o.said.empty() && failed <= 5) {
      std::printf("case %llu\n%s\n\n", static_cast<unsigned long long>(i), o.said.c_str());
    }
  }
  std::printf("seed %llu: %llu claimed by none", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(unclaimed));
  for (const auto& [name, count] : claimed) {
    std::printf(", %llu on %s", static_cast<unsigned long long>(count), name.c_str());
  }
  for (const auto& [name, count] : taken_over) {
    std::printf(", %llu taken over from %s", static_cast<unsigned long long>(count), name.c_str());
  }
  for (const auto& [name, counts] : {std::pair{"exists", on_exists}, std::pair{"search", on_search}}) {
    if (counts.prefixes == 0) continue;
    std::printf(", %llu prefixes on %s (joined %llu times, rested %llu, %llu matches)",
                static_cast<unsigned long long>(counts.prefixes), name, static_cast<unsigned long long>(counts.joined),
                static_cast<unsigned long long>(counts.rested), static_cast<unsigned long long>(counts.matches));
  }
  std::printf("\n%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
