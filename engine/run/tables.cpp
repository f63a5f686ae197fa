#include "engine/run/tables.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>

#include "base/hash.h"

namespace tocsin::engine {

using event::Network;
using event::Value;

namespace {

std::uint64_t hash_of_network(const Network& n) { return hash_mix(hash_mix(n.prefix, n.high), n.low); }

std::uint64_t hash_of_key(std::span<const Value> key) {
  std::uint64_t hash = 0;
  for (const Value& part : key) hash = hash_mix(hash, event::hash_of(part));
  return hash;
}

bool same_network(const Network& a, const Network& b) {
  return a.prefix == b.prefix && a.high == b.high && a.low == b.low;
}

/// The network of this length that the address lies in.
Network cut(const Value& ip, std::uint8_t prefix) {
  Network n{ip.high, ip.low, prefix};
  if (prefix <= 64) {
    n.low = 0;
    n.high = prefix == 0 ? 0 : n.high & (~std::uint64_t{0} << (64U - prefix));
  } else if (prefix < 128) {
    n.low &= ~std::uint64_t{0} << (128U - prefix);
  }
  return n;
}

}  // namespace

void TableRows::add(const TableRow& row) {
  from_.push_back(row.from);
  cells_.insert(cells_.end(), row.cells.begin(), row.cells.end());
  cells_.resize(from_.size() * width_);
  if (by_network_) networks_.push_back(row.network);
}

TableRow TableRows::row(std::size_t i) const {
  TableRow row{from_[i], std::span(cells_).subspan(i * width_, width_), {}};
  if (by_network_) row.network = networks_[i];
  return row;
}

std::uint64_t TableRows::hash_of_row(std::size_t row) const {
  return by_network_ ? hash_of_network(networks_[row]) : hash_of_key(std::span(cells_).subspan(row * width_, keys_));
}

bool TableRows::same_key(std::size_t a, std::size_t b) const {
  if (by_network_) return same_network(networks_[a], networks_[b]);
  for (std::size_t i = 0; i < keys_; ++i) {
    if (!event::same(cells_[a * width_ + i], cells_[b * width_ + i])) return false;
  }
  return true;
}

void TableRows::seal() {
  const std::size_t rows = from_.size();
  std::vector<std::uint64_t> hashes(rows);
  for (std::size_t i = 0; i < rows; ++i) hashes[i] = hash_of_row(i);
  order_.resize(rows);
  std::iota(order_.begin(), order_.end(), 0U);
  // Keys whose hashes are equal by chance are told apart by the first row each came with.
  std::sort(order_.begin(), order_.end(),
            [&](std::uint32_t a, std::uint32_t b) { return std::tie(hashes[a], a) < std::tie(hashes[b], b); });
  for (std::size_t begin = 0; begin < rows;) {
    std::size_t end = begin;
    while (end < rows && hashes[order_[end]] == hashes[order_[begin]]) ++end;
    for (std::size_t group = begin; group < end;) {
      const std::uint32_t first = order_[group];
      const auto rest = std::stable_partition(order_.begin() + static_cast<std::ptrdiff_t>(group),
                                              order_.begin() + static_cast<std::ptrdiff_t>(end),
                                              [&](std::uint32_t row) { return same_key(row, first); });
      const auto next = static_cast<std::size_t>(rest - order_.begin());
      std::stable_sort(order_.begin() + static_cast<std::ptrdiff_t>(group), rest,
                       [&](std::uint32_t a, std::uint32_t b) { return from_[a] < from_[b]; });
      group = next;
    }
    begin = end;
  }
  slots_.assign(std::bit_ceil(rows * 2 + 1), {});
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t begin = 0; begin < rows;) {
    std::size_t end = begin + 1;
    while (end < rows && same_key(order_[begin], order_[end])) ++end;
    const std::uint64_t hash = hashes[order_[begin]];
    std::size_t at = hash & mask;
    while (slots_[at].count != 0) at = (at + 1) & mask;
    slots_[at] = {hash, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin)};
    begin = end;
  }
  prefixes_.clear();
  for (const Network& n : networks_) prefixes_.push_back(n.prefix);
  std::sort(prefixes_.begin(), prefixes_.end(), std::greater<>());
  prefixes_.erase(std::unique(prefixes_.begin(), prefixes_.end()), prefixes_.end());
}

TableRows::Found TableRows::find_hashed(std::uint64_t hash, std::span<const Value> key, const Network* network,
                                        Timestamp moment) const {
  if (slots_.empty()) return {};
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at].count != 0; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.hash != hash) continue;
    const std::uint32_t first = order_[slot.begin];
    const bool equal = network != nullptr
                           ? same_network(networks_[first], *network)
                           : std::equal(key.begin(), key.end(),
                                        cells_.begin() + static_cast<std::ptrdiff_t>(first * width_), event::same);
    if (!equal) continue;
    const auto begin = order_.begin() + slot.begin;
    const auto later = std::upper_bound(begin, begin + slot.count, moment,
                                        [&](Timestamp m, std::uint32_t row) { return m < from_[row]; });
    if (later == begin) return {};
    const std::uint32_t row = *(later - 1);
    return {&cells_[row * width_] + keys_, from_[row], network != nullptr ? network->prefix : -1};
  }
  return {};
}

TableRows::Found TableRows::find(std::span<const Value> key, Timestamp moment) const {
  if (!by_network_) return find_hashed(hash_of_key(key), key, nullptr, moment);
  if (key.front().kind != event::Kind::ip) return {};
  for (const std::uint8_t prefix : prefixes_) {
    const Network network = cut(key.front(), prefix);
    const Found found = find_hashed(hash_of_network(network), key, &network, moment);
    if (found.columns != nullptr) return found;
  }
  return {};
}

void TableState::add(const TableShape& shape, const TableRow& row) {
  if (!changes_) changes_ = std::make_unique<TableRows>(shape.keys.size(), shape.width(), shape.by_network);
  std::vector<Value> cells(row.cells.begin(), row.cells.end());
  cells.resize(shape.width());
  for (Value& cell : cells) {
    if (cell.kind != event::Kind::text) continue;
    texts_.push_back(std::make_unique<std::string>(cell.text()));
    cell = Value::of_text(*texts_.back());
  }
  changes_->add({row.from, cells, row.network});
  unsettled_ = true;
}

Value TableState::find(std::span<const Value> key, std::size_t column, Timestamp moment) const {
  for (const Value& part : key) {
    if (part.is_missing() || part.bound != event::Bound::exact) return {};
  }
  const TableRows::Found below = base_ ? base_->find(key, moment) : TableRows::Found{};
  const TableRows::Found above = changes_ ? changes_->find(key, moment) : TableRows::Found{};
  if (above.columns == nullptr && below.columns == nullptr) return {};
  const bool over = above.columns != nullptr && (below.columns == nullptr || above.prefix > below.prefix ||
                                                 (above.prefix == below.prefix && above.from >= below.from));
  return (over ? above : below).columns[column];
}

}  // namespace tocsin::engine
