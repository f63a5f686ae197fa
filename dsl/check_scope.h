// The inside of checking: what is known of all declarations (Checker), and what a name may mean at one place of the text
// (Scope). One Checker lives for one call of check(). Declarations that build on each other (streams, derived fields, features,
// params) are worked out when first asked for, whatever their order in the files; `Progress` finds those that need themselves.
//
// A part that could not be typed is a Typed with `poison`: whoever meets it stays silent, so that one mistake is one message.
// While `silent_` is above zero nothing is reported and nothing is entered in the book; that is how the checker looks at one
// side of a comparison before it decides what the names on the other side mean (SEMANTICS V4).
#pragma once

#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "dsl/ast.h"
#include "dsl/check.h"
#include "dsl/contradiction.h"
#include "dsl/diagnostic.h"
#include "dsl/functions.h"
#include "dsl/rulebook.h"

namespace tocsin::dsl::detail {

using event::EventTypeId;
using event::FieldIndex;
using event::Type;
using event::TypeKind;
using event::Value;

/// One event type that the subject of an expression may be of, with the role under which it is looked at.
struct SubjectType {
  EventTypeId event = 0;
  std::optional<FieldIndex> via;
};
struct Subject {
  std::vector<SubjectType> types;
  std::string name;            // of the stream or event, for messages
  bool fields_visible = true;  // bare names may mean its fields
};

/// An expression with what the checker knows beyond its type.
struct Typed {
  bool poison = true;
  bool list = false;          // the values of a group: stands in few places (V6)
  bool text_literal = false;  // may still become a time, an address, an entity
  Expr expr;
};

enum class AliasKind { subject, own, single, group };
struct Alias {
  std::string name;
  Span span;
  AliasKind kind = AliasKind::single;
  PlaceId place = 0;
  bool visible = true;              // false: of a step that comes later
  bool sibling = false;             // of another part of the same `all of` / `any of`
  std::vector<EventTypeId> events;  // the types its event may be of
};

enum class Where { constant, definition, counted, on_rule, step, after, policy, test };

struct Scope {
  Where where = Where::constant;
  const Subject* subject =
      nullptr;  // none: constants, and definitions of features, which are read at their place of use
  std::vector<Alias> aliases;
  const std::vector<Let>* lets = nullptr;
  const std::vector<KeyPart>* keys = nullptr;              // of a rule `per`
  const std::vector<KeyPart>* keys_at_use = nullptr;       // inside a feature read in such a rule: its keys
  const std::vector<Alternative>* key_source = nullptr;    // in a step: where the rule's keys stand in its own event
  const std::vector<std::string>* step_streams = nullptr;  // names of the sequence's streams, for messages
  const Scope* outer = nullptr;                            // of an aggregate: the scope it stands in
  std::optional<PlaceId> member_of;                        // inside some(…) and group functions
  const std::vector<Typed>* of_keys = nullptr;             // inside `feature of x`
  std::string feature;                                     // inside a feature read at its place of use
  Span use;                                                // that place
  bool text_placeholder = false;
  std::uint32_t error_ppm = 0;  // inside a feature that is approximate
  bool may_be_set = false;      // a let or a feature: what it names may be a window's set
};

enum class NameKind { entity, event, param, switch_, stream, feature, rule, policy, sample, table };
struct NameEntry {
  NameKind kind = NameKind::entity;
  Span span;
  std::size_t index = 0;  // in the vector of its kind
};

enum class Progress { untouched, working, done, failed };

struct StreamInfo {
  const ast::StreamDecl* decl = nullptr;
  Progress progress = Progress::untouched;
  std::vector<Alternative> alternatives;
};
struct DerivedInfo {
  const ast::FieldDecl* decl = nullptr;
  Progress progress = Progress::untouched;
  EventTypeId event = 0;
  FieldIndex field = 0;
};
struct FeatureInfo {
  const ast::FeatureDecl* decl = nullptr;
  Progress progress = Progress::untouched;
  Typed typed;  // as checked without a subject: good for its type only
};
struct ParamInfo {
  const ast::ParamDecl* decl = nullptr;
  Progress progress = Progress::untouched;
  Typed value;
};
struct SampleInfo {
  const ast::SampleDecl* decl = nullptr;
  Progress progress = Progress::untouched;
  EventTypeId event = 0;
  std::vector<Value> values;
  bool key_given = false;
  bool time_given = false;
};

// Bounds of what one expression may become once its features are written out, and of how deep definitions may build on each
// other; both far above what a person writes, and low enough for the stack.
inline constexpr std::size_t expression_nodes_max = 20'000;
inline constexpr int definition_depth_max = 64;
inline constexpr std::size_t fields_max = 2'000;  // of one event
inline constexpr int expression_levels_max = 300;
inline constexpr std::uint64_t step_count_max = 10'000;

class Checker {
 public:
  Checker(const SourceSet& sources, const std::vector<ast::File>& files, Diagnostics& diagnostics,
          const CheckOptions& options)
      : sources_(sources), files_(files), diagnostics_(diagnostics), options_(options) {}
  std::optional<Rulebook> run();

