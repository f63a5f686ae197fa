#include "dsl/grammar_reader.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "dsl/currencies.h"
#include "dsl/foreign_forms.h"

namespace tocsin::dsl::grammar {

const Choice severities{"a severity (info, low, medium, high or critical)",
                        {"info", "low", "medium", "high", "critical"}};
const Choice modes{"a mode (live, shadow or off)", {"live", "shadow", "off"}};
const Choice picks{"nearest, earliest or every", {"nearest", "earliest", "every"}};
const Choice actions{"an action (allow, review, challenge, throttle, reject, block or page)",
                     {"allow", "review", "challenge", "throttle", "reject", "block", "page"}};
const Choice combinations{"sum or max", {"sum", "max"}};
const Choice calendar_units{"hour, day, week or month", {"hour", "day", "week", "month"}};
const Choice string_operators{"", {"contains", "starts with", "ends with", "like", "matches"}};

const std::vector<std::string> declaration_words{"entity", "event",   "list", "table",  "param",  "switch", "stream",
                                                 "field",  "feature", "rule", "policy", "sample", "test"};
const std::vector<std::string> clause_words{"title",  "severity",   "tags",     "owner",   "runbook", "mode",
                                            "switch", "rollout",    "sequence", "pick",    "after",   "let",
                                            "when",   "except",     "decide",   "score",   "label",   "add",
                                            "alert",  "suppressed", "resolve",  "because", "show"};
const std::vector<std::string> test_words{"at", "given", "send", "wait", "expect"};

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_letter(char c) { return is_lower(c) || is_upper(c) || c == '_'; }
bool is_name_character(char c) { return is_letter(c) || is_digit(c); }

std::string lowered(std::string_view text) {
  std::string low(text);
  for (char& c : low) {
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  }
  return low;
}

std::string quoted(std::string_view text) { return "`" + std::string(text) + "`"; }

template <typename Words>
bool holds(const Words& words, std::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

/// Three capitals; but `3 AND x` is a slip of the shift key and no amount.
bool is_currency(std::string_view word) {
  return word.size() == 3 && std::all_of(word.begin(), word.end(), is_upper) && word != "AND" && word != "NOT";
}

/// LoginBurst as it is written here: login_burst.
std::string in_small_letters(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_upper(text[i]) && i > 0 && is_lower(text[i - 1])) out += '_';
    out += lowered(text.substr(i, 1));
  }
  return out;
}

/// Words that no value can be called: they join and end conditions, and a message is better when they are not taken for
/// names.
bool reserved_in_expressions(std::string_view word) {
  static constexpr std::string_view words[] = {"and", "or", "not", "where", "then", "if", "else", "in", "is"};
  return holds(words, word);
}
bool reserved_as_event(std::string_view word) {
  static constexpr std::string_view words[] = {"then", "where", "via", "as", "within", "until", "and", "or"};
  return holds(words, word);
}

/// Words that may go on an expression; after them a clause word is the name of a value.
bool goes_on(std::string_view word) {
  static constexpr std::string_view words[] = {
      "and",    "or",   "in",      "is",   "has",      "as",          "of",     "not",  "contains",
      "starts", "ends", "matches", "like", "ignoring", "where",       "within", "for",  "per",
      "until",  "then", "to",      "if",   "else",     "approximate", "in",     "since"};
  return holds(words, word);
}

}  // namespace

MovedText MovedText::of(std::string_view written, std::uint32_t at) {
  MovedText out;
  out.text = written;
  out.begins.resize(written.size());
  out.ends.resize(written.size());
  std::iota(out.begins.begin(), out.begins.end(), at);
  std::iota(out.ends.begin(), out.ends.end(), at + 1);
  return out;
}

MovedText MovedText::with(std::size_t begin, std::size_t end, std::string_view ours) const {
  MovedText out;
  const auto keep = [&](std::size_t from, std::size_t to) {
    out.text.append(text, from, to - from);
    out.begins.insert(out.begins.end(), begins.begin() + static_cast<std::ptrdiff_t>(from),
                      begins.begin() + static_cast<std::ptrdiff_t>(to));
    out.ends.insert(out.ends.end(), ends.begin() + static_cast<std::ptrdiff_t>(from),
                    ends.begin() + static_cast<std::ptrdiff_t>(to));
  };
  keep(0, begin);
  out.text += ours;
  out.begins.resize(out.text.size(), begins[begin]);
  out.ends.resize(out.text.size(), ends[end - 1]);
  keep(end, text.size());
  return out;
}

