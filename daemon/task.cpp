#include "daemon/task.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/check.h"

namespace tocsin::daemon {

namespace {

// Records of one turn: between two looks at signals, clock and reload.
constexpr std::size_t turn_records_max = 8192;
// Keys and ids of a checkpoint that are written down between two batches: about a millisecond.
constexpr std::size_t captured_at_a_time = 512;
constexpr std::size_t captured_when_idle = 4096;
// The history of so many bytes waits for a checkpoint at most; then one is begun, or the one on its way is waited for.
constexpr std::size_t history_waiting_bytes = std::size_t{64} << 20U;
// When fewer events than this were judged since the checkpoint up to which the history was read, the rest is read at the swap. After
// some rounds it is so in any case: who cannot keep up must not wait for ever.
constexpr std::uint64_t fill_behind_max = 100'000;
constexpr unsigned fill_rounds_max = 8;

std::uint64_t since(std::chrono::steady_clock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count());
}

std::string milliseconds(std::uint64_t us) {
  return std::to_string(us / 1000) + "." + std::to_string(us / 100 % 10) + " ms";
}

}  // namespace

/// A reload on its way: the thread fills `rules` and then sets `done`; until then nobody else looks.
struct Task::Compiler {
  explicit Compiler(RuleLoader load)
      : thread([this, load = std::move(load)] {
          rules = load();
          done.store(true, std::memory_order_release);
        }) {}
  ~Compiler() { thread.join(); }
  RulesLoaded rules;
  std::atomic<bool> done{false};
  std::thread thread;  // last: it uses what stands above
};

/// Rules that go live when their windows are filled. While `thread` runs, `fill` and `read` are its.
struct Task::Filling {
  ~Filling() {
    stop.store(true);
    if (thread.joinable()) thread.join();
  }
  RulesLoaded rules;
  std::shared_ptr<engine::Fill> fill;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  unsigned rounds = 0;      // of reading
  std::uint64_t up_to = 0;  // what the last round read
  Status read;
  std::atomic<bool> stop{false};
  std::atomic<bool> done{false};
  std::thread thread;
};

/// A checkpoint on its way. While `thread` runs, `writes` and `written` are its.
struct Task::Underway {
  ~Underway() {
    if (thread.joinable()) thread.join();
  }
  /// Events were held up since `begin`.
  std::uint64_t held(std::chrono::steady_clock::time_point begin) {
    const std::uint64_t us = since(begin);
    longest_us = std::max(longest_us, us);
    all_us += us;
    return us;
  }

  state::WriteSet writes;
  std::uint64_t records = 0;   // taken at its moment
  std::uint64_t released = 0;  // and judged
  bool captured = false;
  std::uint64_t longest_us = 0;
  std::uint64_t all_us = 0;
  std::uint64_t capture_us = 0;
  Status written;
  std::atomic<bool> done{false};
  std::thread thread;
};

Task::Task(TaskOptions options, RuleLoader load, TaskWorld world)
    : options_(std::move(options)), load_(std::move(load)), world_(std::move(world)) {}
Task::~Task() = default;

void Task::say(Level level, std::string_view code, std::string text,
               std::vector<std::pair<std::string, std::string>> fields) const {
  if (world_.notices) world_.notices({level, code, std::move(text), std::move(fields)});
}

Result<std::unique_ptr<Task>> Task::start(TaskOptions options, RulesLoaded rules, RuleLoader load, TaskWorld world) {
  std::unique_ptr<Task> task(new Task(std::move(options), std::move(load), std::move(world)));
  if (Status restored = task->restore(std::move(rules)); !restored) return restored.error();
  return task;
}

// ---------------------------------------------------------------- start

