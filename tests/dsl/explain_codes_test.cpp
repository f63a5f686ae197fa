#include "dsl/explain_codes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "dsl/check.h"
#include "engine/rules.h"

using namespace tocsin;
using namespace tocsin::dsl;

namespace {

/// As `tocsin lint` does. The source has a lateness only where that is what the example is about.
Loaded looked_at(const std::string& text, Code about) {
  CheckOptions options;
  options.lint.advice = true;
  if (about == Code::late_decisions) options.lateness = Duration::seconds(10);
  return engine::rules_of(load_sources({{"example.risk", text}}, options)).loaded;
}

bool says(const Loaded& loaded, Code code) {
  const auto& all = loaded.diagnostics.all();
  return std::any_of(all.begin(), all.end(), [&](const Diagnostic& d) { return d.code == code; });
}

std::string golden_cases() {
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(TOCSIN_SOURCE_DIR "/tests/golden/diagnostics")) {
    std::ifstream in(entry.path(), std::ios::binary);
    all.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return all;
}

}  // namespace

TEST_CASE(
    "every code has a page, its wrong example gives the code and its right one nothing, and a golden case has its "
    "text") {
  const std::string prelude(explain_prelude());
  const std::string cases = golden_cases();
  for (const CodeEntry& entry : code_register()) {
    const CodePage& page = page_of(entry.code);
    const std::string letter(letter_of(entry.code));
    CAPTURE(letter);
    CHECK(page.title == entry.title);
    CHECK_MESSAGE(page.meaning.size() > 40, "write its page in dsl/explain_codes.cpp");
    CHECK_MESSAGE(!page.wrong.empty(), "give it an example");
    CHECK_MESSAGE(cases.find("[" + letter + "]: ") != std::string::npos, "give it a case in tests/golden/diagnostics");
    const Loaded wrong = looked_at(prelude + std::string(page.wrong) + "\n", entry.code);
    CHECK_MESSAGE(says(wrong, entry.code), render(wrong.diagnostics, wrong.sources));
    const Loaded right = looked_at(prelude + std::string(page.right) + "\n", entry.code);
    CHECK_MESSAGE(!says(right, entry.code), render(right.diagnostics, right.sources));
    // Other than advice, such as that nothing uses the example's param.
    for (const Diagnostic& d : right.diagnostics.all()) {
      CHECK_MESSAGE(is_advice(d.code), render(d, right.sources));
    }
  }
}

TEST_CASE("a page is broken at blanks and shows both examples") {
  const std::string text = to_text(page_of(Code::assignment_in_condition));
  CHECK(text ==
        "E0101: `=` stands in a condition, where `==` compares\n"
        "\n"
        "One `=` gives a name to something, as in `param limit = 3`; whether two things are equal is\n"
        "asked with `==`. `tocsin check --fix` writes it.\n"
        "\n"
        "wrong:\n"
        "    rule r on login { when result = failure }\n"
        "\n"
        "right:\n"
        "    rule r on login { when result == failure }\n");
}
