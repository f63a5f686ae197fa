// What runs: everything constant about a set of rules, flat, made by engine/compile and shared by all who evaluate. An event
// type has its own page (TypePlan) with all that is to be done when such an event arrives; nothing on that page is looked up by
// name. The story of one event is told in engine/run/engine.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "alerts/decision.h"
#include "alerts/hit.h"
#include "engine/run/expr.h"
#include "engine/run/facts.h"
#include "engine/run/predicates.h"
#include "event/schema.h"
#include "nfa/prefix.h"
#include "state/column.h"

namespace tocsin::engine {

struct KeyPartInfo {
  std::string name;
  event::Type type;
};

/// The keys of one shape (user; sender and recipient; …): all that is remembered under such a key lies in one slab.
struct KeySpace {
  std::string name;               // "user", "user, device"
  std::uint64_t fingerprint = 0;  // of the kinds of its parts
  std::vector<KeyPartInfo> parts;
  std::vector<std::uint32_t> columns;   // indices into Ruleset::columns, in the order of the slab
  std::vector<std::uint32_t> programs;  // indices into Ruleset::patterns
  std::vector<std::uint32_t> prefixes;  // indices into Ruleset::prefixes; their slots are behind those of the programs
};

/// What decides the entries of a column: so far back as the history knows all of it, the history can fill it (engine/run/fill.h).
struct ColumnOrigin {
  std::vector<event::EventTypeId> types;                                 // of the events counted
  std::vector<std::pair<event::EventTypeId, event::FieldIndex>> fields;  // of the input, also what derived fields read
  std::vector<std::uint32_t> columns;                                    // whose windows are asked
  std::string why_not;                                                   // it depends on what the history does not tell
};

/// One column: entries of one source, condition and argument, under one keyspace; several windows over it.
struct ColumnPlan {
  std::uint32_t keyspace = 0;
  std::uint32_t slot = 0;  // in the slab
  state::ColumnLayout layout;
  std::uint32_t stratum = 0;
  ColumnOrigin origin;
};

/// One aggregate: a window of a column.
struct AggregatePlan {
  std::uint32_t column = 0;
  std::uint32_t window = 0;
  std::string text;
  event::Type type;
};

/// A key an event carries: the fields that make it, in the order of the keyspace's parts.
struct KeyUse {
  std::uint32_t keyspace = 0;
  std::vector<event::FieldIndex> fields;
};

/// The event's argument goes into a column.
struct Insert {
  std::uint32_t column = 0;
  std::uint32_t key_use = 0;              // in TypePlan::key_uses
  std::optional<nfa::PredicateId> where;  // membership; nothing: every event of the type
  CodeId argument = no_code;
  bool mark = false;  // the event is no entry: windows `since last` begin anew behind it
};

/// A window is read for the event, into its row.
struct Read {
  std::uint32_t aggregate = 0;
  std::optional<std::uint32_t> key_use;  // when the key is plain fields
  std::vector<CodeId> key;               // else these
  CodeId probe = no_code;                // of a set: the value looked for
  std::uint32_t slot = 0;
  bool as_of = false;  // the column was filled in an earlier stratum: read back at the event's moment
};

struct Derived {
  event::FieldIndex field = 0;
  CodeId value = no_code;
};

/// Programs that an event may concern under one of its keys.
struct Route {
  std::uint32_t key_use = 0;
  struct Entry {
    std::uint32_t pattern = 0;
    std::vector<std::uint64_t> allowed;  // predicates valid under this role; empty: all
    // Of a step that takes the type under several roles: a predicate of this role, and that by which the program knows the step.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> stands_for;
  };
  std::vector<Entry> patterns;       // by pattern
  std::vector<std::uint64_t> wakes;  // union of the predicates that matter to the programs: none set, nothing to do
  std::vector<std::uint64_t>
      begins;  // those of them with which something may begin: none set, a key of which nothing is
               // known stays so
  std::vector<std::pair<std::uint32_t, std::uint32_t>>
      beginners;  // (predicate, entry of patterns): who begins, in order
  // Of patterns that begin alike: what they have in common, by prefix, as (predicate, prefix) who begins, and as (predicate, entry of
  // patterns) to whom an event may be its own business once the prefix has begun.
  std::vector<std::uint32_t> prefixes;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> prefix_beginners, joiners;
};

struct OnRule {
  std::uint32_t rule = 0;
  nfa::PredicateId fires{};
  std::uint32_t variant = 0;  // in RulePlan::variants
};

/// Alerts of a rule that an event of the type resolves (L3).
struct ResolveUse {
  std::uint32_t rule = 0;
  nfa::PredicateId where{};
  std::vector<std::string> names;  // of the alert's key
  std::vector<event::FieldIndex> fields;
};

/// A policy that decides events of a type, with its lines compiled for that type.
struct PolicyUse {
  std::uint32_t policy = 0;
  std::optional<nfa::PredicateId> where;  // a policy on a stream
  std::vector<CodeId> lines;              // no_code: otherwise, true for every event
};

/// What one stratum does with an event of this type, in this order.
struct TypeStratum {
  std::vector<Derived> derived;
  PredicateTable predicates;
  std::vector<Read> reads_before;  // `in W before`: without the event itself
  std::vector<Insert> inserts;
  std::vector<Read> reads_last;  // `in last W`: with it
};

struct TypePlan {
  std::vector<TypeStratum> strata;
  std::vector<KeyUse> key_uses;
  std::uint32_t row_size = 0;
  std::vector<Route> routes;
  std::vector<OnRule> on_rules;      // in rule-name order
  std::vector<std::uint64_t> fires;  // union of what they fire on: none set, no rule is asked
  std::vector<ResolveUse> resolves;
  std::vector<PolicyUse> policies;  // the first whose condition is true decides
  // By number of an effect (labels, behind them lists): what rules that an event of this type may complete put, of what somebody
  // asks for; and what is asked when such an event is judged.
  std::vector<std::uint64_t> effects_put, effects_asked;
  bool makes_hits = false;  // such an event may complete a rule whose hits somebody takes as events
};

struct TextPiece {
  std::string literal;
  CodeId value = no_code;
  event::Type type;
  bool is_group = false;
  event::Mask mask = event::Mask::none;
};

struct NamedCode {
  std::string name;
  CodeId code = no_code;
  event::Type type;
  bool is_group = false;
  event::Mask mask = event::Mask::none;
};

struct ExceptPlan {
  std::string name;
  std::optional<Timestamp> until;
  CodeId when = no_code;
};

/// A label or an entry of a list that a hit puts.
struct EffectPlan {
  bool is_label = false;  // else an entry
  std::uint32_t set = 0;  // number of the label or the list
  CodeId value = no_code;
  std::optional<Duration> lasts;
};

/// One field of a hit as an event (E2).
struct HitFieldPlan {
  enum class Place : std::uint8_t { id, at, shadow, value };
  Place place = Place::value;
  CodeId value = no_code;
};

/// A rule's outputs, compiled for one type of subject (rules on a union of events have one per event type).
struct RuleVariant {
  event::EventTypeId subject = 0;     // rules on an event
  std::vector<NamedCode> let_values;  // for the evidence
  std::vector<ExceptPlan> excepts;
  std::optional<event::Action> action, otherwise;
  CodeId decide_when = no_code;
  CodeId score = no_code;
  std::vector<TextPiece> because;
  std::vector<NamedCode> show;
  std::vector<NamedCode> features;  // features used, for the evidence
  std::vector<NamedCode> once_key;
  std::vector<std::vector<NamedCode>>
      same_keys;  // under the rule's clauses, then under those of others (alerts::Hit::same)
  std::vector<EffectPlan> effects;
  CodeId rollout = no_code;  // who is in the share
  std::vector<HitFieldPlan> hit_fields;
  // Only when the ruleset explains (engine/run/trace.h): rules on an event, membership of the stream; the rule's condition as
  // written, sharing nodes with the lets. no_code: there is none.
  CodeId member = no_code;
  CodeId when = no_code;
};

/// One test of a sequence (a step or part, a `no`, the `until`), for people who ask.
struct TestPlan {
  nfa::PredicateId stream{};
  struct OfType {
    event::EventTypeId type = 0;
    CodeId member = no_code;             // of the stream; no_code: every event of the type is
    CodeId where = no_code;              // what its `where` says about its own event alone; no_code: nothing
    std::vector<event::FieldIndex> key;  // under which this is asked, of a test that takes the type under several roles
  };
  std::vector<OfType> types;
};

struct RulePlan {
  alerts::RuleInfo info;
  std::string alias;                   // rules on an event: what the evidence calls it
  std::vector<std::string> key_names;  // rules per key: as the rule writes them
  std::vector<event::Mask> key_masks;
  std::vector<RuleVariant> variants;  // patterns: exactly one; none: the rule is off
  bool shadow = false;
  bool switched_off = false;                   // V10: no hits, all else goes on
  std::optional<std::uint32_t> rollout;        // share of 10,000
  std::optional<event::EventTypeId> hit_type;  // when its hits are events
  std::optional<std::uint32_t> pattern;
};

/// One place of a sequence, for evidence.
struct PlaceInfo {
  std::string alias;
  std::uint32_t step = 0;
  std::uint32_t part = 0;
};

/// A condition that the matcher answers by digests: asked again of a match, so that two texts with one digest make none.
struct ConfirmedPlan {
  nfa::GuardId guard{};
  std::uint32_t step = 0;
  std::uint32_t part = 0;
};

struct PatternPlan {
  std::uint32_t rule = 0;
  std::uint32_t keyspace = 0;
  std::uint32_t slot = 0;  // in the slab
  nfa::Program program;
  static constexpr std::uint32_t no_prefix = UINT32_MAX;
  std::uint32_t prefix = no_prefix;  // in Ruleset::prefixes: what it has in common with others
  std::uint32_t member = 0;          // its number there
  std::vector<PlaceInfo> places;     // by place id
  std::vector<CodeId> guards;        // by GuardId
  std::vector<std::vector<FieldOf>>
      values;  // by ValueId: the field that conditions across events compare, by event type
  /// Where a value of `values` is asked for, by ValueId: an event that is this and lacks it is one that a condition is unknown of.
  struct Comparing {
    nfa::PredicateId predicate{};
    bool begins = false;  // of a first step; of others only once something has begun
    bool absent = false;  // of a `no`: late events count there too
  };
  std::vector<std::vector<Comparing>> comparing;
  std::vector<ConfirmedPlan> confirmed;
  CodeId when = no_code;
  bool several_roles = false;  // some step takes an event type under several roles
  // Only when the ruleset explains: the tests in the order steps with their parts, absences, until; and the pattern again, whose
  // predicates are 2t for test t with its own `where` true, and 2t + 1 for its stream. `when` is not taken apart in it, and all
  // conditions across events are guards.
  std::vector<TestPlan> tests;
  nfa::Pattern pattern;
};

/// What several patterns begin with. Its members' `program` is a number in Ruleset::patterns.
struct PrefixPlan {
  std::uint32_t keyspace = 0;
  std::uint32_t slot = 0;  // in the slab
  nfa::Prefix prefix;
};

/// A list as the rule files declare it; what changes at run time lives in the engine.
struct ListPlan {
  std::string name;
  event::Type element;
  std::vector<event::Value> values;
  std::vector<event::Network> networks;
};

/// A table as the rule files declare it; rows that come at run time lie over these in the engine.
struct TablePlan {
  TableShape shape;
  std::shared_ptr<const TableRows> rows;
};

/// Whose metric a predicate's unknown result counts for: `rules`; for a late event only `rules_of_late`, to which it is something (T6).
struct PredicateOwner {
  std::vector<std::uint32_t> rules;
  std::vector<std::uint32_t> rules_of_late;
};

/// How the store and the daemon's records write the path of a file: that of a data file begins with a zero byte.
inline std::string stored_path(const std::string& path, bool data) { return data ? std::string(1, '\0') + path : path; }
/// Whether what one event does may be seen by the next ones of a batch, and by what (engine.cpp, flush()).
struct Visibility {
  bool any = false;        // else nothing below matters
  bool deadlines = false;  // deadlines take part in it: they fire at their very place in the order
  Duration shortest_wait;  // of a deadline
};

struct Ruleset {
  event::Schema schema;
  Codes codes;
  std::vector<KeySpace> keyspaces;
  std::vector<ColumnPlan> columns;
  std::vector<AggregatePlan> aggregates;
  std::vector<RulePlan> rules;  // in name order
  std::vector<PatternPlan> patterns;
  std::vector<PrefixPlan> prefixes;
  std::vector<alerts::Policy> policies;
  std::vector<ListPlan> lists;
  std::vector<TablePlan> tables;
  std::vector<LabelPlan> labels;
  Visibility visibility;
  std::vector<TypePlan> types;  // by EventTypeId
  std::shared_ptr<const TextPatterns> text_patterns;
  std::vector<PredicateOwner> predicate_owners;
  std::vector<std::string> predicate_texts;
  std::vector<NamedCode> questions;  // of tests (BuildFor), asked by Engine::answer_question()
  std::uint32_t strata = 1;
  bool explains = false;  // built with all that engine/run/trace.h needs
  Digest digest;          // of the meaning of everything above
  std::string digest_text;
  struct File {
    std::string path;
    std::shared_ptr<const std::string> text;
    bool data = false;  // of a list or a table, named by a rule file
  };
  std::vector<File> files;                         // as loaded; kept in the store
  std::shared_ptr<std::deque<std::string>> texts;  // what constants point into

  /// What runs in a slot of the keyspace.
  [[nodiscard]] const nfa::Program& program_of(const KeySpace& space, std::uint32_t slot) const {
    if (slot < space.programs.size()) return patterns[space.programs[slot]].program;
    return prefixes[space.prefixes[slot - space.programs.size()]].prefix.program;
  }
};

}  // namespace tocsin::engine
