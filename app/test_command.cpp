#include <iostream>

#include "app/commands.h"
#include "engine/rules.h"
#include "replay/rule_tests.h"

namespace tocsin::app {

int test_command(const TestOptions& options) {
  Result<engine::Rules> rules = engine::load_rules(options.paths);
  if (!rules) {
    std::cerr << "tocsin test: " << rules.error().text << "\n";
    return exit_could_not_run;
  }
  if (!rules.value().ok()) {
    std::cerr << rules.value().messages();
    return exit_findings;
  }
  Result<replay::TestReport> report = replay::run_tests(rules.value().loaded);
  if (!report) {
    std::cerr << "tocsin test: " << report.error().text << "\n";
    return exit_could_not_run;
  }
  std::cout << replay::to_text(report.value(), rules.value().loaded.sources);
  return report.value().failed == 0 ? exit_fine : exit_findings;
}

}  // namespace tocsin::app
