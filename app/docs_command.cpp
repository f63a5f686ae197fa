#include <iostream>

#include "app/commands.h"
#include "dsl/functions.h"

namespace tocsin::app {

int docs_command(const DocsOptions&) {
  std::cout << dsl::functions_page();
  return exit_fine;
}

}  // namespace tocsin::app
