// Conditions across events that the matcher answers by itself mean what the same conditions mean when they are asked as guards.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "engine/compile/build.h"
#include "tests/engine/rules_of.h"
#include "tests/support/stream.h"

namespace tocsin::tests {
namespace {

constexpr const char* fields =
    " { key id : string  time at : time  user : user  s : string optional  v : decimal optional  n : int optional"
    "  k : enum(one, two) optional  m : money<USD> optional  i : ip optional  f : bool optional"
    "  t : time optional  d : duration optional}\n";

/// Each with the same said so that it is no comparison of two fields: `not` over the opposite, or `+ 0`.
struct Said {
  const char* name;
  const char* plainly;
  const char* otherwise;
  bool by_fronts;
};
constexpr Said said[] = {
    {"text", "within 1m { a as p then b as q where q.s == p.s }",
     "within 1m { a as p then b as q where not (q.s != p.s) }", true},
    {"turned", "within 1m { a as p then b as q where p.v < v }",
     "within 1m { a as p then b as q where not (p.v >= v) }", true},
    {"computed", "within 1m { a as p then b as q where q.w < p.v }",
     "within 1m { a as p then b as q where q.w + 0 < p.v }", true},
    {"kinds", "within 1m { a as p then b as q where q.n >= p.v and q.k == p.k and q.f == p.f }",
     "within 1m { a as p then b as q where q.n + 0 >= p.v and not (q.k != p.k) and not (q.f != p.f) }", true},
    {"money", "within 1m { a as p then b as q where q.m == p.m and q.i == p.i and q.t <= p.t }",
     "within 1m { a as p then b as q where not (q.m != p.m) and not (q.i != p.i) and not (q.t > p.t) }", true},
    {"differs", "within 1m { a as p then b as q where q.d != p.d }",
     "within 1m { a as p then b as q where not (q.d == p.d) }", true},
    {"chain", "within 40s { a as p then b as q where q.s == p.s then c as r where r.s == p.s and r.v > p.v }",
     "within 40s { a as p then b as q where not (q.s != p.s) then c as r where not (r.s != p.s) and not (r.v <= p.v) }",
     true},
    {"ended", "within 40s { a as p then b as q where q.s == p.s then c as r within 20s }",
     "within 40s { a as p then b as q where not (q.s != p.s) then c as r within 20s }", true},
    {"absent", "within 40s { a as p then b as q where q.v > p.v then no c for 10s }",
     "within 40s { a as p then b as q where not (q.v <= p.v) then no c for 10s }", true},
    {"other", "within 40s { a as p then b as q where q.s != p.s }",
     "within 40s { a as p then b as q where not (q.s == p.s) }", false},
    {"group",
     "within 40s { a as p then at least 2 b as g where g.v > p.v and g.s == p.s then c as r where r.s == p.s }",
     "within 40s { a as p then at least 2 b as g where not (g.v <= p.v) and not (g.s != p.s) then c as r "
     "where not (r.s != p.s) }",
     false},
    {"parts", "within 40s { a as p then all of { b as q where q.s == p.s; c as r where r.v > p.v } }",
     "within 40s { a as p then all of { b as q where not (q.s != p.s); c as r where not (r.v <= p.v) } }", false},
    {"between", "within 40s { a as p then no c as z where z.s == p.s then b as q where q.s == p.s }",
     "within 40s { a as p then no c as z where not (z.s != p.s) then b as q where not (q.s != p.s) }", false},
    {"first", "within 40s { a as p then first b as q where q.s == p.s }",
     "within 40s { a as p then first b as q where not (q.s != p.s) }", false},
};
constexpr Said said_in_when[] = {
    {"when_text", "within 1m { a as p then b as q } when q.s == p.s and p.v > 0",
     "within 1m { a as p then b as q } when not (q.s != p.s) and p.v > 0", true},
    {"when_order", "within 1m { a as p then b as q then c as r } when p.v < r.v",
     "within 1m { a as p then b as q then c as r } when not (p.v >= r.v)", true},
    {"when_more", "within 1m { a as p then b as q } when q.s == p.s or q.v > p.v",
     "within 1m { a as p then b as q } when not (q.s != p.s and not (q.v > p.v))", false},
};

std::string rule(const std::string& name, const char* sequence) {
  std::string text = "rule " + name + " per user { sequence ";
  text += sequence;
  const std::string places = text.find(" as r") != std::string::npos ? "{p.id} {r.id}" : "{p.id} {q.id}";
  return text + " because \"" + places + "\" }\n";
}

std::string rules() {
  std::string text = "entity user\n";
  for (const char* type : {"a", "b", "c"}) {
    text += std::string("event ") + type + fields;
    text += std::string("field w on ") + type + " = v + 0\n";
  }
  for (const auto& list : {std::span<const Said>(said), std::span<const Said>(said_in_when)}) {
    for (const Said& s : list) {
      text += rule(s.name, s.plainly);
      text += rule(std::string(s.name) + "_asked", s.otherwise);
    }
  }
  return text;
}

std::string random_line(int i, std::int64_t now) {
  std::string line = std::string(R"({"type":")") + *rc::gen::element('a', 'a', 'b', 'b', 'c') + R"(","id":"e)" +
                     std::to_string(i) + R"(","at":")" +
                     to_text(*parse_timestamp("2026-01-05T10:00:00Z") + Duration::seconds(now)) + R"(","user":"u1")";
  const auto field = [&](const char* name, std::initializer_list<const char*> values) {
    const auto which = *rc::gen::inRange<std::size_t>(0, values.size() + 1);
    if (which < values.size()) line += std::string(",\"") + name + "\":" + *(values.begin() + which);
  };
  field("s", {"\"k\"", "\"z\"", "\"k\"", "\"a text that is longer than sixteen bytes\"", "\"\""});
  field("v", {"1", "2", "3", "12345678901.000000001", "12345678901.000000002", "-3"});
  field("n", {"1", "2", "3", "99999999999"});
  field("k", {"\"one\"", "\"two\""});
  field("m", {R"({"amount":"1.5","currency":"USD"})", R"({"amount":"2","currency":"USD"})"});
  field("i", {"\"10.0.0.1\"", "\"10.0.0.2\"", "\"8000::\""});
  field("f", {"true", "false"});
  field("t", {"\"2026-01-05T10:00:00Z\"", "\"2026-01-05T10:00:01Z\""});
  field("d", {"\"1m\"", "\"2m\""});
  return line + "}";
}

}  // namespace

