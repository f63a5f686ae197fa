#include <algorithm>

#include "dsl/check_scope.h"
#include "dsl/currencies.h"
#include "dsl/foreign_forms.h"
#include "dsl/functions.h"
#include "dsl/pattern.h"

namespace tocsin::dsl::detail {
namespace {

using ast::ExprKind;

// What may be asked of a group, and of a window.
constexpr std::string_view functions_known[] = {"count",      "some",   "sum",     "avg",      "min",    "max",
                                                "distinct",   "first",  "last",    "variance", "stddev", "cv",
                                                "percentile", "median", "entropy", "gaps",     "rate",   "set"};
constexpr std::string_view aggregates_known[] = {"avg",  "count",  "cv",     "distinct", "entropy",    "first",
                                                 "last", "max",    "median", "min",      "percentile", "rate",
                                                 "set",  "stddev", "sum",    "variance"};
// `since last X` looks back this far at most: what is kept of a key must end somewhere, and a year and a day holds every yearly
// habit.
constexpr Duration since_kept = Duration::days(366);

/// Everything that may stand before a bracket.
std::vector<std::string> callable() {
  std::vector<std::string> names(std::begin(functions_known), std::end(functions_known));
  for (const Function& function : functions()) names.emplace_back(function.name);
  std::sort(names.begin(), names.end());
  return names;
}

template <std::size_t N>
bool contains(const std::string_view (&words)[N], std::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

std::optional<AggregateFunction> aggregate_function(std::string_view name) {
  if (name == "count") return AggregateFunction::count;
  if (name == "sum") return AggregateFunction::sum;
  if (name == "avg") return AggregateFunction::avg;
  if (name == "min") return AggregateFunction::min;
  if (name == "max") return AggregateFunction::max;
  if (name == "distinct") return AggregateFunction::distinct;
  if (name == "first") return AggregateFunction::first;
  if (name == "last") return AggregateFunction::last;
  if (name == "variance") return AggregateFunction::variance;
  if (name == "stddev") return AggregateFunction::stddev;
  if (name == "cv") return AggregateFunction::cv;
  if (name == "percentile" || name == "median") return AggregateFunction::percentile;
  if (name == "entropy") return AggregateFunction::entropy;
  if (name == "set") return AggregateFunction::set;
  return std::nullopt;
}

/// The set of a window's values, to be asked with `in`.
bool is_set(const Expr& e) { return e.op == Op::aggregate && e.flag; }

bool is_ordered(const Type& type) {
  switch (type.kind) {
    case TypeKind::integer:
    case TypeKind::decimal:
    case TypeKind::time:
    case TypeKind::duration:
    case TypeKind::money:
    case TypeKind::text: return true;
    case TypeKind::boolean:
    case TypeKind::enumeration:
    case TypeKind::ip:
    case TypeKind::cidr:
    case TypeKind::geo:
    case TypeKind::entity: return false;
  }
  return false;
}

std::optional<Op> compare_op(std::string_view text) {
  if (text == "==") return Op::equal;
  if (text == "!=") return Op::not_equal;
  if (text == "<") return Op::less;
  if (text == "<=") return Op::less_equal;
  if (text == ">") return Op::greater;
  if (text == ">=") return Op::greater_equal;
  return std::nullopt;
}

bool is_bare(const ast::Expr& e) {
  if (e.kind == ExprKind::name) return true;
  return e.kind == ExprKind::list && std::all_of(e.children.begin(), e.children.end(), is_bare);
}

Expr negated(Expr e) {
  const Span span = e.span;
  std::vector<Expr> args;
  args.push_back(std::move(e));
  return make(Op::not_, type_of(TypeKind::boolean), span, std::move(args));
}

Expr rule_key(const KeyPart& part, std::size_t index, Span span) {
  Expr out = make(Op::rule_key, part.type, span);
  out.index = static_cast<std::uint32_t>(index);
  return out;
}

Typed typed(Expr e) {
  Typed t;
  t.poison = false;
  t.expr = std::move(e);
  return t;
}

class Level {
 public:
  explicit Level(int& level) : level_(level) { ++level_; }
  ~Level() { --level_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  int& level_;
};

class Silently {
 public:
  explicit Silently(int& silent) : silent_(silent) { ++silent_; }
  ~Silently() { --silent_; }
  Silently(const Silently&) = delete;
  Silently& operator=(const Silently&) = delete;

 private:
  int& silent_;
};

std::string base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

}  // namespace

// ---------------------------------------------------------------- words

std::string Checker::type_words(const Type& type) const {
  switch (type.kind) {
    case TypeKind::text: return "a text";
    case TypeKind::boolean: return "true or false";
    case TypeKind::integer:
    case TypeKind::decimal: return "a number";
    case TypeKind::enumeration: return "one of " + joined(book_.schema.enums[type.enumeration].values);
    case TypeKind::time: return "a time";
    case TypeKind::duration: return "a duration";
    case TypeKind::ip: return "an address";
    case TypeKind::cidr: return "a network";
    case TypeKind::geo: return "a place";
    case TypeKind::money:
      return type.currency.code == 0 ? "money of unknown currency" : "money in " + to_text(type.currency);
    case TypeKind::entity: {
      const std::string& name = book_.schema.entities[type.entity];
      const bool vowel = std::string_view("aeio").find(name[0]) != std::string_view::npos;
      return (vowel ? "an " : "a ") + name;
    }
  }
  return "";
}

std::string Checker::described(const Typed& t, const ast::Expr& e) const {
  const bool literal = e.kind == ExprKind::number || e.kind == ExprKind::string || e.kind == ExprKind::duration ||
                       e.kind == ExprKind::percent || e.kind == ExprKind::boolean;
  if (literal && t.expr.type.kind == TypeKind::money) return source_text(e.span);
  if (literal) return type_words(t.expr.type) + " such as " + source_text(e.span);
  return type_words(t.expr.type);
}

Value Checker::text_value(std::string text) {
  book_.texts->push_back(std::move(text));
  return Value::of_text(book_.texts->back());
}

std::optional<event::Network> Checker::network_literal(const ast::Expr& literal) {
  const auto network = event::parse_network(literal.text);
  if (network) return network;
  Diagnostic* d = nullptr;
  const std::size_t slash = literal.text.find('/');
  const auto address =
      slash == std::string::npos ? std::nullopt : event::parse_ip(std::string_view(literal.text).substr(0, slash));
  if (!address) {
    d = &error(Code::bad_network, literal.span, "\"" + literal.text + "\" is not a network");
    d->hints.push_back("for example \"10.0.0.0/8\" or \"2001:db8::/32\"");
    return std::nullopt;
  }
  // The text stands in quotes, so the slash is one character further in the file.
  Span prefix = literal.span;
  prefix.begin += static_cast<std::uint32_t>(slash) + 1;
  prefix.end = prefix.begin + static_cast<std::uint32_t>(literal.text.size() - slash);
  const bool v4 = literal.text.find(':') == std::string::npos;
  const std::string digits = literal.text.substr(slash + 1);
  const bool number =
      !digits.empty() && digits.size() <= 3 && digits.find_first_not_of("0123456789") == std::string::npos;
  d = &error(Code::bad_network, prefix, "\"" + literal.text + "\" is not a network");
  if (number && std::stoi(digits) <= (v4 ? 32 : 128)) {
    d->under = "the address goes on behind the first " + digits + " bits";
    d->hints.push_back("a network's address is zero behind its prefix");
  } else {
    d->under = v4 ? "the prefix length ends at /32" : "the prefix length ends at /128";
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- entry points

Typed Checker::check_whole(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted) {
  nodes_ = 0;
  Typed t = check_expr(e, s, wanted);
  if (t.poison) return t;
  if (is_set(t.expr)) {
    if (s.may_be_set) return t;
    error(Code::set_out_of_place, e.span, quoted(source_text(e.span)) + " is a set of values, not one value")
        .hints.push_back(
            "ask whether a value is in it: `x in set(…) from …`; or how many there are: `distinct(…) from …`");
    return {};
  }
  if (t.list && !s.text_placeholder) {
    error(Code::compare_group, e.span,
          quoted(source_text(e.span)) + " is the list of all values of a group, not one value")
        .hints.push_back(
            "take one: `g.first.field`, `g.last.field`; or all: `max(g.field)`, `distinct(g.field)`, `count(g)`");
    return {};
  }
  return t;
}

std::optional<Expr> Checker::check_condition(const ast::Expr& e, Scope& s, bool is_when) {
  Typed t = check_whole(e, s);
  if (t.poison) return std::nullopt;
  if (t.expr.type.kind != TypeKind::boolean) {
    error(Code::not_a_condition, e.span,
          quoted(source_text(e.span)) + " is " + type_words(t.expr.type) + ", not a condition")
        .hints.push_back("compare it, as in `" + source_text(e.span) + " == …`, or ask whether it `is missing`");
    return std::nullopt;
  }
  std::set<std::string> guarded;
  const auto collect_guards = [&](const auto& self, const ast::Expr& at) -> void {
    if (at.kind == ExprKind::is_missing) guarded.insert(source_text(at.children[0].span));
    for (const ast::Expr& child : at.children) self(self, child);
  };
  collect_guards(collect_guards, e);
  warn_optional(e, e, s, false, guarded);
  warn_never(t.expr, e.span, is_when, s);
  return std::move(t.expr);
}

std::optional<Expr> Checker::check_constant(const ast::Expr& e, const Type& type, const std::string& what) {
  Scope scope;
  Typed t = check_whole(e, scope, type.kind == TypeKind::enumeration ? std::optional(type.enumeration) : std::nullopt);
  if (t.poison) {
    hint_at_quotes(type, e);
    return std::nullopt;
  }
  if (t.text_literal && !adopt(t, type, e.span)) return std::nullopt;
  const bool same = t.expr.type == type || (is_number(t.expr.type) && is_number(type)) ||
                    (t.expr.type.kind == TypeKind::money && type.kind == TypeKind::money && type.currency.code == 0);
  if (t.expr.op != Op::constant || !same) {
    if (t.expr.type.kind == TypeKind::money && type.kind == TypeKind::money) {
      error(Code::currency_mismatch, e.span, what + " is " + type_words(type) + ", not " + type_words(t.expr.type));
    } else {
      Diagnostic& d = error(Code::type_mismatch, e.span, what + " is " + type_words(type) + ", not " + described(t, e));
      if (type.kind == TypeKind::money && is_number(t.expr.type)) hint_at_currency(d, e, type.currency);
      if (is_number(type) && t.expr.type.kind == TypeKind::money && what.starts_with('`'))
        d.hints.push_back("declare the field as `money` or `money<" + to_text(t.expr.type.currency) + ">`");
      if (type.kind == TypeKind::money && t.text_literal) d.hints.push_back("money stands without quotes: `1000 USD`");
    }
    return std::nullopt;
  }
  if (type.kind == TypeKind::integer && t.expr.value.number().units % Decimal::one != 0) {
    error(Code::type_mismatch, e.span, what + " is a whole number");
    return std::nullopt;
  }
  t.expr.type = type;
  return std::move(t.expr);
}

Typed Checker::check_expr(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted) {
  const Level level(level_);
  if (level_ > expression_levels_max) {
    error(Code::nesting_too_deep, e.span, "conditions and definitions are nested too deep");
    return {};
  }
  if (++nodes_ > expression_nodes_max) {
    error(Code::chain_too_long, s.feature.empty() ? e.span : s.use,
          "this is too large once its features are written out");
    return {};
  }
  switch (e.kind) {
    case ExprKind::number: return check_number(e);
    case ExprKind::duration: {
      const auto duration = parse_duration(e.text);
      if (!duration) {
        error(Code::bad_literal, e.span, quoted(e.text) + " is not a duration");
        return {};
      }
      return constant(Value::of_duration(*duration), type_of(TypeKind::duration), e.span);
    }
    case ExprKind::percent: {
      const auto number = parse_decimal(e.text);
      const auto share = number ? divide(*number, Decimal::from_integer(100)) : std::nullopt;
      if (!share) {
        error(Code::bad_literal, e.span, quoted(e.text + "%") + " is not a share");
        return {};
      }
      return constant(Value::of_number(*share), type_of(TypeKind::decimal), e.span);
    }
    case ExprKind::string: {
      Typed t = constant(text_value(e.text), type_of(TypeKind::text), e.span);
      t.text_literal = true;
      return t;
    }
    case ExprKind::boolean: return constant(Value::of_boolean(e.text == "true"), type_of(TypeKind::boolean), e.span);
    case ExprKind::now:
      error(Code::no_clock, e.span, "a rule has no clock: its only time is that of events")
          .hints.push_back("use the time of the event, such as `at`; a rule is judged as of it, today and in a replay");
      return {};
    case ExprKind::name: return check_name(e, s, wanted);
    case ExprKind::member: return check_member(e, s);
    case ExprKind::call: return check_call(e, s);
    case ExprKind::list:
      error(Code::type_mismatch, e.span, "a list stands behind `in` only").hints.push_back("write `x in [a, b]`");
      return {};
    case ExprKind::aggregate: return check_aggregate(*e.aggregate, e.span, s);
    case ExprKind::not_:
    case ExprKind::and_:
    case ExprKind::or_: {
      const Op op = e.kind == ExprKind::not_ ? Op::not_ : e.kind == ExprKind::and_ ? Op::and_ : Op::or_;
      if (op == Op::or_ && foreign_alternatives(e, s)) return {};
      Expr out = make(op, type_of(TypeKind::boolean), e.span);
      bool ok = true;
      for (const ast::Expr& child : e.children) {
        Typed t = check_expr(child, s);
        if (!t.poison && (t.list || t.expr.type.kind != TypeKind::boolean)) {
          error(Code::not_a_condition, child.span,
                quoted(source_text(child.span)) + " is " + (t.list ? "a list of values" : type_words(t.expr.type)) +
                    ", not a condition")
              .hints.push_back(t.list || !is_number(t.expr.type)
                                   ? "`and`, `or` and `not` join conditions: `" + source_text(child.span) +
                                         " is not missing`, or a comparison"
                                   : "`and`, `or` and `not` join conditions: `" + source_text(child.span) + " > 0`");
          t.poison = true;
        }
        ok = ok && !t.poison;
        if (ok) out.args.push_back(std::move(t.expr));
      }
      return ok ? typed(std::move(out)) : Typed{};
    }
    case ExprKind::compare: return check_compare(e, s);
    case ExprKind::in: return check_in(e, s);
    case ExprKind::is_missing: {
      Typed t = check_expr(e.children[0], s);
      if (t.poison) return {};
      if (t.list) {
        error(Code::compare_group, e.children[0].span, "a group is never missing")
            .hints.push_back("ask for one value: `g.first.field is missing`");
        return {};
      }
      std::vector<Expr> args;
      args.push_back(std::move(t.expr));
      Expr out = make(Op::is_missing, type_of(TypeKind::boolean), e.span, std::move(args));
      return typed(e.negated ? negated(std::move(out)) : std::move(out));
    }
    case ExprKind::string_test: return check_string_test(e, s);
    case ExprKind::has_label: return check_has_label(e, s);
    case ExprKind::arithmetic: return check_arithmetic(e, s);
    case ExprKind::negate: {
      Typed t = check_expr(e.children[0], s);
      if (t.poison) return {};
      const TypeKind kind = t.expr.type.kind;
      if (t.list || (!is_number(t.expr.type) && kind != TypeKind::money && kind != TypeKind::duration)) {
        error(Code::type_mismatch, e.span,
              "`-` cannot turn round " + (t.list ? std::string("a list") : type_words(t.expr.type)));
        return {};
      }
      const Type type = t.expr.type;
      std::vector<Expr> args;
      args.push_back(std::move(t.expr));
      Expr out = make(Op::negate, type, e.span, std::move(args));
      fold(out);
      return typed(std::move(out));
    }
    case ExprKind::coalesce: return check_coalesce(e, s, wanted);
    case ExprKind::money_as: return check_money_as(e, s);
    case ExprKind::feature_of: {
      const NameEntry* entry = find_name(e.text);
      if (entry == nullptr || entry->kind != NameKind::feature) {
        Diagnostic& d = error(Code::unknown_name, e.text_span, "there is no feature " + quoted(e.text));
        d.under = did_you_mean(e.text, names_of({NameKind::feature}));
        return {};
      }
      if (s.where == Where::constant) return check_feature(entry->index, e.span, s);
      // In a test a feature of several keys is asked, too: `pair of ["u1", "d9"]`.
      const bool several = s.where == Where::test && e.children[0].kind == ExprKind::list;
      std::vector<Typed> keys;
      for (const ast::Expr& child : several ? e.children[0].children : e.children) {
        Typed key = check_expr(child, s);
        if (key.poison && s.where == Where::definition && deferred_) {
          feature_of(entry->index, e.span);
          return {};
        }
        if (key.poison) return {};
        if (key.list) {
          error(Code::compare_group, child.span, "`of` takes one key, and this is the list of all of a group");
          return {};
        }
        keys.push_back(std::move(key));
      }
      const std::vector<Typed>* saved = s.of_keys;
      s.of_keys = &keys;
      Typed t = check_feature(entry->index, e.span, s);
      s.of_keys = saved;
      return t;
    }
    case ExprKind::any_rule_decides: {
      if (s.where != Where::policy) {
        error(Code::clause_not_here, e.span, "`any rule decides` stands in a policy only");
        return {};
      }
      Expr out = make(Op::any_rule_decides, type_of(TypeKind::boolean), e.span);
      for (std::size_t i = 0; i < event::action_count; ++i) {
        if (to_text(static_cast<Action>(i)) == e.text) out.index = static_cast<std::uint32_t>(i);
      }
      return typed(std::move(out));
    }
    case ExprKind::any_rule_tagged: {
      if (s.where != Where::policy) {
        error(Code::clause_not_here, e.span, "`any rule tagged` stands in a policy only");
        return {};
      }
      if (!tags_.contains(e.text)) {
        const std::vector<std::string> tags(tags_.begin(), tags_.end());
        error(Code::unknown_name, e.text_span, "no rule has the tag " + quoted(e.text)).under =
            did_you_mean(e.text, tags);
        return {};
      }
      Expr out = make(Op::any_rule_tagged, type_of(TypeKind::boolean), e.span);
      out.name = e.text;
      return typed(std::move(out));
    }
  }
  return {};
}

void Checker::warn_currency(const std::string& code, Span span) {
  if (is_currency_code(code)) return;
  warning(Code::means_otherwise, span, quoted(code) + " is no currency of ISO 4217")
      .hints.push_back(
          "amounts in it are never converted without a rate of their own; `# accept W0538` when it is meant");
}

Typed Checker::check_number(const ast::Expr& e) {
  const auto number = parse_decimal(e.text);
  if (!number) {
    error(Code::bad_literal, e.span, quoted(source_text(e.span)) + " is not a number")
        .hints.push_back("numbers have up to nine digits behind the point");
    return {};
  }
  if (e.currency.empty()) {
    const bool whole = e.text.find('.') == std::string::npos;
    return constant(Value::of_number(*number), type_of(whole ? TypeKind::integer : TypeKind::decimal), e.span);
  }
  const auto currency = event::parse_currency(e.currency);
  if (!currency) {
    error(Code::bad_literal, e.span, quoted(e.currency) + " is not a currency");
    return {};
  }
  warn_currency(e.currency, e.span);
  // 1.000 is a thousand for half of the world; three digits behind the point mean something in a few currencies only.
  static constexpr std::string_view of_thousandths[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
  const auto point = e.text.find('.');
  if (point != std::string::npos && point <= 3 && e.text.size() == point + 4 && !contains(of_thousandths, e.currency)) {
    warning(Code::means_otherwise, e.span,
            "the point stands before the fraction: this is " + to_text(*number) + " " + e.currency)
        .hints.push_back("thousands are written `" + e.text.substr(0, point) + "_" + e.text.substr(point + 1) + " " +
                         e.currency + "`");
  }
  Type type = type_of(TypeKind::money);
  type.currency = *currency;
  return constant(Value::of_money(*number, *currency), type, e.span);
}

// ---------------------------------------------------------------- names

const Alias* Checker::find_alias(std::string_view name, const Scope& s) const {
  for (const Alias& alias : s.aliases) {
    if (alias.name == name) return &alias;
  }
  return nullptr;
}

Typed Checker::check_name(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted) {
  const std::string& name = e.text;
  if (wanted) {
    const auto& values = book_.schema.enums[*wanted].values;
    const auto at = std::find(values.begin(), values.end(), name);
    if (at != values.end()) {
      Type type = type_of(TypeKind::enumeration);
      type.enumeration = *wanted;
      return constant(Value::of_enumeration(static_cast<std::uint32_t>(at - values.begin())), type, e.span);
    }
  }
  if (s.where == Where::policy && name == "score") return typed(make(Op::score, type_of(TypeKind::decimal), e.span));
  if (s.lets != nullptr) {
    for (std::size_t i = 0; i < s.lets->size(); ++i) {
      const Let& let = (*s.lets)[i];
      if (let.name != name) continue;
      if (poison_lets_.contains(name)) return {};
      if (is_set(let.value)) {
        Typed set = typed(let.value);
        set.list = true;
        set.expr.span = e.span;
        return set;
      }
      Expr out = make(Op::let, let.value.type, e.span);
      out.index = static_cast<std::uint32_t>(i);
      return typed(std::move(out));
    }
  }
  if (poison_lets_.contains(name) && s.lets != nullptr) return {};
  if (const Alias* alias = find_alias(name, s)) {
    if (!alias->visible) return unknown_alias(e, s);
    if (alias->kind == AliasKind::group) {
      error(Code::compare_group, e.span, quoted(name) + " is a group of events")
          .hints.push_back("`count(" + name + ")` counts it, `" + name + ".last.field` is a value of its last event");
    } else {
      error(Code::type_mismatch, e.span, quoted(name) + " is an event, not a value")
          .hints.push_back("say which of its fields: `" + name + ".field`");
    }
    return {};
  }
  if (s.keys != nullptr) {
    for (std::size_t i = 0; i < s.keys->size(); ++i) {
      const KeyPart& part = (*s.keys)[i];
      if (part.name != name) continue;
      if (s.key_source != nullptr) {
        // In a step the key is the same value as the field it was found by.
        Expr out = make(Op::field, part.type, e.span);
        for (const Alternative& one : *s.key_source) {
          const FieldRef ref{one.event, one.key[i]};
          const auto same = std::find_if(out.fields.begin(), out.fields.end(),
                                         [&](const FieldRef& f) { return f.event == one.event; });
          if (same == out.fields.end()) {
            out.fields.push_back(ref);
          } else if (!(*same == ref)) {
            return typed(rule_key(part, i, e.span));  // of an event under two roles it is another field in each
          }
        }
        return typed(std::move(out));
      }
      return typed(rule_key(part, i, e.span));
    }
  }
  const NameEntry* entry = find_name(name);
  if (s.subject != nullptr && s.subject->fields_visible) {
    const bool is_field = std::any_of(s.subject->types.begin(), s.subject->types.end(), [&](const SubjectType& type) {
      return book_.schema.events[type.event].find(name).has_value();
    });
    if (is_field) {
      const bool hides = entry != nullptr && (entry->kind == NameKind::feature || entry->kind == NameKind::param);
      if (hides && s.where != Where::policy) {
        Diagnostic& d = error(
            Code::shadowed_name, e.span,
            quoted(name) + " is a field here and also " + (entry->kind == NameKind::feature ? "a feature" : "a param"));
        d.labels.push_back({entry->span, "declared here"});
        d.hints.push_back("give one of the two another name");
        return {};
      }
      return field_of_subject(*s.subject, {name, e.span}, s);
    }
  }
  if (entry != nullptr && entry->kind == NameKind::feature) return check_feature(entry->index, e.span, s);
  if (entry != nullptr && entry->kind == NameKind::param) {
    const Typed& value = param_of(entry->index, e.span);
    Typed out = value;
    out.expr.span = e.span;
    return out;
  }
  if (entry != nullptr && entry->kind == NameKind::switch_ && s.where != Where::constant) {
    switches_named_.insert(entry->index);
    Expr out = make(Op::switch_, type_of(TypeKind::boolean), e.span);
    out.index = static_cast<std::uint32_t>(entry->index);
    return typed(std::move(out));
  }
  if (entry != nullptr && entry->kind == NameKind::table) {
    error(Code::type_mismatch, e.span, quoted(name) + " is a table, not a value")
        .hints.push_back("look a row up by its key and say which column: `" + name + "(key).column`");
    return {};
  }
  return unknown_name(e, s, wanted);
}

/// The steps whose events have a field of this name.
std::vector<std::string> Checker::steps_with(const std::string& field, const Scope& s, bool groups) const {
  std::vector<std::string> names;
  for (const Alias& alias : s.aliases) {
    if (!alias.visible || (groups && alias.kind != AliasKind::group)) continue;
    const bool has = std::any_of(alias.events.begin(), alias.events.end(),
                                 [&](EventTypeId event) { return book_.schema.events[event].find(field).has_value(); });
    if (has) names.push_back(alias.name);
  }
  return names;
}

Typed Checker::unknown_name(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted) {
  const std::string& name = e.text;
  if (s.where == Where::definition) {
    const bool somewhere = std::any_of(book_.schema.events.begin(), book_.schema.events.end(),
                                       [&](const event::EventType& type) { return type.find(name).has_value(); });
    if (somewhere) {
      deferred_ = true;
      return {};
    }
  }
  if (silent_ > 0) return {};  // what follows looks for words to say
  if (wanted) {
    const auto& values = book_.schema.enums[*wanted].values;
    const bool named = !wanted_by_.empty();
    Diagnostic& d = error(
        Code::unknown_enum_value, e.span,
        named ? quoted(wanted_by_) + " is never " + quoted(name) : quoted(name) + " is none of the values there are");
    d.under = did_you_mean(name, values);
    d.notes.push_back("values" + (named ? " of " + wanted_by_ : std::string()) + ": " + joined(values));
    return {};
  }
  for (const Scope* outer = s.outer; outer != nullptr; outer = outer->outer) {
    const bool let = outer->lets != nullptr && std::any_of(outer->lets->begin(), outer->lets->end(),
                                                           [&](const Let& l) { return l.name == name; });
    const bool key = outer->keys != nullptr && std::any_of(outer->keys->begin(), outer->keys->end(),
                                                           [&](const KeyPart& k) { return k.name == name; });
    if (!let && !key && find_alias(name, *outer) == nullptr) continue;
    Diagnostic& d = error(Code::alias_in_aggregate, e.span,
                          "inside an aggregate only the event counted is seen, not " + quoted(name));
    d.hints.push_back("what ties it to the rule is its key: `per …`");
    return {};
  }
  std::vector<std::string> candidates = names_of({NameKind::feature, NameKind::param});
  std::vector<std::string> notes;
  for (const Alias& alias : s.aliases) {
    if (alias.visible) candidates.push_back(alias.name);
  }
  if (s.lets != nullptr) {
    for (const Let& let : *s.lets) candidates.push_back(let.name);
  }
  if (s.keys != nullptr) {
    for (const KeyPart& part : *s.keys) candidates.push_back(part.name);
  }
  if (s.where == Where::policy) candidates.push_back("score");
  if (s.subject != nullptr && s.subject->fields_visible) {
    for (const SubjectType& type : s.subject->types) {
      const auto names = field_names(type.event);
      candidates.insert(candidates.end(), names.begin(), names.end());
      const std::string note = "fields of " + book_.schema.events[type.event].name + ": " + joined(names);
      if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
    }
  }
  if (grammar::means_now(name)) {
    error(Code::no_clock, e.span, "a rule has no clock: its only time is that of events")
        .hints.push_back("use the time of the event, such as `at`; a rule is judged as of it, today and in a replay");
    return {};
  }
  const NameEntry* entry = find_name(name);
  const bool hidden_field = s.subject != nullptr && !s.subject->fields_visible &&
                            std::any_of(s.aliases.begin(), s.aliases.end(), [&](const Alias& alias) {
                              return std::any_of(alias.events.begin(), alias.events.end(), [&](EventTypeId event) {
                                return book_.schema.events[event].find(name).has_value();
                              });
                            });
  Diagnostic& d = error(Code::unknown_name, e.span, "nothing here is called " + quoted(name));
  if (hidden_field) {
    d.message = quoted(name) + " does not say of which event";
    const std::vector<std::string> steps = steps_with(name, s, false);
    d.hints.push_back("after a sequence a field stands behind the name of its step: `" +
                      (steps.empty() ? "step" : joined(steps, "." + name + "` or `")) + "." + name + "`");
    return {};
  }
  d.notes = std::move(notes);
  if (name == "count") {
    d.hints.push_back("events are counted by `count from … per … in last …`");
    return {};
  }
  if (lists_.contains(name)) {
    d.under = "write `@" + name + "`";
    d.fix.push_back({e.span, "@" + name});
    return {};
  }
  d.under = did_you_mean(name, candidates);
  if (entry != nullptr && (entry->kind == NameKind::event || entry->kind == NameKind::stream)) {
    d.hints.push_back("`" + name + "` is an event: name the step with `as`, and write `alias.field`");
  }
  return {};
}

Typed Checker::unknown_alias(const ast::Expr& e, Scope& s) {
  const std::string& name = e.text;
  if (const Alias* alias = find_alias(name, s)) {
    Diagnostic& d =
        error(Code::later_alias, e.span,
              alias->sibling ? "parts in any order cannot see each other, and " + quoted(name) + " is another part"
                             : "this step cannot see " + quoted(name) + ", which comes later");
    d.labels.push_back({alias->span, alias->sibling ? "it is this part" : "it is here"});
    d.hints.push_back("put the condition into the `where` of the later step, or into `when`");
    return {};
  }
  std::vector<std::string> candidates;
  for (const Alias& alias : s.aliases) candidates.push_back(alias.name);
  for (const Scope* outer = s.outer; outer != nullptr; outer = outer->outer) {
    if (find_alias(name, *outer) == nullptr) continue;
    Diagnostic& d = error(Code::alias_in_aggregate, e.span,
                          "inside an aggregate only the event counted is seen, not " + quoted(name));
    d.hints.push_back("what ties it to the rule is its key: `per …`");
    return {};
  }
  const NameEntry* entry = find_name(name);
  Diagnostic& d = error(Code::unknown_name, e.span, "no event here is called " + quoted(name));
  if (s.aliases.empty() && s.subject != nullptr && s.subject->fields_visible) {
    d.hints.push_back("here fields are written alone, without `" + name + ".`");
    return {};
  }
  d.under = did_you_mean(name, candidates);
  if (entry != nullptr && (entry->kind == NameKind::event || entry->kind == NameKind::stream)) {
    d.hints.push_back("give it a name with `as`: `" + name + " as " + name.substr(0, 1) + "`");
  } else if (!candidates.empty()) {
    d.notes.push_back("names given with `as`: " + joined(candidates));
  }
  return {};
}

std::optional<std::vector<FieldRef>> Checker::field_refs(const std::vector<EventTypeId>& events, const ast::Name& name,
                                                         Type& type, const Scope& s) {
  std::vector<FieldRef> refs;
  for (const EventTypeId event : events) {
    const bool known = std::any_of(refs.begin(), refs.end(), [&](const FieldRef& ref) { return ref.event == event; });
    if (known) continue;
    const auto field = find_field(event, name.text, name.span);
    if (!field) {
      unknown_field(event, name.text, s.feature.empty() ? name.span : s.use);
      return std::nullopt;
    }
    if (field->poison) return std::nullopt;
    const Type& own = field_def(event, field->field).type;
    if (refs.empty()) {
      type = own;
    } else if (own != type) {
      if (is_number(own) && is_number(type)) {
        type = type_of(TypeKind::decimal);
      } else if (own.kind == TypeKind::money && type.kind == TypeKind::money) {
        type.currency = {};
      } else {
        error(Code::type_mismatch, name.span,
              quoted(name.text) + " is " + type_words(type) + " in " + quoted(book_.schema.events[refs[0].event].name) +
                  " and " + type_words(own) + " in " + quoted(book_.schema.events[event].name));
        return std::nullopt;
      }
    }
    refs.push_back({event, field->field});
  }
  return refs;
}

Typed Checker::field_of_subject(const Subject& subject, const ast::Name& name, Scope& s) {
  std::vector<EventTypeId> events;
  for (const SubjectType& type : subject.types) events.push_back(type.event);
  Type type;
  auto refs = field_refs(events, name, type, s);
  if (!refs) return {};
  Expr out = make(Op::field, type, name.span);
  out.fields = std::move(*refs);
  return typed(std::move(out));
}

Typed Checker::field_of_alias(const Alias& alias, const ast::Name& name, Scope& s, Op op) {
  if (alias.events.empty()) return {};  // its source did not resolve, and that is said
  Type type;
  auto refs = field_refs(alias.events, name, type, s);
  if (!refs) return {};
  Expr out = make(op, type, name.span);
  out.fields = std::move(*refs);
  if (op != Op::field) out.index = alias.place;
  Typed t = typed(std::move(out));
  t.list = op == Op::group_values;
  return t;
}

/// How a column is read that is wanted of a value which is the key of a table.
std::string Checker::row_hint(const Type& key, const std::string& written, const std::string& column) const {
  for (const Table& table : book_.tables) {
    if (table.keys.size() != 1 || table.keys[0].type != key) continue;
    if (std::none_of(table.columns.begin(), table.columns.end(),
                     [&](const TableColumn& c) { return c.name == column; }))
      continue;
    return quoted(column) + " is a column of table " + quoted(table.name) + ": write `" + table.name + "(" + written +
           ")." + column + "`";
  }
  return {};
}

/// `info.opened_at`, where `info` is a table: its key is looked for among the fields at hand.
bool Checker::hint_at_row(const ast::Expr& e, const Scope& s) {
  const std::string& name = e.children[0].text;
  const auto table =
      std::find_if(book_.tables.begin(), book_.tables.end(), [&](const Table& t) { return t.name == name; });
  if (table == book_.tables.end() || table->keys.size() != 1) return false;
  std::string key = "…";
  for (const Alias& alias : s.aliases) {
    if (!alias.visible || alias.events.empty() || key != "…") continue;
    for (const std::string& field : field_names(alias.events[0])) {
      const auto index = book_.schema.events[alias.events[0]].find(field);
      if (key == "…" && field_def(alias.events[0], *index).type == table->keys[0].type) key = alias.name + "." + field;
    }
  }
  error(Code::unknown_name, e.span, quoted(name) + " is a table: its row is read by its key")
      .hints.push_back("write `" + name + "(" + key + ")." + e.text + "`");
  return true;
}

Typed Checker::check_member(const ast::Expr& e, Scope& s) {
  const ast::Expr& of = e.children[0];
  const ast::Name name{e.text, e.text_span};
  if (of.kind == ExprKind::call) {
    return check_look_up(e, s);
  }
  if (of.kind == ExprKind::member && of.children[0].kind == ExprKind::name &&
      (of.text == "first" || of.text == "last")) {
    const Alias* alias = find_alias(of.children[0].text, s);
    if (alias == nullptr || !alias->visible) return unknown_alias(of.children[0], s);
    if (alias->kind != AliasKind::group) {
      error(Code::type_mismatch, of.span, quoted(alias->name) + " is one event, not a group")
          .hints.push_back("write `" + alias->name + "." + e.text + "`");
      return {};
    }
    Typed t = field_of_alias(*alias, name, s, of.text == "first" ? Op::group_first : Op::group_last);
    if (!t.poison) t.expr.span = e.span;
    return t;
  }
  if (of.kind == ExprKind::member && of.children[0].kind == ExprKind::name && of.children[0].text == "hit" &&
      find_alias("hit", s) == nullptr) {
    const bool here = s.subject != nullptr && s.subject->name == "hit." + of.text;
    error(Code::unknown_name, e.span, "a hit has its fields under a name of its own")
        .hints.push_back("name it where it is taken, as in `on hit." + of.text + " as h`, and write `h." + e.text +
                         "`" + (here ? "; or `" + e.text + "` alone" : ""));
    return {};
  }
  if (of.kind != ExprKind::name) {
    const Typed value = check_expr(of, s);
    if (value.poison) return {};
    Diagnostic& d = error(Code::type_mismatch, e.text_span,
                          quoted(source_text(of.span)) + " is " +
                              (value.list ? "a list" : type_words(value.expr.type)) + " and has no fields");
    const std::string hint = row_hint(value.expr.type, source_text(of.span), e.text);
    if (!hint.empty()) d.hints.push_back(hint);
    return {};
  }
  if (of.text == "hit" && find_alias("hit", s) == nullptr) {
    error(Code::unknown_name, e.span, "a hit has its fields under a name of its own")
        .hints.push_back("name it where it is taken, as in `on hit." + e.text + " as h`, and write `h.field`");
    return {};
  }
  const Alias* alias = find_alias(of.text, s);
  if (alias == nullptr && s.where == Where::definition) {
    error(Code::unknown_name, of.span, "a feature sees no event called " + quoted(of.text))
        .hints.push_back("write the field alone: `" + e.text + "`");
    return {};
  }
  if (alias == nullptr && hint_at_row(e, s)) return {};
  if (alias == nullptr || !alias->visible) return unknown_alias(of, s);
  Op op = Op::field;
  if (alias->kind == AliasKind::single) op = Op::place_field;
  if (alias->kind == AliasKind::group) op = s.member_of == alias->place ? Op::member_field : Op::group_values;
  Typed t = field_of_alias(*alias, name, s, op);
  if (!t.poison) t.expr.span = e.span;
  return t;
}

// ---------------------------------------------------------------- comparing

/// A time as it is written here, of one that is written otherwise: "2026-01-05 10:00", "05.01.2026 10:00".
std::string Checker::time_hint(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      parts.back() += c;
    } else if (!parts.back().empty()) {
      parts.emplace_back();
    }
  }
  if (parts.back().empty()) parts.pop_back();
  // The day first, as with points between.
  if (parts.size() >= 3 && parts[2].size() == 4 && text.find('/') == std::string::npos) std::swap(parts[0], parts[2]);
  static constexpr std::size_t sizes[] = {4, 2, 2, 2, 2, 2};
  bool fits = parts.size() >= 3 && parts.size() <= std::size(sizes) && parts.size() != 4;
  for (std::size_t i = 0; fits && i < parts.size(); ++i) fits = parts[i].size() == sizes[i];
  if (!fits) return "for example \"2026-01-05T10:00:00Z\" or \"2026-01-05\"";
  const std::string day = parts[0] + "-" + parts[1] + "-" + parts[2];
  if (parts.size() == 3) return "write \"" + day + "\"";
  return "write \"" + day + "T" + parts[3] + ":" + parts[4] + ":" + (parts.size() > 5 ? parts[5] : "00") +
         "Z\", in UTC";
}

bool Checker::adopt(Typed& literal, const Type& type, Span span) {
  const std::string text(literal.expr.value.text());
  switch (type.kind) {
    case TypeKind::time: {
      const auto time = parse_timestamp(text);
      if (!time) {
        error(Code::bad_literal, span, "\"" + text + "\" is not a time").hints.push_back(time_hint(text));
        return false;
      }
      literal.expr.value = Value::of_time(*time);
      break;
    }
    case TypeKind::ip: {
      const auto ip = event::parse_ip(text);
      if (!ip) {
        Diagnostic& d = error(Code::bad_literal, span, "\"" + text + "\" is not an address");
        if (text.find('/') != std::string::npos)
          d.hints.push_back("a network stands in a list: `ip in [\"" + text + "\"]`");
        return false;
      }
      literal.expr.value = *ip;
      break;
    }
    case TypeKind::entity: break;
    case TypeKind::text:
    case TypeKind::boolean:
    case TypeKind::integer:
    case TypeKind::decimal:
    case TypeKind::enumeration:
    case TypeKind::duration:
    case TypeKind::cidr:
    case TypeKind::geo:
    case TypeKind::money: return true;
  }
  literal.expr.type = type;
  literal.text_literal = false;
  return true;
}

bool Checker::fit(Typed& left, Typed& right, const ast::Expr& l, const ast::Expr& r, const std::string& doing) {
  if (left.poison || right.poison) return false;
  for (const auto& [side, at] : {std::pair(&left, &l), std::pair(&right, &r)}) {
    if (!side->list) continue;
    const std::string text = source_text(at->span);
    if (is_set(side->expr)) {
      error(Code::set_out_of_place, at->span, quoted(text) + " is a set of values and cannot be compared")
          .hints.push_back("`x in …` asks whether a value is in it");
      return false;
    }
    const std::size_t dot = text.find('.');
    const std::string alias = text.substr(0, dot);
    const std::string field = dot == std::string::npos ? "" : text.substr(dot + 1);
    Diagnostic& d = error(Code::compare_group, at->span,
                          quoted(text) + " is the list of all values of a group and cannot be compared");
    d.hints.push_back("`x in " + text + "` asks whether it is one of them, `some(" + text +
                      " == …)` whether one is so;\n`" + alias + ".last." + field + "` is the last one");
    return false;
  }
  if (left.text_literal && !right.text_literal && !adopt(left, right.expr.type, l.span)) return false;
  if (right.text_literal && !left.text_literal && !adopt(right, left.expr.type, r.span)) return false;
  const Type& a = left.expr.type;
  const Type& b = right.expr.type;
  if (is_number(a) && is_number(b)) return true;
  if (a.kind == TypeKind::money && b.kind == TypeKind::money) {
    if (a.currency.code != 0 && a.currency == b.currency) return true;
    if (a.currency.code != 0 && b.currency.code != 0) {
      Diagnostic& d =
          error(Code::currency_mismatch, l.span, "cannot " + doing + " " + type_words(a) + " with " + type_words(b));
      d.labels.push_back({r.span, ""});
      // What is converted already is converted otherwise; an amount that is written down is not.
      const bool left_written = left.expr.op == Op::constant;
      if (!left_written || right.expr.op != Op::constant) {
        const ast::Expr& side = left_written ? r : l;
        const ast::Expr& amount = side.kind == ExprKind::money_as ? side.children[0] : side;
        d.hints.push_back("convert one: `" + source_text(amount.span) + " as " +
                          to_text(left_written ? a.currency : b.currency) + "`");
      }
      return false;
    }
    const bool left_unknown = a.currency.code == 0;
    const ast::Expr& unknown = left_unknown ? l : r;
    const ast::Expr& other = left_unknown ? r : l;
    const Typed& unknown_side = left_unknown ? left : right;
    const Typed& other_side = left_unknown ? right : left;
    const std::string currency =
        other_side.expr.type.currency.code != 0 ? to_text(other_side.expr.type.currency) : "USD";
    Diagnostic& d = error(Code::money_currency_unknown, unknown.span,
                          "cannot " + doing + " money of unknown currency with " + described(other_side, other));
    d.labels.push_back({other.span, ""});
    std::string hint = "`" + source_text(unknown.span) + " as " + currency +
                       "` converts with the rate as of the event's time (table `fx`)";
    if (!unknown_side.expr.fields.empty()) {
      const FieldRef ref = unknown_side.expr.fields[0];
      const Span place = field_spans_[ref.event][ref.field];
      const SourceFile& file = sources_[place.file];
      hint += ";\nor declare `" + field_def(ref.event, ref.field).name + " : money<" + currency + ">` in " +
              base_name(file.path()) + ":" + std::to_string(file.place_of(place.begin).line) + " if it is always " +
              (currency == "USD" ? "dollars" : currency);
    }
    d.hints.push_back(hint);
    return false;
  }
  if (a.kind == b.kind) {
    if (a.kind == TypeKind::entity && a.entity != b.entity) {
      Diagnostic& d =
          error(Code::type_mismatch, l.span, "cannot " + doing + " " + type_words(a) + " with " + type_words(b));
      d.labels.push_back({r.span, ""});
      d.notes.push_back("they are different kinds of entity, so they are never the same");
      return false;
    }
    if (a.kind != TypeKind::enumeration || a.enumeration == b.enumeration) return true;
  }
  const bool text_and_entity = (a.kind == TypeKind::text && b.kind == TypeKind::entity) ||
                               (a.kind == TypeKind::entity && b.kind == TypeKind::text);
  if (text_and_entity) return true;
  Diagnostic& d =
      error(Code::type_mismatch, l.span, "cannot " + doing + " " + described(left, l) + " with " + described(right, r));
  d.labels.push_back({r.span, ""});
  const auto kinds = [&](TypeKind x, TypeKind y) {
    return (a.kind == x && b.kind == y) || (a.kind == y && b.kind == x);
  };
  // Said with the first mistake what would be the second one.
  const auto hint_at_conversion = [&](const ast::Expr& money, event::Currency currency) {
    if (currency.code != 0) return;
    d.hints.push_back("`" + source_text(money.span) + "` may be of any currency: `" + source_text(money.span) +
                      " as USD` converts it");
  };
  if (a.kind == TypeKind::money && is_number(b)) {
    hint_at_currency(d, r, a.currency);
    hint_at_conversion(l, a.currency);
  } else if (b.kind == TypeKind::money && is_number(a)) {
    hint_at_currency(d, l, b.currency);
    hint_at_conversion(r, b.currency);
  } else if ((a.kind == TypeKind::duration && is_number(b)) || (b.kind == TypeKind::duration && is_number(a))) {
    const ast::Expr& number = a.kind == TypeKind::duration ? r : l;
    const ast::Expr& duration = a.kind == TypeKind::duration ? l : r;
    if (number.kind == ExprKind::call && (number.text == "days_between" || number.text == "hours_between")) {
      const auto length = duration.kind == ExprKind::duration ? parse_duration(duration.text) : std::nullopt;
      const std::int64_t unit = number.text == "days_between" ? Duration::days(1).us : Duration::hours(1).us;
      d.hints.push_back(quoted(number.text) + " is a number" +
                        (length && length->us % unit == 0
                             ? ": write `" + std::to_string(length->us / unit) + "`"
                             : "; the difference of two times is a duration: `b.at - a.at`"));
    } else {
      d.hints.push_back("a duration has a unit: `10m`, `24h`, `7d`");
    }
  } else if ((is_number(a) && r.kind == ExprKind::boolean) || (is_number(b) && l.kind == ExprKind::boolean)) {
    const bool is_true = (r.kind == ExprKind::boolean ? r : l).text == "true";
    d.hints.push_back("a number is compared with a number: `" +
                      source_text((r.kind == ExprKind::boolean ? l : r).span) + (is_true ? " > 0`" : " == 0`"));
  } else if (kinds(TypeKind::enumeration, TypeKind::text)) {
    d.hints.push_back("write the value without quotes");
  } else if (kinds(TypeKind::time, TypeKind::duration)) {
    d.hints.push_back("the difference of two times is a duration: `b.at - a.at < 10m`");
  }
  return false;
}

/// A number stands where money is meant.
void Checker::hint_at_currency(Diagnostic& d, const ast::Expr& number, event::Currency currency) const {
  const std::string code = currency.code != 0 ? to_text(currency) : "USD";
  const NameEntry* entry = number.kind == ExprKind::name ? find_name(number.text) : nullptr;
  if (number.kind == ExprKind::number) {
    d.hints.push_back("write the currency: `" + source_text(number.span) + " " + code + "`");
  } else if (entry != nullptr && entry->kind == NameKind::param) {
    const ast::ParamDecl& param = *params_[entry->index].decl;
    d.hints.push_back("declare it with a currency: `param " + number.text + " = " + source_text(param.value.span) +
                      " " + code + "`");
  } else if (number.kind == ExprKind::name || number.kind == ExprKind::member) {
    d.hints.push_back("declare the field as `money<" + code + ">`, or compare it with a number");
  }
}

std::pair<Typed, Typed> Checker::check_sides(const ast::Expr& l, const ast::Expr& r, Scope& s) {
  const auto enum_of = [](const Typed& t) {
    return !t.poison && t.expr.type.kind == TypeKind::enumeration ? std::optional(t.expr.type.enumeration)
                                                                  : std::nullopt;
  };
  const auto left_first = [&] {
    Typed left = check_expr(l, s);
    if (left.poison && is_bare(r)) return std::pair(std::move(left), Typed{});  // what `r` means depends on it
    wanted_by_ = source_text(l.span);
    Typed right = check_expr(r, s, enum_of(left));
    return std::pair(std::move(left), std::move(right));
  };
  const auto right_first = [&] {
    Typed right = check_expr(r, s);
    if (right.poison) return std::pair(Typed{}, std::move(right));
    wanted_by_ = source_text(r.span);
    Typed left = check_expr(l, s, enum_of(right));
    return std::pair(std::move(left), std::move(right));
  };
  if (!is_bare(l)) return left_first();
  if (!is_bare(r)) return right_first();
  // Two names: the one that is of an enumeration says what the other may be.
  std::optional<event::EnumId> left_enum;
  std::optional<event::EnumId> right_enum;
  {
    const Silently silently(silent_);
    left_enum = enum_of(check_expr(l, s));
    if (!left_enum) right_enum = enum_of(check_expr(r, s));
  }
  if (left_enum || !right_enum) return left_first();
  return right_first();
}

/// A word that nothing is called, where a text is wanted.
void Checker::hint_at_quotes(const Type& wanted, const ast::Expr& word) {
  if (silent_ > 0 || word.kind != ExprKind::name || diagnostics_.all().empty()) return;
  if (wanted.kind != TypeKind::text && wanted.kind != TypeKind::entity) return;
  Diagnostic& said = diagnostics_.list().back();
  if (said.code != Code::unknown_name || said.span != word.span || !said.under.empty() || !said.hints.empty()) return;
  said.notes.clear();
  said.hints.push_back("a text stands in quotes: `\"" + word.text + "\"`");
  said.fix.push_back({word.span, "\"" + word.text + "\""});
}

bool Checker::foreign_missing(const ast::Expr& e, Scope& s) {
  const ast::Expr& r = e.children[1];
  if (r.kind != ExprKind::name || !grammar::means_missing(r.text) || (e.text != "==" && e.text != "!=")) return false;
  {
    const Silently silently(silent_);
    const Typed left = check_expr(e.children[0], s);
    if (left.poison) return false;
    const bool enumerated = left.expr.type.kind == TypeKind::enumeration;
    const bool known = !check_expr(r, s, enumerated ? std::optional(left.expr.type.enumeration) : std::nullopt).poison;
    if (known || deferred_) return false;
  }
  const std::string asked = source_text(e.children[0].span) + (e.text == "==" ? " is missing" : " is not missing");
  Diagnostic& d = error(Code::unknown_name, e.span, "whether a value is there is not asked by " + quoted(e.text));
  d.under = "write `" + asked + "`";
  d.fix.push_back({e.span, asked});
  return true;
}

bool Checker::foreign_alternatives(const ast::Expr& e, Scope& s) {
  const ast::Expr& first = e.children[0];
  if (first.kind != ExprKind::compare || first.text != "==") return false;
  const auto is_value = [](const ast::Expr& x) {
    return x.kind == ExprKind::name || x.kind == ExprKind::string || x.kind == ExprKind::number;
  };
  if (!is_value(first.children[1]) || !std::all_of(e.children.begin() + 1, e.children.end(), is_value)) return false;
  {
    // A name that is a condition of its own is one.
    const Silently silently(silent_);
    for (std::size_t i = 1; i < e.children.size(); ++i) {
      const Typed t = check_expr(e.children[i], s);
      if (!t.poison && t.expr.type.kind == TypeKind::boolean) return false;
    }
    if (deferred_) return false;
  }
  std::string asked = source_text(first.children[0].span) + " in [" + source_text(first.children[1].span);
  for (std::size_t i = 1; i < e.children.size(); ++i) asked += ", " + source_text(e.children[i].span);
  asked += "]";
  Diagnostic& d = error(Code::not_a_condition, e.span, "`or` joins conditions, not values");
  d.under = "write `" + asked + "`";
  d.fix.push_back({e.span, asked});
  return true;
}

Typed Checker::check_compare(const ast::Expr& e, Scope& s) {
  if (foreign_missing(e, s)) return {};
  const ast::Expr& l = e.children[0];
  const ast::Expr& r = e.children[1];
  auto [left, right] = check_sides(l, r, s);
  const auto op = compare_op(e.text);
  if (right.poison && !left.poison) hint_at_quotes(left.expr.type, r);
  if (!op || !fit(left, right, l, r, "compare")) return {};
  const bool equality = *op == Op::equal || *op == Op::not_equal;
  if (!equality && !(is_ordered(left.expr.type) && is_ordered(right.expr.type))) {
    const Type& type = is_ordered(left.expr.type) ? right.expr.type : left.expr.type;
    error(Code::type_mismatch, e.span, quoted(e.text) + " needs an order, and " + type_words(type) + " has none")
        .hints.push_back("`==`, `!=` and `in` are there for it");
    return {};
  }
  std::vector<Expr> args;
  args.push_back(std::move(left.expr));
  args.push_back(std::move(right.expr));
  return typed(make(*op, type_of(TypeKind::boolean), e.span, std::move(args)));
}

Typed Checker::check_in(const ast::Expr& e, Scope& s) {
  const ast::Expr& l = e.children[0];
  Typed left = check_expr(l, s);
  const auto finish = [&](Expr out) { return typed(e.negated ? negated(std::move(out)) : std::move(out)); };
  if (!e.list.empty()) {
    Span place = e.span;
    const auto size = static_cast<std::uint32_t>(e.list.size() + 1);
    if (place.end >= place.begin + size) place.begin = place.end - size;  // the list stands last
    const List* found = find_list({e.list, place});
    if (found == nullptr || left.poison) return {};
    const List& list = *found;
    Typed element;
    element.poison = false;
    element.expr.type = list.element.kind == TypeKind::cidr ? type_of(TypeKind::ip) : list.element;
    ast::Expr element_text;
    element_text.kind = ExprKind::name;
    element_text.span = e.span;
    if (left.list) {
      fit(left, element, l, element_text, "compare");
      return {};
    }
    const bool both_money = left.expr.type.kind == TypeKind::money && element.expr.type.kind == TypeKind::money;
    if (both_money && element.expr.type.currency.code == 0) {
      element.poison = true;  // the same amount in the same currency: nothing is converted, so none must be known
    } else if (both_money) {
      if (!fit(left, element, l, element_text, "compare")) return {};
      element.poison = true;
    } else {
      // Tried without a word first, so that the message can speak of the list.
      Typed again = left;
      Typed same = element;
      const Silently silently(silent_);
      if (fit(again, same, l, element_text, "compare")) {
        left = std::move(again);
        element.poison = true;
      }
    }
    if (!element.poison) {
      error(Code::type_mismatch, l.span,
            quoted(source_text(l.span)) + " is " + type_words(left.expr.type) + ", and `@" + e.list +
                "` is a list of " + book_.schema.type_text(list.element));
      return {};
    }
    std::vector<Expr> args;
    args.push_back(std::move(left.expr));
    Expr out = make(Op::in_list, type_of(TypeKind::boolean), e.span, std::move(args));
    out.index = static_cast<std::uint32_t>(found - book_.lists.data());
    return finish(std::move(out));
  }
  if (left.poison) return {};
  if (e.children.size() == 3) {
    Expr out = make(Op::in_range, type_of(TypeKind::boolean), e.span);
    out.flag = e.half_open;
    Typed low = check_expr(e.children[1], s);
    Typed high = check_expr(e.children[2], s);
    if (!fit(left, low, l, e.children[1], "compare") || !fit(left, high, l, e.children[2], "compare")) return {};
    if (!is_ordered(left.expr.type)) {
      error(Code::type_mismatch, l.span, "a range needs an order, and " + type_words(left.expr.type) + " has none");
      return {};
    }
    if (low.expr.op == Op::constant && high.expr.op == Op::constant) {
      const auto order = event::order_of(low.expr.value, high.expr.value);
      if (order && (*order > 0 || (*order == 0 && e.half_open))) {
        warning(Code::never_true, e.span, "this range is empty").hints.push_back("the lower end stands first");
      }
    }
    out.args.push_back(std::move(left.expr));
    out.args.push_back(std::move(low.expr));
    out.args.push_back(std::move(high.expr));
    return finish(std::move(out));
  }
  const ast::Expr& r = e.children[1];
  if (r.kind != ExprKind::list) {
    Typed group = check_expr(r, s);
    if (group.poison) return {};
    if (is_set(group.expr)) {
      Typed found = check_in_set(e, std::move(left), std::move(group));
      return found.poison ? Typed{} : finish(std::move(found.expr));
    }
    if (!group.list) {
      Diagnostic& d = error(Code::type_mismatch, r.span,
                            "`in` looks into a list, a range or a group, and this is " + type_words(group.expr.type));
      d.hints.push_back(
          "`==` compares with one value; `in [a, b]`, `in 1 .. 5`, `in @list`, `in g.field` look into many");
      return {};
    }
    if (left.list) {
      Typed other = constant(Value::of_integer(0), group.expr.type, r.span);
      fit(left, other, l, r, "compare");
      return {};
    }
    Typed member = group;
    member.list = false;
    if (!fit(left, member, l, r, "compare")) return {};
    std::vector<Expr> args;
    args.push_back(std::move(left.expr));
    args.push_back(std::move(group.expr));
    return finish(make(Op::in_group, type_of(TypeKind::boolean), e.span, std::move(args)));
  }
  const bool is_enum = left.expr.type.kind == TypeKind::enumeration;
  Expr out = make(Op::in_values, type_of(TypeKind::boolean), e.span);
  std::vector<Expr> elements;
  bool ok = true;
  for (const ast::Expr& element : r.children) {
    if (left.expr.type.kind == TypeKind::ip && element.kind == ExprKind::string &&
        element.text.find('/') != std::string::npos) {
      if (const auto network = network_literal(element)) {
        out.networks.push_back(*network);
      } else {
        ok = false;
      }
      continue;
    }
    wanted_by_ = source_text(l.span);
    Typed t = check_expr(element, s, is_enum ? std::optional(left.expr.type.enumeration) : std::nullopt);
    if (!fit(left, t, l, element, "compare")) {
      ok = false;
      if (left.list) break;
      continue;
    }
    elements.push_back(std::move(t.expr));
  }
  if (ok && r.children.empty()) {
    error(Code::type_mismatch, r.span, "this list is empty");
    return {};
  }
  if (!ok) return {};
  out.args.push_back(std::move(left.expr));
  for (Expr& element : elements) out.args.push_back(std::move(element));
  return finish(std::move(out));
}

Typed Checker::check_in_set(const ast::Expr& e, Typed left, Typed set) {
  Typed member = set;
  member.list = false;
  member.expr.flag = false;
  if (!fit(left, member, e.children[0], e.children[1], "compare")) return {};
  Expr out = make(Op::in_window, type_of(TypeKind::boolean), e.span);
  out.index = set.expr.index;
  out.args.push_back(std::move(left.expr));
  for (Expr& part : set.expr.args) out.args.push_back(std::move(part));
  return typed(std::move(out));
}

// ---------------------------------------------------------------- calculating

std::optional<std::string> Checker::labelled_kind(const Typed& t, const ast::Expr& e) {
  if (!t.list && t.expr.type.kind == TypeKind::entity) return book_.schema.entities[t.expr.type.entity];
  if (!t.list && t.expr.type.kind == TypeKind::ip) return "ip";
  Diagnostic& d = error(Code::type_mismatch, e.span,
                        "a label belongs to an entity, and this is " + (t.list ? "a list of values" : described(t, e)));
  d.hints.push_back("name a field that holds one, such as a user, a card or an address");
  return std::nullopt;
}

LabelId Checker::label_id(std::string kind, std::string name) {
  const auto [known, fresh] = label_ids_.try_emplace({kind, name}, static_cast<LabelId>(book_.labels.size()));
  if (fresh) book_.labels.push_back({std::move(kind), std::move(name)});
  return known->second;
}

Typed Checker::check_has_label(const ast::Expr& e, Scope& s) {
  Typed t = check_expr(e.children[0], s);
  if (t.poison) return {};
  const auto kind = labelled_kind(t, e.children[0]);
  if (!kind) return {};
  std::vector<Expr> args;
  args.push_back(std::move(t.expr));
  Expr out = make(Op::has_label, type_of(TypeKind::boolean), e.span, std::move(args));
  out.index = label_id(*kind, e.text);
  return typed(std::move(out));
}

void Checker::fold(Expr& e) const {
  for (const Expr& arg : e.args) {
    if (arg.op != Op::constant) return;
  }
  const auto amount = [](const Value& v) {
    return v.kind == event::Kind::duration ? Decimal::from_integer(v.duration().us) : v.number();
  };
  std::optional<Decimal> result;
  if (e.op == Op::negate) {
    result = negate(amount(e.args[0].value));
  } else if (e.args.size() == 2) {
    const Decimal a = amount(e.args[0].value);
    const Decimal b = amount(e.args[1].value);
    const auto is_time = [](const Expr& arg) { return arg.type.kind == TypeKind::time; };
    if (is_time(e.args[0]) || is_time(e.args[1])) return;
    switch (e.op) {
      case Op::add: result = add(a, b); break;
      case Op::subtract: result = subtract(a, b); break;
      case Op::multiply: result = multiply(a, b); break;
      case Op::divide: result = divide(a, b); break;
      case Op::remainder: result = remainder(a, b); break;
      default: return;
    }
  }
  if (!result) return;
  Value value;
  switch (e.type.kind) {
    case TypeKind::integer:
    case TypeKind::decimal: value = Value::of_number(*result); break;
    case TypeKind::money: value = Value::of_money(*result, e.type.currency); break;
    case TypeKind::duration: {
      const Int128 us = result->units / Decimal::one;
      // A duration that is no whole number of microseconds is left to be rounded where all are.
      if (result->units % Decimal::one != 0 || us > std::numeric_limits<std::int64_t>::max() ||
          us < std::numeric_limits<std::int64_t>::min())
        return;
      value = Value::of_duration({static_cast<std::int64_t>(us)});
      break;
    }
    default: return;
  }
  Expr folded = make(Op::constant, e.type, e.span);
  folded.value = value;
  e = std::move(folded);
}

Typed Checker::check_arithmetic(const ast::Expr& e, Scope& s) {
  Typed left = check_expr(e.children[0], s);
  Span so_far = e.children[0].span;
  for (std::size_t i = 1; i < e.children.size(); ++i) {
    const ast::Expr& child = e.children[i];
    const std::string& op = e.operators[i - 1];
    if (op == "/" && child.kind == ExprKind::coalesce && child.span.file < sources_.size()) {
      // `a / b ?? 0` reads as if the default were of the quotient, and is of the divisor (V3).
      const std::string_view text = sources_[child.span.file].text();
      std::size_t at = child.span.begin;
      while (at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\n')) --at;
      const bool parentheses =
          (at > 0 && text[at - 1] == '(') || (child.span.begin < text.size() && text[child.span.begin] == '(');
      if (!parentheses) {
        warning(Code::coalesce_without_parentheses, child.span,
                "`??` binds tighter than `/`: the default is of the divisor")
            .hints.push_back("write `(" + source_text(so_far) + " / " + source_text(child.children[0].span) + ") ?? " +
                             source_text(child.children[1].span) + "`, or put `(…)` around the divisor");
      }
    }
    Typed right = check_expr(child, s);
    so_far.end = child.span.end;
    if (left.poison || right.poison) {
      left.poison = true;
      continue;
    }
    const Span op_span = i - 1 < e.operator_spans.size() ? e.operator_spans[i - 1] : e.span;
    left = combine(op, std::move(left), std::move(right), op_span, so_far);
  }
  return left;
}

Typed Checker::combine(const std::string& op, Typed left, Typed right, Span op_span, Span span) {
  for (const Typed* side : {&left, &right}) {
    if (!side->list) continue;
    if (is_set(side->expr)) {
      error(Code::set_out_of_place, side->expr.span,
            quoted(source_text(side->expr.span)) + " is a set of values, not a number")
          .hints.push_back("`distinct(…) from …` says how many there are");
      return {};
    }
    error(Code::compare_group, side->expr.span,
          quoted(source_text(side->expr.span)) + " is the list of all values of a group and cannot be calculated with")
        .hints.push_back("`sum(…)`, `max(…)` and the like make one number of it");
    return {};
  }
  if (left.text_literal && right.expr.type.kind == TypeKind::time && !adopt(left, right.expr.type, left.expr.span))
    return {};
  if (right.text_literal && left.expr.type.kind == TypeKind::time && !adopt(right, left.expr.type, right.expr.span))
    return {};
  const Type a = left.expr.type;
  const Type b = right.expr.type;
  const auto is = [](const Type& t, TypeKind kind) { return t.kind == kind; };
  const bool both_int = is(a, TypeKind::integer) && is(b, TypeKind::integer);
  const bool both_numbers = is_number(a) && is_number(b);
  const bool both_money = is(a, TypeKind::money) && is(b, TypeKind::money);
  const bool plus_minus = op == "+" || op == "-";
  if (both_money && (plus_minus || op == "/")) {
    if (a.currency.code == 0 || b.currency.code == 0) {
      const Typed& unknown = a.currency.code == 0 ? left : right;
      Diagnostic& d = error(Code::money_currency_unknown, unknown.expr.span,
                            "cannot calculate with money of unknown currency and other money");
      d.hints.push_back("`" + source_text(unknown.expr.span) +
                        " as USD` converts with the rate as of the event's time (table `fx`)");
      return {};
    }
    if (a.currency != b.currency) {
      Diagnostic& d = error(Code::currency_mismatch, left.expr.span,
                            "cannot calculate with " + type_words(a) + " and " + type_words(b));
      d.labels.push_back({right.expr.span, ""});
      d.hints.push_back("convert one with `as " + to_text(b.currency) + "`");
      return {};
    }
  }
  std::optional<Type> result;
  Op operation = Op::add;
  if (plus_minus) {
    operation = op == "+" ? Op::add : Op::subtract;
    if (both_numbers) result = both_int ? a : type_of(TypeKind::decimal);
    if (both_money) result = a;
    if (is(a, TypeKind::duration) && is(b, TypeKind::duration)) result = a;
    if (is(a, TypeKind::time) && is(b, TypeKind::duration)) result = a;
    if (op == "+" && is(a, TypeKind::duration) && is(b, TypeKind::time)) result = b;
    if (op == "-" && is(a, TypeKind::time) && is(b, TypeKind::time)) result = type_of(TypeKind::duration);
  } else if (op == "*") {
    operation = Op::multiply;
    if (both_numbers) result = both_int ? a : type_of(TypeKind::decimal);
    if (is_number(a) && (is(b, TypeKind::money) || is(b, TypeKind::duration))) result = b;
    if (is_number(b) && (is(a, TypeKind::money) || is(a, TypeKind::duration))) result = a;
  } else if (op == "/") {
    operation = Op::divide;
    if (both_numbers || both_money || (is(a, TypeKind::duration) && is(b, TypeKind::duration)))
      result = type_of(TypeKind::decimal);
    if (is_number(b) && (is(a, TypeKind::money) || is(a, TypeKind::duration))) result = a;
  } else {
    operation = Op::remainder;
    if (both_numbers) result = both_int ? a : type_of(TypeKind::decimal);
  }
  if (!result) {
    Diagnostic& d = error(Code::type_mismatch, op_span,
                          quoted(op) + " does not go between " + type_words(a) + " and " + type_words(b));
    if (is(a, TypeKind::time) && is_number(b)) d.hints.push_back("say the unit: `- 10m`, `+ 24h`");
    if (plus_minus && is(a, TypeKind::money) && is_number(b) && right.expr.op == Op::constant) {
      d.hints.push_back("write the currency: `" + source_text(right.expr.span) + " " +
                        (a.currency.code != 0 ? to_text(a.currency) : "USD") + "`");
    }
    return {};
  }
  std::vector<Expr> args;
  args.push_back(std::move(left.expr));
  args.push_back(std::move(right.expr));
  Expr out = make(operation, *result, span, std::move(args));
  fold(out);
  return typed(std::move(out));
}

Typed Checker::check_coalesce(const ast::Expr& e, Scope& s, std::optional<event::EnumId> wanted) {
  const ast::Expr& l = e.children[0];
  const ast::Expr& r = e.children[1];
  Typed left = check_expr(l, s, wanted);
  if (left.poison) return {};
  const bool is_enum = !left.list && left.expr.type.kind == TypeKind::enumeration;
  if (is_enum) wanted_by_ = source_text(l.span);
  Typed right = check_expr(r, s, is_enum ? std::optional(left.expr.type.enumeration) : wanted);
  if (!fit(left, right, l, r, "replace")) return {};
  const Type type = left.expr.type == right.expr.type ? left.expr.type
                    : is_number(left.expr.type)       ? type_of(TypeKind::decimal)
                                                      : left.expr.type;
  std::vector<Expr> args;
  args.push_back(std::move(left.expr));
  args.push_back(std::move(right.expr));
  return typed(make(Op::coalesce, type, e.span, std::move(args)));
}

Typed Checker::check_string_test(const ast::Expr& e, Scope& s) {
  Typed l = check_expr(e.children[0], s);
  Typed r = check_expr(e.children[1], s);
  if (l.poison || r.poison) return {};
  for (const auto& [side, at] : {std::pair(&l, &e.children[0]), std::pair(&r, &e.children[1])}) {
    const TypeKind kind = side->expr.type.kind;
    if (!side->list && (kind == TypeKind::text || kind == TypeKind::entity)) continue;
    Diagnostic& d = error(
        Code::type_mismatch, at->span,
        quoted(e.text) + " looks into texts, and this is " + (side->list ? "a list" : type_words(side->expr.type)));
    if (!side->list && kind == TypeKind::enumeration)
      d.hints.push_back("its values are compared whole: `" + source_text(at->span) + " in [ … ]`");
    return {};
  }
  const Op op = e.text == "contains"      ? Op::contains
                : e.text == "starts with" ? Op::starts_with
                : e.text == "ends with"   ? Op::ends_with
                : e.text == "like"        ? Op::like
                                          : Op::matches;
  if ((e.ignoring_case || op == Op::like || op == Op::matches) && r.expr.op != Op::constant) {
    error(Code::bad_pattern, e.children[1].span,
          e.ignoring_case && op != Op::like && op != Op::matches
              ? "what is looked for `ignoring case` is a text in quotes or a param"
              : "a pattern is a text in quotes or a param: it is made ready before events come")
        .hints.push_back(
            "two fields are compared with `==`, `contains`, `starts with` or `ends with`, as in `lower(a) == "
            "lower(b)`");
    return {};
  }
  if (op == Op::matches && !check_pattern(r.expr, e)) return {};
  if (op == Op::like) warn_percent(r.expr.value.text(), e.children[1]);
  std::vector<Expr> args;
  args.push_back(std::move(l.expr));
  args.push_back(std::move(r.expr));
  Expr out = make(op, type_of(TypeKind::boolean), e.span, std::move(args));
  out.flag = e.ignoring_case;
  return typed(std::move(out));
}

/// `%` is the sign of SQL for any characters; here it stands for itself.
void Checker::warn_percent(std::string_view pattern, const ast::Expr& written) {
  if (pattern.find('%') == std::string_view::npos || pattern.find('*') != std::string_view::npos) return;
  Diagnostic& d = warning(Code::means_otherwise, written.span, "`%` stands for itself in `like`");
  if (written.kind != ExprKind::string) {
    d.hints.emplace_back("any characters are `*`, one is `?`");
    return;
  }
  std::string ours = source_text(written.span);
  std::replace(ours.begin(), ours.end(), '%', '*');
  d.under = "write `" + ours + "`";
  d.hints.emplace_back("any characters are `*`, one is `?`");
}

bool Checker::check_pattern(const Expr& pattern, const ast::Expr& e) {
  const std::string_view text = pattern.value.text();
  const Span whole = e.children[1].span;
  // Where the pattern is written as it is, without escapes of the rule text, its parts can be pointed at.
  const auto part = [&](std::size_t begin, std::size_t end) {
    const bool plain = e.children[1].kind == ExprKind::string && whole.end - whole.begin == text.size() + 2;
    if (!plain || begin >= text.size()) return whole;
    return Span{whole.file, whole.begin + 1 + static_cast<std::uint32_t>(begin),
                whole.begin + 1 + static_cast<std::uint32_t>(std::clamp(end, begin + 1, text.size()))};
  };
  if (const auto problem = problem_in_form(text)) {
    Diagnostic& d = error(Code::bad_pattern, part(problem->begin, problem->end), problem->message);
    if (!problem->hint.empty()) d.hints.push_back(problem->hint);
    return false;
  }
  if (!options_.pattern_problem) return true;
  const auto problem = options_.pattern_problem(text, e.ignoring_case);
  if (!problem) return true;
  error(Code::bad_pattern, part(problem->at, problem->at + 1), "this pattern does not read: " + problem->message)
      .hints.push_back("a sign that means itself has a backslash before it: `\\.`, `\\(`, `\\+`");
  return false;
}

Typed Checker::check_look_up(const ast::Expr& e, Scope& s) {
  const ast::Expr& call = e.children[0];
  if (s.where == Where::constant) {
    error(Code::type_mismatch, e.span, "a constant is wanted here, and this is looked up when an event arrives");
    return {};
  }
  const auto id = find_table(call.text);
  if (!id) {
    if (poison_tables_.contains(call.text)) return {};
    const NameEntry* entry = find_name(call.text);
    const auto names = names_of({NameKind::table});
    Diagnostic& d = error(Code::unknown_name, call.text_span, "there is no table " + quoted(call.text));
    d.under = did_you_mean(call.text, names);
    if (!names.empty()) d.notes.push_back("tables: " + joined(names));
    if (entry == nullptr) d.hints.push_back("`table " + call.text + " keyed by … { " + e.text + " : … }` declares one");
    return {};
  }
  const Table& table = book_.tables[*id];
  std::vector<std::string> columns;
  for (const TableColumn& column : table.columns) columns.push_back(column.name);
  const auto column = std::find(columns.begin(), columns.end(), e.text);
  if (column == columns.end()) {
    Diagnostic& d =
        error(Code::unknown_field, e.text_span, "table " + quoted(call.text) + " has no column " + quoted(e.text));
    d.under = did_you_mean(e.text, columns);
    d.notes.push_back("columns of " + call.text + ": " + joined(columns));
    return {};
  }
  const auto index = static_cast<std::size_t>(column - columns.begin());
  if (call.children.size() != table.keys.size()) {
    std::vector<std::string> keys;
    for (const KeyPart& key : table.keys) keys.push_back(key.name);
    error(Code::wrong_arguments, call.span,
          "table " + quoted(call.text) + " is keyed by " + and_joined(keys) + ", and " +
              number_word(call.children.size()) + (call.children.size() == 1 ? " value is" : " values are") + " given");
    return {};
  }
  Expr out = make(Op::table_column, table.columns[index].type, e.span);
  out.index = *id;
  out.name = e.text;
  bool ok = true;
  for (std::size_t k = 0; k < call.children.size(); ++k) {
    const ast::Expr& child = call.children[k];
    const Type type = book_.tables[*id].keys[k].type;
    const bool is_enum = type.kind == TypeKind::enumeration;
    const std::string key_name = book_.tables[*id].keys[k].name;
    if (is_enum) wanted_by_ = key_name;
    Typed key = check_expr(child, s, is_enum ? std::optional(type.enumeration) : std::nullopt);
    Typed wanted;
    wanted.poison = false;
    wanted.expr.type = type;
    if (!key.poison && key.text_literal && !adopt(key, type, child.span)) key.poison = true;
    if (!key.poison) {
      bool fits = false;
      {
        Typed given = key;
        Typed same = wanted;
        const Silently silently(silent_);
        fits = !key.list && fit(given, same, child, child, "compare");
      }
      if (!fits) {
        error(Code::type_mismatch, child.span,
              "table " + quoted(call.text) + " is keyed by " + key_name + ", " + type_words(type) + ", and this is " +
                  (key.list ? "a list" : type_words(key.expr.type)));
        key.poison = true;
      }
    }
    ok = ok && !key.poison;
    if (ok) out.args.push_back(std::move(key.expr));
  }
  return ok ? typed(std::move(out)) : Typed{};
}

Typed Checker::check_money_as(const ast::Expr& e, Scope& s) {
  Typed t = check_expr(e.children[0], s);
  const auto currency = event::parse_currency(e.text);
  if (!currency) {
    error(Code::bad_literal, e.text_span, quoted(e.text) + " is not a currency");
    return {};
  }
  warn_currency(e.text, e.text_span);
  if (t.poison) return {};
  if (t.list || t.expr.type.kind != TypeKind::money) {
    Diagnostic& d =
        error(Code::type_mismatch, e.children[0].span,
              "`as " + e.text + "` converts money, and this is " + (t.list ? "a list" : type_words(t.expr.type)));
    if (!t.list && is_number(t.expr.type)) d.hints.push_back("declare the field as `money` or `money<" + e.text + ">`");
    if (t.list) d.hints.push_back("convert inside: `sum(" + source_text(e.children[0].span) + " as " + e.text + ")`");
    return {};
  }
  Type type = t.expr.type;
  const bool already = type.currency == *currency;
  type.currency = *currency;
  std::vector<Expr> args;
  args.push_back(std::move(t.expr));
  Expr out = make(Op::money_as, type, e.span, std::move(args));
  out.currency = *currency;
  // The table of rates, as index + 1; amounts that are in this currency anyway need none.
  if (!already) {
    const auto rates = find_table("fx");
    if (rates) out.index = *rates + 1;
  }
  return typed(std::move(out));
}

// ---------------------------------------------------------------- functions

const Alias* Checker::group_in(const ast::Expr& e, const Scope& s) const {
  if (e.kind == ExprKind::member && e.children[0].kind == ExprKind::name) {
    const Alias* alias = find_alias(e.children[0].text, s);
    return alias != nullptr && alias->kind == AliasKind::group ? alias : nullptr;
  }
  for (const ast::Expr& child : e.children) {
    if (const Alias* alias = group_in(child, s)) return alias;
  }
  return nullptr;
}

bool Checker::names_unknown_alias(const ast::Expr& e, const Scope& s) const {
  if (e.kind == ExprKind::member && e.children[0].kind == ExprKind::name)
    return find_alias(e.children[0].text, s) == nullptr;
  return std::any_of(e.children.begin(), e.children.end(),
                     [&](const ast::Expr& child) { return names_unknown_alias(child, s); });
}

Typed Checker::check_function(const Function& function, const ast::Expr& e, Scope& s) {
  const std::string name(function.name);
  const std::size_t most = function.repeats ? static_cast<std::size_t>(-1) : function.arguments.size();
  if (e.children.size() < function.needed || e.children.size() > most) {
    const std::string wanted = function.repeats ? number_word(function.needed) + " values or more"
                               : function.needed == most
                                   ? number_word(most) + (most == 1 ? " value" : " values")
                                   : number_word(function.needed) + " to " + number_word(most) + " values";
    error(Code::wrong_arguments, e.span,
          quoted(name) + " takes " + wanted + ", and " + number_word(e.children.size()) +
              (e.children.size() == 1 ? " is given" : " are given"))
        .hints.push_back("`" + std::string(function.signature) + "`, as in `" + std::string(function.examples[0].call) +
                         "`");
    return {};
  }
  Expr out = make(Op::function, type_of(TypeKind::decimal), e.span);
  out.name = name;
  out.index = static_cast<std::uint32_t>(function.id);
  bool ok = true;
  for (std::size_t i = 0; i < e.children.size(); ++i) {
    const ast::Expr& child = e.children[i];
    const Argument wanted = function.arguments[std::min(i, function.arguments.size() - 1)];
    Typed t = check_expr(child, s);
    if (t.poison) {
      ok = false;
      continue;
    }
    const std::string problem = argument_problem(wanted, t, child, out.args.empty() ? nullptr : &out.args[0]);
    if (t.poison || !problem.empty()) {
      if (!problem.empty()) {
        error(Code::wrong_arguments, child.span, quoted(name) + " takes " + problem)
            .hints.push_back("`" + std::string(function.signature) + "`, as in `" +
                             std::string(function.examples[0].call) + "`");
      }
      ok = false;
      continue;
    }
    if (ok) out.args.push_back(std::move(t.expr));
  }
  if (!ok) return {};
  switch (function.gives) {
    case Gives::number: break;
    case Gives::whole: out.type = type_of(TypeKind::integer); break;
    case Gives::truth: out.type = type_of(TypeKind::boolean); break;
    case Gives::text: out.type = type_of(TypeKind::text); break;
    case Gives::ip: out.type = type_of(TypeKind::ip); break;
    case Gives::same:
      out.type = out.args[0].type;
      for (const Expr& arg : out.args) {
        if (is_number(out.type) && arg.type.kind == TypeKind::decimal) out.type = arg.type;
      }
      break;
  }
  if (function.id == event::Function::ip_flag && !check_flags(e)) return {};
  return typed(std::move(out));
}

std::string Checker::argument_problem(Argument wanted, Typed& t, const ast::Expr& child, const Expr* first) {
  const TypeKind kind = t.expr.type.kind;
  const std::string found = ", and this is " + (t.list ? std::string("a list") : described(t, child));
  const auto whole_constant = [&](int most) {
    if (t.expr.op != Op::constant || kind != TypeKind::integer) return false;
    const Int128 n = t.expr.value.number().units / Decimal::one;
    return n >= 0 && n <= most;
  };
  if (t.list) return "one value" + found;
  switch (wanted) {
    case Argument::number: return is_number(t.expr.type) ? "" : "a number" + found;
    case Argument::amount: {
      const bool good = is_number(t.expr.type) || kind == TypeKind::money || kind == TypeKind::duration;
      if (!good) return "a number, money or a duration" + found;
      if (first == nullptr || (is_number(first->type) && is_number(t.expr.type))) return "";
      if (first->type.kind != kind)
        return "values of one kind" + found + ", and the first is " + type_words(first->type);
      if (kind == TypeKind::money && (first->type.currency != t.expr.type.currency || t.expr.type.currency.code == 0))
        return "amounts of one currency" + found + ", and the first is " + type_words(first->type);
      return "";
    }
    case Argument::time:
    case Argument::ip:
      if (t.text_literal) {
        if (!adopt(t, type_of(wanted == Argument::time ? TypeKind::time : TypeKind::ip), child.span)) t.poison = true;
        return "";
      }
      if (wanted == Argument::time) return kind == TypeKind::time ? "" : "a time" + found;
      return kind == TypeKind::ip ? "" : "an address" + found;
    case Argument::text: return kind == TypeKind::text || kind == TypeKind::entity ? "" : "a text" + found;
    case Argument::place: return kind == TypeKind::geo ? "" : "a place" + found;
    case Argument::money: return kind == TypeKind::money ? "" : "money" + found;
    case Argument::bits_v4: return whole_constant(32) ? "" : "a whole number from 0 to 32 here, written out";
    case Argument::bits_v6: return whole_constant(128) ? "" : "a whole number from 0 to 128 here, written out";
    case Argument::fixed_text: {
      const bool good = t.expr.op == Op::constant && kind == TypeKind::text && !t.expr.value.text().empty() &&
                        t.expr.value.text().find(' ') == std::string_view::npos;
      return good ? "" : "one word in quotes here";
    }
  }
  return "";
}

bool Checker::check_flags(const ast::Expr& e) {
  const auto id = find_table("ip_flags");
  if (!id) {
    if (poison_tables_.contains("ip_flags")) return false;
    warning(Code::flags_unknown, e.span, "no table says which addresses have which flags, so this is false")
        .hints.push_back("`table ip_flags keyed by cidr { flags : string } from \"ip_flags.csv\"`");
    return true;
  }
  const Table& table = book_.tables[*id];
  const bool right = table.by_network && table.columns.size() == 1 && table.columns[0].name == "flags" &&
                     table.columns[0].type.kind == TypeKind::text;
  if (right) return true;
  error(Code::bad_table, e.span, "`ip_flags` is the table of flags of networks and has one form")
      .hints.push_back("`table ip_flags keyed by cidr { flags : string }`: the words, with blanks between them");
  return false;
}

Typed Checker::check_call(const ast::Expr& e, Scope& s) {
  const std::string& name = e.text;
  if (const Function* function = find_function(name)) return check_function(*function, e, s);
  if (contains(functions_known, name)) return check_group_function(e, s);
  const NameEntry* entry = find_name(name);
  if (entry != nullptr && entry->kind == NameKind::table) {
    error(Code::type_mismatch, e.span, quoted(source_text(e.span)) + " is a row of a table, not a value")
        .hints.push_back("say which column: `" + source_text(e.span) + ".column`");
    return {};
  }
  if (entry != nullptr && (entry->kind == NameKind::feature || entry->kind == NameKind::param)) {
    Diagnostic& d = error(Code::unknown_function, e.span,
                          quoted(name) + " is a " + (entry->kind == NameKind::feature ? "feature" : "param") +
                              " and takes nothing in brackets");
    d.under = "write `" + name + "`";
    d.fix.push_back({e.span, name});
    if (entry->kind == NameKind::feature)
      d.hints.push_back("its key comes from the event at hand; of another key it is `" + name + " of x`");
    return {};
  }
  Diagnostic& d = error(Code::unknown_function, e.text_span, "there is no function " + quoted(name));
  std::vector<std::string> arguments;
  for (const ast::Expr& child : e.children) arguments.push_back(source_text(child.span));
  if (const std::string ours = grammar::call_called(name, std::move(arguments)); !ours.empty()) {
    d.hints.push_back("write `" + ours + "`");
    return {};
  }
  d.under = did_you_mean(name, callable());
  d.notes.push_back("functions: " + joined(callable()));
  return {};
}

std::string Checker::rates_hint(const std::string& written, const std::string& currency) const {
  const NameEntry* rates = find_name("fx");
  const bool known = rates != nullptr && rates->kind == NameKind::table;
  return "`" + written + " as " + currency + "` " +
         (known ? "converts with the rate as of the event's time (table `fx`)"
                : "takes amounts in " + currency +
                      "; others are missing as long as no table `fx` of exchange rates is declared");
}

std::optional<Type> Checker::aggregate_type(AggregateFunction function, const Type& argument, Span function_span,
                                            Span span) {
  const auto refuse = [&](const std::string& what) -> std::optional<Type> {
    error(Code::aggregate_argument, span,
          quoted(source_text(function_span)) + " is of " + what + ", and this is " + type_words(argument));
    return std::nullopt;
  };
  const bool measured = is_number(argument) || argument.kind == TypeKind::money || argument.kind == TypeKind::duration;
  const bool takes_any = function == AggregateFunction::count || function == AggregateFunction::distinct ||
                         function == AggregateFunction::first || function == AggregateFunction::last ||
                         function == AggregateFunction::entropy || function == AggregateFunction::set;
  if (!takes_any && argument.kind == TypeKind::money && argument.currency.code == 0) {
    error(Code::money_currency_unknown, span,
          "cannot take the " + source_text(function_span) + " of money of unknown currency")
        .hints.push_back(rates_hint(source_text(span), "USD"));
    return std::nullopt;
  }
  switch (function) {
    case AggregateFunction::count:
    case AggregateFunction::distinct: return type_of(TypeKind::integer);
    case AggregateFunction::sum: return measured ? std::optional(argument) : refuse("numbers, money or durations");
    case AggregateFunction::avg:
      if (!measured) return refuse("numbers, money or durations");
      return is_number(argument) ? type_of(TypeKind::decimal) : argument;
    case AggregateFunction::min:
    case AggregateFunction::max:
      if (!measured && argument.kind != TypeKind::time && argument.kind != TypeKind::enumeration)
        return refuse("values with an order");
      return argument;
    case AggregateFunction::first:
    case AggregateFunction::last:
    case AggregateFunction::set: return argument;
    case AggregateFunction::variance:
      if (is_number(argument)) return type_of(TypeKind::decimal);
      return refuse(measured ? "numbers, since it is in squares of them; of money and durations there is `stddev`"
                             : "numbers");
    case AggregateFunction::stddev:
      if (!measured) return refuse("numbers, money or durations");
      return is_number(argument) ? type_of(TypeKind::decimal) : argument;
    case AggregateFunction::cv:
      return measured ? std::optional(type_of(TypeKind::decimal)) : refuse("numbers, money or durations");
    case AggregateFunction::percentile:
      return measured || argument.kind == TypeKind::time ? std::optional(argument)
                                                         : refuse("numbers, money, durations or times");
    case AggregateFunction::entropy: return type_of(TypeKind::decimal);
  }
  return std::nullopt;
}

std::optional<Checker::AggregateCall> Checker::aggregate_call(const ast::Name& function,
                                                              const std::vector<ast::Expr>& arguments) {
  AggregateCall call;
  const std::string& name = function.text;
  const auto wrong = [&](Span span, const std::string& message, const std::string& hint) {
    error(Code::aggregate_argument, span, message).hints.push_back(hint);
    return std::nullopt;
  };
  if (name == "count") {
    if (arguments.empty()) return call;
    return wrong(arguments[0].span, "`count` counts events and takes nothing in brackets",
                 "`count from …`; values are counted by `distinct(field) from …`");
  }
  if (name == "rate") {
    const bool duration = arguments.size() == 1 && arguments[0].kind == ExprKind::duration;
    const auto span = duration ? parse_duration(arguments[0].text) : std::nullopt;
    if (!span || span->us <= 0) {
      return wrong(arguments.empty() ? function.span : arguments[0].span,
                   "`rate` says how many events there are per span of time, and the span stands in brackets",
                   "`rate(1m) from … in last 10m` is events per minute, over ten minutes");
    }
    call.rate = *span;
    return call;
  }
  if (name == "gaps") {
    return wrong(function.span, "`gaps` are many durations, and one value is wanted",
                 "ask one thing of them: `avg(gaps(at))`, `cv(gaps(at))`, `max(gaps(at))`");
  }
  const auto known = aggregate_function(name);
  if (!known) {
    const std::vector<std::string> names{std::begin(aggregates_known), std::end(aggregates_known)};
    Diagnostic& d = error(Code::unknown_function, function.span, "there is no aggregate " + quoted(name));
    d.under = did_you_mean(name, names);
    d.notes.push_back("aggregates: " + joined(names));
    return std::nullopt;
  }
  call.function = *known;
  if (name == "median") call.percent = Decimal::from_integer(50);
  if (name == "percentile") {
    if (arguments.size() != 2) {
      return wrong(function.span, "`percentile` takes a number from 1 to 100 and a field or value",
                   "`percentile(95, amount) from …`");
    }
    Scope scope;
    Typed number = arguments[0].kind == ExprKind::percent ? Typed{} : check_expr(arguments[0], scope);
    if (arguments[0].kind != ExprKind::percent && number.poison) return std::nullopt;
    const bool whole = !number.poison && number.expr.op == Op::constant && is_number(number.expr.type);
    const Decimal percent = whole ? number.expr.value.number() : Decimal{};
    if (percent.units <= 0 || percent > Decimal::from_integer(100)) {
      return wrong(arguments[0].span, "a percentile is a number above 0 and up to 100",
                   "`percentile(95, amount)`: of a hundred amounts, 95 are at most so large");
    }
    call.percent = percent;
    call.argument = &arguments[1];
  } else if (arguments.size() != 1) {
    return wrong(function.span, quoted(name) + " takes one field or value", "`" + name + "(field) from …`");
  } else {
    call.argument = &arguments[0];
  }
  if (call.argument->kind == ExprKind::call && call.argument->text == "gaps") {
    if (call.argument->children.size() != 1) {
      return wrong(call.argument->span, "`gaps` takes one field of time", "`gaps(at)`");
    }
    if (call.function == AggregateFunction::first || call.function == AggregateFunction::last ||
        call.function == AggregateFunction::set) {
      return wrong(call.argument->span, quoted(name) + " does not go with gaps",
                   "of gaps there are avg, cv, distinct, entropy, max, median, min, percentile, stddev and sum");
    }
    call.gaps = true;
    call.argument = &call.argument->children[0];
  }
  return call;
}

Typed Checker::check_group_function(const ast::Expr& e, Scope& s) {
  const std::string& name = e.text;
  if (name != "percentile" && e.children.size() != 1) {
    error(Code::wrong_arguments, e.span,
          quoted(name) + " takes one thing: " +
              (name == "some"    ? "a condition over a group"
               : name == "count" ? "a group"
                                 : "a field of a group"));
    return {};
  }
  std::optional<AggregateCall> call;
  if (name == "rate" || name == "set") {
    Diagnostic& d = error(Code::wrong_arguments, e.text_span, quoted(name) + " is of a window, and here is none");
    d.hints.push_back(
        name == "rate" ? "`rate(1m) from … per … in last …`; the events of a group are counted by `count(g)`"
                       : "`x in g.field` asks whether a group has a value; of a window it is `x in set(field) from …`");
    return {};
  }
  if (name != "count" && name != "some") {
    call = aggregate_call({name, e.text_span}, e.children);
    if (!call) return {};
  }
  const ast::Expr& of = call ? *call->argument : e.children[0];
  if (name == "count") {
    const Alias* alias = of.kind == ExprKind::name ? find_alias(of.text, s) : nullptr;
    if (alias != nullptr && alias->visible && alias->kind == AliasKind::group) {
      Expr out = make(Op::group_count, type_of(TypeKind::integer), e.span);
      out.index = alias->place;
      return typed(std::move(out));
    }
    if (alias != nullptr && !alias->visible) return unknown_alias(of, s);
    if (group_in(of, s) == nullptr) {
      Diagnostic& d = error(Code::wrong_arguments, of.span, "`count(…)` counts the events of a group");
      d.hints.push_back(
          "a group is a step with `at least`, `exactly` or `n to m`;\nevents of a window are counted by `count from … "
          "per … in last …`");
      return {};
    }
    call.emplace();
    call->argument = &of;
  }
  const Alias* group = group_in(of, s);
  if (group == nullptr || !group->visible || s.member_of) {
    if (group != nullptr && !group->visible) return unknown_alias(of.kind == ExprKind::member ? of.children[0] : of, s);
    // An event that nothing is called is the mistake then, not the missing group.
    if (names_unknown_alias(of, s)) {
      check_expr(of, s);
      return {};
    }
    const Alias* own = nullptr;
    for (const Alias& alias : s.aliases) {
      if (alias.kind == AliasKind::own && s.where == Where::step) own = &alias;
    }
    const bool of_own = own != nullptr && source_text(of.span).starts_with(own->name + ".");
    if (of_own) {
      error(Code::wrong_arguments, e.span, "a step sees one event of its own, not yet their group")
          .hints.push_back("move the condition into `when`: `when " + source_text(e.span) + " …`");
      return {};
    }
    Diagnostic& d = error(Code::wrong_arguments, of.span, quoted(name) + " needs a field of a group here");
    const std::string written = source_text(of.span);
    const Alias* single = find_alias(written.substr(0, written.find('.')), s);
    if (single != nullptr && (name == "first" || name == "last" || name == "max" || name == "min" || name == "avg")) {
      d.message = quoted(single->name) + " is one event, not a group";
      d.hints.push_back("write `" + written + "`");
      return {};
    }
    const ast::Expr& bare = of.kind == ExprKind::money_as ? of.children[0] : of;
    const std::vector<std::string> groups =
        bare.kind == ExprKind::name ? steps_with(bare.text, s, true) : std::vector<std::string>();
    if (groups.size() == 1) {
      d.hints.push_back("write `" + name + "(" + groups[0] + "." + written + ")`");
      return {};
    }
    d.hints.push_back(name == "some"
                          ? "`some(g.status == approved)`, where `g` is a step with a count"
                          : "`" + name + "(g.field)`, where `g` is a step with a count;\nof a window it is `" + name +
                                "(field) from … per … in last …`");
    return {};
  }
  const PlaceId place = group->place;
  const auto saved = s.member_of;
  s.member_of = place;
  Typed inner = check_expr(of, s);
  s.member_of = saved;
  if (inner.poison) return {};
  if (inner.list) {
    error(Code::compare_group, of.span, "only one group can stand in " + quoted(name));
    return {};
  }
  std::vector<Expr> args;
  if (name == "some") {
    if (inner.expr.type.kind != TypeKind::boolean) {
      error(Code::not_a_condition, of.span, "`some` takes a condition, and this is " + type_words(inner.expr.type));
      return {};
    }
    args.push_back(std::move(inner.expr));
    Expr out = make(Op::some, type_of(TypeKind::boolean), e.span, std::move(args));
    out.index = place;
    return typed(std::move(out));
  }
  Type argument = inner.expr.type;
  if (call->gaps) {
    if (argument.kind != TypeKind::time) {
      error(Code::aggregate_argument, of.span, "`gaps` lie between times, and this is " + type_words(argument));
      return {};
    }
    argument = type_of(TypeKind::duration);
  }
  const auto type = aggregate_type(call->function, argument, e.text_span, of.span);
  if (!type) return {};
  args.push_back(std::move(inner.expr));
  Expr out = make(Op::group_aggregate, *type, e.span, std::move(args));
  out.index = place;
  out.name = name == "median" ? "percentile" : name;
  out.flag = call->gaps;
  if (call->function == AggregateFunction::percentile) out.value = Value::of_number(call->percent);
  return typed(std::move(out));
}

// ---------------------------------------------------------------- features and aggregates

Typed Checker::check_feature(std::size_t index, Span span, Scope& s) {
  const ast::FeatureDecl& decl = *features_[index].decl;
  if (s.where == Where::constant) {
    error(Code::type_mismatch, span,
          "a constant is wanted here, and " + quoted(decl.name.text) + " is computed from events");
    return {};
  }
  if (s.where == Where::test && s.of_keys == nullptr) {
    error(Code::bad_test, span, "in a test a feature says under which key it is asked")
        .hints.push_back("`" + decl.name.text + " of \"u1\"`; with several keys `" + decl.name.text +
                         " of [\"u1\", \"d9\"]`, in the order of its `per`");
    return {};
  }
  const Typed& known = feature_of(index, span);
  if (features_[index].progress != Progress::done) return {};
  if (s.where == Where::test && known.poison) {
    error(Code::bad_test, span,
          quoted(decl.name.text) + " looks at fields of the event that asks for it, and in a test no event does")
        .labels.push_back({decl.name.span, ""});
    return {};
  }
  if (s.where == Where::definition) {
    if (known.poison) deferred_ = true;
    // With another key of this definition the keys are looked at where it is used.
    return known;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, span, "definitions build on each other more than 64 deep");
    return {};
  }
  Subject subject;
  if (s.subject != nullptr) subject = *s.subject;
  subject.fields_visible = true;
  Scope inner;
  inner.may_be_set = true;
  if (decl.approximate) inner.error_ppm = error_of(*decl.approximate).value_or(0);
  inner.where = Where::counted;
  inner.subject = s.subject != nullptr ? &subject : nullptr;
  inner.feature = decl.name.text;
  inner.use = s.feature.empty() ? span : s.use;
  inner.of_keys = s.of_keys;
  inner.keys_at_use = s.keys != nullptr ? s.keys : s.keys_at_use;
  working_.push_back(decl.name.text);
  Typed t = check_expr(decl.value, inner);
  working_.pop_back();
  if (!t.poison) t.expr.span = span;
  return t;
}

std::optional<Expr> Checker::key_at_use(const ast::Key& key, const KeyPart& part, Span span, Scope& s) {
  Expr out = make(Op::field, part.type, span);
  for (const SubjectType& type : s.subject->types) {
    const auto field = resolve_key(type, key, span, false);
    if (!field) return std::nullopt;
    const Type& own = field_def(type.event, *field).type;
    if (own != part.type) {
      error(Code::type_mismatch, span,
            "this is kept per " + part.name + ", " + type_words(part.type) + ", and in " +
                quoted(book_.schema.events[type.event].name) + " " + quoted(field_def(type.event, *field).name) +
                " is " + type_words(own));
      return std::nullopt;
    }
    const auto same = std::find_if(out.fields.begin(), out.fields.end(),
                                   [&](const FieldRef& ref) { return ref.event == type.event; });
    if (same == out.fields.end()) {
      out.fields.push_back({type.event, *field});
    } else if (same->field != *field) {
      // Under two roles: meant is the key under which the rule watches.
      const std::vector<KeyPart>* keys = s.keys != nullptr ? s.keys : s.keys_at_use;
      for (std::size_t k = 0; keys != nullptr && k < keys->size(); ++k) {
        if ((*keys)[k] == part) return rule_key(part, k, span);
      }
      error(Code::ambiguous_key, span,
            "this is kept per " + part.name + ", and " + quoted(s.subject->name) + " takes " +
                quoted(book_.schema.events[type.event].name) + " as " +
                quoted(field_def(type.event, same->field).name) + " and as " +
                quoted(field_def(type.event, *field).name))
          .hints.push_back("name a stream for each role, or watch per " + part.name);
      return std::nullopt;
    }
  }
  return out;
}

Typed Checker::check_aggregate(const ast::Aggregate& a, Span span, Scope& s) {
  if (s.where == Where::constant) {
    error(Code::type_mismatch, span, "a constant is wanted here, and this is computed from events");
    return {};
  }
  if (s.where == Where::test) {
    error(Code::bad_test, span, "a test asks for features that are declared, by their name")
        .hints.push_back("`feature NAME = " + source_text(span) + "`, and then `expect feature NAME of \"…\" == …`");
    return {};
  }
  const auto call = aggregate_call(a.function, a.arguments);
  if (!call) return {};
  Aggregate out;
  out.function = call->function;
  out.gaps = call->gaps;
  out.percent = call->percent;
  // The other functions are exact whatever is allowed: it costs them nothing.
  if (call->function == AggregateFunction::percentile || (call->function == AggregateFunction::distinct && !call->gaps))
    out.error_ppm = s.error_ppm;
  // All parts are looked at before giving up: each has its own mistakes.
  bool ok = check_window(a.window, *call, out);
  const Scope* outer = s.where == Where::counted && s.feature.empty() && s.outer == nullptr ? nullptr : &s;
  auto alternatives = resolve_source(a.source.event, a.source.via, a.source.where, outer);
  if (!alternatives) return {};
  out.source.name = (a.source.event.is_hit ? "hit." : "") + a.source.event.name.text;
  if (!resolve_keys(*alternatives, a.keys, out.keys, a.source.event.name.span)) ok = false;
  if (a.window.kind == ast::WindowKind::since_last && ok) {
    auto since = resolve_source(*a.window.since, std::nullopt, std::nullopt, nullptr);
    if (!since) return {};
    if (!resolve_keys(*since, a.keys, out.keys, a.window.since->name.span)) ok = false;
    out.since = Source{a.window.since->name.text, std::move(*since)};
  }
  if (call->function == AggregateFunction::count) {
    out.result_type = type_of(TypeKind::integer);
    out.value_type = out.result_type;
  } else {
    for (std::size_t i = 0; i < alternatives->size(); ++i) {
      const Alternative& one = (*alternatives)[i];
      Subject subject;
      subject.types = {{one.event, one.via}};
      subject.name = a.source.event.name.text;
      Scope counted;
      counted.where = Where::counted;
      counted.subject = &subject;
      counted.outer = outer;
      Typed argument = check_expr(*call->argument, counted);
      if (argument.poison) {
        ok = false;
        break;
      }
      if (argument.list) {
        error(is_set(argument.expr) ? Code::set_out_of_place : Code::compare_group, call->argument->span,
              "this is many values, and one per event is wanted");
        ok = false;
        break;
      }
      if (call->gaps && argument.expr.type.kind != TypeKind::time) {
        error(Code::aggregate_argument, call->argument->span,
              "`gaps` lie between times, and this is " + type_words(argument.expr.type));
        ok = false;
        break;
      }
      const auto type = aggregate_type(call->function, call->gaps ? type_of(TypeKind::duration) : argument.expr.type,
                                       a.function.span, call->argument->span);
      if (!type) {
        ok = false;
        break;
      }
      if (i == 0) {
        out.value_type = argument.expr.type;
        out.result_type = *type;
      } else if (out.value_type != argument.expr.type) {
        const bool numbers = is_number(out.value_type) && is_number(argument.expr.type);
        if (!numbers) {
          error(Code::aggregate_argument, call->argument->span,
                "this is " + type_words(out.value_type) + " in one event and " + type_words(argument.expr.type) +
                    " in " + quoted(book_.schema.events[one.event].name));
          ok = false;
          break;
        }
        out.value_type = type_of(TypeKind::decimal);
        if (is_number(out.result_type) && call->function != AggregateFunction::distinct)
          out.result_type = out.value_type;
      }
      out.arguments.push_back(std::move(argument.expr));
    }
  }
  if (!ok) return {};
  Expr read = make(Op::aggregate, out.result_type, span);
  read.flag = out.function == AggregateFunction::set;
  const auto answer = [&](Expr found) {
    if (call->rate) {
      // Events per span: the count times the span over the window, as one quotient of two durations.
      Expr per = constant(Value::of_duration(*call->rate), type_of(TypeKind::duration), span).expr;
      Expr over = constant(Value::of_duration(out.length), type_of(TypeKind::duration), span).expr;
      found = make(Op::multiply, type_of(TypeKind::duration), span, {std::move(per), std::move(found)});
      found = make(Op::divide, type_of(TypeKind::decimal), span, {std::move(found), std::move(over)});
    }
    Typed t = typed(std::move(found));
    t.list = out.function == AggregateFunction::set;
    return t;
  };
  if (s.of_keys != nullptr) {
    const std::vector<Typed>& given_keys = *s.of_keys;
    if (out.keys.size() != given_keys.size()) {
      Diagnostic& d =
          error(Code::of_needs_single_key, s.use,
                quoted(s.feature) + " has " + number_word(out.keys.size()) + (out.keys.size() == 1 ? " key" : " keys") +
                    ", and `of` gives " + number_word(given_keys.size()));
      d.labels.push_back({a.keys[0].span, ""});
      return {};
    }
    for (std::size_t k = 0; k < given_keys.size(); ++k) {
      const Type& given = given_keys[k].expr.type;
      const Type& wanted = out.keys[k].type;
      Typed key = given_keys[k];
      if (key.text_literal && !adopt(key, wanted, key.expr.span)) return {};
      const auto textual = [](const Type& t) { return t.kind == TypeKind::text || t.kind == TypeKind::entity; };
      const bool both_entities = given.kind == TypeKind::entity && wanted.kind == TypeKind::entity;
      const bool fits = key.expr.type == wanted || (textual(given) && textual(wanted) && !both_entities) ||
                        (is_number(given) && is_number(wanted));
      if (!fits) {
        error(Code::type_mismatch, key.expr.span,
              quoted(s.feature) + " is kept per " + out.keys[k].name + ", and this is " + type_words(given));
        return {};
      }
      read.args.push_back(std::move(key.expr));
    }
  } else if (s.subject != nullptr) {
    for (std::size_t k = 0; k < a.keys.size(); ++k) {
      auto key = key_at_use(a.keys[k], out.keys[k], s.feature.empty() ? a.keys[k].span : s.use, s);
      if (!key) return {};
      read.args.push_back(std::move(*key));
    }
  }
  if (s.where == Where::definition || silent_ > 0) return answer(std::move(read));
  out.source.alternatives = std::move(*alternatives);
  out.text = source_text(span);
  const std::string key = meaning(out, book_);
  const auto [at, fresh] = aggregate_ids_.try_emplace(key, static_cast<AggregateId>(book_.aggregates.size()));
  if (fresh) book_.aggregates.push_back(std::move(out));
  read.index = at->second;
  return answer(std::move(read));
}

std::optional<std::uint32_t> Checker::error_of(const ast::Text& approximate) {
  // Below, the sample is larger than what it stands for; above, nobody would call it a number.
  constexpr std::int64_t least_ppm = 1'000;
  constexpr std::int64_t most_ppm = 200'000;
  const auto percent = parse_decimal(approximate.text);
  const Int128 ppm = percent ? percent->units / (Decimal::one / 10'000) : Int128{0};
  if (ppm >= least_ppm && ppm <= most_ppm) return static_cast<std::uint32_t>(ppm);
  error(Code::bad_literal, approximate.span, "`approximate` says how far a value may be off, from 0.1% to 20%")
      .hints.push_back("`approximate 1%`; without it the feature is exact");
  return std::nullopt;
}

bool Checker::check_window(const ast::Window& window, const AggregateCall& call, Aggregate& out) {
  switch (window.kind) {
    case ast::WindowKind::in_last:
    case ast::WindowKind::before:
    case ast::WindowKind::gap: {
      if (window.unsaid) {
        error(Code::window_unsaid, window.span, "this window does not say whether the current event counts")
            .hints.push_back("`in last " + window.length.text + "` counts it, `in " + window.length.text +
                             " before` does not");
        return false;
      }
      out.reach = window.kind == ast::WindowKind::in_last ? WindowReach::last : WindowReach::before;
      const auto length = positive_duration(window.length, Code::bad_window, "a window");
      if (length) out.length = *length;
      if (window.kind != ast::WindowKind::gap) return length.has_value();
      const auto gap = positive_duration(window.gap, Code::bad_window, "the time between a window's end and the event");
      if (gap) out.gap = *gap;
      return length.has_value() && gap.has_value();
    }
    case ast::WindowKind::calendar:
    case ast::WindowKind::since_last:
      if (call.rate) {
        error(Code::aggregate_argument, window.span, "`rate` needs a window of one length, and this one grows")
            .hints.push_back("`in last 1h`, `in 1h before`");
        return false;
      }
      if (window.kind == ast::WindowKind::since_last) {
        out.reach = WindowReach::since;
        out.length = since_kept;
        return true;
      }
      out.reach = WindowReach::calendar;
      out.unit = event::parse_calendar_unit(window.unit.text).value_or(event::CalendarUnit::day);
      out.zone = event::find_zone(window.zone.text);
      if (out.zone == nullptr) {
        Diagnostic& d =
            error(Code::unknown_zone, window.zone.span, "there is no time zone \"" + window.zone.text + "\"");
        d.under = did_you_mean(window.zone.text, event::zone_names());
        d.hints.push_back("zones are named by continent and city: \"Europe/Berlin\", \"America/New_York\", or \"UTC\"");
        return false;
      }
      return true;
  }
  return false;
}

// ---------------------------------------------------------------- warnings

const event::FieldDef* Checker::optional_field_of(const ast::Expr& e, const Scope& s) {
  if (e.kind != ExprKind::name && e.kind != ExprKind::member) return nullptr;
  const Silently silently(silent_);
  Scope copy = s;
  const Typed t = check_expr(e, copy);
  if (t.poison || t.list || (t.expr.op != Op::field && t.expr.op != Op::place_field)) return nullptr;
  for (const FieldRef& ref : t.expr.fields) {
    const event::FieldDef& def = field_def(ref.event, ref.field);
    if (def.optional && !def.derived) return &def;
  }
  return nullptr;
}

void Checker::warn_optional(const ast::Expr& whole, const ast::Expr& e, const Scope& s, bool negative,
                            const std::set<std::string>& guarded) {
  switch (e.kind) {
    case ExprKind::not_: warn_optional(whole, e.children[0], s, !negative, guarded); return;
    case ExprKind::and_:
    case ExprKind::or_:
      for (const ast::Expr& child : e.children) warn_optional(whole, child, s, negative, guarded);
      return;
    default: break;
  }
  // Who writes `==` or `<` means a value that is there; who writes `!=` or `not` often thinks of the missing one as different.
  const bool surprising = (e.kind == ExprKind::compare && ((e.text == "!=") != negative)) ||
                          (e.kind == ExprKind::in && e.negated != negative);
  if (!surprising) return;
  const std::size_t sides = e.kind == ExprKind::compare ? 2 : 1;
  for (std::size_t i = 0; i < sides; ++i) {
    const ast::Expr& side = e.children[i];
    const std::string text = source_text(side.span);
    if (guarded.contains(text)) continue;
    const event::FieldDef* field = optional_field_of(side, s);
    if (field == nullptr) continue;
    const bool rule = s.where == Where::on_rule || s.where == Where::step || s.where == Where::after;
    Diagnostic& d = warning(Code::optional_field_silent, side.span,
                            quoted(field->name) + " is optional: when it is missing " +
                                (rule ? "this rule stays silent" : "this is not true"));
    d.hints.push_back("`" + text + " is missing or …` if that should " + (rule ? "fire" : "hold") +
                      "; `# accept W0520` at the end of the line if not");
  }
}

void Checker::warn_never(const Expr& condition, Span span, bool is_when, const Scope& s) {
  if (silent_ > 0) return;
  if (contradictions_.possible({{&condition, Assumed::Truth::is_true}}, {s.lets, nullptr, std::nullopt})) return;
  warning(Code::never_true, span, is_when ? "this rule can never fire" : "this can never be true");
}

}  // namespace tocsin::dsl::detail
