// The register of diagnostic numbers, grouped: 01xx how it is written, 02xx names, types and values, 03xx windows and features,
// 04xx rules and sequences, 05xx warnings. A number is never used twice, also not after its message is gone.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tocsin::dsl {

enum class Code : std::uint16_t {
  // 01xx: how it is written
  assignment_in_condition = 101,  // `=` where `==` is meant
  syntax = 102,                   // something else is expected here
  nesting_too_deep = 103,
  chain_too_long = 104,
  bad_literal = 105,        // a number, duration, time, escape that does not read
  bad_text_encoding = 106,  // not UTF-8
  and_or_mixed = 107,
  unclosed = 108,  // a string, bracket or brace without its end
  chained_comparison = 142,
  // 02xx: names, types, values
  unknown_name = 201,
  unknown_event = 202,
  unknown_field = 203,
  duplicate_name = 204,
  shadowed_name = 205,
  unknown_type = 206,
  bad_event_declaration = 207,  // no key, no time, two of them, wrong type of one
  unknown_list = 208,
  unknown_function = 209,
  wrong_arguments = 210,
  type_mismatch = 211,    // compare or combine things that do not go together
  not_a_condition = 212,  // true or false wanted
  unknown_enum_value = 213,
  cyclic_definition = 214,
  money_currency_unknown = 225,
  currency_mismatch = 226,
  bad_network = 231,
  bad_list_entry = 232,
  cannot_read_file = 233,
  text_placeholder = 234,  // a {…} of `because` that does not read
  bad_table = 235,         // how a table is declared
  bad_table_row = 236,     // a line of a table's file
  bad_pattern = 237,       // a regular expression that does not read, or that could run away
  unknown_mask = 238,
  no_clock = 239,  // `now`
  // 03xx: windows and features
  no_key_field = 301,  // the event has no field of that kind
  window_unsaid = 311,
  ambiguous_key = 312,
  bad_window = 313,  // zero, negative, longer than allowed
  aggregate_argument = 314,
  alias_in_aggregate = 315,
  of_needs_single_key = 316,
  unknown_zone = 317,
  set_out_of_place = 318,  // a window's set elsewhere than behind `in`
  // 04xx: rules and sequences
  missing_clause = 401,
  duplicate_clause = 402,
  clause_not_here = 403,  // a clause that this kind of rule cannot have
  only_absences = 410,
  bad_count = 411,
  consecutive_without_count = 412,
  middle_no_with_for = 413,
  first_no_without_for = 414,
  final_no_without_for = 415,
  optional_last = 416,
  within_on_first = 417,
  link_on_first = 418,  // `first` or `next` on the first step
  later_alias = 419,
  compare_group = 420,
  count_in_parts = 421,
  unknown_step = 422,
  circle_of_rules = 423,
  resolve_without_key = 424,
  bad_date = 425,
  bad_policy = 426,
  bad_test = 427,
  cannot_build = 430,  // means something, but more than the engine can run
  // 05xx: warnings
  never_true = 502,
  unbounded_sequence = 503,
  coalesce_without_parentheses = 504,
  default_policy = 505,
  unused_switch = 506,
  late_decisions = 507,
  pick_every = 508,
  decides_nothing = 509,  // `decide` in a rule that time completes
  flags_unknown = 510,    // ip_flag without a table of flags
  optional_field_silent = 520,
  never_used = 530,           // by lint: a declaration that nothing refers to
  unreachable_line = 531,     // of a policy
  fires_every_time = 532,     // by lint: no `alert once` on a rule that goes on firing
  always_true = 533,          // a part of a condition that says nothing
  costly_step = 534,          // by lint
  state_under_one_key = 535,  // by lint: an idempotency key that names a thing, not an event
  step_never_filled = 536,
  accept_without_use = 537,
  means_otherwise = 538,  // it means something else in other languages
  test_without_expect = 539,
};
// E0901 said "not built yet", of what is built now.

struct CodeEntry {
  Code code;
  std::string_view title;  // one line for the register and `tocsin explain E0203`
};
/// Whether only `tocsin lint` says it: advice, not a likely mistake.
bool is_advice(Code code);
/// All codes in ascending order.
std::span<const CodeEntry> code_register();
/// "E0203", "W0520".
std::string_view letter_of(Code code);

}  // namespace tocsin::dsl
