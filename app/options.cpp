#include "app/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "base/time.h"
#include "dsl/diagnostic.h"
#include "event/value.h"

namespace tocsin::app {

namespace {

constexpr const char* footer = R"(Examples:
  tocsin check rules/                          are the rules right? all messages at once
  tocsin lint rules/                           and what is right but probably not meant
  tocsin fmt rules/                            lay them out in the one canonical form
  tocsin test rules/                           run the tests that stand in the rule files
  tocsin explain E0203                         what a message's code means
  tocsin explain --event t9 --rule NAME --rules rules/ --events events.ndjson
                                               why did the rule fire on this event, or not?
  tocsin explain --stage rulebook rules/       how the rules were understood
  tocsin docs                                  the page of functions, with examples
  tocsin replay --rules rules/ --events events.ndjson --out out/
  tocsin run --config tocsin.yaml              live, from Kafka or files

Exit codes: 0 fine, 1 findings (rules with errors, failed tests), 2 wrong use, 3 could not run.)";

/// Texts of options that become types of ours once everything was read.
struct ReplayTexts {
  std::string until, data_begins, lateness, dedupe, time_format, currency;
};

CLI::Validator validated(const char* what, bool (*good)(const std::string&)) {
  return CLI::Validator(
      [what, good](std::string& text) { return good(text) ? std::string() : text + " is not " + what; }, "");
}
bool is_time(const std::string& text) { return parse_timestamp(text).has_value(); }
bool is_duration(const std::string& text) {
  const std::optional<Duration> duration = parse_duration(text);
  return duration && duration->us >= 0;
}
bool is_beginning(const std::string& text) { return text == "complete" || is_time(text); }
bool is_currency(const std::string& text) { return event::parse_currency(text).has_value(); }

/// How events are read and when: the same words wherever events come from files.
template <typename Options>
void add_reading(CLI::App& app, Options& replay, ReplayTexts& texts) {
  app.add_option("--until", texts.until, "at the end let time pass to here, so that absences are decided")
      ->type_name("TIME")
      ->check(validated("a time such as 2026-01-05T10:00:00Z", is_time));
  app.add_option(
         "--data-begins", texts.data_begins,
         "from when the events are complete: a time, or `complete`; default: the first event. Features that look back "
         "further are warming")
      ->type_name("TIME")
      ->check(validated("a time such as 2026-01-05T10:00:00Z, nor `complete`", is_beginning));
  app.add_option("--lateness", texts.lateness, "how long an event may be overtaken by others; default 0s")
      ->type_name("DURATION")
      ->check(validated("a duration such as 10s", is_duration));
  app.add_option("--dedupe-for", texts.dedupe, "how long the key of an event is remembered; default 1h")
      ->type_name("DURATION")
      ->check(validated("a duration such as 1h", is_duration));
  app.add_option("--type-field", replay.format.type_field, "JSON field that names the type of the event; default type")
      ->type_name("NAME");
  app.add_option("--time-format", texts.time_format, "how times are written; default rfc3339")
      ->check(CLI::IsMember({"rfc3339", "epoch_s", "epoch_ms", "epoch_us"}));
  app.add_option("--currency", texts.currency, "of money written as a bare number; without it such money is refused")
      ->type_name("CUR")
      ->check(validated("a currency such as USD", is_currency));
}

void add_replay(CLI::App& app, ReplayCommandOptions& options, ReplayTexts& texts) {
  replay::ReplayOptions& replay = options.replay;
  app.description(
      "Runs the rules over recorded events. Writes hits, alerts, decisions and dead letters (.ndjson) and "
      "summary.json.\n"
      "The result does not depend on --shards and --batch, nor on a kill in the middle when --store is given.");
  app.add_option("--rules", options.rules, "rule files, or directories of *.risk")->required()->type_name("PATH");
  app.add_option("--events", replay.events,
                 "files of JSON lines (.ndjson, .jsonl, also .zst and .gz), directories of them, or -")
      ->required()
      ->type_name("PATH");
  app.add_option("--out", replay.out, "directory to write into: new, empty, or of an earlier replay")
      ->required()
      ->type_name("DIR");
  add_reading(app, replay, texts);
  app.add_option("--store", options.store,
                 "directory for checkpoints: the same command goes on where a kill stopped it")
      ->type_name("DIR");
  app.add_option("--checkpoint-every", replay.checkpoint_events, "events between two checkpoints; default 500000")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40U));
  app.add_option("--shards", replay.shards, "parts the keys are divided into; default 1")
      ->type_name("N")
      ->check(CLI::Range(1U, 1024U));
  app.add_option("--batch", replay.batch, "events evaluated together; default 512")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20U));
  app.footer(
      "Example:\n  tocsin replay --rules rules/ --events jan.ndjson.zst feb.ndjson.zst --out out/ --until "
      "2026-03-01T00:00:00Z");
}

