#include "dsl/fix.h"

#include <algorithm>

#include "dsl/layout.h"

namespace tocsin::dsl {
namespace {

/// The text between the first pair of backticks behind `before`, when the words begin so.
std::string quoted_behind(std::string_view text, std::string_view before) {
  if (!text.starts_with(before)) return {};
  text.remove_prefix(before.size());
  if (!text.starts_with('`')) return {};
  const auto end = text.find('`', 1);
  return end == std::string_view::npos ? std::string() : std::string(text.substr(1, end - 1));
}

/// One word, number or sign, and nothing else.
bool is_one_word(std::string_view text) {
  const SourceFile file("", std::string(text));
  const std::vector<Word> words = words_of(file);
  return words.size() == 1 && !words[0].comment && words[0].text.size() == text.size();
}

}  // namespace

void add_fixes(Diagnostics& diagnostics, const SourceSet& sources) {
  for (Diagnostic& d : diagnostics.list()) {
    if (!d.fix.empty() || d.under.empty() || d.span.file >= sources.size()) continue;
    std::string better = quoted_behind(d.under, "did you mean ");
    if (better.empty()) better = quoted_behind(d.under, "write ");
    const std::string_view text = sources[d.span.file].text();
    if (better.empty() || d.span.end > text.size() || d.span.begin >= d.span.end) continue;
    const std::string_view written = text.substr(d.span.begin, d.span.end - d.span.begin);
    if (!is_one_word(written) || !is_one_word(better) || written.starts_with('@') != better.starts_with('@')) continue;
    d.fix.push_back({d.span, std::move(better)});
  }
}

Fixed fixed(const SourceSet& sources, const Diagnostics& diagnostics) {
  Fixed result;
  for (std::uint32_t i = 0; i < sources.size(); ++i) {
    std::vector<const Edit*> edits;
    for (const Diagnostic& d : diagnostics.all()) {
      // The edits of one message belong together: all of them or none.
      const bool fits = std::all_of(d.fix.begin(), d.fix.end(), [&](const Edit& edit) {
        return edit.span.file == i && std::none_of(edits.begin(), edits.end(), [&](const Edit* other) {
                 return edit.span.begin < other->span.end && other->span.begin < edit.span.end;
               });
      });
      const bool twice = std::any_of(edits.begin(), edits.end(), [&](const Edit* other) {
        return !d.fix.empty() && d.fix.front().span == other->span;
      });
      if (!fits || twice) continue;
      for (const Edit& edit : d.fix) edits.push_back(&edit);
    }
    std::stable_sort(edits.begin(), edits.end(),
                     [](const Edit* a, const Edit* b) { return a->span.begin < b->span.begin; });
    const std::string_view text = sources[i].text();
    std::string out;
    std::size_t at = 0;
    for (const Edit* edit : edits) {
      out += text.substr(at, edit->span.begin - at);
      out += edit->text;
      at = edit->span.end;
    }
    out += text.substr(at);
    for (const Edit* edit : edits) result.edits.push_back(*edit);
    result.sources.emplace_back(sources[i].path(), std::move(out));
  }
  return result;
}

}  // namespace tocsin::dsl
