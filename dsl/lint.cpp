#include "dsl/lint.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "dsl/contradiction.h"
#include "dsl/walk.h"

namespace tocsin::dsl {
namespace {

using Truth = Assumed::Truth;

std::string quoted(std::string_view name) { return "`" + std::string(name) + "`"; }

void each_conjunct(const Expr& e, const auto& visit) {
  if (e.op == Op::and_) {
    for (const Expr& arg : e.args) each_conjunct(arg, visit);
  } else {
    visit(e);
  }
}

/// Whether any part of the expression, lets written out, is such. Each let is looked at once: lets that name each other twice would
/// double with each.
bool mentions(const Expr& e, const std::vector<Let>* lets, const auto& is_such, std::set<std::uint32_t>& seen) {
  if (is_such(e)) return true;
  if (e.op == Op::let && lets != nullptr && e.index < lets->size() && seen.insert(e.index).second &&
      mentions((*lets)[e.index].value, lets, is_such, seen)) {
    return true;
  }
  return std::any_of(e.args.begin(), e.args.end(), [&](const Expr& arg) { return mentions(arg, lets, is_such, seen); });
}
bool mentions(const Expr& e, const std::vector<Let>* lets, const auto& is_such) {
  std::set<std::uint32_t> seen;
  return mentions(e, lets, is_such, seen);
}

// ---------------------------------------------------------------- names
/// Every name that something refers to, by what it may mean. Where a name stands is not looked at closely: a declaration is called
/// unused only when its name stands nowhere else.
class Uses : public Visitor {
 public:
  std::set<std::string, std::less<>> values, events, lists;

  void declaration(const ast::Decl& declaration) override { in_test_ = declaration.kind == ast::Decl::Kind::test; }
  void expression(const ast::Expr& e) override {
    if (!e.list.empty()) lists.insert(e.list);
    values.insert(e.text);
  }
  void event_name(const ast::EventName& name) override { events.insert(name.name.text); }
  void list(const ast::Name& name) override {
    if (!in_test_) lists.insert(name.text);  // a test that fills a list does not ask it
  }
  void clause(const ast::Clause& clause) override {
    if (clause.kind == ast::ClauseKind::because) text(clause.text.text);
  }
  void test_step(const ast::TestStep& step) override { events.insert(step.event.name.text); }

 private:
  /// Every word between the braces of a text.
  void text(std::string_view text) {
    const auto is_name = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    bool inside = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '{' || text[i] == '}') {
        inside = text[i] == '{';
      } else if (inside && is_name(text[i])) {
        std::size_t end = i;
        while (end < text.size() && is_name(text[end])) ++end;
        const std::string word(text.substr(i, end - i));
        values.insert(word);
        if (i > 0 && text[i - 1] == '@') lists.insert(word);
        i = end - 1;
      }
    }
  }
  bool in_test_ = false;
};

class Lint {
 public:
  Lint(const SourceSet& sources, const std::vector<ast::File>& files, const Rulebook& book, LintOptions options,
       Diagnostics& diagnostics)
      : sources_(sources),
        files_(files),
        book_(book),
        options_(options),
        diagnostics_(diagnostics),
        contradictions_(book) {}

  void run() {
    std::map<std::string, const Rule*, std::less<>> rules;
    for (const Rule& rule : book_.rules) rules[rule.name] = &rule;
    std::map<std::string, const Policy*, std::less<>> policies;
    for (const Policy& policy : book_.policies) policies[policy.name] = &policy;
    for (const ast::File& file : files_) {
      for (const ast::Decl& declaration : file.declarations) {
        if (declaration.rule) {
          const auto rule = rules.find(declaration.rule->name.text);
          if (rule != rules.end()) look_at(*rule->second, *declaration.rule);
        }
        if (declaration.policy) {
          const auto policy = policies.find(declaration.policy->name.text);
          if (policy != policies.end()) look_at(*policy->second, *declaration.policy);
        }
        if (options_.advice && declaration.event) look_at(*declaration.event);
      }
    }
    if (options_.advice) {
      for (const Test& test : book_.tests) repeated_keys(test);
      if (options_.all_files) unused_names();
    }
  }

