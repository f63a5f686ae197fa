// Any bytes as a rule file: what parses without a message is laid out, which must mean the same and be laid out the same again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dsl/format.h"
#include "dsl/parse.h"
#include "dsl/print.h"

using namespace tocsin::dsl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SourceSet sources;
  sources.emplace_back("fuzz.risk", std::string(reinterpret_cast<const char*>(data), size));
  Diagnostics diagnostics;
  const ast::File file = parse(sources, 0, diagnostics);
  if (!diagnostics.all().empty()) return 0;
  const std::optional<std::string> once = format(sources[0], file);
  if (!once) std::abort();
  sources.emplace_back("once.risk", *once);
  const ast::File again = parse(sources, 1, diagnostics);
  if (!diagnostics.all().empty() || dump(again) != dump(file)) std::abort();
  const std::optional<std::string> twice = format(sources[1], again);
  if (!twice || *twice != *once) std::abort();
  return 0;
}
