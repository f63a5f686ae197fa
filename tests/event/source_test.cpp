#include "event/file_source.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "event/decode.h"

using namespace tocsin;
using namespace tocsin::event;

namespace fs = std::filesystem;

namespace {

// A directory of its own that goes with the test.
class Place {
 public:
  Place() : path_(fs::temp_directory_path() / ("tocsin_source_test_" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { fs::remove_all(path_); }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::string path = (path_ / name).string();
    std::FILE* file = std::fopen(path.c_str(), "wb");
    REQUIRE(file != nullptr);
    REQUIRE(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
    std::fclose(file);
    return path;
  }
  [[nodiscard]] std::string path(const std::string& name = "") const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Read {
  std::vector<std::string> lines;  // "sequence:bytes"
  std::vector<SourcePosition> behind;
  std::string error;
};

// All of one partition, at most `max` records a poll; the padding behind each record is touched.
Read read_all(Source& source, std::uint32_t partition = 0, std::size_t max = 3) {
  Read read;
  std::vector<RawRecord> records;
  while (!source.at_end(partition)) {
    records.clear();
    const Result<std::size_t> count = source.poll(partition, max, records);
    if (!count) {
      read.error = count.error().text;
      break;
    }
    CHECK(count.value() == records.size());
    CHECK(records.size() <= max);
    unsigned sum = 0;
    for (const RawRecord& record : records) {
      for (std::size_t i = 0; i < padding_bytes; ++i)
        sum += static_cast<unsigned char>(record.bytes.data()[record.bytes.size() + i]);
      CHECK(record.position.partition == partition);
      read.lines.push_back(std::to_string(record.position.sequence) + ":" + std::string(record.bytes));
      read.behind.push_back({partition, record.position.sequence, record.next_offset});
    }
    CHECK(sum < 256 * padding_bytes * (max + 1));
  }
  return read;
}

using Lines = std::vector<std::string>;

std::unique_ptr<FileSource> opened(const std::vector<std::string>& paths) {
  Result<std::unique_ptr<FileSource>> source = FileSource::open(paths);
  REQUIRE_MESSAGE(source.ok(), (source.ok() ? "" : source.error().text));
  return source.take();
}
std::string refused(const std::vector<std::string>& paths) {
  const Result<std::unique_ptr<FileSource>> source = FileSource::open(paths);
  return source.ok() ? "opened" : source.error().text;
}

}  // namespace

TEST_CASE("lines of files, however they end") {
  const Place place;
  CHECK(read_all(*opened({place.write("a.ndjson", "{1}\n{2}\n")})).lines == Lines{"1:{1}", "2:{2}"});
  CHECK(read_all(*opened({place.write("b.ndjson", "{1}\r\n\r\n\n{4}")})).lines == Lines{"1:{1}", "4:{4}"});
  CHECK(read_all(*opened({place.write("c.ndjson", "\xef\xbb\xbf{1}\n")})).lines == Lines{"1:{1}"});
  CHECK(read_all(*opened({place.write("d.ndjson", "")})).lines.empty());
  CHECK(read_all(*opened({place.write("e.ndjson", "\n\n")})).lines.empty());
}

TEST_CASE("a directory is its event files by name, and a place in the list is a partition") {
  const Place place;
  place.write("2.ndjson", "{b}\n");
  place.write("1.jsonl.zst", zstd("{a}\n"));
  place.write("3.ndjson.gz", gzip("{c}\n"));
  place.write("notes.txt", "no");
  const std::string other = place.write("other.json", "{o}\n");
  const std::unique_ptr<FileSource> source = opened({other, place.path()});
  CHECK(source->partition_count() == 4);
  CHECK(source->seekable());
  CHECK(read_all(*source, 0).lines == Lines{"1:{o}"});
  CHECK(read_all(*source, 1).lines == Lines{"1:{a}"});
  CHECK(read_all(*source, 2).lines == Lines{"1:{b}"});
  CHECK(read_all(*source, 3).lines == Lines{"1:{c}"});
  CHECK(source->progress().bytes_read == source->progress().bytes_total);
  const std::unique_ptr<FileSource> again = opened({other, place.path()});
  std::vector<RawRecord> records;
  CHECK(again->poll(3, records).value() == 3);
  CHECK(records[2].bytes == "{b}");
}

TEST_CASE("what is not there, not readable or cut off is said") {
  const Place place;
  CHECK(refused({place.path("none.ndjson")}).find("there is no file") != std::string::npos);
  fs::create_directories(place.path("empty"));
  CHECK(refused({place.path("empty")}).find("holds no event files") != std::string::npos);
  CHECK(refused({"-", "-"}).find("only once") != std::string::npos);
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "{\"n\":" + std::to_string(i * 7919 % 100'003) + "}\n";
  const std::string packed = zstd(text);
  for (const std::size_t size : {packed.size() - 1, packed.size() / 2, std::size_t{3}}) {
    const Read cut = read_all(*opened({place.write("cut.ndjson.zst", packed.substr(0, size))}), 0, 1000);
    CHECK(cut.error.find("cut off") != std::string::npos);
  }
  CHECK(read_all(*opened({place.write("bad.ndjson.zst", "no zstd at all")})).error.find("not good zstd") !=
        std::string::npos);
  const std::string zipped = gzip(text);
  for (const std::size_t size : {zipped.size() - 1, zipped.size() / 2, std::size_t{3}}) {
    const Read cut = read_all(*opened({place.write("cut.ndjson.gz", zipped.substr(0, size))}), 0, 1000);
    CHECK(cut.error.find("cut off") != std::string::npos);
  }
  CHECK(read_all(*opened({place.write("bad.ndjson.gz", "no gzip at all")})).error.find("not good gzip") !=
        std::string::npos);
}

TEST_CASE("large files, plain and compressed, in one frame or several, read the same") {
  const Place place;
  std::string first;
  std::string second;
  for (int i = 0; i < 60'000; ++i) {
    (i < 30'000 ? first : second) +=
        "{\"n\":" + std::to_string(i) + ",\"x\":\"" + std::string(static_cast<std::size_t>(i % 97), 'x') + "\"}\n";
  }
  const Read plain = read_all(*opened({place.write("a.ndjson", first + second)}), 0, 500);
  CHECK(plain.lines.size() == 60'000);
  CHECK(plain.lines[59'999].starts_with("60000:{\"n\":59999,"));
  CHECK(read_all(*opened({place.write("a.ndjson.zst", zstd(first) + zstd(second))}), 0, 500).lines == plain.lines);
  CHECK(read_all(*opened({place.write("a.ndjson.gz", gzip(first) + gzip(second))}), 0, 500).lines == plain.lines);

  // From any record on, the rest is the same.
  for (const char* name : {"a.ndjson", "a.ndjson.zst", "a.ndjson.gz"}) {
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{1}, std::size_t{29'999}, std::size_t{59'998}, std::size_t{59'999}}) {
      const std::unique_ptr<FileSource> source = opened({place.path(name)});
      REQUIRE(source->seek(plain.behind[at]).ok());
      const Read rest = read_all(*source, 0, 4000);
      CHECK(std::equal(rest.lines.begin(), rest.lines.end(), plain.lines.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                       plain.lines.end()));
    }
    const std::unique_ptr<FileSource> source = opened({place.path(name)});
    REQUIRE(source->seek({0, 0, 0}).ok());
    CHECK(read_all(*source, 0, 4000).lines == plain.lines);
    const Status far = source->seek({0, 1, 1'000'000'000});
    REQUIRE(!far.ok());
    CHECK(far.error().text.find("not the same file") != std::string::npos);
    CHECK(!source->seek({9, 1, 1}).ok());
  }
}

TEST_CASE("a line that is too long is handed out too long, and the stream goes on") {
  const Place place;
  for (const std::size_t extra :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{5'000'000}}) {
    const std::string long_line(line_bytes_max + extra, 'x');
    const std::string path = place.write("long.ndjson", "{1}\n" + long_line + "\r\n{3}\n");
    const Read read = read_all(*opened({path}));
    REQUIRE(read.lines.size() == 3);
    CHECK(read.lines[1].size() == 2 + line_bytes_max + (extra > 0 ? 1 : 0));
    CHECK(read.lines[2] == "3:{3}");
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}}) {
      const std::unique_ptr<FileSource> source = opened({path});
      REQUIRE(source->seek(read.behind[at]).ok());
      CHECK(read_all(*source).lines.back() == "3:{3}");
      CHECK(read_all(*source).lines.empty());
    }
  }
}

TEST_CASE("the standard input is read once and says so") {
  const Place place;
  const std::string path = place.write("in", "{1}\n{2}");
  const int kept = ::dup(STDIN_FILENO);
  const int file = ::open(path.c_str(), O_RDONLY);
  REQUIRE(::dup2(file, STDIN_FILENO) == STDIN_FILENO);
  const std::unique_ptr<FileSource> source = opened({"-"});
  CHECK(!source->seekable());
  CHECK(!source->progress().bytes_total.has_value());
  CHECK(source->seek({0, 0, 0}).ok());
  CHECK(read_all(*source).lines == Lines{"1:{1}", "2:{2}"});
  CHECK(source->seek({0, 1, 4}).error().text.find("cannot be read again") != std::string::npos);
  if (kept >= 0) ::dup2(kept, STDIN_FILENO);
  ::close(file);
  if (kept >= 0) ::close(kept);
}

TEST_CASE("memory") {
  MemorySource source(2);
  source.add(0, "{1}");
  source.add(0, "{2}", Timestamp{5});
  source.add(1, "{x}");
  std::vector<RawRecord> records;
  CHECK(source.poll(10, records).value() == 3);
  CHECK(records[0].arrival == arrival_unknown);
  CHECK(records[1].arrival == Timestamp{5});
  CHECK(records[1].position == Position{0, 2});
  CHECK(!source.at_end(0));
  source.finish();
  CHECK(source.at_end(0));
  CHECK(source.seek({0, 1, 0}).ok());
  CHECK(read_all(source).lines == Lines{"2:{2}"});
  CHECK(!source.seek({0, 3, 0}).ok());
  CHECK(!source.seek({2, 0, 0}).ok());
}

TEST_CASE("any bytes in a file are lines") {
  const Place place;
  CHECK(rc::check("split as by hand", [&] {
    const auto bytes = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab\n\r")));
    Lines expected;
    std::size_t number = 0;
    for (std::size_t at = 0; at < bytes.size();) {
      std::size_t end = bytes.find('\n', at);
      if (end == std::string::npos) end = bytes.size();
      std::string line = bytes.substr(at, end - at);
      ++number;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) expected.push_back(std::to_string(number) + ":" + line);
      at = end + 1;
    }
    RC_ASSERT(read_all(*opened({place.write("r.ndjson", bytes)})).lines == expected);
  }));
}
