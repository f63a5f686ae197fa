// Every aggregate over every window through rule text and the engine, events out of order within the lateness, several shards and
// batches: what the hits say is what counting all events anew says.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "tests/engine/rules_of.h"
#include "tests/reference/windows.h"
#include "tests/support/stream.h"

namespace tocsin::tests {
namespace {

using event::Type;
using event::TypeKind;
using event::Value;
using state::Function;
using state::Reach;
using state::Window;

struct Asked {
  std::string text;  // `stddev(v)`
  Function function;
  bool gaps = false;
  std::int64_t percent = 0;
  std::int64_t per_seconds = 0;  // of `rate`: the count is per so many
};
/// The value looked for in a set.
const Value sought = Value::of_integer(3);
const std::vector<Asked> functions = {
    {"count", Function::count},
    {"sum(v)", Function::sum},
    {"avg(v)", Function::avg},
    {"min(v)", Function::min},
    {"max(v)", Function::max},
    {"distinct(v)", Function::distinct},
    {"first(v)", Function::first},
    {"last(v)", Function::last},
    {"variance(v)", Function::variance},
    {"stddev(v)", Function::stddev},
    {"cv(v)", Function::cv},
    {"entropy(v)", Function::entropy},
    {"median(v)", Function::percentile, false, 50},
    {"percentile(90, v)", Function::percentile, false, 90},
    {"sum(gaps(seen))", Function::sum, true},
    {"avg(gaps(seen))", Function::avg, true},
    {"min(gaps(seen))", Function::min, true},
    {"stddev(gaps(seen))", Function::stddev, true},
    {"cv(gaps(seen))", Function::cv, true},
    {"median(gaps(seen))", Function::percentile, true, 50},
    {"max(gaps(seen))", Function::max, true},
    {"distinct(gaps(seen))", Function::distinct, true},
    {"entropy(gaps(seen))", Function::entropy, true},
    {"3 in set(v)", Function::holds},
    {"rate(7s)", Function::count, false, 0, 7},
};

struct Stretch {
  std::string text;
  Window window;
};
const std::vector<Stretch> stretches = {
    {"in last 20s", {.reach = Reach::last, .length = Duration::seconds(20)}},
    {"in 20s before", {.reach = Reach::before, .length = Duration::seconds(20)}},
    {"in 30s ending 7s before", {.reach = Reach::before, .length = Duration::seconds(30), .gap = Duration::seconds(7)}},
    {"in calendar hour \"Asia/Kolkata\"",
     {.reach = Reach::calendar, .unit = event::CalendarUnit::hour, .zone = event::find_zone("Asia/Kolkata")}},
    {"since last x", {.reach = Reach::since, .length = Duration::days(366)}},
};

struct Probe {
  std::string name;
  Asked asked;
  Window window;
  std::string text;
};

std::vector<Probe> probes() {
  std::vector<Probe> all;
  for (const Stretch& stretch : stretches) {
    for (const Asked& asked : functions) {
      const bool is_fixed = stretch.window.reach == Reach::last || stretch.window.reach == Reach::before;
      if (asked.per_seconds != 0 && !is_fixed) continue;  // refused
      Probe probe{"q" + std::to_string(all.size()), asked, stretch.window,
                  asked.text + " from a per user " + stretch.text};
      probe.window.function = asked.function;
      probe.window.gaps = asked.gaps;
      probe.window.percent_e9 = static_cast<std::uint64_t>(asked.percent) * 1'000'000'000U;
      all.push_back(probe);
    }
  }
  return all;
}

std::string rules() {
  std::string text = R"(
entity user
event a { key id : string  time at : time  user : user  v : decimal optional  seen : time optional }
event b { key id : string  time at : time  user : user }
event x { key id : string  time at : time  user : user }
rule asked on b {
)";
  for (const Probe& probe : probes()) text += "  let " + probe.name + " = " + probe.text + "\n";
  return text + "  when q0 >= 0\n}\n";
}

struct Sent {
  Timestamp at;
  char type = 'a';
  std::string id;
  std::string user;
  std::optional<std::int64_t> v;  // in thousandths
  std::optional<Timestamp> seen;
  std::string line() const {
    std::string text = std::string(R"({"type":")") + type + R"(","id":")" + id + R"(","at":")" + to_text(at) +
                       R"(","user":")" + user + "\"";
    if (v) text += ",\"v\":" + to_text(Decimal{Int128{*v} * 1'000'000});
    if (seen) text += ",\"seen\":\"" + to_text(*seen) + "\"";
    return text + "}";
  }
};

}  // namespace

TEST_CASE("windows of rules are what a recount says, whatever came out of order within the lateness") {
  static const std::shared_ptr<const engine::Ruleset> ruleset = rules_of(rules());
  static const std::vector<Probe> all = probes();
  CHECK(rc::check("recount", [] {
    std::vector<Sent> arrivals;
    // Half past the hour is a full hour in India.
    std::int64_t now = parse_timestamp("2026-01-05T10:29:30Z")->us;
    const int count = *rc::gen::inRange(1, 70);
    for (int i = 0; i < count; ++i) {
      now += *rc::gen::element<std::int64_t>(0, 1, 999'999, 1'000'000, 3'000'000, 7'000'000, 13'000'000);
      Sent sent;
      sent.at = {now - *rc::gen::weightedElement<std::int64_t>({{4, 0}, {1, 1}, {1, 1'000'000}, {1, 9'999'999}})};
      sent.type = *rc::gen::weightedElement<char>({{6, 'a'}, {4, 'b'}, {1, 'x'}});
      sent.id = std::string(1, sent.type) + std::to_string(i);
      sent.user = *rc::gen::weightedElement<std::string>({{3, "u1"}, {1, "u2"}});
      if (sent.type == 'a' && *rc::gen::inRange(0, 6) > 0) {
        sent.v = *rc::gen::weightedOneOf<std::int64_t>(
            {{5, rc::gen::inRange<std::int64_t>(-3000, 9000)}, {1, rc::gen::just<std::int64_t>(3000)}});
      }
      if (sent.type == 'a' && *rc::gen::inRange(0, 5) > 0) {
        sent.seen = Timestamp{sent.at.us + *rc::gen::inRange<std::int64_t>(-2'000'000, 1)};
      }
      arrivals.push_back(sent);
    }
    engine::EngineOptions options = Stream::complete();
    options.lateness = {Duration::seconds(10)};
    options.shards = static_cast<std::uint32_t>(*rc::gen::element(1, 3));
    Stream stream(ruleset, options, static_cast<std::size_t>(*rc::gen::element(1, 7, 512)));
    for (const Sent& sent : arrivals) stream.send(sent.line());
    stream.advance({now + Duration::hours(1).us});
    stream.end();

    std::map<std::string, const replay::Json*> hits;
    for (const replay::Json& hit : stream.output().hits) hits[hit["events"].items.front()["id"].text] = &hit;
    std::vector<Sent> ordered = arrivals;
    std::stable_sort(ordered.begin(), ordered.end(), [](const Sent& x, const Sent& y) { return x.at < y.at; });
    std::size_t asked = 0;
    for (std::size_t i = 0; i < ordered.size(); ++i) {
      if (ordered[i].type != 'b') continue;
      ++asked;
      RC_ASSERT(hits.contains(ordered[i].id));
      const replay::Json& values = (*hits[ordered[i].id])["values"];
      for (const Probe& probe : all) {
        const TypeKind kind = probe.asked.gaps ? TypeKind::time : TypeKind::decimal;
        std::vector<Fact> facts;
        for (std::size_t k = 0; k < ordered.size(); ++k) {
          if (ordered[k].user != ordered[i].user || ordered[k].type == 'b') continue;
          const bool mark = ordered[k].type == 'x';
          if (mark && probe.window.reach != Reach::since) continue;
          Value value;
          if (ordered[k].v && !probe.asked.gaps) value = Value::of_number({Int128{*ordered[k].v} * 1'000'000});
          if (ordered[k].seen && probe.asked.gaps) value = Value::of_time(*ordered[k].seen);
          facts.push_back({{ordered[k].at, k + 1}, value, mark});
        }
        Type type{kind, 0, 0, {}};
        Value expected = recount(type, facts, probe.window, {{ordered[i].at, i + 1}, Timestamp::min(), &sought, false});
        if (probe.asked.per_seconds != 0) {
          const Decimal in_window = Decimal::from_integer(probe.window.length.us / 1'000'000);
          const Int128 seconds = expected.number().units * probe.asked.per_seconds;
          expected = Value::of_number(*divide({seconds}, in_window));
        }
        Type shown{TypeKind::decimal, 0, 0, {}};
        if (expected.kind == event::Kind::duration) shown.kind = TypeKind::duration;
        if (expected.kind == event::Kind::boolean) shown.kind = TypeKind::boolean;
        const std::string text = event::json_text(expected, shown, ruleset->schema);
        std::string got = "null";
        const replay::Json& found = values[probe.name];
        if (found.kind == replay::Json::Kind::string) {
          got = '"' + found.text + '"';
        } else if (found.kind != replay::Json::Kind::null) {
          got = found.text;
        }
        if (got != text) RC_LOG() << probe.asked.text << " window " << probe.name << " at " << ordered[i].id << '\n';
        RC_ASSERT(got == text);
      }
    }
    RC_ASSERT(hits.size() == asked);
  }));
}

}  // namespace tocsin::tests
