// Declarations, tests, and the loop that reads a file one declaration at a time, rules and tests one clause at a time,
// so that each mistake is reported where it is and the rest of the file is still read:
//
//   entity  = "entity" name, …                       event  = "event" name "{" field+ "}"
//   field   = ["key" | "time" | "seq"] name ":" type ("optional" | "mask" name)*
//   type    = name ["<" (type | USD) ">"] | "enum" "(" name, … ")"
//   list    = "list" @list ":" type ["for" duration] ["=" "[" [expression, …] "]"] ["from" text]
//   table   = "table" name "keyed" "by" name, … "{" field+ "}" ["from" text]
//   param   = "param" name "=" expression            switch  = "switch" name "=" name
//   stream  = "stream" name "=" source, …            derived = "field" name "on" event "=" expression
//   feature = "feature" name "=" expression ["approximate" share]
//   sample  = "sample" name "=" event object         object  = "{" [name ":" expression, …] "}"
//   test    = "test" text "{" step+ "}"
//   step    = "at" text | "given" (@list "has" expression, … | "table" name object | name text "has" "label" text)
//           | "send" ["+" duration] event object ["times" number "every" duration] | "wait" duration
//           | "expect" ("no" "rule" name | "rule" name ["with" number "events"] | "decision" action | "score" expression
//                       | "alerts" number | "feature" expression | @list "has" ["no"] expression, …
//                       | name text "has" ["no"] "label" text)
//   rule, policy: grammar_rule.cpp          expression, source: grammar_expression.cpp
#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/utf8.h"
#include "dsl/currencies.h"
#include "dsl/foreign_forms.h"
#include "dsl/grammar_common.h"
#include "dsl/parse.h"

