// Runs conformance files of the schema at the head of ../shared/conformance/flink-cases.yaml on the real matcher, in
// Flink's mode (complete matches kept in order under skip strategies, no cap on partial ones).
//
//   conformance [FILE...] [--engine exists|all|runs|each] [--quiet]
//
// Without a file: ../shared/conformance/*.yaml beside the source or in $TOCSIN_SHARED; when that is not there, it says
// so and passes nothing. Without --engine: the one that compile() chooses. `each`: every engine that claims the
// pattern must pass. Of `observed` entries with `quirk`, those whose ids stand in tests/conformance_mended.yaml are held
// to the answer there, all others to Flink's.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "nfa/step.h"

using namespace tocsin;
using namespace tocsin::nfa;

namespace {

constexpr std::int64_t us_per_ms = 1000;

struct Event {
  std::string label;
  std::int64_t time_ms = 0;
  std::string type = "Event";
  std::map<std::string, std::string> texts;
  std::map<std::string, double> numbers;
};

// --- conditions ---

/// Nothing, a truth, a number or a text; comparisons with nothing are false.
struct Value {
  enum class Kind { nothing, truth, number, text } kind = Kind::nothing;
  double number = 0;
  std::string text;
  static Value of(bool b) { return {Kind::truth, b ? 1.0 : 0.0, {}}; }
  static Value of(double d) { return {Kind::number, d, {}}; }
  static Value of(std::string s) { return {Kind::text, 0, std::move(s)}; }
  [[nodiscard]] bool holds() const { return kind == Kind::truth && number != 0; }
};

/// What a condition may look at: the current event and what the partial match took, by stage.
struct Scene {
  const Event* event = nullptr;
  std::function<std::vector<const Event*>(const std::string&)> taken;
};

struct Expression {
  std::function<Value(const Scene&)> eval;
  bool history = false;
  std::vector<Expression> conjuncts;  // of an `and`
};

class Parser {
 public:
  explicit Parser(std::string text) : text_(std::move(text)) { next(); }

  Expression whole() {
    Expression e = either();
    if (!token_.empty()) bad_ = true;
    return e;
  }
  [[nodiscard]] bool bad() const { return bad_; }

 private:
  void next() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    token_.clear();
    quoted_ = false;
    if (at_ == text_.size()) return;
    const char c = text_[at_];
    if (c == '"') {
      quoted_ = true;
      const std::size_t end = text_.find('"', at_ + 1);
      token_ = text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    } else if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      while (at_ < text_.size() &&
             (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_' || text_[at_] == '.'))
        token_ += text_[at_++];
    } else {
      token_ = c;
      ++at_;
      if (at_ < text_.size() && text_[at_] == '=' && std::string("=!<>").find(c) != std::string::npos) {
        token_ += '=';
        ++at_;
      }
    }
  }
  bool eat(const std::string& word) {
    if (quoted_ || token_ != word) return false;
    next();
    return true;
  }

  static Expression join(Expression a, Expression b, std::function<Value(const Value&, const Value&)> with) {
    Expression e;
    e.history = a.history || b.history;
    e.eval = [x = std::move(a.eval), y = std::move(b.eval), with = std::move(with)](const Scene& s) {
      return with(x(s), y(s));
    };
    return e;
  }

