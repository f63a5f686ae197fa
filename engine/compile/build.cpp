#include "engine/compile/build.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "base/hash.h"
#include "engine/compile/expr_build.h"
#include "engine/compile/index.h"
#include "engine/compile/origins.h"
#include "engine/compile/plan.h"
#include "engine/compile/views.h"

namespace tocsin::engine {

using dsl::Expr;
using dsl::Op;

namespace {

bool mentions_aggregates(const Expr& expr) {
  return expr.op == Op::aggregate || expr.op == Op::in_window ||
         std::any_of(expr.args.begin(), expr.args.end(), mentions_aggregates);
}

bool mentions_places(const Expr& expr) {
  return dsl::of_a_step(expr.op) || expr.op == Op::in_group ||
         std::any_of(expr.args.begin(), expr.args.end(), mentions_places);
}

void places_of(const Expr& expr, std::set<std::uint32_t>& places) {
  if (dsl::of_a_step(expr.op)) places.insert(expr.index);
  for (const Expr& arg : expr.args) places_of(arg, places);
}

Expr with_lets_inlined(Expr expr, const std::vector<dsl::Let>& lets) {
  if (expr.op == Op::let) return with_lets_inlined(lets[expr.index].value, lets);
  for (Expr& arg : expr.args) arg = with_lets_inlined(std::move(arg), lets);
  return expr;
}

void aggregates_of(const Expr& expr, const std::vector<dsl::Let>& lets, std::vector<Expr>& out) {
  if (expr.op == Op::let) {
    aggregates_of(lets[expr.index].value, lets, out);
    return;
  }
  if (expr.op == Op::aggregate) out.push_back(expr);
  for (const Expr& arg : expr.args) aggregates_of(arg, lets, out);
}

/// Everything between a checked book and a ruleset; lives for one build.
class Build {
 public:
  Build(const dsl::Rulebook& book, std::vector<RuleFileText> files, BuildFor purpose = BuildFor::running)
      : tests_(purpose == BuildFor::testing || purpose == BuildFor::explaining_tests),
        changed_(changed(book, tests_)),
        book_(changed_ ? *changed_ : book),
        plan_(lower(book_)),
        purpose_(purpose) {
    out_->explains = purpose == BuildFor::explaining || purpose == BuildFor::explaining_tests;
    for (RuleFileText& file : files) {
      out_->files.push_back({std::move(file.path), std::make_shared<const std::string>(std::move(file.text)), false});
    }
    for (const dsl::DataFile& file : book.data_files) out_->files.push_back({file.path, file.text, true});
  }

  Result<std::shared_ptr<const Ruleset>> run() {
    out_->schema = book_.schema;
    out_->texts = book_.texts;
    out_->types.resize(book_.schema.events.size());
    for (const dsl::Switch& s : book_.switches) out_->codes.switches.push_back(s.on);
    add_predicates();
    fold(plan_);
    assign_strata(plan_, book_);
    build_keyspaces();
    if (purpose_ == BuildFor::checking) {
      if (Status status = build_patterns(); !status) return status.error();
      return std::shared_ptr<const Ruleset>(std::move(out_));
    }
    for (event::EventTypeId type = 0; type < out_->types.size(); ++type) rows_.push_back({type, {}, {}});
    for (event::EventTypeId type = 0; type < out_->types.size(); ++type) {
      builders_.emplace_back(out_->codes, &rows_[type], &book_, &texts_);
      tell_masks(builders_.back());
    }
    build_tables();
    build_rules();
    if (Status status = build_patterns(); !status) return status.error();
    build_policies();
    build_lists();
    build_look_ups();
    build_resolves();
    if (tests_) build_questions();
    build_visibility();
    build_strata();
    out_->text_patterns = texts_.finish(out_->codes);
    finish();
    return std::shared_ptr<const Ruleset>(std::move(out_));
  }

  const Plan& plan() const { return plan_; }
  void plan_only() {
    add_predicates();
    fold(plan_);
    assign_strata(plan_, book_);
  }

 private:
  /// The book as it is run, when that is another one than was written.
  static std::optional<dsl::Rulebook> changed(const dsl::Rulebook& book, bool tests) {
    const bool fewer = !tests && book.aggregates.size() > book.aggregates_of_tests;
    if (!fewer && !needs_views(book)) return std::nullopt;
    dsl::Rulebook copy = book;
    // What only tests ask for is not kept up to date anywhere else.
    if (fewer) copy.aggregates.resize(book.aggregates_of_tests);
    return needs_views(copy) ? with_views(std::move(copy)) : std::move(copy);
  }

  // ---- predicates of rules: which condition decides what

  /// What a test asks of an event under one of several roles of its type.
  struct RolePredicates {
    dsl::Source source;
    std::vector<Expr> own;  // of the step's condition, what looks at this event only
    nfa::PredicateId full{};
    nfa::PredicateId stream{};
  };
  struct TestPredicates {
    nfa::PredicateId full{};
    nfa::PredicateId stream{};
    std::vector<Expr> cross;           // conjuncts that look at other steps
    std::vector<Expr> described_when;  // conjuncts of `when` that compare this step with an earlier one
    // The source as the first role has it, and the further roles. What holds under one of those counts as `full` and `stream` do, for
    // the key of that role.
    std::vector<RolePredicates> roles;
  };

  /// Whether a late event is anything to the rule where the predicate is asked (T6).
  enum class Late : std::uint8_t { is_nothing, counts };

  nfa::PredicateId rule_predicate(std::vector<PlanCondition> conditions, std::uint32_t rule, Late late,
                                  const std::string& role = {}) {
    const std::uint32_t id = plan_.predicate(std::move(conditions), book_, role);
    const auto add = [rule](std::vector<std::uint32_t>& rules) {
      if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
    };
    PredicateOwner& owner = plan_.predicates[id].owner;
    add(owner.rules);
    if (late == Late::counts) add(owner.rules_of_late);
    return nfa::PredicateId{id};
  }

  /// `when` is part of what a combination must satisfy (C1), so a conjunct of it that looks at one single event only is as good
  /// as a condition of that event's step, and there it costs one predicate instead of a search through combinations. Not for
  /// steps where other events than the chosen one matter: groups, `first`, optional ones, parts.
  static std::vector<Expr> conditions_from_when(const dsl::Rule& rule, std::uint32_t place) {
    std::vector<Expr> conditions;
    for (const Expr& conjunct : conjuncts_of_when(rule)) {
      if (!looks_at_only(conjunct, place)) continue;
      conditions.push_back(conjunct);
      as_own_fields(conditions.back());
    }
    return conditions;
  }
  /// As a condition of the step's own `where`: a conjunct of `when` that compares the event of the step with that of an earlier one,
  /// if the matcher can answer it.
  std::optional<Expr> comparison_from_when(const Expr& conjunct, const dsl::Sequence& sequence,
                                           std::uint32_t step) const {
    if (conjunct.args.size() != 2 || !takes_conditions_from_when(sequence.steps[step])) return std::nullopt;
    const auto before = [&](const Expr& e) {
      if (e.op != Op::place_field) return false;
      for (std::uint32_t s = 0; s < step; ++s) {
        for (const dsl::EventTest& part : sequence.steps[s].parts) {
          if (part.place == e.index) return sequence.steps[s].kind != dsl::StepKind::group;
        }
      }
      return false;
    };
    const std::uint32_t own = sequence.steps[step].parts.front().place;
    for (const std::size_t mine : {0U, 1U}) {
      const Expr& e = conjunct.args[mine];
      if (e.op != Op::place_field || e.index != own || !before(conjunct.args[1 - mine])) continue;
      Expr condition = conjunct;
      condition.args[mine].op = Op::field;
      if (described(condition)) return condition;
    }
    return std::nullopt;
  }

