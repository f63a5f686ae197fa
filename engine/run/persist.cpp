// What a checkpoint holds of an engine, and how it comes back; and the change of rules, which goes the same way: everything
// that lives is written as sections tagged with fingerprints of meaning, and the new rules take up the sections that mean the
// same to them. Layout: docs/state_format.md.
#include <algorithm>
#include <set>

#include "base/coding.h"
#include "engine/run/engine_state.h"
#include "engine/run/fill.h"
#include "event/mask.h"
#include "event/pack.h"
#include "nfa/carry.h"
#include "state/key.h"
#include "state/records.h"
#include "state/slab.h"

namespace tocsin::engine {

using event::Value;

namespace {

constexpr std::uint8_t engine_format = 2;                            // 1 did not say how far back columns reach
constexpr std::uint64_t log_bounds_section = 0x746f6373696e0001ULL;  // begin and end of the key's log

/// Fingerprints of what remembers: columns and programs.
std::vector<std::uint64_t> meanings_of(const Ruleset& rules) {
  std::vector<std::uint64_t> meanings;
  for (const ColumnPlan& column : rules.columns) meanings.push_back(column.layout.fingerprint);
  for (const PatternPlan& pattern : rules.patterns) meanings.push_back(pattern.program.fingerprint);
  return meanings;
}

std::string limit_name(const alerts::Policy& policy) { return "limit:" + policy.name; }
std::string table_name(const TableShape& shape) { return "table:" + shape.name; }

/// What the rows of a table are made of; rows of another form are not taken up.
std::string form_of(const TableShape& shape, const event::Schema& schema) {
  std::string form = shape.by_network ? "cidr;" : "";
  for (const event::Type& key : shape.keys) form += schema.type_text(key) + ";";
  for (std::size_t i = 0; i < shape.columns.size(); ++i)
    form += shape.column_names[i] + ":" + schema.type_text(shape.columns[i]) + ";";
  return form;
}

std::string encode_changes(const TableShape& shape, const event::Schema& schema, const TableRows& rows) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_bytes(form_of(shape, schema));
  out.put_varint(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const TableRow row = rows.row(i);
    out.put_i64(row.from.us);
    std::string cells;
    for (const Value& cell : row.cells) state::append_key_part(cells, cell);
    out.put_bytes(cells);
    out.put_u64(row.network.high);
    out.put_u64(row.network.low);
    out.put_u8(row.network.prefix);
  }
  return bytes;
}

/// False: the bytes do not read. Rows of another form than the table's are left out.
bool decode_changes(std::string_view bytes, const TableShape& shape, const event::Schema& schema, TableState& table) {
  ByteReader in(bytes);
  const bool same_form = in.get_bytes() == form_of(shape, schema);
  const std::uint64_t count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    TableRow row;
    row.from.us = in.get_i64();
    const std::optional<std::vector<Value>> cells = state::decode_key(in.get_bytes());
    row.network.high = in.get_u64();
    row.network.low = in.get_u64();
    row.network.prefix = in.get_u8();
    if (in.failed() || !cells || row.network.prefix > 128) return false;
    if (!same_form) continue;
    if (cells->size() != shape.width()) return false;
    row.cells = *cells;
    table.add(shape, row);
  }
  table.settle();
  return !in.failed() && in.at_end();
}

}  // namespace

void Engine::State::make_tables() {
  tables.clear();
  tables.resize(ruleset->keyspaces.size());
  for (auto& shards : tables) shards.resize(options.shards);
  limits.assign(ruleset->policies.size(), {});
  lists.clear();
  for (const ListPlan& list : ruleset->lists) {
    ListState state;
    for (const Value& v : list.values) state.add(v);
    for (const event::Network& n : list.networks) state.add(n);
    lists.push_back(std::move(state));
  }
  given_up_before += text_matcher.given_up();
  text_matcher = TextMatcher(ruleset->text_patterns);
  look_ups.clear();
  for (const TablePlan& table : ruleset->tables) look_ups.emplace_back(table.rows);
  std::vector<std::string> names;
  for (const ListPlan& list : ruleset->lists) {
    // A value of an enumeration is its number, which says nothing under another order of the values.
    const bool numbered = list.element.kind == event::TypeKind::enumeration;
    names.push_back(list.name + (numbered ? " " + ruleset->schema.type_text(list.element) : std::string()));
  }
  facts.bind(ruleset->labels, names);
  dirty_keys.clear();
  timers = {};
  bits_pool.clear();
}

