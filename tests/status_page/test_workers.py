"""Several workers of one gateway: what is done in one holds in all."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from stable_openai.clock import SYSTEM_CLOCK
from stable_openai.serving import Exchange, Siblings

from .conftest import TOKEN, StatusOptions, csrf_in, load, log_in, press

OPS = [f"ops={TOKEN}", "crawler=status-token-8888"]


class Family:
    """Workers, and the process that has started them, all in this one."""

    def __init__(self, start, stack):
        self.start = start
        self.stack = stack
        self.exchange = Exchange()

    async def add(self, **options):
        """One more worker: its gateway, once it has heard what there is to hear."""
        siblings = Siblings()
        running = await self.start(siblings=siblings, **options)
        running.siblings = siblings
        running.removed = asyncio.Event()
        loop = asyncio.get_running_loop()
        running.pool.on_event(
            lambda event: loop.call_soon_threadsafe(running.removed.set) if event.kind == "removed" else None
        )
        ours, theirs = socket.socketpair()
        talking = asyncio.ensure_future(self.exchange.serve(ours))
        self.stack.callback(talking.cancel)
        await self.stack.enter_async_context(siblings.connected(theirs, orphaned=lambda: None))
        return running

    async def heard(self, teller, listener):
        """Until what one has told has come to the other."""
        heard = asyncio.Event()
        listener.siblings.hear("ping", lambda _about: heard.set())
        teller.siblings.tell("ping", "")
        await heard.wait()


@pytest.fixture
async def family(start):
    async with contextlib.AsyncExitStack() as stack:
        yield Family(start, stack)


async def logged_in(client, running):
    """The login's cookie, as the browser sends it to any of the workers: they differ by their ports here."""
    _, _, headers = await log_in(client, running)
    client.cookie_jar.clear()
    name, _, value = headers["Set-Cookie"].split(";")[0].partition("=")

    def cookie(other, shown=value):
        return {"Cookie": f"{name.replace(str(running.address.port), str(other.address.port))}={shown}"}

    return value, cookie


async def test_a_login_holds_in_all(family, client):
    """At once, without a word between them; a cookie that was changed is none, and it ends in its time."""
    first, second = [await family.add(tokens=OPS, status=StatusOptions(session=100)) for _ in range(2)]
    value, cookie = await logged_in(client, first)
    assert (await load(client, second, headers=cookie(second)))[0] == 200
    parts = value.split("~")
    forged = ["~".join([parts[0], str(int(parts[1]) + 1), *parts[2:]]), "~".join([*parts[:3], "0" * 64]), parts[0]]
    for wrong in forged:
        client.cookie_jar.clear()
        assert (await load(client, second, headers=cookie(second, wrong)))[0] == 401
    second.clock.advance(101)
    client.cookie_jar.clear()
    assert (await load(client, second, headers=cookie(second)))[0] == 401


async def test_a_logout_holds_in_all(family, client):
    """Whoever has kept the cookie is out everywhere, in workers that start later too."""
    first, second = [await family.add(tokens=OPS) for _ in range(2)]
    _, cookie = await logged_in(client, first)
    _, page = await load(client, second, headers=cookie(second))
    form = {"csrf": csrf_in(page)}
    url = f"{second.url}/status/logout"
    async with client.post(url, data=form, headers=cookie(second), allow_redirects=False) as got:
        assert got.status == 303
    await family.heard(second, first)
    third = await family.add(tokens=OPS)
    for running in (first, second, third):
        client.cookie_jar.clear()
        assert (await load(client, running, headers=cookie(running)))[0] == 401


async def test_a_removal_holds_in_all(family, client):
    """Removed in one, a key is gone from each, from those that start later too."""
    first, second = [await family.add() for _ in range(2)]
    assert (await press(client, first, "remove", sure="yes"))[0] == 303
    await second.removed.wait()
    third = await family.add()
    await third.removed.wait()
    assert [running.standing("key-1") for running in (first, second, third)] == [None] * 3
    assert [running.standing("key-2") for running in (first, second, third)] == ["open"] * 3


async def test_a_removal_over_a_shared_store(start, client, tmp_path):
    """A gateway on another machine is told by the store: there the key is retired and says why, until it is revived."""
    store = f"sqlite:///{tmp_path}/keys.db"
    first, second = [await start(store=store, clock=SYSTEM_CLOCK) for _ in range(2)]
    assert (await press(client, first, "remove", sure="yes"))[0] == 303
    assert first.standing("key-1") is None
    (row,) = [key for key in second.pool.status() if key.name == "key-1"]
    assert (row.standing, row.reason) == ("retired", "removed by hand")
    second.pool.revive("key-1")
    assert second.standing("key-1") == "open"
