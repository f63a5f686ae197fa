// What patterns of stages are compiled to, and which are refused.
#include "nfa/automaton.h"

#include <cctype>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/nfa/stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

/// States and edges, with the letter of its stream, as a capital, for each condition; what is refused, as told.
std::string built(const Pattern& pattern) {
  const Result<Automaton> a = build_automaton(pattern);
  if (!a) return a.error().text;
  std::string text = "\n";
  std::istringstream lines(dump(a.value()));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  c")) continue;  // a condition: all of these patterns ask for streams alone
    // The stage that is taken may be called as a condition is.
    for (std::size_t at = line.find(' ', line.starts_with("    take ") ? 9 : 4); at < line.size();) {
      const std::size_t end = std::min(line.find(' ', at + 1), line.size());
      if (line.starts_with("    ") && line[at + 1] == 'c' && std::isdigit(line[at + 2]) != 0) {
        const auto& condition = a.value().conditions[std::stoul(line.substr(at + 2))];
        const char stream = static_cast<char>('A' + static_cast<std::uint32_t>(condition.predicate) / 4);
        line.replace(at + 1, end - at - 1, 1, stream);
      }
      at = line.find(' ', at + 1);
    }
    text += line + "\n";
  }
  return text;
}
std::string built(const std::string& text, std::int64_t window = 0) { return built(stages(text, window)); }

}  // namespace

TEST_CASE("a pattern of stages reads back as text") {
  Pattern p = stages("a -> (b , c){2}.s.in(9) !-> d ->> [b+.g.u(c) | {2: a & b & c}] -> a?", 100);
  p.after = AfterMatch::skip_to_last;
  p.after_stage = "a1";
  p.tells_timeouts = true;
  CHECK(to_text(p) == R"(pattern a1[p0/p0] -> (b2[p4/p4] , c3[p8/p8]){2,2}.strict.within(9us) !-> d4[p12/p12] ->> )"
                      R"([b5[p4/p4]+.greedy.until(p8/p8) | {2: a6[p0/p0] & b7[p4/p4] & c8[p8/p8]}] -> )"
                      R"(a9[p0/p0]? within 100us
  skip to_last a1, tells timeouts
)");
}

TEST_CASE("strict, relaxed and any differ in what may be skipped") {
  CHECK(built("a , b") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b2
    take b2 if B complete
)");
  CHECK(built("a -> b") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b2
    take b2 if B complete
    skip not B to 1
)");
  CHECK(built("a ->> b") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b2
    take b2 if B complete
    skip to 1
)");
}

TEST_CASE("an optional stage: who skipped an event has chosen what it waits for") {
  CHECK(built("a -> b? -> c") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b2 or c3
    take c3 if C complete
    skip not C to 2
    take b2 if B to 2
    skip not B to 3
  2 after a1, awaits c3
    take c3 if C complete
    skip not C to 2
  3 after a1, awaits b2
    take b2 if B to 2
    skip not B to 3
)");
}

TEST_CASE("a loop, and what a greedy one forbids behind it") {
  CHECK(built("a -> b+ -> c") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b2
    take b2 if B to 2
    skip not B to 1
  2 after b2, awaits b2 or c3
    take c3 if C complete
    skip not C to 3
    take b2 if B to 2
    skip not B to 1
  3 after b2, awaits c3
    take c3 if C complete
    skip not C to 3
)");
  CHECK(built("a -> b+.g.u(d) -> c") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b2
    take b2 if B not D to 2
    skip not B to 1
  2 after b2, awaits b2 or c3
    take c3 if C not B D complete
    skip not B C D to 3
    take c3 if C D complete
    skip if D not C to 4
    take b2 if B not D to 2
    skip not B D to 5
  3 after b2, awaits c3
    take c3 if C not B D complete
    skip not B C D to 3
    take c3 if C D complete
    skip if D not C to 4
  4 after b2, awaits c3
    take c3 if C complete
    skip not C to 4
  5 after b2, awaits b2
    take b2 if B not D to 2
    skip not B D to 5
)");
}

TEST_CASE("negations forbid; at the end they wait for time") {
  CHECK(built("a !, c !-> d -> b") == R"(
  0 start
    take a1 if A to 1
  1 after a1, awaits b4
    take b4 if B not C D complete
    skip not B C D to 2
  2 after a1, awaits b4
    take b4 if B not D complete
    skip not B D to 2
)");
  CHECK(built("a !-> c", 10) == R"(
  window 10us
  0 start
    take a1 if A to 1
  1 after a1, at the end, complete at the end of the window
    skip not C to 1
)");
  CHECK(built("a !-> c.for(5) -> b") == R"(
  0 start
    take a1 if A to 1
  1 after a1, after 5us to 2
    skip not C to 1
  2 after a1, awaits b3
    take b3 if B complete
    skip not B to 2
)");
}

TEST_CASE("a group of its own window, repeated") {
  CHECK(built("a -> (b -> c).in(4)+ -> d") == R"(
  window of group 0 4us
  0 start
    take a1 if A to 1
  1 after a1, awaits b2
    take b2 if B begins 1 to 2
    skip not B to 1
  2 after b2, awaits c3
    take c3 if C inside 1 to 3
    skip not C inside 1 to 2
  3 after c3, awaits b2 or d4
    take d4 if D complete
    skip not D to 4
    take b2 if B begins 1 to 2
    skip not B to 1
  4 after c3, awaits d4
    take d4 if D complete
    skip not D to 4
)");
}

