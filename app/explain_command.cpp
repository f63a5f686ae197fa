#include <algorithm>
#include <cctype>
#include <iostream>

#include "app/commands.h"
#include "dsl/explain_codes.h"
#include "dsl/print.h"
#include "engine/rules.h"

namespace tocsin::app {

namespace {

int explain_code(std::string wanted) {
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const dsl::CodeEntry& entry : dsl::code_register()) {
    if (dsl::letter_of(entry.code) != wanted) continue;
    std::cout << dsl::to_text(dsl::page_of(entry.code));
    return exit_fine;
  }
  std::cerr << "there is no message with the code " << wanted
            << "; to look at a stage of rule files say --stage. All codes:\n";
  for (const dsl::CodeEntry& entry : dsl::code_register())
    std::cerr << "  " << dsl::letter_of(entry.code) << "  " << entry.title << "\n";
  return exit_wrong_use;
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  if (options.stage.empty()) return explain_code(options.subjects.front());
  Result<engine::Rules> loaded = engine::load_rules(options.subjects);
  if (!loaded) {
    std::cerr << "tocsin explain: " << loaded.error().text << "\n";
    return exit_could_not_run;
  }
  const engine::Rules& rules = loaded.value();
  // What was written can be shown even when it means nothing.
  if (options.stage == "ast") {
    for (const dsl::ast::File& file : rules.loaded.files) std::cout << dsl::dump(file);
  }
  if (!rules.ok()) {
    std::cerr << rules.messages();
    return exit_findings;
  }
  if (options.stage == "rulebook") std::cout << dsl::dump(*rules.loaded.book);
  if (options.stage == "plan") std::cout << engine::explain_plan(*rules.loaded.book);
  if (options.stage == "program") std::cout << engine::explain_programs(*rules.ruleset);
  if (options.stage == "ruleset") std::cout << engine::explain_ruleset(*rules.ruleset);
  return exit_fine;
}

}  // namespace tocsin::app
