"""Which HTTP client serves which origin, and when one that nobody needs any more may be closed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable

__all__ = ["Pool", "Pools"]


class Pool:
    """One httpx client with its open connections to one origin.

    Attributes:
        client: The httpx client, sync or async.
        users: How many requests run over it, their answers' bodies included.
        leaving: Whether it is out of the register, to be closed when the last request has ended.
    """

    __slots__ = ("client", "leaving", "users")

    def __init__(self, client: Any) -> None:
        self.client = client
        self.users = 0
        self.leaving = False


class Pools:
    """The pools of all origins, a bounded number of them.

    The one used longest ago makes room for a new one. It is closed when no request runs over it: at once, or by the
    last one as it ends. Nothing is closed here: what is to be closed is returned, so that it happens outside of the
    lock and, where it is async, in the right event loop.

    Args:
        build: Makes an httpx client.
        most: The most origins to keep connections to.
        lock: Guards it; shared with whoever needs one with it. Reentrant: the collector may close things anywhere.
    """

    __slots__ = ("_build", "_by_origin", "_leaving", "_lock", "_most", "_over")

    def __init__(self, build: Callable[[], Any], most: int, lock: threading.RLock) -> None:
        self._build = build
        self._most = most
        self._lock = lock
        self._by_origin: OrderedDict[Hashable, Pool] = OrderedDict()
        self._leaving: set[Pool] = set()
        self._over = False

    def take(self, origin: Hashable) -> tuple[Pool, list[Pool]]:
        """Give a request its pool, and those that are to be closed now.

        After ``end`` each request gets a pool of its own, which is closed when it ends.
        """
        with self._lock:
            pool = self._by_origin.get(origin)
            idle: list[Pool] = []
            if pool is not None:
                self._by_origin.move_to_end(origin)
            else:
                pool = Pool(self._build())
                if self._over:
                    pool.leaving = True
                    self._leaving.add(pool)
                else:
                    if len(self._by_origin) >= self._most:
                        idle = self._dismiss(self._by_origin.popitem(last=False)[1])
                    self._by_origin[origin] = pool
            pool.users += 1
            return pool, idle

    def give_back(self, pool: Pool) -> list[Pool]:
        """A request has ended: what is to be closed now."""
        with self._lock:
            pool.users -= 1
            if pool.users or not pool.leaving:
                return []
            self._leaving.discard(pool)
            return [pool]

    def end(self, *, by_force: bool = False) -> list[Pool]:
        """Keep no connections from now on: what is to be closed now.

        Args:
            by_force: Those too over which requests still run.
        """
        with self._lock:
            self._over = True
            idle = [other for pool in self._by_origin.values() for other in self._dismiss(pool)]
            self._by_origin.clear()
            if by_force:
                idle += self._leaving
                self._leaving.clear()
            return idle

    def _dismiss(self, pool: Pool) -> list[Pool]:
        """Take leave of a pool that is out of the register: itself where no request runs over it."""
        if not pool.users:
            return [pool]
        pool.leaving = True
        self._leaving.add(pool)
        return []

    def __len__(self) -> int:
        with self._lock:
            return len(self._by_origin) + len(self._leaving)
