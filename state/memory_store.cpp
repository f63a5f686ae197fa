#include "state/memory_store.h"

namespace tocsin::state {

namespace {

class MemoryCursor final : public Cursor {
 public:
  explicit MemoryCursor(std::map<std::string, std::string, std::less<>> records) : records_(std::move(records)) {}
  bool seek(std::string_view key) override {
    at_ = records_.lower_bound(key);
    return at_ != records_.end();
  }
  bool next() override { return ++at_ != records_.end(); }
  [[nodiscard]] std::string_view key() const override { return at_->first; }
  [[nodiscard]] std::string_view value() const override { return at_->second; }
  [[nodiscard]] Status status() const override { return {}; }

 private:
  std::map<std::string, std::string, std::less<>> records_;
  std::map<std::string, std::string, std::less<>>::const_iterator at_;
};

}  // namespace

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) const {
  const auto found = records_.find(key);
  if (found == records_.end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Status MemoryStore::scan(std::string_view prefix,
                         const std::function<bool(std::string_view key, std::string_view value)>& take) const {
  for (auto at = records_.lower_bound(prefix); at != records_.end(); ++at) {
    if (!std::string_view(at->first).starts_with(prefix)) break;
    if (!take(at->first, at->second)) break;
  }
  return {};
}

std::unique_ptr<Cursor> MemoryStore::cursor() const { return std::make_unique<MemoryCursor>(records_); }

Status MemoryStore::erase_range(std::string_view begin, std::string_view end) {
  if (begin < end) records_.erase(records_.lower_bound(begin), records_.lower_bound(end));
  return {};
}

Status MemoryStore::commit(const WriteSet& changes) {
  if (fail_in_ > 1) {
    --fail_in_;
  } else if (fail_in_ == 1) {
    return Error{ErrorKind::unavailable, "the store in memory was told to fail"};
  }
  for (const WriteSet::Write& write : changes.writes) {
    if (write.value) {
      records_.insert_or_assign(write.key, *write.value);
    } else {
      records_.erase(write.key);
    }
  }
  ++commits_;
  return {};
}

}  // namespace tocsin::state
