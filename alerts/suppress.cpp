#include "alerts/suppress.h"

#include <algorithm>

#include "alerts/record.h"
#include "base/coding.h"

namespace tocsin::alerts {

namespace {

constexpr std::uint8_t span_format = 2;  // 1: without state, and its key without the kind in front
constexpr std::uint8_t span_format_before = 1;
constexpr std::uint8_t held_format = 1;
constexpr std::uint8_t sight_format = 1;
constexpr char span_kind = 's';
constexpr char held_kind = 'h';
constexpr char sight_kind = 'a';

// Names of the key's parts are in it: after a reload with another `by` nothing is folded by mistake.
std::string span_key(std::string_view rule, std::span<const NamedValue> key) {
  std::string bytes(1, span_kind);
  ByteWriter out(bytes);
  out.put_bytes(rule);
  out.put_varint(key.size());
  for (const NamedValue& part : key) {
    out.put_bytes(part.name);
    out.put_bytes(part.json);
  }
  return bytes;
}

bool is_span_key(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.get_u8() != static_cast<std::uint8_t>(span_kind)) return false;
  in.get_bytes();
  const std::uint64_t parts = in.get_varint();
  for (std::uint64_t i = 0; i < parts && !in.failed(); ++i) {
    in.get_bytes();
    in.get_bytes();
  }
  return !in.failed() && in.at_end();
}

std::string held_key(Digest id) {
  std::string bytes(1, held_kind);
  ByteWriter out(bytes);
  out.put_u64(id.high);
  out.put_u64(id.low);
  return bytes;
}

std::string sight_key(std::string_view clause, std::string_view key) {
  std::string bytes(1, sight_kind);
  ByteWriter out(bytes);
  out.put_bytes(clause);
  out.put_bytes(key);
  return bytes;
}

void put_texts(ByteWriter& out, const std::vector<std::string>& texts) {
  out.put_varint(texts.size());
  for (const std::string& text : texts) out.put_bytes(text);
}

std::vector<std::string> get_texts(ByteReader& in) {
  std::vector<std::string> texts;
  const std::uint64_t count = in.get_varint();
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) texts.emplace_back(in.get_bytes());
  return texts;
}

std::string encode_span(const OpenAlert& alert) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(span_format);
  out.put_u64(alert.id.high);
  out.put_u64(alert.id.low);
  out.put_i64(alert.at.us);
  out.put_i64(alert.until.us);
  out.put_varint(alert.folded_count);
  out.put_u8(static_cast<std::uint8_t>(alert.state));
  out.put_u8(alert.by_event ? 1 : 0);
  put_texts(out, alert.sights);
  return bytes;
}

std::optional<OpenAlert> decode_span(std::string_view bytes) {
  ByteReader in(bytes);
  const std::uint8_t format = in.get_u8();
  if (format != span_format && format != span_format_before) return std::nullopt;
  OpenAlert alert;
  alert.id.high = in.get_u64();
  alert.id.low = in.get_u64();
  alert.at.us = in.get_i64();
  alert.until.us = in.get_i64();
  alert.folded_count = in.get_varint();
  if (format == span_format) {
    const std::uint8_t state = in.get_u8();
    if (state > static_cast<std::uint8_t>(OpenAlert::State::resolved)) return std::nullopt;
    alert.state = static_cast<OpenAlert::State>(state);
    alert.by_event = in.get_u8() != 0;
    alert.sights = get_texts(in);
  }
  if (in.failed() || !in.at_end() || alert.until < alert.at) return std::nullopt;
  return alert;
}

/// A hit's key under clause `i` of its rule's, those by which it is suppressed first.
const std::string* same_key(const Hit& hit, std::size_t i) {
  return i < hit.same.size() && hit.same[i] ? &*hit.same[i] : nullptr;
}

}  // namespace

// ---------------------------------------------------------------- sights

