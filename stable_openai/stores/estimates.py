"""Limits that nobody states: what was accepted until a rejection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from stable_openai.learned import LearnedCount

if TYPE_CHECKING:
    from stable_openai.windows import AnyCount

    from .lanes import Lane

__all__ = ["estimate", "is_estimate", "unspread"]

_TELLING: Final = 5  # accepted calls from which a rate can be told
_PIECES: Final = 64  # of a period, over which an estimate is spread
_SPREAD: Final = 1.1  # times the even rate


def is_estimate(count: AnyCount) -> bool:
    return isinstance(count, LearnedCount) and count.estimated


def estimate(lane: Lane, count: AnyCount, flying: int, now: float) -> list[str]:
    """Where nothing is stated: the limit is what was accepted in the period."""
    assert isinstance(count, LearnedCount)  # noqa: S101  # the callers see to it
    assert lane.rejects is not None  # noqa: S101
    count.room(now)
    accepted = count.used - flying - lane.rejects.since(now - count.period)
    if not count.bursts and accepted < _TELLING:
        return []  # that tells no rate: rest as told, or for a while
    news = count.estimate(now, max(accepted, 1))
    if not count.bursts:
        _spread(lane, count, now)
    return [f"about {count.limit} requests per {count.period:g} s"] if news else []


def _spread(lane: Lane, count: LearnedCount, now: float) -> None:
    """Spread the grants of an estimate: one that is too high then costs a rejection or two, and not a burst of them."""
    seconds = count.period / _PIECES
    spread = next((other for other in lane.counts if isinstance(other, LearnedCount) and other.period == seconds), None)
    if spread is None:
        spread = LearnedCount("requests", seconds)
        spread.bursts = spread.spreads = True
        lane.set_counts((*lane.all_counts(), spread))
    spread.state(now, max(1, math.ceil(_SPREAD * count.limit / _PIECES)), "spreads what is only estimated")


def unspread(lane: Lane) -> None:
    """A limit that is stated needs no such care."""
    spreads = {lane.habits.minute / _PIECES}
    lane.set_counts(count for count in lane.all_counts() if not (count.learned and count.window.seconds in spreads))
