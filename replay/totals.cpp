#include "replay/totals.h"

#include <algorithm>
#include <array>

#include "base/coding.h"

namespace tocsin::replay {

namespace {

using engine::Counters;

constexpr std::uint8_t version = 2;  // 1: without the last two of `named`
constexpr std::size_t named_before = 6;
constexpr std::size_t samples_max = 10;
constexpr std::array plain = {&Counters::events,     &Counters::judged,    &Counters::late,
                              &Counters::duplicates, &Counters::decisions, &Counters::truncated};
constexpr std::array named = {&Counters::hits_by_rule,       &Counters::alerts_by_rule,  &Counters::folded_by_rule,
                              &Counters::excepted_by_rule,   &Counters::bounds,          &Counters::decisions_by_action,
                              &Counters::suppressed_by_rule, &Counters::resolved_by_rule};

template <typename Map>
void add(Map& to, const Map& what) {
  for (const auto& [name, n] : what) to[name] += n;
}
template <typename Map>
void subtract(Map& from, const Map& what) {
  for (const auto& [name, n] : what) {
    const auto at = from.find(name);
    if (at == from.end()) continue;
    at->second -= std::min(n, at->second);
    if (at->second == 0) from.erase(at);
  }
}

}  // namespace

Counters sum(const Counters& a, const Counters& b) {
  Counters out = a;
  for (const auto member : plain) out.*member += b.*member;
  for (const auto member : named) add(out.*member, b.*member);
  add(out.unknown_by_rule_and_field, b.unknown_by_rule_and_field);
  for (const std::string& sample : b.duplicate_samples) out.duplicate_samples.push_back(sample);
  if (out.duplicate_samples.size() > samples_max) out.duplicate_samples.resize(samples_max);
  return out;
}

Counters difference(const Counters& a, const Counters& b) {
  Counters out = a;
  for (const auto member : plain) out.*member -= std::min(b.*member, out.*member);
  for (const auto member : named) subtract(out.*member, b.*member);
  subtract(out.unknown_by_rule_and_field, b.unknown_by_rule_and_field);
  return out;
}

std::string encode(const Counters& counters) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put_u8(version);
  for (const auto member : plain) out.put_varint(counters.*member);
  for (const auto member : named) {
    out.put_varint((counters.*member).size());
    for (const auto& [name, n] : counters.*member) {
      out.put_bytes(name);
      out.put_varint(n);
    }
  }
  out.put_varint(counters.unknown_by_rule_and_field.size());
  for (const auto& [name, n] : counters.unknown_by_rule_and_field) {
    out.put_bytes(name.first);
    out.put_bytes(name.second);
    out.put_varint(n);
  }
  out.put_varint(counters.duplicate_samples.size());
  for (const std::string& sample : counters.duplicate_samples) out.put_bytes(sample);
  return bytes;
}

Result<Counters> decode_counters(std::string_view bytes) {
  ByteReader in(bytes);
  Counters counters;
  const std::uint8_t format = in.get_u8();
  const bool known = format == version || format + 1 == version;
  for (const auto member : plain) counters.*member = in.get_varint();
  for (std::size_t m = 0; m < (format == version ? named.size() : named_before); ++m) {
    const auto member = named[m];
    const std::uint64_t size = in.get_varint();
    for (std::uint64_t i = 0; i < size && !in.failed(); ++i) {
      std::string name(in.get_bytes());
      (counters.*member)[std::move(name)] = in.get_varint();
    }
  }
  const std::uint64_t unknown = in.get_varint();
  for (std::uint64_t i = 0; i < unknown && !in.failed(); ++i) {
    std::string rule(in.get_bytes());
    std::string field(in.get_bytes());
    counters.unknown_by_rule_and_field[{std::move(rule), std::move(field)}] = in.get_varint();
  }
  const std::uint64_t samples = in.get_varint();
  for (std::uint64_t i = 0; i < samples && !in.failed(); ++i) counters.duplicate_samples.emplace_back(in.get_bytes());
  if (!known || in.failed() || !in.at_end()) {
    return Error{ErrorKind::corrupt,
                 "the counts of the replay in the store do not read; begin anew with an empty store"};
  }
  return counters;
}

}  // namespace tocsin::replay
