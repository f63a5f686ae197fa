// What lives of a program for one key, whatever the engine: the memory it holds, that it lets it go, and the
// bytes that a store has of it, which must read for as long as there are such stores.
#include "nfa/runs.h"

#include <doctest/doctest.h>

#include "nfa/all_matches.h"
#include "tests/nfa/patterns.h"
#include "tests/nfa/stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

Program on(Pattern pattern, Engine engine) {
  Result<Program> program = compile(pattern, {}, {false, engine});
  REQUIRE(program.ok());
  return program.take();
}

Pattern skipping(Pattern pattern) {
  pattern.after = AfterMatch::skip_past_last;
  return pattern;
}

Pattern telling(Pattern pattern) {
  pattern.tells_timeouts = true;
  return pattern;
}

/// A pattern of each engine and each way to hold something, windows of 1,000.
std::vector<Program> windowed_programs() {
  std::vector<Program> all;
  const auto add = [&](const Pattern& pattern, std::initializer_list<Engine> engines) {
    for (const Engine engine : engines) all.push_back(on(pattern, engine));
  };
  const Pattern four = sequence({single("a"), single("b"), single("c"), single("d")}, 1000);
  Pattern silent = sequence({single("a"), single("b")}, 1000);
  silent.absences.push_back(no(2, "d", 50));
  add(four, {Engine::search, Engine::exists});
  add(silent, {Engine::search, Engine::exists});
  add(sequence({single("a"), group(2, 0, "b"), single("d")}, 1000), {Engine::search});
  for (const char* const text : {"a ->> b+ -> d", "a ->> b !-> d", "a+ -> b ->> c"}) {
    add(stages(text, 1000), {Engine::all, Engine::runs});
    add(skipping(stages(text, 1000)), {Engine::all, Engine::runs});
    add(telling(stages(text, 1000)), {Engine::all, Engine::runs});
  }
  return all;
}

struct Fed {
  Runs runs;
  std::vector<Match> out;
  std::size_t most_bytes = 0;

  void take(const Program& program, const std::string& stream, Host& host) {
    feed(
        parse_stream(stream), [&](Timestamp t) { advance(program, runs, t, host, out); },
        [&](const Occurrence& o) {
          step(program, runs, o, host, out);
          most_bytes = std::max(most_bytes, runs.bytes());
        });
  }
};

std::string many(const std::string& streams, int from, int count) {
  std::string stream;
  for (int i = 0; i < count; ++i) {
    stream += streams[static_cast<std::size_t>(i) % streams.size()];
    stream += "@" + std::to_string(from + i) + " ";
  }
  return stream;
}

/// The bytes say "format 2", then the fingerprint of the program, which is not part of what is tested.
std::string goes_on(const Pattern& pattern, Engine engine, const std::string& hex, const std::string& then) {
  const Program program = compile(pattern, {}, {false, engine}).take();
  std::string bytes = "\x02";
  for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>(program.fingerprint >> (8 * i));
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16));
  std::optional<Runs> runs = decode(program, bytes);
  if (!runs) return "does not read";
  std::string again;
  encode(program, *runs, again);
  if (again != bytes) return "is written otherwise";
  TestHost host;
  std::vector<Match> out;
  feed(
      parse_stream(then), [&](Timestamp t) { advance(program, *runs, t, host, out); },
      [&](Occurrence o) {
        o.event = o.order = o.order + 9;
        step(program, *runs, o, host, out);
      });
  return to_text(out);
}

}  // namespace

TEST_CASE("what is begun holds memory, and none when its window has passed") {
  for (const Program& program : windowed_programs()) {
    CAPTURE(dump(program));
    TestHost host;
    Fed fed;
    fed.take(program, many("abca", 1, 400), host);
    CHECK(fed.most_bytes > sizeof(RunsBody));
    CHECK(fed.runs.body != nullptr);
    const std::optional<Timestamp> over = expires_at(program, fed.runs);
    REQUIRE(over.has_value());
    CHECK(over->us <= 1 + 2 * 1000 + 400);
    advance(program, fed.runs, *over, host, fed.out);
    CHECK(fed.runs.bytes() == 0);
    CHECK(fed.runs.body == nullptr);
    CHECK(expires_at(program, fed.runs) == Timestamp::min());
    std::string bytes, fresh;
    encode(program, fed.runs, bytes);
    encode(program, Runs{}, fresh);
    CHECK(bytes == fresh);
  }
}

TEST_CASE("what a match uses up holds no memory") {
  for (const Engine engine : {Engine::search, Engine::exists}) {
    TestHost host;
    Fed fed;
    fed.take(on(sequence({single("a"), single("b"), single("c"), single("d")}), engine), "a@1 b@2 c@3 d@4", host);
    CHECK(fed.out.size() == 1);
    CHECK(fed.runs.bytes() == 0);
  }
  for (const Engine engine : {Engine::all, Engine::runs}) {
    TestHost host;
    Fed fed;
    fed.take(on(skipping(stages("a+ -> b")), engine), many("a", 1, 30) + "b@400", host);
    CHECK(!fed.out.empty());
    CHECK(fed.most_bytes > 30 * sizeof(Bound));
    CHECK(fed.runs.bytes() == 0);
  }
}

