#include "nfa/fronts.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/hash.h"
#include "tests/nfa/random_sequences.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

constexpr ValueId v{0};
constexpr ValueId reversed{1};
using Op = Condition::Op;

Condition equal_to(std::uint32_t step) { return compare(v, Op::equal, step, v); }
Condition above(std::uint32_t step) { return compare(v, Op::greater, step, v); }

/// Empty when fronts claim the sequence.
std::string why_not(const Pattern& p, bool refuses = false) {
  const Result<Program> program = compile(p, {}, {refuses, Engine::exists});
  if (program) return program.value().fronts ? "" : "not by fronts";
  const std::string said = program.error().text;
  return said.substr(said.find(": ") + 2);
}

/// S0 where its value is n, n + 1, …; S1 with an equal value.
struct Feed {
  explicit Feed(const Pattern& p) : program(compile(p, {}, {false, Engine::exists}).take()) {}
  void take(char stream, Value value, std::int64_t time) {
    bits.clear();
    bits.set(predicate(stream));
    ++number;
    advance(program, runs, Timestamp{time}, host, out);
    step(program, runs, {number, number, Timestamp{time}, false, &bits, {&value, 1}}, host, out);
  }
  Program program;
  Runs runs;
  TestHost host;
  PredicateBits bits{40};
  std::vector<Match> out;
  std::uint64_t number = 0;
};

}  // namespace

TEST_CASE("fronts: what is claimed, and why not") {
  const auto two = [](Condition c) { return sequence({single("a"), single("b", {c})}, 100); };
  CHECK(why_not(two(equal_to(0))) == "");
  CHECK(why_not(two(above(0))) == "");
  CHECK(why_not(two(compare(v, Op::not_equal, 0, reversed))) == "");
  CHECK(why_not(two(ask(GuardId{1}, {0}))) == "step 2 has a condition on other steps that no look-up answers");
  CHECK(why_not(two(equal_to(0)), true) == "`when` may refuse the newest");
  const auto three = [](std::vector<Condition> b, std::vector<Condition> c) {
    return sequence({single("a"), single("b", std::move(b)), single("c", std::move(c))}, 100);
  };
  CHECK(why_not(three({equal_to(0)}, {equal_to(1)})) == "");
  CHECK(why_not(three({equal_to(0)}, {equal_to(0)})) == "");
  CHECK(why_not(three({equal_to(0)}, {})) == "");
  CHECK(why_not(three({}, {equal_to(1)})) == "");
  CHECK(why_not(three({}, {above(0)})) == "");
  CHECK(why_not(three({equal_to(0)}, {equal_to(0), above(0)})) == "");
  CHECK(why_not(three({equal_to(0), above(0)}, {})) == "");
  CHECK(why_not(three({}, {equal_to(0)})) == "step 3 asks for a value of step 1 that step 2 is not asked for");
  CHECK(why_not(three({above(0)}, {above(0)})) == "more than one comparison of steps that is not an equality");
  CHECK(why_not(three({equal_to(0)}, {above(0)})) == "an equality ends before step 3 compares");
  Pattern gap = three({}, {above(0)});
  gap.steps[1].within = Duration{5};
  CHECK(why_not(gap) == "step 2 has a `within`, and step 3 compares with the step before it");
  gap.steps[1].within.reset();
  gap.steps[2].within = Duration{5};
  CHECK(why_not(gap) == "");
  Pattern absent = two(equal_to(0));
  absent.absences.push_back(no(1, "c"));
  CHECK(why_not(absent) == "a `no` stands before the last step, and a late event may tell");
  absent.absences[0] = no(2, "c", 5, {equal_to(0)});
  CHECK(why_not(absent) == "a `no` looks at steps");
  absent.absences[0] = no(2, "c", 5);
  CHECK(why_not(absent) == "");
  Pattern every = two(equal_to(0));
  every.pick = Pick::every;
  CHECK(why_not(every) == "`pick every` asks for all matches");
}

