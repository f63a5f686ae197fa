// What a replay says at its end: summary.json for programs, a page for people. Both list names in the order of the alphabet, so that two
// summaries are compared with `diff`.
#include <algorithm>
#include <map>

#include "event/schema.h"
#include "replay/replay.h"

namespace tocsin::replay {

namespace {

/// JSON with a member per line, two blanks per level.
class Writer {
 public:
  void open(std::string_view name, char bracket) {
    begin(name);
    text_ += bracket;
    first_ = true;
    ++level_;
  }
  void close(char bracket) {
    --level_;
    if (!first_) new_line();
    text_ += bracket;
    first_ = false;
  }
  void number(std::string_view name, std::uint64_t value) {
    begin(name);
    text_ += std::to_string(value);
  }
  void string(std::string_view name, std::string_view value) {
    begin(name);
    event::append_json_string(text_, value);
  }
  void json(std::string_view name, std::string_view value) {
    begin(name);
    text_ += value;
  }
  template <typename Map>
  void counts(std::string_view name, const Map& values) {
    open(name, '{');
    for (const auto& [key, n] : values) number(key, n);
    close('}');
  }
  std::string take() {
    text_ += '\n';
    return std::move(text_);
  }

 private:
  void new_line() {
    text_ += '\n';
    text_.append(2 * level_, ' ');
  }
  /// An empty name: an element of a list, or the whole.
  void begin(std::string_view name) {
    if (!first_) text_ += ',';
    if (level_ > 0) new_line();
    first_ = false;
    if (name.empty()) return;
    event::append_json_string(text_, name);
    text_ += ": ";
  }

