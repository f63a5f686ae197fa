#include "dsl/foreign_forms.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "dsl/currencies.h"

namespace tocsin::dsl::grammar {
namespace {

// ---------------------------------------------------------------- the table
// A pattern is words and signs, compared without regard to capitals, and classes:
//   {rule} a name that no word is like: with `_` or a digit
//   {name} a name that is no word of the language    {alias} a short one on the same line    {path} a name or a.b.c
//   {int} {num} {text} {dur}                         literals    {more} a whole number, written as one more
//   {unit} minutes: written m                        {one} per day: written 1d
//   {span} months or years, behind {int}: days       {count} a number as a word: written in digits
//   {CUR} EUR    {cur} eur: written EUR              {sign} $: written USD
//   {cmp} {agg} {strop} {severity} {action}          a word or sign of ours of that sort
//   {verdict} an action as others call it            {...} anything with its brackets, as little as fits
//   {expr} anything to the end of the step           {line} the rest of the line
//   {quoted} a text, {unquoted} anything: written without quotes
// In `ours`, $1 is what the first class took. A `…` in it is a gap for the author.
// `kinds` are the first words of the pieces it is looked for in; none means any.
struct Form {
  std::string_view kinds;
  std::string_view foreign;
  std::string_view ours;
  bool sure = true;
  std::string_view message{};
  std::string_view hint{};
};

constexpr bool guess = false;

constexpr std::string_view comments = "comments begin with `#`";
constexpr std::string_view no_from = "`from` is missing: it says which events are taken";
constexpr std::string_view lists_in_brackets = "lists stand in `[ ]`";
constexpr std::string_view absent = "an event that must not come is a step `no …`";
constexpr std::string_view of_several =
    "a step is one event; several make a stream: `stream any_of_them = login, payment`";
constexpr std::string_view where_of_step = "a condition on the event stands behind `where`";
constexpr std::string_view no_clock = "a rule has no clock: its only time is that of events";
constexpr std::string_view own_time = "use the time of the event, such as `l.at`";
constexpr std::string_view no_recipient =
    "an alert has no recipient here: whoever reads the alerts takes those of this rule";
constexpr std::string_view how_a_rule_begins =
    "a rule begins `rule name on login as l { when l.tries > 3 … }`, of a sequence `rule name per user { sequence "
    "within 24h "
    "{ login as l then transfer as t } … }`";
constexpr std::string_view order_of_step = "the parts of a step stand in the order `via`, `as`, `where`, `within`";
constexpr std::string_view fixed_length = "a month and a year have no fixed length: durations are given in days";
constexpr std::string_view aggregates_of_groups = "functions stand before their argument";
constexpr std::string_view window_missing = "a window is `in last 24h`, or `in 24h before` without the event itself";

constexpr std::string_view in_tests = "send expect at given wait (step)";

constexpr Form forms[] = {
    // ------------------------------------------------ comments
    {"", "- - {line}", "# $1", true, comments},
    {"", "/ / {line}", "# $1", true, comments},
    {"", "/ * {...} * /", "# $1", guess, comments},
    {"(declaration)", "- - {line}", "# $1", true, comments},
    {"(declaration)", "/ / {line}", "# $1", true, comments},
    {"(declaration)", "/ * {...} * /", "# $1", guess, comments},

    // ------------------------------------------------ durations
    {"", "interval {quoted} {unit}", "$1$2"},
    {"", "interval {int} {unit}", "$1$2"},
    {"", "{int} {unit}", "$1$2", true, "a duration is one word"},
    {"", "{int} {span}", "$D", guess, fixed_length},
    {"", "in the last {dur}", "in last $1"},
    {"", "in the last", "in last"},
    {"", "in last {dur} ago", "in last $1"},
    {"", "per {name} before {dur}", "per $1 in $2 before"},
    {"", "before {dur}", "in $1 before"},
    {"", "over {dur}", "in last $1", true, window_missing},
    {"", "during {dur}", "in last $1", true, window_missing},
    {"", "last {dur}", "in last $1", true, window_missing},
    {"", "ever before", "in 3650d before", guess, window_missing},
    {"", "ever", "in last 3650d", guess, window_missing},
    {"", "today", "in calendar day \"UTC\"", guess, window_missing},
    {"", "since last {name} where {...} {cmp}", "", guess, "`since last` takes no `where`",
     "declare a stream with the condition, `stream login_ok = login where result == success`, and write `since last "
     "login_ok`"},
    {"", "since {name}", "since last $1"},
    {"", "in calendar {name} {cmp}", "in calendar $1 \"Europe/Berlin\" $2", guess,
     "a calendar window needs its time zone"},

    // ------------------------------------------------ aggregates
    {"", "count ( * ) from", "count from", true, "events are counted by `count from`, without brackets"},
    {"", "count ( {name} where {...} ) per", "count from $1 where $2 per", true,
     "events are counted by `count from`, without brackets"},
    {"", "count ( {name} ) per", "count from $1 per", true, "events are counted by `count from`, without brackets"},
    {"", "count ( distinct {path} ) from", "distinct($1) from"},
    {"", "count distinct {path} from", "distinct($1) from"},
    {"", "count {name} per", "count from $1 per", true, no_from},
    {"", "count of {name} per", "count from $1 per", true, no_from},
    {"", "count number of {name} per", "count from $1 per"},
    {"", "count per", "count from … per", guess, no_from},
    {"", "count ( * )", "count from … per … in last …", guess, "events are counted by `count from`, without brackets"},
    {"", "count ( distinct {path} )", "distinct($1) from … per … in last …", guess},
    {"", "count ( {name} ) {cmp} {num} in last {dur}", "count from $1 per … in last $4 $2 $3", guess,
     "events are counted by `count from`, without brackets"},
    {"", "count ( {name} ) {cmp}", "count from $1 per … in last … $2", guess,
     "events are counted by `count from`, without brackets"},
    {"", "{agg} ( {...} ) per", "$1($2) from … per", guess, no_from},
    {"", "per {name} {cmp} {int} in last {dur}", "per $1 in last $4 $2 $3", true,
     "the window stands before the comparison"},
    {"", "{name} . count ( )", "count($1)", true, aggregates_of_groups},
    {"", "{name} . {agg} ( {name} )", "$2($1.$3)", true, aggregates_of_groups},
    {"", "group by", "per"},
    {"", "partition by", "per"},
    {"", "per ( {...} )", "per $1", true, "kinds of key stand without brackets"},
    {"", "by ( {...} )", "by $1", true, "kinds of key stand without brackets"},
    {"", "per {name} and {name}", "per $1, $2", true, "several kinds of key are separated by commas"},
    {"", "by {name} and {name}", "by $1, $2", true, "several kinds of key are separated by commas"},
    {"", "per each {name}", "per $1"},
    {"feature field let when", "by", "per", true, "the kinds of key stand behind `per`"},

    // ------------------------------------------------ missing values
    {"", "is not null", "is not missing"},
    {"", "is not none", "is not missing"},
    {"", "is not nil", "is not missing"},
    {"", "is not empty", "is not missing", guess},
    {"", "is null", "is missing"},
    {"", "is none", "is missing"},
    {"", "is nil", "is missing"},
    {"", "is empty", "is missing", guess, {}, "an empty text is `== \"\"`"},
    {"", "{path} not missing", "$1 is not missing"},
    {"", "{path} missing", "$1 is missing"},

    // ------------------------------------------------ comparisons
    {"", "is greater than or equal to", ">="},
    {"", "is less than or equal to", "<="},
    {"", "is greater than", ">"},
    {"", "is more than", ">"},
    {"", "is higher than", ">"},
    {"", "is larger than", ">"},
    {"", "is less than", "<"},
    {"", "is lower than", "<"},
    {"", "is smaller than", "<"},
    {"", "is fewer than", "<"},
    {"", "is above", ">"},
    {"", "is over", ">"},
    {"", "is below", "<"},
    {"", "is under", "<"},
    {"", "is at least", ">="},
    {"", "is at most", "<="},
    {"", "is not equal to", "!="},
    {"", "is equal to", "=="},
    {"", "is not in", "not in"},
    {"", "is in", "in"},
    {"", "is one of", "in"},
    {"", "is {cmp}", "$1"},
    {"", "greater than", ">"},
    {"", "more than", ">"},
    {"", "less than", "<"},
    {"", "equals", "=="},
    {"", "is not between {...} and", "not in $1 .."},
    {"", "not between {...} and", "not in $1 ..", true, "a range is `x in a .. b`"},
    {"", "is between {...} and", "in $1 ..", true, "a range is `x in a .. b`"},
    {"", "between {...} and", "in $1 ..", true, "a range is `x in a .. b`"},
    {"", "in ( {...} )", "in [$1]", true, lists_in_brackets},
    {"", "in [ {num} .. {num} ]", "in $1 .. $2", true, "a range stands without brackets"},
    {"", "{path} not {strop} ", "not $1 $2"},
    {"", "= ~", "matches"},
    {"", "~", "matches"},
    {"", "rlike", "matches"},
    {"", "regexp", "matches"},
    {"", "ilike {text}", "like $1 ignoring case", guess, {}, "`*` stands for any characters, `?` for one"},
    {"", "startswith", "starts with"},
    {"", "starts_with", "starts with"},
    {"", "endswith", "ends with"},
    {"", "ends_with", "ends with"},
    {"", ". contains ( {...} )", " contains $1"},
    {"", ". startswith ( {...} )", " starts with $1"},
    {"", ". endswith ( {...} )", " ends with $1"},
    {"", ". matches ( {...} )", " matches $1"},
    {"", "is not {name}", "!= $1"},
    {"", "is {name}", "== $1"},
    {"", "is not {text}", "!= $1"},
    {"", "is {text}", "== $1"},
    {"", "new {name}", "", guess, "what is new has a count of zero before",
     "`feature device_seen = count from login per user, device in 180d before`, then `device_seen == 0`"},
    {"", "xor", "", guess, "there is no `xor`", "write `(a or b) and not (a and b)`"},
    {"", "case when {...} then", "", guess, "there is no `case`",
     "write the condition itself, with `and` and `or`; of a decision `decide block if … else review`"},
    {"", "if (", "", guess, "there is no `if` in an expression",
     "write the condition itself, with `and` and `or`; of a decision `decide block if … else review`"},
    {"", "not exists ( select", "count from … per … in … before == 0", guess,
     "there are no queries inside an expression"},
    {"", "exists ( select", "count from … per … in … before > 0", guess, "there are no queries inside an expression"},
    {"", "( select", "count from … per … in … before", guess, "there are no queries inside an expression"},
    {"", "now ( )", "", guess, no_clock, own_time},
    {"", "now ( {...} )", "", guess, no_clock, own_time},
    {"", "has label {name}", "has label \"$1\"", true, "a label stands in quotes"},
    {"", "has {text}", "has label $1"},

    // ------------------------------------------------ money and numbers
    {"", "{CUR} {num}", "$2 $1", true, "a currency stands behind its amount"},
    {"", "{sign} {num}", "$2 $1", true, "a currency stands behind its amount, as its code"},
    {"", "{num} {sign}", "$1 $2", true, "a currency stands behind its amount, as its code"},
    {"", "{num} {cur}", "$1 $2", true, "currencies are written in capitals"},
    {"", "in {CUR}", "as $1"},
    {"", "to {CUR}", "as $1"},
    {"", "as {cur}", "as $1", true, "currencies are written in capitals"},
    {"", "{num} , {int} {CUR}", "", guess, "numbers are written 1000.50, or 5_000 for better reading"},
    {"", "{num} % of", "$1% *"},
    {"", "{num}% of", "$1% *"},
    {"", "{num} percent of", "$1% *"},
    {"", "{num} percent", "$1%"},
    {"", "{int} m {CUR}", "$1_000_000 $2", guess, "`m` means minutes: amounts are written out"},
    {"", "{int}m {CUR}", "$1_000_000 $2", guess, "`m` means minutes: amounts are written out"},

    // ------------------------------------------------ tables
    {"stream", "select * from {name}", "$1"},
    {"sequence", "{name} [ {...} ] as {name}", "$1 as $3 where $2", true, where_of_step},
    {"sequence", "{name} ( {...} ) as {name}", "$1 as $3 where $2", true, where_of_step},
    {"stream sequence", "{name} [ {...} ]", "$1 where $2", true, where_of_step},
    {"stream sequence", "{name} ( {...} )", "$1 where $2", true, where_of_step},
    {"", "{name} [ {...} ] .", "$1($2).", true, "a row of a table is read by its key in round brackets"},

    // ------------------------------------------------ streams
    {"stream", "[ {...} ]", "$1", true, "the events of a stream are separated by commas"},
    {"stream", "( {...} )", "$1", true, "the events of a stream are separated by commas"},
    {"stream", "or", ",", true, "the events of a stream are separated by commas"},
    {"stream", "and", ",", true, "the events of a stream are separated by commas"},
    {"stream", "union all", ",", true, "the events of a stream are separated by commas"},
    {"stream", "union", ",", true, "the events of a stream are separated by commas"},
    {"stream", "+", ",", true, "the events of a stream are separated by commas"},
    {"stream", "|", ",", true, "the events of a stream are separated by commas"},
    {"stream", "as {name} where", "", guess, "an event of a stream has no name: its fields are written alone",
     "`stream login_ok = login where result == success`"},

    // ------------------------------------------------ sequences
    {"sequence", "sequence {...} within {dur}", "sequence within $2 $1", true,
     "`within` of the whole sequence stands before its `{`"},
    {"sequence", "within {cmp} {dur}", "within $2", true,
     "`within` is followed by a duration: the time passed is less than it"},
    {"sequence", "within less than {dur}", "within $1", true},
    {"sequence", "within the next {dur}", "within $1", true},
    {"sequence", "after match {...} }", "} after match $1", true,
     "`after match` stands behind the `}` of the sequence"},
    {"sequence", "until {...} then", "", guess, "`until` stands last, before the `}`",
     "it ends the search wherever it comes; what must not come between two steps is `then no …`"},
    {"sequence", "{ then", "{", true, "the first step stands without `then`"},
    {"sequence", "followed by", "then"},
    {"sequence", "followedby", "then"},
    {"sequence", "followed_by", "then"},
    {"sequence", "- >", "then"},
    {"sequence", "= >", "then"},
    {"sequence", ">", "then"},
    {"sequence", "and then", "then"},
    {"sequence", "then after", "then"},
    {"sequence", ", then", "then"},
    {"sequence", "then not exists {name}", "then no $1", true, absent},
    {"sequence", "then not {name}", "then no $1", true, absent},
    {"sequence", "then without {name}", "then no $1", true, absent},
    {"sequence", "then never {name}", "then no $1", true, absent},
    {"sequence", "then {name} is missing", "then no $1", true, absent},
    {"sequence", "and not {name}", "then no $1", true, absent},
    {"sequence", "but not {name}", "then no $1", true, absent},
    {"sequence", "but no {name}", "then no $1", true, absent},
    {"sequence", "unless {name}", "then no $1", true, absent},
    {"sequence", "without {name}", "then no $1", true, absent},
    {"sequence", "not exists {name}", "then no $1", true, absent},
    {"sequence", "not {name}", "then no $1", true, absent},
    {"sequence", "not {name}", "no $1", true, absent},
    {"sequence", "without {name}", "no $1", true, absent},
    {"sequence", "{name} == 0 for {dur}", "no $1 for $2", true, absent},
    {"sequence", "no {name} in last {dur}", "no $1 for $2", true, "how long one must not come is said by `for`"},
    {"sequence", "no {name} within {dur}", "no $1 for $2", true, "how long one must not come is said by `for`"},
    {"sequence", "no {name} in {dur}", "no $1 for $2", true, "how long one must not come is said by `for`"},
    {"sequence", "{int} or more times {name}", "at least $1 $2"},
    {"sequence", "{int} or more {name}", "at least $1 $2"},
    {"sequence", "{count} or more {name}", "at least $1 $2"},
    {"sequence", "no {name} , {...} for", "no any_of_them for", guess, of_several},
    {"sequence", "no {name} or {...} for", "no any_of_them for", guess, of_several},
    {"sequence", "no ( {...} )", "no any_of_them", guess, of_several},
    {"sequence", "no {name} , {name}", "no any_of_them", guess, of_several},
    {"sequence", "no {name} or {name}", "no any_of_them", guess, of_several},
    {"sequence", "{name} or {name}", "any_of_them", guess, of_several},
    {"sequence", "( {name} or {name} )", "any_of_them", guess, of_several},
    {"sequence", "( {name} | {name} )", "any_of_them", guess, of_several},
    {"sequence", "of { {...} , {...} }", "of { $1; $2 }", true, "the parts of a group are separated by `;`"},
    // How often.
    {"sequence", "{name} { {int} , }", "at least $2 $1"},
    {"sequence", "{name} { {int} , {int} }", "$2 to $3 $1"},
    {"sequence", "{name} { {int} }", "exactly $2 $1"},
    {"sequence", "{name} +", "at least 1 $1"},
    {"sequence", "{name} ?", "optional $1"},
    {"sequence", "{name} *", "at least 1 $1", guess, {}, "what may also not come needs no step"},
    {"sequence", ">= {int} {name}", "at least $1 $2"},
    {"sequence", "> {more} {name}", "at least $1 $2"},
    {"sequence", "at least {count} {name}", "at least $1 $2", true, "how often is said in digits"},
    {"sequence", "exactly {count} {name}", "exactly $1 $2", true, "how often is said in digits"},
    {"sequence", "at least {int} times {name}", "at least $1 $2"},
    {"sequence", "at least {int} of {name}", "at least $1 $2"},
    {"sequence", "more than {more} {name}", "at least $1 $2"},
    {"sequence", "at most {int} {name}", "1 to $1 $2"},
    {"sequence", "{int} to *", "at least $1"},
    {"sequence", "any number of {name}", "at least 1 $1", guess, {}, "what may also not come needs no step"},
    {"sequence", "many {name}", "at least 2 $1", guess},
    {"sequence", "multiple {name}", "at least 2 $1", guess},
    {"sequence", "{int} times {name}", "exactly $1 $2", guess, {}, "`at least` when it may be more"},
    {"sequence", "{int} x {name}", "exactly $1 $2", guess, {}, "`at least` when it may be more"},
    {"sequence", "{int} {name}", "at least $1 $2", guess, "how often is said by `at least`, `exactly` or `2 to 5`"},
    {"sequence", "{name} as {name} at least {int}", "at least $3 $1 as $2", true, "how often stands before the event"},
    {"sequence", "{name} via {name} as {name} at least {int}", "at least $4 $1 via $2 as $3", true,
     "how often stands before the event"},
    {"sequence", "{name} at least {int}", "at least $2 $1", true, "how often stands before the event"},
    {"sequence", "{name} as {name} times {int}", "exactly $3 $1 as $2", guess, "how often stands before the event",
     "`at least` when it may be more"},
    {"sequence", "{name} times {int}", "exactly $2 $1", guess, "how often stands before the event",
     "`at least` when it may be more"},
    // The parts of a step.
    {"sequence", "as {name} via {name}", "via $2 as $1", true, order_of_step},
    {"sequence", "within {dur} as {name} where {expr}", "as $2 where $3 within $1", true, order_of_step},
    {"sequence", "within {dur} as {name}", "as $2 within $1", true, order_of_step},
    {"sequence", "within {dur} where {expr}", "where $2 within $1", true, order_of_step},
    {"sequence", "within {dur} {name} {expr}", "$2 $3 within $1", true, order_of_step},
    {"sequence", "within {dur} {name}", "$2 within $1", true, order_of_step},
    {"sequence", "in last {dur}", "within $1", true, "how far a step may lie from the one before is said by `within`"},
    {"sequence", "in {dur}", "within $1", true, "how far a step may lie from the one before is said by `within`"},
    {"sequence", "for {dur}", "within $1", true, "how far a step may lie from the one before is said by `within`",
     "`for` belongs to `no …`: how long it must not come"},
    {"sequence", "when", "where", true, where_of_step},
    {"sequence", "if", "where", true, where_of_step},
    {"sequence", "having", "where", true, where_of_step},
    {"sequence", "with", "where", true, where_of_step},
    {"sequence", "filter", "where", true, where_of_step},
    {"sequence", "and", "where", true, where_of_step},
    {"sequence", ",", "where", guess, where_of_step},
    {"sequence", "join {name} on {...} = = {path}", "", guess, "a table is not joined: its row is read by its key",
     "`info(l.account).opened_at`"},
    {"sequence", "join {name}", "", guess, "a table is not joined: its row is read by its key",
     "`info(l.account).opened_at`"},
    {"sequence", "{alias} = {name}", "$2 as $1", true, "a step gets its name by `as`"},
    {"sequence", "{alias} : {name}", "$2 as $1", true, "a step gets its name by `as`"},
    {"sequence", "{name} {alias}", "$1 as $2", true, "a step gets its name by `as`"},

    // ------------------------------------------------ the head of a rule
    {"rule", "rule {text}", "", guess, "a rule has a name of small letters, digits and `_`", how_a_rule_begins},
    {"rule", "for each {name}", "per $1"},
    {"rule", "for {name}", "per $1"},
    {"rule", "by {name}", "per $1"},
    {"rule", "on {name} per {name}", "per $2", guess, "a rule is `on` an event or `per` a key",
     "`per user` with a sequence; with a condition on single events `on transfer`"},
    {"rule", "on {name} {alias} {", "on $1 as $2 {", true, "the event gets its name by `as`"},
    {"rule", "on {alias} : {name}", "on $2 as $1", true, "the event gets its name by `as`"},
    {"rule", ":", "{", guess, {}, how_a_rule_begins},
    {"rule", "when", "", guess, {}, how_a_rule_begins},

    // ------------------------------------------------ clauses
    {"sequence", "sequence :", "", guess, "the steps stand in `{ }`",
     "`sequence within 24h { login as l then transfer as t }`"},
    {"when", "when { {...} }", "when $1", true, "a condition stands without `{ }`"},
    {"when let score", "then {action}", "decide $1", true, "what is decided is a clause of its own"},
    {"when let score", "then {verdict}", "decide $1", guess, "what is decided is a clause of its own"},
    {"when", ",", "and", guess, "conditions are joined by `and` or `or`"},
    {"decide", "decide {action} , {action}", "decide $1", guess, "a rule decides one action"},
    {"decide", "decide : {action}", "decide $1", true, "a clause is its word and what follows, without `:`"},
    {"decide", "decide {verdict}", "decide $1", guess,
     "an action is allow, review, challenge, throttle, reject, block or page"},
    {"severity title owner runbook mode tags because score", "{name} :", "$1", true,
     "a clause is its word and what follows, without `:`"},
    {"severity title owner runbook mode tags because score", "{name} =", "$1", true,
     "a clause is its word and what follows, without `=`"},
    {"severity", "severity {text}", "severity …", guess, "a severity stands without quotes"},
    {"(clause)", "if {...} then {action}", "when $1 decide $2", true,
     "a condition and a decision are clauses of their own"},
    {"(clause)", "if {...} then {verdict}", "when $1 decide $2", guess,
     "a condition and a decision are clauses of their own"},
    {"(clause)", "if", "when"},
    {"(clause)", "where", "when"},
    {"(clause)", "having", "when"},
    {"(clause)", "condition", "when"},
    {"(clause)", "filter", "when"},
    {"(clause)", "then {action}", "decide $1", true, "what is decided is a clause of its own"},
    {"(clause)", "then {verdict}", "decide $1", guess, "what is decided is a clause of its own"},
    {"(clause)", "send to {action}", "decide $1"},
    {"(clause)", "send to {verdict}", "decide $1", guess},
    {"(clause)", "{name} {action}", "decide $1", guess, "what is decided stands behind `decide`"},
    {"(clause)", "action {action}", "decide $1"},
    {"(clause)", "decision {action}", "decide $1"},
    {"(clause)", "outcome {action}", "decide $1"},
    {"(clause)", "return {action}", "decide $1"},
    {"(clause)", "do {action}", "decide $1"},
    {"(clause)", "action : {action}", "decide $1"},
    {"(clause)", "{action} ( {...} )", "decide $1", guess, "what is decided stands behind `decide`"},
    {"(clause)", "{action}", "decide $1", true, "what is decided stands behind `decide`"},
    {"(clause)", "{verdict}", "decide $1", guess, "what is decided stands behind `decide`"},
    {"(clause)", "reason", "because"},
    {"(clause)", "message", "because"},
    {"(clause)", "explain", "because"},
    {"(clause)", "description", "title"},
    {"(clause)", "name", "title"},
    {"(clause)", "priority {severity}", "severity $1"},
    {"(clause)", "level {severity}", "severity $1"},
    {"(clause)", "risk {severity}", "severity $1"},
    {"(clause)", "priority {int}", "severity low", guess,
     "how grave it is says `severity`: info, low, medium, high or critical"},
    {"(clause)", "salience", "", guess, "rules have no order: all of them are judged, and the policy decides"},
    {"(clause)", "pattern {", "sequence {"},
    {"(clause)", "pattern within", "sequence within"},
    {"(clause)", "seq {", "sequence {"},
    {"(clause)", "seq within", "sequence within"},
    {"(clause)", "steps {", "sequence {"},
    {"(clause)", "events {", "sequence {"},
    {"(clause)", "tag", "tags"},
    {"(clause)", "notify", "", guess, no_recipient, "how often it alerts is `alert once per 1d by user`"},
    {"(clause)", "within {dur}", "", guess, "`within` belongs to the sequence", "`sequence within 24h { … }`"},
    {"(clause)", "set {name} =", "let $1 ="},
    {"(clause)", "var {name} =", "let $1 ="},
    {"(clause)", "{name} =", "let $1 =", guess, "a value gets its name by `let`"},

    // ------------------------------------------------ alerts, after match
    {"alert", "alert {name} once", "alert once", guess, no_recipient},
    {"alert", "alert {text} once", "alert once", guess, no_recipient},
    {"alert", "alert to", "", guess, no_recipient, "how often it alerts is `alert once per 1d by user`"},
    {"alert", "per {name} per {one}", "per $2 by $1", true, "an alert comes once per time by key"},
    {"alert", "per {name} per {dur}", "per $2 by $1", true, "an alert comes once per time by key"},
    {"alert", "per {name} , {name} per {one}", "per $3 by $1, $2", true, "an alert comes once per time by key"},
    {"alert", "per {one} per {...}", "per $1 by $2", true, "an alert comes once per time by key"},
    {"alert", "per {dur} per", "per $1 by", true, "an alert comes once per time by key"},
    {"alert", "per {dur} for", "per $1 by", true, "an alert comes once per time by key"},
    {"alert", "per calendar {one}", "per $1", guess, "an alert comes once per duration, counted from the first"},
    {"alert", "per {one}", "per $1", true, "how often is a duration"},
    {"alert", "once by {...} per {dur}", "once per $2 by $1", true, "an alert comes once per time by key"},
    {"alert", "once by {...} per {one}", "once per $2 by $1", true, "an alert comes once per time by key"},
    {"alert", "max 1 per", "once per"},
    {"alert", "only once per", "once per"},
    {"alert", "every {dur}", "once per $1"},
    {"alert", "once every {dur}", "once per $1"},
    {"alert", "alert per", "alert once per"},
    {"after", "skip past last {name}", "skip past last"},
    {"after", "skip to next {name}", "skip to next"},
    {"after", "keep", "keep all", true, "it is `keep all`"},

    // ------------------------------------------------ fields and tables
    {"event table", ",", "", true, "fields stand without commas between them"},
    {"event table", ";", "", true, "fields stand without `;` between them"},
    {"event table", "enum ( {unquoted} )", "enum($1)", true, "the values of an enum stand without quotes"},
    {"event table list", ": {CUR}", ": money<$1>", true, "an amount of money is of type `money`"},
    {"event table", "optional {name} : {name}", "$1 : $2 optional", true, "`optional` stands behind the type"},
    {"event table", "optional", "", guess, "`optional` stands on the line of its field, behind the type"},
    {"event table", "not null", "", true, "a field is always given unless it is `optional`"},
    {"event table", "nullable", "optional"},
    {"event table", "null", "optional"},
    {"event table", "?", " optional"},
    {"event table", "default {...}", "", guess, "a field has no default",
     "a missing field is replaced where it is read: `x ?? 0`"},
    {"event table", "unique", "", guess,
     "a field is not declared unique; the one by which a repeated event is known is `key`"},
    {"event table", "primary key {name}", "key $1"},
    {"event table", "{type} ( {...} )", "$1"},
    {"event table", "{name} {name}", "$1 : $2", true, "a field is written `name : type`"},
    {"event", "event {name} =", "event $1", true, "an event is declared without `=`"},
    {"event", "event {name} :", "event $1", true, "an event is declared without `:`"},
    {"event", "( {...} )", "{ $1 }", true, "the fields stand in `{ }`"},
    {"table", "table {name} key", "table $1 keyed by"},
    {"table", "table {name} primary key", "table $1 keyed by"},
    {"table", "table {name} by", "table $1 keyed by"},
    {"table", "table {name} per", "table $1 keyed by"},
    {"table", "table {name} {", "table $1 keyed by … {", guess, "the key of a table stands before its fields",
     "`table info keyed by account { opened_at : time }`"},
    {"table list", "from {path}", "from \"$1\"", true, "the name of a file stands in quotes"},
    {"list", "list {name}", "list @$1", true, "the name of a list begins with `@`"},
    {"list", "list @{name} =", "list @$1 : set<…> =", guess, "a list says of what it is"},
    {"list", "= ( {...} )", "= [$1]", true, lists_in_brackets},
    {"list", "= { {...} }", "= [$1]", true, lists_in_brackets},
    {"param", "param {name} : {name} =", "param $1 =", true, "a param has the type of its value"},

    // ------------------------------------------------ tests
    {"at", "at {line}", "at \"$1\"", true, "a time stands in quotes"},
    {"send", "send {int} times {name} { {...} }", "send $2 { $3 } times $1 every 1s", guess, "how often stands last"},
    {"send", "send {int} times {name} { }", "send $2 {} times $1 every 1s", guess, "how often stands last"},
    {"send", "} {int} times every {dur}", "} times $1 every $2"},
    {"send", "} times {int}", "} times $1 every 1s", guess, "how far apart they come is said, too"},
    {"send", "send - {dur}", "", guess, "the time of a test does not go back", "send what comes first, first"},
    {"send", "send + {dur} {name}", "send +$1 $2 {}", true, "fields stand in `{ }`, also when there are none"},
    {"send", "send {name}", "send $1 {}", true, "fields stand in `{ }`, also when there are none"},
    {"send", "( {...} )", " { $1 }", true, "fields stand in `{ }`"},
    {"given", "given {name} {", "given table $1 {"},
    {"given", "given table {name} ( {...} ) {", "given table $1 { … : $2,", guess,
     "the key of a row stands among its fields"},
    {"given", "given list @{name}", "given @$1"},
    {"expect", "expect not rule {name}", "expect no rule $1"},
    {"expect", "expect no {name}", "expect no rule $1"},
    {"expect", "expect no alert", "expect alerts 0"},
    {"expect", "expect alert {name}", "expect rule $1", guess},
    {"expect", "expect alert {int}", "expect alerts $1"},
    {"expect", "expect alert", "expect alerts 1"},
    {"expect", "expect {int} alerts", "expect alerts $1"},
    {"expect", "expect {action}", "expect decision $1"},
    {"expect", "expect {rule}", "expect rule $1"},

    // ------------------------------------------------ declarations
    {"(declaration)",
     "create table {name}",
     "",
     guess,
     {},
     "an event is declared `event login { key id : string  time at : time  user : user }`, a look-up table `table info "
     "keyed by account { opened_at : time }`"},
    {"(declaration)", "select", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "with", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "create", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "insert", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "def {name} =", "param $1 ="},
    {"(declaration)", "const {name} =", "param $1 ="},
    {"(declaration)", "let {name} =", "param $1 ="},
    {"(declaration)", "var {name} =", "param $1 ="},
    {"(declaration)", "set {name} =", "param $1 ="},
    {"(declaration)", "define {name} =", "param $1 ="},
    {"(declaration)", "def", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "function", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "if", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "title :", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "{name} :", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "pattern", "", guess, {}, how_a_rule_begins},
    {"(declaration)", "entities", "entity"},
    {"(declaration)", "import", "", guess, {}, "files are given together: `tocsin check rules/` takes all of a folder"},
    {"(declaration)",
     "include",
     "",
     guess,
     {},
     "files are given together: `tocsin check rules/` takes all of a folder"},
    {"(declaration)",
     "package",
     "",
     guess,
     {},
     "files are given together: `tocsin check rules/` takes all of a folder"},
    {"(declaration)", "schema {name}", "event $1"},
    {"(declaration)", "struct {name}", "event $1"},
    {"(declaration)", "record {name}", "event $1"},
    {"(declaration)",
     "type {name}",
     "",
     guess,
     {},
     "an event is declared `event login { … }`, a kind of key `entity user`"},
};

/// Types as others call them; longer words are found without what stands in brackets behind them.
constexpr std::pair<std::string_view, std::string_view> types[] = {
    {"float", "decimal"},     {"double", "decimal"},     {"number", "decimal"},   {"numeric", "decimal"},
    {"real", "decimal"},      {"decimal", "decimal"},    {"integer", "int"},      {"bigint", "int"},
    {"smallint", "int"},      {"long", "int"},           {"int64", "int"},        {"int32", "int"},
    {"uint64", "int"},        {"text", "string"},        {"varchar", "string"},   {"char", "string"},
    {"str", "string"},        {"uuid", "string"},        {"boolean", "bool"},     {"timestamp", "time"},
    {"datetime", "time"},     {"date", "time"},          {"timestamptz", "time"}, {"instant", "time"},
    {"interval", "duration"}, {"timedelta", "duration"}, {"ipaddress", "ip"},     {"ip_address", "ip"},
    {"inet", "ip"},           {"location", "geo"},       {"geopoint", "geo"},     {"coordinates", "geo"},
    {"amount", "money"},      {"currency", "money"},
};

constexpr std::pair<std::string_view, std::string_view> calls[] = {
    {"age", "days_between($1, at)"},
    {"average", "avg($1)"},
    {"cast", "$1 as USD"},
    {"ceiling", "ceil($1)"},
    {"char_length", "length($1)"},
    {"coalesce", "$1 ?? $2"},
    {"contains", "$1 contains $2"},
    {"convert", "$1 as USD"},
    {"count_distinct", "distinct($1) from … per … in last …"},
    {"date_diff", "days_between($1, $2)"},
    {"datediff", "days_between($1, $2)"},
    {"dateadd", "$1 + 7d"},
    {"day_of_week", "weekday_of($1)"},
    {"dayofweek", "weekday_of($1)"},
    {"distance", "distance_km($1, $2)"},
    {"ends_with", "$1 ends with $2"},
    {"endswith", "$1 ends with $2"},
    {"exists", "$1 is not missing"},
    {"extract", "hour_of($1)"},
    {"haversine", "distance_km($1, $2)"},
    {"hour", "hour_of($1)"},
    {"ifnull", "$1 ?? $2"},
    {"in", "$1 in [a, b]"},
    {"is_missing", "$1 is missing"},
    {"is_null", "$1 is missing"},
    {"isnull", "$1 is missing"},
    {"lcase", "lower($1)"},
    {"len", "length($1)"},
    {"mean", "avg($1)"},
    {"nullif", "$1 ?? $2"},
    {"nvl", "$1 ?? $2"},
    {"regexp_like", "$1 matches \"…\""},
    {"regexp_matches", "$1 matches \"…\""},
    {"size", "length($1)"},
    {"starts_with", "$1 starts with $2"},
    {"startswith", "$1 starts with $2"},
    {"stdev", "stddev($1)"},
    {"substr", "left($1, n)"},
    {"substring", "left($1, n)"},
    {"timestampdiff", "hours_between($1, $2)"},
    {"to_usd", "$1 as USD"},
    {"ucase", "upper($1)"},
    {"weekday", "weekday_of($1)"},
};

constexpr std::string_view words_for_missing[] = {"null", "nil", "none", "missing", "undefined", "empty", "na", "nan"};
constexpr std::string_view words_for_now[] = {"current_timestamp", "current_time", "current_date", "sysdate",
                                              "systimestamp",      "localtime",    "today",        "getdate"};

constexpr std::pair<std::string_view, std::string_view> units[] = {
    {"ms", "ms"},    {"milliseconds", "ms"}, {"s", "s"},    {"sec", "s"}, {"secs", "s"},
    {"second", "s"}, {"seconds", "s"},       {"m", "m"},    {"min", "m"}, {"mins", "m"},
    {"minute", "m"}, {"minutes", "m"},       {"h", "h"},    {"hr", "h"},  {"hrs", "h"},
    {"hour", "h"},   {"hours", "h"},         {"d", "d"},    {"day", "d"}, {"days", "d"},
    {"w", "w"},      {"week", "w"},          {"weeks", "w"}};
constexpr std::pair<std::string_view, int> spans[] = {{"month", 30},  {"months", 30}, {"mo", 30},  {"year", 365},
                                                      {"years", 365}, {"y", 365},     {"yr", 365}, {"quarter", 91}};
constexpr std::pair<std::string_view, std::string_view> ones[] = {{"second", "1s"}, {"minute", "1m"}, {"hour", "1h"},
                                                                  {"day", "1d"},    {"week", "7d"},   {"month", "30d"},
                                                                  {"year", "365d"}};
constexpr std::pair<std::string_view, std::string_view> verdicts[] = {
    {"deny", "block"},           {"decline", "block"},      {"refuse", "block"},
    {"stop", "block"},           {"drop", "block"},         {"ban", "block"},
    {"alert", "review"},         {"hold", "review"},        {"flag", "review"},
    {"manual_review", "review"}, {"investigate", "review"}, {"escalate", "review"},
    {"accept", "allow"},         {"approve", "allow"},      {"pass", "allow"},
    {"permit", "allow"},         {"mfa", "challenge"},      {"step_up", "challenge"},
    {"verify", "challenge"},     {"captcha", "challenge"},  {"slow", "throttle"},
    {"blocked", "block"},        {"reviewed", "review"}};
constexpr std::pair<std::string_view, std::string_view> money_signs[] = {
    {"$", "USD"}, {"€", "EUR"}, {"£", "GBP"}, {"¥", "JPY"}};
constexpr std::string_view counts[] = {"zero", "one",   "two",   "three", "four", "five",
                                       "six",  "seven", "eight", "nine",  "ten"};
constexpr std::string_view aggregates[] = {"count", "sum",   "avg",  "min",    "max",   "distinct",
                                           "set",   "first", "last", "stddev", "median"};
constexpr std::string_view comparisons[] = {"==", "!=", "<", ">", "<=", ">=", "=", "<>"};
constexpr std::string_view string_tests[] = {"like", "contains", "matches", "starts", "ends"};
constexpr std::string_view words_of_steps[] = {
    "then",  "where", "via",   "as",     "within",  "until", "and",  "or",       "not",     "in",   "is",
    "per",   "if",    "else",  "from",   "for",     "by",    "no",   "on",       "when",    "with", "at",
    "least", "of",    "times", "select", "missing", "first", "next", "optional", "exactly", "all",  "any"};

// ---------------------------------------------------------------- matching
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_word_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool digit(char c) { return c >= '0' && c <= '9'; }
std::string lowered(std::string_view text) {
  std::string low(text);
  std::transform(low.begin(), low.end(), low.begin(), lower);
  return low;
}
bool same_word(std::string_view written, std::string_view low) {
  return written.size() == low.size() &&
         std::equal(written.begin(), written.end(), low.begin(), [](char a, char b) { return lower(a) == b; });
}
template <typename Words>
bool holds(const Words& words, std::string_view low) {
  return std::find(std::begin(words), std::end(words), low) != std::end(words);
}
template <typename Pairs>
std::string_view second_of(const Pairs& pairs, std::string_view low) {
  for (const auto& [first, second] : pairs) {
    if (first == low) return second;
  }
  return {};
}
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

class Matcher {
 public:
  Matcher(Reader& reader, Iterator from, Iterator to) : reader_(reader) {
    for (Iterator at = reader.skip(from); at < to;) {
      Iterator end = std::min(reader.token_end(at), to);
      if (*at == '\'') {  // a text in the quotes of others is one word, too
        const Iterator line_end = std::find(at, to, '\n');
        const Iterator close = std::find(at + 1, line_end, '\'');
        if (close != line_end) end = close + 1;
      }
      tokens_.emplace_back(at, static_cast<std::size_t>(end - at));
      at = reader.skip(end);
    }
  }

