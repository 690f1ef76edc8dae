"""What an item costs, by the clock: all in turn, round by round."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.tables import spell_ns, table

from .contenders import IN_TASKS, IN_THREADS, go_through

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["measure", "show"]

BASES: Final = {
    "stable_openai: map": "ThreadPoolExecutor.map",
    "ThreadPool.imap": "ThreadPoolExecutor.map",
    "stable_openai: map, checkpoint": "ThreadPoolExecutor.map, a line each",
    "stable_openai: amap": "asyncio.gather, a semaphore",
    "stable_openai: amap, checkpoint": "stable_openai: amap",
}


def measure(rounds: int, items: int) -> dict[str, dict[str, float]]:
    """Time them with so many items each, threads and files made and closed included; compare them within a round."""
    names = [*IN_THREADS, *IN_TASKS]
    found: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            go_through(name, iter(range(100)), folder)  # the first time is for caches and imports
        for number in range(rounds):
            turn = number % len(names)
            for name in [*names[turn:], *names[:turn]]:
                gc.collect()
                started = time.perf_counter()
                go_through(name, iter(range(items)), folder)
                found[name].append((time.perf_counter() - started) / items)
    return {name: _row(name, found) for name in names}


def _row(name: str, found: Mapping[str, list[float]]) -> dict[str, float]:
    row = {"us": round(statistics.median(found[name]) * 1e6, 2)}
    base = BASES.get(name)
    if base is not None:
        pairs = zip(found[name], found[base], strict=True)
        row["of_base"] = round(statistics.median(one / two for one, two in pairs), 2)
    return row


def show(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the table."""
    lines = [
        [name, spell_ns(row["us"] * 1e3), row.get("of_base", ""), BASES.get(name, "")] for name, row in rows.items()
    ]
    print(table(["an item that does nothing", "time", "of", ""], lines))
    print("  with a checkpoint, each line is on the disk (fsync) before it is handed out\n", flush=True)
