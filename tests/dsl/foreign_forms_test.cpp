// tests/golden/diagnostics/foreign.forms holds what people write who come from other languages, and all that is said about it:
//
//   --- prelude
//   event login { … }
//   --- step                        what follows, with where it stands: a step behind `login as l`; `when`, `clause` of a rule
//   followed by transfer as t       on transfer; `test`, a step of a test; `feature`; `declaration`
//   --- says
//   wrong.risk:4:5: error[E0102]: …
//
// TOCSIN_UPDATE=1 rewrites what is said. What `check --fix` makes of a text of which every mistake has a fix must be right.
#include "dsl/foreign_forms.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "dsl/check.h"
#include "dsl/fix.h"

using namespace tocsin::dsl;

namespace {

const char* const path = TOCSIN_SOURCE_DIR "/tests/golden/diagnostics/foreign.forms";

struct Case {
  std::string place;
  std::string text;
  std::string says;
};

std::string in_its_place(const Case& one) {
  if (one.place == "step") {
    return "rule r per user {\n  sequence within 1d {\n    login as l\n" + one.text + "  }\n}\n";
  }
  if (one.place == "when") return "rule r on transfer as t {\n  when " + one.text + "}\n";
  if (one.place == "clause") return "rule r on transfer as t {\n  when t.status == requested\n" + one.text + "}\n";
  if (one.place == "feature") return "feature f = " + one.text;
  if (one.place == "test") {
    return "test \"x\" {\n  at \"2026-01-05T10:00:00Z\"\n" + one.text + "  expect alerts 0\n}\n";
  }
  return one.text;
}

std::vector<Case> read_cases(std::string& prelude) {
  std::ifstream in(path, std::ios::binary);
  std::vector<Case> cases;
  std::string* out = &prelude;
  for (std::string line; std::getline(in, line);) {
    if (line == "--- prelude") continue;
    if (line == "--- says") {
      out = &cases.back().says;
    } else if (line.starts_with("--- ")) {
      cases.push_back({line.substr(4), "", ""});
      out = &cases.back().text;
    } else {
      *out += line + '\n';
    }
  }
  return cases;
}

Loaded looked_at(const std::string& prelude, std::string text) {
  return load_sources({{"prelude.risk", prelude}, {"wrong.risk", std::move(text)}});
}

}  // namespace

TEST_CASE("what is said of the forms of other languages") {
  std::string prelude;
  std::vector<Case> cases = read_cases(prelude);
  REQUIRE(!cases.empty());
  const bool update = std::getenv("TOCSIN_UPDATE") != nullptr;
  for (Case& one : cases) {
    CAPTURE(one.text);
    const Loaded loaded = looked_at(prelude, in_its_place(one));
    const std::string said = render(loaded.diagnostics, loaded.sources);
    CHECK_FALSE(said.empty());
    if (update) {
      one.says = said;
    } else {
      CHECK(said == one.says);
    }
    const auto& all = loaded.diagnostics.all();
    const bool all_fixed = std::all_of(all.begin(), all.end(), [](const Diagnostic& d) { return !d.fix.empty(); });
    if (!all_fixed) continue;
    const Fixed better = fixed(loaded.sources, loaded.diagnostics);
    const Loaded again = load_sources(better.sources);
    CAPTURE(better.sources[1].text());
    CHECK_MESSAGE(again.diagnostics.error_count() == 0, render(again.diagnostics, again.sources));
  }
  if (!update) return;
  std::ofstream out(path, std::ios::binary);
  out << "--- prelude\n" << prelude;
  for (const Case& one : cases) out << "--- " << one.place << "\n" << one.text << "--- says\n" << one.says;
}