 private:
  // ------------------------------------------------ messages
  Diagnostic& error(Code code, Span span, std::string message);
  Diagnostic& warning(Code code, Span span, std::string message);
  [[nodiscard]] std::string source_text(Span span) const;
  static std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& candidates);

  // ------------------------------------------------ declarations (check_decl.cpp)
  void collect();
  void declare(NameKind kind, const ast::Name& name, std::size_t index);
  void declare_event(const ast::EventDecl& decl);
  void declare_derived();
  void declare_derived(const ast::FieldDecl& field, EventTypeId event);
  /// An event type for every `hit.RULE` that somebody names; its fields are known once the rule is checked.
  void declare_hits();
  std::optional<EventTypeId> hits_of(const ast::Name& rule);
  void check_rule_once(const std::string& name, Span use);
  void fill_hits(const ast::RuleDecl& decl, Rule& rule);
  void declare_list(const ast::ListDecl& decl);
  std::optional<Type> resolve_type(const ast::TypeRef& ref, bool in_list);

  // ------------------------------------------------ lists and tables (check_data.cpp)
  /// A value as a file writes it; text values borrow `text`. Nothing, and what is wrong with it.
  std::optional<Value> value_of_text(const Type& type, std::string_view text, std::string& problem);
  /// The text of a file that a declaration names, read once; nothing, and a message, when it cannot be had.
  std::shared_ptr<const std::string> read_data_file(const ast::Text& name);
  /// Nothing, and a message, when there is none of this name.
  const List* find_list(const ast::Name& name);
  void read_list_file(List& list, const ast::ListDecl& decl);
  void add_written_entry(List& list, const ast::Expr& entry);
  bool add_entry(List& list, std::string_view text, std::string& problem);
  void declare_table(const ast::TableDecl& decl);
  std::optional<Type> table_key_type(const ast::Name& key, const std::map<std::string, Type>& own_types,
                                     std::size_t key_count, Table& table);
  bool read_table_file(Table& table, const ast::TableDecl& decl);
  bool table_cell(const Table& table, std::size_t column, std::string_view text, std::vector<Value>& row,
                  event::Network& network, std::string& problem);
  static void add_row(Table& table, Timestamp from, const std::vector<Value>& row, const event::Network& network);
  std::optional<TableId> find_table(std::string_view name);
  bool fill_row(const ast::Object& object, TableId id, TestStep& out);
  const NameEntry* find_name(std::string_view name) const;
  std::vector<const ast::Clause*> lets_in_order(const ast::RuleDecl& decl);
  void warn_when_of_decision(const ast::RuleDecl& decl, const ast::Clause& when);
  void hint_at_quotes(const Type& wanted, const ast::Expr& word);
  static std::string time_hint(const std::string& text);
  std::vector<std::string> steps_with(const std::string& field, const Scope& s, bool groups) const;
  bool hint_at_row(const ast::Expr& e, const Scope& s);
  bool foreign_missing(const ast::Expr& e, Scope& s);
  void warn_percent(std::string_view pattern, const ast::Expr& written);
  void warn_currency(const std::string& code, Span span);
  bool foreign_alternatives(const ast::Expr& e, Scope& s);
  std::string row_hint(const Type& key, const std::string& written, const std::string& column) const;
  std::string rates_hint(const std::string& written, const std::string& currency) const;
  void hint_at_currency(Diagnostic& d, const ast::Expr& number, event::Currency currency) const;
  std::vector<std::string> names_of(std::initializer_list<NameKind> kinds) const;

