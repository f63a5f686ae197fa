#include "dsl/source.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

using namespace tocsin::dsl;

namespace {

struct Directory {
  std::filesystem::path path = std::filesystem::temp_directory_path() / "tocsin_source_test";
  Directory() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path / "b");
  }
  ~Directory() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
  }
};

}  // namespace

TEST_CASE("columns count characters, lines end with LF or CRLF, a byte order mark is no column") {
  const SourceFile file("x.risk", "\xEF\xBB\xBFrule\r\näö x\n\nlast");
  CHECK(file.line(1) == "rule");
  CHECK(file.line(2) == "äö x");
  CHECK(file.line(3).empty());
  CHECK(file.line(4) == "last");
  CHECK(file.line(5).empty());
  CHECK(file.line(0).empty());
  CHECK(file.place_of(3).column == 1);
  CHECK(file.place_of(5).column == 3);
  const auto x = static_cast<std::uint32_t>(file.text().find('x'));
  CHECK(file.place_of(x).line == 2);
  CHECK(file.place_of(x).column == 4);
  const auto end = file.place_of(static_cast<std::uint32_t>(file.text().size()));
  CHECK(end.line == 4);
  CHECK(end.column == 5);
  CHECK(file.place_of(4'000'000'000).line == 4);
}

TEST_CASE("an empty file has one empty line") {
  const SourceFile file("x.risk", "");
  CHECK(file.line(1).empty());
  CHECK(file.place_of(0).line == 1);
  CHECK(file.place_of(0).column == 1);
}

TEST_CASE("directories give their rule files by name, at any depth; paths stay as given") {
  const Directory directory;
  directory.write("c.risk", "c");
  directory.write("a.risk", "a");
  directory.write("b/x.risk", "x");
  directory.write("b/x.txt", "not rules");
  const auto sources = read_sources({directory.path.string()});
  REQUIRE(sources.ok());
  REQUIRE(sources.value().size() == 3);
  CHECK(sources.value()[0].path() == (directory.path / "a.risk").string());
  CHECK(sources.value()[1].path() == (directory.path / "b/x.risk").string());
  CHECK(sources.value()[2].text() == "c");
}

TEST_CASE("what cannot be read is an error that names it") {
  const Directory directory;
  const auto missing = read_sources({(directory.path / "none.risk").string()});
  REQUIRE(!missing.ok());
  CHECK(missing.error().kind == tocsin::ErrorKind::not_found);
  CHECK(missing.error().text.find("none.risk") != std::string::npos);
  const auto empty = read_sources({(directory.path / "b").string()});
  REQUIRE(!empty.ok());
  CHECK(empty.error().text.find("no *.risk") != std::string::npos);
}
