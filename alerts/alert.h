// What becomes of a hit when the alerts are made (SEMANTICS, part L): alerts are the last thing, no hit, effect or
// decision depends on them. An alert has the id of the hit that made it and is sent once, when it is made; later hits
// that are folded into it go out as hits that name it, so nothing is lost and nothing is sent per fold. What happens to
// an alert afterwards (it was held and opens or is suppressed, it is resolved, it opens again) is a record of its own
// with the same id.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "alerts/hit.h"
#include "base/hash.h"

namespace tocsin::alerts {

struct AlertOutcome {
  enum class Kind : std::uint8_t {
    none,        // L1: severity info, or a shadow rule
    made,        // an alert of its own: one record, state "open"
    folded,      // L2, L3: counted with the alert named here
    reopened,    // L4: folded, and the alert named here is open again
    held,        // L5: an alert of its own that waits, state "held"
    suppressed,  // L5: an alert of its own that falls away, state "suppressed"
  };
  Kind kind = Kind::none;
  Digest alert;                    // unless none
  Timestamp held_until;            // held
  std::string by;                  // suppressed: the rule
  std::uint64_t folded_count = 0;  // reopened

  bool operator==(const AlertOutcome&) const = default;
};

/// What happened to an alert after it was made.
struct AlertChange {
  enum class Kind : std::uint8_t { opened, suppressed, resolved };
  Kind kind = Kind::opened;
  Digest id;
  std::string rule;
  Timestamp at;                    // of the alert
  Timestamp time;                  // of the change
  std::string by;                  // suppressed: the rule; resolved: the event's type
  std::string by_event;            // resolved: the event's declared key
  std::vector<NamedValue> key;     // resolved
  std::uint64_t folded_count = 0;  // resolved
  std::string body;                // opened, suppressed: the alert as it was made
  std::string record_key;
};

/// What an alert is about: the key of `alert once … by`, else of the rule (L3). Empty when the rule has neither.
inline std::span<const NamedValue> alert_key(const Hit& hit) {
  if (hit.once_key) return *hit.once_key;
  return hit.key;
}

}  // namespace tocsin::alerts
