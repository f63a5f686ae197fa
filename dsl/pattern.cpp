#include "dsl/pattern.h"

#include <algorithm>

namespace tocsin::dsl {
namespace {

constexpr int depth_max = 100;

/// One walk over the pattern. It knows as much of the syntax as is needed to see what repeats what.
class Form {
 public:
  explicit Form(std::string_view text) : text_(text) {}

  std::optional<PatternProblem> look() {
    if (text_.size() > pattern_bytes_max) {
      return PatternProblem{"a pattern of more than 4,096 characters", "split it, or keep the words in a list", 0,
                            text_.size()};
    }
    if (text_.starts_with("(*")) {
      const std::size_t end = std::min(text_.find(')'), text_.size() - 1);
      return PatternProblem{
          "`" + std::string(text_.substr(0, end + 1)) + "` changes how the pattern is run, which is not up to a rule",
          "leave it out", 0, end + 1};
    }
    alternatives(0);
    return std::move(problem_);
  }

 private:
  struct Part {
    std::size_t size = 0;    // with counted repetitions written out
    bool nullable = true;    // may match nothing
    bool only_loop = false;  // matches by one endless repetition alone: repeated again it explodes
  };

  [[nodiscard]] bool at_end() const { return at_ >= text_.size() || problem_.has_value(); }
  [[nodiscard]] char here() const { return text_[at_]; }

  Part alternatives(int depth) {
    Part all;
    all.nullable = false;
    for (;;) {
      const Part one = row(depth);
      all.size += one.size;
      all.nullable = all.nullable || one.nullable;
      all.only_loop = all.only_loop || one.only_loop;
      if (at_end() || here() != '|') return all;
      ++at_;
    }
  }

  Part row(int depth) {
    Part all;
    std::size_t loops = 0;
    std::size_t needed = 0;  // parts that must match something and are no endless loop
    while (!at_end() && here() != '|' && here() != ')') {
      const std::size_t begin = at_;
      Part part = atom(depth);
      if (problem_) return all;
      const bool group = text_[begin] == '(';
      bool loop = part.only_loop;
      std::size_t low = 0;
      std::optional<std::size_t> high;
      while (quantifier(low, high)) {
        const bool endless = !high.has_value();
        if (group && part.only_loop && (endless || *high > 10)) {
          problem_ = PatternProblem{"`" + std::string(text_.substr(begin, at_ - begin)) +
                                        "` repeats what is itself a repetition: there are endlessly many ways to match "
                                        "one text, and all are tried",
                                    "repeat the brackets or what is in them, not both", begin, at_};
          return all;
        }
        const std::size_t times = std::max<std::size_t>(endless ? std::max<std::size_t>(low, 1) : *high, 1);
        part.size = part.size > pattern_size_max || times > pattern_size_max ? pattern_size_max + 1 : part.size * times;
        if (part.size > pattern_size_max) {
          problem_ = PatternProblem{"`" + std::string(text_.substr(begin, at_ - begin)) +
                                        "` is more than 10,000 characters when it is written out",
                                    "an open repetition such as `{3,}` or `+` costs nothing", begin, at_};
          return all;
        }
        part.nullable = part.nullable || low == 0;
        loop = loop || endless;
        if (endless) part.only_loop = true;
      }
      all.size += part.size;
      all.nullable = all.nullable && part.nullable;
      if (loop) {
        ++loops;
      } else if (!part.nullable) {
        ++needed;
      }
      if (all.size > pattern_size_max) {
        problem_ = PatternProblem{"this pattern is more than 10,000 characters when its repetitions are written out",
                                  "an open repetition such as `{3,}` or `+` costs nothing", 0, text_.size()};
        return all;
      }
    }
    all.only_loop = loops > 0 && needed == 0;
    return all;
  }

  Part atom(int depth) {
    const char c = here();
    if (c == '(') return group(depth);
    if (c == '[') return set();
    if (c == '\\') {
      at_ = std::min(at_ + 2, text_.size());
      const char what = at_ - 1 < text_.size() ? text_[at_ - 1] : '\0';
      if (what == 'Q') {  // literal up to \E
        const std::size_t end = text_.find("\\E", at_);
        const std::size_t size = std::min(end, text_.size()) - at_;
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
        return {size, size == 0, false};
      }
      const bool place = what == 'b' || what == 'B' || what == 'A' || what == 'z' || what == 'Z' || what == 'G';
      if ((what == 'x' || what == 'p' || what == 'P') && at_ < text_.size() && here() == '{') {
        at_ = std::min(text_.find('}', at_), text_.size() - 1) + 1;
      }
      return {1, place, false};
    }
    ++at_;
    if (c == '^' || c == '$') return {1, true, false};
    // A character of several bytes is one.
    while (at_ < text_.size() && (static_cast<unsigned char>(here()) & 0xC0U) == 0x80U) ++at_;
    return {1, false, false};
  }

