"""Nothing of the keys reaches a client, a log or a metric; who may come in; bounds."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket

import aiohttp
import pytest
from aiohttp import web

from stable_openai import ConfigurationError, KeyPool, Limits
from stable_openai.gateway import GatewayOptions, create_app, serve
from stable_openai.gateway.scrubbing import Scrubber
from stable_openai.serving import Address, Token, Tokens, parse_address

from .conftest import CHAT, chunk, error, events, key_of

KEYS = ("key-one-secret-1111", "key-two-secret-2222")


def shows_key(text):
    text = text if isinstance(text, bytes) else str(text).encode()
    return any(key.encode() in text for key in KEYS)


async def echo_json(http):
    return web.json_response({"object": "x", "you": dict(http.headers)}, headers=_echoes(http))


async def echo_text(http):
    return web.Response(text=f"you sent {key_of(http)}", headers=_echoes(http), reason=key_of(http))


async def echo_error(http):
    return error(400, f"what is {key_of(http)}?", "invalid_request_error", key_of(http), **_echoes(http))


async def echo_dead(http):
    return error(
        401, f"Incorrect API key provided: {key_of(http)}.", "invalid_request_error", "invalid_api_key", **_echoes(http)
    )


async def echo_stream(http):
    key = key_of(http).encode()
    return await events(
        http,
        chunk("a" + key_of(http)),
        b"data: " + key[:5],
        key[5:9],
        key[9:] + b"\n\n",
        key[:4],
        headers=_echoes(http),
    )


async def echo_error_event(http):
    told = json.dumps({"error": {"message": key_of(http), "type": "server_error", "code": None}})
    return await events(http, b"data: " + told.encode() + b"\n\n")


async def echo_packed(http):
    body = gzip.compress(b'{"object": "x", "key": "' + key_of(http).encode() + b'"}')
    return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


async def echo_packed_stream(http):
    body = gzip.compress(b'data: {"key": "' + key_of(http).encode() + b'"}\n\n')
    return await events(http, body[:20], body[20:], headers={"Content-Encoding": "gzip"})


async def echo_redirect(http):
    return web.Response(status=302, headers={"Location": f"http://x.example/?key={key_of(http)}"})


def _echoes(http):
    return {"X-Echo": http.headers["Authorization"], f"X-{key_of(http)}": "1", "Set-Cookie": f"k={key_of(http)}"}


@pytest.mark.parametrize(
    "answer",
    [echo_json, echo_text, echo_error, echo_dead, echo_stream, echo_error_event, echo_packed, echo_packed_stream, echo_redirect],
)  # fmt: skip
async def test_a_provider_that_echoes_the_key(provider, gateway, client, answer, caplog):
    """Not in a status line, header, body, log or metric."""
    caplog.set_level(logging.DEBUG)
    running = await gateway(KEYS, options={"timeout": 0.0})
    provider.answer = answer
    try:
        async with client.post(f"{running.v1}/chat/completions?x=1", json=CHAT, allow_redirects=False) as got:
            told = [got.reason, str(got.raw_headers)]
            body = await got.read()
            if got.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            told.append(body)
    except aiohttp.ClientPayloadError:
        told = []  # cut off, as it was compressed
    async with client.get(f"{running.url}/metrics") as got:
        told.append(await got.read())
    async with client.get(f"{running.url}/readyz") as got:
        told.append(await got.read())
    assert provider.requests
    assert not any(shows_key(text) for text in told)
    assert not shows_key(caplog.text)


def test_scrubbing_any_cut():
    """Wherever the pieces are cut, the secret is covered, the length stays, and nothing else changes."""
    text = b"-key-key-one-secret-1111key-one-secret-1111 key-one-secr"
    want = text.replace(KEYS[0].encode(), b"*" * len(KEYS[0]))
    for first in range(len(text)):
        for second in range(first, len(text), 5):
            scrubber = Scrubber(KEYS[0])
            pieces = [scrubber.pass_on(part) for part in (text[:first], text[first:second], text[second:])]
            assert b"".join([*pieces, scrubber.rest()]) == want


def test_words_are_not_scrubbed():
    """A key such as EMPTY, as servers without keys want one, may stand in any text."""
    assert Scrubber("EMPTY").pass_on(b"EMPTY as it is") == b"EMPTY as it is"


# -- who may come in


async def test_tokens(provider, gateway, client, caplog):
    """Without a token that is known: 401 in OpenAI's shape; with one, its name is noted and its secret goes nowhere."""
    caplog.set_level(logging.INFO, "stable_openai.access")
    running = await gateway(options={"tokens": Tokens(["lab=lab-secret-12345", "other-secret-9876"])})
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic bGFi"}, {"api-key": "wrong"}):
        async with client.post(f"{running.v1}/chat/completions", json=CHAT, headers=headers) as got:
            assert (got.status, (await got.json())["error"]["code"]) == (401, "invalid_api_key")
            assert got.headers["WWW-Authenticate"] == "Bearer"
            said = (await got.json())["error"]["message"]
            assert ("none of this gateway's tokens" if headers else "asks for a token of its own") in said
    assert provider.requests == []
    for headers in ({"Authorization": "Bearer lab-secret-12345"}, {"X-Api-Key": "lab-secret-12345"}):
        async with client.post(f"{running.v1}/chat/completions", json=CHAT, headers=headers) as got:
            assert got.status == 200
    assert "lab-secret" not in str([http.headers for http in provider.requests]) + caplog.text
    line = json.loads(caplog.records[-1].getMessage())
    assert (line["token"], line["key"], line["status"], line["attempts"], line["path"]) == (
        "lab",
        "key-2",
        200,
        1,
        "/v1/chat/completions",
    )
    async with client.get(f"{running.url}/metrics") as got:
        assert got.status == 401
    async with client.get(f"{running.url}/healthz") as got:
        assert got.status == 200


