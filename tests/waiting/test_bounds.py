"""A call waits at most as long as it may, and not at all where that would be in vain."""

from __future__ import annotations

import asyncio

import pytest

from stable_openai import Key, KeyPool, NoKeyAvailable, RequestTooLarge, stable

A, B = "sk-bounds-aaaaaaaaaaaaaaaaaaaaa", "sk-bounds-bbbbbbbbbbbbbbbbbbbbb"


def test_it_fails_at_once_where_the_earliest_key_is_too_far_off(make_pool):
    """Not after the wait: the error says when to come back, and why each key is out."""
    pool = make_pool([Key(A, name="one"), Key(B, name="two")])
    pool.park("one", 121)
    pool.park("two", 500, "on holiday")
    with pytest.raises(NoKeyAvailable, match="the earliest is back in 121.0 s") as caught:
        pool.acquire()
    assert caught.value.retry_after == 121.0
    assert set(caught.value.reasons) == {"one", "two"}
    assert "parked" in caught.value.reasons["one"]
    assert "on holiday" in caught.value.reasons["two"]
    assert len(pool.line) == 0


def test_a_wait_that_just_fits_is_waited(make_pool, in_thread, until, clock):
    """The bound itself is within bounds: max_wait is 120 s where nobody says otherwise."""
    pool = make_pool()
    pool.park("key-1", 120)
    thread = in_thread(pool.acquire)
    until(pool, 1)
    clock.advance(120)
    thread.join().settle()


@pytest.mark.parametrize("max_wait", [0, 0.0])
def test_no_wait_at_all(make_pool, max_wait):
    """``max_wait=0`` takes what is there, or fails."""
    pool = make_pool(rpm=1)
    pool.acquire(max_wait=max_wait).settle()
    with pytest.raises(NoKeyAvailable) as caught:
        pool.acquire(max_wait=max_wait)
    assert caught.value.retry_after == 60.0


def test_max_wait_ends_a_wait_for_a_running_call(make_pool, in_thread, until, clock):
    """Nobody knows when a running call ends; the wait for its place is bounded all the same."""
    pool = make_pool(max_concurrency=1, max_wait=30)
    running = pool.acquire()
    thread = in_thread(pool.acquire)
    until(pool, 1)
    clock.advance(29.9)
    assert len(pool.line) == 1
    clock.advance(0.1)
    with pytest.raises(NoKeyAvailable, match="all 1 calls at once are running"):
        thread.join()
    assert len(pool.line) == 0
    running.settle()
    pool.acquire().settle()


async def test_max_wait_ends_the_wait_of_a_task(make_pool, clock):
    """As that of a thread; the lease that is asked for by ``async with``, too."""
    pool = make_pool(max_concurrency=1)
    async with pool.lease():
        task = asyncio.create_task(pool.aacquire(max_wait=3))
        while not len(pool.line):
            await asyncio.sleep(0)
        clock.advance(3)
        with pytest.raises(NoKeyAvailable):
            await task
    async with pool.lease(max_wait=0):
        pass


def test_who_waits_behind_others_gives_up_at_his_own_deadline(make_pool, queue_up, clock):
    """A bound holds wherever one stands in the line."""
    pool = make_pool(max_concurrency=1)
    running = pool.acquire()
    patient, hasty = queue_up(pool, max_wait=100), queue_up(pool, max_wait=5)
    clock.advance(5)
    assert (patient.result, hasty.secret) == (None, None)
    assert hasty.result is not None
    running.settle()
    assert patient.secret is not None
    patient.settle()


def test_the_timeout_bounds_all_of_a_call(make_pool, clock):
    """Attempts and waits together: no further attempt begins after it, and none is waited for."""

    class Down(Exception):
        status_code, headers, body = 503, {}, {"error": {"message": "down"}}  # as a response has them

    pool = make_pool(timeout=10)
    moments = []

    @stable(pool=pool, wait=lambda state: 3, stop=lambda state: False)
    def ask(api_key=""):
        moments.append(clock.monotonic() - start)
        clock.advance(1)
        raise Down

    start = clock.monotonic()
    clock.sleep = clock.advance
    with pytest.raises(Down):
        ask()
    assert moments == [0, 4, 8]


def test_a_timeout_of_the_pool_and_one_of_the_call(make_pool, clock):
    """The call's own wins over the pool's, in either direction."""

    class Down(Exception):
        status_code, headers, body = 503, {}, {"error": {"message": "down"}}  # as a response has them

    clock.sleep = clock.advance
    for of_pool, of_call, expected in ((10, 4, 2), (4, 10, 4), (None, 7, 3)):
        pool, attempts = make_pool(timeout=of_pool), []

        @stable(pool=pool, wait=lambda state: 3, stop=lambda state: False, timeout=of_call)
        def ask(attempts=attempts, api_key=""):
            attempts.append(1)
            raise Down

        with pytest.raises(Down):
            ask()
        assert len(attempts) == expected


def test_the_time_of_a_long_first_attempt_counts(make_pool, clock):
    """A timeout is counted from the call's beginning, even where the first attempt took the quick way."""

    class Rejected(Exception):
        status_code, headers, body = 429, {}, {"error": {"message": "slow down"}}

    pool = make_pool([A, B])
    attempts = []

    @stable(pool=pool, timeout=10)
    def ask(api_key=""):
        attempts.append(api_key)
        clock.advance(11)
        raise Rejected

    with pytest.raises(Rejected):
        ask()
    assert len(attempts) == 1


def test_waits_of_one_call_add_up(make_pool, clock, advancing):
    """``max_wait`` bounds all waits of a call together, not each one of them."""

    class Rejected(Exception):
        status_code, headers, body = 429, {"retry-after": "40"}, {"error": {"message": "slow down"}}

    advancing(clock)
    pool = make_pool(max_wait=100)
    attempts = []

    @stable(pool=pool)
    def ask(api_key=""):
        attempts.append(clock.monotonic() - start)
        raise Rejected

    start = clock.monotonic()
    with pytest.raises(NoKeyAvailable) as caught:
        ask()
    assert attempts == [0, 40, 80]
    assert isinstance(caught.value.__cause__, Rejected)
    assert caught.value.retry_after == 40.0


def test_a_request_that_is_too_large_never_waits(make_pool):
    """Neither as the first nor behind others."""
    pool = make_pool(tpm=100)
    with pytest.raises(RequestTooLarge):
        pool.acquire(tokens=101)
    assert len(pool.line) == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"max_wait": -1}, "max_wait"),
        ({"max_wait": "long"}, "max_wait"),
        ({"tokens": -1}, "tokens"),
        ({"tokens": 1.5}, "tokens"),
        ({"model": 5}, "model"),
    ],
)
def test_arguments_of_a_lease_are_checked(make_pool, arguments, field):
    """By name, before anybody waits."""
    pool = make_pool()
    for ask in (pool.lease, pool.acquire):
        with pytest.raises(ValueError, match=f"^{field}: "):
            ask(**arguments)


def test_a_pool_without_keys_says_so(clock):
    """It does not wait for somebody to add one."""
    with pytest.raises(NoKeyAvailable, match="the pool has no keys") as caught, KeyPool([], clock=clock).lease():
        pass
    assert caught.value.retry_after is None
    assert caught.value.reasons == {}
