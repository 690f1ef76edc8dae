"""The gateway with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
import openai
import pytest

pytest.importorskip("trustme")

from stable_openai import KeyPool
from stable_openai.gateway import GatewayOptions, create_app, serve
from stable_openai.serving import Address, Tls, Tokens
from tests.certificates import Authority
from tests.gateway.conftest import CHAT, DONE, ROLE, chunk, events


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def secure(provider, authority):
    """``await secure(…)``: the address of a gateway with TLS, which is asked as ``https://localhost``."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*, sock=None, **options):
            pool = await stack.enter_async_context(KeyPool(["key-one-1111"], max_wait=0.5))
            app = create_app(pool, GatewayOptions(base_url=provider.base_url, **options))
            address = None if sock else Address("127.0.0.1", 0)
            tls = Tls(*authority.issue())
            (found,) = await stack.enter_async_context(serve(app, address, sock=sock, drain=5.0, tls=tls))
            return f"https://localhost:{found.port}"

        yield start


@pytest.fixture
async def client(authority):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.client())) as session:
        yield session


async def test_the_real_client(secure, provider, authority):
    """openai's own, which trusts the authority, and no other."""
    url = await secure()
    async with openai.AsyncOpenAI(
        api_key="any",
        base_url=f"{url}/v1",
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(verify=authority.client()),
    ) as ours:
        answer = await ours.chat.completions.create(**CHAT)
    assert answer.usage.total_tokens == 7
    async with openai.AsyncOpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0) as stranger:
        with pytest.raises(openai.APIConnectionError):
            await stranger.chat.completions.create(**CHAT)
    assert provider.keys == ["key-one-1111"]


async def test_a_stream_comes_as_it_is_made(secure, provider, client):
    """Byte for byte, the first of it before the last is there."""
    more = asyncio.Event()
    provider.answer = lambda http: events(http, ROLE, chunk("a"), more.wait(), chunk("b"), DONE)
    async with client.post(f"{await secure()}/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
        first = ROLE + chunk("a")
        assert await answer.content.readexactly(len(first)) == first
        more.set()
        assert await answer.content.read() == chunk("b") + DONE


async def test_who_hangs_up_ends_the_request(secure, provider, client):
    """Upstream too."""
    begun = asyncio.Event()

    async def answer(http):
        begun.set()
        await asyncio.Event().wait()

    provider.answer = answer
    asking = asyncio.ensure_future(client.post(f"{await secure()}/v1/chat/completions", json=CHAT))
    await begun.wait()
    asking.cancel()
    await provider.gone.wait()


async def test_a_large_answer(secure, provider, client):
    """Whole, where it is much more than fits into what TLS sends at once."""
    whole = bytes(range(256)) * 40_000
    provider.answer = lambda http: events(http, whole)
    async with client.get(f"{await secure()}/v1/files/f/content") as answer:
        assert await answer.read() == whole


async def test_the_status_page(secure, client):
    """Its cookie never goes out by plain HTTP."""
    async with client.get(f"{await secure()}/status") as answer:
        assert answer.status == 200
        (cookie,) = answer.headers.getall("Set-Cookie")
    assert "; secure" in cookie.lower()


async def test_a_socket_that_listens_already(secure, client):
    """From systemd, say."""
    sock = socket.create_server(("127.0.0.1", 0))
    async with client.get(f"{await secure(sock=sock)}/healthz") as answer:
        assert answer.status == 200


async def test_tls_takes_no_tokens_place(secure, client):
    """It keeps what is said private, and lets nobody in."""
    url = await secure(tokens=Tokens(["lab=swordfish-1234567"]))
    for secret, status in (("wrong", 401), ("swordfish-1234567", 200)):
        headers = {"Authorization": f"Bearer {secret}"}
        async with client.post(f"{url}/v1/chat/completions", json=CHAT, headers=headers) as answer:
            assert answer.status == status
