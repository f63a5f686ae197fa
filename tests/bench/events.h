// The events of the benchmarks: payments of many users as lines of JSON, 13 fields and about 260 bytes each, made from a seed. Four
// milliseconds lie between two of them, so that an hour holds 900,000: behind the first million what is remembered for an hour
// has stopped growing. The first events go through all users once, in a scattered order, so that every key is alive then; what
// follows draws its user at random, or goes on in turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::bench {

/// The declarations that the lines follow, as rule text.
std::string_view event_declarations();

enum class Turn : std::uint8_t { random, in_turn };

class Events {
 public:
  /// Requires: `users` is at most ten million and no multiple of the prime that scatters them.
  explicit Events(std::uint32_t users, Turn turn = Turn::random);

  /// The next `count` events. The lines stand one behind the other in one buffer, with what decoders want to read behind the last;
  /// they are valid until the next call.
  std::span<const std::string_view> next(std::size_t count);

  [[nodiscard]] std::uint32_t users() const { return users_; }
  [[nodiscard]] std::uint64_t made() const { return made_; }

 private:
  std::uint64_t random();
  void write(std::string& out);

  std::uint32_t users_;
  Turn turn_;
  std::uint64_t state_ = 1;
  std::uint64_t made_ = 0;
  std::string buffer_;
  std::vector<std::size_t> ends_;
  std::vector<std::string_view> lines_;
};

}  // namespace tocsin::bench
