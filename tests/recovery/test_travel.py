"""Requests are on their way for different times, and are counted when they arrive. In virtual time."""

from __future__ import annotations

import pytest

from stable_openai import KeyPool, ManualClock, Window
from stable_openai.simulator import Provider, SimKey

from .virtual import crawl

RPM = 20
TRAVEL = (0.01, 0.2)
SECOND = Window("requests", 2, seconds=1)


def run(*, minutes=2.8, told, **settings):
    """Two full minutes and most of a third, with five keys."""
    clock = ManualClock()
    keys = [SimKey(f"sk-sim-{index:016d}", rpm=RPM) for index in range(5)]
    pool = KeyPool([key.secret for key in keys], clock=clock, **told)
    requests = int(minutes * RPM * len(keys))
    provider = Provider(keys, **settings)
    crawled = crawl(
        pool, provider, clock, requests=requests, workers=16, latency=0.05, travel=TRAVEL, see_headers=False
    )
    assert not crawled.lost
    assert crawled.answered == requests
    return crawled


@pytest.mark.parametrize(
    ("settings", "told", "seconds"),
    [
        ({}, {}, 120),
        ({"count_rejected": True}, {}, 120),
        ({"algorithm": "bucket"}, {}, 120),
        ({"retry_after": False, "limit_headers": False}, {}, 120),
        ({"by_second": 0.1}, {"windows": [SECOND]}, 127),
        ({"by_second": 0.1, "count_rejected": True}, {"windows": [SECOND]}, 127),
        ({"by_second": 0.1}, {"pace": True}, 165),
    ],
    ids=lambda value: str(value),
)
def test_told_limits_are_never_overrun(settings, told, seconds):
    """Nothing is rejected, and the crawl takes but 3 % longer than the provider allows."""
    told = {"rpm": RPM, **told}
    if "windows" in told:
        told = {"limits": {"rpm": RPM, "windows": told["windows"]}}
    crawled = run(told=told, **settings)
    assert not crawled.rejections()
    assert crawled.log[-1][0] <= 1.03 * seconds


@pytest.mark.parametrize("told", [{"rpm": RPM}, {}], ids=["minute told", "untold"])
@pytest.mark.parametrize("hints", [True, False], ids=["hints", "no hints"])
def test_the_second_is_learned_from_the_first_rejections(told, hints):
    """A limit by the second that nobody told: what it rejects does not eat up the minute, and it is met once."""
    crawled = run(told=told, by_second=0.1, retry_after=hints, limit_headers=hints)
    assert max(crawled.rejections(1).values(), default=0) <= 3
    assert crawled.log[-1][0] <= 1.03 * 127


def test_what_is_rejected_and_counted_is_not_taken_back():
    """A provider that counts what it rejects as well: at most 3 rejections per key and minute after the first ones."""
    crawled = run(minutes=4, told={"rpm": RPM}, by_second=0.1, count_rejected=True)
    assert max(crawled.rejections(1, 60).values(), default=0) <= 6
    for minute in range(1, 6):
        assert max(crawled.rejections(60 * minute, 60 * minute + 60).values(), default=0) <= 3


def test_limits_that_nobody_told_are_found_by_the_text_alone():
    """The text of a rejection states the minute's limit: one incident, and no guard that holds the next minute up."""
    crawled = run(told={}, retry_after=False, limit_headers=False)
    assert not crawled.rejections(10)
    assert crawled.log[-1][0] <= 1.03 * 120
