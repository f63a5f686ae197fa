// How other languages say what this one says otherwise: SQL, Flink, Drools, Sigma, Python, plain English. One table of
// forms (a pattern of words, and what is written here instead) which is asked only when a piece of text did not read.
//
// A form is no more than a guess until the text with ours in its place has been read: whoever asks tries that first and
// tells the author only of what then reads further. Hence a form may match too much, and its order in the table is the
// order of trying.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsl/grammar_reader.h"

namespace tocsin::dsl::grammar {

/// A form found in a text.
struct ForeignForm {
  Iterator from = nullptr;
  Iterator to = nullptr;
  std::string ours;          // what is written instead; empty when only the hint can help
  bool readable = false;     // ours is a text to read, not an example with gaps
  bool sure = false;         // it means the same: `check --fix` may write it
  bool any_word = false;     // it begins with any word at all, which may be a misspelt one of ours
  std::string_view message;  // empty: "`…` is not of this language"
  std::string_view hint;     // may be empty
};

/// Where the pieces are that no first word says: an unknown word instead of a clause, a step of a test or a declaration.
inline constexpr std::string_view at_clause = "(clause)";
inline constexpr std::string_view at_test_step = "(step)";
inline constexpr std::string_view at_declaration = "(declaration)";

/// The forms of the piece [from, to) that have to do with the place at which it did not read on, best first. `kind` is
/// the first word of the piece or one of the names above.
std::vector<ForeignForm> foreign_forms(Reader& reader, Iterator from, Iterator to, Iterator stuck,
                                       std::string_view kind);

/// What other languages call a type or a function of ours: "timestamp" is `time`. Empty when we do not know it.
std::string_view type_called(std::string_view foreign);

/// How a call of another language's function is written here, or nothing: `coalesce(a, b)` is `a ?? b`.
std::string call_called(std::string_view foreign, std::vector<std::string> arguments);

/// Words of other languages for a value that is missing, and for the time it is.
bool means_missing(std::string_view word);
bool means_now(std::string_view word);

/// Words that begin no step, though they look like the name of an event: `followed by`, `unless`.
bool joins_steps_elsewhere(std::string_view word);

}  // namespace tocsin::dsl::grammar