namespace tocsin::dsl::grammar {
namespace {

using ast::Decl;
using ast::EntityDecl;
using ast::EventDecl;
using ast::FeatureDecl;
using ast::Field;
using ast::FieldDecl;
using ast::FieldRole;
using ast::ListDecl;
using ast::Object;
using ast::Pair;
using ast::ParamDecl;
using ast::SampleDecl;
using ast::StreamDecl;
using ast::SwitchDecl;
using ast::TableDecl;
using ast::TestStep;
using ast::TestStepKind;
using ast::TypeRef;

constexpr Rule<struct type_id, TypeRef> type = "type";
constexpr Rule<struct field_id, Field> field = "field";
constexpr Rule<struct pair_id, Pair> pair = "pair";
constexpr Rule<struct object_id, Object> object = "object";
constexpr Rule<struct entity_id, EntityDecl> entity_declaration = "entity";
constexpr Rule<struct event_id, EventDecl> event_declaration = "event";
constexpr Rule<struct list_id, ListDecl> list_declaration = "list";
constexpr Rule<struct table_id, TableDecl> table_declaration = "table";
constexpr Rule<struct param_id, ParamDecl> param_declaration = "param";
constexpr Rule<struct switch_id, SwitchDecl> switch_declaration = "switch";
constexpr Rule<struct stream_id, StreamDecl> stream_declaration = "stream";
constexpr Rule<struct derived_id, FieldDecl> field_declaration = "derived field";
constexpr Rule<struct feature_id, FeatureDecl> feature_declaration = "feature";
constexpr Rule<struct sample_id, SampleDecl> sample_declaration = "sample";
constexpr Rule<struct test_head_id, ast::Text> test_head = "test head";
constexpr Rule<struct test_step_id, TestStep> test_step = "test step";

// ---------------------------------------------------------------- data
/// Inside <…> a type is kept as its text, too, which is how it is printed.
constexpr auto type_argument = [](auto& context) {
  TypeRef& inner = x3::_attr(context);
  std::string out = inner.name.text;
  if (!inner.argument.empty()) out += "<" + inner.argument + ">";
  for (std::size_t i = 0; i < inner.values.size(); ++i) out += (i == 0 ? "(" : ", ") + inner.values[i].text;
  if (!inner.values.empty()) out += ")";
  x3::_val(context).argument = std::move(out);
  x3::_val(context).argument_span = inner.span;
  x3::_val(context).element.push_back(std::move(inner));
};
constexpr auto currency_argument = [](auto& context) {
  x3::_val(context).argument = std::move(x3::_attr(context).text);
  x3::_val(context).argument_span = x3::_attr(context).span;
};
constexpr auto is_enum = [](auto& context) { x3::_pass(context) = x3::_val(context).name.text == "enum"; };
constexpr auto role_of = [](auto& context) {
  const std::string& text = x3::_attr(context).text;
  x3::_val(context).role = text == "key" ? FieldRole::key : text == "time" ? FieldRole::time : FieldRole::seq;
};

const auto type_def =
    placed(&TypeRef::span,
           called("a type such as string, money or user", name[put(&TypeRef::name)]) >>
               -((x3::eps[is_enum] >> sign("(") >> name[push(&TypeRef::values)] % sign(",") >> sign(")")) |
                 (quiet_sign("<") >> (currency[currency_argument] | nested(type[type_argument])) >> sign(">"))));
const auto field_def =
    placed(&Field::span, -field_role[role_of] >> called("a field", name[put(&Field::name)]) >> sign(":") >>
                             type[put(&Field::type)] >>
                             *(optional_mark[say(&Field::optional, true)] | (mask_mark >> name[put(&Field::mask)])));

const auto entity_declaration_def = word("entity") >> name[push(&EntityDecl::names)] % quiet_sign(",");
const auto event_declaration_def = word("event") >> name[put(&EventDecl::name)] >> sign("{") >>
                                   +field[push(&EventDecl::fields)] >> sign("}");
const auto list_declaration_def =
    word("list") >> list_name[put(&ListDecl::name)] >> sign(":") >> type[put(&ListDecl::type)] >>
    -(word("for") >> duration[put(&ListDecl::lifetime)]) >>
    -(sign("=")[([](auto& context) { x3::_val(context).entries.emplace(); })] >> sign("[") >>
      -(expression[([](auto& context) { x3::_val(context).entries->push_back(std::move(x3::_attr(context))); })] %
        sign(",")) >>
      sign("]")) >>
    -(word("from") >> string[put(&ListDecl::file)]);
const auto table_declaration_def = word("table") >> name[put(&TableDecl::name)] >> word("keyed") >>
                                   word("by") >> name[push(&TableDecl::keys)] % sign(",") >> sign("{") >>
                                   +field[push(&TableDecl::fields)] >> sign("}") >>
                                   -(word("from") >> string[put(&TableDecl::file)]);
const auto param_declaration_def = word("param") >> name[put(&ParamDecl::name)] >>
                                   sign("=") >> expression[put(&ParamDecl::value)];
const auto switch_declaration_def = word("switch") >> name[put(&SwitchDecl::name)] >> sign("=") >>
                                    called("on or off", name[put(&SwitchDecl::value)]);

// ---------------------------------------------------------------- derived
const auto stream_declaration_def = word("stream") >> name[put(&StreamDecl::name)] >>
                                    sign("=") >> source[push(&StreamDecl::sources)] % quiet_sign(",");
const auto field_declaration_def = word("field") >> name[put(&FieldDecl::name)] >>
                                   word("on") >> event_name[put(&FieldDecl::on)] >>
                                   sign("=") >> expression[put(&FieldDecl::value)];
const auto feature_declaration_def = word("feature") >> name[put(&FeatureDecl::name)] >>
                                     sign("=") >> expression[put(&FeatureDecl::value)] >>
                                     -(quiet("approximate") >> percent[put(&FeatureDecl::approximate)]);

// ---------------------------------------------------------------- tests
const auto pair_def = called("a field", name[put(&Pair::name)]) >> sign(":") >> expression[put(&Pair::value)];
const auto object_def = placed(&Object::span, sign("{") >> -(pair[push(&Object::pairs)] % sign(",")) >> sign("}"));
const auto sample_declaration_def = word("sample") >> name[put(&SampleDecl::name)] >>
                                    sign("=") >> event_name[put(&SampleDecl::base)] >> object[put(&SampleDecl::fields)];
const auto test_head_def = word("test") >> whole(string) >> sign("{");

constexpr auto is_step = [](TestStepKind kind) { return [kind](auto& context) { x3::_val(context).kind = kind; }; };
constexpr auto step_number = [](auto& context) { x3::_val(context).number = x3::_attr(context).value; };
const auto test_step_def = placed(
    &TestStep::span,
    (word("at")[is_step(TestStepKind::at)] >> string[put(&TestStep::text)]) |
        (word("given") >> ((list_name[put(&TestStep::name)] >> word("has")[is_step(TestStepKind::given_list)] >>
                            expression[push(&TestStep::values)] % quiet_sign(",")) |
                           (word("table") >> name[put(&TestStep::name)] >> object[put(&TestStep::fields)] >>
                            x3::eps[is_step(TestStepKind::given_table)]) |
                           (name[put(&TestStep::name)] >> string[put(&TestStep::text)] >> word("has") >>
                            word("label")[is_step(TestStepKind::given_label)] >> string[put(&TestStep::label)]))) |
        (word("send")[is_step(TestStepKind::send)] >> -(quiet_sign("+") >> duration[put(&TestStep::after)]) >>
         event_name[put(&TestStep::event)] >> object[put(&TestStep::fields)] >>
         -(word("times") >> whole_number[step_number] >> word("every") >> duration[put(&TestStep::every)])) |
        (word("wait")[is_step(TestStepKind::wait)] >> duration[put(&TestStep::text)]) |
        (word("expect") >>
         ((word("no") >> word("rule")[is_step(TestStepKind::expect_no_rule)] >> name[put(&TestStep::name)]) |
          (word("rule")[is_step(TestStepKind::expect_rule)] >> name[put(&TestStep::name)] >>
           -(word("with") >> whole_number[step_number] >> word("events"))) |
          (word("decision")[is_step(TestStepKind::expect_decision)] >> one_of(actions)[put(&TestStep::text)]) |
          (word("score")[is_step(TestStepKind::expect_score)] >> expression[push(&TestStep::values)]) |
          (word("alerts")[is_step(TestStepKind::expect_alerts)] >> whole_number[step_number]) |
          (word("feature")[is_step(TestStepKind::expect_feature)] >> expression[push(&TestStep::values)]) |
          (list_name[put(&TestStep::name)] >> word("has")[is_step(TestStepKind::expect_list)] >>
           -quiet("no")[say(&TestStep::negated, true)] >> expression[push(&TestStep::values)] % quiet_sign(",")) |
          (name_before_text[put(&TestStep::name)] >> string[put(&TestStep::text)] >> word("has") >>
           -quiet("no")[say(&TestStep::negated, true)] >> word("label")[is_step(TestStepKind::expect_label)] >>
           string[put(&TestStep::label)]))));

BOOST_SPIRIT_DEFINE(type, field, pair, object, entity_declaration, event_declaration, list_declaration,
                    table_declaration, param_declaration, switch_declaration, stream_declaration, field_declaration,
                    feature_declaration, sample_declaration, test_head, test_step)

// ---------------------------------------------------------------- the file
/// After so many mistakes of one file the rest of it is not worth a message each.
constexpr std::size_t mistakes_per_file_max = 1000;

std::string quoted(std::string_view text) { return "`" + std::string(text) + "`"; }

std::string joined(const std::vector<std::string>& words, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() && !last.empty() ? std::string(last) : std::string(", ");
    out += words[i];
  }
  return out;
}

/// What a block is made of: the clauses of a rule, the steps of a test.
struct Items {
  std::string_view one;  // "a clause of a rule"
  std::string_view all;  // "clauses"
  const std::vector<std::string>& words;
  bool (Reader::*begins)(Iterator);
  std::string_view kind;  // of forms of other languages
};

class FileParser {
 public:
  FileParser(const SourceFile& source_file, std::uint32_t number, Diagnostics& diagnostics)
      : number_(number), reader_(source_file, number), context_(reader_), diagnostics_(diagnostics) {
    file_.file = number;
    at_ = reader_.begin();
  }