  [[nodiscard]] const std::vector<std::string_view>& tokens() const { return tokens_; }

  /// The form with `first` as its first word, which ends at or behind `stuck`.
  std::optional<ForeignForm> match(const Form& form, std::size_t first, std::size_t stuck) {
    pattern_ = split(form.foreign);
    first_ = first;
    stuck_ = stuck;
    taken_.clear();
    const auto end = match_from(0, first);
    if (!end || *end == first) return std::nullopt;
    ForeignForm found;
    found.from = tokens_[first].data();
    found.to = tokens_[*end - 1].data() + tokens_[*end - 1].size();
    found.ours = ours_of(form.ours);
    if (first > 0 && !found.ours.empty() && tokens_[first - 1].data() + tokens_[first - 1].size() == found.from &&
        is_word_character(found.ours.front()) && is_word_character(found.from[-1])) {
      found.ours.insert(found.ours.begin(), ' ');
    }
    found.readable = !form.ours.empty() && form.ours.find("…") == std::string_view::npos;
    if (form.ours.empty() && form.sure) found.readable = true;  // it is left out
    found.sure = form.sure;
    found.message = form.message;
    found.hint = form.hint;
    found.any_word = form.foreign.starts_with("{name}");
    return found;
  }

 private:
  static constexpr std::size_t run_tokens_max = 2000;

