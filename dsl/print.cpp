#include "dsl/print.h"

#include <string_view>

namespace tocsin::dsl {
namespace {

using namespace ast;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      default: out += c;
    }
  }
  return out + '"';
}

std::string text_of(const EventName& event) { return event.is_hit ? "hit." + event.name.text : event.name.text; }

template <typename Values, typename Text>
std::string joined(const Values& values, std::string_view between, Text text) {
  std::string out;
  for (const auto& value : values) {
    if (&value != &values.front()) out += between;
    out += text(value);
  }
  return out;
}
std::string names(const std::vector<Name>& values) {
  return joined(values, ", ", [](const Name& name) { return name.text; });
}

// ---------------------------------------------------------------- expressions
/// How tightly each kind binds; an operand that binds less than its place asks for stands in parentheses.
enum Binding : int { chain, negation, comparison, sum, term, unary, coalesce, conversion, postfix, atom };

Binding binding_of(const Expr& value) {
  switch (value.kind) {
    case ExprKind::and_:
    case ExprKind::or_: return chain;
    case ExprKind::not_: return negation;
    case ExprKind::compare:
    case ExprKind::in:
    case ExprKind::is_missing:
    case ExprKind::string_test:
    case ExprKind::has_label: return comparison;
    case ExprKind::arithmetic: return value.operators[0] == "+" || value.operators[0] == "-" ? sum : term;
    case ExprKind::negate: return unary;
    case ExprKind::coalesce: return coalesce;
    case ExprKind::money_as:
    case ExprKind::feature_of: return conversion;
    case ExprKind::member: return postfix;
    case ExprKind::aggregate: return conversion;  // it may end in a name, which a following `.` would go on
    case ExprKind::number:
    case ExprKind::duration:
    case ExprKind::percent:
    case ExprKind::string:
    case ExprKind::boolean:
    case ExprKind::now:
    case ExprKind::name:
    case ExprKind::call:
    case ExprKind::list:
    case ExprKind::any_rule_decides:
    case ExprKind::any_rule_tagged: return atom;
  }
  return atom;
}

std::string text_of(const Expr& value);

std::string operand(const Expr& value, Binding at_least) {
  return binding_of(value) < at_least ? "(" + text_of(value) + ")" : text_of(value);
}

std::string list_of(const std::vector<Expr>& values) {
  return joined(values, ", ", [](const Expr& value) { return text_of(value); });
}

std::string text_of(const Key& key) {
  return key.is_call ? key.name.text + "(" + list_of(key.arguments) + ")" : key.name.text;
}
std::string text_of(const std::vector<Key>& keys) {
  return joined(keys, ", ", [](const Key& key) { return text_of(key); });
}

std::string text_of(const Source& source) {
  std::string out = text_of(source.event);
  if (source.via) out += " via " + source.via->text;
  if (source.where) out += " where " + text_of(*source.where);
  return out;
}

std::string text_of(const Window& window) {
  switch (window.kind) {
    case WindowKind::in_last: return window.unsaid ? "in " + window.length.text : "in last " + window.length.text;
    case WindowKind::before: return "in " + window.length.text + " before";
    case WindowKind::gap: return "in " + window.length.text + " ending " + window.gap.text + " before";
    case WindowKind::calendar: return "in calendar " + window.unit.text + " " + quoted(window.zone.text);
    case WindowKind::since_last: return "since last " + (window.since ? text_of(*window.since) : std::string());
  }
  return {};
}

std::string text_of(const Aggregate& aggregate) {
  std::string out = aggregate.function.text;
  if (!aggregate.arguments.empty()) out += "(" + list_of(aggregate.arguments) + ")";
  return out + " from " + text_of(aggregate.source) + " per " + text_of(aggregate.keys) + " " +
         text_of(aggregate.window);
}

