#include "dsl/check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "dsl/parse.h"

using namespace tocsin;
using namespace tocsin::dsl;

namespace {

// What most texts below are about. `v` and `dev` may be missing.
constexpr const char* world = R"(
entity user, device, account
event a { key id : string  time at : time  user : user  v : decimal optional  s : string optional  dev : device optional
          ip : ip optional  kind : enum(good, bad) optional  ok : bool optional  wait : duration optional  n : int optional }
event b { key id : string  time at : time  user : user  v : decimal optional  s : string optional  dev : device optional }
event pay { key id : string  time at : time  user : user  payer : account  payee : account  amount : money  fee : money<USD>
            state : enum(requested, settled) }
)";

struct Checked {
  SourceSet sources;
  Diagnostics diagnostics;
  std::optional<Rulebook> book;
};

Checked check_text(const std::string& text) {
  Checked out;
  out.sources.emplace_back("rules.risk", text);
  std::vector<ast::File> files;
  files.push_back(parse(out.sources, 0, out.diagnostics));
  out.book = check(out.sources, files, out.diagnostics);
  out.diagnostics.sort();
  return out;
}

Checked check_rules(const std::string& text) { return check_text(world + text); }

/// The codes of all messages, in the order of the text.
std::string codes(const Checked& checked) {
  std::string out;
  for (const Diagnostic& d : checked.diagnostics.all())
    out += (out.empty() ? "" : " ") + std::string(letter_of(d.code));
  return out;
}

std::string codes_of(const std::string& rules) { return codes(check_rules(rules)); }

/// The book of rules that must be right.
Rulebook book_of(const std::string& rules) {
  Checked checked = check_rules(rules);
  INFO(rules);
  INFO(render(checked.diagnostics, checked.sources));
  REQUIRE(checked.book);
  return std::move(*checked.book);
}

/// What the condition of rule `r` means.
std::string when_of(const std::string& rules) {
  const Rulebook book = book_of(rules);
  for (const Rule& rule : book.rules) {
    if (rule.name == "r" && rule.when) return meaning(*rule.when, book);
  }
  return "no condition";
}

std::string when_on_a(const std::string& condition) { return when_of("rule r on a { when " + condition + " }"); }
std::string refused_on_a(const std::string& condition) { return codes_of("rule r on a { when " + condition + " }"); }
std::string refused_on_pay(const std::string& condition) {
  return codes_of("rule r on pay { when " + condition + " }");
}

std::filesystem::path shared_folder() {
  const char* named = std::getenv("TOCSIN_SHARED");
  return named != nullptr ? std::filesystem::path(named) : std::filesystem::path(TOCSIN_SOURCE_DIR) / ".." / "shared";
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The text under `rules: |` of a worked case; empty when it has none.
std::string rules_of_case(const std::string& yaml) {
  std::istringstream lines(yaml);
  std::string line;
  std::string out;
  bool inside = false;
  while (std::getline(lines, line)) {
    if (line.starts_with("rules: |")) {
      inside = true;
    } else if (inside && !line.empty() && line[0] != ' ') {
      break;
    } else if (inside) {
      out += line.substr(std::min<std::size_t>(2, line.size())) + "\n";
    }
  }
  return out;
}

}  // namespace

// ---------------------------------------------------------------- whole texts

TEST_CASE("the shipped pack checks without an error") {
  const auto loaded = load({std::string(TOCSIN_SOURCE_DIR) + "/rules"});
  REQUIRE(loaded.ok());
  INFO(render(loaded.value().diagnostics, loaded.value().sources));
  REQUIRE(loaded.value().book);
  const Rulebook& book = *loaded.value().book;
  CHECK(book.rules.size() > 5);
  CHECK(std::is_sorted(book.rules.begin(), book.rules.end(),
                       [](const Rule& a, const Rule& b) { return a.name < b.name; }));
  // The print is a function of the text alone.
  const auto again = load({std::string(TOCSIN_SOURCE_DIR) + "/rules"});
  CHECK(dump(book) == dump(*again.value().book));
}

TEST_CASE("the day-one rules check") {
  const auto path = shared_folder() / "language" / "day_one.risk";
  if (!std::filesystem::exists(path)) {
    MESSAGE("skipped: the language folder is not here (TOCSIN_SHARED)");
    return;
  }
  const auto loaded = load({path.string()});
  REQUIRE(loaded.ok());
  for (const Diagnostic& d : loaded.value().diagnostics.all()) {
    INFO(render(d, loaded.value().sources));
    CHECK(d.severity == Severity::warning);
  }
}

