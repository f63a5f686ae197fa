// Random typed expressions over random events: the compiled ones against the reference that walks the tree (tests/reference/evaluate.h),
// as a value of a rule and as its condition, which goes another way (rows of bits per field, constants folded).
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/engine/rules_of.h"
#include "tests/reference/evaluate.h"
#include "tests/support/stream.h"

using namespace tocsin;
using reference::Do;
using reference::Number;
using reference::Tree;
using reference::Value;
using reference::Whole;

namespace {

enum class Type { number, truth, text };

Tree node(Do what, std::vector<Tree> parts) {
  Tree t;
  t.what = what;
  t.parts = std::move(parts);
  return t;
}

Tree constant(Value value) {
  Tree t;
  t.value = std::move(value);
  return t;
}

Tree field(std::string name) {
  Tree t;
  t.what = Do::field;
  t.name = std::move(name);
  return t;
}

/// Numbers that make ties when they are rounded, and some that are far too large to be multiplied.
Value some_number(bool large) {
  static const std::vector<std::string> units = {"0",
                                                 "1",
                                                 "5",
                                                 "500000000",
                                                 "1000000000",
                                                 "1500000000",
                                                 "2500000000",
                                                 "3000000000",
                                                 "7000000000",
                                                 "333333333",
                                                 "10000000000000",
                                                 "123456789012345678",
                                                 "100000000000000000000000000000"};
  const auto at = *rc::gen::inRange<std::size_t>(0, large ? units.size() : units.size() - 1);
  Whole w = Whole::of_digits(units[at]);
  return Number{*rc::gen::inRange(0, 3) == 0 ? -w : w};
}

std::string some_text() {
  std::string text;
  for (int n = *rc::gen::inRange(0, 4); n > 0; --n) text += "ab*?"[*rc::gen::inRange(0, 4)];
  return text;
}

Tree some(Type type, int depth) {
  const auto pick = [](int n) { return *rc::gen::inRange(0, n); };
  if (depth == 0 || pick(6) == 0) {
    switch (type) {
      case Type::number: return pick(2) == 0 ? constant(some_number(true)) : field(pick(2) == 0 ? "n" : "m");
      case Type::truth: return pick(3) == 0 ? constant(pick(2) == 0) : field(pick(2) == 0 ? "b" : "c");
      case Type::text: return pick(2) == 0 ? constant(some_text()) : field(pick(2) == 0 ? "s" : "t");
    }
  }
  const auto below = [&](Type t) { return some(t, depth - 1); };
  const auto two = [&](Do what, Type t) { return node(what, {below(t), below(t)}); };
  switch (type) {
    case Type::number: {
      switch (pick(10)) {
        case 0: return node(Do::negate, {below(type)});
        case 1: return node(Do::abs, {below(type)});
        case 2: return node(Do::floor, {below(type)});
        case 3: return node(Do::length, {below(Type::text)});
        case 4: return two(Do::coalesce, type);
        default: {
          static const Do all[] = {Do::add, Do::subtract, Do::multiply, Do::divide, Do::remainder};
          return two(all[pick(5)], type);
        }
      }
    }
    case Type::text: return two(Do::coalesce, type);
    case Type::truth: {
      static const Do compare[] = {Do::equal, Do::not_equal, Do::less, Do::less_equal, Do::greater, Do::greater_equal};
      switch (pick(9)) {
        case 0: return node(Do::not_, {below(type)});
        case 1: return two(Do::and_, type);
        case 2: return two(Do::or_, type);
        case 3: return node(Do::is_missing, {below(static_cast<Type>(pick(3)))});
        case 4: {
          const Type of = pick(2) == 0 ? Type::number : Type::text;
          return node(Do::in, {below(of), below(of), below(of)});
        }
        case 5:
          return node(pick(2) == 0 ? Do::in_range : Do::in_half_open,
                      {below(Type::number), below(Type::number), below(Type::number)});
        case 6: {
          static const Do tests[] = {Do::contains, Do::starts_with, Do::ends_with};
          return two(tests[pick(3)], Type::text);
        }
        case 7: return node(Do::like, {below(Type::text), constant(some_text())});
        default: return two(compare[pick(6)], pick(2) == 0 ? Type::number : Type::text);
      }
    }
  }
  return constant(Value{});
}

std::string json_of(const Value& value) {
  return value.index() == 3 ? "\"" + std::get<std::string>(value) + "\"" : reference::shown(value);
}

}  // namespace

TEST_CASE("compiled expressions give what the reference gives, as values and as conditions") {
  rc::check("engine = reference", [] {
    std::vector<Tree> trees;
    std::string rules =
        "event e { key id : string  time at : time  n : decimal optional  m : decimal optional  b : bool optional  c : "
        "bool optional\n"
        "  s : string optional  t : string optional }\n";
    for (int i = 0; i < 4; ++i) {
      trees.push_back(some(i < 2 ? Type::truth : i == 2 ? Type::number : Type::text, 3));
      const std::string text = reference::written(trees.back());
      rules += "rule v" + std::to_string(i) + " on e { when true let x = " + text + " }\n";
      if (i < 2) rules += "rule w" + std::to_string(i) + " on e { when " + text + " }\n";
    }
    RC_LOG() << rules << "\n";
    const engine::Rules loaded = engine::rules_of_text("random.risk", rules);
    if (!loaded.ok()) RC_FAIL(loaded.messages());
    for (int event = 0; event < 5; ++event) {
      std::map<std::string, Value> values;
      std::string line = R"({"type":"e","id":"e1","at":"2026-01-05T10:00:00Z")";
      for (const char* name : {"n", "m", "b", "c", "s", "t"}) {
        if (*rc::gen::inRange(0, 4) == 0) continue;
        const char c = name[0];
        Value value = c == 'n' || c == 'm'   ? some_number(false)
                      : c == 'b' || c == 'c' ? Value(*rc::gen::inRange(0, 2) == 0)
                                             : Value(some_text());
        line += ",\"" + std::string(name) + "\":" + json_of(value);
        values[name] = std::move(value);
      }
      line += "}";
      RC_LOG() << line << "\n";
      tests::Stream stream(loaded.ruleset);
      stream.send(line);
      stream.end();
      std::map<std::string, std::string> got;
      for (const replay::Json& hit : stream.output().hits) {
        const replay::Json& x = hit["values"]["x"];
        got[hit["rule"].text] = x.kind == replay::Json::Kind::null ? "null" : x.text;
      }
      for (std::size_t i = 0; i < trees.size(); ++i) {
        const Value wanted = reference::evaluate(trees[i], values);
        const std::string name = std::to_string(i);
        RC_ASSERT(got["v" + name] == reference::shown(wanted));
        if (i < 2) RC_ASSERT(got.contains("w" + name) == (wanted.index() == 1 && std::get<bool>(wanted)));
      }
    }
  });
}
