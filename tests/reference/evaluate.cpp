#include "tests/reference/evaluate.h"

#include <algorithm>

namespace tocsin::reference {

namespace {

constexpr std::uint64_t base = 1'000'000'000;
const Whole one(1'000'000'000);

Value missing() { return std::monostate{}; }
bool is_missing(const Value& v) { return v.index() == 0; }

/// What does not fit into 128 bits is missing (V1).
Value number(Whole units) {
  static const Whole largest = Whole::of_digits("170141183460469231731687303715884105727");
  static const Whole smallest = -Whole::of_digits("170141183460469231731687303715884105728");
  if (Whole::compare(units, largest) > 0 || Whole::compare(units, smallest) < 0) return missing();
  return Number{std::move(units)};
}

/// What does not fit into 64 bits is missing (V1).
template <typename T>
Value of_us(Whole us) {
  static const Whole largest = Whole::of_digits("9223372036854775807");
  static const Whole smallest = -Whole::of_digits("9223372036854775808");
  if (Whole::compare(us, largest) > 0 || Whole::compare(us, smallest) < 0) return missing();
  return T{std::move(us)};
}

/// a / b, the half to the even neighbour.
Whole rounded(const Whole& a, const Whole& b) {
  auto [quotient, rest] = Whole::divide(a, b);
  const auto size = [](Whole w) { return w.negative() ? -w : w; };
  const int half = Whole::compare(size(rest) + size(rest), size(b));
  if (half > 0 || (half == 0 && quotient.odd())) quotient = quotient + Whole(a.negative() == b.negative() ? 1 : -1);
  return quotient;
}

int order(const Value& a, const Value& b) {
  if (const auto* x = std::get_if<Number>(&a)) return Whole::compare(x->units, std::get<Number>(b).units);
  if (const auto* x = std::get_if<Span>(&a)) return Whole::compare(x->us, std::get<Span>(b).us);
  if (const auto* x = std::get_if<Moment>(&a)) return Whole::compare(x->us, std::get<Moment>(b).us);
  if (const auto* x = std::get_if<bool>(&a)) return *x == std::get<bool>(b) ? 0 : *x ? 1 : -1;
  const auto& x = std::get<std::string>(a);
  const auto& y = std::get<std::string>(b);
  for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
    const auto p = static_cast<unsigned char>(x[i]);
    const auto q = static_cast<unsigned char>(y[i]);
    if (p != q) return p < q ? -1 : 1;
  }
  return x.size() == y.size() ? 0 : x.size() < y.size() ? -1 : 1;
}

bool stands_at(const std::string& text, std::size_t at, const std::string& part) {
  if (at + part.size() > text.size()) return false;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (text[at + i] != part[i]) return false;
  }
  return true;
}

bool fits(const std::string& text, std::size_t t, const std::string& pattern, std::size_t p) {
  if (p == pattern.size()) return t == text.size();
  if (pattern[p] == '*') return fits(text, t, pattern, p + 1) || (t < text.size() && fits(text, t + 1, pattern, p));
  return t < text.size() && (pattern[p] == '?' || pattern[p] == text[t]) && fits(text, t + 1, pattern, p + 1);
}

/// Texts are ASCII here.
std::string with_letters(std::string text, char first, char last, int by) {
  for (char& c : text) {
    if (c >= first && c <= last) c = static_cast<char>(c + by);
  }
  return text;
}
std::string lower(const std::string& text) { return with_letters(text, 'A', 'Z', 'a' - 'A'); }

bool text_test(Do what, const std::string& text, const std::string& part) {
  switch (what) {
    case Do::contains:
      for (std::size_t at = 0; at <= text.size(); ++at) {
        if (stands_at(text, at, part)) return true;
      }
      return false;
    case Do::starts_with: return stands_at(text, 0, part);
    case Do::ends_with: return text.size() >= part.size() && stands_at(text, text.size() - part.size(), part);
    default: return fits(text, 0, part, 0);
  }
}

/// Times, durations, and numbers with them; nothing: the operation is on numbers.
std::optional<Value> with_time(Do what, const Value& a, const Value& b) {
  const auto* span = std::get_if<Span>(&a);
  const auto* moment = std::get_if<Moment>(&a);
  const auto* by_span = std::get_if<Span>(&b);
  const auto* by_moment = std::get_if<Moment>(&b);
  const auto* by_number = std::get_if<Number>(&b);
  const auto* number_first = std::get_if<Number>(&a);
  switch (what) {
    case Do::add:
      if (span != nullptr && by_span != nullptr) return of_us<Span>(span->us + by_span->us);
      if (moment != nullptr && by_span != nullptr) return of_us<Moment>(moment->us + by_span->us);
      if (span != nullptr && by_moment != nullptr) return of_us<Moment>(span->us + by_moment->us);
      break;
    case Do::subtract:
      if (span != nullptr && by_span != nullptr) return of_us<Span>(span->us - by_span->us);
      if (moment != nullptr && by_span != nullptr) return of_us<Moment>(moment->us - by_span->us);
      if (moment != nullptr && by_moment != nullptr) return of_us<Span>(moment->us - by_moment->us);
      break;
    case Do::multiply:
      if (span != nullptr && by_number != nullptr) return of_us<Span>(rounded(span->us * by_number->units, one));
      if (number_first != nullptr && by_span != nullptr) {
        return of_us<Span>(rounded(by_span->us * number_first->units, one));
      }
      break;
    case Do::divide:
      if (span == nullptr) break;
      if (by_span != nullptr) return by_span->us.zero() ? missing() : number(rounded(span->us * one, by_span->us));
      return by_number->units.zero() ? missing() : of_us<Span>(rounded(span->us * one, by_number->units));
    default: break;
  }
  return std::nullopt;
}

}  // namespace

