#!/usr/bin/env python3
"""The program as its user meets it: what each subcommand prints, where, and with which exit code."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

GOOD = """entity user
event a { key id : string  time at : time  user : user  v : decimal optional }
rule big on a { when v > 10  decide review  because "{v}" }
policy p on a { score sum  review when any rule decides review  allow otherwise }
test "eleven is big" { at "2026-01-05T10:00:00Z"  send a { user: "u", v: 11 }  expect rule big  expect decision review }
"""
SEQUENCE = GOOD + "rule twice per user { sequence within 1h { exactly 2 a as g } }\n"
FAILING = GOOD + 'test "ten is big" { at "2026-01-05T10:00:00Z"  send a { user: "u", v: 10 }  expect rule big }\n'
WRONG = GOOD.replace("v > 10", "vv > 10")
EVENTS = """{"type":"a","id":"1","at":"2026-01-05T10:00:00Z","user":"u","v":11}
{"type":"a","id":"2","at":"2026-01-05T10:00:01Z","user":"u","v":1}
{broken
"""


class Suite:
    def __init__(self, tocsin):
        self.tocsin, self.passed, self.failed = tocsin, 0, 0

    def run(self, what, code, *arguments, out="", err=""):
        """Runs the program; `out` and `err` must stand in what it says there."""
        done = subprocess.run([self.tocsin, *arguments], capture_output=True, text=True, check=False)
        good = done.returncode == code and out in done.stdout and err in done.stderr
        self.check(what, good, f"exit code {done.returncode}, not {code}?\nout: {done.stdout}\nerr: {done.stderr}")
        return done.stdout

    def check(self, what, good, said=""):
        if good:
            self.passed += 1
            return
        self.failed += 1
        print(f"FAILED: {what}\n{said}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tocsin", required=True, metavar="PATH", help="the program")
    suite = Suite(parser.parse_args().tocsin)
    with tempfile.TemporaryDirectory(prefix="tocsin-commands-test-") as directory:
        def path(name, text=None):
            full = os.path.join(directory, name)
            if text is not None:
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            return full

        good, failing = path("good.risk", GOOD), path("failing.risk", FAILING)
        path("sequence.risk", SEQUENCE)
        wrong, events = path("wrong.risk", WRONG), path("events.ndjson", EVENTS)
        absent, out = path("absent.risk"), path("out")

        suite.run("--help shows examples", 0, "--help", out="tocsin replay --rules rules/")
        suite.run("--version", 0, "--version", out="tocsin ")
        suite.run("each subcommand has help", 0, "replay", "--help", out="--until")
        suite.run("no subcommand is wrong use", 2, err="subcommand")
        suite.run("an unknown option is wrong use", 2, "check", good, "--nonsense", err="--nonsense")
        suite.run("no path is wrong use", 2, "check", err="paths")

        suite.run("check: good rules", 0, "check", good, out="1 file, 1 rule: ok\n")
        deciding = path("deciding.risk", "event a { key id : string  time at : time }\npolicy p on a { score sum  allow otherwise }\n")
        config = path("tocsin.yaml", f"rules: [{deciding}]\nsource: {{kind: files, paths: [{events}], lateness: 5s}}\n"
                                     f"sink: {{kind: files, directory: {out}}}\nstate: {{directory: {out}}}\n")
        suite.run("check: without a configuration no lateness is known", 0, "check", deciding, out="1 file, 0 rules: ok\n")
        suite.run("check: decisions that wait for the source", 0, "check", "--config", config, deciding,
                  out="2:13: warning[W0507]: decisions on `a` wait 5s, the lateness of their source\n")
        suite.run("check: a configuration that is not there", 3, "check", "--config", absent, deciding, err="absent.risk")
        said = suite.run("check: a wrong name", 1, "check", wrong, out="wrong.risk:3:22: error[E02")
        suite.check("check: the last line counts", said.endswith("1 file, 1 rule: 1 error, 0 warnings; nothing was loaded\n"), said)
        said = suite.run("check: as JSON", 1, "check", wrong, "--format", "json")
        suite.check("check: one object a line", [json.loads(line)["line"] for line in said.splitlines()] == [3], said)
        suite.run("check: a path that is not there", 3, "check", absent, err="absent.risk")

        said = suite.run("check: as SARIF", 1, "check", wrong, "--format", "sarif")
        sarif = json.loads(said)["runs"][0]
        suite.check("check: SARIF has rule, place and columns of characters",
                    sarif["tool"]["driver"]["rules"][0]["id"] == sarif["results"][0]["ruleId"]
                    and sarif["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
                    and sarif["columnKind"] == "unicodeCodePoints", said)
        suite.run("check: as GitHub annotations", 1, "check", wrong, "--format", "github", out=",line=3,endLine=3,col=22,")
        fixable = path("fixable.risk", GOOD.replace("v > 10", "v = 10 && vv > 1").replace("vv", "vvv"))
        suite.run("check --fix: what remains is said", 1, "check", "--fix", fixable, out="vvv", err="2 changes made\n")
        with open(fixable, encoding="utf-8") as file:
            suite.check("check --fix: the file is changed", "v == 10 and vvv > 1" in file.read())
        alone = os.path.join(directory, "pack")
        os.mkdir(alone)
        schema, rule = GOOD.split("rule big")[0], "rule big" + GOOD.split("rule big")[1].split("test")[0]
        path("pack/events.risk", schema + "param limit = 3\n")
        suite.run("check: a file of a pack by itself", 1, "check", path("pack/big.risk", rule), out=f"`tocsin check {alone}`")
        suite.run("check: the pack", 0, "check", alone, out="2 files, 1 rule: ok\n")
        suite.run("lint: nothing to say", 0, "lint", good, out=": ok\n")
        os.mkdir(path("lone"))
        lone = path("lone/unused.risk", GOOD + "param unused = 3\n")
        suite.run("lint: advice is a finding", 1, "lint", lone, out="warning[W0530]")
        suite.run("check: advice is not for it", 0, "check", lone, out=": ok\n")
        suite.run("lint: of a part nothing is called unused", 0, "lint", path("pack/events.risk"), out=": ok\n")
        suite.run("a command that is none", 2, "chekc", good, err="did you mean `check`?")
        suite.run("a command that is like none", 2, "frobnicate", err="there is no command `frobnicate`\n")

        loose = path("loose.risk", GOOD + "rule  x on a{when v>1}   # c\n")
        suite.run("fmt --check: names what would change", 1, "fmt", "--check", loose, out="loose.risk\n")
        suite.run("fmt: lays out", 0, "fmt", loose, out="loose.risk\n")
        with open(loose, encoding="utf-8") as file:
            suite.check("fmt: the file is laid out", file.read().endswith("\nrule x on a {\n  when v > 1\n}  # c\n"))
        suite.run("fmt: once is enough", 0, "fmt", "--check", loose)
        suite.run("fmt: what does not read is left", 1, "fmt", path("broken.risk", "rule {"), err="left as it is")

        suite.run("test: all hold", 0, "test", good, out="1 rules, 1 tests, 0 failed\n")
        suite.run("test: one fails", 1, "test", failing, out="big did not hit")
        suite.run("test: rules that do not load", 1, "test", wrong, err="nothing was loaded")

        junit = path("junit.xml")
        suite.run("test --junit", 1, "test", failing, "--junit", junit)
        cases = xml.etree.ElementTree.parse(junit).getroot().findall("./testsuite/testcase")
        suite.check("test --junit: a case a test, with its failure",
                    [len(case.findall("failure")) for case in cases] == [0, 1], str(cases))
        suite.run("test --coverage", 0, "test", good, "--coverage",
                  out="coverage: 1 of 1 rules fired, 0 of 1 branches seen both ways, 1 of 2 policy lines decided\n")
        suite.run("test --mutate: what no test notices", 0, "test", good, "--mutate", out="not noticed, in rule big: `10` as `9`")
        suite.run("test --mutate-min", 1, "test", good, "--mutate", "--mutate-min", "95", out=" mutants, ")
        suite.run("test --mutate: not while tests fail", 1, "test", failing, "--mutate", err="while tests fail")

        suite.run("explain: a code", 0, "explain", "E0203", out="E0203: ")
        suite.run("explain: a code has examples", 0, "explain", "E0101", out="\nright:\n    rule r on login { when result == failure }\n")
        suite.run("explain: codes are read in any case", 0, "explain", "e0203", out="E0203: ")
        suite.run("explain: an unknown code", 2, "explain", "E9999", err="E0203")
        for stage in ("ast", "rulebook", "plan", "program", "ruleset"):
            said = suite.run(f"explain --stage {stage}", 0, "explain", "--stage", stage, path("sequence.risk"))
            suite.check(f"explain --stage {stage} prints something", said.strip() != "")
        suite.run("explain: an unknown stage", 2, "explain", "--stage", "soup", good, err="soup")

        replay = ("replay", "--rules", good, "--events", events, "--out", out)
        suite.run("replay", 0, *replay, out="1 hit")
        with open(os.path.join(out, "summary.json"), encoding="utf-8") as file:
            summary = json.load(file)
        suite.check("summary.json counts", summary["events"] == 2 and summary["dead_letters"] == {"not_json": 1}, str(summary))
        suite.check("summary.json: decisions by action", summary["decisions"] == {"allow": 1, "review": 1}, str(summary))
        why = ("explain", "--rules", good, "--events", events)
        suite.run("explain --event", 0, *why, "--event", "1", "--rule", "big", out="when v > 10: true (v = 11)")
        suite.run("explain --event: of another rule's sequence", 0, "explain", "--rules", path("sequence.risk"), "--events", events,
                  "--event", "2", "--rule", "twice", out="event asked about")
        suite.run("explain --event: a key that is not there", 1, *why, "--event", "9", "--rule", "big",
                  out="no event with the key 9 is among 2 events")
        suite.run("explain --event: a rule that is not there", 2, *why, "--event", "1", "--rule", "bigger", err="there are: big")
        suite.run("explain --event: no rule", 2, *why, "--event", "1", err="--rule")
        suite.run("explain --event: no events", 2, "explain", "--rules", good, "--event", "1", "--rule", "big", err="--events")
        suite.run("explain --event: events that are not there", 3, "explain", "--rules", good, "--events", absent, "--event", "1",
                  "--rule", "big", err="absent")
        suite.run("explain --event: rules with errors", 1, "explain", "--rules", wrong, "--events", events, "--event", "1",
                  "--rule", "big", err="nothing was loaded")
        suite.run("explain --event and --alert", 2, *why, "--event", "1", "--alert", "1", err="one")
        suite.run("explain --rules alone", 2, *why, err="--event")
        one = path("one.json", '{\n "type": "a", "id": "7", "at": "2026-01-05T10:00:02Z",\n "user": "u", "v": 10\n}\n')
        suite.run("explain --event FILE, without history", 0, "explain", "--rules", good, "--event", one, "--rule", "big",
                  out="when v > 10: false (v = 10)")
        suite.run("explain --event FILE: not an event", 2, "explain", "--rules", good, "--event", path("no.json", "{}"), "--rule", "big",
                  err="does not read")
        said = suite.run("explain: as JSON", 0, *why, "--event", "1", "--rule", "big", "--format", "json")
        suite.check("explain: JSON holds the verdict", json.loads(said)["accounts"][0]["verdict"] == "fired", said)
        with open(os.path.join(out, "alerts.ndjson"), encoding="utf-8") as file:
            alert = json.loads(file.readline())["id"]
        suite.run("explain --alert", 0, *why, "--alert", alert, out="made the alert " + alert)
        suite.run("explain --alert: an id that is not there", 1, *why, "--alert", alert[::-1], out="no alert and no hit")
        suite.run("replay: no events", 2, "replay", "--rules", good, "--out", out, err="--events")
        suite.run("replay: a time that is none", 2, *replay, "--until", "soon", err="soon")
        suite.run("replay: events that are not there", 3, "replay", "--rules", good, "--events", absent, "--out", out, err="absent")
        suite.run("replay: rules with errors", 1, "replay", "--rules", wrong, "--events", events, "--out", out, err="nothing was loaded")
        suite.run("replay: a directory of something else", 3, "replay", "--rules", good, "--events", events, "--out", directory, err="--out")
        suite.run("run: a configuration that is not there", 3, "run", "--config", absent, err="absent.risk")
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 0 if suite.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