bool MovedText::as_written(std::size_t begin, std::size_t end) const {
  for (std::size_t at = begin; at < end; ++at) {
    if (ends[at] != begins[begin] + (at - begin) + 1) return false;
  }
  return true;
}

Reader::Reader(const SourceFile& file, std::uint32_t number, const MovedText* moved)
    : file_(file),
      number_(number),
      moved_(moved),
      begin_(file.text().data()),
      end_(begin_ + file.text().size()),
      furthest_(begin_) {
  if (moved == nullptr && file.text().starts_with("\xEF\xBB\xBF")) begin_ += 3;
}

void Reader::start(bool remember) {
  remember_ = remember;
  stopped_ = false;
  depth_ = 0;
  furthest_ = begin_;
  expected_.clear();
  mistakes_.clear();
}

Span Reader::span(Iterator from, Iterator to) const {
  const char* base = file_.text().data();
  const auto begin = static_cast<std::uint32_t>(from - base);
  const auto end = static_cast<std::uint32_t>(to - base);
  if (moved_ == nullptr) return {number_, begin, end};
  if (moved_->begins.empty()) return {number_, 0, 0};
  const std::uint32_t first = begin < moved_->begins.size() ? moved_->begins[begin] : moved_->ends.back();
  return {number_, first, end > begin ? moved_->ends[end - 1] : first};
}

Iterator Reader::place_of(Span span) const {
  const char* base = file_.text().data();
  if (moved_ == nullptr) return base + span.begin;
  return base + (std::lower_bound(moved_->begins.begin(), moved_->begins.end(), span.begin) - moved_->begins.begin());
}

std::string_view Reader::slice(Span span) const {
  if (moved_ == nullptr) return file_.text().substr(span.begin, span.end - span.begin);
  const Iterator from = place_of(span);
  const Iterator to = file_.text().data() +
                      (std::upper_bound(moved_->ends.begin(), moved_->ends.end(), span.end) - moved_->ends.begin());
  return {from, static_cast<std::size_t>(std::max(from, to) - from)};
}

Iterator Reader::skip(Iterator at) {
  if (at == skipped_from_) return skipped_to_;
  skipped_from_ = at;
  while (at != end_) {
    const char c = *at;
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      ++at;
    } else if (c == '#') {
      at = std::find(at, end_, '\n');
    } else if (c == '\xC2' && end_ - at > 1 && at[1] == '\xA0') {
      at += 2;  // a blank that does not break: it comes with text pasted from documents
    } else {
      break;
    }
  }
  skipped_to_ = at;
  return at;
}

void Reader::expect(Iterator at, Wanted wanted, std::string_view text) {
  if (!remember_ || at < furthest_) return;
  if (at > furthest_) {
    furthest_ = at;
    expected_.clear();
  }
  for (const Expected& have : expected_) {
    if (have.wanted == wanted && have.text == text) return;
  }
  expected_.push_back({wanted, text});
}

Reader::Label Reader::open_label(Iterator at) {
  at = skip(at);
  return {at, furthest_ == at ? expected_.size() : 0};
}

void Reader::close_label(Label label, std::string_view what) {
  if (!remember_ || stopped_ || furthest_ != label.at || label.size > expected_.size()) return;
  expected_.erase(expected_.begin() + static_cast<std::ptrdiff_t>(label.size), expected_.end());
  expect(label.at, Wanted::thing, what);
}

bool Reader::enter(Iterator at) {
  if (stopped_) return false;
  if (depth_ == depth_max) {
    const Iterator from = skip(at);
    stop(Code::nesting_too_deep, span(from, token_end(from)), "more than 100 levels inside each other")
        .hints.emplace_back("give the inner part a name with `let`, `field` or `feature`");
    return false;
  }
  ++depth_;
  return true;
}

Diagnostic& Reader::mistake(Code code, Span span, std::string message) {
  // A place is read again when an attempt was not the right one, but it is one mistake.
  for (Diagnostic& have : mistakes_) {
    if (have.code == code && have.span == span) {
      have = Diagnostic{Severity::error, code, span, std::move(message), {}, {}, {}, {}, {}};
      return have;
    }
  }
  mistakes_.push_back({Severity::error, code, span, std::move(message), {}, {}, {}, {}, {}});
  return mistakes_.back();
}