TEST_CASE("worked cases: what must not load does not, the others do") {
  const auto folder = shared_folder() / "language" / "cases";
  if (!std::filesystem::exists(folder)) {
    MESSAGE("skipped: the worked cases are not here (TOCSIN_SHARED)");
    return;
  }
  const std::map<std::string, std::string> refused{
      {"circle-of-hits-refused", "E0423"}, {"last-no-without-for-refused", "E0415"},
      {"later-alias-refused", "E0419"},    {"middle-no-for-refused", "E0413"},
      {"optional-last-refused", "E0416"},  {"two-fields-of-one-kind-refused", "E0312"},
  };
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().stem().string();
    CAPTURE(name);
    const std::string rules = rules_of_case(read(entry.path()));
    REQUIRE(!rules.empty());
    const Checked checked = check_text(rules);
    INFO(render(checked.diagnostics, checked.sources));
    const auto expected = refused.find(name);
    if (expected != refused.end()) {
      ++seen;
      CHECK(!checked.book);
      CHECK(codes(checked) == expected->second);
      continue;
    }
    for (const Diagnostic& d : checked.diagnostics.all()) {
      CHECK(d.severity == Severity::warning);
    }
  }
  CHECK(seen == refused.size());
}

// ---------------------------------------------------------------- names

TEST_CASE("V4: opposite an enumeration a name is one of its values, else it is looked up") {
  CHECK(when_on_a("kind == bad") == "(== a.kind:enum(good, bad) \"bad\")");
  CHECK(when_on_a("bad == kind") == "(== \"bad\" a.kind:enum(good, bad))");
  CHECK(when_on_a("kind in [good, bad]") == "(in a.kind:enum(good, bad) \"good\" \"bad\")");
  CHECK(when_on_a("(kind ?? good) == bad") == "(== (?? a.kind:enum(good, bad) \"good\") \"bad\")");
  CHECK(when_of("rule r on a { when last(kind) from a per user in last 1h == bad }").ends_with("\"bad\")"));
  CHECK(
      when_of("rule r per user { sequence within 1h { at least 2 a as g } when some(g.kind == bad) and g.last.kind == "
              "good }") ==
      "(and (some #0 (== (member #0 a.kind:enum(good, bad)) \"bad\")) (== (last #0 a.kind:enum(good, bad)) \"good\"))");
  // A field named like a value: the value wins.
  CHECK(check_text("entity user\nevent e { key id : string  time at : time  user : user  what : enum(user, dev) }\n"
                   "rule r on e { when what == user }")
            .book);
  CHECK(refused_on_a("kind == ugly") == "E0213");
  CHECK(refused_on_a("kind == \"bad\"") == "E0211");
  CHECK(refused_on_a("kind > good") == "E0211");
}

TEST_CASE("V4: let, alias, key, field, feature, param; a name that hides another is refused") {
  CHECK(when_of("param p = 3 rule r on a { let q = v when q > p }") == "(> (let #0) 3)");
  CHECK(when_of("rule r on a as x { when x.v > 1 }") == "(> a.v:decimal 1)");
  CHECK(when_of("rule r per user { sequence within 1h { a as x then b } when x.v > 1 and user == \"u\" }") ==
        "(and (> (at #0 a.v:decimal) 1) (== (key #0) \"u\"))");
  CHECK(codes_of("rule r on a { let v = 1 when v > 0 }") == "E0205");
  CHECK(codes_of("param p = 1 rule r on a { let p = 1 when p > 0 }") == "E0205");
  CHECK(codes_of("feature p = count from a per user in last 1h rule r on a as p { when p.v > 0 }") == "E0205");
  CHECK(codes_of("rule r per user { sequence within 1h { a as user then b } }") == "E0205");
  // Clauses stand in any order.
  CHECK(when_of("rule r on a { let x = y + 1  let y = v  when x > 0 }") ==
        when_of("rule r on a { let y = v  let x = y + 1  when x > 0 }"));
  CHECK(codes_of("rule r on a { let x = y  let y = x  when x > 0 }") == "E0214");
}

