// The slow twin of nfa/: a reading of docs/matching.md, line by line, by brute force over the whole log of one key. It
// keeps everything, enumerates every filling of every step, and knows nothing of programs, runs or searches. Sums of a
// few dozen thousand fillings per event: use it with a dozen events.
#pragma once

#include <vector>

#include "nfa/step.h"

namespace tocsin::reference {

class Matcher {
 public:
  Matcher(const nfa::Pattern& pattern, nfa::Host& host) : pattern_(pattern), host_(host) {}

  /// An event in the order of arrival. Its bits and values are copied.
  void step(const nfa::Occurrence& occurrence, std::vector<nfa::Match>& out);
  void advance(Timestamp time, std::vector<nfa::Match>& out);

  /// What is used up (M).
  [[nodiscard]] nfa::Place floor() const { return floor_; }
  void raise_floor(nfa::Place to) { floor_ = to < floor_ ? floor_ : to; }

 private:
  struct Event {
    nfa::Bound at;
    bool late = false;
    nfa::PredicateBits bits;
    std::vector<nfa::Value> values;
  };
  struct Filling {
    // Per step and part the indices into the log, ascending.
    std::vector<std::vector<std::vector<int>>> places;
  };
  struct Combination {
    Filling filling;
    nfa::Match match;
    std::vector<int> points;   // choice points; -1 for empty
    std::vector<int> borders;  // starts of groups that follow a group, for P9
  };

  [[nodiscard]] std::vector<Combination> combinations(int completing) const;
  void enumerate(std::size_t step, int after, Filling& filling, int completing, std::vector<Combination>& out) const;
  void enumerate_parts(std::size_t step, std::size_t part, int after, Filling& filling, int completing,
                       std::vector<Combination>& out) const;
  [[nodiscard]] bool is_combination(const Filling& filling, int completing, nfa::Match& match) const;
  [[nodiscard]] bool satisfies(const nfa::Element& element, int event, const Filling& filling) const;
  void report(int completing, std::vector<nfa::Match>& out);
  void use_up(const nfa::Match& match);
  [[nodiscard]] std::int64_t longest_final_wait() const;

  const nfa::Pattern& pattern_;
  nfa::Host& host_;
  std::vector<Event> log_;
  nfa::Place floor_;
  std::vector<nfa::Place> waiting_;
};

}  // namespace tocsin::reference
