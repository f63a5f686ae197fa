// From the bytes of a key to what is remembered of it: an open-addressing table of eight-byte places over nodes in
// chunks. A node never moves while it lives, so references to its value stay good until the key is erased. The caller
// computes the hash (hash64 of the bytes) once and may prefetch for a batch before it goes through it.
//
// Iteration order is the order of the nodes: that of insertion, except that a new key may take the node of an erased
// one. It depends on the operations only, not on addresses or hashes; who writes output sorts (for_each_sorted). One
// owner, one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/large_pages.h"

namespace tocsin::state {

template <typename T>
class KeyTable {
 public:
  static constexpr std::uint32_t keys_max = 1U << 31U;  // node numbers are 32 bits

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// Brings the place of a key into the cache; some dozen keys ahead of find() is enough.
  void prefetch(std::uint64_t hash) const {
    if (!places_.empty()) __builtin_prefetch(&places_[hash & mask()]);
  }
  /// Brings the node the first place points at into the cache; after prefetch() has had its time.
  void prefetch_value(std::uint64_t hash) const {
    if (places_.empty()) return;
    const Place place = places_[hash & mask()];
    if (place.node == 0 || place.tag != tag_of(hash)) return;
    const char* first = reinterpret_cast<const char*>(&node(place.node - 1));
    for (std::size_t at = 0; at < sizeof(Node); at += 64) __builtin_prefetch(first + at);
    __builtin_prefetch(first + sizeof(Node) - 1);
  }

  T* find(std::uint64_t hash, std::string_view key) {
    if (places_.empty()) return nullptr;
    const Place& place = places_[locate(hash, key)];
    return place.node == 0 ? nullptr : &*node(place.node - 1).value;
  }
  const T* find(std::uint64_t hash, std::string_view key) const { return const_cast<KeyTable*>(this)->find(hash, key); }

  /// The key's value; a new key gets T().
  T& get_or_create(std::uint64_t hash, std::string_view key) {
    if ((size_ + 1) * 4 > places_.size() * 3) grow();
    Place& place = places_[locate(hash, key)];
    if (place.node != 0) return *node(place.node - 1).value;
    const std::uint32_t number = take_node();
    Node& fresh = node(number);
    fresh.key.assign(key);
    fresh.hash = hash;
    fresh.value.emplace();
    place = {tag_of(hash), number + 1};
    ++size_;
    return *fresh.value;
  }

  /// False when the key is not in.
  bool erase(std::uint64_t hash, std::string_view key) {
    if (places_.empty()) return false;
    std::size_t gap = locate(hash, key);
    if (places_[gap].node == 0) return false;
    const std::uint32_t number = places_[gap].node - 1;
    // Later places of the same run move back, so that searches need no marks of what was erased.
    for (std::size_t i = (gap + 1) & mask(); places_[i].node != 0; i = (i + 1) & mask()) {
      const std::size_t home = node(places_[i].node - 1).hash & mask();
      if (((i - home) & mask()) >= ((i - gap) & mask())) {
        places_[gap] = places_[i];
        gap = i;
      }
    }
    places_[gap] = {};
    Node& old = node(number);
    old.value.reset();
    old.key = std::string();
    free_.push_back(number);
    --size_;
    return true;
  }

  void clear() { *this = KeyTable(); }

  /// The key of a value of this table.
  static std::string_view key_of(const T& value) { return node_of(value).key; }
  static std::uint64_t hash_of(const T& value) { return node_of(value).hash; }

  /// f(key, value), in the order of the nodes. f must not create or erase.
  template <typename F>
  void for_each(F&& f) {
    for (std::uint32_t i = 0; i < nodes_; ++i) {
      Node& n = node(i);
      if (n.value) f(std::string_view(n.key), *n.value);
    }
  }
  template <typename F>
  void for_each(F&& f) const {
    const_cast<KeyTable*>(this)->for_each([&](std::string_view key, const T& value) { f(key, value); });
  }
  /// f(key, value), in the order of the keys' bytes.
  template <typename F>
  void for_each_sorted(F&& f) {
    std::vector<Node*> all;
    all.reserve(size_);
    for (std::uint32_t i = 0; i < nodes_; ++i) {
      if (node(i).value) all.push_back(&node(i));
    }
    std::sort(all.begin(), all.end(), [](const Node* a, const Node* b) { return a->key < b->key; });
    for (Node* n : all) f(std::string_view(n->key), *n->value);
  }
  template <typename F>
  void for_each_sorted(F&& f) const {
    const_cast<KeyTable*>(this)->for_each_sorted([&](std::string_view key, const T& value) { f(key, value); });
  }

