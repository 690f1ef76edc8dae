"""A pool whose store is lost: this worker goes on with what it knows, and its part of each limit."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from stable_openai.stores.protocol import Refusal

from .journal import Entry
from .outcomes import REJECTION, STATED
from .portions import Portions
from .steps import STRANGER, dismiss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .link import Link

__all__ = ["Alone"]

_NEVER: Final = float("inf")
_DESCRIBES: Final = frozenset({"assign", "configure", "keys", "owner"})  # after which limits are to be divided again


class Alone:
    """A copy of a replica in which nobody else is left.

    Args:
        link: The link that was cut; its replica stays as it is, for the day when it is mended.

    Attributes:
        replica: The copy.
        workers: How many share the limits.
        review_at: When the calls that others had running are no longer expected to run.
    """

    def __init__(self, link: Link) -> None:
        self.replica = replica = link.replica.copy()
        names = replica.workers.names()
        if link.name not in names:
            names.append(link.name)
        self.workers = len(names)
        others = [worker for worker in replica.workers if worker.name != link.name]
        running = Counter(lane for worker in others for grant in worker.leases.values() for lane in grant.state.lanes)
        for worker in others:
            dismiss(replica, worker)
        replica.ahead = 0.0  # it is in the link's time already
        self._link = link
        self._seq = 0
        self.review_at = link.now() + link.lease_ttl if running else _NEVER
        self._introduce(link.now())
        self._portions = Portions(self.workers, names.index(link.name), running)
        self._portions.divide(replica.engine.roster)

    def _introduce(self, now: float) -> None:
        """There is nobody who would give this worker up, however long it is silent."""
        self._apply(0, "join", (_NEVER, self._link.calls, list(self._link.held)), now)
        self.replica.workers.review_at = _NEVER

    def say(self, number: int, kind: str, rest: Sequence[Any], now: float) -> Any:
        """Take an entry that the store can't take; returns what came of it."""
        if now >= self.review_at:
            self.review_at = _NEVER
            self._portions.let_go()
        if kind == "settle" and self.workers > 1:
            rest = _without_numbers(rest)
        result = self._apply(number, kind, rest, now)
        if result is STRANGER:
            self._introduce(now)
            result = self._apply(number, kind, rest, now)
        if kind in _DESCRIBES:
            self._portions.divide(self.replica.engine.roster)
        if isinstance(result, Refusal) and result.at == _NEVER and self._portions.starved:
            return Refusal(_NEVER, pending=True)  # the store may come back, and have something for this worker
        return result

    def _apply(self, number: int, kind: str, rest: Sequence[Any], now: float) -> Any:
        self._seq += 1
        text = json.dumps([self._link.name, number, kind, *rest], separators=(",", ":"))
        return self.replica.apply(Entry(self._seq, now, text))[2]


def _without_numbers(settled: Sequence[Any]) -> list[Any]:
    """A settlement without what the answer says of limits: it speaks of the whole, here is only a part.

    The store is told of it later.
    """
    rest = list(settled)
    if len(rest) > 1:
        rest[1 + REJECTION], rest[1 + STATED] = None, []  # behind the lease's number
    return rest
