#include "replay/rule_tests.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "base/check.h"
#include "engine/compile/build.h"
#include "engine/run/engine.h"
#include "engine/run/trace.h"
#include "replay/account.h"
#include "replay/json.h"

namespace tocsin::replay {

namespace {

using dsl::TestStep;
using Kind = TestStep::Kind;

/// What came out since the test began.
struct Outcome {
  struct Newest {
    std::uint64_t hits = 0;
    std::uint64_t events = 0;  // bound by the newest hit
  };
  std::map<std::string, Newest> rules;
  std::optional<Json> decision;
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> decided_lines;  // by policy and line
  std::set<std::string> alerts;                                                  // by id

  void take(const engine::OutRecord& record) {
    std::optional<Json> json = parse_json(record.bytes);
    TOCSIN_CHECK(json.has_value(), record.bytes);
    if (record.stream == engine::OutStream::alerts) {
      // X3: those made and neither held nor suppressed; one whose wait is of no length is made until another rule takes it back.
      const Json& alert = *json;
      const std::string& state = alert["state"].text;
      const bool no_wait = state == "held" && alert["held_until"].text == alert["at"].text;
      if (state == "open" || no_wait) alerts.insert(alert["id"].text);
      if (state == "suppressed") alerts.erase(alert["id"].text);
      return;
    }
    if (record.stream == engine::OutStream::decisions) {
      decision = std::move(json);
      std::uint64_t line = 0;
      const std::string& text = (*decision)["line"].text;
      std::from_chars(text.data(), text.data() + text.size(), line);
      ++decided_lines[{(*decision)["policy"].text, line}];
    }
    if (record.stream == engine::OutStream::hits) {
      Newest& newest = rules[(*json)["rule"].text];
      ++newest.hits;
      newest.events = (*json)["events"].items.size();
    }
  }
};

std::string plural(std::uint64_t n, std::string_view word) {
  return std::to_string(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

/// One test from its beginning to its first failure.
class Runner {
 public:
  Runner(const dsl::Rulebook& book, std::shared_ptr<const engine::Ruleset> ruleset, engine::Tracer* tracer = nullptr)
      : book_(book), engine_(std::move(ruleset), options()) {
    engine_.trace(tracer);
  }

  std::optional<TestFailure> run(const dsl::Test& test) {
    for (const TestStep& step : test.steps) {
      std::optional<std::string> happened = take(step);
      if (!happened) continue;
      TestFailure failure{test.name, step.span, std::move(*happened), {}};
      if (step.kind == Kind::expect_state) add_state(step, failure.notes);
      failure.notes.push_back("rules that hit so far: " + hits_text());
      failure.notes.push_back("newest decision: " + decision_text());
      if (!left_out_.empty()) {
        std::string fields;
        for (const std::string& field : left_out_) fields += (fields.empty() ? "" : ", ") + field;
        failure.notes.push_back("left out of the events sent, so missing: " + fields);
      }
      return failure;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t events_sent() const { return sequence_; }

  /// What came out, for the sum over all tests.
  void add_to(TestReport& report) const {
    for (const auto& [rule, newest] : outcome_.rules) report.hits_by_rule[rule] += newest.hits;
    for (const auto& [line, count] : outcome_.decided_lines) report.decisions_by_line[line] += count;
  }

 private:
  static engine::EngineOptions options() {
    engine::EngineOptions options;
    options.data_begins.kind = engine::DataBegins::Kind::complete;
    return options;
  }

  void step(engine::Item item) {
    engine::Outbox out;
    engine_.step({&item, 1}, out);
    for (const engine::OutRecord& record : out.records) outcome_.take(record);
  }
  void tick() {
    engine::Item item;
    item.kind = engine::ItemKind::tick;
    item.time = clock_;
    step(std::move(item));
  }
  void move_to(Timestamp time) {
    clock_ = time;
    tick();
  }

  void given(const TestStep& s) {
    engine::Item item;
    const bool table = s.kind == Kind::given_table;
    const bool label = s.kind == Kind::given_label;
    item.kind = table   ? engine::ItemKind::table_change
                : label ? engine::ItemKind::label_change
                        : engine::ItemKind::list_change;
    item.time = table ? s.time : clock_;
    const auto number = table ? s.table : label ? s.label : s.list;
    item.change = std::make_shared<const engine::DataChange>(engine::DataChange{number, s.values, s.networks});
    step(std::move(item));
  }

  void send_one(const TestStep& s) {
    const event::EventType& type = book_.schema.events[s.event];
    std::vector<event::Value> values = s.values;
    values.resize(type.fields.size());
    if (!s.key_given) {
      texts_.push_back("test-" + std::to_string(++sent_));
      values[type.key] = event::Value::of_text(texts_.back());
    }
    if (!s.time_given) values[type.time] = event::Value::of_time(clock_);
    for (std::uint32_t i = 0; i < type.declared_count; ++i) {
      if (values[i].is_missing() && !type.fields[i].optional) left_out_.insert(type.name + "." + type.fields[i].name);
    }
    engine::Item item;
    item.kind = engine::ItemKind::event;
    item.event.type = s.event;
    item.event.values = values;
    item.event.time = values[type.time].time();
    item.event.arrival = item.event.time;
    item.event.position = {0, ++sequence_};
    item.time = item.event.time;
    step(std::move(item));
  }

  void send(const TestStep& s) {
    clock_ = clock_ + s.duration;
    for (std::uint32_t i = 0; i < s.times; ++i) {
      if (i > 0) clock_ = clock_ + s.every;
      // The event brings the watermark along, unless it says a time of its own: the clock stands where `send +D` put it.
      if (s.time_given) tick();
      send_one(s);
    }
  }

  [[nodiscard]] std::string hits_text() const {
    std::string text;
    for (const auto& [name, newest] : outcome_.rules) {
      if (!text.empty()) text += ", ";
      text += name;
      if (newest.hits > 1) text += " (" + std::to_string(newest.hits) + " times)";
    }
    return text.empty() ? "none" : text;
  }
  [[nodiscard]] std::string decision_text() const {
    if (!outcome_.decision) return "none, no event of a policy was sent";
    return (*outcome_.decision)["action"].text + " (" + (*outcome_.decision)["reason"].text + ")";
  }

  /// What there was instead of what the test expects of a list, a label, a feature; and which rules might have put it there.
  void add_state(const TestStep& s, std::vector<std::string>& notes) {
    for (std::size_t i = 0; i < s.shown.size(); ++i) {
      const event::Value value = engine_.answer_question(s.question + s.holds.size() + i, clock_);
      notes.push_back(s.shown[i].name + " is " +
                      (value.is_missing() ? "missing" : event::shown(value, s.shown[i].value.type, book_.schema)) +
                      " at " + to_text(clock_));
    }
    if (!s.shown.empty()) return;
    std::string putting;
    const auto put_by = [&](const dsl::Rule& rule) {
      const auto hit = outcome_.rules.find(rule.name);
      putting += (putting.empty() ? "" : ", ") + rule.name;
      if (rule.shadow) putting += " (a shadow rule: only shadow rules see it)";
      putting += hit == outcome_.rules.end() ? " (did not hit)" : " (" + plural(hit->second.hits, "hit") + ")";
    };
    if (s.whom) {
      const std::string& kind = book_.labels[s.label].kind;
      std::string labels;
      for (std::uint32_t label = 0; label < book_.labels.size(); ++label) {
        if (book_.labels[label].kind != kind || !engine_.has_label(label, *s.whom, clock_)) continue;
        labels += (labels.empty() ? "\"" : ", \"") + book_.labels[label].name + "\"";
      }
      notes.push_back("its labels at " + to_text(clock_) + ": " + (labels.empty() ? "none" : labels));
      for (const dsl::Rule& rule : book_.rules) {
        const auto puts = [&](const dsl::LabelEffect& effect) { return effect.label == s.label; };
        if (std::any_of(rule.labels.begin(), rule.labels.end(), puts)) put_by(rule);
      }
    } else {
      for (const dsl::Rule& rule : book_.rules) {
        const auto puts = [&](const dsl::ListEffect& effect) { return effect.list == s.list; };
        if (std::any_of(rule.adds.begin(), rule.adds.end(), puts)) put_by(rule);
      }
    }
    notes.push_back("rules that put it there: " + (putting.empty() ? "none" : putting));
  }

  /// What went wrong, if anything.
  std::optional<std::string> take(const TestStep& s) {
    switch (s.kind) {
      case Kind::at: move_to(s.time); return std::nullopt;
      case Kind::wait: move_to(clock_ + s.duration); return std::nullopt;
      case Kind::given_list:
      case Kind::given_table:
      case Kind::given_label: given(s); return std::nullopt;
      case Kind::send: send(s); return std::nullopt;
      case Kind::expect_rule: {
        const std::string& name = book_.rules[s.rule].name;
        const auto at = outcome_.rules.find(name);
        if (at == outcome_.rules.end()) return name + " did not hit";
        if (s.number && at->second.events != *s.number) {
          return "the newest hit of " + name + " has " + plural(at->second.events, "event") + ", not " +
                 std::to_string(*s.number);
        }
        return std::nullopt;
      }
      case Kind::expect_no_rule: {
        const std::string& name = book_.rules[s.rule].name;
        const auto at = outcome_.rules.find(name);
        if (at == outcome_.rules.end()) return std::nullopt;
        return name + " hit " + plural(at->second.hits, "time");
      }
      case Kind::expect_decision: {
        const std::string wanted(event::to_text(s.action));
        if (!outcome_.decision) return "there was no decision";
        const std::string& got = (*outcome_.decision)["action"].text;
        if (got == wanted) return std::nullopt;
        return "the decision is " + got + ", not " + wanted;
      }
      case Kind::expect_score: {
        if (!outcome_.decision) return "there was no decision, and so no score";
        const std::string& got = (*outcome_.decision)["score"].text;
        if (parse_decimal(got) == s.score) return std::nullopt;
        return "the score of the newest decision is " + got + ", not " + to_text(s.score);
      }
      case Kind::expect_state: {
        for (std::size_t i = 0; i < s.holds.size(); ++i) {
          if (!engine::is_true(engine_.answer_question(s.question + i, clock_))) return s.holds[i].name;
        }
        return std::nullopt;
      }
      case Kind::expect_alerts: {
        const std::uint64_t wanted = s.number.value_or(0);
        const std::size_t made = outcome_.alerts.size();
        if (made == wanted) return std::nullopt;
        return "there " + std::string(made == 1 ? "was " : "were ") + plural(made, "alert") + ", not " +
               std::to_string(wanted);
      }
    }
    return std::nullopt;
  }

  const dsl::Rulebook& book_;
  engine::Engine engine_;
  Outcome outcome_;
  Timestamp clock_{1'767'225'600'000'000};  // 2026-01-01, for tests that do not say `at`
  std::uint64_t sent_ = 0;
  std::uint64_t sequence_ = 0;
  std::deque<std::string> texts_;
  std::set<std::string> left_out_;
};

std::string snippet(const dsl::SourceFile& file, const dsl::Span& span) {
  const dsl::SourceFile::Place place = file.place_of(span.begin);
  const std::string number = std::to_string(place.line);
  return std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') + number + " | " +
         std::string(file.line(place.line)) + "\n";
}

std::vector<engine::RuleFileText> files_of(const dsl::Loaded& rules) {
  std::vector<engine::RuleFileText> files;
  for (const dsl::SourceFile& file : rules.sources) files.push_back({file.path(), std::string(file.text())});
  return files;
}

/// Of a test with more events only the newest are asked how near they came; all are seen as history.
constexpr std::uint64_t asked_events_max = 512;

/// How near the events of the test came to a hit of `rule`, until its expectation failed: the test once more, told of.
class Misses {
 public:
  Misses(const dsl::Loaded& rules, const dsl::Rulebook& book) : rules_(rules), book_(book) {}

  Status tell(const dsl::Test& test, std::uint32_t rule, std::uint64_t events_sent, std::vector<std::string>& notes) {
    if (ruleset_ == nullptr) {
      auto built = engine::build(book_, files_of(rules_), engine::BuildFor::explaining_tests);
      if (!built) return built.error();
      ruleset_ = built.take();
    }
    const std::optional<RuleWords> words = words_of(rules_, book_.rules[rule].name);
    if (!words) return {};
    engine::Tracer::Wanted wanted;
    wanted.rule = rule;
    wanted.from_release = events_sent > asked_events_max ? events_sent - asked_events_max + 1 : 0;
    engine::Tracer tracer(wanted);
    Runner(book_, ruleset_, &tracer).run(test);
    const engine::Account* best = nullptr;
    for (const engine::Account& account : tracer.accounts) {
      if (nearness(account, *words) == 0) continue;
      if (best == nullptr || nearness(account, *words) >= nearness(*best, *words)) best = &account;
    }
    if (best == nullptr) {
      notes.push_back("no event was sent that " + words->name + " looks at");
      return {};
    }
    notes.push_back("nearest: " + best->event.type + " " + best->event.id + " of " + to_text(best->event.time));
    for (const std::string& reason : short_reasons(*best, *words)) {
      for (std::size_t begin = 0; begin <= reason.size();) {
        const std::size_t end = std::min(reason.find('\n', begin), reason.size());
        notes.push_back("  " + reason.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    return {};
  }

 private:
  const dsl::Loaded& rules_;
  const dsl::Rulebook& book_;
  std::shared_ptr<const engine::Ruleset> ruleset_;
};

}  // namespace

namespace {

/// X1: a test begins with nothing, so the lists and tables of its ruleset are empty but for what is `given`.
void empty_lists_and_tables(dsl::Rulebook& book) {
  for (dsl::List& list : book.lists) {
    list.entries.clear();
    list.networks.clear();
  }
  for (dsl::Table& table : book.tables) {
    table.from.clear();
    table.cells.clear();
    table.networks.clear();
  }
}

}  // namespace

Result<TestReport> run_tests(dsl::Rulebook book, const std::vector<std::size_t>& order, bool first_failure,
                             std::vector<engine::RuleFileText> files) {
  empty_lists_and_tables(book);
  auto ruleset = engine::build(book, std::move(files), engine::BuildFor::testing);
  if (!ruleset) return ruleset.error();
  TestReport report;
  report.rules = book.rules.size();
  for (const std::size_t index : order) {
    const dsl::Test& test = book.tests[index];
    ++report.tests;
    Runner runner(book, ruleset.value());
    std::optional<TestFailure> failure = runner.run(test);
    runner.add_to(report);
    if (!failure) continue;
    ++report.failed;
    failure->test_index = index;
    failure->events_sent = runner.events_sent();
    report.failures.push_back(std::move(*failure));
    if (first_failure) break;
  }
  return report;
}

Result<TestReport> run_tests(const dsl::Loaded& rules) {
  TOCSIN_CHECK(rules.book.has_value());
  std::vector<std::size_t> all(rules.book->tests.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  Result<TestReport> report = run_tests(*rules.book, all, false, files_of(rules));
  if (!report) return report;
  dsl::Rulebook book = *rules.book;
  empty_lists_and_tables(book);
  Misses misses(rules, book);
  for (TestFailure& failure : report.value().failures) {
    const dsl::Test& test = book.tests[failure.test_index];
    const auto expectation = std::find_if(test.steps.begin(), test.steps.end(), [&](const TestStep& step) {
      return step.kind == Kind::expect_rule && step.span == failure.span;
    });
    if (expectation == test.steps.end()) continue;
    if (Status told = misses.tell(test, expectation->rule, failure.events_sent, failure.notes); !told)
      return told.error();
  }
  return report;
}

std::string to_text(const TestReport& report, const dsl::SourceSet& sources) {
  std::string text;
  for (const TestFailure& failure : report.failures) {
    const dsl::SourceFile& file = sources[failure.span.file];
    const dsl::SourceFile::Place place = file.place_of(failure.span.begin);
    text += file.path() + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ": failed: test \"" +
            failure.test + "\": " + failure.happened + "\n";
    text += snippet(file, failure.span);
    for (const std::string& note : failure.notes) text += "      " + note + "\n";
    text += '\n';
  }
  // Programs read this line: its words do not bend with the numbers.
  return text + std::to_string(report.rules) + " rules, " + std::to_string(report.tests) + " tests, " +
         std::to_string(report.failed) + " failed\n";
}

namespace {

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      default:
        // Other control characters have no place in XML 1.0.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '?' : c;
    }
  }
  return out;
}

}  // namespace

std::string to_junit(const TestReport& report, const dsl::Loaded& rules) {
  std::string suites;
  for (std::uint32_t file = 0; file < rules.sources.size(); ++file) {
    std::string cases;
    std::uint64_t tests = 0;
    std::uint64_t failed = 0;
    for (const dsl::Test& test : rules.book->tests) {
      if (test.span.file != file) continue;
      ++tests;
      const dsl::SourceFile& source = rules.sources[file];
      cases += "    <testcase classname=\"" + xml(source.path()) + "\" name=\"" + xml(test.name) + "\" file=\"" +
               xml(source.path()) + "\" line=\"" + std::to_string(source.place_of(test.span.begin).line) + "\"";
      const auto failure = std::find_if(report.failures.begin(), report.failures.end(), [&](const TestFailure& f) {
        return f.span.file == file && f.span.begin >= test.span.begin && f.span.begin < test.span.end;
      });
      if (failure == report.failures.end()) {
        cases += "/>\n";
        continue;
      }
      ++failed;
      std::string text = source.path() + ":" + std::to_string(source.place_of(failure->span.begin).line) + "\n" +
                         snippet(source, failure->span);
      for (const std::string& note : failure->notes) text += note + "\n";
      cases +=
          ">\n      <failure message=\"" + xml(failure->happened) + "\">" + xml(text) + "</failure>\n    </testcase>\n";
    }
    if (tests == 0) continue;
    suites += "  <testsuite name=\"" + xml(rules.sources[file].path()) + "\" tests=\"" + std::to_string(tests) +
              "\" failures=\"" + std::to_string(failed) + "\" errors=\"0\" skipped=\"0\">\n" + cases +
              "  </testsuite>\n";
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tocsin test\" tests=\"" +
         std::to_string(report.tests) + "\" failures=\"" + std::to_string(report.failed) + "\" errors=\"0\">\n" +
         suites + "</testsuites>\n";
}

}  // namespace tocsin::replay
