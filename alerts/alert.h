// What becomes of a hit when the alerts are made (SEMANTICS, part L): alerts are the last thing, no hit, effect or
// decision depends on them. An alert has the id of the hit that made it and is sent once, when it is made; later hits
// that are folded into it go out as hits that name it, so nothing is lost and nothing is sent per fold. The closed set
// below grows with the clauses that change an alert after it was made (`resolve`, `suppressed by`).
#pragma once

#include <cstdint>
#include <span>

#include "alerts/hit.h"
#include "base/hash.h"

namespace tocsin::alerts {

struct AlertOutcome {
  enum class Kind : std::uint8_t {
    none,    // L1: severity info, or a shadow rule
    made,    // an alert of its own: one record, state "open"
    folded,  // L2: counted with the alert named here
  };
  Kind kind = Kind::none;
  Digest alert;  // unless none

  bool operator==(const AlertOutcome&) const = default;
};

/// What an alert is about: the key of `alert once … by`, else of the rule (L3). Empty when the rule has neither.
inline std::span<const NamedValue> alert_key(const Hit& hit) {
  if (hit.once_key) return *hit.once_key;
  return hit.key;
}

}  // namespace tocsin::alerts
