#include "state/column.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"
#include "base/moments.h"
#include "state/distinct_sample.h"
#include "state/ordered_values.h"

namespace tocsin::state {
namespace {

using event::Currency;
using event::Kind;
using event::TypeKind;
using event::Value;

constexpr std::uint8_t column_version = 1;
// In the release word of an entry: its argument is missing; it is only a mark (and its argument is missing).
constexpr std::uint64_t missing_bit = 1ULL << 63U;
constexpr std::uint64_t mark_bit = 1ULL << 62U;
constexpr std::uint64_t nowhere = ~std::uint64_t{0};  // no position
constexpr std::uint64_t scan_entries_max = 8;         // up to here a scan for min or max is faster than keeping a queue
constexpr std::uint32_t capacity_first = 4;

Kind kind_of(TypeKind type) {
  switch (type) {
    case TypeKind::text:
    case TypeKind::entity:
    case TypeKind::cidr: return Kind::text;
    case TypeKind::boolean: return Kind::boolean;
    case TypeKind::integer:
    case TypeKind::decimal: return Kind::number;
    case TypeKind::enumeration: return Kind::enumeration;
    case TypeKind::time: return Kind::time;
    case TypeKind::duration: return Kind::duration;
    case TypeKind::ip: return Kind::ip;
    case TypeKind::geo: return Kind::geo;
    case TypeKind::money: return Kind::money;
  }
  return Kind::missing;
}

std::uint8_t payload_of(Kind kind, bool fixed_currency) {
  switch (kind) {
    case Kind::missing: return 0;
    case Kind::boolean:
    case Kind::enumeration:
    case Kind::text:
    case Kind::time:
    case Kind::duration: return 8;
    case Kind::number:
    case Kind::ip:
    case Kind::geo: return 16;
    case Kind::money: return fixed_currency ? 16 : 24;
  }
  return 0;
}

Int128 wide(std::uint64_t low, std::uint64_t high) {
  return static_cast<Int128>((static_cast<unsigned __int128>(high) << 64U) | low);
}

/// Rounded half to even, as divide() does. Requires: n > 0.
Int128 divide_half_even(Int128 sum, Int128 n) {
  Int128 quotient = sum / n;
  Int128 rest = sum % n;
  const bool negative = rest < 0;
  if (negative) rest = -rest;
  const Int128 other = n - rest;  // no doubling: it could not overflow, but this reads as what it is
  if (rest > other || (rest == other && (quotient & 1) != 0)) quotient += negative ? -1 : 1;
  return quotient;
}

/// How often each value stands in a window. A few values are searched one by one; more become a hash table. Adding and taking
/// away return how often the value stands there then.
class CountedSet {
 public:
  std::uint32_t add(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    Slot* slot = find(low, high, currency);
    if (slot != nullptr && slot->count != 0) return ++slot->count;
    if (!hashed_ && slots_.size() == linear_max) {
      rehash(linear_max * 4);
      slot = find(low, high, currency);
    } else if (hashed_ && (size_ + 1) * 4 > slots_.size() * 3) {
      rehash(slots_.size() * 2);
      slot = find(low, high, currency);
    }
    if (hashed_) {
      *slot = {low, high, 1, currency};
    } else {
      slots_.push_back({low, high, 1, currency});
    }
    ++size_;
    return 1;
  }
  std::uint32_t remove(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    Slot* slot = find(low, high, currency);
    TOCSIN_CHECK(slot != nullptr);
    TOCSIN_CHECK(slot->count != 0);
    if (--slot->count != 0) return slot->count;
    --size_;
    if (hashed_) {
      close_gap(static_cast<std::size_t>(slot - slots_.data()));
    } else {
      *slot = slots_.back();
      slots_.pop_back();
    }
    if (size_ == 0) clear();
    return 0;
  }
  [[nodiscard]] bool contains(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    const Slot* slot = find(low, high, currency);
    return slot != nullptr && slot->count != 0;
  }
  void clear() {
    slots_.clear();
    slots_.shrink_to_fit();
    size_ = 0;
    hashed_ = false;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Of a sample: how many of its hashes belong to each level.
  [[nodiscard]] SampleLevels levels() const {
    SampleLevels levels;
    for (const Slot& slot : slots_) {
      if (slot.count != 0) ++levels.counts[level_of(slot.low)];
    }
    return levels;
  }
  /// For entropy: n log n of all counts.
  [[nodiscard]] Int128 weight() const {
    Int128 sum = 0;
    for (const Slot& slot : slots_) sum += n_log2_n(slot.count);
    return sum;
  }
  [[nodiscard]] std::size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  static constexpr std::size_t linear_max = 16;
  struct Slot {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::uint32_t count = 0;  // 0: the place is free
    std::uint16_t currency = 0;
  };

  static std::uint64_t hash(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    return hash_mix(hash_mix(hash_mix(0, low), high), currency);
  }
  /// The value's slot; when it is not in: a free slot of the hash table, or nullptr in the short form.
  Slot* find(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    if (!hashed_) {
      for (Slot& slot : slots_) {
        if (slot.low == low && slot.high == high && slot.currency == currency) return &slot;
      }
      return nullptr;
    }
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = hash(low, high, currency) & mask;
    while (slots_[i].count != 0) {
      if (slots_[i].low == low && slots_[i].high == high && slots_[i].currency == currency) break;
      i = (i + 1) & mask;
    }
    return &slots_[i];
  }
  void rehash(std::size_t places) {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(places));
    hashed_ = true;
    for (const Slot& slot : old) {
      if (slot.count != 0) *find(slot.low, slot.high, slot.currency) = slot;
    }
  }
  /// Moves later slots of the same run back, so that searches need no marks of what was erased.
  void close_gap(std::size_t gap) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = gap;
    for (;;) {
      i = (i + 1) & mask;
      if (slots_[i].count == 0) break;
      const std::size_t home = hash(slots_[i].low, slots_[i].high, slots_[i].currency) & mask;
      if (((i - home) & mask) >= ((i - gap) & mask)) {
        slots_[gap] = slots_[i];
        gap = i;
      }
    }
    slots_[gap] = Slot{};
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  bool hashed_ = false;
};

/// Positions of the entries that can still become the extreme of a window, best first.
struct Queue {
  std::vector<std::uint64_t> positions;
  std::size_t front = 0;

