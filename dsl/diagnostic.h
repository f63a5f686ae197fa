// Every message to the analyst: what was found, where, and what would be right. Messages are appended to a list and checking
// goes on, so that one run reports all mistakes; one mistake gives one message. The form is LANGUAGE.md 2.7.
#pragma once

#include <string>
#include <vector>

#include "dsl/codes.h"
#include "dsl/source.h"

namespace tocsin::dsl {

enum class Severity { error, warning };

/// A further place that matters for the message, with a few words under its carets.
struct Label {
  Span span;
  std::string text;
};

/// A change of rule text: what stands at the span becomes the text.
struct Edit {
  Span span;
  std::string text;
};

struct Diagnostic {
  Severity severity = Severity::error;
  Code code = Code::syntax;
  Span span;                       // what the carets stand under
  std::string message;             // a sentence without a full stop: "event `transfer` has no field `ammount`"
  std::string under;               // words behind the carets: "did you mean `amount`?"; may be empty
  std::vector<Label> labels;       // further places
  std::vector<std::string> notes;  // lines below the snippet: "fields of transfer: amount, …"
  std::vector<std::string> hints;  // lines of "hint: …": a change that compiles
  std::vector<Edit> fix;           // the change that `check --fix` makes; nothing when a person has to decide
};

class Diagnostics {
 public:
  Diagnostic& error(Code code, Span span, std::string message);
  Diagnostic& warning(Code code, Span span, std::string message);

  [[nodiscard]] const std::vector<Diagnostic>& all() const { return list_; }
  [[nodiscard]] std::size_t error_count() const;
  [[nodiscard]] std::size_t warning_count() const;
  /// By file, then place, then code: the order of printing, independent of the order of checking.
  void sort();
  /// For what is done to all messages at the end: fixes (dsl/fix.h), silencing (dsl/accept.h).
  std::vector<Diagnostic>& list() { return list_; }

 private:
  std::vector<Diagnostic> list_;
};

/// One message with snippet and carets, ending in a newline.
std::string render(const Diagnostic& diagnostic, const SourceSet& sources);
/// All messages, a blank line between them.
std::string render(const Diagnostics& diagnostics, const SourceSet& sources);
/// One JSON object per message, one a line.
std::string render_json(const Diagnostics& diagnostics, const SourceSet& sources);

/// The name of `candidates` that `wrong` was probably meant to be: edit distance at most 2, or the same letters. Empty if none.
std::string nearest_name(std::string_view wrong, const std::vector<std::string>& candidates);

}  // namespace tocsin::dsl