std::string Engine::State::encode_key(std::uint32_t keyspace, const KeyState& key) const {
  const KeySpace& space = ruleset->keyspaces[keyspace];
  std::vector<state::Section> sections;
  for (std::size_t slot = 0; slot < key.columns.size(); ++slot) {
    if (key.columns[slot].empty()) continue;
    const state::ColumnLayout& layout = ruleset->columns[space.columns[slot]].layout;
    state::Section section{layout.fingerprint, {}};
    key.columns[slot].encode(layout, section.bytes);
    sections.push_back(std::move(section));
  }
  for (const auto& [slot, runs] : key.runs) {
    if (!runs.body) continue;
    const nfa::Program& program = ruleset->program_of(space, slot);
    state::Section section{program.fingerprint, {}};
    nfa::encode(program, runs, section.bytes);
    sections.push_back(std::move(section));
  }
  state::Section bounds{log_bounds_section, {}};
  ByteWriter out(bounds.bytes);
  out.put_varint(key.log.begin());
  out.put_varint(key.log.end());
  if (key.log.end() > 0) sections.push_back(std::move(bounds));
  return state::encode_slab(sections, key.last_seen);
}

Status Engine::State::decode_key_state(std::uint32_t keyspace, KeyState& key, std::string_view bytes) {
  const KeySpace& space = ruleset->keyspaces[keyspace];
  Result<state::Slab> slab = state::decode_slab(bytes);
  if (!slab) return slab.error();
  key.last_seen = slab.value().last_seen;
  for (const state::Section& section : slab.value().sections) {
    if (section.fingerprint == log_bounds_section) {
      ByteReader in(section.bytes);
      const std::uint64_t begin = in.get_varint();
      const std::uint64_t end = in.get_varint();
      if (in.failed()) return Error{ErrorKind::corrupt, "the bounds of a key's event log do not read"};
      if (Status status = key.log.restore_end(begin, end); !status) return status;
      continue;
    }
    bool claimed = false;
    for (std::size_t slot = 0; slot < space.columns.size() && !claimed; ++slot) {
      const state::ColumnLayout& layout = ruleset->columns[space.columns[slot]].layout;
      if (layout.fingerprint != section.fingerprint) continue;
      Result<state::Column> column = state::Column::decode(layout, section.bytes);
      if (!column) return column.error();
      if (key.columns.empty()) key.columns = std::vector<state::Column>(space.columns.size());
      key.columns[slot] = column.take();
      claimed = true;
    }
    // Several rules may say the same: their sections are the same, too.
    for (std::uint32_t slot = 0; slot < space.programs.size() + space.prefixes.size(); ++slot) {
      const nfa::Program& program = ruleset->program_of(space, slot);
      if (program.fingerprint != section.fingerprint) continue;
      std::optional<nfa::Runs> runs = nfa::decode(program, section.bytes);
      if (!runs) return Error{ErrorKind::corrupt, "the partial matches of a key do not read"};
      key.runs_of(slot) = std::move(*runs);
      claimed = true;
    }
    if (!claimed) ++dropped_sections;
  }
  return {};
}

bool Engine::State::expire_key(std::uint32_t keyspace, KeyState& key, Timestamp watermark) {
  const KeySpace& space = ruleset->keyspaces[keyspace];
  bool empty = true;
  for (std::size_t slot = 0; slot < key.columns.size(); ++slot) {
    key.columns[slot].expire(ruleset->columns[space.columns[slot]].layout, watermark);
    empty = empty && key.columns[slot].empty();
  }
  for (auto& [slot, runs] : key.runs) {
    const auto end = nfa::expires_at(ruleset->program_of(space, slot), runs);
    if (!end || !(*end < watermark)) continue;
    const bool is_pattern = slot < space.programs.size();
    const PatternPlan* const pattern = is_pattern ? &ruleset->patterns[space.programs[slot]] : nullptr;
    if (pattern != nullptr && pattern->prefix != PatternPlan::no_prefix) {
      nfa::Runs* const shared = key.live_runs(ruleset->prefixes[pattern->prefix].slot);
      nfa::rest(pattern->member, pattern->program, shared, runs, true);
    }
    runs = {};
  }
  key.forget_ended_runs();
  if (key.runs.empty()) key.runs.shrink_to_fit();
  empty = empty && key.runs.empty();
  tidy_key(key);
  return empty && key.log.empty();
}

void Engine::State::forget_records(std::uint32_t keyspace, const KeyState& key,
                                   std::vector<std::string>& records) const {
  const std::uint64_t space = ruleset->keyspaces[keyspace].fingerprint;
  const std::string_view bytes = state::KeyTable<KeyState>::key_of(key);
  const std::uint64_t hash = state::KeyTable<KeyState>::hash_of(key);
  for (auto [at, end] = key.log.trimmed(); at < end; ++at)
    records.push_back(state::log_record({space, hash, bytes, at}));
  for (const std::uint64_t at : key.log.dropped()) records.push_back(state::log_record({space, hash, bytes, at}));
  if (key.stored) records.push_back(state::slab_record({space, bytes}));
}

