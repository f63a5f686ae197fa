// A pattern as written, in one of two algebras (Semantics): the language's, which chooses one match among many (steps,
// what must not happen between them, which match is chosen and what it uses up: clauses P, C and M of
// docs/matching.md), and Flink CEP's, which gives every derivation (stages, contiguity, quantifiers: clauses S there).
// Nothing here knows event types, fields or values: an Element is two predicates (bits that the engine fills for each
// event), and a condition across events compares values of 128 bits or is asked back. Plain values, owned by who makes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/decimal.h"
#include "base/time.h"

namespace tocsin::nfa {

enum class PredicateId : std::uint32_t {};
enum class ValueId : std::uint32_t {};
enum class GuardId : std::uint32_t {};

/// What conditions across events compare. So wide that every number of the rule language fits as it is (base/decimal.h).
using Value = Int128;
/// A value that is not there: any comparison with it is not satisfied.
inline constexpr Value missing_value = static_cast<Value>(static_cast<unsigned __int128>(1) << 127U);

/// The truth of predicates for one event, one bit each. Filled by the engine, only read here.
class PredicateBits {
 public:
  PredicateBits() = default;
  explicit PredicateBits(std::size_t predicate_count) : words_((predicate_count + 63) / 64) {}

  void clear() { words_.assign(words_.size(), 0); }
  void set(PredicateId id) {
    const auto word = static_cast<std::size_t>(id) / 64;
    if (word >= words_.size()) words_.resize(word + 1);
    words_[word] |= std::uint64_t{1} << (static_cast<std::size_t>(id) % 64);
  }
  /// Those of a whole word that `mask` has.
  void set(std::size_t word, std::uint64_t mask) {
    if (word >= words_.size()) words_.resize(word + 1);
    words_[word] |= mask;
  }
  [[nodiscard]] bool test(PredicateId id) const {
    return (word_at(static_cast<std::size_t>(id) / 64) >> (static_cast<std::size_t>(id) % 64) & 1U) != 0;
  }
  [[nodiscard]] std::uint64_t word_at(std::size_t index) const { return index < words_.size() ? words_[index] : 0; }
  /// For who fills them a word at a time.
  std::vector<std::uint64_t>& words() { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

/// A condition of an element about its own event and earlier steps: `mine OP steps[step].parts[part].theirs`, or
/// opaque: answered by Host::guard, which looks at its own event and at `steps` and at nothing else. An empty optional
/// step satisfies no comparison; a guard is asked and sees it empty.
struct Condition {
  enum class Op : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, opaque };

  Op op = Op::equal;
  ValueId mine{};
  std::uint32_t step = 0;
  std::uint32_t part = 0;
  ValueId theirs{};
  GuardId guard{};                   // opaque only
  std::vector<std::uint32_t> steps;  // opaque only
};

/// `mine OP theirs`. Requires: not opaque.
bool comparison_holds(Condition::Op op, Value mine, Value theirs);
const char* to_text(Condition::Op op);

Condition compare(ValueId mine, Condition::Op op, std::uint32_t step, ValueId theirs, std::uint32_t part = 0);
Condition ask(GuardId guard, std::vector<std::uint32_t> steps);

struct Element {
  PredicateId predicate{};  // the event is of the stream and what its `where` says about itself alone is true
  PredicateId stream{};     // the event is of the stream, whatever its `where`: for `consecutive` and `next`
  std::vector<Condition> conditions;
};

struct Part {
  Element element;
  bool optional = false;           // in `all of`; the parts of `any n of` are optional by nature
  std::optional<Duration> within;  // P3: from the end of the step before the whole step
};

enum class StepKind : std::uint8_t { single, group, all_of, any_of };
enum class Link : std::uint8_t { any, first, next };  // then, then first, then next

struct Step {
  StepKind kind = StepKind::single;
  std::vector<Part> parts;   // one, but for all_of and any_of
  std::uint32_t min = 1;     // group: members; any_of: parts filled
  std::uint32_t max = 0;     // group: members, 0 for no upper bound
  bool consecutive = false;  // group only
  bool optional = false;     // single only
  Link link = Link::any;
  std::optional<Duration> within;  // P3; on all_of and any_of it holds for each part
};

/// `no X` before the step of that index; before == steps.size() is a final one. The first (before 0) and final ones
/// wait.
struct Absence {
  std::uint32_t before = 0;
  Element element;
  std::optional<Duration> wait;
};

enum class Pick : std::uint8_t { nearest, earliest, every };
enum class AfterMatch : std::uint8_t { restart, continue_, skip_to_next, skip_past_last, skip_to_first, skip_to_last };

/// How the events before a stage may be skipped, Flink's consuming strategies: strict is `next`, relaxed `followedBy`
/// (skip till next match), any `followedByAny` (skip till any match). SASE+ (SIGMOD 2008) calls them contiguity.
enum class Contiguity : std::uint8_t { strict, relaxed, any };

/// not_next and not_followed_by are Flink's negations. either and any_order are not Flink's: one of several ways on;
/// all (or the least number) of the parts, each once, whatever their order.
enum class StageKind : std::uint8_t { take, group, either, any_order, not_next, not_followed_by };

/// One call of Flink's Pattern API with its quantifier. Leaves (take and the two negations) are numbered from 0 in the
/// order in which they are written, depth first: Condition::step and Match::places mean these numbers.
struct Stage {
  StageKind kind = StageKind::take;
  std::string name;                        // leaves: different from each other
  Contiguity link = Contiguity::relaxed;   // into the first occurrence; without meaning for the first stage of all
  std::optional<Element> where;            // leaves; none: every event
  std::uint32_t min = 1;                   // occurrences: times(min, max), timesOrMore(min)
  std::uint32_t max = 1;                   // 0: no upper bound
  Contiguity inner = Contiguity::relaxed;  // from one occurrence, or part of any_order, to the next
  bool optional = false;
  bool greedy = false;
  std::optional<Element> until;             // loops without upper bound
  std::optional<Duration> gap;              // between neighbouring occurrences
  std::optional<Duration> within_previous;  // from the event taken before to each that this stage takes
  std::optional<Duration> within;           // group: first to last event of one occurrence
  /// Flink's Duration argument of times() and its like, to the letter: the step into the last occurrence is free, and who
  /// has skipped an event before an occurrence that may be left out is free too. For imports; `gap` is what it was meant
  /// to be.
  std::optional<Duration> times_window;
  std::optional<Duration> wait;  // not_followed_by: what follows begins no earlier; a timer decides
  std::vector<Stage> stages;     // group: in order; either, any_order: the ways, the parts
  std::uint32_t least = 0;       // any_order: parts taken, 0 for all
};

enum class Semantics : std::uint8_t {
  choice,       // of the steps; one match, or few, per completing event
  derivations,  // of the stages; every different one is a match
};

struct Pattern {
  Semantics semantics = Semantics::choice;
  std::vector<Step> steps;
  std::vector<Absence> absences;
  std::optional<Element> until;
  std::optional<Duration> within;
  Pick pick = Pick::nearest;
  AfterMatch after = AfterMatch::restart;
  std::uint32_t after_step = 0;  // skip_to_first, skip_to_last

  // Semantics::derivations: these, `within` and `after` (continue_ is Flink's NO_SKIP; restart is not its own).
  std::vector<Stage> stages;
  std::string after_stage;           // skip_to_first, skip_to_last: a stage outside of groups
  bool after_must_be_there = false;  // Flink's throwExceptionOnMiss
  /// A complete match waits while a partial one that began earlier lives, as in Flink; without effect under continue_.
  bool in_order = true;
  bool tells_timeouts = false;  // partial matches whose time is over are put out, too
  std::uint32_t runs_max = 64;  // explicit runs per key, oldest dropped; 0: as many as there are
};

/// One line per step, stable; what `explain` shows.
std::string to_text(const Pattern& pattern);

}  // namespace tocsin::nfa
