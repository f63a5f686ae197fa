// Whatever grows in this folder has its maximum here, with the reason. Reaching a limit of the text is refused when the
// pattern is compiled; reaching one of the data is counted, and the match that may have changed says `truncated` (P20).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tocsin::nfa {

/// A written sequence longer than this is a mistake; the search keeps its choice in arrays of this size.
inline constexpr std::size_t steps_max = 32;
/// Steps count once, the parts of `all of` and `any n of` each.
inline constexpr std::size_t slots_max = 64;
/// The bits of one program are kept in one word beside each occurrence; the highest one marks a late one.
inline constexpr std::size_t predicates_max = 63;
/// Values kept beside each occurrence for conditions across events: sixteen bytes each.
inline constexpr std::size_t values_max = 64;
/// S7: one completing event must not make an alert storm.
inline constexpr std::uint32_t every_max = 100;
/// The same for patterns of stages, of which every derivation is a match: an event behind forty others of a loop completes
/// as many matches as there are ways to leave some out. Of all that one event or moment completes or ends no more are put
/// out. The caller may say another number in Host; 0: as many as there are, as in Flink.
inline constexpr std::size_t moment_matches_max = 1000;
/// S9: what one program keeps for one key, the events in the key's log that it refers to included. Each program counts them in
/// full, so that what another one keeps changes nothing. The newest event is kept whatever its size. The caller may say another
/// number in Host.
inline constexpr std::size_t runs_bytes_max = std::size_t{1} << 20U;
/// Occurrences looked at in one search, about one millisecond: a condition that nothing satisfies must not stop the
/// stream.
inline constexpr std::int64_t search_visits_max = std::int64_t{1} << 19U;

/// Stages of one pattern, those in groups included: more is a mistake of who generated it.
inline constexpr std::size_t stages_max = 256;
/// Groups in groups: nobody reads deeper ones, and building them recurses.
inline constexpr std::size_t nesting_max = 16;
/// Counted stages are unrolled, groups in groups multiply: this is what one pattern may come to.
inline constexpr std::size_t positions_max = 4096;
inline constexpr std::size_t states_max = 16384;
inline constexpr std::size_t edges_max = std::size_t{1} << 18U;
/// The different conditions of a pattern of stages are bits of one word; the highest bit stands for "every event".
inline constexpr std::size_t conditions_max = 63;
/// Parts of an any-order stage: one position for each set of parts and its last one.
inline constexpr std::size_t any_order_max = 8;

static_assert(predicates_max < 64, "one bit of the word is the mark of the late");
static_assert(steps_max <= slots_max);

}  // namespace tocsin::nfa