TEST_CASE("a body that lost something stays until no match can have missed it") {
  for (const Engine engine : {Engine::search, Engine::all, Engine::runs}) {
    const Program program = engine == Engine::search
                                ? on(sequence({single("a"), group(1, 0, "b"), single("d")}, 1000), engine)
                                : on(skipping(stages("a+ -> d", 1000)), engine);
    CAPTURE(to_text(engine));
    TestHost host;
    host.runs_bytes = 4000;
    Fed fed;
    fed.take(program, many("ab", 1, 400) + "d@500", host);
    CHECK(host.counters.dropped > 0);
    REQUIRE(!fed.out.empty());
    CHECK(fed.out.back().truncated);
    advance(program, fed.runs, Timestamp{3000}, host, fed.out);
    CHECK(fed.runs.body == nullptr);
    fed.out.clear();
    fed.take(program, "a@3001 b@3002 d@3003", host);
    REQUIRE(fed.out.size() == 1);
    CHECK(!fed.out.back().truncated);
  }
}

TEST_CASE("an event that completes more matches than there is memory for is cut, counted and told") {
  const auto feed_loop = [](const Pattern& pattern, Engine engine, int count, Host& host, Fed& fed) {
    const Program program = on(pattern, engine);
    fed.take(program, many("a", 1, count) + "b@100", host);
    return program;
  };
  SUBCASE("forty of a loop") {
    TestHost host;
    host.moment_matches = moment_matches_max;
    Fed fed;
    const Program program = feed_loop(stages("a+.a -> b", 1000), Engine::all, 40, host, fed);
    CHECK(fed.out.size() == moment_matches_max);
    for (const Match& m : fed.out) REQUIRE(m.truncated);
    CHECK(host.counters.every_capped == 1);
    // The next event's matches miss nothing.
    fed.out.clear();
    fed.take(program, "a@2000 b@2001", host);
    REQUIRE(fed.out.size() == 1);
    CHECK(!fed.out.front().truncated);
  }
  SUBCASE("explicit runs") {
    TestHost host;
    host.moment_matches = 100;
    host.runs_bytes = std::size_t{1} << 24U;
    Fed fed;
    feed_loop(stages("a+.a -> b", 1000), Engine::runs, 12, host, fed);
    CHECK(fed.out.size() == 100);
    for (const Match& m : fed.out) REQUIRE(m.truncated);
    CHECK(host.counters.every_capped == 1);
  }
  SUBCASE("a moment that ends them") {
    TestHost host;
    host.moment_matches = 50;
    Fed fed;
    const Program program = feed_loop(telling(stages("a+.a -> c", 1000)), Engine::all, 40, host, fed);
    advance(program, fed.runs, Timestamp{1001}, host, fed.out);
    CHECK(fed.out.size() == 50);
    CHECK(fed.out.front().timed_out);
    CHECK(fed.out.front().truncated);
    CHECK(host.counters.every_capped == 1);
    advance(program, fed.runs, Timestamp{5000}, host, fed.out);
    CHECK(fed.runs.body == nullptr);
  }
  SUBCASE("under a skip strategy later matches may have been used up") {
    TestHost host;
    host.moment_matches = 5;
    Fed fed;
    Pattern pattern = stages("a+.a ->> b", 1000);
    pattern.after = AfterMatch::skip_to_next;
    pattern.in_order = false;
    const Program program = feed_loop(pattern, Engine::all, 6, host, fed);
    CHECK(host.counters.every_capped == 1);
    fed.out.clear();
    fed.take(program, "a@200 b@201", host);
    REQUIRE(!fed.out.empty());
    CHECK(fed.out.back().truncated);
  }
}

TEST_CASE("bytes of sets that are dead are no body") {
  const Program program = on(stages("a -> b", 1000), Engine::all);
  TestHost host;
  Fed fed;
  fed.take(program, "a@1 a@2", host);
  std::string bytes;
  encode(program, fed.runs, bytes);
  CHECK(decode(program, bytes).has_value());
  auto& body = static_cast<AllBody&>(*fed.runs.body);
  body.sets.raise_horizon(body.sets.end_event());
  bytes.clear();
  encode(program, fed.runs, bytes);
  CHECK(!decode(program, bytes).has_value());
}

TEST_CASE("bytes of format 2 read") {
  const Pattern p = sequence({single("a"), single("b"), single("c")}, 100);
  CHECK(goes_on(p, Engine::exists,
                "011200000000000000070000000000000080020808180000000000000008081800000000000000"
                "09091b0000000000000000",
                "c@28") == "8|9|10@28");
  CHECK(goes_on(p, Engine::search,
                "011200000000000000070000000000000080001800000000000000080318000000000000000818"
                "000000000000000800000000000000800000030e0e2a010202060102020602",
                "c@28") == "8|9|10@28");
  Pattern waits = sequence({single("a"), single("b")}, 100);
  waits.absences.push_back(no(2, "c", 50));
  waits.until = element("d");
  CHECK(goes_on(waits, Engine::exists,
                "0100000000000000800000000000000000800108081800000000000000010808180000000000000009091b00000000000000",
                "|78") == "8|9@77");
  CHECK(goes_on(waits, Engine::search,
                "0100000000000000800000000000000000800018000000000000000802180000000000000008000000000000008000011b"
                "00000000000000094d0000000000000009020206010202060202020604020206010202060202020604020206010202060102"
                "020602",
                "|78") == "8|9@77");
}
