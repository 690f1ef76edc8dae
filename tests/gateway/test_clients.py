"""The real ``openai`` client, sync and async, against the simulator behind the gateway."""

from __future__ import annotations

import asyncio

import openai
import pytest

from stable_openai import Key
from stable_openai.serving import Token, Tokens
from stable_openai.simulator import SimKey, Simulator

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def simulated(gateway):
    """A gateway over a simulator with a dead key, an unpaid one, and one that works."""
    async with Simulator(keys=[SimKey("dead-key-000001"), SimKey("poor-key-000002"), SimKey("good-key-000003")]) as sim:
        sim.provider.kill("dead-key-000001") if hasattr(sim.provider, "kill") else None
        keys = [Key("unknown-key-000000"), Key("good-key-000003")]
        tokens = Tokens([Token("client-token-1", "lab")])
        yield await gateway(keys, options={"base_url": sim.base_url, "tokens": tokens})


def ask_sync(url):
    with openai.OpenAI(api_key="client-token-1", base_url=url, max_retries=0) as client:
        whole = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        pieces = list(client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True))
        vectors = client.embeddings.create(model="text-embedding-3-small", input="x")
        models = client.models.list()
        raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=MESSAGES)
    return whole, pieces, vectors, models, raw.headers["x-request-id"]


async def test_the_sync_client(simulated):
    """Calls, streams, embeddings, models."""
    whole, pieces, vectors, models, name = await asyncio.to_thread(ask_sync, simulated.v1)
    assert whole.choices[0].message.content
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert vectors.data[0].embedding
    assert list(models)
    assert name.startswith("req_")
    assert simulated.pool.status()[0].standing == "retired"


async def test_the_async_client(simulated):
    """Calls and streams, many at once."""
    async with openai.AsyncOpenAI(api_key="client-token-1", base_url=simulated.v1, max_retries=0) as client:

        async def stream():
            opened = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
            return [piece async for piece in opened]

        assert all(await asyncio.gather(*(stream() for _ in range(10))))
        response = await client.responses.create(model="gpt-4o-mini", input="hi")
        assert response.output_text


async def test_errors_are_those_of_the_client(simulated):
    """A wrong token, a bad request, and no key are what openai's users know."""
    async with openai.AsyncOpenAI(api_key="wrong", base_url=simulated.v1, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    async with openai.AsyncOpenAI(api_key="client-token-1", base_url=simulated.v1, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="gpt-4o-mini", messages=[])
        for key in simulated.pool.keys:
            simulated.pool.park(key, 600)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
        assert int(caught.value.response.headers["Retry-After"]) > 500
        assert caught.value.code == "no_key_available"


async def test_a_gateway_whose_keys_are_all_wrong_fails_at_once(simulated):
    """openai's client, which by itself waits for a minute and asks again, twice, is told not to: nothing will change."""
    for key in simulated.pool.keys:
        simulated.pool.remove(key)
    simulated.pool.add("sk-of-nobody-1234")
    async with openai.AsyncOpenAI(api_key="client-token-1", base_url=simulated.v1) as client:
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as caught:
                await client.models.list()
    assert (caught.value.status_code, caught.value.code) == (503, "no_key_available")
    assert caught.value.response.headers["x-should-retry"] == "false"
