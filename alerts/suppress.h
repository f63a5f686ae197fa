// The book of alerts: what is open, what is held, and which rules have hit or have active alerts, as `suppressed by` asks.
// It takes hits, resolving events and time in their order (T3) and says what becomes of each. Rules are known by name,
// so a reload keeps what is open; the span of an alert is the one that held when it was made. One owner, one thread.
//
// - A *span* is one per rule and key of the alert (`alert once … by`, else the rule's key): hits within `alert once per`,
//   or while the alert is unresolved, are folded into its alert; after a resolve it remembers which alert to open again.
// - A *held* alert waits for the rules that may suppress it. It opens when time has passed its wait.
// - A *sight* is one per clause `suppressed by` and key: when the other rule hit last, and until when it has an active
//   alert.
//
// Each of these is a record of its own in the store, and only changed ones are written: take_changes() gives them since
// the last time, restore() takes them back one by one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alerts/alert.h"
#include "alerts/hit.h"
#include "base/hash.h"
#include "base/result.h"
#include "base/time.h"

namespace tocsin::alerts {

/// An alert that takes up later hits.
struct OpenAlert {
  enum class State : std::uint8_t { open, held, resolved };
  Digest id;
  Timestamp at;
  Timestamp until;  // hits before it are folded
  std::uint64_t folded_count = 0;
  State state = State::open;
  bool by_event = false;            // L3: until an event resolves it, whatever its span
  std::vector<std::string> sights;  // that count it as active, while it is open

  bool operator==(const OpenAlert&) const = default;
};

class AlertBook {
 public:
  /// About 300 bytes each. When so many spans are open at once, a further alert starts none (its later hits make
  /// alerts: rather too many than lost), which is counted. The same number bounds the held alerts (a further one opens
  /// at once) and the sights (a further one is not kept).
  static constexpr std::size_t open_max = std::size_t{1} << 22U;
  using Change = std::pair<std::string, std::optional<std::string>>;  // key bytes; value bytes, or nothing: gone

  explicit AlertBook(std::size_t open_limit = open_max) : open_limit_(open_limit) {}

  /// Requires: hits come in their order, so that `at` never falls.
  AlertOutcome take(const Hit& hit);
  /// L3: an event that resolves the alerts of a rule under this key. Comes before the hits of that event.
  void resolve(const RuleInfo& rule, const std::vector<NamedValue>& key, Timestamp time, std::string_view event_type,
               std::string_view event_id);
  /// Time is at `now`, and everything before has been taken: what waited less long opens.
  void advance(Timestamp now);
  /// Forgets spans that ended at `now` or before. Requires: every later hit has `at` >= now. It changes no outcome,
  /// only memory.
  void expire(Timestamp now);

  /// What resolve(), advance() and take() did to alerts made before, in order; empties it.
  std::vector<AlertChange> take_alert_changes() { return std::exchange(alert_changes_, {}); }

  [[nodiscard]] const OpenAlert* find(std::string_view rule, const std::vector<NamedValue>& once_key) const;
  [[nodiscard]] std::size_t open_count() const { return open_.size(); }
  [[nodiscard]] std::size_t held_count() const { return held_.size(); }
  [[nodiscard]] std::uint64_t span_refused_count() const { return span_refused_count_; }

  /// What changed since the last call, in order of key bytes. The caller writes all of it or does not go on.
  std::vector<Change> take_changes();
  /// Takes back one record of the store; refuses bytes that are none.
  Status restore(std::string_view key, std::string_view value);

 private:
  struct Entry {
    OpenAlert alert;
    bool stored = false;  // the store knows it: its end must be written
  };
  using Open = std::map<std::string, Entry, std::less<>>;  // ordered: what is written does not depend on hashes
  struct Wait {
    std::string sight;
    std::string by;  // the rule
    Timestamp until;
    bool operator==(const Wait&) const = default;
  };
  struct Held {
    Digest id;
    std::string rule;
    Timestamp at;
    std::string span;  // key in open_; empty: none
    std::vector<Wait> waits;
    std::vector<std::string> sights;  // that count it as active once it is open
    Timestamp active_until;           // unless an event ends it
    bool by_event = false;
    std::string body, record_key;
  };
  using HeldKey = std::pair<Timestamp, Digest>;  // end of the wait, id
  struct Sight {
    Timestamp last_hit = Timestamp::min();
    Timestamp active_until = Timestamp::min();  // exclusive
    std::uint64_t unresolved = 0;               // alerts that an event will end
    /// From when on it says nothing any more, unless an alert is unresolved.
    [[nodiscard]] Timestamp ends() const {
      return std::max(active_until, last_hit == Timestamp::min() ? last_hit : last_hit + Duration{1});
    }
  };

  void put(std::string key, const OpenAlert& alert, bool stored);
  void erase(Open::iterator entry);
  void begin_active(const std::vector<std::string>& sights, Timestamp until, bool by_event);
  void end_active(const std::vector<std::string>& sights);
  void see_hit(const Hit& hit);
  void forget_held(std::map<HeldKey, Held>::iterator held);
  Sight* sight(const std::string& key, bool create);
  void settle_sight(const std::string& key, const Sight& seen, Timestamp before);
  static std::string encode(const Held& held, Timestamp until);

  std::size_t open_limit_;
  Open open_;
  std::set<std::pair<Timestamp, std::string_view>>
      ends_;  // the views point at keys of open_, whose nodes stay in place
  std::map<HeldKey, Held> held_;
  std::map<std::string, std::set<HeldKey>, std::less<>> waiting_;  // by sight
  std::map<std::string, Sight, std::less<>> sights_;
  std::set<std::pair<Timestamp, std::string>> sight_ends_;  // when a sight says nothing any more
  std::vector<AlertChange> alert_changes_;
  std::set<std::string, std::less<>> changed_;  // keys of spans, held alerts and sights, each with its kind in front
  std::set<std::string, std::less<>> stored_;   // of held alerts and sights: the store knows it
  std::uint64_t span_refused_count_ = 0;
};

}  // namespace tocsin::alerts
