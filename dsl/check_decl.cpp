#include <algorithm>

#include "dsl/check_scope.h"
#include "dsl/foreign_forms.h"
#include "dsl/walk.h"
#include "event/mask.h"

namespace tocsin::dsl::detail {
namespace {

// More of these nobody writes; the indices of the schema are 16 bits wide and stay far from their end.
constexpr std::size_t events_max = 10'000;
constexpr std::size_t enum_values_max = 255;

constexpr std::string_view type_names[] = {"string", "bool", "int",   "decimal", "enum", "time", "duration",
                                           "ip",     "geo",  "money", "cidr",    "set",  "text"};

std::size_t node_count(const Expr& e) {
  std::size_t n = 1;
  for (const Expr& arg : e.args) n += node_count(arg);
  return n;
}

/// What is worked out once must not stay silent because someone happened to ask for it while trying things out.
class Loudly {
 public:
  Loudly(int& silent, std::size_t& nodes) : silent_(silent), nodes_(nodes), saved_silent_(silent), saved_nodes_(nodes) {
    silent = 0;
    nodes = 0;
  }
  ~Loudly() {
    silent_ = saved_silent_;
    nodes_ = saved_nodes_;
  }
  Loudly(const Loudly&) = delete;
  Loudly& operator=(const Loudly&) = delete;