  /// What a class took: a text as it is written in ours, or the words [from, to) as they stand.
  struct Taken {
    std::string text;
    std::size_t from = 0;
    std::size_t to = 0;
    bool unquoted = false;
  };

  [[nodiscard]] bool is_name(std::size_t at) const {
    const std::string_view token = tokens_[at];
    return !reader_.identifier_at(token.data()).empty() && !holds(words_of_steps, lowered(token));
  }
  [[nodiscard]] bool is_whole(std::size_t at) const {
    const std::string_view token = tokens_[at];
    return token.size() <= 12 && std::all_of(token.begin(), token.end(), [](char c) { return digit(c) || c == '_'; }) &&
           digit(token.front());
  }
  [[nodiscard]] bool same_line(std::size_t a, std::size_t b) const {
    const Iterator from = tokens_[a].data();
    const Iterator to = tokens_[b].data();
    return std::find(from, to, '\n') == to;
  }
  [[nodiscard]] static bool is_duration(std::string_view token) {
    return token.size() > 1 && digit(token.front()) &&
           std::all_of(
               token.begin(), token.end(),
               [](char c) { return digit(c) || std::string_view("smhdw").find(c) != std::string_view::npos; }) &&
           !digit(token.back());
  }

  /// One class at one place: where it ends, and what it becomes.
  bool take(std::string_view kind, std::size_t at, std::size_t& end, std::string& out) const {
    if (at >= tokens_.size()) return false;
    const std::string_view token = tokens_[at];
    const std::string low = lowered(token);
    end = at + 1;
    out = token;
    if (kind == "{name}") return is_name(at);
    if (kind == "{rule}") return is_name(at) && token.find_first_of("_0123456789") != std::string_view::npos;
    if (kind == "{alias}")
      return is_name(at) && token.size() <= 4 && (at == 0 || at == first_ || same_line(at - 1, at));
    if (kind == "{path}") {
      if (!is_name(at) || (at > 0 && tokens_[at - 1] == ".")) return false;
      while (end + 1 < tokens_.size() && tokens_[end] == "." &&
             !reader_.identifier_at(tokens_[end + 1].data()).empty()) {
        out += "." + std::string(tokens_[end + 1]);
        end += 2;
      }
      return true;
    }
    if (kind == "{int}") return is_whole(at);
    if (kind == "{more}") {
      if (!is_whole(at)) return false;
      std::uint64_t value = 0;
      std::from_chars(token.data(), token.data() + token.size(), value);
      out = std::to_string(value + 1);
      return true;
    }
    if (kind == "{num}") {
      return digit(token.front()) &&
             std::all_of(token.begin(), token.end(), [](char c) { return digit(c) || c == '_' || c == '.'; });
    }
    if (kind == "{text}") {
      if (token.size() < 2 || (token.front() != '"' && token.front() != '\'') || token.back() != token.front())
        return false;
      return true;
    }
    if (kind == "{quoted}") {
      if (!take("{text}", at, end, out)) return false;
      out = out.substr(1, out.size() - 2);
      return true;
    }
    if (kind == "{dur}") return is_duration(token);
    if (kind == "{unit}") return !(out = second_of(units, low)).empty();
    if (kind == "{one}") return !(out = second_of(ones, low)).empty();
    if (kind == "{span}") {
      const auto found =
          std::find_if(std::begin(spans), std::end(spans), [&](const auto& s) { return s.first == low; });
      if (found == std::end(spans) || at == 0 || !is_whole(at - 1)) return false;
      std::uint64_t value = 0;
      std::from_chars(tokens_[at - 1].data(), tokens_[at - 1].data() + tokens_[at - 1].size(), value);
      out = std::to_string(value * static_cast<std::uint64_t>(found->second)) + "d";
      return value < 100'000;
    }
    if (kind == "{count}") {
      const auto found = std::find(std::begin(counts), std::end(counts), low);
      out = std::to_string(found - std::begin(counts));
      return found != std::end(counts);
    }
    if (kind == "{CUR}") return is_currency_code(token);
    if (kind == "{cur}") {
      std::transform(out.begin(), out.end(), out.begin(),
                     [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
      return token == low && is_currency_code(out);
    }
    if (kind == "{sign}") return !(out = second_of(money_signs, token)).empty();
    if (kind == "{cmp}") return holds(comparisons, token);
    if (kind == "{agg}") return holds(aggregates, out = low);
    if (kind == "{strop}") return holds(string_tests, out = low);
    if (kind == "{severity}") return holds(severities.words, out = low);
    if (kind == "{action}") return holds(actions.words, out = low);
    if (kind == "{verdict}") return !(out = second_of(verdicts, low)).empty();
    if (kind == "{type}") return !(out = second_of(types, low)).empty();
    return false;
  }

  static bool opens(std::string_view token) { return token == "(" || token == "[" || token == "{"; }
  static bool closes(std::string_view token) { return token == ")" || token == "]" || token == "}"; }

  [[nodiscard]] std::string text_of(const Taken& taken) const {
    if (taken.from == taken.to) return taken.text;
    const std::string_view last = tokens_[taken.to - 1];
    std::string text(tokens_[taken.from].data(), last.data() + last.size());
    if (taken.unquoted) std::erase_if(text, [](char c) { return c == '"' || c == '\''; });
    return text;
  }

  /// Anything with its brackets; to the end of the step, or as little as lets the rest of the pattern fit.
  std::optional<std::size_t> match_run(std::size_t p, std::size_t at) {
    const bool to_end_of_step = pattern_[p] == "{expr}";
    int depth = 0;
    for (std::size_t end = at; end < tokens_.size() && end < at + run_tokens_max; ++end) {
      const std::string_view token = tokens_[end];
      if (depth == 0 && (closes(token) || (to_end_of_step && ends_step(end)))) {
        if (!to_end_of_step || end == at) return std::nullopt;
        taken_.push_back({{}, at, end, pattern_[p] == "{unquoted}"});
        return match_from(p + 1, end);
      }
      if (opens(token)) ++depth;
      if (closes(token)) --depth;
      if (depth > 0 || to_end_of_step) continue;
      const std::size_t have = taken_.size();
      taken_.push_back({{}, at, end + 1, pattern_[p] == "{unquoted}"});
      if (const auto found = match_from(p + 1, end + 1)) return found;
      taken_.resize(have);
    }
    return std::nullopt;
  }

  [[nodiscard]] bool ends_step(std::size_t at) const {
    const std::string low = lowered(tokens_[at]);
    return low == "then" || low == "until" || low == ";";
  }

  std::optional<std::size_t> match_from(std::size_t p, std::size_t at) {
    if (p == pattern_.size()) {
      // A form that ends before the place cannot be why it did not read on.
      if (at < stuck_ || (at == stuck_ && at == first_)) return std::nullopt;
      return at;
    }
    const std::string_view want = pattern_[p];
    if (want == "{...}" || want == "{unquoted}" || want == "{expr}") return match_run(p, at);
    if (want == "{line}") {
      if (at >= tokens_.size() || !same_line(at - 1, at)) {
        taken_.push_back({});
        return match_from(p + 1, at);
      }
      std::size_t end = at + 1;
      while (end < tokens_.size() && same_line(at, end)) ++end;
      taken_.push_back({{}, at, end, false});
      return match_from(p + 1, end);
    }
    if (want.front() == '{' && want.size() > 1 && want.back() == '}') {
      std::size_t end = at;
      std::string text;
      if (!take(want, at, end, text)) return std::nullopt;
      taken_.push_back({std::move(text), 0, 0, false});
      return match_from(p + 1, end);
    }
    if (at >= tokens_.size()) return std::nullopt;
    // `{num}%` and `@{name}`: a class and a sign in one word.
    if (want.starts_with("@{")) {
      if (!tokens_[at].starts_with('@')) return std::nullopt;
      taken_.push_back({std::string(tokens_[at].substr(1)), 0, 0, false});
      return match_from(p + 1, at + 1);
    }
    if (const auto close = want.find('}'); want.starts_with('{') && close != std::string_view::npos) {
      const std::string_view tail = want.substr(close + 1);
      const std::string_view token = tokens_[at];
      if (!token.ends_with(tail) || token.size() == tail.size()) return std::nullopt;
      const std::string_view head = token.substr(0, token.size() - tail.size());
      if (!std::all_of(head.begin(), head.end(), digit)) return std::nullopt;
      taken_.push_back({std::string(head), 0, 0, false});
      return match_from(p + 1, at + 1);
    }
    if (!same_word(tokens_[at], want)) return std::nullopt;
    return match_from(p + 1, at + 1);
  }

  [[nodiscard]] std::string ours_of(std::string_view ours) const {
    std::string out;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (ours[i] != '$' || i + 1 == ours.size()) {
        out += ours[i];
        continue;
      }
      ++i;
      // $D is the days of `6 months`, which the class behind the number made.
      const std::size_t index = ours[i] == 'D' ? taken_.size() - 1 : static_cast<std::size_t>(ours[i] - '1');
      if (index < taken_.size()) out += text_of(taken_[index]);
    }
    return out;
  }

  Reader& reader_;
  std::vector<std::string_view> tokens_;
  std::vector<std::string_view> pattern_;
  std::vector<Taken> taken_;
  std::size_t first_ = 0;
  std::size_t stuck_ = 0;
};

}  // namespace

std::vector<ForeignForm> foreign_forms(Reader& reader, Iterator from, Iterator to, Iterator stuck,
                                       std::string_view kind) {
  /// A form is looked for this many words before the place at which the text did not read on.
  constexpr std::size_t back_max = 64;
  std::vector<ForeignForm> found;
  Matcher matcher(reader, from, to);
  const auto& tokens = matcher.tokens();
  if (tokens.empty()) return found;
  const auto at = std::find_if(tokens.begin(), tokens.end(),
                               [&](std::string_view token) { return token.data() + token.size() > stuck; });
  const auto stuck_at = static_cast<std::size_t>(at - tokens.begin());
  const bool anchored = kind.starts_with('(');
  for (const Form& form : forms) {
    if (form.kinds.empty() ? kind == at_declaration : !holds(split(form.kinds), kind)) continue;
    const std::size_t back = stuck_at > back_max ? stuck_at - back_max : 0;
    // The nearest place first; a form of the whole piece begins with it.
    std::size_t first = anchored ? 0 : std::min(stuck_at, tokens.size() - 1);
    while (true) {
      if (auto match = matcher.match(form, first, stuck_at)) {
        found.push_back(std::move(*match));
        break;
      }
      if (first == 0) break;
      first = first == back ? 0 : first - 1;
    }
  }
  return found;
}

std::string_view type_called(std::string_view foreign) {
  const std::string low = lowered(foreign);
  const std::string_view ours = second_of(types, low);
  return ours == low ? std::string_view() : ours;
}

std::string call_called(std::string_view foreign, std::vector<std::string> arguments) {
  const std::string_view ours = second_of(calls, lowered(foreign));
  if (ours == "$1 as USD" && !arguments.empty() && arguments[0].find(" as ") != std::string::npos) return arguments[0];
  // datediff(day, a, b): the unit is in our name.
  if (arguments.size() == 3 && ours.find("_between") != std::string_view::npos) arguments.erase(arguments.begin());
  static constexpr std::string_view gaps[] = {"x", "y"};
  std::string out;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] != '$' || i + 1 == ours.size()) {
      out += ours[i];
      continue;
    }
    const auto index = static_cast<std::size_t>(ours[++i] - '1');
    out += index < arguments.size() ? std::string_view(arguments[index]) : gaps[index];
  }
  return out;
}

bool means_missing(std::string_view word) { return holds(words_for_missing, lowered(word)); }
bool means_now(std::string_view word) { return holds(words_for_now, lowered(word)); }

bool joins_steps_elsewhere(std::string_view word) {
  static constexpr std::string_view words[] = {"followed", "followedby", "followed_by", "and", "or",
                                               "but",      "unless",     "without",     "not", "if",
                                               "when",     "after",      "before",      "join"};
  return holds(words, lowered(word));
}

}  // namespace tocsin::dsl::grammar
