// Rules and hits as the tests of this folder need them: short to write, complete enough for records.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "alerts/hit.h"
#include "alerts/identity.h"

namespace tocsin::alerts {

inline Timestamp minute(std::int64_t n) {
  return Timestamp{1'767'607'200'000'000} + Duration::minutes(n);
}  // 2026-01-05T10:00Z

inline RuleInfo rule_named(std::string name) {
  RuleInfo rule;
  rule.name = std::move(name);
  rule.revision = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
  return rule;
}

inline std::string quoted(const std::string& text) { return '"' + text + '"'; }

/// A hit of `rule` on event `id`; with `alert once … by user` when the rule has a span and `user` is not empty.
inline Hit hit_of(const RuleInfo& rule, Timestamp at, std::string id, const std::string& user = "u1") {
  Hit hit;
  hit.rule = &rule;
  hit.at = at;
  hit.events = {{"a", "a", std::move(id), at}};
  if (rule.once_per && !user.empty()) hit.once_key = std::vector<NamedValue>{{"user", quoted(user)}};
  hit.id = hit_id(hit);
  return hit;
}

inline Hit deciding(const RuleInfo& rule, event::Action action, std::optional<Decimal> score = std::nullopt) {
  Hit hit = hit_of(rule, minute(0), "a1");
  hit.action = action;
  hit.score = score;
  return hit;
}

}  // namespace tocsin::alerts
