#include "event/decode.h"

#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/event/some_events.h"

using namespace tocsin;
using namespace tocsin::event;

namespace {

// One decoder and the memory of what it read last.
struct Reader {
  explicit Reader(const SourceFormat& format = {}, Schema with = all_types())
      : schema(std::move(with)), decoder(JsonDecoder::make(schema, format).take()) {}

  DecodeResult decode(std::string_view line) {
    arena.clear();
    return decoder.decode(buffer.hold(line), arena, event);
  }
  // The events as "type field=value…", or the refusal as "reason field @offset".
  std::string read(std::string_view line) {
    const DecodeResult result = decode(line);
    if (!result) {
      std::string text(to_text(result.reason));
      if (!result.field.empty()) text += " " + std::string(result.field);
      return text + " @" + std::to_string(result.offset);
    }
    const EventType& type = schema.events[event.type];
    std::string text = type.name;
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
      if (event.values[i].is_missing()) continue;
      text += " " + type.fields[i].name + "=" + json_text(event.values[i], type.fields[i].type, schema);
    }
    return text;
  }
  // One field of a login whose required fields are given.
  std::string field(const std::string& name, const std::string& json) {
    const DecodeResult result =
        decode(R"({"type":"login","id":"1","at":"2026-01-05T10:00:00Z","user":"u",")" + name + "\":" + json + "}");
    if (!result) return std::string(to_text(result.reason));
    const EventType& type = schema.events[event.type];
    const FieldIndex index = *type.find(name);
    return json_text(event.values[index], type.fields[index].type, schema);
  }

  Schema schema;
  JsonDecoder decoder;
  PaddedBuffer buffer;
  Arena arena;
  Event event;
};

}  // namespace

TEST_CASE("an event of all types") {
  Reader reader;
  CHECK(
      reader.read(
          R"({"type":"login","id":"l1","at":"2026-01-05T10:00:00Z","user":"u1","device":"d1","result":"success",)"
          R"("new_device":true,"tries":3,"score":0.75,"ip":"203.0.113.7","geo":{"lat":52.5,"lon":13.4},)"
          R"("amount":{"amount":"12.30","currency":"EUR"},"fee":"1.5 USD","wait":"10m","seen_at":null})") ==
      R"(login id="l1" at="2026-01-05T10:00:00Z" user="u1" device="d1" result="success" new_device=true tries=3 score=0.75)"
      R"( ip="203.0.113.7" geo={"lat":52.5,"lon":13.4} amount={"amount":"12.3","currency":"EUR"})"
      R"( fee={"amount":"1.5","currency":"USD"} wait=600)");
  CHECK(reader.event.time == *parse_timestamp("2026-01-05T10:00:00Z"));
  CHECK(reader.event.arrival == reader.event.time);
  CHECK(reader.event.values.size() == 15);
}

TEST_CASE("the type may stand anywhere, and fields in any order") {
  Reader reader;
  const std::string expected = R"(click id="c1" at="2026-01-05T10:00:00Z" x=7)";
  for (int round = 0; round < 2; ++round) {
    CHECK(reader.read(R"({"type":"click","id":"c1","at":"2026-01-05T10:00:00Z","x":7})") == expected);
    CHECK(reader.read(R"({"x":7,"id":"c1","type":"click","at":"2026-01-05T10:00:00Z"})") == expected);
    CHECK(reader.read(R"({"x":7,"at":"2026-01-05T10:00:00Z","id":"c1","type":"click"})") == expected);
    CHECK(
        reader.read(
            R"({"new":[{"x":1},{}],"x":7,"at":"2026-01-05T10:00:00Z","id":"c1","type":"click","z":{"type":"login"}})") ==
        expected);
    CHECK(reader.read(
              R"({ "\u0074ype" : "cl\u0069ck" , "\u0078" : 7 , "at":"2026-01-05T10:00:00Z","i\u0064":"c\u0031" } )") ==
          expected);
    CHECK(reader.read(R"({"\u0078":7,"i\u0064":"c\u0031","at":"2026-01-05T10:00:00Z","\u0074ype":"cl\u0069ck"})") ==
          expected);
    CHECK(reader.read("{\"type\":\"click\",\"id\":\"c1\",\"at\":\"2026-01-05T10:00:00Z\",\"x\":7}\r") == expected);
  }
  CHECK(reader.decoder.unknown_count() == 4);
}

