// Lists and tables: what they hold, from the rule text and from files of their own. A file is read whole before anything of it
// counts: one bad line and the declaration is refused, with every bad line named, so a reload keeps what was there before.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unordered_map>

#include "base/hash.h"
#include "base/utf8.h"
#include "dsl/check_scope.h"

namespace tocsin::dsl::detail {
namespace {

// A file is kept in memory and in the store together with the rules; more than this belongs into a database.
constexpr std::uintmax_t data_file_bytes_max = 256U << 20U;
// Row numbers are 32 bits wide, with room for what comes at run time.
constexpr std::size_t table_rows_max = 50'000'000;
constexpr std::size_t bad_lines_shown = 5;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
// The rates by which `as USD` converts (SEMANTICS V5).
constexpr std::string_view rates_name = "fx";

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return text;
}

/// The bad lines of one file, gathered into one message: of many the first few are shown and all are counted.
struct BadLines {
  std::string path;
  std::size_t count = 0;
  std::vector<std::string> shown;
  void add(std::size_t line, const std::string& problem) {
    if (++count <= bad_lines_shown) shown.push_back(path + ":" + std::to_string(line) + ": " + problem);
  }
};

/// Cells of a file of comma separated values (RFC 4180), line by line. A quoted cell may hold commas, quotes written twice and
/// line ends. Cells without quotes are trimmed and point into the text.
class Csv {
 public:
  explicit Csv(std::string_view text, std::deque<std::string>& made) : text_(text), made_(made) {
    if (text_.starts_with(byte_order_mark)) at_ = byte_order_mark.size();
  }
  /// False at the end. `line` is the number of the line on which the row begins.
  bool next(std::vector<std::string_view>& cells, std::size_t& line, std::string& problem) {
    cells.clear();
    problem.clear();
    while (at_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      const std::string_view whole = trimmed(text_.substr(at_, end - at_));
      if (!whole.empty() && !whole.starts_with('#')) break;
      at_ = end + 1;
      ++line_;
    }
    if (at_ >= text_.size()) return false;
    line = line_;
    for (;;) {
      while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
      if (at_ < text_.size() && text_[at_] == '"') {
        cells.push_back(quoted_cell(problem));
        const std::size_t stop = std::min(text_.find_first_of(",\n", at_), text_.size());
        if (problem.empty() && !trimmed(text_.substr(at_, stop - at_)).empty())
          problem = "something stands behind a closing quote";
        at_ = stop;
      } else {
        const std::size_t stop = std::min(text_.find_first_of(",\n", at_), text_.size());
        cells.push_back(trimmed(text_.substr(at_, stop - at_)));
        at_ = stop;
      }
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        continue;
      }
      ++at_;
      ++line_;
      return true;
    }
  }

 private:
  std::string_view quoted_cell(std::string& problem) {
    const std::size_t begin = ++at_;
    bool twice = false;
    while (at_ < text_.size()) {
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] != '"') {
        ++at_;
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        twice = true;
        at_ += 2;
      } else {
        break;
      }
    }
    const std::string_view inside = text_.substr(begin, at_ - begin);
    if (at_ >= text_.size()) {
      problem = "a quote that begins here has no end";
    } else {
      ++at_;
    }
    if (!twice) return inside;
    std::string& plain = made_.emplace_back();
    for (std::size_t i = 0; i < inside.size(); ++i) {
      plain += inside[i];
      if (inside[i] == '"') ++i;
    }
    return plain;
  }

  std::string_view text_;
  std::deque<std::string>& made_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

/// Whether rule text writes such a value as a text.
bool stands_in_quotes(TypeKind kind) {
  switch (kind) {
    case TypeKind::text:
    case TypeKind::entity:
    case TypeKind::ip:
    case TypeKind::cidr:
    case TypeKind::time: return true;
    case TypeKind::boolean:
    case TypeKind::integer:
    case TypeKind::decimal:
    case TypeKind::enumeration:
    case TypeKind::duration:
    case TypeKind::geo:
    case TypeKind::money: return false;
  }
  return false;
}

