// Windows against a recount: whatever was inserted and read before, a window answers what counting all entries anew
// says.
#include "state/column.h"

#include <algorithm>
#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace tocsin::state {
namespace {

using event::Bound;
using event::Currency;
using event::Kind;
using event::Type;
using event::TypeKind;
using event::Value;

constexpr Currency usd{100};
constexpr Currency eur{200};

struct Fact {
  Moment at;
  Value value;
};

const std::vector<std::string> words = [] {
  std::vector<std::string> out;
  for (int i = 0; i < 40; ++i)
    out.push_back((i % 2 == 0 ? "word " : "a word too long for any small buffer ") + std::to_string(i));
  return out;
}();

Value recount(const ColumnLayout& layout, const std::vector<Fact>& facts, const Window& window, Moment at,
              Timestamp data_begins) {
  const bool last = window.reach == Reach::last;
  std::vector<Fact> inside;
  std::int64_t all = 0;
  for (const Fact& fact : facts) {
    const std::int64_t age = at.time.us - fact.at.time.us;
    if (age < 0) continue;
    if (last ? age >= window.length.us : age > window.length.us) continue;
    if (last ? fact.at.release > at.release : fact.at.release >= at.release) continue;
    ++all;
    if (!fact.value.is_missing()) inside.push_back(fact);
  }
  std::stable_sort(inside.begin(), inside.end(), [](const Fact& a, const Fact& b) { return a.at < b.at; });
  bool mixed = false;
  for (const Fact& fact : inside) mixed = mixed || fact.value.currency != inside[0].value.currency;
  Currency currency = layout.type.currency;
  if (layout.type.kind == TypeKind::money && !inside.empty()) currency = inside[0].value.currency;
  const auto of_units = [&](Int128 units) {
    if (layout.type.kind == TypeKind::money) return currency.code == 0 ? Value{} : Value::of_money({units}, currency);
    if (layout.type.kind == TypeKind::duration) return Value::of_duration({static_cast<std::int64_t>(units)});
    const bool number = layout.type.kind == TypeKind::decimal || layout.type.kind == TypeKind::integer;
    return number ? Value::of_number({units}) : Value{};
  };
  const auto units_of = [&](const Value& v) {
    return v.kind == Kind::duration ? Int128{v.duration().us} : v.number().units;
  };
  Int128 sum = 0;
  for (const Fact& fact : inside) sum += units_of(fact.value);

  const bool warming = (last ? at.time.us - window.length.us + 1 : at.time.us - window.length.us) < data_begins.us;
  Value out;
  switch (window.function) {
    case Function::count: out = Value::of_integer(all); break;
    case Function::distinct: {
      std::vector<Value> different;
      for (const Fact& fact : inside) {
        const bool known =
            std::any_of(different.begin(), different.end(), [&](const Value& v) { return same(v, fact.value); });
        if (!known) different.push_back(fact.value);
      }
      out = Value::of_integer(static_cast<std::int64_t>(different.size()));
      break;
    }
    case Function::sum:
      if (!mixed) out = of_units(sum);
      break;
    case Function::avg:
      if (!mixed && !inside.empty()) {
        out = of_units(divide({sum}, Decimal::from_integer(static_cast<std::int64_t>(inside.size())))->units);
      }
      break;
    case Function::first:
      if (!inside.empty()) out = inside.front().value;
      break;
    case Function::last:
      if (!inside.empty()) out = inside.back().value;
      break;
    case Function::min:
    case Function::max:
      if (mixed || layout.type.kind == TypeKind::geo) break;
      for (const Fact& fact : inside) {
        const auto order = out.is_missing() ? std::optional<int>() : event::order_of(fact.value, out);
        if (!order || (window.function == Function::min ? *order < 0 : *order > 0)) out = fact.value;
      }
      break;
  }
  if (!warming) return out;
  switch (window.function) {
    case Function::count:
    case Function::distinct:
    case Function::max: out.bound = out.is_missing() ? Bound::exact : Bound::at_least; return out;
    case Function::min: out.bound = out.is_missing() ? Bound::exact : Bound::at_most; return out;
    case Function::sum:
    case Function::avg:
    case Function::first:
    case Function::last: return {};
  }
  return {};
}

Value random_value(const Type& type, std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  if (below(8) == 0) return {};
  switch (type.kind) {
    case TypeKind::text:
    case TypeKind::entity:
    case TypeKind::cidr: return Value::of_text(words[static_cast<std::size_t>(below(words.size()))]);
    case TypeKind::boolean: return Value::of_boolean(below(2) == 1);
    case TypeKind::integer: return Value::of_integer(below(40) - 20);
    case TypeKind::decimal: return Value::of_number({(Int128{below(1000) - 500} << 70) + below(7)});
    case TypeKind::enumeration: return Value::of_enumeration(static_cast<std::uint32_t>(below(5)));
    case TypeKind::time: return Value::of_time({below(1000)});
    case TypeKind::duration: return Value::of_duration({below(100) - 50});
    case TypeKind::ip: return Value::of_ip(static_cast<std::uint64_t>(below(3)), static_cast<std::uint64_t>(below(9)));
    case TypeKind::geo: return Value::of_geo(below(5), -below(5));
    case TypeKind::money: {
      const Currency fixed = type.currency;
      return Value::of_money({below(100'000'000'000)}, fixed.code != 0 ? fixed : (below(30) == 0 ? eur : usd));
    }
  }
  return {};
}

ColumnLayout every_window(Type type) {
  std::vector<Window> windows;
  for (const Function function : {Function::count, Function::sum, Function::avg, Function::min, Function::max,
                                  Function::distinct, Function::first, Function::last}) {
    for (const Reach reach : {Reach::last, Reach::before}) {
      for (const std::int64_t us : {1, 7, 100}) windows.push_back({function, reach, {us}});
    }
  }
  return ColumnLayout(windows, type, 1);
}

struct Trial {
  ColumnLayout layout;
  Column column;
  std::vector<Fact> facts;
  Timestamp floor = Timestamp::min();

  bool agrees(Moment at, Timestamp data_begins = Timestamp::min()) {
    if (at.time < floor) return true;
    for (std::size_t i = 0; i < layout.windows.size(); ++i) {
      const Window& window = layout.windows[i];
      const Value expected = recount(layout, facts, window, at, data_begins);
      const Value found = column.read(layout, i, at, data_begins);
      if (same(found, expected) && found.bound == expected.bound) continue;
      RC_LOG() << to_text(window.function) << ' ' << to_text(window.reach) << ' ' << window.length.us << "us at "
               << at.time.us << '/' << at.release << " kind " << static_cast<int>(layout.kind) << '\n';
      return false;
    }
    return true;
  }
};

void run_stream(const Type& type, std::uint64_t seed, int events, int late_percent, bool wild_reads) {
  std::mt19937_64 random(seed);
  const auto percent = [&](int p) { return static_cast<int>(random() % 100) < p; };
  Trial trial;
  trial.layout = every_window(type);
  std::int64_t newest = 1000;
  for (std::uint64_t release = 1; release <= static_cast<std::uint64_t>(events); ++release) {
    const bool late = percent(late_percent);
    const std::int64_t step = percent(2) ? 120 : static_cast<std::int64_t>(random() % 4);
    if (!late) newest += step;
    const Moment at{{late ? newest - static_cast<std::int64_t>(random() % 60) : newest}, release};
    if (percent(30)) RC_ASSERT(trial.agrees(at));
    const Value value = random_value(type, random);
    RC_ASSERT(trial.column.insert(trial.layout, at, value));
    trial.facts.push_back({at, value});
    if (percent(60)) RC_ASSERT(trial.agrees(at));
    if (percent(5)) RC_ASSERT(trial.agrees(at, {at.time.us - static_cast<std::int64_t>(random() % 110)}));
    if (percent(4)) {
      trial.floor = std::max(trial.floor, Timestamp{newest - static_cast<std::int64_t>(random() % 20)});
      trial.column.expire(trial.layout, trial.floor);
    }
    if (percent(4)) {
      std::string bytes;
      trial.column.encode(trial.layout, bytes);
      auto back = Column::decode(trial.layout, bytes);
      RC_ASSERT(back.ok());
      std::string again;
      back.value().encode(trial.layout, again);
      RC_ASSERT(bytes == again);
      trial.column = back.take();
    }
    if (!wild_reads) continue;
    const Fact& some = trial.facts[random() % trial.facts.size()];
    if (percent(10)) RC_ASSERT(trial.agrees(some.at));
    if (percent(10)) {
      const std::int64_t length = percent(50) ? 7 : 100;
      const std::int64_t edge = static_cast<std::int64_t>(random() % 3) - 1;
      RC_ASSERT(trial.agrees({{some.at.time.us + length + edge}, release}));
    }
  }
}

Type type_of(TypeKind kind, Currency currency = {}) {
  Type type;
  type.kind = kind;
  type.currency = currency;
  return type;
}

const std::vector<Type> all_types = {
    type_of(TypeKind::text),       type_of(TypeKind::boolean),     type_of(TypeKind::integer),
    type_of(TypeKind::decimal),    type_of(TypeKind::enumeration), type_of(TypeKind::time),
    type_of(TypeKind::duration),   type_of(TypeKind::ip),          type_of(TypeKind::geo),
    type_of(TypeKind::money, usd), type_of(TypeKind::money),
};

}  // namespace

TEST_CASE("every function and reach equals a recount") {
  CHECK(rc::check("in order",
                  [](std::uint64_t seed) { run_stream(all_types[seed % all_types.size()], seed, 150, 0, false); }));
  CHECK(rc::check("late events",
                  [](std::uint64_t seed) { run_stream(all_types[seed % all_types.size()], seed, 150, 15, false); }));
  CHECK(rc::check("late events, deadlines and reads backwards",
                  [](std::uint64_t seed) { run_stream(all_types[seed % all_types.size()], seed, 150, 10, true); }));
}

TEST_CASE("a batch may go in first and be read afterwards") {
  CHECK(rc::check("batch", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Trial trial;
    trial.layout = every_window(all_types[seed % all_types.size()]);
    Moment at{{1000}, 0};
    for (int batch = 0; batch < 4; ++batch) {
      const std::size_t from = trial.facts.size();
      for (int i = 0; i < 40; ++i) {
        at = {{at.time.us + static_cast<std::int64_t>(random() % 3)}, at.release + 1};
        trial.facts.push_back({at, random_value(trial.layout.type, random)});
        trial.column.insert(trial.layout, at, trial.facts.back().value);
      }
      for (std::size_t i = from; i < trial.facts.size(); ++i) RC_ASSERT(trial.agrees(trial.facts[i].at));
    }
  }));
}

TEST_CASE("a column of counts only keeps no arguments and counts them all") {
  const ColumnLayout layout({{Function::count, Reach::last, Duration::minutes(10)}}, {}, 0);
  CHECK(layout.payload_bytes == 0);
  Column column;
  column.insert(layout, {{0}, 1}, {});
  column.insert(layout, {{0}, 2}, Value::of_integer(7));
  CHECK(same(column.read(layout, 0, {{0}, 2}), Value::of_integer(2)));
  CHECK(same(column.read(layout, 0, {{Duration::minutes(10).us - 1}, 3}), Value::of_integer(2)));
  CHECK(same(column.read(layout, 0, {{Duration::minutes(10).us}, 3}), Value::of_integer(0)));
}

TEST_CASE("of two events at one time the second sees the first, before it") {
  const Duration w = Duration::minutes(10);
  const ColumnLayout layout({{Function::count, Reach::before, w}, {Function::count, Reach::last, w}}, {}, 0);
  Column column;
  column.insert(layout, {{5}, 1}, {});
  CHECK(same(column.read(layout, 0, {{5}, 1}), Value::of_integer(0)));
  column.insert(layout, {{5}, 2}, {});
  CHECK(same(column.read(layout, 0, {{5}, 2}), Value::of_integer(1)));
  CHECK(same(column.read(layout, 1, {{5}, 2}), Value::of_integer(2)));
  CHECK(same(column.read(layout, 0, {{5 + w.us}, 3}), Value::of_integer(2)));
  CHECK(same(column.read(layout, 1, {{5 + w.us}, 3}), Value::of_integer(0)));
}

TEST_CASE("a sum that does not fit is missing, and is exact again when it fits") {
  const ColumnLayout layout({{Function::sum, Reach::last, {10}}}, type_of(TypeKind::decimal), 0);
  const Decimal huge{static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1U)};
  Column column;
  column.insert(layout, {{0}, 1}, Value::of_number(huge));
  column.insert(layout, {{1}, 2}, Value::of_number(huge));
  CHECK(column.read(layout, 0, {{1}, 2}).is_missing());
  column.insert(layout, {{2}, 3}, Value::of_number({-huge.units}));
  CHECK(same(column.read(layout, 0, {{2}, 3}), Value::of_number(huge)));
  CHECK(same(column.read(layout, 0, {{10}, 4}), Value::of_number({0})));
}

TEST_CASE("nothing: zero of the column's currency") {
  const ColumnLayout money({{Function::sum, Reach::last, {10}}, {Function::avg, Reach::last, {10}}},
                           type_of(TypeKind::money, usd), 0);
  Column column;
  CHECK(same(column.read(money, 0, {{0}, 1}), Value::of_money({0}, usd)));
  CHECK(column.read(money, 1, {{0}, 1}).is_missing());
  column.insert(money, {{0}, 1}, Value::of_money({5}, eur));  // a currency that should not come here takes no part
  CHECK(same(column.read(money, 0, {{0}, 1}), Value::of_money({0}, usd)));
}

TEST_CASE("bytes of columns: any bytes are safe") {
  CHECK(rc::check("noise", [](const std::string& noise) {
    for (const Type& type : all_types) (void)Column::decode(every_window(type), noise).ok();
  }));
  CHECK(rc::check("one byte changed", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const ColumnLayout layout = every_window(all_types[seed % all_types.size()]);
    Column column;
    for (std::uint64_t i = 1; i < 20; ++i) {
      column.insert(layout, {{static_cast<std::int64_t>(i * 3)}, i}, random_value(layout.type, random));
    }
    std::string bytes;
    column.encode(layout, bytes);
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    auto back = Column::decode(layout, bytes);
    if (!back) return;
    for (std::size_t i = 0; i < layout.windows.size(); ++i) (void)back.value().read(layout, i, {{60}, 30});
  }));
}

TEST_CASE("an emptied column gives its memory back") {
  const ColumnLayout layout = every_window(type_of(TypeKind::text));
  Column column;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    column.insert(layout, {{static_cast<std::int64_t>(i)}, i}, Value::of_text(words[i % words.size()]));
    (void)column.read(layout, 0, {{static_cast<std::int64_t>(i)}, i});
    if (i % 50 == 49) column.expire(layout, {static_cast<std::int64_t>(i)});
    CHECK(column.size() <= 151);
  }
  CHECK(column.bytes(layout) < 40'000);
  column.expire(layout, {2000});
  CHECK(column.empty());
  CHECK(column.bytes(layout) == sizeof(Column));
}

}  // namespace tocsin::state
