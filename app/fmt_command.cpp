#include <iostream>
#include <iterator>

#include "app/commands.h"
#include "app/files.h"
#include "dsl/format.h"
#include "dsl/parse.h"

namespace tocsin::app {

namespace {

constexpr const char* standard_input = "-";

}  // namespace

int fmt_command(const FormatOptions& options) {
  const bool piped = options.paths.size() == 1 && options.paths.front() == standard_input;
  dsl::SourceSet sources;
  if (piped) {
    sources.emplace_back("<stdin>", std::string(std::istreambuf_iterator<char>(std::cin), {}));
  } else {
    Result<dsl::SourceSet> read = dsl::read_sources(options.paths);
    if (!read) {
      std::cerr << "tocsin fmt: " << read.error().text << "\n";
      return exit_could_not_run;
    }
    sources = read.take();
  }
  int exit_code = exit_fine;
  for (std::uint32_t i = 0; i < sources.size(); ++i) {
    const dsl::SourceFile& source = sources[i];
    dsl::Diagnostics diagnostics;
    const dsl::ast::File file = dsl::parse(sources, i, diagnostics);
    if (!diagnostics.all().empty()) {
      // A file that does not read has no layout; the others still get theirs.
      diagnostics.sort();
      std::cerr << dsl::render(diagnostics, sources) << source.path() << ": left as it is\n";
      exit_code = exit_findings;
      continue;
    }
    const std::optional<std::string> text = dsl::format(source, file);
    if (!text) {
      std::cerr << source.path() << ": left as it is: laid out anew it would not mean the same; please report this\n";
      exit_code = exit_could_not_run;
      continue;
    }
    const bool same = *text == source.text();
    if (piped && !options.check) std::cout << *text;
    if (same || (piped && !options.check)) continue;
    std::cout << source.path() << "\n";
    if (options.check) {
      if (exit_code == exit_fine) exit_code = exit_findings;
    } else if (!replace_file(source.path(), *text)) {
      std::cerr << "tocsin fmt: cannot write " << source.path() << "\n";
      exit_code = exit_could_not_run;
    }
  }
  return exit_code;
}

}  // namespace tocsin::app
