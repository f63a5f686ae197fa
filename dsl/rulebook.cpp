#include "dsl/rulebook.h"

#include <map>
#include <utility>

#include "base/hash.h"
#include "event/mask.h"

namespace tocsin::dsl {
namespace {

std::string_view word(Op op) {
  switch (op) {
    case Op::constant: return "constant";
    case Op::field: return "field";
    case Op::place_field: return "at";
    case Op::group_first: return "first";
    case Op::group_last: return "last";
    case Op::group_values: return "values";
    case Op::group_count: return "members";
    case Op::some: return "some";
    case Op::member_field: return "member";
    case Op::group_aggregate: return "group";
    case Op::rule_key: return "key";
    case Op::let: return "let";
    case Op::aggregate: return "aggregate";
    case Op::in_window: return "in-window";
    case Op::not_: return "not";
    case Op::and_: return "and";
    case Op::or_: return "or";
    case Op::equal: return "==";
    case Op::not_equal: return "!=";
    case Op::less: return "<";
    case Op::less_equal: return "<=";
    case Op::greater: return ">";
    case Op::greater_equal: return ">=";
    case Op::in_values: return "in";
    case Op::in_group: return "in-group";
    case Op::in_list: return "in-list";
    case Op::has_label: return "has-label";
    case Op::switch_: return "switch";
    case Op::in_rollout: return "in-rollout";
    case Op::choose: return "choose";
    case Op::in_range: return "in-range";
    case Op::is_missing: return "is-missing";
    case Op::contains: return "contains";
    case Op::starts_with: return "starts-with";
    case Op::ends_with: return "ends-with";
    case Op::add: return "+";
    case Op::subtract: return "-";
    case Op::multiply: return "*";
    case Op::divide: return "/";
    case Op::remainder: return "%";
    case Op::negate: return "negate";
    case Op::coalesce: return "??";
    case Op::money_as: return "as";
    case Op::function: return "call";
    case Op::table_column: return "look-up";
    case Op::like: return "like";
    case Op::matches: return "matches";
    case Op::score: return "score";
    case Op::any_rule_decides: return "any-rule-decides";
    case Op::any_rule_tagged: return "any-rule-tagged";
  }
  return "";
}

std::string_view word(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::count: return "count";
    case AggregateFunction::sum: return "sum";
    case AggregateFunction::avg: return "avg";
    case AggregateFunction::min: return "min";
    case AggregateFunction::max: return "max";
    case AggregateFunction::distinct: return "distinct";
    case AggregateFunction::first: return "first";
    case AggregateFunction::last: return "last";
    case AggregateFunction::variance: return "variance";
    case AggregateFunction::stddev: return "stddev";
    case AggregateFunction::cv: return "cv";
    case AggregateFunction::percentile: return "percentile";
    case AggregateFunction::entropy: return "entropy";
    case AggregateFunction::set: return "set";
  }
  return "";
}

std::string_view word(StepKind kind) {
  switch (kind) {
    case StepKind::single: return "single";
    case StepKind::group: return "group";
    case StepKind::all_of: return "all-of";
    case StepKind::any_of: return "any-of";
  }
  return "";
}

std::string_view word(Link link) {
  switch (link) {
    case Link::then: return "then";
    case Link::first: return "first";
    case Link::next: return "next";
  }
  return "";
}

std::string_view word(Pick pick) {
  switch (pick) {
    case Pick::nearest: return "nearest";
    case Pick::earliest: return "earliest";
    case Pick::every: return "every";
  }
  return "";
}

std::string_view word(AfterMatch after) {
  switch (after) {
    case AfterMatch::restart: return "restart";
    case AfterMatch::continue_: return "continue";
    case AfterMatch::skip_to_next: return "skip-to-next";
    case AfterMatch::skip_past_last: return "skip-past-last";
    case AfterMatch::skip_to_first: return "skip-to-first";
    case AfterMatch::skip_to_last: return "skip-to-last";
  }
  return "";
}

std::string text_of(const event::Network& network) {
  return std::to_string(network.high) + ":" + std::to_string(network.low) + "/" + std::to_string(network.prefix);
}

class Printer {
 public:
  explicit Printer(const Rulebook& book) : book_(book) {}

