"""How long each key has to rest between two requests of sessions that bring it along."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from .errors import CooldownException

if TYPE_CHECKING:
    from stable_openai.clock import Clock

__all__ = ["Cooldowns"]


class Cooldowns:
    """The last request to each key; what is long past is forgotten.

    Args:
        seconds: How long a key rests.
        clock: Where time comes from.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: OrderedDict[str, float] = OrderedDict()  # by key, oldest first

    def check(self, key: str) -> None:
        """Refuse a request that comes too early.

        Raises:
            CooldownException: It does; it says how long to wait.
        """
        last = self._last.get(key)
        left = 0.0 if last is None else last + self._seconds - self._clock.monotonic()
        if left > 0:
            raise CooldownException(f"Cooldown: {math.ceil(left)} seconds", retry_after=left)

    def start(self, key: str) -> None:
        """A request begins now: the next has to wait.

        Raises:
            CooldownException: This one comes too early itself.
        """
        self.check(key)
        now = self._clock.monotonic()
        while self._last and next(iter(self._last.values())) + self._seconds <= now:
            self._last.popitem(last=False)
        if self._seconds:
            self._last[key] = now
            self._last.move_to_end(key)

    def __len__(self) -> int:
        return len(self._last)