TEST_CASE("what is refused, and where") {
  Reader reader;
  const std::string head = R"({"type":"login","id":"1","at":"2026-01-05T10:00:00Z","user":"u")";
  CHECK(reader.read("") == "not_json @0");
  CHECK(reader.read("   ") == "not_json @3");
  CHECK(reader.read("[1]") == "not_an_object @0");
  CHECK(reader.read("\"x\"") == "not_an_object @0");
  CHECK(reader.read("17") == "not_an_object @0");
  CHECK(reader.read("{}") == "missing_field type @2");
  CHECK(reader.read(R"({"type":"nothing"})") == "unknown_type type @8");
  CHECK(reader.read(R"({"type":7})") == "wrong_type type @8");
  CHECK(reader.read(R"({"type":"login","id":"1","user":"u"})") == "missing_field at @36");
  CHECK(reader.read(R"({"type":"login","id":null,"at":"2026-01-05T10:00:00Z","user":"u"})") == "missing_field id @65");
  CHECK(reader.read(head + R"(,"tries":"3"})") == "wrong_type tries @72");
  CHECK(reader.read(head + R"(,"tries":3.5})") == "bad_value tries @72");
  CHECK(reader.read(head + R"(,"user":"u"})") == "duplicate_field user @65");
  CHECK(reader.read(head + R"(,"type":"login"})") == "duplicate_field type @65");
  CHECK(reader.read(head + R"(,"tries":null,"tries":3})") == "duplicate_field tries @78");
  CHECK(reader.read(head + "} x").starts_with("not_json"));
  CHECK(reader.read(head + "}{}").starts_with("not_json"));
  CHECK(reader.read(head + ",}").starts_with("not_json"));
  CHECK(reader.read(head + ",\"x\"}").starts_with("not_json"));
  CHECK(reader.read(head + ",\"x\":}").starts_with("not_json"));
  CHECK(reader.read(head + ",\"x\":nonsense}").starts_with("not_json"));
  CHECK(reader.read(head + ",\"tries\":tru}").starts_with("not_json"));
  CHECK(reader.read(head + ",\"device\":\"a\nb\"}").starts_with("not_json"));
  CHECK(reader.read(R"({"type":"login" "id":"1"})").starts_with("not_json"));
  CHECK(reader.read(head + ",\"device\":\"\xff\"}") == "bad_utf8 @74");
  CHECK(reader.read(head + ",\"device\":\"" + std::string(1000, 'x') + "\xc3\"}") == "bad_utf8 @1074");
  CHECK(reader.read(head + R"(,"device":"\ud800"})") == "bad_value device @73");
  CHECK(reader.read(std::string(R"({"a":)") + std::string(100'000, '[')).starts_with("not_json"));
  CHECK(reader.read(head + ",\"deep\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}")
            .starts_with("login"));
}

TEST_CASE("huge lines and texts") {
  Reader reader;
  const auto line = [](const std::string& device) {
    return R"({"type":"login","id":"1","at":"2026-01-05T10:00:00Z","user":"u","device":")" + device + "\"}";
  };
  CHECK(reader.decode(line(std::string(text_bytes_max, 'x'))));
  CHECK(reader.read(line(std::string(text_bytes_max + 1, 'x'))) == "too_large device @73");
  CHECK(reader.read(line(std::string(900'000, 'x'))) == "too_large device @73");
  std::string escaped;
  for (std::size_t i = 0; i < text_bytes_max; ++i) escaped += "\\n";
  CHECK(reader.decode(line(escaped)));
  CHECK(reader.event.values[3].text() == std::string(text_bytes_max, '\n'));
  CHECK(reader.read(line(escaped + "\\n")) == "too_large device @73");
  CHECK(reader.read(line(std::string(2'000'000, 'x'))) == "too_large @1048576");
  // A key as long as a line, read twice because the type stands behind it: nothing may overflow.
  std::string key(900'000, 'k');
  key += "\\n";
  CHECK(reader.read("{\"" + key + "\":1,\"type\":\"click\",\"id\":\"c\",\"at\":\"2026-01-05T10:00:00Z\",\"x\":1}")
            .starts_with("click"));
  CHECK(reader.read(line("d")).starts_with("login"));
}

TEST_CASE("numbers come from their digits") {
  Reader reader;
  CHECK(reader.field("score", "0.1") == "0.1");
  CHECK(reader.field("score", "123456789012345678.123456789") == "123456789012345678.123456789");
  CHECK(reader.field("score", "1e2") == "100");
  CHECK(reader.field("score", "-0") == "0");
  CHECK(reader.field("tries", "12.0") == "12");
  CHECK(reader.field("tries", "-12") == "-12");
  for (const char* bad : {"01", "-", "1.", "0.0000000001", "1e40", "1e", "12abc", "1.2.3", "--1"}) {
    CAPTURE(bad);
    CHECK(reader.field("score", bad) == "bad_value");
  }
  for (const char* bad : {"\"1\"", "true", "{}", "[1]"}) {
    CAPTURE(bad);
    CHECK(reader.field("score", bad) == "wrong_type");
  }
  for (const char* bad : {"+1", ".5", "NaN", "Infinity"}) {
    CAPTURE(bad);
    CHECK(reader.field("score", bad) == "not_json");
  }
}

TEST_CASE("each type in its accepted forms") {
  Reader reader;
  CHECK(reader.field("device", "\"\"") == "\"\"");
  CHECK(reader.field("device", "7") == "wrong_type");
  CHECK(reader.field("new_device", "false") == "false");
  CHECK(reader.field("new_device", "\"true\"") == "wrong_type");
  CHECK(reader.field("new_device", "1") == "wrong_type");
  CHECK(reader.field("result", "\"refused by the bank\"") == "\"refused by the bank\"");
  CHECK(reader.field("result", "\"Success\"") == "bad_value");
  CHECK(reader.field("result", "0") == "wrong_type");
  CHECK(reader.field("ip", "\"2001:DB8::1\"") == "\"2001:db8::1\"");
  CHECK(reader.field("ip", "\"300.0.0.1\"") == "bad_value");
  CHECK(reader.field("geo", "[52.5,13.4]") == R"({"lat":52.5,"lon":13.4})");
  CHECK(reader.field("geo", R"({"lon":13.4,"lat":52.520008123456,"accuracy":5})") ==
        R"({"lat":52.520008123,"lon":13.4})");
  for (const char* bad : {"[52.5]", "[52.5,13.4,1]", "[90.1,0]", "[0,180.000000001]", R"({"lat":1})", "{}", "[]"}) {
    CAPTURE(bad);
    CHECK(reader.field("geo", bad) == "bad_value");
  }
  CHECK(reader.field("geo", R"(["1","2"])") == "wrong_type");
  CHECK(reader.field("geo", R"("1,2")") == "wrong_type");
  CHECK(reader.field("geo", R"({"lat":1,"lat":1,"lon":2})") == "duplicate_field");
  CHECK(reader.field("amount", R"("12.30 USD")") == R"({"amount":"12.3","currency":"USD"})");
  CHECK(reader.field("amount", R"({"currency":"USD","amount":12.30,"note":[1]})") ==
        R"({"amount":"12.3","currency":"USD"})");
  CHECK(reader.field("amount", "12.30") == "bad_value");
  CHECK(reader.field("amount", R"({"amount":"12.30"})") == "bad_value");
  CHECK(reader.field("amount", R"({"amount":"12.30","currency":"dollars"})") == "bad_value");
  CHECK(reader.field("amount", R"({"amount":true,"currency":"USD"})") == "wrong_type");
  CHECK(reader.field("amount", "true") == "wrong_type");
  CHECK(reader.field("fee", R"("5 EUR")") == "bad_value");
  CHECK(reader.field("fee", "5") == R"({"amount":"5","currency":"USD"})");
  CHECK(reader.field("wait", "\"1h30m\"") == "5400");
  CHECK(reader.field("wait", "90.000001") == "90.000001");
  CHECK(reader.field("wait", "0.0000001") == "bad_value");
  CHECK(reader.field("wait", "\"soon\"") == "bad_value");
  for (const char* bad :
       {"\"1969-12-31T23:59:59Z\"", "\"9999-01-01T00:00:00Z\"", "\"2026-01-05T10:00:00.1234567Z\"", "\"\""}) {
    CAPTURE(bad);
    CHECK(reader.field("seen_at", bad) == "bad_value");
  }
  CHECK(reader.field("seen_at", "1767607200") == "wrong_type");
}

TEST_CASE("times as numbers") {
  const auto with = [](TimeFormat time_format, bool truncate, const std::string& at) {
    SourceFormat format;
    format.time_format = time_format;
    format.truncate = truncate;
    Reader reader(format);
    const std::string text = reader.read(R"({"type":"click","id":"c","x":1,"at":)" + at + "}");
    const std::size_t begin = text.find("at=\"");
    return begin == std::string::npos ? text : text.substr(begin + 4, text.find('"', begin + 4) - begin - 4);
  };
  CHECK(with(TimeFormat::epoch_s, false, "1767607200") == "2026-01-05T10:00:00Z");
  CHECK(with(TimeFormat::epoch_s, false, "1767607200.25") == "2026-01-05T10:00:00.250Z");
  CHECK(with(TimeFormat::epoch_ms, false, "1767607200250") == "2026-01-05T10:00:00.250Z");
  CHECK(with(TimeFormat::epoch_us, false, "1767607200250001") == "2026-01-05T10:00:00.250001Z");
  CHECK(with(TimeFormat::epoch_us, false, "1767607200250001.5").starts_with("bad_value"));
  CHECK(with(TimeFormat::epoch_us, true, "1767607200250001.5") == "2026-01-05T10:00:00.250001Z");
  CHECK(with(TimeFormat::epoch_s, true, "1767607200.1234567") == "2026-01-05T10:00:00.123456Z");
  CHECK(with(TimeFormat::epoch_s, false, "-1").starts_with("bad_value"));
  CHECK(with(TimeFormat::epoch_s, true, "-0.0000001").starts_with("bad_value"));
  CHECK(with(TimeFormat::epoch_s, false, "253370764800").starts_with("bad_value"));
  CHECK(with(TimeFormat::epoch_s, false, "1e20").starts_with("bad_value"));
  CHECK(with(TimeFormat::epoch_ms, false, "\"2026-01-05T10:00:00Z\"").starts_with("wrong_type"));
  CHECK(with(TimeFormat::rfc3339, true, "\"2026-01-05T10:00:00.123456789Z\"") == "2026-01-05T10:00:00.123456Z");
}

TEST_CASE("fields nobody declared, by type and name") {
  Reader reader;
  const auto text = [&] {
    std::string all;
    for (const UnknownField& f : reader.decoder.unknown_fields()) {
      all += f.type + "." + f.field + " " + std::to_string(f.count) + "\n";
    }
    return all;
  };
  const std::string head = R"({"type":"click","id":"c","at":"2026-01-05","x":1)";
  CHECK(reader.read(head + R"(,"browser":"x","size":[1,{"id":2}]})").starts_with("click"));
  CHECK(reader.read(head + R"(,"browser":null})").starts_with("click"));
  CHECK(reader.read(head + R"(,"br\u006fwser":{}})").starts_with("click"));
  CHECK(
      reader.read(R"({"type":"login","id":"1","at":"2026-01-05","user":"u","amount":{"amount":1,"curency":"EUR"}})") ==
      "bad_value amount @63");
  CHECK(text() == "click.browser 3\nclick.size 1\nlogin.amount.curency 1\n");
  for (std::size_t i = 0; i < 2 * unknown_names_max; ++i) {
    CHECK(reader.read(head + ",\"n" + std::to_string(i) + "\":0}").starts_with("click"));
  }
  CHECK(reader.read(head + ",\"" + std::string(1000, 'n') + "\":0}").starts_with("click"));
  const std::vector<UnknownField> all = reader.decoder.unknown_fields();
  REQUIRE(all.size() == unknown_names_max + 2);
  CHECK(all[unknown_names_max].field == unknown_others_name);
  CHECK(all[unknown_names_max].count == unknown_names_max + 2 + 1);
  CHECK(reader.decoder.unknown_count() == 5 + 2 * unknown_names_max + 1);
}

TEST_CASE("how a source spells its events") {
  SourceFormat format;
  format.type_field = "kind";
  format.spellings = {{"click", "eventId", "id"}, {"click", "ts", "at"}};
  format.currency = *parse_currency("EUR");
  format.latitude_name = "latitude";
  format.longitude_name = "lng";
  Reader reader(format);
  CHECK(reader.read(R"({"kind":"click","eventId":"c","ts":"2026-01-05T10:00:00Z","x":1})").starts_with("click"));
  CHECK(reader.read(R"({"kind":"click","id":"c","ts":"2026-01-05T10:00:00Z","x":1})") == "missing_field eventId @59");
  CHECK(reader.decoder.unknown_count() == 1);
  CHECK(
      reader.read(
          R"({"kind":"login","id":"l","at":"2026-01-05","user":"u","amount":1.5,"geo":{"latitude":1,"lng":2}})") ==
      R"(login id="l" at="2026-01-05T00:00:00Z" user="u" geo={"lat":1,"lon":2} amount={"amount":"1.5","currency":"EUR"})");
  CHECK(reader.read(R"({"kind":"login","id":"l","at":"2026-01-05","user":"u","fee":1.5})") == "bad_value fee @60");

  SourceFormat fixed;
  fixed.fixed_type = "click";
  Reader clicks(fixed);
  CHECK(clicks.read(R"({"type":"login","id":"c","at":"2026-01-05","x":1})").starts_with("click"));
  CHECK(clicks.decoder.unknown_count() == 1);
}

TEST_CASE("a format that cannot be is refused with a reason") {
  const Schema schema = all_types();
  const auto why = [&](const SourceFormat& format, const Schema& with) {
    const Result<JsonDecoder> made = JsonDecoder::make(with, format);
    return made.ok() ? std::string("made") : made.error().text;
  };
  SourceFormat format;
  CHECK(why(format, schema) == "made");
  format.spellings = {{"klick", "a", "id"}};
  CHECK(why(format, schema).find("no such event") != std::string::npos);
  format.spellings = {{"click", "a", "nothing"}};
  CHECK(why(format, schema).find("no field \"nothing\"") != std::string::npos);
  format.spellings = {{"click", "x", "id"}};
  CHECK(why(format, schema).find("two fields") != std::string::npos);
  format.spellings = {{"login", "n", "network"}};
  CHECK(why(format, schema).find("derived") != std::string::npos);
  format.spellings = {{"click", "type", "id"}};
  CHECK(why(format, schema).find("names the type") != std::string::npos);
  format.spellings = {};
  format.fixed_type = "nothing";
  CHECK(why(format, schema).find("no such event") != std::string::npos);
  Schema with_network = schema;
  with_network.events[0].fields.push_back({"net", {TypeKind::cidr}});
  CHECK(why({}, with_network).find("network") != std::string::npos);
}

TEST_CASE("properties of decoding") {
  Reader reader;
  CHECK(rc::check("events written as JSON are read as they were", [&] {
    Arena arena;
    const Event event = random_event(reader.schema, arena);
    const EventType& type = reader.schema.events[event.type];
    std::vector<std::string> members = {"\"type\":\"" + type.name + "\""};
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
      const Value& value = event.values[i];
      if (value.is_missing() && *rc::gen::arbitrary<bool>()) continue;
      if (type.fields[i].derived) continue;
      members.push_back("\"" + type.fields[i].name + "\":" + json_text(value, type.fields[i].type, reader.schema));
    }
    if (*rc::gen::arbitrary<bool>()) members.push_back(R"("unknown":{"a":[1,"]}",{}]})");
    for (std::size_t i = members.size(); i > 1; --i) {
      if (*rc::gen::inRange(0, 3) == 0) std::swap(members[i - 1], members[*rc::gen::inRange<std::size_t>(0, i)]);
    }
    const std::string space(*rc::gen::inRange<std::size_t>(0, 3), ' ');
    std::string line = "{";
    for (std::size_t i = 0; i < members.size(); ++i) line += (i > 0 ? "," : "") + space + members[i];
    line += space + "}";
    RC_LOG() << line << '\n';
    const DecodeResult result = reader.decode(line);
    RC_ASSERT(result.ok);
    RC_ASSERT(reader.event.type == event.type);
    RC_ASSERT(reader.event.time == event.time);
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
      RC_ASSERT(same(reader.event.values[i], event.values[i]));
    }
    // Cut at any byte it is a dead letter, and nothing worse.
    for (std::size_t size = 0; size < line.size(); ++size) {
      const std::size_t end = line.find_last_not_of(' ');
      if (size > end) break;
      const DecodeResult cut = reader.decode(std::string_view(line).substr(0, size));
      RC_ASSERT(!cut.ok);
      RC_ASSERT(cut.offset <= size);
    }
  }));
  CHECK(rc::check("any changed byte gives an event or a dead letter, the same in both ways of reading", [&] {
    Arena arena;
    Reader careful;
    const Event event = random_event(reader.schema, arena);
    const EventType& type = reader.schema.events[event.type];
    std::string line = "{\"type\":\"" + type.name + "\"";
    for (std::size_t i = 0; i < type.declared_count; ++i) {
      line += ",\"" + type.fields[i].name + "\":" + json_text(event.values[i], type.fields[i].type, reader.schema);
    }
    line += "}";
    const std::string marks = "\"\\{}[],: 01-.eEntu";
    for (int i = 0; i < 50; ++i) {
      std::string changed = line;
      const std::size_t at = *rc::gen::inRange<std::size_t>(0, line.size());
      changed[at] = *rc::gen::arbitrary<bool>() ? *rc::gen::elementOf(marks) : *rc::gen::arbitrary<char>();
      const DecodeResult result = reader.decode(changed);
      if (!result) RC_ASSERT(result.offset <= changed.size());
      // An escape in a key is nothing for the straight way; it must not make a difference.
      if (at <= 7) continue;  // {"type"
      const std::string escaped = "{\"\\u0074ype\"" + changed.substr(7);
      const DecodeResult same_line = careful.decode(escaped);
      RC_LOG() << changed << '\n';
      RC_ASSERT(same_line.ok == result.ok);
      if (!result) {
        RC_ASSERT(same_line.reason == result.reason);
        RC_ASSERT(same_line.field == result.field);
        continue;
      }
      RC_ASSERT(careful.event.type == reader.event.type);
      RC_ASSERT(careful.event.time == reader.event.time);
      for (std::size_t f = 0; f < careful.event.values.size(); ++f) {
        RC_ASSERT(same(careful.event.values[f], reader.event.values[f]));
      }
    }
  }));
}
