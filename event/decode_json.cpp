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

// A small set of names found by their bytes: open addressing over a hash of the length and the first and last eight
// bytes. Built once per event type and enumeration; a look-up touches one or two lines of memory.
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

 private:
  struct Entry {
    std::string name;
    int index;
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
  }

  std::vector<Entry> names_;
  std::vector<std::uint16_t> slots_;
  std::size_t mask_ = 0;
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

struct FieldPlan {
  std::string name;  // in JSON
  KeyPattern key;    // the same
  TypeKind kind = TypeKind::text;
  Currency currency;            // money: the declared one, or 0
  int enumeration = 0;          // which NameTable
  FieldIndex index = 0;         // among the values of the event
  int follower = slot_unknown;  // which slot stood behind this one last time: tried first
};

struct TypePlan {
  std::vector<FieldPlan> fields;
  NameTable names;
  std::vector<std::uint64_t> required;  // bit per entry of `fields`
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
  int fixed_type = NameTable::none;
  std::uint64_t unknown = 0;
  std::vector<std::uint64_t> seen;     // bit per field of the type at hand: stood in the object
  std::vector<std::uint64_t> present;  // the same: with a value that is not null
  ondemand::parser parser;

  // Of the line at hand.
  std::string_view line;
  Arena* arena = nullptr;
  bool escapes = false;  // there is a backslash somewhere in the line
  DecodeResult refused;  // why, once a function below has returned false

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
  [[nodiscard]] bool decode_object(ondemand::document& document, Event& out);
  [[nodiscard]] bool decode_field(TypePlan& type, int slot, ondemand::value& value, const char* key, Event& out);
  [[nodiscard]] bool decode_value(const FieldPlan& field, ondemand::value& value, std::string_view token, Value& out);
  [[nodiscard]] bool decode_text(std::string_view name, ondemand::value& value, std::string_view token,
                                 std::string_view& out);
  [[nodiscard]] bool decode_time(const FieldPlan& field, ondemand::value& value, std::string_view token, Value& out);
  [[nodiscard]] bool decode_money(const FieldPlan& field, ondemand::value& value, std::string_view token, Value& out);
  [[nodiscard]] bool decode_geo(const FieldPlan& field, ondemand::value& value, std::string_view token, Value& out);
  // Counts a field that nobody declared. Its value is looked at no further than its first token: what is inside of a
  // nested one is stepped over by its brackets.
  [[nodiscard]] bool pass_unknown(ondemand::value& value) {
    ++unknown;
    const std::string_view token = token_of(value);
    if (!is_value(token)) return no_json(token.data());
    return true;
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
    const std::string_view name = key_of(field);
    if (fixed_type == NameTable::none && name == format.type_field) return slot_type;
    return type.names.find(name);
  }
};

Result<JsonDecoder> JsonDecoder::make(const Schema& schema, const SourceFormat& format) {
  auto made = std::make_unique<Implementation>();
  made->format = format;
  made->type_key = KeyPattern(format.type_field);
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
    if (!type)
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
    made->type_names.add(event.name, static_cast<int>(t));
    TypePlan& plan = made->types.emplace_back();
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
  if (made->parser.allocate(usual_line_bytes) != simdjson::SUCCESS) {
    return Error{ErrorKind::unavailable, "no memory for the JSON decoder"};
  }
  return JsonDecoder(std::move(made));
}

JsonDecoder::JsonDecoder(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
JsonDecoder::JsonDecoder(JsonDecoder&&) noexcept = default;
JsonDecoder& JsonDecoder::operator=(JsonDecoder&&) noexcept = default;
JsonDecoder::~JsonDecoder() = default;

std::uint64_t JsonDecoder::unknown_fields() const { return implementation_->unknown; }

DecodeResult JsonDecoder::decode(std::string_view line, Arena& arena, Event& out) {
  if (implementation_->decode(line, arena, out)) return {};
  return implementation_->refused;
}

bool JsonDecoder::Implementation::decode(std::string_view bytes, Arena& memory, Event& out) {
  line = bytes;
  arena = &memory;
  if (line.size() > line_bytes_max) return refusal(Reason::too_large, {}, line_bytes_max);
  escapes = std::memchr(line.data(), '\\', line.size()) != nullptr;
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
  return decode_object(document, out);
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
    if (!pass_unknown(field.value())) return false;
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
      if (!pass_unknown(field.value())) return false;
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
  return decode_value(field, value, token, out.values[field.index]);
}

bool JsonDecoder::Implementation::decode_value(const FieldPlan& field, ondemand::value& value, std::string_view token,
                                               Value& out) {
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
      return decode_geo(field, value, token, out);
    case TypeKind::money:
      if (first != '{' && first != '"' && !starts_number(first)) return wrong();
      return decode_money(field, value, token, out);
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

bool JsonDecoder::Implementation::decode_money(const FieldPlan& field, ondemand::value& value, std::string_view token,
                                               Value& out) {
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
        ++unknown;
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

bool JsonDecoder::Implementation::decode_geo(const FieldPlan& field, ondemand::value& value, std::string_view token,
                                             Value& out) {
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
        ++unknown;
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
