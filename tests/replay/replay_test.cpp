#include "replay/replay.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "engine/rules.h"
#include "replay/json.h"
#include "state/memory_store.h"
#include "tests/support/stream.h"
#include "tests/support/temporary.h"

namespace tocsin::replay {
namespace {

// One rule of each sort, so that whatever the engine keeps per key is in play.
constexpr const char* rules_text = R"(
entity user, device
event login   { key id : string  time at : time  user : user  device : device optional  ok : bool }
event payment { key id : string  time at : time  user : user  device : device optional  amount : decimal }
event reset   { key id : string  time at : time  user : user }
stream good = login where ok == true
feature paid_1h = sum(amount) from payment per user in last 1h
feature devices = distinct(device) from good per user in 12h before
rule spender on payment {
  severity medium
  when paid_1h > 150 and amount > 20
  decide review
  score 30
  alert once per 30m by user
  because "{paid_1h} in an hour by {user}"
}
rule crowd on payment {
  let people = distinct(user) from payment per device in last 2h
  when people >= 4
  decide challenge
  score 45
}
rule guessed per user {
  sequence within 1h { at least 3 consecutive login as f where f.ok == false  then no reset  then good as s }
  decide challenge
  because "{count(f)} failures"
}
rule silent per user {
  sequence { payment as p where p.amount > 90  then no login for 2h }
  alert once per 1d by user
}
policy pay on payment {
  score sum max 100
  block     when score >= 70
  challenge when any rule decides challenge
  review    when score >= 30
  allow     otherwise
}
)";

std::shared_ptr<const engine::Ruleset> ruleset() {
  const engine::Rules rules = engine::rules_of_text("t.risk", rules_text);
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  return rules.ruleset;
}

/// Lines in the order of arrival: mostly in the order of time, some a little behind, some twice, some broken.
std::vector<std::string> lines_of(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random(seed);
  const auto below = [&random](std::uint64_t n) { return random() % n; };
  Timestamp now = *parse_timestamp("2026-01-05T10:00:00Z");
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    now = now + Duration::seconds(static_cast<std::int64_t>(below(40)));
    const Timestamp at = below(20) == 0 ? now - Duration::seconds(static_cast<std::int64_t>(below(90))) : now;
    const std::string common = "\",\"at\":\"" + to_text(at) + "\",\"user\":\"u" + std::to_string(below(12)) + "\"";
    const std::string device = below(4) == 0 ? "" : ",\"device\":\"d" + std::to_string(below(6)) + "\"";
    const std::string id = "e" + std::to_string(below(50) == 0 && i > 10 ? i - below(10) : i);
    switch (below(8)) {
      case 0: lines.push_back(R"({"type":"reset","id":")" + id + common + "}"); break;
      case 1:
      case 2:
      case 3:
        lines.push_back(R"({"type":"payment","id":")" + id + common + device +
                        ",\"amount\":" + std::to_string(below(100)) + "." + std::to_string(10 + below(90)) + "}");
        break;
      default:
        lines.push_back(R"({"type":"login","id":")" + id + common + device +
                        ",\"ok\":" + (below(3) == 0 ? "true" : "false") + "}");
    }
    if (below(60) == 0) lines.push_back("{\"type\":\"login\",");
  }
  return lines;
}

void write_lines(const std::string& path, const std::vector<std::string>& lines, std::size_t from, std::size_t step) {
  std::ofstream out(path, std::ios::binary);
  for (std::size_t i = from; i < lines.size(); i += step) out << lines[i] << '\n';
}

std::map<std::string, std::string> files_of(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    files[entry.path().filename().string()] = tests::read_file(entry.path().string());
  }
  return files;
}

struct World {
  tests::TemporaryDirectory directory;
  std::shared_ptr<const engine::Ruleset> rules = ruleset();
  ReplayOptions options;

