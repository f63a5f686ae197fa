#include "replay/replay.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <tuple>

#include "base/check.h"
#include "engine/run/file_commit.h"
#include "event/file_source.h"
#include "replay/reading.h"
#include "replay/totals.h"
#include "state/records.h"

namespace tocsin::replay {

namespace {

constexpr std::string_view summary_name = "summary.json";
constexpr std::string_view options_record = "replay options";
constexpr std::string_view totals_record = "replay totals";
// Lines read ahead per file. Has no part in the result: lines are taken one by one in the order stated in the header.
constexpr std::size_t read_ahead_min = 256;
constexpr std::size_t read_ahead_max = 65'536;

/// Only files of an earlier replay may stand where ours will.
Status check_directory(const std::string& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) return {};
  if (!std::filesystem::is_directory(directory, error)) {
    return Error{ErrorKind::refused, directory + " is not a directory; --out names the directory to write into"};
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    bool ours = name == summary_name;
    for (std::size_t i = 0; i < engine::out_stream_count; ++i) {
      ours = ours || name == engine::FileCommit::file_name(static_cast<engine::OutStream>(i));
    }
    if (!ours) {
      return Error{ErrorKind::refused,
                   directory + " holds " + name +
                       ", which is not of an earlier replay; name an empty or new directory with --out"};
    }
  }
  if (error) return Error{ErrorKind::refused, "cannot read the directory " + directory + ": " + error.message()};
  return {};
}

Status write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) return Error{ErrorKind::unavailable, "cannot write " + path};
  return {};
}

std::string data_begins_text(const engine::DataBegins& begins, const engine::IntakeCounts& counts) {
  switch (begins.kind) {
    case engine::DataBegins::Kind::first_event:
      return counts.events == 0 ? "first event" : "first event " + to_text(counts.first_time);
    case engine::DataBegins::Kind::at: return to_text(begins.at);
    case engine::DataBegins::Kind::complete: return "complete";
  }
  return "";
}

/// Everything that changes what comes out. A store made under one of these cannot be gone on with under another.
std::string meaning_of(const ReplayOptions& options, const engine::Ruleset& ruleset, const event::Source& source) {
  const event::SourceFormat& format = options.format;
  std::string text = "rules " + ruleset.digest_text + "\n";
  text += "lateness " + std::to_string(options.lateness.us) + "\n";
  text += "dedupe " + std::to_string(options.dedupe.us) + "\n";
  text += "data begins " + data_begins_text(options.data_begins, {}) + "\n";
  text += "format " + format.type_field + "/" + format.fixed_type + "/" +
          std::to_string(static_cast<unsigned>(format.time_format)) + "/" + (format.truncate ? "truncate" : "refuse") +
          "/" + (format.currency.code == 0 ? "" : to_text(format.currency)) + "/" + format.latitude_name + "/" +
          format.longitude_name + "\n";
  for (const event::Spelling& spelling : format.spellings) {
    text += "spelling " + spelling.event_type + "." + spelling.field + " " + spelling.json_name + "\n";
  }
  for (std::uint32_t i = 0; i < source.partition_count(); ++i) text += "file " + source.partition_name(i) + "\n";
  return text;
}

