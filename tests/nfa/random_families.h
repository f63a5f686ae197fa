// Random sequences that begin alike, run over one stream: with what they have in common run once (nfa/prefix.h) each must
// say what it says alone.
#pragma once

#include <string>
#include <vector>

#include "nfa/prefix.h"
#include "tests/nfa/random_changes.h"

namespace tocsin::nfa::testing {

struct FamilyCase {
  std::vector<Pattern> members;
  std::vector<Item> items;
  bool refuses = false;
  bool rereads = false;  // everything goes through its bytes after each event
};

inline FamilyCase random_family_case(std::uint64_t seed) {
  Dice dice(seed);
  FamilyCase c;
  const Pattern first = dice.one_in(2) ? simple_pattern(dice) : random_pattern(dice);
  c.members.push_back(first);
  for (int more = 1 + dice.below(3); more > 0; --more) {
    c.members.push_back(dice.one_in(6) ? first : changed(dice, first));
  }
  for (Pattern& p : c.members) number_all_guards(p);
  c.items = random_stream(dice, dice.one_in(2) ? 0 : 20 + dice.below(40));
  c.refuses = dice.one_in(4);
  c.rereads = dice.one_in(3);
  return c;
}

/// What a family did, for a test to see that it did something.
struct FamilyCounts {
  std::uint64_t prefixes = 0, joined = 0, rested = 0, matches = 0;
};

/// The members under one key, as an engine runs them.
class Family {
 public:
  Family(std::vector<Program> programs, std::vector<Host*> hosts)
      : programs_(std::move(programs)), hosts_(std::move(hosts)), own_(programs_.size()), found_(programs_.size()) {
    std::vector<Sharer> sharers;
    for (Program& p : programs_) sharers.push_back({&p, std::vector<std::uint64_t>(p.parts.steps.size(), 0)});
    prefixes_ = share_prefixes(sharers);
    shared_.resize(prefixes_.size());
    place_.resize(programs_.size());
    for (std::size_t x = 0; x < prefixes_.size(); ++x) {
      for (std::uint32_t m = 0; m < prefixes_[x].members.size(); ++m)
        place_[prefixes_[x].members[m].program] = {static_cast<std::uint32_t>(x), m};
    }
    counts.prefixes = prefixes_.size();
  }

  void advance(Timestamp to) {
    now_ = to;
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      const auto due = next_deadline(own_[i]);
      if (!due || !(*due < to)) continue;
      nfa::advance(programs_[i], own_[i], to, *hosts_[i], found_[i]);
      let_rest(i);
    }
  }

  void step(const Occurrence& o) {
    std::vector<std::size_t> stepped;
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      const Program& program = programs_[i];
      if (program.common_steps != 0 && own_[i].body == nullptr) {
        const auto [x, m] = place_[i];
        if (!join(prefixes_[x], m, program, shared_[x], own_[i], o, now_)) continue;
        ++counts.joined;
      }
      nfa::step(program, own_[i], o, *hosts_[i], found_[i]);
      stepped.push_back(i);
    }
    for (std::size_t x = 0; x < prefixes_.size(); ++x) {
      prefix_step(prefixes_[x], shared_[x], o, *hosts_[prefixes_[x].members.front().program]);
    }
    for (const std::size_t i : stepped) let_rest(i);
  }

  /// False when something does not come back from its bytes.
  bool reread() {
    const auto again = [](const Program& program, Runs& runs) {
      std::string bytes, twice;
      encode(program, runs, bytes);
      std::optional<Runs> back = decode(program, bytes);
      if (!back) return false;
      encode(program, *back, twice);
      runs = std::move(*back);
      return bytes == twice;
    };
    bool all = true;
    for (std::size_t i = 0; i < programs_.size(); ++i) all = again(programs_[i], own_[i]) && all;
    for (std::size_t x = 0; x < prefixes_.size(); ++x) all = again(prefixes_[x].program, shared_[x]) && all;
    return all;
  }

  [[nodiscard]] const std::vector<Match>& found(std::size_t i) const { return found_[i]; }
  [[nodiscard]] const Program& program(std::size_t i) const { return programs_[i]; }
  [[nodiscard]] bool rests(std::size_t i) const { return own_[i].body == nullptr; }
  [[nodiscard]] const std::vector<Prefix>& prefixes() const { return prefixes_; }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Runs& r : own_) sum += r.bytes();
    for (const Runs& r : shared_) sum += r.bytes();
    return sum;
  }
  FamilyCounts counts;

 private:
  void let_rest(std::size_t i) {
    if (programs_[i].common_steps == 0) return;
    const auto [x, m] = place_[i];
    const bool awake = own_[i].body != nullptr;
    rest(m, programs_[i], &shared_[x], own_[i]);
    counts.rested += awake && own_[i].body == nullptr ? 1U : 0U;
  }

  std::vector<Program> programs_;
  std::vector<Host*> hosts_;
  std::vector<Runs> own_;
  std::vector<std::vector<Match>> found_;
  std::vector<Prefix> prefixes_;
  std::vector<Runs> shared_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> place_;
  Timestamp now_;
};

