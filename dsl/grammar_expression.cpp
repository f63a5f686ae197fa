// Expressions, and what they share with the rest: sources, keys, windows. From loose to tight:
//
//   expression = negation ("and" negation)* | negation ("or" negation)*     never mixed without parentheses
//   negation   = "not" negation | comparison
//   comparison = sum [ ("==" | "!=" | "<" | ">" | "<=" | ">=") sum | ["not"] "in" set | "is" ["not"] "missing"
//                    | ("contains" | "starts with" | "ends with" | "like" | "matches") sum ["ignoring" "case"] | "has" "label" text ]
//   set        = @list | sum [(".." | "..<") sum]
//   sum        = term (("+" | "-") term)*            term = unary (("*" | "/" | "%") unary)*
//   unary      = "-" unary | coalesce                coalesce = conversion ["??" conversion]
//   conversion = postfix ["as" USD] | name "of" postfix
//   postfix    = atom ("." name)*
//   atom       = literal | name | name "(" [expression, …] ")" | "[" [expression, …] "]" | "(" expression ")" | aggregate
//              | "any" "rule" "decides" action | "any" "rule" "tagged" name "fires"
//   aggregate  = ("count" | name "(" expression, … ")") "from" source "per" keys window
//   source     = event ["via" name] ["where" expression]
//   window     = "in" "last" duration | "in" duration "before" | "in" duration "ending" duration "before"
//              | "in" "calendar" unit text | "since" "last" event
#include "dsl/grammar_common.h"

namespace tocsin::dsl::grammar {
namespace {

using ast::Expr;
using ast::ExprKind;

/// The operators and right-hand sides of a chain of one precedence. A chain is kept flat: folded to the left it would
/// make a tree as deep as the chain is long.
struct Tail {
  std::vector<std::string> operators;
  std::vector<Span> spans;
  std::vector<Expr> operands;

