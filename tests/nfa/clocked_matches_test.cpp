// The engine `all` where partial matches of one state differ in how long ago something was: classes by clocks, against explicit runs.
#include "nfa/clocked_matches.h"

#include <doctest/doctest.h>

#include "nfa/all_matches.h"
#include "tests/nfa/random_stages.h"
#include "tests/nfa/stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

Pattern telling(const std::string& text, std::int64_t window = 0) {
  Pattern p = stages(text, window);
  p.tells_timeouts = true;
  p.runs_max = 0;
  return p;
}

Program on(Engine engine, const Pattern& pattern) {
  Result<Program> program = compile(pattern, {}, {false, engine});
  if (!program) FAIL(program.error().text);
  return program.take();
}

struct Fed {
  Runs runs;
  std::vector<Match> out;
  TestHost host;
  [[nodiscard]] const ClockedBody& body() const { return static_cast<const ClockedBody&>(*runs.body); }
};

void take(Fed& fed, const Program& program, const std::vector<Item>& items) {
  feed(
      items, [&](Timestamp t) { advance(program, fed.runs, t, fed.host, fed.out); },
      [&](const Occurrence& o) { step(program, fed.runs, o, fed.host, fed.out); });
}

std::string all_of_pattern(const Pattern& pattern, const std::string& stream) {
  Fed fed;
  take(fed, on(Engine::all, pattern), parse_stream(stream));
  return told(fed.out);
}

}  // namespace

TEST_CASE("clocks are needed where the end of a time has a moment of its own, or a group its own window") {
  const auto clocks = [](const Pattern& pattern) { return on(Engine::all, pattern).has_clocks; };
  CHECK_FALSE(clocks(stages("a -> b -> c", 10)));
  CHECK_FALSE(clocks(stages("a -> b.prev(5) -> c", 10)));
  CHECK_FALSE(clocks(stages("a -> b !-> c", 10)));
  CHECK(clocks(telling("a -> b.prev(5) -> c", 10)));
  CHECK(clocks(stages("a -> b !-> c.for(5)", 10)));
  CHECK(clocks(stages("a -> b !-> c.prev(5)", 10)));
  CHECK(clocks(stages("a !-> c.for(5) -> b", 10)));
  CHECK(clocks(stages("a -> (b -> c).in(3) -> d", 10)));
  Pattern held = stages("a -> b.prev(5) -> c", 10);
  held.after = AfterMatch::skip_past_last;
  CHECK(clocks(held));
  held.in_order = false;
  CHECK_FALSE(clocks(held));
}

TEST_CASE("a class holds all partial matches that took their last event together") {
  const Program program = on(Engine::all, telling("a ->> b+.a.prev(50) ->> c", 1000));
  Fed fed;
  std::string stream = "a@1 a@2 a@3";
  for (int i = 4; i < 44; ++i) stream += " b@" + std::to_string(i);
  take(fed, program, parse_stream(stream));
  // 3 * 2^40 partial matches, and no more classes than states for each event.
  CHECK(fed.body().classes.size() <= 43 * 3);
  CHECK(fed.body().sets.cell_count() < 4000);
  CHECK(fed.host.counters.dropped == 0);
}

TEST_CASE("partial matches end with their gap, and are told once, with the last of their ways") {
  CHECK(all_of_pattern(telling("a -> b.prev(5) -> c"), "a@1 a@3 b@7 |30") == "timeout 1||@6");
  CHECK(all_of_pattern(telling("a -> b?.prev(5) -> c.prev(9)"), "a@1 |30") == "timeout 1||@10");
  CHECK(all_of_pattern(telling("a -> b.prev(5) -> c", 8), "a@1 b@3 |30") == "timeout 1|2|@9");
}

TEST_CASE("what waits for its own negation outlives the window, but not what forbids it or uses it up") {
  CHECK(all_of_pattern(stages("a -> b !-> c.for(20)", 10), "a@1 b@5 |40") == "1|2|@25");
  CHECK(all_of_pattern(stages("a -> b !-> c.for(20)", 10), "a@1 b@5 c@24 |40").empty());
  CHECK(all_of_pattern(stages("a -> b !-> c.for(20)", 10), "a@1 b@5 c@25 |40") == "1|2|@25");
  CHECK(all_of_pattern(stages("a -> b !-> c.prev(9)", 10), "a@1 b@5 |40") == "1|2|@11");
  CHECK(all_of_pattern(stages("a !-> c.for(5) -> b", 30), "a@1 b@3 b@6 a@10 c@12 b@20") == "1||3@6");
  Pattern skips = stages("a -> b !-> c.for(20)", 10);
  skips.after = AfterMatch::skip_past_last;
  CHECK(all_of_pattern(skips, "a@1 a@2 b@5 a@6 b@7 |40") == "1|3|@25, 4|5|@27");
}

