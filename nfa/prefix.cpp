#include "nfa/prefix.h"

#include <algorithm>
#include <bit>
#include <map>

#include "base/hash.h"
#include "nfa/exists.h"

namespace tocsin::nfa {
namespace {

bool any_next(std::span<const Program::Step> steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Program::Step& s) { return s.link == Link::next; });
}

/// The streams named in the first `steps` steps, in front of them and in `until`.
std::uint64_t streams_of(const Program& program, std::uint32_t steps) {
  std::uint64_t streams = 0;
  for (const Program::Slot& slot : program.slots) {
    if (slot.step < steps) streams |= slot.element.stream;
  }
  for (const Program::Absence& a : program.absences) {
    if (a.before < steps) streams |= a.element.stream;
  }
  // The stream of `until` has no name of its own in a program: it is what is left.
  std::uint64_t others = 0;
  for (const Program::Slot& slot : program.slots) others |= slot.element.stream;
  for (const Program::Absence& a : program.absences) others |= a.element.stream;
  return streams | (program.relevant_mask & ~others);
}

std::uint64_t bits_of(const Program::Step& step, const Program& program) {
  std::uint64_t bits = step.predicates;
  if (step.consecutive) bits |= program.slots[step.first_slot].element.stream;
  return bits;
}

/// The steps from `from` on, the `no` between them and, if a step is `next`, all that is named: what of a program is about more
/// than its steps before `from`. `to`: the steps behind it are not counted, nor what stands behind them.
std::uint64_t bits_beyond(const Program& program, std::uint32_t from, std::uint32_t to) {
  std::uint64_t bits = 0;
  for (std::uint32_t i = from; i <= to && i < program.steps.size(); ++i) bits |= bits_of(program.steps[i], program);
  for (const Program::Absence& a : program.absences) {
    if (a.before >= from && a.before <= to) bits |= a.element.predicate;
  }
  const std::span<const Program::Step> steps(program.steps);
  if (any_next(steps.subspan(from))) return bits | program.relevant_mask;
  if (any_next(steps.first(from))) bits |= program.relevant_mask & ~streams_of(program, from);
  return bits;
}

/// The step that the event behind steps [0, steps) fills, if it is not left out.
std::uint32_t next_filled(const Program& program, std::uint32_t steps) {
  std::uint32_t i = steps;
  while (program.steps[i].can_be_empty) ++i;
  return i;
}

/// Gives the bits numbers in the order in which the steps, the `no` and the `until` name them: the same ones for whatever program
/// the steps were cut from.
void renumber(Program& p) {
  std::array<std::uint8_t, 64> to{};
  std::vector<std::uint64_t> meanings;
  std::uint64_t seen = 0;
  const auto name = [&](std::uint64_t bits) {
    for (std::uint64_t left = bits & ~seen; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(left));
      to[bit] = static_cast<std::uint8_t>(meanings.size());
      meanings.push_back(p.parts.bits[bit]);
    }
    seen |= bits;
  };
  for (const Program::Slot& slot : p.slots) {
    name(slot.element.predicate);
    name(slot.element.stream);
  }
  std::stable_sort(p.absences.begin(), p.absences.end(),
                   [](const Program::Absence& a, const Program::Absence& b) { return a.before < b.before; });
  for (const Program::Absence& a : p.absences) {
    name(a.element.predicate);
    name(a.element.stream);
  }
  name(p.until);
  name(p.relevant_mask);
  const auto move = [&](std::uint64_t& bits) {
    std::uint64_t moved = 0;
    for (std::uint64_t left = bits; left != 0; left &= left - 1)
      moved |= std::uint64_t{1} << to[static_cast<std::size_t>(std::countr_zero(left))];
    bits = moved;
  };
  for (Program::Slot& slot : p.slots) {
    move(slot.element.predicate);
    move(slot.element.stream);
  }
  for (Program::Absence& a : p.absences) {
    move(a.element.predicate);
    move(a.element.stream);
  }
  for (Program::Step& s : p.steps) move(s.predicates);
  for (std::uint64_t* mask : {&p.until, &p.start_mask, &p.relevant_mask, &p.first_no_mask, &p.lonely_no_mask,
                              &p.no_until_mask, &p.aux_mask}) {
    move(*mask);
  }
  for (Program::Word& word : p.words) {
    for (std::uint64_t left = word.mask; left != 0; left &= left - 1) {
      std::uint8_t& bit = word.bit[static_cast<std::size_t>(std::countr_zero(left))];
      bit = to[bit];
    }
  }
  p.parts.bits = std::move(meanings);
}

