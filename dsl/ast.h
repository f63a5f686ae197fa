// A rule file as written: plain structs with a Span in each, no names resolved, nothing checked. The grammar makes it, the
// checker reads it, print.h writes it back. Depth of expressions and length of chains are bounded by the grammar (100 levels),
// so plain recursion over the tree is safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsl/source.h"

namespace tocsin::dsl::ast {

struct Name {
  std::string text;
  Span span;
};

/// A literal such as 10m, "text" (unescaped), 60%, @list (without the @), 5000.
struct Text {
  std::string text;
  Span span;
};

// ---------------------------------------------------------------- expressions
enum class ExprKind {
  number,            // text: digits as written without `_`; currency: USD or empty
  duration,          // text: 10m
  percent,           // text: 60 (without the sign)
  string,            // text: unescaped
  boolean,           // text: true | false
  now,               // now
  name,              // text
  member,            // children[0] . text
  call,              // text ( children… ): also some(cond), count(group)
  list,              // [ children… ]
  aggregate,         // aggregate
  not_,              // not children[0]
  and_,              // children… (at least two)
  or_,               // children…
  compare,           // children[0] text children[1]: == != < <= > >=
  in,                // children[0] in children[1]; or in children[1] .. children[2]; or in @list; negated: not in
  is_missing,        // children[0] is [not] missing
  string_test,       // children[0] text children[1]: contains | starts with | ends with | matches
  has_label,         // children[0] has label text
  arithmetic,        // children[0] operators[0] children[1] operators[1] …: one precedence level, + - or * / %
  negate,            // - children[0]
  coalesce,          // children[0] ?? children[1]
  money_as,          // children[0] as text (USD)
  feature_of,        // text of children[0]
  any_rule_decides,  // any rule decides text
  any_rule_tagged,   // any rule tagged text fires
};

struct Aggregate;

struct Expr {
  ExprKind kind = ExprKind::name;
  Span span;
  std::string text;
  Span text_span;                      // of the operator, member name, function name …; may equal span
  std::string currency;                // number
  bool negated = false;                // in, is_missing
  bool ignoring_case = false;          // string_test
  bool half_open = false;              // in: a range ..< instead of ..
  std::string list;                    // in: the list's name without @; empty otherwise
  std::vector<std::string> operators;  // arithmetic
  std::vector<Span> operator_spans;    // arithmetic, and_, or_
  std::vector<Expr> children;
  std::shared_ptr<Aggregate> aggregate;  // shared only because trees are copied while parsing; never changed afterwards
};

/// NAME, hit.NAME
struct EventName {
  Name name;
  bool is_hit = false;
};

/// ename [via role] [where expr]
struct Source {
  EventName event;
  std::optional<Name> via;
  std::optional<Expr> where;
  Span span;
};

enum class WindowKind { in_last, before, gap, calendar, since_last };
struct Window {
  WindowKind kind = WindowKind::in_last;
  Text length;                     // in_last, before, gap
  Text gap;                        // gap: "ending 72h before"
  Name unit;                       // calendar: hour day week month
  Text zone;                       // calendar
  std::optional<EventName> since;  // since_last
  Span span;
  bool unsaid = false;  // `in 10m` without last/before: the checker says which two spellings there are (E0311)
};

/// NAME or NAME(expr, …) as in `per subnet(ip, 24)`
struct Key {
  Name name;
  std::vector<Expr> arguments;
  bool is_call = false;
  Span span;
};

struct Aggregate {
  Name function;                // count, sum, …
  std::vector<Expr> arguments;  // of the function; empty for count
  Source source;
  std::vector<Key> keys;
  Window window;
};

// ---------------------------------------------------------------- data
struct TypeRef {
  Name name;             // money, set, decimal, user, enum …
  std::string argument;  // of <…>: USD in money<USD>, ip in set<ip>; empty
  Span argument_span;
  std::vector<TypeRef> element;  // of set<…>: the type between the brackets; one, or none
  std::vector<Name> values;      // of enum(…)
  Span span;
};
enum class FieldRole { none, key, time, seq };
struct Field {
  FieldRole role = FieldRole::none;
  Name name;
  TypeRef type;
  bool optional = false;
  std::optional<Name> mask;
  Span span;
};

struct EntityDecl {
  std::vector<Name> names;
};
struct EventDecl {
  Name name;
  std::vector<Field> fields;
};
struct ListDecl {
  Name name;  // without @
  TypeRef type;
  std::optional<Text> lifetime;              // for 1h
  std::optional<Text> file;                  // from "lists/x.txt"
  std::optional<std::vector<Expr>> entries;  // = [ … ]
};
struct TableDecl {
  Name name;
  std::vector<Name> keys;
  std::vector<Field> fields;
  std::optional<Text> file;
};
struct ParamDecl {
  Name name;
  Expr value;
};
struct SwitchDecl {
  Name name;
  Name value;
};

// ---------------------------------------------------------------- derived
struct StreamDecl {
  Name name;
  std::vector<Source> sources;
};
struct FieldDecl {
  Name name;
  EventName on;
  Expr value;
};
struct FeatureDecl {
  Name name;
  Expr value;
  std::optional<Text> approximate;
};

// ---------------------------------------------------------------- rules
enum class StepLink { then, first, next };
enum class CountKind { one, at_least, exactly, between, optional };
enum class StepKind { positive, negative, all_of, any_of };
struct Step {
  StepKind kind = StepKind::positive;
  StepLink link = StepLink::then;  // how it is tied to the step before
  std::optional<Span> link_span;   // of `first` or `next`
  CountKind count = CountKind::one;
  std::uint64_t low = 1;   // at least n, exactly n, n to m; any n of
  std::uint64_t high = 1;  // n to m
  Span count_span;
  bool consecutive = false;
  EventName event;
  std::optional<Name> via;
  std::optional<Name> alias;
  std::optional<Expr> where;
  std::optional<Text> within;  // positive
  std::optional<Text> wait;    // negative: for D
  std::vector<Step> parts;     // all_of, any_of
  Span span;
};
struct Until {
  EventName event;
  std::optional<Name> alias;
  std::optional<Expr> where;
  Span span;
};
struct Sequence {
  std::optional<Text> within;
  std::vector<Step> steps;
  std::optional<Until> until;
};

enum class ClauseKind {
  title,
  severity,
  tags,
  owner,
  runbook,
  mode,
  rule_switch,
  rollout,
  sequence,
  pick,
  after_match,
  let,
  when,
  except,
  decide,
  score,
  label,
  add,
  alert_once,
  suppressed,
  resolve,
  because,
  show,
};
/// One clause of a rule; which members are filled is said per kind.
struct Clause {
  ClauseKind kind = ClauseKind::title;
  Span span;                  // the whole clause
  Span word;                  // its first word
  Text text;                  // title, owner, runbook, because: string; severity, mode, pick: word; decide: action;
                              // after_match: restart | continue | keep all | skip to next | skip past last | to first |
                              // to last; label: the label; rollout: percent
  Name name;                  // let; except; rule_switch; after_match to first/last; rollout: entity; suppressed: rule;
                              // add: list (without @)
  std::vector<Name> names;    // tags
  std::optional<Expr> value;  // let, when, except (condition), score, label (whom), add (what), decide (if condition)
  std::optional<Text> until;  // except
  std::optional<Text> otherwise;  // decide … else action
  std::optional<Text> duration;   // label for, add for, alert_once per, suppressed hold
  std::vector<Key> keys;          // alert_once by, suppressed same
  std::vector<Expr> values;       // show
  // Large, and few clauses have them: shared like Expr::aggregate.
  std::shared_ptr<const Source> source;  // resolve on
  std::shared_ptr<const Sequence> sequence;
};

struct RuleDecl {
  Name name;
  bool per_key = false;  // per keys; else on event
  EventName on;
  std::optional<Name> via;
  std::optional<Name> alias;
  std::vector<Key> keys;
  std::vector<Clause> clauses;
};

// ---------------------------------------------------------------- policy
struct PolicyLine {
  Text action;
  std::optional<Expr> when;
  Span span;
};  // without `when`: otherwise
struct PolicyDecl {
  Name name;
  EventName on;
  Text combine;             // sum | max
  std::optional<Text> cap;  // max NUMBER
  std::vector<PolicyLine> lines;
  struct Limit {
    Text action, share, per, otherwise;
    Span span;
  };
  std::optional<Limit> limit;
  std::optional<Text> on_error;
};

// ---------------------------------------------------------------- tests
struct Pair {
  Name name;
  Expr value;
};
struct Object {
  std::vector<Pair> pairs;
  Span span;
};
struct SampleDecl {
  Name name;
  EventName base;
  Object fields;
};
enum class TestStepKind {
  at,
  given_list,
  given_table,
  given_label,
  send,
  wait,
  expect_no_rule,
  expect_rule,
  expect_decision,
  expect_score,
  expect_alerts,
  expect_list,
  expect_label,
  expect_feature
};
struct TestStep {
  TestStepKind kind = TestStepKind::at;
  Span span;
  Text text;             // at: time; given_label, expect_label: entity value; wait: duration; expect_decision: action
  Name name;             // given_list, expect_list: list; given_table: table; given_label, expect_label: entity kind;
                         // expect rule: rule
  Text label;            // given_label, expect_label
  bool negated = false;  // expect_list, expect_label: has no
  std::vector<Expr> values;   // given_list, expect_list; expect_score: the number; expect_feature: the condition
  std::optional<Text> after;  // send +D
  EventName event;            // send
  Object fields;              // send, given_table
  std::optional<std::uint64_t> number;  // expect rule with n events; alerts n; send times n
  std::optional<Text> every;            // send … every D
};
struct TestDecl {
  Text name;
  std::vector<TestStep> steps;
};

// ---------------------------------------------------------------- file
struct Decl {
  enum class Kind { entity, event, list, table, param, switch_, stream, field, feature, rule, policy, sample, test };
  Kind kind = Kind::entity;
  Span span;
  // Exactly the one named by `kind` is filled; shared because a declaration is large and never changed after parsing.
  std::shared_ptr<const EntityDecl> entity;
  std::shared_ptr<const EventDecl> event;
  std::shared_ptr<const ListDecl> list;
  std::shared_ptr<const TableDecl> table;
  std::shared_ptr<const ParamDecl> param;
  std::shared_ptr<const SwitchDecl> switch_;
  std::shared_ptr<const StreamDecl> stream;
  std::shared_ptr<const FieldDecl> field;
  std::shared_ptr<const FeatureDecl> feature;
  std::shared_ptr<const RuleDecl> rule;
  std::shared_ptr<const PolicyDecl> policy;
  std::shared_ptr<const SampleDecl> sample;
  std::shared_ptr<const TestDecl> test;
};

struct File {
  std::uint32_t file = 0;  // index in the SourceSet
  std::vector<Decl> declarations;
};

}  // namespace tocsin::dsl::ast