std::string text_of(const Expr& value) {
  const auto& parts = value.children;
  switch (value.kind) {
    case ExprKind::number: return value.currency.empty() ? value.text : value.text + " " + value.currency;
    case ExprKind::duration:
    case ExprKind::boolean:
    case ExprKind::now:
    case ExprKind::name: return value.text;
    case ExprKind::percent: return value.text + "%";
    case ExprKind::string: return quoted(value.text);
    case ExprKind::member: return operand(parts[0], postfix) + "." + value.text;
    case ExprKind::call: return value.text + "(" + list_of(parts) + ")";
    case ExprKind::list: return "[" + list_of(parts) + "]";
    case ExprKind::aggregate: return value.aggregate ? text_of(*value.aggregate) : std::string();
    case ExprKind::not_: return "not " + operand(parts[0], negation);
    case ExprKind::and_: return joined(parts, " and ", [](const Expr& part) { return operand(part, negation); });
    case ExprKind::or_: return joined(parts, " or ", [](const Expr& part) { return operand(part, negation); });
    case ExprKind::compare: return operand(parts[0], sum) + " " + value.text + " " + operand(parts[1], sum);
    case ExprKind::in: {
      std::string out = operand(parts[0], sum) + (value.negated ? " not in " : " in ");
      if (!value.list.empty()) return out + "@" + value.list;
      out += operand(parts[1], sum);
      if (parts.size() > 2) out += (value.half_open ? " ..< " : " .. ") + operand(parts[2], sum);
      return out;
    }
    case ExprKind::is_missing: return operand(parts[0], sum) + (value.negated ? " is not missing" : " is missing");
    case ExprKind::string_test:
      return operand(parts[0], sum) + " " + value.text + " " + operand(parts[1], sum) +
             (value.ignoring_case ? " ignoring case" : "");
    case ExprKind::has_label: return operand(parts[0], sum) + " has label " + quoted(value.text);
    case ExprKind::arithmetic: {
      const Binding inner = binding_of(value) == sum ? term : unary;
      std::string out = operand(parts[0], inner);
      for (std::size_t i = 0; i < value.operators.size(); ++i) {
        out += " " + value.operators[i] + " " + operand(parts[i + 1], inner);
      }
      return out;
    }
    case ExprKind::negate: return "-" + operand(parts[0], unary);
    case ExprKind::coalesce: return operand(parts[0], conversion) + " ?? " + operand(parts[1], conversion);
    case ExprKind::money_as: return operand(parts[0], postfix) + " as " + value.text;
    case ExprKind::feature_of: return value.text + " of " + operand(parts[0], postfix);
    case ExprKind::any_rule_decides: return "any rule decides " + value.text;
    case ExprKind::any_rule_tagged: return "any rule tagged " + value.text + " fires";
  }
  return {};
}

// ---------------------------------------------------------------- declarations
std::string text_of(const TypeRef& type) {
  if (!type.values.empty()) return type.name.text + "(" + names(type.values) + ")";
  return type.argument.empty() ? type.name.text : type.name.text + "<" + type.argument + ">";
}

std::string_view word_of(FieldRole role) {
  switch (role) {
    case FieldRole::none: return "";
    case FieldRole::key: return "key ";
    case FieldRole::time: return "time ";
    case FieldRole::seq: return "seq ";
  }
  return "";
}

std::string text_of(const std::vector<Field>& fields) {
  std::string out = " {\n";
  for (const Field& field : fields) {
    out += "  " + std::string(word_of(field.role)) + field.name.text + " : " + text_of(field.type);
    if (field.optional) out += " optional";
    if (field.mask) out += " mask " + field.mask->text;
    out += '\n';
  }
  return out + "}";
}

std::string text_of(const Object& object) {
  if (object.pairs.empty()) return "{}";
  return "{ " +
         joined(object.pairs, ", ", [](const Pair& pair) { return pair.name.text + ": " + text_of(pair.value); }) +
         " }";
}