 private:
  int& silent_;
  std::size_t& nodes_;
  int saved_silent_;
  std::size_t saved_nodes_;
};

class Working {
 public:
  Working(std::vector<std::string>& stack, const std::string& name) : stack_(stack) { stack_.push_back(name); }
  ~Working() { stack_.pop_back(); }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  std::vector<std::string>& stack_;
};

std::string_view kind_words(NameKind kind) {
  switch (kind) {
    case NameKind::entity: return "an entity";
    case NameKind::event: return "an event";
    case NameKind::param: return "a param";
    case NameKind::switch_: return "a switch";
    case NameKind::stream: return "a stream";
    case NameKind::feature: return "a feature";
    case NameKind::rule: return "a rule";
    case NameKind::policy: return "a policy";
    case NameKind::sample: return "a sample";
    case NameKind::table: return "a table";
  }
  return "";
}

}  // namespace

// ---------------------------------------------------------------- names

void Checker::declare(NameKind kind, const ast::Name& name, std::size_t index) {
  const auto [at, fresh] = names_.try_emplace(name.text, NameEntry{kind, name.span, index});
  if (fresh) return;
  Diagnostic& d =
      error(Code::duplicate_name, name.span,
            quoted(name.text) + " is declared twice: it is already " + std::string(kind_words(at->second.kind)));
  d.labels.push_back({at->second.span, "first here"});
  d.hints.push_back(
      "all entities, events, streams, features, params, rules, policies and samples share one set of names");
}

const NameEntry* Checker::find_name(std::string_view name) const {
  const auto at = names_.find(name);
  return at == names_.end() ? nullptr : &at->second;
}

std::vector<std::string> Checker::names_of(std::initializer_list<NameKind> kinds) const {
  std::vector<std::string> found;
  for (const auto& [name, entry] : names_) {
    if (std::find(kinds.begin(), kinds.end(), entry.kind) != kinds.end()) found.push_back(name);
  }
  return found;
}

void Checker::collect() {
  using Kind = ast::Decl::Kind;
  for (const ast::File& file : files_) {
    for (const ast::Decl& decl : file.declarations) {
      switch (decl.kind) {
        case Kind::entity:
          for (const ast::Name& name : decl.entity->names) {
            const bool is_type =
                std::find(std::begin(type_names), std::end(type_names), name.text) != std::end(type_names);
            // An address is a value and a kind of key at once; the other types are not keys.
            if (is_type && name.text != "ip") {
              error(Code::duplicate_name, name.span,
                    quoted(name.text) + " is a type of values and cannot be an entity");
              continue;
            }
            if (find_name(name.text) == nullptr) book_.schema.entities.push_back(name.text);
            declare(NameKind::entity, name, book_.schema.entities.size() - 1);
          }
          break;
        case Kind::event: declare(NameKind::event, decl.event->name, 0); break;
        case Kind::table: declare(NameKind::table, decl.table->name, 0); break;
        case Kind::param:
          declare(NameKind::param, decl.param->name, params_.size());
          params_.push_back({decl.param.get(), Progress::untouched, {}});
          break;
        case Kind::switch_:
          declare(NameKind::switch_, decl.switch_->name, book_.switches.size());
          if (decl.switch_->value.text != "on" && decl.switch_->value.text != "off") {
            error(Code::bad_literal, decl.switch_->value.span, "a switch is `on` or `off`");
          }
          book_.switches.push_back({decl.switch_->name.text, decl.switch_->value.text != "off"});
          break;
        case Kind::stream:
          declare(NameKind::stream, decl.stream->name, streams_.size());
          streams_.push_back({decl.stream.get(), Progress::untouched, {}});
          break;
        case Kind::feature:
          declare(NameKind::feature, decl.feature->name, features_.size());
          features_.push_back({decl.feature.get(), Progress::untouched, {}});
          break;
        case Kind::rule: {
          const bool fresh = find_name(decl.rule->name.text) == nullptr;
          declare(NameKind::rule, decl.rule->name, rules_.size());
          if (fresh) rules_.emplace_back(decl.rule.get(), decl.span);
          for (const ast::Clause& clause : decl.rule->clauses) {
            for (const ast::Name& tag : clause.names) tags_.insert(tag.text);
          }
          break;
        }
        case Kind::policy: declare(NameKind::policy, decl.policy->name, 0); break;
        case Kind::sample:
          declare(NameKind::sample, decl.sample->name, samples_.size());
          samples_.push_back({decl.sample.get(), Progress::untouched, 0, {}, false, false});
          break;
        case Kind::list:
        case Kind::field:
        case Kind::test: break;
      }
    }
  }
  for (const ast::File& file : files_) {
    for (const ast::Decl& decl : file.declarations) {
      if (decl.kind == Kind::event) declare_event(*decl.event);
    }
  }
  for (const ast::File& file : files_) {
    for (const ast::Decl& decl : file.declarations) {
      if (decl.kind == Kind::list) declare_list(*decl.list);
      if (decl.kind == Kind::table) declare_table(*decl.table);
    }
  }
}

std::optional<Type> Checker::resolve_type(const ast::TypeRef& ref, bool in_list) {
  const std::string& name = ref.name.text;
  const auto plain = [&](TypeKind kind) -> std::optional<Type> { return type_of(kind); };
  if (!ref.argument.empty() && name != "money" && name != "set") {
    error(Code::unknown_type, ref.span, "type " + quoted(name) + " takes nothing in `<…>`");
    return std::nullopt;
  }
  if (name == "string" || name == "text") return plain(TypeKind::text);
  if (name == "bool") return plain(TypeKind::boolean);
  if (name == "int") return plain(TypeKind::integer);
  if (name == "decimal") return plain(TypeKind::decimal);
  if (name == "time") return plain(TypeKind::time);
  if (name == "duration") return plain(TypeKind::duration);
  if (name == "ip") return plain(TypeKind::ip);
  if (name == "geo") return plain(TypeKind::geo);
  if (name == "cidr") {
    if (in_list) return plain(TypeKind::cidr);
    error(Code::unknown_type, ref.span, "`cidr` stands in lists only").hints.push_back("an event has addresses: `ip`");
    return std::nullopt;
  }
  if (name == "set") {
    error(Code::unknown_type, ref.span, in_list ? "a list holds values, not sets" : "a field is one value, not a set")
        .hints.push_back("`set<…>` stands in `list @name : set<…>`; the values of a window are `set(field) from …`");
    return std::nullopt;
  }
  if (name == "money") {
    Type type = type_of(TypeKind::money);
    if (ref.argument.empty()) return type;
    const auto currency = event::parse_currency(ref.argument);
    if (!currency) {
      error(Code::unknown_type, ref.argument_span, quoted(ref.argument) + " is not a currency")
          .hints.push_back("three capital letters, as in `money<USD>`");
      return std::nullopt;
    }
    type.currency = *currency;
    return type;
  }
  if (name == "enum") {
    event::EnumDef def;
    std::set<std::string> seen;
    for (const ast::Name& value : ref.values) {
      if (!seen.insert(value.text).second) {
        error(Code::duplicate_name, value.span, "the value " + quoted(value.text) + " stands twice in this `enum`");
        continue;
      }
      def.values.push_back(value.text);
    }
    if (def.values.empty() || def.values.size() > enum_values_max) {
      error(Code::unknown_type, ref.span, "an `enum` has between 1 and 255 values");
      return std::nullopt;
    }
    Type type = type_of(TypeKind::enumeration);
    auto& enums = book_.schema.enums;
    const auto at =
        std::find_if(enums.begin(), enums.end(), [&](const event::EnumDef& e) { return e.values == def.values; });
    if (at == enums.end() && enums.size() >= events_max) {
      error(Code::unknown_type, ref.span, "more than 10,000 different `enum` types");
      return std::nullopt;
    }
    type.enumeration = static_cast<event::EnumId>(at - enums.begin());
    if (at == enums.end()) enums.push_back(std::move(def));
    return type;
  }
  if (const auto entity = book_.schema.find_entity(name)) {
    Type type = type_of(TypeKind::entity);
    type.entity = *entity;
    return type;
  }
  std::vector<std::string> candidates(std::begin(type_names), std::end(type_names));
  candidates.insert(candidates.end(), book_.schema.entities.begin(), book_.schema.entities.end());
  Diagnostic& d = error(Code::unknown_type, ref.name.span, "there is no type or entity " + quoted(name));
  if (const std::string_view ours = grammar::type_called(name); !ours.empty()) {
    d.under = "write `" + std::string(ours) + "`";
    return std::nullopt;
  }
  d.under = did_you_mean(name, candidates);
  d.hints.push_back(
      "types are string, bool, int, decimal, enum(…), time, duration, ip, geo, money, money<USD> and entities;\n"
      "`entity " +
      name + "` declares a kind of key");
  return std::nullopt;
}

void Checker::declare_event(const ast::EventDecl& decl) {
  if (book_.schema.find_event(decl.name.text)) return;  // declared twice: said already
  if (book_.schema.events.size() >= events_max) {
    error(Code::bad_event_declaration, decl.name.span, "more than 10,000 events");
    return;
  }
  event::EventType type;
  type.name = decl.name.text;
  std::vector<Span> spans;
  std::map<std::string, Span> seen;
  std::optional<Span> key;
  std::optional<Span> time;
  std::optional<Span> seq;
  for (const ast::Field& field : decl.fields) {
    const auto [first, fresh] = seen.try_emplace(field.name.text, field.name.span);
    if (!fresh) {
      error(Code::duplicate_name, field.name.span,
            "event " + quoted(type.name) + " has two fields " + quoted(field.name.text))
          .labels.push_back({first->second, "first here"});
      continue;
    }
    if (type.fields.size() >= fields_max) {
      error(Code::bad_event_declaration, field.name.span, "more than 2,000 fields in one event");
      break;
    }
    const auto resolved = resolve_type(field.type, false);
    if (!resolved) failed_fields_.insert({type.name, field.name.text});
    const Type fallback = type_of(field.role == ast::FieldRole::time  ? TypeKind::time
                                  : field.role == ast::FieldRole::seq ? TypeKind::integer
                                                                      : TypeKind::text);
    event::FieldDef def;
    def.name = field.name.text;
    def.type = resolved.value_or(fallback);
    def.optional = field.optional;
    if (field.mask) {
      const auto mask = event::parse_mask(field.mask->text);
      const bool names_event = field.role == ast::FieldRole::key || field.role == ast::FieldRole::time;
      if (!mask) {
        const std::vector<std::string> names(event::mask_names().begin(), event::mask_names().end());
        Diagnostic& d = error(Code::unknown_mask, field.mask->span, "there is no mask " + quoted(field.mask->text));
        d.under = did_you_mean(field.mask->text, names);
        d.notes.push_back("masks: " + joined(names));
      } else if (names_event) {
        error(Code::unknown_mask, field.mask->span,
              "the key and the time of an event name it in every record and cannot be masked")
            .hints.push_back("let the key be a number of the event's own");
      } else if (resolved && !event::goes_with(*mask, *resolved)) {
        error(Code::unknown_mask, field.mask->span,
              "`mask " + field.mask->text + "` does not go with " + type_words(*resolved))
            .hints.push_back(*mask == event::Mask::net24
                                 ? "`net24` is for addresses; `mask all` hides everything"
                                 : "`last4`, `initial` and `domain` are for texts; `mask all` hides everything");
      } else {
        def.mask = *mask;
      }
    }
    const auto index = static_cast<FieldIndex>(type.fields.size());
    const auto once = [&](std::optional<Span>& place, TypeKind kind, std::string_view word, std::string_view wanted,
                          std::string_view without) {
      if (place) {
        error(Code::bad_event_declaration, field.name.span,
              "event " + quoted(type.name) + " has two `" + std::string(word) + "` fields")
            .labels.push_back({*place, "the first"});
        return false;
      }
      place = field.name.span;
      if (resolved && resolved->kind != kind) {
        error(Code::bad_event_declaration, field.type.span,
              "the `" + std::string(word) + "` field of an event is of type `" + std::string(wanted) + "`")
            .under = "write `" + std::string(wanted) + "`";
      }
      if (field.optional) {
        error(Code::bad_event_declaration, field.name.span,
              "the `" + std::string(word) + "` field of an event cannot be optional")
            .hints.push_back("without it nobody could say " + std::string(without));
      }
      return true;
    };
    switch (field.role) {
      case ast::FieldRole::none: break;
      case ast::FieldRole::key:
        if (once(key, TypeKind::text, "key", "string", "which event this is")) type.key = index;
        break;
      case ast::FieldRole::time:
        if (once(time, TypeKind::time, "time", "time", "when it was")) type.time = index;
        break;
      case ast::FieldRole::seq:
        if (once(seq, TypeKind::integer, "seq", "int", "which of two events of one time comes first")) type.seq = index;
        break;
    }
    type.fields.push_back(std::move(def));
    spans.push_back(field.span);
  }
  if (!key) {
    const auto text = std::find_if(decl.fields.begin(), decl.fields.end(),
                                   [](const ast::Field& field) { return field.type.name.text == "string"; });
    error(Code::bad_event_declaration, decl.name.span, "event " + quoted(type.name) + " has no `key` field")
        .hints.push_back("`key " + (text == decl.fields.end() ? std::string("event_id") : text->name.text) +
                         " : string` names the field by which a repeated event is known");
  }
  if (!time) {
    error(Code::bad_event_declaration, decl.name.span, "event " + quoted(type.name) + " has no `time` field")
        .hints.push_back("`time at : time` names the field that says when it happened");
  }
  type.declared_count = static_cast<std::uint32_t>(type.fields.size());
  book_.schema.events.push_back(std::move(type));
  field_spans_.push_back(std::move(spans));
}

void Checker::declare_derived() {
  for (const ast::File& file : files_) {
    for (const ast::Decl& decl : file.declarations) {
      if (decl.kind != ast::Decl::Kind::field) continue;
      const ast::FieldDecl& field = *decl.field;
      if (field.on.is_hit) {
        // Declared when the fields of the hit are known (fill_hits).
        const NameEntry* rule = find_name(field.on.name.text);
        if (rule == nullptr || rule->kind != NameKind::rule) hits_of(field.on.name);
        continue;
      }
      const NameEntry* on = find_name(field.on.name.text);
      const auto event = book_.schema.find_event(field.on.name.text);
      if (!event) {
        const bool stream = on != nullptr && on->kind == NameKind::stream;
        Diagnostic& d = error(Code::unknown_event, field.on.name.span,
                              stream ? quoted(field.on.name.text) + " is a stream; a field belongs to an event"
                                     : "there is no event " + quoted(field.on.name.text));
        if (!stream) d.under = did_you_mean(field.on.name.text, names_of({NameKind::event}));
        if (stream) d.hints.push_back("name the event the stream is made of");
        continue;
      }
      declare_derived(field, *event);
    }
  }
}

void Checker::declare_derived(const ast::FieldDecl& field, EventTypeId event) {
  event::EventType& type = book_.schema.events[event];
  if (const auto first = type.find(field.name.text)) {
    error(Code::duplicate_name, field.name.span,
          "event " + quoted(type.name) + " already has a field " + quoted(field.name.text))
        .labels.push_back({field_spans_[event][*first], "first here"});
    return;
  }
  if (type.fields.size() >= fields_max) {
    error(Code::bad_event_declaration, field.name.span, "more than 2,000 fields in one event");
    return;
  }
  event::FieldDef def;
  def.name = field.name.text;
  def.optional = true;
  def.derived = true;
  const auto index = static_cast<FieldIndex>(type.fields.size());
  type.fields.push_back(std::move(def));
  field_spans_[event].push_back(field.name.span);
  derived_at_[{event, index}] = derived_.size();
  derived_.push_back({&field, Progress::untouched, event, index});
}

// ---------------------------------------------------------------- hits as events

void Checker::declare_hits() {
  class Names final : public Visitor {
   public:
    void event_name(const ast::EventName& name) override {
      if (name.is_hit) found.insert(name.name.text);
    }
    std::set<std::string> found;
  } names;
  for (const ast::File& file : files_) walk(file, names);
  for (const std::string& name : names.found) {
    const NameEntry* entry = find_name(name);
    if (entry == nullptr || entry->kind != NameKind::rule) continue;  // said where it is used
    if (book_.schema.events.size() >= events_max) {
      error(Code::bad_event_declaration, entry->span, "more than 10,000 events");
      return;
    }
    event::EventType type;
    type.name = "hit." + name;
    type.of_hits = true;
    book_.schema.events.push_back(std::move(type));
    field_spans_.emplace_back();
  }
}

std::optional<EventTypeId> Checker::hits_of(const ast::Name& rule) {
  const NameEntry* entry = find_name(rule.text);
  if (entry == nullptr || entry->kind != NameKind::rule) {
    Diagnostic& d = error(Code::unknown_event, rule.span, "there is no rule " + quoted(rule.text));
    d.under = did_you_mean(rule.text, names_of({NameKind::rule}));
    if (entry != nullptr) d.notes.push_back(quoted(rule.text) + " is " + std::string(kind_words(entry->kind)));
    return std::nullopt;
  }
  if (hit_circles_.contains(rule.text)) return std::nullopt;  // said as a circle
  check_rule_once(rule.text, rule.span);
  if (rule_progress_[rule.text] != Progress::done) return std::nullopt;
  return book_.schema.find_event("hit." + rule.text);
}

void Checker::check_rule_once(const std::string& name, Span use) {
  Progress& progress = rule_progress_[name];
  switch (progress) {
    case Progress::done:
    case Progress::failed: return;
    case Progress::working: {
      const Loudly loudly(silent_, nodes_);
      const auto from = std::find(working_.begin(), working_.end(), "hit." + name);
      std::vector<std::string> chain;
      for (auto at = from; at != working_.end(); ++at) {
        if (at->starts_with("hit.")) chain.push_back(at->substr(4));
      }
      chain.push_back(name);
      for (const std::string& one : chain) hit_circles_.insert(one);
      error(Code::circle_of_rules, use, "rules wait for each other's hits in a circle")
          .notes.push_back(joined(chain, " ← "));
      return;
    }
    case Progress::untouched: break;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, use, "definitions build on each other more than 64 deep");
    return;
  }
  progress = Progress::working;
  const Loudly loudly(silent_, nodes_);
  const Working working(working_, "hit." + name);
  // What the checker knows of the rule at hand belongs to another one while this one is looked at.
  std::set<std::string, std::less<>> lets = std::move(poison_lets_);
  std::string wanted_by = std::move(wanted_by_);
  bool readable = false;
  if (const NameEntry* entry = find_name(name); entry != nullptr && entry->kind == NameKind::rule) {
    const auto& [decl, span] = rules_[entry->index];
    readable = check_rule(*decl, span);
  }
  poison_lets_ = std::move(lets);
  wanted_by_ = std::move(wanted_by);
  rule_progress_[name] = readable ? Progress::done : Progress::failed;
}

