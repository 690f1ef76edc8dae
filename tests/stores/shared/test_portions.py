"""Portions: what n workers grant by themselves, each with its own copy of one history, keeps the limit of all."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from stable_openai.clock import ManualClock
from stable_openai.limits import Limits, Spread, Window
from stable_openai.stores.lanes import Habits, Kind, Lane
from stable_openai.stores.shared.portions import DayPortion, Part, Portion, Portions, Stretched
from stable_openai.windows import CalendarCount, SlidingCount

PERIOD = 60.0
workers = st.integers(1, 7)
limits = st.integers(1, 40)
gaps = st.sampled_from([0.0, 0.0, 0.0, 0.25, 1.0, 7.0, 29.5, 60.0, 61.0])
steps = st.lists(st.tuples(gaps, st.integers(0, 6), st.integers(1, 5)), max_size=120)
history = st.lists(st.tuples(gaps, st.integers(1, 5)), max_size=30)


@given(st.integers(0, 200), workers, st.integers(0, 20))
def test_parts_add_up(room, number, turn):
    """To the whole, remainders included, whoever has the first place."""
    assert sum(Part(number, turn + place).of(room) for place in range(number)) == room


def counted(count, past):
    """A count with a history in it; the moment at which that ends."""
    now = 0.0
    for gap, amount in past:
        now += gap
        if gap == 7.0:
            count.guard(now)  # of what comes, and what was there: entries are no longer in order
        if count.room(now) >= amount:
            count.add(now, amount)
    return now


def in_window(grants, period):
    """The most that any stretch of a period holds."""
    return max((sum(n for at, n in grants if end - period < at <= end) for end, _ in grants), default=0)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["requests", "tokens"]), workers, limits, history, steps)
def test_the_sum_never_exceeds_a_sliding_limit(what, number, limit, past, wanted):
    """Whatever the order and the times, the history counted; a request is never larger than the least part."""
    before = SlidingCount(Window(what, limit, seconds=PERIOD))
    now = counted(before, past)
    grants = [(entry.at, entry.amount) for entry in before.entries()]
    portions = [Portion(copy.deepcopy(before), Part(number, place)) for place in range(number)]
    least = limit // number
    for gap, place, amount in wanted:
        now += gap
        portion, need = portions[place % number], min(amount, least) if what == "tokens" else 1
        if need and portion.room(now) >= need:
            portion.add(now, need)
            grants.append((now, need))
    assert in_window(grants, PERIOD) <= limit


@settings(max_examples=200, deadline=None)
@given(workers, limits, steps)
def test_a_large_request_goes_alone(number, limit, wanted):
    """It would wait for ever; a worker's tokens are those of its part, or of one such request."""
    portions = [Portion(SlidingCount(Window("tokens", limit, seconds=PERIOD)), Part(number, n)) for n in range(number)]
    grants, now = {portion: [] for portion in portions}, 0.0
    for gap, place, amount in wanted:
        now += gap
        portion = portions[place % number]
        if portion.room(now) >= amount:
            portion.add(now, amount)
            grants[portion].append((now, amount))
    for place, portion in enumerate(portions):
        largest = max((amount for _, amount in grants[portion]), default=0)
        assert in_window(grants[portion], PERIOD) <= max(Part(number, place).of(limit), largest)


def check_ready_at(count, now, need):
    """There is room at the moment that it names, and at none before it."""
    at = count.ready_at(now, need)
    moments = [now + step * 0.25 for step in range(300)]
    for moment in moments:
        assert (copy.deepcopy(count).room(moment) >= need) == (moment >= at)
    if at < float("inf"):
        assert copy.deepcopy(count).room(at) >= need
    else:
        assert copy.deepcopy(count).room(now + 1e9) < need


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["requests", "tokens"]), workers, limits, history, steps, st.integers(1, 12))
def test_ready_at_agrees_with_room(what, number, limit, past, wanted, need):  # noqa: PLR0917
    """For any need, at any time."""
    before = SlidingCount(Window(what, limit, seconds=PERIOD))
    now = counted(before, past)
    portion = Portion(before, Part(number, 0 if not wanted else wanted[0][1]))
    for gap, _, amount in wanted[:20]:
        now += gap
        if gap == 1.0:
            portion.early(now, 5.0)
        if portion.room(now) >= amount:
            entry = portion.add(now, amount)
            if amount == 1:
                portion.arrived(entry, now + gap / 2)
    check_ready_at(portion, now, need)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["day", "month"]), workers, limits, history, steps)