  /// What the matcher can answer by itself: a field of the event against one of an earlier step's, both of a type whose values
  /// it can compare as numbers, or for equality by digests.
  struct Described {
    nfa::Condition::Op op{};
    const Expr* mine = nullptr;
    const Expr* theirs = nullptr;
    bool by_digest = false;
  };
  static std::optional<nfa::Condition::Op> op_of(Op op) {
    switch (op) {
      case Op::equal: return nfa::Condition::Op::equal;
      case Op::not_equal: return nfa::Condition::Op::not_equal;
      case Op::less: return nfa::Condition::Op::less;
      case Op::less_equal: return nfa::Condition::Op::less_equal;
      case Op::greater: return nfa::Condition::Op::greater;
      case Op::greater_equal: return nfa::Condition::Op::greater_equal;
      default: return std::nullopt;
    }
  }
  std::optional<Described> described(const Expr& e) const {
    const bool turned = e.args.size() == 2 && e.args[0].op == Op::place_field;
    const std::optional<nfa::Condition::Op> op = op_of(turned ? dsl::mirrored(e.op) : e.op);
    if (!op) return std::nullopt;
    Described d{*op, &e.args[turned ? 1 : 0], &e.args[turned ? 0 : 1], false};
    if (d.mine->op != Op::field || d.theirs->op != Op::place_field) return std::nullopt;
    if (!settles(*d.mine) || !settles(*d.theirs)) return std::nullopt;
    const event::Type& mine = d.mine->type;
    const event::Type& theirs = d.theirs->type;
    switch (event::kind_of(mine)) {
      case event::Kind::boolean:
      case event::Kind::number:
      case event::Kind::time:
      case event::Kind::duration:
        if (event::kind_of(theirs) != event::kind_of(mine)) return std::nullopt;
        return d;
      case event::Kind::enumeration:
        if (theirs != mine) return std::nullopt;
        return d;
      case event::Kind::money:  // of one currency that is known: others do not compare
        if (theirs != mine || mine.currency == event::Currency{}) return std::nullopt;
        return d;
      case event::Kind::text:
      case event::Kind::ip:
        if (event::kind_of(theirs) != event::kind_of(mine) || d.op != nfa::Condition::Op::equal) return std::nullopt;
        d.by_digest = true;
        return d;
      case event::Kind::missing:
      case event::Kind::geo: return std::nullopt;
    }
    return std::nullopt;
  }
  /// Whether the field's value is never a bound of a feature that warms up (W11), which compares in a way of its own.
  bool settles(const Expr& expr) const {
    if (mentions_aggregates(expr)) return false;
    for (const dsl::FieldRef& ref : expr.fields) {
      if (!book_.schema.events[ref.event].fields[ref.field].derived) continue;
      const auto derived = std::ranges::find_if(
          book_.derived, [&](const dsl::DerivedField& d) { return d.event == ref.event && d.field == ref.field; });
      if (derived == book_.derived.end() || !settles(derived->value)) return false;
    }
    return std::ranges::all_of(expr.args, [&](const Expr& arg) { return settles(arg); });
  }

  static std::vector<Expr> conjuncts_of_when(const dsl::Rule& rule) {
    std::vector<Expr> conjuncts;
    if (rule.when) split_conjuncts(with_lets_inlined(*rule.when, rule.lets), conjuncts);
    return conjuncts;
  }
  static bool takes_conditions_from_when(const dsl::Step& step) {
    return step.kind == dsl::StepKind::single && !step.optional && step.link == dsl::Link::then;
  }
  /// Whether all of `when` has become conditions of steps, so that it refuses nothing any more.
  bool when_is_in_steps(const dsl::Rule& rule) const {
    const std::vector<Expr> conjuncts = conjuncts_of_when(rule);
    const std::vector<dsl::Step>& steps = rule.sequence->steps;
    return std::all_of(conjuncts.begin(), conjuncts.end(), [&](const Expr& conjunct) {
      for (std::uint32_t s = 0; s < steps.size(); ++s) {
        if (!takes_conditions_from_when(steps[s])) continue;
        if (looks_at_only(conjunct, steps[s].parts.front().place)) return true;
        if (comparison_from_when(conjunct, *rule.sequence, s)) return true;
      }
      return false;
    });
  }
  static bool looks_at_only(const Expr& expr, std::uint32_t place) {
    std::set<std::uint32_t> places;
    places_of(expr, places);
    return places == std::set<std::uint32_t>{place} && only_single_fields(expr);
  }
  /// `when` is read as of the completing event, a condition of a step as of its own: only what does not change between the two
  /// may move. Lists, labels and features may.
  static bool only_single_fields(const Expr& expr) {
    switch (expr.op) {
      case Op::constant:
      case Op::place_field:
      case Op::not_:
      case Op::and_:
      case Op::or_:
      case Op::equal:
      case Op::not_equal:
      case Op::less:
      case Op::less_equal:
      case Op::greater:
      case Op::greater_equal:
      case Op::in_values:
      case Op::in_range:
      case Op::is_missing:
      case Op::contains:
      case Op::starts_with:
      case Op::ends_with:
      case Op::add:
      case Op::subtract:
      case Op::multiply:
      case Op::divide:
      case Op::remainder:
      case Op::negate:
      case Op::coalesce: return std::all_of(expr.args.begin(), expr.args.end(), only_single_fields);
      default: return false;
    }
  }
  static void as_own_fields(Expr& expr) {
    if (expr.op == Op::place_field) expr.op = Op::field;
    for (Expr& arg : expr.args) as_own_fields(arg);
  }

  /// In a rule that takes one event type under several roles, what is asked under one role must not answer for another: such
  /// predicates carry the role in their name.
  std::string role_of(const dsl::Source& source) const {
    std::string role;
    for (const dsl::Alternative& a : source.alternatives) {
      if (!several_roles_.contains(a.event)) continue;
      role += "|" + book_.schema.events[a.event].name + " by";
      for (const event::FieldIndex field : a.key) role += " " + book_.schema.events[a.event].fields[field].name;
    }
    return role;
  }

  /// The source once for each role: of every event type the alternatives of one key. More than one only for a source that takes a
  /// type under several.
  static std::vector<dsl::Source> by_role(const dsl::Source& source) {
    std::vector<dsl::Source> roles;
    std::map<event::EventTypeId, std::vector<std::vector<event::FieldIndex>>> keys;
    for (const dsl::Alternative& a : source.alternatives) {
      auto& known = keys[a.event];
      auto at = std::find(known.begin(), known.end(), a.key);
      if (at == known.end()) at = known.insert(at, a.key);
      const auto role = static_cast<std::size_t>(at - known.begin());
      if (roles.size() <= role) roles.resize(role + 1);
      roles[role].name = source.name;
      roles[role].alternatives.push_back(a);
    }
    return roles;
  }
  /// The rule's key as the field by which an event of the role is found.
  static void find_key_in(Expr& expr, const dsl::Source& role) {
    for (Expr& arg : expr.args) find_key_in(arg, role);
    if (expr.op != Op::rule_key) return;
    expr.op = Op::field;
    for (const dsl::Alternative& a : role.alternatives) expr.fields.push_back({a.event, a.key[expr.index]});
    expr.index = 0;
  }

  TestPredicates test_predicates(const dsl::EventTest& test, std::uint32_t rule, Late late,
                                 std::vector<Expr> unary = {}) {
    TestPredicates p;
    std::vector<Expr> conjuncts;
    if (test.where) split_conjuncts(*test.where, conjuncts);
    for (Expr& c : conjuncts) (mentions_places(c) ? p.cross : unary).push_back(std::move(c));
    for (dsl::Source& source : by_role(test.source)) {
      RolePredicates role{std::move(source), unary, {}, {}};
      for (dsl::Alternative& a : role.source.alternatives) {
        if (a.where) find_key_in(*a.where, role.source);
      }
      for (Expr& c : role.own) find_key_in(c, role.source);
      // The first stands for all of them and is no other test's, hence the name of them all.
      const std::string name = role_of(p.roles.empty() ? test.source : role.source);
      role.stream = nfa::PredicateId{plan_.predicate(conditions_of(role.source, nullptr), book_, name)};
      const Expr own = conjunction(role.own);
      role.full = rule_predicate(conditions_of(role.source, &own), rule, late, name);
      p.roles.push_back(std::move(role));
    }
    p.stream = p.roles.front().stream;
    p.full = p.roles.front().full;
    return p;
  }

  template <typename F>
  static void each_test(const dsl::Sequence& sequence, F&& f) {
    for (const dsl::Step& step : sequence.steps) {
      for (const dsl::EventTest& part : step.parts) f(part);
    }
    for (const dsl::Absence& absence : sequence.absences) f(absence.test);
    if (sequence.until) f(*sequence.until);
  }
  static Late late_of(const dsl::EventTest& test, const dsl::Sequence& sequence) {
    const bool is_until = sequence.until && &*sequence.until == &test;
    const bool is_no = std::any_of(sequence.absences.begin(), sequence.absences.end(),
                                   [&](const dsl::Absence& absence) { return &absence.test == &test; });
    return is_until || is_no ? Late::counts : Late::is_nothing;
  }

