#include "engine/run/strings.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <functional>
#include <memory>

#include "dsl/pattern.h"
#include "engine/compile/strings_build.h"
#include "tests/engine/rules_of.h"
#include "tests/support/stream.h"

using namespace tocsin;
using namespace tocsin::engine;
using Kind = TextPattern::Kind;

namespace {

// ---------------------------------------------------------------- a slow matcher of its own: a tree, and all ways to walk it

struct Tree {
  enum class Kind { letter, any, set, row, either, repeat, begin, end } kind = Kind::row;
  char letter = 'a';
  std::vector<Tree> parts;
  int low = 0, high = -1;  // repeat; -1: no end
};

std::string written(const Tree& t) {
  switch (t.kind) {
    case Tree::Kind::letter: return std::string(1, t.letter);
    case Tree::Kind::any: return ".";
    case Tree::Kind::set: return "[bc]";
    case Tree::Kind::begin: return "\\A";
    case Tree::Kind::end: return "\\z";
    case Tree::Kind::row: {
      std::string out;
      for (const Tree& part : t.parts) out += written(part);
      return out;
    }
    case Tree::Kind::either: return "(?:" + written(t.parts[0]) + "|" + written(t.parts[1]) + ")";
    case Tree::Kind::repeat:
      return "(?:" + written(t.parts[0]) + "){" + std::to_string(t.low) + "," +
             (t.high < 0 ? "" : std::to_string(t.high)) + "}";
  }
  return {};
}

using Then = std::function<bool(std::size_t)>;

bool walk(const Tree& t, const std::string& text, std::size_t at, const Then& then);

bool walk_row(const std::vector<Tree>& parts, std::size_t next, const std::string& text, std::size_t at,
              const Then& then) {
  if (next == parts.size()) return then(at);
  return walk(parts[next], text, at, [&](std::size_t to) { return walk_row(parts, next + 1, text, to, then); });
}

bool walk_repeat(const Tree& t, int done, const std::string& text, std::size_t at, const Then& then) {
  if (done >= t.low && then(at)) return true;
  if (t.high >= 0 && done >= t.high) return false;
  return walk(t.parts[0], text, at, [&](std::size_t to) {
    // A round that takes nothing brings nothing new once enough are done.
    return (to > at || done < t.low) && walk_repeat(t, done + 1, text, to, then);
  });
}

bool walk(const Tree& t, const std::string& text, std::size_t at, const Then& then) {
  const bool more = at < text.size();
  switch (t.kind) {
    case Tree::Kind::letter: return more && text[at] == t.letter && then(at + 1);
    case Tree::Kind::any: return more && then(at + 1);
    case Tree::Kind::set: return more && (text[at] == 'b' || text[at] == 'c') && then(at + 1);
    case Tree::Kind::begin: return at == 0 && then(at);
    case Tree::Kind::end: return at == text.size() && then(at);
    case Tree::Kind::row: return walk_row(t.parts, 0, text, at, then);
    case Tree::Kind::either: return walk(t.parts[0], text, at, then) || walk(t.parts[1], text, at, then);
    case Tree::Kind::repeat: return walk_repeat(t, 0, text, at, then);
  }
  return false;
}

bool found(const Tree& t, const std::string& text) {
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (walk(t, text, at, [](std::size_t) { return true; })) return true;
  }
  return false;
}

rc::Gen<Tree> tree(int depth) {
  const auto leaf = rc::gen::map(rc::gen::inRange(0, 12), [](int n) {
    Tree t;
    t.kind = n < 7     ? Tree::Kind::letter
             : n < 9   ? Tree::Kind::any
             : n < 10  ? Tree::Kind::set
             : n == 10 ? Tree::Kind::begin
                       : Tree::Kind::end;
    t.letter = static_cast<char>('a' + n % 3);
    return t;
  });
  if (depth == 0) return leaf;
  const auto below = tree(depth - 1);
  const auto row = rc::gen::map(rc::gen::container<std::vector<Tree>>(3, below), [](std::vector<Tree> parts) {
    Tree t;
    t.parts = std::move(parts);
    return t;
  });
  const auto either = rc::gen::map(rc::gen::pair(below, below), [](std::pair<Tree, Tree> p) {
    Tree t;
    t.kind = Tree::Kind::either;
    t.parts = {std::move(p.first), std::move(p.second)};
    return t;
  });
  const auto repeat = rc::gen::map(rc::gen::tuple(leaf, rc::gen::inRange(0, 3), rc::gen::inRange(-1, 3)),
                                   [](const std::tuple<Tree, int, int>& p) {
                                     Tree t;
                                     t.kind = Tree::Kind::repeat;
                                     t.parts = {std::get<0>(p)};
                                     t.low = std::get<1>(p);
                                     t.high = std::get<2>(p) < 0 ? -1 : t.low + std::get<2>(p);
                                     return t;
                                   });
  return rc::gen::oneOf(leaf, row, either, repeat);
}

