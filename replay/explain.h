// Why did a rule fire on an event, or not? The events are run through the same engine as in a replay, one by one up to the event asked
// about, with a tracer listening (engine/run/trace.h): a first time to learn under which keys the rule looks at the event, a second
// time to keep the events of those keys. A sequence with a final `no` is followed until it is decided or the events end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/rules.h"
#include "event/decode.h"
#include "replay/account.h"

namespace tocsin::replay {

struct ExplainOptions {
  // One of the three says what is asked about.
  std::string event_id;  // the key of an event among `events`
  std::string
      event_text;  // JSON lines (or one object over several lines): the last one is asked about, those before it are history
  std::string alert_id;  // of an alert or a hit
  std::string rule;      // not with alert_id
  std::vector<std::string> events;
  Duration lateness;
  Duration dedupe = Duration::hours(1);
  engine::DataBegins data_begins;
  event::SourceFormat format;
  std::optional<Timestamp> until;  // time moves on to here at the end
};

struct Explained {
  std::vector<engine::Account> accounts;  // none: there is no such event or alert, and `said` tells
  std::optional<RuleWords> words;
  std::string said;  // what else is to be told, a sentence each line: refused, a duplicate, not there
};

/// Requires: rules that load. An error is of the world (files) or of use (no such rule: ErrorKind::refused).
Result<Explained> explain(const ExplainOptions& options, const engine::Rules& rules);

std::string to_text(const Explained& explained);
std::string to_json(const Explained& explained);

}  // namespace tocsin::replay
