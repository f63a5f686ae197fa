#include "app/run_command.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/config.h"
#include "app/http.h"
#include "app/log.h"
#include "app/metrics.h"
#include "app/options.h"
#include "daemon/kafka_commit.h"
#include "daemon/kafka_source.h"
#include "daemon/stdin_source.h"
#include "daemon/stdout_commit.h"
#include "daemon/task.h"
#include "engine/run/file_commit.h"
#include "state/memory_store.h"
#include "state/rocks_store.h"

namespace tocsin::app {

namespace {

using daemon::Level;

// After SIGTERM so long is waited for Kafka to acknowledge; then a restart sends again.
constexpr std::chrono::seconds stop_patience{30};
constexpr std::chrono::milliseconds publish_every{250};

std::atomic<int> stops{0};
std::atomic<bool> reload_wanted{false};
static_assert(std::atomic<int>::is_always_lock_free, "the handler of a signal may touch nothing else");

// The first asks to end in order, the second not to wait for Kafka, the third is obeyed at once.
extern "C" void on_stop(int) {
  if (stops.fetch_add(1) >= 2) ::_exit(exit_could_not_run);
}
extern "C" void on_reload(int) { reload_wanted.store(true); }

/// Wall time that never jumps: where it was when the process began, and how long that is ago. Ticks follow it.
class SteadyClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override {
    const auto passed = std::chrono::steady_clock::now() - begin_;
    return began_at_ + Duration{std::chrono::duration_cast<std::chrono::microseconds>(passed).count()};
  }

