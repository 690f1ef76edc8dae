"""Async clients: connections of each running loop, which end with it."""

from __future__ import annotations

import asyncio
import gc
import threading

import openai
import pytest

from stable_openai.connections import Connections

KEY = "sk-connections-00000000000000"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


def client_of(connections, sim, **options):
    return openai.AsyncOpenAI(api_key=KEY, base_url=sim.base_url, http_client=connections.async_client(), **options)


async def ask(client):
    return (await client.chat.completions.create(**CHAT)).choices[0].message.content


def test_one_client_in_several_loops(connections, sim, sockets):
    """Made outside of any loop, used in several, one after the other; each loop's connections end with it."""
    client = client_of(connections, sim)

    async def main():
        assert await ask(client) == "You said: hello"
        assert sockets(sim) == 1
        assert await ask(client_of(connections, sim)) == "You said: hello"
        assert sockets(sim) == 1

    for _ in range(3):
        asyncio.run(main())
        assert sockets(sim) == 0
        assert len(connections._loops) == 0


def test_loops_at_the_same_time(connections, sim):
    """One client in loops of several threads: none meets another's connections."""
    client, answers = client_of(connections, sim), []

    async def main():
        answers.extend(await asyncio.gather(*(ask(client) for _ in range(10))))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == ["You said: hello"] * 60
    assert len(connections._loops) == 0


async def test_closing_a_client_closes_no_connection(connections, sim, sockets):
    async with client_of(connections, sim) as client:
        await ask(client)
    assert client.is_closed()
    with pytest.raises((openai.APIConnectionError, RuntimeError), match="closed|Connection"):
        await ask(client.with_options(max_retries=0))
    assert await ask(client_of(connections, sim)) == "You said: hello"
    assert sockets(sim) == 1


async def test_close_within_the_loop(sim, sockets):
    """``aclose`` closes at once, ``close`` when the loop comes to it; what still comes goes its own way."""
    async with Connections() as connections:
        client = client_of(connections, sim)
        await ask(client)
    assert sockets(sim) == 0
    assert await ask(client) == "You said: hello"
    assert sockets(sim) == 0

    connections = Connections()
    client = client_of(connections, sim)
    stream = await client.chat.completions.create(**CHAT, stream=True)
    connections.close()
    while not connections._loops._closing:
        await asyncio.sleep(0)
    await asyncio.gather(*connections._loops._closing)
    assert sockets(sim) == 1, "an answer is still coming"
    assert len([chunk async for chunk in stream]) > 1
    await stream.close()
    assert sockets(sim) == 0


def test_close_from_another_thread(sim, sockets):
    """Connections of a loop that runs in another thread are closed there."""
    connections, asked, closed, seen = Connections(), threading.Event(), threading.Event(), []

    async def main():
        await ask(client_of(connections, sim))
        asked.set()
        await asyncio.to_thread(closed.wait, 10)
        await asyncio.sleep(0)
        await asyncio.gather(*connections._loops._closing)
        seen.append(sockets(sim))

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert asked.wait(10)
    connections.close()
    closed.set()
    thread.join(10)
    assert seen == [0]


def test_a_loop_that_was_not_ended_properly(connections, sim, recwarn):
    """It is forgotten when the next one comes; its sockets go with it."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask(client_of(connections, sim)))
    loop.close()
    assert len(connections._loops) == 1
    asyncio.run(ask(client_of(connections, sim)))
    assert len(connections._loops) == 0
    del loop
    gc.collect()
    recwarn.clear()  # Python warns of the transport that its owner left open


def test_a_stream_that_was_left_open(connections, sim, sockets):
    """It ends with its loop, and nothing warns."""

    async def main():
        stream = await client_of(connections, sim).chat.completions.create(**CHAT, stream=True)
        await anext(stream)
        return stream

    stream = asyncio.run(main())
    assert sockets(sim) == 0
    del stream
    gc.collect()


async def test_cancelled(connections, openai_simulator, sockets):
    """A cancelled request is over, and its connection is not used again."""
    sim = openai_simulator([KEY], latency_s=30)
    task = asyncio.create_task(ask(client_of(connections, sim)))
    while sockets(sim) == 0:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pools = await connections._loops.current()
    assert [pool.users for pool in pools._by_origin.values()] == [0]


async def test_the_origin_used_longest_ago_makes_room(openai_simulator, sockets):
    async with Connections(max_origins=1) as connections:
        first, second = openai_simulator([KEY]), openai_simulator([KEY])
        stream = await client_of(connections, first).chat.completions.create(**CHAT, stream=True)
        await ask(client_of(connections, second))
        assert [sockets(sim) for sim in (first, second)] == [1, 1]
        assert [chunk async for chunk in stream]
        await stream.close()
        await ask(client_of(connections, first))
        assert [sockets(sim) for sim in (first, second)] == [1, 0]


def test_event_loops_of_others(connections):
    """In one that is not asyncio's (trio's), each request has connections of its own, which end with it."""
    with pytest.raises(StopIteration) as ended:
        connections._loops.current().send(None)
    pools = ended.value.value
    pool, idle = pools.take("origin")
    assert (len(pools), idle) == (1, [])
    assert pools.give_back(pool) == [pool]
    assert len(pools) == 0
