#include "nfa/program.h"

#include <doctest/doctest.h>

#include "tests/nfa/patterns.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

std::string refused(const Pattern& p) {
  const Result<Program> r = compile(p);
  return r ? "" : r.error().text;
}

}  // namespace

TEST_CASE("a pattern reads back as text") {
  Pattern p = sequence({single("a"), within(5, row(2, 3, "b1")),
                        linked(Link::first, single("c", {compare(ValueId{1}, Condition::Op::less, 0, ValueId{2})}))},
                       100);
  p.absences.push_back(no(0, "d", 7));
  p.absences.push_back(no(2, "d", 0, {ask(GuardId{4}, {0, 1})}));
  p.until = element("e");
  CHECK(to_text(p) ==
        "sequence within 100us\n"
        "     no p12/p12 for 7us\n"
        "  s0 p0/p0\n"
        "  s1 2 to 3 consecutive p5/p4 within 5us\n"
        "     no p12/p12 where guard4(s0 s1)\n"
        "  s2 first p8/p8 where v1 < s0.0.v2\n"
        "  until p16/p16\n"
        "  pick nearest, after match restart\n");
  const Result<Program> program = compile(p);
  REQUIRE(program.ok());
  CHECK(dump(program.value()).find("step 1 row 2..3") != std::string::npos);
}

TEST_CASE("what has no meaning is refused with a sentence") {
  CHECK(refused(sequence({})) == "a sequence needs at least one step that is not `no`");
  CHECK(refused(sequence({single("a"), optional("b")})) == "the last step cannot be optional");
  CHECK(refused(sequence({linked(Link::first, single("a"))})) == "the first step cannot be `first` or `next`");
  CHECK(refused(sequence({within(5, single("a"))})) == "the first step cannot have a `within` of its own");
  Pattern p = sequence({single("a")});
  p.absences = {no(1, "b")};
  CHECK(refused(p) == "a final `no` needs `for`");
  p.absences = {no(0, "b")};
  CHECK(refused(p) == "a first `no` needs `for`");
  Pattern q = sequence({single("a"), single("b")});
  q.absences = {no(1, "c", 10)};
  CHECK(refused(q) == "a `no` between two steps takes no `for`");
  CHECK(refused(sequence({single("a", {compare(ValueId{0}, Condition::Op::equal, 0, ValueId{0})})})) ==
        "a condition refers to step 1, which is not before it");
  CHECK(
      refused(sequence({group(2, 0, "a"), single("b", {compare(ValueId{0}, Condition::Op::equal, 0, ValueId{0})})})) ==
      "a condition compares with a group; only a guard can");
  CHECK(refused(sequence({linked(Link::any, [] {
          Step s = single("a");
          s.consecutive = true;
          return s;
        }())})) == "step 1: `consecutive` needs a count");
  CHECK(refused(sequence({single("a"), linked(Link::next, all_of({"b", "c"}))})) ==
        "step 2: `first` and `next` stand before single steps and groups");
  CHECK(refused(sequence({any_of(3, {"b", "c"})})) == "step 1: `any n of` needs n between one and the number of parts");
}

TEST_CASE("the fingerprint is that of the meaning, not of the numbers") {
  const Pattern p =
      sequence({single("a"), single("b", {compare(ValueId{0}, Condition::Op::equal, 0, ValueId{1})})}, 100);
  const Pattern renumbered =
      sequence({single("c"), single("d", {compare(ValueId{3}, Condition::Op::equal, 0, ValueId{2})})}, 100);
  const auto print = [](const Pattern& pattern, const Meanings& m) { return compile(pattern, m).take().fingerprint; };
  CHECK(print(p, {}) != print(renumbered, {}));
  std::vector<std::uint64_t> predicates(20);
  predicates[0] = predicates[8] = 77;
  predicates[4] = predicates[12] = 88;
  const std::vector<std::uint64_t> values{5, 6, 6, 5};
  const Meanings same{predicates, values, {}, 1};
  CHECK(print(p, same) == print(renumbered, same));
  CHECK(print(p, same) != print(p, {predicates, values, {}, 2}));
  std::vector<Pattern> others(7, p);
  others[0].within = Duration{101};
  others[1].pick = Pick::earliest;
  others[2].after = AfterMatch::continue_;
  others[3].steps[1].link = Link::first;
  others[4].until = element("c");
  others[5].absences.push_back(no(1, "c"));
  others[6].steps[1].parts[0].element.conditions[0].op = Condition::Op::less;
  for (const Pattern& other : others) CHECK(print(other, same) != print(p, same));
}

TEST_CASE("gaps bound a sequence without a window") {
  CHECK(compile(sequence({single("a"), within(5, single("b")), within(7, single("c"))})).take().horizon == 12);
  CHECK(compile(sequence({single("a"), within(5, single("b")), single("c")})).take().horizon == Program::unbounded);
  CHECK(compile(sequence({group(2, 0, "a"), within(5, single("b"))})).take().horizon == Program::unbounded);
  CHECK(compile(sequence({single("a"), within(5, single("b"))}, 3)).take().horizon == 3);
}