TEST_CASE("fronts: how each condition is answered is shown") {
  const Pattern p = sequence(
      {single("a"), single("b", {equal_to(0)}), single("c", {equal_to(0), compare(reversed, Op::less, 1, v)})}, 100);
  const std::string text = dump(compile(p, {}, {false, {}}).value());
  CHECK(text.find("engine exists: single events with conditions across them") != std::string::npos);
  CHECK(text.find("value 0 == value 0 of slot 0: equality, hashed\n") != std::string::npos);
  CHECK(text.find("value 1 < value 0 of slot 1: monotone, front\n") != std::string::npos);
  const std::string searched = dump(compile(p, {}, {true, {}}).value());
  CHECK(searched.find("value 0 == value 0 of slot 0: needs search\n") != std::string::npos);
}

TEST_CASE("fronts: equal values find each other") {
  const Pattern p = sequence({single("a"), single("b", {equal_to(0)})}, 10);
  CHECK(run(p, "a1@1 a2@2 b1@3") == "1|3@3");
  CHECK(run(p, "a1@1 a1@2 a2@3 b1@4") == "2|4@4");
  CHECK(run(p, "a@1 b@2") == "");  // what is missing is equal to nothing
  // The window is half open: W - 1, W, W + 1.
  CHECK(run(p, "a1@1 b1@10") == "1|2@10");
  CHECK(run(p, "a1@1 b1@11") == "");
  CHECK(run(p, "a1@1 b1@12") == "");
}

TEST_CASE("fronts: the newest value that compares") {
  const Pattern p = sequence({single("a"), single("b", {above(0)})}, 10);
  CHECK(run(p, "a1@1 a2@2 a3@3 b3@4") == "2|4@4");
  CHECK(run(p, "a1@1 a3@2 a2@3 b3@4") == "3|4@4");
  CHECK(run(p, "a1@1 a3@9 b3@10") == "1|3@10");
  CHECK(run(p, "a1@1 a3@9 b3@11") == "");
  const Pattern differs = sequence({single("a"), single("b", {compare(v, Op::not_equal, 0, v)})}, 100);
  CHECK(run(differs, "a2@1 a1@2 a3@3 a2@4 b2@5") == "3|5@5");
  const Pattern over_one = sequence({single("a"), single("b"), single("c", {above(0)})}, 100);
  CHECK(run(over_one, "a1@1 b@2 a3@3 b@4 a1@5 c2@6") == "1|4|6@6");
}

TEST_CASE("fronts: an older chain outlives a newer one that began earlier") {
  const Pattern p = sequence({single("a"), single("b", {equal_to(0)}), single("c")}, 8);
  CHECK(run(p, "a2@1 a1@5 b1@6 b2@7 c@8") == "1|4|5@8");
  CHECK(run(p, "a2@1 a1@5 b1@6 b2@7 c@9") == "2|3|5@9");
  // Of a chain taken before the newer beginning was over.
  const Pattern longer = sequence({single("a"), single("b", {equal_to(0)}), single("c"), single("d")}, 8);
  CHECK(run(longer, "a2@1 a1@5 b1@6 b2@7 c@8 d@9") == "2|3|5|6@9");
  Pattern near = longer;
  near.steps[2].within = Duration{2};  // then b1 is too far from c
  CHECK(run(near, "a2@1 a1@5 b1@6 b2@7 c@8 d@9") == "");
  Pattern quiet = p;
  quiet.absences.push_back(no(3, "d", 5));
  CHECK(run(quiet, "a2@1 a1@5 b1@6 b2@7 c@8 |20") == "1|4|5@13");
  quiet.until = element("e");
  CHECK(run(quiet, "a2@1 a1@5 b1@6 b2@7 c@8 !e@4 |20") == "2|3|5@13");
}

TEST_CASE("fronts: what a match used up is forgotten at once") {
  Pattern p = sequence({single("a"), single("b", {equal_to(0)})});
  Feed feed(p);
  for (int i = 0; i < 5; ++i) feed.take('a', i, i);
  feed.take('b', 3, 10);
  CHECK(feed.out.size() == 1);
  CHECK(feed.runs.empty());
  p.absences.push_back(no(2, "c", 5));
  Feed waits(p);
  for (int i = 0; i < 5; ++i) waits.take('a', i, i);
  waits.take('b', 3, 10);
  CHECK(!waits.runs.empty());
  advance(waits.program, waits.runs, Timestamp{20}, waits.host, waits.out);
  CHECK(waits.out.size() == 1);
  CHECK(waits.runs.empty());
}

