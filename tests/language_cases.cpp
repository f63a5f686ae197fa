// Runs worked cases of the language (rule text, events, expected hits, alerts and decisions; the schema stands at the end of the page
// on semantics) on the real engine.
//
//   language_cases [FILE.yaml…]
//
// Without arguments: all of language/cases in $TOCSIN_SHARED, or in ../shared beside the project. The last line is `N passed, M failed, K skipped`.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/rules.h"
#include "tests/support/stream.h"

namespace {

using namespace tocsin;
using replay::Json;

enum class Verdict { passed, failed };
struct CaseResult {
  Verdict verdict = Verdict::passed;
  std::string text;
};

Timestamp moment(const std::string& text, Timestamp start) {
  if (!text.empty() && text.front() == '+') return start + parse_duration(text.substr(1)).value_or(Duration{});
  return parse_timestamp(text).value_or(Timestamp{});
}

std::string scalar(const YAML::Node& node) {
  return node.IsDefined() && node.IsScalar() ? node.Scalar() : std::string();
}

std::string quoted(const std::string& text) {
  std::string out;
  event::append_json_string(out, text);
  return out;
}

/// A field as an input line spells it, by its declared type.
std::string json_of(const YAML::Node& node, const event::Type& type, Timestamp start) {
  if (node.IsSequence() && node.size() == 2)
    return "{\"lat\":" + node[0].Scalar() + ",\"lon\":" + node[1].Scalar() + "}";
  switch (type.kind) {
    case event::TypeKind::boolean:
    case event::TypeKind::integer:
    case event::TypeKind::decimal: return node.Scalar();
    case event::TypeKind::time: return quoted(to_text(moment(node.Scalar(), start)));
    default: return quoted(node.Scalar());
  }
}

/// The events a step bound, by alias in the order of the record: "a=[a1] b=[b1,b2]".
std::string events_text(const std::vector<std::pair<std::string, std::vector<std::string>>>& steps) {
  std::vector<std::string> parts;
  for (const auto& [alias, ids] : steps) {
    std::string part = alias + "=[";
    for (std::size_t i = 0; i < ids.size(); ++i) part += (i > 0 ? "," : "") + ids[i];
    parts.push_back(part + "]");
  }
  // Steps are told apart by their names: the order they are listed in says nothing.
  std::sort(parts.begin(), parts.end());
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " ") + part;
  return text;
}

/// What of a hit, alert or decision is compared, as one line; members that the expectation does not name are left out of both.
using Line = std::string;

std::string plain(const Json& value) { return value.kind == Json::Kind::null ? "missing" : value.text; }

class Case {
 public:
  explicit Case(const YAML::Node& root, std::string path) : root_(root), path_(std::move(path)) {}

  CaseResult run() {
    std::string text;
    if (const YAML::Node uses = root_["uses"]) {
      const std::filesystem::path page = std::filesystem::path(path_).parent_path().parent_path();
      for (const YAML::Node& file :
           uses.IsSequence() ? std::vector<YAML::Node>(uses.begin(), uses.end()) : std::vector{uses}) {
        text += tests::read_file((page / file.Scalar()).string());
      }
    }
    if (root_["rules"]) text += root_["rules"].Scalar();
    const engine::Rules rules = engine::rules_of_text(path_ + ":rules", text);
    const bool refused_wanted = root_["expect"]["refused"] && root_["expect"]["refused"].as<bool>();
    if (!rules.ok()) {
      if (refused_wanted) return {Verdict::passed, ""};
      return {Verdict::failed, "the rules do not load:\n" + rules.messages()};
    }
    if (refused_wanted) return {Verdict::failed, "the rules must not load, but they do"};
    return play(rules);
  }

