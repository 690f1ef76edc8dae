"""In which order results are handed out: as the items came, or as they ended."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .items import Result

__all__ = ["Order"]


class Order:
    """Results that wait to be handed out.

    Args:
        by_input: Whether one waits until all before it in the input were handed out.
    """

    def __init__(self, *, by_input: bool) -> None:
        self._by_input = by_input
        self._next = 0
        self._ahead: dict[int, Result | None] = {}
        self._ready: deque[Result] = deque()

    def put(self, result: Result) -> None:
        """One has ended."""
        if self._by_input:
            self._place(result.index, result)
        else:
            self._ready.append(result)

    def skip(self, index: int) -> None:
        """Of this one there will be no result: those behind it need not wait for it."""
        if self._by_input:
            self._place(index, None)

    def _place(self, index: int, result: Result | None) -> None:
        self._ahead[index] = result
        while self._next in self._ahead:
            found = self._ahead.pop(self._next)
            self._next += 1
            if found is not None:
                self._ready.append(found)

    def pop(self) -> Result | None:
        """The next one; None where it has not ended yet."""
        return self._ready.popleft() if self._ready else None
