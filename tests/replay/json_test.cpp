#include "replay/json.h"

#include <doctest/doctest.h>

#include "event/schema.h"

namespace tocsin::replay {

TEST_CASE("a record becomes a tree, numbers as written") {
  const std::optional<Json> json =
      parse_json(R"({"a":[1,-2.50,"x"],"b":{"c":true,"d":null}, "e" : "\u00e9\ud83d\ude00\n\"" })");
  REQUIRE(json.has_value());
  CHECK((*json)["a"].items.size() == 3);
  CHECK((*json)["a"].items[1].text == "-2.50");
  CHECK((*json)["b"]["c"].is_true());
  CHECK((*json)["b"].has("d"));
  CHECK((*json)["b"]["d"].kind == Json::Kind::null);
  CHECK((*json)["e"].text == "\xC3\xA9\xF0\x9F\x98\x80\n\"");
  CHECK((*json)["nothing"]["there"].kind == Json::Kind::null);
}

TEST_CASE("what is not JSON is nothing") {
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "\"open", "tru", "{} {}", "\"\\ud800\"", "\"\\u12\""}) {
    CAPTURE(text);
    CHECK(!parse_json(text).has_value());
  }
  CHECK(!parse_json(std::string(1000, '[')).has_value());
}

TEST_CASE("what the writer of records escapes is read back") {
  std::string every;
  for (int c = 1; c < 128; ++c) every += static_cast<char>(c);
  std::string quoted;
  event::append_json_string(quoted, every);
  REQUIRE(parse_json(quoted).has_value());
  CHECK(parse_json(quoted)->text == every);
}

}  // namespace tocsin::replay
