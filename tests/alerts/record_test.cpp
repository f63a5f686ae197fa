#include "alerts/record.h"

#include <doctest/doctest.h>

#include <array>

#include "tests/alerts/samples.h"

namespace tocsin::alerts {
namespace {

using event::Action;
using Kind = AlertOutcome::Kind;

RuleInfo full_rule() {
  RuleInfo rule = rule_named("r07");
  rule.title = "New device, \"large\" transfer";
  rule.owner = "fraud-team";
  rule.runbook = "https://wiki/r07";
  rule.severity = event::Severity::high;
  rule.tags = {"ato", "device"};
  return rule;
}

Hit full_hit(const RuleInfo& rule) {
  Hit hit;
  hit.rule = &rule;
  hit.at = minute(4);
  hit.key = {{"user", "\"u\\n1\""}, {"n", "7"}};
  hit.events = {{"l", "login", "l1", minute(0)}, {"t", "transfer", "t1", minute(4)}};
  hit.values = {{"amount", "{\"amount\":\"9000\",\"currency\":\"USD\"}"}, {"known", "null"}};
  hit.because = "9000 USD from a new device";
  hit.action = Action::block;
  hit.score = *parse_decimal("70.5");
  hit.id = {1, 2};
  return hit;
}

}  // namespace

TEST_CASE("a hit with all it may have") {
  const RuleInfo rule = full_rule();
  Hit hit = full_hit(rule);
  hit.deadline = minute(4);
  hit.truncated = true;
  CHECK(hit_record(hit, {Kind::folded, {0, 255}}, "d1") ==
        R"({"id":"00000000000000010000000000000002","rule":"r07","revision":"0123456789abcdeffedcba9876543210",)"
        R"("at":"2026-01-05T10:04:00Z","deadline":"2026-01-05T10:04:00Z","key":{"user":"u\n1","n":7},)"
        R"("events":[{"alias":"l","type":"login","id":"l1","at":"2026-01-05T10:00:00Z"},)"
        R"({"alias":"t","type":"transfer","id":"t1","at":"2026-01-05T10:04:00Z"}],)"
        R"("values":{"amount":{"amount":"9000","currency":"USD"},"known":null},"because":"9000 USD from a new device",)"
        R"("severity":"high","action":"block","score":70.5,"shadow":false,"truncated":true,)"
        R"("alert":"000000000000000000000000000000ff","folded":true,"ruleset":"d1"})");
}

TEST_CASE("a hit with nothing it may lack") {
  const RuleInfo rule = rule_named("r");
  Hit hit = hit_of(rule, minute(0), "a1");
  hit.shadow = true;
  hit.id = {1, 2};
  CHECK(hit_record(hit, {}, "d1") ==
        R"({"id":"00000000000000010000000000000002","rule":"r","revision":"0123456789abcdeffedcba9876543210",)"
        R"("at":"2026-01-05T10:00:00Z","key":{},)"
        R"("events":[{"alias":"a","type":"a","id":"a1","at":"2026-01-05T10:00:00Z"}],)"
        R"("values":{},"severity":"medium","shadow":true,"truncated":false,"ruleset":"d1"})");
  const std::string made = hit_record(hit, {Kind::made, hit.id}, "d1");
  CHECK(made.find(R"("truncated":false,"alert":"00000000000000010000000000000002","ruleset")") != std::string::npos);
}

TEST_CASE("an alert, and one without texts") {
  const RuleInfo rule = full_rule();
  Hit hit = full_hit(rule);
  hit.once_key = std::vector<NamedValue>{{"device", "\"d9\""}};
  CHECK(alert_record(hit, {Kind::made, hit.id}, "d1") ==
        R"({"id":"00000000000000010000000000000002","rule":"r07","revision":"0123456789abcdeffedcba9876543210",)"
        R"("title":"New device, \"large\" transfer","severity":"high","tags":["ato","device"],"owner":"fraud-team",)"
        R"("runbook":"https://wiki/r07","at":"2026-01-05T10:04:00Z","key":{"device":"d9"},)"
        R"("events":[{"alias":"l","type":"login","id":"l1","at":"2026-01-05T10:00:00Z"},)"
        R"({"alias":"t","type":"transfer","id":"t1","at":"2026-01-05T10:04:00Z"}],)"
        R"("values":{"amount":{"amount":"9000","currency":"USD"},"known":null},"because":"9000 USD from a new device",)"
        R"("action":"block","score":70.5,"truncated":false,"ruleset":"d1","state":"open"})");
  const RuleInfo bare = rule_named("r");
  Hit plain = hit_of(bare, minute(0), "a1");
  plain.id = {1, 2};
  CHECK(alert_record(plain, {Kind::made, plain.id}, "d1") ==
        R"({"id":"00000000000000010000000000000002","rule":"r","revision":"0123456789abcdeffedcba9876543210",)"
        R"("severity":"medium","tags":[],"at":"2026-01-05T10:00:00Z","key":{},)"
        R"("events":[{"alias":"a","type":"a","id":"a1","at":"2026-01-05T10:00:00Z"}],)"
        R"("values":{},"truncated":false,"ruleset":"d1","state":"open"})");
}

