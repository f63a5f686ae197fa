// Both stores keep the same promises; the one on disk also through kill -9, damage and mistakes of the operator.
#include "state/rocks_store.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/hash.h"
#include "state/memory_store.h"
#include "state/records.h"
#include "tests/support/temporary.h"

namespace tocsin::state {
namespace {

namespace fs = std::filesystem;

std::string number_in(const Store& store, const std::string& key) {
  const auto found = store.get(key);
  REQUIRE(found.ok());
  return found.value().value_or("none");
}

std::map<std::string, std::string> all_of(const Store& store, const std::string& prefix) {
  std::map<std::string, std::string> out;
  CHECK(store
            .scan(prefix,
                  [&](std::string_view key, std::string_view value) {
                    out.emplace(key, value);
                    return true;
                  })
            .ok());
  return out;
}

/// Commit number `i` of the kill test: positions and all keys say `i`; a slab is deleted and one made in every commit.
WriteSet numbered_commit(std::uint64_t i) {
  const std::string n = std::to_string(i);
  WriteSet changes;
  for (std::uint64_t k = 0; k < 20; ++k)
    changes.put(slab_record({1, "key " + std::to_string(k)}), n + std::string(200, ' '));
  changes.put(slab_record({2, n}), n);
  if (i > 0) changes.erase(slab_record({2, std::to_string(i - 1)}));
  changes.put(meta_record("positions"), n);
  return changes;
}

/// Half of the commits above the bound, so that log and ingested files alternate. Commit sizes are made to differ by
/// the loop.
RocksOptions small_options() {
  RocksOptions options;
  options.ingest_above_bytes = 6000;
  options.ingest_file_bytes = 2000;
  options.memtable_bytes = 256U << 10U;
  options.cache_bytes = 1U << 20U;
  return options;
}

constexpr const char* child_directory = "TOCSIN_TEST_STORE_CHILD";
constexpr int acknowledgements = 9;  // the child's end of the pipe; its standard output belongs to doctest
constexpr const char* child_case = "child of the kill test";

}  // namespace

TEST_CASE("child of the kill test") {
  // Nothing unless the kill test started this process.
  // Commits until it is killed, and tells its parent the number of each commit that returned.
  const char* directory = std::getenv(child_directory);
  if (directory == nullptr) return;
  auto opened = open_rocks_store(directory, small_options());
  REQUIRE(opened.ok());
  Store& store = *opened.value();
  const auto before = store.get(meta_record("positions"));
  REQUIRE(before.ok());
  std::uint64_t i = before.value() ? std::stoull(*before.value()) + 1 : 0;
  for (;; ++i) {
    WriteSet changes = numbered_commit(i);
    if (i % 3 == 0) changes.put(slab_record({3, "large"}), std::string(6000, 'x'));
    if (!store.commit(changes).ok()) std::_Exit(3);
    if (::write(acknowledgements, &i, sizeof i) != sizeof i) std::_Exit(4);
  }
}

TEST_CASE("after kill -9 state and positions are of one commit, and no acknowledged one is lost") {
  const tests::TemporaryDirectory directory;
  const std::string store_path = directory.path("store");
  std::mt19937_64 random(7);
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    // The child becomes a fresh program: threads of RocksDB do not survive a fork.
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::dup2(ends[1], acknowledgements);
      ::close(ends[0]);
      ::close(ends[1]);
      ::dup2(::open("/dev/null", O_WRONLY), STDOUT_FILENO);
      ::setenv(child_directory, store_path.c_str(), 1);
      const std::string filter = std::string("--test-case=") + child_case;
      ::execl("/proc/self/exe", "tests_state", filter.c_str(), static_cast<char*>(nullptr));
      std::_Exit(5);
    }
    ::close(ends[1]);
    std::string came;
    char buffer[4096];
    const auto stop = std::chrono::steady_clock::now() + std::chrono::milliseconds(60 + random() % 150);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    bool killed = false;
    for (;;) {
      const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
      if (n > 0) came.append(buffer, static_cast<std::size_t>(n));
      if (n == 0) break;
      // Not before the first commits, so that there is something to compare.
      if (!killed && std::chrono::steady_clock::now() > stop && (came.size() > 400 || round > 0)) {
        ::kill(child, SIGKILL);
        killed = true;
      }
      if (n < 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    std::uint64_t acknowledged = 0;
    if (came.size() >= 8) std::memcpy(&acknowledged, came.data() + came.size() / 8 * 8 - 8, 8);

    auto opened = open_rocks_store(store_path, small_options());
    if (!opened) MESSAGE(opened.error().text);
    REQUIRE(opened.ok());
    const std::string positions = number_in(*opened.value(), meta_record("positions"));
    if (positions == "none") continue;  // killed before its first commit
    CHECK(std::stoull(positions) >= acknowledged);
    for (const auto& [key, value] : all_of(*opened.value(), records_of(RecordType::slab, 1))) {
      CHECK(value.substr(0, value.find(' ')) == positions);
    }
    const auto numbered = all_of(*opened.value(), records_of(RecordType::slab, 2));
    CHECK(numbered.size() == 1);
    CHECK(numbered.begin()->second == positions);
  }
}

TEST_CASE("both stores do the same") {
  CHECK(rc::check("random commits, small and large, with restarts", [](std::uint64_t seed) {
    // A store costs some milliseconds to open; a few cases tell as much as many.
    if (seed % 8 != 0) return;
    std::mt19937_64 random(seed);
    const tests::TemporaryDirectory directory;
    MemoryStore memory;
    auto rocks = open_rocks_store(directory.path("s"), small_options()).take();
    for (int i = 0; i < 12; ++i) {
      WriteSet changes;
      const std::size_t writes = 1 + random() % 60;
      for (std::size_t w = 0; w < writes; ++w) {
        const std::string key = slab_record({random() % 2, "key " + std::to_string(random() % 30)});
        if (random() % 3 == 0) {
          changes.erase(key);
        } else {
          changes.put(key, std::string(random() % 300, static_cast<char>('a' + random() % 26)));
        }
      }
      const auto before = all_of(memory, records_of(RecordType::slab));
      std::unique_ptr<Cursor> cursor = rocks->cursor();
      RC_ASSERT(memory.commit(changes).ok());
      RC_ASSERT(rocks->commit(changes).ok());
      if (random() % 4 == 0) {
        const std::string begin = slab_record({random() % 2, "key " + std::to_string(random() % 30)});
        const std::string end = slab_record({random() % 2, "key " + std::to_string(random() % 30)});
        if (begin < end) {
          RC_ASSERT(memory.erase_range(begin, end).ok());
          RC_ASSERT(rocks->erase_range(begin, end).ok());
        }
      }
      std::map<std::string, std::string> walked;
      const std::string slabs = records_of(RecordType::slab);
      for (bool found = cursor->seek(slabs); found && cursor->key().starts_with(slabs); found = cursor->next())
        walked.emplace(cursor->key(), cursor->value());
      RC_ASSERT(cursor->status().ok());
      RC_ASSERT(walked == before);  // as it was when the cursor was made
      cursor.reset();
      if (random() % 4 == 0) {
        rocks.reset();
        rocks = open_rocks_store(directory.path("s"), small_options()).take();
      }
      RC_ASSERT(all_of(memory, records_of(RecordType::slab)) == all_of(*rocks, records_of(RecordType::slab)));
      RC_ASSERT(all_of(memory, records_of(RecordType::slab, 1)) == all_of(*rocks, records_of(RecordType::slab, 1)));
      const std::string key = slab_record({1, "key 3"});
      RC_ASSERT(memory.get(key).value() == rocks->get(key).value());
    }
  }));
}

TEST_CASE("a scan ends where it is told to") {
  const tests::TemporaryDirectory directory;
  MemoryStore memory;
  auto rocks = open_rocks_store(directory.path("s")).take();
  for (Store* store : {static_cast<Store*>(&memory), rocks.get()}) {
    WriteSet changes;
    for (int i = 0; i < 5; ++i) changes.put(meta_record("n" + std::to_string(i)), "v");
    changes.sync = true;
    CHECK(store->commit(changes).ok());
    int seen = 0;
    CHECK(store->scan(meta_record("n"), [&](std::string_view, std::string_view) { return ++seen < 3; }).ok());
    CHECK(seen == 3);
  }
}

TEST_CASE("the store in memory fails when told to, and then holds what it held") {
  MemoryStore store;
  store.fail_at(2);
  CHECK(store.commit(numbered_commit(0)).ok());
  CHECK_FALSE(store.commit(numbered_commit(1)).ok());
  CHECK_FALSE(store.commit(numbered_commit(1)).ok());
  CHECK(number_in(store, meta_record("positions")) == "0");
  store.fail_never();
  CHECK(store.commit(numbered_commit(1)).ok());
  CHECK(number_in(store, meta_record("positions")) == "1");
}

TEST_CASE("what is no store of ours is refused and not touched") {
  const tests::TemporaryDirectory directory;
  const auto refused = [&](const std::string& path, ErrorKind kind, const std::string& part) {
    const auto opened = open_rocks_store(path);
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().kind == kind);
    INFO(opened.error().text);
    CHECK(opened.error().text.find(part) != std::string::npos);
  };
  const auto write = [](const std::string& path, const std::string& text) { std::ofstream(path) << text; };

