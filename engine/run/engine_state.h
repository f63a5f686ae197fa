// What lives of an engine; private to engine/run. The files that work on it: engine.cpp (the way of a batch), evidence.cpp
// (a match or a true rule to a hit), persist.cpp (checkpoint, restore, change of rules).
#pragma once

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_map>

#include "alerts/suppress.h"
#include "base/arena.h"
#include "engine/run/engine.h"
#include "engine/run/order.h"
#include "event/action.h"
#include "nfa/step.h"
#include "state/event_log.h"
#include "state/history.h"
#include "state/ids_seen.h"
#include "state/key_table.h"

namespace tocsin::engine {

/// What lives of one program under one key.
struct LiveRuns {
  std::uint32_t slot = 0;  // Ruleset::program_of()
  nfa::Runs runs;
};

/// All that is remembered under one key of one keyspace: its slab, alive.
struct KeyState {
  static constexpr std::int64_t no_timer = INT64_MAX;
  /// More begun programs than this are looked through after each event, and those of which nothing lives are forgotten:
  /// an event must not pay for what its key began long ago.
  static constexpr std::size_t runs_kept_ready = 8;

  /// In its place by slot, made if it is not there. Valid until the next one is made.
  nfa::Runs& runs_of(std::uint32_t slot) {
    auto at = std::lower_bound(runs.begin(), runs.end(), slot,
                               [](const LiveRuns& live, std::uint32_t wanted) { return live.slot < wanted; });
    if (at == runs.end() || at->slot != slot) at = runs.insert(at, {slot, {}});
    return at->runs;
  }
  /// nullptr: nothing lives in that slot.
  [[nodiscard]] nfa::Runs* live_runs(std::uint32_t slot) {
    const auto at = std::lower_bound(runs.begin(), runs.end(), slot,
                                     [](const LiveRuns& live, std::uint32_t wanted) { return live.slot < wanted; });
    return at == runs.end() || at->slot != slot || at->runs.body == nullptr ? nullptr : &at->runs;
  }
  void forget_ended_runs() {
    std::erase_if(runs, [](const LiveRuns& live) { return live.runs.empty(); });
  }

  std::vector<state::Column> columns;  // by slot; empty until the first entry
  std::vector<LiveRuns> runs;          // of the programs that have begun something, by slot
  state::EventLog log;
  Timestamp last_seen = Timestamp::min();
  std::int64_t timer = no_timer;  // the earliest deadline of the runs or before it, µs: there is an entry in the timers
  std::uint32_t changed_in = 0;   // between which captures (State::interval), not written since; 0: nothing to write
  bool stored = false;            // the store has a record of it
};

/// A key of one event, computed when first needed.
struct KeyAt {
  std::string_view bytes;
  std::uint64_t hash = 0;
  KeyState* state = nullptr;
  bool computed = false;
  bool valid = false;  // no part is missing
};

/// One released event of the batch.
struct BatchEvent {
  event::Event event;
  std::uint64_t release = 0;  // number in the order of judging, engine-wide
  Timestamp watermark;        // when it was released
  std::span<event::Value> row;
  std::span<KeyAt> keys;  // by TypePlan::key_uses
  nfa::PredicateBits* bits = nullptr;
  bool cut = false;  // a bound was reached while its patterns were looked for
};

/// What a hit puts.
struct PlacedEffect {
  const EffectPlan* plan = nullptr;
  event::Value value;
};

/// A hit and its place in the order (T3).
struct PlacedHit {
  alerts::Hit hit;
  bool by_time = false;
  std::uint64_t release = 0;  // of the completing event; at a deadline of the last event
  std::uint32_t rule = 0;
  std::uint32_t sequence = 0;  // among the matches of one event and rule
  std::vector<PlacedEffect> effects;
  std::optional<event::Event> as_event;  // when somebody takes the hits of the rule as events
};

struct Timer {
  std::int64_t deadline_us = 0;
  std::uint32_t keyspace = 0;
  std::uint64_t hash = 0;
  std::string key;
  bool operator>(const Timer& other) const {
    return std::tie(deadline_us, keyspace, key) > std::tie(other.deadline_us, other.keyspace, other.key);
  }
};

/// The moment as of which an event sees effects: a late one is judged when it arrives.
inline Timestamp sees_as_of(const BatchEvent& e) { return e.event.late ? e.watermark : e.event.time; }

/// When the watermark moved within the batch.
struct WatermarkMove {
  Timestamp watermark;
  std::size_t released_before = 0;  // events of the batch released before the move
};

/// What is kept of the events for later rules.
struct History {
  std::vector<Duration> keep;  // by event type; zero: it is not kept
  bool on = false;             // some type is
  state::HistoryTail tail;
  state::HistoryCoverage coverage;
  std::map<std::uint64_t, Timestamp> oldest;  // how far the first block in the store reaches, by type, where known
  std::vector<std::pair<std::string, std::string>>
      forgotten;  // ranges of records nobody will ask about: since the last capture,
  std::vector<std::pair<std::string, std::string>> erasable;  // and before it
};

class MatchHost;

/// What an unknown result is counted under, as one number: this is on the path of every event that lacks an optional field.
struct UnknownPlace {
  enum class By : std::uint8_t { predicate, predicate_of_late, rule };
  static constexpr std::uint64_t no_field = 0xffffU;
  By by = By::predicate;
  std::uint32_t asked = 0;         // predicate or rule
  std::optional<FieldOf> missing;  // nothing: no field of an event

