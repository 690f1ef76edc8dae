"""Windows that nobody told: limits that answers state, and rates that are found by trying.

A meter is a window without a limit: it only remembers. When a provider rejects a request, the meter becomes a learned
window, with all that it has seen. A limit that an answer states is taken as it is. Where nothing is stated, the limit
is what the provider had accepted in the period (multiplicative decrease to what is known to work); it is tried a little
higher whenever it has held requests back for a whole period (additive increase), ever more rarely where that fails.
"""

from __future__ import annotations

import math
from typing import Final

from .limits import MINUTE, Window
from .windows import SlidingCount

__all__ = ["UNLIMITED", "LearnedCount", "meter"]

UNLIMITED: Final = 1 << 40
_NEVER: Final = float("inf")
_RARELY: Final = 16  # periods between two trials at most
_DECREASE: Final = 0.7
_TOGETHER: Final = 16  # rejections within a sixteenth of the period are one incident
_PAUSE: Final = 6  # grants' time that nothing goes out after a rejection, for a bucket to gain a little
_STEP: Final = 32  # a trial adds a thirty-second part, at least 1


class LearnedCount(SlidingCount):
    """A sliding window whose limit is learned."""

    __slots__ = (
        "_estimated_at",
        "_held_back",
        "_pause_until",
        "_periods",
        "_raised",
        "_try_at",
        "bursts",
        "enough",
        "evidence",
        "unit",
    )

    def __init__(self, what: str, seconds: float, limit: int = UNLIMITED) -> None:
        super().__init__(Window(what, limit, seconds=seconds), learned=True)  # type: ignore[arg-type]  # one of the two
        self.evidence = ""
        self.bursts = False  # whether it spreads the grants of a longer window
        self.unit = self.period  # the time from one trial to the next, where none fails
        self.enough = UNLIMITED  # beyond this nothing is gained by trying
        self._held_back = False  # whether somebody was refused since the last trial
        self._periods = 1  # until the next trial
        self._raised = 0  # by how much the running trial has raised the limit
        self._try_at = _NEVER
        self._estimated_at = self._pause_until = -_NEVER

    @property
    def unlimited(self) -> bool:
        """Whether it only remembers."""
        return self.limit >= UNLIMITED

    @property
    def estimated(self) -> bool:
        """Whether the limit is an estimate, which is tried now and then."""
        return self._try_at < _NEVER

    def room(self, now: float) -> int:
        """What is left now; where it is time, the limit is tried a little higher."""
        if now >= self._try_at:
            self._try(now)
        room = super().room(now)
        return min(room, 0) if now < self._pause_until else room

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``; a need beyond an estimate waits for the window to be empty."""
        self._held_back = True
        if need > self.limit and self._try_at < _NEVER:
            need = self.limit
        return max(super().ready_at(now, need), self._pause_until)

    def foresee(self, need: int) -> float:
        """As ``ready_at``, without a change; past where there seems to be room now."""
        if need > self.limit and self._try_at < _NEVER:
            need = self.limit
        return max(super().foresee(need), self._pause_until)

    def state(self, now: float, limit: int, evidence: str) -> bool:
        """An answer states the limit; True if that is news."""
        news = limit != self.limit or self._try_at < _NEVER
        if news:
            self._early_at, self._guarded = now, -_NEVER  # nobody was early who did not know the limit
        self.resize(limit)
        self.evidence = evidence
        self._try_at = _NEVER
        return news

    def estimate(self, now: float, accepted: int) -> bool:
        """A rejection shows that only so much is accepted; True if that is news.

        A trial that failed falls back to what held before it. A limit that was thought to hold and did not falls by a
        part (once for rejections that come together), since a bucket accepts more than its rate for a while.
        """
        limit = accepted
        if self.unlimited and self._entries:
            # A bucket has gained meanwhile; of a sliding window it makes too little, which the next trials mend.
            limit = math.ceil(accepted / (1.0 + (now - self._entries[0].at) / self.period))
        elif self._raised:
            limit = min(accepted, self.limit - self._raised)
        elif now - self._estimated_at > self.unit / _TOGETHER:
            limit = min(accepted, int(self.limit * _DECREASE))
        if self._raised or self.unlimited:
            self._periods = min(self._periods * 2, _RARELY) if self._raised else 1
        limit = max(limit, 1)
        news = limit != self.limit
        self.resize(limit)
        self.evidence = f"{accepted} were accepted in {self.period:g} s, and then one was rejected"
        self._held_back = False
        self._raised = 0
        self._estimated_at = now
        if not self.bursts:
            self._pause_until = now + _PAUSE * self.period / limit
        self._try_at = now + self._periods * self.unit
        return news

    def forget(self) -> None:
        """Answers contradict the limit: only remember again."""
        self.resize(UNLIMITED)
        self._try_at = _NEVER
        self._periods = 1
        self.evidence = ""

    def _try(self, now: float) -> None:
        if self._raised:
            self._periods = 1  # the last trial went well
        if self._held_back and self.limit < self.enough:
            self._raised = max(1, self.limit // _STEP, min(2 * self._raised, self.limit // 12))
            self.resize(self.limit + self._raised)
        else:
            self._raised = 0
        self._held_back = False
        self._try_at = now + self._periods * self.unit


def meter(seconds: float = MINUTE) -> LearnedCount:
    """A count of requests by the minute that has no limit yet."""
    return LearnedCount("requests", seconds)
