// JSON to events. `.risk` files declare what a field means, the source's configuration how it is spelled; a JsonDecoder
// is made once from both and then reads one object per line into typed values: no string, map or allocation per event
// (its own buffers and the batch's arena grow to what the largest line needs and stay). Texts of the result are views
// into the line, or into the arena where the line writes them with escapes. What is wrong with a line comes back as a
// value: reason, field, byte. docs/records.md states the accepted form per type. A decoder belongs to one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/result.h"
#include "event/event.h"

namespace tocsin::event {

/// Why an event was refused.
enum class Reason : std::uint8_t {
  not_json,
  not_an_object,
  unknown_type,
  missing_field,
  wrong_type,
  bad_value,
  too_large,
  bad_utf8,
  duplicate_field,
};
/// Its name in records and metrics: "not_json".
std::string_view to_text(Reason reason);
constexpr std::size_t reason_count = 9;

/// One line of input, and one text in it; more is a dead letter. The first bounds what a partition needs in memory, the
/// second what a key's log keeps of one event.
constexpr std::size_t line_bytes_max = 1U << 20U;
constexpr std::size_t text_bytes_max = 64U << 10U;
static_assert(text_bytes_max < line_bytes_max);

/// Readable bytes that must follow a line handed to the decoder: it reads in whole registers.
constexpr std::size_t padding_bytes = 64;

enum class TimeFormat : std::uint8_t { rfc3339, epoch_s, epoch_ms, epoch_us };

/// In JSON the field `field` of `event_type` is called `json_name`, and by no other name.
struct Spelling {
  std::string event_type;
  std::string json_name;
  std::string field;
};

/// How a source spells its events.
struct SourceFormat {
  std::string type_field = "type";  // which JSON field names the event type
  std::string fixed_type;           // if not empty: all events are of this type, and `type_field` means nothing
  std::vector<Spelling> spellings;
  TimeFormat time_format = TimeFormat::rfc3339;
  bool truncate = false;  // times finer than a microsecond are cut instead of refused
  Currency currency;      // of money written as a bare number; 0: such money is refused
  std::string latitude_name = "lat";
  std::string longitude_name = "lon";
};

struct DecodeResult {
  bool ok = true;
  Reason reason = Reason::not_json;  // from here on: only when not ok
  std::string_view field;  // the JSON name as declared; empty when it is about the whole line; owned by the decoder
  std::size_t offset = 0;  // of the byte where it was noticed

  explicit operator bool() const { return ok; }
};

/// A field of the input that no schema declares; inside of money or a place: "amount.curency".
struct UnknownField {
  std::string type;
  std::string field;
  std::uint64_t count = 0;
};
/// So many names per type are told apart, and of so many bytes; the rest is counted together: names may come from the data,
/// and memory must not.
constexpr std::size_t unknown_names_max = 100;
constexpr std::size_t unknown_name_bytes_max = 100;
constexpr std::string_view unknown_others_name = "(other)";

class JsonDecoder {
 public:
  /// Refused when the format names a type or field that the schema does not have, or gives two fields one name.
  static Result<JsonDecoder> make(const Schema& schema, const SourceFormat& format);

  JsonDecoder(JsonDecoder&&) noexcept;
  JsonDecoder& operator=(JsonDecoder&&) noexcept;
  ~JsonDecoder();

  /// Fills type, values, time and arrival (= time) of `out`; position and, if known, arrival are the caller's.
  /// Requires: `padding_bytes` readable bytes behind `line`; `line` and `arena` outlive the use of `out`.
  DecodeResult decode(std::string_view line, Arena& arena, Event& out);

  /// Fields seen that nobody declared, since the decoder was made: by type in the order of the schema, then of appearance.
  [[nodiscard]] std::vector<UnknownField> unknown_fields() const;
  /// Their number.
  [[nodiscard]] std::uint64_t unknown_count() const;

 private:
  struct Implementation;
  explicit JsonDecoder(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

/// A line with the padding the decoder asks for, for those who have it without (a test, a request). Holds the newest
/// one only.
class PaddedBuffer {
 public:
  std::string_view hold(std::string_view line);

 private:
  std::string bytes_;
};

/// Whether these bytes are UTF-8: what a record may quote as text.
bool is_utf8(std::string_view bytes);

}  // namespace tocsin::event
