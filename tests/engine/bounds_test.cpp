// S9: what a rule keeps of one key stays within its byte limit, the events in the key's log included.
#include <doctest/doctest.h>

#include <string>

#include "state/memory_store.h"
#include "state/records.h"
#include "tests/engine/rules_of.h"
#include "tests/support/stream.h"

namespace tocsin::engine {
namespace {

std::string line(const std::string& type, int number, const std::string& text) {
  return "{\"type\":\"" + type + "\",\"id\":\"" + type + std::to_string(number) + "\",\"at\":\"" +
         to_text(Timestamp{1'767'607'200'000'000 + number}) + "\",\"user\":\"u1\",\"s\":\"" + text + "\"}";
}

/// Bytes of all that is remembered of keys, as a checkpoint leaves it in the store.
std::size_t remembered_bytes(tests::Stream& stream, state::MemoryStore& store) {
  state::WriteSet writes;
  stream.engine().capture(writes);
  REQUIRE(store.commit(writes).ok());
  std::size_t bytes = 0;
  for (const auto& [key, value] : store.records()) {
    const auto type = static_cast<state::RecordType>(key.front());
    if (type == state::RecordType::slab || type == state::RecordType::log) bytes += value.size();
  }
  return bytes;
}

// One user sends first steps with long texts, without end. The old `a` and `b` of `chain` stay needed behind all of them.
TEST_CASE("S9: a hostile key stays within the limit of each rule") {
  const auto ruleset = tests::rules_of(R"(
entity user
event a { key id : string  time at : time  user : user  s : string }
event b { key id : string  time at : time  user : user  s : string }
event c { key id : string  time at : time  user : user  s : string }
rule chain per user { sequence within 30d { a as p  then b as q  then c as r } }
rule group per user { sequence within 30d { at least 2 a as g where g.s != ""  then b as q } }
rule each per user { sequence within 30d { a as p  then c as q }  pick earliest }
rule quiet per user { sequence { a as p  then no c for 30d } }
)");
  EngineOptions options = tests::Stream::complete();
  options.program_bytes_max = 1 << 18;
  tests::Stream stream(ruleset, options, 64);
  state::MemoryStore store;
  // Four rules, and what the log may have grown by since it was last looked through.
  const std::size_t most = 2 * 4 * options.program_bytes_max + 8192;
  stream.send(line("a", 0, "first"));
  stream.send(line("b", 1, "second"));
  const std::string text(4000, 'x');
  for (int i = 2; i < 5000; ++i) {
    stream.send(line("a", i, text));
    if (i % 1000 == 0) CHECK(remembered_bytes(stream, store) < most);
  }
  stream.send(line("c", 5000, "third"));
  stream.end();
  CHECK(remembered_bytes(stream, store) < most);
  bool chained = false;
  for (const replay::Json& hit : stream.output().hits) chained = chained || hit["rule"].text == "chain";
  CHECK(chained);
  const auto& bounds = stream.engine().counters().bounds;
  CHECK_FALSE(bounds.contains("chain/memory"));
  CHECK(bounds.at("group/memory") > 4000);
  CHECK(bounds.at("each/memory") > 4000);
  CHECK(bounds.at("quiet/memory") > 4000);
}

}  // namespace
}  // namespace tocsin::engine
