#include "engine/run/expr.h"

#include <algorithm>
#include <array>
#include <memory>

#include "base/hash.h"
#include "base/moments.h"
#include "engine/run/facts.h"
#include "engine/run/functions.h"

namespace tocsin::engine {

using event::Bound;
using event::Kind;
using event::Value;

void ListState::add(const Value& value) {
  Value kept = value;
  if (value.kind == Kind::text) {
    texts_.push_back(std::make_unique<std::string>(value.text()));
    kept = Value::of_text(*texts_.back());
  }
  values_.insert(Entry{kept});
}

bool ListState::contains(const Value& value) const {
  if (values_.contains(Entry{value})) return true;
  if (value.kind != Kind::ip) return false;
  return std::any_of(networks_.begin(), networks_.end(), [&](const event::Network& n) { return n.contains(value); });
}

namespace {

Value missing() { return {}; }
Value number_or_missing(const std::optional<Decimal>& d) { return d ? Value::of_number(*d) : missing(); }
Value money_or_missing(const std::optional<Decimal>& d, event::Currency currency) {
  return d ? Value::of_money(*d, currency) : missing();
}

/// What a comparison that is exact says about sign = order of (a, b).
bool holds(Comparison comparison, int sign) {
  switch (comparison) {
    case Comparison::equal: return sign == 0;
    case Comparison::not_equal: return sign != 0;
    case Comparison::less: return sign < 0;
    case Comparison::less_equal: return sign <= 0;
    case Comparison::greater: return sign > 0;
    case Comparison::greater_equal: return sign >= 0;
  }
  return false;
}

Comparison mirrored(Comparison comparison) {
  switch (comparison) {
    case Comparison::equal: return Comparison::equal;
    case Comparison::not_equal: return Comparison::not_equal;
    case Comparison::less: return Comparison::greater;
    case Comparison::less_equal: return Comparison::greater_equal;
    case Comparison::greater: return Comparison::less;
    case Comparison::greater_equal: return Comparison::less_equal;
  }
  return comparison;
}

/// The true value is `a` or more (at_least), or `a` or less (at_most): settled when the answer is the same for all of them.
Value compare_bounded(Comparison comparison, const Value& a, const Value& b) {
  const std::optional<int> sign = event::order_of(a, b);
  if (!sign) return missing();
  // With at_least the order can only grow from `sign`, with at_most only fall.
  const bool grows = a.bound == Bound::at_least;
  bool some_true = false;
  bool some_false = false;
  for (int s = -1; s <= 1; ++s) {
    if (grows ? s < *sign : s > *sign) continue;
    (holds(comparison, s) ? some_true : some_false) = true;
  }
  if (some_true && some_false) return missing();
  return Value::of_boolean(some_true);
}

const Value* field_of(const Codes& codes, std::uint32_t first, std::uint32_t count, const event::Event& e) {
  for (std::uint32_t i = first; i < first + count; ++i) {
    if (codes.field_refs[i].event == e.type) return &e.values[codes.field_refs[i].field];
  }
  return nullptr;
}

/// A value that only a comparison may use in its warming state.
Value settled(Value v) { return v.bound == Bound::exact ? v : missing(); }

/// Microseconds of times and durations; overflow is missing (V1).
std::optional<std::int64_t> sum_of(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional(sum);
}
std::optional<std::int64_t> difference_of(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  return __builtin_sub_overflow(a, b, &difference) ? std::nullopt : std::optional(difference);
}
Value time_or_missing(std::optional<std::int64_t> us) { return us ? Value::of_time({*us}) : missing(); }
Value duration_or_missing(std::optional<std::int64_t> us) { return us ? Value::of_duration({*us}) : missing(); }

Value arithmetic(NodeOp op, const Value& a, const Value& b) {
  if (a.is_missing() || b.is_missing()) return missing();
  const auto pair = [&](Kind x, Kind y) { return a.kind == x && b.kind == y; };
  switch (op) {
    case NodeOp::add:
      if (pair(Kind::number, Kind::number)) return number_or_missing(add(a.number(), b.number()));
      if (pair(Kind::money, Kind::money)) {
        return a.currency == b.currency ? money_or_missing(add(a.number(), b.number()), a.currency) : missing();
      }
      if (pair(Kind::time, Kind::duration)) return time_or_missing(sum_of(a.time().us, b.duration().us));
      if (pair(Kind::duration, Kind::time)) return time_or_missing(sum_of(a.duration().us, b.time().us));
      if (pair(Kind::duration, Kind::duration)) return duration_or_missing(sum_of(a.duration().us, b.duration().us));
      return missing();
    case NodeOp::subtract:
      if (pair(Kind::number, Kind::number)) return number_or_missing(subtract(a.number(), b.number()));
      if (pair(Kind::money, Kind::money)) {
        return a.currency == b.currency ? money_or_missing(subtract(a.number(), b.number()), a.currency) : missing();
      }
      if (pair(Kind::time, Kind::time)) return duration_or_missing(difference_of(a.time().us, b.time().us));
      if (pair(Kind::time, Kind::duration)) return time_or_missing(difference_of(a.time().us, b.duration().us));
      if (pair(Kind::duration, Kind::duration))
        return duration_or_missing(difference_of(a.duration().us, b.duration().us));
      return missing();
    case NodeOp::multiply: {
      const auto scaled = [](const Value& d, const Value& n) {
        // Microseconds times a nine-digit number, back to whole microseconds.
        const auto product = multiply(Decimal{static_cast<Int128>(d.duration().us)}, n.number());
        if (!product || product->units > INT64_MAX || product->units < INT64_MIN) return missing();
        return Value::of_duration({static_cast<std::int64_t>(product->units)});
      };
      if (pair(Kind::number, Kind::number)) return number_or_missing(multiply(a.number(), b.number()));
      if (pair(Kind::money, Kind::number)) return money_or_missing(multiply(a.number(), b.number()), a.currency);
      if (pair(Kind::number, Kind::money)) return money_or_missing(multiply(a.number(), b.number()), b.currency);
      if (pair(Kind::duration, Kind::number)) return scaled(a, b);
      if (pair(Kind::number, Kind::duration)) return scaled(b, a);
      return missing();
    }
    case NodeOp::divide:
      if (pair(Kind::number, Kind::number)) return number_or_missing(divide(a.number(), b.number()));
      if (pair(Kind::money, Kind::number)) return money_or_missing(divide(a.number(), b.number()), a.currency);
      if (pair(Kind::money, Kind::money)) {
        return a.currency == b.currency ? number_or_missing(divide(a.number(), b.number())) : missing();
      }
      if (pair(Kind::duration, Kind::duration)) {
        return number_or_missing(
            divide(Decimal::from_integer(a.duration().us), Decimal::from_integer(b.duration().us)));
      }
      if (pair(Kind::duration, Kind::number)) {
        const auto quotient = divide(Decimal{static_cast<Int128>(a.duration().us)}, b.number());
        if (!quotient || quotient->units > INT64_MAX || quotient->units < INT64_MIN) return missing();
        return Value::of_duration({static_cast<std::int64_t>(quotient->units)});
      }
      return missing();
    case NodeOp::remainder:
      if (pair(Kind::number, Kind::number)) return number_or_missing(remainder(a.number(), b.number()));
      return missing();
    default: return missing();
  }
}

/// What one unit of `from` is worth in `to`, times the amount, rounded after each operation. Nothing without both rates.
std::optional<Decimal> converted(Decimal amount, event::Currency from, event::Currency to, const TableState& rates,
                                 Timestamp moment) {
  constexpr event::Currency usd{(21U << 10U) | (19U << 5U) | 4U};
  const auto rate = [&](event::Currency currency) -> std::optional<Decimal> {
    char letters[3];
    for (unsigned i = 0; i < 3; ++i)
      letters[i] = static_cast<char>('A' - 1 + (unsigned{currency.code} >> (10U - 5U * i) & 31U));
    const Value key = Value::of_text({letters, 3});
    const Value found = rates.find({&key, 1}, 0, moment);
    return found.kind == Kind::number ? std::optional(found.number()) : std::nullopt;
  };
  std::optional<Decimal> in_usd = amount;
  if (from != usd) {
    const auto worth = rate(from);
    if (!worth) return std::nullopt;
    in_usd = multiply(amount, *worth);
  }
  if (to == usd || !in_usd) return in_usd;
  const auto worth = rate(to);
  return worth ? divide(*in_usd, *worth) : std::nullopt;
}

/// One evaluation: the codes and the context of it, so that recursion passes two words. `told`: every node is told to a sink;
/// the other one, which decides events, knows nothing of sinks.
template <bool told>
class Evaluation {
 public:
  Evaluation(const Codes& codes, Context& context, EvaluationSink* sink = nullptr)
      : codes_(codes), context_(context), sink_(sink) {}

