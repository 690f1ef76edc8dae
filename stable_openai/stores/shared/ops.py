"""What one process has to say to all: ops, each one entry of the journal.

But a call that has ended well, with nothing else to be told of it, needs no entry of its own: it rides with the op that
comes after it, by its number. So a lease costs one entry rather than two.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, Final

from .steps import STRANGER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["UNSAID", "LeaseRef", "Op", "seated"]

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


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

    @property
    def rides(self) -> bool:
        """Whether it says that a call has ended well, and no more."""
        return len(self.rest) == 1 and self.kind == "settle"

    def text(self, worker: str, riders: Sequence[Op] = ()) -> str:
        """Its entry. The usual ones are put together by hand, as JSON would have them, at a fifth of the cost."""
        rest = self.rest
        number = f"[{self.number},{','.join([str(op.rest[0]) for op in riders])}]" if riders else self.number
        if self.kind == "grant" and len(rest) == 3:  # noqa: PLR2004  # nothing special
            model = "null" if rest[0] is None else quoted(rest[0])
            return f'["{worker}",{number},"grant",{model},{rest[1]},{rest[2]}]'
        if self.rides:
            return f'["{worker}",{number},"settle",{rest[0]}]'
        return f'["{worker}",{number},{_encode([self.kind, *rest])[1:]}'

    def __repr__(self) -> str:
        return f"<Op {self.number} {self.kind} {self.result!r}>"


class LeaseRef:
    """What a grant of this store is to it: this worker's number for it."""

    __slots__ = ("ended", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.ended = False


def seated(ops: Sequence[Op]) -> list[tuple[Op, Sequence[Op]]]:
    """The ops that become an entry each, and those that ride with them."""
    if len(ops) == 1:
        return [(ops[0], ())]
    found: list[tuple[Op, Sequence[Op]]] = []
    riders: list[Op] = []
    for place, op in enumerate(ops, 1):
        if op.rides and place < len(ops):
            riders.append(op)
        else:
            found.append((op, riders))
            riders = []
    return found