TEST_CASE("fronts: a late event in the time of a match that was told ends no other") {
  Pattern p = sequence({single("a"), single("b", {equal_to(0)})});
  p.absences.push_back(no(2, "c", 5));
  p.after = AfterMatch::continue_;
  Feed feed(p);
  feed.take('a', 1, 0);
  for (const std::int64_t time : {1, 3, 4}) feed.take('b', 1, time);
  advance(feed.program, feed.runs, Timestamp{7}, feed.host, feed.out);
  CHECK(feed.out.size() == 1);
  feed.bits.clear();
  feed.bits.set(predicate('c'));
  step(feed.program, feed.runs, {9, 9, Timestamp{2}, true, &feed.bits, {}}, feed.host, feed.out);
  advance(feed.program, feed.runs, Timestamp{20}, feed.host, feed.out);
  CHECK(feed.out.size() == 3);
}

TEST_CASE("fronts: a million beginnings with different values stay within the byte limit") {
  Feed feed(sequence({single("a"), single("b", {equal_to(0)})}, 10'000'000));
  constexpr int beginnings = 1'000'000;
  for (int i = 0; i < beginnings; ++i) feed.take('a', i, i);
  CHECK(feed.host.counters.dropped > 900'000);
  CHECK(feed.runs.bytes() < 4 * runs_bytes_max);
  feed.take('b', 5, beginnings);  // dropped long ago
  CHECK(feed.out.empty());
  feed.take('b', beginnings - 1, beginnings);
  REQUIRE(feed.out.size() == 1);
  CHECK(feed.out[0].truncated);
  // When the window has passed nothing that was dropped can have mattered.
  feed.take('a', 7, 30'000'000);
  feed.take('b', 7, 30'000'001);
  REQUIRE(feed.out.size() == 2);
  CHECK(!feed.out[1].truncated);
}

TEST_CASE("fronts: without a window, what nothing can reach is forgotten") {
  Pattern p = sequence({single("a"), single("b", {equal_to(0)}), single("c", {equal_to(0), above(0)})});
  p.steps[2].parts[0].element.conditions[1] = compare(v, Op::greater_equal, 1, v);
  p.after = AfterMatch::continue_;
  Feed feed(p);
  for (int i = 0; i < 100'000; ++i) feed.take("aab"[i % 3], i % 7, i);
  CHECK(feed.runs.bytes() < 20'000);
  CHECK(feed.host.counters.dropped == 0);
  feed.take('c', 3, 100'000);
  REQUIRE(feed.out.size() == 1);
  CHECK(!feed.out[0].truncated);
}

TEST_CASE("fronts say what search says over long streams") {
  const auto rounds = [] {
    const char* said = std::getenv("TOCSIN_RC_CASES");
    return said == nullptr ? 100 : std::max(std::atoi(said) / 100, 1);
  }();
  CHECK(rc::check("same matches", [&] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    for (int i = 0; i < rounds / 10 + 1; ++i) {
      Dice dice(hash_mix(seed, static_cast<std::uint64_t>(i)));
      const Pattern p = compared_pattern(dice);
      const std::vector<Item> items = random_stream(dice, 150);
      std::vector<std::string> said;
      for (const Program& program : programs_of(p, false)) {
        TestHost host;
        host.search_visits = INT64_MAX;
        Runs runs;
        std::vector<Match> out;
        feed(
            items, [&](Timestamp t) { advance(program, runs, t, host, out); },
            [&](const Occurrence& o) {
              step(program, runs, o, host, out);
              if (!dice.one_in(20)) return;
              std::string bytes;
              encode(program, runs, bytes);
              std::optional<Runs> back = decode(program, bytes);
              RC_ASSERT(back.has_value());
              runs = std::move(*back);
            });
        said.push_back(testing::to_text(out));
      }
      for (const std::string& one : said) {
        if (one != said.front()) RC_FAIL(nfa::to_text(p) + testing::to_text(items) + "\n" + said.front() + "\n" + one);
      }
    }
  }));
}
