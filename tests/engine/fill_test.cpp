// Windows filled from the history say what an engine says that had the rules from the beginning: random streams, late events
// among them, any moment of the change, reading in several goes, and a kill before it. And what cannot be filled warms and says why.
#include "engine/run/fill.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "engine/run/intake.h"
#include "replay/json.h"
#include "state/memory_store.h"
#include "state/records.h"
#include "tests/engine/rules_of.h"

namespace tocsin::tests {
namespace {

const std::string events_text = R"(
entity user, device
event a { key id : string  time at : time  user : user  dev : device optional  v : decimal optional  s : string optional }
event b { key id : string  time at : time  user : user  dev : device optional  v : decimal optional  s : string optional }
event x { key id : string  time at : time  user : user }
list @odd : set<string> = ["k", "q"]
)";

const std::string old_rules = events_text + R"(
feature short_ago = count from a per user in last 10s
feature spread = sum(v) from a per device in last 40s
rule told on b { severity info  when short_ago >= 0  show short_ago, spread }
rule row per user { severity info  sequence within 1m { a as p then b as q } }
)";

// Windows that are new, longer than they were, of other windows, of derived fields, of lists; every reach and some of each function.
const std::string new_rules = events_text + R"(
field twice on a = v * 2
field burst on a = count from a per user in last 20s
stream big = a where v > 2
stream crowded = a where count from a per device in last 30s >= 2
stream repeated = crowded where burst >= 2 and s in @odd
feature short_ago = count from a per user in last 90s
feature spread = sum(v) from a per device in last 40s
feature devices = distinct(dev) from big per user in 50s before
feature top = max(twice) from a per user in 30s ending 20s before
feature rows = count from repeated per user in last 70s
feature since_x = count from a per user since last x
feature this_hour = sum(v) from a per user in calendar hour "Asia/Kolkata"
feature half = median(v) from a per user in last 1m
feature rough = distinct(s) from a per device in last 1m approximate 5%
rule told on b { severity info  when short_ago >= 0 or true
  let seen = s in set(s) from a per user in last 1m
  let other = count from b per abs(v) in last 45s
  show short_ago, spread, devices, top, rows, since_x, this_hour, half, rough }
rule row per user { severity info  sequence within 1m { a as p then b as q } }
)";

struct Sent {
  std::string line;
  std::uint32_t partition = 0;
};

std::vector<Sent> random_stream(std::uint32_t partitions) {
  const int count = *rc::gen::inRange(2, 80);
  std::vector<Sent> events;
  std::int64_t now = 0;
  for (int i = 0; i < count; ++i) {
    now += *rc::gen::element<std::int64_t>(0, 0, 1, 5, 10, 20);
    const std::int64_t back = *rc::gen::weightedElement<std::int64_t>({{12, 0}, {2, 3}, {1, 15}, {1, 40}});
    const Timestamp at =
        *parse_timestamp("2026-01-05T10:25:00Z") + Duration::seconds(std::max<std::int64_t>(0, now - back));
    const char type = *rc::gen::weightedElement<char>({{6, 'a'}, {4, 'b'}, {1, 'x'}});
    std::string line = R"({"type":")";
    line += type;
    line += R"(","id":"e)" + std::to_string(*rc::gen::weightedElement<int>({{20, i}, {1, i / 2}})) + R"(","at":")" +
            to_text(at) + R"(","user":"u)" + std::to_string(*rc::gen::inRange(0, 2)) + "\"";
    if (type != 'x') {
      if (*rc::gen::inRange(0, 4) > 0) line += R"(,"dev":"d)" + std::to_string(*rc::gen::inRange(0, 2)) + "\"";
      if (*rc::gen::inRange(0, 4) > 0) line += R"(,"v":)" + std::to_string(*rc::gen::inRange(0, 6));
      if (*rc::gen::inRange(0, 3) > 0) line += std::string(R"(,"s":")") + *rc::gen::element('k', 'z', 'q') + "\"";
    }
    events.push_back({line + "}", *rc::gen::inRange<std::uint32_t>(0, partitions)});
  }
  return events;
}

