// Puts arriving events into the total order (time, sequence within the partition, partition) and moves the watermark (LANGUAGE
// S1, SEMANTICS T4–T6). Of one time, what the events say of themselves (`seq`) comes before the sequence of their arrival. With one partition and no lateness an event is released as it arrives and nothing is kept; else events
// wait, packed, until the watermark has passed them.
//
// Between several partitions an event whose time equals the watermark waits until the watermark is past it: another partition
// may still bring one of the same time that stands before it, and the order must not depend on who was read first.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/run/engine.h"
#include "event/event.h"

namespace tocsin::engine {

class Order {
 public:
  /// Waiting events beyond this push the watermark to the oldest one's time: memory has an end, and the push is counted.
  static constexpr std::size_t waiting_max = std::size_t{1} << 20U;

  struct Partition {
    Timestamp largest = Timestamp::min();
    Duration lateness;
    std::uint64_t sequence = 0;
    bool idle = false;
    bool seen = false;
  };
  struct Place {
    Timestamp time;
    std::optional<Decimal> seq;  // those without stand before those with one
    event::Position position;
    auto operator<=>(const Place& other) const {
      return std::tie(time, seq, position.sequence, position.partition) <=>
             std::tie(other.time, other.seq, other.position.sequence, other.position.partition);
    }
    bool operator==(const Place&) const = default;
  };

  Order(std::uint32_t partitions, std::vector<Duration> lateness);

  /// Notes the arrival and says what becomes of the event.
  enum class Verdict { now, late, wait };
  Verdict arrive(const event::Event& event);
  static Place place_of(const event::Event& event, const event::Schema& schema);
  /// Keeps an event for which arrive() said `wait`.
  void keep(const Place& place, std::string packed);
  void idle(std::uint32_t partition);
  void tick(Timestamp time);
  /// The next waiting event whose time has come, in order; nothing when there is none.
  std::optional<std::string> release();

  [[nodiscard]] Timestamp watermark() const { return watermark_; }
  [[nodiscard]] std::size_t waiting_count() const { return waiting_.size(); }
  [[nodiscard]] std::uint64_t pushed_count() const { return pushed_; }
  [[nodiscard]] const std::vector<Partition>& partitions() const { return partitions_; }
  [[nodiscard]] const std::map<Place, std::string>& waiting() const { return waiting_; }
  /// While loading.
  void restore(Timestamp watermark, std::uint32_t partition, const Partition& state);
  void restore_waiting(const Place& place, std::string packed) { waiting_.emplace(place, std::move(packed)); }

  // What a checkpoint has to write and delete since the last one.
  std::vector<Place> added, removed;
  void checkpointed() {
    added.clear();
    removed.clear();
  }

 private:
  Partition& partition(std::uint32_t index);
  void move();

  std::vector<Partition> partitions_;
  std::vector<Duration> lateness_;
  std::map<Place, std::string> waiting_;
  Timestamp watermark_ = Timestamp::min();
  std::uint64_t pushed_ = 0;
};

}  // namespace tocsin::engine
