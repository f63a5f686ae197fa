#include "dsl/report.h"

#include <algorithm>
#include <vector>

#include "dsl/explain_codes.h"
#include "event/schema.h"

namespace tocsin::dsl {
namespace {

using event::append_json_string;

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// The message with what stands around it in the text form: one paragraph.
std::string whole_text(const Diagnostic& d) {
  std::string out = d.message;
  if (!d.under.empty()) out += " (" + d.under + ")";
  for (const std::string& note : d.notes) out += "\n" + note;
  for (const std::string& hint : d.hints) out += "\nhint: " + hint;
  return out;
}

/// A path as the reference of an address (RFC 3986): what is not unreserved is written as bytes.
std::string address_of(std::string_view path) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    }
  }
  return out;
}

// ---------------------------------------------------------------- SARIF
std::string region_of(const SourceFile& file, Span span) {
  const auto begin = file.place_of(span.begin);
  const auto end = file.place_of(std::max(span.begin, span.end));
  return "{\"startLine\":" + std::to_string(begin.line) + ",\"startColumn\":" + std::to_string(begin.column) +
         ",\"endLine\":" + std::to_string(end.line) + ",\"endColumn\":" + std::to_string(end.column) + "}";
}
std::string artifact_of(const SourceFile& file) { return "{\"uri\":" + json(address_of(file.path())) + "}"; }
std::string location_of(const SourceSet& sources, Span span) {
  const SourceFile& file = sources[span.file];
  return "\"physicalLocation\":{\"artifactLocation\":" + artifact_of(file) + ",\"region\":" + region_of(file, span) +
         "}";
}
std::string_view level_of(Severity severity) { return severity == Severity::error ? "error" : "warning"; }

std::string sarif(const Diagnostics& diagnostics, const SourceSet& sources, std::string_view version) {
  // The codes that occur, in order; a result names its place among them.
  std::vector<Code> codes;
  for (const Diagnostic& d : diagnostics.all()) codes.push_back(d.code);
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  std::string out =
      "{\"$schema\":\"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json\","
      "\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"tocsin\",\"version\":" +
      json(version) + ",\"rules\":[";
  for (const Code code : codes) {
    if (code != codes.front()) out += ',';
    const CodePage& page = page_of(code);
    out += "{\"id\":" + json(letter_of(code)) + ",\"shortDescription\":{\"text\":" + json(page.title) + "}";
    out += ",\"fullDescription\":{\"text\":" + json(page.meaning) + "}";
    out += ",\"help\":{\"text\":" + json(to_text(page)) + "}";
    out += ",\"defaultConfiguration\":{\"level\":" + json(letter_of(code).front() == 'W' ? "warning" : "error") + "}}";
  }
  out += "]}},\"columnKind\":\"unicodeCodePoints\",\"results\":[";
  for (const Diagnostic& d : diagnostics.all()) {
    if (&d != &diagnostics.all().front()) out += ',';
    const auto index = std::lower_bound(codes.begin(), codes.end(), d.code) - codes.begin();
    out += "{\"ruleId\":" + json(letter_of(d.code)) + ",\"ruleIndex\":" + std::to_string(index) +
           ",\"level\":" + json(level_of(d.severity)) + ",\"message\":{\"text\":" + json(whole_text(d)) + "}";
    out += ",\"locations\":[";
    if (d.span.file < sources.size()) out += "{" + location_of(sources, d.span) + "}";
    out += "]";
    std::string related;
    for (const Label& label : d.labels) {
      if (label.span.file >= sources.size()) continue;
      if (!related.empty()) related += ',';
      related += "{" + location_of(sources, label.span) + ",\"message\":{\"text\":" + json(label.text) + "}}";
    }
    if (!related.empty()) out += ",\"relatedLocations\":[" + related + "]";
    if (!d.fix.empty()) {
      // All edits of a message are in the file of its place.
      out += ",\"fixes\":[{\"description\":{\"text\":" + json(d.under.empty() ? d.message : d.under) +
             "},\"artifactChanges\":[{\"artifactLocation\":" + artifact_of(sources[d.fix.front().span.file]) +
             ",\"replacements\":[";
      for (const Edit& edit : d.fix) {
        if (&edit != &d.fix.front()) out += ',';
        out += "{\"deletedRegion\":" + region_of(sources[edit.span.file], edit.span) +
               ",\"insertedContent\":{\"text\":" + json(edit.text) + "}}";
      }
      out += "]}]}]";
    }
    out += "}";
  }
  return out + "]}]}\n";
}

// ---------------------------------------------------------------- GitHub
/// Workflow commands end at a line's end and take `%` as an escape; inside their properties `:` and `,` separate.
std::string escaped(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%') {
      out += "%25";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else if (property && c == ':') {
      out += "%3A";
    } else if (property && c == ',') {
      out += "%2C";
    } else {
      out += c;
    }
  }
  return out;
}

std::string github(const Diagnostics& diagnostics, const SourceSet& sources) {
  std::string out;
  for (const Diagnostic& d : diagnostics.all()) {
    out += "::" + std::string(level_of(d.severity)) + " ";
    if (d.span.file < sources.size()) {
      const SourceFile& file = sources[d.span.file];
      const auto begin = file.place_of(d.span.begin);
      const auto end = file.place_of(std::max(d.span.begin, d.span.end));
      out += "file=" + escaped(file.path(), true) + ",line=" + std::to_string(begin.line) +
             ",endLine=" + std::to_string(end.line);
      // GitHub takes columns of one line only.
      if (begin.line == end.line) {
        out += ",col=" + std::to_string(begin.column) + ",endColumn=" + std::to_string(end.column);
      }
      out += ",";
    }
    out += "title=" + std::string(letter_of(d.code)) + "::" + escaped(whole_text(d), false) + "\n";
  }
  return out;
}

}  // namespace

std::optional<ReportFormat> report_format_of(std::string_view name) {
  if (name == "text") return ReportFormat::text;
  if (name == "json") return ReportFormat::json;
  if (name == "sarif") return ReportFormat::sarif;
  if (name == "github") return ReportFormat::github;
  return std::nullopt;
}

std::string report(const Diagnostics& diagnostics, const SourceSet& sources, ReportFormat format,
                   const std::string& last_line, std::string_view version) {
  switch (format) {
    case ReportFormat::text: {
      std::string text = render(diagnostics, sources);
      if (!text.empty()) text += '\n';
      return text + last_line;
    }
    case ReportFormat::json: return render_json(diagnostics, sources);
    case ReportFormat::sarif: return sarif(diagnostics, sources, version);
    case ReportFormat::github: return github(diagnostics, sources);
  }
  return {};
}

}  // namespace tocsin::dsl
