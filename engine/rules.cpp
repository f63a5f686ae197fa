#include "engine/rules.h"

#include "engine/compile/strings_build.h"

namespace tocsin::engine {

namespace {

std::string counted(std::size_t n, std::string_view word) {
  return std::to_string(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

/// Where the rule that the builder speaks of ("rule NAME: …") is declared.
dsl::Span place_of(const std::string& message, const dsl::Loaded& loaded) {
  for (const dsl::ast::File& file : loaded.files) {
    for (const dsl::ast::Decl& declaration : file.declarations) {
      if (declaration.rule && message.starts_with("rule " + declaration.rule->name.text + ":")) {
        return declaration.rule->name.span;
      }
    }
  }
  return {static_cast<std::uint32_t>(loaded.sources.size()), 0, 0};
}

}  // namespace

dsl::CheckOptions check_options() {
  dsl::CheckOptions options;
  options.pattern_problem = pattern_problem;
  return options;
}

Rules rules_of(dsl::Loaded loaded, BuildFor purpose) {
  Rules rules;
  rules.loaded = std::move(loaded);
  if (!rules.loaded.book) return rules;
  std::vector<RuleFileText> files;
  for (const dsl::SourceFile& file : rules.loaded.sources) files.push_back({file.path(), std::string(file.text())});
  Result<std::shared_ptr<const Ruleset>> ruleset = build(*rules.loaded.book, std::move(files), purpose);
  if (ruleset) {
    if (purpose != BuildFor::checking) rules.ruleset = ruleset.take();
  } else {
    const std::string& message = ruleset.error().text;
    rules.loaded.diagnostics.error(dsl::Code::cannot_build, place_of(message, rules.loaded), message);
    rules.loaded.diagnostics.sort();
  }
  return rules;
}

std::size_t Rules::rule_count() const {
  std::size_t n = 0;
  for (const dsl::ast::File& file : loaded.files) {
    for (const dsl::ast::Decl& declaration : file.declarations) {
      if (declaration.kind == dsl::ast::Decl::Kind::rule) ++n;
    }
  }
  return n;
}

std::string Rules::last_line() const {
  const std::size_t errors = error_count();
  const std::size_t warnings = loaded.diagnostics.warning_count();
  std::string line = counted(loaded.sources.size(), "file") + ", " + counted(rule_count(), "rule") + ": ";
  if (errors == 0 && warnings == 0) return line + "ok\n";
  line += counted(errors, "error") + ", " + counted(warnings, "warning");
  return line + (errors == 0 ? "; ok\n" : "; nothing was loaded\n");
}

std::string Rules::messages() const {
  std::string text = dsl::render(loaded.diagnostics, loaded.sources);
  if (!text.empty()) text += '\n';
  return text + last_line();
}

Result<Rules> load_rules(const std::vector<std::string>& paths, bool advice, BuildFor purpose, Duration lateness) {
  dsl::CheckOptions options = check_options();
  options.lint.advice = advice;
  options.lateness = lateness;
  Result<dsl::Loaded> loaded = dsl::load(paths, options);
  if (!loaded) return loaded.error();
  return rules_of(loaded.take(), purpose);
}

Rules rules_of_texts(const std::vector<RuleFileText>& files, BuildFor purpose) {
  dsl::SourceSet sources;
  dsl::CheckOptions options = check_options();
  for (const RuleFileText& file : files) {
    if (file.data) {
      options.data_files[file.path] = std::make_shared<const std::string>(file.text);
    } else {
      sources.emplace_back(file.path, file.text);
    }
  }
  return rules_of(dsl::load_sources(std::move(sources), options), purpose);
}

}  // namespace tocsin::engine
