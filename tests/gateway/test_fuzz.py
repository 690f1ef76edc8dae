"""Whatever a client writes to the socket: no 5xx of our own making, no hang, no traceback."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stable_openai import KeyPool
from stable_openai.gateway import GatewayOptions, create_app, serve
from stable_openai.serving import Address


@pytest.fixture(scope="module")
def port():
    """A gateway and a provider that answers anything well, in a thread."""
    loop = asyncio.new_event_loop()
    ready, found = threading.Event(), []

    async def main(stop):
        async def answer(http):
            return web.Response(body=await http.content.read())

        runner = web.ServerRunner(web.Server(answer, auto_decompress=False), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        options = GatewayOptions(
            base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", body_timeout=0.1, max_body=10_000, timeout=2.0
        )
        with KeyPool(["key-one-1111"], max_wait=1) as pool:
            async with serve(create_app(pool, options), Address("127.0.0.1", 0), drain=0.1) as (address,):
                found.append(address.port)
                ready.set()
                await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main(stop)), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def exchange(port, text):
    """Send bytes, say that there are no more after a while, and read what comes."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        try:
            sock.sendall(text)
            sock.settimeout(0.15)
            while len(got) < 200_000:
                piece = sock.recv(65_536)
                if not piece:
                    break
                got += piece
        except TimeoutError:
            pass  # it waits for the rest of a request, or keeps the connection
        except ConnectionError:
            pass
    return got


names = st.sampled_from([
    b"Content-Type", b"Connection", b"Accept-Encoding", b"Content-Encoding", b"Expect", b"Upgrade", b"Via", b"TE", b"Authorization",
    b"X-Api-Key", b"Range", b"If-None-Match", b"X-A", b"Cookie", b"Origin", b"Transfer-Encoding", b"Content-Length", b"Host",
])  # fmt: skip
values = st.one_of(
    st.sampled_from([
        b"", b"close", b"keep-alive, x-a", b"gzip", b"100-continue", b"websocket", b"h2c", b"chunked", b"5", b"0", b"-1", b"99999999999999",
        b"application/json", b"multipart/form-data; boundary=x", b"identity;q=0", b"*", b"\xff\xfe", b"Bearer x", b"http://localhost", b"localhost",
    ]),
    st.binary(max_size=12),
)  # fmt: skip
methods = st.one_of(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PATCH", b"M-SEARCH", b"get"]),
    st.binary(max_size=5),
)
paths = st.one_of(
    st.sampled_from([
        b"/v1/chat/completions", b"/v1/", b"/v1", b"/v1/../x", b"/v1/%", b"/v1/%zz", b"/v1/%00", b"/v1/a?b#c", b"*", b"/v1/\xc3\xa9", b"//v1/x",
        b"http://localhost/v1/x", b"http://[::1", b"/v1/" + b"a" * 9000, b"/v1/x?" + b"q=%2e%2e" * 20, b"/healthz", b"/metrics", b"/readyz",
    ]),
    st.binary(max_size=8).map(lambda tail: b"/v1/" + tail),
)  # fmt: skip
bodies = st.one_of(
    st.sampled_from([b"", b"{", b'{"model": 5}', b'{"model": "m", "messages": 3}', b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"[" * 5000, b"\xff" * 20, b"null"]),
    st.binary(max_size=30),
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    method=methods,
    path=paths,
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b""]),
    headers=st.lists(st.tuples(names, values), max_size=4),
    body=bodies,
    length=st.booleans(),
)
def test_requests_of_any_kind(port, caplog, method, path, version, headers, body, length):  # noqa: PLR0917  # one for each strategy
    """Each is answered by a status below 500 (websockets apart), or its connection is closed; nothing fails inside."""
    lines = [
        b"%s %s %s" % (method, path, version),
        b"Host: localhost",
        b"Connection: close",
        *(b"%s: %s" % pair for pair in headers),
    ]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    with caplog.at_level(logging.WARNING):
        got = exchange(port, b"\r\n".join(lines) + b"\r\n\r\n" + body)
    status = got[9:12]
    assert status in {b"", b"501"} or (got.startswith(b"HTTP/") and status < b"500"), got[:300]
    assert b"Traceback" not in got
    assert b".py" not in got
    assert not [record.getMessage() for record in caplog.records if record.name.startswith("stable_openai.gateway")]
    caplog.clear()


def test_it_still_serves(port):
    """After all that."""
    got = exchange(port, b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
    assert got.startswith(b"HTTP/1.1 200")
    assert got.endswith(b"hi")
