"""What is timed: a lease that is taken and settled in each store, and what a plain client takes for two round trips.

As a program it is a process that does so together with others: told by JSON on its first line of stdin, it says when it
is ready, and then runs what each further line names, as often as that says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from stable_openai import KeyPool

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PLAIN_REDIS", "PLAIN_SQLITE", "Contenders"]

PLAIN_SQLITE: Final = "two transactions"
PLAIN_REDIS: Final = "two round trips"
_LIMITS: Final = {"rpm": 1_000_000, "rpd": 100_000_000}
_UPDATE: Final = "UPDATE plain SET n = n + 1 WHERE id = ?"


class Contenders:
    """Those of one process, by name. Each runs so many times, and returns the seconds that it takes.

    What one thread does by itself is timed by processor time, which leaves out what others on the machine did
    meanwhile; where a server, tasks or other processes take part, it is timed by the clock.

    Args:
        together: Whether other processes take part.
    """

    def __init__(self, *, together: bool = False) -> None:
        self._together = together
        self._open = contextlib.ExitStack()
        self.run: dict[str, Callable[[int], float]] = {}

    def __enter__(self) -> Contenders:
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def add_pool(self, name: str, store: str, keys: int, *, tasks: bool = False) -> None:
        """A lease of a pool, taken and settled: by a thread, or by a task."""
        pool = self._open.enter_context(
            KeyPool([f"sk-{number:032d}" for number in range(keys)], store=store, **_LIMITS)
        )

        clock = time.perf_counter if self._together or store.startswith("redis") else time.process_time

        def in_thread(times: int) -> float:
            started = clock()
            for _ in range(times):
                with pool.lease():
                    pass
            return clock() - started

        async def in_task(times: int) -> float:
            started = time.perf_counter()
            for _ in range(times):
                async with pool.lease():
                    pass
            return time.perf_counter() - started

        in_thread(keys)  # each key is looked at for the first time
        self.run[name] = (lambda times: asyncio.run(in_task(times))) if tasks else in_thread

    def add_sqlite(self, name: str, path: str, *, tasks: bool = False) -> None:
        """Two plain transactions, with the settings that the store has; for a task, in a thread of their own."""
        connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._open.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS plain (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
        connection.execute("INSERT OR IGNORE INTO plain VALUES (1, 0)")

        def transaction() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_UPDATE, (1,))
            connection.execute("COMMIT")

        clock = time.perf_counter if self._together else time.process_time

        def in_thread(times: int) -> float:
            started = clock()
            for _ in range(times):
                transaction()
                transaction()
            return clock() - started

        async def in_task(times: int) -> float:
            started = time.perf_counter()
            for _ in range(times):
                await asyncio.to_thread(transaction)
                await asyncio.to_thread(transaction)
            return time.perf_counter() - started

        self.run[name] = (lambda times: asyncio.run(in_task(times))) if tasks else in_thread

    def add_redis(self, name: str, port: int, *, tasks: bool = False) -> None:
        """Two plain round trips of the client that the store uses."""
        import redis

        client = self._open.enter_context(redis.Redis(port=port))

        def in_thread(times: int) -> float:
            started = time.perf_counter()
            for _ in range(times):
                client.set("plain", "1")
                client.get("plain")
            return time.perf_counter() - started

        async def in_task(times: int) -> float:
            async with redis.asyncio.Redis(port=port) as of_loop:
                await of_loop.get("plain")  # it is connected then
                started = time.perf_counter()
                for _ in range(times):
                    await of_loop.set("plain", "1")
                    await of_loop.get("plain")
                return time.perf_counter() - started

        self.run[name] = (lambda times: asyncio.run(in_task(times))) if tasks else in_thread


def _main() -> None:
    spec: dict[str, Any] = json.loads(sys.stdin.readline())
    with Contenders(together=True) as contenders:
        for name, store in spec["pools"].items():
            contenders.add_pool(name, store, spec["keys"])
        if "path" in spec:
            contenders.add_sqlite(PLAIN_SQLITE, spec["path"])
        if "port" in spec:
            contenders.add_redis(PLAIN_REDIS, spec["port"])
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            name, times = json.loads(line)
            print(json.dumps(contenders.run[name](times)), flush=True)


if __name__ == "__main__":
    _main()
