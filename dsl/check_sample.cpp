#include <algorithm>

#include "dsl/check_scope.h"
#include "dsl/foreign_forms.h"

namespace tocsin::dsl::detail {

std::optional<Value> Checker::object_value(const ast::Expr& e, const event::FieldDef& field) {
  if (e.kind == ast::ExprKind::name && grammar::means_missing(e.text) && field.type.kind != TypeKind::enumeration) {
    error(Code::unknown_name, e.span, "a field that is left out is " + quoted("missing")).under = "write `missing`";
    return std::nullopt;
  }
  if (field.type.kind == TypeKind::time && e.kind == ast::ExprKind::arithmetic) {
    error(Code::type_mismatch, e.span, "a time stands in quotes")
        .hints.push_back("write \"" + source_text(e.span) + "\"");
    return std::nullopt;
  }
  if (field.type.kind != TypeKind::geo) {
    wanted_by_ = field.name;
    auto value = check_constant(e, field.type, quoted(field.name));
    return value ? std::optional(value->value) : std::nullopt;
  }
  const auto refuse = [&]() -> std::optional<Value> {
    error(Code::type_mismatch, e.span, quoted(field.name) + " is a place")
        .hints.push_back("write latitude and longitude: `[52.5, 13.4]`");
    return std::nullopt;
  };
  if (e.kind != ast::ExprKind::list || e.children.size() != 2) return refuse();
  std::int64_t degrees[2] = {0, 0};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto number =
        check_constant(e.children[i], type_of(TypeKind::decimal), i == 0 ? "a latitude" : "a longitude");
    if (!number) return std::nullopt;
    const Int128 units = number->value.number().units;
    const Int128 most = static_cast<Int128>(i == 0 ? 90 : 180) * Decimal::one;
    if (units > most || units < -most) return refuse();
    degrees[i] = static_cast<std::int64_t>(units);
  }
  return Value::of_geo(degrees[0], degrees[1]);
}

bool Checker::left_out(const ast::Expr& e, const event::FieldDef& field) const {
  if (e.kind != ast::ExprKind::name || e.text != "missing") return false;
  if (field.type.kind != TypeKind::enumeration) return true;
  const auto& values = book_.schema.enums[field.type.enumeration].values;
  return std::find(values.begin(), values.end(), e.text) == values.end();
}

bool Checker::fill_object(const ast::Object& object, EventTypeId event, std::vector<Value>& values, bool& key_given,
                          bool& time_given) {
  bool ok = true;
  std::set<std::string> seen;
  for (const ast::Pair& pair : object.pairs) {
    const auto index = book_.schema.events[event].find(pair.name.text);
    if (!index) {
      unknown_field(event, pair.name.text, pair.name.span);
      ok = false;
      continue;
    }
    if (!seen.insert(pair.name.text).second) {
      error(Code::bad_test, pair.name.span, quoted(pair.name.text) + " is given twice");
      ok = false;
      continue;
    }
    if (field_def(event, *index).derived) {
      error(Code::bad_test, pair.name.span,
            quoted(pair.name.text) + " is computed from other fields and cannot be given");
      ok = false;
      continue;
    }
    if (failed_fields_.contains({book_.schema.events[event].name, pair.name.text})) {
      ok = false;
      continue;
    }
    const auto value = left_out(pair.value, field_def(event, *index))
                           ? std::optional(Value{})
                           : object_value(pair.value, field_def(event, *index));
    if (!value) {
      ok = false;
      continue;
    }
    values[*index] = *value;
    if (*index == book_.schema.events[event].key) key_given = !value->is_missing();
    if (*index == book_.schema.events[event].time) time_given = !value->is_missing();
  }
  return ok;
}

