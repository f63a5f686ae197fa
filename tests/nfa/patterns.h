// Short words for patterns and streams in tests. Streams are letters a..h; "a" is the stream, "a2" its events with v
// == 2. An event is "a2@10" (v is 0 if not said), "!x@5" a late one; "|20" moves time. Times are microseconds. Events
// are numbered from 1 in order of arrival. A match reads "1 2|3|4;5@10": steps apart by |, parts by ;, the moment, then
// * if truncated.
#pragma once

#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa::testing {

inline PredicateId predicate(char stream, int v = 0) { return static_cast<PredicateId>((stream - 'a') * 4 + v); }

inline Element element(const std::string& text, std::vector<Condition> conditions = {}) {
  return {predicate(text[0], text.size() > 1 ? text[1] - '0' : 0), predicate(text[0]), std::move(conditions)};
}

inline Step single(const std::string& text, std::vector<Condition> conditions = {}) {
  Step s;
  s.parts.push_back({element(text, std::move(conditions)), false, {}});
  return s;
}

inline Step optional(const std::string& text, std::vector<Condition> conditions = {}) {
  Step s = single(text, std::move(conditions));
  s.optional = true;
  return s;
}

inline Step group(std::uint32_t min, std::uint32_t max, const std::string& text,
                  std::vector<Condition> conditions = {}) {
  Step s = single(text, std::move(conditions));
  s.kind = StepKind::group;
  s.min = min;
  s.max = max;
  return s;
}

inline Step row(std::uint32_t min, std::uint32_t max, const std::string& text, std::vector<Condition> conditions = {}) {
  Step s = group(min, max, text, std::move(conditions));
  s.consecutive = true;
  return s;
}

inline Step all_of(const std::vector<std::string>& parts) {
  Step s;
  s.kind = StepKind::all_of;
  for (const std::string& p : parts) s.parts.push_back({element(p), false, {}});
  return s;
}

inline Step any_of(std::uint32_t n, const std::vector<std::string>& parts) {
  Step s = all_of(parts);
  s.kind = StepKind::any_of;
  s.min = n;
  return s;
}

inline Step within(std::int64_t us, Step s) {
  s.within = Duration{us};
  return s;
}

inline Step linked(Link link, Step s) {
  s.link = link;
  return s;
}

inline Absence no(std::uint32_t before, const std::string& text, std::int64_t wait = 0,
                  std::vector<Condition> conditions = {}) {
  Absence a{before, element(text, std::move(conditions)), {}};
  if (wait != 0) a.wait = Duration{wait};
  return a;
}

inline Pattern sequence(std::vector<Step> steps, std::int64_t within_us = 0) {
  Pattern p;
  p.steps = std::move(steps);
  if (within_us != 0) p.within = Duration{within_us};
  return p;
}

inline std::string to_text(const Match& match) {
  std::string text;
  for (std::size_t s = 0; s < match.places.steps.size(); ++s) {
    if (s != 0) text += "|";
    for (std::size_t k = 0; k < match.places.steps[s].size(); ++k) {
      if (k != 0) text += ";";
      for (std::size_t i = 0; i < match.places.steps[s][k].size(); ++i) {
        if (i != 0) text += " ";
        text += std::to_string(match.places.steps[s][k][i].event);
      }
    }
  }
  return text + "@" + std::to_string(match.at.us) + (match.truncated ? "*" : "");
}

inline std::string to_text(const std::vector<Match>& matches) {
  std::string text;
  for (const Match& m : matches) text += (text.empty() ? "" : ", ") + to_text(m);
  return text;
}

/// Answers as the test says; everything is true unless said otherwise.
class TestHost final : public Host {
 public:
  TestHost() { moment_matches = 0; }
  bool guard(GuardId id, const Binding& binding) override { return !on_guard || on_guard(id, binding); }
  bool accept(const Match& match) override { return !on_accept || on_accept(match); }
  std::function<bool(GuardId, const Binding&)> on_guard;
  std::function<bool(const Match&)> on_accept;
};

/// What an item of a stream is: an event, or a move of time.
struct Item {
  bool is_event = true;
  std::int64_t time = 0;
  char stream = 'a';
  int v = 0;
  bool late = false;
};

inline std::vector<Item> parse_stream(const std::string& text) {
  std::vector<Item> items;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    Item item;
    if (word[0] == '|') {
      item.is_event = false;
      item.time = std::atoll(word.c_str() + 1);
    } else {
      item.late = word[0] == '!';
      if (item.late) word.erase(0, 1);
      item.stream = word[0];
      item.v = word[1] == '@' ? 0 : word[1] - '0';
      item.time = std::atoll(word.c_str() + word.find('@') + 1);
    }
    items.push_back(item);
  }
  return items;
}

inline std::string to_text(const std::vector<Item>& items) {
  std::string text;
  for (const Item& i : items) {
    text += text.empty() ? "" : " ";
    if (!i.is_event) {
      text += "|" + std::to_string(i.time);
      continue;
    }
    text += std::string(i.late ? "!" : "") + i.stream + (i.v == 0 ? "" : std::to_string(i.v)) + "@" +
            std::to_string(i.time);
  }
  return text;
}

/// Calls `advance(time)` and `step(occurrence)` as a caller of nfa has to. Value 0 is v (0 is missing), value 1 is 10 -
/// v.
template <typename Advance, typename Step>
void feed(const std::vector<Item>& items, const Advance& on_advance, const Step& on_step) {
  std::uint64_t n = 0;
  std::int64_t now = 0;
  for (const Item& item : items) {
    if (!item.late) now = item.time;
    on_advance(Timestamp{now});
    if (!item.is_event) continue;
    ++n;
    PredicateBits bits(40);
    bits.set(predicate(item.stream));
    if (item.v != 0) bits.set(predicate(item.stream, item.v));
    const Value values[] = {item.v == 0 ? missing_value : Value{item.v}, 10 - item.v};
    on_step(Occurrence{n, n, Timestamp{item.time}, item.late, &bits, values});
  }
}

/// Every engine that claims the pattern; `refuses` as in Choosing.
inline std::vector<Program> programs_of(const Pattern& pattern, bool refuses) {
  std::vector<Program> programs;
  for (const Engine engine : {Engine::search, Engine::exists}) {
    Result<Program> program = compile(pattern, {}, {refuses, engine});
    if (program) programs.push_back(program.take());
  }
  return programs;
}

inline std::vector<Match> run(const Program& program, const std::vector<Item>& items, Host& host) {
  std::vector<Match> out;
  Runs runs;
  feed(
      items, [&](Timestamp t) { advance(program, runs, t, host, out); },
      [&](const Occurrence& o) { step(program, runs, o, host, out); });
  return out;
}

inline std::vector<Match> run(const Pattern& pattern, const std::vector<Item>& items, Host& host) {
  const Result<Program> program = compile(pattern);
  return program ? run(program.value(), items, host) : std::vector<Match>{};
}

/// What all engines that claim the pattern say; if they do not say the same, what each says.
inline std::string run(const Pattern& pattern, const std::string& stream) {
  std::string first, all;
  bool agree = true;
  for (const Program& program : programs_of(pattern, false)) {
    TestHost host;
    const std::string said = to_text(run(program, parse_stream(stream), host));
    if (all.empty()) first = said;
    agree = agree && said == first;
    all += std::string(nfa::to_text(program.engine)) + " says " + said + "; ";
  }
  return agree ? first : all;
}

}  // namespace tocsin::nfa::testing