Status Task::restore(RulesLoaded rules) {
  Result<std::optional<TaskRecord>> stored = stored_task_record(world_.store);
  if (!stored) return stored.error();
  const bool known = stored.value().has_value();
  std::shared_ptr<const engine::Ruleset> active = rules.ruleset;
  if (known) {
    record_ = *stored.value();
    numbers_.resumed = true;
    Result<std::optional<std::vector<engine::RuleFileText>>> texts = stored_rules(world_.store);
    if (!texts) return texts.error();
    if (texts.value()) {
      RulesLoaded of_checkpoint = rules_of_texts(*texts.value());
      if (of_checkpoint.ruleset) {
        active = of_checkpoint.ruleset;
      } else {
        say(Level::warning, "stored_rules_unreadable",
            "the rules of the last checkpoint do not compile any more; state of what means the same in the rule files "
            "is kept:\n" +
                of_checkpoint.messages);
      }
    }
  }
  if (!active) return Error{ErrorKind::refused, "there are no rules to run:\n" + rules.messages};

  Result<engine::Intake> intake = engine::Intake::make(active->schema, {options_.format});
  if (!intake && rules.ruleset && rules.ruleset != active) {
    // The configuration was changed together with the rules: only the new ones fit it.
    say(Level::warning, "stored_rules_unfit",
        "source.format does not fit the rules of the last checkpoint; the rule files are taken at once: " +
            intake.error().text);
    active = rules.ruleset;
    intake = engine::Intake::make(active->schema, {options_.format});
  }
  if (!intake) return intake.error().while_doing("source.format");
  intake_ = intake.take();
  record_.partitions = world_.feed.partitions();
  std::vector<std::string> names;
  for (const FeedPartition& partition : record_.partitions) names.push_back(partition.name);
  intake_->name_partitions(std::move(names));
  const std::uint32_t partitions = static_cast<std::uint32_t>(record_.partitions.size());
  options_.engine.partitions = std::max<std::uint32_t>(partitions, 1);
  options_.engine.lateness.assign(partitions, options_.lateness);
  engine_ = std::make_unique<engine::Engine>(active, options_.engine);
  for (const auto& [type, keep] : options_.engine.history.by_type) {
    if (active->schema.find_event(type) || (rules.ruleset && rules.ruleset->schema.find_event(type))) continue;
    say(Level::warning, "history", "`history` names `" + type + "`, and the rules declare no such event");
  }
  watches_.assign(partitions, {world_.clock.now(), false});
  checkpointed_at_ = world_.clock.now();

  if (known) {
    if (Result<bool> restored = intake_->restore(world_.store); !restored) return restored.error();
    if (Result<bool> restored = engine_->restore(world_.store); !restored)
      return restored.error().while_doing("restoring the state");
    for (const event::SourcePosition& position : intake_->positions()) {
      // Also what had ended: a file may have been added to since.
      intake_->reopen(position.partition);
      if (Status sought = world_.feed.seek(position); !sought) return sought;
    }
    records_at_checkpoint_ = intake_->counts().records;
    released_at_checkpoint_ = engine_->released();
    say(Level::info, "restored", "went on from the last checkpoint",
        {{"records", std::to_string(intake_->counts().records)},
         {"keys", std::to_string(engine_->key_count())},
         {"ruleset", active->digest_text}});
    if (!record_.decided.empty()) {
      std::vector<Decided> decided = std::move(record_.decided);
      record_.decided.clear();
      if (Status done = carry_out(decided); !done) return done;
      if (Status written = checkpoint({}); !written) return written;
    }
  } else {
    // From here on a restart begins where this run began, also when the configuration says "latest".
    if (Status written = checkpoint({}); !written) return written;
  }

  if (rules.ruleset && rules.ruleset != active && !same_rules(*rules.ruleset, *engine_->ruleset())) {
    if (Status adopted = adopt(std::move(rules), Filled::at_once); !adopted) return adopted;
  } else if (!rules.ruleset) {
    reload_failed(rules.messages);
  }
  return {};
}

// ---------------------------------------------------------------- the round

