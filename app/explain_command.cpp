#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>

#include "app/commands.h"
#include "dsl/explain_codes.h"
#include "dsl/print.h"
#include "engine/rules.h"
#include "replay/explain.h"

namespace tocsin::app {

namespace {

int explain_code(std::string wanted) {
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const dsl::CodeEntry& entry : dsl::code_register()) {
    const std::string_view code = dsl::letter_of(entry.code);
    if (code != wanted && code.substr(1) != wanted) continue;
    std::cout << dsl::to_text(dsl::page_of(entry.code));
    return exit_fine;
  }
  std::cerr << "there is no message with the code " << wanted
            << "; to look at a stage of rule files say --stage. All codes:\n";
  for (const dsl::CodeEntry& entry : dsl::code_register())
    std::cerr << "  " << dsl::letter_of(entry.code) << "  " << entry.title << "\n";
  return exit_wrong_use;
}

int could_not(const Error& error) {
  std::cerr << "tocsin explain: " << error.text << "\n";
  return error.kind == ErrorKind::refused ? exit_wrong_use : exit_could_not_run;
}

int explain_event(const ExplainOptions& options) {
  Result<engine::Rules> loaded = engine::load_rules(options.rules, false, engine::BuildFor::explaining);
  if (!loaded) {
    std::cerr << "tocsin explain: " << loaded.error().text << "\n";
    return exit_could_not_run;
  }
  const engine::Rules& rules = loaded.value();
  if (!rules.ok()) {
    std::cerr << rules.messages();
    return exit_findings;
  }
  replay::ExplainOptions why = options.why;
  std::error_code error;
  if (!options.event.empty() && std::filesystem::is_regular_file(options.event, error)) {
    std::ifstream in(options.event, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) return could_not({ErrorKind::unavailable, "cannot read " + options.event});
    why.event_text = text.str();
    if (why.event_text.empty()) return could_not({ErrorKind::refused, options.event + " is empty"});
  } else {
    why.event_id = options.event;
    if (why.alert_id.empty() && why.events.empty()) {
      return could_not({ErrorKind::refused,
                        options.event + " is no file, so it is the key of an event: name the events with --events"});
    }
  }
  Result<replay::Explained> explained = replay::explain(why, rules);
  if (!explained) return could_not(explained.error());
  std::cout << (options.json ? replay::to_json(explained.value()) : replay::to_text(explained.value()));
  return explained.value().accounts.empty() ? exit_findings : exit_fine;
}

}  // namespace

int explain_command(const ExplainOptions& options) {
  if (!options.event.empty() || !options.why.alert_id.empty()) return explain_event(options);
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
