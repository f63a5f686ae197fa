#include "replay/coverage.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <optional>

#include "replay/rule_tests.h"

namespace tocsin::replay {

namespace {

using dsl::Expr;
using dsl::Op;
using dsl::Rule;

Expr joined(Op op, std::vector<Expr> args) {
  Expr e;
  e.op = op;
  e.type.kind = event::TypeKind::boolean;
  e.args = std::move(args);
  return e;
}

/// The operands of every `or` in the expression, outermost first.
void each_operand(const Expr& e, const auto& visit) {
  if (e.op == Op::or_) {
    for (const Expr& operand : e.args) visit(operand);
  }
  for (const Expr& arg : e.args) each_operand(arg, visit);
}

/// Whether a rule on the event by itself could ask it.
bool of_this_event(const Expr& e) {
  if (dsl::of_a_step(e.op) || e.op == Op::member_field || e.op == Op::rule_key) return false;
  return std::all_of(e.args.begin(), e.args.end(), of_this_event);
}

class Probes {
 public:
  explicit Probes(dsl::Rulebook& book) : book_(book), rules_(book.rules.size()) {}

  std::vector<SeenBranch> branches;

  void add_all() {
    for (std::size_t r = 0; r < rules_; ++r) {
      const Rule rule = book_.rules[r];  // a copy: probes are added behind it
      if (rule.when) {
        branch(rule, *rule.when, std::nullopt);
        each_operand(*rule.when, [&](const Expr& operand) { branch(rule, operand, std::nullopt); });
      }
      for (const dsl::Except& except : rule.excepts) branch(rule, except.when, rule.when);
      if (rule.decide && rule.decide->when) branch(rule, *rule.decide->when, rule.when);
      if (!rule.sequence) continue;
      for (const dsl::Step& step : rule.sequence->steps) {
        for (const dsl::EventTest& part : step.parts) in_step(rule, part);
      }
      for (const dsl::Absence& absence : rule.sequence->absences) in_step(rule, absence.test);
    }
  }
  [[nodiscard]] static std::string name_of(std::size_t branch, bool as_true) {
    // Behind all names of rules, which begin with a letter: the order of the book stays, and with it what tests refer to.
    char text[32];
    std::snprintf(text, sizeof text, "~%06zu%c", branch, as_true ? 't' : 'f');
    return text;
  }

 private:
  /// Only what says when it fires: what the rule does when it does is not asked for.
  static Rule bare(const Rule& rule) {
    Rule probe;
    probe.span = rule.span;
    probe.severity = dsl::AlertSeverity::info;
    probe.shadow = true;
    probe.on = rule.on;
    probe.alias = rule.alias;
    probe.keys = rule.keys;
    probe.sequence = rule.sequence;
    probe.lets = rule.lets;
    return probe;
  }

  void add(Rule probe, const Expr& condition, const std::optional<Expr>& also, bool as_true) {
    Expr asked = as_true ? condition : joined(Op::not_, {condition});
    probe.when = also ? joined(Op::and_, {*also, std::move(asked)}) : std::move(asked);
    probe.name = name_of(branches.size(), as_true);
    book_.rules.push_back(std::move(probe));
  }

  void branch(const Rule& rule, const Expr& condition, const std::optional<Expr>& also) {
    if (condition.op == Op::constant) return;
    // The false ones first: `~…f` stands before `~…t`.
    add(bare(rule), condition, also, false);
    add(bare(rule), condition, also, true);
    branches.push_back({rule.name, condition.span, false, false, true});
  }

  void in_step(const Rule& rule, const dsl::EventTest& test) {
    if (!test.where) return;
    each_operand(*test.where, [&](const Expr& operand) {
      if (operand.op == Op::constant) return;
      if (!of_this_event(operand)) {
        branches.push_back({rule.name, operand.span, false, false, false});
        return;
      }
      Rule probe;
      probe.span = rule.span;
      probe.severity = dsl::AlertSeverity::info;
      probe.shadow = true;
      probe.on = test.source;
      for (dsl::Alternative& alternative : probe.on->alternatives) alternative.key.clear();
      add(probe, operand, std::nullopt, false);
      add(std::move(probe), operand, std::nullopt, true);
      branches.push_back({rule.name, operand.span, false, false, true});
    });
  }

