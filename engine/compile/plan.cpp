#include "engine/compile/plan.h"

#include <algorithm>
#include <map>

#include "base/hash.h"
#include "engine/compile/expr_build.h"
#include "event/function.h"

namespace tocsin::engine {

using dsl::Expr;
using dsl::Op;

Expr constant_true() {
  Expr e;
  e.op = Op::constant;
  e.type = {event::TypeKind::boolean, 0, 0, {}};
  e.value = event::Value::of_boolean(true);
  return e;
}

namespace {

bool is_constant_true(const Expr& e) { return e.op == Op::constant && is_true(e.value); }

Expr joined(Op op, std::vector<Expr> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  Expr e;
  e.op = op;
  e.type = {event::TypeKind::boolean, 0, 0, {}};
  e.args = std::move(parts);
  return e;
}

std::string meaning_of(const std::vector<PlanCondition>& conditions, const dsl::Rulebook& book) {
  std::string text;
  for (const PlanCondition& c : conditions) {
    text += book.schema.events[c.event].name;
    text += '[';
    text += dsl::meaning(c.expr, book);
    text += ']';
  }
  return text;
}

/// The number of the entry with this meaning, which is added when it is new.
template <typename Entry>
std::uint32_t number_of(const std::string& meaning, Entry entry, std::vector<Entry>& entries, Plan::Known& known) {
  const auto [at, fresh] = known.try_emplace(meaning, static_cast<std::uint32_t>(entries.size()));
  if (fresh) entries.push_back(std::move(entry));
  return at->second;
}

state::Function function_of(dsl::AggregateFunction f) {
  switch (f) {
    case dsl::AggregateFunction::count: return state::Function::count;
    case dsl::AggregateFunction::sum: return state::Function::sum;
    case dsl::AggregateFunction::avg: return state::Function::avg;
    case dsl::AggregateFunction::min: return state::Function::min;
    case dsl::AggregateFunction::max: return state::Function::max;
    case dsl::AggregateFunction::distinct: return state::Function::distinct;
    case dsl::AggregateFunction::first: return state::Function::first;
    case dsl::AggregateFunction::last: return state::Function::last;
    case dsl::AggregateFunction::variance: return state::Function::variance;
    case dsl::AggregateFunction::stddev: return state::Function::stddev;
    case dsl::AggregateFunction::cv: return state::Function::cv;
    case dsl::AggregateFunction::percentile: return state::Function::percentile;
    case dsl::AggregateFunction::entropy: return state::Function::entropy;
    case dsl::AggregateFunction::set: return state::Function::holds;
  }
  return state::Function::count;
}

state::Reach reach_of(dsl::WindowReach reach) {
  switch (reach) {
    case dsl::WindowReach::last: return state::Reach::last;
    case dsl::WindowReach::before: return state::Reach::before;
    case dsl::WindowReach::calendar: return state::Reach::calendar;
    case dsl::WindowReach::since: return state::Reach::since;
  }
  return state::Reach::last;
}

state::Window window_of(const dsl::Aggregate& aggregate) {
  state::Window window;
  window.function = function_of(aggregate.function);
  window.reach = reach_of(aggregate.reach);
  window.length = aggregate.length;
  window.gap = aggregate.gap;
  window.gaps = aggregate.gaps;
  window.error_ppm = aggregate.error_ppm;
  window.percent_e9 = static_cast<std::uint64_t>(aggregate.percent.units);
  window.unit = aggregate.unit;
  window.zone = aggregate.zone;
  return window;
}

void add_source(Plan& plan, const dsl::Rulebook& book, PlanColumn& column, PlanColumnSource source,
                const dsl::Alternative& alternative) {
  source.event = alternative.event;
  source.key = alternative.key;
  source.predicate = plan.predicate({{alternative.event, alternative.where.value_or(constant_true()), 0}}, book);
  column.meaning += source.mark ? "|since " : "|";
  column.meaning += plan.predicates[source.predicate].text + "(";
  for (const event::FieldIndex field : source.key)
    column.meaning += book.schema.events[source.event].fields[field].name + ",";
  column.meaning += ")";
  if (source.argument) column.meaning += dsl::meaning(*source.argument, book);
  column.sources.push_back(std::move(source));
}

void add_aggregate(Plan& plan, const dsl::Rulebook& book, const dsl::Aggregate& aggregate) {
  PlanColumn column;
  column.keyspace = plan.keyspace(aggregate.keys, book.schema);
  column.type = aggregate.value_type;
  column.meaning = plan.keyspaces[column.keyspace].meaning + "|" + book.schema.type_text(aggregate.value_type);
  // What is counted from a sample keeps other entries than what is exact.
  if (aggregate.error_ppm != 0 && aggregate.function == dsl::AggregateFunction::distinct)
    column.meaning += "|sample " + std::to_string(aggregate.error_ppm);
  for (std::size_t i = 0; i < aggregate.source.alternatives.size(); ++i) {
    PlanColumnSource source;
    if (i < aggregate.arguments.size()) source.argument = aggregate.arguments[i];
    add_source(plan, book, column, std::move(source), aggregate.source.alternatives[i]);
  }
  if (aggregate.since) {
    for (const dsl::Alternative& alternative : aggregate.since->alternatives) {
      PlanColumnSource source;
      source.mark = true;
      add_source(plan, book, column, std::move(source), alternative);
    }
  }
  const state::Window window = window_of(aggregate);
  const std::string meaning = column.meaning;
  const std::uint32_t index = number_of(meaning, std::move(column), plan.columns, plan.known_columns);
  std::vector<state::Window>& windows = plan.columns[index].windows;
  const auto same = std::find(windows.begin(), windows.end(), window);
  const auto window_index = static_cast<std::uint32_t>(same - windows.begin());
  if (same == windows.end()) windows.push_back(window);
  plan.aggregates.push_back({index, window_index});
}

}  // namespace

Expr conjunction(std::vector<Expr> parts) {
  std::erase_if(parts, is_constant_true);
  if (parts.empty()) return constant_true();
  return joined(Op::and_, std::move(parts));
}

void split_conjuncts(Expr expr, std::vector<Expr>& out) {
  if (expr.op != Op::and_) {
    out.push_back(std::move(expr));
    return;
  }
  for (Expr& arg : expr.args) split_conjuncts(std::move(arg), out);
}

std::vector<PlanCondition> conditions_of(const dsl::Source& source, const Expr* also) {
  std::map<event::EventTypeId, std::vector<Expr>> by_type;
  for (const dsl::Alternative& alternative : source.alternatives) {
    by_type[alternative.event].push_back(alternative.where.value_or(constant_true()));
  }
  std::vector<PlanCondition> conditions;
  for (auto& [type, alternatives] : by_type) {
    Expr membership = std::any_of(alternatives.begin(), alternatives.end(), is_constant_true)
                          ? constant_true()
                          : joined(Op::or_, std::move(alternatives));
    std::vector<Expr> parts;
    split_conjuncts(std::move(membership), parts);
    if (also != nullptr) split_conjuncts(*also, parts);
    conditions.push_back({type, conjunction(std::move(parts)), 0});
  }
  return conditions;
}

std::uint32_t Plan::predicate(std::vector<PlanCondition> conditions, const dsl::Rulebook& book,
                              const std::string& role) {
  for (PlanCondition& c : conditions) fold(c.expr);
  const std::string text = meaning_of(conditions, book) + role;
  return number_of(text, PlanPredicate{std::move(conditions), text, {}}, predicates, known_predicates);
}

std::uint32_t Plan::keyspace(const std::vector<dsl::KeyPart>& parts, const event::Schema& schema) {
  PlanKeySpace space;
  for (const dsl::KeyPart& part : parts) {
    if (!space.name.empty()) space.name += ", ";
    space.name += part.name;
    // Keys of one kind of entity are one space whatever the field is called; other keys belong to their field.
    space.meaning += part.type.kind == event::TypeKind::entity ? "" : part.name + ":";
    space.meaning += schema.type_text(part.type) + ";";
    space.parts.push_back({part.name, part.type});
  }
  const std::string meaning = space.meaning;
  return number_of(meaning, std::move(space), keyspaces, known_keyspaces);
}

Plan lower(const dsl::Rulebook& book) {
  Plan plan;
  for (const dsl::Aggregate& aggregate : book.aggregates) add_aggregate(plan, book, aggregate);
  for (const dsl::DerivedField& field : book.derived)
    plan.derived.push_back({field.event, field.field, field.value, 0, 0});
  return plan;
}

void fold(Expr& expr) {
  for (Expr& arg : expr.args) fold(arg);
  if (expr.args.empty() || expr.op == Op::constant) return;
  if (!std::all_of(expr.args.begin(), expr.args.end(), [](const Expr& a) { return a.op == Op::constant; })) return;
  if (expr.flag && (expr.op == Op::contains || expr.op == Op::starts_with || expr.op == Op::ends_with)) return;
  switch (expr.op) {
    case Op::not_:
    case Op::and_:
    case Op::or_:
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal:
    case Op::in_range:
    case Op::is_missing:
    case Op::contains:
    case Op::starts_with:
    case Op::ends_with:
    case Op::add:
    case Op::subtract:
    case Op::multiply:
    case Op::divide:
    case Op::remainder:
    case Op::negate:
    case Op::coalesce:
    case Op::money_as: break;
    case Op::function:
      if (static_cast<event::Function>(expr.index) == event::Function::ip_flag) return;  // asks a table
      break;
    case Op::constant:
    case Op::field:
    case Op::place_field:
    case Op::group_first:
    case Op::group_last:
    case Op::group_values:
    case Op::group_count:
    case Op::some:
    case Op::member_field:
    case Op::group_aggregate:
    case Op::rule_key:
    case Op::let:
    case Op::aggregate:
    case Op::in_window:
    case Op::in_values:
    case Op::in_group:
    case Op::in_list:
    case Op::table_column:
    case Op::like:
    case Op::matches:
    case Op::has_label:
    case Op::switch_:
    case Op::in_rollout:
    case Op::choose:
    case Op::score:
    case Op::any_rule_decides:
    case Op::any_rule_tagged: return;
  }
  Codes codes;
  ExprBuilder builder(codes, nullptr, nullptr);
  const CodeId code = builder.build(expr);
  Context context;
  const event::Value value = evaluate(codes, code, context);
  if (value.is_missing()) return;  // stays as written, so that the unknown it makes can be explained
  expr.op = Op::constant;
  expr.value = value;
  expr.args.clear();
}

void fold(Plan& plan) {
  for (PlanColumn& column : plan.columns) {
    for (PlanColumnSource& source : column.sources) {
      if (source.argument) fold(*source.argument);
    }
  }
  for (PlanDerived& derived : plan.derived) fold(derived.value);
}

namespace {

/// Levels by recursion with memory; the checker has refused cycles.
class Levels {
 public:
  Levels(Plan& plan) : plan_(plan) {
    column_.assign(plan.columns.size(), unknown);
    derived_.assign(plan.derived.size(), unknown);
  }

