#include "dsl/rulebook.h"

#include <algorithm>
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

}  // namespace

/// Writes everything into one text: parts are printed by the ten thousand.
class Printer {
 public:
  explicit Printer(const Rulebook& book) : book_(book) { out_.reserve(512); }

  /// What was printed since.
  std::string take() {
    std::string text = out_;
    out_.clear();
    return text;
  }

  void read_as(const Reading& reading) {
    reading_ = reading;
    lets_.clear();
  }

  template <typename... Texts>
  void add(const Texts&... texts) {
    ((out_ += texts), ...);
  }
  void add_number(std::uint64_t number) { out_ += std::to_string(number); }
  void add_us(Duration duration) { add(std::to_string(duration.us), "us"); }
  void add_text(std::string_view text) { event::append_json_string(out_, text); }

  void expr(const Expr& e) {
    switch (e.op) {
      case Op::let:
        if (reading_.lets == nullptr || e.index >= reading_.lets->size()) break;
        let(e.index);
        return;
      case Op::constant: value(e.value, e.type); return;
      case Op::field: fields(e); return;
      case Op::place_field:
      case Op::group_first:
      case Op::group_last:
      case Op::group_values:
      case Op::member_field:
        add('(', word(e.op), " #");
        add_number(e.index);
        out_ += ' ';
        fields(e);
        out_ += ')';
        return;
      default: break;
    }
    add('(', word(e.op));
    switch (e.op) {
      case Op::aggregate:
      case Op::in_window:
        out_ += ' ';
        nested_aggregate(e.index);
        break;
      case Op::in_list:
        out_ += ' ';
        list(e.index, false);
        if (e.flag) out_ += " or-shadow";
        break;
      case Op::table_column:
        out_ += ' ';
        table(e.index, false);
        add('.', e.name);
        break;
      case Op::has_label:
        out_ += ' ';
        label(e.index);
        if (e.flag) out_ += " or-shadow";
        break;
      case Op::switch_: add(' ', book_.switches[e.index].name); break;
      case Op::in_rollout:
        add(' ', e.name, ' ');
        add_number(e.index);
        break;
      case Op::group_count:
      case Op::some:
      case Op::rule_key:
      case Op::let:
        out_ += " #";
        add_number(e.index);
        break;
      case Op::group_aggregate:
        add(' ', e.name, e.flag ? " gaps" : "", " #");
        add_number(e.index);
        if (!e.value.is_missing()) add(' ', to_text(e.value.number()));
        break;
      case Op::function:
      case Op::any_rule_tagged: add(' ', e.name); break;
      case Op::any_rule_decides: add(' ', to_text(static_cast<Action>(e.index))); break;
      case Op::money_as: add(' ', to_text(e.currency)); break;
      case Op::in_range: out_ += e.flag ? " ..<" : " .."; break;
      case Op::contains:
      case Op::starts_with:
      case Op::ends_with:
      case Op::like:
      case Op::matches: out_ += e.flag ? " ignoring-case" : ""; break;
      default: break;
    }
    spaced(e.args);
    for (const event::Network& n : e.networks) {
      out_ += ' ';
      network(n);
    }
    out_ += ')';
  }

  void source(const Source& s) {
    out_ += '{';
    for (const Alternative& a : s.alternatives) {
      if (&a != &s.alternatives.front()) out_ += " | ";
      const event::EventType& type = book_.schema.events[a.event];
      out_ += type.name;
      if (a.via) add(" via ", type.fields[*a.via].name);
      if (!a.key.empty()) {
        out_ += " by";
        for (const event::FieldIndex field : a.key) {
          out_ += ' ';
          this->field(a.event, field);
        }
      }
      if (a.where) {
        out_ += " where ";
        expr(*a.where);
      }
    }
    out_ += '}';
  }

