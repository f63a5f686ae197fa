// The engine of all matches against one that walks every partial match by itself over the same automaton, as Flink's NFA
// does.
#include "nfa/all_matches.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/hash.h"
#include "nfa/clocked_matches.h"
#include "tests/nfa/stages.h"

using namespace tocsin;
using namespace tocsin::nfa;
using namespace tocsin::nfa::testing;

namespace {

std::uint64_t truth_of(const Automaton& automaton, const PredicateBits& bits) {
  std::uint64_t truth = Automaton::always;
  for (std::size_t i = 0; i < automaton.unary_count; ++i) {
    if (bits.test(automaton.conditions[i].predicate)) truth |= std::uint64_t{1} << i;
  }
  return truth;
}

/// Walks all partial matches.
class Walker {
 public:
  Walker(const Automaton& automaton, const Pattern& pattern)
      : a_(automaton), after_(pattern.after), in_order_(pattern.in_order), tells_(pattern.tells_timeouts) {}

  void advance(Timestamp time, std::vector<std::string>& out) {
    if (a_.window == Automaton::unbounded) return;
    for (;;) {
      Timestamp due = Timestamp::max();
      for (const Run& r : runs_) due = std::min(due, r.first().time + Duration{a_.window});
      if (due > time) return;
      std::set<std::string> told;
      std::erase_if(runs_, [&](const Run& r) {
        if (r.first().time + Duration{a_.window} > due) return false;
        const Automaton::State& state = a_.states[r.state];
        if (state.last && state.completes_at_window) held_.push_back(r);
        if (!state.last && tells_) told.insert("over " + to_text(r) + "@" + std::to_string(due.us));
        return true;
      });
      out.insert(out.end(), told.begin(), told.end());
      put_in_order();
      release(due, out);
    }
  }

  void step(const Occurrence& o, std::vector<std::string>& out) {
    const std::uint64_t truth = truth_of(a_, *o.bits);
    const Bound bound{o.event, o.order, o.time};
    std::vector<Run> next, complete;
    const auto follow = [&](const Run& run, bool starts) {
      const Automaton::State& state = a_.states[run.state];
      for (std::uint32_t i = state.first_edge; i < state.first_edge + state.edge_count; ++i) {
        const Automaton::Edge& e = a_.edges[i];
        if ((truth & e.need) != e.need || (truth & e.deny) != 0) continue;
        const bool take = e.kind == Automaton::Kind::take;
        if (starts && !take) continue;
        if (!starts && e.gap != Automaton::unbounded && !((o.time - run.taken.back().first.time).us < e.gap)) continue;
        Run more = run;
        if (take) more.taken.emplace_back(bound, e.stage);
        if (e.completes) complete.push_back(more);
        more.state = e.target;
        if (e.target != Automaton::none) next.push_back(more);
      }
    };
    for (const Run& run : runs_) follow(run, false);
    if (!(bound.place() < floor_)) follow({a_.start, {}}, true);
    runs_ = std::move(next);
    held_.insert(held_.end(), complete.begin(), complete.end());
    put_in_order();
    release(o.time, out);
  }

  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  struct Run {
    std::uint32_t state = 0;
    std::vector<std::pair<Bound, std::uint32_t>> taken;
    [[nodiscard]] Place first() const { return taken.front().first.place(); }
  };

  [[nodiscard]] std::string to_text(const Run& run) const {
    std::string text;
    for (const auto& [bound, stage] : run.taken) text += a_.stages[stage] + "=" + std::to_string(bound.event) + " ";
    return text;
  }

  void put_in_order() {
    std::sort(held_.begin(), held_.end(), [](const Run& x, const Run& y) {
      for (std::size_t i = 0; i < std::min(x.taken.size(), y.taken.size()); ++i) {
        const auto l = std::tuple(x.taken[i].first.place(), x.taken[i].second);
        const auto r = std::tuple(y.taken[i].first.place(), y.taken[i].second);
        if (l != r) return l < r;
      }
      return x.taken.size() > y.taken.size();
    });
    held_.erase(std::unique(held_.begin(), held_.end(), [](const Run& x, const Run& y) { return x.taken == y.taken; }),
                held_.end());
  }

