"""Which failures move a request to another key, which are the client's to see, and when to come back."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from stable_openai import ManualClock

from .conftest import ANSWER, CHAT, DONE, ROLE, chunk, error, events, key_of

DEAD = (401, "Incorrect API key provided: key-one…1111.", "invalid_request_error", "invalid_api_key")
UNPAID = (
    429,
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
LIMITED = (429, "Rate limit reached for requests", "requests", "rate_limit_exceeded")
NO_MODEL = (
    404,
    "The model `m` does not exist or you do not have access to it.",
    "invalid_request_error",
    "model_not_found",
)


def fails_under_the_first(answer):
    async def scripted(http):
        if key_of(http) == "key-one-1111":
            return await answer(http)
        return web.json_response(ANSWER)

    return scripted


def told(*what, **headers):
    async def answer(http):
        return error(*what, **headers)

    return answer


async def reset(http):
    http.transport.abort()
    return web.Response()


async def cut(http):
    response = web.StreamResponse(headers={"Content-Length": "100", "Content-Type": "application/json"})
    await response.prepare(http)
    await response.write(b'{"object": ')
    http.transport.close()
    return response


async def error_event(http):
    return await events(http, ROLE, b'data: {"error": {"message": "busy", "type": "server_error", "code": null}}\n\n')


async def error_in_a_good_status(http):
    return web.json_response(
        {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
    )


@pytest.mark.parametrize(
    "answer",
    [told(*DEAD), told(*UNPAID), told(*LIMITED), told(*NO_MODEL), told(500), told(503, "overloaded"), reset, cut, error_event, error_in_a_good_status],
    ids=["dead", "unpaid", "limited", "no model", "500", "overloaded", "reset", "cut", "error event", "error in a 200"],
)  # fmt: skip
async def test_another_key_answers(provider, gateway, client, idle, answer):
    """Whatever it was: the client gets the other key's answer, and nothing of the first one's."""
    clock = ManualClock()
    running = await gateway(clock=clock)
    provider.answer = fails_under_the_first(answer)
    task = asyncio.ensure_future(client.post(f"{running.v1}/chat/completions", json=CHAT))
    while not task.done():  # trouble is backed off from: time is moved on
        await asyncio.sleep(0)
        clock.advance(0.5)
    async with await task as got:
        assert (got.status, await got.json()) == (200, ANSWER)
    assert provider.keys == ["key-one-1111", "key-two-2222"]
    assert provider.bodies[0] == provider.bodies[1]
    await idle(running.pool)


async def test_no_key_is_free(provider, gateway, client):
    """All are limited: the client is told when to come back, in OpenAI's shape, and nothing of the pool."""
    running = await gateway(max_wait=0)
    provider.answer = told(*LIMITED, retry_after="33")
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        body = await got.json()
        assert got.status == 429
        assert 30 <= int(got.headers["Retry-After"]) <= 40
        assert body["error"]["code"] == "no_key_available"
        assert body["error"]["type"] == "rate_limit_error"
        assert "for the model m" in body["error"]["message"]
        assert "key-" not in str(body)
    assert len(provider.requests) == 2


@pytest.mark.parametrize("what", [DEAD, UNPAID], ids=["dead", "unpaid"])
async def test_no_key_is_left(provider, gateway, client, what):
    """All are dead or out of money: the provider's words are about our keys, so ours stand in their place."""
    running = await gateway()
    provider.answer = told(*what)
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        body = await got.text()
        assert got.status in {429, 503}
        assert int(got.headers["Retry-After"]) > 0
        assert "1111" not in body
        assert "quota" not in body
    assert len(provider.requests) == 2


async def test_every_key_refuses(provider, gateway, client):
    """Where each says the same of the model, the provider's last answer is the answer."""
    running = await gateway()
    provider.answer = told(*NO_MODEL)
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "model_not_found")
    assert provider.keys == ["key-one-1111", "key-two-2222"]


async def test_trouble_that_lasts(provider, gateway, client):
    """After so many attempts the provider's own answer passes."""
    clock = ManualClock()
    running = await gateway(clock=clock, max_wait=300)
    provider.answer = told(500, "it broke")
    task = asyncio.ensure_future(client.post(f"{running.v1}/chat/completions", json=CHAT))
    for _ in range(100_000):
        if task.done():
            break
        await asyncio.sleep(0)
        clock.advance(0.5)
    async with await task as got:
        assert got.status in {429, 500}
        assert (await got.json())["error"]["message"]
    assert len(provider.requests) >= 2


