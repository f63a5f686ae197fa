// Steps of a stream that takes an event under several roles: the same as if each role had sent an event of its own.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "tests/engine/rules_of.h"
#include "tests/support/stream.h"

namespace tocsin::tests {
namespace {

const char* const of_two = R"(
entity account
event t { key id : string  time at : time  sender : account  recipient : account  v : int }
stream outgoing = t via sender
stream incoming = t via recipient
stream moved = t via sender where v > 0, t via recipient where v > 1
)";
const char* const of_one = R"(
entity account
event t { key id : string  time at : time  account : account  out : bool  v : int }
stream outgoing = t where out
stream incoming = t where not out
stream moved = t where (out and v > 0) or (not out and v > 1)
)";
const char* const rules = R"(
feature seen = count from moved per account in last 30s
rule row per account { sequence within 1m { exactly 2 consecutive moved as m where m.v < 3 } because "{m.v} {seen}" }
rule group per account { sequence within 1m { at least 2 moved as m where seen >= 2 and account != "a0" then outgoing as o } because "{m.v} {o.v}" }
rule first per account { sequence within 1m { outgoing as o then first moved as m where m.v >= o.v } because "{o.v} {m.v}" }
rule next_one per account { sequence within 1m { moved as m then next moved as n where n.v > m.v } because "{m.v} {n.v}" }
rule parts per account { sequence within 1m { all of { outgoing as o; moved as m where seen < 4 } then incoming as i } because "{o.v} {m.v} {i.v}" }
rule absent per account { sequence { outgoing as o then no moved where v > 2 for 10s } because "{o.v}" }
rule until_big per account { sequence within 1m { at least 2 outgoing as o until moved where v == 3 } after match continue because "{o.v}" }
)";

std::vector<std::string> hits_of(Stream& stream) {
  stream.end();
  stream.advance(*parse_timestamp("2026-01-05T12:00:00Z"));
  std::vector<std::string> lines;
  for (const replay::Json& hit : stream.output().hits) {
    lines.push_back(hit["at"].text + " " + hit["rule"].text + " " + hit["key"]["account"].text + ": " +
                    hit["because"].text);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

TEST_CASE("an event under two roles is what two events are, one for each") {
  const auto two = rules_of(std::string(of_two) + rules);
  const auto one = rules_of(std::string(of_one) + rules);
  std::size_t hits = 0;
  CHECK(rc::check("two roles = two events", [&] {
    Stream as_one(one, Stream::complete());
    Stream as_two(two, Stream::complete());
    Timestamp at = *parse_timestamp("2026-01-05T10:00:00Z");
    const int count = *rc::gen::inRange(1, 40);
    for (int i = 0; i < count; ++i) {
      at = at + Duration::seconds(*rc::gen::element<std::int64_t>(0, 1, 3, 8, 20));
      const int from = *rc::gen::inRange(0, 3);
      const int to = (from + *rc::gen::inRange(1, 3)) % 3;  // never to itself: to one account an event belongs once
      const std::string v = std::to_string(*rc::gen::inRange(0, 4));
      const std::string head = R"({"type":"t","id":"e)" + std::to_string(i);
      const std::string tail = R"(","at":")" + to_text(at) + R"(","v":)" + v;
      const auto account = [](const char* field, int n) {
        return std::string(",\"") + field + "\":\"a" + std::to_string(n) + "\"";
      };
      as_two.send(head + tail + account("sender", from) + account("recipient", to) + "}");
      as_one.send(head + "s" + tail + account("account", from) + R"(,"out":true})");
      as_one.send(head + "r" + tail + account("account", to) + R"(,"out":false})");
    }
    const std::vector<std::string> expected = hits_of(as_one);
    hits += expected.size();
    RC_ASSERT(hits_of(as_two) == expected);
  }));
  CHECK(hits > 100);
}

}  // namespace tocsin::tests