std::optional<Value> parse_place(std::string_view text) {
  const std::size_t gap = text.find_first_of(", ");
  if (gap == std::string_view::npos) return std::nullopt;
  const auto latitude = parse_decimal_rounding(trimmed(text.substr(0, gap)));
  std::string_view rest = text.substr(gap + 1);
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == ',')) rest.remove_prefix(1);
  const auto longitude = parse_decimal_rounding(trimmed(rest));
  const auto within = [](const Decimal& d, std::int64_t most) {
    return d.units <= static_cast<Int128>(most) * Decimal::one && d.units >= -static_cast<Int128>(most) * Decimal::one;
  };
  if (!latitude || !longitude || !within(*latitude, 90) || !within(*longitude, 180)) return std::nullopt;
  return Value::of_geo(static_cast<std::int64_t>(latitude->units), static_cast<std::int64_t>(longitude->units));
}

}  // namespace

// ---------------------------------------------------------------- one value as a file writes it

std::optional<Value> Checker::value_of_text(const Type& type, std::string_view text, std::string& problem) {
  const auto refuse = [&](const std::string& what) -> std::optional<Value> {
    problem = "\"" + std::string(text) + "\" is not " + what;
    return std::nullopt;
  };
  switch (type.kind) {
    case TypeKind::text:
    case TypeKind::entity: return Value::of_text(text);
    case TypeKind::boolean:
      if (text == "true") return Value::of_boolean(true);
      if (text == "false") return Value::of_boolean(false);
      return refuse("`true` or `false`");
    case TypeKind::integer:
    case TypeKind::decimal: {
      const auto number = parse_decimal(text);
      if (!number) return refuse(type.kind == TypeKind::integer ? "a whole number" : "a number");
      if (type.kind == TypeKind::integer && number->units % Decimal::one != 0) return refuse("a whole number");
      return Value::of_number(*number);
    }
    case TypeKind::enumeration: {
      const auto& values = book_.schema.enums[type.enumeration].values;
      const auto at = std::find(values.begin(), values.end(), text);
      if (at == values.end()) return refuse("one of " + joined(values));
      return Value::of_enumeration(static_cast<std::uint32_t>(at - values.begin()));
    }
    case TypeKind::time: {
      const auto time = parse_timestamp(text);
      return time ? Value::of_time(*time) : refuse("a time");
    }
    case TypeKind::duration: {
      const auto duration = parse_duration(text);
      return duration ? Value::of_duration(*duration) : refuse("a duration");
    }
    case TypeKind::ip: {
      const auto ip = event::parse_ip(text);
      return ip ? *ip : refuse("an address");
    }
    case TypeKind::geo: {
      const auto place = parse_place(text);
      return place ? *place : refuse("a place (latitude and longitude, as in \"52.5 13.4\")");
    }
    case TypeKind::money: {
      auto money = event::parse_money(text);
      if (!money && type.currency.code != 0) {
        if (const auto amount = parse_decimal(text)) money = Value::of_money(*amount, type.currency);
      }
      if (!money) return refuse("an amount such as 12.50 USD");
      if (type.currency.code != 0 && money->currency != type.currency) return refuse("in " + to_text(type.currency));
      return *money;
    }
    case TypeKind::cidr: break;
  }
  return refuse("a value of this type");
}

// ---------------------------------------------------------------- files

std::shared_ptr<const std::string> Checker::read_data_file(const ast::Text& name) {
  const std::string& rules = sources_[name.span.file].path();
  const std::size_t slash = rules.rfind('/');
  std::string path = name.text;
  if (slash != std::string::npos && !path.starts_with('/')) path = rules.substr(0, slash + 1) + path;
  data_path_ = path;
  for (const DataFile& file : book_.data_files) {
    if (file.path == path) return file.text;
  }
  const auto given = options_.data_files.find(path);
  std::shared_ptr<const std::string> text = given == options_.data_files.end() ? nullptr : given->second;
  if (!text) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(path, failed);
    if (!failed && size > data_file_bytes_max) {
      error(Code::cannot_read_file, name.span, "the file " + path + " is larger than 256 MiB");
      return nullptr;
    }
    std::ifstream in(path, std::ios::binary);
    std::string read;
    if (in && !failed) read.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    if (!in || failed || in.bad()) {
      error(Code::cannot_read_file, name.span, "cannot read the file " + path)
          .hints.push_back("the name is taken from the folder of this rule file");
      return nullptr;
    }
    text = std::make_shared<const std::string>(std::move(read));
  }
  if (const std::size_t bad = first_not_utf8(*text); bad < text->size()) {
    const auto line = 1 + std::count(text->begin(), text->begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    error(Code::bad_text_encoding, name.span, path + ":" + std::to_string(line) + ": this is not UTF-8 text")
        .hints.push_back("save the file as UTF-8; nothing of it was taken");
    return nullptr;
  }
  book_.data_files.push_back({path, text});
  return text;
}