  void aggregate(const Aggregate& a) {
    add(word(a.function), ' ');
    if (a.function == AggregateFunction::percentile) add(to_text(a.percent), ' ');
    if (a.gaps) out_ += "gaps ";
    if (a.error_ppm != 0) add("approximate ", std::to_string(a.error_ppm), "ppm ");
    for (const Expr& argument : a.arguments) {
      expr(argument);
      out_ += ' ';
    }
    out_ += "from ";
    source(a.source);
    out_ += " per";
    for (const KeyPart& part : a.keys) add(' ', part.name, ':', book_.schema.type_text(part.type));
    switch (a.reach) {
      case WindowReach::last: out_ += " last "; break;
      case WindowReach::before: out_ += " before "; break;
      case WindowReach::calendar: add(" calendar ", event::to_text(a.unit), ' ', a.zone->name()); return;
      case WindowReach::since:
        out_ += " since ";
        source(*a.since);
        out_ += " within ";
        break;
    }
    add_us(a.length);
    if (a.gap.us != 0) {
      out_ += " ending ";
      add_us(a.gap);
    }
  }

  void keys(const std::vector<KeyPart>& parts) {
    for (const KeyPart& part : parts)
      add(&part == &parts.front() ? "" : ", ", part.name, ':', book_.schema.type_text(part.type));
  }

  void test(const EventTest& t, bool names) {
    source(t.source);
    if (names && !t.alias.empty()) add(" as ", t.alias);
    if (t.where) {
      out_ += " where ";
      expr(*t.where);
    }
    within(t.within);
    if (t.optional) out_ += " optional";
  }

  void sequence(const Sequence& s, bool names) {
    out_ += "  sequence";
    within(s.within);
    add(" pick ", word(s.pick), " after ", word(s.after));
    if (s.after == AfterMatch::skip_to_first || s.after == AfterMatch::skip_to_last)
      add(" #", std::to_string(s.after_place));
    out_ += '\n';
    for (std::size_t i = 0; i <= s.steps.size(); ++i) {
      for (const Absence& absence : s.absences) {
        if (absence.before_step != i) continue;
        out_ += "    no ";
        test(absence.test, names);
        if (absence.wait.us != 0) lasting(absence.wait);
        out_ += '\n';
      }
      if (i == s.steps.size()) break;
      const Step& step = s.steps[i];
      add("    ", word(step.link), ' ', word(step.kind));
      if (step.kind == StepKind::group) {
        add(' ', std::to_string(step.min), "..", step.max == 0 ? "" : std::to_string(step.max));
        if (step.exact) out_ += " exact";
      }
      if (step.kind == StepKind::any_of) add(' ', std::to_string(step.min));
      if (step.consecutive) out_ += " consecutive";
      if (step.optional) out_ += " optional";
      within(step.within);
      const bool single = step.parts.size() == 1;
      if (!single) out_ += '\n';
      for (const EventTest& part : step.parts) {
        add(single ? " #" : "      #", std::to_string(part.place), ' ');
        test(part, names);
        out_ += '\n';
      }
    }
    if (s.until) {
      out_ += "    until ";
      test(*s.until, names);
      out_ += '\n';
    }
  }

