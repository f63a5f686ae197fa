// The one program: what was asked for is told by options.cpp, done by the file of its subcommand.
#include <variant>

#include "app/commands.h"
#include "app/run_command.h"

namespace {

using namespace tocsin::app;

struct Dispatch {
  int operator()(const CheckOptions& options) const { return check_command(options); }
  int operator()(const FormatOptions& options) const { return fmt_command(options); }
  int operator()(const TestOptions& options) const { return test_command(options); }
  int operator()(const ExplainOptions& options) const { return explain_command(options); }
  int operator()(const DocsOptions& options) const { return docs_command(options); }
  int operator()(const ReplayCommandOptions& options) const { return replay_command(options); }
  int operator()(const RunOptions& options) const { return run_command(options.config, options.print_config); }
};

}  // namespace

int main(int argument_count, char** arguments) {
  const Parsed parsed = parse_options(argument_count, arguments);
  if (!parsed.command) return parsed.exit_code;
  return std::visit(Dispatch{}, *parsed.command);
}
