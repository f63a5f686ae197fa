// Clauses S of docs/matching.md, one case each; the engines against the slow twin on random patterns; limits; bytes.
#include "tests/reference/derivations.h"

#include <cstdlib>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "nfa/explicit_runs.h"
#include "tests/nfa/begun.h"
#include "tests/nfa/random_stages.h"
#include "tests/nfa/stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

/// What every engine that claims the pattern puts out, and the slow twin; "differ" when they do.
std::string found(const Pattern& pattern, const std::string& stream) {
  const std::vector<Item> items = parse_stream(stream);
  TestHost host;
  answer(host, false);
  reference::Derivations slow(pattern, host);
  feed(
      items, [&](Timestamp t) { slow.advance(t); }, [&](const Occurrence& o) { slow.step(o); });
  const std::string expected = told(slow.all());
  const Result<Program> chosen = compile(pattern);
  if (!chosen) return chosen.error().text;
  for (const Program& program : stage_programs(pattern)) {
    Runs runs;
    std::vector<Match> out;
    feed(
        items, [&](Timestamp t) { advance(program, runs, t, host, out); },
        [&](const Occurrence& o) { step(program, runs, o, host, out); });
    if (told(out) != expected) {
      return std::string("differ: ") + nfa::to_text(program.engine) + " " + told(out) + ", slow " + expected;
    }
  }
  return expected;
}
std::string found(const std::string& pattern, const std::string& stream) { return found(stages(pattern), stream); }
std::string found(const std::string& pattern, std::int64_t window, const std::string& stream) {
  return found(stages(pattern, window), stream);
}

Pattern skipping(const std::string& text, AfterMatch after, const std::string& stage = "") {
  Pattern p = stages(text);
  p.after = after;
  p.after_stage = stage;
  return p;
}

Pattern telling(const std::string& text, std::int64_t window = 0) {
  Pattern p = stages(text, window);
  p.tells_timeouts = true;
  return p;
}

/// On explicit runs, whichever engine would be chosen.
Program on_runs(const Pattern& pattern) {
  Choosing choosing;
  choosing.engine = Engine::runs;
  return compile(pattern, {}, choosing).take();
}

}  // namespace

TEST_CASE("S1 a derivation takes events in order; the same events for the same leaves are one match") {
  CHECK(found("a -> b", "a@1 a@2 b@3") == "1|3@3, 2|3@3");
  CHECK(found("a -> a", "a@1 a@2 a@3") == "1|2@2, 2|3@3");
  CHECK(found("a?", "a@1 b@2") == "1@1");
  CHECK(found("a -> (b{1,2}){1,2} -> c", "a@1 b@2 b@3 c@4") == "1|2 3|4@4, 1|2|4@4");
  CHECK(found("a -> [b | c -> b] -> d", "a@1 c@2 b@3 d@4") == "1||2|3|4@4, 1|3|||4@4");
  CHECK(found("a -> {b & c} -> d", "a@1 c@2 b@3 d@4 a@5 b@6 c@7 d@8") == "1|3|2|4@4, 1|3|7|8@8, 5|6|7|8@8");
  CHECK(found("{2: a & b & c}", "a@1 c@2 b@3") == "1||2@2, 1|3|2@3, 1|3|@3, |3|2@3");
}

TEST_CASE("S2 contiguity says what may be skipped before the event that is taken next") {
  CHECK(found("a , b", "a@1 b@2 a@3 c@4 b@5") == "1|2@2");
  CHECK(found("a -> b", "a@1 c@2 b@3 b@4") == "1|3@3");
  CHECK(found("a ->> b", "a@1 c@2 b@3 b@4") == "1|3@3, 1|4@4");
  CHECK(found("a , *", "a@1 c@1 c@2") == "1|2@1");
  CHECK(found("a -> b{2}.s", "a@1 b@2 c@3 b@4 b@5").empty());
  CHECK(found("a ->> b{2}.s", "a@1 b@2 c@3 b@4 b@5") == "1|4 5@5");
  CHECK(found("a -> b{2}.a", "a@1 b@2 b@3 b@4") == "1|2 3@3, 1|2 4@4");
  CHECK(found("a -> (b -> c){2}.s -> d", "a@1 b@2 d@3 c@4 b@5 c@6 d@7") == "1|2 5|4 6|7@7");
  CHECK(found("a -> (b -> c){2}.s -> d", "a@1 b@2 c@3 d@4 b@5 c@6 d@7").empty());
  CHECK(found("a , ((b , c) -> d)", "a@1 d@2 b@3 c@4 d@5").empty());
  CHECK(found("a -> {b & c}.s", "a@1 b@2 d@3 c@4").empty());
}

