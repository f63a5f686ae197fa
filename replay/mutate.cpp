#include "replay/mutate.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <numeric>
#include <optional>

#include "base/decimal.h"
#include "base/time.h"
#include "dsl/layout.h"
#include "dsl/parse.h"
#include "dsl/walk.h"
#include "replay/rule_tests.h"

namespace tocsin::replay {

namespace {

using dsl::Edit;
using dsl::Span;
namespace ast = dsl::ast;

/// Smaller whole numbers are counts, where one more or less matters; larger ones are amounts.
constexpr std::int64_t count_max = 20;

std::optional<Decimal> scaled(Decimal value, std::int64_t times, std::int64_t parts) {
  const std::optional<Decimal> more = multiply(value, Decimal::from_integer(times));
  return more ? divide(*more, Decimal::from_integer(parts)) : std::nullopt;
}

class Collector : public dsl::Visitor {
 public:
  Collector(const dsl::SourceSet& sources, std::uint32_t file)
      : text_(sources[file].text()), words_(dsl::words_of(sources[file])) {}

  std::vector<Mutant> take() { return std::move(mutants_); }

  void look_at(const ast::Decl& declaration, std::size_t index) {
    const std::size_t before = mutants_.size();
    collect(declaration);
    for (std::size_t i = before; i < mutants_.size(); ++i) mutants_[i].declaration = index;
  }

 private:
  void collect(const ast::Decl& declaration) {
    in_text_ = false;
    using Kind = ast::Decl::Kind;
    switch (declaration.kind) {
      case Kind::entity:
      case Kind::event:
      case Kind::list:   // tests begin with empty lists
      case Kind::table:  // and tables
      case Kind::switch_:
      case Kind::sample:
      case Kind::test: return;
      case Kind::param: owner_ = "param " + declaration.param->name.text; break;
      case Kind::stream: owner_ = "stream " + declaration.stream->name.text; break;
      case Kind::field: owner_ = "field " + declaration.field->name.text; break;
      case Kind::feature: owner_ = "feature " + declaration.feature->name.text; break;
      case Kind::rule: owner_ = "rule " + declaration.rule->name.text; break;
      case Kind::policy:
        owner_ = "policy " + declaration.policy->name.text;
        look_at(*declaration.policy);
        break;
    }
    walk(declaration, *this);
  }

  // ------------------------------------------------------------ conditions
  void expression(const ast::Expr& e) override {
    if (in_text_) return;
    switch (e.kind) {
      case ast::ExprKind::number: number(e); return;
      case ast::ExprKind::percent: percent(e); return;
      case ast::ExprKind::duration: duration({e.text, e.span}, "just inside it and one just outside"); return;
      case ast::ExprKind::compare: comparison(e); return;
      case ast::ExprKind::and_:
      case ast::ExprKind::or_: parts(e); return;
      case ast::ExprKind::not_:
        change({e.span.file, e.span.begin, e.children[0].span.begin}, "not", "", "where what stands behind it is true");
        return;
      case ast::ExprKind::in:
        turn_around(e);
        if (e.children.size() == 3) range(e);
        return;
      case ast::ExprKind::is_missing: turn_around(e); return;
      case ast::ExprKind::string:
      case ast::ExprKind::boolean:
      case ast::ExprKind::now:
      case ast::ExprKind::name:
      case ast::ExprKind::member:
      case ast::ExprKind::call:
      case ast::ExprKind::list:
      case ast::ExprKind::aggregate:
      case ast::ExprKind::string_test:
      case ast::ExprKind::has_label:
      case ast::ExprKind::arithmetic:
      case ast::ExprKind::negate:
      case ast::ExprKind::coalesce:
      case ast::ExprKind::money_as:
      case ast::ExprKind::feature_of:
      case ast::ExprKind::any_rule_decides:
      case ast::ExprKind::any_rule_tagged: return;
    }
  }