void Engine::State::capture_key(std::uint32_t keyspace, KeyState& key, bool may_erase) {
  state::WriteSet& writes = capture->writes;
  const std::uint64_t space = ruleset->keyspaces[keyspace].fingerprint;
  const std::string_view bytes = state::KeyTable<KeyState>::key_of(key);
  const std::uint64_t hash = state::KeyTable<KeyState>::hash_of(key);
  key.changed_in = 0;
  const bool empty = expire_key(keyspace, key, capture->watermark);
  if (empty) {
    std::vector<std::string> records;
    forget_records(keyspace, key, records);
    for (std::string& record : records) writes.erase(std::move(record));
    if (may_erase) {
      table_of(keyspace, hash).erase(hash, std::string(bytes));
      return;
    }
    key.log.checkpointed();
    key.stored = false;
    return;
  }
  for (auto [at, end] = key.log.trimmed(); at < end; ++at) writes.erase(state::log_record({space, hash, bytes, at}));
  for (const std::uint64_t at : key.log.dropped()) writes.erase(state::log_record({space, hash, bytes, at}));
  for (std::uint64_t at = key.log.dirty_from(); at < key.log.end(); ++at) {
    if (const auto packed = key.log.find(at))
      writes.put(state::log_record({space, hash, bytes, at}), std::string(*packed));
  }
  key.log.checkpointed();
  writes.put(state::slab_record({space, bytes}), encode_key(keyspace, key));
  key.stored = true;
}

void Engine::capture(state::WriteSet& writes) {
  begin_capture();
  while (!capture_some(SIZE_MAX, writes)) {
  }
}

void Engine::begin_capture() { state_->begin_capture(); }

bool Engine::capture_some(std::size_t count, state::WriteSet& writes) {
  State& s = *state_;
  TOCSIN_CHECK(s.capture && s.batch.empty());
  State::Capture& c = *s.capture;
  for (; count > 0 && c.next_key < c.keys.size(); --count) {
    const auto [keyspace, key] = c.keys[c.next_key++];
    // One that was looked up meanwhile is written already, and may have changed again since.
    if (key->changed_in != 0 && key->changed_in != s.interval) s.capture_key(keyspace, *key, true);
  }
  for (; count > 0 && c.next_id < c.ids.size(); --count) {
    const state::IdsSeen::Seen& seen = c.ids[c.next_id++];
    c.writes.put(state::id_seen_record(seen.id), state::IdsSeen::encode(seen.until));
  }
  if (c.next_key < c.keys.size() || c.next_id < c.ids.size()) return false;
  // What `writes` holds already is little, so it is that which is moved.
  c.writes.writes.insert(c.writes.writes.end(), std::make_move_iterator(writes.writes.begin()),
                         std::make_move_iterator(writes.writes.end()));
  writes.writes = std::move(c.writes.writes);
  s.capture.reset();
  return true;
}

void Engine::State::begin_capture() {
  TOCSIN_CHECK(!capture && batch.empty());
  capture.emplace();
  capture->watermark = order.watermark();
  capture->keys = std::move(dirty_keys);
  dirty_keys.clear();
  ++interval;
  state::WriteSet& writes = capture->writes;
  // One key makes about two records: growing in the midst would be a stall of its own.
  writes.writes.reserve(2 * capture->keys.size() + ids.added_count() + 64);
  State& s = *this;
  const Ruleset& rules = *ruleset;
  for (std::string& record : s.orphans) writes.erase(std::move(record));
  s.orphans.clear();

  for (const Order::Place& place : s.order.removed) writes.erase(state::order_record({place.time, place.position}));
  for (const Order::Place& place : s.order.added) {
    const auto waiting = s.order.waiting().find(place);
    if (waiting != s.order.waiting().end()) {
      writes.put(state::order_record({place.time, place.position}), waiting->second);
    }
  }
  s.order.checkpointed();
  s.capture_history(writes);
  for (const Digest& id : s.ids.expired()) writes.erase(state::id_seen_record(id));
  capture->ids = s.ids.added();
  s.ids.checkpointed();
  for (auto& [key, value] : s.book.take_changes()) {
    std::string record = state::alert_record({0, key});
    if (value) {
      writes.put(std::move(record), std::move(*value));
    } else {
      writes.erase(std::move(record));
    }
  }
  for (auto& [record, value] : s.facts.take_changes()) {
    if (value) {
      writes.put(std::move(record), std::move(*value));
    } else {
      writes.erase(std::move(record));
    }
  }
  for (std::size_t p = 0; p < rules.policies.size(); ++p) {
    if (!rules.policies[p].limit) continue;
    std::string bytes;
    s.limits[p].encode(bytes);
    writes.put(state::meta_record(limit_name(rules.policies[p])), std::move(bytes));
  }

  std::string engine;
  ByteWriter out(engine);
  out.put_u8(engine_format);
  out.put_u64(s.released);
  out.put_i64(s.order.watermark().us);
  out.put_u8(s.begins ? 1 : 0);
  out.put_i64(s.begins.value_or(Timestamp{}).us);
  out.put_i64(s.ids.now().us);
  out.put_varint(s.order.partitions().size());
  for (const Order::Partition& p : s.order.partitions()) {
    out.put_i64(p.largest.us);
    out.put_varint(p.sequence);
    out.put_u8(static_cast<std::uint8_t>((p.idle ? 1U : 0U) | (p.seen ? 2U : 0U)));
  }
  out.put_varint(s.own_begins.size());
  for (const auto& [fingerprint, own] : s.own_begins) {
    out.put_u64(fingerprint);
    out.put_i64(own.us);
  }
  const std::vector<std::uint64_t> meanings = meanings_of(rules);
  out.put_varint(meanings.size());
  for (const std::uint64_t fingerprint : meanings) out.put_u64(fingerprint);
  const bool begun = s.order.watermark() != Timestamp::min();
  out.put_varint(begun ? rules.columns.size() : 0);
  for (const ColumnPlan& column : rules.columns) {
    if (!begun) break;
    out.put_u64(column.layout.fingerprint);
    out.put_i64(column.layout.needed_from(s.order.watermark()).us);
  }
  writes.put(state::meta_record("engine"), std::move(engine));

  if (!s.tables_captured) {
    for (std::size_t t = 0; t < rules.tables.size(); ++t) {
      const TableRows* changes = s.look_ups[t].changes();
      if (changes == nullptr) continue;
      writes.put(state::meta_record(table_name(rules.tables[t].shape)),
                 encode_changes(rules.tables[t].shape, rules.schema, *changes));
    }
    s.tables_captured = true;
  }
  // Their tables may be large, and they change rarely.
  if (s.rules_captured == s.ruleset) return;
  s.rules_captured = s.ruleset;
  std::string text;
  ByteWriter rules_out(text);
  rules_out.put_bytes(rules.digest_text);
  rules_out.put_varint(rules.files.size());
  for (const Ruleset::File& file : rules.files) {
    rules_out.put_bytes(stored_path(file.path, file.data));
    rules_out.put_bytes(*file.text);
  }
  writes.put(state::meta_record("rules"), std::move(text));
}

