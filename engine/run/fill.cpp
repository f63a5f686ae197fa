#include "engine/run/fill.h"

#include <algorithm>

#include "engine/run/engine_state.h"
#include "event/pack.h"
#include "state/records.h"

namespace tocsin::engine {

namespace {

constexpr std::size_t judged_together = 512;

/// The latest moment from which one of the windows is known whole.
Timestamp all_known_from(const state::ColumnLayout& layout, Timestamp begins) {
  if (begins == Timestamp::min()) return begins;
  Timestamp from = begins;
  for (const state::Window& window : layout.windows) from = std::max(from, window.known_from(begins));
  return from;
}

Timestamp known_from(const state::Window& window, Timestamp begins) {
  return begins == Timestamp::min() ? begins : window.known_from(begins);
}

}  // namespace

Fill::Fill(std::shared_ptr<const Ruleset> next, const Engine::State& now)
    : ruleset_(std::move(next)), options_(now.options), data_begins_(now.begins) {
  const std::size_t columns = ruleset_->columns.size();
  reaches_.resize(columns);
  wanted_.resize(columns);
  needed_.resize(columns);
  needed_from_.resize(columns, Timestamp::max());
  const Timestamp watermark = now.order.watermark();
  if (watermark == Timestamp::min()) return;  // nothing was judged: there is nothing to know
  const Timestamp data = data_begins_.value_or(Timestamp::min());
  // If nothing is filled: since when a column has its entries, and since when they are all there are.
  std::vector<Timestamp> own(columns);
  std::vector<Timestamp> without(columns);
  for (std::uint32_t c = 0; c < columns; ++c) {
    const state::ColumnLayout& layout = ruleset_->columns[c].layout;
    const state::ColumnLayout* before = nullptr;
    for (const ColumnPlan& old : now.ruleset->columns) {
      if (old.layout.fingerprint == layout.fingerprint) before = &old.layout;
    }
    own[c] = now.begins_after(before, layout);
    without[c] = std::max(data, own[c]);
    if (own[c] < watermark && all_known_from(layout, without[c]) <= watermark) continue;  // it is known by now
    const Reach& reach = reach_of(c, now.history.coverage);
    wanted_[c] = reach.why_not.empty() && reach.since < own[c];
    if (wanted_[c]) need(c, watermark);
  }
  for (const AggregatePlan& aggregate : ruleset_->aggregates) {
    const state::ColumnLayout& layout = ruleset_->columns[aggregate.column].layout;
    const Reach& reach = reaches_[aggregate.column];
    Window window{aggregate.text, known_from(layout.windows[aggregate.window], without[aggregate.column]), {}};
    if (window.known_from <= watermark) continue;
    if (wanted_[aggregate.column]) {
      window.known_from = known_from(layout.windows[aggregate.window], std::max(data, reach.since));
    } else {
      window.why_not = own[aggregate.column] == Timestamp::min() ? "the input does not reach back further"
                       : reach.why_not.empty()                   ? "the history does not reach back further"
                                                                 : reach.why_not;
    }
    windows_.push_back(std::move(window));
  }
  const auto place = [](const Window& w) { return std::tie(w.text, w.known_from); };
  std::sort(windows_.begin(), windows_.end(), [&](const Window& a, const Window& b) { return place(a) < place(b); });
  windows_.erase(std::unique(windows_.begin(), windows_.end(),
                             [&](const Window& a, const Window& b) { return place(a) == place(b); }),
                 windows_.end());
  for (std::uint32_t c = 0; c < columns; ++c) {
    if (!needed_[c]) continue;
    for (const event::EventTypeId type : ruleset_->columns[c].origin.types) {
      auto source =
          std::find_if(sources_.begin(), sources_.end(), [&](const Source& known) { return known.type == type; });
      if (source == sources_.end()) {
        sources_.emplace_back().type = type;
        source = sources_.end() - 1;
        source->from = Timestamp::max();
      }
      source->from = std::min(source->from, needed_from_[c]);
    }
  }
}

Fill::~Fill() = default;

/// Since when the history has all that decides the entries of the column.
const Fill::Reach& Fill::reach_of(std::uint32_t column, const state::HistoryCoverage& coverage) {
  Reach& reach = reaches_[column];
  if (reach.known) return reach;
  reach.known = true;
  reach.since = Timestamp::min();
  const ColumnOrigin& origin = ruleset_->columns[column].origin;
  reach.why_not = origin.why_not;
  for (const event::EventTypeId t : origin.types) {
    const event::EventType& type = ruleset_->schema.events[t];
    const auto kept = coverage.types.find(type.name_hash);
    if (kept != coverage.types.end()) {
      reach.since = std::max(reach.since, kept->second.since);
    } else if (reach.why_not.empty()) {
      reach.why_not = "no history of `" + type.name + "` is kept";
    }
  }
  for (const auto& [t, f] : origin.fields) {
    const event::EventType& type = ruleset_->schema.events[t];
    const auto kept = coverage.types.find(type.name_hash);
    if (kept == coverage.types.end()) continue;
    const auto field = kept->second.fields.find(type.fields[f].tag);
    if (field != kept->second.fields.end()) {
      reach.since = std::max(reach.since, field->second);
    } else if (reach.why_not.empty()) {
      reach.why_not = "field `" + type.name + "." + type.fields[f].name + "` was not declared until now";
    }
  }
  for (const std::uint32_t asked : origin.columns) {
    const Reach& other = reach_of(asked, coverage);
    if (reach.why_not.empty()) reach.why_not = other.why_not;
    if (other.why_not.empty())
      reach.since = std::max(reach.since, all_known_from(ruleset_->columns[asked].layout, other.since));
  }
  return reach;
}

/// Entries of the column are needed for reads at `from` and later.
void Fill::need(std::uint32_t column, Timestamp from) {
  const ColumnPlan& plan = ruleset_->columns[column];
  const Timestamp first = plan.layout.needed_from(from);
  if (needed_[column] && needed_from_[column] <= first) return;
  needed_[column] = true;
  needed_from_[column] = first;
  for (const std::uint32_t asked : plan.origin.columns) need(asked, first);
}

void Fill::make_engine() {
  // Of the rules only what feeds the windows: whoever is not asked is not computed.
  auto rules = std::make_shared<Ruleset>(*ruleset_);
  std::vector<bool> asked(needed_.size());
  for (std::uint32_t c = 0; c < needed_.size(); ++c) {
    if (!needed_[c]) continue;
    for (const std::uint32_t other : rules->columns[c].origin.columns) asked[other] = true;
  }
  for (TypePlan& type : rules->types) {
    for (TypeStratum& stratum : type.strata) {
      std::erase_if(stratum.inserts, [&](const Insert& insert) { return !needed_[insert.column]; });
      const auto nobody = [&](const Read& read) { return !asked[rules->aggregates[read.aggregate].column]; };
      std::erase_if(stratum.reads_before, nobody);
      std::erase_if(stratum.reads_last, nobody);
    }
  }
  EngineOptions options = options_;
  options.shards = 1;
  options.checkpoints = false;
  engine_ = std::make_unique<Engine>(std::move(rules), std::move(options));
  Engine::State& s = *engine_->state_;
  s.counts_unknown = false;
  s.begins = data_begins_;
  for (std::uint32_t c = 0; c < needed_.size(); ++c) {
    if (needed_[c]) s.own_begins[ruleset_->columns[c].layout.fingerprint] = reaches_[c].since;
  }
}

void Fill::open(const state::Store& store) {
  for (Source& source : sources_) {
    source.block.reset();
    source.head.reset();
    source.cursor = store.cursor();
  }
}

Status Fill::advance(Source& source) {
  const std::uint64_t type = ruleset_->schema.events[source.type].name_hash;
  while (true) {
    if (source.block) {
      source.head = source.block->next();
      if (source.block->failed()) break;
      if (source.head) {
        source.next_release = source.head->release + 1;
        return {};
      }
    }
    const bool found =
        source.block ? source.cursor->next() : source.cursor->seek(state::history_record({type, source.next_release}));
    if (Status read = source.cursor->status(); !read) return read.error().while_doing("reading the history");
    source.block.reset();
    source.head.reset();
    if (!found) return {};
    const std::optional<state::HistoryKey> key = state::parse_history_record(source.cursor->key());
    if (!key || key->type != type) return {};
    Result<state::HistoryBlock> block = state::HistoryBlock::open(*key, source.cursor->value());
    if (!block) break;
    source.block = block.take();
  }
  return Error{ErrorKind::corrupt, "the history of `" + ruleset_->schema.events[source.type].name +
                                       "` does not read: a block of it is damaged"};
}

Status Fill::read(const std::function<bool()>& go_on) {
  if (!engine_) make_engine();
  Engine::State& s = *engine_->state_;
  for (Source& source : sources_) {
    const std::uint64_t type = ruleset_->schema.events[source.type].name_hash;
    if (source.next_release == 0)
      source.next_release = state::history_reaching(*source.cursor, type, UINT64_MAX - 1, source.from);
    if (Status read = advance(source); !read) return read;
  }
  while (true) {
    Source* first = nullptr;
    for (Source& source : sources_) {
      if (source.head && (first == nullptr || source.head->release < first->head->release)) first = &source;
    }
    if (first == nullptr) break;
    const state::Judged& judged = *first->head;
    const auto e = event::unpack(s.arena.copy(judged.packed), ruleset_->schema, s.arena);
    if (!e || e->type != first->type) {
      return Error{ErrorKind::corrupt, "the history of `" + ruleset_->schema.events[first->type].name +
                                           "` does not read: it holds bytes that are no such event"};
    }
    BatchEvent& taken = s.batch.emplace_back(s.begin_event(*e, s.batch.size()));
    taken.release = judged.release;
    if (e->late) taken.watermark = judged.watermark;
    if (Status read = advance(*first); !read) return read;
    if (s.batch.size() < judged_together) continue;
    flush();
    if (!go_on()) return Error{ErrorKind::unavailable, "reading the history was given up"};
  }
  flush();
  for (Source& source : sources_) source.cursor.reset();
  return {};
}

void Fill::flush() {
  Engine::State& s = *engine_->state_;
  if (s.batch.empty()) return;
  s.judged = s.batch;
  s.run_strata();
  s.judged = {};
  s.released = s.batch.back().release;
  for (const BatchEvent& e : s.batch) s.order.tick(sees_as_of(e));
  event_count_.fetch_add(s.batch.size(), std::memory_order_relaxed);
  s.batch.clear();
  s.arena.clear();
  s.text_matcher.next_batch();
  s.sweep();
}

bool Fill::covers(const Fill& other) const {
  if (ruleset_ != other.ruleset_) return false;
  for (std::size_t c = 0; c < wanted_.size(); ++c) {
    if (!other.wanted_[c]) continue;
    if (!wanted_[c] || reaches_[c].since != other.reaches_[c].since) return false;
  }
  return true;
}

std::shared_ptr<Fill> Engine::plan_fill(std::shared_ptr<const Ruleset> next) const {
  return std::make_shared<Fill>(std::move(next), *state_);
}

}  // namespace tocsin::engine
