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
// What a read costs when it is incremental, n being the entries of the window: count, sum, avg, first and last O(1); distinct,
// entropy and holds one place of a hash table per entry that comes or goes; min and max amortised O(1) (a monotone queue);
// variance, stddev and cv some additions of 512 bits per entry and one root per read; percentile see ordered_values.h.
// Windows of one column over the same stretch that need the same running state (sum and avg, all percentiles …) share it.
//
// Windows may be `approximate`: distinct_sample.h (a column of its own, of hashes) and log_scale.h tell how, and what it saves.
//
// A column of windows `since last X` holds the X of its key too, as entries that are only marks.
//
// Owned by the slab of its key; one thread at a time. The layout is constant and shared by all keys; handing another
// layout to a column than the one it was filled with is a mistake of the caller.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "event/calendar.h"
#include "event/schema.h"
#include "event/value.h"
#include "state/log_scale.h"

namespace tocsin::state {

/// `holds`: whether a value asked for is among those of the window.
enum class Function : std::uint8_t {
  count,
  sum,
  avg,
  min,
  max,
  distinct,
  first,
  last,
  variance,
  stddev,
  cv,
  percentile,
  entropy,
  holds,
};

/// Which moments a window holds, asked at t (SEMANTICS W1, W8, W9):
/// `last`: (t-W, t], the judged event included. `before`: [t-W, t], the judged event excluded; with a gap G
/// [t-G-W, t-G). `calendar`: from the last start of the unit in the zone to t, the judged event included. `since`: after
/// the last mark before the judged event, up to and with it, and no further back than (t-W, t].
enum class Reach : std::uint8_t { last, before, calendar, since };

std::string_view to_text(Function function);
std::string_view to_text(Reach reach);

struct Window {
  Function function = Function::count;
  Reach reach = Reach::last;
  Duration length;
  Duration gap;                  // before
  bool gaps = false;             // of the durations between neighbouring values, instead of the values
  std::uint64_t percent_e9 = 0;  // percentile, in 10^-9
  std::uint32_t error_ppm = 0;   // distinct, percentile: approximate, with this relative error; 0: exact
  event::CalendarUnit unit = event::CalendarUnit::day;
  const event::Zone* zone = nullptr;  // calendar

  bool operator==(const Window&) const = default;
  /// The earliest and the latest time that an entry may have.
  [[nodiscard]] Timestamp first_time(Timestamp t) const {
    switch (reach) {
      case Reach::last:
      case Reach::since: return t - length + Duration{1};
      case Reach::before: return t - gap - length;
      case Reach::calendar: return zone->start_of(unit, t);
    }
    return t;
  }
  [[nodiscard]] Timestamp last_time(Timestamp t) const { return gap.us == 0 ? t : t - gap - Duration{1}; }
  /// Whether the judged event itself may stand in it.
  [[nodiscard]] bool with_event() const { return reach != Reach::before; }
  /// From when on the window is known whole, if data begins at `begins`; `since` may be earlier, with the first mark.
  [[nodiscard]] Timestamp known_from(Timestamp begins) const;
};

/// A place in the order. `release` is the engine-wide number of the event being judged; it grows also for late events,
/// so that what was not yet known at a moment is never seen at it.
struct Moment {
  Timestamp time;
  std::uint64_t release = 0;  // below 2^62
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
  bool marked = false;             // all windows are `since`: marks are among the entries
  std::uint64_t sample_max =
      0;  // all windows are approximate distinct: entries are hashes, a sample of them is counted

  /// What windows remember between reads, shared by those of the same stretch and need.
  enum class Family : std::uint8_t { none, sums, extreme, moments, counted, ordered, classes };
  struct Running {
    std::uint32_t window = 0;  // one of those that share it
    Family family = Family::none;
    bool gaps = false;
    bool weighs = false;                    // counted: an entropy is among them
    bool levels = false;                    // counted: of a sample
    std::shared_ptr<const LogScale> scale;  // classes
  };
  std::vector<Running> running;
  std::vector<std::uint32_t> running_of;  // by window

  Duration gap_max;  // the longest of windows that end before the event

  /// The earliest time that a read at `earliest_read` or later may ask for.
  [[nodiscard]] Timestamp needed_from(Timestamp earliest_read) const;
  [[nodiscard]] std::string dump() const;
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
  /// it. Requires: at.release < 2^62.
  bool insert(const ColumnLayout& layout, Moment at, const event::Value& argument);
  /// Adds a mark: windows `since` begin behind it for every event after this moment. An event that is an entry and a mark is
  /// inserted first. Requires: layout.marked.
  bool mark(const ColumnLayout& layout, Moment at);