  /// The whole text as one expression.
  std::optional<ast::Expr> parse_expression() {
    ast::Expr expr;
    const bool read = piece(expression, expr, &FileParser::the_end_may_follow) && the_end_may_follow();
    if (!read && reported_ == 0) error(Code::syntax, token(at_), "expected an expression and nothing behind it");
    if (!read || reported_ > 0) return std::nullopt;
    return expr;
  }

  ast::File parse() {
    while (true) {
      at_ = reader_.skip(at_);
      if (at_ == reader_.end()) break;
      if (reported_ >= mistakes_per_file_max) {
        diagnostics_.error(Code::syntax, token(at_), "more than 1,000 mistakes: the rest of this file is not read");
        break;
      }
      declaration();
    }
    return std::move(file_);
  }

 private:
  /// For a piece of which a part is written anew.
  FileParser(const SourceFile& source_file, std::uint32_t number, Diagnostics& diagnostics, const MovedText& moved,
             int mended)
      : number_(number),
        moved_(&moved),
        mended_(mended),
        reader_(source_file, number, &moved),
        context_(reader_),
        diagnostics_(diagnostics),
        at_(reader_.begin()) {}

  /// Reads one piece, and a second time with an eye on what would have been right when it does not read or is not
  /// followed by what may follow. Its mistakes are reported; true when the tree may be used.
  template <typename Rule_, typename Value>
  bool piece(const Rule_& rule, Value& value, bool (FileParser::*may_follow)()) {
    const Iterator from = at_;
    for (const bool remember : {false, true}) {
      value = Value{};
      at_ = from;
      reader_.start(remember);
      const bool read = rule.parse(at_, reader_.end(), context_, x3::unused, value) && !reader_.stopped();
      if (read && (this->*may_follow)()) {
        take_mistakes();
        return true;
      }
      if (!remember) continue;
      reached_ = stuck_at(read);
      if (reached_ < further_) return false;
      if (whole_before_next(read, may_follow)) {
        take_mistakes();
        return true;
      }
      switch (mend(rule, value, may_follow, from, reached_, reader_.identifier_at(from))) {
        case Mended::whole: return true;
        case Mended::said: return false;
        case Mended::no: not_read(from);
      }
    }
    return false;
  }

  /// How far the piece was read: of a mistake that ended it, the place of that.
  Iterator stuck_at(bool read) {
    if (reader_.stopped() && !reader_.mistakes().empty()) return reader_.place_of(reader_.mistakes().back().span);
    const Iterator next = reader_.skip(at_);
    return read ? std::max(reader_.furthest(), next) : reader_.furthest();
  }

  /// The piece is whole, and whoever reads on says what is wrong with the next.
  bool whole_before_next(bool read, bool (FileParser::*may_follow)()) {
    if (!read) return false;
    const Iterator next = reader_.skip(at_);
    if (reader_.furthest() > next || !reader_.first_on_line(next)) return false;
    if (may_follow == &FileParser::item_may_follow && !foreign_items(next).empty()) return true;
    return spelled_like_expected(next).empty();
  }

  // ------------------------------------------------------------ what other languages write
  enum class Mended {
    no,    // it is nothing we know
    said,  // it is reported; the value is of no use
    whole  // it is reported, and read as it was meant
  };
  /// So many forms of one piece are put right one after the other.
  static constexpr int mended_per_piece_max = 20;
  /// Longer pieces nobody writes.
  static constexpr std::ptrdiff_t mended_bytes_max = 1 << 14;