/// An engine as a task drives it: everything through the intake, checkpoints into a store.
class Live {
 public:
  Live(std::shared_ptr<const engine::Ruleset> rules, engine::EngineOptions options, std::size_t batch = 1)
      : options_(std::move(options)), batch_(batch) {
    begin(std::move(rules));
  }
  void send(const Sent& sent) {
    std::string& line = lines_.emplace_back(sent.line);
    const std::size_t size = line.size();
    line.append(event::padding_bytes, '\0');
    event::RawRecord record;
    record.bytes = std::string_view(line).substr(0, size);
    record.position = {sent.partition, ++sequence_};
    engine::Outbox letters;
    intake_->take(record, letters);
    if (intake_->pending_count() >= batch_) flush();
  }
  void end(std::uint32_t partitions) {
    for (std::uint32_t p = 0; p < partitions; ++p) intake_->idle(p);
    flush();
    intake_->tick(*parse_timestamp("2026-01-05T12:00:00Z"));
    flush();
  }
  void flush() {
    engine::Outbox out;
    intake_->flush(*engine_, out);
    lines_.clear();
    take(out);
  }
  void checkpoint() {
    flush();
    state::WriteSet writes;
    engine_->capture(writes);
    REQUIRE(store.commit(writes).ok());
  }
  /// As kill -9 right behind a checkpoint.
  void restart() {
    begin(engine_->ruleset());
    REQUIRE(engine_->restore(store).ok());
  }
  void activate(const std::shared_ptr<const engine::Ruleset>& rules, std::shared_ptr<engine::Fill> fill) {
    flush();
    REQUIRE(intake_->adopt(rules->schema).ok());
    engine::Item item;
    item.kind = engine::ItemKind::activation;
    item.ruleset = rules;
    if (fill) {
      engine::DataChange change;
      change.fill = std::move(fill);
      item.change = std::make_shared<const engine::DataChange>(std::move(change));
    }
    engine::Outbox out;
    engine_->step({&item, 1}, out);
    take(out);
  }
  [[nodiscard]] engine::Engine& engine() { return *engine_; }

  state::MemoryStore store;
  std::vector<std::string> hits;

 private:
  void begin(std::shared_ptr<const engine::Ruleset> rules) {
    intake_.emplace(engine::Intake::make(rules->schema, {event::SourceFormat{}}).take());
    engine_ = std::make_unique<engine::Engine>(std::move(rules), options_);
  }
  void take(const engine::Outbox& out) {
    for (const engine::OutRecord& r : out.records) {
      if (r.stream == engine::OutStream::hits) hits.push_back(r.bytes);
    }
  }

  engine::EngineOptions options_;
  std::size_t batch_;
  std::optional<engine::Intake> intake_;
  std::unique_ptr<engine::Engine> engine_;
  std::deque<std::string> lines_;
  std::uint64_t sequence_ = 0;
};

const auto to_the_end = [] { return true; };

std::shared_ptr<engine::Fill> filled(Live& live, const std::shared_ptr<const engine::Ruleset>& rules) {
  std::shared_ptr<engine::Fill> fill = live.engine().plan_fill(rules);
  fill->open(live.store);
  REQUIRE(fill->read(to_the_end).ok());
  return fill;
}

engine::EngineOptions options_of(std::uint32_t partitions, Duration lateness, engine::DataBegins::Kind begins) {
  engine::EngineOptions options;
  options.data_begins.kind = begins;
  options.partitions = partitions;
  options.lateness.assign(partitions, lateness);
  options.history.all = Duration::days(30);
  return options;
}

const engine::DataBegins::Kind complete = engine::DataBegins::Kind::complete;

