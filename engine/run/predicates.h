// All predicates of all rules and steps, answered for one event in one pass. Conditions of the form `field op constant` are not
// asked rule by rule: per field there is a row of bits for each class of values (an enumeration value, an interval between two
// constants, a known text), in which a bit says that the predicate is not refused by this field; the rows are joined by AND,
// and only what survives is asked for the rest of its condition; where there is no rest, a word at a time is true. (The bit-vector method of packet classification; measured
// against rule-by-rule evaluation in tests/bench.)
//
// One table per event type and stratum. Constant, shared.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/run/expr.h"
#include "nfa/pattern.h"

namespace tocsin::engine {

/// Rows of bits for the values of one field.
struct FieldIndexRows {
  enum class Kind : std::uint8_t { enumeration, ordered, text };
  Kind kind = Kind::enumeration;
  event::FieldIndex field = 0;
  std::vector<Int128> bounds;      // ordered: the constants, ascending; class 2i+1 is bound i itself, 2i below it
  event::Currency currency;        // ordered money: another currency makes every comparison unknown
  std::vector<std::string> texts;  // text: ascending; class i is texts[i], the last class anything else
  std::vector<std::uint32_t>
      text_at;  // by hash of a text, from its place on: its class + 1; 0 ends the search. A power of two
  std::vector<std::uint64_t> rows;       // class-major, `words` each
  std::vector<std::uint64_t> mentioned;  // predicates with a condition on this field: unknown when it is missing
};

/// Makes text_at. Requires: texts are whole.
void index_texts(FieldIndexRows& rows);

struct PredicateTable {
  struct Entry {
    nfa::PredicateId id{};
    CodeId rest = no_code;   // asked of survivors; no_code: nothing is left to ask
    CodeId whole = no_code;  // the whole condition, for three-valued answers when a field is missing
  };
  /// Of entries whose rest is empty and which lie together in both: survivors are bits as they are.
  struct Copy {
    std::uint32_t from = 0;  // word of the survivors
    std::uint32_t to = 0;    // word of the answer
    std::uint64_t mask = 0;  // in `from`
    int rotate = 0;          // to the left
  };
  std::vector<Entry> entries;
  std::size_t words = 0;
  std::vector<Copy> copies;
  std::vector<FieldIndexRows> fields;
};

/// Told about predicates that came out unknown; for metrics.
class UnknownSink {
 public:
  virtual ~UnknownSink() = default;
  virtual void unknown(nfa::PredicateId predicate, CodeId code, const Context& context) = 0;
};

/// Sets the bits of the table's true predicates in `bits`. `scratch` is reused between calls.
void answer(const PredicateTable& table, const Codes& codes, Context& context, nfa::PredicateBits& bits,
            std::vector<std::uint64_t>& scratch, UnknownSink& unknown);

}  // namespace tocsin::engine
