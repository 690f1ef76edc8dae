"""Conversations over a provider on loopback, and over answers made to measure; one story told to all four ways to ask."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import threading
import types

import openai
import pytest

from stable_openai import Chat
from stable_openai.simulator import SimKey

MODEL = "gpt-3.5-turbo"
HTTPX = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
TLS = ssl.create_default_context()  # made once: each would take 50 ms


def secret_of(name):
    return f"sk-chat-{name}-0123456789"


class Way:
    """One of the four ways to ask."""

    def __init__(self, name):
        self.name = name
        self.is_async = name.startswith("async")
        self.streams = name.endswith("stream")

    def __repr__(self):
        return self.name

    def pieces(self, chat, *said, **options):
        """What is answered, in pieces; in an event loop of its own where that is needed."""
        if self.is_async:
            return asyncio.run(self.apieces(chat, *said, **options))
        if self.streams:
            return list(chat.stream_request(*said, **options))
        return [chat.request(*said, **options)]

    async def apieces(self, chat, *said, **options):
        if self.streams:
            return [piece async for piece in chat.async_stream_request(*said, **options)]
        return [await chat.async_request(*said, **options)]

    def ask(self, chat, *said, **options):
        """What is answered, as a text."""
        return "".join(self.pieces(chat, *said, **options))


@pytest.fixture(params=["request", "stream", "async", "async stream"])
def way(request):
    return Way(request.param)


@pytest.fixture(params=["stream", "async stream"])
def streaming(request):
    return Way(request.param)


class Talk:
    """A provider on loopback that keeps what it is asked, and chats over its keys."""

    def __init__(self, sim, names, asked):
        self.sim = sim
        self.names = names
        self.asked = asked

    def chat(self, api_key=None, **options):
        api_key = [secret_of(name) for name in self.names] if api_key is None else api_key
        return Chat(api_key, **{"model": MODEL, "base_url": self.sim.base_url, **options})

    @property
    def arrivals(self):
        """Names of the keys under which requests have come."""
        return [arrival.key for arrival in self.sim.stats().arrivals]


@pytest.fixture
def talk(openai_simulator):
    """``talk("one", ("dead", {"state": "dead"}), script=["yes", "no"])``: answers in turn, or as ``script(request)`` says."""

    def make(*keys, script=None, **settings):
        keys = [(key, {}) if isinstance(key, str) else key for key in keys or ("one",)]
        asked = []
        answers = iter(script) if isinstance(script, (list, tuple)) else None

        def answer(request):
            asked.append(request.payload)
            if answers is not None:
                return next(answers)
            return f"You said: {request.prompt}" if script is None else script(request)

        sim = openai_simulator(
            keys=[SimKey(secret_of(name), name=name, **told) for name, told in keys], script=answer, **settings
        )
        return Talk(sim, [name for name, _ in keys], asked)

    return make


# -- answers made to measure


class Pieces(HTTPX.SyncByteStream, HTTPX.AsyncByteStream):
    """A body in pieces; an exception among them is raised there, an ``Event`` is waited for."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = 0

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, threading.Event):
                piece.wait()
            else:
                yield piece

    async def __aiter__(self):
        for piece in self:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                yield piece

    def close(self):
        self.closed += 1

    async def aclose(self):
        self.closed += 1


def completion(content="fine", finish="stop", **message):
    """A chat completion."""
    message = {"role": "assistant", "content": content, **message}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": MODEL}
    return HTTPX.Response(200, json={**head, "choices": [{"index": 0, "finish_reason": finish, "message": message}]})


def event(data):
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def chunk(content=None, finish=None, index=0, **delta):
    """One event of a chat completion."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    delta = delta if content is None else {"content": content, **delta}
    return event({**head, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})


def streamed(*pieces):
    """A 200 whose body comes in these pieces; texts are chunks with content."""
    body = Pieces(*[chunk(piece) if isinstance(piece, str) else piece for piece in pieces])
    return HTTPX.Response(200, stream=body, headers={"content-type": "text/event-stream"})


def whole(*pieces):
    """A stream that ends well."""
    return streamed(*pieces, chunk(finish="stop"), event("[DONE]"))


def refusal(status=400, code="invalid_request_error", message="no"):
    return HTTPX.Response(status, json={"error": {"message": message, "type": code, "code": code}})


@pytest.fixture
def made():
    """What tests build answers from, as conftest can't be imported."""
    return types.SimpleNamespace(
        completion=completion, event=event, chunk=chunk, streamed=streamed, whole=whole, refusal=refusal,
        secret=secret_of, Response=HTTPX.Response, model=MODEL,
    )  # fmt: skip


@pytest.fixture
def over():
    """``over(way, answer, …)``: a chat that gets these answers in turn, each a response or a function of the request.

    What it has sent is in ``chat.sent``, what it has asked for (as JSON) in ``chat.asked``.
    """

    def over(way, *answers, keys=("one",), **options):
        left = list(answers)
        sent = []

        def answer(request):
            sent.append(request)
            given = left.pop(0)
            return given(request) if callable(given) else given

        make = openai.DefaultAsyncHttpxClient if way.is_async else openai.DefaultHttpxClient
        client = make(verify=TLS, transport=HTTPX.MockTransport(answer))
        told = {"model": MODEL, "base_url": "http://provider.invalid/v1", "http_client": client, "max_retries": 0}
        chat = Chat([secret_of(name) for name in keys], **{**told, **options})
        chat.sent = sent
        chat.asked = lambda: [json.loads(request.content) for request in sent]
        return chat

    return over
