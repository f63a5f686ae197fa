#include "event/pack.h"

#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/event/some_events.h"

using namespace tocsin;
using namespace tocsin::event;

namespace {

bool equal(const Event& a, const Event& b) {
  if (a.type != b.type || a.late != b.late || a.time != b.time || a.arrival != b.arrival || a.position != b.position)
    return false;
  if (a.values.size() != b.values.size()) return false;
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    if (!same(a.values[i], b.values[i])) return false;
  }
  return true;
}

Event some_event(const Schema& schema, Arena& arena) {
  Event event = random_event(schema, arena);
  event.late = *rc::gen::arbitrary<bool>();
  event.arrival = {*rc::gen::arbitrary<std::int64_t>()};
  event.position = {*rc::gen::arbitrary<std::uint32_t>(), *rc::gen::arbitrary<std::uint64_t>()};
  return event;
}

}  // namespace

TEST_CASE("packing") {
  const Schema schema = all_types();
  Schema sealed = schema;
  sealed.seal();
  CHECK(rc::check("what is packed is unpacked as it was, sealed or not, behind other bytes or not", [&] {
    Arena arena;
    const Event event = some_event(schema, arena);
    std::string bytes = "before";
    pack(event, schema, bytes);
    std::string sealed_bytes;
    pack(event, sealed, sealed_bytes);
    RC_ASSERT(bytes == "before" + sealed_bytes);
    const std::optional<Event> back = unpack(sealed_bytes, sealed, arena);
    RC_ASSERT(back.has_value());
    RC_ASSERT(equal(*back, event));
  }));
  CHECK(rc::check("cut anywhere it is refused", [&] {
    Arena arena;
    const Event event = some_event(schema, arena);
    std::string bytes;
    pack(event, sealed, bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      RC_ASSERT(!unpack(std::string_view(bytes).substr(0, size), sealed, arena).has_value());
    }
    RC_ASSERT(!unpack(bytes + "x", sealed, arena).has_value());
  }));
  CHECK(rc::check("changed anywhere it is refused or another event, never a crash", [&] {
    Arena arena;
    const Event event = some_event(schema, arena);
    std::string bytes;
    pack(event, sealed, bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ *rc::gen::inRange(1, 256));
      const std::optional<Event> back = unpack(changed, sealed, arena);
      if (!back) continue;
      const EventType& type = sealed.events[back->type];
      for (std::size_t f = 0; f < type.fields.size(); ++f) {
        const Value& value = back->values[f];
        RC_ASSERT(value.is_missing() || value.kind == kind_of(type.fields[f].type));
        (void)json_text(value, type.fields[f].type, sealed);
      }
    }
  }));
}

TEST_CASE("after a reload fields are found by what they mean") {
  const Schema before = all_types();
  Arena arena;
  Event event;
  event.type = *before.find_event("login");
  const EventType& type = before.events[event.type];
  event.values = arena.array<Value>(type.fields.size());
  const auto at = [](const EventType& t, std::string_view name) { return *t.find(name); };
  event.values[at(type, "id")] = Value::of_text("l1");
  event.values[at(type, "at")] = Value::of_time({5});
  event.values[at(type, "user")] = Value::of_text("u1");
  event.values[at(type, "tries")] = Value::of_integer(3);
  event.values[at(type, "result")] = Value::of_enumeration(1);
  event.values[at(type, "score")] = Value::of_number(*parse_decimal("0.123456789"));
  std::string bytes;
  pack(event, before, bytes);

  Schema after = all_types();
  EventType& changed = after.events[*after.find_event("login")];
  std::swap(changed.fields[at(changed, "tries")], changed.fields[at(changed, "score")]);
  changed.fields[at(changed, "user")].type.entity = 1;  // means another thing now
  after.enums[0].values.push_back("unknown");           // and so do all its values
  changed.fields.erase(changed.fields.begin() + at(changed, "device"));
  after.seal();
  const std::optional<Event> back = unpack(bytes, after, arena);
  REQUIRE(back.has_value());
  CHECK(back->at(at(changed, "id")).text() == "l1");
  CHECK(same(back->at(at(changed, "tries")), Value::of_integer(3)));
  CHECK(back->at(at(changed, "score")).number() == *parse_decimal("0.123456789"));
  CHECK(back->at(at(changed, "user")).is_missing());
  CHECK(back->at(at(changed, "result")).is_missing());

  after.events[*after.find_event("login")].name = "sign_in";
  after.seal();
  CHECK(!unpack(bytes, after, arena));
}
