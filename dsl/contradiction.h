// Whether checked conditions can be true together, by what is known of their parts without any event: bounds of a value, values an
// enumeration has, order between two values, what is missing. It is not complete and need not be: "no" is certain, "yes" means that no
// contradiction was found. Conditions of the three-valued logic: true is meant, not "not false".
//
// The method is the one of interval domains in abstract interpretation (Cousot and Cousot 1977), over a conjunction; of an `or` each part
// is tried.
#pragma once

#include <optional>
#include <vector>

#include "dsl/rulebook.h"

namespace tocsin::dsl {

struct Assumed {
  const Expr* condition = nullptr;
  enum class Truth { is_true, is_false, not_true } truth = Truth::is_true;  // not_true: false or unknown
};

struct Known {
  const std::vector<Let>* lets = nullptr;   // of the rule the conditions stand in
  const Sequence* sequence = nullptr;       // bounds the size of its groups
  std::optional<event::EventTypeId> event;  // the subject is of this type
};

/// Answers about one book. Requires: what is in it stays as it is; it may grow.
class Contradictions {
 public:
  explicit Contradictions(const Rulebook& book) : book_(book), meanings_(book) {}
  /// False: these can never be so together.
  bool possible(const std::vector<Assumed>& conditions, const Known& known);

 private:
  const Rulebook& book_;
  Meanings meanings_;
};

}  // namespace tocsin::dsl
