"""What goes wrong by chance, and outages: what goes wrong for everybody until it ends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from stable_openai.simulator.messages import Fate

if TYPE_CHECKING:
    from stable_openai.simulator.settings import Latency, Settings

Fault: TypeAlias = Literal[
    "server_error", "overloaded", "reset", "hang", "garbage", "cut_stream", "stream_error", "poison"
]

HTML_PAGE = "<!doctype html>\n<html><head><title>Welcome</title></head><body><h1>Sign in to go on</h1></body></html>\n"
HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


class Outage(NamedTuple):
    """One kind of outage: what everybody gets.

    Attributes:
        status: HTTP status.
        trouble: Name of the error, or None for HTML or no answer.
        fate: What becomes of the connection.
    """

    status: int
    trouble: str | None = None
    fate: Fate = Fate.NORMAL


OUTAGES = {
    "500": Outage(500, "server_error"),
    "503": Outage(503, "unavailable"),
    "401": Outage(401, "dead"),
    "html502": Outage(502),
    "reset": Outage(0, fate=Fate.RESET),
    "hang": Outage(0, fate=Fate.HANG),
}
"""Kinds of outages by name."""


class Dice:
    """Chance, by a seed. Faults, waits and ids have dice of their own each, so none shifts the luck of another."""

    def __init__(self, settings: Settings) -> None:
        self._rng = random.Random(settings.seed)
        self._waits = random.Random(settings.seed + 1)
        self._ids = random.Random(settings.seed + 2)
        self._edges: list[tuple[float, Fault]] = []
        self.tune(settings)

    def tune(self, settings: Settings) -> None:
        """Take the rates of these settings from now on."""
        self._edges = []
        edge = 0.0
        rates: tuple[tuple[Fault, float], ...] = (
            ("server_error", settings.server_error_rate),
            ("overloaded", settings.overloaded_rate),
            ("reset", settings.reset_rate),
            ("hang", settings.hang_rate),
            ("garbage", settings.garbage_rate),
            ("cut_stream", settings.cut_stream_rate),
            ("stream_error", settings.stream_error_rate),
        )
        for fault, rate in rates:
            if rate > 0.0:
                edge += rate
                self._edges.append((edge, fault))

    def fault(self, *, stream: bool) -> Fault | None:
        """Throw for a fault; those of streams do not befall other requests."""
        if not self._edges:
            return None
        thrown = self._rng.random()
        for edge, fault in self._edges:
            if thrown < edge:
                return fault if stream or fault not in ("cut_stream", "stream_error") else None
        return None

    def latency(self, latency: Latency) -> float:
        """Give seconds: as told, or between the two told."""
        return self._waits.uniform(*latency) if isinstance(latency, tuple) else float(latency)

    def hex(self, digits: int) -> str:
        """Give an id of `digits` hexadecimal digits."""
        return f"{self._ids.getrandbits(4 * digits):0{digits}x}"