  struct Question {
    Moment at;
    Timestamp data_begins = Timestamp::min();
    const event::Value* probe = nullptr;  // holds: the value looked for
    bool deadline = false;                // no event is judged: everything up to the moment is before it
  };
  /// What window `window_index` answers. A text points into the column and stays until its entry expires. When the window
  /// reaches back before `data_begins` it is warming (SEMANTICS W11): count, distinct and max are lower bounds, min is an
  /// upper bound, holds is true or missing, everything else is missing.
  event::Value answer(const ColumnLayout& layout, std::size_t window_index, const Question& question);
  event::Value read(const ColumnLayout& layout, std::size_t window_index, Moment at,
                    Timestamp data_begins = Timestamp::min()) {
    return answer(layout, window_index, {at, data_begins, nullptr, false});
  }

  /// Brings what insert() and answer() look at first into the cache; changes nothing.
  void prefetch(const ColumnLayout& layout) const;

  /// What a window holds at a moment, whether its function uses it or not; for people. Times mean something when there are
  /// entries.
  struct Content {
    std::uint64_t entries = 0;
    Timestamp first, last;
  };
  [[nodiscard]] Content content(const ColumnLayout& layout, std::size_t window_index, const Question& question) const;

  /// Drops the entries that no read at `earliest_read` or later can need, and of a sample what cannot be counted any more. The
  /// owner calls it between batches: reads that come later know everything that stands here now.
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
  struct Asked;
  class Texts;
  class Fold;
  friend class Fold;

  [[nodiscard]] const char* place(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] Timestamp time_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] std::uint64_t release_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] bool mark_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] Entry entry_at(const ColumnLayout& layout, std::uint64_t position) const;
  [[nodiscard]] event::Value value_of(const ColumnLayout& layout, const Entry& entry) const;
  [[nodiscard]] int compare(const ColumnLayout& layout, const Entry& a, const Entry& b) const;
  [[nodiscard]] std::uint64_t first_from(const ColumnLayout& layout, Timestamp from) const;
  [[nodiscard]] std::optional<std::uint64_t> end_of(const ColumnLayout& layout, const Asked& asked) const;
  /// The value looked for as an entry would hold it; nothing when no entry can.
  [[nodiscard]] std::optional<Entry> probe_entry(const ColumnLayout& layout, const event::Value* probe) const;
  [[nodiscard]] event::Value scan(const ColumnLayout& layout, const Asked& asked, bool& since_mark) const;
  static event::Value of_nothing(const ColumnLayout& layout, const Window& window);
  event::Value read_exact(const ColumnLayout& layout, const Asked& asked, bool& since_mark);
  event::Value extreme(const ColumnLayout& layout, Function function, WindowState& state, std::uint64_t end) const;
  void fold_in(const ColumnLayout& layout, const ColumnLayout::Running& running, WindowState& state,
               std::uint64_t position) const;
  void fold_out(const ColumnLayout& layout, const ColumnLayout::Running& running, WindowState& state,
                std::uint64_t position) const;
  void settle_marks(const ColumnLayout& layout, WindowState& state, std::uint64_t end) const;
  void move_head(const ColumnLayout& layout, const ColumnLayout::Running& running, WindowState& state,
                 std::uint64_t end, Timestamp from) const;
  bool place_entry(const ColumnLayout& layout, const Entry& entry);
  void resize(const ColumnLayout& layout, std::uint32_t capacity);
  void store(const ColumnLayout& layout, std::uint64_t position, const Entry& entry);
  void recheck(const ColumnLayout& layout);
  void thin_sample(const ColumnLayout& layout, Timestamp earliest_read);
  void clear();

  std::unique_ptr<char[]> entries_;         // capacity_ places of 16 + payload_bytes each
  std::unique_ptr<WindowState[]> windows_;  // made by the first read
  std::unique_ptr<Texts> texts_;            // made by the first text
  std::uint64_t base_ = 0;                  // position of the oldest entry; positions only grow
  std::uint64_t newest_release_ = 0;        // the highest release of all entries
  std::uint32_t begin_ = 0;                 // place of the oldest entry
  std::uint32_t count_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint32_t thinned_ = 0;   // a sample: entries left when it was last thinned
  std::uint16_t currency_ = 0;  // money: of the first entry that has one
  bool ordered_ = true;         // releases grow with the order: no late entry among them
  bool mixed_ = false;          // money: entries of several currencies
};
static_assert(sizeof(Column) <= 64, "a key has many columns and most are empty");

}  // namespace tocsin::state