TEST_CASE("S3 with and without an optional stage are two ways") {
  CHECK(found("a -> b? -> c", "a@1 b@2 c@3") == "1|2|3@3, 1||3@3");
  CHECK(found("a -> b? -> c", "a@1 c@2 b@3 c@4") == "1||2@2, 1|3|4@4");
  CHECK(found("a , b? , c", "a@1 c@2") == "1||2@2");
  CHECK(found("a -> b?", "a@1 b@2 b@3") == "1|@1, 1|2@2");
  CHECK(found("a -> (b -> c)? -> d", "a@1 b@2 c@3 d@4") == "1|2|3|4@4, 1|||4@4");
}

TEST_CASE("S4 until ends a loop, and what it ends may be given to the next stage") {
  CHECK(found("a+.u(b)", "a@1 c@2 a@3 b@4 a@5") == "1@1, 1 3@3, 3@3, 5@5");
  CHECK(found("c -> a+.u(b)", "c@1 b@2 a@3 a@4 b@5 a@6") == "1|3@3, 1|3 4@4");
  CHECK(found("a+.u(b) -> b", "a@1 a@2 b@3") == "1 2|3@3, 1|3@3, 2|3@3");
  CHECK(found("(a -> c)+.u(b)", "a@1 b@2 c@3 a@4 c@5") == "4|5@5");
}

TEST_CASE("S5 a negation forbids on the way, whatever else the event is") {
  CHECK(found("a !-> c -> b", "a@1 d@2 b@3 a@4 c@5 b@6") == "1||3@3");
  CHECK(found("a !-> b2 -> b", "a@1 b2@2 b@3").empty());
  CHECK(found("a !-> c ->> b", "a@1 b@2 b@3 c@4 b@5") == "1||2@2, 1||3@3");
  CHECK(found("a !, c -> b", "a@1 c@2 b@3 a@4 d@5 c@6 b@7") == "4||7@7");
  CHECK(found("a !, c !-> d -> b", "a@1 b@2 a@3 c@4 b@5 a@6 d@7 b@8") == "1|||2@2");
  CHECK(found("a !-> d !, c -> b", "a@1 b@2 a@3 c@4 b@5 a@6 d@7 b@8") == "1|||2@2");
  CHECK(found("a !-> c -> b? -> d", "a@1 b@2 c@3 d@4 a@5 c@6 d@7") == "1||2|4@4");
  CHECK(found("(a !-> c) -> b", "a@1 c@2 b@3 a@4 b@5") == "4||5@5");
  CHECK(found("b+ !-> c -> d", "b@1 c@2 b@3 d@4") == "3||4@4");
  CHECK(found("b+ !, c -> d", "b@1 c@2 b@3 d@4") == "3||4@4");
  CHECK(found("a !-> c -> b?", "a@1 c@2 b@3") == "1||@1");
}

TEST_CASE("S5 absence in the middle: for D after the event before, decided by time") {
  CHECK(found("a !-> c.for(5) -> b", "a@1 b@5 b@6") == "1||3@6");
  CHECK(found("a !-> c.for(5) -> b", "a@1 c@5 b@6").empty());
  CHECK(found("a !-> c.for(5) -> b", "a@1 c@6 b@7") == "1||3@7");
  CHECK(found("a !-> c.for(5) -> b", "a@1 c@7 b@8") == "1||3@8");
  CHECK(found("a !-> c.for(5) , b", "a@1 d@3 b@7") == "1||3@7");
  CHECK(found("a !-> c.for(5) , b", "a@1 d@6 b@7").empty());
}

