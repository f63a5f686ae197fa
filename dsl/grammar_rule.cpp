// Rules clause by clause, sequences, policies:
//
//   head     = "rule" name ("on" event ["via" name] ["as" name] | "per" keys) "{"
//   clause   = "title" text | "severity" s | "tags" name, … | "owner" text | "runbook" text | "mode" m | "switch" name
//            | "rollout" share "of" name | sequence | "pick" p | "after" "match" a | "let" name "=" expression
//            | "when" expression | "except" name ["until" text] "when" expression
//            | "decide" action ["if" expression "else" action] | "score" expression
//            | "label" expression text ["for" duration] | "add" expression "to" @list ["for" duration]
//            | "alert" "once" "per" duration "by" keys | "suppressed" "by" name "same" keys ["hold" duration]
//            | "resolve" "on" source | "because" text | "show" expression, …
//   a        = "restart" | "continue" | "keep" "all" | "skip" "to" "next" | "skip" "past" "last"
//            | "skip" "to" ("first" | "last") name
//   sequence = "sequence" ["within" duration] "{" step ("then" (["first" | "next"] positive | step))* [until] "}"
//   step     = positive | "no" event ["via" name] ["as" name] ["where" expression] ["for" duration]
//            | ("all" | "any" number) "of" "{" positive (";" positive)* "}"
//   positive = ["at" "least" number | "exactly" number | number "to" number | "optional"] ["consecutive"]
//              event ["via" name] ["as" name] ["where" expression] ["within" duration]
//   until    = "until" event ["as" name] ["where" expression]
//   policy   = "policy" name "on" event "{" "score" ("sum" | "max") ["max" number]
//              (action ("when" expression | "otherwise"))+
//              ["limit" action "to" share "per" duration "else" action] ["on" "error" action] "}"
#include "dsl/grammar_common.h"

