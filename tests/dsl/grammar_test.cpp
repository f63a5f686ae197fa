#include "dsl/parse.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "dsl/print.h"

using namespace tocsin::dsl;
using namespace tocsin::dsl::ast;

namespace {

struct Parsed {
  SourceSet sources;
  Diagnostics diagnostics;
  File file;
  explicit Parsed(std::string text) : sources{{"r.risk", std::move(text)}}, file(parse(sources, 0, diagnostics)) {}

  [[nodiscard]] std::string messages() const { return render(diagnostics, sources); }
  [[nodiscard]] std::vector<Code> codes() const {
    std::vector<Code> codes;
    for (const auto& d : diagnostics.all()) codes.push_back(d.code);
    return codes;
  }
  [[nodiscard]] std::string_view at(Span span) const {
    return sources[0].text().substr(span.begin, span.end - span.begin);
  }
};

Parsed when(const std::string& condition) {
  return Parsed("rule r on login {\n  when " + condition + "\n  decide block\n}\n");
}

const Expr& condition_of(const Parsed& parsed) {
  REQUIRE_MESSAGE(parsed.diagnostics.all().empty(), parsed.messages());
  REQUIRE(parsed.file.declarations.size() == 1);
  return *parsed.file.declarations[0].rule->clauses.at(0).value;
}

/// The language's own examples lie beside the project and are not part of it.
std::optional<std::filesystem::path> shared(const std::string& name) {
  const char* given = std::getenv("TOCSIN_SHARED");
  const std::filesystem::path root = given ? given : TOCSIN_SOURCE_DIR "/../shared";
  std::error_code error;
  if (std::filesystem::exists(root / name, error)) return root / name;
  MESSAGE("skipped: there is no ", (root / name).string(), "; name the folder by TOCSIN_SHARED");
  return std::nullopt;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The text of `rules: |` of a case: the lines that stand deeper.
std::string rules_of_case(const std::string& yaml) {
  std::string rules;
  bool inside = false;
  for (std::size_t at = 0; at < yaml.size();) {
    const auto end = std::min(yaml.find('\n', at), yaml.size());
    const std::string line = yaml.substr(at, end - at);
    at = end + 1;
    if (inside && !line.empty() && line[0] != ' ') break;
    if (inside) rules += line + '\n';
    if (line.starts_with("rules: |")) inside = true;
  }
  return rules;
}

void check_identity(const std::string& text) {
  const Parsed parsed(text);
  CHECK_MESSAGE(parsed.diagnostics.all().empty(), parsed.messages());
  const Parsed again(print(parsed.file));
  CHECK_MESSAGE(again.diagnostics.all().empty(), again.messages());
  CHECK(dump(again.file) == dump(parsed.file));
  CHECK(print(again.file) == print(parsed.file));
}

}  // namespace

TEST_CASE("the 25 rules of day one parse, and their print is the same tree") {
  const auto path = shared("language/day_one.risk");
  if (!path) return;
  const std::string text = text_of(*path);
  check_identity(text);
  const Parsed parsed(text);
  const auto& all = parsed.file.declarations;
  CHECK(std::count_if(all.begin(), all.end(), [](const Decl& d) { return d.kind == Decl::Kind::rule; }) == 30);
  CHECK(std::count_if(all.begin(), all.end(), [](const Decl& d) { return d.kind == Decl::Kind::test; }) == 4);
}

TEST_CASE("the rules of every case of the language parse, and their print is the same tree") {
  const auto path = shared("language/cases");
  if (!path) return;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*path)) {
    const std::string rules = rules_of_case(text_of(entry.path()));
    CAPTURE(entry.path().filename().string());
    CHECK(!rules.empty());
    check_identity(rules);
    ++count;
  }
  CHECK(count > 50);
}