namespace {

/// One message for all bad lines of a file: the first is the sentence, the others stand below it.
void tell(Diagnostic& d, const BadLines& bad) {
  for (std::size_t i = 1; i < bad.shown.size(); ++i) d.notes.push_back(bad.shown[i]);
  if (bad.count > bad.shown.size())
    d.notes.push_back("and " + std::to_string(bad.count - bad.shown.size()) + " more lines");
}

}  // namespace

// ---------------------------------------------------------------- lists

bool Checker::add_entry(List& list, std::string_view text, std::string& problem) {
  const bool slash = text.find('/') != std::string_view::npos;
  if (list.element.kind == TypeKind::cidr || (list.element.kind == TypeKind::ip && slash)) {
    const auto network = event::parse_network(text);
    if (!network) {
      problem = "\"" + std::string(text) + "\" is not " +
                (list.element.kind == TypeKind::cidr ? "a network" : "an address or a network");
      return false;
    }
    list.networks.push_back(*network);
    return true;
  }
  const auto value = value_of_text(list.element, text, problem);
  if (value) list.entries.push_back(*value);
  return value.has_value();
}

void Checker::add_written_entry(List& list, const ast::Expr& entry) {
  const TypeKind kind = list.element.kind;
  if (entry.kind == ast::ExprKind::string) {
    std::string problem;
    const bool network = kind == TypeKind::cidr || (kind == TypeKind::ip && entry.text.find('/') != std::string::npos);
    if (network) {
      if (const auto read = network_literal(entry)) list.networks.push_back(*read);
    } else if (!stands_in_quotes(kind)) {
      error(Code::bad_list_entry, entry.span,
            "this is a text, and an entry of `@" + list.name + "` is " + type_words(list.element))
          .under = "write it without quotes";
    } else if (!add_entry(list, text_value(entry.text).text(), problem)) {
      error(Code::bad_list_entry, entry.span, problem);
    }
    return;
  }
  if (kind == TypeKind::cidr) {
    error(Code::bad_list_entry, entry.span, "a network stands in quotes, as in \"10.0.0.0/8\"");
    return;
  }
  event::FieldDef def;
  def.name = "@" + list.name;
  def.type = list.element;
  if (kind == TypeKind::geo) {
    if (const auto place = object_value(entry, def)) list.entries.push_back(*place);
    return;
  }
  wanted_by_ = def.name;
  if (const auto value = check_constant(entry, list.element, "an entry of `@" + list.name + "`"))
    list.entries.push_back(value->value);
}

void Checker::declare_list(const ast::ListDecl& decl) {
  const auto [first, fresh] = list_spans_.try_emplace(decl.name.text, decl.name.span);
  if (!fresh) {
    error(Code::duplicate_name, decl.name.span, "list `@" + decl.name.text + "` is declared twice")
        .labels.push_back({first->second, "first here"});
    return;
  }
  poison_lists_.insert(decl.name.text);
  if (decl.type.name.text != "set" || decl.type.argument.empty()) {
    error(Code::unknown_type, decl.type.span, "a list is a `set<…>`")
        .hints.push_back("for example `list @" + decl.name.text + " : set<user>`");
    return;
  }
  ast::TypeRef element;
  element.name = {decl.type.argument, decl.type.argument_span};
  element.span = decl.type.argument_span;
  const auto type = resolve_type(decl.type.element.empty() ? element : decl.type.element.front(), true);
  if (!type) return;
  List list;
  list.name = decl.name.text;
  list.element = *type;
  if (decl.lifetime) {
    list.lifetime = positive_duration(*decl.lifetime, Code::bad_window, "how long an entry holds");
    if (!list.lifetime) return;
  }
  if (decl.entries) {
    for (const ast::Expr& entry : *decl.entries) add_written_entry(list, entry);
  }
  if (decl.file) read_list_file(list, decl);
  poison_lists_.erase(decl.name.text);
  lists_[decl.name.text] = book_.lists.size();
  book_.lists.push_back(std::move(list));
}