  /// What a rule does; with `names` also what only people read.
  void rule(const Rule& r, bool names) {
    add("rule ", r.name, '\n');
    if (names) {
      for_people("title", r.title);
      add("  severity ", to_text(r.severity), '\n');
      for (const std::string& tag : r.tags) add("  tag ", tag, '\n');
      for_people("owner", r.owner);
      for_people("runbook", r.runbook);
    }
    if (r.shadow) out_ += "  shadow\n";
    if (r.off) out_ += "  off\n";
    for (const std::uint32_t s : r.switches) add("  switch ", book_.switches[s].name, '\n');
    if (r.rollout) {
      add("  rollout ", std::to_string(r.rollout->share));
      line(" ", r.rollout->value);
    }
    if (r.on) {
      out_ += "  on ";
      source(*r.on);
      if (names && !r.alias.empty()) add(" as ", r.alias);
      out_ += '\n';
    }
    if (!r.keys.empty()) {
      out_ += "  per ";
      keys(r.keys);
      out_ += '\n';
    }
    if (r.sequence) sequence(*r.sequence, names);
    for (const Let& let : r.lets) {
      out_ += "  let ";
      if (names) add(let.name, " = ");
      line("", let.value);
    }
    if (r.when) line("  when ", *r.when);
    for (const Except& except : r.excepts) {
      add("  except ", except.name);
      if (except.until) add(" until ", to_text(*except.until));
      line(" when ", except.when);
    }
    if (r.decide) {
      add("  decide ", to_text(r.decide->action));
      if (r.decide->when) {
        out_ += " if ";
        expr(*r.decide->when);
        add(" else ", to_text(r.decide->otherwise));
      }
      out_ += '\n';
    }
    if (r.score) line("  score ", *r.score);
    if (names && !r.because.empty()) {
      out_ += "  because";
      for (const TextPart& part : r.because) {
        out_ += ' ';
        if (part.value) {
          expr(*part.value);
        } else {
          add_text(part.literal);
        }
      }
      out_ += '\n';
    }
    for (const Shown& shown : r.show) {
      add("  show ", shown.name);
      line(" = ", shown.value);
    }
    if (r.alert_once) {
      out_ += "  alert once per ";
      add_us(r.alert_once->per);
      out_ += " by ";
      keys(r.alert_once->by);
      spaced(r.alert_once->values);
      out_ += '\n';
    }
    for (const LabelEffect& e : r.labels) {
      out_ += "  label ";
      label(e.label);
      out_ += ' ';
      expr(e.whom);
      lasting(e.lasts);
      out_ += '\n';
    }
    for (const ListEffect& e : r.adds) {
      add("  add @", book_.lists[e.list].name, ' ');
      expr(e.what);
      lasting(e.lasts);
      out_ += '\n';
    }
    for (const Suppression& s : r.suppressed) {
      add("  suppressed by ", s.by, " same ");
      keys(s.same);
      spaced(s.values);
      out_ += " |";
      spaced(s.by_values);
      out_ += " hold ";
      add_us(s.hold);
      out_ += '\n';
    }
    for (const Source& s : r.resolves) {
      out_ += "  resolve on ";
      source(s);
      out_ += '\n';
    }
  }

  void value(const event::Value& v, const event::Type& type) {
    if (type.kind == event::TypeKind::duration || type.kind == event::TypeKind::time) {
      // As numbers: the texts for people leave out small units.
      add(std::to_string(static_cast<std::int64_t>(v.low)), "us");
    } else {
      event::append_json(out_, v, type, book_.schema);
    }
  }

  /// What is in a list changes while the rules stay what they are, so a rule's meaning holds its name and type only: what was
  /// remembered under one state of the list is kept (W5).
  void list(ListId id, bool with_contents) {
    const List& l = book_.lists[id];
    add('@', l.name, ':', book_.schema.type_text(l.element));
    if (!with_contents) return;
    out_ += ':';
    const std::size_t begin = out_.size();
    for (const event::Value& entry : l.entries) {
      value(entry, l.element);
      out_ += '\n';
    }
    for (const event::Network& n : l.networks) {
      network(n);
      out_ += '\n';
    }
    const std::string digest = to_text(hash128(std::string_view(out_).substr(begin)));
    out_.replace(begin, std::string::npos, digest);
  }

  void table(TableId id, bool with_contents) {
    const Table& t = book_.tables[id];
    add(t.name, t.by_network ? "<cidr>(" : "(");
    for (const KeyPart& key : t.keys) add(key.name, ':', book_.schema.type_text(key.type), ';');
    for (const TableColumn& column : t.columns) add(column.name, ':', book_.schema.type_text(column.type), ';');
    out_ += ')';
    if (!with_contents) return;
    std::uint64_t contents = 0;
    for (const Timestamp from : t.from) contents = hash_mix(contents, static_cast<std::uint64_t>(from.us));
    for (const event::Value& cell : t.cells) contents = hash_mix(contents, event::hash_of(cell));
    for (const event::Network& n : t.networks)
      contents = hash_mix(hash_mix(hash_mix(contents, n.prefix), n.high), n.low);
    add(':', std::to_string(contents), ' ', std::to_string(t.from.size()), " rows");
  }
  void label(LabelId id) {
    add(book_.labels[id].kind, ' ');
    add_text(book_.labels[id].name);
  }

