"""Replicas: what one applies, all apply alike, whether they ran from the start or began with a snapshot."""

from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from stable_openai import Key, Limits
from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.orders import check_strategy
from stable_openai.stores.protocol import Ask, Effect, Grant, Outcome, Refusal, Rejection
from stable_openai.stores.shared.descriptions import pack_key
from stable_openai.stores.shared.journal import Entry
from stable_openai.stores.shared.outcomes import pack_ask, pack_effect, pack_outcome
from stable_openai.stores.shared.replica import Replica, compress
from stable_openai.stores.shared.steps import STRANGER
from stable_openai.verdict import ObservedLimit

MODELS = [None, "alpha", "beta"]
NAMES = [f"{index:024x}" for index in range(5)]

STRATEGIES = ["round-robin", "random", "least-used", "weighted", "rest-time", "fill-first"]


class Dice(random.Random):
    """What two workers might do, thrown from one seed."""

    def some(self, *choices):
        return self.choice(choices)

    def limits(self):
        return Limits(
            rpm=self.some(None, 2, 5, 40, 5000),
            rpd=self.some(None, None, 30),
            tpm=self.some(None, None, 60),
            max_concurrency=self.some(None, None, 2),
            zone=self.some(None, "America/Los_Angeles"),
        )

    def description(self, name):
        told = self.limits()
        by_model = {"alpha": Limits(rpm=3)} if self.random() < 0.3 else {}
        key = Key(
            name,
            owner=self.some(None, "org-1", "org-2"),
            models=self.some(None, None, None, ("alpha", "beta")),
            limits={"*": told, **by_model},
            weight=self.some(1.0, 3.0),
        )
        return pack_key(name, f"key-{name[-1]}", key, told, self.some(None, None, "there"))

    def ask(self):
        avoid = frozenset(self.sample(NAMES, self.some(0, 0, 0, 1)))
        return Ask(
            self.some(*MODELS),
            self.some(0, 0, 0, 3, 9),
            avoid,
            prefer=self.some(None, None, NAMES[0]),
            call=self.randint(1, 9),
            only=self.some(None, None, None, frozenset(self.sample(NAMES, 2))),
        )

    def observed(self):
        return ObservedLimit(
            self.some("requests", "tokens", "concurrency"), self.some(None, 2, 4, 1000), self.some(None, 0, 1),
            period_s=self.some(None, 1.0, 60.0, 86400.0),
        )  # fmt: skip

    def effect(self):
        kind = self.some(Kind.KEY, Kind.KEY_AND_MODEL, Kind.OWNER, Kind.OWNER_AND_MODEL)
        standing = self.some(*[Standing.COOLING] * 12, Standing.PARKED, Standing.BARRED, Standing.RETIRED)
        return Effect(
            kind,
            standing,
            self.some(None, 0.5, 2.0),
            "rate_limited",
            plain=self.some(True, False),
            long=self.random() < 0.05,
        )

    def outcome(self):
        chance = self.random()
        if chance < 0.6:
            return Outcome(
                success=True, tokens=self.some(None, 0, 7, 30), observed=(self.observed(),) if chance < 0.1 else ()
            )
        if chance < 0.7:
            return Outcome(unused=True)
        if chance < 0.85:
            return Outcome(alike=self.some("auth", "server_error", "server_error"))
        rejection = self.some(None, Rejection(self.some(None, "requests", "tokens"), wait_s=self.some(None, 2.0)))
        return Outcome(
            effect=self.effect(), rejection=rejection, observed=(self.observed(),) if chance > 0.95 else (),
            owner=self.some(None, None, "org-1", "org-9"), alike=self.some(None, None, "auth"),
        )  # fmt: skip


def resolve(name):
    return check_strategy(name)


