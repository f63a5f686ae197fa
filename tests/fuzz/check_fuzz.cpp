// Any bytes as rules behind declarations that give them something to speak of: what parses is checked as rules are, with patterns tried
// and data files at hand; what checks means the same when it is laid out anew, and is built or refused.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "dsl/format.h"
#include "dsl/parse.h"
#include "engine/rules.h"

using namespace tocsin;
using namespace tocsin::dsl;

namespace {

constexpr const char* declarations = R"(entity user, device, account
event login {
  key id : string  time at : time  seq n : int
  user : user  device : device optional  ip : ip optional  geo : geo optional  tries : int optional  ok : bool
  agent : string optional mask initial  result : enum(success, failure)
}
event transfer {
  key id : string  time at : time  user : user  sender : account  recipient : account
  amount : money  fee : money<USD> optional  took : duration optional  status : enum(requested, settled)
}
list @staff : set<user> from "staff.txt"
list @nets : set<cidr> = ["10.0.0.0/8"]
list @sums : set<money> for 1h
table info keyed by user { opened_at : time  risk : int optional } from "info.csv"
param large = 5000 USD
switch on_duty = on
stream failed = login where result == failure
stream moved = transfer via sender where amount as USD > 1 USD, transfer via recipient
feature logins = count from login per user in last 1h
feature moves = sum(amount as USD) from moved per account in 7d before
)";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 2'048));
  CheckOptions options = engine::check_options();
  options.lint.advice = size % 2 == 0;
  options.lateness = Duration::seconds(static_cast<std::int64_t>(size % 3));
  options.data_files["staff.txt"] = std::make_shared<const std::string>("u1\nu2 # two\n");
  options.data_files["info.csv"] = std::make_shared<const std::string>("user,opened_at,risk\nu1,2026-01-01,\n");
  const auto checked = [&](const std::string& rules) {
    return load_sources({{"declarations.risk", declarations}, {"fuzz.risk", rules}}, options);
  };
  Loaded loaded = checked(text);
  const std::string messages =
      render(loaded.diagnostics, loaded.sources) + render_json(loaded.diagnostics, loaded.sources);
  if (!loaded.book) return messages.empty() ? 1 : 0;
  const std::optional<std::string> formatted = format(loaded.sources[1], loaded.files[1]);
  if (!formatted) std::abort();
  const Loaded again = checked(*formatted);
  if (!again.book || dump(*again.book) != dump(*loaded.book)) std::abort();
  engine::rules_of(std::move(loaded));
  return 0;
}
