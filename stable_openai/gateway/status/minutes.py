"""Requests of each of the last minutes, sampled: of the keys' counts nothing older is kept than the last look."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.stores.snapshots import KeyStatus

__all__ = ["KEPT", "Minutes"]

KEPT: Final = 60
_MINUTE: Final = 60.0


class Minutes:
    """How many requests were granted a key in each minute.

    Args:
        now: The moment of its making, in monotonic seconds: its minutes are counted from there.
    """

    def __init__(self, now: float) -> None:
        self._begun = now
        self._counts: deque[int] = deque([0], KEPT)
        self._minute = 0
        self._uses: dict[str, int] | None = None

    def add(self, statuses: Iterable[KeyStatus], now: float) -> dict[str, int]:
        """Count what has come since the last look; by key, where there was any."""
        uses = {status.name: status.uses for status in statuses}
        before, self._uses = self._uses, uses
        if before is None:
            return {}  # what was before the gateway is in no minute of its own
        came = {name: count - before.get(name, 0) for name, count in uses.items()}
        # A key that was removed and added again, or whose counts a store has lost, counts from 0 anew.
        came = {name: count if count > 0 else uses[name] for name, count in came.items() if count}
        self._move_to(now)
        self._counts[-1] += sum(came.values())
        return came

    def _move_to(self, now: float) -> None:
        minute = int((now - self._begun) / _MINUTE)
        self._counts.extend([0] * min(minute - self._minute, KEPT))
        self._minute = max(minute, self._minute)

    def counts(self, now: float) -> list[int]:
        """Each of the last minutes since it was made, the one that runs last."""
        self._move_to(now)
        return list(self._counts)
