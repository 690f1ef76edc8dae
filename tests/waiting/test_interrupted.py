"""Interrupted at any moment, as by Ctrl-C: no key drops out of use, and the store is not left locked."""

from __future__ import annotations

import inspect
import sys

import pytest

from stable_openai import KeyPool, ManualClock, stable
from stable_openai.stores.memory import MemoryStore

pytestmark = pytest.mark.in_memory
FOLDER = MemoryStore.__module__.rpartition(".")[0].replace(".", "/")
KEYS = [f"sk-interrupted-{name}" for name in "abc"]


class Interrupts:
    """Raises ``KeyboardInterrupt`` once in what the stores do, where Python looks for signals: after a call.

    What was called has done its work then, and nobody gets what it returned.
    """

    def __init__(self, moment):
        self.left = moment

    def __enter__(self):
        sys.setprofile(self.profile)

    def __exit__(self, *failure):
        sys.setprofile(None)

    def profile(self, frame, event, _argument):
        ours = FOLDER in frame.f_code.co_filename.replace("\\", "/")
        if event in ("return", "c_return") and ours and not frame.f_code.co_flags & inspect.CO_GENERATOR:
            if not self.left:
                sys.setprofile(None)
                raise KeyboardInterrupt
            self.left -= 1


def interrupted_everywhere(make, act):
    """Do it in a new pool for each of its moments, interrupted there; the pools as they are left."""
    moment, ended = 0, False
    while not ended:
        pool = make()
        try:
            with Interrupts(moment):
                act(pool)
            ended = True
        except KeyboardInterrupt:
            yield pool
        pool.close()
        moment += 1
    assert moment > 5, "there was nothing to be interrupted"


def served(pool, in_thread):
    """The keys of the next calls, in another thread: the lock must be free."""
    found = []

    def call():
        for _ in range(100):  # by chance, few come up late
            lease = pool.acquire("gpt-4o", tokens=1, max_wait=0)
            found.append(lease.key.secret)
            lease.settle()

    in_thread(call).join()
    return set(found)


@pytest.mark.parametrize("strategy", ["round-robin", "random", "least-used", "weighted"])
def test_the_hot_path(strategy, in_thread):
    """A decorated function with nothing in its way: the choice."""

    def make():
        pool = KeyPool(KEYS, strategy=strategy)
        ask(pool)
        return pool

    def ask(pool):
        stable(pool=pool)(lambda api_key: api_key)()

    for pool in interrupted_everywhere(make, ask):
        assert served(pool, in_thread) == set(KEYS)


def test_a_closer_look(in_thread):
    """A choice among keys of which some rest, and are passed over, and wake."""

    def make():
        clock = ManualClock()
        pool = KeyPool(KEYS, clock=clock, rpm=600, tpm=6_000, strategy="least-used")
        for tokens in (5_000, 2_000):
            pool.acquire("gpt-4o", tokens=tokens).settle()
        clock.advance(61)
        return pool

    def act(pool):
        pool.acquire("gpt-4o", tokens=500).settle()

    for pool in interrupted_everywhere(make, act):
        pool.clock.advance(120)
        assert served(pool, in_thread) == set(KEYS)
