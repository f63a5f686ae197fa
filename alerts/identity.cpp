#include "alerts/identity.h"

#include "base/coding.h"

namespace tocsin::alerts {

namespace {

// The first bytes keep ids of different kinds apart and name the layout.
constexpr std::string_view hit_layout = "hit1";
constexpr std::string_view decision_layout = "decision1";

}  // namespace

Digest hit_id(std::string_view rule, Digest revision, std::span<const NamedValue> key,
              std::span<const BoundEvent> events, std::optional<Timestamp> deadline) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_bytes(hit_layout);
  out.put_bytes(rule);
  out.put_u64(revision.high);
  out.put_u64(revision.low);
  out.put_varint(key.size());
  for (const NamedValue& part : key) out.put_bytes(part.json);
  out.put_varint(events.size());
  for (const BoundEvent& event : events) {
    out.put_bytes(event.type);
    out.put_bytes(event.id);
  }
  out.put_u8(deadline ? 1 : 0);
  if (deadline) out.put_i64(deadline->us);
  return hash128(bytes);
}

Digest hit_id(const Hit& hit) { return hit_id(hit.rule->name, hit.rule->revision, hit.key, hit.events, hit.deadline); }

Digest decision_id(std::string_view event_type, std::string_view event_id, std::string_view policy) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_bytes(decision_layout);
  out.put_bytes(event_type);
  out.put_bytes(event_id);
  out.put_bytes(policy);
  return hash128(bytes);
}

}  // namespace tocsin::alerts
