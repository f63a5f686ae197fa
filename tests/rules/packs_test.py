"""The packs in rules/: every rule says whose it is and what to do, is explained on its page, and has tests on both sides of its border."""

import argparse
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(ROOT, "rules")
PAGES = os.path.join(ROOT, "docs", "packs")
PACKS = ["payments", "takeover", "laundering", "abuse", "operations"]
CLAUSES = ["title", "severity", "tags", "owner", "runbook"]

results = {"passed": 0, "failed": 0}


def check(condition, sentence):
    results["passed" if condition else "failed"] += 1
    if not condition:
        print(f"failed: {sentence}")


def blocks(text, word):
    """Top-level `word … { … }` of a rule file: they begin at the start of a line and end with a brace there."""
    return re.findall(rf"^{word} (.*?)\{{\n(.*?)^\}}$", text, re.MULTILINE | re.DOTALL)


def look_at_pack(pack, numbers):
    with open(os.path.join(RULES, pack + ".risk"), encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(PAGES, pack + ".md"), encoding="utf-8") as file:
        page = file.read()
    tests = [body for _, body in blocks(text, "test")]
    for head, body in blocks(text, "rule"):
        name = head.split()[0]
        numbers.add(name[:3])
        for clause in CLAUSES:
            check(re.search(rf"^  {clause} ", body, re.MULTILINE), f"{pack}: {name} has no {clause}")
        fires = sum(bool(re.search(rf"expect rule {name}\b", test)) for test in tests)
        silent = sum(bool(re.search(rf"expect no rule {name}\b", test)) for test in tests)
        check(fires >= 2, f"{pack}: {name} has {fires} tests in which it fires, wanted are two")
        check(silent >= 3, f"{pack}: {name} has {silent} tests in which it just does not fire, wanted are three")
        check(f"`{name}`" in page, f"{pack}: {name} is not on docs/packs/{pack}.md")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tocsin", required=True)
    tocsin = parser.parse_args().tocsin

    numbers = set()
    for pack in PACKS:
        look_at_pack(pack, numbers)
    check({f"r{n:02d}" for n in range(1, 26)} <= numbers, "one of the rules R01 to R25 is in no pack")

    run = subprocess.run([tocsin, "check", RULES], capture_output=True, text=True, check=False)
    check(run.returncode == 0, f"tocsin check rules/ ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    run = subprocess.run([tocsin, "test", RULES], capture_output=True, text=True, check=False)
    last = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else ""
    counts = re.match(r"(\d+) rules, (\d+) tests, (\d+) failed", last)
    check(counts is not None and run.returncode == 0, f"tocsin test rules/ ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    if counts:
        rules, tests, failed = map(int, counts.groups())
        check(rules >= 25 and tests >= 125 and failed == 0, f"tocsin test rules/: {last}")

    # Clauses of the language that only `test` blocks can show.
    golden = os.path.join(ROOT, "tests", "golden", "rule_tests")
    for name in sorted(os.listdir(golden)):
        if name.endswith(".risk"):
            run = subprocess.run([tocsin, "test", os.path.join(golden, name)], capture_output=True, text=True, check=False)
            check(run.returncode == 0, f"tocsin test {name}: {run.stdout}{run.stderr}")

    run = subprocess.run([tocsin, "fmt", "--check", RULES], capture_output=True, text=True, check=False)
    check(run.returncode == 0, f"tocsin fmt --check rules/: {run.stdout}{run.stderr}")
    # Some hundred runs of the tests: sanitizers have nothing new to see in them.
    if os.environ.get("TOCSIN_PRESET") != "asan":
        run = subprocess.run([tocsin, "test", RULES, "--mutate"], capture_output=True, text=True, check=False)
        share = re.search(r"\((\d+\.\d) %\)", run.stdout)
        check(share is not None and float(share.group(1)) >= 95, f"tocsin test rules/ --mutate: {run.stdout[-300:]}{run.stderr}")

    print(f"{results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