  void release(Timestamp now, std::vector<std::string>& out) {
    while (!held_.empty()) {
      const Run run = held_.front();
      if (after_ != AfterMatch::continue_ && in_order_ &&
          std::any_of(runs_.begin(), runs_.end(), [&](const Run& r) { return r.first() < run.first(); })) {
        return;
      }
      held_.erase(held_.begin());
      out.push_back(to_text(run) + "@" + std::to_string(now.us));
      Place floor;
      const auto behind = [](Place p) { return Place{p.time, p.order + 1}; };
      switch (after_) {
        case AfterMatch::continue_:
        case AfterMatch::restart: break;
        case AfterMatch::skip_to_next: floor = behind(run.first()); break;
        case AfterMatch::skip_past_last: floor = behind(run.taken.back().first.place()); break;
        case AfterMatch::skip_to_first:
        case AfterMatch::skip_to_last:
          for (const auto& [bound, stage] : run.taken) {
            if (stage != a_.after_leaf) continue;
            if (floor == Place{} || after_ == AfterMatch::skip_to_last) floor = bound.place();
          }
          break;
      }
      floor_ = std::max(floor_, floor);
      std::erase_if(runs_, [&](const Run& r) { return r.first() < floor_; });
      std::erase_if(held_, [&](const Run& r) { return r.first() < floor_; });
    }
  }

  const Automaton& a_;
  AfterMatch after_;
  bool in_order_;
  bool tells_;
  std::vector<Run> runs_, held_;
  Place floor_;
};

std::string to_text(const Automaton& a, const Match& match) {
  std::vector<std::tuple<Place, std::uint64_t, std::uint32_t>> taken;
  for (std::uint32_t leaf = 0; leaf < match.places.steps.size(); ++leaf) {
    for (const Bound& b : match.places.at(leaf)) taken.emplace_back(b.place(), b.event, leaf);
  }
  std::sort(taken.begin(), taken.end());
  std::string text;
  for (const auto& [place, event, leaf] : taken) text += a.stages[leaf] + "=" + std::to_string(event) + " ";
  return (match.timed_out ? "over " : "") + text + "@" + std::to_string(match.at.us);
}

/// Empty when both agree.
std::string disagreement(const Pattern& pattern, const std::vector<Item>& items, bool reread) {
  const Result<Automaton> built = build_automaton(pattern);
  REQUIRE_MESSAGE(built.ok(), to_text(pattern));
  const Automaton& a = built.value();
  const AllRule rule{pattern.after, pattern.in_order, false, pattern.tells_timeouts};
  if (needs_clocks(a, rule)) return "not claimed: clocks";
  Walker walker(a, pattern);
  TestHost host;
  auto body = std::make_unique<AllBody>(a, rule);
  std::vector<std::string> expected, found;
  std::vector<Match> out;
  bool back = true;
  const Program none;
  feed(
      items,
      [&](Timestamp t) {
        walker.advance(t, expected);
        all_advance(a, rule, *body, t, host, out);
      },
      [&](const Occurrence& o) {
        walker.step(o, expected);
        all_step(a, rule, *body, o, truth_of(a, *o.bits), host, out);
        if (!reread) return;
        std::string bytes, again;
        ByteWriter to(bytes);
        body->encode(none, to);
        ByteReader in(bytes);
        std::unique_ptr<RunsBody> read = decode_all(a, rule, in);
        back = back && read != nullptr && in.at_end();
        if (read == nullptr) return;
        body.reset(static_cast<AllBody*>(read.release()));
      });
  for (const Match& m : out) found.push_back(to_text(a, m));
  if (!back) return "did not read back";
  if (body->held.size() != walker.held()) return "held " + std::to_string(body->held.size());
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  if (expected == found) return {};
  std::string text = "expected\n";
  for (const std::string& s : expected) text += "  " + s + "\n";
  text += "found\n";
  for (const std::string& s : found) text += "  " + s + "\n";
  return text;
}

const char* const patterns[] = {"a",
                                "a , b",
                                "a -> b",
                                "a ->> b",
                                "a -> b -> c",
                                "a ->> b ->> c",
                                "a+ -> b",
                                "a+.a ->> b",
                                "a -> b+ -> c",
                                "a -> b+.s -> c",
                                "a ->> b+.a -> c",
                                "a -> b? -> c",
                                "a? -> b",
                                "a -> b{2} -> c",
                                "a ->> b{2,3} ->> c",
                                "a -> b{2,}.g -> c",
                                "a !-> c -> b",
                                "a !, c -> b",
                                "a !-> c ->> b",
                                "a+.u(c) -> b",
                                "(a -> b)+ -> c",
                                "a -> (b -> c){2} -> a",
                                "a -> (b ->> c)? -> a",
                                "[a | b] -> c",
                                "{a & b} -> c",
                                "a -> b.prev(4) -> c",
                                "a ->> b.prev(6) ->> c",
                                "b+.g -> c",
                                "a -> b1 ->> c2",
                                "a , * -> b",
                                "a ->> *+ ->> b"};

}  // namespace