  void aggregate(const ast::Aggregate& aggregate) override {
    if (in_text_) return;
    const ast::Window& window = aggregate.window;
    switch (window.kind) {
      case ast::WindowKind::in_last:
        duration(window.length, "only just outside of it");
        change(window.span, written(window.span), "in " + window.length.text + " before",
               "where the event at hand makes the difference");
        return;
      case ast::WindowKind::before:
        duration(window.length, "only just outside of it");
        change(window.span, written(window.span), "in last " + window.length.text,
               "where the event at hand makes the difference");
        return;
      case ast::WindowKind::gap:
        duration(window.length, "only just outside of it");
        duration(window.gap, "inside the gap that should not count");
        return;
      case ast::WindowKind::calendar:
      case ast::WindowKind::since_last: return;
    }
  }

  // ------------------------------------------------------------ clauses and steps
  void clause(const ast::Clause& clause) override {
    in_text_ = clause.kind == ast::ClauseKind::show;
    if (clause.duration) duration(*clause.duration, "just outside of that time");
    if (clause.kind == ast::ClauseKind::except) {
      change(clause.span, "except " + clause.name.text, "", "where the exception silences the rule: `expect no rule`");
    }
    if (clause.sequence) sequence(*clause.sequence);
  }

  void step(const ast::Step& step) override {
    if (step.within) duration(*step.within, "where the step comes just too late");
    if (step.wait) duration(*step.wait, "where it comes just after that time, and one just before");
    switch (step.count) {
      case ast::CountKind::one:
      case ast::CountKind::optional: break;
      case ast::CountKind::at_least:
      case ast::CountKind::exactly: {
        const std::string word = step.count == ast::CountKind::exactly ? "exactly " : "at least ";
        count(step, word + std::to_string(step.low + 1));
        if (step.low > 1) count(step, word + std::to_string(step.low - 1));
        break;
      }
      case ast::CountKind::between:
        count(step, std::to_string(step.low + 1) + " to " + std::to_string(step.high));
        count(step, std::to_string(step.low) + " to " + std::to_string(step.high + 1));
        break;
    }
    if (step.consecutive) {
      if (const dsl::Word* word = find_word("consecutive", step.span.begin, step.event.name.span.begin)) {
        change({step.span.file, word->begin, word->end()}, "consecutive", "",
               "where another event of the stream stands between");
      }
    }
    if (step.link_span) {
      change(*step.link_span, written(*step.link_span), "",
             "where the first that comes does not fit and a later one does");
    }
  }

 private:
  [[nodiscard]] std::string written(Span span) const {
    return std::string(text_.substr(span.begin, span.end - span.begin));
  }
  void change(Span span, std::string was, std::string now, std::string hint) {
    mutants_.push_back({{Edit{span, now}}, 0, span, owner_, std::move(was), std::move(now), std::move(hint)});
  }

  const dsl::Word* find_word(std::string_view text, std::uint32_t from, std::uint32_t to) const {
    for (const dsl::Word& word : words_) {
      if (!word.comment && word.begin >= from && word.begin < to && word.text == text) return &word;
    }
    return nullptr;
  }

  void number(const ast::Expr& e) {
    const std::optional<Decimal> value = parse_decimal(e.text);
    if (!value) return;
    const std::string unit = e.currency.empty() ? "" : " " + e.currency;
    const auto to = [&](const std::optional<Decimal>& other, const char* hint) {
      if (other && *other != *value) change(e.span, written(e.span), to_text(*other) + unit, hint);
    };
    const bool whole = value->units % Decimal::one == 0;
    if (e.currency.empty() && whole && *value < Decimal::from_integer(count_max)) {
      to(add(*value, Decimal::from_integer(1)), "with exactly as many");
      if (value->units > 0) to(subtract(*value, Decimal::from_integer(1)), "with one less");
      return;
    }
    to(scaled(*value, 2, 1), "just above the number");
    to(scaled(*value, 1, 2), "just below the number");
  }

  void percent(const ast::Expr& e) {
    const std::optional<Decimal> value = parse_decimal(e.text);
    if (!value || value->units == 0) return;
    const auto to = [&](const std::optional<Decimal>& other, const char* hint) {
      if (other) change(e.span, written(e.span), to_text(*other) + "%", hint);
    };
    to(scaled(*value, 3, 2), "with a share just above");
    to(scaled(*value, 1, 2), "with a share just below");
  }

