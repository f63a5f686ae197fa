#include "engine/compile/index.h"

#include <algorithm>
#include <bit>

#include "engine/compile/plan.h"

namespace tocsin::engine {

using dsl::Expr;
using dsl::Op;
using event::TypeKind;

namespace {

/// `field op constants`, taken from one conjunct.
struct FieldCondition {
  FieldIndexRows::Kind kind = FieldIndexRows::Kind::enumeration;
  event::FieldIndex field = 0;
  event::Currency currency;
  Op op = Op::equal;  // comparison, in_values, in_range
  bool half_open = false;
  bool negated = false;
  std::vector<Int128> numbers;  // enumeration (index) and ordered
  std::vector<std::string> texts;
};

std::optional<event::FieldIndex> field_of(const Expr& expr, event::EventTypeId type) {
  if (expr.op != Op::field) return std::nullopt;
  for (const dsl::FieldRef& ref : expr.fields) {
    if (ref.event == type) return ref.field;
  }
  return std::nullopt;
}

bool is_comparison(Op op) { return op >= Op::equal && op <= Op::greater_equal; }

/// The number a constant is ordered by; nothing for kinds that are not indexed.
std::optional<Int128> ordered_number(const event::Value& v) {
  switch (v.kind) {
    case event::Kind::number:
    case event::Kind::money: return v.number().units;
    case event::Kind::time:
    case event::Kind::duration: return static_cast<Int128>(static_cast<std::int64_t>(v.low));
    default: return std::nullopt;
  }
}

/// What the rows can answer of this conjunct; nothing when it must be asked as it is.
std::optional<FieldCondition> indexable(const Expr& expr, event::EventTypeId type, const event::Schema& schema) {
  FieldCondition c;
  const Expr* subject = nullptr;
  std::vector<const Expr*> constants;
  if (expr.op == Op::not_ && expr.args.size() == 1) {
    auto inner = indexable(expr.args[0], type, schema);
    if (inner) inner->negated = !inner->negated;
    return inner;
  }
  if (expr.op == Op::field && expr.type.kind == TypeKind::boolean) {
    const auto field = field_of(expr, type);
    if (!field) return std::nullopt;
    c.field = *field;
    c.numbers = {1};
    return c;
  }
  if (is_comparison(expr.op)) {
    const bool constant_last = expr.args[1].op == Op::constant;
    subject = &expr.args[constant_last ? 0 : 1];
    constants = {&expr.args[constant_last ? 1 : 0]};
    c.op = constant_last ? expr.op : dsl::mirrored(expr.op);
  } else if (expr.op == Op::in_range || (expr.op == Op::in_values && expr.networks.empty())) {
    subject = &expr.args[0];
    for (std::size_t i = 1; i < expr.args.size(); ++i) constants.push_back(&expr.args[i]);
    c.op = expr.op;
    c.half_open = expr.flag;
  } else {
    return std::nullopt;
  }
  if (constants.empty() || std::any_of(constants.begin(), constants.end(), [](const Expr* e) {
        return e->op != Op::constant || e->value.is_missing() || e->value.bound != event::Bound::exact;
      })) {
    return std::nullopt;
  }
  event::Currency currency;
  if (subject->op == Op::money_as) {
    currency = subject->currency;
    subject = &subject->args[0];
  }
  const auto field = field_of(*subject, type);
  if (!field) return std::nullopt;
  c.field = *field;
  switch (schema.events[type].fields[*field].type.kind) {
    case TypeKind::enumeration:
    case TypeKind::boolean:
      if (c.op != Op::equal && c.op != Op::not_equal && c.op != Op::in_values) return std::nullopt;
      for (const Expr* e : constants) {
        if (e->value.kind != event::Kind::enumeration && e->value.kind != event::Kind::boolean) return std::nullopt;
        c.numbers.push_back(static_cast<Int128>(e->value.low));
      }
      return c;
    case TypeKind::text:
    case TypeKind::entity:
      if (c.op != Op::equal && c.op != Op::not_equal && c.op != Op::in_values) return std::nullopt;
      c.kind = FieldIndexRows::Kind::text;
      for (const Expr* e : constants) {
        if (e->value.kind != event::Kind::text) return std::nullopt;
        c.texts.emplace_back(e->value.text());
      }
      return c;
    case TypeKind::integer:
    case TypeKind::decimal:
    case TypeKind::time:
    case TypeKind::duration:
    case TypeKind::money:
      c.kind = FieldIndexRows::Kind::ordered;
      for (const Expr* e : constants) {
        const auto number = ordered_number(e->value);
        if (!number) return std::nullopt;
        if (e->value.kind == event::Kind::money) {
          if (currency.code != 0 && currency != e->value.currency) return std::nullopt;
          currency = e->value.currency;
        }
        c.numbers.push_back(*number);
      }
      c.currency = currency;
      return c;
    case TypeKind::ip:
    case TypeKind::cidr:
    case TypeKind::geo: return std::nullopt;
  }
  return std::nullopt;
}

bool holds(Op op, int sign) {
  switch (op) {
    case Op::equal: return sign == 0;
    case Op::not_equal: return sign != 0;
    case Op::less: return sign < 0;
    case Op::less_equal: return sign <= 0;
    case Op::greater: return sign > 0;
    case Op::greater_equal: return sign >= 0;
    default: return false;
  }
}

/// Rows of the condition's numbers in an ordered field: row 2i+1 is the bound i, row 2i what lies below it.
std::vector<std::size_t> places_of(const FieldCondition& c, const FieldIndexRows& rows) {
  std::vector<std::size_t> places;
  if (c.kind != FieldIndexRows::Kind::ordered) return places;
  for (const Int128 number : c.numbers) {
    const auto bound = std::lower_bound(rows.bounds.begin(), rows.bounds.end(), number);
    places.push_back(2 * static_cast<std::size_t>(bound - rows.bounds.begin()) + 1);
  }
  return places;
}

/// Whether values of class `row` satisfy the condition, whose numbers have these places.
bool satisfied(const FieldCondition& c, const FieldIndexRows& rows, const std::vector<std::size_t>& places,
               std::size_t row) {
  bool yes = false;
  if (c.kind == FieldIndexRows::Kind::ordered) {
    const auto sign_to = [row](std::size_t place) { return row < place ? -1 : row > place ? 1 : 0; };
    if (c.op == Op::in_range) {
      yes = sign_to(places[0]) >= 0 && (c.half_open ? sign_to(places[1]) < 0 : sign_to(places[1]) <= 0);
    } else if (c.op == Op::in_values) {
      yes = std::find(places.begin(), places.end(), row) != places.end();
    } else {
      yes = holds(c.op, sign_to(places[0]));
    }
  } else if (c.kind == FieldIndexRows::Kind::text) {
    const bool found =
        row < rows.texts.size() && std::find(c.texts.begin(), c.texts.end(), rows.texts[row]) != c.texts.end();
    yes = c.op == Op::not_equal ? !found : found;
  } else {
    const bool found = std::find(c.numbers.begin(), c.numbers.end(), static_cast<Int128>(row)) != c.numbers.end();
    yes = c.op == Op::not_equal ? !found : found;
  }
  return yes != c.negated;
}

}  // namespace

namespace {

/// Fewer than this are set one by one: a copy is looked at for every event, an entry only if it survives.
constexpr int copied_together = 8;

std::vector<PredicateTable::Copy> copies_of(const std::vector<PredicateTable::Entry>& entries) {
  std::vector<PredicateTable::Copy> copies;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].rest != no_code) continue;
    const auto id = static_cast<std::size_t>(entries[i].id);
    const PredicateTable::Copy here{static_cast<std::uint32_t>(i / 64), static_cast<std::uint32_t>(id / 64),
                                    std::uint64_t{1} << (i % 64), static_cast<int>(id % 64) - static_cast<int>(i % 64)};
    const auto same = std::find_if(copies.rbegin(), copies.rend(), [&](const PredicateTable::Copy& c) {
      return c.from != here.from || (c.to == here.to && c.rotate == here.rotate);
    });
    if (same != copies.rend() && same->from == here.from) {
      same->mask |= here.mask;
    } else {
      copies.push_back(here);
    }
  }
  std::erase_if(copies, [](const PredicateTable::Copy& c) { return std::popcount(c.mask) < copied_together; });
  return copies;
}

}  // namespace

