#include "event/pack.h"

#include <cstring>

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"

namespace tocsin::event {
namespace {

constexpr std::uint8_t format = 1;
constexpr std::uint8_t flag_late = 1;

// How a value is written, in the high four bits of its form. Amounts are mostly whole or in hundredths, and addresses
// mostly of four bytes; these are the short ways.
enum class Writing : std::uint8_t {
  plain,       // number: 16 bytes; ip: 16 bytes; everything else: its only way
  whole,       // number without a fraction
  hundredths,  // number with at most two digits
  units,       // number as 10^-9 in 64 bits
  short_form,  // ip: IPv4
};

// Writes into memory that is known to suffice: what ByteWriter writes, without asking for room at every byte.
class RoomyWriter {
 public:
  explicit RoomyWriter(char* at) : at_(at) {}

  void put_u8(std::uint8_t v) { *at_++ = static_cast<char>(v); }
  void put_u32(std::uint32_t v) { put_raw(&v, sizeof v); }
  void put_u64(std::uint64_t v) { put_raw(&v, sizeof v); }
  void put_i64(std::int64_t v) { put_raw(&v, sizeof v); }
  void put_varint(std::uint64_t v) {
    for (; v >= 0x80U; v >>= 7U) put_u8(static_cast<std::uint8_t>(v | 0x80U));
    put_u8(static_cast<std::uint8_t>(v));
  }
  void put_signed(std::int64_t v) {
    put_varint((static_cast<std::uint64_t>(v) << 1U) ^ static_cast<std::uint64_t>(v >> 63));
  }
  void put_bytes(std::string_view bytes) {
    put_varint(bytes.size());
    if (!bytes.empty()) put_raw(bytes.data(), bytes.size());
  }
  void put_raw(const void* data, std::size_t size) {
    std::memcpy(at_, data, size);
    at_ += size;
  }
  [[nodiscard]] const char* at() const { return at_; }

 private:
  char* at_;
};

// The most that the head of an event and one field besides its text can take: eight fixed bytes three times and three
// varints; tag, form and two varints, or sixteen bytes and a varint.
constexpr std::size_t head_bytes_max = 1 + 8 + 8 + 8 + 10 + 10 + 1 + 10;
constexpr std::size_t field_bytes_max = 4 + 1 + 20 + 10;

std::uint8_t form_of(Kind kind, Writing writing) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(kind) | (static_cast<unsigned>(writing) << 4U));
}

constexpr std::int64_t units_per_hundredth = Decimal::one / 100;

void put_number(RoomyWriter& out, Kind kind, Decimal number) {
  const auto short_units = static_cast<std::int64_t>(number.units);
  if (short_units != number.units) {
    out.put_u8(form_of(kind, Writing::plain));
    out.put_raw(&number.units, sizeof number.units);
  } else if (short_units % units_per_hundredth != 0) {
    out.put_u8(form_of(kind, Writing::units));
    out.put_signed(short_units);
  } else if (short_units % Decimal::one != 0) {
    out.put_u8(form_of(kind, Writing::hundredths));
    out.put_signed(short_units / units_per_hundredth);
  } else {
    out.put_u8(form_of(kind, Writing::whole));
    out.put_signed(short_units / Decimal::one);
  }
}

// A number in one of its four ways; nothing when it is none of them.
std::optional<Decimal> get_number(ByteReader& in, Writing writing) {
  switch (writing) {
    case Writing::whole: return Decimal::from_integer(in.get_signed());
    case Writing::hundredths: return Decimal{static_cast<Int128>(in.get_signed()) * units_per_hundredth};
    case Writing::units: return Decimal{in.get_signed()};
    case Writing::plain: {
      const std::uint64_t low = in.get_u64();
      const std::uint64_t high = in.get_u64();
      return Decimal{static_cast<Int128>((static_cast<unsigned __int128>(high) << 64U) | low)};
    }
    case Writing::short_form: return std::nullopt;
  }
  return std::nullopt;
}

