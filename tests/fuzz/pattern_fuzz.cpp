// Any bytes as a regular expression, then as a text it is looked for in: the form is judged, what passes is compiled as rules are,
// alone and together with others, and both ways must agree.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/utf8.h"
#include "dsl/pattern.h"
#include "engine/compile/strings_build.h"

using namespace tocsin;
using namespace tocsin::engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The first line is the pattern, the rest the text. Long ones only make each try slow.
  const std::string_view all(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 512));
  if (first_not_utf8(all) < all.size()) return 0;
  const std::size_t end = std::min(all.find('\n'), all.size());
  const std::string pattern(all.substr(0, end));
  const std::string text(end < all.size() ? all.substr(end + 1) : std::string_view());
  if (pattern.find('\0') != std::string::npos) return 0;
  if (const auto problem = dsl::problem_in_form(pattern)) {
    if (problem->begin > problem->end || problem->end > pattern.size()) std::abort();
    return 0;
  }
  const bool ignoring_case = size % 2 == 0;
  if (pattern_problem(pattern, ignoring_case)) return 0;
  TextPatternsBuild build;
  Codes codes;
  for (const std::string& one : {pattern, std::string("b+c")}) {
    const PatternId id = build.add(TextPattern::Kind::matches, ignoring_case, one);
    Node node;
    node.a = id;
    codes.nodes.push_back(node);
    build.may_share(static_cast<std::uint32_t>(codes.nodes.size() - 1), 0, 0, id);
  }
  TextMatcher matcher(build.finish(codes));
  const auto alone = matcher.matches(codes.nodes[0].a, text);
  if (codes.nodes[0].b != 0 && matcher.matches(codes.nodes[0].b - 1, codes.nodes[0].c, text) != alone) std::abort();
  return 0;
}