  std::string expr(const Expr& e) {
    switch (e.op) {
      case Op::constant: return value(e.value, e.type);
      case Op::field: return fields(e);
      case Op::place_field:
      case Op::group_first:
      case Op::group_last:
      case Op::group_values:
      case Op::member_field:
        return "(" + std::string(word(e.op)) + " #" + std::to_string(e.index) + " " + fields(e) + ")";
      default: break;
    }
    std::string out = "(" + std::string(word(e.op));
    switch (e.op) {
      case Op::aggregate:
      case Op::in_window: out += " " + nested_aggregate(e.index); break;
      case Op::in_list: out += " " + list(e.index, false) + (e.flag ? " or-shadow" : ""); break;
      case Op::table_column: out += " " + table(e.index, false) + "." + e.name; break;
      case Op::has_label: out += " " + label(e.index) + (e.flag ? " or-shadow" : ""); break;
      case Op::switch_: out += " " + book_.switches[e.index].name; break;
      case Op::in_rollout: out += " " + e.name + " " + std::to_string(e.index); break;
      case Op::group_count:
      case Op::some:
      case Op::rule_key:
      case Op::let: out += " #" + std::to_string(e.index); break;
      case Op::group_aggregate:
        out += " " + e.name + (e.flag ? " gaps" : "") + " #" + std::to_string(e.index);
        if (!e.value.is_missing()) out += " " + to_text(e.value.number());
        break;
      case Op::function:
      case Op::any_rule_tagged: out += " " + e.name; break;
      case Op::any_rule_decides: out += " " + std::string(to_text(static_cast<Action>(e.index))); break;
      case Op::money_as: out += " " + to_text(e.currency); break;
      case Op::in_range: out += e.flag ? " ..<" : " .."; break;
      case Op::contains:
      case Op::starts_with:
      case Op::ends_with:
      case Op::like:
      case Op::matches: out += e.flag ? " ignoring-case" : ""; break;
      default: break;
    }
    for (const Expr& arg : e.args) out += " " + expr(arg);
    for (const event::Network& network : e.networks) out += " " + text_of(network);
    return out + ")";
  }

  std::string source(const Source& s) {
    std::string out = "{";
    for (const Alternative& a : s.alternatives) {
      if (out.size() > 1) out += " | ";
      const event::EventType& type = book_.schema.events[a.event];
      out += type.name;
      if (a.via) out += " via " + type.fields[*a.via].name;
      if (!a.key.empty()) {
        out += " by";
        for (const event::FieldIndex field : a.key) out += " " + field_text(a.event, field);
      }
      if (a.where) out += " where " + expr(*a.where);
    }
    return out + "}";
  }

  std::string aggregate(const Aggregate& a) {
    std::string out = std::string(word(a.function)) + " ";
    if (a.function == AggregateFunction::percentile) out += to_text(a.percent) + " ";
    if (a.gaps) out += "gaps ";
    if (a.error_ppm != 0) out += "approximate " + std::to_string(a.error_ppm) + "ppm ";
    for (const Expr& argument : a.arguments) out += expr(argument) + " ";
    out += "from " + source(a.source) + " per";
    for (const KeyPart& part : a.keys) out += " " + part.name + ":" + book_.schema.type_text(part.type);
    switch (a.reach) {
      case WindowReach::last: out += " last "; break;
      case WindowReach::before: out += " before "; break;
      case WindowReach::calendar:
        return out + " calendar " + std::string(event::to_text(a.unit)) + " " + a.zone->name();
      case WindowReach::since: out += " since " + source(*a.since) + " within "; break;
    }
    out += std::to_string(a.length.us) + "us";
    if (a.gap.us != 0) out += " ending " + std::to_string(a.gap.us) + "us";
    return out;
  }

  std::string keys(const std::vector<KeyPart>& parts) {
    std::string out;
    for (const KeyPart& part : parts)
      out += (out.empty() ? "" : ", ") + part.name + ":" + book_.schema.type_text(part.type);
    return out;
  }

  std::string test(const EventTest& t, bool names) {
    std::string out = source(t.source);
    if (names && !t.alias.empty()) out += " as " + t.alias;
    if (t.where) out += " where " + expr(*t.where);
    if (t.within) out += " within " + std::to_string(t.within->us) + "us";
    if (t.optional) out += " optional";
    return out;
  }