  std::uint32_t of(const Expr& expr, event::EventTypeId type) {
    std::uint32_t level = 0;
    for (const Expr& arg : expr.args) level = std::max(level, of(arg, type));
    if (expr.op == Op::aggregate || expr.op == Op::in_window)
      return std::max(level, of_column(plan_.aggregates[expr.index].column)) + 1;
    if (expr.op == Op::field) {
      for (const dsl::FieldRef& ref : expr.fields) {
        if (ref.event == type) level = std::max(level, of_field(ref.event, ref.field));
      }
    }
    return level;
  }
  std::uint32_t of_column(std::uint32_t index) {
    if (column_[index] != unknown) return column_[index];
    std::uint32_t level = 0;
    for (const PlanColumnSource& source : plan_.columns[index].sources) {
      for (const PlanCondition& c : plan_.predicates[source.predicate].conditions)
        level = std::max(level, of(c.expr, c.event));
      if (source.argument) level = std::max(level, of(*source.argument, source.event));
      for (const event::FieldIndex field : source.key) level = std::max(level, of_field(source.event, field));
    }
    column_[index] = level;
    return level;
  }
  std::uint32_t of_field(event::EventTypeId type, event::FieldIndex field) {
    for (std::size_t i = 0; i < plan_.derived.size(); ++i) {
      PlanDerived& d = plan_.derived[i];
      if (d.event != type || d.field != field) continue;
      if (derived_[i] == unknown) {
        derived_[i] = of(d.value, type);
        d.order = next_order_++;  // after everything it read was given its own
      }
      return derived_[i];
    }
    return 0;
  }

