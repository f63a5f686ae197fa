// The output is a function of the input: not of shards, not of where batches end, not of a restart in the middle, not of a
// change of rules to rules that mean the same.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <sstream>

#include "state/memory_store.h"
#include "tests/engine/rules_of.h"
#include "tests/support/stream.h"

namespace tocsin::tests {
namespace {

const char* const rules_text = R"(
entity user, device
event a { key id : string  time at : time  user : user  dev : device optional  v : decimal optional  s : string optional }
event b { key id : string  time at : time  seq nr : int  user : user  dev : device optional  v : decimal optional  s : string optional }
event x { key id : string  time at : time  user : user  dev : device optional  v : decimal optional  s : string optional }
stream big = a where v > 2
field seen on b = count from a per user in 30s before
feature per_device = count from a per device in last 40s
feature total = sum(v) from a, b per user in last 1m
)";

// Unions in an aggregate are written as a stream.
const char* const more_rules = R"(
stream ab = a, b
rule burst on b { let n = count from ab per user in last 30s  when n >= 3 and seen >= 1  decide review score n
  alert once per 20s by user  because "{n} {seen} {total}" show per_device }
rule quiet per user { sequence { a as p then no x for 20s } when count from b per user in last 1m >= 1 decide block
  because "{p.v} {count from b per user in last 1m}" }
rule chain per user { sequence within 1m { a as p then no x then b as q where q.s == p.s } decide challenge score 5 }
rule row per device { sequence within 2m { at least 2 consecutive a as g where g.v > 1 then b as q within 30s } because "{g.v}" show g.last.v }
rule first_no per user { sequence { no x for 30s then b as q } except known when q.v == 3 }
rule distinct_values on a { when distinct(v) from a per device in last 1m >= 2 and max(v) from a per device in 1m before > 1 }
policy p on b { score sum max 100 block when score >= 7 challenge when any rule decides challenge allow otherwise
  limit block to 50% per 1m else review }
)";

std::string rules() {
  std::string text = rules_text;
  text.replace(text.find("feature total"), std::string::npos, "feature total = sum(v) from ab per user in last 1m\n");
  return text + more_rules;
}

// Rules that see what others did: labels and lists put by events and by time, in conditions, streams and policies; shadow and rollout.
const char* const effects = R"(
list @hot : set<user> for 25s
switch gate = on
stream marked = a where user has label "m"
rule mark on a { when v > 2 label user "m" for 30s label dev "d" for 1m }
rule heat on b { when user has label "m" or dev has label "d" add user to @hot score 2 because "{v}" }
rule cool per user { sequence { b as q then no a for 20s } when user has label "m" or q.user in @hot label user "quiet" for 1m }
rule see on a { when user in @hot or user has label "quiet" score v because "{count from marked per user in last 1m}" }
rule shade on a { mode shadow when v <= 2 label user "s" for 1m add user to @hot for 10s }
rule shade_sees on b { mode shadow when user has label "s" and user in @hot because "{count from marked per user in last 1m}" }
rule rolled on b { rollout 50% of user switch gate when user has label "m" or user has label "s" decide review label user "r" for 15s }
rule after per user { sequence within 1m { a as p where user has label "r" or p.v > 1 then b as q where q.user has label "m" }
  when p.user has label "d" or q.user has label "r" or q.v > 1 label user "after" for 20s decide block }
policy p on b { score sum max 100 block when user has label "after" review when any rule decides review or user in @hot
  challenge when score > 3 and user has label "quiet" allow otherwise limit block to 50% per 1m else review }
)";