  void duration(const ast::Text& text, const std::string& hint) {
    const std::optional<Duration> value = parse_duration(text.text);
    if (!value || value->us <= 0) return;
    // In the language's own units: whole milliseconds are always written.
    const auto in_ms = [](std::int64_t us) { return std::to_string(us / 1000) + "ms"; };
    const auto shown = [&](std::int64_t us) {
      for (const auto& [unit, length] : units) {
        if (us % length == 0) return std::to_string(us / length) + std::string(unit);
      }
      return in_ms(us);
    };
    if (value->us <= INT64_MAX / 2) change(text.span, text.text, shown(value->us * 2), "with an event " + hint);
    if (value->us >= 2000)
      change(text.span, text.text, shown(value->us / 2000 * 1000), "with an event only just inside it");
  }

  void comparison(const ast::Expr& e) {
    struct Other {
      std::string_view sign, now;
      const char* hint;
    };
    static constexpr Other others[] = {
        {">=", ">", "where both sides are equal"},  {">=", "<", "where it is true, and one where it is not"},
        {">", ">=", "where both sides are equal"},  {">", "<=", "where it is true, and one where it is not"},
        {"<=", "<", "where both sides are equal"},  {"<=", ">", "where it is true, and one where it is not"},
        {"<", "<=", "where both sides are equal"},  {"<", ">=", "where it is true, and one where it is not"},
        {"==", "!=", "where both sides are equal"}, {"!=", "==", "where the sides differ"},
    };
    for (const Other& other : others) {
      if (e.text == other.sign) change(e.text_span, e.text, std::string(other.now), other.hint);
    }
  }

  /// A part of `and` becomes true, a part of `or` false: as if it were not there.
  void parts(const ast::Expr& e) {
    const bool all = e.kind == ast::ExprKind::and_;
    for (const ast::Expr& part : e.children) {
      change(part.span, written(part.span), all ? "true" : "false",
             all ? "where only this part is false" : "where only this part is true");
      mutants_.back().now = "(left out)";
    }
  }

  /// `x in …` and `x not in …`, `is missing` and `is not missing`.
  void turn_around(const ast::Expr& e) {
    const std::uint32_t from = e.children[0].span.end;
    const std::uint32_t to = e.children.size() > 1 ? e.children[1].span.begin : e.span.end;
    if (e.negated) {
      const dsl::Word* word = find_word("not", from, to);
      if (word != nullptr)
        change({e.span.file, word->begin, word->end()}, "not", "", "where it is so, and one where it is not");
      return;
    }
    const bool missing = e.kind == ast::ExprKind::is_missing;
    const dsl::Word* word = find_word(missing ? "missing" : "in", from, to);
    if (word == nullptr) return;
    const std::string positive(word->text);
    change({e.span.file, word->begin, word->end()}, positive, "not " + positive,
           "where it is so, and one where it is not");
  }

  void range(const ast::Expr& e) {
    const std::uint32_t from = e.children[1].span.end;
    const std::uint32_t to = e.children[2].span.begin;
    const dsl::Word* word = find_word(e.half_open ? "..<" : "..", from, to);
    if (word == nullptr) return;
    change({e.span.file, word->begin, word->end()}, std::string(word->text), e.half_open ? ".." : "..<",
           "with exactly the upper end");
  }

  void count(const ast::Step& step, std::string now) {
    change(step.count_span, written(step.count_span), std::move(now), "with exactly as many, and one with one less");
  }

