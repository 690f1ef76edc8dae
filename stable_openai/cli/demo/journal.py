"""What happened to the keys, and when."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stable_openai import Event

__all__ = ["Entry", "Journal", "lines_of"]

_SWARMS: Final = {
    "cooldown": "cooldown of {:.2f} s at most",
    "recovered": "recovered",
    "owner": "owner found out",
    "learned": "limit learned",
}


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
    """Describe events in few lines: what comes in swarms shares one for each kind, all else has its own."""
    events = [entry.event for entry in entries]
    lines = [_line(event) for event in events if event.kind not in _SWARMS]
    for kind, words in _SWARMS.items():
        swarm = [event for event in events if event.kind == kind]
        if swarm:
            times = Counter(event.key for event in swarm)
            keys = ", ".join(f"{key} (x{number})" if number > 1 else key for key, number in times.items())
            lines.append(f"{words.format(max(event.seconds for event in swarm))}: {keys}")
    return lines


def _line(event: Event) -> str:
    seconds = f" for {event.seconds:.0f} s" if 0 < event.seconds < float("inf") else ""
    return f"{event.key}: {event.kind}{seconds}{f' ({event.reason})' if event.reason else ''}".replace("_", " ")