const List* Checker::find_list(const ast::Name& name) {
  const auto at = lists_.find(name.text);
  if (at != lists_.end()) return &book_.lists[at->second];
  if (poison_lists_.contains(name.text)) return nullptr;
  std::vector<std::string> names;
  for (const auto& [known, index] : lists_) names.push_back(known);
  Diagnostic& d = error(Code::unknown_list, name.span, "there is no list `@" + name.text + "`");
  const std::string near = nearest_name(name.text, names);
  if (!near.empty()) d.under = "did you mean `@" + near + "`?";
  return nullptr;
}

void Checker::read_list_file(List& list, const ast::ListDecl& decl) {
  const auto text = read_data_file(*decl.file);
  if (!text) return;
  BadLines bad{data_path_, 0, {}};
  std::string_view left = *text;
  if (left.starts_with(byte_order_mark)) left.remove_prefix(byte_order_mark.size());
  for (std::size_t number = 1; !left.empty(); ++number) {
    const std::size_t end = left.find('\n');
    std::string_view line = left.substr(0, end);
    left = end == std::string_view::npos ? std::string_view() : left.substr(end + 1);
    line = trimmed(line.substr(0, line.find('#')));
    std::string problem;
    if (!line.empty() && !add_entry(list, line, problem)) bad.add(number, problem);
  }
  if (bad.count == 0) return;
  Diagnostic& d = error(Code::bad_list_entry, decl.file->span, bad.shown.front());
  tell(d, bad);
  d.hints.push_back("one entry a line; `#` begins a comment");
}

// ---------------------------------------------------------------- tables

void Checker::declare_table(const ast::TableDecl& decl) {
  const std::string& name = decl.name.text;
  if (table_ids_.contains(name) || poison_tables_.contains(name)) return;  // declared twice: said already
  poison_tables_.insert(name);
  Table table;
  table.name = name;
  bool ok = true;
  std::map<std::string, Span> seen;
  std::map<std::string, Type> own_types;
  const auto is_key = [&](const std::string& column) {
    return std::any_of(decl.keys.begin(), decl.keys.end(), [&](const ast::Name& key) { return key.text == column; });
  };
  for (const ast::Field& field : decl.fields) {
    const auto [first, fresh] = seen.try_emplace(field.name.text, field.name.span);
    if (!fresh) {
      error(Code::duplicate_name, field.name.span,
            "table " + detail::quoted(name) + " has two columns " + detail::quoted(field.name.text))
          .labels.push_back({first->second, "first here"});
      ok = false;
      continue;
    }
    if (field.role != ast::FieldRole::none || field.mask) {
      error(Code::bad_table, field.span, "a column of a table has a name, a type, and may be `optional`")
          .hints.push_back(
              "the key of a table stands behind `keyed by`; from when on a row holds is said by `from` in its file");
      ok = false;
      continue;
    }
    if (field.name.text == "from") {
      error(Code::bad_table, field.name.span, "every table has a column `from`: the time from which a row holds")
          .hints.push_back("leave it out here and write it into the file, or give this column another name");
      ok = false;
      continue;
    }
    const auto type = resolve_type(field.type, false);
    if (!type) {
      ok = false;
      continue;
    }
    own_types[field.name.text] = *type;
    if (is_key(field.name.text)) {
      if (field.optional) {
        error(Code::bad_table, field.name.span, "a key cannot be optional: without it no row could be found");
        ok = false;
      }
      continue;
    }
    table.columns.push_back({field.name.text, *type, field.optional});
  }
  std::set<std::string> keys;
  for (const ast::Name& key : decl.keys) {
    if (!keys.insert(key.text).second) {
      error(Code::duplicate_name, key.span, detail::quoted(key.text) + " stands twice in the key");
      ok = false;
      continue;
    }
    const auto type = table_key_type(key, own_types, decl.keys.size(), table);
    if (!type) {
      ok = false;
      continue;
    }
    table.keys.push_back({key.text, *type});
  }
  if (ok && table.columns.empty()) {
    error(Code::bad_table, decl.name.span, "table " + detail::quoted(name) + " has a key and no column to look up");
    ok = false;
  }
  if (ok && name == rates_name) {
    const bool right = table.keys.size() == 1 && table.keys[0].name == "currency" && table.columns.size() == 1 &&
                       table.columns[0].name == "usd" && is_number(table.columns[0].type) && !table.columns[0].optional;
    if (!right) {
      error(Code::bad_table, decl.name.span, "`fx` is the table of exchange rates and has one form")
          .hints.push_back(
              "`table fx keyed by currency { usd : decimal }`: what one unit of the currency is worth in dollars");
      ok = false;
    }
  }
  if (!ok) return;
  if (decl.file && !read_table_file(table, decl)) return;
  poison_tables_.erase(name);
  table_ids_[name] = book_.tables.size();
  book_.tables.push_back(std::move(table));
}

