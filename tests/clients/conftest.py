"""One story told to both kinds of client, over a provider on loopback or over answers made to measure."""

from __future__ import annotations

import contextlib
import inspect
import json
import ssl
import sys

import openai
import pytest

import stable_openai
from stable_openai import Key, KeyPool, ManualClock
from stable_openai.pool import granting
from stable_openai.simulator import SimKey

HTTPX = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
TLS = ssl.create_default_context()  # made once: each would take 50 ms
URL = "http://provider.invalid/v1"


def secret_of(name):
    return f"sk-clients-{name}-0123456789"


async def settled(value):
    """What a sync call returns, or what an async one comes to."""
    return await value if inspect.isawaitable(value) else value


async def listed(stream):
    """All items of a stream or a page."""
    stream = await settled(stream)
    return [item async for item in stream] if hasattr(stream, "__aiter__") else list(stream)


@contextlib.asynccontextmanager
async def entered(manager):
    """``with`` or ``async with``."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


class Kind:
    """Sync or async."""

    def __init__(self, name):
        self.name = name
        self.is_async = name == "async"
        self.made = []

    def __repr__(self):
        return self.name

    def http(self, **options):
        """An HTTP client as openai makes it."""
        made = openai.DefaultAsyncHttpxClient if self.is_async else openai.DefaultHttpxClient
        return made(verify=TLS, **options)

    def class_of(self, name="OpenAI", of=stable_openai):
        return getattr(of, f"Async{name}" if self.is_async else name)

    def client(self, *, of=stable_openai, azure=False, answers=None, **options):
        """A client over the pool (or ``of=openai``, a plain one), closed when the test ends."""
        if answers is not None:
            options["http_client"] = self.http(transport=HTTPX.MockTransport(answers))
            options.setdefault("azure_endpoint" if azure else "base_url", URL)
        else:
            options.setdefault("http_client", self.http())
        made = self.class_of("AzureOpenAI" if azure else "OpenAI", of)(**options)
        self.made.append(made)
        return made

    async def chat(self, client, prompt="hello", **options):
        """The text of a chat completion."""
        answer = await settled(
            client.chat.completions.create(**{**Kind.request(prompt), **options}),
        )
        return answer.choices[0].message.content

    @staticmethod
    def request(prompt="hello"):
        return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}

    settled = staticmethod(settled)
    listed = staticmethod(listed)
    entered = staticmethod(entered)


@pytest.fixture(params=["sync", "async"])
async def kind(request):
    made = Kind(request.param)
    yield made
    for client in made.made:
        await settled(client.close())


@pytest.fixture(autouse=True)
def _openai_does_not_rest(monkeypatch):
    """openai's own loop waits for nothing between its retries."""
    for name in ("INITIAL_RETRY_DELAY", "MAX_RETRY_DELAY"):
        monkeypatch.setattr(openai._base_client, name, 0.0)


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.sleep = clock.advance

    async def asleep(seconds):
        clock.advance(seconds)

    clock.asleep = asleep
    return clock


@pytest.fixture
def waiting_moves_the_clock(clock, monkeypatch):
    """Whoever would wait for a key moves the clock instead, as there is nobody else."""

    def wait(waiter):
        while waiter.result is None:
            clock.advance(1.0)

    async def await_(waiter):
        wait(waiter)

    for waiter, waits in ((granting.ThreadWaiter, wait), (granting.TaskWaiter, await_)):
        monkeypatch.setattr(waiter, "deliver", lambda waiter: True)
        monkeypatch.setattr(waiter, "wait", waits)


class Setting:
    """A provider on loopback, a pool of its keys, and a client over it."""

    def __init__(self, sim, pool, client):
        self.sim = sim
        self.pool = pool
        self.client = client

    @property
    def arrivals(self):
        """Names of the keys under which requests have come."""
        return [arrival.key for arrival in self.sim.stats().arrivals]

    def row(self, name):
        return next(row for row in self.pool.status() if row.name == name)

    @property
    def rows(self):
        return self.pool.status()