  // A RocksDB database of somebody else: a store of ours without its STORE, one level down.
  { CHECK(open_rocks_store(directory.path("ours")).ok()); }
  refused(directory.path("ours/db"), ErrorKind::refused, "RocksDB database that tocsin did not make");

  fs::create_directory(directory.path("letters"));
  write(directory.path("letters/letter.txt"), "dear");
  refused(directory.path("letters"), ErrorKind::refused, "holds other files (letter.txt)");

  write(directory.path("file"), "x");
  refused(directory.path("file"), ErrorKind::refused, "is a file");
  refused(directory.path("file/below"), ErrorKind::refused, "cannot make the store");
  refused("/proc/tocsin_store", ErrorKind::refused, "cannot make the store");

  write(directory.path("ours/STORE"), "tocsin store\nformat 2\ncreated by tocsin 9\n");
  refused(directory.path("ours"), ErrorKind::refused, "format 2, and this version knows formats up to 1");
  write(directory.path("ours/STORE"), "tocsin store\nformat one\n");
  refused(directory.path("ours"), ErrorKind::corrupt, "names no format");
  write(directory.path("ours/STORE"), "something else\n");
  refused(directory.path("ours"), ErrorKind::refused, "is not a store of tocsin");
  write(directory.path("ours/STORE"), "tocsin store\nformat 1\ncreated by test\n");
  CHECK(open_rocks_store(directory.path("ours")).ok());
}