std::optional<Type> Checker::table_key_type(const ast::Name& key, const std::map<std::string, Type>& own_types,
                                            std::size_t key_count, Table& table) {
  const auto own = own_types.find(key.text);
  Type type = type_of(TypeKind::text);
  if (own != own_types.end()) {
    type = own->second;
  } else if (key.text == "cidr") {
    if (key_count > 1) {
      error(Code::bad_table, key.span, "a network is the whole key of a table, or none of it")
          .hints.push_back("an address finds the smallest network that it lies in");
      return std::nullopt;
    }
    table.by_network = true;
    return type_of(TypeKind::ip);
  } else if (key.text == "ip") {
    type = type_of(TypeKind::ip);
  } else if (key.text == "string" || key.text == "text" || key.text == "currency") {
    type = type_of(TypeKind::text);
  } else if (key.text == "int") {
    type = type_of(TypeKind::integer);
  } else if (const auto entity = book_.schema.find_entity(key.text)) {
    type = type_of(TypeKind::entity);
    type.entity = *entity;
  } else {
    Diagnostic& d =
        error(Code::bad_table, key.span, "there is no entity " + detail::quoted(key.text) + " to key a table by");
    d.under = did_you_mean(key.text, book_.schema.entities);
    d.hints.push_back(
        "a key is an entity, `ip`, `cidr`, `currency`, `string` or `int`, or a column with its type:\n`table " +
        table.name + " keyed by " + key.text + " { " + key.text + " : string  … }`");
    return std::nullopt;
  }
  switch (type.kind) {
    case TypeKind::text:
    case TypeKind::entity:
    case TypeKind::ip:
    case TypeKind::integer:
    case TypeKind::boolean:
    case TypeKind::enumeration: return type;
    case TypeKind::decimal:
    case TypeKind::time:
    case TypeKind::duration:
    case TypeKind::cidr:
    case TypeKind::geo:
    case TypeKind::money: break;
  }
  error(Code::bad_table, key.span,
        "a row is found by what is exactly the same, and " + type_words(type) + " is no key");
  return std::nullopt;
}