TEST_CASE("all matches are those of a walk over every partial match") {
  CHECK(rc::check("same matches", [&] {
    std::uint64_t state = *rc::gen::arbitrary<std::uint64_t>();
    const auto below = [&](std::uint64_t n) {
      state = hash_mix(state, 0x2545f4914f6cdd1dULL);
      return static_cast<int>((state >> 33U) % n);
    };
    for (const char* const text : patterns) {
      Pattern pattern = stages(text, below(2) == 0 ? 0 : 2 + below(14));
      pattern.after = AfterMatch::continue_;
      pattern.tells_timeouts = below(3) == 0;
      if (below(2) == 0) {
        pattern.after = static_cast<AfterMatch>(below(6));
        pattern.in_order = below(3) != 0;
        if (pattern.after == AfterMatch::skip_to_first || pattern.after == AfterMatch::skip_to_last) {
          if (pattern.stages.front().kind != StageKind::take) pattern.after = AfterMatch::skip_to_next;
          pattern.after_stage = pattern.stages.front().name;
        }
      }
      std::vector<Item> items;
      std::int64_t now = 10;
      for (int i = 0; i < 10; ++i) {
        now += below(3);
        items.push_back({below(12) != 0, now, static_cast<char>('a' + below(3)), below(3), false});
      }
      items.push_back({false, now + 50});
      if (!build_automaton(pattern).ok()) continue;
      if (std::string no = disagreement(pattern, items, false); no.starts_with("not claimed")) continue;
      if (std::string said = disagreement(pattern, items, below(2) == 0); !said.empty()) {
        for (bool smaller = true; smaller;) {
          smaller = false;
          for (std::size_t i = 0; i < items.size(); ++i) {
            std::vector<Item> fewer = items;
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
            if (disagreement(pattern, fewer, true).empty()) continue;
            items = fewer;
            smaller = true;
            break;
          }
        }
        RC_FAIL(std::string(text) + "\n" + to_text(pattern) + to_text(items) + "\n" +
                disagreement(pattern, items, true));
      }
    }
  }));
}

TEST_CASE(
    "all matches: beyond the byte limit the oldest go, counted, and matches say so; after the window nothing is left") {
  const Program program = compile(stages("a ->> a ->> b", 1000), {}, {false, Engine::all}).take();
  TestHost host;
  host.runs_bytes = 20000;
  Runs runs;
  std::vector<Match> out;
  std::string stream;
  for (int i = 1; i <= 900; ++i) stream += "a@" + std::to_string(i) + " ";
  feed(
      parse_stream(stream), [&](Timestamp t) { advance(program, runs, t, host, out); },
      [&](const Occurrence& o) {
        step(program, runs, o, host, out);
        CHECK(runs.bytes() < 120000);
      });
  CHECK(host.counters.dropped > 100);
  CHECK(out.empty());
  PredicateBits bits(40);
  bits.set(predicate('b'));
  step(program, runs, {901, 901, Timestamp{901}, false, &bits, {}}, host, out);
  REQUIRE(!out.empty());
  CHECK(out.front().truncated);
  advance(program, runs, Timestamp{5000}, host, out);
  CHECK(runs.empty());
  CHECK(expires_at(program, runs) == Timestamp::min());
  CHECK(runs.bytes() == 0);
}

TEST_CASE("all matches: without a window what nothing reaches is freed") {
  const Program program = compile(stages("a , b", 0), {}, {false, Engine::all}).take();
  TestHost host;
  Runs runs;
  std::vector<Match> out;
  std::string stream;
  for (int i = 1; i <= 5000; ++i) stream += "a@" + std::to_string(i) + " ";
  feed(
      parse_stream(stream), [&](Timestamp t) { advance(program, runs, t, host, out); },
      [&](const Occurrence& o) { step(program, runs, o, host, out); });
  CHECK(host.counters.dropped == 0);
  CHECK(runs.bytes() < 20000);
}