// Hits as events: in rules, windows, sequences and absences, at deadlines, of shadow rules, with labels.
const char* const hits_as_events = R"(
stream loud = hit.low where n > 1, x
field twice on hit.low = n * 2
rule low on a { let n = v when v > 0 show dev label user "low" for 20s }
rule high on hit.low as h { when count from hit.low per user in last 30s >= 2 and h.twice > 2 label h.user "high" for 40s because "{h.n}" }
rule quiet per user { sequence { hit.low as p then no hit.high for 15s } when user has label "low" or p.n > 2 because "{p.n} {count from loud per user in last 1m}" }
rule on_quiet on hit.quiet as q { label q.user "quiet" for 30s because "{count from hit.quiet per user in last 1m}" }
rule pair per user { sequence within 1m { hit.on_quiet as q then no hit.high then b as r where r.user has label "quiet" } decide block }
rule shade on b { mode shadow when v > 1 }
rule shade_on on hit.shade { mode shadow because "{count from hit.shade per user in last 1m}" }
rule rolled on hit.low { rollout 50% of user because "{count from hit.rolled_too per user in last 1m}" }
rule rolled_too on b { rollout 50% of user }
rule asks on b { when user has label "high" and count from hit.rolled_too per user in last 1m >= 1 decide review }
policy p on b { score sum max 100 block when any rule decides block review when any rule decides review
  challenge when user has label "quiet" allow otherwise }
)";

// Sequences that begin alike, with what behind that they do not agree on: steps, `no`, windows, what a match uses up. By rule.
const std::map<std::string, std::string> families = {
    {"f1", "within 1m { a as p then b as q where q.v > 0 then x as r }"},
    {"f2", "within 30s { a as p then b as q where q.v > 0 then a as r where r.v > 1 } after match continue"},
    {"f3", "within 2m { a as p then b as q where q.v > 0 then b as r then no x for 10s }"},
    {"f4", "within 1m { a as p then b as q where q.v > 0 then no x then a as r }"},
    {"f5", "within 40s { a as p then b as q where q.v > 0 then no x then b as r } after match skip past last"},
    {"f6", "within 1m { a as p then b as q where q.v > 0 then next a as r } when r.v > p.v"},
    {"g1", "within 1m { no x for 10s then at least 2 a as p where p.v > 0 then b as q then x as r }"},
    {"g2", "within 30s { no x for 10s then at least 2 a as p where p.v > 0 then b as q then no a then b as r }"},
    {"g3",
     "within 2m { no x for 10s then at least 2 a as p where p.v > 0 then b as q then a as r } after match continue"},
    {"h1", "within 1m { a as p then no x then b as q where q.s == p.s then x as r }"},
    {"h2", "within 30s { a as p then no x then b as q where q.s == p.s then at least 2 a as r } after match continue"},
    {"h3", "within 2m { a as p then no x then b as q where q.s == p.s then no a then b as r then no a for 15s }"},
    {"k1", "within 1m { a as p then a as q then a as r until x }"},
    {"k2", "within 1m { a as p then a as q then b as r until x } after match continue"},
};

/// Rules of those that are named, in front of them the declarations.
std::string family_rules(const std::vector<std::string>& names) {
  std::string text = rules_text;
  text = text.substr(0, text.find("stream big"));
  for (const std::string& name : names) {
    std::string sequence = families.at(name);
    text += "rule " + name + " per user { sequence " + sequence + " because \"{p.id} {q.id} {r.id}\" }\n";
  }
  return text;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const auto& [name, sequence] : families) names.push_back(name);
  return names;
}

// What becomes of alerts: spans, resolving, holding and suppressing, by events, deadlines and hits on hits.
const char* const alerts_text = R"(
rule low on a { when v > 1 alert once per 30s by user suppressed by high same dev hold 10s }
rule high on b { when v > 2 alert once per 20s by dev resolve on x }
rule moment on b { when v == 2 }
rule quick on a { when v == 1 suppressed by moment same user }
rule open per user { sequence { at least 1 a as g where g.v > 0 } resolve on b where v > 1 }
rule reopens per user { sequence { at least 1 a as g } alert once per 1m by user resolve on x suppressed by above same user hold 5s }
rule quiet per user { sequence { a as p then no b for 15s } suppressed by above same user hold 20s resolve on b show p.dev }
rule above on hit.quiet as q { when count from hit.quiet per dev in last 30s >= 2 alert once per 40s by user resolve on x }
)";

