#include <algorithm>

#include "dsl/check_scope.h"
#include "dsl/parse.h"
#include "dsl/walk.h"

namespace tocsin::dsl::detail {
namespace {

using ast::ClauseKind;

std::optional<Action> action_of(std::string_view text) {
  for (std::size_t i = 0; i < event::action_count; ++i) {
    if (to_text(static_cast<Action>(i)) == text) return static_cast<Action>(i);
  }
  return std::nullopt;
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
    case ClauseKind::after_match: return "after match";
    case ClauseKind::let: return "let";
    case ClauseKind::when: return "when";
    case ClauseKind::except: return "except";
    case ClauseKind::decide: return "decide";
    case ClauseKind::score: return "score";
    case ClauseKind::label: return "label";
    case ClauseKind::add: return "add";
    case ClauseKind::alert_once: return "alert once";
    case ClauseKind::suppressed: return "suppressed by";
    case ClauseKind::resolve: return "resolve on";
    case ClauseKind::because: return "because";
    case ClauseKind::show: return "show";
  }
  return "";
}

bool may_repeat(ClauseKind kind) {
  switch (kind) {
    case ClauseKind::let:
    case ClauseKind::except:
    case ClauseKind::label:
    case ClauseKind::add:
    case ClauseKind::suppressed:
    case ClauseKind::resolve:
    case ClauseKind::rule_switch: return true;
    case ClauseKind::title:
    case ClauseKind::severity:
    case ClauseKind::tags:
    case ClauseKind::owner:
    case ClauseKind::runbook:
    case ClauseKind::mode:
    case ClauseKind::rollout:
    case ClauseKind::sequence:
    case ClauseKind::pick:
    case ClauseKind::after_match:
    case ClauseKind::when:
    case ClauseKind::decide:
    case ClauseKind::score:
    case ClauseKind::alert_once:
    case ClauseKind::because:
    case ClauseKind::show: return false;
  }
  return false;
}

std::vector<EventTypeId> events_of(const Source& source) {
  std::vector<EventTypeId> events;
  for (const Alternative& one : source.alternatives) {
    if (std::find(events.begin(), events.end(), one.event) == events.end()) events.push_back(one.event);
  }
  return events;
}

std::string name_of(const ast::EventName& name) { return name.is_hit ? "hit." + name.name.text : name.name.text; }

void add_types(Subject& subject, const Source& source) {
  for (const Alternative& one : source.alternatives) subject.types.push_back({one.event, one.via});
}

/// The last name of an expression: what a shown value is called (E2).
std::string last_name(const ast::Expr& e) {
  switch (e.kind) {
    case ast::ExprKind::name:
    case ast::ExprKind::member:
    case ast::ExprKind::feature_of: return e.text;
    case ast::ExprKind::aggregate: return e.aggregate->function.text;
    default: break;
  }
  for (auto child = e.children.rbegin(); child != e.children.rend(); ++child) {
    std::string name = last_name(*child);
    if (!name.empty()) return name;
  }
  return e.kind == ast::ExprKind::call ? e.text : std::string();
}

/// Leaves of each event type the alternative of this role. Whether some type has a further one.
bool keep_role(std::vector<Alternative>& alternatives, std::size_t role) {
  std::map<EventTypeId, std::size_t> roles;
  bool more = false;
  std::vector<Alternative> kept;
  for (Alternative& one : alternatives) {
    const std::size_t own = roles[one.event]++;
    more = more || own > role;
    if (own == role) kept.push_back(std::move(one));
  }
  alternatives = std::move(kept);
  return more;
}

Span word_no(Span step) { return {step.file, step.begin, std::min(step.end, step.begin + 2)}; }

}  // namespace

// ---------------------------------------------------------------- names within a rule

bool Checker::alias_hides(const ast::Name& name, const std::vector<EventTypeId>& events, const Rule& rule) {
  const auto refuse = [&](const std::string& what, std::optional<Span> place) {
    Diagnostic& d = error(Code::shadowed_name, name.span, quoted(name.text) + " hides " + what);
    if (place) d.labels.push_back({*place, "declared here"});
    d.hints.push_back("choose another name");
    return true;
  };
  for (const KeyPart& part : rule.keys) {
    if (part.name == name.text) return refuse("the key " + quoted(name.text) + " of this rule", std::nullopt);
  }
  for (const EventTypeId event : events) {
    const event::EventType& type = book_.schema.events[event];
    if (const auto field = type.find(name.text)) {
      return refuse("the field " + quoted(name.text) + " of event " + quoted(type.name), field_spans_[event][*field]);
    }
  }
  const NameEntry* entry = find_name(name.text);
  if (entry != nullptr && entry->kind == NameKind::feature)
    return refuse("the feature " + quoted(name.text), entry->span);
  if (entry != nullptr && entry->kind == NameKind::param) return refuse("the param " + quoted(name.text), entry->span);
  return false;
}

// ---------------------------------------------------------------- sequences

bool Checker::step_source(EventTest& test, const ast::EventName& name, const std::optional<ast::Name>& via,
                          const ast::RuleDecl& decl, Rule& rule) {
  auto alternatives = resolve_source(name, via, std::nullopt, nullptr);
  test.source.name = name_of(name);
  if (!alternatives) return false;
  if (!resolve_keys(*alternatives, decl.keys, rule.keys, name.name.span)) return false;
  test.source.alternatives = std::move(*alternatives);
  return true;
}

bool Checker::step_where(EventTest& test, const std::optional<ast::Expr>& where, const std::optional<ast::Name>& alias,
                         const std::vector<Alias>& others, const Rule& rule) {
  if (!where) return true;
  Subject subject;
  subject.name = test.source.name;
  add_types(subject, test.source);
  Scope scope;
  scope.where = Where::step;
  scope.subject = &subject;
  scope.keys = &rule.keys;
  scope.key_source = &test.source.alternatives;
  if (alias)
    scope.aliases.push_back({alias->text, alias->span, AliasKind::own, 0, true, false, events_of(test.source)});
  for (const Alias& other : others) {
    if (!alias || other.name != alias->text) scope.aliases.push_back(other);
  }
  auto condition = check_condition(*where, scope);
  if (!condition) return false;
  settle_features(*condition, test);
  test.where = std::move(condition);
  return true;
}