/// The first `steps` steps of a program and one that nothing is.
Program cut(const Program& whole, std::uint32_t steps) {
  Program p;
  p.engine = whole.engine;
  p.pick = whole.pick == Pick::earliest ? Pick::earliest : Pick::nearest;
  p.after = AfterMatch::continue_;
  p.steps.assign(whole.steps.begin(), whole.steps.begin() + steps);
  const std::uint32_t slots = whole.steps[steps].first_slot;
  p.slots.assign(whole.slots.begin(), whole.slots.begin() + slots);
  Program::Step none;
  none.kind = StepKind::single;
  none.first_slot = slots;
  none.slot_count = 1;
  p.steps.push_back(none);
  p.slots.push_back({});
  p.slots.back().step = steps;
  for (const Program::Absence& a : whole.absences) {
    if (a.before < steps) p.absences.push_back(a);
  }
  // Conditions are asked when a match is looked for, and of a prefix there is none.
  for (Program::Slot& slot : p.slots) slot.element.condition_count = 0;
  for (Program::Absence& a : p.absences) a.element.condition_count = 0;
  p.backward.resize(p.steps.size());
  p.values = whole.values;
  p.parts.steps.assign(whole.parts.steps.begin(), whole.parts.steps.begin() + steps);
  p.parts.steps.push_back(0);
  p.parts.absences.assign(whole.parts.absences.begin(), whole.parts.absences.begin() + steps);
  p.parts.absences.resize(p.steps.size() + 1);
  p.parts.until = whole.parts.until;
  p.parts.bits = whole.parts.bits;
  p.parts.values = whole.parts.values;

  p.until = whole.until;
  p.first_no_mask = whole.first_no_mask;
  p.first_no_wait = whole.first_no_wait;
  p.relevant_mask = streams_of(whole, steps);
  p.no_until_mask = p.until | p.first_no_mask;
  p.aux_mask = p.until;
  std::uint64_t filled = 0;
  for (const Program::Step& s : p.steps) {
    if (s.can_be_first) p.start_mask |= s.predicates;
    if (s.consecutive) p.aux_mask |= bits_of(s, p);
    filled |= s.predicates;
  }
  for (const Program::Absence& a : p.absences) {
    if (a.before == 0) continue;
    p.no_until_mask |= a.element.predicate;
    p.aux_mask |= a.element.predicate;
  }
  if (any_next(p.steps)) p.aux_mask |= p.relevant_mask;
  p.lonely_no_mask = p.first_no_mask & ~filled & ~p.aux_mask;
  const std::uint64_t wanted = filled | p.aux_mask | p.first_no_mask;
  for (Program::Word word : whole.words) {
    for (std::uint64_t left = word.mask; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(left));
      if ((wanted >> word.bit[bit] & 1U) == 0) word.mask &= ~(std::uint64_t{1} << bit);
    }
    if (word.mask != 0) p.words.push_back(word);
  }
  renumber(p);
  p.reason = "the steps in common of several programs";
  return p;
}

/// All bits that events kept for the program may have.
std::uint64_t bits_named(const Program& program) {
  std::uint64_t bits = 0;
  for (const Program::Word& word : program.words) {
    for (std::uint64_t left = word.mask; left != 0; left &= left - 1) {
      bits |= std::uint64_t{1} << word.bit[static_cast<std::size_t>(std::countr_zero(left))];
    }
  }
  return bits;
}

