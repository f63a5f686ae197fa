#include "alerts/decision.h"

#include <algorithm>
#include <limits>

#include "alerts/identity.h"
#include "base/check.h"
#include "base/coding.h"

namespace tocsin::alerts {

namespace {

using event::Action;

constexpr std::uint8_t limit_format = 1;
// D7: below this many decisions a share says nothing.
constexpr std::uint64_t limit_from_count = 100;

constexpr Int128 largest = static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1U);
constexpr Int128 smallest = -largest - 1;

// Both of one sign.
Decimal add_saturating(Decimal a, Decimal b) {
  if (const std::optional<Decimal> sum = add(a, b)) return *sum;
  return {b.units < 0 ? smallest : largest};
}

// k > P·n, in whole numbers. A share of 1 or more never binds; below it both products fit in 128 bits.
bool above(const LimitState::Share& share, Decimal limit) {
  if (limit.units >= Decimal::one) return false;
  return static_cast<Int128>(share.limited) * Decimal::one > limit.units * static_cast<Int128>(share.decisions);
}

std::string percent_text(Decimal share) {
  const std::optional<Decimal> percent = multiply(share, Decimal::from_integer(100));
  return percent ? to_text(*percent) + "%" : to_text(share);
}

// The strictest action of the hits, and nothing when none of them decides (S14).
std::optional<Action> strictest_of(std::span<const Hit* const> hits) {
  std::optional<Action> strictest;
  for (const Hit* hit : hits) {
    if (!takes_part(*hit) || !hit->action || *hit->action == Action::page) continue;
    if (!strictest || *hit->action > *strictest) strictest = hit->action;
  }
  return strictest;
}

std::string default_reason(Action action, std::span<const Hit* const> hits) {
  std::vector<std::string_view> rules;
  for (const Hit* hit : hits) {
    if (!takes_part(*hit) || hit->action != action) continue;
    if (std::find(rules.begin(), rules.end(), hit->rule->name) == rules.end()) rules.push_back(hit->rule->name);
  }
  if (rules.empty()) return "no rule decided: allow";
  std::string text = rules.size() == 1 ? "rule " : "rules ";
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (i > 0) text += ", ";
    text += rules[i];
  }
  text += rules.size() == 1 ? " decides " : " decide ";
  text += event::to_text(action);
  return text;
}

}  // namespace

Policy default_policy(std::string event_type) {
  Policy policy;
  policy.name = "default";
  policy.event = std::move(event_type);
  policy.is_default = true;
  return policy;
}

std::string to_text(const Policy& policy) {
  std::string text = "policy " + policy.name + " on " + policy.event;
  if (policy.is_default) return text + ": strictest action of the rules, else allow\n";
  text += policy.sum ? ": score sum" : ": score max";
  if (policy.cap) text += " max " + to_text(*policy.cap);
  text += '\n';
  for (std::size_t i = 0; i < policy.lines.size(); ++i) {
    const PolicyLine& line = policy.lines[i];
    text += "  " + std::to_string(i + 1) + ": ";
    text += line.text.empty() ? std::string(event::to_text(line.action)) : line.text;
    text += '\n';
  }
  if (policy.limit) {
    text += "  limit ";
    text += event::to_text(policy.limit->action);
    text += " to " + percent_text(policy.limit->share) + " per " + to_text(policy.limit->per) + " else ";
    text += event::to_text(policy.limit->otherwise);
    text += '\n';
  }
  return text;
}

void LimitState::forget_oldest() {
  total_.decisions -= moments_.front().decisions;
  total_.limited -= moments_.front().limited;
  moments_.pop_front();
}

LimitState::Share LimitState::as_of(Timestamp now, const Limit& limit) {
  if (action_ != limit.action) {
    action_ = limit.action;
    moments_.clear();
    total_ = {};
  }
  // W1: `last per` is open at its start.
  const Timestamp start = now - limit.per;
  while (!moments_.empty() && moments_.front().time <= start) forget_oldest();
  return total_;
}

void LimitState::add(Timestamp now, bool limited) {
  if (moments_.empty() || moments_.back().time < now ||
      moments_.back().decisions == std::numeric_limits<std::uint32_t>::max()) {
    if (moments_.size() == moments_max) {
      forget_oldest();
      ++forgotten_count_;
    }
    moments_.push_back({moments_.empty() ? now : std::max(now, moments_.back().time)});
  }
  moments_.back().decisions += 1;
  moments_.back().limited += limited ? 1U : 0U;
  total_.decisions += 1;
  total_.limited += limited ? 1U : 0U;
}

void LimitState::encode(std::string& out) const {
  ByteWriter writer(out);
  writer.put_u8(limit_format);
  writer.put_u8(static_cast<std::uint8_t>(action_));
  writer.put_varint(moments_.size());
  Timestamp before;
  for (const Moment& moment : moments_) {
    // Differences modulo 2^64: right for any two moments, and small for those that occur.
    writer.put_varint(static_cast<std::uint64_t>(moment.time.us) - static_cast<std::uint64_t>(before.us));
    writer.put_varint(moment.decisions);
    writer.put_varint(moment.limited);
    before = moment.time;
  }
}