void Checker::settle_features(Expr& condition, const EventTest& test) {
  const auto any = [](const Expr& e, const auto& wanted, const auto& self) -> bool {
    return wanted(e) ||
           std::any_of(e.args.begin(), e.args.end(), [&](const Expr& arg) { return self(arg, wanted, self); });
  };
  const auto looks_elsewhere = [](const Expr& e) { return of_a_step(e.op); };
  const auto of_key = [](const Expr& e) { return e.op == Op::rule_key; };
  const auto of_window = [](const Expr& e) { return (e.op == Op::aggregate && !e.flag) || e.op == Op::in_window; };
  if (condition.op == Op::and_) {
    for (Expr& arg : condition.args) settle_features(arg, test);
    return;
  }
  if (!any(condition, looks_elsewhere, any) || !any(condition, of_window, any)) return;
  const auto settle = [&](Expr& e, const auto& self) -> void {
    if (!of_window(e)) {
      for (Expr& arg : e.args) self(arg, self);
      return;
    }
    if (any(e, looks_elsewhere, any)) return;  // under a key of another step: it is read when both are known
    if (any(e, of_key, any)) return;           // of an event under several roles: which, is known under the key only
    Expr field = make(Op::field, e.type, e.span);
    for (const EventTypeId event : events_of(test.source)) {
      const std::string name = "(" + meaning(e, book_) + ")";
      const auto known = book_.schema.events[event].find(name);
      if (!known && book_.schema.events[event].fields.size() >= fields_max) return;
      field.fields.push_back({event, known ? *known : unnamed_field(event, name, e, e.span)});
    }
    e = std::move(field);
  };
  settle(condition, settle);
}

void Checker::warn_unbounded(const Rule& rule, Span span) {
  const Sequence& s = *rule.sequence;
  if (s.within) return;
  std::size_t gaps_open = 0;
  bool group = false;
  for (std::size_t i = 0; i < s.steps.size(); ++i) {
    const Step& step = s.steps[i];
    if (step.kind == StepKind::all_of || step.kind == StepKind::any_of) {
      const bool bounded = std::all_of(step.parts.begin(), step.parts.end(),
                                       [](const EventTest& part) { return part.within.has_value(); });
      if (!bounded) ++gaps_open;
    } else if (i > 0 && !step.within) {
      ++gaps_open;
    }
    if (step.kind == StepKind::group && step.max != 1 && step.min > 1 && !step.within) group = true;
  }
  if (gaps_open == 0 && !group) return;
  warning(Code::unbounded_sequence, span, "this sequence has no `within`: what began is kept for ever")
      .hints.push_back("`sequence within 24h { … }` says how far its first and last event may lie apart");
}