  Expression either() {
    Expression e = both();
    while (eat("or")) {
      e = join(std::move(e), both(), [](const Value& a, const Value& b) { return Value::of(a.holds() || b.holds()); });
    }
    return e;
  }
  Expression both() {
    Expression e = negated();
    std::vector<Expression> parts{e};
    while (eat("and")) {
      Expression f = negated();
      parts.push_back(f);
      e = join(std::move(e), std::move(f),
               [](const Value& a, const Value& b) { return Value::of(a.holds() && b.holds()); });
    }
    if (parts.size() > 1) e.conjuncts = std::move(parts);
    return e;
  }
  Expression negated() {
    if (!eat("not")) return comparison();
    Expression e = negated();
    Expression out;
    out.history = e.history;
    out.eval = [x = std::move(e.eval)](const Scene& s) { return Value::of(!x(s).holds()); };
    return out;
  }
  Expression comparison() {
    Expression e = sum();
    for (const char* op : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (!eat(op)) continue;
      return join(std::move(e), sum(), [o = std::string(op)](const Value& a, const Value& b) {
        if (a.kind != b.kind || a.kind == Value::Kind::nothing) return Value::of(false);
        const int c =
            a.kind == Value::Kind::text ? a.text.compare(b.text) : (a.number > b.number) - (a.number < b.number);
        if (o == "==") return Value::of(c == 0);
        if (o == "!=") return Value::of(c != 0);
        if (o == "<=") return Value::of(c <= 0);
        if (o == ">=") return Value::of(c >= 0);
        return Value::of(o == "<" ? c < 0 : c > 0);
      });
    }
    return e;
  }
  Expression sum() {
    Expression e = product();
    for (;;) {
      const bool plus = !quoted_ && token_ == "+";
      if (!plus && (quoted_ || token_ != "-")) return e;
      next();
      e = join(std::move(e), product(), [plus](const Value& a, const Value& b) {
        if (a.kind != Value::Kind::number || b.kind != Value::Kind::number) return Value{};
        return Value::of(plus ? a.number + b.number : a.number - b.number);
      });
    }
  }
  Expression product() {
    Expression e = atom();
    while (eat("*")) {
      e = join(std::move(e), atom(), [](const Value& a, const Value& b) {
        if (a.kind != Value::Kind::number || b.kind != Value::Kind::number) return Value{};
        return Value::of(a.number * b.number);
      });
    }
    return e;
  }
  static Value field(const Event& event, const std::string& name) {
    if (const auto n = event.numbers.find(name); n != event.numbers.end()) return Value::of(n->second);
    if (const auto t = event.texts.find(name); t != event.texts.end()) return Value::of(t->second);
    return {};
  }
  static Value aggregate(const std::string& what, const std::vector<const Event*>& events, const std::string& name) {
    if (what == "count") return Value::of(static_cast<double>(events.size()));
    if (what == "first") return events.empty() ? Value{} : field(*events.front(), name);
    if (what == "last") return events.empty() ? Value{} : field(*events.back(), name);
    double total = 0;
    double least = 0;
    double most = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const double v = field(*events[i], name).number;
      total += v;
      least = i == 0 ? v : std::min(least, v);
      most = i == 0 ? v : std::max(most, v);
    }
    if (what == "sum") return Value::of(total);
    if (events.empty()) return {};
    if (what == "avg") return Value::of(total / static_cast<double>(events.size()));
    return Value::of(what == "min" ? least : most);
  }
  Expression atom() {
    Expression e;
    if (quoted_) {
      e.eval = [t = token_](const Scene&) { return Value::of(t); };
      next();
      return e;
    }
    if (eat("(")) {
      e = either();
      if (!eat(")")) bad_ = true;
      return e;
    }
    if (token_.empty()) {
      bad_ = true;
      e.eval = [](const Scene&) { return Value{}; };
      return e;
    }
    if (std::isdigit(static_cast<unsigned char>(token_[0])) != 0) {
      e.eval = [n = std::strtod(token_.c_str(), nullptr)](const Scene&) { return Value::of(n); };
      next();
      return e;
    }
    const std::string name = token_;
    next();
    if (!eat("(")) {
      e.eval = [name](const Scene& s) { return field(*s.event, name); };
      return e;
    }
    return call(name);
  }
  Expression call(const std::string& name) {
    Expression e;
    if (name == "ts" || name == "proctime") {
      // No clock here: the time of processing is the event's, or what it says itself.
      e.eval = [name](const Scene& s) {
        const auto said = s.event->numbers.find(name);
        return Value::of(said == s.event->numbers.end() ? static_cast<double>(s.event->time_ms) : said->second);
      };
    } else if (name == "contains" || name == "startsWith") {
      const std::string of = token_;
      next();
      eat(",");
      const std::string part = token_;
      next();
      e.eval = [of, part, whole = name == "contains"](const Scene& s) {
        const Value v = field(*s.event, of);
        if (v.kind != Value::Kind::text) return Value::of(false);
        const std::size_t at = v.text.find(part);
        return Value::of(whole ? at != std::string::npos : at == 0);
      };
    } else if (name == "is") {
      e.eval = [type = token_](const Scene& s) { return Value::of(type == "Event" || s.event->type == type); };
      next();
    } else if (static const std::set<std::string> known{"count", "sum", "avg", "first", "last", "min", "max"};
               known.count(name) != 0) {
      const std::string stage = token_.substr(0, token_.find('.'));
      const std::string of = stage.size() == token_.size() ? "" : token_.substr(stage.size() + 1);
      next();
      e.history = true;
      e.eval = [name, stage, of](const Scene& s) { return aggregate(name, s.taken(stage), of); };
    } else {
      bad_ = true;
      e.eval = [](const Scene&) { return Value{}; };
    }
    if (!eat(")")) bad_ = true;
    return e;
  }

