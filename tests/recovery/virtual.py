"""Crawls in virtual time: the pool and the simulator's engine on one clock that jumps from event to event."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from stable_openai import Answer, KeyPool, ManualClock, NoKeyAvailable
from stable_openai.failover.calls import Call
from stable_openai.failover.patience import Patience
from stable_openai.simulator import Provider, Request


class ProviderError(Exception):
    """What the client would raise: it carries the answer, as a client's exception does."""

    def __init__(self, reply):
        super().__init__(reply.status)
        self.status_code = reply.status
        self.response = self
        self.headers = dict(reply.headers)
        self.body = reply.body


@dataclass
class Crawl:
    """A crawl's outcome, with what the provider saw."""

    provider: Provider
    clock: ManualClock
    answered: int = 0
    lost: list = field(default_factory=list)
    log: list = field(default_factory=list)  # (moment, key, outcome)
    keys_of: dict = field(default_factory=dict)

    def rejections(self, since=0.0, until=float("inf")):
        return Counter(key for at, key, outcome in self.log if outcome != "served" and since <= at < until)

    def served(self, since=0.0, until=float("inf")):
        return sum(1 for at, _, outcome in self.log if outcome == "served" and since <= at < until)


async def _drain():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:
        await asyncio.sleep(0)


async def run(clock, tasks, until=None):
    """Let the tasks run, moving the clock whenever all of them wait."""
    pending = list(tasks)
    await _drain()
    while not all(task.done() for task in pending):
        next_at = clock._alarms.next_at()
        if next_at is None or (until is not None and next_at > until):
            break
        clock.advance(max(next_at - clock.monotonic(), 0.0))
        await _drain()
    for task in pending:
        if not task.done():
            task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def crawl(
    pool: KeyPool,
    provider: Provider,
    clock: ManualClock,
    *,
    requests=10**9,
    workers=32,
    seconds=None,
    latency=0.5,
    travel=None,
    see_headers=True,
    model="gpt-4o",
    prompt=lambda number: f"prompt {number}",
    affinity=None,
    at=(),
    patience=None,
):
    """Crawl for so many requests or seconds.

    ``at`` holds (second, action) pairs, in seconds from the start; ``travel`` the least and the most seconds that a
    request is on its way.
    """
    result = Crawl(provider, clock)
    chance = random.Random(1)
    start = clock.monotonic()
    numbers = iter(range(requests))
    for second, action in at:
        clock.call_at(start + second, action)

    async def attempt_once(key, name, number):
        if travel is not None:
            await clock.asleep(chance.uniform(*travel))
        reply = provider.reply(
            Request(key.secret, model=model, prompt=prompt(number)), clock.monotonic() - start, hold=False
        )
        result.log.append((clock.monotonic() - start, name, "served" if reply.ok else reply.outcome))
        await clock.asleep(latency)
        if reply.fate.name == "RESET":
            raise ConnectionResetError("the connection was reset")
        if not reply.ok:
            raise ProviderError(reply)
        return reply

    async def one(number):
        call = Call(pool, patience or Patience(), model)
        if affinity is not None:
            call.ask.affinity = affinity(number)
        async for attempt in call.attempts():
            with attempt:
                reply = await attempt_once(attempt.key, attempt.grant.name, number)
                if see_headers:
                    attempt.see(Answer(reply.status, dict(reply.headers), reply.body))
                result.answered += 1
                result.keys_of.setdefault(number, attempt.grant.name)
                return

    async def worker():
        for number in numbers:
            if seconds is not None and clock.monotonic() - start >= seconds:
                return
            try:
                await one(number)
            except (ProviderError, ConnectionError, NoKeyAvailable) as error:
                result.lost.append((number, error))

    async def main():
        tasks = [asyncio.ensure_future(worker()) for _ in range(workers)]
        await run(clock, tasks, None if seconds is None else start + seconds)

    asyncio.run(main())
    return result