TEST_CASE("everything the language can say") {
  check_identity(R"(
entity user, device
event login { key id : string  time at : time  seq n : int  user : user  ip : ip optional mask net24  optional : string  mask : int
              state : enum(ok, failed)  amount : money<USD>  list : set<ip> }
list @a : set<ip>
list @b : set<ip> for 1h30m = ["10.0.0.1", "10.0.0.2"] from "lists/b.txt"
list @c : set<money<USD>> = []
table t keyed by user, device { opened : time  segment : string optional } from "t.csv"
param p = 5_000.50 USD
switch s = on
stream x = login where a == 1, otp via sender where b, hit.r
field f on hit.r = count from x per user in 10m before
feature g = percentile(95, amount as USD) from x where y per subnet(ip, 24), user in 30d ending 1h before approximate 2%
feature h = count from x per user in calendar day "Europe/Berlin"
feature i = max(n) from x per user since last hit.r
rule r on hit.q via sender as h {
  title "t" severity low tags a, b owner "o" runbook "r" mode live switch s rollout 10% of user
  let n = g of h.user ?? 0
  when not (a and b) and c contains "x" and d starts with "y" and e ends with "z" and f matches "\d+"
  except known until "2027-01-31" when u in @a
  decide challenge if n > 3 else review
  score 10 * n - 3 % 2
  label h.user "bad" for 7d
  add h.ip to @a for 1h
  alert once per 1h by user, subnet(ip, 24)
  suppressed by q same user hold 2m
  resolve on login via user where ok
  because "{n} times"
  show a, b.c, count(d)
}
)");
}

TEST_CASE("sequences, strategies, policies and tests") {
  check_identity(R"(
rule s per user {
  sequence within 48h {
    no otp via a as b where c for 5m
    then at least 3 consecutive login via d as l where l.n > 3 within 5m
    then first exactly 2 otp
    then next 2 to 5 payment
    then optional logout
    then all of { a as x; b as y where z }
    then any 2 of { a; b; c }
    then no reset
    until rollback as r where r.ok
  }
  pick nearest
  after match skip past last
}
rule a per user { sequence { a } pick every after match restart }
rule b per user { sequence { a } after match continue }
rule c per user { sequence { a } after match keep all }
rule d per user { sequence { a } after match skip to next }
rule e per user { sequence { a as x } after match skip to first x }
rule f per user { sequence { a as x } after match skip to last x }
policy p on hit.r {
  score max
  block when any rule decides block or any rule tagged fraud fires
  limit block to 2.5% per 10m else review
}
policy q on login { score sum max 100 allow otherwise on error review }
sample base = login { user: "u1", amount: -5 USD, at: now }
test "t" {
  at "2026-01-05T10:00:00Z"
  given @a has "x", 5
  given table t { user: "u", n: 3 }
  given user "u1" has label "bad"
  send base {}
  send +1h30m hit.r { a: [1, 2] } times 3 every 1m
  wait 10m
  expect no rule r
  expect rule r
  expect rule r with 3 events
  expect decision block
  expect alerts 2
}
)");
}

TEST_CASE("places cover what they name, without white space") {
  const Parsed parsed = when("  count from login  where ok per user in 10m   >= (5 + 3)  # many");
  const Expr& all = condition_of(parsed);
  CHECK(parsed.at(all.span) == "count from login  where ok per user in 10m   >= (5 + 3)");
  CHECK(parsed.at(all.text_span) == ">=");
  CHECK(parsed.at(all.children[1].span) == "(5 + 3)");
  const Aggregate& aggregate = *all.children[0].aggregate;
  CHECK(parsed.at(aggregate.source.span) == "login  where ok");
  CHECK(parsed.at(aggregate.window.span) == "in 10m");
  CHECK(aggregate.window.unsaid);
  CHECK(parsed.at(aggregate.keys[0].span) == "user");
  const Clause& clause = parsed.file.declarations[0].rule->clauses[0];
  CHECK(parsed.at(clause.word) == "when");
  CHECK(parsed.at(clause.span).ends_with("(5 + 3)"));
  CHECK(parsed.at(parsed.file.declarations[0].span).ends_with("}"));
}