  /// Without the operator whose operand did not read, if the chain ended in one: from here on they are pairs. The
  /// mistake itself is reported where the reading ended.
  void keep_pairs() {
    operators.resize(operands.size());
    spans.resize(operands.size());
  }
};

/// Puts `value` under a new node of this kind, as its first child.
void wrap(Expr& value, ExprKind kind) {
  Expr node;
  node.kind = kind;
  node.span = value.span;
  node.children.push_back(std::move(value));
  value = std::move(node);
}

constexpr auto add_operator_to_tail = [](auto& context) {
  ast::Text& text = x3::_attr(context);
  Tail& tail = x3::_val(context);
  if (tail.operators.size() + 1 >= chain_max) {
    reader_of(context)
        .stop(Code::chain_too_long, text.span, "more than 1,000 parts in one chain")
        .hints.emplace_back("ask `x in [ … ]`, or keep the values in a list");
    x3::_pass(context) = false;
    return;
  }
  tail.operators.push_back(std::move(text.text));
  tail.spans.push_back(text.span);
};
constexpr auto add_operand_to_tail = [](auto& context) {
  x3::_val(context).operands.push_back(std::move(x3::_attr(context)));
};

constexpr auto fold_arithmetic = [](auto& context) {
  Tail& tail = x3::_attr(context);
  tail.keep_pairs();
  Expr& value = x3::_val(context);
  wrap(value, ExprKind::arithmetic);
  value.text_span = tail.spans.front();
  value.span.end = tail.operands.back().span.end;
  for (Expr& operand : tail.operands) value.children.push_back(std::move(operand));
  value.operators = std::move(tail.operators);
  value.operator_spans = std::move(tail.spans);
};

/// The operands of a chain as they are written, for hints; nothing when they are too long or spread to be shown on a
/// line.
std::optional<std::vector<std::string>> written(const Reader& reader, const std::vector<const Expr*>& operands) {
  std::vector<std::string> texts;
  for (const Expr* operand : operands) {
    const std::string_view slice = reader.slice(operand->span);
    if (slice.size() > 60 || slice.find_first_of("\n#") != std::string_view::npos) return std::nullopt;
    texts.emplace_back(slice);
  }
  return texts;
}

/// The chain with parentheses around each run that `inner` joins.
std::string grouped(const std::vector<std::string>& operands, const std::vector<std::string>& operators,
                    std::string_view inner) {
  std::string out;
  for (std::size_t i = 0; i < operands.size();) {
    std::size_t end = i;
    while (end < operators.size() && operators[end] == inner) ++end;
    if (i > 0) out += " " + operators[i - 1] + " ";
    if (end > i) out += "(";
    for (std::size_t j = i; j <= end; ++j) out += (j > i ? " " + operators[j - 1] + " " : "") + operands[j];
    if (end > i) out += ")";
    i = end + 1;
  }
  return out;
}

void report_mixed(Reader& reader, const Expr& first, const Tail& tail) {
  std::size_t other = 1;
  while (tail.operators[other] == tail.operators[0]) ++other;
  Diagnostic& message =
      reader.mistake(Code::and_or_mixed, tail.spans[other], "`and` and `or` are mixed without parentheses");
  message.labels.push_back({tail.spans[other - 1], ""});
  std::vector<const Expr*> operands{&first};
  for (const Expr& operand : tail.operands) operands.push_back(&operand);
  if (const auto texts = written(reader, operands); texts && texts->size() <= 6) {
    message.hints.push_back("write " + grouped(*texts, tail.operators, "and") + "\nor    " +
                            grouped(*texts, tail.operators, "or"));
  } else {
    message.hints.emplace_back("put parentheses around the parts that belong together");
  }
}

constexpr auto fold_chain = [](auto& context) {
  Tail& tail = x3::_attr(context);
  tail.keep_pairs();
  Expr& value = x3::_val(context);
  const bool mixed = std::find(tail.operators.begin(), tail.operators.end(),
                               tail.operators[0] == "and" ? "or" : "and") != tail.operators.end();
  if (mixed) report_mixed(reader_of(context), value, tail);
  // A mixed chain goes on as one of its first operator: what is in its parts is still checked.
  wrap(value, tail.operators[0] == "and" ? ExprKind::and_ : ExprKind::or_);
  value.text_span = tail.spans.front();
  value.span.end = tail.operands.back().span.end;
  for (Expr& operand : tail.operands) value.children.push_back(std::move(operand));
  value.operator_spans = std::move(tail.spans);
};

void report_chained(Reader& reader, const Expr& first, const Tail& tail) {
  const Span place{tail.spans[1].file, tail.spans[1].begin, tail.operands[1].span.end};
  Diagnostic& message = reader.mistake(Code::chained_comparison, place, "comparisons do not chain");
  const auto texts = written(reader, {&first, &tail.operands[0], &tail.operands[1]});
  if (!texts) return;
  const std::string& low = (*texts)[0];
  const std::string& middle = (*texts)[1];
  const std::string& high = (*texts)[2];
  const std::string& from = tail.operators[0];
  const std::string& to = tail.operators[1];
  const std::string both = low + " " + from + " " + middle + " and " + middle + " " + to + " " + high;
  const bool upwards = (from == "<" || from == "<=") && (to == "<" || to == "<=") && tail.operands.size() == 2;
  const bool counted = first.kind == ExprKind::number && first.currency.empty() && low.size() < 10 &&
                       low.find_first_not_of("0123456789") == std::string::npos;
  if (upwards && from == "<=") {
    message.hints.push_back(middle + " in " + low + (to == "<" ? " ..< " : " .. ") + high);
  } else if (upwards && counted) {
    message.hints.push_back(middle + " in " + std::to_string(std::stoul(low) + 1) + (to == "<" ? " ..< " : " .. ") +
                            high + "\nor " + both + ", when it may be a fraction");
  } else {
    message.hints.push_back("write " + both);
  }
}

constexpr auto fold_compare = [](auto& context) {
  Tail& tail = x3::_attr(context);
  tail.keep_pairs();
  Expr& value = x3::_val(context);
  if (tail.operators.size() > 1) report_chained(reader_of(context), value, tail);
  wrap(value, ExprKind::compare);
  value.text = std::move(tail.operators[0]);
  value.text_span = tail.spans[0];
  value.span.end = tail.operands.back().span.end;
  value.children.push_back(std::move(tail.operands[0]));
};

/// A node made of everything but its first child, which is the value so far.
constexpr auto fold_under = [](auto& context) {
  Expr& node = x3::_attr(context);
  Expr& value = x3::_val(context);
  node.span.begin = value.span.begin;
  node.children.insert(node.children.begin(), std::move(value));
  value = std::move(node);
};

constexpr auto add_child = [](auto& context) {
  Expr& value = x3::_val(context);
  value.children.push_back(std::move(x3::_attr(context)));
};
constexpr auto of_kind = [](ExprKind kind) {
  return [kind](auto& context) {
    x3::_val(context).kind = kind;
    x3::_val(context).text_span = x3::_attr(context);
  };
};
constexpr auto text_as = [](ExprKind kind) {
  return [kind](auto& context) {
    Expr& value = x3::_val(context);
    value.kind = kind;
    value.text = std::move(x3::_attr(context).text);
    value.text_span = x3::_attr(context).span;
  };
};
constexpr auto in_list = [](auto& context) {
  x3::_val(context).list = std::move(x3::_attr(context).text);
  x3::_val(context).text_span = x3::_attr(context).span;
};
constexpr auto as_range = [](auto& context) { x3::_val(context).half_open = x3::_attr(context).text == "..<"; };

constexpr auto fold_negate = [](auto& context) {
  Expr& value = x3::_val(context);
  value.children.push_back(std::move(x3::_attr(context)));
};
constexpr auto fold_coalesce = [](auto& context) {
  Expr& value = x3::_val(context);
  wrap(value, ExprKind::coalesce);
  value.span.end = x3::_attr(context).span.end;
  value.text_span = value.span;
  value.children.push_back(std::move(x3::_attr(context)));
};
constexpr auto fold_money = [](auto& context) {
  Expr& value = x3::_val(context);
  wrap(value, ExprKind::money_as);
  value.text = std::move(x3::_attr(context).text);
  value.text_span = x3::_attr(context).span;
  value.span.end = value.text_span.end;
};
constexpr auto only_a_name = [](auto& context) {
  const Expr& value = x3::_val(context);
  x3::_pass(context) = value.kind == ExprKind::name && value.span == value.text_span;
};
constexpr auto fold_feature_of = [](auto& context) {
  Expr& value = x3::_val(context);
  value.kind = ExprKind::feature_of;
  value.span.end = x3::_attr(context).span.end;
  value.children.push_back(std::move(x3::_attr(context)));
};
constexpr auto fold_member = [](auto& context) {
  Expr& value = x3::_val(context);
  int depth = 1;
  for (const Expr* inner = &value; inner->kind == ExprKind::member; inner = &inner->children[0]) ++depth;
  if (depth > depth_max) {
    reader_of(context).stop(Code::nesting_too_deep, x3::_attr(context).span, "more than 100 members of members");
    x3::_pass(context) = false;
    return;
  }
  wrap(value, ExprKind::member);
  value.text = std::move(x3::_attr(context).text);
  value.text_span = x3::_attr(context).span;
  value.span.end = value.text_span.end;
};

constexpr auto start_name = [](auto& context) {
  Expr& value = x3::_val(context);
  value.text = std::move(x3::_attr(context).text);
  value.text_span = x3::_attr(context).span;
  value.kind = value.text == "true" || value.text == "false" ? ExprKind::boolean
               : value.text == "now"                         ? ExprKind::now
                                                             : ExprKind::name;
};
constexpr auto may_be_called = [](auto& context) { x3::_pass(context) = x3::_val(context).kind == ExprKind::name; };
constexpr auto start_call = [](auto& context) { x3::_val(context).kind = ExprKind::call; };
constexpr auto may_aggregate = [](auto& context) {
  const Expr& value = x3::_val(context);
  x3::_pass(context) = value.kind == ExprKind::call || (value.kind == ExprKind::name && value.text == "count");
};
constexpr auto fold_aggregate = [](auto& context) {
  Expr& value = x3::_val(context);
  ast::Aggregate& aggregate = x3::_attr(context);
  aggregate.function = {value.text, value.text_span};
  aggregate.arguments = std::move(value.children);
  value.children.clear();
  value.kind = ExprKind::aggregate;
  value.aggregate = std::make_shared<ast::Aggregate>(std::move(aggregate));
};

constexpr Rule<struct negation_id, Expr> negation = "negation";
constexpr Rule<struct comparison_id, Expr> comparison = "comparison";
constexpr Rule<struct comparison_tail_id, Expr> comparison_tail = "comparison tail";
constexpr Rule<struct sum_id, Expr> sum = "sum";
constexpr Rule<struct term_id, Expr> term = "term";
constexpr Rule<struct unary_id, Expr> unary = "unary";
constexpr Rule<struct conversion_id, Expr> conversion = "conversion";
constexpr Rule<struct postfix_id, Expr> postfix = "postfix";
constexpr Rule<struct atom_id, Expr> atom = "atom";
constexpr Rule<struct chain_id, Tail> chain = "chain";
constexpr Rule<struct compare_chain_id, Tail> compare_chain = "compare chain";
constexpr Rule<struct add_chain_id, Tail> add_chain = "add chain";
constexpr Rule<struct multiply_chain_id, Tail> multiply_chain = "multiply chain";
constexpr Rule<struct aggregate_tail_id, ast::Aggregate> aggregate_tail = "aggregate tail";
constexpr Rule<struct window_id, ast::Window> window = "window";
constexpr Rule<struct key_id, ast::Key> key = "key";

const auto chain_def = +(chain_operator[add_operator_to_tail] >> negation[add_operand_to_tail]);
const auto compare_chain_def = +(compare_operator[add_operator_to_tail] >> sum[add_operand_to_tail]);
const auto add_chain_def = +(add_operator[add_operator_to_tail] >> term[add_operand_to_tail]);
const auto multiply_chain_def = +(multiply_operator[add_operator_to_tail] >> unary[add_operand_to_tail]);

const auto expression_def = called("an expression", whole(negation)) >> -chain[fold_chain];

const auto negation_def =
    placed(&Expr::span, not_operator[of_kind(ExprKind::not_)] >> called("a condition", nested(negation[add_child]))) |
    whole(comparison);

const auto comparison_tail_def = placed(
    &Expr::span,
    (quiet("in")[of_kind(ExprKind::in)] |
     (quiet("not")[say(&Expr::negated, true)] >> word("in")[of_kind(ExprKind::in)])) >>
            called("a list such as @trusted, values in [ ] or a range such as 1 .. 9",
                   list_name[in_list] | (sum[add_child] >> -(range[as_range] >> sum[add_child]))) |
        quiet("is")[of_kind(ExprKind::is_missing)] >> -word("not")[say(&Expr::negated, true)] >> word("missing") |
        one_of(string_operators)[text_as(ExprKind::string_test)] >> called("an expression", sum[add_child]) >>
            -(quiet("ignoring") >> word("case")[say(&Expr::ignoring_case, true)]) |
        quiet("has") >> word("label") >> string[text_as(ExprKind::has_label)]);

const auto comparison_def = whole(sum) >> -(compare_chain[fold_compare] | comparison_tail[fold_under]);
const auto sum_def = whole(term) >> -add_chain[fold_arithmetic];
const auto term_def = whole(unary) >> -multiply_chain[fold_arithmetic];
const auto unary_def = placed(&Expr::span, quiet_sign("-")[of_kind(ExprKind::negate)] >> nested(unary[fold_negate])) |
                       (whole(conversion) >> -(quiet_sign("??") >> conversion[fold_coalesce]));
const auto conversion_def = called("an expression", whole(postfix)) >>
                            -((quiet("as") >> currency[fold_money]) |
                              (x3::eps[only_a_name] >> quiet("of") >> postfix[fold_feature_of]));
const auto postfix_def = whole(atom) >> *(quiet_sign(".") >> name[fold_member]);

const auto arguments = nested(expression[add_child] % sign(","));
const auto atom_def =
    whole(literal) | placed(&Expr::span, sign("(") >> nested(whole(expression)) >> sign(")")) |
    placed(&Expr::span, sign("[")[of_kind(ExprKind::list)] >> -arguments >> sign("]")) |
    placed(&Expr::span, word("any") >> word("rule") >>
                            ((word("decides") >> one_of(actions)[text_as(ExprKind::any_rule_decides)]) |
                             (word("tagged") >> name[text_as(ExprKind::any_rule_tagged)] >> word("fires")))) |
    placed(&Expr::span, atom_name[start_name] >>
                            -(x3::eps[may_be_called] >> quiet_sign("(")[start_call] >> -arguments >> sign(")")) >>
                            -(x3::eps[may_aggregate] >> quiet("from") >> nested(aggregate_tail[fold_aggregate])));

const auto aggregate_tail_def = source[put(&ast::Aggregate::source)] >>
                                word("per") >> keys[put(&ast::Aggregate::keys)] >>
                                called("a window (`in last 24h` or `in 24h before`)",
                                       window[put(&ast::Aggregate::window)]);

using ast::Window;
using ast::WindowKind;
const auto window_def =
    placed(&Window::span,
           (word("in") >>
            ((word("last")[say(&Window::kind, WindowKind::in_last)] >> duration[put(&Window::length)]) |
             (word("calendar")[say(&Window::kind, WindowKind::calendar)] >> one_of(calendar_units)[([](auto& context) {
                x3::_val(context).unit = {std::move(x3::_attr(context).text), x3::_attr(context).span};
              })] >>
              string[put(&Window::zone)]) |
             (duration[put(&Window::length)] >>
              (word("before")[say(&Window::kind, WindowKind::before)] |
               (word("ending") >> duration[put(&Window::gap)] >> word("before")[say(&Window::kind, WindowKind::gap)]) |
               x3::eps[say(&Window::unsaid, true)])))) |
               (word("since") >> word("last") >> event_name[([](auto& context) {
                  x3::_val(context).kind = WindowKind::since_last;
                  x3::_val(context).since = std::move(x3::_attr(context));
                })]));

const auto source_def =
    placed(&ast::Source::span, event_name[put(&ast::Source::event)] >> -(word("via") >> name[put(&ast::Source::via)]) >>
                                   -(word("where") >> expression[put(&ast::Source::where)]));

const auto key_def =
    placed(&ast::Key::span, called("a kind of key such as user", name[put(&ast::Key::name)]) >>
                                -(quiet_sign("(")[say(&ast::Key::is_call, true)] >>
                                  nested(expression[push(&ast::Key::arguments)] % sign(",")) >> sign(")")));
const auto keys_def =
    key[([](auto& context) { x3::_val(context).push_back(std::move(x3::_attr(context))); })] % quiet_sign(",");

BOOST_SPIRIT_DEFINE(negation, comparison, comparison_tail, sum, term, unary, conversion, postfix, atom, chain,
                    compare_chain, add_chain, multiply_chain, aggregate_tail, window, key)

}  // namespace

BOOST_SPIRIT_DEFINE(expression, source, keys)
BOOST_SPIRIT_INSTANTIATE(decltype(expression), Iterator, Context)
BOOST_SPIRIT_INSTANTIATE(decltype(source), Iterator, Context)
BOOST_SPIRIT_INSTANTIATE(decltype(keys), Iterator, Context)

}  // namespace tocsin::dsl::grammar