Result<bool> Engine::restore(state::Store& store) {
  State& s = *state_;
  TOCSIN_CHECK(s.released == 0 && s.batch.empty());
  Result<std::optional<std::string>> meta = store.get(state::meta_record("engine"));
  if (!meta) return meta.error();
  if (!meta.value()) return false;
  const auto corrupt = [](const std::string& what) {
    return Error{ErrorKind::corrupt,
                 what +
                     " does not read; restore the store directory from a backup, or start with an empty "
                     "one and replay"};
  };
  ByteReader in(*meta.value());
  const std::uint8_t format = in.get_u8();
  if (format < 1 || format > engine_format) return corrupt("the engine's record in the store (of another format)");
  s.released = in.get_u64();
  const Timestamp watermark{in.get_i64()};
  const bool has_begins = in.get_u8() != 0;
  const Timestamp begins{in.get_i64()};
  if (has_begins) s.begins = begins;
  const Timestamp ids_now{in.get_i64()};
  const std::uint64_t partitions = in.get_varint();
  for (std::uint64_t i = 0; i < partitions && !in.failed(); ++i) {
    Order::Partition p;
    p.largest.us = in.get_i64();
    p.sequence = in.get_varint();
    const std::uint8_t flags = in.get_u8();
    p.idle = (flags & 1U) != 0;
    p.seen = (flags & 2U) != 0;
    s.order.restore(watermark, static_cast<std::uint32_t>(i), p);
  }
  std::uint64_t count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    const std::uint64_t fingerprint = in.get_u64();
    s.own_begins[fingerprint] = Timestamp{in.get_i64()};
  }
  std::vector<std::uint64_t> known;
  count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) known.push_back(in.get_u64());
  std::map<std::uint64_t, Timestamp> kept_from;
  count = format == 1 ? 0 : in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    const std::uint64_t fingerprint = in.get_u64();
    kept_from[fingerprint].us = in.get_i64();
  }
  if (in.failed() || !in.at_end()) return corrupt("the engine's record in the store");
  for (const ColumnPlan& column : s.ruleset->columns) {
    const auto kept = kept_from.find(column.layout.fingerprint);
    if (kept == kept_from.end() || column.layout.needed_from(watermark) >= kept->second) continue;
    Timestamp& own = s.own_begins.try_emplace(kept->first, kept->second).first->second;
    own = std::max(own, kept->second);  // a window is longer now than it was
  }
  for (const std::uint64_t fingerprint : meanings_of(*s.ruleset)) {
    if (std::find(known.begin(), known.end(), fingerprint) == known.end()) s.own_begins[fingerprint] = watermark;
  }
  s.ids.advance(ids_now);
  Status status = s.restore_history(store);
  if (!status) return status.error();
  std::map<std::uint64_t, std::uint32_t> keyspaces;
  for (std::uint32_t i = 0; i < s.ruleset->keyspaces.size(); ++i) keyspaces[s.ruleset->keyspaces[i].fingerprint] = i;

  // The log before the slabs: a slab's bounds close the log it belongs to.
  Status scan =
      store.scan(state::records_of(state::RecordType::log), [&](std::string_view record, std::string_view value) {
        const auto key = state::parse_log_record(record);
        if (!key) {
          status = corrupt("the key of an event log record");
          return false;
        }
        const auto space = keyspaces.find(key->keyspace);
        if (space == keyspaces.end()) return true;  // nobody asks about these keys any more
        KeyState& state = s.table_of(space->second, key->hash).get_or_create(key->hash, key->key);
        status = state.log.restore(key->position, value);
        return status.ok();
      });
  if (!scan) return scan.error();
  if (!status) return status.error();
  scan = store.scan(state::records_of(state::RecordType::slab), [&](std::string_view record, std::string_view value) {
    const auto key = state::parse_slab_record(record);
    if (!key) {
      status = corrupt("the key of a slab");
      return false;
    }
    const auto space = keyspaces.find(key->keyspace);
    if (space == keyspaces.end()) {
      ++s.dropped_sections;
      return true;
    }
    const std::uint64_t hash = hash64(key->key);
    KeyState& state = s.table_of(space->second, hash).get_or_create(hash, key->key);
    state.stored = true;
    status = s.decode_key_state(space->second, state, value);
    if (status.ok()) s.schedule(space->second, state, key->key, hash);
    return status.ok();
  });
  if (!scan) return scan.error();
  if (!status) return status.error();
  scan = store.scan(state::records_of(state::RecordType::order), [&](std::string_view record, std::string_view value) {
    const auto key = state::parse_order_record(record);
    if (!key) {
      status = corrupt("the key of a waiting event");
      return false;
    }
    const std::optional<event::Event> waiting = event::unpack(value, s.ruleset->schema, s.arena);
    Order::Place place{key->time, std::nullopt, key->position};
    if (waiting)
      place.seq = Order::place_of(*waiting, s.ruleset->schema).seq;  // else its type is gone: it will be dropped
    s.order.restore_waiting(place, std::string(value));
    return true;
  });
  if (!scan) return scan.error();
  if (!status) return status.error();
  scan =
      store.scan(state::records_of(state::RecordType::id_seen), [&](std::string_view record, std::string_view value) {
        const auto id = state::parse_id_seen_record(record);
        const Result<Timestamp> until = state::IdsSeen::decode(value);
        if (!id || !until) {
          status = corrupt("an id seen");
          return false;
        }
        s.ids.restore({*id, until.value()});
        return true;
      });
  if (!scan) return scan.error();
  if (!status) return status.error();
  scan = store.scan(state::records_of(state::RecordType::alert), [&](std::string_view record, std::string_view value) {
    const auto key = state::parse_alert_record(record);
    if (!key) {
      status = corrupt("the key of an open alert");
      return false;
    }
    status = s.book.restore(key->subject, value);
    return status.ok();
  });
  if (!scan) return scan.error();
  if (!status) return status.error();
  scan = store.scan(state::records_of(state::RecordType::fact), [&](std::string_view record, std::string_view value) {
    status = s.facts.restore(record, value);
    return status.ok();
  });
  if (!scan) return scan.error();
  if (!status) return status.error();
  for (std::size_t p = 0; p < s.ruleset->policies.size(); ++p) {
    if (!s.ruleset->policies[p].limit) continue;
    Result<std::optional<std::string>> bytes = store.get(state::meta_record(limit_name(s.ruleset->policies[p])));
    if (!bytes) return bytes.error();
    if (!bytes.value()) continue;
    std::optional<alerts::LimitState> limit = alerts::LimitState::decode(*bytes.value());
    if (!limit) return corrupt("the limit of policy " + s.ruleset->policies[p].name);
    s.limits[p] = std::move(*limit);
  }
  for (std::size_t t = 0; t < s.ruleset->tables.size(); ++t) {
    const TableShape& shape = s.ruleset->tables[t].shape;
    Result<std::optional<std::string>> bytes = store.get(state::meta_record(table_name(shape)));
    if (!bytes) return bytes.error();
    if (bytes.value() && !decode_changes(*bytes.value(), shape, s.ruleset->schema, s.look_ups[t]))
      return corrupt("the rows of table " + shape.name);
  }
  return true;
}