  Value run(std::uint32_t index) {
    if constexpr (told) {
      sink_->enter(index, context_);
      const Value v = value_of(codes_.nodes[index]);
      sink_->leave(index, context_, v);
      return v;
    } else {
      return value_of(codes_.nodes[index]);
    }
  }

 private:
  Value value_of(const Node& node) {
    switch (node.op) {
      case NodeOp::constant: return node.value;
      case NodeOp::field:
        if (!node.flag) return context_.subject->values[node.a];
        return found(field_of(codes_, node.a, node.b, *context_.subject));
      case NodeOp::row_read: return context_.row[node.a];
      case NodeOp::late_read: return late_read(node);
      case NodeOp::place_field:
      case NodeOp::group_first:
        return context_.places[node.a].empty()
                   ? missing()
                   : found(field_of(codes_, node.b, node.c, *context_.places[node.a].front()));
      case NodeOp::group_last:
        return context_.places[node.a].empty()
                   ? missing()
                   : found(field_of(codes_, node.b, node.c, *context_.places[node.a].back()));
      case NodeOp::group_count: return Value::of_integer(static_cast<std::int64_t>(context_.places[node.a].size()));
      case NodeOp::some: return some(node);
      case NodeOp::member_field: return found(field_of(codes_, node.b, node.c, *context_.member));
      case NodeOp::group_aggregate: return group_aggregate(node);
      case NodeOp::rule_key: return context_.rule_key[node.a];
      case NodeOp::not_: {
        const Value v = child(node, 0);
        return v.kind == Kind::boolean ? Value::of_boolean(!v.boolean()) : missing();
      }
      case NodeOp::and_: return chain(node, false);
      case NodeOp::or_: return chain(node, true);
      case NodeOp::compare: {
        const Value a = child(node, 0);  // in written order, as they are told
        return compare(static_cast<Comparison>(node.b), a, child(node, 1));
      }
      case NodeOp::in_values: return in_values(node);
      case NodeOp::in_group: return in_group(node);
      case NodeOp::in_list: {
        const Value v = settled(child(node, 0));
        if (v.is_missing()) return missing();
        if (context_.lists[node.a].contains(v)) return Value::of_boolean(true);
        return Value::of_boolean(context_.facts != nullptr &&
                                 context_.facts->listed(node.a, v, context_.now, node.flag));
      }
      case NodeOp::has_label: {
        const Value v = settled(child(node, 0));
        if (v.is_missing()) return missing();
        return Value::of_boolean(context_.facts != nullptr &&
                                 context_.facts->has_label(node.a, v, context_.now, node.flag));
      }
      case NodeOp::switch_: return Value::of_boolean(codes_.switches[node.a]);
      case NodeOp::in_rollout: return Value::of_boolean(in_rollout(node.value.text(), settled(child(node, 0)), node.a));
      case NodeOp::choose: return child(node, is_true(child(node, 0)) ? 1 : 2);
      case NodeOp::in_range: {
        const Value v = child(node, 0);
        const Value low = compare(Comparison::greater_equal, v, child(node, 1));
        const Value high = compare(node.flag ? Comparison::less : Comparison::less_equal, v, child(node, 2));
        if ((!low.is_missing() && !low.boolean()) || (!high.is_missing() && !high.boolean()))
          return Value::of_boolean(false);
        if (low.is_missing() || high.is_missing()) return missing();
        return Value::of_boolean(true);
      }
      case NodeOp::is_missing: return Value::of_boolean(child(node, 0).is_missing());
      case NodeOp::contains:
      case NodeOp::starts_with:
      case NodeOp::ends_with: return text_test(node);
      case NodeOp::text_match: {
        const Value v = child(node, 0);
        if (v.kind != Kind::text || context_.texts == nullptr) return missing();
        const std::optional<bool> found = node.b == 0 ? context_.texts->matches(node.a, v.text())
                                                      : context_.texts->matches(node.b - 1, node.c, v.text());
        return found ? Value::of_boolean(*found) : missing();
      }
      case NodeOp::add:
      case NodeOp::subtract:
      case NodeOp::multiply:
      case NodeOp::divide:
      case NodeOp::remainder: {
        const Value a = settled(child(node, 0));
        return arithmetic(node.op, a, settled(child(node, 1)));
      }
      case NodeOp::negate: {
        const Value v = settled(child(node, 0));
        if (v.kind == Kind::number) return number_or_missing(negate(v.number()));
        if (v.kind == Kind::money) return money_or_missing(negate(v.number()), v.currency);
        if (v.kind == Kind::duration && v.duration().us != INT64_MIN) return Value::of_duration({-v.duration().us});
        return missing();
      }
      case NodeOp::coalesce: {
        const Value v = child(node, 0);
        return v.is_missing() ? child(node, 1) : v;
      }
      case NodeOp::money_as: {
        const Value v = settled(child(node, 0));
        if (v.kind != Kind::money) return missing();
        if (v.currency == node.currency) return v;
        if (node.b == 0 || node.b > context_.tables.size()) return missing();
        const auto moment = node.a == no_code ? moment_now() : moment_of_field(codes_.nodes[node.a]);
        if (!moment) return missing();
        return money_or_missing(converted(v.number(), v.currency, node.currency, context_.tables[node.b - 1], *moment),
                                node.currency);
      }
      case NodeOp::table_column: return look_up(node);
      case NodeOp::function: return function(node);
      case NodeOp::ip_flag: {
        const Value ip = settled(child(node, 0));
        const auto moment = moment_now();
        if (ip.is_missing() || !moment) return missing();
        if (node.a == 0 || node.a > context_.tables.size()) return Value::of_boolean(false);
        const Value words = context_.tables[node.a - 1].find({&ip, 1}, node.b, *moment);
        return Value::of_boolean(words.kind == Kind::text && has_word(words.text(), child(node, 1).text()));
      }
      case NodeOp::score: return context_.score;
      case NodeOp::any_rule_decides: return Value::of_boolean((context_.actions_decided >> node.a & 1U) != 0);
      case NodeOp::any_rule_tagged:
        return Value::of_boolean(std::find(context_.tags_fired.begin(), context_.tags_fired.end(), node.value.text()) !=
                                 context_.tags_fired.end());
    }
    return missing();
  }

