// Whatever reads bytes of the store: columns, slabs, keys, keys of records, logs, the memory of ids, the history. Bytes that are refused must
// be refused without harm; bytes that are taken must encode to bytes that read back the same, and must be usable.
// The first byte chooses the decoder, the second the column's layout.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"
#include "state/column.h"
#include "state/event_log.h"
#include "state/history.h"
#include "state/ids_seen.h"
#include "state/key.h"
#include "state/records.h"
#include "state/slab.h"

namespace {

using namespace tocsin;
using namespace tocsin::state;

ColumnLayout layout_of(std::uint8_t choice) {
  event::Type type;
  type.kind = static_cast<event::TypeKind>(choice % 12);
  if (choice >= 128) type.currency = {100};
  std::vector<Window> windows;
  for (std::uint8_t f = 0; f < 8; ++f) {
    if (choice % 5 == 0 && f != 0) break;  // counts only
    windows.push_back({static_cast<Function>(f), Reach::last, {50}});
    windows.push_back({static_cast<Function>(f), Reach::before, {1000}});
  }
  return ColumnLayout(windows, type, 0);
}

void column(std::uint8_t choice, std::string_view bytes) {
  const ColumnLayout layout = layout_of(choice);
  auto decoded = Column::decode(layout, bytes);
  if (!decoded) return;
  Column& taken = decoded.value();
  std::string first;
  taken.encode(layout, first);
  auto again = Column::decode(layout, first);
  TOCSIN_CHECK(again.ok());
  std::string second;
  again.value().encode(layout, second);
  TOCSIN_CHECK(first == second);
  for (const std::int64_t time : {0, 40, 100, 900}) {
    for (std::size_t i = 0; i < layout.windows.size(); ++i) (void)taken.read(layout, i, {{time}, 1000});
    taken.insert(layout, {{time}, 1001}, {});
    taken.expire(layout, {time});
  }
}

void history(std::string_view bytes) {
  const HistoryKey key{1, 7};
  std::string value(bytes);
  ByteWriter(value).put_u64(hash64(bytes, key.release));  // or nothing would get past the checksum
  if (Result<HistoryBlock> block = HistoryBlock::open(key, value)) {
    std::size_t held = 0;
    while (const std::optional<Judged> judged = block.value().next()) {
      held += judged->packed.size();
      TOCSIN_CHECK(held <= bytes.size());
    }
  }
  if (const auto coverage = HistoryCoverage::decode(bytes)) {
    const auto again = HistoryCoverage::decode(coverage->encode());
    TOCSIN_CHECK(again.has_value());
    TOCSIN_CHECK(again->encode() == coverage->encode());
  }
}

void records(std::string_view bytes) {
  history(bytes);
  if (const auto key = parse_history_record(bytes)) TOCSIN_CHECK(history_record(*key) == bytes);
  if (const auto key = parse_log_record(bytes)) TOCSIN_CHECK(parse_log_record(log_record(*key)) == key);
  if (const auto key = parse_slab_record(bytes)) TOCSIN_CHECK(slab_record(*key) == bytes);
  if (const auto key = parse_alert_record(bytes)) TOCSIN_CHECK(alert_record(*key) == bytes);
  if (const auto key = parse_fact_record(bytes)) TOCSIN_CHECK(fact_record(*key) == bytes);
  if (const auto key = parse_order_record(bytes)) TOCSIN_CHECK(order_record(*key) == bytes);
  if (const auto id = parse_id_seen_record(bytes)) TOCSIN_CHECK(id_seen_record(*id) == bytes);
  (void)IdsSeen::decode(bytes).ok();
}

void log(std::string_view bytes) {
  EventLog taken;
  while (bytes.size() > 1) {
    const auto position = static_cast<std::uint8_t>(bytes[0]);
    const std::size_t size = std::min<std::size_t>(static_cast<std::uint8_t>(bytes[1]) % 8, bytes.size() - 2);
    if (taken.restore(position, bytes.substr(2, size)).ok()) TOCSIN_CHECK(taken.find(position).has_value());
    bytes.remove_prefix(2 + size);
  }
  (void)taken.restore_end(taken.begin(), taken.end() + 3).ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  switch (data[0] % 5) {
    case 0: column(data[1], bytes); break;
    case 1:
      if (const auto slab = decode_slab(bytes))
        TOCSIN_CHECK(encode_slab(slab.value().sections, slab.value().last_seen).size() <= bytes.size());
      break;
    case 2:
      if (const auto values = decode_key(bytes)) {
        std::string key;
        for (const auto& value : *values) append_key_part(key, value);
        const auto again = decode_key(key);
        TOCSIN_CHECK(again.has_value());
        TOCSIN_CHECK(again->size() == values->size());
      }
      break;
    case 3: records(bytes); break;
    default: log(bytes); break;
  }
  return 0;
}
