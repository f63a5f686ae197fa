// Rule text of the benchmarks, made here so that its size can be chosen, and what it compiles to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/run/ruleset.h"

namespace tocsin::bench {

/// `count` rules on payments, each a conjunction of two to four conditions on different fields. The first one asks for one user,
/// device or merchant, so that a thousand of them together are true for about one event in a hundred and not one hit after
/// another is what gets measured.
std::string stateless_rules(std::uint32_t count, std::uint64_t seed = 7);

/// Three steps of one user within an hour; each is one event in ten.
std::string sequence_rule(const std::string& name = "steps");

/// `live` sequences that one event in ten each begins and nothing completes, and `idle` ones that nothing begins, though about half
/// of all events would be the second step of each.
std::string many_sequence_rules(std::uint32_t live, std::uint32_t idle);

/// `count` sequences that begin with the same two steps, each one event in ten, and end with one that never comes. Not `alike`: the
/// first one says something of its own in each.
std::string beginning_rules(std::uint32_t count, bool alike);

/// Five windows per user, read at each payment and asked by a rule that is never true.
std::string feature_rule();

/// Makes every payment one that gets a decision.
std::string deciding_rule();

/// A pack as people write it, with its own events, policies, streams and lists: `count` rules of eight kinds (counts, ratios, sequences,
/// absences, texts, labels) of some 680 bytes each, with other names and thresholds in every eight. Requires: a multiple of eight.
std::string rule_pack(std::uint32_t count, std::uint64_t seed = 11);

/// Requires: a text that the checker takes; stops the program with its messages otherwise. The event declarations stand in front.
std::shared_ptr<const engine::Ruleset> compile(const std::string& text);

}  // namespace tocsin::bench
