#include "dsl/explain_codes.h"

#include <map>
#include <vector>

#include "base/utf8.h"

namespace tocsin::dsl {
namespace {

constexpr std::string_view prelude = R"(entity user, device, account
event login {
  key id : string  time at : time
  user : user  device : device optional  ip : ip  tries : int  result : enum(success, failure)
}
event transfer {
  key id : string  time at : time
  user : user  sender : account  recipient : account  device : device optional
  amount : money  fee : money<USD>  status : enum(requested, settled)
}
)";

struct Entry {
  Code code;
  std::string_view meaning, wrong, right;
};

constexpr Entry entries[] = {
    // ------------------------------------------------------------ how it is written
    {Code::assignment_in_condition,
     "One `=` gives a name to something, as in `param limit = 3`; whether two things are equal is asked with `==`. "
     "`tocsin check --fix` writes it.",
     "rule r on login { when result = failure }", "rule r on login { when result == failure }"},
    {Code::syntax,
     "The text cannot be read at this place. The message says what may stand there; often a word is misspelt, a "
     "bracket "
     "is missing, or something from another language was written (`&&`, `;`, `<>`). What follows is read on from the "
     "next "
     "clause or declaration, so other mistakes are still told.",
     "rule r on login { when tries > 3 && result == failure }",
     "rule r on login { when tries > 3 and result == failure }"},
    {Code::nesting_too_deep,
     "More than 100 brackets, `not`s or aggregates stand inside each other. Nobody reads that; give inner parts names "
     "with "
     "`let`, `field` or `feature`.",
     "param deep = ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((("
     "((((((((((((((1)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))"
     "))))))))))))))))",
     "param deep = ((1))"},
    {Code::chain_too_long,
     "More than 1,000 parts are joined by `and`, `or` or an operator, or features that build on features become as "
     "large when they are written out. Values to compare with belong in a list: `x in [a, b]` or `x in @list`.",
     "feature doubled0 = count from login per user in last 1h\n"
     "feature doubled1 = doubled0 + doubled0\n"
     "feature doubled2 = doubled1 + doubled1\n"
     "feature doubled3 = doubled2 + doubled2\n"
     "feature doubled4 = doubled3 + doubled3\n"
     "feature doubled5 = doubled4 + doubled4\n"
     "feature doubled6 = doubled5 + doubled5\n"
     "feature doubled7 = doubled6 + doubled6\n"
     "feature doubled8 = doubled7 + doubled7\n"
     "feature doubled9 = doubled8 + doubled8\n"
     "feature doubled10 = doubled9 + doubled9\n"
     "feature doubled11 = doubled10 + doubled10\n"
     "feature doubled12 = doubled11 + doubled11\n"
     "feature doubled13 = doubled12 + doubled12\n"
     "feature doubled14 = doubled13 + doubled13\n"
     "rule r on login { when doubled14 > 3 }",
     "feature logins = count from login per user in last 1h\nrule r on login { when 16384 * logins > 3 }"},
    {Code::bad_literal,
     "A number, duration, time or address does not read. Durations have the units ms s m h d w and are written "
     "`250ms`, "
     "`10m`, `1h30m`; times are \"2026-01-05T10:00:00Z\"; numbers `5000`, `5_000` or `12.50`.",
     "rule r per user { sequence within 10min { login then transfer } }",
     "rule r per user { sequence within 10m { login then transfer } }"},
    {Code::bad_text_encoding,
     "Rule files are UTF-8. This one has bytes that are not; it was probably saved by an editor in another encoding. "
     "Nothing of the file was read.",
     "rule r on login { title \"caf\xE9\"  when tries > 3 }", "rule r on login { title \"café\"  when tries > 3 }"},
    {Code::and_or_mixed,
     "`a and b or c` is read one way by some people and the other way by others, so neither is taken. Parentheses say "
     "which is meant.",
     "rule r on login { when tries > 3 and result == failure or tries > 9 }",
     "rule r on login { when (tries > 3 and result == failure) or tries > 9 }"},
    {Code::unclosed,
     "A text, a bracket or a brace was opened and never closed. Texts end on the line they begin on; `\\n` inside one "
     "is a "
     "new line.",
     "rule r on login {\n  title \"many tries\n  when tries > 3\n}",
     "rule r on login {\n  title \"many tries\"\n  when tries > 3\n}"},
    {Code::chained_comparison,
     "`10 < n < 50` is not read as in mathematics. A range says it: `n in 11 ..< 50` holds 11 and not 50; `n in 11 .. "
     "50` "
     "holds both.",
     "rule r on login { when 10 < tries < 50 }", "rule r on login { when tries in 11 ..< 50 }"},
    // ------------------------------------------------------------ names, types, values
    {Code::unknown_name,
     "At this place nothing has this name: no field, feature, param, `let` or step. Inside a sequence fields of other "
     "steps stand behind the name of their step.",
     "rule r on login { when trys > 3 }", "rule r on login { when tries > 3 }"},
    {Code::unknown_event, "No `event` and no `stream` is declared with this name in the files that were checked.",
     "rule r on logins { when tries > 3 }", "rule r on login { when tries > 3 }"},
    {Code::unknown_field, "The event is declared without a field of this name; the message lists those it has.",
     "rule r on transfer as t { when t.amuont as USD > 5 USD }",
     "rule r on transfer as t { when t.amount as USD > 5 USD }"},
    {Code::duplicate_name,
     "Two things would have one name, and nobody could say which is meant. Entities, events, streams, features, "
     "params, "
     "rules, policies and samples share one set of names; fields are told apart by their event.",
     "param limit = 3\nparam limit = 4", "param limit = 3\nparam higher_limit = 4"},
    {Code::shadowed_name,
     "A name inside a rule would hide a field, feature, param or key, and a reader would take one for the other.",
     "rule r on login { let tries = 3  when tries > 1 }", "rule r on login { let most = 3  when tries > most }"},
    {Code::unknown_type,
     "Types are string, bool, int, decimal, enum(…), time, duration, ip, geo, money, money<USD> and the declared "
     "entities; "
     "a list is a `set<…>` of one of them, or of `cidr`.",
     "list @seen : set<usr>", "list @seen : set<user>"},
    {Code::bad_event_declaration,
     "An event has exactly one `key` of type string, by which an event sent twice is known, and one `time`, which is "
     "the "
     "only clock there is. Neither can be missing.",
     "event click { user : user }", "event click { key id : string  time at : time  user : user }"},
    {Code::unknown_list, "No `list` is declared with this name in the files that were checked.",
     "list @staff : set<user> = [\"u1\"]\nrule r on login { when user in @stuff }",
     "list @staff : set<user> = [\"u1\"]\nrule r on login { when user in @staff }"},
    {Code::unknown_function, "There is no function or aggregate of this name.",
     "rule r on login { when average(tries) from login per user in last 1h > 3 }",
     "rule r on login { when avg(tries) from login per user in last 1h > 3 }"},
    {Code::wrong_arguments, "The function takes other values, or another number of them.",
     "rule r on login { when abs(user) > 3 }", "rule r on login { when abs(tries) > 3 }"},
    {Code::type_mismatch,
     "Values of these kinds do not go together: a time with a number, an enum's value in quotes, a user with a device. "
     "Durations carry their unit.",
     "rule r on login { when result == \"success\" }", "rule r on login { when result == success }"},
    {Code::not_a_condition, "Here something is wanted that is true or false, such as a comparison.",
     "rule r on login { when tries }", "rule r on login { when tries > 0 }"},
    {Code::unknown_enum_value, "The field's `enum(…)` has no such value, so the comparison could never be true.",
     "rule r on login { when result == failed }", "rule r on login { when result == failure }"},
    {Code::cyclic_definition, "A definition needs itself, directly or through others, so it has no beginning.",
     "stream a = b\nstream b = a", "stream a = login\nstream b = a"},
    {Code::money_currency_unknown,
     "The field is `money` in whatever currency the event says, and 5000 USD is not 5000 JPY. `as USD` converts; a "
     "field "
     "that is always in dollars is declared `money<USD>`.",
     "rule r on transfer { when amount >= 5000 USD }", "rule r on transfer { when amount as USD >= 5000 USD }"},
    {Code::currency_mismatch, "Amounts in two currencies are compared or added. Convert one with `as`.",
     "rule r on transfer { when fee > 10 EUR }", "rule r on transfer { when fee > 10 USD }"},
    {Code::bad_network,
     "A network is an address with a prefix length of at most 32 (IPv4) or 128 (IPv6), and its address is zero behind "
     "the "
     "prefix.",
     "rule r on login { when ip in [\"10.20.0.0/33\"] }", "rule r on login { when ip in [\"10.20.0.0/16\"] }"},
    {Code::bad_list_entry, "An entry of a list is not of the list's type.",
     "list @addresses : set<ip> = [\"10.0.0.300\"]", "list @addresses : set<ip> = [\"10.0.0.30\"]"},
    {Code::cannot_read_file,
     "The file that the declaration names is not there or cannot be read. Its path is taken from the folder of the "
     "rule "
     "file.",
     "list @staff : set<user> from \"no/such/file.txt\"", "list @staff : set<user> = [\"u1\", \"u2\"]"},
    {Code::text_placeholder,
     "In the texts of `because` a value stands between `{` and `}`; a brace that is meant as itself is written `\\{`.",
     "rule r on login { when tries > 3  because \"{user} and {\" }",
     "rule r on login { when tries > 3  because \"{user} tried {tries} times\" }"},
    {Code::bad_table,
     "A table has a key (an entity, `ip`, `cidr`, `currency`, `string` or `int`) and columns to look up. From when on "
     "a row "
     "holds is said by the column `from` of its file and is not declared.",
     "table info keyed by user { from : time }", "table info keyed by user { risk : int }"},
    {Code::bad_table_row,
     "A line of the table's file, or a row that a test gives, does not fit its columns. The first line of the file "
     "names "
     "them; a value that may be empty is declared `optional`.",
     "test \"a rate\" { given table fx { currency: \"euro\", usd: 1.1 }  expect alerts 0 }",
     "test \"a rate\" { given table fx { currency: \"EUR\", usd: 1.1 }  expect alerts 0 }"},
    {Code::bad_pattern,
     "`matches` takes a regular expression that is written in the rule, in quotes or as a param. It must read, and "
     "must not be one that could "
     "take "
     "for ever on some text.",
     "rule r on login { when id matches id }", "rule r on login { when id matches \"^test-[0-9]+$\" }"},
    {Code::unknown_mask,
     "There is no mask of this name, or it hides another kind of value than the field has. `last4`, `initial` and "
     "`domain` "
     "are for texts, `net24` for addresses; `all` hides everything. The key and the time of an event cannot be masked.",
     "event order { key id : string  time at : time  user : user mask last9 }",
     "event order { key id : string  time at : time  user : user mask last4 }"},
    {Code::no_clock,
     "A rule has no clock: it says the same today and in a replay next year. Its only time is that of events.",
     "rule r on login { when at > now }", "rule r on login { when at > \"2026-01-05T10:00:00Z\" }"},
    // ------------------------------------------------------------ windows and features
    {Code::no_key_field, "Counting `per account` needs an account field in the event that is counted, and it has none.",
     "rule r on login { when count from login per account in last 1h > 1 }",
     "rule r on login { when count from login per user in last 1h > 1 }"},
    {Code::window_unsaid,
     "`in 10m` leaves open whether the event at hand is one of those counted. `in last 10m` counts it, `in 10m before` "
     "does not.",
     "rule r on login { when count from login per user in 10m >= 5 }",
     "rule r on login { when count from login per user in last 10m >= 5 }"},
    {Code::ambiguous_key, "The event has several fields of the key's kind; `via` says which one is meant.",
     "rule r on transfer via sender { when count from transfer per account in last 1h > 5 }",
     "rule r on transfer via sender { when count from transfer via sender per account in last 1h > 5 }"},
    {Code::bad_window, "A window is longer than nothing and at most ten years.",
     "rule r on login { when count from login per user in last 0s > 1 }",
     "rule r on login { when count from login per user in last 1s > 1 }"},
    {Code::aggregate_argument,
     "Each aggregate takes certain values: `sum` and `avg` numbers, money or durations; `min` and `max` what has an "
     "order; "
     "`count` nothing.",
     "rule r on login { when sum(result) from login per user in last 1h > 1 }",
     "rule r on login { when sum(tries) from login per user in last 1h > 1 }"},
    {Code::alias_in_aggregate,
     "The events of a window are chosen when they arrive, long before the event of the rule; so inside an aggregate "
     "only "
     "the counted event is seen. What should be the same in both belongs in the key: `per user, device`.",
     "rule r on login as l { when count from transfer where device == l.device per user in last 1h > 1 }",
     "rule r on login as l { when count from transfer per user, device in last 1h > 1 }"},
    {Code::of_needs_single_key, "`feature of x` gives one value for the key, and this feature has several keys.",
     "feature pair = count from login per user, device in last 1h\nrule r on login { when pair of user > 1 }",
     "feature logins = count from login per user in last 1h\nrule r on login { when logins of user > 1 }"},
    {Code::unknown_zone,
     "Days, weeks and months begin at other moments in other places, so a calendar window names a zone of the time "
     "zone "
     "database: \"Europe/Berlin\", \"America/New_York\", \"UTC\".",
     "rule r on login { when count from login per user in calendar day \"Europe/Berln\" > 9 }",
     "rule r on login { when count from login per user in calendar day \"Europe/Berlin\" > 9 }"},
    {Code::set_out_of_place,
     "`set(…)` is all values of a window together. Whether one value is among them is asked with `in`; how many there "
     "are "
     "says `distinct(…)`.",
     "rule r on login { when set(device) from login per user in 1h before == device }",
     "rule r on login { when device is missing or device in set(device) from login per user in 1h before }"},
    // ------------------------------------------------------------ rules and sequences
    {Code::missing_clause, "A rule `per` a key watches a sequence and has none.", "rule r per user { severity high }",
     "rule r per user { severity high  sequence within 1h { login then transfer } }"},
    {Code::duplicate_clause, "The clause stands in a rule once; conditions are joined with `and`.",
     "rule r on login { when tries > 1  when result == failure }",
     "rule r on login { when tries > 1 and result == failure }"},
    {Code::clause_not_here,
     "Sequences, `pick` and `after match` belong to rules `per` a key; `any rule decides` to policies.",
     "rule r on login { sequence within 1h { login then transfer } }",
     "rule r per user { sequence within 1h { login then transfer } }"},
    {Code::only_absences, "Something must happen for a sequence to begin: a `no` alone has no moment.",
     "rule r per user { sequence { no login for 5m } }",
     "rule r per user { sequence { transfer then no login for 5m } }"},
    {Code::bad_count, "The count of a step cannot be met, or is larger than 10,000.",
     "rule r per user { sequence within 1h { 5 to 3 login } }",
     "rule r per user { sequence within 1h { 3 to 5 login } }"},
    {Code::consecutive_without_count, "`consecutive` speaks of several events in a row, so a count belongs to it.",
     "rule r per user { sequence within 1h { consecutive login then transfer } }",
     "rule r per user { sequence within 1h { at least 3 consecutive login then transfer } }"},
    {Code::middle_no_with_for,
     "A `no` between two steps lasts from the one to the other, so it has no duration of its own.",
     "rule r per user { sequence within 1h { login then no login for 5m then transfer } }",
     "rule r per user { sequence within 1h { login then no login then transfer } }"},
    {Code::first_no_without_for, "A `no` before the first step looks back, and must say how far.",
     "rule r per user { sequence within 1h { no login then transfer } }",
     "rule r per user { sequence within 1h { no login for 1d then transfer } }"},
    {Code::final_no_without_for,
     "Whether something did not happen can only be said when a time is over. The rule fires at that moment.",
     "rule r per user { sequence { login then no transfer } }",
     "rule r per user { sequence { login then no transfer for 1h } }"},
    {Code::optional_last, "The last step completes the match; if it were optional nobody would know when that is.",
     "rule r per user { sequence within 1h { login then optional transfer } }",
     "rule r per user { sequence within 1h { optional login then transfer } }"},
    {Code::within_on_first,
     "`within` on a step is measured from the step before, and the first has none. The whole sequence "
     "has its own `within`.",
     "rule r per user { sequence { login within 5m then transfer } }",
     "rule r per user { sequence { login then transfer within 5m } }"},
    {Code::link_on_first, "`first` and `next` tie a step to the one before it, and the first step has none.",
     "rule r per user { sequence within 1h { first login then transfer } }",
     "rule r per user { sequence within 1h { login then first transfer } }"},
    {Code::later_alias,
     "When this step is tested the later one has not happened. Put the comparison into the later step.",
     "rule r per user { sequence within 1h { login as l where l.device == t.device then transfer as t } }",
     "rule r per user { sequence within 1h { login as l then transfer as t where t.device == l.device } }"},
    {Code::compare_group,
     "A counted step is a group of events. Ask for one of them (`g.first.ip`, `g.last.ip`), for any (`x in g.ip`, "
     "`some(g.tries > 3)`), or for a number (`count(g)`, `max(g.tries)`).",
     "rule r per user { sequence within 1h { at least 3 login as g then transfer } when g.tries > 3 }",
     "rule r per user { sequence within 1h { at least 3 login as g then transfer } when some(g.tries > 3) }"},
    {Code::count_in_parts, "The parts of `all of` and `any n of` are single events.",
     "rule r per user { sequence within 1h { all of { at least 2 login; transfer } } }",
     "rule r per user { sequence within 1h { all of { login; transfer } } }"},
    {Code::unknown_step,
     "No step of the sequence is called this; a step has the name behind its `as`, else that of its stream.",
     "rule r per user { sequence within 1h { login as l then transfer } after match skip to first m }",
     "rule r per user { sequence within 1h { login as l then transfer } after match skip to first l }"},
    {Code::circle_of_rules, "Each of these rules waits for the other's hits, so none could ever hit.",
     "rule one on hit.two { score 1 }\nrule two on hit.one { score 1 }", "rule one on login { when tries > 1 }"},
    {Code::resolve_without_key,
     "What resolves an alert must say whose alert: the event needs the keys of `alert once … by`, else those of the "
     "rule.",
     "rule r on login { when tries > 3  resolve on transfer }",
     "rule r on login { when tries > 3  alert once per 1h by user  resolve on transfer }"},
    {Code::bad_date, "Dates are written \"2027-01-31\", moments \"2027-01-31T12:00:00Z\".",
     "rule r on login { when tries > 1  except known until \"soon\" when tries > 5 }",
     "rule r on login { when tries > 1  except known until \"2027-01-31\" when tries > 5 }"},
    {Code::bad_policy, "The policy cannot be followed as written: the message says which part.",
     "policy p on login { score sum  allow otherwise  block when score > 3 }",
     "policy p on login { score sum  block when score > 3  allow otherwise }"},
    {Code::bad_test, "The test cannot be run as written: time does not go back, computed fields are not given.",
     "test \"t\" { at \"noon\"  send login {}  expect alerts 0 }",
     "test \"t\" { at \"2026-01-05T12:00:00Z\"  send login {}  expect alerts 0 }"},
    {Code::cannot_build,
     "The rule means something, but more than the engine can run: a sequence with too many steps, or a condition it "
     "cannot "
     "ask at the right moment. The message says how to write it instead.",
     "feature seen = count from login per user in last 1h\n"
     "rule r per user {\n"
     "  sequence within 1h { login as a then login as b where b.tries > a.tries + (seen of a.user) then transfer }\n"
     "}",
     "feature seen = count from login per user in last 1h\n"
     "rule r per user {\n"
     "  sequence within 1h { login as a then login as b where b.tries > a.tries and seen > 3 then transfer }\n"
     "}"},
    // ------------------------------------------------------------ warnings
    {Code::never_true, "The parts of the condition contradict each other, so it is never true.",
     "rule r on login { when tries >= 5 and tries < 3 }", "rule r on login { when tries >= 3 and tries < 5 }"},
    {Code::unbounded_sequence,
     "Without a bound in time everything that began is kept until memory is short. `within` says how far the first and "
     "last event may lie apart.",
     "rule r per user { sequence { login then transfer } }",
     "rule r per user { sequence within 24h { login then transfer } }"},
    {Code::coalesce_without_parentheses,
     "`??` binds tighter than arithmetic, so in `a / b ?? 0` the default is of `b`, and dividing by 0 gives missing.",
     "rule r on login { when tries / 3 ?? 0 > 1 }", "rule r on login { when (tries / 3) ?? 0 > 1 }"},
    {Code::default_policy,
     "Rules decide on this event and no policy names it, so the strictest action of the rules that fired is taken. A "
     "policy "
     "says it openly.",
     "rule r on login { when tries > 3  decide block }",
     "rule r on login { when tries > 3  decide block }\npolicy p on login { score sum  block when any rule decides "
     "block  "
     "allow otherwise }"},
    {Code::unused_switch, "The switch turns nothing off: no rule has the clause `switch NAME` for it.",
     "switch quiet = on\nrule r on login { when tries > 3 }",
     "switch quiet = on\nrule r on login { switch quiet  when tries > 3 }"},
    {Code::late_decisions,
     "Events of this source wait for others that may be late, and the decisions about them wait as long.",
     "policy p on login { score sum  review when score > 3  allow otherwise }  # and the source's lateness is 10s",
     "rule r on login { when tries > 3 }"},
    {Code::pick_every,
     "`pick every` reports each choice of events for the steps as a match of its own: many hits for one event, of "
     "which at "
     "most 100 are reported.",
     "rule r per user { sequence within 1h { login then transfer } pick every }",
     "rule r per user { sequence within 1h { login then transfer } pick nearest }"},
    {Code::decides_nothing,
     "A rule that ends in `no … for D` fires when time has passed, without an event that somebody waits for. Its "
     "action "
     "only goes into its alert.",
     "rule r per user { sequence { login then no transfer for 1h } decide block }",
     "rule r per user { sequence { login then no transfer for 1h } decide review }"},
    {Code::flags_unknown,
     "`ip_flag` looks into the table `ip_flags`, which says of networks what is known of them. Without it no address "
     "has a "
     "flag.",
     "rule r on login { when ip_flag(ip, \"tor\") }",
     "table ip_flags keyed by cidr { flags : string }\nrule r on login { when ip_flag(ip, \"tor\") }"},
    {Code::optional_field_silent,
     "A comparison with a missing value is unknown and a rule fires on true only: `device != \"d1\"` says nothing "
     "about "
     "events without a device. Say what a missing value should mean, or `# accept W0520` that silence is meant.",
     "rule r on login { when device != \"d1\" }", "rule r on login { when device is missing or device != \"d1\" }"},
    {Code::never_used,
     "Nothing refers to this declaration. It costs a reader's time, and often the rule that should use it has another "
     "name "
     "in it.",
     "param limit = 3\nrule r on login { when tries > 4 }", "param limit = 3\nrule r on login { when tries > limit }"},
    {Code::unreachable_line,
     "Lines of a policy are tried in order, and whenever this one is true an earlier one is true as well.",
     "policy p on login { score sum  review when score > 10  block when score > 90  allow otherwise }",
     "policy p on login { score sum  block when score > 90  review when score > 10  allow otherwise }"},
    {Code::fires_every_time,
     "Once its count has passed the threshold the rule fires for every further event, and each hit makes an alert. "
     "`alert "
     "once per 1h by user` folds them.",
     "rule r on login { when count from login per user in last 1h > 9 }",
     "rule r on login { when count from login per user in last 1h > 9  alert once per 1h by user }"},
    {Code::always_true,
     "This part of the condition is true whatever happens, so it says nothing; often the number is wrong.",
     "rule r on login { when count from login per user in last 1h >= 0 and tries > 3 }",
     "rule r on login { when count from login per user in last 1h >= 3 and tries > 3 }"},
    {Code::costly_step,
     "A step that compares with earlier steps by more than a plain comparison of two fields must be asked for every "
     "pair of "
     "events. Where a plain comparison says the same it is cheaper.",
     "rule r per user { sequence within 1h { login as l then transfer as t where abs(hours_between(t.at, l.at)) > 3 } "
     "}",
     "rule r per user { sequence within 1h { login as l then transfer as t where t.device == l.device } }"},
    {Code::state_under_one_key,
     "Events with the same `key` are one event, and a repeated one is dropped. If the key names a thing that goes "
     "through "
     "several states (`order_id` with a `status`), its second state is taken for a repetition. The key must name the "
     "event.",
     "event order { key order_id : string  time at : time  user : user  status : enum(placed, paid) }",
     "event order { key event_id : string  time at : time  order_id : string  user : user  status : enum(placed, paid) "
     "}"},
    {Code::step_never_filled, "No event can ever take this step, so the sequence never completes.",
     "stream good = login where result == success\n"
     "rule r per user { sequence within 1h { good as g where g.result == failure then transfer } }",
     "stream good = login where result == success\n"
     "rule r per user { sequence within 1h { good as g where g.tries > 3 then transfer } }"},
    {Code::accept_without_use,
     "A comment `# accept W0520` silences warnings of that code on its line. Here there is none any more: take the "
     "comment "
     "out, or it will silence the next one that is meant.",
     "rule r on login { when tries > 3 }  # accept W0520", "rule r on login { when device != \"d1\" }  # accept W0520"},
    {Code::means_otherwise,
     "What is written here means something else in SQL or in ordinary writing: `%` in `like` stands for itself (any "
     "characters are `*`), `1.000 USD` is one dollar, `XYZ` is no currency of ISO 4217, and a `when` behind `decide` "
     "limits the whole rule, not the decision.",
     "rule r on login { when device like \"%d1\" }", "rule r on login { when device like \"*d1\" }"},
    {Code::test_without_expect, "A test passes when nothing it expects fails; one that expects nothing always passes.",
     "test \"t\" { at \"2026-01-01T00:00:00Z\"  send login { user: \"u1\" } }",
     "test \"t\" { at \"2026-01-01T00:00:00Z\"  send login { user: \"u1\" }  expect alerts 0 }"},
};

constexpr std::string_view no_page = "This code has no page yet.";

}  // namespace