AlertBook::Sight* AlertBook::sight(const std::string& key, bool create) {
  const auto found = sights_.find(key);
  if (found != sights_.end()) return &found->second;
  if (!create || sights_.size() >= open_limit_) return nullptr;
  return &sights_[key];
}

/// Puts the sight where it will be forgotten, and marks it as changed. `before`: when that was until now.
void AlertBook::settle_sight(const std::string& key, const Sight& seen, Timestamp before) {
  sight_ends_.erase({before, key});
  if (seen.unresolved == 0) sight_ends_.insert({seen.ends(), key});
  changed_.insert(key);
}

void AlertBook::begin_active(const std::vector<std::string>& sights, Timestamp until, bool by_event) {
  for (const std::string& key : sights) {
    Sight* seen = sight(key, true);
    if (seen == nullptr) continue;
    const Timestamp before = seen->ends();
    if (by_event) {
      ++seen->unresolved;
    } else {
      seen->active_until = std::max(seen->active_until, until);
    }
    settle_sight(key, *seen, before);
  }
}

void AlertBook::end_active(const std::vector<std::string>& sights) {
  for (const std::string& key : sights) {
    Sight* seen = sight(key, false);
    if (seen == nullptr || seen->unresolved == 0) continue;
    const Timestamp before = seen->ends();
    --seen->unresolved;
    settle_sight(key, *seen, before);
  }
}

void AlertBook::see_hit(const Hit& hit) {
  const RuleInfo& rule = *hit.rule;
  for (std::size_t i = 0; i < rule.suppresses.size(); ++i) {
    const std::string* same = same_key(hit, rule.suppressed_by.size() + i);
    if (same == nullptr) continue;
    const std::string key = sight_key(rule.suppresses[i], *same);
    if (Sight* seen = sight(key, true)) {
      const Timestamp before = seen->ends();
      seen->last_hit = hit.at;
      settle_sight(key, *seen, before);
    }
    const auto waiting = waiting_.find(key);
    if (waiting == waiting_.end()) continue;
    const std::set<HeldKey> all = waiting->second;
    for (const HeldKey& held_at : all) {
      const auto held = held_.find(held_at);
      if (held == held_.end()) continue;
      const auto wait = std::find_if(held->second.waits.begin(), held->second.waits.end(),
                                     [&](const Wait& w) { return w.sight == key; });
      if (wait == held->second.waits.end() || wait->until < hit.at) continue;
      AlertChange change;
      change.kind = AlertChange::Kind::suppressed;
      change.id = held->second.id;
      change.rule = held->second.rule;
      change.at = held->second.at;
      change.time = hit.at;
      change.by = rule.name;
      change.body = std::move(held->second.body);
      change.record_key = std::move(held->second.record_key);
      alert_changes_.push_back(std::move(change));
      // L5: a suppressed alert starts no span.
      if (const auto span = open_.find(held->second.span); span != open_.end()) erase(span);
      forget_held(held);
    }
  }
}

// ---------------------------------------------------------------- held alerts

void AlertBook::forget_held(std::map<HeldKey, Held>::iterator held) {
  for (const Wait& wait : held->second.waits) {
    const auto waiting = waiting_.find(wait.sight);
    if (waiting == waiting_.end()) continue;
    waiting->second.erase(held->first);
    if (waiting->second.empty()) waiting_.erase(waiting);
  }
  changed_.insert(held_key(held->second.id));
  held_.erase(held);
}

void AlertBook::advance(Timestamp now) {
  while (!held_.empty() && held_.begin()->first.first < now) {
    const auto held = held_.begin();
    AlertChange change;
    change.kind = AlertChange::Kind::opened;
    change.id = held->second.id;
    change.rule = held->second.rule;
    change.at = held->second.at;
    change.time = held->first.first;
    change.body = std::move(held->second.body);
    change.record_key = std::move(held->second.record_key);
    alert_changes_.push_back(std::move(change));
    if (const auto span = open_.find(held->second.span); span != open_.end()) {
      OpenAlert alert = span->second.alert;
      alert.state = OpenAlert::State::open;
      put(span->first, alert, span->second.stored);
      changed_.insert(span->first);
    }
    begin_active(held->second.sights, held->second.active_until, held->second.by_event);
    forget_held(held);
  }
}