bool Checker::check_sequence(const ast::Sequence& written, Span word, Rule& rule, const ast::RuleDecl& decl,
                             std::vector<Alias>& aliases, Subject& completing) {
  Sequence sequence;
  bool ok = true;
  if (written.within) {
    sequence.within = positive_duration(*written.within, Code::bad_window, "`within`");
    ok = ok && sequence.within.has_value();
  }
  std::size_t positive_count = 0;
  const ast::Step* last_positive = nullptr;
  for (const ast::Step& step : written.steps) {
    if (step.kind == ast::StepKind::negative) continue;
    ++positive_count;
    last_positive = &step;
  }
  if (positive_count == 0) {
    error(Code::only_absences, word, "a sequence of `no` alone has nothing to begin with")
        .hints.push_back("add the step after which, or before which, the event is missed");
    return false;
  }

  // First what each step is made of, so that conditions know which names come earlier and which later.
  struct Test {
    EventTest* test = nullptr;
    const std::optional<ast::Expr>* where = nullptr;
    const std::optional<ast::Name>* alias = nullptr;
    std::size_t step = 0;  // index among the positive ones; of an absence: how many stand before it
    bool absence = false;
  };
  sequence.steps.reserve(positive_count);
  sequence.absences.reserve(written.steps.size());
  std::vector<Test> tests;
  std::map<std::string, std::size_t> used;
  struct Named {
    Alias alias;
    std::size_t step = 0;
    const EventTest* test = nullptr;
  };
  std::vector<Named> named;
  const auto add_test = [&](EventTest& test, const ast::Step& from, std::size_t step, bool group) {
    test.place = sequence.place_count++;
    const bool resolved = step_source(test, from.event, from.via, decl, rule);
    ok = ok && resolved;
    const std::string name = from.alias ? from.alias->text : name_of(from.event);
    const std::size_t times = ++used[name];
    test.alias = times == 1 ? name : name + "#" + std::to_string(times);
    if (resolved) tests.push_back({&test, &from.where, &from.alias, step, false});
    if (!from.alias) return;
    for (const Named& other : named) {
      if (other.alias.name != name) continue;
      error(Code::duplicate_name, from.alias->span, "two steps are called " + quoted(name))
          .labels.push_back({other.alias.span, "the first"});
      ok = false;
      return;
    }
    const auto events = events_of(test.source);
    if (alias_hides(*from.alias, events, rule)) {
      ok = false;
      return;
    }
    named.push_back(
        {{name, from.alias->span, group ? AliasKind::group : AliasKind::single, test.place, true, false, events},
         step,
         &test});
  };
  const auto too_many = [&](std::uint64_t n, Span at) {
    if (n <= step_count_max) return false;
    error(Code::bad_count, at, "more than 10,000 events in one step");
    return true;
  };

  for (const ast::Step& step : written.steps) {
    const std::size_t index = sequence.steps.size();
    if (step.kind == ast::StepKind::negative) {
      const bool first = index == 0;
      const bool final = index == positive_count;
      Absence absence;
      absence.before_step = static_cast<std::uint32_t>(index);
      if (step.wait && !first && !final) {
        error(Code::middle_no_with_for, step.wait->span, "a `no` between two steps takes no `for`")
            .hints.push_back("it looks from the one step to the other; leave out `for " + step.wait->text +
                             "`; that the next step comes at least " + step.wait->text +
                             " later is a condition of that step: `where b.at - a.at >= " + step.wait->text + "`");
        ok = false;
      } else if (!step.wait && final) {
        error(Code::final_no_without_for, word_no(step.span),
              "a final `no` needs a duration, or it can never be decided")
            .hints.push_back("add `for 12h`; the rule then fires when 12 hours of event time have passed without one");
        ok = false;
      } else if (!step.wait && first) {
        error(Code::first_no_without_for, word_no(step.span),
              "a first `no` needs a duration, or nobody knows how far to look back")
            .hints.push_back("add `for 12h`; then there was none in the 12 hours before the next step");
        ok = false;
      } else if (step.wait) {
        const auto wait = positive_duration(*step.wait, Code::bad_window, "`for`");
        ok = ok && wait.has_value();
        if (wait) absence.wait = *wait;
      }
      sequence.absences.push_back(std::move(absence));
      EventTest& test = sequence.absences.back().test;
      test.alias = step.alias ? step.alias->text : name_of(step.event);
      if (step_source(test, step.event, step.via, decl, rule)) {
        if (step.alias && alias_hides(*step.alias, events_of(test.source), rule)) ok = false;
        tests.push_back({&test, &step.where, &step.alias, index, true});
      } else {
        ok = false;
      }
      continue;
    }

    Step out;
    const bool first = index == 0;
    if (first && step.link != ast::StepLink::then) {
      error(Code::link_on_first, step.link_span.value_or(step.span),
            "the first step has none before it, so it takes no `first` or `next`");
      ok = false;
    }
    out.link = step.link == ast::StepLink::first  ? Link::first
               : step.link == ast::StepLink::next ? Link::next
                                                  : Link::then;
    if (step.within && first) {
      error(Code::within_on_first, step.within->span, "the first step has none before it, so it takes no `within`")
          .hints.push_back("of the whole sequence it is `sequence within " + step.within->text + " { … }`");
      ok = false;
    } else if (step.within) {
      out.within = positive_duration(*step.within, Code::bad_window, "`within`");
      ok = ok && out.within.has_value();
    }
    if (step.kind == ast::StepKind::positive) {
      switch (step.count) {
        case ast::CountKind::one: break;
        case ast::CountKind::optional:
          out.optional = true;
          if (&step == last_positive) {
            error(Code::optional_last, step.count_span,
                  "the last step cannot be optional: nobody would know when the match is complete")
                .hints.push_back("leave `optional` away, or the step");
            ok = false;
          }
          break;
        case ast::CountKind::at_least:
        case ast::CountKind::exactly:
        case ast::CountKind::between: {
          out.kind = StepKind::group;
          const std::uint64_t high = step.count == ast::CountKind::between ? step.high : step.low;
          if (step.low == 0) {
            error(Code::bad_count, step.count_span, "a step has at least one event")
                .hints.push_back("`optional` says that a step may be empty, `no` that it must be");
            ok = false;
          } else if (step.count == ast::CountKind::between && step.high < step.low) {
            error(Code::bad_count, step.count_span,
                  std::to_string(step.low) + " to " + std::to_string(step.high) + " is never so")
                .hints.push_back("the smaller number stands first");
            ok = false;
          } else if (too_many(std::max(step.low, high), step.count_span)) {
            ok = false;
          } else {
            out.min = static_cast<std::uint32_t>(step.low);
            out.max = step.count == ast::CountKind::at_least ? 0 : static_cast<std::uint32_t>(high);
            out.exact = step.count != ast::CountKind::at_least;
          }
          break;
        }
      }
      out.consecutive = step.consecutive;
      if (step.consecutive && out.kind != StepKind::group) {
        error(Code::consecutive_without_count, step.span, "`consecutive` needs a count")
            .hints.push_back("`exactly 3 consecutive " + step.event.name.text + "`, `at least 3 consecutive …`");
        ok = false;
      }
      out.parts.emplace_back();
      const bool group = out.kind == StepKind::group;
      sequence.steps.push_back(std::move(out));
      add_test(sequence.steps.back().parts[0], step, index, group);
      continue;
    }
    out.kind = step.kind == ast::StepKind::all_of ? StepKind::all_of : StepKind::any_of;
    out.min = static_cast<std::uint32_t>(step.parts.size());
    if (step.kind == ast::StepKind::any_of) {
      if (step.low == 0 || step.low > step.parts.size()) {
        error(Code::bad_count, step.count_span.end > step.count_span.begin ? step.count_span : step.span,
              "`any " + std::to_string(step.low) + " of` " + number_word(step.parts.size()) + " parts is never so");
        ok = false;
      } else {
        out.min = static_cast<std::uint32_t>(step.low);
      }
    }
    out.max = static_cast<std::uint32_t>(step.parts.size());
    out.parts.resize(step.parts.size());
    sequence.steps.push_back(std::move(out));
    for (std::size_t p = 0; p < step.parts.size(); ++p) {
      const ast::Step& part = step.parts[p];
      EventTest& test = sequence.steps.back().parts[p];
      const bool counted = part.count != ast::CountKind::one && part.count != ast::CountKind::optional;
      if (part.kind != ast::StepKind::positive || counted || part.consecutive) {
        error(Code::count_in_parts, counted ? part.count_span : part.span,
              "a part in any order is one event, without a count or `consecutive`")
            .hints.push_back("put the count into a step of its own");
        ok = false;
        continue;
      }
      test.optional = part.count == ast::CountKind::optional;
      if (part.within && first) {
        error(Code::within_on_first, part.within->span, "the first step has none before it, so it takes no `within`")
            .hints.push_back("of the whole sequence it is `sequence within " + part.within->text + " { … }`");
        ok = false;
      } else if (part.within) {
        test.within = positive_duration(*part.within, Code::bad_window, "`within`");
        ok = ok && test.within.has_value();
      }
      add_test(test, part, index, false);
    }
  }

  for (Test& t : tests) {
    std::vector<Alias> others;
    for (const Named& other : named) {
      Alias alias = other.alias;
      alias.visible = other.step < t.step;
      alias.sibling = !t.absence && other.step == t.step && other.test != t.test;
      others.push_back(std::move(alias));
    }
    if (!step_where(*t.test, *t.where, *t.alias, others, rule)) ok = false;
  }
  if (written.until) {
    sequence.until.emplace();
    EventTest& test = *sequence.until;
    test.alias = written.until->alias ? written.until->alias->text : name_of(written.until->event);
    if (!step_source(test, written.until->event, std::nullopt, decl, rule) ||
        !step_where(test, written.until->where, written.until->alias, {}, rule))
      ok = false;
  }
  for (const Named& one : named) aliases.push_back(one.alias);
  for (const EventTest& part : sequence.steps.back().parts) add_types(completing, part.source);
  completing.name = sequence.steps.back().parts.empty() ? "" : sequence.steps.back().parts[0].source.name;
  completing.fields_visible = false;
  rule.sequence = std::move(sequence);
  return ok;
}

// ---------------------------------------------------------------- rules

void Checker::check_because(const ast::Clause& clause, Scope& s, Rule& rule) {
  // The words are read from the file, not from the unescaped text, so that every placeholder knows its place.
  const Span span = clause.text.span;
  const std::string_view text = sources_[span.file].text();
  const std::size_t end = std::min<std::size_t>(span.end, text.size());
  std::size_t at = span.begin;
  std::size_t stop = end;
  if (at < stop && text[at] == '"') {
    ++at;
    if (stop > at && text[stop - 1] == '"') --stop;
  }
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) rule.because.push_back({std::move(literal), std::nullopt});
    literal.clear();
  };
  const auto place = [&](std::size_t from, std::size_t to) {
    return Span{span.file, static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to)};
  };
  while (at < stop) {
    const char c = text[at];
    if (c == '\\' && at + 1 < stop) {
      const char next = text[at + 1];
      literal += next == 'n' ? '\n' : next == 't' ? '\t' : next;
      at += 2;
      continue;
    }
    if (c == '}') {
      error(Code::text_placeholder, place(at, at + 1), "a `}` without its `{`")
          .hints.push_back("write `\\}` if the character is meant");
      return;
    }
    if (c != '{') {
      literal += c;
      ++at;
      continue;
    }
    const std::size_t close = text.substr(0, stop).find('}', at);
    const std::size_t another = text.substr(0, stop).find('{', at + 1);
    if (close == std::string_view::npos || another < close) {
      error(Code::text_placeholder, place(at, at + 1), "this `{` is not closed")
          .hints.push_back("a value stands between `{` and `}`; write `\\{` if the character is meant");
      return;
    }
    const std::string_view inside = text.substr(at + 1, close - at - 1);
    if (inside.find_first_not_of(" \t") == std::string_view::npos) {
      error(Code::text_placeholder, place(at, close + 1), "nothing stands between `{` and `}`")
          .hints.push_back("name a value, as in `{user}`");
      return;
    }
    const auto e = parse_expression(inside, place(at + 1, close), diagnostics_);
    at = close + 1;
    if (!e) continue;
    flush();
    s.text_placeholder = true;
    Typed value = check_whole(*e, s);
    s.text_placeholder = false;
    if (!value.poison) rule.because.push_back({"", std::move(value.expr)});
  }
  flush();
}

