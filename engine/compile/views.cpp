#include "engine/compile/views.h"

#include <algorithm>
#include <map>

#include "engine/compile/plan.h"

namespace tocsin::engine {

using dsl::Expr;
using dsl::Op;
using dsl::Rule;

namespace {

/// Lists that some rule puts entries on.
std::set<dsl::ListId> changing_lists(const dsl::Rulebook& book) {
  std::set<dsl::ListId> lists;
  for (const Rule& rule : book.rules) {
    for (const dsl::ListEffect& effect : rule.adds) lists.insert(effect.list);
  }
  return lists;
}

bool by_time(const Rule& rule) {
  return rule.sequence &&
         std::any_of(rule.sequence->absences.begin(), rule.sequence->absences.end(),
                     [&](const dsl::Absence& a) { return a.before_step == rule.sequence->steps.size(); });
}

template <typename F>
void each_test(dsl::Sequence& sequence, F&& f) {
  for (dsl::Step& step : sequence.steps) {
    for (dsl::EventTest& part : step.parts) f(part);
  }
  for (dsl::Absence& absence : sequence.absences) f(absence.test);
  if (sequence.until) f(*sequence.until);
}

/// Every expression that is read when the rule is true, and `when`.
template <typename R, typename F>
void each_output(R& rule, F&& f) {
  for (auto& let : rule.lets) f(let.value);
  if (rule.when) f(*rule.when);
  for (auto& except : rule.excepts) f(except.when);
  if (rule.decide && rule.decide->when) f(*rule.decide->when);
  if (rule.score) f(*rule.score);
  for (auto& part : rule.because) {
    if (part.value) f(*part.value);
  }
  for (auto& shown : rule.show) f(shown.value);
  if (rule.alert_once) {
    for (auto& value : rule.alert_once->values) f(value);
  }
  for (auto& effect : rule.labels) f(effect.whom);
  for (auto& effect : rule.adds) f(effect.what);
}

class Views {
 public:
  explicit Views(dsl::Rulebook book) : book_(std::move(book)), lists_(changing_lists(book_)) {}

  dsl::Rulebook run() {
    written_ = book_.aggregates;
    const Expr* const nobody = nullptr;
    for (dsl::Aggregate& aggregate : book_.aggregates) {
      only_live(aggregate.source, nobody);
      if (aggregate.since) only_live(*aggregate.since, nobody);
    }
    for (dsl::Policy& policy : book_.policies) only_live(policy.on, nobody);
    for (Rule& rule : book_.rules) {
      for (dsl::Source& source : rule.resolves) only_live(source, nobody);
      if (!rule.shadow && !rule.rollout) {
        if (rule.on) only_live(*rule.on, nobody);
        if (rule.sequence) each_test(*rule.sequence, [&](dsl::EventTest& test) { only_live(test.source, nobody); });
      } else if (rule.shadow) {
        share_ = nullptr;
        view(rule);
      } else if (rule.rollout) {
        Expr share;
        share.op = Op::in_rollout;
        share.type = {event::TypeKind::boolean, 0, 0, {}};
        share.index = rule.rollout->share;
        share.name = rule.name;
        share.args.push_back(rule.rollout->value);
        share_ = &share;
        view(rule);
      }
    }
    return std::move(book_);
  }

 private:
  static bool reads_window(const Expr& expr) { return expr.op == Op::aggregate || expr.op == Op::in_window; }
  [[nodiscard]] bool sensitive(const Expr& expr) const {
    if (expr.op == Op::has_label || (expr.op == Op::in_list && lists_.contains(expr.index))) return true;
    if (reads_window(expr) && sensitive(book_.aggregates[expr.index])) return true;
    return std::any_of(expr.args.begin(), expr.args.end(), [&](const Expr& arg) { return sensitive(arg); });
  }
  [[nodiscard]] bool sensitive(const dsl::Aggregate& aggregate) const {
    if (sensitive(aggregate.source) || (aggregate.since && sensitive(*aggregate.since))) return true;
    return std::any_of(aggregate.arguments.begin(), aggregate.arguments.end(),
                       [&](const Expr& e) { return sensitive(e); });
  }

  [[nodiscard]] bool sensitive(const dsl::Source& source) const {
    return std::any_of(source.alternatives.begin(), source.alternatives.end(), [&](const dsl::Alternative& a) {
      return book_.schema.events[a.event].of_hits || (a.where && sensitive(*a.where));
    });
  }

