"""The waiting line of a pool whose store is elsewhere: to ask it takes time, so a thread of the store's does that.

As ``Line`` does, this one serves in the order of the tickets, and polls nothing: it asks again when the moment comes
that the store has named, when a call of this process ends, or when another process sends word. It asks for several at
once: among those, a call for which there is room may be served before one of its size for which there was none.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from stable_openai.errors import PoolClosed
from stable_openai.stores.protocol import Grant, Outcome, Refusal

from .waiting import Line

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from stable_openai.clock import Clock
    from stable_openai.stores.protocol import Ask
    from stable_openai.stores.shared.store import SharedStore

    from .groups import Round
    from .waiting import Result, Waiter

__all__ = ["RemoteLine"]

_NEVER: Final = float("inf")
_UNUSED: Final = Outcome(unused=True)
_MOST: Final = 64  # who is asked for at once, at most


class RemoteLine(Line):
    """A waiting line that asks a store for several at once, and holds no lock meanwhile.

    Args:
        store: The store.
        clock: Where alarms are set.
    """

    def __init__(self, store: SharedStore, clock: Clock) -> None:
        self._remote = store
        super().__init__(store, clock)

    def start_afresh(self) -> None:
        """Forget all who wait."""
        super().start_afresh()
        self._asking = threading.RLock()  # never entered twice; but it can tell whether this thread is inside
        self._wanted = False  # whether something has changed since the store was asked
        self._posted = False  # whether the store's thread is going to ask anyway

    # -- coming and going

    def join(self, waiter: Waiter) -> None:
        """Stand in line."""
        with self._lock:
            closed = self._closed
            if closed:
                waiter.result = _closed()
            else:
                self._enter(waiter)
        if closed:
            waiter.deliver()
            return
        self._remote.listen()
        self.serve()

    def leave(self, waiter: Waiter) -> None:
        """Leave the line; what was handed over meanwhile is given back and goes to the next."""
        with self._lock:
            if waiter.result is None:
                self._remove(waiter)
                waiter.result = Refusal(_NEVER)
        if isinstance(waiter.result, Grant):
            self._remote.settle_later(waiter.result, _UNUSED)
        if self.groups:
            self.serve()

    def close(self) -> None:
        """Send everybody away with ``PoolClosed``."""
        with self._lock:
            self._closed = True
            waiters = [waiter for group in self.groups.values() for waiter in group]
            self.groups.clear()
            for waiter in waiters:
                waiter.result = _closed()
            self._set_alarm(_NEVER)
        self._deliver(waiters)

    # -- serving

    def serve(self) -> None:
        """Have the store asked for what it can grant now."""
        self._wanted = True
        if not self._posted or self._remote.at_once:
            try:
                self._posted = True
                self._remote.hand_over(self._ask)
            except BaseException:  # interrupted: somebody else has to be able to
                self._posted = False
                raise

    def _ring(self) -> None:
        self._alarm = None
        self.serve()

    def _ask(self) -> None:
        self._posted = False
        if self._asking._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            return  # it will look again
        with self._asking:
            while self._wanted:
                self._wanted = False
                self._deliver(self._ask_for_all())

    def _ask_for_all(self) -> list[Waiter]:
        served: list[Waiter] = []
        earliest, most = _NEVER, 1
        began_at = self._store.now()
        rounds: dict[Hashable, Round] = {}
        while True:
            with self._lock:
                for kind, group in self.groups.items():
                    if kind not in rounds or rounds[kind].group is not group:  # which had been empty meanwhile
                        rounds[kind] = self._rounds([group])[0]
                heads = [head for kind in self.groups for head in rounds[kind].next(most)]
            if not heads:
                break
            heads.sort(key=lambda head: head[0].ticket)
            results = self._remote.grant_all([ask for _, ask in heads])
            try:
                with self._lock:
                    for (waiter, ask), result in zip(heads, results, strict=True):
                        if self._hands(waiter, ask, result):
                            served.append(waiter)
                        elif isinstance(result, Refusal):
                            rounds[waiter.group].refused(waiter)
                            again = self._remote.review_time() if result.pending else _NEVER
                            earliest = min(earliest, result.at, again)
            except BaseException:  # interrupted: what nobody has got yet goes back, and who has got it is told
                self._give_back(set(results).difference(waiter.result for waiter, _ in heads))
                self._deliver(served)
                raise
            most = min(2 * most, _MOST)
        with self._lock:
            expired = self._expire(began_at)  # who has to leave later may still be served: at the very moment, even
            self._set_alarm(earliest)
            deadline = self._deadlines[0][0] if self._deadlines else _NEVER
            if expired or min(earliest, deadline) <= self._store.now():  # it was time while the store was asked
                self._wanted = True
        return served + expired

    def _hands(self, waiter: Waiter, ask: Ask, result: Result | Exception) -> bool:
        """Hand a result to who waits for it; False where it goes on waiting, or has left."""
        if waiter.result is not None:
            if isinstance(result, Grant):
                self._remote.settle_later(result, _UNUSED)
            return False
        if isinstance(result, Refusal) and self._waits_on(waiter, ask, result):
            return False
        self._hand(waiter, result)
        return True

    def _give_back(self, results: Iterable[object]) -> None:
        for result in results:
            if isinstance(result, Grant):
                self._remote.settle_later(result, _UNUSED)
        self._wanted = True

    def _deliver(self, served: list[Waiter]) -> None:
        for waiter in served:
            if not waiter.deliver() and isinstance(waiter.result, Grant):
                self._remote.settle_later(waiter.result, _UNUSED)
                self.serve()


def _closed() -> PoolClosed:
    return PoolClosed("the pool was closed while this call waited for a key")