/// E2: the fields of a hit, on a clash the earlier in this order: the rule's keys, `at`, what it shows, its lets, the fields of the
/// event that the rule is on.
void Checker::fill_hits(const ast::RuleDecl& decl, Rule& rule) {
  const auto event = book_.schema.find_event("hit." + rule.name);
  if (!event) return;
  event::EventType& type = book_.schema.events[*event];
  if (!type.fields.empty()) {
    // The same rule under another role has hits of the same kind; two rules of one name are refused elsewhere.
    const auto same = std::find_if(book_.rules.begin(), book_.rules.end(),
                                   [&](const Rule& other) { return other.name == rule.name; });
    if (same != book_.rules.end()) rule.hit = same->hit;
    return;
  }
  HitType hit;
  hit.event = *event;
  const auto add = [&](std::string name, Type of, HitField::From from, std::uint32_t index) -> HitField* {
    if (type.find(name) || type.fields.size() >= fields_max) return nullptr;
    event::FieldDef def;
    def.name = std::move(name);
    def.type = of;
    def.optional = from == HitField::From::field;
    type.fields.push_back(std::move(def));
    field_spans_[*event].push_back(decl.name.span);
    hit.fields.push_back({from, index, {}});
    return &hit.fields.back();
  };
  // No name of the language begins with a blank, so these are for the engine alone.
  add(" id", type_of(TypeKind::text), HitField::From::id, 0);
  type.key = 0;
  for (std::uint32_t i = 0; i < rule.keys.size(); ++i)
    add(rule.keys[i].name, rule.keys[i].type, HitField::From::key, i);
  type.time = static_cast<FieldIndex>(type.fields.size());
  add(type.find("at") ? " at" : "at", type_of(TypeKind::time), HitField::From::at, 0);
  add(" shadow", type_of(TypeKind::boolean), HitField::From::shadow, 0);
  for (std::uint32_t i = 0; i < rule.show.size(); ++i) {
    if (rule.show[i].value.op == Op::group_values) continue;  // many values are no field
    add(rule.show[i].name, rule.show[i].value.type, HitField::From::show, i);
  }
  for (std::uint32_t i = 0; i < rule.lets.size(); ++i) {
    if (rule.lets[i].value.op == Op::aggregate && rule.lets[i].value.flag) continue;  // a set is no value
    add(rule.lets[i].name, rule.lets[i].value.type, HitField::From::let, i);
  }
  if (rule.on) {
    // Of a union: what is of one type wherever it is.
    std::map<std::string, std::vector<FieldRef>> refs;
    std::set<std::string> unlike;
    std::vector<std::string> names;
    std::set<EventTypeId> seen;
    for (const Alternative& one : rule.on->alternatives) {
      if (!seen.insert(one.event).second) continue;
      for (FieldIndex i = 0; i < book_.schema.events[one.event].fields.size(); ++i) {
        const std::string name = field_def(one.event, i).name;
        if (name.starts_with(' ') || name.find('(') != std::string::npos ||
            failed_fields_.contains({book_.schema.events[one.event].name, name}))
          continue;
        const auto found = find_field(one.event, name, decl.name.span);  // works out what is derived
        if (!found || found->poison) continue;
        std::vector<FieldRef>& same = refs[name];
        if (same.empty()) names.push_back(name);
        if (!same.empty() && field_def(same[0].event, same[0].field).type != field_def(one.event, i).type)
          unlike.insert(name);
        same.push_back({one.event, i});
      }
    }
    for (const std::string& name : names) {
      if (unlike.contains(name)) continue;
      const FieldRef first = refs[name][0];
      if (HitField* field = add(name, field_def(first.event, first.field).type, HitField::From::field, 0))
        field->fields = refs[name];
    }
  }
  book_.schema.events[*event].declared_count = static_cast<std::uint32_t>(book_.schema.events[*event].fields.size());
  rule.hit = std::move(hit);
  for (const ast::File& file : files_) {
    for (const ast::Decl& one : file.declarations) {
      const bool here =
          one.kind == ast::Decl::Kind::field && one.field->on.is_hit && one.field->on.name.text == rule.name;
      if (here) declare_derived(*one.field, *event);
    }
  }
}