  void add_predicates() {
    for (std::uint32_t r = 0; r < book_.rules.size(); ++r) {
      const dsl::Rule& rule = book_.rules[r];
      if (rule.off) continue;
      if (rule.on) {
        const Expr when = rule.when ? with_lets_inlined(*rule.when, rule.lets) : constant_true();
        on_predicates_[r] = rule_predicate(conditions_of(*rule.on, &when), r, Late::is_nothing);
        continue;
      }
      std::map<event::EventTypeId, std::set<std::vector<event::FieldIndex>>> keys;
      each_test(*rule.sequence, [&](const dsl::EventTest& test) {
        for (const dsl::Alternative& a : test.source.alternatives) keys[a.event].insert(a.key);
      });
      several_roles_.clear();
      for (const auto& [type, roles] : keys) {
        if (roles.size() > 1) several_roles_.insert(type);
      }
      std::vector<TestPredicates>& tests = test_predicates_[r];
      struct FromWhen {
        std::vector<Expr> unary, described;
      };
      std::map<const dsl::EventTest*, FromWhen> from_when;
      for (std::uint32_t s = 0; s < rule.sequence->steps.size(); ++s) {
        const dsl::Step& step = rule.sequence->steps[s];
        if (!takes_conditions_from_when(step)) continue;
        FromWhen& own = from_when[&step.parts.front()];
        own.unary = conditions_from_when(rule, step.parts.front().place);
        for (const Expr& conjunct : conjuncts_of_when(rule)) {
          if (std::optional<Expr> c = comparison_from_when(conjunct, *rule.sequence, s)) {
            own.described.push_back(std::move(*c));
          }
        }
      }
      each_test(*rule.sequence, [&](const dsl::EventTest& test) {
        FromWhen extra = from_when[&test];
        tests.push_back(test_predicates(test, r, late_of(test, *rule.sequence), std::move(extra.unary)));
        tests.back().described_when = std::move(extra.described);
      });
    }
    for (std::uint32_t r = 0; r < book_.rules.size(); ++r) {
      if (book_.rules[r].off) continue;
      for (const dsl::Source& source : book_.rules[r].resolves) {
        resolve_predicates_[r].push_back(rule_predicate(conditions_of(source, nullptr), r, Late::counts));
      }
    }
    for (std::uint32_t p = 0; p < book_.policies.size(); ++p) {
      policy_predicates_[p] = nfa::PredicateId{plan_.predicate(conditions_of(book_.policies[p].on, nullptr), book_)};
    }
  }

  /// Whether every event of the type satisfies the predicate.
  bool always(std::uint32_t predicate, event::EventTypeId type) const {
    for (const PlanCondition& c : plan_.predicates[predicate].conditions) {
      if (c.event == type) return c.expr.op == Op::constant && is_true(c.expr.value);
    }
    return false;
  }

  // ---- keyspaces, columns, predicates of types

  std::uint32_t key_use(event::EventTypeId type, std::uint32_t keyspace, const std::vector<event::FieldIndex>& fields) {
    std::vector<KeyUse>& uses = out_->types[type].key_uses;
    for (std::uint32_t i = 0; i < uses.size(); ++i) {
      if (uses[i].keyspace == keyspace && uses[i].fields == fields) return i;
    }
    uses.push_back({keyspace, fields});
    return static_cast<std::uint32_t>(uses.size() - 1);
  }

  TypeStratum& stratum(event::EventTypeId type, std::uint32_t level) {
    std::vector<TypeStratum>& strata = out_->types[type].strata;
    if (strata.size() <= level) strata.resize(level + 1);
    return strata[level];
  }

  void build_keyspaces() {
    for (std::uint32_t r = 0; r < book_.rules.size(); ++r) {
      if (book_.rules[r].on || book_.rules[r].off) continue;
      rule_keyspace_[r] = plan_.keyspace(book_.rules[r].keys, book_.schema);
    }
    for (const PlanKeySpace& space : plan_.keyspaces) {
      out_->keyspaces.push_back({space.name, hash64(space.meaning), space.parts, {}, {}});
    }
  }

  void build_tables() {
    std::vector<ColumnOrigin> origins = origins_of(plan_, book_);
    for (std::uint32_t c = 0; c < plan_.columns.size(); ++c) {
      const PlanColumn& column = plan_.columns[c];
      KeySpace& space = out_->keyspaces[column.keyspace];
      ColumnPlan built;
      built.keyspace = column.keyspace;
      built.slot = static_cast<std::uint32_t>(space.columns.size());
      built.layout = state::ColumnLayout(column.windows, column.type, hash64(column.meaning));
      built.stratum = column.stratum;
      built.origin = std::move(origins[c]);
      space.columns.push_back(c);
      out_->columns.push_back(std::move(built));
      for (const PlanColumnSource& source : column.sources) {
        Insert insert;
        insert.column = c;
        insert.mark = source.mark;
        insert.key_use = key_use(source.event, column.keyspace, source.key);
        if (!always(source.predicate, source.event)) insert.where = nfa::PredicateId{source.predicate};
        if (source.argument) insert.argument = builders_[source.event].build(*source.argument);
        stratum(source.event, column.stratum).inserts.push_back(insert);
      }
    }
    for (std::size_t a = 0; a < plan_.aggregates.size(); ++a) {
      out_->aggregates.push_back({plan_.aggregates[a].column, plan_.aggregates[a].window, book_.aggregates[a].text,
                                  book_.aggregates[a].result_type});
    }
    for (const PlanDerived& d : plan_.derived) {
      stratum(d.event, d.stratum).derived.push_back({d.field, builders_[d.event].build(d.value)});
    }
    std::map<std::pair<event::EventTypeId, std::uint32_t>, std::vector<IndexedPredicate>> by_place;
    for (std::uint32_t p = 0; p < plan_.predicates.size(); ++p) {
      out_->predicate_owners.push_back(plan_.predicates[p].owner);
      out_->predicate_texts.push_back(plan_.predicates[p].text);
      for (const PlanCondition& c : plan_.predicates[p].conditions) {
        by_place[{c.event, c.stratum}].push_back({nfa::PredicateId{p}, c.expr});
      }
    }
    for (const auto& [place, predicates] : by_place) {
      stratum(place.first, place.second).predicates =
          build_predicates(predicates, place.first, book_.schema, builders_[place.first]);
    }
  }

  // ---- masks (event/mask.h)

  /// People who ask why see values too, and no more of them than in hits.
  void tell_masks(ExprBuilder& builder) {
    if (!out_->explains) return;
    builder.set_mask_of([this](const Expr& expr) {
      static const dsl::Rule nobody{};
      return mask_of(expr, rule_at_hand_ == nullptr ? nobody : *rule_at_hand_);
    });
  }

  event::Mask mask_of_field(event::EventTypeId event, event::FieldIndex field, const dsl::Rule& rule) {
    const event::FieldDef& def = book_.schema.events[event].fields[field];
    if (!def.derived) return def.mask;
    const auto [known, fresh] = derived_masks_.try_emplace({event, field}, event::Mask::none);
    if (!fresh) return known->second;
    for (const dsl::DerivedField& derived : book_.derived) {
      if (derived.event != event || derived.field != field) continue;
      const event::Mask mask = mask_of(derived.value, rule);
      derived_masks_[{event, field}] = mask;
      return mask;
    }
    return event::Mask::none;
  }

  event::Mask mask_of_key(const dsl::Rule& rule, std::uint32_t part) {
    event::Mask mask = event::Mask::none;
    if (!rule.sequence) return mask;
    each_test(*rule.sequence, [&](const dsl::EventTest& test) {
      for (const dsl::Alternative& a : test.source.alternatives)
        mask = std::max(mask, mask_of_field(a.event, a.key[part], rule));
    });
    return mask;
  }

  /// What hides the value of an expression: the mask of the field it is, and of what is computed from a masked field everything. What
  /// only tells about many values (counts) or asks about one (comparisons) shows none.
  event::Mask mask_of(const Expr& expr, const dsl::Rule& rule) {
    event::Mask own = event::Mask::none;
    switch (expr.op) {
      case Op::field:
      case Op::place_field:
      case Op::group_first:
      case Op::group_last:
      case Op::group_values:
      case Op::member_field:
        for (const dsl::FieldRef& ref : expr.fields) own = std::max(own, mask_of_field(ref.event, ref.field, rule));
        return own;
      case Op::rule_key: return mask_of_key(rule, expr.index);
      case Op::let: return mask_of(rule.lets[expr.index].value, rule);
      case Op::aggregate: {
        const dsl::Aggregate& aggregate = book_.aggregates[expr.index];
        using enum dsl::AggregateFunction;
        const bool counts =
            aggregate.function == count || aggregate.function == distinct || aggregate.function == entropy;
        if (counts) return own;
        for (const Expr& argument : aggregate.arguments) own = std::max(own, mask_of(argument, rule));
        return own;
      }
      case Op::coalesce:
      case Op::choose:
        for (const Expr& arg : expr.args) own = std::max(own, mask_of(arg, rule));
        return own;
      case Op::group_count:
      case Op::table_column: return own;
      case Op::group_aggregate:
        if (expr.name == "distinct" || expr.name == "count") return own;
        for (const Expr& arg : expr.args) own = std::max(own, mask_of(arg, rule));
        return own;
      default: break;
    }
    if (expr.type.kind == event::TypeKind::boolean) return own;
    for (const Expr& arg : expr.args) {
      if (mask_of(arg, rule) != event::Mask::none) return event::Mask::all;
    }
    return own;
  }