std::optional<LimitState> LimitState::decode(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.get_u8() != limit_format) return std::nullopt;
  const std::uint8_t action = reader.get_u8();
  if (action >= event::action_count) return std::nullopt;
  const std::uint64_t count = reader.get_varint();
  if (count > moments_max) return std::nullopt;
  LimitState state;
  state.action_ = static_cast<Action>(action);
  Timestamp before;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto time = static_cast<std::int64_t>(static_cast<std::uint64_t>(before.us) + reader.get_varint());
    const std::uint64_t decisions = reader.get_varint();
    const std::uint64_t limited = reader.get_varint();
    if (reader.failed()) return std::nullopt;
    if (i > 0 && time < before.us) return std::nullopt;
    if (decisions == 0 || decisions > std::numeric_limits<std::uint32_t>::max() || limited > decisions)
      return std::nullopt;
    before = {time};
    state.moments_.push_back({before, static_cast<std::uint32_t>(decisions), static_cast<std::uint32_t>(limited)});
    state.total_.decisions += decisions;
    state.total_.limited += limited;
  }
  if (reader.failed() || !reader.at_end()) return std::nullopt;
  return state;
}

bool takes_part(const Hit& hit) { return !hit.shadow && !hit.deadline; }

bool any_rule_decides(std::span<const Hit* const> hits, Action action) {
  return std::any_of(hits.begin(), hits.end(),
                     [action](const Hit* hit) { return takes_part(*hit) && hit->action == action; });
}

Decimal score_of(const Policy& policy, std::span<const Hit* const> hits) {
  // Gains and losses are added apart, so that with saturation, too, the order of the rules has no say.
  Decimal gains;
  Decimal losses;
  std::optional<Decimal> highest;
  for (std::size_t i = 0; i < hits.size();) {
    const std::string& rule = hits[i]->rule->name;
    std::optional<Decimal> best;
    for (; i < hits.size() && hits[i]->rule->name == rule; ++i) {
      if (!takes_part(*hits[i])) continue;
      const Decimal score = hits[i]->score.value_or(Decimal{});
      if (!best || score > *best) best = score;
    }
    if (!best) continue;
    Decimal& side = best->units < 0 ? losses : gains;
    side = add_saturating(side, *best);
    if (!highest || *best > *highest) highest = best;
  }
  // Of opposite signs: always fits.
  const Decimal sum{gains.units + losses.units};
  const Decimal score = policy.sum ? sum : highest.value_or(Decimal{});
  return policy.cap ? std::min(score, *policy.cap) : score;
}

Decision decide(const Policy& policy, std::span<const bool> line_truth, std::span<const Hit* const> hits, Decimal score,
                const DecidedEvent& event, LimitState& limit_state, bool cut) {
  TOCSIN_CHECK(line_truth.size() == policy.lines.size(), policy.name, line_truth.size(), policy.lines.size());
  Decision decision;
  decision.id = decision_id(event.type, event.id, policy.name);
  decision.policy = &policy;
  decision.event = event;
  decision.score = score;
  if (policy.is_default) decision.action = strictest_of(hits).value_or(Action::allow);
  for (std::size_t i = 0; i < policy.lines.size(); ++i) {
    if (!line_truth[i] && !policy.lines[i].otherwise) continue;
    const auto number = static_cast<std::uint32_t>(i + 1);
    if (decision.line == 0) {
      decision.line = number;
      decision.action = policy.lines[i].action;
    } else {
      decision.also.push_back(number);
    }
  }
  if (cut && policy.on_error && *policy.on_error > decision.action) {
    decision.error = true;
    decision.action = *policy.on_error;
  }
  if (policy.limit) {
    const Limit& limit = *policy.limit;
    LimitState::Share share = limit_state.as_of(event.time, limit);
    share.decisions += 1;
    if (decision.action == limit.action) {
      share.limited += 1;
      if (limit.otherwise != limit.action && share.decisions >= limit_from_count && above(share, limit.share)) {
        decision.limited = decision.action;
        decision.action = limit.otherwise;
        decision.share = share;
      }
    }
    // What the limit turned into something else is not the action any more: the share it holds is that of what went
    // out.
    limit_state.add(event.time, decision.action == limit.action);
  }
  return decision;
}

std::string reason_of(const Decision& decision, std::span<const Hit* const> hits) {
  const Policy& policy = *decision.policy;
  std::string text;
  if (policy.is_default) {
    text = default_reason(decision.action, hits);
  } else if (decision.line == 0) {
    text = "no line was true: allow";
  } else {
    const PolicyLine& line = policy.lines[decision.line - 1];
    text = "line " + std::to_string(decision.line) + ": ";
    text += line.text.empty() ? std::string(event::to_text(line.action)) : line.text;
  }
  if (decision.error) {
    text += "; on error ";
    text += event::to_text(*policy.on_error);
    text += ": a bound of the matcher was reached, and a hit may be missing";
  }
  if (decision.limited && policy.limit) {
    text += "; limited to ";
    text += event::to_text(decision.action);
    text += ", since with this one ";
    text += event::to_text(*decision.limited);
    text += " would be " + std::to_string(decision.share.limited) + " of " + std::to_string(decision.share.decisions) +
            " decisions in " + to_text(policy.limit->per) + ", more than " + percent_text(policy.limit->share);
  }
  return text;
}

}  // namespace tocsin::alerts
