// What is told of events that completed nothing, clause by clause, in the short words of patterns.h. An answer reads
// "step 2 of 2, reached 2: 1|3; window [1 3] 642 of 600": where the event was tried, how many steps have events, which, and what
// stood in the way.
#include "nfa/near_miss.h"

#include <algorithm>
#include <memory>

#include <doctest/doctest.h>

#include "tests/nfa/patterns.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

std::string_view name_of(Clause clause) {
  switch (clause) {
    case Clause::accept: return "when";
    case Clause::condition: return "condition";
    case Clause::absence: return "no";
    case Clause::until: return "until";
    case Clause::first: return "first";
    case Clause::next: return "next";
    case Clause::step_within: return "step within";
    case Clause::used_up: return "used up";
    case Clause::row: return "row";
    case Clause::count: return "count";
    case Clause::part: return "part";
    case Clause::window: return "window";
    case Clause::where: return "where";
    case Clause::missing: return "missing";
  }
  return "";
}

std::string to_text(const NearMiss& miss, std::size_t steps) {
  std::string text = "step " + std::to_string(miss.step + 1) + " of " + std::to_string(steps) + ", reached " +
                     std::to_string(miss.reached) + ":";
  for (std::size_t s = 0; s < miss.places.steps.size(); ++s) {
    text += s == 0 ? " " : "|";
    for (std::size_t k = 0; k < miss.places.steps[s].size(); ++k) {
      if (k != 0) text += ";";
      for (std::size_t i = 0; i < miss.places.steps[s][k].size(); ++i) {
        text += (i == 0 ? "" : " ") + std::to_string(miss.places.steps[s][k][i].event);
      }
    }
  }
  for (const Failure& f : miss.failures) {
    text += "; " + std::string(name_of(f.clause));
    if (f.clause == Clause::missing || f.clause == Clause::where || f.clause == Clause::condition ||
        f.clause == Clause::count) {
      text += " " + std::to_string(f.step + 1);
    }
    if (!f.events.empty()) {
      text += " [";
      for (std::size_t i = 0; i < f.events.size(); ++i) text += (i == 0 ? "" : " ") + std::to_string(f.events[i].event);
      text += "]";
    }
    if (f.took.us != 0 || f.allowed.us != 0)
      text += " " + std::to_string(f.took.us) + " of " + std::to_string(f.allowed.us);
    if (f.needed != 0) text += " " + std::to_string(f.have) + " of " + std::to_string(f.needed);
  }
  return text + (miss.cut ? " (cut)" : "");
}

struct Seen {
  std::vector<Occurrence> events;
  std::vector<std::unique_ptr<PredicateBits>> bits;
  std::vector<std::unique_ptr<std::vector<Value>>> values;
};

Seen seen_of(const std::vector<Item>& items) {
  Seen seen;
  feed(
      items, [](Timestamp) {},
      [&](const Occurrence& o) {
        seen.bits.push_back(std::make_unique<PredicateBits>(*o.bits));
        seen.values.push_back(std::make_unique<std::vector<Value>>(o.values.begin(), o.values.end()));
        Occurrence kept = o;
        kept.bits = seen.bits.back().get();
        kept.values = *seen.values.back();
        seen.events.push_back(kept);
      });
  std::stable_sort(seen.events.begin(), seen.events.end(),
                   [](const Occurrence& a, const Occurrence& b) { return a.time < b.time; });
  return seen;
}

/// About event number `asked`, by default the last one.
std::string tell(const Pattern& p, const std::string& stream, std::uint64_t asked, Place floor, Host& host) {
  const Seen seen = seen_of(parse_stream(stream));
  if (asked == 0) asked = seen.events.size();
  const auto at =
      std::find_if(seen.events.begin(), seen.events.end(), [&](const Occurrence& o) { return o.event == asked; });
  const auto miss = near_miss(p, seen.events, static_cast<std::size_t>(at - seen.events.begin()), floor, host);
  return miss ? to_text(*miss, p.steps.size()) : "of no step";
}
std::string tell(const Pattern& p, const std::string& stream, std::uint64_t asked = 0, Place floor = {}) {
  TestHost host;
  return tell(p, stream, asked, floor, host);
}

