#include "tests/reference/windows.h"

#include <algorithm>
#include <cmath>

namespace tocsin::tests {

using event::Bound;
using event::Currency;
using event::Kind;
using event::TypeKind;
using event::Value;
using state::Column;
using state::Function;
using state::Moment;
using state::Reach;
using state::Window;

namespace {

/// Long division in halves of 256 bits would do; for the small numbers of these tests long double is exact enough to say which
/// whole number is meant, and the neighbours settle it.
Int128 root_of_quotient(Int128 square, Int128 divisor) {
  // The root of square / divisor^2, rounded half to even: the q with (2q-1)^2 d^2 <= 4s <= (2q+1)^2 d^2.
  auto q = static_cast<Int128>(std::sqrt(static_cast<long double>(square)) / static_cast<long double>(divisor));
  q = q > 2 ? q - 2 : 0;
  const auto above = [&](Int128 x) { return (2 * x + 1) * (2 * x + 1) * divisor * divisor; };
  while (above(q) < 4 * square || (above(q) == 4 * square && q % 2 != 0)) ++q;
  return q;
}

}  // namespace

Value recount(const event::Type& type, const std::vector<Fact>& facts, const Window& window,
              const Column::Question& question) {
  const Moment at = question.at;
  std::vector<Fact> inside;
  std::vector<Fact> known = facts;
  std::stable_sort(known.begin(), known.end(), [](const Fact& a, const Fact& b) { return a.at < b.at; });
  Timestamp begin = at.time;
  bool since_mark = false;
  switch (window.reach) {
    case Reach::last:
    case Reach::since: begin = {at.time.us - window.length.us + 1}; break;
    case Reach::before: begin = {at.time.us - window.gap.us - window.length.us}; break;
    case Reach::calendar: begin = window.zone->start_of(window.unit, at.time); break;
  }
  std::int64_t all = 0;
  for (const Fact& fact : known) {
    if (fact.at.time < begin) continue;
    const bool own = fact.at.release == at.release && !question.deadline;
    if (fact.at.release > at.release) continue;
    switch (window.reach) {
      case Reach::before:
        if (own || (window.gap.us == 0 ? fact.at.time > at.time : fact.at.time.us >= at.time.us - window.gap.us))
          continue;
        break;
      case Reach::last:
      case Reach::calendar:
      case Reach::since:
        if (fact.at.time > at.time) continue;
        break;
    }
    if (fact.mark) {
      if (own) continue;
      since_mark = true;
      all = 0;
      inside.clear();
      continue;
    }
    ++all;
    if (!fact.value.is_missing()) inside.push_back(fact);
  }
  bool mixed = false;
  for (const Fact& fact : inside) mixed = mixed || fact.value.currency != inside[0].value.currency;
  Currency currency = type.currency;
  if (type.kind == TypeKind::money && !inside.empty()) currency = inside[0].value.currency;
  const Value first = inside.empty() ? Value{} : inside.front().value;
  const Value last = inside.empty() ? Value{} : inside.back().value;
  TypeKind kind = type.kind;
  if (window.gaps) {
    kind = TypeKind::duration;
    for (std::size_t i = 0; i + 1 < inside.size(); ++i) {
      inside[i].value = Value::of_duration(inside[i + 1].value.time() - inside[i].value.time());
    }
    if (!inside.empty()) inside.pop_back();
  }
  const auto of_units = [&](Int128 units) {
    if (kind == TypeKind::money) return currency.code == 0 ? Value{} : Value::of_money({units}, currency);
    if (kind == TypeKind::duration) return Value::of_duration({static_cast<std::int64_t>(units)});
    const bool number = kind == TypeKind::decimal || kind == TypeKind::integer;
    return number ? Value::of_number({units}) : Value{};
  };
  const auto units_of = [&](const Value& v) {
    if (v.kind == Kind::time) return Int128{v.time().us};
    return v.kind == Kind::duration ? Int128{v.duration().us} : v.number().units;
  };
  Int128 sum = 0;
  for (const Fact& fact : inside) sum += units_of(fact.value);
  const auto n = static_cast<std::int64_t>(inside.size());
  std::vector<std::pair<Value, std::int64_t>> different;
  const bool by_value = window.function == Function::distinct || window.function == Function::entropy;
  for (const Fact& fact : inside) {
    if (!by_value) break;
    const auto at_value = std::find_if(different.begin(), different.end(),
                                       [&](const auto& pair) { return same(pair.first, fact.value); });
    if (at_value == different.end()) {
      different.emplace_back(fact.value, 1);
    } else {
      ++at_value->second;
    }
  }
  Int128 spread = 0;  // n^2 * variance: the sum over all pairs of the squared difference, each pair once
  const bool spreads =
      window.function == Function::variance || window.function == Function::stddev || window.function == Function::cv;
  for (std::size_t i = 0; i < inside.size() && spreads; ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const Int128 d = units_of(inside[i].value) - units_of(inside[k].value);
      spread += d * d;
    }
  }

