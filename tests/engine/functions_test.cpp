// Every function's own examples, run; and that the page is what the program writes.
#include "dsl/functions.h"

#include <doctest/doctest.h>

#include "tests/engine/rules_of.h"
#include "tests/support/stream.h"

using namespace tocsin;

TEST_CASE("every example of every function gives what it says") {
  for (const dsl::Function& function : dsl::functions()) {
    CHECK(!function.examples.empty());
    CHECK(&function == &dsl::functions()[static_cast<std::size_t>(function.id)]);
    for (const dsl::FunctionExample& example : function.examples) {
      CAPTURE(std::string(example.call));
      tests::Stream stream(tests::rules_of(std::string(dsl::example_rules()) +
                                           "rule r on example { when true let x = " + std::string(example.call) +
                                           " because \"{x}\" }"));
      REQUIRE(stream.give_row("ip_flags", {{"cidr", "10.0.0.0/8"}, {"flags", "vpn anonymizer"}}));
      stream.send(dsl::example_event());
      stream.end();
      REQUIRE(stream.output().hits.size() == 1);
      // Texts are written as in `because`: a record tells money and durations by their parts.
      const replay::Json& x = stream.output().hits[0]["values"]["x"];
      const std::string text = x.kind == replay::Json::Kind::object ? x["amount"].text + " " + x["currency"].text
                                                                    : stream.output().hits[0]["because"].text;
      std::string wanted(example.gives);
      const bool quoted = wanted.size() > 1 && wanted.front() == '"';
      if (quoted) wanted = wanted.substr(1, wanted.size() - 2);
      CHECK((x.kind == replay::Json::Kind::null ? "null" : quoted ? text : x.text) == wanted);
    }
  }
}

TEST_CASE("docs/functions.md is what the program writes") {
  CHECK(tests::read_file(std::string(TOCSIN_SOURCE_DIR) + "/docs/functions.md") == dsl::functions_page());
}