Result<bool> Task::turn() {
  if (compiler_ && compiler_->done.load(std::memory_order_acquire)) {
    RulesLoaded rules = std::move(compiler_->rules);
    compiler_.reset();
    if (Status adopted = adopt(std::move(rules), Filled::beside); !adopted) return adopted.error();
    if (reload_again_) {
      reload_again_ = false;
      reload();
    }
  }

  if (filling_) {
    if (Status gone_on = go_on_with_filling(); !gone_on) return gone_on.error();
  }

  std::size_t taken = 0;
  while (taken < turn_records_max) {
    records_.clear();
    const Duration wait = taken == 0 ? options_.poll_wait : Duration{};
    Result<std::size_t> polled =
        world_.feed.poll(*intake_, std::min(options_.batch, turn_records_max - taken), wait, records_);
    if (!polled) return polled.error();
    const Timestamp now = world_.clock.now();
    for (const event::RawRecord& record : records_) {
      intake_->take(record, outbox_);
      watches_[record.position.partition] = {now, false};
    }
    taken += polled.value();
    if (polled.value() == 0 || intake_->pending_count() >= options_.batch || !outbox_.records.empty()) {
      if (Status flushed = flush(); !flushed) return flushed.error();
      world_.feed.recycle();
      const Pace pace = polled.value() == 0 ? Pace::idle : Pace::piece;
      if (Status gone_on = go_on_with_checkpoint(pace); !gone_on) return gone_on.error();
    }
    if (polled.value() == 0) break;
  }
  if (Status flushed = flush(); !flushed) return flushed.error();
  world_.feed.recycle();
  if (taken > 0) {
    changed_ = true;
    if (intake_->counts().last_time > record_.largest_time) {
      record_.largest_time = intake_->counts().last_time;
      record_.largest_at = world_.clock.now();
    }
  }

  const std::string trouble = world_.feed.trouble();
  if (trouble != trouble_) {
    if (trouble.empty()) {
      say(Level::info, "source_back", "the source answers again");
    } else {
      say(Level::warning, "source_trouble", trouble);
    }
    trouble_ = trouble;
  }
  if (trouble.empty()) numbers_.ready = true;

  bool all_ended = !watches_.empty();
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    if (!intake_->partition(i).ended && world_.feed.at_end(i)) {
      intake_->end(i);
      changed_ = true;
      if (Status flushed = flush(); !flushed) return flushed.error();
    }
    all_ended = all_ended && intake_->partition(i).ended;
  }
  if (all_ended) {
    // The end of the input brings time to the last event and no further: silence after it is not known to be silence.
    if (intake_->counts().events > 0) intake_->tick(intake_->counts().last_time);
    if (Status flushed = flush(); !flushed) return flushed.error();
    if (Status written = checkpoint({}); !written) return written.error();
    return false;
  }
  if (Status watched = watch(); !watched) return watched.error();

  const bool many = intake_->counts().records - records_at_checkpoint_ >= options_.checkpoint_events;
  const bool much = engine_->history_bytes() >= history_waiting_bytes;
  if (underway_ && engine_->history_bytes() >= 2 * history_waiting_bytes) {
    if (Status waited = go_on_with_checkpoint(Pace::to_the_end); !waited) return waited.error();
  }
  const bool long_ago = world_.clock.now() - checkpointed_at_ >= options_.checkpoint_interval;
  if (changed_ && (many || long_ago || much) && !underway_) {
    if (Status written = options_.checkpoints_aside ? begin_checkpoint({}) : checkpoint({}); !written)
      return written.error();
  }
  return true;
}

Status Task::flush() {
  intake_->flush(*engine_, outbox_);
  if (outbox_.records.empty()) return {};
  Status delivered = world_.commit.deliver(outbox_);
  outbox_.clear();
  return delivered;
}

