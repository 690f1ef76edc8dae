"""``copy`` and ``with_options``: keys, pool, bounds and affinity travel; what is told is changed."""

from __future__ import annotations

import inspect
import typing

import openai
import pytest

import stable_openai
from stable_openai import ConfigurationError, KeyPool, NoKeyAvailable

CLASSES = ["OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"]


@pytest.mark.parametrize("name", CLASSES)
def test_signatures(name):
    """openai's own parameters of the version at hand, with ours behind them; ``copy`` has each of ``__init__``'s."""
    ours, theirs = getattr(stable_openai, name), getattr(openai, name)
    for method in ("__init__", "copy", "with_options"):
        own = inspect.signature(getattr(ours, method)).parameters
        told = inspect.signature(getattr(theirs, method)).parameters
        assert list(own) == [*told, "pool", "max_wait", "total_timeout", "affinity"]
        assert all(own[parameter].default is told[parameter].default for parameter in told)
    assert ours.with_options is ours.copy
    init, copy = (set(inspect.signature(getattr(ours, method)).parameters) for method in ("__init__", "copy"))
    assert {"pool", "max_wait", "total_timeout", "affinity", "api_key"} <= init & copy


async def test_what_travels(kind, over, make):
    """One pool, one HTTP client, the same bounds; openai's own options are changed as ever."""
    answers, pool, client = over(
        {"one": make.error, "two": make.completion}, "one", "two", max_wait=7, total_timeout=9, affinity="talk"
    )
    copied = client.copy(max_retries=5).with_options(timeout=3, default_headers={"x-a": "1"})
    assert type(copied) is type(client)
    assert copied.pool is client.pool is pool
    assert (copied.max_retries, copied.timeout, copied.api_key) == (5, 3, client.api_key)
    assert (copied._source.patience.max_wait, copied._source.patience.timeout) == (7, 9)
    assert copied._source.affinity == "talk"
    assert await kind.chat(copied) == await kind.chat(client) == "fine"
    assert answers.keys == ["one", "two", "two"]
    assert answers.requests[0].headers["x-a"] == "1"
    assert "x-a" not in answers.requests[2].headers
    changed = copied.copy(max_wait=1, affinity="other")
    assert (changed._source.patience.max_wait, changed._source.patience.timeout) == (1, 9)
    assert (changed._source.affinity, copied._source.affinity) == ("other", "talk")


async def test_other_keys(kind, over, make):
    """``api_key=`` and ``pool=`` change the keys of the copy alone; the bounds stay."""
    answers, _pool, client = over(
        {"one": make.completion, "two": make.error, "three": make.completion}, "one", max_wait=7
    )
    single = client.with_options(api_key=make.secret("three"))
    assert (single.api_key, client.api_key) == (make.secret("three"), make.secret("one"))
    several = client.with_options(api_key=make.keys("two", "three"))
    assert several.api_key == make.secret("two")
    other = KeyPool(make.keys("three"))
    assert client.with_options(pool=other).pool is other
    assert several._source.patience.max_wait == 7
    for each in (single, several, client.with_options(pool=other), client):
        assert await kind.chat(each) == "fine"
    assert answers.keys == ["three", "two", "three", "three", "one"]
    with pytest.raises(ConfigurationError, match="together with pool"):
        client.copy(api_key="sk-x", pool=other)


async def test_affinity(kind, over, make):
    """A conversation stays on its key while that is healthy, and moves for good on failure."""
    state = {"one": make.completion, "two": make.completion, "three": make.completion}
    answers, _pool, client = over(lambda name: state[name](), "one", "two", "three")
    talk = client.with_options(affinity="talk")
    for _ in range(3):
        await kind.chat(talk)
        await kind.chat(client)
    mine = answers.keys[0::2]
    assert mine == [mine[0]] * 3
    assert len(set(answers.keys[1::2])) > 1
    state[mine[0]] = make.error
    answers.requests.clear()
    assert [await kind.chat(talk) for _ in range(3)] == ["fine"] * 3
    assert answers.keys[0] == mine[0]
    assert len(set(answers.keys[1:])) == 1


async def test_a_shorter_wait(kind, over, make):
    """``max_wait`` of a copy is kept: it fails at once where the client itself would wait."""
    answers, pool, client = over({"one": make.completion}, "one", max_wait=100)
    pool.park("one", 50)
    with pytest.raises(NoKeyAvailable) as caught:
        await kind.chat(client.with_options(max_wait=10))
    assert caught.value.retry_after == pytest.approx(50, rel=0.1)
    assert answers.keys == []


@pytest.mark.parametrize("azure", [False, True])
async def test_subclasses(kind, make, monkeypatch, azure):
    """A user's subclass is copied as openai copies one: rebuilt by its own class, with the pool it had."""
    base = kind.class_of("AzureOpenAI" if azure else "OpenAI")

    class Mine(base):
        pass

    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-azure-0123456789")
    where = {"azure_endpoint": make.URL, "api_version": "1"} if azure else {"base_url": make.URL}
    http = kind.http(transport=make.HTTPX.MockTransport(lambda request: make.completion()))
    client = Mine(api_key=make.keys("one", "two"), http_client=http, **where)
    copied = client.copy()
    assert type(copied) is Mine
    assert copied.pool is client.pool
    assert len(copied.pool) == 2
    assert await kind.chat(copied) == "fine"
    await kind.settled(client.close())


def test_annotations_can_be_read():
    """Of openai's parameters, as openai has them; of ours, too."""
    hints = typing.get_type_hints(stable_openai.OpenAI.copy)
    assert hints["max_retries"] == typing.get_type_hints(openai.OpenAI.copy)["max_retries"]
    assert "pool" in hints
