#include "dsl/format.h"

#include <algorithm>
#include <set>

#include "dsl/grammar_reader.h"
#include "dsl/layout.h"
#include "dsl/parse.h"
#include "dsl/print.h"
#include "dsl/walk.h"

namespace tocsin::dsl {
namespace {

constexpr std::size_t line_width = 120;
constexpr std::size_t indent_width = 2;
constexpr std::size_t continued_indent = 4;

/// What only the tree knows about signs: which brackets belong to the word before them, which minus stands before its value.
class Signs : public Visitor {
 public:
  void expression(const ast::Expr& value) override {
    switch (value.kind) {
      case ast::ExprKind::call: called_.insert(value.text_span.end); return;
      case ast::ExprKind::negate: before_value_.insert(value.span.begin); return;
      case ast::ExprKind::aggregate:
        if (value.aggregate && !value.aggregate->arguments.empty()) called_.insert(value.aggregate->function.span.end);
        return;
      case ast::ExprKind::number:
      case ast::ExprKind::duration:
      case ast::ExprKind::percent:
      case ast::ExprKind::string:
      case ast::ExprKind::boolean:
      case ast::ExprKind::now:
      case ast::ExprKind::name:
      case ast::ExprKind::member:
      case ast::ExprKind::list:
      case ast::ExprKind::not_:
      case ast::ExprKind::and_:
      case ast::ExprKind::or_:
      case ast::ExprKind::compare:
      case ast::ExprKind::in:
      case ast::ExprKind::is_missing:
      case ast::ExprKind::string_test:
      case ast::ExprKind::has_label:
      case ast::ExprKind::arithmetic:
      case ast::ExprKind::coalesce:
      case ast::ExprKind::money_as:
      case ast::ExprKind::feature_of:
      case ast::ExprKind::any_rule_decides:
      case ast::ExprKind::any_rule_tagged: return;
    }
  }
  void key(const ast::Key& key) override {
    if (key.is_call) called_.insert(key.name.span.end);
  }
  void type(const ast::TypeRef& type) override {
    types_.emplace_back(type.span.begin, type.span.end);
    called_.insert(type.name.span.end);
  }
  void test_step(const ast::TestStep& step) override {
    if (step.after) delays_.insert(step.after->span.begin);
  }

  void object(const ast::Object& object) override {
    for (const ast::Pair& pair : object.pairs) names_.insert(pair.name.span.begin);
  }

  /// Whether nothing stands between the two words, of which `right` follows `left`.
  [[nodiscard]] bool tight(const Word& left, const Word& right) const {
    const std::string_view l = left.text;
    const std::string_view r = right.text;
    if (l == "(" || l == "[" || r == ")" || r == "]" || r == "," || r == ";" || l == "." || r == ".") return true;
    if (l == "{" && r == "}") return true;
    if (r == "(") return called_.contains(left.end());
    if (r == ":") return names_.contains(left.begin);
    if (l == "-") return before_value_.contains(left.begin);
    if (l == "+") return delays_.contains(right.begin);
    if (l == "<" || r == "<" || r == ">") return in_type(left.begin) && in_type(right.begin);
    return false;
  }

