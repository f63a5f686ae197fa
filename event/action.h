// The closed words of outcomes: what a decision can say, and how loud an alert is. They stand here because rule text
// (dsl) and outputs (alerts) both speak them and neither may see the other.
#pragma once

#include <cstdint>
#include <string_view>

namespace tocsin::event {

/// In order of strictness; `page` only alerts and takes no part in decisions (LANGUAGE S14).
enum class Action : std::uint8_t { allow, review, challenge, throttle, reject, block, page };
inline constexpr std::size_t action_count = 7;

inline std::string_view to_text(Action action) {
  switch (action) {
    case Action::allow: return "allow";
    case Action::review: return "review";
    case Action::challenge: return "challenge";
    case Action::throttle: return "throttle";
    case Action::reject: return "reject";
    case Action::block: return "block";
    case Action::page: return "page";
  }
  return "";
}

enum class Severity : std::uint8_t { info, low, medium, high, critical };

inline std::string_view to_text(Severity severity) {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::low: return "low";
    case Severity::medium: return "medium";
    case Severity::high: return "high";
    case Severity::critical: return "critical";
  }
  return "";
}

}  // namespace tocsin::event
