"""A provider, a Valkey server that holds the pool, and what the workers of an engine are told of the two."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import openai
import pytest

from stable_openai import KeyPool
from stable_openai.simulator import SimKey, Simulator
from stable_openai.simulator.messages import Request
from tests.stores.servers import Server

ROOT = Path(__file__).parents[2]
SECRETS = [f"sk-engines-RECOGNISABLE-{name}-0123456789" for name in ("one", "two")]
MARK = b"RECOGNISABLE"
LIMIT, SECONDS = 10, 3.0
NARROWER = 2.0  # how long a request takes to arrive varies by less than the rest
SCARCE = "gpt-4o"
ENCODED = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")


class Crawl:
    """What the tests of an engine share.

    The provider keeps no limit of the keys: the workers alone do. Of the model ``gpt-4o``, each key has one request a
    minute, and somebody else has sent it.
    """

    SCARCE = SCARCE

    def __init__(self, folder, server, sim):
        self.server, self.sim = server, sim
        self._uses = 0
        self.path = folder / "keys.toml"
        self.path.touch(mode=0o600)
        keys = [f'[[keys]]\nsecret = "{secret}"\nbase_url = "{sim.base_url}"\n' for secret in SECRETS]
        self.path.write_text(f"[pool]\nrpm = {LIMIT}\nminute = {SECONDS}\n" + "".join(keys))
        self.environment = {
            "STABLE_OPENAI_POOL": str(self.path),
            "STABLE_OPENAI_STORE": server.url,
            "PYTHONPATH": str(ROOT),
        }

    def database(self, number):
        """The address of another database of the server."""
        return f"redis://{self.server.address}/{number}"

    def pool(self):
        """The pool that the workers share, in this process; use it in a ``with``."""
        return KeyPool.from_file(self.path, store=self.server.url)

    def begin(self):
        """Count afresh what arrives."""
        self.sim.provider.reset_stats()
        self._uses = self._count_uses()

    def spend(self):
        """Let somebody else send what may be sent to the scarce model."""
        for secret in SECRETS:
            self.sim.provider.reply(Request(secret, prompt="somebody else's", model=SCARCE), self.sim.now())

    def check_limits(self, prompts):
        """Each prompt was answered once, no key was sent more than its limit, and the shared pool knows of all."""
        stats = self.sim.stats()
        assert {prompt: stats.served_times(prompt) for prompt in prompts} == dict.fromkeys(prompts, 1)
        assert stats.total.outcomes == {"served": len(prompts)}
        sent = [stats.max_in_window(name, NARROWER, of="attempts") for name in stats.keys]
        assert max(sent) <= LIMIT, sent
        assert self._count_uses() == self._uses + len(prompts)

    def _count_uses(self):
        with self.pool() as pool:
            return sum(row.uses for row in pool.status())

    @staticmethod
    def check_refusal(error):
        """It is the provider's, with what it tells and with our note, and has no secret."""
        assert isinstance(error, openai.RateLimitError)
        assert error.status_code == 429
        assert error.response.status_code == 429
        assert error.response.json()["error"]["code"] == error.body["code"] == "rate_limit_exceeded"
        assert error.__notes__[0].startswith("attempt 1 with key-")
        assert "authorization" not in error.request.headers

    @staticmethod
    def check_fault(error):
        """It is about the request: untouched, without a note."""
        assert isinstance(error, openai.BadRequestError)
        assert error.status_code == 400
        assert error.body["code"] == "context_length_exceeded"
        assert not hasattr(error, "__notes__")

    @staticmethod
    def check_bytes(data):
        """There is no secret in them, not in the base64 of brokers either."""
        assert MARK not in data
        assert not [found for found in ENCODED.findall(data) if MARK in _decoded(found)]


def _decoded(text):
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return b""


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """The provider and the server run for all tests of an engine, as its workers do."""
    if Server.find() is None:
        pytest.skip("there is no Valkey or Redis server here")
    keys = [SimKey(secret, model_limits={SCARCE: {"rpm": 1}}) for secret in SECRETS]
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.startswith(("OPENAI_", "STABLE_OPENAI_")):
                patch.delenv(name)
        with Server() as server, Simulator(keys=keys, context_length=500) as sim:
            yield Crawl(tmp_path_factory.mktemp("crawl"), server, sim)
