// Random patterns of the whole algebra over random streams: nfa/ and its slow twin must agree on every match, and a run
// that was written down and read back at every point must too.
#include "tests/reference/matcher.h"

#include <cstdlib>
#include <memory>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/hash.h"
#include "nfa/near_miss.h"
#include "tests/nfa/begun.h"
#include "tests/nfa/random_sequences.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

int cases() {
  const char* said = std::getenv("TOCSIN_RC_CASES");
  return said == nullptr ? 10000 : std::atoi(said);
}

}  // namespace

TEST_CASE("nfa agrees with its slow twin on random patterns and streams") {
  const int each = std::max(cases() / 100, 1);
  CHECK(rc::check("same matches", [&] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    for (int i = 0; i < each; ++i) {
      const SequenceCase c = random_sequence_case(hash_mix(seed, static_cast<std::uint64_t>(i)));
      if (!disagreement(c.pattern, c.items, seed, c.refuses).empty()) {
        RC_FAIL(explain(c.pattern, c.items, seed, c.refuses));
      }
    }
  }));
}

TEST_CASE("P9 a border is chosen by itself, whatever it makes of groups further on") {
  // Which d belong to the last group depends on which a the first one holds.
  TestHost host;
  host.on_guard = [](GuardId, const Binding& b) { return b.candidate.event == 7 || b.at(0).front().event == 3; };
  Pattern p = sequence({group(1, 1, "a"), row(1, 0, "b"), single("c"), group(1, 0, "d", {ask(GuardId{1}, {0})})}, 99);
  p.after = AfterMatch::continue_;
  const std::vector<Item> items = parse_stream("a@0 b@1 a@2 b@3 c@4 d@5 d@6");
  const std::string wanted = "3|4|5|6@5, 1|2 4|5|7@6";
  CHECK(to_text(run(p, items, host)) == wanted);
  reference::Matcher slow(p, host);
  std::vector<Match> found;
  feed(
      items, [&](Timestamp t) { slow.advance(t, found); }, [&](const Occurrence& o) { slow.step(o, found); });
  CHECK(to_text(found) == wanted);
}

TEST_CASE("random patterns are mostly not refused, and match something") {
  int compiled = 0;
  int claimed = 0;
  std::size_t matches = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Dice dice(seed);
    const Pattern p = random_pattern(dice);
    if (!compile(p)) continue;
    ++compiled;
    claimed += static_cast<int>(programs_of(p, false).size()) - 1;
    TestHost host;
    matches += run(p, random_stream(dice), host).size();
  }
  CHECK(compiled > 1900);
  CHECK(claimed > 400);
  CHECK(matches > 1000);
}

TEST_CASE("any bytes may be handed to decode") {
  const Result<Program> program =
      compile(sequence({group(2, 0, "a"), single("b", {compare(ValueId{0}, Condition::Op::equal, 0, ValueId{0})})}));
  CHECK(!program);  // compares with a group
  Pattern p = sequence({single("a"), single("b", {compare(ValueId{0}, Condition::Op::equal, 0, ValueId{0})})}, 100);
  p.absences.push_back(no(2, "c", 10));
  const Program good = compile(p).take();
  const std::string bytes = bytes_of_begun(good, "a1@1 a2@2 b1@3 b2@4 !c@1");
  TestHost host;
  const Program other = compile(sequence({single("a"), single("c")})).take();
  CHECK(!decode(other, bytes).has_value());
  Dice dice(1);
  for (int i = 0; i < 20000; ++i) {
    std::string broken = bytes;
    const int changes = 1 + dice.below(4);
    for (int k = 0; k < changes; ++k)
      broken[static_cast<std::size_t>(dice.below(static_cast<int>(broken.size())))] =
          static_cast<char>(dice.below(256));
    std::optional<Runs> back = decode(good, broken);
    if (!back) continue;
    // What was read can be run on, with events behind it.
    std::vector<Match> ignored;
    const std::string far = std::to_string(std::int64_t{1} << 60U);
    feed(
        parse_stream("b1@" + far + " c@" + far + " |" + std::to_string((std::int64_t{1} << 60U) + 900)),
        [&](Timestamp t) { advance(good, *back, t, host, ignored); },
        [&](const Occurrence& o) { step(good, *back, o, host, ignored); });
  }
}

TEST_CASE("near misses are told of exactly the events that complete nothing") {
  const int each = std::max(cases() / 500, 1);
  CHECK(rc::check("same events", [&] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    for (int i = 0; i < each; ++i) {
      Dice dice(hash_mix(seed, static_cast<std::uint64_t>(i)));
      Pattern p = random_pattern(dice);
      p.after = AfterMatch::continue_;  // nothing is used up: whoever can complete, does
      for (Step& s : p.steps) {
        for (Part& part : s.parts) number_guards(part.element);
      }
      for (Absence& a : p.absences) number_guards(a.element);
      if (!compile(p)) continue;
      std::vector<Item> items = random_stream(dice);
      std::erase_if(items, [](const Item& item) { return item.late; });  // known when, is not told by the order
      TestHost host;
      if (dice.one_in(3)) refuse_some(host, seed);
      answer_by_steps(host, p);
      reference::Matcher slow(p, host);
      std::vector<Match> expected;
      std::vector<Occurrence> seen;
      std::vector<std::unique_ptr<PredicateBits>> bits;
      std::vector<std::unique_ptr<std::vector<Value>>> values;
      feed(
          items, [&](Timestamp t) { slow.advance(t, expected); },
          [&](const Occurrence& o) {
            slow.step(o, expected);
            bits.push_back(std::make_unique<PredicateBits>(*o.bits));
            values.push_back(std::make_unique<std::vector<Value>>(o.values.begin(), o.values.end()));
            seen.push_back({o.event, o.order, o.time, false, bits.back().get(), *values.back()});
          });
      for (std::size_t asked = 0; asked < seen.size(); ++asked) {
        const bool completes = std::any_of(expected.begin(), expected.end(),
                                           [&](const Match& m) { return m.last().event == seen[asked].event; });
        const std::optional<NearMiss> miss = near_miss(p, seen, asked, {}, host);
        const bool told = miss && miss->step + 1 == p.steps.size() && miss->failures.empty();
        if (told == completes && (!miss || !miss->cut)) continue;
        RC_FAIL(nfa::to_text(p) + to_text(items) + "\nevent " + std::to_string(asked + 1) +
                (completes ? " completes a match" : " completes nothing"));
      }
    }
  }));
}
