"""The edges of minutes, days and cooldowns: exactly then, and not a moment before."""

from __future__ import annotations

import pytest
from freezegun import freeze_time

from stable_openai import Key, KeyPool, ManualClock, NoKeyAvailable, Window

A, B = "sk-boundaries-aaaaaaaaaaaaaa", "sk-boundaries-bbbbbbbbbbbbbb"
DAY = 86_400.0


class Limited(Exception):
    status_code, body = 429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}

    def __init__(self, seconds):
        super().__init__("slow down")
        self.headers = {"retry-after": str(seconds)}


def used(pool, model=None):
    with pool.lease(model, max_wait=0) as lease:
        return str(lease.api_key)


def retry_after(pool, model=None):
    with pytest.raises(NoKeyAvailable) as caught:
        used(pool, model)
    return caught.value.retry_after


@pytest.mark.parametrize(("name", "seconds"), [("rpm", 60.0), ("rpd", DAY)])
def test_a_window_slides(name, seconds):
    """No burst at the turn of a minute or a day: each place is free again when its own time is over."""
    clock = ManualClock()
    pool = KeyPool([A], **{name: 2}, clock=clock)
    used(pool)
    clock.advance(seconds * 0.75)
    used(pool)
    assert retry_after(pool) == seconds * 0.25
    clock.advance(seconds * 0.25 - 0.001)
    assert retry_after(pool) == pytest.approx(0.001)
    clock.advance(0.001)
    used(pool)
    assert retry_after(pool) == seconds * 0.75


@pytest.mark.parametrize(("limit", "seconds"), [("rpm", 60), ("rpd", 86_400)])
def test_with_time_frozen(limit, seconds):
    """As users' tests do it: the machine's own clock, frozen."""
    with freeze_time("2026-12-31 23:59:30") as frozen:
        pool = KeyPool([A], **{limit: 1})
        used(pool)
        frozen.tick(seconds - 1)
        assert retry_after(pool) == pytest.approx(1.0)
        frozen.tick(1)
        used(pool)


def test_a_minute_and_a_day_together():
    """The tighter one decides; the day is not used up by refusals."""
    clock = ManualClock()
    pool = KeyPool([A], rpm=2, rpd=5, clock=clock)
    for _ in range(2):
        used(pool), used(pool)
        for _ in range(10):
            assert retry_after(pool) == 60.0
        clock.advance(60)
    used(pool)
    assert retry_after(pool) == DAY - 120
    clock.advance(DAY - 120)
    used(pool), used(pool)


def test_a_cooldown_that_ends_exactly_now():
    """At the moment that the provider has named the key is eligible, and not before."""
    clock = ManualClock()
    pool = KeyPool([Key(A, limits={"rpm": 100})], clock=clock)
    pool.acquire("gpt-4o").settle(Limited(30))
    clock.advance(29.999)
    assert retry_after(pool, "gpt-4o") == pytest.approx(0.001)
    clock.advance(0.001)
    assert used(pool, "gpt-4o") == A


def test_a_cooldown_that_nobody_named():
    """60 s and a little, then a single trial; it fails and the rest doubles; it succeeds and all is well."""
    clock = ManualClock()
    pool = KeyPool([A], clock=clock)

    class Plain(Exception):
        status_code, headers, body = 429, {}, {"error": {"message": "slow down"}}

    rests = []
    for _ in range(3):
        pool.acquire("gpt-4o").settle(Plain())
        rests.append(retry_after(pool, "gpt-4o"))
        clock.advance(rests[-1])
    assert 60 <= rests[0] < 75
    assert 120 <= rests[1] < 150
    assert 240 <= rests[2] < 300
    trial = pool.acquire("gpt-4o", max_wait=0)
    with pytest.raises(NoKeyAvailable):
        pool.acquire("gpt-4o", max_wait=0)
    trial.settle()
    clock.advance(60)
    assert used(pool, "gpt-4o") == A


def test_windows_of_any_length():
    """Ten seconds, an hour, a calendar month."""
    clock = ManualClock(time=1_767_225_599.0)  # 2025-12-31 23:59:59 UTC
    windows = [Window("requests", 1, seconds=10), Window("requests", 2, seconds=3600)]
    pool = KeyPool(
        [A, Key(B, limits={"windows": [Window("requests", 1, calendar="month")]})], windows=windows, clock=clock
    )
    assert {used(pool), used(pool)} == {A, B}
    assert retry_after(pool) == 1.0
    clock.advance(1)
    assert used(pool) == B
    assert retry_after(pool) == 9.0
    clock.advance(9)
    assert used(pool) == A
    assert retry_after(pool) == 3590.0
