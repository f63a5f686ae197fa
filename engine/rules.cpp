#include "engine/rules.h"

#include "dsl/parse.h"
#include "engine/compile/strings_build.h"

namespace tocsin::engine {

namespace {

std::string counted(std::size_t n, std::string_view word) {
  return std::to_string(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

dsl::CheckOptions check_options() {
  dsl::CheckOptions options;
  options.pattern_problem = pattern_problem;
  return options;
}

Rules built(dsl::Loaded loaded) {
  Rules rules;
  rules.loaded = std::move(loaded);
  if (!rules.loaded.book) return rules;
  std::vector<RuleFileText> files;
  for (const dsl::SourceFile& file : rules.loaded.sources) files.push_back({file.path(), std::string(file.text())});
  Result<std::shared_ptr<const Ruleset>> ruleset = build(*rules.loaded.book, std::move(files));
  if (ruleset) {
    rules.ruleset = ruleset.take();
  } else {
    rules.build_error = ruleset.error().text;
  }
  return rules;
}

}  // namespace

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
  if (!build_error.empty()) text += "error: " + build_error + "\n\n";
  return text + last_line();
}

Result<Rules> load_rules(const std::vector<std::string>& paths) {
  Result<dsl::Loaded> loaded = dsl::load(paths, check_options());
  if (!loaded) return loaded.error();
  return built(loaded.take());
}

Rules rules_of_texts(const std::vector<RuleFileText>& files) {
  dsl::Loaded loaded;
  dsl::CheckOptions options = check_options();
  for (const RuleFileText& file : files) {
    if (file.data) {
      options.data_files[file.path] = std::make_shared<const std::string>(file.text);
    } else {
      loaded.sources.emplace_back(file.path, file.text);
    }
  }
  for (std::uint32_t i = 0; i < loaded.sources.size(); ++i) {
    loaded.files.push_back(dsl::parse(loaded.sources, i, loaded.diagnostics));
  }
  // As dsl::load does: what is written wrong is put right before names are looked at.
  if (loaded.diagnostics.error_count() == 0) {
    loaded.book = dsl::check(loaded.sources, loaded.files, loaded.diagnostics, options);
  }
  loaded.diagnostics.sort();
  return built(std::move(loaded));
}

}  // namespace tocsin::engine
