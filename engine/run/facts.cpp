#include "engine/run/facts.h"

#include <algorithm>

#include "base/coding.h"
#include "base/hash.h"
#include "state/key.h"
#include "state/records.h"

namespace tocsin::engine {

namespace {

constexpr std::uint8_t fact_format = 1;

}  // namespace

Facts::Set& Facts::set_of(const std::string& name) {
  Set*& set = by_name_[name];
  if (set == nullptr) {
    sets_.push_back({name, hash64(name), {}});
    set = &sets_.back();
  }
  return *set;
}

void Facts::bind(const std::vector<LabelPlan>& labels, const std::vector<std::string>& lists) {
  // Neither a kind of entity nor a list has a colon in its name.
  labels_.clear();
  for (const LabelPlan& label : labels) {
    const std::string name = label.kind + ":" + label.name;
    labels_.push_back({&set_of("label:" + name), &set_of("shadow-label:" + name)});
  }
  lists_.clear();
  for (const std::string& list : lists) lists_.push_back({&set_of("list:" + list), &set_of("shadow-list:" + list)});
}

bool Facts::holds(const Pair& sets, const event::Value& value, Timestamp now, bool with_shadow) const {
  if (sets[0]->facts.empty() && (!with_shadow || sets[1]->facts.empty())) return false;
  scratch_.clear();
  state::append_key_part(scratch_, value);
  const std::uint64_t hash = hash64(scratch_);
  for (std::size_t i = 0; i < (with_shadow ? 2U : 1U); ++i) {
    const Fact* fact = sets[i]->facts.find(hash, scratch_);
    if (fact != nullptr && now.us < fact->until) return true;
  }
  return false;
}

void Facts::put(Set* set, const event::Value& value, Timestamp until) {
  scratch_.clear();
  state::append_key_part(scratch_, value);
  const std::uint64_t hash = hash64(scratch_);
  Fact* fact = set->facts.find(hash, scratch_);
  if (fact == nullptr) {
    if (size_ >= facts_max) {
      ++refused_count_;
      return;
    }
    fact = &set->facts.get_or_create(hash, scratch_);
    fact->until = INT64_MIN;
    ++size_;
  }
  if (until.us <= fact->until) return;
  fact->until = until.us;
  ++put_since_;
  if (fact->changed) return;
  fact->changed = true;
  changed_.emplace_back(set, scratch_);
}

void Facts::expire(Timestamp now, bool stored) {
  if (!stored) {
    for (auto& [set, key] : changed_) {
      if (Fact* fact = set->facts.find(hash64(key), key)) fact->changed = false;
    }
    changed_.clear();
    gone_.clear();
  }
  // Looks at all of them after half as many were put: few steps for each, however long they last.
  if (put_since_ < std::max<std::size_t>(size_ / 2, 1024)) return;
  put_since_ = 0;
  std::vector<std::string> ended;
  for (Set& set : sets_) {
    ended.clear();
    set.facts.for_each([&](std::string_view key, const Fact& fact) {
      if (fact.until <= now.us) ended.emplace_back(key);
    });
    for (const std::string& key : ended) {
      const std::uint64_t hash = hash64(key);
      if (set.facts.find(hash, key)->stored) gone_.push_back(state::fact_record({set.space, key}));
      set.facts.erase(hash, key);
      --size_;
    }
  }
}

std::vector<Facts::Change> Facts::take_changes() {
  std::vector<Change> changes;
  changes.reserve(changed_.size() + gone_.size());
  // What ended may have been put anew since: its end is written first.
  for (std::string& record : gone_) changes.emplace_back(std::move(record), std::nullopt);
  for (const auto& [set, key] : changed_) {
    Fact* fact = set->facts.find(hash64(key), key);
    if (fact == nullptr) continue;
    fact->changed = false;
    fact->stored = true;
    std::string bytes;
    ByteWriter out(bytes);
    out.put_u8(fact_format);
    out.put_i64(fact->until);
    out.put_bytes(set->name);
    changes.emplace_back(state::fact_record({set->space, key}), std::move(bytes));
  }
  changed_.clear();
  gone_.clear();
  return changes;
}

Status Facts::restore(std::string_view key, std::string_view value) {
  const auto fact_key = state::parse_fact_record(key);
  ByteReader in(value);
  const std::uint8_t format = in.get_u8();
  const std::int64_t until = in.get_i64();
  const std::string name(in.get_bytes());
  if (!fact_key || format != fact_format || in.failed() || !in.at_end() || hash64(name) != fact_key->space ||
      !state::decode_key(fact_key->name)) {
    return Error{ErrorKind::corrupt, "a label or list entry in the store does not read back"};
  }
  Set& set = set_of(name);
  Fact& fact = set.facts.get_or_create(hash64(fact_key->name), fact_key->name);
  fact = {until, false, true};
  ++size_;
  return {};
}

}  // namespace tocsin::engine