Pattern with(Pattern p, const Absence& a) {
  p.absences.push_back(a);
  return p;
}
Condition same_v(std::uint32_t step) { return compare(ValueId{0}, Condition::Op::equal, step, ValueId{0}); }

}  // namespace

TEST_CASE("an event of no step has nothing to tell; one that matches has no failures") {
  CHECK(tell(sequence({single("a"), single("b")}), "a@0 d@1") == "of no step");
  CHECK(tell(sequence({single("a"), single("b")}), "a@0 b@1") == "step 2 of 2, reached 2: 1|2");
  CHECK(tell(sequence({single("a"), single("b"), single("c")}), "a@0 b@1") == "step 2 of 3, reached 2: 1|2");
}

TEST_CASE("P1 order from step to step: what came before does not help") {
  CHECK(tell(sequence({single("a"), single("b")}, 10), "b@1") == "step 2 of 2, reached 0:; missing 1");
  CHECK(tell(sequence({single("a"), single("c"), single("b")}, 10), "c@0 a@1 b@2") ==
        "step 3 of 3, reached 3: 2||3; missing 2");
  CHECK(tell(sequence({single("a"), single("c"), single("d"), single("b")}, 10), "a@1 b@2") ==
        "step 4 of 4, reached 1: 1; missing 2");
}

TEST_CASE("P2 within of the sequence: how long it took") {
  CHECK(tell(sequence({single("a"), single("b")}, 600), "a@0 b@642") ==
        "step 2 of 2, reached 2: 1|2; window [1 2] 642 of 600");
  CHECK(tell(sequence({single("a"), single("b")}, 10), "a@0 b@10") ==
        "step 2 of 2, reached 2: 1|2; window [1 2] 10 of 10");
  CHECK(tell(sequence({single("a"), single("b")}, 10), "a@0 a@2 b@15") ==
        "step 2 of 2, reached 2: 2|3; window [2 3] 13 of 10");
}

TEST_CASE("P3 within of a step, a group, a part") {
  CHECK(tell(sequence({single("a"), single("c"), within(5, single("b"))}, 100), "a@0 c@1 b@9") ==
        "step 3 of 3, reached 3: 1|2|3; step within [3] 8 of 5");
  CHECK(tell(sequence({single("a"), within(5, group(2, 0, "b")), single("c")}, 100), "a@0 b@1 b@7 c@8") ==
        "step 3 of 3, reached 3: 1|2 3|4; step within [3] 7 of 5");
  Step parts = all_of({"b", "c"});
  parts.parts[1].within = Duration{3};
  CHECK(tell(sequence({single("a"), parts}, 100), "a@0 c@4 b@5") ==
        "step 2 of 2, reached 2: 1|3;2; step within [2] 4 of 3");
}

TEST_CASE("P4 a where that looks at earlier steps") {
  CHECK(tell(sequence({single("a"), single("b", {same_v(0)})}, 10), "a1@0 b2@1") ==
        "step 2 of 2, reached 2: 1|2; condition 2 [2]");
}

TEST_CASE("P5 one event fills one place") {
  CHECK(tell(sequence({single("a"), single("a")}, 10), "a@0") == "step 1 of 2, reached 1: 1");
}

TEST_CASE("P6 a group with too few members") {
  CHECK(tell(sequence({group(3, 0, "a"), single("b")}, 100), "a@0 a@1 b@2") ==
        "step 2 of 2, reached 2: 1 2|3; count 1 2 of 3");
  CHECK(tell(sequence({group(3, 0, "a"), single("b")}, 100), "a@0 a@1") ==
        "step 1 of 2, reached 1: 1 2; count 1 2 of 3");
}

