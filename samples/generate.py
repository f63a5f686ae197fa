#!/usr/bin/env python3
"""Writes a stream of events for the rule pack in rules/, with attacks hidden in it, and the key to them.

The stream (events.ndjson) is what some thousand customers, a few machines and a few thieves do in some days: logins,
one-time passwords, payments and their results, transfers, cash deposits, changes of MFA, readings, alarms. stories.json
is the key: each planted attack and each near miss with the ids of its events. The engine never opens it; score.py does.

Two things must hold, or the score means nothing:
- Ordinary people obey human limits, with a margin to every threshold of the pack (see the constants below). What they
  do can therefore never be an attack by chance, whatever the seed.
- Everyone in a story is left alone by the ordinary life of the same key around the time of the story, so that a story
  is exactly what its teller wrote.

Same arguments, same bytes: all chance comes from one random.Random(seed).
"""

import argparse
import bisect
import json
import os
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # times are milliseconds since BEGIN
BEGIN = datetime(2026, 3, 2, tzinfo=timezone.utc)  # a Monday

# A device, a payer, a customer's habits are known from the stream alone: stories that lean on them come after a week of
# ordinary life.
WARM = 7 * DAY + 4 * HOUR
TAIL = 16 * HOUR  # after the last story: longer than the longest absence (12 h) by a good margin
HOURS_MIN = 8 * 24 + 12  # leaves a stretch of at least 16 h between WARM and TAIL
USERS_MIN = 600

# Human limits. Beside each, the rule it keeps away from and that rule's threshold.
FAILURES_IN_A_ROW_MAX = 3  # r06: 5
SESSION_GAP = 75 * MINUTE  # r06: 15 min, r26: 1 h
USERS_PER_GATEWAY = 12  # r05: 20 users on one address, r01: 6 cards on one address
TINY_GAP = 20 * HOUR  # r02: three results of at most 2 USD in 24 h; at most two with this gap
MFA_OFF_MAX = 6 * HOUR  # r09: 12 h
ALARM_OPEN_MAX = 12 * MINUTE  # r24a: 15 min
NEAR_LIMIT_PER_CUSTOMER = 1  # r11: 3 in 7 days

SITES = {"east": 6, "west": 6, "north": 6, "south": 6}
SERVICES = ["pay", "web", "ledger", "mail"]
BRANCHES = ["north", "south", "harbour", "station", "market"]
KIOSKS = [
    "kiosk-airport-1",
    "kiosk-airport-2",
    "kiosk-central-1",
    "kiosk-harbour-1",
]  # as in rules/lists/shared_devices.txt
CITIES = [
    (52.5200, 13.4050),
    (48.1374, 11.5755),
    (50.1109, 8.6821),
    (53.5511, 9.9937),
    (51.2277, 6.7735),
    (48.2082, 16.3738),
]
AGENTS = ["ios/17.4", "ios/18.1", "android/14", "android/15", "web/firefox", "web/chrome", "web/safari"]
HOUR_WEIGHTS = [2, 1, 1, 1, 1, 2, 5, 9, 11, 11, 11, 12, 13, 12, 11, 11, 12, 13, 14, 14, 12, 9, 6, 3]


def cents(amount):
    return f"{amount // 100}.{amount % 100:02d}"


class Stream:
    """All events so far, in no order, and the numbers their ids come from."""

    def __init__(self):
        self.events = []
        self.last_number = 0

    def add(self, at, kind, prefix, key, time, **fields):
        self.last_number += 1
        name = f"{prefix}{self.last_number:07d}"
        event = {"type": kind, key: name, time: at}
        event.update((field, value) for field, value in fields.items() if value is not None)
        self.events.append((at, self.last_number, event, time))
        return {"type": kind, "id": name}

    def login(self, at, user, ip, good, device=None, geo=None, agent=None):
        return self.add(
            at,
            "login",
            "lg",
            "event_id",
            "at",
            user=user,
            device=device,
            ip=ip,
            geo=geo,
            agent=agent,
            result="success" if good else "failure",
        )

    def otp(self, at, user, result):
        return self.add(at, "otp", "ot", "event_id", "at", user=user, result=result)

    def mfa(self, at, user, state):
        return self.add(at, "mfa_change", "mf", "event_id", "at", user=user, state=state)

    def reset(self, at, user, result):
        return self.add(at, "password_reset", "pr", "event_id", "at", user=user, result=result)

    def sim(self, at, user):
        return self.add(at, "sim_change", "sm", "event_id", "at", user=user, carrier="carrier-2")

    def deposit(self, at, customer, branch, amount):
        return self.add(
            at, "cash_deposit", "cd", "deposit_id", "at", customer=customer, branch=branch, amount=money(amount)
        )

    def payment(self, at, user, card, ip, merchant, amount, approved, device=None, delay=2 * SECOND):
        """An attempt and what the issuer says to it."""
        attempt = self.add(
            at,
            "payment",
            "pa",
            "payment_id",
            "created_at",
            user=user,
            card=card,
            device=device,
            ip=ip,
            merchant=merchant,
            amount=money(amount),
        )
        result = self.add(
            at + delay,
            "payment_result",
            "rs",
            "result_id",
            "at",
            payment_id=attempt["id"],
            card=card,
            ip=ip,
            merchant=merchant,
            amount=money(amount),
            status="approved" if approved else "declined",
        )
        return [attempt, result]

    def transfer(self, at, user, sender, recipient, amount, device=None, settle=20 * SECOND, rejected=False):
        """A request and, some seconds later, what became of it."""
        name = f"tx{self.last_number + 1:07d}"
        common = {
            "transfer_id": name,
            "sender": sender,
            "recipient": recipient,
            "user": user,
            "device": device,
            "amount": money(amount),
        }
        first = self.add(at, "transfer", "tr", "event_id", "created_at", **common, status="requested")
        second = self.add(
            at + settle,
            "transfer",
            "tr",
            "event_id",
            "created_at",
            **common,
            status="rejected" if rejected else "settled",
        )
        return [first, second]

    def reading(self, at, sensor, site, tenths):
        return self.add(at, "reading", "rd", "event_id", "at", sensor=sensor, site=site, celsius=tenths / 10)

    def maintenance(self, at, site, state):
        return self.add(at, "maintenance", "mt", "event_id", "at", site=site, state=state)

    def plain(self, at, kind, **fields):
        """An event whose key and time are called event_id and at."""
        return self.add(at, kind, "ev", "event_id", "at", **fields)

    def chargeback(self, at, user, card, device, reason, amount):
        return self.add(
            at, "chargeback", "cb", "case_id", "at", user=user, card=card, device=device,
            merchant="m0001", amount=money(amount), reason=reason,
        )

    def refund(self, at, user, amount):
        return self.add(at, "refund", "rf", "refund_id", "at", user=user, merchant="m0001", amount=money(amount))

    def settled(self, at, user, sender, recipient, amount):
        """Only the settling: how money of elsewhere arrives."""
        return self.add(
            at, "transfer", "tr", "event_id", "created_at", transfer_id=f"tx{self.last_number + 1:07d}",
            sender=sender, recipient=recipient, user=user, amount=money(amount), status="settled",
        )

    def alarm(self, at, node, service, state, code="E42"):
        return self.add(at, "alarm", "al", "event_id", "at", node=node, service=service, code=code, state=state)