  std::string sequence(const Sequence& s, bool names) {
    std::string out = "  sequence";
    if (s.within) out += " within " + std::to_string(s.within->us) + "us";
    out += " pick " + std::string(word(s.pick)) + " after " + std::string(word(s.after));
    if (s.after == AfterMatch::skip_to_first || s.after == AfterMatch::skip_to_last)
      out += " #" + std::to_string(s.after_place);
    out += "\n";
    for (std::size_t i = 0; i <= s.steps.size(); ++i) {
      for (const Absence& absence : s.absences) {
        if (absence.before_step != i) continue;
        out += "    no " + test(absence.test, names);
        if (absence.wait.us != 0) out += " for " + std::to_string(absence.wait.us) + "us";
        out += "\n";
      }
      if (i == s.steps.size()) break;
      const Step& step = s.steps[i];
      out += "    " + std::string(word(step.link)) + " " + std::string(word(step.kind));
      if (step.kind == StepKind::group) {
        out += " " + std::to_string(step.min) + ".." + (step.max == 0 ? "" : std::to_string(step.max));
        if (step.exact) out += " exact";
      }
      if (step.kind == StepKind::any_of) out += " " + std::to_string(step.min);
      if (step.consecutive) out += " consecutive";
      if (step.optional) out += " optional";
      if (step.within) out += " within " + std::to_string(step.within->us) + "us";
      if (step.parts.size() == 1) {
        out += " #" + std::to_string(step.parts[0].place) + " " + test(step.parts[0], names) + "\n";
        continue;
      }
      out += "\n";
      for (const EventTest& part : step.parts) {
        out += "      #" + std::to_string(part.place) + " " + test(part, names) + "\n";
      }
    }
    if (s.until) out += "    until " + test(*s.until, names) + "\n";
    return out;
  }

  /// What a rule does; with `names` also what only people read.
  std::string rule(const Rule& r, bool names) {
    std::string out = "rule " + r.name + "\n";
    if (names) {
      if (!r.title.empty()) out += "  title " + text(r.title) + "\n";
      out += "  severity " + std::string(to_text(r.severity)) + "\n";
      for (const std::string& tag : r.tags) out += "  tag " + tag + "\n";
      if (!r.owner.empty()) out += "  owner " + text(r.owner) + "\n";
      if (!r.runbook.empty()) out += "  runbook " + text(r.runbook) + "\n";
    }
    if (r.shadow) out += "  shadow\n";
    if (r.off) out += "  off\n";
    for (const std::uint32_t s : r.switches) out += "  switch " + book_.switches[s].name + "\n";
    if (r.rollout) out += "  rollout " + std::to_string(r.rollout->share) + " " + expr(r.rollout->value) + "\n";
    if (r.on) {
      out += "  on " + source(*r.on) + (names && !r.alias.empty() ? " as " + r.alias : "") + "\n";
    }
    if (!r.keys.empty()) out += "  per " + keys(r.keys) + "\n";
    if (r.sequence) out += sequence(*r.sequence, names);
    for (const Let& let : r.lets) out += "  let " + (names ? let.name + " = " : "") + expr(let.value) + "\n";
    if (r.when) out += "  when " + expr(*r.when) + "\n";
    for (const Except& except : r.excepts) {
      out += "  except " + except.name;
      if (except.until) out += " until " + to_text(*except.until);
      out += " when " + expr(except.when) + "\n";
    }
    if (r.decide) {
      out += "  decide " + std::string(to_text(r.decide->action));
      if (r.decide->when) out += " if " + expr(*r.decide->when) + " else " + std::string(to_text(r.decide->otherwise));
      out += "\n";
    }
    if (r.score) out += "  score " + expr(*r.score) + "\n";
    if (names && !r.because.empty()) {
      out += "  because";
      for (const TextPart& part : r.because) out += " " + (part.value ? expr(*part.value) : text(part.literal));
      out += "\n";
    }
    for (const Shown& shown : r.show) out += "  show " + shown.name + " = " + expr(shown.value) + "\n";
    if (r.alert_once) {
      out += "  alert once per " + std::to_string(r.alert_once->per.us) + "us by " + keys(r.alert_once->by);
      for (const Expr& by : r.alert_once->values) out += " " + expr(by);
      out += "\n";
    }
    const auto lasting = [](const std::optional<Duration>& d) {
      return d ? " for " + std::to_string(d->us) + "us" : std::string();
    };
    for (const LabelEffect& e : r.labels)
      out += "  label " + label(e.label) + " " + expr(e.whom) + lasting(e.lasts) + "\n";
    for (const ListEffect& e : r.adds)
      out += "  add @" + book_.lists[e.list].name + " " + expr(e.what) + lasting(e.lasts) + "\n";
    for (const Suppression& s : r.suppressed) {
      out += "  suppressed by " + s.by + " same " + keys(s.same);
      for (const Expr& value : s.values) out += " " + expr(value);
      out += " |";
      for (const Expr& value : s.by_values) out += " " + expr(value);
      out += " hold " + std::to_string(s.hold.us) + "us\n";
    }
    for (const Source& s : r.resolves) out += "  resolve on " + source(s) + "\n";
    return out;
  }