// ---------------------------------------------------------------- whole numbers

Whole::Whole(long long n) : negative_(n < 0) {
  for (unsigned long long left = n < 0 ? 0ULL - static_cast<unsigned long long>(n) : static_cast<unsigned long long>(n);
       left > 0; left /= base)
    limbs_.push_back(static_cast<std::uint32_t>(left % base));
}

Whole Whole::of_digits(const std::string& digits) {
  Whole out;
  for (const char c : digits) out = out * Whole(10) + Whole(c - '0');
  return out;
}

std::string Whole::digits() const {
  if (limbs_.empty()) return "0";
  std::string out = std::to_string(limbs_.back());
  for (std::size_t i = limbs_.size() - 1; i-- > 0;) {
    const std::string limb = std::to_string(limbs_[i]);
    out += std::string(9 - limb.size(), '0') + limb;
  }
  return out;
}

void Whole::trim() {
  while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
  if (limbs_.empty()) negative_ = false;
}

Whole Whole::operator-() const {
  Whole out = *this;
  out.negative_ = !negative_ && !zero();
  return out;
}

int Whole::compare_sizes(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  for (std::size_t i = a.size(); i-- > 0;) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

int Whole::compare(const Whole& a, const Whole& b) {
  if (a.negative_ != b.negative_) return a.negative_ ? -1 : 1;
  const int sizes = compare_sizes(a.limbs_, b.limbs_);
  return a.negative_ ? -sizes : sizes;
}

Whole operator+(const Whole& a, const Whole& b) {
  Whole out;
  if (a.negative_ == b.negative_) {
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < std::max(a.limbs_.size(), b.limbs_.size()) || carry > 0; ++i) {
      std::uint64_t sum = carry;
      if (i < a.limbs_.size()) sum += a.limbs_[i];
      if (i < b.limbs_.size()) sum += b.limbs_[i];
      out.limbs_.push_back(static_cast<std::uint32_t>(sum % base));
      carry = sum / base;
    }
    out.negative_ = a.negative_;
  } else {
    const bool a_larger = Whole::compare_sizes(a.limbs_, b.limbs_) >= 0;
    const Whole& large = a_larger ? a : b;
    const Whole& small = a_larger ? b : a;
    std::int64_t borrow = 0;
    for (std::size_t i = 0; i < large.limbs_.size(); ++i) {
      std::int64_t difference = static_cast<std::int64_t>(large.limbs_[i]) - borrow;
      if (i < small.limbs_.size()) difference -= small.limbs_[i];
      borrow = difference < 0 ? 1 : 0;
      out.limbs_.push_back(static_cast<std::uint32_t>(difference + borrow * static_cast<std::int64_t>(base)));
    }
    out.negative_ = large.negative_;
  }
  out.trim();
  return out;
}

