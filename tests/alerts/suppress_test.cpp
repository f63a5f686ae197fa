#include "alerts/suppress.h"

#include <algorithm>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <tuple>

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

namespace {

using Change = AlertChange::Kind;

RuleInfo resolved_rule(std::optional<Duration> per = std::nullopt) {
  RuleInfo rule = rule_named("r");
  rule.once_per = per;
  rule.resolves = true;
  return rule;
}

const std::vector<NamedValue> u1 = {{"user", "\"u1\""}};

Hit keyed(const RuleInfo& rule, Timestamp at, const std::string& id, const std::string& user = "u1") {
  Hit hit = hit_of(rule, at, id, user);
  hit.key = {{"user", quoted(user)}};
  hit.id = hit_id(hit);
  return hit;
}

/// Under the one clause by which `low` is suppressed by `high`, with key `same`.
Hit under(Hit hit, const std::string& same) {
  hit.same.assign(1, same.empty() ? std::nullopt : std::optional(same));
  return hit;
}

struct Pair {
  RuleInfo low = rule_named("low");
  RuleInfo high = rule_named("high");
  explicit Pair(Duration hold) {
    low.suppressed_by = {{"high", "low by high", hold}};
    high.suppresses = {"low by high"};
  }
};

}  // namespace

TEST_CASE("L3: while open hits are folded whatever their time; resolving closes it, of its key only") {
  AlertBook book;
  const RuleInfo rule = resolved_rule();
  const Hit first = keyed(rule, minute(0), "a1");
  CHECK(book.take(first).kind == Kind::made);
  CHECK(book.take(keyed(rule, minute(600), "a2")) == AlertOutcome{Kind::folded, first.id});
  book.resolve(rule, {{"user", "\"u2\""}}, minute(601), "b", "b1");
  CHECK(book.take_alert_changes().empty());
  book.resolve(rule, u1, minute(602), "b", "b2");
  const auto changes = book.take_alert_changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].kind == Change::resolved);
  CHECK(changes[0].id == first.id);
  CHECK(changes[0].time == minute(602));
  CHECK(changes[0].by_event == "b2");
  CHECK(changes[0].folded_count == 1);
  book.resolve(rule, u1, minute(603), "b", "b3");
  CHECK(book.take_alert_changes().empty());
  CHECK(book.take(keyed(rule, minute(603), "a3")).kind == Kind::made);
}

TEST_CASE("L4: after resolving a hit within the span opens the alert again, a later one makes a new one") {
  AlertBook book;
  const RuleInfo rule = resolved_rule(Duration::minutes(15));
  const Hit first = hit_of(rule, minute(0), "a1");
  CHECK(book.take(first).kind == Kind::made);
  book.resolve(rule, u1, minute(2), "b", "b1");
  CHECK(book.take(hit_of(rule, minute(4), "a2")) == AlertOutcome{Kind::reopened, first.id, {}, {}, 1});
  CHECK(book.take(hit_of(rule, minute(16), "a3")) ==
        AlertOutcome{Kind::folded, first.id});  // open, so whatever its time
  book.resolve(rule, u1, minute(20), "b", "b2");
  CHECK(book.take(hit_of(rule, minute(21), "a4")).kind == Kind::made);
}

TEST_CASE("L5: held until its wait has passed, suppressed by a hit within it, its end included") {
  const Pair rules(Duration::minutes(2));
  for (const int after : {0, 2, 3}) {
    AlertBook book;
    const Hit low = under(keyed(rules.low, minute(0), "a1"), "k");
    const AlertOutcome outcome = book.take(low);
    CHECK(outcome.kind == Kind::held);
    CHECK(outcome.held_until == minute(2));
    CHECK(book.take(under(keyed(rules.high, minute(0), "b0"), "other")).kind == Kind::made);
    book.advance(minute(2));
    CHECK(book.take_alert_changes().empty());
    (void)book.take(under(keyed(rules.high, minute(after), "b1"), "k"));
    const auto changes = book.take_alert_changes();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].kind == (after <= 2 ? Change::suppressed : Change::opened));
    CHECK(changes[0].id == low.id);
    CHECK(changes[0].time == minute(std::min(after, 2)));
    CHECK(book.held_count() == 0);
  }
}

TEST_CASE("L5: who makes no alerts suppresses all the same; a shadow hit does not, nor one without the key") {
  Pair rules(Duration::minutes(2));
  rules.high.severity = event::Severity::info;
  AlertBook book;
  (void)book.take(under(keyed(rules.low, minute(0), "a1"), "k"));
  Hit shade = under(keyed(rules.high, minute(1), "b1"), "k");
  shade.shadow = true;
  (void)book.take(shade);
  (void)book.take(under(keyed(rules.high, minute(1), "b2"), ""));
  CHECK(book.held_count() == 1);
  (void)book.take(under(keyed(rules.high, minute(1), "b3"), "k"));
  CHECK(book.held_count() == 0);
  CHECK(book.take(under(keyed(rules.low, minute(1), "a2"), "")).kind == Kind::made);
}

