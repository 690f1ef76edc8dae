"""A gateway over a small provider that each test scripts, all on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json

import aiohttp
import pytest
from aiohttp import web

from stable_openai import KeyPool
from stable_openai.gateway import GatewayOptions, create_app, serve
from stable_openai.serving import Address

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "object": "chat.completion",
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}


class Provider:
    """Answers by a coroutine that the test gives; keeps what it was asked."""

    def __init__(self):
        self.answer = self.well
        self.requests = []
        self.bodies = []
        self.gone = asyncio.Event()
        self.base_url = ""

    async def well(self, http):
        return web.json_response(ANSWER)

    async def handle(self, http):
        body = await http.content.read()  # of any size
        http._read_bytes = body
        self.requests.append(http)
        self.bodies.append(body)
        try:
            return await self.answer(http)
        except asyncio.CancelledError:
            self.gone.set()
            raise

    @property
    def keys(self):
        """Under which keys it was asked, in turn."""
        return [http.headers["Authorization"].removeprefix("Bearer ") for http in self.requests]


def key_of(http):
    return http.headers["Authorization"].removeprefix("Bearer ")


def error(status, message="no", kind="server_error", code=None, **headers):
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return web.json_response(
        body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


async def events(http, *pieces, headers=None):
    """Stream these pieces; a coroutine among them is waited for."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **(headers or {})})
    await response.prepare(http)
    for piece in pieces:
        if isinstance(piece, bytes):
            await response.write(piece)
        else:
            await piece
    return response


def chunk(text):
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture
async def provider():
    made = Provider()
    server = web.Server(made.handle, handler_cancellation=True, access_log=None, auto_decompress=False)
    runner = web.ServerRunner(server, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield made
    await runner.cleanup()


class Running:
    """A gateway that runs."""

    def __init__(self, app, pool, address):
        self.app = app
        self.pool = pool
        self.address = address
        self.url = f"http://{address}"
        self.v1 = f"{self.url}/v1"


@pytest.fixture
async def gateway(provider):
    """Starts gateways: ``await gateway(keys, rpm=…, options={…})``."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(keys=("key-one-1111", "key-two-2222"), *, options=None, drain=5.0, routes=None, **pool_options):
            pool_options.setdefault("max_wait", 0.5)
            pool = await stack.enter_async_context(KeyPool(keys, **pool_options))
            told = {"base_url": provider.base_url, **(options or {})}
            app = create_app(pool, GatewayOptions(**told))
            if routes is not None:
                routes(app)
            (address,) = await stack.enter_async_context(serve(app, Address("127.0.0.1", 0), drain=drain))
            return Running(app, pool, address)

        yield start


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
def idle():
    """Waits until nothing is lent of a pool."""

    async def wait(pool):
        async def look():
            while pool.store.pending_work():
                await asyncio.sleep(0)

        await asyncio.wait_for(look(), 5)

    return wait
