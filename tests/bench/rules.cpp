#include "tests/bench/rules.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
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

// What a pack is made of. In its rules `^` is a number that no other eight of the pack have, `$` one from 2 to 60, drawn anew at
// each place.

constexpr std::string_view pack_declarations = R"(entity user, device, card, account, merchant

event login {
  key  event_id : string
  time at       : time
  user          : user
  device        : device optional
  ip            : ip
  agent         : string optional
  country       : enum(au, br, cn, de, fr, hu, nl, us)
  result        : enum(success, failure)
}
event mfa_change {
  key  event_id : string
  time at       : time
  user          : user
  state         : enum(enabled, disabled)
}
event profile_change {
  key  event_id : string
  time at       : time
  user          : user
  what          : enum(password, email, phone, payout)
}
event payment {
  key  event_id : string
  time at       : time
  user          : user
  card          : card
  device        : device optional
  ip            : ip
  merchant      : merchant
  country       : enum(au, br, cn, de, fr, hu, nl, us)
  amount        : money
  status        : enum(approved, declined)
}
event transfer {
  key  event_id : string
  time at       : time
  user          : user
  device        : device optional
  sender        : account
  recipient     : account
  amount        : money
  status        : enum(requested, settled)
}
table account_info keyed by user { opened_at : time  segment : string optional }
list @corp_vpn : set<cidr> = ["192.0.2.0/24", "198.51.100.0/25"]
switch login_rules = on
param large = 5000 USD
stream login_ok = login where result == success
stream login_bad = login where result == failure and ip not in @corp_vpn
stream settled_in = transfer via recipient where status == settled
stream settled_out = transfer via sender where status == settled
feature known_device = count from login_ok per user, device in 30d before

policy logins on login {
  score sum max 100
  throttle  when any rule decides throttle
  challenge when any rule decides challenge or score >= 60
  allow     otherwise
}
policy payments on payment {
  score sum max 100
  block     when any rule decides block or score >= 90
  challenge when any rule decides challenge
  review    when any rule decides review
  allow     otherwise
}
policy transfers on transfer {
  score sum max 100
  block     when any rule decides block
  review    when any rule decides review or score >= 50
  allow     otherwise
}
)";

constexpr std::uint32_t pack_kinds = 8;
constexpr std::string_view pack_rules = R"risk(
# Stolen cards are tried with small amounts before they are used.
rule card_testing_^ on payment as p {
  title "Many small payments over many cards from one address (^)"
  severity high
  tags payments, cards
  owner "payments-risk"
  runbook "https://wiki.example.com/risk/card-testing"
  let n        = count from payment where amount as USD <= $ USD per ip in last $m
  let cards    = distinct(card) from payment per ip in last $m
  let declines = count from payment where status == declined per ip in last $m
  when n >= $ and cards >= $ and declines >= $% * n
  except corp_vpn when p.ip in @corp_vpn
  decide block
  score $
  alert once per $m by ip
  because "{n} small payments over {cards} cards from {p.ip}, {declines} declined"
}

list @trusted_^ : set<user> = ["u-$$1", "u-$$2", "u-$$3"]
feature spent_^ = sum(amount as USD) from payment where country != us per user in last $h

rule spending_^ on payment {
  title "Spends much more than usual (^)"
  severity medium
  tags payments
  owner "payments-risk"
  let usual = (sum(amount as USD) from payment per user in 14d before) / $
  when spent_^ >= $00 USD and spent_^ > $ * usual and country in [br, cn, hu]
  except trusted when user in @trusted_^
  decide challenge if amount as USD < $0 USD else review
  score $
  alert once per $h by user
  because "{spent_^} by {user} against {usual} otherwise"
  show country, merchant
}

rule guessed_password_^ per user {
  title "Failed logins, then success from one of the same addresses (^)"
  severity high
  tags ato
  owner "identity"
  switch login_rules
  sequence within $m {
    at least $ consecutive login as f where f.result == failure and f.country == de
    then no mfa_change where state == enabled
    then login as s where s.result == success and s.ip in f.ip within $m
  }
  when count(f) < $00
  decide challenge
  score $
  alert once per $h by user
  because "{count(f)} failures, then success from {s.ip} {s.at - f.last.at} later"
  show s.device, s.agent
}

rule new_device_transfer_^ per user {
  title "New device, then a large transfer (^)"
  severity critical
  tags ato, transfers
  owner "payments-risk"
  sequence within $m {
    login_ok as l where l.device is not missing and known_device == 0
    then no profile_change where what == phone
    then transfer as t where t.status == requested and t.amount as USD >= $$0 USD and t.device == l.device
  }
  decide block
  score $
  label t.recipient "payee_under_review_^" for $d
  alert once per $h by user
  because "{t.amount} to {t.recipient} {t.at - l.at} after the first login from {l.device}"
  show l.ip, l.country
}

