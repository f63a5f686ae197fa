// The engine `all matches`: every partial match of a pattern of stages (Semantics::derivations), kept as sets that share
// what they have in common (nfa/run_sets.h: tECS of CORE). Partial matches in one state of the automaton have the same
// future as long as conditions look at one event alone, so a state has one set, and an event does to the whole set at
// once what the automaton says: takes it along (one cell), leaves it, moves it, drops it. The work of an event depends
// on the states that wait for it and not on the partial matches in them; only matches are put out one by one.
//
// What Flink's NFA does by walking its computation states is here: contiguity = whether a set stays, moves or is dropped;
// negation inside = dropping (`deny`); the whole window and the five skip strategies = a horizon before which nothing may
// have begun; gaps = a cut, of a set only what took its last event lately enough.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nfa/complete.h"

namespace tocsin::nfa {

inline AllRule all_rule(const Program& program) {
  return {program.after, program.in_order, program.after_must_be_there, program.tells_timeouts};
}

struct AllBody final : SetsBody {
  AllBody(const Automaton& automaton, const AllRule& rule);
  [[nodiscard]] bool empty() const override { return live.empty() && held.empty() && lost == Place{}; }
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override;
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override;
  void events(std::vector<std::uint64_t>& out) const override;
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::vector<Timestamp> deadlines() const override;
  void prefetch() const override { __builtin_prefetch(of_state.data()); }
  void encode(const Program& program, ByteWriter& out) const override;
  [[nodiscard]] bool begun_before(Place place) const override;
  void use_up(const Automaton& automaton, Place to, Timestamp now) override;

  std::vector<RunSet> of_state;     // by state of the automaton
  std::vector<std::uint32_t> live;  // states with a set
  std::uint64_t wakes = 0;          // unary conditions that they and the start wait for
};

/// The work of one event. `truth`: of the automaton's conditions that look at the event alone. True when the body holds
/// on to the occurrence.
bool all_step(const Automaton& automaton, const AllRule& rule, AllBody& body, const Occurrence& occurrence,
              std::uint64_t truth, Host& host, std::vector<Match>& out);
void all_advance(const Automaton& automaton, const AllRule& rule, AllBody& body, Timestamp time, Host& host,
                 std::vector<Match>& out);

/// Nothing when the bytes are not those of a body of this automaton.
std::unique_ptr<RunsBody> decode_all(const Automaton& automaton, const AllRule& rule, ByteReader& in);

}  // namespace tocsin::nfa
