// What lives of one program for one key: what its engine keeps of begun matches, and the completed ones that wait for
// their deadline (final `no`). One pointer when nothing has begun. Owned by the key; touched by one thread at a time;
// changed only by step() and advance().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/time.h"
#include "nfa/place.h"
#include "nfa/program.h"

namespace tocsin::nfa {

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

/// What an engine keeps of one program for one key. Each engine has its own; only its step knows more than stands here.
struct RunsBody {
  explicit RunsBody(Engine whose) : engine(whose) {}
  RunsBody(const RunsBody&) = delete;
  RunsBody& operator=(const RunsBody&) = delete;
  virtual ~RunsBody() = default;

  /// Nothing that a later event could use, and no mark that a later match must bear: then step() and advance() let the
  /// body go.
  [[nodiscard]] virtual bool empty() const = 0;
  /// Appends the positions of all events that are referred to, some perhaps several times.
  virtual void events(std::vector<std::uint64_t>& out) const = 0;
  /// Bytes of this object and what it holds.
  [[nodiscard]] virtual std::size_t bytes() const = 0;
  [[nodiscard]] virtual std::optional<Timestamp> next_deadline() const = 0;
  [[nodiscard]] virtual std::optional<std::uint64_t> oldest_needed() const = 0;
  [[nodiscard]] virtual std::optional<Timestamp> expires_at(const Program& program) const = 0;
  /// Complete matches that wait for partial ones that began earlier.
  [[nodiscard]] virtual std::size_t held_count() const { return 0; }
  /// Of all that wait, in order.
  [[nodiscard]] virtual std::vector<Timestamp> deadlines() const = 0;
  /// Asks for the memory that the next step will look at.
  virtual void prefetch() const = 0;
  virtual void encode(const Program& program, ByteWriter& out) const = 0;

  const Engine engine;
};

/// What `search` keeps.
struct Body final : RunsBody {
  Body() : RunsBody(Engine::search) {}
  [[nodiscard]] bool empty() const override { return head == kept.size() && pending.empty() && lost == Place{}; }
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override;
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override;
  void events(std::vector<std::uint64_t>& out) const override;
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::vector<Timestamp> deadlines() const override;
  void prefetch() const override;
  void encode(const Program& program, ByteWriter& out) const override;

  /// `event_bytes` when nobody has counted them since they were read from a store.
  static constexpr std::uint64_t uncounted = UINT64_MAX;

  std::vector<Kept> kept;         // in total order, from `head` on
  std::vector<Value> values;      // of kept[i] at i * program.values.size()
  std::size_t head = 0;           // dropped in front, freed now and then
  std::size_t late_count = 0;     // late ones among the kept
  std::uint64_t event_bytes = 0;  // what the log holds for the kept ones (Host::event_bytes)
  std::vector<Pending> pending;   // by (deadline, last), which is the order of arrival
  std::vector<Place> reach;       // per step: the newest first event of a chain up to it; Place{} for none
  Place floor;                    // a match begins at or after it (M)
  Place lost;                     // the newest one dropped by the byte limit, while a match may miss it
  Place newest_start;             // the newest kept one that may begin a match
  Place newest_beyond;            // the newest one kept with a bit of Program::beyond_mask
};

// How bodies write what they are made of.
void put_bound(ByteWriter& out, const Bound& b);
Bound get_bound(ByteReader& in);
void put_value(ByteWriter& out, Value v);
Value get_value(ByteReader& in);

/// The memory of a body that a step begins with, whatever its engine.
inline constexpr std::size_t runs_body_bytes = 192;

class Runs {
 public:
  Runs() = default;
  /// Nothing that a later event could use.
  [[nodiscard]] bool empty() const { return body == nullptr || body->empty(); }
  /// Bytes held outside of this object.
  [[nodiscard]] std::size_t bytes() const { return body == nullptr ? 0 : body->bytes(); }

  std::unique_ptr<RunsBody> body;  // for the engine of the program
};

/// Appends; the bytes begin with a format version and the program's fingerprint.
void encode(const Program& program, const Runs& runs, std::string& out);
/// Nothing when the bytes are not whole, of another version or of a program that means something else. Any bytes are
/// safe.
std::optional<Runs> decode(const Program& program, std::string_view bytes);

/// What an engine wrote with RunsBody::encode(); nothing when the bytes are not those of a body of this program.
std::unique_ptr<RunsBody> decode_body(const Program& program, ByteReader& in);

/// Through its bytes.
Runs copy(const Program& program, const Runs& runs);

/// When advance() must be called next, at the latest: the deadline fires when time is past it.
inline std::optional<Timestamp> next_deadline(const Runs& runs) {
  return runs.body == nullptr ? std::nullopt : runs.body->next_deadline();
}
inline std::size_t held_count(const Runs& runs) { return runs.body == nullptr ? 0 : runs.body->held_count(); }
/// Appends the positions of all events still referred to; the log of the key needs no others.
inline void events(const Runs& runs, std::vector<std::uint64_t>& out) {
  if (!runs.empty()) runs.body->events(out);
}
/// The smallest event position still referred to; the log of the key may be cut below it.
inline std::optional<std::uint64_t> oldest_needed(const Runs& runs) {
  return runs.empty() ? std::nullopt : runs.body->oldest_needed();
}
/// From then on nothing kept can be used, unless events come before: the key may forget these runs. Nothing: never.
std::optional<Timestamp> expires_at(const Program& program, const Runs& runs);

}  // namespace tocsin::nfa