TEST_CASE("L5 against the clause, through stores and kills") {
  CHECK(rc::check("held, suppressed, opened, resolved", [] {
    Pair rules(Duration{*rc::gen::inRange<std::int64_t>(0, 8)});
    const int kind = *rc::gen::inRange(0, 4);  // how long an alert of `high` is active
    if (kind == 1 || kind == 3) rules.high.once_per = Duration{*rc::gen::inRange<std::int64_t>(1, 12)};
    if (kind >= 2) rules.high.resolves = true;
    struct Active {
      std::int64_t from, to;  // to is exclusive
    };
    std::map<std::string, std::vector<Active>> active;            // of alerts of `high`, by key
    std::map<std::string, std::vector<std::int64_t>> high_hits;   // by key
    std::map<std::string, std::pair<std::int64_t, bool>> newest;  // alert of `high`: made at; resolved
    struct Low {
      Digest id;
      std::int64_t at;
      std::string user;
      bool active_then;  // in the order: what resolves at the same time but later has not resolved yet
    };
    std::vector<Low> low;
    std::map<std::string, AlertOutcome::Kind> at_once;
    std::map<std::string, Change> later;
    constexpr std::int64_t never = INT64_MAX;
    AlertBook book;
    std::map<std::string, std::string> store;
    std::int64_t now = 1000;
    const auto take_later = [&] {
      for (const AlertChange& change : book.take_alert_changes()) {
        if (change.rule == "low") later[to_text(change.id)] = change.kind;
      }
    };
    const auto count = *rc::gen::inRange<std::size_t>(0, 80);
    for (std::size_t i = 0; i < count; ++i) {
      now += *rc::gen::inRange<std::int64_t>(0, 4);
      const std::string user = "u" + std::to_string(*rc::gen::inRange(0, 3));
      const std::string id = "e" + std::to_string(i);
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
        case 1: {
          const Hit hit = under(keyed(rules.low, Timestamp{now}, id, user), user);
          const std::vector<Active>& alerts = active[user];
          low.push_back({hit.id, now, user, std::any_of(alerts.begin(), alerts.end(), [&](const Active& a) {
                           return a.from <= now && now < a.to;
                         })});
          at_once[to_text(hit.id)] = book.take(hit).kind;
          break;
        }
        case 2: {
          (void)book.take(under(keyed(rules.high, Timestamp{now}, id, user), user));
          high_hits[user].push_back(now);
          const auto last = newest.find(user);
          const bool spans = kind == 1 || kind == 3;
          const std::int64_t per = spans ? rules.high.once_per->us : 0;
          const bool open = last != newest.end() && !last->second.second;
          const bool within = last != newest.end() && now < last->second.first + per;
          if (kind >= 2 && open) break;    // folded: unresolved
          if (kind == 1 && within) break;  // folded: its span
          if (kind == 3 && within) {       // opened again
            last->second.second = false;
            active[user].push_back({now, never});
            break;
          }
          newest[user] = {now, false};
          active[user].push_back({now, kind >= 2 ? never : kind == 1 ? now + per : now + 1});
          break;
        }
        default: {
          if (kind < 2) break;
          book.resolve(rules.high, {{"user", quoted(user)}}, Timestamp{now}, "x", id);
          const auto last = newest.find(user);
          if (last == newest.end() || last->second.second) break;
          last->second.second = true;
          active[user].back().to = now;
        }
      }
      take_later();
      if (*rc::gen::inRange(0, 4) == 0) {
        book.expire(Timestamp{now});
        for (auto& [key, value] : book.take_changes()) {
          if (value) {
            store[key] = *value;
          } else {
            RC_ASSERT(store.erase(key) == 1U);
          }
        }
        AlertBook restored;
        for (const auto& [key, value] : store) RC_ASSERT(restored.restore(key, value).ok());
        RC_ASSERT(restored.take_changes().empty());
        if (*rc::gen::arbitrary<bool>()) book = std::move(restored);
      }
    }
    book.advance(Timestamp::max());
    take_later();
    for (const auto& [id, at, user, active_then] : low) {
      bool hit_within = false;
      for (const std::int64_t t : high_hits[user]) {
        hit_within = hit_within || (t >= at && t <= at + rules.low.suppressed_by[0].hold.us);
      }
      const std::string name = to_text(id);
      const bool suppressed =
          at_once[name] == Kind::suppressed || (later.contains(name) && later[name] == Change::suppressed);
      RC_ASSERT(suppressed == (active_then || hit_within));
      if (!suppressed) RC_ASSERT(later.at(name) == Change::opened);
    }
    RC_ASSERT(book.held_count() == 0U);
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