// ---------------------------------------------------------------- what is worked out on demand

void Checker::circle(const std::string& what, Span use) {
  const auto from = std::find(working_.begin(), working_.end(), what);
  std::vector<std::string> chain(from, working_.end());
  chain.push_back(what);
  if (std::any_of(chain.begin(), chain.end(), [](const std::string& name) { return name.starts_with("hit."); })) {
    error(Code::circle_of_rules, use, "rules wait for each other's hits in a circle")
        .notes.push_back(joined(chain, " ← "));
    return;
  }
  error(Code::cyclic_definition, use, quoted(what) + " is defined by itself").notes.push_back(joined(chain, " → "));
}

const std::vector<Alternative>* Checker::stream_of(std::size_t index, Span use) {
  StreamInfo& info = streams_[index];
  const std::string& name = info.decl->name.text;
  switch (info.progress) {
    case Progress::done: return &info.alternatives;
    case Progress::failed: return nullptr;
    case Progress::working: {
      const Loudly loudly(silent_, nodes_);
      circle(name, use);
      return nullptr;
    }
    case Progress::untouched: break;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, use, "definitions build on each other more than 64 deep");
    return nullptr;
  }
  info.progress = Progress::working;
  const Loudly loudly(silent_, nodes_);
  const Working working(working_, name);
  bool ok = true;
  std::vector<Alternative> all;
  for (const ast::Source& source : info.decl->sources) {
    auto found = resolve_source(source.event, source.via, source.where, nullptr);
    if (!found) {
      ok = false;
      continue;
    }
    for (Alternative& one : *found) {
      // An event belongs to a union once for each role, however many of its parts it satisfies.
      const auto same = std::find_if(all.begin(), all.end(),
                                     [&](const Alternative& a) { return a.event == one.event && a.via == one.via; });
      if (same == all.end()) {
        all.push_back(std::move(one));
      } else if (same->where && one.where) {
        Expr either = make(Op::or_, type_of(TypeKind::boolean), one.where->span);
        if (same->where->op == Op::or_) {
          either = std::move(*same->where);
          either.args.push_back(std::move(*one.where));
        } else {
          either.args.push_back(std::move(*same->where));
          either.args.push_back(std::move(*one.where));
        }
        same->where = std::move(either);
      } else {
        same->where.reset();
      }
    }
  }
  for (const Alternative& one : all) {
    if (ok && one.where && node_count(*one.where) > expression_nodes_max) {
      error(Code::chain_too_long, info.decl->name.span,
            "stream " + quoted(name) + " is too large once its parts are written out");
      ok = false;
    }
  }
  StreamInfo& done = streams_[index];
  done.alternatives = std::move(all);
  done.progress = ok ? Progress::done : Progress::failed;
  return ok ? &done.alternatives : nullptr;
}