/// What a warming feature knows is a bound of now; looked at later it would be taken for the value itself (W11).
bool is_kept(const Value& value) { return !value.is_missing() && value.bound == Bound::exact; }

void put_value(RoomyWriter& out, const Value& value) {
  switch (value.kind) {
    case Kind::missing: return;
    case Kind::boolean:
      out.put_u8(form_of(value.kind, Writing::plain));
      out.put_u8(value.boolean() ? 1 : 0);
      return;
    case Kind::number: put_number(out, value.kind, value.number()); return;
    case Kind::enumeration:
      out.put_u8(form_of(value.kind, Writing::plain));
      out.put_varint(value.enumeration());
      return;
    case Kind::text:
      out.put_u8(form_of(value.kind, Writing::plain));
      out.put_bytes(value.text());
      return;
    case Kind::time:
    case Kind::duration:
      out.put_u8(form_of(value.kind, Writing::plain));
      out.put_signed(static_cast<std::int64_t>(value.low));
      return;
    case Kind::ip:
      if (value.high == 0 && (value.low >> 32U) == 0xffffU) {
        out.put_u8(form_of(value.kind, Writing::short_form));
        out.put_u32(static_cast<std::uint32_t>(value.low));
        return;
      }
      out.put_u8(form_of(value.kind, Writing::plain));
      out.put_u64(value.high);
      out.put_u64(value.low);
      return;
    case Kind::geo:
      out.put_u8(form_of(value.kind, Writing::plain));
      out.put_signed(value.latitude_e9());
      out.put_signed(value.longitude_e9());
      return;
    case Kind::money:
      put_number(out, value.kind, value.number());
      out.put_varint(value.currency.code);
      return;
  }
}

