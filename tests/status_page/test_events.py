"""What is told of changes: differences, in bounds, until it ends."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from stable_openai.gateway.status.minutes import KEPT, Minutes
from stable_openai.gateway.status.views import SIZE

from .conftest import TOKEN, StatusOptions, csrf_in, listening, load, log_in


def cell(running, name, what):
    return f"{running.status.watch._board.rows[name].id}{what}"


async def test_a_change_is_told_at_once(start, client):
    """At first all of the page; then, as a key is parked, that key's state alone, and a sentence."""
    running = await start(rpm=60)
    async with listening(client, running) as events:
        kind, first = await events.next()
        assert kind == "update" and len(first["order"]) == 3
        running.pool.park("key-2", 90)
        await running.beat()
        _, news = await events.until(lambda data: data["said"])
        assert news["said"] == ["key-2: parked for 90 s: parked by hand"]
        rows = {name for name in news["pieces"] if name.startswith("k")}
        assert rows == {cell(running, "key-2", "s")}
        assert "parked" in news["pieces"][cell(running, "key-2", "s")] and "order" not in news
        assert "1 parked" in news["pieces"]["figures"]


async def test_time_alone_changes_nothing(start, client):
    """A heartbeat while a key rests says the moment, not the countdown; counts come when they change."""
    running = await start(rpm=60)
    running.pool.park("key-2", 90)
    await running.beat()
    async with listening(client, running) as events:
        await events.next()
        for _ in range(3):
            await running.beat()
            _, news = await events.next()
            assert not [name for name in news["pieces"] if name.startswith("k")]
        with running.pool.lease(model="m"):
            pass
        await running.beat()
        _, news = await events.until(lambda data: "minutes" in data["pieces"])
        assert {name[-1] for name in news["pieces"] if name.startswith("k")} == {"u", "c"}
        assert news["said"] == []


async def test_keys_come_and_go(start, client):
    """A new one comes with its row and a form that works; one that was removed is in the order no more."""
    running = await start()
    await load(client, running)
    async with listening(client, running) as events:
        await events.next()
        running.pool.add("status-secret-new-3333", name="<b>")
        running.pool.remove("key-1")
        await running.beat()
        _, news = await events.until(lambda data: "order" in data)
        assert len(news["order"]) == 3
        (row,) = news["rows"].values()
        assert "&lt;b&gt;" in row and "<b>" not in row and "status-secret" not in row
        assert csrf_in(row) == csrf_in((await load(client, running))[1])


async def test_of_many_keys_those_on_the_page(start, client):
    """A thousand keys change: what is told is about fifty at most."""
    running = await start([f"status-secret-{n:04}-9999" for n in range(1_000)], rpm=60)
    async with listening(client, running, "?page=2") as events:
        _, first = await events.next()
        assert len(first["order"]) == SIZE
        for _ in range(1_000):
            with running.pool.lease(model="m"):
                pass
        await running.beat()
        _, news = await events.next()
        assert len(news.get("rows", {})) <= SIZE
        assert len({name[:-1] for name in news["pieces"] if name.startswith("k")}) <= SIZE


async def test_so_many_listeners(start, client):
    """One more is refused, and told what to do; one that leaves makes room."""
    running = await start(status=StatusOptions(max_listeners=1))
    async with listening(client, running) as events:
        await events.next()
        async with client.get(f"{running.url}/status/events") as got:
            assert got.status == 503 and "load this one again" in (await got.json())["error"]["message"]
    while running.status.watch.listeners:
        await asyncio.sleep(0)
    async with listening(client, running) as events:
        await events.next()


async def test_many_events_are_few_sentences(start, client):
    """Of a storm, the last twenty; nothing piles up for who does not read."""
    running = await start()
    watch = running.status.watch
    listener = watch.listen()
    for _ in range(500):
        running.pool.park("key-1", 5)
        running.pool.revive("key-1")
    await asyncio.sleep(0)
    assert len(watch.said_since(listener)) == 20
    assert watch.said_since(listener) == []


async def test_looks_are_bounded(start, client, monkeypatch):
    """However much happens, the pool is looked at a few times a second at most."""
    running = await start()
    await running.status.watch.look()
    looks = []
    status = running.pool.status
    monkeypatch.setattr(running.pool, "status", lambda: looks.append(1) or status())
    async with listening(client, running) as events:
        await events.next()
        for _ in range(50):
            running.pool.park("key-1", 5)
            running.pool.revive("key-1")
            await running.rested()
    assert len(looks) <= 2


async def test_it_ends_on_shutdown(start, client):
    """Pages are told that it is over, and nothing waits for them."""
    running = await start()
    async with listening(client, running) as events:
        await events.next()
        await running.app.shutdown()
        assert await events.next() == ("over", {"why": "The gateway has ended."})
        assert await events.response.content.read() == b"\n"
    assert running.status.watch.listen() is None


async def test_it_ends_with_the_login(start, client):
    """Who logs out elsewhere, or whose time is over, is told nothing more."""
    running = await start(tokens=[f"ops={TOKEN}"])
    await log_in(client, running)
    async with listening(client, running) as events:
        await events.next()
        for session in list(running.status.guard.sessions._known):
            del running.status.guard.sessions._known[session]
        await running.beat()
        kind, data = await events.next()
        while kind == "update":
            kind, data = await events.next()
        assert (kind, data) == ("over", {"why": "Logged out: load the page again."})


async def test_by_a_header(start, client):
    """A program may listen with its token, and from no page of somebody else's."""
    running = await start(tokens=[f"ops={TOKEN}"])
    async with listening(client, running, headers={"Authorization": f"Bearer {TOKEN}"}) as events:
        assert (await events.next())[0] == "update"


async def test_a_reader_that_stands_still_holds_nothing_up(start, client):
    """The others are told meanwhile."""
    running = await start()
    async with aiohttp.ClientSession() as other, listening(other, running), listening(client, running) as events:
        await events.next()
        for _ in range(3):
            await running.beat()
            await events.next()


class Used:
    def __init__(self, name, uses):
        self.name, self.uses = name, uses


@pytest.mark.parametrize("gap", [1, 7 * 60])
def test_minutes(gap):
    """What came since the last look is in the minute of this one; removed keys take nothing away; an hour is kept."""
    minutes = Minutes(1_000.0)
    assert minutes.add([Used("a", 50)], 1_000.0) == {}
    assert minutes.add([Used("a", 53), Used("b", 2)], 1_001.0) == {"a": 3, "b": 2}
    assert minutes.add([Used("b", 4)], 1_061.0) == {"b": 2}
    assert minutes.counts(1_061.0) == [5, 2]
    minutes.add([Used("b", 1)], 1_062.0)
    assert minutes.counts(1_062.0) == [5, 3], "a key that was added anew counts from 0"
    for step in range(1, 200):
        minutes.add([Used("b", 1 + step)], 1_062.0 + step * gap)
    assert len(minutes.counts(1_062.0 + 199 * gap)) <= KEPT
    assert len(minutes.counts(1e9)) == KEPT and not any(minutes.counts(1e9))
