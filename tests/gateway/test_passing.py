"""What passes, and how: every method and path, bodies byte by byte, headers as RFC 9110 has them."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from stable_openai import Key

from .conftest import ANSWER, CHAT, DONE, ROLE, chunk, error, events


async def raw(running, text, *, until_end=True):
    """Send bytes over a socket of its own; what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.address.port)
    writer.write(text)
    try:
        return await asyncio.wait_for(reader.read() if until_end else reader.readuntil(b"\r\n\r\n"), 5)
    finally:
        writer.close()


async def test_a_call_under_the_key(provider, gateway, client, idle):
    """The client's credential is replaced; the body goes out and comes back byte by byte."""
    running = await gateway()
    body = b'{"model": "m",  "messages": [] , "x": "\\u00e9"}'
    headers = {"Authorization": "Bearer client-secret", "Content-Type": "application/json"}
    url = URL(f"{running.v1}/chat/completions?a=b%20c&a=%2F", encoded=True)
    async with client.post(url, data=body, headers=headers) as answer:
        assert answer.status == 200
        assert await answer.read() == json.dumps(ANSWER).encode()
        assert answer.headers["x-request-id"].startswith("req_")
    (asked,) = provider.requests
    assert (provider.keys, provider.bodies) == (["key-one-1111"], [body])
    assert asked.raw_path == "/v1/chat/completions?a=b%20c&a=%2F"
    assert asked.headers["Host"] in provider.base_url
    assert "client-secret" not in str(asked.headers)
    await idle(running.pool)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "REPORT"])
async def test_methods_and_paths(provider, gateway, client, method):
    """All of them, with a body or without."""
    running = await gateway()
    for path in ("/models", "/files/f%2F1/content", "/threads/a/b/c//d", ""):
        async with client.request(method, f"{running.v1}{path}") as answer:
            assert answer.status == 200
    assert {http.method for http in provider.requests} == {method}
    assert [http.raw_path for http in provider.requests] == [
        "/v1/models",
        "/v1/files/f%2F1/content",
        "/v1/threads/a/b/c//d",
        "/v1",
    ]


async def test_keys_with_endpoints_of_their_own(provider, gateway, client):
    """What follows ``/v1`` is put behind the key's base URL."""
    running = await gateway([Key("key-one-1111", base_url=provider.base_url.replace("/v1", "/openai/v9/"))])
    async with client.get(f"{running.v1}/models/x") as answer:
        assert answer.status == 200
    assert provider.requests[0].path == "/openai/v9/models/x"


async def test_hop_by_hop_headers_towards_the_provider(provider, gateway):
    """Neither those that are known nor those that Connection names; Via is added; addresses stay here."""
    running = await gateway()
    await raw(
        running,
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"
        b"TE: trailers\r\nTrailer: X-T\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAA\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nCookie: a=b\r\nVia: 1.0 inner\r\n"
        b"OpenAI-Organization: org-mine\r\nOpenAI-Project: p\r\napi-key: k\r\nX-Api-Key: k\r\nX-Kept: yes\r\nX-Kept: again\r\n"
        b"Accept-Encoding: br, gzip;q=0.5, zstd\r\nX-Bytes: \xff\r\nUser-Agent: mine\r\n\r\n",
    )
    headers = provider.requests[0].headers
    names = {name.lower() for name in headers}
    assert names == {"host", "authorization", "x-kept", "accept-encoding", "via", "user-agent"}
    assert headers.getall("X-Kept") == ["yes", "again"]
    assert headers["Accept-Encoding"] == "gzip;q=0.5"
    assert headers["Via"].startswith("1.0 inner, 1.1 stable-openai-")