@pytest.fixture
def setting(kind, openai_simulator, clock):
    """``setting(("dead", {"state": "dead"}), ("good", {}))``; ``told`` are options of the pool, ``options`` of the client."""

    def make(*keys, told=None, options=None, **settings):
        keys = [(key, {}) if isinstance(key, str) else key for key in keys]
        sim = openai_simulator(keys=[SimKey(secret_of(name), name=name, **fields) for name, fields in keys], **settings)
        pool = KeyPool([Key(secret_of(name), name=name) for name, _ in keys], **{"clock": clock, **(told or {})})
        return Setting(sim, pool, kind.client(pool=pool, base_url=sim.base_url, **(options or {})))

    return make


class Pieces(HTTPX.SyncByteStream, HTTPX.AsyncByteStream):
    """A body in pieces as they are told; an exception among them is raised there."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.passed = 0
        self.closed = 0

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            self.passed += 1
            yield piece

    async def __aiter__(self):
        for piece in iter(self):
            yield piece

    def close(self):
        self.closed += 1

    async def aclose(self):
        self.closed += 1


class Answers:
    """A provider made to measure: ``answers(key name) -> response``; remembers what it was asked."""

    def __init__(self, answer):
        self._answer = answer
        self.requests = []

    @property
    def keys(self):
        """Names of the keys, in order."""
        return [
            (request.headers.get("Authorization") or request.headers.get("api-key", "")).partition("sk-clients-")[2].removesuffix("-0123456789")
            for request in self.requests
        ]  # fmt: skip

    def __call__(self, request):
        self.requests.append(request)
        name = self.keys[-1]
        answer = self._answer(name) if callable(self._answer) else self._answer[name]
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


def error(status=429, code="rate_limit_exceeded", *, message="no", **headers):
    """A refusal."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPX.Response(status, json={"error": {"message": message, "type": code, "code": code}}, headers=told)


def completion(text="fine"):
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return HTTPX.Response(
        200, json={**body, "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage}
    )


def event(data, name=None):
    data = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def chunk(*, usage=None, finish=None, **delta):
    """One event of a chat completion."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event({**head, "choices": choices, **({"usage": usage} if usage else {})})


ROLE = chunk(role="assistant", content="")
HELLO, YOU, END, DONE = chunk(content="Hello"), chunk(content=" you"), chunk(finish="stop"), event("[DONE]")
FAILED = event({"error": {"message": "The server had a bad day", "type": "server_error", "code": "server_error"}})
LIMITED = event({"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}})


def streamed(*pieces, **headers):
    """A 200 whose body comes in these pieces."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPX.Response(200, stream=Pieces(*pieces), headers={"content-type": "text/event-stream", **told})


class Make:
    """What tests build answers from, as conftest can't be imported."""

    Answers, Pieces, HTTPX, URL = Answers, Pieces, HTTPX, URL
    ROLE, HELLO, YOU, END, DONE, FAILED, LIMITED = ROLE, HELLO, YOU, END, DONE, FAILED, LIMITED
    error, completion, streamed, event, chunk = map(staticmethod, (error, completion, streamed, event, chunk))
    secret = staticmethod(secret_of)

    @staticmethod
    def whole():
        """A stream that ends well."""
        return streamed(ROLE, HELLO, YOU, END, DONE)

    @staticmethod
    def keys(*names, **fields):
        return [Key(secret_of(name), name=name, **fields) for name in names]


@pytest.fixture
def make():
    return Make


@pytest.fixture
def over(kind, clock):
    """``over(answers, "one", "two")``: a pool of keys with these names, and a client that gets these answers."""

    def over(answers, *names, told=None, **options):
        pool = KeyPool(Make.keys(*names), **{"clock": clock, **(told or {})})
        answers = answers if isinstance(answers, Answers) else Answers(answers)
        return answers, pool, kind.client(pool=pool, answers=answers, **options)

    return over
