"""A credential of the caller's own wins over the pool, and is not rotated; ``api_key`` stays a string."""

from __future__ import annotations

import inspect

import openai
import pytest

import stable_openai
from stable_openai import ConfigurationError, Key, KeyPool

OWN = "sk-own-0123456789"


async def test_a_key_set_by_hand(kind, over, make):
    """``client.api_key = …`` takes the client off the pool, and the pool's key put back puts it on again."""
    answers, pool, client = over({"one": make.error, "two": make.completion, "": make.completion}, "one", "two")
    before = client.api_key
    client.api_key = OWN
    assert client.pool is None
    assert await kind.chat(client) == "fine"
    assert answers.requests[0].headers["authorization"] == f"Bearer {OWN}"
    assert [row.uses for row in pool.status()] == [0, 0]
    assert await kind.chat(client.with_options(timeout=5)) == "fine"
    assert answers.requests[1].headers["authorization"] == f"Bearer {OWN}"
    client.api_key = before
    assert client.pool is pool
    assert await kind.chat(client) == "fine"
    assert answers.keys[2:] == ["one", "two"]


async def test_a_header_of_the_callers(kind, over, make):
    """``extra_headers`` and ``default_headers`` with a credential are sent as they are, refused or not."""
    own = {"Authorization": f"Bearer {OWN}"}
    answers, pool, client = over({"": make.error}, "one", "two", max_retries=0)
    for ask, headers in ((client, own), (client.with_options(default_headers=own), None)):
        with pytest.raises(openai.RateLimitError) as caught:
            await kind.chat(ask, extra_headers=headers)
        assert caught.value.request.headers["authorization"] == f"Bearer {OWN}"
        assert not getattr(caught.value, "__notes__", [])
    assert [request.headers["authorization"] for request in answers.requests] == [f"Bearer {OWN}"] * 2
    assert [row.uses for row in pool.status()] == [0, 0]


@pytest.mark.skipif("Callable" not in str(inspect.signature(openai.OpenAI).parameters["api_key"]), reason="too old")
async def test_a_function_that_gets_the_key(kind, make):
    """As openai has it: called for each request, and not rotated."""
    asked = []

    def provide():
        asked.append(OWN)
        return OWN

    async def aprovide():
        return provide()

    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return make.completion()

    client = kind.client(api_key=aprovide if kind.is_async else provide, answers=answer)
    assert client.pool is None
    assert [await kind.chat(client), await kind.chat(client.copy())] == ["fine"] * 2
    assert seen == [f"Bearer {OWN}"] * 2
    assert len(asked) >= 2


@pytest.mark.skipif("admin_api_key" not in inspect.signature(openai.OpenAI).parameters, reason="came with openai 2.3x")
async def test_the_admin_key_is_left_alone(kind, over, make):
    """Requests to the admin API carry the admin key, not one of the pool's."""
    body = {"object": "list", "data": [], "has_more": False}
    answers, pool, client = over(
        {"": lambda: make.HTTPX.Response(200, json=body)}, "one", admin_api_key="sk-admin-0123456789"
    )
    await kind.listed(client.admin.organization.projects.list())
    assert answers.requests[0].headers["authorization"] == "Bearer sk-admin-0123456789"
    assert pool.status()[0].uses == 0


async def test_other_credentials_have_no_pool(kind, make, monkeypatch):
    """Azure's tokens: what the environment has for OpenAI is not looked at."""
    monkeypatch.setenv("OPENAI_API_KEYS", f"{make.secret('one')},{make.secret('two')}")
    seen = []

    def answer(request):
        seen.append((request.headers.get("authorization"), request.headers.get("api-key")))
        return make.completion()

    client = kind.client(azure=True, azure_ad_token="token", api_version="1", answers=answer)
    assert client.pool is None
    assert await kind.chat(client) == "fine"
    assert seen == [("Bearer token", None)]
    assert client.copy(max_retries=1).pool is None
    pooled = kind.client(api_key=make.keys("one"), azure=True, api_version="1", answers=answer)
    assert pooled.pool is not None
    assert pooled.copy(azure_ad_token="token").pool is None


async def test_what_api_key_takes(kind, make):
    """One key, keys of all forms, a pool; and what it does not take."""
    one, two = make.secret("one"), make.secret("two")

    def answer(request):
        return make.completion()

    pool = KeyPool([one])
    given = [one, Key(one), [one, two], (one, {"secret": two, "owner": "x"}), {one}, {"secret": one}, pool, KeyPool()]
    for api_key in given:
        client = kind.client(api_key=api_key, answers=answer)
        assert isinstance(client.api_key, str)
        assert client.api_key == one or not len(client.pool)
    assert kind.client(api_key=pool, answers=answer).pool is kind.client(pool=pool, answers=answer).pool is pool
    assert len(kind.client(pool=[one, two], answers=answer).pool) == 2
    for wrong, field in ((7, "api_key"), ([], "api_key"), ([one, one], r"keys\[1\]"), (["a b"], r"keys\[0\]")):
        with pytest.raises(ConfigurationError, match=field):
            kind.client(api_key=wrong, answers=answer)
    with pytest.raises(ConfigurationError, match="together with pool"):
        kind.client(api_key=one, pool=pool, answers=answer)
    with pytest.raises(ConfigurationError, match="max_wait"):
        kind.client(pool=pool, max_wait=-1, answers=answer)
    empty = kind.client(api_key=KeyPool(), answers=answer)
    empty.pool.add(one)
    assert await kind.chat(empty) == "fine"


async def test_they_are_openais_clients(kind, make):
    """Subclasses, which frameworks ask for; and they tell what they are without a secret."""
    for name in ("OpenAI", "AzureOpenAI"):
        theirs, ours = kind.class_of(name, openai), kind.class_of(name, stable_openai)
        assert issubclass(ours, theirs)
        assert ours.__name__ == theirs.__name__
    client = kind.client(api_key=make.keys("one", "two"), answers=lambda request: make.completion())
    assert make.secret("one") not in repr(client)
    assert repr(client).startswith(f"<{'Async' if kind.is_async else ''}OpenAI over <KeyPool of 2 keys")


async def test_an_odd_key_is_sent_as_it_is(kind, make):
    """A single key is nobody's business but the provider's: no check refuses what plain openai would send."""
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return make.completion()

    for odd in ("x", "My API Key", "EMPTY", "null"):
        assert await kind.chat(kind.client(api_key=odd, answers=answer)) == "fine"
    assert seen == ["Bearer x", "Bearer My API Key", "Bearer EMPTY", "Bearer null"]
