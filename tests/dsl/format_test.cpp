#include "dsl/format.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "dsl/layout.h"
#include "dsl/parse.h"
#include "dsl/print.h"
#include "tests/dsl/tape.h"

namespace tocsin::dsl {
namespace {

struct Text {
  SourceSet sources;
  ast::File file;
  bool reads = false;
  explicit Text(std::string text) : sources{{"f.risk", std::move(text)}} {
    Diagnostics diagnostics;
    file = parse(sources, 0, diagnostics);
    reads = diagnostics.all().empty();
  }
};

std::string formatted(const std::string& text) {
  const Text read(text);
  REQUIRE_MESSAGE(read.reads, text);
  const std::optional<std::string> out = format(read.sources[0], read.file);
  REQUIRE_MESSAGE(out.has_value(), text);
  return *out;
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Every rule text of the tree that reads: golden cases, the fuzzers' corpus, the language page, and the cases beside the tree.
std::vector<std::string> corpus() {
  std::vector<std::string> texts;
  const auto add = [&](const std::string& text) {
    if (Text(text).reads) texts.push_back(text);
  };
  const std::filesystem::path root(TOCSIN_SOURCE_DIR);
  for (const auto& entry : std::filesystem::directory_iterator(root / "tests/fuzz/corpus/parse"))
    add(slurp(entry.path()));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "tests/golden")) {
    if (entry.path().extension() != ".case") continue;
    const std::string text = slurp(entry.path());
    const auto begin = text.find("--- rules\n");
    if (begin == std::string::npos) continue;
    add(text.substr(begin + 10, text.find("\n--- ", begin + 10) - begin - 9));
  }
  const std::string page = slurp(root / "docs/language.md");
  std::string pieces;
  for (std::size_t at = page.find("```risk\n"); at != std::string::npos; at = page.find("```risk\n", at)) {
    at += 8;
    pieces += page.substr(at, page.find("```", at) - at);
  }
  add(pieces);
  const auto day_one = root / "../shared/language/day_one.risk";
  if (std::filesystem::exists(day_one)) {
    add(slurp(day_one));
  } else {
    MESSAGE("without ../shared/language/day_one.risk, which is not there");
  }
  return texts;
}

/// The text with other blanks, line ends and comments between its words, as the random bytes say.
std::string scattered(const SourceFile& source, const std::vector<std::uint8_t>& bytes, bool lines) {
  std::string out;
  std::uint32_t at = 0;
  std::size_t used = 0;
  for (const Word& word : words_of(source)) {
    const std::string_view between = source.text().substr(at, word.begin - at);
    out += between;
    const unsigned change = bytes.empty() ? 0U : bytes[used++ % bytes.size()] % 16U;
    if (change == 1 && !between.empty()) out += "  \t";
    if (lines && change == 2 && !between.empty()) out += "\n";
    if (lines && change == 3 && !between.empty()) out += " # c\n\n\n";
    if (lines && change == 4 && !between.empty()) out += "\n  # own line\n";
    out += word.text;
    at = word.end();
  }
  return out + std::string(source.text().substr(at));
}

}  // namespace

TEST_CASE("what is formatted means the same, keeps its words and comments, and is not changed again") {
  const std::vector<std::string> texts = corpus();
  REQUIRE(texts.size() > 30);
  for (const std::string& text : texts) {
    const std::string once = formatted(text);
    CHECK(formatted(once) == once);
    // Rows have no blanks at their ends, and none is empty twice.
    CHECK(once.find(" \n") == std::string::npos);
    CHECK(once.find("\n\n\n") == std::string::npos);
  }
}

TEST_CASE("the layout does not depend on the blanks it is given") {
  const std::vector<std::string> texts = corpus();
  CHECK(rc::check("blanks between words", [&] {
    const std::string& text = texts[*rc::gen::inRange<std::size_t>(0, texts.size())];
    const Text read(text);
    const Text other(scattered(read.sources[0], *rc::gen::arbitrary<std::vector<std::uint8_t>>(), false));
    RC_PRE(other.reads);
    RC_ASSERT(*format(other.sources[0], other.file) == *format(read.sources[0], read.file));
  }));
}