  std::string text_;
  std::size_t level_ = 0;
  bool first_ = true;
};

std::string plural(std::uint64_t n, std::string_view word) {
  return std::to_string(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

std::uint64_t total(const std::map<std::string, std::uint64_t>& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, n] : counts) sum += n;
  return sum;
}

std::uint64_t of(const std::map<std::string, std::uint64_t>& counts, const std::string& name) {
  const auto at = counts.find(name);
  return at == counts.end() ? 0 : at->second;
}

}  // namespace

std::string to_json(const ReplaySummary& summary) {
  const engine::Counters& counters = summary.counters;
  const engine::IntakeCounts& intake = summary.intake;
  Writer out;
  out.open("", '{');
  out.string("ruleset", summary.ruleset);
  out.open("rules", '{');
  for (const auto& [name, revision] : summary.rules) out.string(name, revision);
  out.close('}');
  out.number("records", intake.records);
  out.number("events", counters.events);
  out.number("judged", counters.judged);
  out.number("late", counters.late);
  out.number("duplicates", counters.duplicates);
  out.open("duplicate_samples", '[');
  for (const std::string& sample : counters.duplicate_samples) out.string("", sample);
  out.close(']');
  out.open("dead_letters", '{');
  for (std::size_t i = 0; i < event::reason_count; ++i) {
    if (intake.dead_letters[i] > 0) out.number(event::to_text(static_cast<event::Reason>(i)), intake.dead_letters[i]);
  }
  out.close('}');
  out.number("unknown_fields", intake.unknown_fields);
  out.open("unknown_fields_by_name", '[');
  for (const event::UnknownField& field : summary.unknown_fields) {
    out.open("", '{');
    out.string("event", field.type);
    out.string("field", field.field);
    out.number("count", field.count);
    out.close('}');
  }
  out.close(']');
  if (intake.events > 0) {
    out.string("first_event_time", to_text(intake.first_time));
    out.string("last_event_time", to_text(intake.last_time));
  }
  if (summary.until) out.string("until", to_text(*summary.until));
  out.string("data_begins", summary.data_begins);
  out.counts("hits", counters.hits_by_rule);
  out.counts("alerts", counters.alerts_by_rule);
  out.counts("folded", counters.folded_by_rule);
  out.counts("suppressed", counters.suppressed_by_rule);
  out.counts("resolved", counters.resolved_by_rule);
  out.counts("excepted", counters.excepted_by_rule);
  out.counts("decisions", counters.decisions_by_action);
  out.number("truncated", counters.truncated);
  out.counts("bounds", counters.bounds);
  out.open("unknown", '[');
  for (const auto& [name, n] : counters.unknown_by_rule_and_field) {
    out.open("", '{');
    out.string("rule", name.first);
    out.string("field", name.second);
    out.number("count", n);
    out.close('}');
  }
  out.close(']');
  out.open("undecided", '[');
  for (const engine::Undecided& absence : summary.undecided) {
    out.open("", '{');
    out.string("rule", absence.rule);
    out.json("key", absence.key);
    out.string("deadline", to_text(absence.deadline));
    out.close('}');
  }
  out.close(']');
  out.open("warming", '[');
  for (const std::string& feature : summary.warming) out.string("", feature);
  out.close(']');
  out.close('}');
  return out.take();
}

std::string to_text(const ReplaySummary& summary) {
  const engine::Counters& counters = summary.counters;
  const engine::IntakeCounts& intake = summary.intake;
  std::string out = plural(counters.events, "event") + ": " + std::to_string(counters.judged) + " judged, " +
                    std::to_string(counters.late) + " late, " + plural(counters.duplicates, "duplicate") + "; " +
                    plural(intake.dead_letter_count(), "dead letter");
  std::string separator = " (";
  for (std::size_t i = 0; i < event::reason_count; ++i) {
    if (intake.dead_letters[i] == 0) continue;
    out += separator + std::string(event::to_text(static_cast<event::Reason>(i))) + " " +
           std::to_string(intake.dead_letters[i]);
    separator = ", ";
  }
  if (separator == ", ") out += ")";
  out += '\n';
  if (counters.events == 0 && separator == ", ") {
    out +=
        "no event was read: events are JSON, one to a line (docs/records.md), not CSV; dead_letters.ndjson says what "
        "was wrong with "
        "each\n";
  }
  if (intake.events > 0) {
    out += "from " + to_text(intake.first_time) + " to " + to_text(intake.last_time) +
           "; data begins: " + summary.data_begins + "\n";
  }
  if (intake.unknown_fields > 0) out += plural(intake.unknown_fields, "value") + " of fields that no schema declares\n";
  out += plural(total(counters.hits_by_rule), "hit") + ", " + plural(total(counters.alerts_by_rule), "alert") + ", " +
         std::to_string(total(counters.folded_by_rule)) + " folded, " + plural(counters.decisions, "decision") + "\n";
  std::size_t width = 0;
  for (const auto& [name, revision] : summary.rules) width = std::max(width, name.size());
  for (const auto& [name, revision] : summary.rules) {
    out += "  " + name + std::string(width - name.size(), ' ') + "  " + plural(of(counters.hits_by_rule, name), "hit") +
           ", " + plural(of(counters.alerts_by_rule, name), "alert");
    if (const std::uint64_t folded = of(counters.folded_by_rule, name); folded > 0)
      out += ", " + std::to_string(folded) + " folded";
    if (const std::uint64_t suppressed = of(counters.suppressed_by_rule, name); suppressed > 0)
      out += ", " + std::to_string(suppressed) + " suppressed";
    if (const std::uint64_t resolved = of(counters.resolved_by_rule, name); resolved > 0)
      out += ", " + std::to_string(resolved) + " resolved";
    out += '\n';
  }
  const bool silent = std::any_of(summary.rules.begin(), summary.rules.end(),
                                  [&](const auto& rule) { return of(counters.hits_by_rule, rule.first) == 0; });
  if (silent && counters.events > 0)
    out += "why an event is no hit of a rule: tocsin explain --event ID --rule NAME, with the same rules and events\n";
  for (const auto& [action, n] : counters.decisions_by_action)
    out += "  decided " + action + ": " + std::to_string(n) + "\n";
  for (const auto& [name, n] : counters.excepted_by_rule)
    out += "  silenced by " + name + ": " + std::to_string(n) + "\n";
  for (const auto& [bound, n] : counters.bounds) {
    out += "bound reached: " + bound + " " + std::to_string(n) + " (docs/records.md, bounds)\n";
  }
  if (counters.truncated > 0)
    out += plural(counters.truncated, "hit") + " may have been changed by a bound (truncated)\n";
  if (!summary.undecided.empty()) {
    out += plural(summary.undecided.size(), "absence") + " undecided when the input ended (--until moves time on)\n";
  }
  if (!summary.warming.empty())
    out += std::to_string(summary.warming.size()) +
           " still warming, since the data begins within their time; what asks them may be silent (if the events hold "
           "all there was, say "
           "--data-begins complete):\n";
  constexpr std::size_t warming_shown = 5;
  for (std::size_t i = 0; i < std::min(summary.warming.size(), warming_shown); ++i)
    out += "  " + summary.warming[i] + "\n";
  if (summary.warming.size() > warming_shown)
    out += "  and " + std::to_string(summary.warming.size() - warming_shown) + " more, in summary.json\n";
  return out;
}

}  // namespace tocsin::replay