Whole operator*(const Whole& a, const Whole& b) {
  Whole out;
  out.limbs_.assign(a.limbs_.size() + b.limbs_.size() + 1, 0);
  for (std::size_t i = 0; i < a.limbs_.size(); ++i) {
    std::uint64_t carry = 0;
    for (std::size_t k = 0; k < b.limbs_.size() || carry > 0; ++k) {
      std::uint64_t sum = out.limbs_[i + k] + carry;
      if (k < b.limbs_.size()) sum += static_cast<std::uint64_t>(a.limbs_[i]) * b.limbs_[k];
      out.limbs_[i + k] = static_cast<std::uint32_t>(sum % base);
      carry = sum / base;
    }
  }
  out.negative_ = a.negative_ != b.negative_;
  out.trim();
  return out;
}

std::pair<Whole, Whole> Whole::divide(const Whole& a, const Whole& b) {
  // As on paper: digit by digit, each found by trying.
  Whole quotient, rest;
  Whole divisor = b;
  divisor.negative_ = false;
  for (const char digit : a.digits()) {
    rest = rest * Whole(10) + Whole(digit - '0');
    int times = 0;
    while (compare(rest, divisor) >= 0) {
      rest = rest - divisor;
      ++times;
    }
    quotient = quotient * Whole(10) + Whole(times);
  }
  if (a.negative_) rest = -rest;
  if (a.negative_ != b.negative_) quotient = -quotient;
  return {quotient, rest};
}

// ---------------------------------------------------------------- expressions

