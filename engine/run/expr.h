// Expressions as run: all nodes of all expressions of a ruleset in one flat array, children before parents, evaluated by one
// function with every case in view. Three-valued (LANGUAGE V2): unknown and missing are one value. No allocation: results are
// 24-byte values, texts are views.
//
// Aggregates are read in two ways. On the path of an event they were read in the feature stratum and stand in the event's row
// (`row_read`). After a sequence, and at deadlines, they are asked for as of a moment under a key (`late_read`), which is rarer
// and slower.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/arena.h"
#include "base/check.h"
#include "engine/run/strings.h"
#include "engine/run/tables.h"
#include "event/event.h"
#include "nfa/pattern.h"

namespace tocsin::engine {

using CodeId = std::uint32_t;  // index of a root node
inline constexpr CodeId no_code = 0xffffffffU;

enum class NodeOp : std::uint8_t {
  constant,
  field,        // of the subject; a: field index, or (flag) a: first of b entries in `field_refs`
  row_read,     // a: slot in the subject's row
  late_read,    // a: aggregate; children: key parts, before them (flag) the value looked for in a set
  place_field,  // a: place; fields as in `field_refs` [b, b + c)
  group_first,
  group_last,
  group_count,   // a: place
  some,          // a: place; child 0
  member_field,  // fields as in `field_refs` [b, b + c)
  group_aggregate,  // a: place; b: GroupFunction; child 0 per member; flag: of the gaps between them; value: of a percentile
  rule_key,         // a: part
  not_,
  and_,
  or_,
  compare,     // b: Comparison; children 0, 1
  in_values,   // child 0 in children 1…; networks [a, a + b) too
  in_group,    // child 0 in the values of child 1 (group_values) over place a
  in_list,     // a: list; child 0; flag: entries put by shadow rules too
  has_label,   // a: label; child 0; flag: labels put by shadow rules too
  switch_,     // a: switch
  in_rollout,  // a: share of 10,000; value: name of the rule; child 0
  choose,      // child 0 ? child 1 : child 2
  in_range,    // children 0, 1, 2; flag: half open
  is_missing,
  contains,
  starts_with,
  ends_with,   // children 0, 1
  text_match,  // a: pattern; b: scan + 1, or 0 when it is asked alone; c: bit in the scan; child 0
  add,
  subtract,
  multiply,
  divide,
  remainder,
  negate,
  coalesce,
  money_as,  // currency; a: the field whose event's time says which rates, no_code: the context's moment; b: the table of rates
  table_column,  // a: table, b: column; children: the key
  function,      // a: event::Function; children
  ip_flag,       // a: table + 1; b: its column; children: address, flag
  score,
  any_rule_decides,  // a: action
  any_rule_tagged,   // text
};

enum class Comparison : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };
enum class GroupFunction : std::uint8_t {
  count,
  sum,
  avg,
  min,
  max,
  first,
  last,
  distinct,
  variance,
  stddev,
  cv,
  percentile,
  entropy,
};

struct FieldOf {
  event::EventTypeId event = 0;
  event::FieldIndex field = 0;
  bool operator==(const FieldOf&) const = default;
};

struct Node {
  NodeOp op = NodeOp::constant;
  bool flag = false;
  event::Currency currency;
  std::uint32_t a = 0, b = 0, c = 0;
  std::uint32_t first_child = 0;  // in `children`
  std::uint32_t child_count = 0;
  event::Value value;  // constant; any_rule_tagged: the tag; group_aggregate: the number of a percentile
};

/// What a node is made from, for people: its place in the rule files and the type of its value.
struct Origin {
  std::uint32_t file = 0, begin = 0, end = 0;  // bytes; begin == end: nobody wrote it
  event::Type type;
  event::Mask mask = event::Mask::none;  // of its value; only when the ruleset explains
};

