// The engine: items in, hits, decisions and alerts out. From ordering to alert it is a function of its input: no clock, no
// I/O, no random number, no hash order in any output. A batch is an epoch: it is evaluated stratum by stratum (derived fields
// and predicates, features by their keys, patterns and rules by theirs), within a stratum shard by shard in the total order;
// the output is put in the order of T3 and does not depend on the number of shards or on where batches end.
//
// Owner: whoever runs a task (replay, daemon, tests). One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/run/item.h"
#include "engine/run/outbox.h"
#include "engine/run/ruleset.h"
#include "state/store.h"

namespace tocsin::engine {

/// From when on the input is complete: features whose window reaches back before it are warming (LANGUAGE S11).
struct DataBegins {
  enum class Kind : std::uint8_t { first_event, at, complete };
  Kind kind = Kind::first_event;
  Timestamp at;
};

/// How long judged events are kept for the windows of later rules (state/history.h), in event time. Zero: not at all.
struct HistoryOptions {
  Duration all;                             // of types that are not named
  std::map<std::string, Duration> by_type;  // by name

  [[nodiscard]] Duration of(const std::string& type) const {
    const auto own = by_type.find(type);
    return own == by_type.end() ? all : own->second;
  }
};

struct EngineOptions {
  std::uint32_t shards = 1;
  std::uint32_t partitions = 1;    // how many the source has; more may appear later
  std::vector<Duration> lateness;  // per partition; missing ones 0
  Duration dedupe = Duration::hours(1);
  DataBegins data_begins;
  std::size_t program_bytes_max = 1 << 20;  // per rule and key (LANGUAGE S9)
  bool checkpoints = true;                  // false: capture() will not be called, nothing is remembered for it
  HistoryOptions history;                   // without checkpoints there is none
};

/// Counted since the start of the process; for metrics, status and summary. Names are those of rules and fields.
struct Counters {
  std::uint64_t events = 0;  // arrived, duplicates and late ones included
  std::uint64_t judged = 0;  // released in order and evaluated (late ones too)
  std::uint64_t late = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t decisions = 0;
  std::uint64_t truncated = 0;  // hits that a bound may have changed
  std::map<std::string, std::uint64_t> hits_by_rule;
  std::map<std::string, std::uint64_t> alerts_by_rule;
  std::map<std::string, std::uint64_t> folded_by_rule;
  std::map<std::string, std::uint64_t> suppressed_by_rule;
  std::map<std::string, std::uint64_t> resolved_by_rule;
  std::map<std::string, std::uint64_t> excepted_by_rule;  // "rule/except name"
  std::map<std::string, std::uint64_t> decisions_by_action;
  /// How often which bound was reached. Those of nfa/limits.h (P20) as "rule/search" (cut: a match may be lost), "rule/every" (more
  /// than 100 matches of one event), "rule/memory" (the oldest were dropped). Those of all rules together as
  /// "engine/window_entries" (a window of one key was full), "engine/reorder_buffer" (full: the watermark was pushed on),
  /// "engine/text_patterns" (one took too many steps: unknown), "engine/facts" (no further label or list entry was taken),
  /// "engine/open_alerts" (no further alert could wait or be open), "engine/limit_moments" (a policy's `limit` looked at less than its span).
  std::map<std::string, std::uint64_t> bounds;
  std::map<std::pair<std::string, std::string>, std::uint64_t> unknown_by_rule_and_field;
  std::vector<std::string> duplicate_samples;  // first few, "type key"
};

/// An absence whose deadline the input did not reach.
struct Undecided {
  std::string rule;
  std::string key;  // as JSON object
  Timestamp deadline;
};

/// What became of the begun matches of a sequence when the rules changed.
struct TakenUp {
  enum class Kind : std::uint8_t { kept, in_part, anew, added };
  std::string rule;
  Kind kind = Kind::kept;
  std::string text;  // for people: "kept up to step 2 of 3; …", "begins anew: …"
};

struct PartitionPosition {
  std::uint32_t partition = 0;
  std::uint64_t sequence = 0;  // of the last event taken
  Timestamp largest_time = Timestamp::min();
  bool active = false;
};

class Fill;
class Tracer;

class Engine {
 public:
  Engine(std::shared_ptr<const Ruleset> ruleset, EngineOptions options);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// Takes the items in order; output of everything they released goes to `out`.
  void step(std::span<const Item> items, Outbox& out);

  /// Tells `tracer` what it asks about, from now on (engine/run/trace.h); nullptr: nobody asks. Requires: a ruleset built for
  /// explaining, and steps of one item.
  void trace(Tracer* tracer);

  [[nodiscard]] Timestamp watermark() const;
  [[nodiscard]] const Counters& counters() const;
  [[nodiscard]] std::vector<Undecided> undecided() const;
  [[nodiscard]] std::vector<PartitionPosition> positions() const;
  [[nodiscard]] const std::shared_ptr<const Ruleset>& ruleset() const;
  /// One of the ruleset's questions, as an event that came now would find it; `now`: no earlier than the watermark.
  [[nodiscard]] event::Value answer_question(std::size_t question, Timestamp now);
  [[nodiscard]] bool has_label(std::uint32_t label, const event::Value& whom, Timestamp now) const;
  /// What is still warming, "feature text: until TIME", "first `no` of RULE: until TIME"; for summary and status.
  [[nodiscard]] std::vector<std::string> warming() const;
  [[nodiscard]] std::size_t key_count() const;
  /// By rule, of the last activation.
  [[nodiscard]] const std::vector<TakenUp>& taken_up() const;
  /// Events waiting in the reorder buffer.
  [[nodiscard]] std::size_t waiting_count() const;

  /// Everything that changed since the last capture, as one set of writes: dirty keys, log tail, history, open alerts, ids seen,
  /// waiting events, positions, counters of the order, digest and text of the active rules (text: as given to the ruleset).
  void capture(state::WriteSet& writes);
  /// The same in pieces, so that events wait for none of them long: what begin_capture() was called at is the moment of all of it.
  /// The keys and ids follow, `count` of them with each capture_some(), while steps go on between; a key that a step is about
  /// to touch is written down before. True: it is whole and `writes` holds it (untouched before that). No activation may be
  /// stepped meanwhile, and no other capture begun.
  void begin_capture();
  bool capture_some(std::size_t count, state::WriteSet& writes);
  /// Takes up what a store holds; call once, before the first step. An empty store leaves the engine fresh and gives false.
  /// The ruleset of this engine must be that of the checkpoint or a newer one: state of what means the same is kept.
  Result<bool> restore(state::Store& store);

  /// What was judged since the last capture weighs so much; who captures bounds it.
  [[nodiscard]] std::size_t history_bytes() const;
  /// Events judged so far, and hits judged as events.
  [[nodiscard]] std::uint64_t released() const;
  /// Forgets what is older than its retention, and what nobody keeps any more. It goes with the checkpoint after this call, and from
  /// the disk at the call after that one. To be called when what was captured is in the store and no commit is on its way.
  Status trim_history(state::Store& store);
  /// What `next` would have to learn from the history, and can, if it went live now (engine/run/fill.h).
  [[nodiscard]] std::shared_ptr<Fill> plan_fill(std::shared_ptr<const Ruleset> next) const;

  struct State;  // engine/run/engine_state.h; for the files of this folder

 private:
  friend class Fill;
  std::unique_ptr<State> state_;
};

}  // namespace tocsin::engine
