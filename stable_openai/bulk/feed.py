"""What is to be worked on next: decisions alone. Whoever drives it holds a lock, or is alone.

An item is in hand from when it is taken from the input until whoever iterates has got what came of it. So many may be
in hand, and no more: that bounds the memory, and how far the input is read ahead.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .items import Entry

__all__ = ["Feed"]


class Feed:
    """The input, as far as it is in hand.

    Args:
        room: How many may be in hand.

    Attributes:
        in_hand: How many are.
        exhausted: Whether the input has ended.
        admitted: How many were taken from the input.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._later: list[tuple[float, int, Entry]] = []
        self._numbers = itertools.count()
        self.in_hand = self._reserved = 0
        self.admitted = 0
        self.exhausted = self._is_shut = False

    @property
    def has_room(self) -> bool:
        """Whether another one may be taken from the input."""
        return not self.exhausted and self.in_hand < self._room

    @property
    def is_dry(self) -> bool:
        """Whether nothing is left to be begun, nor ever will be, but by those who are at work."""
        return self.exhausted and not self._later

    @property
    def next_at(self) -> float | None:
        """When the earliest of those that were put off is due; None where there is none."""
        return self._later[0][0] if self._later else None

    @property
    def fetching(self) -> int:
        """How many have room, and wait for the input to give them something."""
        return self._reserved - self.admitted

    def due(self, now: float) -> Entry | None:
        """One that was put off until now."""
        if self._later and self._later[0][0] <= now:
            return heapq.heappop(self._later)[2]
        return None

    def reserve(self) -> None:
        """Make room for one that is about to be taken from the input."""
        self.in_hand += 1
        self._reserved += 1

    def admit(self) -> int:
        """The number of the one that was taken."""
        self.admitted += 1
        return self.admitted - 1

    def end(self) -> None:
        """There was none any more."""
        self.in_hand -= 1
        self._reserved -= 1
        self.exhausted = True

    def shut(self) -> None:
        """Begin nothing more, whatever was put off."""
        self.exhausted = self._is_shut = True
        self._later.clear()

    def put_off(self, entry: Entry, until: float) -> None:
        """Begin it again at that moment, and not before."""
        if not self._is_shut:
            heapq.heappush(self._later, (until, next(self._numbers), entry))

    def let_go(self, count: int = 1) -> None:
        """So many are out of hand."""
        self.in_hand -= count
