#include "engine/run/facts.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <tuple>

namespace tocsin::engine {
namespace {

const std::vector<LabelPlan> labels = {{"user", "m"}, {"device", "m"}};
const std::vector<std::string> lists = {"hot"};

Timestamp second(std::int64_t n) { return Timestamp{n * 1'000'000}; }

TEST_CASE("E3: a label holds in [put, until), of several the longest; kinds, lists and shadow rules are apart") {
  Facts facts;
  facts.bind(labels, lists);
  const event::Value u = event::Value::of_text("u1");
  CHECK_FALSE(facts.has_label(0, u, second(0), true));
  facts.put_label(0, u, second(60), false);
  facts.put_label(0, u, second(10), false);
  CHECK(facts.has_label(0, u, Timestamp{59'999'999}, false));
  CHECK_FALSE(facts.has_label(0, u, second(60), false));
  CHECK_FALSE(facts.has_label(1, u, second(0), true));
  CHECK_FALSE(facts.listed(0, u, second(0), true));
  facts.put_entry(0, u, Timestamp::max(), true);
  CHECK(facts.listed(0, u, second(1'000'000), true));
  CHECK_FALSE(facts.listed(0, u, second(0), false));
}

TEST_CASE("numbers change with the rules, what was put stays") {
  Facts facts;
  facts.bind(labels, lists);
  const event::Value u = event::Value::of_text("u1");
  facts.put_label(0, u, second(60), false);
  facts.bind({{"device", "other"}}, {});
  CHECK_FALSE(facts.has_label(0, u, second(0), false));
  facts.bind({{"device", "m"}, {"user", "m"}}, lists);
  CHECK(facts.has_label(1, u, second(0), false));
  CHECK_FALSE(facts.has_label(0, u, second(0), false));
}

TEST_CASE("facts against a plain list, through stores and sweeps") {
  CHECK(rc::check("what was put, until its end", [] {
    using Key = std::tuple<bool, std::uint32_t, std::string, bool>;  // list, number, value, shadow
    std::map<Key, std::int64_t> plain;
    std::map<std::string, std::string> store;
    Facts facts;
    facts.bind(labels, lists);
    std::int64_t now = 0;
    const int steps = *rc::gen::inRange(1, 300);
    for (int i = 0; i < steps; ++i) {
      now += *rc::gen::inRange(0, 4);
      const bool list = *rc::gen::arbitrary<bool>();
      const std::uint32_t number = list ? 0 : *rc::gen::inRange<std::uint32_t>(0, 2);
      const std::string text = "v" + std::to_string(*rc::gen::inRange(0, 5));
      const event::Value value = event::Value::of_text(text);
      const bool shadow = *rc::gen::arbitrary<bool>();
      const std::int64_t until = now + *rc::gen::inRange(1, 30);
      std::int64_t& end = plain[{list, number, text, shadow}];
      end = std::max(end, until);
      if (list) {
        facts.put_entry(number, value, second(until), shadow);
      } else {
        facts.put_label(number, value, second(until), shadow);
      }
      switch (*rc::gen::inRange(0, 6)) {
        case 0: facts.expire(second(now), true); break;
        case 1:
          for (auto& [key, bytes] : facts.take_changes()) {
            if (bytes) {
              store[key] = *bytes;
            } else {
              store.erase(key);
            }
          }
          if (*rc::gen::arbitrary<bool>()) {
            facts = Facts();
            for (const auto& [key, bytes] : store) RC_ASSERT(facts.restore(key, bytes).ok());
            facts.bind(labels, lists);
          }
          break;
        default: break;
      }
      for (const auto& [key, ends] : plain) {
        const auto& [is_list, n, name, of_shadow] = key;
        const auto holds = [&](bool shade) {
          const auto at = plain.find({is_list, n, name, shade});
          return at != plain.end() && now < at->second;
        };
        const event::Value v = event::Value::of_text(name);
        const auto asked = [&](bool with) {
          return is_list ? facts.listed(n, v, second(now), with) : facts.has_label(n, v, second(now), with);
        };
        RC_ASSERT(asked(false) == holds(false));
        RC_ASSERT(asked(true) == (holds(false) || holds(true)));
      }
    }
  }));
}

TEST_CASE("what has ended is forgotten, in the store too") {
  Facts facts;
  facts.bind(labels, lists);
  std::size_t stored = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = std::to_string(i);
    facts.put_label(0, event::Value::of_text(text), second(i + 10), false);
    facts.expire(second(i), true);
    for (const auto& [key, bytes] : facts.take_changes()) bytes ? ++stored : --stored;
  }
  CHECK(facts.size() < 2100);
  CHECK(stored < 2100);
}

TEST_CASE("bytes that are none are refused") {
  Facts facts;
  facts.bind(labels, lists);
  facts.put_label(0, event::Value::of_text("u1"), second(60), false);
  const auto changes = facts.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK(rc::check("restore survives anything", [&] {
    std::string key = changes[0].first;
    std::string bytes = *changes[0].second;
    std::string& hurt = *rc::gen::arbitrary<bool>() ? key : bytes;
    hurt[*rc::gen::inRange<std::size_t>(0, hurt.size())] = static_cast<char>(*rc::gen::inRange(0, 256));
    if (*rc::gen::inRange(0, 3) == 0) hurt.resize(*rc::gen::inRange<std::size_t>(0, hurt.size()));
    Facts other;
    (void)other.restore(key, bytes);
  }));
  Facts other;
  CHECK_FALSE(other.restore(changes[0].first, "").ok());
  CHECK(other.restore(changes[0].first, *changes[0].second).ok());
}

}  // namespace
}  // namespace tocsin::engine
