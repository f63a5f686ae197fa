// Rule text as words, comments and logical lines. The tree drops comments and says nothing of lines; whoever needs them (the formatter,
// `# accept`) gets them here, kept aside by position. A logical line is what canonical text has on a line of its own: the head of a
// declaration, a clause, a step, a field, a line of a policy, a closing brace; its author may have spread it over several.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "dsl/ast.h"

namespace tocsin::dsl {

/// A word, number, text or sign; or a comment without its line end.
struct Word {
  std::string_view text;
  std::uint32_t begin = 0;  // offset in the file
  std::uint32_t line = 1;   // in which it begins; no word goes over a line's end
  bool comment = false;
  bool alone = false;  // a comment with nothing before it on its line
  [[nodiscard]] std::uint32_t end() const { return begin + static_cast<std::uint32_t>(text.size()); }
};
/// All words of the file, in order.
std::vector<Word> words_of(const SourceFile& source);

/// Where logical lines begin: offsets of words, ascending. Closing braces of blocks are among them.
std::vector<std::uint32_t> line_starts(const ast::File& file, const std::vector<Word>& words);

}  // namespace tocsin::dsl