const SampleInfo* Checker::sample_of(std::size_t index, Span use) {
  const ast::SampleDecl& decl = *samples_[index].decl;
  const std::string& name = decl.name.text;
  switch (samples_[index].progress) {
    case Progress::done: return &samples_[index];
    case Progress::failed: return nullptr;
    case Progress::working: circle(name, use); return nullptr;
    case Progress::untouched: break;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, use, "definitions build on each other more than 64 deep");
    return nullptr;
  }
  samples_[index].progress = Progress::working;
  working_.push_back(name);
  SampleInfo made = samples_[index];
  const bool based = event_or_sample(decl.base, made);
  working_.pop_back();
  const bool ok = based && fill_object(decl.fields, made.event, made.values, made.key_given, made.time_given);
  made.progress = ok ? Progress::done : Progress::failed;
  samples_[index] = std::move(made);
  return ok ? &samples_[index] : nullptr;
}

bool Checker::event_or_sample(const ast::EventName& name, SampleInfo& out) {
  if (name.is_hit) {
    error(Code::bad_test, name.name.span, "a hit is made by its rule and cannot be sent")
        .hints.push_back("send the events that make " + quoted(name.name.text) + " hit");
    return false;
  }
  const NameEntry* entry = find_name(name.name.text);
  if (entry != nullptr && entry->kind == NameKind::sample) {
    const SampleInfo* base = sample_of(entry->index, name.name.span);
    if (base == nullptr) return false;
    out.event = base->event;
    out.values = base->values;
    out.key_given = base->key_given;
    out.time_given = base->time_given;
    return true;
  }
  const auto event = book_.schema.find_event(name.name.text);
  if (event) {
    out.event = *event;
    out.values.assign(book_.schema.events[*event].declared_count, Value{});
    return true;
  }
  Diagnostic& d = error(Code::unknown_event, name.name.span, "there is no event or sample " + quoted(name.name.text));
  d.under = did_you_mean(name.name.text, names_of({NameKind::event, NameKind::sample}));
  if (entry != nullptr && entry->kind == NameKind::stream)
    d.notes.push_back("a stream is a filter; send the event it is made of");
  return false;
}

/// An entity as a test names it, `user "u1"`: its kind is one of these rules, its value is read as such a field is written.
std::optional<Expr> Checker::entity_value(const ast::Name& kind, const ast::Text& text) {
  if (kind.text == "ip") {
    const auto ip = event::parse_ip(text.text);
    if (ip) return constant(*ip, type_of(TypeKind::ip), text.span).expr;
    error(Code::bad_test, text.span, "\"" + text.text + "\" is not an address");
    return std::nullopt;
  }
  const auto entity = book_.schema.find_entity(kind.text);
  if (!entity) {
    error(Code::unknown_type, kind.span, "there is no entity " + quoted(kind.text)).under =
        did_you_mean(kind.text, names_of({NameKind::entity}));
    return std::nullopt;
  }
  Type type = type_of(TypeKind::entity);
  type.entity = *entity;
  return constant(text_value(text.text), type, text.span).expr;
}

/// What a test expects of a list, a label or a feature becomes conditions, true when it is so.
bool Checker::check_state(const ast::TestStep& step, TestStep& out) {
  const auto hold = [&](std::string words, Expr condition) {
    if (step.negated) condition = make(Op::not_, condition.type, condition.span, {std::move(condition)});
    out.holds.push_back({std::move(words), std::move(condition)});
  };
  // What is so instead, when it does not hold.
  const std::string has = step.negated ? " has " : " does not have ";
  if (step.kind == ast::TestStepKind::expect_label) {
    auto whom = entity_value(step.name, step.text);
    if (!whom) return false;
    out.label = label_id(step.name.text, step.label.text);
    out.whom = whom->value;
    Expr condition = make(Op::has_label, type_of(TypeKind::boolean), step.span, {std::move(*whom)});
    condition.index = out.label;
    hold(step.name.text + " \"" + step.text.text + "\"" + has + "label \"" + step.label.text + "\"",
         std::move(condition));
    return true;
  }
  if (step.kind == ast::TestStepKind::expect_list) {
    const List* list = find_list(step.name);
    if (list == nullptr) return false;
    out.list = static_cast<ListId>(list - book_.lists.data());
    event::FieldDef entry;
    entry.name = "@" + list->name;
    entry.type = list->element.kind == TypeKind::cidr ? type_of(TypeKind::ip) : list->element;
    for (const ast::Expr& e : step.values) {
      const auto value = object_value(e, entry);
      if (!value) return false;
      Expr condition =
          make(Op::in_list, type_of(TypeKind::boolean), e.span, {constant(*value, entry.type, e.span).expr});
      condition.index = out.list;
      hold("@" + list->name + has + source_text(e.span), std::move(condition));
    }
    return true;
  }
  Scope scope;
  scope.where = Where::test;
  auto condition = check_condition(step.values[0], scope);
  if (!condition) return false;
  hold("`" + source_text(step.values[0].span) + "` is not so", std::move(*condition));
  const auto show_features = [&](const ast::Expr& e, const auto& self) -> void {
    if (e.kind == ast::ExprKind::feature_of) {
      Typed value = check_whole(e, scope);
      if (!value.poison) out.shown.push_back({source_text(e.span), std::move(value.expr)});
      return;
    }
    for (const ast::Expr& child : e.children) self(child, self);
  };
  show_features(step.values[0], show_features);
  if (!out.shown.empty()) return true;
  error(Code::bad_test, step.values[0].span, "no feature is asked here")
      .hints.push_back("`expect feature NAME of \"u1\" == 3`");
  return false;
}