 private:
  CaseResult play(const engine::Rules& rules) {
    schema_ = &rules.ruleset->schema;
    start_ = root_["start"] ? moment(root_["start"].Scalar(), {}) : *parse_timestamp("2026-01-05T10:00:00Z");
    engine::EngineOptions options = tests::Stream::complete();
    if (root_["lateness"]) options.lateness = {parse_duration(root_["lateness"].Scalar()).value_or(Duration{})};
    if (root_["history_from"]) {
      options.data_begins = {engine::DataBegins::Kind::at, moment(root_["history_from"].Scalar(), start_)};
    }
    tests::Stream stream(rules.ruleset, options);
    for (const auto& list : root_["lists"]) {
      std::vector<std::string> entries;
      for (const YAML::Node& entry : list.second) entries.push_back(entry.Scalar());
      if (!stream.give(list.first.Scalar(), entries))
        return {Verdict::failed, "the list " + list.first.Scalar() + " cannot be given"};
    }
    for (const auto& table : root_["tables"]) {
      for (const YAML::Node& row : table.second) {
        std::map<std::string, std::string> cells;
        for (const auto& cell : row) cells[cell.first.Scalar()] = cell.second.Scalar();
        if (!stream.give_row(table.first.Scalar(), cells))
          return {Verdict::failed, "a row of the table " + table.first.Scalar() + " cannot be given"};
      }
    }
    for (const YAML::Node& event : root_["events"]) {
      if (event["advance"]) {
        stream.advance(moment(event["advance"].Scalar(), start_));
        continue;
      }
      stream.send(line_of(event));
    }
    stream.end();
    const tests::Output& output = stream.output();
    for (std::size_t i = 0; i < output.hits.size(); ++i) {
      const Json& hit = output.hits[i];
      name_of_hit_[hit["id"].text] = "hit:" + hit["rule"].text + "@" + std::to_string(i + 1);
    }
    compare("hits", expected_hits(), got_hits(output));
    if (const YAML::Node wanted = root_["expect"]["alerts"])
      compare("alerts", expected_alerts(wanted), got_alerts(output, wanted));
    if (const YAML::Node wanted = root_["expect"]["decisions"]) {
      compare("decisions", expected_decisions(wanted), got_decisions(output, wanted));
    }
    if (const YAML::Node wanted = root_["expect"]["excepted"]) {
      std::map<std::string, std::uint64_t> counts;
      for (const YAML::Node& silenced : wanted) ++counts[scalar(silenced["rule"]) + "/" + scalar(silenced["except"])];
      compare("excepted", counted(counts), counted(stream.engine().counters().excepted_by_rule));
    }
    if (const YAML::Node wanted = root_["expect"]["dropped"]) {
      std::vector<Line> expected, got;
      for (const YAML::Node& reason : wanted) expected.push_back(reason.Scalar());
      for (std::uint64_t i = 0; i < stream.engine().counters().duplicates; ++i) got.push_back("duplicate");
      for (const Json& letter : output.dead_letters) got.push_back(letter["reason"].text);
      std::sort(expected.begin(), expected.end());
      std::sort(got.begin(), got.end());
      compare("dropped", expected, got);
    } else if (!output.dead_letters.empty()) {
      problems_ += "  an event was refused: " + output.dead_letters.front()["reason"].text + " " +
                   output.dead_letters.front()["field"].text + "\n";
    }
    return {problems_.empty() ? Verdict::passed : Verdict::failed, problems_};
  }

  std::string line_of(const YAML::Node& event) {
    const std::string type = scalar(event["type"]);
    std::string line = "{\"type\":" + quoted(type);
    const std::optional<event::EventTypeId> id = schema_->find_event(type);
    if (!id) return line + "}";
    const event::EventType& declared = schema_->events[*id];
    for (std::uint32_t i = 0; i < declared.declared_count; ++i) {
      const event::FieldDef& field = declared.fields[i];
      YAML::Node value = event[field.name];
      // `id` and `at` say the key and the time of every case's event, whatever its fields are called.
      if (!value.IsDefined() && i == declared.key) value = event["id"];
      if (!value.IsDefined() && i == declared.time) value = event["at"];
      if (!value.IsDefined() || value.IsNull()) continue;
      if (i == declared.key) name_of_key_[{type, value.Scalar()}] = scalar(event["id"]);
      line += "," + quoted(field.name) + ":" + json_of(value, field.type, start_);
    }
    return line + "}";
  }

  std::string name_of(const Json& bound) const {
    const auto hit = name_of_hit_.find(bound["id"].text);
    if (bound["type"].text.starts_with("hit.") && hit != name_of_hit_.end()) return hit->second;
    const auto at = name_of_key_.find({bound["type"].text, bound["id"].text});
    return at == name_of_key_.end() ? bound["id"].text : at->second;
  }

  [[nodiscard]] bool watched(const std::string& rule) const {
    const YAML::Node watch = root_["watch"];
    if (!watch) return true;
    return std::any_of(watch.begin(), watch.end(), [&rule](const YAML::Node& name) { return name.Scalar() == rule; });
  }

