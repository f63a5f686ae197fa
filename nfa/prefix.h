// What several sequences of a key begin with, run once for all of them. A prefix is a program of its own: the steps in common,
// with all that stands between them, and behind them one that no event is. A member that has begun nothing else *rests*: it
// keeps nothing, and no event of the steps in common wakes it. It takes over what has begun when the steps in common are
// complete and an event comes that means something to it beyond them (join), runs by itself as if it had been awake
// from the beginning, and rests again when nothing is left that the prefix does not know (rest).
//
// That is prefix merging as in Cayuga (Demers, Gehrke, Hong, Riedewald, White, Towards Expressive Publish/Subscribe Systems,
// EDBT 2006) and YFilter (Diao et al., TODS 28(4), 2003), with a difference: members need not agree on what lies behind
// the steps in common, and neither on windows nor on what matches use up. The prefix has the longest window of its members and
// no floor (M): what began before either bound of a member is left behind when it joins. A member's floor, while it rests,
// stands with the prefix.
//
// Why a member that rests misses nothing. Let the steps in common be 1..k. Whatever it would keep of an event that is only one of
// those steps (or stands in a `no` in front of them, or is the `until`, which all members share) the prefix keeps too: it forgets
// later and uses nothing up. What is said of later steps, of `no` between them and of step k + 1 itself counts only
// for events behind the end of step k, and with the first of these it is woken. `next` is the exception: there every event of a
// stream that the member names counts from the beginning, and wakes it.
//
// The byte limit (P20) holds for a prefix as for a program. What it drops is missing to all members and counted for each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nfa/step.h"

namespace tocsin::nfa {

struct Prefix {
  struct Member {
    std::uint32_t program = 0;       // its number among those given to share_prefixes()
    std::uint64_t wakes = 0;         // its bits: an event with one of them may be its own business
    std::vector<std::uint8_t> bits;  // which of its own a bit of the prefix is, by number; empty: the same
  };
  Program program;            // its fingerprint names the members too
  std::uint64_t meaning = 0;  // of the steps in common alone: who has the same one reads what has begun of it
  std::uint32_t steps = 0;    // in common
  bool has_next = false;      // one of them is `next`
  std::vector<Member> members;
};

/// A program that may share.
struct Sharer {
  Program* program = nullptr;  // learns that it does
  std::vector<std::uint64_t>
      context;  // of each step, and of `no` in front of it, what else must be equal: where events come from
};

/// Each program gets into one prefix at most: the longest that it has in common with another one. Claimed are sequences that
/// `exists` without conditions across events, or `search`, runs; not those whose common steps may all be empty.
std::vector<Prefix> share_prefixes(std::span<Sharer> sharers);

/// What has begun of a prefix under a key, and from where its resting members may begin.
struct PrefixBody final : RunsBody {
  struct UsedUp {
    std::uint32_t member = 0;  // in Prefix::members
    Place floor;
  };
  explicit PrefixBody(Engine whose) : RunsBody(whose) {}
  [[nodiscard]] bool empty() const override { return begun.empty(); }
  void events(std::vector<std::uint64_t>& out) const override { nfa::events(begun, out); }
  [[nodiscard]] std::size_t bytes() const override;
  [[nodiscard]] std::optional<Timestamp> next_deadline() const override { return std::nullopt; }
  [[nodiscard]] std::optional<std::uint64_t> oldest_needed() const override { return nfa::oldest_needed(begun); }
  [[nodiscard]] std::optional<Timestamp> expires_at(const Program& program) const override;
  [[nodiscard]] std::vector<Timestamp> deadlines() const override { return {}; }
  void prefetch() const override;
  void encode(const Program& program, ByteWriter& out) const override;

  [[nodiscard]] Place floor_of(std::uint32_t member) const;
  void set_floor(std::uint32_t member, Place floor);

  Runs begun;
  std::vector<UsedUp> used_up;  // by member; those who may begin with all that is there are not named
};

/// As nfa::step(), for what has begun of the prefix. Requires: each member that the event concerns was stepped before.
bool prefix_step(const Prefix& prefix, Runs& shared, const Occurrence& occurrence, Host& host);

/// Before a member is stepped that rests: takes over what has begun, if the event is its own business. False: it is not, and the
/// member must not be stepped. `now`: the event's time; of a late one the watermark.
bool join(const Prefix& prefix, std::uint32_t member, const Program& program, const Runs& shared, Runs& own,
          const Occurrence& occurrence, Timestamp now);
/// The same without an event: before the prefix goes.
void join_all(const Prefix& prefix, std::uint32_t member, const Program& program, const Runs& shared, Runs& own,
              Timestamp now);
/// After the prefix was stepped, and after advance() of the member: lets the member rest if the prefix knows all that it has begun.
/// `shared`: nullptr if nothing has begun. `is_over`: all that the member has begun is (nfa::expires_at).
void rest(std::uint32_t member, const Program& program, Runs* shared, Runs& own, bool is_over = false);

/// Of runs that other rules have begun: what is about more than the steps in common is known anew, for these may be others now.
void note_beyond(const Program& program, Runs& own);

/// Behind all that has begun: from where on a member begins that was none until now.
Place end_of(const Prefix& prefix, const Runs& shared);

/// Nothing when the bytes are not those of a body of this prefix.
std::unique_ptr<RunsBody> decode_prefix(const Program& program, ByteReader& in);

}  // namespace tocsin::nfa
