"""``@stable`` around an empty function, with a pool that always has room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from benchmarks.timing import LOOPS, Contender
from stable_openai import KeyPool, stable

from .functions import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RPD", "RPM", "Ours", "make_keys"]

RPM: Final = 2_000
RPD: Final = 200_000
_USED: Final = 0.75  # of the capacity, before the pool is replaced


def make_keys(count: int) -> list[str]:
    """Secrets that open nothing."""
    return [f"sk-benchmark-{number:06d}" for number in range(count)]


class Ours:
    """A decorated function whose pool is made anew, outside the timing, before its minute is used up.

    Limits are such as providers give (2,000 a minute, 200,000 a day), so each grant is entered in windows as it would
    be in earnest; an absurdly high limit would be counted in cheaper pieces.
    """

    def __init__(self, kind: str, keys: int) -> None:
        self._kind = kind
        self._keys = make_keys(keys)
        self.capacity = int(_USED * keys * RPM) - keys
        self._left = 0
        self._function: Callable[[], Any]
        self._renew()

    def function(self, calls: int) -> Callable[[], Any]:
        """The decorated function, with room for so many calls."""
        if calls > self._left:
            self._renew()
        self._left -= calls
        return self._function

    def run(self, calls: int) -> float:
        """Time so many calls."""
        return LOOPS[self._kind](self.function(calls), calls)

    def contender(self, name: str = "stable_openai") -> Contender:
        """Itself, as it is timed."""
        return Contender(name, self.run, most=self.capacity)

    def _renew(self) -> None:
        pool = KeyPool(self._keys, rpm=RPM, rpd=RPD)
        self._function = stable(pool=pool)(EMPTY[self._kind])
        loop = LOOPS[self._kind]
        if asyncio._get_running_loop() is None:  # noqa: SLF001  # tasks renew it between their rounds
            loop(self._function, len(self._keys))  # each key has been used once, as after the first minute
        self._left = self.capacity