  const std::vector<Alternative>* stream_of(std::size_t index, Span use);
  bool resolve_derived(std::size_t index, Span use);
  const Typed& feature_of(std::size_t index, Span use);
  const Typed& param_of(std::size_t index, Span use);
  void circle(const std::string& what, Span use);

  /// The alternatives of a source without keys; nothing (and a message) when it does not resolve.
  std::optional<std::vector<Alternative>> resolve_source(const ast::EventName& name,
                                                         const std::optional<ast::Name>& via,
                                                         const std::optional<ast::Expr>& where, const Scope* outer);
  std::optional<std::vector<Alternative>> finish_source(std::vector<Alternative> found, const std::string& name,
                                                        const std::optional<ast::Name>& via,
                                                        const std::optional<ast::Expr>& where, const Scope* outer);
  bool add_membership(std::vector<Alternative>& alternatives, const ast::Expr& where, const std::string& name,
                      const Scope* outer);
  struct Found {
    FieldIndex field = 0;
    bool poison = false;
  };
  std::optional<Found> find_field(EventTypeId event, std::string_view name, Span use);
  const event::FieldDef& field_def(EventTypeId event, FieldIndex field) const;
  Diagnostic& unknown_field(EventTypeId event, const std::string& name, Span span);
  std::vector<std::string> field_names(EventTypeId event) const;

  /// W4: the field of the event that `per K` means. `place` is what the message points at.
  std::optional<FieldIndex> resolve_key(const SubjectType& subject, const ast::Key& key, Span place, bool at_source);
  /// `per f(x)`: a derived field of the event without a name that rules could use, made when first asked for.
  std::optional<FieldIndex> computed_key(EventTypeId event, const ast::Key& key);
  std::string key_name(const ast::Key& key) const { return key.is_call ? source_text(key.span) : key.name.text; }
  bool is_kind(const Type& type, std::string_view kind) const;
  /// Fills the keys of all alternatives and says what the key parts are; `keys` types are set by the first source.
  bool resolve_keys(std::vector<Alternative>& alternatives, const std::vector<ast::Key>& keys,
                    std::vector<KeyPart>& parts, Span place);