  std::string text_;
  std::size_t at_ = 0;
  std::string token_;
  bool quoted_ = false;
  bool bad_ = false;
};

// --- patterns ---

/// A pattern of the file as one of ours: unary conditions become predicates, those with history guards.
class Translation {
 public:
  Pattern pattern;
  std::vector<Expression> predicates;
  std::vector<Expression> guards;
  std::vector<std::string> leaves;
  std::string unreadable;

  /// `timeouts`: the case tells which partial matches time out, so they are asked for.
  Translation(const YAML::Node& from, bool timeouts) {
    pattern.semantics = Semantics::derivations;
    pattern.after = AfterMatch::continue_;
    pattern.tells_timeouts = timeouts;
    pattern.runs_max = 0;
    if (from["within"]) narrow(pattern.within, from["within"]);
    names(from["seq"]);
    pattern.stages = sequence(from["seq"], pattern.within);
    if (const YAML::Node skip = from["skip"]; skip && skip.IsScalar()) {
      const auto word = skip.as<std::string>();
      if (word == "to_next") pattern.after = AfterMatch::skip_to_next;
      if (word == "past_last") pattern.after = AfterMatch::skip_past_last;
    } else if (skip) {
      pattern.after = skip["to_first"] ? AfterMatch::skip_to_first : AfterMatch::skip_to_last;
      pattern.after_stage = (skip["to_first"] ? skip["to_first"] : skip["to_last"]).as<std::string>();
      pattern.after_must_be_there = skip["error_on_miss"] && skip["error_on_miss"].as<bool>();
    }
    if (from["error_on_miss"]) pattern.after_must_be_there = from["error_on_miss"].as<bool>();
  }

 private:
  void names(const YAML::Node& seq) {
    for (const YAML::Node& s : seq) {
      if (s["group"]) {
        names(s["group"]);
      } else {
        leaves.push_back(s["p"].as<std::string>());
      }
    }
  }

  static void narrow(std::optional<Duration>& window, const YAML::Node& ms) {
    const Duration d{ms.as<std::int64_t>() * us_per_ms};
    window = window ? std::min(*window, d) : d;
  }
  static std::optional<Duration> time(const YAML::Node& ms) {
    if (!ms) return std::nullopt;
    return Duration{ms.as<std::int64_t>() * us_per_ms};
  }

  /// Several `within` of one sequence: the smallest rules, wherever it is written.
  std::vector<Stage> sequence(const YAML::Node& seq, std::optional<Duration>& window) {
    std::vector<Stage> out;
    for (const YAML::Node& from : seq) {
      Stage s;
      const std::string link = from["link"] ? from["link"].as<std::string>() : "followedBy";
      if (link == "next") s.link = Contiguity::strict;
      if (link == "followedByAny") s.link = Contiguity::any;
      if (link == "notNext") s.kind = StageKind::not_next;
      if (link == "notFollowedBy") s.kind = StageKind::not_followed_by;
      if (from["within"]) narrow(window, from["within"]);
      if (from["group"]) {
        s.kind = StageKind::group;
        s.stages = sequence(from["group"], s.within);
      } else {
        s.name = from["p"].as<std::string>();
      }
      s.where = condition(from["where"], from["or"]);
      s.until = condition(from["until"], YAML::Node(YAML::NodeType::Undefined));
      if (const YAML::Node times = from["times"]) {
        s.min = times[0].as<std::uint32_t>();
        const auto to = times[1].as<std::string>();
        s.max = to == "inf" ? 0 : times[1].as<std::uint32_t>();
        if (s.min == 0 && s.max != 0) {
          s.min = 1;  // times(0, b) is times(1, b).optional()
          s.optional = true;
        }
      }
      if (from["inner"]) s.inner = from["inner"].as<std::string>() == "strict" ? Contiguity::strict : Contiguity::any;
      s.optional = s.optional || (from["optional"] && from["optional"].as<bool>());
      s.greedy = from["greedy"] && from["greedy"].as<bool>();
      s.times_window = time(from["gap"]);
      s.within_previous = time(from["within_prev"]);
      out.push_back(std::move(s));
    }
    return out;
  }