  void sequence(const ast::Sequence& sequence) {
    if (sequence.within) duration(*sequence.within, "only just outside of it");
    const auto& steps = sequence.steps;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const ast::Step& step = steps[i];
      const bool negative = step.kind == ast::StepKind::negative;
      if (steps.size() == 1) break;
      Span span = step.span;
      if (i > 0) {
        // With the `then` before it.
        const std::uint32_t begin = step.link_span ? step.link_span->begin : step.span.begin;
        for (const dsl::Word& word : words_) {
          if (word.begin >= begin) break;
          if (!word.comment) span.begin = word.begin;
        }
      } else {
        // With the `then` behind it; a step that is tied to it by `first` or `next` does not pass the checks then.
        span.end = steps[1].link_span ? steps[1].link_span->begin : steps[1].span.begin;
      }
      mutants_.push_back(
          {{Edit{span, ""}},
           0,
           step.span,
           owner_,
           negative ? "this `no`" : "this step",
           "(left out)",
           negative ? "where it does happen: `expect no rule`" : "without that event: `expect no rule`"});
    }
    if (sequence.until) {
      change(sequence.until->span, "until", "", "where that event comes: `expect no rule`");
    }
  }

  void look_at(const ast::PolicyDecl& policy) {
    for (const ast::PolicyLine& line : policy.lines) {
      if (policy.lines.size() == 1) break;
      // Without any true line the answer is allow too (D6).
      if (!line.when && line.action.text == "allow" && &line == &policy.lines.back()) break;
      mutants_.push_back({{Edit{line.span, ""}},
                          0,
                          line.span,
                          owner_,
                          "this line",
                          "(left out)",
                          "that this line decides: `expect decision " + line.action.text + "`"});
    }
  }

  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> units{
      {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1000}}};

  std::string_view text_;
  std::vector<dsl::Word> words_;
  std::string owner_;
  bool in_text_ = false;  // in `show`, which changes nothing that a test looks at
  std::vector<Mutant> mutants_;
};

/// The text of the declaration with the changes made.
std::string edited(std::string_view text, Span declaration, const std::vector<Edit>& edits) {
  std::string out;
  std::size_t at = declaration.begin;
  for (const Edit& edit : edits) {
    out += text.substr(at, edit.span.begin - at);
    out += edit.text;
    at = edit.span.end;
  }
  return out + std::string(text.substr(at, declaration.end - at));
}

/// What the rules mean, without where they stand: equal texts are equal results of every test.
std::string meaning_of(const dsl::Rulebook& book) {
  std::string out;
  for (const dsl::Rule& rule : book.rules) {
    out += rule.name + "=" + dsl::meaning(rule, book) + "\n";
    if (rule.alert_once) out += std::to_string(rule.alert_once->per.us) + "\n";
  }
  for (const dsl::DerivedField& field : book.derived) {
    out +=
        std::to_string(field.event) + "." + std::to_string(field.field) + "=" + dsl::meaning(field.value, book) + "\n";
  }
  for (const dsl::Policy& policy : book.policies) {
    out += policy.name + (policy.sum ? " sum" : " max") + "\n";
    for (const dsl::PolicyLine& line : policy.lines) {
      out += std::string(dsl::to_text(line.action)) + " " + (line.when ? dsl::meaning(*line.when, book) : "") + "\n";
    }
    if (policy.cap) out += to_text(*policy.cap);
  }
  return out;
}