TEST_CASE("S5 absence at the end: its own time, or the window's end") {
  CHECK(found("a !-> c", 10, "a@1 c@10 |20").empty());
  CHECK(found("a !-> c", 10, "a@1 c@11 |20") == "1|@11");
  CHECK(found("a !-> c", 10, "a@1 c@12 |20") == "1|@11");
  CHECK(found("a -> b !-> c", 10, "a@1 b@9 |10 |11") == "1|2|@11");
  CHECK(found("a -> b !-> c.prev(5)", 100, "a@1 b@9 |13 c@14") == "1|2|@14");
  CHECK(found("a -> b !-> c.prev(5)", 100, "a@1 b@9 c@13 |100").empty());
  CHECK(found("a -> b !-> c.prev(5)", 10, "a@1 b@9 |100") == "1|2|@11");
  CHECK(found("a -> b !-> c.for(5)", 10, "a@1 b@9 |100") == "1|2|@14");
  CHECK(found("a !, c", "a@1 b@2 a@3 c@4 a@5") == "1|@2");
  CHECK(found("a !, c", 10, "a@1 |10 |11") == "1|@11");
  CHECK(found("a+ !-> c", 10, "a@1 a@2 |20") == "1 2|@11, 1|@11, 2|@12");
}

TEST_CASE("S6 a greedy stage is left when it cannot take") {
  CHECK(found("a -> b+.g -> c", "a@1 b@2 b@3 c@4") == "1|2 3|4@4");
  CHECK(found("b+.g -> c", "b@1 b@2 b@3 c@4") == "1 2 3|4@4, 2 3|4@4, 3|4@4");
  CHECK(found("a -> b{1,3}.g -> c", "a@1 b@2 b@3 b@4 b@5 c@6") == "1|2 3 4|6@6");
  CHECK(found("a -> b{1,3}.g -> c", "a@1 b@2 b@3 c@4") == "1|2 3|4@4");
  CHECK(
      found("a -> b+.g -> b", "a@1 b@2 b@3") ==
      "the pattern can match nothing: after stage `b2` no event can go on; what must not happen there, or the time it "
      "takes, rules out all that could");
  CHECK(found("a -> b+.g", "a@1 b@2 b@3") == "1|2@2, 1|2 3@3");
  CHECK(found("a -> b+.g? -> c", "a@1 b@2 c@3 a@4 c@5") == "1|2|3@3, 4||5@5");
  CHECK(found("a -> b+.g.u(b2) -> c", "a@1 b@2 b2@3 b@4 c@5") == "1|2|5@5");
}

TEST_CASE("S7 gaps between occurrences, and from the event before") {
  CHECK(found("a -> b{2}.gap(5)", "a@1 b@20 b@24") == "1|2 3@24");
  CHECK(found("a -> b{2}.gap(5)", "a@1 b@20 b@25").empty());
  CHECK(found("a -> b{2}.gap(5)", "a@1 b@20 b@26").empty());
  CHECK(found("a -> b+.gap(3) -> c", "a@1 b@2 b@10 c@11") == "1|2|4@11");
  CHECK(found("a -> (b -> c){2}.gap(3) -> d", "a@1 b@2 c@9 b@11 c@30 d@31") == "1|2 4|3 5|6@31");
  CHECK(found("a -> (b -> c){2}.gap(3) -> d", "a@1 b@2 c@9 b@12 c@30 d@31").empty());
  CHECK(found("a -> b.prev(5) -> c", "a@1 b@5 c@50") == "1|2|3@50");
  CHECK(found("a -> b.prev(5) -> c", "a@1 b@6 c@50").empty());
  CHECK(found("a -> b{2}.prev(5)", "a@1 b@5 b@9") == "1|2 3@9");
  CHECK(found("a -> b{2}.prev(5)", "a@1 b@5 b@10").empty());
}

TEST_CASE("S8 windows are half-open: W-1, W, W+1") {
  CHECK(found("a -> b", 10, "a@1 b@10") == "1|2@10");
  CHECK(found("a -> b", 10, "a@1 b@11").empty());
  CHECK(found("a -> b", 10, "a@1 b@12").empty());
  CHECK(found("a -> (b -> c).in(3) -> d", "a@1 b@10 c@12 d@30") == "1|2|3|4@30");
  CHECK(found("a -> (b -> c).in(3) -> d", "a@1 b@10 c@13 d@30").empty());
  CHECK(found("a -> (b -> c).in(3) -> d", "a@1 b@10 c@14 d@30").empty());
  CHECK(found("a -> (b -> c).in(3){2} -> d", "a@1 b@10 c@12 b@20 c@22 d@30") == "1|2 4|3 5|6@30");
  // At the beginning of time, too: Flink's timers leave out what begins at zero.
  CHECK(found("a !-> c", 10, "a@0 |10") == "1|@10");
}

