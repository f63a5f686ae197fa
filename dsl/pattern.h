// What can be said about a regular expression from its form alone, before any library sees it: whether it could run away. Two
// things make one explode: a repetition of what is itself only repetition (`(a+)+`), which has exponentially many ways to match
// the same text, and counted repetitions that multiply (`(.{1,200}){1,200}`), which make automata of hundreds of megabytes. Both
// can be said shorter, and are refused with the part named. (Davis et al., "The impact of regular expression denial of service in
// practice", ESEC/FSE 2018.)
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tocsin::dsl {

inline constexpr std::size_t pattern_bytes_max = 4096;
/// Of one expression with its counted repetitions written out.
inline constexpr std::size_t pattern_size_max = 10'000;

struct PatternProblem {
  std::string message;
  std::string hint;
  std::size_t begin = 0;  // the part, in bytes of the pattern
  std::size_t end = 0;
};
/// Nothing: its form is harmless. What does not read as a regular expression is left to the library, unless it hides its form.
std::optional<PatternProblem> problem_in_form(std::string_view pattern);

}  // namespace tocsin::dsl