/// ` word value` when there is one.
std::string also(std::string_view word, const std::optional<Name>& name) {
  return name ? " " + std::string(word) + " " + name->text : std::string();
}
std::string also(std::string_view word, const std::optional<Text>& text) {
  return text ? " " + std::string(word) + " " + text->text : std::string();
}
std::string also(std::string_view word, const std::optional<Expr>& value) {
  return value ? " " + std::string(word) + " " + text_of(*value) : std::string();
}
/// ` value` when there is one.
std::string then(const std::optional<Expr>& value) { return value ? " " + text_of(*value) : std::string(); }

std::string text_of(const Step& step) {
  std::string out;
  switch (step.kind) {
    case StepKind::all_of:
    case StepKind::any_of:
      out = step.kind == StepKind::all_of ? "all of" : "any " + std::to_string(step.low) + " of";
      return out + " { " + joined(step.parts, "; ", [](const Step& part) { return text_of(part); }) + " }";
    case StepKind::negative:
      return "no " + text_of(step.event) + also("via", step.via) + also("as", step.alias) + also("where", step.where) +
             also("for", step.wait);
    case StepKind::positive: break;
  }
  switch (step.count) {
    case CountKind::one: break;
    case CountKind::at_least: out = "at least " + std::to_string(step.low) + " "; break;
    case CountKind::exactly: out = "exactly " + std::to_string(step.low) + " "; break;
    case CountKind::between: out = std::to_string(step.low) + " to " + std::to_string(step.high) + " "; break;
    case CountKind::optional: out = "optional "; break;
  }
  if (step.consecutive) out += "consecutive ";
  return out + text_of(step.event) + also("via", step.via) + also("as", step.alias) + also("where", step.where) +
         also("within", step.within);
}

std::string text_of(const Sequence& sequence) {
  std::string out = "sequence" + also("within", sequence.within) + " {\n";
  for (const Step& step : sequence.steps) {
    out += "    ";
    if (&step != &sequence.steps.front()) {
      out += step.link == StepLink::first ? "then first " : step.link == StepLink::next ? "then next " : "then ";
    }
    out += text_of(step) + '\n';
  }
  if (sequence.until) {
    const Until& until = *sequence.until;
    out += "    until " + text_of(until.event) + also("as", until.alias) + also("where", until.where) + '\n';
  }
  return out + "  }";
}

std::string text_of(const Clause& clause) {
  switch (clause.kind) {
    case ClauseKind::title: return "title " + quoted(clause.text.text);
    case ClauseKind::severity: return "severity " + clause.text.text;
    case ClauseKind::tags: return "tags " + names(clause.names);
    case ClauseKind::owner: return "owner " + quoted(clause.text.text);
    case ClauseKind::runbook: return "runbook " + quoted(clause.text.text);
    case ClauseKind::mode: return "mode " + clause.text.text;
    case ClauseKind::rule_switch: return "switch " + clause.name.text;
    case ClauseKind::rollout: return "rollout " + clause.text.text + "% of " + clause.name.text;
    case ClauseKind::sequence: return clause.sequence ? text_of(*clause.sequence) : std::string();
    case ClauseKind::pick: return "pick " + clause.text.text;
    case ClauseKind::after_match:
      if (!clause.name.text.empty()) return "after match skip " + clause.text.text + " " + clause.name.text;
      return "after match " + clause.text.text;
    case ClauseKind::let: return "let " + clause.name.text + " =" + then(clause.value);
    case ClauseKind::when: return "when" + then(clause.value);
    case ClauseKind::except:
      return "except " + clause.name.text + (clause.until ? " until " + quoted(clause.until->text) : std::string()) +
             also("when", clause.value);
    case ClauseKind::decide:
      return "decide " + clause.text.text + also("if", clause.value) + also("else", clause.otherwise);
    case ClauseKind::score: return "score" + then(clause.value);
    case ClauseKind::label:
      return "label" + then(clause.value) + " " + quoted(clause.text.text) + also("for", clause.duration);
    case ClauseKind::add: return "add" + then(clause.value) + " to @" + clause.name.text + also("for", clause.duration);
    case ClauseKind::alert_once: return "alert once" + also("per", clause.duration) + " by " + text_of(clause.keys);
    case ClauseKind::suppressed:
      return "suppressed by " + clause.name.text + " same " + text_of(clause.keys) + also("hold", clause.duration);
    case ClauseKind::resolve: return "resolve on " + (clause.source ? text_of(*clause.source) : std::string());
    case ClauseKind::because: return "because " + quoted(clause.text.text);
    case ClauseKind::show: return "show " + list_of(clause.values);
  }
  return {};
}

