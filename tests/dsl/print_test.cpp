#include "dsl/print.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "dsl/parse.h"
#include "tests/dsl/tape.h"

using namespace tocsin::dsl;
using namespace tocsin::dsl::ast;

TEST_CASE("an expression printed and parsed is the same tree") {
  CHECK(rc::check("parse after print is the identity", [] {
    const auto tape = *rc::gen::resize(400, rc::gen::arbitrary<std::vector<std::uint8_t>>());
    const Expr made = Tape(tape).expression();
    RC_TAG(made.children.size() + (made.aggregate ? 1U : 0U));
    const SourceSet sources{{"p.risk", "param p = " + print(made) + "\n"}};
    Diagnostics diagnostics;
    const File file = parse(sources, 0, diagnostics);
    if (diagnostics.error_count() != 0) RC_FAIL(render(diagnostics, sources));
    RC_ASSERT(file.declarations.size() == 1U);
    RC_ASSERT(dump(file.declarations[0].param->value) == dump(made));
  }));
}

TEST_CASE("parentheses stand only where the tree needs them") {
  const SourceSet sources{
      {"p.risk", "param p = ((a) + (b * c)) * -(d) ?? (e as USD) >= 5_000 USD and (x or (not y))\n"}};
  Diagnostics diagnostics;
  const File file = parse(sources, 0, diagnostics);
  REQUIRE(file.declarations.size() == 1);
  CHECK(print(file) == "param p = (a + b * c) * -d ?? e as USD >= 5000 USD and (x or not y)\n");
}

TEST_CASE("the layout of the canonical text and of the dump") {
  const SourceSet sources{
      {"p.risk",
       "rule r per user{title \"x\" sequence within 1h{login as l where l.n>3 then first optional otp then no "
       "reset until logout} decide block if count(l)>3 else review}"}};
  Diagnostics diagnostics;
  const File file = parse(sources, 0, diagnostics);
  CHECK(render(diagnostics, sources).empty());
  CHECK(print(file) ==
        "rule r per user {\n"
        "  title \"x\"\n"
        "  sequence within 1h {\n"
        "    login as l where l.n > 3\n"
        "    then first optional otp\n"
        "    then no reset\n"
        "    until logout\n"
        "  }\n"
        "  decide block if count(l) > 3 else review\n"
        "}\n");
  CHECK(dump(file) ==
        "(rule r\n"
        "  (per\n"
        "    (key user))\n"
        "  (title \"x\")\n"
        "  (sequence\n"
        "    (within \"1h\")\n"
        "    (step\n"
        "      (event login)\n"
        "      (as \"l\")\n"
        "      (where\n"
        "        (compare \">\"\n"
        "          (member \"n\"\n"
        "            (name \"l\"))\n"
        "          (number \"3\"))))\n"
        "    (step first optional 1 1\n"
        "      (event otp))\n"
        "    (no\n"
        "      (event reset))\n"
        "    (until\n"
        "      (event logout)))\n"
        "  (decide \"block\"\n"
        "    (compare \">\"\n"
        "      (call \"count\"\n"
        "        (name \"l\"))\n"
        "      (number \"3\"))\n"
        "    (else \"review\")))\n");
}
