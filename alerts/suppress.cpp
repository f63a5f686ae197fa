#include "alerts/suppress.h"

#include "base/coding.h"

namespace tocsin::alerts {

namespace {

constexpr std::uint8_t open_alert_format = 1;

// Names of the key's parts are in it: after a reload with another `by` nothing is folded by mistake.
std::string encode_key(std::string_view rule, const std::vector<NamedValue>& once_key) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_bytes(rule);
  out.put_varint(once_key.size());
  for (const NamedValue& part : once_key) {
    out.put_bytes(part.name);
    out.put_bytes(part.json);
  }
  return bytes;
}

bool is_key(std::string_view bytes) {
  ByteReader in(bytes);
  in.get_bytes();
  const std::uint64_t parts = in.get_varint();
  for (std::uint64_t i = 0; i < parts && !in.failed(); ++i) {
    in.get_bytes();
    in.get_bytes();
  }
  return !in.failed() && in.at_end();
}

std::string encode_value(const OpenAlert& alert) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(open_alert_format);
  out.put_u64(alert.id.high);
  out.put_u64(alert.id.low);
  out.put_i64(alert.at.us);
  out.put_i64(alert.until.us);
  out.put_varint(alert.folded_count);
  return bytes;
}

std::optional<OpenAlert> decode_value(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.get_u8() != open_alert_format) return std::nullopt;
  OpenAlert alert;
  alert.id.high = in.get_u64();
  alert.id.low = in.get_u64();
  alert.at.us = in.get_i64();
  alert.until.us = in.get_i64();
  alert.folded_count = in.get_varint();
  if (in.failed() || !in.at_end() || alert.until < alert.at) return std::nullopt;
  return alert;
}

}  // namespace

AlertOutcome AlertBook::take(const Hit& hit) {
  using Kind = AlertOutcome::Kind;
  // Before anything else, so that what counts against the limit does not depend on when others call expire().
  expire(hit.at);
  const RuleInfo& rule = *hit.rule;
  if (hit.shadow || rule.severity == event::Severity::info) return {};
  if (!rule.once_per || !hit.once_key) return {Kind::made, hit.id};
  std::string key = encode_key(rule.name, *hit.once_key);
  if (const auto found = open_.find(key); found != open_.end()) {
    OpenAlert& alert = found->second.alert;
    ++alert.folded_count;
    changed_.insert(std::move(key));
    return {Kind::folded, alert.id};
  }
  const Timestamp until = hit.at + *rule.once_per;
  if (until <= hit.at) return {Kind::made, hit.id};
  if (open_.size() >= open_limit_) {
    ++span_refused_count_;
    return {Kind::made, hit.id};
  }
  // Changed already though it is not open: its end is not written yet, so the store still knows the alert before.
  const bool stored = !changed_.insert(key).second;
  put(std::move(key), {hit.id, hit.at, until, 0}, stored);
  return {Kind::made, hit.id};
}

void AlertBook::expire(Timestamp now) {
  while (!ends_.empty() && ends_.begin()->first <= now) erase(open_.find(ends_.begin()->second));
}

const OpenAlert* AlertBook::find(std::string_view rule, const std::vector<NamedValue>& once_key) const {
  const auto found = open_.find(encode_key(rule, once_key));
  return found == open_.end() ? nullptr : &found->second.alert;
}

void AlertBook::put(std::string key, const OpenAlert& alert, bool stored) {
  const auto [entry, added] = open_.insert({std::move(key), Entry{alert, stored}});
  if (!added) {
    ends_.erase({entry->second.alert.until, entry->first});
    entry->second = {alert, stored};
  }
  ends_.insert({alert.until, entry->first});
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

std::vector<AlertBook::Change> AlertBook::take_changes() {
  std::vector<Change> changes;
  changes.reserve(changed_.size());
  for (const std::string& key : changed_) {
    const auto found = open_.find(key);
    if (found == open_.end()) {
      changes.emplace_back(key, std::nullopt);
    } else {
      found->second.stored = true;
      changes.emplace_back(key, encode_value(found->second.alert));
    }
  }
  changed_.clear();
  return changes;
}

Status AlertBook::restore(std::string_view key, std::string_view value) {
  const std::optional<OpenAlert> alert = decode_value(value);
  if (!alert || !is_key(key)) return Error{ErrorKind::corrupt, "an open alert in the store does not read back"};
  put(std::string(key), *alert, true);
  return {};
}

}  // namespace tocsin::alerts
