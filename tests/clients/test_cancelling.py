"""A request that is cancelled or interrupted leaves nothing behind: no waiter, no running count, no blame."""

from __future__ import annotations

import asyncio

import openai
import pytest

from stable_openai.pool import granting

only_async = pytest.mark.parametrize("kind", ["async"], indirect=True)
only_sync = pytest.mark.parametrize("kind", ["sync"], indirect=True)


def state(pool):
    return [(row.standing, row.failed, row.in_flight) for row in pool.status()], len(pool.line)


async def until(condition):
    while not condition():
        await asyncio.sleep(0)


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@only_async
async def test_cancelled_while_it_waits_for_a_key(kind, over, make):
    """The line is empty again, and the next request is served."""
    answers, pool, client = over({"one": make.completion}, "one", told={"max_concurrency": 1})
    with pool.lease():
        task = asyncio.create_task(kind.chat(client))
        await until(lambda: len(pool.line) == 1)
        await cancelled(task)
        assert state(pool) == ([("open", 0, 1)], 0)
    assert await kind.chat(client) == "fine"
    assert answers.keys == ["one"]


@only_async
@pytest.mark.parametrize("stream", [False, True])
async def test_cancelled_in_flight(kind, make, clock, stream):
    """Also while the beginning of a stream is being read."""
    begun, closed = asyncio.Event(), []

    class Slow(make.HTTPX.AsyncByteStream):
        async def __aiter__(self):
            yield make.ROLE
            begun.set()
            await asyncio.Event().wait()

        async def aclose(self):
            closed.append(True)

    async def answer(request):
        if stream:
            return make.HTTPX.Response(200, stream=Slow(), headers={"content-type": "text/event-stream"})
        begun.set()
        return await asyncio.Event().wait()

    client = kind.client(api_key=make.keys("one", "two"), answers=answer)
    task = asyncio.create_task(kind.chat(client, stream=stream))
    await begun.wait()
    assert sum(row.in_flight for row in client.pool.status()) == 1
    await cancelled(task)
    assert state(client.pool) == ([("open", 0, 0)] * 2, 0)
    assert closed == [True] * stream


@only_async
async def test_cancelled_within_a_stream(kind, make, over):
    """After content: the key is given back when the stream is closed, and not blamed."""
    begun = asyncio.Event()

    class Slow(make.HTTPX.AsyncByteStream):
        async def __aiter__(self):
            yield make.ROLE + make.HELLO
            begun.set()
            await asyncio.Event().wait()

    def answer():
        return make.HTTPX.Response(200, stream=Slow(), headers={"content-type": "text/event-stream"})

    _, pool, client = over({"one": answer}, "one")

    async def consume():
        async with await client.chat.completions.create(**kind.request(), stream=True) as stream:
            async for _ in stream:
                pass

    task = asyncio.create_task(consume())
    await begun.wait()
    assert state(pool) == ([("open", 0, 1)], 0)
    await cancelled(task)
    assert state(pool) == ([("open", 0, 0)], 0)


@only_async
async def test_closed_by_another_task(kind, make, over):
    """While the one waits for the next piece, the other closes the stream: the first is told, the key is given back."""
    begun, closed = asyncio.Event(), asyncio.Event()

    class Slow(make.HTTPX.AsyncByteStream):
        async def __aiter__(self):
            yield make.ROLE + make.HELLO
            begun.set()
            await closed.wait()
            raise make.HTTPX.ReadError("closed")

        async def aclose(self):
            closed.set()

    def answer():
        return make.HTTPX.Response(200, stream=Slow(), headers={"content-type": "text/event-stream"})

    _, pool, client = over({"one": answer}, "one", "two")
    stream = await client.chat.completions.create(**kind.request(), stream=True)
    task = asyncio.create_task(kind.listed(stream))
    await begun.wait()
    await stream.close()
    assert [row.in_flight for row in pool.status()] == [0, 0]
    with pytest.raises((openai.APIConnectionError, make.HTTPX.ReadError)):
        await task
    assert [row.failed for row in pool.status()] == [0, 0]


@only_async
async def test_a_timeout_of_asyncio(kind, over, make):
    """``asyncio.wait_for`` around a request that waits."""
    _answers, pool, client = over({"one": make.completion}, "one", told={"max_concurrency": 1})
    with pool.lease():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(kind.chat(client), 0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(kind.chat(client), 0.01)
    assert state(pool) == ([("open", 0, 0)], 0)


@only_sync
def test_interrupted(kind, over, make, monkeypatch):
    """``KeyboardInterrupt`` in flight, in a stream's beginning, and while it waits for a key."""
    say = {"now": KeyboardInterrupt()}
    answers, pool, client = over(lambda name: say["now"], "one", "two", told={"max_concurrency": 1})

    def ask(stream):
        return client.chat.completions.create(**kind.request(), stream=stream)

    with pytest.raises(KeyboardInterrupt):
        ask(stream=False)
    say["now"] = make.streamed(make.ROLE, KeyboardInterrupt())
    body = say["now"].stream
    with pytest.raises(KeyboardInterrupt):
        ask(stream=True)
    assert body.closed
    assert state(pool) == ([("open", 0, 0)] * 2, 0)

    def interrupted(waiter):
        raise KeyboardInterrupt

    monkeypatch.setattr(granting.ThreadWaiter, "wait", interrupted)
    with pool.lease(), pool.lease(), pytest.raises(KeyboardInterrupt):
        ask(stream=False)
    assert state(pool) == ([("open", 0, 0)] * 2, 0)
    assert len(answers.keys) == 2


@only_sync
def test_interrupted_after_content(kind, over, make):
    """``KeyboardInterrupt`` in the midst of a stream gives the key back unblamed."""
    _, pool, client = over({"one": lambda: make.streamed(make.ROLE, make.HELLO, KeyboardInterrupt())}, "one")
    with pytest.raises(KeyboardInterrupt):
        list(client.chat.completions.create(**kind.request(), stream=True))
    assert state(pool) == ([("open", 0, 0)], 0)
