#include "tests/bench/rules.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "dsl/check.h"
#include "dsl/parse.h"
#include "engine/compile/build.h"
#include "tests/bench/events.h"

namespace tocsin::bench {

namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state_ >> 33U) % bound;
  }

 private:
  std::uint64_t state_;
};

std::string padded(std::string_view front, std::uint64_t number, std::size_t width) {
  std::string digits = std::to_string(number);
  return "\"" + std::string(front) + std::string(width - digits.size(), '0') + digits + "\"";
}

std::string rare_condition(Random& random) {
  switch (random.below(8)) {
    case 0: return "user == " + padded("user-", random.below(1U << 20U), 7);
    case 1: return "device == " + padded("device-", random.below(200'000), 6);
    default: return "merchant == " + padded("merchant-", random.below(20'000), 5);
  }
}

std::string common_condition(std::uint64_t field, Random& random) {
  constexpr std::array<const char*, 8> country = {"au", "br", "cn", "de", "fr", "hu", "nl", "us"};
  constexpr std::array<const char*, 5> channel = {"web", "app", "phone", "api", "branch"};
  switch (field) {
    case 0:
      return std::string(random.below(2) == 0 ? "country == " : "country != ") + country[random.below(country.size())];
    case 1:
      return std::string(random.below(2) == 0 ? "channel == " : "channel != ") + channel[random.below(channel.size())];
    case 2: return random.below(2) == 0 ? "result == declined" : "result != approved";
    case 3:
      return (random.below(2) == 0 ? "amount >= " : "amount < ") + std::to_string(100 * (1 + random.below(28))) +
             " USD";
    case 4: return (random.below(2) == 0 ? "risk >= " : "risk < ") + std::to_string(20 * (1 + random.below(48)));
    default: return (random.below(2) == 0 ? "age < " : "age >= ") + std::to_string(30 * (1 + random.below(120)));
  }
}

[[noreturn]] void give_up(const std::string& text) {
  std::fprintf(stderr, "bench: %s\n", text.c_str());
  std::exit(3);
}

}  // namespace

std::string stateless_rules(std::uint32_t count, std::uint64_t seed) {
  Random random(seed);
  std::string text;
  for (std::uint32_t i = 0; i < count; ++i) {
    text += "rule r" + std::to_string(10'000 + i) + " on payment {\n  when " + rare_condition(random);
    const std::uint64_t more = 1 + random.below(3);
    std::uint64_t field = random.below(6);
    for (std::uint64_t c = 0; c < more; ++c, ++field) text += " and " + common_condition(field % 6, random);
    text += "\n}\n";
  }
  return text;
}

std::string sequence_rule(const std::string& name) {
  return "rule " + name + R"( per user {
  sequence within 1h {
    payment as a where a.channel == web
    then payment as b where b.channel == app
    then payment as c where c.channel == pos
  }
}
)";
}

std::string feature_rule() {
  return R"(rule velocity on payment {
  let payments  = count from payment per user in last 10m
  let spent     = sum(amount) from payment per user in last 1h
  let largest   = max(amount) from payment per user in last 1h
  let mean_risk = avg(risk) from payment per user in last 30m
  let merchants = distinct(merchant) from payment per user in last 1h
  when payments >= 1000 and spent >= 100000 USD and largest >= 100000 USD and mean_risk >= 1000 and merchants >= 1000
}
)";
}

std::string deciding_rule() {
  return R"(rule large on payment {
  when amount >= 2990 USD and risk >= 990
  decide review
}
)";
}

std::shared_ptr<const engine::Ruleset> compile(const std::string& text) {
  dsl::SourceSet sources;
  sources.emplace_back("bench.risk", std::string(event_declarations()) + text);
  dsl::Diagnostics messages;
  const std::vector<dsl::ast::File> files = {dsl::parse(sources, 0, messages)};
  std::optional<dsl::Rulebook> book;
  if (messages.error_count() == 0) book = dsl::check(sources, files, messages);
  if (!book) give_up(dsl::render(messages, sources));
  auto built = engine::build(*book);
  if (!built) give_up(built.error().text);
  return built.take();
}

}  // namespace tocsin::bench