TEST_CASE("states of the same meaning are one, whatever way leads there") {
  const Result<Automaton> a = build_automaton(stages("a -> b{40} -> c"));
  REQUIRE(a);
  CHECK(a.value().states.size() == 42);
}

TEST_CASE("what cannot be built is refused, and the message names the place") {
  CHECK(built("a -> b=a1") == "two stages are called `a1`");
  CHECK(built("a !-> c") == "stage `c2` is a negation at the end: without a window it is never known whether it holds");
  CHECK(built("a -> b? !-> c -> d") ==
        "stage `c3` is a negation behind stage `b2`, which may be left out: write two "
        "patterns, one with it and one without");
  CHECK(built("a !-> c? -> d") == "stage `c2` is a negation and cannot be optional");
  CHECK(built("a !-> c{3} -> d") == "stage `c2` is a negation and happens no number of times");
  CHECK(built("!-> a -> b") == "stage `a1` is a negation and stands first; it needs something before it");
  CHECK(built("a -> b.g -> c") == "stage `b2` is greedy and occurs once");
  CHECK(built("a -> b+.a.g -> c") ==
        "stage `b2` is greedy and asks for all combinations: one forbids what the other wants");
  CHECK(built("a -> (b -> c)+.g -> d") == "the group that begins with `b2` is a group and cannot be greedy");
  CHECK(built("a -> b+.g -> c? -> d") ==
        "stage `c3` may be left out and stands behind the greedy stage `b2`: it would "
        "never be known where that one ends");
  CHECK(built("a -> b.s") == "stage `b2` says how its occurrences follow each other, and occurs once");
  CHECK(built("a -> b{2}.u(c)") == "stage `b2` has an `until`, which only what repeats without upper bound can have");
  CHECK(built("a -> b{0,2}") == "stage `b2` must occur at least once; what may be missing is optional");
  CHECK(built("a -> b{3,2}") == "stage `b2` occurs at least 3 times and at most 2");
  CHECK(built("a -> b.prev(20)", 10) ==
        "stage `b2`: the window from the event before cannot be longer than the window "
        "of the whole pattern");
  CHECK(built("a -> b.prev(0)") == "stage `b2`: the window from the event before must be above zero");
  CHECK(built("a -> b{2}.gap(0)") == "stage `b2`: the gap must be above zero");
  const std::string beside =
      " stands beside another negation that lasts differently long: give them the same time, or "
      "write two patterns";
  CHECK(built("a !-> c.for(5) !-> d.for(6) -> b") == "stage `c2`" + beside);
  CHECK(built("a !-> c.for(5) !-> d", 10) == "stage `c2`" + beside);
  CHECK(built("a !-> c !, d.prev(3)", 10) == "stage `c2`" + beside);
  CHECK(built("a -> (b? -> c?){2}") ==
        "the group that begins with `b2` repeats, and all of it may be left out: make the "
        "whole group optional instead");
  Pattern zero = stages("a -> b");
  zero.within = Duration{0};
  CHECK(built(zero) == "the window of the pattern must be above zero");
  CHECK(built(Pattern{}) == "a pattern needs at least one stage");
}

TEST_CASE("skip targets are stages outside of groups") {
  const auto to_last = [](const std::string& text, const std::string& target) {
    Pattern p = stages(text);
    p.after = AfterMatch::skip_to_last;
    p.after_stage = target;
    return built(p);
  };
  CHECK(to_last("a -> b", "zz") == "after a match it should skip to `zz`, and there is no such stage");
  CHECK(to_last("a -> (b -> c) -> d", "b2") == "after a match it should skip to `b2`, which stands in a group");
  CHECK(to_last("a !-> c -> b", "c2") == "after a match it should skip to `c2`, which takes no event");
  Pattern circle = stages("a -> b");
  circle.after = AfterMatch::skip_to_first;
  circle.after_stage = "a1";
  circle.after_must_be_there = true;
  CHECK(built(circle) ==
        "after a match it should skip to the first event of `a1`, which is the first event of the "
        "match: it would go round in circles");
}

TEST_CASE("a pattern that can match nothing is refused with the last stage it reaches") {
  const std::string why = "; what must not happen there, or the time it takes, rules out all that could";
  CHECK(built("a !-> b -> b") == "the pattern can match nothing: after stage `a1` no event can go on" + why);
  CHECK(built("a -> b+.g -> b") == "the pattern can match nothing: after stage `b2` no event can go on" + why);
  CHECK(built("a -> *+.g -> b") == "the pattern can match nothing: after stage `*2` no event can go on" + why);
  CHECK(built("a -> c !-> d.for(10) -> b", 10) ==
        "the pattern can match nothing: after stage `c2` no event can go on" + why);
}

TEST_CASE("patterns too large are refused before they take memory") {
  std::string many = "a";
  for (int i = 1; i < 10000; ++i) many += " -> b";
  CHECK(built(many) == "a pattern has at most 256 stages; stage `b257` is one too many");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "(";
  deep += "a";
  for (int i = 0; i < 100; ++i) deep += ")";
  CHECK(built(deep) == "groups stand in groups more than 16 deep, below the group that begins with `a1`");
  CHECK(built("a -> b{1000000000}") ==
        "the counts of this pattern, multiplied, come to more than 4096 occurrences (at "
        "stage `b2`); lower them, or write the upper ones as unbounded");
  CHECK(built("(((a{30} -> b){30} -> c){30} -> d){30}") ==
        "the counts of this pattern, multiplied, come to more than 4096 occurrences (at stage `a1`); lower them, or "
        "write the upper ones as unbounded");
}