  Value child(const Node& node, std::uint32_t i) { return run(codes_.children[node.first_child + i]); }
  static Value found(const Value* v) { return v == nullptr ? missing() : *v; }

  /// Kleene: `decisive` (true for or, false for and) wins at once; unknown remains unless it does.
  Value chain(const Node& node, bool decisive) {
    bool unknown = false;
    for (std::uint32_t i = 0; i < node.child_count; ++i) {
      const Value v = child(node, i);
      if (v.kind != Kind::boolean) {
        unknown = true;
      } else if (v.boolean() == decisive) {
        if constexpr (told) {
          while (++i < node.child_count) child(node, i);
        }
        return Value::of_boolean(decisive);
      }
    }
    return unknown ? missing() : Value::of_boolean(!decisive);
  }

  Value late_read(const Node& node) {
    Value key[9];
    TOCSIN_CHECK(node.child_count <= std::size(key), node.child_count);
    for (std::uint32_t i = 0; i < node.child_count; ++i) {
      key[i] = settled(child(node, i));
      if (key[i].is_missing()) return missing();
    }
    if (!node.flag) return context_.reader->read(node.a, {key, node.child_count}, nullptr);
    return context_.reader->read(node.a, {key + 1, node.child_count - 1}, key);
  }

  Value some(const Node& node) {
    bool unknown = false;
    const event::Event* outer = context_.member;
    for (const event::Event* member : context_.places[node.a]) {
      context_.member = member;
      const Value v = child(node, 0);
      if (is_true(v)) {
        context_.member = outer;
        return v;
      }
      unknown = unknown || v.kind != Kind::boolean;
    }
    context_.member = outer;
    return unknown ? missing() : Value::of_boolean(false);
  }