def test_the_sum_never_exceeds_a_calendar_limit(calendar, number, limit, past, wanted):
    """Each day or month by itself, as it changes in the midst of it."""
    clock = ManualClock(0.0, 1_709_250_000.0)  # 2024-02-29 23:40 UTC, the end of a month
    window = Window("requests", limit, calendar=calendar, zone="UTC")
    before = CalendarCount(window, clock)
    granted = {}

    def note(amount):
        day = clock.time() // 86_400
        granted[day] = granted.get(day, 0) + amount

    for gap, _ in past:
        clock.advance(gap)
        if before.room(clock.monotonic()) >= 1:
            before.add(clock.monotonic(), 1)
            note(1)
    portions = []
    for place in range(number):
        twin = CalendarCount(window, clock)
        twin.used, twin._ends_at = before.used, before._ends_at
        portions.append(DayPortion(twin, Part(number, place), clock))
    for gap, place, _ in wanted:
        clock.advance(gap)
        now, portion = clock.monotonic(), portions[place % number]
        at = portion.ready_at(now, 1)
        assert (portion.room(now) >= 1) == (at == now)
        if at == now:
            portion.add(now, 1)
            note(1)
        elif at < float("inf"):
            assert Part(number, place % number).of(limit) >= 1
    assert all(amount <= limit for amount in granted.values())


def lane(**told):
    return Lane(Kind.KEY, Limits(**told), Habits(ManualClock()))


def fly(lane, number):
    for _ in range(number):
        lane.take(0.0, 0, [])


@given(workers, st.integers(1, 12), st.lists(st.integers(0, 12), min_size=7, max_size=7))
def test_places_in_flight(number, places, flying):
    """While the others' calls may run, nobody takes more than what was free; then each its part."""
    lanes, left = [], places
    running = []
    for place in range(number):
        mine = min(flying[place], left)
        left -= mine
        running.append(mine)
    all_portions = []
    for place in range(number):
        one = lane(max_concurrency=places)
        fly(one, running[place])
        portions = Portions(number, place, {one: sum(running) - running[place]})
        portions._divide_places(one, Part(number, place))
        portions._divide_places(one, Part(number, place))  # divided once, however often it is asked
        lanes.append(one)
        all_portions.append(portions)
    assert sum(max(one.max_concurrency, mine) for one, mine in zip(lanes, running, strict=True)) <= places
    for portions in all_portions:
        portions.let_go()
    assert sum(one.max_concurrency for one in lanes) == places


def test_less_than_one_for_each():
    """What spreads grants, or was learned and is small, is no worker's alone: all of them wait longer."""
    before = SlidingCount(Spread("requests", 1, seconds=2.0))
    before.add(10.0, 1)
    spread = Stretched(before, 5)
    assert (spread.period, spread.room(11.0), spread.ready_at(11.0, 1)) == (10.0, 0, 20.0)
    assert Stretched(SlidingCount(Window("requests", 3, seconds=1.0)), 8).period == 3.0


def test_ready_at_where_entries_are_out_of_order():
    """One whose answer came early leaves with the one ahead of it, which may have travelled for longer."""
    before = SlidingCount(Window("requests", 2, seconds=PERIOD))
    before.guard(0.0, 5.0)
    before.add(0.0, 1)
    before.arrived(before.add(0.1, 1), 0.2)
    portion = Portion(before, Part(1, 0))
    assert (portion.room(60.5), portion.ready_at(60.5, 1), portion.room(65.0)) == (0, 65.0, 2)