// Steps that take an event under several roles: the keys are those of `user` and of `s`.
const char* const roles_text = R"(
entity user
event a { key id : string  time at : time  user : user  s : user optional  v : decimal optional  dev : string optional }
event b { key id : string  time at : time  seq nr : int  user : user  s : user optional  v : decimal optional  dev : string optional }
event x { key id : string  time at : time  user : user  s : user optional  v : decimal optional  dev : string optional }
stream both = a via user where v > 0, a via s where v > 1, b via user
feature seen = count from both per user in last 30s
rule pair per user { sequence within 1m { both as p where user != "k" and seen >= 1 then b via s as q where q.v >= 1 }
  because "{user} {seen} {count from both per user in last 1m}" }
rule row per user { sequence within 1m { exactly 2 consecutive both as g where g.v < 4 } decide review because "{g.v}" }
rule none per user { sequence { b via user as p then no both for 15s } because "{p.v} {seen}" label user "none" for 20s }
rule share per user { rollout 50% of user sequence within 1m { both as p where p.v > 1 or user has label "none" then next both as q where q.v >= p.v } }
rule either per user { sequence within 1m { all of { both as p; x via s as q where user != "z" } } because "{p.v} {q.v}" }
)";

std::string effects_rules() {
  std::string text = rules_text;
  return text.substr(0, text.find("feature per_device")) + effects;
}
std::string alerts_rules() {
  std::string text = rules_text;
  return text.substr(0, text.find("stream big")) + alerts_text;
}
std::string hits_rules() {
  std::string text = rules_text;
  return text.substr(0, text.find("stream big")) + hits_as_events;
}

struct RuleSet {
  std::string text;
  std::vector<std::string> rules;
};
struct Sent {
  std::string line;
  std::uint32_t partition = 0;
};

std::vector<RuleSet> rule_sets() {
  return {{rules(), {"burst", "quiet", "chain", "row", "first_no", "distinct_values"}},
          {effects_rules(), {"mark", "heat", "cool", "see", "shade", "shade_sees", "rolled", "after"}},
          {alerts_rules(), {"low", "high", "quick", "open", "reopens", "quiet", "above"}},
          {hits_rules(), {"low", "high", "quiet", "on_quiet", "pair", "shade_on", "rolled", "asks"}},
          {roles_text, {"pair", "row", "none", "share", "either"}},
          {family_rules(family_names()), family_names()}};
}

std::vector<Sent> random_stream(std::uint32_t partitions) {
  const int count = *rc::gen::inRange(1, 60);
  std::vector<Sent> events;
  std::int64_t now = 0;
  for (int i = 0; i < count; ++i) {
    now += *rc::gen::element<std::int64_t>(0, 0, 1, 5, 10, 20, 35);
    const std::int64_t back = *rc::gen::weightedElement<std::int64_t>({{12, 0}, {2, 3}, {1, 15}, {1, 40}});
    const Timestamp at =
        *parse_timestamp("2026-01-05T10:00:00Z") + Duration::seconds(std::max<std::int64_t>(0, now - back));
    const char type = *rc::gen::weightedElement<char>({{5, 'a'}, {4, 'b'}, {1, 'x'}});
    std::string line = R"({"type":")";
    line += type;
    line += R"(","id":"e)" + std::to_string(*rc::gen::weightedElement<int>({{20, i}, {1, i / 2}})) + R"(","at":")" +
            to_text(at) + R"(","user":"u)" + std::to_string(*rc::gen::inRange(0, 3)) + "\"";
    if (*rc::gen::inRange(0, 4) > 0) line += R"(,"dev":"d)" + std::to_string(*rc::gen::inRange(0, 2)) + "\"";
    if (*rc::gen::inRange(0, 4) > 0) line += R"(,"v":)" + std::to_string(*rc::gen::inRange(0, 5));
    if (*rc::gen::inRange(0, 3) > 0) line += R"(,"s":")" + *rc::gen::element<std::string>("k", "z", "u1") + "\"";
    if (type == 'b') line += R"(,"nr":)" + std::to_string(*rc::gen::inRange(0, 3));
    events.push_back({line + "}", *rc::gen::inRange<std::uint32_t>(0, partitions)});
  }
  return events;
}

