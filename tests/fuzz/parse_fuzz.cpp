// Any bytes as a rule file: parsed, checked when they parse, the messages rendered; and what parses without a message
// is printed and must parse again to the same tree.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dsl/check.h"
#include "dsl/parse.h"
#include "dsl/print.h"

using namespace tocsin::dsl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SourceSet sources;
  sources.emplace_back("fuzz.risk", std::string(reinterpret_cast<const char*>(data), size));
  Diagnostics diagnostics;
  const std::vector<ast::File> files{parse(sources, 0, diagnostics)};
  if (diagnostics.all().empty()) {
    SourceSet printed;
    printed.emplace_back("printed.risk", print(files[0]));
    Diagnostics none;
    if (dump(parse(printed, 0, none)) != dump(files[0]) || !none.all().empty()) std::abort();
  }
  check(sources, files, diagnostics);
  diagnostics.sort();
  const std::string text = render(diagnostics, sources) + render_json(diagnostics, sources);
  return text.size() == 1 ? 1 : 0;
}
