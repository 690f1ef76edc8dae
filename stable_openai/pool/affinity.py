"""Affinity: a conversation stays on the key that holds its prompt cache."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Affinities"]

_MOST: Final = 10_000  # conversations that are remembered; beyond that the one that was silent longest is forgotten


class Affinities:
    """Which key each conversation is on, in bounded memory. Safe in threads."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._keys: OrderedDict[Hashable, str] = OrderedDict()
        self.start_afresh()

    def start_afresh(self) -> None:
        """Take a fresh lock, in a process that was forked."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def preferred(self, affinity: Hashable) -> str | None:
        """The name of the key that the conversation is on; None for a new one, which the strategy places."""
        with self._lock:
            name = self._keys.get(affinity)
            if name is not None:
                self._keys.move_to_end(affinity)
            return name

    def stay(self, affinity: Hashable, name: str) -> None:
        """The conversation was served by this key: there it stays."""
        with self._lock:
            self._keys[affinity] = name
            self._keys.move_to_end(affinity)
            while len(self._keys) > self._most:
                self._keys.popitem(last=False)
