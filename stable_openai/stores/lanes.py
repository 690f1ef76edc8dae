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
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stable_openai.learned import LearnedCount, meter
from stable_openai.limits import MINUTE
from stable_openai.windows import SlidingCount, make_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.clock import Clock
    from stable_openai.limits import Limits
    from stable_openai.windows import AnyCount, Entry

    from .queues import Group, Queue

__all__ = ["CLOSED", "INFINITY", "ClosedLane", "Habits", "Kind", "Lane", "Standing"]

INFINITY: Final = float("inf")
_WHOLE: Final = 16  # calls at once on trial, doubled with each success, at which a lane is back as it was
_BATCH: Final = 256  # grants between two looks: bounds what waits in `fresh` and `done`


class Kind(str, enum.Enum):
    """What a lane belongs to."""

    KEY = "key"
    KEY_AND_MODEL = "key and model"
    OWNER = "owner"
    OWNER_AND_MODEL = "owner and model"
    ENDPOINT = "endpoint"


class Standing(str, enum.Enum):
    """Whether a lane may be used, limits aside."""

    OPEN = "open"
    COOLING = "cooling down"
    PARKED = "parked"
    BARRED = "barred"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Habits:
    """What all lanes of a pool have in common.

    Attributes:
        clock: Where time comes from.
        pace: Whether the grants of a window are spread evenly.
        minute: How long the provider's minute lasts, in seconds: 60 but for rehearsals.
        dice: Where chance comes from.
    """

    clock: Clock
    pace: bool = False
    minute: float = MINUTE
    dice: random.Random = field(default_factory=random.Random)

    @property
    def scale(self) -> float:
        """The provider's seconds in seconds."""
        return self.minute / MINUTE