rule mule_^ on transfer via sender as t {
  title "Money comes in from many and leaves at once (^)"
  severity high
  tags aml
  owner "aml"
  let came_in  = sum(amount as USD) from settled_in per account in last $h
  let went_out = sum(amount as USD) from settled_out per account in last $h
  let senders  = distinct(sender) from settled_in where amount as USD >= $ USD per account in last $h
  when t.status == settled and came_in >= $00 USD and senders >= $ and went_out >= $% * came_in
   and (account_info(t.user).opened_at > t.at - $d or t.amount as USD >= large)
  decide review
  label t.sender "suspected_mule_^" for $d
  alert once per $h by account
  because "{came_in} in, from {senders} senders, and {went_out} out"
}

rule takeover_chain_^ per user {
  title "Changed contact details and a new device, then money leaves (^)"
  severity critical
  tags ato, transfers
  owner "identity"
  switch login_rules
  sequence within $h {
    all of {
      login_ok as n where known_device == 0;
      profile_change as c where c.what in [password, email, phone]
    }
    then transfer as t where t.status == requested and t.amount as USD >= $$ USD within $h
  }
  pick earliest
  decide block
  score $
  alert once per $h by user
  because "{c.what} changed, device {n.device} first seen, then {t.amount} sent to {t.recipient}"
  show n.ip, n.agent
}

rule scripted_login_^ on login as l {
  title "A script logs in, and hardly ever succeeds (^)"
  severity low
  tags ato, bots
  owner "identity"
  let tries = count from login per ip in last $m
  let users = distinct(user) from login_bad per ip in last $m
  let good  = count from login_ok per ip in last $m
  when (l.agent contains "script-^" ignoring case or l.agent like "bot-$.$*" or tries > $0)
   and users >= $ and good < $% * tries
  except corp_vpn until "2027-06-30" when l.ip in @corp_vpn
  decide throttle if users > $0 else challenge
  score $ + users
  alert once per $m by ip
  because "{users} accounts tried from {l.ip}, {good} of {tries} attempts succeeded"
}

rule mfa_left_off_^ per user {
  title "The second factor is switched off, and not switched on again (^)"
  severity medium
  tags ato
  owner "identity"
  mode shadow
  sequence {
    mfa_change as gone where gone.state == disabled and count from login_bad per user in last $h >= $
    then no mfa_change as back where back.state == enabled for $m
  }
  except watched when gone.user has label "watched_^" or gone.user in @corp_users_^
  decide review
  score $
  alert once per $d by user
  resolve on mfa_change where state == enabled
  because "the second factor of {gone.user} is off since {gone.at}"
}
list @corp_users_^ : set<user> = ["u-$", "u-$1"]
)risk";

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

std::string many_sequence_rules(std::uint32_t live, std::uint32_t idle) {
  constexpr std::array<const char*, 10> channel = {"web",  "app", "pos",   "atm",   "phone",
                                                   "mail", "api", "kiosk", "agent", "branch"};
  Random random(11);
  std::string text;
  for (std::uint32_t i = 0; i < live + idle; ++i) {
    const std::string nobody = "merchant == " + padded("nobody-", i, 5);
    const std::string common = "amount >= " + std::to_string(random.below(3000)) + " USD";
    const std::string first = i < live ? std::string("channel == ") + channel[i % channel.size()] : nobody;
    text += "rule many" + std::to_string(10'000 + i) +
            " per user {\n  sequence within 1h {\n    payment as a where a." + first +
            "\n    then payment as b where b." + common + (i < live ? " and b." + nobody : "") + "\n  }\n}\n";
  }
  return text;
}

std::string beginning_rules(std::uint32_t count, bool alike) {
  std::string text;
  for (std::uint32_t i = 0; i < count; ++i) {
    text += "rule begins" + std::to_string(10'000 + i) +
            " per user {\n  sequence within 1h {\n    payment as a where a.channel == web";
    if (!alike) text += " and a.merchant != " + padded("nobody-", i, 5);
    text += "\n    then payment as b where b.channel == app\n    then payment as c where c.merchant == " +
            padded("nobody-", i, 5) + "\n  }\n}\n";
  }
  return text;
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

std::string rule_pack(std::uint32_t count, std::uint64_t seed) {
  TOCSIN_CHECK(count % pack_kinds == 0, count);
  Random random(seed);
  std::string text(pack_declarations);
  for (std::uint32_t i = 0; i < count / pack_kinds; ++i) {
    for (const char c : pack_rules) {
      if (c == '^') {
        text += std::to_string(i);
      } else if (c == '$') {
        text += std::to_string(2 + random.below(59));
      } else {
        text += c;
      }
    }
  }
  return text;
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