constexpr std::uint8_t no_bit = 255;

/// Which bits of the member those of the prefix are.
std::vector<std::uint8_t> bits_in(const Program& member, const Program& prefix) {
  std::vector<std::uint8_t> to(64, no_bit);
  const std::uint64_t named = bits_named(member);
  bool same = true;
  for (std::uint64_t left = bits_named(prefix); left != 0; left &= left - 1) {
    const auto bit = static_cast<std::size_t>(std::countr_zero(left));
    const auto at = std::find(member.parts.bits.begin(), member.parts.bits.end(), prefix.parts.bits[bit]);
    const auto own = static_cast<std::size_t>(at - member.parts.bits.begin());
    if (at != member.parts.bits.end() && (named >> own & 1U) != 0) to[bit] = static_cast<std::uint8_t>(own);
    same = same && to[bit] == bit;
  }
  if (same) to.clear();
  return to;
}

std::uint64_t own_bits_of(const Prefix::Member& member, std::uint64_t bits) {
  if (member.bits.empty()) return bits;
  std::uint64_t own = bits & Kept::late_bit;
  for (std::uint64_t left = bits & ~Kept::late_bit; left != 0; left &= left - 1) {
    const std::uint8_t to = member.bits[static_cast<std::size_t>(std::countr_zero(left))];
    if (to != no_bit) own |= std::uint64_t{1} << to;
  }
  return own;
}

/// The beginning of what would be complete with the steps in common, the newest one; Place{} if there is none.
Place newest_complete(const Program& prefix, const RunsBody& begun) {
  std::size_t step = prefix.steps.size() - 1;
  if (begun.engine == Engine::exists) {
    const auto& body = static_cast<const ExistsBody&>(begun);
    return body.reached < step ? Place{} : body.chains.of(step - 1)->place();
  }
  const auto& body = static_cast<const Body&>(begun);
  Place newest;
  while (step-- > 0) {
    newest = std::max(newest, body.reach[step]);
    if (!prefix.steps[step].can_be_empty) break;
  }
  return newest;
}

bool in_horizon(const Program& program, Timestamp start, Timestamp now) {
  return program.horizon == Program::unbounded || start > now - Duration{program.horizon};
}

std::unique_ptr<RunsBody> join_chains(const Program& program, std::uint32_t steps, const ExistsBody& from, Place floor,
                                      Timestamp now) {
  auto body = std::make_unique<ExistsBody>(program);
  body->floor = floor;
  body->lost_until = from.lost_until;
  body->largest_event = from.largest_event;
  body->counted = from.counted;
  const std::uint32_t reached = std::min(steps, from.reached);
  body->chains.reach(reached);
  for (std::uint32_t i = 0; i < reached; ++i) {
    const Bound* chain = from.chains.of(i);
    if (chain->place() < floor || !in_horizon(program, chain->time, now)) break;
    std::copy_n(chain, i + 1, body->chains.of(i));
    body->reached = i + 1;
  }
  return body;
}

std::unique_ptr<RunsBody> join_kept(const Prefix::Member& member, const Program& program, const Body& from, Place floor,
                                    Timestamp now) {
  auto body = std::make_unique<Body>();
  body->floor = floor;
  body->lost = from.lost;
  body->event_bytes = Body::uncounted;
  body->reach.resize(program.steps.size());
  for (std::uint32_t i = 0; i < program.common_steps; ++i) {
    if (!(from.reach[i] < floor)) body->reach[i] = from.reach[i];
  }
  if (!(from.newest_start < floor)) body->newest_start = from.newest_start;
  // What is too old for any beginning and for a first `no` before it stays behind.
  auto at = from.kept.begin() + static_cast<std::ptrdiff_t>(from.head);
  if (program.horizon != Program::unbounded) {
    const Timestamp window = now - Duration{program.horizon} - Duration{program.first_no_wait};
    at = std::partition_point(at, from.kept.end(), [&](const Kept& k) { return Timestamp{k.time} < window; });
  }
  const std::size_t width = program.values.size();
  for (; at != from.kept.end(); ++at) {
    Kept k = *at;
    k.bits = own_bits_of(member, k.bits);
    if (k.place() < floor) k.bits &= program.first_no_mask | Kept::late_bit;
    if ((k.bits & ~Kept::late_bit) == 0) continue;
    if ((k.bits & program.beyond_mask) != 0) body->newest_beyond = k.place();
    body->late_count += k.late() ? 1U : 0U;
    body->kept.push_back(k);
    const auto row = from.values.begin() + static_cast<std::ptrdiff_t>(width) * (at - from.kept.begin());
    body->values.insert(body->values.end(), row, row + static_cast<std::ptrdiff_t>(width));
  }
  return body;
}