const CodePage& page_of(Code code) {
  static const auto pages = [] {
    std::map<Code, CodePage> made;
    for (const CodeEntry& entry : code_register()) made[entry.code] = {entry.code, entry.title, no_page, {}, {}};
    for (const Entry& entry : entries) {
      CodePage& page = made[entry.code];
      page.meaning = entry.meaning;
      page.wrong = entry.wrong;
      page.right = entry.right;
    }
    return made;
  }();
  return pages.at(code);
}

std::string_view explain_prelude() { return prelude; }

std::string to_text(const CodePage& page) {
  std::string out = std::string(letter_of(page.code)) + ": " + std::string(page.title) + "\n\n";
  // Broken at blanks: a terminal is 80 columns wide, or 100.
  constexpr std::size_t width = 96;
  std::size_t column = 0;
  std::string_view rest = page.meaning;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (column > 0 && column + 1 + word.size() > width) {
      out += '\n';
      column = 0;
    }
    if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  out += '\n';
  const auto example = [&](std::string_view name, std::string_view text) {
    if (text.empty()) return;
    out += "\n" + std::string(name) + ":\n";
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      out += "    ";
      // What is no UTF-8 stands in an example as its byte, and is shown as such.
      for (std::size_t at = 0; at < line.size(); ++at) {
        const std::size_t good = first_not_utf8(line.substr(at));
        out += line.substr(at, good);
        at += good;
        if (at < line.size()) {
          out += '<';
          out += "0123456789ABCDEF"[static_cast<unsigned char>(line[at]) >> 4U];
          out += "0123456789ABCDEF"[static_cast<unsigned char>(line[at]) & 15U];
          out += '>';
        }
      }
      out += '\n';
      text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
  };
  example("wrong", page.wrong);
  example("right", page.right);
  return out;
}

}  // namespace tocsin::dsl
