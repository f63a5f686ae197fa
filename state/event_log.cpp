#include "state/event_log.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::state {

std::uint64_t EventLog::append(std::string_view packed) {
  TOCSIN_CHECK(!packed.empty());
  entries_.push_back({end_, bytes_.size(), packed.size()});
  bytes_.append(packed);
  return end_++;
}

/// entries_.size(): it is not there.
std::size_t EventLog::index_of(std::uint64_t position) const {
  if (position < begin_ || position >= end_ || first_ == entries_.size()) return entries_.size();
  // Without gaps, the usual case, the place is known.
  const std::uint64_t distance = position - std::min(position, entries_[first_].position);
  std::size_t index =
      first_ + static_cast<std::size_t>(std::min<std::uint64_t>(distance, entries_.size() - 1 - first_));
  if (entries_[index].position != position) {
    const auto at = std::lower_bound(entries_.begin() + static_cast<std::ptrdiff_t>(first_), entries_.end(), position,
                                     [](const Entry& e, std::uint64_t wanted) { return e.position < wanted; });
    index = static_cast<std::size_t>(at - entries_.begin());
  }
  if (index == entries_.size() || entries_[index].position != position) return entries_.size();
  return entries_[index].size == 0 ? entries_.size() : index;
}

std::optional<std::string_view> EventLog::find(std::uint64_t position) const {
  const std::size_t index = index_of(position);
  if (index == entries_.size()) return std::nullopt;
  return std::string_view(bytes_).substr(entries_[index].at, entries_[index].size);
}

void EventLog::trim_before(std::uint64_t position) {
  const std::uint64_t until = std::min(position, end_);
  if (until <= begin_) return;
  begin_ = until;
  for (; first_ < entries_.size() && entries_[first_].position < until; ++first_) {
    dead_bytes_ += entries_[first_].size;
    dead_entries_ -= entries_[first_].size == 0 ? 1U : 0U;
  }
  std::erase_if(dropped_, [this](std::uint64_t p) { return p < begin_; });
  compact();
}

void EventLog::drop_at(std::size_t index) {
  Entry& entry = entries_[index];
  dead_bytes_ += entry.size;
  ++dead_entries_;
  entry.size = 0;
  if (entry.position < dirty_from()) dropped_.push_back(entry.position);
}

void EventLog::drop(std::uint64_t position) {
  const std::size_t index = index_of(position);
  if (index == entries_.size()) return;
  drop_at(index);
  compact();
}

void EventLog::keep_only(std::vector<std::uint64_t>& positions) {
  std::sort(positions.begin(), positions.end());
  auto wanted = positions.begin();
  for (std::size_t i = first_; i < entries_.size(); ++i) {
    while (wanted != positions.end() && *wanted < entries_[i].position) ++wanted;
    const bool keep = wanted != positions.end() && *wanted == entries_[i].position;
    if (!keep && entries_[i].size != 0) drop_at(i);
  }
  kept_bytes_ = bytes();
  compact();
}

// Half of it dead is worth a copy: every byte is then copied at most once more on the average.
void EventLog::compact() {
  const bool many_bytes = dead_bytes_ >= 256 && dead_bytes_ * 2 >= bytes_.size();
  const std::size_t dead = first_ + dead_entries_;
  const bool many_entries = dead > 64 && dead * 2 > entries_.size();
  if (!many_bytes && !many_entries) return;
  std::string kept;
  kept.reserve(bytes_.size() - dead_bytes_);
  std::vector<Entry> entries;
  entries.reserve(entries_.size() - dead);
  for (std::size_t i = first_; i < entries_.size(); ++i) {
    const Entry& e = entries_[i];
    if (e.size == 0) continue;
    entries.push_back({e.position, kept.size(), e.size});
    kept.append(bytes_, e.at, e.size);
  }
  entries_ = std::move(entries);
  bytes_ = std::move(kept);
  first_ = 0;
  dead_entries_ = 0;
  dead_bytes_ = 0;
}

void EventLog::checkpointed() {
  dirty_from_ = end();
  stored_from_ = begin_;
  dropped_.clear();
}

namespace {
// What was dropped leaves a gap. One wider than any log of a key can be is damage.
constexpr std::uint64_t gap_max = std::uint64_t{1} << 48U;
}  // namespace

Status EventLog::restore(std::uint64_t position, std::string_view packed) {
  const bool fresh = entries_.empty() && end_ == 0;
  if (packed.empty() || (!fresh && position < end_)) {
    return Error{ErrorKind::corrupt, "the events of a key stand in the store out of order"};
  }
  if (!fresh && position - end_ > gap_max)
    return Error{ErrorKind::corrupt, "a position in the log of a key is out of range"};
  if (fresh) begin_ = position;
  end_ = position;
  append(packed);
  checkpointed();
  return {};
}

Status EventLog::restore_end(std::uint64_t begin, std::uint64_t end_position) {
  const bool nothing = first_ == entries_.size();
  if (begin > end_position || (!nothing && (begin > begin_ || end_position < end_))) {
    return Error{ErrorKind::corrupt, "the log of a key does not fit what its state says of it"};
  }
  if (!nothing && end_position - end_ > gap_max)
    return Error{ErrorKind::corrupt, "a position in the log of a key is out of range"};
  if (nothing) begin_ = end_position;
  end_ = end_position;
  checkpointed();
  return {};
}

}  // namespace tocsin::state