  void lasting(const std::optional<Duration>& d) {
    if (!d) return;
    out_ += " for ";
    add_us(*d);
  }
  /// `front` and the expression, to the end of the line.
  void line(std::string_view front, const Expr& e) {
    out_ += front;
    expr(e);
    out_ += '\n';
  }

 private:
  void spaced(const std::vector<Expr>& parts) {
    for (const Expr& part : parts) {
      out_ += ' ';
      expr(part);
    }
  }
  void within(const std::optional<Duration>& d) {
    if (!d) return;
    out_ += " within ";
    add_us(*d);
  }
  void for_people(std::string_view what, const std::string& text) {
    if (text.empty()) return;
    add("  ", what, ' ');
    add_text(text);
    out_ += '\n';
  }
  void network(const event::Network& n) {
    add(std::to_string(n.high), ':', std::to_string(n.low), '/', std::to_string(n.prefix));
  }

  /// A derived field means what it is computed from; a declared one its name and type.
  void field(event::EventTypeId event, event::FieldIndex field) {
    const event::EventType& type = book_.schema.events[event];
    const event::FieldDef& def = type.fields[field];
    add(type.name, '.', def.name, ':', book_.schema.type_text(def.type));
    if (!def.derived) return;
    if (const auto known = derived_.find({event, field}); known != derived_.end()) {
      out_ += known->second;
      return;
    }
    const auto derived = std::find_if(book_.derived.begin(), book_.derived.end(),
                                      [&](const DerivedField& d) { return d.event == event && d.field == field; });
    if (derived == book_.derived.end()) return;  // not worked out yet
    const std::size_t begin = out_.size();
    out_ += '=';
    defined_elsewhere([&] { expr(derived->value); });
    derived_[{event, field}] = out_.substr(begin);
  }

  void nested_aggregate(AggregateId id) {
    const auto known = aggregates_.find(id);
    if (known != aggregates_.end()) {
      out_ += known->second;
      return;
    }
    const std::size_t begin = out_.size();
    defined_elsewhere([&] { aggregate(book_.aggregates[id]); });
    aggregates_[id] = out_.substr(begin);
  }

  void let(std::uint32_t index) {
    const auto known = lets_.find(index);
    if (known != lets_.end()) {
      out_ += known->second;
      return;
    }
    const std::size_t begin = out_.size();
    bounded(let_bytes_max, [&] { expr((*reading_.lets)[index].value); });
    lets_[index] = out_.substr(begin);
  }

  /// What a definition means does not depend on who reads it.
  template <typename Print>
  void defined_elsewhere(Print&& print) {
    const Reading reading = std::exchange(reading_, {});
    bounded(definition_bytes_max, print);
    reading_ = reading;
  }

  /// What is nested is written out while it is short; of more its hash stands there, so that definitions that use each other
  /// twice do not double the text each time.
  static constexpr std::size_t definition_bytes_max = 400;
  static constexpr std::size_t let_bytes_max = 4000;
  template <typename Print>
  void bounded(std::size_t bytes_max, Print&& print) {
    const std::size_t begin = out_.size();
    print();
    if (out_.size() - begin <= bytes_max) return;
    const std::string digest = to_text(hash128(std::string_view(out_).substr(begin)));
    out_.replace(begin, std::string::npos, digest);
  }

  void fields(const Expr& e) {
    const auto of_event = [&](const FieldRef& ref) { return ref.event == reading_.event; };
    const bool only_this = reading_.event && std::any_of(e.fields.begin(), e.fields.end(), of_event);
    bool first = true;
    for (const FieldRef& ref : e.fields) {
      if (only_this && !of_event(ref)) continue;
      if (!first) out_ += '|';
      first = false;
      field(ref.event, ref.field);
    }
  }

