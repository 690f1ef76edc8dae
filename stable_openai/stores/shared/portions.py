"""A worker's portion of a limit, for as long as the store is lost.

Of what was left of a limit when the store was last heard, and of what comes free as older requests leave the window,
each of the ``workers`` takes its part. The parts add up to the whole, remainders included: the worker of place ``i`` of
``n`` has ``(room + n - 1 - i) // n``. So all together keep the limit, as far as each had heard of the others. Only a
request that needs more tokens than the portion is let through, where nothing else is in its window: it would wait
for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stable_openai.learned import UNLIMITED
from stable_openai.limits import Limits
from stable_openai.windows import CalendarCount, SlidingCount

if TYPE_CHECKING:
    from stable_openai.clock import Clock
    from stable_openai.stores.members import Lanes
    from stable_openai.stores.roster import Roster
    from stable_openai.windows import AnyCount

__all__ = ["Portions"]


class Portions:
    """How limits are divided.

    Args:
        workers: How many workers there are.
        place: This one's place among them, from 0.
    """

    def __init__(self, workers: int, place: int) -> None:
        self.workers = workers
        self.place = place

    def of(self, room: int) -> int:
        """This worker's part."""
        return max(room + self.workers - 1 - self.place, 0) // self.workers

    def divide(self, roster: Roster) -> None:
        """Leave only this worker's part of each limit."""
        for member in roster.members.values():
            self._divide(member.lanes, roster.habits.clock)
        for owner in dict.fromkeys((*roster.owners.values(), *roster.aliases.values())):
            self._divide(owner.lanes, roster.habits.clock)

    def _divide(self, lanes: Lanes, clock: Clock) -> None:
        for lane in lanes.all():
            lane.flush()
            counts = [self._portion(count, clock) for count in lane.all_counts()]
            lane.counts = tuple(count for count in counts if count.window.what == "requests")
            lane.token_counts = tuple(count for count in counts if count.window.what == "tokens")
            if lane.max_concurrency is not None:
                lane.max_concurrency = self.of(lane.max_concurrency)
        if lanes.own is None:
            lanes.limits = self._limits(lanes.limits)
        for model in [model for model in lanes.model_limits if model not in lanes.by_model]:
            lanes.model_limits[model] = self._limits(lanes.model_limits[model])

    def _portion(self, count: AnyCount, clock: Clock) -> AnyCount:
        if isinstance(count, CalendarCount):
            return DayPortion(count, self, clock)
        return count if count.limit >= UNLIMITED else Portion(count, self)

    def _limits(self, limits: Limits) -> Limits:
        """Limits of a lane that nobody has used yet. Where nothing is left for this worker, it keeps one."""

        def part(limit: int | None) -> int | None:
            return None if limit is None else max(self.of(limit), 1)

        parts = {name: part(getattr(limits, name)) for name in ("rpm", "rpd", "tpm", "tpd", "max_concurrency")}
        return Limits(**parts, windows=limits.windows, zone=limits.zone)


class Portion(SlidingCount):
    """A part of a sliding window: its own requests, next to all that were counted while the store was there."""

    __slots__ = ("_before", "_portions")

    def __init__(self, before: SlidingCount, portions: Portions) -> None:
        super().__init__(before.window, learned=before.learned)
        self.resize(before.limit)
        self._before = before
        self._portions = portions

    def room(self, now: float) -> int:
        """What is left of the part now."""
        super().room(now)
        before = self._before.room(now)
        if self.window.what == "tokens" and not self.used and before >= self.limit:
            return self.limit
        return self._portions.of(before) - self.used

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``."""
        if self.room(now) >= need:
            return now
        before, own = self._before.limit - self._before.used, self.used
        leaving = [(entry.at + self.period, entry.amount, 0) for entry in self._before.entries()]
        leaving += [(entry.at + self.period, 0, entry.amount) for entry in self.entries()]
        latest = now
        for at, from_before, from_own in sorted(leaving):
            before += from_before
            own -= from_own
            latest = max(latest, at)
            whole = self.window.what == "tokens" and not own and before >= self.limit
            if (self.limit if whole else self._portions.of(before) - own) >= need:
                return latest
        return float("inf")


class DayPortion(CalendarCount):
    """A part of a calendar day or month."""

    __slots__ = ("_before", "_portions")

    def __init__(self, before: CalendarCount, portions: Portions, clock: Clock) -> None:
        super().__init__(before.window, clock, learned=before.learned)
        self.resize(before.limit)
        self._before = before
        self._portions = portions

    def room(self, now: float) -> int:
        """What is left of the part now."""
        super().room(now)
        return self._portions.of(self._before.room(now)) - self.used

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``."""
        if self.room(now) >= need:
            return now
        ends_at = max(self._before.ready_at(now, self.limit), super().ready_at(now, self.limit))
        return ends_at if self._portions.of(self.limit) >= need and ends_at > now else float("inf")