// Silence: which partitions are idle by now, and whether time moves on by itself.
Status Task::watch() {
  const Timestamp now = world_.clock.now();
  std::vector<Decided> decided;
  bool all_idle = !watches_.empty();
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    if (intake_->partition(i).ended) continue;
    Watch& watch = watches_[i];
    if (!world_.feed.caught_up(i)) watch.quiet_since = now;
    if (!watch.idle && now - watch.quiet_since >= options_.idle_after) {
      watch.idle = true;
      decided.push_back({Decided::Kind::idle, i, {}, {}});
    }
    all_idle = all_idle && watch.idle;
  }
  if (all_idle && (!decided.empty() || now - checkpointed_at_ >= options_.checkpoint_interval)) {
    if (const std::optional<Timestamp> time = tick_time()) decided.push_back({Decided::Kind::tick, 0, *time, {}});
  }
  if (decided.empty()) return {};
  return decide(std::move(decided));
}

std::optional<Timestamp> Task::tick_time() const {
  if (record_.largest_time == Timestamp::min()) return std::nullopt;
  const Duration passed = std::max(world_.clock.now() - record_.largest_at, Duration{});
  const Timestamp time = record_.largest_time + passed - options_.lateness - options_.idle_after;
  if (time <= engine_->watermark() || !is_event_time(time)) return std::nullopt;
  return time;
}

// ---------------------------------------------------------------- checkpoints and what is decided with them

Status Task::checkpoint(std::vector<Decided> decided) {
  if (Status before = go_on_with_checkpoint(Pace::to_the_end); !before) return before;
  if (Status begun = begin_checkpoint(std::move(decided)); !begun) return begun;
  return go_on_with_checkpoint(Pace::to_the_end);
}

Status Task::begin_checkpoint(std::vector<Decided> decided) {
  const auto begin = std::chrono::steady_clock::now();
  underway_ = std::make_unique<Underway>();
  numbers_.history_bytes += engine_->history_bytes();
  engine_->begin_capture();
  intake_->capture(underway_->writes);
  record_.decided = std::move(decided);
  put_task_record(underway_->writes, record_);
  underway_->capture_us += since(begin);
  if (Status sealed = world_.commit.seal(underway_->writes); !sealed) {
    // It must never be settled, whoever goes on from here.
    underway_->captured = true;
    underway_->written = sealed;
    underway_->done.store(true, std::memory_order_relaxed);
    return sealed.error().while_doing("writing a checkpoint");
  }
  underway_->records = intake_->counts().records;
  underway_->released = engine_->released();
  underway_->held(begin);
  checkpointed_at_ = world_.clock.now();
  records_at_checkpoint_ = underway_->records;
  changed_ = false;
  return {};
}

Status Task::go_on_with_checkpoint(Pace pace) {
  if (!underway_) return {};
  Underway& underway = *underway_;
  const bool to_the_end = pace == Pace::to_the_end;
  const auto begin = std::chrono::steady_clock::now();
  if (!underway.captured) {
    const std::size_t count = pace == Pace::idle ? captured_when_idle : captured_at_a_time;
    underway.captured = engine_->capture_some(to_the_end ? SIZE_MAX : count, underway.writes);
    underway.capture_us += since(begin);
    if (underway.captured && to_the_end) {
      underway.written = world_.commit.settle(underway.writes);
      underway.done.store(true, std::memory_order_relaxed);
    } else if (underway.captured) {
      underway.thread = std::thread([&underway, &commit = world_.commit] {
        underway.written = commit.settle(underway.writes);
        underway.done.store(true, std::memory_order_release);
      });
    }
    if (!underway.done.load(std::memory_order_acquire)) {
      underway.held(begin);
      return {};
    }
  }
  if (!to_the_end && !underway.done.load(std::memory_order_acquire)) return {};
  if (underway.thread.joinable()) underway.thread.join();
  underway.held(begin);
  if (!underway.written) return underway.written.error().while_doing("writing a checkpoint");
  CheckpointStatus& numbers = numbers_.checkpoint;
  numbers.last_capture_us = underway.capture_us;
  numbers.last_bytes = underway.writes.bytes();
  numbers.last_stall_us = underway.longest_us;
  numbers.stall_us_max = std::max(numbers.stall_us_max, numbers.last_stall_us);
  numbers.stall_us_sum += underway.all_us;
  numbers.capture_us_sum += numbers.last_capture_us;
  ++numbers.count;
  numbers.last_at = world_.clock.now();
  say(Level::info, "checkpoint", "checkpoint; the longest stall of events was " + milliseconds(numbers.last_stall_us),
      {{"stall", milliseconds(numbers.last_stall_us)},
       {"capture", milliseconds(numbers.last_capture_us)},
       {"bytes", std::to_string(numbers.last_bytes)},
       {"records", std::to_string(underway.records)}});
  released_at_checkpoint_ = underway.released;
  underway_.reset();
  // Not between a decision and what comes of it, and not under a fill: a restart must find the history that they had.
  if (!record_.decided.empty() || filling_) return {};
  if (Status trimmed = engine_->trim_history(world_.store); !trimmed)
    return trimmed.error().while_doing("trimming the history");
  return {};
}