 private:
  [[nodiscard]] bool in_type(std::uint32_t offset) const {
    return std::any_of(types_.begin(), types_.end(),
                       [&](const auto& t) { return t.first <= offset && offset < t.second; });
  }
  std::set<std::uint32_t> called_;        // ends of words that a bracket belongs to
  std::set<std::uint32_t> before_value_;  // places of minus signs
  std::set<std::uint32_t> delays_;        // of `send +4m`
  std::set<std::uint32_t> names_;         // of pairs `name: value`
  std::vector<std::pair<std::uint32_t, std::uint32_t>> types_;
};

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool joins(const Word& word) { return !word.comment && (word.text == "and" || word.text == "or"); }

/// Words before which no line is broken by us: the first word of a line may be taken for the beginning of the next item.
bool begins_something(const Word& word) {
  for (const auto* words : {&grammar::declaration_words, &grammar::clause_words, &grammar::test_words}) {
    if (std::find(words->begin(), words->end(), word.text) != words->end()) return true;
  }
  return word.text == "then" || word.text == "until" || word.text == "no";
}

struct Row {
  std::string text;
  bool blank_before = false;
  bool comment = false;      // a comment alone
  bool opens = false;        // ends in the `{` of a block
  bool closes = false;       // begins with its `}`
  std::size_t level = 0;     // blocks around it
  std::string_view kind;     // rows of one kind that stand together are aligned: at `name_end`
  std::size_t name_end = 0;  // where `:`, `=` or `when` stands in `text`
};

class Layout {
 public:
  Layout(const SourceFile& source, const ast::File& file)
      : words_(words_of(source)), starts_(line_starts(file, words_)) {
    walk(file, signs_);
    for (const ast::Decl& declaration : file.declarations) {
      if (declaration.event) add_fields(declaration.event->fields, declaration.span);
      if (declaration.table) add_fields(declaration.table->fields, declaration.span);
      if (!declaration.policy) continue;
      for (const ast::PolicyLine& policy_line : declaration.policy->lines) policy_lines_.insert(policy_line.span.begin);
    }
  }

  std::string run() {
    for (std::size_t i = 0; i < words_.size();) {
      if (words_[i].comment) {  // alone: those behind a word were taken with their line
        // Before a closing brace a comment belongs to what is inside, where `level_` still is.
        Row row{std::string(level_ * indent_width, ' ') + std::string(words_[i].text), blank_before(i), true};
        row.level = level_;
        rows_.push_back(std::move(row));
        ++i;
        continue;
      }
      std::size_t end = i + 1;
      while (end < words_.size() && !starts(end)) ++end;
      // Comments alone before the next line belong to that, not to the end of this one.
      while (end > i + 1 && words_[end - 1].comment && words_[end - 1].alone) --end;
      line(i, end);
      i = end;
    }
    align_rows();
    return joined();
  }

 private:
  void add_fields(const std::vector<ast::Field>& fields, Span declaration) {
    for (const ast::Field& field : fields) fields_.insert(field.span.begin);
    // What its author wrote on one line stays on one if it fits, with two blanks between its fields.
    const auto first = static_cast<std::size_t>(
        std::find_if(words_.begin(), words_.end(), [&](const Word& w) { return w.begin >= declaration.begin; }) -
        words_.begin());
    std::size_t last = first;
    std::string text;
    for (; last < words_.size() && words_[last].begin < declaration.end; ++last) {
      if (words_[last].comment || words_[last].line != words_[first].line) return;
      add_word(text, last, last == first);
    }
    if (width_of(text) > line_width) return;
    std::erase_if(starts_, [&](std::uint32_t at) { return at > declaration.begin && at < declaration.end; });
  }
  [[nodiscard]] bool starts(std::size_t i) const {
    return !words_[i].comment && std::binary_search(starts_.begin(), starts_.end(), words_[i].begin);
  }
  [[nodiscard]] bool blank_before(std::size_t i) const { return i > 0 && words_[i].line > words_[i - 1].line + 1; }

  /// The words [from, to) as one logical line.
  void line(std::size_t from, std::size_t to) {
    const bool closes = words_[from].text == "}";
    if (closes && level_ > 0) --level_;
    std::size_t last = to;
    while (last > from + 1 && words_[last - 1].comment) --last;
    const bool opens = words_[last - 1].text == "{" && !closes;
    const std::size_t first_row = rows_.size();
    lay_out(from, to);
    rows_[first_row].blank_before = blank_before(from);
    rows_[first_row].closes = closes;
    if (rows_.size() == first_row + 1) align(rows_[first_row], words_[from]);
    for (std::size_t r = first_row; r < rows_.size(); ++r) rows_[r].level = level_;
    rows_.back().opens = opens;
    if (opens) ++level_;
  }

  struct Piece {
    std::size_t from = 0, to = 0;  // words; comments only as last ones
  };

