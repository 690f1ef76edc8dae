"""One run of the demo: the simulator, the pool and the crawl together, and who looks on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import openai

from stable_openai import KeyPool
from stable_openai.simulator import Simulator, demo_keys

from .asking import make_ask, make_async_ask
from .crawl import Crawl, run_tasks, run_threads
from .journal import Entry, Journal
from .population import LATENCY_S, best_seconds, make_prompts, requests_per_minute, told_keys
from .summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stable_openai import KeyStatus
    from stable_openai.simulator import SimKey, Stats

__all__ = ["Plan", "Rehearsal", "View"]

_FRAME_S: Final = 0.125
_LAST_S: Final = 3.0  # after Ctrl-C, for what is on its way


@dataclass(frozen=True)
class Plan:
    """What is to be run; the options of the command."""

    requests: int
    workers: int
    minute: float
    seed: int
    use_tasks: bool = False
    max_wait: float = 120.0
    error_rate: float = 0.0
    strategy: str = "round-robin"


class View(Protocol):
    """Who looks on."""

    def say(self, text: str) -> None:
        """Show a line."""

    def show(self, crawl: Crawl, statuses: Sequence[KeyStatus], entries: Sequence[Entry]) -> None:
        """Show how things stand."""


class Rehearsal:
    """A crawl of the demo.

    Attributes:
        keys: The simulator's keys.
        journal: The pool's events.
        crawl: The prompts and their answers.
        stats: What the simulator saw, once it is over.
        began: When the crawl began, in seconds of the simulator.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.keys: list[SimKey] = demo_keys(plan.seed)
        self.simulator = Simulator(
            self.keys,
            minute=plan.minute,
            seed=plan.seed,
            latency_s=LATENCY_S,
            server_error_rate=plan.error_rate,
            log_length=max(100_000, 8 * plan.requests),
        )
        self.settings = self.simulator.provider.settings
        self.pool = KeyPool(told_keys(self.keys), minute=plan.minute, strategy=plan.strategy, max_wait=plan.max_wait)
        self.journal = Journal(self.simulator.now)
        self.pool.on_event(self.journal)
        self.crawl = Crawl(make_prompts(plan.requests, plan.seed))
        self.stats: Stats = self.simulator.stats()
        self.began = 0.0

    def run(self, view: View) -> Summary:
        """Run it to its end, or to Ctrl-C."""
        interrupted = False
        with self.simulator, self.pool:
            view.say(self._greeting())
            work = self._work()
            self.began = self.simulator.now()
            self.crawl.start(work)
            try:
                while not self.crawl.wait(_FRAME_S):
                    self._show(view)
            except KeyboardInterrupt:
                interrupted = True
                self.crawl.stop()
                self.pool.close()  # those who wait for a key are sent away; what is on its way is let finish
                self.crawl.wait(_LAST_S)
            self._show(view)
            self.stats = self.simulator.stats()
        return self._summarise(interrupted=interrupted)

    def _show(self, view: View) -> None:
        view.show(self.crawl, self.pool.status(), tuple(self.journal.entries))

    def _greeting(self) -> str:
        plan = self.plan
        return (
            f"{plan.requests} requests, {plan.workers} {'tasks' if plan.use_tasks else 'threads'}, "
            f"6 keys: 1 dead, 1 unpaid, 1 slow; a minute takes {plan.minute:g} s"
        )

    def _work(self) -> Callable[[], Any]:
        """What the workers do, and with which connections. Proxies of the environment are none of the loopback's."""
        crawl, workers, url = self.crawl, self.plan.workers, self.simulator.base_url
        if self.plan.use_tasks:
            ahttp = openai.DefaultAsyncHttpxClient(trust_env=False)

            async def with_tasks() -> None:
                async with ahttp:
                    await run_tasks(crawl, make_async_ask(self.pool, url, ahttp), workers)

            return lambda: asyncio.run(with_tasks())
        http = openai.DefaultHttpxClient(trust_env=False)

        def with_threads() -> None:
            with http:
                run_threads(crawl, make_ask(self.pool, url, http), workers)

        return with_threads

    def _summarise(self, *, interrupted: bool) -> Summary:
        plan = self.plan
        return summarise(
            self.crawl,
            self.stats,
            self.keys,
            self.pool.status(),
            best_seconds=best_seconds(self.keys, self.settings, plan.requests),
            per_minute=requests_per_minute(self.keys),
            minute=plan.minute,
            workers=plan.workers,
            uses="tasks" if plan.use_tasks else "threads",
            seed=plan.seed,
            interrupted=interrupted,
        )