Diagnostic& Reader::stop(Code code, Span span, std::string message) {
  stopped_ = true;
  return mistake(code, span, std::move(message));
}

std::string_view Reader::identifier_at(Iterator at) const {
  if (at == end_ || !is_letter(*at)) return {};
  Iterator to = at;
  while (to != end_ && is_name_character(*to)) ++to;
  return {at, static_cast<std::size_t>(to - at)};
}

Iterator Reader::token_end(Iterator at) const {
  if (at == end_) return at;
  const char c = *at;
  if (is_name_character(c) || (c == '@' && end_ - at > 1 && is_letter(at[1]))) {
    do ++at;
    while (at != end_ && (is_name_character(*at) || (is_digit(c) && *at == '.' && end_ - at > 1 && is_digit(at[1]))));
    if (is_digit(c) && at != end_ && *at == '%') ++at;
    return at;
  }
  if (c == '"') {
    for (++at; at != end_ && *at != '\n'; ++at) {
      if (*at == '"') return at + 1;
      if (*at == '\\' && end_ - at > 1 && at[1] != '\n') ++at;
    }
    return at;
  }
  if (std::string_view(".=!<>&|?").find(c) != std::string_view::npos) {
    const std::string_view rest(at, static_cast<std::size_t>(end_ - at));
    for (const std::string_view sign : {"..<", "==", "!=", "<=", ">=", "<>", "&&", "||", "??", ".."}) {
      if (rest.starts_with(sign)) return at + sign.size();
    }
  }
  // One character, which may be of several bytes.
  do ++at;
  while (at != end_ && (static_cast<unsigned char>(*at) & 0xC0U) == 0x80U);
  return at;
}

bool Reader::first_on_line(Iterator at) const {
  while (at != begin_ && (at[-1] == ' ' || at[-1] == '\t')) --at;
  return at == begin_ || at[-1] == '\n';
}

bool Reader::begins_declaration(Iterator at) {
  const std::string_view word = identifier_at(at);
  if (word.empty() || !holds(declaration_words, word)) return false;
  const Iterator next = skip(at + word.size());
  if (next == at + word.size() || next == end_) return false;
  const std::string_view second = identifier_at(next);
  if (word == "test") return *next == '"';
  if (word == "list" && *next == '@') return true;
  if (second.empty() || goes_on(second)) return false;
  if (word != "switch" && word != "list") return true;
  const Iterator third = skip(next + second.size());
  return third != end_ && *third == (word == "list" ? ':' : '=');
}

bool Reader::begins_clause(Iterator at) {
  const std::string_view word = identifier_at(at);
  if (word.empty() || !holds(clause_words, word)) return false;
  const Iterator next = skip(at + word.size());
  if (next == at + word.size() || next == end_) return false;
  const char c = *next;
  return (is_letter(c) && !goes_on(identifier_at(next))) || is_digit(c) || c == '"' || c == '@' || c == '(' || c == '{';
}

bool Reader::begins_test_step(Iterator at) { return holds(test_words, identifier_at(at)); }

bool Reader::word(Iterator& at, std::string_view text, Span& out, Wanted wanted) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  const auto left = static_cast<std::size_t>(end_ - from);
  if (left < text.size() || *from != text[0] || std::string_view(from, text.size()) != text ||
      (left > text.size() && is_name_character(from[text.size()]))) {
    expect(from, wanted, text);
    return false;
  }
  at = from + text.size();
  out = span(from, at);
  return true;
}

bool Reader::sign(Iterator& at, std::string_view text, Span& out, Wanted wanted) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  // `<` does not begin `<=`: signs are compared whole, but most differ in their first character.
  const Iterator to = from != end_ && *from == text[0] ? token_end(from) : from;
  if (std::string_view(from, static_cast<std::size_t>(to - from)) != text) {
    expect(from, wanted, text);
    return false;
  }
  at = to;
  out = span(from, to);
  return true;
}

