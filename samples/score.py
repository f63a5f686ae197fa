#!/usr/bin/env python3
"""Compares alerts with the key to a stream: which planted attacks were caught, and which alerts have no attack behind
them.

An alert belongs to a story when it comes from one of the story's rules and at least one event of the alert is an event
of the story. A story is caught when an alert belongs to it; an alert that belongs to no story is a false alarm. One
alert may stand for many hits (`alert once per`): it counts once, and it has caught its story.

The last line is always: stories: P planted, C caught, M missed; false alarms: F of N events Exit code 0 when at least
nine of ten stories were caught and there was no false alarm, else 1; 3 when a file cannot be read.
"""

import argparse
import collections
import json
import sys

CAUGHT_SHARE_MIN = 0.9


class Score:
    """What came of comparing. `caught` and `missed` hold stories, `false_alarms` alerts."""

    def __init__(self, key, alerts):
        self.events_count = key["events"]
        self.alerts_count = len(alerts)
        stories = key["stories"]
        stories_of_event = collections.defaultdict(set)
        for number, story in enumerate(stories):
            for event in story["events"]:
                stories_of_event[event["id"]].add(number)
        caught = set()
        self.false_alarms = []
        for alert in alerts:
            touched = set().union(*(stories_of_event.get(event["id"], set()) for event in alert["events"]))
            own = {number for number in touched if alert["rule"] in stories[number]["rules"]}
            caught |= own
            if not own:
                self.false_alarms.append(alert)
        self.caught = [story for number, story in enumerate(stories) if number in caught]
        self.missed = [story for number, story in enumerate(stories) if number not in caught]
        self.near_miss_of_event = {
            event["id"]: near_miss for near_miss in key["near_misses"] for event in near_miss["events"]
        }

    @property
    def good(self):
        planted = len(self.caught) + len(self.missed)
        return len(self.caught) >= CAUGHT_SHARE_MIN * planted and not self.false_alarms

    def line(self):
        planted = len(self.caught) + len(self.missed)
        return (
            f"stories: {planted} planted, {len(self.caught)} caught, {len(self.missed)} missed; "
            f"false alarms: {len(self.false_alarms)} of {self.events_count} events"
        )

    def details(self):
        """One line per kind of story, then one per story missed and per false alarm, with what helps to find out
        why."""
        by_kind = collections.OrderedDict()
        for story in self.caught + self.missed:
            by_kind.setdefault(story["kind"], [0, 0])[1] += 1
        for story in self.caught:
            by_kind[story["kind"]][0] += 1
        lines = [f"  {kind:<32} {caught:>3} of {planted}" for kind, (caught, planted) in sorted(by_kind.items())]
        for story in self.missed:
            where = " ".join(f"{kind}={value}" for kind, value in story["key"].items())
            lines.append(
                f"missed: {story['kind']}, {where}, {story['begin']} to {story['end']}, rules {story['rules']}"
            )
        for alert in self.false_alarms:
            ids = [event["id"] for event in alert["events"]]
            near = next((self.near_miss_of_event[name] for name in ids if name in self.near_miss_of_event), None)
            why = f", but it is a near miss of {near['kind']}: {near['why_not']}" if near else ""
            lines.append(f"false alarm: {alert['rule']} on {' '.join(ids)}{why}")
        return lines


def read_alerts(path):
    """The alerts that were told to somebody: held, suppressed and resolved ones are records of an alert, too, and no new ones."""
    alerts = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            alert = json.loads(line)
            if alert.get("state") != "open" or "reopened" in alert:
                continue
            if "rule" not in alert or "events" not in alert:
                raise ValueError(f"{path}:{number}: an alert needs `rule` and `events`")
            alerts.append(alert)
    return alerts


def score_files(stories_path, alerts_path):
    with open(stories_path, encoding="utf-8") as text:
        key = json.load(text)
    return Score(key, read_alerts(alerts_path))


def main():
    parser = argparse.ArgumentParser(description="Compare alerts with the key to the stories planted in a stream.")
    parser.add_argument("stories", help="stories.json, as generate.py wrote it")
    parser.add_argument("alerts", help="alerts.ndjson, as `tocsin replay` wrote it")
    parser.add_argument("--quiet", action="store_true", help="print the last line only")
    options = parser.parse_args()
    try:
        score = score_files(options.stories, options.alerts)
    except (OSError, ValueError) as problem:
        print(f"cannot score: {problem}", file=sys.stderr)
        return 3
    if not options.quiet:
        print("\n".join(score.details()))
    print(score.line())
    return 0 if score.good else 1


if __name__ == "__main__":
    sys.exit(main())
