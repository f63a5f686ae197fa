#include "engine/run/functions.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/sphere.h"

namespace tocsin::engine {

using event::Function;
using event::Kind;
using event::Value;

namespace {

Value number_or_missing(const std::optional<Decimal>& d) { return d ? Value::of_number(*d) : Value{}; }

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

std::size_t length_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

/// Bytes of the first n characters.
std::size_t bytes_of(std::string_view text, std::size_t n) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (begins_character(text[at])) {
      if (n == 0) break;
      --n;
    }
    ++at;
  }
  return at;
}

/// A whole number that is not negative, as a count.
std::optional<std::size_t> count_of(const Value& v) {
  if (v.kind != Kind::number || v.number().units < 0 || v.number().units % Decimal::one != 0) return std::nullopt;
  const Int128 n = v.number().units / Decimal::one;
  return static_cast<std::size_t>(std::min<Int128>(n, UINT32_MAX));
}

Value made(std::string_view text, Arena* arena) {
  return arena == nullptr ? Value{} : Value::of_text(arena->copy(text));
}

template <typename F>
Value mapped(std::string_view text, Arena* arena, F&& f) {
  if (arena == nullptr) return {};
  char* at = arena->allocate(text.size());
  std::transform(text.begin(), text.end(), at, f);
  return Value::of_text({at, text.size()});
}

Decimal floor_of(Decimal d, bool up) {
  Int128 whole = d.units / Decimal::one;
  const Int128 rest = d.units % Decimal::one;
  if (!up && rest < 0) --whole;
  if (up && rest > 0) ++whole;
  return {whole * Decimal::one};
}

Value rounded(const Value& x, const Value* digits) {
  Int128 places = 0;
  if (digits != nullptr) {
    if (digits->kind != Kind::number || digits->number().units % Decimal::one != 0) return {};
    places = digits->number().units / Decimal::one;
  }
  if (places >= Decimal::digits) return x;
  if (places < -28) return Value::of_number({});
  Int128 step = Decimal::one;
  for (; places > 0; --places) step /= 10;
  for (; places < 0; ++places) step *= 10;
  const Int128 units = x.number().units;
  Int128 whole = units / step;
  const Int128 rest = units % step;
  const Int128 size = rest < 0 ? -rest : rest;
  // Compared without doubling, which could overflow.
  if (size > step - size || (size == step - size && whole % 2 != 0)) whole += rest < 0 ? -1 : 1;
  Int128 result = 0;
  if (__builtin_mul_overflow(whole, step, &result)) return {};
  return Value::of_number({result});
}

Value without_sign(const Value& v) {
  if (v.kind == Kind::duration) {
    const std::int64_t us = v.duration().us;
    return us == INT64_MIN ? Value{} : Value::of_duration({us < 0 ? -us : us});
  }
  if (v.number().units >= 0) return v;
  const auto turned = negate(v.number());
  if (!turned) return {};
  return v.kind == Kind::money ? Value::of_money(*turned, v.currency) : Value::of_number(*turned);
}

