#include "alerts/suppress.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>

#include "tests/alerts/samples.h"

namespace tocsin::alerts {
namespace {

using Kind = AlertOutcome::Kind;

RuleInfo once_rule(Duration per = Duration::minutes(10)) {
  RuleInfo rule = rule_named("r");
  rule.once_per = per;
  return rule;
}

}  // namespace

TEST_CASE("L1: each hit of a live rule makes an alert; severity info and shadow make none") {
  AlertBook book;
  RuleInfo rule = rule_named("r");
  rule.severity = event::Severity::low;
  const Hit first = hit_of(rule, minute(0), "a1");
  const Hit second = hit_of(rule, minute(0), "a2");
  CHECK(book.take(first) == AlertOutcome{Kind::made, first.id});
  CHECK(book.take(second) == AlertOutcome{Kind::made, second.id});
  RuleInfo quiet = once_rule();
  quiet.severity = event::Severity::info;
  CHECK(book.take(hit_of(quiet, minute(0), "a3")) == AlertOutcome{});
  const RuleInfo rolled_out = once_rule();
  Hit shade = hit_of(rolled_out, minute(0), "a4");
  shade.shadow = true;
  CHECK(book.take(shade) == AlertOutcome{});
  CHECK(book.open_count() == 0);
  CHECK(book.take_changes().empty());
}

TEST_CASE("L2: hits before t+D are folded, measured from the alert") {
  AlertBook book;
  const RuleInfo rule = once_rule();
  const Hit first = hit_of(rule, minute(0), "a1");
  CHECK(book.take(first).kind == Kind::made);
  CHECK(book.take(hit_of(rule, minute(0), "a2")) == AlertOutcome{Kind::folded, first.id});
  CHECK(book.take(hit_of(rule, minute(9), "a3")) == AlertOutcome{Kind::folded, first.id});
  CHECK(book.take(hit_of(rule, minute(9), "a4", "u2")).kind == Kind::made);  // another key
  const OpenAlert* open = book.find("r", {{"user", "\"u1\""}});
  REQUIRE(open != nullptr);
  CHECK(*open == OpenAlert{first.id, minute(0), minute(10), 2});
  const Hit third = hit_of(rule, minute(10), "a5");  // exactly 10m after the alert, 1m after the last hit
  CHECK(book.take(third) == AlertOutcome{Kind::made, third.id});
  CHECK(book.take(hit_of(rule, minute(19), "a6")) == AlertOutcome{Kind::folded, third.id});
}

TEST_CASE("L6: a hit without the key is never folded and starts no span") {
  AlertBook book;
  const RuleInfo rule = once_rule();
  CHECK(book.take(hit_of(rule, minute(0), "a1", "")).kind == Kind::made);
  CHECK(book.take(hit_of(rule, minute(1), "a2", "")).kind == Kind::made);
  CHECK(book.open_count() == 0);
}

TEST_CASE("a reload keeps what is open: rules are known by name, keys by name and value") {
  AlertBook book;
  const RuleInfo before = once_rule();
  const Hit first = hit_of(before, minute(0), "a1");
  CHECK(book.take(first).kind == Kind::made);
  RuleInfo after = once_rule(Duration::minutes(1));  // the span of an open alert is the one it was made with
  after.revision.low += 1;
  CHECK(book.take(hit_of(after, minute(5), "a2")) == AlertOutcome{Kind::folded, first.id});
  Hit by_device = hit_of(after, minute(5), "a3");
  by_device.once_key = std::vector<NamedValue>{{"device", "\"u1\""}};
  CHECK(book.take(by_device).kind == Kind::made);
  RuleInfo without = rule_named("r");
  CHECK(book.take(hit_of(without, minute(5), "a4")).kind == Kind::made);
}

TEST_CASE("only what changed is written, and what came and went is not") {
  AlertBook book;
  const RuleInfo rule = once_rule();
  (void)book.take(hit_of(rule, minute(0), "a1"));
  (void)book.take(hit_of(rule, minute(1), "a2", "u2"));
  CHECK(book.take_changes().size() == 2);
  CHECK(book.take_changes().empty());
  (void)book.take(hit_of(rule, minute(2), "a3"));
  auto changes = book.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].second.has_value());
  book.expire(minute(10));
  CHECK(book.open_count() == 1);
  const auto ended = book.take_changes();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].first == changes[0].first);
  CHECK_FALSE(ended[0].second.has_value());
  (void)book.take(hit_of(rule, minute(10), "a4", "u3"));
  book.expire(minute(30));  // u2 was stored, u3 never was
  CHECK(book.open_count() == 0);
  CHECK(book.take_changes().size() == 1);
}