void Checker::check_test(const ast::TestDecl& decl, Span span) {
  Test test;
  test.name = decl.name.text;
  test.span = span;
  // The clock of the test, as far as it is known: it never goes back (X2).
  std::optional<Timestamp> clock;
  const bool expects = std::any_of(decl.steps.begin(), decl.steps.end(), [](const ast::TestStep& step) {
    using Kind = ast::TestStepKind;
    return step.kind == Kind::expect_rule || step.kind == Kind::expect_no_rule || step.kind == Kind::expect_decision ||
           step.kind == Kind::expect_score || step.kind == Kind::expect_alerts || step.kind == Kind::expect_list ||
           step.kind == Kind::expect_label || step.kind == Kind::expect_feature;
  });
  if (!expects) {
    warning(Code::test_without_expect, decl.name.span, "this test expects nothing, so it cannot fail")
        .hints.push_back(
            "end it with `expect rule …`, `expect no rule …`, `expect decision block` or `expect alerts 1`");
  }
  const auto pass = [&](Duration d) {
    if (clock) clock = *clock + d;
  };
  for (const ast::TestStep& step : decl.steps) {
    TestStep out;
    out.span = step.span;
    switch (step.kind) {
      case ast::TestStepKind::at: {
        out.kind = TestStep::Kind::at;
        const auto time = parse_timestamp(step.text.text);
        if (!time) {
          error(Code::bad_test, step.text.span, "\"" + step.text.text + "\" is not a time")
              .hints.push_back(time_hint(step.text.text));
          continue;
        }
        if (clock && *time < *clock) {
          error(Code::bad_test, step.text.span, "the time of a test does not go back")
              .notes.push_back("it is already " + to_text(*clock));
          continue;
        }
        clock = time;
        out.time = *time;
        break;
      }
      case ast::TestStepKind::given_list: {
        out.kind = TestStep::Kind::given_list;
        const List* list = find_list(step.name);
        if (list == nullptr) continue;
        out.list = static_cast<ListId>(list - book_.lists.data());
        List given;
        given.name = step.name.text;
        given.element = list->element;
        for (const ast::Expr& entry : step.values) add_written_entry(given, entry);
        out.values = std::move(given.entries);
        out.networks = std::move(given.networks);
        break;
      }
      case ast::TestStepKind::given_table: {
        out.kind = TestStep::Kind::given_table;
        const auto id = find_table(step.name.text);
        if (!id) {
          if (poison_tables_.contains(step.name.text)) continue;
          error(Code::unknown_name, step.name.span, "there is no table " + quoted(step.name.text)).under =
              did_you_mean(step.name.text, names_of({NameKind::table}));
          continue;
        }
        if (!fill_row(step.fields, *id, out)) continue;
        break;
      }
      case ast::TestStepKind::given_label: {
        out.kind = TestStep::Kind::given_label;
        const auto whom = entity_value(step.name, step.text);
        if (!whom) continue;
        out.values.push_back(whom->value);
        out.label = label_id(step.name.text, step.label.text);
        break;
      }
      case ast::TestStepKind::send: {
        out.kind = TestStep::Kind::send;
        SampleInfo made;
        if (!event_or_sample(step.event, made)) continue;
        if (!fill_object(step.fields, made.event, made.values, made.key_given, made.time_given)) continue;
        out.event = made.event;
        out.values = std::move(made.values);
        out.key_given = made.key_given;
        out.time_given = made.time_given;
        if (step.after) {
          const auto after = parse_duration(step.after->text);
          if (!after || after->us < 0) {
            error(Code::bad_test, step.after->span, "`+` takes a duration such as `4m`");
            continue;
          }
          out.duration = *after;
          pass(*after);
        }
        if (step.number) {
          constexpr std::uint64_t most = 100'000;
          if (*step.number == 0 || *step.number > most) {
            error(Code::bad_test, step.span, "an event is sent between once and 100,000 times");
            continue;
          }
          out.times = static_cast<std::uint32_t>(*step.number);
        }
        if (step.every) {
          const auto every = parse_duration(step.every->text);
          if (!every || every->us < 0) {
            error(Code::bad_test, step.every->span, "`every` takes a duration such as `4m`");
            continue;
          }
          out.every = *every;
          if (clock) {
            for (std::uint32_t i = 1; i < out.times; ++i) pass(*every);
          }
        }
        break;
      }
      case ast::TestStepKind::wait: {
        out.kind = TestStep::Kind::wait;
        const auto duration = parse_duration(step.text.text);
        if (!duration || duration->us <= 0) {
          error(Code::bad_test, step.text.span, "`wait` takes a duration such as `4m`");
          continue;
        }
        out.duration = *duration;
        pass(*duration);
        break;
      }
      case ast::TestStepKind::expect_no_rule:
      case ast::TestStepKind::expect_rule: {
        out.kind =
            step.kind == ast::TestStepKind::expect_rule ? TestStep::Kind::expect_rule : TestStep::Kind::expect_no_rule;
        const NameEntry* entry = find_name(step.name.text);
        if (entry == nullptr || entry->kind != NameKind::rule) {
          error(Code::unknown_name, step.name.span, "there is no rule " + quoted(step.name.text)).under =
              did_you_mean(step.name.text, names_of({NameKind::rule}));
          continue;
        }
        const auto at = rule_order_.find(step.name.text);
        if (at == rule_order_.end()) continue;  // the rule itself is wrong, and that is said
        out.rule = static_cast<std::uint32_t>(at->second);
        out.number = step.number;
        break;
      }
      case ast::TestStepKind::expect_decision: {
        out.kind = TestStep::Kind::expect_decision;
        for (std::size_t i = 0; i < event::action_count; ++i) {
          if (to_text(static_cast<Action>(i)) == step.text.text) out.action = static_cast<Action>(i);
        }
        if (out.action == Action::page)
          error(Code::bad_test, step.text.span, "`page` is no decision, it alerts somebody");
        break;
      }
      case ast::TestStepKind::expect_score: {
        out.kind = TestStep::Kind::expect_score;
        const auto score = check_constant(step.values[0], type_of(TypeKind::decimal), "a score");
        if (!score) continue;
        out.score = score->value.number();
        break;
      }
      case ast::TestStepKind::expect_alerts:
        out.kind = TestStep::Kind::expect_alerts;
        out.number = step.number;
        break;
      case ast::TestStepKind::expect_list:
      case ast::TestStepKind::expect_label:
      case ast::TestStepKind::expect_feature:
        out.kind = TestStep::Kind::expect_state;
        if (!check_state(step, out)) continue;
        out.question = questions_;
        questions_ += static_cast<std::uint32_t>(out.holds.size() + out.shown.size());
        break;
    }
    test.steps.push_back(std::move(out));
  }
  book_.tests.push_back(std::move(test));
}

}  // namespace tocsin::dsl::detail
