#include "dsl/functions.h"

#include <algorithm>
#include <iterator>

namespace tocsin::dsl {
namespace {

using enum Argument;
using Id = event::Function;

constexpr Argument one_amount[] = {amount};
constexpr Argument two_amounts[] = {amount, amount};
constexpr Argument one_money[] = {money};
constexpr Argument two_times[] = {time, time};
constexpr Argument one_time[] = {time};
constexpr Argument two_places[] = {place, place};
constexpr Argument one_text[] = {text};
constexpr Argument text_and_count[] = {text, number};
constexpr Argument number_and_digits[] = {number, number};
constexpr Argument one_number[] = {number};
constexpr Argument one_ip[] = {ip};
constexpr Argument ip_and_flag[] = {ip, fixed_text};
constexpr Argument ip_and_bits[] = {ip, bits_v4, bits_v6};

constexpr FunctionExample of_abs[] = {
    {"abs(-3.5)", "3.5"}, {"abs(paid - 100 EUR)", "\"87.655 EUR\""}, {"abs(nothing)", "null"}};
constexpr FunctionExample of_amount[] = {{"amount(paid)", "12.345"}};
constexpr FunctionExample of_ceil[] = {{"ceil(2.1)", "3"}, {"ceil(-2.1)", "-2"}};
constexpr FunctionExample of_currency[] = {{"currency(paid)", "\"EUR\""}};
constexpr FunctionExample of_days[] = {{"days_between(opened, closed)", "1.5"},
                                       {"days_between(closed, opened)", "1.5"}};
constexpr FunctionExample of_distance[] = {{"distance_km(berlin, paris)", "877.465"},
                                           {"distance_km(berlin, berlin)", "0"},
                                           {"distance_km(berlin, nowhere)", "null"}};
constexpr FunctionExample of_domain[] = {{"domain(mail)", "\"Mail.Example\""}, {"domain(name)", "null"}};
constexpr FunctionExample of_floor[] = {{"floor(2.9)", "2"}, {"floor(-2.1)", "-3"}};
constexpr FunctionExample of_greatest[] = {
    {"greatest(3, 7, 5)", "7"}, {"greatest(1 EUR, paid)", "\"12.345 EUR\""}, {"greatest(3, nothing)", "null"}};
constexpr FunctionExample of_hour[] = {{"hour_of(closed)", "22"}};
constexpr FunctionExample of_hours[] = {{"hours_between(opened, closed)", "36"},
                                        {"hours_between(closed, opened)", "36"}};
constexpr FunctionExample of_flag[] = {{"ip_flag(a, \"anonymizer\")", "true"},
                                       {"ip_flag(a, \"hosting\")", "false"},
                                       {"ip_flag(b, \"anonymizer\")", "false"}};
constexpr FunctionExample of_private[] = {{"is_private(a)", "true"}, {"is_private(b)", "false"}};
constexpr FunctionExample of_least[] = {{"least(3, 7, 5)", "3"}, {"least(2h, 90m)", "\"1h 30m\""}};
constexpr FunctionExample of_left[] = {
    {"left(name, 6)", "\"Anna M\""}, {"left(name, 99)", "\"Anna Müller \""}, {"left(name, -1)", "null"}};
constexpr FunctionExample of_length[] = {{"length(name)", "12"}, {"length(trim(name))", "11"}};
constexpr FunctionExample of_lower[] = {{"lower(mail)", "\"anna@mail.example\""}};
constexpr FunctionExample of_right[] = {{"right(mail, 7)", "\"Example\""}, {"right(mail, 0)", "\"\""}};
constexpr FunctionExample of_round[] = {
    {"round(2.5)", "2"}, {"round(3.5)", "4"}, {"round(1.23456, 2)", "1.23"}, {"round(1250, -2)", "1200"}};
constexpr FunctionExample of_subnet[] = {
    {"subnet(a, 24)", "\"10.1.2.0\""}, {"subnet(b, 24)", "\"2001:db8:1::\""}, {"subnet(b, 24, 32)", "\"2001:db8::\""}};
constexpr FunctionExample of_trim[] = {{"trim(name)", "\"Anna Müller\""}};
constexpr FunctionExample of_upper[] = {{"upper(mail)", "\"ANNA@MAIL.EXAMPLE\""}};
constexpr FunctionExample of_weekday[] = {{"weekday_of(closed)", "2"}};

constexpr Function library[] = {
    {Id::abs, "abs", "abs(x)", "The size of a number, an amount of money or a duration, without its sign.", one_amount,
     1, false, Gives::same, of_abs},
    {Id::amount, "amount", "amount(money)", "The number of an amount of money, without its currency.", one_money, 1,
     false, Gives::number, of_amount},
    {Id::ceil, "ceil", "ceil(x)", "The smallest whole number that is not below x.", one_number, 1, false, Gives::whole,
     of_ceil},
    {Id::currency, "currency", "currency(money)", "The three letters of an amount's currency.", one_money, 1, false,
     Gives::text, of_currency},
    {Id::days_between, "days_between", "days_between(a, b)",
     "The days between two times, with fractions, whichever is earlier.", two_times, 2, false, Gives::number, of_days},
    {Id::distance_km, "distance_km", "distance_km(a, b)",
     "The kilometres between two places on a sphere of 6371.0088 km, to the metre.", two_places, 2, false,
     Gives::number, of_distance},
    {Id::domain, "domain", "domain(text)", "What stands behind the last `@`; missing when there is none.", one_text, 1,
     false, Gives::text, of_domain},
    {Id::floor, "floor", "floor(x)", "The largest whole number that is not above x.", one_number, 1, false,
     Gives::whole, of_floor},
    {Id::greatest, "greatest", "greatest(a, b, …)",
     "The greatest of numbers, of durations, or of amounts of one currency; missing when one of them is.", two_amounts,
     2, true, Gives::same, of_greatest},
    {Id::hour_of, "hour_of", "hour_of(time)", "The hour of the day in UTC, 0 to 23.", one_time, 1, false, Gives::whole,
     of_hour},
    {Id::hours_between, "hours_between", "hours_between(a, b)",
     "The hours between two times, with fractions, whichever is earlier.", two_times, 2, false, Gives::number,
     of_hours},
    {Id::ip_flag, "ip_flag", "ip_flag(ip, \"flag\")",
     "Whether the smallest network of the table `ip_flags` that holds the address has this word among its `flags`. "
     "Without such a table or "
     "network: false.",
     ip_and_flag, 2, false, Gives::truth, of_flag},
    {Id::is_private, "is_private", "is_private(ip)",
     "Whether the address is of a private network, the machine itself or the link (RFC 1918, 4193, 3927, 4291).",
     one_ip, 1, false, Gives::truth, of_private},
    {Id::least, "least", "least(a, b, …)",
     "The least of numbers, of durations, or of amounts of one currency; missing when one of them is.", two_amounts, 2,
     true, Gives::same, of_least},
    {Id::left, "left", "left(text, n)", "The first n characters, or the whole text when it is shorter.", text_and_count,
     2, false, Gives::text, of_left},
    {Id::length, "length", "length(text)", "The number of characters.", one_text, 1, false, Gives::whole, of_length},
    {Id::lower, "lower", "lower(text)", "The text with the letters A to Z small; other letters stay as they are.",
     one_text, 1, false, Gives::text, of_lower},
    {Id::right, "right", "right(text, n)", "The last n characters, or the whole text when it is shorter.",
     text_and_count, 2, false, Gives::text, of_right},
    {Id::round, "round", "round(x, digits)",
     "x rounded half to even to so many digits behind the point: none when left out, tens and hundreds when negative.",
     number_and_digits, 1, false, Gives::number, of_round},
    {Id::subnet, "subnet", "subnet(ip, bits, bits_v6)",
     "The network of an address, as its first address: so many bits of an IPv4 address; of an IPv6 address 48, or as "
     "many as the third says.",
     ip_and_bits, 2, false, Gives::ip, of_subnet},
    {Id::trim, "trim", "trim(text)", "The text without blanks, tabs and line ends around it.", one_text, 1, false,
     Gives::text, of_trim},
    {Id::upper, "upper", "upper(text)", "The text with the letters a to z large; other letters stay as they are.",
     one_text, 1, false, Gives::text, of_upper},
    {Id::weekday_of, "weekday_of", "weekday_of(time)", "The day of the week in UTC: 1 is Monday, 7 is Sunday.",
     one_time, 1, false, Gives::whole, of_weekday},
};

constexpr std::string_view rules = R"(event example {
  key id : string  time at : time
  a : ip  b : ip  berlin : geo  paris : geo  nowhere : geo optional  opened : time  closed : time
  paid : money<EUR>  name : string  mail : string  nothing : decimal optional
}
table ip_flags keyed by cidr { flags : string }
)";
constexpr std::string_view event_line =
    R"({"type":"example","id":"e1","at":"2026-01-06T22:30:00Z","a":"10.1.2.3","b":"2001:db8:1:2::3",)"
    R"("berlin":{"lat":52.52,"lon":13.405},"paris":{"lat":48.8566,"lon":2.3522},"opened":"2026-01-05T10:30:00Z",)"
    R"("closed":"2026-01-06T22:30:00Z","paid":"12.345 EUR","name":"Anna Müller ","mail":"Anna@Mail.Example"})";

}  // namespace

