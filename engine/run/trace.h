// Why a rule did what it did with an event: an account, taken down while the engine decides. A Tracer is handed to an engine
// (Engine::trace) and is told what it asked about: the clauses of one rule, evaluated node by node by the code that evaluates them
// anyway (EvaluationSink), the matches, and of what is no match the nearest miss (nfa/near_miss.h), asked of the search that decides.
// Nothing here decides anything, and an engine without a tracer pays one test of a pointer per batch.
//
// For sequences it keeps the events of the keys it was told (else of all keys), also those the matcher has long forgotten: what is
// too old is just what is to be told. The ruleset must be built for explaining, and a step of the engine must hold one item, so
// that state is as of the event. All texts are ready-made. Owned by the caller, who keeps it as long as the engine has it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "alerts/alert.h"
#include "alerts/decision.h"
#include "engine/run/engine.h"
#include "nfa/near_miss.h"

namespace tocsin::engine {

/// Of one key; beyond it the older half is forgotten, and the account says so.
inline constexpr std::size_t trace_events_max = std::size_t{1} << 16U;

/// Rule text as written, without line breaks and comments.
std::string on_one_line(std::string_view written);

enum class Truth : std::uint8_t { none, yes, no, unknown };

struct TracedWindow {
  std::string definition;  // the aggregate, as written
  std::string key;         // "user u1, device d9"
  std::uint64_t entries = 0;
  Timestamp first, last;                   // of the entries
  std::optional<Timestamp> warming_until;  // it looks back further than the data
};

/// One node of an expression.
struct TracedNode {
  enum class Join : std::uint8_t { none, all, any };  // conditions tied by `and`, `or`
  Join join = Join::none;
  std::string text;   // as written, on one line
  std::string shown;  // exact; "missing", "unknown"
  std::string json;
  Truth truth = Truth::none;  // of conditions
  std::string reason;         // of what is missing or unknown, where it comes from this node
  std::optional<TracedWindow> window;
  std::vector<TracedNode> children;  // without literals
};

struct TracedClause {
  enum class Kind : std::uint8_t { stream, where, let, when, except, decide, score };
  Kind kind = Kind::when;
  std::string name;  // let, except
  TracedNode node;
  bool over = false;  // except: its `until` has passed
};

struct TracedEvent {
  std::string type, id;
  Timestamp time;
  bool late = false;
};

/// The event asked about, as one of the tests of a sequence (PatternPlan::tests).
struct TracedTest {
  std::uint32_t test = 0;
  bool of_stream = false;
  bool fits = false;                  // of the stream, and its own `where` is true
  std::vector<TracedClause> clauses;  // of the stream: where; else: stream
};

struct TracedFailure {
  nfa::Failure what;
  std::vector<TracedEvent> events;    // those of `what`
  std::vector<TracedClause> clauses;  // condition, where: the tree; accept: lets and when
  bool history = false;               // accept: a first `no` looks back before the data begins
};

using TracedPlaces = std::vector<std::vector<std::vector<TracedEvent>>>;  // by step and part

struct TracedMiss {
  std::uint32_t step = 0;  // as in nfa::NearMiss
  std::uint32_t reached = 0;
  TracedPlaces places;
  std::vector<TracedFailure> failures;
  bool cut = false;
  std::vector<Timestamp> used_up_at;  // moments of the matches that used up, newest last; with Clause::used_up
};

struct TracedKey {
  std::string key;  // "user u1"
  std::vector<TracedTest> tests;
  std::optional<TracedMiss> miss;        // there was no match
  std::optional<Timestamp> waits_until;  // a final `no`: not decided yet
  bool forgot = false;                   // more events than trace_events_max
};

struct TracedHit {
  std::string id;
  Timestamp at;
  bool by_deadline = false;
  bool truncated = false;
  bool shadow = false;
  std::string key;                    // sequences
  TracedPlaces places;                // sequences
  std::vector<TracedClause> clauses;  // sequences: lets, when, excepts, decide, score as of the match
  bool silenced = false;              // no hit: an exception, or the rule's switch is off; then nothing of what follows
  std::string silenced_by;            // name of the exception
  std::string because;
  std::optional<event::Action> action;
  std::optional<Decimal> score;
  alerts::AlertOutcome::Kind alert = alerts::AlertOutcome::Kind::none;
  std::string alert_id;  // made: its own; folded: of the alert it was folded into
};

struct TracedDecision {
  struct Line {
    std::string text;  // "block when score >= 90"
    Truth truth = Truth::none;
    bool won = false;
    std::optional<TracedNode> node;  // not of `otherwise`
  };
  struct Voice {
    std::string rule;
    std::optional<event::Action> action;
    std::optional<Decimal> score;
    bool takes_part = true;  // not of shadow rules
  };
  std::string policy;
  bool is_default = false;
  Decimal score;
  event::Action action = event::Action::allow;
  std::optional<event::Action> limited;
  std::vector<Line> lines;
  std::vector<Voice> voices;  // hits of the event
  std::string reason;
};

/// One event and one rule.
struct Account {
  TracedEvent event;
  bool concerned = false;                // the rule looks at events of this type
  std::vector<std::string> missing_key;  // sequences: fields of the key that the event lacks
  std::vector<TracedClause> clauses;     // rules on an event
  bool fires = false;                    // rules on an event: stream and `when` are true
  std::vector<TracedKey> keys;           // sequences: each key under which the event belongs to the rule
  std::vector<TracedHit> hits;
  std::optional<TracedDecision> decision;
};

struct BatchEvent;
struct PlacedHit;
class MatchHost;

class Tracer {
 public:
  struct Wanted {
    std::uint32_t rule = 0;
    std::optional<std::string> event_id;           // nothing: every event
    std::optional<event::EventTypeId> event_type;  // with event_id
    std::optional<std::set<std::string>> keys;     // of sequences, as bytes; nothing: all
    bool misses = true;                            // false: only to learn of keys and hits
    std::uint64_t from_release = 0;                // events judged before this one are history only
  };
  explicit Tracer(Wanted wanted);
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  std::vector<Account> accounts;  // of the events asked about, in order
  std::set<std::string> keys;     // under which they belong to the rule's sequence
  std::uint64_t duplicates = 0;   // events with that id that were dropped as duplicates