  /// The expression as shadow rules mean it.
  void to_shadow(Expr& expr) {
    for (Expr& arg : expr.args) to_shadow(arg);
    if (expr.op == Op::has_label || (expr.op == Op::in_list && lists_.contains(expr.index))) expr.flag = true;
    if (reads_window(expr) && sensitive(book_.aggregates[expr.index])) expr.index = twin(expr.index);
  }
  dsl::AggregateId twin(dsl::AggregateId id) {
    const auto known = twins_.find(id);
    if (known != twins_.end()) return known->second;
    dsl::Aggregate copy = written_[id];
    const auto all = [&](dsl::Source& source) {
      for (dsl::Alternative& a : source.alternatives) {
        if (a.where) to_shadow(*a.where);
      }
    };
    all(copy.source);
    if (copy.since) all(*copy.since);
    for (Expr& argument : copy.arguments) to_shadow(argument);
    const auto made = static_cast<dsl::AggregateId>(book_.aggregates.size());
    book_.aggregates.push_back(std::move(copy));
    twins_[id] = made;
    return made;
  }

  /// `share`: who is in the rollout, as this place can ask it; nothing: a shadow rule.
  void view(Expr& expr, const Expr* share) {
    if (!sensitive(expr)) return;
    if (share == nullptr) {
      to_shadow(expr);
      return;
    }
    const bool leaf = expr.op == Op::has_label || reads_window(expr) || expr.op == Op::in_list;
    if (!leaf) {
      for (Expr& arg : expr.args) view(arg, share);
      return;
    }
    Expr shadow = expr;
    to_shadow(shadow);
    Expr both;
    both.op = Op::choose;
    both.type = expr.type;
    both.span = expr.span;
    both.args.push_back(*share);
    both.args.push_back(std::move(expr));
    both.args.push_back(std::move(shadow));
    expr = std::move(both);
  }

  void view(dsl::Source& source, const Expr* share) {
    for (dsl::Alternative& a : source.alternatives) {
      if (a.where) view(*a.where, share);
    }
    if (share != nullptr) only_live(source, share);
  }

  /// Hits of shadow rules are left out, for whom `share` holds; nothing: for all.
  void only_live(dsl::Source& source, const Expr* share) const {
    const auto boolean = [](Op op, std::vector<Expr> args) {
      Expr e;
      e.op = op;
      e.type = {event::TypeKind::boolean, 0, 0, {}};
      e.args = std::move(args);
      return e;
    };
    for (dsl::Alternative& a : source.alternatives) {
      const event::EventType& type = book_.schema.events[a.event];
      if (!type.of_hits) continue;
      Expr shadow = boolean(Op::field, {});
      shadow.fields.push_back({a.event, *type.find(" shadow")});
      Expr condition = boolean(Op::not_, {std::move(shadow)});
      if (share != nullptr) condition = boolean(Op::choose, {*share, std::move(condition), constant_true()});
      if (a.where) {
        std::vector<Expr> both;
        split_conjuncts(*a.where, both);
        both.push_back(std::move(condition));
        condition = boolean(Op::and_, std::move(both));
      }
      a.where = std::move(condition);
    }
  }

  /// In a step the key of the rule is the field of its event by which it was found.
  Expr share_in(const Rule& rule, const dsl::Source& source) const {
    Expr share = *share_;
    Expr& value = share.args.front();
    if (value.op != Op::rule_key) return share;
    const std::uint32_t part = value.index;
    Expr field;
    field.op = Op::field;
    field.type = rule.keys[part].type;
    for (const dsl::Alternative& a : source.alternatives) {
      const auto other = [&](const dsl::FieldRef& ref) { return ref.event == a.event && ref.field != a.key[part]; };
      // Of an event under several roles it is another field in each: the builder of predicates takes the roles apart.
      if (std::any_of(field.fields.begin(), field.fields.end(), other)) return share;
      field.fields.push_back({a.event, a.key[part]});
    }
    value = std::move(field);
    return share;
  }

  void view(Rule& rule) {
    each_output(rule, [&](Expr& e) { view(e, share_); });
    if (rule.on) view(*rule.on, share_);
    if (!rule.sequence) return;
    each_test(*rule.sequence, [&](dsl::EventTest& test) {
      Expr share;
      if (share_ != nullptr) share = share_in(rule, test.source);
      const Expr* own = share_ == nullptr ? nullptr : &share;
      view(test.source, own);
      if (test.where) view(*test.where, own);
    });
  }

