// What the grammar files share: the Reader's words as X3 parsers, three directives, the small actions that build the
// tree, and the rules that more than one file uses. Only grammar*.cpp include this; X3 stays in them.
//
// The tree is built by actions and not by X3's own attributes, which would need adapted structs and its own variant.
// Rules have names and are instantiated once, for one iterator and one context.
#pragma once

// The ids of the rules are declared inside their types, and X3 wants a name for each rule that nobody prints here.
#define BOOST_SPIRIT_X3_NO_RTTI

#include <boost/spirit/home/x3.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include "dsl/grammar_reader.h"

namespace tocsin::dsl::grammar {

namespace x3 = boost::spirit::x3;

struct reader_tag;
using Context = x3::context<reader_tag, Reader>;

template <typename C>
Reader& reader_of(const C& context) {
  return x3::get<reader_tag>(context);
}

// ---------------------------------------------------------------- words
/// `where`, `{`: something always written the same. Its attribute is its place.
template <bool is_word>
struct Fixed : x3::parser<Fixed<is_word>> {
  using attribute_type = Span;
  static constexpr bool has_attribute = true;

  Reader::Wanted wanted;
  std::string_view text;

  constexpr Fixed(Reader::Wanted wanted_, std::string_view text_) : wanted(wanted_), text(text_) {}

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator&, const C& context, const R&, A& attribute) const {
    Span scratch;
    Span* out = &scratch;
    if constexpr (std::is_same_v<A, Span>) out = &attribute;
    if constexpr (is_word) return reader_of(context).word(at, text, *out, wanted);
    return reader_of(context).sign(at, text, *out, wanted);
  }
};
constexpr Fixed<true> word(std::string_view text) { return {Reader::Wanted::word, text}; }
/// A word that may follow any expression: not worth mentioning among what is expected.
constexpr Fixed<true> quiet(std::string_view text) { return {Reader::Wanted::quiet_word, text}; }
constexpr Fixed<false> sign(std::string_view text) { return {Reader::Wanted::sign, text}; }
constexpr Fixed<false> quiet_sign(std::string_view text) { return {Reader::Wanted::quiet_word, text}; }

/// What a method of the Reader reads.
template <typename Value, bool (Reader::*read)(Iterator&, Value&)>
struct Read : x3::parser<Read<Value, read>> {
  using attribute_type = Value;
  static constexpr bool has_attribute = true;

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator&, const C& context, const R&, A& attribute) const {
    if constexpr (std::is_same_v<A, Value>) {
      return (reader_of(context).*read)(at, attribute);
    } else {
      Value scratch;
      return (reader_of(context).*read)(at, scratch);
    }
  }
};
inline constexpr Read<ast::Name, &Reader::name> name{};
inline constexpr Read<ast::Name, &Reader::name_before_text> name_before_text{};
inline constexpr Read<ast::Name, &Reader::atom_name> atom_name{};
inline constexpr Read<ast::EventName, &Reader::event_name> event_name{};
inline constexpr Read<ast::Name, &Reader::list_name> list_name{};
inline constexpr Read<ast::Expr, &Reader::literal> literal{};
inline constexpr Read<ast::Text, &Reader::duration> duration{};
inline constexpr Read<ast::Text, &Reader::percent> percent{};
inline constexpr Read<ast::Text, &Reader::number> number{};
inline constexpr Read<Whole, &Reader::whole> whole_number{};
inline constexpr Read<ast::Text, &Reader::currency> currency{};
inline constexpr Read<ast::Text, &Reader::string> string{};
inline constexpr Read<ast::Text, &Reader::chain_operator> chain_operator{};
inline constexpr Read<ast::Text, &Reader::compare_operator> compare_operator{};
inline constexpr Read<ast::Text, &Reader::add_operator> add_operator{};
inline constexpr Read<ast::Text, &Reader::multiply_operator> multiply_operator{};
inline constexpr Read<ast::Text, &Reader::range> range{};
inline constexpr Read<Span, &Reader::not_operator> not_operator{};
inline constexpr Read<ast::Text, &Reader::field_role> field_role{};
inline constexpr Read<Span, &Reader::optional_mark> optional_mark{};
inline constexpr Read<Span, &Reader::mask_mark> mask_mark{};
inline constexpr Read<Span, &Reader::then_word> then_word{};

struct OneOf : x3::parser<OneOf> {
  using attribute_type = ast::Text;
  static constexpr bool has_attribute = true;

  const Choice* choice;
  constexpr explicit OneOf(const Choice& choice_) : choice(&choice_) {}

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator&, const C& context, const R&, A& attribute) const {
    if constexpr (std::is_same_v<A, ast::Text>) {
      return reader_of(context).choice(at, *choice, attribute);
    } else {
      ast::Text scratch;
      return reader_of(context).choice(at, *choice, scratch);
    }
  }
};
constexpr OneOf one_of(const Choice& choice) { return OneOf(choice); }

// ---------------------------------------------------------------- directives
/// whole(p): p makes the value of the rule around it, in place.
template <typename Subject>
struct Whole_ : x3::unary_parser<Subject, Whole_<Subject>> {
  using base = x3::unary_parser<Subject, Whole_<Subject>>;
  static constexpr bool has_action = true;
  static constexpr bool has_attribute = false;
  using attribute_type = x3::unused_type;

