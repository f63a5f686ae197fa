#include "engine/compile/expr_build.h"

#include <algorithm>

#include "event/function.h"

namespace tocsin::engine {

using dsl::Expr;
using dsl::Op;

namespace {

GroupFunction group_function(const std::string& name) {
  if (name == "sum") return GroupFunction::sum;
  if (name == "avg") return GroupFunction::avg;
  if (name == "min") return GroupFunction::min;
  if (name == "max") return GroupFunction::max;
  if (name == "first") return GroupFunction::first;
  if (name == "last") return GroupFunction::last;
  if (name == "distinct") return GroupFunction::distinct;
  if (name == "variance") return GroupFunction::variance;
  if (name == "stddev") return GroupFunction::stddev;
  if (name == "cv") return GroupFunction::cv;
  if (name == "percentile") return GroupFunction::percentile;
  if (name == "entropy") return GroupFunction::entropy;
  TOCSIN_CHECK(name == "count", name);
  return GroupFunction::count;
}

}  // namespace

CodeId ExprBuilder::add(Node node, const std::vector<CodeId>& children) {
  node.first_child = static_cast<std::uint32_t>(codes_.children.size());
  node.child_count = static_cast<std::uint32_t>(children.size());
  codes_.children.insert(codes_.children.end(), children.begin(), children.end());
  codes_.nodes.push_back(node);
  return static_cast<CodeId>(codes_.nodes.size() - 1);
}

std::pair<std::uint32_t, std::uint32_t> ExprBuilder::refs(const std::vector<dsl::FieldRef>& fields) {
  const auto first = static_cast<std::uint32_t>(codes_.field_refs.size());
  for (const dsl::FieldRef& ref : fields) codes_.field_refs.push_back({ref.event, ref.field});
  return {first, static_cast<std::uint32_t>(fields.size())};
}

CodeId ExprBuilder::first_field(CodeId code) const {
  const Node& node = codes_.nodes[code];
  switch (node.op) {
    case NodeOp::field:
    case NodeOp::place_field:
    case NodeOp::group_first:
    case NodeOp::group_last:
    case NodeOp::member_field: return code;
    default: break;
  }
  for (std::uint32_t i = 0; i < node.child_count; ++i) {
    const CodeId found = first_field(codes_.children[node.first_child + i]);
    if (found != no_code) return found;
  }
  return no_code;
}

CodeId ExprBuilder::text_match(const Expr& expr) {
  TOCSIN_CHECK(texts_ != nullptr);
  using Kind = TextPattern::Kind;
  const Kind kind = expr.op == Op::contains      ? Kind::contains
                    : expr.op == Op::starts_with ? Kind::starts_with
                    : expr.op == Op::ends_with   ? Kind::ends_with
                    : expr.op == Op::like        ? Kind::like
                                                 : Kind::matches;
  Node node;
  node.op = NodeOp::text_match;
  node.a = texts_->add(kind, expr.flag, expr.args[1].value.text());
  const CodeId text = build(expr.args[0]);
  const CodeId made = add(node, {text});
  const Node& subject = codes_.nodes[text];
  if (row_ != nullptr && subject.op == NodeOp::field && !subject.flag)
    texts_->may_share(made, row_->event, static_cast<event::FieldIndex>(subject.a), node.a);
  return made;
}

CodeId ExprBuilder::read(const Expr& expr) {
  Node node;
  if (row_ == nullptr) {
    node.op = NodeOp::late_read;
    node.flag = expr.op == Op::in_window;  // the first child is the value looked for
    node.a = expr.index;
    std::vector<CodeId> key;
    for (const Expr& part : expr.args) key.push_back(build(part));
    return add(node, key);
  }
  std::string meaning = std::to_string(expr.index) + (expr.op == Op::in_window ? "?" : "");
  for (const Expr& part : expr.args) meaning += "|" + dsl::meaning(part, *book_);
  const auto [known, fresh] =
      row_->slots.try_emplace(std::move(meaning), static_cast<std::uint32_t>(row_->wanted.size()));
  node.op = NodeOp::row_read;
  node.a = known->second;
  if (fresh) {
    RowReads::Wanted wanted{expr.index, expr.args, std::nullopt};
    if (expr.op == Op::in_window) {
      wanted.probe = expr.args.front();
      wanted.key.erase(wanted.key.begin());
    }
    row_->wanted.push_back(std::move(wanted));
  }
  return add(node, {});
}

CodeId ExprBuilder::build(const Expr& expr) {
  const CodeId code = node_of(expr);
  codes_.origins.resize(codes_.nodes.size());
  // A let is one node however often it is named: its origin is its definition.
  Origin& origin = codes_.origins[code];
  if (origin.end == 0) origin = {expr.span.file, expr.span.begin, expr.span.end, expr.type, event::Mask::none};
  if (mask_of_) origin.mask = std::max(origin.mask, mask_of_(expr));
  return code;
}

CodeId ExprBuilder::node_of(const Expr& expr) {
  Node node;
  node.flag = expr.flag;
  node.currency = expr.currency;
  switch (expr.op) {
    case Op::aggregate:
    case Op::in_window: return read(expr);
    case Op::let: {
      const auto known = let_codes_.find(expr.index);
      if (known != let_codes_.end()) return known->second;
      const CodeId code = build((*lets_)[expr.index].value);
      let_codes_.emplace(expr.index, code);
      return code;
    }
    case Op::constant:
      node.op = NodeOp::constant;
      node.value = expr.value;
      return add(node, {});
    case Op::field: {
      node.op = NodeOp::field;
      node.flag = false;
      if (row_ != nullptr) {
        for (const dsl::FieldRef& ref : expr.fields) {
          if (ref.event == row_->event) {
            node.a = ref.field;
            return add(node, {});
          }
        }
        node.op = NodeOp::constant;  // this event type has no such field: missing
        node.value = {};
        return add(node, {});
      }
      node.flag = true;
      std::tie(node.a, node.b) = refs(expr.fields);
      return add(node, {});
    }
    case Op::place_field:
    case Op::group_first:
    case Op::group_last:
    case Op::group_values:
      node.op = expr.op == Op::place_field  ? NodeOp::place_field
                : expr.op == Op::group_last ? NodeOp::group_last
                                            : NodeOp::group_first;
      node.a = expr.index;
      std::tie(node.b, node.c) = refs(expr.fields);
      return add(node, {});
    case Op::group_count:
      node.op = NodeOp::group_count;
      node.a = expr.index;
      return add(node, {});
    case Op::member_field:
      node.op = NodeOp::member_field;
      std::tie(node.b, node.c) = refs(expr.fields);
      return add(node, {});
    case Op::in_group: {
      node.op = NodeOp::in_group;
      node.a = expr.args[1].index;
      std::tie(node.b, node.c) = refs(expr.args[1].fields);
      return add(node, {build(expr.args[0])});
    }
    case Op::in_values: {
      node.op = NodeOp::in_values;
      node.a = static_cast<std::uint32_t>(codes_.networks.size());
      node.b = static_cast<std::uint32_t>(expr.networks.size());
      codes_.networks.insert(codes_.networks.end(), expr.networks.begin(), expr.networks.end());
      break;
    }
    case Op::some:
      node.op = NodeOp::some;
      node.a = expr.index;
      break;
    case Op::group_aggregate:
      node.op = NodeOp::group_aggregate;
      node.a = expr.index;
      node.b = static_cast<std::uint32_t>(group_function(expr.name));
      node.value = expr.value;
      node.currency = expr.type.currency;
      break;
    case Op::rule_key:
      node.op = NodeOp::rule_key;
      node.a = expr.index;
      break;
    case Op::not_: node.op = NodeOp::not_; break;
    case Op::and_: node.op = NodeOp::and_; break;
    case Op::or_: node.op = NodeOp::or_; break;
    case Op::equal:
    case Op::not_equal:
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal:
      node.op = NodeOp::compare;
      node.b = static_cast<std::uint32_t>(expr.op) - static_cast<std::uint32_t>(Op::equal);
      break;
    case Op::in_list:
      node.op = NodeOp::in_list;
      node.a = expr.index;
      break;
    case Op::has_label:
      node.op = NodeOp::has_label;
      node.a = expr.index;
      break;
    case Op::switch_:
      node.op = NodeOp::switch_;
      node.a = expr.index;
      break;
    case Op::in_rollout:
      node.op = NodeOp::in_rollout;
      node.a = expr.index;
      book_->texts->push_back(expr.name);  // the node's text must outlive the expression
      node.value = event::Value::of_text(book_->texts->back());
      break;
    case Op::choose: node.op = NodeOp::choose; break;
    case Op::in_range: node.op = NodeOp::in_range; break;
    case Op::is_missing: node.op = NodeOp::is_missing; break;
    case Op::contains:
    case Op::starts_with:
    case Op::ends_with:
      if (texts_ != nullptr && expr.args[1].op == Op::constant) return text_match(expr);
      node.flag = false;
      node.op = expr.op == Op::contains      ? NodeOp::contains
                : expr.op == Op::starts_with ? NodeOp::starts_with
                                             : NodeOp::ends_with;
      break;
    case Op::like:
    case Op::matches: return text_match(expr);
    case Op::add: node.op = NodeOp::add; break;
    case Op::subtract: node.op = NodeOp::subtract; break;
    case Op::multiply: node.op = NodeOp::multiply; break;
    case Op::divide: node.op = NodeOp::divide; break;
    case Op::remainder: node.op = NodeOp::remainder; break;
    case Op::negate: node.op = NodeOp::negate; break;
    case Op::coalesce: node.op = NodeOp::coalesce; break;
    case Op::money_as: {
      node.op = NodeOp::money_as;
      const CodeId amount = build(expr.args[0]);
      node.a = first_field(amount);
      node.b = expr.index;
      return add(node, {amount});
    }
    case Op::table_column: {
      node.op = NodeOp::table_column;
      node.a = expr.index;
      const std::vector<dsl::TableColumn>& columns = book_->tables[expr.index].columns;
      const auto column =
          std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == expr.name; });
      TOCSIN_CHECK(column != columns.end(), expr.name);
      node.b = static_cast<std::uint32_t>(column - columns.begin());
      break;
    }
    case Op::function:
      node.op = NodeOp::function;
      node.a = expr.index;
      if (static_cast<event::Function>(expr.index) == event::Function::ip_flag) {
        node.op = NodeOp::ip_flag;
        node.a = 0;
        for (std::size_t t = 0; book_ != nullptr && t < book_->tables.size(); ++t) {
          if (book_->tables[t].name == "ip_flags") node.a = static_cast<std::uint32_t>(t + 1);
        }
      }
      break;
    case Op::score: node.op = NodeOp::score; break;
    case Op::any_rule_decides:
      node.op = NodeOp::any_rule_decides;
      node.a = expr.index;
      break;
    case Op::any_rule_tagged:
      node.op = NodeOp::any_rule_tagged;
      book_->texts->push_back(expr.name);  // the node's text must outlive the expression
      node.value = event::Value::of_text(book_->texts->back());
      break;
  }
  std::vector<CodeId> children;
  for (const Expr& arg : expr.args) children.push_back(build(arg));
  return add(node, children);
}

}  // namespace tocsin::engine