/// Hits of `told`, by the event.
std::map<std::string, std::string> told(const std::vector<std::string>& hits) {
  std::map<std::string, std::string> by_event;
  for (const std::string& line : hits) {
    const auto hit = replay::parse_json(line);
    if ((*hit)["rule"].text == "told") by_event[(*hit)["events"].items.front()["id"].text] = line;
  }
  return by_event;
}

}  // namespace

TEST_CASE("a filled window says what it would say if the rules had been there from the beginning") {
  const auto before = rules_of(old_rules);
  const auto after = rules_of(new_rules);
  CHECK(rc::check("fill = from the beginning", [&] {
    const auto partitions = *rc::gen::element<std::uint32_t>(1, 1, 2);
    const Duration lateness = *rc::gen::element(Duration{}, Duration::seconds(10));
    const auto begins = *rc::gen::element(complete, engine::DataBegins::Kind::first_event);
    engine::EngineOptions options = options_of(partitions, lateness, begins);
    const std::vector<Sent> events = random_stream(partitions);

    Live reference(after, options);
    for (const Sent& sent : events) reference.send(sent);
    reference.end(partitions);
    const auto expected = told(reference.hits);

    options.shards = *rc::gen::element<std::uint32_t>(1, 3);
    Live live(before, options, *rc::gen::element<std::size_t>(1, 5));
    const auto change = *rc::gen::inRange<std::size_t>(1, events.size() + 1);
    const auto planned = *rc::gen::inRange<std::size_t>(0, change);
    const bool killed = *rc::gen::arbitrary<bool>();
    std::shared_ptr<engine::Fill> fill;
    for (std::size_t i = 0; i < change; ++i) {
      if (i == planned) fill = live.engine().plan_fill(after);
      if (*rc::gen::inRange(0, 6) == 0) {
        live.checkpoint();
        if (fill) {
          fill->open(live.store);
          RC_ASSERT(fill->read(to_the_end).ok());
        }
      }
      live.send(events[i]);
    }
    live.checkpoint();
    if (killed) live.restart();
    const std::shared_ptr<engine::Fill> now = live.engine().plan_fill(after);
    if (killed || !fill->covers(*now)) fill = now;
    fill->open(live.store);
    RC_ASSERT(fill->read(to_the_end).ok());
    for (const engine::Fill::Window& window : fill->windows()) {
      const std::string only_reason = "the input does not reach back further";
      RC_ASSERT(window.why_not.empty() || (begins != complete && window.why_not == only_reason));
    }
    const std::size_t hits_before = live.hits.size();
    live.activate(after, fill);
    RC_ASSERT(begins != complete || live.engine().warming().empty());
    const bool restarted = *rc::gen::arbitrary<bool>();
    for (std::size_t i = change; i < events.size(); ++i) {
      if (restarted && i == change + 3) {
        live.checkpoint();
        live.restart();
      }
      live.send(events[i]);
    }
    live.end(partitions);
    const auto got = told({live.hits.begin() + static_cast<std::ptrdiff_t>(hits_before), live.hits.end()});
    for (const auto& [id, line] : got) {
      const auto same = expected.find(id);
      RC_ASSERT(same != expected.end());
      if (line != same->second) RC_LOG() << line << "\n" << same->second << "\n";
      RC_ASSERT(line == same->second);
    }
    RC_CLASSIFY(got.size() > 3, "hits behind the change");
    RC_CLASSIFY(killed, "killed");
    RC_CLASSIFY(live.engine().counters().late > 0, "late events");
  }));
}