bool Checker::resolve_derived(std::size_t index, Span use) {
  DerivedInfo& info = derived_[index];
  const std::string& name = info.decl->name.text;
  switch (info.progress) {
    case Progress::done: return true;
    case Progress::failed: return false;
    case Progress::working: {
      const Loudly loudly(silent_, nodes_);
      circle(name, use);
      return false;
    }
    case Progress::untouched: break;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, use, "definitions build on each other more than 64 deep");
    return false;
  }
  info.progress = Progress::working;
  const Loudly loudly(silent_, nodes_);
  const Working working(working_, name);
  Subject subject;
  subject.types = {{info.event, std::nullopt}};
  subject.name = book_.schema.events[info.event].name;
  Scope scope;
  scope.where = Where::counted;
  scope.subject = &subject;
  Typed value = check_whole(info.decl->value, scope);
  DerivedInfo& done = derived_[index];
  done.progress = value.poison ? Progress::failed : Progress::done;
  if (value.poison) return false;
  book_.schema.events[done.event].fields[done.field].type = value.expr.type;
  // In the order of completion: what a field needs stands before it.
  book_.derived.push_back({done.event, done.field, std::move(value.expr)});
  return true;
}

const Typed& Checker::feature_of(std::size_t index, Span use) {
  FeatureInfo& info = features_[index];
  const std::string& name = info.decl->name.text;
  switch (info.progress) {
    case Progress::done:
    case Progress::failed: return info.typed;
    case Progress::working: {
      const Loudly loudly(silent_, nodes_);
      circle(name, use);
      return info.typed;
    }
    case Progress::untouched: break;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, use, "definitions build on each other more than 64 deep");
    return info.typed;
  }
  info.progress = Progress::working;
  const Loudly loudly(silent_, nodes_);
  const Working working(working_, name);
  if (info.decl->approximate) error_of(*info.decl->approximate);
  const bool outer_deferred = deferred_;
  deferred_ = false;
  Scope scope;
  scope.where = Where::definition;
  scope.may_be_set = true;
  Typed typed = check_whole(info.decl->value, scope);
  FeatureInfo& done = features_[index];
  done.progress = typed.poison && !deferred_ ? Progress::failed : Progress::done;
  // Only its type is of use here; a tree of its own would double with each definition that names it twice.
  if (!typed.poison) {
    const bool set = typed.expr.op == Op::aggregate && typed.expr.flag;
    typed.expr = make(Op::aggregate, typed.expr.type, typed.expr.span);
    typed.expr.flag = set;
  }
  done.typed = std::move(typed);
  deferred_ = outer_deferred;
  return done.typed;
}

