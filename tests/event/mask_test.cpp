#include "event/mask.h"

#include <doctest/doctest.h>

using namespace tocsin::event;

TEST_CASE("what masks leave of a value") {
  const auto text = [](Mask mask, std::string_view t) { return masked_text(mask, Value::of_text(t)); };
  CHECK(text(Mask::last4, "4111111111111234") == "****1234");
  CHECK(text(Mask::last4, "1234") == "****");
  CHECK(text(Mask::last4, "abcäöüß") == "****äöüß");
  CHECK(text(Mask::initial, "Änne") == "Ä***");
  CHECK(text(Mask::initial, "") == "***");
  CHECK(text(Mask::domain, "anna@x.example") == "***@x.example");
  CHECK(text(Mask::domain, "anna") == "***");
  CHECK(text(Mask::all, "anything") == "***");
  CHECK(masked_text(Mask::net24, *parse_ip("203.0.113.77")) == "203.0.113.0/24");
  CHECK(masked_text(Mask::net24, *parse_ip("2001:db8:1:2::3")) == "2001:db8:1::/48");
  CHECK(masked_json(Mask::all, Value{}) == "null");
  CHECK(masked_json(Mask::last4, Value::of_text("12345\"78")) == "\"****5\\\"78\"");
  for (const std::string_view name : mask_names()) CHECK(to_text(*parse_mask(name)) == name);
}

TEST_CASE("a line that did not read is masked as far as it can be told") {
  const MaskedName names[] = {{"card", Mask::last4}, {"ip", Mask::net24}};
  const auto line = [&](std::string_view t) { return masked_line(t, names); };
  CHECK(line(R"({"card":"4111111111111234","n":1,"ip" : "10.1.2.3"})") ==
        R"({"card":"****1234","n":1,"ip" : "10.1.2.0/24"})");
  CHECK(line(R"({"card":4111111111111234,"x":["card"],"ip":{"a":"10.1.2.3"}})") ==
        R"({"card":"***","x":["card"],"ip":"***"})");
  CHECK(line(R"({"card":"41111111)") == R"({"card":"***")");
  CHECK(line(R"({"c\u0061rd":"4111111111111234"})") == R"({"c\u0061rd":"****1234"})");
  CHECK(line(R"({"other":"card","y":"\"card\":1"})") == R"({"other":"card","y":"\"card\":1"})");
  CHECK(line("no json at all") == "no json at all");
  CHECK(line("") == "");
}