bool knows(const Program& program, const ExistsBody& shared, const ExistsBody& own) {
  if (own.reached > program.common_steps || own.waiting_head != own.waiting.size()) return false;
  if (own.lost_until != Timestamp::min() || shared.lost_until != Timestamp::min() || own.reached > shared.reached)
    return false;
  for (std::uint32_t i = 0; i < own.reached; ++i) {
    if (!std::equal(own.chains.of(i), own.chains.of(i) + i + 1, shared.chains.of(i))) return false;
  }
  return true;
}

bool knows(const Body& shared, const Body& own) {
  if (!own.pending.empty() || own.lost != Place{} || shared.lost != Place{}) return false;
  if (own.head == own.kept.size()) return true;
  const Place oldest = own.kept[own.head].place();
  if (own.newest_beyond >= oldest) return false;
  return shared.head != shared.kept.size() && shared.kept[shared.head].place() <= oldest;
}

Place floor_of(const RunsBody& body) {
  return body.engine == Engine::exists ? static_cast<const ExistsBody&>(body).floor
                                       : static_cast<const Body&>(body).floor;
}

/// What begins at or after it is all that there is.
Place oldest_start(const RunsBody& begun) {
  if (begun.engine == Engine::exists) {
    const auto& body = static_cast<const ExistsBody&>(begun);
    return body.reached == 0 ? Place{} : body.chains.of(body.reached - 1)->place();
  }
  const auto& body = static_cast<const Body&>(begun);
  return body.head == body.kept.size() ? Place{} : body.kept[body.head].place();
}

/// What may share, by all that must be equal of its first steps.
struct Lengths {
  std::vector<std::uint64_t> meanings;  // [k - 1]: of k steps; 0: not so many
};

Lengths lengths_of(const Sharer& sharer) {
  const Program& p = *sharer.program;
  Lengths lengths;
  if (p.parts.steps.size() < 2 || p.fronts || (p.engine != Engine::exists && p.engine != Engine::search))
    return lengths;
  std::uint64_t hash = hash_mix(static_cast<std::uint64_t>(p.engine), p.parts.until);
  // With `pick earliest` a limit drops the newest: a member with a short window would lose what a longer one is full of.
  hash = hash_mix(hash, p.pick == Pick::earliest ? static_cast<std::uint64_t>(p.horizon) : 0);
  for (const std::uint64_t value : p.parts.values) hash = hash_mix(hash, value);
  for (std::uint32_t k = 1; k < p.steps.size(); ++k) {
    for (const std::uint64_t of_step : {p.parts.steps[k - 1], p.parts.absences[k - 1], sharer.context[k - 1]})
      hash = hash_mix(hash, of_step);
    lengths.meanings.push_back(p.steps[k].can_be_first ? 0 : hash);
  }
  return lengths;
}

}  // namespace

