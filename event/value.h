// A value of the rule language at run time: 24 bytes, trivially copyable, missing included. Texts are views into memory
// that the holder of the value does not own (the batch's arena, a packed event, a constant of the ruleset). What a
// value means beyond its kind (which enumeration, which entity) is known from its static type (event/schema.h) and not
// repeated here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/decimal.h"
#include "base/time.h"

namespace tocsin::event {

enum class Kind : std::uint8_t {
  missing,
  boolean,
  number,       // int and decimal alike: nine digits, exact
  enumeration,  // index into the values of its EnumDef
  text,         // strings and entity values
  time,
  duration,
  ip,     // 128 bits; IPv4 as ::ffff:a.b.c.d
  geo,    // latitude and longitude in 10^-9 degrees
  money,  // amount and currency
};

/// Three capital letters in 15 bits; 0 is "unknown".
struct Currency {
  std::uint16_t code = 0;
  auto operator<=>(const Currency&) const = default;
};
std::optional<Currency> parse_currency(std::string_view letters);
std::string to_text(Currency currency);

/// What a warming feature knows (LANGUAGE S11, W11): a bound settles a comparison or leaves it unknown.
enum class Bound : std::uint8_t { exact, at_least, at_most };

struct Value {
  Kind kind = Kind::missing;
  Bound bound = Bound::exact;
  Currency currency;       // money only
  std::uint32_t size = 0;  // text only: bytes
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  static Value of_boolean(bool v) { return make(Kind::boolean, v ? 1U : 0U); }
  static Value of_enumeration(std::uint32_t index) { return make(Kind::enumeration, index); }
  static Value of_time(Timestamp t) { return make(Kind::time, static_cast<std::uint64_t>(t.us)); }
  static Value of_duration(Duration d) { return make(Kind::duration, static_cast<std::uint64_t>(d.us)); }
  static Value of_number(Decimal d) { return make_wide(Kind::number, d.units); }
  static Value of_integer(std::int64_t n) { return of_number(Decimal::from_integer(n)); }
  static Value of_money(Decimal amount, Currency currency) {
    Value v = make_wide(Kind::money, amount.units);
    v.currency = currency;
    return v;
  }
  /// Borrows `t`.
  static Value of_text(std::string_view t) {
    Value v = make(Kind::text, reinterpret_cast<std::uint64_t>(t.data()));
    v.size = static_cast<std::uint32_t>(t.size());
    return v;
  }
  static Value of_ip(std::uint64_t high, std::uint64_t low) {
    Value v = make(Kind::ip, low);
    v.high = high;
    return v;
  }
  static Value of_geo(std::int64_t latitude_e9, std::int64_t longitude_e9) {
    Value v = make(Kind::geo, static_cast<std::uint64_t>(latitude_e9));
    v.high = static_cast<std::uint64_t>(longitude_e9);
    return v;
  }

  [[nodiscard]] bool is_missing() const { return kind == Kind::missing; }
  [[nodiscard]] bool boolean() const { return low != 0; }
  [[nodiscard]] std::uint32_t enumeration() const { return static_cast<std::uint32_t>(low); }
  [[nodiscard]] Timestamp time() const { return {static_cast<std::int64_t>(low)}; }
  [[nodiscard]] Duration duration() const { return {static_cast<std::int64_t>(low)}; }
  [[nodiscard]] Decimal number() const {
    return {static_cast<Int128>((static_cast<unsigned __int128>(high) << 64U) | low)};
  }
  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(low), size}; }
  [[nodiscard]] std::int64_t latitude_e9() const { return static_cast<std::int64_t>(low); }
  [[nodiscard]] std::int64_t longitude_e9() const { return static_cast<std::int64_t>(high); }

 private:
  static Value make(Kind kind, std::uint64_t low) {
    Value v;
    v.kind = kind;
    v.low = low;
    return v;
  }
  static Value make_wide(Kind kind, Int128 units) {
    Value v;
    v.kind = kind;
    v.low = static_cast<std::uint64_t>(units);
    v.high = static_cast<std::uint64_t>(static_cast<unsigned __int128>(units) >> 64U);
    return v;
  }
};
static_assert(sizeof(Value) == 24 && std::is_trivially_copyable_v<Value>);

/// Same kind and same content (money: same currency); two missing values are the same. Texts by content.
bool same(const Value& a, const Value& b);
/// Stable across runs and machines; equal for same() values.
std::uint64_t hash_of(const Value& v);
/// -1, 0, 1 for two values of one ordered kind (number, time, duration, money of one currency, text, enumeration by
/// index, ip, boolean); nothing when either is missing or they do not compare.
std::optional<int> order_of(const Value& a, const Value& b);

/// An address or a network in canonical form: IPv4 as dotted quads.
std::optional<Value> parse_ip(std::string_view text);
std::string ip_text(const Value& ip);
struct Network {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::uint8_t prefix = 128;  // of the 128-bit form: an IPv4 /24 is 120
  [[nodiscard]] bool contains(const Value& ip) const;
};
/// "10.0.0.0/8", "2001:db8::/32" or a single address; nothing when it is neither. Host bits must be zero.
std::optional<Network> parse_network(std::string_view text);
/// "12.30 USD"
std::optional<Value> parse_money(std::string_view text);

}  // namespace tocsin::event
