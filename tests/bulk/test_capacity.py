"""What limits allow: rates in the long run, and the least time for so many answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stable_openai import Key, KeyPool, Limits, ManualClock, Window
from stable_openai.bulk.capacity import Capacity
from stable_openai.windows import make_count
from tests.bulk.made import INFINITY, lane, resting, status, window

DAY = 86_400.0


def of(*statuses, model=None):
    return Capacity.of(statuses, model)


def about(seconds):
    return pytest.approx(seconds, rel=0.004)


def test_nothing_limits():
    """Without windows there is no rate and no least time; without keys nothing ever comes."""
    assert (of(status("a")).per_second(), of(status("a")).seconds_for(9)) == (None, None)
    assert of(status("a"), status("b", lane(window(60)))).seconds_for(1_000) is None
    assert (of().per_second(), of().seconds_for(1), of().seconds_for(0)) == (0.0, INFINITY, 0.0)


@pytest.mark.parametrize(("count", "seconds"), [(0, 0), (1, 0), (60, 0), (61, 60), (120, 60), (121, 120), (600, 540)])
def test_an_empty_window_allows_all_at_once_and_as_much_again_later(count, seconds):
    """That is what sliding windows do: no 61st in the first minute, however it is spread."""
    capacity = of(status("a", lane(window(60))))
    assert capacity.per_second() == 1.0
    assert capacity.seconds_for(count) == seconds


def test_what_is_used_leaves_evenly():
    """Nobody knows when it was used."""
    assert of(status("a", lane(window(60, used=60)))).seconds_for(30) == about(30)
    assert of(status("a", lane(window(60, used=40)))).seconds_for(40) == about(30)
    assert of(status("a", lane(window(60, used=75)))).seconds_for(60) == about(60), "corrections may go over the limit"


def test_the_tightest_window_counts():
    """At each moment another one may be the tightest."""
    capacity = of(status("a", lane(window(60), window(100, DAY))))
    assert capacity.per_second() == pytest.approx(100 / DAY)
    assert capacity.per_second(over=60.0) == 1.0
    assert capacity.per_second(over=600.0) == pytest.approx(100 / 600)
    assert [capacity.seconds_for(count) for count in (60, 100, 101)] == [0, 60, about(DAY)]


def test_owners_limits_count_once():
    """Each of an owner's keys shows its lanes; together they have them once, whichever of them show a window."""
    shared = lane(window(600), kind="owner")
    one, two, other = lane(window(500)), lane(window(500)), lane(window(120))
    lab = [status("a", one, shared, owner="lab"), status("b", two, shared, owner="lab")]
    assert of(*lab).per_second() == 10.0
    assert of(*lab, status("c", other)).per_second() == 12.0
    assert of(*lab, status("c", other)).seconds_for(600 + 120) == 0
    assert of(*lab, status("c", other)).seconds_for(600 + 120 + 1) == 60
    assert of(status("a", one, lane(kind="owner"), owner="lab"), lab[1]).per_second() == 10.0
    assert of(status("a", lane(), shared, owner="lab"), status("b", lane(), shared, owner="lab")).per_second() == 10.0
    assert (
        of(lab[0], status("b", two, lane(window(50), kind="owner"), owner="other")).per_second() == 500 / 60 + 50 / 60
    )


def test_tokens():
    """They count by what an answer takes; a window smaller than one answer lets none through."""
    capacity = of(status("a", lane(window(600), window(30_000, what="tokens"))))
    assert capacity.per_second() == 10.0
    assert capacity.per_second(tokens_each=500) == 1.0
    assert capacity.seconds_for(90, tokens_each=500) == 60
    assert capacity.per_second(tokens_each=30_001) == 0.0
    assert capacity.seconds_for(1, tokens_each=30_001) == INFINITY
    both = of(status("a", lane(window(1_000, what="tokens"))), status("b", lane(window(9_000, what="tokens"))))
    assert both.per_second(tokens_each=3_000) == pytest.approx(3 / 60)


def test_keys_that_are_out_count_nothing():
    """Retired and parked ones, also by their owner's lane; and those for whom no end is known."""
    out = [
        status("retired", resting("retired", INFINITY)),
        status("parked", resting("parked", 600.0)),
        status("owner", lane(window(60)), lane(kind="owner", standing="parked", left=9.0), owner="lab"),
        status("endless", resting("cooling down", INFINITY)),
    ]
    capacity = of(*out, status("a", lane(window(60))))
    assert (capacity.up, capacity.resting, capacity.out) == (1, 0, 4)
    assert capacity.per_second() == 1.0
    assert (of(*out).per_second(), of(*out).seconds_for(1)) == (0.0, INFINITY)


