#include "engine/run/tables.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <optional>

using namespace tocsin;
using namespace tocsin::engine;
using event::Value;

namespace {

struct Row {
  int key;
  std::int64_t from;
  int value;
};

/// By definition: all rows, in the order in which they were added.
std::optional<int> slow(const std::vector<Row>& rows, int key, std::int64_t moment) {
  std::optional<Row> best;
  for (const Row& row : rows) {
    if (row.key == key && row.from <= moment && (!best || row.from >= best->from)) best = row;
  }
  return best ? std::optional(best->value) : std::nullopt;
}

std::optional<int> number(const Value& v) {
  if (v.is_missing()) return std::nullopt;
  return static_cast<int>(v.number().units / Decimal::one);
}

TableShape shape_of_numbers() {
  TableShape shape;
  shape.key_names = {"n"};
  shape.keys.resize(1);
  shape.column_names = {"v"};
  shape.columns.resize(1);
  return shape;
}

}  // namespace

TEST_CASE("a look-up gives the newest row that is not later than the moment, whether it is of a file or came later") {
  CHECK(rc::check("rows = all rows looked at", [] {
    const auto small = rc::gen::inRange(0, 6);
    const auto rows = *rc::gen::container<std::vector<Row>>(
        rc::gen::map(rc::gen::tuple(small, small, rc::gen::inRange(0, 1000)), [](const std::tuple<int, int, int>& t) {
          return Row{std::get<0>(t), std::get<1>(t), std::get<2>(t)};
        }));
    const std::size_t in_file = rows.empty() ? 0 : *rc::gen::inRange<std::size_t>(0, rows.size() + 1);
    const TableShape shape = shape_of_numbers();
    auto base = std::make_shared<TableRows>(1, 2, false);
    std::vector<std::pair<TableRow, std::vector<Value>>> later;
    for (std::size_t i = 0; i < in_file; ++i) {
      const std::vector<Value> cells{Value::of_integer(rows[i].key), Value::of_integer(rows[i].value)};
      base->add({Timestamp{rows[i].from}, cells, {}});
    }
    base->seal();
    TableState table(base);
    for (std::size_t i = in_file; i < rows.size(); ++i) {
      const std::vector<Value> cells{Value::of_integer(rows[i].key), Value::of_integer(rows[i].value)};
      table.add(shape, {Timestamp{rows[i].from}, cells, {}});
    }
    table.settle();
    for (int key = 0; key < 7; ++key) {
      for (std::int64_t moment = -1; moment < 8; ++moment) {
        const Value asked = Value::of_integer(key);
        RC_ASSERT(number(table.find({&asked, 1}, 0, Timestamp{moment})) == slow(rows, key, moment));
      }
    }
  }));
}

TEST_CASE("an address finds the smallest network it lies in") {
  TableRows rows(1, 2, true);
  const auto add = [&](const char* network, int value) {
    const std::vector<Value> cells{Value{}, Value::of_integer(value)};
    rows.add({Timestamp::min(), cells, *event::parse_network(network)});
  };
  add("0.0.0.0/0", 1);
  add("10.0.0.0/8", 2);
  add("10.1.0.0/16", 3);
  add("10.1.2.3", 4);
  add("2001:db8::/32", 5);
  rows.seal();
  const TableState table(std::make_shared<TableRows>(rows));
  const auto at = [&](const char* address) {
    const Value asked = *event::parse_ip(address);
    return number(table.find({&asked, 1}, 0, Timestamp{0}));
  };
  CHECK(at("10.1.2.3") == 4);
  CHECK(at("10.1.2.4") == 3);
  CHECK(at("10.2.0.1") == 2);
  CHECK(at("192.0.2.1") == 1);
  CHECK(at("2001:db8:1::1") == 5);
  CHECK(at("2001:db9::1") == std::nullopt);
}

TEST_CASE("a missing key finds nothing, and texts given at run time are kept") {
  const TableShape shape = shape_of_numbers();
  TableState table;
  {
    std::string gone = "long enough to lie outside of the string itself";
    const std::vector<Value> cells{Value::of_integer(1), Value::of_text(gone)};
    table.add(shape, {Timestamp::min(), cells, {}});
    gone.assign(gone.size(), 'x');
  }
  table.settle();
  const Value asked = Value::of_integer(1);
  CHECK(table.find({&asked, 1}, 0, Timestamp{0}).text() == "long enough to lie outside of the string itself");
  const Value missing;
  CHECK(table.find({&missing, 1}, 0, Timestamp{0}).is_missing());
}