  PredicateId predicate(Expression e, const std::string& text) {
    const auto [at, fresh] = known_.try_emplace(text, static_cast<PredicateId>(predicates.size()));
    if (fresh) predicates.push_back(std::move(e));
    return at->second;
  }

  std::optional<Element> condition(const YAML::Node& where, const YAML::Node& alternative) {
    if (!where && !alternative) return std::nullopt;
    std::string text;
    if (where) text = where.as<std::string>();
    if (alternative)
      text = where ? "(" + text + ") or (" + alternative.as<std::string>() + ")" : alternative.as<std::string>();
    Parser parser(text);
    Expression whole = parser.whole();
    if (parser.bad()) unreadable = text;
    Element e;
    if (!whole.history) {
      e.predicate = e.stream = predicate(std::move(whole), text);
      return e;
    }
    // The unary parts of an `and` are the predicate, so that the matcher asks the guard only when they hold.
    std::vector<Expression> unary;
    for (const Expression& part : whole.conjuncts) {
      if (!part.history) unary.push_back(part);
    }
    Expression base;
    base.eval = [unary](const Scene& s) {
      return Value::of(std::all_of(unary.begin(), unary.end(), [&](const Expression& u) { return u.eval(s).holds(); }));
    };
    e.predicate = e.stream = predicate(std::move(base), "unary part of " + text);
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < leaves.size(); ++i) all.push_back(i);
    e.conditions.push_back(ask(static_cast<GuardId>(guards.size()), all));
    guards.push_back(std::move(whole));
    return e;
  }

  std::map<std::string, PredicateId> known_;
};

// --- running ---

using Named = std::map<std::string, std::vector<std::string>>;

std::string to_text(const Named& m) {
  std::string text = "{";
  for (const auto& [stage, events] : m) {
    if (text.size() > 1) text += " ";
    text += stage + ":";
    for (const std::string& e : events) text += (e == events.front() ? "" : ",") + e;
  }
  return text + "}";
}

struct Outcome {
  std::vector<std::string> matches;   // with @at when the case tells it
  std::vector<std::string> timeouts;  // with @at and ts
  std::size_t held = 0;
  bool error = false;
  std::vector<std::string> late;
};

class Run final : public Host {
 public:
  Run(const Translation& translation, const Program& program) : translation_(translation), program_(program) {
    runs_bytes = std::size_t{1} << 32U;  // Flink has no limit
    moment_matches = 0;
    search_visits = std::numeric_limits<std::int64_t>::max();
  }

  bool guard(GuardId id, const Binding& binding) override {
    Scene scene;
    scene.event = &events_[binding.candidate.event];
    scene.taken = [&](const std::string& stage) {
      std::vector<const Event*> out;
      for (std::uint32_t i = 0; i < translation_.leaves.size(); ++i) {
        if (translation_.leaves[i] != stage) continue;
        for (const Bound& b : binding.at(i)) out.push_back(&events_[b.event]);
      }
      return out;
    };
    return translation_.guards[static_cast<std::size_t>(id)].eval(scene).holds();
  }
  bool accept(const Match& /*match*/) override { return true; }