TEST_CASE("S10 a partial match is told when time ends its last way on") {
  CHECK(found(telling("a -> b", 10), "a@1 b@11") == "timeout 1|@11");
  CHECK(found(telling("a -> b+", 10), "a@1 b@5 b@10 |20") == "1|2@5, 1|2 3@10, timeout 1|2 3@11");
  CHECK(found(telling("a -> b+.a -> c", 10), "a@1 b@2 b@3 |20") == "timeout 1|2 3|@11, timeout 1|2|@11");
  CHECK(found(telling("a -> b.prev(3) -> c"), "a@1 b@4 c@50") == "timeout 1||@4");
  CHECK(found(telling("a -> b+.gap(3) -> c"), "a@1 b@2 b@10 c@11") == "1|2|4@11");
  CHECK(found(telling("a -> b !-> c", 10), "a@1 |20") == "timeout 1||@11");
  CHECK(found(telling("a , b", 10), "a@1 c@2 |20").empty());
}

TEST_CASE("S11 matches of one moment come by their events, the longer before its beginning") {
  CHECK(found("b+ -> c", "b@1 b@2 b@3 c@4") == "1 2 3|4@4, 1 2|4@4, 1|4@4, 2 3|4@4, 2|4@4, 3|4@4");
}

TEST_CASE("S12 after a match: Flink's strategies") {
  CHECK(found(skipping("b+ -> c", AfterMatch::skip_to_next), "b@1 b@2 b@3 c@4") == "1 2 3|4@4, 2 3|4@4, 3|4@4");
  CHECK(found(skipping("b+ -> c", AfterMatch::skip_past_last), "b@1 b@2 b@3 c@4") == "1 2 3|4@4");
  CHECK(found(skipping("b+ -> c", AfterMatch::skip_to_last, "b1"), "b@1 b@2 b@3 c@4") == "1 2 3|4@4, 3|4@4");
  CHECK(found(skipping("a -> b? -> c", AfterMatch::skip_to_last, "b2"), "a@1 c@2") == "1||2@2");
  CHECK(found(skipping("a -> b+", AfterMatch::skip_to_next), "a@1 b@2 b@3") == "1|2@2");
}

TEST_CASE("S12 a match is held while a partial one that began earlier lives") {
  Pattern p = skipping("a -> b{1,2} -> c", AfterMatch::skip_past_last);
  // The first a can still take another b; the match of the second is held behind it ...
  p = skipping("a ->> b2 -> c", AfterMatch::skip_past_last);
  p.within = Duration{10};
  p.stages[1].where->conditions.push_back(compare(ValueId{0}, Condition::Op::less, 0, ValueId{0}));
  CHECK(found(p, "a1@1 a3@2 b2@3 c@4 |11 |20") == "2|3|4@11");
  p.in_order = false;
  CHECK(found(p, "a1@1 a3@2 b2@3 c@4 |11 |20") == "2|3|4@4");
}

TEST_CASE("engines agree with the slow twin on random patterns and streams") {
  const char* said = std::getenv("TOCSIN_RC_CASES");
  const int each = std::max((said == nullptr ? 5000 : std::atoi(said)) / 100, 1);
  CHECK(rc::check("same matches", [&] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    for (int i = 0; i < each; ++i) {
      const StageCase c = random_stage_case(hash_mix(seed, static_cast<std::uint64_t>(i)));
      if (!stage_disagreement(c, stage_programs(c.pattern)).empty()) RC_FAIL(stage_explain(c, "each"));
    }
  }));
}

