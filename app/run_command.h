// `tocsin run`: the daemon. Puts source, sink, store, task, log and HTTP pages together as the configuration says, and
// hears signals: SIGHUP reloads the rules, SIGTERM and SIGINT end in order.
#pragma once

#include <string>

namespace tocsin::app {

/// The exit code of the program. With `print_only` the configuration is printed with all defaults, and that is all.
int run_command(const std::string& config_path, bool print_only = false);

}  // namespace tocsin::app
