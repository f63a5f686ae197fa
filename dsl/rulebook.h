// The rules as meant: the output of checking and the input of the engine's compiler. Every name is an index, every expression
// has a type, every window a length; nothing half-checked is in here. Constant after `check`. Text constants live in `texts`
// and in the files of lists and tables, which whoever keeps values of the book must keep alive.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsl/source.h"
#include "event/action.h"
#include "event/calendar.h"
#include "event/schema.h"

namespace tocsin::dsl {

using ListId = std::uint32_t;
using TableId = std::uint32_t;
using AggregateId = std::uint32_t;
using LabelId = std::uint32_t;
using StreamId = std::uint32_t;
using PlaceId =
    std::uint32_t;  // a step of a sequence, or one part of `all of` / `any n of`: numbered in written order from 0

using event::Action;
using AlertSeverity = event::Severity;
using event::to_text;

// ---------------------------------------------------------------- expressions

/// Which field, for each event type the subject may be of (a stream may be a union).
struct FieldRef {
  event::EventTypeId event = 0;
  event::FieldIndex field = 0;
  bool operator==(const FieldRef&) const = default;
};

enum class Op : std::uint8_t {
  constant,  // value
  field,     // of the subject: the event judged; in a step's `where` the event tested; after a sequence the completing
             // event, or at a deadline the last event. `fields`
  place_field,  // of the single event at place `index` (missing when an optional step is empty). `fields`
  group_first,  // of the first member of the group at place `index`. `fields`
  group_last,   // of its last member. `fields`
  group_values,  // list of its members' values, in order; stands only below: in, group_aggregate, text placeholders. `fields`
  group_count,      // number of members of the group at place `index`
  some,             // true if args[0] is true for one member of the group at place `index`
  member_field,     // inside `some`: field of the member looked at. `fields`
  group_aggregate,  // function `name` (sum avg min max first last distinct …) over args[0] (per member; Op::member_field
  // inside) of the group at place `index`; `flag`: over the gaps between them; `value`: a percentile's number
  rule_key,  // part `index` of the rule's key (rules `per`)
  let,       // let `index` of the rule
  aggregate,  // aggregates[index] as of the subject's moment, under the key args[0], args[1] …; `flag`: it is a set, which
              // stands nowhere but behind `in`
  in_window,  // args[0] in the set aggregates[index], under the key args[1], args[2] …
  not_,
  and_,
  or_,  // Kleene; and_, or_ over all args
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,  // args[0], args[1]
  in_values,      // args[0] in args[1] … (constants and expressions; networks as constants in `networks`)
  in_group,       // args[0] in args[1] (group_values)
  in_list,        // args[0] in lists[index]; `flag`: entries put there by shadow rules count too (E5)
  has_label,      // args[0] has labels[index]; `flag`: labels of shadow rules count too (E5)
  switch_,        // switches[index] (V10)
  in_rollout,     // whether args[0] is in the share `index` (of 10,000) of rule `name` (E5); false when it is missing
  choose,         // args[0] ? args[1] : args[2]; args[0] is never unknown
  in_range,       // args[0] in args[1] .. args[2]; `flag`: half open
  is_missing,     // args[0]; never unknown
  contains,
  starts_with,
  ends_with,
  like,     // args[0] as a whole is args[1], in which `*` is any text and `?` one character
  matches,  // the regular expression args[1], a constant, is found somewhere in args[0]. All five: `flag`: ignoring case
  add,
  subtract,
  multiply,
  divide,
  remainder,  // two args; kinds by the types (time - time, money / number …)
  negate,
  coalesce,          // args[0] ?? args[1]
  money_as,          // args[0] as `currency`, by tables[index - 1]; index 0: it is in that currency already
  table_column,      // column `name` of tables[index] under the key args, as of the moment of the subject
  function,          // functions()[index] (dsl/functions.h) over args; `name` is its name
  score,             // policy: the score so far
  any_rule_decides,  // policy: action = index
  any_rule_tagged,   // policy: tag = name
};

struct Expr {
  Op op = Op::constant;
  event::Type type;  // of the result
  Span span;
  std::uint32_t index = 0;
  bool flag = false;
  event::Currency currency;
  std::string name;
  event::Value value;  // constant
  std::vector<FieldRef> fields;
  std::vector<event::Network> networks;
  std::vector<Expr> args;
};

// ---------------------------------------------------------------- sources, keys, aggregates

/// One event type of a stream, with everything that decides whether an event belongs to it (W5: when it arrives).
struct Alternative {
  event::EventTypeId event = 0;
  std::optional<event::FieldIndex> via;  // the role, if one is said
  std::optional<Expr> where;             // over Op::field of this event; conjunction of all nested `where`s
  std::vector<event::FieldIndex> key;    // where a key is asked for: the field of each key part; else empty
};

struct Source {
  std::string name;  // as written: stream or event name
  std::vector<Alternative> alternatives;
};

struct KeyPart {
  std::string name;  // as written: user, card, dev
  event::Type type;
  bool operator==(const KeyPart&) const = default;
};

enum class AggregateFunction : std::uint8_t {
  count,
  sum,
  avg,
  min,
  max,
  distinct,
  first,
  last,
  variance,
  stddev,
  cv,
  percentile,
  entropy,
  set,
};
enum class WindowReach : std::uint8_t { last, before, calendar, since };

/// One aggregate over one window. Equal definitions are one entry, whatever their names.
struct Aggregate {
  AggregateFunction function = AggregateFunction::count;
  Source source;                // alternatives with keys
  std::vector<Expr> arguments;  // one per alternative, over Op::field; empty for count
  event::Type value_type;       // of the argument
  event::Type result_type;
  std::vector<KeyPart> keys;
  WindowReach reach = WindowReach::last;
  Duration length;  // since: as far back as is kept
  Duration gap;     // before: ends so long before the event
  event::CalendarUnit unit = event::CalendarUnit::day;
  const event::Zone* zone = nullptr;  // calendar
  std::optional<Source> since;        // alternatives with keys
  bool gaps = false;                  // over the durations between neighbouring values
  Decimal percent;                    // percentile
  std::uint32_t error_ppm = 0;        // distinct, percentile: approximate, with this relative error
  std::string text;                   // as written, for people
};

/// A derived field: computed when the event arrives, stored behind the declared ones.
struct DerivedField {
  event::EventTypeId event = 0;
  event::FieldIndex field = 0;
  Expr value;
};

struct List {
  std::string name;  // without @
  event::Type element;
  std::optional<Duration> lifetime;      // of entries that rules put there; nothing: for ever
  std::vector<event::Value> entries;     // not of cidr lists
  std::vector<event::Network> networks;  // of cidr lists, and of ip lists' entries that are networks
};

struct TableColumn {
  std::string name;
  event::Type type;
  bool optional = false;
};

/// Reference data, looked up as of an event's time (V5). Row i has its cells, keys first, at i * width().
struct Table {
  std::string name;
  std::vector<KeyPart> keys;
  std::vector<TableColumn> columns;
  bool by_network =
      false;  // the one key is `cidr`: an address finds the smallest network it lies in. Its cell is unused
  std::vector<Timestamp> from;  // from when on the row holds
  std::vector<event::Value> cells;
  std::vector<event::Network> networks;  // by_network: of each row
  [[nodiscard]] std::size_t width() const { return keys.size() + columns.size(); }
};

/// A file of a list or a table, as it was read. It is part of the rules: kept with them in the store, so that a restart and a
/// replay know what was known.
struct DataFile {
  std::string path;
  std::shared_ptr<const std::string> text;
};

/// A label belongs to a kind of entity (E3).
struct EntityLabel {
  std::string kind;
  std::string name;
  bool operator==(const EntityLabel&) const = default;
};

struct Switch {
  std::string name;
  bool on = true;
};

// ---------------------------------------------------------------- rules

struct TextPart {
  std::string literal;  // when there is no expression
  std::optional<Expr> value;
};

struct Let {
  std::string name;
  Expr value;
};
struct Except {
  std::string name;
  std::optional<Timestamp> until;
  Expr when;
};
struct Decide {
  Action action = Action::allow;
  std::optional<Expr> when;
  Action otherwise = Action::allow;
};
struct Shown {
  std::string name;
  Expr value;
};
struct AlertOnce {
  Duration per;
  std::vector<KeyPart> by;
  std::vector<Expr> values;
};

struct LabelEffect {
  LabelId label = 0;
  Expr whom;
  std::optional<Duration> lasts;  // nothing: for ever
};
struct ListEffect {
  ListId list = 0;
  Expr what;
  std::optional<Duration> lasts;  // its own, else that of the list; nothing: for ever
};
/// `rollout 10% of user`
struct Rollout {
  std::uint32_t share = 10'000;  // of 10,000
  Expr value;
};
/// `suppressed by R same K hold H`
struct Suppression {
  std::string by;
  std::vector<KeyPart> same;
  std::vector<Expr> values;     // of K, for a hit of this rule
  std::vector<Expr> by_values;  // of K, for a hit of R
  Duration hold;
};
/// Where a field of `hit.RULE` comes from (E2).
struct HitField {
  enum class From : std::uint8_t { id, at, key, show, let, field, shadow };
  From from = From::id;
  std::uint32_t index = 0;       // of the key's part, the shown value, the let
  std::vector<FieldRef> fields;  // field: of the event the rule is on
};
struct HitType {
  event::EventTypeId event = 0;
  std::vector<HitField> fields;  // by field of that event type
};

enum class Link : std::uint8_t { then, first, next };
enum class StepKind : std::uint8_t { single, group, all_of, any_of };

/// An event test within a sequence: source (with the rule's key fields), and the step's own condition.
struct EventTest {
  Source source;              // alternatives with keys; their `where` is the stream's membership
  std::string alias;          // as written, or the stream's name; a second of a name gets `#2`
  std::optional<Expr> where;  // the step's condition: Op::field is its own event; other steps by place
  PlaceId place = 0;
  std::optional<Duration>
      within;             // part of all_of / any_of: from the end of the step before (P3); a step's own is Step::within
  bool optional = false;  // part of all_of
};
struct Step {
  StepKind kind = StepKind::single;
  Link link = Link::then;
  std::uint32_t min = 1;  // group: least members; any_of: least parts
  std::uint32_t max = 1;  // group: most members; 0 = no bound
  bool exact = false;     // group: exactly n, or n to m: only the nearest `max`
  bool consecutive = false;
  bool optional = false;
  std::optional<Duration> within;
  std::vector<EventTest> parts;  // one, or several for all_of / any_of
};
struct Absence {
  EventTest test;
  std::uint32_t before_step = 0;  // index of the step it stands before; steps.size() for a final one
  Duration wait;                  // first and final only
};
enum class Pick : std::uint8_t { nearest, earliest, every };
enum class AfterMatch : std::uint8_t { restart, continue_, skip_to_next, skip_past_last, skip_to_first, skip_to_last };
struct Sequence {
  std::optional<Duration> within;
  std::vector<Step> steps;
  std::vector<Absence> absences;  // in written order
  std::optional<EventTest> until;
  Pick pick = Pick::nearest;
  AfterMatch after = AfterMatch::restart;
  PlaceId after_place = 0;  // skip_to_first / last
  std::uint32_t place_count = 0;
};

struct Rule {
  std::string name;
  Span span;
  std::string title, owner, runbook;
  AlertSeverity severity = AlertSeverity::medium;
  std::vector<std::string> tags;
  bool shadow = false;
  bool off = false;                     // `mode off`: it is checked and not run
  std::vector<std::uint32_t> switches;  // of the book; off while one of them is
  std::optional<Rollout> rollout;
  std::optional<Source> on;   // rules on an event
  std::string alias;          // of that event
  std::vector<KeyPart> keys;  // rules per key
  std::optional<Sequence> sequence;
  std::vector<Let> lets;
  std::optional<Expr> when;
  std::vector<Except> excepts;
  std::optional<Decide> decide;
  std::optional<Expr> score;
  std::vector<TextPart> because;
  std::vector<Shown> show;
  std::optional<AlertOnce> alert_once;
  std::vector<LabelEffect> labels;
  std::vector<ListEffect> adds;
  std::vector<Suppression> suppressed;
  std::vector<Source> resolves;  // alternatives with the key of its alerts
  std::optional<HitType> hit;    // when somebody asks for its hits
};

// ---------------------------------------------------------------- policy

struct PolicyLine {
  Action action = Action::allow;
  std::optional<Expr> when;
};  // without `when`: otherwise
struct PolicyLimit {
  Action action = Action::block;
  Decimal share;
  Duration per;
  Action otherwise = Action::review;
};
struct Policy {
  std::string name;
  Source on;
  bool sum = true;  // else max
  std::optional<Decimal> cap;
  std::vector<PolicyLine> lines;
  std::optional<PolicyLimit> limit;
  std::optional<Action> on_error;
};

// ---------------------------------------------------------------- tests

struct TestStep {
  enum class Kind {
    at,
    given_list,
    given_table,
    given_label,
    send,
    wait,
    expect_rule,
    expect_no_rule,
    expect_decision,
    expect_score,
    expect_alerts,
    expect_state  // of a list, a label, a feature: all of `holds` is true
  };
  Kind kind = Kind::at;
  Span span;
  Timestamp time;     // at; given_table: from when on the row holds
  Duration duration;  // wait; send +D
  ListId list = 0;    // given_list
  TableId table = 0;  // given_table
  std::vector<event::Value>
      values;  // given_list entries; given_table: one row; send: one per declared field of the event
  std::vector<event::Network> networks;  // given_list; given_table: the network, if it is keyed by one
  LabelId label = 0;                     // given_label: of values[0]
  event::EventTypeId event = 0;          // send
  std::uint32_t times = 1;               // send
  Duration every;                        // send
  bool key_given = false;                // send: the idempotency key was written (else the runner makes one)
  bool time_given = false;               // send: the time field was written
  std::uint32_t rule = 0;                // expect_rule, expect_no_rule
  std::optional<std::uint64_t> number;   // with n events; alerts n
  Action action = Action::allow;         // expect_decision
  Decimal score;                         // expect_score
  // expect_state: questions as of the clock of the test, each named by what is to be said when it is not true; and for people the
  // values of the features that are asked.
  std::vector<Shown> holds, shown;
  std::optional<event::Value> whom;  // expect_state of a label
  std::uint32_t question = 0;  // expect_state: number of the first of them among all questions of the book's tests
};
struct Test {
  std::string name;
  Span span;
  std::vector<TestStep> steps;
};

// ---------------------------------------------------------------- the book

struct Rulebook {
  event::Schema schema;
  std::vector<List> lists;
  std::vector<Table> tables;
  std::vector<DataFile> data_files;  // in the order in which they were read, each path once
  std::vector<EntityLabel> labels;
  std::vector<Switch> switches;
  std::vector<DerivedField> derived;
  std::vector<Aggregate> aggregates;
  std::size_t aggregates_of_tests = 0;  // those from here on are asked by tests alone
  std::vector<Rule> rules;              // in name order
  std::vector<Policy> policies;
  std::vector<Test> tests;
  std::shared_ptr<std::deque<std::string>> texts = std::make_shared<std::deque<std::string>>();
};

/// The comparison that says the same with its sides exchanged; any other word is itself.
Op mirrored(Op op);

/// Whether it looks at what a sequence has taken: an event, a group, or something over one.
bool of_a_step(Op op);

/// Stable print of the whole book, for `explain --stage rulebook` and golden tests.
std::string dump(const Rulebook& book);
/// Stable print of what a part means, names of aliases, titles and texts left out: equal prints mean equal results. The engine
/// hashes these into fingerprints and revisions.
std::string meaning(const Expr& expr, const Rulebook& book);
std::string meaning(const Source& source, const Rulebook& book);
std::string meaning(const Aggregate& aggregate, const Rulebook& book);
/// The rule's checked meaning: sequence, conditions, effects, show and the keys; without title, because, tags, owner, severity.
std::string meaning(const Rule& rule, const Rulebook& book);

/// How an expression is read: lets stand for what they name, and of a field that several events have only that of the event is meant.
struct Reading {
  const std::vector<Let>* lets = nullptr;
  std::optional<event::EventTypeId> event;
};

class Printer;
/// Prints meanings for who asks for many: what fields, aggregates and lets mean is kept. Requires: of the book, what is there stays
/// as it is; it may grow.
class Meanings {
 public:
  explicit Meanings(const Rulebook& book);
  ~Meanings();
  Meanings(const Meanings&) = delete;
  Meanings& operator=(const Meanings&) = delete;

  /// From now on expressions are read so. Requires: the lets stay as they are until the next call.
  void read_as(const Reading& reading);
  std::string of(const Expr& expr);

 private:
  std::unique_ptr<Printer> printer_;
};

}  // namespace tocsin::dsl
