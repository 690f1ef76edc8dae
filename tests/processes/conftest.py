"""Exceptions as the real libraries raise them, and the ways by which they get from one process to another."""

from __future__ import annotations

import copy
import json
import os
import pickle
import ssl
import sys
from multiprocessing.reduction import ForkingPickler

import cloudpickle
import openai
import pytest

from stable_openai import Key, KeyPool, ManualClock, stable

HTTPX = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
TLS = ssl.create_default_context()  # made once: each would take 50 ms
SECRET = "sk-processes-RECOGNISABLE-0123456789"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
WAYS = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "oldest": lambda thing: pickle.loads(pickle.dumps(thing, 0)),
    "cloudpickle": lambda thing: pickle.loads(cloudpickle.dumps(thing)),
    "multiprocessing": lambda thing: pickle.loads(ForkingPickler.dumps(thing)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(autouse=True)
def _told_nothing(monkeypatch):
    for name in tuple(os.environ):
        if name.startswith("STABLE_OPENAI_"):
            monkeypatch.delenv(name)


@pytest.fixture(params=WAYS)
def travel(request):
    """Each way in turn; what has travelled twice is as what has travelled once."""
    way = WAYS[request.param]
    return lambda error: way(way(error))


class Make:
    """What tests build from, as conftest can't be imported."""

    HTTPX, SECRET, CHAT = HTTPX, SECRET, CHAT

    def __init__(self):
        self.clients = []

    def client(self, answer, kind=openai.OpenAI, **options):
        """A client of openai's that gets this answer, or to which this happens."""

        def transmit(request):
            if isinstance(answer, BaseException):
                answer.request = request
                raise answer
            return answer(request) if callable(answer) else answer

        http = openai.DefaultHttpxClient(transport=HTTPX.MockTransport(transmit), verify=TLS)
        if kind is openai.OpenAI:
            options.setdefault("base_url", "http://provider.invalid/v1")
        self.clients.append(kind(**{"api_key": SECRET, "max_retries": 0, "http_client": http, **options}))
        return self.clients[-1]

    @staticmethod
    def refusal(status, code="some_code", message="no", body=None, **headers):
        """An answer that refuses."""
        told = {"x-request-id": "req_1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = body or {"error": {"message": message, "type": "some_type", "param": "model", "code": code}}
        return HTTPX.Response(status, content=json.dumps(body), headers=told)

    @staticmethod
    def pool(**options):
        """A pool of the one key; nobody waits for anything."""
        clock = ManualClock()
        clock.sleep = clock.advance
        return KeyPool([Key(SECRET, name="only")], clock=clock, **options)

    def raised(self, function, **options):
        """What a decorated function raises at its first attempt."""
        options = {"pool": self.pool(), "stop": lambda state: True, **options}
        with pytest.raises(Exception) as caught:  # whatever it is
            stable(**options)(lambda api_key: function())()
        return caught.value

    def raised_by(self, answer, **options):
        """What openai raises of an answer."""
        client = self.client(answer)
        return self.raised(lambda: client.chat.completions.create(**CHAT), **options)


@pytest.fixture
def make():
    made = Make()
    yield made
    for client in made.clients:
        client.close()