const Typed& Checker::param_of(std::size_t index, Span use) {
  ParamInfo& info = params_[index];
  const std::string& name = info.decl->name.text;
  switch (info.progress) {
    case Progress::done:
    case Progress::failed: return info.value;
    case Progress::working: {
      const Loudly loudly(silent_, nodes_);
      circle(name, use);
      return info.value;
    }
    case Progress::untouched: break;
  }
  if (working_.size() >= static_cast<std::size_t>(definition_depth_max)) {
    error(Code::nesting_too_deep, use, "definitions build on each other more than 64 deep");
    return info.value;
  }
  info.progress = Progress::working;
  const Loudly loudly(silent_, nodes_);
  const Working working(working_, name);
  Scope scope;
  Typed value = check_whole(info.decl->value, scope);
  if (!value.poison && value.expr.op != Op::constant) {
    error(Code::type_mismatch, info.decl->value.span, "a param is a constant: a number, an amount, a duration, a text")
        .hints.push_back("what is computed from events is a `feature`");
    value.poison = true;
  }
  ParamInfo& done = params_[index];
  done.progress = value.poison ? Progress::failed : Progress::done;
  done.value = std::move(value);
  return done.value;
}

// ---------------------------------------------------------------- sources

std::optional<std::vector<Alternative>> Checker::resolve_source(const ast::EventName& name,
                                                                const std::optional<ast::Name>& via,
                                                                const std::optional<ast::Expr>& where,
                                                                const Scope* outer) {
  if (name.is_hit) {
    const auto hits = hits_of(name.name);
    if (!hits) return std::nullopt;
    std::vector<Alternative> found;
    found.push_back({*hits, std::nullopt, std::nullopt, {}});
    return finish_source(std::move(found), "hit." + name.name.text, via, where, outer);
  }
  std::vector<Alternative> found;
  const NameEntry* entry = find_name(name.name.text);
  if (entry != nullptr && entry->kind == NameKind::stream) {
    const auto* alternatives = stream_of(entry->index, name.name.span);
    if (alternatives == nullptr) return std::nullopt;
    found = *alternatives;
  } else if (const auto event = book_.schema.find_event(name.name.text)) {
    found.push_back({*event, std::nullopt, std::nullopt, {}});
  } else {
    if (entry != nullptr && entry->kind == NameKind::event) return std::nullopt;
    Diagnostic& d = error(Code::unknown_event, name.name.span, "there is no event or stream " + quoted(name.name.text));
    d.under = did_you_mean(name.name.text, names_of({NameKind::event, NameKind::stream}));
    if (entry != nullptr) d.notes.push_back(quoted(name.name.text) + " is " + std::string(kind_words(entry->kind)));
    return std::nullopt;
  }
  return finish_source(std::move(found), name.name.text, via, where, outer);
}

