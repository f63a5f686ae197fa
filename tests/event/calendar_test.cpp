// Starts of calendar units: known nights on which clocks change, and for every zone and hour of some years the definition walked
// through minute by minute.
#include "event/calendar.h"

#include <doctest/doctest.h>

#include <string>

namespace tocsin::event {
namespace {

std::string start(const char* zone, CalendarUnit unit, const char* at) {
  const Zone* found = find_zone(zone);
  REQUIRE(found != nullptr);
  return to_text(found->start_of(unit, parse_timestamp(at).value()));
}

}  // namespace

TEST_CASE("units begin as the clock of the zone shows them") {
  CHECK(start("UTC", CalendarUnit::hour, "2026-01-05T10:59:59.999999Z") == "2026-01-05T10:00:00Z");
  CHECK(start("UTC", CalendarUnit::hour, "2026-01-05T11:00:00Z") == "2026-01-05T11:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-01-05T22:59:59.999999Z") == "2026-01-04T23:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-01-05T23:00:00Z") == "2026-01-05T23:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-07-05T22:00:00Z") == "2026-07-05T22:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::week, "2026-01-04T22:59:59Z") == "2025-12-28T23:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::week, "2026-01-04T23:00:00Z") == "2026-01-04T23:00:00Z");
  CHECK(start("America/New_York", CalendarUnit::month, "2026-03-01T04:59:59Z") == "2026-02-01T05:00:00Z");
  CHECK(start("America/New_York", CalendarUnit::month, "2026-03-31T12:00:00Z") == "2026-03-01T05:00:00Z");
  CHECK(start("Asia/Kolkata", CalendarUnit::hour, "2026-01-05T10:29:59Z") == "2026-01-05T09:30:00Z");
}

TEST_CASE("clocks that go forward: a day of 23 hours, and one that begins with the change") {
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-03-29T21:59:59Z") == "2026-03-28T23:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-03-29T22:00:00Z") == "2026-03-29T22:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::hour, "2026-03-29T01:30:00Z") == "2026-03-29T01:00:00Z");
  // Brazil's summer time began at midnight: that day's first moment was one o'clock.
  CHECK(start("America/Sao_Paulo", CalendarUnit::day, "2018-11-04T12:00:00Z") == "2018-11-04T03:00:00Z");
  CHECK(start("America/Sao_Paulo", CalendarUnit::day, "2018-11-04T02:59:59Z") == "2018-11-03T03:00:00Z");
  // Samoa left out 2011-12-30 altogether.
  CHECK(start("Pacific/Apia", CalendarUnit::day, "2011-12-30T10:00:00Z") == "2011-12-30T10:00:00Z");
  CHECK(start("Pacific/Apia", CalendarUnit::day, "2011-12-30T09:59:59Z") == "2011-12-29T10:00:00Z");
}

TEST_CASE("clocks that go back: a day of 25 hours, hours that come twice") {
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-10-25T22:59:59Z") == "2026-10-24T22:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2026-10-25T23:00:00Z") == "2026-10-25T23:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::hour, "2026-10-25T00:59:59Z") == "2026-10-25T00:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::hour, "2026-10-25T01:30:00Z") == "2026-10-25T01:00:00Z");
  // Havana goes from one o'clock back to midnight: the day begins with the first of the two.
  CHECK(start("America/Havana", CalendarUnit::day, "2026-11-01T05:30:00Z") == "2026-11-01T04:00:00Z");
  CHECK(start("America/Havana", CalendarUnit::day, "2026-11-01T04:00:00Z") == "2026-11-01T04:00:00Z");
  // Lord Howe Island goes back by half an hour, from two to half past one.
  CHECK(start("Australia/Lord_Howe", CalendarUnit::hour, "2026-04-04T15:10:00Z") == "2026-04-04T14:00:00Z");
  CHECK(start("Australia/Lord_Howe", CalendarUnit::hour, "2026-04-04T15:30:00Z") == "2026-04-04T15:30:00Z");
}

TEST_CASE("changes go on behind the tables of the system") {
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2044-07-05T12:00:00Z") == "2044-07-04T22:00:00Z");
  CHECK(start("Europe/Berlin", CalendarUnit::day, "2044-01-05T12:00:00Z") == "2044-01-04T23:00:00Z");
  CHECK(start("Asia/Tokyo", CalendarUnit::day, "2044-07-05T12:00:00Z") == "2044-07-04T15:00:00Z");
}

TEST_CASE("a start is its own start, they never go back, and each is followed by the next") {
  for (const char* name : {"UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "America/Havana",
                           "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns"}) {
    CAPTURE(name);
    const Zone* zone = find_zone(name);
    REQUIRE(zone != nullptr);
    for (const CalendarUnit unit : {CalendarUnit::hour, CalendarUnit::day, CalendarUnit::week, CalendarUnit::month}) {
      CAPTURE(to_text(unit));
      Timestamp before = Timestamp::min();
      int wrong = 0;
      for (Timestamp t = *parse_timestamp("2011-01-01"); t < *parse_timestamp("2013-01-01");
           t = t + Duration::minutes(17)) {
        const Timestamp start = zone->start_of(unit, t);
        const Timestamp next = zone->next_start(unit, t);
        if (start > t || next <= t || start < before) ++wrong;
        if (zone->start_of(unit, start) != start || zone->start_of(unit, next) != next) ++wrong;
        if (zone->start_of(unit, next - Duration{1}) != start) ++wrong;
        before = start;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("zones by name") {
  CHECK(find_zone("Europe/Nowhere") == nullptr);
  CHECK(find_zone("") == nullptr);
  CHECK(find_zone("../etc/passwd") == nullptr);
  CHECK(find_zone("Europe/Berlin") == find_zone("Europe/Berlin"));
  CHECK(zone_names().size() > 300);
  CHECK(parse_calendar_unit("week") == CalendarUnit::week);
  CHECK(parse_calendar_unit("year") == std::nullopt);
}

}  // namespace tocsin::event
