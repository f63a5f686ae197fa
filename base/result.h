// How a failure of the world (disk, broker, file) travels: as a value. An Error holds what kind of failure it was and a
// sentence for a person, to which each caller on the way up may add what it was doing. Nothing in this house throws.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace tocsin {

enum class ErrorKind {
  not_found,    // a file, topic or key that should be there is not
  refused,      // wrong input or configuration: a person must change something
  corrupt,      // bytes that do not read back as what was written
  unavailable,  // may work later: broker away, disk full
};

struct Error {
  ErrorKind kind = ErrorKind::refused;
  std::string text;  // a sentence: what failed, where, what to do

  /// The same error, prefixed by what the caller was doing: "opening store data/: …".
  [[nodiscard]] Error while_doing(const std::string& what) const { return {kind, what + ": " + text}; }
};

/// A value or an Error. Ignoring one does not compile.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  [[nodiscard]] bool ok() const { return held_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() {
    TOCSIN_CHECK(ok());
    return std::get<0>(held_);
  }
  const T& value() const {
    TOCSIN_CHECK(ok());
    return std::get<0>(held_);
  }
  T take() { return std::move(value()); }
  [[nodiscard]] const Error& error() const {
    TOCSIN_CHECK(!ok());
    return std::get<1>(held_);
  }

 private:
  std::variant<T, Error> held_;
};

/// Success without a value, or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const {
    TOCSIN_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace tocsin