  const Rulebook& book_;
  std::string out_;
  std::map<std::pair<event::EventTypeId, event::FieldIndex>, std::string> derived_;
  std::map<AggregateId, std::string> aggregates_;
  Reading reading_;
  std::map<std::uint32_t, std::string> lets_;  // as read so
};

namespace {

/// What `print` writes with a printer of the book.
template <typename Print>
std::string printed(const Rulebook& book, Print&& print) {
  Printer printer(book);
  print(printer);
  return printer.take();
}

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

std::string meaning(const Expr& expr, const Rulebook& book) {
  return printed(book, [&](Printer& print) { print.expr(expr); });
}
std::string meaning(const Source& source, const Rulebook& book) {
  return printed(book, [&](Printer& print) { print.source(source); });
}
std::string meaning(const Aggregate& aggregate, const Rulebook& book) {
  return printed(book, [&](Printer& print) { print.aggregate(aggregate); });
}
std::string meaning(const Rule& rule, const Rulebook& book) {
  return printed(book, [&](Printer& print) { print.rule(rule, false); });
}

Meanings::Meanings(const Rulebook& book) : printer_(std::make_unique<Printer>(book)) {}
Meanings::~Meanings() = default;

void Meanings::read_as(const Reading& reading) { printer_->read_as(reading); }

std::string Meanings::of(const Expr& expr) {
  printer_->expr(expr);
  return printer_->take();
}

std::string dump(const Rulebook& book) {
  Printer print(book);
  for (const event::EventType& type : book.schema.events) {
    print.add("event ", type.name, '\n');
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
      const event::FieldDef& field = type.fields[i];
      print.add(i == type.key ? "  key " : i == type.time ? "  time " : i == type.seq ? "  seq " : "  ");
      print.add(field.name, " : ", book.schema.type_text(field.type));
      if (field.optional && !field.derived) print.add(" optional");
      if (field.derived) print.add(" derived");
      if (field.mask != event::Mask::none) print.add(" mask ", event::to_text(field.mask));
      print.add('\n');
    }
  }
  for (ListId id = 0; id < book.lists.size(); ++id) {
    const List& list = book.lists[id];
    print.add("list ");
    print.list(id, true);
    print.add(' ', std::to_string(list.entries.size() + list.networks.size()), " entries");
    print.lasting(list.lifetime);
    print.add('\n');
  }
  for (TableId id = 0; id < book.tables.size(); ++id) {
    print.add("table ");
    print.table(id, true);
    print.add('\n');
  }
  for (const Switch& s : book.switches) print.add("switch ", s.name, s.on ? " on\n" : " off\n");
  for (const DerivedField& derived : book.derived) {
    const event::EventType& type = book.schema.events[derived.event];
    print.add("field ", type.name, '.', type.fields[derived.field].name);
    print.line(" = ", derived.value);
  }
  for (const Aggregate& aggregate : book.aggregates) {
    print.add("aggregate ");
    print.aggregate(aggregate);
    print.add('\n');
  }
  for (const Rule& rule : book.rules) print.rule(rule, true);
  for (const Policy& policy : book.policies) {
    print.add("policy ", policy.name, " on ");
    print.source(policy.on);
    print.add("\n  score ", policy.sum ? "sum" : "max");
    if (policy.cap) print.add(" max ", to_text(*policy.cap));
    print.add('\n');
    for (const PolicyLine& line : policy.lines) {
      print.add("  ", to_text(line.action));
      if (line.when) {
        print.line(" when ", *line.when);
      } else {
        print.add(" otherwise\n");
      }
    }
    if (policy.limit) {
      print.add("  limit ", to_text(policy.limit->action), " to ", to_text(policy.limit->share), " per ");
      print.add_us(policy.limit->per);
      print.add(" else ", to_text(policy.limit->otherwise), '\n');
    }
    if (policy.on_error) print.add("  on error ", to_text(*policy.on_error), '\n');
  }
  for (const Test& test : book.tests) {
    print.add("test ");
    print.add_text(test.name);
    print.add(' ', std::to_string(test.steps.size()), " steps\n");
  }
  return print.take();
}

}  // namespace tocsin::dsl