namespace tocsin::dsl::grammar {
namespace {

using ast::Clause;
using ast::ClauseKind;
using ast::CountKind;
using ast::PolicyDecl;
using ast::PolicyLine;
using ast::RuleDecl;
using ast::Sequence;
using ast::Step;
using ast::StepKind;
using ast::StepLink;
using ast::Until;

constexpr Rule<struct positive_id, Step> positive = "positive step";
constexpr Rule<struct step_id, Step> step = "step";
constexpr Rule<struct linked_step_id, Step> linked_step = "linked step";
constexpr Rule<struct until_id, Until> until = "until";
constexpr Rule<struct sequence_id, Sequence> sequence = "sequence";
constexpr Rule<struct policy_line_id, PolicyLine> policy_line = "policy line";
constexpr Rule<struct limit_id, PolicyDecl::Limit> limit = "limit";

constexpr auto low_and_high = [](auto& context) {
  x3::_val(context).low = x3::_attr(context).value;
  x3::_val(context).high = x3::_attr(context).value;
};
constexpr auto only_high = [](auto& context) { x3::_val(context).high = x3::_attr(context).value; };
constexpr auto linked_by = [](StepLink link) {
  return [link](auto& context) {
    x3::_val(context).link = link;
    x3::_val(context).link_span = x3::_attr(context);
  };
};
constexpr auto not_linked = [](auto& context) {
  x3::_val(context).link = StepLink::then;
  x3::_val(context).link_span.reset();
};

const auto quantity = placed(
    &Step::count_span,
    (word("at") >> word("least")[say(&Step::count, CountKind::at_least)] >> whole_number[low_and_high]) |
        (word("exactly")[say(&Step::count, CountKind::exactly)] >> whole_number[low_and_high]) |
        (whole_number[low_and_high] >> word("to")[say(&Step::count, CountKind::between)] >> whole_number[only_high]) |
        quiet("optional")[say(&Step::count, CountKind::optional)]);

const auto positive_def =
    placed(&Step::span,
           -quantity >> -quiet("consecutive")[say(&Step::consecutive, true)] >> event_name[put(&Step::event)] >>
               -(word("via") >> name[put(&Step::via)]) >> -(word("as") >> name[put(&Step::alias)]) >>
               -(word("where") >> expression[put(&Step::where)]) >> -(word("within") >> duration[put(&Step::within)]));

const auto parts = sign("{") >> positive[push(&Step::parts)] % sign(";") >> sign("}");
const auto step_def =
    placed(&Step::span,
           (word("no")[say(&Step::kind, StepKind::negative)] >> event_name[put(&Step::event)] >>
            -(word("via") >> name[put(&Step::via)]) >> -(word("as") >> name[put(&Step::alias)]) >>
            -(word("where") >> expression[put(&Step::where)]) >> -(word("for") >> duration[put(&Step::wait)])) |
               (word("all") >> word("of")[say(&Step::kind, StepKind::all_of)] >> parts) |
               (word("any") >> whole_number[low_and_high] >> word("of")[say(&Step::kind, StepKind::any_of)] >> parts)) |
    (x3::eps[say(&Step::kind, StepKind::positive)] >> whole(positive));

const auto linked_step_def =
    ((quiet("first")[linked_by(StepLink::first)] | quiet("next")[linked_by(StepLink::next)]) >> whole(positive)) |
    (x3::eps[not_linked] >> whole(step));

const auto until_def =
    placed(&Until::span, word("until") >> event_name[put(&Until::event)] >> -(word("as") >> name[put(&Until::alias)]) >>
                             -(word("where") >> expression[put(&Until::where)]));

const auto sequence_def = -(word("within") >> duration[put(&Sequence::within)]) >> sign("{") >>
                          called("a step (an event, `no` event, `all of`, `at least n` …)",
                                 linked_step[push(&Sequence::steps)]) >>  // that a link is none here, the checker says
                          *(then_word >> called("a step", linked_step[push(&Sequence::steps)])) >>
                          -until[put(&Sequence::until)] >> sign("}");

/// The first word of a clause.
constexpr auto begins = [](std::string_view text, ClauseKind kind) {
  return word(text)[([kind](auto& context) {
    x3::_val(context).kind = kind;
    x3::_val(context).word = x3::_attr(context);
  })];
};
constexpr auto after_match = [](std::string_view strategy) {
  return [strategy](auto& context) {
    x3::_val(context).text.text = strategy;
    x3::_val(context).text.span = x3::_attr(context);
  };
};
const auto text = put(&Clause::text);
const auto value = put(&Clause::value);
const auto for_duration = -(word("for") >> duration[put(&Clause::duration)]);

const auto after = word("match") >>
                   (word("restart")[after_match("restart")] | word("continue")[after_match("continue")] |
                    (word("keep") >> word("all")[after_match("keep all")]) |
                    (word("skip") >>
                     ((word("past") >> word("last")[after_match("skip past last")]) |
                      (word("to") >> (word("next")[after_match("skip to next")] |
                                      (word("first")[after_match("to first")] >> name[put(&Clause::name)]) |
                                      (word("last")[after_match("to last")] >> name[put(&Clause::name)]))))));

const auto clause_def =
    placed(&Clause::span,
           (begins("title", ClauseKind::title) >> string[text]) |
               (begins("severity", ClauseKind::severity) >> one_of(severities)[text]) |
               (begins("tags", ClauseKind::tags) >> name[push(&Clause::names)] % quiet_sign(",")) |
               (begins("owner", ClauseKind::owner) >> string[text]) |
               (begins("runbook", ClauseKind::runbook) >> string[text]) |
               (begins("mode", ClauseKind::mode) >> one_of(modes)[text]) |
               (begins("switch", ClauseKind::rule_switch) >> name[put(&Clause::name)]) |
               (begins("rollout", ClauseKind::rollout) >> percent[text] >> word("of") >> name[put(&Clause::name)]) |
               (begins("sequence", ClauseKind::sequence) >> sequence[put_shared(&Clause::sequence)]) |
               (begins("pick", ClauseKind::pick) >> one_of(picks)[text]) |
               (begins("after", ClauseKind::after_match) >> after) |
               (begins("let", ClauseKind::let) >> name[put(&Clause::name)] >> sign("=") >> expression[value]) |
               (begins("when", ClauseKind::when) >> expression[value]) |
               (begins("except", ClauseKind::except) >> name[put(&Clause::name)] >>
                -(word("until") >> string[put(&Clause::until)]) >> word("when") >> expression[value]) |
               (begins("decide", ClauseKind::decide) >> one_of(actions)[text] >>
                -(quiet("if") >> expression[value] >> word("else") >> one_of(actions)[put(&Clause::otherwise)])) |
               (begins("score", ClauseKind::score) >> expression[value]) |
               (begins("label", ClauseKind::label) >> expression[value] >> string[text] >> for_duration) |
               (begins("add", ClauseKind::add) >> expression[value] >> word("to") >> list_name[put(&Clause::name)] >>
                for_duration) |
               (begins("alert", ClauseKind::alert_once) >> word("once") >> word("per") >>
                duration[put(&Clause::duration)] >> word("by") >> keys[put(&Clause::keys)]) |
               (begins("suppressed", ClauseKind::suppressed) >> word("by") >> name[put(&Clause::name)] >>
                word("same") >> keys[put(&Clause::keys)] >> -(quiet("hold") >> duration[put(&Clause::duration)])) |
               (begins("resolve", ClauseKind::resolve) >> word("on") >> source[put_shared(&Clause::source)]) |
               (begins("because", ClauseKind::because) >> string[text]) |
               (begins("show", ClauseKind::show) >> expression[push(&Clause::values)] % quiet_sign(",")));

const auto rule_head_def = word("rule") >> name[put(&RuleDecl::name)] >>
                           ((word("on") >> event_name[put(&RuleDecl::on)] >>
                             -(word("via") >> name[put(&RuleDecl::via)]) >>
                             -(word("as") >> name[put(&RuleDecl::alias)])) |
                            (word("per")[say(&RuleDecl::per_key, true)] >> keys[put(&RuleDecl::keys)])) >>
                           sign("{");

const auto policy_line_def =
    placed(&PolicyLine::span, one_of(actions)[put(&PolicyLine::action)] >>
                                  ((word("when") >> expression[put(&PolicyLine::when)]) | word("otherwise")));
using Limit = PolicyDecl::Limit;
const auto limit_def =
    placed(&Limit::span, word("limit") >> one_of(actions)[put(&Limit::action)] >> word("to") >>
                             percent[put(&Limit::share)] >> word("per") >> duration[put(&Limit::per)] >> word("else") >>
                             one_of(actions)[put(&Limit::otherwise)]);
const auto policy_def = word("policy") >> name[put(&PolicyDecl::name)] >>
                        word("on") >> event_name[put(&PolicyDecl::on)] >> sign("{") >> word("score") >>
                        one_of(combinations)[put(&PolicyDecl::combine)] >>
                        -(quiet("max") >> number[put(&PolicyDecl::cap)]) >> +policy_line[push(&PolicyDecl::lines)] >>
                        -limit[put(&PolicyDecl::limit)] >>
                        -(word("on") >> word("error") >> one_of(actions)[put(&PolicyDecl::on_error)]) >> sign("}");

BOOST_SPIRIT_DEFINE(positive, step, linked_step, until, sequence, policy_line, limit)

}  // namespace

BOOST_SPIRIT_DEFINE(clause, rule_head, policy)
BOOST_SPIRIT_INSTANTIATE(decltype(clause), Iterator, Context)
BOOST_SPIRIT_INSTANTIATE(decltype(rule_head), Iterator, Context)
BOOST_SPIRIT_INSTANTIATE(decltype(policy), Iterator, Context)

}  // namespace tocsin::dsl::grammar
