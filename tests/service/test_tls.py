"""Both servers of the chat service with TLS."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import grpc.aio
import pytest

pytest.importorskip("trustme")

from stable_openai.service import SessionOptions, Sessions
from stable_openai.service.grpc import grpc_server
from stable_openai.service.http import http_server
from stable_openai.serving import Tls
from tests.certificates import Authority
from tests.service.conftest import Client, kinds_of_table


@pytest.fixture
async def served(tmp_path):
    """An authority, a certificate, and both servers with it."""
    authority = Authority(tmp_path)
    tls = Tls(*authority.issue())
    async with (
        Sessions(SessionOptions(cooldown=0)) as sessions,
        grpc_server("localhost:0", sessions, tls=tls) as over_grpc,
        http_server("localhost:0", sessions, tls=tls) as over_http,
    ):
        yield authority, tls, over_grpc, over_http


def channel(authority, address):
    credentials = grpc.ssl_channel_credentials(authority.pem)
    return grpc.aio.secure_channel(f"localhost:{address.port}", credentials)


async def test_a_session_over_both(served, config):
    """Made over the one, used over the other."""
    authority, _, over_grpc, over_http = served
    assert over_http.url.startswith("https://localhost:")
    async with (
        channel(authority, over_grpc.address) as open_channel,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.client())) as client,
    ):
        made = await Client(open_channel, kinds_of_table()).NewSession(config=config.text(), initial_prompt="hi")
        assert made.initial_response == "You said: hi"
        async with client.get(f"{over_http.url}/v1/sessions/{made.session_id}") as answer:
            assert (answer.status, len((await answer.json())["messages"])) == (200, 2)


async def test_a_stream(served, provider):
    """Pieces come as they are made; a caller that leaves ends what it has begun."""
    authority, _, _, over_http = served
    told = {"version": 3, "api_key": "sk-any-0123456789", "base_url": provider.url}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.client())) as client:
        async with client.post(f"{over_http.url}/v1/sessions", data=json.dumps({"config": told})) as answer:
            session = (await answer.json())["session_id"]
        body = json.dumps({"prompt": "hi", "stream": True})
        async with client.post(f"{over_http.url}/v1/sessions/{session}/messages", data=body) as answer:
            assert b"one " in await answer.content.readuntil(b"\n\n")
            provider.go.set()
            assert b"two" in await answer.content.read()
    provider.go.clear()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.client())) as client:
        asking = asyncio.ensure_future(
            client.post(f"{over_http.url}/v1/sessions/{session}/messages", data=json.dumps({"prompt": "leave"}))
        )
        while await provider.arrived.get() != "leave":
            pass
        asking.cancel()
        assert await provider.left.get() == "leave"


async def test_nothing_without_tls(served):
    """Whoever speaks plainly gets no answer."""
    _, _, over_grpc, over_http = served
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            await client.get(f"http://localhost:{over_http.address.port}/healthz")
    async with grpc.aio.insecure_channel(f"localhost:{over_grpc.address.port}") as plain:
        code, _, _ = await Client(plain, kinds_of_table()).refusal("DeleteSession", session_id="x")
    assert code == "UNAVAILABLE"


async def test_renewal(served):
    """Both show the new certificate to those who come from then on."""
    authority, tls, over_grpc, over_http = served
    places = (over_grpc.address, ["h2"]), (over_http.address, ["http/1.1"])
    before = [await authority.seen(address, alpn=alpn) for address, alpn in places]
    assert [protocol for _, protocol in before] == ["h2", "http/1.1"]
    authority.issue()
    tls.renew()
    after = [await authority.seen(address, alpn=alpn) for address, alpn in places]
    assert before[0][0] == before[1][0] != after[0][0] == after[1][0]
    async with channel(authority, over_grpc.address) as open_channel:
        code, _, _ = await Client(open_channel, kinds_of_table()).refusal("DeleteSession", session_id="x")
    assert code == "NOT_FOUND"