  Value group_aggregate(const Node& node) {
    const auto function = static_cast<GroupFunction>(node.b);
    const event::Event* outer = context_.member;
    std::vector<Value> values;
    for (const event::Event* member : context_.places[node.a]) {
      context_.member = member;
      const Value v = settled(child(node, 0));
      if (!v.is_missing()) values.push_back(v);
    }
    context_.member = outer;
    if (node.flag) {
      for (std::size_t i = 0; i + 1 < values.size(); ++i)
        values[i] = Value::of_duration(values[i + 1].time() - values[i].time());
      if (!values.empty()) values.pop_back();
    }
    switch (function) {
      case GroupFunction::count: return Value::of_integer(static_cast<std::int64_t>(values.size()));
      case GroupFunction::first: return values.empty() ? missing() : values.front();
      case GroupFunction::last: return values.empty() ? missing() : values.back();
      case GroupFunction::distinct: {
        std::size_t distinct = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const auto end = values.begin() + static_cast<std::ptrdiff_t>(i);
          if (std::none_of(values.begin(), end, [&](const Value& v) { return event::same(v, values[i]); })) ++distinct;
        }
        return Value::of_integer(static_cast<std::int64_t>(distinct));
      }
      case GroupFunction::min:
      case GroupFunction::max: {
        Value best = missing();
        for (const Value& v : values) {
          const std::optional<int> sign = best.is_missing() ? std::nullopt : event::order_of(v, best);
          if (best.is_missing() || (sign && (function == GroupFunction::min ? *sign < 0 : *sign > 0))) best = v;
        }
        return best;
      }
      case GroupFunction::sum:
      case GroupFunction::avg: {
        if (values.empty()) {
          if (function == GroupFunction::avg) return missing();
          if (node.flag) return Value::of_duration({0});
          return node.currency.code != 0 ? Value::of_money({}, node.currency) : Value::of_integer(0);
        }
        Value total = values.front();
        for (std::size_t i = 1; i < values.size(); ++i) total = arithmetic(NodeOp::add, total, values[i]);
        if (function == GroupFunction::sum || total.is_missing()) return total;
        return arithmetic(NodeOp::divide, total, Value::of_integer(static_cast<std::int64_t>(values.size())));
      }
      case GroupFunction::variance:
      case GroupFunction::stddev:
      case GroupFunction::cv: {
        Moments moments;
        for (const Value& v : values) {
          if (v.currency != values.front().currency) return missing();
          moments.add(units_of(v));
        }
        if (function == GroupFunction::stddev) return of_units(moments.stddev(), values);
        const auto e9 = function == GroupFunction::cv ? moments.cv_e9() : moments.variance_e9();
        return e9 ? Value::of_number({*e9}) : missing();
      }
      case GroupFunction::percentile: {
        if (values.empty()) return missing();
        const auto rank = nearest_rank(static_cast<std::uint64_t>(node.value.number().units), values.size());
        const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
        for (const Value& v : values) {
          if (v.currency != values.front().currency) return missing();
        }
        std::nth_element(values.begin(), at, values.end(),
                         [](const Value& x, const Value& y) { return units_of(x) < units_of(y); });
        return *at;
      }
      case GroupFunction::entropy: {
        if (values.empty()) return missing();
        Int128 weight = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const auto same_as_this = [&](const Value& v) { return event::same(v, values[i]); };
          const auto here = values.begin() + static_cast<std::ptrdiff_t>(i);
          if (std::any_of(values.begin(), here, same_as_this)) continue;
          weight += n_log2_n(static_cast<std::uint64_t>(std::count_if(here, values.end(), same_as_this)));
        }
        return Value::of_number({entropy_e9(values.size(), weight)});
      }
    }
    return missing();
  }