 private:
  Timestamp began_at_ = SystemClock().now();
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void say(Level level, std::string_view code, std::string text) { log({level, code, std::move(text), {}}); }

int could_not_run(const Error& error) {
  say(Level::error, "stopped", error.text);
  return exit_could_not_run;
}

/// What the task stands on, in the order in which it is taken down.
struct Parts {
  std::unique_ptr<state::Store> store;
  std::unique_ptr<daemon::Feed> feed;
  std::unique_ptr<engine::Commit> commit;
};

daemon::KafkaOptions kafka_options(const std::string& brokers, const std::map<std::string, std::string>& settings,
                                   Duration timeout) {
  return {brokers, settings, timeout};
}

Status open_store(const Config& config, Parts& parts) {
  if (config.state_directory.empty()) {
    parts.store = std::make_unique<state::MemoryStore>();
    return {};
  }
  Result<std::unique_ptr<state::Store>> store = state::open_rocks_store(config.state_directory);
  if (!store) return store.error().while_doing("state.directory");
  parts.store = store.take();
  return {};
}

Status open_source(const Config& config, const std::vector<daemon::FeedPartition>& known, Parts& parts) {
  switch (config.source.kind) {
    case Config::SourceKind::files: {
      Result<std::unique_ptr<daemon::Feed>> feed = daemon::open_files(config.source.paths, known);
      if (!feed) return feed.error().while_doing("source");
      parts.feed = feed.take();
      return {};
    }
    case Config::SourceKind::stdin_lines:
      say(Level::warning, "not_resumable",
          "the standard input cannot be read again: what is in flight when this process is killed is lost, "
          "and nothing is remembered");
      parts.feed = std::make_unique<daemon::StdinSource>();
      return {};
    case Config::SourceKind::kafka: {
      daemon::KafkaSourceOptions options;
      options.kafka = kafka_options(config.source.brokers, config.source.kafka, config.source.connect_timeout);
      options.topics = config.source.topics;
      options.start = config.source.start_latest ? daemon::KafkaSourceOptions::Start::latest
                                                 : daemon::KafkaSourceOptions::Start::earliest;
      Result<std::unique_ptr<daemon::KafkaSource>> feed = daemon::KafkaSource::open(options, known);
      if (!feed) return feed.error();
      parts.feed = feed.take();
      return {};
    }
  }
  return {};
}

Status open_sink(const Config& config, std::function<bool()> waiting, Parts& parts) {
  const bool lasting = !config.state_directory.empty();
  switch (config.sink.kind) {
    case Config::SinkKind::files: {
      Result<std::unique_ptr<engine::FileCommit>> commit = engine::FileCommit::open(
          config.sink.directory, lasting ? parts.store.get() : nullptr, engine::FileCommit::Existing::refuse);
      if (!commit) return commit.error().while_doing("sink");
      parts.commit = commit.take();
      return {};
    }
    case Config::SinkKind::stdout_lines:
      parts.commit = std::make_unique<daemon::StdoutCommit>(stdout, parts.store.get(), config.sink.streams);
      return {};
    case Config::SinkKind::kafka: {
      daemon::KafkaCommitOptions options;
      options.kafka = kafka_options(config.sink.brokers, config.sink.kafka, config.sink.connect_timeout);
      options.topics = config.sink.topics;
      Result<std::unique_ptr<daemon::KafkaCommit>> commit =
          daemon::KafkaCommit::open(options, *parts.store, log, std::move(waiting));
      if (!commit) return commit.error();
      parts.commit = commit.take();
      return {};
    }
  }
  return {};
}

daemon::TaskOptions task_options(const Config& config) {
  daemon::TaskOptions options;
  options.engine.shards = config.shards;
  options.engine.dedupe = config.source.dedupe_for;
  options.engine.data_begins = config.data_begins;
  options.engine.history = config.history;
  options.engine.program_bytes_max = config.program_bytes_max;
  options.lateness = config.source.lateness;
  options.format = config.source.format;
  options.idle_after = config.source.idle_after;
  options.checkpoint_interval = config.checkpoint_interval;
  options.checkpoint_events = config.checkpoint_events;
  options.batch = config.batch;
  return options;
}

void hear_signals() {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = on_stop;  // without SA_RESTART: who waits in a read or poll wakes up
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  action.sa_handler = on_reload;
  ::sigaction(SIGHUP, &action, nullptr);
  action.sa_handler = SIG_IGN;  // a reader of our output that went away is told by write()
  ::sigaction(SIGPIPE, &action, nullptr);
}

/// `lasting`: there is a state directory.
Status loop(daemon::Task& task, Board& board, bool lasting) {
  auto published = std::chrono::steady_clock::now() - publish_every;
  while (stops.load() == 0) {
    if (reload_wanted.exchange(false)) {
      say(Level::info, "reload", "reading the rule files again");
      task.reload();
    }
    Result<bool> more = task.turn();
    if (!more) return more.error();
    board.alive();
    const auto now = std::chrono::steady_clock::now();
    if (now - published >= publish_every) {
      board.publish(task.status());
      published = now;
    }
    if (!more.value()) {
      say(Level::info, "ended",
          lasting ? "the input has ended, all of it is in the last checkpoint"
                  : "the input has ended and its output is delivered; nothing is kept for another run");
      return {};
    }
  }
  say(Level::info, "stopping", "asked to stop: writing a checkpoint");
  return task.finish();
}

}  // namespace

int run_command(const std::string& config_path, bool print_only) {
  Result<Config> loaded = load_config(config_path, process_environment());
  if (!loaded) {
    std::cerr << loaded.error().text << "\n";
    return loaded.error().kind == ErrorKind::not_found ? exit_could_not_run : exit_wrong_use;
  }
  const Config config = loaded.take();
  if (print_only) {
    std::cout << print_config(config);
    return exit_fine;
  }
  start_log(config.log_level, config.log_format);
  hear_signals();

  const daemon::RuleLoader load = [paths = config.rules, lateness = config.source.lateness] {
    return daemon::rules_of_files(paths, lateness);
  };
  daemon::RulesLoaded rules = load();

  Board board;
  std::unique_ptr<HttpPages> pages;
  if (!config.http_listen.empty()) {
    Result<std::unique_ptr<HttpPages>> listening = HttpPages::listen(config.http_listen, board);
    if (!listening) return could_not_run(listening.error());
    pages = listening.take();
  }

  Parts parts;
  if (Status opened = open_store(config, parts); !opened) return could_not_run(opened.error());
  Result<std::optional<daemon::TaskRecord>> stored = daemon::stored_task_record(*parts.store);
  if (!stored) return could_not_run(stored.error());
  if (!rules.ruleset && !stored.value()) {
    std::cerr << rules.messages;
    say(Level::error, "stopped", "the rules have errors and nothing runs yet; `tocsin check` shows the same messages");
    return exit_findings;
  }
  if (!rules.messages.empty() && rules.ruleset)
    say(Level::warning, "rules", "the rule files have warnings:\n" + rules.messages);

  const std::vector<daemon::FeedPartition> known =
      stored.value() ? stored.value()->partitions : std::vector<daemon::FeedPartition>{};
  std::optional<std::chrono::steady_clock::time_point> give_up;
  const auto waiting = [&board, &give_up] {
    board.alive();
    if (stops.load() == 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (!give_up) give_up = now + stop_patience;
    return stops.load() == 1 && now < *give_up;
  };
  if (Status opened = open_source(config, known, parts); !opened) return could_not_run(opened.error());
  if (Status opened = open_sink(config, waiting, parts); !opened) return could_not_run(opened.error());

  const engine::HistoryOptions& history = config.history;
  const bool keeps = history.all.us > 0 || std::any_of(history.by_type.begin(), history.by_type.end(),
                                                       [](const auto& type) { return type.second.us > 0; });
  if (!keeps) {
    say(Level::info, "no_history", "no events are kept: windows that a reload brings begin empty and warm");
  }
  const SteadyClock clock;
  Result<std::unique_ptr<daemon::Task>> task =
      daemon::Task::start(task_options(config), std::move(rules), load,
                          {*parts.feed, *parts.commit, *parts.store, clock, log, [&board] { board.alive(); }});
  if (!task) return could_not_run(task.error());
  board.alive();
  board.publish(task.value()->status());
  say(Level::info, "started",
      "running " + std::to_string(task.value()->status().rules.size()) + " rules, digest " +
          task.value()->status().digest);
  if (Status done = loop(*task.value(), board, !config.state_directory.empty()); !done)
    return could_not_run(done.error());
  say(Level::info, "stopped", "everything is delivered and checkpointed");
  return exit_fine;
}

}  // namespace tocsin::app
