// Time in this house is event time: whole microseconds, UTC, in 64 bits, in memory and on disk. Timestamp and Duration
// are different types so that adding two moments does not compile. There is no clock here; who needs one is handed a
// Clock.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin {

/// A span of time in microseconds; may be negative.
struct Duration {
  std::int64_t us = 0;

  static constexpr Duration milliseconds(std::int64_t n) { return {n * 1'000}; }
  static constexpr Duration seconds(std::int64_t n) { return {n * 1'000'000}; }
  static constexpr Duration minutes(std::int64_t n) { return {n * 60'000'000}; }
  static constexpr Duration hours(std::int64_t n) { return {n * 3'600'000'000}; }
  static constexpr Duration days(std::int64_t n) { return {n * 86'400'000'000}; }

  constexpr auto operator<=>(const Duration&) const = default;
};

/// A moment: microseconds since 1970-01-01T00:00:00Z.
struct Timestamp {
  std::int64_t us = 0;

  constexpr auto operator<=>(const Timestamp&) const = default;
  static constexpr Timestamp min() { return {std::numeric_limits<std::int64_t>::min()}; }
  static constexpr Timestamp max() { return {std::numeric_limits<std::int64_t>::max()}; }
};

// Saturating, so that a moment near the ends of time (Timestamp::min() means "before everything") stays in order.
constexpr Timestamp operator+(Timestamp t, Duration d) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(t.us, d.us, &sum)) return d.us < 0 ? Timestamp::min() : Timestamp::max();
  return {sum};
}
constexpr Timestamp operator-(Timestamp t, Duration d) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(t.us, d.us, &difference)) return d.us < 0 ? Timestamp::max() : Timestamp::min();
  return {difference};
}
constexpr Duration operator-(Timestamp a, Timestamp b) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.us, b.us, &difference)) {
    return {a.us < b.us ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max()};
  }
  return {difference};
}

/// "2026-01-05T10:00:00Z", with a fraction of 3 or 6 digits when there is one.
std::string to_text(Timestamp t);
/// RFC 3339 with `Z` or an offset, at most six fractional digits; or a date alone (its first moment, UTC).
/// Nothing when it is not that, when the date does not exist, or when the year is outside 1970..9998.
std::optional<Timestamp> parse_timestamp(std::string_view text);
/// As parse_timestamp, and digits behind the sixth are cut instead of refused.
std::optional<Timestamp> parse_timestamp_truncating(std::string_view text);

/// Whether an event may have happened at `t`: the years 1970 to 9998, what parse_timestamp accepts.
bool is_event_time(Timestamp t);

/// The two largest units that are not zero: "1m 30s", "2h", "0s"; as texts for analysts show it.
std::string to_text(Duration d);
/// "10m", "1h30m", "250ms": units ms s m h d w in any sequence, all of them added; nothing on other text or overflow.
std::optional<Duration> parse_duration(std::string_view text);

/// The wall clock, for those who wait on the world (daemon, progress); never for evaluation.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Timestamp now() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override;
};

/// Moves only when told; for tests.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override { return now_; }
  void set(Timestamp t) { now_ = t; }

 private:
  Timestamp now_;
};

}  // namespace tocsin