engine::EngineOptions options_of(std::uint32_t shards, std::uint32_t partitions, Duration lateness) {
  engine::EngineOptions options = Stream::complete();
  options.shards = shards;
  options.partitions = partitions;
  options.lateness.assign(partitions, lateness);
  return options;
}

std::vector<std::string> run(const std::shared_ptr<const engine::Ruleset>& ruleset, const std::vector<Sent>& events,
                             const engine::EngineOptions& options, std::size_t batch) {
  Stream stream(ruleset, options, batch);
  for (const Sent& e : events) stream.send(e.line, e.partition);
  stream.end();
  stream.advance(*parse_timestamp("2026-01-05T12:00:00Z"));
  stream.end();
  return stream.output().lines;
}

TEST_CASE("shards and batches do not change a byte") {
  for (const RuleSet& set : rule_sets()) {
    const auto ruleset = rules_of(set.text);
    CHECK(rc::check("1 shard, batch 1 = 7 shards, batch 512", [&] {
      const auto partitions = *rc::gen::element<std::uint32_t>(1, 1, 2);
      const Duration lateness = *rc::gen::element(Duration{}, Duration{}, Duration::seconds(10));
      const std::vector<Sent> events = random_stream(partitions);
      const auto one = run(ruleset, events, options_of(1, partitions, lateness), 1);
      const auto many =
          run(ruleset, events, options_of(7, partitions, lateness), *rc::gen::element<std::size_t>(2, 7, 512));
      for (const std::string& rule : set.rules) {
        const std::string name = std::string(R"("rule":")") + rule + "\"";
        RC_CLASSIFY(std::any_of(one.begin(), one.end(),
                                [&](const std::string& l) {
                                  return l.starts_with("hits") && l.find(name) != std::string::npos;
                                }),
                    rule);
      }
      RC_ASSERT(one == many);
    }));
  }
}

TEST_CASE("a restart from a checkpoint does not change a byte") {
  for (const RuleSet& set : rule_sets()) {
    const auto ruleset = rules_of(set.text);
    CHECK(rc::check("stop, restore, go on = go on", [&] {
      const auto partitions = *rc::gen::element<std::uint32_t>(1, 1, 2);
      const Duration lateness = *rc::gen::element(Duration{}, Duration::seconds(10));
      const std::vector<Sent> events = random_stream(partitions);
      const engine::EngineOptions options = options_of(1, partitions, lateness);
      const auto whole = run(ruleset, events, options, 1);

      state::MemoryStore store;
      std::vector<std::string> pieces;
      std::uint64_t sequence = 0;
      std::size_t at = 0;
      while (at < events.size()) {
        engine::Engine engine(ruleset, options);
        auto restored = engine.restore(store);
        RC_ASSERT(restored.ok());
        RC_ASSERT(restored.value() == (at > 0));
        auto intake = engine::Intake::make(ruleset->schema, {event::SourceFormat{}}).take();
        const std::size_t stop = std::min(events.size(), at + *rc::gen::inRange<std::size_t>(1, 20));
        const auto out_of = [&] {
          engine::Outbox out;
          intake.flush(engine, out);
          for (const engine::OutRecord& r : out.records) {
            pieces.push_back(std::string(engine::out_stream_names[static_cast<std::size_t>(r.stream)]) + " " + r.bytes);
          }
        };
        const auto take = [&](const Sent& sent) {
          std::string line = sent.line;
          const std::size_t size = line.size();
          line.append(event::padding_bytes, '\0');
          event::RawRecord record;
          record.bytes = std::string_view(line).substr(0, size);
          record.position = {sent.partition, ++sequence};
          engine::Outbox letters;
          intake.take(record, letters);
          out_of();
        };
        for (; at < stop; ++at) take(events[at]);
        if (at == events.size()) {
          for (int twice = 0; twice < 2; ++twice) {
            for (std::uint32_t p = 0; p < partitions; ++p) intake.idle(p);
            out_of();
          }
          Timestamp last = Timestamp::min();
          for (const engine::PartitionPosition& p : engine.positions()) last = std::max(last, p.largest_time);
          intake.tick(last);
          out_of();
          intake.tick(*parse_timestamp("2026-01-05T12:00:00Z"));
          out_of();
        }
        state::WriteSet writes;
        engine.begin_capture();
        if (at < events.size()) {
          // The checkpoint is of this moment, whatever is judged while it is written down, and a kill comes only then.
          const std::size_t pieces_then = pieces.size();
          const std::uint64_t sequence_then = sequence;
          const std::size_t more = std::min(events.size(), at + *rc::gen::inRange<std::size_t>(0, 40));
          bool whole_already = false;
          for (std::size_t later = at; later < more; ++later) {
            take(events[later]);
            const auto count = *rc::gen::inRange<std::size_t>(0, 3);
            whole_already = whole_already || engine.capture_some(count, writes);
          }
          if (!whole_already) RC_ASSERT(engine.capture_some(SIZE_MAX, writes));
          pieces.resize(pieces_then);
          sequence = sequence_then;
        } else {
          RC_ASSERT(engine.capture_some(SIZE_MAX, writes));
        }
        RC_ASSERT(store.commit(writes).ok());
      }
      RC_ASSERT(pieces == whole);
    }));
  }
}

