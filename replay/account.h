// An account of one rule and one event (engine/run/trace.h) as a person reads it and as JSON: the same sentences under `tocsin
// explain` and under a failed test. What the rule says is quoted as the analyst wrote it, which the syntax tree still knows.
// Plain values; made once per rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsl/check.h"
#include "engine/run/trace.h"

namespace tocsin::replay {

/// The words of one rule.
struct RuleWords {
  std::string name;
  std::string place;   // "takeover.risk:12"
  std::string header;  // "on payment as p", "per user"
  bool sequence = false;
  std::string within;  // "within 10m"; may be empty
  struct Step {
    bool is_absence = false;
    std::uint32_t index = 0;         // of the step, or of the absence
    std::string text;                // as written, without `then`
    std::vector<std::string> parts;  // of all of, any n of
  };
  std::vector<Step> steps;  // in written order
  std::string until;
  std::string after_match = "restart";
  std::optional<Duration> span;  // of the sequence

  [[nodiscard]] const Step& step(std::uint32_t index) const;
  [[nodiscard]] const Step& absence(std::uint32_t index) const;
};

/// Nothing when no rule has that name.
std::optional<RuleWords> words_of(const dsl::Loaded& rules, const std::string& rule);

/// All units: "1d 2h 3m 4.5s", "0s". What texts for alerts round may be what a near miss is about.
std::string exact_text(Duration d);

/// What stands in the way, a sentence each; the trees of conditions follow, indented. Empty when nothing does.
std::vector<std::string> reasons(const engine::TracedMiss& miss, const RuleWords& words);
/// Of a rule that did not fire on the event, the shortest answer; lines for under a failed test.
std::vector<std::string> short_reasons(const engine::Account& account, const RuleWords& words);
/// How near the event came: the higher the more there is to tell.
std::uint64_t nearness(const engine::Account& account, const RuleWords& words);

std::string to_text(const engine::Account& account, const RuleWords& words);
std::string to_json(const engine::Account& account, const RuleWords& words);

}  // namespace tocsin::replay
