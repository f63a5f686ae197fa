// Windows against a recount: whatever was inserted and read before, a window answers what counting all entries anew
// says.
#include "state/column.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/reference/windows.h"

namespace tocsin::state {
namespace {

using tests::Fact;
using tests::recount;

using event::Bound;
using event::Currency;
using event::Kind;
using event::Type;
using event::TypeKind;
using event::Value;

constexpr Currency usd{100};
constexpr Currency eur{200};

const std::vector<std::string> words = [] {
  std::vector<std::string> out;
  for (int i = 0; i < 40; ++i)
    out.push_back((i % 2 == 0 ? "word " : "a word too long for any small buffer ") + std::to_string(i));
  return out;
}();

const event::Zone* const berlin = event::find_zone("Europe/Berlin");

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

/// The functions there are for arguments of a type, and (times) for the gaps between them.
std::vector<Window> functions_for(const Type& type) {
  std::vector<Window> windows;
  for (const Function function :
       {Function::count, Function::sum, Function::avg, Function::min, Function::max, Function::distinct,
        Function::first, Function::last, Function::entropy, Function::holds}) {
    windows.push_back({.function = function});
  }
  const bool spreads =
      type.kind == TypeKind::integer || type.kind == TypeKind::duration || type.kind == TypeKind::money;
  if (spreads) {
    for (const Function function : {Function::variance, Function::stddev, Function::cv}) {
      if (function == Function::variance && type.kind != TypeKind::integer) continue;
      if (function == Function::cv && type.kind == TypeKind::money) continue;
      windows.push_back({.function = function});
    }
  }
  if (spreads || type.kind == TypeKind::decimal || type.kind == TypeKind::time) {
    for (const std::uint64_t percent : {1ULL, 50ULL, 95ULL, 100ULL}) {
      windows.push_back(
          {.function = Function::percentile, .percent_e9 = percent * 1'000'000'000 - (percent == 95 ? 1 : 0)});
    }
  }
  if (type.kind == TypeKind::time) {
    for (const Function function : {Function::sum, Function::avg, Function::min, Function::max, Function::distinct,
                                    Function::entropy, Function::stddev, Function::cv, Function::percentile}) {
      windows.push_back(
          {.function = function, .gaps = true, .percent_e9 = function == Function::percentile ? 30'000'000'000U : 0U});
    }
  }
  return windows;
}

ColumnLayout every_window(Type type) {
  std::vector<Window> windows;
  for (Window window : functions_for(type)) {
    for (const Reach reach : {Reach::last, Reach::before}) {
      for (const std::int64_t us : {1, 7, 100}) {
        window.reach = reach;
        window.length = {us};
        window.gap = {0};
        windows.push_back(window);
        if (reach == Reach::last) continue;
        window.gap = {us == 7 ? 100 : 3};
        windows.push_back(window);
      }
    }
    window.reach = Reach::calendar;
    window.zone = berlin;
    window.length = window.gap = {};
    for (const event::CalendarUnit unit : {event::CalendarUnit::hour, event::CalendarUnit::day}) {
      window.unit = unit;
      windows.push_back(window);
    }
  }
  return ColumnLayout(windows, type, 1);
}

ColumnLayout every_since(Type type) {
  std::vector<Window> windows = functions_for(type);
  for (Window& window : windows) {
    window.reach = Reach::since;
    window.length = {150};
  }
  return ColumnLayout(windows, type, 1);
}

struct Trial {
  ColumnLayout layout;
  Column column;
  std::vector<Fact> facts;
  Timestamp floor = Timestamp::min();
  std::uint64_t floor_release = 0;
  std::vector<Value> probes = {{}};

  bool agrees(Moment at, Timestamp data_begins = Timestamp::min(), bool deadline = false) {
    if (at.time < floor || at.release < floor_release) return true;
    Column::Question question{at, data_begins, &probes[at.release % probes.size()], deadline};
    for (std::size_t i = 0; i < layout.windows.size(); ++i) {
      const Window& window = layout.windows[i];
      const Value expected = recount(layout.type, facts, window, question);
      const Value found = column.answer(layout, i, question);
      if (same(found, expected) && found.bound == expected.bound) continue;
      RC_LOG() << to_text(window.function) << (window.gaps ? " of gaps " : " ") << to_text(window.reach) << ' '
               << window.length.us << "us ending " << window.gap.us << "us before, at " << at.time.us << '/'
               << at.release << (deadline ? " (deadline)" : "") << " kind " << static_cast<int>(layout.kind) << ": "
               << static_cast<long double>(found.number().units) << " instead of "
               << static_cast<long double>(expected.number().units) << '\n';
      return false;
    }
    return true;
  }
};

void run_stream(const ColumnLayout& layout, std::uint64_t seed, int events, int late_percent, bool wild_reads) {
  std::mt19937_64 random(seed);
  const auto percent = [&](int p) { return static_cast<int>(random() % 100) < p; };
  const Type& type = layout.type;
  Trial trial;
  trial.layout = layout;
  for (int i = 0; i < 5; ++i) trial.probes.push_back(random_value(type, random));
  // Just before a midnight of the zone, so that calendar windows begin within the stream.
  std::int64_t newest = berlin->next_start(event::CalendarUnit::day, {1'000'000'000'000}).us - 100;
  for (std::uint64_t release = 1; release <= static_cast<std::uint64_t>(events); ++release) {
    const bool late = percent(late_percent);
    const std::int64_t step = percent(2) ? 120 : static_cast<std::int64_t>(random() % 4);
    if (!late) newest += step;
    const Moment at{{late ? newest - static_cast<std::int64_t>(random() % 60) : newest}, release};
    if (percent(30)) RC_ASSERT(trial.agrees(at));
    const bool both = percent(10);
    const bool mark = trial.layout.marked && (both || percent(6));
    if (!mark || both) {
      const Value value = random_value(type, random);
      RC_ASSERT(trial.column.insert(trial.layout, at, value));
      trial.facts.push_back({at, value});
    }
    if (mark) {
      RC_ASSERT(trial.column.mark(trial.layout, at));
      trial.facts.push_back({at, {}, true});
    }
    if (percent(60)) RC_ASSERT(trial.agrees(at));
    if (percent(5)) RC_ASSERT(trial.agrees(at, {at.time.us - static_cast<std::int64_t>(random() % 110)}));
    if (percent(5)) {
      RC_ASSERT(trial.agrees({{newest + static_cast<std::int64_t>(random() % 3)}, release}, Timestamp::min(), true));
    }
    if (percent(4)) {
      trial.floor = std::max(trial.floor, Timestamp{newest - static_cast<std::int64_t>(random() % 20)});
      trial.floor_release = release;
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
      RC_ASSERT(trial.agrees({{some.at.time.us + length + edge}, release}, Timestamp::min(), true));
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
  for (const auto& layout_of : {every_window, every_since}) {
    const auto of = [&](std::uint64_t seed) { return layout_of(all_types[seed % all_types.size()]); };
    CHECK(rc::check("in order", [&](std::uint64_t seed) { run_stream(of(seed), seed, 60, 0, false); }));
    CHECK(rc::check("late events", [&](std::uint64_t seed) { run_stream(of(seed), seed, 60, 15, false); }));
    CHECK(rc::check("late events, deadlines and reads backwards",
                    [&](std::uint64_t seed) { run_stream(of(seed), seed, 60, 10, true); }));
  }
}

TEST_CASE("approximate: exact for few values, within the stated error for many") {
  constexpr std::uint32_t error_ppm = 50'000;  // a sample of 800
  const auto window = [](Function function, std::int64_t us, std::int64_t gap_us = 0) {
    return Window{.function = function,
                  .reach = gap_us == 0 ? Reach::last : Reach::before,
                  .length = {us},
                  .gap = {gap_us},
                  .percent_e9 = function == Function::percentile ? 90'000'000'000U : 0,
                  .error_ppm = error_ppm};
  };
  const ColumnLayout sampled({window(Function::distinct, 100), window(Function::distinct, 5'000),
                              window(Function::distinct, 100'000), window(Function::distinct, 20'000, 10'000)},
                             type_of(TypeKind::text), 1);
  const ColumnLayout classed({window(Function::percentile, 5'000), window(Function::percentile, 100'000)},
                             type_of(TypeKind::integer), 1);
  CHECK(sampled.sample_max == 800);
  double squared_errors = 0;
  int large_reads = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    std::mt19937_64 random(seed);
    Column never_tidied;
    Column tidied;
    Column classes;
    std::vector<std::pair<std::int64_t, std::uint64_t>> values;
    std::vector<std::pair<std::int64_t, std::int64_t>> numbers;
    std::int64_t time = 0;
    for (std::uint64_t release = 1; release <= 60'000; ++release) {
      // A busy first half with many values, then a quiet one with few: a window over the end must not be blurred by the beginning.
      time += release < 30'000 ? 1 : 3;
      const std::uint64_t value = random() % (release < 30'000 ? 1'000'000 : 2'000);
      const std::string text = "value " + std::to_string(value);
      CHECK(never_tidied.insert(sampled, {{time}, release}, Value::of_text(text)));
      tidied.insert(sampled, {{time}, release}, Value::of_text(text));
      values.emplace_back(time, value);
      const auto number = static_cast<std::int64_t>(random() % 1'000'000) - 100'000;
      classes.insert(classed, {{time}, release}, Value::of_integer(number));
      numbers.emplace_back(time, number);
      if (release % 1'000 == 0) tidied.expire(sampled, {time - 50});
      if (release % 7'001 != 0) continue;
      for (std::size_t w = 0; w < sampled.windows.size(); ++w) {
        const Moment at{{time}, release};
        const Value found = tidied.read(sampled, w, at);
        CHECK(same(found, never_tidied.read(sampled, w, at)));
        std::vector<std::uint64_t> inside;
        for (const auto& [when, v] : values) {
          if (when >= sampled.windows[w].first_time({time}).us && when <= sampled.windows[w].last_time({time}).us)
            inside.push_back(v);
        }
        std::sort(inside.begin(), inside.end());
        const auto exact = static_cast<double>(std::unique(inside.begin(), inside.end()) - inside.begin());
        const auto about = static_cast<double>(found.number().units / Decimal::one);
        if (exact <= 800) {
          CHECK(about == exact);
        } else {
          CHECK(std::fabs(about - exact) <= 4 * 0.05 * exact);
          squared_errors += (about / exact - 1) * (about / exact - 1);
          ++large_reads;
        }
      }
      for (std::size_t w = 0; w < classed.windows.size(); ++w) {
        std::vector<std::int64_t> inside;
        for (const auto& [when, v] : numbers) {
          if (when > time - classed.windows[w].length.us) inside.push_back(v);
        }
        std::sort(inside.begin(), inside.end());
        const auto exact = static_cast<double>(inside[(inside.size() * 90 + 99) / 100 - 1]);
        const auto about = static_cast<double>(classes.read(classed, w, {{time}, release}).number().units) / 1e9;
        CHECK(std::fabs(about - exact) <= 0.05 * std::fabs(exact));
      }
    }
    // What is kept grows with the logarithm of what came.
    CHECK(tidied.size() < 12'000);
    std::string bytes;
    tidied.encode(sampled, bytes);
    auto back = Column::decode(sampled, bytes);
    REQUIRE(back.ok());
    CHECK(same(back.value().read(sampled, 2, {{time}, 60'001}), tidied.read(sampled, 2, {{time}, 60'001})));
  }
  REQUIRE(large_reads > 20);
  CHECK(std::sqrt(squared_errors / large_reads) <= 0.05);
}

TEST_CASE("a batch may go in first and be read afterwards") {
  CHECK(rc::check("batch", [](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    Trial trial;
    trial.layout = every_window(all_types[seed % all_types.size()]);
    Moment at{{1000}, 0};
    for (int batch = 0; batch < 3; ++batch) {
      const std::size_t from = trial.facts.size();
      for (int i = 0; i < 20; ++i) {
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
  ColumnLayout layout = every_window(type_of(TypeKind::text));
  std::erase_if(layout.windows,
                [](const Window& window) { return window.reach == Reach::calendar || window.gap.us > 3; });
  layout = ColumnLayout(layout.windows, layout.type, 1);
  Column column;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    column.insert(layout, {{static_cast<std::int64_t>(i)}, i}, Value::of_text(words[i % words.size()]));
    (void)column.read(layout, 0, {{static_cast<std::int64_t>(i)}, i});
    if (i % 50 == 49) column.expire(layout, {static_cast<std::int64_t>(i)});
    CHECK(column.size() <= 154);
  }
  CHECK(column.bytes(layout) < 40'000);
  column.expire(layout, {2000});
  CHECK(column.empty());
  CHECK(column.bytes(layout) == sizeof(Column));
}

}  // namespace tocsin::state
