#include "event/decode.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace tocsin::event {
namespace {

namespace ondemand = simdjson::ondemand;

static_assert(padding_bytes >= simdjson::SIMDJSON_PADDING);

/// The first `size` of sixteen bytes, at most, as two words. Requires: sixteen readable bytes.
struct Words {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  bool operator==(const Words&) const = default;

  static Words of(const char* at, std::size_t size) {
    Words words;
    std::memcpy(&words.first, at, 8);
    std::memcpy(&words.second, at + 8, 8);
    words.first &= mask(size);
    words.second &= size > 8 ? mask(size - 8) : 0;
    return words;
  }

 private:
  static std::uint64_t mask(std::size_t bytes) { return bytes >= 8 ? ~0ULL : (1ULL << (8 * bytes)) - 1; }
};

// A small set of names found by their bytes: open addressing over a hash of the length and the first and last eight
// bytes. Built once per event type and enumeration; a look-up touches one or two lines of memory.
//
// Names inside of a line have a table of their own: they are at most two words, and its hash is drawn until no two names meet, where
// they are few enough for that, so that nearly every look-up is one comparison that the processor guesses right.
class NameTable {
 public:
  static constexpr int none = -1;

  /// False when the name is there already.
  bool add(std::string_view name, int index) {
    if (find(name) != none) return false;
    names_.push_back({std::string(name), index});
    rebuild();
    return true;
  }
  [[nodiscard]] int find(std::string_view name) const {
    if (slots_.empty()) return none;
    for (std::size_t at = hash(name) & mask_;; at = (at + 1) & mask_) {
      const std::uint16_t slot = slots_[at];
      if (slot == 0) return none;
      const Entry& entry = names_[slot - 1U];
      if (entry.name == name) return entry.index;
    }
  }
  /// The same. Requires: sixteen readable bytes.
  [[nodiscard]] int find_in_line(std::string_view name) const {
    if (name.size() > sizeof(Words)) return find(name);
    const Words words = Words::of(name.data(), name.size());
    for (std::size_t at = short_place(words);; at = (at + 1) & (short_.size() - 1)) {
      const Short& s = short_[at];
      if (s.words == words && s.size == name.size()) return s.index;
      if (s.size == Short::free) return none;
    }
  }

 private:
  struct Entry {
    std::string name;
    int index;
  };
  struct Short {
    static constexpr std::uint32_t free = ~std::uint32_t{0};
    Words words;
    std::uint32_t size = free;
    int index = none;
  };

  static std::uint64_t hash(std::string_view name) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (name.size() >= 8) {
      std::memcpy(&first, name.data(), 8);
      std::memcpy(&last, name.data() + name.size() - 8, 8);
    } else if (!name.empty()) {
      std::memcpy(&first, name.data(), name.size());
    }
    std::uint64_t x = (first + name.size()) * 0x9e3779b97f4a7c15ULL;
    x ^= (last ^ (x >> 29U)) * 0xd6e8feb86659fd93ULL;
    return x ^ (x >> 32U);
  }
  void rebuild() {
    std::size_t size = 4;
    while (size < names_.size() * 2) size *= 2;
    slots_.assign(size, 0);
    mask_ = size - 1;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      std::size_t at = hash(names_[i].name) & mask_;
      while (slots_[at] != 0) at = (at + 1) & mask_;
      slots_[at] = static_cast<std::uint16_t>(i + 1);
    }
    rebuild_short();
  }
  [[nodiscard]] std::size_t short_place(const Words& words) const {
    return static_cast<std::size_t>((words.first ^ std::rotl(words.second, 23)) * short_factor_ >> short_shift_);
  }
  void rebuild_short() {
    unsigned bits = 2;
    while ((std::size_t{1} << bits) < names_.size() * 4) ++bits;
    short_shift_ = 64 - bits;
    short_factor_ = 0x9e3779b97f4a7c15ULL;
    constexpr int draws = 64;
    for (int draw = 0;; ++draw, short_factor_ += 0xd1342543de82ef94ULL) {  // stays odd
      short_.assign(std::size_t{1} << bits, {});
      bool met = false;
      for (const Entry& entry : names_) {
        if (entry.name.size() > sizeof(Words)) continue;
        std::array<char, sizeof(Words)> bytes{};
        std::copy(entry.name.begin(), entry.name.end(), bytes.begin());
        const Words words = Words::of(bytes.data(), bytes.size());
        std::size_t at = short_place(words);
        for (; short_[at].size != Short::free; at = (at + 1) & (short_.size() - 1)) met = true;
        short_[at] = {words, static_cast<std::uint32_t>(entry.name.size()), entry.index};
      }
      if (!met || draw == draws) return;
    }
  }

  std::vector<Entry> names_;
  std::vector<std::uint16_t> slots_;
  std::size_t mask_ = 0;
  std::vector<Short> short_ = std::vector<Short>(1);
  std::uint64_t short_factor_ = 0;
  unsigned short_shift_ = 0;
};

// What may stand as the key of a JSON object, besides the declared fields, which are numbered from 0.
constexpr int slot_unknown = -1;
constexpr int slot_type = -2;

// A key with the quote that ends it, so that one of at most fifteen bytes is compared in two words.
struct KeyPattern {
  KeyPattern() = default;
  explicit KeyPattern(const std::string& key) : name(key), is_short(key.size() < sizeof words) {
    if (!is_short) return;
    const std::string quoted = key + '"';
    std::memcpy(words.data(), quoted.data(), quoted.size());
    std::string mask(quoted.size(), '\xff');
    std::memcpy(masks.data(), mask.data(), mask.size());
  }

  std::string name;
  std::array<std::uint64_t, 2> words{};
  std::array<std::uint64_t, 2> masks{};
  bool is_short = false;
};

// The first moment of a day, by the text of its date with the `T` behind it: neighbouring events are of one day.
struct KnownDay {
  Words text;  // eleven bytes
  std::int64_t first_us = 0;
};
constexpr std::size_t date_size = 11;

struct FieldPlan {
  std::string name;  // in JSON
  KeyPattern key;    // the same
  TypeKind kind = TypeKind::text;
  Currency currency;            // money: the declared one, or 0
  int enumeration = 0;          // which NameTable
  FieldIndex index = 0;         // among the values of the event
  int follower = slot_unknown;  // which slot stood behind this one last time: tried first
  KnownDay day;                 // times: of the last one read
};

struct TypePlan {
  std::string name;
  std::vector<FieldPlan> fields;
  NameTable names;
  std::vector<std::uint64_t> required;  // bit per entry of `fields`
  std::vector<UnknownField> unknown;    // names nobody declared, in order of appearance
  NameTable unknown_names;
  std::uint64_t unknown_others = 0;  // behind unknown_names_max
  std::size_t value_count = 0;
  FieldIndex time = 0;
  int after_type = slot_unknown;
  int first = slot_unknown;
};

// JSON is stricter than parse_decimal: no plus sign, no zeros in front.
bool is_json_number(std::string_view token) {
  const std::size_t first = !token.empty() && token[0] == '-' ? 1 : 0;
  if (first >= token.size() || token[first] < '0' || token[first] > '9') return false;
  return token[first] != '0' || first + 1 >= token.size() || token[first + 1] < '0' || token[first + 1] > '9';
}