std::vector<Prefix> share_prefixes(std::span<Sharer> sharers) {
  // Longest first; of one length in the order of the programs.
  std::map<std::pair<std::size_t, std::uint64_t>, std::vector<std::uint32_t>, std::greater<>> groups;
  for (std::uint32_t i = 0; i < sharers.size(); ++i) {
    const Lengths lengths = lengths_of(sharers[i]);
    for (std::size_t k = 1; k <= lengths.meanings.size(); ++k) {
      if (lengths.meanings[k - 1] != 0) groups[{k, lengths.meanings[k - 1]}].push_back(i);
    }
  }
  std::vector<Prefix> prefixes;
  for (auto& [length, group] : groups) {
    std::erase_if(group, [&](std::uint32_t i) { return sharers[i].program->common_steps != 0; });
    if (group.size() < 2) continue;
    const auto steps = static_cast<std::uint32_t>(length.first);
    Prefix& prefix = prefixes.emplace_back();
    prefix.program = cut(*sharers[group.front()].program, steps);
    prefix.meaning = length.second;
    prefix.steps = steps;
    prefix.has_next = any_next(prefix.program.steps);
    prefix.program.horizon = 0;
    std::uint64_t fingerprint = length.second;
    for (const std::uint32_t i : group) {
      Program& program = *sharers[i].program;
      program.common_steps = steps;
      program.beyond_mask = bits_beyond(program, steps, static_cast<std::uint32_t>(program.steps.size()));
      prefix.program.horizon = std::max(prefix.program.horizon, program.horizon);
      fingerprint = hash_mix(fingerprint, program.fingerprint);
      prefix.members.push_back(
          {i, bits_beyond(program, steps, next_filled(program, steps)), bits_in(program, prefix.program)});
    }
    prefix.program.window = prefix.program.horizon;
    prefix.program.members = static_cast<std::uint32_t>(group.size());
    prefix.program.fingerprint = fingerprint;
  }
  return prefixes;
}

std::size_t PrefixBody::bytes() const {
  return sizeof(PrefixBody) + begun.bytes() + used_up.capacity() * sizeof(UsedUp);
}

std::optional<Timestamp> PrefixBody::expires_at(const Program& program) const {
  return nfa::expires_at(program, begun);
}

void PrefixBody::prefetch() const {
  if (begun.body != nullptr) begun.body->prefetch();
}

void PrefixBody::encode(const Program& program, ByteWriter& out) const {
  out.put_varint(used_up.size());
  for (const UsedUp& u : used_up) {
    out.put_varint(u.member);
    put_place(out, u.floor);
  }
  begun.body->encode(program, out);
}

Place PrefixBody::floor_of(std::uint32_t member) const {
  const auto at = std::lower_bound(used_up.begin(), used_up.end(), member,
                                   [](const UsedUp& u, std::uint32_t wanted) { return u.member < wanted; });
  return at == used_up.end() || at->member != member ? Place{} : at->floor;
}

void PrefixBody::set_floor(std::uint32_t member, Place floor) {
  const bool matters = floor > oldest_start(*begun.body);
  const auto at = std::lower_bound(used_up.begin(), used_up.end(), member,
                                   [](const UsedUp& u, std::uint32_t wanted) { return u.member < wanted; });
  if (at != used_up.end() && at->member == member) {
    if (matters) {
      at->floor = floor;
    } else {
      used_up.erase(at);
    }
  } else if (matters) {
    used_up.insert(at, {member, floor});
  }
}

bool prefix_step(const Prefix& prefix, Runs& shared, const Occurrence& o, Host& host) {
  std::vector<Match> none;
  if (shared.body == nullptr) {
    Runs begun;
    const bool kept = step(prefix.program, begun, o, host, none);
    if (begun.body == nullptr) return false;
    auto body = std::make_unique<PrefixBody>(prefix.program.engine);
    body->begun = std::move(begun);
    shared.body = std::move(body);
    return kept;
  }
  auto& body = static_cast<PrefixBody&>(*shared.body);
  const bool kept = step(prefix.program, body.begun, o, host, none);
  if (body.begun.body == nullptr) {
    shared.body = nullptr;
    return false;
  }
  if (!body.used_up.empty()) {
    const Place oldest = oldest_start(*body.begun.body);
    std::erase_if(body.used_up, [&](const PrefixBody::UsedUp& u) { return u.floor <= oldest; });
  }
  return kept;
}

