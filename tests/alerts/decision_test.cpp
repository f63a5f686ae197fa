#include "alerts/decision.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <array>
#include <initializer_list>

#include "tests/alerts/samples.h"

namespace tocsin::alerts {
namespace {

using event::Action;

Decimal number(std::int64_t n) { return Decimal::from_integer(n); }

Policy policy_of(std::vector<PolicyLine> lines) {
  Policy policy;
  policy.name = "p";
  policy.event = "a";
  policy.lines = std::move(lines);
  return policy;
}

// Lines as in the worked case of D1.
Policy four_lines() {
  Policy policy = policy_of({{Action::block, false, "block when score >= 100"},
                             {Action::challenge, false, "challenge when any rule decides challenge"},
                             {Action::review, false, "review when any rule decides review"},
                             {Action::allow, true, "allow otherwise"}});
  policy.cap = number(100);
  return policy;
}

std::vector<const Hit*> pointers(std::initializer_list<const Hit*> hits) { return hits; }

Decision decide_with(const Policy& policy, std::span<const bool> truth, std::span<const Hit* const> hits = {}) {
  LimitState unused;
  return decide(policy, truth, hits, score_of(policy, hits), {"a", "a1", minute(0)}, unused);
}

}  // namespace

TEST_CASE("D1: the first true line decides, later true ones are named") {
  const Policy policy = four_lines();
  const std::array<bool, 4> none{};
  Decision decision = decide_with(policy, none);
  CHECK(decision.action == Action::allow);
  CHECK(decision.line == 4);  // `otherwise` is true whatever was evaluated
  CHECK(decision.also.empty());
  CHECK(reason_of(decision, {}) == "line 4: allow otherwise");

  const std::array<bool, 4> all{true, true, true, true};
  decision = decide_with(policy, all);
  CHECK(decision.action == Action::block);
  CHECK(decision.line == 1);
  CHECK(decision.also == std::vector<std::uint32_t>{2, 3, 4});
  CHECK(reason_of(decision, {}) == "line 1: block when score >= 100");
  CHECK(decision.id == decision_id("a", "a1", "p"));
}

TEST_CASE("D2: hits made by time take no part") {
  const RuleInfo rule = rule_named("r");
  Hit hit = deciding(rule, Action::block, number(90));
  hit.deadline = minute(0);
  const auto hits = pointers({&hit});
  CHECK_FALSE(any_rule_decides(hits, Action::block));
  CHECK(score_of(policy_of({}), hits) == number(0));
  CHECK(decide_with(default_policy("a"), {}, hits).action == Action::allow);
}

TEST_CASE("D3: a rule's score is that of its highest hit; sum, max, cap") {
  const RuleInfo one = rule_named("one");
  const RuleInfo two = rule_named("two");
  const Hit low = deciding(one, Action::review, number(10));
  const Hit high = deciding(one, Action::review, number(30));
  const Hit other = deciding(two, Action::review, number(80));
  const Hit without = deciding(two, Action::review);
  Policy policy = policy_of({});
  CHECK(score_of(policy, {}) == number(0));
  CHECK(score_of(policy, pointers({&low, &high})) == number(30));
  CHECK(score_of(policy, pointers({&low, &high, &other})) == number(110));
  CHECK(score_of(policy, pointers({&high, &without})) == number(30));
  policy.cap = number(100);
  CHECK(score_of(policy, pointers({&low, &high, &other})) == number(100));
  policy.sum = false;
  CHECK(score_of(policy, pointers({&low, &high, &other})) == number(80));

  const Hit negative = deciding(two, Action::allow, number(-5));
  policy.sum = true;
  CHECK(score_of(policy, pointers({&high, &negative})) == number(25));
  CHECK(score_of(policy, pointers({&negative, &without})) == number(0));  // missing is 0, and higher
}

TEST_CASE("D3: what does not fit stops at the largest number") {
  const Decimal largest{static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1U)};
  const RuleInfo one = rule_named("one");
  const RuleInfo two = rule_named("two");
  const RuleInfo three = rule_named("three");
  const Hit a = deciding(one, Action::review, largest);
  const Hit b = deciding(two, Action::review, largest);
  const Hit c = deciding(three, Action::review, Decimal{-largest.units});
  Policy policy = policy_of({});
  CHECK(score_of(policy, pointers({&a, &b})) == largest);
  CHECK(score_of(policy, pointers({&a, &c, &b})) == number(0));
  CHECK(score_of(policy, pointers({&a, &b, &c})) == number(0));
  policy.cap = number(100);
  CHECK(score_of(policy, pointers({&a, &b})) == number(100));
}

