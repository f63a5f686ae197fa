// Conditions of many predicates as rows of bits per field (engine/run/predicates.h says how they are used).
#pragma once

#include <vector>

#include "engine/compile/expr_build.h"
#include "engine/run/predicates.h"

namespace tocsin::engine {

struct IndexedPredicate {
  nfa::PredicateId id{};
  dsl::Expr condition;
};

/// The table of one event type and stratum. `builder` is in row mode for that type.
PredicateTable build_predicates(const std::vector<IndexedPredicate>& predicates, event::EventTypeId type,
                                const event::Schema& schema, ExprBuilder& builder);

}  // namespace tocsin::engine