class Story:
    """Writes entries as two workers would, and applies them to replicas."""

    loosely = False  # whether it is enough that all grant or all refuse

    def __init__(self, described, strategy):
        self.settings = [strategy, False, 60.0, 0.0]
        self.first = Replica(self.settings, resolve)
        self.twins = [self.first]
        self.seq = 0
        self.at = 1_700_000_000.0
        self.running = {"w1": [], "w2": []}
        self.numbers = {"w1": 0, "w2": 0}
        self.described = described
        for worker in ("w1", "w2"):
            self.join(worker)

    def join(self, worker):
        self.tell(worker, "join", 30.0, {"w1": 0, "w2": 1000}[worker], [])
        self.tell(worker, "keys", *self.described)

    def tell(self, worker, kind, *rest):
        self.seq += 1
        self.numbers[worker] += 1
        entry = Entry(self.seq, self.at, json.dumps([worker, self.numbers[worker], kind, *rest]))
        found = [shown(twin.apply(entry)) for twin in self.twins]
        if self.loosely:
            found = [loose(result) for result in found]
        assert all(other == found[0] for other in found), "replicas differ"
        return self.numbers[worker], found[0][2]

    def step(self, dice):
        self.at += dice.some(0.0, 0.0, 0.01, 0.3, 2.0, -1.0, 9.0 if dice.random() < 0.3 else 0.1)
        worker = dice.some("w1", "w2")
        chance = dice.random()
        if chance < 0.55:
            number, found = self.tell(worker, "grant", *pack_ask(dice.ask(), {name: name for name in NAMES}))
            if found == "stranger":
                self.running[worker].clear()
                self.join(worker)
            elif found[0] == "grant":
                self.running[worker].append(number)
        elif chance < 0.96:
            if self.running[worker]:
                place = dice.randrange(len(self.running[worker]))
                self.tell(worker, "settle", self.running[worker].pop(place), *pack_outcome(dice.outcome()))
        elif chance < 0.98:
            self.tell(worker, "revive", None, None)
        else:
            self.tell(worker, "rest", dice.some(*NAMES), dice.some(*MODELS), *pack_effect(dice.effect()))

    def begin_another(self):
        """Rebase, and let another begin with the snapshot that this makes."""
        self.seq += 1
        self.numbers["w1"] += 1
        entry = Entry(self.seq, self.at, json.dumps(["w1", self.numbers["w1"], "rebase"]))
        *_, snapshot = [twin.apply(entry)[2] for twin in self.twins]
        if isinstance(snapshot, bytes):  # w1 is not given up
            twin = Replica(["random", True, 1.0, 0.0], resolve)
            twin.load(compress(snapshot))
            self.twins.append(twin)


def shown(applied):
    """What came of an entry, in a form that can be compared."""
    worker, number, result = applied
    if isinstance(result, Grant):
        return worker, number, ("grant", result.name, result.outage)
    if isinstance(result, Refusal):
        return worker, number, ("refusal", result.at, result.pending)
    if result is STRANGER:
        return worker, number, "stranger"
    if isinstance(result, Exception):
        return worker, number, (type(result).__name__, str(result))
    if hasattr(result, "changes"):
        return worker, number, ("settled", result.changes, result.outage)
    return worker, number, result if not isinstance(result, bytes) else "snapshot"


def loose(result):
    worker, number, what = result
    return (worker, number, what[0]) if what and what[0] in ("grant", "refusal") else result


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_who_begins_with_a_snapshot_goes_on_as_all_do(seed):
    """At a rebase anybody may begin: from then on all replicas say the same to each entry."""
    dice = Dice(seed)
    story = Story([dice.description(name) for name in dice.sample(NAMES, dice.randint(1, 5))], dice.some(*STRATEGIES))
    for place in range(240):
        story.step(dice)
        if place in (40, 120):
            story.begin_another()
    story.tell("w1", "configure", dice.some(*STRATEGIES), False, 60.0, 0.0)
    for _ in range(30):
        story.step(dice)
    assert len({twin.snapshot() for twin in story.twins}) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_a_snapshot_loses_nothing(seed):
    """Whatever comes next, who begins with a snapshot says what those say who ran on.

    But who slept on what is forgotten: it may be another key's turn, and a refusal may name another moment to look again.
    """
    dice = Dice(seed)
    story = Story([dice.description(name) for name in NAMES[: dice.randint(1, 5)]], dice.some(*STRATEGIES))
    story.loosely = True
    for _ in range(150):
        newcomer = Replica(story.settings, resolve)
        newcomer.load(story.first.snapshot())
        story.twins = [story.first, newcomer]
        story.step(dice)
