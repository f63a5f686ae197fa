// The book of alerts that later hits may be folded into. It takes the hits in their order (T3) and says of each what
// becomes of it; it remembers, per rule name and key of `alert once`, the alert and the end of its span. Rules are
// known by name, so a reload keeps what is open; the span of an alert is the one that held when it was made. One owner,
// one thread.
//
// Each open alert is a record of its own in the store, and only changed ones are written: take_changes() gives them
// since the last time, restore() takes them back one by one.
#pragma once

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
  Digest id;
  Timestamp at;
  Timestamp until;  // hits before it are folded
  std::uint64_t folded_count = 0;

  bool operator==(const OpenAlert&) const = default;
};

class AlertBook {
 public:
  /// About 300 bytes each. When so many spans are open at once, a further alert starts none (its later hits make
  /// alerts: rather too many than lost), which is counted.
  static constexpr std::size_t open_max = std::size_t{1} << 22U;
  using Change = std::pair<std::string, std::optional<std::string>>;  // key bytes; value bytes, or nothing: gone

  explicit AlertBook(std::size_t open_limit = open_max) : open_limit_(open_limit) {}

  /// Requires: hits come in their order, so that `at` never falls.
  AlertOutcome take(const Hit& hit);
  /// Forgets spans that ended at `now` or before. Requires: every later hit has `at` >= now. It changes no outcome,
  /// only memory.
  void expire(Timestamp now);

  [[nodiscard]] const OpenAlert* find(std::string_view rule, const std::vector<NamedValue>& once_key) const;
  [[nodiscard]] std::size_t open_count() const { return open_.size(); }
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

  void put(std::string key, const OpenAlert& alert, bool stored);
  void erase(Open::iterator entry);

  std::size_t open_limit_;
  Open open_;
  std::set<std::pair<Timestamp, std::string_view>>
      ends_;  // the views point at keys of open_, whose nodes stay in place
  std::set<std::string, std::less<>> changed_;
  std::uint64_t span_refused_count_ = 0;
};

}  // namespace tocsin::alerts