  /// A final `no` of an account is not decided yet.
  [[nodiscard]] bool waits() const;

  // Told by the engine. Contexts, hits and hosts are borrowed for the call.
  void dropped(Engine::State& engine, const event::Event& e);
  void released(Engine::State& engine, BatchEvent& e);
  /// The patterns have seen the batch: what of it asked about made no match.
  void diagnose(Engine::State& engine);
  void matched(Engine::State& engine, const PatternPlan& pattern, const nfa::Match& match, std::string_view key_bytes,
               Context& context, state::Moment moment, const PlacedHit& placed, bool silenced);
  void hit(Engine::State& engine, const PlacedHit& placed, Context& context, state::Moment moment, bool silenced);
  void alerted(const alerts::Hit& hit, const alerts::AlertOutcome& outcome);
  void decided(Engine::State& engine, const BatchEvent& e, const PolicyUse& use, Context& context,
               const alerts::Decision& decision, std::span<const alerts::Hit* const> hits);
  /// The batch is done: what waited for a deadline that has passed is settled.
  void settle(Engine::State& engine);

 private:
  struct KeyTrace;
  /// An event asked about, under one key.
  struct Open {
    std::uint64_t release = 0;
    std::string key;       // bytes
    std::size_t page = 0;  // in Account::keys
    nfa::Place floor;
    Timestamp deadline;
  };

  [[nodiscard]] bool asked_about(const Engine::State& engine, const event::Event& e) const;
  Account* account_of(std::uint64_t release);
  void see(Engine::State& engine, BatchEvent& e, const PatternPlan& pattern, Account* account);
  void see_under(Engine::State& engine, BatchEvent& e, const PatternPlan& pattern, std::string_view bytes,
                 const nfa::PredicateBits& bits, Account* account);
  void diagnose(Engine::State& engine, const PatternPlan& pattern, const Open& open, KeyTrace& trace, TracedKey& out);

  Wanted wanted_;
  std::map<std::string, std::unique_ptr<KeyTrace>, std::less<>> traces_;  // by bytes of the key
  std::map<std::uint64_t, std::size_t> account_by_release_;
  std::vector<Open> open_;     // of the batch
  std::vector<Open> waiting_;  // for their deadline
};

}  // namespace tocsin::engine
