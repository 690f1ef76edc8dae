"""Async pools, one set for each event loop: what was opened in a loop belongs to it, and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any

from .transports import aclose_all

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncGenerator, Callable

    from .pools import Pools

__all__ = ["Loops"]


class _Entry:
    """A loop's pools, and the generator whose end ends them."""

    __slots__ = ("pools", "watch")

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.watch: AsyncGenerator[None, None] | None = None


class Loops:
    """The pools of each event loop in which a request was made.

    They end with their loop: ``asyncio.run`` and ``asyncio.Runner`` end the async generators of a loop before they
    close it, and one of those is ours. A loop that was closed without that is forgotten when the next one comes. Only
    its open connections hold a loop.

    Args:
        make: Makes a loop's pools.
        lock: Guards it; reentrant.
    """

    __slots__ = ("__weakref__", "_by_loop", "_closing", "_lock", "_make", "_nowhere", "_over")

    def __init__(self, make: Callable[[], Pools], lock: threading.RLock) -> None:
        self._make = make
        self._lock = lock
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Entry] = weakref.WeakKeyDictionary()
        self._closing: set[asyncio.Task[Any]] = set()
        self._over = False
        self._nowhere = make()  # for event loops that are not asyncio's: each request has connections of its own there
        self._nowhere.end()

    async def current(self) -> Pools:
        """The pools of the loop that runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._nowhere
        with self._lock:
            entry = self._by_loop.get(loop)
            if entry is None:
                if self._over:
                    return self._nowhere
                for other in [other for other in self._by_loop if other.is_closed()]:
                    del self._by_loop[other]
                entry = self._by_loop[loop] = _Entry(self._make())
        if entry.watch is None:
            entry.watch = _watch(self, loop)
            await anext(entry.watch)  # from here on the loop knows of it; it does not suspend
        return entry.pools

    def close(self) -> None:
        """Close all: in the loops where they were opened, when those come to it."""
        for loop, entry in self._leave():
            self._schedule(loop, entry)

    async def aclose(self) -> None:
        """Close all; those of the loop that runs are closed when this returns."""
        here = asyncio.get_running_loop()
        for loop, entry in self._leave():
            if loop is here:
                await aclose_all(entry.pools.end())
            else:
                self._schedule(loop, entry)

    def _leave(self) -> list[tuple[asyncio.AbstractEventLoop, _Entry]]:
        with self._lock:
            self._over = True
            return list(self._by_loop.items())

    def _schedule(self, loop: asyncio.AbstractEventLoop, entry: _Entry) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: its sockets go when they are collected
            loop.call_soon_threadsafe(self._start_closing, loop, entry)

    def _start_closing(self, loop: asyncio.AbstractEventLoop, entry: _Entry) -> None:
        task = loop.create_task(aclose_all(entry.pools.end()))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def forget(self, loop: asyncio.AbstractEventLoop) -> Pools | None:
        """A loop ends: its pools, if it has any."""
        with self._lock:
            entry = self._by_loop.pop(loop, None)
        return None if entry is None else entry.pools

    def __len__(self) -> int:
        return len(self._by_loop)


async def _watch(loops: Loops, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
    """Wait for the end of the loop, which ends its async generators; by then its requests have ended, or never will."""
    kept = weakref.ref(loop)
    del loop
    try:
        yield
    finally:
        ending = kept()
        pools = None if ending is None else loops.forget(ending)
        if pools is not None:
            await aclose_all(pools.end(by_force=True))
