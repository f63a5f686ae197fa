#include "state/memory_store.h"

namespace tocsin::state {

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