bool Reader::take_name(Iterator& at, ast::Name& out, std::string_view what, bool (*reserved)(std::string_view)) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  const std::string_view text = identifier_at(from);
  // A declaration that begins on this line is what follows a forgotten name.
  const bool another = !text.empty() && first_on_line(from) && begins_declaration(from);
  if (text.empty() || another || (reserved && reserved(lowered(text)))) {
    expect(from, Wanted::thing, what);
    return false;
  }
  at = from + text.size();
  out.span = span(from, at);
  if (std::any_of(text.begin(), text.end(), is_upper)) {
    out.text = in_small_letters(text);
    const Iterator next = skip(at);
    if (text.size() == 3 && std::all_of(text.begin(), text.end(), is_upper) && next != end_ && *next >= '0' &&
        *next <= '9') {
      stop(Code::syntax, out.span, "a currency stands behind its amount").under =
          "write `100 " + std::string(text) + "`";
      return false;
    }
    if (is_currency_code(text)) {
      Diagnostic& currency = stop(Code::syntax, out.span, quoted(text) + " is a currency");
      currency.hints.push_back("it stands behind an amount, `100 " + std::string(text) +
                               "`, behind `as`, and in `money<" + std::string(text) + ">`");
      return false;
    }
    mistake(Code::syntax, out.span, "names are written in small letters, digits and `_`").under =
        "write `" + out.text + "`";
  } else {
    out.text = text;
  }
  return true;
}

bool Reader::name(Iterator& at, ast::Name& out) { return take_name(at, out, "a name", nullptr); }

bool Reader::name_before_text(Iterator& at, ast::Name& out) {
  const Iterator from = skip(at);
  if (identifier_at(from).empty()) return false;
  const Iterator next = skip(token_end(from));
  return next != end() && *next == '"' && name(at, out);
}

bool Reader::atom_name(Iterator& at, ast::Name& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  // In the same way a clause.
  if (first_on_line(from) && begins_clause(from)) {
    expect(from, Wanted::thing, "a value");
    return false;
  }
  return take_name(at, out, "a value", reserved_in_expressions);
}

bool Reader::event_name(Iterator& at, ast::EventName& out) {
  Iterator to = at;
  if (!take_name(to, out.name, "the name of an event or stream", reserved_as_event)) return false;
  out.is_hit = false;
  Span dot;
  if (out.name.text == "hit" && sign(to, ".", dot)) {
    if (!take_name(to, out.name, "the name of a rule", nullptr)) return false;
    out.is_hit = true;
  }
  at = to;
  return true;
}

bool Reader::list_name(Iterator& at, ast::Name& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  if (from == end_ || *from != '@' || !is_letter(from == end_ - 1 ? ' ' : from[1])) {
    expect(from, Wanted::thing, "a list such as @trusted");
    return false;
  }
  Iterator to = from + 1;
  if (!take_name(to, out, "a name", nullptr)) return false;
  out.span = span(from, to);
  at = to;
  return true;
}

bool Reader::take_duration(Iterator at, Iterator& to) const {
  const Iterator from = at;
  while (at != end_ && is_digit(*at)) {
    while (at != end_ && is_digit(*at)) ++at;
    if (at == end_) return false;
    if (*at == 'm' && end_ - at > 1 && at[1] == 's') {
      at += 2;
    } else if (std::string_view("smhdw").find(*at) != std::string_view::npos) {
      ++at;
    } else {
      return false;
    }
  }
  if (at == from || (at != end_ && is_name_character(*at))) return false;
  to = at;
  return true;
}