std::string text_of(const RuleDecl& rule) {
  std::string out = "rule " + rule.name.text;
  if (rule.per_key) {
    out += " per " + text_of(rule.keys);
  } else {
    out += " on " + text_of(rule.on) + also("via", rule.via) + also("as", rule.alias);
  }
  out += " {\n";
  for (const Clause& clause : rule.clauses) out += "  " + text_of(clause) + '\n';
  return out + "}";
}

std::string text_of(const PolicyDecl& policy) {
  std::string out = "policy " + policy.name.text + " on " + text_of(policy.on) + " {\n  score " + policy.combine.text +
                    also("max", policy.cap) + '\n';
  for (const PolicyLine& line : policy.lines) {
    out += "  " + line.action.text + (line.when ? also("when", line.when) : " otherwise") + '\n';
  }
  if (policy.limit) {
    const auto& limit = *policy.limit;
    out += "  limit " + limit.action.text + " to " + limit.share.text + "% per " + limit.per.text + " else " +
           limit.otherwise.text + '\n';
  }
  if (policy.on_error) out += "  on error " + policy.on_error->text + '\n';
  return out + "}";
}

std::string text_of(const TestStep& step) {
  switch (step.kind) {
    case TestStepKind::at: return "at " + quoted(step.text.text);
    case TestStepKind::given_list: return "given @" + step.name.text + " has " + list_of(step.values);
    case TestStepKind::given_table: return "given table " + step.name.text + " " + text_of(step.fields);
    case TestStepKind::given_label:
      return "given " + step.name.text + " " + quoted(step.text.text) + " has label " + quoted(step.label.text);
    case TestStepKind::send:
      return "send " + (step.after ? "+" + step.after->text + " " : std::string()) + text_of(step.event) + " " +
             text_of(step.fields) + (step.number ? " times " + std::to_string(*step.number) : std::string()) +
             also("every", step.every);
    case TestStepKind::wait: return "wait " + step.text.text;
    case TestStepKind::expect_no_rule: return "expect no rule " + step.name.text;
    case TestStepKind::expect_rule:
      return "expect rule " + step.name.text +
             (step.number ? " with " + std::to_string(*step.number) + " events" : std::string());
    case TestStepKind::expect_decision: return "expect decision " + step.text.text;
    case TestStepKind::expect_score: return "expect score " + list_of(step.values);
    case TestStepKind::expect_alerts: return "expect alerts " + std::to_string(step.number.value_or(0));
    case TestStepKind::expect_list:
      return "expect @" + step.name.text + " has " + (step.negated ? "no " : "") + list_of(step.values);
    case TestStepKind::expect_label:
      return "expect " + step.name.text + " " + quoted(step.text.text) + " has " + (step.negated ? "no " : "") +
             "label " + quoted(step.label.text);
    case TestStepKind::expect_feature: return "expect feature " + list_of(step.values);
  }
  return {};
}

std::string text_of(const ListDecl& list) {
  std::string out = "list @" + list.name.text + " : " + text_of(list.type) + also("for", list.lifetime);
  if (list.entries) out += " = [" + list_of(*list.entries) + "]";
  if (list.file) out += " from " + quoted(list.file->text);
  return out;
}