TEST_CASE("a comparison of two fields means the same whoever answers it") {
  const auto ruleset = rules_of(rules());
  for (const auto& list : {std::span<const Said>(said), std::span<const Said>(said_in_when)}) {
    for (const Said& s : list) {
      CAPTURE(s.name);
      const auto found = std::ranges::find_if(
          ruleset->patterns, [&](const engine::PatternPlan& p) { return ruleset->rules[p.rule].info.name == s.name; });
      REQUIRE(found != ruleset->patterns.end());
      CHECK(found->program.fronts.has_value() == s.by_fronts);
    }
  }
  std::set<std::string> matched;
  CHECK(rc::check("same matches", [&] {
    engine::EngineOptions options = Stream::complete();
    options.lateness = {*rc::gen::element(Duration{}, Duration::seconds(10))};
    Stream stream(ruleset, options, *rc::gen::element<std::size_t>(1, 16));
    std::int64_t now = 0;
    const int count = *rc::gen::inRange(1, 50);
    for (int i = 0; i < count; ++i) {
      now += *rc::gen::element<std::int64_t>(0, 1, 1, 5, 10, 20);
      const std::int64_t back = *rc::gen::weightedElement<std::int64_t>({{10, 0}, {2, 3}, {1, 15}});
      stream.send(random_line(i, std::max<std::int64_t>(0, now - back)));
    }
    stream.end();
    stream.advance(*parse_timestamp("2026-01-05T12:00:00Z"));
    stream.end();
    std::map<std::string, std::vector<std::string>> by_rule;
    for (const replay::Json& hit : stream.output().hits) {
      by_rule[hit["rule"].text].push_back(hit["at"].text + " " + hit["because"].text);
    }
    for (const auto& list : {std::span<const Said>(said), std::span<const Said>(said_in_when)}) {
      for (const Said& s : list) {
        if (!by_rule[s.name].empty()) matched.insert(s.name);
        if (by_rule[s.name] != by_rule[std::string(s.name) + "_asked"]) RC_FAIL(s.name);
      }
    }
  }));
  CHECK(matched.size() > 12);
}

TEST_CASE("how a condition is answered is shown") {
  const std::string text = engine::explain_programs(*rules_of(rules()));
  CHECK(text.find(": equality, hashed\n") != std::string::npos);
  CHECK(text.find(": monotone, front\n") != std::string::npos);
  CHECK(text.find(": difference, the newest two\n") != std::string::npos);
  CHECK(text.find(": needs search\n") != std::string::npos);
}

}  // namespace tocsin::tests
