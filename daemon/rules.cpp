#include "daemon/rules.h"

#include "base/coding.h"
#include "engine/rules.h"
#include "state/records.h"

namespace tocsin::daemon {

namespace {

RulesLoaded loaded(const engine::Rules& rules) {
  const bool silent = rules.ok() && rules.loaded.diagnostics.warning_count() == 0;
  return {rules.ruleset, silent ? std::string() : rules.messages()};
}

}  // namespace

RulesLoaded rules_of_files(const std::vector<std::string>& paths, Duration lateness) {
  Result<engine::Rules> read = engine::load_rules(paths, false, engine::BuildFor::running, lateness);
  if (!read) return {nullptr, read.error().text + "\n"};
  return loaded(read.value());
}

RulesLoaded rules_of_texts(const std::vector<engine::RuleFileText>& files) {
  return loaded(engine::rules_of_texts(files));
}

// As Engine::capture writes it: digest, then path and text of each file.
Result<std::optional<std::vector<engine::RuleFileText>>> stored_rules(const state::Store& store) {
  Result<std::optional<std::string>> stored = store.get(state::meta_record("rules"));
  if (!stored) return stored.error().while_doing("reading the rules of the last checkpoint");
  if (!stored.value()) return std::optional<std::vector<engine::RuleFileText>>{};
  ByteReader in(*stored.value());
  in.get_bytes();
  std::vector<engine::RuleFileText> files;
  const std::uint64_t count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    const std::string_view path = in.get_bytes();
    files.push_back(engine::stored_file(path, in.get_bytes()));
  }
  if (in.failed() || !in.at_end()) {
    return Error{ErrorKind::corrupt,
                 "the rules in the state directory do not read; restore the directory from a copy, or begin with "
                 "an empty one"};
  }
  return std::optional{std::move(files)};
}

std::vector<engine::RuleFileText> files_of(const engine::Ruleset& ruleset) {
  std::vector<engine::RuleFileText> files;
  for (const engine::Ruleset::File& file : ruleset.files) files.push_back({file.path, *file.text, file.data});
  return files;
}

bool same_rules(const engine::Ruleset& a, const engine::Ruleset& b) {
  if (a.digest != b.digest || a.files.size() != b.files.size()) return false;
  for (std::size_t i = 0; i < a.files.size(); ++i) {
    if (a.files[i].path != b.files[i].path || *a.files[i].text != *b.files[i].text) return false;
  }
  return true;
}

}  // namespace tocsin::daemon
