// What a program has begun after some events, for tests of what is written and read back.
#pragma once

#include <doctest/doctest.h>

#include "tests/nfa/patterns.h"

namespace tocsin::nfa::testing {

/// What a program has begun after a stream, as bytes; checked on the way: they read back, and nothing shorter or longer does.
inline std::string bytes_of_begun(const Program& program, const std::string& stream) {
  TestHost host;
  std::vector<Match> out;
  Runs runs;
  feed(
      parse_stream(stream), [&](Timestamp t) { advance(program, runs, t, host, out); },
      [&](const Occurrence& o) { step(program, runs, o, host, out); });
  std::string bytes;
  encode(program, runs, bytes);
  REQUIRE(decode(program, bytes).has_value());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK(!decode(program, std::string_view(bytes).substr(0, cut)).has_value());
  CHECK(!decode(program, bytes + "x").has_value());
  return bytes;
}

}  // namespace tocsin::nfa::testing
