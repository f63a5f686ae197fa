#include "daemon/feed.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "daemon/stdin_source.h"
#include "daemon/stdout_commit.h"
#include "event/decode.h"
#include "tests/support/temporary.h"

using namespace tocsin;
using namespace tocsin::daemon;

namespace {

engine::Intake some_intake() {
  static event::Schema schema;
  Result<engine::Intake> intake = engine::Intake::make(schema, {event::SourceFormat{}});
  REQUIRE(intake.ok());
  return intake.take();
}

struct Pipe {
  Pipe() { REQUIRE(::pipe(ends) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    finish();
  }
  void write(const std::string& text) const {
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<::ssize_t>(text.size()));
  }
  void finish() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
  int ends[2] = {-1, -1};
};

std::vector<std::string> poll_all(Feed& feed, const engine::Intake& intake) {
  std::vector<std::string> lines;
  for (;;) {
    std::vector<event::RawRecord> records;
    Result<std::size_t> polled = feed.poll(intake, 100, {}, records);
    REQUIRE(polled.ok());
    for (const event::RawRecord& record : records) lines.emplace_back(record.bytes);
    feed.recycle();
    if (polled.value() == 0) return lines;
  }
}

}  // namespace

TEST_CASE("standard input: lines as they come, half a line waits, the end is the end") {
  Pipe pipe;
  StdinSource feed(pipe.ends[0]);
  const engine::Intake intake = some_intake();
  CHECK(poll_all(feed, intake).empty());
  CHECK(feed.caught_up(0));
  CHECK_FALSE(feed.at_end(0));
  pipe.write("one\r\n\ntwo\nthr");
  CHECK(poll_all(feed, intake) == std::vector<std::string>{"one", "two"});
  pipe.write("ee\nlast");
  CHECK(poll_all(feed, intake) == std::vector<std::string>{"three"});
  pipe.finish();
  CHECK(poll_all(feed, intake) == std::vector<std::string>{"last"});
  CHECK(feed.at_end(0));
  CHECK_FALSE(feed.seek({0, 1, 0}).ok());
}

TEST_CASE("standard input: a line too long is handed out cut, its rest is passed over") {
  Pipe pipe;
  StdinSource feed(pipe.ends[0]);
  const engine::Intake intake = some_intake();
  std::vector<std::string> lines;
  const std::string part(32U << 10U, 'x');
  for (std::size_t sent = 0; sent <= event::line_bytes_max + part.size() * 3; sent += part.size()) {
    pipe.write(part);
    for (std::string& line : poll_all(feed, intake)) lines.push_back(std::move(line));
  }
  pipe.write("\nshort\n");
  for (std::string& line : poll_all(feed, intake)) lines.push_back(std::move(line));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].size() == event::line_bytes_max + 1);
  CHECK(lines[1] == "short");
}

TEST_CASE("files keep the numbers the state directory gave them; new ones come behind, lost ones are refused") {
  const tests::TemporaryDirectory directory;
  for (const char* name : {"a.ndjson", "b.ndjson", "c.ndjson"}) std::ofstream(directory.path(name)) << "{}\n";
  const std::vector<FeedPartition> known = {{directory.path("b.ndjson"), 0}};
  Result<std::unique_ptr<Feed>> feed = open_files({directory.path()}, known);
  REQUIRE(feed.ok());
  REQUIRE(feed.value()->partitions().size() == 3);
  CHECK(feed.value()->partitions()[0].name == directory.path("b.ndjson"));
  CHECK(feed.value()->partitions()[1].name == directory.path("a.ndjson"));
  std::filesystem::remove(directory.path("b.ndjson"));
  const Result<std::unique_ptr<Feed>> lost = open_files({directory.path()}, known);
  REQUIRE_FALSE(lost.ok());
  CHECK(lost.error().text.find("b.ndjson") != std::string::npos);
}

TEST_CASE("standard output: one object a line with the name of its stream, unwanted streams left out") {
  const tests::TemporaryDirectory directory;
  std::FILE* file = std::fopen(directory.path("out").c_str(), "w+");
  REQUIRE(file != nullptr);
  StdoutCommit commit(file, nullptr, {false, true, true, true});
  engine::Outbox outbox;
  outbox.add(engine::OutStream::hits, "k", R"({"id":1})");
  outbox.add(engine::OutStream::alerts, "k", R"({"id":2})");
  REQUIRE(commit.deliver(outbox).ok());
  state::WriteSet writes;
  REQUIRE(commit.checkpoint(writes).ok());
  std::fclose(file);
  std::ifstream in(directory.path("out"));
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  CHECK(text == "{\"stream\":\"alerts\",\"record\":{\"id\":2}}\n");
}