void Checker::check_alert_once(const ast::Clause& clause, Scope& s, Rule& rule) {
  AlertOnce once;
  bool ok = true;
  if (clause.duration) {
    const auto per = positive_duration(*clause.duration, Code::bad_window, "`alert once per`");
    ok = per.has_value();
    if (per) once.per = *per;
  }
  for (const ast::Key& key : clause.keys) {
    KeyPart part;
    auto value = key_of_hit(key, rule, s, part);
    ok = ok && value.has_value();
    if (!value) continue;
    once.by.push_back(std::move(part));
    once.values.push_back(std::move(*value));
  }
  if (ok) rule.alert_once = std::move(once);
}

/// A key of the rule, or else a field of the event that completes it.
std::optional<Expr> Checker::key_of_hit(const ast::Key& key, const Rule& rule, Scope& s, KeyPart& part) {
  const std::string name = key_name(key);
  const auto own = std::find_if(rule.keys.begin(), rule.keys.end(), [&](const KeyPart& k) { return k.name == name; });
  if (own != rule.keys.end()) {
    part = *own;
    Expr value = make(Op::rule_key, own->type, key.span);
    value.index = static_cast<std::uint32_t>(own - rule.keys.begin());
    return value;
  }
  part = {name, {}};
  for (std::size_t i = 0; i < s.subject->types.size(); ++i) {
    const auto field = resolve_key(s.subject->types[i], key, key.span, true);
    if (!field) return std::nullopt;
    if (i == 0) part.type = field_def(s.subject->types[i].event, *field).type;
  }
  return key_at_use(key, part, key.span, s);
}

// ---------------------------------------------------------------- what becomes of alerts

namespace {

/// The event that completes the rule, as its outputs see it.
Subject completing_event(const Rule& rule) {
  Subject subject;
  if (rule.on) {
    add_types(subject, *rule.on);
    subject.name = rule.on->name;
  } else if (rule.sequence && !rule.sequence->steps.empty()) {
    for (const EventTest& part : rule.sequence->steps.back().parts) add_types(subject, part.source);
    subject.name = rule.sequence->steps.back().parts.front().source.name;
    subject.fields_visible = false;
  }
  return subject;
}

}  // namespace

void Checker::check_resolve(const ast::Clause& clause, const ast::RuleDecl& decl, Rule& rule) {
  const std::vector<KeyPart>& parts = rule.alert_once ? rule.alert_once->by : rule.keys;
  if (parts.empty()) {
    error(Code::resolve_without_key, clause.word,
          "nobody knows which alert this event resolves: a rule `on` an event has no key")
        .hints.push_back("say what the alert is about: `alert once per 1h by user`");
    return;
  }
  const ast::Clause* once = nullptr;
  for (const ast::Clause& other : decl.clauses) {
    if (other.kind == ClauseKind::alert_once && once == nullptr) once = &other;
  }
  const std::vector<ast::Key>& keys = rule.alert_once && once != nullptr ? once->keys : decl.keys;
  auto alternatives = resolve_source(clause.source->event, clause.source->via, clause.source->where, nullptr);
  if (!alternatives) return;
  for (Alternative& one : *alternatives) {
    for (std::size_t k = 0; k < keys.size() && k < parts.size(); ++k) {
      ++silent_;
      const auto field = resolve_key({one.event, one.via}, keys[k], clause.source->span, true);
      --silent_;
      if (field && field_def(one.event, *field).type == parts[k].type) {
        one.key.push_back(*field);
        continue;
      }
      const std::string& name = book_.schema.events[one.event].name;
      Diagnostic& d = error(Code::resolve_without_key, clause.source->span,
                            quoted(name) + " does not say which " + parts[k].name + " it is about, so it can resolve " +
                                "no alert of this rule");
      d.notes.push_back("alerts of " + rule.name + " are told apart by " + and_joined([&] {
                          std::vector<std::string> names;
                          for (const KeyPart& part : parts) names.push_back(part.name);
                          return names;
                        }()));
      d.notes.push_back("fields of " + name + ": " + joined(field_names(one.event)));
      d.hints.push_back("with several fields of the kind, `via` says which: `resolve on " + name + " via …`");
      return;
    }
  }
  rule.resolves.push_back({name_of(clause.source->event), std::move(*alternatives)});
}

void Checker::check_suppressed(const ast::Clause& clause, Rule& rule) {
  const NameEntry* entry = find_name(clause.name.text);
  if (entry == nullptr || entry->kind != NameKind::rule) {
    error(Code::unknown_name, clause.name.span, "there is no rule " + quoted(clause.name.text)).under =
        did_you_mean(clause.name.text, names_of({NameKind::rule}));
    return;
  }
  if (clause.name.text == rule.name) {
    error(Code::circle_of_rules, clause.name.span, "a rule cannot suppress its own alerts")
        .hints.push_back("`alert once per 1h by user` folds later hits into the first alert");
    return;
  }
  Suppression suppression;
  suppression.by = clause.name.text;
  if (clause.duration) {
    const auto hold = positive_duration(*clause.duration, Code::bad_window, "`hold`");
    if (!hold) return;
    suppression.hold = *hold;
  }
  const auto other =
      std::find_if(book_.rules.begin(), book_.rules.end(), [&](const Rule& r) { return r.name == clause.name.text; });
  if (other == book_.rules.end()) return;  // the other rule is wrong, and that is said
  for (const ast::Key& key : clause.keys) {
    for (const bool own : {true, false}) {
      const Rule& of = own ? rule : *other;
      Subject subject = completing_event(of);
      Scope s;
      s.where = of.on ? Where::on_rule : Where::after;
      s.subject = &subject;
      s.keys = &of.keys;
      KeyPart part;
      auto value = key_of_hit(key, of, s, part);
      if (!value) return;
      if (own) {
        suppression.same.push_back(part);
        suppression.values.push_back(std::move(*value));
      } else if (part.type != suppression.same.back().type) {
        error(Code::type_mismatch, key.span,
              quoted(part.name) + " is " + type_words(suppression.same.back().type) + " here and " +
                  type_words(part.type) + " in " + quoted(other->name));
        return;
      } else {
        suppression.by_values.push_back(std::move(*value));
      }
    }
  }
  rule.suppressed.push_back(std::move(suppression));
}

