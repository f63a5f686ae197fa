#include <algorithm>
#include <iostream>
#include <optional>

#include "app/commands.h"
#include "app/files.h"
#include "dsl/fix.h"
#include "engine/rules.h"

namespace tocsin::app {

namespace {

/// A fix may bring to light what another fix is for; people's mistakes settle in two or three.
constexpr int fix_rounds_max = 8;

/// Makes the changes that messages carry as long as they help, and writes the files. How many changes were made; nothing when a file
/// could not be written.
std::optional<std::size_t> make_fixes(const CheckOptions& options, engine::Rules& rules) {
  const dsl::SourceSet before = rules.loaded.sources;
  std::size_t edits = 0;
  for (int round = 0; round < fix_rounds_max; ++round) {
    dsl::Fixed fixed = dsl::fixed(rules.loaded.sources, rules.loaded.diagnostics);
    if (fixed.edits == 0) break;
    dsl::CheckOptions check = engine::check_options();
    check.lint.advice = options.lint;
    engine::Rules again = engine::rules_of(dsl::load_sources(std::move(fixed.sources), check));
    // Fewer messages that can be fixed, or it goes round in circles.
    const auto fixable = [](const engine::Rules& r) {
      const auto& all = r.loaded.diagnostics.all();
      return std::count_if(all.begin(), all.end(), [](const dsl::Diagnostic& d) { return !d.fix.empty(); });
    };
    if (fixable(again) >= fixable(rules) && again.error_count() >= rules.error_count()) break;
    edits += fixed.edits;
    rules = std::move(again);
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const dsl::SourceFile& now = rules.loaded.sources[i];
    if (now.text() == before[i].text()) continue;
    if (!replace_file(now.path(), now.text())) {
      std::cerr << "tocsin check: cannot write " << now.path() << "\n";
      return std::nullopt;
    }
  }
  return edits;
}

}  // namespace

int check_command(const CheckOptions& options) {
  const char* const name = options.lint ? "tocsin lint" : "tocsin check";
  Result<engine::Rules> loaded = engine::load_rules(options.paths, options.lint);
  if (!loaded) {
    std::cerr << name << ": " << loaded.error().text << "\n";
    return exit_could_not_run;
  }
  if (options.fix) {
    const std::optional<std::size_t> edits = make_fixes(options, loaded.value());
    if (!edits) return exit_could_not_run;
    if (*edits > 0) std::cerr << name << ": " << *edits << (*edits == 1 ? " change" : " changes") << " made\n";
    // Once more from the files, with what stands beside them.
    loaded = engine::load_rules(options.paths, options.lint);
    if (!loaded) {
      std::cerr << name << ": " << loaded.error().text << "\n";
      return exit_could_not_run;
    }
  }
  const engine::Rules& rules = loaded.value();
  std::cout << dsl::report(rules.loaded.diagnostics, rules.loaded.sources, options.format, rules.last_line(), version);
  const bool findings = !rules.ok() || (options.lint && rules.loaded.diagnostics.warning_count() > 0);
  return findings ? exit_findings : exit_fine;
}

}  // namespace tocsin::app
