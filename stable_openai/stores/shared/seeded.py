"""Time and chance that are the same in each process: both follow from the entry that is applied."""

from __future__ import annotations

import random
from typing import Final

from stable_openai.clock import ManualClock

__all__ = ["EntryClock", "SeededDice"]

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15


class EntryClock(ManualClock):
    """Stands at the moment of the entry that is applied."""

    def __init__(self) -> None:
        super().__init__()
        self.now = float("-inf")
        self.wall = 0.0  # what is to be added for seconds since 1970-01-01 UTC

    def monotonic(self) -> float:
        """The moment, in seconds of the store's time."""
        return self.now

    def time(self) -> float:
        """The same in seconds since 1970-01-01 UTC, which is how stores tell their time but for rehearsals."""
        return self.now + self.wall


class SeededDice(random.Random):
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): to seed it costs nothing.

    Python's own generator takes microseconds for that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._state = 0

    def reseed(self, number: int) -> None:
        """Begin anew, at a number."""
        self._state = number * _GAMMA & _MASK

    def random(self) -> float:
        """The next one, from 0 to below 1."""
        self._state = state = (self._state + _GAMMA) & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        return ((state ^ (state >> 31)) >> 11) * 2.0**-53
