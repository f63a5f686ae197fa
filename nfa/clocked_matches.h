// The engine `all` for patterns in which partial matches of one state differ in more than what they took: how long ago they took
// their last event (a gap that ends them one by one, a negation decided by its own time), and how long ago the running
// occurrence of a group with a window began. Those times are clocks, as in timed automata (Alur, Dill, A Theory of Timed Automata, TCS
// 126(2), 1994). Partial matches of one state whose clocks began with the same events have the same future, so such a class has one
// set (nfa/run_sets.h), and everything that nfa/all_matches.h says of a state holds of a class: an event does to it at once what
// the automaton says. Only clocks that a later edge may still ask for tell classes apart (Automaton::State::asks_last).
//
// An event costs the classes of states that wait for it, and time costs those that are due, a logarithm of all of them each. Where the
// end of the whole window tells something, it looks at every class. There are as many classes as events with which clocks may have begun, and as many again for each group in a group; how many partial
// matches are in them does not matter. Time ends a class as a whole; the whole window ends what began too early in all of
// them. What only waits for its own negation beyond the window is complete already and is kept by itself.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "nfa/complete.h"

namespace tocsin::nfa {

struct ClockedBody final : SetsBody {
  /// Where clocks began; Place{} for one that nothing asks for.
  struct Class {
    std::uint32_t state = 0;
    Place last;                // the event taken last
    std::vector<Place> begun;  // by windowed group: the first event of its running occurrence
    auto operator<=>(const Class&) const = default;
  };
  /// A whole match whose negation is decided at `due`, after the window perhaps.
  struct Waiting {
    std::uint32_t state = 0;
    Complete complete;
    Timestamp due;
  };

  ClockedBody(const Automaton& automaton, const AllRule& rule);
  [[nodiscard]] bool empty() const override {
    return classes.empty() && waiting.empty() && held.empty() && lost == Place{};
  }
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override;
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override;
  void events(std::vector<std::uint64_t>& out) const override;
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::vector<Timestamp> deadlines() const override;
  void prefetch() const override {}
  void encode(const Program& program, ByteWriter& out) const override;
  [[nodiscard]] bool begun_before(Place place) const override;
  void use_up(const Automaton& automaton, Place to, Timestamp now) override;

  struct Members {
    RunSet set = RunSets::empty_set;
    Timestamp due = Timestamp::max();  // by the clocks, or when all have begun a window ago
  };
  using Classes = std::map<Class, Members>;
  /// Into the classes and out of them, with what is known of all of them together.
  Classes::iterator class_at(const Class& c);
  void set_due(Classes::iterator at, Timestamp to);
  Classes::iterator forget(Classes::iterator at);

  Classes classes;
  std::set<std::pair<Timestamp, const Class*>> dues;  // of those that have one
  std::vector<std::uint32_t> counts;                  // of classes, by state
  /// In its place by due, behind those of the same moment.
  void wait(Waiting one);
  /// Those are gone for which the answer is yes.
  template <typename Gone>
  void stop_waiting(Gone&& gone);

  std::deque<Waiting> waiting;
  std::vector<std::uint32_t> waiting_counts;  // by state
  std::uint64_t wakes = 0;                    // unary conditions that they and the start wait for
};

/// Whether the engine needs clocks for the automaton. Requires: no condition looks at what a match took before.
bool needs_clocks(const Automaton& automaton, const AllRule& rule);

/// As all_step() and all_advance() of nfa/all_matches.h.
bool clocked_step(const Automaton& automaton, const AllRule& rule, ClockedBody& body, const Occurrence& occurrence,
                  std::uint64_t truth, Host& host, std::vector<Match>& out);
void clocked_advance(const Automaton& automaton, const AllRule& rule, ClockedBody& body, Timestamp time, Host& host,
                     std::vector<Match>& out);

/// Nothing when the bytes are not those of a body of this automaton.
std::unique_ptr<RunsBody> decode_clocked(const Automaton& automaton, const AllRule& rule, ByteReader& in);

}  // namespace tocsin::nfa