TEST_CASE("one mistake makes one message, however often its result is used") {
  CHECK(codes_of("feature f = count from nowhere per user in last 1h rule r on a { when f > 1 and f < 5 }") == "E0202");
  CHECK(codes_of("stream s = a where vv > 1 rule r on s { let n = count from s per user in last 1h when n > 1 }") ==
        "E0201");
  CHECK(codes_of("rule r on a { let x = vv + 1  let y = x * 2  when y > x score y because \"{x}\" }") == "E0201");
  CHECK(
      codes_of("event c { key id : string  time at : time  w : nothing } rule r on c { when w > 1 and w == \"x\" }") ==
      "E0206");
  CHECK(codes_of("rule r per user { sequence within 1h { nothing as x then b as y where y.v > x.v } when x.v > 1 }") ==
        "E0202");
}

// ---------------------------------------------------------------- types

TEST_CASE("what may be compared") {
  CHECK(when_on_a("v > 1 and n > 1.5") == "(and (> a.v:decimal 1) (> a.n:int 1.5))");
  CHECK(when_on_a("at > \"1970-01-01T00:00:01Z\"") == "(> a.at:time 1000000us)");
  CHECK(when_on_a("ip == \"10.0.0.1\"") == "(== a.ip:ip \"10.0.0.1\")");
  CHECK(when_on_a("user == s and user == \"u\"") == "(and (== a.user:user a.s:string) (== a.user:user \"u\"))");
  CHECK(when_on_a("ip in [\"10.0.0.0/8\", \"10.0.0.1\"]") == "(in a.ip:ip \"10.0.0.1\" 0:281470849515520/104)");
  CHECK(when_on_a("n in 1 ..< 5") == "(in-range ..< a.n:int 1 5)");
  CHECK(when_on_a("n not in [1, 2] # accept W0520\n") == "(not (in a.n:int 1 2))");
  CHECK(when_on_a("s contains \"x\" and s starts with \"y\"") ==
        "(and (contains a.s:string \"x\") (starts-with a.s:string \"y\"))");
  CHECK(when_on_a("ok and s is not missing") == "(and a.ok:bool (not (is-missing a.s:string)))");
  CHECK(refused_on_a("user == dev") == "E0211");
  CHECK(refused_on_a("wait > 5") == "E0211");
  CHECK(refused_on_a("at > 5") == "E0211");
  CHECK(refused_on_a("at > wait") == "E0211");
  CHECK(refused_on_a("v == s") == "E0211");
  CHECK(refused_on_a("user > \"a\"") == "E0211");
  CHECK(refused_on_a("v") == "E0212");
  CHECK(refused_on_a("not v") == "E0212");
}

TEST_CASE("what may be calculated, and what it gives") {
  CHECK(when_on_a("v / 3 * 3 == 0.999999999") == "(== (* (/ a.v:decimal 3) 3) 0.999999999)");
  CHECK(when_on_a("at - at < 10m") == "(< (- a.at:time a.at:time) 600000000us)");
  CHECK(when_on_a("at - 1h < at + wait") == "(< (- a.at:time 3600000000us) (+ a.at:time a.wait:duration))");
  CHECK(when_on_a("wait * 2 < 1h and wait / 1h > 2") ==
        "(and (< (* a.wait:duration 2) 3600000000us) (> (/ a.wait:duration 3600000000us) 2))");
  CHECK(when_on_a("v > -2 * 3 + 1") == "(> a.v:decimal -5)");
  CHECK(when_on_a("v > 60%") == "(> a.v:decimal 0.6)");
  CHECK(when_on_a("abs(v) > 1 and hours_between(at, at) < 2") ==
        "(and (> (call abs a.v:decimal) 1) (< (call hours_between a.at:time a.at:time) 2))");
  CHECK(refused_on_a("v + wait > 1") == "E0211");
  CHECK(refused_on_a("at + at > at") == "E0211");
  CHECK(refused_on_a("at - 5 < at") == "E0211");
  CHECK(refused_on_a("user + 1 > 1") == "E0211");
  CHECK(refused_on_a("abs(user) > 1") == "E0210");
  CHECK(refused_on_a("sqrt(v) > 1") == "E0209");
}

