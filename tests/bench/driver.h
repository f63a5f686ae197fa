// An engine with its intake, fed with lines of JSON as a program would, or with events that were decoded before.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "engine/run/engine.h"
#include "engine/run/intake.h"

namespace tocsin::bench {

class Driver {
 public:
  /// What replay takes by default.
  static constexpr std::size_t batch = 512;

  explicit Driver(std::shared_ptr<const engine::Ruleset> ruleset, bool checkpoints = false, Duration history = {});

  /// From bytes to output; gives the seconds it took.
  double take_lines(std::span<const std::string_view> lines);
  /// The same events, but only the engine's own part is timed.
  double take_decoded(std::span<const std::string_view> lines);

  [[nodiscard]] engine::Engine& engine() { return engine_; }
  /// Records that came out, dead letters included.
  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] std::uint64_t dead_letters() const { return dead_letters_; }

 private:
  void drain();

  engine::Engine engine_;
  engine::Intake intake_;
  event::JsonDecoder decoder_;
  Arena arena_;
  std::vector<engine::Item> items_;
  engine::Outbox out_;
  std::uint64_t sequence_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t dead_letters_ = 0;
};

}  // namespace tocsin::bench
