// One case or more per clause of the language's meaning (T, P, C, M), in the short words of patterns.h; those of the
// worked cases of the language that are about sequences are among them.
#include "nfa/step.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>

#include <doctest/doctest.h>

#include "tests/nfa/patterns.h"
#include "tests/nfa/stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

Pattern with(Pattern p, Pick pick) {
  p.pick = pick;
  return p;
}
Pattern with(Pattern p, AfterMatch after, std::uint32_t step = 0) {
  p.after = after;
  p.after_step = step;
  return p;
}
Pattern with(Pattern p, const Absence& a) {
  p.absences.push_back(a);
  return p;
}
Pattern until(Pattern p, const std::string& u) {
  p.until = element(u);
  return p;
}
Condition same_v(std::uint32_t step) { return compare(ValueId{0}, Condition::Op::equal, step, ValueId{0}); }

std::string run_with(const Pattern& p, const std::string& stream, std::function<bool(const Match&)> accept) {
  TestHost host;
  host.on_accept = std::move(accept);
  return to_text(nfa::testing::run(p, parse_stream(stream), host));
}

}  // namespace

TEST_CASE("T1 order is time, then arrival") {
  CHECK(run(sequence({single("a"), single("b")}, 10), "b@5 a@5 b@5") == "2|3@5");
}

TEST_CASE("T3 deadlines fire in order of their last events, before what comes later") {
  Pattern q = with(sequence({single("a")}), AfterMatch::continue_);
  q.absences.push_back(no(1, "c", 10));
  CHECK(run(q, "a@0 a@0 a@3 c@11 |99") == "1@10, 2@10");
  CHECK(run(q, "a@0 a@3 b@11 a@14 |15") == "1@10, 2@13");
}

TEST_CASE("T6 a late event only prevents") {
  Pattern p = sequence({single("a")});
  p.absences.push_back(no(1, "c", 10));
  CHECK(run(p, "a@0 b@5 !c@3 |99") == "");
  CHECK(run(p, "a@5 !c@3 |99") == "1@15");
  CHECK(run(sequence({single("a"), single("b")}), "c@9 !a@2 b@10") == "");
  CHECK(run(sequence({row(2, 2, "a1"), single("b")}), "a1@0 a1@5 !a2@3 b@6") == "1 2|4@6");
  CHECK(run(sequence({single("a"), linked(Link::next, single("b"))}), "a@0 c@5 !a@3 b@6") == "1|4@6");
  CHECK(run(until(sequence({single("a"), single("b")}), "c"), "a@0 d@5 !c@3 b@6") == "");
}

TEST_CASE("P1 P5 steps are different events in strict order") {
  CHECK(run(sequence({single("a"), single("b")}, 10), "a@0 a@1 b@2 b@3") == "2|3@2");
  CHECK(run(sequence({single("a"), single("a")}, 10), "a@0 a@1 a@2") == "1|2@1");
}

TEST_CASE("P2 within is less than, first to last") {
  const Pattern p = sequence({single("a"), single("b")}, 10);
  CHECK(run(p, "a@0 b@9") == "1|2@9");
  CHECK(run(p, "a@0 b@10") == "");
  CHECK(run(p, "a@0 b@11") == "");
  CHECK(run(sequence({single("a"), single("b"), single("c")}, 10), "a@0 b@5 a@6 b@7 c@10") == "3|4|5@10");
}

TEST_CASE("P3 a step's within is from the end of the step before") {
  const Pattern p = sequence({single("a"), single("b"), within(5, single("c"))}, 100);
  CHECK(run(p, "a@0 b@10 c@15 b@20 c@24") == "1|4|5@24");
  CHECK(run(sequence({single("a"), within(5, single("b"))}), "a@0 b@4") == "1|2@4");
  CHECK(run(sequence({single("a"), within(5, single("b"))}), "a@0 b@5") == "");
  CHECK(run(sequence({single("a"), within(5, single("b"))}), "a@0 b@6") == "");
  CHECK(run(sequence({single("a"), within(5, group(2, 0, "b")), single("c")}, 100), "a@0 b@1 b@2 b@7 c@8") ==
        "1|2 3|5@8");
}

