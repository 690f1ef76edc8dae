"""Lanes: what limits belong to (a key or an owner, all models or one), and whether a request has room in them."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from stable_openai.simulator.meters import BucketMeter, CalendarMeter, Meter, SlidingMeter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stable_openai.simulator.settings import Settings, SimLimits

Kind: TypeAlias = Literal["key", "owner"]
Reason: TypeAlias = Literal["rpm", "rpd", "tpm", "tpd", "concurrency"]


class Gauge(NamedTuple):
    """A meter and what it counts: `rpm`, `rpd`, `tpm` or `tpd`; `burst` where it is the second of an rpm."""

    reason: Reason
    meter: Meter
    burst: bool = False


class Shortage(NamedTuple):
    """A limit that has no room.

    Attributes:
        lane: Whose limit it is.
        reason: Which limit.
        limit: The limit.
        used: How much of it is used.
        requested: What the request would have cost.
        wait_s: Seconds until there is room; infinity where the request is larger than the limit;
            0 where nobody can know.
    """

    lane: Lane
    reason: Reason
    limit: int
    used: int
    requested: int
    wait_s: float

    @property
    def too_large(self) -> bool:
        """Whether the request is larger than the whole limit."""
        return math.isinf(self.wait_s)


class Flights:
    """Requests in flight: those held until they are let go, and those that end by themselves."""

    def __init__(self) -> None:
        self.peak = 0
        self._held = 0
        self._ends: list[float] = []

    def count(self, now: float) -> int:
        """Tell how many requests are in flight."""
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)
        return self._held + len(self._ends)

    def enter(self, now: float, ends_at: float | None) -> None:
        """Count one more, until `ends_at` or (None) until `leave`."""
        if ends_at is None:
            self._held += 1
        else:
            heapq.heappush(self._ends, ends_at)
        self.peak = max(self.peak, self.count(now))

    def leave(self) -> None:
        """Let go one that is held."""
        self._held -= 1


class Lane:
    """The limits of a key or an owner for all models together (`model` is None) or for one."""

    __slots__ = ("flights", "gauges", "kind", "limits", "max_concurrency", "model", "name")

    def __init__(self, kind: Kind, name: str, model: str | None, limits: SimLimits, settings: Settings) -> None:
        self.kind = kind
        self.name = name
        self.model = model
        self.flights = Flights()
        self.gauges: tuple[Gauge, ...] = ()
        self.change(limits, settings, 0.0)

    def change(self, limits: SimLimits, settings: Settings, now: float) -> None:
        """Take new limits and keep what was counted."""
        old = {(g.reason, g.burst): g.meter for g in self.gauges}
        self.limits = limits
        self.max_concurrency = limits.max_concurrency
        gauges = []
        for reason in ("rpm", "rpd", "tpm", "tpd"):
            limit: int | None = getattr(limits, reason)
            if limit is None:
                continue
            gauges.append(Gauge(reason, kept(old.get((reason, False)), reason, limit, settings, now)))
            burst = settings.burst_of(limit) if reason == "rpm" else None
            if burst is not None:
                gauges.append(Gauge("rpm", SlidingMeter(burst, settings.minute / 60.0), burst=True))
        self.gauges = tuple(gauges)

    def told(self, gauge: Gauge) -> int:
        """Give the limit that an answer tells for a gauge: the minute's, even where its second is spent."""
        return self.limits.rpm or gauge.meter.limit if gauge.burst else gauge.meter.limit

    def used(self, gauge: Gauge, now: float) -> int:
        """Give the use that an answer tells for a gauge."""
        meter = next(g.meter for g in self.gauges if g.reason == "rpm") if gauge.burst else gauge.meter
        return meter.used(now)


def kept(old: Meter | None, reason: Reason, limit: int, settings: Settings, now: float) -> Meter:
    """Resize a meter that there is, or make one."""
    if old is None:
        return make_meter(reason, limit, settings)
    old.resize(limit, now)
    return old


def make_meter(reason: Reason, limit: int, settings: Settings) -> Meter:
    """Make the meter that the settings ask for."""
    if reason in ("rpd", "tpd"):
        day = settings.day_s
        if settings.day_reset_hour is not None:
            return CalendarMeter(limit, day, (settings.start_hour - settings.day_reset_hour) % 24.0 / 24.0 * day)
        window = day
    else:
        window = settings.minute
    return BucketMeter(limit, window) if settings.algorithm == "bucket" else SlidingMeter(limit, window)


def find_shortage(lanes: Sequence[Lane], tokens: int, now: float) -> Shortage | None:
    """Find the limit that is out of reach for longest, or None where all have room."""
    worst: Shortage | None = None
    for lane in lanes:
        if lane.max_concurrency is not None:
            flying = lane.flights.count(now)
            if flying >= lane.max_concurrency and worst is None:
                worst = Shortage(lane, "concurrency", lane.max_concurrency, flying, 1, 0.0)
        for gauge in lane.gauges:
            cost = tokens if gauge.reason in ("tpm", "tpd") else 1
            wait = gauge.meter.wait_for(cost, now)
            if wait > 0.0 and (worst is None or wait > worst.wait_s):
                worst = Shortage(lane, gauge.reason, lane.told(gauge), lane.used(gauge, now), cost, wait)
    return worst


def take(lanes: Sequence[Lane], tokens: int, now: float) -> None:
    """Count an admitted request."""
    for lane in lanes:
        for gauge in lane.gauges:
            gauge.meter.take(tokens if gauge.reason in ("tpm", "tpd") else 1, now)


def take_rejected(lanes: Sequence[Lane], now: float) -> None:
    """Count a rejected request: the request, not its tokens."""
    for lane in lanes:
        for gauge in lane.gauges:
            if gauge.reason in ("rpm", "rpd"):
                gauge.meter.take(1, now)