class Run {
 public:
  Run(const ReplayOptions& options, std::shared_ptr<const engine::Ruleset> ruleset,
      std::unique_ptr<event::FileSource> source, engine::Intake intake, std::unique_ptr<engine::FileCommit> commit)
      : options_(options),
        ruleset_(std::move(ruleset)),
        source_(std::move(source)),
        intake_(std::move(intake)),
        commit_(std::move(commit)),
        engine_(ruleset_, engine_options()),
        feeds_(source_->partition_count()) {
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < source_->partition_count(); ++i) names.push_back(source_->partition_name(i));
    intake_.name_partitions(std::move(names));
  }

  Status resume();
  Status read_all();
  ReplaySummary summary() const;
  Status finish();

 private:
  /// Lines of one file that were read and not taken.
  struct Feed {
    std::vector<event::RawRecord> records;
    std::size_t next = 0;
  };

  [[nodiscard]] engine::EngineOptions engine_options() const {
    engine::EngineOptions engine;
    engine.shards = options_.shards;
    engine.partitions = source_->partition_count();
    engine.lateness.assign(source_->partition_count(), options_.lateness);
    engine.dedupe = options_.dedupe;
    engine.data_begins = options_.data_begins;
    engine.checkpoints = options_.store != nullptr;
    return engine;
  }
  Status flush();
  Status checkpoint();
  [[nodiscard]] engine::Counters totals() const { return sum(before_, difference(engine_.counters(), restored_)); }

  const ReplayOptions& options_;
  std::shared_ptr<const engine::Ruleset> ruleset_;
  std::unique_ptr<event::FileSource> source_;
  engine::Intake intake_;
  std::unique_ptr<engine::FileCommit> commit_;
  engine::Engine engine_;
  engine::Outbox outbox_;
  std::vector<Feed> feeds_;
  engine::Counters before_;    // totals of the checkpoint gone on from
  engine::Counters restored_;  // what the engine's counters were right after it was restored
  std::uint64_t resumed_at_ = 0;
  std::uint64_t checkpointed_at_ = 0;
  std::uint64_t checkpoints_ = 0;
  Duration longest_stall_, longest_capture_;
};

Status Run::resume() {
  state::Store& store = *options_.store;
  const std::string meaning = meaning_of(options_, *ruleset_, *source_);
  Result<std::optional<std::string>> stored = store.get(state::meta_record(options_record));
  if (!stored) return stored.error().while_doing("reading the store");
  if (stored.value() && *stored.value() != meaning) {
    return Error{
        ErrorKind::refused,
        "the store was made by a replay with other rules, events or options; give the same ones, or another --store"};
  }
  if (!stored.value()) {
    state::WriteSet writes;
    writes.put(state::meta_record(options_record), meaning);
    if (Status written = store.commit(writes); !written) return written.error().while_doing("writing the store");
  }
  Result<bool> known = intake_.restore(store);
  if (!known) return known.error();
  if (!known.value()) return {};
  Result<bool> restored = engine_.restore(store);
  if (!restored) return restored.error().while_doing("restoring the state");
  Result<std::optional<std::string>> totals = store.get(state::meta_record(totals_record));
  if (!totals) return totals.error().while_doing("reading the store");
  if (totals.value()) {
    Result<engine::Counters> before = decode_counters(*totals.value());
    if (!before) return before.error();
    before_ = before.take();
  }
  restored_ = engine_.counters();
  for (const event::SourcePosition& position : intake_.positions()) {
    if (position.partition >= source_->partition_count() || intake_.partition(position.partition).ended) continue;
    if (Status sought = source_->seek(position); !sought) {
      return sought.error().while_doing("going on in " + source_->partition_name(position.partition));
    }
  }
  resumed_at_ = intake_.counts().records;
  checkpointed_at_ = resumed_at_;
  return {};
}

Status Run::flush() {
  intake_.flush(engine_, outbox_);
  if (!outbox_.records.empty()) {
    if (Status delivered = commit_->deliver(outbox_); !delivered) return delivered;
    outbox_.clear();
  }
  const std::uint64_t records = intake_.counts().records;
  if (options_.progress && !options_.progress({records, source_->progress()})) {
    return Error{ErrorKind::unavailable, "stopped after " + std::to_string(records) + " records"};
  }
  if (options_.store != nullptr && records - checkpointed_at_ >= options_.checkpoint_events) return checkpoint();
  return {};
}

Status Run::checkpoint() {
  if (options_.store == nullptr) return {};
  const auto now = [&] { return options_.clock == nullptr ? Timestamp{} : options_.clock->now(); };
  const Timestamp begun = now();
  state::WriteSet writes;
  engine_.capture(writes);
  intake_.capture(writes);
  writes.put(state::meta_record(totals_record), encode(totals()));
  const Timestamp captured = now();
  if (Status written = commit_->checkpoint(writes); !written)
    return written.error().while_doing("writing a checkpoint");
  checkpointed_at_ = intake_.counts().records;
  ++checkpoints_;
  longest_capture_ = std::max(longest_capture_, captured - begun);
  longest_stall_ = std::max(longest_stall_, now() - begun);
  return {};
}