std::string text_of(const Decl& declaration) {
  switch (declaration.kind) {
    case Decl::Kind::entity: return "entity " + names(declaration.entity->names);
    case Decl::Kind::event: return "event " + declaration.event->name.text + text_of(declaration.event->fields);
    case Decl::Kind::list: return text_of(*declaration.list);
    case Decl::Kind::table:
      return "table " + declaration.table->name.text + " keyed by " + names(declaration.table->keys) +
             text_of(declaration.table->fields) +
             (declaration.table->file ? " from " + quoted(declaration.table->file->text) : std::string());
    case Decl::Kind::param: return "param " + declaration.param->name.text + " = " + text_of(declaration.param->value);
    case Decl::Kind::switch_:
      return "switch " + declaration.switch_->name.text + " = " + declaration.switch_->value.text;
    case Decl::Kind::stream:
      return "stream " + declaration.stream->name.text + " = " +
             joined(declaration.stream->sources, ", ", [](const Source& source) { return text_of(source); });
    case Decl::Kind::field:
      return "field " + declaration.field->name.text + " on " + text_of(declaration.field->on) + " = " +
             text_of(declaration.field->value);
    case Decl::Kind::feature:
      return "feature " + declaration.feature->name.text + " = " + text_of(declaration.feature->value) +
             (declaration.feature->approximate ? " approximate " + declaration.feature->approximate->text + "%"
                                               : std::string());
    case Decl::Kind::rule: return text_of(*declaration.rule);
    case Decl::Kind::policy: return text_of(*declaration.policy);
    case Decl::Kind::sample:
      return "sample " + declaration.sample->name.text + " = " + text_of(declaration.sample->base) + " " +
             text_of(declaration.sample->fields);
    case Decl::Kind::test: {
      std::string out = "test " + quoted(declaration.test->name.text) + " {\n";
      for (const TestStep& step : declaration.test->steps) out += "  " + text_of(step) + '\n';
      return out + "}";
    }
  }
  return {};
}

// ---------------------------------------------------------------- dump
std::string_view word_of(ExprKind kind) {
  switch (kind) {
    case ExprKind::number: return "number";
    case ExprKind::duration: return "duration";
    case ExprKind::percent: return "percent";
    case ExprKind::string: return "string";
    case ExprKind::boolean: return "boolean";
    case ExprKind::now: return "now";
    case ExprKind::name: return "name";
    case ExprKind::member: return "member";
    case ExprKind::call: return "call";
    case ExprKind::list: return "list";
    case ExprKind::aggregate: return "aggregate";
    case ExprKind::not_: return "not";
    case ExprKind::and_: return "and";
    case ExprKind::or_: return "or";
    case ExprKind::compare: return "compare";
    case ExprKind::in: return "in";
    case ExprKind::is_missing: return "is-missing";
    case ExprKind::string_test: return "string-test";
    case ExprKind::has_label: return "has-label";
    case ExprKind::arithmetic: return "arithmetic";
    case ExprKind::negate: return "negate";
    case ExprKind::coalesce: return "coalesce";
    case ExprKind::money_as: return "money-as";
    case ExprKind::feature_of: return "feature-of";
    case ExprKind::any_rule_decides: return "any-rule-decides";
    case ExprKind::any_rule_tagged: return "any-rule-tagged";
  }
  return "";
}

std::string_view word_of(ClauseKind kind) {
  switch (kind) {
    case ClauseKind::title: return "title";
    case ClauseKind::severity: return "severity";
    case ClauseKind::tags: return "tags";
    case ClauseKind::owner: return "owner";
    case ClauseKind::runbook: return "runbook";
    case ClauseKind::mode: return "mode";
    case ClauseKind::rule_switch: return "switch";
    case ClauseKind::rollout: return "rollout";
    case ClauseKind::sequence: return "sequence";
    case ClauseKind::pick: return "pick";
    case ClauseKind::after_match: return "after-match";
    case ClauseKind::let: return "let";
    case ClauseKind::when: return "when";
    case ClauseKind::except: return "except";
    case ClauseKind::decide: return "decide";
    case ClauseKind::score: return "score";
    case ClauseKind::label: return "label";
    case ClauseKind::add: return "add";
    case ClauseKind::alert_once: return "alert-once";
    case ClauseKind::suppressed: return "suppressed";
    case ClauseKind::resolve: return "resolve";
    case ClauseKind::because: return "because";
    case ClauseKind::show: return "show";
  }
  return "";
}