TEST_CASE("beyond the limit an alert starts no span, and is counted") {
  AlertBook book(1);
  const RuleInfo rule = once_rule();
  CHECK(book.take(hit_of(rule, minute(0), "a1", "u1")).kind == Kind::made);
  CHECK(book.take(hit_of(rule, minute(1), "a2", "u2")).kind == Kind::made);
  CHECK(book.take(hit_of(rule, minute(2), "a3", "u2")).kind == Kind::made);
  CHECK(book.span_refused_count() == 2);
  CHECK(book.take(hit_of(rule, minute(2), "a4", "u1")).kind == Kind::folded);
  CHECK(book.take(hit_of(rule, minute(10), "a5", "u2")).kind == Kind::made);  // u1's span is over
  CHECK(book.take(hit_of(rule, minute(11), "a6", "u2")).kind == Kind::folded);
}

TEST_CASE("outcomes are those of the clauses, whatever the checkpoints, kills and expiries in between") {
  struct Made {
    Timestamp at;
    Digest id;
  };
  CHECK(rc::check("book against the clause", [] {
    const RuleInfo rule = once_rule(Duration{*rc::gen::inRange<std::int64_t>(1, 20)});
    const auto count = *rc::gen::inRange<std::size_t>(0, 120);
    AlertBook book;
    std::map<std::string, std::string> store;
    std::map<std::string, Made> newest;  // per user
    Timestamp now{1000};
    for (std::size_t i = 0; i < count; ++i) {
      now = now + Duration{*rc::gen::inRange<std::int64_t>(0, 4)};
      const std::string user = "u" + std::to_string(*rc::gen::inRange(0, 4));
      const Hit hit = hit_of(rule, now, "e" + std::to_string(i), user);
      AlertOutcome expected{Kind::made, hit.id};
      if (const auto found = newest.find(user); found != newest.end() && now < found->second.at + *rule.once_per) {
        expected = {Kind::folded, found->second.id};
      } else {
        newest[user] = {now, hit.id};
      }
      RC_ASSERT(book.take(hit) == expected);
      const int what = *rc::gen::inRange(0, 10);
      if (what == 0) book.expire(now);
      if (what > 2) continue;
      for (auto& [key, value] : book.take_changes()) {
        if (value) {
          store[key] = *value;
        } else {
          RC_ASSERT(store.erase(key) == 1U);  // only what the store holds is taken from it
        }
      }
      RC_ASSERT(store.size() == book.open_count());
      if (what == 1) {
        AlertBook restored;
        for (const auto& [key, value] : store) RC_ASSERT(restored.restore(key, value).ok());
        RC_ASSERT(restored.take_changes().empty());
        book = std::move(restored);
      }
    }
  }));
}

TEST_CASE("bytes from outside are refused, not believed") {
  AlertBook book;
  (void)book.take(hit_of(once_rule(), minute(0), "a1"));
  const auto changes = book.take_changes();
  const std::string key = changes.at(0).first;
  const std::string value = changes.at(0).second.value();
  for (std::size_t cut = 0; cut < key.size(); ++cut) CHECK_FALSE(AlertBook().restore(key.substr(0, cut), value).ok());
  for (std::size_t cut = 0; cut < value.size(); ++cut) CHECK_FALSE(AlertBook().restore(key, value.substr(0, cut)).ok());
  CHECK_FALSE(AlertBook().restore(key, value + 'x').ok());
  CHECK_FALSE(AlertBook().restore(key + 'x', value).ok());
  std::string newer = value;
  newer[0] = 9;
  const Status status = AlertBook().restore(key, newer);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().kind == ErrorKind::corrupt);
  CHECK(rc::check("restore survives anything", [&](std::string a, std::string b) {
    AlertBook other;
    (void)other.restore(a, b).ok();
    (void)other.restore(key, b).ok();
    (void)other.restore(key, value).ok();
    (void)other.restore(key, value).ok();
    RC_ASSERT(other.find("r", {{"user", "\"u1\""}}) != nullptr);
    other.expire(Timestamp::max());
    RC_ASSERT(other.open_count() == 0U);
  }));
}

}  // namespace tocsin::alerts