// Nearly all numbers of events: `digits` / 10^fraction.
struct PlainNumber {
  std::uint64_t digits = 0;  // below 10^18
  unsigned fraction = 0;     // at most 9
  bool negative = false;

  [[nodiscard]] Decimal decimal() const {
    constexpr std::array<std::uint32_t, 10> powers = {1'000'000'000, 100'000'000, 10'000'000, 1'000'000, 100'000,
                                                      10'000,        1'000,       100,        10,        1};
    const auto units = static_cast<Int128>(static_cast<unsigned __int128>(digits) * powers[fraction]);
    return {negative ? -units : units};
  }
};

// Which of eight bytes are no digits, bit 7 of each: a digit XOR '0' is at most 9.
std::uint64_t not_digits(std::uint64_t minus_zeros) {
  return (minus_zeros | (minus_zeros + 0x7676767676767676ULL)) & 0x8080808080808080ULL;
}

// Eight digits, the first in the lowest byte, as a number: pairs, fours, eights (D. Lemire, "Quickly parsing eight digits").
std::uint64_t of_eight_digits(std::uint64_t digits) {
  digits = digits * 10 + (digits >> 8U);
  return ((digits & 0x000000ff000000ffULL) * 0x000f424000000064ULL +
          ((digits >> 16U) & 0x000000ff000000ffULL) * 0x0000271000000001ULL) >>
         32U;
}

// False: not a number as JSON writes it, or not a plain one. Requires: eight readable bytes behind `token`.
bool read_plain_number(std::string_view token, PlainNumber& out) {
  static_assert(std::endian::native == std::endian::little);
  const char* at = token.data();
  std::size_t size = token.size();
  out.negative = *at == '-';
  if (out.negative) {
    ++at;
    --size;
  }
  if (size == 0 || size > 18 || (size > 1 && *at == '0' && at[1] != '.')) return false;
  out.fraction = 0;
  if (size <= 8) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, at, 8);
    bytes = (bytes ^ 0x3030303030303030ULL) << (64 - 8 * size);  // zeros in front, where this shifts them in
    const std::uint64_t others = not_digits(bytes);
    if (others != 0) {
      // One point between digits: what stands before it moves up to what stands behind it.
      const auto point = static_cast<unsigned>(std::countr_zero(others)) / 8;
      const auto behind = 7 - point;
      if ((others & (others - 1)) != 0 || (bytes >> (8 * point) & 0xffU) != ('.' ^ '0')) return false;
      if (behind == 0 || point == 8 - size) return false;
      const std::uint64_t before = (1ULL << (8 * point)) - 1;
      bytes = (bytes & before) << 8U | (bytes & ~(before << 8U | 0xffU));
      out.fraction = behind;
    }
    out.digits = of_eight_digits(bytes);
    return true;
  }
  std::uint64_t digits = 0;
  const char* const end = at + size;
  const char* const begin = at;
  for (; at != end && *at >= '0' && *at <= '9'; ++at) digits = digits * 10 + static_cast<unsigned>(*at - '0');
  if (at == begin) return false;
  if (at != end) {
    if (*at != '.') return false;
    const char* const fraction = ++at;
    for (; at != end && *at >= '0' && *at <= '9'; ++at) digits = digits * 10 + static_cast<unsigned>(*at - '0');
    out.fraction = static_cast<unsigned>(at - fraction);
    if (at != end || out.fraction == 0 || out.fraction > 9) return false;
  }
  out.digits = digits;
  return true;
}

// "2026-01-05T10:00:00.123Z" with at most six digits behind the point, on a day known already. False: anything else.
// Requires: sixteen readable bytes behind the text.
bool read_time_of_day(std::string_view text, const KnownDay& day, Timestamp& out) {
  if (text.size() < date_size + 9 || Words::of(text.data(), date_size) != day.text) return false;
  const char* at = text.data() + date_size;
  const char* const end = text.data() + text.size() - 1;
  std::uint64_t clock = 0;
  std::memcpy(&clock, at, 8);
  clock ^= 0x30303a30303a3030ULL;  // "00:00:00"
  if (((clock | (clock + 0x76767f76767f7676ULL)) & 0x8080808080808080ULL) != 0) return false;
  clock = clock * 10 + (clock >> 8U);  // hours, minutes and seconds in bytes 0, 3 and 6
  const std::uint64_t hours = clock & 0xffU;
  const std::uint64_t minutes = clock >> 24U & 0xffU;
  const std::uint64_t seconds = clock >> 48U & 0xffU;
  if (hours > 23 || minutes > 59 || seconds > 59 || *end != 'Z') return false;
  at += 8;
  std::uint64_t fraction = 0;
  if (at != end) {
    const auto places = static_cast<std::size_t>(end - at) - 1;
    if (*at != '.' || places == 0 || places > 6) return false;
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, at + 1, 8);
    bytes = (bytes ^ 0x3030303030303030ULL) & ((1ULL << (8 * places)) - 1);
    if (not_digits(bytes) != 0) return false;
    fraction = of_eight_digits(bytes) / 100;  // the first six of eight, zeros behind
  }
  out.us = day.first_us + static_cast<std::int64_t>(((hours * 60 + minutes) * 60 + seconds) * 1'000'000 + fraction);
  return true;
}

bool starts_number(char c) { return c == '-' || (c >= '0' && c <= '9'); }

// Whether a token can begin a value at all. What it cannot is a matter of JSON, not of the field it stands in.
bool is_value(std::string_view token) {
  const char first = token[0];
  if (first == '"' || first == '{' || first == '[') return true;
  if (starts_number(first)) return is_json_number(token);
  return token == "null" || token == "true" || token == "false";
}

// Where bytes stop to be UTF-8. Only for lines that simdjson refused for it, so that simple is good enough.
std::size_t first_bad_utf8(std::string_view bytes) {
  std::size_t good = 0;
  std::size_t bad = bytes.size();
  // The longest prefix that is UTF-8 up to an unfinished character: halving, since validity of prefixes is monotone but
  // for a character cut at the end, which the four bytes below settle.
  while (bad - good > 4) {
    std::size_t middle = good + (bad - good) / 2;
    std::size_t cut = middle;
    while (cut > good && (static_cast<unsigned char>(bytes[cut]) & 0xc0U) == 0x80U && middle - cut < 3) --cut;
    if (cut == good) break;
    if (simdjson::validate_utf8(bytes.data(), cut)) {
      good = cut;
    } else {
      bad = cut;
    }
  }
  while (good < bytes.size()) {
    std::size_t length = 1;
    while (length <= 4 && good + length <= bytes.size() && !simdjson::validate_utf8(bytes.data() + good, length))
      ++length;
    if (length > 4 || good + length > bytes.size()) return good;
    good += length;
  }
  return good;
}

}  // namespace