TEST_CASE("P4 a where sees the steps before it") {
  const Pattern p = sequence({single("a"), single("b", {same_v(0)})}, 10);
  CHECK(run(p, "a1@0 a2@1 b1@2") == "1|3@2");
  CHECK(run(p, "a@0 b@2") == "");  // missing equals nothing
  const auto is = [](const std::string& stream, Condition::Op op) {
    return run(sequence({single("a"), single("b", {compare(ValueId{0}, op, 0, ValueId{0})})}), stream) != "";
  };
  CHECK(is("a1@0 b2@1", Condition::Op::not_equal));
  CHECK(is("a1@0 b2@1", Condition::Op::greater));
  CHECK(is("a1@0 b1@1", Condition::Op::greater_equal));
  CHECK(!is("a1@0 b2@1", Condition::Op::less));
  CHECK(!is("a1@0 b2@1", Condition::Op::less_equal));
  CHECK(!is("a@0 b2@1", Condition::Op::not_equal));
}

TEST_CASE("P4 a guard is asked about its own event and the steps it names") {
  TestHost host;
  host.on_guard = [](GuardId id, const Binding& b) {
    CHECK(id == GuardId{3});
    return b.at(0).size() == 2 && b.candidate.event == 4;
  };
  const Pattern p = sequence({group(2, 0, "a"), single("b", {ask(GuardId{3}, {0})})}, 100);
  CHECK(to_text(nfa::testing::run(p, parse_stream("a@0 a@1 b@2 b@3"), host)) == "1 2|4@3");
}

TEST_CASE("P6 a group is every event of its span") {
  CHECK(run(sequence({group(2, 0, "a1"), single("b")}, 10), "a1@0 a2@1 a1@2 a1@3 b@4") == "1 3 4|5@4");
  CHECK(run(sequence({group(2, 0, "a"), single("b")}, 10), "a@0 a@5 a@6 b@11") == "2 3|4@11");
  CHECK(run(sequence({single("c"), group(1, 0, "a"), single("b")}), "a@0 c@1 a@2 a@3 b@4") == "2|3 4|5@4");
}

TEST_CASE("P7 of more than the most, the nearest; with earliest or first, the first") {
  CHECK(run(sequence({group(2, 2, "a"), single("b")}, 10), "a@0 a@1 a@2 b@3") == "2 3|4@3");
  CHECK(run(sequence({group(2, 3, "a"), single("b")}, 10), "a@0 b@0 a@1 b@2 a@3 a@4 a@5 a@6 b@7") ==
        "1 3|4@2, 6 7 8|9@7");
  CHECK(run(with(sequence({group(2, 2, "a"), single("b")}, 10), Pick::earliest), "a@0 a@1 a@2 b@3") == "1 2|4@3");
  CHECK(run(sequence({single("c"), linked(Link::first, group(2, 2, "a")), single("b")}), "c@0 a@0 a@1 a@2 b@3") ==
        "1|2 3|5@3");
}

TEST_CASE("P8 a last group ends with the completing event") {
  CHECK(run(sequence({single("a"), group(2, 0, "b")}, 10), "a@0 b@1 b@2 b@3") == "1|2 3@2");
  CHECK(run(with(sequence({single("a"), group(2, 2, "b")}, 10), AfterMatch::continue_), "a@0 b@1 b@2 b@3") ==
        "1|2 3@2, 1|3 4@3");
  CHECK(run(sequence({group(3, 0, "a")}, 10), "a@0 a@5 a@10 a@11 a@12 a@12") == "2 3 4@11");
}

TEST_CASE("P9 of two groups the later takes as much as leaves the earlier its minimum") {
  CHECK(run(sequence({group(2, 0, "a"), group(2, 0, "b"), single("c")}, 99), "a@0 a@1 b@2 a@3 b@4 b@5 c@6") ==
        "1 2|3 5 6|7@6");
  CHECK(run(sequence({group(1, 0, "a"), group(1, 0, "a"), single("c")}), "a@0 a@1 a@2 c@3") == "1|2 3|4@3");
}

TEST_CASE("P10 a row is broken by its stream and nothing else") {
  CHECK(run(sequence({row(3, 3, "a1")}, 99), "a1@0 b@1 a1@2 a2@3 a1@4 a1@5 a1@6") == "5 6 7@6");
  const Pattern p = sequence({row(2, 0, "a1"), single("b")}, 99);
  CHECK(run(p, "a1@0 a1@1 a2@2 a1@3 a1@4 b@5") == "4 5|6@5");
  CHECK(run_with(p, "a1@0 a1@1 a2@2 a1@3 a1@4 b@5", [](const Match& m) { return m.places.at(0)[0].event == 1; }) ==
        "1 2|6@5");
  CHECK(run(p, "a1@0 a2@1 a1@2 b@5") == "");
}