  [[nodiscard]] bool empty() const { return front == positions.size(); }
  void clear() {
    positions.clear();
    front = 0;
  }
  void drop_below(std::uint64_t head) {
    while (!empty() && positions[front] < head) ++front;
    if (front > 32 && front * 2 > positions.size()) {
      positions.erase(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(front));
      front = 0;
    }
  }
};

Value sum_value(Kind kind, const WideSum& sum, std::uint16_t currency) {
  const std::optional<Int128> total = sum.value();
  if (!total) return {};
  if (kind == Kind::number) return Value::of_number({*total});
  if (kind == Kind::money) return currency == 0 ? Value{} : Value::of_money({*total}, {currency});
  if (kind == Kind::duration) {
    const auto us = static_cast<std::int64_t>(*total);
    return us == *total ? Value::of_duration({us}) : Value{};
  }
  return {};
}

Value avg_value(Kind kind, const WideSum& sum, std::uint64_t present, std::uint16_t currency) {
  const std::optional<Int128> total = sum.value();
  if (!total || present == 0) return {};
  const Int128 mean = divide_half_even(*total, static_cast<Int128>(present));
  if (kind == Kind::number) return Value::of_number({mean});
  if (kind == Kind::money) return currency == 0 ? Value{} : Value::of_money({mean}, {currency});
  if (kind == Kind::duration) return Value::of_duration({static_cast<std::int64_t>(mean)});
  return {};
}

/// What a number of `kind` is as a value.
Value of_units(Kind kind, std::optional<Int128> units, std::uint16_t currency) {
  if (!units) return {};
  if (kind == Kind::number) return Value::of_number({*units});
  if (kind == Kind::money) return currency == 0 ? Value{} : Value::of_money({*units}, {currency});
  const auto us = static_cast<std::int64_t>(*units);
  if (us != *units) return {};
  if (kind == Kind::duration) return Value::of_duration({us});
  if (kind == Kind::time) return Value::of_time({us});
  return {};
}

Value of_spread(const Window& window, const Moments& moments, Kind kind, std::uint16_t currency) {
  if (window.function == Function::stddev) return of_units(kind, moments.stddev(), currency);
  return of_units(Kind::number, window.function == Function::cv ? moments.cv_e9() : moments.variance_e9(), 0);
}

/// The rank, from 1, that a percentile, min or max of n ordered numbers means.
std::uint64_t rank_of(const Window& window, std::uint64_t n) {
  if (window.function == Function::min) return 1;
  return window.function == Function::max ? n : nearest_rank(window.percent_e9, n);
}

ColumnLayout::Family family_of(const Window& window) {
  using Family = ColumnLayout::Family;
  switch (window.function) {
    case Function::count:
    case Function::first:
    case Function::last: return Family::none;
    case Function::sum:
    case Function::avg: return Family::sums;
    case Function::min:
    case Function::max: return window.gaps ? Family::ordered : Family::extreme;
    case Function::distinct:
    case Function::entropy:
    case Function::holds: return Family::counted;
    case Function::variance:
    case Function::stddev:
    case Function::cv: return Family::moments;
    case Function::percentile: return window.error_ppm != 0 ? Family::classes : Family::ordered;
  }
  return Family::none;
}

Value of_count(std::uint64_t n) { return Value::of_integer(static_cast<std::int64_t>(n)); }

Error corrupt_column(const char* what) {
  return {ErrorKind::corrupt, std::string("the bytes of a feature's column do not read back: ") + what};
}

}  // namespace

struct Column::Entry {
  Timestamp time;
  std::uint64_t release = 0;
  std::uint64_t low = 0;  // text: its number in texts_
  std::uint64_t high = 0;
  std::uint16_t currency = 0;
  bool present = false;
  bool mark = false;

  /// The number that is summed, ordered and spread.
  [[nodiscard]] Int128 number(Kind kind) const {
    if (kind == Kind::duration || kind == Kind::time) return static_cast<std::int64_t>(low);
    return wide(low, high);
  }
  /// The duration between two neighbouring times, as an entry of its own.
  static Entry gap(const Entry& before, const Entry& after) {
    Entry entry;
    entry.present = true;
    const Duration d =
        Timestamp{static_cast<std::int64_t>(after.low)} - Timestamp{static_cast<std::int64_t>(before.low)};
    entry.low = static_cast<std::uint64_t>(d.us);
    return entry;
  }
};

/// One read: the window, and what of the column is before the moment.
struct Column::Asked {
  std::size_t index = 0;
  const Window* window = nullptr;
  Timestamp from;                 // times of entries from here
  Timestamp to;                   // to here
  std::uint64_t release_end = 0;  // entries judged before this
  std::uint64_t mark_end = 0;     // marks likewise: the judged event's own is not before it
  const Value* probe = nullptr;
};

/// What windows that share it remember between reads: entries in [head, tail) are folded into the members of the family; none
/// before head can be asked for by a read that is not earlier than the last.
struct Column::WindowState {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  WideSum sum;
  std::uint64_t present = 0;  // sums: how many are in the sum
  std::unique_ptr<Queue> queue;
  std::unique_ptr<CountedSet> counted;
  struct Rare {
    Moments moments;
    OrderedValues ordered;
    ClassCounts classes;
    std::unique_ptr<SampleLevels> levels;  // of the counted set
    Int128 weight = 0;                     // entropy: of the counted set
    std::uint64_t last_present = nowhere;  // gaps: the newest entry in [head, tail) that has an argument
    std::uint64_t scanned = 0;             // since: marks before this position are known
    std::uint64_t mark = nowhere;          // since: the last one of them
  };
  std::unique_ptr<Rare> rare;

  [[nodiscard]] Rare& more() {
    if (!rare) rare = std::make_unique<Rare>();
    return *rare;
  }
  /// Forgets what was folded: it is done anew from head on.
  void begin_anew() {
    tail = head;
    sum = {};
    present = 0;
    queue.reset();
    counted.reset();
    if (!rare) return;
    rare->moments = {};
    rare->ordered.clear();
    rare->classes.clear();
    rare->weight = 0;
    rare->levels.reset();
    rare->last_present = nowhere;
  }
  void include(const ColumnLayout::Running& running, const Entry& item, Kind kind) {
    using Family = ColumnLayout::Family;
    switch (running.family) {
      case Family::none:
      case Family::extreme: break;
      case Family::sums:
        sum.add(item.number(kind));
        ++present;
        break;
      case Family::moments: more().moments.add(item.number(kind)); break;
      case Family::counted: {
        if (!counted) counted = std::make_unique<CountedSet>();
        const std::uint32_t n = counted->add(item.low, item.high, item.currency);
        ++present;
        if (running.weighs) more().weight += n_log2_n(n) - n_log2_n(n - 1);
        if (running.levels && n == 1) {
          if (!more().levels) rare->levels = std::make_unique<SampleLevels>();
          ++rare->levels->counts[level_of(item.low)];
        }
        break;
      }
      case Family::ordered: more().ordered.add(item.number(kind)); break;
      case Family::classes: more().classes.add(running.scale->class_of(item.number(kind))); break;
    }
  }
  void exclude(const ColumnLayout::Running& running, const Entry& item, Kind kind) {
    using Family = ColumnLayout::Family;
    switch (running.family) {
      case Family::none:
      case Family::extreme: break;
      case Family::sums:
        sum.subtract(item.number(kind));
        --present;
        break;
      case Family::moments: more().moments.remove(item.number(kind)); break;
      case Family::counted: {
        const std::uint32_t n = counted->remove(item.low, item.high, item.currency);
        --present;
        if (running.weighs) more().weight -= n_log2_n(std::uint64_t{n} + 1) - n_log2_n(n);
        if (running.levels && n == 0) --rare->levels->counts[level_of(item.low)];
        break;
      }
      case Family::ordered: more().ordered.remove(item.number(kind)); break;
      case Family::classes: more().classes.remove(running.scale->class_of(item.number(kind))); break;
    }
  }
};

/// The texts of a column, each once, counted by the entries that hold it. Their bytes do not move while they are held.
class Column::Texts {
 public:
  std::uint32_t hold(std::string_view text) {
    const std::uint64_t hash = hash64(text);
    if ((used_ + 1) * 4 > table_.size() * 3) grow();
    const std::size_t mask = table_.size() - 1;
    std::size_t i = hash & mask;
    while (table_[i] != 0) {
      Slot& slot = slots_[table_[i] - 1];
      if (slot.hash == hash && view(table_[i] - 1) == text) {
        ++slot.references;
        return table_[i] - 1;
      }
      i = (i + 1) & mask;
    }
    std::uint32_t id = 0;
    if (free_.empty()) {
      id = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[id];
    slot.bytes = std::make_unique<char[]>(text.size() + 1);
    if (!text.empty()) std::memcpy(slot.bytes.get(), text.data(), text.size());
    slot.hash = hash;
    slot.size = static_cast<std::uint32_t>(text.size());
    slot.references = 1;
    table_[i] = id + 1;
    ++used_;
    return id;
  }
  void let_go(std::uint32_t id) {
    Slot& slot = slots_[id];
    if (--slot.references != 0) return;
    const std::size_t mask = table_.size() - 1;
    std::size_t gap = slot.hash & mask;
    while (table_[gap] != id + 1) gap = (gap + 1) & mask;
    for (std::size_t i = (gap + 1) & mask; table_[i] != 0; i = (i + 1) & mask) {
      const std::size_t home = slots_[table_[i] - 1].hash & mask;
      if (((i - home) & mask) >= ((i - gap) & mask)) {
        table_[gap] = table_[i];
        gap = i;
      }
    }
    table_[gap] = 0;
    --used_;
    slot.bytes.reset();
    free_.push_back(id);
  }
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view text) const {
    if (table_.empty()) return std::nullopt;
    const std::uint64_t hash = hash64(text);
    const std::size_t mask = table_.size() - 1;
    for (std::size_t i = hash & mask; table_[i] != 0; i = (i + 1) & mask) {
      if (slots_[table_[i] - 1].hash == hash && view(table_[i] - 1) == text) return table_[i] - 1;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string_view view(std::uint32_t id) const { return {slots_[id].bytes.get(), slots_[id].size}; }
  [[nodiscard]] std::size_t id_end() const { return slots_.size(); }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = sizeof(*this) + slots_.capacity() * sizeof(Slot) + table_.capacity() * sizeof(std::uint32_t);
    for (const Slot& slot : slots_) sum += slot.bytes ? slot.size + 17U : 0U;
    return sum;
  }

 private:
  struct Slot {
    std::unique_ptr<char[]> bytes;
    std::uint64_t hash = 0;
    std::uint32_t size = 0;
    std::uint32_t references = 0;
  };
  void grow() {
    table_.assign(table_.empty() ? 8 : table_.size() * 2, 0);
    const std::size_t mask = table_.size() - 1;
    for (std::uint32_t id = 0; id < slots_.size(); ++id) {
      if (!slots_[id].bytes) continue;
      std::size_t i = slots_[id].hash & mask;
      while (table_[i] != 0) i = (i + 1) & mask;
      table_[i] = id + 1;
    }
  }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> table_;  // number of the text + 1; 0 is free
  std::size_t used_ = 0;
};

/// One answer computed entry by entry, for scans.
class Column::Fold {
 public:
  Fold(const Column& column, const ColumnLayout& layout, const Window& window, const LogScale* scale)
      : column_(column),
        layout_(layout),
        window_(window),
        scale_(scale),
        kind_(window.gaps ? Kind::duration : layout.kind) {}

