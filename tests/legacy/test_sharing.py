"""`share_connections`: clients that other code builds, over one set of connections, and openai as it was afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
import threading
from pathlib import Path

import openai
import pytest

from stable_openai import KeyManager, share_connections, stable
from stable_openai.legacy import sharing
from stable_openai.simulator import SimKey

KEY = "sk-legacy-000000000000000000"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
FDS = Path("/proc/self/fd")
KINDS = [openai.OpenAI, openai.AsyncOpenAI, openai.AzureOpenAI, openai.AsyncAzureOpenAI]


class Derived(openai.OpenAI):
    """As users derive their own: with parameters of its own."""

    def __init__(self, secret, **kwargs):
        super().__init__(api_key=secret, max_retries=7, **kwargs)


@pytest.fixture
def sim(openai_simulator):
    return openai_simulator([KEY])


@pytest.fixture(autouse=True)
def _undone_exactly():
    """After each test openai is as it was before it."""
    before = [(kind, dict(vars(kind))) for kind in KINDS]
    module = {name: getattr(openai, name) for name in ("http_client", "max_retries")}
    yield
    for kind, own in before:
        assert dict(vars(kind)).keys() == own.keys()
        assert all(vars(kind)[name] is own[name] for name in own)
    assert {name: getattr(openai, name) for name in module} == module
    assert sharing._state.users == 0
    assert sharing._state.connections is None


def sockets(sim):
    """Connections that this process has to a simulator, as its client."""
    if not FDS.is_dir():
        pytest.skip("there is no /proc here")
    found = 0
    for entry in FDS.iterdir():
        with contextlib.suppress(OSError):
            if entry.is_socket():
                with socket.socket(fileno=os.dup(int(entry.name))) as one:
                    found += one.family == socket.AF_INET and one.getpeername()[1] == sim.port
    return found


def ask(client):
    return client.chat.completions.create(**CHAT).choices[0].message.content


def make(kind, sim, **options):
    if "Azure" in kind.__name__:
        return kind(api_key=KEY, azure_endpoint=sim.url, api_version="2024-06-01", **options)
    return kind(api_key=KEY, base_url=sim.base_url, **options)


@pytest.mark.parametrize("kind", [openai.OpenAI, openai.AzureOpenAI])
def test_clients_made_per_call_use_one_connection(kind, sim):
    with share_connections():
        for _ in range(5):
            with make(kind, sim, max_retries=5) as client:
                assert client.max_retries == 0
                assert ask(client) == "You said: hello"
                assert ask(client.with_options(max_retries=3, timeout=20)) == "You said: hello"
                assert client.with_options(max_retries=3).max_retries == 0
            assert client.is_closed()
        assert sockets(sim) == 1
    assert sockets(sim) == 0


@pytest.mark.parametrize("kind", [openai.AsyncOpenAI, openai.AsyncAzureOpenAI])
def test_async_clients(kind, sim):
    """One that was made outside of any loop works in several; each loop's connections end with it."""

    async def main():
        for _ in range(3):
            async with make(kind, sim) as client:
                await client.chat.completions.create(**CHAT)
            assert client.is_closed()
        answer = await outer.chat.completions.create(**CHAT)
        assert answer.choices[0].message.content == "You said: hello"
        assert sockets(sim) == 1

    with share_connections():
        outer = make(kind, sim)
        for _ in range(3):
            asyncio.run(main())
            assert sockets(sim) == 0


def test_what_a_client_was_told_holds(sim, openai_simulator):
    """Its timeout, headers and keys are its own; `max_retries` and the connections are not."""
    slow = openai_simulator([KEY], latency_s=20)
    with share_connections():
        client = make(openai.OpenAI, slow, timeout=0.05, default_headers={"x-mine": "1"})
        assert client.timeout == 0.05
        assert client.default_headers["x-mine"] == "1"
        with pytest.raises(openai.APITimeoutError):
            ask(client)
        assert len(slow.stats().arrivals) <= 1
        assert make(openai.OpenAI, sim).timeout == openai.DEFAULT_TIMEOUT
        assert make(openai.OpenAI, sim, timeout=None).timeout is None


def test_derived_classes_and_those_with_a_client_of_their_own(sim):
    own = openai.DefaultHttpxClient()
    with share_connections():
        derived = Derived(KEY, base_url=sim.base_url)
        assert ask(derived) == "You said: hello"
        assert derived.max_retries == 0
        client = make(openai.OpenAI, sim, http_client=own)
        assert client._client is own
        assert client.max_retries == 0
        assert sockets(sim) == 1
        client.close()
    assert own.is_closed