void Checker::check_alert_clauses() {
  std::multimap<std::string_view, Rule*> by_name;  // one, or one for each role
  for (Rule& rule : book_.rules) by_name.emplace(rule.name, &rule);
  for (const auto& [decl, span] : rules_) {
    const auto [first, last] = by_name.equal_range(decl->name.text);
    for (auto at = first; at != last; ++at) {
      for (const ast::Clause& clause : decl->clauses) {
        if (clause.kind == ClauseKind::resolve && clause.source) check_resolve(clause, *decl, *at->second);
        if (clause.kind == ClauseKind::suppressed) check_suppressed(clause, *at->second);
      }
    }
  }
}

void Checker::check_label(const ast::Clause& clause, Scope& s, Rule& rule) {
  Typed whom = check_whole(*clause.value, s);
  LabelEffect effect;
  bool ok = !whom.poison;
  if (clause.duration) {
    effect.lasts = positive_duration(*clause.duration, Code::bad_window, "how long a label holds");
    ok = ok && effect.lasts.has_value();
  }
  if (clause.text.text.empty()) {
    error(Code::bad_literal, clause.text.span, "a label needs a name");
    ok = false;
  }
  if (!ok) return;
  const auto kind = labelled_kind(whom, *clause.value);
  if (!kind) return;
  effect.label = label_id(*kind, clause.text.text);
  effect.whom = std::move(whom.expr);
  rule.labels.push_back(std::move(effect));
}

void Checker::check_add(const ast::Clause& clause, Scope& s, Rule& rule) {
  Typed what = check_whole(*clause.value, s);
  ListEffect effect;
  bool ok = !what.poison;
  if (clause.duration) {
    effect.lasts = positive_duration(*clause.duration, Code::bad_window, "how long an entry holds");
    ok = ok && effect.lasts.has_value();
  }
  const List* found = find_list(clause.name);
  if (found == nullptr) return;
  if (!ok) return;
  const List& list = *found;
  effect.list = static_cast<ListId>(found - book_.lists.data());
  if (!effect.lasts) effect.lasts = list.lifetime;
  const Type element = list.element.kind == TypeKind::cidr ? type_of(TypeKind::ip) : list.element;
  const auto textual = [](const Type& t) { return t.kind == TypeKind::text || t.kind == TypeKind::entity; };
  if (what.text_literal && !adopt(what, element, clause.value->span)) return;
  const Type& own = what.expr.type;
  const bool any_money = own.kind == TypeKind::money && element.kind == TypeKind::money && element.currency.code == 0;
  const bool fits =
      own == element || any_money || (is_number(own) && is_number(element)) ||
      (textual(own) && textual(element) && (own.kind == TypeKind::text || element.kind == TypeKind::text));
  if (what.list || !fits) {
    error(Code::type_mismatch, clause.value->span,
          "`@" + list.name + "` holds " + book_.schema.type_text(list.element) + ", and this is " +
              (what.list ? "a list of values" : type_words(own)));
    return;
  }
  effect.what = std::move(what.expr);
  rule.adds.push_back(std::move(effect));
}

void Checker::check_rollout(const ast::Clause& clause, Scope& s, Rule& rule) {
  Rollout rollout;
  const auto percent = parse_decimal(clause.text.text);
  if (!percent || percent->units < 0 || percent->units > Decimal::from_integer(100).units) {
    error(Code::bad_literal, clause.text.span, "a rollout is a share from 0% to 100%");
    return;
  }
  // Shares are counted in 10,000: two digits behind the point of a percentage.
  const auto hundredths = multiply(*percent, Decimal::from_integer(100));
  if (!hundredths || hundredths->units % Decimal::one != 0) {
    error(Code::bad_literal, clause.text.span, "a rollout has at most two digits behind the point");
    return;
  }
  rollout.share = static_cast<std::uint32_t>(hundredths->units / Decimal::one);
  const auto part =
      std::find_if(rule.keys.begin(), rule.keys.end(), [&](const KeyPart& k) { return k.name == clause.name.text; });
  if (part != rule.keys.end()) {
    rollout.value = make(Op::rule_key, part->type, clause.name.span);
    rollout.value.index = static_cast<std::uint32_t>(part - rule.keys.begin());
  } else if (rule.sequence) {
    // Whether a sequence is in the share must be the same for all of its events.
    Diagnostic& d = error(Code::no_key_field, clause.name.span,
                          "a rule `per` a key is rolled out by a part of that key, and this is none");
    std::vector<std::string> names;
    for (const KeyPart& key : rule.keys) names.push_back(key.name);
    d.notes.push_back("key of the rule: " + joined(names));
    return;
  } else {
    KeyPart found{clause.name.text, {}};
    const ast::Key key{clause.name, {}, false, clause.name.span};
    for (std::size_t i = 0; i < s.subject->types.size(); ++i) {
      const auto field = resolve_key(s.subject->types[i], key, clause.name.span, true);
      if (!field) return;
      if (i == 0) found.type = field_def(s.subject->types[i].event, *field).type;
    }
    auto value = key_at_use(key, found, clause.name.span, s);
    if (!value) return;
    rollout.value = std::move(*value);
  }
  rule.rollout = std::move(rollout);
}

void Checker::check_switches() {
  for (const auto& [name, entry] : names_) {
    if (entry.kind != NameKind::switch_ || switches_named_.contains(entry.index)) continue;
    warning(Code::unused_switch, entry.span, "no rule names the switch " + quoted(name))
        .hints.push_back("`switch " + name + "` in a rule turns it off while the switch is off");
  }
}

/// `decide block when x` on one line looks like a condition of the decision.
void Checker::warn_when_of_decision(const ast::RuleDecl& decl, const ast::Clause& when) {
  if (&when == decl.clauses.data()) return;
  const ast::Clause& before = *(&when - 1);
  if (before.kind != ClauseKind::decide || before.value) return;
  const SourceFile& file = sources_[when.word.file];
  const std::uint32_t line = file.place_of(when.word.begin).line;
  const bool alone = file.place_of(decl.name.span.begin).line != line;  // a rule in one line is no such line
  if (!alone || file.place_of(before.word.begin).line != line) return;
  warning(Code::means_otherwise, when.word, "`when` says when the rule hits, not what it decides then")
      .hints.push_back("put `when` on a line of its own, or write `decide " + before.text.text + " if " +
                       source_text(when.value->span) + " else allow`");
}