class Lane:
    """The counts, the flights and the standing of one lane.

    Attributes:
        counts_rejected: Whether the provider has been seen to count what it rejects.
        trial: How many calls may be out at once on trial after a rest; 0 where it is not on trial.
        strikes: Rests in a row, without a success between.
        troubles: Failures of the provider's own in a row.
        wanted: Whether a call waits for a running one to end here, as no other key may serve it: it sleeps on no lane.
    """

    __slots__ = (
        "counts", "counts_rejected", "credit", "done", "fresh", "granted", "groups", "habits", "kind", "last_used",
        "limits", "max_concurrency", "model", "note", "plain", "reason", "rejects", "rest_until", "settled", "standing",
        "strikes", "suspected", "token_counts", "trial", "trials_out", "troubled_until", "troubles",
        "wanted", "wants_trial",
    )  # fmt: skip

    def __init__(self, kind: Kind, limits: Limits, habits: Habits, model: str | None = None) -> None:
        self.kind = kind
        self.model = model
        self.habits = habits
        self.credit = 0
        self.fresh: list[float] = []
        self.done: list[None] = []
        self.granted = 0
        self.settled = 0
        self.last_used = -INFINITY
        self.strikes = self.troubles = 0
        self.troubled_until = -INFINITY
        self.suspected = -INFINITY  # when an unclear word against the key was first heard
        self.groups: dict[Queue, Group] = {}
        self.counts: tuple[AnyCount, ...] = ()
        self.token_counts: tuple[AnyCount, ...] = ()
        self.rejects: SlidingCount | None = None
        self.counts_rejected = False  # the provider counts what it rejects
        self.standing = Standing.OPEN
        self.rest_until = -INFINITY
        self.reason = self.note = ""
        self.trial = self.trials_out = 0
        self.wanted = self.wants_trial = False
        self.tell(limits)

    def tell(self, limits: Limits) -> None:
        """Take these limits; windows that stay keep their counts, and what was learned stays learned."""
        self.flush()
        self.limits = limits
        old = {(count.window.what, count.window.seconds, count.window.calendar): count for count in self.all_counts()}
        found: list[AnyCount] = []
        for window in limits.all_windows(self.habits.scale, pace=self.habits.pace):
            count = old.pop((window.what, window.seconds, window.calendar), None)
            if count is None or count.learned:
                count = make_count(window, self.habits.clock)
            else:
                count.window = window
                count.resize(window.limit)
            found.append(count)
        found += [count for count in old.values() if count.learned]
        if not any(count.window.what == "requests" and count.window.seconds == self.habits.minute for count in found):
            found.append(meter(self.habits.minute))
        self.max_concurrency = limits.max_concurrency
        self.set_counts(found)

    def set_counts(self, counts: Iterable[AnyCount]) -> None:
        """Count in these windows from now on."""
        counts = tuple(counts)
        self.counts = tuple(count for count in counts if count.window.what == "requests")
        self.token_counts = tuple(count for count in counts if count.window.what == "tokens")
        self.plain = not self.token_counts and self.max_concurrency is None
        for alike in (self.counts, self.token_counts):
            sliding = [count for count in alike if isinstance(count, SlidingCount)]
            for count in sliding:
                count.compare(sliding)

    def all_counts(self) -> tuple[AnyCount, ...]:
        """Every window, meters included."""
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
            if self.wants_trial:
                self.trial, self.trials_out, self.wants_trial = 1, 0, False
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
        if self.places() < requests:
            return INFINITY
        return at

    def foresee(self, tokens: int) -> float:
        """When a call may fit, by windows and rests; past where it seems to now. Changes nothing, and may be wrong."""
        at = -INFINITY
        if self.standing is not Standing.OPEN:
            at = INFINITY if self.standing is Standing.RETIRED else self.rest_until
        for count in self.counts:
            at = max(at, count.foresee(1))
        for count in self.token_counts:
            at = max(at, count.foresee(tokens))
        return at

    def places(self) -> float:
        """How many more calls may run at once now."""
        places = INFINITY if self.max_concurrency is None else self.max_concurrency - self.in_flight
        return min(places, self.trial - self.trials_out) if self.trial else places

    def room(self, now: float) -> int:
        """How many requests could go out at once now. The lane must be flushed."""
        if self.opens_at(now):
            return 0
        room = _BATCH
        for count in self.counts:
            room = min(room, count.room(now))
        return int(max(min(room, self.places()), 0))

    def largest_request(self) -> float:
        """The most tokens that one request may ever have here."""
        return min((count.limit for count in self.token_counts), default=INFINITY)

    @property
    def idle(self) -> bool:
        """Whether nothing sets it apart: no limit, no rest, no trial, no memory of failures."""
        return (
            self.standing is Standing.OPEN
            and not (self.limits or self.trial or self.strikes or self.troubles or self.max_concurrency)
            and all(isinstance(count, LearnedCount) and count.unlimited for count in self.all_counts())
        )

    # -- using

    def take(self, now: float, tokens: int, entries: list[tuple[AnyCount, Entry]]) -> None:
        """Count one grant; what was entered is noted in ``entries`` so that it can be corrected."""
        self._guard(now)
        entries += [(count, count.add(now, 1)) for count in self.counts]
        entries += [(count, count.add(now, tokens)) for count in self.token_counts]
        self.granted += 1
        self.last_used = now
        if self.trial:
            self.trials_out += 1

    def note_overlap(self, now: float) -> None:
        """Guard the windows while calls overlap: their requests may arrive in another order than they were granted."""
        if now > self.used_at:  # looking again at the moment of a grant is no other call
            self._guard(now)

    def _guard(self, now: float) -> None:
        if self.in_flight or self.habits.pace:  # what is spread evenly fills its window to the last place
            for count in self.counts:
                count.guard(now)

    def lend(self, now: float) -> None:
        """Give credit for the grants to come, where nothing needs a look at each of them."""
        special = self.strikes or self.troubles or self.trial or self.suspected > -INFINITY
        if self.plain and self.standing is Standing.OPEN and not special:
            self.credit = self.room(now)

    # -- resting

    def is_resting(self, now: float) -> bool:
        """Whether its standing keeps it out now."""
        return self.standing is not Standing.OPEN and now < self.rest_until

    def rest(self, standing: Standing, until: float, reason: str, note: str, *, trial: bool = False) -> bool:
        """Rest until then, and then allow one call on trial first where that is asked for.

        A later deadline replaces an earlier one, never the reverse; True if something changed.
        """
        self.flush()
        if self.standing is not Standing.OPEN and (self.standing is Standing.RETIRED or until <= self.rest_until):
            return False
        self.standing = standing
        self.rest_until = until
        self.reason = reason
        self.note = note
        self.wants_trial = trial
        self.trial = self.trials_out = 0
        return True

    def succeeded(self) -> bool:
        """A call ended well: a lane on trial comes back step by step; True where it is back as it was."""
        self.troubles = 0
        self.suspected = -INFINITY
        if self.standing is not Standing.OPEN:
            return False  # an answer to a call from before the rest
        if self.trial:
            self.trial *= 2
            if self.trial < _WHOLE:
                return False
            self.trial = 0
        back = self.strikes > 0
        self.strikes = 0
        return back

    def reopen(self) -> None:
        """Forget what kept the lane out."""
        self.standing = Standing.OPEN
        self.rest_until = -INFINITY
        self.reason = self.note = ""
        self.strikes = self.troubles = 0
        self.trial = self.trials_out = 0
        self.wants_trial = False
        self.suspected = -INFINITY


class ClosedLane:
    """Stands where a slot has no lane that could give credit."""

    __slots__ = ("credit", "fresh")

    def __init__(self) -> None:
        self.credit = 0
        self.fresh: list[float] = []


CLOSED: Final = ClosedLane()