bool Checker::read_table_file(Table& table, const ast::TableDecl& decl) {
  const auto text = read_data_file(*decl.file);
  if (!text) return false;
  BadLines bad{data_path_, 0, {}};
  Csv csv(*text, *book_.texts);
  std::vector<std::string_view> cells;
  std::size_t line = 0;
  std::string problem;
  const auto refuse = [&](const std::string& hint) {
    Diagnostic& d = error(Code::bad_table_row, decl.file->span, bad.shown.front());
    tell(d, bad);
    if (!hint.empty()) d.hints.push_back(hint);
    return false;
  };
  // The first line names the columns, in any order.
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  constexpr std::size_t from_column = static_cast<std::size_t>(-2);
  std::vector<std::string> wanted;
  for (const KeyPart& key : table.keys) wanted.push_back(key.name);
  for (const TableColumn& column : table.columns) wanted.push_back(column.name);
  std::string head;
  for (const std::string& name : wanted) head += (head.empty() ? "" : ",") + name;
  const std::string head_hint =
      "the first line names the columns: `" + head + "`, and `from` if rows hold from a time on";
  if (!csv.next(cells, line, problem)) {
    bad.add(1, "the file is empty");
    return refuse(head_hint);
  }
  std::vector<std::size_t> place(cells.size(), none);
  std::set<std::string, std::less<>> named;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto at = std::find(wanted.begin(), wanted.end(), cells[i]);
    if (!named.insert(std::string(cells[i])).second) {
      bad.add(line, "the column `" + std::string(cells[i]) + "` stands twice");
    } else if (at != wanted.end()) {
      place[i] = static_cast<std::size_t>(at - wanted.begin());
    } else if (cells[i] == "from") {
      place[i] = from_column;
    } else {
      bad.add(line, "table `" + table.name + "` has no column `" + std::string(cells[i]) + "`");
    }
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool needed = i < table.keys.size() || !table.columns[i - table.keys.size()].optional;
    if (needed && !named.contains(wanted[i])) bad.add(line, "the column `" + wanted[i] + "` is not there");
  }
  if (bad.count > 0) return refuse(head_hint);

  std::unordered_map<std::uint64_t, std::vector<std::pair<std::size_t, std::size_t>>>
      known;  // row and line by hash of its key
  std::vector<Value> row;
  while (csv.next(cells, line, problem)) {
    if (!problem.empty()) {
      bad.add(line, problem);
      continue;
    }
    if (cells.size() != place.size()) {
      bad.add(line, number_word(cells.size()) + " values where the first line names " + number_word(place.size()));
      continue;
    }
    if (table.from.size() >= table_rows_max) {
      bad.add(line, "more than 50 million rows");
      break;
    }
    row.assign(table.width(), Value{});
    Timestamp from = Timestamp::min();
    event::Network network;
    bool good = true;
    const auto wrong = [&](const std::string& what) {
      if (good) bad.add(line, what);
      good = false;
    };
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (place[i] == from_column) {
        if (cells[i].empty()) continue;  // holds from the beginning
        const auto time = parse_timestamp(cells[i]);
        if (!time) wrong("\"" + std::string(cells[i]) + "\" is not a time");
        if (time) from = *time;
        continue;
      }
      if (!table_cell(table, place[i], cells[i], row, network, problem)) wrong(problem);
    }
    if (!good) continue;
    std::uint64_t hash = static_cast<std::uint64_t>(from.us);
    if (table.by_network) {
      hash = hash_mix(hash_mix(hash_mix(hash, network.prefix), network.high), network.low);
    } else {
      for (std::size_t k = 0; k < table.keys.size(); ++k) hash = hash_mix(hash, event::hash_of(row[k]));
    }
    const auto same_row = [&](std::size_t other) {
      if (table.from[other] != from) return false;
      if (table.by_network) {
        const event::Network& n = table.networks[other];
        return n.prefix == network.prefix && n.high == network.high && n.low == network.low;
      }
      for (std::size_t k = 0; k < table.keys.size(); ++k) {
        if (!event::same(table.cells[other * table.width() + k], row[k])) return false;
      }
      return true;
    };
    auto& rows = known[hash];
    const auto twice = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return same_row(r.first); });
    if (twice != rows.end()) {
      wrong("the same key" + std::string(named.contains("from") ? " and time" : "") + " as in line " +
            std::to_string(twice->second));
      continue;
    }
    rows.emplace_back(table.from.size(), line);
    add_row(table, from, row, network);
  }
  return bad.count == 0 || refuse("");
}

bool Checker::table_cell(const Table& table, std::size_t column, std::string_view text, std::vector<Value>& row,
                         event::Network& network, std::string& problem) {
  const bool key = column < table.keys.size();
  const std::string& name = key ? table.keys[column].name : table.columns[column - table.keys.size()].name;
  if (text.empty()) {
    if (!key && table.columns[column - table.keys.size()].optional) return true;
    problem = "`" + name + "` is empty" + (key ? "" : ", and the column is not `optional`");
    return false;
  }
  if (key && table.by_network) {
    const auto read = event::parse_network(text);
    if (read) network = *read;
    if (!read) problem = "\"" + std::string(text) + "\" is not a network";
    return read.has_value();
  }
  if (key && name == "currency" && table.keys[column].type.kind == TypeKind::text && !event::parse_currency(text)) {
    problem = "\"" + std::string(text) + "\" is not a currency";
    return false;
  }
  const auto value =
      value_of_text(key ? table.keys[column].type : table.columns[column - table.keys.size()].type, text, problem);
  if (value) row[column] = *value;
  if (value && table.name == rates_name && !key && value->number().units <= 0) {
    problem = "a rate is more than nothing, and this is " + std::string(text);
    return false;
  }
  if (!value) problem = "`" + name + "`: " + problem;
  return value.has_value();
}