/// Clauses stand in any order, so a `let` may use one that stands below it: those used come first.
std::vector<const ast::Clause*> Checker::lets_in_order(const ast::RuleDecl& decl) {
  std::map<std::string_view, const ast::Clause*> lets;
  std::vector<const ast::Clause*> written;
  for (const ast::Clause& clause : decl.clauses) {
    if (clause.kind != ClauseKind::let) continue;
    written.push_back(&clause);
    lets.try_emplace(clause.name.text, &clause);
  }
  class Used : public Visitor {
   public:
    void expression(const ast::Expr& expression) override {
      if (expression.kind == ast::ExprKind::name) names.push_back(expression.text);
    }
    std::vector<std::string_view> names;
  };
  std::vector<const ast::Clause*> ordered;
  std::set<const ast::Clause*> done;
  std::vector<const ast::Clause*> open;
  const auto place = [&](const auto& self, const ast::Clause* let) -> void {
    if (done.contains(let)) return;
    if (const auto from = std::find(open.begin(), open.end(), let); from != open.end()) {
      std::vector<std::string> chain;
      for (auto at = from; at != open.end(); ++at) chain.push_back((*at)->name.text);
      chain.push_back(let->name.text);
      error(Code::cyclic_definition, let->name.span, quoted(let->name.text) + " is defined by itself")
          .notes.push_back(joined(chain, " → "));
      poison_lets_.insert(let->name.text);
      return;
    }
    if (open.size() >= static_cast<std::size_t>(definition_depth_max)) return;  // said where it is used
    open.push_back(let);
    Used used;
    walk(*let->value, used);
    for (const std::string_view name : used.names) {
      if (const auto at = lets.find(name); at != lets.end()) self(self, at->second);
    }
    open.pop_back();
    if (done.insert(let).second) ordered.push_back(let);
  };
  for (const ast::Clause* let : written) place(place, let);
  return ordered;
}

