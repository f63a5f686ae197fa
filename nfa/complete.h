// Complete matches of the engine `all` and what becomes of them: their order, what a moment may put out, and Flink's strategies after a
// match. Internal to nfa/.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nfa/automaton.h"
#include "nfa/run_sets.h"
#include "nfa/step.h"

namespace tocsin::nfa {

/// A match: its events in order, each with the leaf it was taken as. Also a partial one, when it is told.
struct Complete {
  std::vector<std::pair<Bound, std::uint32_t>> taken;
  [[nodiscard]] Place first() const { return taken.front().first.place(); }
  [[nodiscard]] Place last() const { return taken.back().first.place(); }
  bool operator==(const Complete&) const = default;
};

/// What follows a match; of Pattern.
struct AllRule {
  AfterMatch after = AfterMatch::continue_;
  bool in_order = true;
  bool after_must_be_there = false;
  bool tells_timeouts = false;
};

/// `taken`: from the last to the first.
Complete complete_of(const RunSets& sets, std::span<const RunSets::Taken> taken);

/// In the order of S11, each once.
void put_in_order(std::vector<Complete>& matches);

/// Without what the caller knows of truncation.
Match match_of(const Automaton& automaton, const Complete& complete, Timestamp at, bool by_deadline);

/// Where what is still alive after a match must have begun; Place{} for anywhere.
Place skip_to(const Automaton& automaton, const AllRule& rule, const Complete& match, Host& host);

/// What one moment completes or ends, as far as the limit of a moment goes.
struct Found {
  std::vector<Complete> matches;
  bool cut = false;

  /// False: there is no room for one more.
  bool add(Complete&& one, const Host& host) {
    cut = cut || (host.moment_matches != 0 && matches.size() >= host.moment_matches);
    if (!cut) matches.push_back(std::move(one));
    return !cut;
  }
};

/// What both ways of the engine keep: partial matches as sets, and complete ones that wait for those that began earlier.
struct SetsBody : RunsBody {
  SetsBody(std::int64_t whole_window, bool finds_oldest)
      : RunsBody(Engine::all), sets(finds_oldest), window(whole_window) {}
  [[nodiscard]] std::size_t held_count() const final { return held.size(); }
  /// Whether a partial match lives that began before the place.
  [[nodiscard]] virtual bool begun_before(Place place) const = 0;
  /// What began before the floor is no more.
  virtual void use_up(const Automaton& automaton, Place to, Timestamp now) = 0;

  RunSets sets;
  std::vector<Complete> held;        // by first event: each waits until nothing that began earlier lives
  Place floor;                       // a match begins at or after it
  Place lost;                        // the newest start dropped by a limit, while what begins may tell
  std::int64_t window = 0;           // of the automaton
  Timestamp due = Timestamp::max();  // when time has something to do
  bool speaks = false;               // the end of a time puts something out even if nothing is held
  /// Bytes of the sets at which what nothing reaches is freed: twice what was left the last time.
  static constexpr std::size_t compact_first = 4096;
  std::size_t compact_at = compact_first;
};

[[nodiscard]] inline bool is_truncated(const SetsBody& body, const Complete& match) {
  return body.lost != Place{} && match.first().time <= body.lost.time + Duration{body.window};
}

/// What has waited leaves, as far as nothing that began earlier lives.
void release(const Automaton& automaton, const AllRule& rule, SetsBody& body, Timestamp now, bool by_deadline,
             Host& host, std::vector<Match>& out);
/// Puts out what became complete at one moment, or holds it.
void put_out(const Automaton& automaton, const AllRule& rule, SetsBody& body, Found& found, Timestamp now,
             bool by_deadline, Host& host, std::vector<Match>& out);
/// Tells of partial matches whose time is over.
void put_out_timeouts(const Automaton& automaton, const SetsBody& body, Found& told, Timestamp now, Host& host,
                      std::vector<Match>& out);

/// What is used up, what was lost and the sets: how the bytes of either way begin. And what is held: how they end.
void put_begun(ByteWriter& out, const SetsBody& body);
bool get_begun(ByteReader& in, std::uint32_t stages, SetsBody& body);
void put_held(ByteWriter& out, const SetsBody& body);
bool get_held(ByteReader& in, std::uint32_t stages, SetsBody& body);
void put_complete(ByteWriter& out, const Complete& complete);
/// False when the bytes are not those of a match of so many leaves. Any bytes are safe.
bool get_complete(ByteReader& in, std::uint32_t stages, Complete& complete);
[[nodiscard]] std::size_t bytes_of(const std::vector<Complete>& matches);

}  // namespace tocsin::nfa