std::optional<std::vector<Alternative>> Checker::finish_source(std::vector<Alternative> found, const std::string& name,
                                                               const std::optional<ast::Name>& via,
                                                               const std::optional<ast::Expr>& where,
                                                               const Scope* outer) {
  if (via) {
    for (Alternative& one : found) {
      const auto field = find_field(one.event, via->text, via->span);
      if (!field) {
        unknown_field(one.event, via->text, via->span);
        return std::nullopt;
      }
      if (field->poison) return std::nullopt;
      const Type& type = field_def(one.event, field->field).type;
      if (type.kind != TypeKind::entity && type.kind != TypeKind::ip) {
        error(Code::type_mismatch, via->span,
              quoted(via->text) + " is " + type_words(type) + ", so it is no role of an entity")
            .hints.push_back("`via` names a field that holds an entity, such as the sender of a transfer");
        return std::nullopt;
      }
      one.via = field->field;
    }
  }
  if (where && !add_membership(found, *where, name, outer)) return std::nullopt;
  return found;
}

bool Checker::add_membership(std::vector<Alternative>& alternatives, const ast::Expr& where, const std::string& name,
                             const Scope* outer) {
  // Checked for each event type of a union by itself: the same name may be a field of another type in each.
  for (Alternative& one : alternatives) {
    Subject subject;
    subject.types = {{one.event, one.via}};
    subject.name = name;
    Scope scope;
    scope.where = Where::counted;
    scope.subject = &subject;
    scope.outer = outer;
    auto condition = check_condition(where, scope);
    if (!condition) return false;
    if (!one.where) {
      one.where = std::move(condition);
      continue;
    }
    Expr both = make(Op::and_, type_of(TypeKind::boolean), where.span);
    if (one.where->op == Op::and_) {
      both.args = std::move(one.where->args);
    } else {
      both.args.push_back(std::move(*one.where));
    }
    both.args.push_back(std::move(*condition));
    one.where = std::move(both);
  }
  return true;
}

const event::FieldDef& Checker::field_def(EventTypeId event, FieldIndex field) const {
  return book_.schema.events[event].fields[field];
}

std::optional<Checker::Found> Checker::find_field(EventTypeId event, std::string_view name, Span use) {
  const auto index = book_.schema.events[event].find(name);
  if (!index) return std::nullopt;
  Found found{*index, false};
  if (failed_fields_.contains({book_.schema.events[event].name, std::string(name)})) found.poison = true;
  const auto derived = derived_at_.find({event, *index});
  if (derived != derived_at_.end() && !resolve_derived(derived->second, use)) found.poison = true;
  return found;
}

