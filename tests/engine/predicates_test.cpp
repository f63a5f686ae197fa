// The rows of bits against the plain question: every predicate of a random table, asked both ways of random events.
#include "engine/run/predicates.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/engine/rules_of.h"

namespace tocsin::tests {
namespace {

class Count final : public engine::UnknownSink {
 public:
  void unknown(nfa::PredicateId predicate, engine::CodeId, const engine::Context&) override {
    ids.push_back(static_cast<std::uint32_t>(predicate));
  }
  std::vector<std::uint32_t> ids;
};

std::string condition() {
  static const char* const all[] = {"n > 3",
                                    "n <= 7 USD2",
                                    "m as USD >= 5 USD",
                                    "m as USD < 8 USD",
                                    "kind == red",
                                    "kind in [red, blue]",
                                    "not kind == green",
                                    "s == \"k\"",
                                    "s != \"k\"",
                                    "s in [\"k\", \"z\"]",
                                    "flag",
                                    "not flag",
                                    "n in 2 ..< 5",
                                    "n in 2 .. 5",
                                    "n != 4",
                                    "n * 2 > 9",
                                    "who == \"u1\"",
                                    "s contains \"k\"",
                                    "n is missing",
                                    "d > 5m",
                                    "n > 3 or flag",
                                    "5 < n"};
  std::string text = all[*rc::gen::inRange<std::size_t>(0, std::size(all))];
  if (text == "n <= 7 USD2") text = "n <= 7";
  return text;
}

TEST_CASE("rows of bits answer as the conditions do") {
  CHECK(rc::check("table = one by one", [] {
    std::string text =
        "entity user\nevent e { key id : string  time at : time  who : user optional  n : decimal optional\n"
        "  m : money optional  kind : enum(red, green, blue) optional  s : string optional  flag : bool optional\n"
        "  d : duration optional }\n"
        "event f { key id : string  time at : time  n : int }\n";
    // Their predicates come first, so that those of `e` do not begin with a word.
    for (int others = *rc::gen::inRange(0, 80); others > 0; --others)
      text += "rule o" + std::to_string(others) + " on f { when n > " + std::to_string(others) + " }\n";
    const int rules = *rc::gen::inRange(1, 80);
    for (int r = 0; r < rules; ++r) {
      text += "rule r" + std::to_string(r) + " on e { when (" + condition() + ")";
      for (int more = *rc::gen::inRange(0, 3); more > 0; --more) text += " and (" + condition() + ")";
      text += " }\n";
    }
    const auto ruleset = rules_of(text);
    const auto& table = ruleset->types[0].strata[0].predicates;
    std::vector<event::Value> values(ruleset->schema.events[0].fields.size());
    const auto maybe = [](event::Value v) { return *rc::gen::inRange(0, 4) == 0 ? event::Value{} : v; };
    values[0] = event::Value::of_text("id");
    values[1] = event::Value::of_time({});
    values[2] = maybe(event::Value::of_text(*rc::gen::element("u1", "u2")));
    values[3] = maybe(event::Value::of_integer(*rc::gen::inRange(0, 9)));
    values[4] = maybe(event::Value::of_money(Decimal::from_integer(*rc::gen::inRange(3, 10)),
                                             *event::parse_currency(*rc::gen::element("USD", "USD", "EUR"))));
    values[5] = maybe(event::Value::of_enumeration(*rc::gen::inRange<std::uint32_t>(0, 3)));
    values[6] = maybe(event::Value::of_text(*rc::gen::element("k", "z", "kk")));
    values[7] = maybe(event::Value::of_boolean(*rc::gen::inRange(0, 2) == 1));
    values[8] = maybe(event::Value::of_duration(Duration::minutes(*rc::gen::inRange(3, 8))));
    event::Event e;
    e.values = values;
    engine::Context context;
    context.subject = &e;
    nfa::PredicateBits bits(ruleset->predicate_owners.size());
    std::vector<std::uint64_t> scratch;
    Count count;
    engine::answer(table, ruleset->codes, context, bits, scratch, count);
    for (const auto& entry : table.entries) {
      const event::Value v = engine::evaluate(ruleset->codes, entry.whole, context);
      RC_ASSERT(bits.test(entry.id) == engine::is_true(v));
      const bool told =
          std::find(count.ids.begin(), count.ids.end(), static_cast<std::uint32_t>(entry.id)) != count.ids.end();
      RC_ASSERT(told == v.is_missing());
    }
  }));
}

}  // namespace
}  // namespace tocsin::tests
