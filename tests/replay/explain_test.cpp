// Golden cases of explanations: tests/golden/explain/*.case, rule text and events, then questions with their whole answers.
// TOCSIN_UPDATE=1 writes what was answered into the files; the diff is reviewed.
//
//   --- rules
//   --- events                      lines of JSON
//   --- event KEY rule NAME …       a question; behind it: data begins first | complete | TIME, lateness D, until TIME, json
//   --- file rule NAME …            its body is `> ` and the lines of the event's file, then the answer
//   --- alert ID …
#include "replay/explain.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "replay/json.h"
#include "tests/support/stream.h"
#include "tests/support/temporary.h"

namespace tocsin::replay {
namespace {

struct Section {
  std::string head, body;
};

std::vector<Section> read_sections(const std::string& path) {
  std::vector<Section> sections{{"", ""}};
  std::istringstream lines(tests::read_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("--- ")) {
      sections.push_back({line.substr(4), ""});
    } else {
      sections.back().body += line + "\n";
    }
  }
  return sections;
}

struct Question {
  ExplainOptions options;
  std::string asked;  // lines that stay in the body
  bool json = false;
};

Question question_of(const Section& section, const std::string& events) {
  Question q;
  q.options.events = {events};
  q.options.data_begins.kind = engine::DataBegins::Kind::complete;
  std::istringstream words(section.head);
  for (std::string word; words >> word;) {
    const auto next = [&] {
      std::string value;
      words >> value;
      return value;
    };
    if (word == "event") q.options.event_id = next();
    if (word == "alert") q.options.alert_id = next();
    if (word == "rule") q.options.rule = next();
    if (word == "json") q.json = true;
    if (word == "until") q.options.until = parse_timestamp(next());
    if (word == "lateness") q.options.lateness = *parse_duration(next());
    if (word == "data") {
      next();
      const std::string begins = next();
      if (begins == "first") q.options.data_begins.kind = engine::DataBegins::Kind::first_event;
      if (const auto at = parse_timestamp(begins)) q.options.data_begins = {engine::DataBegins::Kind::at, *at};
    }
  }
  std::istringstream lines(section.body);
  for (std::string line; section.head.starts_with("file") && std::getline(lines, line) && line.starts_with("> ");) {
    q.options.event_text += line.substr(2) + "\n";
    q.asked += line + "\n";
  }
  return q;
}

TEST_CASE("golden explanations") {
  const std::string folder = std::string(TOCSIN_SOURCE_DIR) + "/tests/golden/explain";
  const char* update = std::getenv("TOCSIN_UPDATE");
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  REQUIRE(paths.size() >= 4);
  for (const std::string& path : paths) {
    CAPTURE(path);
    std::vector<Section> sections = read_sections(path);
    const tests::TemporaryDirectory directory;
    const std::string events = directory.path("events.ndjson");
    std::string rule_text;
    for (const Section& section : sections) {
      if (section.head == "rules") rule_text = section.body;
      if (section.head == "events") std::ofstream(events) << section.body;
    }
    const engine::Rules rules = engine::rules_of_texts({{"rules.risk", rule_text}}, engine::BuildFor::explaining);
    REQUIRE_MESSAGE(rules.ok(), rules.messages());
    std::string renewed = sections.front().body;
    for (Section& section : sections) {
      if (section.head.empty()) continue;
      if (section.head != "rules" && section.head != "events") {
        CAPTURE(section.head);
        const Question q = question_of(section, events);
        const Result<Explained> explained = explain(q.options, rules);
        const std::string answer = !explained ? "refused: " + explained.error().text + "\n"
                                   : q.json   ? to_json(explained.value())
                                              : to_text(explained.value());
        if (q.json) CHECK(parse_json(answer.substr(0, answer.size() - 1)).has_value());
        if (update == nullptr) CHECK(q.asked + answer == section.body);
        section.body = q.asked + answer;
      }
      renewed += "--- " + section.head + "\n" + section.body;
    }
    if (update != nullptr) std::ofstream(path) << renewed;
  }
}

TEST_CASE("the answers that docs/language.md shows are those of the golden cases") {
  const std::string root = TOCSIN_SOURCE_DIR;
  const std::string page = tests::read_file(root + "/docs/language.md");
  for (const char* shown : {"event t9 rule new_device_transfer", "event t13 rule costly data begins first"}) {
    CAPTURE(shown);
    bool there = false;
    for (const char* file : {"sequence_near_misses.case", "rule_on_one_event.case"}) {
      for (const Section& section : read_sections(root + "/tests/golden/explain/" + file)) {
        if (section.head == shown)
          there = page.find(section.body.substr(0, section.body.find("\n\ndecision"))) != std::string::npos;
      }
    }
    CHECK(there);
  }
}

/// All conditions of a tree, and whether unknown ones say why somewhere.
void look_through(const engine::TracedNode& node, const std::string& about) {
  CAPTURE(about);
  CAPTURE(node.text);
  switch (node.join) {
    case engine::TracedNode::Join::none: break;
    case engine::TracedNode::Join::all: {
      const bool all = std::all_of(node.children.begin(), node.children.end(),
                                   [](const engine::TracedNode& c) { return c.truth == engine::Truth::yes; });
      CHECK((node.truth == engine::Truth::yes) == all);
      break;
    }
    case engine::TracedNode::Join::any: {
      const bool any = std::any_of(node.children.begin(), node.children.end(),
                                   [](const engine::TracedNode& c) { return c.truth == engine::Truth::yes; });
      CHECK((node.truth == engine::Truth::yes) == any);
      break;
    }
  }
  for (const engine::TracedNode& child : node.children) look_through(child, about);
}

// The verdict is the engine's, the tree is told by the evaluation: on every event of every golden case of behaviour, for every rule,
// both must say the same, and so must the matcher and what is told of near misses.
TEST_CASE("accounts agree with what comes out, on all golden cases of behaviour") {
  std::size_t told = 0;
  std::size_t fired = 0;
  const std::string folder = std::string(TOCSIN_SOURCE_DIR) + "/tests/golden/behaviour";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    CAPTURE(path);
    std::string rule_text, lines;
    for (const Section& section : read_sections(path)) {
      if (section.head == "rules") rule_text = section.body;
      if (section.head == "events") lines = section.body;
    }
    const engine::Rules rules = engine::rules_of_texts({{"rules.risk", rule_text}}, engine::BuildFor::explaining);
    if (!rules.ok()) continue;  // it needs files beside it
    std::size_t accounted = 0;
    for (std::uint32_t r = 0; r < rules.ruleset->rules.size(); ++r) {
      const std::string& rule = rules.ruleset->rules[r].info.name;
      CAPTURE(rule);
      // Rules of one name are one rule under several roles: their hits are told together.
      if (r == 0 || rules.ruleset->rules[r - 1].info.name != rule) accounted = 0;
      const bool last_role = r + 1 == rules.ruleset->rules.size() || rules.ruleset->rules[r + 1].info.name != rule;
      const std::optional<RuleWords> words = words_of(rules.loaded, rule);
      REQUIRE(words.has_value());
      engine::Tracer::Wanted wanted;
      wanted.rule = r;
      engine::Tracer tracer(wanted);
      engine::EngineOptions options;
      options.data_begins.kind = engine::DataBegins::Kind::complete;
      engine::Engine engine(rules.ruleset, options);
      engine.trace(&tracer);
      engine::Intake intake = engine::Intake::make(rules.ruleset->schema, {event::SourceFormat{}}).take();
      event::MemorySource source(1);
      std::istringstream each(lines);
      for (std::string line; std::getline(each, line);) {
        if (!line.starts_with("advance")) source.add(0, line);
      }
      source.finish();
      std::vector<event::RawRecord> records;
      REQUIRE(source.poll(0, 100000, records).ok());
      engine::Outbox out;
      for (const event::RawRecord& record : records) {
        intake.take(record, out);
        intake.flush(engine, out);
      }
      std::size_t hits = 0;
      for (const engine::OutRecord& record : out.records) {
        if (record.stream != engine::OutStream::hits) continue;
        if ((*parse_json(record.bytes))["rule"].text == rule) ++hits;
      }
      for (const engine::Account& account : tracer.accounts) {
        const std::string about = account.event.type + " " + account.event.id;
        CAPTURE(about);
        ++told;
        CHECK(!to_text(account, *words).empty());
        CHECK(parse_json(to_json(account, *words)).has_value());
        for (const engine::TracedClause& clause : account.clauses) look_through(clause.node, about);
        bool clauses_hold = account.concerned && !account.event.late && !words->sequence;
        for (const engine::TracedClause& clause : account.clauses) {
          const bool asked =
              clause.kind == engine::TracedClause::Kind::stream || clause.kind == engine::TracedClause::Kind::when;
          clauses_hold = clauses_hold && (!asked || clause.node.truth == engine::Truth::yes);
        }
        if (!words->sequence) {
          CHECK(clauses_hold == account.fires);
          CHECK(account.hits.empty() == !account.fires);
        }
        for (const engine::TracedHit& hit : account.hits) {
          accounted += hit.silenced ? 0 : 1;
          for (const engine::TracedClause& clause : hit.clauses) {
            look_through(clause.node, about);
            if (clause.kind == engine::TracedClause::Kind::when) CHECK(clause.node.truth == engine::Truth::yes);
          }
        }
        for (const engine::TracedKey& key : account.keys) {
          const bool of_step = std::any_of(key.tests.begin(), key.tests.end(), [&](const engine::TracedTest& t) {
            std::size_t steps = 0;
            for (const RuleWords::Step& step : words->steps) {
              if (!step.is_absence) steps += std::max<std::size_t>(step.parts.size(), 1);
            }
            return t.of_stream && t.test < steps;
          });
          // Of whatever is of a step's stream, something is told.
          CHECK((key.miss.has_value() || account.event.late || !account.hits.empty() || !of_step));
          if (!key.miss || !account.hits.empty()) continue;
          const engine::PatternPlan& pattern = rules.ruleset->patterns[*rules.ruleset->rules[r].pattern];
          // Nothing in the way of the last step: then it must wait for its deadline.
          if (key.miss->step + 1 == pattern.pattern.steps.size()) {
            CHECK((!key.miss->failures.empty() || key.waits_until));
          }
        }
      }
      if (!last_role) continue;
      fired += accounted;
      CHECK(accounted == hits);
    }
  }
  CHECK(told > 100);
  CHECK(fired > 20);
}

}  // namespace
}  // namespace tocsin::replay
