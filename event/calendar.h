// Where the hours, days, weeks and months of a time zone begin, as moments of event time (SEMANTICS W8). Zones are those
// of the IANA database as the system has it; a zone is read once, when rules are checked, into a table of its offsets,
// and is constant from then on: any thread may ask it, and asking costs a search in some hundred entries.
//
// A day, week (from Monday) or month begins with the first moment at which the zone's clock shows a date in it: where
// clocks go forward over midnight that is the moment of the change, and where midnight comes twice it is the first.
// An hour begins whenever the clock shows a full hour: an hour that comes twice is two hours.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace tocsin::event {

enum class CalendarUnit : std::uint8_t { hour, day, week, month };
std::string_view to_text(CalendarUnit unit);
std::optional<CalendarUnit> parse_calendar_unit(std::string_view word);

class Zone {
 public:
  /// The offset from UTC that holds from a moment on.
  struct Offset {
    Timestamp from;
    Duration offset;
  };
  Zone(std::string name, std::vector<Offset> offsets);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// The last start of the unit at or before `t`. It never goes back as `t` grows.
  [[nodiscard]] Timestamp start_of(CalendarUnit unit, Timestamp t) const;
  /// The first start of the unit after `t`.
  [[nodiscard]] Timestamp next_start(CalendarUnit unit, Timestamp t) const;
  [[nodiscard]] Duration offset_at(Timestamp t) const { return offsets_[place_of(t)].offset; }

 private:
  [[nodiscard]] std::size_t place_of(Timestamp t) const;

  std::string name_;
  std::vector<Offset> offsets_;  // from the beginning of time on, ascending
};

/// The zone of this name ("Europe/Berlin"); nullptr when the system knows none. Zones live as long as the process.
const Zone* find_zone(std::string_view name);
/// All names there are, sorted: for suggestions.
std::vector<std::string> zone_names();

}  // namespace tocsin::event
