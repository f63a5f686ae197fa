// The loop of one task: poll, decode, step, deliver, and now and then a checkpoint. One task owns all partitions in
// this version.
//
// Three things are decided here and not by the events: that a partition is idle, that time moves on by itself (a tick),
// and that other rules go live (an activation). Each is written into a checkpoint before it is carried out, so a
// restart carries it out at the same place of the input (daemon/record.h). The order of every checkpoint: what was
// delivered is safe, then state and positions are written in one commit. So nothing is lost by a kill, and what is sent
// twice has the same id and content.
//
// A checkpoint of every interval does not hold up the events for long: at its moment positions are noted and the keys that changed are
// marked; then they are written down some hundred at a time between the batches (a key that an event is about to touch before), and a
// thread of its own brings all of it to the disk. Until that has happened the one before is what a restart finds. Checkpoints
// with decisions, and the last one, are waited for.
//
// Windows that a reload brings are filled from the history of events before the rules go live (engine/run/fill.h): a thread reads it
// beside the events, in rounds, each up to the last checkpoint; what was judged since is read at the swap, behind the
// checkpoint that decides it. A restart that finds that decision reads all of it there, to the same end.
//
// Time while all partitions are idle: the watermark is brought to
//     largest event time + wall time since that event came − lateness − idle_after
// at every checkpoint interval. The wall clock stands in for the events' own, and `idle_after` behind it, so that an
// event which is merely on its way is not called late.
//
// Owner and thread: one; the compiler of a reload, the reader of the history and the writer of a checkpoint run beside it and touch
// nothing of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "daemon/feed.h"
#include "daemon/notices.h"
#include "daemon/record.h"
#include "daemon/rules.h"
#include "daemon/status.h"
#include "engine/run/commit.h"
#include "engine/run/engine.h"
#include "engine/run/fill.h"
#include "engine/run/intake.h"
#include "state/store.h"

namespace tocsin::daemon {

struct TaskOptions {
  engine::EngineOptions engine;  // partitions and lateness are filled in here
  Duration lateness;
  event::SourceFormat format;
  Duration idle_after = Duration::seconds(30);
  Duration checkpoint_interval = Duration::seconds(10);
  std::uint64_t checkpoint_events = 1'000'000;
  std::size_t batch = 512;  // items per step
  Duration poll_wait = Duration::milliseconds(50);
  bool checkpoints_aside = true;  // false: every checkpoint is waited for
};

/// What a task stands on; all of it outlives the task.
struct TaskWorld {
  Feed& feed;
  engine::Commit& commit;
  state::Store& store;
  const Clock& clock;
  Notices notices;
  std::function<void()> alive;  // called now and then in what takes long at the start, or at a swap
};

class Task {
 public:
  /// Takes up what the store holds and goes on from there with the rules of the checkpoint; a new store begins with
  /// `rules`. When both are there and differ, `rules` go live at once, as by a reload. `rules` without a ruleset is
  /// fine as long as the store has one. `load` is for later reloads.
  static Result<std::unique_ptr<Task>> start(TaskOptions options, RulesLoaded rules, RuleLoader load, TaskWorld world);
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// One round; waits a moment when there is nothing. False: the input has ended, and a checkpoint holds all of it.
  Result<bool> turn();
  /// Compiles beside the running rules and swaps when that is done.
  void reload();
  /// A checkpoint of everything taken so far; to be called before a planned end.
  Status finish();

  [[nodiscard]] TaskStatus status() const;
  [[nodiscard]] const engine::Engine& engine() const { return *engine_; }

 private:
  struct Compiler;
  struct Filling;
  struct Underway;
  /// How long nothing has come from a partition.
  struct Watch {
    Timestamp quiet_since;
    bool idle = false;
  };

  Task(TaskOptions options, RuleLoader load, TaskWorld world);
  Status restore(RulesLoaded rules);
  Status flush();
  Status checkpoint(std::vector<Decided> decided);
  Status begin_checkpoint(std::vector<Decided> decided);
  enum class Pace : std::uint8_t { piece, idle, to_the_end };
  Status go_on_with_checkpoint(Pace pace);
  Status decide(std::vector<Decided> decided);
  Status carry_out(std::vector<Decided>& decided);
  Status watch();
  /// Where windows of new rules are filled from the history: beside the events, or at once.
  enum class Filled : std::uint8_t { beside, at_once };
  Status adopt(RulesLoaded rules, Filled how);
  Status go_on_with_filling();
  Status go_live(RulesLoaded rules);
  /// What the windows of `next` take over from the history, read to its end; nothing: they warm, and it was said. Requires: all
  /// that was judged is in the store.
  std::shared_ptr<engine::Fill> fill_windows(const std::shared_ptr<const engine::Ruleset>& next);
  void reload_failed(const std::string& why);
  [[nodiscard]] std::optional<Timestamp> tick_time() const;
  void say(Level level, std::string_view code, std::string text,
           std::vector<std::pair<std::string, std::string>> fields = {}) const;

  TaskOptions options_;
  RuleLoader load_;
  TaskWorld world_;
  std::optional<engine::Intake> intake_;
  std::unique_ptr<engine::Engine> engine_;
  engine::Outbox outbox_;
  std::vector<event::RawRecord> records_;
  std::vector<Watch> watches_;
  TaskRecord record_;                            // `decided`: what the last checkpoint holds
  std::shared_ptr<const engine::Ruleset> next_;  // of the activation being carried out
  std::unique_ptr<Compiler> compiler_;           // while a reload compiles
  bool reload_again_ = false;
  std::unique_ptr<Filling> filling_;    // while windows of the next rules are filled
  std::unique_ptr<Underway> underway_;  // the checkpoint whose moment has been and which is not in the store yet
  std::uint64_t records_at_checkpoint_ = 0;
  std::uint64_t released_at_checkpoint_ = 0;  // of the last one that is in the store
  Timestamp checkpointed_at_;
  bool changed_ = false;  // something a checkpoint would hold, since the last one
  std::string trouble_;   // last said
  TaskStatus numbers_;    // what is counted here; the rest is filled in by status()
};

}  // namespace tocsin::daemon
