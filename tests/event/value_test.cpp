#include "event/value.h"

#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "event/schema.h"

using namespace tocsin;
using namespace tocsin::event;

namespace {

std::string ip(std::string_view text) {
  const std::optional<Value> v = parse_ip(text);
  return v ? ip_text(*v) : "nothing";
}
bool holds(std::string_view network, std::string_view address) {
  const std::optional<Network> n = parse_network(network);
  REQUIRE_MESSAGE(n.has_value(), network);
  return n->contains(*parse_ip(address));
}

}  // namespace

TEST_CASE("addresses have one form") {
  CHECK(ip("203.0.113.7") == "203.0.113.7");
  CHECK(ip("0.0.0.0") == "0.0.0.0");
  CHECK(ip("::ffff:203.0.113.7") == "203.0.113.7");
  CHECK(ip("::FFFF:cb00:7107") == "203.0.113.7");
  CHECK(ip("2001:DB8:0:0:0:0:0:1") == "2001:db8::1");
  CHECK(ip("::") == "::");
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "1..2.3", "fe80::1%eth0",
                           ":::", "g::", "1.2.3.1234", "12345::", "::1/128"}) {
    CAPTURE(text);
    CHECK(ip(text) == "nothing");
  }
  CHECK(ip(std::string("::1\0", 4)) == "nothing");
  CHECK(ip(std::string(60'000, '1')) == "nothing");
}

TEST_CASE("networks hold their addresses") {
  CHECK(holds("10.0.0.0/8", "10.255.0.1"));
  CHECK(!holds("10.0.0.0/8", "11.0.0.1"));
  CHECK(holds("0.0.0.0/0", "8.8.8.8"));
  CHECK(!holds("0.0.0.0/0", "2001:db8::1"));
  CHECK(holds("::/0", "8.8.8.8"));
  CHECK(holds("2001:db8::/32", "2001:db8:ffff::1"));
  CHECK(!holds("2001:db8::/32", "2001:db9::1"));
  CHECK(holds("2001:db8:0:1::/64", "2001:db8:0:1::9"));
  CHECK(!holds("2001:db8:0:1::/64", "2001:db8:0:2::9"));
  CHECK(holds("203.0.113.7", "203.0.113.7"));
  CHECK(!holds("203.0.113.7", "203.0.113.8"));
  CHECK(!parse_network("10.0.0.0/8")->contains(Value{}));
  for (const char* text : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "2001:db8::1/32",
                           "::/129", "x/8", "10.0.0.0/8/8", ""}) {
    CAPTURE(text);
    CHECK(!parse_network(text));
  }
  CHECK(rc::check("an address is in each of its networks", [](std::uint64_t high, std::uint64_t low) {
    const unsigned p = *rc::gen::inRange(0U, 129U);
    const Value address = Value::of_ip(high, low);
    const std::uint64_t mask_high = p == 0 ? 0 : p >= 64 ? ~0ULL : ~(~0ULL >> p);
    const std::uint64_t mask_low = p <= 64 ? 0 : p == 128 ? ~0ULL : ~(~0ULL >> (p - 64));
    const Network network{high & mask_high, low & mask_low, static_cast<std::uint8_t>(p)};
    RC_ASSERT(network.contains(address));
    RC_ASSERT(same(*parse_ip(ip_text(address)), address));
    const Value other = Value::of_ip(high ^ (p == 0 ? 0 : 1ULL << 63U), low);
    RC_ASSERT(network.contains(other) == (p == 0));
  }));
}

TEST_CASE("money and currencies") {
  CHECK(to_text(*parse_currency("USD")) == "USD");
  CHECK(to_text(Currency{}) == "?");
  for (const char* text : {"", "US", "USDX", "usd", "U1D"}) CHECK(!parse_currency(text));
  const Value money = *parse_money("12.30 USD");
  CHECK(money.number() == *parse_decimal("12.3"));
  CHECK(money.currency == *parse_currency("USD"));
  for (const char* text : {"", "12.30", "USD", "12.30USD", "12.30  USD", " 12.30 USD", "12.30 usd", "x USD"}) {
    CAPTURE(text);
    CHECK(!parse_money(text));
  }
}

TEST_CASE("sameness, order and hashes go together") {
  const Currency usd = *parse_currency("USD");
  const Currency eur = *parse_currency("EUR");
  const std::string a1 = "a";
  const std::string a2 = "a";
  CHECK(same(Value::of_text(a1), Value::of_text(a2)));
  CHECK(hash_of(Value::of_text(a1)) == hash_of(Value::of_text(a2)));
  CHECK(same(Value{}, Value{}));
  CHECK(!same(Value::of_integer(1), Value::of_money(Decimal::from_integer(1), usd)));
  CHECK(!same(Value::of_money(Decimal{}, eur), Value::of_money(Decimal{}, usd)));
  CHECK(hash_of(Value::of_money(Decimal{}, eur)) != hash_of(Value::of_money(Decimal{}, usd)));
  CHECK(order_of(Value::of_integer(-1), Value::of_integer(1)) == -1);
  CHECK(order_of(Value::of_money(Decimal{}, eur), Value::of_money(Decimal{}, usd)) == std::nullopt);
  CHECK(order_of(Value::of_integer(1), Value{}) == std::nullopt);
  CHECK(order_of(Value::of_text("b"), Value::of_text("a")) == 1);
  CHECK(order_of(Value::of_text("\xc3"), Value::of_text("a")) == 1);
  CHECK(order_of(Value::of_duration({-5}), Value::of_duration({5})) == -1);
  CHECK(order_of(Value::of_boolean(true), Value::of_boolean(true)) == 0);
  CHECK(order_of(Value::of_geo(1, 2), Value::of_geo(1, 2)) == std::nullopt);
}

TEST_CASE("values as analysts and as records see them") {
  Schema schema;
  schema.entities = {"user"};
  schema.enums = {{{"success", "failure"}}};
  const Type number{TypeKind::decimal};
  const Type outcome{TypeKind::enumeration};
  const Type text{TypeKind::text};
  const auto both = [&](const Value& v, const Type& t) {
    return shown(v, t, schema) + " | " + json_text(v, t, schema);
  };
  CHECK(both({}, number) == "? | null");
  CHECK(both(Value::of_number(*parse_decimal("1.23456")), number) == "1.23 | 1.23456");
  CHECK(both(Value::of_enumeration(1), outcome) == "failure | \"failure\"");
  CHECK(both(Value::of_enumeration(9), outcome) == "? | \"?\"");
  CHECK(both(Value::of_text("a\"b\n\x01"), text) == "a\"b\n\x01 | \"a\\\"b\\n\\u0001\"");
  CHECK(both(Value::of_boolean(true), {TypeKind::boolean}) == "true | true");
  CHECK(both(Value::of_duration(Duration::seconds(90)), {TypeKind::duration}) == "1m 30s | 90");
  CHECK(both(Value::of_duration({1}), {TypeKind::duration}) == "1us | 0.000001");
  CHECK(both(*parse_money("12.50 USD"), {TypeKind::money}) == "12.5 USD | {\"amount\":\"12.5\",\"currency\":\"USD\"}");
  CHECK(both(Value::of_time({0}), {TypeKind::time}) == "1970-01-01T00:00:00Z | \"1970-01-01T00:00:00Z\"");
  CHECK(both(Value::of_geo(52'520'008'000, -13'400'000'000), {TypeKind::geo}) ==
        "52.52,-13.4 | {\"lat\":52.520008,\"lon\":-13.4}");
  CHECK(both(*parse_ip("10.0.0.1"), {TypeKind::ip}) == "10.0.0.1 | \"10.0.0.1\"");
  CHECK(schema.type_text(outcome) == "enum(success, failure)");
  CHECK(schema.type_text({TypeKind::entity}) == "user");
  CHECK(schema.type_text({TypeKind::money, 0, 0, *parse_currency("USD")}) == "money<USD>");
}
