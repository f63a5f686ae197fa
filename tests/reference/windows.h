// Windows by the letter: all events there were, counted anew for every question. Slow, and without any of the ideas of
// state/column.h: no sums that go along, no positions, every stretch by comparing times. Wide numbers are only as wide as the
// small values of tests need.
#pragma once

#include <vector>

#include "state/column.h"

namespace tocsin::tests {

/// One event of a window's source, or (mark) of the X of `since last X`.
struct Fact {
  state::Moment at;
  event::Value value;
  bool mark = false;
};

/// What a window over arguments of `type` says. Facts in any order. Approximate windows are counted exactly.
event::Value recount(const event::Type& type, const std::vector<Fact>& facts, const state::Window& window,
                     const state::Column::Question& question);

}  // namespace tocsin::tests
