"""Ready populations of keys, with made-up secrets."""

from __future__ import annotations

import random
from typing import Any

from stable_openai.simulator.settings import SimKey, SimOwner


def fake_secret(name: str, rng: random.Random) -> str:
    """Make a secret that looks like one and opens nothing."""
    return f"sk-sim-{name}-{rng.getrandbits(96):024x}"


def demo_keys(
    seed: int = 0, *, rpm: tuple[int, ...] = (60, 90, 120), slow_rpm: int = 60, slow_latency_s: float = 0.5
) -> list[SimKey]:
    """Make the keys of the demo: a dead one, an unpaid one, a slow one, and one for each of `rpm`.

    Args:
        seed: Seed of the secrets.
        rpm: Requests per minute of the healthy keys.
        slow_rpm: Requests per minute of the slow key.
        slow_latency_s: Seconds that the slow key takes to answer.
    """
    rng = random.Random(seed)
    told: list[tuple[str, dict[str, Any]]] = [
        ("dead", {"state": "dead"}),
        ("unpaid", {"state": "unpaid"}),
        ("slow", {"rpm": slow_rpm, "latency_s": slow_latency_s}),
        *((f"limited-{i}", {"rpm": limit}) for i, limit in enumerate(rpm, 1)),
    ]
    return [SimKey(fake_secret(name, rng), name=name, **fields) for name, fields in told]


def equal_keys(count: int, seed: int = 0, **fields: Any) -> list[SimKey]:
    """Make `count` keys alike, named `key-1`, `key-2`, ...

    Args:
        count: How many.
        seed: Seed of the secrets.
        fields: Other fields of each `SimKey`, such as `rpm`.
    """
    rng = random.Random(seed)
    names = (f"key-{i}" for i in range(1, count + 1))
    return [SimKey(fake_secret(name, rng), name=name, **fields) for name in names]


def shared_keys(owners: int, keys_each: int, seed: int = 0, **limits: Any) -> tuple[list[SimKey], list[SimOwner]]:
    """Make organisations with the same limits, and keys that share them.

    Args:
        owners: How many organisations, named `org-1`, `org-2`, ...
        keys_each: Keys of each, named `org-1-key-1`, ...
        seed: Seed of the secrets.
        limits: Fields of each `SimOwner`, such as `rpm`.
    """
    rng = random.Random(seed)
    made = [SimOwner(f"org-{i}", **limits) for i in range(1, owners + 1)]
    names = ((owner.name, f"{owner.name}-key-{i}") for owner in made for i in range(1, keys_each + 1))
    return [SimKey(fake_secret(name, rng), name=name, owner=owner) for owner, name in names], made
