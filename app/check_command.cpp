#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/config.h"
#include "app/files.h"
#include "dsl/fix.h"
#include "engine/rules.h"

namespace tocsin::app {

namespace {

/// A fix may bring to light what another fix is for; people's mistakes settle in two or three.
constexpr int fix_rounds_max = 8;

/// "a.risk:3:8: `=` is now `==`": a person wants to know what was changed.
std::string told(const dsl::Edit& edit, const dsl::SourceSet& sources) {
  const dsl::SourceFile& file = sources[edit.span.file];
  const auto place = file.place_of(edit.span.begin);
  const auto shown = [](std::string_view text) {
    constexpr std::size_t shown_max = 60;
    const bool all = text.size() <= shown_max && text.find('\n') == std::string_view::npos;
    return all ? "`" + std::string(text) + "`" : std::string("more than a line");
  };
  const std::string_view was = file.text().substr(edit.span.begin, edit.span.end - edit.span.begin);
  std::string out = file.path() + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": ";
  if (was.empty()) return out + shown(edit.text) + " is put in";
  if (edit.text.empty()) return out + shown(was) + " is left out";
  return out + shown(was) + " is now " + shown(edit.text);
}

/// Makes the changes that messages carry as long as there are any, and writes the files. What was changed, a line each; nothing when a
/// file could not be written.
std::optional<std::vector<std::string>> make_fixes(const CheckOptions& options, Duration lateness,
                                                   engine::Rules& rules) {
  const dsl::SourceSet before = rules.loaded.sources;
  std::vector<std::string> changes;
  std::set<std::string> seen;
  for (int round = 0; round < fix_rounds_max; ++round) {
    dsl::Fixed fixed = dsl::fixed(rules.loaded.sources, rules.loaded.diagnostics);
    if (fixed.edits.empty()) break;
    // A change may bring to light more than it mends; a text that was there before says that it goes round in circles.
    std::string all;
    for (const dsl::SourceFile& file : fixed.sources) all += file.text();
    if (!seen.insert(std::move(all)).second) break;
    for (const dsl::Edit& edit : fixed.edits) changes.push_back(told(edit, rules.loaded.sources));
    dsl::CheckOptions check = engine::check_options();
    check.lint.advice = options.lint;
    check.lateness = lateness;
    rules = engine::rules_of(dsl::load_sources(std::move(fixed.sources), check), engine::BuildFor::checking);
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const dsl::SourceFile& now = rules.loaded.sources[i];
    if (now.text() == before[i].text()) continue;
    if (!replace_file(now.path(), now.text())) {
      std::cerr << "tocsin check: cannot write " << now.path() << "\n";
      return std::nullopt;
    }
  }
  return changes;
}

}  // namespace

int check_command(const CheckOptions& options) {
  const char* const name = options.lint ? "tocsin lint" : "tocsin check";
  Duration lateness;
  if (!options.config.empty()) {
    Result<Config> config = load_config(options.config, process_environment());
    if (!config) {
      std::cerr << name << ": " << config.error().text << "\n";
      return exit_could_not_run;
    }
    lateness = config.value().source.lateness;
  }
  const auto load = [&] {
    return engine::load_rules(options.paths, options.lint, engine::BuildFor::checking, lateness);
  };
  Result<engine::Rules> loaded = load();
  if (!loaded) {
    std::cerr << name << ": " << loaded.error().text << "\n";
    return exit_could_not_run;
  }
  if (options.fix) {
    const std::optional<std::vector<std::string>> changes = make_fixes(options, lateness, loaded.value());
    if (!changes) return exit_could_not_run;
    for (const std::string& change : *changes) std::cerr << change << "\n";
    if (!changes->empty()) {
      std::cerr << name << ": " << changes->size() << (changes->size() == 1 ? " change" : " changes") << " made\n";
    }
    // Once more from the files, with what stands beside them.
    loaded = load();
    if (!loaded) {
      std::cerr << name << ": " << loaded.error().text << "\n";
      return exit_could_not_run;
    }
  }
  const engine::Rules& rules = loaded.value();
  std::cout << dsl::report(rules.loaded.diagnostics, rules.loaded.sources, options.format, rules.last_line(), version);
  const bool findings = rules.error_count() > 0 || (options.lint && rules.loaded.diagnostics.warning_count() > 0);
  return findings ? exit_findings : exit_fine;
}

}  // namespace tocsin::app