TEST_CASE("P11 then first") {
  const Pattern p = sequence({single("a"), linked(Link::first, single("b")), single("c", {same_v(1)})}, 99);
  CHECK(run(p, "a@0 b1@1 b2@2 c2@3") == "");
  CHECK(run(p, "a@0 b1@1 b2@2 c1@3") == "1|2|4@3");
}

TEST_CASE("P12 then next") {
  const Pattern p = sequence({single("a"), linked(Link::next, single("b"))}, 99);
  CHECK(run(p, "a@0 h@1 b@2 a@3 a@4 b@5 b@6") == "1|3@2, 5|6@5");
  CHECK(run(until(p, "c2"), "a@0 c@1 b@2") == "");  // of the stream of `until`, whatever its where
}

TEST_CASE("P13 optional is filled when it can be") {
  const Pattern p = sequence({single("a"), optional("c"), single("b")}, 99);
  CHECK(run(p, "a@0 b@1 a@2 c@3 b@4") == "1||2@1, 3|4|5@4");
  CHECK(run(sequence({optional("a"), single("b")}, 99), "b@0 a@1 b@2") == "|1@0, 2|3@2");
}

TEST_CASE("P14 all of") {
  CHECK(run(sequence({all_of({"a", "b", "c"}), single("d")}, 99), "c@0 a@1 b@2 c@3 d@4") == "2;3;4|5@4");
  CHECK(run(sequence({all_of({"a", "b"})}, 99), "b@0 b@1 a@2") == "3;2@2");
  CHECK(run(sequence({all_of({"a", "a"})}, 99), "a@0 a@1") == "1;2@1");
}

TEST_CASE("P15 any n of") {
  CHECK(run(sequence({any_of(2, {"a", "b", "c"}), single("d")}, 99), "a@0 d@1 c@2 d@3 a@4 b@5 c@6 d@7") ==
        "1;;3|4@3, 5;6;7|8@7");
}

TEST_CASE("P16 no between selects among combinations") {
  const Pattern p = with(sequence({single("a"), single("b")}, 99), no(1, "c"));
  CHECK(run(p, "a@0 c@1 b@2 a@3 b@4") == "4|5@4");
  CHECK(run(p, "a@0 c@1 a@2 b@3") == "3|4@3");
  CHECK(run(with(sequence({single("a"), single("b")}), no(1, "b2")), "a@0 b2@1") == "1|2@1");
  CHECK(run(with(sequence({single("a"), single("b")}), no(1, "c", 0, {same_v(0)})), "a1@0 a2@1 c2@2 b@3") == "1|4@3");
  CHECK(run(with(with(sequence({single("a"), single("b")}), no(1, "c")), no(1, "d")), "a@0 d@1 b@2") == "");
  // Around an empty optional it looks from chosen event to chosen event.
  CHECK(run(with(sequence({single("a"), optional("d"), single("b")}), no(2, "c")), "a@0 c@1 b@2") == "");
  CHECK(run(with(sequence({single("a"), optional("d"), single("b")}), no(2, "c")), "a@0 c@1 d@2 b@3") == "1|3|4@3");
}

TEST_CASE("P17 a first no looks back, from t - D on") {
  const Pattern p = with(sequence({single("a")}), no(0, "c", 10));
  CHECK(run(p, "c@0 a@9") == "");
  CHECK(run(p, "c@0 a@10") == "");
  CHECK(run(p, "c@0 a@11") == "2@11");
  CHECK(run(p, "a@5 c@5 a@16") == "1@5, 3@16");
}

TEST_CASE("P18 a final no is decided when time passes the deadline") {
  const Pattern p = with(sequence({single("a")}), no(1, "c", 10));
  CHECK(run(p, "a@0 |9") == "");
  CHECK(run(p, "a@0 |10") == "");
  CHECK(run(p, "a@0 |11") == "1@10");
  CHECK(run(p, "a@0 c@9 |99") == "");
  CHECK(run(p, "a@0 c@10 a@20 c@31 |99") == "3@30");
  CHECK(run(p, "a@0 a@6 a@12 |30") == "1@10, 3@22");
  Pattern two = with(with(sequence({single("a")}), no(1, "c", 10)), no(1, "d", 20));
  CHECK(run(two, "a@0 c@11 |99") == "1@20");
  CHECK(run(two, "a@0 d@11 |99") == "");
  CHECK(run(with(sequence({single("a"), single("b")}), no(2, "c", 10, {same_v(0)})), "a1@0 a2@1 b@2 c2@3 |99") ==
        "1|3@12");
}

