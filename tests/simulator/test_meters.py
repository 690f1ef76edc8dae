"""Meters against slow, obvious models: no window ever exceeded, and waiting as told is enough."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.simulator.meters import BucketMeter, CalendarMeter, SlidingMeter

gaps = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60)
costs = st.integers(1, 12)


def moments(gaps):
    at = 0.0
    for gap in gaps:
        at += gap
        yield at


@given(st.integers(1, 10), st.lists(st.tuples(st.floats(0, 30), costs), max_size=60))
def test_sliding_equals_the_sum_over_the_window(limit, steps):
    """The sliding meter has room exactly when a plain sum over the last minute says so."""
    meter, taken, at = SlidingMeter(limit, 60.0), [], 0.0
    for gap, cost in steps:
        at += gap
        inside = sum(c for t, c in taken if t + 60.0 > at + 1e-9)
        assert (meter.wait_for(cost, at) == 0.0) == (inside + cost <= limit)
        assert meter.used(at) == inside
        if inside + cost <= limit:
            meter.take(cost, at)
            taken.append((at, cost))


@given(st.integers(1, 10), gaps, st.booleans())
def test_sliding_that_counts_rejections_forgets_only_what_decides_nothing(limit, gaps, reject):
    """With rejected requests counted, it agrees with a list of all of them, and holds no more than the limit."""
    meter, taken = SlidingMeter(limit, 60.0), []
    for at in moments(gaps):
        inside = sum(1 for t in taken if t + 60.0 > at + 1e-9)
        free = meter.wait_for(1, at) == 0.0
        assert free == (inside < limit)
        if free or reject:
            meter.take(1, at)
            taken.append(at)
        assert len(meter._events) <= limit


@given(st.integers(1, 20), st.lists(st.tuples(st.floats(0, 30), costs), max_size=60))
def test_bucket_equals_its_closed_form(limit, steps):
    """The level is what was left, plus the rate times the time, at most the limit."""
    meter, level, last, at = BucketMeter(limit, 60.0), float(limit), 0.0, 0.0
    for gap, cost in steps:
        at += gap
        level = min(float(limit), level + (at - last) * limit / 60.0)
        last = at
        assert meter.level(at) == pytest.approx(level, abs=1e-6)
        if meter.wait_for(cost, at) == 0.0:
            assert cost <= level + 1e-6
            meter.take(cost, at)
            level = max(0.0, level - cost)


@given(st.integers(1, 20), gaps)
def test_bucket_serves_at_most_its_size_and_its_refill(limit, gaps):
    """From the first moment on, no more than the bucket and what flowed into it."""
    meter, served, start = BucketMeter(limit, 60.0), 0, None
    for at in moments(gaps):
        start = at if start is None else start
        if meter.wait_for(1, at) == 0.0:
            meter.take(1, at)
            served += 1
        assert served <= limit + (at - start) * limit / 60.0 + 1e-6


def make(kind, limit):
    return {"sliding": SlidingMeter, "bucket": BucketMeter}[kind](limit, 60.0)


@given(st.sampled_from(["sliding", "bucket"]), st.integers(1, 10), st.lists(st.tuples(st.floats(0, 9), costs)))
def test_waiting_as_told_is_enough_and_less_is_not(kind, limit, steps):
    """At the moment told there is room; noticeably before it there is none."""
    meter, at = make(kind, limit), 0.0
    for gap, cost in steps:
        at += gap
        wait = meter.wait_for(cost, at)
        if cost > limit:
            assert math.isinf(wait)
            continue
        if wait > 0.01:
            assert meter.wait_for(cost, at + wait - 0.005) > 0.0
        at += wait
        assert meter.wait_for(cost, at) == 0.0
        meter.take(cost, at)


def test_calendar_day_starts_afresh_at_its_hour():
    """A day's limit that is spent at noon is back at the reset, not 24 hours later."""
    day = 86_400.0
    meter = CalendarMeter(2, day, phase=day / 2)
    for _ in range(2):
        assert meter.wait_for(1, 10.0) == 0.0
        meter.take(1, 10.0)
    assert meter.wait_for(1, 10.0) == pytest.approx(day / 2 - 10)
    assert meter.restored_in(10.0) == pytest.approx(day / 2 - 10)
    assert meter.wait_for(3, 10.0) == math.inf
    assert meter.wait_for(1, day / 2) == 0.0
    assert meter.used(day / 2) == 0
    assert meter.restored_in(day / 2) == 0.0
    meter.resize(1, day / 2)
    meter.take(1, day / 2)
    assert meter.wait_for(1, day / 2 + 1) > 0.0


@pytest.mark.parametrize("kind", ["sliding", "bucket"])
def test_resizing_keeps_what_was_counted(kind):
    """A limit that grows or shrinks at run time still knows what was used."""
    meter = make(kind, 4)
    for _ in range(3):
        meter.take(1, 0.0)
    meter.resize(10, 0.0)
    assert meter.used(0.0) == 3
    meter.resize(2, 0.0)
    assert meter.wait_for(1, 0.0) > 0.0
    assert meter.used(0.0) == 2


def test_nothing_used_is_restored_at_once():
    """A meter that counted nothing says 0 s."""
    assert SlidingMeter(3, 60.0).restored_in(5.0) == 0.0
    assert BucketMeter(3, 60.0).restored_in(5.0) == 0.0
    meter = SlidingMeter(3, 60.0)
    meter.take(0, 0.0)
    assert meter.used(0.0) == 0


def test_shrinking_a_window_keeps_the_newest():
    """What is beyond a smaller limit is forgotten from the oldest on."""
    meter = SlidingMeter(10, 60.0)
    meter.take(6, 0.0)
    meter.take(2, 10.0)
    meter.resize(5, 20.0)
    assert meter.used(20.0) == 5
    assert meter.wait_for(3, 20.0) == 40.0
    assert meter.wait_for(4, 20.0) == 50.0
