"""A manager over a provider on loopback that keeps what it was asked."""

from __future__ import annotations

import pytest

from stable_openai import ChatManager, ChatMessage, ChatSetup
from stable_openai.simulator import SimKey


@pytest.fixture(autouse=True)
def _settings_of_a_fresh_process():
    ChatSetup.reset()
    yield
    ChatSetup.reset()


class Office:
    """The provider, the manager, and what went between them."""

    def __init__(self, sim, manager, asked):
        self.sim = sim
        self.cm = manager
        self.asked = asked

    @property
    def arrivals(self):
        """Names of the keys under which requests have come."""
        return [arrival.key for arrival in self.sim.stats().arrivals]


def secret_of(name):
    return f"sk-manager-{name}-0123456789"


@pytest.fixture
def secret():
    return secret_of


@pytest.fixture
def office(openai_simulator):
    """``office("a", ("b", {"state": "dead"}), script=…)``: keys a and b, a session, and ``script(request)`` answers."""

    def make(*keys, script=None, settings=None, session="session1", **options):
        keys = [(key, {}) if isinstance(key, str) else key for key in keys or ("a",)]
        asked = []

        def answer(request):
            asked.append(request.payload)
            return f"You said: {request.prompt}" if script is None else script(request)

        sim = openai_simulator(
            keys=[SimKey(secret_of(name), name=name, **told) for name, told in keys],
            script=answer,
            **(settings or {}),
        )
        manager = ChatManager(**{"api_base": sim.base_url, **options})
        for name, _ in keys:
            manager.add_key(name, secret_of(name))
        if session is not None:
            manager.set_session(session)
        return Office(sim, manager, asked)

    return make


@pytest.fixture
def said():
    """``said("hello")``: a prompt of one message; with several texts, a list of such prompts."""

    def make(*texts):
        messages = [ChatMessage().push_user(text) for text in texts]
        return messages[0] if len(messages) == 1 else messages

    return make