std::string_view word_of(TestStepKind kind) {
  switch (kind) {
    case TestStepKind::at: return "at";
    case TestStepKind::given_list: return "given-list";
    case TestStepKind::given_table: return "given-table";
    case TestStepKind::given_label: return "given-label";
    case TestStepKind::send: return "send";
    case TestStepKind::wait: return "wait";
    case TestStepKind::expect_no_rule: return "expect-no-rule";
    case TestStepKind::expect_rule: return "expect-rule";
    case TestStepKind::expect_decision: return "expect-decision";
    case TestStepKind::expect_score: return "expect-score";
    case TestStepKind::expect_alerts: return "expect-alerts";
    case TestStepKind::expect_list: return "expect-list";
    case TestStepKind::expect_label: return "expect-label";
    case TestStepKind::expect_feature: return "expect-feature";
  }
  return "";
}

std::string_view word_of(WindowKind kind) {
  switch (kind) {
    case WindowKind::in_last: return "in-last";
    case WindowKind::before: return "before";
    case WindowKind::gap: return "gap";
    case WindowKind::calendar: return "calendar";
    case WindowKind::since_last: return "since-last";
  }
  return "";
}

std::string_view word_of(StepKind kind) {
  switch (kind) {
    case StepKind::positive: return "step";
    case StepKind::negative: return "no";
    case StepKind::all_of: return "all-of";
    case StepKind::any_of: return "any-of";
  }
  return "";
}

std::string_view word_of(StepLink link) {
  switch (link) {
    case StepLink::then: return "then";
    case StepLink::first: return "first";
    case StepLink::next: return "next";
  }
  return "";
}

std::string_view word_of(CountKind kind) {
  switch (kind) {
    case CountKind::one: return "one";
    case CountKind::at_least: return "at-least";
    case CountKind::exactly: return "exactly";
    case CountKind::between: return "between";
    case CountKind::optional: return "optional";
  }
  return "";
}

/// Writes (head "text" … child …), each node on a line of its own, two blanks deeper than the one around it. Every
/// member of the tree except the places is shown as it is held: the dump is what tests compare trees by.
class Dumper {
 public:
  std::string take() { return std::move(out_); }

  void file(const File& tree) {
    for (const Decl& declaration : tree.declarations) {
      decl(declaration);
      out_ += '\n';
    }
  }

  void expr(const Expr& value) {
    open(word_of(value.kind));
    text(value.text);
    if (!value.currency.empty()) text(value.currency);
    if (value.negated) word("negated");
    if (value.half_open) word("half-open");
    if (value.ignoring_case) word("ignoring-case");
    if (!value.list.empty()) word("@" + value.list);
    for (const std::string& one : value.operators) word(one);
    for (const Expr& child : value.children) expr(child);
    if (value.aggregate) aggregate(*value.aggregate);
    close();
  }

