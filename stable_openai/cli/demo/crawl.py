"""The crawl: workers, threads or tasks, that take prompts from one list until it is empty."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from stable_openai import PoolClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Crawl", "run_tasks", "run_threads"]


class Crawl:
    """What is to be asked, and what has come of it. Workers write, the screen reads; both without a lock.

    Attributes:
        prompts: All prompts.
        answers: The answers so far, by prompt.
        failures: The prompts that ended in an error, with it.
        started: When the first worker began, in seconds of ``time.monotonic``.
        ended: When the last answer had come; None while it runs.
    """

    def __init__(self, prompts: Sequence[str]) -> None:
        self.prompts = tuple(prompts)
        self.answers: dict[str, str] = {}
        self.failures: dict[str, Exception] = {}
        self.started = time.monotonic()
        self.ended: float | None = None
        self._todo = deque(self.prompts)
        self._over = threading.Event()
        self._problem: BaseException | None = None

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (time.monotonic() if self.ended is None else self.ended) - self.started

    def take(self) -> str | None:
        """The next prompt; None when there is no more."""
        try:
            return self._todo.popleft()
        except IndexError:
            return None

    def start(self, work: Callable[[], Any]) -> None:
        """Run ``work`` in a thread of its own, so that the main thread can draw and be interrupted."""
        self.started = time.monotonic()
        threading.Thread(target=self._run, args=(work,), name="stable-openai-demo", daemon=True).start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread
            self._problem = error
        self.ended = time.monotonic()
        self._over.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, at most so long; True when it has come."""
        over = self._over.wait(seconds)
        if over and self._problem is not None:
            raise self._problem
        return over

    def stop(self) -> None:
        """Let workers finish what they are at, and take nothing more."""
        self._todo.clear()


def run_threads(crawl: Crawl, ask: Callable[[str], str], workers: int) -> None:
    """Crawl with so many threads."""

    def work() -> None:
        while (prompt := crawl.take()) is not None:
            try:
                crawl.answers[prompt] = ask(prompt)
            except PoolClosed:
                return  # Ctrl-C: this prompt was not asked
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted, and the others go on
                crawl.failures[prompt] = error

    threads = [threading.Thread(target=work, name=f"crawler-{n}", daemon=True) for n in range(1, workers + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def run_tasks(crawl: Crawl, ask: Callable[[str], Awaitable[str]], workers: int) -> None:
    """Crawl with so many tasks."""

    async def work() -> None:
        while (prompt := crawl.take()) is not None:
            try:
                crawl.answers[prompt] = await ask(prompt)
            except PoolClosed:
                return  # Ctrl-C: this prompt was not asked
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted, and the others go on
                crawl.failures[prompt] = error

    await asyncio.gather(*(work() for _ in range(workers)))
