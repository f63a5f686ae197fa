// The way of a batch. Arriving items pass the order; what is released gathers in the batch; flush() takes the batch through the
// strata: per stratum first what events can answer by themselves (derived fields, predicates), then the windows of their keys;
// then the patterns of each key and the deadlines between the events, then the rules on single events; then everything goes
// out in the order of T3. Shards are walked one after the other; each owns its keys.
#include "engine/run/engine.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "alerts/record.h"
#include "engine/run/engine_state.h"
#include "engine/run/trace.h"
#include "event/pack.h"
#include "state/key.h"

namespace tocsin::engine {

using event::Value;

Engine::State::State(std::shared_ptr<const Ruleset> rules, EngineOptions engine_options)
    : ruleset(std::move(rules)),
      options(std::move(engine_options)),
      order(options.partitions, options.lateness),
      ids(options.checkpoints) {
  options.shards = std::max<std::uint32_t>(options.shards, 1);
  if (options.data_begins.kind == DataBegins::Kind::at) begins = options.data_begins.at;
  if (options.data_begins.kind == DataBegins::Kind::complete) begins = Timestamp::min();
  make_tables();
  bind_history(Timestamp::min());
}

Engine::Engine(std::shared_ptr<const Ruleset> ruleset, EngineOptions options)
    : state_(std::make_unique<State>(std::move(ruleset), std::move(options))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

void Engine::step(std::span<const Item> items, Outbox& out) {
  State& s = *state_;
  const bool dedupes = s.options.dedupe.us > 0;
  constexpr std::size_t fetched_ahead = 24;
  std::size_t ahead = 0;  // ids are known of the items before it
  if (dedupes) s.ids_ahead.resize(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    switch (item.kind) {
      case ItemKind::event:
        if (dedupes && i >= ahead) {
          // The memory of ids is larger than any cache: the places of all events up to the next other item are fetched
          // together, so that their ways from memory overlap.
          for (ahead = i; ahead < items.size() && items[ahead].kind == ItemKind::event; ++ahead) {
            s.ids_ahead[ahead] = s.id_of(items[ahead].event);
            if (ahead < i + fetched_ahead) s.ids.prefetch(s.ids_ahead[ahead]);
          }
        }
        if (dedupes && i + fetched_ahead < ahead) s.ids.prefetch(s.ids_ahead[i + fetched_ahead]);
        s.arrive(item.event, dedupes ? s.ids_ahead[i] : Digest{});
        break;
      case ItemKind::tick:
        s.order.tick(item.time);
        s.ids.advance(s.order.watermark());
        s.moves.push_back({s.order.watermark(), s.batch.size()});
        s.release_waiting();
        s.flush(out);
        break;
      case ItemKind::idle:
        s.order.idle(item.partition);
        s.ids.advance(s.order.watermark());
        s.moves.push_back({s.order.watermark(), s.batch.size()});
        s.release_waiting();
        s.flush(out);
        break;
      case ItemKind::activation:
        s.flush(out);
        s.adopt(item.ruleset, item.change ? item.change->fill.get() : nullptr);
        break;
      case ItemKind::label_change:
        s.flush(out);
        s.facts.put_label(item.change->number, item.change->values.front(), Timestamp::max(), false);
        break;
      case ItemKind::list_change:
        s.flush(out);
        for (const Value& v : item.change->values) s.lists[item.change->number].add(v);
        for (const event::Network& n : item.change->networks) s.lists[item.change->number].add(n);
        break;
      case ItemKind::table_change:
        s.flush(out);
        s.change_table(item);
        break;
    }
  }
  s.flush(out);
}

void Engine::State::change_table(const Item& item) {
  const DataChange& change = *item.change;
  const TableRow row{item.time, change.values, change.networks.empty() ? event::Network{} : change.networks.front()};
  look_ups[change.number].add(ruleset->tables[change.number].shape, row);
  tables_changed = true;
  tables_captured = false;
}

Digest Engine::State::id_of(const event::Event& e) {
  const event::EventType& type = ruleset->schema.events[e.type];
  // The id of an event is its declared key and its type (T8); the hash of the type's name keeps types apart.
  return hash128(e.at(type.key).text(), type.name_hash);
}

void Engine::State::arrive(const event::Event& e, Digest id) {
  ++counters.events;
  if (!begins) begins = e.time;
  const bool duplicate = options.dedupe.us > 0 && ids.seen_before(id, e.time, options.dedupe);
  if (duplicate) {
    ++counters.duplicates;
    if (tracer != nullptr) tracer->dropped(*this, e);
    if (counters.duplicate_samples.size() < 10) {
      const event::EventType& type = ruleset->schema.events[e.type];
      counters.duplicate_samples.push_back(type.name + " " + std::string(e.at(type.key).text()));
    }
  }
  // A duplicate is not judged, but its partition has come this far all the same.
  const Timestamp before = order.watermark();
  const Order::Verdict verdict = order.arrive(e);
  if (order.watermark() > before) {
    ids.advance(order.watermark());
    moves.push_back({order.watermark(), batch.size()});
  }
  if (!duplicate) {
    switch (verdict) {
      case Order::Verdict::now: add_to_batch(e); break;
      case Order::Verdict::late: {
        event::Event late = e;
        late.late = true;
        ++counters.late;
        add_to_batch(late);
        break;
      }
      case Order::Verdict::wait: {
        std::string packed;
        event::pack(e, ruleset->schema, packed);
        order.keep(Order::place_of(e, ruleset->schema), std::move(packed));
        break;
      }
    }
  }
  release_waiting();
}

void Engine::State::release_waiting() {
  while (std::optional<std::string> packed = order.release()) {
    const std::string_view bytes = arena.copy(*packed);
    if (const auto e = event::unpack(bytes, ruleset->schema, arena)) add_to_batch(*e);
  }
}

void Engine::State::add_to_batch(const event::Event& e) {
  ++counters.judged;
  batch.push_back(begin_event(e, batch.size()));
}

BatchEvent Engine::State::begin_event(const event::Event& e, std::size_t place) {
  const TypePlan& plan = ruleset->types[e.type];
  BatchEvent b;
  b.event = e;
  b.watermark = order.watermark();
  const std::size_t width = ruleset->schema.events[e.type].fields.size();
  if (e.values.size() < width) {  // the decoder fills declared fields; derived ones stand behind them
    const std::span<Value> values = arena.array<Value>(width);
    std::copy(e.values.begin(), e.values.end(), values.begin());
    b.event.values = values;
  }
  b.row = arena.array<Value>(plan.row_size);
  b.keys = arena.array<KeyAt>(plan.key_uses.size());
  while (bits_pool.size() <= place) {
    bits_pool.push_back(std::make_unique<nfa::PredicateBits>(ruleset->predicate_owners.size()));
  }
  b.bits = bits_pool[place].get();
  b.bits->clear();
  return b;
}

KeyAt& Engine::State::key_of(BatchEvent& e, std::uint32_t use) {
  KeyAt& key = e.keys[use];
  if (key.computed) return key;
  key.computed = true;
  key_scratch.clear();
  for (const event::FieldIndex field : ruleset->types[e.event.type].key_uses[use].fields) {
    const Value& v = e.event.values[field];
    if (v.is_missing()) return key;  // T2: takes no part
    state::append_key_part(key_scratch, v);
  }
  key.bytes = arena.copy(key_scratch);
  key.hash = hash64(key.bytes);
  key.valid = true;
  table_of(ruleset->types[e.event.type].key_uses[use].keyspace, key.hash).prefetch(key.hash);
  return key;
}

KeyState* Engine::State::state_of(BatchEvent& e, std::uint32_t use, bool create) {
  KeyAt& key = key_of(e, use);
  if (!key.valid) return nullptr;
  if (key.state != nullptr) return key.state;
  auto& table = table_of(ruleset->types[e.event.type].key_uses[use].keyspace, key.hash);
  key.state = looked_up(ruleset->types[e.event.type].key_uses[use].keyspace,
                        create ? &table.get_or_create(key.hash, key.bytes) : table.find(key.hash, key.bytes));
  return key.state;
}

void Engine::State::touch(std::uint32_t keyspace, KeyState& key) {
  if (key.changed_in == interval || !options.checkpoints) return;
  TOCSIN_CHECK(key.changed_in == 0);  // else a capture would get it as it is now: it was changed without looked_up()
  key.changed_in = interval;
  dirty_keys.emplace_back(keyspace, &key);
}

Timestamp Engine::State::begins_of(std::uint64_t fingerprint) const {
  const Timestamp data = begins.value_or(Timestamp::min());
  const auto own = own_begins.find(fingerprint);
  return own == own_begins.end() ? data : std::max(data, own->second);
}

// ---------------------------------------------------------------- strata

void Engine::State::run_strata() {
  for (std::uint32_t level = 0; level < ruleset->strata; ++level) {
    run_stratum(level);
    run_features(level);
  }
}

void Engine::State::run_stratum(std::uint32_t level) {
  Context context = context_at({});
  for (BatchEvent& e : judged) {
    const TypePlan& plan = ruleset->types[e.event.type];
    if (plan.strata.size() <= level) continue;
    const TypeStratum& stratum = plan.strata[level];
    context.now = sees_as_of(e);
    context.subject = &e.event;
    context.row = e.row;
    for (const Derived& d : stratum.derived) e.event.values[d.field] = evaluate(ruleset->codes, d.value, context);
    answer(stratum.predicates, ruleset->codes, context, *e.bits, scratch, *this);
  }
}

/// As fetch_woken(), for the windows: from the place of a key to its node, from there to its columns and what they hold.
void Engine::State::fetch_columns(std::size_t begin, std::size_t end, std::uint32_t level, std::uint32_t shard) {
  const auto each = [&](const auto& fetch) {
    for (std::size_t i = begin; i < end; ++i) {
      BatchEvent& e = judged[i];
      const TypePlan& plan = ruleset->types[e.event.type];
      if (plan.strata.size() <= level) continue;
      const TypeStratum& stratum = plan.strata[level];
      const auto one = [&](std::uint32_t use, std::uint32_t column) {
        const KeyAt& at = key_of(e, use);
        if (at.valid && shard_of(at.hash) == shard) fetch(e, use, ruleset->columns[column]);
      };
      for (const Insert& insert : stratum.inserts) one(insert.key_use, insert.column);
      for (const Read& read : stratum.reads_before) {
        if (read.key_use) one(*read.key_use, ruleset->aggregates[read.aggregate].column);
      }
    }
  };
  each([&](BatchEvent& e, std::uint32_t use, const ColumnPlan& column) {
    const KeyAt& at = key_of(e, use);
    if (at.state == nullptr) table_of(column.keyspace, at.hash).prefetch_value(at.hash);
  });
  each([&](BatchEvent& e, std::uint32_t use, const ColumnPlan& column) {
    const KeyState* key = state_of(e, use, false);
    if (key != nullptr && !key->columns.empty()) __builtin_prefetch(&key->columns[column.slot]);
  });
  each([&](BatchEvent& e, std::uint32_t use, const ColumnPlan& column) {
    const KeyState* key = key_of(e, use).state;
    if (key != nullptr && !key->columns.empty()) key->columns[column.slot].prefetch(column.layout);
  });
}

void Engine::State::run_features(std::uint32_t level) {
  // First all keys of the batch are computed and their places fetched, then the work is done shard by shard in order.
  bool any = false;
  for (BatchEvent& e : judged) {
    const TypePlan& plan = ruleset->types[e.event.type];
    if (plan.strata.size() <= level) continue;
    const TypeStratum& stratum = plan.strata[level];
    for (const Read& read : stratum.reads_before) {
      if (read.key_use) key_of(e, *read.key_use);
      any = true;
    }
    for (const Insert& insert : stratum.inserts) {
      key_of(e, insert.key_use);
      any = true;
    }
    for (const Read& read : stratum.reads_last) {
      if (read.key_use) key_of(e, *read.key_use);
      any = true;
    }
  }
  if (!any) return;
  Context context = context_at({});
  constexpr std::size_t fetched_together = 32;
  for (std::uint32_t shard = 0; shard < options.shards; ++shard) {
    for (std::size_t i = 0; i < judged.size(); ++i) {
      if (i % fetched_together == 0) fetch_columns(i, std::min(i + fetched_together, judged.size()), level, shard);
      BatchEvent& e = judged[i];
      const TypePlan& plan = ruleset->types[e.event.type];
      if (plan.strata.size() <= level) continue;
      const TypeStratum& stratum = plan.strata[level];
      const state::Moment moment{e.event.time, e.release};
      context.now = sees_as_of(e);
      context.subject = &e.event;
      context.row = e.row;
      const auto do_read = [&](const Read& read) {
        // What windows say as of a late event would depend on what was already dropped: it stays unknown.
        if (e.event.late) return;
        const AggregatePlan& aggregate = ruleset->aggregates[read.aggregate];
        const ColumnPlan& column = ruleset->columns[aggregate.column];
        KeyState* key = nullptr;
        if (read.key_use) {
          const KeyAt& at = key_of(e, *read.key_use);
          if (!at.valid || shard_of(at.hash) != shard) return;
          key = state_of(e, *read.key_use, false);
        } else {
          key_scratch.clear();
          for (const CodeId part : read.key) {
            const Value v = evaluate(ruleset->codes, part, context);
            if (v.is_missing() || v.bound != event::Bound::exact) return;
            state::append_key_part(key_scratch, v);
          }
          const std::uint64_t hash = hash64(key_scratch);
          if (shard_of(hash) != shard) return;
          key = looked_up(column.keyspace, table_of(column.keyspace, hash).find(hash, key_scratch));
        }
        state::Column none;
        state::Column& cells = key == nullptr || key->columns.empty() ? none : key->columns[column.slot];
        Value probe;
        if (read.probe != no_code) {
          probe = evaluate(ruleset->codes, read.probe, context);
          if (probe.is_missing() || probe.bound != event::Bound::exact) return;
        }
        e.row[read.slot] = cells.answer(column.layout, aggregate.window,
                                        {moment, begins_of(column.layout.fingerprint), &probe, false});
      };
      for (const Read& read : stratum.reads_before) do_read(read);
      for (const Insert& insert : stratum.inserts) {
        const KeyAt& at = key_of(e, insert.key_use);
        if (!at.valid || shard_of(at.hash) != shard) continue;
        if (insert.where && !e.bits->test(*insert.where)) continue;
        const ColumnPlan& column = ruleset->columns[insert.column];
        // What came between an X from before the data begins and that beginning is not known: no window begins with it.
        if (insert.mark && e.event.time < begins_of(column.layout.fingerprint)) continue;
        const Value argument =
            insert.argument == no_code ? Value{} : evaluate(ruleset->codes, insert.argument, context);
        KeyState& key = *state_of(e, insert.key_use, true);
        if (key.columns.empty())
          key.columns = std::vector<state::Column>(ruleset->keyspaces[column.keyspace].columns.size());
        state::Column& cells = key.columns[column.slot];
        const bool taken = insert.mark ? cells.mark(column.layout, moment)
                                       : cells.insert(column.layout, moment,
                                                      argument.bound == event::Bound::exact ? argument : Value{});
        if (!taken) ++counters.bounds["engine/window_entries"];
        key.last_seen = std::max(key.last_seen, e.event.time);
        touch(column.keyspace, key);
      }
      for (const Read& read : stratum.reads_last) do_read(read);
    }
  }
}

event::Value Engine::State::read_as_of(std::uint32_t index, std::span<const Value> key,
                                       state::Column::Question question) {
  const AggregatePlan& aggregate = ruleset->aggregates[index];
  const ColumnPlan& column = ruleset->columns[aggregate.column];
  std::string bytes;
  for (const Value& v : key) state::append_key_part(bytes, v);
  const std::uint64_t hash = hash64(bytes);
  KeyState* found = looked_up(column.keyspace, table_of(column.keyspace, hash).find(hash, bytes));
  state::Column none;
  state::Column& cells = found == nullptr || found->columns.empty() ? none : found->columns[column.slot];
  question.data_begins = begins_of(column.layout.fingerprint);
  return cells.answer(column.layout, aggregate.window, question);
}

void Engine::State::settle_unknown() {
  for (const auto& [bits, count] : unknown_counts) {
    const UnknownPlace place = UnknownPlace::unpacked(bits);
    const std::string field =
        place.missing ? ruleset->schema.events[place.missing->event].fields[place.missing->field].name : "(feature)";
    const auto add = [&](std::uint32_t rule) {
      counters.unknown_by_rule_and_field[{ruleset->rules[rule].info.name, field}] += count;
    };
    switch (place.by) {
      case UnknownPlace::By::rule: add(place.asked); break;
      case UnknownPlace::By::predicate:
        for (const std::uint32_t rule : ruleset->predicate_owners[place.asked].rules) add(rule);
        break;
      case UnknownPlace::By::predicate_of_late:
        for (const std::uint32_t rule : ruleset->predicate_owners[place.asked].rules_of_late) add(rule);
        break;
    }
  }
  unknown_counts.clear();
}

void Engine::State::unknown(nfa::PredicateId predicate, CodeId code, const Context& context) {
  if (!counts_unknown) return;
  const auto asked = static_cast<std::uint32_t>(predicate);
  const PredicateOwner& owner = ruleset->predicate_owners[asked];
  const bool late = context.subject->late;
  if ((late ? owner.rules_of_late : owner.rules).empty()) return;
  const UnknownPlace place{late ? UnknownPlace::By::predicate_of_late : UnknownPlace::By::predicate, asked,
                           first_missing_field(ruleset->codes, code, context)};
  ++unknown_counts[place.packed()];
}

// ---------------------------------------------------------------- patterns and deadlines

state::Moment Engine::State::moment_of_deadline(Timestamp deadline) const {
  if (ruleset->visibility.deadlines) return {deadline, released};  // it fires in its place
  // What was judged when the watermark passed the deadline, and of what that move released the events up to it.
  const auto move =
      std::find_if(moves.begin(), moves.end(), [&](const WatermarkMove& m) { return m.watermark > deadline; });
  std::size_t count = move == moves.end() ? batch.size() : move->released_before;
  while (count < batch.size() && !batch[count].event.late && batch[count].event.time <= deadline) ++count;
  const std::uint64_t first = released - batch.size();
  return {deadline, first + count};
}

void Engine::State::fire_deadlines(std::uint32_t keyspace, KeyState& key, std::string_view bytes, Timestamp before) {
  if (key.timer == KeyState::no_timer || key.timer >= before.us) return;
  const KeySpace& space = ruleset->keyspaces[keyspace];
  for (LiveRuns& live : key.runs) {
    const auto deadline = nfa::next_deadline(live.runs);
    if (!deadline || *deadline >= before) continue;
    touch(keyspace, key);
    const PatternPlan& pattern = ruleset->patterns[space.programs[live.slot]];
    MatchHost host(*this, pattern, key, bytes);
    matches.clear();
    nfa::advance(pattern.program, live.runs, before, host, matches);
    count_reached(pattern.rule, host);
    for (std::uint32_t i = 0; i < matches.size(); ++i) hit_of_match(pattern, matches[i], i, host);
    let_rest(pattern, key);
  }
}

void Engine::State::schedule(std::uint32_t keyspace, KeyState& key, std::string_view bytes, std::uint64_t hash) {
  std::int64_t next = KeyState::no_timer;
  for (const auto& [slot, runs] : key.runs) {
    if (const auto deadline = nfa::next_deadline(runs)) next = std::min(next, deadline->us);
  }
  // A timer that comes too early costs a look when it fires, one more for each deadline that was called off would cost its memory
  // until then: so a key has a new one only for an earlier deadline.
  if (next >= key.timer) return;
  key.timer = next;
  timers.push({next, keyspace, hash, std::string(bytes)});
}

void Engine::State::take_timer(Timestamp before) {
  const Timer timer = timers.top();
  timers.pop();
  KeyState* key = table_of(timer.keyspace, timer.hash).find(timer.hash, timer.key);
  if (key == nullptr || key->timer != timer.deadline_us) return;  // the key has an earlier one
  looked_up(timer.keyspace, key);
  fire_deadlines(timer.keyspace, *key, timer.key, before);
  key->timer = KeyState::no_timer;
  tidy_key(*key);
  schedule(timer.keyspace, *key, timer.key, timer.hash);
}

void Engine::State::tidy_key(KeyState& key) {
  if (key.log.empty()) return;
  std::uint64_t oldest = key.log.end();
  for (const auto& [slot, runs] : key.runs) {
    if (const auto needed = nfa::oldest_needed(runs)) oldest = std::min(oldest, *needed);
  }
  if (oldest > key.log.begin()) key.log.trim_before(oldest);
  // One old event may be needed still while those behind it are not.
  if (!key.log.has_grown()) return;
  needed_scratch.clear();
  for (const auto& [slot, runs] : key.runs) nfa::events(runs, needed_scratch);
  key.log.keep_only(needed_scratch);
}

std::string_view Engine::State::packed(const BatchEvent& e) {
  if (packed_event != e.release) {
    packed_scratch.clear();
    event::pack(e.event, ruleset->schema, packed_scratch);
    packed_event = e.release;
  }
  return packed_scratch;
}

void Engine::State::run_key(std::uint32_t keyspace, KeyState& key, std::string_view bytes, BatchEvent& e,
                            std::span<const Route* const> routes) {
  fire_deadlines(keyspace, key, bytes, e.event.late ? e.watermark : e.event.time);
  wake(keyspace, key, e, routes);
  bool kept = false;
  for (const auto& [route, entry] : woken) {
    const Route::Entry& own = route->patterns[entry];
    if (own.allowed.empty()) {
      kept |= step_pattern(own.pattern, key, bytes, e, *e.bits);
      continue;
    }
    // The pattern takes this type under several roles: only what holds under the roles of this key counts.
    nfa::PredicateBits of_roles;
    of_roles.words().resize(e.bits->words().size());
    for (const Route* other : routes) {
      for (const Route::Entry& x : other->patterns) {
        if (x.pattern == own.pattern) add_bits_of_role(x, *e.bits, of_roles);
      }
    }
    kept |= step_pattern(own.pattern, key, bytes, e, of_roles);
  }
  // Members first: the event may be a later step of what had begun before it.
  for (const std::uint32_t prefix : woken_prefixes) kept |= step_prefix(prefix, key, bytes, e);
  if (!ruleset->prefixes.empty()) {
    for (const auto& [route, entry] : woken) let_rest(ruleset->patterns[route->patterns[entry].pattern], key);
  }
  if (key.runs.size() > KeyState::runs_kept_ready) key.forget_ended_runs();
  if (kept) key.log.append(packed(e));
  key.last_seen = std::max(key.last_seen, e.event.time);
}

void Engine::State::wake(std::uint32_t keyspace, const KeyState& key, const BatchEvent& e,
                         std::span<const Route* const> routes) {
  ++round;
  stepped.resize(ruleset->patterns.size());
  woken.clear();
  woken_prefixes.clear();
  const auto wake_entry = [&](const Route* route, std::uint32_t entry) {
    std::uint64_t& last = stepped[route->patterns[entry].pattern];
    if (last == round) return;
    last = round;
    woken.emplace_back(route, entry);
  };
  const KeySpace& space = ruleset->keyspaces[keyspace];
  bool prefix_lives = false;
  for (const LiveRuns& live : key.runs) {
    if (live.slot >= space.programs.size()) {
      if (live.runs.body == nullptr) continue;
      prefix_lives = true;
      const std::uint32_t index = space.prefixes[live.slot - space.programs.size()];
      if (!nfa::concerns(ruleset->prefixes[index].prefix.program, *e.bits)) continue;
      const bool leads_here = std::ranges::any_of(
          routes, [&](const Route* route) { return std::ranges::binary_search(route->prefixes, index); });
      if (leads_here) woken_prefixes.push_back(index);
      continue;
    }
    const std::uint32_t index = space.programs[live.slot];
    const PatternPlan& pattern = ruleset->patterns[index];
    if (pattern.prefix != PatternPlan::no_prefix && live.runs.body == nullptr) continue;  // it rests
    const bool concerned = nfa::concerns(pattern.program, *e.bits);
    if (!concerned && !pattern.several_roles) continue;
    for (const Route* route : routes) {
      const auto at = std::lower_bound(route->patterns.begin(), route->patterns.end(), index,
                                       [](const Route::Entry& x, std::uint32_t wanted) { return x.pattern < wanted; });
      if (at == route->patterns.end() || at->pattern != index) continue;
      if (!concerned && at->stands_for.empty()) continue;
      wake_entry(route, static_cast<std::uint32_t>(at - route->patterns.begin()));
      break;
    }
  }
  // Of a sorted list of (predicate, whom) those whose predicate is true.
  const auto each = [&](const std::vector<std::pair<std::uint32_t, std::uint32_t>>& list, std::uint32_t predicate,
                        const auto& visit) {
    auto at = std::lower_bound(list.begin(), list.end(), std::pair{predicate, 0U});
    for (; at != list.end() && at->first == predicate; ++at) visit(at->second);
  };
  for (const Route* route : routes) {
    for (std::uint32_t w = 0; w < route->begins.size(); ++w) {
      for (std::uint64_t left = e.bits->word_at(w) & route->begins[w]; left != 0; left &= left - 1) {
        const std::uint32_t predicate = w * 64 + static_cast<std::uint32_t>(std::countr_zero(left));
        each(route->beginners, predicate, [&](std::uint32_t entry) { wake_entry(route, entry); });
        each(route->prefix_beginners, predicate, [&](std::uint32_t index) {
          if (std::ranges::find(woken_prefixes, index) == woken_prefixes.end()) woken_prefixes.push_back(index);
        });
      }
    }
    if (!prefix_lives || route->joiners.empty()) continue;
    for (std::uint32_t w = 0; w < route->wakes.size(); ++w) {
      for (std::uint64_t left = e.bits->word_at(w) & route->wakes[w]; left != 0; left &= left - 1) {
        const std::uint32_t predicate = w * 64 + static_cast<std::uint32_t>(std::countr_zero(left));
        each(route->joiners, predicate, [&](std::uint32_t entry) { wake_entry(route, entry); });
      }
    }
  }
}

bool Engine::State::compare_values(const PatternPlan& pattern, const BatchEvent& e) {
  values_compared.clear();
  bool missing = false;
  for (const std::vector<FieldOf>& fields : pattern.values) {
    const auto own = std::ranges::find(fields, e.event.type, &FieldOf::event);
    values_compared.push_back(own == fields.end() ? nfa::missing_value : compared_value(e.event.at(own->field)));
    missing = missing || (own != fields.end() && values_compared.back() == nfa::missing_value);
  }
  return missing;
}

void Engine::State::count_unknown_values(const PatternPlan& pattern, const BatchEvent& e,
                                         const nfa::PredicateBits& bits, bool begun) {
  for (std::size_t v = 0; v < pattern.values.size(); ++v) {
    const auto own = std::ranges::find(pattern.values[v], e.event.type, &FieldOf::event);
    if (own == pattern.values[v].end() || values_compared[v] != nfa::missing_value) continue;
    const bool asked = std::ranges::any_of(pattern.comparing[v], [&](const PatternPlan::Comparing& by) {
      return bits.test(by.predicate) && (by.begins || begun) && (by.absent || !e.event.late);
    });
    if (asked) unknown_of_rule(pattern.rule, *own);
  }
}

bool Engine::State::step_pattern(std::uint32_t index, KeyState& key, std::string_view bytes, BatchEvent& e,
                                 const nfa::PredicateBits& bits) {
  const PatternPlan& pattern = ruleset->patterns[index];
  nfa::Runs& runs = key.runs_of(pattern.slot);
  const nfa::Runs* shared = nullptr;
  if (pattern.prefix != PatternPlan::no_prefix) shared = key.live_runs(ruleset->prefixes[pattern.prefix].slot);
  if (compare_values(pattern, e)) count_unknown_values(pattern, e, bits, !runs.empty() || shared != nullptr);
  const std::uint64_t position = key.log.end();
  const nfa::Occurrence occurrence{position, e.release, e.event.time, e.event.late, &bits, values_compared};
  if (pattern.prefix != PatternPlan::no_prefix && runs.body == nullptr) {
    const nfa::Prefix& prefix = ruleset->prefixes[pattern.prefix].prefix;
    if (shared == nullptr || !nfa::join(prefix, pattern.member, pattern.program, *shared, runs, occurrence,
                                        e.event.late ? e.watermark : e.event.time)) {
      return false;
    }
  }
  MatchHost host(*this, pattern, key, bytes);
  host.set_current(&e, position);
  host.set_moment({e.event.time, e.release}, false);
  matches.clear();
  const bool kept = nfa::step(pattern.program, runs, occurrence, host, matches);
  count_reached(pattern.rule, host);
  e.cut = e.cut || host.counters.searches_cut > 0 || host.counters.every_capped > 0 || host.counters.dropped > 0;
  for (std::uint32_t i = 0; i < matches.size(); ++i) hit_of_match(pattern, matches[i], i, host);
  return kept;
}

bool Engine::State::step_prefix(std::uint32_t index, KeyState& key, std::string_view bytes, BatchEvent& e) {
  const PrefixPlan& plan = ruleset->prefixes[index];
  // All members compare the same values, and nothing is asked of what has only begun.
  const PatternPlan& pattern = ruleset->patterns[plan.prefix.members.front().program];
  nfa::Runs& runs = key.runs_of(plan.slot);
  const bool missing = compare_values(pattern, e);
  for (const nfa::Prefix::Member& member : plan.prefix.members) {
    if (!missing) break;
    if (stepped[member.program] != round)
      count_unknown_values(ruleset->patterns[member.program], e, *e.bits, runs.body != nullptr);
  }
  MatchHost host(*this, pattern, key, bytes);
  const std::uint64_t position = key.log.end();
  host.set_current(&e, position);
  const nfa::Occurrence occurrence{position, e.release, e.event.time, e.event.late, e.bits, values_compared};
  const bool kept = nfa::prefix_step(plan.prefix, runs, occurrence, host);
  if (host.counters.dropped == 0) return kept;
  e.cut = true;
  for (const nfa::Prefix::Member& member : plan.prefix.members)
    count_reached(ruleset->patterns[member.program].rule, host);
  return kept;
}

void Engine::State::let_rest(const PatternPlan& pattern, KeyState& key) {
  if (pattern.prefix == PatternPlan::no_prefix) return;
  nfa::Runs* const own = key.live_runs(pattern.slot);
  if (own == nullptr) return;
  const PrefixPlan& plan = ruleset->prefixes[pattern.prefix];
  nfa::rest(pattern.member, pattern.program, key.live_runs(plan.slot), *own);
}

void Engine::State::add_bits_of_role(const Route::Entry& entry, const nfa::PredicateBits& bits,
                                     nfa::PredicateBits& out) {
  for (std::size_t w = 0; w < out.words().size(); ++w) {
    const bool all = entry.allowed.empty();
    out.words()[w] |= bits.word_at(w) & (all ? ~std::uint64_t{0} : w < entry.allowed.size() ? entry.allowed[w] : 0);
  }
  for (const auto& [of_event, own] : entry.stands_for) {
    if (bits.test(nfa::PredicateId{of_event})) out.set(nfa::PredicateId{own});
  }
}

void Engine::State::count_reached(std::uint32_t of_rule, const MatchHost& host) {
  for (const MatchHost::Unknown& unknown : host.unknown()) unknown_of_rule(of_rule, unknown.missing);
  const nfa::Counters& reached = host.counters;
  const std::string& rule = ruleset->rules[of_rule].info.name;
  if (reached.searches_cut > 0) counters.bounds[rule + "/search"] += reached.searches_cut;
  if (reached.every_capped > 0) counters.bounds[rule + "/every"] += reached.every_capped;
  if (reached.dropped > 0) counters.bounds[rule + "/memory"] += reached.dropped;
}

/// Brings what run_key() will look at into the cache, for some dozen events together: from the place of a key to its node, from
/// there to the runs and what they keep. Each step asks for what the step before has brought; it changes nothing.
void Engine::State::fetch_woken(std::span<const Lead> some, std::uint32_t shard) {
  const auto each = [&](const auto& fetch) {
    for (const Lead& lead : some) {
      BatchEvent& e = judged[lead.event];
      const TypePlan& plan = ruleset->types[e.event.type];
      const std::uint32_t use = plan.routes[lead.route].key_use;
      fetch(e, plan.key_uses[use].keyspace, use);
    }
  };
  each([&](BatchEvent& e, std::uint32_t, std::uint32_t use) { key_of(e, use); });
  each([&](BatchEvent& e, std::uint32_t keyspace, std::uint32_t use) {
    const KeyAt& at = key_of(e, use);
    if (at.valid && at.state == nullptr && shard_of(at.hash) == shard)
      table_of(keyspace, at.hash).prefetch_value(at.hash);
  });
  each([&](BatchEvent& e, std::uint32_t, std::uint32_t use) {
    const KeyAt& at = key_of(e, use);
    if (!at.valid || shard_of(at.hash) != shard) return;
    if (const KeyState* key = state_of(e, use, false)) __builtin_prefetch(key->runs.data());
  });
  each([&](BatchEvent& e, std::uint32_t, std::uint32_t use) {
    const KeyState* key = key_of(e, use).state;
    if (key == nullptr) return;
    for (const auto& [slot, runs] : key->runs) {
      if (!runs.body) continue;
      const char* body = reinterpret_cast<const char*>(runs.body.get());
      for (std::size_t at = 0; at < nfa::runs_body_bytes; at += 64) __builtin_prefetch(body + at);
    }
    key->log.prefetch();
  });
  each([&](BatchEvent& e, std::uint32_t, std::uint32_t use) {
    const KeyState* key = key_of(e, use).state;
    if (key == nullptr) return;
    for (const auto& [slot, runs] : key->runs) {
      if (runs.body) runs.body->prefetch();
    }
  });
}

void Engine::State::run_patterns() {
  leads.clear();
  for (std::uint32_t i = 0; i < judged.size(); ++i) {
    const std::vector<Route>& routes = ruleset->types[judged[i].event.type].routes;
    for (std::uint32_t r = 0; r < routes.size(); ++r) {
      if (any_of(judged[i], routes[r].wakes)) leads.push_back({i, r, any_of(judged[i], routes[r].begins)});
    }
  }
  constexpr std::size_t fetched_together = 64;
  for (std::uint32_t shard = 0; shard < options.shards; ++shard) {
    for (std::size_t l = 0; l < leads.size(); ++l) {
      if (l % fetched_together == 0)
        fetch_woken(std::span(leads).subspan(l, std::min(fetched_together, leads.size() - l)), shard);
      const Lead& lead = leads[l];
      BatchEvent& e = judged[lead.event];
      const TypePlan& plan = ruleset->types[e.event.type];
      const Route& route = plan.routes[lead.route];
      const std::uint32_t keyspace = plan.key_uses[route.key_use].keyspace;
      const KeyAt& at = key_of(e, route.key_use);
      if (!at.valid || shard_of(at.hash) != shard) continue;
      // One event may belong to one key under two roles (a transfer to oneself): it is stepped once, with both.
      const auto leads_here = [&](const Lead& other) {
        const std::uint32_t use = plan.routes[other.route].key_use;
        if (plan.key_uses[use].keyspace != keyspace) return false;
        const KeyAt& there = key_of(e, use);
        return there.valid && there.bytes == at.bytes;
      };
      const auto of_event = [&](std::size_t other) { return other < leads.size() && leads[other].event == lead.event; };
      bool stepped_before = false;
      for (std::size_t other = l; other-- > 0 && of_event(other) && !stepped_before;)
        stepped_before = leads_here(leads[other]);
      if (stepped_before) continue;
      bool may_begin = lead.may_begin;
      same_key.assign(1, &route);
      for (std::size_t other = l + 1; of_event(other); ++other) {
        if (!leads_here(leads[other])) continue;
        same_key.push_back(&plan.routes[leads[other].route]);
        may_begin = may_begin || leads[other].may_begin;
      }
      KeyState* const key = state_of(e, route.key_use, may_begin);
      if (key == nullptr) continue;
      run_key(keyspace, *key, at.bytes, e, same_key);
      tidy_key(*key);
      touch(keyspace, *key);
      schedule(keyspace, *key, at.bytes, at.hash);
    }
  }
}

void Engine::State::fire_due_timers() {
  const Timestamp watermark = order.watermark();
  while (!timers.empty() && timers.top().deadline_us < watermark.us) take_timer(watermark);
}

bool Engine::State::has_deadline_before(Timestamp before) {
  while (!timers.empty() && timers.top().deadline_us < before.us) {
    const Timer& timer = timers.top();
    const KeyState* key = table_of(timer.keyspace, timer.hash).find(timer.hash, timer.key);
    if (key != nullptr && key->timer == timer.deadline_us) return true;
    timers.pop();  // the key has another by now
  }
  return false;
}

void Engine::State::fire_deadlines_in_order(Timestamp before, Outbox& out) {
  while (has_deadline_before(before)) {
    // All of one moment are judged as of that moment, so that none sees what another one does; emit() puts them in order.
    const Timestamp deadline{timers.top().deadline_us};
    while (!timers.empty() && timers.top().deadline_us == deadline.us) take_timer(deadline + Duration{1});
    emit(out);
  }
}

void Engine::State::run_on_rules() {
  for (BatchEvent& e : judged) {
    if (e.event.late) continue;
    const TypePlan& plan = ruleset->types[e.event.type];
    bool any = false;
    for (std::size_t w = 0; w < plan.fires.size() && !any; ++w) any = (e.bits->word_at(w) & plan.fires[w]) != 0;
    if (!any) continue;  // nearly always, however many rules there are
    for (const OnRule& rule : plan.on_rules) {
      if (e.bits->test(rule.fires)) hit_of_event(e, rule);
    }
  }
}

// ---------------------------------------------------------------- out

void Engine::State::decide(BatchEvent& e, std::span<const alerts::Hit* const> event_hits, Outbox& out) {
  const TypePlan& plan = ruleset->types[e.event.type];
  for (const PolicyUse& use : plan.policies) {
    if (use.where && !e.bits->test(*use.where)) continue;
    const alerts::Policy& policy = ruleset->policies[use.policy];
    Context context = context_at(e.event.time);
    context.subject = &e.event;
    context.row = e.row;
    const Decimal score = alerts::score_of(policy, event_hits);
    context.score = Value::of_number(score);
    std::vector<std::string_view> tags;
    for (const alerts::Hit* hit : event_hits) {
      if (!alerts::takes_part(*hit)) continue;
      if (hit->action) context.actions_decided |= 1U << static_cast<unsigned>(*hit->action);
      for (const std::string& tag : hit->rule->tags) tags.push_back(tag);
    }
    context.tags_fired = tags;
    bool truth[256];
    TOCSIN_CHECK(use.lines.size() <= std::size(truth), use.lines.size());
    for (std::size_t i = 0; i < use.lines.size(); ++i) {
      truth[i] = use.lines[i] == no_code || is_true(evaluate(ruleset->codes, use.lines[i], context));
    }
    const event::EventType& type = ruleset->schema.events[e.event.type];
    const alerts::DecidedEvent decided{type.name, e.event.at(type.key).text(), e.event.time};
    const alerts::Decision decision =
        alerts::decide(policy, {truth, use.lines.size()}, event_hits, score, decided, limits[use.policy], e.cut);
    if (tracer != nullptr) tracer->decided(*this, e, use, context, decision, event_hits);
    ++counters.decisions;
    ++decisions_by_action[static_cast<std::size_t>(decision.action)];
    out.add(OutStream::decisions, alerts::decision_record_key(decision),
            alerts::decision_record(decision, event_hits, ruleset->digest_text));
    return;
  }
}

void Engine::State::emit(Outbox& out) {
  std::sort(hits.begin(), hits.end(), [](const PlacedHit& a, const PlacedHit& b) {
    const auto place = [](const PlacedHit& h) {
      return std::tie(h.hit.at, h.by_time, h.release, h.rule, h.sequence, h.hit.id);
    };
    return place(a) < place(b);
  });
  const auto send = [&](const alerts::Hit& hit) {
    ++counters.hits_by_rule[hit.rule->name];
    if (hit.truncated) ++counters.truncated;
    const alerts::AlertOutcome outcome = book.take(hit);
    put_alert_changes(out);
    if (tracer != nullptr) tracer->alerted(hit, outcome);
    out.add(OutStream::hits, alerts::hit_record_key(hit), alerts::hit_record(hit, outcome, ruleset->digest_text));
    using Kind = alerts::AlertOutcome::Kind;
    switch (outcome.kind) {
      case Kind::none: return;
      case Kind::made: ++counters.alerts_by_rule[hit.rule->name]; break;
      case Kind::folded: ++counters.folded_by_rule[hit.rule->name]; return;
      case Kind::reopened: ++counters.folded_by_rule[hit.rule->name]; break;
      case Kind::held: break;  // counted when it opens, or is suppressed
      case Kind::suppressed: ++counters.suppressed_by_rule[hit.rule->name]; break;
    }
    out.add(OutStream::alerts, alerts::alert_record_key(hit), alerts::alert_record(hit, outcome, ruleset->digest_text));
  };
  std::size_t next = 0;
  std::vector<const alerts::Hit*> own;
  for (BatchEvent& e : judged) {
    const TypePlan& plan = ruleset->types[e.event.type];
    if (e.event.late && plan.resolves.empty()) continue;
    const Timestamp reached = sees_as_of(e);
    while (next < hits.size() && (hits[next].hit.at < reached || (hits[next].hit.at == reached && !hits[next].by_time &&
                                                                  hits[next].release < e.release))) {
      send(hits[next++].hit);
    }
    // L3: resolving comes before the hits of the same event.
    for (const ResolveUse& use : plan.resolves) resolve_alerts(e, use, out);
    if (e.event.late) continue;
    own.clear();
    while (next < hits.size() && !hits[next].by_time && hits[next].release == e.release) {
      own.push_back(&hits[next].hit);
      send(hits[next++].hit);
    }
    if (!plan.policies.empty()) decide(e, own, out);
  }
  while (next < hits.size()) send(hits[next++].hit);
  // E1: what the hits put is seen from the next event on, so by nobody who was judged with them.
  for (const PlacedHit& hit : hits) put_effects(hit);
  if (!ruleset->visibility.any) {
    hits.clear();
    return;
  }
  // E2, T3: then the hits as events, each with all that follows from it before the next.
  const std::vector<PlacedHit> done = std::exchange(hits, {});
  for (const PlacedHit& hit : done) {
    if (!hit.as_event) continue;
    ++hits_above;
    BatchEvent e = begin_event(*hit.as_event, batch.size() + hits_above);
    judge({&e, 1}, out);
    --hits_above;
  }
}

void Engine::State::resolve_alerts(const BatchEvent& e, const ResolveUse& use, Outbox& out) {
  if (!e.bits->test(use.where)) return;
  std::vector<alerts::NamedValue> key;
  const event::EventType& type = ruleset->schema.events[e.event.type];
  for (std::size_t i = 0; i < use.fields.size(); ++i) {
    const Value& v = e.event.values[use.fields[i]];
    if (v.is_missing()) return;
    key.push_back({use.names[i], event::json_text(v, type.fields[use.fields[i]].type, ruleset->schema)});
  }
  book.advance(sees_as_of(e));
  book.resolve(ruleset->rules[use.rule].info, key, e.event.time, type.name, e.event.at(type.key).text());
  put_alert_changes(out);
}

void Engine::State::put_alert_changes(Outbox& out) {
  for (const alerts::AlertChange& change : book.take_alert_changes()) {
    switch (change.kind) {
      case alerts::AlertChange::Kind::opened: ++counters.alerts_by_rule[change.rule]; break;
      case alerts::AlertChange::Kind::suppressed: ++counters.suppressed_by_rule[change.rule]; break;
      case alerts::AlertChange::Kind::resolved: ++counters.resolved_by_rule[change.rule]; break;
    }
    out.add(OutStream::alerts, alerts::alert_record_key(change), alerts::alert_record(change, ruleset->digest_text));
  }
}

void Engine::State::put_effects(const PlacedHit& hit) {
  for (const PlacedEffect& effect : hit.effects) {
    const EffectPlan& plan = *effect.plan;
    const Timestamp until = plan.lasts ? hit.hit.at + *plan.lasts : Timestamp::max();
    if (plan.is_label) {
      facts.put_label(plan.set, effect.value, until, hit.hit.shadow);
    } else {
      facts.put_entry(plan.set, effect.value, until, hit.hit.shadow);
    }
  }
}

void Engine::State::judge(std::span<BatchEvent> events, Outbox& out) {
  judged = events;
  for (BatchEvent& e : judged) e.release = ++released;
  if (history.on && hits_above == 0) remember_judged();
  run_strata();
  if (tracer != nullptr) {
    for (BatchEvent& e : judged) tracer->released(*this, e);
  }
  run_patterns();
  if (!ruleset->visibility.any) fire_due_timers();
  if (tracer != nullptr) tracer->diagnose(*this);
  run_on_rules();
  emit(out);
  judged = {};
}

std::size_t Engine::State::part_end(std::size_t begin) {
  const Visibility& visibility = ruleset->visibility;
  const auto meet = [](const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
    for (std::size_t w = 0; w < std::min(a.size(), b.size()); ++w) {
      if ((a[w] & b[w]) != 0) return true;
    }
    return false;
  };
  put_in_part.clear();
  const Timestamp first = batch[begin].event.time;
  std::size_t end = begin;
  for (; end < batch.size(); ++end) {
    const BatchEvent& e = batch[end];
    const TypePlan& plan = ruleset->types[e.event.type];
    if (end > begin) {
      if (meet(plan.effects_asked, put_in_part)) break;
      // A deadline may lie between: one that waits, or one that an event of the part begins.
      const Timestamp reached = sees_as_of(e);
      if (visibility.deadlines && (first + visibility.shortest_wait < reached || has_deadline_before(reached))) break;
    }
    if (e.event.late) continue;  // completes nothing
    put_in_part.resize(std::max(put_in_part.size(), plan.effects_put.size()));
    for (std::size_t w = 0; w < plan.effects_put.size(); ++w) put_in_part[w] |= plan.effects_put[w];
    if (plan.makes_hits) return end + 1;  // its hits come before the next event
  }
  return end;
}

/// What was released is judged at once when nothing that one event does can be seen by another one of the batch. Else it is
/// cut into parts within which that holds, and deadlines fire between them. An event sees the same in any batch either way.
void Engine::State::flush(Outbox& out) {
  if (batch.empty() && moves.empty()) return;
  if (tables_changed) {
    for (TableState& table : look_ups) table.settle();
    tables_changed = false;
  }
  if (!ruleset->visibility.any) {
    judge(batch, out);
  } else {
    const bool deadlines = ruleset->visibility.deadlines;
    for (std::size_t begin = 0; begin < batch.size();) {
      if (deadlines) fire_deadlines_in_order(sees_as_of(batch[begin]), out);
      const std::size_t end = part_end(begin);
      judge(std::span(batch).subspan(begin, end - begin), out);
      begin = end;
    }
    if (deadlines) fire_deadlines_in_order(order.watermark(), out);
  }
  book.advance(order.watermark());
  put_alert_changes(out);
  if (tracer != nullptr) tracer->settle(*this);
  book.expire(order.watermark());
  facts.expire(order.watermark(), options.checkpoints);
  ids.expire();
  batch.clear();
  moves.clear();
  arena.clear();
  text_matcher.next_batch();
  sweep();
}

/// Keys whose windows have passed and whose patterns have nothing begun are forgotten. A sweep looks at every key and comes
/// after as many events as four times their number, so its share per event is bounded and small; what it drops no answer needs.
void Engine::State::sweep() {
  std::size_t keys = 0;
  for (const auto& shards : tables) {
    for (const auto& table : shards) keys += table.size();
  }
  if (released - swept_at < std::max<std::uint64_t>(4 * keys, 1U << 16U) || capture) return;
  swept_at = released;
  if (!options.checkpoints) {
    order.checkpointed();
    book.take_changes();
  }
  std::vector<std::pair<std::uint64_t, std::string>> gone;
  for (std::uint32_t keyspace = 0; keyspace < tables.size(); ++keyspace) {
    for (auto& table : tables[keyspace]) {
      gone.clear();
      table.for_each([&](std::string_view bytes, KeyState& key) {
        // Those with something to write are looked at by the checkpoint.
        if (key.changed_in != 0 || !expire_key(keyspace, key, order.watermark())) return;
        if (options.checkpoints) forget_records(keyspace, key, orphans);
        gone.emplace_back(state::KeyTable<KeyState>::hash_of(key), std::string(bytes));
      });
      for (const auto& [hash, bytes] : gone) table.erase(hash, bytes);
    }
  }
}

// ---------------------------------------------------------------- what others may ask

void Engine::trace(Tracer* tracer) {
  TOCSIN_CHECK(tracer == nullptr || state_->ruleset->explains);
  state_->tracer = tracer;
}

Timestamp Engine::watermark() const { return state_->order.watermark(); }

const Counters& Engine::counters() const {
  State& s = *state_;
  s.settle_unknown();
  for (std::size_t i = 0; i < s.decisions_by_action.size(); ++i) {
    if (s.decisions_by_action[i] == 0) continue;
    s.counters.decisions_by_action[std::string(event::to_text(static_cast<event::Action>(i)))] =
        s.decisions_by_action[i];
  }
  const auto bound = [&](const char* name, std::uint64_t reached) {
    if (reached > 0) s.counters.bounds[name] = reached;
  };
  std::uint64_t moments_forgotten = 0;
  for (const alerts::LimitState& limit : s.limits) moments_forgotten += limit.forgotten_count();
  bound("engine/reorder_buffer", s.order.pushed_count());
  bound("engine/text_patterns", s.given_up_before + s.text_matcher.given_up());
  bound("engine/facts", s.facts.refused_count());
  bound("engine/open_alerts", s.book.span_refused_count());
  bound("engine/limit_moments", moments_forgotten);
  return s.counters;
}

std::vector<PartitionPosition> Engine::positions() const {
  std::vector<PartitionPosition> positions;
  const std::vector<Order::Partition>& partitions = state_->order.partitions();
  for (std::uint32_t i = 0; i < partitions.size(); ++i) {
    positions.push_back({i, partitions[i].sequence, partitions[i].largest, partitions[i].seen && !partitions[i].idle});
  }
  return positions;
}

const std::shared_ptr<const Ruleset>& Engine::ruleset() const { return state_->ruleset; }

std::vector<std::string> Engine::warming() const {
  const State& s = *state_;
  std::vector<std::string> texts;
  for (const AggregatePlan& aggregate : s.ruleset->aggregates) {
    const ColumnPlan& column = s.ruleset->columns[aggregate.column];
    const Timestamp begins = s.begins_of(column.layout.fingerprint);
    if (begins == Timestamp::min()) continue;
    const Timestamp until = column.layout.windows[aggregate.window].known_from(begins);
    if (until > s.order.watermark()) texts.push_back(aggregate.text + ": until " + to_text(until));
  }
  // A first `no` that reaches back before the data begins is unknown in the same way (MatchHost::accept).
  for (const PatternPlan& pattern : s.ruleset->patterns) {
    const Timestamp begins = s.begins_of(pattern.program.fingerprint);
    if (pattern.program.first_no_mask == 0 || begins == Timestamp::min()) continue;
    const Timestamp until = begins + Duration{pattern.program.first_no_wait};
    if (until <= s.order.watermark()) continue;
    texts.push_back("first `no` of " + s.ruleset->rules[pattern.rule].info.name + ": until " + to_text(until));
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

std::size_t Engine::key_count() const {
  std::size_t count = 0;
  for (const auto& shards : state_->tables) {
    for (const auto& table : shards) count += table.size();
  }
  return count;
}

const std::vector<TakenUp>& Engine::taken_up() const { return state_->taken_up; }

std::size_t Engine::waiting_count() const { return state_->order.waiting_count(); }

}  // namespace tocsin::engine
