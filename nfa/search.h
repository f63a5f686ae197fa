// The search for the match that a completing event makes: over the kept occurrences, backwards from the last step for
// `nearest`, forwards for `earliest` and `every`, in the order of preference, so that the first complete choice is the
// answer. What cuts the search short (gaps, `no`, counts, conditions as soon as they are bound) only ever skips choices
// that cannot be matches; verify() then checks a choice by the definition, clause by clause. Internal to nfa/.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa {

/// Moves the place from which later matches begin (M1 to M3).
void use_up(const Program& program, const Match& match, Place& floor);

/// Asks the host about a match of single events, one for each step; with its consent it is put out and uses up.
void put_out(const Program& program, std::span<const Bound> chain, bool truncated, Place& floor, Host& host,
             std::vector<Match>& out);
/// Drops in front what no match can use any more.
void prune(const Program& program, Body& body, Timestamp now, Host& host);

class Search {
 public:
  /// `completing` is an index into body.kept.
  Search(const Program& program, const Body& body, std::size_t completing, Host& host);

  /// What the event completes, in order; `floor` moves with the matches when after-match rules apply match by match.
  void run(std::vector<Match>& out, Place& floor);

 private:
  using Index = std::int32_t;
  static constexpr Index none = -1;
  using Choice = std::array<Index, slots_max>;

  // Going backwards: `next` is the next filled step, `start` its first event when that is already known, `high` an
  // upper bound (exclusive) of what may come before it.
  bool back(int step, int next, Index start, Index high);
  bool back_part(int step, int part, int next, Index start, Index high, std::uint32_t filled);
  Index lowest(int step, int next, Index start) const;
  bool back_conditions(int step);
  // Going forwards: `end` is the last event of the last filled step when known, `low` a lower bound of what may come
  // next.
  bool forward(int step, Index end, Index low);
  bool forward_part(int step, int part, Index end, Index low, std::uint32_t filled);
  bool own_conditions(std::uint32_t slot, bool deferred);

  bool leaf();
  bool cuts(int step);
  bool verify();
  bool members(int step, Index low, Index high, Index previous_end);
  bool members_of_row(int step, Index low, Index high, Index previous_end);
  bool gap_holds(int previous, int step);
  bool silent_after();
  bool found();
  void bind(int step);

  bool holds(const Program::Element& e, Index candidate);
  bool holds(const Program::Condition& c, Index candidate);
  [[nodiscard]] bool fits(std::uint64_t mask, Index i) const { return !at(i).late() && (at(i).bits & mask) != 0; }
  [[nodiscard]] const Kept& at(Index i) const { return kept_[i]; }
  [[nodiscard]] Bound bound(Index i) const { return {at(i).event, at(i).order, {at(i).time}}; }
  [[nodiscard]] Value value(Index i, std::uint8_t v) const { return values_[static_cast<std::size_t>(i) * width_ + v]; }
  [[nodiscard]] std::int64_t gap(Index from, Index to) const {
    return (Timestamp{at(to).time} - Timestamp{at(from).time}).us;
  }
  // What a check of a whole choice costs is charged too, but cuts only here, so that a match found is a match.
  bool visit() {
    if (--visits_ > 0) return true;
    cut_short_ = true;
    return false;
  }
  [[nodiscard]] bool is_last(int step) const { return step == last_; }

  const Program& program_;
  const Body& body_;
  Host& host_;
  const Kept* kept_;
  const Value* values_;
  std::size_t width_;
  Index count_;
  Index ce_;       // the completing event
  Index low_ = 0;  // no event of a match is before it
  int last_;
  std::int64_t visits_;

  Choice choice_;  // per slot: its event; of a row: its last member (earliest: its first); of a group: none
  std::array<Index, steps_max> start_;
  std::array<Index, steps_max> end_;
  std::array<Index, steps_max> cut_;  // first member of a counted step behind a counted one; else none
  std::vector<std::vector<Index>> group_;
  Places places_;
  bool places_ready_ = false;

  std::vector<Match>* out_ = nullptr;
  Place* floor_ = nullptr;
  std::uint32_t reported_ = 0;
  bool capped_ = false;
  bool truncated_ = false;
  bool cut_short_ = false;
  bool has_optional_ = false;
  std::vector<Choice> seen_;  // every: choices that were valid
};

}  // namespace tocsin::nfa