  [[nodiscard]] std::uint64_t packed() const {
    return static_cast<std::uint64_t>(by) << 62U | static_cast<std::uint64_t>(asked) << 32U |
           (missing ? static_cast<std::uint64_t>(missing->event) << 16U | missing->field : no_field << 16U | no_field);
  }
  static UnknownPlace unpacked(std::uint64_t bits) {
    UnknownPlace place{static_cast<By>(bits >> 62U), static_cast<std::uint32_t>(bits >> 32U & 0x3fffffffU), {}};
    if ((bits & no_field) != no_field) {
      place.missing = FieldOf{static_cast<event::EventTypeId>(bits >> 16U & 0xffffU),
                              static_cast<event::FieldIndex>(bits & 0xffffU)};
    }
    return place;
  }
};

struct Engine::State final : UnknownSink {
  State(std::shared_ptr<const Ruleset> rules, EngineOptions engine_options);

  std::shared_ptr<const Ruleset> ruleset;
  EngineOptions options;
  Order order;
  state::IdsSeen ids;
  alerts::AlertBook book;
  std::vector<alerts::LimitState> limits;  // by policy
  std::vector<ListState> lists;            // by list
  TextMatcher text_matcher;
  std::uint64_t given_up_before = 0;  // by the matchers of earlier rules
  std::vector<TableState> look_ups;   // by table of the rule language
  Facts facts;
  std::vector<std::vector<state::KeyTable<KeyState>>> tables;  // by keyspace, by shard
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers;
  std::optional<Timestamp> begins;                // of the data, once known
  std::map<std::uint64_t, Timestamp> own_begins;  // of columns and programs younger than the data, by fingerprint
  std::uint64_t released = 0;
  std::uint64_t swept_at = 0;  // `released` at the last sweep
  Counters counters;
  std::array<std::uint64_t, event::action_count> decisions_by_action{};
  /// Unknown results by what asked and the missing field, until somebody reads the counters (UnknownPlace).
  std::unordered_map<std::uint64_t, std::uint64_t> unknown_counts;
  std::uint64_t dropped_sections = 0;
  std::vector<TakenUp> taken_up;
  Tracer* tracer = nullptr;
  History history;
  bool counts_unknown = true;
  std::vector<std::string> orphans;  // records of the store that belong to nobody since a reload

  // The batch.
  Arena arena;
  std::vector<BatchEvent> batch;
  std::span<BatchEvent>
      judged;  // what is being judged together: the batch, or as much of it as cannot see each other's effects
  std::size_t hits_above = 0;              // the depth at which hits are being judged as events: hits on hits on …
  std::vector<std::uint64_t> put_in_part;  // effects_put of the types of the part at hand
  std::vector<std::unique_ptr<nfa::PredicateBits>> bits_pool;
  std::vector<WatermarkMove> moves;
  std::vector<PlacedHit> hits;
  std::vector<std::uint64_t> scratch;
  std::vector<nfa::Match> matches;
  std::vector<nfa::Value> values_compared;                    // of the event at hand, for one pattern
  std::vector<const Route*> same_key;                         // routes of one event that lead to one key
  std::vector<std::uint64_t> stepped;                         // by pattern: the last round in which it was stepped
  std::uint64_t round = 0;                                    // an event at a key
  std::vector<std::pair<const Route*, std::uint32_t>> woken;  // entries of routes to be stepped in this round
  std::vector<std::uint32_t> woken_prefixes;                  // likewise
  /// A judged event whose predicates matter to the patterns of a route.
  struct Lead {
    std::uint32_t event = 0;
    std::uint32_t route = 0;
    bool may_begin = false;
  };
  std::vector<Lead> leads;  // in order; those of one event side by side
  std::string key_scratch;
  std::string packed_scratch;  // of packed_event
  std::optional<std::uint64_t> packed_event;
  std::vector<std::uint64_t> needed_scratch;
  std::vector<Digest> ids_ahead;                                // of the events of a step, by item
  std::vector<std::pair<std::uint32_t, KeyState*>> dirty_keys;  // by keyspace, since the last capture

