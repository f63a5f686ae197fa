// What must hold is stated where it must hold. TOCSIN_CHECK is always on and stops the process: it is for our own
// mistakes, never for input (no input may reach a check).
#pragma once

#include <sstream>
#include <string>

namespace tocsin::detail {

[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& values);

template <typename... Values>
std::string checked_values(const Values&... values) {
  std::ostringstream out;
  ((out << ' ' << values), ...);
  return out.str();
}

}  // namespace tocsin::detail

/// Stops the process with the condition, the place and the values when `condition` is false.
#define TOCSIN_CHECK(condition, ...)                                                                                 \
  do {                                                                                                               \
    if (!(condition)) [[unlikely]] {                                                                                 \
      ::tocsin::detail::check_failed(#condition, __FILE__, __LINE__, ::tocsin::detail::checked_values(__VA_ARGS__)); \
    }                                                                                                                \
  } while (false)