  // ---- rules

  void build_outputs(const dsl::Rule& rule, ExprBuilder& builder, RuleVariant& variant) {
    builder.set_lets(&rule.lets);
    for (std::size_t i = 0; i < rule.lets.size(); ++i) {
      if (rule.lets[i].value.op == Op::aggregate && rule.lets[i].value.flag) continue;  // a set is no value of its own
      Expr named;  // by its name, so that it shares its node with those who name it
      named.op = Op::let;
      named.index = static_cast<std::uint32_t>(i);
      named.type = rule.lets[i].value.type;
      variant.let_values.push_back(
          {rule.lets[i].name, builder.build(named), rule.lets[i].value.type, false, mask_of(rule.lets[i].value, rule)});
    }
    for (const dsl::Except& except : rule.excepts) {
      variant.excepts.push_back({except.name, except.until, builder.build(except.when)});
    }
    if (rule.decide) {
      variant.action = rule.decide->action;
      if (rule.decide->when) {
        variant.decide_when = builder.build(*rule.decide->when);
        variant.otherwise = rule.decide->otherwise;
      }
    }
    if (rule.score) variant.score = builder.build(*rule.score);
    for (const dsl::TextPart& part : rule.because) {
      TextPiece piece;
      piece.literal = part.literal;
      if (part.value) {
        piece.value = builder.build(*part.value);
        piece.type = part.value->type;
        piece.is_group = part.value->op == Op::group_values;
        piece.mask = mask_of(*part.value, rule);
      }
      variant.because.push_back(std::move(piece));
    }
    for (const dsl::Shown& shown : rule.show) {
      variant.show.push_back({shown.name, builder.build(shown.value), shown.value.type,
                              shown.value.op == Op::group_values, mask_of(shown.value, rule)});
    }
    std::vector<Expr> used;
    if (rule.when) aggregates_of(*rule.when, rule.lets, used);
    for (const dsl::Except& except : rule.excepts) aggregates_of(except.when, rule.lets, used);
    if (rule.score) aggregates_of(*rule.score, rule.lets, used);
    std::set<std::string> named;
    for (const Expr& aggregate : used) {
      const std::string& text = book_.aggregates[aggregate.index].text;
      if (!named.insert(text).second) continue;
      variant.features.push_back({text, builder.build(aggregate), aggregate.type, false, mask_of(aggregate, rule)});
    }
    if (rule.alert_once) {
      for (std::size_t i = 0; i < rule.alert_once->by.size(); ++i) {
        variant.once_key.push_back({rule.alert_once->by[i].name, builder.build(rule.alert_once->values[i]),
                                    rule.alert_once->by[i].type, false, mask_of(rule.alert_once->values[i], rule)});
      }
    }
    for (const dsl::LabelEffect& effect : rule.labels) {
      variant.effects.push_back({true, effect.label, builder.build(effect.whom), effect.lasts});
    }
    for (const dsl::ListEffect& effect : rule.adds) {
      variant.effects.push_back({false, effect.list, builder.build(effect.what), effect.lasts});
    }
    const auto same_key = [&](const std::vector<dsl::KeyPart>& parts, const std::vector<Expr>& values) {
      std::vector<NamedCode> key;
      for (std::size_t i = 0; i < parts.size(); ++i)
        key.push_back({parts[i].name, builder.build(values[i]), parts[i].type, false});
      variant.same_keys.push_back(std::move(key));
    };
    for (const dsl::Suppression& s : rule.suppressed) same_key(s.same, s.values);
    each_suppressed_by(rule, [&](const dsl::Rule&, const dsl::Suppression& s) { same_key(s.same, s.by_values); });
    if (rule.rollout) variant.rollout = builder.build(rule.rollout->value);
    if (rule.hit) {
      for (std::size_t i = 0; i < rule.hit->fields.size(); ++i) {
        const dsl::HitField& field = rule.hit->fields[i];
        const event::Type& type = book_.schema.events[rule.hit->event].fields[i].type;
        variant.hit_fields.push_back({place_of(field.from), hit_field(field, type, rule, builder)});
      }
    }
    if (out_->explains && rule.when) variant.when = builder.build(*rule.when);
    builder.set_lets(nullptr);
  }

  /// `f(other rule, its clause)` for every clause `suppressed by` that names the rule.
  template <typename F>
  void each_suppressed_by(const dsl::Rule& rule, F&& f) const {
    for (const std::uint32_t r : suppressed_) {
      const dsl::Rule& other = book_.rules[r];
      for (const dsl::Suppression& s : other.suppressed) {
        if (s.by == rule.name) f(other, s);
      }
    }
  }

  static HitFieldPlan::Place place_of(dsl::HitField::From from) {
    switch (from) {
      case dsl::HitField::From::id: return HitFieldPlan::Place::id;
      case dsl::HitField::From::at: return HitFieldPlan::Place::at;
      case dsl::HitField::From::shadow: return HitFieldPlan::Place::shadow;
      case dsl::HitField::From::key:
      case dsl::HitField::From::show:
      case dsl::HitField::From::let:
      case dsl::HitField::From::field: return HitFieldPlan::Place::value;
    }
    return HitFieldPlan::Place::value;
  }
  static CodeId hit_field(const dsl::HitField& field, const event::Type& type, const dsl::Rule& rule,
                          ExprBuilder& builder) {
    Expr e;
    e.type = type;
    switch (field.from) {
      case dsl::HitField::From::id:
      case dsl::HitField::From::at:
      case dsl::HitField::From::shadow: return no_code;
      case dsl::HitField::From::key:
        e.op = Op::rule_key;
        e.index = field.index;
        return builder.build(e);
      case dsl::HitField::From::show: return builder.build(rule.show[field.index].value);
      case dsl::HitField::From::let: return builder.build(rule.lets[field.index].value);
      case dsl::HitField::From::field:
        e.op = Op::field;
        e.fields = field.fields;
        return builder.build(e);
    }
    return no_code;
  }

  void build_rules() {
    for (std::uint32_t r = 0; r < book_.rules.size(); ++r) {
      if (!book_.rules[r].suppressed.empty() && !book_.rules[r].off) suppressed_.push_back(r);
    }
    for (std::uint32_t r = 0; r < book_.rules.size(); ++r) {
      const dsl::Rule& rule = book_.rules[r];
      rule_at_hand_ = &rule;
      RulePlan plan;
      plan.info.name = rule.name;
      const std::string meaning = dsl::meaning(rule, book_);
      plan.info.revision = hash128(meaning);
      meanings_ += rule.name + "\n" + meaning + "\n";
      plan.info.title = rule.title;
      plan.info.owner = rule.owner;
      plan.info.runbook = rule.runbook;
      plan.info.severity = rule.severity;
      plan.info.tags = rule.tags;
      plan.shadow = rule.shadow;
      for (const std::uint32_t s : rule.switches) plan.switched_off = plan.switched_off || !book_.switches[s].on;
      if (rule.rollout) plan.rollout = rule.rollout->share;
      if (rule.hit) plan.hit_type = rule.hit->event;
      plan.info.resolves = !rule.resolves.empty();
      const auto clause_of = [](const dsl::Rule& whose, const dsl::Suppression& s) {
        std::string clause = whose.name + " by " + s.by + " same";
        for (const dsl::KeyPart& part : s.same) clause += " " + part.name;
        return clause;
      };
      for (const dsl::Suppression& s : rule.suppressed)
        plan.info.suppressed_by.push_back({s.by, clause_of(rule, s), s.hold});
      each_suppressed_by(rule, [&](const dsl::Rule& other, const dsl::Suppression& s) {
        plan.info.suppresses.push_back(clause_of(other, s));
      });
      if (rule.alert_once) plan.info.once_per = rule.alert_once->per;
      plan.alias = rule.alias.empty() && rule.on ? rule.on->name : rule.alias;
      for (std::uint32_t k = 0; k < rule.keys.size(); ++k) {
        plan.key_names.push_back(rule.keys[k].name);
        plan.key_masks.push_back(mask_of_key(rule, k));
      }
      if (rule.off) {
        // Known by name to tests and records, and never asked.
      } else if (rule.on) {
        const std::uint32_t predicate = static_cast<std::uint32_t>(on_predicates_.at(r));
        for (const PlanCondition& c : plan_.predicates[predicate].conditions) {
          RuleVariant variant;
          variant.subject = c.event;
          build_outputs(rule, builders_[c.event], variant);
          if (out_->explains) variant.member = unless_always(conditions_of(*rule.on, nullptr), c.event);
          TypePlan& type = out_->types[c.event];
          type.on_rules.push_back({r, nfa::PredicateId{predicate}, static_cast<std::uint32_t>(plan.variants.size())});
          if (type.fires.size() <= predicate / 64) type.fires.resize(predicate / 64 + 1);
          type.fires[predicate / 64] |= std::uint64_t{1} << (predicate % 64);
          plan.variants.push_back(std::move(variant));
          if (rule.decide && !rule.shadow && !book_.schema.events[c.event].of_hits) decided_types_.insert(c.event);
        }
      } else {
        ExprBuilder late(out_->codes, nullptr, &book_, &texts_);
        tell_masks(late);
        RuleVariant variant;
        build_outputs(rule, late, variant);
        plan.variants.push_back(std::move(variant));
      }
      out_->rules.push_back(std::move(plan));
    }
  }