// ---------------------------------------------------------------- hits and resolving events

AlertOutcome AlertBook::take(const Hit& hit) {
  using Kind = AlertOutcome::Kind;
  // Before anything else, so that what counts against the limit does not depend on when others call them.
  advance(hit.at);
  expire(hit.at);
  const RuleInfo& rule = *hit.rule;
  if (hit.shadow) return {};
  see_hit(hit);
  if (rule.severity == event::Severity::info) return {};
  std::optional<std::string> key;
  if (rule.once_per) {
    if (hit.once_key) key = span_key(rule.name, *hit.once_key);  // L6
  } else if (rule.resolves) {
    key = span_key(rule.name, hit.key);
  }
  if (key) {
    if (const auto found = open_.find(*key); found != open_.end()) {
      OpenAlert alert = found->second.alert;
      const bool reopens = alert.state == OpenAlert::State::resolved;
      ++alert.folded_count;
      if (reopens) {
        alert.state = OpenAlert::State::open;
        alert.by_event = rule.resolves;
        begin_active(alert.sights, alert.until, alert.by_event);
      }
      put(found->first, alert, found->second.stored);
      changed_.insert(*key);
      AlertOutcome outcome{reopens ? Kind::reopened : Kind::folded, alert.id};
      if (reopens) outcome.folded_count = alert.folded_count;
      return outcome;
    }
  }
  Held held;
  Timestamp held_until = hit.at;
  for (std::size_t i = 0; i < rule.suppressed_by.size(); ++i) {
    const std::string* same = same_key(hit, i);
    if (same == nullptr) continue;
    std::string seen_key = sight_key(rule.suppressed_by[i].clause, *same);
    const Sight* seen = sight(seen_key, false);
    if (seen != nullptr && (seen->last_hit >= hit.at || seen->active_until > hit.at || seen->unresolved > 0)) {
      AlertOutcome outcome{Kind::suppressed, hit.id};
      outcome.by = rule.suppressed_by[i].by;
      return outcome;
    }
    const Timestamp until = hit.at + rule.suppressed_by[i].hold;
    held_until = std::max(held_until, until);
    held.waits.push_back({std::move(seen_key), rule.suppressed_by[i].by, until});
  }
  if (held_.size() >= open_limit_) {
    ++span_refused_count_;
    held.waits.clear();
  }
  const bool waits = !held.waits.empty();
  for (std::size_t i = 0; i < rule.suppresses.size(); ++i) {
    if (const std::string* same = same_key(hit, rule.suppressed_by.size() + i))
      held.sights.push_back(sight_key(rule.suppresses[i], *same));
  }
  held.active_until = rule.once_per ? hit.at + *rule.once_per : hit.at + Duration{1};
  const Timestamp span_until = rule.once_per ? hit.at + *rule.once_per : hit.at;
  if (key && (rule.resolves || span_until > hit.at)) {
    if (open_.size() >= open_limit_) {
      ++span_refused_count_;
    } else {
      held.by_event = rule.resolves;
      OpenAlert alert{hit.id,        hit.at,     span_until, 0, waits ? OpenAlert::State::held : OpenAlert::State::open,
                      rule.resolves, held.sights};
      if (waits) held.span = *key;
      // Changed already though it is not open: its end is not written yet, so the store still knows the alert before.
      const bool stored = !changed_.insert(*key).second;
      put(std::move(*key), alert, stored);
    }
  }
  if (!waits) {
    begin_active(held.sights, held.active_until, held.by_event);
    return {Kind::made, hit.id};
  }
  held.id = hit.id;
  held.rule = rule.name;
  held.at = hit.at;
  held.body = alert_body(hit);
  held.record_key = alert_record_key(hit);
  const HeldKey place{held_until, hit.id};
  for (const Wait& wait : held.waits) waiting_[wait.sight].insert(place);
  held_.emplace(place, std::move(held));
  changed_.insert(held_key(hit.id));
  AlertOutcome outcome{Kind::held, hit.id};
  outcome.held_until = held_until;
  return outcome;
}