  void advance_to(std::int64_t ms, const std::string& at) {
    std::vector<Match> matches;
    nfa::advance(program_, runs_, Timestamp{ms * us_per_ms}, *this, matches);
    note(matches, at);
  }
  void process(Event event) {
    const std::size_t n = events_.size();
    events_.push_back(std::move(event));
    const Event& e = events_.back();
    PredicateBits bits(translation_.predicates.size());
    Scene scene;
    scene.event = &e;
    for (std::size_t i = 0; i < translation_.predicates.size(); ++i) {
      if (translation_.predicates[i].eval(scene).holds()) bits.set(static_cast<PredicateId>(i));
    }
    std::vector<Match> matches;
    nfa::step(program_, runs_, {n, n, Timestamp{e.time_ms * us_per_ms}, false, &bits, {}}, *this, matches);
    note(matches, e.label);
  }

  struct Found {
    std::string at;
    std::int64_t ts_ms = 0;
    Named m;
    bool timed_out = false;
  };
  std::vector<Found> found;

  [[nodiscard]] std::size_t held() const { return held_count(runs_); }
  [[nodiscard]] bool failed() const { return counters.skips_missed != 0; }

 private:
  void note(const std::vector<Match>& matches, const std::string& at) {
    for (const Match& match : matches) {
      Found f;
      f.at = at;
      f.ts_ms = match.at.us / us_per_ms;
      f.timed_out = match.timed_out;
      for (std::uint32_t i = 0; i < translation_.leaves.size(); ++i) {
        for (const Bound& b : match.places.at(i)) f.m[translation_.leaves[i]].push_back(events_[b.event].label);
      }
      found.push_back(std::move(f));
    }
  }

  const Translation& translation_;
  const Program& program_;
  Runs runs_;
  std::vector<Event> events_;
};

Event event_of(const YAML::Node& from) {
  Event e;
  e.label = from["e"].as<std::string>();
  e.time_ms = from["t"].as<std::int64_t>();
  for (const auto& field : from) {
    const auto name = field.first.as<std::string>();
    if (name == "e" || name == "t") continue;
    const auto text = field.second.as<std::string>();
    if (name == "type") {
      e.type = text;
      continue;
    }
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    // Quoted scalars carry the tag "!": texts, whatever they look like.
    if (field.second.Tag() != "!" && end != text.c_str() && *end == '\0' && name != "name") {
      e.numbers[name] = number;
    } else {
      e.texts[name] = text;
    }
  }
  return e;
}

/// The buffering of Flink's CepOperator for one key: late events are dropped, the others wait for the watermark.
void feed(const YAML::Node& items, const YAML::Node& order_by, Run& run, std::vector<std::string>& late) {
  std::vector<Event> waiting;
  std::int64_t watermark = std::numeric_limits<std::int64_t>::min();
  for (const YAML::Node& item : items) {
    if (!item["wm"]) {
      Event e = event_of(item);
      if (e.time_ms <= watermark) {
        late.push_back(e.label);
      } else {
        waiting.push_back(std::move(e));
      }
      continue;
    }
    watermark = item["wm"].as<std::int64_t>();
    const auto by = order_by ? order_by.as<std::string>() : std::string{};
    std::stable_sort(waiting.begin(), waiting.end(), [&](const Event& a, const Event& b) {
      if (a.time_ms != b.time_ms) return a.time_ms < b.time_ms;
      return !by.empty() && a.numbers.at(by) < b.numbers.at(by);
    });
    std::size_t done = 0;
    while (done < waiting.size() && waiting[done].time_ms <= watermark) {
      if (done == 0 || waiting[done].time_ms != waiting[done - 1].time_ms) {
        run.advance_to(waiting[done].time_ms, "wm");
      }
      run.process(waiting[done++]);
    }
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(done));
    run.advance_to(watermark, "wm");
  }
}

Named named(const YAML::Node& m) {
  Named out;
  for (const auto& stage : m) {
    for (const auto& e : stage.second) out[stage.first.as<std::string>()].push_back(e.as<std::string>());
  }
  return out;
}

std::string joined(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += "\n      " + line;
  return text.empty() ? "\n      (none)" : text;
}

/// What is expected and what came, as far as the case tells it.
struct Compared {
  std::string expected;
  std::string got;
};

