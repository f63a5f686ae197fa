#include "dsl/explain_codes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "dsl/check.h"

using namespace tocsin::dsl;

namespace {

Loaded looked_at(const std::string& text) {
  CheckOptions options;
  options.lint.advice = true;
  return load_sources({{"example.risk", text}}, options);
}

bool says(const Loaded& loaded, Code code) {
  const auto& all = loaded.diagnostics.all();
  return std::any_of(all.begin(), all.end(), [&](const Diagnostic& d) { return d.code == code; });
}

/// What no few lines can show, made here.
std::string made_example(Code code) {
  const std::string levels(101, '(');
  std::string chain = "tries";
  switch (code) {
    case Code::nesting_too_deep: return "param p = " + levels + "1" + std::string(101, ')') + "\n";
    case Code::chain_too_long:
      for (int i = 0; i < 1001; ++i) chain += " + 1";
      return "rule r on login { when " + chain + " > 3 }\n";
    case Code::bad_text_encoding: return "param p = \"\xFF\"\n";
    default: return {};
  }
}

/// Codes that no rule text gives yet: given at run time, or for what is not built.
const std::set<Code> without_example{Code::link_on_first, Code::cannot_build, Code::late_decisions, Code::not_built,
                                     Code::bad_table_row};

}  // namespace

TEST_CASE("every code has a page, its wrong example gives the code and its right one nothing") {
  const std::string prelude(explain_prelude());
  for (const CodeEntry& entry : code_register()) {
    const CodePage& page = page_of(entry.code);
    const std::string letter(letter_of(entry.code));
    CAPTURE(letter);
    CHECK(page.title == entry.title);
    CHECK_MESSAGE(page.meaning.size() > 40, "write its page in dsl/explain_codes.cpp");
    if (page.wrong.empty()) {
      const std::string made = made_example(entry.code);
      if (made.empty()) {
        CHECK_MESSAGE(without_example.contains(entry.code), "give it an example");
      } else {
        CHECK(says(looked_at(prelude + made), entry.code));
      }
      continue;
    }
    const Loaded wrong = looked_at(prelude + std::string(page.wrong) + "\n");
    CHECK_MESSAGE(says(wrong, entry.code), render(wrong.diagnostics, wrong.sources));
    const Loaded right = looked_at(prelude + std::string(page.right) + "\n");
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