  /// The hit at the same place of the expectation says which members count.
  std::vector<Line> expected_hits() const {
    std::vector<Line> lines;
    for (const YAML::Node& hit : root_["expect"]["hits"]) {
      Line line = scalar(hit["rule"]) + " @" + to_text(moment(scalar(hit["at"]), start_));
      std::vector<std::pair<std::string, std::vector<std::string>>> steps;
      for (const auto& step : hit["events"]) {
        std::vector<std::string> ids;
        for (const YAML::Node& id : step.second) ids.push_back(id.Scalar());
        steps.emplace_back(step.first.Scalar(), std::move(ids));
      }
      line += " {" + events_text(steps) + "}";
      for (const auto& part : hit["key"]) line += " " + part.first.Scalar() + "=" + part.second.Scalar();
      if (hit["decide"]) line += " decide " + hit["decide"].Scalar();
      if (hit["score"]) line += " score " + hit["score"].Scalar();
      if (hit["shadow"]) line += " shadow " + hit["shadow"].Scalar();
      if (hit["because"]) line += " because " + hit["because"].Scalar();
      lines.push_back(line);
    }
    return lines;
  }
  std::vector<Line> got_hits(const tests::Output& output) const {
    std::vector<Line> lines;
    const YAML::Node expected = root_["expect"]["hits"];
    for (const Json& hit : output.hits) {
      if (!watched(hit["rule"].text)) continue;
      const YAML::Node like = lines.size() < expected.size() ? expected[lines.size()] : YAML::Node(YAML::NodeType::Map);
      Line line = hit["rule"].text + " @" + hit["at"].text;
      std::vector<std::pair<std::string, std::vector<std::string>>> steps;
      for (const Json& bound : hit["events"].items) {
        const std::string& alias = bound["alias"].text;
        const auto at =
            std::find_if(steps.begin(), steps.end(), [&alias](const auto& step) { return step.first == alias; });
        if (at == steps.end()) {
          steps.push_back({alias, {name_of(bound)}});
        } else {
          at->second.push_back(name_of(bound));
        }
      }
      line += " {" + events_text(steps) + "}";
      if (like["key"]) {
        for (const auto& part : like["key"])
          line += " " + part.first.Scalar() + "=" + plain(hit["key"][part.first.Scalar()]);
      }
      if (like["decide"]) line += " decide " + plain(hit["action"]);
      if (like["score"]) line += " score " + plain(hit["score"]);
      if (like["shadow"]) line += " shadow " + plain(hit["shadow"]);
      if (like["because"]) line += " because " + plain(hit["because"]);
      lines.push_back(line);
    }
    return lines;
  }

  std::vector<Line> expected_alerts(const YAML::Node& wanted) const {
    std::vector<Line> lines;
    for (const YAML::Node& alert : wanted) {
      Line line =
          scalar(alert["rule"]) + " @" + to_text(moment(scalar(alert["at"]), start_)) + " " + scalar(alert["state"]);
      for (const YAML::Node& part : alert["key"]) line += " " + part.Scalar();
      line += " folded " + (alert["folded"] ? alert["folded"].Scalar() : "0");
      if (alert["by"]) line += " by " + alert["by"].Scalar();
      for (const char* when : {"resolved", "reopened"}) {
        if (alert[when]) line += std::string(" ") + when + " " + to_text(moment(alert[when].Scalar(), start_));
      }
      lines.push_back(line);
    }
    return lines;
  }
  static std::vector<Line> got_alerts(const tests::Output& output, const YAML::Node& wanted) {
    std::map<std::string, int> folded;
    for (const Json& hit : output.hits) {
      if (hit["folded"].is_true()) ++folded[hit["alert"].text];
    }
    // One record when it is made, and one for each change: the last one of each member counts.
    struct Alert {
      const Json* made = nullptr;
      std::string state, by, resolved, reopened;
    };
    std::vector<std::string> order;
    std::map<std::string, Alert> alerts;
    for (const Json& record : output.alerts) {
      const std::string& id = record["id"].text;
      Alert& alert = alerts[id];
      if (alert.made == nullptr) {
        alert.made = &record;
        order.push_back(id);
      }
      alert.state = record["state"].text;
      if (record.has("by")) alert.by = record["by"].text;
      if (record.has("resolved")) alert.resolved = record["resolved"].text;
      if (record.has("reopened")) alert.reopened = record["reopened"].text;
    }
    std::vector<Line> lines;
    for (const std::string& id : order) {
      const Alert& alert = alerts[id];
      const Json& made = *alert.made;
      Line line = made["rule"].text + " @" + made["at"].text + " " + alert.state;
      const YAML::Node like = lines.size() < wanted.size() ? wanted[lines.size()] : YAML::Node(YAML::NodeType::Map);
      if (like["key"]) {
        for (const auto& [name, value] : made["key"].members) line += " " + plain(value);
      }
      line += " folded " + std::to_string(folded[id]);
      if (!alert.by.empty()) line += " by " + alert.by;
      if (!alert.resolved.empty()) line += " resolved " + alert.resolved;
      if (!alert.reopened.empty()) line += " reopened " + alert.reopened;
      lines.push_back(line);
    }
    return lines;
  }

