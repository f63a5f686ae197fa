#include "dsl/contradiction.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace tocsin::dsl {
namespace {

using event::Kind;
using event::TypeKind;
using event::Value;

/// Parts looked at for one question, all attempts together; beyond it the answer is "possible". Rules that people write need some dozen.
constexpr int looks_max = 4000;

enum Order : unsigned { less = 1, same = 2, more = 4 };

struct Term {
  std::optional<Value> low, high;
  bool low_open = false, high_open = false;
  bool integer = false;
  bool present = false, missing = false;
  std::optional<std::vector<Value>> one_of;
  std::vector<Value> none_of;
};

struct State {
  std::map<std::string, Term> terms;
  std::map<std::pair<std::string, std::string>, unsigned> orders;  // what is left of less, same, more
  std::map<std::string, bool> facts;                               // of conditions that are not taken apart
};

class Search {
 public:
  Search(const Rulebook& book, const Known& known, Meanings& meanings)
      : book_(book), known_(known), meanings_(meanings) {}

  bool possible(std::vector<Assumed> open, State state) {
    std::vector<Assumed> choices;
    while (!open.empty()) {
      if (++looks_ > looks_max) return true;
      const Assumed at = open.back();
      open.pop_back();
      const Expr& e = *at.condition;
      const bool wanted = at.truth == Assumed::Truth::is_true;
      if (e.op == Op::let && known_.lets != nullptr && e.index < known_.lets->size()) {
        open.push_back({&(*known_.lets)[e.index].value, at.truth});
      } else if (e.op == Op::not_) {
        if (at.truth == Assumed::Truth::not_true) continue;  // what is under it may be unknown: nothing follows
        open.push_back({&e.args[0], wanted ? Assumed::Truth::is_false : Assumed::Truth::is_true});
      } else if (e.op == Op::and_ || e.op == Op::or_) {
        const bool all = (e.op == Op::and_) == wanted;
        if (all) {
          for (const Expr& arg : e.args) open.push_back({&arg, at.truth});
        } else {
          choices.push_back(at);
        }
      } else if (at.truth == Assumed::Truth::not_true) {
        choices.push_back(at);
      } else if (!take(e, wanted, state)) {
        return false;
      }
    }
    if (!consistent(state)) return false;
    if (choices.empty()) return true;
    const Assumed choice = choices.back();
    choices.pop_back();
    const Expr& e = *choice.condition;
    const auto tried = [&](Assumed part) {
      std::vector<Assumed> next = choices;
      next.push_back(part);
      return possible(std::move(next), state);
    };
    if (e.op == Op::and_ || e.op == Op::or_) {
      return std::any_of(e.args.begin(), e.args.end(), [&](const Expr& arg) { return tried({&arg, choice.truth}); });
    }
    // A comparison that is not true: false, or one of its sides is missing.
    if (tried({&e, Assumed::Truth::is_false})) return true;
    if (e.op == Op::is_missing || e.op == Op::any_rule_decides || e.op == Op::any_rule_tagged) return false;
    if (e.args.empty()) return true;
    return std::any_of(e.args.begin(), e.args.end(), [&](const Expr& arg) {
      if (arg.op == Op::constant || arg.op == Op::score) return false;
      State other = state;
      term(arg, other).missing = true;
      return possible(choices, std::move(other));
    });
  }

 private:
  /// Equal texts are equal values.
  std::string text_of(const Expr& e) { return meanings_.of(e); }

  /// What the expression is when it is a let.
  const Expr& named(const Expr& e) const {
    const Expr* at = &e;
    while (at->op == Op::let && known_.lets != nullptr && at->index < known_.lets->size()) {
      at = &(*known_.lets)[at->index].value;
    }
    return *at;
  }

