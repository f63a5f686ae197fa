#include "base/time.h"

#include <array>
#include <chrono>
#include <cstddef>

namespace tocsin {
namespace {

constexpr std::int64_t us_per_second = 1'000'000;
constexpr std::int64_t us_per_day = 86'400'000'000;
constexpr std::int64_t year_min = 1970;
constexpr std::int64_t year_max = 9998;

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back: Howard Hinnant, "chrono-compatible
// low-level date algorithms", days_from_civil and civil_from_days.
constexpr std::int64_t days_of(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + static_cast<std::int64_t>(day_of_era) - 719'468;
}

struct Date {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

constexpr Date date_of(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146'097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

constexpr Timestamp first_moment{0};
constexpr Timestamp end_of_time{days_of(year_max + 1, 1, 1) * us_per_day};

constexpr unsigned days_in(std::int64_t year, unsigned month) {
  constexpr std::array<unsigned, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

// Reads from the front of a text; after the first thing that is not as expected it has failed for good.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  unsigned digits(std::size_t count) {
    if (text_.size() - at_ < count) return fail();
    unsigned value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const char c = text_[at_ + i];
      if (c < '0' || c > '9') return fail();
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    at_ += count;
    return value;
  }
  void expect(char c) {
    if (!take(c)) fail();
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] bool at_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  unsigned fail() {
    failed_ = true;
    at_ = text_.size();
    return 0;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

std::optional<Timestamp> parse(std::string_view text, bool truncate) {
  Cursor cursor(text);
  const std::int64_t year = cursor.digits(4);
  cursor.expect('-');
  const unsigned month = cursor.digits(2);
  cursor.expect('-');
  const unsigned day = cursor.digits(2);
  if (cursor.failed()) return std::nullopt;
  if (month < 1 || month > 12) return std::nullopt;
  if (day < 1 || day > days_in(year, month)) return std::nullopt;
  std::int64_t us = days_of(year, month, day) * us_per_day;
  if (!cursor.at_end()) {
    if (!cursor.take('T') && !cursor.take('t') && !cursor.take(' ')) return std::nullopt;
    const unsigned hour = cursor.digits(2);
    cursor.expect(':');
    const unsigned minute = cursor.digits(2);
    cursor.expect(':');
    const unsigned second = cursor.digits(2);
    if (cursor.failed() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
    std::int64_t fraction = 0;
    if (cursor.take('.')) {
      int places = 0;
      for (; cursor.at_digit(); ++places) {
        const unsigned digit = cursor.digits(1);
        if (places < 6) fraction = fraction * 10 + digit;
      }
      if (places == 0 || (places > 6 && !truncate)) return std::nullopt;
      for (; places < 6; ++places) fraction *= 10;
    }
    std::int64_t offset_minutes = 0;
    if (!cursor.take('Z') && !cursor.take('z')) {
      const bool west = cursor.take('-');
      if (!west) cursor.expect('+');
      const unsigned hours = cursor.digits(2);
      cursor.expect(':');
      const unsigned minutes = cursor.digits(2);
      if (cursor.failed() || hours > 23 || minutes > 59) return std::nullopt;
      offset_minutes = (west ? -1 : 1) * static_cast<std::int64_t>(hours * 60 + minutes);
    }
    if (cursor.failed() || !cursor.at_end()) return std::nullopt;
    us += (static_cast<std::int64_t>(hour * 3600 + minute * 60 + second) - offset_minutes * 60) * us_per_second +
          fraction;
  }
  if (!is_event_time(Timestamp{us})) return std::nullopt;
  return Timestamp{us};
}

void append_padded(std::string& out, std::int64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

}  // namespace

bool is_event_time(Timestamp t) { return t >= first_moment && t < end_of_time; }

std::string to_text(Timestamp t) {
  std::int64_t days = t.us / us_per_day;
  std::int64_t rest = t.us % us_per_day;
  if (rest < 0) {
    rest += us_per_day;
    --days;
  }
  const Date date = date_of(days);
  std::string text;
  if (date.year < 0) text += '-';
  append_padded(text, date.year < 0 ? -date.year : date.year, 4);
  text += '-';
  append_padded(text, date.month, 2);
  text += '-';
  append_padded(text, date.day, 2);
  text += 'T';
  const std::int64_t seconds = rest / us_per_second;
  const std::int64_t fraction = rest % us_per_second;
  append_padded(text, seconds / 3600, 2);
  text += ':';
  append_padded(text, seconds / 60 % 60, 2);
  text += ':';
  append_padded(text, seconds % 60, 2);
  if (fraction != 0) {
    text += '.';
    if (fraction % 1000 == 0) {
      append_padded(text, fraction / 1000, 3);
    } else {
      append_padded(text, fraction, 6);
    }
  }
  text += 'Z';
  return text;
}

std::optional<Timestamp> parse_timestamp(std::string_view text) { return parse(text, false); }
std::optional<Timestamp> parse_timestamp_truncating(std::string_view text) { return parse(text, true); }

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t us;
};

// For printing; days are the largest, since "180d" is what analysts write and "25w 5d" is not what they read.
constexpr std::array<Unit, 6> printed_units = {
    {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}}};

// `ms` before `m`, so that the longer one is found.
constexpr std::array<Unit, 6> read_units = {{{"ms", 1'000},
                                             {"s", 1'000'000},
                                             {"m", 60'000'000},
                                             {"h", 3'600'000'000},
                                             {"d", 86'400'000'000},
                                             {"w", 604'800'000'000}}};

}  // namespace

std::string to_text(Duration d) {
  if (d.us == 0) return "0s";
  std::uint64_t rest = d.us < 0 ? 0 - static_cast<std::uint64_t>(d.us) : static_cast<std::uint64_t>(d.us);
  std::string text = d.us < 0 ? "-" : "";
  std::size_t largest = 0;
  while (rest < printed_units[largest].us) ++largest;
  text += std::to_string(rest / printed_units[largest].us);
  text += printed_units[largest].name;
  rest %= printed_units[largest].us;
  // The second of the two is the next smaller unit that is not zero: "1d 5m", since dropping the minutes would lose
  // more than it explains.
  for (std::size_t next = largest + 1; next < printed_units.size(); ++next) {
    const std::uint64_t count = rest / printed_units[next].us;
    if (count == 0) continue;
    text += ' ';
    text += std::to_string(count);
    text += printed_units[next].name;
    break;
  }
  return text;
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    std::int64_t count = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      if (__builtin_mul_overflow(count, 10, &count)) return std::nullopt;
      if (__builtin_add_overflow(count, text[at] - '0', &count)) return std::nullopt;
    }
    if (at == begin) return std::nullopt;
    const Unit* found = nullptr;
    for (const Unit& unit : read_units) {
      if (text.substr(at).starts_with(unit.name)) {
        found = &unit;
        break;
      }
    }
    if (found == nullptr) return std::nullopt;
    at += found->name.size();
    std::int64_t part = 0;
    if (__builtin_mul_overflow(count, static_cast<std::int64_t>(found->us), &part)) return std::nullopt;
    if (__builtin_add_overflow(total, part, &total)) return std::nullopt;
  }
  return Duration{total};
}

Timestamp SystemClock::now() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

}  // namespace tocsin
