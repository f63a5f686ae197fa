#include "alerts/record.h"

#include "event/decode.h"
#include "event/schema.h"

namespace tocsin::alerts {

namespace {

/// One JSON object, member by member. Names are ours and need no escape.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }

  std::string& member(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return out_;
  }
  void text(std::string_view name, std::string_view value) { event::append_json_string(member(name), value); }
  /// Left out when it is empty.
  void text_if(std::string_view name, std::string_view value) {
    if (!value.empty()) text(name, value);
  }
  void id(std::string_view name, Digest value) { plain(name, to_text(value)); }
  void time(std::string_view name, Timestamp value) { plain(name, to_text(value)); }
  void number(std::string_view name, Decimal value) { member(name) += to_text(value); }
  void number(std::string_view name, std::uint64_t value) { member(name) += std::to_string(value); }
  void boolean(std::string_view name, bool value) { member(name) += value ? "true" : "false"; }
  void end() { out_ += '}'; }

 private:
  // Digits, letters and signs that JSON does not escape.
  void plain(std::string_view name, const std::string& value) {
    member(name) += '"';
    out_ += value;
    out_ += '"';
  }

  std::string& out_;
  bool first_ = true;
};

void add_values(Object& object, std::string_view name, std::span<const NamedValue> values) {
  std::string& out = object.member(name);
  out += '{';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    event::append_json_string(out, values[i].name);
    out += ':';
    out += values[i].shown();
  }
  out += '}';
}

void add_events(Object& object, std::span<const BoundEvent> events) {
  std::string& out = object.member("events");
  out += '[';
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (i > 0) out += ',';
    Object event(out);
    event.text("alias", events[i].alias);
    event.text("type", events[i].type);
    event.text("id", events[i].id);
    event.time("at", events[i].time);
    event.end();
  }
  out += ']';
}

void add_outcome(Object& object, const Hit& hit) {
  if (hit.action) object.text("action", event::to_text(*hit.action));
  if (hit.score) object.number("score", *hit.score);
}

constexpr char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    const std::size_t present = bytes.size() - i < 3 ? bytes.size() - i : 3;
    for (std::size_t j = 0; j < 4; ++j) out += j <= present ? base64_digits[(group >> (18U - 6U * j)) & 63U] : '=';
  }
}

unsigned hex_digit(char c) {
  return c <= '9' ? static_cast<unsigned>(c - '0') : static_cast<unsigned>((c | 0x20) - 'a') + 10U;
}

/// What append_json_string wrote, read back; other JSON (numbers, objects) as it stands. Knows only the escapes of that
/// writer.
std::string plain_text(std::string_view json) {
  if (json.size() < 2 || json.front() != '"') return std::string(json);
  json = json.substr(1, json.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] != '\\' || i + 1 == json.size()) {
      text += json[i];
      continue;
    }
    switch (json[++i]) {
      case 'n': text += '\n'; break;
      case 'r': text += '\r'; break;
      case 't': text += '\t'; break;
      case 'u':
        if (json.size() - i > 4) {
          text += static_cast<char>((hex_digit(json[i + 3]) << 4U) | hex_digit(json[i + 4]));
          i += 4;
        }
        break;
      default: text += json[i];
    }
  }
  return text;
}

std::string key_text(std::span<const NamedValue> key, std::span<const BoundEvent> events) {
  if (!key.empty()) return plain_text(key.front().shown());
  return events.empty() ? std::string() : events.front().id;
}

}  // namespace

std::string hit_record(const Hit& hit, const AlertOutcome& outcome, std::string_view ruleset) {
  const RuleInfo& rule = *hit.rule;
  std::string out;
  Object object(out);
  object.id("id", hit.id);
  object.text("rule", rule.name);
  object.id("revision", rule.revision);
  object.time("at", hit.at);
  if (hit.deadline) object.time("deadline", *hit.deadline);
  add_values(object, "key", hit.key);
  add_events(object, hit.events);
  add_values(object, "values", hit.values);
  object.text_if("because", hit.because);
  object.text("severity", event::to_text(rule.severity));
  add_outcome(object, hit);
  object.boolean("shadow", hit.shadow);
  object.boolean("truncated", hit.truncated);
  switch (outcome.kind) {
    case AlertOutcome::Kind::none: break;
    case AlertOutcome::Kind::made:
    case AlertOutcome::Kind::held:
    case AlertOutcome::Kind::suppressed: object.id("alert", outcome.alert); break;
    case AlertOutcome::Kind::folded:
    case AlertOutcome::Kind::reopened:
      object.id("alert", outcome.alert);
      object.boolean("folded", true);
      break;
  }
  object.text("ruleset", ruleset);
  object.end();
  return out;
}

std::string alert_body(const Hit& hit) {
  const RuleInfo& rule = *hit.rule;
  std::string out;
  Object object(out);
  object.id("id", hit.id);
  object.text("rule", rule.name);
  object.id("revision", rule.revision);
  object.text_if("title", rule.title);
  object.text("severity", event::to_text(rule.severity));
  std::string& tags = object.member("tags");
  tags += '[';
  for (std::size_t i = 0; i < rule.tags.size(); ++i) {
    if (i > 0) tags += ',';
    event::append_json_string(tags, rule.tags[i]);
  }
  tags += ']';
  object.text_if("owner", rule.owner);
  object.text_if("runbook", rule.runbook);
  object.time("at", hit.at);
  add_values(object, "key", alert_key(hit));
  add_events(object, hit.events);
  add_values(object, "values", hit.values);
  object.text_if("because", hit.because);
  add_outcome(object, hit);
  object.boolean("truncated", hit.truncated);
  return out;
}

