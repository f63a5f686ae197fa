#include "nfa/complete.h"

#include <algorithm>

namespace tocsin::nfa {
namespace {

/// The earlier first event, then the earlier second one, and so on; the same events: the earlier stages; the longer one
/// before its own beginning.
bool by_events(const Complete& a, const Complete& b) {
  for (std::size_t i = 0; i < a.taken.size() && i < b.taken.size(); ++i) {
    const auto& [x, x_stage] = a.taken[i];
    const auto& [y, y_stage] = b.taken[i];
    if (x.place() != y.place()) return x.place() < y.place();
    if (x_stage != y_stage) return x_stage < y_stage;
  }
  return a.taken.size() > b.taken.size();
}

}  // namespace

Complete complete_of(const RunSets& sets, std::span<const RunSets::Taken> taken) {
  Complete one;
  one.taken.reserve(taken.size() + 1);
  for (std::size_t i = taken.size(); i-- > 0;) one.taken.emplace_back(sets.event(taken[i].event), taken[i].stage);
  return one;
}

void put_in_order(std::vector<Complete>& matches) {
  std::sort(matches.begin(), matches.end(), by_events);
  matches.erase(std::unique(matches.begin(), matches.end()), matches.end());
}

Match match_of(const Automaton& automaton, const Complete& complete, Timestamp at, bool by_deadline) {
  Match match;
  match.places.steps.resize(automaton.stages.size());
  for (auto& parts : match.places.steps) parts.resize(1);
  for (const auto& [bound, stage] : complete.taken) match.places.steps[stage][0].push_back(bound);
  match.at = at;
  match.by_deadline = by_deadline;
  return match;
}

Place skip_to(const Automaton& automaton, const AllRule& rule, const Complete& match, Host& host) {
  const auto behind = [](Place p) { return Place{p.time, p.order + 1}; };
  switch (rule.after) {
    case AfterMatch::continue_:
    case AfterMatch::restart: return {};
    case AfterMatch::skip_to_next: return behind(match.first());
    case AfterMatch::skip_past_last: return behind(match.last());
    case AfterMatch::skip_to_first:
    case AfterMatch::skip_to_last: {
      Place to;
      for (const auto& [bound, stage] : match.taken) {
        if (stage != automaton.after_leaf) continue;
        to = bound.place();
        if (rule.after == AfterMatch::skip_to_first) break;
      }
      if (rule.after_must_be_there && (to == Place{} || to == match.first())) {
        ++host.counters.skips_missed;
        return {};
      }
      return to;
    }
  }
  return {};
}

/// Flink's skip strategies: complete matches leave in the order of their first events, each once nothing that began
/// before it lives, and take with them what may not begin after them.
void release(const Automaton& automaton, const AllRule& rule, SetsBody& body, Timestamp now, bool by_deadline,
             Host& host, std::vector<Match>& out) {
  while (!body.held.empty()) {
    if (rule.in_order && body.begun_before(body.held.front().first())) return;
    const Complete complete = std::move(body.held.front());
    body.held.erase(body.held.begin());
    Match match = match_of(automaton, complete, now, by_deadline);
    match.truncated = is_truncated(body, complete);
    if (!host.accept(match)) continue;
    out.push_back(std::move(match));
    const Place floor = skip_to(automaton, rule, complete, host);
    std::erase_if(body.held, [&](const Complete& c) { return c.first() < floor; });
    body.use_up(automaton, floor, now);
  }
}

void put_out(const Automaton& automaton, const AllRule& rule, SetsBody& body, Found& found, Timestamp now,
             bool by_deadline, Host& host, std::vector<Match>& out) {
  std::vector<Complete>& complete = found.matches;
  put_in_order(complete);
  if (found.cut) ++host.counters.every_capped;
  if (rule.after == AfterMatch::continue_) {
    for (const Complete& c : complete) {
      Match match = match_of(automaton, c, now, by_deadline);
      match.truncated = found.cut || is_truncated(body, c);
      if (host.accept(match)) out.push_back(std::move(match));
    }
    return;
  }
  // What was not looked for might have used up what begins till now.
  if (found.cut) body.lost = std::max(body.lost, Place{now, 0});
  body.held.insert(body.held.end(), std::make_move_iterator(complete.begin()), std::make_move_iterator(complete.end()));
  put_in_order(body.held);
  release(automaton, rule, body, now, by_deadline, host, out);
  // What is held perhaps for ever has the byte limit of what is begun.
  std::size_t events = 0;
  for (const Complete& c : body.held) events += c.taken.size();
  while (!body.held.empty() && events * sizeof(body.held.front().taken.front()) > host.runs_bytes) {
    ++host.counters.dropped;
    events -= body.held.front().taken.size();
    body.lost = std::max(body.lost, body.held.front().first());
    body.held.erase(body.held.begin());
  }
}

void put_out_timeouts(const Automaton& automaton, const SetsBody& body, Found& told, Timestamp now, Host& host,
                      std::vector<Match>& out) {
  put_in_order(told.matches);
  if (told.cut) ++host.counters.every_capped;
  for (const Complete& c : told.matches) {
    out.push_back(match_of(automaton, c, now, true));
    out.back().timed_out = true;
    out.back().truncated = told.cut || is_truncated(body, c);
  }
}

void put_complete(ByteWriter& out, const Complete& complete) {
  out.put_varint(complete.taken.size());
  for (const auto& [bound, stage] : complete.taken) {
    out.put_varint(bound.event);
    put_place(out, bound.place());
    out.put_varint(stage);
  }
}

bool get_complete(ByteReader& in, std::uint32_t stages, Complete& complete) {
  // A count is believed only as far as the bytes that are left could hold it.
  const std::uint64_t count = in.get_varint();
  if (in.failed() || count == 0 || count > in.remaining() / 11) return false;
  for (std::uint64_t k = 0; k < count; ++k) {
    Bound b;
    b.event = in.get_varint();
    const Place p = get_place(in);
    b.time = get_event_time(in, p.time.us);
    b.order = p.order;
    const std::uint64_t stage = in.get_varint();
    if (in.failed() || stage >= stages) return false;
    if (!complete.taken.empty() && !(complete.taken.back().first.place() < p)) return false;
    complete.taken.emplace_back(b, static_cast<std::uint32_t>(stage));
  }
  return true;
}

void put_begun(ByteWriter& out, const SetsBody& body) {
  put_place(out, body.floor);
  put_place(out, body.lost);
  body.sets.encode(out);
}

bool get_begun(ByteReader& in, std::uint32_t stages, SetsBody& body) {
  body.floor = get_place(in);
  body.lost = get_place(in);
  return !in.failed() && body.sets.decode(in, stages);
}

void put_held(ByteWriter& out, const SetsBody& body) {
  out.put_varint(body.held.size());
  for (const Complete& c : body.held) put_complete(out, c);
}

bool get_held(ByteReader& in, std::uint32_t stages, SetsBody& body) {
  const std::uint64_t count = in.get_varint();
  if (in.failed() || count > in.remaining() / 12) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    Complete& c = body.held.emplace_back();
    if (!get_complete(in, stages, c)) return false;
    if (i != 0 && c.first() < body.held[i - 1].first()) return false;
  }
  return true;
}

std::size_t bytes_of(const std::vector<Complete>& matches) {
  std::size_t all = matches.capacity() * sizeof(Complete);
  for (const Complete& c : matches) all += c.taken.capacity() * sizeof c.taken.front();
  return all;
}

}  // namespace tocsin::nfa
