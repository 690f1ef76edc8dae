"""One story told to all ways in: httpx and httpx2, sync and async, and requests by adapter, by auth, and by both."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

import stable_openai
from stable_openai import Key, KeyPool, ManualClock
from stable_openai.simulator import SimKey

HTTPX = ("httpx", "httpx async", "httpx2", "httpx2 async")
REQUESTS = ("requests adapter", "requests auth", "requests both")
OPEN_FILES = Path("/proc/self/fd")


class Httpx:
    """A client of httpx or httpx2 over a ``Transport``."""

    def __init__(self, library, pool, options, **client):
        self.client = library.Client(transport=stable_openai.Transport(pool, **options), **client)

    def post(self, url, **call):
        return self.client.post(url, **call)

    def stream(self, url, **call):
        """The text of a stream, read as it comes."""
        with self.client.stream("POST", url, **call) as response:
            return "".join(response.iter_text())

    def close(self):
        self.client.close()


class AsyncHttpx:
    """The same in an event loop of its own."""

    def __init__(self, library, pool, options, **client):
        transport = stable_openai.AsyncTransport(pool, **options)
        self.loop = asyncio.new_event_loop()
        self.client = library.AsyncClient(transport=transport, **client)

    def post(self, url, **call):
        return self.loop.run_until_complete(self.client.post(url, **call))

    def stream(self, url, **call):
        async def read():
            async with self.client.stream("POST", url, **call) as response:
                return "".join([piece async for piece in response.aiter_text()])

        return self.loop.run_until_complete(read())

    def close(self):
        self.loop.run_until_complete(self.client.aclose())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class Requests:
    """A session of requests with an adapter, an auth, or both."""

    def __init__(self, how, pool, options, *, follow_redirects=False):
        requests = pytest.importorskip("requests")
        self.session = requests.Session()
        self.session.trust_env = False
        self.follow = follow_redirects
        if how != "auth":
            for scheme in ("http://", "https://"):
                self.session.mount(scheme, stable_openai.PoolAdapter(pool, **options))
        if how != "adapter":
            self.session.auth = stable_openai.PoolAuth(pool, **options)

    def post(self, url, *, content=None, **call):
        return self.session.post(url, data=content, allow_redirects=self.follow, **call)

    def stream(self, url, **call):
        with self.session.post(url, stream=True, allow_redirects=self.follow, **call) as response:
            return b"".join(response.iter_content(chunk_size=7)).decode()

    def close(self):
        self.session.close()


class Way:
    """One way in; a test opens it over a pool of its own."""

    def __init__(self, name):
        self.name = name
        self.opened = []
        self.library, _, self.how = name.partition(" ")
        self.is_requests = self.library == "requests"
        self.module = pytest.importorskip(self.library)

    def __repr__(self):
        return self.name

    @property
    def sees_breaks(self):
        """Whether a connection that breaks before the answer is seen: requests tells an auth nothing of it."""
        return self.how != "auth"

    def open(self, pool=None, *, follow_redirects=False, **options):
        if self.is_requests:
            made = Requests(self.how, pool, options, follow_redirects=follow_redirects)
        else:
            kind = AsyncHttpx if self.how else Httpx
            made = kind(self.module, pool, options, follow_redirects=follow_redirects)
        self.opened.append(made)
        return made

    def close(self):
        while self.opened:
            self.opened.pop().close()


@pytest.fixture(params=[*HTTPX, *REQUESTS])
def way(request):
    way = Way(request.param)
    yield way
    way.close()


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.sleep = clock.advance

    async def asleep(seconds):
        clock.advance(seconds)

    clock.asleep = asleep
    return clock


@pytest.fixture
def setting(openai_simulator, clock):
    """A simulator, and a pool of its keys."""
    pools = []

    def make(keys, *, told=None, **settings):
        sim = openai_simulator(
            keys=[SimKey(f"sk-transports-{name}-0123456789", name=name, **fields) for name, fields in keys], **settings
        )
        named = [Key(secret, name=name) for secret, (name, _) in zip(sim.keys, keys, strict=True)]
        pool = KeyPool(named, clock=clock, **(told or {}))
        pools.append(pool)
        return SimpleNamespace(sim=sim, pool=pool, url=sim.base_url + "/chat/completions")

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def asked():
    """``asked("hello")``: the body of a chat completion."""

    def asked(prompt="hello", **more):
        return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], **more}

    return asked


class Scripted(ThreadingHTTPServer):
    """A provider whose answers a test writes: ``answer(request)`` gives status, headers and body.

    A body that is a list is sent in chunks; one that is a text with no ``Content-Length`` ends with the connection.
    """

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.seen = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that has gone away is no error of a test."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def keys(self):
        """The keys that came, in order; None where a request had none."""
        return [authorization and authorization.removeprefix("Bearer ") for _, authorization, _ in self.seen]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        authorization = self.headers.get("Authorization")
        self.server.seen.append((self.path, authorization, self.headers))
        key = authorization and authorization.removeprefix("Bearer ")
        status, headers, body = self.server.answer(SimpleNamespace(path=self.path, key=key, content=content))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if isinstance(body, list):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in body:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        if body is not None and "Content-Length" not in headers:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body or b"")

    do_GET = do_POST  # noqa: N815  # the standard library's names

    def log_message(self, *_):
        pass


@pytest.fixture
def scripted():
    """Start providers whose answers are written by the test."""
    with contextlib.ExitStack() as running:

        def start(answer):
            server = running.enter_context(Scripted(answer))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return server

        yield start
