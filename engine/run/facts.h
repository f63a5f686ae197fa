// What rules have put into the world: labels on entities and entries of lists, each until a moment (SEMANTICS E3, E4). Every
// label of a kind of entity and every list is a set of values; live rules and shadow rules have sets of their own (E5). Sets
// are known by name, so a change of rules keeps what is in them, also what no rule of the moment asks about.
//
// A value is in its set in [put, until): of several times the latest end holds. What has ended is forgotten now and then;
// when that happens changes no answer, since nobody asks about a moment before the watermark of the last batch. Owner: the
// engine, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "event/value.h"
#include "state/key_table.h"

namespace tocsin::engine {

/// What a label is called: the kind of entity it belongs to, and its name.
struct LabelPlan {
  std::string kind;
  std::string name;
};

class Facts {
 public:
  /// Some 100 bytes each. A further value is not taken, which is counted: who labels without end and at the pace of events
  /// meets this bound, and nobody else.
  static constexpr std::size_t facts_max = std::size_t{1} << 24U;
  using Change = std::pair<std::string, std::optional<std::string>>;  // record of the store; nothing: it is gone

  /// Numbers of labels and lists are those of the rules from here on.
  void bind(const std::vector<LabelPlan>& labels, const std::vector<std::string>& lists);

  [[nodiscard]] bool has_label(std::uint32_t label, const event::Value& whom, Timestamp now, bool with_shadow) const {
    return holds(labels_[label], whom, now, with_shadow);
  }
  [[nodiscard]] bool listed(std::uint32_t list, const event::Value& what, Timestamp now, bool with_shadow) const {
    return holds(lists_[list], what, now, with_shadow);
  }
  void put_label(std::uint32_t label, const event::Value& whom, Timestamp until, bool shadow) {
    put(labels_[label][shadow ? 1 : 0], whom, until);
  }
  void put_entry(std::uint32_t list, const event::Value& what, Timestamp until, bool shadow) {
    put(lists_[list][shadow ? 1 : 0], what, until);
  }

  /// Requires: nobody asks about a moment before `now` any more. `stored`: somebody calls take_changes().
  void expire(Timestamp now, bool stored);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::uint64_t refused_count() const { return refused_count_; }

  /// What changed since the last call. The caller writes all of it or does not go on.
  std::vector<Change> take_changes();
  /// Takes back one record of the store; refuses bytes that are none.
  Status restore(std::string_view key, std::string_view value);

 private:
  struct Fact {
    std::int64_t until = 0;
    bool changed = false;
    bool stored = false;
  };
  struct Set {
    std::string name;
    std::uint64_t space = 0;
    state::KeyTable<Fact> facts;
  };
  using Pair = std::array<Set*, 2>;  // of live rules, of shadow rules

  Set& set_of(const std::string& name);
  [[nodiscard]] bool holds(const Pair& sets, const event::Value& value, Timestamp now, bool with_shadow) const;
  void put(Set* set, const event::Value& value, Timestamp until);

  std::deque<Set> sets_;
  std::map<std::string, Set*, std::less<>> by_name_;
  std::vector<Pair> labels_, lists_;
  std::vector<std::pair<Set*, std::string>> changed_;
  std::vector<std::string> gone_;  // records
  std::size_t size_ = 0;
  std::size_t put_since_ = 0;  // the last look for what has ended
  std::uint64_t refused_count_ = 0;
  mutable std::string scratch_;
};

}  // namespace tocsin::engine