TEST_CASE("a decision: hits that take part, and the reason") {
  const RuleInfo one = rule_named("one");
  const RuleInfo shade = rule_named("shade");
  Hit hit = deciding(one, Action::review, Decimal::from_integer(70));
  hit.id = {0, 1};
  Hit apart = deciding(shade, Action::block);
  apart.shadow = true;
  const std::array<const Hit*, 2> hits{&hit, &apart};
  Policy policy;
  policy.name = "p";
  policy.event = "a";
  policy.lines = {{Action::review, false, "review when score >= 60"}, {Action::allow, true, "allow otherwise"}};
  const std::array<bool, 2> truth{true, true};
  LimitState unused;
  Decision decision = decide(policy, truth, hits, score_of(policy, hits), {"a", "a1", minute(0)}, unused);
  decision.id = {0, 2};
  CHECK(decision_record(decision, hits, "d1") ==
        R"({"id":"00000000000000000000000000000002","event":{"type":"a","id":"a1","at":"2026-01-05T10:00:00Z"},)"
        R"("policy":"p","action":"review","score":70,"line":1,"also":[2],)"
        R"("hits":[{"id":"00000000000000000000000000000001","rule":"one","action":"review","score":70}],)"
        R"("reason":"line 1: review when score >= 60","ruleset":"d1"})");
  decision.limited = Action::review;
  decision.action = Action::allow;
  const std::string limited = decision_record(decision, hits, "d1");
  CHECK(limited.find(R"("action":"allow","score":70,"line":1,"also":[2],"limited":"review","hits")") !=
        std::string::npos);

  const Policy standard = default_policy("a");
  Decision by_default = decide(standard, {}, {}, {}, {"a", "a1", minute(0)}, unused);
  by_default.id = {0, 3};
  CHECK(decision_record(by_default, {}, "d1") ==
        R"({"id":"00000000000000000000000000000003","event":{"type":"a","id":"a1","at":"2026-01-05T10:00:00Z"},)"
        R"("policy":"default","action":"allow","score":0,"line":0,"also":[],"hits":[],)"
        R"("reason":"no rule decided: allow","ruleset":"d1"})");
}

TEST_CASE("a dead letter keeps the bytes as they came") {
  CHECK(dead_letter_record({"bad_value", "amount", 17, {2, 40}, "{\"a\":\"\xc3\xa4\"}"}) ==
        "{\"reason\":\"bad_value\",\"field\":\"amount\",\"offset\":17,\"partition\":2,\"sequence\":40,"
        "\"bytes\":\"{\\\"a\\\":\\\"\xc3\xa4\\\"}\"}");
  CHECK(dead_letter_record({"not_json", "", {}, {0, 1}, "", "in/a \"b\".ndjson"}) ==
        R"({"reason":"not_json","source":"in/a \"b\".ndjson","partition":0,"sequence":1,"bytes":""})");
  CHECK(dead_letter_record({"not_json", "", {}, {0, 1}, "", "\xff"}) ==
        R"({"reason":"not_json","partition":0,"sequence":1,"bytes":""})");
  CHECK(dead_letter_record({"not_json", "", {}, {0, 1}, ""}) ==
        R"({"reason":"not_json","partition":0,"sequence":1,"bytes":""})");
  const auto of = [](std::string_view bytes) { return dead_letter_record({"bad_utf8", "", 0, {0, 1}, bytes}); };
  const std::string head = R"({"reason":"bad_utf8","offset":0,"partition":0,"sequence":1,"bytes_base64":")";
  CHECK(of("\xff") == head + "/w==\"}");
  CHECK(of("\xff\xfe") == head + "//4=\"}");
  CHECK(of("\xff\xfe\xfd") == head + "//79\"}");
  CHECK(of("\xff\xfe\xfd\xfc") == head + "//79/A==\"}");
}

TEST_CASE("keys of records: the subject as plain text, else the first event") {
  const RuleInfo rule = rule_named("r");
  Hit hit = full_hit(rule);
  CHECK(hit_record_key(hit) == "u\n1");
  CHECK(alert_record_key(hit) == "u\n1");
  hit.once_key = std::vector<NamedValue>{{"device", R"("d\"\\\u001f9")"}};
  CHECK(hit_record_key(hit) == "u\n1");
  CHECK(alert_record_key(hit) ==
        "d\"\\\x1f"
        "9");
  hit.key = {{"n", "7"}};
  CHECK(hit_record_key(hit) == "7");
  CHECK(hit_record_key(hit_of(rule, minute(0), "a1")) == "a1");
  const Policy policy = default_policy("a");
  LimitState unused;
  CHECK(decision_record_key(decide(policy, {}, {}, {}, {"a", "e9", minute(0)}, unused)) == "e9");
}

}  // namespace tocsin::alerts