async def test_limits_of_a_token(provider, gateway, client):
    """429 with the time to come back; what is left is told; another token goes on."""
    tokens = Tokens([Token("lab-secret-12345", "lab", Limits(rpm=2)), Token("free-secret-12345", "free")])
    running = await gateway(options={"tokens": tokens})
    seen = []
    for _ in range(3):
        async with client.get(f"{running.v1}/models", headers={"Authorization": "Bearer lab-secret-12345"}) as got:
            seen.append(
                (got.status, got.headers["x-ratelimit-remaining-requests"], got.headers["x-ratelimit-limit-requests"])
            )
            retry_after, body = got.headers.get("Retry-After"), await got.json()
    assert seen == [(200, "1", "2"), (200, "0", "2"), (429, "0", "2")]
    assert 50 <= int(retry_after) <= 61
    assert body["error"]["code"] == "rate_limit_exceeded"
    async with client.get(f"{running.v1}/models", headers={"Authorization": "Bearer free-secret-12345"}) as got:
        assert got.status == 200
    assert len(provider.requests) == 3


async def test_a_token_for_one_at_a_time(provider, gateway, client):
    """Its place is given back by an answer's end, by an error, and by a client that leaves."""
    tokens = Tokens([Token("lab-secret-12345", "lab", Limits(max_concurrency=1))])
    running = await gateway(options={"tokens": tokens})
    headers = {"Authorization": "Bearer lab-secret-12345"}
    asked = asyncio.Event()

    async def hang(http):
        asked.set()
        await asyncio.get_running_loop().create_future()

    for answer in (provider.well, lambda http: asyncio.sleep(0, error(400)), provider.well):
        provider.answer = answer
        async with client.get(f"{running.v1}/models", headers=headers) as got:
            assert got.status != 429
    provider.answer = hang
    task = asyncio.ensure_future(client.get(f"{running.v1}/models", headers=headers))
    await asked.wait()
    async with client.get(f"{running.v1}/models", headers=headers) as got:
        assert got.status == 429
    task.cancel()
    await provider.gone.wait()
    provider.answer = provider.well
    async with client.get(f"{running.v1}/models", headers=headers) as got:
        assert got.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:3000"}, 200), ({"Host": "[::1]:1"}, 200),
    ],
)  # fmt: skip
async def test_pages_of_the_web_stay_out(provider, gateway, client, headers, status):
    """Without tokens, neither a name that was made to lead here nor a page of another origin is served."""
    running = await gateway()
    async with client.post(f"{running.v1}/chat/completions", json=CHAT, headers=headers) as got:
        assert got.status == status
    assert len(provider.requests) == (status == 200)


@pytest.mark.parametrize("text", ["0.0.0.0:0", ":0", "[::]:0"])
async def test_off_loopback_without_a_token(text):
    """It refuses to start, and says how."""
    with (
        KeyPool(["key-one-1111"]) as pool,
        pytest.raises(ConfigurationError, match=r"--gateway: .*--token NAME=SECRET"),
    ):
        async with serve(create_app(pool), parse_address(text)):
            raise AssertionError("it has started")