TEST_CASE("with a history that was trimmed a window says the same, or that it does not know") {
  const auto before = rules_of(old_rules);
  const auto after = rules_of(new_rules);
  CHECK(rc::check("the same or unknown", [&] {
    engine::EngineOptions options = options_of(1, {}, complete);
    const std::vector<Sent> events = random_stream(1);
    Live reference(after, options);
    for (const Sent& sent : events) reference.send(sent);
    reference.end(1);
    const auto expected = told(reference.hits);
    options.history.all = Duration::seconds(*rc::gen::element(5, 30, 100, 200));
    options.history.by_type["b"] = Duration::seconds(*rc::gen::element(0, 60));
    Live live(before, options);
    const auto change = *rc::gen::inRange<std::size_t>(1, events.size() + 1);
    for (std::size_t i = 0; i < change; ++i) {
      if (*rc::gen::inRange(0, 3) == 0) {
        live.checkpoint();
        RC_ASSERT(live.engine().trim_history(live.store).ok());
      }
      live.send(events[i]);
    }
    live.checkpoint();
    if (*rc::gen::arbitrary<bool>()) live.restart();
    live.activate(after, filled(live, after));
    const std::size_t hits_before = live.hits.size();
    for (std::size_t i = change; i < events.size(); ++i) live.send(events[i]);
    live.end(1);
    std::size_t unknown = 0;
    for (const auto& [id, line] :
         told({live.hits.begin() + static_cast<std::ptrdiff_t>(hits_before), live.hits.end()})) {
      const auto got = replay::parse_json(line);
      const auto wanted = replay::parse_json(expected.at(id));
      for (const auto& [name, value] : (*got)["values"].members) {
        if (value.kind == replay::Json::Kind::null) {
          ++unknown;
        } else {
          if (value.text != (*wanted)["values"][name].text) RC_LOG() << name << "\n" << line << "\n" << expected.at(id);
          RC_ASSERT(value.text == (*wanted)["values"][name].text);
        }
      }
    }
    RC_CLASSIFY(unknown > 0, "some unknown");
  }));
}

namespace {

std::string pay(int second, const std::string& more = {}) {
  return R"({"type":"pay","id":"p)" + std::to_string(second) + R"(","at":")" +
         to_text(*parse_timestamp("2026-01-05T10:00:00Z") + Duration::seconds(second)) + R"(","user":"u")" + more + "}";
}
const std::string pay_text = R"(
entity user
event pay { key id : string  time at : time  user : user  v : decimal optional }
)";
std::string counting(const std::string& window) {
  return pay_text + "rule told on pay { severity info  when true  show count from pay per user in last " + window +
         " }\n";
}
std::string shown(const std::string& line) {
  const auto hit = replay::parse_json(line);
  const replay::Json& value = (*hit)["values"].members.front().second;
  return value.kind == replay::Json::Kind::null ? "null" : value.text;
}
std::string why(const engine::Fill& fill) {
  std::string text;
  for (const engine::Fill::Window& window : fill.windows())
    text += window.text + ": " +
            (!window.why_not.empty()                 ? window.why_not
             : window.known_from == Timestamp::min() ? "known"
                                                     : "known from " + to_text(window.known_from)) +
            "\n";
  return text;
}
}  // namespace

TEST_CASE("without a history a longer window warms, although a shorter one over the same events was there") {
  engine::EngineOptions options = options_of(1, {}, complete);
  options.history = {};
  Live live(rules_of(counting("10s")), options);
  for (const int second : {0, 5, 10, 15, 20}) live.send({pay(second)});
  const auto longer = rules_of(counting("1m"));
  std::shared_ptr<engine::Fill> fill = live.engine().plan_fill(longer);
  CHECK_FALSE(fill->any());
  CHECK(why(*fill) == "count from pay per user in last 1m: no history of `pay` is kept\n");
  live.checkpoint();
  for (const auto& [key, value] : live.store.records()) CHECK_FALSE(key.starts_with("\x12"));
  SUBCASE("when it goes live") { live.activate(longer, nullptr); }
  SUBCASE("when a restart begins with it") {
    live.activate(rules_of(counting("10s")), nullptr);
    live.checkpoint();
    Live other(longer, options);
    other.store = live.store;
    other.restart();
    CHECK(other.engine().warming().size() == 1);
  }
  live.hits.clear();
  live.send({pay(21)});
  live.send({pay(71)});
  if (live.engine().ruleset() == longer) {
    CHECK(shown(live.hits[0]) == "null");
    CHECK(shown(live.hits[1]) == "4");  // (11s, 71s]: what the old window held at the change is known
  }
}