TEST_CASE("on error: at least its action when a bound was reached, and the reason says so") {
  Policy policy = policy_of({{Action::allow, true, "allow otherwise"}});
  policy.on_error = Action::review;
  const std::array<bool, 1> truth{true};
  LimitState unused;
  const DecidedEvent event{"a", "a1", minute(0)};
  CHECK(decide(policy, truth, {}, {}, event, unused, false).action == Action::allow);
  const Decision cut = decide(policy, truth, {}, {}, event, unused, true);
  CHECK(cut.action == Action::review);
  CHECK(cut.error);
  CHECK(reason_of(cut, {}) ==
        "line 1: allow otherwise; on error review: a bound of the matcher was reached, and a hit may be missing");
  policy.lines[0].action = Action::block;
  CHECK(decide(policy, truth, {}, {}, event, unused, true).action == Action::block);
}

TEST_CASE("D5: shadow hits do not count") {
  const RuleInfo rule = rule_named("r");
  Hit hit = deciding(rule, Action::block, number(90));
  hit.shadow = true;
  const auto hits = pointers({&hit});
  CHECK_FALSE(any_rule_decides(hits, Action::block));
  CHECK(score_of(policy_of({}), hits) == number(0));
  CHECK(decide_with(default_policy("a"), {}, hits).action == Action::allow);
}

TEST_CASE("D6: no line true is allow by line 0") {
  const Policy policy = policy_of({{Action::block, false, "block when false"}});
  const std::array<bool, 1> none{};
  const Decision decision = decide_with(policy, none);
  CHECK(decision.action == Action::allow);
  CHECK(decision.line == 0);
  CHECK(reason_of(decision, {}) == "no line was true: allow");
}

TEST_CASE("S14: without a policy the strictest action of the hits decides") {
  const Policy policy = default_policy("a");
  const RuleInfo one = rule_named("one");
  const RuleInfo two = rule_named("two");
  const RuleInfo three = rule_named("three");
  const Hit review = deciding(one, Action::review);
  const Hit reject = deciding(two, Action::reject, number(7));
  const Hit again = deciding(two, Action::reject);
  const Hit page = deciding(three, Action::page);
  Decision decision = decide_with(policy, {}, {});
  CHECK(decision.action == Action::allow);
  CHECK(decision.line == 0);
  CHECK(reason_of(decision, {}) == "no rule decided: allow");

  auto hits = pointers({&review, &page, &reject, &again});
  decision = decide_with(policy, {}, hits);
  CHECK(decision.action == Action::reject);
  CHECK(decision.score == number(7));
  CHECK(reason_of(decision, hits) == "rule two decides reject");

  hits = pointers({&page});
  decision = decide_with(policy, {}, hits);
  CHECK(decision.action == Action::allow);
  CHECK(reason_of(decision, hits) == "no rule decided: allow");

  const Hit also = deciding(one, Action::reject);
  hits = pointers({&also, &reject});
  CHECK(reason_of(decide_with(policy, {}, hits), hits) == "rules one, two decide reject");
}

TEST_CASE("D7: from 100 decisions on the share of an action is held") {
  Policy policy = policy_of({{Action::block, false, "block when v > 1"}, {Action::allow, true, "allow otherwise"}});
  policy.limit = Limit{Action::block, *parse_decimal("0.02"), Duration::minutes(10), Action::review};
  LimitState state;
  const auto judge = [&](Timestamp at, bool block) {
    const std::array<bool, 2> truth{block, true};
    return decide(policy, truth, {}, {}, {"a", "e", at}, state);
  };
  // Below 100 it does not act, however many they are.
  for (int i = 0; i < 97; ++i) CHECK(judge(minute(0), false).action == Action::allow);
  CHECK(judge(minute(0), true).action == Action::block);
  CHECK(judge(minute(0), true).action == Action::block);  // 2 of 99
  const Decision third = judge(minute(0), true);          // 3 of 100: more than 2%
  CHECK(third.action == Action::review);
  CHECK(third.limited == Action::block);
  CHECK(third.line == 1);
  CHECK(third.also == std::vector<std::uint32_t>{2});
  CHECK(reason_of(third, {}) ==
        "line 1: block when v > 1; limited to review, since with this one block would be 3 of 100 decisions in 10m, "
        "more than 2%");
  // A limited decision is none of the action: exactly 2% (3 of 150) is let through again.
  for (int i = 0; i < 49; ++i) CHECK_FALSE(judge(minute(1), false).limited);
  CHECK(judge(minute(1), true).action == Action::block);
  CHECK(judge(minute(1), true).limited == Action::block);
  // `last 10m` is open at its start: at 10m the decisions of 0m are out, 51 of 1m and this one are left.
  CHECK(judge(minute(10), true).action == Action::block);
  CHECK(state.as_of(minute(10), *policy.limit).decisions == 52);
  CHECK(state.as_of(minute(11), *policy.limit).decisions == 1);
}

