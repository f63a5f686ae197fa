// What was asked for on the command line, one struct per subcommand. Only options.cpp knows how it was spelled.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dsl/report.h"
#include "replay/explain.h"
#include "replay/replay.h"

namespace tocsin::app {

// Exit codes of the program, the same for all subcommands.
inline constexpr int exit_fine = 0;
inline constexpr int exit_findings = 1;  // the rules have errors, a test failed
inline constexpr int exit_wrong_use = 2;
inline constexpr int exit_could_not_run = 3;

inline constexpr const char* version = "0.1.0";

struct CheckOptions {
  std::vector<std::string> paths;
  dsl::ReportFormat format = dsl::ReportFormat::text;
  bool fix = false;
  bool lint = false;   // with advice; warnings are findings
  std::string config;  // of the daemon that will run them; empty: not known
};
struct FormatOptions {
  std::vector<std::string> paths;  // `-`: the standard input
  bool check = false;              // only say which files would change
};
struct TestOptions {
  std::vector<std::string> paths;
  std::string junit;  // file to write; empty: none
  bool coverage = false;
  bool mutate = false;
  double mutate_min = 0;  // percent
};
struct ExplainOptions {
  std::string stage;  // empty: `subjects` is one diagnostic code
  std::vector<std::string> subjects;
  // Why a rule fired, or not: `--event` or `--alert`, over events.
  std::string event;  // a key, or a file
  std::vector<std::string> rules;
  replay::ExplainOptions why;
  bool json = false;
};
struct DocsOptions {};  // the page of functions
struct ReplayCommandOptions {
  std::vector<std::string> rules;
  std::string store;  // directory; empty: none
  replay::ReplayOptions replay;
};
struct RunOptions {
  std::string config;
  bool print_config = false;
};

using Command = std::variant<CheckOptions, FormatOptions, TestOptions, ExplainOptions, DocsOptions,
                             ReplayCommandOptions, RunOptions>;

struct Parsed {
  std::optional<Command> command;  // nothing: help or version was printed, or the use was wrong and said so
  int exit_code = exit_fine;
};
Parsed parse_options(int argument_count, char** arguments);

}  // namespace tocsin::app
