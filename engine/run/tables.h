// Reference data as of a moment: rows of a table, found by key and time (SEMANTICS V5). What the rule files hold is built once and
// shared by all who run the rules; what changes at run time lies over it and is the newer of two rows of one moment.
//
// A key's rows lie together in the order of their time, so a look-up is one probe of an open table and a search among the rows
// of one key. Keyed by networks: the same per prefix length, the longest first.
//
// Owner: the ruleset (base), the engine (changes). No locks: a base is constant, changes belong to one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "event/schema.h"

namespace tocsin::engine {

struct TableShape {
  std::string name;
  std::vector<std::string> key_names;
  std::vector<event::Type> keys;
  std::vector<std::string> column_names;
  std::vector<event::Type> columns;
  bool by_network = false;
  [[nodiscard]] std::size_t width() const { return keys.size() + columns.size(); }
};

struct TableRow {
  Timestamp from = Timestamp::min();
  std::span<const event::Value> cells;  // keys, then columns
  event::Network network;               // of a table keyed by networks; its key cell is not looked at
};

/// Rows, added and then sealed. Texts are borrowed.
class TableRows {
 public:
  explicit TableRows(std::size_t keys = 0, std::size_t width = 0, bool by_network = false)
      : keys_(keys), width_(width), by_network_(by_network) {}
  void add(const TableRow& row);
  /// To be called after the last `add` and before the first `find`.
  void seal();
  [[nodiscard]] std::size_t size() const { return from_.size(); }
  [[nodiscard]] TableRow row(std::size_t i) const;

  /// The newest row of the key that is not later than the moment; of two of one time the one added later. The first of the
  /// cells behind the keys, or nullptr.
  struct Found {
    const event::Value* columns = nullptr;
    Timestamp from;
    int prefix = -1;  // by network: of the network found
  };
  [[nodiscard]] Found find(std::span<const event::Value> key, Timestamp moment) const;

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t begin = 0;  // in `order_`
    std::uint32_t count = 0;  // 0: empty
  };
  [[nodiscard]] std::uint64_t hash_of_row(std::size_t row) const;
  [[nodiscard]] bool same_key(std::size_t a, std::size_t b) const;
  [[nodiscard]] Found find_hashed(std::uint64_t hash, std::span<const event::Value> key, const event::Network* network,
                                  Timestamp moment) const;

  std::size_t keys_ = 0;
  std::size_t width_ = 0;
  bool by_network_ = false;
  std::vector<Timestamp> from_;
  std::vector<event::Value> cells_;
  std::vector<event::Network> networks_;
  std::vector<std::uint32_t> order_;  // rows by key, then time, then addition
  std::vector<Slot> slots_;
  std::vector<std::uint8_t> prefixes_;  // that occur, longest first
};

/// A table as it is now.
class TableState {
 public:
  TableState() = default;
  explicit TableState(std::shared_ptr<const TableRows> base) : base_(std::move(base)) {}
  /// Texts are copied. Seen by `find` after the next settle().
  void add(const TableShape& shape, const TableRow& row);
  void settle() {
    if (unsettled_) changes_->seal();
    unsettled_ = false;
  }
  [[nodiscard]] event::Value find(std::span<const event::Value> key, std::size_t column, Timestamp moment) const;
  /// What was added at run time, in its order; for checkpoints.
  [[nodiscard]] const TableRows* changes() const { return changes_.get(); }

 private:
  std::shared_ptr<const TableRows> base_;
  std::unique_ptr<TableRows> changes_;
  bool unsettled_ = false;
  std::vector<std::unique_ptr<std::string>> texts_;
};

}  // namespace tocsin::engine
