// What sequences have in common at their beginning is run once, and nobody can tell.
#include "nfa/prefix.h"

#include <doctest/doctest.h>

#include "tests/nfa/random_families.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

Program compiled(const Pattern& pattern, std::optional<Engine> engine = {}) {
  Result<Program> program = compile(pattern, {}, {false, engine});
  REQUIRE(program);
  return program.take();
}

std::vector<Program> compiled(const std::vector<Pattern>& patterns, std::optional<Engine> engine = {}) {
  std::vector<Program> programs;
  for (const Pattern& p : patterns) programs.push_back(compiled(p, engine));
  return programs;
}

/// "2: 0 1; 1: 2 3": the number of common steps and who has them.
std::string shared_by(const std::vector<Pattern>& patterns, std::optional<Engine> engine = {}) {
  std::vector<Program> programs = compiled(patterns, engine);
  std::vector<Sharer> sharers;
  for (Program& p : programs) sharers.push_back({&p, std::vector<std::uint64_t>(p.parts.steps.size(), 0)});
  std::string text;
  for (const Prefix& prefix : share_prefixes(sharers)) {
    text += (text.empty() ? "" : "; ") + std::to_string(prefix.steps) + ":";
    for (const Prefix::Member& m : prefix.members) text += " " + std::to_string(m.program);
  }
  return text;
}

Pattern then(std::initializer_list<const char*> steps, std::int64_t within = 0) {
  Pattern p;
  for (const char* step : steps) p.steps.push_back(single(step));
  if (within != 0) p.within = Duration{within};
  return p;
}

/// A family under one host, fed with the stream.
struct Run {
  explicit Run(const std::vector<Pattern>& patterns, std::optional<Engine> engine = {})
      : hosts(patterns.size()), family(compiled(patterns, engine), pointers()) {}
  std::vector<Host*> pointers() {
    std::vector<Host*> all;
    for (TestHost& host : hosts) all.push_back(&host);
    return all;
  }
  void take(const std::string& stream) {
    feed(
        parse_stream(stream), [&](Timestamp t) { family.advance(t); },
        [&](const Occurrence& o) {
          family.step({o.event + taken, o.order + taken, o.time, o.late, o.bits, o.values});
        });
    for (const Item& item : parse_stream(stream)) taken += item.is_event ? 1U : 0U;
  }
  std::vector<TestHost> hosts;
  Family family;
  std::uint64_t taken = 0;
};

}  // namespace

TEST_CASE("the longest beginning in common is shared, by two at least") {
  CHECK(shared_by({then({"a", "b", "c"}), then({"a", "b", "d"}), then({"a", "c", "d"})}) == "2: 0 1");
  CHECK(shared_by({then({"a", "b", "c"}), then({"a", "b", "d"}), then({"a", "c"}), then({"a", "d"})}) ==
        "2: 0 1; 1: 2 3");
  CHECK(shared_by({then({"a", "b"}), then({"b", "a"})}).empty());
  CHECK(shared_by({then({"a"}), then({"a"})}).empty());
  // All of a sequence but its last step.
  CHECK(shared_by({then({"a", "b", "c"}), then({"a", "b", "c"})}) == "2: 0 1");
}

TEST_CASE("windows, what is used up and what comes later may differ, what is said of the steps in common may not") {
  Pattern skips = then({"a", "b", "c"}, 10);
  skips.after = AfterMatch::skip_to_next;
  Pattern quiet = then({"a", "b", "d"}, 50);
  quiet.absences.push_back(no(3, "a", 5));
  CHECK(shared_by({skips, quiet}) == "2: 0 1");
  Pattern near = then({"a", "b", "c"});
  near.steps[1].within = Duration{5};
  CHECK(shared_by({skips, near}) == "1: 0 1");
  Pattern without = then({"a", "b", "c"});
  without.absences.push_back(no(1, "d"));
  CHECK(shared_by({without, without, skips}, Engine::search) == "2: 0 1");
  Pattern until = then({"a", "b", "c"});
  until.until = element("d");
  CHECK(shared_by({until, skips}).empty());
  // The engines keep different things.
  CHECK(shared_by({then({"a", "b", "c"}), without}).empty());
  // With `pick earliest` the byte limit drops the newest: windows must be the same.
  Pattern early = then({"a", "b", "c"}, 10), later = then({"a", "b", "d"}, 20), longer = then({"a", "b", "e"}, 20);
  for (Pattern* p : {&early, &later, &longer}) p->pick = Pick::earliest;
  CHECK(shared_by({early, later, longer}) == "2: 1 2");
  CHECK(shared_by({later, then({"a", "b", "c"}, 20)}, Engine::search).empty());
  Pattern empty;
  empty.steps = {optional("a"), single("b")};
  CHECK(shared_by({empty, empty}).empty());
}