  // ---- patterns

  /// The fields of a place as a value of the pattern. One value serves fields of several places as long as no event has two of them.
  static nfa::ValueId value_id(const std::vector<dsl::FieldRef>& refs, PatternPlan& pattern) {
    std::uint32_t id = 0;
    for (; id < pattern.values.size(); ++id) {
      const bool fits = std::ranges::none_of(pattern.values[id], [&](const FieldOf& known) {
        return std::ranges::any_of(
            refs, [&](const dsl::FieldRef& ref) { return ref.event == known.event && ref.field != known.field; });
      });
      if (fits) break;
    }
    if (id == pattern.values.size()) pattern.values.emplace_back();
    std::vector<FieldOf>& fields = pattern.values[id];
    for (const dsl::FieldRef& ref : refs) {
      const FieldOf field{ref.event, ref.field};
      if (std::ranges::find(fields, field) == fields.end()) fields.push_back(field);
    }
    return nfa::ValueId{id};
  }
  std::vector<std::uint64_t> meanings_of_values(const PatternPlan& pattern) const {
    std::vector<std::uint64_t> meanings;
    for (const std::vector<FieldOf>& fields : pattern.values) {
      std::string text;
      for (const FieldOf& of : fields) {
        const event::EventType& type = book_.schema.events[of.event];
        text += type.name + "." + type.fields[of.field].name + " " +
                book_.schema.type_text(type.fields[of.field].type) + ";";
      }
      meanings.push_back(hash64(text));
    }
    return meanings;
  }

  /// `confirm`: the step and part it is of, when a match shows all events whose answer matters; else what is compared by digests
  /// stays a guard.
  nfa::Element element(const TestPredicates& predicates, PatternPlan& pattern,
                       std::vector<std::uint64_t>& guard_meanings,
                       std::optional<std::pair<std::uint32_t, std::uint32_t>> confirm = {}) {
    nfa::Element e;
    e.predicate = predicates.full;
    e.stream = predicates.stream;
    const auto add = [&](const Expr& condition, bool of_where) {
      ExprBuilder late(out_->codes, nullptr, &book_, &texts_);
      tell_masks(late);
      const nfa::GuardId id{static_cast<std::uint32_t>(pattern.guards.size())};
      pattern.guards.push_back(late.build(condition));
      guard_meanings.push_back(hash64(dsl::meaning(condition, book_)));
      const std::optional<Described> d = described(condition);
      const bool confirmable = confirm || !of_where;  // `when` is asked of each match as it is
      if (d && (!d->by_digest || confirmable) && pattern.values.size() + 2 <= nfa::values_max) {
        const PlaceInfo& place = pattern.places[d->theirs->index];
        const nfa::ValueId mine = value_id(d->mine->fields, pattern);
        const nfa::ValueId theirs = value_id(d->theirs->fields, pattern);
        e.conditions.push_back(nfa::compare(mine, d->op, place.step, theirs, place.part));
        e.conditions.back().guard = id;  // for people who ask
        if (d->by_digest && of_where) pattern.confirmed.push_back({id, confirm->first, confirm->second});
        return;
      }
      std::set<std::uint32_t> places;
      places_of(condition, places);
      std::set<std::uint32_t> steps;
      for (const std::uint32_t place : places) steps.insert(pattern.places[place].step);
      e.conditions.push_back(nfa::ask(id, {steps.begin(), steps.end()}));
    };
    for (const Expr& condition : predicates.cross) add(condition, true);
    for (const Expr& condition : predicates.described_when) add(condition, false);
    return e;
  }

  static nfa::StepKind kind_of(dsl::StepKind kind) {
    switch (kind) {
      case dsl::StepKind::single: return nfa::StepKind::single;
      case dsl::StepKind::group: return nfa::StepKind::group;
      case dsl::StepKind::all_of: return nfa::StepKind::all_of;
      case dsl::StepKind::any_of: return nfa::StepKind::any_of;
    }
    return nfa::StepKind::single;
  }
  static nfa::Link link_of(dsl::Link link) {
    switch (link) {
      case dsl::Link::then: return nfa::Link::any;
      case dsl::Link::first: return nfa::Link::first;
      case dsl::Link::next: return nfa::Link::next;
    }
    return nfa::Link::any;
  }
  static nfa::Pick pick_of(dsl::Pick pick) {
    switch (pick) {
      case dsl::Pick::nearest: return nfa::Pick::nearest;
      case dsl::Pick::earliest: return nfa::Pick::earliest;
      case dsl::Pick::every: return nfa::Pick::every;
    }
    return nfa::Pick::nearest;
  }
  static nfa::AfterMatch after_of(dsl::AfterMatch after) {
    switch (after) {
      case dsl::AfterMatch::restart: return nfa::AfterMatch::restart;
      case dsl::AfterMatch::continue_: return nfa::AfterMatch::continue_;
      case dsl::AfterMatch::skip_to_next: return nfa::AfterMatch::skip_to_next;
      case dsl::AfterMatch::skip_past_last: return nfa::AfterMatch::skip_past_last;
      case dsl::AfterMatch::skip_to_first: return nfa::AfterMatch::skip_to_first;
      case dsl::AfterMatch::skip_to_last: return nfa::AfterMatch::skip_to_last;
    }
    return nfa::AfterMatch::restart;
  }