TEST_CASE("D7: counts are those of a recount, also through the store") {
  CHECK(rc::check("limit against a recount", [] {
    const Limit limit{Action::block, *parse_decimal("0.3"), Duration{40}, Action::review};
    Policy policy = policy_of({{Action::block, false, ""}});
    policy.limit = limit;
    const auto count = *rc::gen::resize(100, rc::gen::inRange<std::size_t>(0, 400));  // beyond 100 it acts
    const auto gaps =
        *rc::gen::container<std::vector<int>>(count, rc::gen::weightedElement<int>({{80, 0}, {10, 1}, {1, 15}}));
    const auto blocks = *rc::gen::container<std::vector<int>>(count, rc::gen::resize(100, rc::gen::inRange(0, 3)));
    std::vector<std::pair<std::int64_t, bool>> seen;  // time, decided to block in the end
    LimitState state;
    std::int64_t now = 1000;
    for (std::size_t i = 0; i < count; ++i) {
      now += gaps[i];
      std::uint64_t n = 1;
      std::uint64_t k = blocks[i] == 0 ? 1 : 0;
      for (const auto& [time, blocked] : seen) {
        if (time <= now - 40) continue;
        ++n;
        if (blocked) ++k;
      }
      const bool expected_limited = blocks[i] == 0 && n >= 100 && 10 * k > 3 * n;
      const std::array<bool, 1> truth{blocks[i] == 0};
      const Decision decision = decide(policy, truth, {}, {}, {"a", "e", {now}}, state);
      RC_ASSERT(decision.limited.has_value() == expected_limited);
      if (expected_limited) RC_ASSERT(decision.action == Action::review);
      seen.emplace_back(now, decision.action == Action::block);
      if (i % 50 == 49) {
        std::string bytes;
        state.encode(bytes);
        const auto back = LimitState::decode(bytes);
        RC_ASSERT(back.has_value());
        state = *back;
      }
    }
  }));
}

TEST_CASE("a limit on another action begins to count anew; other policies are not counted") {
  LimitState state;
  const Limit block{Action::block, *parse_decimal("0.02"), Duration::minutes(10), Action::review};
  CHECK(state.as_of(minute(0), block).decisions == 0);
  state.add(minute(0), true);
  CHECK(state.as_of(minute(1), block).decisions == 1);
  Limit reject = block;
  reject.action = Action::reject;
  CHECK(state.as_of(minute(1), reject).decisions == 0);
}

TEST_CASE("a limit's memory is bounded: the oldest moment goes, and is counted") {
  LimitState state;
  const Limit limit{Action::block, *parse_decimal("0.02"), Duration::days(1), Action::review};
  (void)state.as_of({0}, limit);
  for (std::size_t i = 0; i < LimitState::moments_max + 5; ++i) state.add({static_cast<std::int64_t>(i)}, false);
  CHECK(state.forgotten_count() == 5);
  CHECK(state.as_of({static_cast<std::int64_t>(LimitState::moments_max)}, limit).decisions == LimitState::moments_max);
}

TEST_CASE("limit: bytes from outside") {
  CHECK(rc::check("decode survives anything and keeps what it took", [](std::string bytes) {
    if (const auto state = LimitState::decode(bytes)) {
      std::string again;
      state->encode(again);
      RC_ASSERT(LimitState::decode(again).has_value());
    }
  }));
  LimitState state;
  (void)state.as_of({0}, Limit{});
  state.add({-5}, true);
  state.add({7}, false);
  std::string bytes;
  state.encode(bytes);
  CHECK(LimitState::decode(bytes).has_value());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(LimitState::decode(bytes.substr(0, cut)).has_value());
  CHECK_FALSE(LimitState::decode(bytes + 'x').has_value());
}

TEST_CASE("a policy as text") {
  Policy policy = four_lines();
  policy.limit = Limit{Action::block, *parse_decimal("0.025"), Duration::minutes(10), Action::review};
  CHECK(to_text(policy) ==
        "policy p on a: score sum max 100\n"
        "  1: block when score >= 100\n"
        "  2: challenge when any rule decides challenge\n"
        "  3: review when any rule decides review\n"
        "  4: allow otherwise\n"
        "  limit block to 2.5% per 10m else review\n");
  CHECK(to_text(default_policy("login")) == "policy default on login: strictest action of the rules, else allow\n");
}

}  // namespace tocsin::alerts