void join_all(const Prefix& prefix, std::uint32_t member, const Program& program, const Runs& shared, Runs& own,
              Timestamp now) {
  const auto& body = static_cast<const PrefixBody&>(*shared.body);
  const Place floor = body.floor_of(member);
  if (prefix.program.engine == Engine::exists) {
    own.body = join_chains(program, prefix.steps, static_cast<const ExistsBody&>(*body.begun.body), floor, now);
  } else {
    own.body = join_kept(prefix.members[member], program, static_cast<const Body&>(*body.begun.body), floor, now);
  }
}

bool join(const Prefix& prefix, std::uint32_t member, const Program& program, const Runs& shared, Runs& own,
          const Occurrence& o, Timestamp now) {
  if (shared.body == nullptr) return false;
  std::uint64_t bits = own_bits(program, *o.bits) & prefix.members[member].wakes;
  if (o.late) bits &= program.no_until_mask;
  if (bits == 0) return false;
  const auto& body = static_cast<const PrefixBody&>(*shared.body);
  if (!prefix.has_next) {
    const Place newest = newest_complete(prefix.program, *body.begun.body);
    if (newest == Place{} || newest < body.floor_of(member) || !in_horizon(program, newest.time, now)) return false;
  }
  join_all(prefix, member, program, shared, own, now);
  return true;
}

void rest(std::uint32_t member, const Program& program, Runs* shared, Runs& own, bool is_over) {
  if (own.body == nullptr) return;
  auto* body = shared == nullptr ? nullptr : static_cast<PrefixBody*>(shared->body.get());
  if (!is_over && !own.body->empty()) {
    if (body == nullptr) return;
    const RunsBody& begun = *body->begun.body;
    const bool known =
        begun.engine == Engine::exists
            ? knows(program, static_cast<const ExistsBody&>(begun), static_cast<const ExistsBody&>(*own.body))
            : knows(static_cast<const Body&>(begun), static_cast<const Body&>(*own.body));
    if (!known) return;
  }
  if (body != nullptr) body->set_floor(member, floor_of(*own.body));
  own.body = nullptr;
}

void note_beyond(const Program& program, Runs& own) {
  if (own.body == nullptr || program.engine != Engine::search) return;
  auto& body = static_cast<Body&>(*own.body);
  body.newest_beyond = Place{};
  for (std::size_t i = body.head; i < body.kept.size(); ++i) {
    if ((body.kept[i].bits & program.beyond_mask) != 0) body.newest_beyond = body.kept[i].place();
  }
}

Place end_of(const Prefix& prefix, const Runs& shared) {
  const RunsBody& begun = *static_cast<const PrefixBody&>(*shared.body).begun.body;
  Place newest;
  if (prefix.program.engine == Engine::exists) {
    const auto& body = static_cast<const ExistsBody&>(begun);
    if (body.reached != 0) newest = body.chains.of(0)->place();
  } else if (const auto& body = static_cast<const Body&>(begun); body.head != body.kept.size()) {
    newest = body.kept.back().place();
  }
  return {newest.time, newest.order + 1};
}

std::unique_ptr<RunsBody> decode_prefix(const Program& program, ByteReader& in) {
  auto body = std::make_unique<PrefixBody>(program.engine);
  const std::uint64_t count = in.get_varint();
  if (in.failed() || count > program.members) return nullptr;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t member = in.get_varint();
    if (in.failed() || member >= program.members) return nullptr;
    PrefixBody::UsedUp u{static_cast<std::uint32_t>(member), get_place(in)};
    if (!body->used_up.empty() && body->used_up.back().member >= u.member) return nullptr;
    body->used_up.push_back(u);
  }
  body->begun.body = decode_body(program, in);
  if (body->begun.body == nullptr) return nullptr;
  return body;
}

}  // namespace tocsin::nfa