std::string plural(std::uint64_t n, std::string_view word) {
  return std::to_string(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

}  // namespace

std::vector<Mutant> mutants_of(const dsl::Loaded& rules) {
  std::vector<Mutant> all;
  for (const ast::File& file : rules.files) {
    Collector collector(rules.sources, file.file);
    for (std::size_t i = 0; i < file.declarations.size(); ++i) collector.look_at(file.declarations[i], i);
    for (Mutant& mutant : collector.take()) all.push_back(std::move(mutant));
  }
  std::stable_sort(all.begin(), all.end(), [](const Mutant& a, const Mutant& b) {
    return a.span.file != b.span.file ? a.span.file < b.span.file : a.span.begin < b.span.begin;
  });
  return all;
}

Result<MutationReport> mutate(const dsl::Loaded& rules) {
  MutationReport report;
  const std::string as_written = meaning_of(*rules.book);
  dsl::CheckOptions options;
  options.lint.warn = false;
  for (const dsl::DataFile& file : rules.book->data_files) options.data_files[file.path] = file.text;
  // Tests that noticed a change of the same declaration before come first: most changes are noticed by the same few.
  std::map<std::string, std::vector<std::uint64_t>> noticed_by;
  std::map<std::string, std::size_t> index_of;
  for (std::size_t i = 0; i < rules.book->tests.size(); ++i) index_of[rules.book->tests[i].name] = i;
  dsl::SourceSet sources = rules.sources;
  sources.emplace_back("", "");
  std::vector<ast::File> files = rules.files;
  for (Mutant& mutant : mutants_of(rules)) {
    const std::uint32_t f = mutant.span.file;
    // Only the declaration is read again, as a file of its own behind the others; the rest is as it was read.
    const ast::Decl& before = rules.files[f].declarations[mutant.declaration];
    sources.back() = {rules.sources[f].path(), edited(rules.sources[f].text(), before.span, mutant.edits)};
    dsl::Diagnostics diagnostics;
    ast::File parsed = dsl::parse(sources, static_cast<std::uint32_t>(rules.sources.size()), diagnostics);
    std::optional<dsl::Rulebook> book;
    if (diagnostics.error_count() == 0 && parsed.declarations.size() == 1) {
      files[f].declarations[mutant.declaration] = std::move(parsed.declarations.front());
      book = dsl::check(sources, files, diagnostics, options);
      files[f].declarations[mutant.declaration] = before;
    }
    if (!book) {
      ++report.refused;
      continue;
    }
    if (meaning_of(*book) == as_written) {
      ++report.equivalent;
      continue;
    }
    std::vector<std::uint64_t>& counts = noticed_by[mutant.owner];
    std::vector<std::size_t> order(book->tests.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto about = [&](std::size_t test) {
      const auto& steps = book->tests[test].steps;
      return std::any_of(steps.begin(), steps.end(), [&](const dsl::TestStep& step) {
        const bool of_rule =
            step.kind == dsl::TestStep::Kind::expect_rule || step.kind == dsl::TestStep::Kind::expect_no_rule;
        return of_rule && mutant.owner == "rule " + book->rules[step.rule].name;
      });
    };
    if (counts.empty()) {
      // Nothing is known yet: those that name the rule.
      counts.resize(book->tests.size());
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = about(i) ? 1 : 0;
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
    Result<TestReport> tested = run_tests(std::move(*book), order, true);
    if (!tested) {
      ++report.refused;  // more than the engine can run
      continue;
    }
    ++report.mutants;
    if (tested.value().failed == 0) {
      report.survivors.push_back(std::move(mutant));
      continue;
    }
    ++report.noticed;
    const auto at = index_of.find(tested.value().failures.front().test);
    if (at != index_of.end()) ++counts[at->second];
  }
  return report;
}

std::string to_text(const MutationReport& report, const dsl::SourceSet& sources) {
  std::string text;
  for (const Mutant& mutant : report.survivors) {
    const dsl::SourceFile& file = sources[mutant.span.file];
    const dsl::SourceFile::Place place = file.place_of(mutant.span.begin);
    const std::string number = std::to_string(place.line);
    text += file.path() + ":" + number + ":" + std::to_string(place.column) + ": not noticed, in " + mutant.owner +
            ": " + (mutant.was.starts_with("this ") ? mutant.was : "`" + mutant.was + "`") + " ";
    text += mutant.now.empty() || mutant.now == "(left out)" ? "left out" : "as `" + mutant.now + "`";
    text += "\n" + std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') + number + " | " +
            std::string(file.line(place.line)) + "\n      a test would notice " + mutant.hint + "\n\n";
  }
  if (report.equivalent > 0) {
    text += plural(report.equivalent, "change") + (report.equivalent == 1 ? " means" : " mean") +
            " the same as what is written and could not be noticed: not counted\n";
  }
  // One digit, cut: 94.96 is not 95.
  const auto tenths = report.mutants == 0 ? 1000 : report.noticed * 1000 / report.mutants;
  return text + std::to_string(report.mutants) + " mutants, " + std::to_string(report.noticed) + " noticed (" +
         std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %)\n";
}

}  // namespace tocsin::replay
