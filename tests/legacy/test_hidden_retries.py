"""A decorated function's own client that retries by itself: said once, with the cure."""

from __future__ import annotations

import asyncio
import warnings

import openai
import pytest

from stable_openai import HiddenRetriesWarning, KeyManager, share_connections, stable
from stable_openai.failover.hidden_retries import warn_of_hidden_retries
from stable_openai.simulator import SimKey

KEYS = [f"sk-hidden-{letter * 20}" for letter in "ab"]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}

pytestmark = pytest.mark.usefixtures("nothing_said")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """openai's own back-off takes no time here."""
    for client in (openai.OpenAI, openai.AsyncOpenAI):
        monkeypatch.setattr(client, "_calculate_retry_timeout", lambda *_args, **_kwargs: 0.0)


@pytest.fixture
def sim(openai_simulator):
    """The first key is unpaid: it answers 429."""
    return openai_simulator([SimKey(KEYS[0], state="unpaid"), SimKey(KEYS[1])])


def make_ask(sim, **options):
    @stable
    def ask(api_key=""):
        with openai.OpenAI(api_key=api_key, base_url=sim.base_url, **options) as client:
            return client.chat.completions.create(**CHAT).choices[0].message.content

    return ask


def test_it_is_said_once(sim):
    """At the line that called the function; the call succeeds as ever."""
    KeyManager(KEYS)
    ask = make_ask(sim)
    with pytest.warns(HiddenRetriesWarning, match="max_retries=0.*share_connections.*`client`") as said:
        assert ask() == "You said: hello"
    assert sim.stats().keys["key-1"].attempts == 3
    assert said[0].filename == __file__
    KeyManager().revive()
    assert ask() == "You said: hello"
    assert ask() == "You said: hello"
    assert sim.stats().keys["key-1"].attempts >= 6, "it has retried again, and nothing was said"


def test_async(sim):
    KeyManager(KEYS)

    @stable
    async def ask(api_key=""):
        async with openai.AsyncOpenAI(api_key=api_key, base_url=sim.base_url) as client:
            return (await client.chat.completions.create(**CHAT)).choices[0].message.content

    with pytest.warns(HiddenRetriesWarning):
        assert asyncio.run(ask()) == "You said: hello"


def test_connection_errors(sim):
    """They are retried as well."""
    with (
        openai.OpenAI(api_key=KEYS[1], base_url="http://127.0.0.1:9/v1", max_retries=1) as client,
        pytest.raises(openai.APIConnectionError) as raised,
    ):
        client.chat.completions.create(**CHAT)
    with pytest.warns(HiddenRetriesWarning):
        warn_of_hidden_retries(raised.value)


def test_no_retries_nothing_said(sim):
    """With `max_retries=0`, or where the answer was not retried; and under `share_connections`."""
    KeyManager(KEYS)
    assert make_ask(sim, max_retries=0)() == "You said: hello"
    KeyManager().revive()
    with share_connections():
        assert make_ask(sim)() == "You said: hello"

    @stable
    def lost(api_key=""):
        with openai.OpenAI(api_key=api_key, base_url=sim.base_url) as client:
            client.get("/none", cast_to=object)

    with pytest.raises(openai.NotFoundError):
        lost()


def test_a_second_try_of_the_users_own_is_none(sim):
    """Somebody who asks again in an `except` block is no client that retries."""
    with (
        openai.OpenAI(api_key=KEYS[0], base_url=sim.base_url, max_retries=0) as client,
        pytest.raises(openai.RateLimitError) as raised,
    ):
        try:
            client.chat.completions.create(**CHAT)
        except openai.RateLimitError:
            client.chat.completions.create(**CHAT)
    warn_of_hidden_retries(raised.value)


@pytest.mark.parametrize("request_", [None, 5, {"headers": {}}])
def test_exceptions_of_any_shape(request_):
    """What can't be read is passed over."""

    class Odd(Exception):
        request = request_

    Odd.__module__ = "openai.odd"
    warn_of_hidden_retries(Odd())
    warn_of_hidden_retries(ValueError())

    class Unset(Exception):
        @property
        def request(self):
            raise RuntimeError("The .request property has not been set.")

    Unset.__module__ = "openai"
    warn_of_hidden_retries(Unset())


def test_where_warnings_are_errors(sim):
    """The warning is raised then, and the key's place in flight is given back all the same."""
    pool = KeyManager(KEYS, max_concurrency=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(HiddenRetriesWarning):
            make_ask(sim)()
    pool.revive()
    leases = [pool.acquire(max_wait=0) for _ in KEYS]
    for lease in leases:
        lease.settle()
