#include "event/calendar.h"

#include <date/tz.h>

#include <algorithm>
#include <exception>
#include <map>
#include <mutex>

#include "base/check.h"

namespace tocsin::event {
namespace {

using Microseconds = date::sys_time<std::chrono::microseconds>;

constexpr Duration hour = Duration::hours(1);
constexpr Duration day = Duration::days(1);
constexpr int year_end = 2200;  // changes of clocks are known up to here

/// As a clock in the zone shows it, counted as if it were UTC.
struct Local {
  std::int64_t us = 0;
};

Duration floor_of(Duration d, Duration step) {
  std::int64_t rest = d.us % step.us;
  if (rest < 0) rest += step.us;
  return {d.us - rest};
}

/// Where the unit that holds this clock reading begins, on the same clock.
Local floor_of(CalendarUnit unit, Local local) {
  const Duration since_epoch{local.us};
  switch (unit) {
    case CalendarUnit::hour: return {floor_of(since_epoch, hour).us};
    case CalendarUnit::day: return {floor_of(since_epoch, day).us};
    case CalendarUnit::week: {
      // 1970-01-01 was a Thursday, three days after a Monday.
      const Duration three = Duration::days(3);
      return {floor_of({since_epoch.us + three.us}, Duration::days(7)).us - three.us};
    }
    case CalendarUnit::month: {
      const date::sys_days date = date::floor<date::days>(Microseconds{std::chrono::microseconds{local.us}});
      const date::year_month_day ymd{date};
      const date::sys_days first = date::year_month_day{ymd.year(), ymd.month(), date::day{1}};
      return {std::chrono::duration_cast<std::chrono::microseconds>(first.time_since_epoch()).count()};
    }
  }
  return local;
}

Duration longest(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::hour: return hour;
    case CalendarUnit::day: return day;
    case CalendarUnit::week: return Duration::days(7);
    case CalendarUnit::month: return Duration::days(31);
  }
  return day;
}

/// A yearly change of the clock: the first such weekday on or after a day of a month, at a time of day of the clock before it.
struct YearlyChange {
  date::month month;
  date::weekday weekday;
  int first_day = 1;
  Duration time_of_day;
  Duration before;
  Duration after;

  [[nodiscard]] Timestamp in(int year) const {
    const date::sys_days from = date::year{year} / month / date::day{static_cast<unsigned>(first_day)};
    const date::sys_days on = from + (weekday - date::weekday{from});
    const auto midnight = std::chrono::duration_cast<std::chrono::microseconds>(on.time_since_epoch()).count();
    return Timestamp{midnight} + time_of_day - before;
  }
};

/// The rule that the changes i, i + per_year … follow; nothing when there is none. Requires: i > 0, since in front of the changes
/// stands the offset that held before them.
std::optional<YearlyChange> rule_of(const std::vector<Zone::Offset>& changes, std::size_t per_year, std::size_t i) {
  std::optional<YearlyChange> rule;
  int last_day = 0;
  for (std::size_t k = i; k < changes.size(); k += per_year) {
    const Duration before = changes[k - 1].offset;
    const Timestamp local = changes[k].from + before;
    const Timestamp midnight{floor_of({local.us}, day).us};
    const date::sys_days date = date::floor<date::days>(Microseconds{std::chrono::microseconds{midnight.us}});
    const date::year_month_day ymd{date};
    const int on = static_cast<int>(static_cast<unsigned>(ymd.day()));
    const YearlyChange one{ymd.month(), date::weekday{date}, on, local - midnight, before, changes[k].offset};
    if (!rule) {
      rule = one;
      last_day = on;
      continue;
    }
    if (one.month != rule->month || one.weekday != rule->weekday || one.time_of_day != rule->time_of_day ||
        one.before != rule->before || one.after != rule->after) {
      return std::nullopt;
    }
    rule->first_day = std::min(rule->first_day, on);
    last_day = std::max(last_day, on);
  }
  if (rule && last_day - rule->first_day > 6) return std::nullopt;
  return rule;
}

/// The system's tables end in 2037, and in nearly all zones that change their clocks the last decade follows one rule: it is
/// continued. Where it does not (Morocco goes by the moon), the last offset stays.
void continue_changes(std::vector<Zone::Offset>& offsets) {
  constexpr int first_year = 2027;
  constexpr int last_year = 2037;
  const auto start_of_year = [](int year) {
    const date::sys_days first = date::year{year} / 1 / 1;
    return Timestamp{std::chrono::duration_cast<std::chrono::microseconds>(first.time_since_epoch()).count()};
  };
  const auto from = std::find_if(offsets.begin(), offsets.end(),
                                 [&](const Zone::Offset& o) { return o.from >= start_of_year(first_year); });
  const auto changes = static_cast<std::size_t>(offsets.end() - from);
  const std::size_t years = last_year - first_year + 1;
  if (changes == 0 || changes % years != 0 || from == offsets.begin()) return;
  if (offsets.back().from >= start_of_year(last_year + 1)) return;
  const std::size_t per_year = changes / years;
  const std::vector<Zone::Offset> decade(from - 1, offsets.end());
  std::vector<YearlyChange> rules;
  for (std::size_t i = 0; i < per_year; ++i) {
    const auto rule = rule_of(decade, per_year, i + 1);
    if (!rule) return;
    rules.push_back(*rule);
  }
  for (int year = last_year + 1; year < year_end; ++year) {
    for (const YearlyChange& rule : rules) offsets.push_back({rule.in(year), rule.after});
  }
}

std::unique_ptr<const Zone> read_zone(std::string_view name) {
  try {
    const date::time_zone* zone = date::locate_zone(std::string(name));
    std::vector<Zone::Offset> offsets;
    const date::sys_seconds end = date::sys_days{date::year{year_end} / 1 / 1};
    date::sys_seconds at = date::sys_days{date::year{1970} / 1 / 1};
    for (;;) {
      const date::sys_info info = zone->get_info(at);
      const Timestamp from =
          offsets.empty()
              ? Timestamp::min()
              : Timestamp{std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count()};
      const Duration offset = Duration::seconds(info.offset.count());
      if (offsets.empty() || offsets.back().offset != offset) offsets.push_back({from, offset});
      if (info.end <= at || info.end >= end) break;
      at = info.end;
    }
    continue_changes(offsets);
    return std::make_unique<const Zone>(std::string(name), std::move(offsets));
  } catch (const std::exception&) {
    return nullptr;  // no such zone, or no database
  }
}

}  // namespace

