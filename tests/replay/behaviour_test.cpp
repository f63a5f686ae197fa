// Golden cases of behaviour: tests/golden/behaviour/*.case, and tests/golden/issues/*.case for what was once wrong. A case is rule
// text and events, and what comes out in a short form. TOCSIN_UPDATE=1 writes what came out into the files; the diff is reviewed.
//
//   --- rules       rule text
//   --- file NAME   what stands in a file that the rules name (may be left out)
//   --- options     lateness 10s · data begins first | complete | TIME · program bytes N   (may be left out)
//   --- events      lines of JSON; "advance TIME" moves time on; "row TABLE column=cell … from=TIME" adds a row, "list NAME entry" an entry
//   --- hits        TIME rule key {alias:id …} action score shadow truncated: because
//   --- alerts      TIME rule key severity, and how many hits were folded into it; what became of it later: rule key state …
//   --- decisions   type:id action line score also LINES, limited ACTION (what the line said), error: reason
//   --- counts      late, duplicates, dead letters by reason, bounds reached, unknown results, undecided absences; only what is not zero
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "engine/rules.h"
#include "tests/support/stream.h"

namespace tocsin::tests {
namespace {

using replay::Json;

const std::vector<std::string> sections = {"rules", "options", "events", "hits", "alerts", "decisions", "counts"};

struct Case {
  std::string about;  // lines before the first section
  std::map<std::string, std::string> parts;
};

Case read_case(const std::string& path) {
  Case read;
  std::string* part = &read.about;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("--- ")) {
      part = &read.parts[line.substr(4)];
    } else {
      *part += line + "\n";
    }
  }
  return read;
}

std::string pairs(const Json& object) {
  std::string text;
  for (const auto& [name, value] : object.members)
    text += " " + name + "=" + (value.kind == Json::Kind::null ? "missing" : value.text);
  return text;
}

std::string hits_text(const Output& output) {
  std::string text;
  for (const Json& hit : output.hits) {
    text += hit["at"].text + " " + hit["rule"].text + pairs(hit["key"]) + " {";
    std::string separator;
    for (const Json& bound : hit["events"].items) {
      text += separator + bound["alias"].text + ":" + bound["id"].text;
      separator = " ";
    }
    text += "}";
    if (hit.has("action")) text += " " + hit["action"].text;
    if (hit.has("score")) text += " " + hit["score"].text;
    if (hit["shadow"].is_true()) text += " shadow";
    if (hit["truncated"].is_true()) text += " truncated";
    if (hit.has("because")) text += ": " + hit["because"].text;
    text += "\n";
  }
  return text;
}

std::string alerts_text(const Output& output) {
  std::map<std::string, int> folded;
  for (const Json& hit : output.hits) {
    if (hit["folded"].is_true()) ++folded[hit["alert"].text];
  }
  std::string text;
  std::map<std::string, std::string> rule_of;  // by id: what became of an alert later says only that
  for (const Json& alert : output.alerts) {
    const std::string& id = alert["id"].text;
    const bool made = rule_of.try_emplace(id, alert["rule"].text + pairs(alert["key"])).second;
    text += alert["at"].text + (alert.has("at") ? " " : "") + rule_of[id] + " ";
    if (made) text += alert["severity"].text;
    if (!made || alert["state"].text != "open") text += (made ? ", " : "") + alert["state"].text;
    for (const char* what : {"held_until", "by", "opened", "suppressed", "resolved", "reopened"}) {
      if (alert.has(what)) text += std::string(" ") + what + " " + alert[what].text;
    }
    if (const int n = folded[id]; made && n > 0) text += ", " + std::to_string(n) + " folded";
    text += "\n";
  }
  return text;
}

std::string decisions_text(const Output& output) {
  std::string text;
  for (const Json& decision : output.decisions) {
    text += decision["event"]["type"].text + ":" + decision["event"]["id"].text + " " + decision["action"].text +
            " line " + decision["line"].text + " score " + decision["score"].text;
    for (std::size_t i = 0; i < decision["also"].items.size(); ++i) {
      text += (i == 0 ? " also " : ",") + decision["also"].items[i].text;
    }
    if (decision.has("limited")) text += " limited " + decision["limited"].text;
    if (decision["error"].is_true()) text += " error";
    text += ": " + decision["reason"].text + "\n";
  }
  return text;
}

std::string counts_text(Stream& stream) {
  std::string text;
  const engine::Counters& counters = stream.engine().counters();
  const auto add = [&text](const std::string& name, std::uint64_t n) {
    if (n > 0) text += name + " " + std::to_string(n) + "\n";
  };
  add("late", counters.late);
  add("duplicates", counters.duplicates);
  for (std::size_t i = 0; i < event::reason_count; ++i) {
    add("dead letter " + std::string(event::to_text(static_cast<event::Reason>(i))),
        stream.intake().counts().dead_letters[i]);
  }
  for (const auto& [name, n] : counters.excepted_by_rule) add("excepted " + name, n);
  for (const auto& [name, n] : counters.bounds) add("bound " + name, n);
  for (const auto& [name, n] : counters.unknown_by_rule_and_field) add("unknown " + name.first + " " + name.second, n);
  for (const engine::Undecided& absence : stream.engine().undecided()) {
    text += "undecided " + absence.rule + " " + absence.key + " until " + to_text(absence.deadline) + "\n";
  }
  return text;
}

