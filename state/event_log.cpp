#include "state/event_log.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::state {

std::uint64_t EventLog::append(std::string_view packed) {
  TOCSIN_CHECK(!packed.empty());
  const std::uint64_t position = end();
  offsets_.push_back({bytes_.size(), packed.size()});
  bytes_.append(packed);
  return position;
}

std::optional<std::string_view> EventLog::find(std::uint64_t position) const {
  if (position < begin_) return std::nullopt;
  if (position >= end()) return std::nullopt;
  const Span span = offsets_[first_ + (position - begin_)];
  if (span.size == 0) return std::nullopt;
  return std::string_view(bytes_).substr(span.at, span.size);
}

void EventLog::trim_before(std::uint64_t position) {
  const std::uint64_t until = std::min(position, end());
  if (until <= begin_) return;
  for (; begin_ < until; ++begin_) dead_bytes_ += offsets_[first_++].size;
  std::erase_if(dropped_, [this](std::uint64_t p) { return p < begin_; });
  compact();
}

void EventLog::drop(std::uint64_t position) {
  if (!find(position)) return;
  Span& span = offsets_[first_ + (position - begin_)];
  dead_bytes_ += span.size;
  span = {};
  if (position < dirty_from()) dropped_.push_back(position);
  compact();
}

// Half of it dead is worth a copy: every byte is then copied at most once more on the average.
void EventLog::compact() {
  if (dead_bytes_ < 256 || dead_bytes_ * 2 < bytes_.size()) {
    if (first_ <= 64 || first_ * 2 <= offsets_.size()) return;
  }
  offsets_.erase(offsets_.begin(), offsets_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
  std::string kept;
  kept.reserve(bytes_.size() - dead_bytes_);
  for (Span& span : offsets_) {
    if (span.size == 0) continue;
    const std::uint64_t at = kept.size();
    kept.append(bytes_, span.at, span.size);
    span.at = at;
  }
  bytes_ = std::move(kept);
  dead_bytes_ = 0;
}

void EventLog::checkpointed() {
  dirty_from_ = end();
  stored_from_ = begin_;
  dropped_.clear();
}

Status EventLog::restore(std::uint64_t position, std::string_view packed) {
  const bool fresh = offsets_.empty() && end() == 0;
  if (packed.empty() || (!fresh && position < end())) {
    return Error{ErrorKind::corrupt, "the events of a key stand in the store out of order"};
  }
  // What was dropped left a gap. A gap wider than any log can be is a damaged key, not a reason to allocate.
  constexpr std::uint64_t gap_max = 1U << 24U;
  if (fresh) {
    begin_ = position;
  } else {
    if (position - end() > gap_max) return Error{ErrorKind::corrupt, "a position in the log of a key is out of range"};
    offsets_.resize(offsets_.size() + (position - end()));
  }
  append(packed);
  checkpointed();
  return {};
}

Status EventLog::restore_end(std::uint64_t begin, std::uint64_t end_position) {
  constexpr std::uint64_t gap_max = 1U << 24U;
  if (begin > end_position || (!empty() && (begin > begin_ || end_position < end()))) {
    return Error{ErrorKind::corrupt, "the log of a key does not fit what its state says of it"};
  }
  if (empty()) {
    begin_ = end_position;
    offsets_.clear();
    first_ = 0;
  } else {
    if (end_position - end() > gap_max)
      return Error{ErrorKind::corrupt, "a position in the log of a key is out of range"};
    offsets_.resize(offsets_.size() + (end_position - end()));
  }
  checkpointed();
  return {};
}

}  // namespace tocsin::state