Status Task::decide(std::vector<Decided> decided) {
  if (Status flushed = flush(); !flushed) return flushed;
  if (Status written = checkpoint(decided); !written) return written;
  return carry_out(decided);
}

Status Task::carry_out(std::vector<Decided>& decided) {
  for (Decided& one : decided) {
    switch (one.kind) {
      case Decided::Kind::idle:
        // A restart may know fewer partitions than the checkpoint did only when it was refused.
        if (one.partition >= watches_.size()) break;
        watches_[one.partition].idle = true;
        intake_->idle(one.partition);
        say(Level::debug, "idle", world_.feed.partitions()[one.partition].name + " is idle");
        break;
      case Decided::Kind::tick:
        ++numbers_.ticks;
        intake_->tick(one.time);
        break;
      case Decided::Kind::activation: {
        if (Status flushed = flush(); !flushed) return flushed;
        if (!next_) {  // a restart: the decision is in the checkpoint, the rules are only text yet
          RulesLoaded rules = rules_of_texts(one.rules);
          const bool decodes = rules.ruleset && intake_->adopt(rules.ruleset->schema).ok();
          if (!decodes) {
            reload_failed("rules that were about to go live do not compile any more:\n" + rules.messages);
            break;
          }
          next_ = rules.ruleset;
        }
        engine::Item item;
        item.kind = engine::ItemKind::activation;
        if (std::shared_ptr<engine::Fill> fill = fill_windows(next_)) {
          engine::DataChange change;
          change.fill = std::move(fill);
          item.change = std::make_shared<const engine::DataChange>(std::move(change));
        }
        item.ruleset = std::move(next_);
        next_ = nullptr;
        intake_->add(std::move(item));
        break;
      }
    }
  }
  changed_ = true;
  return flush();
}

// ---------------------------------------------------------------- reload

void Task::reload() {
  if (compiler_) {
    reload_again_ = true;  // files may have changed since they were read
    return;
  }
  if (filling_) {
    say(Level::info, "reload", "newer rule files: what was being filled for the ones before them is dropped");
    filling_.reset();
  }
  compiler_ = std::make_unique<Compiler>(load_);
}

void Task::reload_failed(const std::string& why) {
  ++numbers_.reload.failed;
  numbers_.reload.last_error = why;
  numbers_.reload.last_at = world_.clock.now();
  say(Level::error, "reload_failed", "the rule files were not loaded, the running rules stay:\n" + why,
      {{"ruleset", engine_->ruleset()->digest_text}});
}