void AlertBook::resolve(const RuleInfo& rule, const std::vector<NamedValue>& key, Timestamp time,
                        std::string_view event_type, std::string_view event_id) {
  const auto found = open_.find(span_key(rule.name, key));
  if (found == open_.end() || found->second.alert.state == OpenAlert::State::resolved) return;
  OpenAlert alert = found->second.alert;
  AlertChange change;
  change.kind = AlertChange::Kind::resolved;
  change.id = alert.id;
  change.rule = rule.name;
  change.at = alert.at;
  change.time = time;
  change.by = event_type;
  change.by_event = event_id;
  change.key = key;
  change.folded_count = alert.folded_count;
  alert_changes_.push_back(std::move(change));
  if (alert.state == OpenAlert::State::held) {
    for (auto held = held_.begin(); held != held_.end(); ++held) {
      if (held->second.span != found->first) continue;
      forget_held(held);
      break;
    }
  } else if (alert.by_event) {
    end_active(alert.sights);
  }
  if (!rule.once_per || alert.until <= time) {
    erase(found);
    return;
  }
  alert.state = OpenAlert::State::resolved;
  put(found->first, alert, found->second.stored);
  changed_.insert(found->first);
}

void AlertBook::expire(Timestamp now) {
  while (!ends_.empty() && ends_.begin()->first <= now) erase(open_.find(ends_.begin()->second));
  while (!sight_ends_.empty() && sight_ends_.begin()->first <= now) {
    const std::string key = sight_ends_.begin()->second;
    sight_ends_.erase(sight_ends_.begin());
    sights_.erase(key);
    changed_.insert(key);
  }
}

const OpenAlert* AlertBook::find(std::string_view rule, const std::vector<NamedValue>& once_key) const {
  const auto found = open_.find(span_key(rule, once_key));
  return found == open_.end() ? nullptr : &found->second.alert;
}

namespace {

/// Whether time ends the span: not while an event must.
bool ends_by_time(const OpenAlert& alert) { return !alert.by_event || alert.state == OpenAlert::State::resolved; }

}  // namespace

void AlertBook::put(std::string key, const OpenAlert& alert, bool stored) {
  const auto [entry, added] = open_.insert({std::move(key), Entry{alert, stored}});
  if (!added) {
    ends_.erase({entry->second.alert.until, entry->first});
    entry->second = {alert, stored};
  }
  if (ends_by_time(alert)) ends_.insert({alert.until, entry->first});
}

void AlertBook::erase(Open::iterator entry) {
  // What came and went between two checkpoints leaves no trace in the store.
  if (entry->second.stored) {
    changed_.insert(entry->first);
  } else {
    changed_.erase(entry->first);
  }
  ends_.erase({entry->second.alert.until, entry->first});
  open_.erase(entry);
}

// ---------------------------------------------------------------- store

std::string AlertBook::encode(const Held& held, Timestamp until) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(held_format);
  out.put_i64(until.us);
  out.put_bytes(held.rule);
  out.put_i64(held.at.us);
  out.put_bytes(held.span);
  out.put_varint(held.waits.size());
  for (const Wait& wait : held.waits) {
    out.put_bytes(wait.sight);
    out.put_bytes(wait.by);
    out.put_i64(wait.until.us);
  }
  put_texts(out, held.sights);
  out.put_i64(held.active_until.us);
  out.put_u8(held.by_event ? 1 : 0);
  out.put_bytes(held.body);
  out.put_bytes(held.record_key);
  return bytes;
}

