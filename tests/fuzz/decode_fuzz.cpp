// Any bytes handed to the decoder are an event or a dead letter. The first byte chooses how the source spells its
// events; what decodes is packed, unpacked and shown again, so that these meet strange values, too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "event/decode.h"
#include "event/pack.h"

using namespace tocsin;
using namespace tocsin::event;

namespace {

Schema schema_of_all_types() {
  Schema schema;
  schema.entities = {"user"};
  schema.enums = {{{"success", "failure"}}};
  EventType login;
  login.name = "login";
  login.fields = {{"id", {TypeKind::text}},
                  {"at", {TypeKind::time}},
                  {"user", {TypeKind::entity}, true},
                  {"result", {TypeKind::enumeration}, true},
                  {"new_device", {TypeKind::boolean}, true},
                  {"tries", {TypeKind::integer}, true},
                  {"score", {TypeKind::decimal}, true},
                  {"ip", {TypeKind::ip}, true},
                  {"geo", {TypeKind::geo}, true},
                  {"amount", {TypeKind::money}, true},
                  {"fee", {TypeKind::money, 0, 0, *parse_currency("USD")}, true},
                  {"wait", {TypeKind::duration}, true},
                  {"derived", {TypeKind::text}, true, true}};
  login.declared_count = 12;
  login.time = 1;
  schema.events = {login};
  schema.seal();
  return schema;
}

std::vector<JsonDecoder> decoders_for(const Schema& schema) {
  std::vector<SourceFormat> formats(4);
  formats[1].time_format = TimeFormat::epoch_ms;
  formats[1].truncate = true;
  formats[1].fixed_type = "login";
  formats[2].time_format = TimeFormat::epoch_s;
  formats[2].currency = *parse_currency("EUR");
  formats[2].spellings = {{"login", "ts", "at"}};
  formats[3].truncate = true;
  formats[3].type_field = "kind";
  std::vector<JsonDecoder> decoders;
  for (const SourceFormat& format : formats) decoders.push_back(JsonDecoder::make(schema, format).take());
  return decoders;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Schema schema = schema_of_all_types();
  static std::vector<JsonDecoder> decoders = decoders_for(schema);
  if (size == 0) return 0;
  const std::string_view line(reinterpret_cast<const char*>(data) + 1, size - 1);
  PaddedBuffer buffer;
  Arena arena;
  Event event;
  const DecodeResult result = decoders[data[0] % decoders.size()].decode(buffer.hold(line), arena, event);
  if (!result) {
    TOCSIN_CHECK(result.offset <= line.size(), result.offset, line.size());
    return 0;
  }
  const EventType& type = schema.events[event.type];
  TOCSIN_CHECK(is_event_time(event.time), event.time.us);
  std::string packed;
  pack(event, schema, packed);
  const std::optional<Event> back = unpack(packed, schema, arena);
  TOCSIN_CHECK(back.has_value());
  for (std::size_t i = 0; i < type.fields.size(); ++i) {
    TOCSIN_CHECK(same(back->values[i], event.values[i]), type.fields[i].name);
    (void)shown(event.values[i], type.fields[i].type, schema);
    (void)json_text(event.values[i], type.fields[i].type, schema);
  }
  (void)unpack(line, schema, arena);
  return 0;
}
