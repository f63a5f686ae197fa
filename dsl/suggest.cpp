// Which name was probably meant. Close means one or two slips of the hand: a letter too many, too few, wrong, or two
// swapped.
#include <algorithm>
#include <array>

#include "dsl/diagnostic.h"

namespace tocsin::dsl {
namespace {

/// Names longer than this are compared only by their letters: a table of distances must not grow with the input.
constexpr std::size_t name_size_max = 64;

/// Edit distance with swaps of neighbours (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, name_size_max + 1>;
  Row before_last{};
  Row last{};
  Row row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + differs});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

std::string sorted_letters(std::string_view text) {
  std::string letters(text);
  std::erase(letters, '_');
  std::sort(letters.begin(), letters.end());
  return letters;
}

}  // namespace

std::string nearest_name(std::string_view wrong, const std::vector<std::string>& candidates) {
  if (wrong.empty() || wrong.size() > name_size_max) return {};
  // In a word of three letters two slips leave nothing of it.
  const std::size_t distance_max = wrong.size() <= 3 ? 1 : 2;
  const std::string letters = sorted_letters(wrong);
  std::string best;
  std::size_t best_distance = distance_max + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > name_size_max || candidate == wrong) continue;
    std::size_t d = distance(wrong, candidate);
    if (d > distance_max && sorted_letters(candidate) == letters) d = distance_max;
    if (d < best_distance || (d == best_distance && !best.empty() && candidate < best)) {
      best = candidate;
      best_distance = d;
    }
  }
  return best_distance <= distance_max ? best : std::string();
}

}  // namespace tocsin::dsl
