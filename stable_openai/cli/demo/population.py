"""Who takes part in the demo: its keys as the pool is told of them, its prompts, and what the limits allow at best."""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING, Final

from stable_openai import Key, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stable_openai.simulator import Settings, SimKey

__all__ = ["LATENCY_S", "best_seconds", "make_prompts", "requests_per_minute", "told_keys"]

LATENCY_S: Final = (0.02, 0.08)  # seconds that the simulator takes to answer; its slow key says its own
_TOPICS: Final = ("rivers", "bridges", "lighthouses", "railways", "harbours", "orchards", "glaciers", "markets")
_TASKS: Final = ("Summarise", "Translate", "Classify", "Rewrite", "Tag", "Shorten")


def make_prompts(count: int, seed: int) -> list[str]:
    """Make prompts, all different, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311  # prompts, not secrets
    return [f"{rng.choice(_TASKS)} page {number} about {rng.choice(_TOPICS)}." for number in range(1, count + 1)]


def told_keys(keys: Iterable[SimKey]) -> list[Key]:
    """Describe the simulator's keys to a pool: secret, name, and the limits of those that have any.

    That one of them is dead and one unpaid is not told: the pool finds out.
    """
    return [Key(key.secret, name=key.name, limits=Limits(rpm=key.rpm, rpd=key.rpd)) for key in keys]


def requests_per_minute(keys: Iterable[SimKey]) -> int:
    """What the keys that work allow together."""
    return sum(key.rpm or 0 for key in keys if key.state == "ok")


def best_seconds(keys: Iterable[SimKey], settings: Settings, requests: int) -> float:
    """The least time in which the limits allow so many answers, however fast the client is.

    Sliding windows let each key have its limit at once, and as much again in each minute after that; the last answer
    takes as long as its key takes. The slow key counts like the others.
    """
    left = requests
    batches = heapq.merge(*(_batches(key, settings) for key in keys if key.state == "ok" and key.rpm is not None))
    for at, size in batches:
        left -= size
        if left <= 0:
            return at
    return 0.0


def _batches(key: SimKey, settings: Settings) -> Iterator[tuple[float, int]]:
    """When a key has answered each minute's requests at the earliest, and how many they are."""
    latency = settings.latency_s if key.latency_s is None else key.latency_s
    least = latency[0] if isinstance(latency, tuple) else latency
    return ((least + minute * settings.minute, key.rpm or 0) for minute in itertools.count())
