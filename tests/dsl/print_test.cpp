#include "dsl/print.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <array>

#include "dsl/parse.h"

using namespace tocsin::dsl;
using namespace tocsin::dsl::ast;

namespace {

/// Builds an expression from a tape of bytes: each choice takes the next one, an empty tape chooses the smallest. So
/// any bytes are a tree, and shorter tapes are smaller trees.
class Tape {
 public:
  explicit Tape(const std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

  Expr expression(int depth = 0) {
    Expr e;
    const unsigned simple = 6;
    switch (take(depth > 5 ? simple : 24)) {
      case 0: return of(ExprKind::name, name());
      case 1: return of(ExprKind::number, std::to_string(take(255)));
      case 2: return of(ExprKind::string, string());
      case 3: return of(ExprKind::duration, "1h30m");
      case 4: return of(ExprKind::boolean, take(2) == 0 ? "true" : "false");
      case 5: return of(ExprKind::now, "now");
      case 6:
        e = of(ExprKind::number, "5000.25");
        e.currency = "USD";
        return e;
      case 7: return of(ExprKind::percent, "2.5");
      case 8: return of(ExprKind::member, name(), {expression(depth + 1)});
      case 9: return of(ExprKind::call, name(), several(depth, 0));
      case 10: return of(ExprKind::list, "", several(depth, 0));
      case 11:
        e = of(ExprKind::aggregate, "count");
        e.aggregate = std::make_shared<Aggregate>(aggregate(depth));
        e.text = e.aggregate->function.text;
        return e;
      case 12: return of(ExprKind::not_, "", {expression(depth + 1)});
      case 13: return of(ExprKind::and_, "", several(depth, 2));
      case 14: return of(ExprKind::or_, "", several(depth, 2));
      case 15:
        return of(ExprKind::compare, one_of({"==", "!=", "<", "<=", ">", ">="}),
                  {expression(depth + 1), expression(depth + 1)});
      case 16:
        e = of(ExprKind::in, "", {expression(depth + 1)});
        e.negated = take(2) == 1;
        switch (take(3)) {
          case 0: e.list = "trusted"; break;
          case 1: e.children.push_back(expression(depth + 1)); break;
          default:
            e.children.push_back(expression(depth + 1));
            e.children.push_back(expression(depth + 1));
            e.half_open = take(2) == 1;
        }
        return e;
      case 17:
        e = of(ExprKind::is_missing, "", {expression(depth + 1)});
        e.negated = take(2) == 1;
        return e;
      case 18:
        return of(ExprKind::string_test, one_of({"contains", "starts with", "ends with", "matches"}),
                  {expression(depth + 1), expression(depth + 1)});
      case 19: return of(ExprKind::has_label, string(), {expression(depth + 1)});
      case 20: {
        e = of(ExprKind::arithmetic, "", several(depth, 2));
        const bool sum = take(2) == 0;
        for (std::size_t i = 1; i < e.children.size(); ++i) {
          e.operators.push_back(sum ? one_of({"+", "-"}) : one_of({"*", "/", "%"}));
        }
        return e;
      }
      case 21: return of(ExprKind::negate, "", {expression(depth + 1)});
      case 22: return of(ExprKind::coalesce, "", {expression(depth + 1), expression(depth + 1)});
      default:
        switch (take(4)) {
          case 0: return of(ExprKind::money_as, "USD", {expression(depth + 1)});
          case 1: return of(ExprKind::feature_of, name(), {expression(depth + 1)});
          case 2: return of(ExprKind::any_rule_decides, "block");
          default: return of(ExprKind::any_rule_tagged, name());
        }
    }
  }

 private:
  unsigned take(unsigned count) {
    if (at_ == bytes_.size()) return 0;
    return bytes_[at_++] % count;
  }
  std::string one_of(const std::vector<std::string>& values) {
    return values[take(static_cast<unsigned>(values.size()))];
  }
  // Words that are keywords elsewhere are names here.
  std::string name() {
    return one_of({"amount", "low", "sum", "live", "first", "count", "label", "when", "rule", "per", "last", "from",
                   "x_1", "of"});
  }
  std::string string() {
    return one_of({"", "a b", "say \"x\"", "\\d+\\.", "two\nlines\tand\r", "ünï", "{n} of {m}", "# no comment"});
  }
  static Expr of(ExprKind kind, std::string text, std::vector<Expr> children = {}) {
    Expr e;
    e.kind = kind;
    e.text = std::move(text);
    e.children = std::move(children);
    return e;
  }
  std::vector<Expr> several(int depth, unsigned at_least) {
    std::vector<Expr> values;
    for (unsigned n = at_least + take(3); n > 0; --n) values.push_back(expression(depth + 1));
    return values;
  }
  EventName event() {
    EventName e;
    e.name.text = one_of({"login", "payment", "first"});
    e.is_hit = take(2) == 1;
    return e;
  }
  Aggregate aggregate(int depth) {
    Aggregate a;
    a.function.text = take(2) == 0 ? "count" : "sum";
    if (a.function.text == "sum") a.arguments = several(depth, 1);
    a.source.event = event();
    if (take(2) == 1) a.source.via = Name{"sender", {}};
    if (take(2) == 1) a.source.where = expression(depth + 1);
    a.keys.push_back({Name{"user", {}}, {}, false, {}});
    if (take(2) == 1) a.keys.push_back({Name{"subnet", {}}, several(depth, 1), true, {}});
    a.window.kind = static_cast<WindowKind>(take(5));
    a.window.length.text =
        a.window.kind == WindowKind::calendar || a.window.kind == WindowKind::since_last ? "" : "10m";
    if (a.window.kind == WindowKind::in_last) a.window.unsaid = take(2) == 1;
    if (a.window.kind == WindowKind::gap) a.window.gap.text = "72h";
    if (a.window.kind == WindowKind::calendar) {
      a.window.unit.text = "day";
      a.window.zone.text = "Europe/Berlin";
    }
    if (a.window.kind == WindowKind::since_last) a.window.since = event();
    return a;
  }

  const std::vector<std::uint8_t>& bytes_;
  std::size_t at_ = 0;
};

}  // namespace

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
