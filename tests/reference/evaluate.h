// Expressions by the book (SEMANTICS V1 to V3, V7, V9): a tree is walked, every operation is done in whole numbers without bounds, missing is
// nothing at all. Shares no line with the engine: its numbers are sign and magnitude in a row of digits, its texts are looked
// through byte by byte. The property in tests/engine/evaluate_test.cpp compares the two.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::reference {

/// A whole number of any size.
class Whole {
 public:
  Whole() = default;
  Whole(long long n);  // NOLINT: numbers are written where whole numbers are meant
  static Whole of_digits(const std::string& digits);
  [[nodiscard]] std::string digits() const;
  [[nodiscard]] bool negative() const { return negative_; }
  [[nodiscard]] bool zero() const { return limbs_.empty(); }
  [[nodiscard]] bool odd() const { return !limbs_.empty() && limbs_[0] % 2 == 1; }
  [[nodiscard]] Whole operator-() const;
  friend Whole operator+(const Whole& a, const Whole& b);
  friend Whole operator-(const Whole& a, const Whole& b) { return a + -b; }
  friend Whole operator*(const Whole& a, const Whole& b);
  /// Towards zero, and what is left, with the sign of `a`.
  static std::pair<Whole, Whole> divide(const Whole& a, const Whole& b);
  /// -1, 0, 1
  static int compare(const Whole& a, const Whole& b);

 private:
  static int compare_sizes(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b);
  void trim();
  std::vector<std::uint32_t> limbs_;  // base 10^9, least first
  bool negative_ = false;
};

/// A number of nine digits behind the point, as its 10^9-fold.
struct Number {
  Whole units;
};

/// Whole microseconds: a duration, and a time since 1970. Both fit into 64 bits, or are missing.
struct Span {
  Whole us;
};
struct Moment {
  Whole us;
};

using Value = std::variant<std::monostate, bool, Number, std::string, Span, Moment>;  // the first is missing

enum class Do {
  constant,
  field,
  not_,
  and_,
  or_,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
  in_range,
  in_half_open,
  is_missing,
  contains,
  starts_with,
  ends_with,
  like,
  contains_ignoring_case,
  starts_with_ignoring_case,
  ends_with_ignoring_case,
  like_ignoring_case,
  add,
  subtract,
  multiply,
  divide,
  remainder,
  negate,
  abs,
  floor,
  ceil,
  round,     // to the whole number
  round_to,  // parts[1]: a constant, digits behind the point
  least,
  greatest,
  hours_between,
  days_between,
  length,
  left,  // parts[1]: a constant
  right,
  trim,
  lower,
  upper,
  coalesce
};

struct Tree {
  Do what = Do::constant;
  Value value;       // constant
  std::string name;  // field; a constant span: as it is written
  std::vector<Tree> parts;
};

Value evaluate(const Tree& tree, const std::map<std::string, Value>& event);
/// In the rule language, every part in parentheses.
std::string written(const Tree& tree);
/// As records write it: `null`, `true`, `12.5`, the text itself.
std::string shown(const Value& value);

}  // namespace tocsin::reference
