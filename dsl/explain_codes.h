// What each code of a message means, for `tocsin explain E0203`, SARIF and editors: a paragraph, an example that gets the message, and
// one that does not. A test walks the register: every wrong example gives its code, every right one is clean.
#pragma once

#include <string>
#include <string_view>

#include "dsl/codes.h"

namespace tocsin::dsl {

struct CodePage {
  Code code = Code::syntax;
  std::string_view title;    // from the register
  std::string_view meaning;  // whole sentences
  std::string_view wrong;    // rule text behind `explain_prelude`; empty where no few lines can show it
  std::string_view right;
};

/// Of a code of the register.
const CodePage& page_of(Code code);
/// The declarations that the examples stand behind.
std::string_view explain_prelude();
/// The page as the command prints it.
std::string to_text(const CodePage& page);

}  // namespace tocsin::dsl
