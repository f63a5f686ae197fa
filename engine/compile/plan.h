// The plan: the rules taken apart into tables of what must be known, each thing once. Predicates, columns, aggregates and
// derived fields are still expressions with names and types here; build.h turns them into the flat Ruleset. Passes work on a
// Plan, are named, and can be shown one by one (`tocsin explain --stage plan`).
//
// Strata: what an expression reads decides when it can be answered. An expression over plain fields is of stratum 0; columns
// take their entries in the stratum in which their condition and argument are known; a window read in stratum s can be used by
// expressions of stratum s + 1. The checker refuses cycles, so levels are finite.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "dsl/rulebook.h"
#include "engine/run/ruleset.h"

namespace tocsin::engine {

/// One condition on events of one type.
struct PlanCondition {
  event::EventTypeId event = 0;
  dsl::Expr expr;  // constant true when every event of the type qualifies
  std::uint32_t stratum = 0;
};

struct PlanPredicate {
  std::vector<PlanCondition> conditions;  // at most one per event type
  std::string text;                       // meaning; equal texts are one predicate
  PredicateOwner owner;                   // for the count of unknown results
};

struct PlanKeySpace {
  std::string name;
  std::string meaning;
  std::vector<KeyPartInfo> parts;
};

struct PlanColumnSource {
  event::EventTypeId event = 0;
  std::uint32_t predicate = 0;
  std::vector<event::FieldIndex> key;
  std::optional<dsl::Expr> argument;
  bool mark = false;  // begins the windows `since last` anew; stands behind what is counted
};

struct PlanColumn {
  std::uint32_t keyspace = 0;
  std::vector<PlanColumnSource> sources;
  std::vector<state::Window> windows;
  event::Type type;
  std::string meaning;
  std::uint32_t stratum = 0;
};

struct PlanAggregate {
  std::uint32_t column = 0;
  std::uint32_t window = 0;
};

struct PlanDerived {
  event::EventTypeId event = 0;
  event::FieldIndex field = 0;
  dsl::Expr value;
  std::uint32_t stratum = 0;
  std::uint32_t order = 0;  // within the stratum: what it reads comes first
};

struct Plan {
  std::vector<PlanKeySpace> keyspaces;
  std::vector<PlanPredicate> predicates;
  std::vector<PlanColumn> columns;
  std::vector<PlanAggregate> aggregates;  // by dsl::AggregateId
  std::vector<PlanDerived> derived;
  std::uint32_t strata = 1;

  using Known = std::unordered_map<std::string, std::uint32_t>;  // meanings, and which entry has them
  Known known_keyspaces, known_predicates, known_columns;

  /// `role` keeps apart what is asked of one event under several keys; empty where that does not happen.
  std::uint32_t predicate(std::vector<PlanCondition> conditions, const dsl::Rulebook& book,
                          const std::string& role = {});
  std::uint32_t keyspace(const std::vector<dsl::KeyPart>& parts, const event::Schema& schema);
};

/// Conditions of a source, joined per event type; `also`: a further condition of the same subject (a step's unary `where`).
std::vector<PlanCondition> conditions_of(const dsl::Source& source, const dsl::Expr* also);
dsl::Expr conjunction(std::vector<dsl::Expr> parts);
dsl::Expr constant_true();
/// The conjuncts of an expression; `and` inside `and` is taken apart.
void split_conjuncts(dsl::Expr expr, std::vector<dsl::Expr>& out);

/// Columns, aggregates and derived fields of the book; predicates of rules are added by build().
Plan lower(const dsl::Rulebook& book);

// Passes, in this order.
void fold(Plan& plan);  // constant subexpressions become constants
void fold(dsl::Expr& expr);
void assign_strata(Plan& plan, const dsl::Rulebook& book);
/// Stratum in which an expression over events of `event` can be answered. Requires: assign_strata has run.
std::uint32_t stratum_of(const dsl::Expr& expr, const Plan& plan, event::EventTypeId event);

std::string dump(const Plan& plan, const dsl::Rulebook& book);

}  // namespace tocsin::engine
