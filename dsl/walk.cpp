#include "dsl/walk.h"

namespace tocsin::dsl {
namespace {

using namespace ast;

void walk_name(const EventName& name, Visitor& visitor) {
  if (!name.name.text.empty()) visitor.event_name(name);
}

void walk_if(const std::optional<Expr>& value, Visitor& visitor) {
  if (value) walk(*value, visitor);
}

void walk_keys(const std::vector<Key>& keys, Visitor& visitor) {
  for (const Key& key : keys) {
    visitor.key(key);
    for (const Expr& argument : key.arguments) walk(argument, visitor);
  }
}

void walk_source(const Source& source, Visitor& visitor) {
  walk_name(source.event, visitor);
  walk_if(source.where, visitor);
}

void walk_step(const Step& step, Visitor& visitor) {
  visitor.step(step);
  walk_name(step.event, visitor);
  walk_if(step.where, visitor);
  for (const Step& part : step.parts) walk_step(part, visitor);
}

void walk_clause(const Clause& clause, Visitor& visitor) {
  visitor.clause(clause);
  walk_if(clause.value, visitor);
  if (clause.kind == ClauseKind::add) visitor.list(clause.name);
  walk_keys(clause.keys, visitor);
  if (clause.source) walk_source(*clause.source, visitor);
  for (const Expr& value : clause.values) walk(value, visitor);
  if (!clause.sequence) return;
  for (const Step& step : clause.sequence->steps) walk_step(step, visitor);
  if (!clause.sequence->until) return;
  walk_name(clause.sequence->until->event, visitor);
  walk_if(clause.sequence->until->where, visitor);
}

void walk_object(const Object& object, Visitor& visitor) {
  visitor.object(object);
  for (const Pair& pair : object.pairs) walk(pair.value, visitor);
}

void walk_fields(const std::vector<Field>& fields, Visitor& visitor) {
  for (const Field& field : fields) visitor.type(field.type);
}

}  // namespace

void walk(const Expr& expression, Visitor& visitor) {
  visitor.expression(expression);
  for (const Expr& child : expression.children) walk(child, visitor);
  if (!expression.aggregate) return;
  const Aggregate& aggregate = *expression.aggregate;
  visitor.aggregate(aggregate);
  for (const Expr& argument : aggregate.arguments) walk(argument, visitor);
  walk_source(aggregate.source, visitor);
  walk_keys(aggregate.keys, visitor);
  if (aggregate.window.since) walk_name(*aggregate.window.since, visitor);
}

void walk(const Decl& declaration, Visitor& visitor) {
  visitor.declaration(declaration);
  switch (declaration.kind) {
    case Decl::Kind::entity:
    case Decl::Kind::switch_: return;
    case Decl::Kind::event: walk_fields(declaration.event->fields, visitor); return;
    case Decl::Kind::list:
      visitor.type(declaration.list->type);
      if (declaration.list->entries) {
        for (const Expr& entry : *declaration.list->entries) walk(entry, visitor);
      }
      return;
    case Decl::Kind::table: walk_fields(declaration.table->fields, visitor); return;
    case Decl::Kind::param: walk(declaration.param->value, visitor); return;
    case Decl::Kind::stream:
      for (const Source& source : declaration.stream->sources) walk_source(source, visitor);
      return;
    case Decl::Kind::field:
      walk_name(declaration.field->on, visitor);
      walk(declaration.field->value, visitor);
      return;
    case Decl::Kind::feature: walk(declaration.feature->value, visitor); return;
    case Decl::Kind::rule:
      walk_name(declaration.rule->on, visitor);
      walk_keys(declaration.rule->keys, visitor);
      for (const Clause& clause : declaration.rule->clauses) walk_clause(clause, visitor);
      return;
    case Decl::Kind::policy:
      walk_name(declaration.policy->on, visitor);
      for (const PolicyLine& line : declaration.policy->lines) walk_if(line.when, visitor);
      return;
    case Decl::Kind::sample:
      walk_name(declaration.sample->base, visitor);
      walk_object(declaration.sample->fields, visitor);
      return;
    case Decl::Kind::test:
      for (const TestStep& step : declaration.test->steps) {
        visitor.test_step(step);
        if (step.kind == TestStepKind::given_list || step.kind == TestStepKind::expect_list) visitor.list(step.name);
        for (const Expr& value : step.values) walk(value, visitor);
        walk_name(step.event, visitor);
        walk_object(step.fields, visitor);
      }
      return;
  }
}

void walk(const File& file, Visitor& visitor) {
  for (const Decl& declaration : file.declarations) walk(declaration, visitor);
}

}  // namespace tocsin::dsl