TEST_CASE("rules that mean the same take up everything") {
  for (const RuleSet& set : rule_sets()) {
    const auto ruleset = rules_of(set.text);
    // Another order, another title, a further rule: the old rules go on as if nothing had happened.
    const auto renewed = rules_of("rule added on x { title \"new\" }\n" + set.text);
    CHECK(rc::check("reload keeps state", [&] {
      const std::vector<Sent> events = random_stream(1);
      const engine::EngineOptions options = options_of(3, 1, {});
      const auto without_digest = [](std::vector<std::string> lines) {
        std::erase_if(lines, [](const std::string& l) { return l.find("\"added\"") != std::string::npos; });
        for (std::string& l : lines) l.erase(l.find("\"ruleset\""));
        return lines;
      };
      const auto whole = without_digest(run(ruleset, events, options, 1));
      Stream stream(ruleset, options, 1);
      const std::size_t change = *rc::gen::inRange<std::size_t>(0, events.size());
      for (std::size_t i = 0; i < events.size(); ++i) {
        if (i == change) {
          stream.change_rules(renewed);
        }
        stream.send(events[i].line);
      }
      stream.end();
      stream.advance(*parse_timestamp("2026-01-05T12:00:00Z"));
      stream.end();
      RC_ASSERT(without_digest(stream.output().lines) == whole);
    }));
  }
}

