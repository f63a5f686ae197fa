#include "nfa/program.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "base/hash.h"
#include "nfa/exists.h"
#include "nfa/fronts.h"
#include "nfa/stage_program.h"

namespace tocsin::nfa {
namespace {

std::string step_name(std::size_t i) { return "step " + std::to_string(i + 1); }

Error refuse(std::string text) { return {ErrorKind::refused, std::move(text)}; }

/// Empty when the pattern can be compiled, else why not.
std::string why_not(const Pattern& p) {
  const auto positive = [](const std::optional<Duration>& d) { return !d || d->us > 0; };
  if (p.steps.empty()) return "a sequence needs at least one step that is not `no`";
  if (p.steps.size() > steps_max) return "a sequence has at most " + std::to_string(steps_max) + " steps";
  if (!positive(p.within)) return "`within` needs a duration above zero";
  const auto bad_conditions = [&](const Element& e, std::size_t before) -> std::string {
    for (const Condition& c : e.conditions) {
      if (c.op != Condition::Op::opaque) {
        if (c.step >= before) return "a condition refers to " + step_name(c.step) + ", which is not before it";
        if (p.steps[c.step].kind == StepKind::group) return "a condition compares with a group; only a guard can";
        if (c.part >= p.steps[c.step].parts.size()) return "a condition refers to a part that is not there";
      }
      for (const std::uint32_t s : c.steps) {
        if (s >= before) return "a guard refers to " + step_name(s) + ", which is not before it";
      }
    }
    return {};
  };
  std::size_t slots = 0;
  for (std::size_t i = 0; i < p.steps.size(); ++i) {
    const Step& s = p.steps[i];
    const std::string name = step_name(i);
    const bool many = s.kind == StepKind::all_of || s.kind == StepKind::any_of;
    slots += s.parts.size();
    if (s.parts.empty()) return name + " has no part";
    if (!many && s.parts.size() != 1) return name + " must have one part";
    if (many && s.link != Link::any) return name + ": `first` and `next` stand before single steps and groups";
    if (i == 0 && s.link != Link::any) return "the first step cannot be `first` or `next`";
    if (!positive(s.within)) return name + ": `within` needs a duration above zero";
    if (s.optional && s.kind != StepKind::single) return name + ": only a single step can be `optional`";
    if (s.consecutive && s.kind != StepKind::group) return name + ": `consecutive` needs a count";
    if (s.kind == StepKind::group && s.min == 0) return name + ": a group has at least one member";
    if (s.kind == StepKind::group && s.max != 0 && s.max < s.min) return name + ": at most is less than at least";
    if (s.kind == StepKind::any_of && (s.min == 0 || s.min > s.parts.size())) {
      return name + ": `any n of` needs n between one and the number of parts";
    }
    bool all_optional = true;
    for (const Part& part : s.parts) {
      if (!many && (part.optional || part.within)) return name + ": say `optional` and `within` on the step itself";
      if (!positive(part.within)) return name + ": `within` needs a duration above zero";
      if (i == 0 && (part.within || s.within)) return "the first step cannot have a `within` of its own";
      all_optional = all_optional && part.optional;
      if (std::string bad = bad_conditions(part.element, i); !bad.empty()) return bad;
    }
    const bool can_be_empty = s.optional || (s.kind == StepKind::all_of && all_optional);
    if (i + 1 == p.steps.size() && can_be_empty) return "the last step cannot be optional";
  }
  if (slots > slots_max) return "a sequence has at most " + std::to_string(slots_max) + " steps and parts";
  for (const Absence& a : p.absences) {
    if (a.before > p.steps.size()) return "a `no` stands behind the end";
    const bool first = a.before == 0;
    const bool final = a.before == p.steps.size();
    if ((first || final) && !a.wait) return first ? "a first `no` needs `for`" : "a final `no` needs `for`";
    if (!first && !final && a.wait) return "a `no` between two steps takes no `for`";
    if (!positive(a.wait)) return "`for` needs a duration above zero";
    if (std::string bad = bad_conditions(a.element, a.before); !bad.empty()) return bad;
    if (first && !a.element.conditions.empty()) return "a first `no` sees only its own event";
  }
  if (p.until && !p.until->conditions.empty()) return "`until` sees only its own event";
  if ((p.after == AfterMatch::skip_to_first || p.after == AfterMatch::skip_to_last) && p.after_step >= p.steps.size()) {
    return "`skip to` names a step that is not there";
  }
  return {};
}

class Compiler {
 public:
  Compiler(const Pattern& pattern, const Meanings& meanings, const Choosing& choosing)
      : pattern_(pattern), meanings_(meanings), choosing_(choosing) {}

