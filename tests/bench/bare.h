// The yardstick: simdjson alone over the same lines. Every field is visited and its value taken, texts as views and numbers as
// doubles; nothing is kept, looked up or checked. What an engine costs is said as a share of this, since machines differ and
// ratios do not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace tocsin::bench {

class Bare {
 public:
  Bare();
  ~Bare();
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  /// Something that depends on every value, so that none is left out. Requires: padding behind the lines.
  std::uint64_t decode(std::span<const std::string_view> lines);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tocsin::bench