  Status build_patterns() {
    std::vector<std::uint64_t> predicate_meanings;
    for (const PlanPredicate& p : plan_.predicates) predicate_meanings.push_back(hash64(p.text));
    for (std::uint32_t r = 0; r < book_.rules.size(); ++r) {
      const dsl::Rule& rule = book_.rules[r];
      rule_at_hand_ = &rule;
      if (rule.on || rule.off) continue;
      const dsl::Sequence& sequence = *rule.sequence;
      const std::vector<TestPredicates>& tests = test_predicates_.at(r);
      PatternPlan plan;
      plan.rule = r;
      plan.keyspace = rule_keyspace_.at(r);
      plan.places.resize(sequence.place_count);
      for (std::uint32_t s = 0; s < sequence.steps.size(); ++s) {
        for (std::uint32_t p = 0; p < sequence.steps[s].parts.size(); ++p) {
          const dsl::EventTest& part = sequence.steps[s].parts[p];
          plan.places[part.place] = {part.alias, s, p};
        }
      }
      std::vector<std::uint64_t> guard_meanings;
      nfa::Pattern pattern;
      std::size_t next_test = 0;
      for (const dsl::Step& step : sequence.steps) {
        nfa::Step built;
        built.kind = kind_of(step.kind);
        built.link = link_of(step.link);
        built.min = step.min;
        built.max = step.max;
        built.consecutive = step.consecutive;
        built.optional = step.optional;
        built.within = step.within;
        for (const dsl::EventTest& part : step.parts) {
          std::optional<std::pair<std::uint32_t, std::uint32_t>> confirm;
          if (step.kind != dsl::StepKind::group && step.link != dsl::Link::first) {
            confirm.emplace(plan.places[part.place].step, plan.places[part.place].part);
          }
          built.parts.push_back(
              {element(tests[next_test++], plan, guard_meanings, confirm), part.optional, part.within});
        }
        pattern.steps.push_back(std::move(built));
      }
      for (const dsl::Absence& absence : sequence.absences) {
        nfa::Absence built;
        built.before = absence.before_step;
        built.element = element(tests[next_test++], plan, guard_meanings);
        if (absence.before_step == 0 || absence.before_step == sequence.steps.size()) built.wait = absence.wait;
        pattern.absences.push_back(std::move(built));
      }
      if (sequence.until) pattern.until = element(tests[next_test++], plan, guard_meanings);
      pattern.within = sequence.within;
      pattern.pick = pick_of(sequence.pick);
      pattern.after = after_of(sequence.after);
      if (sequence.after == dsl::AfterMatch::skip_to_first || sequence.after == dsl::AfterMatch::skip_to_last) {
        pattern.after_step = plan.places[sequence.after_place].step;
      }
      std::string extra = out_->keyspaces[plan.keyspace].name;
      if (rule.when) {
        const Expr when = with_lets_inlined(*rule.when, rule.lets);
        extra += dsl::meaning(when, book_);
        ExprBuilder late(out_->codes, nullptr, &book_, &texts_);
        tell_masks(late);
        plan.when = late.build(when);
      }
      for (const dsl::KeyPart& part : rule.keys) extra += part.name + ";";
      const std::vector<std::uint64_t> value_meanings = meanings_of_values(plan);
      nfa::Meanings meanings{predicate_meanings, value_meanings, guard_meanings, hash64(extra)};
      const std::size_t last_tests = sequence.steps.back().parts.size();
      std::size_t step_tests = 0;
      for (const dsl::Step& step : sequence.steps) step_tests += step.parts.size();
      for (std::size_t t = 0; t < tests.size(); ++t) {
        if (t >= step_tests - last_tests && t < step_tests) continue;  // the completing event: read as of now
        const auto asks = [&](const Expr& e) { return mentions_effects(e, book_); };
        if (std::any_of(tests[t].cross.begin(), tests[t].cross.end(), asks)) {
          return Error{
              ErrorKind::refused,
              "rule " + rule.name +
                  ": one condition of a step that is not the last compares an earlier step with a label or "
                  "with a list that rules change; take them apart with `and`, or move the condition to `when`"};
        }
        if (std::any_of(tests[t].cross.begin(), tests[t].cross.end(), mentions_aggregates)) {
          return Error{ErrorKind::refused,
                       "rule " + rule.name +
                           ": one condition of a step that is not the last compares an "
                           "earlier step with a feature; take them apart with `and`, or move the condition to `when`"};
        }
      }
      nfa::Choosing choosing;
      choosing.refuses = !when_is_in_steps(rule);
      auto program = nfa::compile(pattern, meanings, choosing);
      if (!program) return program.error().while_doing("rule " + rule.name);
      if (purpose_ == BuildFor::checking) continue;
      plan.program = program.take();
      plan.comparing = comparing_of(pattern, plan.values.size());
      plan.several_roles =
          std::any_of(tests.begin(), tests.end(), [](const TestPredicates& t) { return t.roles.size() > 1; });
      if (out_->explains) add_tests(tests, pattern, plan);
      const auto index = static_cast<std::uint32_t>(out_->patterns.size());
      KeySpace& space = out_->keyspaces[plan.keyspace];
      plan.slot = static_cast<std::uint32_t>(space.programs.size());
      space.programs.push_back(index);
      out_->rules[r].pattern = index;
      const bool by_time = std::any_of(sequence.absences.begin(), sequence.absences.end(),
                                       [&](const dsl::Absence& a) { return a.before_step == sequence.steps.size(); });
      if (rule.decide && !rule.shadow && !by_time) {
        for (const dsl::EventTest& part : sequence.steps.back().parts) {
          for (const dsl::Alternative& alternative : part.source.alternatives) {
            if (!book_.schema.events[alternative.event].of_hits) decided_types_.insert(alternative.event);
          }
        }
      }
      out_->patterns.push_back(std::move(plan));
    }
    share_prefixes();
    for (std::uint32_t p = 0; p < out_->patterns.size(); ++p) add_routes(p);
    return {};
  }

  using Keys = std::map<event::EventTypeId, std::set<std::vector<event::FieldIndex>>>;
  /// Under which keys events of each type belong to the rule's pattern.
  Keys keys_of(std::uint32_t rule) const {
    Keys keys;
    for (const TestPredicates& test : test_predicates_.at(rule)) {
      for (const RolePredicates& role : test.roles) {
        for (const dsl::Alternative& a : role.source.alternatives) keys[a.event].insert(a.key);
      }
    }
    return keys;
  }

  /// Where the events of a test come from, the same under other numbers of types and fields.
  std::uint64_t origin_of(const TestPredicates& test) const {
    std::uint64_t hash = 0;
    for (const RolePredicates& role : test.roles) {
      for (const dsl::Alternative& a : role.source.alternatives) {
        const event::EventType& type = book_.schema.events[a.event];
        hash = hash_mix(hash, hash64(type.name));
        for (const event::FieldIndex field : a.key) hash = hash_mix(hash, hash64(type.fields[field].name));
      }
    }
    return hash;
  }

  /// Patterns of a keyspace that begin alike run their first steps together (nfa/prefix.h). Those that take a type of event under
  /// several roles do not: which of its predicates count differs from pattern to pattern.
  void share_prefixes() {
    for (std::uint32_t k = 0; k < out_->keyspaces.size(); ++k) {
      KeySpace& space = out_->keyspaces[k];
      std::vector<nfa::Sharer> sharers;
      std::vector<std::uint32_t> of;
      for (const std::uint32_t index : space.programs) {
        PatternPlan& pattern = out_->patterns[index];
        const Keys keys = keys_of(pattern.rule);
        const bool one_key =
            std::all_of(keys.begin(), keys.end(), [](const auto& of_type) { return of_type.second.size() == 1; });
        if (pattern.several_roles || !one_key) continue;
        const dsl::Sequence& sequence = *book_.rules[pattern.rule].sequence;
        const std::vector<TestPredicates>& tests = test_predicates_.at(pattern.rule);
        std::vector<std::uint64_t> context(sequence.steps.size() + 1, 0);
        std::size_t test = 0;
        const auto add = [&](std::size_t step) { context[step] = hash_mix(context[step], origin_of(tests[test++])); };
        for (std::size_t s = 0; s < sequence.steps.size(); ++s) {
          for (std::size_t part = 0; part < sequence.steps[s].parts.size(); ++part) add(s);
        }
        for (const dsl::Absence& absence : sequence.absences) add(absence.before_step);
        if (sequence.until) add(0);
        sharers.push_back({&pattern.program, std::move(context)});
        of.push_back(index);
      }
      for (nfa::Prefix& prefix : nfa::share_prefixes(sharers)) {
        const auto number = static_cast<std::uint32_t>(out_->prefixes.size());
        for (std::uint32_t m = 0; m < prefix.members.size(); ++m) {
          std::uint32_t& program = prefix.members[m].program;
          program = of[program];
          out_->patterns[program].prefix = number;
          out_->patterns[program].member = m;
        }
        const auto slot = static_cast<std::uint32_t>(space.programs.size() + space.prefixes.size());
        space.prefixes.push_back(number);
        out_->prefixes.push_back({k, slot, std::move(prefix)});
      }
    }
  }

  // ---- for people who ask

  CodeId unless_always(const std::vector<PlanCondition>& conditions, event::EventTypeId type) {
    for (const PlanCondition& c : conditions) {
      if (c.event == type && !(c.expr.op == Op::constant && is_true(c.expr.value)))
        return builders_[type].build(c.expr);
    }
    return no_code;
  }

  static std::vector<std::vector<PatternPlan::Comparing>> comparing_of(const nfa::Pattern& pattern, std::size_t count) {
    std::vector<std::vector<PatternPlan::Comparing>> all(count);
    const auto add = [&](const nfa::Element& element, PatternPlan::Comparing own) {
      own.predicate = element.predicate;
      for (const nfa::Condition& c : element.conditions) {
        if (c.op == nfa::Condition::Op::opaque) continue;
        all[static_cast<std::size_t>(c.mine)].push_back(own);
        all[static_cast<std::size_t>(c.theirs)].push_back(
            {pattern.steps[c.step].parts[c.part].element.predicate, c.step == 0, false});
      }
    };
    for (std::size_t s = 0; s < pattern.steps.size(); ++s) {
      for (const nfa::Part& part : pattern.steps[s].parts) add(part.element, {{}, s == 0, false});
    }
    for (const nfa::Absence& absence : pattern.absences) add(absence.element, {{}, false, true});
    return all;
  }

  void add_tests(const std::vector<TestPredicates>& tests, nfa::Pattern pattern, PatternPlan& plan) {
    for (const TestPredicates& test : tests) {
      TestPlan built;
      built.stream = test.stream;
      for (const RolePredicates& role : test.roles) {
        const Expr own = conjunction(role.own);
        const bool no_where = own.op == Op::constant && is_true(own.value);
        const std::vector<PlanCondition> membership = conditions_of(role.source, nullptr);
        for (const PlanCondition& c : membership) {
          const auto a = std::find_if(role.source.alternatives.begin(), role.source.alternatives.end(),
                                      [&](const dsl::Alternative& x) { return x.event == c.event; });
          built.types.push_back({c.event, unless_always(membership, c.event),
                                 no_where ? no_code : builders_[c.event].build(own),
                                 test.roles.size() > 1 ? a->key : std::vector<event::FieldIndex>{}});
        }
      }
      plan.tests.push_back(std::move(built));
    }
    std::uint32_t next_test = 0;
    const auto renumber = [&](nfa::Element& element) {
      element.predicate = nfa::PredicateId{2 * next_test};
      element.stream = nfa::PredicateId{2 * next_test + 1};
      element.conditions.resize(tests[next_test++].cross.size());  // behind them are those of `when`
      for (nfa::Condition& c : element.conditions) {
        if (c.op != nfa::Condition::Op::opaque) c = nfa::ask(c.guard, {c.step});
      }
    };
    for (nfa::Step& step : pattern.steps) {
      for (nfa::Part& part : step.parts) renumber(part.element);
    }
    for (nfa::Absence& absence : pattern.absences) renumber(absence.element);
    if (pattern.until) renumber(*pattern.until);
    plan.pattern = std::move(pattern);
  }