TEST_CASE("sequences that begin alike run their beginning once, and each says what it says alone") {
  const std::vector<std::string> all = family_names();
  const auto together = rules_of(family_rules(all));
  std::size_t members = 0;
  for (const engine::PrefixPlan& plan : together->prefixes) members += plan.prefix.members.size();
  CHECK(members == all.size());
  CHECK(together->prefixes.size() == 5);
  std::map<std::string, std::shared_ptr<const engine::Ruleset>> alone;
  for (const std::string& name : all) alone[name] = rules_of(family_rules({name}));
  const auto hits_of = [](const Output& output, const std::string& rule) {
    std::vector<std::string> hits;
    for (const replay::Json& hit : output.hits) {
      if (hit["rule"].text == rule) hits.push_back(hit["at"].text + " " + hit["because"].text);
    }
    return hits;
  };
  CHECK(rc::check("together = alone, with rules that come and go", [&] {
    const std::vector<Sent> events = random_stream(1);
    const engine::EngineOptions options = options_of(2, 1, *rc::gen::element(Duration{}, Duration::seconds(10)));
    const auto some = [&] {
      std::vector<std::string> names;
      for (const std::string& name : all) {
        if (*rc::gen::inRange(0, 3) > 0) names.push_back(name);
      }
      return names;
    };
    const std::vector<std::string> first = some(), second = some();
    const auto change = *rc::gen::inRange<std::size_t>(0, events.size());
    const auto run_changing = [&](const std::shared_ptr<const engine::Ruleset>& before,
                                  const std::shared_ptr<const engine::Ruleset>& after) {
      Stream stream(before, options, 1);
      for (std::size_t i = 0; i < events.size(); ++i) {
        if (i == change) stream.change_rules(after);
        stream.send(events[i].line);
      }
      stream.end();
      stream.advance(*parse_timestamp("2026-01-05T12:00:00Z"));
      stream.end();
      return stream.output();
    };
    const auto none = rules_of(family_rules({}));
    const Output found = run_changing(rules_of(family_rules(first)), rules_of(family_rules(second)));
    for (const std::string& name : all) {
      const auto is_in = [&](const std::vector<std::string>& names) {
        return std::find(names.begin(), names.end(), name) != names.end() ? alone[name] : none;
      };
      const std::vector<std::string> expected = hits_of(run_changing(is_in(first), is_in(second)), name);
      RC_CLASSIFY(!expected.empty(), name);
      RC_ASSERT(hits_of(found, name) == expected);
    }
  }));
}

TEST_CASE("a rule that shares fewer steps after a change keeps what it had begun beyond them") {
  std::string text = rules_text;
  text = text.substr(0, text.find("stream big"));
  const auto rule = [](const std::string& name, const std::string& sequence) {
    return "rule " + name + " per user { sequence within 1m { " + sequence + " } because \"{p.id} {r.id}\" }\n";
  };
  const std::string stays = rule("stays", "a as p then b as q where q.v > 0 then no x then a as r where r.v > 1");
  const std::string goes = rule("goes", "a as p then b as q where q.v > 0 then no x then b as r where r.v > 3");
  const std::string others =
      rule("one", "a as p then no x then x as r") + rule("other", "a as p then no b then x as r");
  const auto before = rules_of(text + stays + goes + others);
  const auto after = rules_of(text + stays + others);
  REQUIRE(before->prefixes.size() == 2);
  REQUIRE(after->prefixes.size() == 1);
  for (const bool is_awake : {false, true}) {
    CAPTURE(is_awake);
    Stream stream(before, Stream::complete(), 1);
    int number = 0;
    const auto send = [&](const std::string& type, int v) {
      ++number;
      const std::string at = "2026-01-05T10:00:" + std::to_string(10 + number) + "Z";
      stream.send(R"({"type":")" + type + R"(","id":"e)" + std::to_string(number) + R"(","at":")" + at +
                  R"(","user":"u","nr":1,"v":)" + std::to_string(v) + "}");
    };
    send("a", 0);
    send("b", 1);
    if (is_awake) send("a", 1);  // its last step's stream, and no last step
    stream.change_rules(after);
    send("a", 1);
    send("a", 2);
    stream.end();
    REQUIRE(stream.output().hits.size() == 1);
    CHECK(stream.output().hits[0]["because"].text == "e1 e" + std::to_string(number));
  }
}

// A sequence changed behind two steps that stay: `{p.id}|{q.id}|…` says which events a match is of.
struct Change {
  std::string sequence, rest;              // of the new rule
  std::string steps;                       // the ids
  bool newest = false;                     // only the newest beginning is known to the new rule
  Duration known = Duration::seconds(60);  // matches that begin further back than this before the change are not kept
};

std::string changing_rule(const std::string& sequence, const std::string& rest, const std::string& steps) {
  std::string text = rules_text;
  return text.substr(0, text.find("stream big")) + "rule changing per user { sequence " + sequence +
         " after match continue " + rest + " because \"" + steps + "\" }\n";
}

std::string field_of(const Sent& event, const std::string& name) {
  const std::size_t at = event.line.find("\"" + name + "\":\"") + name.size() + 4;
  return event.line.substr(at, event.line.find('"', at) - at);
}

