#include "dsl/accept.h"

#include <algorithm>
#include <string>

#include "dsl/layout.h"

namespace tocsin::dsl {
namespace {

struct Accept {
  Span span;  // of the code in the comment
  std::string code;
  std::uint32_t line = 1;  // whose warnings it is about
  bool used = false;
};

/// The codes behind `accept`, up to the first word that is none: what follows is the reason.
void add_codes(const Word& comment, std::uint32_t file, std::uint32_t line, std::vector<Accept>& out) {
  constexpr std::string_view word = "accept ";
  auto at = comment.text.find('#');
  std::size_t begin = std::string_view::npos;
  for (; at != std::string_view::npos; at = comment.text.find('#', at + 1)) {
    const auto text = comment.text.find_first_not_of("# \t", at);
    if (text != std::string_view::npos && comment.text.substr(text).starts_with(word)) begin = text + word.size();
  }
  while (begin < comment.text.size()) {
    begin = comment.text.find_first_not_of(" ,\t", begin);
    if (begin == std::string_view::npos) return;
    const auto end = std::min(comment.text.find_first_of(" ,\t:;", begin), comment.text.size());
    const std::string_view code = comment.text.substr(begin, end - begin);
    const bool is_code = code.size() == 5 && (code[0] == 'W' || code[0] == 'E') &&
                         code.find_first_not_of("0123456789", 1) == std::string_view::npos;
    if (!is_code) return;
    const auto from = comment.begin + static_cast<std::uint32_t>(begin);
    out.push_back({{file, from, from + 5}, std::string(code), line, false});
    begin = end;
  }
}

/// The lines of the clause that this line is part of.
class Lines {
 public:
  Lines(const std::vector<Word>& words, const std::vector<std::uint32_t>& starts) : words_(words), starts_(starts) {}

  /// Offsets [begin, end) of the logical lines that have a word on the line.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> around(std::uint32_t line) const {
    std::uint32_t begin = UINT32_MAX;
    std::uint32_t end = 0;
    for (const Word& word : words_) {
      if (word.comment || word.line != line) continue;
      const auto next = std::upper_bound(starts_.begin(), starts_.end(), word.begin);
      begin = std::min(begin, next == starts_.begin() ? 0 : *(next - 1));
      end = std::max(end, next == starts_.end() ? UINT32_MAX : *next);
    }
    return {begin, end};
  }

 private:
  const std::vector<Word>& words_;
  const std::vector<std::uint32_t>& starts_;
};

}  // namespace

void apply_accepts(const SourceSet& sources, const std::vector<ast::File>& files, bool complete, bool advice,
                   Diagnostics& diagnostics) {
  for (std::uint32_t f = 0; f < sources.size() && f < files.size(); ++f) {
    const SourceFile& source = sources[f];
    if (source.text().find("accept ") == std::string_view::npos) continue;
    const std::vector<Word> words = words_of(source);
    std::vector<Accept> accepts;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!words[i].comment) continue;
      std::size_t next = i;
      while (words[i].alone && next < words.size() && words[next].comment) ++next;
      add_codes(words[i], f, next < words.size() ? words[next].line : words[i].line, accepts);
    }
    if (accepts.empty()) continue;
    const std::vector<std::uint32_t> starts = line_starts(files[f], words);
    const Lines lines(words, starts);
    for (Accept& accept : accepts) {
      const auto of_code = [&](const Diagnostic& d) {
        return d.severity == Severity::warning && d.span.file == f && letter_of(d.code) == accept.code;
      };
      auto& list = diagnostics.list();
      const auto on_line = [&](const Diagnostic& d) {
        return of_code(d) && source.place_of(d.span.begin).line == accept.line;
      };
      if (std::erase_if(list, on_line) > 0) {
        accept.used = true;
        continue;
      }
      const auto [begin, end] = lines.around(accept.line);
      accept.used = std::erase_if(list, [&](const Diagnostic& d) {
                      return of_code(d) && d.span.begin >= begin && d.span.begin < end;
                    }) > 0;
    }
    if (!complete) continue;
    const auto known = code_register();
    for (const Accept& accept : accepts) {
      if (accept.used) continue;
      const auto entry = std::find_if(known.begin(), known.end(),
                                      [&](const CodeEntry& e) { return letter_of(e.code) == accept.code; });
      if (entry == known.end()) {
        diagnostics.warning(Code::accept_without_use, accept.span, "there is no warning `" + accept.code + "`");
      } else if (accept.code[0] == 'E') {
        diagnostics.warning(Code::accept_without_use, accept.span, "an error is not accepted, it is put right");
      } else if (advice || !is_advice(entry->code)) {
        diagnostics.warning(Code::accept_without_use, accept.span, "there is no warning `" + accept.code + "` here")
            .hints.emplace_back("take the comment out, or it silences the next one that is meant");
      }
    }
  }
}

}  // namespace tocsin::dsl