  /// Looks for the form of another language that kept the piece at `from` from being read further than `stuck`, and reads the
  /// piece with ours in its place, together with what else is wrong in it.
  template <typename Rule_, typename Value>
  Mended mend(const Rule_& rule, Value& value, bool (FileParser::*may_follow)(), Iterator from, Iterator stuck,
              std::string_view kind) {
    if (mended_ == mended_per_piece_max || too_large()) return Mended::no;
    const Iterator to = piece_end(from, may_follow);
    if (to - from > mended_bytes_max || stuck < from) return Mended::no;
    const MovedText own = text_of(from, to);
    const Iterator base = moved_ != nullptr ? reader_.begin() : from;
    std::vector<ForeignForm> candidates = foreign_forms(reader_, from, to, stuck, kind);
    add_capitals(candidates, stuck, to);
    // A slip of the hand is likelier than a form that only might be meant.
    const bool misspelt = kind.starts_with('(') && !nearest_name(reader_.identifier_at(from), items_->words).empty();
    for (const ForeignForm& form : candidates) {
      if (misspelt && form.any_word) continue;
      const auto begin = static_cast<std::size_t>(form.from - base);
      const auto end = static_cast<std::size_t>(form.to - base);
      if (!form.readable) {
        report_foreign(form, own.as_written(begin, end));
        return Mended::said;
      }
      const MovedText moved = own.with(begin, end, form.ours);
      const SourceFile file("", moved.text);
      Diagnostics found;
      FileParser inner(file, number_, found, moved, mended_ + 1);
      inner.items_ = items_;
      inner.at_ += from - base;
      // What is not read further with it was not meant.
      inner.further_ = inner.reader_.begin() + begin + form.ours.size();
      if (stuck >= form.to) inner.further_ += stuck - form.to + 1;
      Value meant;
      const bool whole = inner.piece(rule, meant, may_follow);
      if (!whole && inner.reached_ < inner.further_) continue;
      report_foreign(form, own.as_written(begin, end));
      for (const Diagnostic& mistake : found.all()) diagnostics_.error(mistake.code, mistake.span, "") = mistake;
      reported_ += inner.reported_;
      if (!whole || !form.sure || inner.at_ == inner.reader_.begin()) return Mended::said;
      value = std::move(meant);
      // Behind the last byte that was read, as it was written here.
      const auto read_to = static_cast<std::size_t>(inner.at_ - inner.reader_.begin());
      const std::uint32_t written_end = moved.ends[read_to - 1];
      const auto last = std::upper_bound(own.ends.begin(), own.ends.end(), written_end);
      at_ = std::max(base + (last - own.ends.begin()), form.to);
      return Mended::whole;
    }
    return Mended::no;
  }

  /// The text of a piece with where it stands.
  [[nodiscard]] MovedText text_of(Iterator from, Iterator to) const {
    if (moved_ != nullptr) return *moved_;
    const Span all = reader_.span(from, to);
    return MovedText::of(reader_.slice(all), all.begin);
  }

  /// A word in capitals is read as meant, so that all of a piece are said at once.
  void add_capitals(std::vector<ForeignForm>& candidates, Iterator stuck, Iterator to) {
    if (stuck >= to) return;
    const std::string_view found = reader_.identifier_at(stuck);
    ForeignForm form{stuck, stuck + found.size(), std::string(found), true, true};
    for (char& c : form.ours) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    form.message = "words are written in small letters";
    if (form.ours != found && !is_currency_code(found)) candidates.push_back(std::move(form));
  }

  void report_foreign(const ForeignForm& form, bool as_written) {
    constexpr std::size_t shown_max = 60;
    const auto short_one_line = [](std::string_view text) {
      return text.size() <= shown_max && text.find('\n') == std::string_view::npos;
    };
    const std::string_view found(form.from, static_cast<std::size_t>(form.to - form.from));
    std::string message(form.message);
    if (message.empty()) {
      message = short_one_line(found) ? quoted(found) + " is not of this language" : "this is not of this language";
    }
    Diagnostic& diagnostic = error(Code::syntax, reader_.span(form.from, form.to), std::move(message));
    if (!form.ours.empty() && short_one_line(form.ours)) {
      const std::size_t blank = form.ours.starts_with(' ') ? 1 : 0;  // it parts ours from the word before it
      std::string write = "write `" + form.ours.substr(blank) + "`";
      if (form.sure) {
        diagnostic.under = std::move(write);
      } else {
        diagnostic.hints.push_back(std::move(write));
      }
    } else if (form.ours.empty() && form.sure) {
      diagnostic.under = "leave it out";
    }
    if (!form.hint.empty()) diagnostic.hints.emplace_back(form.hint);
    if (form.sure && as_written) diagnostic.fix.push_back({diagnostic.span, form.ours});
  }

  /// Whether the piece was left for its size, which no other words would change.
  [[nodiscard]] bool too_large() const {
    const auto& all = reader_.mistakes();
    return std::any_of(all.begin(), all.end(), [](const Diagnostic& d) {
      return d.code == Code::nesting_too_deep || d.code == Code::chain_too_long;
    });
  }

  /// Forms of other languages for a whole clause or step of a test.
  std::vector<ForeignForm> foreign_items(Iterator at) {
    const Iterator to = piece_end(at, &FileParser::item_may_follow);
    if (to - at > mended_bytes_max) return {};
    return foreign_forms(reader_, at, to, at, items_->kind);
  }

  /// Where the piece ends that may be followed by this, when it does not read: before the next item or declaration.
  Iterator piece_end(Iterator from, bool (FileParser::*may_follow)()) {
    const bool head = may_follow == &FileParser::anything_may_follow;
    const bool item = may_follow == &FileParser::item_may_follow;
    int depth = 0;
    Iterator end = from;
    for (Iterator at = reader_.skip(from); at != reader_.end(); at = reader_.skip(end)) {
      if (item && *at == '}' && depth == 0) break;
      if (at != from && reader_.first_on_line(at)) {
        if (reader_.begins_declaration(at)) break;
        if (item && depth == 0 && (reader_.*(items_->begins))(at)) break;
      }
      end = reader_.token_end(at);
      if (*at == '{') ++depth;
      if (*at == '}') --depth;
      if (head && *at == '{') break;
    }
    return end;
  }

