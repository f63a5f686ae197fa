// The windows of one key: a column holds, in order (time, release), the entries of one source, condition and argument
// for one key, and answers every window over them. Windows of one column share its entries and differ in function,
// reach and length.
//
// The invariant: what a window answers is a function of the entries and the moment asked about, never of which reads
// came before. Reads at the end of the order (the usual case) are incremental: each window keeps where it begins and
// running sums behind it. A read at an earlier moment (a late event, a deadline, a batch whose entries all went in
// first) is answered by a scan when the running state has already moved past it, and is exact as well. Sums are kept in
// 192 bits, so that their order does not matter and overflow is known, not guessed (LANGUAGE V1).
//
// Owned by the slab of its key; one thread at a time. The layout is constant and shared by all keys; handing another
// layout to a column than the one it was filled with is a mistake of the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "event/schema.h"
#include "event/value.h"

namespace tocsin::state {

enum class Function : std::uint8_t { count, sum, avg, min, max, distinct, first, last };

/// `last`: time in (t-W, t], the judged event included. `before`: time in [t-W, t], the judged event excluded
/// (SEMANTICS W1).
enum class Reach : std::uint8_t { last, before };

std::string_view to_text(Function function);
std::string_view to_text(Reach reach);

struct Window {
  Function function = Function::count;
  Reach reach = Reach::last;
  Duration length;
  bool operator==(const Window&) const = default;
};

/// A place in the order. `release` is the engine-wide number of the event being judged; it grows also for late events,
/// so that what was not yet known at a moment is never seen at it.
struct Moment {
  Timestamp time;
  std::uint64_t release = 0;  // below 2^63
  auto operator<=>(const Moment&) const = default;
};

/// What the columns of one feature source have in common. Constant after construction.
struct ColumnLayout {
  ColumnLayout() = default;
  ColumnLayout(std::vector<Window> column_windows, event::Type argument, std::uint64_t meaning);

  std::vector<Window> windows;
  event::Type type;               // of the argument; any when all windows are counts
  std::uint64_t fingerprint = 0;  // of what the column means
  // Derived from the above.
  event::Kind kind = event::Kind::missing;
  std::uint8_t payload_bytes = 0;  // per entry: 0 (only counts), 8, 16, or 24 (money of any currency)
  bool keeps_missing = true;       // a count is among the windows: entries without argument are kept

  /// The longest window: an entry older than this is asked for by none.
  [[nodiscard]] Duration horizon() const { return horizon_; }
  [[nodiscard]] std::string dump() const;

 private:
  Duration horizon_;
};

class Column {
 public:
  /// Entries of one column: a bound for the memory of one key (2 GiB at the widest), far above any threshold one would
  /// write.
  static constexpr std::uint32_t entries_max = 1U << 26U;

  Column();
  Column(Column&& other) noexcept;
  Column& operator=(Column&& other) noexcept;
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;
  ~Column();

  /// Adds the entry of one event. An argument that is missing (or money of another currency than the fixed one) counts
  /// for `count` only. Texts are copied. False when the column is full: the entry is not kept, and the caller counts
  /// it. Requires: at.release < 2^63.
  bool insert(const ColumnLayout& layout, Moment at, const event::Value& argument);

  /// What window `window_index` answers at `at`. A text points into the column and stays until its entry expires. When
  /// the window reaches back before `data_begins` it is warming (SEMANTICS W11): count, distinct and max are lower
  /// bounds, min is an upper bound, everything else is missing.
  event::Value read(const ColumnLayout& layout, std::size_t window_index, Moment at,
                    Timestamp data_begins = Timestamp::min());

  /// Drops the entries that no read at `earliest_read` or later can need. The owner calls it between batches.
  void expire(const ColumnLayout& layout, Timestamp earliest_read);

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }
  /// Time of the oldest entry. Requires: not empty.
  [[nodiscard]] Timestamp oldest(const ColumnLayout& layout) const;
  /// Memory held, roughly, itself included.
  [[nodiscard]] std::size_t bytes(const ColumnLayout& layout) const;

  void encode(const ColumnLayout& layout, std::string& out) const;
  /// Any bytes are safe; what is not a column of this layout is refused as corrupt.
  static Result<Column> decode(const ColumnLayout& layout, std::string_view bytes);

 private:
  struct Entry;
  struct WindowState;
  class Texts;
  class Fold;
  friend class Fold;

  [[nodiscard]] const char* place(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] Timestamp time_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] std::uint64_t release_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] Entry entry_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] event::Value value_of(const ColumnLayout& layout, const Entry& entry) const;
  [[nodiscard]] int compare(const ColumnLayout& layout, const Entry& a, const Entry& b) const;
  [[nodiscard]] std::uint64_t first_from(const ColumnLayout& layout, Timestamp from) const;
  [[nodiscard]] event::Value scan(const ColumnLayout& layout, Function function, Timestamp from, Timestamp to,
                                  std::uint64_t release_end) const;
  event::Value read_exact(const ColumnLayout& layout, std::size_t window_index, Timestamp from, Timestamp to,
                          std::uint64_t release_end);
  event::Value extreme(const ColumnLayout& layout, Function function, WindowState& state, std::uint64_t end) const;
  void fold_in(Function function, WindowState& state, const Entry& entry) const;
  void fold_out(Function function, WindowState& state, const Entry& entry) const;
  void move_head(const ColumnLayout& layout, Function function, WindowState& state, std::uint64_t end,
                 Timestamp from) const;
  void resize(const ColumnLayout& layout, std::uint32_t capacity);
  void store(const ColumnLayout& layout, std::uint64_t position, const Entry& entry);
  void recheck(const ColumnLayout& layout);
  void clear();

  std::unique_ptr<char[]> entries_;         // capacity_ places of 16 + payload_bytes each
  std::unique_ptr<WindowState[]> windows_;  // made by the first read
  std::unique_ptr<Texts> texts_;            // made by the first text
  std::uint64_t base_ = 0;                  // position of the oldest entry; positions only grow
  std::uint64_t newest_release_ = 0;        // the highest release of all entries
  std::uint32_t begin_ = 0;                 // place of the oldest entry
  std::uint32_t count_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint16_t currency_ = 0;  // money: of the first entry that has one
  bool ordered_ = true;         // releases grow with the order: no late entry among them
  bool mixed_ = false;          // money: entries of several currencies
};
static_assert(sizeof(Column) <= 64, "a key has many columns and most are empty");

}  // namespace tocsin::state