  // A capture on its way. Its keys are those of dirty_keys at its moment whose `changed_in` is not the interval of now; each is
  // written in its turn, or before it is looked up. No key is erased while it lasts but in its turn.
  struct Capture {
    Timestamp watermark;  // of its moment: what may be forgotten is judged by it
    std::vector<std::pair<std::uint32_t, KeyState*>> keys;
    std::size_t next_key = 0;
    std::vector<state::IdsSeen::Seen> ids;
    std::size_t next_id = 0;
    state::WriteSet writes;
  };
  std::optional<Capture> capture;
  std::uint32_t interval = 1;

  bool tables_changed = false;                    // rows were added that look-ups do not see yet
  bool tables_captured = true;                    // the store has all rows added at run time
  std::shared_ptr<const Ruleset> rules_captured;  // whose texts the store has

  // engine.cpp
  void change_table(const Item& item);
  /// `id`: of the event, when there is a dedupe.
  void arrive(const event::Event& event, Digest id);
  [[nodiscard]] Digest id_of(const event::Event& event);
  void release_waiting();
  void add_to_batch(const event::Event& event);
  /// `place`: which bits it uses.
  BatchEvent begin_event(const event::Event& event, std::size_t place);
  void flush(Outbox& out);
  /// Judges the events together and puts out what came of it.
  void judge(std::span<BatchEvent> events, Outbox& out);
  /// The end of the longest run of events from `begin` on in which none may see what another one does.
  [[nodiscard]] std::size_t part_end(std::size_t begin);
  /// Fires the deadlines before `before`, in order, those of one moment together, and puts out what came of it.
  void fire_deadlines_in_order(Timestamp before, Outbox& out);
  [[nodiscard]] bool has_deadline_before(Timestamp before);
  [[nodiscard]] Context context_at(Timestamp now) {
    Context context;
    context.lists = lists;
    context.tables = look_ups;
    context.texts = &text_matcher;
    context.arena = &arena;
    context.facts = &facts;
    context.now = now;
    return context;
  }
  /// Derived fields, predicates and windows of what is being judged.
  void run_strata();
  void run_stratum(std::uint32_t level);
  void run_features(std::uint32_t level);
  void fetch_columns(std::size_t begin, std::size_t end, std::uint32_t level, std::uint32_t shard);
  void run_patterns();
  void fetch_woken(std::span<const Lead> some, std::uint32_t shard);
  /// Steps the key's patterns over the event, once, whatever the number of roles under which it belongs to this key (P5).
  void run_key(std::uint32_t keyspace, KeyState& key, std::string_view bytes, BatchEvent& e,
               std::span<const Route* const> routes);
  /// Which patterns and prefixes the event concerns: those that live here and look at it, those that may begin with it, and of those
  /// that rest the ones whose own business it may be.
  void wake(std::uint32_t keyspace, const KeyState& key, const BatchEvent& e, std::span<const Route* const> routes);
  /// True when the key's log must keep the event.
  bool step_pattern(std::uint32_t index, KeyState& key, std::string_view bytes, BatchEvent& e,
                    const nfa::PredicateBits& bits);
  bool step_prefix(std::uint32_t index, KeyState& key, std::string_view bytes, BatchEvent& e);
  /// After it was stepped or its deadline fired: a pattern that has nothing begun but what it has in common with others rests.
  void let_rest(const PatternPlan& pattern, KeyState& key);
  /// Sets values_compared. True when the event lacks a field that it should have; who asks for it has an unknown result.
  bool compare_values(const PatternPlan& pattern, const BatchEvent& e);
  void count_unknown_values(const PatternPlan& pattern, const BatchEvent& e, const nfa::PredicateBits& bits,
                            bool begun);
  /// What of the event's predicates counts for the entry's pattern.
  static void add_bits_of_role(const Route::Entry& entry, const nfa::PredicateBits& bits, nfa::PredicateBits& out);
  void count_reached(std::uint32_t rule, const MatchHost& host);
  [[nodiscard]] static bool any_of(const BatchEvent& e, std::span<const std::uint64_t> predicates) {
    const std::span<const std::uint64_t> bits = e.bits->words();
    const std::size_t words = std::min(bits.size(), predicates.size());
    std::size_t w = 0;
    // A thousand rules are some dozen words: four at a time.
    for (; w + 4 <= words; w += 4) {
      const std::uint64_t any = (bits[w] & predicates[w]) | (bits[w + 1] & predicates[w + 1]) |
                                (bits[w + 2] & predicates[w + 2]) | (bits[w + 3] & predicates[w + 3]);
      if (any != 0) return true;
    }
    for (; w < words; ++w) {
      if ((bits[w] & predicates[w]) != 0) return true;
    }
    return false;
  }
  void fire_deadlines(std::uint32_t keyspace, KeyState& key, std::string_view bytes, Timestamp before);
  /// Fires what is due of the key whose timer comes next, and sets its next one.
  void take_timer(Timestamp before);
  void fire_due_timers();
  void run_on_rules();
  void emit(Outbox& out);
  void put_effects(const PlacedHit& hit);
  void resolve_alerts(const BatchEvent& e, const ResolveUse& use, Outbox& out);
  void put_alert_changes(Outbox& out);
  void decide(BatchEvent& e, std::span<const alerts::Hit* const> event_hits, Outbox& out);
  KeyAt& key_of(BatchEvent& e, std::uint32_t use);
  KeyState* state_of(BatchEvent& e, std::uint32_t use, bool create);
  state::KeyTable<KeyState>& table_of(std::uint32_t keyspace, std::uint64_t hash) {
    return tables[keyspace][shard_of(hash)];
  }
  [[nodiscard]] std::uint32_t shard_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>((hash >> 40U) % options.shards);
  }
  void touch(std::uint32_t keyspace, KeyState& key);
  /// To be called when a key was looked up, before anything is done with it.
  KeyState* looked_up(std::uint32_t keyspace, KeyState* key) {
    if (key != nullptr && key->changed_in != 0 && key->changed_in != interval) capture_key(keyspace, *key, false);
    return key;
  }
  void begin_capture();
  /// `may_erase`: a key of which nothing is left may go.
  void capture_key(std::uint32_t keyspace, KeyState& key, bool may_erase);
  void schedule(std::uint32_t keyspace, KeyState& key, std::string_view bytes, std::uint64_t hash);
  /// Lets go of what the programs of a key no longer refer to.
  void tidy_key(KeyState& key);
  /// As the log of a key keeps it. Valid until another event is packed.
  std::string_view packed(const BatchEvent& e);
  void sweep();
  [[nodiscard]] Timestamp begins_of(std::uint64_t fingerprint) const;
  event::Value read_as_of(std::uint32_t aggregate, std::span<const event::Value> key, state::Column::Question question);
  [[nodiscard]] state::Moment moment_of_deadline(Timestamp deadline) const;
  void unknown(nfa::PredicateId predicate, CodeId code, const Context& context) override;
  /// Gives the unknown results their names; to be called before other rules give their numbers another meaning.
  void settle_unknown();
  /// Of a condition that only this rule asks.
  void unknown_of_rule(std::uint32_t rule, std::optional<FieldOf> missing) {
    ++unknown_counts[UnknownPlace{UnknownPlace::By::rule, rule, missing}.packed()];
  }

