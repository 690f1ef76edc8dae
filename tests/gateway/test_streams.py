"""Streams: unbuffered, given up with their client, never a piece twice; slow readers and many at once."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from .conftest import CHAT, DONE, ROLE, chunk, events, key_of

STREAM = {**CHAT, "stream": True}


async def test_events_come_as_they_are_sent(provider, gateway, client):
    """The client has the first before the provider sends the second."""
    running = await gateway()
    has_first = asyncio.Event()

    async def answer(http):
        return await events(http, chunk("a"), has_first.wait(), chunk("b"), DONE)

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=STREAM) as got:
        assert await asyncio.wait_for(got.content.readany(), 5) == chunk("a")
        has_first.set()
        assert await asyncio.wait_for(got.content.read(), 5) == chunk("b") + DONE


async def test_other_bodies_come_as_they_are_sent(provider, gateway, client):
    """A download of no known length passes piece by piece as well."""
    running = await gateway()
    has_first = asyncio.Event()

    async def answer(http):
        return await events(http, b"a" * 700, has_first.wait(), b"b", headers={"Content-Type": "application/json"})

    provider.answer = answer
    async with client.get(f"{running.v1}/files/f/content") as got:
        assert await asyncio.wait_for(got.content.readany(), 5) == b"a" * 700
        has_first.set()
        assert await asyncio.wait_for(got.content.read(), 5) == b"b"


async def test_looking_ahead_is_bounded(provider, gateway, client):
    """What comes before the content is not held back for long."""
    running = await gateway(options={"look_ahead": 0.05})
    has_first = asyncio.Event()

    async def answer(http):
        return await events(http, ROLE, has_first.wait(), chunk("b"), DONE)

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=STREAM) as got:
        assert await asyncio.wait_for(got.content.readany(), 5) == ROLE
        has_first.set()
        assert await got.content.read() == chunk("b") + DONE


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_leaves(provider, gateway, client, idle, begun):
    """The request to the provider is cancelled, and the key given back."""
    running = await gateway(["key-one-1111"], max_concurrency=1)
    asked = asyncio.Event()

    async def answer(http):
        asked.set()
        if begun:
            return await events(http, chunk("a"), asyncio.get_running_loop().create_future())
        return await asyncio.get_running_loop().create_future()

    provider.answer = answer
    task = asyncio.ensure_future(client.post(f"{running.v1}/chat/completions", json=STREAM))
    await asyncio.wait_for(asked.wait(), 5)
    if begun:
        (await task).close()
    else:
        task.cancel()
    await asyncio.wait_for(provider.gone.wait(), 5)
    await idle(running.pool)
    (key,) = running.pool.status()
    assert (key.standing, key.in_flight) == ("open", 0)


async def test_a_stream_that_breaks(provider, gateway, client, idle):
    """After its beginning there is no other key: the client sees that it is not whole."""
    running = await gateway()

    async def answer(http):
        response = await events(http, chunk("a"))
        http.transport.close()
        return response

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=STREAM) as got:
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()
    assert len(provider.requests) == 1
    await idle(running.pool)


async def test_an_error_event_after_content(provider, gateway, client, idle):
    """It passes as it is, and counts for the key."""
    running = await gateway()
    last = b'data: {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}\n\n'

    has_first = asyncio.Event()

    async def answer(http):
        return await events(http, chunk("a"), has_first.wait(), last)

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=STREAM) as got:
        assert await got.content.readany() == chunk("a")
        has_first.set()
        assert await got.read() == last
    await idle(running.pool)
    assert any(lane.standing == "cooling down" for lane in running.pool.status()[0].lanes)


async def test_an_error_event_of_the_only_key(provider, gateway, client):
    """Where nobody does better, the stream passes as it came."""
    running = await gateway(["key-one-1111"])
    only = b'data: {"error": {"message": "bad", "type": "invalid_request_error", "code": "bad"}}\n\n'

    async def answer(http):
        return await events(http, ROLE, only)

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=STREAM) as got:
        assert (got.status, await got.read()) == (200, ROLE + only)


async def test_a_slow_reader(provider, gateway, idle):
    """Memory is bounded: the provider can't write more than the buffers between hold."""
    running = await gateway()
    written = 0
    stuck = asyncio.Event()

    async def answer(http):
        nonlocal written
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        piece = chunk("x" * 60_000)
        while True:
            try:
                await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(response.write(piece))), 0.3)
            except asyncio.TimeoutError:
                stuck.set()
                await asyncio.get_running_loop().create_future()
            written += len(piece)
            assert written < 100_000_000

    provider.answer = answer
    reader, writer = await asyncio.open_connection("127.0.0.1", running.address.port, limit=1024)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.wait_for(stuck.wait(), 10)
    assert written < 16_000_000  # the kernel's buffers of two connections; ours are some 200 kB
    writer.transport.abort()
    await asyncio.wait_for(provider.gone.wait(), 5)
    await idle(running.pool)


async def test_many_streams_at_once(provider, gateway, idle):
    """A thousand are open together before the first of them ends."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = 1000 if hard > 6000 or hard == resource.RLIM_INFINITY else 100
    if soft < 6000 <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (6000, hard))
    running = await gateway()
    open_streams = 0
    all_open = asyncio.Event()

    async def answer(http):
        async def opened():
            nonlocal open_streams
            open_streams += 1
            if open_streams == number:
                all_open.set()
            await all_open.wait()

        return await events(http, chunk("a"), opened(), chunk("b"), DONE)

    provider.answer = answer

    async def stream(session):
        async with session.post(f"{running.v1}/chat/completions", json=STREAM) as got:
            return await got.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        found = await asyncio.wait_for(asyncio.gather(*(stream(session) for _ in range(number))), 40)
    assert set(found) == {chunk("a") + chunk("b") + DONE}
    assert {key_of(http) for http in provider.requests} == {"key-one-1111", "key-two-2222"}
    await idle(running.pool)
