"""Windows that nobody told: limits that answers state, and rates that are found by trying.

A meter is a window without a limit: it only remembers. When a provider rejects a request, the meter becomes a learned
window, with all that it has seen. A limit that an answer states is taken as it is. Where nothing is stated, the limit is
what the provider had accepted in the period (multiplicative decrease to what is known to work); it is tried a little
higher whenever it has held requests back for a whole period (additive increase), ever more rarely where that fails.
"""

from __future__ import annotations

from typing import Final

from .limits import MINUTE, Window
from .windows import SlidingCount

__all__ = ["UNLIMITED", "LearnedCount", "meter"]

UNLIMITED: Final = 1 << 40
_NEVER: Final = float("inf")
_RARELY: Final = 16  # periods between two trials at most
_STEP: Final = 32  # a trial adds a thirty-second part, at least 1


class LearnedCount(SlidingCount):
    """A sliding window whose limit is learned."""

    __slots__ = ("_held_back", "_periods", "_raised", "_try_at", "evidence")

    def __init__(self, what: str, seconds: float, limit: int = UNLIMITED) -> None:
        super().__init__(Window(what, limit, seconds=seconds), learned=True)  # type: ignore[arg-type]  # one of the two
        self.evidence = ""
        self._held_back = False  # whether somebody was refused since the last trial
        self._periods = 1  # until the next trial
        self._raised = 0  # by how much the running trial has raised the limit
        self._try_at = _NEVER

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
        return super().room(now)

    def ready_at(self, now: float, need: int) -> float:
        """The earliest moment with room for ``need``; a need beyond an estimate waits for the window to be empty."""
        self._held_back = True
        if need > self.limit and self._try_at < _NEVER:
            need = self.limit
        return super().ready_at(now, need)

    def state(self, limit: int, evidence: str) -> bool:
        """An answer states the limit; True if that is news."""
        news = limit != self.limit or self._try_at < _NEVER
        self.resize(limit)
        self.evidence = evidence
        self._try_at = _NEVER
        return news

    def estimate(self, now: float, limit: int) -> bool:
        """A rejection shows that only so much is accepted; True if that is news."""
        news = limit != self.limit
        self._periods = min(self._periods * 2, _RARELY) if self._raised else 1
        self.resize(max(limit, 1))
        self.evidence = f"{limit} were accepted in {self.period:g} s, and then one was rejected"
        self._held_back = False
        self._raised = 0
        self._try_at = now + self._periods * self.period
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
        if self._held_back:
            self._raised = max(1, self.limit // _STEP, min(2 * self._raised, self.limit // 4))
            self.resize(self.limit + self._raised)
        else:
            self._raised = 0
        self._held_back = False
        self._try_at = now + self._periods * self.period


def meter(seconds: float = MINUTE) -> LearnedCount:
    """A count of requests by the minute that has no limit yet."""
    return LearnedCount("requests", seconds)
