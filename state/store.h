// Where a task keeps its state between checkpoints: an ordered map from bytes to bytes. One commit is one moment: after
// a kill the store holds all of it or nothing of it, so that state and source positions are never of different moments.
// What the keys mean is in state/records.h. Twins: MemoryStore (tests, replay) and RocksStore.
//
// One thread writes; reads from the same thread, or through a cursor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tocsin::state {

/// The changes of one commit. Of several writes to one key the last counts.
struct WriteSet {
  struct Write {
    std::string key;
    std::optional<std::string> value;  // nothing: the key is deleted
  };
  std::vector<Write> writes;
  /// True: the commit survives a loss of power, not only the end of the process.
  bool sync = false;

  void put(std::string key, std::string value) { writes.push_back({std::move(key), std::move(value)}); }
  void erase(std::string key) { writes.push_back({std::move(key), std::nullopt}); }
  [[nodiscard]] bool empty() const { return writes.empty(); }
  void clear() { writes.clear(); }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Write& write : writes) sum += write.key.size() + (write.value ? write.value->size() : 0);
    return sum;
  }
};

/// Walks the records in the order of keys, as they were when it was made: later commits do not change what it meets. Made on the
/// thread of its store, used by one thread, whichever; views are valid until the next move.
class Cursor {
 public:
  virtual ~Cursor() = default;
  /// To the first record whose key is not below `key`. False: there is none, or status() says why it cannot be read.
  virtual bool seek(std::string_view key) = 0;
  virtual bool next() = 0;
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual std::string_view value() const = 0;
  [[nodiscard]] virtual Status status() const = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
  /// `take(key, value)` for each record whose key begins with `prefix`, in the order of keys, until it returns false.
  /// The views are valid during the call only.
  virtual Status scan(std::string_view prefix,
                      const std::function<bool(std::string_view key, std::string_view value)>& take) const = 0;
  /// All of it or, when it fails or the process is killed, nothing of it.
  virtual Status commit(const WriteSet& changes) = 0;
  /// Requires: no commit is on its way.
  [[nodiscard]] virtual std::unique_ptr<Cursor> cursor() const = 0;
  /// Deletes all records with begin <= key < end, at once; a moment of its own, for what nobody will ask about any more. Cursors
  /// still meet them.
  virtual Status erase_range(std::string_view begin, std::string_view end) = 0;
};

}  // namespace tocsin::state