TEST_CASE("a store is open once") {
  const tests::TemporaryDirectory directory;
  auto first = open_rocks_store(directory.path("s"));
  REQUIRE(first.ok());
  const auto second = open_rocks_store(directory.path("s"));
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().kind == ErrorKind::refused);
  CHECK(second.error().text.find("open in another process") != std::string::npos);
  first.take().reset();
  CHECK(open_rocks_store(directory.path("s")).ok());
}

TEST_CASE("a damaged store is refused, and one half made is finished") {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path("s");
  {
    auto store = open_rocks_store(path, small_options()).take();
    for (std::uint64_t i = 0; i < 5; ++i) {
      WriteSet changes = numbered_commit(i);
      changes.put(slab_record({3, "large"}), std::string(6000, 'x'));  // into files
      CHECK(store->commit(changes).ok());
    }
  }
  CHECK(fs::is_empty(path + "/ingest"));
  std::string file;
  for (const auto& entry : fs::directory_iterator(path + "/db")) {
    if (entry.path().extension() == ".sst") file = entry.path().string();
  }
  REQUIRE_FALSE(file.empty());
  const auto damaged = [&] {
    auto opened = open_rocks_store(path, small_options());
    if (!opened) {
      CHECK(opened.error().kind == ErrorKind::corrupt);
      CHECK(opened.error().text.find("put back a backup") != std::string::npos);
      return;
    }
    const Status scanned = opened.value()->scan("", [](std::string_view, std::string_view) { return true; });
    REQUIRE_FALSE(scanned.ok());
    CHECK(scanned.error().kind == ErrorKind::corrupt);
  };
  const std::string kept = directory.path("kept");
  fs::copy_file(file, kept);
  {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(20);
    bytes << "damage";
  }
  damaged();
  fs::remove(file);
  damaged();
  fs::copy_file(kept, file);
  { CHECK(open_rocks_store(path, small_options()).ok()); }
  fs::rename(path + "/db", path + "/gone");
  damaged();

  // Killed between STORE.new and STORE.
  fs::create_directory(directory.path("half"));
  std::ofstream(directory.path("half/STORE.new")) << "tocsin st";
  { CHECK(open_rocks_store(directory.path("half")).ok()); }
  CHECK(fs::exists(directory.path("half/STORE")));
  CHECK(open_rocks_store(directory.path("half")).ok());
}

}  // namespace tocsin::state
