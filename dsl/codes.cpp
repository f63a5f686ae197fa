#include "dsl/codes.h"

#include <algorithm>
#include <array>

namespace tocsin::dsl {
namespace {

constexpr CodeEntry entries[] = {
    {Code::assignment_in_condition, "`=` stands in a condition, where `==` compares"},
    {Code::syntax, "something else is expected at this place"},
    {Code::nesting_too_deep, "more than 100 levels of brackets, `not` or aggregates inside each other"},
    {Code::chain_too_long, "more than 1,000 parts in one chain of operators"},
    {Code::bad_literal, "a number, duration or text that does not read"},
    {Code::bad_text_encoding, "the file is not UTF-8"},
    {Code::and_or_mixed, "`and` and `or` are mixed without parentheses"},
    {Code::unclosed, "a text, bracket or brace is not closed"},
    {Code::chained_comparison, "comparisons do not chain"},
    {Code::unknown_name, "a name that nothing declares"},
    {Code::unknown_event, "an event or stream that nothing declares"},
    {Code::unknown_field, "the event has no field of this name"},
    {Code::duplicate_name, "two things have one name"},
    {Code::shadowed_name, "a name hides another of an outer place"},
    {Code::unknown_type, "a type that does not exist"},
    {Code::bad_event_declaration, "an event needs exactly one key and one time"},
    {Code::unknown_list, "a list that nothing declares"},
    {Code::unknown_function, "a function that does not exist"},
    {Code::wrong_arguments, "the function takes other arguments"},
    {Code::type_mismatch, "values of kinds that do not go together"},
    {Code::not_a_condition, "a condition (true or false) is expected"},
    {Code::unknown_enum_value, "the field never has this value"},
    {Code::cyclic_definition, "definitions that need each other in a circle"},
    {Code::money_currency_unknown, "money of unknown currency is compared with an amount"},
    {Code::currency_mismatch, "amounts of two currencies are combined"},
    {Code::bad_network, "a text is not a network"},
    {Code::bad_list_entry, "an entry of a list is not of its type"},
    {Code::cannot_read_file, "a file that a declaration names cannot be read"},
    {Code::text_placeholder, "a placeholder in a text does not read"},
    {Code::bad_table, "a table that is not declared as tables are"},
    {Code::bad_table_row, "a line of a table's file that is no row of it"},
    {Code::bad_pattern, "a regular expression that does not read, or could run away"},
    {Code::unknown_mask, "a mask that does not exist, or does not go with the field"},
    {Code::no_clock, "a rule that asks the clock"},
    {Code::no_key_field, "the event has no field of this kind of key"},
    {Code::window_unsaid, "a window does not say whether the current event counts"},
    {Code::ambiguous_key, "the event has two fields of this kind of key"},
    {Code::bad_window, "a window of no or of too much time"},
    {Code::aggregate_argument, "an aggregate takes another kind of value"},
    {Code::alias_in_aggregate, "an aggregate cannot see the aliases of the rule"},
    {Code::of_needs_single_key, "`of` needs a feature with exactly one key"},
    {Code::unknown_zone, "a time zone that does not exist"},
    {Code::set_out_of_place, "a window's set of values stands behind `in` only"},
    {Code::missing_clause, "a rule lacks a clause that it needs"},
    {Code::duplicate_clause, "a clause stands twice in a rule"},
    {Code::clause_not_here, "a clause that this kind of rule cannot have"},
    {Code::only_absences, "a sequence needs a step that happens"},
    {Code::bad_count, "a count of events that cannot be"},
    {Code::consecutive_without_count, "`consecutive` needs a count"},
    {Code::middle_no_with_for, "a `no` between two steps takes no `for`"},
    {Code::first_no_without_for, "a `no` at the beginning needs a duration"},
    {Code::final_no_without_for, "a `no` at the end needs a duration"},
    {Code::optional_last, "the last step cannot be optional"},
    {Code::within_on_first, "the first step takes no `within`"},
    {Code::link_on_first, "the first step takes no `first` or `next`"},
    {Code::later_alias, "a step cannot see a later step"},
    {Code::compare_group, "a group of events cannot be compared as one value"},
    {Code::count_in_parts, "a part of `all of` or `any of` cannot be this"},
    {Code::unknown_step, "no step has this name"},
    {Code::circle_of_rules, "rules that wait for each other's hits in a circle"},
    {Code::resolve_without_key, "the resolving event lacks a key of the rule"},
    {Code::bad_date, "a text is not a date"},
    {Code::bad_policy, "a policy that cannot be followed"},
    {Code::bad_test, "a test that cannot be run"},
    {Code::cannot_build, "a rule that the engine cannot run as it is written"},
    {Code::never_true, "a rule that can never fire"},
    {Code::unbounded_sequence, "a sequence without a bound in time"},
    {Code::coalesce_without_parentheses, "`??` beside another operator without parentheses"},
    {Code::default_policy, "rules decide on an event that no policy names"},
    {Code::unused_switch, "a switch that no rule names"},
    {Code::late_decisions, "decisions wait for the lateness of a source"},
    {Code::pick_every, "`pick every` gives at most 100 matches for one event"},
    {Code::decides_nothing, "a rule that time completes decides no event"},
    {Code::flags_unknown, "flags of addresses are asked for, and no table says them"},
    {Code::optional_field_silent, "the rule stays silent when an optional field is missing"},
    {Code::never_used, "a declaration that nothing refers to"},
    {Code::unreachable_line, "a line of a policy that never decides"},
    {Code::fires_every_time, "a rule that goes on firing, without `alert once`"},
    {Code::always_true, "a part of a condition that is always true"},
    {Code::costly_step, "a step that is asked for every pair of events"},
    {Code::state_under_one_key, "a key that names a thing of several states, not an event"},
    {Code::step_never_filled, "a step that no event can take"},
    {Code::accept_without_use, "`# accept` that silences nothing"},
    {Code::means_otherwise, "written as in another language, where it means something else"},
    {Code::test_without_expect, "a test that expects nothing"},
};

constexpr bool ascending() {
  for (std::size_t i = 1; i < std::size(entries); ++i) {
    if (entries[i - 1].code >= entries[i].code) return false;
  }
  return true;
}
static_assert(ascending(), "the register is searched and printed in order of its numbers");

/// "E0000" to "W0999", made once: callers keep views of them.
constexpr auto letters = [] {
  std::array<std::array<char, 5>, 1000> made{};
  for (std::size_t i = 0; i < made.size(); ++i) {
    const auto digit = [](std::size_t n) { return static_cast<char>('0' + n % 10); };
    made[i] = {i / 100 == 5 ? 'W' : 'E', '0', digit(i / 100), digit(i / 10), digit(i)};
  }
  return made;
}();

}  // namespace

std::span<const CodeEntry> code_register() { return entries; }

bool is_advice(Code code) {
  switch (code) {
    case Code::never_used:
    case Code::fires_every_time:
    case Code::costly_step:
    case Code::state_under_one_key: return true;
    default: return false;
  }
}

std::string_view letter_of(Code code) {
  const auto& text = letters[static_cast<std::size_t>(code) % letters.size()];
  return {text.data(), text.size()};
}

}  // namespace tocsin::dsl
