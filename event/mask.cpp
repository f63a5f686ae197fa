#include "event/mask.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace tocsin::event {
namespace {

constexpr std::string_view names[] = {"all", "domain", "initial", "last4", "net24"};
constexpr Mask masks[] = {Mask::all, Mask::domain, Mask::initial, Mask::last4, Mask::net24};
constexpr std::string_view hidden = "***";

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

std::string of_text(Mask mask, std::string_view text) {
  switch (mask) {
    case Mask::last4: {
      const auto length = std::count_if(text.begin(), text.end(), begins_character);
      if (length <= 4) return "****";
      std::size_t at = text.size();
      for (int n = 0; n < 4;) {
        --at;
        if (begins_character(text[at])) ++n;
      }
      return "****" + std::string(text.substr(at));
    }
    case Mask::initial: {
      std::size_t end = text.empty() ? 0 : 1;
      while (end < text.size() && !begins_character(text[end])) ++end;
      return std::string(text.substr(0, end)) + std::string(hidden);
    }
    case Mask::domain: {
      const std::size_t at = text.rfind('@');
      return at == std::string_view::npos ? std::string(hidden) : std::string(hidden) + std::string(text.substr(at));
    }
    case Mask::none:
    case Mask::all:
    case Mask::net24: break;
  }
  return std::string(hidden);
}

std::string of_ip(const Value& ip) {
  const bool v4 = ip.high == 0 && (ip.low >> 32U) == 0xffffU;
  if (v4) return ip_text(Value::of_ip(0, ip.low & ~std::uint64_t{0xff})) + "/24";
  return ip_text(Value::of_ip(ip.high & (~std::uint64_t{0} << 16U), 0)) + "/48";
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Where the JSON value that begins at `at` ends, as far as that can be told of a broken line.
std::size_t end_of_value(std::string_view line, std::size_t at) {
  if (at >= line.size()) return at;
  if (line[at] == '"') {
    for (std::size_t i = at + 1; i < line.size(); ++i) {
      if (line[i] == '\\') {
        ++i;
      } else if (line[i] == '"') {
        return i + 1;
      }
    }
    return line.size();
  }
  int depth = 0;
  bool text = false;
  for (std::size_t i = at; i < line.size(); ++i) {
    const char c = line[i];
    if (text) {
      if (c == '\\') ++i;
      if (c == '"') text = false;
      continue;
    }
    if (c == '"') text = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return i;
      if (--depth == 0) return i + 1;
    }
    if (depth == 0 && (c == ',' || is_space(c))) return i;
  }
  return line.size();
}

}  // namespace

std::optional<Mask> parse_mask(std::string_view name) {
  const auto at = std::find(std::begin(names), std::end(names), name);
  return at == std::end(names) ? std::nullopt : std::optional(masks[at - std::begin(names)]);
}

std::string_view to_text(Mask mask) {
  const auto at = std::find(std::begin(masks), std::end(masks), mask);
  return at == std::end(masks) ? std::string_view() : names[at - std::begin(masks)];
}

std::span<const std::string_view> mask_names() { return names; }

bool goes_with(Mask mask, const Type& type) {
  switch (mask) {
    case Mask::none:
    case Mask::all: return true;
    case Mask::net24: return type.kind == TypeKind::ip;
    case Mask::last4:
    case Mask::initial:
    case Mask::domain: return type.kind == TypeKind::text || type.kind == TypeKind::entity;
  }
  return false;
}

std::string masked_text(Mask mask, const Value& value) {
  if (value.is_missing()) return "?";
  if (mask == Mask::net24 && value.kind == Kind::ip) return of_ip(value);
  if (value.kind == Kind::text) return of_text(mask, value.text());
  return std::string(hidden);
}

std::string masked_json(Mask mask, const Value& value) {
  if (value.is_missing()) return "null";
  std::string out;
  append_json_string(out, masked_text(mask, value));
  return out;
}

std::string masked_line(std::string_view line, std::span<const MaskedName> fields) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = line.find('"'); at != std::string_view::npos; at = line.find('"', at)) {
    const std::size_t end = end_of_value(line, at);
    std::size_t colon = end;
    while (colon < line.size() && is_space(line[colon])) ++colon;
    if (colon >= line.size() || line[colon] != ':' || end < at + 2) {
      at = std::max(end, at + 1);
      continue;
    }
    const std::string_view name = line.substr(at + 1, end - at - 2);
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const MaskedName& f) {
      // A name may be written with escapes; then it is taken for any of them.
      return f.name == name || name.find('\\') != std::string_view::npos;
    });
    at = colon + 1;
    if (field == fields.end()) continue;
    while (at < line.size() && is_space(line[at])) ++at;
    const std::size_t stop = end_of_value(line, at);
    std::string_view raw = line.substr(at, stop - at);
    out += line.substr(done, at - done);
    const bool whole_text =
        raw.size() >= 2 && raw.front() == '"' && raw.back() == '"' && raw.find('\\') == std::string_view::npos;
    Value value = Value::of_text(raw);
    Mask mask = Mask::all;
    if (whole_text) {
      raw = raw.substr(1, raw.size() - 2);
      const auto ip = field->mask == Mask::net24 ? parse_ip(raw) : std::nullopt;
      value = ip ? *ip : Value::of_text(raw);
      mask = ip || field->mask != Mask::net24 ? field->mask : Mask::all;
    }
    if (!raw.empty()) append_json_string(out, masked_text(mask, value));
    done = stop;
    at = std::max(stop, at);
  }
  out += line.substr(done);
  return out;
}

}  // namespace tocsin::event