TEST_CASE("a window that was longer keeps what it has when the history has less") {
  engine::EngineOptions options = options_of(1, {}, complete);
  options.history.all = Duration::seconds(5);
  Live live(rules_of(counting("1m")), options);
  for (const int second : {0, 10, 20, 30}) {
    live.send({pay(second)});
    live.checkpoint();
    CHECK(live.engine().trim_history(live.store).ok());
  }
  const auto longer = rules_of(counting("2m"));
  const std::shared_ptr<engine::Fill> fill = filled(live, longer);
  CHECK(why(*fill) == "count from pay per user in last 2m: the history does not reach back further\n");
  live.activate(longer, fill);
  live.hits.clear();
  live.send({pay(31)});
  live.send({pay(100)});
  CHECK(shown(live.hits[0]) == "null");
  CHECK(shown(live.hits[1]) == "6");
}

TEST_CASE("trimming takes what is older than its retention from the store, one checkpoint later, and no more") {
  engine::EngineOptions options = options_of(1, {}, complete);
  options.history.all = Duration::seconds(30);
  Live live(rules_of(counting("10s")), options);
  const auto blocks = [&] {
    return std::count_if(live.store.records().begin(), live.store.records().end(),
                         [](const auto& record) { return record.first.starts_with("\x12"); });
  };
  for (int second = 0; second < 100; second += 10) {
    live.send({pay(second)});
    live.checkpoint();
    CHECK(live.engine().trim_history(live.store).ok());
  }
  CHECK(blocks() >= 4);
  CHECK(blocks() <= 6);
  const auto longer = rules_of(counting("20s"));
  std::shared_ptr<engine::Fill> fill = filled(live, longer);
  CHECK(fill->event_count() <= 4);
  live.activate(longer, fill);
  live.hits.clear();
  live.send({pay(91)});
  CHECK(shown(live.hits[0]) == "3");

  SUBCASE("a restart without a history forgets all of it, and one that has it again begins anew") {
    live.checkpoint();
    options.history = {};
    Live off(longer, options);
    off.store = live.store;
    off.restart();
    off.checkpoint();
    CHECK(off.engine().trim_history(off.store).ok());
    CHECK(std::none_of(off.store.records().begin(), off.store.records().end(),
                       [](const auto& record) { return record.first.starts_with("\x12"); }));
    options.history.all = Duration::days(1);
    Live again(longer, options);
    again.store = off.store;
    again.restart();
    CHECK_FALSE(again.engine().plan_fill(rules_of(counting("1h")))->any());
  }
  SUBCASE("events of a type that no rules declare any more are forgotten") {
    live.activate(rules_of("entity user\nevent other { key id : string  time at : time  user : user }\n"), nullptr);
    live.checkpoint();
    CHECK(live.engine().trim_history(live.store).ok());
    CHECK(blocks() == 0);
  }
}

TEST_CASE("a field that was not declared is not in the history, and what depends on it warms") {
  Live live(rules_of(counting("10s")), options_of(1, {}, complete));
  for (const int second : {0, 5, 10}) live.send({pay(second, R"(,"w":7,"v":1)")});
  live.checkpoint();
  const std::string with_field =
      "entity user\nevent pay { key id : string  time at : time  user : user  v : decimal optional  w : decimal "
      "optional }\n"
      "rule told on pay { severity info  when true  show sum(w) from pay per user in last 20s, "
      "sum(v) from pay per user in last 20s }\n";
  const auto next = rules_of(with_field);
  const std::shared_ptr<engine::Fill> fill = filled(live, next);
  CHECK(why(*fill) ==
        "sum(v) from pay per user in last 20s: known\n"
        "sum(w) from pay per user in last 20s: field `pay.w` was not declared until now\n");
  live.activate(next, fill);
  live.send({pay(15, R"(,"w":7,"v":1)")});
  live.checkpoint();
  // From then on it is in it.
  const auto later = rules_of(with_field +
                              "stream heavy = pay where w > 1\n"
                              "rule more on pay { severity info  when count from heavy per user in last 1m >= 0 }\n");
  const std::string expected = "count from heavy per user in last 1m: known from 2026-01-05T10:01:10.000001Z\n";
  CHECK(why(*live.engine().plan_fill(later)).starts_with(expected));
}

