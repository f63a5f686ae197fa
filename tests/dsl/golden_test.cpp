// Every tests/golden/diagnostics/*.case is a rule file and exactly what is said about it:
//
//   --- rules
//   rule r on login { … }
//   --- file lists/x.txt
//   (what stands in a file that the rules name; may be left out)
//   --- messages
//   rules.risk:1:9: error[E0201]: …
//
// `--- lateness 10s` behind the rules says what the configuration knows of the source. `--- lint` instead of `--- rules` asks for advice as well, as `tocsin lint` does.
// TOCSIN_UPDATE=1 rewrites the messages; the difference is what gets reviewed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "dsl/check.h"
#include "dsl/fix.h"
#include "dsl/parse.h"
#include "engine/rules.h"

using namespace tocsin::dsl;

namespace {

constexpr std::string_view rules_line = "--- rules\n";
constexpr std::string_view lint_line = "--- lint\n";
constexpr std::string_view lateness_line = "--- lateness ";
constexpr std::string_view file_line = "--- file ";
constexpr std::string_view messages_line = "--- messages\n";

/// Takes the lateness and the data files off the end of the rules.
CheckOptions split_files(std::string& rules) {
  CheckOptions options;
  if (const auto at = rules.find(lateness_line); at != std::string::npos) {
    const auto end = rules.find('\n', at);
    const std::size_t begin = at + lateness_line.size();
    options.lateness = tocsin::parse_duration(rules.substr(begin, end - begin)).value();
    rules.erase(at, end + 1 - at);
  }
  for (auto at = rules.find(file_line); at != std::string::npos;) {
    const auto end = rules.find('\n', at);
    const auto next = rules.find(file_line, end);
    const std::string name = rules.substr(at + file_line.size(), end - at - file_line.size());
    options.data_files[name] = std::make_shared<const std::string>(rules.substr(end + 1, next - end - 1));
    at = next;
  }
  rules.resize(std::min(rules.find(file_line), rules.size()));
  return options;
}

/// What `tocsin check` or `lint` says; when the text does not parse, only that.
std::string messages_of(std::string rules, bool advice) {
  CheckOptions options = split_files(rules);
  options.lint.advice = advice;
  const SourceSet sources{{"rules.risk", rules}};
  Diagnostics diagnostics;
  parse(sources, 0, diagnostics);
  if (diagnostics.error_count() == 0) {
    const Loaded loaded = tocsin::engine::rules_of(load_sources(sources, options)).loaded;
    return render(loaded.diagnostics, loaded.sources);
  }
  add_fixes(diagnostics, sources);
  diagnostics.sort();
  return render(diagnostics, sources);
}

}  // namespace

TEST_CASE("the messages of the golden cases") {
  std::vector<std::filesystem::path> cases;
  for (const auto& entry : std::filesystem::directory_iterator(TOCSIN_SOURCE_DIR "/tests/golden/diagnostics")) {
    if (entry.path().extension() == ".case") cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  REQUIRE(!cases.empty());
  const bool update = std::getenv("TOCSIN_UPDATE") != nullptr;
  for (const auto& path : cases) {
    CAPTURE(path.filename().string());
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const auto messages_at = text.find(messages_line);
    const bool advice = text.starts_with(lint_line);
    const std::string_view first_line = advice ? lint_line : rules_line;
    REQUIRE(text.starts_with(first_line));
    REQUIRE(messages_at != std::string::npos);
    const std::string rules = text.substr(first_line.size(), messages_at - first_line.size());
    const std::string expected = text.substr(messages_at + messages_line.size());
    const std::string actual = messages_of(rules, advice);
    if (update && actual != expected) {
      std::ofstream out(path, std::ios::binary);
      out << first_line << rules << messages_line << actual;
      MESSAGE("rewritten: ", path.filename().string());
    } else {
      CHECK(actual == expected);
    }
  }
}