Compared compare(const YAML::Node& c, const Run& run, const std::vector<std::string>& late) {
  std::vector<std::string> expected;
  std::vector<std::string> got;
  const bool errs = c["expect_error"] && c["expect_error"].as<std::string>() == "run";
  if (errs || run.failed()) {
    return {errs ? "an error while running" : "no error", run.failed() ? "an error while running" : "no error"};
  }
  bool tells_at = false;
  for (const YAML::Node& m : c["matches"]) tells_at = tells_at || m["at"];
  for (const YAML::Node& m : c["matches"]) {
    expected.push_back("match " + to_text(named(m["m"])) + (tells_at ? " @" + m["at"].as<std::string>() : ""));
  }
  const YAML::Node timeouts = c["timeouts"];
  bool tells_timeout_at = false;
  if (timeouts) {
    for (const YAML::Node& t : timeouts) {
      tells_timeout_at = tells_timeout_at || t["at"];
      expected.push_back("timeout " + to_text(named(t["m"])) + " " + t["ts"].as<std::string>() +
                         (t["at"] ? " @" + t["at"].as<std::string>() : ""));
    }
  }
  for (const Run::Found& f : run.found) {
    if (f.timed_out && !timeouts) continue;
    if (f.timed_out) {
      got.push_back("timeout " + to_text(f.m) + " " + std::to_string(f.ts_ms) +
                    (tells_timeout_at ? " @" + (f.at[0] == '^' ? f.at.substr(1) : f.at) : ""));
    } else {
      got.push_back("match " + to_text(f.m) + (tells_at ? " @" + f.at : ""));
    }
  }
  // An end without held matches is not told.
  const std::size_t held = c["end"] && c["end"]["held"] ? c["end"]["held"].as<std::size_t>() : 0;
  expected.push_back("held " + std::to_string(held));
  got.push_back("held " + std::to_string(run.held()));
  if (c["late"]) {
    for (const YAML::Node& l : c["late"]) expected.push_back("late " + l.as<std::string>());
    for (const std::string& l : late) got.push_back("late " + l);
  }
  return {joined(expected), joined(got)};
}

struct Options {
  std::vector<std::string> files;
  std::string engine;
  bool quiet = false;
};

struct NamedEngine {
  const char* name;
  Engine engine;
};
constexpr NamedEngine engines[] = {{"exists", Engine::exists}, {"all", Engine::all}, {"runs", Engine::runs}};

struct Tally {
  int passed = 0;
  int failed = 0;
};

class Runner {
 public:
  Runner(const Options& options, std::map<std::string, YAML::Node> mended)
      : options_(options), mended_(std::move(mended)) {}

  void file(const std::string& path) {
    const YAML::Node root = YAML::LoadFile(path);
    for (const char* section : {"cases", "observed", "operator_cases", "rejections"}) {
      for (const YAML::Node& c : root[section]) one(c, section);
    }
  }
  Tally tally;

 private:
  void verdict(bool ok, const std::string& line) {
    ++(ok ? tally.passed : tally.failed);
    if (!ok || !options_.quiet) std::cout << (ok ? "pass " : "FAIL ") << line << "\n";
  }