  // ------------------------------------------------ expressions (check_expr.cpp)
  Typed check_expr(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted = std::nullopt);
  Typed check_whole(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted = std::nullopt);
  std::optional<Expr> check_condition(const ast::Expr& e, Scope& s, bool is_when = false);
  std::optional<Expr> check_constant(const ast::Expr& e, const Type& type, const std::string& what);
  Typed check_name(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted);
  Typed unknown_name(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted);
  Typed check_member(const ast::Expr& e, Scope& s);
  Typed check_number(const ast::Expr& e);
  Typed check_call(const ast::Expr& e, Scope& s);
  Typed check_group_function(const ast::Expr& e, Scope& s);
  Typed check_compare(const ast::Expr& e, Scope& s);
  Typed check_in(const ast::Expr& e, Scope& s);
  Typed check_arithmetic(const ast::Expr& e, Scope& s);
  Typed combine(const std::string& op, Typed left, Typed right, Span op_span, Span span);
  Typed check_coalesce(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted);
  Typed check_money_as(const ast::Expr& e, Scope& s);
  Typed check_function(const Function& function, const ast::Expr& e, Scope& s);
  /// What the function wants there instead; empty: it fits. A text literal becomes what is wanted (or poison, and that is said).
  std::string argument_problem(Argument wanted, Typed& t, const ast::Expr& child, const Expr* first);
  bool check_flags(const ast::Expr& e);
  Typed check_look_up(const ast::Expr& e, Scope& s);
  Typed check_has_label(const ast::Expr& e, Scope& s);
  /// The kind of entity a label on such a value belongs to; nothing (and a message) when it is none.
  std::optional<std::string> labelled_kind(const Typed& t, const ast::Expr& e);
  LabelId label_id(std::string kind, std::string name);
  Typed check_string_test(const ast::Expr& e, Scope& s);
  bool check_pattern(const Expr& pattern, const ast::Expr& e);
  Typed check_aggregate(const ast::Aggregate& a, Span span, Scope& s);
  std::optional<Type> aggregate_type(AggregateFunction function, const Type& argument, Span function_span, Span span);
  /// What `function(arguments)` asks of a window or a group.
  struct AggregateCall {
    AggregateFunction function = AggregateFunction::count;
    const ast::Expr* argument = nullptr;  // what is counted, summed …; none for count and rate
    bool gaps = false;
    Decimal percent;
    std::optional<Duration> rate;  // events per this span: a count in other words
  };
  std::optional<AggregateCall> aggregate_call(const ast::Name& function, const std::vector<ast::Expr>& arguments);
  bool check_window(const ast::Window& window, const AggregateCall& call, Aggregate& out);
  /// Parts per million of `approximate 1%`; nothing, and a message, when the share is none it can be.
  std::optional<std::uint32_t> error_of(const ast::Text& approximate);
  Typed check_in_set(const ast::Expr& e, Typed left, Typed set);
  Typed check_feature(std::size_t index, Span span, Scope& s);
  std::optional<Expr> key_at_use(const ast::Key& key, const KeyPart& part, Span span, Scope& s);
  Typed field_of_subject(const Subject& subject, const ast::Name& name, Scope& s);
  Typed field_of_alias(const Alias& alias, const ast::Name& name, Scope& s, Op op);
  std::optional<std::vector<FieldRef>> field_refs(const std::vector<EventTypeId>& events, const ast::Name& name,
                                                  Type& type, const Scope& s);
  std::pair<Typed, Typed> check_sides(const ast::Expr& l, const ast::Expr& r, Scope& s);
  /// Whether the two may be compared; literals are brought to the other side's type. One message when not.
  bool fit(Typed& left, Typed& right, const ast::Expr& l, const ast::Expr& r, const std::string& doing);
  bool adopt(Typed& literal, const Type& type, Span span);
  const Alias* find_alias(std::string_view name, const Scope& s) const;
  const Alias* group_in(const ast::Expr& e, const Scope& s) const;
  bool names_unknown_alias(const ast::Expr& e, const Scope& s) const;
  Typed unknown_alias(const ast::Expr& e, Scope& s);
  std::string described(const Typed& t, const ast::Expr& e) const;
  std::string type_words(const Type& type) const;
  Value text_value(std::string text);
  std::optional<event::Network> network_literal(const ast::Expr& literal);
  void fold(Expr& e) const;
  void warn_optional(const ast::Expr& whole, const ast::Expr& e, const Scope& s, bool negative,
                     const std::set<std::string>& guarded);
  void warn_never(const Expr& condition, Span span, bool is_when, const Scope& s);
  const event::FieldDef* optional_field_of(const ast::Expr& e, const Scope& s);

  // ------------------------------------------------ rules and policies (check_rule.cpp)
  /// `role`: of a stream that takes one type of event under several roles, which of them; the rule is checked, and judged, once for
  /// each (W4). False when it could not be looked at; then it is not in the book.
  bool check_rule(const ast::RuleDecl& decl, Span span, std::size_t role = 0);
  bool check_sequence(const ast::Sequence& written, Span word, Rule& rule, const ast::RuleDecl& decl,
                      std::vector<Alias>& aliases, Subject& completing);
  bool step_source(EventTest& test, const ast::EventName& name, const std::optional<ast::Name>& via,
                   const ast::RuleDecl& decl, Rule& rule);
  /// Features in a step's conditions that also look at other steps become fields of the event, so that they stay as of it (W3).
  void settle_features(Expr& condition, const EventTest& test);
  FieldIndex unnamed_field(EventTypeId event, std::string name, Expr value, Span span);
  bool step_where(EventTest& test, const std::optional<ast::Expr>& where, const std::optional<ast::Name>& alias,
                  const std::vector<Alias>& others, const Rule& rule);
  void warn_unbounded(const Rule& rule, Span span);
  bool alias_hides(const ast::Name& name, const std::vector<EventTypeId>& events, const Rule& rule);
  void check_because(const ast::Clause& clause, Scope& s, Rule& rule);
  void check_alert_once(const ast::Clause& clause, Scope& s, Rule& rule);
  std::optional<Expr> key_of_hit(const ast::Key& key, const Rule& rule, Scope& s, KeyPart& part);
  void check_alert_clauses();
  void check_resolve(const ast::Clause& clause, const ast::RuleDecl& decl, Rule& rule);
  void check_suppressed(const ast::Clause& clause, Rule& rule);
  void check_label(const ast::Clause& clause, Scope& s, Rule& rule);
  void check_add(const ast::Clause& clause, Scope& s, Rule& rule);
  void check_rollout(const ast::Clause& clause, Scope& s, Rule& rule);
  void check_switches();
  void check_policy(const ast::PolicyDecl& decl, Span span);
  void check_decided();
  void warn_late(const std::string& event, Span span);
  void check_circles();
  std::optional<Duration> positive_duration(const ast::Text& text, Code code, const std::string& what);