  Result<Program> run() {
    out_.pick = pattern_.pick;
    out_.after = pattern_.after;
    out_.after_step = pattern_.after_step;
    mix(2);  // of this way to compute the fingerprint
    mix(meanings_.extra);
    mix(static_cast<std::uint64_t>(pattern_.pick));
    mix(static_cast<std::uint64_t>(pattern_.after));
    const bool skips_to_step =
        pattern_.after == AfterMatch::skip_to_first || pattern_.after == AfterMatch::skip_to_last;
    mix(skips_to_step ? pattern_.after_step : 0);
    mix_duration(pattern_.within);
    mix(pattern_.steps.size());
    for (std::size_t i = 0; i < pattern_.steps.size(); ++i) {
      part_ = 0;
      add_step(i);
      out_.parts.steps.push_back(part_);
    }
    mix(pattern_.absences.size());
    out_.parts.absences.resize(pattern_.steps.size() + 1);
    for (const Absence& a : pattern_.absences) {
      part_ = out_.parts.absences[a.before];
      add_absence(a);
      out_.parts.absences[a.before] = part_;
    }
    mix(pattern_.until.has_value());
    if (pattern_.until) {
      part_ = 0;
      out_.until = add_element(*pattern_.until).predicate;
      out_.parts.until = part_;
      out_.relevant_mask |= bit(pattern_.until->stream);
    }
    if (bits_.size() > predicates_max) {
      return refuse("a sequence names at most " + std::to_string(predicates_max) + " different streams and conditions");
    }
    if (out_.values.size() > values_max) {
      return refuse("a sequence compares at most " + std::to_string(values_max) + " different values across events");
    }
    add_masks();
    add_bounds();
    add_words();
    add_meanings();
    std::string not_exists = why_not_exists(out_, choosing_.refuses);
    Program::Fronts fronts;
    if (!not_exists.empty() && !out_.conditions.empty()) {
      not_exists = plan_fronts(out_, choosing_.refuses, fronts);
      if (not_exists.empty() && choosing_.engine.value_or(Engine::exists) == Engine::exists) out_.fronts = fronts;
    }
    out_.engine = choosing_.engine.value_or(not_exists.empty() ? Engine::exists : Engine::search);
    switch (out_.engine) {
      case Engine::exists:
        if (!not_exists.empty()) return refuse("the engine `exists` does not claim this pattern: " + not_exists);
        out_.reason = out_.fronts ? why_fronts(out_) : why_exists(out_);
        break;
      case Engine::search: out_.reason = why_search(not_exists); break;
      case Engine::all: return refuse("the engine `all` claims patterns of stages only");
      case Engine::runs:
        return refuse("the engine `runs` does not claim this pattern: it gives all matches, and one is chosen here");
    }
    // What is kept is the engine's own: bytes of one are none of the other's.
    mix(static_cast<std::uint64_t>(out_.engine));
    out_.fingerprint = hash_;
    return std::move(out_);
  }

 private:
  void mix(std::uint64_t v) {
    hash_ = hash_mix(hash_, v);
    part_ = hash_mix(part_, v);
  }
  void mix_duration(const std::optional<Duration>& d) { mix(d ? static_cast<std::uint64_t>(d->us) : 0); }
  template <typename Id>
  static std::uint64_t meaning(std::span<const std::uint64_t> of, Id id) {
    const auto i = static_cast<std::size_t>(id);
    return i < of.size() ? of[i] : i;
  }

  std::uint64_t bit(PredicateId id) {
    const auto [at, fresh] = bits_.try_emplace(id, bits_.size());
    (void)fresh;
    return std::uint64_t{1} << std::min(at->second, predicates_max);
  }
  std::uint8_t value(ValueId id) {
    const auto at = std::find(out_.values.begin(), out_.values.end(), id);
    const auto index = at - out_.values.begin();
    if (at == out_.values.end()) out_.values.push_back(id);
    return static_cast<std::uint8_t>(index);
  }

