#!/usr/bin/env python3
"""The first run: makes a stream with attacks hidden in it, tests the rule pack, replays the stream, and counts what was
caught.

Everything happens in one directory (default build/demo), on files and a local store. While the replay runs, its alerts
are shown as they come: the first ones in full, the rest counted.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import time

import generate
import score

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SHOWN_MAX = 30  # a screen of alerts is read, a page is not
POLL_SECONDS = 0.1
REPLAY_SECONDS_MAX = 100
COLOURS = {"critical": "\033[1;31m", "high": "\033[31m", "medium": "\033[33m", "low": "\033[36m"}


class Tail:
    """Reads the alerts that have been written so far, whole lines only; the file may not be there yet."""

    def __init__(self, path):
        self.path = path
        self.position = 0
        self.count = 0
        self.by_rule = collections.Counter()

    def show_new(self):
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as source:
            source.seek(self.position)
            text = source.read()
        text = text[: text.rfind(b"\n") + 1]
        self.position += len(text)
        for line in text.splitlines():
            alert = json.loads(line)
            if alert["state"] != "open" or "reopened" in alert:
                continue  # held, suppressed, resolved: nobody is told anything new
            self.count += 1
            self.by_rule[alert["rule"]] += 1
            if self.count <= SHOWN_MAX:
                print(alert_line(alert), flush=True)
            elif self.count == SHOWN_MAX + 1:
                print("  ... and more, counted only", flush=True)


def alert_line(alert):
    severity = alert.get("severity", "")
    word = f"{severity:<8}"
    if sys.stdout.isatty() and severity in COLOURS:
        word = f"{COLOURS[severity]}{word}\033[0m"
    key = " ".join(f"{name}={value}" for name, value in (alert.get("key") or {}).items())
    parts = [str(alert.get("at", ""))[:19], word, alert["rule"], key, str(alert.get("because", ""))]
    return "  " + "  ".join(part for part in parts if part)


def say(text):
    print(f"\n== {text}", flush=True)


def prepare(directory):
    """An earlier demo's files are replaced; a directory that holds anything else is left alone."""
    mark = os.path.join(directory, ".tocsin-demo")
    if os.path.isdir(directory) and os.listdir(directory):
        if not os.path.exists(mark):
            return f"{directory} is not empty and not an earlier demo; name another with --out"
        shutil.rmtree(directory)
    os.makedirs(directory, exist_ok=True)
    with open(mark, "w", encoding="ascii") as out:
        out.write("made by samples/demo.py, replaced by its next run\n")
    return None


def replay(command, out, log):
    """Runs the replay and shows alerts meanwhile. Returns its exit code, or None when it took too long."""
    tail = Tail(os.path.join(out, "alerts.ndjson"))
    started = time.monotonic()
    with open(log, "wb") as text, subprocess.Popen(command, stdout=text, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            tail.show_new()
            if time.monotonic() - started > REPLAY_SECONDS_MAX:
                process.kill()
                process.wait()
                return None
            time.sleep(POLL_SECONDS)
        code = process.returncode
    tail.show_new()
    print(f"  {tail.count} alerts in {time.monotonic() - started:.1f} s")
    for rule, count in sorted(tail.by_rule.items()):
        print(f"    {count:>4}  {rule}")
    return code


def decisions_by_action(out):
    """From the decisions themselves, so that it holds whatever else the summary says."""
    path, counts = os.path.join(out, "decisions.ndjson"), collections.Counter()
    if os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                counts[record.get("action") or record.get("decision") or "?"] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description="Generate a stream with attacks, replay it, show what was caught.")
    parser.add_argument("--tocsin", required=True, metavar="PATH", help="the program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=3000)
    parser.add_argument("--hours", type=int, default=240)
    parser.add_argument("--rules", nargs="+", default=[os.path.join(ROOT, "rules")], metavar="PATH")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "demo"), metavar="DIR")
    options = parser.parse_args()
    if not os.access(options.tocsin, os.X_OK):
        print(f"{options.tocsin} is not a program that can be run; build first", file=sys.stderr)
        return 3
    problem = prepare(options.out)
    if problem:
        print(problem, file=sys.stderr)
        return 3

    say(f"A stream of {options.hours} hours with attacks hidden in it (seed {options.seed})")
    world = generate.make_world(options.seed, options.users, options.hours)
    events = generate.write(world, options.out, compress=False)
    print(f"  {generate.describe(world, events)}")

    say("The rules and their tests: tocsin test " + " ".join(options.rules))
    if subprocess.run([options.tocsin, "test", *options.rules], check=False).returncode != 0:
        print("the rule pack does not pass its own tests; the replay is not worth running", file=sys.stderr)
        return 1

    out, log = os.path.join(options.out, "out"), os.path.join(options.out, "replay.log")
    command = [options.tocsin, "replay", "--rules", *options.rules, "--events", events, "--out", out,
               "--store", os.path.join(options.out, "store"), "--checkpoint-every", "50000",
               "--data-begins", "complete"]  # nothing happened before the stream: rules that look back half a year may speak
    say("Replay: tocsin " + " ".join(command[1:]))
    code = replay(command, out, log)
    if code != 0:
        reason = f"took more than {REPLAY_SECONDS_MAX} s" if code is None else f"ended with exit code {code}"
        with open(log, encoding="utf-8", errors="replace") as text:
            print(text.read(), file=sys.stderr)
        print(f"the replay {reason}; what it said stands above", file=sys.stderr)
        return 3
    counts = decisions_by_action(out)
    if counts:
        say("Decisions")
        for action, count in counts.most_common():
            print(f"  {count:>8}  {action}")

    say("What was planted, and what was caught")
    try:
        result = score.score_files(os.path.join(options.out, "stories.json"), os.path.join(out, "alerts.ndjson"))
    except (OSError, ValueError) as trouble:
        print(f"cannot score: {trouble}", file=sys.stderr)
        return 3
    print("\n".join(result.details()))
    print(result.line())
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
