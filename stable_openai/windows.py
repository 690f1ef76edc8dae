"""Counting in windows: how much of a limit is used, and when there will be room again.

Rules of this file:

* Times are monotonic seconds and an argument; amounts are requests or tokens.
* A sliding window of limit L and period P never holds more than L in any stretch of P seconds. That satisfies
  providers that count by sliding windows and those that refill a bucket.
* What is added leaves the window exactly P seconds later, never sooner. Entries may be joined to save memory, and
  then all leave with the last of them: at most a thousandth of the limit waits a little longer.
* A provider counts when a request arrives, not when it was granted, and some travel longer than others. While calls
  overlap, each entry is dated a little later (by the guard, and never later than its answer came), and more where the
  provider has rejected what our count allowed; the guard shrinks again by itself.
"""

from __future__ import annotations

import datetime
import zoneinfo
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from .limits import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .clock import Clock
    from .limits import Window

__all__ = ["AnyCount", "CalendarCount", "Entry", "SlidingCount", "make_count"]

_MOST_GUARD: Final = 0.25  # of the period
_LEAST_GUARD: Final = 0.005  # of the period: 0.3 s of a minute, which costs 0.5 % of the rate
_TRAVEL: Final = 0.05  # seconds by which the ways of two requests may differ, however short the period is
_ROOMY_TRAVEL: Final = 0.25  # the same, where a longer window is tighter by far, so that a guard costs no rate
_MOST_TRAVEL: Final = 0.5  # seconds: a window of a second or so may have to be guarded for longer than a part of it
_ROOMY: Final = 2.0  # times the rate of a longer window
_EARLY: Final = 0.25  # of the period: who has to wait longer was not early, but wrong
_INCIDENT: Final = 1 / 16  # of the period: rejections within it come together
_REVIEW: Final = 30.0  # seconds at least between two looks at a guard: ways do not change with each short window
_GUARD_KEPT: Final = 0.85  # of the guard, after each period without a rejection
_PIECES: Final = 1024  # entries that a window holds at most, more or less: a limit above this is counted in pieces
_MOMENTS: Final = 128  # parts of a period; what is joined lies in one of them


class Entry:
    """An amount that was added at a moment, so that it can be corrected later."""

    __slots__ = ("amount", "at", "first")

    def __init__(self, granted_at: float, amount: int, at: float) -> None:
        self.first = granted_at
        self.at = at  # the latest moment at which it may have arrived
        self.amount = amount


_NONE: Final[deque[Entry]] = deque(maxlen=0)  # of windows that have nothing yet: a deque of its own takes 700 bytes