  explicit World(std::size_t count = 4000, std::size_t files = 1) {
    const std::vector<std::string> lines = lines_of(7, count);
    for (std::size_t i = 0; i < files; ++i) {
      options.events.push_back(directory.path("events" + std::to_string(i) + ".ndjson"));
      write_lines(options.events.back(), lines, i, files);
    }
    options.lateness = Duration::seconds(60);
    options.out = directory.path("out");
  }
  /// Replays into a directory of its own and gives what stands there.
  std::map<std::string, std::string> run(ReplayOptions with, const std::string& name) {
    with.out = directory.path(name);
    const Result<ReplaySummary> summary = replay(with, rules);
    REQUIRE_MESSAGE(summary.ok(), (summary.ok() ? "" : summary.error().text));
    return files_of(with.out);
  }
};

TEST_CASE("the result does not depend on shards and batches") {
  for (const std::size_t files : {1U, 3U}) {
    World world(4000, files);
    const auto first = world.run(world.options, "first");
    CHECK(first.size() == 5);
    CHECK(first.at("hits.ndjson").size() > 1000);
    CHECK(!first.at("alerts.ndjson").empty());
    CHECK(!first.at("dead_letters.ndjson").empty());
    for (const auto& [shards, batch] : {std::pair<std::uint32_t, std::size_t>{7, 512}, {1, 1}, {7, 1}, {3, 100'000}}) {
      CAPTURE(shards);
      CAPTURE(batch);
      ReplayOptions other = world.options;
      other.shards = shards;
      other.batch = batch;
      CHECK(world.run(other, "other") == first);
    }
  }
}

TEST_CASE("stopped anywhere and gone on from the checkpoint, the result is the same") {
  World world(3000, 2);
  const auto whole = world.run(world.options, "whole");
  for (const std::uint64_t stop_at : {50U, 700U, 1500U, 2990U}) {
    CAPTURE(stop_at);
    state::MemoryStore store;
    ReplayOptions options = world.options;
    options.out = world.directory.path("resumed");
    options.store = &store;
    options.checkpoint_events = 300;
    options.batch = 17;
    // Each attempt gets a little further, then ends as if killed: without a checkpoint of its own.
    std::uint64_t allowed = stop_at;
    bool done = false;
    for (int attempt = 0; attempt < 20 && !done; ++attempt) {
      options.shards = attempt % 2 == 0 ? 1 : 5;
      options.progress = [&allowed](const ReplayProgress& progress) { return progress.records < allowed; };
      const Result<ReplaySummary> summary = replay(options, world.rules);
      done = summary.ok();
      CHECK(std::filesystem::exists(options.out + "/summary.json") == done);
      allowed += stop_at + 300;
    }
    REQUIRE(done);
    CHECK(files_of(options.out) == whole);
    // A replay that is through can be asked again: it says the same and adds nothing.
    options.progress = nullptr;
    REQUIRE(replay(options, world.rules).ok());
    CHECK(files_of(options.out) == whole);
    std::filesystem::remove_all(options.out);
  }
}

TEST_CASE("a store of other rules, events or options is refused") {
  World world(100);
  state::MemoryStore store;
  world.options.store = &store;
  REQUIRE(replay(world.options, world.rules).ok());
  ReplayOptions other = world.options;
  other.lateness = Duration::seconds(1);
  const Result<ReplaySummary> refused = replay(other, world.rules);
  REQUIRE(!refused.ok());
  CHECK(refused.error().text.find("other rules, events or options") != std::string::npos);
}

TEST_CASE("a directory that holds something else is refused, an earlier replay's is overwritten") {
  World world(100);
  REQUIRE(replay(world.options, world.rules).ok());
  REQUIRE(replay(world.options, world.rules).ok());
  std::ofstream(world.options.out + "/thesis.txt") << "precious";
  const auto before = files_of(world.options.out);
  const Result<ReplaySummary> refused = replay(world.options, world.rules);
  REQUIRE(!refused.ok());
  CHECK(refused.error().text.find("thesis.txt") != std::string::npos);
  CHECK(files_of(world.options.out) == before);
}

constexpr const char* absence_text = R"(
entity user
event a { key id : string  time at : time  user : user }
event x { key id : string  time at : time  user : user }
rule quiet per user { sequence { a then no x for 10m } }
)";

TEST_CASE("the end of the input is not silence; --until lets time pass") {
  const tests::TemporaryDirectory directory;
  const engine::Rules rules = engine::rules_of_text("t.risk", absence_text);
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  std::ofstream(directory.path("e.ndjson")) << R"({"type":"a","id":"a1","at":"2026-01-05T10:00:00Z","user":"u1"})"
                                            << "\n"
                                            << R"({"type":"a","id":"a2","at":"2026-01-05T10:10:00Z","user":"u2"})"
                                            << "\n";
  ReplayOptions options;
  options.events = {directory.path("e.ndjson")};
  options.out = directory.path("out");
  const Result<ReplaySummary> summary = replay(options, rules.ruleset);
  REQUIRE(summary.ok());
  CHECK(summary.value().counters.hits_by_rule.empty());
  REQUIRE(summary.value().undecided.size() == 2);
  CHECK(to_text(summary.value().undecided[0].deadline) == "2026-01-05T10:10:00Z");
  CHECK(summary.value().undecided[1].key == R"({"user":"u2"})");
  const Json json = *parse_json(tests::read_file(options.out + "/summary.json"));
  CHECK(json["undecided"].items.size() == 2);
  CHECK(json["first_event_time"].text == "2026-01-05T10:00:00Z");
  CHECK(json["last_event_time"].text == "2026-01-05T10:10:00Z");

  options.until = *parse_timestamp("2026-01-05T10:15:00Z");
  const Result<ReplaySummary> later = replay(options, rules.ruleset);
  REQUIRE(later.ok());
  CHECK(later.value().counters.hits_by_rule.at("quiet") == 1);
  REQUIRE(later.value().undecided.size() == 1);
}

TEST_CASE("several files are one stream in the order of time, each a partition by its place") {
  const tests::TemporaryDirectory directory;
  const engine::Rules rules = engine::rules_of_text("t.risk", R"(
entity user
event a { key id : string  time at : time  user : user }
event b { key id : string  time at : time  user : user }
rule r per user { sequence within 1h { a then b } }
)");
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  std::ofstream(directory.path("1.ndjson")) << R"({"type":"b","id":"b1","at":"2026-01-05T10:05:00Z","user":"u1"})"
                                            << "\n"
                                            << R"({"type":"b","id":"b2","at":"2026-01-05T12:00:00Z","user":"u2"})"
                                            << "\n";
  std::ofstream(directory.path("2.ndjson")) << R"({"type":"a","id":"a1","at":"2026-01-05T10:00:00Z","user":"u1"})"
                                            << "\n"
                                            << R"({"type":"a","id":"a2","at":"2026-01-05T11:30:00Z","user":"u2"})"
                                            << "\n";
  ReplayOptions options;
  options.events = {directory.path("1.ndjson"), directory.path("2.ndjson")};
  options.out = directory.path("out");
  const Result<ReplaySummary> summary = replay(options, rules.ruleset);
  REQUIRE(summary.ok());
  CHECK(summary.value().counters.hits_by_rule.at("r") == 2);
  CHECK(summary.value().counters.late == 0);
}

TEST_CASE("events that are not there are an error in words") {
  World world(10);
  world.options.events = {world.directory.path("nothing.ndjson")};
  const Result<ReplaySummary> refused = replay(world.options, world.rules);
  REQUIRE(!refused.ok());
  CHECK(refused.error().text.find("nothing.ndjson") != std::string::npos);
  CHECK(!std::filesystem::exists(world.options.out));
}

TEST_CASE("an empty file gives empty results") {
  World world(0);
  const Result<ReplaySummary> summary = replay(world.options, world.rules);
  REQUIRE(summary.ok());
  CHECK(summary.value().intake.records == 0);
  CHECK(tests::read_file(world.options.out + "/hits.ndjson").empty());
  CHECK(parse_json(tests::read_file(world.options.out + "/summary.json")).has_value());
}

}  // namespace
}  // namespace tocsin::replay
