// The records that go out, each one line of JSON without its line break: fixed names in a fixed order, what is absent
// left out, so that equal content is equal bytes. docs/records.md states every field. What is JSON text already (keys,
// values) is taken as it is; everything else is quoted here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "alerts/alert.h"
#include "alerts/decision.h"
#include "alerts/hit.h"
#include "event/event.h"

namespace tocsin::alerts {

/// `ruleset`: digest of the active rule set as text.
std::string hit_record(const Hit& hit, const AlertOutcome& outcome, std::string_view ruleset);
/// Of the hit that made the alert: `outcome` is made, held, suppressed or reopened.
std::string alert_record(const Hit& hit, const AlertOutcome& outcome, std::string_view ruleset);
/// What of it does not change: everything up to the rule set and the state, without the end of the object.
std::string alert_body(const Hit& hit);
/// Of an alert made before.
std::string alert_record(const AlertChange& change, std::string_view ruleset);
/// `hits` as decide() got them.
std::string decision_record(const Decision& decision, std::span<const Hit* const> hits, std::string_view ruleset);

/// An event that was refused.
struct DeadLetter {
  std::string_view reason;              // event::to_text(Reason)
  std::string_view field;               // empty when it is about the whole line
  std::optional<std::uint64_t> offset;  // byte of `bytes` where it was noticed
  event::Position position;
  std::string_view bytes;   // as they came
  std::string_view source;  // name of the partition, a path or a topic and number; empty: it has none
};
std::string dead_letter_record(const DeadLetter& letter);

// The key under which a record goes to Kafka: the plain text of the first value of the rule's key (of the alert's key),
// or the id of the first event. So the records about one user stand in one partition, in order.
std::string hit_record_key(const Hit& hit);
std::string alert_record_key(const Hit& hit);
std::string alert_record_key(const AlertChange& change);
std::string decision_record_key(const Decision& decision);

}  // namespace tocsin::alerts
