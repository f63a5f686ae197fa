#include "nfa/stage_program.h"

#include <algorithm>
#include <map>

#include "base/hash.h"
#include "nfa/all_matches.h"
#include "nfa/clocked_matches.h"
#include "nfa/explicit_runs.h"

namespace tocsin::nfa {
namespace {

Error refuse(std::string text) { return {ErrorKind::refused, std::move(text)}; }

/// A hash of what a pattern means; the names of its stages are not part of that.
class Meaning {
 public:
  Meaning(const Pattern& pattern, const Meanings& meanings) : meanings_(meanings) {
    mix(3);  // of this way to compute the fingerprint
    mix(meanings.extra);
    mix(static_cast<std::uint64_t>(pattern.after));
    mix(pattern.after_must_be_there);
    mix(pattern.in_order);
    mix(pattern.tells_timeouts);
    mix(pattern.runs_max);
    mix(pattern.within);
    mix(pattern.stages);
  }
  std::uint64_t hash = 0;

 private:
  void mix(std::uint64_t v) { hash = hash_mix(hash, v); }
  void mix(const std::optional<Duration>& d) { mix(d ? static_cast<std::uint64_t>(d->us) + 1 : 0); }
  template <typename Id>
  static std::uint64_t meaning(std::span<const std::uint64_t> of, Id id) {
    const auto i = static_cast<std::size_t>(id);
    return i < of.size() ? of[i] : i;
  }
  void mix(const std::optional<Element>& e) {
    mix(std::uint64_t{e.has_value()});
    if (!e) return;
    mix(meaning(meanings_.predicates, e->predicate));
    mix(e->conditions.size());
    for (const Condition& c : e->conditions) {
      mix(static_cast<std::uint64_t>(c.op));
      if (c.op == Condition::Op::opaque) {
        mix(meaning(meanings_.guards, c.guard));
        for (const std::uint32_t s : c.steps) mix(s);
      } else {
        mix(meaning(meanings_.values, c.mine));
        mix(meaning(meanings_.values, c.theirs));
        mix(c.step);
      }
    }
  }
  void mix(const std::vector<Stage>& stages) {
    mix(stages.size());
    for (const Stage& s : stages) {
      for (const std::uint64_t v : {static_cast<std::uint64_t>(s.kind), static_cast<std::uint64_t>(s.link),
                                    std::uint64_t{s.min}, std::uint64_t{s.max}, static_cast<std::uint64_t>(s.inner),
                                    std::uint64_t{s.optional}, std::uint64_t{s.greedy}, std::uint64_t{s.least}}) {
        mix(v);
      }
      mix(s.where);
      mix(s.until);
      mix(s.gap);
      mix(s.within_previous);
      mix(s.within);
      mix(s.times_window);
      mix(s.wait);
      mix(s.stages);
    }
  }

  const Meanings& meanings_;
};

/// The bit of each unary condition is its number. Predicates that wake no state are not asked for.
void add_words(Program& out) {
  const Automaton& a = out.automaton;
  std::map<std::uint32_t, Program::Word> words;
  for (std::uint32_t i = 0; i < a.unary_count; ++i) {
    const auto n = static_cast<std::uint32_t>(a.conditions[i].predicate);
    Program::Word& word = words[n / 64];
    word.index = n / 64;
    word.mask |= std::uint64_t{1} << (n % 64);
    word.bit[n % 64] = static_cast<std::uint8_t>(i);
  }
  for (const auto& [index, word] : words) out.words.push_back(word);
}

}  // namespace

Result<Program> compile_stages(const Pattern& pattern, const Meanings& meanings, const Choosing& choosing) {
  Result<Automaton> built = build_automaton(pattern);
  if (!built) return built.error();
  Program out;
  out.automaton = built.take();
  const Automaton& a = out.automaton;
  for (const Automaton::Condition& c : a.conditions) {
    for (const Condition& one : c.conditions) {
      if (one.op == Condition::Op::opaque) continue;
      if (std::find(out.values.begin(), out.values.end(), one.theirs) == out.values.end()) {
        out.values.push_back(one.theirs);
      }
    }
  }
  if (out.values.size() > values_max) {
    return refuse("a pattern compares at most " + std::to_string(values_max) + " different values across events");
  }
  add_words(out);
  out.window = a.window;
  out.horizon = a.window;
  out.after = pattern.after;
  out.after_must_be_there = pattern.after_must_be_there;
  out.in_order = pattern.in_order;
  out.tells_timeouts = pattern.tells_timeouts;
  out.runs_max = pattern.runs_max;
  const std::string not_all = a.history == 0 ? "" : "a condition looks at what the match took before";
  out.engine = choosing.engine.value_or(not_all.empty() ? Engine::all : Engine::runs);
  switch (out.engine) {
    case Engine::search:
    case Engine::exists:
      return refuse(std::string("the engine `") + to_text(out.engine) +
                    "` does not claim this pattern: it chooses one match, and all are asked for");
    case Engine::all:
      if (!not_all.empty()) return refuse("the engine `all` does not claim this pattern: " + not_all);
      out.has_clocks = needs_clocks(a, all_rule(out));
      out.reason = "one set of partial matches per state" + std::string(out.has_clocks ? " and time it began" : "") +
                   ", " + std::to_string(a.states.size()) + " states";
      break;
    case Engine::runs:
      out.reason = "explicit runs, " +
                   (out.runs_max == 0 ? std::string("as many as there are")
                                      : "at most " + std::to_string(out.runs_max) + " per key") +
                   (not_all.empty() ? "; asked for" : "; not `all`: " + not_all);
      break;
  }
  out.fingerprint = hash_mix(Meaning(pattern, meanings).hash, static_cast<std::uint64_t>(out.engine));
  return out;
}

}  // namespace tocsin::nfa
