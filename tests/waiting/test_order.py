"""First come, first served: threads and tasks in one line, and no model holds up another."""

from __future__ import annotations

import asyncio

from stable_openai import Key, stable

A, B = "sk-order-aaaaaaaaaaaaaaaaaaaaaa", "sk-order-bbbbbbbbbbbbbbbbbbbbbb"


def test_threads_are_served_in_the_order_in_which_they_came(make_pool, in_thread, until):
    """Twelve threads wait for one key with one place in flight; each goes on when the one before it is done."""
    pool, order = make_pool(max_concurrency=1), []

    def wait_in_line(number):
        with pool.lease():
            order.append(number)

    holder = pool.acquire()
    threads = []
    for number in range(12):
        threads.append(in_thread(lambda number=number: wait_in_line(number)))
        until(pool, number + 1)
    holder.settle()
    for thread in threads:
        thread.join()
    assert order == list(range(12))
    assert len(pool.line) == 0


async def test_threads_and_tasks_wait_in_one_line(make_pool, in_thread):
    """In turn a task and a thread come; they are served in that order."""
    pool, order = make_pool(max_concurrency=1), []

    def as_thread(number):
        with pool.lease():
            order.append(number)

    async def as_task(number):
        async with pool.lease():
            order.append(number)

    holder = await pool.aacquire()
    waiting = []
    for number in range(10):
        if number % 2:
            waiting.append(asyncio.to_thread(in_thread(lambda number=number: as_thread(number)).join))
        else:
            waiting.append(asyncio.create_task(as_task(number)))
        while len(pool.line) <= number:
            await asyncio.sleep(0)
    holder.settle()
    await asyncio.gather(*waiting)
    assert order == list(range(10))


def test_a_call_that_comes_later_does_not_overtake(make_pool, queue_up, clock):
    """While somebody waits, a newcomer stands behind, even at the very moment a key is free again."""
    pool = make_pool(rpm=1)
    pool.acquire().settle()
    first = queue_up(pool)
    clock.advance(59)
    second = queue_up(pool)
    clock.advance(1)
    assert first.secret is not None
    assert second.secret is None
    clock.advance(60)
    assert second.secret is not None


def test_a_model_that_cannot_be_served_holds_up_no_other(make_pool, queue_up):
    """Who waits for a model whose keys are all out lets those for other models pass."""
    pool = make_pool([Key(A, models=["gpt-4o"]), Key(B, models=["mini"])], max_concurrency=1)
    held = pool.acquire("gpt-4o")
    first, second = queue_up(pool, "gpt-4o"), queue_up(pool, "mini")
    assert (first.secret, second.secret) == (None, B)
    held.settle()
    assert first.secret == A
    first.settle(), second.settle()


def test_the_longest_waiting_of_all_models_goes_first(make_pool, queue_up):
    """Where models share a key, the order of arrival decides among their lines."""
    pool = make_pool([Key(A, limits={"*": {"max_concurrency": 1}, "gpt-4o": {"rpm": 9}, "mini": {"rpm": 9}})])
    held = pool.acquire("gpt-4o")
    waiting = [queue_up(pool, model) for model in ("mini", "gpt-4o", None, "mini", "gpt-4o")]
    served = []
    held.settle()
    while len(served) < 5:
        (now,) = [index for index, waiter in enumerate(waiting) if waiter.secret and index not in served]
        served.append(now)
        waiting[now].settle()
    assert served == [0, 1, 2, 3, 4]


def test_a_large_request_is_not_starved_by_small_ones(make_pool, queue_up, clock):
    """With one key alone the line is strict: small requests behind a large one wait until it has its tokens."""
    pool = make_pool(tpm=100)
    pool.acquire(tokens=50).settle()
    large = queue_up(pool, tokens=80)
    small = queue_up(pool, tokens=10)
    assert (large.secret, small.secret) == (None, None)
    clock.advance(60)
    assert large.secret is not None
    assert small.secret is not None


def test_a_call_that_goes_on_after_failures_keeps_its_place(make_pool, queue_up, clock, advancing):
    """From its first failure on it stands in line with one place: who came during a later attempt is behind it."""
    pool, attempts, newcomers = make_pool(max_wait=600, max_concurrency=1), [], []

    class Rejected(Exception):
        status_code, body = 429, {"error": {"code": "rate_limit_exceeded", "message": "Too many requests"}}
        headers = {"retry-after": "5"}  # noqa: RUF012  # as a response has them

    @stable(pool=pool)
    def ask(api_key=""):
        attempts.append(clock.monotonic())
        if len(attempts) == 2:
            newcomers.append(queue_up(pool))
        if len(attempts) < 4:
            raise Rejected
        return newcomers[0].secret

    advancing(clock)
    assert ask() is None, "the newcomer was served first"
    assert len(attempts) == 4
