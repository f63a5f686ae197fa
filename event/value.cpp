#include "event/value.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "base/hash.h"

namespace tocsin::event {
namespace {

constexpr std::uint64_t v4_prefix = 0x0000'ffff'0000'0000ULL;  // ::ffff:0:0/96, the low half

// "203.0.113.7" as 32 bits. Four plain numbers without leading zeros, which some programs read as octal.
std::optional<std::uint32_t> parse_v4(std::string_view text) {
  std::uint32_t address = 0;
  std::size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (at >= text.size() || text[at] != '.') return std::nullopt;
      ++at;
    }
    const std::size_t begin = at;
    std::uint32_t number = 0;
    for (; at < text.size() && at - begin < 3 && text[at] >= '0' && text[at] <= '9'; ++at) {
      number = number * 10 + static_cast<std::uint32_t>(text[at] - '0');
    }
    if (at == begin || number > 255) return std::nullopt;
    if (at - begin > 1 && text[begin] == '0') return std::nullopt;
    address = (address << 8U) | number;
  }
  if (at != text.size()) return std::nullopt;
  return address;
}

std::uint64_t big_endian(const unsigned char* bytes) {
  std::uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = (v << 8U) | std::uint64_t{bytes[i]};
  return v;
}

template <typename T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

}  // namespace

std::optional<Currency> parse_currency(std::string_view letters) {
  if (letters.size() != 3) return std::nullopt;
  unsigned code = 0;
  for (const char c : letters) {
    if (c < 'A' || c > 'Z') return std::nullopt;
    code = (code << 5U) | (static_cast<unsigned>(c) - 'A' + 1U);
  }
  return Currency{static_cast<std::uint16_t>(code)};
}

std::string to_text(Currency currency) {
  if (currency.code == 0) return "?";
  std::string text;
  for (unsigned shift = 15; shift > 0;) {
    shift -= 5;
    const unsigned letter = (static_cast<unsigned>(currency.code) >> shift) & 31U;
    text += static_cast<char>('A' + letter - 1U);
  }
  return text;
}

bool same(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::missing: return true;
    case Kind::text: return a.text() == b.text();
    case Kind::money: return a.currency == b.currency && a.low == b.low && a.high == b.high;
    case Kind::boolean:
    case Kind::number:
    case Kind::enumeration:
    case Kind::time:
    case Kind::duration:
    case Kind::ip:
    case Kind::geo: return a.low == b.low && a.high == b.high;
  }
  return false;
}

std::uint64_t hash_of(const Value& v) {
  const auto kind = static_cast<std::uint64_t>(v.kind);
  if (v.kind == Kind::missing) return hash_mix(0, kind);
  if (v.kind == Kind::text) return hash64(v.text(), kind);
  const std::uint64_t head = v.kind == Kind::money ? kind | (static_cast<std::uint64_t>(v.currency.code) << 8U) : kind;
  return hash_mix(hash_mix(head, v.low), v.high);
}

std::optional<int> order_of(const Value& a, const Value& b) {
  if (a.kind != b.kind) return std::nullopt;
  switch (a.kind) {
    case Kind::missing:
    case Kind::geo: return std::nullopt;
    case Kind::money:
      if (a.currency != b.currency) return std::nullopt;
      return three_way(a.number(), b.number());
    case Kind::number: return three_way(a.number(), b.number());
    case Kind::time: return three_way(a.time(), b.time());
    case Kind::duration: return three_way(a.duration(), b.duration());
    case Kind::text: return three_way(a.text().compare(b.text()), 0);
    case Kind::boolean:
    case Kind::enumeration: return three_way(a.low, b.low);
    case Kind::ip: return a.high != b.high ? three_way(a.high, b.high) : three_way(a.low, b.low);
  }
  return std::nullopt;
}

std::optional<Value> parse_ip(std::string_view text) {
  if (const std::optional<std::uint32_t> v4 = parse_v4(text)) return Value::of_ip(0, v4_prefix | *v4);
  std::array<char, INET6_ADDRSTRLEN + 1> buffer{};
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer.data(), text.data(), text.size());
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, buffer.data(), bytes.data()) != 1) return std::nullopt;
  return Value::of_ip(big_endian(bytes.data()), big_endian(bytes.data() + 8));
}

std::string ip_text(const Value& ip) {
  std::array<unsigned char, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<unsigned char>(ip.high >> (56 - 8 * i));
    bytes[i + 8] = static_cast<unsigned char>(ip.low >> (56 - 8 * i));
  }
  if (ip.high == 0 && (ip.low >> 32U) == (v4_prefix >> 32U)) {
    std::string text;
    for (std::size_t i = 12; i < 16; ++i) {
      if (i > 12) text += '.';
      text += std::to_string(bytes[i]);
    }
    return text;
  }
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  return inet_ntop(AF_INET6, bytes.data(), buffer.data(), buffer.size());
}

bool Network::contains(const Value& ip) const {
  if (ip.kind != Kind::ip) return false;
  if (prefix == 0) return true;
  if (prefix <= 64) return ((ip.high ^ high) >> (64U - prefix)) == 0;
  if (ip.high != high) return false;
  return ((ip.low ^ low) >> (128U - prefix)) == 0;
}

std::optional<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const std::optional<Value> address = parse_ip(address_text);
  if (!address) return std::nullopt;
  Network network{address->high, address->low, 128};
  if (slash == std::string_view::npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3) return std::nullopt;
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  unsigned prefix = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    prefix = prefix * 10 + static_cast<unsigned>(c - '0');
  }
  const bool v4 = address_text.find(':') == std::string_view::npos;
  if (prefix > (v4 ? 32U : 128U)) return std::nullopt;
  network.prefix = static_cast<std::uint8_t>(v4 ? prefix + 96 : prefix);
  // Host bits that are set mean that somebody had something else in mind.
  const unsigned p = network.prefix;
  const std::uint64_t host_high = p >= 64 ? 0 : (p == 0 ? ~0ULL : (~0ULL >> p));
  const std::uint64_t host_low = p == 128 ? 0 : (p <= 64 ? ~0ULL : (~0ULL >> (p - 64)));
  if ((network.high & host_high) != 0) return std::nullopt;
  if ((network.low & host_low) != 0) return std::nullopt;
  return network;
}

std::optional<Value> parse_money(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::optional<Decimal> amount = parse_decimal(text.substr(0, space));
  if (!amount) return std::nullopt;
  const std::optional<Currency> currency = parse_currency(text.substr(space + 1));
  if (!currency) return std::nullopt;
  return Value::of_money(*amount, *currency);
}

}  // namespace tocsin::event