 private:
  /// One message for a place and code: what checking said already is not said again.
  Diagnostic& warn(Code code, Span span, std::string message) {
    for (const Diagnostic& d : diagnostics_.all()) {
      if (d.code == code && d.span == span) return ignored_ = {};
    }
    return diagnostics_.warning(code, span, std::move(message));
  }
  [[nodiscard]] std::string text_of(Span span) const {
    return std::string(sources_[span.file].text().substr(span.begin, span.end - span.begin));
  }

  // ------------------------------------------------------------ conditions
  static std::vector<Assumed> assume(const std::optional<Expr>& a, const std::optional<Expr>& b) {
    std::vector<Assumed> out;
    if (a) out.push_back({&*a, Truth::is_true});
    if (b) out.push_back({&*b, Truth::is_true});
    return out;
  }
  [[nodiscard]] bool possible_for(const Source& source, const std::optional<Expr>& condition, const Rule& rule) {
    return std::any_of(source.alternatives.begin(), source.alternatives.end(), [&](const Alternative& a) {
      return contradictions_.possible(assume(a.where, condition), {&rule.lets, nullptr, a.event});
    });
  }

  /// Parts that are true whatever happens. Constants are a person's switches.
  void always_true(const std::optional<Expr>& condition, const Rule& rule, const Source* source) {
    if (!condition) return;
    each_conjunct(*condition, [&](const Expr& part) {
      if (part.op == Op::constant) return;
      const auto never_false = [&](std::optional<event::EventTypeId> event) {
        return !contradictions_.possible({{&part, Truth::is_false}},
                                         {&rule.lets, rule.sequence ? &*rule.sequence : nullptr, event});
      };
      const bool always = source == nullptr || source->alternatives.empty()
                              ? never_false(std::nullopt)
                              : std::all_of(source->alternatives.begin(), source->alternatives.end(),
                                            [&](const Alternative& a) { return never_false(a.event); });
      if (!always || part.span.begin >= part.span.end) return;
      warn(Code::always_true, part.span, "this is always true")
          .hints.emplace_back("leave it out, or look at its number");
    });
  }

  void look_at(const Rule& rule, const ast::RuleDecl& written) {
    const Known known{&rule.lets, rule.sequence ? &*rule.sequence : nullptr, std::nullopt};
    if (rule.when && !contradictions_.possible({{&*rule.when, Truth::is_true}}, known)) {
      warn(Code::never_true, rule.when->span, "this rule can never fire");
    } else if (rule.when && rule.on && !possible_for(*rule.on, rule.when, rule) &&
               possible_for(*rule.on, std::nullopt, rule)) {
      warn(Code::never_true, rule.when->span,
           "this rule can never fire: no event of " + quoted(rule.on->name) + " is so");
    }
    always_true(rule.when, rule, rule.on ? &*rule.on : nullptr);
    exceptions(rule);
    if (rule.sequence) steps(rule, written);
    if (options_.advice) goes_on_firing(rule, written);
  }

  /// An exception without an end that holds whenever the rule would fire.
  void exceptions(const Rule& rule) {
    for (const Except& except : rule.excepts) {
      if (except.until || except.when.op == Op::constant) continue;
      std::vector<Assumed> assumed{{&except.when, Truth::not_true}};
      if (rule.when) assumed.push_back({&*rule.when, Truth::is_true});
      const auto silenced = [&](const std::optional<Expr>* where, std::optional<event::EventTypeId> event) {
        std::vector<Assumed> all = assumed;
        if (where != nullptr && *where) all.push_back({&**where, Truth::is_true});
        return !contradictions_.possible(all, {&rule.lets, rule.sequence ? &*rule.sequence : nullptr, event});
      };
      bool always = !rule.on ? silenced(nullptr, std::nullopt)
                             : std::all_of(rule.on->alternatives.begin(), rule.on->alternatives.end(),
                                           [&](const Alternative& a) { return silenced(&a.where, a.event); });
      if (rule.when &&
          !contradictions_.possible({{&*rule.when, Truth::is_true}},
                                    {&rule.lets, rule.sequence ? &*rule.sequence : nullptr, std::nullopt})) {
        always = false;  // told already
      }
      if (always) {
        warn(Code::never_true, except.when.span, "this exception always holds, so the rule can never fire");
      }
    }
  }