bool Checker::check_rule(const ast::RuleDecl& decl, Span span, std::size_t role) {
  poison_lets_.clear();
  Rule rule;
  rule.name = decl.name.text;
  rule.span = span;

  std::map<ClauseKind, Span> seen;
  const ast::Clause* sequence = nullptr;
  for (const ast::Clause& clause : decl.clauses) {
    const auto [first, fresh] = seen.try_emplace(clause.kind, clause.word);
    if (!fresh && !may_repeat(clause.kind)) {
      Diagnostic& d =
          error(Code::duplicate_clause, clause.word, "a rule has one `" + std::string(word_of(clause.kind)) + "`");
      d.labels.push_back({first->second, "the first"});
      if (clause.kind == ClauseKind::when) d.hints.push_back("join the conditions with `and`");
      continue;
    }
    switch (clause.kind) {
      case ClauseKind::title: rule.title = clause.text.text; break;
      case ClauseKind::owner: rule.owner = clause.text.text; break;
      case ClauseKind::runbook: rule.runbook = clause.text.text; break;
      case ClauseKind::severity:
        for (const AlertSeverity severity : {AlertSeverity::info, AlertSeverity::low, AlertSeverity::medium,
                                             AlertSeverity::high, AlertSeverity::critical}) {
          if (to_text(severity) == clause.text.text) rule.severity = severity;
        }
        break;
      case ClauseKind::tags:
        for (const ast::Name& tag : clause.names) {
          if (std::find(rule.tags.begin(), rule.tags.end(), tag.text) == rule.tags.end()) rule.tags.push_back(tag.text);
        }
        break;
      case ClauseKind::mode:
        rule.off = clause.text.text == "off";
        rule.shadow = clause.text.text == "shadow";
        break;
      case ClauseKind::rule_switch: {
        const NameEntry* entry = find_name(clause.name.text);
        if (entry == nullptr || entry->kind != NameKind::switch_) {
          Diagnostic& d = error(Code::unknown_name, clause.name.span, "there is no switch " + quoted(clause.name.text));
          d.under = did_you_mean(clause.name.text, names_of({NameKind::switch_}));
          if (d.under.empty()) d.hints.push_back("declare it: `switch " + clause.name.text + " = on`");
          break;
        }
        switches_named_.insert(entry->index);
        rule.switches.push_back(static_cast<std::uint32_t>(entry->index));
        break;
      }
      case ClauseKind::suppressed:
      case ClauseKind::resolve: break;  // once all rules are known (check_alert_clauses)
      case ClauseKind::sequence:
      case ClauseKind::pick:
      case ClauseKind::after_match:
        if (!decl.per_key) {
          error(Code::clause_not_here, clause.word,
                "`" + std::string(word_of(clause.kind)) + "` stands in a rule `per` a key only")
              .hints.push_back("a rule `on` an event looks at one event; write `rule " + decl.name.text +
                               " per user { sequence { … } }`");
        }
        if (clause.kind == ClauseKind::sequence) sequence = &clause;
        break;
      case ClauseKind::let:
      case ClauseKind::when:
      case ClauseKind::except:
      case ClauseKind::decide:
      case ClauseKind::score:
      case ClauseKind::rollout:
      case ClauseKind::label:
      case ClauseKind::add:
      case ClauseKind::alert_once:
      case ClauseKind::because:
      case ClauseKind::show: break;
    }
  }

  Subject subject;
  Scope s;
  s.subject = &subject;
  s.lets = &rule.lets;
  bool readable = true;  // whether conditions can be looked at: what they are about is known
  bool more_roles = false;
  if (decl.per_key) {
    s.where = Where::after;
    if (sequence == nullptr) {
      error(Code::missing_clause, decl.name.span, "a rule `per` a key needs a `sequence`")
          .hints.push_back("a condition on one event is `rule " + decl.name.text + " on event { when … }`");
      readable = false;
    } else if (sequence->sequence) {
      const bool ok = check_sequence(*sequence->sequence, sequence->word, rule, decl, s.aliases, subject);
      readable = rule.sequence.has_value();
      if (ok) warn_unbounded(rule, sequence->word);
    }
    s.keys = &rule.keys;
  } else {
    s.where = Where::on_rule;
    auto alternatives = resolve_source(decl.on, decl.via, std::nullopt, nullptr);
    readable = alternatives.has_value();
    if (alternatives) {
      more_roles = keep_role(*alternatives, role);
      rule.on = Source{name_of(decl.on), std::move(*alternatives)};
      add_types(subject, *rule.on);
      subject.name = rule.on->name;
    }
    if (decl.alias && readable) {
      rule.alias = decl.alias->text;
      const auto events = events_of(*rule.on);
      alias_hides(*decl.alias, events, rule);
      s.aliases.push_back({decl.alias->text, decl.alias->span, AliasKind::subject, 0, true, false, events});
    }
  }
  if (!readable) return false;

  for (const ast::Clause* in_order : lets_in_order(decl)) {
    const ast::Clause& clause = *in_order;
    const auto same =
        std::find_if(rule.lets.begin(), rule.lets.end(), [&](const Let& let) { return let.name == clause.name.text; });
    if (same != rule.lets.end() || find_alias(clause.name.text, s) != nullptr) {
      error(Code::duplicate_name, clause.name.span,
            quoted(clause.name.text) + " is already the name of something in this rule");
      continue;
    }
    std::vector<EventTypeId> visible;
    if (!decl.per_key) visible = events_of(*rule.on);
    const bool hides = alias_hides(clause.name, visible, rule);
    s.may_be_set = true;
    Typed value = check_whole(*clause.value, s);
    s.may_be_set = false;
    if (value.poison || hides) poison_lets_.insert(clause.name.text);
    if (!value.poison) rule.lets.push_back({clause.name.text, std::move(value.expr)});
  }
  for (const ast::Clause& clause : decl.clauses) {
    switch (clause.kind) {
      case ClauseKind::when:
        warn_when_of_decision(decl, clause);
        if (seen[clause.kind] == clause.word) rule.when = check_condition(*clause.value, s, true);
        break;
      case ClauseKind::except: {
        for (const Except& other : rule.excepts) {
          if (other.name == clause.name.text)
            error(Code::duplicate_name, clause.name.span, "two exceptions are called " + quoted(other.name));
        }
        Except except;
        except.name = clause.name.text;
        if (clause.until) {
          except.until = parse_timestamp(clause.until->text);
          if (!except.until) {
            error(Code::bad_date, clause.until->span, "\"" + clause.until->text + "\" is not a date")
                .hints.push_back("for example \"2027-01-31\" or \"2027-01-31T12:00:00Z\"");
          }
        }
        auto when = check_condition(*clause.value, s);
        if (!when) break;
        except.when = std::move(*when);
        rule.excepts.push_back(std::move(except));
        break;
      }
      case ClauseKind::decide: {
        if (seen[clause.kind] != clause.word) break;
        Decide decide;
        decide.action = action_of(clause.text.text).value_or(Action::allow);
        decide.otherwise = decide.action;
        if (clause.value) {
          decide.when = check_condition(*clause.value, s);
          if (clause.otherwise) decide.otherwise = action_of(clause.otherwise->text).value_or(Action::allow);
        }
        const bool decides = decide.action != Action::page || decide.otherwise != Action::page;
        const bool by_time = rule.sequence && std::any_of(rule.sequence->absences.begin(),
                                                          rule.sequence->absences.end(), [&](const Absence& a) {
                                                            return a.before_step == rule.sequence->steps.size();
                                                          });
        if (decides && !by_time && !rule.shadow && !rule.off) {
          for (const SubjectType& type : subject.types) {
            if (book_.schema.events[type.event].of_hits) continue;  // D2: a hit on a hit decides nothing
            decided_.try_emplace(type.event, clause.word);
            decided_actions_[type.event].insert(decide.action);
            if (decide.when) decided_actions_[type.event].insert(decide.otherwise);
          }
        }
        // `review` and `page` are for people and fit an alert; the others are meant for an event that is waiting.
        const auto waits_for_it = [](Action a) {
          return a != Action::allow && a != Action::review && a != Action::page;
        };
        const bool on_hits = !subject.types.empty() &&
                             std::all_of(subject.types.begin(), subject.types.end(),
                                         [&](const SubjectType& t) { return book_.schema.events[t.event].of_hits; });
        if ((by_time || on_hits) && (waits_for_it(decide.action) || waits_for_it(decide.otherwise))) {
          warning(Code::decides_nothing, clause.word,
                  by_time ? "this rule is completed by time alone, so there is no event it could decide"
                          : "this rule is completed by hits, and decisions are on events that come in")
              .hints.push_back(
                  "the action goes into its alert only; write `decide review` or `decide page`, or leave the clause "
                  "out");
        }
        rule.decide = std::move(decide);
        break;
      }
      case ClauseKind::score: {
        Typed score = check_whole(*clause.value, s);
        if (score.poison) break;
        if (!is_number(score.expr.type)) {
          error(Code::type_mismatch, clause.value->span,
                "a score is a number, and this is " + type_words(score.expr.type));
          break;
        }
        rule.score = std::move(score.expr);
        break;
      }
      case ClauseKind::because:
        if (seen[clause.kind] == clause.word) check_because(clause, s, rule);
        break;
      case ClauseKind::show: {
        if (seen[clause.kind] != clause.word) break;
        std::map<std::string, std::size_t> used;
        for (const ast::Expr& e : clause.values) {
          Typed value = check_whole(e, s);
          if (value.poison) continue;
          std::string name = last_name(e);
          if (name.empty()) name = source_text(e.span);
          const std::size_t times = ++used[name];
          if (times > 1) name += "#" + std::to_string(times);
          rule.show.push_back({std::move(name), std::move(value.expr)});
        }
        break;
      }
      case ClauseKind::alert_once:
        if (seen[clause.kind] == clause.word) check_alert_once(clause, s, rule);
        break;
      case ClauseKind::label: check_label(clause, s, rule); break;
      case ClauseKind::add: check_add(clause, s, rule); break;
      case ClauseKind::rollout:
        if (seen[clause.kind] == clause.word) check_rollout(clause, s, rule);
        break;
      case ClauseKind::pick:
        if (rule.sequence) {
          const std::string& pick = clause.text.text;
          if (pick == "every") {
            warning(Code::pick_every, clause.text.span,
                    "`pick every` reports each choice of events as a match of its own")
                .hints.push_back(
                    "`pick nearest` reports one for each event that completes the sequence; of `every` at most 100 "
                    "are");
          }
          rule.sequence->pick = pick == "earliest" ? Pick::earliest : pick == "every" ? Pick::every : Pick::nearest;
        }
        break;
      case ClauseKind::after_match: {
        if (!rule.sequence) break;
        const std::string& after = clause.text.text;
        AfterMatch& out = rule.sequence->after;
        if (after == "continue" || after == "keep all") out = AfterMatch::continue_;
        if (after == "skip to next") out = AfterMatch::skip_to_next;
        if (after == "skip past last") out = AfterMatch::skip_past_last;
        if (after == "to first" || after == "to last") {
          out = after == "to first" ? AfterMatch::skip_to_first : AfterMatch::skip_to_last;
          std::vector<std::string> names;
          bool found = false;
          for (const Step& step : rule.sequence->steps) {
            for (const EventTest& part : step.parts) {
              names.push_back(part.alias);
              if (part.alias != clause.name.text) continue;
              found = true;
              rule.sequence->after_place = part.place;
            }
          }
          if (!found) {
            Diagnostic& d =
                error(Code::unknown_step, clause.name.span, "no step is called " + quoted(clause.name.text));
            d.under = did_you_mean(clause.name.text, names);
            d.notes.push_back("steps: " + joined(names));
          }
        }
        break;
      }
      case ClauseKind::title:
      case ClauseKind::severity:
      case ClauseKind::tags:
      case ClauseKind::owner:
      case ClauseKind::runbook:
      case ClauseKind::mode:
      case ClauseKind::rule_switch:
      case ClauseKind::sequence:
      case ClauseKind::let:
      case ClauseKind::suppressed:
      case ClauseKind::resolve: break;
    }
  }
  fill_hits(decl, rule);
  book_.rules.push_back(std::move(rule));
  return !more_roles || check_rule(decl, span, role + 1);
}