  const bool warming = begin < question.data_begins && !since_mark;
  Value out;
  switch (window.function) {
    case Function::count: out = Value::of_integer(all); break;
    case Function::distinct: out = Value::of_integer(static_cast<std::int64_t>(different.size())); break;
    case Function::sum:
      if (!mixed) out = of_units(sum);
      break;
    case Function::avg:
      if (!mixed && n != 0) out = of_units(divide({sum}, Decimal::from_integer(n))->units);
      break;
    case Function::first: out = first; break;
    case Function::last: out = last; break;
    case Function::min:
    case Function::max:
      if (mixed || type.kind == TypeKind::geo) break;
      for (const Fact& fact : inside) {
        const auto order = out.is_missing() ? std::optional<int>() : event::order_of(fact.value, out);
        if (!order || (window.function == Function::min ? *order < 0 : *order > 0)) out = fact.value;
      }
      break;
    case Function::variance:
      if (!mixed && n != 0) out = Value::of_number(*divide({spread}, {Int128{n} * n * Decimal::one * Decimal::one}));
      break;
    case Function::stddev:
      if (!mixed && n != 0) out = of_units(root_of_quotient(spread, n));
      break;
    case Function::cv:
      if (!mixed && n != 0 && sum != 0) {
        // Their unit is taken out first, so that 128 bits are enough here.
        const Int128 unit = kind == TypeKind::integer   ? Int128{Decimal::one}
                            : kind == TypeKind::decimal ? Int128{Decimal::one / 1000}  // thousandths are drawn
                                                        : Int128{1};
        const Int128 ratio =
            root_of_quotient(spread / unit / unit * Decimal::one * Decimal::one, (sum < 0 ? -sum : sum) / unit);
        out = Value::of_number({sum < 0 ? -ratio : ratio});
      }
      break;
    case Function::percentile:
      if (!mixed && n != 0) {
        std::vector<Int128> sorted;
        for (const Fact& fact : inside) sorted.push_back(units_of(fact.value));
        std::sort(sorted.begin(), sorted.end());
        std::size_t rank = 1;
        while (Int128{100} * Decimal::one * static_cast<Int128>(rank) <
               Int128{n} * static_cast<Int128>(window.percent_e9))
          ++rank;
        out = kind == TypeKind::time ? Value::of_time({static_cast<std::int64_t>(sorted[rank - 1])})
                                     : of_units(sorted[rank - 1]);
      }
      break;
    case Function::entropy:
      if (n != 0) {
        long double bits = 0;
        for (const auto& [value, times] : different) {
          const long double share = static_cast<long double>(times) / static_cast<long double>(n);
          bits -= share * std::log2(share);
        }
        out = Value::of_number({static_cast<Int128>(std::llrint(bits * 1e9L))});
      }
      break;
    case Function::holds: {
      const Value probe = question.probe == nullptr ? Value{} : *question.probe;
      out = Value::of_boolean(
          std::any_of(inside.begin(), inside.end(), [&](const Fact& f) { return same(f.value, probe); }));
      break;
    }
  }
  if (!warming || out.is_missing()) return out;
  // W11 by its definition: events before the data are more events, and what may be said is what stays so with more of them.
  const std::vector<Function> never_less = {Function::count, Function::distinct, Function::max};
  const auto is_one_of = [&](const std::vector<Function>& some) {
    return std::find(some.begin(), some.end(), window.function) != some.end();
  };
  if (is_one_of(never_less)) out.bound = Bound::at_least;
  if (window.function == Function::min) out.bound = Bound::at_most;
  const bool stays_in = window.function == Function::holds && out.boolean();
  return out.bound != Bound::exact || stays_in ? out : Value{};
}

}  // namespace tocsin::tests
