#include "daemon/task.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "daemon/stdin_source.h"
#include "state/memory_store.h"
#include "state/records.h"

using namespace tocsin;
using namespace tocsin::daemon;

namespace {

const char* const schema_text = R"(
entity user
event login {
  key  id : string
  time at : time
  user : user
}
event pay {
  key  id : string
  time at : time
  user : user
  amount : decimal
}
)";
const char* const big_rule = R"(
rule big on pay {
  when amount > 100
  decide review
  because "{amount}"
}
)";
const char* const counting_rule = R"(
rule counted on pay {
  severity info
  when amount > 0
  because "{count from pay per user in last 30m}, {max(amount) from pay per user in last 30m}"
}
)";
const char* const row_rule = R"(
rule row per user {
  sequence within 1h {
    pay as a where a.amount == 1
    then pay as b where b.amount == 2
  }
  because "{a.id} {b.id}"
}
)";
const char* const silence_rule = R"(
rule silence per user {
  sequence {
    login as l
    then no pay for 10m
  }
  because "{l.id}"
}
)";

RulesLoaded rules_of(const std::string& rules) { return rules_of_texts({{"t.risk", schema_text + rules}}); }

std::string two_digits(int n) { return (n < 10 ? "0" : "") + std::to_string(n); }
/// Second `second` of the hour from 10:00.
std::string at(int second) { return "2026-01-05T10:" + two_digits(second / 60) + ":" + two_digits(second % 60) + "Z"; }
std::string pay(const std::string& id, int second, const std::string& user, int amount) {
  return R"({"type":"pay","id":")" + id + R"(","at":")" + at(second) + R"(","user":")" + user + R"(","amount":)" +
         std::to_string(amount) + "}";
}
std::string login(const std::string& id, int second, const std::string& user) {
  return R"({"type":"login","id":")" + id + R"(","at":")" + at(second) + R"(","user":")" + user + "\"}";
}

/// The world outside: what was delivered, and what of it is safe. Keeps the order of things.
class RecordingCommit final : public engine::Commit {
 public:
  explicit RecordingCommit(state::MemoryStore& store) : store_(store) {}
  Status deliver(const engine::Outbox& outbox) override {
    for (const engine::OutRecord& record : outbox.records) {
      delivered.push_back(std::string(engine::out_stream_names[static_cast<std::size_t>(record.stream)]) + " " +
                          record.bytes);
    }
    return {};
  }
  Status seal(state::WriteSet&) override {
    // The store may hold nothing yet of what comes with this checkpoint.
    log.push_back("safe " + std::to_string(delivered.size()) + " commits " + std::to_string(store_.commits()));
    if (fail) return Error{ErrorKind::unavailable, "the sink is gone"};
    safe = delivered.size();
    return {};
  }
  Status settle(const state::WriteSet& writes) override {
    while (hold_up.load()) std::this_thread::yield();
    return store_.commit(writes);
  }
  [[nodiscard]] std::size_t count_with(const std::string& part) const {
    return static_cast<std::size_t>(std::count_if(delivered.begin(), delivered.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    }));
  }
  [[nodiscard]] std::size_t count(const std::string& beginning) const {
    std::size_t n = 0;
    for (const std::string& line : delivered) n += line.starts_with(beginning) ? 1U : 0U;
    return n;
  }
  std::vector<std::string> delivered;
  std::vector<std::string> log;
  std::size_t safe = 0;
  bool fail = false;
  std::atomic<bool> hold_up{false};  // the disk is slow

 private:
  state::MemoryStore& store_;
};

/// A MemorySource that outlives tasks: what was sent can be read again.
struct Lines {
  explicit Lines(std::uint32_t partitions) : by_partition(partitions) {}
  std::vector<std::vector<std::string>> by_partition;
  std::vector<bool> finished = std::vector<bool>(8, false);
};

struct World {
  explicit World(std::uint32_t partitions = 1) : lines(partitions) {
    clock.set(*parse_timestamp("2026-03-01T00:00:00Z"));
  }

