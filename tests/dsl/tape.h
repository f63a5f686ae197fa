// Expressions made of random bytes, for properties of what is printed, parsed and laid out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dsl/ast.h"

namespace tocsin::dsl {

/// Builds an expression from a tape of bytes: each choice takes the next one, an empty tape chooses the smallest. So
/// any bytes are a tree, and shorter tapes are smaller trees.
class Tape {
 public:
  explicit Tape(const std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

  ast::Expr expression(int depth = 0) {
    ast::Expr e;
    const unsigned simple = 6;
    switch (take(depth > 5 ? simple : 24)) {
      case 0: return of(ast::ExprKind::name, name());
      case 1: return of(ast::ExprKind::number, std::to_string(take(255)));
      case 2: return of(ast::ExprKind::string, string());
      case 3: return of(ast::ExprKind::duration, "1h30m");
      case 4: return of(ast::ExprKind::boolean, take(2) == 0 ? "true" : "false");
      case 5: return of(ast::ExprKind::now, "now");
      case 6:
        e = of(ast::ExprKind::number, "5000.25");
        e.currency = "USD";
        return e;
      case 7: return of(ast::ExprKind::percent, "2.5");
      case 8: return of(ast::ExprKind::member, name(), {expression(depth + 1)});
      case 9: return of(ast::ExprKind::call, name(), several(depth, 0));
      case 10: return of(ast::ExprKind::list, "", several(depth, 0));
      case 11:
        e = of(ast::ExprKind::aggregate, "count");
        e.aggregate = std::make_shared<ast::Aggregate>(aggregate(depth));
        e.text = e.aggregate->function.text;
        return e;
      case 12: return of(ast::ExprKind::not_, "", {expression(depth + 1)});
      case 13: return of(ast::ExprKind::and_, "", several(depth, 2));
      case 14: return of(ast::ExprKind::or_, "", several(depth, 2));
      case 15:
        return of(ast::ExprKind::compare, one_of({"==", "!=", "<", "<=", ">", ">="}),
                  {expression(depth + 1), expression(depth + 1)});
      case 16:
        e = of(ast::ExprKind::in, "", {expression(depth + 1)});
        e.negated = take(2) == 1;
        switch (take(3)) {
          case 0: e.list = "trusted"; break;
          case 1: e.children.push_back(expression(depth + 1)); break;
          default:
            e.children.push_back(expression(depth + 1));
            e.children.push_back(expression(depth + 1));
            e.half_open = take(2) == 1;
        }
        return e;
      case 17:
        e = of(ast::ExprKind::is_missing, "", {expression(depth + 1)});
        e.negated = take(2) == 1;
        return e;
      case 18:
        return of(ast::ExprKind::string_test, one_of({"contains", "starts with", "ends with", "matches"}),
                  {expression(depth + 1), expression(depth + 1)});
      case 19: return of(ast::ExprKind::has_label, string(), {expression(depth + 1)});
      case 20: {
        e = of(ast::ExprKind::arithmetic, "", several(depth, 2));
        const bool sum = take(2) == 0;
        for (std::size_t i = 1; i < e.children.size(); ++i) {
          e.operators.push_back(sum ? one_of({"+", "-"}) : one_of({"*", "/", "%"}));
        }
        return e;
      }
      case 21: return of(ast::ExprKind::negate, "", {expression(depth + 1)});
      case 22: return of(ast::ExprKind::coalesce, "", {expression(depth + 1), expression(depth + 1)});
      default:
        switch (take(4)) {
          case 0: return of(ast::ExprKind::money_as, "USD", {expression(depth + 1)});
          case 1: return of(ast::ExprKind::feature_of, name(), {expression(depth + 1)});
          case 2: return of(ast::ExprKind::any_rule_decides, "block");
          default: return of(ast::ExprKind::any_rule_tagged, name());
        }
    }
  }

 private:
  unsigned take(unsigned count) {
    if (at_ == bytes_.size()) return 0;
    return bytes_[at_++] % count;
  }
  std::string one_of(const std::vector<std::string>& values) {
    return values[take(static_cast<unsigned>(values.size()))];
  }
  // Words that are keywords elsewhere are names here.
  std::string name() {
    return one_of({"amount", "low", "sum", "live", "first", "count", "label", "when", "rule", "per", "last", "from",
                   "x_1", "of"});
  }
  std::string string() {
    return one_of({"", "a b", "say \"x\"", "\\d+\\.", "two\nlines\tand\r", "ünï", "{n} of {m}", "# no comment"});
  }
  static ast::Expr of(ast::ExprKind kind, std::string text, std::vector<ast::Expr> children = {}) {
    ast::Expr e;
    e.kind = kind;
    e.text = std::move(text);
    e.children = std::move(children);
    return e;
  }
  std::vector<ast::Expr> several(int depth, unsigned at_least) {
    std::vector<ast::Expr> values;
    for (unsigned n = at_least + take(3); n > 0; --n) values.push_back(expression(depth + 1));
    return values;
  }
  ast::EventName event() {
    ast::EventName e;
    e.name.text = one_of({"login", "payment", "first"});
    e.is_hit = take(2) == 1;
    return e;
  }
  ast::Aggregate aggregate(int depth) {
    ast::Aggregate a;
    a.function.text = take(2) == 0 ? "count" : "sum";
    if (a.function.text == "sum") a.arguments = several(depth, 1);
    a.source.event = event();
    if (take(2) == 1) a.source.via = ast::Name{"sender", {}};
    if (take(2) == 1) a.source.where = expression(depth + 1);
    a.keys.push_back({ast::Name{"user", {}}, {}, false, {}});
    if (take(2) == 1) a.keys.push_back({ast::Name{"subnet", {}}, several(depth, 1), true, {}});
    a.window.kind = static_cast<ast::WindowKind>(take(5));
    a.window.length.text =
        a.window.kind == ast::WindowKind::calendar || a.window.kind == ast::WindowKind::since_last ? "" : "10m";
    if (a.window.kind == ast::WindowKind::in_last) a.window.unsaid = take(2) == 1;
    if (a.window.kind == ast::WindowKind::gap) a.window.gap.text = "72h";
    if (a.window.kind == ast::WindowKind::calendar) {
      a.window.unit.text = "day";
      a.window.zone.text = "Europe/Berlin";
    }
    if (a.window.kind == ast::WindowKind::since_last) a.window.since = event();
    return a;
  }

  const std::vector<std::uint8_t>& bytes_;
  std::size_t at_ = 0;
};

}  // namespace tocsin::dsl