Status Run::read_all() {
  const std::size_t read_ahead = std::clamp(options_.batch, read_ahead_min, read_ahead_max);
  while (const std::optional<std::uint32_t> partition =
             next_partition(intake_, static_cast<std::uint32_t>(feeds_.size()))) {
    Feed& feed = feeds_[*partition];
    if (feed.next == feed.records.size()) {
      // What was read of this file is borrowed by the batch: the batch goes first.
      if (Status flushed = flush(); !flushed) return flushed;
      feed.records.clear();
      feed.next = 0;
      Result<std::size_t> polled = source_->poll(*partition, read_ahead, feed.records);
      if (!polled) return polled.error().while_doing("reading " + source_->partition_name(*partition));
      if (feed.records.empty()) {
        if (source_->at_end(*partition)) intake_.end(*partition);
        continue;
      }
    }
    intake_.take(feed.records[feed.next++], outbox_);
    if (intake_.pending_count() >= options_.batch) {
      if (Status flushed = flush(); !flushed) return flushed;
    }
  }
  // T7: the end of the input brings time to the last event and no further.
  if (intake_.counts().events > 0) intake_.tick(intake_.counts().last_time);
  if (options_.until) intake_.tick(*options_.until);
  return flush();
}

ReplaySummary Run::summary() const {
  ReplaySummary summary;
  summary.intake = intake_.counts();
  summary.unknown_fields = intake_.unknown_fields();
  summary.counters = totals();
  summary.undecided = engine_.undecided();
  std::sort(summary.undecided.begin(), summary.undecided.end(),
            [](const engine::Undecided& a, const engine::Undecided& b) {
              return std::tie(a.deadline, a.rule, a.key) < std::tie(b.deadline, b.rule, b.key);
            });
  summary.warming = engine_.warming();
  summary.data_begins = data_begins_text(options_.data_begins, summary.intake);
  summary.until = options_.until;
  summary.ruleset = ruleset_->digest_text;
  for (const engine::RulePlan& rule : ruleset_->rules)
    summary.rules.emplace_back(rule.info.name, to_text(rule.info.revision));
  summary.resumed_at = resumed_at_;
  summary.checkpoints = checkpoints_;
  summary.longest_stall = longest_stall_;
  summary.longest_capture = longest_capture_;
  return summary;
}

Status Run::finish() {
  if (Status flushed = commit_->flush(); !flushed) return flushed;
  return checkpoint();
}

}  // namespace

Result<ReplaySummary> replay(const ReplayOptions& options, const std::shared_ptr<const engine::Ruleset>& ruleset) {
  TOCSIN_CHECK(ruleset != nullptr);
  TOCSIN_CHECK(options.shards > 0);
  TOCSIN_CHECK(options.batch > 0);
  Result<std::unique_ptr<event::FileSource>> source = event::FileSource::open(options.events);
  if (!source) return source.error();
  if (options.store != nullptr && !source.value()->seekable()) {
    return Error{
        ErrorKind::refused,
        "the standard input cannot be read again after a kill; leave out --store, or put the events into a file"};
  }
  Result<engine::Intake> intake = engine::Intake::make(ruleset->schema, {options.format});
  if (!intake) return intake.error();
  if (Status free = check_directory(options.out); !free) return free.error();
  Result<std::unique_ptr<engine::FileCommit>> commit =
      engine::FileCommit::open(options.out, options.store, engine::FileCommit::Existing::replace);
  if (!commit) return commit.error();
  const std::string summary_path = options.out + "/" + std::string(summary_name);
  std::error_code error;
  std::filesystem::remove(summary_path, error);  // an old one beside new records would lie; not there is fine

  Run run(options, ruleset, source.take(), intake.take(), commit.take());
  if (options.store != nullptr) {
    if (Status resumed = run.resume(); !resumed) return resumed.error();
  }
  if (Status read = run.read_all(); !read) return read.error();
  if (Status finished = run.finish(); !finished) return finished.error();
  const ReplaySummary summary = run.summary();
  if (Status written = write_file(summary_path, to_json(summary)); !written) return written.error();
  return summary;
}

}  // namespace tocsin::replay
