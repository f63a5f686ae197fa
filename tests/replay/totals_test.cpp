#include "replay/totals.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace tocsin::replay {
namespace {

engine::Counters any_counters() {
  engine::Counters counters;
  const auto small = [] { return *rc::gen::inRange<std::uint64_t>(1, 100); };
  counters.events = small();
  counters.late = small();
  counters.decisions = small();
  for (const char* name : {"a", "b", "c"}) {
    if (*rc::gen::arbitrary<bool>()) counters.hits_by_rule[name] = small();
    if (*rc::gen::arbitrary<bool>()) counters.decisions_by_action[name] = small();
    if (*rc::gen::arbitrary<bool>()) counters.unknown_by_rule_and_field[{name, "f"}] = small();
  }
  return counters;
}

bool equal(const engine::Counters& a, const engine::Counters& b) { return encode(a) == encode(b); }

TEST_CASE("totals: bytes and back, and what is added is taken off again") {
  CHECK(rc::check("bytes and back", [] {
    const engine::Counters counters = any_counters();
    const Result<engine::Counters> back = decode_counters(encode(counters));
    RC_ASSERT(back.ok());
    RC_ASSERT(equal(back.value(), counters));
  }));
  CHECK(rc::check("(a + b) - b is a", [] {
    const engine::Counters a = any_counters();
    const engine::Counters b = any_counters();
    RC_ASSERT(equal(difference(sum(a, b), b), a));
  }));
}

TEST_CASE("totals: cut bytes are refused") {
  engine::Counters counters;
  counters.hits_by_rule["r"] = 3;
  counters.duplicate_samples = {"a x"};
  const std::string whole = encode(counters);
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(!decode_counters(whole.substr(0, size)).ok());
}

}  // namespace
}  // namespace tocsin::replay