TEST_CASE("random patterns match something, and time out") {
  std::size_t matches = 0;
  std::size_t timeouts = 0;
  std::size_t with_history = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const StageCase c = random_stage_case(seed);
    const Program program = compile(c.pattern).take();
    with_history += program.automaton.history == 0 ? 0 : 1;
    TestHost host;
    answer(host, c.refuses);
    Runs runs;
    std::vector<Match> out;
    feed(
        c.items, [&](Timestamp t) { advance(program, runs, t, host, out); },
        [&](const Occurrence& o) { step(program, runs, o, host, out); });
    for (const Match& m : out) ++(m.timed_out ? timeouts : matches);
  }
  CHECK(matches > 2000);
  CHECK(timeouts > 1000);
  CHECK(with_history > 400);
}

TEST_CASE("explicit runs: beyond the limits the oldest go, counted, and matches say so") {
  Pattern p = stages("a -> b", 100);
  p.runs_max = 2;
  const Program program = on_runs(p);
  TestHost host;
  Runs runs;
  std::vector<Match> out;
  feed(
      parse_stream("a@1 a@2 a@3 b@4 a@150 b@151"), [&](Timestamp t) { advance(program, runs, t, host, out); },
      [&](const Occurrence& o) { step(program, runs, o, host, out); });
  CHECK(told(out) == "2|4@4*, 3|4@4*, 5|6@151");
  CHECK(host.counters.dropped == 1);

  const Program unlimited = on_runs(stages("a+.a -> b", 1000000));
  TestHost small;
  small.runs_bytes = 20000;
  Runs many;
  out.clear();
  std::string stream;
  for (int i = 1; i <= 40; ++i) stream += "a@" + std::to_string(i) + " ";
  feed(
      parse_stream(stream), [&](Timestamp t) { advance(unlimited, many, t, small, out); },
      [&](const Occurrence& o) {
        step(unlimited, many, o, small, out);
        CHECK(many.bytes() < 80000);
      });
  CHECK(small.counters.dropped > 100);
  // After the window nothing is left.
  advance(unlimited, many, Timestamp{2000000}, small, out);
  CHECK(many.empty());
}

TEST_CASE("explicit runs: a hostile key stays within its bytes, at a constant cost per event") {
  const Program program = on_runs(stages("a -> b", 1000000000));
  TestHost host;
  Runs runs;
  std::vector<Match> out;
  PredicateBits bits(40);
  bits.set(predicate('a'));
  constexpr std::uint64_t events = 300000;
  for (std::uint64_t i = 1; i <= events; ++i) {
    step(program, runs, {i, i, Timestamp{static_cast<std::int64_t>(i)}, false, &bits, {}}, host, out);
  }
  CHECK(runs.bytes() < 3 * host.runs_bytes);
  CHECK(host.counters.dropped + static_cast<const ExplicitRuns&>(*runs.body).live_count() == events);
  CHECK(out.empty());
}

TEST_CASE("events no live state waits for leave explicit runs as they are") {
  const Program program = on_runs(stages("a -> b", 0));
  TestHost host;
  Runs runs;
  std::vector<Match> out;
  feed(
      parse_stream("a@1 a@2 c@3"), [&](Timestamp t) { advance(program, runs, t, host, out); },
      [&](const Occurrence& o) { step(program, runs, o, host, out); });
  const auto& body = static_cast<const ExplicitRuns&>(*runs.body);
  CHECK(body.runs.size() == 2);
  CHECK((body.wakes & Automaton::always) == 0);
  CHECK(oldest_needed(runs) == 1U);
  CHECK(!next_deadline(runs).has_value());
  CHECK(!expires_at(program, runs).has_value());
}

TEST_CASE("explicit runs: any bytes may be handed to decode") {
  Pattern p = stages("a -> (b -> c).in(9)+ -> d", 100);
  p.stages[0].where->conditions.push_back(compare(ValueId{0}, Condition::Op::equal, 0, ValueId{0}));
  const Program good = on_runs(stages("a -> (b -> c).in(9)+ -> d", 100));
  const std::string bytes = bytes_of_begun(good, "a@1 a@2 b@3 c@4 b@5");
  TestHost host;
  CHECK(!decode(on_runs(p), bytes).has_value());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int v = 0; v < 256; ++v) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(v);
      std::optional<Runs> back = decode(good, changed);
      if (!back) continue;
      // Whatever was read can be stepped.
      const PredicateBits bits(40);
      std::vector<Match> ignored;
      advance(good, *back, Timestamp::max(), host, ignored);
    }
  }
}