 private:
  void open(std::string_view head) {
    if (depth_ > 0) out_ += '\n' + std::string(2 * depth_, ' ');
    out_ += '(';
    out_ += head;
    ++depth_;
  }
  void close() {
    out_ += ')';
    --depth_;
  }
  void word(std::string_view value) {
    out_ += ' ';
    out_ += value;
  }
  void text(std::string_view value) {
    if (!value.empty()) word(quoted(value));
  }
  void number(std::uint64_t value) { word(std::to_string(value)); }
  /// (head "text") when there is one: an empty text is shown, an absent one is not.
  template <typename T>
  void maybe(std::string_view head, const std::optional<T>& value) {
    if (!value) return;
    open(head);
    word(quoted(value->text));
    close();
  }
  void maybe(std::string_view head, const std::optional<Expr>& value) {
    if (!value) return;
    open(head);
    expr(*value);
    close();
  }
  void list(std::string_view head, const std::vector<Name>& values) {
    if (values.empty()) return;
    open(head);
    for (const Name& value : values) word(value.text);
    close();
  }
  void event(std::string_view head, const EventName& value) {
    open(head);
    word(text_of_event(value));
    close();
  }
  static std::string text_of_event(const EventName& value) {
    return value.is_hit ? "hit." + value.name.text : value.name.text;
  }

