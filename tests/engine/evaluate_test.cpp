// Random typed expressions over random events: the compiled ones against the reference that walks the tree (tests/reference/evaluate.h),
// as a value of a rule and as its condition, which goes another way (rows of bits per field, constants folded).
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/engine/rules_of.h"
#include "tests/reference/evaluate.h"
#include "tests/support/stream.h"

using namespace tocsin;
using reference::Do;
using reference::Moment;
using reference::Number;
using reference::Span;
using reference::Tree;
using reference::Value;
using reference::Whole;

namespace {

enum class Type { number, truth, text, span, moment };

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
  for (int n = *rc::gen::inRange(0, 4); n > 0; --n) text += "abA*? "[*rc::gen::inRange(0, 6)];
  return text;
}

/// Whole small numbers: how many characters, how many digits.
Tree some_count(int from, int to) {
  const int n = *rc::gen::inRange(from, to);
  return constant(Number{Whole(n) * Whole(1'000'000'000)});
}

Whole some_us() {
  static const std::vector<long long> all = {0, 1, 2, 3, 999'999, 1'000'000, 90'000'000, 3'600'000'000, 86'399'999'999};
  return Whole(all[*rc::gen::inRange<std::size_t>(0, all.size())]);
}

Tree some_literal() {
  static const std::vector<std::pair<std::string, long long>> all = {
      {"1ms", 1'000}, {"1s", 1'000'000}, {"90m", 5'400'000'000}, {"1h", 3'600'000'000}, {"7d", 604'800'000'000}};
  const auto& [text, us] = all[*rc::gen::inRange<std::size_t>(0, all.size())];
  Tree t = constant(Span{Whole(us)});
  t.name = text;
  return t;
}

Tree some(Type type, int depth) {
  const auto pick = [](int n) { return *rc::gen::inRange(0, n); };
  if (depth == 0 || pick(6) == 0) {
    switch (type) {
      case Type::number: return pick(2) == 0 ? constant(some_number(true)) : field(pick(2) == 0 ? "n" : "m");
      case Type::truth: return pick(3) == 0 ? constant(pick(2) == 0) : field(pick(2) == 0 ? "b" : "c");
      case Type::text: return pick(2) == 0 ? constant(some_text()) : field(pick(2) == 0 ? "s" : "t");
      case Type::span: return pick(2) == 0 ? some_literal() : field(pick(2) == 0 ? "d" : "e");
      case Type::moment: return field(pick(2) == 0 ? "p" : "q");
    }
  }
  const auto below = [&](Type t) { return some(t, depth - 1); };
  const auto two = [&](Do what, Type t) { return node(what, {below(t), below(t)}); };
  switch (type) {
    case Type::number: {
      switch (pick(16)) {
        case 10: return node(Do::ceil, {below(type)});
        case 11: return node(Do::round, {below(type)});
        case 12: return node(Do::round_to, {below(type), some_count(-3, 11)});
        case 13: return two(pick(2) == 0 ? Do::least : Do::greatest, type);
        case 14: return two(pick(2) == 0 ? Do::hours_between : Do::days_between, Type::moment);
        case 15: return two(Do::divide, Type::span);
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
    case Type::text: {
      switch (pick(6)) {
        case 0: return node(Do::left, {below(type), some_count(-1, 5)});
        case 1: return node(Do::right, {below(type), some_count(-1, 5)});
        case 2: return node(Do::trim, {below(type)});
        case 3: return node(Do::lower, {below(type)});
        case 4: return node(Do::upper, {below(type)});
        default: return two(Do::coalesce, type);
      }
    }
    case Type::span: {
      switch (pick(9)) {
        case 0: return two(Do::add, type);
        case 1: return two(Do::subtract, type);
        case 2: return two(Do::subtract, Type::moment);
        case 3: return node(Do::multiply, {below(type), below(Type::number)});
        case 4: return node(Do::multiply, {below(Type::number), below(type)});
        case 5: return node(Do::divide, {below(type), below(Type::number)});
        case 6: return node(pick(2) == 0 ? Do::negate : Do::abs, {below(type)});
        case 7: return two(pick(2) == 0 ? Do::least : Do::greatest, type);
        default: return two(Do::coalesce, type);
      }
    }
    case Type::moment: {
      switch (pick(4)) {
        case 0: return node(Do::add, {below(type), below(Type::span)});
        case 1: return node(Do::add, {below(Type::span), below(type)});
        case 2: return node(Do::subtract, {below(type), below(Type::span)});
        default: return two(Do::coalesce, type);
      }
    }
    case Type::truth: {
      static const Do compare[] = {Do::equal, Do::not_equal, Do::less, Do::less_equal, Do::greater, Do::greater_equal};
      switch (pick(9)) {
        case 0: return node(Do::not_, {below(type)});
        case 1: return two(Do::and_, type);
        case 2: return two(Do::or_, type);
        case 3: return node(Do::is_missing, {below(static_cast<Type>(pick(5)))});
        case 4: {
          const Type of = pick(2) == 0 ? Type::number : Type::text;
          return node(pick(2) == 0 ? Do::in : Do::not_in, {below(of), below(of), below(of)});
        }
        case 5:
          return node(pick(2) == 0 ? Do::in_range : Do::in_half_open,
                      {below(Type::number), below(Type::number), below(Type::number)});
        case 6: {
          static const Do tests[] = {Do::contains, Do::starts_with, Do::ends_with};
          return two(tests[pick(3)], Type::text);
        }
        case 7: {
          static const Do tests[] = {Do::like, Do::like_ignoring_case, Do::contains_ignoring_case,
                                     Do::starts_with_ignoring_case, Do::ends_with_ignoring_case};
          return node(tests[pick(5)], {below(Type::text), constant(some_text())});
        }
        default: {
          static const Type of[] = {Type::number, Type::text, Type::span, Type::moment};
          return two(compare[pick(6)], of[pick(4)]);
        }
      }
    }
  }
  return constant(Value{});
}

/// Seconds, and times from 2026 on.
constexpr long long epoch_us = 1'767'607'200'000'000;
std::string json_of(const Value& value) {
  const auto of_us = [](const Whole& us) { return reference::shown(Number{us * Whole(1'000)}); };
  if (const auto* span = std::get_if<Span>(&value)) return of_us(span->us);
  if (const auto* moment = std::get_if<Moment>(&value)) {
    return "\"" + to_text(Timestamp{std::stoll(moment->us.digits())}) + "\"";
  }
  return value.index() == 3 ? "\"" + std::get<std::string>(value) + "\"" : reference::shown(value);
}

}  // namespace

TEST_CASE("compiled expressions give what the reference gives, as values and as conditions") {
  CHECK(rc::check("engine = reference", [] {
    std::vector<Tree> trees;
    std::string rules =
        "event x { key id : string  time at : time  n : decimal optional  m : decimal optional  b : bool optional  c : "
        "bool optional\n"
        "  s : string optional  t : string optional  d : duration optional  e : duration optional\n"
        "  p : time optional  q : time optional }\n";
    for (int i = 0; i < 4; ++i) {
      trees.push_back(some(i < 2 ? Type::truth : i == 2 ? Type::number : Type::text, 3));
      const std::string text = reference::written(trees.back());
      rules += "rule v" + std::to_string(i) + " on x { when true let result = " + text + " }\n";
      if (i < 2) rules += "rule w" + std::to_string(i) + " on x { when " + text + " }\n";
    }
    RC_LOG() << rules << "\n";
    const engine::Rules loaded = engine::rules_of_text("random.risk", rules);
    if (!loaded.ok()) RC_FAIL(loaded.messages());
    for (int event = 0; event < 5; ++event) {
      std::map<std::string, Value> values;
      std::string line = R"({"type":"x","id":"e1","at":"2026-01-05T10:00:00Z")";
      for (const char* name : {"n", "m", "b", "c", "s", "t", "d", "e", "p", "q"}) {
        if (*rc::gen::inRange(0, 4) == 0) continue;
        const char c = name[0];
        Value value = c == 'n' || c == 'm'   ? some_number(false)
                      : c == 'b' || c == 'c' ? Value(*rc::gen::inRange(0, 2) == 0)
                      : c == 'd' || c == 'e' ? Value(Span{some_us()})
                      : c == 'p' || c == 'q' ? Value(Moment{Whole(epoch_us) + some_us()})
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
        const replay::Json& x = hit["values"]["result"];
        got[hit["rule"].text] = x.kind == replay::Json::Kind::null ? "null" : x.text;
      }
      for (std::size_t i = 0; i < trees.size(); ++i) {
        const Value wanted = reference::evaluate(trees[i], values);
        const std::string name = std::to_string(i);
        RC_ASSERT(got["v" + name] == reference::shown(wanted));
        if (i < 2) RC_ASSERT(got.contains("w" + name) == (wanted.index() == 1 && std::get<bool>(wanted)));
      }
    }
  }));
}