// ---------------------------------------------------------------- circles over hits

void Checker::check_circles() {
  // Circles of rules that are on each other's hits, or have them as steps. Those through streams and features are found when
  // these are worked out (check_rule_once).
  std::map<std::string, std::vector<std::pair<std::string, Span>>> needs;
  const auto note = [&](const std::string& rule, const ast::EventName& event) {
    if (event.is_hit) needs[rule].emplace_back(event.name.text, event.name.span);
  };
  for (const auto& [decl, span] : rules_) {
    if (!decl->per_key) note(decl->name.text, decl->on);
    for (const ast::Clause& clause : decl->clauses) {
      if (!clause.sequence) continue;
      for (const ast::Step& step : clause.sequence->steps) {
        note(decl->name.text, step.event);
        for (const ast::Step& part : step.parts) note(decl->name.text, part.event);
      }
    }
  }
  for (const auto& [rule, first] : needs) {
    if (hit_circles_.contains(rule)) continue;
    // Which rules are needed by this one, directly or not; with the way there.
    std::map<std::string, std::string> from;
    std::vector<std::string> open{rule};
    std::optional<std::pair<std::string, Span>> back;
    while (!open.empty() && !back) {
      const std::string at = open.back();
      open.pop_back();
      const auto next = needs.find(at);
      if (next == needs.end()) continue;
      for (const auto& [name, span] : next->second) {
        if (name == rule) {
          back = {at, span};
          break;
        }
        if (from.try_emplace(name, at).second) open.push_back(name);
      }
    }
    if (!back) continue;
    std::vector<std::string> chain{rule};
    for (std::string at = back->first; at != rule; at = from[at]) chain.insert(chain.begin(), at);
    chain.insert(chain.begin(), rule);
    for (const std::string& name : chain) hit_circles_.insert(name);
    error(Code::circle_of_rules, first[0].second, "rules wait for each other's hits in a circle")
        .notes.push_back(joined(chain, " ← "));
  }
}

// ---------------------------------------------------------------- policies

void Checker::check_policy(const ast::PolicyDecl& decl, Span span) {
  (void)span;
  Policy policy;
  policy.name = decl.name.text;
  auto alternatives = resolve_source(decl.on, std::nullopt, std::nullopt, nullptr);
  if (!alternatives) {
    default_policies_unsure_ = true;
    return;
  }
  policy.on = {name_of(decl.on), std::move(*alternatives)};
  for (const Alternative& one : policy.on.alternatives) {
    if (!book_.schema.events[one.event].of_hits) continue;
    error(Code::bad_policy, decl.on.name.span, "a policy decides events that come in, and a hit is made here")
        .hints.push_back("`any rule decides …` in the policy of the event asks what its rules say");
    default_policies_unsure_ = true;
    return;
  }
  for (const EventTypeId event : events_of(policy.on)) {
    const auto [first, fresh] = policies_.try_emplace(event, decl.name.text, decl.name.span);
    if (fresh) continue;
    error(Code::bad_policy, decl.on.name.span,
          quoted(book_.schema.events[event].name) + " already has a policy, " + quoted(first->second.first))
        .labels.push_back({first->second.second, "the first"});
  }
  warn_late(policy.on.name, decl.on.name.span);
  policy.sum = decl.combine.text != "max";
  if (decl.cap) {
    policy.cap = parse_decimal(decl.cap->text);
    if (!policy.cap || policy.cap->units <= 0)
      error(Code::bad_policy, decl.cap->span, "the score's `max` is a number above 0");
  }
  const auto action = [&](const ast::Text& text) {
    const Action found = action_of(text.text).value_or(Action::allow);
    if (found == Action::page) {
      error(Code::bad_policy, text.span, "`page` alerts somebody and is no decision")
          .hints.push_back("`decide page` stands in a rule");
    }
    return found;
  };
  Subject subject;
  subject.name = policy.on.name;
  add_types(subject, policy.on);
  const ast::PolicyLine* otherwise = nullptr;
  for (const ast::PolicyLine& line : decl.lines) {
    PolicyLine out;
    out.action = action(line.action);
    if (otherwise != nullptr) {
      error(Code::bad_policy, line.span, "no event comes to this line: `otherwise` above takes them all")
          .labels.push_back({otherwise->span, ""});
      break;
    }
    if (!line.when) {
      otherwise = &line;
    } else {
      Scope s;
      s.where = Where::policy;
      s.subject = &subject;
      out.when = check_condition(*line.when, s);
    }
    policy.lines.push_back(std::move(out));
  }
  if (decl.limit) {
    PolicyLimit limit;
    limit.action = action(decl.limit->action);
    limit.otherwise = action(decl.limit->otherwise);
    const auto percent = parse_decimal(decl.limit->share.text);
    const auto share = percent ? divide(*percent, Decimal::from_integer(100)) : std::nullopt;
    if (!share || share->units <= 0 || share->units > Decimal::one) {
      error(Code::bad_policy, decl.limit->share.span, "a limit is a share above 0% and up to 100%");
    } else {
      limit.share = *share;
    }
    if (const auto per = positive_duration(decl.limit->per, Code::bad_window, "`per`")) limit.per = *per;
    policy.limit = limit;
  }
  if (decl.on_error) policy.on_error = action(*decl.on_error);
  book_.policies.push_back(std::move(policy));
}

void Checker::warn_late(const std::string& event, Span span) {
  if (options_.lateness.us <= 0) return;
  warning(Code::late_decisions, span,
          "decisions on " + quoted(event) + " wait " + to_text(options_.lateness) + ", the lateness of their source")
      .hints.push_back(
          "with `lateness: 0s` in the configuration events are judged as they arrive, and what comes out of order "
          "is late");
}

void Checker::check_decided() {
  if (default_policies_unsure_) return;
  for (const auto& [event, span] : decided_) {
    if (policies_.contains(event)) continue;
    const std::string& name = book_.schema.events[event].name;
    warn_late(name, span);
    std::string
        lines;  // what the rules in fact decide, the strictest first: the policy to write means the same as none
    for (const Action a : {Action::block, Action::reject, Action::throttle, Action::challenge, Action::review}) {
      const std::string word(event::to_text(a));
      if (decided_actions_[event].contains(a))
        lines += (lines.empty() ? "" : " ") + word + " when any rule decides " + word;
    }
    warning(Code::default_policy, span,
            "no policy decides " + quoted(name) + ": the strictest action of its rules that fired is taken")
        .hints.push_back("`policy " + name + "_decisions on " + name + " { score sum " + lines + " allow otherwise }`");
  }
}

}  // namespace tocsin::dsl::detail
