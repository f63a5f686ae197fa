// The store's twin in memory, for tests and for runs that keep nothing. It can be told to fail.
#pragma once

#include <cstdint>
#include <map>

#include "state/store.h"

namespace tocsin::state {

class MemoryStore final : public Store {
 public:
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override;
  Status scan(std::string_view prefix,
              const std::function<bool(std::string_view key, std::string_view value)>& take) const override;
  Status commit(const WriteSet& changes) override;
  [[nodiscard]] std::unique_ptr<Cursor> cursor() const override;  // walks a copy
  Status erase_range(std::string_view begin, std::string_view end) override;

  /// The n-th commit from now (1 is the next) and all after it fail and change nothing, until fail_never().
  void fail_at(std::uint64_t n) { fail_in_ = n; }
  void fail_never() { fail_in_ = 0; }

  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& records() const { return records_; }
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

 private:
  std::map<std::string, std::string, std::less<>> records_;
  std::uint64_t commits_ = 0;
  std::uint64_t fail_in_ = 0;  // 0: never; 1: from the next commit on
};

}  // namespace tocsin::state