TEST_CASE("money has a currency before it meets other money") {
  CHECK(when_of("rule r on pay { when amount as USD > 5 USD and fee > 1 USD }")
            .starts_with("(and (> (as USD pay.amount:money) "));
  CHECK(
      book_of(
          "rule r on pay { when 90% * fee < 5 USD and fee / 2 < 1 USD and fee / 2 USD > 1 and amount * 2 is missing }")
          .rules.size() == 1);
  CHECK(refused_on_pay("amount > 5 USD") == "E0225");
  CHECK(refused_on_pay("amount > amount") == "E0225");
  CHECK(refused_on_pay("fee > 5 EUR") == "E0226");
  CHECK(refused_on_pay("fee > 5") == "E0211");
  CHECK(refused_on_pay("fee * fee > 5 USD") == "E0211");
  CHECK(refused_on_pay("sum(amount) from pay per user in last 1h > 5 USD") == "E0225");
  CHECK(refused_on_pay("sum(fee) from pay per user in last 1h == 0") == "E0211");
  CHECK(refused_on_pay("sum(amount as USD) from pay per user in last 1h == 0 USD").empty());
}

// ---------------------------------------------------------------- keys, features, windows

TEST_CASE("W4: which field `per K` means") {
  CHECK(codes_of("rule r on pay { when count from pay per account in last 1h > 1 }") == "E0312");
  CHECK(codes_of("feature f = count from pay via payee per account in last 1h rule r on pay { when f > 1 }") ==
        "E0312");
  CHECK(codes_of("rule r on pay { when count from pay per device in last 1h > 1 }") == "E0301");
  const std::string inflow = "feature f = sum(amount as USD) from pay via payee per account in last 1h ";
  CHECK(when_of(inflow + "rule r on pay via payer { when f > 1 USD }").find("pay.payer:account) {") !=
        std::string::npos);
  CHECK(when_of(inflow + "stream out = pay via payer rule r on out { when f > 1 USD }").find("pay.payer:account) {") !=
        std::string::npos);
  CHECK(when_of(inflow + "stream out = pay via payer rule r on out via payee { when f > 1 USD }")
            .find("pay.payee:account) {") != std::string::npos);
  // A field that is no entity is found by its name, a derived one too, and never by its kind.
  CHECK(when_of("rule r on a { when count from a per kind in last 1h > 1 }").find("by a.kind") != std::string::npos);
  const std::string derived = "field friend on b = last(user) from a per dev in last 1h ";
  CHECK(when_of(derived + "rule r on b { when count from b per user in last 1h > 1 }").find("by b.user:user}") !=
        std::string::npos);
  CHECK(when_of(derived + "rule r on b { when count from b per friend in last 1h > 1 }").find("by b.friend:user=") !=
        std::string::npos);
  // Under two roles an event is judged once for each: the rule is there twice.
  const Rulebook both =
      book_of(inflow + "stream both = pay via payer, pay via payee rule r on both { when f > 1 USD }");
  REQUIRE(both.rules.size() == 2);
  CHECK(meaning(*both.rules[0].when, both).find("pay.payer:account) {") != std::string::npos);
  CHECK(meaning(*both.rules[1].when, both).find("pay.payee:account) {") != std::string::npos);
}

TEST_CASE("a feature is read with the keys of the event that asks") {
  const std::string seen = "feature seen = count from a per user in 1h before ";
  CHECK(when_of(seen + "rule r on b { when seen > 1 }").ends_with("before 3600000000us b.user:user) 1)"));
  CHECK(when_of(seen + "rule r on b { when seen of s > 1 }").ends_with("before 3600000000us b.s:string) 1)"));
  CHECK(when_of(seen + "rule r per user { sequence within 1h { a as p then b } when seen > 1 }")
            .ends_with("before 3600000000us b.user:user) 1)"));
  const Rulebook book = book_of(seen + "rule r per user { sequence within 1h { a as p where seen == 0 then b } }");
  CHECK(
      meaning(*book.rules[0].sequence->steps[0].parts[0].where, book).ends_with("before 3600000000us a.user:user) 0)"));
  CHECK(codes_of(seen + "rule r on b { when seen of dev > 1 }") == "E0211");
  CHECK(codes_of("feature pair = count from a per user, dev in last 1h rule r on b { when pair of user > 1 }") ==
        "E0316");
  // Fields of a feature's own are those of the event that asks.
  CHECK(when_of("feature part = v / (max(v) from a per user in last 1d) rule r on b { when part > 1 }")
            .starts_with("(> (/ b.v:decimal (aggregate max"));
  CHECK(codes_of("feature part = v / n rule r on b { when part > 1 }") == "E0201");
}