  static std::map<std::uint32_t, std::uint64_t> bits_by_predicate(const nfa::Program& program) {
    std::map<std::uint32_t, std::uint64_t> bits;
    for (const nfa::Program::Word& word : program.words) {
      for (std::uint64_t left = word.mask; left != 0; left &= left - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(left));
        bits[word.index * 64 + bit] = std::uint64_t{1} << word.bit[bit];
      }
    }
    return bits;
  }

  /// In its place, once.
  template <typename Entry>
  static void insert(std::vector<Entry>& sorted, const Entry& entry) {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), entry);
    if (at == sorted.end() || *at != entry) sorted.insert(at, entry);
  }

  /// Under which keys of which event types the pattern is to be stepped, and which predicates count under each.
  void add_routes(std::uint32_t pattern_index) {
    const PatternPlan& plan = out_->patterns[pattern_index];
    // Per event type and key: which predicates of the program count, and which of the event they stand for.
    std::map<std::pair<event::EventTypeId, std::vector<event::FieldIndex>>, std::map<std::uint32_t, std::uint32_t>>
        uses;
    Keys keys = keys_of(plan.rule);
    for (const TestPredicates& test : test_predicates_.at(plan.rule)) {
      for (const RolePredicates& role : test.roles) {
        for (const dsl::Alternative& a : role.source.alternatives) {
          uses[{a.event, a.key}][static_cast<std::uint32_t>(test.full)] = static_cast<std::uint32_t>(role.full);
          uses[{a.event, a.key}][static_cast<std::uint32_t>(test.stream)] = static_cast<std::uint32_t>(role.stream);
        }
      }
    }
    const PrefixPlan* const common = plan.prefix == PatternPlan::no_prefix ? nullptr : &out_->prefixes[plan.prefix];
    const std::map<std::uint32_t, std::uint64_t> bit_in_program = bits_by_predicate(plan.program);
    const std::map<std::uint32_t, std::uint64_t> bit_in_prefix =
        common == nullptr ? bit_in_program : bits_by_predicate(common->prefix.program);
    const std::size_t words = (plan_.predicates.size() + 63) / 64;
    const auto set = [](std::vector<std::uint64_t>& bits, std::uint32_t predicate) {
      bits[predicate / 64] |= std::uint64_t{1} << (predicate % 64);
    };
    for (const auto& [place, predicates] : uses) {
      TypePlan& type = out_->types[place.first];
      const std::uint32_t use = key_use(place.first, plan.keyspace, place.second);
      auto route =
          std::find_if(type.routes.begin(), type.routes.end(), [&](const Route& x) { return x.key_use == use; });
      if (route == type.routes.end()) {
        type.routes.emplace_back().key_use = use;
        route = type.routes.end() - 1;
      }
      route->wakes.resize(words, 0);
      route->begins.resize(words, 0);
      Route::Entry entry{pattern_index, {}, {}};
      if (keys[place.first].size() > 1) entry.allowed.resize(words, 0);
      for (const auto& [own, of_event] : predicates) {
        if (own != of_event) {
          entry.stands_for.emplace_back(of_event, own);
        } else if (!entry.allowed.empty()) {
          set(entry.allowed, own);
        }
        const auto bit = bit_in_program.find(own);
        if (bit == bit_in_program.end()) continue;
        set(route->wakes, of_event);
        const auto number = static_cast<std::uint32_t>(route->patterns.size());
        if (common == nullptr) {
          if ((bit->second & (plan.program.start_mask | plan.program.first_no_mask)) == 0) continue;
          set(route->begins, of_event);
          insert(route->beginners, std::pair{of_event, number});
          continue;
        }
        if ((bit->second & common->prefix.members[plan.member].wakes) != 0)
          insert(route->joiners, std::pair{of_event, number});
        const auto shared = bit_in_prefix.find(own);
        if (shared == bit_in_prefix.end()) continue;
        insert(route->prefixes, plan.prefix);
        const nfa::Program& prefix = common->prefix.program;
        if ((shared->second & (prefix.start_mask | prefix.first_no_mask)) == 0) continue;
        set(route->begins, of_event);
        insert(route->prefix_beginners, std::pair{of_event, plan.prefix});
      }
      route->patterns.push_back(std::move(entry));
    }
  }

  // ---- policies and lists

  void build_policies() {
    rule_at_hand_ = nullptr;
    std::set<event::EventTypeId> named;
    for (std::uint32_t p = 0; p < book_.policies.size(); ++p) {
      const dsl::Policy& policy = book_.policies[p];
      alerts::Policy built;
      built.name = policy.name;
      built.event = policy.on.name;
      built.sum = policy.sum;
      built.cap = policy.cap;
      for (const dsl::PolicyLine& line : policy.lines) {
        std::string text(event::to_text(line.action));
        text += line.when ? " when " + as_written(*line.when) : " otherwise";
        built.lines.push_back({line.action, !line.when.has_value(), std::move(text)});
      }
      built.on_error = policy.on_error;
      if (policy.limit)
        built.limit = {policy.limit->action, policy.limit->share, policy.limit->per, policy.limit->otherwise};
      out_->policies.push_back(std::move(built));
      const std::uint32_t predicate = static_cast<std::uint32_t>(policy_predicates_.at(p));
      for (const PlanCondition& c : plan_.predicates[predicate].conditions) {
        PolicyUse use;
        use.policy = p;
        if (!always(predicate, c.event)) use.where = nfa::PredicateId{predicate};
        for (const dsl::PolicyLine& line : policy.lines) {
          use.lines.push_back(line.when ? builders_[c.event].build(*line.when) : no_code);
        }
        out_->types[c.event].policies.push_back(std::move(use));
        named.insert(c.event);
      }
    }
    for (const event::EventTypeId type : decided_types_) {
      if (named.contains(type)) continue;
      PolicyUse use;
      use.policy = static_cast<std::uint32_t>(out_->policies.size());
      out_->policies.push_back(alerts::default_policy(book_.schema.events[type].name));
      out_->types[type].policies.push_back(std::move(use));
    }
  }

  /// The words of the rule file, on one line; the meaning when the text is not at hand.
  std::string as_written(const Expr& expr) const {
    if (expr.span.file >= out_->files.size() || expr.span.end > out_->files[expr.span.file].text->size() ||
        expr.span.begin >= expr.span.end) {
      return dsl::meaning(expr, book_);
    }
    std::string text;
    for (const char c : out_->files[expr.span.file].text->substr(expr.span.begin, expr.span.end - expr.span.begin)) {
      const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
      if (!space) {
        text += c;
      } else if (!text.empty() && text.back() != ' ') {
        text += ' ';
      }
    }
    return text;
  }

  void build_look_ups() {
    for (const dsl::Table& table : book_.tables) {
      TablePlan plan;
      plan.shape.name = table.name;
      plan.shape.by_network = table.by_network;
      for (const dsl::KeyPart& key : table.keys) {
        plan.shape.key_names.push_back(key.name);
        plan.shape.keys.push_back(key.type);
      }
      for (const dsl::TableColumn& column : table.columns) {
        plan.shape.column_names.push_back(column.name);
        plan.shape.columns.push_back(column.type);
      }
      auto rows = std::make_shared<TableRows>(table.keys.size(), table.width(), table.by_network);
      for (std::size_t i = 0; i < table.from.size(); ++i) {
        rows->add({table.from[i], std::span(table.cells).subspan(i * table.width(), table.width()),
                   table.by_network ? table.networks[i] : event::Network{}});
      }
      rows->seal();
      plan.rows = std::move(rows);
      out_->tables.push_back(std::move(plan));
    }
  }

  /// Effects that nobody asks for are put and change nothing; of the others it is said by event type who puts and who asks.
  void build_visibility() {
    for (const dsl::EntityLabel& label : book_.labels) out_->labels.push_back({label.kind, label.name});
    const EffectUse use = effects_of(book_);
    std::set<std::uint32_t> seen;
    std::set_intersection(use.put_anywhere.begin(), use.put_anywhere.end(), use.asked_anywhere.begin(),
                          use.asked_anywhere.end(), std::inserter(seen, seen.end()));
    if (seen.empty() && !use.hits) return;
    out_->visibility = {true, use.deadlines, use.shortest_wait};
    const auto bits = [&](const std::set<std::uint32_t>& effects, std::vector<std::uint64_t>& words) {
      for (const std::uint32_t effect : effects) {
        if (!seen.contains(effect)) continue;
        if (words.size() <= effect / 64) words.resize(effect / 64 + 1);
        words[effect / 64] |= std::uint64_t{1} << (effect % 64);
      }
    };
    for (event::EventTypeId type = 0; type < out_->types.size(); ++type) {
      bits(use.put[type], out_->types[type].effects_put);
      bits(use.asked[type], out_->types[type].effects_asked);
      out_->types[type].makes_hits = use.makes_hits[type];
    }
  }

  void build_resolves() {
    for (const auto& [r, predicates] : resolve_predicates_) {
      const dsl::Rule& rule = book_.rules[r];
      const std::vector<dsl::KeyPart>& parts = rule.alert_once ? rule.alert_once->by : rule.keys;
      for (std::size_t i = 0; i < predicates.size(); ++i) {
        for (const dsl::Alternative& a : rule.resolves[i].alternatives) {
          ResolveUse use;
          use.rule = r;
          use.where = predicates[i];
          for (const dsl::KeyPart& part : parts) use.names.push_back(part.name);
          use.fields = a.key;
          out_->types[a.event].resolves.push_back(std::move(use));
        }
      }
    }
  }

  void build_questions() {
    rule_at_hand_ = nullptr;
    for (const dsl::Test& test : book_.tests) {
      for (const dsl::TestStep& step : test.steps) {
        for (const auto* questions : {&step.holds, &step.shown}) {
          for (const dsl::Shown& question : *questions) {
            ExprBuilder late(out_->codes, nullptr, &book_, &texts_);
            out_->questions.push_back(
                {question.name, late.build(question.value), question.value.type, false, event::Mask::none});
          }
        }
      }
    }
  }

  void build_lists() {
    for (const dsl::List& list : book_.lists)
      out_->lists.push_back({list.name, list.element, list.entries, list.networks});
  }

  // ---- reads into strata

  void build_strata() {
    for (event::EventTypeId type = 0; type < out_->types.size(); ++type) {
      RowReads& row = rows_[type];
      for (std::size_t i = 0; i < row.wanted.size(); ++i) {  // keys of reads may want further reads
        const RowReads::Wanted wanted = row.wanted[i];
        const ColumnPlan& column = out_->columns[plan_.aggregates[wanted.aggregate].column];
        Read read;
        read.aggregate = wanted.aggregate;
        read.slot = static_cast<std::uint32_t>(i);
        std::uint32_t level = column.stratum;
        if (wanted.probe) {
          level = std::max(level, stratum_of(*wanted.probe, plan_, type));
          read.probe = builders_[type].build(*wanted.probe);
        }
        std::vector<event::FieldIndex> fields;
        bool plain = true;
        for (const Expr& part : wanted.key) {
          level = std::max(level, stratum_of(part, plan_, type));
          std::optional<event::FieldIndex> field;
          if (part.op == Op::field) {
            for (const dsl::FieldRef& ref : part.fields) {
              if (ref.event == type) field = ref.field;
            }
          }
          plain = plain && field.has_value();
          if (field) fields.push_back(*field);
        }
        if (plain) {
          read.key_use = key_use(type, column.keyspace, fields);
        } else {
          for (const Expr& part : wanted.key) read.key.push_back(builders_[type].build(part));
        }
        read.as_of = level > column.stratum;
        const bool before =
            column.layout.windows[plan_.aggregates[wanted.aggregate].window].reach == state::Reach::before;
        TypeStratum& place = stratum(type, level);
        (before ? place.reads_before : place.reads_last).push_back(std::move(read));
      }
      out_->types[type].row_size = static_cast<std::uint32_t>(row.wanted.size());
      out_->strata = std::max(out_->strata, static_cast<std::uint32_t>(out_->types[type].strata.size()));
    }
  }

  void finish() {
    out_->digest = hash128(meanings_ + dsl::dump(book_));
    out_->digest_text = to_text(out_->digest);
  }

  bool tests_;
  std::optional<dsl::Rulebook> changed_;
  const dsl::Rulebook& book_;
  Plan plan_;
  BuildFor purpose_;
  std::shared_ptr<Ruleset> out_ = std::make_shared<Ruleset>();
  std::vector<RowReads> rows_;
  TextPatternsBuild texts_;
  std::map<std::pair<event::EventTypeId, event::FieldIndex>, event::Mask> derived_masks_;
  std::vector<ExprBuilder> builders_;
  std::map<std::uint32_t, nfa::PredicateId> on_predicates_, policy_predicates_;
  std::map<std::uint32_t, std::vector<nfa::PredicateId>> resolve_predicates_;
  std::map<std::uint32_t, std::vector<TestPredicates>> test_predicates_;
  std::map<std::uint32_t, std::uint32_t> rule_keyspace_;
  std::string meanings_;                   // of all rules, behind their names
  std::vector<std::uint32_t> suppressed_;  // rules with a clause `suppressed by` that are not off
  std::set<event::EventTypeId> decided_types_;
  const dsl::Rule* rule_at_hand_ = nullptr;     // for masks of its keys and lets
  std::set<event::EventTypeId> several_roles_;  // of the rule at hand
};

}  // namespace