  void keys(const std::vector<Key>& values) {
    for (const Key& key : values) {
      open("key");
      word(key.name.text);
      if (key.is_call) word("call");
      for (const Expr& argument : key.arguments) expr(argument);
      close();
    }
  }
  void source(const Source& value) {
    open("source");
    word(text_of_event(value.event));
    maybe("via", value.via);
    maybe("where", value.where);
    close();
  }
  void aggregate(const Aggregate& value) {
    open("of");
    word(value.function.text);
    for (const Expr& argument : value.arguments) expr(argument);
    source(value.source);
    keys(value.keys);
    open("window");
    word(word_of(value.window.kind));
    if (value.window.unsaid) word("unsaid");
    text(value.window.length.text);
    if (!value.window.gap.text.empty()) text(value.window.gap.text);
    if (!value.window.unit.text.empty()) word(value.window.unit.text);
    text(value.window.zone.text);
    if (value.window.since) event("event", *value.window.since);
    close();
    close();
  }
  void type(const TypeRef& value) {
    open("type");
    word(value.name.text);
    text(value.argument);
    list("values", value.values);
    close();
  }
  void fields(const std::vector<Field>& values) {
    for (const Field& field : values) {
      open("field");
      word(std::string(word_of(field.role)) + field.name.text);
      if (field.optional) word("optional");
      type(field.type);
      maybe("mask", field.mask);
      close();
    }
  }
  void object(const Object& value) {
    open("object");
    for (const Pair& pair : value.pairs) {
      open(pair.name.text);
      expr(pair.value);
      close();
    }
    close();
  }
  void step(const Step& value) {
    open(word_of(value.kind));
    if (value.link != StepLink::then) word(word_of(value.link));
    if (value.count != CountKind::one || value.kind == StepKind::any_of) {
      word(word_of(value.count));
      number(value.low);
      number(value.high);
    }
    if (value.consecutive) word("consecutive");
    if (!value.event.name.text.empty()) event("event", value.event);
    maybe("via", value.via);
    maybe("as", value.alias);
    maybe("where", value.where);
    maybe("within", value.within);
    maybe("for", value.wait);
    for (const Step& part : value.parts) step(part);
    close();
  }
  void clause(const Clause& value) {
    open(word_of(value.kind));
    text(value.text.text);
    if (!value.name.text.empty()) word(value.name.text);
    list("names", value.names);
    if (value.value) expr(*value.value);
    maybe("until", value.until);
    maybe("else", value.otherwise);
    maybe("duration", value.duration);
    keys(value.keys);
    if (value.source) source(*value.source);
    for (const Expr& one : value.values) expr(one);
    if (value.sequence) {
      maybe("within", value.sequence->within);
      for (const Step& one : value.sequence->steps) step(one);
      if (value.sequence->until) {
        open("until");
        event("event", value.sequence->until->event);
        maybe("as", value.sequence->until->alias);
        maybe("where", value.sequence->until->where);
        close();
      }
    }
    close();
  }
  void rule(const RuleDecl& value) {
    open("rule");
    word(value.name.text);
    if (value.per_key) {
      open("per");
      keys(value.keys);
      close();
    } else {
      event("on", value.on);
      maybe("via", value.via);
      maybe("as", value.alias);
    }
    for (const Clause& one : value.clauses) clause(one);
    close();
  }
  void policy(const PolicyDecl& value) {
    open("policy");
    word(value.name.text);
    event("on", value.on);
    open("score");
    word(value.combine.text);
    maybe("max", value.cap);
    close();
    for (const PolicyLine& line : value.lines) {
      open("line");
      word(line.action.text);
      maybe("when", line.when);
      close();
    }
    if (value.limit) {
      open("limit");
      for (const Text* one : {&value.limit->action, &value.limit->share, &value.limit->per, &value.limit->otherwise}) {
        word(one->text);
      }
      close();
    }
    maybe("on-error", value.on_error);
    close();
  }
  void test(const TestDecl& value) {
    open("test");
    word(quoted(value.name.text));
    for (const TestStep& one : value.steps) {
      open(word_of(one.kind));
      text(one.text.text);
      if (!one.name.text.empty()) word(one.name.text);
      text(one.label.text);
      if (one.negated) word("no");
      if (one.number) number(*one.number);
      for (const Expr& entry : one.values) expr(entry);
      maybe("after", one.after);
      if (one.kind == TestStepKind::send) event("event", one.event);
      if (one.kind == TestStepKind::send || one.kind == TestStepKind::given_table) object(one.fields);
      maybe("every", one.every);
      close();
    }
    close();
  }
  void decl(const Decl& value) {
    switch (value.kind) {
      case Decl::Kind::entity:
        open("entity");
        for (const Name& name : value.entity->names) word(name.text);
        return close();
      case Decl::Kind::event:
        open("event");
        word(value.event->name.text);
        fields(value.event->fields);
        return close();
      case Decl::Kind::list:
        open("list");
        word("@" + value.list->name.text);
        type(value.list->type);
        maybe("for", value.list->lifetime);
        if (value.list->entries) {
          open("entries");
          for (const Expr& entry : *value.list->entries) expr(entry);
          close();
        }
        maybe("from", value.list->file);
        return close();
      case Decl::Kind::table:
        open("table");
        word(value.table->name.text);
        list("keys", value.table->keys);
        fields(value.table->fields);
        maybe("from", value.table->file);
        return close();
      case Decl::Kind::param:
        open("param");
        word(value.param->name.text);
        expr(value.param->value);
        return close();
      case Decl::Kind::switch_:
        open("switch");
        word(value.switch_->name.text);
        word(value.switch_->value.text);
        return close();
      case Decl::Kind::stream:
        open("stream");
        word(value.stream->name.text);
        for (const Source& one : value.stream->sources) source(one);
        return close();
      case Decl::Kind::field:
        open("field");
        word(value.field->name.text);
        event("on", value.field->on);
        expr(value.field->value);
        return close();
      case Decl::Kind::feature:
        open("feature");
        word(value.feature->name.text);
        expr(value.feature->value);
        maybe("approximate", value.feature->approximate);
        return close();
      case Decl::Kind::rule: return rule(*value.rule);
      case Decl::Kind::policy: return policy(*value.policy);
      case Decl::Kind::sample:
        open("sample");
        word(value.sample->name.text);
        event("of", value.sample->base);
        object(value.sample->fields);
        return close();
      case Decl::Kind::test: return test(*value.test);
    }
  }

  std::string out_;
  std::size_t depth_ = 0;
};

}  // namespace

std::string print(const ast::File& file) {
  std::string out;
  for (const Decl& declaration : file.declarations) out += text_of(declaration) + '\n';
  return out;
}

std::string print(const ast::Expr& expression) { return text_of(expression); }

std::string dump(const ast::File& file) {
  Dumper dumper;
  dumper.file(file);
  return dumper.take();
}

std::string dump(const ast::Expr& expression) {
  Dumper dumper;
  dumper.expr(expression);
  return dumper.take();
}

}  // namespace tocsin::dsl