  Part group(int depth) {
    const std::size_t begin = at_;
    if (depth >= depth_max) {
      problem_ = PatternProblem{"more than 100 brackets inside each other", "", begin, begin + 1};
      return {};
    }
    ++at_;
    bool looks_around = false;
    if (!at_end() && here() == '?') {
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("?#")) {
        at_ = std::min(text_.find(')', at_), text_.size() - 1) + 1;
        return {0, true, false};
      }
      looks_around =
          rest.starts_with("?=") || rest.starts_with("?!") || rest.starts_with("?<=") || rest.starts_with("?<!");
      if (rest.starts_with("?R") || rest.starts_with("?&") || rest.starts_with("?P>") || rest.starts_with("?(") ||
          rest.starts_with("?C") || (rest.size() > 1 && (rest[1] >= '0' && rest[1] <= '9')) || rest.starts_with("?+") ||
          rest.starts_with("?-1")) {
        problem_ = PatternProblem{"a pattern that refers to itself or asks conditions can run for ever",
                                  "write the part out", begin, std::min(at_ + 3, text_.size())};
        return {};
      }
      // What stands before the pattern of the group: (?:  (?i)  (?<name>  (?=
      ++at_;
      if (!at_end() && (here() == '<' || here() == 'P' || here() == '\'') && !looks_around) {
        const std::size_t end = text_.find_first_of(">')", at_ + 1);
        at_ = end == std::string_view::npos ? text_.size() : end + (text_[end] == ')' ? 0 : 1);
      } else {
        while (!at_end() && here() != ':' && here() != ')' && here() != '=' && here() != '!' && here() != '>') ++at_;
        if (!at_end() && here() != ')') ++at_;
      }
    }
    Part inside = alternatives(depth + 1);
    if (!at_end() && here() == ')') ++at_;
    if (looks_around) inside.nullable = true;
    return inside;
  }

  Part set() {
    ++at_;
    if (!at_end() && here() == '^') ++at_;
    if (!at_end() && here() == ']') ++at_;
    while (!at_end() && here() != ']') {
      if (here() == '\\') {
        at_ += 2;
      } else if (here() == '[' && at_ + 1 < text_.size() && text_[at_ + 1] == ':') {
        at_ = std::min(text_.find(":]", at_), text_.size() - 1) + 2;
      } else {
        ++at_;
      }
    }
    at_ = std::min(at_ + 1, text_.size());
    return {1, false, false};
  }

  bool quantifier(std::size_t& low, std::optional<std::size_t>& high) {
    if (at_end()) return false;
    const char c = here();
    std::size_t to = at_ + 1;
    if (c == '*' || c == '+') {
      low = c == '+' ? 1 : 0;
      high.reset();
    } else if (c == '?') {
      low = 0;
      high = 1;
    } else if (c == '{') {
      const auto number = [&](std::size_t& n) {
        const std::size_t from = to;
        n = 0;
        while (to < text_.size() && text_[to] >= '0' && text_[to] <= '9')
          n = std::min<std::size_t>(n * 10 + static_cast<std::size_t>(text_[to++] - '0'), 1'000'000);
        return to > from;
      };
      std::size_t most = 0;
      if (!number(low)) return false;
      high = low;
      if (to < text_.size() && text_[to] == ',') {
        ++to;
        high.reset();
        if (number(most)) high = most;
      }
      if (to >= text_.size() || text_[to] != '}') return false;
      ++to;
    } else {
      return false;
    }
    if (to < text_.size() && (text_[to] == '?' || text_[to] == '+')) ++to;  // lazy, possessive
    at_ = to;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<PatternProblem> problem_;
};

}  // namespace

std::optional<PatternProblem> problem_in_form(std::string_view pattern) { return Form(pattern).look(); }

}  // namespace tocsin::dsl