std::span<const Function> functions() { return library; }

const Function* find_function(std::string_view name) {
  const auto at =
      std::find_if(std::begin(library), std::end(library), [&](const Function& f) { return f.name == name; });
  return at == std::end(library) ? nullptr : at;
}

std::string_view example_rules() { return rules; }
std::string_view example_event() { return event_line; }

std::string functions_page() {
  std::string page =
      "# Functions\n\n"
      "Written by `tocsin docs`; a test compares this page with what the program writes, and runs every example. A "
      "function of a missing\n"
      "value is missing; no function asks a clock, a network or chance. What stands in a group, such as "
      "`sum(g.amount)`, and what is\n"
      "counted in windows stands in [language.md](language.md).\n\n"
      "The examples are over this event, with `10.0.0.0/8` under `anonymizer vpn` in the table `ip_flags`:\n\n"
      "```json\n";
  page += event_line;
  page += "\n```\n";
  for (const Function& f : library) {
    page +=
        "\n## " + std::string(f.name) + "\n\n`" + std::string(f.signature) + "`: " + std::string(f.meaning) + "\n\n";
    page += "| Example | Gives |\n|---|---|\n";
    for (const FunctionExample& example : f.examples) {
      page += "| `" + std::string(example.call) + "` | " +
              (example.gives == "null" ? "missing" : "`" + std::string(example.gives) + "`") + " |\n";
    }
  }
  return page;
}

}  // namespace tocsin::dsl
