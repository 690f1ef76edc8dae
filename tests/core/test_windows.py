"""Windows count exactly, correct what was counted, and know when there is room again."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.clock import ManualClock
from stable_openai.learned import LearnedCount
from stable_openai.limits import Limits, Window
from stable_openai.windows import SlidingCount, make_count


def at(zone, *parts):
    return datetime.datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()


@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0, 9.9, 10.0, 33.3]), min_size=1, max_size=60),
)
def test_no_more_than_the_limit_in_any_stretch(limit, steps):
    """Whoever adds only when there is room never has more than the limit in any window-long stretch."""
    count = SlidingCount(Window("requests", limit, seconds=10))
    now, added = 0.0, []
    for step in steps:
        now += step
        if count.room(now) >= 1:
            count.add(now, 1)
            added.append(now)
        else:
            ready_at = count.ready_at(now, 1)
            assert now < ready_at <= now + 10
            assert SlidingCount.room(count, ready_at) >= 1
            now = ready_at
    for start in added:
        assert sum(start <= moment < start + 10 for moment in added) <= limit


def test_room_returns_exactly_when_the_window_has_passed():
    """At 60 s sharp the first request has left; a moment before it has not."""
    count = SlidingCount(Window("requests", 1, seconds=60))
    count.add(100.0, 1)
    assert count.room(159.999) == 0
    assert count.ready_at(100.0, 1) == 160.0
    assert count.room(160.0) == 1


@given(
    limit=st.integers(1, 40),
    learned=st.booleans(),
    steps=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 3.0, 9.9, 10.0]), st.integers(1, 40)), max_size=30),
    ahead=st.sampled_from([0.0, 0.1, 5.0, 20.0]),
    need=st.integers(1, 50),
)
def test_foreseeing_says_the_same_and_changes_nothing(limit, learned, steps, ahead, need):
    """What was only looked at counts on as if it had not been, and is ready when it was said to be."""
    count = LearnedCount("tokens", 10, limit) if learned else SlidingCount(Window("tokens", limit, seconds=10))
    now = 0.0
    for step, amount in steps:
        now += step
        if count.room(now) >= amount:
            count.add(now, amount)
    before = count.used, [(entry.at, entry.amount) for entry in count.entries()]
    foreseen = count.foresee(need)
    assert (count.used, [(entry.at, entry.amount) for entry in count.entries()]) == before
    assert max(foreseen, now + ahead) == count.ready_at(now + ahead, need)


def test_foreseeing_the_end_of_a_day():
    """A calendar day has room at once, at its end, or never."""
    clock = ManualClock(time=at("UTC", 2026, 5, 5, 22, 0))
    count = make_count(Window("requests", 2, calendar="day"), clock)
    count.add(clock.monotonic(), 1)
    assert count.foresee(1) <= clock.monotonic()
    assert count.foresee(2) == clock.monotonic() + 2 * 3600
    assert count.foresee(3) == float("inf")


def test_large_limits_are_counted_in_few_pieces():
    """A million requests take little memory, and none leaves the window before its time."""
    count = SlidingCount(Window("requests", 2_000_000, seconds=60))
    for second in range(100):
        count.extend([second * 0.1 + i * 1e-6 for i in range(10_000)])
    assert count.used == 1_000_000
    assert len(count._entries) < 3_000
    assert count.room(60.0) <= 2_000_000 - 990_000
    assert count.room(69.92) == 2_000_000


def test_corrections_reach_only_what_is_still_counted():
    """Tokens are corrected while their request is in the window; afterwards it is too late to matter."""
    count = SlidingCount(Window("tokens", 100, seconds=60))
    early = count.add(0.0, 80)
    late = count.add(50.0, 10)
    count.correct(late, -4)
    assert count.room(50.0) == 14
    assert count.ready_at(50.0, 20) == 60.0
    assert count.room(60.0) == 94
    count.correct(early, -80)
    assert count.room(60.0) == 94
    assert count.ready_at(60.0, 101) == float("inf")


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (at("Europe/Berlin", 2026, 3, 29, 0, 0), 23),  # clocks go forward
        (at("Europe/Berlin", 2026, 10, 25, 0, 0), 25),  # and back
        (at("Europe/Berlin", 2026, 6, 1, 0, 0), 24),
    ],
)
def test_a_calendar_day_has_the_hours_it_has(now, hours):
    """A day of a named zone ends at its own midnight, daylight saving included."""
    clock = ManualClock(time=now)
    count = make_count(Limits(rpd=1, zone="Europe/Berlin").all_windows()[0], clock)
    count.add(clock.monotonic(), 1)
    assert count.ready_at(clock.monotonic(), 1) == clock.monotonic() + hours * 3600
    clock.advance(hours * 3600 - 0.001)
    assert count.room(clock.monotonic()) == 0
    clock.advance(0.001)
    assert count.room(clock.monotonic()) == 1


def test_setting_the_wall_clock_moves_no_day():
    """Once a day is running, an hour forward or back on the wall clock neither frees nor blocks."""
    clock = ManualClock(time=at("UTC", 2026, 5, 5, 22, 0))
    count = make_count(Window("requests", 1, calendar="day"), clock)
    count.add(clock.monotonic(), 1)
    clock.set_wall(at("UTC", 2026, 5, 6, 1, 0))
    assert count.room(clock.monotonic()) == 0
    clock.set_wall(at("UTC", 2026, 5, 5, 20, 0))
    assert count.ready_at(clock.monotonic(), 1) == clock.monotonic() + 2 * 3600


def test_calendar_months():
    """A month ends on the first, in the zone that was named."""
    clock = ManualClock(time=at("Asia/Tokyo", 2026, 1, 31, 23, 59))
    count = make_count(Window("tokens", 10, calendar="month", zone="Asia/Tokyo"), clock)
    entry = count.add(clock.monotonic(), 10)
    assert count.ready_at(clock.monotonic(), 1) == clock.monotonic() + 60
    clock.advance(60)
    count.correct(entry, -5)
    assert count.room(clock.monotonic()) == 10


def minute(limit=10, seconds=60):
    return SlidingCount(Window("requests", limit, seconds=seconds))


def test_a_guard_holds_for_what_is_counted_already():
    """The first calls of all were granted before anybody knew that others would overlap: they travel just as far."""
    count = minute(2)
    count.add(0.0, 1)
    count.guard(0.0)
    late = count.add(0.5, 1)
    assert count.ready_at(1.0, 1) == 60.3
    assert count.room(60.0) == 0
    count.arrived(late, 0.6)
    assert count.ready_at(1.0, 2) == 60.6


def test_nothing_leaves_before_what_stands_ahead_of_it():
    """The answer to a later call came first: the moment that is named is one at which there is room."""
    count = minute(2)
    count.guard(0.0)
    count.add(0.0, 1)
    quick = count.add(0.01, 1)
    count.arrived(quick, 0.02)
    assert count.ready_at(1.0, 2) == 60.3
    assert count.room(60.3) == 2


def test_rejections_that_come_together_are_one_incident():
    """What was sent before the first of them was heard says nothing about the guard that it has led to."""
    count = minute()
    for at in (100.0, 100.2, 100.4):
        count.early(at, 0.5)
    count.add(101.0, 10)
    assert count.ready_at(102.0, 1) == 161.5
    count.early(110.0, 0.2)
    assert count.ready_at(111.0, 1) == pytest.approx(161.7)


def test_a_guard_shrinks_when_nothing_was_rejected():
    """Each minute by a part, until none is left; a short window's no faster, since ways don't change so soon."""
    for seconds, review in ((60, 60.0), (1, 30.0)):
        count = minute(seconds=seconds)
        count.early(0.0, 0.4)
        count.room(review - 0.1)
        assert count.add(review - 0.1, 1).at == pytest.approx(review - 0.1 + 0.4)
        count.room(review)
        assert count.add(review, 1).at == pytest.approx(review + 0.34)


def test_a_window_that_nobody_enforces_needs_no_guard():
    """Pacing is ours: the way of a request through the net must not slow it down."""
    spread = Limits(rpm=20).all_windows(pace=True)[0]
    count = make_count(spread, ManualClock())
    count.guard(0.0)
    count.add(0.0, 1)
    assert count.ready_at(0.0, 1) == 3.0


def test_a_short_window_under_a_tighter_long_one_is_guarded_well():
    """Where the minute is what limits, a second may be guarded by a quarter of itself: that costs no rate."""
    second, whole = minute(2, seconds=1), minute(20)
    for count in (second, whole):
        count.compare([second, whole])
        count.guard(0.0)
        count.add(0.0, count.limit)
    assert second.ready_at(0.0, 1) == 1.25
    assert whole.ready_at(0.0, 1) == 60.3


def test_what_the_provider_does_not_count_is_taken_back():
    """The last one leaves the count, and nothing else."""
    count = minute()
    for at in (0.0, 1.0, 2.0):
        count.add(at, 1)
    count.take_back()
    assert (count.used, count.granted_since(0.5)) == (2, 1)
    count.take_back()
    count.take_back()
    count.take_back()
    assert count.used == 0


def test_nobody_was_early_who_did_not_know_the_limit():
    """The rejections of the moment in which a limit is learned lead to the least guard alone."""
    count = LearnedCount("requests", 60.0)
    count.state(10.0, 10, "the text says so")
    for _ in range(6):
        count.early(10.5, None)
    count.add(11.0, 10)
    assert count.ready_at(12.0, 1) == pytest.approx(71.3)


def test_what_is_entered_together_keeps_its_moments():
    """A meter takes in a batch of grants: each counts for a period from its own moment, and hardly any longer."""
    count = LearnedCount("requests", 60.0)
    count.extend([float(second) for second in range(20)])
    count.state(20.0, 20, "the text says so")
    assert [count.ready_at(20.0, need) for need in (1, 2, 20)] == [60.0, 61.0, 79.0]
