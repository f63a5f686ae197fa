#include "engine/run/trace.h"

#include <algorithm>
#include <functional>

#include "engine/run/engine_state.h"
#include "event/mask.h"
#include "event/pack.h"
#include "nfa/search.h"
#include "state/key.h"

namespace tocsin::engine {

using event::Kind;
using event::Value;

std::string on_one_line(std::string_view written) {
  std::string text;
  bool comment = false;
  bool in_text = false;
  for (const char c : written) {
    if (c == '"' && !comment) in_text = !in_text;
    if (c == '\n') comment = false;
    if (c == '#' && !in_text) comment = true;
    if (comment) continue;
    if (in_text || (c != ' ' && c != '\t' && c != '\r' && c != '\n')) {
      text += c;
    } else if (!text.empty() && text.back() != ' ') {
      text += ' ';
    }
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

namespace {

/// Exact, where texts for alerts round: a near miss may be one in the third place.
std::string exact(const Value& v, const event::Type& type, const event::Schema& schema) {
  if (v.kind == Kind::number) return to_text(v.number());
  if (v.kind == Kind::money) return to_text(v.number()) + " " + event::to_text(v.currency);
  return event::shown(v, type, schema);
}

std::string seen(const Value& v, const event::Type& type, event::Mask mask, const event::Schema& schema) {
  const bool whole = mask == event::Mask::none || type.kind == event::TypeKind::boolean;
  return whole ? exact(v, type, schema) : event::masked_text(mask, v);
}

TracedEvent traced(const event::Event& e, const event::Schema& schema) {
  const event::EventType& type = schema.events[e.type];
  return {type.name, std::string(e.at(type.key).text()), e.time, e.late};
}

std::string named(const TracedEvent& e) { return e.type + " " + e.id; }

/// Takes down one expression.
class NodeSink final : public EvaluationSink {
 public:
  NodeSink(Engine::State& engine, state::Moment moment, bool deadline, std::span<const NamedCode> lets)
      : engine_(engine), moment_(moment), deadline_(deadline), lets_(lets) {}

  TracedNode take() { return std::move(root_); }

  void enter(CodeId, const Context&) override { open_.emplace_back(); }

  void leave(CodeId code, const Context& context, const Value& value) override {
    Frame frame = std::move(open_.back());
    open_.pop_back();
    const Node& node = codes().nodes[code];
    const Origin& origin = codes().origins[code];
    TracedNode& out = frame.node;
    out.text = text_of(origin);
    const auto let = std::find_if(lets_.begin(), lets_.end(), [&](const NamedCode& l) { return l.code == code; });
    const bool by_name = !open_.empty() && let != lets_.end();  // its own clause tells what it is
    if (by_name) out.text = let->name;
    if (node.op == NodeOp::and_) out.join = TracedNode::Join::all;
    if (node.op == NodeOp::or_) out.join = TracedNode::Join::any;
    const bool condition = origin.type.kind == event::TypeKind::boolean;
    if (condition) out.truth = value.is_missing() ? Truth::unknown : value.boolean() ? Truth::yes : Truth::no;
    const bool masked = origin.mask != event::Mask::none && !condition;
    out.json = masked ? event::masked_json(origin.mask, value) : event::json_text(value, origin.type, schema());
    out.shown =
        value.is_missing() ? (condition ? "unknown" : "missing") : seen(value, origin.type, origin.mask, schema());
    if (value.bound == event::Bound::at_least) out.shown = "at least " + out.shown;
    if (value.bound == event::Bound::at_most) out.shown = "at most " + out.shown;
    out.reason = reason_of(node, context, value, frame, out.window);
    if (by_name) {
      out.window.reset();
      out.children.clear();
      out.join = TracedNode::Join::none;
    }
    // `is not missing` is two nodes and one condition.
    if (node.op == NodeOp::not_ && out.children.size() == 1 && out.children.front().text == out.text) {
      std::vector<TracedNode> operands = std::move(out.children.front().children);
      out.children = std::move(operands);
    }
    // A rollout asks the same of the live and of the shadow world, and takes one: that one is the answer.
    if (node.op == NodeOp::choose && !out.children.empty()) out = TracedNode(std::move(out.children.back()));
    if (open_.empty()) {
      root_ = std::move(out);
      return;
    }
    open_.back().values.push_back(value);
    if (!is_literal(node, out)) open_.back().node.children.push_back(std::move(out));
  }

 private:
  struct Frame {
    TracedNode node;
    std::vector<Value> values;  // of the operands
  };

  const Codes& codes() const { return engine_.ruleset->codes; }
  const event::Schema& schema() const { return engine_.ruleset->schema; }

  std::string text_of(const Origin& origin) const {
    const auto& files = engine_.ruleset->files;
    if (origin.file >= files.size() || origin.begin >= origin.end) return {};
    const std::string& text = *files[origin.file].text;
    if (origin.end > text.size()) return {};
    return on_one_line(std::string_view(text).substr(origin.begin, origin.end - origin.begin));
  }

  /// A constant that says no more than it is; a parameter has a name besides.
  static bool is_literal(const Node& node, const TracedNode& out) {
    if (node.op != NodeOp::constant || node.value.is_missing()) return false;
    const char c = out.text.empty() ? '"' : out.text.front();
    return c == '"' || c == '-' || (c >= '0' && c <= '9') || out.text == out.shown;
  }

  std::string missing_field(const event::Event* e, std::span<const FieldOf> fields) const {
    if (e == nullptr) return "the step has no event";
    for (const FieldOf& f : fields) {
      if (f.event != e->type) continue;
      return "`" + schema().events[e->type].fields[f.field].name + "` is missing in " + named(traced(*e, schema()));
    }
    return schema().events[e->type].name + " has no such field";
  }
  std::span<const FieldOf> refs(std::uint32_t first, std::uint32_t count) const {
    return std::span(codes().field_refs).subspan(first, count);
  }

  std::string warming(const TracedWindow& window) const {
    return window.warming_until ? "warming until " + to_text(*window.warming_until) : std::string();
  }

  /// What an aggregate was asked under, and what it holds.
  std::string window_reason(std::uint32_t aggregate, std::span<const Value> key, std::span<const event::Mask> masks,
                            const Value& value, std::optional<TracedWindow>& out) {
    const AggregatePlan& plan = engine_.ruleset->aggregates[aggregate];
    const ColumnPlan& column = engine_.ruleset->columns[plan.column];
    const KeySpace& space = engine_.ruleset->keyspaces[column.keyspace];
    const state::Window& window = column.layout.windows[plan.window];
    TracedWindow& told = out.emplace();
    told.definition = on_one_line(plan.text);
    std::string lacks;
    std::string bytes;
    for (std::size_t i = 0; i < key.size(); ++i) {
      const bool missing = key[i].is_missing();
      if (missing) lacks += (lacks.empty() ? "" : ", ") + space.parts[i].name;
      told.key += (i == 0 ? "" : ", ") + space.parts[i].name + " " +
                  (missing ? "missing" : seen(key[i], space.parts[i].type, masks[i], schema()));
      state::append_key_part(bytes, key[i]);
    }
    if (!lacks.empty()) return "no " + lacks + ", so there is no key to look under";
    const Timestamp begins = engine_.begins_of(column.layout.fingerprint);
    const std::uint64_t hash = hash64(bytes);
    const KeyState* found = engine_.table_of(column.keyspace, hash).find(hash, bytes);
    if (found != nullptr && !found->columns.empty()) {
      const state::Column::Content content =
          found->columns[column.slot].content(column.layout, plan.window, {moment_, begins, nullptr, deadline_});
      told.entries = content.entries;
      told.first = content.first;
      told.last = content.last;
    }
    if (window.first_time(moment_.time) < begins) told.warming_until = window.known_from(begins);
    if (!warming(told).empty()) return warming(told);
    if (value.is_missing() && told.entries == 0) return "nothing in the window";
    return {};
  }

  std::string row_reason(const Node& node, const Context& context, const Value& value,
                         std::optional<TracedWindow>& out) {
    const event::Event& subject = *context.subject;
    const TypePlan& type = engine_.ruleset->types[subject.type];
    const Read* read = nullptr;
    for (const TypeStratum& stratum : type.strata) {
      for (const Read& r : stratum.reads_before) read = r.slot == node.a ? &r : read;
      for (const Read& r : stratum.reads_last) read = r.slot == node.a ? &r : read;
    }
    if (read == nullptr) return {};
    std::vector<Value> key;
    std::vector<event::Mask> masks;
    if (read->key_use) {
      for (const event::FieldIndex field : type.key_uses[*read->key_use].fields) {
        key.push_back(subject.values[field]);
        masks.push_back(schema().events[subject.type].fields[field].mask);
      }
    } else {
      Context own = context;
      for (const CodeId part : read->key) {
        key.push_back(evaluate(codes(), part, own));
        masks.push_back(codes().origins[part].mask);
      }
    }
    std::string reason = window_reason(read->aggregate, key, masks, value, out);
    return subject.late ? "windows are not read for a late event" : reason;
  }

  std::string reason_of(const Node& node, const Context& context, const Value& value, const Frame& frame,
                        std::optional<TracedWindow>& window) {
    if (node.op == NodeOp::row_read) return row_reason(node, context, value, window);
    if (node.op == NodeOp::late_read) {
      // Before the key stands the value looked for in a set.
      const std::uint32_t probes = node.flag ? 1 : 0;
      std::vector<event::Mask> masks;
      for (std::uint32_t i = probes; i < node.child_count; ++i) {
        masks.push_back(codes().origins[codes().children[node.first_child + i]].mask);
      }
      return window_reason(node.a, std::span(frame.values).subspan(probes), masks, value, window);
    }
    if (!value.is_missing()) return {};
    const bool operand_missing =
        std::any_of(frame.values.begin(), frame.values.end(), [](const Value& v) { return v.is_missing(); });
    const bool warms = std::any_of(frame.values.begin(), frame.values.end(),
                                   [](const Value& v) { return v.bound != event::Bound::exact; });
    const auto event_of = [&](bool last) -> const event::Event* {
      const auto& bound = context.places[node.a];
      return bound.empty() ? nullptr : last ? bound.back() : bound.front();
    };
    switch (node.op) {
      case NodeOp::field:
        if (node.flag) return missing_field(context.subject, refs(node.a, node.b));
        return "`" + schema().events[context.subject->type].fields[node.a].name + "` is missing in " +
               named(traced(*context.subject, schema()));
      case NodeOp::place_field:
      case NodeOp::group_first: return missing_field(event_of(false), refs(node.b, node.c));
      case NodeOp::group_last: return missing_field(event_of(true), refs(node.b, node.c));
      case NodeOp::member_field: return missing_field(context.member, refs(node.b, node.c));
      case NodeOp::constant: return "events of this type have no such field";
      case NodeOp::group_aggregate: return frame.values.empty() || operand_missing ? "no member has a value" : "";
      case NodeOp::divide:
      case NodeOp::remainder:
        if (operand_missing) return {};
        if (warms) return "a warming value cannot be calculated with";
        return frame.values.size() == 2 && frame.values[1].number().units == 0 ? "division by zero"
                                                                               : "the result does not fit a number";
      case NodeOp::add:
      case NodeOp::subtract:
      case NodeOp::multiply:
      case NodeOp::negate:
        if (operand_missing) return {};
        if (warms) return "a warming value cannot be calculated with";
        if (frame.values.size() == 2 && frame.values[0].kind == Kind::money && frame.values[1].kind == Kind::money &&
            frame.values[0].currency != frame.values[1].currency) {
          return "the currencies differ";
        }
        return "the result does not fit a number";
      case NodeOp::money_as:
        if (operand_missing || frame.values.empty()) return {};
        if (warms) return "a warming value cannot be converted";
        return "no rate at that time from " + event::to_text(frame.values[0].currency) + " to " +
               event::to_text(node.currency);
      case NodeOp::function:
        if (operand_missing) return {};
        return warms ? "a warming value cannot be calculated with" : "the function has no answer for these values";
      case NodeOp::compare:
      case NodeOp::in_range:
        if (operand_missing) return {};
        if (warms) return "what is known so far does not settle it";
        return "the values do not compare";
      case NodeOp::table_column: return operand_missing ? "" : "the table has no row for it at that time";
      case NodeOp::not_:
      case NodeOp::and_:
      case NodeOp::or_:
      case NodeOp::some:
      case NodeOp::in_values:
      case NodeOp::in_list:
      case NodeOp::has_label:
      case NodeOp::in_rollout:
      case NodeOp::choose:
      case NodeOp::ip_flag:
      case NodeOp::text_match:
      case NodeOp::contains:
      case NodeOp::starts_with:
      case NodeOp::ends_with:
      case NodeOp::coalesce: return {};  // of an operand
      case NodeOp::in_group: return operand_missing ? "" : "it is missing in a member of the group";
      case NodeOp::rule_key: return "the key is missing";
      case NodeOp::row_read:
      case NodeOp::late_read:
      case NodeOp::group_count:
      case NodeOp::switch_:
      case NodeOp::is_missing:
      case NodeOp::score:
      case NodeOp::any_rule_decides:
      case NodeOp::any_rule_tagged: return {};  // never missing, or told above
    }
    return {};
  }

  Engine::State& engine_;
  state::Moment moment_;
  bool deadline_;
  std::span<const NamedCode> lets_;
  std::vector<Frame> open_;
  TracedNode root_;
};

/// Everything of one place in a rule that can be evaluated.
class Clauses {
 public:
  Clauses(Engine::State& engine, Context& context, state::Moment moment, bool deadline, const RuleVariant* variant)
      : engine_(engine), context_(context), moment_(moment), deadline_(deadline), variant_(variant) {}

  TracedNode node(CodeId code) {
    NodeSink sink(engine_, moment_, deadline_,
                  variant_ == nullptr ? std::span<const NamedCode>{} : variant_->let_values);
    evaluate(engine_.ruleset->codes, code, context_, sink);
    return sink.take();
  }
  void add(TracedClause::Kind kind, CodeId code, std::string name = {}) {
    if (code != no_code) list.push_back({kind, std::move(name), node(code), false});
  }
  void lets_and_when() {
    for (const NamedCode& let : variant_->let_values) add(TracedClause::Kind::let, let.code, let.name);
    add(TracedClause::Kind::when, variant_->when);
  }
  void outputs(Timestamp at) {
    for (const ExceptPlan& except : variant_->excepts) {
      add(TracedClause::Kind::except, except.when, except.name);
      list.back().over = except.until && at >= *except.until;
    }
    add(TracedClause::Kind::decide, variant_->decide_when);
    add(TracedClause::Kind::score, variant_->score);
  }

  std::vector<TracedClause> list;

 private:
  Engine::State& engine_;
  Context& context_;
  state::Moment moment_;
  bool deadline_;
  const RuleVariant* variant_;
};

}  // namespace

/// What was seen of one key.
struct Tracer::KeyTrace {
  struct Seen {
    std::string packed;
    nfa::Occurrence occurrence;  // event: index into `seen` plus `forgotten`
    std::unique_ptr<nfa::PredicateBits> bits;
    std::vector<std::pair<std::uint32_t, std::vector<TracedClause>>> wheres;  // by test
  };
  std::vector<Seen> seen;  // in the total order
  std::uint64_t numbered = 0;
  nfa::Place floor;
  std::vector<Timestamp> used_up_at;
  bool forgot = false;
};

namespace {

/// The matcher's questions about events that the tracer kept.
class TraceHost final : public MatchHost {
 public:
  using Unpack = std::function<const event::Event*(std::uint64_t)>;
  TraceHost(Engine::State& engine, const PatternPlan& pattern, KeyState& key, std::string_view bytes, Unpack unpack)
      : MatchHost(engine, pattern, key, bytes), unpack_(std::move(unpack)) {}
  const event::Event* event_at(std::uint64_t position) override { return unpack_(position); }
  /// Its pattern has guards for them, of which one may be taken away.
  bool confirms(const nfa::Match&) override { return true; }

 private:
  Unpack unpack_;
};

std::string key_text(const Engine::State& engine, const PatternPlan& pattern, std::string_view bytes) {
  const std::optional<std::vector<Value>> values = state::decode_key(bytes);
  const KeySpace& space = engine.ruleset->keyspaces[pattern.keyspace];
  const RulePlan& rule = engine.ruleset->rules[pattern.rule];
  std::string text;
  for (std::size_t i = 0; values && i < values->size(); ++i) {
    text += (i == 0 ? "" : ", ") + rule.key_names[i] + " " +
            seen((*values)[i], space.parts[i].type, rule.key_masks[i], engine.ruleset->schema);
  }
  return text;
}

}  // namespace

Tracer::Tracer(Wanted wanted) : wanted_(std::move(wanted)) {}
Tracer::~Tracer() = default;

bool Tracer::asked_about(const Engine::State& engine, const event::Event& e) const {
  if (!wanted_.event_id) return true;
  if (wanted_.event_type && e.type != *wanted_.event_type) return false;
  return e.at(engine.ruleset->schema.events[e.type].key).text() == *wanted_.event_id;
}

Account* Tracer::account_of(std::uint64_t release) {
  const auto at = account_by_release_.find(release);
  return at == account_by_release_.end() ? nullptr : &accounts[at->second];
}

bool Tracer::waits() const { return !waiting_.empty(); }

void Tracer::dropped(Engine::State& engine, const event::Event& e) {
  if (wanted_.event_id && asked_about(engine, e)) ++duplicates;
}

void Tracer::released(Engine::State& engine, BatchEvent& e) {
  const Ruleset& rules = *engine.ruleset;
  const TypePlan& type = rules.types[e.event.type];
  const RulePlan& rule = rules.rules[wanted_.rule];
  if (e.release < wanted_.from_release || !asked_about(engine, e.event)) {
    if (rule.pattern && wanted_.misses) see(engine, e, rules.patterns[*rule.pattern], nullptr);
    return;
  }
  account_by_release_[e.release] = accounts.size();
  Account& account = accounts.emplace_back();
  account.event = traced(e.event, rules.schema);
  for (const OnRule& on : type.on_rules) {
    if (on.rule != wanted_.rule) continue;
    account.concerned = true;
    account.fires = e.bits->test(on.fires) && !e.event.late;
    const RuleVariant& variant = rule.variants[on.variant];
    Context context = engine.context_at(sees_as_of(e));
    context.subject = &e.event;
    context.row = e.row;
    Clauses clauses(engine, context, {e.event.time, e.release}, false, &variant);
    clauses.add(TracedClause::Kind::stream, variant.member);
    clauses.lets_and_when();
    clauses.outputs(e.event.time);
    account.clauses = std::move(clauses.list);
  }
  if (rule.pattern) see(engine, e, rules.patterns[*rule.pattern], &account);
}

/// Under each key under which the event belongs to the sequence: it is kept, and if somebody asks about it gets a page. Whether the
/// matcher looks at it or not: an event whose own condition is false is the nearest miss there is.
void Tracer::see(Engine::State& engine, BatchEvent& e, const PatternPlan& pattern, Account* account) {
  const Ruleset& rules = *engine.ruleset;
  const TypePlan& type = rules.types[e.event.type];
  const std::uint32_t index = *rules.rules[pattern.rule].pattern;
  std::map<std::string_view, nfa::PredicateBits> by_key;  // one event may belong to one key under several roles
  for (const Route& route : type.routes) {
    const auto entry = std::find_if(route.patterns.begin(), route.patterns.end(),
                                    [&](const Route::Entry& p) { return p.pattern == index; });
    if (entry == route.patterns.end()) continue;
    if (account != nullptr) account->concerned = true;
    const KeyAt& key = engine.key_of(e, route.key_use);
    if (!key.valid) {
      for (const event::FieldIndex field : type.key_uses[route.key_use].fields) {
        if (account == nullptr || !e.event.values[field].is_missing()) continue;
        account->missing_key.push_back(rules.schema.events[e.event.type].fields[field].name);
      }
      continue;
    }
    if (account != nullptr) keys.emplace(key.bytes);
    std::vector<std::uint64_t>& words = by_key[key.bytes].words();
    words.resize(std::max(words.size(), e.bits->words().size()));
    Engine::State::add_bits_of_role(*entry, *e.bits, by_key[key.bytes]);
  }
  if (!wanted_.misses) return;
  for (const auto& [bytes, bits] : by_key) {
    if (!wanted_.keys || wanted_.keys->contains(std::string(bytes)))
      see_under(engine, e, pattern, bytes, bits, account);
  }
}

namespace {

std::string key_bytes(const event::Event& e, const std::vector<event::FieldIndex>& fields) {
  std::string bytes;
  for (const event::FieldIndex field : fields) state::append_key_part(bytes, e.at(field));
  return bytes;
}

}  // namespace

void Tracer::see_under(Engine::State& engine, BatchEvent& e, const PatternPlan& pattern, std::string_view bytes,
                       const nfa::PredicateBits& bits, Account* account) {
  KeyTrace::Seen seen;
  seen.bits = std::make_unique<nfa::PredicateBits>(2 * pattern.tests.size());
  Context context = engine.context_at(sees_as_of(e));
  context.subject = &e.event;
  context.row = e.row;
  std::vector<TracedTest> tests;
  bool of_any = false;
  for (std::uint32_t t = 0; t < pattern.tests.size(); ++t) {
    for (const TestPlan::OfType& of : pattern.tests[t].types) {
      if (of.type != e.event.type) continue;
      if (!of.key.empty() && key_bytes(e.event, of.key) != bytes) continue;  // under another role
      Clauses clauses(engine, context, {e.event.time, e.release}, false, nullptr);
      const bool of_role =
          of.key.empty() || of.member == no_code || is_true(evaluate(engine.ruleset->codes, of.member, context));
      const bool of_stream = of_role && bits.test(pattern.tests[t].stream);
      bool fits = of_stream;
      of_any = of_any || of_stream;
      if (of_stream) {
        clauses.add(TracedClause::Kind::where, of.where);
        fits = clauses.list.empty() || clauses.list.front().node.truth == Truth::yes;
        seen.bits->set(nfa::PredicateId{2 * t + 1});
        if (fits) seen.bits->set(nfa::PredicateId{2 * t});
        seen.wheres.emplace_back(t, clauses.list);
      } else if (account != nullptr) {
        clauses.add(TracedClause::Kind::stream, of.member);
      }
      if (account != nullptr) tests.push_back({t, of_stream, fits, std::move(clauses.list)});
    }
  }
  TracedKey* page = nullptr;
  if (account != nullptr && !tests.empty() && !e.event.late) {  // a late one takes no part, and that is told
    page = &account->keys.emplace_back();
    page->key = key_text(engine, pattern, bytes);
    page->tests = std::move(tests);
  }
  if (!of_any) return;
  auto& slot = traces_[std::string(bytes)];
  if (slot == nullptr) slot = std::make_unique<KeyTrace>();
  KeyTrace& trace = *slot;
  if (trace.seen.size() >= trace_events_max) {
    trace.seen.erase(trace.seen.begin(), trace.seen.begin() + trace_events_max / 2);
    trace.forgot = true;
  }
  event::pack(e.event, engine.ruleset->schema, seen.packed);
  seen.occurrence = {trace.numbered++, e.release, e.event.time, e.event.late, seen.bits.get(), {}};
  const nfa::Place here{e.event.time, e.release};
  const auto at =
      std::upper_bound(trace.seen.begin(), trace.seen.end(), here, [](nfa::Place p, const KeyTrace::Seen& s) {
        return p < nfa::Place{s.occurrence.time, s.occurrence.order};
      });
  trace.seen.insert(at, std::move(seen));
  if (page == nullptr) return;
  page->forgot = trace.forgot;
  open_.push_back({e.release, std::string(bytes), account->keys.size() - 1, {}, {}});
}

void Tracer::diagnose(Engine::State& engine) {
  const RulePlan& rule = engine.ruleset->rules[wanted_.rule];
  for (Open& open : open_) {
    Account* account = account_of(open.release);
    TracedKey& page = account->keys[open.page];
    KeyTrace& trace = *traces_.find(open.key)->second;
    open.floor = trace.floor;
    const bool matched =
        std::any_of(account->hits.begin(), account->hits.end(), [&](const TracedHit& h) { return h.key == page.key; });
    if (matched) continue;
    const PatternPlan& pattern = engine.ruleset->patterns[*rule.pattern];
    diagnose(engine, pattern, open, trace, page);
    const bool whole = page.miss && page.miss->step + 1 == pattern.pattern.steps.size() && page.miss->failures.empty();
    if (!whole || !pattern.program.waits()) continue;
    open.deadline = account->event.time + Duration{pattern.program.final_wait};
    page.waits_until = open.deadline;
    waiting_.push_back(open);
  }
  open_.clear();
}

void Tracer::diagnose(Engine::State& engine, const PatternPlan& pattern, const Open& open, KeyTrace& trace,
                      TracedKey& out) {
  const auto asked = std::find_if(trace.seen.begin(), trace.seen.end(),
                                  [&](const KeyTrace::Seen& s) { return s.occurrence.order == open.release; });
  if (asked == trace.seen.end()) return;  // forgotten
  const auto candidate = static_cast<std::size_t>(asked - trace.seen.begin());
  std::map<std::uint64_t, event::Event> unpacked;
  const auto seen_of = [&](std::uint64_t number) -> const KeyTrace::Seen* {
    const auto found = std::find_if(trace.seen.begin(), trace.seen.end(),
                                    [&](const KeyTrace::Seen& s) { return s.occurrence.event == number; });
    return found == trace.seen.end() ? nullptr : &*found;
  };
  const auto unpack = [&](std::uint64_t number) -> const event::Event* {
    const auto known = unpacked.find(number);
    if (known != unpacked.end()) return &known->second;
    const KeyTrace::Seen* seen = seen_of(number);
    if (seen == nullptr) return nullptr;
    const auto e = event::unpack(seen->packed, engine.ruleset->schema, engine.arena);
    return e ? &unpacked.emplace(number, *e).first->second : nullptr;
  };
  KeyState nothing;  // the tracer has the events, the host needs no log
  TraceHost host(engine, pattern, nothing, open.key, unpack);
  std::vector<nfa::Occurrence> occurrences;
  for (const KeyTrace::Seen& s : trace.seen) occurrences.push_back(s.occurrence);
  const std::optional<nfa::NearMiss> found = nfa::near_miss(pattern.pattern, occurrences, candidate, open.floor, host);
  out.miss.reset();
  if (!found) return;
  TracedMiss& miss = out.miss.emplace();
  miss.step = found->step;
  miss.reached = found->reached;
  miss.cut = found->cut;
  const auto event_named = [&](const nfa::Bound& b) {
    const event::Event* e = unpack(b.event);
    return e == nullptr ? TracedEvent{} : traced(*e, engine.ruleset->schema);
  };
  for (const auto& step : found->places.steps) {
    auto& to = miss.places.emplace_back();
    for (const auto& part : step) {
      auto& list = to.emplace_back();
      for (const nfa::Bound& b : part) list.push_back(event_named(b));
    }
  }
  const auto test_of = [&](std::uint32_t step, std::uint32_t part) {
    std::uint32_t t = part;
    for (std::uint32_t s = 0; s < step; ++s) t += static_cast<std::uint32_t>(pattern.pattern.steps[s].parts.size());
    return t;
  };
  nfa::Match match;
  match.places = found->places;
  match.places.steps.resize(pattern.pattern.steps.size());
  for (std::size_t s = 0; s < match.places.steps.size(); ++s) {
    match.places.steps[s].resize(pattern.pattern.steps[s].parts.size());
  }
  for (const nfa::Failure& f : found->failures) {
    TracedFailure& told = miss.failures.emplace_back();
    told.what = f;
    for (const nfa::Bound& b : f.events) told.events.push_back(event_named(b));
    const auto events = host.places_of(match.places);
    const std::vector<std::span<const event::Event* const>> places(events.begin(), events.end());
    Context context = engine.context_at({});
    context.places = places;
    context.rule_key = host.key_values();
    context.reader = &host;
    switch (f.clause) {
      case nfa::Clause::where: {
        const KeyTrace::Seen* seen = f.events.empty() ? nullptr : seen_of(f.events.back().event);
        const std::uint32_t test = test_of(f.step, f.part);
        for (std::size_t w = 0; seen != nullptr && w < seen->wheres.size(); ++w) {
          if (seen->wheres[w].first == test) told.clauses = seen->wheres[w].second;
        }
        break;
      }
      case nfa::Clause::condition: {
        const nfa::Condition& c = pattern.pattern.steps[f.step].parts[f.part].element.conditions[f.index];
        const nfa::Bound& tested = f.events.back();
        context.subject = unpack(tested.event);
        context.now = tested.time;
        if (context.subject == nullptr) break;
        const state::Moment moment{tested.time, tested.order};
        host.set_moment(moment, false);
        Clauses clauses(engine, context, moment, false, nullptr);
        clauses.add(TracedClause::Kind::where, pattern.guards[static_cast<std::size_t>(c.guard)]);
        told.clauses = std::move(clauses.list);
        break;
      }
      case nfa::Clause::accept: {
        const nfa::Bound last = match.last();
        match.at = last.time;
        if (pattern.program.waits()) {
          match.at = match.at + Duration{pattern.program.final_wait};
          match.by_deadline = true;
        }
        told.history =
            pattern.program.first_no_mask != 0 && match.first().time - Duration{pattern.program.first_no_wait} <
                                                      engine.begins_of(pattern.program.fingerprint);
        context.subject = unpack(last.event);
        if (context.subject == nullptr) break;
        context.now = match.at;
        if (match.by_deadline) context.moment = match.at;
        const state::Moment moment = host.moment_of(match);
        host.set_moment(moment, match.by_deadline);
        Clauses clauses(engine, context, moment, match.by_deadline,
                        &engine.ruleset->rules[pattern.rule].variants.front());
        clauses.lets_and_when();
        told.clauses = std::move(clauses.list);
        break;
      }
      case nfa::Clause::used_up: miss.used_up_at = trace.used_up_at; break;
      case nfa::Clause::absence:
      case nfa::Clause::until:
      case nfa::Clause::first:
      case nfa::Clause::next:
      case nfa::Clause::step_within:
      case nfa::Clause::row:
      case nfa::Clause::count:
      case nfa::Clause::part:
      case nfa::Clause::window:
      case nfa::Clause::missing: break;
    }
  }
}

void Tracer::matched(Engine::State& engine, const PatternPlan& pattern, const nfa::Match& match,
                     std::string_view key_bytes, Context& context, state::Moment moment, const PlacedHit& placed,
                     bool silenced) {
  if (pattern.rule != wanted_.rule) return;
  if (const auto trace = traces_.find(key_bytes); trace != traces_.end()) {
    const nfa::Place before = trace->second->floor;
    nfa::use_up(pattern.program, match, trace->second->floor);
    if (trace->second->floor != before) trace->second->used_up_at.push_back(match.at);
  } else if (wanted_.misses && (!wanted_.keys || wanted_.keys->contains(std::string(key_bytes)))) {
    auto fresh = std::make_unique<KeyTrace>();
    nfa::use_up(pattern.program, match, fresh->floor);
    if (fresh->floor != nfa::Place{}) fresh->used_up_at.push_back(match.at);
    traces_.emplace(std::string(key_bytes), std::move(fresh));
  }
  hit(engine, placed, context, moment, silenced);
  Account* account = account_of(placed.release);
  if (account == nullptr || account->hits.empty()) return;
  TracedHit& told = account->hits.back();
  told.by_deadline = match.by_deadline;
  told.truncated = match.truncated;
  told.key = key_text(engine, pattern, key_bytes);
  told.places.resize(pattern.pattern.steps.size());
  for (std::size_t s = 0; s < told.places.size(); ++s) told.places[s].resize(pattern.pattern.steps[s].parts.size());
  for (std::size_t place = 0; place < pattern.places.size(); ++place) {
    auto& to = told.places[pattern.places[place].step][pattern.places[place].part];
    for (const event::Event* e : context.places[place]) to.push_back(traced(*e, engine.ruleset->schema));
  }
  Clauses clauses(engine, context, moment, match.by_deadline, &engine.ruleset->rules[pattern.rule].variants.front());
  clauses.lets_and_when();
  clauses.outputs(match.at);
  told.clauses = std::move(clauses.list);
}

void Tracer::hit(Engine::State& engine, const PlacedHit& placed, Context& context, state::Moment, bool silenced) {
  if (placed.rule != wanted_.rule) return;
  Account* account = account_of(placed.release);
  if (account == nullptr) return;
  TracedHit& told = account->hits.emplace_back();
  told.at = placed.hit.at;
  const RulePlan& rule = engine.ruleset->rules[placed.rule];
  told.shadow = placed.hit.shadow;
  told.silenced = silenced;
  if (silenced) {
    if (rule.switched_off) return;
    for (const RuleVariant& variant : rule.variants) {
      if (!rule.pattern && context.subject != nullptr && variant.subject != context.subject->type) continue;
      for (const ExceptPlan& except : variant.excepts) {
        if (!told.silenced_by.empty() || (except.until && placed.hit.at >= *except.until)) continue;
        if (is_true(evaluate(engine.ruleset->codes, except.when, context))) told.silenced_by = except.name;
      }
    }
    return;
  }
  told.id = to_text(placed.hit.id);
  told.because = placed.hit.because;
  told.action = placed.hit.action;
  told.score = placed.hit.score;
}

void Tracer::alerted(const alerts::Hit& hit, const alerts::AlertOutcome& outcome) {
  const std::string id = to_text(hit.id);
  for (Account& account : accounts) {
    for (TracedHit& told : account.hits) {
      if (told.id != id) continue;
      told.alert = outcome.kind;
      if (outcome.kind != alerts::AlertOutcome::Kind::none) told.alert_id = to_text(outcome.alert);
    }
  }
}

void Tracer::decided(Engine::State& engine, const BatchEvent& e, const PolicyUse& use, Context& context,
                     const alerts::Decision& decision, std::span<const alerts::Hit* const> hits) {
  Account* account = account_of(e.release);
  if (account == nullptr) return;
  const alerts::Policy& policy = *decision.policy;
  TracedDecision& told = account->decision.emplace();
  told.policy = policy.name;
  told.is_default = policy.is_default;
  told.score = decision.score;
  told.action = decision.action;
  told.limited = decision.limited;
  told.reason = alerts::reason_of(decision, hits);
  for (const alerts::Hit* h : hits) {
    told.voices.push_back({h->rule->name, h->action, h->score, alerts::takes_part(*h)});
  }
  Clauses clauses(engine, context, {e.event.time, e.release}, false, nullptr);
  for (std::size_t i = 0; i < policy.lines.size(); ++i) {
    TracedDecision::Line line;
    line.text = policy.lines[i].text;
    line.won = decision.line == i + 1;
    if (i < use.lines.size() && use.lines[i] != no_code) {
      line.node = clauses.node(use.lines[i]);
      line.truth = line.node->truth;
    }
    told.lines.push_back(std::move(line));
  }
}

void Tracer::settle(Engine::State& engine) {
  const Timestamp watermark = engine.order.watermark();
  for (std::size_t i = 0; i < waiting_.size();) {
    if (!(waiting_[i].deadline < watermark)) {
      ++i;
      continue;
    }
    Open due = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    Account* account = account_of(due.release);
    TracedKey& page = account->keys[due.page];
    page.waits_until.reset();
    page.miss.reset();
    const bool hit =
        std::any_of(account->hits.begin(), account->hits.end(), [&](const TracedHit& h) { return h.key == page.key; });
    if (hit) continue;
    // Matches at deadlines before it may have used up what it began with: the floor as of now.
    KeyTrace& trace = *traces_.find(due.key)->second;
    due.floor = trace.floor;
    const RulePlan& rule = engine.ruleset->rules[wanted_.rule];
    diagnose(engine, engine.ruleset->patterns[*rule.pattern], due, trace, page);
  }
}

}  // namespace tocsin::engine