TEST_CASE("equal definitions are one aggregate, whatever their names") {
  const Rulebook book = book_of(
      "stream all = a feature f = count from a per user in last 1h feature g = count from all per user in last 60m\n"
      "rule r on a { when f > 1 and g > 1 and count from a per user in last 3600s > 1 } rule q on b { when f > 2 }");
  CHECK(book.aggregates.size() == 1);
}

TEST_CASE("inside an aggregate only the event counted is seen") {
  CHECK(codes_of("rule r on a as x { when count from b where v == x.v per user in last 1h > 1 }") == "E0315");
  CHECK(codes_of("rule r on a { let w = 1 when count from b where v == w per user in last 1h > 1 }") == "E0315");
  CHECK(codes_of("feature seen = count from a per user in 1h before rule r on a { when count from b where seen > 1 per "
                 "user in last 1h > 1 }")
            .empty());
}

TEST_CASE("streams are flattened to what an event must be") {
  const Rulebook book =
      book_of("stream s = a where v > 1, b  stream t = s where s == \"k\"  rule r on t { when v < 5 }");
  CHECK(meaning(*book.rules[0].on, book) ==
        "{a where (and (> a.v:decimal 1) (== a.s:string \"k\")) | b where (== b.s:string \"k\")}");
  // The same event in two parts of a union belongs once.
  const Rulebook once = book_of("stream s = a where v > 1, a where v < 0, a where ok  rule r on s { when v > 5 }");
  CHECK(meaning(*once.rules[0].on, once) == "{a where (or (> a.v:decimal 1) (< a.v:decimal 0) a.ok:bool)}");
}

TEST_CASE("definitions may stand in any order, but not in a circle") {
  CHECK(
      book_of(
          "rule r on late { when f > 1 } feature f = count from late per user in last 1h stream late = early where x\n"
          "stream early = a where v > 1 field x on a = v > w param w = 3")
          .derived.size() == 1);
  CHECK(codes_of("stream s = t stream t = s") == "E0214");
  CHECK(codes_of("field f on a = g field g on a = f") == "E0214");
  CHECK(codes_of("stream s = a where f > 1 field f on a = count from s per user in last 1h") == "E0214");
  CHECK(codes_of("feature f = g + 1 feature g = f + 1 rule r on a { when f > g }") == "E0214");
}

TEST_CASE("what a field needs is computed before it") {
  const Rulebook book = book_of("field last_of on a = first_of + 1 field first_of on a = v + 1");
  REQUIRE(book.derived.size() == 2);
  CHECK(book.schema.events[0].fields[book.derived[0].field].name == "first_of");
  CHECK(book.schema.events[0].fields[book.derived[1].field].derived);
  CHECK(book.schema.events[0].declared_count == 11);
}

// ---------------------------------------------------------------- sequences

TEST_CASE("a sequence is lowered step by step") {
  const Rulebook book = book_of(R"(
    rule r per user {
      sequence within 1h {
        no b for 5m
        then at least 2 consecutive a as g where g.v > 1
        then no b as x where x.s == g.last.s
        then first b as q where q.s in g.s within 10m
        then all of { a as c; optional b as d within 3m }
        then 2 to 3 a
        until b where v == 7
      }
      after match skip to last g
      pick earliest
    })");
  const Sequence& s = *book.rules[0].sequence;
  CHECK(s.within == Duration::hours(1));
  CHECK(s.pick == Pick::earliest);
  CHECK(s.after == AfterMatch::skip_to_last);
  CHECK(s.after_place == 0);
  CHECK(s.place_count == 5);
  REQUIRE(s.steps.size() == 4);
  CHECK(s.steps[0].kind == StepKind::group);
  CHECK(s.steps[0].min == 2);
  CHECK(s.steps[0].max == 0);
  CHECK(!s.steps[0].exact);
  CHECK(s.steps[0].consecutive);
  CHECK(s.steps[1].link == Link::first);
  CHECK(s.steps[1].within == Duration::minutes(10));
  CHECK(meaning(*s.steps[1].parts[0].where, book) == "(in-group b.s:string (values #0 a.s:string))");
  CHECK(s.steps[2].kind == StepKind::all_of);
  REQUIRE(s.steps[2].parts.size() == 2);
  CHECK(s.steps[2].parts[1].optional);
  CHECK(s.steps[2].parts[1].within == Duration::minutes(3));
  CHECK(s.steps[2].parts[1].place == 3);
  CHECK(s.steps[3].exact);
  CHECK(s.steps[3].max == 3);
  CHECK(s.steps[3].parts[0].alias == "a");
  REQUIRE(s.absences.size() == 2);
  CHECK(s.absences[0].before_step == 0);
  CHECK(s.absences[0].wait == Duration::minutes(5));
  CHECK(s.absences[1].before_step == 1);
  CHECK(meaning(*s.absences[1].test.where, book) == "(== b.s:string (last #0 a.s:string))");
  REQUIRE(s.until);
  CHECK(meaning(*s.until->where, book) == "(== b.v:decimal 7)");
  REQUIRE(book.rules[0].keys.size() == 1);
  CHECK(book.rules[0].keys[0].name == "user");
}

