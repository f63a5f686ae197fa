#include "dsl/check.h"

#include <algorithm>

#include "dsl/accept.h"
#include "dsl/check_scope.h"
#include "dsl/fix.h"

namespace tocsin::dsl {
namespace detail {

std::string quoted(std::string_view name) { return "`" + std::string(name) + "`"; }

std::string joined(const std::vector<std::string>& names, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += separator;
    out += names[i];
  }
  return out;
}

std::string and_joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += names[i];
  }
  return out;
}

std::string number_word(std::size_t n) {
  static constexpr std::string_view words[] = {"no",  "one",   "two",   "three", "four", "five",
                                               "six", "seven", "eight", "nine",  "ten"};
  return n < std::size(words) ? std::string(words[n]) : std::to_string(n);
}

bool is_number(const Type& type) { return type.kind == TypeKind::integer || type.kind == TypeKind::decimal; }

Type type_of(TypeKind kind) {
  Type type;
  type.kind = kind;
  return type;
}

Expr make(Op op, Type type, Span span, std::vector<Expr> args) {
  Expr e;
  e.op = op;
  e.type = type;
  e.span = span;
  e.args = std::move(args);
  return e;
}

Typed constant(Value value, Type type, Span span) {
  Typed t;
  t.poison = false;
  t.expr = make(Op::constant, type, span);
  t.expr.value = value;
  return t;
}

Diagnostic& Checker::error(Code code, Span span, std::string message) {
  // A definition may be read in several places (a feature, the `where` of a union); its mistake is said once.
  if (silent_ > 0 || !reported_.insert({span.file, span.begin, span.end, static_cast<int>(code)}).second) {
    ignored_ = {};
    return ignored_;
  }
  return diagnostics_.error(code, span, std::move(message));
}

Diagnostic& Checker::warning(Code code, Span span, std::string message) {
  if (silent_ > 0 || !reported_.insert({span.file, span.begin, span.end, static_cast<int>(code)}).second) {
    ignored_ = {};
    return ignored_;
  }
  return diagnostics_.warning(code, span, std::move(message));
}

std::string Checker::source_text(Span span) const {
  if (span.file >= sources_.size()) return {};
  const std::string_view text = sources_[span.file].text();
  const std::size_t begin = std::min<std::size_t>(span.begin, text.size());
  const std::size_t end = std::clamp<std::size_t>(span.end, begin, text.size());
  std::string out;
  for (const char c : text.substr(begin, end - begin)) {
    const char flat = c == '\n' || c == '\t' || c == '\r' ? ' ' : c;
    if (flat == ' ' && out.ends_with(' ')) continue;
    out += flat;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string Checker::did_you_mean(std::string_view wrong, const std::vector<std::string>& candidates) {
  const std::string near = nearest_name(wrong, candidates);
  return near.empty() ? std::string() : "did you mean " + quoted(near) + "?";
}

std::optional<Duration> Checker::positive_duration(const ast::Text& text, Code code, const std::string& what) {
  const auto duration = parse_duration(text.text);
  // Longer than this nobody keeps events, and far from the ends of time no sum of moments overflows.
  constexpr Duration longest = Duration::days(3660);
  if (!duration || duration->us <= 0) {
    error(code, text.span, what + " must be longer than nothing")
        .hints.push_back("write for example `10m`, `24h` or `7d`");
    return std::nullopt;
  }
  if (*duration > longest) {
    error(code, text.span, what + " of " + text.text + " is longer than ten years, the longest there is")
        .hints.push_back("`3650d` is the longest");
    return std::nullopt;
  }
  return duration;
}

std::optional<Rulebook> Checker::run() {
  collect();
  declare_hits();
  declare_derived();
  check_circles();
  for (std::size_t i = 0; i < params_.size(); ++i) param_of(i, params_[i].decl->name.span);
  for (std::size_t i = 0; i < streams_.size(); ++i) stream_of(i, streams_[i].decl->name.span);
  for (std::size_t i = 0; i < derived_.size(); ++i) resolve_derived(i, derived_[i].decl->name.span);
  for (std::size_t i = 0; i < features_.size(); ++i) feature_of(i, features_[i].decl->name.span);
  for (const auto& [decl, span] : rules_) check_rule_once(decl->name.text, decl->name.span);
  for (std::size_t i = 0; i < derived_.size(); ++i) resolve_derived(i, derived_[i].decl->name.span);  // those of hits
  check_alert_clauses();
  // Of one name there are several when a rule is judged under several roles: they stay in the order of the roles.
  std::stable_sort(book_.rules.begin(), book_.rules.end(),
                   [](const Rule& a, const Rule& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < book_.rules.size(); ++i) rule_order_[book_.rules[i].name] = i;
  for (const ast::File& file : files_) {
    for (const ast::Decl& decl : file.declarations) {
      if (decl.kind == ast::Decl::Kind::policy) check_policy(*decl.policy, decl.span);
    }
  }
  check_switches();
  check_decided();
  book_.aggregates_of_tests = book_.aggregates.size();
  for (std::size_t i = 0; i < samples_.size(); ++i) sample_of(i, samples_[i].decl->name.span);
  for (const ast::File& file : files_) {
    for (const ast::Decl& decl : file.declarations) {
      if (decl.kind == ast::Decl::Kind::test) check_test(*decl.test, decl.span);
    }
  }
  if (diagnostics_.error_count() > 0) return std::nullopt;
  book_.schema.seal();
  return std::move(book_);
}

}  // namespace detail

std::optional<Rulebook> check(const SourceSet& sources, const std::vector<ast::File>& files, Diagnostics& diagnostics,
                              const CheckOptions& options) {
  std::optional<Rulebook> book = detail::Checker(sources, files, diagnostics, options).run();
  if (!options.lint.warn) return book;
  if (book) lint(sources, files, *book, options.lint, diagnostics);
  apply_accepts(sources, files, book.has_value(), options.lint.advice, diagnostics);
  add_fixes(diagnostics, sources);
  return book;
}

}  // namespace tocsin::dsl
