#include "state/history.h"

#include <doctest/doctest.h>

#include "event/pack.h"
#include "state/memory_store.h"

namespace tocsin::state {
namespace {

constexpr std::uint64_t type = 77;

/// Blocks of one type that reach 10, 20, 30 …, each beginning with ten times that.
MemoryStore blocks_reaching(std::int64_t last) {
  MemoryStore store;
  WriteSet writes;
  for (std::int64_t reached = 10; reached <= last; reached += 10) {
    event::Schema schema;
    schema.events.resize(1);
    schema.events[0].name = "e";
    schema.events[0].name_hash = type;
    HistoryTail tail;
    event::Event e;
    e.time = {reached};
    tail.append(e, schema, static_cast<std::uint64_t>(reached) * 10, e.time);
    tail.take(writes);
  }
  CHECK(store.commit(writes).ok());
  return store;
}

}  // namespace

TEST_CASE("the first block that reaches a time is found") {
  for (const std::int64_t last : {0, 10, 50, 1000}) {
    const MemoryStore store = blocks_reaching(last);
    for (std::int64_t time = 0; time <= last + 10; ++time) {
      const std::unique_ptr<Cursor> cursor = store.cursor();
      const std::uint64_t from = history_reaching(*cursor, type, static_cast<std::uint64_t>(last) * 10, {time});
      const auto first =
          static_cast<std::uint64_t>((time + 9) / 10 * 100);  // of the block that is the first to reach it
      if (time > 10) CHECK(from > first - 100);
      if (time <= last) CHECK(from <= std::max<std::uint64_t>(first, 100));
    }
  }
}

TEST_CASE("events come back as they were judged, late ones with their watermark; blocks close when they are full") {
  event::Schema schema;
  schema.events.resize(2);
  for (std::size_t i = 0; i < 2; ++i) {
    schema.events[i].name = std::string(1, static_cast<char>('a' + i));
    schema.events[i].fields.push_back({"s", {event::TypeKind::text, 0, 0, {}}, false, false, 0});
    schema.events[i].declared_count = 1;
  }
  schema.seal();
  HistoryTail tail;
  const std::string text(100, 'x');
  std::vector<std::string> packed;
  constexpr std::uint64_t count = 3000;
  for (std::uint64_t i = 0; i < count; ++i) {
    event::Value value = event::Value::of_text(text);
    event::Event e;
    e.type = i % 3 == 0 ? 1 : 0;
    e.late = i % 7 == 0;
    e.time = {static_cast<std::int64_t>(e.late ? i : 2 * i)};
    e.values = {&value, 1};
    tail.append(e, schema, 5 * i + 1, {static_cast<std::int64_t>(2 * i)});
    event::pack(e, schema, packed.emplace_back());
  }
  CHECK(tail.bytes() > count * text.size());
  WriteSet writes;
  tail.take(writes);
  CHECK(tail.bytes() == 0);
  CHECK(writes.writes.size() >= 6);
  std::vector<std::string> got(count);
  for (const WriteSet::Write& write : writes.writes) {
    CHECK(write.value->size() < HistoryTail::block_bytes + 300);
    const auto key = parse_history_record(write.key);
    REQUIRE(key);
    Result<HistoryBlock> block = HistoryBlock::open(*key, *write.value);
    REQUIRE(block.ok());
    bool first = true;
    while (const std::optional<Judged> judged = block.value().next()) {
      const std::uint64_t i = (judged->release - 1) / 5;
      CHECK(key->type == schema.events[i % 3 == 0 ? 1 : 0].name_hash);
      if (first) CHECK(judged->release == key->release);
      first = false;
      if (i % 7 == 0) CHECK(judged->watermark.us == static_cast<std::int64_t>(2 * i));
      got[i] = judged->packed;
    }
    CHECK_FALSE(block.value().failed());
    CHECK_FALSE(HistoryBlock::open({key->type, key->release + 1}, *write.value).ok());
  }
  CHECK(got == packed);
}

TEST_CASE("coverage reads back, and other bytes do not") {
  HistoryCoverage coverage;
  coverage.released = 9;
  coverage.types[5] = {Timestamp::min(), {{1, Timestamp::min()}, {2, {100}}}};
  coverage.types[7] = {{33}, {}};
  const std::string bytes = coverage.encode();
  const auto back = HistoryCoverage::decode(bytes);
  REQUIRE(back);
  CHECK(back->encode() == bytes);
  CHECK(back->types.at(5).fields.at(2).us == 100);
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(HistoryCoverage::decode(bytes.substr(0, size)));
  CHECK_FALSE(HistoryCoverage::decode(bytes + "x"));
}

}  // namespace tocsin::state