TEST_CASE("a second step of one stream is told apart by number") {
  const Rulebook book = book_of("rule r per user { sequence within 1h { a then a then b } }");
  CHECK(book.rules[0].sequence->steps[0].parts[0].alias == "a");
  CHECK(book.rules[0].sequence->steps[1].parts[0].alias == "a#2");
}

TEST_CASE("refused before load") {
  const auto sequence = [](const std::string& steps) {
    return codes_of("rule r per user { sequence within 1h { " + steps + " } }");
  };
  CHECK(sequence("a then no b") == "E0415");
  CHECK(sequence("no b then a") == "E0414");
  CHECK(sequence("a then no b for 5m then a") == "E0413");
  CHECK(sequence("no b for 5m") == "E0410");
  CHECK(sequence("a then optional b") == "E0416");
  CHECK(sequence("a as x within 5m then b") == "E0417");
  CHECK(sequence("all of { at least 2 a; b } then a") == "E0421");
  CHECK(sequence("any 3 of { a; b } then a") == "E0411");
  CHECK(sequence("consecutive a then b") == "E0412");
  CHECK(sequence("at least 0 a then b") == "E0411");
  CHECK(sequence("3 to 2 a then b") == "E0411");
  CHECK(sequence("a as x where x.s == y.s then b as y") == "E0419");
  CHECK(sequence("all of { a as x; b as y where y.s == x.s } then a") == "E0419");
  CHECK(sequence("at least 2 a as g then b as y where y.s == g.s") == "E0420");
  CHECK(sequence("a as x then b until b as y where y.s == x.s") == "E0201");
  CHECK(codes_of("rule r per user { sequence within 1h { a then b } after match skip to first x }") == "E0422");
  CHECK(codes_of("rule r per user { severity low }") == "E0401");
  CHECK(codes_of("rule r on a { pick every }") == "E0403");
  CHECK(codes_of("rule r on a { when v > 1 when v < 5 }") == "E0402");
  CHECK(codes_of("rule r on a { when v > 1 except e until \"soon\" when v > 2 }") == "E0425");
}

TEST_CASE("warned: nothing bounds what a sequence keeps") {
  CHECK(codes_of("rule r per user { sequence { a then b } }") == "W0503");
  CHECK(codes_of("rule r per user { sequence { at least 2 a } }") == "W0503");
  CHECK(codes_of("rule r per user { sequence { a then no b for 5m } }").empty());
  CHECK(codes_of("rule r per user { sequence { no b for 5m then a } }").empty());
  CHECK(codes_of("rule r per user { sequence { a then b within 5m } }").empty());
  CHECK(codes_of("rule r per user { sequence { at least 1 a as g } }").empty());
}

// ---------------------------------------------------------------- effects, policies, tests

TEST_CASE("texts are cut into words and values") {
  const Rulebook book = book_of(R"(rule r on a { because "{user} has \"{v + 1}\" \{v\}" })");
  const Rule& rule = book.rules[0];
  REQUIRE(rule.because.size() == 4);
  CHECK(meaning(*rule.because[0].value, book) == "a.user:user");
  CHECK(rule.because[1].literal == " has \"");
  CHECK(meaning(*rule.because[2].value, book) == "(+ a.v:decimal 1)");
  CHECK(rule.because[3].literal == "\" {v}");
}