  std::optional<Timestamp> moment_now() const {
    if (context_.moment) return context_.moment;
    return context_.subject != nullptr ? std::optional(context_.subject->time) : std::nullopt;
  }

  std::optional<Timestamp> moment_of_field(const Node& node) const {
    const event::Event* e = context_.subject;
    if (node.op == NodeOp::member_field) e = context_.member;
    if (node.op == NodeOp::place_field || node.op == NodeOp::group_first || node.op == NodeOp::group_last) {
      const auto& bound = context_.places[node.a];
      e = bound.empty() ? nullptr : node.op == NodeOp::group_last ? bound.back() : bound.front();
    }
    return e != nullptr ? std::optional(e->time) : std::nullopt;
  }

  Value function(const Node& node) {
    constexpr std::size_t few = 8;
    std::array<Value, few> values;
    std::vector<Value> many;  // least and greatest of more than eight
    std::span<Value> arguments(values.data(), std::min<std::size_t>(node.child_count, few));
    if (node.child_count > few) {
      many.resize(node.child_count);
      arguments = many;
    }
    for (std::uint32_t i = 0; i < node.child_count; ++i) arguments[i] = settled(child(node, i));
    return call(static_cast<event::Function>(node.a), arguments, context_.arena);
  }

  Value look_up(const Node& node) {
    const auto moment = moment_now();
    if (!moment || node.a >= context_.tables.size()) return missing();
    constexpr std::size_t few = 4;  // keys of more parts are rare, and may allocate
    std::array<Value, few> parts;
    std::vector<Value> many;
    std::span<Value> key(parts.data(), std::min<std::size_t>(node.child_count, few));
    if (node.child_count > few) {
      many.resize(node.child_count);
      key = many;
    }
    for (std::uint32_t i = 0; i < node.child_count; ++i) key[i] = settled(child(node, i));
    return context_.tables[node.a].find(key, node.b, *moment);
  }

