"""What answers teach of a lane's limits: those that they state, and those that only rejections show.

A learned limit never exceeds a told one: both stand side by side, and the tighter binds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from stable_openai.learned import UNLIMITED, LearnedCount
from stable_openai.limits import DAY
from stable_openai.windows import SlidingCount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.verdict import ObservedLimit
    from stable_openai.windows import AnyCount

    from .lanes import Lane
    from .protocol import Rejection

__all__ = ["note_rejection", "teach"]

_NEARLY_FULL: Final = 0.15  # of a limit is left: a rejection then says that we were early, not that we were wrong
_WINDOWED: Final = 0.125  # of the period: who names a longer wait counts a window, and a shorter one a bucket
_EARLY: Final = 0.25  # of the period: who has to wait longer was not early, but wrong
_TELLING: Final = 5  # accepted calls from which a rate can be told
_PIECES: Final = 64  # of a period, over which an estimate is spread
_SPREAD: Final = 1.1  # times the even rate
_LONGER: Final = 4  # seconds: of a shorter window it makes no sense to ask how it is spread
_SECONDS: Final = 60  # a minute's limit may be enforced by the second
_DIMENSIONS: Final = {"requests": "requests", "tokens": "tokens"}


def teach(
    lane: Lane, observed: Iterable[ObservedLimit], flying: int, now: float, rejection: Rejection | None
) -> list[str]:
    """Take the limits that an answer states, and correct the count downward; the news in words.

    A rejection names the moment to come back, which then holds: only successes correct the count.
    """
    news = []
    lane.flush()
    for limit in observed:
        what = _DIMENSIONS.get(limit.dimension)
        if limit.dimension == "concurrency" and limit.limit and lane.limits.max_concurrency is None:
            if lane.max_concurrency != limit.limit:
                lane.max_concurrency = limit.limit
                lane.set_counts(lane.all_counts())
                news.append(f"{limit.limit} calls at once")
            continue
        if what is None or limit.limit is None or limit.period_s is None:
            continue
        period = limit.period_s * lane.habits.scale
        told = _told(lane, what, period)
        if told is None or limit.limit < told.limit:
            count = _learned(lane, what, period, told)
            if count.estimated:
                _unspread(lane)
            if count.state(limit.limit, limit.evidence or "stated by an answer"):
                news.append(str(count))
        else:
            _forget(lane, what, period)
        if rejection is None:
            _correct(lane, limit, what, period, now)
        elif (told is None or limit.limit < told.limit) and (rejection.wait_s or 0.0) >= _WINDOWED * period:
            count.trim(now, _used(limit), flying)
    return news


def note_rejection(lanes: Iterable[Lane], target: Lane, rejection: Rejection, flying: int, now: float) -> list[str]:
    """Learn from a rejection of what our own counts had allowed; the news in words.

    Args:
        lanes: The lanes that the call went through.
        target: What the rejection belongs to.
        rejection: What was rejected.
        flying: Calls of the target that run now, of which nobody knows yet whether they are accepted.
        now: The moment.
    """
    if rejection.long:
        return []
    for lane in {*lanes, target}:
        lane.flush()
    if rejection.what == "tokens":
        _guard([count for lane in {*lanes, target} for count in lane.token_counts], rejection, now)
        return []
    rejects = target.rejects = target.rejects or LearnedCount("requests", target.habits.minute)
    rejects.room(now)
    rejects.add(now, 1)
    binding = [
        count
        for lane in {*lanes, target}
        for count in lane.counts
        if isinstance(count, SlidingCount) and count.period <= lane.habits.minute and count.limit < UNLIMITED
    ]
    if _guard(binding, rejection, now) or rejection.stated:
        estimates = [] if rejection.stated else [count for count in target.counts if _is_estimate(count)]
        return [word for count in estimates for word in _estimate(target, count, flying, now)]
    if binding:
        longer = [count for count in binding if count.period > _LONGER * target.habits.minute / _SECONDS]
        return _learn_burst(target, longer, flying, now) if longer else []
    meters = [count for count in target.counts if isinstance(count, LearnedCount) and not count.bursts]
    return [word for count in meters for word in _estimate(target, count, flying, now)]


def _guard(counts: Iterable[AnyCount], rejection: Rejection, now: float) -> bool:
    """Where a window is all but full, we were a little early, not wrong: keep its entries longer."""
    near = [count for count in counts if count.room(now) <= max(_NEARLY_FULL * count.limit, 2)]
    for count in near:
        if not _is_estimate(count) and (rejection.wait_s is None or rejection.wait_s <= _EARLY * _period(count)):
            count.guard(now, rejection.wait_s)
    return bool(near)


def _period(count: AnyCount) -> float:
    return count.period if isinstance(count, SlidingCount) else 0.0


def _is_estimate(count: AnyCount) -> bool:
    return isinstance(count, LearnedCount) and count.estimated


def _estimate(lane: Lane, count: AnyCount, flying: int, now: float) -> list[str]:
    """Where nothing is stated: the limit is what was accepted in the period."""
    assert isinstance(count, LearnedCount)  # noqa: S101  # the callers see to it
    assert lane.rejects is not None  # noqa: S101
    count.room(now)
    accepted = count.used - flying - lane.rejects.since(now - count.period)
    if not count.bursts and accepted < _TELLING:
        return []  # that tells no rate: rest as told, or for a while
    news = count.estimate(now, max(accepted, 1))
    if not count.bursts:
        _spread(lane, count)
    return [f"about {count.limit} requests per {count.period:g} s"] if news else []


def _spread(lane: Lane, count: LearnedCount) -> None:
    """Spread the grants of an estimate: one that is too high then costs a rejection or two, and not a burst of them."""
    seconds = count.period / _PIECES
    spread = next((other for other in lane.counts if isinstance(other, LearnedCount) and other.period == seconds), None)
    if spread is None:
        spread = LearnedCount("requests", seconds)
        spread.bursts = True
        lane.set_counts((*lane.all_counts(), spread))
    spread.state(max(1, math.ceil(_SPREAD * count.limit / _PIECES)), "spreads what is only estimated")


def _unspread(lane: Lane) -> None:
    """A limit that is stated needs no such care."""
    spreads = {lane.habits.minute / _PIECES}
    lane.set_counts(count for count in lane.all_counts() if not (count.learned and count.window.seconds in spreads))


def _learn_burst(lane: Lane, binding: list[SlidingCount], flying: int, now: float) -> list[str]:
    """A rejection far below the limit: it is enforced by the second, so spread the grants."""
    second = lane.habits.minute / _SECONDS
    for count in lane.counts:
        if isinstance(count, LearnedCount) and count.bursts and count.period == second:
            return _estimate(lane, count, flying, now)
    count = LearnedCount("requests", second)
    count.bursts = True
    count.unit = lane.habits.minute
    count.enough = math.ceil(min(known.limit / known.period for known in binding) * second)
    count.take_over(*[other for other in lane.counts if isinstance(other, SlidingCount)][-1:])
    lane.set_counts((*lane.all_counts(), count))
    return _estimate(lane, count, flying, now)


def _told(lane: Lane, what: str, seconds: float) -> AnyCount | None:
    for count in lane.all_counts():
        window = count.window
        period = DAY * lane.habits.scale if window.calendar == "day" else window.seconds
        if window.what == what and period == seconds and not count.learned:
            return count
    return None


def _learned(lane: Lane, what: str, seconds: float, told: AnyCount | None) -> LearnedCount:
    for count in lane.all_counts():
        if (
            isinstance(count, LearnedCount)
            and count.window.what == what
            and count.period == seconds
            and not count.bursts
        ):
            return count
    made = LearnedCount(what, seconds)
    if isinstance(told, SlidingCount):
        made.take_over(told)
    lane.set_counts((*lane.all_counts(), made))
    return made


def _forget(lane: Lane, what: str, seconds: float) -> None:
    for count in lane.all_counts():
        if (
            isinstance(count, LearnedCount)
            and count.window.what == what
            and count.period == seconds
            and not count.bursts
        ):
            count.forget()


def _used(limit: ObservedLimit) -> int | None:
    if limit.used is None and limit.remaining is not None and limit.limit is not None:
        return limit.limit - limit.remaining
    return limit.used


def _correct(lane: Lane, limit: ObservedLimit, what: str, period: float, now: float) -> None:
    """Somebody else may use the same quota: count what the provider counts, where that is more."""
    used = _used(limit)
    if used is None or period > lane.habits.minute:
        return  # when a day's counts come back is not known well enough to add to them
    for count in lane.all_counts():
        if count.window.what == what and count.window.seconds == period and count.limit < UNLIMITED:
            count.room(now)
            missing = min(used, count.limit) - count.used
            if missing > 0:
                count.add(now, missing)