std::string_view to_text(Reason reason) {
  switch (reason) {
    case Reason::not_json: return "not_json";
    case Reason::not_an_object: return "not_an_object";
    case Reason::unknown_type: return "unknown_type";
    case Reason::missing_field: return "missing_field";
    case Reason::wrong_type: return "wrong_type";
    case Reason::bad_value: return "bad_value";
    case Reason::too_large: return "too_large";
    case Reason::bad_utf8: return "bad_utf8";
    case Reason::duplicate_field: return "duplicate_field";
  }
  return "unknown";
}

struct JsonDecoder::Implementation {
  std::vector<TypePlan> types;
  NameTable type_names;
  std::vector<NameTable> enums;
  SourceFormat format;
  KeyPattern type_key;
  KeyPattern amount_key{"amount"};
  KeyPattern currency_key{"currency"};
  KeyPattern latitude_key;
  KeyPattern longitude_key;
  int fixed_type = NameTable::none;
  std::vector<std::uint64_t> seen;     // bit per field of the type at hand: stood in the object
  std::vector<std::uint64_t> present;  // the same: with a value that is not null
  ondemand::parser parser;
  // Where the tokens of a line begin, for decode_straight().
  std::unique_ptr<simdjson::internal::dom_parser_implementation> tokens;
  std::uint64_t unknown_count = 0;
  unsigned in_vain = 0;  // lines of late that were good, and that decode_straight() could not read
  unsigned to_pass = 0;  // so many lines are not even tried
  std::vector<std::string_view> unknown_here;  // of the line at hand, in decode_straight()

  // Of the line at hand.
  std::string_view line;
  Arena* arena = nullptr;
  std::string_view name_here;  // the key that was looked up last
  bool escapes = false;        // there is a backslash somewhere in the line
  DecodeResult refused;        // why, once a function below has returned false

  // Always false, so that refusing is one line. Cold: keeps what it builds out of the way of good events.
  [[gnu::cold, gnu::noinline]] bool refusal(Reason reason, std::string_view field, std::size_t offset) {
    refused = {false, reason, field, offset};
    return false;
  }

  [[nodiscard]] std::size_t offset_of(const char* at) const {
    const auto distance = at - line.data();
    return distance < 0 ? 0 : std::min(static_cast<std::size_t>(distance), line.size());
  }
  // The bytes of a value's first token: all of a scalar, the bracket of an object or array. Never empty.
  [[nodiscard]] std::string_view token_of(ondemand::value& value) const {
    std::string_view token = value.raw_json_token();
    const char* end = line.data() + line.size();
    if (token.data() < line.data() || token.data() >= end) return "?";  // behind the last token: no value at all
    token = token.substr(0, static_cast<std::size_t>(end - token.data()));
    while (token.size() > 1 && static_cast<unsigned char>(token.back()) <= ' ') token.remove_suffix(1);
    return token.empty() ? "?" : token;
  }
  [[gnu::cold]] bool no_json(const char* at) { return refusal(Reason::not_json, {}, offset_of(at)); }

  [[nodiscard]] bool decode(std::string_view bytes, Arena& memory, Event& out);
  [[nodiscard]] bool decode_straight(Event& out);
  // What lies between two tokens is the first one, and white space.
  [[nodiscard]] std::string_view straight_token(const std::uint32_t* token) const {
    std::size_t size = token[1] - token[0];
    while (size > 1 && static_cast<unsigned char>(line[token[0] + size - 1]) <= ' ') --size;
    return line.substr(token[0], size);
  }
  [[nodiscard]] bool straight_value(FieldPlan& field, std::string_view token, Value& out);
  [[nodiscard]] bool straight_text(std::string_view token, std::string_view& out);
  [[nodiscard]] const std::uint32_t* straight_nested(const FieldPlan& field, const std::uint32_t* at,
                                                     const std::uint32_t* end, Value& out) const;
  [[nodiscard]] bool decode_object(ondemand::document& document, Event& out);
  [[nodiscard]] bool decode_field(TypePlan& type, int slot, ondemand::value& value, const char* key, Event& out);
  [[nodiscard]] bool decode_value(TypePlan& type, const FieldPlan& field, ondemand::value& value,
                                  std::string_view token, Value& out);
  [[nodiscard]] bool decode_text(std::string_view name, ondemand::value& value, std::string_view token,
                                 std::string_view& out);
  [[nodiscard]] bool decode_time(const FieldPlan& field, ondemand::value& value, std::string_view token, Value& out);
  [[nodiscard]] bool decode_money(TypePlan& type, const FieldPlan& field, ondemand::value& value,
                                  std::string_view token, Value& out);
  [[nodiscard]] bool decode_geo(TypePlan& type, const FieldPlan& field, ondemand::value& value, std::string_view token,
                                Value& out);
  // Counts a field that nobody declared. Its value is looked at no further than its first token: what is inside of a
  // nested one is stepped over by its brackets.
  [[nodiscard]] bool pass_unknown(TypePlan& type, ondemand::value& value) {
    const std::string_view token = token_of(value);
    count_unknown(type, name_here);
    if (!is_value(token)) return no_json(token.data());
    return true;
  }
  void count_unknown(TypePlan& type, std::string_view name) {
    ++unknown_count;
    const int known = type.unknown_names.find(name);
    if (known != NameTable::none) {
      ++type.unknown[static_cast<std::size_t>(known)].count;
    } else if (type.unknown.size() < unknown_names_max && name.size() <= unknown_name_bytes_max) {
      type.unknown_names.add(name, static_cast<int>(type.unknown.size()));
      type.unknown.push_back({type.name, std::string(name), 1});
    } else {
      ++type.unknown_others;
    }
  }
  [[nodiscard]] bool finish(const TypePlan& type, std::size_t end, Event& out);

  // Whether the key that begins at `key` (behind its quote) is this one, written without escapes.
  [[nodiscard]] bool key_is(const char* key, const KeyPattern& pattern) const {
    if (pattern.is_short) {
      std::array<std::uint64_t, 2> words{};
      std::memcpy(words.data(), key, sizeof words);  // inside of the padding, if not of the line
      return (((words[0] ^ pattern.words[0]) & pattern.masks[0]) |
              ((words[1] ^ pattern.words[1]) & pattern.masks[1])) == 0;
    }
    const std::string_view name = pattern.name;
    if (name.size() >= static_cast<std::size_t>(line.data() + line.size() - key)) return false;
    return std::memcmp(key, name.data(), name.size()) == 0 && key[name.size()] == '"';
  }
  // The key of `field` with escapes resolved; consumes it. Empty when it is no proper string.
  std::string_view key_of(ondemand::field& field) {
    const char* key = field.key().raw();
    const std::size_t left = static_cast<std::size_t>(line.data() + line.size() - key);
    const void* quote = std::memchr(key, '"', left);
    const std::size_t size = quote == nullptr ? left : static_cast<std::size_t>(static_cast<const char*>(quote) - key);
    if (!escapes || std::memchr(key, '\\', size) == nullptr) return {key, size};
    std::string_view name;
    if (field.unescaped_key().get(name) != simdjson::SUCCESS) return {};
    return name;
  }
  [[gnu::always_inline]] int slot_of(const TypePlan& type, int predicted, const char* key, ondemand::field& field) {
    if (predicted >= 0 && key_is(key, type.fields[static_cast<std::size_t>(predicted)].key)) [[likely]]
      return predicted;
    return looked_up(type, field);
  }
  [[gnu::noinline]] int looked_up(const TypePlan& type, ondemand::field& field) {
    name_here = key_of(field);
    if (fixed_type == NameTable::none && name_here == format.type_field) return slot_type;
    return type.names.find(name_here);
  }
};

