"""Who waits wakes exactly when there is a key again: at the moment itself, or earlier when something changes."""

from __future__ import annotations

import asyncio

import pytest

from stable_openai import Key, Limits, NoKeyAvailable, PoolClosed
from stable_openai.stores.protocol import Outcome

OTHER = "sk-waking-bbbbbbbbbbbbbbbbbbbbb"


class Answer(Exception):
    def __init__(self, status, code, **headers):
        super().__init__(code)
        self.status_code, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = {"error": {"message": code, "code": code}}


def test_a_thread_wakes_at_the_very_moment(make_pool, in_thread, until, clock):
    """Not a millisecond before the window has room, and not after."""
    pool = make_pool(rpm=1)
    pool.acquire().settle()
    start = clock.monotonic()

    def moment():
        with pool.lease():
            return clock.monotonic()

    thread = in_thread(moment)
    until(pool, 1)
    clock.advance(59.999)
    assert len(pool.line) == 1
    clock.advance(0.001)
    assert thread.join() == start + 60.0


async def test_a_task_wakes_at_the_very_moment(make_pool, clock):
    """As threads do."""
    pool = make_pool(rpm=1)
    (await pool.aacquire()).settle()
    task = asyncio.create_task(pool.aacquire())
    while not len(pool.line):
        await asyncio.sleep(0)
    clock.advance(59.999)
    assert len(pool.line) == 1
    clock.advance(0.001)
    assert len(pool.line) == 0
    (await task).settle()


@pytest.mark.in_memory  # another store has an alarm of its own, for its signs of life
def test_one_alarm_for_all_who_wait(make_pool, queue_up, clock):
    """Waking up is no poll: one alarm a pool, at the earliest moment, whoever waits; each slot that frees wakes one."""
    pool = make_pool(rpm=2)
    pool.acquire().settle()
    clock.advance(10)
    pool.acquire().settle()
    waiters = [queue_up(pool) for _ in range(3)]
    live = [alarm for _, _, alarm in clock._alarms._heap if not alarm.cancelled]
    assert [alarm.when - clock.monotonic() for alarm in live] == [50.0]
    for expected, seconds in ((0, 50), (1, 10), (2, 50)):
        assert waiters[expected].secret is None
        clock.advance(seconds)
        assert [waiter.secret is not None for waiter in waiters] == [index <= expected for index in range(3)]
        waiters[expected].settle()


@pytest.fixture
def waiting(make_pool, queue_up):
    """A pool whose one key is parked for long, and one who waits for it."""
    pool = make_pool()
    pool.park("key-1", 100)
    waiter = queue_up(pool)
    assert waiter.result is None
    return pool, waiter


def test_a_key_that_is_added_wakes(waiting):
    """It is used at once."""
    pool, waiter = waiting
    pool.add(OTHER)
    assert waiter.secret == OTHER


def test_merge_and_reload_wake(waiting, queue_up):
    """So do keys that come in these ways."""
    pool, waiter = waiting
    pool.merge([OTHER])
    assert waiter.secret == OTHER
    pool.park(OTHER, 100)
    another = queue_up(pool)
    pool.reload(["sk-waking-ccccccccccccccccccccc"])
    assert another.secret == "sk-waking-ccccccccccccccccccccc"


def test_a_revived_key_wakes(waiting):
    """By name, or all."""
    pool, waiter = waiting
    pool.revive("key-1")
    assert waiter.secret is not None


def test_a_slot_that_is_given_back_wakes(make_pool, queue_up):
    """A settled lease frees its place in flight, a released one its place in the window too."""
    pool = make_pool(max_concurrency=1, rpm=2)
    running = pool.acquire()
    first = queue_up(pool)
    running.settle()
    assert first.secret is not None
    second = queue_up(pool)
    assert second.secret is None
    pool.settle(first.result, Outcome(unused=True))
    assert second.secret is not None
    second.settle()


def test_tokens_that_were_not_used_wake(make_pool, queue_up):
    """The answer says that less was used than was reserved: the difference serves the next."""
    pool = make_pool(tpm=100)
    running = pool.acquire(tokens=80)
    waiter = queue_up(pool, tokens=60)
    assert waiter.secret is None
    running.settle({"usage": {"total_tokens": 40}})
    assert waiter.secret is not None


def test_limits_that_are_raised_wake(make_pool, queue_up):
    """A reload with more room serves those who wait."""
    secret = "sk-waking-aaaaaaaaaaaaaaaaaaaaa"
    pool = make_pool([Key(secret, limits={"rpm": 1})])
    pool.acquire().settle()
    waiter = queue_up(pool)
    pool.reload([Key(secret, limits=Limits(rpm=5))])
    assert waiter.secret == secret


def test_a_removed_key_wakes_those_who_can_no_longer_hope(make_pool, queue_up):
    """The only key that would have been back in time leaves: the waiter is told at once, not at its deadline."""
    pool = make_pool(["sk-waking-aaaaaaaaaaaaaaaaaaaaa", OTHER])
    pool.park("key-1", 50)
    pool.park("key-2", 5000)
    waiter = queue_up(pool)
    pool.remove("key-1")
    assert waiter.result is not None
    assert waiter.secret is None


def test_a_longer_cooldown_meanwhile_ends_hopeless_waits(make_pool, queue_up):
    """As long as a call runs its key may come back; it says otherwise, and the waiter hears it at once."""
    pool = make_pool(max_concurrency=1)
    running = pool.acquire()
    waiter = queue_up(pool)
    assert waiter.result is None
    running.settle(Answer(429, "rate_limit_exceeded", retry_after="7200"))
    assert waiter.result is not None
    assert waiter.secret is None


def test_closing_releases_everybody(make_pool, in_thread, until):
    """Threads that wait get PoolClosed."""
    pool = make_pool()
    pool.park("key-1", 60)
    threads = [in_thread(lambda: pool.acquire()) for _ in range(3)]
    until(pool, 3)
    pool.close()
    for thread in threads:
        with pytest.raises(PoolClosed):
            thread.join()
    assert len(pool.line) == 0


async def test_closing_releases_tasks(make_pool):
    """And so do tasks."""
    pool = make_pool()
    pool.park("key-1", 60)
    tasks = [asyncio.create_task(pool.aacquire()) for _ in range(3)]
    while len(pool.line) < 3:
        await asyncio.sleep(0)
    pool.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [PoolClosed] * 3


def test_a_cooldown_that_ends_now_is_over(make_pool, clock):
    """At the moment itself, the key is eligible."""
    pool = make_pool(max_wait=0)
    pool.park("key-1", 5)
    clock.advance(4.999999)
    with pytest.raises(NoKeyAvailable):
        pool.acquire()
    clock.advance(0.000001)
    pool.acquire().settle()