TEST_CASE("chains of one precedence are flat, others nest") {
  const Parsed parsed = when("a - b + c * d / e == -f ?? g and h and not i and k");
  const Expr& all = condition_of(parsed);
  CHECK(all.kind == ExprKind::and_);
  CHECK(all.children.size() == 4);
  const Expr& sum = all.children[0].children[0];
  CHECK(sum.kind == ExprKind::arithmetic);
  CHECK(sum.operators == std::vector<std::string>{"-", "+"});
  CHECK(sum.children[2].operators == std::vector<std::string>{"*", "/"});
  CHECK(all.children[0].children[1].kind == ExprKind::negate);
  CHECK(all.children[0].children[1].children[0].kind == ExprKind::coalesce);
}

TEST_CASE("words are keywords only where they are expected") {
  const Parsed parsed(
      "event first { key key : string  time time : time  low : int  sum : int optional  optional : int  label : string "
      "}\n"
      "rule live on first as last {\n"
      "  let when = low + sum + label + count\n"
      "  when score == block and from == to and per in critical\n"
      "  label last.label \"title\"\n"
      "}\n");
  CHECK_MESSAGE(parsed.diagnostics.all().empty(), parsed.messages());
  CHECK(parsed.file.declarations.size() == 2);
  const auto& fields = parsed.file.declarations[0].event->fields;
  CHECK(fields.size() == 6);
  CHECK(fields[0].role == FieldRole::key);
  CHECK(fields[0].name.text == "key");
  CHECK(fields[3].optional);
  CHECK(fields[4].name.text == "optional");
}

TEST_CASE("texts keep what they mean: escapes, regular expressions, comment signs") {
  const Parsed parsed = when(R"(a matches "\d+\.\\\"\n#" and b == "ü")");
  CHECK(condition_of(parsed).children[0].children[1].text == "\\d+\\.\\\"\n#");
  CHECK(condition_of(parsed).children[1].children[1].text == "ü");
}

TEST_CASE("CRLF, tabs, comments, a byte order mark and blanks that do not break are white space") {
  const Parsed parsed(
      "\xEF\xBB\xBF# rules\r\nrule r on login {\r\n\twhen\xC2\xA0n > 3 # many\r\n\tdecide block\r\n}\r\n# end");
  CHECK_MESSAGE(parsed.diagnostics.all().empty(), parsed.messages());
  CHECK(parsed.file.declarations.size() == 1);
}

