#include <iostream>

#include "app/commands.h"
#include "engine/rules.h"

namespace tocsin::app {

int check_command(const CheckOptions& options) {
  Result<engine::Rules> rules = engine::load_rules(options.paths);
  if (!rules) {
    std::cerr << "tocsin check: " << rules.error().text << "\n";
    return exit_could_not_run;
  }
  if (options.json) {
    std::cout << dsl::render_json(rules.value().loaded.diagnostics, rules.value().loaded.sources);
    // The one message without a place has no form in JSON lines of places; a reader still learns of it by the exit code.
    if (!rules.value().build_error.empty()) std::cerr << "error: " << rules.value().build_error << "\n";
  } else {
    std::cout << rules.value().messages();
  }
  return rules.value().ok() ? exit_fine : exit_findings;
}

}  // namespace tocsin::app