engine::EngineOptions options_of(const std::string& text) {
  engine::EngineOptions options = Stream::complete();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("lateness ")) options.lateness = {parse_duration(line.substr(9)).value()};
    if (line.starts_with("program bytes ")) options.program_bytes_max = std::stoul(line.substr(14));
    if (line.starts_with("data begins ")) {
      const std::string when = line.substr(12);
      if (when == "first") options.data_begins.kind = engine::DataBegins::Kind::first_event;
      if (when != "first" && when != "complete") {
        options.data_begins = {engine::DataBegins::Kind::at, parse_timestamp(when).value()};
      }
    }
  }
  return options;
}

void play(Stream& stream, const std::string& events) {
  std::istringstream lines(events);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    if (line.starts_with("advance ")) {
      stream.advance(parse_timestamp(line.substr(8)).value());
    } else if (line.starts_with("row ") || line.starts_with("list ")) {
      std::istringstream words(line);
      std::string word, name;
      words >> word >> name;
      std::map<std::string, std::string> cells;
      std::vector<std::string> entries;
      for (std::string cell; words >> cell;) {
        entries.push_back(cell);
        if (const auto equals = cell.find('='); equals != std::string::npos)
          cells[cell.substr(0, equals)] = cell.substr(equals + 1);
      }
      CAPTURE(line);
      REQUIRE((line.starts_with("row ") ? stream.give_row(name, cells) : stream.give(name, entries)));
    } else {
      stream.send(line);
    }
  }
  stream.end();
}

/// Per stream, since only within one the order of records is promised for every batch.
std::vector<std::string> sorted_by_stream(std::vector<std::string> lines) {
  std::stable_sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    return a.substr(0, a.find(' ')) < b.substr(0, b.find(' '));
  });
  return lines;
}

void check_case(const std::string& path) {
  CAPTURE(path);
  Case wanted = read_case(path);
  std::vector<engine::RuleFileText> files = {{"case.risk", wanted.parts["rules"], false}};
  for (const auto& [part, text] : wanted.parts) {
    if (part.starts_with("file ")) files.push_back({part.substr(5), text, true});
  }
  const engine::Rules rules = engine::rules_of_texts(files);
  REQUIRE_MESSAGE(rules.ok(), rules.messages());
  const engine::EngineOptions options = options_of(wanted.parts["options"]);
  Stream stream(rules.ruleset, options);
  play(stream, wanted.parts["events"]);
  std::map<std::string, std::string> got = {{"hits", hits_text(stream.output())},
                                            {"alerts", alerts_text(stream.output())},
                                            {"decisions", decisions_text(stream.output())},
                                            {"counts", counts_text(stream)}};
  if (const char* update = std::getenv("TOCSIN_UPDATE"); update != nullptr && *update == '1') {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << wanted.about;
    for (const std::string& section : sections) {
      const bool result = got.contains(section);
      const std::string& text = result ? got[section] : wanted.parts[section];
      if (!text.empty()) out << "--- " << section << "\n" << text;
      if (section != "rules") continue;
      for (const auto& [part, content] : wanted.parts) {
        if (part.starts_with("file ")) out << "--- " << part << "\n" << content;
      }
    }
  } else {
    for (const auto& [section, text] : got) {
      CAPTURE(section);
      CHECK(wanted.parts[section] == text);
    }
  }
  // The same events in other batches and shards: the same bytes, and the same counts.
  for (const auto& [shards, batch] : {std::pair<std::uint32_t, std::size_t>{7, 1}, {1, 512}, {7, 3}}) {
    CAPTURE(shards);
    CAPTURE(batch);
    engine::EngineOptions other = options;
    other.shards = shards;
    Stream again(rules.ruleset, other, batch);
    play(again, wanted.parts["events"]);
    CHECK(sorted_by_stream(again.output().lines) == sorted_by_stream(stream.output().lines));
    CHECK(counts_text(again) == got["counts"]);
  }
}

TEST_CASE("golden cases of behaviour") {
  std::vector<std::string> files;
  std::error_code error;
  for (const char* folder : {"behaviour", "issues"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(TOCSIN_SOURCE_DIR) + "/tests/golden/" + folder, error)) {
      if (entry.path().extension() == ".case") files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  REQUIRE(!files.empty());
  for (const std::string& file : files) check_case(file);
}

/// The clauses that a file's name begins with: of `p14_p15_any_order.case` p14 and p15.
std::vector<std::string> clauses_of(const std::string& name) {
  std::vector<std::string> clauses;
  std::istringstream words(name);
  for (std::string word; std::getline(words, word, '_');) {
    const bool is_clause = word.size() > 1 && word[0] >= 'a' && word[0] <= 'z' &&
                           std::all_of(word.begin() + 1, word.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_clause) break;
    clauses.push_back(word);
  }
  return clauses;
}

// T order and time, V values, W windows, P sequences, C choice, M after a match, E effects, L alerts, D decisions, X tests, S the
// contract; what is refused before load (R) has no numbers.
TEST_CASE("every clause of the language has a golden case that is named after it") {
  std::set<std::string> shown;
  std::error_code error;
  for (const char* folder : {"behaviour", "rule_tests"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(TOCSIN_SOURCE_DIR) + "/tests/golden/" + folder, error)) {
      for (const std::string& clause : clauses_of(entry.path().filename().string())) shown.insert(clause);
    }
  }
  const std::vector<std::pair<char, int>> clauses = {{'t', 9}, {'v', 10}, {'w', 11}, {'p', 20}, {'c', 6}, {'m', 5},
                                                     {'e', 5}, {'l', 6},  {'d', 9},  {'x', 4},  {'s', 15}};
  for (const auto& [letter, count] : clauses) {
    for (int i = 1; i <= count; ++i) {
      const std::string clause = letter + std::to_string(i);
      CHECK_MESSAGE(shown.contains(clause), clause);
    }
  }
}

}  // namespace
}  // namespace tocsin::tests
