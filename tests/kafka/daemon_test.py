#!/usr/bin/env python3
"""The daemon on a real Kafka broker: what it promises, from outside.

Events go in through Kafka's own console producer, at once or fed slowly; alerts and decisions are read back by Kafka's own
console consumer. `tocsin replay` over the same events in one go is the judge: after any number of kills the set of (id,
content) must be the same. Ends with `N passed, M failed`.

usage: daemon_test.py --tocsin PATH --broker ADDRESS [--only WORD]
environment: TOCSIN_KILLS (default 50), TOCSIN_SEED (default: drawn, and printed), TOCSIN_KAFKA_DIR (the broker's directory,
to stop and start it; without it that test is skipped)
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
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RULES = os.path.join(ROOT, "rules")
STREAMS = ["hits", "alerts", "decisions", "dead_letters"]
WAIT_SECONDS = 60

SMALL_SCHEMA = """
entity user
event pay {
  key  id : string
  time at : time
  user : user
  amount : decimal
}
"""
ROW_RULE = """
rule row per user {
  sequence within 30d {
    pay as a where a.amount == 1
    then pay as b where b.amount == 2
  }
  because "{a.id} then {b.id}"
}
"""
BIG_RULE = """
rule big on pay {
  when amount > 100
  decide review
  because "{amount}"
}
"""


class Failed(Exception):
    """A promise that was not kept."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def shell(name, *arguments, stdin=None):
    """One of the scripts beside this file; its output."""
    done = subprocess.run(
        [os.path.join(HERE, name), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
        timeout=180,
    )
    if done.returncode != 0:
        raise Failed(f"{name} {' '.join(arguments)}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Place:
    """One test's topics, directories and configuration."""

    def __init__(self, world, name):
        self.world = world
        self.name = f"{name}_{os.getpid()}"
        self.directory = os.path.join(world.directory, name)
        os.makedirs(self.directory, exist_ok=True)
        self.port = free_port()
        self.rules = [RULES]
        self.extra_source = ""
        self.process = None
        self.log = os.path.join(self.directory, "daemon.log")

    def topic(self, stream):
        return f"{self.name}_{stream}"

    def create_topics(self, *streams):
        for stream in streams or ["events", *STREAMS]:
            shell("topic.sh", "--broker", self.world.broker, "create", self.topic(stream), "--partitions", "1")

    def config(self, **changes):
        values = {
            "rules": json.dumps(self.rules),
            "broker": self.world.broker,
            "events": self.topic("events"),
            "state": os.path.join(self.directory, "state"),
            "interval": "300ms",
            "idle": "1h",
        }
        values.update(changes)
        path = os.path.join(self.directory, "tocsin.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"""rules: {values['rules']}
source:
  kind: kafka
  brokers: {values['broker']}
  topics: [{values['events']}]
  connect timeout: 3s
  idle after: {values['idle']}
sink:
  kind: kafka
  connect timeout: 3s
  topics:
    hits: {self.topic('hits')}
    alerts: {self.topic('alerts')}
    decisions: {self.topic('decisions')}
    dead letters: {self.topic('dead_letters')}
state:
  directory: {values['state']}
checkpoint:
  interval: {values['interval']}
http:
  listen: 127.0.0.1:{self.port}
""")
        return path

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.world.tocsin, "run", "--config", os.path.join(self.directory, "tocsin.yaml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_for("ready", lambda: self.get("/readyz")[0] == 200)

    def run(self):
        """To its end: (exit code, what it said)."""
        done = subprocess.run(
            [self.world.tocsin, "run", "--config", os.path.join(self.directory, "tocsin.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def get(self, page):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{page}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError:
            return 0, ""

    def status(self):
        code, text = self.get("/status")
        return json.loads(text) if code == 200 else {}

    def metric(self, name):
        """The sum over its labels, or of the one line that is named whole."""
        _, text = self.get("/metrics")
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith((name + " ", name + "{")) or line.rsplit(" ", 1)[0] == name
        ]
        return sum(values) if values else None

    def wait_for(self, what, condition, seconds=WAIT_SECONDS):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            if self.process is not None and self.process.poll() is not None:
                raise Failed(f"waiting for {what}: the daemon ended with {self.process.returncode}: {self.log_tail()}")
            time.sleep(0.05)
        raise Failed(f"waiting for {what}: not in {seconds} s; status {self.get('/status')[1]}; log: {self.log_tail()}")

    def log_tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-8:])

    def position(self):
        partitions = self.status().get("partitions") or [{}]
        return partitions[0].get("position")

    def wait_until_read(self, count, seconds=WAIT_SECONDS):
        self.wait_for(
            f"record {count}", lambda: (self.position() if self.position() is not None else -1) >= count - 1, seconds
        )

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; must end in order."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=40)
        except subprocess.TimeoutExpired as e:
            self.kill()
            raise Failed(f"SIGTERM did not end it in 40 s: {self.log_tail()}") from e
        check(code == 0, f"SIGTERM ended it with exit code {code}: {self.log_tail()}")

    def produce(self, lines):
        shell(
            "produce.sh",
            "--broker",
            self.world.broker,
            "--no-key",
            self.topic("events"),
            stdin="".join(l + "\n" for l in lines).encode(),
        )

    def consume(self, stream):
        text = shell("consume.sh", "--broker", self.world.broker, self.topic(stream)).decode("utf-8")
        return [line.split("\t", 1)[1] for line in text.splitlines() if line]

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()


class SlowProducer(threading.Thread):
    """Kafka's console producer, kept running and fed gradually."""

    def __init__(self, place, lines, seconds):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(
            [os.path.join(HERE, "produce.sh"), "--broker", place.world.broker, "--no-key", place.topic("events")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.lines = lines
        self.seconds = seconds
        self.stop_now = threading.Event()

    def run(self):
        steps = max(int(self.seconds / 0.1), 1)
        size = max(len(self.lines) // steps, 1)
        for begin in range(0, len(self.lines), size):
            self.process.stdin.write("".join(l + "\n" for l in self.lines[begin : begin + size]).encode())
            self.process.stdin.flush()
            if not self.stop_now.is_set():
                time.sleep(0.1)
        self.process.stdin.close()

    def finish(self):
        """No more waiting: the rest at once."""
        self.stop_now.set()
        self.join()
        check(self.process.wait(timeout=120) == 0, "the console producer failed")


class World:
    def __init__(self, tocsin, broker, directory, kills, seed):
        self.tocsin, self.broker, self.directory = tocsin, broker, directory
        self.kills, self.random = kills, random.Random(seed)
        self.lines = None

    def events(self):
        """The sample stream, made once."""
        if self.lines is None:
            out = os.path.join(self.directory, "sample")
            subprocess.run(
                [
                    sys.executable,
                    os.path.join(ROOT, "samples", "generate.py"),
                    "--users",
                    "600",
                    "--hours",
                    "204",
                    "--out",
                    out,
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            with open(os.path.join(out, "events.ndjson"), encoding="utf-8") as lines:
                self.lines = lines.read().splitlines()
        return self.lines

    def replay(self, lines, name):
        events = os.path.join(self.directory, name + ".ndjson")
        with open(events, "w", encoding="utf-8") as out:
            out.write("".join(l + "\n" for l in lines))
        out = os.path.join(self.directory, name + "_replay")
        done = subprocess.run(
            [self.tocsin, "replay", "--rules", RULES, "--events", events, "--out", out],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        check(done.returncode == 0, "replay: " + done.stdout.decode("utf-8", "replace"))
        result = {}
        for stream in STREAMS:
            with open(os.path.join(out, stream + ".ndjson"), encoding="utf-8") as records:
                result[stream] = records.read().splitlines()
        return result


def by_id(records, what):
    """id -> content; what was sent twice must be the same bytes. An alert has a record for each change of its state, so there
    the state and when it began belong to the name."""
    known = {}
    for record in records:
        said = json.loads(record)
        moments = ("held_until", "opened", "reopened", "resolved", "suppressed")
        name = (said["id"], said.get("state"), *(str(said.get(moment)) for moment in moments))
        if name in known and known[name] != record:
            raise Failed(f"{what}: two contents for one id:\n{known[name]}\n{record}")
        known[name] = record
    return known


def compare(place, expected):
    doubles = 0
    for stream in ["alerts", "decisions", "hits"]:
        got = place.consume(stream)
        mine, theirs = by_id(got, stream), by_id(expected[stream], stream)
        doubles += len(got) - len(mine)
        lost, more = theirs.keys() - mine.keys(), mine.keys() - theirs.keys()
        check(
            not lost,
            f"{stream}: {len(lost)} of {len(theirs)} are missing, for example {theirs[min(lost)] if lost else ''}",
        )
        check(not more, f"{stream}: {len(more)} that the replay has not, for example {mine[min(more)] if more else ''}")
        for name, record in theirs.items():
            check(mine[name] == record, f"{stream}: another content:\n{mine[name]}\n{record}")
    return doubles


# ---------------------------------------------------------------- the tests


def test_in_and_out(world):
    """events in, alerts out, the same as replay; metrics and status tell of it; SIGTERM ends it, and nothing is sent again"""
    place = Place(world, "plain")
    lines = world.events()[:6000]
    try:
        place.create_topics()
        place.config()
        place.start()
        place.produce(lines)
        place.wait_until_read(len(lines))
        check(place.metric("tocsin_records_total") == len(lines), "tocsin_records_total is not the number of records")
        place.wait_for("no lag", lambda: place.metric("tocsin_lag_records") == 0)
        check(place.metric("tocsin_keys") > 0, "no keys")
        check(place.get("/livez")[0] == 200, "/livez")
        check(len(place.status()["rules"]) > 0, "/status names no rules")
        place.stop()
        place.start()
        place.stop()
        doubles = compare(place, world.replay(lines, "plain"))
        check(doubles == 0, f"{doubles} records were sent twice although nothing was killed")
    finally:
        place.close()


def test_kills(world):
    """killed at random moments under load, the topics hold what one replay gives"""
    place = Place(world, "kills")
    lines = world.events()
    try:
        place.create_topics()
        place.config()
        producer = SlowProducer(place, lines, world.kills * 1.1)
        producer.start()
        for number in range(world.kills):
            # Some kills meet the start, some the middle of the load, some a checkpoint.
            place.start(wait=False)
            time.sleep(world.random.choice([0.1, 0.4, 0.9]) + world.random.random() * 1.2)
            if place.process.poll() is not None:
                raise Failed(
                    f"the daemon ended by itself before kill {number + 1}, with {place.process.returncode}: {place.log_tail()}"
                )
            place.kill()
        producer.finish()
        place.start()
        place.wait_until_read(len(lines), 120)
        place.stop()
        doubles = compare(place, world.replay(lines, "kills"))
        print(f"  {world.kills} kills, {len(lines)} events; {doubles} records came twice, with the same bytes")
    finally:
        place.close()


def pay(number, user, amount):
    second = number % 60
    return json.dumps(
        {
            "type": "pay",
            "id": f"p{number}",
            "at": f"2026-01-05T{10 + number // 3600:02}:{number // 60 % 60:02}:{second:02}Z",
            "user": user,
            "amount": amount,
        }
    )


def write_rules(place, text):
    path = os.path.join(place.directory, "small.risk")
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(SMALL_SCHEMA + text)
    os.replace(path + ".new", path)
    place.rules = [path]


def test_reload(world):
    """SIGHUP under load: state of an unchanged rule is kept, a bad file keeps the old set and is told, also over a kill"""
    place = Place(world, "reload")
    try:
        write_rules(place, ROW_RULE)
        place.create_topics()
        place.config()
        place.start()
        first = [pay(i, f"u{i}", 1) for i in range(500)]
        place.produce(first)
        place.wait_until_read(len(first))
        noise = [pay(1000 + i, "noise", 5) for i in range(3000)]
        producer = SlowProducer(place, noise, 6)
        producer.start()
        digest = place.status()["ruleset"]

        write_rules(place, ROW_RULE + "rule broken on pay { when amout > 3 }")
        place.process.send_signal(signal.SIGHUP)
        place.wait_for("the failed reload", lambda: place.status().get("reload", {}).get("failed") == 1)
        status = place.status()
        check(status["ruleset"] == digest, "a bad file changed the rules")
        check("amout" in status["reload"]["error"], f"the reason is not told: {status['reload']}")
        check(place.metric('tocsin_reloads_total{result="failed"}') == 1, "tocsin_reloads_total does not count it")
        with open(place.log, encoding="utf-8") as log:
            check("amout" in log.read(), "the log does not say why")

        write_rules(place, ROW_RULE + BIG_RULE)
        place.process.send_signal(signal.SIGHUP)
        place.wait_for("the new rules", lambda: place.status().get("reload", {}).get("ok") == 1)
        check(place.status()["ruleset"] != digest, "the digest is the old one")
        check(place.status()["reload"]["error"] is None, "the error of before still stands")
        write_rules(place, "rule broken on pay { when amout > 3 }")
        place.kill()
        place.start()  # on a bad file: it goes on with the rules of the checkpoint
        check(len(place.status()["rules"]) == 2, "a restart did not go on with the rules of the checkpoint")
        producer.finish()
        second = [pay(5000 + i, f"u{i}", 2) for i in range(500)] + [pay(6000, "u1", 700)]
        place.produce(second)
        place.wait_until_read(len(first) + len(noise) + len(second))
        place.stop()
        hits = by_id(place.consume("hits"), "hits").values()
        rules = [json.loads(hit)["rule"] for hit in hits]
        check(
            rules.count("row") == 500,
            f"{rules.count('row')} of 500 sequences begun before the reload were completed after it",
        )
        check(rules.count("big") == 1, f"the new rule hit {rules.count('big')} times and not once")
    finally:
        place.close()


def test_poison(world):
    """a poison message lands in the dead-letter topic, and the stream goes on"""
    place = Place(world, "poison")
    try:
        write_rules(place, BIG_RULE)
        place.create_topics()
        place.config()
        place.start()
        lines = [
            pay(1, "u1", 500),
            '{"type":"pay","id":"p2"',
            '{"type":"pay","id":"p3","at":"yesterday","user":"u","amount":1}',
            pay(4, "u1", 600),
        ]
        place.produce(lines)
        place.wait_until_read(len(lines))
        check(place.metric("tocsin_dead_letters_total") == 2, "tocsin_dead_letters_total is not 2")
        place.stop()
        letters = [json.loads(letter) for letter in place.consume("dead_letters")]
        check([letter["bytes"] for letter in letters] == lines[1:3], f"the original bytes are not there: {letters}")
        check(letters[0]["sequence"] == 1 and letters[1]["sequence"] == 2, f"the places are wrong: {letters}")
        check(letters[1].get("field") == "at", f"the field is not named: {letters[1]}")
        check(len(place.consume("alerts")) == 2, "the events around them were not judged")
    finally:
        place.close()


def test_broker_away(world):
    """the broker is stopped and started again, and the stream goes on without a loss"""
    broker_dir = os.environ.get("TOCSIN_KAFKA_DIR")
    if not broker_dir:
        return "TOCSIN_KAFKA_DIR is not set: this broker is not ours to stop"
    place = Place(world, "away")
    try:
        write_rules(place, BIG_RULE)
        place.create_topics()
        place.config()
        place.start()
        place.produce([pay(i, "u1", 500) for i in range(50)])
        place.wait_until_read(50)
        shell("broker.sh", "stop", broker_dir)
        try:
            place.wait_for("the trouble to be seen", lambda: place.status().get("trouble") is not None)
            check(place.get("/readyz")[0] == 503, "/readyz is fine without a broker")
            check(place.get("/livez")[0] == 200, "/livez is not fine")
        finally:
            shell("broker.sh", "start", broker_dir)
        place.produce([pay(100 + i, "u1", 500) for i in range(50)])
        place.wait_until_read(100)
        place.wait_for("ready again", lambda: place.get("/readyz")[0] == 200)
        place.stop()
        hits = by_id(place.consume("hits"), "hits")
        check(len(hits) == 100, f"{len(hits)} of 100 hits")
    finally:
        place.close()
    return None


def test_partitions(world):
    """a topic of three partitions: one that is silent holds nobody up for long, and numbers stay over a kill"""
    place = Place(world, "partitions")
    try:
        write_rules(place, BIG_RULE)
        place.create_topics(*STREAMS)
        shell("topic.sh", "--broker", world.broker, "create", place.topic("events"), "--partitions", "3")
        place.config(idle="1s")
        events = [f"u{i % 50}\t{pay(i, f'u{i % 50}', 500)}" for i in range(300)]
        shell(
            "produce.sh",
            "--broker",
            world.broker,
            place.topic("events"),
            stdin="".join(e + "\n" for e in events).encode(),
        )
        place.start()
        time.sleep(0.5)
        place.kill()
        place.start()
        place.wait_for(
            "all decisions",
            lambda: place.status()["waiting"] == 0
            and place.metric("tocsin_records_total") == 300
            and all(p["idle"] for p in place.status()["partitions"]),
        )
        names = [p["name"] for p in place.status()["partitions"]]
        check(names == [f"{place.topic('events')}/{n}" for n in range(3)], f"partitions are {names}")
        check(place.metric("tocsin_events_late_total") == 0, "events are late although each partition is in order")
        place.stop()
        check(len(by_id(place.consume("decisions"), "decisions")) == 300, "not every event was decided")
    finally:
        place.close()


def test_latest(world):
    """`start: latest` means the moment of the first start, over a kill too; a topic that was made anew is refused"""
    place = Place(world, "latest")
    out = os.path.join(place.directory, "out")
    try:
        write_rules(place, BIG_RULE)
        place.create_topics("events")
        place.produce([pay(i, "u", 500) for i in range(10)])
        path = place.config()
        with open(path, encoding="utf-8") as config:
            text = config.read().replace("  idle after", "  start: latest\n  idle after")
        with open(path, "w", encoding="utf-8") as config:
            config.write(
                text[: text.index("sink:")]
                + f"sink: {{kind: files, directory: {out}}}\n"
                + text[text.index("state:") :]
            )
        place.start()
        check(place.position() is None, "records from before the first start were read")
        place.kill()
        place.produce([pay(20 + i, "u", 500) for i in range(5)])
        place.start()
        place.wait_until_read(15)
        place.stop()
        with open(os.path.join(out, "decisions.ndjson"), encoding="utf-8") as decisions:
            check(len(decisions.readlines()) == 5, "not exactly the events since the first start were decided")
        shell("topic.sh", "--broker", world.broker, "delete", place.topic("events"))
        place.create_topics("events")
        code, text = place.run()
        check(code == 3 and "made anew" in text, f"a topic made anew: {code}: {text}")
    finally:
        place.close()


def test_bad_starts(world):
    """unreachable broker, missing topic, unwritable directory, unknown key: a sentence and the exit code"""
    place = Place(world, "bad")
    write_rules(place, BIG_RULE)
    place.create_topics("events")  # and none of those it writes to

    place.config(broker="127.0.0.1:1")
    code, text = place.run()
    check(code == 3, f"unreachable broker: exit code {code}: {text}")
    check("127.0.0.1:1" in text and "3s" in text, f"unreachable broker: {text}")

    place.config(events="nobody_made_this")
    code, text = place.run()
    check(
        code == 3 and "nobody_made_this" in text and "does not create topics" in text, f"missing topic: {code}: {text}"
    )

    place.config()
    code, text = place.run()
    check(code == 3 and place.topic("hits") in text, f"missing topic of the sink: {code}: {text}")

    blocked = os.path.join(place.directory, "a_file")
    with open(blocked, "w", encoding="utf-8") as out:
        out.write("in the way")
    place.config(state=os.path.join(blocked, "state"))
    code, text = place.run()
    check(code == 3 and blocked in text, f"unwritable state directory: {code}: {text}")

    path = place.config()
    with open(path, "a", encoding="utf-8") as out:
        out.write("checkpiont:\n  interval: 1s\n")
    code, text = place.run()
    check(code == 2 and "checkpiont" in text and "checkpoint" in text, f"unknown key: {code}: {text}")


TESTS = [
    test_in_and_out,
    test_partitions,
    test_latest,
    test_poison,
    test_reload,
    test_bad_starts,
    test_broker_away,
    test_kills,
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tocsin", required=True)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--only", default="", help="run the tests whose name has this word")
    options = parser.parse_args()
    seed = int(os.environ.get("TOCSIN_SEED") or random.SystemRandom().randrange(1 << 32))
    kills = int(os.environ.get("TOCSIN_KILLS") or 50)
    print(f"seed {seed} (TOCSIN_SEED repeats it), {kills} kills")
    directory = tempfile.mkdtemp(prefix="tocsin-daemon-")
    world = World(os.path.abspath(options.tocsin), options.broker, directory, kills, seed)
    passed = failed = skipped = 0
    for test in TESTS:
        if options.only not in test.__name__:
            continue
        began = time.monotonic()
        try:
            reason = test(world)
        except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as trouble:
            failed += 1
            print(f"FAILED: {test.__doc__}\n  {trouble}", flush=True)
            continue
        seconds = f" ({time.monotonic() - began:.0f} s)"
        if reason:
            skipped += 1
            print(f"skipped: {test.__doc__}: {reason}", flush=True)
        else:
            passed += 1
            print(f"ok: {test.__doc__}{seconds}", flush=True)
    if failed == 0:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"what is left of it: {directory}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