 private:
  static constexpr std::uint32_t unknown = 0xffffffffU;
  Plan& plan_;
  std::vector<std::uint32_t> column_;
  std::vector<std::uint32_t> derived_;
  std::uint32_t next_order_ = 0;
};

}  // namespace

void assign_strata(Plan& plan, const dsl::Rulebook& book) {
  (void)book;
  Levels levels(plan);
  for (std::uint32_t i = 0; i < plan.columns.size(); ++i) plan.columns[i].stratum = levels.of_column(i);
  for (PlanDerived& d : plan.derived) d.stratum = levels.of_field(d.event, d.field);
  for (PlanPredicate& p : plan.predicates) {
    for (PlanCondition& c : p.conditions) c.stratum = levels.of(c.expr, c.event);
  }
  std::stable_sort(plan.derived.begin(), plan.derived.end(),
                   [](const PlanDerived& a, const PlanDerived& b) { return a.order < b.order; });
}

std::uint32_t stratum_of(const Expr& expr, const Plan& plan, event::EventTypeId event) {
  std::uint32_t level = 0;
  for (const Expr& arg : expr.args) level = std::max(level, stratum_of(arg, plan, event));
  if (expr.op == Op::aggregate || expr.op == Op::in_window)
    return std::max(level, plan.columns[plan.aggregates[expr.index].column].stratum) + 1;
  if (expr.op == Op::field) {
    for (const dsl::FieldRef& ref : expr.fields) {
      for (const PlanDerived& d : plan.derived) {
        if (ref.event == event && d.event == event && d.field == ref.field) level = std::max(level, d.stratum);
      }
    }
  }
  return level;
}

std::string dump(const Plan& plan, const dsl::Rulebook& book) {
  std::string out = "strata " + std::to_string(plan.strata) + "\n";
  for (std::size_t i = 0; i < plan.keyspaces.size(); ++i) {
    out += "keyspace " + std::to_string(i) + " " + plan.keyspaces[i].name + "\n";
  }
  for (const PlanDerived& d : plan.derived) {
    out += "derived " + book.schema.events[d.event].name + "." + book.schema.events[d.event].fields[d.field].name +
           " stratum " + std::to_string(d.stratum) + "\n";
  }
  for (std::size_t i = 0; i < plan.predicates.size(); ++i) {
    out += "predicate " + std::to_string(i) + " " + plan.predicates[i].text + "\n";
  }
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    const PlanColumn& column = plan.columns[i];
    out += "column " + std::to_string(i) + " keyspace " + std::to_string(column.keyspace) + " stratum " +
           std::to_string(column.stratum) + "\n";
    for (const PlanColumnSource& source : column.sources) {
      out += "  from " + book.schema.events[source.event].name + " where predicate " +
             std::to_string(source.predicate) + (source.mark ? " a mark, key" : " key");
      for (const event::FieldIndex field : source.key) out += " " + book.schema.events[source.event].fields[field].name;
      if (source.argument) out += " value " + dsl::meaning(*source.argument, book);
      out += "\n";
    }
    for (const state::Window& window : column.windows) {
      out += "  window " + std::string(state::to_text(window.function)) + " " +
             std::string(state::to_text(window.reach)) + " " + to_text(window.length);
      if (window.gap.us != 0) out += " ending " + to_text(window.gap) + " before";
      if (window.zone != nullptr) out += " " + std::string(event::to_text(window.unit)) + " " + window.zone->name();
      if (window.gaps) out += " of gaps";
      if (window.error_ppm != 0) out += " approximate " + std::to_string(window.error_ppm) + "ppm";
      if (window.percent_e9 != 0) out += " " + to_text(Decimal{static_cast<Int128>(window.percent_e9)});
      out += "\n";
    }
  }
  return out;
}

}  // namespace tocsin::engine