async def test_the_provider_is_not_there(gateway, client, provider):
    """Connections that are refused end in a 502 that says so, without an address."""
    running = await gateway(options={"base_url": "http://127.0.0.1:9/v1", "timeout": 0.1})
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        assert got.status in {502, 429, 503}
        assert "127.0.0.1" not in await got.text()


async def test_a_silent_provider(gateway, client, provider):
    """Silence is bounded: a 504 follows."""

    async def answer(http):
        await asyncio.get_running_loop().create_future()

    provider.answer = answer
    running = await gateway(options={"idle_timeout": 0.05, "timeout": 0.01})
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (504, "provider_timeout")


async def test_requests_wait_for_a_key(provider, gateway, client, idle):
    """One that finds every key busy is served when one is given back."""
    running = await gateway(["key-one-1111"], max_concurrency=1, max_wait=30)
    free, asked = asyncio.Event(), asyncio.Event()

    async def answer(http):
        asked.set()
        await free.wait()
        return web.json_response(ANSWER)

    provider.answer = answer

    async def call():
        async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
            return got.status

    first = asyncio.ensure_future(call())
    await asyncio.wait_for(asked.wait(), 5)
    second = asyncio.ensure_future(call())
    while not len(running.pool.line):
        await asyncio.sleep(0)
    assert len(provider.requests) == 1
    free.set()
    assert await asyncio.gather(first, second) == [200, 200]
    await idle(running.pool)


async def test_waiting_leaves_no_trace(provider, gateway, client):
    """A client that leaves while it waits is out of the line."""
    running = await gateway(["key-one-1111"], max_concurrency=1, max_wait=30)
    lease = await running.pool.aacquire()
    task = asyncio.ensure_future(client.post(f"{running.v1}/chat/completions", json=CHAT))
    while not len(running.pool.line):
        await asyncio.sleep(0)
    task.cancel()
    while len(running.pool.line):
        await asyncio.sleep(0)
    lease.release()
    assert provider.requests == []


async def test_a_request_larger_than_any_limit(provider, gateway, client):
    """It would never be served, and is told so at once."""
    running = await gateway(tpm=100)
    async with client.post(f"{running.v1}/chat/completions", json={**CHAT, "max_tokens": 5000}) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (413, "request_too_large")
    assert provider.requests == []


async def test_lanes_by_model(provider, gateway, client):
    """A key that is limited for one model still serves another; uploads name theirs in a form."""
    running = await gateway(["key-one-1111"], max_wait=0)

    async def answer(http):
        body = await http.read()
        return error(*LIMITED, retry_after="60") if b"model-a" in body else web.json_response(ANSWER)

    provider.answer = answer
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nabc\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nmodel-a\r\n--x--\r\n'
    seen = []
    for body, kind in [
        (json.dumps({"model": "model-a"}).encode(), "application/json"),
        (form, "multipart/form-data; boundary=x"),
        (json.dumps({"model": "model-b"}).encode(), "application/json"),
    ]:
        async with client.post(f"{running.v1}/audio/transcriptions", data=body, headers={"Content-Type": kind}) as got:
            seen.append(got.status)
    assert seen == [429, 429, 200]
    assert len(provider.requests) == 2


async def test_usage_settles(provider, gateway, client, idle):
    """Tokens reserved by estimate are corrected by the answer's usage, in JSON and at the end of a stream."""
    running = await gateway(["key-one-1111"], tpm=100_000)

    def used():
        return next(w.used for lane in running.pool.status()[0].lanes for w in lane.windows if w.what == "tokens")

    async with client.post(f"{running.v1}/chat/completions", json={**CHAT, "max_tokens": 5000}) as got:
        await got.read()
    await idle(running.pool)
    assert used() == 7

    async def answer(http):
        return await events(http, ROLE, chunk("a"), b'data: {"choices": [], "usage": {"total_tokens": 20}}\n\n', DONE)

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json={**CHAT, "max_tokens": 5000}) as got:
        await got.read()
    await idle(running.pool)
    assert used() == 27

    async def large(http):
        body = json.dumps({"object": "list", "data": ["x" * 3_000_000], "usage": {"total_tokens": 5}})
        return web.Response(text=body, content_type="application/json")

    provider.answer = large
    async with client.post(f"{running.v1}/embeddings", json={"model": "m", "input": "x"}) as got:
        assert len(await got.read()) > 3_000_000
    await idle(running.pool)
    assert used() == 32


async def test_affinity_by_the_prompt_cache(provider, gateway, client):
    """Requests with one ``prompt_cache_key`` stay on one key."""
    running = await gateway()
    for _ in range(4):
        async with client.post(
            f"{running.v1}/responses", json={"model": "m", "input": "x", "prompt_cache_key": "talk"}
        ) as got:
            await got.read()
    assert len(set(provider.keys)) == 1
