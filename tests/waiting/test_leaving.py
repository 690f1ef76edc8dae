"""Who stops waiting leaves no trace, and what was handed over to him meanwhile goes to the next."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from stable_openai import stable


async def test_a_cancelled_task_leaves_no_trace(make_pool, queue_up):
    """It is out of the line, nothing is in flight for it, and the next in line is served as if it had never been."""
    pool = make_pool(max_concurrency=1)
    running = pool.acquire()
    task = asyncio.create_task(pool.aacquire())
    while not len(pool.line):
        await asyncio.sleep(0)
    behind = queue_up(pool)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(pool.line) == 1
    running.settle()
    assert behind.secret is not None
    behind.settle()
    assert pool.status()[0].in_flight == 0


async def test_a_grant_that_comes_with_the_cancellation_goes_to_the_next(make_pool, queue_up):
    """Handed over and cancelled before the task could run: the grant is passed on, and counts once only."""
    pool = make_pool(max_concurrency=1, rpm=2)
    running = pool.acquire()
    task = asyncio.create_task(pool.aacquire())
    while not len(pool.line):
        await asyncio.sleep(0)
    running.settle()  # the grant is on its way now
    behind = queue_up(pool)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert behind.secret is not None
    behind.settle()
    status = pool.status()[0]
    assert (status.in_flight, status.uses) == (0, 2)


async def test_timeouts_of_asyncio_are_cancellations(make_pool, clock):
    """``wait_for`` around a call that waits ends it cleanly."""
    pool = make_pool(max_concurrency=1)
    running = pool.acquire()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(pool.aacquire(), 0.001)
    assert len(pool.line) == 0
    running.settle()
    (await pool.aacquire(max_wait=0)).settle()


def test_a_loop_that_was_closed_meanwhile(make_pool, queue_up):
    """A task that nobody runs any more is skipped: its grant goes to the next in line."""
    pool = make_pool(max_concurrency=1)
    running = pool.acquire()
    loop = asyncio.new_event_loop()

    async def begin():
        task = asyncio.ensure_future(pool.aacquire())
        while not len(pool.line):
            await asyncio.sleep(0)
        return task

    task = loop.run_until_complete(begin())
    behind = queue_up(pool)
    loop.close()
    running.settle()
    assert behind.secret is not None
    behind.settle()
    assert pool.status()[0].in_flight == 0
    task._log_destroy_pending = False
    task.get_coro().close()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals are not sent to threads here")
def test_an_interrupted_thread_leaves_no_trace(make_pool, queue_up, in_thread, until):
    """Ctrl-C ends a wait at once: it is out of the line, and the next is served as if it had never been."""
    pool = make_pool(max_concurrency=1, rpm=9)
    running, behind, thread = pool.acquire(), [], threading.get_ident()
    interrupted = threading.Event()

    def once(_number, _frame):
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, once)

    def interrupt():
        until(pool, 1)
        behind.append(queue_up(pool))
        while not interrupted.is_set():  # a signal that comes just before a lock is waited for is not seen by Python
            signal.pthread_kill(thread, signal.SIGINT)
            interrupted.wait(0.05)

    other = in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        pool.acquire()
    other.join()
    signal.signal(signal.SIGINT, before)
    assert len(pool.line) == 1
    running.settle()
    assert behind[0].secret is not None
    behind[0].settle()
    status = pool.status()[0]
    assert (status.in_flight, status.uses) == (0, 2)
    assert len(pool.line) == 0


async def test_many_cancellations_at_once(make_pool):
    """Half of a hundred tasks are cancelled while they wait; each of the others is served once."""
    pool = make_pool(max_concurrency=1)
    served = []

    @stable(pool=pool)
    async def ask(number, api_key=""):
        await asyncio.sleep(0)
        served.append(number)

    running = pool.acquire()
    tasks = [asyncio.create_task(ask(number)) for number in range(100)]
    while len(pool.line) < 100:
        await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    running.settle()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert served == list(range(1, 100, 2))
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 50
    assert pool.status()[0].in_flight == 0
    assert len(pool.line) == 0