  static Int128 units_of(const Value& v) {
    return v.kind == Kind::duration || v.kind == Kind::time ? Int128{static_cast<std::int64_t>(v.low)}
                                                            : v.number().units;
  }
  /// A result in the units of the values.
  static Value of_units(std::optional<Int128> units, const std::vector<Value>& values) {
    if (!units || values.empty()) return missing();
    if (values.front().kind == Kind::money) return Value::of_money({*units}, values.front().currency);
    if (values.front().kind == Kind::duration) return Value::of_duration({static_cast<std::int64_t>(*units)});
    return Value::of_number({*units});
  }

  Value in_values(const Node& node) {
    const Value v = settled(child(node, 0));
    if (v.is_missing()) return missing();
    if (v.kind == Kind::ip) {
      for (std::uint32_t i = node.a; i < node.a + node.b; ++i) {
        if (codes_.networks[i].contains(v)) return Value::of_boolean(true);
      }
    }
    bool unknown = false;
    for (std::uint32_t i = 1; i < node.child_count; ++i) {
      const Value element = settled(child(node, i));
      if (element.is_missing()) {
        unknown = true;
      } else if (event::same(v, element)) {
        return Value::of_boolean(true);
      }
    }
    return unknown ? missing() : Value::of_boolean(false);
  }