PredicateTable build_predicates(const std::vector<IndexedPredicate>& predicates, event::EventTypeId type,
                                const event::Schema& schema, ExprBuilder& builder) {
  PredicateTable table;
  table.words = (predicates.size() + 63) / 64;
  std::vector<std::vector<FieldCondition>> conditions(predicates.size());
  for (std::size_t p = 0; p < predicates.size(); ++p) {
    PredicateTable::Entry entry;
    entry.id = predicates[p].id;
    std::vector<Expr> conjuncts;
    split_conjuncts(predicates[p].condition, conjuncts);
    std::vector<Expr> rest;
    for (Expr& conjunct : conjuncts) {
      if (auto c = indexable(conjunct, type, schema)) {
        conditions[p].push_back(std::move(*c));
      } else {
        rest.push_back(std::move(conjunct));
      }
    }
    const Expr remaining = conjunction(std::move(rest));
    if (remaining.op != Op::constant || !is_true(remaining.value)) entry.rest = builder.build(remaining);
    entry.whole = builder.build(predicates[p].condition);
    table.entries.push_back(entry);
  }

  table.copies = copies_of(table.entries);

  const auto rows_for = [&](const FieldCondition& c) -> FieldIndexRows& {
    for (FieldIndexRows& rows : table.fields) {
      if (rows.field == c.field && rows.kind == c.kind && rows.currency == c.currency) return rows;
    }
    FieldIndexRows rows;
    rows.kind = c.kind;
    rows.field = c.field;
    rows.currency = c.currency;
    rows.mentioned.assign(table.words, 0);
    table.fields.push_back(std::move(rows));
    return table.fields.back();
  };
  for (std::size_t p = 0; p < predicates.size(); ++p) {
    for (const FieldCondition& c : conditions[p]) {
      FieldIndexRows& rows = rows_for(c);
      rows.mentioned[p / 64] |= std::uint64_t{1} << (p % 64);
      if (c.kind == FieldIndexRows::Kind::ordered)
        rows.bounds.insert(rows.bounds.end(), c.numbers.begin(), c.numbers.end());
      if (c.kind == FieldIndexRows::Kind::text) rows.texts.insert(rows.texts.end(), c.texts.begin(), c.texts.end());
    }
  }
  for (FieldIndexRows& rows : table.fields) {
    std::sort(rows.bounds.begin(), rows.bounds.end());
    rows.bounds.erase(std::unique(rows.bounds.begin(), rows.bounds.end()), rows.bounds.end());
    std::sort(rows.texts.begin(), rows.texts.end());
    rows.texts.erase(std::unique(rows.texts.begin(), rows.texts.end()), rows.texts.end());
    if (rows.kind == FieldIndexRows::Kind::text) index_texts(rows);
    const event::Type& field_type = schema.events[type].fields[rows.field].type;
    const std::size_t classes = rows.kind == FieldIndexRows::Kind::ordered ? 2 * rows.bounds.size() + 1
                                : rows.kind == FieldIndexRows::Kind::text  ? rows.texts.size() + 1
                                : field_type.kind == TypeKind::boolean
                                    ? 2
                                    : schema.enums[field_type.enumeration].values.size();
    rows.rows.assign(classes * table.words, ~std::uint64_t{0});
    for (std::size_t p = 0; p < predicates.size(); ++p) {
      for (const FieldCondition& c : conditions[p]) {
        if (c.field != rows.field || c.kind != rows.kind || c.currency != rows.currency) continue;
        const std::vector<std::size_t> places = places_of(c, rows);
        for (std::size_t row = 0; row < classes; ++row) {
          if (!satisfied(c, rows, places, row))
            rows.rows[row * table.words + p / 64] &= ~(std::uint64_t{1} << (p % 64));
        }
      }
    }
  }
  return table;
}

}  // namespace tocsin::engine
