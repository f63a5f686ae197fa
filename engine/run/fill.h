// A new rule is born knowing the past (LANGUAGE S11): windows that a rule set has and the one before it had not, or had shorter, are
// filled from the history of events (state/history.h) before it goes live. A second engine with the new rules goes over the
// events, in the order in which they were judged, late ones among them, and does nothing but feed windows; the activation then
// takes these windows over as if they had always been there. So every later answer is that of an engine that had the rules
// from the beginning, as far back as the history has everything such a window depends on.
//
// Not filled: windows that depend on what rules did (labels, lists they change, hits), since that is not in the history; they warm
// from the activation on, as all do without a history. Sequences begin anew in any case.
//
// Made and opened on the thread of the engine and its store, read on any one thread, taken over on the engine's again. It holds
// the entries of the windows to be filled in memory, a second time if the windows were there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "state/history.h"

namespace tocsin::engine {

class Fill {
 public:
  /// A window that would be warming, or warm for longer, if nothing were filled.
  struct Window {
    std::string text;
    Timestamp known_from;  // from then on it is known whole, by this fill or without
    std::string why_not;   // it is not filled; empty: it is
  };

  Fill(std::shared_ptr<const Ruleset> next, const Engine::State& now);
  ~Fill();

  /// By text.
  [[nodiscard]] const std::vector<Window>& windows() const { return windows_; }
  /// Some are filled.
  [[nodiscard]] bool any() const { return !sources_.empty(); }

  /// It fills all that `other` would, in the same way.
  [[nodiscard]] bool covers(const Fill& other) const;

  /// Looks at what the store holds now; what was read already is not read again. Requires: no commit is on its way.
  void open(const state::Store& store);
  /// Reads it to the end; asks now and then whether to go on. After an error or a no it is of no use any more.
  Status read(const std::function<bool()>& go_on);

  /// How far it has come, for people; while somebody reads.
  [[nodiscard]] std::uint64_t event_count() const { return event_count_.load(std::memory_order_relaxed); }

 private:
  friend struct Engine::State;

  struct Reach {
    bool known = false;  // this was worked out
    Timestamp since;
    std::string why_not;
  };
  /// The events of one type.
  struct Source {
    event::EventTypeId type = 0;
    Timestamp from;  // earlier ones are not needed
    std::uint64_t next_release = 0;
    std::unique_ptr<state::Cursor> cursor;
    std::optional<state::HistoryBlock> block;
    std::optional<state::Judged> head;
  };

  const Reach& reach_of(std::uint32_t column, const state::HistoryCoverage& coverage);
  void need(std::uint32_t column, Timestamp from);
  Status advance(Source& source);
  void flush();
  void make_engine();

  std::shared_ptr<const Ruleset> ruleset_;
  EngineOptions options_;
  std::optional<Timestamp> data_begins_;
  std::vector<Reach> reaches_;  // by column
  std::vector<bool> wanted_;    // by column: taken over
  std::vector<bool> needed_;    // and those they depend on
  std::vector<Timestamp> needed_from_;
  std::vector<Window> windows_;
  std::vector<Source> sources_;
  std::unique_ptr<Engine> engine_;  // made by the first read
  std::atomic<std::uint64_t> event_count_{0};
};

}  // namespace tocsin::engine
