"""The endpoint, and on Azure the deployment, travel with the key."""

from __future__ import annotations

import openai
import pytest

from stable_openai import Key, KeyPool
from stable_openai.simulator import SimKey


async def test_two_providers(kind, openai_simulator, make, clock):
    """Each key is sent to its own endpoint alone, chat, streams and models alike."""
    sims = [openai_simulator([SimKey(make.secret(name), name=name)]) for name in ("here", "there")]
    keys = [Key(make.secret("here"), name="here"), Key(make.secret("there"), name="there", base_url=sims[1].base_url)]
    client = kind.client(pool=KeyPool(keys, clock=clock), base_url=sims[0].base_url)
    for _ in range(2):
        assert await kind.chat(client) == "You said: hello"
        await kind.listed(client.chat.completions.create(**kind.request(), stream=True))
    assert [sim.stats().keys[name].served for sim, name in zip(sims, ("here", "there"), strict=True)] == [2, 2]
    assert [sim.stats().total.attempts for sim in sims] == [2, 2]
    for _ in range(2):
        assert len(await kind.listed(client.models.list())) > 3
    assert [row.failed for row in client.pool.status()] == [0, 0]


async def test_over_to_another_provider(kind, openai_simulator, make, clock):
    """From an endpoint where nobody listens to one that answers."""
    sim = openai_simulator([SimKey(make.secret("there"), name="there")])
    gone = openai_simulator([])
    keys = [Key(make.secret("here"), base_url=gone.base_url), Key(make.secret("there"), base_url=sim.base_url)]
    gone.stop()
    client = kind.client(pool=KeyPool(keys, clock=clock), base_url="http://nowhere.invalid/v1")
    assert await kind.chat(client) == "You said: hello"


@pytest.mark.parametrize("where", ["endpoint", "deployment", "base_url"])
async def test_azure(kind, make, clock, where):
    """Endpoint and deployment of each key; ``api-key`` is replaced, ``api-version`` and the rest stay."""
    keys = [
        Key(make.secret("plain"), name="plain"),
        Key(make.secret("eu"), name="eu", base_url="https://eu.example", deployment="any-eu"),
        Key(make.secret("us"), name="us", base_url="https://us.example/openai", deployment={"gpt-4o": "4o-us"}),
    ]
    given = {
        "endpoint": {"azure_endpoint": "https://own.example"},
        "deployment": {"azure_endpoint": "https://own.example", "azure_deployment": "own"},
        "base_url": {"base_url": "https://own.example/openai"},
    }[where]
    replies = iter([make.error(401, "invalid"), make.error(), make.completion()])
    answers = make.Answers(lambda name: next(replies))
    if where == "base_url":
        given["http_client"] = kind.http(transport=make.HTTPX.MockTransport(answers))
        client = kind.client(azure=True, pool=KeyPool(keys, clock=clock), api_version="2024-10-21", **given)
    else:
        client = kind.client(
            azure=True, pool=KeyPool(keys, clock=clock), api_version="2024-10-21", answers=answers, **given
        )
    assert await kind.chat(client) == "fine"
    assert answers.keys == ["plain", "eu", "us"]
    own = "own" if where == "deployment" else "gpt-4o"
    assert [str(request.url) for request in answers.requests] == [
        f"https://own.example/openai/deployments/{own}/chat/completions?api-version=2024-10-21",
        "https://eu.example/openai/deployments/any-eu/chat/completions?api-version=2024-10-21",
        "https://us.example/openai/deployments/4o-us/chat/completions?api-version=2024-10-21",
    ]
    for request in answers.requests:
        assert request.headers["host"] == request.url.host
        secret = request.headers["api-key"]
        assert request.headers.get("authorization", f"Bearer {secret}") == f"Bearer {secret}"  # openai 1.40 sends both


async def test_a_header_of_the_callers_on_azure(kind, make, clock):
    """``api-key`` by hand is sent as it is, and not rotated."""
    answers = make.Answers(lambda name: make.error())
    client = kind.client(
        azure=True, pool=KeyPool(make.keys("one", "two"), clock=clock), api_version="1", answers=answers, max_retries=0
    )
    with pytest.raises(openai.RateLimitError):
        await kind.chat(client, extra_headers={"api-key": "sk-own-0123456789"})
    assert [request.headers["api-key"] for request in answers.requests] == ["sk-own-0123456789"]
    assert [row.uses for row in client.pool.status()] == [0, 0]


async def test_azure_of_the_simulator(kind, openai_simulator, make, clock):
    """A real round over two resources, with a stream, embeddings and a copy."""
    sims = [
        openai_simulator([SimKey(make.secret(name), name=name, **fields)], style="azure", models=(model,))
        for name, model, fields in (("eu", "gpt-eu", {"state": "unpaid"}), ("us", "gpt-us", {}))
    ]
    keys = [
        Key(make.secret(name), name=name, base_url=sim.url, deployment=f"gpt-{name}")
        for name, sim in zip(("eu", "us"), sims, strict=True)
    ]
    client = kind.client(azure=True, pool=KeyPool(keys, clock=clock), api_version="1", azure_endpoint=sims[0].url)
    assert await kind.chat(client) == "You said: hello"
    assert len(await kind.listed(client.copy().chat.completions.create(**kind.request(), stream=True))) > 3
    assert (await kind.settled(client.embeddings.create(model="x", input="a"))).data[0].index == 0
    assert [sim.stats().total.attempts for sim in sims] == [1, 3]


async def test_a_redirect_takes_no_key_along(kind, over, make):
    """To another host the credential is not sent, as httpx has it; on Azure as openai has it."""
    answers, _pool, client = over(
        lambda name: make.completion() if "other.example" in str(answers.requests[-1].url)
        else make.HTTPX.Response(307, headers={"location": "http://other.example/v1/chat/completions"}),
        "one",
    )  # fmt: skip
    assert await kind.chat(client) == "fine"
    assert answers.keys == ["one", ""]