  void lay_out(std::size_t from, std::size_t to) {
    // Depth of brackets.
    depths_.assign(to - from, 0);
    std::size_t open = 0;
    for (std::size_t i = from; i < to; ++i) {
      const std::string_view text = words_[i].text;
      if ((text == ")" || text == "]" || text == "}") && open > 0) --open;
      depths_[i - from] = open;
      if (text == "(" || text == "[" || text == "{") ++open;
    }
    base_ = from;

    // Broken around comments, which must be, and where its author broke a condition.
    Piece piece{from, from};
    for (std::size_t i = from; i < to; ++i) {
      const bool around_comment = i > from && ((words_[i].comment && words_[i].alone) || words_[i - 1].comment);
      const bool by_author =
          i > from && joins(words_[i]) &&
          (words_[i].line > words_[i - 1].line || (i + 1 < to && words_[i + 1].line > words_[i].line));
      if (around_comment || by_author) {
        put(piece, from);
        piece = {i, i};
      }
      piece.to = i + 1;
    }
    put(piece, from);
  }

  /// A row when it fits; else broken before its outermost joints; without joints, filled.
  void put(const Piece& piece, std::size_t line_from) {
    if (indent_of(piece, line_from) + width_of(text_of(piece)) <= line_width) return fill(piece, line_from);
    std::size_t outermost = SIZE_MAX;
    for (std::size_t i = piece.from + 1; i < piece.to; ++i) {
      if (joins(words_[i])) outermost = std::min(outermost, depth(i));
    }
    if (outermost == SIZE_MAX) return fill(piece, line_from);
    Piece part{piece.from, piece.from + 1};
    for (std::size_t i = piece.from + 1; i < piece.to; ++i) {
      if (joins(words_[i]) && depth(i) == outermost) {
        put(part, line_from);
        part = {i, i};
      }
      part.to = i + 1;
    }
    put(part, line_from);
  }

  [[nodiscard]] std::size_t depth(std::size_t i) const { return depths_[i - base_]; }

  [[nodiscard]] std::size_t indent_of(const Piece& piece, std::size_t line_from) const {
    const std::size_t indent = level_ * indent_width;
    if (piece.from == line_from) return indent;
    // A condition's joints end where the word `when` ends.
    if (words_[line_from].text == "when" && joins(words_[piece.from]))
      return indent + 4 - words_[piece.from].text.size();
    return indent + continued_indent;
  }

  void add_word(std::string& out, std::size_t i, bool first) const {
    if (!first) {
      if (words_[i].comment) {
        out += "  ";
      } else if (!signs_.tight(words_[i - 1], words_[i])) {
        out += fields_.contains(words_[i].begin) && words_[i - 1].text != "{" ? "  " : " ";
      }
    }
    out += words_[i].text;
  }

  [[nodiscard]] std::string text_of(const Piece& piece) const {
    std::string out;
    for (std::size_t i = piece.from; i < piece.to; ++i) {
      if (words_[i].comment && i > piece.from) break;  // a comment never makes a line too long
      add_word(out, i, i == piece.from);
    }
    return out;
  }

  [[nodiscard]] bool may_break_before(std::size_t i) const {
    if (words_[i].comment || begins_something(words_[i])) return false;
    if (words_[i - 1].text == ",") return true;
    return words_[i].text == "from" || words_[i].text == "where" || words_[i].text == "per" || words_[i].text == "else";
  }

  /// Rows of at most a line's width, broken at the last possible place; a row without such a place stays long.
  void fill(const Piece& piece, std::size_t line_from) {
    std::string row = std::string(indent_of(piece, line_from), ' ');
    std::size_t row_from = piece.from;
    for (std::size_t i = piece.from; i < piece.to;) {
      // Up to the next place at which the row may be broken.
      std::size_t end = i + 1;
      while (end < piece.to && !may_break_before(end)) ++end;
      std::string part;
      for (std::size_t k = i; k < end; ++k) {
        if (words_[k].comment && k > piece.from) continue;
        add_word(part, k, k == row_from);
      }
      if (i > row_from && width_of(row) + width_of(part) > line_width) {
        rows_.push_back({std::move(row)});
        row = std::string(level_ * indent_width + continued_indent, ' ');
        row_from = i;
        continue;
      }
      row += part;
      for (std::size_t k = i; k < end; ++k) {
        if (words_[k].comment && k > piece.from) add_word(row, k, false);
      }
      i = end;
    }
    rows_.push_back({std::move(row)});
  }

