#include "engine/compile/origins.h"

#include <algorithm>
#include <set>

#include "engine/compile/views.h"

namespace tocsin::engine {

using dsl::Expr;
using dsl::Op;

namespace {

/// Gathers what one column depends on.
class Gathering {
 public:
  Gathering(const Plan& plan, const dsl::Rulebook& book) : plan_(plan), book_(book) {}

  ColumnOrigin of(const PlanColumn& column) {
    for (const PlanColumnSource& source : column.sources) {
      if (book_.schema.events[source.event].of_hits) why_not_ = "it counts hits of rules";
      types_.insert(source.event);
      for (const PlanCondition& condition : plan_.predicates[source.predicate].conditions)
        read(condition.expr, condition.event);
      if (source.argument) read(*source.argument, source.event);
      for (const event::FieldIndex field : source.key) read_field(source.event, field);
    }
    ColumnOrigin origin;
    origin.types.assign(types_.begin(), types_.end());
    for (const auto& [type, field] : fields_) {
      if (!book_.schema.events[type].fields[field].derived) origin.fields.emplace_back(type, field);
    }
    origin.columns.assign(columns_.begin(), columns_.end());
    origin.why_not = why_not_;
    return origin;
  }

 private:
  void read(const Expr& expr, event::EventTypeId type) {
    if (mentions_effects(expr, book_)) why_not_ = "it depends on what rules did: a label, or a list they change";
    read_parts(expr, type);
  }
  void read_parts(const Expr& expr, event::EventTypeId type) {
    if (expr.op == Op::aggregate || expr.op == Op::in_window) columns_.insert(plan_.aggregates[expr.index].column);
    if (expr.op == Op::field) {
      for (const dsl::FieldRef& ref : expr.fields) {
        if (ref.event == type) read_field(ref.event, ref.field);
      }
    }
    for (const Expr& arg : expr.args) read_parts(arg, type);
  }
  void read_field(event::EventTypeId type, event::FieldIndex field) {
    if (!fields_.emplace(type, field).second) return;
    for (const PlanDerived& derived : plan_.derived) {
      if (derived.event == type && derived.field == field) read(derived.value, type);
    }
  }

  const Plan& plan_;
  const dsl::Rulebook& book_;
  std::set<event::EventTypeId> types_;
  std::set<std::pair<event::EventTypeId, event::FieldIndex>> fields_;
  std::set<std::uint32_t> columns_;
  std::string why_not_;
};

}  // namespace

std::vector<ColumnOrigin> origins_of(const Plan& plan, const dsl::Rulebook& book) {
  std::vector<ColumnOrigin> origins;
  for (const PlanColumn& column : plan.columns) origins.push_back(Gathering(plan, book).of(column));
  return origins;
}

}  // namespace tocsin::engine