namespace {

void append_text(std::string& out, std::string_view name, std::string_view value) {
  out += ",\"";
  out += name;
  out += "\":";
  event::append_json_string(out, value);
}

}  // namespace

std::string alert_record(const Hit& hit, const AlertOutcome& outcome, std::string_view ruleset) {
  std::string out;
  switch (outcome.kind) {
    case AlertOutcome::Kind::none:
    case AlertOutcome::Kind::folded:
    case AlertOutcome::Kind::made:
      out = alert_body(hit);
      append_text(out, "ruleset", ruleset);
      append_text(out, "state", "open");
      break;
    case AlertOutcome::Kind::held:
      out = alert_body(hit);
      append_text(out, "ruleset", ruleset);
      append_text(out, "state", "held");
      append_text(out, "held_until", to_text(outcome.held_until));
      break;
    case AlertOutcome::Kind::suppressed:
      out = alert_body(hit);
      append_text(out, "ruleset", ruleset);
      append_text(out, "state", "suppressed");
      append_text(out, "by", outcome.by);
      break;
    case AlertOutcome::Kind::reopened: {
      Object object(out);
      object.id("id", outcome.alert);
      object.text("rule", hit.rule->name);
      add_values(object, "key", alert_key(hit));
      object.text("ruleset", ruleset);
      object.text("state", "open");
      object.time("reopened", hit.at);
      object.number("folded", outcome.folded_count);
      break;
    }
  }
  return out + "}";
}

std::string alert_record(const AlertChange& change, std::string_view ruleset) {
  std::string out = change.body;
  switch (change.kind) {
    case AlertChange::Kind::opened:
      append_text(out, "ruleset", ruleset);
      append_text(out, "state", "open");
      append_text(out, "opened", to_text(change.time));
      break;
    case AlertChange::Kind::suppressed:
      append_text(out, "ruleset", ruleset);
      append_text(out, "state", "suppressed");
      append_text(out, "by", change.by);
      append_text(out, "suppressed", to_text(change.time));
      break;
    case AlertChange::Kind::resolved: {
      Object object(out);
      object.id("id", change.id);
      object.text("rule", change.rule);
      object.time("at", change.at);
      add_values(object, "key", change.key);
      object.text("ruleset", ruleset);
      object.text("state", "resolved");
      object.time("resolved", change.time);
      Object by(object.member("resolved_by"));
      by.text("type", change.by);
      by.text("id", change.by_event);
      by.end();
      object.number("folded", change.folded_count);
      break;
    }
  }
  return out + "}";
}

std::string decision_record(const Decision& decision, std::span<const Hit* const> hits, std::string_view ruleset) {
  std::string out;
  Object object(out);
  object.id("id", decision.id);
  Object event(object.member("event"));
  event.text("type", decision.event.type);
  event.text("id", decision.event.id);
  event.time("at", decision.event.time);
  event.end();
  object.text("policy", decision.policy->name);
  object.text("action", event::to_text(decision.action));
  object.number("score", decision.score);
  object.number("line", std::uint64_t{decision.line});
  std::string& also = object.member("also");
  also += '[';
  for (std::size_t i = 0; i < decision.also.size(); ++i) {
    if (i > 0) also += ',';
    also += std::to_string(decision.also[i]);
  }
  also += ']';
  if (decision.error) object.boolean("error", true);
  if (decision.limited) object.text("limited", event::to_text(*decision.limited));
  std::string& list = object.member("hits");
  list += '[';
  bool first = true;
  for (const Hit* hit : hits) {
    if (!takes_part(*hit)) continue;
    if (!first) list += ',';
    first = false;
    Object entry(list);
    entry.id("id", hit->id);
    entry.text("rule", hit->rule->name);
    add_outcome(entry, *hit);
    entry.end();
  }
  list += ']';
  object.text("reason", reason_of(decision, hits));
  object.text("ruleset", ruleset);
  object.end();
  return out;
}

std::string dead_letter_record(const DeadLetter& letter) {
  std::string out;
  Object object(out);
  object.text("reason", letter.reason);
  object.text_if("field", letter.field);
  if (letter.offset) object.number("offset", *letter.offset);
  if (event::is_utf8(letter.source)) object.text_if("source", letter.source);
  object.number("partition", std::uint64_t{letter.position.partition});
  object.number("sequence", letter.position.sequence);
  if (event::is_utf8(letter.bytes)) {
    object.text("bytes", letter.bytes);
  } else {
    std::string& bytes = object.member("bytes_base64");
    bytes += '"';
    append_base64(bytes, letter.bytes);
    bytes += '"';
  }
  object.end();
  return out;
}

std::string hit_record_key(const Hit& hit) { return key_text(hit.key, hit.events); }

std::string alert_record_key(const Hit& hit) { return key_text(alert_key(hit), hit.events); }

std::string alert_record_key(const AlertChange& change) {
  return change.record_key.empty() ? key_text(change.key, {}) : change.record_key;
}

std::string decision_record_key(const Decision& decision) { return std::string(decision.event.id); }

}  // namespace tocsin::alerts
