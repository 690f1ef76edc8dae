"""What one process has to say to all: ops, each one entry of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .steps import STRANGER

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UNSAID", "Op"]


class _Unsaid:
    def __repr__(self) -> str:
        return "UNSAID"


UNSAID: Final = _Unsaid()


class Op:
    """Something to be said to all: one entry, and what came of it.

    Attributes:
        number: This worker's number for it.
        kind: What it is about.
        rest: All else.
        wake: Whether somebody who waits elsewhere should look.
        then: Called with the op once it is done, by whoever did it.
        result: What came of it; ``UNSAID`` where nobody has taken it yet.
        error: What went wrong instead.
        done: Whether either is known, and noted.
        abandoned: Whether nobody waits for it any more, so that a grant is to be given back.
    """

    __slots__ = ("abandoned", "done", "error", "kind", "number", "rest", "result", "then", "wake")

    def __init__(self, kind: str, *rest: Any, wake: bool = False, then: Callable[[Op], None] | None = None) -> None:
        self.number = 0
        self.kind = kind
        self.rest = rest
        self.wake = wake
        self.then = then
        self.result: Any = UNSAID
        self.error: BaseException | None = None
        self.done = self.abandoned = False

    @property
    def is_answered(self) -> bool:
        """Whether it is known what came of it."""
        return self.error is not None or (self.result is not UNSAID and self.result is not STRANGER)

    def __repr__(self) -> str:
        return f"<Op {self.number} {self.kind} {self.result!r}>"