/// Of one engine; empty when each member says together what it says alone.
inline std::string family_disagreement(const FamilyCase& c, Engine engine, std::uint64_t seed,
                                       FamilyCounts* counts = nullptr) {
  std::vector<Program> programs;
  std::vector<std::size_t> of;
  for (std::size_t i = 0; i < c.members.size(); ++i) {
    auto program = compile(c.members[i], {}, {c.refuses, engine});
    if (!program) continue;
    programs.push_back(program.take());
    of.push_back(i);
  }
  std::vector<TestHost> hosts(programs.size()), hosts_alone(programs.size());
  std::vector<Host*> pointers;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    for (TestHost* host : {&hosts[i], &hosts_alone[i]}) {
      if (c.refuses) refuse_some(*host, seed + i);
      answer_by_steps(*host, c.members[of[i]]);
    }
    pointers.push_back(&hosts[i]);
  }
  const std::vector<Program> alone = programs;
  std::vector<Runs> runs(alone.size());
  std::vector<std::vector<Match>> expected(alone.size());
  Family family(programs, pointers);
  bool read_back = true;
  feed(
      c.items,
      [&](Timestamp t) {
        for (std::size_t i = 0; i < alone.size(); ++i) advance(alone[i], runs[i], t, hosts_alone[i], expected[i]);
        family.advance(t);
      },
      [&](const Occurrence& o) {
        for (std::size_t i = 0; i < alone.size(); ++i) step(alone[i], runs[i], o, hosts_alone[i], expected[i]);
        family.step(o);
        if (c.rereads) read_back = family.reread() && read_back;
      });
  if (!read_back) return "did not read back";
  for (std::size_t i = 0; i < alone.size(); ++i) {
    family.counts.matches += family.program(i).common_steps != 0 ? expected[i].size() : 0;
    if (to_text(expected[i]) == to_text(family.found(i))) continue;
    return std::string(nfa::to_text(engine)) + ", member " + std::to_string(of[i]) + ", " +
           std::to_string(family.program(i).common_steps) + " steps in common\nalone    " + to_text(expected[i]) +
           "\ntogether " + to_text(family.found(i));
  }
  if (counts != nullptr) {
    counts->prefixes += family.counts.prefixes;
    counts->joined += family.counts.joined;
    counts->rested += family.counts.rested;
    counts->matches += family.counts.matches;
  }
  return {};
}

inline std::string family_disagreement(const FamilyCase& c, std::uint64_t seed, FamilyCounts* exists = nullptr,
                                       FamilyCounts* search = nullptr) {
  std::string said = family_disagreement(c, Engine::exists, seed, exists);
  return said.empty() ? family_disagreement(c, Engine::search, seed, search) : said;
}

inline std::string explain_family(FamilyCase c, std::uint64_t seed) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (std::size_t i = 0; i < c.items.size() && !smaller; ++i) {
      FamilyCase fewer = c;
      fewer.items.erase(fewer.items.begin() + static_cast<std::ptrdiff_t>(i));
      if (family_disagreement(fewer, seed).empty()) continue;
      c = fewer;
      smaller = true;
    }
    for (std::size_t i = 0; i < c.members.size() && c.members.size() > 2 && !smaller; ++i) {
      FamilyCase fewer = c;
      fewer.members.erase(fewer.members.begin() + static_cast<std::ptrdiff_t>(i));
      if (family_disagreement(fewer, seed).empty()) continue;
      c = fewer;
      smaller = true;
    }
  }
  std::string text;
  for (const Pattern& p : c.members) text += to_text(p) + "and\n";
  return text + to_text(c.items) + "\n" + family_disagreement(c, seed);
}

}  // namespace tocsin::nfa::testing
