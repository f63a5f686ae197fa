#!/usr/bin/env python3
"""The program as its user meets it: what each subcommand prints, where, and with which exit code."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

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
        said = suite.run("check: a wrong name", 1, "check", wrong, out="wrong.risk:3:22: error[E02")
        suite.check("check: the last line counts", said.endswith("1 file, 1 rule: 1 error, 0 warnings; nothing was loaded\n"), said)
        said = suite.run("check: as JSON", 1, "check", wrong, "--format", "json")
        suite.check("check: one object a line", [json.loads(line)["line"] for line in said.splitlines()] == [3], said)
        suite.run("check: a path that is not there", 3, "check", absent, err="absent.risk")

        suite.run("test: all hold", 0, "test", good, out="1 rules, 1 tests, 0 failed\n")
        suite.run("test: one fails", 1, "test", failing, out="big did not hit")
        suite.run("test: rules that do not load", 1, "test", wrong, err="nothing was loaded")

        suite.run("explain: a code", 0, "explain", "E0203", out="E0203: ")
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