void Checker::add_row(Table& table, Timestamp from, const std::vector<Value>& row, const event::Network& network) {
  table.from.push_back(from);
  table.cells.insert(table.cells.end(), row.begin(), row.end());
  if (table.by_network) table.networks.push_back(network);
}

std::optional<TableId> Checker::find_table(std::string_view name) {
  const auto at = table_ids_.find(name);
  if (at != table_ids_.end()) return static_cast<TableId>(at->second);
  if (name != rates_name || poison_tables_.contains(name) || find_name(name) != nullptr) return std::nullopt;
  // Rates need no declaration: they may come in tests and at run time alone.
  Table rates;
  rates.name = rates_name;
  rates.keys.push_back({"currency", type_of(TypeKind::text)});
  rates.columns.push_back({"usd", type_of(TypeKind::decimal), false});
  table_ids_[rates.name] = book_.tables.size();
  book_.tables.push_back(std::move(rates));
  return static_cast<TableId>(book_.tables.size() - 1);
}

bool Checker::fill_row(const ast::Object& object, TableId id, TestStep& out) {
  const Table& table = book_.tables[id];
  std::vector<Value> row(table.width());
  std::set<std::string> seen;
  event::Network network;
  bool ok = true;
  out.time = Timestamp::min();
  std::vector<std::string> names;
  for (const KeyPart& key : table.keys) names.push_back(key.name);
  for (const TableColumn& column : table.columns) names.push_back(column.name);
  for (const ast::Pair& pair : object.pairs) {
    if (!seen.insert(pair.name.text).second) {
      error(Code::bad_test, pair.name.span, detail::quoted(pair.name.text) + " is given twice");
      ok = false;
      continue;
    }
    if (pair.name.text == "from") {
      const auto from = check_constant(pair.value, type_of(TypeKind::time), "`from`");
      if (from) out.time = from->value.time();
      ok = ok && from.has_value();
      continue;
    }
    const auto at = std::find(names.begin(), names.end(), pair.name.text);
    if (at == names.end()) {
      Diagnostic& d = error(Code::unknown_field, pair.name.span,
                            "table " + detail::quoted(table.name) + " has no column " + detail::quoted(pair.name.text));
      d.under = did_you_mean(pair.name.text, names);
      d.notes.push_back("columns of " + table.name + ": " + joined(names) + ", from");
      ok = false;
      continue;
    }
    const auto column = static_cast<std::size_t>(at - names.begin());
    const bool key = column < table.keys.size();
    if (pair.value.kind == ast::ExprKind::string && key && (table.by_network || pair.name.text == "currency")) {
      std::string problem;
      if (!table_cell(table, column, pair.value.text, row, network, problem)) {
        error(Code::bad_table_row, pair.value.span, problem);
        ok = false;
      } else if (!table.by_network) {
        row[column] = text_value(pair.value.text);
      }
      continue;
    }
    event::FieldDef def;
    def.name = pair.name.text;
    def.type = key ? table.keys[column].type : table.columns[column - table.keys.size()].type;
    const auto value = object_value(pair.value, def);
    if (value) row[column] = *value;
    ok = ok && value.has_value();
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool needed = i < table.keys.size() || !table.columns[i - table.keys.size()].optional;
    if (!needed || seen.contains(names[i])) continue;
    error(Code::bad_test, object.span, "a row of " + detail::quoted(table.name) + " needs " + detail::quoted(names[i]));
    ok = false;
  }
  out.table = id;
  out.values = std::move(row);
  if (table.by_network) out.networks = {network};
  return ok;
}

}  // namespace tocsin::dsl::detail
