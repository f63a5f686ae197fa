// History in, records and a summary out: the same engine as live, over files. What comes out is a function of the rules, the
// events and their order in the argument list, and of the options that change meaning (lateness, memory of duplicates, where the data
// begins, `until`); it does not depend on shards, batches, the machine's speed, or a kill in the middle when a store is given.
//
// The partition of a file is its place in the argument list. Files are merged by reading on, each time, from the open one whose
// largest event time is smallest (of equals the first): so reading order is a function of the input too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/run/engine.h"
#include "engine/run/intake.h"
#include "event/decode.h"
#include "event/source.h"
#include "state/store.h"

namespace tocsin::replay {

struct ReplayProgress {
  std::uint64_t records = 0;
  event::Progress source;
};

struct ReplayOptions {
  std::vector<std::string> events;  // files and directories; "-" is the standard input
  std::string out;                  // directory
  std::uint32_t shards = 1;
  std::size_t batch = 512;         // items per step
  std::optional<Timestamp> until;  // time moves on to here at the end
  engine::DataBegins data_begins;
  Duration lateness;  // of every file
  Duration dedupe = Duration::hours(1);
  event::SourceFormat format;
  state::Store* store = nullptr;  // if given: a checkpoint now and then, and going on from the last one
  std::uint64_t checkpoint_events = 500'000;
  const Clock* clock = nullptr;  // if given: how long checkpoints stopped the events is measured
  /// Called after every batch; false: stop here, without a checkpoint.
  std::function<bool(const ReplayProgress&)> progress;
};

struct ReplaySummary {
  engine::IntakeCounts intake;
  std::vector<event::UnknownField> unknown_fields;
  engine::Counters counters;
  std::vector<engine::Undecided> undecided;  // by deadline, rule, key
  std::vector<std::string> warming;
  std::string data_begins;
  std::optional<Timestamp> until;
  std::string ruleset;                                     // digest
  std::vector<std::pair<std::string, std::string>> rules;  // name, revision; by name
  // Not in the summary file: what differs from run to run.
  std::uint64_t resumed_at = 0;  // records taken by earlier runs
  std::uint64_t checkpoints = 0;
  Duration longest_stall;    // no event was judged for so long while a checkpoint was made
  Duration longest_capture;  // of that, putting the state together; the rest is the disk
};

/// Writes hits, alerts, decisions and dead letters as .ndjson and summary.json into `out`. Refuses a directory that holds anything
/// else, files that do not read, a store of other rules or other options.
Result<ReplaySummary> replay(const ReplayOptions& options, const std::shared_ptr<const engine::Ruleset>& ruleset);

/// The content of summary.json: nothing in it depends on shards, batches, time taken or paths.
std::string to_json(const ReplaySummary& summary);
/// The same for a person, shorter.
std::string to_text(const ReplaySummary& summary);

}  // namespace tocsin::replay
