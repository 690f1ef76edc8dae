"""What takes a function over many items: ours, and what one would otherwise pick, with as many workers each.

The function does nothing, so that what is seen is what each item costs beside it.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING, Final

import stable_openai

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

__all__ = ["IN_TASKS", "IN_THREADS", "WORKERS", "go_through"]

WORKERS: Final = 8
_files = count()


def _same(item: int) -> int:
    return item


async def _asame(item: int) -> int:
    return item


# -- threads


def _map(items: Iterable[int], folder: str) -> Iterator[int]:  # noqa: ARG001  # as all have it
    return stable_openai.map(_same, items, workers=WORKERS, progress=False)


def _map_checkpoint(items: Iterable[int], folder: str) -> Iterator[int]:
    path = Path(folder) / f"{next(_files)}.jsonl"
    return stable_openai.map(_same, items, workers=WORKERS, progress=False, checkpoint=path, id=str)


def _executor(items: Iterable[int], folder: str) -> Iterator[int]:  # noqa: ARG001
    with ThreadPoolExecutor(WORKERS) as executor:
        yield from executor.map(_same, items)


def _executor_lines(items: Iterable[int], folder: str) -> Iterator[int]:
    """As people keep results: a line each, flushed, so that they outlive the process (but no loss of power)."""
    with ThreadPoolExecutor(WORKERS) as executor, (Path(folder) / f"{next(_files)}.jsonl").open("w") as file:
        for number, value in enumerate(executor.map(_same, items)):
            file.write(json.dumps({"id": str(number), "value": value}) + "\n")
            file.flush()
            yield value


def _thread_pool(items: Iterable[int], folder: str) -> Iterator[int]:  # noqa: ARG001
    with ThreadPool(WORKERS) as pool:
        yield from pool.imap(_same, items)


# -- tasks


def _amap(items: Iterable[int], folder: str) -> AsyncIterator[int]:  # noqa: ARG001
    return stable_openai.amap(_asame, items, workers=WORKERS, progress=False)


def _amap_checkpoint(items: Iterable[int], folder: str) -> AsyncIterator[int]:
    path = Path(folder) / f"{next(_files)}.jsonl"
    return stable_openai.amap(_asame, items, workers=WORKERS, progress=False, checkpoint=path, id=str)


async def _gather(items: Iterable[int], folder: str) -> AsyncIterator[int]:  # noqa: ARG001
    limit = asyncio.Semaphore(WORKERS)

    async def one(item: int) -> int:
        async with limit:
            return await _asame(item)

    for value in await asyncio.gather(*(one(item) for item in items)):
        yield value


IN_THREADS: Final[dict[str, Callable[[Iterable[int], str], Iterator[int]]]] = {
    "ThreadPoolExecutor.map": _executor,
    "ThreadPool.imap": _thread_pool,
    "stable_openai: map": _map,
    "ThreadPoolExecutor.map, a line each": _executor_lines,
    "stable_openai: map, checkpoint": _map_checkpoint,
}
IN_TASKS: Final[dict[str, Callable[[Iterable[int], str], AsyncIterator[int]]]] = {
    "asyncio.gather, a semaphore": _gather,
    "stable_openai: amap": _amap,
    "stable_openai: amap, checkpoint": _amap_checkpoint,
}


def go_through(name: str, items: Iterable[int], folder: str, see: Callable[[int], object] = bool) -> None:
    """Have a contender do all items, and look at each value as it comes.

    Args:
        name: The contender.
        items: What it is to do.
        folder: Where it may write.
        see: Called with the number of each value.
    """
    if name in IN_THREADS:
        for number, _ in enumerate(IN_THREADS[name](items, folder), 1):
            see(number)
        return

    async def main() -> None:
        number = 0
        async for _ in IN_TASKS[name](items, folder):
            number += 1
            see(number)

    asyncio.run(main())
