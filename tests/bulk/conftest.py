"""What tests of runs share: no thread of a run outlives its test, and functions that wait until they are let go."""

from __future__ import annotations

import gc
import threading

import pytest

from stable_openai import KeyPool, ManualClock

OURS = ("stable_openai bulk", "stable_openai checkpoint")
PATIENCE = 20.0  # seconds until something that hangs is a failure


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    left = [thread for thread in threading.enumerate() if thread.name.startswith(OURS)]
    if left:
        gc.collect()
    for thread in left:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"{thread.name} is left"


class Doors:
    """``doors(item)`` waits until ``doors.open(item)``, and returns ten times the item."""

    def __init__(self):
        self._inside = threading.Semaphore(0)
        self._doors = {}
        self._lock = threading.Lock()
        self._all = False
        self.entered = []

    def _door(self, item):
        with self._lock:
            door = self._doors.setdefault(item, threading.Event())
            if self._all:
                door.set()
            return door

    def __call__(self, item):
        with self._lock:
            self.entered.append(item)
        self._inside.release()
        assert self._door(item).wait(PATIENCE)
        return item * 10

    def wait_for(self, count):
        """Until so many more have come in."""
        for _ in range(count):
            assert self._inside.acquire(timeout=PATIENCE)

    def open(self, *items):
        for item in items:
            self._door(item).set()

    def open_all(self):
        with self._lock:
            self._all = True
            for door in self._doors.values():
                door.set()


@pytest.fixture
def doors():
    doors = Doors()
    yield doors
    doors.open_all()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def pool(clock):
    """Two keys, on a clock that is moved by hand."""
    with KeyPool(["sk-bulk-aaaaaaaaaaaaaaaaaaaa", "sk-bulk-bbbbbbbbbbbbbbbbbbbb"], clock=clock) as pool:
        yield pool
