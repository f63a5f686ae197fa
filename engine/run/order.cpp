#include "engine/run/order.h"

#include <algorithm>

namespace tocsin::engine {

Order::Order(std::uint32_t partitions, std::vector<Duration> lateness) : lateness_(std::move(lateness)) {
  if (partitions > 0) partition(partitions - 1);
}

Order::Partition& Order::partition(std::uint32_t index) {
  while (partitions_.size() <= index) {
    Partition fresh;
    if (partitions_.size() < lateness_.size()) fresh.lateness = lateness_[partitions_.size()];
    partitions_.push_back(fresh);
  }
  return partitions_[index];
}

void Order::move() {
  Timestamp lowest = Timestamp::max();
  bool any = false;
  for (const Partition& p : partitions_) {
    if (p.idle) continue;
    any = true;
    lowest = std::min(lowest, p.seen ? p.largest - p.lateness : Timestamp::min());
  }
  if (any) watermark_ = std::max(watermark_, lowest);
}

Order::Verdict Order::arrive(const event::Event& event) {
  Partition& p = partition(event.position.partition);
  p.sequence = event.position.sequence;
  const bool late = event.time < watermark_;
  p.largest = std::max(p.largest, event.time);
  p.idle = false;
  p.seen = true;
  move();
  if (late) return Verdict::late;
  return partitions_.size() == 1 && p.lateness.us == 0 && waiting_.empty() ? Verdict::now : Verdict::wait;
}

Order::Place Order::place_of(const event::Event& event, const event::Schema& schema) {
  Place place{event.time, std::nullopt, event.position};
  const std::optional<event::FieldIndex> seq = schema.events[event.type].seq;
  if (seq && !event.at(*seq).is_missing()) place.seq = event.at(*seq).number();
  return place;
}

void Order::keep(const Place& place, std::string packed) {
  waiting_.emplace(place, std::move(packed));
  added.push_back(place);
  if (waiting_.size() > waiting_max) {
    watermark_ = std::max(watermark_, waiting_.begin()->first.time + Duration{1});
    ++pushed_;
  }
}

void Order::idle(std::uint32_t index) {
  partition(index).idle = true;
  move();
}

void Order::tick(Timestamp time) {
  // Time moved on alone: what lies at the tick itself has come too, since no partition is expected to bring more of it.
  watermark_ = std::max(watermark_, time);
}

std::optional<std::string> Order::release() {
  if (waiting_.empty()) return std::nullopt;
  const auto first = waiting_.begin();
  const auto active = std::count_if(partitions_.begin(), partitions_.end(), [](const Partition& p) { return !p.idle; });
  const bool due = first->first.time < watermark_ || (active <= 1 && first->first.time == watermark_);
  if (!due) return std::nullopt;
  std::string packed = std::move(first->second);
  removed.push_back(first->first);
  waiting_.erase(first);
  return packed;
}

void Order::restore(Timestamp watermark, std::uint32_t index, const Partition& state) {
  watermark_ = std::max(watermark_, watermark);
  Partition& p = partition(index);
  const Duration lateness = p.lateness;
  p = state;
  p.lateness = lateness;
}

}  // namespace tocsin::engine
