#include "event/dead_letter.h"

namespace tocsin::event {
namespace {

void append_base64(std::string& out, std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = (group << 8U) | (k < left ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    out += digits[(group >> 18U) & 63U];
    out += digits[(group >> 12U) & 63U];
    out += left > 1 ? digits[(group >> 6U) & 63U] : '=';
    out += left > 2 ? digits[group & 63U] : '=';
  }
}

}  // namespace

DeadLetter dead_letter_of(std::string_view line, const DecodeResult& refused, Position position) {
  return {std::string(line.substr(0, line_bytes_max)), refused.reason, std::string(refused.field), refused.offset,
          position};
}

void append_json(std::string& out, const DeadLetter& letter) {
  out += "{\"reason\":\"";
  out += to_text(letter.reason);
  out += "\",\"field\":";
  if (letter.field.empty()) {
    out += "null";
  } else {
    append_json_string(out, letter.field);
  }
  out += ",\"offset\":";
  out += std::to_string(letter.offset);
  out += ",\"partition\":";
  out += std::to_string(letter.position.partition);
  out += ",\"sequence\":";
  out += std::to_string(letter.position.sequence);
  if (is_utf8(letter.bytes)) {
    out += ",\"bytes\":";
    append_json_string(out, letter.bytes);
  } else {
    out += ",\"bytes_base64\":\"";
    append_base64(out, letter.bytes);
    out += '"';
  }
  out += '}';
}

}  // namespace tocsin::event
