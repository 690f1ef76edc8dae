"""A lease or a stream that the collector ends while its own thread is inside the pool blocks nobody."""

from __future__ import annotations

import gc

import pytest

from stable_openai import KeyPool, stable

SECRET = "sk-collected-aaaaaaaaaaaaaaaa"


class Collecting:
    """A strategy that collects garbage under the pool's lock, as the interpreter may at any allocation."""

    on = False

    def rank(self, candidate):
        if self.on:
            self.on = False
            gc.collect()
        return 0


@pytest.fixture
def strategy():
    gc.disable()
    yield Collecting()
    gc.enable()


@pytest.mark.timeout(20)
@pytest.mark.filterwarnings("ignore:.*was never settled:ResourceWarning")
def test_a_forgotten_lease(strategy):
    """It is settled as soon as the thread has left the pool, and its place is free again."""
    pool = KeyPool([SECRET], strategy=strategy, max_concurrency=2)
    lease = pool.acquire()
    cycle = [lease]
    cycle.append(cycle)
    del lease, cycle
    strategy.on = True
    pool.acquire().settle()
    assert pool.status()[0].in_flight == 0
    assert pool.status()[0].uses == 2


@pytest.mark.timeout(20)
def test_a_forgotten_stream(strategy):
    """So is a decorated generator that nobody exhausts."""
    pool = KeyPool([SECRET], strategy=strategy)

    @stable(pool=pool)
    def stream(api_key=""):
        yield 1
        yield 2

    forgotten = stream()
    next(forgotten)
    cycle = [forgotten]
    cycle.append(cycle)
    del forgotten, cycle
    strategy.on = True
    pool.acquire().settle()
    assert pool.status()[0].in_flight == 0