std::vector<std::string> matches_of(const std::vector<replay::Json>& hits) {
  std::vector<std::string> texts;
  for (const replay::Json& hit : hits) texts.push_back(hit["because"].text);
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST_CASE("a rule changed behind unchanged steps agrees with one that was always so") {
  const std::string first_two = "a as p then b as q where q.v > 0";
  const std::string three = "{p.id}|{q.id}|{r.id}";
  const auto before = rules_of(changing_rule("within 1m { " + first_two + " then x as r }", "", three));
  const std::vector<Change> changes = {
      {"within 1m { " + first_two + " then b as r where r.v > 1 }", "", three},
      {"within 1m { " + first_two + " then a as r }", "", three},
      {"within 1m { " + first_two + " then x as r then a as last }", "", three + "|{last.id}"},
      {"within 30s { " + first_two + " then x as r }", "", three},
      {"within 3m { " + first_two + " then x as r }", "", three},
      {"within 1m { " + first_two + " then x as r within 15s }", "", three},
      {"within 1m { " + first_two + " then x as r then no a for 10s }", "", three},
      {"within 1m { " + first_two + " then a as r then no x then b as last }", "", three + "|{last.id}", true},
      {"within 1m { " + first_two + " then x as r }", "when r.v + p.v > q.v", three, true},
  };
  for (const Change& change : changes) {
    CAPTURE(change.sequence);
    const auto after = rules_of(changing_rule(change.sequence, change.rest, change.steps));
    CHECK(rc::check("what a fresh engine says of matches with nothing but kept events before the change", [&] {
      std::vector<Sent> events = random_stream(1);
      std::map<std::string, std::size_t> index;
      std::erase_if(events, [&](const Sent& e) { return !index.emplace(field_of(e, "id"), 0).second; });
      for (std::size_t i = 0; i < events.size(); ++i) index[field_of(events[i], "id")] = i;
      const engine::EngineOptions options = options_of(3, 1, {});
      const auto at = *rc::gen::inRange<std::size_t>(0, events.size());
      const auto run_to_end = [&](Stream& stream, std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) stream.send(events[i].line);
        if (to < events.size()) return;
        stream.end();
        stream.advance(*parse_timestamp("2026-01-05T12:00:00Z"));
        stream.end();
      };
      Stream fresh(after, options, 1);
      run_to_end(fresh, 0, events.size());
      Stream stream(before, options, *rc::gen::element<std::size_t>(1, 7));
      run_to_end(stream, 0, at);
      stream.change_rules(after);
      const std::size_t hits_before = stream.output().hits.size();
      const Timestamp changed = stream.engine().watermark();
      RC_ASSERT(stream.engine().taken_up().size() == 1U);
      RC_ASSERT(stream.engine().taken_up()[0].kind == engine::TakenUp::Kind::in_part);
      run_to_end(stream, at, events.size());

      const auto uses_kept_alone = [&](const replay::Json& hit) {
        std::istringstream ids(hit["because"].text);
        std::string id;
        for (std::size_t step = 0; std::getline(ids, id, '|'); ++step) {
          if (index.at(id) >= at) continue;
          if (step >= 2) return false;
          if (*parse_timestamp(field_of(events[index.at(id)], "at")) <= changed - change.known) return false;
        }
        return true;
      };
      std::vector<replay::Json> hits_expected;
      for (const replay::Json& hit : fresh.output().hits) {
        if (uses_kept_alone(hit)) hits_expected.push_back(hit);
      }
      const std::vector<replay::Json> hits_found(
          stream.output().hits.begin() + static_cast<std::ptrdiff_t>(hits_before), stream.output().hits.end());
      const auto expected = matches_of(hits_expected);
      const auto found = matches_of(hits_found);
      if (change.newest) {
        RC_ASSERT(std::includes(expected.begin(), expected.end(), found.begin(), found.end()));
      } else {
        RC_ASSERT(found == expected);
      }
    }));
  }
}

}  // namespace
}  // namespace tocsin::tests
