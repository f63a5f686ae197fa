#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/commands.h"
#include "engine/rules.h"
#include "replay/replay.h"
#include "state/rocks_store.h"

namespace tocsin::app {

namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "the handler of a signal may touch nothing else");

extern "C" void on_interrupt(int) { interrupted.store(true); }

std::string shown(double n) {
  char text[32];
  std::snprintf(text, sizeof text, n >= 100'000 ? "%.0f k" : "%.0f", n >= 100'000 ? n / 1'000 : n);
  return text;
}

std::string shown_seconds(double seconds) {
  return to_text(Duration::seconds(static_cast<std::int64_t>(seconds + 0.5)));
}

/// One line on a terminal, rewritten a few times a second: how far, how fast, how long still.
class ProgressLine {
 public:
  explicit ProgressLine(bool on) : on_(on), begin_(Clock::now()), last_(begin_) {}

  void show(const replay::ReplayProgress& progress) {
    records_ = progress.records;
    if (first_records_ == none) first_records_ = progress.records;
    if (!on_) return;
    const Clock::time_point now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(250)) return;
    last_ = now;
    const double seconds = elapsed(now);
    std::string line =
        "\r\033[K" + shown(static_cast<double>(progress.records)) + " events, " + shown(rate(seconds)) + "/s";
    const event::Progress& source = progress.source;
    if (source.bytes_total && *source.bytes_total > 0 && source.bytes_read > 0) {
      const double part = static_cast<double>(source.bytes_read) / static_cast<double>(*source.bytes_total);
      char percent[16];
      std::snprintf(percent, sizeof percent, "%.0f", 100 * part);
      line += ", " + std::string(percent) + "%";
      if (part < 1) line += ", " + shown_seconds(seconds * (1 - part) / part) + " left";
    }
    std::cerr << line << std::flush;
  }
  void finish() const {
    if (!on_) return;
    const double seconds = elapsed(Clock::now());
    std::cerr << "\r\033[K" << shown_seconds(seconds) << ", " << shown(rate(seconds)) << " events/s\n";
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  [[nodiscard]] double elapsed(Clock::time_point now) const {
    return std::chrono::duration<double>(now - begin_).count();
  }
  [[nodiscard]] double rate(double seconds) const {
    if (seconds <= 0 || first_records_ == none) return 0;
    return static_cast<double>(records_ - first_records_) / seconds;
  }

  bool on_;
  Clock::time_point begin_, last_;
  std::uint64_t records_ = 0;
  std::uint64_t first_records_ = none;
};

int could_not(const Error& error) {
  std::cerr << "tocsin replay: " << error.text << "\n";
  return exit_could_not_run;
}

}  // namespace

int replay_command(ReplayCommandOptions options) {
  Result<engine::Rules> rules = engine::load_rules(options.rules);
  if (!rules) return could_not(rules.error());
  if (!rules.value().ok()) {
    std::cerr << rules.value().messages();
    return exit_findings;
  }
  std::unique_ptr<state::Store> store;
  if (!options.store.empty()) {
    Result<std::unique_ptr<state::Store>> opened = state::open_rocks_store(options.store);
    if (!opened) return could_not(opened.error());
    store = opened.take();
    options.replay.store = store.get();
  }
  const SystemClock clock;
  options.replay.clock = &clock;
  ::signal(SIGINT, on_interrupt);
  ::signal(SIGTERM, on_interrupt);
  ProgressLine line(::isatty(STDERR_FILENO) == 1);
  options.replay.progress = [&line](const replay::ReplayProgress& progress) {
    line.show(progress);
    return !interrupted.load();
  };
  Result<replay::ReplaySummary> summary = replay::replay(options.replay, rules.value().ruleset);
  line.finish();
  if (!summary) {
    const std::string hint = interrupted.load() && store ? "; the same command goes on from the last checkpoint" : "";
    return could_not({summary.error().kind, summary.error().text + hint});
  }
  if (summary.value().resumed_at > 0) {
    std::cerr << "went on behind record " << summary.value().resumed_at << ", where the last checkpoint was made\n";
  }
  std::cout << replay::to_text(summary.value());
  if (summary.value().checkpoints > 0) {
    const auto milliseconds = [](Duration d) { return std::to_string((d.us + 500) / 1000) + " ms"; };
    std::cout << summary.value().checkpoints << " checkpoints, the longest stopped the events for "
              << milliseconds(summary.value().longest_stall) << " (" << milliseconds(summary.value().longest_capture)
              << " of it to capture the state)\n";
  }
  const engine::IntakeCounts& taken = summary.value().intake;
  if (taken.events == 0 && taken.records > 0) {
    std::cerr << "tocsin replay: none of the " << taken.records
              << " lines is an event of these rules; the reasons stand in " << options.replay.out
              << "/dead_letters.ndjson (compressed input must be a file named .zst or .gz)\n";
    return exit_findings;
  }
  std::cout << "written to " << options.replay.out << "\n";
  return exit_fine;
}

}  // namespace tocsin::app
