// A schema with a field of every type, and random events of it: what the tests of decoding and packing share.
#pragma once

#include <string>
#include <vector>

#include <rapidcheck.h>

#include "base/arena.h"
#include "event/event.h"

namespace tocsin::event {

inline Schema all_types() {
  const Currency usd = *parse_currency("USD");
  Schema schema;
  schema.entities = {"user", "device"};
  schema.enums = {{{"success", "failure", "refused by the bank"}}};
  EventType login;
  login.name = "login";
  login.fields = {{"id", {TypeKind::text}},
                  {"at", {TypeKind::time}},
                  {"user", {TypeKind::entity, 0}},
                  {"device", {TypeKind::entity, 1}, true},
                  {"result", {TypeKind::enumeration}, true},
                  {"new_device", {TypeKind::boolean}, true},
                  {"tries", {TypeKind::integer}, true},
                  {"score", {TypeKind::decimal}, true},
                  {"ip", {TypeKind::ip}, true},
                  {"geo", {TypeKind::geo}, true},
                  {"amount", {TypeKind::money}, true},
                  {"fee", {TypeKind::money, 0, 0, usd}, true},
                  {"wait", {TypeKind::duration}, true},
                  {"seen_at", {TypeKind::time}, true},
                  {"network", {TypeKind::text}, true, true}};
  login.declared_count = 14;
  login.key = 0;
  login.time = 1;
  EventType click;
  click.name = "click";
  click.fields = {{"id", {TypeKind::text}}, {"at", {TypeKind::time}}, {"x", {TypeKind::integer}}};
  click.declared_count = 3;
  click.key = 0;
  click.time = 1;
  schema.events = {click, login};
  return schema;
}

/// Valid UTF-8 with everything that is awkward in JSON.
inline std::string random_text() {
  static const std::vector<std::string> pieces = {"a",  "Z",    "0",    " ", "\"", "\\",  "/",         "\n",
                                                  "\t", "\x01", "\x7f", "é", "€",  "😀",   "user-4711", "{",
                                                  "}",  "[",    "]",    ",", ":",  "null"};
  std::string text;
  const int count = *rc::gen::inRange(0, 12);
  for (int i = 0; i < count; ++i) text += *rc::gen::elementOf(pieces);
  return text;
}

inline Decimal random_number() {
  const auto n = *rc::gen::arbitrary<std::int64_t>();
  const int shift = *rc::gen::inRange(0, 60);
  switch (*rc::gen::inRange(0, 3)) {
    case 0: return Decimal{n >> shift};
    case 1: return Decimal{static_cast<Int128>(n >> shift) * 10'000'000};
    default: return Decimal{static_cast<Int128>(n) * n};
  }
}

inline Value random_value(const Type& type, const Schema& schema, Arena& arena) {
  switch (type.kind) {
    case TypeKind::text:
    case TypeKind::entity: return Value::of_text(arena.copy(random_text()));
    case TypeKind::boolean: return Value::of_boolean(*rc::gen::arbitrary<bool>());
    case TypeKind::integer: return Value::of_integer(*rc::gen::arbitrary<std::int64_t>() >> *rc::gen::inRange(0, 60));
    case TypeKind::decimal: return Value::of_number(random_number());
    case TypeKind::enumeration: {
      const auto count = static_cast<std::uint32_t>(schema.enums[type.enumeration].values.size());
      return Value::of_enumeration(*rc::gen::inRange(0U, count));
    }
    case TypeKind::time: return Value::of_time({*rc::gen::inRange<std::int64_t>(0, 253'339'228'800'000'000)});
    case TypeKind::duration: return Value::of_duration({*rc::gen::arbitrary<std::int64_t>()});
    case TypeKind::ip: {
      const auto low = *rc::gen::arbitrary<std::uint64_t>();
      if (*rc::gen::arbitrary<bool>()) return Value::of_ip(0, 0xffff'0000'0000ULL | (low >> 32U));
      return Value::of_ip(*rc::gen::arbitrary<std::uint64_t>(), low);
    }
    case TypeKind::cidr: return {};
    case TypeKind::geo: {
      const auto latitude = *rc::gen::inRange<std::int64_t>(-90'000'000'000, 90'000'000'001);
      return Value::of_geo(latitude, *rc::gen::inRange<std::int64_t>(-180'000'000'000, 180'000'000'001));
    }
    case TypeKind::money: {
      const Currency currency =
          type.currency.code != 0
              ? type.currency
              : *rc::gen::elementOf(std::vector<Currency>{*parse_currency("USD"), *parse_currency("JPY")});
      return Value::of_money(random_number(), currency);
    }
  }
  return {};
}

/// Derived fields and some optional ones are missing.
inline Event random_event(const Schema& schema, Arena& arena) {
  Event event;
  event.type = static_cast<EventTypeId>(*rc::gen::inRange<std::size_t>(0, schema.events.size()));
  const EventType& type = schema.events[event.type];
  event.values = arena.array<Value>(type.fields.size());
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    const FieldDef& field = type.fields[i];
    if (field.derived) continue;
    if (field.optional && *rc::gen::arbitrary<bool>()) continue;
    event.values[i] = random_value(field.type, schema, arena);
  }
  event.time = event.values[type.time].time();
  event.arrival = event.time;
  return event;
}

}  // namespace tocsin::event