def test_a_key_that_cools_down_is_back_later():
    """It counts for the rate; of its window, what is used leaves meanwhile. One without limits ends all waiting."""
    cooling = status("a", lane(window(60, used=60), standing="cooling down", left=30.0))
    capacity = of(cooling)
    assert (capacity.up, capacity.resting, capacity.out) == (0, 1, 0)
    assert capacity.per_second() == 1.0
    assert capacity.seconds_for(1) == about(30)
    assert capacity.seconds_for(30) == about(30)
    assert capacity.seconds_for(60) == about(60)
    free = status("b", resting("cooling down", 45.0))
    assert of(free).per_second() is None
    assert of(free).seconds_for(10**9) == about(45)
    assert of(free, status("c", lane(window(60)))).seconds_for(61) == about(45)
    owned = lane(window(10), kind="owner", standing="cooling down", left=20.0)
    assert of(status("a", lane(), owned, owner="lab")).seconds_for(10) == about(20)


def test_models():
    """A named model's lanes count, others' don't. Without a name the tightest do, and being barred from one is nothing."""
    key = status(
        "a",
        lane(window(600)),
        lane(window(60), kind="key and model", model="large"),
        lane(window(300), kind="key and model", model="small", standing="cooling down", left=8.0),
        lane(kind="key and model", model="secret", standing="barred", left=900.0),
    )
    assert of(key, model="large").per_second() == 1.0
    assert of(key, model="small").per_second() == 5.0
    assert of(key, model="other").per_second() == 10.0
    assert of(key, model="secret").out == 1
    assert of(key).per_second() == 1.0
    assert [of(key, model=model).resting for model in ("large", "small", None)] == [0, 1, 1]


LANES = some.lists(
    some.builds(window, some.integers(1, 900), some.sampled_from([1.0, 4.0, 60.0, DAY]), some.integers(0, 900)),
    max_size=3,
)
KEYS = some.lists(
    some.tuples(LANES, some.sampled_from([None, "lab"]), some.sampled_from([0.0, 0.0, 2.5, 90.0])),
    min_size=1,
    max_size=6,
)


@given(keys=KEYS, shared=LANES, counts=some.lists(some.integers(1, 5_000), min_size=2, max_size=6))
def test_more_answers_never_take_less_time(keys, shared, counts):
    """And none takes longer than the rate of the long run and the longest rest say, but for the precision."""
    statuses = [
        status(
            f"key-{number}",
            lane(*windows, standing="cooling down" if left else "open", left=left),
            *([lane(*shared, kind="owner")] if owner else []),
            owner=owner,
        )
        for number, (windows, owner, left) in enumerate(keys)
    ]
    capacity = of(*statuses)
    times = [capacity.seconds_for(count) for count in sorted(counts)]
    if None in times:
        assert capacity.per_second() is None
        times = [time for time in times if time is not None]
        assert not any(times)
        return
    assert times == sorted(times)
    rate = capacity.per_second()
    rest = max(left for *_, left in keys)
    for count, time in zip(sorted(counts), times, strict=True):
        assert time <= (rest + (count / rate if rate else 0.0)) * 1.004 + 1e-5


@pytest.mark.parametrize("limits", [[(7, 10.0)], [(7, 10.0), (20, 60.0)], [(3, 1.0), (50, 20.0), (200, 300.0)]])
def test_a_pool_could_not_be_faster(limits):
    """Grants as early as the windows themselves let them go: equal for one window, never quicker for several."""
    counts = [make_count(Window("requests", limit, seconds=seconds), ManualClock()) for limit, seconds in limits]
    capacity = of(status("a", lane(*(window(limit, seconds) for limit, seconds in limits))))
    now = 0.0
    for granted in range(1, 400):
        now = max(count.ready_at(now, 1) for count in counts)
        for count in counts:
            count.add(now, 1)
        least = capacity.seconds_for(granted)
        assert least <= now * 1.004
        if len(limits) == 1:
            assert least == about(now)


def test_what_a_pool_says_of_its_windows():
    """Seconds as the pool counts them: a rehearsal's minute is short, a calendar's month is about one."""
    day = Limits(rpm=60, rpd=600, zone="Europe/Berlin")
    month = Limits(windows=[Window("tokens", 10**6, calendar="month"), Window("requests", 5, seconds=10)])
    pool = KeyPool(
        [Key("sk-a", limits=day), Key("sk-b", limits=month), "sk-c"], rpm=30, rpd=300, minute=4, clock=ManualClock()
    )
    statuses = pool.status()
    assert [[window.seconds for window in one.lanes[0].windows] for one in statuses] == [
        [4.0, DAY],
        [10.0, pytest.approx(30.4 * DAY, rel=0.01)],
        [4.0, DAY * 4 / 60],
    ]
    assert Capacity.of(statuses).per_second(over=4.0) == pytest.approx((60 + 30 + 5) / 4)
    assert math.isfinite(Capacity.of(statuses).seconds_for(10_000, tokens_each=100.0))