void Reader::bad_number(Iterator at) {
  Iterator to = at;
  while (to != end_ && (is_name_character(*to) || (*to == '.' && end_ - to > 1 && is_digit(to[1])))) ++to;
  const std::string_view text(at, static_cast<std::size_t>(to - at));
  const auto unit_at = static_cast<std::size_t>(
      std::find_if(text.begin(), text.end(), [](char c) { return is_letter(c) && c != '_'; }) - text.begin());
  const std::string unit = lowered(text.substr(unit_at));
  const bool fraction = text.find('.') != std::string_view::npos;
  Diagnostic& message = stop(Code::bad_literal, span(at, to),
                             "`" + std::string(text.substr(0, 40)) + "` is neither a number nor a duration");
  static constexpr std::pair<std::string_view, std::string_view> units[] = {
      {"msec", "ms"}, {"millis", "ms"}, {"sec", "s"},    {"secs", "s"},    {"second", "s"}, {"seconds", "s"},
      {"min", "m"},   {"mins", "m"},    {"minute", "m"}, {"minutes", "m"}, {"hr", "h"},     {"hrs", "h"},
      {"hour", "h"},  {"hours", "h"},   {"day", "d"},    {"days", "d"},    {"week", "w"},   {"weeks", "w"}};
  const std::string digits(text.substr(0, unit_at));
  for (const auto& [long_unit, short_unit] : units) {
    if (unit == long_unit && !fraction) message.under = "write `" + digits + std::string(short_unit) + "`";
  }
  const std::string_view letters = text.substr(unit_at);
  if (is_currency_code(letters)) {
    const std::string amount = digits + " " + std::string(letters);
    message.message = "the currency stands apart from its amount";
    message.under = "write `" + amount + "`";
    message.fix.push_back({message.span, amount});
    return;
  }
  if (unit == "k" && !fraction) {
    message.message = "amounts are written out";
    message.under = "write `" + digits + "_000`";
    return;
  }
  const std::string_view days = unit == "y" || unit == "yr" || unit == "year" || unit == "years" ? "365"
                                : unit == "mo" || unit == "month" || unit == "months"            ? "30"
                                                                                                 : "";
  std::uint64_t count = 0;
  if (!days.empty() && !fraction &&
      std::from_chars(digits.data(), digits.data() + digits.size(), count).ec == std::errc() && count < 1000) {
    message.hints.push_back("a month and a year have no fixed length: durations are given in days, here `" +
                            std::to_string(count * (days == "30" ? 30U : 365U)) + "d`");
    return;
  }
  message.hints.emplace_back("durations are written 250ms, 30s, 10m, 12h, 7d, 2w, or together as 1h30m");
}

bool Reader::duration(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  Iterator to = from;
  if (from != end_ && is_digit(*from) && take_duration(from, to)) {
    at = to;
    out = {std::string(from, to), span(from, to)};
    return true;
  }
  while (to != end_ && (is_digit(*to) || *to == '_')) ++to;
  if (to != from && to != end_ && is_letter(*to)) {
    bad_number(from);
    return false;
  }
  expect(from, Wanted::thing, "a duration such as 5m");
  return false;
}

bool Reader::literal(Iterator& at, ast::Expr& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  if (from != end_ && (*from == '"' || *from == '\'')) {
    ast::Text text;
    if (!string(at, text)) return false;
    out.kind = ast::ExprKind::string;
    out.text = std::move(text.text);
    out.span = out.text_span = text.span;
    return true;
  }
  if (from == end_ || !is_digit(*from)) {
    expect(from, Wanted::thing, "a value");
    return false;
  }
  Iterator to = from;
  const auto digits = [&] {
    while (to != end_ && (is_digit(*to) || *to == '_')) ++to;
  };
  digits();
  if (end_ - to > 1 && *to == '.' && is_digit(to[1])) {
    ++to;
    digits();
  }
  if (to != end_ && is_letter(*to)) {
    if (!take_duration(from, to)) {
      bad_number(from);
      return false;
    }
    out.kind = ast::ExprKind::duration;
    out.text.assign(from, to);
  } else {
    out.text.assign(from, to);
    std::erase(out.text, '_');
    if (to != end_ && *to == '%') {
      ++to;
      out.kind = ast::ExprKind::percent;
    } else {
      out.kind = ast::ExprKind::number;
      const std::string_view unit = identifier_at(skip(to));
      if (is_currency(unit)) {
        out.currency = unit;
        to = unit.data() + unit.size();
      }
    }
  }
  at = to;
  out.span = out.text_span = span(from, to);
  return true;
}

bool Reader::percent(Iterator& at, ast::Text& out) {
  ast::Expr value;
  Iterator to = at;
  const Iterator from = skip(at);
  if (stopped_ || from == end_ || !is_digit(*from) || !literal(to, value) || value.kind != ast::ExprKind::percent) {
    if (!stopped_) expect(from, Wanted::thing, "a share such as 2%");
    return false;
  }
  at = to;
  out = {std::move(value.text), value.span};
  return true;
}

bool Reader::number(Iterator& at, ast::Text& out) {
  ast::Expr value;
  Iterator to = at;
  const Iterator from = skip(at);
  if (stopped_ || from == end_ || !is_digit(*from) || !literal(to, value) || value.kind != ast::ExprKind::number ||
      !value.currency.empty()) {
    if (!stopped_) expect(from, Wanted::thing, "a number");
    return false;
  }
  at = to;
  out = {std::move(value.text), value.span};
  return true;
}