struct Engine::State::Source {
  std::optional<std::uint32_t> pattern;  // of the old rules
  bool whole = false;                    // else as `carried` says
  nfa::Carried carried;
};

std::vector<Engine::State::Source> Engine::State::sources(const Ruleset& old) {
  using Kind = TakenUp::Kind;
  taken_up.clear();
  std::map<std::uint64_t, std::uint32_t> by_meaning;
  std::map<std::string, std::uint32_t> by_name;
  for (std::uint32_t p = 0; p < old.patterns.size(); ++p) {
    by_meaning.emplace(old.patterns[p].program.fingerprint, p);
    by_name.emplace(old.rules[old.patterns[p].rule].info.name, p);
  }
  std::vector<Source> all(ruleset->patterns.size());
  for (std::uint32_t p = 0; p < ruleset->patterns.size(); ++p) {
    const PatternPlan& pattern = ruleset->patterns[p];
    const RulePlan& rule = ruleset->rules[pattern.rule];
    Source& source = all[p];
    TakenUp& told = taken_up.emplace_back();
    told.rule = rule.info.name;
    // What means the same is known by its meaning, whatever the rule is called now.
    if (const auto same = by_meaning.find(pattern.program.fingerprint); same != by_meaning.end()) {
      source.pattern = same->second;
      source.whole = true;
      told.text = "kept";
      continue;
    }
    const auto before = by_name.find(rule.info.name);
    if (before == by_name.end()) {
      told.kind = Kind::added;
      told.text = "begins with this change";
      continue;
    }
    const PatternPlan& from = old.patterns[before->second];
    if (old.keyspaces[from.keyspace].fingerprint != ruleset->keyspaces[pattern.keyspace].fingerprint ||
        old.rules[from.rule].key_names != rule.key_names) {
      source.carried.why = "it is kept per other keys";
    } else {
      source.carried = nfa::what_carries(from.program, pattern.program);
    }
    const nfa::Carried& carried = source.carried;
    if (carried.steps == 0) {
      told.kind = Kind::anew;
      told.text = "begins anew: " + carried.why;
      continue;
    }
    source.pattern = before->second;
    told.kind = Kind::in_part;
    told.text =
        "kept up to step " + std::to_string(carried.steps) + " of " + std::to_string(pattern.program.steps.size());
    if (carried.newest) told.text += ", the newest beginning only";
    told.text += carried.waiting ? ", and what waits for its deadline" : "; later steps begin with this change";
    const auto begins_before = own_begins.find(from.program.fingerprint);
    if (begins_before != own_begins.end()) own_begins.emplace(pattern.program.fingerprint, begins_before->second);
  }
  return all;
}

