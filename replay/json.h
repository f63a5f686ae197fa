// A record as a tree, for those who read what the engine wrote: rule tests, golden cases. It takes JSON as it comes and keeps numbers as
// they are written; the hot path never sees it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::replay {

struct Json {
  enum class Kind { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  std::string text;  // string: unescaped; number, boolean: as written
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;  // in the order of the text

  /// Nothing there: a null.
  [[nodiscard]] const Json& operator[](std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] bool is_true() const { return kind == Kind::boolean && text == "true"; }
};

/// Nothing when `text` is not one JSON value (nested at most 64 deep).
std::optional<Json> parse_json(std::string_view text);

}  // namespace tocsin::replay
