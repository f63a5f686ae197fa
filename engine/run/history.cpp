// What an engine keeps of the events themselves, so that windows of later rules can be filled from it (state/history.h, fill.h).
#include <algorithm>

#include "engine/run/engine_state.h"
#include "state/records.h"

namespace tocsin::engine {

namespace {

constexpr std::string_view coverage_record = "history";
// What is older than its retention by less than this part of it may stay: forgetting is work, and its size does not matter.
constexpr std::int64_t kept_longer_part = 64;

}  // namespace

void Engine::State::bind_history(Timestamp since) {
  const event::Schema& schema = ruleset->schema;
  history.keep.assign(schema.events.size(), {});
  history.on = false;
  std::map<std::uint64_t, state::HistoryCoverage::OfType> kept;
  for (event::EventTypeId t = 0; t < schema.events.size() && options.checkpoints; ++t) {
    const event::EventType& type = schema.events[t];
    const Duration keep = options.history.of(type.name);
    if (type.of_hits || keep.us <= 0) continue;
    history.keep[t] = keep;
    history.on = true;
    const auto known = history.coverage.types.find(type.name_hash);
    state::HistoryCoverage::OfType& of_type = kept[type.name_hash];
    of_type.since = known == history.coverage.types.end() ? since : known->second.since;
    for (std::size_t f = 0; f < type.declared_count; ++f) {
      const std::uint32_t tag = type.fields[f].tag;
      Timestamp from = since;
      if (known != history.coverage.types.end()) {
        const auto field = known->second.fields.find(tag);
        if (field != known->second.fields.end()) from = field->second;
      }
      of_type.fields[tag] = from;
    }
  }
  for (const auto& [type, of_type] : history.coverage.types) {
    if (kept.contains(type)) continue;
    // Only what is there: the type may come back before it is erased.
    history.forgotten.emplace_back(state::records_of(state::RecordType::history, type),
                                   state::history_record({type, released + 1}));
    history.oldest.erase(type);
  }
  history.coverage.types = std::move(kept);
}

Status Engine::State::restore_history(state::Store& store) {
  Result<std::optional<std::string>> stored = store.get(state::meta_record(coverage_record));
  if (!stored) return stored.error();
  std::optional<state::HistoryCoverage> coverage;
  if (stored.value()) coverage = state::HistoryCoverage::decode(*stored.value());
  const bool keeps = history.on;
  history.coverage = {};
  if (keeps && coverage && coverage->released == released) {
    history.coverage = std::move(*coverage);
    bind_history(history_begins_now());
    return {};
  }
  bind_history(history_begins_now());
  // It is not wanted any more; or somebody went on from here without writing it, and it has a gap: what is filled from it would be
  // wrong. First nobody believes it, then it goes.
  if (stored.value()) {
    state::WriteSet writes;
    writes.erase(state::meta_record(coverage_record));
    if (Status written = store.commit(writes); !written) return written;
  }
  const std::string all = state::records_of(state::RecordType::history);
  const std::unique_ptr<state::Cursor> cursor = store.cursor();
  const bool any = cursor->seek(all) && cursor->key().starts_with(all);
  if (Status read = cursor->status(); !read) return read;
  return any ? store.erase_range(all, state::behind_records_of(state::RecordType::history)) : Status();
}

void Engine::State::remember_judged() {
  for (const BatchEvent& e : judged) {
    if (history.keep[e.event.type].us == 0) continue;
    history.tail.append(e.event, ruleset->schema, e.release, sees_as_of(e));
  }
}

void Engine::State::capture_history(state::WriteSet& writes) {
  if (history.on) {
    history.tail.take(writes);
    history.coverage.released = released;
    writes.put(state::meta_record(coverage_record), history.coverage.encode());
  }
  std::move(history.forgotten.begin(), history.forgotten.end(), std::back_inserter(history.erasable));
  history.forgotten.clear();
}

Status Engine::trim_history(state::Store& store) {
  State& s = *state_;
  History& history = s.history;
  TOCSIN_CHECK(!s.capture);
  for (const auto& [begin, end] : history.erasable) {
    if (Status erased = store.erase_range(begin, end); !erased) return erased;
  }
  history.erasable.clear();
  if (!history.on || s.order.watermark() == Timestamp::min()) return {};
  std::unique_ptr<state::Cursor> cursor;
  for (event::EventTypeId t = 0; t < history.keep.size(); ++t) {
    const Duration keep = history.keep[t];
    if (keep.us == 0) continue;
    const std::uint64_t type = s.ruleset->schema.events[t].name_hash;
    const Timestamp cutoff = s.order.watermark() - keep;
    const auto oldest = history.oldest.find(type);
    if (oldest != history.oldest.end() && cutoff <= oldest->second + Duration{keep.us / kept_longer_part}) continue;
    if (!cursor) cursor = store.cursor();
    const auto first = state::history_reaching(*cursor, type, s.released, cutoff);
    // What the first block that stays reaches is more than the cutoff; from there on it is time to look again.
    history.oldest[type] = cutoff;
    const std::string end = state::history_record({type, first});
    const std::string all = state::records_of(state::RecordType::history, type);
    const bool any = cursor->seek(all) && cursor->key().starts_with(all) && cursor->key() < end;
    if (Status read = cursor->status(); !read) return read;
    if (!any) continue;
    history.forgotten.emplace_back(all, end);
    Timestamp& since = history.coverage.types[type].since;
    since = std::max(since, cutoff);
  }
  return {};
}

std::size_t Engine::history_bytes() const { return state_->history.tail.bytes(); }
std::uint64_t Engine::released() const { return state_->released; }

Timestamp Engine::State::begins_after(const state::ColumnLayout* before, const state::ColumnLayout& after) const {
  const Timestamp now = order.watermark();
  if (before == nullptr || now == Timestamp::min()) return now;
  const auto own = own_begins.find(before->fingerprint);
  const Timestamp begin = own == own_begins.end() ? Timestamp::min() : own->second;
  const Timestamp kept_from = before->needed_from(now);
  return after.needed_from(now) < kept_from ? std::max(begin, kept_from) : begin;
}

}  // namespace tocsin::engine
