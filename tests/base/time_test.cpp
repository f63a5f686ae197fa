#include "base/time.h"

#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace tocsin;

namespace {

std::string read(std::string_view text) {
  const std::optional<Timestamp> t = parse_timestamp(text);
  return t ? to_text(*t) : "nothing";
}
std::string span(std::string_view text) {
  const std::optional<Duration> d = parse_duration(text);
  return d ? to_text(*d) : "nothing";
}

}  // namespace

TEST_CASE("moments are read in RFC 3339 and shown in UTC") {
  CHECK(read("2026-01-05T10:00:00Z") == "2026-01-05T10:00:00Z");
  CHECK(read("2026-01-05t10:00:00z") == "2026-01-05T10:00:00Z");
  CHECK(read("2026-01-05 10:00:00Z") == "2026-01-05T10:00:00Z");
  CHECK(read("2026-01-05T10:00:00.5Z") == "2026-01-05T10:00:00.500Z");
  CHECK(read("2026-01-05T10:00:00.123456Z") == "2026-01-05T10:00:00.123456Z");
  CHECK(read("2026-01-05T10:00:00+02:30") == "2026-01-05T07:30:00Z");
  CHECK(read("2026-01-05T23:30:00-01:00") == "2026-01-06T00:30:00Z");
  CHECK(read("2026-01-05") == "2026-01-05T00:00:00Z");
  CHECK(read("2024-02-29") == "2024-02-29T00:00:00Z");
  CHECK(read("2000-02-29") == "2000-02-29T00:00:00Z");
  CHECK(read("1970-01-01T00:00:00Z") == "1970-01-01T00:00:00Z");
  CHECK(read("9998-12-31T23:59:59.999999Z") == "9998-12-31T23:59:59.999999Z");
  CHECK(parse_timestamp("2026-01-05T10:00:00Z")->us == 1'767'607'200'000'000);
}

TEST_CASE("what is no moment is nothing") {
  for (const char* text : {"",
                           "2026",
                           "2026-1-5",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-02-29",
                           "2100-02-29",
                           "2026-04-31",
                           "2026-01-00",
                           "2026-01-05T",
                           "2026-01-05T10",
                           "2026-01-05T10:00",
                           "2026-01-05T10:00:00",
                           "2026-01-05T24:00:00Z",
                           "2026-01-05T10:60:00Z",
                           "2026-01-05T10:00:60Z",
                           "2026-01-05T10:00:00.Z",
                           "2026-01-05T10:00:00.1234567Z",
                           "2026-01-05T10:00:00+0200",
                           "2026-01-05T10:00:00+24:00",
                           "2026-01-05T10:00:00Z ",
                           "2026-01-05T10:00:00ZZ",
                           "1969-12-31T23:59:59Z",
                           "1970-01-01T00:00:00+00:01",
                           "9999-01-01T00:00:00Z",
                           "9998-12-31T23:59:59-00:01",
                           "+026-01-05",
                           "2026-01-05X10:00:00Z",
                           "yesterday"}) {
    CAPTURE(text);
    CHECK(read(text) == "nothing");
  }
  CHECK(to_text(*parse_timestamp_truncating("2026-01-05T10:00:00.123456789Z")) == "2026-01-05T10:00:00.123456Z");
}

TEST_CASE("moments outside of what is read still have a text") {
  CHECK(to_text(Timestamp{-1}) == "1969-12-31T23:59:59.999999Z");
  CHECK(to_text(Timestamp{-86'400'000'000}) == "1969-12-31T00:00:00Z");
  CHECK(to_text(Timestamp::max()).back() == 'Z');
  CHECK(to_text(Timestamp::min()).front() == '-');
  CHECK(!is_event_time(Timestamp{-1}));
  CHECK(is_event_time(Timestamp{0}));
}

TEST_CASE("spans of time") {
  CHECK(span("10m") == "10m");
  CHECK(span("1h30m") == "1h 30m");
  CHECK(span("90s") == "1m 30s");
  CHECK(span("250ms") == "250ms");
  CHECK(span("2w") == "14d");
  CHECK(span("0s") == "0s");
  CHECK(span("1d5m") == "1d 5m");
  CHECK(span("1d2h3m") == "1d 2h");
  CHECK(span("1m1m") == "2m");
  CHECK(to_text(Duration{-90'000'000}) == "-1m 30s");
  CHECK(to_text(Duration{7}) == "7us");
  CHECK(to_text(Duration{std::numeric_limits<std::int64_t>::min()}) == "-106751991d 4h");
  for (const char* text :
       {"", "10", "m", "10 m", "10x", "-10m", "1.5h", "99999999999999999999s", "106751992d", "1mm"}) {
    CAPTURE(text);
    CHECK(span(text) == "nothing");
  }
}

TEST_CASE("the ends of time stay in order") {
  CHECK(Timestamp::max() + Duration::days(1) == Timestamp::max());
  CHECK(Timestamp::min() - Duration::days(1) == Timestamp::min());
  CHECK((Timestamp::max() - Timestamp::min()).us == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("properties") {
  CHECK(rc::check("what is shown is read back as the same moment", [] {
    const Timestamp t{*rc::gen::inRange<std::int64_t>(0, 253'339'228'800'000'000)};
    RC_ASSERT(parse_timestamp(to_text(t)) == t);
    const Timestamp second{t.us - t.us % 1'000'000};
    RC_ASSERT(parse_timestamp(to_text(second)) == second);
  }));
  CHECK(rc::check("any text is a moment or nothing, and so for spans", [](const std::string& text) {
    if (const std::optional<Timestamp> t = parse_timestamp(text)) RC_ASSERT(is_event_time(*t));
    (void)parse_duration(text);
  }));
}
