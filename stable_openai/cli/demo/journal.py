"""What happened to the keys, and when."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stable_openai import Event

__all__ = ["Entry", "Journal", "lines_of"]


class Entry(NamedTuple):
    """An event and its moment, in seconds of the simulator."""

    at: float
    event: Event


class Journal:
    """Listens to a pool.

    Attributes:
        entries: All events, in order.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self.entries: list[Entry] = []

    def __call__(self, event: Event) -> None:
        """Write an event down. The provider's words, which are long, are left out."""
        self.entries.append(Entry(self._clock(), dataclasses.replace(event, note="")))


def lines_of(entries: Sequence[Entry]) -> list[str]:
    """Describe events in few lines: cooldowns, which come in swarms, in one, all others in one each."""
    lines = [str(entry.event) for entry in entries if entry.event.kind != "cooldown"]
    cooldowns = [entry.event for entry in entries if entry.event.kind == "cooldown"]
    if cooldowns:
        times = Counter(event.key for event in cooldowns)
        keys = ", ".join(f"{key} (x{number})" if number > 1 else key for key, number in times.items())
        longest = max(event.seconds for event in cooldowns)
        lines.append(f"cooldown for {longest:.2f} s or less: {keys}: {cooldowns[-1].reason}")
    return lines