async def test_nothing_is_added_that_the_client_did_not_say(provider, gateway):
    """No Accept, Accept-Encoding, User-Agent or Content-Type of our own."""
    running = await gateway()
    await raw(running, b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert {name.lower() for name in provider.requests[0].headers} == {"host", "authorization", "via", "content-length"}


async def test_headers_towards_the_client(provider, gateway, client):
    """Hop-by-hop ones, the key's organisation and limits, and cookies stay here; all else comes."""
    running = await gateway()

    async def answer(http):
        headers = [
            ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=9"), ("Proxy-Authenticate", "x"),
            ("Set-Cookie", "a=b"), ("OpenAI-Organization", "org-1"), ("openai-project", "p"), ("Alt-Svc", "h3"),
            ("x-ratelimit-limit-requests", "5"), ("Strict-Transport-Security", "max-age=1"), ("X-Request-ID", "theirs"),
            ("openai-processing-ms", "12"), ("X-Two", "1"), ("X-Two", "2"), ("Content-Type", "application/json"),
        ]  # fmt: skip
        return web.Response(body=b"{}", headers=headers)

    provider.answer = answer
    async with client.get(f"{running.v1}/models") as got:
        names = {name.lower() for name in got.headers}
        assert names == {
            "openai-processing-ms", "x-two", "content-type", "content-length", "date", "server", "x-request-id",
            "x-provider-request-id",
        }  # fmt: skip
        assert got.headers.getall("X-Two") == ["1", "2"]
        assert (got.headers["x-provider-request-id"], got.headers["Server"]) == ("theirs", "stable-openai")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compression_passes_untouched(provider, gateway, client, coding):
    """Both ways: the bytes are those that were sent."""
    running = await gateway(tpm=1_000_000)
    packed = (
        gzip.compress(json.dumps(ANSWER).encode()) if coding == "gzip" else zlib.compress(json.dumps(ANSWER).encode())
    )
    sent = gzip.compress(json.dumps(CHAT).encode())

    async def answer(http):
        return web.Response(body=packed, headers={"Content-Encoding": coding, "Content-Type": "application/json"})

    provider.answer = answer
    async with client.post(
        f"{running.v1}/chat/completions",
        data=sent,
        headers={"Content-Encoding": "gzip", "Content-Type": "application/json"},
    ) as got:
        assert await got.read() == packed
        assert got.headers["Content-Encoding"] == coding
    assert provider.bodies == [sent]
    (window,) = [w for lane in running.pool.status()[0].lanes for w in lane.windows if w.what == "tokens"][:1]
    assert window.used == 7  # settled by the usage within


async def test_compressed_errors_are_judged(provider, gateway, client):
    """They are read in plain and, where they are final, passed as they came."""
    running = await gateway()
    packed = gzip.compress(b'{"error": {"message": "bad", "type": "invalid_request_error", "code": null}}')

    async def answer(http):
        if http.headers["Authorization"].endswith("1111"):
            text = b'{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}'
            return web.Response(status=429, body=gzip.compress(text), headers={"Content-Encoding": "gzip"})
        return web.Response(
            status=400, body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
        )

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        assert (got.status, await got.read()) == (400, packed)
    assert running.pool.status()[0].standing == "parked"


async def test_head_and_empty_answers(provider, gateway, client):
    """HEAD keeps its length and has no body; 204 and 304 have none; the connection goes on."""
    running = await gateway()

    async def answer(http):
        if http.path.endswith("/204"):
            return web.Response(status=204)
        if http.path.endswith("/304"):
            return web.Response(status=304, headers={"ETag": '"x"'})
        return web.Response(body=b"x" * 77, headers={"Content-Type": "text/plain"})

    provider.answer = answer
    for _ in range(2):
        async with client.head(f"{running.v1}/models") as got:
            assert (got.status, got.headers["Content-Length"], await got.read()) == (200, "77", b"")
        for status in (204, 304):
            async with client.get(f"{running.v1}/{status}") as got:
                assert (got.status, await got.read()) == (status, b"")
        async with client.get(f"{running.v1}/models") as got:
            assert await got.read() == b"x" * 77


async def test_redirects_are_not_followed(provider, gateway, client):
    """They are the client's to follow: within the provider's address they lead to ours."""
    running = await gateway()

    async def answer(http):
        there = "https://elsewhere.example/x" if http.path.endswith("/away") else f"{provider.base_url}/moved?a=1"
        return web.Response(status=307, headers={"Location": there})

    provider.answer = answer
    for path, there in (("away", "https://elsewhere.example/x"), ("here", "/v1/moved?a=1")):
        async with client.post(f"{running.v1}/{path}", data=b"x", allow_redirects=False) as got:
            assert (got.status, got.headers["Location"]) == (307, there)
    assert len(provider.requests) == 2


async def test_old_clients(provider, gateway):
    """HTTP/1.0 has no chunks: a stream ends with its connection."""
    running = await gateway()

    async def answer(http):
        return await events(http, chunk("a"), chunk("b"), DONE)

    provider.answer = answer
    got = await raw(running, b"GET /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    assert body == chunk("a") + chunk("b") + DONE
    assert b"chunked" not in head.lower()


async def test_absolute_addresses(provider, gateway):
    """A client that takes us for a proxy is understood (RFC 9112, 3.2.2)."""
    running = await gateway()
    got = await raw(
        running, b"GET http://localhost/v1/models?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert got.startswith(b"HTTP/1.1 200")
    assert provider.requests[0].raw_path == "/v1/models?x=1"


async def test_continue_is_sent_when_the_body_is_wanted(provider, gateway):
    """A client that waits for it gets it; one that is refused does not."""
    running = await gateway(options={"max_body": 1000})
    reader, writer = await asyncio.open_connection("127.0.0.1", running.address.port)
    head = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % 5)
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 200")
    writer.close()
    assert provider.bodies == [b"hello"]
    assert (await raw(running, head % 5000, until_end=False)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "path", ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/a/%2E./%2e%2e/x", "/v1/a%2f..%2fb", "/v1/.", "/v1/..%5cx"]
)
async def test_paths_stay_beneath(provider, gateway, path):
    """No path leads out of what the key's base URL stands for."""
    running = await gateway()
    got = await raw(running, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 400")
    assert provider.requests == []


async def test_what_is_not_passed_on(provider, gateway, client):
    """Websockets, TRACE and CONNECT are refused with an error that says so; other paths are not there."""
    running = await gateway()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect(f"{running.v1}/realtime?model=m")
    assert caught.value.status == 501
    upgrade = b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n"
    assert b"websocket_not_supported" in await raw(running, upgrade)
    assert (await raw(running, b"TRACE /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n")).startswith(b"HTTP/1.1 405")
    for line, status, words in (
        (b"CONNECT api.openai.com:443", b"405", b"This is no proxy for connections"),
        (b"OPTIONS *", b"404", b"There is nothing at this path"),
    ):
        got = await raw(running, line + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 " + status)
        assert words in got and b'"error"' in got
    assert b"HTTP/1.1 40" in await raw(
        running, b"CONNECT x.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", until_end=False
    )
    async with client.get(f"{running.url}/v2/models") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "not_found")
    assert provider.requests == []


async def test_loops_end(gateway, client, provider):
    """A key whose base URL leads back here does not go round for ever."""
    running = await gateway()
    running.pool.reload([Key("key-one-1111", base_url=running.v1)])
    async with client.get(f"{running.v1}/models") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "loop")


async def test_events_after_the_role_come_together(provider, gateway, client):
    """Nothing is added, lost or changed: comments, odd line ends and an end without an empty line included."""
    running = await gateway()
    pieces = [
        b": ping\r\n\r\n",
        ROLE,
        chunk("a")[:9],
        chunk("a")[9:],
        b"data: {}\r\r",
        b"event: x\ndata: 1\n\n",
        b"data: end",
    ]

    async def answer(http):
        return await events(http, *pieces)

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json={**CHAT, "stream": True}) as got:
        assert await got.read() == b"".join(pieces)
        assert got.headers["Content-Type"] == "text/event-stream"


async def test_errors_of_requests_pass_untouched(provider, gateway, client):
    """The provider's own words at once, byte by byte, after one attempt."""
    running = await gateway()

    async def answer(http):
        return error(400, "bad 'messages'", "invalid_request_error", "invalid_type")

    provider.answer = answer
    async with client.post(f"{running.v1}/chat/completions", json=CHAT) as got:
        assert got.status == 400
        assert (await got.json())["error"]["message"] == "bad 'messages'"
    assert len(provider.requests) == 1
