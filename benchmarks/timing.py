"""Timing in turns: every contender runs once in each round, and rounds are compared with themselves.

A machine that others use is faster in one second than in the next. What runs in the same round has met the same
moment, so differences and ratios are formed within a round, and the median is taken over the rounds. What one thread
does is timed by the processor time of the process, which leaves out what others on the machine did meanwhile (nothing
here ever waits); threads and tasks together are timed by the clock.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import threading
import time
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["LOOPS", "Contender", "Rounds", "run_in_threads", "take_turns"]


def _function(function: Callable[[], Any], calls: int) -> float:
    started = time.process_time()
    for _ in repeat(None, calls):
        function()
    return time.process_time() - started


def _generator(function: Callable[[], Any], calls: int) -> float:
    started = time.process_time()
    for _ in repeat(None, calls):
        for _item in function():
            pass
    return time.process_time() - started


def _coroutine(function: Callable[[], Any], calls: int) -> float:
    async def loop() -> float:
        started = time.process_time()
        for _ in repeat(None, calls):
            await function()
        return time.process_time() - started

    return asyncio.run(loop())


def _async_generator(function: Callable[[], Any], calls: int) -> float:
    async def loop() -> float:
        started = time.process_time()
        for _ in repeat(None, calls):
            async for _item in function():
                pass
        return time.process_time() - started

    return asyncio.run(loop())


LOOPS = {
    "function": _function,
    "coroutine": _coroutine,
    "generator": _generator,
    "async generator": _async_generator,
}


def run_in_threads(function: Callable[[], Any], calls: int, threads: int) -> float:
    """Seconds that so many calls take, shared out among so many threads that start together."""
    each = max(1, calls // threads)
    together = threading.Barrier(threads)
    spans: list[tuple[float, float]] = []

    def work() -> None:
        together.wait()
        started = time.perf_counter()
        for _ in repeat(None, each):
            function()
        spans.append((started, time.perf_counter()))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = max(ended for _, ended in spans) - min(started for started, _ in spans)
    return took * calls / (each * threads)


@dataclass
class Contender:
    """What is timed.

    Attributes:
        name: How it is called.
        run: Runs so many calls, and returns the seconds that they took.
        most: The most calls that it can do in a round.
        calls: The calls of a round; found out by ``take_turns``.
    """

    name: str
    run: Callable[[int], float]
    most: int = 1_000_000
    calls: int = 0


@dataclass
class Rounds:
    """Nanoseconds per call, by contender and round."""

    times: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """A contender's median."""
        return statistics.median(self.times[name])

    def added(self, name: str, base: str = "bare") -> float:
        """What it adds to the bare call: the median over the rounds."""
        return statistics.median(self._added(name, base))

    def ratio(self, name: str, other: str, base: str = "bare") -> float:
        """What it adds, against what another adds, round by round."""
        pairs = zip(self._added(name, base), self._added(other, base), strict=True)
        return statistics.median(one / two for one, two in pairs)

    def _added(self, name: str, base: str) -> list[float]:
        return [one - two for one, two in zip(self.times[name], self.times[base], strict=True)]

    def summary(self, base: str = "bare", against: str = "tenacity") -> dict[str, dict[str, float]]:
        """Medians and ratios of all, for the record."""
        found = {}
        for name in self.times:
            row = {"ns": round(self.median(name), 1)}
            if name != base:
                row["added_ns"] = round(self.added(name, base), 1)
                row["times_bare"] = round(self.added(name, base) / self.median(base), 2)
                if against in self.times:
                    row[f"of_{against}"] = round(self.ratio(name, against, base), 4)
            found[name] = row
        return found


def _calls_in(contender: Contender, seconds: float) -> int:
    """How many calls take about so long: found out step by step, since threads take their time to get going."""
    sample, last = min(contender.most, 20), float("inf")
    while True:
        took = max(contender.run(sample) / sample, 2e-8)
        calls = max(5, min(contender.most, int(seconds / took)))
        if took > last / 2 or calls <= sample * 5:
            return calls
        sample, last = calls // 5, took


def take_turns(contenders: Sequence[Contender], *, rounds: int, seconds: float) -> Rounds:
    """Run all in turn, ``rounds`` times, each for about ``seconds`` in a round.

    The collector stays on, as it is in a user's program; it is run before each turn, so that nobody pays for another.
    """
    for contender in contenders:
        contender.run(min(contender.most, 20))  # the first time is for caches and imports
        contender.calls = _calls_in(contender, seconds)
    found = Rounds({contender.name: [] for contender in contenders})
    for number in range(rounds):
        start = number % len(contenders)
        for contender in [*contenders[start:], *contenders[:start]]:
            gc.collect()
            took = contender.run(contender.calls)
            found.times[contender.name].append(took / contender.calls * 1e9)
    return found