/// All expressions of a ruleset.
struct Codes {
  std::vector<Node> nodes;
  std::vector<std::uint32_t> children;
  std::vector<FieldOf> field_refs;
  std::vector<event::Network> networks;
  std::vector<bool> switches;
  std::vector<Origin> origins;  // by node
};

class Facts;

/// A list as it is now: values by content, networks by scan.
class ListState {
 public:
  void add(const event::Value& value);  // texts are copied
  void add(const event::Network& network) { networks_.push_back(network); }
  [[nodiscard]] bool contains(const event::Value& value) const;

 private:
  struct Entry {
    event::Value value;
  };
  struct Hash {
    std::size_t operator()(const Entry& e) const { return event::hash_of(e.value); }
  };
  struct Same {
    bool operator()(const Entry& x, const Entry& y) const { return event::same(x.value, y.value); }
  };
  std::unordered_set<Entry, Hash, Same> values_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<event::Network> networks_;
};

/// Answers an aggregate as of the context's moment.
class AggregateReader {
 public:
  virtual ~AggregateReader() = default;
  /// `probe`: the value looked for, of a set; else nullptr.
  virtual event::Value read(std::uint32_t aggregate, std::span<const event::Value> key, const event::Value* probe) = 0;
};

/// What an expression may look at. Only the members its place in the rule allows are set.
struct Context {
  const event::Event* subject = nullptr;
  std::span<const event::Value> row;                             // the subject's aggregate reads
  std::span<const std::span<const event::Event* const>> places;  // bound events per place
  std::span<const event::Value> rule_key;
  std::span<const ListState> lists;
  std::span<const TableState> tables;
  std::optional<Timestamp> moment;  // as of which tables are read; nothing: the subject's time
  const Facts* facts = nullptr;
  Timestamp now;  // the moment as of which labels and entries of lists are asked
  AggregateReader* reader = nullptr;
  TextMatcher* texts = nullptr;
  Arena* arena = nullptr;                // for texts that functions make
  const event::Event* member = nullptr;  // inside `some` and group functions
  // policies
  event::Value score;
  std::uint32_t actions_decided = 0;  // bit per Action
  std::span<const std::string_view> tags_fired;
};

event::Value evaluate(const Codes& codes, CodeId code, Context& context);

/// Sees an evaluation node by node. What a node is asked for several members of a group, it is told several times.
class EvaluationSink {
 public:
  virtual ~EvaluationSink() = default;
  virtual void enter(CodeId node, const Context& context) = 0;
  virtual void leave(CodeId node, const Context& context, const event::Value& value) = 0;
};
/// The same evaluation, told to `sink`; of `and` and `or` also the operands that cannot change the answer any more.
event::Value evaluate(const Codes& codes, CodeId code, Context& context, EvaluationSink& sink);

/// SEMANTICS E5: FNV-1a-64 of "rule:value" modulo 10,000 (Fowler, Noll, Vo; draft-eastlake-fnv), below `share`. A missing value is
/// in no share.
bool in_rollout(std::string_view rule, const event::Value& value, std::uint32_t share);

/// True only when the expression is true.
inline bool is_true(const event::Value& v) { return v.kind == event::Kind::boolean && v.low != 0; }

/// -: unknown; warming bounds settle what they can (LANGUAGE W11).
event::Value compare(Comparison comparison, const event::Value& a, const event::Value& b);

/// For conditions across events that the matcher answers (nfa/pattern.h): of two values of one field type the same numbers are in
/// the same order; texts and addresses are digests, good for equality alone.
nfa::Value compared_value(const event::Value& value);

/// The values of a group's members for a text placeholder.
std::vector<event::Value> group_values(const Codes& codes, CodeId code, Context& context);

/// The first field, in written order, that the expression reads from its subject or a bound event and that is missing there.
/// Nothing: what is unknown is no field (a window, a table, a calculation).
std::optional<FieldOf> first_missing_field(const Codes& codes, CodeId code, const Context& context);

}  // namespace tocsin::engine