  std::string value(const event::Value& v, const event::Type& type) {
    std::string out = event::json_text(v, type, book_.schema);
    if (type.kind == event::TypeKind::duration || type.kind == event::TypeKind::time) {
      // As numbers: the texts for people leave out small units.
      out = std::to_string(static_cast<std::int64_t>(v.low)) + "us";
    }
    return out;
  }

  /// What is in a list changes while the rules stay what they are, so a rule's meaning holds its name and type only: what was
  /// remembered under one state of the list is kept (W5).
  std::string list(ListId id, bool with_contents) {
    const List& l = book_.lists[id];
    if (!with_contents) return "@" + l.name + ":" + book_.schema.type_text(l.element);
    std::string contents;
    for (const event::Value& entry : l.entries) contents += value(entry, l.element) + "\n";
    for (const event::Network& network : l.networks) contents += text_of(network) + "\n";
    return "@" + l.name + ":" + book_.schema.type_text(l.element) + ":" + to_text(hash128(contents));
  }

  std::string table(TableId id, bool with_contents) {
    const Table& t = book_.tables[id];
    std::string out = t.name + (t.by_network ? "<cidr>(" : "(");
    for (const KeyPart& key : t.keys) out += key.name + ":" + book_.schema.type_text(key.type) + ";";
    for (const TableColumn& column : t.columns) out += column.name + ":" + book_.schema.type_text(column.type) + ";";
    out += ")";
    if (!with_contents) return out;
    std::uint64_t contents = 0;
    for (const Timestamp from : t.from) contents = hash_mix(contents, static_cast<std::uint64_t>(from.us));
    for (const event::Value& cell : t.cells) contents = hash_mix(contents, event::hash_of(cell));
    for (const event::Network& n : t.networks)
      contents = hash_mix(hash_mix(hash_mix(contents, n.prefix), n.high), n.low);
    return out + ":" + std::to_string(contents) + " " + std::to_string(t.from.size()) + " rows";
  }
  std::string label(LabelId id) { return book_.labels[id].kind + " " + text(book_.labels[id].name); }

  static std::string text(std::string_view t) {
    std::string out;
    event::append_json_string(out, t);
    return out;
  }

 private:
  /// A derived field means what it is computed from; a declared one its name and type.
  std::string field_text(event::EventTypeId event, event::FieldIndex field) {
    const event::EventType& type = book_.schema.events[event];
    const event::FieldDef& def = type.fields[field];
    std::string out = type.name + "." + def.name + ":" + book_.schema.type_text(def.type);
    if (!def.derived) return out;
    const auto known = derived_.find({event, field});
    if (known != derived_.end()) return out + "=" + known->second;
    for (const DerivedField& derived : book_.derived) {
      if (derived.event != event || derived.field != field) continue;
      const std::string value = bounded(expr(derived.value));
      derived_[{event, field}] = value;
      return out + "=" + value;
    }
    return out;
  }

  const std::string& nested_aggregate(AggregateId id) {
    const auto known = aggregates_.find(id);
    if (known != aggregates_.end()) return known->second;
    std::string text = bounded(aggregate(book_.aggregates[id]));
    return aggregates_[id] = std::move(text);
  }