std::vector<AlertBook::Change> AlertBook::take_changes() {
  std::vector<Change> changes;
  changes.reserve(changed_.size());
  std::map<std::string, std::map<HeldKey, Held>::const_iterator> held;
  for (auto at = held_.cbegin(); at != held_.cend(); ++at) held.emplace(held_key(at->second.id), at);
  for (const std::string& key : changed_) {
    std::optional<std::string> value;
    if (key.front() == span_kind) {
      const auto found = open_.find(key);
      if (found != open_.end()) {
        found->second.stored = true;
        value = encode_span(found->second.alert);
      }
      changes.emplace_back(key, std::move(value));
      continue;
    }
    if (key.front() == held_kind) {
      if (const auto found = held.find(key); found != held.end())
        value = encode(found->second->second, found->second->first.first);
    } else if (const auto found = sights_.find(key); found != sights_.end()) {
      std::string bytes;
      ByteWriter out(bytes);
      out.put_u8(sight_format);
      out.put_i64(found->second.last_hit.us);
      out.put_i64(found->second.active_until.us);
      out.put_varint(found->second.unresolved);
      value = std::move(bytes);
    }
    if (value) {
      stored_.insert(key);
    } else if (stored_.erase(key) == 0) {
      continue;  // it came and went
    }
    changes.emplace_back(key, std::move(value));
  }
  changed_.clear();
  return changes;
}

Status AlertBook::restore(std::string_view key, std::string_view value) {
  const Error corrupt{ErrorKind::corrupt, "an open alert in the store does not read back"};
  ByteReader in(value);
  const std::uint8_t format = in.get_u8();
  if (in.failed() || key.empty()) return corrupt;
  if (format == span_format_before) {
    // Of an earlier format, or a held alert or sight: these have their kind in front.
    const std::string older = span_kind + std::string(key);
    const std::optional<OpenAlert> alert = decode_span(value);
    if (alert && is_span_key(older)) {
      put(older, *alert, true);
      return {};
    }
  }
  switch (key.front()) {
    case span_kind: {
      const std::optional<OpenAlert> alert = decode_span(value);
      if (!alert || format != span_format || !is_span_key(key)) return corrupt;
      put(std::string(key), *alert, true);
      return {};
    }
    case held_kind: {
      ByteReader id(key.substr(1));
      Held held;
      held.id.high = id.get_u64();
      held.id.low = id.get_u64();
      const Timestamp until{in.get_i64()};
      held.rule = in.get_bytes();
      held.at.us = in.get_i64();
      held.span = in.get_bytes();
      const std::uint64_t waits = in.get_varint();
      for (std::uint64_t i = 0; i < waits && !in.failed(); ++i) {
        Wait wait;
        wait.sight = in.get_bytes();
        wait.by = in.get_bytes();
        wait.until.us = in.get_i64();
        held.waits.push_back(std::move(wait));
      }
      held.sights = get_texts(in);
      held.active_until.us = in.get_i64();
      held.by_event = in.get_u8() != 0;
      held.body = in.get_bytes();
      held.record_key = in.get_bytes();
      if (format != held_format || in.failed() || !in.at_end() || id.failed() || !id.at_end()) return corrupt;
      const HeldKey place{until, held.id};
      for (const Wait& wait : held.waits) waiting_[wait.sight].insert(place);
      held_.insert_or_assign(place, std::move(held));
      stored_.emplace(key);
      return {};
    }
    case sight_kind: {
      Sight seen;
      seen.last_hit.us = in.get_i64();
      seen.active_until.us = in.get_i64();
      seen.unresolved = in.get_varint();
      if (format != sight_format || in.failed() || !in.at_end()) return corrupt;
      const std::string name(key);
      if (const Sight* before = sight(name, false)) sight_ends_.erase({before->ends(), name});
      sights_[name] = seen;
      if (seen.unresolved == 0) sight_ends_.insert({seen.ends(), name});
      stored_.insert(name);
      return {};
    }
    default: return corrupt;
  }
}

}  // namespace tocsin::alerts
