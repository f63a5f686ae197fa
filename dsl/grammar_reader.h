// The words of the rule language, read by hand: what the X3 rules of grammar*.cpp are made of. A Reader also remembers
// how far anything was read and what would have been right there: of all attempts the one that came furthest is what
// the author meant, so a failure needs no exception and gives exactly one message. Remembering costs time, hence a
// piece of text (a declaration, a clause) is read without it, and once more with it when it did not read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsl/ast.h"
#include "dsl/diagnostic.h"

namespace tocsin::dsl::grammar {

using Iterator = const char*;

/// Levels of brackets, `not`, `-` and aggregates inside each other: more is no rule a person reads, and the stack is
/// finite.
inline constexpr int depth_max = 100;
/// Parts of one chain `a + b + …` or `a and b and …`.
inline constexpr std::size_t chain_max = 1000;

/// A whole number as counts need it.
struct Whole {
  std::uint64_t value = 0;
  Span span;
};

/// One of a few words: `low`, `block`, `hour`.
struct Choice {
  std::string_view what;  // "a severity (info, low, medium, high or critical)"
  std::vector<std::string_view> words;
};
extern const Choice severities, modes, picks, actions, combinations, calendar_units, string_operators;

/// A text with parts of it written anew, and where each of its bytes comes from: what is read there is reported where the
/// author wrote it. A new part comes from all of what stood in its place.
struct MovedText {
  std::string text;
  std::vector<std::uint32_t> begins;  // of each byte
  std::vector<std::uint32_t> ends;

  /// A text as the author wrote it, from byte `at` of the file.
  static MovedText of(std::string_view written, std::uint32_t at);
  /// Bytes [begin, end) of this text replaced.
  [[nodiscard]] MovedText with(std::size_t begin, std::size_t end, std::string_view ours) const;
  /// Whether all of [begin, end) stands there as the author wrote it.
  [[nodiscard]] bool as_written(std::size_t begin, std::size_t end) const;
};

class Reader {
 public:
  /// `moved`: the file is this text, which must live as long.
  Reader(const SourceFile& file, std::uint32_t number, const MovedText* moved = nullptr);

  // What may be expected is shown to the author, or only a candidate for "did you mean" (the operators that may follow
  // any expression would make every message a list).
  enum class Wanted { thing, word, sign, quiet_word };
  struct Expected {
    Wanted wanted;
    std::string_view text;
  };

  /// Before a piece is read; `remember` says whether what is expected is collected.
  void start(bool remember);

  [[nodiscard]] Iterator begin() const { return begin_; }
  [[nodiscard]] Iterator end() const { return end_; }
  [[nodiscard]] Span span(Iterator from, Iterator to) const;
  [[nodiscard]] std::string_view slice(Span span) const;
  [[nodiscard]] Iterator place_of(Span span) const;
  /// Behind white space and comments.
  Iterator skip(Iterator at);

  // Each reads one thing at `at` and moves it behind, or leaves it.
  bool word(Iterator& at, std::string_view text, Span& span, Wanted wanted = Wanted::word);
  bool sign(Iterator& at, std::string_view text, Span& span, Wanted wanted = Wanted::sign);
  bool name(Iterator& at, ast::Name& out);
  /// A name with a text behind it, `user "u1"`; where that is not so, nothing of it was expected.
  bool name_before_text(Iterator& at, ast::Name& out);
  bool atom_name(Iterator& at, ast::Name& out);
  bool event_name(Iterator& at, ast::EventName& out);
  bool list_name(Iterator& at, ast::Name& out);
  bool literal(Iterator& at, ast::Expr& out);
  bool duration(Iterator& at, ast::Text& out);
  bool percent(Iterator& at, ast::Text& out);
  bool number(Iterator& at, ast::Text& out);
  bool whole(Iterator& at, Whole& out);
  bool currency(Iterator& at, ast::Text& out);
  bool string(Iterator& at, ast::Text& out);
  bool choice(Iterator& at, const Choice& choice, ast::Text& out);
  bool chain_operator(Iterator& at, ast::Text& out);
  bool compare_operator(Iterator& at, ast::Text& out);
  bool add_operator(Iterator& at, ast::Text& out);
  bool multiply_operator(Iterator& at, ast::Text& out);
  bool range(Iterator& at, ast::Text& out);
  bool not_operator(Iterator& at, Span& out);
  bool field_role(Iterator& at, ast::Text& out);
  bool optional_mark(Iterator& at, Span& out);
  bool mask_mark(Iterator& at, Span& out);
  bool then_word(Iterator& at, Span& out);

  /// For a thing made of several: when nothing of it was read, its name takes the place of what its parts expected.
  struct Label {
    Iterator at;
    std::size_t size;
  };
  Label open_label(Iterator at);
  void close_label(Label label, std::string_view what);

  bool enter(Iterator at);  // one level deeper; false (and stopped) beyond the limit
  void leave() { --depth_; }

  /// A mistake after which reading goes on as if the right thing stood there.
  Diagnostic& mistake(Code code, Span span, std::string message);
  /// A mistake that ends the piece.
  Diagnostic& stop(Code code, Span span, std::string message);
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] const std::vector<Diagnostic>& mistakes() const { return mistakes_; }

  [[nodiscard]] Iterator furthest() const { return furthest_; }
  [[nodiscard]] const std::vector<Expected>& expected() const { return expected_; }

  /// The identifier at `at` (which may have capitals), or nothing.
  [[nodiscard]] std::string_view identifier_at(Iterator at) const;
  /// Where the token at `at` ends, whatever it is: words, numbers, texts (also unclosed ones), signs.
  [[nodiscard]] Iterator token_end(Iterator at) const;
  [[nodiscard]] bool first_on_line(Iterator at) const;
  /// Whether something beginning with this word of a declaration or clause stands here, and not an expression with such
  /// a name.
  bool begins_declaration(Iterator at);
  bool begins_clause(Iterator at);
  bool begins_test_step(Iterator at);

 private:
  void expect(Iterator at, Wanted wanted, std::string_view text);
  bool take_name(Iterator& at, ast::Name& out, std::string_view what, bool (*reserved)(std::string_view));
  bool take_duration(Iterator at, Iterator& end) const;
  void bad_number(Iterator at);

  const SourceFile& file_;
  std::uint32_t number_;
  const MovedText* moved_;
  Iterator begin_;
  Iterator end_;
  Iterator skipped_from_ = nullptr;  // white space is skipped once for all attempts at a place
  Iterator skipped_to_ = nullptr;
  bool remember_ = false;
  bool stopped_ = false;
  int depth_ = 0;
  Iterator furthest_;
  std::vector<Expected> expected_;
  std::vector<Diagnostic> mistakes_;
};

extern const std::vector<std::string> declaration_words, clause_words, test_words;

}  // namespace tocsin::dsl::grammar