TEST_CASE("P7 exactly and n to m are short of members like other groups") {
  CHECK(tell(sequence({group(2, 2, "a"), single("b")}, 100), "a@0 b@2") ==
        "step 2 of 2, reached 2: 1|2; count 1 1 of 2");
  CHECK(tell(sequence({group(2, 3, "a"), single("b")}, 100), "a@0 b@2") ==
        "step 2 of 2, reached 2: 1|2; count 1 1 of 2");
}

TEST_CASE("P8 a group as last step: so many so far") {
  CHECK(tell(sequence({single("a"), group(3, 0, "b")}, 100), "a@0 b@1 b@2") ==
        "step 2 of 2, reached 2: 1|2 3; count 2 2 of 3");
}

TEST_CASE("P9 groups side by side: one of them lacks members") {
  CHECK(tell(sequence({group(2, 0, "a"), group(2, 0, "b"), single("c")}, 100), "a@0 a@1 b@2 c@3") ==
        "step 3 of 3, reached 3: 1 2|3|4; count 2 1 of 2");
}

TEST_CASE("P10 a row that was broken, and by what") {
  CHECK(tell(sequence({row(3, 0, "a1"), single("b")}, 100), "a1@0 a1@1 a2@2 a1@3 b@4") ==
        "step 2 of 2, reached 2: 1 2 4|5; row [3] 3 of 3");
}

TEST_CASE("P11 then first: the first one came before and does not fit") {
  CHECK(tell(sequence({single("a"), linked(Link::first, single("b")), single("c", {same_v(1)})}, 100),
             "a@0 b1@1 b2@2 c2@3") == "step 3 of 3, reached 3: 1|2|4; condition 3 [4]");
  CHECK(tell(sequence({single("a"), linked(Link::first, single("b"))}, 100), "a@0 b1@1 b2@2") ==
        "step 2 of 2, reached 2: 1|3; first [2]");
}

TEST_CASE("P12 then next: something stands between") {
  CHECK(tell(sequence({single("a1"), linked(Link::next, single("b"))}, 100), "a1@0 a2@1 b@2") ==
        "step 2 of 2, reached 2: 1|3; next [2]");
}

TEST_CASE("P13 an optional step stands in nobody's way") {
  CHECK(tell(sequence({single("a"), optional("c"), single("b")}, 5), "a@0 b@6") ==
        "step 3 of 3, reached 3: 1||2; window [1 2] 6 of 5");
}

TEST_CASE("P14 all of: a part is missing") {
  CHECK(tell(sequence({all_of({"a", "b", "c"}), single("d")}, 100), "a@0 c@1 d@2") ==
        "step 2 of 2, reached 2: 1;;2|3; part");
}

TEST_CASE("P15 any n of: too few parts") {
  CHECK(tell(sequence({any_of(2, {"a", "b", "c"}), single("d")}, 100), "c@1 d@2") ==
        "step 2 of 2, reached 2: ;;1|2; count 1 1 of 2");
}

TEST_CASE("P16 no between two steps: what stands there") {
  CHECK(tell(with(sequence({single("a"), single("b")}, 100), no(1, "c")), "a@0 c@1 b@2") ==
        "step 2 of 2, reached 2: 1|3; no [2]");
  CHECK(tell(with(sequence({single("a"), single("b")}, 100), no(1, "c", 0, {same_v(0)})), "a1@0 c1@1 c2@2 b@3") ==
        "step 2 of 2, reached 2: 1|4; no [2]");
}

TEST_CASE("P17 a first no: how long before") {
  CHECK(tell(with(sequence({single("a"), single("b")}, 100), no(0, "c", 10)), "c@0 a@4 b@5") ==
        "step 2 of 2, reached 2: 2|3; no [1] 4 of 10");
}

