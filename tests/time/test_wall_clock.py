"""The wall clock may be set to anything: it neither frees nor blocks a key."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time

from stable_openai import Key, KeyPool, Limits, ManualClock, NoKeyAvailable, stable

A, B = "sk-wall-clock-aaaaaaaaaaaaaaa", "sk-wall-clock-bbbbbbbbbbbbbbb"
HOUR = 3600.0


def used(pool):
    with pool.lease(max_wait=0) as lease:
        return str(lease.api_key)


def is_out(pool):
    try:
        used(pool)
    except NoKeyAvailable:
        return True
    return False


@pytest.mark.parametrize("shift", [-HOUR, HOUR, -40 * 365 * 24 * HOUR, 40 * 365 * 24 * HOUR])
def test_setting_the_wall_clock_alone(shift):
    """By an administrator or a time server: windows and cooldowns go by the monotonic clock."""
    clock = ManualClock()
    pool = KeyPool([Key(A, limits={"rpm": 1}), Key(B, name="resting")], clock=clock)
    pool.park("resting", 100)
    assert used(pool) == A
    clock.set_wall(clock.time() + shift)
    assert is_out(pool)
    clock.advance(59.9)
    assert is_out(pool)
    clock.advance(0.1)
    assert used(pool) == A
    clock.advance(40)
    assert used(pool) == B


@pytest.mark.parametrize("hours", [1, 24 * 365])
def test_a_machine_whose_clocks_are_all_set_back(hours):
    """Frozen time sets the monotonic clock back as well: what has passed has passed, and what rests rests no longer."""
    with freeze_time("2026-05-05 12:00:00") as frozen:
        pool = KeyPool([Key(A, limits={"rpm": 1}), Key(B, name="resting")])
        pool.park("resting", 100)
        assert used(pool) == A
        frozen.tick(30)
        assert is_out(pool)
        frozen.tick(-30 - hours * HOUR)
        assert is_out(pool)
        frozen.tick(29.9)
        assert is_out(pool)
        frozen.tick(0.1)
        assert used(pool) == A
        frozen.tick(40)
        assert used(pool) == B


def test_set_back_in_the_midst_of_quick_calls():
    """The hot path sees it too: it goes on, and counts right."""
    with freeze_time("2026-05-05 12:00:00") as frozen:
        pool = KeyPool([A], rpm=4)
        ask = stable(pool=pool, max_wait=0)(lambda api_key: str(api_key))
        assert [ask(), ask()] == [A, A]
        frozen.move_to("2026-05-05 11:00:00")
        assert [ask(), ask()] == [A, A]
        with pytest.raises(NoKeyAvailable):
            ask()
        frozen.tick(59.9)
        with pytest.raises(NoKeyAvailable):
            ask()
        frozen.tick(0.2)
        assert [ask() for _ in range(4)] == [A] * 4


def test_a_leap_forward_is_time_that_has_passed():
    """A machine that slept: windows are empty, cooldowns over."""
    with freeze_time("2026-05-05 12:00:00") as frozen:
        pool = KeyPool([Key(A, limits={"rpm": 1, "rpd": 2}), Key(B, name="resting")])
        pool.park("resting", 100)
        used(pool)
        frozen.tick(HOUR)
        assert {used(pool), used(pool)} == {A, B}


def test_a_retry_date_in_a_header_is_read_by_the_wall_clock():
    """Only there: an instant that a provider names is turned into a duration once, when it is read."""
    clock = ManualClock(time=datetime.datetime(2026, 5, 5, 12, tzinfo=datetime.timezone.utc).timestamp())
    pool = KeyPool([A], clock=clock)

    class Limited(Exception):
        status_code, body = 503, {"error": {"message": "down for maintenance"}}
        headers = {"retry-after": "Tue, 05 May 2026 12:00:40 GMT"}  # noqa: RUF012  # as a response has them

    assert pool.acquire().settle(Limited()).wait_s == pytest.approx(40.0)


def test_frozen_time_of_calendar_days():
    """Midnight of the named zone, with time frozen as users' tests freeze it."""
    with freeze_time("2026-05-05 06:59:59") as frozen:  # 23:59:59 of the day before in Los Angeles
        pool = KeyPool([A], limits=Limits(rpd=1, zone="America/Los_Angeles"))
        assert used(pool) == A
        assert is_out(pool)
        frozen.tick(1)
        assert used(pool) == A
        assert is_out(pool)
        frozen.tick(86_399)
        assert is_out(pool)
        frozen.tick(1)
        assert used(pool) == A


@pytest.mark.parametrize(
    ("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 3, 28), 24), ((2026, 10, 26), 24)]
)
def test_days_on_which_the_clocks_change(day, hours):
    """In Berlin the last Sunday of March has 23 hours, that of October 25."""
    start = datetime.datetime(*day, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(datetime.timezone.utc)
    with freeze_time(start.replace(tzinfo=None)) as frozen:
        pool = KeyPool([A], limits=Limits(rpd=1, zone="Europe/Berlin"))
        used(pool)
        with pytest.raises(NoKeyAvailable) as caught:
            used(pool)
        assert caught.value.retry_after == hours * HOUR
        frozen.tick(hours * HOUR - 1)
        assert is_out(pool)
        frozen.tick(1)
        assert used(pool) == A
