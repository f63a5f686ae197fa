// A pattern as run: flat, constant, shared by all keys and threads. Predicates and values are renumbered to the few
// that the pattern names, so that an occurrence keeps one word of bits and only the values conditions need.
//
// Four engines run programs behind this one border; compile() chooses, step() runs, nobody above sees the difference.
// Sequences of the language: `exists` (one chain per step; with conditions across events those chains that nothing newer
// replaces) where that is exact, else `search` (keeps occurrences, looks back when an event may complete a match). Patterns of stages: `all` (one shared set of partial matches per state)
// where that is exact, else `runs` (each partial match by itself).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "nfa/automaton.h"
#include "nfa/limits.h"
#include "nfa/pattern.h"

namespace tocsin::nfa {

/// What the numbers mean, for the fingerprint: entry i stands for PredicateId, ValueId, GuardId i. A number beyond its
/// span stands for itself. `extra` is whatever else changes the meaning: what Host::accept answers (`when`).
struct Meanings {
  std::span<const std::uint64_t> predicates;
  std::span<const std::uint64_t> values;
  std::span<const std::uint64_t> guards;
  std::uint64_t extra = 0;
};

enum class Engine : std::uint8_t { search, exists, all, runs };
inline constexpr Engine all_engines[] = {Engine::search, Engine::exists, Engine::all, Engine::runs};
const char* to_text(Engine engine);

/// What compile() may take for granted, and what it must.
struct Choosing {
  /// Host::accept may say no to a match for any reason. If not, it always agrees, or looks only at how early the match
  /// begins and agrees with every later beginning too.
  bool refuses = true;
  std::optional<Engine> engine;  // this one and no other
};

struct Program {
  static constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();

  struct Condition {
    nfa::Condition::Op op{};
    std::uint8_t mine = 0;    // index into the values kept
    std::uint8_t theirs = 0;  // likewise
    std::uint8_t slot = 0;    // of the earlier step
    GuardId guard{};
    std::uint32_t first_ref = 0;  // opaque: into refs
    std::uint32_t ref_count = 0;
    bool deferred = false;  // refers to a group: known only when the whole choice is
  };
  struct Element {
    std::uint64_t predicate = 0;  // one bit
    std::uint64_t stream = 0;     // one bit
    std::uint32_t first_condition = 0;
    std::uint32_t condition_count = 0;
  };
  struct Slot {
    Element element;
    std::int64_t within = unbounded;
    std::uint32_t step = 0;
    bool optional = false;
  };
  struct Step {
    StepKind kind{};
    Link link{};
    bool counted = false;  // a group or a row
    bool consecutive = false;
    bool can_be_empty = false;
    bool can_be_first = false;  // all steps before it can be empty
    bool keep_first = false;    // P7, P8: of more than max, the first ones instead of the last
    std::uint32_t first_slot = 0;
    std::uint32_t slot_count = 0;
    std::uint32_t min = 1;
    std::uint32_t max = 0;
    std::uint64_t predicates = 0;  // of all its slots
  };
  struct Absence {
    std::uint32_t before = 0;
    Element element;
    std::int64_t wait = 0;
  };
  /// A condition to be asked, going backwards, when its lowest step is bound.
  struct Backward {
    std::uint32_t slot = 0;
    std::uint32_t condition = 0;
  };
  /// How `exists` keeps chains for conditions across events: the story is in nfa/fronts.h.
  struct Fronts {
    /// Of the chains that end with a step and tell the same values, only those that some later event may need.
    enum class Keeps : std::uint8_t {
      newest,  // the newest one
      starts,  // those that begin later than all newer ones
      values,  // those whose value can satisfy the comparison where no newer one's can
    };
    struct Step {
      Keeps keeps = Keeps::newest;
      std::vector<std::uint8_t> asks;                           // values, as the step before tells them
      std::vector<std::uint8_t> tells;                          // values, as the step after asks for them
      std::vector<std::pair<std::uint8_t, std::uint8_t>> same;  // values of one event that must be equal
    };
    /// `mine` of the event of step `asking` OP `theirs` of that of step `asked`; opaque: there is none.
    struct Comparison {
      nfa::Condition::Op op = nfa::Condition::Op::opaque;
      std::uint8_t mine = 0;
      std::uint8_t theirs = 0;
      std::uint32_t asking = 0;
      std::uint32_t asked = 0;
    };
    std::vector<Step> steps;
    Comparison comparison;
    std::uint32_t width = 0;  // values kept with each event
    [[nodiscard]] bool compares() const { return comparison.op != nfa::Condition::Op::opaque; }
  };
  struct Word {
    std::uint32_t index = 0;
    std::uint64_t mask = 0;
    std::array<std::uint8_t, 64> bit{};  // where each bit of the mask goes
  };

  /// What the parts of the program mean, as hashes: by these another program knows what it has in common with this one
  /// (nfa/carry.h). Empty for stages.
  struct Parts {
    std::vector<std::uint64_t> steps;     // all that is said of a step
    std::vector<std::uint64_t> absences;  // [i]: the `no` before step i; behind the last step: the final ones
    std::uint64_t until = 0;
    std::uint64_t streams = 0;  // all that are named, for `next`
    std::vector<std::uint64_t> bits, values;
  };

  std::vector<Step> steps;
  std::vector<Slot> slots;
  std::vector<Absence> absences;
  std::vector<Condition> conditions;
  std::vector<std::uint32_t> refs;
  std::vector<std::vector<Backward>> backward;  // per step
  std::vector<Word> words;                      // which predicates matter
  std::vector<ValueId> values;                  // which values are kept
  Parts parts;

  std::uint64_t until = 0;          // one bit, 0 for none
  std::uint64_t start_mask = 0;     // may be the first event of a match
  std::uint64_t relevant_mask = 0;  // `next`: streams named in the sequence
  std::uint64_t first_no_mask = 0;
  std::uint64_t lonely_no_mask = 0;  // of these, those that mean nothing else
  std::uint64_t no_until_mask = 0;   // what a late event still counts for
  std::uint64_t aux_mask = 0;        // kept, once something has begun, though it fills no step
  std::int64_t window = unbounded;   // as written, P2
  std::int64_t horizon = unbounded;  // no match spans as much or more, from window and gaps
  std::int64_t first_no_wait = 0;    // the longest
  std::int64_t final_wait = -1;      // the longest; -1: no final `no`
  Pick pick{};
  AfterMatch after{};
  std::uint32_t after_step = 0;

  // Semantics::derivations. The bits of an event are the unary conditions of the automaton.
  Automaton automaton;
  bool after_must_be_there = false;
  bool in_order = true;
  bool tells_timeouts = false;
  bool has_clocks = false;  // engine `all`: nfa/clocked_matches.h
  std::uint32_t runs_max = 0;

  std::optional<Fronts> fronts;  // engine `exists` with conditions across events

  // Its first steps are run for several programs together (nfa/prefix.h): so many, none if 0; and what is about others.
  std::uint32_t common_steps = 0;
  std::uint64_t beyond_mask = 0;
  std::uint32_t members = 0;  // of such steps as a program of their own: how many programs have them

  std::uint64_t fingerprint = 0;
  Engine engine = Engine::search;
  std::string reason;  // why this engine, for `explain`

  [[nodiscard]] bool waits() const { return final_wait >= 0; }
};

/// Refuses what docs/matching.md, part "Refused", lists, with a sentence.
/// An engine that is asked for and does not claim the pattern refuses too, and says why.
Result<Program> compile(const Pattern& pattern, const Meanings& meanings = {}, const Choosing& choosing = {});

std::string dump(const Program& program);

}  // namespace tocsin::nfa
