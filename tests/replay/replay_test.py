#!/usr/bin/env python3
"""The program's replay from outside, on the rule pack and a generated stream: the same bytes for any number of shards and any batch,
and after kills in the middle.

The generator is samples/generate.py; the stream is small so that this takes seconds.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(ROOT, "rules")
KILLS = 6
SEED = int(os.environ.get("TOCSIN_SEED", random.randrange(1 << 30)))


class Suite:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, what, good, said=""):
        if good:
            self.passed += 1
            return
        self.failed += 1
        print(f"FAILED: {what}\n{said}")


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def same(one, other):
    """What `diff -r` says; nothing when both directories hold the same bytes."""
    return run("diff", "-rq", one, other)[1]


def replay(tocsin, events, out, *more):
    return [tocsin, "replay", "--rules", RULES, "--events", events, "--out", out, *more]


def check_words(suite, tocsin, directory):
    """What a person reads who brings the wrong file, or too short a past."""
    table = os.path.join(directory, "events.csv")
    with open(table, "w", encoding="utf-8") as file:
        file.write("type,transfer_id\ntransfer,t1\n")
    _, said = run(*replay(tocsin, table, os.path.join(directory, "of_csv")))
    suite.check("a table is not taken for events", "not CSV" in said, said)
    one = os.path.join(directory, "one.ndjson")
    with open(one, "w", encoding="utf-8") as file:
        file.write('{"type":"transfer","event_id":"t1","transfer_id":"t1","created_at":"2026-01-05T10:00:00Z","user":"u1",'
                   '"sender":"a1","recipient":"a2","amount":"9000 USD","status":"requested"}\n')
    _, said = run(*replay(tocsin, one, os.path.join(directory, "of_one")))
    suite.check("what warms is told, and how to say that the past is whole",
                "--data-begins complete" in said and "more, in summary.json" in said, said)
    with open(os.path.join(directory, "of_one", "summary.json"), encoding="utf-8") as file:
        warming = json.load(file)["warming"]
    suite.check("a first `no` warms too",
                "first `no` of r26_transfer_without_login: until 2026-01-05T11:00:00Z" in warming, str(warming))


def check_kills(suite, tocsin, events, directory, whole, seconds):
    """Killed at random moments of the `seconds` that one go takes, started again, until it comes to its end."""
    out, store = os.path.join(directory, "killed"), os.path.join(directory, "store")
    chance = random.Random(SEED)
    command = replay(tocsin, events, out, "--store", store, "--checkpoint-every", "3000", "--batch", "64")
    kills = 0
    while kills < KILLS:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            time.sleep(chance.uniform(0.1, 0.6) * seconds)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
    print(f"killed {kills} times, seed {SEED}")
    suite.check("there was something to kill", kills > 0)
    code, said = run(*command)
    suite.check(f"after {kills} kills (seed {SEED}) the replay comes to its end", code == 0, said)
    differs = same(whole, out)
    suite.check(f"after {kills} kills (seed {SEED}) the bytes are those of one go", differs == "", differs)
    code, said = run(*replay(tocsin, events, out, "--store", store, "--lateness", "5s"))
    suite.check("a store of other options is refused with exit code 3", code == 3 and "other" in said, said)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tocsin", required=True, metavar="PATH", help="the program")
    options = parser.parse_args()
    suite = Suite()
    with tempfile.TemporaryDirectory(prefix="tocsin-replay-test-") as directory:
        generator = os.path.join(ROOT, "samples", "generate.py")
        code, said = run(sys.executable, generator, "--seed", "5", "--users", "600", "--hours", "204", "--out", directory)
        suite.check("the generator makes a stream", code == 0, said)
        events = os.path.join(directory, "events.ndjson")
        whole = os.path.join(directory, "whole")
        began = time.monotonic()
        code, said = run(*replay(options.tocsin, events, whole))
        seconds = time.monotonic() - began
        suite.check("replay ends with exit code 0", code == 0, said)
        suite.check("there is something to compare", os.path.getsize(os.path.join(whole, "alerts.ndjson")) > 0)
        for shards, batch in (("7", "512"), ("1", "1"), ("7", "1")):
            out = os.path.join(directory, f"out-{shards}-{batch}")
            code, said = run(*replay(options.tocsin, events, out, "--shards", shards, "--batch", batch))
            suite.check(f"--shards {shards} --batch {batch} ends with exit code 0", code == 0, said)
            differs = same(whole, out)
            suite.check(f"--shards {shards} --batch {batch}: the same bytes", differs == "", differs)
        check_kills(suite, options.tocsin, events, directory, whole, seconds)
        check_words(suite, options.tocsin, directory)
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 0 if suite.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