/// What both a replay and an explanation are told about the events.
template <typename Options>
void finish(Options& replay, const ReplayTexts& texts) {
  if (!texts.until.empty()) replay.until = parse_timestamp(texts.until);
  if (texts.data_begins == "complete") {
    replay.data_begins.kind = engine::DataBegins::Kind::complete;
  } else if (!texts.data_begins.empty()) {
    replay.data_begins = {engine::DataBegins::Kind::at, *parse_timestamp(texts.data_begins)};
  }
  if (!texts.lateness.empty()) replay.lateness = *parse_duration(texts.lateness);
  if (!texts.dedupe.empty()) replay.dedupe = *parse_duration(texts.dedupe);
  if (!texts.currency.empty()) replay.format.currency = *event::parse_currency(texts.currency);
  if (texts.time_format == "epoch_s") replay.format.time_format = event::TimeFormat::epoch_s;
  if (texts.time_format == "epoch_ms") replay.format.time_format = event::TimeFormat::epoch_ms;
  if (texts.time_format == "epoch_us") replay.format.time_format = event::TimeFormat::epoch_us;
}

void add_check(CLI::App& app, CheckOptions& options, std::string& format) {
  app.add_option("paths", options.paths, "rule files, or directories of *.risk")->required()->type_name("PATH");
  app.add_option("--format", format,
                 "text for people; json (a message a line), sarif (2.1.0) and github (annotations) for programs")
      ->check(CLI::IsMember({"text", "json", "sarif", "github"}));
  app.add_option("--config", options.config,
                 "the configuration of `tocsin run`: warns where decisions would wait for its lateness")
      ->type_name("FILE");
  app.add_flag("--fix", options.fix,
               "first makes the changes that messages carry (`=` to `==`, misspelt names), in place");
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

void add_why(CLI::App& app, ExplainOptions& options, ReplayTexts& texts, std::string& format) {
  replay::ExplainOptions& why = options.why;
  app.add_option(
         "--event", options.event,
         "the key of an event among --events, or a file: its last line is asked about, those before it are history")
      ->type_name("KEY|FILE");
  app.add_option("--alert", why.alert_id, "the id of an alert or a hit that comes out of --events")->type_name("ID");
  app.add_option("--rule", why.rule, "the rule; an alert knows its own")->type_name("NAME");
  app.add_option("--rules", options.rules, "rule files, or directories of *.risk")->type_name("PATH");
  app.add_option("--events", why.events, "the events, as for replay")->type_name("PATH");
  app.add_option("--format", format, "text for people, json for programs")->check(CLI::IsMember({"text", "json"}));
  add_reading(app, why, texts);
  app.footer(
      "Examples:\n  tocsin explain E0203\n  tocsin explain --stage rulebook rules/\n"
      "  tocsin explain --event t9 --rule new_device_transfer --rules rules/ --events jan.ndjson.zst\n"
      "  tocsin explain --event transfer.json --rule new_device_transfer --rules rules/ --events jan.ndjson.zst\n"
      "  tocsin explain --alert 0c5d3a… --rules rules/ --events jan.ndjson.zst");
}

/// Empty, or what was meant otherwise.
std::string wrong_use(const ExplainOptions& options) {
  const bool asks_why = !options.event.empty() || !options.why.alert_id.empty();
  if (!asks_why) {
    if (!options.why.rule.empty() || !options.rules.empty() || !options.why.events.empty()) {
      return "explain --rules asks about one event: name it with --event KEY or --event FILE, or an alert with --alert "
             "ID";
    }
    if (options.stage.empty() && options.subjects.size() != 1) {
      return "explain takes one code, such as E0203, or --stage and rule files, or --event and --rule";
    }
    if (options.subjects.empty()) return "explain --stage takes rule files or directories";
    return {};
  }
  if (!options.stage.empty() || !options.subjects.empty())
    return "--event and --alert go with --rules, not with codes or stages";
  if (!options.event.empty() && !options.why.alert_id.empty()) return "ask about one: --event or --alert";
  if (options.rules.empty()) return "name the rule files with --rules";
  if (options.event.empty() && options.why.events.empty())
    return "an alert comes out of events: name them with --events";
  if (!options.event.empty() && options.why.rule.empty())
    return "name the rule with --rule; an event is told rule by rule";
  return {};
}

}  // namespace