TEST_CASE("line ends and comments anywhere: still the same tree, all comments, and settled after one time") {
  const std::vector<std::string> texts = corpus();
  CHECK(rc::check("line ends and comments between words", [&] {
    const std::string& text = texts[*rc::gen::inRange<std::size_t>(0, texts.size())];
    const Text read(text);
    const Text other(scattered(read.sources[0], *rc::gen::arbitrary<std::vector<std::uint8_t>>(), true));
    // A line that begins with a word such as `when` may mean something else than in the middle of one.
    RC_PRE(other.reads);
    const std::optional<std::string> once = format(other.sources[0], other.file);
    RC_ASSERT(once.has_value());
    const Text again(*once);
    RC_ASSERT(again.reads);
    RC_ASSERT(dump(again.file) == dump(other.file));
    RC_ASSERT(*format(again.sources[0], again.file) == *once);
  }));
}

TEST_CASE("any expression has a layout") {
  CHECK(rc::check("expressions", [] {
    const auto tape = *rc::gen::resize(400, rc::gen::arbitrary<std::vector<std::uint8_t>>());
    const ast::Expr made = Tape(tape).expression();
    const Text read("param p = " + print(made) + "\n");
    RC_ASSERT(read.reads);
    const std::optional<std::string> once = format(read.sources[0], read.file);
    RC_ASSERT(once.has_value());
    const Text again(*once);
    RC_ASSERT(dump(again.file) == dump(read.file));
    RC_ASSERT(*format(again.sources[0], again.file) == *once);
  }));
}

TEST_CASE("the canonical form") {
  CHECK(formatted(R"(# the file

entity user,card


event a{key id:string  time at:time user:user optional kind:enum(x,y)}   # short
event b{ # long
key id:string
time happened_at:time
seen : set<ip>
amount:money<USD> optional

# the user
user:user}
stream s=a where kind==x
stream longer = a, b
rule r   on a as e{when e.kind==x and
   (count from b per user in last 10m>=5 or -1<sum( amount as USD ) from b per user in 10m before)
# why
score 10*2 decide block if 1>2 else review
because "x  y"
}
rule q per user { sequence within 1h { a as g then all of{b;a as c} then first b where b.user==g.user until a } }
policy p on a { score sum max 100 block when score>=90 allow otherwise on error review }
test "t"{ at "2026-01-05T10:00:00Z" send +1m a{user:"u1",kind:x} times 3 every 1m
expect no rule r } # end
# last)") == R"(# the file

entity user, card

event a { key id : string  time at : time  user : user optional  kind : enum(x, y) }  # short

event b {  # long
  key id           : string
  time happened_at : time
  seen             : set<ip>
  amount           : money<USD> optional

  # the user
  user : user
}

stream s      = a where kind == x
stream longer = a, b

rule r on a as e {
  when e.kind == x
   and (count from b per user in last 10m >= 5 or -1 < sum(amount as USD) from b per user in 10m before)
  # why
  score 10 * 2
  decide block if 1 > 2 else review
  because "x  y"
}

rule q per user {
  sequence within 1h {
    a as g
    then all of {
      b;
      a as c
    }
    then first b where b.user == g.user
    until a
  }
}

policy p on a {
  score sum max 100
  block when score >= 90
  allow otherwise
  on error review
}

test "t" {
  at "2026-01-05T10:00:00Z"
  send +1m a { user: "u1", kind: x } times 3 every 1m
  expect no rule r
}  # end

# last
)");
}

TEST_CASE("what is longer than a line is broken before its outermost joints, then behind commas") {
  const std::string name(30, 'x');
  CHECK(formatted("rule r on a { when " + name + "1 > 1 and (" + name + "2 > 2 or " + name + "3 > 3) and " + name +
                  "4 > 4 }\n") == "rule r on a {\n  when " + name + "1 > 1\n   and (" + name + "2 > 2 or " + name +
                                      "3 > 3)\n   and " + name + "4 > 4\n}\n");
  CHECK(formatted("entity " + name + "1, " + name + "2, " + name + "3, " + name + "4\n") ==
        "entity " + name + "1, " + name + "2, " + name + "3,\n    " + name + "4\n");
}

}  // namespace tocsin::dsl