TEST_CASE("what depends on labels, on lists that rules change or on hits is not filled, and it is said") {
  Live live(rules_of(counting("10s")), options_of(1, {}, complete));
  for (const int second : {0, 5, 10}) live.send({pay(second)});
  live.checkpoint();
  const auto next = rules_of(pay_text + R"(
list @hot : set<user> for 25s
stream marked = pay where user has label "m"
stream hot = pay where user in @hot
stream after = marked where count from marked per user in last 1m > 1
rule mark on pay { severity info  when v > 2  label user "m"  add user to @hot }
rule told on pay { severity info  when count from marked per user in last 10s >= 0  and count from hot per user in last 10s >= 0
  and count from hit.mark per user in last 10s >= 0 and count from after per user in last 10s >= 0 }
)");
  const std::shared_ptr<engine::Fill> fill = filled(live, next);
  CHECK_FALSE(fill->any());
  CHECK(why(*fill) ==
        "count from after per user in last 10s: it depends on what rules did: a label, or a list they change\n"
        "count from hit.mark per user in last 10s: it counts hits of rules\n"
        "count from hot per user in last 10s: it depends on what rules did: a label, or a list they change\n"
        "count from marked per user in last 10s: it depends on what rules did: a label, or a list they change\n"
        "count from marked per user in last 1m: it depends on what rules did: a label, or a list they change\n");
}

TEST_CASE("a damaged history is found, and nothing is filled from it") {
  Live live(rules_of(counting("10s")), options_of(1, {}, complete));
  for (const int second : {0, 5, 10}) live.send({pay(second)});
  live.checkpoint();
  const auto next = rules_of(counting("1m"));
  std::string key, value;
  for (const auto& record : live.store.records()) {
    if (record.first.starts_with("\x12")) std::tie(key, value) = record;
  }
  REQUIRE(!value.empty());
  for (std::size_t i = 0; i <= value.size(); ++i) {
    state::WriteSet writes;
    std::string damaged = value.substr(0, i);
    if (i < value.size() && i % 2 == 0) {
      damaged = value;
      damaged[i] = static_cast<char>(damaged[i] ^ 4);
    }
    if (i == value.size()) damaged += 'x';
    writes.put(key, damaged);
    REQUIRE(live.store.commit(writes).ok());
    std::shared_ptr<engine::Fill> fill = live.engine().plan_fill(next);
    fill->open(live.store);
    const Status read = fill->read(to_the_end);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().text.find("history of `pay`") != std::string::npos);
  }
}

TEST_CASE("a history that somebody went on without writing is not believed") {
  engine::EngineOptions options = options_of(1, {}, complete);
  Live live(rules_of(counting("10s")), options);
  live.send({pay(0)});
  live.checkpoint();
  const auto coverage = live.store.get(state::meta_record("history"));
  REQUIRE(coverage.value());
  live.send({pay(1)});
  live.checkpoint();
  state::WriteSet writes;
  writes.put(state::meta_record("history"), *coverage.value());
  REQUIRE(live.store.commit(writes).ok());
  live.restart();
  CHECK_FALSE(live.engine().plan_fill(rules_of(counting("1m")))->any());
}

}  // namespace tocsin::tests
