// Begun matches read from bytes, for each engine. Bytes that are refused must be refused without harm; bytes that are taken
// must encode to bytes that read back to the same, what was read must run on, and what a changed program takes over of it must
// read back too. The first byte chooses the program.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "nfa/carry.h"
#include "nfa/prefix.h"
#include "nfa/step.h"

namespace {

using namespace tocsin;
using namespace tocsin::nfa;

Element one(std::uint32_t i) { return {PredicateId{i}, PredicateId{i}, {}}; }

Pattern steps(std::uint32_t count) {
  Pattern p;
  for (std::uint32_t i = 0; i < count; ++i) {
    nfa::Step s;
    s.parts.push_back({one(i), false, {}});
    p.steps.push_back(s);
  }
  p.within = Duration{100};
  return p;
}

/// Of three steps: equal values throughout or only of the first two, a comparison with the first, a wait at the end.
Pattern compared(bool equal_to_the_end, bool compares) {
  Pattern p = steps(3);
  const auto add = [&](std::size_t step, Condition::Op op, std::uint32_t earlier, ValueId value) {
    p.steps[step].parts[0].element.conditions.push_back(compare(value, op, earlier, value));
  };
  add(1, Condition::Op::equal, 0, ValueId{0});
  if (equal_to_the_end) add(2, Condition::Op::equal, 0, ValueId{0});
  if (compares) add(2, Condition::Op::greater, 0, ValueId{1});
  Absence final;
  final.before = 3;
  final.element = one(4);
  final.wait = Duration{50};
  p.absences.push_back(final);
  p.until = one(3);
  return p;
}

Pattern waiting(std::int64_t window) {
  Pattern p = steps(2);
  p.within = Duration{window};
  p.until = one(3);
  Absence final;
  final.before = 2;
  final.element = one(2);
  final.wait = Duration{50};
  p.absences.push_back(final);
  return p;
}

Pattern stages(std::uint32_t count) {
  Pattern p;
  p.semantics = Semantics::derivations;
  p.after = AfterMatch::continue_;
  for (std::uint32_t i = 0; i < count; ++i) {
    Stage s;
    s.name = "s" + std::to_string(i);
    s.where = one(i);
    s.link = i % 2 == 0 ? Contiguity::any : Contiguity::relaxed;
    if (i == 1) s.max = 0;
    p.stages.push_back(s);
  }
  p.within = Duration{100};
  return p;
}

std::vector<Program> programs() {
  std::vector<Program> all;
  const auto add = [&](const Pattern& p, Engine engine) {
    auto program = compile(p, {}, {false, engine});
    TOCSIN_CHECK(program.ok());
    all.push_back(program.take());
  };
  for (const Engine engine : {Engine::search, Engine::exists}) {
    add(steps(3), engine);
    add(waiting(100), engine);
  }
  for (const Engine engine : {Engine::all, Engine::runs}) {
    add(stages(3), engine);
    Pattern held = stages(3);
    held.after = AfterMatch::skip_past_last;
    held.tells_timeouts = true;
    add(held, engine);
  }
  for (const Engine engine : {Engine::search, Engine::exists}) {
    add(compared(true, true), engine);
    add(compared(false, false), engine);
  }
  // Changes of the first ones: another last step; a narrower window and a further step; a narrower window alone.
  for (const Engine engine : {Engine::search, Engine::exists}) {
    Pattern changed = steps(2);
    changed.steps.push_back(steps(4).steps[3]);
    add(changed, engine);
    changed.within = Duration{20};
    changed.steps.push_back(steps(1).steps[0]);
    add(changed, engine);
    add(waiting(20), engine);
  }
  // Clocks: a gap that is told; a group with a window and a wait of its own beyond that of the whole.
  Pattern gap = stages(3);
  gap.stages[1].max = 1;
  gap.stages[1].within_previous = Duration{30};
  gap.tells_timeouts = true;
  add(gap, Engine::all);
  Pattern group = stages(3);
  Stage both;
  both.kind = StageKind::group;
  both.stages = {group.stages[0], group.stages[1]};
  both.within = Duration{40};
  Stage never = group.stages[2];
  never.kind = StageKind::not_followed_by;
  never.wait = Duration{200};
  group.stages = {both, never};
  add(group, Engine::all);
  return all;
}

/// Two sequences that begin alike, and their beginning, of each engine that shares it.
struct Shared {
  std::vector<Program> members;
  std::vector<Prefix> prefixes;
};

std::vector<Shared> shared() {
  std::vector<Shared> all(2);
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<Sharer> sharers;
    all[i].members.reserve(2);
    for (const std::int64_t window : {100, 20}) {
      Pattern p = waiting(window);
      p.steps = steps(3).steps;
      p.absences[0].before = 3;
      if (window == 20) std::swap(p.steps[2].parts[0].element, p.absences[0].element);
      auto program = compile(p, {}, {false, i == 0 ? Engine::search : Engine::exists});
      TOCSIN_CHECK(program.ok());
      sharers.push_back({&all[i].members.emplace_back(program.take()), std::vector<std::uint64_t>(3, 0)});
    }
    all[i].prefixes = share_prefixes(sharers);
    TOCSIN_CHECK(all[i].prefixes.size() == 1);
  }
  return all;
}

