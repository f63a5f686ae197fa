// Who sees what (SEMANTICS E5): live rules see what live rules did, shadow rules also what shadow rules did, and outside of its
// `rollout` share a rule is a shadow rule. The first pass over a book makes this plain in its expressions, so that nobody behind
// it asks for the mode of a rule: a condition on a label is one on live labels or on all of them, and what two views ask
// differently becomes two predicates and two features.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "dsl/rulebook.h"

namespace tocsin::engine {

/// Whether the book has rules whose effects somebody asks for; else it needs no views.
bool needs_views(const dsl::Rulebook& book);
dsl::Rulebook with_views(dsl::Rulebook book);

/// Numbers of effects: those of labels, behind them those of lists.
struct EffectUse {
  std::vector<std::set<std::uint32_t>> asked;  // by event type: when such an event is judged
  std::vector<std::set<std::uint32_t>> put;    // by event type: by rules that it may complete
  std::vector<bool> makes_hits;  // by event type: it may complete a rule whose hits somebody takes as events
  bool hits = false;             // some rule's hits are events
  std::set<std::uint32_t> asked_anywhere, put_anywhere;
  bool deadlines = false;  // some rule is completed by time
  Duration shortest_wait;  // of these
};
EffectUse effects_of(const dsl::Rulebook& book);
/// Labels, and lists that rules put entries on.
bool mentions_effects(const dsl::Expr& expr, const dsl::Rulebook& book);

}  // namespace tocsin::engine
