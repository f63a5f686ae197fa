// The function library: each function describes itself here, once. The checker reads names and arguments from it, the page for
// analysts is written from it (docs/functions.md, `tocsin docs`), and its examples are run as tests.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "event/function.h"

namespace tocsin::dsl {

/// What stands at one place between the brackets.
enum class Argument : unsigned char {
  number,  // whole or decimal
  amount,  // a number, money or a duration; several of one call are of one kind
  time,
  text,  // a string or an entity
  ip,
  place,
  money,
  bits_v4,     // a whole number from 0 to 32, written out
  bits_v6,     // from 0 to 128
  fixed_text,  // in quotes, or a param
};

enum class Gives : unsigned char { number, whole, truth, text, ip, same };

struct FunctionExample {
  std::string_view call;   // over the event of the page
  std::string_view gives;  // as records write it; `null` is missing
};

struct Function {
  event::Function id;
  std::string_view name;
  std::string_view signature;
  std::string_view meaning;
  std::span<const Argument> arguments;
  std::size_t needed = 0;  // of them; those behind may be left out
  bool repeats = false;    // the last may be given any number of times
  Gives gives = Gives::number;
  std::span<const FunctionExample> examples;
};

/// In the order of their names, which is that of their numbers.
std::span<const Function> functions();
const Function* find_function(std::string_view name);
/// The event over which the examples are written: its declaration, and a JSON line of it.
std::string_view example_rules();
std::string_view example_event();
/// docs/functions.md.
std::string functions_page();

}  // namespace tocsin::dsl
