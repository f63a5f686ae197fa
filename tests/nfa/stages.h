// Short words for patterns of stages in tests: "a -> b+ , c" in the notation of docs/matching.md. See parse_stages.
#pragma once

#include <cctype>
#include <cstdlib>
#include <string>

#include "nfa/pattern.h"
#include "tests/nfa/patterns.h"

namespace tocsin::nfa::testing {

/// Links: `,` next, `->` followed by, `->>` followed by any, `!,` not next, `!->` not followed by. A stage is a stream
/// letter, with a digit for "v is that" (patterns.h) or `*` for every event, or ( ... ) for a group, [ .. | .. ] for
/// ways, { .. & .. } for parts in any order ({2: .. & .. } at least two). Behind it: `+`, `{n}`, `{n,}`, `{n,m}`; `?`
/// optional; `.s` strict, `.a` any inside; `.g` greedy; `.u(x)` until; `.gap(n)`, `.prev(n)`, `.in(n)`, `.for(n)` times
/// in microseconds; `.when(n)` guard n about all stages before; `=name`. Stages are named by letter and number in order.
class StageParser {
 public:
  explicit StageParser(std::string text) : text_(std::move(text)) {}

  std::vector<Stage> sequence() {
    std::vector<Stage> out;
    for (;;) {
      blank();
      Stage s;
      if (!out.empty() || (at_ < text_.size() && text_[at_] == '!')) {
        if (at_ >= text_.size() || std::string(")]}|&").find(text_[at_]) != std::string::npos) return out;
        link(s);
        blank();
      }
      stage(s);
      out.push_back(std::move(s));
    }
  }

 private:
  bool eat(const std::string& word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }
  void blank() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  std::uint32_t number() {
    char* end = nullptr;
    const unsigned long n = std::strtoul(text_.c_str() + at_, &end, 10);
    at_ = static_cast<std::size_t>(end - text_.c_str());
    return static_cast<std::uint32_t>(n);
  }
  Duration time() {
    eat("(");
    const Duration d{number()};
    eat(")");
    return d;
  }
  void link(Stage& s) {
    if (eat("!,")) {
      s.kind = StageKind::not_next;
    } else if (eat("!->")) {
      s.kind = StageKind::not_followed_by;
    } else if (eat("->>")) {
      s.link = Contiguity::any;
    } else if (eat("->")) {
      s.link = Contiguity::relaxed;
    } else {
      eat(",");
      s.link = Contiguity::strict;
    }
  }
  Element source() {
    std::string word(1, text_[at_++]);
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) word += text_[at_++];
    return element(word);
  }
  void stage(Stage& s) {
    if (eat("(")) {
      s.kind = StageKind::group;
      s.stages = sequence();
      eat(")");
    } else if (eat("[")) {
      s.kind = StageKind::either;
      ways(s, "|");
      eat("]");
    } else if (eat("{")) {
      s.kind = StageKind::any_order;
      s.inner = Contiguity::relaxed;
      if (text_[at_ + 1] == ':') {
        s.least = number();
        eat(":");
      }
      ways(s, "&");
      eat("}");
    } else {
      s.name = std::string(1, text_[at_]) + std::to_string(++names_);
      if (!eat("*")) s.where = source();
    }
    for (;;) {
      if (eat("+")) {
        s.max = 0;
      } else if (eat("{")) {
        s.min = s.max = number();
        if (eat(",")) s.max = text_[at_] == '}' ? 0 : number();
        eat("}");
      } else if (eat("?")) {
        s.optional = true;
      } else if (eat(".gap")) {
        s.gap = time();
      } else if (eat(".g")) {
        s.greedy = true;
      } else if (eat(".s")) {
        s.inner = Contiguity::strict;
      } else if (eat(".a")) {
        s.inner = Contiguity::any;
      } else if (eat(".u(")) {
        s.until = source();
        eat(")");
      } else if (eat(".prev")) {
        s.within_previous = time();
      } else if (eat(".in")) {
        s.within = time();
      } else if (eat(".for")) {
        s.wait = time();
      } else if (eat(".when")) {
        std::vector<std::uint32_t> before;
        for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(names_); ++i) before.push_back(i);
        if (!s.where) s.where = element("a");
        s.where->conditions.push_back(ask(static_cast<GuardId>(time().us), before));
      } else if (eat("=")) {
        s.name.clear();
        while (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != ')') s.name += text_[at_++];
      } else {
        return;
      }
    }
  }
  void ways(Stage& s, const std::string& between) {
    do {
      std::vector<Stage> way = sequence();
      if (way.size() == 1) {
        s.stages.push_back(std::move(way[0]));
      } else {
        Stage g;
        g.kind = StageKind::group;
        g.stages = std::move(way);
        s.stages.push_back(std::move(g));
      }
      blank();
    } while (eat(between));
  }

  std::string text_;
  std::size_t at_ = 0;
  int names_ = 0;
};

/// A pattern of stages; `window` in microseconds, 0 for none.
inline Pattern stages(const std::string& text, std::int64_t window = 0) {
  Pattern p;
  p.semantics = Semantics::derivations;
  p.after = AfterMatch::continue_;
  p.stages = StageParser(text).sequence();
  if (window != 0) p.within = Duration{window};
  p.runs_max = 0;
  return p;
}

}  // namespace tocsin::nfa::testing