  Program::Element add_element(const Element& e) {
    Program::Element flat;
    flat.predicate = bit(e.predicate);
    flat.stream = bit(e.stream);
    flat.first_condition = static_cast<std::uint32_t>(out_.conditions.size());
    flat.condition_count = static_cast<std::uint32_t>(e.conditions.size());
    mix(meaning(meanings_.predicates, e.predicate));
    mix(meaning(meanings_.predicates, e.stream));
    mix(e.conditions.size());
    for (const Condition& c : e.conditions) {
      Program::Condition one;
      one.op = c.op;
      mix(static_cast<std::uint64_t>(c.op));
      if (c.op == Condition::Op::opaque) {
        one.guard = c.guard;
        one.first_ref = static_cast<std::uint32_t>(out_.refs.size());
        one.ref_count = static_cast<std::uint32_t>(c.steps.size());
        mix(meaning(meanings_.guards, c.guard));
        mix(c.steps.size());
        for (const std::uint32_t s : c.steps) {
          mix(s);
          out_.refs.push_back(s);
          one.deferred = one.deferred || pattern_.steps[s].kind == StepKind::group;
        }
      } else {
        one.mine = value(c.mine);
        one.theirs = value(c.theirs);
        one.slot = static_cast<std::uint8_t>(out_.steps[c.step].first_slot + c.part);
        mix(meaning(meanings_.values, c.mine));
        mix(meaning(meanings_.values, c.theirs));
        mix(c.step);
        mix(c.part);
      }
      out_.conditions.push_back(one);
    }
    return flat;
  }

  void add_step(std::size_t i) {
    const Step& s = pattern_.steps[i];
    const bool last = i + 1 == pattern_.steps.size();
    Program::Step flat;
    flat.kind = s.kind;
    flat.link = s.link;
    flat.counted = s.kind == StepKind::group;
    flat.consecutive = s.consecutive;
    flat.can_be_empty = s.optional;
    flat.keep_first = s.link == Link::first || (pattern_.pick == Pick::earliest && !last);
    flat.can_be_first = i == 0 || (out_.steps[i - 1].can_be_first && out_.steps[i - 1].can_be_empty);
    flat.first_slot = static_cast<std::uint32_t>(out_.slots.size());
    flat.slot_count = static_cast<std::uint32_t>(s.parts.size());
    flat.min = s.kind == StepKind::all_of ? 0 : s.min;
    flat.max = s.kind == StepKind::group ? s.max : 0;
    for (const std::uint64_t v : {static_cast<std::uint64_t>(s.kind), static_cast<std::uint64_t>(s.link),
                                  std::uint64_t{flat.min}, std::uint64_t{flat.max}, std::uint64_t{s.consecutive},
                                  std::uint64_t{s.optional}, static_cast<std::uint64_t>(s.parts.size())}) {
      mix(v);
    }
    mix_duration(s.within);
    bool all_optional = true;
    for (const Part& part : s.parts) {
      Program::Slot slot;
      slot.step = static_cast<std::uint32_t>(i);
      slot.optional = part.optional || s.optional || s.kind == StepKind::any_of;
      if (s.within) slot.within = s.within->us;
      if (part.within) slot.within = std::min(slot.within, part.within->us);
      mix(part.optional);
      mix_duration(part.within);
      slot.element = add_element(part.element);
      flat.predicates |= slot.element.predicate;
      out_.relevant_mask |= slot.element.stream;
      all_optional = all_optional && part.optional;
      out_.slots.push_back(slot);
    }
    if (s.kind == StepKind::all_of && all_optional) flat.can_be_empty = true;
    if (flat.can_be_first) out_.start_mask |= flat.predicates;
    out_.steps.push_back(flat);
  }

  void add_absence(const Absence& a) {
    Program::Absence flat;
    flat.before = a.before;
    flat.wait = a.wait ? a.wait->us : 0;
    mix(a.before);
    mix_duration(a.wait);
    flat.element = add_element(a.element);
    out_.relevant_mask |= flat.element.stream;
    if (a.before == 0) {
      out_.first_no_mask |= flat.element.predicate;
      out_.first_no_wait = std::max(out_.first_no_wait, flat.wait);
    }
    if (a.before == pattern_.steps.size()) out_.final_wait = std::max(out_.final_wait, flat.wait);
    out_.absences.push_back(flat);
  }