def money(amount):
    return {"amount": cents(amount), "currency": "USD"}


class Person:
    def __init__(self, index, random_):
        self.user = f"u{index:05d}"
        self.account = f"a{index:05d}"
        self.devices = [f"d{index:05d}a"] + ([f"d{index:05d}b"] if random_.random() < 0.4 else [])
        self.cards = [f"k{index:05d}-{n}" for n in range(random_.choice([1, 1, 2, 2, 3]))]
        self.ip = f"100.{64 + index // 65536}.{index // 256 % 256}.{index % 256}"
        lat, lon = random_.choice(CITIES)
        self.geo = {
            "lat": round(lat + random_.uniform(-0.2, 0.2), 4),
            "lon": round(lon + random_.uniform(-0.2, 0.2), 4),
        }
        self.agent = random_.choice(AGENTS)
        self.pace = random_.choice([0.6, 1.0, 1.5, 2.4, 3.6])  # sessions per day
        self.gateway = None  # the shared address of a mobile network, for some
        self.payee = None  # another person
        self.luck = random_.random()  # what rare thing happens to him, see everyday_lives
        self.quiet = []  # [begin, end) of stories about this person

    def is_quiet(self, begin, end):
        return any(begin < until and since < end for since, until in self.quiet)


class World:
    def __init__(self, seed, users, hours):
        self.random = random.Random(seed)
        self.hours = hours
        self.end = hours * HOUR
        self.stream = Stream()
        self.stories, self.near_misses = [], []
        self.people = [Person(index, self.random) for index in range(1, users + 1)]
        for index, person in enumerate(self.people):
            if index % 5 == 0:
                gateway = index // 5 // USERS_PER_GATEWAY
                person.gateway = f"100.127.{gateway // 250}.{gateway % 250 + 1}"
        # Each account is the payee of exactly one other person: two new senders in a day stay out of r10's reach of
        # three even together with the employer.
        ring = list(range(users))
        self.random.shuffle(ring)
        for here, there in zip(ring, ring[1:] + ring[:1]):
            self.people[here].payee = self.people[there]
        # Stories take people from this list, each at most once.
        self.cast = list(self.people)
        self.random.shuffle(self.cast)
        self.fresh = 0

    def actor(self, begin, end):
        """A person nobody else tells about, who does nothing else between `begin` and `end`."""
        person = self.cast.pop()
        person.quiet.append((begin, end))
        return person

    def name(self, prefix):
        """A name that occurs nowhere else, for what belongs to a thief."""
        self.fresh += 1
        return f"{prefix}{self.fresh:04d}{self.random.randrange(4096):03x}"

    def address(self):
        self.fresh += 1
        return f"198.18.{self.fresh // 250}.{self.fresh % 250 + 1}"


# ---------------------------------------------------------------- stories
# Each teller gets the world, the moment its story ends (`at`), and None for the attack itself or the name of a near
# miss. It returns (key, events): whom it is about, and every event that belongs to it.


def card_testing(world, at, miss):
    rng, stream, ip = world.random, world.stream, world.address()
    attempts, cards, span, declined = rng.randint(10, 16), None, 8 * MINUTE, 0.85
    if miss == "seven attempts":
        attempts = 7
    elif miss == "five cards":
        attempts, cards = 12, 5
    elif miss == "slowly":  # 21 attempts, 90 s apart: never more than seven in ten minutes
        attempts, span = 21, 30 * MINUTE
    elif miss == "half declined":
        attempts, declined = 12, 0.5
    elif miss == "partner gateway":
        ip = f"192.0.2.{rng.randint(1, 30)}"
    deck = [world.name("k9-") for _ in range(cards or attempts)]
    buyer, shop, events = world.name("u9-"), world.name("m9-"), []
    step = span // (attempts - 1) if miss != "slowly" else 90 * SECOND
    refused = [n < round(declined * attempts) for n in range(attempts)]
    if declined == 0.5:
        refused = [n % 2 == 1 for n in range(attempts)]  # approved first: never more than half of what is known
    begin = at - step * (attempts - 1)
    for n in range(attempts):
        events += stream.payment(
            begin + n * step,
            buyer,
            deck[n % len(deck)],
            ip,
            shop,
            rng.randint(210, 500),
            not refused[n],
            delay=rng.randint(500, 3000),
        )
    return {"ip": ip}, events


def test_then_cash_out(world, at, miss):
    rng, stream = world.random, world.stream
    card, ip, buyer = world.name("k8-"), world.address(), world.name("u8-")
    shops = [world.name("m8-") for _ in range(3)]
    count, amount, target, span = (
        rng.randint(3, 5),
        rng.randint(30000, 180000),
        world.name("m8-"),
        rng.randint(2, 20) * HOUR,
    )
    approved = {rng.randrange(count)}
    if miss == "two tests":
        count, approved = 2, {1}
    elif miss == "all declined":
        approved = set()
    elif miss == "same merchant":
        target = shops[0]
    elif miss == "299.99":
        amount = 29999
    elif miss == "a day later":  # the first of three tests has left the span
        count, approved, span = 3, {1, 2}, 24 * HOUR + 2 * MINUTE
    events, begin = [], at - span
    for n in range(count):
        when = begin + n * 4 * MINUTE
        events += stream.payment(when, buyer, card, ip, shops[n % 3], rng.randint(50, 200), n in approved)
    events += stream.payment(at, buyer, card, ip, target, amount, True)
    return {"card": card}, events