Value evaluate(const Tree& tree, const std::map<std::string, Value>& event) {
  std::vector<Value> v;
  for (const Tree& part : tree.parts) v.push_back(evaluate(part, event));
  switch (tree.what) {
    case Do::constant: return tree.value;
    case Do::field: {
      const auto at = event.find(tree.name);
      return at == event.end() ? missing() : at->second;
    }
    case Do::is_missing: return is_missing(v[0]);
    case Do::coalesce: return is_missing(v[0]) ? v[1] : v[0];
    case Do::and_:
    case Do::or_: {
      const bool decides = tree.what == Do::or_;
      bool unknown = false;
      for (const Value& part : v) {
        if (is_missing(part)) {
          unknown = true;
        } else if (std::get<bool>(part) == decides) {
          return decides;
        }
      }
      return unknown ? missing() : Value(!decides);
    }
    case Do::not_in:
    case Do::in: {
      if (is_missing(v[0])) return missing();
      bool unknown = false;
      for (std::size_t i = 1; i < v.size(); ++i) {
        if (is_missing(v[i]))
          unknown = true;
        else if (order(v[0], v[i]) == 0)
          return tree.what == Do::in;
      }
      return unknown ? missing() : Value(tree.what == Do::not_in);
    }
    case Do::in_range:
    case Do::in_half_open: {
      // lo .. hi is `x >= lo and x <= hi`.
      const auto asks = [&](std::size_t end, auto holds) -> Value {
        if (is_missing(v[0]) || is_missing(v[end])) return missing();
        return holds(order(v[0], v[end]));
      };
      const Value low = asks(1, [](int o) { return o >= 0; });
      const Value high = asks(2, [&](int o) { return tree.what == Do::in_range ? o <= 0 : o < 0; });
      const bool refused = (!is_missing(low) && !std::get<bool>(low)) || (!is_missing(high) && !std::get<bool>(high));
      if (refused) return false;
      return is_missing(low) || is_missing(high) ? missing() : Value(true);
    }
    default: break;
  }
  if (std::any_of(v.begin(), v.end(), is_missing)) return missing();
  const auto units = [&](std::size_t i) -> const Whole& { return std::get<Number>(v[i]).units; };
  const auto text = [&](std::size_t i) -> const std::string& { return std::get<std::string>(v[i]); };
  switch (tree.what) {
    case Do::not_: return !std::get<bool>(v[0]);
    case Do::equal: return order(v[0], v[1]) == 0;
    case Do::not_equal: return order(v[0], v[1]) != 0;
    case Do::less: return order(v[0], v[1]) < 0;
    case Do::less_equal: return order(v[0], v[1]) <= 0;
    case Do::greater: return order(v[0], v[1]) > 0;
    case Do::greater_equal: return order(v[0], v[1]) >= 0;
    case Do::contains:
    case Do::starts_with:
    case Do::ends_with:
    case Do::like: return text_test(tree.what, text(0), text(1));
    case Do::contains_ignoring_case: return text_test(Do::contains, lower(text(0)), lower(text(1)));
    case Do::starts_with_ignoring_case: return text_test(Do::starts_with, lower(text(0)), lower(text(1)));
    case Do::ends_with_ignoring_case: return text_test(Do::ends_with, lower(text(0)), lower(text(1)));
    case Do::like_ignoring_case: return text_test(Do::like, lower(text(0)), lower(text(1)));
    case Do::hours_between:
    case Do::days_between: {
      const Whole apart = std::get<Moment>(v[0]).us - std::get<Moment>(v[1]).us;
      const Whole hour(3'600'000'000);
      const Whole unit = tree.what == Do::hours_between ? hour : hour * Whole(24);
      return number(rounded((apart.negative() ? -apart : apart) * one, unit));
    }
    case Do::least: return order(v[1], v[0]) < 0 ? v[1] : v[0];
    case Do::greatest: return order(v[1], v[0]) > 0 ? v[1] : v[0];
    case Do::left:
    case Do::right: {
      // Of a constant that is a whole number, negative: missing.
      const Whole& count = std::get<Number>(v[1]).units;
      if (count.negative()) return missing();
      std::string out;
      for (Whole left = count; Whole::compare(left, one) >= 0 && out.size() < text(0).size(); left = left - one) {
        if (tree.what == Do::left) {
          out.push_back(text(0)[out.size()]);
        } else {
          out.insert(out.begin(), text(0)[text(0).size() - 1 - out.size()]);
        }
      }
      return out;
    }
    case Do::trim: {
      std::string out = text(0);
      while (!out.empty() && out.back() == ' ') out.pop_back();
      while (!out.empty() && out.front() == ' ') out.erase(out.begin());
      return out;
    }
    case Do::lower: return lower(text(0));
    case Do::upper: return with_letters(text(0), 'a', 'z', 'A' - 'a');
    default: break;
  }
  if (v.size() == 2) {
    if (const auto value = with_time(tree.what, v[0], v[1])) return *value;
  }
  if (const auto* span = std::get_if<Span>(&v[0])) {
    const bool turn = tree.what == Do::negate || span->us.negative();
    return of_us<Span>(turn ? -span->us : span->us);  // negate, abs
  }
  switch (tree.what) {
    case Do::add: return number(units(0) + units(1));
    case Do::subtract: return number(units(0) - units(1));
    case Do::multiply: return number(rounded(units(0) * units(1), one));
    case Do::divide: return units(1).zero() ? missing() : number(rounded(units(0) * one, units(1)));
    case Do::remainder: return units(1).zero() ? missing() : number(Whole::divide(units(0), units(1)).second);
    case Do::negate: return number(-units(0));
    case Do::abs: return units(0).negative() ? number(-units(0)) : v[0];
    case Do::floor: {
      auto [whole, rest] = Whole::divide(units(0), one);
      if (rest.negative()) whole = whole - Whole(1);
      return number(whole * one);
    }
    case Do::ceil: {
      auto [whole, rest] = Whole::divide(units(0), one);
      if (!rest.zero() && !rest.negative()) whole = whole + Whole(1);
      return number(whole * one);
    }
    case Do::round: return number(rounded(units(0), one) * one);
    case Do::round_to: {
      // To the place that 10^(9 - digits) units are one of.
      Whole unit(1);
      const Whole digits = Whole::divide(units(1), one).first;
      for (Whole i(9); Whole::compare(i, digits) > 0; i = i - Whole(1)) unit = unit * Whole(10);
      return number(rounded(units(0), unit) * unit);
    }
    case Do::length: return number(Whole(static_cast<long long>(text(0).size())) * one);
    default: return missing();
  }
}

std::string shown(const Value& value) {
  if (is_missing(value)) return "null";
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  const Whole& units = std::get<Number>(value).units;
  std::string digits = units.digits();
  if (digits.size() < 10) digits.insert(0, 10 - digits.size(), '0');
  std::string out = digits.substr(0, digits.size() - 9) + "." + digits.substr(digits.size() - 9);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return (units.negative() ? "-" : "") + out;
}

std::string written(const Tree& tree) {
  const auto part = [&](std::size_t i) { return written(tree.parts[i]); };
  const auto between = [&](const char* sign) { return "(" + part(0) + " " + sign + " " + part(1) + ")"; };
  const auto ignoring_case = [&](const char* test) {
    return "(" + part(0) + " " + test + " " + part(1) + " ignoring case)";
  };
  const auto call = [&](const char* name) {
    std::string text = std::string(name) + "(" + part(0);
    for (std::size_t i = 1; i < tree.parts.size(); ++i) text += ", " + part(i);
    return text + ")";
  };
  switch (tree.what) {
    case Do::constant:
      if (std::holds_alternative<Span>(tree.value)) return tree.name;
      if (const auto* s = std::get_if<std::string>(&tree.value)) return "\"" + *s + "\"";
      return "(" + shown(tree.value) + ")";
    case Do::field: return tree.name;
    case Do::not_: return "(not " + part(0) + ")";
    case Do::and_: return between("and");
    case Do::or_: return between("or");
    case Do::equal: return between("==");
    case Do::not_equal: return between("!=");
    case Do::less: return between("<");
    case Do::less_equal: return between("<=");
    case Do::greater: return between(">");
    case Do::greater_equal: return between(">=");
    case Do::in: return "(" + part(0) + " in [" + part(1) + ", " + part(2) + "])";
    case Do::not_in: return "(" + part(0) + " not in [" + part(1) + ", " + part(2) + "])";
    case Do::in_range: return "(" + part(0) + " in " + part(1) + " .. " + part(2) + ")";
    case Do::in_half_open: return "(" + part(0) + " in " + part(1) + " ..< " + part(2) + ")";
    case Do::is_missing: return "(" + part(0) + " is missing)";
    case Do::contains: return between("contains");
    case Do::starts_with: return between("starts with");
    case Do::ends_with: return between("ends with");
    case Do::like: return between("like");
    case Do::contains_ignoring_case: return ignoring_case("contains");
    case Do::starts_with_ignoring_case: return ignoring_case("starts with");
    case Do::ends_with_ignoring_case: return ignoring_case("ends with");
    case Do::like_ignoring_case: return ignoring_case("like");
    case Do::add: return between("+");
    case Do::subtract: return between("-");
    case Do::multiply: return between("*");
    case Do::divide: return between("/");
    case Do::remainder: return between("%");
    case Do::negate: return "(-" + part(0) + ")";
    case Do::abs: return call("abs");
    case Do::floor: return call("floor");
    case Do::length: return call("length");
    case Do::ceil: return call("ceil");
    case Do::round:
    case Do::round_to: return call("round");
    case Do::least: return call("least");
    case Do::greatest: return call("greatest");
    case Do::hours_between: return call("hours_between");
    case Do::days_between: return call("days_between");
    case Do::left: return call("left");
    case Do::right: return call("right");
    case Do::trim: return call("trim");
    case Do::lower: return call("lower");
    case Do::upper: return call("upper");
    case Do::coalesce: return between("??");
  }
  return {};
}

}  // namespace tocsin::reference