Result<std::shared_ptr<const Ruleset>> build(const dsl::Rulebook& book, std::vector<RuleFileText> files,
                                             BuildFor purpose) {
  return Build(book, std::move(files), purpose).run();
}

std::string explain_plan(const dsl::Rulebook& book) {
  Build build(book, {});
  build.plan_only();
  return dump(build.plan(), book);
}

std::string explain_programs(const Ruleset& ruleset) {
  std::string out;
  for (const PatternPlan& pattern : ruleset.patterns) {
    out += "rule " + ruleset.rules[pattern.rule].info.name + " per " + ruleset.keyspaces[pattern.keyspace].name + "\n";
    out += nfa::dump(pattern.program);
    if (pattern.prefix != PatternPlan::no_prefix) {
      const nfa::Prefix& prefix = ruleset.prefixes[pattern.prefix].prefix;
      out += "  " +
             std::string(prefix.steps == 1 ? "step 0 is" : "steps 0 to " + std::to_string(prefix.steps - 1) + " are") +
             " run once for all of";
      for (const nfa::Prefix::Member& member : prefix.members) {
        out += (&member == &prefix.members.front() ? " " : ", ") +
               ruleset.rules[ruleset.patterns[member.program].rule].info.name;
      }
      out += "\n";
    }
    out += "\n";
  }
  return out;
}

std::string explain_ruleset(const Ruleset& ruleset) {
  std::string out = "digest " + ruleset.digest_text + "\n";
  out += "strata " + std::to_string(ruleset.strata) + "\n";
  for (const KeySpace& space : ruleset.keyspaces) {
    out += "keyspace " + space.name + ": " + std::to_string(space.columns.size()) + " columns, " +
           std::to_string(space.programs.size()) + " programs, " + std::to_string(space.prefixes.size()) +
           " beginnings in common\n";
  }
  for (std::size_t t = 0; t < ruleset.types.size(); ++t) {
    const TypePlan& type = ruleset.types[t];
    out += "event " + ruleset.schema.events[t].name + ": keys";
    for (const KeyUse& use : type.key_uses) {
      out += " (";
      for (std::size_t i = 0; i < use.fields.size(); ++i) {
        out += (i == 0 ? "" : ", ") + ruleset.schema.events[t].fields[use.fields[i]].name;
      }
      out += ")";
    }
    out += "\n";
    for (std::size_t s = 0; s < type.strata.size(); ++s) {
      const TypeStratum& stratum = type.strata[s];
      out += "  stratum " + std::to_string(s) + ": " + std::to_string(stratum.derived.size()) + " derived fields, " +
             std::to_string(stratum.predicates.entries.size()) + " predicates over " +
             std::to_string(stratum.predicates.fields.size()) + " indexed fields, " +
             std::to_string(stratum.reads_before.size()) + " reads before, " + std::to_string(stratum.inserts.size()) +
             " inserts, " + std::to_string(stratum.reads_last.size()) + " reads last\n";
    }
    out += "  " + std::to_string(type.on_rules.size()) + " rules, " + std::to_string(type.routes.size()) + " routes, " +
           std::to_string(type.policies.size()) + " policies\n";
  }
  for (const RulePlan& rule : ruleset.rules) {
    out += "rule " + rule.info.name + " revision " + to_text(rule.info.revision) + "\n";
  }
  return out;
}

}  // namespace tocsin::engine