  static std::vector<Line> expected_decisions(const YAML::Node& wanted) {
    std::vector<Line> lines;
    for (const YAML::Node& decision : wanted) {
      Line line = scalar(decision["event"]) + " " + scalar(decision["decision"]);
      if (decision["score"]) line += " score " + decision["score"].Scalar();
      if (decision["line"]) line += " line " + decision["line"].Scalar();
      if (decision["also"]) {
        line += " also";
        for (const YAML::Node& also : decision["also"]) line += " " + also.Scalar();
      }
      if (decision["limited"]) line += " limited " + decision["limited"].Scalar();
      lines.push_back(line);
    }
    return lines;
  }
  std::vector<Line> got_decisions(const tests::Output& output, const YAML::Node& wanted) const {
    std::vector<Line> lines;
    for (const Json& decision : output.decisions) {
      const YAML::Node like = lines.size() < wanted.size() ? wanted[lines.size()] : YAML::Node(YAML::NodeType::Map);
      Line line = name_of(decision["event"]) + " " + decision["action"].text;
      if (like["score"]) line += " score " + decision["score"].text;
      if (like["line"]) line += " line " + decision["line"].text;
      if (like["also"]) {
        line += " also";
        for (const Json& also : decision["also"].items) line += " " + also.text;
      }
      if (like["limited"]) line += " limited " + plain(decision["limited"]);
      lines.push_back(line);
    }
    return lines;
  }

  template <typename Map>
  static std::vector<Line> counted(const Map& counts) {
    std::vector<Line> lines;
    for (const auto& [name, n] : counts) lines.push_back(name + " " + std::to_string(n));
    return lines;
  }

  void compare(const std::string& what, const std::vector<Line>& expected, const std::vector<Line>& got) {
    if (expected == got) return;
    problems_ += "  " + what + " expected:\n";
    for (const Line& line : expected) problems_ += "    " + line + "\n";
    problems_ += "  " + what + " got:\n";
    for (const Line& line : got) problems_ += "    " + line + "\n";
  }

  const YAML::Node root_;
  std::string path_;
  const event::Schema* schema_ = nullptr;
  Timestamp start_;
  std::map<std::pair<std::string, std::string>, std::string> name_of_key_;
  std::map<std::string, std::string> name_of_hit_;  // by id
  std::string problems_;
};

CaseResult run_file(const std::string& path, std::string& name) {
  try {
    const YAML::Node root = YAML::LoadFile(path);
    name = scalar(root["name"]);
    return Case(root, path).run();
  } catch (const YAML::Exception& problem) {
    return {Verdict::failed, std::string("the file does not read: ") + problem.what()};
  }
}

std::vector<std::string> default_cases() {
  std::vector<std::string> files;
  const std::string shared = tests::shared_directory(TOCSIN_SOURCE_DIR);
  std::error_code error;
  if (shared.empty()) return files;
  for (const auto& entry : std::filesystem::directory_iterator(shared + "/language/cases", error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argument_count, char** arguments) {
  std::vector<std::string> files(arguments + 1, arguments + argument_count);
  if (files.empty()) {
    files = default_cases();
    if (files.empty()) {
      std::printf(
          "skipped: the cases of the language are not here; set TOCSIN_SHARED to the directory that holds "
          "language/cases\n");
      std::printf("0 passed, 0 failed, 1 skipped\n");
      return 0;
    }
  }
  int passed = 0, failed = 0;
  for (const std::string& file : files) {
    std::string name = std::filesystem::path(file).stem().string();
    const CaseResult result = run_file(file, name);
    switch (result.verdict) {
      case Verdict::passed: ++passed; break;
      case Verdict::failed:
        ++failed;
        std::printf("FAILED %s (%s)\n%s\n", name.c_str(), file.c_str(), result.text.c_str());
        break;
    }
  }
  std::printf("%d passed, %d failed, 0 skipped\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