# -- bounds


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies(provider, gateway, client, chunked):
    """What fits passes whole; what does not is refused before it is kept, and no key is spent on it."""
    running = await gateway(options={"max_body": 3_000_000})

    async def pieces(size):
        for start in range(0, size, 50_000):
            yield b"x" * min(50_000, size - start)

    for size, status in ((3_000_000, 200), (3_000_001, 413)):
        data = pieces(size) if chunked else b"x" * size
        headers = {"Content-Type": "application/octet-stream"}
        try:
            async with client.post(
                f"{running.v1}/files", data=data if chunked else __import__("io").BytesIO(data), headers=headers
            ) as got:
                assert got.status == status
                if status == 413:
                    assert (await got.json())["error"]["code"] == "request_too_large"
        except (aiohttp.ClientConnectionError, ConnectionError):
            assert status == 413  # the connection was closed before all was sent
    assert [len(body) for body in provider.bodies] == [3_000_000]


async def test_uploads_are_sent_again(provider, gateway, client):
    """A streamed multipart form reaches the second key byte by byte."""
    running = await gateway()

    async def answer(http):
        return (
            error(401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key")
            if key_of(http).endswith("1111")
            else web.json_response({})
        )

    provider.answer = answer
    form = aiohttp.FormData()
    form.add_field("purpose", "batch")
    form.add_field("file", b"\x00\xff" * 500_000, filename="f.bin")
    async with client.post(f"{running.v1}/files", data=form) as got:
        assert got.status == 200
    first, second = provider.bodies
    assert first == second
    assert len(first) > 1_000_000
    assert provider.requests[1].headers["Content-Type"].startswith("multipart/form-data; boundary=")


async def test_room_for_bodies(provider, gateway, client):
    """All bodies together are bounded, and what ends gives its room back."""
    running = await gateway(options={"max_held": 10_000})
    free, asked = asyncio.Event(), asyncio.Event()

    async def answer(http):
        asked.set()
        await free.wait()
        return web.json_response({})

    provider.answer = answer
    first = asyncio.ensure_future(client.post(f"{running.v1}/files", data=b"x" * 6000))
    await asked.wait()
    async with client.post(f"{running.v1}/files", data=b"x" * 6000) as got:
        assert (got.status, got.headers["Retry-After"]) == (503, "1")
    free.set()
    (await first).close()
    async with client.post(f"{running.v1}/files", data=b"x" * 6000) as got:
        assert got.status == 200


async def test_room_is_given_back_when_an_answer_begins(provider, gateway, client):
    """What won't be sent again is not kept for as long as a stream lasts."""
    running = await gateway(options={"max_held": 10_000})

    async def answer(http):
        return await events(http, chunk("a"), asyncio.get_running_loop().create_future())

    provider.answer = answer
    streams = []
    for _ in range(3):
        streams.append(await client.post(f"{running.v1}/chat/completions", data=b"x" * 6000))
        assert await streams[-1].content.readany() == chunk("a")
    for stream in streams:
        stream.close()


async def test_another_protocol(gateway, client, provider):
    """A provider that switches protocols though nobody asked is as good as broken."""

    async def switch(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(switch, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    running = await gateway(options={"base_url": f"http://127.0.0.1:{port}/v1", "timeout": 0.01})
    async with client.get(f"{running.v1}/models") as got:
        assert got.status == 502
    server.close()


async def test_bodies_that_do_not_come(gateway, provider):
    """They are waited for only so long."""
    running = await gateway(options={"body_timeout": 0.05})
    reader, writer = await asyncio.open_connection("127.0.0.1", running.address.port)
    writer.write(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 408")
    writer.close()


async def test_requests_at_once(provider, gateway, client):
    """Beyond their number, one is told to come back."""
    running = await gateway(options={"max_requests": 1})
    asked = asyncio.Event()

    async def answer(http):
        asked.set()
        await asyncio.get_running_loop().create_future()

    provider.answer = answer
    first = asyncio.ensure_future(client.get(f"{running.v1}/models"))
    await asked.wait()
    async with client.get(f"{running.v1}/models") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (503, "overloaded")
    first.cancel()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "ftp://x"),
        ("base_url", "api"),
        ("max_body", 0),
        ("idle_timeout", 0),
        ("look_ahead", -1),
        ("max_wait", "x"),
    ],
)
def test_options(name, value):
    """Wrong ones are refused by name."""
    with pytest.raises(ConfigurationError, match=name):
        GatewayOptions(**{name: value})
    assert "secret" not in repr(GatewayOptions(tokens=Tokens(["lab=secret-123456"])))


async def test_a_socket_that_listens_already(provider):
    """As workers, or systemd, hand one over."""
    with KeyPool(["key-one-1111"]) as pool, socket.create_server(("127.0.0.1", 0)) as sock:
        app = create_app(pool, GatewayOptions(base_url=provider.base_url))
        async with serve(app, sock=sock) as (address,), aiohttp.ClientSession() as session:
            assert address == Address("127.0.0.1", sock.getsockname()[1])
            async with session.get(f"http://{address}/v1/models") as got:
                assert got.status == 200
