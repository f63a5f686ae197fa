// A hit: a rule was true once, with its evidence ready-made. The engine fills it in the stated order; from here on nobody
// evaluates anything. Values come as JSON text (exact, for records) and as shown text (for people).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/decimal.h"
#include "base/hash.h"
#include "base/time.h"
#include "event/action.h"

namespace tocsin::alerts {

/// What is constant about a rule for hits and alerts. Lives in the ruleset.
struct RuleInfo {
  std::string name;
  Digest revision;  // hash of the rule's checked meaning, without title, texts, tags, owner, severity
  std::string title, owner, runbook;
  event::Severity severity = event::Severity::medium;
  std::vector<std::string> tags;
  std::optional<Duration> once_per;  // `alert once per`
  bool resolves = false;             // `resolve on`
  struct Suppression {
    std::string by;      // the other rule
    std::string clause;  // names the clause: both rules and the key
    Duration hold;
  };
  std::vector<Suppression> suppressed_by;
  std::vector<std::string> suppresses;  // clauses of other rules that name this one
};

struct NamedValue {
  std::string name;
  std::string json;    // exact, JSON syntax; what identities are made of
  std::string masked;  // what records show instead, JSON syntax; empty: the same
  [[nodiscard]] const std::string& shown() const { return masked.empty() ? json : masked; }
};

struct BoundEvent {
  std::string alias;  // of the step, as written or the stream's name
  std::string type;
  std::string id;  // declared key
  Timestamp time;
};

struct Hit {
  const RuleInfo* rule = nullptr;
  Digest id;                          // identity.h
  Timestamp at;                       // of the completing event, or the deadline
  std::optional<Timestamp> deadline;  // when time completed it
  std::vector<NamedValue> key;        // rules `per`: the key; rules `on`: empty
  std::vector<BoundEvent> events;     // all bound events, steps in written order
  std::vector<NamedValue> values;     // lets, then shown values, then features used, each once by name
  std::string because;
  std::optional<event::Action> action;  // of `decide`, its condition applied
  std::optional<Decimal> score;
  std::optional<std::vector<NamedValue>>
      once_key;  // key of `alert once … by`; nothing when a part is missing or no clause
  std::vector<std::optional<std::string>>
      same;             // keys under the clauses of suppressed_by, then of suppresses; nothing when a part is missing
  bool shadow = false;  // of a shadow rule, or outside of a rule's rollout (E5)
  bool truncated = false;  // a bound was reached: the evidence may be incomplete
};

}  // namespace tocsin::alerts