TEST_CASE("P19 until drops what has begun") {
  const Pattern p = until(sequence({single("a"), single("b")}, 99), "c");
  CHECK(run(p, "a@0 c@1 b@2 a@3 b@4") == "4|5@4");
  CHECK(run(until(sequence({single("a"), single("b")}), "b1"), "a@0 b1@1") == "1|2@1");
  CHECK(run(until(sequence({single("a"), single("b")}), "a"), "a@0 a@1 b@2") == "2|3@2");
  CHECK(run(until(sequence({group(3, 0, "a")}), "c"), "a@0 c@1 a@2 a@3 a@4") == "3 4 5@4");
  CHECK(run(until(with(sequence({single("a")}), no(1, "d", 10)), "c"), "a@0 c@10 |99") == "");
  CHECK(run(until(with(sequence({single("a")}), no(1, "d", 10)), "c"), "a@0 c@11 |99") == "1@10");
}

TEST_CASE("P20 the byte limit drops the oldest, with earliest the newest, and says so") {
  TestHost host;
  host.runs_bytes = 3 * sizeof(Kept);
  CHECK(to_text(nfa::testing::run(sequence({group(2, 0, "a"), single("b")}), parse_stream("a@0 a@1 a@2 a@3 a@4 b@5"),
                                  host)) == "3 4 5|6@5*");
  CHECK(host.counters.dropped == 2);
  CHECK(to_text(nfa::testing::run(with(sequence({group(2, 0, "a"), single("b")}), Pick::earliest),
                                  parse_stream("a@0 a@1 a@2 a@3 a@4 b@5"), host)) == "1 2 3|6@5*");
  host.search_visits = 10;
  CHECK(to_text(nfa::testing::run(sequence({single("a1"), single("b", {same_v(0)})}), parse_stream("a1@0 b2@1"),
                                  host)) == "");
  CHECK(host.counters.searches_cut == 0);
  host.search_visits = 2;
  CHECK(to_text(nfa::testing::run(sequence({single("a"), single("b", {same_v(0)})}),
                                  parse_stream("a1@0 a2@1 a2@1 b1@2"), host)) == "");
  CHECK(host.counters.searches_cut == 1);
}

TEST_CASE("C1 when decides which combinations there are") {
  const Pattern p = sequence({single("a"), single("b")}, 99);
  CHECK(run_with(p, "a@0 a@1 b@2", [](const Match& m) { return m.places.at(0)[0].event == 1; }) == "1|3@2");
  CHECK(run_with(p, "a@0 b@1 b@2", [](const Match& m) { return m.places.at(1)[0].event == 3; }) == "1|3@2");
}

TEST_CASE("C2 nearest, C3 earliest") {
  const Pattern p = sequence({single("a"), single("b"), single("c")}, 99);
  CHECK(run(p, "a@0 b@1 a@2 b@3 a@4 c@5") == "3|4|6@5");
  CHECK(run(with(p, Pick::earliest), "a@0 b@1 a@2 b@3 c@5") == "1|2|5@5");
}

TEST_CASE("C4 every, without what another extends; at most a hundred") {
  const Pattern p = with(sequence({single("a"), single("b"), single("c")}, 99), Pick::every);
  CHECK(run(p, "a@0 b@1 a@2 b@3 c@5") == "1|2|5@5, 1|4|5@5, 3|4|5@5");
  CHECK(run(with(sequence({single("a"), optional("b"), single("c")}), Pick::every), "a@0 b@1 a@2 c@3") ==
        "1|2|4@3, 3||4@3");
  std::string many;
  for (int i = 0; i < 150; ++i) many += "a@" + std::to_string(i) + " ";
  TestHost host;
  CHECK(nfa::testing::run(with(sequence({single("a"), single("b")}), Pick::every), parse_stream(many + "b@200"), host)
            .size() == 100);
  CHECK(host.counters.every_capped == 1);
}

TEST_CASE("M1 restart begins anew behind the completing event or the deadline") {
  CHECK(run(sequence({single("a"), single("b")}, 99), "a@0 a@1 b@2 b@3") == "2|3@2");
  CHECK(run(with(sequence({single("a"), single("b")}, 99), Pick::every), "a@0 a@1 b@2 b@3") == "1|3@2, 2|3@2");
}

TEST_CASE("M2 continue uses nothing up") {
  CHECK(run(with(sequence({single("a"), single("b")}, 99), AfterMatch::continue_), "a@0 b@1 b@2") == "1|2@1, 1|3@2");
  CHECK(run(with(sequence({row(2, 2, "a")}, 99), AfterMatch::continue_), "a@0 a@1 a@2") == "1 2@1, 2 3@2");
}