TEST_CASE("alert once goes by the rule's keys, else by fields of the event") {
  const Rulebook book = book_of(
      "rule r per user { sequence within 1h { a then b as q } alert once per 10m by user, dev show q.v, q.v, user }");
  const Rule& rule = book.rules[0];
  REQUIRE(rule.alert_once);
  CHECK(rule.alert_once->per == Duration::minutes(10));
  CHECK(meaning(rule.alert_once->values[0], book) == "(key #0)");
  CHECK(meaning(rule.alert_once->values[1], book) == "b.dev:device");
  REQUIRE(rule.show.size() == 3);
  CHECK(rule.show[0].name == "v");
  CHECK(rule.show[1].name == "v#2");
  CHECK(rule.show[2].name == "user");
}

TEST_CASE("policies see the score and the rules, and decide an event once") {
  const Rulebook book = book_of(
      "rule r on a { tags t decide block }\n"
      "policy p on a { score sum max 100 block when any rule decides block or score >= 90 review when any rule tagged "
      "t fires and v > 1\n"
      "                allow otherwise limit block to 2% per 10m else review on error review }");
  REQUIRE(book.policies.size() == 1);
  const Policy& policy = book.policies[0];
  CHECK(policy.lines.size() == 3);
  CHECK(meaning(*policy.lines[0].when, book) == "(or (any-rule-decides block) (>= (score) 90))");
  CHECK(policy.limit->share == Decimal{20'000'000});
  CHECK(policy.on_error == Action::review);
  CHECK(codes_of("policy p on a { score sum allow otherwise } policy q on a { score sum allow otherwise }") == "E0426");
  CHECK(codes_of("policy p on a { score sum allow otherwise block when score > 1 }") == "E0426");
  CHECK(codes_of("rule r on a { when score > 1 }") == "E0201");
  CHECK(codes_of("rule r on a { decide block }") == "W0505");
  CHECK(codes_of("rule r on a { decide page }").empty());
}

TEST_CASE("samples build on samples, and what a test writes wins") {
  const Rulebook book = book_of(R"(
    sample one = a { user: "u1", v: 1.5, kind: good, wait: 5m, ip: "10.0.0.1", ok: true }
    sample two = one { v: -2 }
    rule r on a { when v > 1 }
    test "t" {
      at "2026-01-05T10:00:00Z"
      send +4m two { n: 3 } times 2 every 1m
      wait 10m
      expect no rule r
      expect decision allow
      expect alerts 0
    })");
  REQUIRE(book.tests.size() == 1);
  const TestStep& send = book.tests[0].steps[1];
  CHECK(send.kind == TestStep::Kind::send);
  CHECK(send.duration == Duration::minutes(4));
  CHECK(send.times == 2);
  CHECK(!send.key_given);
  CHECK(!send.time_given);
  REQUIRE(send.values.size() == 11);
  CHECK(send.values[0].is_missing());
  CHECK(send.values[2].text() == "u1");
  CHECK(to_text(send.values[3].number()) == "-2");
  CHECK(send.values[7].enumeration() == 0);
  CHECK(send.values[10].number() == Decimal::from_integer(3));
  CHECK(book.tests[0].steps[3].rule == 0);
}

TEST_CASE("lists hold what their type says, from the text and from files") {
  const Rulebook book = book_of(
      "list @n : set<cidr> = [\"10.0.0.0/8\"] list @m : set<ip> = [\"10.0.0.1\", \"10.1.0.0/16\"] list @u : set<user> "
      "= [\"u1\"]\n"
      "rule r on a { when ip in @n or ip in @m or user in @u }");
  CHECK(book.lists[0].networks.size() == 1);
  CHECK(book.lists[1].networks.size() == 1);
  CHECK(book.lists[1].entries.size() == 1);
  CHECK(codes_of("list @u : set<user> rule r on a { when dev in @u }") == "E0211");
  CHECK(codes_of("list @u : set<cidr> rule r on a { when v in @u }") == "E0211");

  const auto folder = std::filesystem::temp_directory_path() / "tocsin_check_test";
  std::filesystem::create_directories(folder / "lists");
  std::ofstream(folder / "lists" / "good.txt") << "# offices\n10.0.0.0/8   # head\n\n10.9.0.0/16\n";
  std::ofstream(folder / "lists" / "bad.txt") << "10.0.0.0/8\n10.0.0.0/99\nhere\n";
  std::ofstream(folder / "rules.risk") << "list @g : set<cidr> from \"lists/good.txt\"\n";
  const auto good = load({folder.string()});
  REQUIRE(good.ok());
  REQUIRE(good.value().book);
  CHECK(good.value().book->lists[0].networks.size() == 2);
  std::ofstream(folder / "rules.risk")
      << "list @b : set<cidr> from \"lists/bad.txt\"\nlist @c : set<cidr> from \"lists/none.txt\"\n";
  const auto bad = load({folder.string()});
  REQUIRE(bad.ok());
  CHECK(!bad.value().book);
  const std::string text = render(bad.value().diagnostics, bad.value().sources);
  CHECK(text.find("lists/bad.txt:2: \"10.0.0.0/99\" is not a network") != std::string::npos);
  CHECK(text.find("lists/bad.txt:3: \"here\" is not a network") != std::string::npos);
  CHECK(text.find("lists/none.txt") != std::string::npos);
  std::filesystem::remove_all(folder);
}