def test_our_own_clients_keep_their_retries(sim):
    class Ours(openai.OpenAI):
        _keeps_retries = True

    with share_connections():
        assert Ours(api_key=KEY, base_url=sim.base_url, max_retries=4).max_retries == 4


def test_it_looks_as_before(sim):
    """Frameworks look at the constructor's parameters."""
    before = inspect.signature(openai.OpenAI), inspect.signature(openai.AsyncAzureOpenAI)
    with share_connections():
        assert (inspect.signature(openai.OpenAI), inspect.signature(openai.AsyncAzureOpenAI)) == before
        assert openai.OpenAI.__init__.__qualname__ == "OpenAI.__init__"


def test_in_force_several_times_over(sim):
    """It ends with the last one, in whatever order they are undone; each can be undone once."""
    own = openai.OpenAI.__init__
    first = share_connections()
    with share_connections() as second:
        assert "in force" in repr(second)
        first.undo()
        first.undo()
        assert openai.OpenAI.__init__ is not own
        assert make(openai.OpenAI, sim).max_retries == 0
    assert openai.OpenAI.__init__ is own
    assert make(openai.OpenAI, sim).max_retries == 2
    assert repr(first) == "<share_connections, undone>"


def test_a_client_that_outlives_it(sim):
    """It goes on working, and leaves no connection behind."""
    with share_connections():
        client = make(openai.OpenAI, sim)
        ask(client)
    assert ask(client) == "You said: hello"
    assert sockets(sim) == 0


def test_somebody_else_replaced_the_constructor_since(monkeypatch, sim):
    """What was put upon ours stays, and ours is without effect once it is undone."""
    handle = share_connections()
    ours = openai.OpenAI.__init__

    def theirs(self, **kwargs):
        ours(self, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(openai.OpenAI, "__init__", theirs)
        handle.undo()
        assert openai.OpenAI.__init__ is theirs
        assert make(openai.OpenAI, sim, max_retries=3).max_retries == 3
        openai.OpenAI.__init__ = ours.__wrapped__
        patched.undo()
    openai.OpenAI.__init__ = ours.__wrapped__


def test_functions_of_the_module(sim, monkeypatch):
    """`openai.chat.completions.create` has a client of its own behind it, kept in variables of the module."""
    monkeypatch.setattr(openai, "api_key", KEY)
    monkeypatch.setattr(openai, "base_url", f"{sim.base_url}/")
    openai._reset_client()
    for _ in range(2):
        with share_connections():
            for _ in range(2):
                assert openai.chat.completions.create(**CHAT).choices[0].message.content == "You said: hello"
            assert openai.max_retries == 0
            assert sockets(sim) == 1
        assert openai.max_retries == 2
        assert openai.http_client is None
        assert openai._client is None
    with share_connections():
        openai.chat.completions.create(**CHAT)
        openai.max_retries = 5
    assert openai.max_retries == 5, "the user has said so since"
    openai.max_retries = 2


def test_threads(sim):
    """Clients made, used and closed in threads, while others begin and undo the sharing."""
    over, wrong = threading.Event(), []

    def crawl():
        for _ in range(10):
            with make(openai.OpenAI, sim) as client:
                if ask(client) != "You said: hello":
                    wrong.append(client)

    def toggle():
        while not over.is_set():
            with share_connections():
                pass

    outer = share_connections()
    threads = [threading.Thread(target=crawl) for _ in range(8)]
    toggler = threading.Thread(target=toggle)
    for thread in [*threads, toggler]:
        thread.start()
    for thread in threads:
        thread.join(30)
    over.set()
    toggler.join(30)
    outer.undo()
    assert not wrong
    assert sockets(sim) == 0


def test_under_the_decorator(openai_simulator):
    """A legacy function that builds its client per call, over one limited and one dead key: no request is repeated."""
    secrets = [f"sk-legacy-{letter * 20}" for letter in "abc"]
    sim = openai_simulator([SimKey(secrets[0], rpm=1), SimKey(secrets[1], state="dead"), SimKey(secrets[2])])
    KeyManager(secrets)

    @stable
    def crawl(prompt, api_key):
        client = openai.OpenAI(api_key=api_key, base_url=sim.base_url)
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])

    with share_connections():
        for number in range(6):
            assert crawl(f"q{number}").choices[0].message.content == f"You said: q{number}"
    stats = sim.stats()
    assert stats.total.served == 6
    assert stats.total.attempts == 8, "one 429 and one 401, each once"