Result<JsonDecoder> JsonDecoder::make(const Schema& schema, const SourceFormat& format) {
  auto made = std::make_unique<Implementation>();
  made->format = format;
  made->type_key = KeyPattern(format.type_field);
  made->latitude_key = KeyPattern(format.latitude_name);
  made->longitude_key = KeyPattern(format.longitude_name);
  const auto refused = [](std::string text) { return Error{ErrorKind::refused, std::move(text)}; };
  if (format.latitude_name == format.longitude_name) {
    return refused("latitude and longitude cannot both be called \"" + format.latitude_name + "\"");
  }
  for (const EnumDef& definition : schema.enums) {
    NameTable& names = made->enums.emplace_back();
    for (std::size_t i = 0; i < definition.values.size(); ++i) names.add(definition.values[i], static_cast<int>(i));
  }
  for (const Spelling& spelling : format.spellings) {
    const std::optional<EventTypeId> type = schema.find_event(spelling.event_type);
    if (!type || schema.events[*type].of_hits)
      return refused("the source spells fields of \"" + spelling.event_type + "\", and no such event is declared");
    const std::optional<FieldIndex> field = schema.events[*type].find(spelling.field);
    if (!field)
      return refused("event \"" + spelling.event_type + "\" has no field \"" + spelling.field + "\" to be spelled");
    if (schema.events[*type].fields[*field].derived) {
      return refused("field \"" + spelling.field + "\" of \"" + spelling.event_type +
                     "\" is derived and never in the input");
    }
  }
  for (std::size_t t = 0; t < schema.events.size(); ++t) {
    const EventType& event = schema.events[t];
    TypePlan& plan = made->types.emplace_back();
    if (event.of_hits) continue;  // no input is of this type
    made->type_names.add(event.name, static_cast<int>(t));
    plan.name = event.name;
    plan.value_count = event.fields.size();
    plan.time = event.time;
    for (std::size_t i = 0; i < event.fields.size(); ++i) {
      const FieldDef& field = event.fields[i];
      if (field.derived) continue;
      if (kind_of(field.type) == Kind::missing) {
        return refused("field \"" + field.name + "\" of \"" + event.name + "\": a field cannot hold a network (" +
                       schema.type_text(field.type) + "); only lists can");
      }
      FieldPlan read;
      read.name = field.name;
      for (const Spelling& spelling : format.spellings) {
        if (spelling.event_type == event.name && spelling.field == field.name) read.name = spelling.json_name;
      }
      read.kind = field.type.kind;
      read.currency = field.type.currency;
      read.enumeration = field.type.enumeration;
      read.index = static_cast<FieldIndex>(i);
      read.key = KeyPattern(read.name);
      const std::size_t slot = plan.fields.size();
      if (!plan.names.add(read.name, static_cast<int>(slot))) {
        return refused("two fields of event \"" + event.name + "\" are spelled \"" + read.name + "\" in this source");
      }
      if (format.fixed_type.empty() && read.name == format.type_field) {
        return refused("field \"" + field.name + "\" of event \"" + event.name +
                       "\" is spelled like the field that names the " +
                       "type; give the source another type field or another spelling");
      }
      if (slot % 64 == 0) plan.required.push_back(0);
      if (!field.optional || i == event.key || i == event.time) plan.required[slot / 64] |= 1ULL << (slot % 64);
      plan.fields.push_back(std::move(read));
    }
    // A first guess at the order of fields: as declared, behind the type.
    plan.first = format.fixed_type.empty() ? slot_type : 0;
    plan.after_type = plan.fields.empty() ? slot_unknown : 0;
    for (std::size_t i = 0; i + 1 < plan.fields.size(); ++i) plan.fields[i].follower = static_cast<int>(i + 1);
    made->seen.resize(std::max(made->seen.size(), plan.required.size()));
  }
  made->present.resize(made->seen.size());
  if (!format.fixed_type.empty()) {
    made->fixed_type = made->type_names.find(format.fixed_type);
    if (made->fixed_type == NameTable::none) {
      return refused("all events of the source are said to be \"" + format.fixed_type +
                     "\", and no such event is declared");
    }
  }
  // Enough for nearly all lines; longer ones make it grow once.
  constexpr std::size_t usual_line_bytes = 16 * 1024;
  static_assert(std::has_single_bit(usual_line_bytes));
  const simdjson::error_code made_tokens = simdjson::get_active_implementation()->create_dom_parser_implementation(
      usual_line_bytes, simdjson::DEFAULT_MAX_DEPTH, made->tokens);
  if (made_tokens != simdjson::SUCCESS || made->parser.allocate(usual_line_bytes) != simdjson::SUCCESS) {
    return Error{ErrorKind::unavailable, "no memory for the JSON decoder"};
  }
  return JsonDecoder(std::move(made));
}