// ---------------------------------------------------------------- what it means

TEST_CASE("the meaning of a rule leaves out what only people read") {
  const auto meaning_of = [](const std::string& rules) {
    const Rulebook book = book_of(rules);
    return meaning(book.rules[0], book);
  };
  const std::string plain =
      meaning_of("rule r per user { sequence within 1h { a as p then b as q where q.s == p.s } when p.v > 1 }");
  CHECK(plain ==
        meaning_of("rule r per user { title \"T\" severity high tags x owner \"o\" because \"{user}\"\n"
                   "sequence within 60m { a as first_one then b where s == first_one.s } when first_one.v > 1 }"));
  CHECK(plain !=
        meaning_of("rule r per user { sequence within 1h { a as p then b as q where q.s == p.s } when p.v > 2 }"));
  const std::string list = "rule r on a { when user in @u }";
  // What is in a list or a table is data: a rule stays what it is while that changes.
  CHECK(meaning_of("list @u : set<user> = [\"u1\"] " + list) == meaning_of("list @u : set<user> = [\"u2\"] " + list));
  const std::string field = " rule r on a { when f > 1 }";
  CHECK(meaning_of("field f on a = v + 1" + field) != meaning_of("field f on a = v + 2" + field));
}

// ---------------------------------------------------------------- bad texts

TEST_CASE("one run says all, and not twice: what a mistake of writing took away is not called unknown") {
  const auto folder = std::filesystem::temp_directory_path() / "tocsin_check_all_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "a.risk")
      << world << "stream lost = a where v > 1 and or\nrule r on a { when user == dev and nobody > 3 }\n";
  std::ofstream(folder / "b.risk")
      << "rule s on lost { when v > 3 }\nrule t on b { when v = 3 let w = }\nrule u on b { when w > 3 }\n";
  const auto loaded = load({folder.string()});
  REQUIRE(loaded.ok());
  INFO(render(loaded.value().diagnostics, loaded.value().sources));
  std::map<std::string, int> found;
  for (const Diagnostic& d : loaded.value().diagnostics.all()) ++found[std::string(letter_of(d.code))];
  CHECK(found["E0211"] == 1);  // user against device
  CHECK(found["E0201"] == 2);  // nobody, and w of rule u
  CHECK(found["E0202"] == 0);  // the stream is there, it only does not read
  CHECK(found["E0101"] == 1);
  CHECK(!loaded.value().book);
  std::filesystem::remove_all(folder);
}

TEST_CASE("definitions that grow without bound are refused, not followed") {
  std::string doubling = "feature f0 = count from a per user in last 1h\n";
  for (int i = 1; i <= 40; ++i) {
    const std::string before = "f" + std::to_string(i - 1);
    doubling += "feature f" + std::to_string(i) + " = " + before + " + " + before + "\n";
  }
  CHECK(codes_of(doubling + "rule r on a { when f40 > 1 }") == "E0104");
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "param p" + std::to_string(i) + " = p" + std::to_string(i + 1) + " + 1\n";
  CHECK(codes_of(deep + "param p2000 = 1").find("E0103") != std::string::npos);
  std::string fields = "field f0 on a = v\n";
  for (int i = 1; i <= 60; ++i) {
    const std::string before = "f" + std::to_string(i - 1);
    fields += "field f" + std::to_string(i) + " on a = " + before + " + " + before + "\n";
  }
  const Rulebook book =
      book_of(fields + "rule r on a { when f60 > 1 and count from a where f60 > 2 per user in last 1h > 1 }");
  CHECK(dump(book).size() < 100'000);
  std::string nested = "v";
  for (int i = 0; i < 90; ++i) nested = "(" + nested + " + 1)";
  CHECK(refused_on_a(nested + " > 1").empty());
}