  /// What is behind `from` did not read to an end that fits.
  void not_read(Iterator from) {
    take_mistakes();
    if (!reader_.stopped()) report_furthest(from, std::max(reader_.furthest(), reader_.skip(at_)));
    at_ = from;
  }

  void take_mistakes() {
    for (const Diagnostic& mistake : reader_.mistakes()) {
      diagnostics_.error(mistake.code, mistake.span, "") = mistake;
      ++reported_;
    }
  }

  Diagnostic& error(Code code, Span span, std::string message) {
    ++reported_;
    return diagnostics_.error(code, span, std::move(message));
  }

  [[nodiscard]] Span token(Iterator at) const { return reader_.span(at, reader_.token_end(at)); }

  // ------------------------------------------------------------ what is wrong
  /// A word that was expected at `at` and is written almost so.
  std::string spelled_like_expected(Iterator at, const std::vector<std::string>& more = {}) {
    const std::string_view found = reader_.identifier_at(at);
    if (found.empty() || at != reader_.furthest()) return {};
    std::vector<std::string> words = more;
    for (const auto& expected : reader_.expected()) {
      const bool letters = expected.text.front() >= 'a' && expected.text.front() <= 'z';
      if (letters && (expected.wanted == Reader::Wanted::word || expected.wanted == Reader::Wanted::quiet_word)) {
        words.emplace_back(expected.text);
      }
    }
    std::string low(found);
    std::transform(low.begin(), low.end(), low.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (low != found && std::find(words.begin(), words.end(), low) != words.end()) return low;
    return nearest_name(low, words);
  }

  struct Opener {
    char sign;
    Iterator at;
    std::string_view of;  // the last word before it that names a block
  };
  /// The innermost bracket opened behind `from` and not closed before `to`.
  std::optional<Opener> open_bracket(Iterator from, Iterator to) {
    std::vector<Opener> open;
    std::string_view of;
    for (Iterator at = reader_.skip(from); at < to; at = reader_.skip(reader_.token_end(at))) {
      const std::string_view word = reader_.identifier_at(at);
      static constexpr std::string_view blocks[] = {"rule", "event",    "table",  "policy",
                                                    "test", "sequence", "sample", "send"};
      if (std::find(std::begin(blocks), std::end(blocks), word) != std::end(blocks)) of = word;
      if (word == "of") of = "group";
      if (*at == '{' || *at == '(' || *at == '[') open.push_back({*at, at, of});
      if ((*at == '}' || *at == ')' || *at == ']') && !open.empty()) open.pop_back();
    }
    if (open.empty()) return std::nullopt;
    return open.back();
  }

  void report_open(const Opener& opener) {
    const std::string closer = opener.sign == '{' ? "}" : opener.sign == '(' ? ")" : "]";
    const std::string what = opener.sign != '{' || opener.of.empty() ? "bracket" : std::string(opener.of);
    error(Code::unclosed, reader_.span(opener.at, opener.at + 1),
          "this " + what + " is not closed: `" + closer + "` is missing");
  }

  void report_furthest(Iterator from, Iterator at) {
    const bool ended = at == reader_.end();
    const bool next_began =
        ended || (reader_.first_on_line(at) && (reader_.begins_declaration(at) || reader_.begins_clause(at)));
    const auto opener = open_bracket(from, at);
    if (next_began && opener) {
      const std::string_view closer = opener->sign == '{' ? "}" : opener->sign == '(' ? ")" : "]";
      if (expects(closer) || ended || reader_.begins_declaration(at)) return report_open(*opener);
    }

    std::vector<std::string> wanted;
    for (const auto& expected : reader_.expected()) {
      // What was expected before something else was read is of no interest.
      if (expected.wanted == Reader::Wanted::quiet_word || at > reader_.furthest()) continue;
      wanted.push_back(expected.wanted == Reader::Wanted::thing ? std::string(expected.text) : quoted(expected.text));
    }
    const std::string_view found = slice(token(at));
    const std::string meant = spelled_like_expected(at);
    // When the next thing stands on another line, the place to look at is the end of what was written before it.
    const Iterator before = token_before(from, at);
    const bool elsewhere = before != nullptr && (ended || std::find(before, at, '\n') != at);
    const Span place = elsewhere ? token(before) : token(at);
    std::string message;
    if (!meant.empty() && !elsewhere) {
      message = quoted(found) + " is not expected here";
    } else if (wanted.empty()) {
      message = elsewhere ? quoted(slice(token(before))) + " is not complete"
                          : quoted(shown(found)) + " does not belong here";
    } else if (wanted.size() > 4) {
      message = elsewhere ? "something is missing after " + quoted(shown(slice(place)))
                          : quoted(shown(found)) + " is not expected here";
    } else {
      message = "expected " + joined(wanted, " or ");
      message += elsewhere ? " after " + quoted(shown(slice(place))) : ", found " + quoted(shown(found));
    }
    Diagnostic& diagnostic = error(Code::syntax, place, message);
    if (!meant.empty() && !elsewhere) {
      diagnostic.under = "did you mean `" + meant + "`?";
    } else if (wanted.size() > 4) {
      diagnostic.notes.push_back("here may stand: " + joined(wanted, {}));
    }
    add_hint(diagnostic, before, at, found);
  }

  /// Hints for what comes from other languages.
  void add_hint(Diagnostic& diagnostic, Iterator before, Iterator at, std::string_view found) {
    const std::string_view last = before ? slice(token(before)) : std::string_view();
    const bool after_number = !last.empty() && last[0] >= '0' && last[0] <= '9';
    const char behind = at + found.size() < reader_.end() ? at[found.size()] : ' ';
    if (found == ";") {
      diagnostic.hints.emplace_back("clauses and declarations end by themselves: no `;` is needed");
    } else if (found == "==") {
      diagnostic.hints.emplace_back("`=` defines a name, `==` compares");
    } else if (found == "=") {
      diagnostic.hints.emplace_back("fields of an event are given as `name: value`, definitions as `name = value`");
    } else if (found == "," && after_number && behind >= '0' && behind <= '9') {
      diagnostic.hints.emplace_back("numbers are written 5000 or 5_000");
    } else if (found == "-" && before && before + last.size() == at && behind != ' ') {
      diagnostic.hints.emplace_back("names are written with `_`, not with `-`");
    } else if (found == "“" || found == "”" || found == "„" || found == "‘" || found == "’") {
      diagnostic.hints.emplace_back("texts stand in plain double quotes: \"…\"");
    } else if (last == "as" && expects("a currency such as USD")) {
      diagnostic.hints.emplace_back("a name for the event stands before `where`: `login as l where …`");
    } else if (expects("a duration such as 5m") && !found.empty() &&
               found.find_first_not_of("0123456789") == std::string_view::npos) {
      const std::string number(found.substr(0, 20));
      std::uint64_t seconds = 0;
      std::from_chars(number.data(), number.data() + number.size(), seconds);
      const bool minutes = seconds >= 60 && seconds % 60 == 0;
      const bool hours = seconds >= 3600 && seconds % 3600 == 0;
      diagnostic.hints.push_back("write `" + number + "s`" +
                                 (hours     ? ", which is `" + std::to_string(seconds / 3600) + "h`; or "
                                  : minutes ? ", which is `" + std::to_string(seconds / 60) + "m`; or "
                                            : ", ") +
                                 "`" + number + "m`, `" + number + "h` or `" + number + "d`");
    } else if (expects("on") && expects("per") && found == "{") {
      diagnostic.hints.emplace_back(
          "`rule NAME on EVENT {` judges single events, `rule NAME per KEY {` a sequence of them");
    }
  }

  [[nodiscard]] bool expects(std::string_view text) const {
    const auto& all = reader_.expected();
    return std::any_of(all.begin(), all.end(), [&](const auto& expected) { return expected.text == text; });
  }

  [[nodiscard]] std::string_view slice(Span span) const { return reader_.slice(span); }
  /// A token as a message shows it: long ones are cut, at a character.
  static std::string shown(std::string_view found) {
    constexpr std::size_t shown_max = 30;
    if (found.size() <= shown_max) return std::string(found);
    std::size_t size = shown_max;
    while (size > 0 && (static_cast<unsigned char>(found[size]) & 0xC0U) == 0x80U) --size;
    return std::string(found.substr(0, size)) + "…";
  }
  Iterator token_before(Iterator from, Iterator to) {
    Iterator last = nullptr;
    for (Iterator at = reader_.skip(from); at < to; at = reader_.skip(reader_.token_end(at))) last = at;
    return last;
  }

  // ------------------------------------------------------------ reading on
  bool declaration_may_follow() {
    const Iterator next = reader_.skip(at_);
    return next == reader_.end() || reader_.begins_declaration(next);
  }
  bool anything_may_follow() { return true; }
  bool the_end_may_follow() { return reader_.skip(at_) == reader_.end(); }
  bool item_may_follow() {
    const Iterator next = reader_.skip(at_);
    if (next == reader_.end() || *next == '}' || reader_.begins_declaration(next)) return true;
    const std::string_view word = reader_.identifier_at(next);
    const auto& words = items_->words;
    return std::find(words.begin(), words.end(), word) != words.end();
  }

  void skip_to_declaration(Iterator from) {
    // At least one token further: every call makes progress.
    for (at_ = reader_.skip(reader_.token_end(reader_.skip(from))); at_ != reader_.end();
         at_ = reader_.skip(reader_.token_end(at_))) {
      if (reader_.first_on_line(at_) && reader_.begins_declaration(at_)) return;
    }
  }

  /// To the next clause or step, to the bracket that closes the block, or to the next declaration.
  void skip_to_item(Iterator from) {
    int depth = 0;
    for (at_ = reader_.skip(from); at_ != reader_.end(); at_ = reader_.skip(reader_.token_end(at_))) {
      if (*at_ == '}' && depth == 0) return;
      if (*at_ == '{') ++depth;
      if (*at_ == '}') --depth;
      if (at_ == from || !reader_.first_on_line(at_)) continue;
      if ((reader_.*(items_->begins))(at_) || reader_.begins_declaration(at_)) return;
    }
  }

  /// The items of a block behind its `{`, up to and with its `}`.
  template <typename Rule_, typename Value>
  void block(const Items& items, const Rule_& rule, std::vector<Value>& values, Iterator declaration_begin) {
    items_ = &items;
    while (reported_ < mistakes_per_file_max) {
      at_ = reader_.skip(at_);
      if (at_ != reader_.end() && *at_ == '}') {
        ++at_;
        return;
      }
      const std::string_view word = reader_.identifier_at(at_);
      const bool known = std::find(items.words.begin(), items.words.end(), word) != items.words.end();
      if (at_ == reader_.end() || reader_.begins_declaration(at_)) {
        if (const auto opener = open_bracket(declaration_begin, block_open_ + 1)) report_open(*opener);
        return;
      }
      const Iterator from = at_;
      Value value;
      if (!known) {
        const Mended mended = mend(rule, value, &FileParser::item_may_follow, from, from, items.kind);
        if (mended == Mended::whole) {
          values.push_back(std::move(value));
          continue;
        }
        if (mended == Mended::no) unknown_item(items, word);
        skip_to_item(from);
        if (at_ == from) at_ = reader_.token_end(at_);
        continue;
      }
      if (piece(rule, value, &FileParser::item_may_follow)) {
        values.push_back(std::move(value));
      } else {
        skip_to_item(from);
      }
    }
    at_ = reader_.end();
  }

  void unknown_item(const Items& items, std::string_view word) {
    if (word.empty()) {
      Diagnostic& diagnostic =
          error(Code::syntax, token(at_), quoted(shown(slice(token(at_)))) + " does not belong here");
      add_hint(diagnostic, nullptr, at_, slice(token(at_)));
      return;
    }
    Diagnostic& diagnostic = error(Code::syntax, token(at_), quoted(shown(word)) + " is not " + std::string(items.one));
    const std::string meant = nearest_name(word, items.words);
    if (!meant.empty()) {
      diagnostic.under = "did you mean `" + meant + "`?";
    } else {
      diagnostic.notes.push_back(std::string(items.all) + ": " + joined(items.words, {}));
    }
  }

  // ------------------------------------------------------------ declarations
  template <typename T, typename Rule_>
  void simple(Decl::Kind kind, std::shared_ptr<const T> Decl::*member, const Rule_& rule) {
    const Iterator from = at_;
    T value;
    if (!piece(rule, value, &FileParser::declaration_may_follow)) return skip_to_declaration(from);
    add(kind, member, std::move(value), from);
  }

  template <typename T>
  void add(Decl::Kind kind, std::shared_ptr<const T> Decl::*member, T value, Iterator from) {
    Decl declaration;
    declaration.kind = kind;
    declaration.span = reader_.span(from, at_);
    declaration.*member = std::make_shared<const T>(std::move(value));
    file_.declarations.push_back(std::move(declaration));
  }

  void declaration() {
    const std::string_view word = reader_.identifier_at(at_);
    using Kind = Decl::Kind;
    if (word == "entity") return simple(Kind::entity, &Decl::entity, entity_declaration);
    if (word == "event") return simple(Kind::event, &Decl::event, event_declaration);
    if (word == "list") return simple(Kind::list, &Decl::list, list_declaration);
    if (word == "table") return simple(Kind::table, &Decl::table, table_declaration);
    if (word == "param") return simple(Kind::param, &Decl::param, param_declaration);
    if (word == "switch") return simple(Kind::switch_, &Decl::switch_, switch_declaration);
    if (word == "stream") return simple(Kind::stream, &Decl::stream, stream_declaration);
    if (word == "field") return simple(Kind::field, &Decl::field, field_declaration);
    if (word == "feature") return simple(Kind::feature, &Decl::feature, feature_declaration);
    if (word == "policy") return simple(Kind::policy, &Decl::policy, policy);
    if (word == "sample") return simple(Kind::sample, &Decl::sample, sample_declaration);
    if (word == "rule") return rule_declaration();
    if (word == "test") return test_declaration();
    const Iterator from = at_;
    if (foreign_declaration()) return;
    if (word.empty()) {
      const bool closes = *at_ == '}';
      error(
          Code::syntax, token(at_),
          closes ? "this `}` closes nothing" : "a declaration is expected, found " + quoted(shown(slice(token(at_)))));
      if (closes) {
        // One bracket too many is one mistake: what follows it may be right.
        ++at_;
        const Iterator next = reader_.skip(at_);
        if (next == reader_.end() || reader_.begins_declaration(next)) return;
      }
    } else {
      static const Items declarations{"a declaration", "declarations", declaration_words, &Reader::begins_declaration,
                                      at_declaration};
      const bool clause = std::find(clause_words.begin(), clause_words.end(), word) != clause_words.end();
      if (clause) {
        error(Code::syntax, token(at_), quoted(word) + " stands outside of a rule")
            .hints.emplace_back("a `}` before it may be one too many");
      } else {
        unknown_item(declarations, word);
      }
    }
    skip_to_declaration(from);
  }

  /// What begins no declaration of ours; it is said, read as it was meant, and passed over.
  bool foreign_declaration() {
    const Iterator from = at_;
    const Iterator to = piece_end(from, &FileParser::declaration_may_follow);
    if (to - from > mended_bytes_max || mended_ == mended_per_piece_max) return false;
    const std::vector<ForeignForm> forms = foreign_forms(reader_, from, to, from, at_declaration);
    if (forms.empty()) return false;
    const ForeignForm& form = forms.front();
    if (form.any_word && !nearest_name(reader_.identifier_at(from), declaration_words).empty()) return false;
    const MovedText own = text_of(from, to);
    const Iterator base = moved_ != nullptr ? reader_.begin() : from;
    const auto begin = static_cast<std::size_t>(form.from - base);
    const auto end = static_cast<std::size_t>(form.to - base);
    report_foreign(form, own.as_written(begin, end));
    if (form.readable && form.sure) {
      const MovedText moved = own.with(begin, end, form.ours);
      const SourceFile file("", moved.text);
      FileParser inner(file, number_, diagnostics_, moved, mended_ + 1);
      inner.at_ += from - base;
      ast::File meant = inner.parse();
      std::move(meant.declarations.begin(), meant.declarations.end(), std::back_inserter(file_.declarations));
      reported_ += inner.reported_;
    }
    skip_to_declaration(from);
    return true;
  }

  /// After the head of a rule or test did not read: when its `{` is there, its clauses are still worth reading.
  bool enter_block(Iterator from, bool head_read) {
    if (head_read) {
      block_open_ = at_ - 1;
      return true;
    }
    for (Iterator at = reader_.token_end(from); at != reader_.end(); at = reader_.skip(reader_.token_end(at))) {
      if (*at == '{') {
        block_open_ = at;
        at_ = at + 1;
        return true;
      }
      if (*at == '}' || *at == '"' || (reader_.first_on_line(at) && reader_.begins_declaration(at))) break;
    }
    skip_to_declaration(from);
    return false;
  }

  void rule_declaration() {
    static const Items clauses{"a clause of a rule", "clauses", clause_words, &Reader::begins_clause, at_clause};
    const Iterator from = at_;
    ast::RuleDecl rule;
    const bool head = piece(rule_head, rule, &FileParser::anything_may_follow);
    if (!enter_block(from, head)) return;
    block(clauses, clause, rule.clauses, from);
    if (head) add(Decl::Kind::rule, &Decl::rule, std::move(rule), from);
  }

  void test_declaration() {
    static const Items steps{"a step of a test", "steps", test_words, &Reader::begins_test_step, at_test_step};
    const Iterator from = at_;
    ast::TestDecl test;
    const bool head = piece(test_head, test.name, &FileParser::anything_may_follow);
    if (!enter_block(from, head)) return;
    block(steps, test_step, test.steps, from);
    if (head) add(Decl::Kind::test, &Decl::test, std::move(test), from);
  }

  std::uint32_t number_;
  const MovedText* moved_ = nullptr;
  int mended_ = 0;
  Reader reader_;
  Context context_;
  Diagnostics& diagnostics_;
  ast::File file_;
  Iterator at_ = nullptr;
  Iterator reached_ = nullptr;  // how far the last piece was read that did not read
  Iterator further_ = nullptr;  // a piece written anew that is not read to here is not looked at further
  Iterator block_open_ = nullptr;
  const Items* items_ = nullptr;
  std::size_t reported_ = 0;
};

/// Spans of a text inside a file, moved to where it stands there.
void move_to(Span& span, Span at) {
  const std::uint32_t size = at.end - at.begin;
  span.file = at.file;
  span.begin = at.begin + std::min(span.begin, size);
  span.end = at.begin + std::min(span.end, size);
}
void move_to(ast::Expr& expr, Span at);
void move_to(ast::Source& source, Span at) {
  move_to(source.span, at);
  move_to(source.event.name.span, at);
  if (source.via) move_to(source.via->span, at);
  if (source.where) move_to(*source.where, at);
}
void move_to(ast::Aggregate& aggregate, Span at) {
  move_to(aggregate.function.span, at);
  for (ast::Expr& argument : aggregate.arguments) move_to(argument, at);
  move_to(aggregate.source, at);
  for (ast::Key& key : aggregate.keys) {
    move_to(key.span, at);
    move_to(key.name.span, at);
    for (ast::Expr& argument : key.arguments) move_to(argument, at);
  }
  ast::Window& window = aggregate.window;
  for (Span* span : {&window.span, &window.length.span, &window.gap.span, &window.unit.span, &window.zone.span})
    move_to(*span, at);
  if (window.since) move_to(window.since->name.span, at);
}
void move_to(ast::Expr& expr, Span at) {
  move_to(expr.span, at);
  move_to(expr.text_span, at);
  for (Span& span : expr.operator_spans) move_to(span, at);
  for (ast::Expr& child : expr.children) move_to(child, at);
  if (expr.aggregate) move_to(*expr.aggregate, at);
}

}  // namespace
}  // namespace tocsin::dsl::grammar

