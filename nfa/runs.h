// What lives of one program for one key: the occurrences that may still be part of a match, and the completed ones that
// wait for their deadline (final `no`). One pointer when nothing has begun. Owned by the key; touched by one thread at
// a time; changed only by step() and advance().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "nfa/program.h"

namespace tocsin::nfa {

/// A place in the total order (T1).
struct Place {
  Timestamp time = Timestamp::min();
  std::uint64_t order = 0;
  constexpr auto operator<=>(const Place&) const = default;
};

/// One kept occurrence. Hot: the search walks an array of these.
struct Kept {
  std::uint64_t event = 0;  // position in the log of the key
  std::uint64_t order = 0;  // arrival number
  std::int64_t time = 0;    // microseconds
  std::uint64_t bits = 0;   // of the program; late_bit
  [[nodiscard]] Place place() const { return {{time}, order}; }
  [[nodiscard]] bool late() const { return (bits & late_bit) != 0; }
  static constexpr std::uint64_t late_bit = std::uint64_t{1} << 63U;
};
static_assert(sizeof(Kept) == 32);

/// A last event whose match is decided at its time plus the longest final wait.
struct Pending {
  Place last;
  Timestamp deadline;
};

struct Body {
  std::vector<Kept> kept;            // in total order, from `head` on
  std::vector<std::int64_t> values;  // of kept[i] at i * program.values.size()
  std::size_t head = 0;              // dropped in front, freed now and then
  std::size_t late_count = 0;        // late ones among the kept
  std::vector<Pending> pending;      // by (deadline, last), which is the order of arrival
  std::vector<Place> reach;          // per step: the newest first event of a chain up to it; Place{} for none
  Place floor;                       // a match begins at or after it (M)
  Place lost;                        // the newest one dropped by the byte limit
  Place newest_start;                // the newest kept one that may begin a match
};

class Runs {
 public:
  Runs() = default;
  /// Nothing that a later event could use.
  [[nodiscard]] bool empty() const;
  /// Bytes held outside of this object.
  [[nodiscard]] std::size_t bytes() const;

  std::unique_ptr<Body> body;  // for step.cpp and runs.cpp
};

/// Appends; the bytes begin with a format version and the program's fingerprint.
void encode(const Program& program, const Runs& runs, std::string& out);
/// Nothing when the bytes are not whole, of another version or of a program that means something else. Any bytes are
/// safe.
std::optional<Runs> decode(const Program& program, std::string_view bytes);

/// When advance() must be called next, at the latest: the deadline fires when time is past it.
std::optional<Timestamp> next_deadline(const Runs& runs);
/// The smallest event position still referred to; the log of the key may be cut below it.
std::optional<std::uint64_t> oldest_needed(const Runs& runs);
/// From then on nothing kept can be used, unless events come before: the key may forget these runs. Nothing: never.
std::optional<Timestamp> expires_at(const Program& program, const Runs& runs);

}  // namespace tocsin::nfa