Parsed parse_options(int argument_count, char** arguments) {
  CLI::App app("Tocsin: rules over streams of events, from text to alerts and decisions.", "tocsin");
  app.set_version_flag("--version", std::string("tocsin ") + version);
  app.require_subcommand(1);
  app.footer(footer);

  CheckOptions check;
  CheckOptions lint;
  lint.lint = true;
  std::string format = "text";
  CLI::App* check_app = app.add_subcommand("check", "Checks rule files; prints every mistake of every file");
  CLI::App* lint_app =
      app.add_subcommand("lint", "Checks rule files and gives advice: what is right and probably not meant");
  add_check(*check_app, check, format);
  add_check(*lint_app, lint, format);

  FormatOptions fmt;
  CLI::App* fmt_app = app.add_subcommand("fmt", "Lays rule files out in the one canonical form");
  fmt_app->add_option("paths", fmt.paths, "rule files, or directories of *.risk; - for the standard input")
      ->required()
      ->type_name("PATH");
  fmt_app->add_flag("--check", fmt.check,
                    "change nothing; name the files that are laid out otherwise, exit code 1 if any");

  TestOptions test;
  CLI::App* test_app = app.add_subcommand("test", "Runs the tests that stand in the rule files");
  test_app->add_option("paths", test.paths, "rule files, or directories of *.risk")->required()->type_name("PATH");
  test_app->add_option("--junit", test.junit, "also write the report as JUnit XML")->type_name("FILE");
  test_app->add_flag("--coverage", test.coverage, "which rules, branches and policy lines the tests have seen");
  test_app->add_flag("--mutate", test.mutate, "change one thing of the rules at a time; report what no test notices");
  test_app->add_option("--mutate-min", test.mutate_min, "with --mutate: exit code 1 below this many percent")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 100.0));

  ExplainOptions explain;
  CLI::App* explain_app =
      app.add_subcommand("explain",
                         "Says why a rule fired on an event or not, what a code of a message means, or what a stage "
                         "made of the rules");
  explain_app->add_option("subjects", explain.subjects, "a code such as E0203; with --stage: rule files or directories")
      ->type_name("CODE|PATH");
  explain_app->add_option("--stage", explain.stage, "ast, rulebook, plan, program or ruleset")
      ->check(CLI::IsMember({"ast", "rulebook", "plan", "program", "ruleset"}));
  ReplayTexts why_texts;
  add_why(*explain_app, explain, why_texts, format);

  CLI::App* docs_app = app.add_subcommand("docs", "Writes the page of functions, docs/functions.md");

  ReplayCommandOptions replay;
  ReplayTexts replay_texts;
  CLI::App* replay_app = app.add_subcommand("replay", "Runs the rules over recorded events");
  add_replay(*replay_app, replay, replay_texts);

  RunOptions run;
  CLI::App* run_app = app.add_subcommand("run", "Runs live: Kafka or files in, alerts and decisions out");
  run_app->add_option("--config", run.config, "the configuration, YAML; docs/operations.md tells every key")
      ->required()
      ->type_name("FILE");
  run_app->add_flag("--print-config", run.print_config,
                    "print the configuration with all defaults, secrets masked, and end");

  Parsed parsed;
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& problem) {
    const std::string first = argument_count > 1 ? arguments[1] : "";
    const std::vector<std::string> names = command_names(app);
    if (!first.empty() && first[0] != '-' && std::find(names.begin(), names.end(), first) == names.end()) {
      const std::string near = dsl::nearest_name(first, names);
      std::cerr << "there is no command `" << first << "`" << (near.empty() ? "" : "; did you mean `" + near + "`?")
                << "\n`tocsin --help` lists them\n";
      parsed.exit_code = exit_wrong_use;
      return parsed;
    }
    // Help and version are "errors" of that library with code 0; both go to the standard output.
    parsed.exit_code = app.exit(problem, std::cout, std::cerr) == 0 ? exit_fine : exit_wrong_use;
    return parsed;
  }
  check.format = lint.format = dsl::report_format_of(format).value_or(dsl::ReportFormat::text);
  if (check_app->parsed()) parsed.command = check;
  if (lint_app->parsed()) parsed.command = lint;
  if (fmt_app->parsed()) parsed.command = fmt;
  if (docs_app->parsed()) parsed.command = DocsOptions{};
  if (test_app->parsed()) parsed.command = test;
  if (replay_app->parsed()) {
    finish(replay.replay, replay_texts);
    parsed.command = replay;
  }
  if (run_app->parsed()) parsed.command = run;
  if (explain_app->parsed()) {
    finish(explain.why, why_texts);
    explain.json = format == "json";
    if (const std::string wrong = wrong_use(explain); !wrong.empty()) {
      std::cerr << wrong << "\n";
      parsed.exit_code = exit_wrong_use;
      return parsed;
    }
    parsed.command = explain;
  }
  return parsed;
}

}  // namespace tocsin::app