  void take(const Entry& entry) {
    ++count_;
    if (!entry.present) return;
    if (present_++ == 0) first_ = entry;
    if (layout_.kind == Kind::money && entry.currency != first_.currency) mixed_ = true;
    if (!window_.gaps) {
      take_item(entry);
    } else if (present_ > 1) {
      take_item(Entry::gap(last_, entry));
    }
    last_ = entry;
  }
  [[nodiscard]] Value value(const std::optional<Entry>& probe) {
    const std::uint16_t currency = present_ != 0 ? first_.currency : layout_.type.currency.code;
    switch (window_.function) {
      case Function::count: return of_count(count_);
      case Function::distinct:
        return of_count(layout_.sample_max == 0 ? counted_.size() : counted_.levels().estimate(layout_.sample_max));
      case Function::first: return present_ == 0 ? Value{} : column_.value_of(layout_, first_);
      case Function::last: return present_ == 0 ? Value{} : column_.value_of(layout_, last_);
      case Function::entropy: return items_ == 0 ? Value{} : Value::of_number({entropy_e9(items_, counted_.weight())});
      case Function::holds:
        return Value::of_boolean(probe && counted_.contains(probe->low, probe->high, probe->currency));
      case Function::sum: return mixed_ ? Value{} : sum_value(kind_, sum_, currency);
      case Function::avg: return mixed_ ? Value{} : avg_value(kind_, sum_, items_, currency);
      case Function::variance:
      case Function::stddev:
      case Function::cv: return mixed_ ? Value{} : of_spread(window_, moments_, kind_, currency);
      case Function::min:
      case Function::max:
        if (window_.gaps) break;
        return present_ == 0 || mixed_ || layout_.kind == Kind::geo ? Value{} : column_.value_of(layout_, best_);
      case Function::percentile: break;
    }
    if (numbers_.empty() || mixed_) return {};
    const auto at = numbers_.begin() + static_cast<std::ptrdiff_t>(rank_of(window_, numbers_.size())) - 1;
    std::nth_element(numbers_.begin(), at, numbers_.end());
    if (scale_ == nullptr) return of_units(kind_, *at, currency);
    return of_units(kind_, scale_->middle_of(scale_->class_of(*at)), currency);
  }

 private:
  void take_item(const Entry& item) {
    ++items_;
    switch (window_.function) {
      case Function::count:
      case Function::first:
      case Function::last: break;
      case Function::sum:
      case Function::avg: sum_.add(item.number(kind_)); break;
      case Function::distinct:
      case Function::entropy:
      case Function::holds: counted_.add(item.low, item.high, item.currency); break;
      case Function::variance:
      case Function::stddev:
      case Function::cv: moments_.add(item.number(kind_)); break;
      case Function::percentile: numbers_.push_back(item.number(kind_)); break;
      case Function::min:
        if (window_.gaps) {
          numbers_.push_back(item.number(kind_));
        } else if (present_ == 1 || column_.compare(layout_, item, best_) < 0) {
          best_ = item;
        }
        break;
      case Function::max:
        if (window_.gaps) {
          numbers_.push_back(item.number(kind_));
        } else if (present_ == 1 || column_.compare(layout_, item, best_) > 0) {
          best_ = item;
        }
        break;
    }
  }

