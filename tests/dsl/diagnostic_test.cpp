#include "dsl/diagnostic.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

using namespace tocsin::dsl;

namespace {

Span span_of(const SourceSet& sources, const std::string& text, std::uint32_t file = 0) {
  const auto at = static_cast<std::uint32_t>(sources[file].text().find(text));
  return {file, at, at + static_cast<std::uint32_t>(text.size())};
}

}  // namespace

TEST_CASE("a message has place, code, line, carets and lists") {
  const SourceSet sources{{"ato.risk", "\n  then transfer as t where t.ammount as USD >= 5000 USD\n"}};
  Diagnostics diagnostics;
  auto& d =
      diagnostics.error(Code::unknown_field, span_of(sources, "ammount"), "event `transfer` has no field `ammount`");
  d.under = "did you mean `amount`?";
  d.notes.push_back("fields of transfer: amount, created_at");
  CHECK(render(diagnostics, sources) ==
        "ato.risk:2:30: error[E0203]: event `transfer` has no field `ammount`\n"
        "    2 |   then transfer as t where t.ammount as USD >= 5000 USD\n"
        "      |                              ^^^^^^^ did you mean `amount`?\n"
        "      fields of transfer: amount, created_at\n");
}

TEST_CASE(
    "further places of the line stand beside, of other lines and files apart; the words of the last mark behind it") {
  const SourceSet sources{{"a.risk", "let n = count from transfer per account in last 24h\nlow\n"},
                          {"b.risk", "x y\n"}};
  Diagnostics diagnostics;
  auto& d = diagnostics.error(Code::ambiguous_key, span_of(sources, "transfer"), "two fields");
  d.under = "this one";
  d.labels.push_back({span_of(sources, "account"), "which one?"});
  d.labels.push_back({span_of(sources, "low"), "here too"});
  d.labels.push_back({span_of(sources, "y", 1), "declared"});
  d.hints.push_back("write\nor");
  CHECK(render(diagnostics, sources) ==
        "a.risk:1:20: error[E0312]: two fields\n"
        "    1 | let n = count from transfer per account in last 24h\n"
        "      |                    ^^^^^^^^     ------- which one?\n"
        "      |                    this one\n"
        "    2 | low\n"
        "      | --- here too\n"
        "  b.risk:\n"
        "    1 | x y\n"
        "      |   - declared\n"
        "      hint: write\n"
        "            or\n");
}

TEST_CASE("tabs are repeated below the line, control characters and broken bytes do not reach a terminal") {
  const SourceSet sources{{"a.risk", "\twhen\t\x1b[31m\xFF n\n"}};
  Diagnostics diagnostics;
  diagnostics.warning(Code::never_true, span_of(sources, "n\n"), "bad \x1b");
  CHECK(render(diagnostics, sources) ==
        "a.risk:1:14: warning[W0502]: bad \xEF\xBF\xBD\n"
        "    1 | \twhen\t\xEF\xBF\xBD[31m\xEF\xBF\xBD n\n"
        "      | \t    \t       ^\n");
}

TEST_CASE("of a very long line only the surroundings are shown, of several lines the first") {
  const SourceSet sources{{"a.risk", std::string(5000, '+') + "x" + std::string(5000, '+') + "\nnext\n"}};
  Diagnostics diagnostics;
  auto span = span_of(sources, "x");
  span.end += 5005;
  diagnostics.error(Code::syntax, span, "long");
  const std::string text = render(diagnostics, sources);
  CHECK(text.size() < 1000);
  CHECK(text.find("a.risk:1:5001") == 0);
  CHECK(text.find("+x+") != std::string::npos);
  CHECK(text.find("next") == std::string::npos);
}

TEST_CASE("messages come by file, place and code, whatever the order of checking") {
  Diagnostics diagnostics;
  diagnostics.error(Code::unknown_name, {1, 5, 6}, "d");
  diagnostics.warning(Code::never_true, {0, 9, 10}, "c");
  diagnostics.error(Code::unknown_name, {0, 9, 10}, "b");
  diagnostics.error(Code::syntax, {0, 1, 2}, "a");
  diagnostics.sort();
  std::string order;
  for (const auto& d : diagnostics.all()) order += d.message;
  CHECK(order == "abcd");
  CHECK(diagnostics.error_count() == 3);
  CHECK(diagnostics.warning_count() == 1);
}

TEST_CASE("the same as JSON, one object a line") {
  const SourceSet sources{{"a \"b\".risk", "when ä \\ x\n"}};
  Diagnostics diagnostics;
  auto& d = diagnostics.error(Code::syntax, span_of(sources, "x"), "say \"x\"\\");
  d.hints.push_back("one\ntwo");
  d.labels.push_back({span_of(sources, "when"), "here"});
  d.fix.push_back({d.span, "y"});
  CHECK(
      render_json(diagnostics, sources) ==
      R"({"severity":"error","code":"E0102","file":"a \"b\".risk","line":1,"column":10,"end_line":1,"end_column":11,)"
      R"("message":"say \"x\"\\","under":"","labels":[{"file":"a \"b\".risk","line":1,"column":1,"end_line":1,)"
      R"("end_column":5,"text":"here"}],"notes":[],"hints":["one two"],"fix":[{"file":"a \"b\".risk","line":1,"column":10,"end_line":1,)"
      R"("end_column":11,"text":"y"}]})"
      "\n");
}

TEST_CASE("a name is suggested when it is one or two slips away, or has the same letters") {
  const std::vector<std::string> names{"amount", "created_at", "device", "user", "ip", "low"};
  CHECK(nearest_name("ammount", names) == "amount");
  CHECK(nearest_name("amuont", names) == "amount");
  CHECK(nearest_name("at_created", names) == "created_at");
  CHECK(nearest_name("usr", names) == "user");
  CHECK(nearest_name("uesr", names) == "user");
  CHECK(nearest_name("merchant", names).empty());
  CHECK(nearest_name("xyz", names).empty());
  CHECK(nearest_name("", names).empty());
  CHECK(nearest_name("user", {"user"}).empty());
  CHECK(nearest_name("aa", {"ba", "ab"}) == "ab");
  CHECK(nearest_name(std::string(100'000, 'a'), names).empty());
}

TEST_CASE("the register has every code of codes.h, once, in order") {
  std::ifstream in(std::string(TOCSIN_SOURCE_DIR) + "/dsl/codes.h");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  REQUIRE(!text.empty());
  std::set<int> registered;
  for (const CodeEntry& entry : code_register()) {
    CHECK(registered.insert(static_cast<int>(entry.code)).second);
    CHECK(!entry.title.empty());
  }
  // Every line "  name = 123," of the header is a code.
  std::size_t count = 0;
  for (std::size_t at = text.find(" = "); at != std::string::npos; at = text.find(" = ", at + 1)) {
    const std::size_t end = text.find_first_not_of("0123456789", at + 3);
    if (end == at + 3 || end == std::string::npos || text[end] != ',') continue;
    const int number = std::stoi(text.substr(at + 3, end - at - 3));
    CHECK_MESSAGE(registered.count(number) == 1, "not in the register: ", number);
    ++count;
  }
  CHECK(count == registered.size());
  CHECK(letter_of(Code::unknown_field) == "E0203");
  CHECK(letter_of(Code::optional_field_silent) == "W0520");
}
