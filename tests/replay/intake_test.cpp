#include "engine/run/intake.h"

#include <doctest/doctest.h>

#include "engine/rules.h"
#include "replay/json.h"
#include "state/memory_store.h"
#include "tests/support/stream.h"

namespace tocsin::engine {
namespace {

constexpr const char* rules_text = R"(
entity user
event a { key id : string  time at : time  user : user  v : decimal optional }
rule r on a { when v > 1 }
)";

struct World {
  std::shared_ptr<const Ruleset> ruleset = engine::rules_of_text("t.risk", rules_text).ruleset;
  event::MemorySource source{2};
  Intake intake = Intake::make(ruleset->schema, {event::SourceFormat{}}).take();
  Outbox out;

  void take_all() {
    std::vector<event::RawRecord> records;
    REQUIRE(source.poll(100, records).ok());
    for (const event::RawRecord& record : records) intake.take(record, out);
  }
};

TEST_CASE("lines become events or dead letters, counted, with their positions") {
  World world;
  world.intake.name_partitions({"in/first.ndjson"});
  world.source.add(0, R"({"type":"a","id":"1","at":"2026-01-05T10:00:00Z","user":"u","v":2,"more":1})");
  world.source.add(0, "{\"type\":\"a\"");
  world.source.add(1, R"({"type":"zzz","id":"1"})");
  world.source.add(1, R"({"type":"a","id":"2","at":"2026-01-05T09:00:00Z","user":"u"})");
  world.take_all();
  CHECK(world.intake.pending_count() == 2);
  const IntakeCounts& counts = world.intake.counts();
  CHECK(counts.records == 4);
  CHECK(counts.events == 2);
  CHECK(counts.dead_letter_count() == 2);
  CHECK(counts.dead_letters[static_cast<std::size_t>(event::Reason::unknown_type)] == 1);
  CHECK(counts.unknown_fields == 1);
  CHECK(to_text(counts.first_time) == "2026-01-05T09:00:00Z");
  CHECK(to_text(counts.last_time) == "2026-01-05T10:00:00Z");
  REQUIRE(world.out.records.size() == 2);
  const replay::Json letter = *replay::parse_json(world.out.records[0].bytes);
  CHECK(letter["bytes"].text == "{\"type\":\"a\"");
  CHECK(letter["source"].text == "in/first.ndjson");
  CHECK(letter["partition"].text == "0");
  CHECK(world.out.records[1].bytes.find("source") == std::string::npos);  // nobody named it
  REQUIRE(world.intake.positions().size() == 2);
  CHECK(world.intake.positions()[1].partition == 1);
}

TEST_CASE("positions and counts come back from a store, and nothing from an empty one") {
  World world;
  world.source.add(1, R"({"type":"a","id":"1","at":"2026-01-05T10:00:00Z","user":"u","more":1})");
  world.source.add(1, "[]");
  world.take_all();
  world.intake.end(0);
  Engine engine(world.ruleset, {.partitions = 2});
  world.intake.flush(engine, world.out);
  state::WriteSet writes;
  world.intake.capture(writes);
  state::MemoryStore store;
  Intake other = Intake::make(world.ruleset->schema, {event::SourceFormat{}}).take();
  REQUIRE(other.restore(store).ok());
  CHECK(!other.restore(store).value());
  REQUIRE(store.commit(writes).ok());
  REQUIRE(other.restore(store).ok());
  CHECK(other.restore(store).value());
  CHECK(other.counts().records == 2);
  CHECK(other.counts().unknown_fields == 1);
  REQUIRE(other.unknown_fields().size() == 1);
  CHECK(other.unknown_fields()[0].type == "a");
  CHECK(other.unknown_fields()[0].field == "more");
  CHECK(other.unknown_fields()[0].count == 1);
  CHECK(other.partition(0).ended);
  REQUIRE(other.positions().size() == 1);
  CHECK(other.positions()[0].sequence == world.intake.positions()[0].sequence);
  CHECK(other.positions()[0].byte_offset == world.intake.positions()[0].byte_offset);
}

TEST_CASE("a record of positions that was cut or changed is refused, never believed") {
  World world;
  world.source.add(0, R"({"type":"a","id":"1","at":"2026-01-05T10:00:00Z","user":"u"})");
  world.take_all();
  Engine engine(world.ruleset, {.partitions = 2});
  world.intake.flush(engine, world.out);
  state::WriteSet writes;
  world.intake.capture(writes);
  REQUIRE(writes.writes.size() == 1);
  const std::string whole = *writes.writes[0].value;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    state::MemoryStore store;
    writes.writes[0].value = whole.substr(0, size);
    REQUIRE(store.commit(writes).ok());
    CHECK(!world.intake.restore(store).ok());
  }
}

TEST_CASE("with a new schema positions stay and new types are known") {
  World world;
  world.source.add(0, R"({"type":"b","id":"1","at":"2026-01-05T10:00:00Z"})");
  world.take_all();
  CHECK(world.intake.counts().dead_letter_count() == 1);
  const engine::Rules more =
      engine::rules_of_text("t.risk", std::string(rules_text) + "event b { key id : string  time at : time }\n");
  REQUIRE(more.ok());
  REQUIRE(world.intake.adopt(more.ruleset->schema).ok());
  world.source.add(0, R"({"type":"b","id":"2","at":"2026-01-05T10:00:00Z","x":1})");
  world.take_all();
  CHECK(world.intake.counts().events == 1);
  CHECK(world.intake.counts().unknown_fields == 1);
  // Names counted before and after the change are one list.
  Engine engine(more.ruleset, {.partitions = 2});
  world.intake.flush(engine, world.out);
  REQUIRE(world.intake.adopt(more.ruleset->schema).ok());
  world.source.add(0, R"({"type":"b","id":"3","at":"2026-01-05T10:00:00Z","x":1})");
  world.take_all();
  REQUIRE(world.intake.unknown_fields().size() == 1);
  CHECK(world.intake.unknown_fields()[0].field == "x");
  CHECK(world.intake.unknown_fields()[0].count == 2);
  CHECK(world.intake.positions()[0].sequence == 3);
}

}  // namespace
}  // namespace tocsin::engine
