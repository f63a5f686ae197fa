#include "engine/run/file_commit.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "state/memory_store.h"
#include "tests/support/stream.h"
#include "tests/support/temporary.h"

namespace tocsin::engine {
namespace {

using Existing = FileCommit::Existing;

Outbox hit(const std::string& bytes) {
  Outbox out;
  out.add(OutStream::hits, "k", bytes);
  return out;
}

TEST_CASE("records stand in the file of their stream, one a line") {
  const tests::TemporaryDirectory directory;
  Outbox out = hit("{1}");
  out.add(OutStream::decisions, "k", "{2}");
  out.add(OutStream::hits, "k", "{3}");
  auto commit = FileCommit::open(directory.path("out"), nullptr, Existing::refuse).take();
  REQUIRE(commit->deliver(out).ok());
  CHECK(commit->lengths() == std::array<std::uint64_t, 4>{8, 0, 4, 0});
  state::WriteSet writes;
  REQUIRE(commit->checkpoint(writes).ok());
  CHECK(tests::read_file(directory.path("out/hits.ndjson")) == "{1}\n{3}\n");
  CHECK(tests::read_file(directory.path("out/alerts.ndjson")).empty());
  CHECK(tests::read_file(directory.path("out/decisions.ndjson")) == "{2}\n");
}

TEST_CASE("what was written behind the last checkpoint is cut off") {
  const tests::TemporaryDirectory directory;
  state::MemoryStore store;
  {
    auto commit = FileCommit::open(directory.path("out"), &store, Existing::refuse).take();
    REQUIRE(commit->deliver(hit("{1}")).ok());
    state::WriteSet writes;
    REQUIRE(commit->checkpoint(writes).ok());
    REQUIRE(commit->deliver(hit("{2}")).ok());
    REQUIRE(commit->flush().ok());
  }
  CHECK(tests::read_file(directory.path("out/hits.ndjson")) == "{1}\n{2}\n");
  auto commit = FileCommit::open(directory.path("out"), &store, Existing::refuse).take();
  CHECK(tests::read_file(directory.path("out/hits.ndjson")) == "{1}\n");
  REQUIRE(commit->deliver(hit("{3}")).ok());
  REQUIRE(commit->flush().ok());
  CHECK(tests::read_file(directory.path("out/hits.ndjson")) == "{1}\n{3}\n");
}

TEST_CASE("a kill before the first checkpoint leaves files that are known to be ours") {
  const tests::TemporaryDirectory directory;
  state::MemoryStore store;
  {
    auto commit = FileCommit::open(directory.path("out"), &store, Existing::refuse).take();
    REQUIRE(commit->deliver(hit("{1}")).ok());
    REQUIRE(commit->flush().ok());
  }
  auto commit = FileCommit::open(directory.path("out"), &store, Existing::refuse);
  REQUIRE(commit.ok());
  CHECK(tests::read_file(directory.path("out/hits.ndjson")).empty());
}

TEST_CASE("files that are not ours are refused or replaced, as asked") {
  const tests::TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path("out"));
  std::ofstream(directory.path("out/hits.ndjson")) << "precious\n";
  state::MemoryStore store;
  const auto refused = FileCommit::open(directory.path("out"), &store, Existing::refuse);
  REQUIRE(!refused.ok());
  CHECK(refused.error().text.find("knows nothing of") != std::string::npos);
  CHECK(tests::read_file(directory.path("out/hits.ndjson")) == "precious\n");
  REQUIRE(FileCommit::open(directory.path("out"), &store, Existing::replace).ok());
  CHECK(tests::read_file(directory.path("out/hits.ndjson")).empty());
}

TEST_CASE("a file that became shorter than its checkpoint is refused") {
  const tests::TemporaryDirectory directory;
  state::MemoryStore store;
  {
    auto commit = FileCommit::open(directory.path("out"), &store, Existing::refuse).take();
    REQUIRE(commit->deliver(hit("{1}")).ok());
    state::WriteSet writes;
    REQUIRE(commit->checkpoint(writes).ok());
  }
  std::filesystem::resize_file(directory.path("out/hits.ndjson"), 1);
  const auto refused = FileCommit::open(directory.path("out"), &store, Existing::refuse);
  REQUIRE(!refused.ok());
  CHECK(refused.error().kind == ErrorKind::corrupt);
}

TEST_CASE("a store that fails fails the checkpoint, and the lengths stay those of before") {
  const tests::TemporaryDirectory directory;
  state::MemoryStore store;
  {
    auto commit = FileCommit::open(directory.path("out"), &store, Existing::refuse).take();
    REQUIRE(commit->deliver(hit("{1}")).ok());
    store.fail_at(1);
    state::WriteSet writes;
    CHECK(!commit->checkpoint(writes).ok());
    store.fail_never();
  }
  REQUIRE(FileCommit::open(directory.path("out"), &store, Existing::refuse).ok());
  CHECK(tests::read_file(directory.path("out/hits.ndjson")).empty());
}

}  // namespace
}  // namespace tocsin::engine