TEST_CASE("a file that is not UTF-8 is refused at the byte that breaks it, and not read") {
  for (const std::string& bad :
       std::vector<std::string>{"\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    const Parsed parsed("rule r on login { when a == 1 }\n# ü " + bad + "\n");
    REQUIRE(parsed.codes() == std::vector<Code>{Code::bad_text_encoding});
    CHECK(parsed.diagnostics.all()[0].span.begin == 37);
    CHECK(parsed.file.declarations.empty());
  }
}

TEST_CASE("a hundred levels are read, one more is refused, however they are written") {
  const auto times = [](int n, const std::string& text) {
    std::string out;
    for (int i = 0; i < n; ++i) out += text;
    return out;
  };
  for (const auto& [open, close] :
       std::vector<std::pair<std::string, std::string>>{{"(", ")"},
                                                        {"[", "]"},
                                                        {"f(", ")"},
                                                        {"not ", ""},
                                                        {"-", ""},
                                                        {"count from x where ", " per u in last 1m"}}) {
    CAPTURE(open);
    CHECK(when(times(100, open) + "a" + times(100, close)).diagnostics.all().empty());
    CHECK(when(times(101, open) + "a" + times(101, close)).codes() == std::vector<Code>{Code::nesting_too_deep});
    CHECK(when(times(100'000, open) + "a" + times(100'000, close)).codes() ==
          std::vector<Code>{Code::nesting_too_deep});
  }
  CHECK(when("a" + times(99, ".b")).diagnostics.all().empty());
  CHECK(when("a" + times(100'000, ".b")).codes() == std::vector<Code>{Code::nesting_too_deep});
}

TEST_CASE("a thousand parts of a chain are read, more are refused") {
  for (const std::string& operation : std::vector<std::string>{" + ", " * ", " and "}) {
    std::string chain = "a";
    for (int i = 1; i < 1000; ++i) chain += operation + "a";
    CHECK(when(chain).diagnostics.all().empty());
    CHECK(when(chain + operation + "a").codes() == std::vector<Code>{Code::chain_too_long});
    for (int i = 0; i < 7; ++i) chain += operation + chain;
    CHECK(when(chain).codes() == std::vector<Code>{Code::chain_too_long});
  }
}

TEST_CASE("what is no rule text gives messages, few of them, and ends") {
  const std::size_t size = 200'000;
  const std::vector<std::string> texts{std::string(1'000'000, '+'),
                                       "param p = " + std::string(1'000'000, '('),
                                       std::string(size, '}'),
                                       std::string(size, '"'),
                                       std::string(size, '\0'),
                                       "rule r on x " + std::string(size, '{'),
                                       "rule r on x { when a" + std::string(size, '+'),
                                       std::string(size, 'a'),
                                       "param p = " + std::string(size, '9') + "x",
                                       "list @" + std::string(size, '@')};
  for (const std::string& text : texts) {
    const Parsed parsed(text);
    CHECK(!parsed.diagnostics.all().empty());
    CHECK(parsed.diagnostics.all().size() < 5);
    CHECK(parsed.messages().size() < 5000);
  }
  std::string junk;
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    junk += static_cast<char>((state >> 33) % 128);
  }
  CHECK(!Parsed(junk).diagnostics.all().empty());
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += "rule x\n";
  CHECK(Parsed(lines).diagnostics.all().size() == 1001);
}

TEST_CASE("every mistake has its message, and what is right is read") {
  const Parsed parsed(
      "entity user\n"
      "param p =\n"
      "stream s = login wher x\n"
      "param q = 5\n"
      "rule a on login {\n"
      "  title \"not closed\n"
      "  when n >\n"
      "  decide blok\n"
      "  severity high\n"
      "}\n"
      "rul b on login { when x }\n"
      "rule c on login { when x decide block }\n"
      "test \"t\" {\n"
      "  sned login {}\n"
      "  wait 5\n"
      "  expect rule c\n"
      "}\n");
  std::vector<std::uint32_t> lines;
  for (const auto& d : parsed.diagnostics.all()) lines.push_back(parsed.sources[0].place_of(d.span.begin).line);
  CHECK(lines == std::vector<std::uint32_t>{2, 3, 6, 7, 8, 11, 14, 15});
  std::vector<Decl::Kind> kinds;
  for (const auto& d : parsed.file.declarations) kinds.push_back(d.kind);
  using Kind = Decl::Kind;
  CHECK(kinds == std::vector<Kind>{Kind::entity, Kind::param, Kind::rule, Kind::rule, Kind::test});
  CHECK(parsed.file.declarations[2].rule->clauses.size() == 1);
  CHECK(parsed.file.declarations[4].test->steps.size() == 1);
}

TEST_CASE("a chain that ends in an operator is one mistake, whatever stands before it") {
  for (const std::string& chain :
       std::vector<std::string>{"a <", "1 < 3 <", "a < b < c <", "a and", "a and b or", "a or b and c and", "a +",
                                "a + b -", "a * b /", "1 < 50g", "a < 2 < 50g", "a and b or 5g"}) {
    CAPTURE(chain);
    const Parsed parsed = when(chain);
    const auto codes = parsed.codes();
    CHECK(std::count_if(codes.begin(), codes.end(),
                        [](Code c) { return c == Code::syntax || c == Code::bad_literal; }) == 1);
  }
}

TEST_CASE("mistakes with one clear meaning are reported and read as that") {
  const Parsed parsed = when("a = 1 && b <> 2 and !c and d => 'x' and FooBar == 1");
  CHECK(parsed.diagnostics.all().size() == 7);
  REQUIRE(parsed.file.declarations.size() == 1);
  const Clause& clause = parsed.file.declarations[0].rule->clauses.at(0);
  CHECK(print(*clause.value) == "a == 1 and b != 2 and not c and d >= \"x\" and foo_bar == 1");
}
