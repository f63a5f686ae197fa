// The subcommands, one file each. Each does what was asked, prints results to the standard output and errors to the standard error, and
// gives the exit code of the program. `run` is declared in app/run_command.h.
#pragma once

#include "app/options.h"

namespace tocsin::app {

int check_command(const CheckOptions& options);
int fmt_command(const FormatOptions& options);
int test_command(const TestOptions& options);
int explain_command(const ExplainOptions& options);
int docs_command(const DocsOptions& options);
int replay_command(ReplayCommandOptions options);

}  // namespace tocsin::app