// The value behind its form; false for a form that we never write. Whether the bytes sufficed is known from the reader.
bool get_value(ByteReader& in, Value& out) {
  const std::uint8_t form = in.get_u8();
  const auto writing = static_cast<Writing>(form >> 4U);
  if (writing > Writing::short_form) return false;
  const auto kind = static_cast<Kind>(form & 15U);
  if (kind != Kind::number && kind != Kind::money && kind != Kind::ip && writing != Writing::plain) return false;
  switch (kind) {
    case Kind::missing: return false;
    case Kind::boolean: out = Value::of_boolean(in.get_u8() != 0); return true;
    case Kind::enumeration: {
      const std::uint64_t index = in.get_varint();
      if (index > 0xffff'ffffU) return false;
      out = Value::of_enumeration(static_cast<std::uint32_t>(index));
      return true;
    }
    case Kind::text: {
      const std::string_view text = in.get_bytes();
      if (text.size() > 0xffff'ffffU) return false;
      out = Value::of_text(text);
      return true;
    }
    case Kind::time: out = Value::of_time({in.get_signed()}); return true;
    case Kind::duration: out = Value::of_duration({in.get_signed()}); return true;
    case Kind::geo: {
      const std::int64_t latitude = in.get_signed();
      const std::int64_t longitude = in.get_signed();
      out = Value::of_geo(latitude, longitude);
      return true;
    }
    case Kind::ip: {
      if (writing == Writing::short_form) {
        out = Value::of_ip(0, 0xffff'0000'0000ULL | in.get_u32());
        return true;
      }
      if (writing != Writing::plain) return false;
      const std::uint64_t high = in.get_u64();
      const std::uint64_t low = in.get_u64();
      out = Value::of_ip(high, low);
      return true;
    }
    case Kind::number: {
      const std::optional<Decimal> number = get_number(in, writing);
      if (!number) return false;
      out = Value::of_number(*number);
      return true;
    }
    case Kind::money: {
      const std::optional<Decimal> number = get_number(in, writing);
      const std::uint64_t currency = in.get_varint();
      if (!number || currency > 0x7fffU) return false;
      out = Value::of_money(*number, Currency{static_cast<std::uint16_t>(currency)});
      return true;
    }
  }
  return false;  // a kind of a later version
}

std::uint32_t tag_of(const Schema& schema, const FieldDef& field) {
  return field.tag != 0 ? field.tag : schema.tag_of(field);
}

std::uint64_t name_hash_of(const EventType& type) { return type.name_hash != 0 ? type.name_hash : hash64(type.name); }

// Whether a value may stand in a field of this type: bytes that claim otherwise are not ours.
bool fits(const Value& value, const Type& type, const Schema& schema) {
  if (value.kind != kind_of(type)) return false;
  if (value.kind == Kind::enumeration) return value.enumeration() < schema.enums[type.enumeration].values.size();
  return true;
}

}  // namespace

void pack(const Event& event, const Schema& schema, std::string& out) {
  const EventType& type = schema.events[event.type];
  TOCSIN_CHECK(event.values.size() == type.fields.size(), type.name, event.values.size(), type.fields.size());
  std::size_t room = head_bytes_max + event.values.size() * field_bytes_max;
  std::uint64_t present = 0;
  for (const Value& value : event.values) {
    present += is_kept(value) ? 1U : 0U;
    if (value.kind == Kind::text) room += value.size;
  }
  const std::size_t before = out.size();
  out.resize(before + room);
  RoomyWriter writer(out.data() + before);
  writer.put_u8(format);
  writer.put_u64(name_hash_of(type));
  writer.put_i64(event.time.us);
  writer.put_i64(event.arrival.us);
  writer.put_varint(event.position.partition);
  writer.put_varint(event.position.sequence);
  writer.put_u8(event.late ? flag_late : 0);
  writer.put_varint(present);
  for (std::size_t i = 0; i < event.values.size(); ++i) {
    if (!is_kept(event.values[i])) continue;
    writer.put_u32(tag_of(schema, type.fields[i]));
    put_value(writer, event.values[i]);
  }
  const auto size = static_cast<std::size_t>(writer.at() - out.data());
  TOCSIN_CHECK(size <= out.size(), size, out.size());
  out.resize(size);
}

std::optional<Event> unpack(std::string_view bytes, const Schema& schema, Arena& arena) {
  ByteReader in(bytes);
  if (in.get_u8() != format) return std::nullopt;
  const std::uint64_t name = in.get_u64();
  const EventType* type = nullptr;
  Event event;
  for (std::size_t i = 0; i < schema.events.size(); ++i) {
    if (name_hash_of(schema.events[i]) != name) continue;
    type = &schema.events[i];
    event.type = static_cast<EventTypeId>(i);
    break;
  }
  if (type == nullptr) return std::nullopt;
  event.time.us = in.get_i64();
  event.arrival.us = in.get_i64();
  const std::uint64_t partition = in.get_varint();
  if (partition > 0xffff'ffffU) return std::nullopt;
  event.position.partition = static_cast<std::uint32_t>(partition);
  event.position.sequence = in.get_varint();
  const std::uint8_t flags = in.get_u8();
  if ((flags & ~flag_late) != 0) return std::nullopt;
  event.late = (flags & flag_late) != 0;
  const std::uint64_t present = in.get_varint();
  if (in.failed() || present > in.remaining()) return std::nullopt;
  event.values = arena.array<Value>(type->fields.size());
  std::size_t expected = 0;  // where the next field stands if the type has not changed: packed in its order
  for (std::uint64_t n = 0; n < present; ++n) {
    const std::uint32_t tag = in.get_u32();
    const std::size_t count = type->fields.size();
    Value passed_over;  // of a field that is not known any more
    Value* value = &passed_over;
    const FieldDef* field = nullptr;
    for (std::size_t tried = 0; tried < count; ++tried) {
      const std::size_t at = expected + tried < count ? expected + tried : expected + tried - count;
      if (tag_of(schema, type->fields[at]) != tag) continue;
      field = &type->fields[at];
      value = &event.values[at];
      expected = at + 1 < count ? at + 1 : 0;
      break;
    }
    if (!get_value(in, *value)) return std::nullopt;
    if (in.failed()) return std::nullopt;
    if (field != nullptr && !fits(*value, field->type, schema)) return std::nullopt;
  }
  if (!in.at_end()) return std::nullopt;
  return event;
}

}  // namespace tocsin::event
