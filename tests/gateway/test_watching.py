"""Health, readiness, metrics, and how it ends."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import pytest
from aiohttp import web

from stable_openai.gateway import GATEWAY, GatewayOptions, create_app, metrics, serve
from stable_openai.serving import Address

from .conftest import CHAT, DONE, chunk, error, events


async def test_alive_and_ready(gateway, client, provider):
    """Alive always; ready while a key is usable, and not once it is draining."""
    running = await gateway()
    async with client.get(f"{running.url}/healthz") as got:
        assert (got.status, await got.json()) == (200, {"status": "alive"})
    async with client.get(f"{running.url}/readyz") as got:
        assert (got.status, await got.json()) == (200, {"status": "ready", "usable_keys": 2})
    for name in ("key-1", "key-2"):
        running.pool.park(name)
    async with client.get(f"{running.url}/readyz") as got:
        assert (got.status, (await got.json())["usable_keys"]) == (503, 0)
    running.pool.revive()
    running.app[GATEWAY].draining = True
    async with client.get(f"{running.url}/readyz") as got:
        assert (got.status, (await got.json())["status"]) == (503, "draining")
    async with client.get(f"{running.v1}/models") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (503, "shutting_down")


async def test_metrics(gateway, client, provider):
    """Requests by route, status and token; attempts by key and verdict; the keys' standing; no name of a client's making."""
    pytest.importorskip("prometheus_client")
    running = await gateway()

    async def answer(http):
        if http.headers["Authorization"].endswith("1111"):
            return error(401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key")
        return web.json_response({"object": "x"})

    provider.answer = answer
    for path in ("/v1/chat/completions", "/v1/models/a", "/v1/models/b", "/v1/made-up/x", "/nothing"):
        async with client.get(f"{running.url}{path}") as got:
            await got.read()
    async with client.get(f"{running.url}/metrics") as got:
        assert got.content_type == "text/plain"
        text = await got.text()
    for line in (
        'stable_openai_gateway_requests_total{route="/v1/chat/completions",status="200",token=""} 1.0',
        'stable_openai_gateway_requests_total{route="/v1/models/…",status="200",token=""} 2.0',
        'stable_openai_gateway_requests_total{route="other",status="200",token=""} 1.0',
        'stable_openai_gateway_requests_total{route="other",status="404",token=""} 1.0',
        'stable_openai_gateway_attempts_total{key="key-1",verdict="invalid_key"} 1.0',
        'stable_openai_gateway_attempts_total{key="key-2",verdict="ok"} 4.0',
        'stable_openai_key_standing{key="key-1",standing="retired"} 1.0',
        "stable_openai_gateway_in_flight 0.0",
        "stable_openai_gateway_waiting 0.0",
        'stable_openai_gateway_request_seconds_count{route="other"} 2.0',
    ):
        assert line in text.splitlines()


async def test_without_prometheus(gateway, client, provider, monkeypatch):
    """All else works, and the metrics say what is missing."""
    import sys

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    running = await gateway()
    assert type(running.app[GATEWAY].metrics) is metrics.NoMetrics
    async with client.get(f"{running.v1}/models") as got:
        assert got.status == 200
    async with client.get(f"{running.url}/metrics") as got:
        assert got.status == 501
        assert "stable-openai[metrics]" in await got.text()


async def test_more_routes(gateway, client, provider):
    """Further pages can be added before it is served."""

    async def page(http):
        return web.Response(text=str(len(http.app[GATEWAY].pool)))

    running = await gateway(routes=lambda app: app.router.add_get("/more", page))
    async with client.get(f"{running.url}/more") as got:
        assert await got.text() == "2"


async def test_draining(provider, client, caplog):
    """What runs ends whole; nothing new is let in; then it is over."""
    from stable_openai import KeyPool

    go_on, done = asyncio.Event(), asyncio.Event()

    async def answer(http):
        return await events(http, chunk("a"), go_on.wait(), chunk("b"), DONE)

    provider.answer = answer
    with KeyPool(["key-one-1111"]) as pool:
        app = create_app(pool, GatewayOptions(base_url=provider.base_url))
        leave, where = asyncio.Event(), asyncio.get_running_loop().create_future()

        async def run():
            async with serve(app, Address("localhost", 0), drain=10) as (address,):
                where.set_result(address)
                await leave.wait()
            done.set()

        task = asyncio.ensure_future(run())
        address = await where
        async with client.post(f"http://{address}/v1/chat/completions", json={**CHAT, "stream": True}) as got:
            assert await got.content.readany() == chunk("a")
            leave.set()
            while not app[GATEWAY].draining:
                await asyncio.sleep(0)
            with pytest.raises(ConnectionRefusedError):
                for _ in range(100):  # the listener closes a moment later
                    (await asyncio.open_connection(address.host, address.port))[1].close()
            assert not done.is_set()
            go_on.set()
            assert await got.content.read() == chunk("b") + DONE
        await asyncio.wait_for(done.wait(), 5)
        await task
        assert not pool.store.pending_work()


async def test_cutting_after_the_deadline(provider, client):
    """What does not end in time is cut, and its key given back."""
    from stable_openai import KeyPool

    async def answer(http):
        return await events(http, chunk("a"), asyncio.get_running_loop().create_future())

    provider.answer = answer
    with KeyPool(["key-one-1111"]) as pool:
        app = create_app(pool, GatewayOptions(base_url=provider.base_url))
        async with serve(app, Address("localhost", 0), drain=0.05) as (address,):
            got = await client.post(f"http://{address}/v1/chat/completions", json={**CHAT, "stream": True})
            assert await got.content.readany() == chunk("a")
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()
        assert not pool.store.pending_work()


async def test_our_own_faults_show_nothing(gateway, client, provider, monkeypatch, caplog):
    """An error that nobody foresaw is a 500 in OpenAI's shape; its words are neither sent nor logged."""
    running = await gateway()
    caplog.set_level(logging.DEBUG)

    async def broken(*args, **kwargs):
        raise ValueError(chr(49) * 4)

    monkeypatch.setattr("stable_openai.gateway.gateway.asked_of", broken)
    async with client.get(f"{running.v1}/models") as got:
        body = await got.text()
        assert (got.status, "internal_error" in body) == (500, True)
    assert "1111" not in body + caplog.text
    assert "ValueError" in caplog.text