Status Task::adopt(RulesLoaded rules, Filled how) {
  if (!rules.ruleset) {
    reload_failed(rules.messages);
    return {};
  }
  if (!rules.messages.empty()) say(Level::warning, "rules", "the rule files have warnings:\n" + rules.messages);
  if (same_rules(*rules.ruleset, *engine_->ruleset())) {
    ++numbers_.reload.ok;
    numbers_.reload.last_error.clear();
    numbers_.reload.last_at = world_.clock.now();
    say(Level::info, "reload", "the rule files say what is running already", {{"ruleset", rules.ruleset->digest_text}});
    return {};
  }
  if (Status flushed = flush(); !flushed) return flushed;
  if (how == Filled::at_once) return go_live(std::move(rules));
  std::shared_ptr<engine::Fill> fill = engine_->plan_fill(rules.ruleset);
  if (!fill->any()) return go_live(std::move(rules));
  say(Level::info, "filling",
      "reading the history for windows of the new rules; the running rules go on until it is read",
      {{"ruleset", rules.ruleset->digest_text}});
  filling_ = std::make_unique<Filling>();
  filling_->rules = std::move(rules);
  filling_->fill = std::move(fill);
  return go_on_with_filling();
}

Status Task::go_on_with_filling() {
  Filling& filling = *filling_;
  if (filling.thread.joinable()) {
    if (!filling.done.load(std::memory_order_acquire)) return {};
    filling.thread.join();
    ++filling.rounds;
  }
  const bool behind = engine_->released() - filling.up_to > fill_behind_max && filling.rounds < fill_rounds_max;
  if (filling.read.ok() && (filling.rounds == 0 || behind)) {
    // Nobody may write while the store is looked at, and there must be something new to read.
    if (underway_ || (filling.rounds > 0 && released_at_checkpoint_ == filling.up_to)) return {};
    filling.up_to = released_at_checkpoint_;
    filling.fill->open(world_.store);
    filling.done.store(false, std::memory_order_relaxed);
    filling.thread = std::thread([&filling] {
      filling.read = filling.fill->read([&filling] { return !filling.stop.load(std::memory_order_relaxed); });
      filling.done.store(true, std::memory_order_release);
    });
    return {};
  }
  if (Status flushed = flush(); !flushed) return flushed;
  return go_live(std::move(filling.rules));
}

std::shared_ptr<engine::Fill> Task::fill_windows(const std::shared_ptr<const engine::Ruleset>& next) {
  const auto begun = std::chrono::steady_clock::now();
  std::shared_ptr<engine::Fill> fill = engine_->plan_fill(next);
  FillStatus& numbers = numbers_.reload.fill;
  numbers.last_error.clear();
  numbers.filled.clear();
  numbers.warming.clear();
  numbers.events = 0;
  numbers.took_us = 0;
  numbers.pause_us = 0;
  Status read;
  const std::vector<engine::Fill::Window> windows = fill->windows();
  if (fill->any()) {
    auto since_when = begun;
    if (filling_ && filling_->fill->covers(*fill)) {
      since_when = filling_->begun;
      fill = filling_->fill;
      read = filling_->read;
    }
    if (read) {
      fill->open(world_.store);
      read = fill->read([this] {
        if (world_.alive) world_.alive();
        return true;
      });
    }
    numbers.events = fill->event_count();
    numbers.took_us = since(since_when);
    numbers.pause_us = since(begun);
  }
  for (const engine::Fill::Window& window : windows) {
    if (!window.why_not.empty()) {
      numbers.warming.push_back(window.text + ": until " + to_text(window.known_from) + ", because " + window.why_not);
    } else if (!read) {
      numbers.warming.push_back(window.text + ": because the history could not be read");
    } else if (window.known_from <= engine_->watermark()) {
      numbers.filled.push_back(window.text);
    } else {
      numbers.filled.push_back(window.text + ": whole from " + to_text(window.known_from));
    }
  }
  if (!read) {
    ++numbers.failed;
    numbers.last_error = read.error().text;
    say(Level::warning, "fill_failed", "windows of the new rules begin empty and warm: " + read.error().text);
    return nullptr;
  }
  return fill->any() ? fill : nullptr;
}