class SlidingCount:
    """A window of so many seconds up to now."""

    __slots__ = (
        "_early_at",
        "_entries",
        "_grain",
        "_guard",
        "_guarded",
        "_moment",
        "_review_at",
        "learned",
        "limit",
        "period",
        "roomy",
        "spreads",
        "used",
        "window",
    )

    def __init__(self, window: Window, *, learned: bool = False) -> None:
        assert window.seconds is not None  # noqa: S101  # make_count sees to it
        self.window = window
        self.limit = window.limit
        self.period = float(window.seconds)
        self._guard = self._guarded = 0.0  # now, and when the last incident began
        self._early_at = float("-inf")
        self._review_at = float("inf")
        self.used = 0
        self.learned = learned
        self.roomy = False  # whether a longer window is tighter by far
        self.spreads = isinstance(window, Spread)  # nobody enforces it, so the way that requests travel is no matter
        self._grain = window.limit // _PIECES
        self._moment = self.period / _MOMENTS
        self._entries = _NONE

    def room(self, now: float) -> int:
        """What is left now; negative where corrections have gone over the limit."""
        if now >= self._review_at:
            self._set_guard(now, self._guard * _GUARD_KEPT)
        entries = self._entries
        period = self.period
        while entries and entries[0].at + period <= now:  # the sum that ready_at returns, so that both always agree
            entry = entries.popleft()
            self.used -= entry.amount
            entry.at = float("-inf")
        return self.limit - self.used

    def add(self, now: float, amount: int) -> Entry:
        """Count ``amount``, joining it to the last entry while that is small against the limit."""
        self.used += amount
        entries = self._entries
        if entries:
            last = entries[-1]
            if last.amount + amount <= self._grain and now - last.first <= self._moment:
                last.amount += amount
                last.at = max(last.at, now + self._guard)
                return last
        else:
            entries = self._entries = deque()
        entry = Entry(now, amount, now + self._guard)
        entries.append(entry)
        return entry

    def extend(self, times: list[float]) -> None:
        """Count one at each of these moments, the earliest first; in pieces where the limit is large."""
        piece = self._grain
        if piece <= 1:
            self.used += len(times)
            guard = self._guard
            if not self._entries:
                self._entries = deque()
            self._entries.extend([Entry(at, 1, at + guard) for at in times])
            return
        start, whole = 0, len(times)
        while start < whole:
            end = min(start + piece, bisect_right(times, times[start] + self._moment, start))
            self.add(times[end - 1], end - start)
            start = end

    def arrived(self, entry: Entry, now: float) -> None:
        """The answer has come, so the request had arrived by now."""
        if entry.at > now and entry.amount == 1:
            entry.at = max(entry.first, now)

    def correct(self, entry: Entry, by: int) -> None:
        """Change what was counted as ``entry`` by so much, unless it has left the window."""
        if entry.at == float("-inf"):
            return
        by = max(by, -entry.amount)
        entry.amount += by
        self.used += by

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``; infinity where that is more than the limit."""
        if need > self.limit:
            return float("inf")
        missing = need - self.room(now)
        return now if missing <= 0 else max(now, self._left_at(missing))

    def foresee(self, need: int) -> float:
        """As ``ready_at``, without a change; past where there seems to be room now."""
        return float("inf") if need > self.limit else self._left_at(need - (self.limit - self.used))

    def _left_at(self, missing: int) -> float:
        """When so much has left the window."""
        at = float("-inf")
        for entry in self._entries:  # none leaves before those ahead of it
            if missing <= 0:
                break
            at = max(at, entry.at)
            missing -= entry.amount
        return at + self.period

    def resize(self, limit: int) -> None:
        """Change the limit; what was counted stays counted."""
        self.limit = limit
        self._grain = limit // _PIECES

    def __str__(self) -> str:
        return str(self.window).replace(str(self.window.limit), str(self.limit), 1)

    def since(self, moment: float) -> int:
        """How much was counted after a moment."""
        found = 0
        for entry in reversed(self._entries):
            if entry.at <= moment:
                break
            found += entry.amount
        return found

    def granted_since(self, moment: float) -> int:
        """How much was granted after a moment."""
        return sum(entry.amount for entry in self._entries if entry.first > moment)

    def take_back(self) -> None:
        """Forget the last one: the provider does not count it."""
        last = next((entry for entry in reversed(self._entries) if entry.amount), None)
        if last is not None:
            self.correct(last, -1)

    def entries(self) -> tuple[Entry, ...]:
        """What is counted now, the oldest first."""
        return tuple(self._entries)

    def restore(self, entries: Iterable[Entry]) -> None:
        """Count these, the oldest first, as ``entries`` gave them."""
        self._entries = deque(entries) or _NONE

    def take_over(self, *others: SlidingCount) -> None:
        """Count what others have counted as well, as far as it lies in this window."""
        entries = sorted(
            (Entry(entry.first, entry.amount, entry.at) for count in (self, *others) for entry in count.entries()),
            key=lambda entry: entry.at,
        )
        self._entries = deque(entries)
        self.used = sum(entry.amount for entry in entries)

    def guard(self, now: float, by: float = 0.0) -> None:
        """Keep entries longer: by so many seconds, at least the least guard."""
        least = _ROOMY_TRAVEL if self.roomy else _TRAVEL
        self._raise_guard(now, min(max(by, _LEAST_GUARD * self.period, least), _MOST_GUARD * self.period))

    def early(self, now: float, by: float | None) -> None:
        """A request was let go so much too early (None: nobody knows): keep entries longer by that.

        Rejections that come together are one incident: what was sent before the first of them tells nothing new.
        """
        if now - self._early_at > max(_INCIDENT * self.period, _MOST_TRAVEL):
            self._early_at, self._guarded = now, self._guard
        by = max(self._guarded + (self._guarded if by is None else by), _LEAST_GUARD * self.period, _TRAVEL)
        self._raise_guard(now, min(by, max(_MOST_GUARD * self.period, min(self.period, _MOST_TRAVEL))))

    def compare(self, others: Iterable[SlidingCount]) -> None:
        """See whether a longer window is tighter by far."""
        rate = self.limit / self.period
        self.roomy = any(other.period > self.period and _ROOMY * other.limit / other.period < rate for other in others)

    def forgives(self, wait: float) -> bool:
        """Whether a request that is told to wait so long may have been let go a little early, and no more."""
        return wait <= max(_EARLY * self.period, min(self.period, _MOST_TRAVEL))

    def _raise_guard(self, now: float, guard: float) -> None:
        if guard > self._guard and not self.spreads:
            self._set_guard(now, guard)
            for entry in self._entries:  # what is counted already has travelled as far
                entry.at = max(entry.at, entry.first + guard)

    def _set_guard(self, now: float, guard: float) -> None:
        if guard < _LEAST_GUARD * self.period:
            self._guard, self._review_at = 0.0, float("inf")
        else:
            self._guard, self._review_at = guard, now + max(self.period, _REVIEW)


class CalendarCount:
    """A calendar day or month of a named time zone.

    The end of the running day is fixed in monotonic seconds when its first request is counted, so that setting the
    wall clock meanwhile neither ends the day early nor makes it longer.
    """

    __slots__ = ("_clock", "_ends_at", "_zone", "learned", "limit", "used", "window")

    def __init__(self, window: Window, clock: Clock, *, learned: bool = False) -> None:
        self.window = window
        self.limit = window.limit
        self.used = 0
        self.learned = learned
        self._clock = clock
        self._zone = zoneinfo.ZoneInfo(window.zone)
        self._ends_at = float("-inf")

    def room(self, now: float) -> int:
        """What is left now; negative where corrections have gone over the limit."""
        if now >= self._ends_at:
            self.used = 0
        return self.limit - self.used

    def add(self, now: float, amount: int) -> Entry:
        """Count ``amount`` for the running day or month."""
        if now >= self._ends_at:
            self.used = 0
            self._ends_at = now + self._seconds_left()
        self.used += amount
        return Entry(now, amount, self._ends_at)

    def arrived(self, entry: Entry, now: float) -> None:
        """A day is a day: it does not matter when."""

    def extend(self, times: list[float]) -> None:
        """Count one at each of these moments."""
        for at in times:
            self.add(at, 1)

    def correct(self, entry: Entry, by: int) -> None:
        """Change what was counted as ``entry`` by so much, unless its day is over."""
        if entry.at != self._ends_at:
            return
        by = max(by, -entry.amount)
        entry.amount += by
        self.used += by

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``; infinity where that is more than the limit."""
        if need > self.limit:
            return float("inf")
        return now if self.room(now) >= need else self._ends_at

    def foresee(self, need: int) -> float:
        """As ``ready_at``, without a change; past where there seems to be room now."""
        if need > self.limit:
            return float("inf")
        return float("-inf") if self.limit - self.used >= need else self._ends_at

    def resize(self, limit: int) -> None:
        """Change the limit; what was counted stays counted."""
        self.limit = limit

    def guard(self, now: float, by: float = 0.0) -> None:
        """A day is a day: nothing to guard against."""

    def __str__(self) -> str:
        return str(self.window).replace(str(self.window.limit), str(self.limit), 1)

    def _seconds_left(self) -> float:
        """From the wall clock's now to the next midnight (of the month) there, daylight saving included."""
        wall = self._clock.time()
        today = datetime.datetime.fromtimestamp(wall, self._zone)
        start = today.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.window.calendar == "month":
            following = (start.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
        else:
            following = start + datetime.timedelta(days=1)
        return max(following.timestamp() - wall, 0.001)


def make_count(window: Window, clock: Clock, *, learned: bool = False) -> AnyCount:
    """Make the counter of a window."""
    if window.calendar is not None:
        return CalendarCount(window, clock, learned=learned)
    return SlidingCount(window, learned=learned)


AnyCount: TypeAlias = SlidingCount | CalendarCount
