#include "state/log_scale.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::state {
namespace {

using Uint128 = unsigned __int128;
constexpr Uint128 million = 1'000'000;
constexpr Uint128 largest = ~static_cast<Uint128>(0) >> 1U;

/// v * numerator / denominator rounded down, without a product of more than 128 bits. Requires: the result fits.
Uint128 scaled(Uint128 v, Uint128 numerator, Uint128 denominator) {
  return v / denominator * numerator + v % denominator * numerator / denominator;
}

}  // namespace

LogScale::LogScale(std::uint32_t error_ppm) {
  TOCSIN_CHECK(error_ppm > 0);
  TOCSIN_CHECK(error_ppm <= 200'000, error_ppm);
  const Uint128 error = error_ppm;
  // From the smallest x of a class to what stands for it, m = x (1 + e), and on to the largest that m still stands for, m / (1 - e).
  // Up to the largest number all of this stays below 1.5 * 2^127.
  for (Uint128 first = 1; first <= largest;) {
    const Uint128 middle = first + scaled(first, error, million);
    first_.push_back(static_cast<Int128>(first));
    middle_.push_back(static_cast<Int128>(std::min(middle, largest)));
    first = scaled(middle, million, million - error) + 1;
  }
}

std::int32_t LogScale::class_of(Int128 v) const {
  if (v == 0) return 0;
  const Uint128 size = v < 0 ? ~static_cast<Uint128>(v) + 1 : static_cast<Uint128>(v);
  const auto after = std::upper_bound(first_.begin(), first_.end(), static_cast<Int128>(std::min(size, largest)));
  const auto index = static_cast<std::int32_t>(after - first_.begin());
  return v < 0 ? -index : index;
}

Int128 LogScale::middle_of(std::int32_t index) const {
  if (index == 0) return 0;
  const Int128 middle = middle_[static_cast<std::size_t>(index < 0 ? -index : index) - 1];
  return index < 0 ? -middle : middle;
}

void ClassCounts::add(std::int32_t index) {
  ++size_;
  const auto at = std::lower_bound(counts_.begin(), counts_.end(), index,
                                   [](const Count& count, std::int32_t i) { return count.index < i; });
  if (at != counts_.end() && at->index == index) {
    ++at->count;
  } else {
    counts_.insert(at, {index, 1});
  }
}

void ClassCounts::remove(std::int32_t index) {
  const auto at = std::lower_bound(counts_.begin(), counts_.end(), index,
                                   [](const Count& count, std::int32_t i) { return count.index < i; });
  TOCSIN_CHECK(at != counts_.end());
  TOCSIN_CHECK(at->index == index, index);
  --size_;
  if (--at->count == 0) counts_.erase(at);
}

std::int32_t ClassCounts::at(std::uint64_t rank) const {
  TOCSIN_CHECK(rank >= 1);
  TOCSIN_CHECK(rank <= size_, rank, size_);
  std::uint64_t left = rank;
  for (const Count& count : counts_) {
    if (left <= count.count) return count.index;
    left -= count.count;
  }
  return 0;
}

void ClassCounts::clear() {
  counts_.clear();
  counts_.shrink_to_fit();
  size_ = 0;
}

}  // namespace tocsin::state