  /// Memory of the table itself, without what the values hold elsewhere.
  [[nodiscard]] std::size_t bytes() const {
    return places_.capacity() * sizeof(Place) + chunks_.size() * chunk_nodes * sizeof(Node) + free_.capacity() * 4;
  }

 private:
  static constexpr std::uint32_t chunk_nodes = 64;
  struct Node {
    std::optional<T> value;  // first, so that the node of a value is found from its address
    std::uint64_t hash = 0;
    std::string key;  // up to 15 bytes stay in the node
  };
  struct Place {
    std::uint32_t tag = 0;   // upper half of the hash: most other keys are told apart without their node
    std::uint32_t node = 0;  // number + 1; 0 is free
  };
  static_assert(sizeof(Place) == 8);
  static constexpr std::size_t slab_nodes = large_page_bytes / (sizeof(Node) * chunk_nodes) * chunk_nodes;
  struct FreeSlab {
    void operator()(Node* first) const {
      std::destroy_n(first, slab_nodes);
      std::free(first);
    }
  };

  static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32U); }
  // The value stands at offset 0 of its optional and that at offset 0 of its node: true for the standard libraries we
  // build with (libstdc++, libc++), and checked when a node is made.
  static const Node& node_of(const T& value) { return *reinterpret_cast<const Node*>(&value); }
  [[nodiscard]] std::size_t mask() const { return places_.size() - 1; }
  Node& node(std::uint32_t number) const { return chunks_[number / chunk_nodes][number % chunk_nodes]; }

  /// Where the key is, or the free place where it would go.
  [[nodiscard]] std::size_t locate(std::uint64_t hash, std::string_view key) const {
    std::size_t i = hash & mask();
    for (; places_[i].node != 0; i = (i + 1) & mask()) {
      if (places_[i].tag != tag_of(hash)) continue;
      const Node& n = node(places_[i].node - 1);
      if (n.hash == hash && n.key == key) break;
    }
    return i;
  }
  std::uint32_t take_node() {
    if (!free_.empty()) {
      const std::uint32_t number = free_.back();
      free_.pop_back();
      return number;
    }
    if (nodes_ == chunks_.size() * chunk_nodes) {
      add_chunks();
      Node& probe = node(nodes_);
      probe.value.emplace();
      TOCSIN_CHECK(static_cast<const void*>(&*probe.value) == static_cast<const void*>(&probe));
      probe.value.reset();
    }
    TOCSIN_CHECK(nodes_ < keys_max, nodes_);
    return nodes_++;
  }
  /// A table of some thousand keys grows chunk by chunk, a larger one by slabs of large pages.
  void add_chunks() {
    if (chunks_.size() * chunk_nodes * sizeof(Node) < large_page_bytes) {
      small_.push_back(std::make_unique<Node[]>(chunk_nodes));
      chunks_.push_back(small_.back().get());
      return;
    }
    Node* first = static_cast<Node*>(allocate_large(large_page_bytes));
    for (std::size_t i = 0; i < slab_nodes; ++i) new (first + i) Node();
    slabs_.emplace_back(first);
    for (std::size_t i = 0; i < slab_nodes; i += chunk_nodes) chunks_.push_back(first + i);
  }
  void grow() {
    const auto old = std::exchange(places_, decltype(places_)(places_.empty() ? 16 : places_.size() * 2));
    for (const Place& place : old) {
      if (place.node == 0) continue;
      std::size_t i = node(place.node - 1).hash & mask();
      while (places_[i].node != 0) i = (i + 1) & mask();
      places_[i] = place;
    }
  }

  std::vector<Place, LargePages<Place>> places_;
  std::vector<Node*> chunks_;                           // of chunk_nodes each
  std::vector<std::unique_ptr<Node[]>> small_;          // the first chunks
  std::vector<std::unique_ptr<Node, FreeSlab>> slabs_;  // of large pages: many chunks each
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
  std::uint32_t nodes_ = 0;
};

}  // namespace tocsin::state
