#include <fstream>
#include <iostream>

#include "app/commands.h"
#include "engine/rules.h"
#include "replay/coverage.h"
#include "replay/mutate.h"
#include "replay/rule_tests.h"

namespace tocsin::app {

namespace {

int could_not(const std::string& why) {
  std::cerr << "tocsin test: " << why << "\n";
  return exit_could_not_run;
}

}  // namespace

int test_command(const TestOptions& options) {
  Result<engine::Rules> rules = engine::load_rules(options.paths);
  if (!rules) return could_not(rules.error().text);
  if (!rules.value().ok()) {
    std::cerr << rules.value().messages();
    return exit_findings;
  }
  const dsl::Loaded& loaded = rules.value().loaded;
  Result<replay::TestReport> report = replay::run_tests(loaded);
  if (!report) return could_not(report.error().text);
  std::cout << replay::to_text(report.value(), loaded.sources);
  if (!options.junit.empty()) {
    std::ofstream out(options.junit, std::ios::binary | std::ios::trunc);
    out << replay::to_junit(report.value(), loaded);
    out.flush();
    if (!out) return could_not("cannot write " + options.junit);
  }
  if (options.coverage) {
    Result<replay::CoverageReport> seen = replay::coverage(loaded);
    if (!seen) return could_not(seen.error().text);
    std::cout << "\n" << replay::to_text(seen.value(), loaded.sources);
  }
  if (report.value().failed > 0) {
    if (options.mutate) std::cerr << "tocsin test: nothing is changed while tests fail\n";
    return exit_findings;
  }
  if (!options.mutate) return exit_fine;
  Result<replay::MutationReport> mutants = replay::mutate(loaded);
  if (!mutants) return could_not(mutants.error().text);
  std::cout << "\n" << replay::to_text(mutants.value(), loaded.sources);
  return mutants.value().percent() < options.mutate_min ? exit_findings : exit_fine;
}

}  // namespace tocsin::app