TEST_CASE("P18 a final no: how long after") {
  const Pattern p = with(sequence({single("a"), single("b")}, 100), no(2, "c", 10));
  CHECK(tell(p, "a@0 b@4 c@9", 2) == "step 2 of 2, reached 2: 1|2; no [3] 5 of 10");
  CHECK(tell(p, "a@0 b@4 c@14", 2) == "step 2 of 2, reached 2: 1|2; no [3] 10 of 10");
  CHECK(tell(p, "a@0 b@4 c@15", 2) == "step 2 of 2, reached 2: 1|2");
}

TEST_CASE("P19 until: what ended it") {
  Pattern p = sequence({single("a"), single("b")}, 100);
  p.until = element("c");
  CHECK(tell(p, "a@0 c@1 b@2") == "step 2 of 2, reached 2: 1|3; until [2]");
  Pattern waits = with(p, no(2, "d", 10));
  CHECK(tell(waits, "a@0 b@2 c@5", 2) == "step 2 of 2, reached 2: 1|2; until [3]");
}

TEST_CASE("P20 what the runs forgot is kept by who asks: the answer does not depend on bounds") {
  TestHost host;
  host.runs_bytes = 1;
  CHECK(tell(sequence({single("a"), single("b")}, 10), "a@0 a@1 b@2", 0, {}, host) == "step 2 of 2, reached 2: 2|3");
}

TEST_CASE("C1 when: the combination was refused") {
  TestHost host;
  host.on_accept = [](const Match&) { return false; };
  CHECK(tell(sequence({single("a"), single("b")}, 10), "a@0 b@2", 0, {}, host) == "step 2 of 2, reached 2: 1|2; when");
}

TEST_CASE("M1 what a match used up") {
  CHECK(tell(sequence({single("a"), single("b")}, 10), "a@0 b@2 b@3", 3, {{2}, 3}) ==
        "step 2 of 2, reached 2: 1|3; used up [1]");
}

TEST_CASE("an event whose own where is false, behind steps that fit") {
  CHECK(tell(sequence({single("a"), single("b1")}, 10), "a@0 b2@2") == "step 2 of 2, reached 2: 1|2; where 2 [2]");
  CHECK(tell(sequence({single("a1"), single("b")}, 10), "a2@0 b@2") == "step 2 of 2, reached 2: 1|2; where 1 [1]");
}

TEST_CASE("an event of two steps is told as the furthest it fits") {
  CHECK(tell(sequence({group(3, 0, "a1"), single("a2")}, 100), "a1@0 a1@1") ==
        "step 1 of 2, reached 1: 1 2; count 1 2 of 3");
}

TEST_CASE("two clauses at once, and more") {
  CHECK(tell(with(sequence({single("a"), single("b")}, 10), no(1, "c")), "a@0 c@1 b@20") ==
        "step 2 of 2, reached 2: 1|3; no [2]; window [1 3] 20 of 10");
  CHECK(tell(with(sequence({single("a"), within(3, single("b", {same_v(0)}))}, 100), no(1, "c")), "a1@0 c@1 b2@20") ==
        "step 2 of 2, reached 2: 1|3; condition 2 [3]; no [2]; step within [3] 20 of 3");
}

TEST_CASE("the furthest step reached within the span, and what came next") {
  const Pattern p = sequence({single("a"), single("b"), single("c1"), single("d")}, 100);
  CHECK(tell(p, "a@0 b@1 d@9") == "step 4 of 4, reached 4: 1|2||3; missing 3");
  CHECK(tell(p, "a@0 d@9") == "step 4 of 4, reached 1: 1; missing 2");
  CHECK(tell(p, "a@0 d@200") == "step 4 of 4, reached 0:; missing 1");
  CHECK(tell(sequence({single("a"), single("b1"), single("c"), single("d")}, 100), "a@0 b2@1 d@9") ==
        "step 4 of 4, reached 1: 1|2; where 2 [2]");
}