  /// What of a row is to stand under the same of its neighbours.
  void align(Row& row, const Word& first) const {
    static constexpr std::string_view named[] = {"let", "param", "switch", "stream", "field", "feature", "sample"};
    if (fields_.contains(first.begin)) {
      row.kind = ":";
      row.name_end = row.text.find(" : ");
    } else if (policy_lines_.contains(first.begin)) {
      row.kind = "when";
      row.name_end = row.text.find(' ', level_ * indent_width);
    } else if (first.text == "list") {
      row.kind = first.text;
      row.name_end = row.text.find(" : ");
    } else if (std::find(std::begin(named), std::end(named), first.text) != std::end(named)) {
      row.kind = first.text;
      row.name_end = row.text.find(" = ");
    }
    if (row.name_end == std::string::npos) row.kind = {};
  }

  /// Neighbours of one kind are aligned when all of them still fit.
  void align_rows() {
    for (std::size_t i = 0; i < rows_.size();) {
      std::size_t end = i;
      std::size_t widest = 0;
      while (end < rows_.size() && !rows_[end].kind.empty() && rows_[end].kind == rows_[i].kind &&
             (end == i || !rows_[end].blank_before)) {
        widest = std::max(widest, rows_[end++].name_end);
      }
      const bool fit =
          std::all_of(rows_.begin() + static_cast<std::ptrdiff_t>(i), rows_.begin() + static_cast<std::ptrdiff_t>(end),
                      [&](const Row& row) { return width_of(row.text) + widest - row.name_end <= line_width; });
      for (std::size_t k = i; k < end && fit; ++k) {
        rows_[k].text.insert(rows_[k].name_end, widest - rows_[k].name_end, ' ');
      }
      i = std::max(end, i + 1);
    }
  }

  [[nodiscard]] std::string joined() {
    // A declaration with a block stands between blank lines, together with the comments right above it.
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!rows_[i].opens || rows_[i].level > 0) continue;
      std::size_t first = i;
      // The head may be of several rows: those are continued, deeper.
      while (first > 0 && !rows_[first].blank_before &&
             ((rows_[first - 1].comment && rows_[first - 1].level == 0) || rows_[first].text.starts_with(' '))) {
        --first;
      }
      rows_[first].blank_before = true;
    }
    std::string out;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const bool behind_block = i > 0 && rows_[i - 1].closes && rows_[i - 1].level == 0;
      const bool inside_edge = i > 0 && (rows_[i - 1].opens || rows_[i].closes);
      if (i > 0 && !inside_edge && (rows_[i].blank_before || behind_block)) out += '\n';
      out += rows_[i].text + '\n';
    }
    return out;
  }

  std::vector<Word> words_;
  std::vector<std::uint32_t> starts_;
  Signs signs_;
  std::set<std::uint32_t> fields_, policy_lines_;  // their places
  std::vector<Row> rows_;
  std::size_t level_ = 0;
  std::size_t base_ = 0;
  std::vector<std::size_t> depths_;  // of the line at hand, from `base_` on
};

std::vector<std::string_view> texts(const std::vector<Word>& words) {
  std::vector<std::string_view> out;
  for (const Word& word : words) out.push_back(word.text);
  return out;
}

}  // namespace

std::optional<std::string> format(const SourceFile& source, const ast::File& file) {
  std::string out = Layout(source, file).run();
  const SourceSet sources{{source.path(), out}};
  Diagnostics diagnostics;
  const ast::File again = parse(sources, 0, diagnostics);
  if (!diagnostics.all().empty() || dump(again) != dump(file)) return std::nullopt;
  if (texts(words_of(sources[0])) != texts(words_of(source))) return std::nullopt;
  return out;
}

}  // namespace tocsin::dsl
