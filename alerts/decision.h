// From the hits of one event to one decision, always with a reason (SEMANTICS, part D). A Policy is constant and part
// of the ruleset; whether its lines are true is evaluated by the engine and handed in, so nothing here knows
// expressions. The only thing that lives is LimitState: what the `limit` of one policy remembers. Like the book of
// alerts it belongs to whoever takes the events in their total order; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alerts/hit.h"
#include "base/decimal.h"
#include "base/hash.h"
#include "base/time.h"
#include "event/action.h"

namespace tocsin::alerts {

struct PolicyLine {
  event::Action action = event::Action::allow;
  bool otherwise = false;  // true whatever its condition
  std::string text;        // as written: "block when score >= 90"; shown in reasons
};

/// `limit ACTION to SHARE per DURATION else OTHERWISE`
struct Limit {
  event::Action action = event::Action::block;
  Decimal share;  // 2% is 0.02
  Duration per;
  event::Action otherwise = event::Action::review;
};

struct Policy {
  std::string name;
  std::string event;  // type of the events it decides
  bool sum = true;    // scores of rules are added; else the highest counts
  std::optional<Decimal> cap;
  std::vector<PolicyLine> lines;
  std::optional<Limit> limit;
  std::optional<event::Action> on_error;  // at least this, when not all could be looked at
  bool is_default = false;                // S14: nobody wrote it; no lines, the strictest action of the hits
};

/// The policy of a type that rules decide on and no policy names (S14, D9). Its name in records is "default".
Policy default_policy(std::string event_type);
/// One line per line, for `explain`.
std::string to_text(const Policy& policy);

/// What `limit` remembers of one policy: how many decisions, and how many of them its action, at each moment of the
/// last `per`. Exact; decisions of one microsecond share an entry. Beyond `moments_max` the oldest moment is forgotten,
/// so that the share is one of a shorter time, and counted.
class LimitState {
 public:
  /// 16 MiB per policy with a limit. Sources that tell milliseconds never get there in a quarter of an hour.
  static constexpr std::size_t moments_max = std::size_t{1} << 20U;

  struct Share {
    std::uint64_t decisions = 0;
    std::uint64_t limited = 0;  // of them with the limited action
  };

  /// The decisions in `last per` as of `now`, without the one at hand. Forgets what is older, and everything when it
  /// counted another action until now: a reload may change the limit.
  Share as_of(Timestamp now, const Limit& limit);
  /// Counts the decision that was made at `now`.
  void add(Timestamp now, bool limited);

  [[nodiscard]] std::uint64_t forgotten_count() const { return forgotten_count_; }

  void encode(std::string& out) const;
  /// Nothing when the bytes are not what encode wrote.
  static std::optional<LimitState> decode(std::string_view bytes);

 private:
  struct Moment {
    Timestamp time;
    std::uint32_t decisions = 0;
    std::uint32_t limited = 0;
  };
  static_assert(sizeof(Moment) == 16);

  void forget_oldest();

  event::Action action_ = event::Action::allow;
  std::deque<Moment> moments_;  // times rise
  Share total_;
  std::uint64_t forgotten_count_ = 0;  // moments dropped for `moments_max`; for metrics, not kept
};

struct DecidedEvent {
  std::string_view type;
  std::string_view id;  // declared key
  Timestamp time;
};

/// Points into the policy and the event it was made from.
struct Decision {
  Digest id;
  const Policy* policy = nullptr;
  DecidedEvent event;
  event::Action action = event::Action::allow;
  Decimal score;
  std::uint32_t line = 0;                // from 1; 0: no line was true, or no lines
  std::vector<std::uint32_t> also;       // later lines that were true
  std::optional<event::Action> limited;  // what the line said, when the limit changed it
  bool error = false;                    // `on error` took the place of what the lines said
  LimitState::Share share;               // when limited: what the limit saw, this decision included
};

/// D2, D5: whether a hit counts for the decision on the event that completed it. Shadow hits and those made by time do
/// not.
bool takes_part(const Hit& hit);
/// `any rule decides ACTION`, as lines of policies ask it.
bool any_rule_decides(std::span<const Hit* const> hits, event::Action action);

/// D3. What does not fit is the largest (or smallest) number that does. Requires: hits of one rule stand together (T3).
Decimal score_of(const Policy& policy, std::span<const Hit* const> hits);

/// `line_truth[i]`: line i+1 is true; unknown is not true. `hits` are those the event completed. `limit` belongs to
/// this policy. `cut`: a bound kept the rules from looking at all that belongs to the event, so that a hit may be missing.
/// Requires: as many truths as lines; events come in their order.
Decision decide(const Policy& policy, std::span<const bool> line_truth, std::span<const Hit* const> hits, Decimal score,
                const DecidedEvent& event, LimitState& limit, bool cut = false);

/// Why, in a sentence: the line as written, or the rules that decided.
std::string reason_of(const Decision& decision, std::span<const Hit* const> hits);

}  // namespace tocsin::alerts