void Engine::State::take_over_prefixes(const Ruleset& old, std::uint32_t old_keyspace, std::span<LiveRuns> runs,
                                       const std::vector<std::vector<std::uint32_t>>& takers,
                                       const std::vector<Source>& sources_of, KeyState& key) {
  const KeySpace& space = old.keyspaces[old_keyspace];
  const auto awake = [&](std::uint32_t pattern) {
    return std::any_of(runs.begin(), runs.end(), [&](const LiveRuns& live) {
      return live.slot == old.patterns[pattern].slot && live.runs.body != nullptr;
    });
  };
  for (LiveRuns& live : runs) {
    if (live.slot < space.programs.size() || live.runs.body == nullptr) continue;
    const nfa::Prefix& was = old.prefixes[space.prefixes[live.slot - space.programs.size()]].prefix;
    auto& body = static_cast<nfa::PrefixBody&>(*live.runs.body);
    const auto is = std::find_if(ruleset->prefixes.begin(), ruleset->prefixes.end(), [&](const PrefixPlan& plan) {
      return plan.prefix.meaning == was.meaning && ruleset->keyspaces[plan.keyspace].fingerprint == space.fingerprint;
    });
    // Who was a member and is one goes on resting. Another prefix is none of its own: it takes over what has begun now.
    std::map<std::uint32_t, nfa::Place> floors;
    for (std::uint32_t m = 0; m < was.members.size(); ++m) {
      const std::uint32_t from = was.members[m].program;
      if (awake(from)) continue;
      for (const std::uint32_t taker : takers[from]) {
        const PatternPlan& pattern = ruleset->patterns[taker];
        if (is != ruleset->prefixes.end() && sources_of[taker].whole && pattern.prefix != PatternPlan::no_prefix &&
            &ruleset->prefixes[pattern.prefix] == &*is) {
          floors[pattern.member] = body.floor_of(m);
          continue;
        }
        nfa::Runs own;
        const nfa::Program& program = old.patterns[from].program;
        nfa::join_all(was, m, program, live.runs, own, order.watermark());
        if (!sources_of[taker].whole && !own.empty())
          own = nfa::carry(program, std::move(own), pattern.program, sources_of[taker].carried, order.watermark());
        nfa::note_beyond(pattern.program, own);
        if (!own.empty()) key.runs_of(pattern.slot) = std::move(own);
      }
    }
    if (is == ruleset->prefixes.end()) continue;
    const nfa::Place end = nfa::end_of(was, live.runs);
    body.used_up.clear();
    for (std::uint32_t m = 0; m < is->prefix.members.size(); ++m) {
      const auto known = floors.find(m);
      body.set_floor(m, known == floors.end() ? end : known->second);
    }
    key.runs_of(is->slot) = std::move(live.runs);
  }
}