  void one(const YAML::Node& c, const std::string& section) {
    const auto id = c["id"].as<std::string>();
    if (c["unsorted"] && c["unsorted"].as<bool>()) {
      std::cout << "left out " << id << ": its events are out of order, which the matcher's border forbids\n";
      return;
    }
    const bool quirk = c["quirk"] && c["quirk"].as<bool>();
    const auto mended = mended_.find(id);
    const bool is_mended = quirk && mended != mended_.end();
    const std::string note = !quirk ? "" : is_mended ? ", mended" : ", copied";
    const YAML::Node expected = is_mended ? mended->second : c;
    const Translation translation(c["pattern"], static_cast<bool>(expected["timeouts"]));
    if (!translation.unreadable.empty()) {
      verdict(false, id + ": condition not understood: " + translation.unreadable);
      return;
    }
    const Result<Program> chosen = compile(translation.pattern);
    const bool refuses = section == "rejections" || expected["rejected_at"];
    if (refuses) {
      if (chosen) {
        verdict(false, id + ": accepted; expected: refused, " + expected["reason"].as<std::string>());
      } else {
        verdict(true, id + " refused" + note + ": " + chosen.error().text);
      }
      return;
    }
    if (!chosen) {
      verdict(false, id + ": refused: " + chosen.error().text);
      return;
    }
    std::string used;
    bool ok = true;
    std::string detail;
    const auto run_on = [&](const Program& program) {
      Run run(translation, program);
      std::vector<std::string> late;
      if (c["feed"]) {
        feed(c["feed"], c["order_by"], run, late);
      } else {
        for (const YAML::Node& e : c["events"]) {
          if (e["advance"]) {
            run.advance_to(e["advance"].as<std::int64_t>(), "t=" + e["advance"].as<std::string>());
            continue;
          }
          const Event event = event_of(e);
          run.advance_to(event.time_ms, "^" + event.label);
          run.process(event);
        }
      }
      const Compared compared = compare(expected, run, late);
      used += (used.empty() ? "" : "+") + std::string(to_text(program.engine));
      if (compared.expected == compared.got) return;
      ok = false;
      detail += "\n    " + std::string(to_text(program.engine)) + " expected" + compared.expected + "\n    got" +
                compared.got;
    };
    std::string claims;
    if (options_.engine.empty()) {
      run_on(chosen.value());
    } else {
      for (const NamedEngine& e : engines) {
        if (options_.engine != "each" && options_.engine != e.name) continue;
        Choosing choosing;
        choosing.engine = e.engine;
        const Result<Program> forced = compile(translation.pattern, {}, choosing);
        if (forced) {
          run_on(forced.value());
        } else {
          claims += "\n    not claimed: " + forced.error().text;
        }
      }
    }
    if (used.empty()) {
      std::cout << "left out " << id << claims << "\n";
      return;
    }
    verdict(ok, id + " [" + used + "]" + note + (options_.quiet ? "" : claims) + detail);
  }

  const Options& options_;
  std::map<std::string, YAML::Node> mended_;
};

std::string shared() {
  const char* set = std::getenv("TOCSIN_SHARED");
  return set != nullptr ? set : std::string(TOCSIN_SOURCE_DIR) + "/../shared";
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--quiet") {
      options.quiet = true;
    } else if (word == "--engine" && i + 1 < argc) {
      options.engine = argv[++i];
    } else if (word[0] == '-') {
      std::cerr << "usage: conformance [FILE...] [--engine exists|all|runs|each] [--quiet]\n";
      return 2;
    } else {
      options.files.push_back(word);
    }
  }
  const bool known = options.engine.empty() || options.engine == "each" ||
                     std::any_of(std::begin(engines), std::end(engines),
                                 [&](const NamedEngine& e) { return options.engine == e.name; });
  if (!known) {
    std::cerr << "no engine is called " << options.engine << "\n";
    return 2;
  }
  if (options.files.empty()) {
    const std::filesystem::path folder = shared() + "/conformance";
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".yaml") options.files.push_back(entry.path().string());
    }
    std::sort(options.files.begin(), options.files.end());
    if (options.files.empty()) {
      std::cout << "SKIPPED: no conformance files in " << folder.string()
                << "; set TOCSIN_SHARED\n0 passed, 0 failed\n";
      return 0;
    }
  }
  std::map<std::string, YAML::Node> mended;
  const std::string mended_path = std::string(TOCSIN_SOURCE_DIR) + "/tests/conformance_mended.yaml";
  Runner* runner = nullptr;
  std::unique_ptr<Runner> owner;
  try {  // yaml-cpp throws
    for (const YAML::Node& m : YAML::LoadFile(mended_path)["mended"]) mended[m["id"].as<std::string>()] = m;
    owner = std::make_unique<Runner>(options, std::move(mended));
    runner = owner.get();
    for (const std::string& file : options.files) runner->file(file);
  } catch (const YAML::Exception& e) {
    std::cerr << "cannot read: " << e.what() << "\n";
    return 2;
  }
  std::cout << runner->tally.passed << " passed, " << runner->tally.failed << " failed\n";
  return runner->tally.failed == 0 ? 0 : 1;
}
