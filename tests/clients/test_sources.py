"""Where keys come from where none are given: the ``KeyManager``, then the environment, then openai's own error."""

from __future__ import annotations

import openai
import pytest

from stable_openai import KeyManager


@pytest.fixture
def keys_seen(make):
    """Answers to anything, and the names of the keys that asked."""
    return make.Answers(lambda name: make.completion())


async def test_the_key_manager(kind, make, keys_seen):
    """It comes first, whatever the environment has."""
    manager = KeyManager(make.keys("one", "two"))
    client = kind.client(answers=keys_seen)
    assert client.pool is manager
    assert client.api_key == make.secret("one")
    assert [await kind.chat(client) for _ in range(2)] == ["fine"] * 2
    assert keys_seen.keys == ["one", "two"]
    manager.remove("one")
    await kind.chat(client)
    assert keys_seen.keys[-1] == "two"
    assert client.copy().pool is manager


@pytest.mark.parametrize(
    "names",
    [("OPENAI_API_KEYS",), ("OPENAI_API_KEY_1", "OPENAI_API_KEY_2"), ("OPENAI_API_KEYS_1", "OPENAI_API_KEYS_2")],
)
async def test_several_keys_of_the_environment(kind, make, keys_seen, monkeypatch, names):
    """They make the ``KeyManager``."""
    given = [make.secret("one"), make.secret("two")]
    for name, value in zip(names, [",".join(given)] if len(names) == 1 else given, strict=True):
        monkeypatch.setenv(name, value)
    client = kind.client(answers=keys_seen)
    assert KeyManager.instance is client.pool
    await kind.chat(client)
    await kind.chat(client)
    assert sorted(keys_seen.keys) == ["one", "two"]


async def test_one_key_of_the_environment(kind, make, keys_seen, monkeypatch):
    """No ``KeyManager`` is made of it; but one that is made later is used, by clients made before as well."""
    monkeypatch.setenv("OPENAI_API_KEY", make.secret("one"))
    client = kind.client(answers=keys_seen)
    assert KeyManager.instance is None
    assert client.api_key == make.secret("one")
    await kind.chat(client)
    assert KeyManager.instance is None
    KeyManager(make.keys("two", "three"))
    await kind.chat(client)
    await kind.chat(client.with_options(timeout=3))
    assert keys_seen.keys == ["one", "two", "three"]
    KeyManager.reset()
    await kind.chat(client)
    assert keys_seen.keys[-1] == "one"


async def test_nothing_anywhere(kind):
    """openai's own error, when the client is made."""
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        kind.class_of()()


async def test_a_closed_manager_gives_way_to_the_environment(kind, make, keys_seen, monkeypatch):
    """As ``KeyManager()`` itself makes a new one then."""
    monkeypatch.setenv("OPENAI_API_KEYS", make.secret("two"))
    KeyManager(make.keys("one")).close()
    client = kind.client(answers=keys_seen)
    await kind.chat(client)
    assert keys_seen.keys == ["two"]


async def test_a_single_key_is_openais_own_business(kind, over, make, keys_seen):
    """There is nothing to fail over to: no pool counts it, openai's own retries stay on, and its error comes at once."""
    client = kind.client(api_key=make.secret("one"), answers=keys_seen)
    assert client.pool is None
    await kind.chat(client)
    answers = make.Answers(lambda name: make.error(retry_after="0.001"))
    client = kind.client(api_key=make.secret("one"), answers=answers, max_retries=2)
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            await kind.chat(client)
    assert answers.keys == ["one"] * 6
