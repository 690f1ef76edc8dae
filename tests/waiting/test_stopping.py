"""Threads that are told to stop: those that only wait give up at once, and nothing else notices."""

from __future__ import annotations

import contextvars
import threading

import pytest

from stable_openai import ManualClock, stable
from stable_openai.pool import stopping

PATIENCE = 20.0


class Refused(Exception):
    """A provider's error, as any library's exception carries it."""

    def __init__(self, status):
        super().__init__(f"HTTP {status}")
        self.status_code, self.headers, self.body = (
            status,
            {},
            {"error": {"message": "trouble", "code": "server_error"}},
        )


class TellingClock(ManualClock):
    """Tells when somebody rests on it."""

    def __init__(self):
        super().__init__()
        self.alarms = []
        self.is_set = threading.Event()

    def call_at(self, when, callback):
        alarm = super().call_at(when, callback)
        if callback.__qualname__.startswith("rest."):
            self.alarms.append(alarm)
            self.is_set.set()
        return alarm


@pytest.fixture
def clock():
    return TellingClock()


def asleep(stop):
    """Wait (without sleeping for a while) until somebody waits under it."""
    pause = threading.Event()
    for _ in range(20_000):
        if stop._wakes:
            return
        pause.wait(0.0005)
    raise AssertionError("nobody waits")


def under(stop, function):
    """Call a function in a context whose calls ``stop`` stops."""

    def inside():
        stopping.current.set(stop)
        return function()

    return lambda: contextvars.copy_context().run(inside)


def test_who_waits_for_a_key_wakes_and_leaves_no_trace(make_pool, in_thread, until, queue_up):
    """Out of the line, nothing in flight; the next in line is served as if it had never been."""
    pool, stop = make_pool(max_concurrency=1), stopping.Stopping()
    running = pool.acquire()
    waiting = in_thread(under(stop, pool.acquire))
    until(pool, 1)
    behind = queue_up(pool)
    stop.stop()
    with pytest.raises(stopping.Stopped):
        waiting.join()
    assert len(pool.line) == 1
    running.settle()
    assert behind.secret is not None
    behind.settle()
    assert (pool.status()[0].in_flight, pool.status()[0].uses) == (0, 2)
    assert stop._wakes == {}


def test_who_comes_later_does_not_wait_at_all(make_pool, in_thread):
    """It was said before: whoever would have to wait gives up instead."""
    pool, stop = make_pool(max_concurrency=1), stopping.Stopping()
    running = pool.acquire()
    stop.stop()
    with pytest.raises(stopping.Stopped):
        in_thread(under(stop, pool.acquire)).join()
    assert len(pool.line) == 0
    running.settle()


def test_what_was_handed_over_meanwhile_is_used(make_pool, in_thread):
    """A key that had come before the word did is taken, and given back by whoever has it."""
    pool, stop = make_pool(max_concurrency=1), stopping.Stopping()
    running = pool.acquire()
    waiting = in_thread(under(stop, pool.acquire))
    asleep(stop)
    running.settle()
    stop.stop()
    waiting.join().settle()
    assert pool.status()[0].in_flight == 0


def test_who_rests_in_back_off_wakes(make_pool, in_thread, clock):
    """Between two attempts of a decorated function; the alarm is forgotten, and no second attempt is made."""
    calls = []

    @stable(pool=make_pool())
    def ask(api_key):
        calls.append(api_key)
        raise Refused(500)

    stop = stopping.Stopping()
    resting = in_thread(under(stop, ask))
    assert clock.is_set.wait(PATIENCE)
    stop.stop()
    with pytest.raises(stopping.Stopped):
        resting.join()
    assert len(calls) == 1
    assert clock.alarms[-1].cancelled


def test_a_rest_that_nobody_stops_is_as_long_as_ever(make_pool, in_thread, clock):
    """The second attempt comes when the clock says so."""
    answers = iter([Refused(500)])

    @stable(pool=make_pool())
    def ask(api_key):
        for answer in answers:
            raise answer
        return "answer"

    resting = in_thread(under(stopping.Stopping(), ask))
    assert clock.is_set.wait(PATIENCE)
    clock.advance(60)
    assert resting.join() == "answer"


def test_a_call_inside_the_function_goes_on(make_pool, in_thread):
    """Its answer is returned and counted; but there is no attempt after a failure."""
    inside, go_on = threading.Event(), threading.Event()
    pool, stop = make_pool(["sk-waiting-aaaaaaaaaaaaaaaaaaaa", "sk-waiting-bbbbbbbbbbbbbbbbbbbb"]), stopping.Stopping()

    @stable(pool=pool)
    def ask(fails, api_key):
        inside.set()
        assert go_on.wait(PATIENCE)
        if fails:
            raise Refused(401)
        return "answer"

    for fails in (False, True):
        inside.clear()
        go_on.clear()
        stop = stopping.Stopping()
        running = in_thread(under(stop, lambda fails=fails: ask(fails)))
        assert inside.wait(PATIENCE)
        stop.stop()
        go_on.set()
        if fails:
            with pytest.raises(stopping.Stopped):
                running.join()
        else:
            assert running.join() == "answer"
    assert sum(key.uses for key in pool.status()) == 2
    assert sum(key.in_flight for key in pool.status()) == 0


def test_calls_outside_notice_nothing(make_pool, in_thread, until):
    """Of two threads in one line, only the one that is under it gives up; the other is served in its turn."""
    pool, stop = make_pool(max_concurrency=1), stopping.Stopping()
    running = pool.acquire()
    waiting = in_thread(under(stop, pool.acquire))
    until(pool, 1)
    other, another = in_thread(pool.acquire), None
    until(pool, 2)
    another = in_thread(under(stopping.Stopping(), pool.acquire))
    until(pool, 3)
    stop.stop()
    with pytest.raises(stopping.Stopped):
        waiting.join()
    until(pool, 2)
    running.settle()
    other.join().settle()
    another.join().settle()


def test_it_is_said_once_and_for_good():
    """Each that waits is woken once, by the first word; who has left before is not."""
    stop, woken = stopping.Stopping(), []
    with stop.waking(lambda: woken.append("left")):
        pass
    with stop.waking(lambda: woken.append("waits")):
        stop.stop()
        stop.stop()
    assert woken == ["waits"]
    with pytest.raises(stopping.Stopped), stop.waking(lambda: woken.append("late")):
        pytest.fail("nobody begins any more")
    assert woken == ["waits"]
    contextvars.copy_context().run(stopping.check)  # no word reaches whoever is under none


def test_functions_let_it_pass():
    """What catches ``Exception`` does not catch it."""
    assert not issubclass(stopping.Stopped, Exception)
