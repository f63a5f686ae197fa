#include "replay/account.h"

#include <algorithm>

#include "base/check.h"
#include "event/schema.h"

namespace tocsin::replay {

using engine::Account;
using engine::TracedClause;
using engine::TracedEvent;
using engine::TracedFailure;
using engine::TracedMiss;
using engine::TracedNode;
using engine::Truth;
using nfa::Clause;

// ---------------------------------------------------------------- the rule's words

namespace {

std::string quoted(const dsl::SourceSet& sources, const dsl::Span& span) {
  const std::string_view text = sources[span.file].text();
  return engine::on_one_line(text.substr(span.begin, span.end - span.begin));
}

std::string without_word(std::string text, std::string_view word) {
  if (text.starts_with(word) && text.size() > word.size() && text[word.size()] == ' ') text.erase(0, word.size() + 1);
  return text;
}

}  // namespace

const RuleWords::Step& RuleWords::step(std::uint32_t index) const {
  const auto at =
      std::find_if(steps.begin(), steps.end(), [&](const Step& s) { return !s.is_absence && s.index == index; });
  TOCSIN_CHECK(at != steps.end(), index);
  return *at;
}

const RuleWords::Step& RuleWords::absence(std::uint32_t index) const {
  const auto at =
      std::find_if(steps.begin(), steps.end(), [&](const Step& s) { return s.is_absence && s.index == index; });
  TOCSIN_CHECK(at != steps.end(), index);
  return *at;
}

std::optional<RuleWords> words_of(const dsl::Loaded& rules, const std::string& rule) {
  for (const dsl::ast::File& file : rules.files) {
    for (const dsl::ast::Decl& declaration : file.declarations) {
      if (declaration.kind != dsl::ast::Decl::Kind::rule || declaration.rule->name.text != rule) continue;
      const dsl::ast::RuleDecl& decl = *declaration.rule;
      const dsl::SourceFile& source = rules.sources[file.file];
      RuleWords words;
      words.name = rule;
      words.place = source.path() + ":" + std::to_string(source.place_of(declaration.span.begin).line);
      const std::string whole = quoted(rules.sources, declaration.span);
      const std::string start = "rule " + rule + " ";
      if (whole.starts_with(start)) words.header = whole.substr(start.size(), whole.find(" {") - start.size());
      for (const dsl::ast::Clause& clause : decl.clauses) {
        if (clause.kind == dsl::ast::ClauseKind::after_match) {
          words.after_match = without_word(without_word(quoted(rules.sources, clause.span), "after"), "match");
        }
        if (clause.kind != dsl::ast::ClauseKind::sequence) continue;
        words.sequence = true;
        const dsl::ast::Sequence& sequence = *clause.sequence;
        if (sequence.within) {
          words.span = parse_duration(sequence.within->text);
          words.within = "within " + sequence.within->text;
        }
        std::uint32_t steps = 0;
        std::uint32_t absences = 0;
        for (const dsl::ast::Step& step : sequence.steps) {
          RuleWords::Step& to = words.steps.emplace_back();
          to.is_absence = step.kind == dsl::ast::StepKind::negative;
          to.index = to.is_absence ? absences++ : steps++;
          to.text = without_word(quoted(rules.sources, step.span), "then");
          for (const dsl::ast::Step& part : step.parts) to.parts.push_back(quoted(rules.sources, part.span));
        }
        if (sequence.until) words.until = quoted(rules.sources, sequence.until->span);
        if (!words.until.empty() && !words.until.starts_with("until ")) words.until.insert(0, "until ");
      }
      return words;
    }
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- small words

std::string exact_text(Duration d) {
  if (d.us == 0) return "0s";
  std::string text = d.us < 0 ? "-" : "";
  std::uint64_t left = d.us < 0 ? 0 - static_cast<std::uint64_t>(d.us) : static_cast<std::uint64_t>(d.us);
  const auto take = [&](std::uint64_t unit, const char* name) {
    if (left < unit) return;
    text += (text.empty() || text == "-" ? "" : " ") + std::to_string(left / unit) + name;
    left %= unit;
  };
  take(86'400'000'000ULL, "d");
  take(3'600'000'000ULL, "h");
  take(60'000'000ULL, "m");
  if (left == 0) return text;
  std::string seconds = std::to_string(left / 1'000'000);
  if (std::uint64_t part = left % 1'000'000; part != 0) {
    std::string digits = std::to_string(part);
    digits.insert(0, 6 - digits.size(), '0');
    while (digits.back() == '0') digits.pop_back();
    seconds += "." + digits;
  }
  return text + (text.empty() || text == "-" ? "" : " ") + seconds + "s";
}

namespace {

std::string called(const TracedEvent& e) { return e.type + " " + e.id; }
std::string placed(const TracedEvent& e) { return called(e) + " of " + tocsin::to_text(e.time); }

std::string_view to_text(Truth truth) {
  switch (truth) {
    case Truth::none: return "";
    case Truth::yes: return "true";
    case Truth::no: return "false";
    case Truth::unknown: return "unknown";
  }
  return "";
}

std::string code(const std::string& text) { return "`" + text + "`"; }

std::string some_of(const std::vector<TracedEvent>& events, std::string_view verb_one, std::string_view verb_many) {
  if (events.size() == 1) return placed(events.front()) + " " + std::string(verb_one);
  return placed(events.front()) + " and " + std::to_string(events.size() - 1) + " more " + std::string(verb_many);
}

/// The last event of a step that has one.
std::optional<TracedEvent> last_of(const engine::TracedPlaces& places, std::size_t step) {
  std::optional<TracedEvent> last;
  if (step >= places.size()) return last;
  for (const auto& part : places[step]) {
    for (const TracedEvent& e : part) {
      if (!last || last->time <= e.time) last = e;
    }
  }
  return last;
}
std::optional<TracedEvent> first_of(const engine::TracedPlaces& places, std::size_t step) {
  std::optional<TracedEvent> first;
  if (step >= places.size()) return first;
  for (const auto& part : places[step]) {
    for (const TracedEvent& e : part) {
      if (!first || e.time < first->time) first = e;
    }
  }
  return first;
}
std::optional<TracedEvent> first_of_all(const engine::TracedPlaces& places) {
  for (std::size_t step = 0; step < places.size(); ++step) {
    if (auto first = first_of(places, step)) return first;
  }
  return std::nullopt;
}
std::optional<TracedEvent> before_step(const engine::TracedPlaces& places, std::size_t step) {
  for (std::size_t s = std::min(step, places.size()); s-- > 0;) {
    if (auto last = last_of(places, s)) return last;
  }
  return std::nullopt;
}
std::optional<TracedEvent> after_step(const engine::TracedPlaces& places, std::size_t step) {
  for (std::size_t s = step + 1; s < places.size(); ++s) {
    if (auto first = first_of(places, s)) return first;
  }
  return std::nullopt;
}

// ---------------------------------------------------------------- trees

/// Where a missing or unknown value comes from: the first reason below it, in written order.
std::string first_reason(const TracedNode& node) {
  for (const TracedNode& child : node.children) {
    const bool open = child.truth == Truth::unknown || child.shown == "missing" ||
                      (child.window && child.window->warming_until.has_value());
    if (!open) continue;
    if (std::string reason = first_reason(child); !reason.empty()) return reason;
  }
  return node.reason;
}

void indent(std::string& out, std::size_t depth) { out.append(depth * 2, ' '); }

void append_window(std::string& out, const engine::TracedWindow& window, std::size_t depth) {
  indent(out, depth);
  out += window.definition + "; " + window.key + ": ";
  if (window.entries == 0) {
    out += "no entries";
  } else if (window.entries == 1) {
    out += "1 entry, " + tocsin::to_text(window.first);
  } else {
    out += std::to_string(window.entries) + " entries, " + tocsin::to_text(window.first) + " to " +
           tocsin::to_text(window.last);
  }
  if (window.warming_until) out += "; warming until " + tocsin::to_text(*window.warming_until);
  out += "\n";
}

bool is_plain(const TracedNode& node) { return node.children.empty() && !node.window; }

void append_children(std::string& out, const TracedNode& node, std::size_t depth);

std::string joined_text(const TracedNode& node) {
  switch (node.join) {
    case TracedNode::Join::none: return node.text;
    case TracedNode::Join::all: return "all of these";
    case TracedNode::Join::any: return "any of these";
  }
  return node.text;
}

/// "text: false (t.amount = 4999.99 USD)", its operands below unless they are plain.
void append_node(std::string& out, const TracedNode& node, std::size_t depth) {
  indent(out, depth);
  out += joined_text(node);
  const bool condition = node.truth != Truth::none;
  out += (condition ? ": " : " = ") + node.shown;
  const bool plain =
      node.join == TracedNode::Join::none && std::all_of(node.children.begin(), node.children.end(), is_plain);
  if (plain && !node.children.empty()) {
    out += " (";
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const TracedNode& child = node.children[i];
      out += (i == 0 ? "" : ", ") + child.text + (child.truth == Truth::none ? " = " : ": ") + child.shown;
    }
    out += ")";
  }
  const bool open = node.truth == Truth::unknown || node.shown == "missing";
  if (open && node.join == TracedNode::Join::none) {
    if (const std::string reason = first_reason(node); !reason.empty()) out += ", because " + reason;
  }
  out += "\n";
  if (node.window) append_window(out, *node.window, depth + 1);
  if (!plain) append_children(out, node, depth + 1);
}

void append_children(std::string& out, const TracedNode& node, std::size_t depth) {
  for (const TracedNode& child : node.children) append_node(out, child, depth);
}

void append_clause(std::string& out, const TracedClause& clause, std::size_t depth) {
  std::string word;
  switch (clause.kind) {
    case TracedClause::Kind::stream: word = "stream"; break;
    case TracedClause::Kind::where: word = "where"; break;
    case TracedClause::Kind::let: word = "let " + clause.name; break;
    case TracedClause::Kind::when: word = "when"; break;
    case TracedClause::Kind::except: word = "except " + clause.name + (clause.over ? " (its time is over)" : ""); break;
    case TracedClause::Kind::decide: word = "decide if"; break;
    case TracedClause::Kind::score: word = "score"; break;
  }
  // A let is read by its name, so its line is "let n = 4" and what it is stands below.
  if (clause.kind == TracedClause::Kind::let || clause.kind == TracedClause::Kind::score) {
    indent(out, depth);
    out += word + " = " + clause.node.shown;
    const bool open = clause.node.truth == Truth::unknown || clause.node.shown == "missing";
    if (const std::string reason = first_reason(clause.node); open && !reason.empty()) out += ", because " + reason;
    out += "\n";
    if (clause.node.window) append_window(out, *clause.node.window, depth + 1);
    if (!clause.node.window && !clause.node.children.empty()) append_node(out, clause.node, depth + 1);
    return;
  }
  std::string node;
  append_node(node, clause.node, depth);
  out.append(depth * 2, ' ');
  out += word + " " + node.substr(depth * 2);
}

void append_places(std::string& out, const engine::TracedPlaces& places, const RuleWords& words,
                   const TracedEvent& asked, std::size_t depth) {
  for (const RuleWords::Step& step : words.steps) {
    indent(out, depth);
    out += step.is_absence ? "   " : std::to_string(step.index + 1) + ". ";
    out += step.text + "\n";
    if (step.is_absence || step.index >= places.size()) continue;
    const auto& parts = places[step.index];
    for (std::size_t k = 0; k < parts.size(); ++k) {
      for (const TracedEvent& e : parts[k]) {
        indent(out, depth);
        out += "     " + placed(e);
        if (parts.size() > 1 && k < step.parts.size()) out += " (" + step.parts[k] + ")";
        if (e.type == asked.type && e.id == asked.id && e.time == asked.time) out += ", the event asked about";
        out += "\n";
      }
    }
  }
  if (!words.until.empty()) {
    indent(out, depth);
    out += "   " + words.until + "\n";
  }
}

// ---------------------------------------------------------------- what stood in the way

std::string step_named(const RuleWords& words, std::uint32_t step) {
  return "step " + std::to_string(step + 1) + " " + code(words.step(step).text);
}

std::string truth_named(const TracedFailure& failure) {
  if (failure.clauses.empty()) return "not true";
  const TracedNode& node = failure.clauses.back().node;
  std::string text = node.truth == Truth::unknown ? "unknown" : "false";
  if (node.truth != Truth::unknown) return text;
  const std::string reason = first_reason(node);
  return reason.empty() ? text : text + ", because " + reason;
}

std::string sentence(const TracedFailure& failure, const TracedMiss& miss, const RuleWords& words) {
  const nfa::Failure& f = failure.what;
  switch (f.clause) {
    case Clause::accept:
      if (failure.history) return "the first `no` looks back before the data begins, so it is unknown";
      return "`when` is " + truth_named(failure) + " for these events";
    case Clause::condition:
      return step_named(words, f.step) + ": its `where` is " + truth_named(failure) + " for " +
             placed(failure.events.back());
    case Clause::absence: {
      const RuleWords::Step& no = words.absence(f.index);
      std::uint32_t before = 0;  // steps written before it
      std::uint32_t steps = 0;
      for (const RuleWords::Step& s : words.steps) {
        if (&s == &no) before = steps;
        if (!s.is_absence) ++steps;
      }
      const auto from = before_step(miss.places, before);
      const auto to = before == 0 ? first_of_all(miss.places) : after_step(miss.places, before - 1);
      if (before == 0) {
        return code(no.text) + ": " + placed(failure.events.back()) + " came " + exact_text(f.took) + " before " +
               (to ? called(*to) : "it");
      }
      if (before == steps) {
        return code(no.text) + ": " + placed(failure.events.front()) + " came " + exact_text(f.took) + " after " +
               (from ? called(*from) : "it");
      }
      const std::string text = code(no.text) + ": " + some_of(failure.events, "stands", "stand") + " between";
      return from && to ? text + " " + called(*from) + " and " + called(*to) : text;
    }
    case Clause::until: return code(words.until) + ": " + some_of(failure.events, "ended it", "ended it");
    case Clause::first: {
      const auto chosen = first_of(miss.places, f.step);
      return step_named(words, f.step) + ": " + placed(failure.events.front()) + " was the first, not " +
             (chosen ? called(*chosen) : "it");
    }
    case Clause::next:
      return step_named(words, f.step) + ": " + some_of(failure.events, "stands", "stand") + " before it";
    case Clause::step_within: {
      const auto from = before_step(miss.places, f.step);
      return step_named(words, f.step) + ": " + placed(failure.events.back()) + " came " + exact_text(f.took) +
             " after the step before" + (from ? " (" + called(*from) + ")" : "") +
             (f.took == f.allowed ? "; exactly " + exact_text(f.allowed) + " is out"
                                  : "; less than " + exact_text(f.allowed) + " is asked for");
    }
    case Clause::used_up: {
      std::string text = placed(failure.events.front()) + " was used up by an earlier match";
      if (!miss.used_up_at.empty()) text += " at " + tocsin::to_text(miss.used_up_at.back());
      return text + " (`after match " + words.after_match + "`)";
    }
    case Clause::row:
      return step_named(words, f.step) + ": " + some_of(failure.events, "breaks the row", "break the row") + ", " +
             std::to_string(f.needed) + " are needed in a row";
    case Clause::count:
      return step_named(words, f.step) + ": " + std::to_string(f.have) + " of the " + std::to_string(f.needed) +
             " that are needed";
    case Clause::part: {
      const RuleWords::Step& step = words.step(f.step);
      return step_named(words, f.step) + ": nothing came for " +
             (f.part < step.parts.size() ? code(step.parts[f.part]) : "one part");
    }
    case Clause::window: {
      const TracedEvent& first = failure.events.front();
      const TracedEvent& last = failure.events.back();
      return code(words.within) + ": " + called(last) + " came " + exact_text(f.took) + " after " + called(first) +
             (f.took == f.allowed ? "; the span is " + exact_text(f.allowed) + ", and exactly that is out"
                                  : "; the span is " + exact_text(f.allowed));
    }
    case Clause::where:
      return step_named(words, f.step) + ": its `where` is " + truth_named(failure) + " for " +
             placed(failure.events.back());
    case Clause::missing: {
      const auto from = before_step(miss.places, f.step);
      const auto to = after_step(miss.places, f.step);
      std::string text = step_named(words, f.step) + ": none came";
      if (from) text += " after " + placed(*from);
      if (from && to) text += " and before " + placed(*to);
      if (!from && words.span) text += " in the " + exact_text(*words.span) + " before";
      if (!from && !words.span) text += " before";
      return text;
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> reasons(const TracedMiss& miss, const RuleWords& words) {
  std::vector<std::string> lines;
  for (const TracedFailure& failure : miss.failures) {
    std::string line = sentence(failure, miss, words) + "\n";
    for (const TracedClause& clause : failure.clauses) append_clause(line, clause, 1);
    line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

namespace {

bool is_complete(const TracedMiss& miss, const RuleWords& words) {
  std::uint32_t steps = 0;
  for (const RuleWords::Step& s : words.steps) steps += s.is_absence ? 0 : 1;
  return miss.step + 1 == steps && miss.failures.empty();
}

/// A sequence that nothing is wrong with so far.
std::string waiting_text(const TracedMiss& miss, const RuleWords& words) {
  std::string text = "so far nothing stands in the way; next is ";
  for (const RuleWords::Step& s : words.steps) {
    if (s.is_absence || s.index != miss.step + 1) continue;
    text += step_named(words, s.index);
  }
  const auto first = first_of_all(miss.places);
  if (first && words.span) text += ", before " + tocsin::to_text(first->time + *words.span);
  return text;
}

constexpr const char* bounds_text =
    "the events are there; a bound of the engine (bytes per rule and key, work of one search) kept it from finding "
    "them";

/// First level of a condition that is not true.
void append_untrue(const TracedNode& node, std::vector<std::string>& lines) {
  if (node.join == TracedNode::Join::all) {
    for (const TracedNode& child : node.children) {
      if (child.truth != Truth::yes) append_untrue(child, lines);
    }
    return;
  }
  std::string line;
  append_node(line, node, 0);
  line.pop_back();
  lines.push_back(std::move(line));
}

std::string silence_of(const engine::TracedHit& hit) {
  return hit.silenced_by.empty() ? "kept back, the rule's switch is off"
                                 : "silenced by the exception " + hit.silenced_by;
}

std::string verdict(const Account& account, const RuleWords& words) {
  std::size_t fired = 0;
  std::string silenced;
  for (const engine::TracedHit& hit : account.hits) {
    if (!hit.silenced) {
      ++fired;
    } else {
      silenced = silence_of(hit);
    }
  }
  if (fired == 1) return "fired";
  if (fired > 1) return "fired " + std::to_string(fired) + " times";
  if (!silenced.empty()) return silenced;
  const bool waits = std::any_of(account.keys.begin(), account.keys.end(),
                                 [](const engine::TracedKey& k) { return k.waits_until.has_value(); });
  if (waits) return "not decided yet";
  const bool open = words.sequence && std::any_of(account.keys.begin(), account.keys.end(), [&](const auto& k) {
                      return k.miss && k.miss->failures.empty() && !is_complete(*k.miss, words);
                    });
  return open ? "did not fire, and may with a later event" : "did not fire";
}

}  // namespace

std::vector<std::string> short_reasons(const Account& account, const RuleWords& words) {
  std::vector<std::string> lines;
  if (!account.missing_key.empty()) {
    lines.push_back(called(account.event) + " has no `" + account.missing_key.front() +
                    "`, which is in the rule's key");
  }
  for (const TracedClause& clause : account.clauses) {
    if (clause.kind != TracedClause::Kind::stream && clause.kind != TracedClause::Kind::when) continue;
    if (clause.node.truth != Truth::yes) append_untrue(clause.node, lines);
  }
  for (const engine::TracedHit& hit : account.hits) {
    if (hit.silenced) lines.push_back(silence_of(hit));
  }
  for (const engine::TracedKey& key : account.keys) {
    if (!key.miss) continue;
    for (std::string& line : reasons(*key.miss, words)) lines.push_back(std::move(line));
    if (!key.miss->failures.empty()) continue;
    if (key.waits_until) {
      lines.push_back("not decided before " + tocsin::to_text(*key.waits_until) + " has passed");
    } else {
      lines.push_back(is_complete(*key.miss, words) ? bounds_text : waiting_text(*key.miss, words));
    }
  }
  return lines;
}

std::uint64_t nearness(const Account& account, const RuleWords& words) {
  if (!account.concerned) return 0;
  std::uint64_t best = 1;
  for (const TracedClause& clause : account.clauses) {
    if (clause.kind == TracedClause::Kind::when && clause.node.truth != Truth::yes) best = 2;
    if (clause.kind == TracedClause::Kind::stream && clause.node.truth != Truth::yes) return 1;
  }
  for (const engine::TracedKey& key : account.keys) {
    if (!key.miss) continue;
    const std::uint64_t reached = key.miss->reached;
    const std::uint64_t few = 63 - std::min<std::uint64_t>(key.miss->failures.size(), 63);
    best = std::max(best, 2 + reached * 64 + few);
  }
  for (const engine::TracedHit& hit : account.hits) {
    if (hit.silenced) best = std::max<std::uint64_t>(best, 64 * (words.steps.size() + 2));
  }
  return best;
}

// ---------------------------------------------------------------- text

namespace {

void append_decision(std::string& out, const engine::TracedDecision& d) {
  out += "\ndecision of policy " + d.policy + ": " + std::string(event::to_text(d.action));
  if (d.limited) out += " (limited, would be " + std::string(event::to_text(*d.limited)) + ")";
  out += "\n  score " + tocsin::to_text(d.score);
  if (d.voices.empty()) out += ", no rule hit";
  for (std::size_t i = 0; i < d.voices.size(); ++i) {
    const engine::TracedDecision::Voice& v = d.voices[i];
    out += (i == 0 ? ": " : ", ") + v.rule;
    if (v.action) out += " decides " + std::string(event::to_text(*v.action));
    if (v.score) out += " scores " + tocsin::to_text(*v.score);
    if (!v.takes_part) out += " (shadow, does not count)";
  }
  out += "\n";
  if (d.is_default) out += "  " + d.reason + "\n";
  bool decided = false;
  for (std::size_t i = 0; i < d.lines.size(); ++i) {
    const engine::TracedDecision::Line& line = d.lines[i];
    out += "  " + std::to_string(i + 1) + ". " + line.text;
    if (line.node) out += ": " + line.node->shown;
    if (line.won) out += ", decides";
    if (!line.won && decided && line.truth == Truth::yes) out += ", too late";
    out += "\n";
    decided = decided || line.won;
    if (!line.node || line.node->children.empty()) continue;
    if (line.node->join != TracedNode::Join::none || !is_plain(line.node->children.front())) {
      append_children(out, *line.node, 3);
      continue;
    }
    for (const TracedNode& child : line.node->children) append_node(out, child, 3);
  }
  if (!decided && !d.is_default) out += "  no line is true: allow\n";
}

void append_hit(std::string& out, const engine::TracedHit& hit, const RuleWords& words, const TracedEvent& asked) {
  if (words.sequence) {
    out += "\nmatch per " + hit.key + ", " + (hit.by_deadline ? "at its deadline " : "at ") + tocsin::to_text(hit.at) +
           (hit.truncated ? ", truncated: a bound may have changed it" : "") + "\n";
    append_places(out, hit.places, words, asked, 1);
    for (const TracedClause& clause : hit.clauses) append_clause(out, clause, 1);
  }
  if (hit.silenced) {
    out += "  " + silence_of(hit) + ": no hit\n";
    return;
  }
  out += "\nhit " + hit.id + (hit.shadow ? ", in shadow" : "") + "\n";
  if (!hit.because.empty()) out += "  because " + hit.because + "\n";
  if (hit.action) out += "  decides " + std::string(event::to_text(*hit.action)) + "\n";
  if (hit.score) out += "  score " + tocsin::to_text(*hit.score) + "\n";
  switch (hit.alert) {
    case alerts::AlertOutcome::Kind::none: out += "  no alert: severity info, or a shadow rule\n"; break;
    case alerts::AlertOutcome::Kind::made: out += "  made the alert " + hit.alert_id + "\n"; break;
    case alerts::AlertOutcome::Kind::folded:
      out += "  folded into the alert " + hit.alert_id + " (`alert once per`)\n";
      break;
    case alerts::AlertOutcome::Kind::reopened: out += "  opens the alert " + hit.alert_id + " again\n"; break;
    case alerts::AlertOutcome::Kind::held:
      out += "  the alert " + hit.alert_id + " is held back (`suppressed by … hold`)\n";
      break;
    case alerts::AlertOutcome::Kind::suppressed:
      out += "  the alert " + hit.alert_id + " is suppressed (`suppressed by`)\n";
      break;
  }
}

std::string test_named(const RuleWords& words, std::uint32_t test) {
  // Tests stand in the order: steps with their parts, absences, until.
  std::uint32_t t = 0;
  for (const RuleWords::Step& s : words.steps) {
    if (s.is_absence) continue;
    const std::size_t parts = std::max<std::size_t>(s.parts.size(), 1);
    if (test < t + parts) {
      return "step " + std::to_string(s.index + 1) + " " + code(s.parts.empty() ? s.text : s.parts[test - t]);
    }
    t += static_cast<std::uint32_t>(parts);
  }
  for (const RuleWords::Step& s : words.steps) {
    if (!s.is_absence) continue;
    if (test == t) return code(s.text);
    ++t;
  }
  return code(words.until);
}

void append_key(std::string& out, const engine::TracedKey& key, const RuleWords& words, const Account& account) {
  if (!key.key.empty()) out += "\nper " + key.key + "\n";
  if (key.key.empty()) out += "\n";
  for (const engine::TracedTest& test : key.tests) {
    out += "  " + called(account.event) + " as " + test_named(words, test.test) + ": ";
    if (!test.of_stream) {
      out += "not of its stream\n";
    } else {
      out += std::string(test.fits ? "fits" : "does not fit") + "\n";
    }
    for (const TracedClause& clause : test.clauses) append_clause(out, clause, 2);
  }
  if (!key.miss) return;
  const TracedMiss& miss = *key.miss;
  out += "  the nearest to a match, sequence" + (words.within.empty() ? "" : " " + words.within) + ":\n";
  append_places(out, miss.places, words, account.event, 2);
  if (miss.failures.empty()) {
    if (key.waits_until) {
      out += "  not decided yet: time must pass " + tocsin::to_text(*key.waits_until) + "\n";
    } else if (is_complete(miss, words)) {
      out += std::string("  ") + bounds_text + "\n";
    } else {
      out += "  " + waiting_text(miss, words) + "\n";
    }
  }
  for (std::size_t i = 0; i < miss.failures.size(); ++i) {
    out += (i == 0 ? "  why not: " : "  and: ") + sentence(miss.failures[i], miss, words) + "\n";
    for (const TracedClause& clause : miss.failures[i].clauses) append_clause(out, clause, 2);
  }
  if (miss.cut) out += "  (not all choices were looked at)\n";
  if (key.forgot) {
    out += "  (only the newest " + std::to_string(engine::trace_events_max) + " events of the key were kept)\n";
  }
}

}  // namespace

std::string to_text(const Account& account, const RuleWords& words) {
  std::string out =
      placed(account.event) + ", rule " + words.name + " (" + words.place + "): " + verdict(account, words) + "\n";
  if (account.event.late) {
    out +=
        "the event came late, behind the watermark: it is counted by features and by `no` and `until`, fills no step, "
        "triggers no rule and gets no decision\n";
  }
  if (!account.concerned) out += "the rule does not look at events of type " + account.event.type + "\n";
  for (const std::string& field : account.missing_key) {
    out += "the event has no `" + field + "`, which is in the rule's key: it takes no part\n";
  }
  if (!account.clauses.empty()) {
    out += "\n" + words.header + "\n";
    for (const TracedClause& clause : account.clauses) append_clause(out, clause, 1);
  }
  for (const engine::TracedKey& key : account.keys) append_key(out, key, words, account);
  for (const engine::TracedHit& hit : account.hits) append_hit(out, hit, words, account.event);
  if (account.decision) append_decision(out, *account.decision);
  return out;
}

// ---------------------------------------------------------------- JSON

namespace {

/// Writes nested objects and lists; commas are its business.
class Json {
 public:
  Json& open(char bracket) {
    comma();
    out_ += bracket;
    first_ = true;
    return *this;
  }
  Json& close(char bracket) {
    out_ += bracket;
    first_ = false;
    return *this;
  }
  Json& name(std::string_view member) {
    comma();
    event::append_json_string(out_, member);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Json& text(std::string_view value) {
    comma();
    event::append_json_string(out_, value);
    return *this;
  }
  Json& raw(std::string_view value) {
    comma();
    out_ += value;
    return *this;
  }
  Json& member(std::string_view n, std::string_view value) { return name(n).text(value); }
  Json& member(std::string_view n, std::uint64_t value) { return name(n).raw(std::to_string(value)); }
  Json& flag(std::string_view n, bool value) { return name(n).raw(value ? "true" : "false"); }
  std::string take() { return std::move(out_); }

 private:
  void comma() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string out_;
  bool first_ = true;
};

void put(Json& json, const TracedEvent& e) {
  json.open('{').member("type", e.type).member("id", e.id).member("at", tocsin::to_text(e.time));
  if (e.late) json.flag("late", true);
  json.close('}');
}
void put(Json& json, const std::vector<TracedEvent>& events) {
  json.open('[');
  for (const TracedEvent& e : events) put(json, e);
  json.close(']');
}

void put(Json& json, const TracedNode& node) {
  json.open('{').member("text", joined_text(node));
  if (node.truth != Truth::none) {
    json.member("truth", to_text(node.truth));
  } else {
    json.name("value").raw(node.json);
  }
  json.member("shown", node.shown);
  if (!node.reason.empty()) json.member("reason", node.reason);
  if (node.window) {
    const engine::TracedWindow& w = *node.window;
    json.name("window").open('{').member("definition", w.definition).member("key", w.key).member("entries", w.entries);
    if (w.entries > 0) json.member("first", tocsin::to_text(w.first)).member("last", tocsin::to_text(w.last));
    if (w.warming_until) json.member("warming_until", tocsin::to_text(*w.warming_until));
    json.close('}');
  }
  if (!node.children.empty()) {
    json.name("of").open('[');
    for (const TracedNode& child : node.children) put(json, child);
    json.close(']');
  }
  json.close('}');
}

std::string_view to_text(TracedClause::Kind kind) {
  switch (kind) {
    case TracedClause::Kind::stream: return "stream";
    case TracedClause::Kind::where: return "where";
    case TracedClause::Kind::let: return "let";
    case TracedClause::Kind::when: return "when";
    case TracedClause::Kind::except: return "except";
    case TracedClause::Kind::decide: return "decide";
    case TracedClause::Kind::score: return "score";
  }
  return "";
}
std::string_view to_text(Clause clause) {
  switch (clause) {
    case Clause::accept: return "when";
    case Clause::condition: return "where";
    case Clause::absence: return "no";
    case Clause::until: return "until";
    case Clause::first: return "first";
    case Clause::next: return "next";
    case Clause::step_within: return "step_within";
    case Clause::used_up: return "used_up";
    case Clause::row: return "consecutive";
    case Clause::count: return "count";
    case Clause::part: return "part";
    case Clause::window: return "within";
    case Clause::where: return "where";
    case Clause::missing: return "missing";
  }
  return "";
}
std::string_view to_text(alerts::AlertOutcome::Kind kind) {
  switch (kind) {
    case alerts::AlertOutcome::Kind::none: return "none";
    case alerts::AlertOutcome::Kind::made: return "made";
    case alerts::AlertOutcome::Kind::folded: return "folded";
    case alerts::AlertOutcome::Kind::reopened: return "reopened";
    case alerts::AlertOutcome::Kind::held: return "held";
    case alerts::AlertOutcome::Kind::suppressed: return "suppressed";
  }
  return "";
}

void put(Json& json, const std::vector<TracedClause>& clauses) {
  json.name("clauses").open('[');
  for (const TracedClause& clause : clauses) {
    json.open('{').member("clause", to_text(clause.kind));
    if (!clause.name.empty()) json.member("name", clause.name);
    if (clause.over) json.flag("over", true);
    json.name("node");
    put(json, clause.node);
    json.close('}');
  }
  json.close(']');
}

void put_places(Json& json, const engine::TracedPlaces& places, const RuleWords& words) {
  json.name("steps").open('[');
  for (std::uint32_t s = 0; s < places.size(); ++s) {
    json.open('{').member("step", words.step(s).text).name("parts").open('[');
    for (const auto& part : places[s]) put(json, part);
    json.close(']').close('}');
  }
  json.close(']');
}

void put(Json& json, const engine::TracedKey& key, const RuleWords& words) {
  json.open('{').member("key", key.key);
  if (key.waits_until) json.member("waits_until", tocsin::to_text(*key.waits_until));
  if (key.forgot) json.flag("history_cut", true);
  json.name("as").open('[');
  for (const engine::TracedTest& test : key.tests) {
    json.open('{')
        .member("test", test_named(words, test.test))
        .flag("of_stream", test.of_stream)
        .flag("fits", test.fits);
    put(json, test.clauses);
    json.close('}');
  }
  json.close(']');
  if (key.miss) {
    const TracedMiss& miss = *key.miss;
    json.name("nearest").open('{').member("tried_at_step", std::uint64_t{miss.step} + 1);
    json.member("steps_reached", std::uint64_t{miss.reached});
    if (miss.cut) json.flag("cut", true);
    put_places(json, miss.places, words);
    json.name("why_not").open('[');
    for (const TracedFailure& failure : miss.failures) {
      const nfa::Failure& f = failure.what;
      json.open('{').member("clause", to_text(f.clause)).member("says", sentence(failure, miss, words));
      if (f.allowed.us != 0) json.member("took", exact_text(f.took)).member("allowed", exact_text(f.allowed));
      if (f.needed != 0) json.member("have", std::uint64_t{f.have}).member("needed", std::uint64_t{f.needed});
      json.name("events");
      put(json, failure.events);
      put(json, failure.clauses);
      json.close('}');
    }
    json.close(']').close('}');
  }
  json.close('}');
}

void put(Json& json, const engine::TracedHit& hit, const RuleWords& words) {
  json.open('{').member("at", tocsin::to_text(hit.at));
  if (hit.silenced) {
    json.member("silenced_by", hit.silenced_by.empty() ? "switch" : hit.silenced_by);
  } else {
    json.member("id", hit.id).member("because", hit.because);
    if (hit.action) json.member("action", event::to_text(*hit.action));
    if (hit.score) json.name("score").raw(tocsin::to_text(*hit.score));
    json.member("alert", to_text(hit.alert));
    if (!hit.alert_id.empty()) json.member("alert_id", hit.alert_id);
  }
  if (hit.by_deadline) json.flag("by_deadline", true);
  if (hit.truncated) json.flag("truncated", true);
  if (hit.shadow) json.flag("shadow", true);
  if (words.sequence) {
    json.member("key", hit.key);
    put_places(json, hit.places, words);
    put(json, hit.clauses);
  }
  json.close('}');
}

void put(Json& json, const engine::TracedDecision& d) {
  json.name("decision").open('{').member("policy", d.policy).member("action", event::to_text(d.action));
  if (d.limited) json.member("limited", event::to_text(*d.limited));
  json.name("score").raw(tocsin::to_text(d.score)).member("reason", d.reason).name("hits").open('[');
  for (const engine::TracedDecision::Voice& v : d.voices) {
    json.open('{').member("rule", v.rule);
    if (v.action) json.member("action", event::to_text(*v.action));
    if (v.score) json.name("score").raw(tocsin::to_text(*v.score));
    json.flag("counts", v.takes_part).close('}');
  }
  json.close(']').name("lines").open('[');
  for (const engine::TracedDecision::Line& line : d.lines) {
    json.open('{').member("text", line.text).flag("won", line.won);
    if (line.node) {
      json.name("node");
      put(json, *line.node);
    }
    json.close('}');
  }
  json.close(']').close('}');
}

}  // namespace

std::string to_json(const Account& account, const RuleWords& words) {
  Json json;
  json.open('{').name("event");
  put(json, account.event);
  json.member("rule", words.name).member("place", words.place).member("verdict", verdict(account, words));
  json.flag("concerned", account.concerned).name("missing_key").open('[');
  for (const std::string& field : account.missing_key) json.text(field);
  json.close(']');
  put(json, account.clauses);
  json.name("keys").open('[');
  for (const engine::TracedKey& key : account.keys) put(json, key, words);
  json.close(']').name("hits").open('[');
  for (const engine::TracedHit& hit : account.hits) put(json, hit, words);
  json.close(']');
  if (account.decision) put(json, *account.decision);
  json.close('}');
  return json.take();
}

}  // namespace tocsin::replay
