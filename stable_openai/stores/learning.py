"""What answers teach of a lane's limits: those that they state, and those that only rejections show.

A learned limit never exceeds a told one: both stand side by side, and the tighter binds.
"""

from __future__ import annotations

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
_SECONDS: Final = 60  # a minute's limit may be enforced by the second
_DIMENSIONS: Final = {"requests": "requests", "tokens": "tokens"}


def teach(lane: Lane, observed: Iterable[ObservedLimit], now: float) -> list[str]:
    """Take the limits that an answer states, and correct the count downward; the news in words."""
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
            if count.state(limit.limit, limit.evidence or "stated by an answer"):
                news.append(str(count.window).replace(str(UNLIMITED), str(limit.limit)))
        else:
            _forget(lane, what, period)
        _correct(lane, limit, what, period, now)
    return news


def note_rejection(lane: Lane, rejection: Rejection, flying: int, now: float) -> list[str]:
    """Learn from a rejection of what our own counts had allowed; the news in words.

    Args:
        lane: What the rejection belongs to.
        rejection: What was rejected.
        flying: Calls of this lane that run now, of which nobody knows yet whether they are accepted.
        now: The moment.
    """
    lane.flush()
    if rejection.what == "tokens":
        for count in lane.token_counts:
            if count.room(now) <= _NEARLY_FULL * count.limit:
                count.guard(now, rejection.wait_s)
        return []
    if lane.rejects is None:
        lane.rejects = LearnedCount("requests", lane.habits.minute)
    lane.rejects.room(now)
    lane.rejects.add(now, 1)
    if rejection.long or rejection.stated:
        return []
    binding = [count for count in lane.counts if _binds(count, lane.habits.minute)]
    if any(count.room(now) <= max(_NEARLY_FULL * count.limit, 2) for count in binding):
        for count in binding:
            if count.room(now) <= max(_NEARLY_FULL * count.limit, 2) and not _is_estimate(count):
                count.guard(now, rejection.wait_s)
        estimates = [count for count in binding if _is_estimate(count)]
        return [word for count in estimates for word in _estimate(lane, count, flying, now)]
    if binding:
        return _learn_burst(lane, min(binding, key=lambda count: count.limit), flying, now)
    return [
        word for count in lane.counts if isinstance(count, LearnedCount) for word in _estimate(lane, count, flying, now)
    ]


def _binds(count: AnyCount, minute: float) -> bool:
    return isinstance(count, SlidingCount) and count.period <= minute and count.limit < UNLIMITED


def _is_estimate(count: AnyCount) -> bool:
    return isinstance(count, LearnedCount) and count.estimated


def _estimate(lane: Lane, count: AnyCount, flying: int, now: float) -> list[str]:
    """Where nothing is stated: the limit is what was accepted in the period."""
    assert isinstance(count, LearnedCount)  # noqa: S101  # the callers see to it
    assert lane.rejects is not None  # noqa: S101
    count.room(now)
    accepted = count.used - flying - lane.rejects.since(now - count.period)
    if count.estimate(now, max(accepted, 1)):
        return [f"about {count.limit} requests per {count.period:g} s"]
    return []


def _learn_burst(lane: Lane, minute: AnyCount, flying: int, now: float) -> list[str]:
    """A rejection far below the limit: it is enforced by the second, so spread the grants."""
    assert isinstance(minute, SlidingCount)  # noqa: S101  # the callers see to it
    assert lane.rejects is not None  # noqa: S101
    second = minute.period / _SECONDS
    for count in lane.counts:
        if isinstance(count, LearnedCount) and count.period == second:
            return _estimate(lane, count, flying, now)
    count = LearnedCount("requests", second)
    count.take_over(minute)
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
        if isinstance(count, LearnedCount) and count.window.what == what and count.period == seconds:
            return count
    made = LearnedCount(what, seconds)
    if isinstance(told, SlidingCount):
        made.take_over(told)
    lane.set_counts((*lane.all_counts(), made))
    return made


def _forget(lane: Lane, what: str, seconds: float) -> None:
    for count in lane.all_counts():
        if isinstance(count, LearnedCount) and count.window.what == what and count.period == seconds:
            count.forget()


def _correct(lane: Lane, limit: ObservedLimit, what: str, period: float, now: float) -> None:
    """Somebody else may use the same quota: count what the provider counts, where that is more."""
    used = limit.used
    if used is None and limit.remaining is not None and limit.limit is not None:
        used = limit.limit - limit.remaining
    if used is None or period > lane.habits.minute:
        return  # when a day's counts come back is not known well enough to add to them
    for count in lane.all_counts():
        if count.window.what == what and count.window.seconds == period and count.limit < UNLIMITED:
            count.room(now)
            missing = min(used, count.limit) - count.used
            if missing > 0:
                count.add(now, missing)