  Value in_group(const Node& node) {
    const Value v = settled(child(node, 0));
    if (v.is_missing()) return missing();
    bool unknown = false;
    for (const event::Event* member : context_.places[node.a]) {
      const Value element = found(field_of(codes_, node.b, node.c, *member));
      if (element.is_missing()) {
        unknown = true;
      } else if (event::same(v, element)) {
        return Value::of_boolean(true);
      }
    }
    return unknown ? missing() : Value::of_boolean(false);
  }

  Value text_test(const Node& node) {
    const Value a = child(node, 0);
    const Value b = child(node, 1);
    if (a.kind != Kind::text || b.kind != Kind::text) return missing();
    if (node.op == NodeOp::contains) return Value::of_boolean(a.text().find(b.text()) != std::string_view::npos);
    if (node.op == NodeOp::starts_with) return Value::of_boolean(a.text().starts_with(b.text()));
    return Value::of_boolean(a.text().ends_with(b.text()));
  }

  const Codes& codes_;
  Context& context_;
  EvaluationSink* sink_;
};

}  // namespace

nfa::Value compared_value(const Value& value) {
  const auto digest = [](std::string_view bytes) {
    const Digest d = hash128(bytes);
    const auto bits = static_cast<unsigned __int128>(d.high) << 64U | d.low;
    // The one that says "missing" is given up.
    return std::max(static_cast<nfa::Value>(bits), nfa::missing_value + 1);
  };
  switch (value.kind) {
    case Kind::missing:
    case Kind::geo: return nfa::missing_value;
    case Kind::boolean:
    case Kind::enumeration:
    case Kind::time:
    case Kind::duration: return static_cast<std::int64_t>(value.low);
    case Kind::number:
    case Kind::money: return value.number().units;
    case Kind::text: return digest(value.text());
    case Kind::ip: {
      const std::uint64_t halves[] = {value.high, value.low};
      return digest({reinterpret_cast<const char*>(halves), sizeof halves});
    }
  }
  return nfa::missing_value;
}

Value compare(Comparison comparison, const Value& a, const Value& b) {
  if (a.is_missing() || b.is_missing()) return {};
  if (a.bound != Bound::exact || b.bound != Bound::exact) [[unlikely]] {
    if (a.bound != Bound::exact && b.bound != Bound::exact) return {};
    return a.bound != Bound::exact ? compare_bounded(comparison, a, b) : compare_bounded(mirrored(comparison), b, a);
  }
  if (comparison == Comparison::equal || comparison == Comparison::not_equal) {
    if (a.kind != b.kind || (a.kind == Kind::money && a.currency != b.currency)) return {};
    return Value::of_boolean(event::same(a, b) == (comparison == Comparison::equal));
  }
  const std::optional<int> sign = event::order_of(a, b);
  return sign ? Value::of_boolean(holds(comparison, *sign)) : Value{};
}

bool in_rollout(std::string_view rule, const Value& value, std::uint32_t share) {
  if (value.is_missing()) return false;
  std::uint64_t hash = 14695981039346656037ULL;
  const auto take = [&hash](std::string_view bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  };
  take(rule);
  take(":");
  if (value.kind == Kind::text) {
    take(value.text());
  } else if (value.kind == Kind::ip) {
    take(event::ip_text(value));
  } else {
    // Keys of other kinds: the number as it is written.
    take(to_text(value.number()));
  }
  return hash % 10'000 < share;
}