TEST_CASE("windows of groups run for each occurrence by itself") {
  const Pattern pattern = stages("(a -> b).in(4){2} -> c");
  CHECK(all_of_pattern(pattern, "a@1 b@4 a@10 b@13 c@50") == "1 3|2 4|5@50");
  CHECK(all_of_pattern(pattern, "a@1 b@4 a@10 b@14 c@50").empty());
  CHECK(all_of_pattern(stages("((a -> b).in(4) -> c).in(8) -> d"), "a@1 b@4 c@8 d@99") == "1|2|3|4@99");
  CHECK(all_of_pattern(stages("((a -> b).in(4) -> c).in(8) -> d"), "a@1 b@4 c@9 d@99").empty());
}

TEST_CASE("beyond the byte limit the oldest go, counted, and matches say so; in the end nothing is left") {
  for (const char* const text : {"a ->> b.prev(400) ->> c", "a -> b !-> c.for(3000)"}) {
    const Program program = on(Engine::all, telling(text, 1000));
    Fed fed;
    fed.host.runs_bytes = 20000;
    std::string stream;
    for (int i = 1; i <= 900; ++i) stream += (i % 2 == 0 ? "a@" : "b@") + std::to_string(i) + " ";
    take(fed, program, parse_stream(stream));
    CHECK(fed.host.counters.dropped > 100);
    CHECK(fed.runs.bytes() < 160000);
    take(fed, program, parse_stream("|5000 |9000"));
    CHECK(std::any_of(fed.out.begin(), fed.out.end(), [](const Match& m) { return m.truncated; }));
    CHECK(fed.runs.bytes() == 0);
  }
}

TEST_CASE("over long streams classes say what explicit runs say") {
  const char* const patterns[] = {"a ->> b.prev(6) ->> c",
                                  "a -> b+.gap(4) -> c",
                                  "a -> b{2}.gap(5) !-> c.for(7)",
                                  "a -> b !-> c.prev(6)",
                                  "a !-> c.for(3) -> b -> a",
                                  "(a -> b).in(5)+ -> c",
                                  "((a ->> b).in(4) -> b).in(9)+ -> c",
                                  "a -> (b -> c).in(4){2} !-> a.for(6)",
                                  "[a -> b.prev(3) | b] -> c.prev(7)",
                                  "({a & b} -> b).in(9) -> c.prev(4)",
                                  "a+.gap(3) !-> b.for(5)",
                                  "a ->> b+.a.prev(5) -> c"};
  std::uint64_t state = 3;
  const auto below = [&](int n) {
    state = hash_mix(state, 0x2545f4914f6cdd1dULL);
    return static_cast<int>((state >> 33U) % static_cast<std::uint64_t>(n));
  };
  std::uint64_t matches = 0;
  for (int round = 0; round < 200; ++round) {
    for (const char* const text : patterns) {
      CAPTURE(text);
      Pattern pattern = stages(text, below(2) == 0 ? 0 : 10 + below(20));
      pattern.tells_timeouts = below(2) == 0;
      pattern.runs_max = 0;
      pattern.after = below(2) == 0   ? AfterMatch::continue_
                      : below(2) == 0 ? AfterMatch::skip_to_next
                                      : AfterMatch::skip_past_last;
      pattern.in_order = below(3) != 0;
      std::vector<Item> items;
      std::int64_t now = 10;
      for (int i = 0; i < 60; ++i) {
        now += below(4);
        items.push_back({below(12) != 0, now, static_cast<char>('a' + below(3)), below(3), false});
      }
      items.push_back({false, now + 50});
      Fed one, other;
      take(one, on(Engine::all, pattern), items);
      take(other, on(Engine::runs, pattern), items);
      REQUIRE(told(one.out) == told(other.out));
      CHECK(held_count(one.runs) == held_count(other.runs));
      matches += one.out.size();
    }
  }
  CHECK(matches > 10000);
}