  // ------------------------------------------------ samples and tests (check_sample.cpp)
  bool event_or_sample(const ast::EventName& name, SampleInfo& out);
  const SampleInfo* sample_of(std::size_t index, Span use);
  bool fill_object(const ast::Object& object, EventTypeId event, std::vector<Value>& values, bool& key_given,
                   bool& time_given);
  void check_test(const ast::TestDecl& decl, Span span);
  bool check_state(const ast::TestStep& step, TestStep& out);
  std::optional<Expr> entity_value(const ast::Name& kind, const ast::Text& text);
  std::optional<Value> object_value(const ast::Expr& e, const event::FieldDef& field);
  /// Whether `missing` stands for a field: a sample without what the one it is made of has.
  bool left_out(const ast::Expr& e, const event::FieldDef& field) const;

  const SourceSet& sources_;
  const std::vector<ast::File>& files_;
  Diagnostics& diagnostics_;
  const CheckOptions& options_;
  Rulebook book_;
  Contradictions contradictions_{book_};
  int silent_ = 0;
  std::size_t nodes_ = 0;
  Diagnostic ignored_;
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, int>> reported_;

  std::map<std::string, NameEntry, std::less<>> names_;
  std::map<std::string, std::size_t, std::less<>> lists_;
  std::map<std::string, Span, std::less<>> list_spans_;
  std::set<std::string, std::less<>> poison_lists_;
  std::set<std::pair<std::string, std::string>> failed_fields_;  // event and field whose type is unknown
  std::set<std::string, std::less<>> hit_circles_;               // rules that need their own hits
  std::set<std::string, std::less<>> poison_lets_;               // of the rule at hand: did not type
  std::map<std::string, std::size_t, std::less<>> table_ids_;
  std::set<std::string, std::less<>> poison_tables_;
  std::uint32_t questions_ = 0;           // that tests ask so far
  std::string data_path_;                 // of the data file read last, as messages name it
  bool deferred_ = false;                 // a feature names a field: its types are known only where it is used
  std::string wanted_by_;                 // what an enumeration's value is compared with, as written; for its message
  bool default_policies_unsure_ = false;  // a policy did not resolve: which events it decides is unknown
  int level_ = 0;                         // of check_expr within itself, definitions included
  std::vector<std::vector<Span>> field_spans_;  // per event type and field
  std::vector<StreamInfo> streams_;
  std::vector<DerivedInfo> derived_;
  std::map<std::pair<EventTypeId, FieldIndex>, std::size_t> derived_at_;
  std::map<std::pair<EventTypeId, std::string>, FieldIndex> computed_keys_;  // by what is computed
  std::vector<FeatureInfo> features_;
  std::vector<ParamInfo> params_;
  std::set<std::size_t> switches_named_;  // by a rule, in a clause or a condition
  std::vector<SampleInfo> samples_;
  std::vector<std::pair<const ast::RuleDecl*, Span>> rules_;
  std::map<std::string, Progress, std::less<>> rule_progress_;
  std::map<std::string, std::size_t, std::less<>> rule_order_;  // name to index in the book, which is in name order
  std::set<std::string, std::less<>> tags_;
  std::map<std::string, AggregateId> aggregate_ids_;                  // by meaning
  std::map<std::pair<std::string, std::string>, LabelId> label_ids_;  // by kind and name
  std::vector<std::string> working_;                                  // what is being worked out, outermost first
  std::map<EventTypeId, std::set<Action>> decided_actions_;
  std::map<EventTypeId, Span> decided_;  // event types that rules decide on, and where
  std::map<EventTypeId, std::pair<std::string, Span>> policies_;
};

std::string quoted(std::string_view name);
std::string joined(const std::vector<std::string>& names, std::string_view separator = ", ");
std::string and_joined(const std::vector<std::string>& names);
std::string number_word(std::size_t n);
bool is_number(const Type& type);
Type type_of(TypeKind kind);
Typed constant(Value value, Type type, Span span);
Expr make(Op op, Type type, Span span, std::vector<Expr> args = {});

}  // namespace tocsin::dsl::detail