TEST_CASE("M3 the skips") {
  const Pattern every = with(sequence({single("a"), single("b"), single("c")}, 99), Pick::every);
  CHECK(run(with(every, AfterMatch::skip_to_next), "a@0 b@1 a@2 b@3 c@4 c@5") == "1|2|5@4, 3|4|5@4");
  CHECK(run(with(with(sequence({single("a"), single("b")}), Pick::every), AfterMatch::skip_past_last), "a@0 a@1 b@2") ==
        "1|3@2");
  const Pattern g = sequence({group(2, 0, "a"), single("b")}, 99);
  CHECK(run(with(g, AfterMatch::skip_to_last, 0), "a@0 a@1 b@2 a@3 b@4") == "1 2|3@2, 2 4|5@4");
  CHECK(run(with(g, AfterMatch::skip_to_first, 0), "a@0 a@1 b@2 a@3 b@4") == "1 2|3@2, 1 2 4|5@4");
}

TEST_CASE("M5 used up events are still seen by no, rows and next") {
  CHECK(run(with(sequence({single("a"), single("b")}, 99), no(0, "c", 10)), "c@0 a@5 b@6 a@11 b@12") == "4|5@12");
}

TEST_CASE("an event of no interest and a later step without a first cost nothing to keep") {
  for (const Program& program : programs_of(sequence({single("a"), single("b"), single("c")}, 10), false)) {
    TestHost host;
    std::vector<Match> out;
    Runs runs;
    const auto go = [&](const std::string& stream) {
      feed(
          parse_stream(stream), [&](Timestamp t) { advance(program, runs, t, host, out); },
          [&](const Occurrence& o) { step(program, runs, o, host, out); });
    };
    go("b@0 c@1 d@2");
    CHECK(runs.body == nullptr);
    CHECK(!oldest_needed(runs).has_value());
    go("a@0");
    CHECK(oldest_needed(runs) == 1);
    CHECK(expires_at(program, runs) == Timestamp{11});
    go("b@10 c@11");
    CHECK(runs.empty());
    go("a@20 b@21 c@22");
    CHECK(out.size() == 1);
    CHECK(runs.empty());
  }
}

TEST_CASE("deadlines are told") {
  for (const Program& program : programs_of(with(sequence({single("a")}), no(1, "c", 10)), false)) {
    TestHost host;
    std::vector<Match> out;
    Runs runs;
    feed(
        parse_stream("a@5 a@7"), [&](Timestamp t) { advance(program, runs, t, host, out); },
        [&](const Occurrence& o) { step(program, runs, o, host, out); });
    CHECK(next_deadline(runs) == Timestamp{15});
    advance(program, runs, Timestamp{16}, host, out);
    CHECK(to_text(out) == "1@15");
    CHECK(out[0].by_deadline);
    CHECK(!next_deadline(runs).has_value());  // restart: the second began before the deadline
  }
}

namespace {

/// Whether the process stops, tried in another one.
bool stops(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int signal : {SIGABRT, SIGSEGV}) std::signal(signal, SIG_DFL);
    std::freopen("/dev/null", "w", stderr);
    work();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace

TEST_CASE("an event that does not stand behind those before it stops the process, on every engine") {
  Pattern chain = sequence({single("a"), single("b"), single("c")}, 100);
  Pattern equal = chain;
  equal.steps[1].parts[0].element.conditions.push_back(compare(ValueId{1}, Condition::Op::equal, 0, ValueId{1}));
  std::vector<Program> programs = programs_of(chain, false);
  for (Program& p : programs_of(equal, false)) programs.push_back(std::move(p));
  for (const char* const text : {"a -> b -> c", "a -> b !-> c.for(9)"}) {
    for (const Engine engine : {Engine::all, Engine::runs}) {
      auto program = compile(stages(text, 100), {}, {false, engine});
      REQUIRE(program);
      programs.push_back(program.take());
    }
  }
  CHECK(programs.size() == 8);
  for (const Program& program : programs) {
    CAPTURE(dump(program));
    const auto run = [&](const char* stream) {
      TestHost host;
      (void)testing::run(program, parse_stream(stream), host);
    };
    CHECK_FALSE(stops([&] { run("a@5 b@6 a@6 b@9"); }));
    CHECK_FALSE(stops([&] { run("a@5 b@6 !a@1 !b@2 c@7"); }));
    CHECK(stops([&] { run("a@5 b@4"); }));
    CHECK(stops([&] { run("a@5 a@4"); }));
  }
}