struct Asked {
  PatternId pattern = 0;
  std::uint32_t node = 0;
};

/// A matcher over patterns that share one field.
struct Matcher {
  explicit Matcher(const std::vector<std::tuple<Kind, bool, std::string>>& tests) {
    TextPatternsBuild build;
    for (const auto& [kind, ignoring_case, text] : tests) {
      const PatternId id = build.add(kind, ignoring_case, text);
      Node node;
      node.op = NodeOp::text_match;
      node.a = id;
      codes.nodes.push_back(node);
      build.may_share(static_cast<std::uint32_t>(codes.nodes.size() - 1), 0, 0, id);
    }
    patterns = build.finish(codes);
    matcher = TextMatcher(patterns);
  }
  std::optional<bool> alone(std::size_t test, std::string_view text) {
    return matcher.matches(codes.nodes[test].a, text);
  }
  std::optional<bool> shared(std::size_t test, std::string_view text) {
    const Node& node = codes.nodes[test];
    return node.b == 0 ? alone(test, text) : matcher.matches(node.b - 1, node.c, text);
  }
  Codes codes;
  std::shared_ptr<const TextPatterns> patterns;
  TextMatcher matcher;
};

bool slow_like(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (slow_like(text.substr(i), pattern.substr(1))) return true;
    }
    return false;
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) && slow_like(text.substr(1), pattern.substr(1));
}

rc::Gen<std::string> text_of(const std::string& letters, int longest) {
  return rc::gen::map(
      rc::gen::pair(rc::gen::inRange(0, longest),
                    rc::gen::container<std::vector<int>>(static_cast<std::size_t>(longest),
                                                         rc::gen::inRange(0, static_cast<int>(letters.size())))),
      [letters](const std::pair<int, std::vector<int>>& p) {
        std::string text;
        for (int i = 0; i < p.first; ++i)
          text += letters[static_cast<std::size_t>(p.second[static_cast<std::size_t>(i)])];
        return text;
      });
}

}  // namespace

TEST_CASE("a pattern is found where a walk through all ways finds it, alone and in a scan with others") {
  CHECK(rc::check("regular expressions", [] {
    const auto first = *tree(2);
    const auto second = *tree(2);
    RC_PRE(!dsl::problem_in_form(written(first)) && !dsl::problem_in_form(written(second)));
    Matcher m({{Kind::matches, false, written(first)},
               {Kind::matches, false, written(second)},
               {Kind::contains, false, "ab"}});
    for (int i = 0; i < 20; ++i) {
      const std::string text = *text_of("abc\n", 8);
      m.matcher.next_batch();
      RC_LOG() << written(first) << "  " << written(second) << "  in  " << text << "\n";
      RC_ASSERT(m.alone(0, text) == found(first, text));
      RC_ASSERT(m.shared(0, text) == found(first, text));
      RC_ASSERT(m.shared(1, text) == found(second, text));
      RC_ASSERT(m.shared(2, text) == (text.find("ab") != std::string::npos));
    }
  }));
}

TEST_CASE("wildcards and literals mean the same with and without a scan, and ignore case when told") {
  CHECK(rc::check("like", [] {
    const std::string pattern = *text_of("ab*?", 7);
    const std::string text = *text_of("ab", 8);
    RC_ASSERT(like(text, pattern) == slow_like(text, pattern));
    std::vector<std::tuple<Kind, bool, std::string>> tests;
    for (const Kind kind : {Kind::like, Kind::contains, Kind::starts_with, Kind::ends_with}) {
      tests.emplace_back(kind, false, pattern);
      tests.emplace_back(kind, true, pattern);
    }
    Matcher m(tests);
    std::string upper = text;
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    for (std::size_t i = 0; i < tests.size(); i += 2) {
      m.matcher.next_batch();
      RC_LOG() << "test " << i << " pattern " << pattern << " text " << text << "\n";
      RC_ASSERT(m.shared(i, text) == m.alone(i, text));
      RC_ASSERT(m.shared(i + 1, upper) == m.alone(i, text));
      RC_ASSERT(m.alone(i + 1, upper) == m.alone(i, text));
    }
    RC_ASSERT(m.alone(0, text) == slow_like(text, pattern));
  }));
}