Value evaluate(const Codes& codes, CodeId code, Context& context) {
  return Evaluation<false>(codes, context).run(code);
}

Value evaluate(const Codes& codes, CodeId code, Context& context, EvaluationSink& sink) {
  return Evaluation<true>(codes, context, &sink).run(code);
}

std::vector<Value> group_values(const Codes& codes, CodeId code, Context& context) {
  const Node& node = codes.nodes[code];
  std::vector<Value> values;
  for (const event::Event* member : context.places[node.a]) {
    const Value* v = field_of(codes, node.b, node.c, *member);
    values.push_back(v == nullptr ? Value{} : *v);
  }
  return values;
}

namespace {

/// A field as a node reads it.
struct FieldRead {
  FieldOf field;
  const Value* value = nullptr;  // nullptr: the event is not there (an empty optional step)
};

/// Nothing: the event is of a type without the field.
std::optional<FieldRead> read_among(const Codes& codes, std::uint32_t first, std::uint32_t count,
                                    const event::Event* e) {
  for (std::uint32_t i = first; i < first + count; ++i) {
    const FieldOf& ref = codes.field_refs[i];
    if (e == nullptr) return FieldRead{ref, nullptr};
    if (ref.event == e->type) return FieldRead{ref, &e->values[ref.field]};
  }
  return std::nullopt;
}

/// What the node reads when it is a field of one event.
std::optional<FieldRead> field_read(const Codes& codes, const Node& node, const Context& context) {
  switch (node.op) {
    case NodeOp::field:
      if (node.flag) return read_among(codes, node.a, node.b, context.subject);
      return FieldRead{{context.subject->type, static_cast<event::FieldIndex>(node.a)},
                       &context.subject->values[node.a]};
    case NodeOp::member_field: return read_among(codes, node.b, node.c, context.member);
    case NodeOp::place_field:
    case NodeOp::group_first:
    case NodeOp::group_last: {
      const std::span<const event::Event* const> bound = context.places[node.a];
      const event::Event* e = nullptr;
      if (!bound.empty()) e = node.op == NodeOp::group_last ? bound.back() : bound.front();
      return read_among(codes, node.b, node.c, e);
    }
    default: return std::nullopt;
  }
}

bool is_missing(const FieldRead& read) { return read.value == nullptr || read.value->is_missing(); }

}  // namespace

std::optional<FieldOf> first_missing_field(const Codes& codes, CodeId code, const Context& context) {
  const Node& node = codes.nodes[code];
  if (const auto read = field_read(codes, node, context)) {
    return is_missing(*read) ? std::optional(read->field) : std::nullopt;
  }
  switch (node.op) {
    case NodeOp::is_missing:
    case NodeOp::coalesce:
    case NodeOp::group_aggregate: return std::nullopt;  // a member without the field is passed over
    case NodeOp::some: {
      Context inner = context;
      for (const event::Event* member : context.places[node.a]) {
        inner.member = member;
        if (const auto field = first_missing_field(codes, codes.children[node.first_child], inner)) return field;
      }
      return std::nullopt;
    }
    case NodeOp::in_group:
      if (const auto field = first_missing_field(codes, codes.children[node.first_child], context)) return field;
      for (const event::Event* member : context.places[node.a]) {
        const auto read = read_among(codes, node.b, node.c, member);
        if (read && is_missing(*read)) return read->field;
      }
      return std::nullopt;
    case NodeOp::money_as: {
      // An amount of a currency that has no rate is there, and unknown all the same.
      const auto amount = field_read(codes, codes.nodes[codes.children[node.first_child]], context);
      if (amount && (is_missing(*amount) || amount->value->currency != node.currency)) return amount->field;
      break;
    }
    default: break;
  }
  for (std::uint32_t i = 0; i < node.child_count; ++i) {
    if (const auto field = first_missing_field(codes, codes.children[node.first_child + i], context)) return field;
  }
  return std::nullopt;
}

}  // namespace tocsin::engine