  dsl::Rulebook book_;
  std::vector<dsl::Aggregate> written_;  // before live rules were kept from hits of shadow rules
  std::set<dsl::ListId> lists_;
  std::map<dsl::AggregateId, dsl::AggregateId> twins_;
  const Expr* share_ = nullptr;
};

void asked_in(const Expr& expr, const Rule* rule, const dsl::Rulebook& book, std::set<std::uint32_t>& out) {
  if (expr.op == Op::has_label) out.insert(expr.index);
  if (expr.op == Op::in_list) out.insert(static_cast<std::uint32_t>(book.labels.size()) + expr.index);
  if (expr.op == Op::let && rule != nullptr) asked_in(rule->lets[expr.index].value, rule, book, out);
  for (const Expr& arg : expr.args) asked_in(arg, rule, book, out);
}

}  // namespace

bool needs_views(const dsl::Rulebook& book) {
  return std::any_of(book.rules.begin(), book.rules.end(),
                     [](const Rule& r) { return r.shadow || r.rollout || r.hit; });
}

dsl::Rulebook with_views(dsl::Rulebook book) { return Views(std::move(book)).run(); }

bool mentions_effects(const Expr& expr, const dsl::Rulebook& book) {
  if (expr.op == Op::has_label) return true;
  if (expr.op == Op::in_list && changing_lists(book).contains(expr.index)) return true;
  return std::any_of(expr.args.begin(), expr.args.end(), [&](const Expr& arg) { return mentions_effects(arg, book); });
}

EffectUse effects_of(const dsl::Rulebook& book) {
  EffectUse use;
  use.asked.resize(book.schema.events.size());
  use.put.resize(book.schema.events.size());
  use.makes_hits.resize(book.schema.events.size());
  const auto ask = [&](event::EventTypeId type, const Expr& expr, const Rule* rule) {
    asked_in(expr, rule, book, use.asked[type]);
  };
  for (const dsl::DerivedField& field : book.derived) ask(field.event, field.value, nullptr);
  for (const dsl::Aggregate& aggregate : book.aggregates) {
    for (std::size_t i = 0; i < aggregate.source.alternatives.size(); ++i) {
      const dsl::Alternative& a = aggregate.source.alternatives[i];
      if (a.where) ask(a.event, *a.where, nullptr);
      if (i < aggregate.arguments.size()) ask(a.event, aggregate.arguments[i], nullptr);
    }
  }
  for (const dsl::Aggregate& aggregate : book.aggregates) {
    if (!aggregate.since) continue;
    for (const dsl::Alternative& a : aggregate.since->alternatives) {
      if (a.where) ask(a.event, *a.where, nullptr);
    }
  }
  for (const dsl::Policy& policy : book.policies) {
    for (const dsl::Alternative& a : policy.on.alternatives) {
      if (a.where) ask(a.event, *a.where, nullptr);
      for (const dsl::PolicyLine& line : policy.lines) {
        if (line.when) ask(a.event, *line.when, nullptr);
      }
    }
  }
  for (const Rule& rule : book.rules) {
    if (rule.off) continue;
    use.hits = use.hits || rule.hit.has_value();
    std::set<std::uint32_t> outputs, put;
    each_output(rule, [&](const Expr& e) { asked_in(e, &rule, book, outputs); });
    for (const dsl::LabelEffect& effect : rule.labels) put.insert(effect.label);
    for (const dsl::ListEffect& effect : rule.adds) {
      put.insert(static_cast<std::uint32_t>(book.labels.size()) + effect.list);
    }
    use.put_anywhere.insert(put.begin(), put.end());
    const auto judged_with = [&](const dsl::Source& source, bool completes) {
      for (const dsl::Alternative& a : source.alternatives) {
        if (a.where) ask(a.event, *a.where, nullptr);
        use.asked[a.event].insert(outputs.begin(), outputs.end());
        if (completes) use.put[a.event].insert(put.begin(), put.end());
        if (completes && rule.hit) use.makes_hits[a.event] = true;
      }
    };
    for (const dsl::Source& source : rule.resolves) judged_with(source, false);
    if (rule.on) {
      judged_with(*rule.on, true);
      continue;
    }
    const bool waits = by_time(rule);
    if (waits) {
      Duration longest;
      for (const dsl::Absence& a : rule.sequence->absences) {
        if (a.before_step == rule.sequence->steps.size()) longest = std::max(longest, a.wait);
      }
      use.shortest_wait = use.deadlines ? std::min(use.shortest_wait, longest) : longest;
      use.deadlines = true;
      use.asked_anywhere.insert(outputs.begin(), outputs.end());
    }
    dsl::Sequence sequence = *rule.sequence;
    each_test(sequence, [&](dsl::EventTest& test) {
      judged_with(test.source, false);
      for (const dsl::Alternative& a : test.source.alternatives) {
        if (test.where) ask(a.event, *test.where, nullptr);
      }
    });
    if (!waits) {
      for (const dsl::EventTest& part : rule.sequence->steps.back().parts) judged_with(part.source, true);
    }
  }
  for (const auto& asked : use.asked) use.asked_anywhere.insert(asked.begin(), asked.end());
  return use;
}

}  // namespace tocsin::engine
