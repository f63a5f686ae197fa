#include "dsl/diagnostic.h"

#include <algorithm>
#include <cstdio>

namespace tocsin::dsl {
namespace {

/// Of longer lines only the surroundings of the place are shown: a line of a megabyte must not be printed for one
/// mistake in it.
constexpr std::uint32_t line_shown_max = 200;
constexpr std::uint32_t line_before_max = 80;

struct Mark {
  std::uint32_t begin = 1;  // columns, from 1
  std::uint32_t end = 2;    // behind the last
  char sign = '^';
  std::string_view text;
};

/// The characters of a line, each as it may go to a terminal: control characters and bytes that are no UTF-8 become
/// U+FFFD.
std::vector<std::string> characters_of(std::string_view line) {
  std::vector<std::string> characters;
  constexpr std::string_view unprintable = "\xEF\xBF\xBD";
  for (std::size_t i = 0; i < line.size();) {
    const auto lead = static_cast<unsigned char>(line[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    std::size_t have = 1;
    while (have < size && i + have < line.size() && (static_cast<unsigned char>(line[i + have]) & 0xC0U) == 0x80U)
      ++have;
    const bool shown = size == 1 ? (lead >= 0x20 && lead < 0x7F) || lead == '\t' : have == size;
    characters.emplace_back(shown ? line.substr(i, have) : unprintable);
    i += have;
  }
  return characters;
}

/// Text of a message, which may quote what stands in a file.
std::string clean(std::string_view text) {
  std::string out;
  for (const std::string& character : characters_of(text)) out += character;
  return out;
}

std::string line_number(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "%5u", number);
  return text;
}

/// The line and, below it, the marks: carets for the place itself, dashes for further ones. The words of the last mark
/// stand behind it; those of marks before it get lines of their own.
void add_snippet(std::string& out, const SourceFile& file, std::uint32_t number, std::vector<Mark> marks) {
  const auto characters = characters_of(file.line(number));
  const auto size = static_cast<std::uint32_t>(characters.size());
  std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.begin < b.begin; });
  std::uint32_t from = 0;
  std::uint32_t to = size;
  if (size > line_shown_max) {
    const std::uint32_t column = marks.empty() ? 1 : marks.front().begin;
    from = column > line_before_max ? column - line_before_max : 0;
    to = std::min(size, from + line_shown_max);
  }
  const std::string cut_left = from > 0 ? "…" : "";
  out += line_number(number) + " | " + cut_left;
  for (std::uint32_t i = from; i < to; ++i) out += characters[i];
  if (to < size) out += "…";
  while (out.ends_with(' ')) out.pop_back();
  out += '\n';

  // Tabs of the line are repeated below it, so that marks stand right whatever a tab is wide.
  const auto pad_to = [&](std::string& row, std::uint32_t& column, std::uint32_t target) {
    for (; column < target; ++column) {
      const std::uint32_t index = column - 1;
      row += index < size && characters[index] == "\t" ? '\t' : ' ';
    }
  };
  const std::string margin = std::string("      | ") + (from > 0 ? " " : "");
  std::string row = margin;
  std::uint32_t column = from + 1;
  for (const Mark& mark : marks) {
    const std::uint32_t begin = std::max(std::min(mark.begin, to + 1), from + 1);
    const std::uint32_t end = std::max(begin + 1, std::min(mark.end, to + 1));
    pad_to(row, column, begin);
    for (; column < end; ++column) row += mark.sign;
  }
  if (!marks.empty() && !marks.back().text.empty()) row += ' ' + clean(marks.back().text);
  out += row + '\n';
  for (std::size_t i = marks.size(); i-- > 1;) {
    const Mark& mark = marks[i - 1];
    if (mark.text.empty()) continue;
    row = margin;
    column = from + 1;
    pad_to(row, column, std::max(std::min(mark.begin, to + 1), from + 1));
    out += row + clean(mark.text) + '\n';
  }
}

Mark mark_of(const SourceFile& file, Span span, char sign, std::string_view text) {
  const auto begin = file.place_of(span.begin);
  auto end = file.place_of(std::max(span.begin, span.end));
  if (end.line != begin.line) {
    // What goes on over several lines is marked to the end of its first.
    const auto line = file.line(begin.line);
    end.column = static_cast<std::uint32_t>(characters_of(line).size()) + 1;
  }
  return {begin.column, std::max(end.column, begin.column + 1), sign, text};
}

std::string place_text(const SourceFile& file, Span span) {
  const auto place = file.place_of(span.begin);
  return file.path() + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": ";
}

void add_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (const std::string& character : characters_of(text)) {
    if (character == "\"" || character == "\\") out += '\\';
    if (character == "\t") {
      out += "\\t";
    } else {
      out += character;
    }
  }
  out += '"';
}

void add_json_lines(std::string& out, std::string_view name, const std::vector<std::string>& lines) {
  out += ",\"" + std::string(name) + "\":[";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += ',';
    // A line feed inside is layout of the text form only.
    std::string line = lines[i];
    std::replace(line.begin(), line.end(), '\n', ' ');
    add_json_text(out, line);
  }
  out += ']';
}

void add_json_place(std::string& out, const SourceSet& sources, Span span) {
  const SourceFile& file = sources[span.file];
  const auto begin = file.place_of(span.begin);
  const auto end = file.place_of(std::max(span.begin, span.end));
  out += "\"file\":";
  add_json_text(out, file.path());
  out += ",\"line\":" + std::to_string(begin.line) + ",\"column\":" + std::to_string(begin.column) +
         ",\"end_line\":" + std::to_string(end.line) + ",\"end_column\":" + std::to_string(end.column);
}

