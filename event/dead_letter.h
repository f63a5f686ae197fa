// An event that was refused, with everything a person needs to see why: the bytes as they came, the reason, the field,
// the byte, and where it came from. Counted by reason and written out; the stream goes on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "event/decode.h"
#include "event/event.h"

namespace tocsin::event {

struct DeadLetter {
  std::string bytes;  // the original line; of one above line_bytes_max its beginning
  Reason reason = Reason::not_json;
  std::string field;       // as spelled in the input; empty when it is about the whole line
  std::size_t offset = 0;  // of the byte where it was noticed
  Position position;
};

DeadLetter dead_letter_of(std::string_view line, const DecodeResult& refused, Position position);

/// The record as JSON: {"reason":…,"field":… or null,"offset":…,"partition":…,"sequence":…,"bytes":"…"}. Bytes that are
/// not UTF-8 stand as "bytes_base64" instead.
void append_json(std::string& out, const DeadLetter& letter);

}  // namespace tocsin::event
