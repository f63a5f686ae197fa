#include "alerts/identity.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/alerts/samples.h"

namespace tocsin::alerts {

TEST_CASE("a hit's id is the hash of the bytes that docs/records.md states") {
  const std::vector<NamedValue> key{{"user", "\"u1\""}};
  const std::vector<BoundEvent> events{{"x", "login", "l1", minute(0)}, {"y", "transfer", "t1", minute(1)}};
  const Digest revision{0x0807060504030201ULL, 0x100f0e0d0c0b0a09ULL};
  const std::string bytes =
      "\x04hit1"
      "\x01r"
      "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
      "\x01\x04\"u1\""
      "\x02\x05login\x02l1\x08transfer\x02t1";
  CHECK(hit_id("r", revision, key, events, {}) == hash128(bytes + std::string(1, '\0')));
  CHECK(hit_id("r", revision, key, events, Timestamp{258}) == hash128(bytes + "\x01\x02\x01" + std::string(6, '\0')));
  CHECK(decision_id("login", "l1", "p") == hash128("\x09"
                                                   "decision1\x05login\x02l1\x01p"));
}

TEST_CASE("ids never change") {
  RuleInfo rule = rule_named("r07_new_device");
  Hit hit = hit_of(rule, minute(0), "t-1");
  hit.key = {{"account", "\"a1\""}};
  CHECK(to_text(hit_id(hit)) == "f51adaf230ea3a5f3ef46d93d9b70b44");
  hit.deadline = minute(5);
  CHECK(to_text(hit_id(hit)) == "0e345f95543bfaaf4802ff77915d9407");
  CHECK(to_text(decision_id("transfer", "t-1", "payments")) == "431c87634e78b494eaf2f08be36cc7b4");
}

TEST_CASE("what names a hit changes its id, what only describes it does not") {
  RuleInfo rule = rule_named("r");
  Hit hit = hit_of(rule, minute(0), "a1");
  hit.key = {{"user", "\"u1\""}, {"device", "\"d1\""}};
  hit.events = {{"a", "a", "1", minute(0)}, {"b", "b", "2", minute(1)}};
  const Digest id = hit_id(hit);

  Hit same = hit;
  same.because = "text";
  same.truncated = true;
  same.score = Decimal::from_integer(3);
  same.events[0].alias = "other";
  CHECK(hit_id(same) == id);

  Hit moved = hit;  // the same characters, cut elsewhere
  moved.key = {{"user", "\"u1\"\"d1\""}};
  CHECK(hit_id(moved) != id);
  Hit swapped = hit;
  std::swap(swapped.events[0], swapped.events[1]);
  CHECK(hit_id(swapped) != id);
  Hit by_time = hit;
  by_time.deadline = Timestamp{0};
  CHECK(hit_id(by_time) != id);
  RuleInfo revised = rule;
  revised.revision.low += 1;
  Hit later = hit;
  later.rule = &revised;
  CHECK(hit_id(later) != id);
}

TEST_CASE("texts of any content do not run into each other") {
  CHECK(rc::check("decision ids of different names differ",
                  [](std::string a, std::string b, std::string c, std::string d) {
                    RC_PRE(a != c || b != d);
                    RC_ASSERT(decision_id(a, b, "p") != decision_id(c, d, "p"));
                    RC_ASSERT(decision_id("t", a, b) != decision_id("t", c, d));
                  }));
}

}  // namespace tocsin::alerts