def cards_per_device(world, at, miss):
    rng, stream = world.random, world.stream
    device, ip, buyer, count = world.name("d7-"), world.address(), world.name("u7-"), rng.randint(5, 11)
    gap = rng.randint(10, 100) * MINUTE
    if miss == "four cards":
        count = 4
    elif miss == "over a day":  # at the fifth card the first is exactly 24 hours old
        count, gap = 5, 6 * HOUR
    elif miss == "shared device":
        device, count, gap = rng.choice(KIOSKS), 8, 3 * MINUTE
    elif miss == "no device":
        device, count = None, 8
    events, deck = [], [world.name("k7-") for _ in range(count)]
    repeats = 2 if miss == "four cards" else 1
    for n in range(count * repeats):
        events += stream.payment(
            at - (count * repeats - 1 - n) * gap,
            buyer,
            deck[n % count],
            ip,
            f"m{rng.randint(1, 300):04d}",
            rng.randint(2000, 15000),
            True,
            device=device,
        )
    return {"device": device} if device else {}, events


def credential_stuffing(world, at, miss):
    rng, stream, ip = world.random, world.stream, world.address()
    count, successes, span = rng.randint(30, 60), rng.randint(0, 1), 4 * MINUTE
    if miss == "nineteen accounts":
        count, successes = 19, 0
    elif miss == "slowly":  # 36 accounts in 18 minutes: about ten in any five
        count, successes, span = 36, 0, 18 * MINUTE
    elif miss == "busy gateway":
        count, successes = 30, 9
    elif miss == "corporate network":
        ip = f"10.20.{rng.randint(1, 200)}.{rng.randint(1, 250)}"
    victims = rng.sample(world.cast[: len(world.cast) // 2], count)  # the front half is never taken for stories
    step, events = span // count, []
    for n, victim in enumerate(victims):
        if miss == "busy gateway":
            good = n % 3 == 0  # the first one succeeds, and a third of all
        else:
            good = n < successes
        events.append(stream.login(at - (count - 1 - n) * step, victim.user, ip, good, agent="web/chrome"))
    return {"ip": ip}, events


def guessed_password(world, at, miss):
    rng, stream = world.random, world.stream
    who, ip = world.actor(at - 2 * HOUR, at + 2 * HOUR), world.address()
    count, pause = rng.randint(5, 9), rng.randint(20, 240) * SECOND
    last_ip, broken, reset = ip, False, False
    if miss == "four failures":
        count = 4
    elif miss == "too late":
        pause = 5 * MINUTE + rng.randint(1, 60) * SECOND
    elif miss == "other address":
        last_ip = who.ip
    elif miss == "reset in between":
        reset, pause = True, 4 * MINUTE
    elif miss == "row broken":
        broken, count = True, 8
    elif miss == "other user":
        other = world.actor(at - 2 * HOUR, at + 2 * HOUR)
    events, step = [], 40 * SECOND
    for n in range(count):
        events.append(
            stream.login(at - pause - (count - 1 - n) * step, who.user, ip, broken and n == 4, device=who.devices[0])
        )
    if reset:
        events.append(stream.reset(at - pause + 60 * SECOND, who.user, "requested"))
        events.append(stream.reset(at - pause + 150 * SECOND, who.user, "success"))
    events.append(
        stream.login(at, other.user if miss == "other user" else who.user, last_ip, True, device=who.devices[0])
    )
    return {"user": who.user}, events


def new_device_transfer(world, at, miss):
    rng, stream = world.random, world.stream
    who, ip, device = world.actor(at - 3 * HOUR, at + 3 * HOUR), world.address(), world.name("d6-")
    payee, amount, delay, events = world.name("x6-"), rng.randint(500000, 1900000), rng.randint(60, 540) * SECOND, []
    used = device
    if miss == "just below":
        amount = rng.choice([499999, 498000, 495000])
    elif miss == "too late":
        delay = 10 * MINUTE + rng.randint(0, 90) * SECOND
    elif miss == "other device":
        used = who.devices[0]
    elif miss == "known device":
        before = at - delay - 3 * DAY
        who.quiet.append((before - HOUR, before + HOUR))
        events.append(stream.login(before, who.user, ip, True, device=device))
    events.append(
        stream.otp(at - delay - 90 * SECOND, who.user, "success")
    )  # before the login: says nothing about the device
    events.append(stream.login(at - delay, who.user, ip, True, device=device, geo=who.geo))
    events.append(stream.otp(at - delay + 20 * SECOND, who.user, "sent"))
    if miss == "otp in between":
        events.append(stream.otp(at - delay + 45 * SECOND, who.user, "success"))
    events += stream.transfer(at, who.user, who.account, payee, amount, device=used)
    return {"user": who.user}, events


def mfa_left_off(world, at, miss):
    """Here `at` is the moment MFA is switched off; the alert comes twelve hours later."""
    rng, stream = world.random, world.stream
    who, events = world.actor(at - HOUR, at + 15 * HOUR), []
    events.append(stream.login(at - 5 * MINUTE, who.user, who.ip, True, device=who.devices[0]))
    events.append(stream.mfa(at, who.user, "disabled"))
    if miss == "on again":
        events.append(stream.mfa(at + rng.randint(20, 600) * MINUTE, who.user, "enabled"))
    elif miss == "on again late":
        events.append(stream.mfa(at + 12 * HOUR - rng.randint(1, 120) * SECOND, who.user, "enabled"))
    elif miss == "on again at the deadline":
        events.append(stream.mfa(at + 12 * HOUR, who.user, "enabled"))
    return {"user": who.user}, events


def sim_swap(world, at, miss):
    rng, stream = world.random, world.stream
    who, ip, device = world.actor(at - 52 * HOUR, at + 50 * HOUR), world.address(), world.name("d5-")
    sim, reset, login = at - rng.randint(6, 40) * HOUR, at - 2 * HOUR, at - 35 * MINUTE
    otp, amount = login + rng.randint(2, 28) * MINUTE, rng.randint(100000, 900000)
    if miss == "reset first":
        sim, reset = at - 2 * HOUR, at - 8 * HOUR
    elif miss == "otp too late":
        otp = login + 30 * MINUTE + rng.randint(0, 90) * SECOND
    elif miss == "over two days":
        sim = at - 48 * HOUR - rng.randint(0, 3000) * SECOND
    elif miss == "known device":
        device = who.devices[0]
    elif miss == "small":
        amount = 99999
    events = [
        stream.sim(sim, who.user),
        stream.reset(reset - 3 * MINUTE, who.user, "requested"),
        stream.reset(reset, who.user, "success"),
    ]
    if miss == "known device":
        events.append(stream.login(at - 50 * HOUR, who.user, who.ip, True, device=device))
    events += [
        stream.login(login, who.user, ip, True, device=device),
        stream.otp(otp - 30 * SECOND, who.user, "sent"),
        stream.otp(otp, who.user, "success"),
    ]
    events += stream.transfer(at, who.user, who.account, world.name("x5-"), amount, device=device)
    return {"user": who.user}, events


def transfer_without_login(world, at, miss):
    rng, stream = world.random, world.stream
    who, amount, events = world.actor(at - 5 * HOUR, at + 2 * HOUR), rng.randint(100000, 480000), []
    events.append(stream.login(at - 3 * HOUR, who.user, who.ip, True, device=who.devices[0]))
    if miss == "just logged in":
        events.append(stream.login(at - rng.randint(55, 59) * MINUTE, who.user, who.ip, True, device=who.devices[0]))
    elif miss == "exactly an hour":
        events.append(stream.login(at - HOUR, who.user, who.ip, True, device=who.devices[0]))
    elif miss == "small":
        amount = 99999
    else:  # a failed attempt does not make it better
        events.append(stream.login(at - 20 * MINUTE, who.user, who.ip, False, device=who.devices[0]))
    events += stream.transfer(at, who.user, who.account, world.name("x4-"), amount, device=who.devices[0])
    return {"user": who.user}, events


def mule(world, at, miss):
    rng, stream = world.random, world.stream
    who, events = world.actor(at - 26 * HOUR, at + 26 * HOUR), []  # a funnel for as long as r10 looks back
    senders, share, low, high, old = rng.randint(3, 5), 96, 110000, 190000, 0
    if miss == "two senders":
        senders = 2
    elif miss == "keeps a fifth":
        share = 80
    elif miss == "pocket money":
        senders, low, high = 3, 20000, 32000
    elif miss == "known senders":  # one of three paid before
        senders, old = 3, 1
    begin, total = at - 8 * HOUR, 0
    for n in range(senders):
        when = begin + n * 70 * MINUTE + rng.randint(0, 20) * MINUTE
        victim = world.actor(when - 50 * HOUR if n < old else when - 2 * HOUR, when + 2 * HOUR)
        if n < old:
            events.append(
                stream.login(when - 2 * DAY - 4 * MINUTE, victim.user, victim.ip, True, device=victim.devices[0])
            )
            events += stream.transfer(
                when - 2 * DAY, victim.user, victim.account, who.account, 5000, device=victim.devices[0]
            )
        amount = rng.randint(low, high)
        total += amount
        events.append(stream.login(when - 4 * MINUTE, victim.user, victim.ip, True, device=victim.devices[0]))
        events += stream.transfer(when, victim.user, victim.account, who.account, amount, device=victim.devices[0])
    # What goes out stays under 5,000 per transfer and follows a login with OTP, so that only r10 has a word to say.
    events.append(stream.login(at - 25 * MINUTE, who.user, who.ip, True, device=who.devices[0]))
    events.append(stream.otp(at - 24 * MINUTE, who.user, "success"))
    rest, parts = total * share // 100, 3
    for n in range(parts):
        amount = rest // parts if n else rest - rest // parts * (parts - 1)
        events += stream.transfer(
            at - (parts - 1 - n) * 8 * MINUTE, who.user, who.account, world.name("x3-"), amount, device=who.devices[0]
        )
    return {"account": who.account}, events


def structuring(world, at, miss):
    rng, stream, customer = world.random, world.stream, world.name("c9-")
    amounts = [rng.randint(8400, 9900) * 100 for _ in range(rng.randint(3, 5))]
    span, branches = rng.randint(30, 140) * HOUR, rng.sample(BRANCHES, 2)
    if miss == "24,600":
        amounts = [810000, 820000, 830000]
    elif miss == "one branch":
        branches = branches[:1]
    elif miss == "over a week":
        amounts, span = amounts[:3], 7 * DAY + rng.randint(0, 3000) * SECOND
    elif miss == "10,000 reported":
        amounts = [1000000] + amounts
    events = []
    for n, amount in enumerate(amounts):
        events.append(
            stream.deposit(at - span + n * span // (len(amounts) - 1), customer, branches[n % len(branches)], amount)
        )
    return {"customer": customer}, events


def overheating(world, at, miss):
    rng, stream = world.random, world.stream
    site = rng.choice(sorted(SITES))
    sensor, row, step = world.name("s9-"), rng.randint(3, 4), 2 * MINUTE
    row_pattern = [True] * row
    if miss == "two in a row":
        row_pattern = [True, True, False, True, True]
    elif miss == "slowly":
        row_pattern, step = [True] * 4, 5 * MINUTE
    elif miss == "exactly eighty":
        row_pattern = [False] * 4
    elif miss == "maintenance":
        site = world.name("site-")
    events = []
    begin = at - step * (len(row_pattern) - 1)
    if miss == "maintenance":
        events.append(stream.maintenance(begin - 30 * MINUTE, site, "started"))
        events.append(stream.maintenance(at + 30 * MINUTE, site, "ended"))
    for n in (4, 3, 2, 1):  # it has been warm before, and cools down afterwards
        events.append(stream.reading(begin - n * 20 * MINUTE, sensor, site, rng.randint(600, 760)))
    for n, is_hot in enumerate(row_pattern):
        events.append(stream.reading(begin + n * step, sensor, site, rng.randint(801, 960) if is_hot else 800))
    events.append(stream.reading(at + 10 * MINUTE, sensor, site, rng.randint(600, 760)))
    return {"sensor": sensor}, events


def alarm_stays(world, at, miss):
    """Here `at` is the moment the alarm is raised; the alert comes fifteen minutes later."""
    rng, stream = world.random, world.stream
    node, service, other = world.name("n9-"), rng.choice(SERVICES), "backup"
    events = [stream.alarm(at, node, service, "raised")]
    if miss == "cleared in time":
        events.append(stream.alarm(at + 15 * MINUTE - rng.randint(1, 60) * SECOND, node, service, "cleared"))
    elif miss == "cleared at the deadline":
        events.append(stream.alarm(at + 15 * MINUTE, node, service, "cleared"))
    else:
        events.append(stream.alarm(at + 5 * MINUTE, node, other, "cleared"))  # another service: clears nothing here
        events.append(stream.alarm(at + rng.randint(20, 300) * MINUTE, node, service, "cleared"))
    return {"node": node, "service": service}, events


def impossible_travel(world, at, miss):
    rng, stream = world.random, world.stream
    who, ip, gap = world.actor(at - 14 * HOUR, at + 12 * HOUR), world.address(), rng.randint(20, 300) * MINUTE
    there = {"lat": 40.7128, "lon": -74.006}  # some 6,400 km from everybody's home: seven hours at 900 km/h
    if miss == "time for the flight":
        gap = rng.randint(9, 12) * HOUR
    elif miss == "next town":
        there, gap = {"lat": round(who.geo["lat"] + 2, 4), "lon": who.geo["lon"]}, 5 * MINUTE
    elif miss == "company network":
        ip = f"10.20.{rng.randint(1, 200)}.{rng.randint(1, 250)}"
    device = who.devices[0]
    events = [
        stream.login(at - gap, who.user, who.ip, True, device=device, geo=who.geo),
        stream.login(at, who.user, ip, miss != "wrong password", device=device, geo=there),
    ]
    return {"user": who.user}, events


def takeover_chain(world, at, miss):
    rng, stream = world.random, world.stream
    who, ip, device = world.actor(at - 27 * HOUR, at + 3 * HOUR), world.address(), world.name("d5-")
    payee, what, amount, first = world.name("x5-"), rng.choice(["password", "email", "phone"]), 9000000, 5 * HOUR
    if miss == "small change":
        amount = 20000
    elif miss == "new home":
        what = "address"
    elif miss == "over a day":
        first = 24 * HOUR + rng.randint(1, 60) * MINUTE
    events = [
        stream.plain(at - first, "profile_change", user=who.user, what=what),
        stream.plain(at - 2 * HOUR, "payee_added", user=who.user, payee=payee),
        stream.login(at - 30 * MINUTE, who.user, ip, True, device=device),
        stream.otp(at - 25 * MINUTE, who.user, "success"),
    ]
    target = world.name("x5-") if miss == "another payee" else payee
    return {"user": who.user}, events + stream.transfer(at, who.user, who.account, target, amount, device=device)


def chargeback_ring(world, at, miss):
    rng, stream = world.random, world.stream
    device, victims = world.name("d4-"), [world.name("u4-"), world.name("u4-")]
    reason = "not_received" if miss == "goods missing" else "fraud"
    if miss == "one user":
        victims[1] = victims[0]
    elif miss == "one case":
        victims = victims[:1]
    events = [
        stream.chargeback(at - (50 - 20 * n) * HOUR, victim, world.name("k4-"), device, reason, rng.randint(2000, 90000))
        for n, victim in enumerate(victims)
    ]
    events += stream.payment(
        at, world.name("u4-"), world.name("k4-"), world.address(), "m0002", rng.randint(2000, 90000), True, device=device
    )
    return {"device": device}, events


def refund_abuse(world, at, miss):
    rng, stream = world.random, world.stream
    user, card, ip, count, share = world.name("u3-"), world.name("k3-"), world.address(), rng.randint(4, 6), 0.7
    if miss == "three refunds":
        count = 3
    elif miss == "a third of it":
        share = 0.33
    bought = [rng.randint(4000, 30000) for _ in range(count)]
    events = []
    for n, amount in enumerate(bought):
        events += stream.payment(at - 50 * HOUR + n * HOUR, user, card, ip, f"m{n + 1:04d}", amount, True)
    for n in range(count):
        events.append(stream.refund(at - (count - 1 - n) * 2 * HOUR, user, int(sum(bought) * share / count)))
    return {"user": user}, events


def fan_in(world, at, miss):
    rng, stream, account = world.random, world.stream, world.name("a3-")
    count, span, events = rng.randint(10, 20), 50 * MINUTE, []
    if miss == "nine senders":
        count = 9
    elif miss == "slowly":
        count, span = 14, 5 * HOUR
    elif miss == "a shop":
        events = [
            stream.settled(at - 30 * HOUR + n * MINUTE, world.name("u3-"), world.name("a3-"), account, 4000)
            for n in range(5)
        ]
    for n in range(count):
        events.append(
            stream.settled(
                at - (count - 1 - n) * span // (count - 1), world.name("u3-"), world.name("a3-"), account,
                rng.randint(5000, 60000),
            )
        )
    return {"account": account}, events


def promo_abuse(world, at, miss):
    rng, stream, device = world.random, world.stream, world.name("d3-")
    count, new = rng.randint(3, 6), True
    if miss == "two users":
        count = 2
    elif miss == "for everybody":
        new = False
    elif miss == "no device":
        device = None
    events = [
        stream.plain(
            at - (count - 1 - n) * 7 * HOUR, "promo_redeem", user=world.name("u2-"), device=device, card=world.name("k2-"),
            code="WELCOME20", value=money(2000), new_customer=new,
        )
        for n in range(count)
    ]
    return {"device": device} if device else {}, events


def scripted_clicks(world, at, miss):
    rng, stream, session_id = world.random, world.stream, world.name("w1-")
    count, spots = rng.randint(30, 38), ["10,20", "400,20", "400,300"]
    gaps = [1500 + rng.randint(-20, 20) for _ in range(count)]
    if miss == "twenty-nine":
        count = 29
    elif miss == "by hand":
        gaps = [rng.choice([300, 700, 1200, 2400]) for _ in range(count)]
    events, when = [], at
    for n in range(count):
        events.append(stream.plain(when, "click", session=session_id, position=spots[n % 3], page="cart"))
        if miss == "pointer moved" and n == count // 2:
            events.append(stream.plain(when + 100, "pointer_move", session=session_id))
        when -= gaps[n]
    return {"session": session_id}, events


def sensor_silent(world, at, miss):
    """Here `at` is the last heartbeat; the alert comes five minutes later."""
    stream, sensor, site = world.stream, world.name("h1-"), world.name("hall-")
    count = 9 if miss == "just switched on" else world.random.randint(10, 40)
    events = [stream.plain(at - n * MINUTE, "heartbeat", sensor=sensor, site=site) for n in range(count)]
    return {"sensor": sensor}, events


def bad_deploy(world, at, miss):
    rng, stream, service = world.random, world.stream, world.name("svc-")
    requests, errors, rolled_back = rng.randint(1000, 3000), 0.08, False
    if miss == "rolled back":
        rolled_back = True
    elif miss == "as usual":
        errors = 0.012
    elif miss == "at night":
        requests = 99
    begin = at - 12 * MINUTE
    events = [
        stream.plain(begin - n * MINUTE, "minute_stats", service=service, requests=2000, errors=20) for n in range(120, 0, -1)
    ]
    events.append(stream.plain(begin, "deploy", service=service, version=f"v{rng.randint(10, 99)}"))
    for n in range(1, 13):
        if rolled_back and n == 4:
            events.append(stream.plain(begin + n * MINUTE - 30 * SECOND, "rollback", service=service))
        share = errors if not (rolled_back and n > 5) else 0.01
        events.append(
            stream.plain(begin + n * MINUTE, "minute_stats", service=service, requests=requests, errors=int(requests * share))
        )
    return {"service": service}, events


# kind, rules expected to speak (one of them is enough, all are welcome), teller, needs a week of ordinary life
# before, near misses
KINDS = [
    (
        "card testing",
        ["r01_card_testing_ip"],
        card_testing,
        False,
        ["seven attempts", "five cards", "slowly", "half declined", "partner gateway"],
    ),
    (
        "test charges, then cash-out",
        ["r02_test_then_cash_out"],
        test_then_cash_out,
        False,
        ["two tests", "all declined", "same merchant", "299.99", "a day later"],
    ),
    (
        "many cards on one device",
        ["r03_cards_per_device"],
        cards_per_device,
        False,
        ["four cards", "over a day", "shared device", "no device"],
    ),
    (
        "credential stuffing",
        ["r05_credential_stuffing"],
        credential_stuffing,
        False,
        ["nineteen accounts", "slowly", "busy gateway", "corporate network"],
    ),
    (
        "guessed password",
        ["r06_guessed_password"],
        guessed_password,
        False,
        ["four failures", "too late", "other address", "reset in between", "row broken", "other user"],
    ),
    (
        "new device, large transfer",
        ["r07_new_device_large_transfer"],
        new_device_transfer,
        True,
        ["just below", "too late", "other device", "known device", "otp in between"],
    ),
    (
        "MFA left off",
        ["r09_mfa_left_off"],
        mfa_left_off,
        False,
        ["on again", "on again late", "on again at the deadline"],
    ),
    (
        "mule account",
        ["r10_mule_in_out"],
        mule,
        True,
        ["two senders", "keeps a fifth", "pocket money", "known senders"],
    ),
    ("structuring", ["r11_structuring"], structuring, True, ["24,600", "one branch", "over a week", "10,000 reported"]),
    (
        "SIM swap",
        ["r21_sim_swap"],
        sim_swap,
        True,
        ["reset first", "otp too late", "over two days", "known device", "small"],
    ),
    (
        "overheating",
        ["r22a_over_limit"],
        overheating,
        False,
        ["two in a row", "slowly", "exactly eighty", "maintenance"],
    ),
    ("alarm left standing", ["r24a_alarm_stays"], alarm_stays, False, ["cleared in time", "cleared at the deadline"]),
    (
        "impossible travel",
        ["r04_impossible_travel"],
        impossible_travel,
        False,
        ["time for the flight", "next town", "company network", "wrong password"],
    ),
    (
        "takeover in any order",
        ["r08_takeover_chain"],
        takeover_chain,
        True,
        ["small change", "new home", "over a day", "another payee"],
    ),
    (
        "chargeback ring",
        ["r17b_chargeback_ring"],
        chargeback_ring,
        False,
        ["one user", "one case", "goods missing"],
    ),
    ("refund abuse", ["r16_refund_abuse"], refund_abuse, False, ["three refunds", "a third of it"]),
    ("fan-in of strangers", ["r13_fan_in"], fan_in, False, ["nine senders", "slowly", "a shop"]),
    ("promotion abuse", ["r14_promo_abuse"], promo_abuse, False, ["two users", "for everybody", "no device"]),
    ("scripted clicks", ["r19_scripted_clicks"], scripted_clicks, False, ["twenty-nine", "by hand", "pointer moved"]),
    ("sensor silent", ["r23a_sensor_silent"], sensor_silent, False, ["just switched on"]),
    ("bad deploy", ["r25_bad_deploy"], bad_deploy, False, ["rolled back", "as usual", "at night"]),
    (
        "transfer without login",
        ["r26_transfer_without_login"],
        transfer_without_login,
        False,
        ["just logged in", "exactly an hour", "small"],
    ),
]


def tell_stories(world):
    rng = world.random
    for kind, rules, teller, needs_week, misses in KINDS:
        # The longest story begins 52 h before its end, so none ends before the third day has begun to pass.
        begin, end = (max(WARM + 10 * HOUR, 60 * HOUR) if needs_week else 60 * HOUR), world.end - TAIL
        plan = [None] * rng.randint(6, 8) + misses + rng.sample(misses, min(2, len(misses)))
        rng.shuffle(plan)
        slot = (end - begin) // len(plan)
        for n, miss in enumerate(plan):
            # One story of a kind per slot and none near the slot's edge: stories of a kind never touch.
            at = begin + n * slot + rng.randint(slot // 10, slot * 9 // 10)
            first_number = len(world.stream.events)
            key, events = teller(world, at, miss)
            times = sorted(event[0] for event in world.stream.events[first_number:])
            record = {
                "kind": kind,
                "rules": rules,
                "key": key,
                "begin": clock(times[0]),
                "end": clock(times[-1]),
                "events": events,
            }
            if miss is None:
                world.stories.append(record)
            else:
                world.near_misses.append(record | {"why_not": miss})


# ---------------------------------------------------------------- ordinary life


def session(world, person, at, tiny):
    """One visit: a login, sometimes after a wrong password, and what one comes for."""
    rng, stream = world.random, world.stream
    ip = person.gateway if person.gateway and rng.random() < 0.3 else person.ip
    if rng.random() < 0.01:
        ip = f"10.30.{rng.randint(0, 20)}.{rng.randint(1, 250)}"  # from the office, over the company's network
    device = rng.choice(person.devices) if rng.random() < 0.9 else None
    geo = person.geo if rng.random() < 0.6 else None
    if rng.random() < 0.12:
        for _ in range(rng.choice([1, 1, 1, 2, 2, FAILURES_IN_A_ROW_MAX])):
            stream.login(at, person.user, ip, False, device=device, agent=person.agent)
            at += rng.randint(8, 40) * SECOND
        forgotten = rng.random()
        if forgotten < 0.05:
            return
        if forgotten < 0.15 and not changes_sim(person):  # r21: a reset after a SIM change is a thief's
            stream.reset(at, person.user, "requested")
            at += rng.randint(60, 300) * SECOND
            stream.reset(at, person.user, "success")
            at += rng.randint(5, 60) * SECOND
    stream.login(at, person.user, ip, True, device=device, geo=geo, agent=person.agent)
    entered = at
    confirmed = False
    if rng.random() < 0.25:
        stream.otp(at + 5 * SECOND, person.user, "sent")
        at += rng.randint(12, 50) * SECOND
        confirmed = rng.random() < 0.93
        stream.otp(at, person.user, "success" if confirmed else "failure")
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 3])):
        at += rng.randint(15, 150) * SECOND
        # Small sums are paid from home only, so that no shared address collects them; tiny ones rarely.
        amount = int(10 ** rng.uniform(2.9, 4.6))
        home = ip == person.ip
        if home and rng.random() < 0.08:
            amount = rng.randint(210, 500)
            recent = [when for when in tiny if when > at - 2 * TINY_GAP]
            if rng.random() < 0.4 and (not recent or recent[-1] < at - TINY_GAP):
                amount = rng.randint(60, 200)
                tiny.append(at)
        stream.payment(
            at,
            person.user,
            rng.choice(person.cards),
            ip,
            f"m{rng.randint(1, 300):04d}",
            amount,
            rng.random() < 0.94,
            device=device,
            delay=rng.randint(400, 4000),
        )
    if rng.random() < 0.14:
        at += rng.randint(20, 200) * SECOND
        amount = int(10 ** rng.uniform(3, 6.3))
        if amount >= 450000 and not confirmed:  # the bank itself asks for a password here
            stream.otp(at, person.user, "sent")
            at += rng.randint(12, 50) * SECOND
            stream.otp(at, person.user, "success")
        payee = f"x-{rng.choice(['rent', 'power', 'water', 'phone', 'insurance'])}"
        if rng.random() < 0.5 and not person.payee.is_quiet(at, at + HOUR):
            payee = person.payee.account
        assert at - entered < 40 * MINUTE  # r26: one hour
        stream.transfer(
            at,
            person.user,
            person.account,
            payee,
            amount,
            device=device,
            settle=rng.randint(2, 60) * SECOND,
            rejected=rng.random() < 0.04,
        )


def changes_sim(person):
    return 0.05 <= person.luck < 0.08


def everyday_lives(world):
    rng, stream = world.random, world.stream
    cumulative = []
    for weight in HOUR_WEIGHTS:
        cumulative.append((cumulative[-1] if cumulative else 0) + weight)
    days = (world.hours + 23) // 24
    for person in world.people:
        busy_until, tiny = -SESSION_GAP, []
        moments = []
        for day in range(days):
            count = int(person.pace) + (rng.random() < person.pace % 1)
            for _ in range(count):
                hour = bisect.bisect(cumulative, rng.random() * cumulative[-1])
                moments.append(day * DAY + hour * HOUR + rng.randrange(HOUR))
        moments.sort()
        for at in moments:
            if at < busy_until + SESSION_GAP or at > world.end - 45 * MINUTE or person.is_quiet(at - HOUR, at + HOUR):
                continue
            session(world, person, at, tiny)
            busy_until = at
        if person.luck < 0.05:  # MFA is switched off for a moment, to move it to a new telephone
            at = rng.randrange(HOUR, world.end - 12 * HOUR)
            if not person.is_quiet(at - HOUR, at + MFA_OFF_MAX + HOUR):
                stream.mfa(at, person.user, "disabled")
                stream.mfa(at + rng.randint(2 * MINUTE, MFA_OFF_MAX), person.user, "enabled")
        elif changes_sim(person):  # a new SIM card, by the customer himself
            at = rng.randrange(HOUR, world.end - HOUR)
            if not person.quiet:
                stream.sim(at, person.user)
        elif person.luck < 0.11:  # a new telephone, with small errands only (r07: 5,000 without OTP)
            at = rng.randrange(HOUR, world.end - 2 * HOUR)
            if not person.is_quiet(at - HOUR, at + 2 * HOUR):
                stream.login(at, person.user, person.ip, True, device=person.devices[0] + "-new", geo=person.geo)


def salaries(world):
    """Once, on the 5th day: an employer pays everyone. One more sender per account, and never one that fires r10."""
    rng, stream = world.random, world.stream
    for person in world.people:
        at = 4 * DAY + 6 * HOUR + rng.randrange(2 * HOUR)
        if rng.random() < 0.6 and not person.is_quiet(at - HOUR, at + 26 * HOUR):
            stream.add(
                at,
                "transfer",
                "tr",
                "event_id",
                "created_at",
                transfer_id=f"tx{stream.last_number + 1:07d}",
                sender="a-employer",
                recipient=person.account,
                user="u-payroll",
                amount=money(rng.randint(150000, 520000)),
                status="settled",
            )


def kiosks(world):
    """Counters where many people pay on one device: r03 knows them by its list."""
    rng, stream = world.random, world.stream
    for number, kiosk in enumerate(KIOSKS):
        at = rng.randrange(HOUR)
        while at < world.end - HOUR:
            if 7 <= at // HOUR % 24 < 21:
                person = rng.choice(world.people)
                if not person.is_quiet(at - HOUR, at + HOUR):
                    stream.payment(
                        at,
                        person.user,
                        person.cards[0],
                        f"203.0.113.{number + 1}",
                        f"m{rng.randint(1, 300):04d}",
                        rng.randint(600, 9000),
                        rng.random() < 0.95,
                        device=kiosk,
                        delay=rng.randint(400, 4000),
                    )
            at += rng.randint(5 * MINUTE, 40 * MINUTE)


def counters(world):
    """Cash over the counter. A customer comes near the reporting limit at most once (r11: three times)."""
    rng, stream = world.random, world.stream
    for index in range(1, len(world.people) // 4 + 1):
        near_limit_left = NEAR_LIMIT_PER_CUSTOMER
        for _ in range(rng.choice([0, 1, 2, 3, 5])):
            amount = int(10 ** rng.uniform(3.7, 5.9))
            if rng.random() < 0.06:
                amount = rng.randint(1000000, 2500000)
            if 800000 <= amount < 1000000:
                if near_limit_left == 0:
                    continue
                near_limit_left -= 1
            day = rng.randrange(max(1, world.hours // 24))
            at = day * DAY + rng.randint(9 * HOUR, 17 * HOUR)
            if at < world.end:
                stream.deposit(at, f"c{index:05d}", rng.choice(BRANCHES), amount)


def machines(world):
    """Readings and alarms. No maintenance at these sites: it would hide a story told there."""
    rng, stream = world.random, world.stream
    for site, count in SITES.items():
        for number in range(1, count + 1):
            sensor, at, celsius = f"s-{site}-{number}", rng.randrange(20 * MINUTE), 620
            while at < world.end:
                celsius = min(790, max(450, celsius + rng.randint(-25, 25)))
                if rng.random() < 0.004:  # one or two hot readings in a row, never three (r22a)
                    for _ in range(rng.randint(1, 2)):
                        stream.reading(at, sensor, site, rng.randint(801, 900))
                        at += 2 * MINUTE
                stream.reading(at, sensor, site, celsius)
                at += 20 * MINUTE + rng.randrange(20 * SECOND)
    for number in range(1, 41):
        for service in SERVICES:
            at = rng.randrange(8 * HOUR)
            while at < world.end - HOUR:
                stream.alarm(at, f"n{number:02d}", service, "raised", code=f"E{rng.randint(10, 60)}")
                stream.alarm(at + rng.randint(20 * SECOND, ALARM_OPEN_MAX), f"n{number:02d}", service, "cleared")
                at += rng.randint(HOUR, 30 * HOUR)


def make_world(seed, users, hours):
    """Requires: users >= USERS_MIN, hours >= HOURS_MIN."""
    world = World(seed, users, hours)
    tell_stories(world)
    everyday_lives(world)
    salaries(world)
    kiosks(world)
    counters(world)
    machines(world)
    return world


def describe(world, path):
    return (
        f"{path}: {len(world.stream.events)} events of {len(world.people)} users in {world.hours} hours, "
        f"{len(world.stories)} stories and {len(world.near_misses)} near misses of {len(KINDS)} kinds"
    )


def clock(at):
    moment = BEGIN + timedelta(milliseconds=at)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def write(world, directory, compress):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "events.ndjson")
    world.stream.events.sort(key=lambda event: (event[0], event[1]))
    # Formatting the date is dear; a day's text is made once.
    day_texts = {}
    encode = json.JSONEncoder(separators=(",", ":")).encode
    with open(path, "w", encoding="ascii", newline="\n") as out:
        lines = []
        for at, _, event, time in world.stream.events:
            day, rest = divmod(at, DAY)
            if day not in day_texts:
                day_texts[day] = (BEGIN + timedelta(days=day)).strftime("%Y-%m-%dT")
            second, ms = divmod(rest, 1000)
            event[time] = f"{day_texts[day]}{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{ms:03d}Z"
            lines.append(encode(event))
        out.write("\n".join(lines) + "\n")
    if compress:
        subprocess.run(["zstd", "-q", "-f", "--rm", path], check=True)
        path += ".zst"
    with open(os.path.join(directory, "stories.json"), "w", encoding="ascii", newline="\n") as out:
        json.dump(
            {"events": len(world.stream.events), "stories": world.stories, "near_misses": world.near_misses},
            out,
            indent=1,
        )
        out.write("\n")
    return path


def main():
    parser = argparse.ArgumentParser(description="Write a stream of events with planted attacks, and the key to them.")
    parser.add_argument("--seed", type=int, default=1, help="everything random follows from it (default 1)")
    parser.add_argument("--users", type=int, default=3000, help=f"ordinary people, at least {USERS_MIN} (default 3000)")
    parser.add_argument(
        "--hours", type=int, default=240, help=f"length of the stream, at least {HOURS_MIN} (default 240)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="where events.ndjson and stories.json go")
    parser.add_argument("--zst", action="store_true", help="write events.ndjson.zst (needs the program zstd)")
    options = parser.parse_args()
    if options.users < USERS_MIN:
        parser.error(f"--users must be at least {USERS_MIN}: every story needs people of its own")
    if options.hours < HOURS_MIN:
        parser.error(
            f"--hours must be at least {HOURS_MIN}: some rules look back a week, and stories need room after it"
        )
    world = make_world(options.seed, options.users, options.hours)
    path = write(world, options.out, options.zst)
    print(describe(world, path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
