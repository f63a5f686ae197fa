#include "state/key.h"

#include "base/coding.h"

namespace tocsin::state {

using event::Kind;
using event::Value;

void append_key_part(std::string& key, const Value& value) {
  ByteWriter writer(key);
  writer.put_u8(static_cast<std::uint8_t>(value.kind));
  switch (value.kind) {
    case Kind::missing: return;
    case Kind::boolean: writer.put_u8(value.boolean() ? 1 : 0); return;
    case Kind::enumeration: writer.put_varint(value.low); return;
    case Kind::text: writer.put_bytes(value.text()); return;
    case Kind::time:
    case Kind::duration: writer.put_u64(value.low); return;
    case Kind::number:
    case Kind::ip:
    case Kind::geo:
      writer.put_u64(value.low);
      writer.put_u64(value.high);
      return;
    case Kind::money:
      writer.put_u64(value.low);
      writer.put_u64(value.high);
      writer.put_u8(static_cast<std::uint8_t>(value.currency.code));
      writer.put_u8(static_cast<std::uint8_t>(value.currency.code >> 8U));
      return;
  }
}

std::optional<std::vector<Value>> decode_key(std::string_view key) {
  ByteReader reader(key);
  std::vector<Value> values;
  while (!reader.at_end()) {
    const std::uint8_t kind = reader.get_u8();
    if (kind > static_cast<std::uint8_t>(Kind::money)) return std::nullopt;
    Value value;
    value.kind = static_cast<Kind>(kind);
    switch (value.kind) {
      case Kind::missing: break;
      case Kind::boolean:
        value.low = reader.get_u8();
        if (value.low > 1) return std::nullopt;
        break;
      case Kind::enumeration: value.low = reader.get_varint(); break;
      case Kind::text: value = Value::of_text(reader.get_bytes()); break;
      case Kind::time:
      case Kind::duration: value.low = reader.get_u64(); break;
      case Kind::number:
      case Kind::ip:
      case Kind::geo:
        value.low = reader.get_u64();
        value.high = reader.get_u64();
        break;
      case Kind::money:
        value.low = reader.get_u64();
        value.high = reader.get_u64();
        value.currency.code = reader.get_u8();
        value.currency.code = static_cast<std::uint16_t>(value.currency.code | (reader.get_u8() << 8U));
        break;
    }
    if (reader.failed()) return std::nullopt;
    values.push_back(value);
  }
  return values;
}

}  // namespace tocsin::state