  dsl::Rulebook& book_;
  std::size_t rules_;
};

std::string place_and_line(const dsl::SourceSet& sources, dsl::Span span, const std::string& message) {
  const dsl::SourceFile& file = sources[span.file];
  const dsl::SourceFile::Place place = file.place_of(span.begin);
  const std::string number = std::to_string(place.line);
  return file.path() + ":" + number + ":" + std::to_string(place.column) + ": " + message + "\n" +
         std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') + number + " | " +
         std::string(file.line(place.line)) + "\n\n";
}

}  // namespace

Result<CoverageReport> coverage(const dsl::Loaded& rules) {
  dsl::Rulebook book = *rules.book;
  Probes probes(book);
  probes.add_all();
  std::vector<std::size_t> all(book.tests.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  Result<TestReport> tested = run_tests(std::move(book), all, false);
  if (!tested) return tested.error().while_doing("measuring coverage");
  const auto hits = [&](const std::string& name) {
    const auto at = tested.value().hits_by_rule.find(name);
    return at == tested.value().hits_by_rule.end() ? std::uint64_t{0} : at->second;
  };
  CoverageReport report;
  report.branches = std::move(probes.branches);
  for (std::size_t i = 0; i < report.branches.size(); ++i) {
    report.branches[i].as_true = hits(Probes::name_of(i, true)) > 0;
    report.branches[i].as_false = hits(Probes::name_of(i, false)) > 0;
  }
  for (const dsl::ast::File& file : rules.files) {
    for (const dsl::ast::Decl& declaration : file.declarations) {
      if (declaration.rule) {
        report.rules.push_back(
            {declaration.rule->name.text, declaration.rule->name.span, hits(declaration.rule->name.text)});
      }
      if (!declaration.policy) continue;
      for (std::size_t i = 0; i < declaration.policy->lines.size(); ++i) {
        const auto at = tested.value().decisions_by_line.find({declaration.policy->name.text, i + 1});
        const std::uint64_t count = at == tested.value().decisions_by_line.end() ? 0 : at->second;
        report.lines.push_back({declaration.policy->name.text, declaration.policy->lines[i].span, count});
      }
    }
  }
  return report;
}

std::string to_text(const CoverageReport& report, const dsl::SourceSet& sources) {
  std::string text;
  std::uint64_t fired = 0;
  std::uint64_t decided = 0;
  std::uint64_t both = 0;
  std::uint64_t measured = 0;
  for (const SeenRule& rule : report.rules) {
    if (rule.hits > 0) {
      ++fired;
    } else {
      text += place_and_line(sources, rule.span, "no test makes " + rule.name + " fire");
    }
  }
  for (const SeenBranch& branch : report.branches) {
    if (!branch.measured) continue;
    ++measured;
    if (branch.as_true && branch.as_false) {
      ++both;
      continue;
    }
    const std::string never = branch.as_true ? "false" : branch.as_false ? "true" : "true or false";
    const std::string_view file = sources[branch.span.file].text();
    std::string written(file.substr(branch.span.begin, branch.span.end - branch.span.begin));
    std::replace(written.begin(), written.end(), '\n', ' ');
    text += place_and_line(sources, branch.span, "in " + branch.rule + " no test saw `" + written + "` " + never);
  }
  for (const SeenLine& line : report.lines) {
    if (line.decisions > 0) {
      ++decided;
    } else {
      text += place_and_line(sources, line.span, "no test is decided by this line of " + line.policy);
    }
  }
  const std::uint64_t unmeasured = report.branches.size() - measured;
  text += "coverage: " + std::to_string(fired) + " of " + std::to_string(report.rules.size()) + " rules fired, " +
          std::to_string(both) + " of " + std::to_string(measured) + " branches seen both ways, " +
          std::to_string(decided) + " of " + std::to_string(report.lines.size()) + " policy lines decided";
  if (unmeasured > 0) text += "; " + std::to_string(unmeasured) + " branches across events are not measured";
  return text + "\n";
}

}  // namespace tocsin::replay