  constexpr explicit Whole_(const Subject& subject_) : base(subject_) {}

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator& last, const C& context, R& value, A&) const {
    return this->subject.parse(at, last, context, value, value);
  }
};
template <typename Subject>
constexpr auto whole(const Subject& subject) {
  return Whole_<Subject>(subject);
}

/// placed(&T::span, p): the place of what p reads, without white space around it, goes into a member of the rule's
/// value.
template <typename Subject, typename T>
struct Placed : x3::unary_parser<Subject, Placed<Subject, T>> {
  using base = x3::unary_parser<Subject, Placed<Subject, T>>;
  static constexpr bool has_action = true;
  static constexpr bool has_attribute = false;
  using attribute_type = x3::unused_type;

  Span T::*member;
  constexpr Placed(const Subject& subject_, Span T::*member_) : base(subject_), member(member_) {}

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator& last, const C& context, R& value, A&) const {
    Reader& reader = reader_of(context);
    const Iterator from = reader.skip(at);
    if (!this->subject.parse(at, last, context, value, x3::unused)) return false;
    value.*member = reader.span(from, at < from ? from : at);
    return true;
  }
};
template <typename T, typename Subject>
constexpr auto placed(Span T::*member, const Subject& subject) {
  return Placed<Subject, T>(subject, member);
}

/// nested(p): one level deeper, as an author counts levels.
template <typename Subject>
struct Nested : x3::unary_parser<Subject, Nested<Subject>> {
  using base = x3::unary_parser<Subject, Nested<Subject>>;
  static constexpr bool has_action = true;
  static constexpr bool has_attribute = false;
  using attribute_type = x3::unused_type;

  constexpr explicit Nested(const Subject& subject_) : base(subject_) {}

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator& last, const C& context, R& value, A&) const {
    Reader& reader = reader_of(context);
    if (!reader.enter(at)) return false;
    const bool read = this->subject.parse(at, last, context, value, x3::unused);
    reader.leave();
    return read;
  }
};
template <typename Subject>
constexpr auto nested(const Subject& subject) {
  return Nested<Subject>(subject);
}

/// called("an expression", p): when nothing of p is there, this is what was expected.
template <typename Subject>
struct Called : x3::unary_parser<Subject, Called<Subject>> {
  using base = x3::unary_parser<Subject, Called<Subject>>;
  static constexpr bool has_action = true;
  static constexpr bool has_attribute = false;
  using attribute_type = x3::unused_type;

  std::string_view what;
  constexpr Called(const Subject& subject_, std::string_view what_) : base(subject_), what(what_) {}

  template <typename C, typename R, typename A>
  bool parse(Iterator& at, const Iterator& last, const C& context, R& value, A&) const {
    Reader& reader = reader_of(context);
    const auto label = reader.open_label(at);
    if (this->subject.parse(at, last, context, value, x3::unused)) return true;
    reader.close_label(label, what);
    return false;
  }
};
template <typename Subject>
constexpr auto called(std::string_view what, const Subject& subject) {
  return Called<Subject>(subject, what);
}

// ---------------------------------------------------------------- actions
/// The value goes into a member …
template <typename T, typename M>
constexpr auto put(M T::*member) {
  return [member](auto& context) { x3::_val(context).*member = std::move(x3::_attr(context)); };
}
/// … or to the end of a member.
template <typename T, typename M>
constexpr auto push(M T::*member) {
  return [member](auto& context) { (x3::_val(context).*member).push_back(std::move(x3::_attr(context))); };
}
/// The value goes into a member that is shared.
template <typename T, typename M>
constexpr auto put_shared(std::shared_ptr<const M> T::*member) {
  return
      [member](auto& context) { x3::_val(context).*member = std::make_shared<const M>(std::move(x3::_attr(context))); };
}
/// A member becomes a constant.
template <typename T, typename M, typename V>
constexpr auto say(M T::*member, V value) {
  return [member, value](auto& context) { x3::_val(context).*member = value; };
}
/// A member becomes the text of what was read.
template <typename T>
constexpr auto put_text(std::string T::*member) {
  return [member](auto& context) { x3::_val(context).*member = std::move(x3::_attr(context).text); };
}

// ---------------------------------------------------------------- rules of more than one file
template <typename Id, typename Value>
using Rule = x3::rule<Id, Value>;
using Keys = std::vector<ast::Key>;

inline constexpr Rule<struct expression_id, ast::Expr> expression = "expression";
inline constexpr Rule<struct source_id, ast::Source> source = "source";
inline constexpr Rule<struct keys_id, Keys> keys = "keys";
inline constexpr Rule<struct clause_id, ast::Clause> clause = "clause";
inline constexpr Rule<struct rule_head_id, ast::RuleDecl> rule_head = "rule head";
inline constexpr Rule<struct policy_id, ast::PolicyDecl> policy = "policy";
BOOST_SPIRIT_DECLARE(decltype(expression), decltype(source), decltype(keys), decltype(clause), decltype(rule_head),
                     decltype(policy))

}  // namespace tocsin::dsl::grammar
