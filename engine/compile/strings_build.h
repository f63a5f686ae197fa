// Tests of texts to databases: which tests share one, and what each library makes of a pattern. Databases are kept by content for as
// long as a ruleset has them, so a reload compiles only what is new.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "dsl/check.h"
#include "engine/run/expr.h"
#include "engine/run/strings.h"
#include "event/schema.h"

namespace tocsin::engine {

/// What the library says against a regular expression.
std::optional<dsl::CheckOptions::PatternProblem> pattern_problem(std::string_view pattern, bool ignoring_case);

/// Gathers the tests of one ruleset while its expressions are built.
class TextPatternsBuild {
 public:
  /// The number of a pattern; equal ones are one.
  PatternId add(TextPattern::Kind kind, bool ignoring_case, std::string_view text);
  /// `node` tests a field of the event itself, so it may share a scan with others of that field.
  void may_share(std::uint32_t node, event::EventTypeId event, event::FieldIndex field, PatternId pattern);
  /// Compiles, and tells the nodes which scan they share. Requires: every regular expression passed pattern_problem().
  std::shared_ptr<const TextPatterns> finish(Codes& codes);

 private:
  struct Use {
    std::uint32_t node = 0;
    event::EventTypeId event = 0;
    event::FieldIndex field = 0;
    PatternId pattern = 0;
  };
  std::map<std::tuple<TextPattern::Kind, bool, std::string>, PatternId> ids_;
  std::vector<TextPattern> patterns_;
  std::vector<Use> uses_;
};

}  // namespace tocsin::engine
