// What the entries of a column depend on: which fields of which events, which other windows, and whether on anything that the
// history of events does not tell (labels, lists that rules change, hits). So it is known how far back the history can fill a
// window (engine/run/fill.h).
#pragma once

#include <vector>

#include "engine/compile/plan.h"

namespace tocsin::engine {

/// By column of the plan. Requires: assign_strata has run.
std::vector<ColumnOrigin> origins_of(const Plan& plan, const dsl::Rulebook& book);

}  // namespace tocsin::engine
