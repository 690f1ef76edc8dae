"""The real openai client against a provider on loopback."""

from __future__ import annotations

import openai
import pytest

from stable_openai import Key, KeyPool, ManualClock, stable
from stable_openai.simulator import SimKey


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.sleep = clock.advance
    return clock


@pytest.fixture
def setting(openai_simulator, clock):
    """A simulator, a pool of its keys, and a decorated function that asks it through the real client."""
    clients = []

    def make(keys, *, told=None, timeout=20, options=None, **settings):
        sim = openai_simulator(
            keys=[SimKey(f"sk-failover-{name}-0123456789", name=name, **fields) for name, fields in keys], **settings
        )
        pool = KeyPool(
            [Key(secret, name=name) for secret, (name, _) in zip(sim.keys, keys, strict=True)],
            clock=clock,
            **(told or {}),
        )
        client = openai.OpenAI(api_key="-", base_url=sim.base_url, max_retries=0, timeout=timeout)
        clients.append(client)

        @stable(pool=pool, **(options or {}))
        def ask(prompt="hello", model="gpt-4o", api_key=""):
            answer = client.with_options(api_key=api_key).chat.completions.create(
                model=model, messages=[{"role": "user", "content": prompt}]
            )
            return answer.choices[0].message.content

        return sim, pool, ask

    yield make
    for client in clients:
        client.close()