JsonDecoder::JsonDecoder(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
JsonDecoder::JsonDecoder(JsonDecoder&&) noexcept = default;
JsonDecoder& JsonDecoder::operator=(JsonDecoder&&) noexcept = default;
JsonDecoder::~JsonDecoder() = default;

std::uint64_t JsonDecoder::unknown_count() const { return implementation_->unknown_count; }
std::vector<UnknownField> JsonDecoder::unknown_fields() const {
  std::vector<UnknownField> all;
  for (const TypePlan& type : implementation_->types) {
    all.insert(all.end(), type.unknown.begin(), type.unknown.end());
    if (type.unknown_others > 0) all.push_back({type.name, std::string(unknown_others_name), type.unknown_others});
  }
  return all;
}

DecodeResult JsonDecoder::decode(std::string_view line, Arena& arena, Event& out) {
  if (implementation_->decode(line, arena, out)) return {};
  return implementation_->refused;
}

bool JsonDecoder::Implementation::decode(std::string_view bytes, Arena& memory, Event& out) {
  line = bytes;
  arena = &memory;
  if (line.size() > line_bytes_max) return refusal(Reason::too_large, {}, line_bytes_max);
  escapes = std::memchr(line.data(), '\\', line.size()) != nullptr;
  const bool tried = to_pass == 0;
  if (tried) {
    if (decode_straight(out)) {
      in_vain = 0;
      return true;
    }
  } else {
    --to_pass;
  }
  // Twice the line, since an object whose type stands last is read twice, and escapes are resolved into the parser's
  // buffer, which is sized by this and never rewound within a line.
  if (parser.capacity() < 2 * line.size()) {
    if (parser.allocate(std::bit_ceil(2 * line.size())) != simdjson::SUCCESS) return refusal(Reason::too_large, {}, 0);
  }
  ondemand::document document;
  const simdjson::error_code error =
      parser.iterate(simdjson::padded_string_view(line.data(), line.size(), line.size() + padding_bytes)).get(document);
  if (error == simdjson::UTF8_ERROR) return refusal(Reason::bad_utf8, {}, first_bad_utf8(line));
  // Where a string is not closed simdjson does not say where it began; the end of the line is where that was noticed.
  if (error != simdjson::SUCCESS) return no_json(line.data() + line.size());
  if (!decode_object(document, out)) return false;
  // Where lines are good and not straight, as those of another shape each are, most are not tried any more.
  constexpr unsigned passed_most = 64;
  if (tried) to_pass = in_vain = std::min(2 * in_vain + 1, passed_most);
  return true;
}

// The straight way, for lines of a shape that is known: the first stage of simdjson finds where tokens begin, and from one to the
// next the fields are read as they are expected, each the one that stood behind this one last time. It settles nothing on its own:
// whatever it does not know (an escape in a key, a rare spelling of a value, any mistake) makes it give up, and the line is read
// again the careful way, which has all the answers and says what is wrong. What it reads it reads to the same values; the tests hold
// the two ways against each other.
bool JsonDecoder::Implementation::decode_straight(Event& out) {
  if (line.size() > tokens->capacity() && tokens->set_capacity(std::bit_ceil(line.size())) != simdjson::SUCCESS)
    return false;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(line.data());
  if (tokens->stage1(bytes, line.size(), simdjson::stage1_mode::regular) != simdjson::SUCCESS) return false;
  const char* const text = line.data();
  const std::uint32_t* at = tokens->structural_indexes.get();
  const std::uint32_t* const end = at + tokens->n_structural_indexes;
  if (text[*at] != '{') return false;
  ++at;

  // Behind a nested value whose bracket stands at `token`; `end` when it is not closed.
  const auto behind_nested = [&](const std::uint32_t* token) {
    std::size_t depth = 0;
    for (; token != end; ++token) {
      const char c = text[*token];
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return token + 1;
    }
    return token;
  };

  const std::uint32_t* type_at = nullptr;
  int type_index = fixed_type;
  if (type_index == NameTable::none) {
    for (type_at = at;; ++type_at) {
      if (end - type_at < 4 || text[*type_at] != '"' || text[type_at[1]] != ':') return false;
      if (key_is(text + *type_at + 1, type_key)) break;
      const char first = text[type_at[2]];
      type_at = first == '{' || first == '[' ? behind_nested(type_at + 2) : type_at + 3;
      if (type_at == end || text[*type_at] != ',') return false;
    }
    const std::string_view token = straight_token(type_at + 2);
    if (token.size() < 2 || token[0] != '"' || token.back() != '"') return false;
    const std::string_view name = token.substr(1, token.size() - 2);
    if (escapes && std::memchr(name.data(), '\\', name.size()) != nullptr) return false;
    type_index = type_names.find_in_line(name);
    if (type_index == NameTable::none) return false;
  }
  TypePlan& type = types[static_cast<std::size_t>(type_index)];
  if (type.required.size() > 1) return false;  // more fields than bits below
  out.type = static_cast<EventTypeId>(type_index);
  out.late = false;
  out.values = arena->array<Value>(type.value_count);
  std::uint64_t seen_here = 0;
  std::uint64_t present_here = 0;
  unknown_here.clear();

  int* prediction = &type.first;
  for (;; ++at) {
    if (end - at < 4) return false;
    const char* const key = text + *at + 1;
    if (key[-1] != '"' || text[at[1]] != ':') return false;
    int slot = *prediction;
    if (slot < 0 || !key_is(key, type.fields[static_cast<std::size_t>(slot)].key)) {
      if (at == type_at) {
        prediction = &type.after_type;
        at += 3;
        if (text[*at] == ',') continue;
        break;
      }
      const std::string_view quoted = straight_token(at);
      if (quoted.size() < 2 || quoted.back() != '"') return false;
      const std::string_view name = quoted.substr(1, quoted.size() - 2);
      if (escapes && std::memchr(name.data(), '\\', name.size()) != nullptr) return false;
      slot = type.names.find_in_line(name);
      if (slot == NameTable::none) {
        if (fixed_type == NameTable::none && name == format.type_field) return false;
        unknown_here.push_back(name);
        const char first = text[at[2]];
        if (first != '{' && first != '[') {
          if (!is_value(straight_token(at + 2))) return false;
          at += 3;
        } else {
          at = behind_nested(at + 2);
          if (at == end) return false;
        }
        if (text[*at] == ',') continue;
        break;
      }
      *prediction = slot;
    }
    FieldPlan& field = type.fields[static_cast<std::size_t>(slot)];
    prediction = &field.follower;
    const std::uint64_t bit = 1ULL << static_cast<unsigned>(slot);
    if ((seen_here & bit) != 0) return false;
    seen_here |= bit;
    const std::string_view token = straight_token(at + 2);
    Value& value = out.values[field.index];
    if (token[0] == '{' || token[0] == '[') {
      at = straight_nested(field, at + 2, end, value);
      if (at == nullptr) return false;
      present_here |= bit;
    } else {
      at += 3;
      if (token != "null") {
        if (!straight_value(field, token, value)) return false;
        present_here |= bit;
      }
    }
    if (text[*at] != ',') break;
  }
  if (text[*at] != '}' || at + 1 != end || (type.required[0] & ~present_here) != 0) return false;
  out.time = out.values[type.time].time();
  out.arrival = out.time;
  for (const std::string_view name : unknown_here) count_unknown(type, name);
  return true;
}

bool JsonDecoder::Implementation::straight_text(std::string_view token, std::string_view& out) {
  if (token.size() < 2 || token[0] != '"' || token.back() != '"' || token.size() - 2 > text_bytes_max) return false;
  out = token.substr(1, token.size() - 2);
  if (!escapes || std::memchr(out.data(), '\\', out.size()) == nullptr) [[likely]]
    return true;
  // Never longer than what is written; the rest is what simdjson wants to be able to write beyond.
  auto* memory = reinterpret_cast<std::uint8_t*>(arena->allocate(out.size() + padding_bytes));
  const std::uint8_t* last = tokens->parse_string(reinterpret_cast<const std::uint8_t*>(out.data()), memory);
  if (last == nullptr) return false;
  out = {reinterpret_cast<const char*>(memory), static_cast<std::size_t>(last - memory)};
  return true;
}

bool JsonDecoder::Implementation::straight_value(FieldPlan& field, std::string_view token, Value& out) {
  std::string_view text;
  PlainNumber number;
  switch (field.kind) {
    case TypeKind::text:
    case TypeKind::entity:
      if (!straight_text(token, text)) return false;
      out = Value::of_text(text);
      return true;
    case TypeKind::boolean:
      if (token != "true" && token != "false") return false;
      out = Value::of_boolean(token[0] == 't');
      return true;
    case TypeKind::integer:
    case TypeKind::decimal:
      if (!read_plain_number(token, number)) return false;
      if (field.kind == TypeKind::integer && number.fraction != 0) return false;
      out = Value::of_number(number.decimal());
      return true;
    case TypeKind::enumeration: {
      if (!straight_text(token, text)) return false;
      const int index = enums[static_cast<std::size_t>(field.enumeration)].find_in_line(text);
      if (index == NameTable::none) return false;
      out = Value::of_enumeration(static_cast<std::uint32_t>(index));
      return true;
    }
    case TypeKind::time: {
      Timestamp time;
      if (format.time_format == TimeFormat::rfc3339) {
        if (!straight_text(token, text)) return false;
        if (!read_time_of_day(text, field.day, time)) {
          const std::optional<Timestamp> parsed =
              format.truncate ? parse_timestamp_truncating(text) : parse_timestamp(text);
          if (!parsed) return false;
          time = *parsed;
          if (text.size() > date_size) {
            const std::optional<Timestamp> day = parse_timestamp(text.substr(0, date_size - 1));
            if (day && text.data() == token.data() + 1) field.day = {Words::of(text.data(), date_size), day->us};
          }
        }
      } else {
        if (!read_plain_number(token, number) || number.fraction != 0 || number.negative) return false;
        std::int64_t us_per_unit = 1;
        if (format.time_format == TimeFormat::epoch_ms) us_per_unit = 1'000;
        if (format.time_format == TimeFormat::epoch_s) us_per_unit = 1'000'000;
        if (__builtin_mul_overflow(static_cast<std::int64_t>(number.digits), us_per_unit, &time.us)) return false;
        if (!is_event_time(time)) return false;
      }
      out = Value::of_time(time);
      return true;
    }
    case TypeKind::duration: {
      if (!straight_text(token, text)) return false;  // seconds as a number are rare
      const std::optional<Duration> duration = parse_duration(text);
      if (!duration) return false;
      out = Value::of_duration(*duration);
      return true;
    }
    case TypeKind::ip: {
      if (!straight_text(token, text)) return false;
      const std::optional<Value> ip = parse_ip(text);
      if (!ip) return false;
      out = *ip;
      return true;
    }
    case TypeKind::money: {
      if (token[0] == '"') {
        if (!straight_text(token, text)) return false;
        const std::optional<Value> money = parse_money(text);
        if (!money) return false;
        out = *money;
      } else {
        const Currency currency = format.currency.code != 0 ? format.currency : field.currency;
        if (currency.code == 0 || !read_plain_number(token, number)) return false;
        out = Value::of_money(number.decimal(), currency);
      }
      return field.currency.code == 0 || out.currency == field.currency;
    }
    case TypeKind::geo:
    case TypeKind::cidr: return false;
  }
  return false;
}

// Money as {"amount": …, "currency": …}, a place as {"lat": …, "lon": …}, in this order, or as [lat, lon]. Gives the token behind
// the last bracket; null: it is something else.
const std::uint32_t* JsonDecoder::Implementation::straight_nested(const FieldPlan& field, const std::uint32_t* at,
                                                                  const std::uint32_t* end, Value& out) const {
  const bool is_money = field.kind == TypeKind::money;
  if ((!is_money && field.kind != TypeKind::geo) || escapes) return nullptr;
  const char* const text = line.data();
  const auto stands = [&](std::size_t token, char c) { return text[at[token]] == c; };
  std::array<std::string_view, 2> parts;
  std::size_t size = 0;
  if (stands(0, '{')) {
    size = 9;  // { "amount" : 1 , "currency" : "EUR" }
    if (end - at <= static_cast<std::ptrdiff_t>(size)) return nullptr;
    if (!stands(1, '"') || !stands(2, ':') || !stands(4, ',') || !stands(5, '"') || !stands(6, ':') || !stands(8, '}'))
      return nullptr;
    if (!key_is(text + at[1] + 1, is_money ? amount_key : latitude_key)) return nullptr;
    if (!key_is(text + at[5] + 1, is_money ? currency_key : longitude_key)) return nullptr;
    parts = {straight_token(at + 3), straight_token(at + 7)};
  } else {
    size = 5;
    if (end - at <= static_cast<std::ptrdiff_t>(size)) return nullptr;
    if (is_money || !stands(0, '[') || !stands(2, ',') || !stands(4, ']')) return nullptr;
    parts = {straight_token(at + 1), straight_token(at + 3)};
  }
  PlainNumber number;
  if (is_money) {
    std::string_view digits = parts[0];
    if (digits.size() > 2 && digits[0] == '"' && digits.back() == '"') digits = digits.substr(1, digits.size() - 2);
    if (!read_plain_number(digits, number)) return nullptr;
    if (parts[1].size() != 5 || parts[1][0] != '"' || parts[1][4] != '"') return nullptr;
    const std::optional<Currency> currency = parse_currency(parts[1].substr(1, 3));
    if (!currency || (field.currency.code != 0 && *currency != field.currency)) return nullptr;
    out = Value::of_money(number.decimal(), *currency);
    return at + size;
  }
  std::array<std::int64_t, 2> degrees{};
  for (std::size_t i = 0; i < 2; ++i) {
    Decimal read;
    if (read_plain_number(parts[i], number)) {
      read = number.decimal();
    } else {
      const std::optional<Decimal> rounded = is_json_number(parts[i]) ? parse_decimal_rounding(parts[i]) : std::nullopt;
      if (!rounded) return nullptr;
      read = *rounded;
    }
    const Decimal limit = Decimal::from_integer(i == 0 ? 90 : 180);
    if (read > limit || read < Decimal{-limit.units}) return nullptr;
    degrees[i] = static_cast<std::int64_t>(read.units);
  }
  out = Value::of_geo(degrees[0], degrees[1]);
  return at + size;
}

bool JsonDecoder::Implementation::decode_object(ondemand::document& document, Event& out) {
  ondemand::object object;
  if (const simdjson::error_code error = document.get_object().get(object); error != simdjson::SUCCESS) {
    if (error == simdjson::INCORRECT_TYPE) return refusal(Reason::not_an_object, {}, 0);
    return no_json(line.data() + line.size());
  }
  TypePlan* type = nullptr;
  const auto begin_type = [&](int index) {
    type = &types[static_cast<std::size_t>(index)];
    out.type = static_cast<EventTypeId>(index);
    out.late = false;
    out.values = arena->array<Value>(type->value_count);
    std::fill_n(seen.begin(), type->required.size(), 0);
    std::fill_n(present.begin(), type->required.size(), 0);
  };
  if (fixed_type != NameTable::none) begin_type(fixed_type);
  int* prediction = type == nullptr ? nullptr : &type->first;
  std::size_t before_type = 0;  // fields that stood before the one that names the type: read in a second pass

  ondemand::object_iterator at;
  ondemand::object_iterator end;
  if (object.begin().get(at) != simdjson::SUCCESS) return no_json(line.data());
  if (object.end().get(end) != simdjson::SUCCESS) return no_json(line.data());
  for (; at != end; ++at) {
    // Referred to, not copied: a copy reads sixteen bytes that were just written in smaller pieces, and waits for them.
    auto held = *at;
    if (held.error() != simdjson::SUCCESS) return no_json(line.data() + line.size());
    ondemand::field&& field = std::move(held).value_unsafe();
    const char* key = field.key().raw();
    if (type == nullptr) {
      if (!key_is(key, type_key) && (!escapes || key_of(field) != format.type_field)) {
        ++before_type;
        continue;
      }
      const std::string_view token = token_of(field.value());
      if (token[0] != '"') return refusal(Reason::wrong_type, format.type_field, offset_of(token.data()));
      std::string_view name;
      if (!decode_text(format.type_field, field.value(), token, name)) return false;
      const int found = type_names.find(name);
      if (found == NameTable::none) return refusal(Reason::unknown_type, format.type_field, offset_of(token.data()));
      begin_type(found);
      prediction = &type->after_type;
      continue;
    }
    const int slot = slot_of(*type, *prediction, key, field);
    if (slot >= 0) {
      if (*prediction != slot) *prediction = slot;
      if (!decode_field(*type, slot, field.value(), key, out)) return false;
      prediction = &type->fields[static_cast<std::size_t>(slot)].follower;
      continue;
    }
    if (slot == slot_type) return refusal(Reason::duplicate_field, format.type_field, offset_of(key));
    if (!pass_unknown(*type, field.value())) return false;
  }
  // The iterator ends on an error, too; then there is something left.
  const char* rest = nullptr;
  const simdjson::error_code left = document.current_location().get(rest);
  if (left != simdjson::OUT_OF_BOUNDS) return no_json(left == simdjson::SUCCESS ? rest : line.data() + line.size());
  if (type == nullptr) return refusal(Reason::missing_field, format.type_field, line.size());
  if (before_type == 0) return finish(*type, line.size(), out);

  bool not_empty = false;
  if (object.reset().get(not_empty) != simdjson::SUCCESS) return no_json(line.data());
  if (object.begin().get(at) != simdjson::SUCCESS) return no_json(line.data());
  prediction = &type->first;
  for (std::size_t i = 0; i < before_type; ++i, ++at) {
    auto held = *at;
    if (held.error() != simdjson::SUCCESS) return no_json(line.data());
    ondemand::field&& field = std::move(held).value_unsafe();
    const char* key = field.key().raw();
    const int slot = slot_of(*type, *prediction, key, field);
    if (slot < 0) {
      if (!pass_unknown(*type, field.value())) return false;
      continue;
    }
    *prediction = slot;
    if (!decode_field(*type, slot, field.value(), key, out)) return false;
    prediction = &type->fields[static_cast<std::size_t>(slot)].follower;
  }
  return finish(*type, line.size(), out);
}

bool JsonDecoder::Implementation::finish(const TypePlan& type, std::size_t end, Event& out) {
  for (std::size_t word = 0; word < type.required.size(); ++word) {
    const std::uint64_t missing = type.required[word] & ~present[word];
    if (missing == 0) continue;
    const std::size_t slot = word * 64 + static_cast<std::size_t>(std::countr_zero(missing));
    return refusal(Reason::missing_field, type.fields[slot].name, end);
  }
  out.time = out.values[type.time].time();
  out.arrival = out.time;
  return true;
}

bool JsonDecoder::Implementation::decode_field(TypePlan& type, int slot, ondemand::value& value, const char* key,
                                               Event& out) {
  const auto index = static_cast<std::size_t>(slot);
  const FieldPlan& field = type.fields[index];
  const std::uint64_t bit = 1ULL << (index % 64);
  // Refused rather than settled: programs differ in which of two they take, and whoever sends both may count on it.
  if ((seen[index / 64] & bit) != 0) return refusal(Reason::duplicate_field, field.name, offset_of(key));
  seen[index / 64] |= bit;
  const std::string_view token = token_of(value);
  if (token == "null") return true;
  present[index / 64] |= bit;
  return decode_value(type, field, value, token, out.values[field.index]);
}

bool JsonDecoder::Implementation::decode_value(TypePlan& type, const FieldPlan& field, ondemand::value& value,
                                               std::string_view token, Value& out) {
  const char first = token[0];
  const auto wrong = [&] {
    return refusal(is_value(token) ? Reason::wrong_type : Reason::not_json, field.name, offset_of(token.data()));
  };
  const auto bad = [&] { return refusal(Reason::bad_value, field.name, offset_of(token.data())); };
  switch (field.kind) {
    case TypeKind::text:
    case TypeKind::entity: {
      if (first != '"') return wrong();
      std::string_view text;
      if (!decode_text(field.name, value, token, text)) return false;
      out = Value::of_text(text);
      return true;
    }
    case TypeKind::boolean:
      if (token == "true") {
        out = Value::of_boolean(true);
      } else if (token == "false") {
        out = Value::of_boolean(false);
      } else {
        return wrong();
      }
      return true;
    case TypeKind::integer:
    case TypeKind::decimal: {
      if (!starts_number(first)) return wrong();
      if (!is_json_number(token)) return bad();
      const std::optional<Decimal> number = parse_decimal(token);
      if (!number) return bad();
      if (field.kind == TypeKind::integer && number->units % Decimal::one != 0) return bad();
      out = Value::of_number(*number);
      return true;
    }
    case TypeKind::enumeration: {
      if (first != '"') return wrong();
      std::string_view text;
      if (!decode_text(field.name, value, token, text)) return false;
      const int index = enums[static_cast<std::size_t>(field.enumeration)].find(text);
      if (index == NameTable::none) return bad();
      out = Value::of_enumeration(static_cast<std::uint32_t>(index));
      return true;
    }
    case TypeKind::time: return decode_time(field, value, token, out);
    case TypeKind::duration: {
      if (first == '"') {
        std::string_view text;
        if (!decode_text(field.name, value, token, text)) return false;
        const std::optional<Duration> duration = parse_duration(text);
        if (!duration) return bad();
        out = Value::of_duration(*duration);
        return true;
      }
      if (!starts_number(first)) return wrong();
      const std::optional<Decimal> seconds = is_json_number(token) ? parse_decimal(token) : std::nullopt;
      if (!seconds || seconds->units % 1000 != 0) return bad();
      const Int128 us = seconds->units / 1000;
      if (static_cast<std::int64_t>(us) != us) return bad();
      out = Value::of_duration({static_cast<std::int64_t>(us)});
      return true;
    }
    case TypeKind::ip: {
      if (first != '"') return wrong();
      std::string_view text;
      if (!decode_text(field.name, value, token, text)) return false;
      const std::optional<Value> ip = parse_ip(text);
      if (!ip) return bad();
      out = *ip;
      return true;
    }
    case TypeKind::geo:
      if (first != '{' && first != '[') return wrong();
      return decode_geo(type, field, value, token, out);
    case TypeKind::money:
      if (first != '{' && first != '"' && !starts_number(first)) return wrong();
      return decode_money(type, field, value, token, out);
    case TypeKind::cidr: break;  // refused when the decoder was made
  }
  return wrong();
}

// Requires: `token` begins with a quote.
bool JsonDecoder::Implementation::decode_text(std::string_view name, ondemand::value& value, std::string_view token,
                                              std::string_view& out) {
  if (token.size() < 2 || token.back() != '"') return no_json(token.data());
  std::string_view text = token.substr(1, token.size() - 2);
  if (escapes && std::memchr(text.data(), '\\', text.size()) != nullptr) {
    std::string_view unescaped;
    // Half of a surrogate pair, or an escape that JSON does not know.
    if (value.get_string().get(unescaped) != simdjson::SUCCESS)
      return refusal(Reason::bad_value, name, offset_of(token.data()));
    if (unescaped.size() <= text_bytes_max) text = arena->copy(unescaped);
  }
  if (text.size() > text_bytes_max) return refusal(Reason::too_large, name, offset_of(token.data()));
  out = text;
  return true;
}

bool JsonDecoder::Implementation::decode_time(const FieldPlan& field, ondemand::value& value, std::string_view token,
                                              Value& out) {
  const auto bad = [&] { return refusal(Reason::bad_value, field.name, offset_of(token.data())); };
  if (format.time_format == TimeFormat::rfc3339) {
    if (token[0] != '"') return refusal(Reason::wrong_type, field.name, offset_of(token.data()));
    std::string_view text;
    if (!decode_text(field.name, value, token, text)) return false;
    const std::optional<Timestamp> time = format.truncate ? parse_timestamp_truncating(text) : parse_timestamp(text);
    if (!time) return bad();
    out = Value::of_time(*time);
    return true;
  }
  if (!starts_number(token[0])) return refusal(Reason::wrong_type, field.name, offset_of(token.data()));
  if (!is_json_number(token)) return bad();
  const std::optional<Decimal> number = parse_decimal(token);
  if (!number) return bad();
  Int128 units_per_us = Decimal::one;
  if (format.time_format == TimeFormat::epoch_ms) units_per_us = Decimal::one / 1'000;
  if (format.time_format == TimeFormat::epoch_s) units_per_us = Decimal::one / 1'000'000;
  if (!format.truncate && number->units % units_per_us != 0) return bad();
  if (number->units < 0) return bad();
  const Int128 us = number->units / units_per_us;
  if (static_cast<std::int64_t>(us) != us || !is_event_time({static_cast<std::int64_t>(us)})) return bad();
  out = Value::of_time({static_cast<std::int64_t>(us)});
  return true;
}

bool JsonDecoder::Implementation::decode_money(TypePlan& type, const FieldPlan& field, ondemand::value& value,
                                               std::string_view token, Value& out) {
  const auto refuse = [&](Reason reason) { return refusal(reason, field.name, offset_of(token.data())); };
  std::optional<Decimal> amount;
  std::optional<Currency> currency;
  if (token[0] == '"') {
    std::string_view text;
    if (!decode_text(field.name, value, token, text)) return false;
    const std::optional<Value> money = parse_money(text);
    if (!money) return refuse(Reason::bad_value);
    amount = money->number();
    currency = money->currency;
  } else if (token[0] == '{') {
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return no_json(token.data());
    for (auto part : object) {
      ondemand::field inner;
      if (std::move(part).get(inner) != simdjson::SUCCESS) return no_json(token.data());
      const std::string_view name = key_of(inner);
      const std::string_view inside = token_of(inner.value());
      const bool is_amount = name == "amount";
      if (!is_amount && name != "currency") {
        count_unknown(type, field.name + "." + std::string(name));
        continue;
      }
      if (is_amount ? amount.has_value() : currency.has_value()) return refuse(Reason::duplicate_field);
      std::string_view text = inside;
      if (inside[0] == '"') {
        if (!decode_text(field.name, inner.value(), inside, text)) return false;
      } else if (!is_amount) {
        return refuse(Reason::wrong_type);
      } else if (!starts_number(inside[0])) {
        return refuse(Reason::wrong_type);
      } else if (!is_json_number(inside)) {
        return refuse(Reason::bad_value);
      }
      if (is_amount) {
        amount = parse_decimal(text);
        if (!amount) return refuse(Reason::bad_value);
      } else {
        currency = parse_currency(text);
        if (!currency) return refuse(Reason::bad_value);
      }
    }
    if (!amount || !currency) return refuse(Reason::bad_value);
  } else {
    // A bare number: in the source's currency; or, where the field has only one, in that.
    currency = format.currency.code != 0 ? format.currency : field.currency;
    if (currency->code == 0) return refuse(Reason::bad_value);
    if (!is_json_number(token)) return refuse(Reason::bad_value);
    amount = parse_decimal(token);
    if (!amount) return refuse(Reason::bad_value);
  }
  if (field.currency.code != 0 && *currency != field.currency) return refuse(Reason::bad_value);
  out = Value::of_money(*amount, *currency);
  return true;
}

bool JsonDecoder::Implementation::decode_geo(TypePlan& type, const FieldPlan& field, ondemand::value& value,
                                             std::string_view token, Value& out) {
  const auto refuse = [&](Reason reason) { return refusal(reason, field.name, offset_of(token.data())); };
  std::array<std::optional<Decimal>, 2> place;  // latitude, longitude
  // Receivers write more digits than they know; what is finer than a tenth of a millimetre is rounded away.
  const auto degrees = [](std::string_view text) {
    return is_json_number(text) ? parse_decimal_rounding(text) : std::nullopt;
  };
  if (token[0] == '{') {
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return no_json(token.data());
    for (auto part : object) {
      ondemand::field inner;
      if (std::move(part).get(inner) != simdjson::SUCCESS) return no_json(token.data());
      const std::string_view name = key_of(inner);
      const std::string_view inside = token_of(inner.value());
      const bool is_latitude = name == format.latitude_name;
      if (!is_latitude && name != format.longitude_name) {
        count_unknown(type, field.name + "." + std::string(name));
        continue;
      }
      std::optional<Decimal>& part_of_place = place[is_latitude ? 0 : 1];
      if (part_of_place) return refuse(Reason::duplicate_field);
      if (!starts_number(inside[0])) return refuse(Reason::wrong_type);
      part_of_place = degrees(inside);
      if (!part_of_place) return refuse(Reason::bad_value);
    }
  } else {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return no_json(token.data());
    std::size_t count = 0;
    for (auto part : array) {
      ondemand::value inner;
      if (std::move(part).get(inner) != simdjson::SUCCESS) return no_json(token.data());
      if (count >= place.size()) return refuse(Reason::bad_value);
      const std::string_view inside = token_of(inner);
      if (!starts_number(inside[0])) return refuse(Reason::wrong_type);
      place[count] = degrees(inside);
      if (!place[count]) return refuse(Reason::bad_value);
      ++count;
    }
  }
  if (!place[0] || !place[1]) return refuse(Reason::bad_value);
  const auto within = [](Decimal d, std::int64_t limit) {
    return d >= Decimal::from_integer(-limit) && d <= Decimal::from_integer(limit);
  };
  if (!within(*place[0], 90) || !within(*place[1], 180)) return refuse(Reason::bad_value);
  out = Value::of_geo(static_cast<std::int64_t>(place[0]->units), static_cast<std::int64_t>(place[1]->units));
  return true;
}

std::string_view PaddedBuffer::hold(std::string_view line) {
  bytes_.assign(line);
  bytes_.append(padding_bytes, '\0');
  return std::string_view(bytes_).substr(0, line.size());
}

bool is_utf8(std::string_view bytes) { return simdjson::validate_utf8(bytes.data(), bytes.size()); }

}  // namespace tocsin::event