  // ------------------------------------------------------------ sequences
  void steps(const Rule& rule, const ast::RuleDecl& written) {
    const Sequence& sequence = *rule.sequence;
    const ast::Sequence* text = nullptr;
    for (const ast::Clause& clause : written.clauses) {
      if (clause.sequence) text = &*clause.sequence;
    }
    std::vector<const ast::Step*> positive;
    if (text != nullptr) {
      for (const ast::Step& step : text->steps) {
        if (step.kind != ast::StepKind::negative) positive.push_back(&step);
      }
    }
    for (std::size_t s = 0; s < sequence.steps.size(); ++s) {
      const Step& step = sequence.steps[s];
      for (std::size_t p = 0; p < step.parts.size(); ++p) {
        const EventTest& part = step.parts[p];
        always_true(part.where, rule, &part.source);
        if (part.where && !possible_for(part.source, part.where, rule) &&
            possible_for(part.source, std::nullopt, rule) &&
            contradictions_.possible(assume(part.where, std::nullopt), known_of(rule))) {
          warn(Code::step_never_filled, part.where->span,
               "no event of " + quoted(part.source.name) + " is so: this step is never filled");
        }
        if (s >= positive.size()) continue;
        const ast::Step& place = positive[s]->parts.size() > p ? positive[s]->parts[p] : *positive[s];
        // An event that `until` names ends what was begun, unless it completes the match.
        if (s > 0 && s + 1 < sequence.steps.size() && swallowed(part, sequence)) {
          warn(Code::step_never_filled, place.event.name.span,
               "`until` drops what was begun when this comes: this step is never filled")
              .hints.emplace_back("say `where` in `until`, or take the step out");
        }
        if (options_.advice) costly(part, rule);
      }
    }
    for (const Absence& absence : sequence.absences) {
      if (!absence.test.where || possible_for(absence.test.source, absence.test.where, rule)) continue;
      if (!possible_for(absence.test.source, std::nullopt, rule)) continue;
      if (!contradictions_.possible(assume(absence.test.where, std::nullopt), known_of(rule))) continue;
      warn(Code::step_never_filled, absence.test.where->span,
           "no event of " + quoted(absence.test.source.name) + " is so: this `no` is always fulfilled");
    }
  }
  [[nodiscard]] Known known_of(const Rule& rule) const { return {&rule.lets, nullptr, std::nullopt}; }

  [[nodiscard]] static bool swallowed(const EventTest& part, const Sequence& sequence) {
    if (!sequence.until || sequence.until->where || part.source.alternatives.empty()) return false;
    const auto& ends = sequence.until->source.alternatives;
    return std::all_of(part.source.alternatives.begin(), part.source.alternatives.end(), [&](const Alternative& a) {
      return std::any_of(ends.begin(), ends.end(), [&](const Alternative& end) {
        return end.event == a.event && !end.where && end.key == a.key;
      });
    });
  }

  /// A comparison of one value of this event with one field of an earlier step can be looked up; everything else is asked for each pair.
  void costly(const EventTest& part, const Rule& rule) {
    if (!part.where) return;
    each_conjunct(*part.where, [&](const Expr& e) {
      if (!mentions(e, nullptr, [](const Expr& x) { return of_a_step(x.op); })) return;
      const bool compares = e.op == Op::equal || e.op == Op::not_equal || e.op == Op::less || e.op == Op::less_equal ||
                            e.op == Op::greater || e.op == Op::greater_equal || e.op == Op::in_group;
      const auto plain = [](const Expr& side) {
        return side.args.empty() || (side.op == Op::money_as && side.args[0].args.empty());
      };
      if (compares && plain(e.args[0]) && plain(e.args[1])) return;
      warn(Code::costly_step, e.span, "this is asked for every pair of events of the step and the steps before")
          .hints.emplace_back(
              rule.sequence->pick == Pick::every
                  ? "with `pick every` each answer is a match of its own; compare two fields where that will do"
                  : "compare two fields (`t.device == l.device`) where that will do, or move it to `when`");
    });
  }