bool Reader::whole(Iterator& at, Whole& out) {
  ast::Text text;
  Iterator to = at;
  const Iterator from = skip(at);
  if (!number(to, text)) return false;
  const auto* last = text.text.data() + text.text.size();
  const auto [behind, error] = std::from_chars(text.text.data(), last, out.value);
  if (error != std::errc() || behind != last) {
    stop(Code::bad_literal, span(from, to), "a whole number below 18446744073709551616 is expected here");
    return false;
  }
  out.span = text.span;
  at = to;
  return true;
}

bool Reader::currency(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  const std::string_view text = identifier_at(from);
  if (!is_currency(text)) {
    expect(from, Wanted::thing, "a currency such as USD");
    return false;
  }
  at = from + 3;
  out = {std::string(text), span(from, at)};
  return true;
}

bool Reader::string(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  if (from == end_ || (*from != '"' && *from != '\'')) {
    expect(from, Wanted::thing, "a text in double quotes");
    return false;
  }
  const char quote = *from;
  Iterator to = from + 1;
  std::string text;
  while (to != end_ && *to != quote && *to != '\n') {
    if (*to != '\\') {
      const Iterator plain = to;
      while (to != end_ && *to != quote && *to != '\n' && *to != '\\') ++to;
      text.append(plain, to);
      continue;
    }
    ++to;
    if (to == end_ || *to == '\n' || *to == '\r') break;
    switch (*to) {
      case '"':
      case '\'':
      case '\\': text += *to; break;
      case 'n': text += '\n'; break;
      case 't': text += '\t'; break;
      // All others mean themselves with their backslash, so that a regular expression is written as everywhere else.
      default:
        text += '\\';
        text += *to;
        break;
    }
    ++to;
  }
  if (to != end_ && *to == '\r' && end_ - to > 1 && to[1] == '\n') ++to;
  if (to == end_ || *to == '\n') {
    while (to != from + 1 && (to[-1] == '\r' || to[-1] == ' ')) --to;
    stop(Code::unclosed, span(from, to), std::string("this text is not closed: `") + quote + "` is missing")
        .hints.emplace_back("a text ends on the line on which it begins; write \\n for a new line inside it");
    return false;
  }
  ++to;
  at = to;
  out.span = span(from, to);
  if (quote == '\'') {
    const std::string inside(from + 1, to - 1);
    Diagnostic& quotes = mistake(Code::syntax, out.span, "texts stand in double quotes");
    quotes.hints.push_back("write \"" + inside + "\"");
    if (inside.find('"') == std::string::npos) quotes.fix.push_back({out.span, "\"" + inside + "\""});
  }
  out.text = std::move(text);
  return true;
}

bool Reader::choice(Iterator& at, const Choice& choice, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  const bool quiet = choice.what.empty();
  for (const std::string_view text : choice.words) {
    // The words of "starts with" may stand apart.
    const auto blank = text.find(' ');
    Iterator to = from;
    Span spot;
    if (text.substr(0, blank) != identifier_at(from).substr(0, blank)) continue;
    if (!word(to, text.substr(0, blank), spot)) continue;
    if (blank != std::string_view::npos && !word(to, text.substr(blank + 1), spot)) continue;
    at = to;
    out = {std::string(text), span(from, to)};
    return true;
  }
  if (!quiet) expect(from, Wanted::thing, choice.what);
  for (const std::string_view text : choice.words) expect(from, Wanted::quiet_word, text.substr(0, text.find(' ')));
  return false;
}

bool Reader::chain_operator(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  for (const std::string_view text : {"and", "or"}) {
    if (!word(at, text, out.span, Wanted::quiet_word)) continue;
    out.text = text;
    return true;
  }
  const Iterator from = skip(at);
  const Iterator to = token_end(from);
  const std::string_view sign(from, static_cast<std::size_t>(to - from));
  if (sign != "&&" && sign != "||") return false;
  out = {sign == "&&" ? "and" : "or", span(from, to)};
  mistake(Code::syntax, out.span, quoted(sign) + " is not of this language").under = "write `" + out.text + "`";
  at = to;
  return true;
}

