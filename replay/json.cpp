#include "replay/json.h"

#include <cstdint>

namespace tocsin::replay {

namespace {

constexpr int depth_max = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  bool whole(Json& out) {
    if (!value(out, 0)) return false;
    blank();
    return at_ == text_.size();
  }

 private:
  void blank() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool next_is(char c) {
    blank();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w) {
    if (text_.substr(at_, w.size()) != w) return false;
    at_ += w.size();
    return true;
  }

  bool value(Json& out, int depth) {
    blank();
    if (at_ == text_.size() || depth > depth_max) return false;
    const char c = text_[at_];
    if (c == '{') return object(out, depth);
    if (c == '[') return array(out, depth);
    if (c == '"') {
      out.kind = Json::Kind::string;
      return string(out.text);
    }
    if (word("null")) return true;
    const std::size_t begin = at_;
    if (word("true") || word("false")) {
      out.kind = Json::Kind::boolean;
    } else {
      while (at_ < text_.size() && std::string_view("+-.0123456789eE").find(text_[at_]) != std::string_view::npos)
        ++at_;
      if (at_ == begin) return false;
      out.kind = Json::Kind::number;
    }
    out.text = text_.substr(begin, at_ - begin);
    return true;
  }

  bool object(Json& out, int depth) {
    out.kind = Json::Kind::object;
    ++at_;
    if (next_is('}')) return true;
    do {
      blank();
      auto& [name, member] = out.members.emplace_back();
      if (!string(name) || !next_is(':') || !value(member, depth + 1)) return false;
    } while (next_is(','));
    return next_is('}');
  }

  bool array(Json& out, int depth) {
    out.kind = Json::Kind::array;
    ++at_;
    if (next_is(']')) return true;
    do {
      if (!value(out.items.emplace_back(), depth + 1)) return false;
    } while (next_is(','));
    return next_is(']');
  }

  bool hex(std::uint32_t& out) {
    if (text_.size() - at_ < 4) return false;
    out = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = text_[at_++];
      const char low = static_cast<char>(c | 0x20);
      std::uint32_t digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<std::uint32_t>(c - '0');
      } else if (low >= 'a' && low <= 'f') {
        digit = static_cast<std::uint32_t>(low - 'a') + 10;
      } else {
        return false;
      }
      out = out * 16 + digit;
    }
    return true;
  }

  static void append_utf8(std::string& out, std::uint32_t c) {
    const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0U | (c >> 6U));
      put(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
      put(0xE0U | (c >> 12U));
      put(0x80U | ((c >> 6U) & 0x3FU));
      put(0x80U | (c & 0x3FU));
    } else {
      put(0xF0U | (c >> 18U));
      put(0x80U | ((c >> 12U) & 0x3FU));
      put(0x80U | ((c >> 6U) & 0x3FU));
      put(0x80U | (c & 0x3FU));
    }
  }

  bool string(std::string& out) {
    if (at_ == text_.size() || text_[at_] != '"') return false;
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ == text_.size()) return false;
      switch (text_[at_++]) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'u': {
          std::uint32_t code = 0;
          if (!hex(code)) return false;
          std::uint32_t low = 0;
          if (code >= 0xD800 && code < 0xDC00) {
            if (!word("\\u") || !hex(low) || low < 0xDC00 || low > 0xDFFF) return false;
            code = 0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00);
          }
          append_utf8(out, code);
          break;
        }
        default: out += text_[at_ - 1];
      }
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

const Json& Json::operator[](std::string_view name) const {
  static const Json nothing;
  for (const auto& [member, value] : members) {
    if (member == name) return value;
  }
  return nothing;
}

bool Json::has(std::string_view name) const {
  for (const auto& [member, value] : members) {
    if (member == name) return true;
  }
  return false;
}

std::optional<Json> parse_json(std::string_view text) {
  Json out;
  if (!Parser(text).whole(out)) return std::nullopt;
  return out;
}

}  // namespace tocsin::replay