TEST_CASE("a member wakes for what is its own, and rests again when nothing of that is left") {
  for (const Engine engine : {Engine::exists, Engine::search}) {
    Run run({then({"a", "b", "c", "d"}, 20), then({"a", "b", "e"}, 100)}, engine);
    run.take("a@1 c@2 b@3 a@4");
    CHECK(run.family.rests(0));
    CHECK(run.family.rests(1));
    run.take("c@5");
    CHECK_FALSE(run.family.rests(0));  // it waits for d
    CHECK(run.family.rests(1));
    run.take("d@6");
    CHECK(to_text(run.family.found(0)) == "1|3|5|6@6");
    CHECK(run.family.rests(0));
    run.take("d@7 e@8");
    CHECK(to_text(run.family.found(1)) == "1|3|8@8");  // the first one used nothing of the other's up
    run.take("c@9 e@9");
    CHECK(to_text(run.family.found(1)) == "1|3|8@8");  // but itself
    run.take("b@10 c@11 |40 b@41");
    CHECK(run.family.rests(0));  // its window is over
  }
}

TEST_CASE("a member with a short window leaves behind what only a longer one asks for") {
  for (const Engine engine : {Engine::exists, Engine::search}) {
    Run run({then({"a", "b", "c"}, 10), then({"a", "b", "d"}, 1000)}, engine);
    run.take("a@1 b@2 c@11 d@500");
    CHECK(run.family.found(0).empty());
    CHECK(to_text(run.family.found(1)) == "1|2|4@500");
  }
}

TEST_CASE("a thousand members cost the memory of one while they rest") {
  std::vector<Pattern> patterns;
  for (int i = 0; i < 1000; ++i) patterns.push_back(then({"a", "b", "c"}, 100 + i));
  for (const Engine engine : {Engine::exists, Engine::search}) {
    Run one({patterns[0]}, engine), all(patterns, engine);
    for (Run* run : {&one, &all}) run->take("a@1 b@2 a@3 b@4");
    CHECK(all.family.bytes() < one.family.bytes() + 200);
    all.take("c@5");
    for (std::size_t i = 0; i < patterns.size(); ++i) CHECK(to_text(all.family.found(i)) == "3|4|5@5");
    all.take("|5000 a@5000 |9999 b@9999");
    CHECK(all.family.bytes() == 0);
  }
}

TEST_CASE("the byte limit of a prefix is told to those who join") {
  Pattern many = then({"a", "b"});
  many.steps[0] = group(2, 0, "a");
  Pattern more = many;
  more.steps[1] = single("c");
  Run run({many, more});
  for (TestHost& host : run.hosts) host.runs_bytes = 4 * sizeof(Kept);
  run.take("a@1 a@2 a@3 a@4 a@5 a@6 b@7");
  CHECK(run.hosts[0].counters.dropped == 2);
  CHECK(to_text(run.family.found(0)) == "3 4 5 6|7@7*");
  CHECK(run.family.found(1).empty());
}

TEST_CASE("bytes that are not those of a prefix are refused") {
  std::vector<Program> programs = compiled(std::vector<Pattern>{then({"a", "b", "c"}), then({"a", "b", "d"})});
  std::vector<Sharer> sharers;
  for (Program& p : programs) sharers.push_back({&p, std::vector<std::uint64_t>(p.parts.steps.size(), 0)});
  const std::vector<Prefix> prefixes = share_prefixes(sharers);
  REQUIRE(prefixes.size() == 1);
  const Program& program = prefixes[0].program;
  TestHost host;
  Runs runs;
  feed(
      parse_stream("a@1 b@2 a@3"), [](Timestamp) {},
      [&](const Occurrence& o) { prefix_step(prefixes[0], runs, o, host); });
  static_cast<PrefixBody&>(*runs.body).set_floor(1, {Timestamp{2}, 9});
  std::string bytes;
  encode(program, runs, bytes);
  REQUIRE(decode(program, bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    CHECK_FALSE(decode(program, bytes.substr(0, i)));
    std::string other = bytes;
    for (const int flip : {1, 16, 127}) {
      other[i] = static_cast<char>(bytes[i] ^ static_cast<char>(flip));
      std::optional<Runs> read = decode(program, other);  // any bytes are safe, and what reads is used
      if (!read || read->body == nullptr) continue;
      for (std::uint32_t m = 0; m < 2; ++m) {
        Runs own;
        join_all(prefixes[0], m, programs[m], *read, own, Timestamp{5});
        rest(m, programs[m], &*read, own);
      }
    }
  }
}

TEST_CASE("together each says what it says alone") {
  FamilyCounts exists, search;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const std::uint64_t seed = hash_mix(17, i);
    const FamilyCase c = random_family_case(seed);
    if (!family_disagreement(c, seed, &exists, &search).empty()) FAIL(explain_family(c, seed));
  }
  for (const FamilyCounts& counts : {exists, search}) {
    CHECK(counts.prefixes > 5000);
    CHECK(counts.joined > 5000);
    CHECK(counts.rested > 5000);
    CHECK(counts.matches > 5000);
  }
}