namespace tocsin::dsl {

ast::File parse(const SourceSet& sources, std::uint32_t file, Diagnostics& diagnostics) {
  const SourceFile& source = sources[file];
  const std::size_t bad = first_not_utf8(source.text());
  if (bad < source.text().size()) {
    const auto at = static_cast<std::uint32_t>(bad);
    diagnostics.error(Code::bad_text_encoding, {file, at, at + 1}, "this file is not UTF-8 text")
        .hints.emplace_back("save it as UTF-8; nothing of it was read");
    ast::File nothing;
    nothing.file = file;
    return nothing;
  }
  return grammar::FileParser(source, file, diagnostics).parse();
}

std::optional<ast::Expr> parse_expression(std::string_view text, Span at, Diagnostics& diagnostics) {
  const SourceFile inside("", std::string(text));
  Diagnostics own;
  std::optional<ast::Expr> expr = grammar::FileParser(inside, 0, own).parse_expression();
  for (Diagnostic mistake : own.all()) {
    grammar::move_to(mistake.span, at);
    for (Label& label : mistake.labels) grammar::move_to(label.span, at);
    for (Edit& edit : mistake.fix) grammar::move_to(edit.span, at);
    diagnostics.error(mistake.code, mistake.span, "") = mistake;
  }
  if (expr) grammar::move_to(*expr, at);
  return expr;
}

}  // namespace tocsin::dsl