  Term& term(const Expr& e, State& state) { return term(e, text_of(e), state); }
  Term& term(const Expr& e, const std::string& text, State& state) {
    const auto [at, fresh] = state.terms.try_emplace(text);
    Term& t = at->second;
    if (!fresh) return t;
    const Expr& flat = named(e);
    // What is so of any value of its kind.
    const auto from = [&](std::int64_t n) { t.low = Value::of_integer(n); };
    const auto to = [&](std::int64_t n) { t.high = Value::of_integer(n); };
    t.integer = flat.type.kind == TypeKind::integer;
    if (flat.type.kind == TypeKind::enumeration) {
      t.one_of.emplace();
      const std::size_t count = book_.schema.enums[flat.type.enumeration].values.size();
      for (std::uint32_t i = 0; i < count; ++i) t.one_of->push_back(Value::of_enumeration(i));
    }
    if (flat.op == Op::aggregate && flat.index < book_.aggregates.size()) {
      const AggregateFunction function = book_.aggregates[flat.index].function;
      if (function == AggregateFunction::count || function == AggregateFunction::distinct) {
        t.integer = true;
        from(0);
      }
    }
    if (flat.op == Op::group_count) {
      t.integer = true;
      from(1);
      if (const Step* step = step_of(flat.index)) {
        from(step->min);
        if (step->max > 0) to(step->max);
      }
    }
    if (flat.op == Op::function && flat.name == "abs" && flat.type.kind != TypeKind::money) from(0);
    return t;
  }

  [[nodiscard]] const Step* step_of(PlaceId place) const {
    if (known_.sequence == nullptr) return nullptr;
    for (const Step& step : known_.sequence->steps) {
      if (step.kind == StepKind::group && !step.parts.empty() && step.parts[0].place == place) return &step;
    }
    return nullptr;
  }

  static Op opposite(Op op) {
    switch (op) {
      case Op::equal: return Op::not_equal;
      case Op::not_equal: return Op::equal;
      case Op::less: return Op::greater_equal;
      case Op::less_equal: return Op::greater;
      case Op::greater: return Op::less_equal;
      case Op::greater_equal: return Op::less;
      default: return op;
    }
  }
  static unsigned orders_of(Op op) {
    switch (op) {
      case Op::equal: return same;
      case Op::not_equal: return less | more;
      case Op::less: return less;
      case Op::less_equal: return less | same;
      case Op::greater: return more;
      case Op::greater_equal: return more | same;
      default: return less | same | more;
    }
  }
  static bool compares(Op op) { return orders_of(op) != (less | same | more); }

  /// Takes one condition as true or as false; false when that contradicts what was taken before.
  bool take(const Expr& e, bool wanted, State& state) {
    if (e.op == Op::constant) return true;  // `param on = false` is a person's switch, not a mistake
    if (e.op == Op::is_missing) {
      Term& t = term(e.args[0], state);
      (wanted ? t.missing : t.present) = true;
      return !(t.missing && t.present);
    }
    if (compares(e.op)) return take_comparison(e, wanted ? e.op : opposite(e.op), state);
    if (e.op == Op::in_range && wanted) {
      Term& t = term(e.args[0], state);
      t.present = true;
      if (e.args[1].op == Op::constant) raise(t, e.args[1].value, false);
      if (e.args[2].op == Op::constant) lower(t, e.args[2].value, e.flag);
      return true;
    }
    const bool plain_values = e.op == Op::in_values && e.networks.empty() &&
                              std::all_of(e.args.begin() + 1, e.args.end(), [](const Expr& arg) {
                                return arg.op == Op::constant && !arg.value.is_missing();
                              });
    if (plain_values) {
      Term& t = term(e.args[0], state);
      t.present = true;
      std::vector<Value> values;
      for (std::size_t i = 1; i < e.args.size(); ++i) values.push_back(e.args[i].value);
      if (!wanted) {
        t.none_of.insert(t.none_of.end(), values.begin(), values.end());
      } else if (t.one_of) {
        std::erase_if(*t.one_of, [&](const Value& v) { return !holds(values, v); });
      } else {
        t.one_of = std::move(values);
      }
      return true;
    }
    const auto [fact, fresh] = state.facts.try_emplace(text_of(e), wanted);
    return fresh || fact->second == wanted;
  }

  bool take_comparison(const Expr& e, Op op, State& state) {
    const bool left = e.args[0].op == Op::constant;
    const bool right = e.args[1].op == Op::constant;
    if (left && right) return true;
    if (left || right) {
      const Value& value = e.args[left ? 0 : 1].value;
      Term& t = term(e.args[left ? 1 : 0], state);
      t.present = true;
      bound(t, left ? mirrored(op) : op, value);
      return true;
    }
    std::string a = text_of(e.args[0]);
    std::string b = text_of(e.args[1]);
    term(e.args[0], a, state).present = true;
    term(e.args[1], b, state).present = true;
    if (a == b) return (orders_of(op) & same) != 0;
    unsigned orders = orders_of(op);
    if (b < a) {
      std::swap(a, b);
      orders = orders_of(mirrored(op));
    }
    unsigned& left_over = state.orders.try_emplace({a, b}, less | same | more).first->second;
    left_over &= orders;
    return left_over != 0;
  }