  void add_masks() {
    std::uint64_t used_otherwise = out_.until;
    out_.no_until_mask = out_.until | out_.first_no_mask;
    out_.aux_mask = out_.until;
    bool has_next = false;
    for (const Program::Step& s : out_.steps) {
      has_next = has_next || s.link == Link::next;
      used_otherwise |= s.predicates;
      if (s.consecutive) {
        out_.aux_mask |= out_.slots[s.first_slot].element.stream | out_.slots[s.first_slot].element.predicate;
      }
    }
    for (const Program::Absence& a : out_.absences) {
      if (a.before == 0) continue;
      out_.no_until_mask |= a.element.predicate;
      out_.aux_mask |= a.element.predicate;
    }
    if (has_next) out_.aux_mask |= out_.relevant_mask;
    used_otherwise |= out_.aux_mask;
    out_.lonely_no_mask = out_.first_no_mask & ~used_otherwise;

    out_.backward.resize(out_.steps.size());
    for (std::size_t slot = 0; slot < out_.slots.size(); ++slot) {
      const Program::Element& e = out_.slots[slot].element;
      if (out_.steps[out_.slots[slot].step].counted) continue;  // asked member by member, when the choice is known
      for (std::uint32_t i = e.first_condition; i < e.first_condition + e.condition_count; ++i) {
        const Program::Condition& c = out_.conditions[i];
        if (c.deferred) continue;
        std::uint32_t lowest = out_.slots[slot].step;
        if (c.op == Condition::Op::opaque) {
          for (std::uint32_t r = 0; r < c.ref_count; ++r) lowest = std::min(lowest, out_.refs[c.first_ref + r]);
        } else {
          lowest = out_.slots[c.slot].step;
        }
        out_.backward[lowest].push_back({static_cast<std::uint32_t>(slot), i});
      }
    }
  }

  void add_bounds() {
    if (pattern_.within) out_.window = pattern_.within->us;
    // Gaps add up to a window when the match begins with one event and every later step has one: ends of steps are then
    // less than their gap apart.
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < out_.steps.size() && sum != Program::unbounded; ++i) {
      const Program::Step& s = out_.steps[i];
      if (i == 0 && s.kind == StepKind::single) continue;
      if (s.can_be_first) sum = Program::unbounded;  // may be the first filled one, and longer than an event
      std::int64_t widest = 0;
      for (std::uint32_t k = 0; k < s.slot_count; ++k) widest = std::max(widest, out_.slots[s.first_slot + k].within);
      if (sum != Program::unbounded && __builtin_add_overflow(sum, widest, &sum)) sum = Program::unbounded;
    }
    // A sequence of one single step lasts no time at all: anything above zero bounds it.
    out_.horizon = std::min(out_.window, std::max<std::int64_t>(sum, 1));
  }

  void add_words() {
    std::map<std::uint32_t, Program::Word> words;
    for (const auto& [id, to] : bits_) {
      const auto n = static_cast<std::uint32_t>(id);
      Program::Word& word = words[n / 64];
      word.index = n / 64;
      word.mask |= std::uint64_t{1} << (n % 64);
      word.bit[n % 64] = static_cast<std::uint8_t>(to);
    }
    for (const auto& [index, word] : words) out_.words.push_back(word);
    // A stream bit alone matters only where rows or `next` ask for it.
    std::uint64_t wanted = out_.aux_mask | out_.first_no_mask;
    for (const Program::Step& s : out_.steps) wanted |= s.predicates;
    for (Program::Word& word : out_.words) {
      for (std::size_t i = 0; i < 64; ++i) {
        const std::uint64_t here = std::uint64_t{1} << i;
        if ((word.mask & here) != 0 && (wanted >> word.bit[i] & 1U) == 0) word.mask &= ~here;
      }
    }
    std::erase_if(out_.words, [](const Program::Word& w) { return w.mask == 0; });
  }

  void add_meanings() {
    out_.parts.bits.resize(bits_.size());
    for (const auto& [id, to] : bits_) out_.parts.bits[to] = meaning(meanings_.predicates, id);
    for (const ValueId id : out_.values) out_.parts.values.push_back(meaning(meanings_.values, id));
    for (std::size_t i = 0; i < bits_.size(); ++i) {  // whatever the order in which they are named
      if ((out_.relevant_mask >> i & 1U) != 0) out_.parts.streams += hash_mix(0, out_.parts.bits[i]);
    }
  }

