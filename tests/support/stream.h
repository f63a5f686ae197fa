// Lines of JSON through the one way in, and what came out as trees: for tests that say what they mean in rule text and events.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "engine/run/intake.h"
#include "replay/json.h"

namespace tocsin::tests {

struct Output {
  std::vector<replay::Json> hits, alerts, decisions, dead_letters;
  /// All records as they were written, stream name in front; to compare two runs byte for byte.
  std::vector<std::string> lines;
};

class Stream {
 public:
  Stream(std::shared_ptr<const engine::Ruleset> ruleset, engine::EngineOptions options = complete(),
         std::size_t batch = 1);

  /// Lateness 0, one shard, and a history that counts as complete.
  static engine::EngineOptions complete();

  void send(std::string_view line, std::uint32_t partition = 0);
  /// Time moves to here at least.
  void advance(Timestamp time);
  /// The list `name` (without @) now also holds `entries`, written as in a list's file. False: no such list, or an entry that is
  /// none of its type.
  bool give(const std::string& name, const std::vector<std::string>& entries);
  /// The table `name` has one more row; `from`, when it is there, says from when on it holds. False: no such table, or a cell that is
  /// none of its type (texts, entities, numbers, times and addresses are read here).
  bool give_row(const std::string& name, const std::map<std::string, std::string>& cells);
  /// Other rules go live; their event types are the same.
  void change_rules(std::shared_ptr<const engine::Ruleset> ruleset);
  /// The input is at its end (T7).
  void end();

  [[nodiscard]] const Output& output() const { return output_; }
  [[nodiscard]] engine::Engine& engine() { return engine_; }
  [[nodiscard]] const engine::Intake& intake() const { return intake_; }

 private:
  void flush();
  void flush_if_full();

  std::shared_ptr<const engine::Ruleset> ruleset_;
  engine::Engine engine_;
  engine::Intake intake_;
  std::size_t batch_;
  std::uint32_t partitions_;
  std::uint64_t sequence_ = 0;
  std::deque<std::string> lines_;  // of the batch, padded
  std::deque<std::string> texts_;  // of given entries
  Output output_;
};

/// The directory that holds the language's page and cases: $TOCSIN_SHARED, else ../shared beside the project. Empty: not there.
std::string shared_directory(const std::string& source_directory);
std::string read_file(const std::string& path);

}  // namespace tocsin::tests
