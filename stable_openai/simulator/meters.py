"""How one limit is counted: an exact sliding window, a token bucket, or a calendar day.

Time is an argument, in seconds, and never runs back. `wait_for` asks, `take` counts; they are apart because a request
is admitted only if each of its limits has room.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import Protocol

# Arithmetic on seconds errs by some 1e-11; who waits exactly as told must not be refused for it.
SLACK_S = 1e-9


class Meter(Protocol):
    """One limit's count."""

    limit: int

    def wait_for(self, cost: int, now: float) -> float:
        """Seconds until `cost` has room: 0 if it has now, infinity if it is larger than the limit."""

    def take(self, cost: int, now: float) -> None:
        """Count `cost`; what is beyond the limit is forgotten."""

    def used(self, now: float) -> int:
        """Tell how much of the limit is used, rounded up."""

    def restored_in(self, now: float) -> float:
        """Seconds until nothing is used."""

    def resize(self, limit: int, now: float) -> None:
        """Change the limit and keep the count."""


class SlidingMeter:
    """At most `limit` in any `window` seconds, exactly."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self._events: deque[tuple[float, int]] = deque()
        self._total = 0

    def _expire(self, now: float) -> None:
        events, gone = self._events, now + SLACK_S
        while events and events[0][0] + self.window <= gone:
            self._total -= events.popleft()[1]

    def wait_for(self, cost: int, now: float) -> float:
        if cost > self.limit:
            return math.inf
        self._expire(now)
        over = self._total + cost - self.limit
        if over <= 0:
            return 0.0
        freed = itertools.accumulate(spent for _, spent in self._events)
        at = next(at for (at, _), sum_ in zip(self._events, freed, strict=False) if sum_ >= over)
        return at + self.window - now

    def take(self, cost: int, now: float) -> None:
        if cost <= 0:
            return
        self._expire(now)
        self._events.append((now, cost))
        self._total += cost
        self._trim()

    def _trim(self) -> None:
        # Only the newest events up to the limit decide anything; dropping the rest bounds memory when
        # rejected requests count.
        while self._total > self.limit and len(self._events) > 1:
            over = self._total - self.limit
            at, spent = self._events.popleft()
            self._total -= spent
            if spent > over:
                self._events.appendleft((at, spent - over))
                self._total += spent - over

    def used(self, now: float) -> int:
        self._expire(now)
        return min(self._total, self.limit)

    def restored_in(self, now: float) -> float:
        self._expire(now)
        return self._events[-1][0] + self.window - now if self._events else 0.0

    def resize(self, limit: int, now: float) -> None:
        self._expire(now)
        self.limit = limit
        self._trim()


class BucketMeter:
    """A bucket of `limit`, full at first, refilled continuously at `limit` per `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit = limit
        self.window = window
        self._level = float(limit)
        self._at = -math.inf

    def _refill(self, now: float) -> None:
        if now > self._at:
            if self._at > -math.inf:
                self._level = min(float(self.limit), self._level + (now - self._at) * self.limit / self.window)
            self._at = now

    def level(self, now: float) -> float:
        """Tell what is in the bucket."""
        self._refill(now)
        return self._level

    def wait_for(self, cost: int, now: float) -> float:
        if cost > self.limit:
            return math.inf
        self._refill(now)
        wait = (cost - self._level) * self.window / self.limit
        return wait if wait > SLACK_S else 0.0

    def take(self, cost: int, now: float) -> None:
        self._refill(now)
        self._level = max(0.0, self._level - cost)

    def used(self, now: float) -> int:
        self._refill(now)
        return math.ceil(self.limit - self._level - 1e-6)

    def restored_in(self, now: float) -> float:
        self._refill(now)
        return (self.limit - self._level) * self.window / self.limit

    def resize(self, limit: int, now: float) -> None:
        self._refill(now)
        spent = self.limit - self._level
        self.limit = limit
        self._level = max(0.0, limit - spent)


class CalendarMeter:
    """At most `limit` from one day's reset to the next. `phase` is how far into such a day time 0 is, in seconds."""

    def __init__(self, limit: int, day: float, phase: float) -> None:
        self.limit = limit
        self._day = day
        self._phase = phase
        self._number = 0
        self._used = 0

    def _turn(self, now: float) -> None:
        number = math.floor((now + self._phase + SLACK_S) / self._day)
        if number != self._number:
            self._number, self._used = number, 0

    def wait_for(self, cost: int, now: float) -> float:
        if cost > self.limit:
            return math.inf
        self._turn(now)
        return 0.0 if self._used + cost <= self.limit else self._left(now)

    def _left(self, now: float) -> float:
        return (self._number + 1) * self._day - self._phase - now

    def take(self, cost: int, now: float) -> None:
        self._turn(now)
        self._used = min(self.limit, self._used + cost)

    def used(self, now: float) -> int:
        self._turn(now)
        return self._used

    def restored_in(self, now: float) -> float:
        self._turn(now)
        return self._left(now) if self._used else 0.0

    def resize(self, limit: int, now: float) -> None:
        self._turn(now)
        self.limit = limit
        self._used = min(self._used, limit)