  static bool holds(const std::vector<Value>& values, const Value& value) {
    return std::any_of(values.begin(), values.end(), [&](const Value& v) { return event::same(v, value); });
  }

  static void raise(Term& t, const Value& value, bool open) {
    const auto order = t.low ? event::order_of(value, *t.low) : std::optional(1);
    if (order && (*order > 0 || (*order == 0 && open))) {
      t.low = value;
      t.low_open = open;
    }
  }
  static void lower(Term& t, const Value& value, bool open) {
    const auto order = t.high ? event::order_of(value, *t.high) : std::optional(-1);
    if (order && (*order < 0 || (*order == 0 && open))) {
      t.high = value;
      t.high_open = open;
    }
  }
  static void bound(Term& t, Op op, const Value& value) {
    if (op == Op::not_equal) t.none_of.push_back(value);
    if (op == Op::equal && t.one_of) {
      std::erase_if(*t.one_of, [&](const Value& v) { return !event::same(v, value); });
    } else if (op == Op::equal && !event::order_of(value, value)) {
      t.one_of = {value};
    }
    if (op == Op::equal || op == Op::greater || op == Op::greater_equal) raise(t, value, op == Op::greater);
    if (op == Op::equal || op == Op::less || op == Op::less_equal) lower(t, value, op == Op::less);
  }

  /// Of whole numbers the bounds are whole numbers.
  static void round(Term& t) {
    const Int128 one = Decimal::one;
    const auto floor = [&](Int128 units) { return (units >= 0 ? units : units - one + 1) / one; };
    if (t.low && t.low->kind == Kind::number) {
      const Int128 units = t.low->number().units;
      const Int128 whole = floor(units);
      const bool exact = whole * one == units;
      t.low = Value::of_number({(whole + (exact && !t.low_open ? 0 : 1)) * one});
      t.low_open = false;
    }
    if (t.high && t.high->kind == Kind::number) {
      const Int128 units = t.high->number().units;
      const Int128 whole = floor(units);
      const bool exact = whole * one == units;
      t.high = Value::of_number({(whole - (exact && t.high_open ? 1 : 0)) * one});
      t.high_open = false;
    }
  }

  static bool consistent(State& state) {
    for (auto& [name, t] : state.terms) {
      if (t.missing && t.present) return false;
      if (t.missing) continue;
      if (t.integer) round(t);
      if (t.low && t.high) {
        const auto order = event::order_of(*t.low, *t.high);
        if (order && (*order > 0 || (*order == 0 && (t.low_open || t.high_open)))) return false;
        if (order && *order == 0 && holds(t.none_of, *t.low)) return false;
      }
      if (!t.one_of || !t.present) continue;
      const bool some = std::any_of(t.one_of->begin(), t.one_of->end(), [&](const Value& v) {
        if (holds(t.none_of, v)) return false;
        const auto low = t.low ? event::order_of(v, *t.low) : std::optional(1);
        const auto high = t.high ? event::order_of(v, *t.high) : std::optional(-1);
        if (low && (*low < 0 || (*low == 0 && t.low_open))) return false;
        return !(high && (*high > 0 || (*high == 0 && t.high_open)));
      });
      if (!some) return false;
    }
    for (const auto& [pair, orders] : state.orders) {
      const Term& a = state.terms[pair.first];
      const Term& b = state.terms[pair.second];
      unsigned left = orders;
      const auto ends = [](const std::optional<Value>& x, const std::optional<Value>& y) {
        return x && y ? event::order_of(*x, *y) : std::nullopt;
      };
      // a's least is above b's most: a is more. And the other way round.
      const auto above = ends(a.low, b.high);
      if (above && (*above > 0 || (*above == 0 && (a.low_open || b.high_open)))) left &= more;
      if (above && *above == 0) left &= more | same;
      const auto below = ends(a.high, b.low);
      if (below && (*below < 0 || (*below == 0 && (a.high_open || b.low_open)))) left &= less;
      if (below && *below == 0) left &= less | same;
      if (left == 0) return false;
    }
    return true;
  }

  const Rulebook& book_;
  const Known& known_;
  Meanings& meanings_;
  int looks_ = 0;
};

}  // namespace

bool Contradictions::possible(const std::vector<Assumed>& conditions, const Known& known) {
  meanings_.read_as({known.lets, known.event});
  return Search(book_, known, meanings_).possible(conditions, {});
}

}  // namespace tocsin::dsl