std::string_view word_of(Severity severity) { return severity == Severity::error ? "error" : "warning"; }

}  // namespace

Diagnostic& Diagnostics::error(Code code, Span span, std::string message) {
  list_.push_back({Severity::error, code, span, std::move(message), {}, {}, {}, {}, {}});
  return list_.back();
}

Diagnostic& Diagnostics::warning(Code code, Span span, std::string message) {
  list_.push_back({Severity::warning, code, span, std::move(message), {}, {}, {}, {}, {}});
  return list_.back();
}

std::size_t Diagnostics::error_count() const {
  return static_cast<std::size_t>(
      std::count_if(list_.begin(), list_.end(), [](const Diagnostic& d) { return d.severity == Severity::error; }));
}

std::size_t Diagnostics::warning_count() const { return list_.size() - error_count(); }

void Diagnostics::sort() {
  std::stable_sort(list_.begin(), list_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    if (a.span.file != b.span.file) return a.span.file < b.span.file;
    if (a.span.begin != b.span.begin) return a.span.begin < b.span.begin;
    return a.code < b.code;
  });
}

std::string render(const Diagnostic& diagnostic, const SourceSet& sources) {
  std::string out;
  if (diagnostic.span.file < sources.size()) {
    const SourceFile& file = sources[diagnostic.span.file];
    out += place_text(file, diagnostic.span);
  }
  out += std::string(word_of(diagnostic.severity)) + "[" + std::string(letter_of(diagnostic.code)) + "]: ";
  out += clean(diagnostic.message) + '\n';
  if (diagnostic.span.file < sources.size()) {
    const SourceFile& file = sources[diagnostic.span.file];
    const std::uint32_t number = file.place_of(diagnostic.span.begin).line;
    std::vector<Mark> marks{mark_of(file, diagnostic.span, '^', diagnostic.under)};
    // Lines of the same file stand in their order, those of other files below.
    struct Line {
      std::uint32_t file;
      std::uint32_t number;
      std::vector<Mark> marks;
    };
    std::vector<Line> lines{{diagnostic.span.file, number, std::move(marks)}};
    for (const Label& label : diagnostic.labels) {
      if (label.span.file >= sources.size()) continue;
      const SourceFile& other = sources[label.span.file];
      const std::uint32_t at = other.place_of(label.span.begin).line;
      auto line = std::find_if(lines.begin(), lines.end(),
                               [&](const Line& l) { return l.file == label.span.file && l.number == at; });
      if (line == lines.end()) line = lines.insert(lines.end(), Line{label.span.file, at, {}});
      line->marks.push_back(mark_of(other, label.span, '-', label.text));
    }
    const std::uint32_t own = diagnostic.span.file;
    std::stable_sort(lines.begin(), lines.end(), [own](const Line& a, const Line& b) {
      if ((a.file == own) != (b.file == own)) return a.file == own;
      return a.file != b.file ? a.file < b.file : a.number < b.number;
    });
    std::uint32_t shown = own;
    for (Line& line : lines) {
      if (line.file != shown) out += "  " + sources[line.file].path() + ":\n";
      shown = line.file;
      add_snippet(out, sources[line.file], line.number, std::move(line.marks));
    }
  }
  for (const std::string& note : diagnostic.notes) out += "      " + clean(note) + '\n';
  for (const std::string& hint : diagnostic.hints) {
    out += "      hint: ";
    std::string_view rest = hint;
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      out += clean(rest.substr(0, end)) + '\n' + std::string(12, ' ');
      rest.remove_prefix(end + 1);
    }
    out += clean(rest) + '\n';
  }
  // "did you mean" says it already.
  if (!diagnostic.fix.empty() && !diagnostic.under.starts_with("did you mean")) {
    out += "      fix available: tocsin check --fix\n";
  }
  return out;
}

std::string render(const Diagnostics& diagnostics, const SourceSet& sources) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    if (!out.empty()) out += '\n';
    out += render(diagnostic, sources);
  }
  return out;
}

std::string render_json(const Diagnostics& diagnostics, const SourceSet& sources) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    out += "{\"severity\":\"" + std::string(word_of(diagnostic.severity)) + "\",\"code\":\"" +
           std::string(letter_of(diagnostic.code)) + "\",";
    if (diagnostic.span.file < sources.size()) {
      add_json_place(out, sources, diagnostic.span);
      out += ',';
    }
    out += "\"message\":";
    add_json_text(out, diagnostic.message);
    out += ",\"under\":";
    add_json_text(out, diagnostic.under);
    out += ",\"labels\":[";
    bool first = true;
    for (const Label& label : diagnostic.labels) {
      if (label.span.file >= sources.size()) continue;
      if (!first) out += ',';
      first = false;
      out += '{';
      add_json_place(out, sources, label.span);
      out += ",\"text\":";
      add_json_text(out, label.text);
      out += '}';
    }
    out += ']';
    add_json_lines(out, "notes", diagnostic.notes);
    add_json_lines(out, "hints", diagnostic.hints);
    out += ",\"fix\":[";
    for (const Edit& edit : diagnostic.fix) {
      if (&edit != &diagnostic.fix.front()) out += ',';
      out += '{';
      add_json_place(out, sources, edit.span);
      out += ",\"text\":";
      add_json_text(out, edit.text);
      out += '}';
    }
    out += ']';
    out += "}\n";
  }
  return out;
}

}  // namespace tocsin::dsl
