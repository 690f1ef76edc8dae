"""The oracle: it knows which keys work and what their limits are, and reserves a slot before it sends.

A slot is free again one window after its request has arrived; that moment it works out from the answer (which tells
how long the provider took), so it wastes nothing but the way there and back. Two more oracles follow other rules: one
knows that the provider refills a bucket, and sends more than the limit in its first minute; one spreads its requests
evenly, as `pace=True` does.
"""

from __future__ import annotations

import threading
import time
from typing import Final

__all__ = ["BucketSlots", "Oracle", "SlidingSlots"]

_ON_THE_WAY_S: Final = 0.02  # until its answer is there, a request is taken to arrive so long after it was reserved
_SLACK_S: Final = 0.001


class SlidingSlots:
    """The slots of a key that keeps to its limits in any window, and sends no two within ``gap`` seconds."""

    def __init__(self, windows: list[tuple[int, float]], gap: float = 0.0) -> None:
        self._windows = windows
        self._gap, self._next = gap, 0.0
        self._kept = max(limit for limit, _ in windows)
        self._arrivals: list[list[float]] = []

    def free_at(self) -> float:
        """When there is a slot."""
        at = self._next
        for limit, seconds in self._windows:
            if len(self._arrivals) >= limit:
                at = max(at, self._arrivals[-limit][0] + seconds + _SLACK_S)
        return at

    def take(self, now: float) -> list[float]:
        """Take one."""
        self._next = now + self._gap if self._gap else 0.0
        arrival = [now + _ON_THE_WAY_S]
        self._arrivals.append(arrival)
        self.sort()
        del self._arrivals[: -self._kept]
        return arrival

    def sort(self) -> None:
        """Bring the arrivals into their order again: they overtake one another on the way."""
        self._arrivals.sort()


class BucketSlots:
    """The slots of a key whose provider refills a bucket."""

    def __init__(self, limit: int, minute: float) -> None:
        self._limit = limit
        self._gap = minute / limit
        self._level = float(limit)
        self._at = 0.0

    def free_at(self) -> float:
        """When there is a slot."""
        return self._at + max(0.0, 1.0 - self._level) * self._gap + _SLACK_S if self._at else 0.0

    def take(self, now: float) -> list[float]:
        """Take one."""
        if self._at:
            self._level = min(float(self._limit), self._level + (now - self._at) / self._gap)
        self._level -= 1.0
        self._at = now
        return [now]

    def sort(self) -> None:
        """A bucket asks only how many there were."""


class Oracle:
    """Keys with their slots; whoever asks first is served first."""

    def __init__(self, slots: dict[str, SlidingSlots | BucketSlots]) -> None:
        self._slots = slots
        self._turn = threading.Lock()  # only the first in line looks for a slot
        self._lock = threading.Lock()

    def reserve(self) -> tuple[str, list[float]]:
        """Wait for a slot, and take it."""
        with self._turn:
            while True:
                with self._lock:
                    now = time.monotonic()
                    secret, at = min(((key, slots.free_at()) for key, slots in self._slots.items()), key=lambda x: x[1])
                    if at <= now:
                        return secret, self._slots[secret].take(now)
                time.sleep(max(at - now, 0.0005))

    def arrived(self, secret: str, arrival: list[float], at: float) -> None:
        """The request had arrived by then."""
        with self._lock:
            arrival[0] = at
            self._slots[secret].sort()