  // evidence.cpp
  void hit_of_event(BatchEvent& e, const OnRule& rule);
  void hit_of_match(const PatternPlan& pattern, const nfa::Match& match, std::uint32_t sequence, MatchHost& host);
  /// The value with its text in the memory of the batch: keys and events that it points into may go first.
  [[nodiscard]] event::Value kept(const event::Value& value) {
    return value.kind == event::Kind::text ? event::Value::of_text(arena.copy(value.text())) : value;
  }
  bool finish_hit(PlacedHit& placed, const RulePlan& rule, const RuleVariant& variant, Context& context);

  // persist.cpp
  void make_tables();
  /// Drops what no window or program of the key can use any more; true when nothing is left.
  bool expire_key(std::uint32_t keyspace, KeyState& key, Timestamp watermark);
  void forget_records(std::uint32_t keyspace, const KeyState& key, std::vector<std::string>& records) const;
  void adopt(std::shared_ptr<const Ruleset> next, Fill* fill);
  /// The windows that the active rules have from the history.
  void take_over(Fill& fill);
  struct Source;
  /// Of each program: where its begun matches come from when `old` was active before.
  std::vector<Source> sources(const Ruleset& old);
  /// Of a key: what patterns of the old rules have in common, and what those of them had begun that rested.
  void take_over_prefixes(const Ruleset& old, std::uint32_t old_keyspace, std::span<LiveRuns> runs,
                          const std::vector<std::vector<std::uint32_t>>& takers, const std::vector<Source>& sources_of,
                          KeyState& key);
  std::string encode_key(std::uint32_t keyspace, const KeyState& key) const;
  Status decode_key_state(std::uint32_t keyspace, KeyState& key, std::string_view bytes);

