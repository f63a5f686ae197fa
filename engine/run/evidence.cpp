// From a rule that was true, or a match, to a hit with its evidence: the exceptions are asked, then everything a person or a
// machine will want to know is written down ready-made. Also the matcher's questions back: guards, `when`.
#include <algorithm>

#include "alerts/identity.h"
#include "engine/run/engine_state.h"
#include "engine/run/trace.h"
#include "event/mask.h"
#include "event/pack.h"
#include "state/key.h"

namespace tocsin::engine {

using event::Value;

namespace {

Value settled(const Value& v) { return v.bound == event::Bound::exact ? v : Value{}; }

std::string shown(const Value& v, const event::Type& type, event::Mask mask, const event::Schema& schema) {
  return mask == event::Mask::none ? event::shown(v, type, schema) : event::masked_text(mask, v);
}

std::string group_json(std::span<const Value> values, const event::Type& type, event::Mask mask,
                       const event::Schema& schema) {
  std::string text = "[";
  for (const Value& v : values) {
    if (text.size() > 1) text += ',';
    text += mask == event::Mask::none ? event::json_text(v, type, schema) : event::masked_json(mask, v);
  }
  return text + "]";
}

std::string group_shown(std::span<const Value> values, const event::Type& type, event::Mask mask,
                        const event::Schema& schema) {
  std::string text;
  for (const Value& v : values) {
    if (!text.empty()) text += ", ";
    text += shown(v, type, mask, schema);
  }
  return text;
}

alerts::NamedValue named_value(const std::string& name, const Value& v, const event::Type& type, event::Mask mask,
                               const event::Schema& schema) {
  return {name, event::json_text(v, type, schema),
          mask == event::Mask::none ? std::string() : event::masked_json(mask, v)};
}

alerts::NamedValue named(const NamedCode& code, const Ruleset& ruleset, Context& context) {
  if (code.is_group) {
    const std::vector<Value> values = group_values(ruleset.codes, code.code, context);
    return {code.name, group_json(values, code.type, code.mask, ruleset.schema), {}};
  }
  const Value v = settled(evaluate(ruleset.codes, code.code, context));
  return named_value(code.name, v, code.type, code.mask, ruleset.schema);
}

alerts::BoundEvent bound_event(const std::string& alias, const event::Event& e, const event::Schema& schema) {
  const event::EventType& type = schema.events[e.type];
  return {alias, type.name, std::string(e.at(type.key).text()), e.time};
}

}  // namespace

// ---------------------------------------------------------------- the matcher's questions

std::span<const Value> MatchHost::key_values() {
  if (key_values_.empty()) {
    std::optional<std::vector<Value>> values = state::decode_key(bytes_);
    TOCSIN_CHECK(values.has_value());
    key_values_ = std::move(*values);
  }
  return key_values_;
}

const event::Event* MatchHost::event_at(std::uint64_t position) {
  if (current_ != nullptr && position == current_position_) return &current_->event;
  const auto known = unpacked_.find(position);
  if (known != unpacked_.end()) return &known->second;
  const std::optional<std::string_view> bytes = key_.log.find(position);
  if (!bytes) return nullptr;
  const std::optional<event::Event> e = event::unpack(*bytes, engine_.ruleset->schema, engine_.arena);
  if (!e) return nullptr;
  return &unpacked_.emplace(position, *e).first->second;
}

std::vector<std::vector<const event::Event*>> MatchHost::places_of(const nfa::Places& places) {
  std::vector<std::vector<const event::Event*>> events(pattern_.places.size());
  for (std::size_t place = 0; place < events.size(); ++place) {
    const PlaceInfo& info = pattern_.places[place];
    if (info.step >= places.steps.size() || info.part >= places.steps[info.step].size()) continue;
    for (const nfa::Bound& bound : places.at(info.step, info.part)) {
      if (const event::Event* e = event_at(bound.event)) events[place].push_back(e);
    }
  }
  return events;
}

state::Moment MatchHost::moment_of(const nfa::Match& match) const {
  if (match.by_deadline) return engine_.moment_of_deadline(match.at);
  return {match.at, match.last().order};
}

bool MatchHost::guard(nfa::GuardId guard, const nfa::Binding& binding) {
  const event::Event* candidate = event_at(binding.candidate.event);
  if (candidate == nullptr) return false;
  const auto events = places_of(*binding.places);
  const std::vector<std::span<const event::Event* const>> places(events.begin(), events.end());
  Context context = engine_.context_at(binding.candidate.time);
  context.subject = candidate;
  context.places = places;
  context.rule_key = key_values();
  context.reader = this;
  set_moment({binding.candidate.time, binding.candidate.order}, false);
  const CodeId condition = pattern_.guards[static_cast<std::size_t>(guard)];
  const Value v = evaluate(engine_.ruleset->codes, condition, context);
  // At a deadline nobody says which one asks, and how many are asked about together depends on the batch: those are not counted.
  if (v.is_missing() && current_ != nullptr) count_unknown(current_position_, condition, context);
  return is_true(v);
}

bool MatchHost::confirms(const nfa::Match& match) {
  return std::ranges::all_of(pattern_.confirmed, [&](const ConfirmedPlan& c) {
    const auto bound = match.places.at(c.step, c.part);
    return bound.empty() || guard(c.guard, {bound.front(), &match.places});
  });
}

std::size_t MatchHost::event_bytes(std::uint64_t position) {
  if (current_ != nullptr && position == current_position_) return engine_.packed(*current_).size();
  return key_.log.find(position).value_or(std::string_view()).size();
}

bool MatchHost::accept(const nfa::Match& match) {
  // A first `no` that looks back before the data begins is unknown, and unknown is not satisfied.
  const nfa::Program& program = pattern_.program;
  if (program.first_no_mask != 0 &&
      match.first().time - Duration{program.first_no_wait} < engine_.begins_of(program.fingerprint)) {
    return false;
  }
  if (!confirms(match)) return false;
  if (pattern_.when == no_code) return true;
  const event::Event* last = event_at(match.last().event);
  if (last == nullptr) return false;
  const auto events = places_of(match.places);
  const std::vector<std::span<const event::Event* const>> places(events.begin(), events.end());
  Context context = engine_.context_at(match.at);
  context.subject = last;
  context.places = places;
  context.rule_key = key_values();
  context.reader = this;
  if (match.by_deadline) context.moment = match.at;
  set_moment(moment_of(match), match.by_deadline);
  const Value v = evaluate(engine_.ruleset->codes, pattern_.when, context);
  if (v.is_missing()) count_unknown(match.last().event, pattern_.when, context);
  return is_true(v);
}

void MatchHost::count_unknown(std::uint64_t asked_at, CodeId condition, const Context& context) {
  const Unknown unknown{asked_at, first_missing_field(engine_.ruleset->codes, condition, context)};
  if (std::find(unknown_.begin(), unknown_.end(), unknown) == unknown_.end()) unknown_.push_back(unknown);
}

Value MatchHost::read(std::uint32_t aggregate, std::span<const Value> key, const Value* probe) {
  return engine_.read_as_of(aggregate, key, {moment_, Timestamp::min(), probe, at_deadline_});
}

Value Engine::answer_question(std::size_t question, Timestamp now) {
  class Reader final : public AggregateReader {
   public:
    Reader(State& state, state::Moment moment) : state_(state), moment_(moment) {}
    Value read(std::uint32_t aggregate, std::span<const Value> key, const Value* probe) override {
      // No event is judged: windows without "the event itself" hold everything too.
      return state_.read_as_of(aggregate, key, {moment_, Timestamp::min(), probe, true});
    }

   private:
    State& state_;
    state::Moment moment_;
  } reader(*state_, {now, state_->released});
  Context context = state_->context_at(now);
  context.moment = now;
  context.reader = &reader;
  return settled(evaluate(state_->ruleset->codes, state_->ruleset->questions[question].code, context));
}

bool Engine::has_label(std::uint32_t label, const Value& whom, Timestamp now) const {
  return state_->facts.has_label(label, whom, now, false);
}

// ---------------------------------------------------------------- hits

/// Exceptions, then everything the context can say. False when an exception silenced the hit.
bool Engine::State::finish_hit(PlacedHit& placed, const RulePlan& rule, const RuleVariant& variant, Context& context) {
  if (rule.switched_off) return false;
  alerts::Hit& hit = placed.hit;
  const Codes& codes = ruleset->codes;
  for (const ExceptPlan& except : variant.excepts) {
    if (except.until && hit.at >= *except.until) continue;
    const Value silenced = evaluate(codes, except.when, context);
    if (silenced.is_missing()) unknown_of_rule(placed.rule, first_missing_field(codes, except.when, context));
    if (!is_true(silenced)) continue;
    ++counters.excepted_by_rule[rule.info.name + "/" + except.name];
    return false;
  }
  hit.rule = &rule.info;
  hit.shadow = rule.shadow;
  if (rule.rollout && !hit.shadow) {
    hit.shadow = !in_rollout(rule.info.name, settled(evaluate(codes, variant.rollout, context)), *rule.rollout);
  }
  std::vector<std::string> names;
  const auto add_value = [&](const NamedCode& code) {
    if (std::find(names.begin(), names.end(), code.name) != names.end()) return;
    names.push_back(code.name);
    hit.values.push_back(named(code, *ruleset, context));
  };
  for (const NamedCode& code : variant.let_values) add_value(code);
  for (const NamedCode& code : variant.show) add_value(code);
  for (const NamedCode& code : variant.features) add_value(code);
  for (const TextPiece& piece : variant.because) {
    if (piece.value == no_code) {
      hit.because += piece.literal;
    } else if (piece.is_group) {
      hit.because += group_shown(group_values(codes, piece.value, context), piece.type, piece.mask, ruleset->schema);
    } else {
      hit.because += shown(settled(evaluate(codes, piece.value, context)), piece.type, piece.mask, ruleset->schema);
    }
  }
  if (variant.action) {
    const bool first = variant.decide_when == no_code || is_true(evaluate(codes, variant.decide_when, context));
    hit.action = first ? variant.action : variant.otherwise;
  }
  if (variant.score != no_code) {
    const Value score = settled(evaluate(codes, variant.score, context));
    if (score.kind == event::Kind::number) hit.score = score.number();
  }
  if (!variant.once_key.empty()) {
    std::vector<alerts::NamedValue> key;
    bool whole = true;
    for (const NamedCode& part : variant.once_key) {
      const Value v = settled(evaluate(codes, part.code, context));
      whole = whole && !v.is_missing();
      key.push_back(named_value(part.name, v, part.type, part.mask, ruleset->schema));
    }
    if (whole) hit.once_key = std::move(key);
  }
  for (const std::vector<NamedCode>& key : variant.same_keys) {
    std::string text;
    bool whole = true;
    for (const NamedCode& part : key) {
      const Value v = settled(evaluate(codes, part.code, context));
      whole = whole && !v.is_missing();
      event::append_json(text, v, part.type, ruleset->schema);
      text += ' ';
    }
    hit.same.push_back(whole ? std::optional(std::move(text)) : std::nullopt);
  }
  for (const EffectPlan& effect : variant.effects) {
    const Value value = settled(evaluate(codes, effect.value, context));
    if (!value.is_missing()) placed.effects.push_back({&effect, kept(value)});
  }
  hit.id = alerts::hit_id(hit);
  if (rule.hit_type) {
    event::Event e;
    e.type = *rule.hit_type;
    e.time = hit.at;
    e.arrival = hit.at;
    e.values = arena.array<Value>(ruleset->schema.events[e.type].fields.size());
    for (std::size_t i = 0; i < variant.hit_fields.size(); ++i) {
      const HitFieldPlan& field = variant.hit_fields[i];
      switch (field.place) {
        case HitFieldPlan::Place::id: e.values[i] = Value::of_text(arena.copy(to_text(hit.id))); break;
        case HitFieldPlan::Place::at: e.values[i] = Value::of_time(hit.at); break;
        case HitFieldPlan::Place::shadow: e.values[i] = Value::of_boolean(hit.shadow); break;
        case HitFieldPlan::Place::value: e.values[i] = kept(settled(evaluate(codes, field.value, context))); break;
      }
    }
    placed.as_event = e;
  }
  return true;
}

void Engine::State::hit_of_event(BatchEvent& e, const OnRule& on) {
  const RulePlan& rule = ruleset->rules[on.rule];
  const RuleVariant& variant = rule.variants[on.variant];
  PlacedHit placed;
  placed.release = e.release;
  placed.rule = on.rule;
  placed.hit.at = e.event.time;
  placed.hit.events.push_back(bound_event(rule.alias, e.event, ruleset->schema));
  Context context = context_at(e.event.time);
  context.subject = &e.event;
  context.row = e.row;
  const bool hit = finish_hit(placed, rule, variant, context);
  if (tracer != nullptr) tracer->hit(*this, placed, context, {e.event.time, e.release}, !hit);
  if (hit) hits.push_back(std::move(placed));
}

void Engine::State::hit_of_match(const PatternPlan& pattern, const nfa::Match& match, std::uint32_t sequence,
                                 MatchHost& host) {
  const std::span<const Value> key_values = host.key_values();
  const RulePlan& rule = ruleset->rules[pattern.rule];
  const RuleVariant& variant = rule.variants.front();
  const KeySpace& space = ruleset->keyspaces[pattern.keyspace];
  const auto events = host.places_of(match.places);
  const std::vector<std::span<const event::Event* const>> places(events.begin(), events.end());
  PlacedHit placed;
  placed.by_time = match.by_deadline;
  placed.release = match.last().order;
  placed.rule = pattern.rule;
  placed.sequence = sequence;
  placed.hit.at = match.at;
  if (match.by_deadline) placed.hit.deadline = match.at;
  placed.hit.truncated = match.truncated;
  for (std::size_t i = 0; i < key_values.size(); ++i) {
    placed.hit.key.push_back(
        named_value(rule.key_names[i], key_values[i], space.parts[i].type, rule.key_masks[i], ruleset->schema));
  }
  for (std::size_t place = 0; place < events.size(); ++place) {
    for (const event::Event* e : events[place]) {
      placed.hit.events.push_back(bound_event(pattern.places[place].alias, *e, ruleset->schema));
    }
  }
  Context context = context_at(match.at);
  context.subject = host.event_at(match.last().event);
  if (context.subject == nullptr) return;
  context.places = places;
  context.rule_key = key_values;
  context.reader = &host;
  if (match.by_deadline) context.moment = match.at;
  host.set_moment(host.moment_of(match), match.by_deadline);
  const bool hit = finish_hit(placed, rule, variant, context);
  if (tracer != nullptr) {
    tracer->matched(*this, pattern, match, host.key_bytes(), context, host.moment_of(match), placed, !hit);
  }
  if (hit) hits.push_back(std::move(placed));
}

}  // namespace tocsin::engine