std::string_view to_text(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::hour: return "hour";
    case CalendarUnit::day: return "day";
    case CalendarUnit::week: return "week";
    case CalendarUnit::month: return "month";
  }
  return "?";
}

std::optional<CalendarUnit> parse_calendar_unit(std::string_view word) {
  for (const CalendarUnit unit : {CalendarUnit::hour, CalendarUnit::day, CalendarUnit::week, CalendarUnit::month}) {
    if (word == to_text(unit)) return unit;
  }
  return std::nullopt;
}

Zone::Zone(std::string name, std::vector<Offset> offsets) : name_(std::move(name)), offsets_(std::move(offsets)) {
  TOCSIN_CHECK(!offsets_.empty());
}

std::size_t Zone::place_of(Timestamp t) const {
  const auto after = std::upper_bound(offsets_.begin() + 1, offsets_.end(), t,
                                      [](Timestamp moment, const Offset& o) { return moment < o.from; });
  return static_cast<std::size_t>(after - offsets_.begin()) - 1;
}

Timestamp Zone::start_of(CalendarUnit unit, Timestamp t) const {
  // Before all events (a watermark that has not begun) there are no dates to count with.
  constexpr Timestamp first_events{0};
  if (t < first_events) return t;
  const auto local_of = [](Timestamp moment, Duration offset) { return Local{(moment + offset).us}; };
  std::size_t place = place_of(t);
  const Local begin = floor_of(unit, local_of(t, offsets_[place].offset));
  for (;; --place) {
    const Timestamp start = Timestamp{begin.us} - offsets_[place].offset;
    const Timestamp changed = offsets_[place].from;
    if (place == 0 || start > changed) return start;
    if (unit == CalendarUnit::hour && start == changed) return start;
    // The unit reaches back to the change of the clock, or over it: did the clock before it already show this unit?
    const Local shown = floor_of(unit, local_of(changed - Duration{1}, offsets_[place - 1].offset));
    if (shown.us < begin.us) return changed;
  }
}

Timestamp Zone::next_start(CalendarUnit unit, Timestamp t) const {
  const Timestamp start = start_of(unit, t);
  // From a day beyond the longest unit the search goes back: there are at most a few starts in between.
  Timestamp next = start_of(unit, t + longest(unit) + day);
  for (;;) {
    const Timestamp before = start_of(unit, next - Duration{1});
    if (before <= start) return next;
    next = before;
  }
}

const Zone* find_zone(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Zone>, std::less<>> zones;
  const std::lock_guard lock(mutex);
  const auto known = zones.find(name);
  if (known != zones.end()) return known->second.get();
  return zones.emplace(std::string(name), read_zone(name)).first->second.get();
}

std::vector<std::string> zone_names() {
  std::vector<std::string> names;
  try {
    for (const date::time_zone& zone : date::get_tzdb().zones) names.push_back(zone.name());
  } catch (const std::exception&) {
    names.clear();  // no database: nothing to suggest
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace tocsin::event
