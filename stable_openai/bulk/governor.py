"""How many work at once, where nobody has said: as many as the keys and their latency can use.

Two signs say that there are enough: somebody waits for a key (the keys are the bottleneck), or somebody waits for
work. Where all are busy, there are more, step by step, as long as each step brings more answers a second; a step that
does not (the processor is busy, or the provider answers no faster) is taken back, and tried again later. That many wait
for a key is no sign of too many: where a minute's allowance is used early in it, all wait for the rest of it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Governor"]

_FIRST: Final = 8
_NO_END: Final = float("inf")
_STEP: Final = 1.5
_GAIN: Final = 1.1  # a step of a half is worth it where it brings a tenth
_PAUSE: Final = 20  # ticks after a step in vain until the next one


class Governor:
    """Decides how many there are to be. Pure: it is told what is seen at each tick.

    Args:
        most: The most that there may be.
        first: How many to begin with.
    """

    def __init__(self, most: int, first: int = _FIRST) -> None:
        self._most = most
        self.target = min(first, most)
        self._before = 0  # how many there were before the last step
        self._rate_before = 0.0
        self._since: tuple[float, int] | None = None  # when the present number began, and what had ended by then
        self._pause = 0
        self._useful: float = most
        self._told = False  # whether it was known once how many are useful

    def tick(self, now: float, ended: int, *, waiting: int, idle: int, useful: float = _NO_END) -> int:
        """How many there are to be from now on.

        Args:
            now: The moment, in seconds.
            ended: How many items have ended so far.
            waiting: How many wait for a key.
            idle: How many wait for something to do.
            useful: How many the keys can use at most, by their limits and how long an answer takes.
        """
        self._useful = min(max(useful, _FIRST), self._most)
        if useful < _NO_END and not self._told:
            self._told = True  # the first answers show what it takes; later ones may take long because there are many
            self.target = max(self.target, int(self._useful))
        if self.target > self._useful * _STEP:
            self.target, self._before, self._since = int(self._useful), 0, None
        self._pause = max(self._pause - 1, 0)
        if waiting or idle:
            self._since = None
            self._before = 0
            return self.target
        if self._since is None:
            self._since = (now, ended)
            return self.target
        since, then = self._since
        if ended != then and ended - then < self.target:
            return self.target  # too few to tell
        rate = (ended - then) / (now - since) if now > since else 0.0
        if self._before and ended != then and rate < self._rate_before * _GAIN:
            self.target, self._pause = self._before, _PAUSE
        self._before = 0
        self._since = (now, ended)
        if not self._pause:
            self._grow(rate)
        return self.target

    def keep_to(self, most: int) -> None:
        """There can't be more than so many."""
        self._most = most
        self.target = min(self.target, most)

    def _grow(self, rate: float) -> None:
        if self.target < int(self._useful):
            self._before, self._rate_before = self.target, rate
            self.target = min(max(int(self.target * _STEP), self.target + 2), int(self._useful))