Status Task::go_live(RulesLoaded rules) {
  const std::string before = engine_->ruleset()->digest_text;
  if (Status decodes = intake_->adopt(rules.ruleset->schema); !decodes) {
    reload_failed("source.format does not fit the event types of the new rules: " + decodes.error().text + "\n");
    filling_.reset();
    return {};
  }
  const auto begun = std::chrono::steady_clock::now();
  next_ = rules.ruleset;
  std::vector<Decided> decided;
  decided.push_back({Decided::Kind::activation, 0, {}, files_of(*rules.ruleset)});
  if (Status done = decide(std::move(decided)); !done) return done;
  filling_.reset();
  // A swap ends a checkpoint: from here on the store holds the new rules as the active ones.
  if (Status written = checkpoint({}); !written) return written;
  ++numbers_.reload.ok;
  numbers_.reload.last_error.clear();
  numbers_.reload.last_at = world_.clock.now();
  using Kind = engine::TakenUp::Kind;
  std::size_t counts[4] = {};
  for (const engine::TakenUp& rule : engine_->taken_up()) {
    ++counts[static_cast<std::size_t>(rule.kind)];
    if (rule.kind == Kind::in_part || rule.kind == Kind::anew)
      say(Level::info, "reload_rule", "rule " + rule.rule + ": " + rule.text, {{"rule", rule.rule}});
  }
  const auto count = [&](Kind kind) { return std::to_string(counts[static_cast<std::size_t>(kind)]); };
  const FillStatus& fill = numbers_.reload.fill;
  std::string text = "new rules are live";
  for (const std::string& window : fill.filled) text += "\n  filled from the history: " + window;
  for (const std::string& window : fill.warming) text += "\n  warming: " + window;
  say(Level::info, "reload", text,
      {{"ruleset", rules.ruleset->digest_text},
       {"before", before},
       {"sequences_kept", count(Kind::kept)},
       {"kept_in_part", count(Kind::in_part)},
       {"begun_anew", count(Kind::anew)},
       {"added", count(Kind::added)},
       {"filled", std::to_string(fill.filled.size())},
       {"warming", std::to_string(fill.warming.size())},
       {"events", std::to_string(fill.events)},
       {"took", milliseconds(fill.took_us)},
       {"stall", milliseconds(since(begun))}});
  return {};
}

Status Task::finish() {
  filling_.reset();  // the next start finds that the files differ
  if (Status flushed = flush(); !flushed) return flushed;
  return checkpoint({});
}

TaskStatus Task::status() const {
  TaskStatus status = numbers_;
  const engine::Ruleset& rules = *engine_->ruleset();
  status.digest = rules.digest_text;
  for (const engine::RulePlan& rule : rules.rules)
    status.rules.emplace_back(rule.info.name, to_text(rule.info.revision));
  status.watermark = engine_->watermark();
  status.keys = engine_->key_count();
  status.waiting = engine_->waiting_count();
  status.intake = intake_->counts();
  status.unknown_fields = intake_->unknown_fields();
  status.counters = engine_->counters();
  for (std::uint32_t i = 0; i < watches_.size(); ++i) {
    const engine::IntakePartition partition = intake_->partition(i);
    PartitionStatus one;
    one.name = record_.partitions[i].name;
    if (partition.taken) one.sequence = partition.sequence;
    one.largest_time = partition.largest_time;
    one.idle = watches_[i].idle;
    one.ended = partition.ended;
    one.lag = world_.feed.lag(i);
    status.partitions.push_back(std::move(one));
  }
  status.warming = engine_->warming();
  status.reload.running = compiler_ || filling_;
  if (filling_) {
    status.reload.fill.running = true;
    status.reload.fill.events = filling_->fill->event_count();
  }
  status.trouble = trouble_;
  return status;
}

}  // namespace tocsin::daemon