  const Column& column_;
  const ColumnLayout& layout_;
  const Window& window_;
  const LogScale* scale_;  // approximate percentiles
  Kind kind_;
  std::uint64_t count_ = 0;
  std::uint64_t present_ = 0;
  std::uint64_t items_ = 0;  // values, or the gaps between them
  Entry first_;
  Entry last_;
  Entry best_;
  WideSum sum_;
  CountedSet counted_;
  Moments moments_;
  std::vector<Int128> numbers_;
  bool mixed_ = false;
};

std::string_view to_text(Function function) {
  switch (function) {
    case Function::count: return "count";
    case Function::sum: return "sum";
    case Function::avg: return "avg";
    case Function::min: return "min";
    case Function::max: return "max";
    case Function::distinct: return "distinct";
    case Function::first: return "first";
    case Function::last: return "last";
    case Function::variance: return "variance";
    case Function::stddev: return "stddev";
    case Function::cv: return "cv";
    case Function::percentile: return "percentile";
    case Function::entropy: return "entropy";
    case Function::holds: return "holds";
  }
  return "?";
}

std::string_view to_text(Reach reach) {
  switch (reach) {
    case Reach::last: return "last";
    case Reach::before: return "before";
    case Reach::calendar: return "calendar";
    case Reach::since: return "since";
  }
  return "?";
}

Timestamp Window::known_from(Timestamp begins) const {
  switch (reach) {
    case Reach::last:
    case Reach::since:
    case Reach::before: return begins + length + gap;
    case Reach::calendar: {
      const Timestamp start = zone->start_of(unit, begins);
      return start == begins ? begins : zone->next_start(unit, begins);
    }
  }
  return begins;
}

ColumnLayout::ColumnLayout(std::vector<Window> column_windows, event::Type argument, std::uint64_t meaning)
    : windows(std::move(column_windows)), type(argument), fingerprint(meaning) {
  bool needs_argument = false;
  keeps_missing = false;
  marked = !windows.empty() && windows.front().reach == Reach::since;
  for (const Window& window : windows) {
    TOCSIN_CHECK((window.reach == Reach::since) == marked);
    gap_max = std::max(gap_max, window.gap);
    if (window.function == Function::distinct && window.error_ppm != 0) sample_max = sample_size(window.error_ppm);
    if (window.function == Function::count) {
      keeps_missing = true;
    } else {
      needs_argument = true;
    }
  }
  if (needs_argument) {
    kind = kind_of(type.kind);
    payload_bytes = payload_of(kind, type.currency.code != 0);
  }
  if (sample_max != 0) {
    kind = Kind::enumeration;  // any kind of eight bytes: the hash of a value
    payload_bytes = 8;
  }
  for (std::uint32_t i = 0; i < windows.size(); ++i) {
    TOCSIN_CHECK(sample_max == 0 || windows[i].error_ppm == windows[0].error_ppm);
    Running own{i, family_of(windows[i]), windows[i].gaps, windows[i].function == Function::entropy, sample_max != 0,
                {}};
    const auto shared = std::find_if(running.begin(), running.end(), [&](const Running& r) {
      Window stretch = windows[r.window];
      stretch.function = windows[i].function;
      stretch.percent_e9 = windows[i].percent_e9;
      // A queue is of the smallest or of the largest, never of both.
      const bool same_end = own.family != Family::extreme || windows[r.window].function == windows[i].function;
      return stretch == windows[i] && r.family == own.family && same_end;
    });
    running_of.push_back(static_cast<std::uint32_t>(shared - running.begin()));
    if (shared == running.end()) {
      if (own.family == Family::classes) own.scale = std::make_shared<const LogScale>(windows[i].error_ppm);
      running.push_back(own);
    } else {
      shared->weighs = shared->weighs || own.weighs;
    }
  }
}

Timestamp ColumnLayout::needed_from(Timestamp earliest_read) const {
  Timestamp from = earliest_read;
  for (const Window& window : windows) from = std::min(from, window.first_time(earliest_read));
  return from;
}

std::string ColumnLayout::dump() const {
  std::string out = "column payload=" + std::to_string(payload_bytes);
  for (const Window& window : windows) {
    out += ' ';
    out += to_text(window.function);
    if (window.gaps) out += ":gaps";
    out += ':';
    out += to_text(window.reach);
    if (window.reach == Reach::calendar) {
      out += ':' + std::string(event::to_text(window.unit)) + ':' + window.zone->name();
    } else {
      out += ':' + tocsin::to_text(window.length);
    }
    if (window.gap.us != 0) out += ":ending " + tocsin::to_text(window.gap);
  }
  return out;
}

Column::Column() = default;
Column::~Column() = default;

Column::Column(Column&& other) noexcept { *this = std::move(other); }

Column& Column::operator=(Column&& other) noexcept {
  if (this == &other) return *this;
  entries_ = std::move(other.entries_);
  windows_ = std::move(other.windows_);
  texts_ = std::move(other.texts_);
  base_ = std::exchange(other.base_, 0);
  newest_release_ = std::exchange(other.newest_release_, 0);
  begin_ = std::exchange(other.begin_, 0);
  count_ = std::exchange(other.count_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  thinned_ = std::exchange(other.thinned_, 0);
  currency_ = std::exchange(other.currency_, std::uint16_t{0});
  ordered_ = std::exchange(other.ordered_, true);
  mixed_ = std::exchange(other.mixed_, false);
  return *this;
}

const char* Column::place(const ColumnLayout& layout, std::uint64_t position) const {
  return entries_.get() + (begin_ + (position - base_)) * (16U + layout.payload_bytes);
}

Timestamp Column::time_at(const ColumnLayout& layout, std::uint64_t position) const {
  Timestamp time;
  std::memcpy(&time.us, place(layout, position), 8);
  return time;
}

std::uint64_t Column::release_at(const ColumnLayout& layout, std::uint64_t position) const {
  std::uint64_t word = 0;
  std::memcpy(&word, place(layout, position) + 8, 8);
  return word & ~(missing_bit | mark_bit);
}

bool Column::mark_at(const ColumnLayout& layout, std::uint64_t position) const {
  std::uint64_t word = 0;
  std::memcpy(&word, place(layout, position) + 8, 8);
  return (word & mark_bit) != 0;
}

Column::Entry Column::entry_at(const ColumnLayout& layout, std::uint64_t position) const {
  const char* at = place(layout, position);
  Entry entry;
  std::uint64_t word = 0;
  std::memcpy(&entry.time.us, at, 8);
  std::memcpy(&word, at + 8, 8);
  entry.release = word & ~(missing_bit | mark_bit);
  entry.present = (word & missing_bit) == 0;
  entry.mark = (word & mark_bit) != 0;
  if (!entry.present) return entry;
  if (layout.payload_bytes >= 8) std::memcpy(&entry.low, at + 16, 8);
  if (layout.payload_bytes >= 16) std::memcpy(&entry.high, at + 24, 8);
  if (layout.payload_bytes >= 24) {
    std::memcpy(&entry.currency, at + 32, 2);
  } else {
    entry.currency = layout.type.currency.code;
  }
  return entry;
}

void Column::store(const ColumnLayout& layout, std::uint64_t position, const Entry& entry) {
  char* at = const_cast<char*>(place(layout, position));
  const std::uint64_t word = entry.release | (entry.present ? 0 : missing_bit) | (entry.mark ? mark_bit : 0);
  std::memcpy(at, &entry.time.us, 8);
  std::memcpy(at + 8, &word, 8);
  if (layout.payload_bytes >= 8) std::memcpy(at + 16, &entry.low, 8);
  if (layout.payload_bytes >= 16) std::memcpy(at + 24, &entry.high, 8);
  if (layout.payload_bytes >= 24) {
    const std::uint64_t currency = entry.currency;
    std::memcpy(at + 32, &currency, 8);
  }
}

Value Column::value_of(const ColumnLayout& layout, const Entry& entry) const {
  if (layout.kind == Kind::text) return Value::of_text(texts_->view(static_cast<std::uint32_t>(entry.low)));
  Value value;
  value.kind = layout.kind;
  value.low = entry.low;
  value.high = entry.high;
  if (layout.kind == Kind::money) value.currency = {entry.currency};
  return value;
}

int Column::compare(const ColumnLayout& layout, const Entry& a, const Entry& b) const {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : (y < x ? 1 : 0); };
  switch (layout.kind) {
    case Kind::missing:
    case Kind::geo: return 0;
    case Kind::boolean:
    case Kind::enumeration: return order(a.low, b.low);
    case Kind::time:
    case Kind::duration: return order(static_cast<std::int64_t>(a.low), static_cast<std::int64_t>(b.low));
    case Kind::number:
    case Kind::money: return order(wide(a.low, a.high), wide(b.low, b.high));
    case Kind::ip: return a.high != b.high ? order(a.high, b.high) : order(a.low, b.low);
    case Kind::text:
      return order(texts_->view(static_cast<std::uint32_t>(a.low)), texts_->view(static_cast<std::uint32_t>(b.low)));
  }
  return 0;
}

/// The first position whose time is at or after `from`.
std::uint64_t Column::first_from(const ColumnLayout& layout, Timestamp from) const {
  std::uint64_t low = base_;
  std::uint64_t high = base_ + count_;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (time_at(layout, middle) < from) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void Column::resize(const ColumnLayout& layout, std::uint32_t capacity) {
  const std::size_t stride = 16U + layout.payload_bytes;
  auto fresh = std::make_unique_for_overwrite<char[]>(capacity * stride);
  if (count_ != 0) std::memcpy(fresh.get(), entries_.get() + begin_ * stride, count_ * stride);
  entries_ = std::move(fresh);
  begin_ = 0;
  capacity_ = capacity;
}

void Column::clear() {
  entries_.reset();
  windows_.reset();
  texts_.reset();
  base_ = newest_release_ = 0;
  begin_ = count_ = capacity_ = thinned_ = 0;
  currency_ = 0;
  ordered_ = true;
  mixed_ = false;
}

void Column::fold_in(const ColumnLayout& layout, const ColumnLayout::Running& running, WindowState& state,
                     std::uint64_t position) const {
  const Entry entry = entry_at(layout, position);
  if (!entry.present) return;
  if (!running.gaps) {
    state.include(running, entry, layout.kind);
    return;
  }
  const std::uint64_t before = std::exchange(state.more().last_present, position);
  if (before != nowhere) state.include(running, Entry::gap(entry_at(layout, before), entry), Kind::duration);
}

/// The first entry of the window leaves it. Requires: position == state.head < state.tail.
void Column::fold_out(const ColumnLayout& layout, const ColumnLayout::Running& running, WindowState& state,
                      std::uint64_t position) const {
  const Entry entry = entry_at(layout, position);
  if (!entry.present) return;
  if (!running.gaps) {
    state.exclude(running, entry, layout.kind);
    return;
  }
  if (state.more().last_present == position) {
    state.more().last_present = nowhere;
    return;
  }
  for (std::uint64_t next = position + 1; next < state.tail; ++next) {
    const Entry after = entry_at(layout, next);
    if (!after.present) continue;
    state.exclude(running, Entry::gap(entry, after), Kind::duration);
    return;
  }
}

/// Looks at the entries up to `end` for marks not seen yet; behind the last the window begins anew.
void Column::settle_marks(const ColumnLayout& layout, WindowState& state, std::uint64_t end) const {
  WindowState::Rare& rare = state.more();
  for (std::uint64_t p = std::max(rare.scanned, state.head); p < end; ++p) {
    if (!mark_at(layout, p)) continue;
    rare.mark = p;
    state.head = p + 1;
    state.begin_anew();
  }
  rare.scanned = std::max(rare.scanned, end);
}

/// Moves the window's beginning to the first entry at or after `from`, taking what it passes out of the running state.
void Column::move_head(const ColumnLayout& layout, const ColumnLayout::Running& running, WindowState& state,
                       std::uint64_t end, Timestamp from) const {
  const bool folded = running.family != ColumnLayout::Family::none && running.family != ColumnLayout::Family::extreme;
  while (state.head < end && time_at(layout, state.head) < from) {
    if (folded && state.head < state.tail) fold_out(layout, running, state, state.head);
    ++state.head;
  }
  state.tail = std::max(state.tail, state.head);
  if (state.queue) state.queue->drop_below(state.head);
}

bool Column::insert(const ColumnLayout& layout, Moment at, const Value& argument) {
  TOCSIN_CHECK((at.release & (missing_bit | mark_bit)) == 0, at.release);
  Entry entry;
  entry.time = at.time;
  entry.release = at.release;
  if (layout.sample_max != 0) {
    if (argument.is_missing()) return true;
    if (count_ == entries_max) return false;
    entry.present = true;
    entry.low = sample_hash(argument);
    return place_entry(layout, entry);
  }
  entry.present = layout.payload_bytes == 0 || argument.kind == layout.kind;
  if (layout.kind == Kind::money && layout.payload_bytes == 16 && argument.currency != layout.type.currency) {
    entry.present = false;
  }
  if (!entry.present && !layout.keeps_missing) return true;
  if (count_ == entries_max) return false;
  if (entry.present && layout.payload_bytes != 0) {
    entry.high = argument.high;
    if (layout.kind == Kind::text) {
      if (!texts_) texts_ = std::make_unique<Texts>();
      entry.low = texts_->hold(argument.text());
      entry.high = 0;
    } else {
      entry.low = argument.low;
    }
    if (layout.kind == Kind::money) {
      entry.currency = argument.currency.code;
      if (currency_ == 0) currency_ = entry.currency;
      if (currency_ != entry.currency) mixed_ = true;
    }
  }
  // The end of the order is where nearly all events go, and mostly there is room.
  if (begin_ + count_ != capacity_ && count_ != 0) {
    const std::uint64_t position = base_ + count_;
    const Timestamp last = time_at(layout, position - 1);
    if (last < at.time || (last == at.time && newest_release_ <= at.release)) {
      if (newest_release_ > at.release && release_at(layout, position - 1) > at.release) ordered_ = false;
      ++count_;
      store(layout, position, entry);
      newest_release_ = std::max(newest_release_, at.release);
      return true;
    }
  }
  return place_entry(layout, entry);
}

bool Column::mark(const ColumnLayout& layout, Moment at) {
  TOCSIN_CHECK(layout.marked);
  TOCSIN_CHECK((at.release & (missing_bit | mark_bit)) == 0, at.release);
  if (count_ == entries_max) return false;
  Entry entry;
  entry.time = at.time;
  entry.release = at.release;
  entry.mark = true;
  return place_entry(layout, entry);
}

bool Column::place_entry(const ColumnLayout& layout, const Entry& entry) {
  const Moment at{entry.time, entry.release};
  if (begin_ + count_ == capacity_) {
    // Room at the front is used again when it is worth the move; else the column doubles.
    if (capacity_ >= 8 && begin_ >= capacity_ / 2) {
      const std::size_t stride = 16U + layout.payload_bytes;
      std::memmove(entries_.get(), entries_.get() + begin_ * stride, count_ * stride);
      begin_ = 0;
    } else {
      resize(layout, capacity_ == 0 ? capacity_first : capacity_ * 2);
    }
  }

  // The end of the order is where nearly all events go; a late one looks for its place.
  std::uint64_t position = base_ + count_;
  const auto stands_before = [&](std::uint64_t p) {
    const Timestamp time = time_at(layout, p);
    return time < at.time || (time == at.time && release_at(layout, p) <= at.release);
  };
  if (count_ != 0 && !stands_before(position - 1)) {
    std::uint64_t low = base_;
    std::uint64_t high = position - 1;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (stands_before(middle)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    position = low;
    const std::size_t stride = 16U + layout.payload_bytes;
    char* gap = const_cast<char*>(place(layout, position));
    std::memmove(gap + stride, gap, (base_ + count_ - position) * stride);
    if (release_at(layout, position + 1) < at.release) ordered_ = false;
  }
  if (position > base_ && release_at(layout, position - 1) > at.release) ordered_ = false;
  ++count_;
  store(layout, position, entry);
  newest_release_ = count_ == 1 ? at.release : std::max(newest_release_, at.release);

  if (!windows_ || position + 1 == base_ + count_) return true;
  for (std::size_t i = 0; i < layout.running.size(); ++i) {
    using Family = ColumnLayout::Family;
    const ColumnLayout::Running& running = layout.running[i];
    WindowState& state = windows_[i];
    const bool inside = position < state.tail;
    if (state.rare) {
      // Positions from here on move by one; a mark in a stretch already looked through is looked for again.
      WindowState::Rare& rare = *state.rare;
      if (rare.mark != nowhere && position <= rare.mark) ++rare.mark;
      if (rare.last_present != nowhere && position <= rare.last_present) ++rare.last_present;
      if (position < rare.scanned) rare.scanned = entry.mark && position >= state.head ? position : rare.scanned + 1;
    }
    if (position < state.head) {
      ++state.head;
      if (inside) ++state.tail;
      if (state.queue) {
        state.queue->clear();
        state.tail = state.head;
      }
    } else if (inside) {
      // A queue holds positions, and gaps and marks look at their neighbours: what was folded is folded again.
      if (running.family == Family::extreme || running.gaps || entry.mark) {
        state.begin_anew();
      } else {
        if (entry.present) state.include(running, entry, layout.kind);
        ++state.tail;
      }
    }
  }
  return true;
}

std::optional<Column::Entry> Column::probe_entry(const ColumnLayout& layout, const Value* probe) const {
  if (probe == nullptr || probe->kind != layout.kind) return std::nullopt;
  Entry entry;
  entry.present = true;
  if (layout.kind == Kind::text) {
    const std::optional<std::uint32_t> id = texts_ ? texts_->find(probe->text()) : std::nullopt;
    if (!id) return std::nullopt;
    entry.low = *id;
    return entry;
  }
  entry.low = probe->low;
  if (layout.payload_bytes >= 16) entry.high = probe->high;
  entry.currency = layout.kind == Kind::money ? probe->currency.code : layout.type.currency.code;
  return entry;
}

Value Column::scan(const ColumnLayout& layout, const Asked& asked, bool& since_mark) const {
  const LogScale* scale = layout.running[layout.running_of[asked.index]].scale.get();
  std::optional<Fold> fold(std::in_place, *this, layout, *asked.window, scale);
  for (std::uint64_t p = first_from(layout, asked.from); p < base_ + count_; ++p) {
    if (time_at(layout, p) > asked.to) break;
    const Entry entry = entry_at(layout, p);
    if (!entry.mark) {
      if (entry.release < asked.release_end) fold->take(entry);
    } else if (entry.release < asked.mark_end) {
      since_mark = true;
      fold.emplace(*this, layout, *asked.window, scale);
    }
  }
  return fold->value(probe_entry(layout, asked.probe));
}

Value Column::extreme(const ColumnLayout& layout, Function function, WindowState& state, std::uint64_t end) const {
  if (end - state.head <= scan_entries_max) {
    if (state.queue) state.queue.reset();
    state.tail = state.head;
    if (layout.kind == Kind::geo) return {};
    Entry best;
    for (std::uint64_t p = state.head; p < end; ++p) {
      const Entry entry = entry_at(layout, p);
      if (!entry.present) continue;
      if (best.present) {
        const int order = compare(layout, entry, best);
        if (function == Function::min ? order >= 0 : order <= 0) continue;
      }
      best = entry;
    }
    return best.present ? value_of(layout, best) : Value{};
  }
  if (!state.queue) {
    state.queue = std::make_unique<Queue>();
    state.tail = state.head;
  }
  Queue& queue = *state.queue;
  for (; state.tail < end; ++state.tail) {
    const Entry entry = entry_at(layout, state.tail);
    if (!entry.present) continue;
    while (!queue.empty()) {
      const int order = compare(layout, entry, entry_at(layout, queue.positions.back()));
      if (function == Function::min ? order > 0 : order < 0) break;
      queue.positions.pop_back();
    }
    queue.positions.push_back(state.tail);
  }
  if (queue.empty() || layout.kind == Kind::geo) return {};
  return value_of(layout, entry_at(layout, queue.positions[queue.front]));
}

namespace {

/// W11: what there was before the data begins can only raise, or only lower, the value; nothing: it can do both. What is in a set
/// stays in it.
std::optional<event::Bound> bound_while_warming(Function function) {
  switch (function) {
    case Function::count:
    case Function::distinct:
    case Function::max:
    case Function::holds: return event::Bound::at_least;
    case Function::min: return event::Bound::at_most;
    case Function::sum:
    case Function::avg:
    case Function::first:
    case Function::last:
    case Function::variance:
    case Function::stddev:
    case Function::cv:
    case Function::percentile:
    case Function::entropy: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

/// What a window without entries says.
Value Column::of_nothing(const ColumnLayout& layout, const Window& window) {
  switch (window.function) {
    case Function::count:
    case Function::distinct: return of_count(0);
    case Function::holds: return Value::of_boolean(false);
    case Function::sum: return sum_value(window.gaps ? Kind::duration : layout.kind, {}, layout.type.currency.code);
    case Function::avg:
    case Function::min:
    case Function::max:
    case Function::first:
    case Function::last:
    case Function::variance:
    case Function::stddev:
    case Function::cv:
    case Function::percentile:
    case Function::entropy: return {};
  }
  return {};
}

/// Where a read ends in the order, when everything it may know stands before that place and nothing else does. Nothing when
/// late entries it does not know are among those it does.
std::optional<std::uint64_t> Column::end_of(const ColumnLayout& layout, const Asked& asked) const {
  std::uint64_t end = base_ + count_;
  const bool all_known = newest_release_ < asked.release_end;
  const bool own_at_end = newest_release_ + 1 == asked.release_end || newest_release_ == asked.release_end;
  if (!all_known && !ordered_ &&
      !(own_at_end && release_at(layout, end - 1) == newest_release_ && time_at(layout, end - 1) <= asked.to)) {
    return std::nullopt;
  }
  const auto known = [&](std::uint64_t p) {
    return release_at(layout, p) < asked.release_end && time_at(layout, p) <= asked.to;
  };
  for (int steps = 0; steps < 16 && end > base_ && !known(end - 1); ++steps) --end;
  if (end == base_ || known(end - 1)) return end;
  if (!all_known && !ordered_) return std::nullopt;
  std::uint64_t low = base_;
  while (low < end) {
    const std::uint64_t middle = low + (end - low) / 2;
    if (known(middle)) {
      low = middle + 1;
    } else {
      end = middle;
    }
  }
  return end;
}

Value Column::read_exact(const ColumnLayout& layout, const Asked& asked, bool& since_mark) {
  const Window& window = *asked.window;
  const Function function = window.function;
  if (count_ == 0) return of_nothing(layout, window);
  std::uint64_t end = base_ + count_;
  if (newest_release_ >= asked.release_end || time_at(layout, end - 1) > asked.to) {
    const std::optional<std::uint64_t> place = end_of(layout, asked);
    if (!place) return scan(layout, asked, since_mark);
    end = *place;
  }
  // The judged event's own mark stands right behind its entry, and not before it.
  while (layout.marked && end > base_ && mark_at(layout, end - 1) && release_at(layout, end - 1) >= asked.mark_end)
    --end;

  if (!windows_) {
    windows_ = std::make_unique<WindowState[]>(layout.running.size());
    for (std::size_t i = 0; i < layout.running.size(); ++i) windows_[i].head = windows_[i].tail = base_;
  }
  const std::uint32_t running_index = layout.running_of[asked.index];
  const ColumnLayout::Running& running = layout.running[running_index];
  WindowState& state = windows_[running_index];
  const bool passed = (state.head > base_ && time_at(layout, state.head - 1) >= asked.from &&
                       !(layout.marked && mark_at(layout, state.head - 1))) ||
                      end < state.head || end < state.tail;
  using Family = ColumnLayout::Family;
  const bool money_mixed = mixed_ && running.family != Family::none && running.family != Family::counted;
  if (passed || money_mixed) return scan(layout, asked, since_mark);

  if (layout.marked) {
    settle_marks(layout, state, end);
    const std::uint64_t mark = state.more().mark;
    since_mark = mark != nowhere && mark >= base_ && time_at(layout, mark) >= asked.from;
  }
  move_head(layout, running, state, end, asked.from);
  if (running.family == Family::none) {
    state.tail = state.head;
  } else if (running.family != Family::extreme) {
    for (; state.tail < end; ++state.tail) fold_in(layout, running, state, state.tail);
  }
  const Kind kind = window.gaps ? Kind::duration : layout.kind;
  const std::uint16_t fixed = layout.type.currency.code;
  const std::uint16_t currency = fixed != 0 ? fixed : (end == state.head ? std::uint16_t{0} : currency_);
  switch (function) {
    case Function::count: return of_count(end - state.head);
    case Function::distinct:
      if (running.levels) {
        const WindowState::Rare& rare = state.more();
        return of_count(rare.levels ? rare.levels->estimate(layout.sample_max) : 0);
      }
      return of_count(state.counted ? state.counted->size() : 0);
    case Function::entropy:
      return state.present == 0 ? Value{} : Value::of_number({entropy_e9(state.present, state.more().weight)});
    case Function::holds: {
      const std::optional<Entry> probe = probe_entry(layout, asked.probe);
      return Value::of_boolean(probe && state.counted &&
                               state.counted->contains(probe->low, probe->high, probe->currency));
    }
    case Function::sum:
      return sum_value(kind, state.sum, fixed == 0 && state.present == 0 ? std::uint16_t{0} : currency);
    case Function::avg: return avg_value(kind, state.sum, state.present, currency);
    case Function::variance:
    case Function::stddev:
    case Function::cv: return of_spread(window, state.more().moments, kind, currency);
    case Function::min:
    case Function::max:
      if (!window.gaps) return extreme(layout, function, state, end);
      [[fallthrough]];
    case Function::percentile: {
      if (running.family == Family::classes) {
        const ClassCounts& classes = state.more().classes;
        if (classes.size() == 0) return {};
        return of_units(kind, running.scale->middle_of(classes.at(rank_of(window, classes.size()))), currency);
      }
      const OrderedValues& ordered = state.more().ordered;
      if (ordered.size() == 0) return {};
      return of_units(kind, ordered.at(rank_of(window, ordered.size())), currency);
    }
    case Function::first:
      for (std::uint64_t p = state.head; p < end; ++p) {
        const Entry entry = entry_at(layout, p);
        if (entry.present) return value_of(layout, entry);
      }
      return {};
    case Function::last:
      for (std::uint64_t p = end; p > state.head; --p) {
        const Entry entry = entry_at(layout, p - 1);
        if (entry.present) return value_of(layout, entry);
      }
      return {};
  }
  return {};
}

Value Column::answer(const ColumnLayout& layout, std::size_t window_index, const Question& question) {
  const Window& window = layout.windows[window_index];
  const std::uint64_t release = question.at.release;
  Asked asked;
  asked.index = window_index;
  asked.window = &window;
  asked.from = window.first_time(question.at.time);
  asked.to = window.last_time(question.at.time);
  asked.release_end = window.with_event() || question.deadline ? release + 1 : release;
  asked.mark_end = question.deadline ? release + 1 : release;
  asked.probe = question.probe;
  bool warming = asked.from < question.data_begins;
  const std::optional<event::Bound> bound = bound_while_warming(window.function);
  if (window.reach != Reach::since && warming && !bound) return {};
  bool since_mark = false;
  Value value = read_exact(layout, asked, since_mark);
  warming = warming && !since_mark;
  if (!warming || value.is_missing()) return value;
  if (!bound) return {};
  if (window.function == Function::holds) return value.boolean() ? value : Value{};
  value.bound = *bound;
  return value;
}

void Column::prefetch(const ColumnLayout& layout) const {
  if (entries_) {
    const std::size_t stride = 16U + layout.payload_bytes;
    __builtin_prefetch(entries_.get() + begin_ * stride);
    __builtin_prefetch(entries_.get() + (begin_ + std::size_t{count_}) * stride, 1);
  }
  if (windows_) {
    const char* windows = reinterpret_cast<const char*>(windows_.get());
    for (std::size_t at = 0; at < layout.windows.size() * sizeof(WindowState); at += 64)
      __builtin_prefetch(windows + at, 1);
  }
  if (texts_) __builtin_prefetch(texts_.get());
}

Column::Content Column::content(const ColumnLayout& layout, std::size_t window_index, const Question& question) const {
  Content content;
  if (count_ == 0) return content;
  const Window& window = layout.windows[window_index];
  const Timestamp to = window.last_time(question.at.time);
  const std::uint64_t release = question.at.release;
  const std::uint64_t end = window.with_event() || question.deadline ? release + 1 : release;
  const std::uint64_t mark_end = question.deadline ? release + 1 : release;
  for (std::uint64_t p = first_from(layout, window.first_time(question.at.time)); p < base_ + count_; ++p) {
    const Timestamp time = time_at(layout, p);
    if (time > to) break;
    const Entry entry = entry_at(layout, p);
    if (entry.mark) {
      if (entry.release < mark_end) content = {};
      continue;
    }
    if (entry.release >= end) continue;
    if (content.entries++ == 0) content.first = time;
    content.last = time;
  }
  return content;
}

void Column::expire(const ColumnLayout& layout, Timestamp earliest_read) {
  if (count_ == 0) return;
  const Timestamp keep_from = layout.needed_from(earliest_read);
  std::uint64_t keep = first_from(layout, keep_from);
  if (layout.marked) {
    // Of what stands before the last mark no later read knows more than that there was a mark.
    for (std::uint64_t p = first_from(layout, earliest_read); p > keep; --p) {
      if (!mark_at(layout, p - 1)) continue;
      keep = p - 1;
      break;
    }
  }
  if (keep == base_) {
    thin_sample(layout, earliest_read);
    return;
  }
  if (keep == base_ + count_) {
    clear();
    return;
  }
  if (windows_) {
    for (std::size_t i = 0; i < layout.running.size(); ++i) {
      WindowState& state = windows_[i];
      if (layout.marked && state.head < keep) {
        state.head = keep;
        state.begin_anew();
      } else {
        move_head(layout, layout.running[i], state, keep, Timestamp::max());
      }
      if (state.rare) state.rare->scanned = std::max(state.rare->scanned, keep);
    }
  }
  if (texts_) {
    for (std::uint64_t p = base_; p < keep; ++p) {
      const Entry entry = entry_at(layout, p);
      if (entry.present) texts_->let_go(static_cast<std::uint32_t>(entry.low));
    }
  }
  const auto dropped = static_cast<std::uint32_t>(keep - base_);
  begin_ += dropped;
  count_ -= dropped;
  base_ = keep;
  if (!ordered_ || mixed_) recheck(layout);
  thin_sample(layout, earliest_read);
  if (capacity_ > 16 && count_ < capacity_ / 4) resize(layout, std::max(capacity_ / 2, capacity_first));
}

/// Of a sample the entries that no read at `earliest_read` or later counts: what stands behind them up to that moment is in every
/// window they are in. Done when the column has doubled, so that its cost per entry is bounded.
void Column::thin_sample(const ColumnLayout& layout, Timestamp earliest_read) {
  constexpr std::uint32_t worth_it = 1024;
  if (layout.sample_max == 0 || count_ <= 2 * std::max(thinned_, worth_it)) return;
  const Timestamp settled = earliest_read - layout.gap_max - Duration{1};
  CountedSet seen;
  std::array<std::uint64_t, 64> newer{};  // different hashes of this level or a higher one
  std::vector<Entry> kept;
  for (std::uint64_t p = base_ + count_; p > base_; --p) {
    const Entry entry = entry_at(layout, p - 1);
    if (!entry.mark && entry.time <= settled) {
      const unsigned level = level_of(entry.low);
      if (newer[level] > layout.sample_max || seen.add(entry.low, 0, 0) > 1) continue;
      for (unsigned l = 0; l <= level; ++l) ++newer[l];
    }
    kept.push_back(entry);
  }
  std::reverse(kept.begin(), kept.end());
  // Places are counted from the first entry: what is kept moves to the front, and later positions stay later.
  base_ += count_ - kept.size();
  count_ = static_cast<std::uint32_t>(kept.size());
  for (std::uint64_t i = 0; i < kept.size(); ++i) store(layout, base_ + i, kept[i]);
  thinned_ = count_;
  windows_.reset();
  recheck(layout);
}

/// Late entries and foreign currencies leave with time; then the fast way is open again.
void Column::recheck(const ColumnLayout& layout) {
  ordered_ = true;
  mixed_ = false;
  currency_ = 0;
  newest_release_ = 0;
  for (std::uint64_t p = base_; p < base_ + count_; ++p) {
    const Entry entry = entry_at(layout, p);
    if (entry.release < newest_release_) ordered_ = false;
    newest_release_ = std::max(newest_release_, entry.release);
    if (layout.kind == Kind::money && entry.present) {
      if (currency_ == 0) currency_ = entry.currency;
      if (currency_ != entry.currency) mixed_ = true;
    }
  }
  // While currencies were mixed the running sums went on without regard to them; they are begun anew.
  if (!mixed_ && layout.kind == Kind::money) windows_.reset();
}

Timestamp Column::oldest(const ColumnLayout& layout) const {
  TOCSIN_CHECK(count_ != 0);
  return time_at(layout, base_);
}

std::size_t Column::bytes(const ColumnLayout& layout) const {
  std::size_t sum = sizeof(*this) + std::size_t{capacity_} * (16U + layout.payload_bytes);
  if (texts_) sum += texts_->bytes();
  if (windows_) {
    for (std::size_t i = 0; i < layout.running.size(); ++i) {
      sum += sizeof(WindowState);
      if (const WindowState::Rare* rare = windows_[i].rare.get()) {
        sum +=
            sizeof(*rare) + rare->ordered.bytes() + rare->classes.bytes() + (rare->levels ? sizeof(SampleLevels) : 0U);
      }
      if (windows_[i].counted) sum += sizeof(CountedSet) + windows_[i].counted->bytes();
      if (windows_[i].queue) sum += sizeof(Queue) + windows_[i].queue->positions.capacity() * 8;
    }
  }
  return sum;
}

// Layout of the bytes: docs/state_format.md, "column".
void Column::encode(const ColumnLayout& layout, std::string& out) const {
  ByteWriter writer(out);
  writer.put_u8(column_version);
  writer.put_u8(static_cast<std::uint8_t>(layout.kind));
  writer.put_u8(layout.payload_bytes);
  writer.put_varint(count_);
  std::vector<std::uint32_t> numbers(texts_ ? texts_->id_end() : 0, 0);  // text -> its number in these bytes, from 1
  std::uint32_t next_number = 1;
  std::int64_t time = 0;
  std::uint64_t release = 0;
  for (std::uint64_t p = base_; p < base_ + count_; ++p) {
    const Entry entry = entry_at(layout, p);
    const auto above = static_cast<std::uint64_t>(static_cast<std::int64_t>(entry.low) >> 63);
    const bool narrow = entry.high == above;
    writer.put_u8(static_cast<std::uint8_t>((entry.present ? 1U : 0U) | (narrow ? 2U : 0U) | (entry.mark ? 4U : 0U)));
    // Differences wrap, so that even the ends of time come back; they are small for all real streams.
    writer.put_signed(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(entry.time.us) - static_cast<std::uint64_t>(time)));
    writer.put_signed(static_cast<std::int64_t>(entry.release - release));
    time = entry.time.us;
    release = entry.release;
    if (!entry.present || layout.payload_bytes == 0) continue;
    if (layout.kind == Kind::text) {
      std::uint32_t& number = numbers[entry.low];
      writer.put_varint(number);
      if (number == 0) {
        number = next_number++;
        writer.put_bytes(texts_->view(static_cast<std::uint32_t>(entry.low)));
      }
      continue;
    }
    writer.put_signed(static_cast<std::int64_t>(entry.low));
    if (layout.payload_bytes >= 16 && !narrow) writer.put_u64(entry.high);
    if (layout.payload_bytes >= 24) writer.put_varint(entry.currency);
  }
}

Result<Column> Column::decode(const ColumnLayout& layout, std::string_view bytes) {
  ByteReader reader(bytes);
  const std::uint8_t version = reader.get_u8();
  if (!reader.failed() && version != column_version) {
    return corrupt_column("they are of a format this version does not know");
  }
  if (reader.get_u8() != static_cast<std::uint8_t>(layout.kind))
    return corrupt_column("the argument is of another kind");
  if (reader.get_u8() != layout.payload_bytes) return corrupt_column("the entries are of another width");
  const std::uint64_t count = reader.get_varint();
  if (reader.failed()) return corrupt_column("the head is cut off");
  // An entry takes three bytes or more: a count that the bytes cannot hold allocates nothing.
  if (count > reader.remaining() / 3) return corrupt_column("more entries are announced than there are bytes");
  Column column;
  std::vector<std::string_view> texts;
  Moment at;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint8_t flags = reader.get_u8();
    const Moment before = at;
    at.time.us = static_cast<std::int64_t>(static_cast<std::uint64_t>(at.time.us) +
                                           static_cast<std::uint64_t>(reader.get_signed()));
    at.release += static_cast<std::uint64_t>(reader.get_signed());
    if (flags > 7) return corrupt_column("an entry has unknown flags");
    if ((at.release & (missing_bit | mark_bit)) != 0) return corrupt_column("a release number is out of range");
    if (i != 0 && at < before) return corrupt_column("the entries are out of order");
    const bool present = (flags & 1U) != 0;
    if ((flags & 4U) != 0) {
      if (!layout.marked || present) return corrupt_column("a mark where none is kept");
      if (!column.mark(layout, at)) return corrupt_column("more entries than a column may hold");
      continue;
    }
    if (!present && !layout.keeps_missing) return corrupt_column("an entry without argument where none is kept");
    Value value;
    if (present && layout.payload_bytes != 0) {
      value.kind = layout.kind;
      if (layout.sample_max != 0) {
        Entry entry;
        entry.time = at.time;
        entry.release = at.release;
        entry.present = true;
        entry.low = static_cast<std::uint64_t>(reader.get_signed());
        if (reader.failed()) return corrupt_column("they are cut off");
        if (!column.place_entry(layout, entry)) return corrupt_column("more entries than a column may hold");
        continue;
      }
      if (layout.kind == Kind::text) {
        const std::uint64_t number = reader.get_varint();
        if (number == 0) texts.push_back(reader.get_bytes());
        if (number > texts.size() || reader.failed()) return corrupt_column("a text that was not given");
        value = Value::of_text(number == 0 ? texts.back() : texts[number - 1]);
      } else {
        value.low = static_cast<std::uint64_t>(reader.get_signed());
        if (layout.payload_bytes >= 16) {
          value.high = (flags & 2U) != 0 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(value.low) >> 63)
                                         : reader.get_u64();
        }
        if (layout.kind == Kind::boolean && value.low > 1) return corrupt_column("a boolean that is neither");
        if (layout.kind == Kind::money) {
          const std::uint64_t currency = layout.payload_bytes >= 24 ? reader.get_varint() : layout.type.currency.code;
          if (currency > 0x7fff) return corrupt_column("an unknown currency");
          value.currency = {static_cast<std::uint16_t>(currency)};
        }
      }
    }
    if (reader.failed()) return corrupt_column("they are cut off");
    if (!column.insert(layout, at, value)) return corrupt_column("more entries than a column may hold");
  }
  if (!reader.at_end()) return corrupt_column("something stands behind the last entry");
  return column;
}

}  // namespace tocsin::state
