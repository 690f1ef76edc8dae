"""The crawls: what the provider is like, and what its clients are told."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Any, Final

from stable_openai.simulator import SimKey, equal_keys

__all__ = ["ALL", "MEASURE", "QUICK", "Variant", "best_seconds"]

MEASURE: Final = 2.8  # minutes' worth of requests: not a whole number, where one lost slot would cost a whole minute
_EQUAL: Final = (20, 20, 20, 20, 20)
_UNEQUAL: Final = (5, 10, 20, 30, 35)
_FAULTS: Final = {"server_error_rate": 0.01, "reset_rate": 0.005}
_BURST: Final = 0.1
LATENCY_S: Final = (0.02, 0.08)


@dataclass(frozen=True)
class Variant:
    """One crawl.

    Attributes:
        name: How it is called.
        settings: What the simulator is set to, beside the minute.
        rpm: The limits of the keys that work; a dead and an unpaid one come on top.
        told: Whether clients that can be told limits are told them.
        everyone: Whether all peers take part, or only the telling ones.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    rpm: tuple[int, ...] = _EQUAL
    told: bool = True
    everyone: bool = False

    @property
    def requests(self) -> int:
        """How many requests the crawl has."""
        return int(MEASURE * sum(self.rpm))

    def keys(self) -> list[SimKey]:
        """The provider's keys."""
        made = equal_keys(len(self.rpm) + 2, seed=1)
        states = ["dead", *("ok" for _ in self.rpm), "unpaid"]
        limits = [min(self.rpm), *self.rpm, min(self.rpm)]
        return [
            SimKey(key.secret, name=key.name, rpm=limit, state=state)  # type: ignore[arg-type]
            for key, limit, state in zip(made, limits, states, strict=True)
        ]

    def simulator(self, minute: float) -> dict[str, Any]:
        """The simulator's settings."""
        return {"minute": minute, "latency_s": LATENCY_S, "seed": 7, **_FAULTS, **self.settings}

    def windows(self, limit: int, minute: float) -> list[tuple[int, float]]:
        """The windows of a key, as pairs of requests and seconds."""
        found = [(limit, minute)]
        if "by_second" in self.settings:
            found.append((max(1, round(_BURST * limit)), minute / 60))
        return found


ALL: Final = (
    Variant("sliding window", everyone=True),
    Variant("token bucket", {"algorithm": "bucket"}, everyone=True),
    Variant("unequal limits", rpm=_UNEQUAL),
    Variant("rejected ones count", {"count_rejected": True}),
    Variant("limited by the second", {"by_second": _BURST}),
    Variant("no Retry-After", {"retry_after": False, "limit_headers": False}),
    Variant("limits untold", told=False),
    Variant("limits untold, no hints", {"retry_after": False, "limit_headers": False}, told=False),
)
QUICK: Final = ("sliding window",)


def best_seconds(variant: Variant, minute: float) -> float:
    """The least time in which this provider lets so many requests in; faults and latency come on top."""
    return next(itertools.islice(heapq.merge(*(_moments(variant, rpm, minute) for rpm in variant.rpm)),
                                 variant.requests - 1, None))  # fmt: skip


def _moments(variant: Variant, rpm: int, minute: float):
    """When the provider lets a key's requests in, at the earliest."""
    if variant.settings.get("algorithm") == "bucket":
        yield from itertools.repeat(0.0, rpm)
        for number in itertools.count(1):
            yield number * minute / rpm
    burst = rpm if "by_second" not in variant.settings else max(1, round(_BURST * rpm))
    for number in itertools.count():
        turn, place = divmod(number, rpm)
        yield turn * minute + place // burst * minute / 60