  // ------------------------------------------------------------ floods
  void goes_on_firing(const Rule& rule, const ast::RuleDecl& written) {
    if (rule.alert_once || rule.shadow || rule.severity == AlertSeverity::info) return;
    bool again = false;
    if (rule.on && rule.when) {
      again = mentions(*rule.when, &rule.lets, [&](const Expr& e) {
        return e.op == Op::aggregate && book_.aggregates[e.index].reach == WindowReach::last;
      });
    }
    if (rule.sequence) {
      const Step& last = rule.sequence->steps.back();
      const bool keeps = rule.sequence->after == AfterMatch::continue_;
      again = rule.sequence->pick == Pick::every || (keeps && last.kind == StepKind::group && last.max != last.min);
    }
    if (!again) return;
    warn(Code::fires_every_time, written.name.span,
         "once this rule is true it fires for every further event, and each makes an alert")
        .hints.push_back("`alert once per 1h by " + key_of(rule) + "` folds them");
  }
  [[nodiscard]] std::string key_of(const Rule& rule) const {
    std::string found;
    if (!rule.keys.empty()) return rule.keys[0].name;
    const auto look = [&](const Expr& e) {
      if (e.op != Op::aggregate || book_.aggregates[e.index].keys.empty()) return false;
      found = book_.aggregates[e.index].keys[0].name;
      return true;
    };
    if (rule.when) mentions(*rule.when, &rule.lets, look);
    return found.empty() ? "user" : found;
  }

  // ------------------------------------------------------------ policies
  void look_at(const Policy& policy, const ast::PolicyDecl& written) {
    const Known known{nullptr, nullptr, std::nullopt};
    std::vector<Assumed> before;  // none of the lines so far was true
    for (std::size_t i = 0; i < policy.lines.size() && i < written.lines.size(); ++i) {
      const PolicyLine& line = policy.lines[i];
      std::vector<Assumed> here = before;
      if (line.when) here.push_back({&*line.when, Truth::is_true});
      const bool by_itself = !line.when || contradictions_.possible({{&*line.when, Truth::is_true}}, known);
      if (!before.empty() && by_itself && !contradictions_.possible(here, known)) {
        Diagnostic& d = warn(Code::unreachable_line, written.lines[i].span,
                             "this line never decides: when it is true a line above is true as well");
        for (std::size_t k = 0; k < i; ++k) {
          std::vector<Assumed> alone{{&*policy.lines[k].when, Truth::not_true}};
          if (line.when) alone.push_back({&*line.when, Truth::is_true});
          if (contradictions_.possible(alone, known)) continue;
          d.labels.push_back({written.lines[k].span, "this one"});
          break;
        }
        d.hints.emplace_back("put the narrower line first");
      }
      if (line.when) before.push_back({&*line.when, Truth::not_true});
    }
  }

  // ------------------------------------------------------------ keys
  /// A key that is called after the thing the event is about (`order_id` of `order`), beside a field of the thing's state.
  void look_at(const ast::EventDecl& event) {
    static constexpr std::string_view states[] = {"status", "state", "phase", "stage"};
    const ast::Field* key = nullptr;
    const ast::Field* state = nullptr;
    for (const ast::Field& field : event.fields) {
      if (field.role == ast::FieldRole::key) key = &field;
      const bool is_state = std::find(std::begin(states), std::end(states), field.name.text) != std::end(states);
      if (is_state && field.type.values.size() > 1) state = &field;
    }
    if (key == nullptr || state == nullptr || key->name.text != event.name.text + "_id") return;
    Diagnostic& d = warn(Code::state_under_one_key, key->name.span,
                         "two events of one " + quoted(event.name.text) +
                             " have this key, and the second is dropped as a "
                             "repetition");
    d.labels.push_back({state->name.span, "differs between them"});
    d.hints.push_back("the key names the event: `key event_id : string`, and `" + key->name.text +
                      " : string` beside it");
  }

