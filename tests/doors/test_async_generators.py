"""A decorated async generator: as generators do, and cancellation besides."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing, suppress

import pytest

from stable_openai import stable

A, B, C = (f"sk-doors-{letter * 20}" for letter in "abc")


def in_flight(pool):
    return sum(row.in_flight for row in pool.status())


async def test_failover_before_the_first_item(pool, answer):
    """Each generator that fails is closed before the next one begins."""
    closed = []

    @stable
    async def stream(api_key=""):
        try:
            if api_key != C:
                raise answer(401, "invalid_api_key")
            for letter in "xyz":
                yield letter
        finally:
            closed.append(str(api_key))

    assert [item async for item in stream()] == ["x", "y", "z"]
    assert closed == [A, B, C]
    assert in_flight(pool) == 0


async def test_no_failover_after_the_first_item(pool, answer):
    """The error is raised with notes, the key is judged."""

    @stable
    async def stream(api_key=""):
        if api_key == A:
            raise answer(401, "invalid_api_key")
        yield 1
        raise answer(429, retry_after="30")

    got = []
    with pytest.raises(answer) as caught:
        async for item in stream():
            got.append(item)  # noqa: PERF401  # what was received before the error counts
    assert got == [1]
    assert len(caught.value.__notes__) == 2
    assert [row.standing for row in pool.status()] == ["retired", "cooling down", "open"]


@pytest.mark.parametrize("failures", [0, 1])
async def test_asend_and_athrow_pass_through(pool, answer, failures):
    """On the first attempt and on a later one."""
    left = [answer(401, "invalid_api_key")] * failures

    @stable
    async def talk(api_key=""):
        if left:
            raise left.pop()
        heard = yield "first"
        try:
            yield f"heard {heard}"
        except LookupError as error:
            yield f"caught {error}"

    conversation = talk()
    assert await conversation.__anext__() == "first"
    assert await conversation.asend("a") == "heard a"
    assert await conversation.athrow(LookupError("b")) == "caught b"
    with pytest.raises(StopAsyncIteration):
        await conversation.__anext__()
    assert in_flight(pool) == 0


async def test_aclose_closes_the_source_and_ends_the_lease(pool):
    """The source's own clean-up runs, awaiting as it likes."""
    cleaned = []

    @stable
    async def stream(api_key=""):
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async with aclosing(stream()) as items:
        async for _ in items:
            assert in_flight(pool) == 1
            break
    assert cleaned == [True]
    assert [(row.in_flight, row.failed) for row in pool.status()] == [(0, 0)] * 3


@pytest.mark.parametrize("begun", [False, True])
async def test_cancellation(pool, begun):
    """Before the first item or after it: the lease ends, no key is blamed, the source is cleaned up."""
    cleaned, reached = [], asyncio.Event()

    @stable
    async def stream(api_key=""):
        try:
            if begun:
                yield 1
            reached.set()
            await asyncio.Event().wait()
            yield 2
        finally:
            cleaned.append(True)

    async def consume():
        async for _ in stream():
            pass

    task = asyncio.create_task(consume())
    await reached.wait()
    assert in_flight(pool) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]
    assert [(row.in_flight, row.failed, row.standing, row.uses) for row in pool.status()][0] == (0, 0, "open", 1)


@pytest.mark.parametrize("plain", [True, False])
async def test_a_call_with_wrong_arguments(pool, plain):
    """A ``TypeError`` as without the decorator, on the short way and on the long one; nothing stays in flight."""

    @stable(affinity=None if plain else "talk")
    async def stream(api_key=""):
        yield 1

    with pytest.raises(TypeError, match="nonsense"):
        await stream(nonsense=1).__anext__()
    assert [(row.in_flight, row.failed) for row in pool.status()] == [(0, 0)] * 3


async def test_turns_of_sending_throwing_and_asking(pool):
    """Whatever the consumer does after whatever, the source hears it, and its answer comes back."""

    @stable
    async def talk(api_key=""):
        answer = "first"
        while answer != "heard end":
            try:
                answer = f"heard {(yield answer)}"
            except LookupError as error:
                answer = f"caught {error}"

    conversation = talk()
    got = [await conversation.__anext__(), await conversation.__anext__(), await conversation.asend("a")]
    got += [await conversation.asend("b"), await conversation.__anext__(), await conversation.athrow(LookupError("c"))]
    got += [await conversation.athrow(LookupError("d")), await conversation.asend("e"), await conversation.__anext__()]
    assert got == [
        "first", "heard None", "heard a", "heard b", "heard None", "caught c", "caught d", "heard e", "heard None",
    ]  # fmt: skip
    assert in_flight(pool) == 1
    with pytest.raises(StopAsyncIteration):
        await conversation.asend("end")
    assert in_flight(pool) == 0


@pytest.mark.parametrize("act", ["asend", "athrow"])
async def test_an_error_after_something_was_sent(pool, answer, act):
    """It is final, whether or not the consumer had anything from that step: the key is judged, the source closed."""
    closed = []

    @stable
    async def talk(api_key=""):
        try:
            with suppress(LookupError):
                yield 1
            raise answer(429, retry_after="30")
        finally:
            closed.append(True)

    conversation = talk()
    await conversation.__anext__()
    with pytest.raises(answer) as caught:
        await getattr(conversation, act)("a" if act == "asend" else LookupError())
    assert caught.value.__context__ is None
    assert closed == [True]
    assert [(row.standing, row.in_flight) for row in pool.status()][0] == ("cooling down", 0)


async def test_a_stream_that_is_forgotten(pool):
    """Left after the first item and collected: the loop closes it, and the lease ends."""

    @stable
    async def stream(api_key=""):
        yield 1
        yield 2

    async for _ in stream():
        break
    gc.collect()
    while in_flight(pool):
        await asyncio.sleep(0)
    assert sum(row.uses for row in pool.status()) == 1


async def test_an_explicit_key_in_a_stream():
    """It needs no pool, and everything passes through."""

    @stable
    async def stream(api_key=""):
        heard = yield api_key
        yield heard

    items = stream("mine")
    assert await items.__anext__() == "mine"
    assert await items.asend("you") == "you"
    await items.aclose()


async def test_a_coroutine_that_is_cancelled(pool):
    """In the midst of its attempt: nothing stays in flight, and the next call is served."""
    reached = asyncio.Event()

    @stable
    async def ask(api_key=""):
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(ask())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(row.in_flight, row.failed, row.standing) for row in pool.status()] == [(0, 0, "open")] * 3


async def test_a_coroutine_that_is_cancelled_while_it_backs_off(pool, clock, answer):
    """Between two attempts no key is held."""
    resting = asyncio.Event()

    async def asleep(seconds):
        resting.set()
        await asyncio.Event().wait()

    clock.asleep = asleep

    @stable
    async def ask(api_key=""):
        raise answer(500, "server_error")

    task = asyncio.create_task(ask())
    await resting.wait()
    assert in_flight(pool) == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert in_flight(pool) == 0