  // history.cpp
  /// What of the active rules' events is kept; of what was not kept before, `since`.
  void bind_history(Timestamp since);
  Status restore_history(state::Store& store);
  void remember_judged();
  void capture_history(state::WriteSet& writes);
  /// From here on everything that is judged is in the history, if it is kept.
  [[nodiscard]] Timestamp history_begins_now() const {
    return released == 0 ? Timestamp::min() : order.watermark() + Duration{1};
  }
  /// Since when the entries of a column are known, when its windows were `before` under the rules until now and are `after` from now
  /// on: longer windows begin to fill only now. Timestamp::min(): as long as the data.
  [[nodiscard]] Timestamp begins_after(const state::ColumnLayout* before, const state::ColumnLayout& after) const;
};

/// Answers late reads and guards of one key, as of one moment.
class MatchHost : public nfa::Host, public AggregateReader {
 public:
  /// `bytes` are the key's; they are taken apart only when somebody asks.
  MatchHost(Engine::State& engine, const PatternPlan& pattern, KeyState& key, std::string_view bytes)
      : engine_(engine), pattern_(pattern), key_(key), bytes_(bytes) {
    runs_bytes = engine.options.program_bytes_max;
  }
  std::span<const event::Value> key_values();
  [[nodiscard]] std::string_view key_bytes() const { return bytes_; }

  /// The event being stepped, not in the log yet.
  void set_current(const BatchEvent* e, std::uint64_t position) {
    current_ = e;
    current_position_ = position;
  }
  /// All events of a match by place, unpacked once.
  virtual const event::Event* event_at(std::uint64_t position);
  /// By place id.
  std::vector<std::vector<const event::Event*>> places_of(const nfa::Places& places);
  [[nodiscard]] state::Moment moment_of(const nfa::Match& match) const;

  bool guard(nfa::GuardId guard, const nfa::Binding& binding) override;
  bool accept(const nfa::Match& match) override;
  /// Whether what was compared by digests holds of the events themselves.
  virtual bool confirms(const nfa::Match& match);
  std::size_t event_bytes(std::uint64_t position) override;
  event::Value read(std::uint32_t aggregate, std::span<const event::Value> key, const event::Value* probe) override;
  /// A condition across events, or a `when`, that came out unknown: once for each event at which it was asked and each field,
  /// however many combinations were tried.
  struct Unknown {
    std::uint64_t asked_at = 0;
    std::optional<FieldOf> missing;
    bool operator==(const Unknown&) const = default;
  };
  [[nodiscard]] std::span<const Unknown> unknown() const { return unknown_; }
  /// At a deadline no event is judged, so windows without "the event itself" hold everything up to the moment too.
  void set_moment(state::Moment moment, bool deadline) {
    moment_ = moment;
    at_deadline_ = deadline;
  }

 private:
  void count_unknown(std::uint64_t asked_at, CodeId condition, const Context& context);

  Engine::State& engine_;
  const PatternPlan& pattern_;
  KeyState& key_;
  std::string_view bytes_;
  std::vector<event::Value> key_values_;
  const BatchEvent* current_ = nullptr;
  std::uint64_t current_position_ = 0;
  state::Moment moment_;
  bool at_deadline_ = false;
  std::unordered_map<std::uint64_t, event::Event> unpacked_;
  std::vector<Unknown> unknown_;
};

}  // namespace tocsin::engine
