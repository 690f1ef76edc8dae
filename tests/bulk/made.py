"""Statuses and records that tests make up."""

from __future__ import annotations

import random

from stable_openai import KeyStatus, LaneStatus, WindowStatus
from stable_openai.bulk.gathering import Gathering
from stable_openai.bulk.record import RunRecord

INFINITY = float("inf")


def window(limit, seconds=60.0, used=0, what="requests"):
    return WindowStatus(what, "so long", seconds, limit, used, learned=False)


def lane(*windows, kind="key", model=None, standing="open", left=0.0, reason=""):
    return LaneStatus(kind, model, standing, left, reason, "", 0, windows)


def status(name, *lanes, owner=None, uses=0, failed=0):
    lanes = lanes or (lane(),)
    worst = max((one for one in lanes if one.model is None), key=lambda one: one.seconds_left)
    state = (worst.standing, worst.seconds_left, worst.reason)
    return KeyStatus(name, f"sk-…{name[:4]}", owner, *state, uses, failed, 0, lanes)


def resting(standing, left, reason="rate_limited_requests_minute"):
    return lane(standing=standing, left=left, reason=reason)


def crawl(keys=6, seconds=754.0, seed=7, every=1.0, rpm=500):
    """What a run might have left: some keys rest now and then, the third is parked, the fourth is retired."""
    dice = random.Random(seed)
    gathering = Gathering()
    uses, failed = [0] * keys, [0] * keys
    rests = [0.0] * keys
    now = 0.0
    while now <= seconds:
        statuses = []
        for number in range(keys):
            if number % 50 == 3:
                how = resting("retired", INFINITY, "invalid_key") if now > 0.05 * seconds else lane()
            elif number % 50 == 2:
                how = resting("parked", 600.0, "quota_exhausted") if now > 0.4 * seconds else lane()
            elif rests[number] > now:
                how = resting("cooling down", rests[number] - now)
            else:
                how = lane()
            if how.standing == "open":
                uses[number] += dice.randint(0, round(2 * rpm / 60 * every))
                if dice.random() < 0.02 * every:
                    failed[number] += 1
                    rests[number] = now + dice.uniform(1, 40)
            statuses.append(
                status(
                    f"key-{number + 1}",
                    how,
                    uses=uses[number],
                    failed=failed[number],
                    owner="lab" if number % 2 else None,
                )
            )
        gathering.sample(now, statuses)
        for _ in range(sum(one.standing == "open" for one in statuses) * round(rpm / 60 * every)):
            gathering.answered(min(now + dice.random() * every, seconds))
            gathering.took(dice.lognormvariate(0.5, 0.8))
            gathering.attempt_took(dice.lognormvariate(-0.2, 0.4))
        now += every
    answered = sum(gathering.answered_counts())
    possible = (keys - 2) * rpm
    return RunRecord(
        started_at=1_767_225_600.0,
        seconds=seconds,
        total=answered + 130 + 2_000,
        resumed=2_000,
        answered=answered,
        failed={"context_length": 100, "bad_request": 27, "ValueError": 3},
        tokens=answered * 412,
        prompt_tokens=answered * 300,
        cost=answered * 0.00021,
        possible_per_minute=possible,
        share=gathering.share(seconds, possible),
        bin_s=gathering.bin_s,
        answered_counts=gathering.answered_counts(),
        latencies=gathering.latencies(),
        attempt_latencies=gathering.attempt_latencies(),
        keys=gathering.keys_at(seconds),
        output="out/answers.jsonl",
        failures="out/answers.failures.jsonl",
    )
