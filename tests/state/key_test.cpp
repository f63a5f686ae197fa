#include "state/key.h"

#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace tocsin::state {
namespace {

using event::Value;

Value some_value(std::mt19937_64& random, std::vector<std::string>& texts) {
  const auto n = static_cast<std::int64_t>(random() % 3);
  switch (random() % 9) {
    case 0: return {};
    case 1: return Value::of_boolean(n == 1);
    case 2: return Value::of_integer(n - 1);
    case 3: return Value::of_enumeration(static_cast<std::uint32_t>(n * 200));
    case 4: texts.emplace_back(static_cast<std::size_t>(n), '\x04'); return Value::of_text(texts.back());
    case 5: return Value::of_time({n});
    case 6: return Value::of_ip(1, static_cast<std::uint64_t>(n));
    case 7: return Value::of_money({n}, {static_cast<std::uint16_t>(1 + n)});
    default: return Value::of_duration({n});
  }
}

}  // namespace

TEST_CASE("keys are equal exactly when their values are, and read back") {
  CHECK(rc::check("pairs", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::string> texts;
    texts.reserve(8);
    const std::vector<Value> a{some_value(random, texts), some_value(random, texts)};
    const std::vector<Value> b{some_value(random, texts), some_value(random, texts)};
    std::string key_a;
    std::string key_b;
    for (const Value& v : a) append_key_part(key_a, v);
    for (const Value& v : b) append_key_part(key_b, v);
    const bool equal = same(a[0], b[0]) && same(a[1], b[1]);
    RC_ASSERT((key_a == key_b) == equal);
    if (!equal) RC_ASSERT(!key_a.starts_with(key_b));
    const auto back = decode_key(key_a);
    RC_ASSERT(back.has_value());
    RC_ASSERT(back->size() == 2U);
    RC_ASSERT(same((*back)[0], a[0]));
    RC_ASSERT(same((*back)[1], a[1]));
  }));
  CHECK(rc::check("noise", [](const std::string& noise) { (void)decode_key(noise); }));
  CHECK_FALSE(decode_key("\x04\x05"
                         "abc")
                  .has_value());
  CHECK_FALSE(decode_key("\x7f").has_value());
}

}  // namespace tocsin::state