class Curt final : public Host {
 public:
  bool guard(GuardId, const Binding&) override { return true; }
  bool accept(const Match&) override { return false; }
};

}  // namespace

namespace {

/// What read as the bytes of a beginning: everybody takes it over, and it runs on.
void run_on(const Shared& family, Runs& runs) {
  const Prefix& prefix = family.prefixes.front();
  Curt host;
  std::vector<Match> out;
  const Timestamp far{std::int64_t{1} << 60U};
  (void)end_of(prefix, runs);
  PredicateBits bits(8);
  for (std::uint32_t i = 0; i < 4; ++i) bits.set(PredicateId{i});
  const Occurrence all_at_once{1, 1, far, false, &bits, {}};
  for (std::uint32_t m = 0; m < prefix.members.size(); ++m) {
    const Program& program = family.members[prefix.members[m].program];
    Runs own;
    join_all(prefix, m, program, runs, own, Timestamp{50});
    std::string bytes;
    encode(program, own, bytes);
    TOCSIN_CHECK(decode(program, bytes).has_value());
    step(program, own, all_at_once, host, out);
    rest(m, program, &runs, own);
    advance(program, own, far + Duration{1000}, host, out);
  }
  prefix_step(prefix, runs, all_at_once, host);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Program> all = programs();
  static const std::vector<Shared> families = shared();
  if (size == 0 || size > 4096) return 0;
  const std::size_t chosen = data[0] % (all.size() + families.size());
  const bool is_shared = chosen >= all.size();
  const Program& program = is_shared ? families[chosen - all.size()].prefixes.front().program : all[chosen];
  // The fingerprint stands in the bytes; here it is put in, so that what follows is reached.
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  for (std::size_t i = 0; i < 8 && i + 1 < bytes.size(); ++i) {
    bytes[i + 1] = static_cast<char>(program.fingerprint >> (8 * i));
  }
  std::optional<Runs> runs = decode(program, bytes);
  if (!runs) return 0;
  std::string first, second;
  encode(program, *runs, first);
  const std::optional<Runs> again = decode(program, first);
  TOCSIN_CHECK(again.has_value());
  encode(program, *again, second);
  TOCSIN_CHECK(first == second);
  if (is_shared) {
    if (runs->body != nullptr) run_on(families[chosen - all.size()], *runs);
    return 0;
  }
  Curt host;
  std::vector<Match> out;
  const Timestamp far{std::int64_t{1} << 60U};
  (void)next_deadline(*runs);
  (void)oldest_needed(*runs);
  (void)expires_at(program, *runs);
  for (const Program& to : all) {
    if (to.fingerprint == program.fingerprint) continue;
    const Carried carried = what_carries(program, to);
    if (carried.steps == 0) continue;
    const Timestamp now{static_cast<std::int64_t>(size)};
    Runs next = carry(program, std::move(*decode(program, first)), to, carried, now);
    std::string taken;
    encode(to, next, taken);
    TOCSIN_CHECK(decode(to, taken).has_value());
    advance(to, next, far, host, out);
  }
  // A few joins of sets stand for more partial matches than there is time to tell of.
  if (program.engine != Engine::all) advance(program, *runs, far, host, out);
  (void)expires_at(program, *runs);
  return 0;
}
