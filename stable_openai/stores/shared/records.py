"""What this process has done lately: told to the store again, where it turns out that it has not heard of it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["Records"]

_KEPT: Final = 50_000  # of what was done while the store was lost; of more, the oldest are forgotten
_RECENT: Final = 1_024  # of what was done before: what a store may have lost that fell over


class _Record:
    """One grant: this worker's number for it, the key, the moment, what was asked for, and how it ended, if it has."""

    __slots__ = ("ask", "at", "key", "number", "outcome")

    def __init__(self, number: int, key: str, at: float, ask: tuple[Any, ...]) -> None:
        self.number = number
        self.key = key
        self.at = at
        self.ask = ask
        self.outcome: tuple[Any, ...] | None = None


class Records:
    """The grants that run, and the last of those that have ended."""

    def __init__(self) -> None:
        self._running: dict[int, _Record] = {}
        self._ended: deque[_Record] = deque(maxlen=_KEPT)
        self._alone = False

    def granted(self, number: int, key: str, at: float, ask: tuple[Any, ...], *, alone: bool) -> None:
        """Note a grant; those that were made without the store are kept until it is back."""
        self._alone = self._alone or alone
        self._running[number] = _Record(number, key, at, ask)

    def settled(self, number: int, outcome: tuple[Any, ...], *, alone: bool) -> None:
        """Note how one ended."""
        self._alone = self._alone or alone
        record = self._running.pop(number, None)
        if record is not None:
            record.outcome = outcome
            self._ended.append(record)
            if not self._alone:
                self._trim()

    def unheard(self, number: int, leases: Container[int]) -> list[tuple[Any, ...]]:
        """What to say to a store that has heard of numbers up to this one, and knows these leases as running."""
        records = [*self._ended, *self._running.values()]
        counts = [(r.number, r.key, r.at, r.ask, r.outcome) for r in records if r.number > number]
        ends = [("settle", r.number, *(r.outcome or ())) for r in self._ended if r.number in leases]
        return [("recount", *counts), *ends] if counts else list(ends)

    def heard(self) -> None:
        """The store knows all of it."""
        self._alone = False
        self._trim()

    def _trim(self) -> None:
        while len(self._ended) > _RECENT:
            self._ended.popleft()