void Engine::State::adopt(std::shared_ptr<const Ruleset> next, Fill* fill) {
  TOCSIN_CHECK(!capture);
  settle_unknown();
  history.tail.close();
  // What is known of windows that are new, or longer than they were.
  std::map<std::uint64_t, Timestamp> begin;
  for (const ColumnPlan& column : next->columns) {
    const ColumnPlan* before = nullptr;
    for (const ColumnPlan& old : ruleset->columns) {
      if (old.layout.fingerprint == column.layout.fingerprint) before = &old;
    }
    begin[column.layout.fingerprint] = begins_after(before == nullptr ? nullptr : &before->layout, column.layout);
    if (before == nullptr || order.watermark() == Timestamp::min()) continue;
    if (column.layout.needed_from(order.watermark()) >= before->layout.needed_from(order.watermark())) continue;
    // What their old windows do not need any more may stand in them or not, as memory was tidied.
    for (auto& table : tables[before->keyspace]) {
      table.for_each([&](std::string_view, KeyState& key) {
        if (!key.columns.empty()) key.columns[before->slot].expire(before->layout, order.watermark());
      });
    }
  }
  // Everything that lives, written down under the old rules; begun matches as they are …
  struct Written {
    std::uint64_t keyspace = 0;
    std::string key;
    std::string slab;
    std::vector<LiveRuns> runs;
    state::EventLog log;
    bool stored = false;
    std::uint32_t old_keyspace = 0;
  };
  std::vector<Written> written;
  for (std::uint32_t keyspace = 0; keyspace < tables.size(); ++keyspace) {
    for (auto& table : tables[keyspace]) {
      table.for_each_sorted([&](std::string_view key, KeyState& state) {
        Written w;
        w.keyspace = ruleset->keyspaces[keyspace].fingerprint;
        w.key = std::string(key);
        w.runs = std::move(state.runs);
        state.runs.clear();
        w.slab = encode_key(keyspace, state);
        w.log = std::move(state.log);
        w.stored = state.stored;
        w.old_keyspace = keyspace;
        written.push_back(std::move(w));
      });
    }
  }
  std::map<std::string, alerts::LimitState> old_limits;
  for (std::size_t p = 0; p < limits.size(); ++p) old_limits[ruleset->policies[p].name] = std::move(limits[p]);
  std::map<std::string, std::string> old_rows;
  for (std::size_t t = 0; t < look_ups.size(); ++t) {
    const TableShape& shape = ruleset->tables[t].shape;
    if (const TableRows* changes = look_ups[t].changes())
      old_rows[shape.name] = encode_changes(shape, ruleset->schema, *changes);
  }
  const std::vector<std::uint64_t> known = meanings_of(*ruleset);

  // … and taken up by the new ones, which may have begun steps in common with them.
  const std::shared_ptr<const Ruleset> old = std::move(ruleset);
  ruleset = std::move(next);
  make_tables();
  const std::vector<Source> sources_of = sources(*old);
  std::vector<std::vector<std::uint32_t>> takers(old->patterns.size());  // of each old program
  std::set<std::uint64_t> goes_on;                                       // what knows as much as the one before it
  for (std::uint32_t p = 0; p < sources_of.size(); ++p) {
    if (!sources_of[p].pattern) continue;
    takers[*sources_of[p].pattern].push_back(p);
    goes_on.insert(ruleset->patterns[p].program.fingerprint);
  }
  for (const std::uint64_t fingerprint : meanings_of(*ruleset)) {
    if (std::find(known.begin(), known.end(), fingerprint) == known.end() && !goes_on.contains(fingerprint))
      own_begins[fingerprint] = order.watermark();
  }
  for (const auto& [fingerprint, from] : begin) {
    if (from == Timestamp::min()) {
      own_begins.erase(fingerprint);
    } else {
      own_begins[fingerprint] = from;
    }
  }
  bind_history(history_begins_now());
  for (std::size_t p = 0; p < ruleset->policies.size(); ++p) {
    const auto kept = old_limits.find(ruleset->policies[p].name);
    if (kept != old_limits.end()) limits[p] = std::move(kept->second);
  }
  for (std::size_t t = 0; t < ruleset->tables.size(); ++t) {
    const TableShape& shape = ruleset->tables[t].shape;
    const auto kept = old_rows.find(shape.name);
    if (kept == old_rows.end()) continue;
    const bool read = decode_changes(kept->second, shape, ruleset->schema, look_ups[t]);
    TOCSIN_CHECK(read, shape.name);  // bytes we have just written
    tables_captured = false;
  }
  std::map<std::uint64_t, std::uint32_t> keyspaces;
  for (std::uint32_t i = 0; i < ruleset->keyspaces.size(); ++i) keyspaces[ruleset->keyspaces[i].fingerprint] = i;
  for (Written& w : written) {
    const auto space = keyspaces.find(w.keyspace);
    const std::uint64_t hash = hash64(w.key);
    if (space == keyspaces.end()) {
      // Nobody asks about keys of this kind any more: the next checkpoint takes their records out of the store.
      ++dropped_sections;
      if (w.stored) orphans.push_back(state::slab_record({w.keyspace, w.key}));
      const std::uint64_t first = std::min(w.log.trimmed().first, w.log.begin());
      for (std::uint64_t at = first; at < w.log.end(); ++at)
        orphans.push_back(state::log_record({w.keyspace, hash, w.key, at}));
      continue;
    }
    KeyState& state = table_of(space->second, hash).get_or_create(hash, w.key);
    state.log = std::move(w.log);
    state.stored = w.stored;
    // The bounds of the log are known: only the sections are read. Bytes we have just written read back.
    state::EventLog log = std::move(state.log);
    state.log = {};
    const Status status = decode_key_state(space->second, state, w.slab);
    TOCSIN_CHECK(status.ok());
    take_over_prefixes(*old, w.old_keyspace, w.runs, takers, sources_of, state);
    for (LiveRuns& live : w.runs) {
      if (live.runs.body == nullptr || live.slot >= old->keyspaces[w.old_keyspace].programs.size()) continue;
      const std::uint32_t from = old->keyspaces[w.old_keyspace].programs[live.slot];
      const nfa::Program& was = old->patterns[from].program;
      if (takers[from].empty()) ++dropped_sections;
      for (std::size_t i = 0; i < takers[from].size(); ++i) {
        const Source& source = sources_of[takers[from][i]];
        const PatternPlan& pattern = ruleset->patterns[takers[from][i]];
        nfa::Runs runs = i + 1 == takers[from].size() ? std::move(live.runs) : nfa::copy(was, live.runs);
        if (!source.whole) runs = nfa::carry(was, std::move(runs), pattern.program, source.carried, order.watermark());
        nfa::note_beyond(pattern.program, runs);
        if (runs.body != nullptr) state.runs_of(pattern.slot) = std::move(runs);
      }
    }
    state.log = std::move(log);
    schedule(space->second, state, w.key, hash);
    touch(space->second, state);
  }
  if (fill != nullptr) take_over(*fill);
}

