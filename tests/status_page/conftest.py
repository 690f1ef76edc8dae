"""A gateway with its status page on loopback; its pool's time stands still."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from html import unescape

import aiohttp
import pytest

from stable_openai import KeyPool
from stable_openai.clock import ManualClock
from stable_openai.gateway import GATEWAY, GatewayOptions, create_app, serve
from stable_openai.gateway.status import STATUS
from stable_openai.gateway.status.settings import StatusOptions
from stable_openai.serving import Address, Tokens

KEYS = ("status-secret-one-1111", "status-secret-two-2222", "status-secret-six-6666")
TOKEN = "status-token-7777"


class PacedClock(ManualClock):
    """Knows whether somebody sleeps on it."""

    sleepers = 0

    async def asleep(self, seconds):
        self.sleepers += 1
        try:
            await super().asleep(seconds)
        finally:
            self.sleepers -= 1


class Running:
    """A gateway that runs."""

    def __init__(self, app, pool, clock, address):
        self.app, self.pool, self.clock, self.address = app, pool, clock, address
        self.url = f"http://{address}"
        self.status = app[STATUS]
        self.gateway = app[GATEWAY]

    async def beat(self):
        """Let the time of a heartbeat pass; there is a look in it, or two where something has happened."""
        for seconds in (self.status.watch.gap + 0.05, self.status.watch.period):
            await self.rested()
            self.clock.advance(seconds)
        await self.rested()

    async def rested(self):
        """Until the watch sleeps, whatever it has to do before."""
        for _ in range(10):
            await asyncio.sleep(0)
        while not self.clock.sleepers:
            await asyncio.sleep(0)

    def standing(self, name):
        return {key.name: key.standing for key in self.pool.status()}.get(name)


@pytest.fixture
async def start():
    """Starts gateways: ``await start(keys, tokens=[…], status=StatusOptions(…), rpm=…)``."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            keys=KEYS,
            *,
            tokens=(),
            status=None,
            siblings=None,
            base_url="http://127.0.0.1:9/v1",
            clock=None,
            **pool_options,
        ):
            clock = clock or PacedClock()
            pool = await stack.enter_async_context(KeyPool(keys, clock=clock, **pool_options))
            app = create_app(
                pool, GatewayOptions(base_url=base_url, tokens=Tokens(tokens)), status=status, siblings=siblings
            )
            (address,) = await stack.enter_async_context(serve(app, Address("127.0.0.1", 0), drain=5.0))
            return Running(app, pool, clock, address)

        yield start


@pytest.fixture
async def client():
    """A browser without scripts, as far as cookies and forms go."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def csrf_in(page):
    return unescape(re.search(r'name="csrf" value="([^"]*)"', page)[1])


async def load(client, running, path="/status", **more):
    async with client.get(f"{running.url}{path}", **more) as got:
        return got.status, await got.text()


async def press(client, running, what, name="key-1", *, csrf=None, headers=None, **fields):
    """Press a button of the page: the status, where it leads, and the page."""
    if csrf is None:
        csrf = csrf_in((await load(client, running))[1])
    url = f"{running.url}/status/keys/{name}/{what}"
    async with client.post(url, data={"csrf": csrf, **fields}, headers=headers, allow_redirects=False) as got:
        return got.status, await got.text()


async def log_in(client, running, token=TOKEN, **more):
    _, page = await load(client, running)
    async with client.post(
        f"{running.url}/status/login", data={"token": token, "csrf": csrf_in(page)}, allow_redirects=False, **more
    ) as got:
        return got.status, await got.text(), got.headers


class Events:
    """What comes over ``/status/events``."""

    def __init__(self, response):
        self.response = response

    async def next(self):
        """The next event: its kind and its data."""
        kind = None
        while True:
            line = (await self.response.content.readline()).decode()
            assert line, "it has ended"
            if line.startswith("event: "):
                kind = line[7:].strip()
            elif line.startswith("data: "):
                return kind, json.loads(line[6:])

    async def until(self, condition):
        """The first event for which this holds."""
        while True:
            kind, data = await self.next()
            if condition(data):
                return kind, data


@contextlib.asynccontextmanager
async def listening(client, running, query="", **more):
    async with client.get(f"{running.url}/status/events{query}", **more) as got:
        assert (got.status, got.content_type) == (200, "text/event-stream")
        yield Events(got)


__all__ = ["KEYS", "TOKEN", "Events", "StatusOptions", "csrf_in", "listening", "load", "log_in", "press"]