std::vector<std::string> Checker::field_names(EventTypeId event) const {
  std::vector<std::string> names;
  for (const event::FieldDef& field : book_.schema.events[event].fields) {
    // Not those of computed keys, nor what a hit has for the engine alone.
    if (field.name.find('(') == std::string::npos && !field.name.starts_with(' ')) names.push_back(field.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Diagnostic& Checker::unknown_field(EventTypeId event, const std::string& name, Span span) {
  const std::string& type = book_.schema.events[event].name;
  const auto names = field_names(event);
  Diagnostic& d = error(Code::unknown_field, span, "event " + quoted(type) + " has no field " + quoted(name));
  const NameEntry* entry = find_name(name);
  if (entry != nullptr && (entry->kind == NameKind::feature || entry->kind == NameKind::param)) {
    d.hints.push_back(quoted(name) + " is a " + (entry->kind == NameKind::feature ? "feature" : "param") +
                      " and no field: write it alone, `" + name + "`");
    return d;
  }
  d.under = did_you_mean(name, names);
  d.notes.push_back("fields of " + type + ": " + joined(names));
  return d;
}

// ---------------------------------------------------------------- keys

bool Checker::is_kind(const Type& type, std::string_view kind) const {
  if (type.kind == TypeKind::ip) return kind == "ip";
  return type.kind == TypeKind::entity && book_.schema.entities[type.entity] == kind;
}

std::optional<FieldIndex> Checker::computed_key(EventTypeId event, const ast::Key& key) {
  const std::string name = key_name(key);
  const auto known = computed_keys_.find({event, name});
  if (known != computed_keys_.end()) return known->second;
  ast::Expr call;
  call.kind = ast::ExprKind::call;
  call.span = key.span;
  call.text = key.name.text;
  call.text_span = key.name.span;
  call.children = key.arguments;
  Subject subject;
  subject.types = {{event, std::nullopt}};
  subject.name = book_.schema.events[event].name;
  Scope scope;
  scope.where = Where::counted;
  scope.subject = &subject;
  const Loudly loudly(silent_, nodes_);
  Typed value = check_whole(call, scope);
  if (value.poison) return std::nullopt;
  if (book_.schema.events[event].fields.size() >= fields_max) {
    error(Code::bad_event_declaration, key.span, "more than 2,000 fields in one event, computed keys included");
    return std::nullopt;
  }
  const FieldIndex index = unnamed_field(event, name, std::move(value.expr), key.span);
  computed_keys_[{event, name}] = index;
  return index;
}

/// A derived field that no rule can name: its name is no word.
FieldIndex Checker::unnamed_field(EventTypeId event, std::string name, Expr value, Span span) {
  event::EventType& type = book_.schema.events[event];
  const auto index = static_cast<FieldIndex>(type.fields.size());
  event::FieldDef def;
  def.name = std::move(name);
  def.type = value.type;
  def.optional = true;
  def.derived = true;
  type.fields.push_back(std::move(def));
  field_spans_[event].push_back(span);
  book_.derived.push_back({event, index, std::move(value)});
  return index;
}

std::optional<FieldIndex> Checker::resolve_key(const SubjectType& subject, const ast::Key& written, Span place,
                                               bool at_source) {
  if (written.is_call) return computed_key(subject.event, written);
  const ast::Name& key = written.name;
  const event::EventType& type = book_.schema.events[subject.event];
  if (!book_.schema.find_entity(key.text)) {
    const auto found = find_field(subject.event, key.text, key.span);
    if (found) return found->poison ? std::nullopt : std::optional(found->field);
    Diagnostic& d = error(Code::no_key_field, at_source ? key.span : place,
                          "event " + quoted(type.name) + " has no field " + quoted(key.text) + " to go by");
    auto names = field_names(subject.event);
    names.insert(names.end(), book_.schema.entities.begin(), book_.schema.entities.end());
    d.under = at_source ? did_you_mean(key.text, names) : "";
    d.notes.push_back("fields of " + type.name + ": " + joined(field_names(subject.event)));
    return std::nullopt;
  }
  if (subject.via && is_kind(type.fields[*subject.via].type, key.text)) return subject.via;
  std::vector<FieldIndex> fields;
  std::vector<std::string> names;
  for (FieldIndex i = 0; i < type.declared_count; ++i) {
    if (failed_fields_.contains({type.name, type.fields[i].name})) return std::nullopt;
    if (!is_kind(type.fields[i].type, key.text)) continue;
    fields.push_back(i);
    names.push_back(type.fields[i].name);
  }
  if (fields.size() == 1) return fields[0];
  if (fields.empty()) {
    Diagnostic& d = error(Code::no_key_field, at_source ? key.span : place,
                          "event " + quoted(type.name) + " has no " + key.text + " field");
    d.notes.push_back("fields of " + type.name + ": " + joined(field_names(subject.event)));
    if (!at_source) d.notes.push_back("what stands here is kept per " + key.text);
    return std::nullopt;
  }
  Diagnostic& d = error(
      Code::ambiguous_key, place,
      quoted(type.name) + " has " + number_word(fields.size()) + " " + key.text + " fields, " + and_joined(names));
  if (key.span != place) d.labels.push_back({key.span, "which one?"});
  std::vector<std::string> ways;
  for (const std::string& name : names) {
    ways.push_back("`" + type.name + " via " + name + "` " + (ways.empty() ? "takes it " : "") + "by its " + name);
  }
  d.hints.push_back(joined(ways));
  return std::nullopt;
}

bool Checker::resolve_keys(std::vector<Alternative>& alternatives, const std::vector<ast::Key>& keys,
                           std::vector<KeyPart>& parts, Span place) {
  const bool first_source = parts.empty();
  const auto fail = [&] {
    // Half a key would be taken for the whole by the next source.
    if (first_source) parts.clear();
    return false;
  };
  for (std::size_t a = 0; a < alternatives.size(); ++a) {
    Alternative& one = alternatives[a];
    one.key.clear();
    for (std::size_t k = 0; k < keys.size(); ++k) {
      const auto field = resolve_key({one.event, one.via}, keys[k], place, true);
      if (!field) return fail();
      const Type& type = field_def(one.event, *field).type;
      if (first_source && a == 0) {
        parts.push_back({key_name(keys[k]), type});
      } else if (parts[k].type != type) {
        error(Code::type_mismatch, keys[k].span,
              quoted(parts[k].name) + " is " + type_words(parts[k].type) + " in one event and " + type_words(type) +
                  " in " + quoted(book_.schema.events[one.event].name));
        return fail();
      }
      one.key.push_back(*field);
    }
  }
  return true;
}

}  // namespace tocsin::dsl::detail