Value between(const Value& a, const Value& b, std::int64_t hours) {
  const Int128 us = static_cast<Int128>(a.time().us) - b.time().us;
  const auto units = Decimal{(us < 0 ? -us : us) * Decimal::one};
  return number_or_missing(divide(units, Decimal::from_integer(hours * 3'600'000'000LL)));
}

constexpr std::uint64_t v4_head = 0x0000'ffff'0000'0000ULL;
bool is_v4(const Value& ip) { return ip.high == 0 && (ip.low & 0xffff'ffff'0000'0000ULL) == v4_head; }

Value network_of(const Value& ip, std::size_t bits) {
  if (bits == 0) return Value::of_ip(0, 0);
  if (bits <= 64) return Value::of_ip(ip.high & (~std::uint64_t{0} << (64 - bits)), 0);
  return Value::of_ip(ip.high, bits >= 128 ? ip.low : ip.low & (~std::uint64_t{0} << (128 - bits)));
}

bool is_private(const Value& ip) {
  const auto in = [&](std::uint64_t high, std::uint64_t low, std::uint8_t prefix) {
    return event::Network{high, low, prefix}.contains(ip);
  };
  const auto v4 = [&](std::uint64_t address, std::uint8_t prefix) {
    return in(0, v4_head | address, static_cast<std::uint8_t>(96 + prefix));
  };
  return v4(0x0a00'0000, 8) || v4(0xac10'0000, 12) || v4(0xc0a8'0000, 16) || v4(0x7f00'0000, 8) ||
         v4(0xa9fe'0000, 16) || in(0xfc00'0000'0000'0000ULL, 0, 7) || in(0xfe80'0000'0000'0000ULL, 0, 10) ||
         in(0, 1, 128);
}

}  // namespace

bool has_word(std::string_view words, std::string_view word) {
  if (word.empty()) return false;
  for (std::size_t at = words.find(word); at != std::string_view::npos; at = words.find(word, at + 1)) {
    const bool begins = at == 0 || words[at - 1] == ' ';
    const std::size_t end = at + word.size();
    if (begins && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

Value call(Function function, std::span<const Value> arguments, Arena* arena) {
  for (const Value& v : arguments) {
    if (v.is_missing()) return {};
  }
  const Value& a = arguments[0];
  switch (function) {
    case Function::abs: return without_sign(a);
    case Function::amount: return Value::of_number(a.number());
    case Function::ceil: return Value::of_number(floor_of(a.number(), true));
    case Function::floor: return Value::of_number(floor_of(a.number(), false));
    case Function::currency: return made(event::to_text(a.currency), arena);
    case Function::days_between: return between(a, arguments[1], 24);
    case Function::hours_between: return between(a, arguments[1], 1);
    case Function::distance_km:
      return Value::of_number(
          distance_km(a.latitude_e9(), a.longitude_e9(), arguments[1].latitude_e9(), arguments[1].longitude_e9()));
    case Function::domain: {
      const std::size_t at = a.text().rfind('@');
      return at == std::string_view::npos ? Value{} : Value::of_text(a.text().substr(at + 1));
    }
    case Function::greatest:
    case Function::least: {
      Value best = a;
      for (const Value& v : arguments.subspan(1)) {
        const auto order = event::order_of(v, best);
        if (!order) return {};  // amounts of two currencies
        if (function == Function::greatest ? *order > 0 : *order < 0) best = v;
      }
      return best;
    }
    case Function::hour_of: {
      const std::int64_t day = 86'400'000'000;
      return Value::of_integer(((a.time().us % day + day) % day) / 3'600'000'000);
    }
    case Function::weekday_of: {
      const std::int64_t day = 86'400'000'000;
      const std::int64_t days = (a.time().us - (a.time().us % day + day) % day) / day;
      return Value::of_integer(((days + 3) % 7 + 7) % 7 + 1);  // day 0 was a Thursday
    }
    case Function::is_private: return Value::of_boolean(is_private(a));
    case Function::left:
    case Function::right: {
      const auto n = count_of(arguments[1]);
      if (!n) return {};
      const std::size_t all = length_of(a.text());
      if (function == Function::left) return Value::of_text(a.text().substr(0, bytes_of(a.text(), *n)));
      return Value::of_text(a.text().substr(*n >= all ? 0 : bytes_of(a.text(), all - *n)));
    }
    case Function::length: return Value::of_integer(static_cast<std::int64_t>(length_of(a.text())));
    case Function::lower:
      return mapped(a.text(), arena,
                    [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    case Function::upper:
      return mapped(a.text(), arena,
                    [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    case Function::round: return rounded(a, arguments.size() > 1 ? &arguments[1] : nullptr);
    case Function::subnet: {
      const auto v4 = count_of(arguments[1]);
      const auto v6 = arguments.size() > 2 ? count_of(arguments[2]) : std::optional<std::size_t>(48);
      if (!v4 || !v6) return {};
      return network_of(a, is_v4(a) ? 96 + *v4 : *v6);
    }
    case Function::trim: {
      constexpr std::string_view blanks = " \t\r\n";
      const std::size_t begin = a.text().find_first_not_of(blanks);
      if (begin == std::string_view::npos) return Value::of_text(a.text().substr(0, 0));
      return Value::of_text(a.text().substr(begin, a.text().find_last_not_of(blanks) - begin + 1));
    }
    case Function::ip_flag: break;
  }
  TOCSIN_CHECK(false, "ip_flag needs a table");
  return {};
}

}  // namespace tocsin::engine
