// What an event may hold, as the rule files declare it: entities, event types, fields with their types. Names become
// indices here, once; behind this page nobody looks anything up by name. Constant after checking and shared by all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event/value.h"

namespace tocsin::event {

using EntityId = std::uint16_t;
using EnumId = std::uint16_t;
using EventTypeId = std::uint16_t;
using FieldIndex = std::uint16_t;

enum class TypeKind : std::uint8_t {
  text,
  boolean,
  integer,
  decimal,
  enumeration,
  time,
  duration,
  ip,
  cidr,
  geo,
  money,
  entity,
};

/// The static type of a field, a list element, or an expression.
struct Type {
  TypeKind kind = TypeKind::text;
  EntityId entity = 0;     // entity only
  EnumId enumeration = 0;  // enumeration only
  Currency currency;       // money only: fixed currency, or 0 when it varies
  bool operator==(const Type&) const = default;
};

/// What of a field's value leaves the program (event/mask.h).
enum class Mask : std::uint8_t { none, all, domain, initial, last4, net24 };

struct EnumDef {
  std::vector<std::string> values;  // at most 255
};

struct FieldDef {
  std::string name;
  Type type;
  bool optional = false;
  bool derived = false;   // computed by the engine when the event arrives; never in the input
  std::uint32_t tag = 0;  // what the packed form calls it (Schema::seal); 0 until then
  Mask mask = Mask::none;
};

struct EventType {
  std::string name;
  std::vector<FieldDef> fields;      // declared first, derived behind them
  std::uint32_t declared_count = 0;  // how many of them come from the input
  FieldIndex key = 0;                // the idempotency key: text
  FieldIndex time = 0;
  std::optional<FieldIndex> seq;  // its own number of the event: puts those of one time in order
  bool of_hits = false;           // `hit.RULE`: made by the engine, never in the input
  std::uint64_t name_hash = 0;    // what the packed form calls it (Schema::seal); 0 until then
  [[nodiscard]] std::optional<FieldIndex> find(std::string_view field) const;
};

struct Schema {
  std::vector<std::string> entities;
  std::vector<EnumDef> enums;  // equal lists of values share one
  std::vector<EventType> events;

  [[nodiscard]] std::optional<EventTypeId> find_event(std::string_view name) const;
  [[nodiscard]] std::optional<EntityId> find_entity(std::string_view name) const;
  /// The type as the language writes it: "decimal", "enum(a, b)", "money<USD>", "user".
  [[nodiscard]] std::string type_text(const Type& type) const;
  /// Works out, once, what the packed form calls types and fields. To be called when nothing changes any more; without
  /// it packing is right and slow.
  void seal();
  /// What the packed form calls a field: of its name and its type as text, never 0.
  [[nodiscard]] std::uint32_t tag_of(const FieldDef& field) const;
};

/// The kind that values of a type have at run time. Networks (cidr) live in lists only and have none: missing.
Kind kind_of(const Type& type);

/// A value as texts for analysts show it (LANGUAGE V8): numbers to two places, money "12.5 USD", "?" when missing.
std::string shown(const Value& value, const Type& type, const Schema& schema);
/// A value as records show it: exact, JSON syntax included (quotes, null).
std::string json_text(const Value& value, const Type& type, const Schema& schema);
void append_json(std::string& out, const Value& value, const Type& type, const Schema& schema);
/// `text` quoted and escaped as JSON.
void append_json_string(std::string& out, std::string_view text);

}  // namespace tocsin::event
