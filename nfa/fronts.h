// The engine `exists` for sequences whose steps compare values with earlier steps: chains found by the values that later
// steps will ask for, and of those only the ones that no newer chain can replace. An event costs one look-up per step it
// may be, and a binary search where chains are compared, whatever the number of begun matches.
//
// Equality. Conditions `b.x == a.x` join values of steps into classes (transitively); all values of a class are equal in a
// match, and none is missing. A class lives from the first step that has a value in it to the last. When every step in
// between has one too, an event knows all that was remembered before it and later asked for: its chains are found by one
// look-up under this tuple, as PCEA does with equality-correlated patterns (Pinto, Riveros, arXiv 2408.01652).
//
// Which chains. Chains of one step and tuple are a front, from its newest event downwards; a chain stays in it only as long
// as some later event could prefer it (C2: the newest event of each step, from the last one back):
// - `newest`. As long as no class has ended and nothing was compared, the chain of a newer event begins no earlier than
//   that of an older one: the argument of nfa/exists.h, within a tuple. One chain is the front.
// - `starts`. Where a class has ended, events with different pasts meet under one tuple, and the newest may have begun
//   earlier. It is preferred until its beginning is over (window, what is used up, `until`: all of them one bound that only
//   rises); then the next older one that begins later. So an older chain stays only if it begins later: a stack whose
//   beginnings fall towards the newest, and what dies, dies at its top.
// - `values`. Of the events that a comparison asks for, `c.x > a.x`, an older one stays only if its value is smaller: a
//   stack of rising values (for `!=` the newest two that differ). Their beginnings are in the order of the events, for no
//   class ends and nothing else is compared before; so the newest event whose value satisfies the comparison is the right
//   one, and if its beginning is over, so are those of all older ones.
//
// Taking a whole front. An event of the next step makes chains with every chain of the front that stands: it points to its
// top and copies nothing. A front is a persistent stack (an event points to the next older one; newer tops do not change
// it), and a jump pointer beside that finds the first that satisfies something in logarithmic time (Myers, "An applicative
// random-access stack", IPL 17, 1983). Steps between the two that are compared keep the newest: it took a later state of
// the front, which has, for whatever value, no older answer. For `starts` the newest beginning of what an event took says
// until when it matters; a gap leaves of the stack it took what is near enough, which is its upper part. The shared stack is
// that of SASE (active instance stacks) and of CORE's enumerable sets; here it never has to be enumerated.
//
// Not claimed, beside what exists.h names: a second comparison, an equality that ends before the comparison, a gap between
// the event that is asked for and the next step when the asking one comes later (each would need fronts in two dimensions);
// a value that a step between neither has nor asks for (its chains would have to be looked for under all values).
//
// Memory. Events are kept in their order, with all that stands; what no front and no waiting match reaches is swept when as
// much has come as was alive before. Beyond the byte limit the oldest event goes and with it every chain that began no later
// than it, by the same rising bound. A body belongs to one key and is touched by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa {

struct FrontsBody final : RunsBody {
  /// An event as the last of its chains. Numbers below `first` are nobody's: what they named is over.
  struct Node {
    Bound event;
    Place start;               // the newest beginning of its chains
    std::uint32_t below = 0;   // the next older one of the front it joined
    std::uint32_t jump = 0;    // further down, for searches
    std::uint32_t before = 0;  // the top of the front it took; of a comparison with the step before: the one found
    std::uint32_t depth : 24 = 0;
    std::uint32_t step : 6 = 0;
    std::uint32_t reached : 2 = 0;  // during a sweep
    std::uint32_t log_bytes = 0;    // what the log holds for the event
  };
  static_assert(sizeof(Node) == 64);

  /// A last event whose match is decided at a deadline.
  struct Waiting {
    Bound last;
    Place from;  // its match begins no earlier
    Value value = missing_value;
    std::uint32_t before = 0;
    std::uint32_t log_bytes = 0;
  };

  FrontsBody();
  [[nodiscard]] bool empty() const override {
    return first == nodes.size() && waiting_head == waiting.size() && cut == Place{} && lost_until == Timestamp::min();
  }
  void events(std::vector<std::uint64_t>& out) const override;
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override;
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override;
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::vector<Timestamp> deadlines() const override;
  void prefetch() const override;
  void encode(const Program& program, ByteWriter& out) const override;

  std::vector<Node> nodes;          // in the order of events; [0] stands for none
  std::vector<Value> values;        // of nodes[i] at i * width: what it tells, and last what is compared
  std::uint32_t first = 1;          // nodes before it are gone
  std::vector<std::uint32_t> tops;  // of all fronts, by hash of step and tuple; 0: free. A power of two of them
  std::uint32_t top_count = 0;
  std::vector<Waiting> waiting;  // from waiting_head on, in the order of their last events
  std::size_t waiting_head = 0;
  Duration wait;  // from the last event to the deadline
  Place floor;    // a match begins at or after it (M)
  Place until;    // the newest U: what began before it is ended
  Place cut;      // what began before it was dropped by the byte limit, while a match may miss it
  Timestamp lost_until = Timestamp::min();  // a waiting match that was dropped might have used up what begins till then
  std::uint32_t alive_count = 0;            // after the last sweep
  std::uint32_t fresh_count = 0;            // nodes since
  /// What the log holds (Host::event_bytes) for the nodes and for what waits; an event that is of two steps counts for each.
  std::uint64_t node_log_bytes = 0;
  std::uint64_t waiting_log_bytes = 0;
  bool counted = true;  // false: just read from a store, nobody has asked for them yet
};

/// Empty when fronts give exactly the matches of the program, and `plan` says how; else why not, in the words of a pattern.
/// Requires: the program has conditions across events.
std::string plan_fronts(const Program& program, bool refuses, Program::Fronts& plan);
std::string why_fronts(const Program& program);
/// How the program answers a condition, in words.
const char* class_of(const Program& program, const Program::Condition& condition);

/// The work of step() and advance() for this body. True when the runs hold on to the occurrence.
bool fronts_step(const Program& program, Runs& runs, const Occurrence& occurrence, std::uint64_t bits, Host& host,
                 std::vector<Match>& out);
void fronts_advance(const Program& program, FrontsBody& body, Timestamp time, Host& host, std::vector<Match>& out);

/// Nothing when the bytes are not those of a body of this program.
std::unique_ptr<RunsBody> decode_fronts(const Program& program, ByteReader& in);

}  // namespace tocsin::nfa
