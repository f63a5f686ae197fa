// Typed expressions to flat nodes. In row mode the subject is an event of one known type, fields are plain indices and windows
// are read in the feature stratum: the builder says which (`RowReads`). In late mode (after a sequence, at a deadline) the
// subject may be of several types and windows are asked for as of the moment.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dsl/rulebook.h"
#include "engine/compile/strings_build.h"
#include "engine/run/expr.h"

namespace tocsin::engine {

/// The windows that events of one type must have read for them; slots of their row.
struct RowReads {
  event::EventTypeId event = 0;
  struct Wanted {
    std::uint32_t aggregate = 0;
    std::vector<dsl::Expr> key;
    std::optional<dsl::Expr> probe;  // a set: the value looked for
  };
  std::vector<Wanted> wanted;  // by slot
  std::unordered_map<std::string, std::uint32_t>
      slots;  // by the meaning of aggregate, key and probe: equal ones share one
};

class ExprBuilder {
 public:
  /// `row`: row mode for its event type; nullptr: late mode. `book` is needed for lets, keys' meanings; may be nullptr for
  /// expressions that have neither.
  /// `texts` gathers the patterns; nullptr only where there are none.
  ExprBuilder(Codes& codes, RowReads* row, const dsl::Rulebook* book, TextPatternsBuild* texts = nullptr)
      : codes_(codes), row_(row), book_(book), texts_(texts) {}

  /// The lets that Op::let refers to; each is built once and shared.
  void set_lets(const std::vector<dsl::Let>* lets) {
    lets_ = lets;
    let_codes_.clear();
  }
  CodeId build(const dsl::Expr& expr);
  /// What of the value of an expression people may see, for the origins of nodes.
  void set_mask_of(std::function<event::Mask(const dsl::Expr&)> mask_of) { mask_of_ = std::move(mask_of); }

 private:
  CodeId node_of(const dsl::Expr& expr);
  CodeId add(Node node, const std::vector<CodeId>& children);
  CodeId read(const dsl::Expr& expr);
  CodeId text_match(const dsl::Expr& expr);
  /// The field, in written order, whose event says which rates hold (SEMANTICS V5).
  [[nodiscard]] CodeId first_field(CodeId code) const;
  std::pair<std::uint32_t, std::uint32_t> refs(const std::vector<dsl::FieldRef>& fields);

  Codes& codes_;
  RowReads* row_;
  const dsl::Rulebook* book_;
  TextPatternsBuild* texts_;
  const std::vector<dsl::Let>* lets_ = nullptr;
  std::map<std::uint32_t, CodeId> let_codes_;
  std::function<event::Mask(const dsl::Expr&)> mask_of_;
};

}  // namespace tocsin::engine
