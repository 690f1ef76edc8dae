"""A worker's portion of a limit, for as long as the store is lost.

Of what was left of a limit when the store was last heard, and of what comes free as older requests leave the window,
each of the ``workers`` takes its part. The parts add up to the whole, remainders included: the worker of place ``i`` of
``n`` has ``(room + n - 1 - i) // n``, and each key and owner gives another worker the first place. So all together keep
each limit, as far as each had heard of the others, with these exceptions:

* A request that needs more tokens than the portion is let through where nothing else is in the window: it would wait
  for ever. So the tokens of a worker are those of its portion, or of one such request.
* Of calls at once, those that ran when the store was lost are reckoned with for the ``lease_ttl`` after which the store
  itself would give them up.
* What only spreads grants evenly is spread over all workers: each waits so many times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.learned import UNLIMITED
from stable_openai.limits import Spread
from stable_openai.stores.choosing import rouse
from stable_openai.windows import CalendarCount, SlidingCount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stable_openai.clock import Clock
    from stable_openai.stores.lanes import Lane
    from stable_openai.stores.members import Lanes
    from stable_openai.stores.roster import Roster
    from stable_openai.windows import AnyCount

__all__ = ["DayPortion", "Part", "Portion", "Portions"]


class Part:
    """A worker's part of anything.

    Args:
        workers: How many workers there are.
        place: This one's place among them, from 0.
    """

    __slots__ = ("place", "workers")

    def __init__(self, workers: int, place: int) -> None:
        self.workers = workers
        self.place = place % workers

    def of(self, room: int) -> int:
        """So much of what there is."""
        return max(room + self.workers - 1 - self.place, 0) // self.workers


class Portions:
    """How limits are divided.

    Args:
        workers: How many workers there are.
        place: This one's place among them, from 0.
        running: How many calls of others run in each lane.

    Attributes:
        starved: Whether there is a limit of which nothing is left for this worker.
    """

    def __init__(self, workers: int, place: int, running: Mapping[Lane, int]) -> None:
        self.starved = False
        self._workers = workers
        self._place = place
        self._running = running
        self._caps: dict[Lane, tuple[int, int]] = {}  # what is allowed now, and once the others' calls are over

    def divide(self, roster: Roster) -> None:
        """Leave only this worker's part of each limit; what is divided already stays as it is."""
        if self._workers == 1:
            return
        clock = roster.habits.clock
        for member in roster.members.values():
            member.lanes.whole()
            self._divide_all(member.lanes, Part(self._workers, self._place + member.index), clock)
        for index, owner in enumerate(dict.fromkeys((*roster.owners.values(), *roster.aliases.values()))):
            if owner.lanes.has_limits:
                owner.lanes.whole()
            self._divide_all(owner.lanes, Part(self._workers, self._place + index), clock)

    def _divide_all(self, lanes: Lanes, part: Part, clock: Clock) -> None:
        for model in lanes.model_limits:
            lanes.of_model(model)
        for lane in lanes.all():
            lane.flush()
            counts = [self._portion(count, part, clock) for count in lane.all_counts()]
            lane.counts = tuple(count for count in counts if count.window.what == "requests")
            lane.token_counts = tuple(count for count in counts if count.window.what == "tokens")
            self._divide_places(lane, part)

    def _divide_places(self, lane: Lane, part: Part) -> None:
        places = lane.max_concurrency
        if places is None or places == self._caps.get(lane, (None,))[0]:
            return
        others, own = self._running.get(lane, 0), lane.in_flight
        fair = part.of(places)
        lane.max_concurrency = min(fair, own + part.of(max(places - own - others, 0)))
        self._caps[lane] = lane.max_concurrency, fair
        self.starved = self.starved or not fair

    def let_go(self) -> None:
        """The calls that others had running are over."""
        for lane, (_, fair) in self._caps.items():
            lane.max_concurrency = fair
            rouse((lane,))
        self._caps = {lane: (fair, fair) for lane, (_, fair) in self._caps.items()}
        self._running = {}

    def _portion(self, count: AnyCount, part: Part, clock: Clock) -> AnyCount:
        if isinstance(count, (Portion, DayPortion, Stretched)) or count.limit >= UNLIMITED:
            return count
        if isinstance(count, CalendarCount):
            self.starved = self.starved or not part.of(count.limit)
            return DayPortion(count, part, clock)
        if isinstance(count.window, Spread) or (count.learned and count.limit < self._workers):
            return Stretched(count, self._workers)
        self.starved = self.starved or not part.of(count.limit)
        return Portion(count, part)


class Portion(SlidingCount):
    """A part of a sliding window: its own requests, next to all that were counted while the store was there."""

    __slots__ = ("_before", "part")

    def __init__(self, before: SlidingCount, part: Part) -> None:
        self._before = before
        self.part = part
        super().__init__(before.window, learned=before.learned)
        self.resize(before.limit)

    def resize(self, limit: int) -> None:
        """Change the limit of all together."""
        super().resize(limit)
        self._before.resize(limit)

    def room(self, now: float) -> int:
        """What is left of the part now."""
        super().room(now)
        return _left(self, self._before.room(now), self.used)

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``."""
        if self.room(now) >= need:
            return now
        before, own = self._before.limit - self._before.used, self.used
        leaving = [(at, amount, 0) for at, amount in _leaving(self._before)]
        leaving += [(at, 0, amount) for at, amount in _leaving(self)]
        for at, from_before, from_own in sorted(leaving):
            before += from_before
            own -= from_own
            if _left(self, before, own) >= need:
                return at
        return float("inf")


def _leaving(count: SlidingCount) -> Iterator[tuple[float, int]]:
    """When each entry leaves, and how much it is: none leaves before those ahead of it."""
    at = float("-inf")
    for entry in count.entries():
        at = max(at, entry.at)
        yield at + count.period, entry.amount


class DayPortion(CalendarCount):
    """A part of a calendar day or month."""

    __slots__ = ("_before", "part")

    def __init__(self, before: CalendarCount, part: Part, clock: Clock) -> None:
        self._before = before
        self.part = part
        super().__init__(before.window, clock, learned=before.learned)
        self.resize(before.limit)

    def resize(self, limit: int) -> None:
        """Change the limit of all together."""
        super().resize(limit)
        self._before.resize(limit)

    def room(self, now: float) -> int:
        """What is left of the part now."""
        super().room(now)
        return _left(self, self._before.room(now), self.used)

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``."""
        if self.room(now) >= need:
            return now
        ends_at = max(self._before.ready_at(now, self.limit), super().ready_at(now, self.limit))
        return ends_at if _left(self, self.limit, 0) >= need and ends_at > now else float("inf")


def _left(portion: Portion | DayPortion, before: int, own: int) -> int:
    """What is left of a part, of which so much is used, where so much was left of the whole."""
    if portion.window.what == "tokens" and not own and before >= portion.limit:
        return portion.limit
    return portion.part.of(before) - own


class Stretched(SlidingCount):
    """One request at a time where there is less than one for each worker: that of each takes so many times as long."""

    __slots__ = ()

    def __init__(self, before: SlidingCount, workers: int) -> None:
        super().__init__(before.window, learned=before.learned)
        self.resize(1)
        self.period = before.period * -(-workers // before.limit)
        self.restore(before.entries()[-1:])
        self.used = sum(entry.amount for entry in self.entries())