void Engine::State::take_over(Fill& fill) {
  TOCSIN_CHECK(fill.ruleset_ == ruleset);
  for (std::uint32_t c = 0; c < fill.wanted_.size(); ++c) {
    if (!fill.wanted_[c]) continue;
    const std::uint64_t fingerprint = ruleset->columns[c].layout.fingerprint;
    if (fill.reaches_[c].since == Timestamp::min()) {
      own_begins.erase(fingerprint);
    } else {
      own_begins[fingerprint] = fill.reaches_[c].since;
    }
  }
  if (!fill.engine_) return;
  State& filled = *fill.engine_->state_;
  for (std::uint32_t keyspace = 0; keyspace < tables.size(); ++keyspace) {
    const std::vector<std::uint32_t>& columns = ruleset->keyspaces[keyspace].columns;
    if (std::none_of(columns.begin(), columns.end(), [&](std::uint32_t c) { return fill.wanted_[c]; })) continue;
    filled.tables[keyspace].front().for_each([&](std::string_view bytes, KeyState& from) {
      KeyState* to = nullptr;
      for (std::size_t slot = 0; slot < from.columns.size(); ++slot) {
        if (!fill.wanted_[columns[slot]] || from.columns[slot].empty()) continue;
        if (to == nullptr) {
          const std::uint64_t hash = state::KeyTable<KeyState>::hash_of(from);
          to = &table_of(keyspace, hash).get_or_create(hash, bytes);
          if (to->columns.empty()) to->columns = std::vector<state::Column>(columns.size());
          to->last_seen = std::max(to->last_seen, from.last_seen);
          touch(keyspace, *to);
        }
        to->columns[slot] = std::move(from.columns[slot]);
      }
    });
  }
}

std::vector<Undecided> Engine::undecided() const {
  const State& s = *state_;
  std::vector<Undecided> list;
  for (std::uint32_t keyspace = 0; keyspace < s.tables.size(); ++keyspace) {
    const KeySpace& space = s.ruleset->keyspaces[keyspace];
    for (const auto& table : s.tables[keyspace]) {
      table.for_each([&](std::string_view bytes, const KeyState& key) {
        for (const auto& [slot, runs] : key.runs) {
          if (!runs.body || slot >= space.programs.size()) continue;
          const RulePlan& rule = s.ruleset->rules[s.ruleset->patterns[space.programs[slot]].rule];
          const std::optional<std::vector<Value>> values = state::decode_key(bytes);
          std::string text = "{";
          for (std::size_t i = 0; values && i < values->size(); ++i) {
            if (i > 0) text += ',';
            event::append_json_string(text, rule.key_names[i]);
            text += ':';
            if (rule.key_masks[i] == event::Mask::none) {
              event::append_json(text, (*values)[i], space.parts[i].type, s.ruleset->schema);
            } else {
              text += event::masked_json(rule.key_masks[i], (*values)[i]);
            }
          }
          text += "}";
          for (const Timestamp deadline : runs.body->deadlines()) {
            list.push_back({rule.info.name, text, deadline});
          }
        }
      });
    }
  }
  std::sort(list.begin(), list.end(), [](const Undecided& a, const Undecided& b) {
    return std::tie(a.deadline, a.rule, a.key) < std::tie(b.deadline, b.rule, b.key);
  });
  return list;
}

}  // namespace tocsin::engine
