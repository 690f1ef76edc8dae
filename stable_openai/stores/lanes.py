"""A lane: what a limit or a cooldown belongs to (a key, a key and a model, an owner, an owner and a model).

Rules of this file:

* All methods are called under the store's lock, with its monotonic time as an argument. ``done.append`` alone is
  called without it: appending to a list is atomic.
* ``credit`` is how many grants may go out with no further look. While it lasts, a grant is one subtraction and one
  ``fresh.append(now)``; room in a window only grows with time, so what was allowed stays allowed. Whatever makes a
  lane special (a cooldown, tokens to count, several lanes together) keeps its credit at 0, and each grant is looked at.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from stable_openai.windows import make_count

if TYPE_CHECKING:
    from stable_openai.clock import Clock
    from stable_openai.limits import Limits
    from stable_openai.windows import CalendarCount, SlidingCount

    from .queues import Group, Queue

__all__ = ["CLOSED", "INFINITY", "ClosedLane", "Kind", "Lane", "Standing"]

INFINITY: Final = float("inf")
_NEARLY_FULL: Final = 0.1  # of a limit is left: a rejection then says that we were early, not that we were wrong
_BATCH: Final = 256  # grants between two looks: bounds what waits in `fresh` and `done`


class Kind(str, enum.Enum):
    """What a lane belongs to."""

    KEY = "key"
    KEY_AND_MODEL = "key and model"
    OWNER = "owner"
    OWNER_AND_MODEL = "owner and model"


class Standing(str, enum.Enum):
    """Whether a lane may be used, limits aside."""

    OPEN = "open"
    COOLING = "cooling down"
    PARKED = "parked"
    BARRED = "barred"
    RETIRED = "retired"


class Lane:
    """The counts, the flights and the standing of one lane."""

    __slots__ = (
        "clock", "counts", "credit", "done", "fresh", "granted", "groups", "kind", "last_used",
        "limits", "max_concurrency", "model", "note", "plain", "reason", "rest_until", "settled", "standing",
        "strikes", "token_counts", "troubles",
    )  # fmt: skip

    def __init__(self, kind: Kind, limits: Limits, clock: Clock, model: str | None = None) -> None:
        self.kind = kind
        self.model = model
        self.clock = clock
        self.credit = 0
        self.fresh: list[float] = []
        self.done: list[None] = []
        self.granted = 0
        self.settled = 0
        self.last_used = -INFINITY
        self.standing = Standing.OPEN
        self.rest_until = -INFINITY
        self.reason = ""
        self.note = ""
        self.strikes = 0
        self.troubles = 0
        self.groups: dict[Queue, Group] = {}
        self.counts: tuple[SlidingCount | CalendarCount, ...] = ()
        self.token_counts: tuple[SlidingCount | CalendarCount, ...] = ()
        self.tell(limits)

    def tell(self, limits: Limits) -> None:
        """Take these limits; windows that stay keep their counts."""
        self.flush()
        self.limits = limits
        old = {(count.window.what, count.window.seconds, count.window.calendar): count for count in self._all_counts()}
        found = []
        for window in limits.all_windows():
            count = old.get((window.what, window.seconds, window.calendar))
            if count is None:
                count = make_count(window, self.clock)
            else:
                count.window = window
                count.resize(window.limit)
            found.append(count)
        self.counts = tuple(count for count in found if count.window.what == "requests")
        self.token_counts = tuple(count for count in found if count.window.what == "tokens")
        self.max_concurrency = limits.max_concurrency
        self.plain = not self.token_counts and self.max_concurrency is None

    def _all_counts(self) -> tuple[SlidingCount | CalendarCount, ...]:
        return self.counts + self.token_counts

    # -- looking

    def flush(self) -> None:
        """Enter what went out on credit, and take the credit back."""
        fresh = self.fresh
        if fresh:
            for count in self.counts:
                count.extend(fresh)
            self.granted += len(fresh)
            self.last_used = fresh[-1]
            fresh.clear()
        self.credit = 0
        ended = len(self.done)
        if ended:
            del self.done[:ended]
            self.settled += ended

    @property
    def uses(self) -> int:
        """Grants in all."""
        return self.granted + len(self.fresh)

    @property
    def in_flight(self) -> int:
        """Grants that are not settled."""
        return self.granted + len(self.fresh) - self.settled - len(self.done)

    @property
    def used_at(self) -> float:
        """The moment of the last grant."""
        return self.fresh[-1] if self.fresh else self.last_used

    def opens_at(self, now: float) -> float:
        """When the standing allows grants: 0 where it does, infinity where only an event changes it."""
        if self.standing is Standing.OPEN:
            return 0.0
        if self.standing is not Standing.RETIRED and now >= self.rest_until:
            self.standing = Standing.OPEN
            return 0.0
        return self.rest_until

    def free_at(self, now: float, tokens: int, requests: int = 1) -> float:
        """When so much fits: 0 for at once, infinity where it takes an event. The lane must be flushed."""
        at = self.opens_at(now)
        for count in self.counts:
            if count.room(now) < requests:
                at = max(at, count.ready_at(now, requests))
        if tokens:
            for count in self.token_counts:
                if count.room(now) < tokens:
                    at = max(at, count.ready_at(now, tokens))
        if self.max_concurrency is not None and self.in_flight + requests > self.max_concurrency:
            return INFINITY
        return at

    def room(self, now: float) -> int:
        """How many requests could go out at once now. The lane must be flushed."""
        if self.opens_at(now):
            return 0
        room = _BATCH
        for count in self.counts:
            room = min(room, count.room(now))
        if self.max_concurrency is not None:
            room = min(room, self.max_concurrency - self.in_flight)
        return max(room, 0)

    def largest_request(self) -> float:
        """The most tokens that one request may ever have here."""
        return min((count.limit for count in self.token_counts), default=INFINITY)

    # -- using

    def take(self, now: float, tokens: int, entries: list[tuple[SlidingCount | CalendarCount, object]]) -> None:
        """Count one grant; what was entered is noted in ``entries`` so that it can be corrected."""
        self.note_overlap(now)
        entries += [(count, count.add(now, 1)) for count in self.counts]
        entries += [(count, count.add(now, tokens)) for count in self.token_counts]
        self.granted += 1
        self.last_used = now

    def note_overlap(self, now: float) -> None:
        """Guard the windows while calls overlap: their requests may arrive in another order than they were granted."""
        if now > self.last_used and self.in_flight:
            for count in self.counts:
                count.guard(now)

    def lend(self, now: float) -> None:
        """Give credit for the grants to come, where nothing needs a look at each of them."""
        if self.plain and self.standing is Standing.OPEN and not self.strikes and not self.troubles:
            self.credit = self.room(now)

    def came_early(self, now: float, what: str, by: float | None) -> None:
        """The provider has rejected by a limit what these windows allowed: those that are all but full were early."""
        for count in self.token_counts if what == "tokens" else self.counts:
            if not count.learned and count.room(now) <= max(_NEARLY_FULL * count.limit, 2):
                count.guard(now, by)

    # -- resting

    def is_resting(self, now: float) -> bool:
        """Whether its standing keeps it out now."""
        return self.standing is not Standing.OPEN and now < self.rest_until

    def rest(self, standing: Standing, until: float, reason: str, note: str) -> bool:
        """Rest until then. A later deadline replaces an earlier one, never the reverse; True if something changed."""
        self.flush()
        if self.standing is not Standing.OPEN and (self.standing is Standing.RETIRED or until <= self.rest_until):
            return False
        self.standing = standing
        self.rest_until = until
        self.reason = reason
        self.note = note
        return True

    def reopen(self) -> None:
        """Forget what kept the lane out."""
        self.standing = Standing.OPEN
        self.rest_until = -INFINITY
        self.reason = self.note = ""
        self.strikes = self.troubles = 0


class ClosedLane:
    """Stands where a slot has no lane that could give credit."""

    __slots__ = ("credit", "fresh")

    def __init__(self) -> None:
        self.credit = 0
        self.fresh: list[float] = []


CLOSED: Final = ClosedLane()
