"""What this process has done lately: told to the store again, where it turns out that it has not heard of it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from stable_openai.stores.protocol import Outcome

from .outcomes import pack_outcome

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Records"]

_KEPT: Final = 50_000  # ended grants at most; of more, the oldest are forgotten
_RECENT: Final = 1_024  # ended grants at least: what a store may have lost that fell over
_AT_ONCE: Final = 500  # in one entry
_WORDS: Final = 1_000
_UNUSED: Final = tuple(pack_outcome(Outcome(unused=True)))


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
    """The grants that run, and the last of those that have ended; moments are this machine's.

    Args:
        kept_s: Seconds for which those that have ended are kept: others may not have heard of them for as long.
    """

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._running: dict[int, _Record] = {}
        self._ended: deque[_Record] = deque(maxlen=_KEPT)
        self._words: deque[tuple[Any, ...]] = deque(maxlen=_WORDS)
        self._alone = False

    def granted(self, number: int, key: str, at: float, ask: tuple[Any, ...]) -> None:
        """Note a grant."""
        self._running[number] = _Record(number, key, at, ask)

    def settled(self, number: int, outcome: tuple[Any, ...], *, alone: bool) -> None:
        """Note how one ended; where the store has not heard it, nothing is forgotten until it is back."""
        self._alone = self._alone or alone
        record = self._running.pop(number, None)
        if record is not None:
            record.outcome = outcome
            self._ended.append(record)
            if not self._alone:
                self._trim(record.at)

    def said(self, *words: Any) -> None:
        """Note what else was said without the store."""
        self._words.append(words)

    def unheard(self, number: int, leases: Collection[int], offset: float) -> list[tuple[Any, ...]]:
        """What to say to a store that has heard of numbers up to this one, and knows these leases as running.

        Args:
            number: That number.
            leases: Those leases.
            offset: What makes a moment of the store's of one of this machine's.
        """
        told = [r for r in (*self._ended, *self._running.values()) if r.number > number or r.outcome is None]
        told.sort(key=lambda record: record.number)  # who is interrupted goes on behind the last one that was heard
        counts = [(r.number, r.key, r.at + offset, r.ask, r.outcome) for r in told]
        said: list[tuple[Any, ...]] = [
            ("recount", *counts[start : start + _AT_ONCE]) for start in range(0, len(counts), _AT_ONCE)
        ]
        ended = {record.number: record.outcome or () for record in self._ended}
        # What does not run here has ended; or the answer was lost on the way, and nobody has it.
        said += [("settle", lease, *ended.get(lease, _UNUSED)) for lease in leases if lease not in self._running]
        return [*said, *self._words]

    def heard(self) -> None:
        """The store knows all of it."""
        self._alone = False
        self._words.clear()
        if self._ended:
            self._trim(self._ended[-1].at)

    def _trim(self, now: float) -> None:
        while len(self._ended) > _RECENT and self._ended[0].at < now - self._kept_s:
            self._ended.popleft()