  /// What is nested is written out while it is short; of more its hash stands there, so that definitions that use each other
  /// twice do not double the text each time.
  static std::string bounded(std::string text) { return text.size() <= 400 ? text : to_text(hash128(text)); }

  std::string fields(const Expr& e) {
    std::string out;
    for (const FieldRef& ref : e.fields) out += (out.empty() ? "" : "|") + field_text(ref.event, ref.field);
    return out;
  }

  const Rulebook& book_;
  std::map<std::pair<event::EventTypeId, event::FieldIndex>, std::string> derived_;
  std::map<AggregateId, std::string> aggregates_;
};

}  // namespace

Op mirrored(Op op) {
  switch (op) {
    case Op::less: return Op::greater;
    case Op::less_equal: return Op::greater_equal;
    case Op::greater: return Op::less;
    case Op::greater_equal: return Op::less_equal;
    default: return op;
  }
}

bool of_a_step(Op op) {
  switch (op) {
    case Op::place_field:
    case Op::group_first:
    case Op::group_last:
    case Op::group_values:
    case Op::group_count:
    case Op::group_aggregate:
    case Op::some: return true;
    default: return false;
  }
}

std::string meaning(const Expr& expr, const Rulebook& book) { return Printer(book).expr(expr); }
std::string meaning(const Source& source, const Rulebook& book) { return Printer(book).source(source); }
std::string meaning(const Aggregate& aggregate, const Rulebook& book) { return Printer(book).aggregate(aggregate); }
std::string meaning(const Rule& rule, const Rulebook& book) { return Printer(book).rule(rule, false); }

std::string dump(const Rulebook& book) {
  Printer print(book);
  std::string out;
  for (const event::EventType& type : book.schema.events) {
    out += "event " + type.name + "\n";
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
      const event::FieldDef& field = type.fields[i];
      out += i == type.key ? "  key " : i == type.time ? "  time " : "  ";
      out += field.name + " : " + book.schema.type_text(field.type);
      if (field.optional && !field.derived) out += " optional";
      if (field.derived) out += " derived";
      if (field.mask != event::Mask::none) out += " mask " + std::string(event::to_text(field.mask));
      out += "\n";
    }
  }
  for (ListId id = 0; id < book.lists.size(); ++id) {
    const List& list = book.lists[id];
    out += "list " + print.list(id, true) + " " + std::to_string(list.entries.size() + list.networks.size()) +
           " entries" + (list.lifetime ? " for " + std::to_string(list.lifetime->us) + "us" : std::string()) + "\n";
  }
  for (TableId id = 0; id < book.tables.size(); ++id) out += "table " + print.table(id, true) + "\n";
  for (const Switch& s : book.switches) out += "switch " + s.name + (s.on ? " on\n" : " off\n");
  for (const DerivedField& derived : book.derived) {
    const event::EventType& type = book.schema.events[derived.event];
    out += "field " + type.name + "." + type.fields[derived.field].name + " = " + print.expr(derived.value) + "\n";
  }
  for (const Aggregate& aggregate : book.aggregates) out += "aggregate " + print.aggregate(aggregate) + "\n";
  for (const Rule& rule : book.rules) out += print.rule(rule, true);
  for (const Policy& policy : book.policies) {
    out += "policy " + policy.name + " on " + print.source(policy.on) + "\n";
    out += std::string("  score ") + (policy.sum ? "sum" : "max");
    if (policy.cap) out += " max " + to_text(*policy.cap);
    out += "\n";
    for (const PolicyLine& line : policy.lines) {
      out += "  " + std::string(to_text(line.action)) + (line.when ? " when " + print.expr(*line.when) : " otherwise") +
             "\n";
    }
    if (policy.limit) {
      out += "  limit " + std::string(to_text(policy.limit->action)) + " to " + to_text(policy.limit->share) + " per " +
             std::to_string(policy.limit->per.us) + "us else " + std::string(to_text(policy.limit->otherwise)) + "\n";
    }
    if (policy.on_error) out += "  on error " + std::string(to_text(*policy.on_error)) + "\n";
  }
  for (const Test& test : book.tests) {
    out += "test " + Printer::text(test.name) + " " + std::to_string(test.steps.size()) + " steps\n";
  }
  return out;
}

}  // namespace tocsin::dsl