  std::string why_search(const std::string& not_exists) const {
    std::size_t across = out_.conditions.size();
    std::string text = "keeps occurrences ";
    text += out_.horizon == Program::unbounded ? "without a bound in time (byte limit only)"
                                               : "for " + std::to_string(out_.horizon) + "us";
    text += ", searches when an event may complete a match; ";
    text += across == 0 ? "no conditions across events" : std::to_string(across) + " conditions across events";
    text += not_exists.empty() ? "; asked for" : "; not `exists`: " + not_exists;
    return text;
  }

  const Pattern& pattern_;
  const Meanings& meanings_;
  const Choosing& choosing_;
  Program out_;
  std::map<PredicateId, std::size_t> bits_;
  std::uint64_t hash_ = 0;
  std::uint64_t part_ = 0;  // of the step, the absences or the `until` at hand
};

std::string hex(std::uint64_t v) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
  return text;
}

/// A line for each condition across events, with how it is answered.
std::string conditions_of(const Program& p, const Program::Element& e) {
  std::string text;
  for (std::uint32_t i = e.first_condition; i < e.first_condition + e.condition_count; ++i) {
    const Program::Condition& c = p.conditions[i];
    text += "    ";
    if (c.op == Condition::Op::opaque) {
      text += "guard " + std::to_string(static_cast<std::uint32_t>(c.guard)) + " of steps";
      for (std::uint32_t r = 0; r < c.ref_count; ++r) text += " " + std::to_string(p.refs[c.first_ref + r]);
    } else {
      text += "value " + std::to_string(c.mine) + " " + to_text(c.op) + " value " + std::to_string(c.theirs) +
              " of slot " + std::to_string(c.slot);
    }
    text += std::string(": ") + class_of(p, c) + "\n";
  }
  return text;
}

}  // namespace

const char* to_text(Engine engine) {
  switch (engine) {
    case Engine::search: return "search";
    case Engine::exists: return "exists";
    case Engine::all: return "all";
    case Engine::runs: return "runs";
  }
  return "?";
}

Result<Program> compile(const Pattern& pattern, const Meanings& meanings, const Choosing& choosing) {
  if (pattern.semantics == Semantics::derivations) return compile_stages(pattern, meanings, choosing);
  if (std::string why = why_not(pattern); !why.empty()) return refuse(why);
  return Compiler(pattern, meanings, choosing).run();
}

std::string dump(const Program& p) {
  std::string text = "program " + hex(p.fingerprint) + "\n  engine " + to_text(p.engine) + ": " + p.reason + "\n";
  if (!p.automaton.states.empty()) return text + dump(p.automaton);
  for (std::size_t i = 0; i < p.steps.size(); ++i) {
    const Program::Step& s = p.steps[i];
    text += "  step " + std::to_string(i) + (s.can_be_first ? " start" : "") + (s.can_be_empty ? " optional" : "");
    if (s.counted) {
      text += (s.consecutive ? " row " : " group ") + std::to_string(s.min) + ".." +
              (s.max == 0 ? "" : std::to_string(s.max)) + (s.max != 0 && s.keep_first ? " first" : "");
    }
    if (s.link != Link::any) text += s.link == Link::first ? " first" : " next";
    for (std::uint32_t k = 0; k < s.slot_count; ++k) {
      const Program::Slot& slot = p.slots[s.first_slot + k];
      text += " slot" + std::to_string(s.first_slot + k) + "[bits " + hex(slot.element.predicate) + "]";
      if (slot.within != Program::unbounded) text += "[within " + std::to_string(slot.within) + "us]";
    }
    text += "\n";
    for (std::uint32_t k = 0; k < s.slot_count; ++k) text += conditions_of(p, p.slots[s.first_slot + k].element);
  }
  for (const Program::Absence& a : p.absences) {
    text += "  no before " + std::to_string(a.before) + " [bits " + hex(a.element.predicate) + "]";
    if (a.wait != 0) text += "[for " + std::to_string(a.wait) + "us]";
    text += "\n" + conditions_of(p, a.element);
  }
  if (p.until != 0) text += "  until [bits " + hex(p.until) + "]\n";
  text += "  keeps " + std::to_string(p.values.size()) + " values per occurrence\n";
  return text;
}

}  // namespace tocsin::nfa