bool Reader::compare_operator(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  Iterator to = token_end(from);
  std::string_view text(from, static_cast<std::size_t>(to - from));
  if (text == "=" && to != end_ && (*to == '>' || *to == '<'))
    text = std::string_view(from, static_cast<std::size_t>(++to - from));
  out.span = span(from, to);
  if (text == "=>" || text == "=<") {
    out.text = text == "=>" ? ">=" : "<=";
    Diagnostic& turned = mistake(Code::syntax, out.span, quoted(text) + " is not of this language");
    turned.under = "write `" + out.text + "`";
    turned.fix.push_back({out.span, out.text});
  } else if (text == "=") {
    out.text = "==";
    mistake(Code::assignment_in_condition, out.span, "`=` defines a name, `==` compares").under = "write `==`";
  } else if (text == "<>") {
    out.text = "!=";
    mistake(Code::syntax, out.span, quoted(text) + " is not of this language").under = "write `!=`";
  } else if (text == "==" || text == "!=" || text == "<" || text == ">" || text == "<=" || text == ">=") {
    out.text = text;
  } else {
    expect(from, Wanted::quiet_word, "==");
    return false;
  }
  at = to;
  return true;
}

bool Reader::add_operator(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  if (from == end_ || (*from != '+' && *from != '-')) {
    expect(from, Wanted::quiet_word, "+");
    return false;
  }
  at = from + 1;
  out = {std::string(1, *from), span(from, at)};
  return true;
}

bool Reader::multiply_operator(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  if (from == end_ || (*from != '*' && *from != '/' && *from != '%')) {
    expect(from, Wanted::quiet_word, "*");
    return false;
  }
  at = from + 1;
  out = {std::string(1, *from), span(from, at)};
  return true;
}

bool Reader::range(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  const Iterator to = token_end(from);
  const std::string_view text(from, static_cast<std::size_t>(to - from));
  if (text != ".." && text != "..<") {
    expect(from, Wanted::quiet_word, "..");
    return false;
  }
  at = to;
  out = {std::string(text), span(from, to)};
  return true;
}

bool Reader::not_operator(Iterator& at, Span& out) {
  if (word(at, "not", out, Wanted::quiet_word)) return true;
  if (stopped_) return false;
  const Iterator from = skip(at);
  const Iterator to = token_end(from);
  if (std::string_view(from, static_cast<std::size_t>(to - from)) != "!") return false;
  out = span(from, to);
  mistake(Code::syntax, out, "`!` is not of this language").under = "write `not`";
  at = to;
  return true;
}

bool Reader::field_role(Iterator& at, ast::Text& out) {
  if (stopped_) return false;
  const Iterator from = skip(at);
  const std::string_view text = identifier_at(from);
  if (text != "key" && text != "time" && text != "seq") return false;
  // `time : time` is a field called time; `time at : time` has the role.
  const Iterator next = skip(from + text.size());
  if (identifier_at(next).empty()) return false;
  at = from + text.size();
  out = {std::string(text), span(from, at)};
  return true;
}

bool Reader::optional_mark(Iterator& at, Span& out) {
  // On a line of its own it would look as if it belonged to the field that follows it.
  if (first_on_line(skip(at))) return false;
  Iterator to = at;
  if (!word(to, "optional", out, Wanted::quiet_word)) return false;
  const Iterator next = skip(to);
  if (next != end_ && *next == ':') return false;  // a field of this name
  at = to;
  return true;
}

bool Reader::mask_mark(Iterator& at, Span& out) {
  Iterator to = at;
  if (!word(to, "mask", out, Wanted::quiet_word)) return false;
  const Iterator next = skip(to);
  if (next != end_ && *next == ':') return false;
  at = to;
  return true;
}

bool Reader::then_word(Iterator& at, Span& out) {
  if (word(at, "then", out)) return true;
  if (stopped_) return false;
  const Iterator from = skip(at);
  const std::string_view text = identifier_at(from);
  if (text.empty() || text == "until" || !first_on_line(from) || begins_clause(from) || begins_declaration(from))
    return false;
  static const std::vector<std::string> others{"then", "until", "where", "within", "via", "as", "for"};
  if (holds(others, text) || joins_steps_elsewhere(text) || !nearest_name(text, others).empty()) return false;
  out = span(from, from + text.size());
  Diagnostic& missing = mistake(Code::syntax, out, "`then` is missing between two steps");
  missing.hints.push_back("write `then " + std::string(text) + "`");
  missing.fix.push_back({{out.file, out.begin, out.begin}, "then "});
  return true;
}

}  // namespace tocsin::dsl::grammar
