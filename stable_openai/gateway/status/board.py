"""What the page shows, as data: one row a key, and totals. No secret is in it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stable_openai.stores.snapshots import KeyStatus, LaneStatus

__all__ = ["Board", "Row", "make_board", "rank"]

_INFINITY: Final = float("inf")
_NEAR: Final = 0.5  # seconds: the same moment, read twice
_WORST: Final = {"retired": 0, "parked": 1, "barred": 2, "cooling down": 3, "open": 5}
_PARTLY: Final = 4  # open but for some models


@dataclass(frozen=True, slots=True)
class Row:
    """One key.

    Attributes:
        id: By which it is known in the page; made of its name.
        place: Its place among the keys.
        status: Its state as it was looked at.
        until: When each of its lanes may be used again, in monotonic seconds; None: never by itself, or now.
        recent: Requests that it was granted since the look before.
    """

    id: str
    place: int
    status: KeyStatus
    until: tuple[float | None, ...]
    recent: int

    @property
    def resting(self) -> list[tuple[LaneStatus, float | None]]:
        """The lanes that rest, those for all models first, and when they end."""
        pairs = zip(self.status.lanes, self.until, strict=True)
        return sorted(
            ((lane, until) for lane, until in pairs if lane.seconds_left > 0),
            key=lambda pair: (pair[0].model is not None, -pair[0].seconds_left),
        )


@dataclass(frozen=True, slots=True)
class Board:
    """All keys at one moment.

    Attributes:
        at: The moment, in monotonic seconds.
        wall: The same in seconds since 1970-01-01 UTC.
        rows: The keys by name, in their order.
        totals: Figures by name.
        minutes: Requests in each of the last minutes, the one that runs last.
    """

    at: float
    wall: float
    rows: Mapping[str, Row]
    totals: Mapping[str, int]
    minutes: Sequence[int]

    def data(self) -> dict[str, Any]:
        """The same for JSON."""
        keys = [_data_of(row) for row in self.rows.values()]
        return {"at": round(self.wall, 3), "totals": dict(self.totals), "minutes": list(self.minutes), "keys": keys}


def make_board(
    statuses: Sequence[KeyStatus],
    now: float,
    wall: float,
    *,
    before: Board | None,
    came: Mapping[str, int],
    **known: Any,
) -> Board:
    """Put together what a look has shown.

    Args:
        statuses: The keys.
        now: The moment, in monotonic seconds.
        wall: The same by the wall clock.
        before: What was shown until now, whose moments stay where they are the same.
        came: Requests since, by key.
        known: ``minutes``, and further totals.
    """
    minutes = known.pop("minutes")
    old = before.rows if before is not None else {}
    rows = {
        status.name: Row(
            _id_of(status.name), place, status, _moments(status, now, old.get(status.name)), came.get(status.name, 0)
        )
        for place, status in enumerate(statuses)
    }
    return Board(now, wall, rows, {**_totals_of(statuses), **known}, minutes)


def rank(row: Row) -> tuple[int, int, int, int]:
    """By which rows stand: those in trouble first, then the busiest."""
    worst = _WORST.get(row.status.standing, 0)
    if worst == _WORST["open"] and row.resting:
        worst = _PARTLY
    return worst, -row.status.in_flight, -row.recent, row.place


def _id_of(name: str) -> str:
    return f"k{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _moments(status: KeyStatus, now: float, before: Row | None) -> tuple[float | None, ...]:
    """When the lanes' rests end: a moment that is read anew is the same where it is near."""
    old: tuple[float | None, ...] = before.until if before is not None else ()
    found: list[float | None] = []
    for place, lane in enumerate(status.lanes):
        until = None if not 0 < lane.seconds_left < _INFINITY else round(now + lane.seconds_left, 1)
        known = old[place] if place < len(old) else None
        near = until is not None and known is not None and abs(known - until) < _NEAR
        found.append(known if near else until)
    return tuple(found)


def _totals_of(statuses: Sequence[KeyStatus]) -> dict[str, int]:
    totals = {"keys": len(statuses), "open": 0, "cooling down": 0, "parked": 0, "barred": 0, "retired": 0}
    for status in statuses:
        totals[status.standing] = totals.get(status.standing, 0) + 1
    totals["requests"] = sum(status.uses for status in statuses)
    totals["failed"] = sum(status.failed for status in statuses)
    totals["in_flight"] = sum(status.in_flight for status in statuses)
    return {name.replace(" ", "_"): count for name, count in totals.items()}


def _data_of(row: Row) -> dict[str, Any]:
    status = row.status
    return {
        "name": status.name,
        "masked": status.masked,
        "owner": status.owner,
        "standing": status.standing,
        "seconds_left": _finite(status.seconds_left),
        "reason": status.reason,
        "uses": status.uses,
        "failed": status.failed,
        "in_flight": status.in_flight,
        "lanes": [_lane_data(lane) for lane in status.lanes],
    }


def _lane_data(lane: LaneStatus) -> dict[str, Any]:
    return {
        "kind": lane.kind,
        "model": lane.model,
        "standing": lane.standing,
        "seconds_left": _finite(lane.seconds_left),
        "reason": lane.reason,
        "note": lane.note,
        "in_flight": lane.in_flight,
        "windows": [
            {
                "what": window.what,
                "per": window.per,
                "seconds": window.seconds,
                "limit": window.limit,
                "used": window.used,
                "left": window.left,
                "learned": window.learned,
            }
            for window in lane.windows
        ],
    }


def _finite(seconds: float) -> float | None:
    """Seconds as JSON has them; None: not by itself."""
    return None if seconds == _INFINITY else round(seconds, 3)
