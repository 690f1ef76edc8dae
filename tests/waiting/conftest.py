"""Waiting without sleeping: a clock that stands still, and waiters that are looked at instead of waited for."""

from __future__ import annotations

import threading

import pytest

from stable_openai import KeyPool, ManualClock
from stable_openai.pool.waiting import Waiter
from stable_openai.stores.protocol import Ask, Grant, Outcome


class Recorder(Waiter):
    """Waits without a thread: what was delivered can be looked at."""

    __slots__ = ("pool",)

    def deliver(self):
        return True

    @property
    def secret(self):
        return str(self.result.key.secret) if isinstance(self.result, Grant) else None

    def settle(self):
        self.pool.settle(self.result, Outcome(success=True))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make_pool(clock):
    pools = []

    def make(keys=("sk-waiting-aaaaaaaaaaaaaaaaaaaa",), **options):
        pool = KeyPool(keys, clock=clock, **options)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def queue_up():
    """Let a recorder stand in line."""

    def queue_up(pool, model=None, tokens=0, max_wait=None):
        deadline = pool.store.now() + (pool.max_wait if max_wait is None else max_wait)
        waiter = Recorder(Ask(model, tokens, call=pool.line.ticket()), deadline)
        waiter.pool = pool
        pool.line.join(waiter)
        return waiter

    return queue_up


@pytest.fixture
def in_thread():
    """Run a function in a thread; ``join`` gives its value or raises what it raised."""
    started = []

    class Running:
        def __init__(self, function):
            self.value = self.error = None
            self.thread = threading.Thread(target=self._run, args=(function,), daemon=True)
            started.append(self.thread)
            self.thread.start()

        def _run(self, function):
            try:
                self.value = function()
            except BaseException as error:  # noqa: BLE001  # handed on by join
                self.error = error

        def join(self):
            self.thread.join(20)
            assert not self.thread.is_alive(), "still waiting"
            if self.error is not None:
                raise self.error
            return self.value

    yield Running
    for thread in started:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def until():
    """Wait (without sleeping for a while) until so many stand in a pool's line."""

    def until(pool, waiting):
        pause = threading.Event()
        for _ in range(20_000):
            if len(pool.line) == waiting:
                return
            pause.wait(0.0005)
        raise AssertionError(f"{len(pool.line)} wait, not {waiting}")

    return until
