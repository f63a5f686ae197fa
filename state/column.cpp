#include "state/column.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/hash.h"

namespace tocsin::state {
namespace {

using event::Currency;
using event::Kind;
using event::TypeKind;
using event::Value;

constexpr std::uint8_t column_version = 1;
constexpr std::uint64_t missing_bit = 1ULL << 63U;  // in the release word of an entry: its argument is missing
constexpr std::uint64_t scan_entries_max = 8;       // up to here a scan for min or max is faster than keeping a queue
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

/// Exact sum of 128-bit numbers in 192 bits: adding and taking away in any order ends at the same bits.
struct Sum {
  unsigned __int128 low = 0;
  std::int64_t high = 0;

  void add(Int128 v) {
    const auto bits = static_cast<unsigned __int128>(v);
    low += bits;
    high += (v < 0 ? -1 : 0) + (low < bits ? 1 : 0);
  }
  void subtract(Int128 v) {
    const auto bits = static_cast<unsigned __int128>(v);
    high -= (v < 0 ? -1 : 0) + (low < bits ? 1 : 0);
    low -= bits;
  }
  /// Nothing when it needs more than 128 bits.
  [[nodiscard]] std::optional<Int128> value() const {
    const auto v = static_cast<Int128>(low);
    if (high != (v < 0 ? -1 : 0)) return std::nullopt;
    return v;
  }
};

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

/// How often each value stands in a window. A few values are searched one by one; more become a hash table.
class CountedSet {
 public:
  void add(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    Slot* slot = find(low, high, currency);
    if (slot != nullptr && slot->count != 0) {
      ++slot->count;
      return;
    }
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
  }
  void remove(std::uint64_t low, std::uint64_t high, std::uint16_t currency) {
    Slot* slot = find(low, high, currency);
    TOCSIN_CHECK(slot != nullptr);
    TOCSIN_CHECK(slot->count != 0);
    if (--slot->count != 0) return;
    --size_;
    if (hashed_) {
      close_gap(static_cast<std::size_t>(slot - slots_.data()));
    } else {
      *slot = slots_.back();
      slots_.pop_back();
    }
    if (size_ == 0) clear();
  }
  void clear() {
    slots_.clear();
    slots_.shrink_to_fit();
    size_ = 0;
    hashed_ = false;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
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

Value sum_value(Kind kind, const Sum& sum, std::uint16_t currency) {
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

Value avg_value(Kind kind, const Sum& sum, std::uint64_t present, std::uint16_t currency) {
  const std::optional<Int128> total = sum.value();
  if (!total || present == 0) return {};
  const Int128 mean = divide_half_even(*total, static_cast<Int128>(present));
  if (kind == Kind::number) return Value::of_number({mean});
  if (kind == Kind::money) return currency == 0 ? Value{} : Value::of_money({mean}, {currency});
  if (kind == Kind::duration) return Value::of_duration({static_cast<std::int64_t>(mean)});
  return {};
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

  /// The number that is summed.
  [[nodiscard]] Int128 number(Kind kind) const {
    if (kind == Kind::duration) return static_cast<std::int64_t>(low);
    return wide(low, high);
  }
};

/// What one window remembers between reads: entries in [head, tail) are folded into sum, present, distinct or queue;
/// none before head can be asked for by a read that is not earlier than the last.
struct Column::WindowState {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  Sum sum;
  std::uint64_t present = 0;
  Kind kind = Kind::missing;  // of the column, so that folding needs no layout
  std::unique_ptr<CountedSet> distinct;
  std::unique_ptr<Queue> queue;
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
  Fold(const Column& column, const ColumnLayout& layout, Function function)
      : column_(column), layout_(layout), function_(function) {}

  void take(const Entry& entry) {
    ++count_;
    if (!entry.present) return;
    if (present_++ == 0) first_ = entry;
    if (layout_.kind == Kind::money && entry.currency != first_.currency) mixed_ = true;
    switch (function_) {
      case Function::count:
      case Function::first: break;
      case Function::last: best_ = entry; break;
      case Function::sum:
      case Function::avg: sum_.add(entry.number(layout_.kind)); break;
      case Function::distinct: distinct_.add(entry.low, entry.high, entry.currency); break;
      case Function::min:
        if (present_ == 1 || column_.compare(layout_, entry, best_) < 0) best_ = entry;
        break;
      case Function::max:
        if (present_ == 1 || column_.compare(layout_, entry, best_) > 0) best_ = entry;
        break;
    }
  }
  [[nodiscard]] Value value() const {
    const std::uint16_t currency = present_ != 0 ? first_.currency : layout_.type.currency.code;
    switch (function_) {
      case Function::count: return of_count(count_);
      case Function::distinct: return of_count(distinct_.size());
      case Function::sum: return mixed_ ? Value{} : sum_value(layout_.kind, sum_, currency);
      case Function::avg: return mixed_ ? Value{} : avg_value(layout_.kind, sum_, present_, currency);
      case Function::first: return present_ == 0 ? Value{} : column_.value_of(layout_, first_);
      case Function::last: return present_ == 0 ? Value{} : column_.value_of(layout_, best_);
      case Function::min:
      case Function::max:
        return present_ == 0 || mixed_ || layout_.kind == Kind::geo ? Value{} : column_.value_of(layout_, best_);
    }
    return {};
  }

 private:
  const Column& column_;
  const ColumnLayout& layout_;
  Function function_;
  std::uint64_t count_ = 0;
  std::uint64_t present_ = 0;
  Entry first_;
  Entry best_;
  Sum sum_;
  CountedSet distinct_;
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
  }
  return "?";
}

std::string_view to_text(Reach reach) { return reach == Reach::last ? "last" : "before"; }

ColumnLayout::ColumnLayout(std::vector<Window> column_windows, event::Type argument, std::uint64_t meaning)
    : windows(std::move(column_windows)), type(argument), fingerprint(meaning) {
  bool needs_argument = false;
  keeps_missing = false;
  for (const Window& window : windows) {
    if (window.function == Function::count) {
      keeps_missing = true;
    } else {
      needs_argument = true;
    }
    horizon_ = std::max(horizon_, window.length);
  }
  if (!needs_argument) return;
  kind = kind_of(type.kind);
  payload_bytes = payload_of(kind, type.currency.code != 0);
}

std::string ColumnLayout::dump() const {
  std::string out = "column payload=" + std::to_string(payload_bytes);
  for (const Window& window : windows) {
    out += ' ';
    out += to_text(window.function);
    out += ':';
    out += to_text(window.reach);
    out += ':' + tocsin::to_text(window.length);
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
  return word & ~missing_bit;
}

Column::Entry Column::entry_at(const ColumnLayout& layout, std::uint64_t position) const {
  const char* at = place(layout, position);
  Entry entry;
  std::uint64_t word = 0;
  std::memcpy(&entry.time.us, at, 8);
  std::memcpy(&word, at + 8, 8);
  entry.release = word & ~missing_bit;
  entry.present = (word & missing_bit) == 0;
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
  const std::uint64_t word = entry.release | (entry.present ? 0 : missing_bit);
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
  begin_ = count_ = capacity_ = 0;
  currency_ = 0;
  ordered_ = true;
  mixed_ = false;
}

void Column::fold_in(Function function, WindowState& state, const Entry& entry) const {
  if (!entry.present) return;
  ++state.present;
  if (function == Function::distinct) {
    if (!state.distinct) state.distinct = std::make_unique<CountedSet>();
    state.distinct->add(entry.low, entry.high, entry.currency);
  } else {
    state.sum.add(entry.number(state.kind));
  }
}

void Column::fold_out(Function function, WindowState& state, const Entry& entry) const {
  if (!entry.present) return;
  --state.present;
  if (function == Function::distinct) {
    state.distinct->remove(entry.low, entry.high, entry.currency);
  } else {
    state.sum.subtract(entry.number(state.kind));
  }
}

/// Moves the window's beginning to the first entry at or after `from`, taking what it passes out of the running state.
void Column::move_head(const ColumnLayout& layout, Function function, WindowState& state, std::uint64_t end,
                       Timestamp from) const {
  const bool folded = function == Function::sum || function == Function::avg || function == Function::distinct;
  while (state.head < end && time_at(layout, state.head) < from) {
    if (folded && state.head < state.tail) fold_out(function, state, entry_at(layout, state.head));
    ++state.head;
  }
  state.tail = std::max(state.tail, state.head);
  if (state.queue) state.queue->drop_below(state.head);
}

bool Column::insert(const ColumnLayout& layout, Moment at, const Value& argument) {
  TOCSIN_CHECK((at.release & missing_bit) == 0, at.release);
  Entry entry;
  entry.time = at.time;
  entry.release = at.release;
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
  for (std::size_t i = 0; i < layout.windows.size(); ++i) {
    WindowState& state = windows_[i];
    const Function function = layout.windows[i].function;
    const bool inside = position < state.tail;
    if (position < state.head) {
      ++state.head;
      if (inside) ++state.tail;
      if (state.queue) {
        state.queue->clear();
        state.tail = state.head;
      }
    } else if (inside) {
      if (function == Function::min || function == Function::max) {
        if (state.queue) state.queue->clear();
        state.tail = state.head;
      } else {
        if (function == Function::sum || function == Function::avg || function == Function::distinct) {
          fold_in(function, state, entry);
        }
        ++state.tail;
      }
    }
  }
  return true;
}

Value Column::scan(const ColumnLayout& layout, Function function, Timestamp from, Timestamp to,
                   std::uint64_t release_end) const {
  Fold fold(*this, layout, function);
  for (std::uint64_t p = first_from(layout, from); p < base_ + count_; ++p) {
    if (time_at(layout, p) > to) break;
    if (release_at(layout, p) < release_end) fold.take(entry_at(layout, p));
  }
  return fold.value();
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

Value Column::read_exact(const ColumnLayout& layout, std::size_t window_index, Timestamp from, Timestamp to,
                         std::uint64_t release_end) {
  const Function function = layout.windows[window_index].function;
  if (count_ == 0) return Fold(*this, layout, function).value();

  // Where this read ends in the order. When no late entry is here, or the only ones not yet known are those of the
  // judged event at the very end, everything before that place is known too.
  std::uint64_t end = base_ + count_;
  const Timestamp newest = time_at(layout, end - 1);
  if (newest_release_ >= release_end || newest > to) {
    const bool tail_only = newest <= to && newest_release_ == release_end && release_at(layout, end - 1) == release_end;
    if (!ordered_ && !tail_only) return scan(layout, function, from, to, release_end);
    const auto known = [&](std::uint64_t p) { return release_at(layout, p) < release_end && time_at(layout, p) <= to; };
    for (int steps = 0; steps < 16 && end > base_ && !known(end - 1); ++steps) --end;
    if (end > base_ && !known(end - 1)) {
      if (!ordered_) return scan(layout, function, from, to, release_end);
      std::uint64_t low = base_;
      while (low < end) {
        const std::uint64_t middle = low + (end - low) / 2;
        if (known(middle)) {
          low = middle + 1;
        } else {
          end = middle;
        }
      }
    }
  }

  if (!windows_) {
    windows_ = std::make_unique<WindowState[]>(layout.windows.size());
    for (std::size_t i = 0; i < layout.windows.size(); ++i) {
      windows_[i].head = windows_[i].tail = base_;
      windows_[i].kind = layout.kind;
    }
  }
  WindowState& state = windows_[window_index];
  const bool passed =
      (state.head > base_ && time_at(layout, state.head - 1) >= from) || end < state.head || end < state.tail;
  const bool money_mixed = mixed_ && function != Function::count && function != Function::distinct;
  if (passed || money_mixed) return scan(layout, function, from, to, release_end);

  move_head(layout, function, state, end, from);
  switch (function) {
    case Function::count: state.tail = state.head; return of_count(end - state.head);
    case Function::sum:
    case Function::avg:
    case Function::distinct: {
      for (; state.tail < end; ++state.tail) fold_in(function, state, entry_at(layout, state.tail));
      if (function == Function::distinct) return of_count(state.distinct ? state.distinct->size() : 0);
      const std::uint16_t fixed = layout.type.currency.code;
      const std::uint16_t currency = fixed != 0 ? fixed : (state.present == 0 ? std::uint16_t{0} : currency_);
      if (function == Function::sum) return sum_value(layout.kind, state.sum, currency);
      return avg_value(layout.kind, state.sum, state.present, currency);
    }
    case Function::min:
    case Function::max: return extreme(layout, function, state, end);
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

Value Column::read(const ColumnLayout& layout, std::size_t window_index, Moment at, Timestamp data_begins) {
  const Window& window = layout.windows[window_index];
  const bool last = window.reach == Reach::last;
  const Timestamp edge = at.time - window.length;
  const Timestamp from = last ? edge + Duration{1} : edge;
  const std::uint64_t release_end = last ? at.release + 1 : at.release;
  const bool warming = from < data_begins;
  switch (window.function) {
    case Function::count:
    case Function::distinct:
    case Function::max:
    case Function::min: break;
    case Function::sum:
    case Function::avg:
    case Function::first:
    case Function::last:
      if (warming) return {};
  }
  Value value = read_exact(layout, window_index, from, at.time, release_end);
  if (warming && !value.is_missing()) {
    value.bound = window.function == Function::min ? event::Bound::at_most : event::Bound::at_least;
  }
  return value;
}

void Column::expire(const ColumnLayout& layout, Timestamp earliest_read) {
  if (count_ == 0) return;
  const Timestamp keep_from = earliest_read - layout.horizon();
  if (time_at(layout, base_) >= keep_from) return;
  const std::uint64_t keep = first_from(layout, keep_from);
  if (keep == base_ + count_) {
    clear();
    return;
  }
  if (windows_) {
    for (std::size_t i = 0; i < layout.windows.size(); ++i) {
      move_head(layout, layout.windows[i].function, windows_[i], keep, keep_from);
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
  if (capacity_ > 16 && count_ < capacity_ / 4) resize(layout, std::max(capacity_ / 2, capacity_first));
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
    for (std::size_t i = 0; i < layout.windows.size(); ++i) {
      sum += sizeof(WindowState);
      if (windows_[i].distinct) sum += sizeof(CountedSet) + windows_[i].distinct->bytes();
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
    writer.put_u8(static_cast<std::uint8_t>((entry.present ? 1U : 0U) | (narrow ? 2U : 0U)));
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
    if (flags > 3) return corrupt_column("an entry has unknown flags");
    if ((at.release & missing_bit) != 0) return corrupt_column("a release number is out of range");
    if (i != 0 && at < before) return corrupt_column("the entries are out of order");
    const bool present = (flags & 1U) != 0;
    if (!present && !layout.keeps_missing) return corrupt_column("an entry without argument where none is kept");
    Value value;
    if (present && layout.payload_bytes != 0) {
      value.kind = layout.kind;
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