  void open(RulesLoaded rules, bool must = true) {
    auto source = std::make_unique<event::MemorySource>(static_cast<std::uint32_t>(lines.by_partition.size()));
    for (std::uint32_t p = 0; p < lines.by_partition.size(); ++p) {
      for (const std::string& line : lines.by_partition[p]) source->add(p, line);
      if (lines.finished[p]) source->finish(p);
    }
    memory = source.get();
    task.reset();
    feed = std::make_unique<SourceFeed>(std::move(source));
    TaskOptions options;
    options.engine.data_begins.kind = engine::DataBegins::Kind::complete;
    options.poll_wait = {};
    options.idle_after = Duration::seconds(30);
    options.checkpoint_interval = Duration::seconds(10);
    options.checkpoints_aside = aside;
    options.engine.history.all = history;
    Result<std::unique_ptr<Task>> started =
        Task::start(options, std::move(rules), [this] { return on_disk(); },
                    {*feed, commit, store, clock, [this](const Notice& n) { notices.emplace_back(n.code); }});
    if (!must) {
      error = started ? "" : started.error().text;
      return;
    }
    REQUIRE_MESSAGE(started.ok(), (started ? "" : started.error().text));
    task = started.take();
  }
  void send(const std::string& line, std::uint32_t partition = 0) {
    lines.by_partition[partition].push_back(line);
    memory->add(partition, line);
  }
  bool turn() {
    Result<bool> more = task->turn();
    REQUIRE_MESSAGE(more.ok(), (more ? "" : more.error().text));
    return more.value();
  }
  void pass(Duration time) { clock.set(clock.now() + time); }
  /// As kill -9: what is in memory is gone.
  void kill() { task.reset(); }
  void reload_and_wait() {
    task->reload();
    const std::uint64_t before = task->status().reload.ok + task->status().reload.failed;
    for (int i = 0; i < 2000 && task->status().reload.ok + task->status().reload.failed == before; ++i) {
      turn();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  [[nodiscard]] bool said(std::string_view code) const {
    return std::find(notices.begin(), notices.end(), code) != notices.end();
  }

  Lines lines;
  Duration history;    // so long are events kept
  bool aside = false;  // checkpoints of every interval are written beside the events
  ManualClock clock;
  state::MemoryStore store;
  RecordingCommit commit{store};
  std::unique_ptr<SourceFeed> feed;
  event::MemorySource* memory = nullptr;
  std::unique_ptr<Task> task;
  std::function<RulesLoaded()> on_disk = [] { return rules_of(big_rule); };
  std::vector<std::string> notices;
  std::string error;
};

}  // namespace

TEST_CASE("events in, decisions and alerts out; a poison message is a dead letter and the stream goes on") {
  World world;
  world.open(rules_of(big_rule));
  world.send(pay("p1", 0, "ann", 500));
  world.send("{ poison");
  world.send(pay("p2", 1, "ann", 5));
  world.turn();
  CHECK(world.commit.count("alerts") == 1);
  CHECK(world.commit.count("decisions") == 2);
  CHECK(world.commit.count("dead_letters") == 1);
  const TaskStatus status = world.task->status();
  CHECK(status.ready);
  CHECK(status.intake.records == 3);
  CHECK(status.intake.dead_letter_count() == 1);
  CHECK(status.rules.size() == 1);
}

TEST_CASE("a checkpoint is written beside the events, and is of the moment it was begun at") {
  World world;
  world.aside = true;
  world.open(rules_of(row_rule));
  const std::uint64_t commits = world.store.commits();
  constexpr int users = 3000;  // more than one piece
  for (int i = 0; i < users; ++i) world.send(pay("a" + std::to_string(i), 0, "user" + std::to_string(i), 1));
  world.turn();
  world.pass(Duration::seconds(11));
  world.commit.hold_up = true;
  world.send(pay("x", 1, "user0", 5));
  world.turn();  // its moment
  CHECK(world.store.commits() == commits);
  // Half of the sequences go on to their ends while it is on its way; the store must not know.
  for (int i = 0; i < users; i += 2) world.send(pay("b" + std::to_string(i), 2, "user" + std::to_string(i), 2));
  for (int turns = 0; turns < 20; ++turns) world.turn();
  CHECK(world.commit.count("hits") == users / 2);
  CHECK(world.store.commits() == commits);  // the disk has not answered
  const std::vector<std::string> before = world.commit.delivered;
  world.commit.hold_up = false;
  for (int turns = 0; turns < 2000 && world.task->status().checkpoint.count < 2; ++turns) {
    world.turn();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(world.store.commits() == commits + 1);
  world.kill();
  // What came behind its moment is judged again, with the same result.
  world.commit.delivered.clear();
  world.open(rules_of(row_rule));
  CHECK(world.task->status().intake.records == users + 1);
  world.turn();
  CHECK(world.commit.delivered == before);
}

TEST_CASE("what was delivered is safe before the store knows of it") {
  World world;
  world.open(rules_of(big_rule));
  const std::uint64_t commits = world.store.commits();
  world.send(pay("p1", 0, "ann", 500));
  world.turn();
  CHECK(world.store.commits() == commits);  // delivered, not yet checkpointed
  CHECK(world.commit.safe == 0);
  world.pass(Duration::seconds(11));
  world.turn();
  CHECK(world.store.commits() == commits + 1);
  CHECK(world.commit.safe == world.commit.delivered.size());

  SUBCASE("a sink that fails leaves the store as it was, and a restart sends again, byte for byte") {
    world.send(pay("p2", 1, "ann", 700));
    world.turn();
    const std::vector<std::string> first(
        world.commit.delivered.begin() + static_cast<std::ptrdiff_t>(world.commit.safe), world.commit.delivered.end());
    CHECK(first.size() == 3);
    world.commit.fail = true;
    world.pass(Duration::seconds(11));
    const Result<bool> turned = world.task->turn();
    CHECK_FALSE(turned.ok());
    CHECK(world.store.commits() == commits + 1);
    world.commit.fail = false;
    world.kill();
    world.commit.delivered.clear();
    world.open(rules_of(big_rule));
    world.turn();
    CHECK(world.commit.delivered == first);
  }
}

TEST_CASE("nothing new, no checkpoint") {
  World world;
  world.open(rules_of(big_rule));
  const std::uint64_t commits = world.store.commits();
  for (int i = 0; i < 5; ++i) {
    world.pass(Duration::seconds(4));
    world.turn();
  }
  CHECK(world.store.commits() == commits);
}

TEST_CASE("silence: an idle topic moves time on, and an absence is reported") {
  World world;
  world.open(rules_of(silence_rule));
  world.send(login("l1", 0, "ann"));
  world.turn();
  for (int i = 0; i < 60; ++i) {  // ten minutes: 30 s behind the wall clock the deadline is not reached yet
    world.pass(Duration::seconds(10));
    world.turn();
  }
  CHECK(world.commit.count("alerts") == 0);
  for (int i = 0; i < 6; ++i) {
    world.pass(Duration::seconds(10));
    world.turn();
  }
  CHECK(world.commit.count("alerts") == 1);
  CHECK(world.task->status().ticks > 0);
  CHECK(world.task->status().partitions[0].idle);

  SUBCASE("the tick is in the store: after a kill an event from before it is late, as it was") {
    world.kill();
    world.commit.delivered.clear();
    world.open(rules_of(silence_rule));
    CHECK(world.task->engine().watermark() >= *parse_timestamp(at(600)));
    world.send(pay("p1", 30, "ann", 1));
    world.turn();
    CHECK(world.task->status().counters.late == 1);
    CHECK(world.commit.count("alerts") <= 1);  // the same one again at most
  }
}

TEST_CASE("what the clock decided is written before it is carried out") {
  World world;
  world.open(rules_of(silence_rule));
  world.send(login("l1", 0, "ann"));
  world.turn();
  world.pass(Duration::seconds(11 * 60));
  world.turn();  // idle and the tick: a checkpoint first, then the alert
  REQUIRE(world.commit.count("alerts") == 1);
  CHECK(world.commit.safe < world.commit.delivered.size());
  const Result<std::optional<TaskRecord>> record = stored_task_record(world.store);
  REQUIRE(record.ok());
  REQUIRE(record.value());
  REQUIRE(record.value()->decided.size() == 2);
  CHECK(record.value()->decided[0].kind == Decided::Kind::idle);
  CHECK(record.value()->decided[1].kind == Decided::Kind::tick);
  const std::vector<std::string> first = world.commit.delivered;
  world.kill();
  world.commit.delivered.clear();
  world.send(pay("p1", 30, "ann", 1));  // would have prevented the alert, and came too late
  world.open(rules_of(silence_rule));
  world.turn();
  CHECK(world.commit.count("alerts") == 1);
  CHECK(world.commit.delivered[0] == first[0]);
}

TEST_CASE("one idle partition does not hold up the others") {
  World world(2);
  world.open(rules_of(big_rule));
  world.send(pay("p1", 0, "ann", 500), 0);
  world.turn();
  CHECK(world.commit.count("decisions") == 0);  // the second partition may still bring something earlier
  for (int i = 0; i < 4; ++i) {
    world.pass(Duration::seconds(10));
    world.send(pay("q" + std::to_string(i), i + 1, "ann", 5), 0);
    world.turn();
  }
  CHECK(world.commit.count("decisions") >= 4);
  CHECK(world.task->status().partitions[1].idle);
  CHECK_FALSE(world.task->status().partitions[0].idle);
}

TEST_CASE("a reload keeps the state of what means the same, and a bad file keeps the old rules") {
  World world;
  world.open(rules_of(row_rule));
  world.send(pay("p1", 0, "ann", 1));
  world.turn();

  SUBCASE("changed rules go live beside the kept sequence") {
    world.on_disk = [] { return rules_of(std::string(row_rule) + big_rule); };
    world.reload_and_wait();
    CHECK(world.task->status().reload.ok == 1);
    CHECK(world.task->status().rules.size() == 2);
    world.send(pay("p2", 1, "ann", 2));
    world.send(pay("p3", 2, "ann", 200));
    world.turn();
    CHECK(world.commit.count("hits") == 2);

    SUBCASE("a restart goes on with them although the files are bad by now") {
      world.kill();
      RulesLoaded bad;
      bad.messages = "error: nothing";
      world.open(std::move(bad));
      CHECK(world.task->status().rules.size() == 2);
      CHECK(world.task->status().reload.failed == 1);
      CHECK_FALSE(world.task->status().reload.last_error.empty());
    }
    SUBCASE("a restart finds newer files and swaps at once") {
      world.kill();
      world.open(rules_of(row_rule));
      CHECK(world.task->status().rules.size() == 1);
      CHECK(world.task->status().resumed);
    }
  }
  SUBCASE("a bad file") {
    const std::string digest = world.task->status().digest;
    world.on_disk = [] { return rules_of("rule broken on pay { when amout > 3 }"); };
    world.reload_and_wait();
    const TaskStatus status = world.task->status();
    CHECK(status.reload.failed == 1);
    CHECK(status.reload.last_error.find("amout") != std::string::npos);
    CHECK(status.digest == digest);
    CHECK(world.said("reload_failed"));
    world.send(pay("p2", 1, "ann", 2));
    world.turn();
    CHECK(world.commit.count("hits") == 1);
    world.on_disk = [] { return rules_of(row_rule); };
    world.reload_and_wait();
    CHECK(world.task->status().reload.last_error.empty());
  }
  SUBCASE("nothing changed") {
    world.on_disk = [] { return rules_of(row_rule); };
    world.reload_and_wait();
    CHECK(world.task->status().reload.ok == 1);
    world.send(pay("p2", 1, "ann", 2));
    world.turn();
    CHECK(world.commit.count("hits") == 1);
  }
}

TEST_CASE("an activation that was decided is carried out by the restart at the same place") {
  World world;
  world.open(rules_of(row_rule));
  world.send(pay("p1", 0, "ann", 500));
  world.turn();
  world.on_disk = [] { return rules_of(std::string(row_rule) + big_rule); };
  // The commit behind the decision is the last that succeeds: as if the process was killed right after it.
  world.task->reload();
  world.store.fail_at(2);
  bool failed = false;
  for (int i = 0; i < 2000 && !failed; ++i) {
    failed = !world.task->turn().ok();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(failed);
  world.store.fail_never();
  world.kill();
  world.open(rules_of(std::string(row_rule) + big_rule));
  CHECK(world.task->status().rules.size() == 2);
  CHECK(world.task->status().reload.failed == 0);
  world.send(pay("p2", 1, "ann", 600));
  world.turn();
  CHECK(world.commit.count("hits") == 1);
}

TEST_CASE("a reload fills the windows of new rules from the history, beside the events") {
  World world;
  world.history = Duration::days(30);
  world.open(rules_of(big_rule));
  for (int i = 0; i < 5; ++i) world.send(pay("p" + std::to_string(i), i, "ann", 7 - i));
  world.turn();
  world.on_disk = [] { return rules_of(std::string(big_rule) + counting_rule); };

  SUBCASE("what was judged before the last checkpoint and behind it") {
    world.pass(Duration::seconds(11));
    world.turn();
    world.send(pay("p5", 5, "ann", 1));
    world.turn();
    world.reload_and_wait();
    const FillStatus fill = world.task->status().reload.fill;
    CHECK(fill.filled.size() == 2);
    CHECK(fill.warming.empty());
    CHECK(fill.events == 6);
    CHECK(world.task->status().warming.empty());
    world.send(pay("p6", 6, "ann", 2));
    world.turn();
    CHECK(world.commit.count_with(R"("because":"7, 7")") == 1);

    SUBCASE("and a second reload, longer windows too") {
      std::string longer = counting_rule;
      longer.replace(longer.find("30m}, "), 3, "50m");
      world.on_disk = [longer] { return rules_of(std::string(big_rule) + longer); };
      world.reload_and_wait();
      CHECK(world.task->status().reload.fill.filled == std::vector<std::string>{"count from pay per user in last 50m"});
      world.send(pay("p7", 7, "ann", 2));
      world.turn();
      CHECK(world.commit.count_with(R"("because":"8, 7")") == 1);
    }
  }
  SUBCASE("killed between the decision and the swap, a restart fills them at the same place") {
    world.task->reload();
    world.store.fail_at(2);
    bool failed = false;
    for (int i = 0; i < 2000 && !failed; ++i) {
      failed = !world.task->turn().ok();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    REQUIRE(failed);
    world.store.fail_never();
    world.kill();
    world.open(rules_of(std::string(big_rule) + counting_rule));
    CHECK(world.task->status().reload.fill.filled.size() == 2);
    world.send(pay("p6", 6, "ann", 2));
    world.turn();
    CHECK(world.commit.count_with(R"("because":"6, 7")") == 1);
  }
  SUBCASE("killed while they are filled, a restart finds the new files and fills them at once") {
    world.task->reload();
    for (int i = 0; i < 2000 && !world.task->status().reload.fill.running; ++i) {
      world.turn();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(world.task->status().reload.fill.running);
    CHECK(world.task->status().rules.size() == 1);
    world.kill();
    world.open(rules_of(std::string(big_rule) + counting_rule));
    CHECK(world.task->status().rules.size() == 2);
    CHECK(world.task->status().warming.empty());
    world.send(pay("p6", 6, "ann", 2));
    world.turn();
    CHECK(world.commit.count_with(R"("because":"6, 7")") == 1);
  }
  SUBCASE("newer files while they are filled: the last ones go live") {
    world.task->reload();
    for (int i = 0; i < 2000 && !world.task->status().reload.fill.running; ++i) {
      world.turn();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    world.on_disk = [] { return rules_of(std::string(counting_rule)); };
    world.reload_and_wait();
    CHECK(world.task->status().rules.size() == 1);
    CHECK(world.task->status().reload.ok == 1);
    CHECK(world.task->status().reload.fill.filled.size() == 2);
  }
  SUBCASE("a damaged history: the rules go live, their windows warm, and it is said") {
    world.pass(Duration::seconds(11));
    world.turn();
    state::WriteSet damage;
    for (const auto& [key, value] : world.store.records()) {
      if (key.starts_with("\x12")) damage.put(key, value.substr(1));
    }
    REQUIRE(damage.writes.size() == 1);
    REQUIRE(world.store.commit(damage).ok());
    world.reload_and_wait();
    const TaskStatus status = world.task->status();
    CHECK(status.rules.size() == 2);
    CHECK(status.reload.ok == 1);
    CHECK(status.reload.fill.failed == 1);
    CHECK(status.reload.fill.last_error.find("damaged") != std::string::npos);
    CHECK(status.reload.fill.warming.size() == 2);
    CHECK(status.warming.size() == 2);
    CHECK(world.said("fill_failed"));
  }
}

TEST_CASE("without a history windows of new rules warm, and it is said why") {
  World world;
  world.open(rules_of(big_rule));
  world.send(pay("p0", 0, "ann", 7));
  world.turn();
  world.on_disk = [] { return rules_of(std::string(big_rule) + counting_rule); };
  world.reload_and_wait();
  const std::vector<std::string> warming = world.task->status().reload.fill.warming;
  REQUIRE(warming.size() == 2);
  CHECK(warming[0] ==
        "count from pay per user in last 30m: until 2026-01-05T10:30:00Z, because no history of `pay` is kept");
}

TEST_CASE("a kill at every place gives what one run gives") {
  std::vector<std::string> lines;
  for (int i = 0; i < 60; ++i) {
    const std::string user = "u" + std::to_string(i % 3);
    lines.push_back(i % 7 == 6 ? login("l" + std::to_string(i), i * 10, user)
                               : pay("p" + std::to_string(i), i * 10, user, 1 + i % 2));
  }
  const std::string rules = std::string(row_rule) + big_rule + silence_rule;
  std::set<std::string> whole;
  {
    World world;
    world.open(rules_of(rules));
    for (const std::string& line : lines) world.send(line);
    world.turn();
    whole.insert(world.commit.delivered.begin(), world.commit.delivered.end());
    REQUIRE(whole.size() > 10);
  }
  for (std::size_t killed_at = 1; killed_at < lines.size(); killed_at += 3) {
    World world;
    world.open(rules_of(rules));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      world.send(lines[i]);
      world.turn();
      if (i % 4 == 2) world.pass(Duration::seconds(11));  // a checkpoint in the next turn
      if (i != killed_at) continue;
      world.kill();
      world.open(rules_of(rules));
    }
    const std::set<std::string> all(world.commit.delivered.begin(), world.commit.delivered.end());
    CHECK(all == whole);
  }
}

TEST_CASE("when all input has ended time comes to the last event and no further, and a checkpoint holds all") {
  World world;
  world.open(rules_of(std::string(big_rule) + silence_rule));
  world.send(login("l1", 0, "ann"));
  world.send(pay("p1", 5, "bob", 500));
  world.memory->finish();
  world.lines.finished[0] = true;
  bool more = true;
  for (int i = 0; i < 5 && more; ++i) more = world.turn();
  CHECK_FALSE(more);
  CHECK(world.commit.safe == world.commit.delivered.size());
  CHECK(world.commit.count("alerts") == 1);
  CHECK(world.task->engine().undecided().size() == 1);
  const std::size_t delivered = world.commit.delivered.size();
  world.kill();
  world.open(rules_of(std::string(big_rule) + silence_rule));
  CHECK_FALSE(world.turn());
  CHECK(world.commit.delivered.size() == delivered);
}

TEST_CASE("without rules there is nothing to run") {
  World world;
  RulesLoaded none;
  none.messages = "error[E0203]: …";
  world.open(std::move(none), false);
  CHECK(world.error.find("E0203") != std::string::npos);
}

TEST_CASE("the task's record reads back, and other bytes do not") {
  TaskRecord record;
  record.partitions = {{"events/0", 0}, {"events/1", 77}};
  record.largest_time = Timestamp{5};
  record.largest_at = Timestamp{6};
  record.decided.push_back({Decided::Kind::tick, 0, Timestamp{9}, {}});
  record.decided.push_back({Decided::Kind::activation, 0, {}, {{"a.risk", "entity user"}}});
  const std::string bytes = encode(record);
  const std::optional<TaskRecord> back = decode_task_record(bytes);
  REQUIRE(back);
  CHECK(back->partitions == record.partitions);
  CHECK(back->decided.size() == 2);
  CHECK(back->decided[1].rules[0].text == "entity user");
  CHECK(encode(*back) == bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decode_task_record(bytes.substr(0, size)));
  CHECK_FALSE(decode_task_record(bytes + "x"));
  state::MemoryStore store;
  state::WriteSet writes;
  writes.put(state::meta_record("task"), "nonsense");
  REQUIRE(store.commit(writes).ok());
  const Result<std::optional<TaskRecord>> stored = stored_task_record(store);
  REQUIRE_FALSE(stored.ok());
  CHECK(stored.error().kind == ErrorKind::corrupt);
}