TEST_CASE("beyond ASCII, and what only the library can answer") {
  Matcher m({{Kind::matches, true, "straße"},
             {Kind::matches, false, "^.{3}$"},
             {Kind::matches, false, "(?<!not )fraud"},
             {Kind::matches, false, "([a-z])\\1"},
             {Kind::matches, true, "k"},
             {Kind::like, false, "M?ller*"},
             {Kind::contains, true, "MÜLLER"},
             {Kind::matches, false, "^$"},
             {Kind::matches, false, "\\w+@\\w+"}});
  const auto both = [&](std::size_t test, std::string_view text) {
    m.matcher.next_batch();
    const auto alone = m.alone(test, text);
    CHECK(m.shared(test, text) == alone);
    return alone;
  };
  CHECK(both(0, "HAUPTSTRAßE") == true);
  CHECK(both(1, "äöü") == true);
  CHECK(both(1, "äö") == false);
  CHECK(both(2, "fraud") == true);
  CHECK(both(2, "not fraud") == false);
  CHECK(both(3, "hello") == true);
  CHECK(both(3, "helo") == false);
  CHECK(both(4, "\u212A") == true);  // the Kelvin sign
  CHECK(both(5, "Müller GmbH") == true);
  CHECK(both(5, "Mueller") == false);
  CHECK(both(6, "Herr Müller") == true);
  CHECK(both(7, "") == true);
  CHECK(both(7, "x") == false);
  CHECK(both(8, "a@b") == true);
}

TEST_CASE("a pattern that takes too many steps is unknown, and counted") {
  Matcher m({{Kind::matches, false, "^(a|aa)+(?=c)b$"}});
  const std::string text = std::string(60, 'a') + "b";
  CHECK(m.alone(0, text) == std::nullopt);
  CHECK(m.matcher.given_up() == 1);
}

TEST_CASE("bounds that no rule owns are told by name") {
  tests::Stream stream(tests::rules_of(R"(
event a { key id : string  time at : time  agent : string }
rule slow on a { severity info  when agent matches "^(a|aa)+(?=c)b$" }
)"));
  CHECK(stream.engine().counters().bounds.empty());
  stream.send(R"({"type":"a","id":"1","at":"2026-01-05T10:00:00Z","agent":")" + std::string(60, 'a') + "b\"}");
  CHECK(stream.engine().counters().bounds == std::map<std::string, std::uint64_t>{{"engine/text_patterns", 1}});
}

TEST_CASE("forms that explode are refused with the part named") {
  const auto part = [](std::string_view pattern) {
    const auto problem = dsl::problem_in_form(pattern);
    return problem ? std::string(pattern.substr(problem->begin, problem->end - problem->begin)) : std::string();
  };
  CHECK(part("^(a+)+$") == "(a+)+");
  CHECK(part("x(?:.*)*y") == "(?:.*)*");
  CHECK(part("(\\w+\\s?)*!") == "(\\w+\\s?)*");
  CHECK(part("(.{1,200}){1,200}") == "(.{1,200}){1,200}");
  CHECK(part("a{20000}") == "a{20000}");
  CHECK(part("(*LIMIT_MATCH=9)a") == "(*LIMIT_MATCH=9)");
  CHECK(part("(\\d+\\.)+") == "");
  CHECK(part("[(+*]+([a-z]+,)*") == "");
  CHECK(part("\\(a+\\)+") == "");
  CHECK(part("(a+)?b") == "");
}

TEST_CASE("texts with equal content at other places, and places with other content in the next batch") {
  Matcher m({{Kind::matches, false, "a"}, {Kind::matches, false, "b"}});
  std::string text = "a";
  CHECK(m.shared(0, text) == true);
  CHECK(m.shared(1, text) == false);
  CHECK(m.matcher.scans() == 1);
  text[0] = 'b';
  m.matcher.next_batch();
  CHECK(m.shared(0, text) == false);
  CHECK(m.shared(1, text) == true);
  CHECK(m.matcher.scans() == 2);
}