  /// Events of a test that have one key and differ.
  void repeated_keys(const Test& test) {
    std::map<std::pair<event::EventTypeId, std::string>, const TestStep*> sent;
    for (const TestStep& step : test.steps) {
      if (step.kind != TestStep::Kind::send || !step.key_given) continue;
      const event::EventType& type = book_.schema.events[step.event];
      if (type.key >= step.values.size() || step.values[type.key].is_missing()) continue;
      const auto [first, fresh] = sent.try_emplace({step.event, std::string(step.values[type.key].text())}, &step);
      if (fresh) continue;
      for (std::size_t f = 0; f < step.values.size(); ++f) {
        if (type.fields[f].type.kind != event::TypeKind::enumeration ||
            event::same(step.values[f], first->second->values[f])) {
          continue;
        }
        warn(Code::state_under_one_key, step.span,
             "this event has the key of one sent before and is dropped as a repetition, though its " +
                 quoted(type.fields[f].name) + " differs")
            .labels.push_back({first->second->span, "the one before"});
        break;
      }
    }
  }

  // ------------------------------------------------------------ names
  void unused_names() {
    // What a declaration says of itself is no use of it; so each is walked on its own, and its own name looked for in all others.
    std::vector<std::pair<const ast::Decl*, Uses>> uses;
    std::map<std::string, std::size_t, std::less<>> values, events, lists;
    for (const ast::File& file : files_) {
      for (const ast::Decl& declaration : file.declarations) {
        Uses own;
        walk(declaration, own);
        for (const std::string& name : own.values) ++values[name];
        for (const std::string& name : own.events) ++events[name];
        for (const std::string& name : own.lists) ++lists[name];
        uses.emplace_back(&declaration, std::move(own));
      }
    }
    const auto used = [](const auto& counts, const auto& own, const std::string& name) {
      const auto at = counts.find(name);
      return at != counts.end() && at->second > (own.contains(name) ? 1U : 0U);
    };
    for (const auto& [declaration, own] : uses) {
      const auto tell = [&](std::string_view what, const ast::Name& name, bool is_used) {
        if (is_used) return;
        warn(Code::never_used, name.span, "nothing uses the " + std::string(what) + " " + quoted(text_of(name.span)))
            .hints.emplace_back("take it out, or `# accept W0530` at the end of the line");
      };
      using Kind = ast::Decl::Kind;
      switch (declaration->kind) {
        case Kind::param: {
          const ast::Name& name = declaration->param->name;
          tell("param", name, used(values, own.values, name.text));
          break;
        }
        case Kind::list: {
          const ast::Name& name = declaration->list->name;
          tell("list", name, used(lists, own.lists, name.text));
          break;
        }
        case Kind::table: {
          const ast::Name& name = declaration->table->name;
          // Rates are asked by `as USD` (V5), which names no table.
          // Two tables are read by other words: `as EUR` and `ip_flag(…)`.
          const std::string word = name.text == "ip_flags" ? "ip_flag" : name.text;
          tell("table", name, name.text == "fx" || used(values, own.values, word));
          break;
        }
        case Kind::stream: {
          const ast::Name& name = declaration->stream->name;
          tell("stream", name, used(events, own.events, name.text));
          break;
        }
        case Kind::feature: {
          const ast::Name& name = declaration->feature->name;
          tell("feature", name, used(values, own.values, name.text));
          break;
        }
        case Kind::sample: {
          const ast::Name& name = declaration->sample->name;
          tell("sample", name, used(events, own.events, name.text));
          break;
        }
        case Kind::switch_:  // checking says it
        case Kind::entity:
        case Kind::event:
        case Kind::field:
        case Kind::rule:
        case Kind::policy:
        case Kind::test: break;
      }
    }
  }

  const SourceSet& sources_;
  const std::vector<ast::File>& files_;
  const Rulebook& book_;
  LintOptions options_;
  Diagnostics& diagnostics_;
  Contradictions contradictions_;
  Diagnostic ignored_;
};

}  // namespace

void lint(const SourceSet& sources, const std::vector<ast::File>& files, const Rulebook& book, LintOptions options,
          Diagnostics& diagnostics) {
  Lint(sources, files, book, options, diagnostics).run();
}

}  // namespace tocsin::dsl
