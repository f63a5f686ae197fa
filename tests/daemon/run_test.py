#!/usr/bin/env python3
"""`tocsin run` from outside, without Kafka: files and standard input, configuration, pages, signals.

Ends with `N passed, M failed`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RULES = os.path.join(ROOT, "rules")
STREAMS = ["hits", "alerts", "decisions", "dead_letters"]
SEED = 20260105
KILLS = 6

RULE_TEXT = """
entity user
event pay {
  key  id : string
  time at : time
  user : user
  amount : decimal
}
rule big on pay {
  when amount > 100
  decide review
  because "{amount}"
}
"""


class Failed(Exception):
    """Something is not as promised."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, page):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError:
        return 0, ""


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise Failed(f"{what}: not in {seconds} s")


def pay(number, amount):
    return json.dumps(
        {
            "type": "pay",
            "id": f"p{number}",
            "at": f"2026-01-05T10:{number // 60:02}:{number % 60:02}Z",
            "user": "ann",
            "amount": amount,
        }
    )


class World:
    def __init__(self, tocsin, directory):
        self.tocsin, self.directory = tocsin, directory
        self.rules = self.write("small.risk", RULE_TEXT)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def run(self, config, stdin=b"", environment=None, arguments=()):
        done = subprocess.run(
            [self.tocsin, "run", "--config", config, *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def files_config(self, name, rules, events, more=""):
        return self.write(
            name + ".yaml",
            f"""rules: [{rules}]
source:
  kind: files
  paths: [{events}]
sink:
  kind: files
  directory: {name}_out
state:
  directory: {name}_state
checkpoint:
  interval: 20ms
  events: 700
http: off
{more}""",
        )


def test_files_and_kills(world):
    """files in, files out: after kills the bytes are those of one replay"""
    sample = world.path("sample")
    subprocess.run(
        [
            sys.executable,
            os.path.join(ROOT, "samples", "generate.py"),
            "--users",
            "600",
            "--hours",
            "204",
            "--out",
            sample,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with open(os.path.join(sample, "events.ndjson"), encoding="utf-8") as lines:
        some = lines.read().splitlines()[:40000]
    some.insert(100, "{ poison")
    events = world.write("events.ndjson", "".join(line + "\n" for line in some))
    replayed = world.path("replayed")
    begun = time.monotonic()
    done = subprocess.run(
        [world.tocsin, "replay", "--rules", RULES, "--events", events, "--out", replayed],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    check(done.returncode == 0, done.stdout.decode("utf-8", "replace"))
    took = time.monotonic() - begun  # a run takes about this long; kills are spread over it, on fast and slow machines
    config = world.files_config("kills", RULES, events)
    chance = random.Random(SEED)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [world.tocsin, "run", "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.random() * took)
        killed += 1 if process.poll() is None else 0
        process.kill()
        process.wait()
    code, _, text = world.run(config)
    check(code == 0, f"exit code {code}: {text}")
    check(killed > 0, "nothing was killed: the runs are too short for this test")
    for stream in STREAMS:
        with open(os.path.join(replayed, stream + ".ndjson"), "rb") as a, open(
            os.path.join(world.path("kills_out"), stream + ".ndjson"), "rb"
        ) as b:
            check(a.read() == b.read(), f"{stream}.ndjson differs from the replay's")
    code, _, text = world.run(config)
    check(code == 0, f"a second run over the same files: {code}: {text}")


WINDOW_RULES = """
stream large = pay where amount > 50 and count from pay per user in last 10m > 3
rule seen on pay {
  severity info
  when number > 0
  show count from pay per user in last 50m, sum(amount) from large per user in last 30m,
       distinct(amount) from pay per user in 20m before, percentile(90, amount) from pay per user in calendar day "Europe/Berlin"
}
"""


def numbered_pay(number):
    seconds = number // 4
    chance = (number * 2654435761) % 4294967296
    return json.dumps(
        {
            "type": "pay",
            "id": f"p{number}",
            "at": f"2026-01-05T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z",
            "user": f"u{chance % 7}",
            "amount": chance // 7 % 100,
            "number": number,
        }
    )


def test_history(world):
    """new rules know the past: killed while they begin, their hits are those of a replay that had them from the beginning"""
    total, old = 60000, 45000
    schema = RULE_TEXT[: RULE_TEXT.index("rule big")].replace("amount : decimal", "amount : decimal\n  number : decimal")
    old_rules = schema + "rule big on pay { when amount > 98 decide review }\n"
    rules = world.write("history.risk", old_rules)
    events = world.write("history.ndjson", "".join(numbered_pay(n) + "\n" for n in range(1, old)))
    config = world.files_config("history", rules, events, more="data begins: complete\n")
    code, _, text = world.run(config)
    check(code == 0, f"exit code {code}: {text}")
    with open(events, "a", encoding="utf-8") as out:
        out.write("".join(numbered_pay(n) + "\n" for n in range(old, total)))
    world.write("history.risk", schema + WINDOW_RULES)
    replayed = world.path("history_replayed")
    begun = time.monotonic()
    done = subprocess.run(
        [world.tocsin, "replay", "--rules", rules, "--events", events, "--out", replayed, "--data-begins", "complete"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    check(done.returncode == 0, done.stdout.decode("utf-8", "replace"))
    took = time.monotonic() - begun
    chance = random.Random(SEED)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [world.tocsin, "run", "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.random() * took)
        process.kill()
        process.wait()
    code, _, text = world.run(config)
    check(code == 0, f"exit code {code}: {text}")

    def hits_of(directory):
        with open(os.path.join(directory, "hits.ndjson"), encoding="utf-8") as lines:
            hits = [line for line in lines if '"rule":"seen"' in line]
        return [line for line in hits if int(json.loads(line)["events"][0]["id"][1:]) >= old]

    expected, got = hits_of(replayed), hits_of(world.path("history_out"))
    check(len(expected) == total - old, f"the replay has {len(expected)} hits")
    for one, other in zip(expected, got):
        check(one == other, f"the replay says\n{one}the run says\n{other}")
    check(len(got) == len(expected), f"{len(got)} hits, not {len(expected)}")
    # Without a history the same windows warm, and the log says why.
    config = world.files_config("no_history", rules, events, more="history: off\n")
    world.write("history.risk", old_rules)
    code, _, text = world.run(config)
    check(code == 0 and "no_history" in text, f"exit code {code}: {text}")
    world.write("history.risk", schema + WINDOW_RULES)
    code, _, text = world.run(config)
    check(code == 0 and "no history of `pay` is kept" in text, f"exit code {code}: {text}")


def test_two_files(world):
    """two files are merged as replay merges them"""
    with open(os.path.join(world.path("sample"), "events.ndjson"), encoding="utf-8") as lines:
        some = lines.read().splitlines()[:4000]
    os.makedirs(world.path("two"))
    world.write("two/a.ndjson", "".join(line + "\n" for line in some[0::2]))
    world.write("two/b.ndjson", "".join(line + "\n" for line in some[1::2][:1500]))
    done = subprocess.run(
        [world.tocsin, "replay", "--rules", RULES, "--events", world.path("two"), "--out", world.path("two_replayed")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    check(done.returncode == 0, done.stdout.decode("utf-8", "replace"))
    code, _, text = world.run(world.files_config("two", RULES, world.path("two")))
    check(code == 0, f"exit code {code}: {text}")
    for stream in STREAMS:
        with open(world.path(f"two_replayed/{stream}.ndjson"), "rb") as a, open(
            world.path(f"two_out/{stream}.ndjson"), "rb"
        ) as b:
            check(a.read() == b.read(), f"{stream}.ndjson differs from the replay's")


def test_stdin(world):
    """standard input to standard output; it says that it cannot be resumed"""
    config = world.write(
        "stdin.yaml",
        f"rules: [{world.rules}]\nsource: {{kind: stdin}}\nsink: {{kind: stdout, streams: [alerts, dead letters]}}\nhttp: off\n",
    )
    code, out, text = world.run(config, (pay(1, 500) + "\nnonsense\n" + pay(2, 5) + "\n").encode())
    check(code == 0, f"exit code {code}: {text}")
    records = [json.loads(line) for line in out.splitlines()]
    check(sorted(r["stream"] for r in records) == ["alerts", "dead_letters"], out)
    check("cannot be read again" in text, text)
    check("nothing is kept for another run" in text and "last checkpoint" not in text, text)
    letter = next(r for r in records if r["stream"] == "dead_letters")
    check(letter.get("record", letter).get("source") == "standard input", out)


def test_pages_and_reload(world):
    """pages answer, SIGHUP reloads, a bad file keeps the rules, SIGTERM ends with 0"""
    port = free_port()
    config = world.write(
        "pages.yaml",
        f"rules: [pages.risk]\nsource: {{kind: stdin}}\nsink: {{kind: stdout}}\nhttp: {{listen: '127.0.0.1:{port}'}}\nlog: {{format: json}}\n",
    )
    rules = world.write("pages.risk", RULE_TEXT)
    with open(world.path("pages.log"), "wb") as log:
        process = subprocess.Popen(
            [world.tocsin, "run", "--config", config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    try:
        wait_for("/readyz", lambda: get(port, "/readyz")[0] == 200)
        check(get(port, "/livez")[0] == 200, "/livez")
        check(get(port, "/nothing")[0] == 404, "a page that is not there")
        process.stdin.write((pay(1, 500) + "\n").encode())
        process.stdin.flush()
        wait_for("the event in /metrics", lambda: "tocsin_events_total 1" in get(port, "/metrics")[1])
        metrics = get(port, "/metrics")[1]
        for line in [
            'tocsin_hits_total{rule="big"} 1',
            'tocsin_alerts_total{rule="big"} 1',
            'tocsin_dead_letters_total{reason="not_json"} 0',
            "tocsin_ruleset_info{digest=",
        ]:
            check(line in metrics, f"no `{line}` in\n{metrics}")
        digest = json.loads(get(port, "/status")[1])["ruleset"]
        world.write("pages.risk", RULE_TEXT.replace("amount > 100", "amout > 100"))
        process.send_signal(signal.SIGHUP)
        wait_for("the failed reload", lambda: json.loads(get(port, "/status")[1])["reload"]["failed"] == 1)
        status = json.loads(get(port, "/status")[1])
        check("amout" in status["reload"]["error"] and status["ruleset"] == digest, status)
        world.write("pages.risk", RULE_TEXT.replace("amount > 100", "amount > 200"))
        process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: json.loads(get(port, "/status")[1])["reload"]["ok"] == 1)
        check(json.loads(get(port, "/status")[1])["ruleset"] != digest, "the digest is the old one")
        with_list = RULE_TEXT + 'list @near : set<ip> from "near.txt"\n'
        world.write("near.txt", "10.0.0.1\n")
        world.write("pages.risk", with_list)
        process.send_signal(signal.SIGHUP)
        wait_for("a list", lambda: json.loads(get(port, "/status")[1])["reload"]["ok"] == 2)
        digest = json.loads(get(port, "/status")[1])["ruleset"]
        world.write("near.txt", "10.0.0.1\n10.0.0.999\n")
        process.send_signal(signal.SIGHUP)
        wait_for("a bad line in a list", lambda: json.loads(get(port, "/status")[1])["reload"]["failed"] == 2)
        status = json.loads(get(port, "/status")[1])
        check('near.txt:2: "10.0.0.999" is not an address' in status["reload"]["error"], status)
        check(status["ruleset"] == digest, "the old list is not kept")
        taken = world.write("taken.yaml", open(config, encoding="utf-8").read())
        code, _, text = world.run(taken)
        check(code == 3 and str(port) in text, f"the port is taken: {code}: {text}")
        process.send_signal(signal.SIGTERM)
        check(process.wait(timeout=20) == 0, "SIGTERM did not end it with 0")
        with open(world.path("pages.log"), encoding="utf-8") as log:
            codes = [json.loads(line)["code"] for line in log]
        check("reload_failed" in codes and "started" in codes and codes[-1] == "stopped", codes)
        check(os.path.exists(rules), rules)
    finally:
        process.kill()
        process.wait()


def test_refusals(world):
    """what cannot run says why: rules, directories, a store in use, foreign output"""
    events = world.write("few.ndjson", pay(1, 500) + "\n")
    bad = world.write("bad.risk", RULE_TEXT.replace("amount > 100", "amout > 100"))
    code, _, text = world.run(world.files_config("bad", bad, events))
    check(code == 1 and "amout" in text, f"bad rules: {code}: {text}")
    code, _, text = world.run(world.files_config("nofile", world.rules, world.path("not_there.ndjson")))
    check(code == 3 and "not_there.ndjson" in text, f"missing events: {code}: {text}")
    world.write("in_the_way", "a file")
    config = world.write(
        "blocked.yaml",
        f"rules: [{world.rules}]\nsource: {{kind: files, paths: [few.ndjson]}}\nsink: {{kind: files, directory: in_the_way/out}}\n"
        "state: {directory: blocked_state}\nhttp: off\n",
    )
    code, _, text = world.run(config)
    check(code == 3 and "in_the_way" in text, f"unwritable output: {code}: {text}")
    config = world.write(
        "blocked2.yaml",
        f"rules: [{world.rules}]\nsource: {{kind: files, paths: [few.ndjson]}}\nsink: {{kind: files, directory: out2}}\n"
        "state: {directory: in_the_way/state}\nhttp: off\n",
    )
    code, _, text = world.run(config)
    check(code == 3 and "in_the_way" in text, f"unwritable state: {code}: {text}")
    code, _, text = world.run(world.path("no_config.yaml"))
    check(code == 3 and "no_config.yaml" in text, f"no configuration: {code}: {text}")
    os.makedirs(world.path("foreign_out"))
    world.write("foreign_out/alerts.ndjson", "{}\n")
    code, _, text = world.run(world.files_config("foreign", world.rules, events))
    check(code == 3 and "alerts.ndjson" in text, f"somebody's output: {code}: {text}")


def test_configuration(world):
    """mistakes in the configuration come all at once, with lines and near names; the environment is put in; secrets stay hidden"""
    config = world.write(
        "wrong.yaml",
        """rules: [x]
source:
  kind: kafka
  topics: [a]
  brokers: ${TOCSIN_TEST_NOWHERE}
  latenes: 5m
  idle after: soon
sink:
  kind: flies
checkpoint: {interval: -1s, events: many}
history: {default: for ever}
htpp: off
""",
    )
    code, _, text = world.run(config)
    check(code == 2, f"exit code {code}: {text}")
    for part in [
        ":5: ",
        "TOCSIN_TEST_NOWHERE",
        ":6: unknown key `latenes`",
        "did you mean `lateness`",
        ":7: `source.idle after` must be a duration",
        ":9: `sink.kind` must be one of",
        ":10: `checkpoint.interval`",
        "`checkpoint.events` must be a whole number",
        ":11: `history` needs `state.directory`",
        ":12: unknown key `htpp`",
        "did you mean `http`",
    ]:
        check(part in text, f"no `{part}` in\n{text}")
    code, _, text = world.run(world.write("noyaml.yaml", "a: [1\nb: }"))
    check(code == 2 and "YAML" in text, f"no YAML: {code}: {text}")
    secret = "topsecret"
    config = world.write(
        "secret.yaml",
        f"""rules: [r]
source:
  kind: kafka
  brokers: ${{TOCSIN_TEST_BROKERS:-b:9092}}
  topics: events
  lateness: 1h30m
  kafka: {{sasl.password: '${{TOCSIN_TEST_SECRET}}', client.id: me, ssl.key.pem: {secret}}}
sink: {{kind: kafka, topics: {{hits: off, alerts: a, decisions: d, dead letters: l}}, kafka: {{ssl.key.password: {secret}}}}}
state: {{directory: s}}
history: {{login: 90d, page_view: off}}
""",
    )
    code, out, text = world.run(config, environment={"TOCSIN_TEST_SECRET": secret}, arguments=["--print-config"])
    check(code == 0, f"exit code {code}: {text}")
    check(secret not in out + text, "a secret was printed")
    for part in [
        "brokers: b:9092",
        "client.id: me",
        "lateness: 1h30m",
        "interval: 10s",
        "listen: 127.0.0.1:8087",
        "hits: off",
        "default: 30d",
        "login: 90d",
        "page_view: off",
    ]:
        check(part in out, f"no `{part}` in\n{out}")
    again = world.write("again.yaml", out)
    code, second, text = world.run(again, arguments=["--print-config"])
    check(code == 0 and second == out, f"what is printed does not read back: {text}\n{second}")
    for name in ["tocsin.yaml", "tocsin-kafka.yaml"]:
        code, out, text = world.run(os.path.join(ROOT, "samples", name), arguments=["--print-config"])
        check(code == 0, f"samples/{name}: {code}: {text}")


TESTS = [test_configuration, test_stdin, test_pages_and_reload, test_refusals, test_files_and_kills, test_two_files, test_history]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tocsin", required=True)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="tocsin-run-")
    world = World(os.path.abspath(options.tocsin), directory)
    passed = failed = 0
    for test in TESTS:
        try:
            test(world)
            passed += 1
            print(f"ok: {test.__doc__}", flush=True)
        except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as trouble:
            failed += 1
            print(f"FAILED: {test.__doc__}\n  {trouble}", flush=True)
    if failed == 0:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"what is left of it: {directory}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
