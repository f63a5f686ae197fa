#include "dsl/fix.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "dsl/check.h"
#include "dsl/report.h"

namespace tocsin::dsl {
namespace {

/// What `check --fix` would write, one round.
std::string once_fixed(const std::string& text) {
  const Loaded loaded = load_sources({{"f.risk", text}});
  return std::string(fixed(loaded.sources, loaded.diagnostics).sources[0].text());
}

constexpr const char* login =
    "entity user\nevent login { key id : string  time at : time  user : user  tries : int }\n";

}  // namespace

TEST_CASE("what messages carry is changed, and nothing else") {
  CHECK(once_fixed(std::string(login) + "rule r on login { when tries = 3  && user <> \"u1\" }  # = && <>\n") ==
        std::string(login) + "rule r on login { when tries == 3  and user != \"u1\" }  # = && <>\n");
  CHECK(once_fixed(std::string(login) + "rule r on logn { title 'many'  when tries > 3 }\n") ==
        std::string(login) + "rule r on login { title \"many\"  when tries > 3 }\n");
  CHECK(once_fixed(std::string(login) + "rule r on logn { when tries > 3 }\n") ==
        std::string(login) + "rule r on login { when tries > 3 }\n");
  CHECK(once_fixed(std::string(login) + "rule r on login { when tris > 3 or trie > 4 }\n") ==
        std::string(login) + "rule r on login { when tries > 3 or tries > 4 }\n");
  CHECK(once_fixed(std::string(login) + "list @staff : set<user>\nrule r on login { when user in @stuff }\n") ==
        std::string(login) + "list @staff : set<user>\nrule r on login { when user in @staff }\n");
  CHECK(once_fixed(std::string(login) + "rule r per user { sequence within 10min {\n  login\n  login as l\n} }\n") ==
        std::string(login) + "rule r per user { sequence within 10m {\n  login\n  login as l\n} }\n");
  CHECK(once_fixed(std::string(login) + "rule r per user { sequence within 10m {\n  login\n  login as l\n} }\n") ==
        std::string(login) + "rule r per user { sequence within 10m {\n  login\n  then login as l\n} }\n");
  // A person has to decide.
  const std::string mixed = std::string(login) + "rule r on login { when tries > 3 and tries > 4 or tries > 5 }\n";
  CHECK(once_fixed(mixed) == mixed);
}

TEST_CASE("of two fixes at one place the first is made") {
  const SourceSet sources{{"f.risk", "abc def"}};
  Diagnostics diagnostics;
  diagnostics.error(Code::syntax, {0, 0, 3}, "").fix = {{{0, 0, 3}, "x"}};
  diagnostics.error(Code::syntax, {0, 2, 5}, "").fix = {{{0, 2, 5}, "y"}};
  diagnostics.error(Code::syntax, {0, 4, 7}, "").fix = {{{0, 4, 7}, "z"}};
  const Fixed result = fixed(sources, diagnostics);
  CHECK(result.sources[0].text() == "x z");
  CHECK(result.edits.size() == 2);
}

TEST_CASE("the forms for programs") {
  const Loaded loaded = load_sources({{"rules/a b.risk", "rule r on lögin {\n  when x = 3\n}\n"}});
  const auto as = [&](ReportFormat format) {
    return report(loaded.diagnostics, loaded.sources, format, "the last line\n", "1.2");
  };
  CHECK(as(ReportFormat::text).ends_with("\n\nthe last line\n"));
  const std::string github = as(ReportFormat::github);
  CHECK(github.starts_with("::error file=rules/a b.risk,line=1,endLine=1,col=12,endColumn="));
  CHECK(github.find("title=E0101::`=` defines a name, `==` compares (write `==`)\n") != std::string::npos);
  // One line for each message.
  CHECK(static_cast<std::size_t>(std::count(github.begin(), github.end(), '\n')) == loaded.diagnostics.all().size());
  const std::string sarif = as(ReportFormat::sarif);
  CHECK(sarif.find(R"("version":"2.1.0")") != std::string::npos);
  CHECK(sarif.find(R"("ruleId":"E0101","ruleIndex":0,"level":"error")") != std::string::npos);
  CHECK(sarif.find(R"("artifactLocation":{"uri":"rules/a%20b.risk"})") != std::string::npos);
  CHECK(sarif.find(R"("replacements":[{"deletedRegion":{"startLine":2,"startColumn":10,"endLine":2,"endColumn":11},)"
                   R"("insertedContent":{"text":"=="}}])") != std::string::npos);
}

TEST_CASE("a percent sign and a new line do not end a GitHub command") {
  const SourceSet sources{{"a,b:c.risk", "x"}};
  Diagnostics diagnostics;
  diagnostics.warning(Code::never_true, {0, 0, 1}, "100%").hints.emplace_back("one\ntwo");
  CHECK(report(diagnostics, sources, ReportFormat::github, "", "1") ==
        "::warning file=a%2Cb%3Ac.risk,line=1,endLine=1,col=1,endColumn=2,title=W0502::100%25%0Ahint: one%0Atwo\n");
}

}  // namespace tocsin::dsl
