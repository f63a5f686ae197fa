#include "engine/run/predicates.h"

#include <algorithm>
#include <bit>

#include "base/hash.h"

namespace tocsin::engine {

namespace {

/// Which row of `index` speaks for this value; nothing when the value is missing or does not compare.
std::optional<std::size_t> class_of(const FieldIndexRows& index, const event::Value& value) {
  if (value.is_missing()) return std::nullopt;
  switch (index.kind) {
    case FieldIndexRows::Kind::enumeration: return value.low;
    case FieldIndexRows::Kind::ordered: {
      if (value.kind == event::Kind::money && value.currency != index.currency) return std::nullopt;
      const Int128 v = value.kind == event::Kind::number || value.kind == event::Kind::money
                           ? value.number().units
                           : static_cast<Int128>(static_cast<std::int64_t>(value.low));
      const auto at = std::lower_bound(index.bounds.begin(), index.bounds.end(), v);
      const auto below = static_cast<std::size_t>(at - index.bounds.begin());
      return at != index.bounds.end() && *at == v ? 2 * below + 1 : 2 * below;
    }
    case FieldIndexRows::Kind::text: {
      const std::size_t mask = index.text_at.size() - 1;
      for (std::size_t at = hash64(value.text()) & mask; index.text_at[at] != 0; at = (at + 1) & mask) {
        const std::size_t text = index.text_at[at] - 1;
        if (index.texts[text] == value.text()) return text;
      }
      return index.texts.size();
    }
  }
  return std::nullopt;
}

}  // namespace

void index_texts(FieldIndexRows& rows) {
  rows.text_at.assign(std::bit_ceil(2 * rows.texts.size() + 1), 0);
  const std::size_t mask = rows.text_at.size() - 1;
  for (std::size_t text = 0; text < rows.texts.size(); ++text) {
    std::size_t at = hash64(rows.texts[text]) & mask;
    while (rows.text_at[at] != 0) at = (at + 1) & mask;
    rows.text_at[at] = static_cast<std::uint32_t>(text + 1);
  }
}

void answer(const PredicateTable& table, const Codes& codes, Context& context, nfa::PredicateBits& bits,
            std::vector<std::uint64_t>& scratch, UnknownSink& unknown) {
  const std::size_t words = table.words;
  if (words == 0) return;
  // scratch: survivors, then those with a missing field among their conditions, then which row speaks for each field.
  scratch.assign(words * 2 + table.fields.size(), 0);
  std::uint64_t* survivors = scratch.data();
  std::uint64_t* unsure = scratch.data() + words;
  std::fill(survivors, survivors + words, ~std::uint64_t{0});
  if (const std::size_t tail = table.entries.size() % 64; tail != 0)
    survivors[words - 1] = (std::uint64_t{1} << tail) - 1;

  // Of a thousand rules the rows fill more than the cache: each is fetched while the next one is looked for.
  constexpr std::uint64_t no_row = ~std::uint64_t{0};
  constexpr std::size_t words_per_line = 8;
  std::uint64_t* rows = unsure + words;
  for (std::size_t f = 0; f < table.fields.size(); ++f) {
    const FieldIndexRows& index = table.fields[f];
    rows[f] = class_of(index, context.subject->values[index.field]).value_or(no_row);
    if (rows[f] == no_row) continue;
    const std::uint64_t* allowed = index.rows.data() + rows[f] * words;
    for (std::size_t w = 0; w < words; w += words_per_line) __builtin_prefetch(allowed + w);
  }
  for (std::size_t f = 0; f < table.fields.size(); ++f) {
    const FieldIndexRows& index = table.fields[f];
    if (rows[f] == no_row) {
      for (std::size_t w = 0; w < words; ++w) unsure[w] |= index.mentioned[w];
      continue;
    }
    const std::uint64_t* allowed = index.rows.data() + rows[f] * words;
    for (std::size_t w = 0; w < words; ++w) survivors[w] &= allowed[w];
  }

  for (const PredicateTable::Copy& copy : table.copies) {
    const std::uint64_t sure = survivors[copy.from] & copy.mask & ~unsure[copy.from];
    if (sure == 0) continue;
    survivors[copy.from] &= ~sure;
    bits.set(copy.to, std::rotl(sure, copy.rotate));
  }
  for (std::size_t w = 0; w < words; ++w) {
    for (std::uint64_t left = survivors[w]; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(left));
      const PredicateTable::Entry& entry = table.entries[w * 64 + bit];
      const bool is_unsure = (unsure[w] >> bit & 1U) != 0;
      const CodeId code = is_unsure ? entry.whole : entry.rest;
      if (code != no_code) {
        const event::Value v = evaluate(codes, code, context);
        if (!is_true(v)) {
          if (v.is_missing()) unknown.unknown(entry.id, entry.whole, context);
          continue;
        }
      }
      bits.set(entry.id);
    }
  }
}

}  // namespace tocsin::engine
