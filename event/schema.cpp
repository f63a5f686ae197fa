#include "event/schema.h"

#include <array>

#include "base/hash.h"

namespace tocsin::event {

std::optional<FieldIndex> EventType::find(std::string_view field) const {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == field) return static_cast<FieldIndex>(i);
  }
  return std::nullopt;
}

std::optional<EventTypeId> Schema::find_event(std::string_view name) const {
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (events[i].name == name) return static_cast<EventTypeId>(i);
  }
  return std::nullopt;
}

std::optional<EntityId> Schema::find_entity(std::string_view name) const {
  for (std::size_t i = 0; i < entities.size(); ++i) {
    if (entities[i] == name) return static_cast<EntityId>(i);
  }
  return std::nullopt;
}

std::string Schema::type_text(const Type& type) const {
  switch (type.kind) {
    case TypeKind::text: return "string";
    case TypeKind::boolean: return "bool";
    case TypeKind::integer: return "int";
    case TypeKind::decimal: return "decimal";
    case TypeKind::time: return "time";
    case TypeKind::duration: return "duration";
    case TypeKind::ip: return "ip";
    case TypeKind::cidr: return "cidr";
    case TypeKind::geo: return "geo";
    case TypeKind::money: return type.currency.code == 0 ? "money" : "money<" + to_text(type.currency) + ">";
    case TypeKind::entity: return entities[type.entity];
    case TypeKind::enumeration: {
      std::string text = "enum(";
      const std::vector<std::string>& values = enums[type.enumeration].values;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0) text += ", ";
        text += values[i];
      }
      return text + ")";
    }
  }
  return {};
}

void Schema::seal() {
  for (EventType& type : events) {
    type.name_hash = hash64(type.name);
    for (FieldDef& field : type.fields) field.tag = tag_of(field);
  }
}

std::uint32_t Schema::tag_of(const FieldDef& field) const {
  const std::uint64_t hash = hash64(field.name + ":" + type_text(field.type));
  const auto tag = static_cast<std::uint32_t>(hash ^ (hash >> 32U));
  return tag == 0 ? 1 : tag;
}

Kind kind_of(const Type& type) {
  switch (type.kind) {
    case TypeKind::text:
    case TypeKind::entity: return Kind::text;
    case TypeKind::boolean: return Kind::boolean;
    case TypeKind::integer:
    case TypeKind::decimal: return Kind::number;
    case TypeKind::enumeration: return Kind::enumeration;
    case TypeKind::time: return Kind::time;
    case TypeKind::duration: return Kind::duration;
    case TypeKind::ip: return Kind::ip;
    case TypeKind::cidr: return Kind::missing;
    case TypeKind::geo: return Kind::geo;
    case TypeKind::money: return Kind::money;
  }
  return Kind::missing;
}

namespace {

std::string_view enum_name(const Value& value, const Type& type, const Schema& schema) {
  if (type.kind != TypeKind::enumeration || type.enumeration >= schema.enums.size()) return "?";
  const std::vector<std::string>& values = schema.enums[type.enumeration].values;
  return value.enumeration() < values.size() ? std::string_view(values[value.enumeration()]) : "?";
}

Decimal degrees(std::int64_t e9) { return {e9}; }

}  // namespace

std::string shown(const Value& value, const Type& type, const Schema& schema) {
  constexpr int places = 2;
  switch (value.kind) {
    case Kind::missing: return "?";
    case Kind::boolean: return value.boolean() ? "true" : "false";
    case Kind::number: return to_rounded_text(value.number(), places);
    case Kind::enumeration: return std::string(enum_name(value, type, schema));
    case Kind::text: return std::string(value.text());
    case Kind::time: return to_text(value.time());
    case Kind::duration: return to_text(value.duration());
    case Kind::ip: return ip_text(value);
    case Kind::geo:
      return to_rounded_text(degrees(value.latitude_e9()), places) + "," +
             to_rounded_text(degrees(value.longitude_e9()), places);
    case Kind::money: return to_rounded_text(value.number(), places) + " " + to_text(value.currency);
  }
  return "?";
}

std::string json_text(const Value& value, const Type& type, const Schema& schema) {
  std::string out;
  append_json(out, value, type, schema);
  return out;
}

void append_json(std::string& out, const Value& value, const Type& type, const Schema& schema) {
  switch (value.kind) {
    case Kind::missing: out += "null"; return;
    case Kind::boolean: out += value.boolean() ? "true" : "false"; return;
    case Kind::number: out += to_text(value.number()); return;
    case Kind::enumeration: append_json_string(out, enum_name(value, type, schema)); return;
    case Kind::text: append_json_string(out, value.text()); return;
    case Kind::time:
      out += '"';
      out += to_text(value.time());
      out += '"';
      return;
    case Kind::duration:
      // Seconds with up to six digits: exact, and what the decoder reads.
      out += to_text(Decimal{static_cast<Int128>(value.duration().us) * 1000});
      return;
    case Kind::ip:
      out += '"';
      out += ip_text(value);
      out += '"';
      return;
    case Kind::geo:
      out += "{\"lat\":";
      out += to_text(degrees(value.latitude_e9()));
      out += ",\"lon\":";
      out += to_text(degrees(value.longitude_e9()));
      out += '}';
      return;
    case Kind::money:
      out += "{\"amount\":\"";
      out += to_text(value.number());
      out += "\",\"currency\":\"";
      out += to_text(value.currency);
      out += "\"}";
      return;
  }
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  out += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(done, i - done));
    done = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        out += "\\u00";
        out += digits[c >> 4U];
        out += digits[c & 15U];
    }
  }
  out.append(text.substr(done));
  out += '"';
}

}  // namespace tocsin::event
