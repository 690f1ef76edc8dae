"""The clocks: one that stands still until it is moved, and the machine's own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stable_openai import ManualClock
from stable_openai.clock import SystemClock


def test_alarms_go_off_in_order_and_at_their_moment():
    """Inside ``advance``, each with the clock at its own time; cancelled ones do not."""
    clock, rung = ManualClock(monotonic=100.0, time=5_000.0), []
    for when in (130.0, 110.0, 120.0):
        clock.call_at(when, lambda when=when: rung.append((when, clock.monotonic(), clock.time())))
    clock.call_at(115.0, lambda: rung.append("cancelled")).cancel()
    clock.advance(25)
    assert rung == [(110.0, 110.0, 5_010.0), (120.0, 120.0, 5_020.0)]
    assert (clock.monotonic(), clock.time()) == (125.0, 5_025.0)
    clock.advance(5)
    assert rung[-1] == (130.0, 130.0, 5_030.0)


def test_an_alarm_may_set_another():
    """One that is due within the same step goes off in it."""
    clock, rung = ManualClock(monotonic=0.0), []
    clock.call_at(1.0, lambda: clock.call_at(2.0, lambda: rung.append(clock.monotonic())))
    clock.advance(3)
    assert rung == [2.0]


def test_setting_the_wall_clock_moves_no_alarm():
    """Alarms go by the monotonic clock."""
    clock, rung = ManualClock(), []
    clock.call_at(clock.monotonic() + 10, lambda: rung.append(True))
    clock.set_wall(0.0)
    clock.advance(9)
    assert not rung
    clock.advance(1)
    assert rung
    assert clock.time() == 10.0


def test_sleeping_in_a_thread():
    """It blocks until the clock was advanced so far."""
    clock, about_to, awake = ManualClock(), threading.Event(), threading.Event()

    def sleep():
        about_to.set()
        clock.sleep(5)
        awake.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    assert about_to.wait(20)
    while not clock._alarms._heap:
        awake.wait(0.0005)
    clock.advance(4.9)
    assert not awake.is_set()
    clock.advance(0.1)
    assert awake.wait(20)
    thread.join(20)


async def test_sleeping_in_a_task():
    """As in a thread."""
    clock = ManualClock()
    task = asyncio.create_task(clock.asleep(5))
    while not clock._alarms._heap:
        await asyncio.sleep(0)
    clock.advance(5)
    await task


@pytest.mark.parametrize("ahead", [0.0, -5.0, 0.001])
def test_the_machines_clock_rings(ahead):
    """An alarm that is due, overdue or soon due goes off in a thread of its own, which ends when there is none left."""
    clock, rung = SystemClock(), threading.Event()
    cancelled = clock.call_at(clock.monotonic() + 0.0005, rung.clear)
    cancelled.cancel()
    clock.call_at(clock.monotonic() + ahead, rung.set)
    assert rung.wait(20)
    thread = clock._thread
    if thread is not None:
        thread.join(20)
    assert clock._thread is None


def test_an_earlier_alarm_of_the_machines_clock_goes_first():
    """Set later, due earlier: it does not wait behind the other."""
    clock, rung = SystemClock(), threading.Event()
    late = clock.call_at(clock.monotonic() + 10_000, rung.clear)
    clock.call_at(clock.monotonic() + 0.001, rung.set)
    assert rung.wait(20)
    late.cancel()


async def test_the_machines_sleeps():
    """They are the usual ones."""
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0)
    await clock.asleep(0)
    assert clock.monotonic() >= before
    assert clock.time() > 0
