"""What answers teach of a lane's limits: those that they state, and those that only rejections show.

A learned limit never exceeds a told one: both stand side by side, and the tighter binds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.learned import UNLIMITED, LearnedCount
from stable_openai.limits import DAY
from stable_openai.windows import SlidingCount

from .bursts import is_burst, learn_burst, take_back, used_of
from .estimates import estimate, is_estimate, unspread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stable_openai.verdict import ObservedLimit
    from stable_openai.windows import AnyCount

    from .lanes import Lane
    from .protocol import Rejection

__all__ = ["note_rejection", "teach"]

_NEARLY_FULL: Final = 0.15  # of a limit is left: a rejection then says that we were early, not that we were wrong
_LONGER: Final = 4  # seconds: of a shorter window it makes no sense to ask how it is spread
_SECONDS: Final = 60  # a minute's limit may be enforced by the second
_CONCLUDED: Final = ("reset ", "refilled ")  # how the evidence of a conclusion begins
_ENOUGH: Final = 8  # used: what is rounded does not matter much any more
_UNLIKE: Final = 0.25  # of a period
_DIMENSIONS: Final = {"requests": "requests", "tokens": "tokens"}


def teach(
    lane: Lane,
    observed: Iterable[ObservedLimit],
    now: float,
    rejection: Rejection | None,
    told: Sequence[Lane] = (),
) -> list[str]:
    """Take the limits that an answer states, and correct the count downward; the news in words.

    A rejection names the moment to come back, which then holds: only successes correct the count.

    Args:
        lane: Whose limits they are.
        observed: What the answer states.
        now: The moment.
        rejection: What was rejected; None: nothing.
        told: The lanes that the call went through: the user may have told one of them of this very limit.
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
        if what is None or limit.limit is None:
            continue
        _forget_contradicted(lane, limit, what)
        if limit.period_s is None:
            continue
        if _is_told(told, limit, what):
            continue
        period = limit.period_s * lane.habits.scale
        own = _told(lane, what, period)
        if own is None or limit.limit < own.limit:
            count = _learned(lane, what, period, own)
            if count.estimated:
                unspread(lane)
            if count.state(now, limit.limit, limit.evidence or "stated by an answer"):
                news.append(str(count))
        else:
            _forget(lane, what, period)
        if rejection is None:
            _correct(lane, limit, what, period, now)
    return news


def note_rejection(  # noqa: PLR0917  # all that is known of it
    lanes: Iterable[Lane],
    target: Lane,
    rejection: Rejection,
    observed: Iterable[ObservedLimit],
    flying: int,
    now: float,
) -> list[str]:
    """Learn from a rejection of what our own counts had allowed; the news in words.

    Args:
        lanes: The lanes that the call went through.
        target: What the rejection belongs to.
        rejection: What was rejected.
        observed: The limits that the answer states.
        flying: Calls of the target that run now, of which nobody knows yet whether they are accepted.
        now: The moment.
    """
    if rejection.long:
        return []
    lanes = dict.fromkeys((*lanes, target))
    for lane in lanes:
        lane.flush()
    if rejection.what == "tokens":
        _guard([count for lane in lanes for count in lane.token_counts], rejection, now)
        return []
    minute = target.habits.minute
    binding = [
        count
        for lane in lanes
        for count in lane.counts
        if isinstance(count, SlidingCount) and count.period <= minute and count.limit < UNLIMITED
    ]
    used = None if rejection.stated else used_of(observed)
    if used is None or not take_back(lanes, target, used, now):
        rejects = target.rejects = target.rejects or LearnedCount("requests", minute)
        rejects.room(now)
        rejects.add(now, 1)
    spent = binding if used is None else [count for count in binding if count.period < minute and not is_burst(count)]
    if _guard(spent, rejection, now) or rejection.stated:
        estimates = [] if rejection.stated else [count for count in target.counts if is_estimate(count)]
        return [word for count in estimates for word in estimate(target, count, flying, now)]
    if binding:
        longer = [count for count in binding if count.period > _LONGER * minute / _SECONDS]
        return learn_burst(target, longer, used, rejection.wait_s, flying, now) if longer else []
    meters = [count for count in target.counts if isinstance(count, LearnedCount) and not count.bursts]
    return [word for count in meters for word in estimate(target, count, flying, now)]


def _guard(counts: Iterable[AnyCount], rejection: Rejection, now: float) -> bool:
    """Where a window is all but full, we were a little early, not wrong: keep its entries longer."""
    near = [count for count in counts if count.room(now) <= max(_NEARLY_FULL * count.limit, 2)]
    early = [count for count in near if isinstance(count, SlidingCount) and not is_estimate(count)]
    early = [count for count in early if rejection.wait_s is None or count.forgives(rejection.wait_s)]
    for count in early:
        if rejection.wait_s is None or count.period == min(other.period for other in early):
            count.early(now, rejection.wait_s)
        else:
            count.guard(now, rejection.wait_s)
    return bool(near)


def _is_concluded(evidence: str) -> bool:
    """Whether a period was concluded from how fast a limit refills, rather than named."""
    return evidence.startswith(_CONCLUDED)


def _is_told(lanes: Iterable[Lane], limit: ObservedLimit, what: str) -> bool:
    """Whether the user has told of this very limit, and of another period than the answer lets conclude.

    A window that slides has, once in each of its minutes, as much used as a bucket of an hour would have.
    """
    if limit.reset_s is None or limit.period_s is None or not _is_concluded(limit.evidence):
        return False
    for lane in lanes:
        for count in lane.all_counts():
            if isinstance(count, SlidingCount) and not count.learned and count.window.what == what:
                period_s = count.period / lane.habits.scale
                if count.limit == limit.limit and limit.reset_s <= period_s < limit.period_s:
                    return True
    return False


def _forget_contradicted(lane: Lane, limit: ObservedLimit, what: str) -> None:
    """Forget a period that was concluded from an answer and that this one belies: a bucket always refills as fast."""
    used = _used(limit)
    if limit.reset_s is None or limit.limit is None or used is None or used < _ENOUGH:
        return
    shown = limit.reset_s * limit.limit / used * lane.habits.scale
    for count in lane.all_counts():
        if (
            isinstance(count, LearnedCount)
            and (count.window.what, count.limit) == (what, limit.limit)
            and _is_concluded(count.evidence)
            and abs(shown - count.period) > _UNLIKE * count.period
            and "whole window" not in count.evidence
        ):
            count.forget()


def _told(lane: Lane, what: str, seconds: float) -> AnyCount | None:
    for count in lane.all_counts():
        window = count.window
        period = DAY * lane.habits.scale if window.calendar == "day" else window.seconds
        if window.what == what and period == seconds and not count.learned:
            return count
    return None


def _learned(lane: Lane, what: str, seconds: float, told: AnyCount | None) -> LearnedCount:
    found = next(_all_learned(lane, what, seconds), None)
    if found is not None:
        return found
    made = LearnedCount(what, seconds)
    if isinstance(told, SlidingCount):
        made.take_over(told)
    lane.set_counts((*lane.all_counts(), made))
    return made


def _forget(lane: Lane, what: str, seconds: float) -> None:
    for count in _all_learned(lane, what, seconds):
        count.forget()


def _all_learned(lane: Lane, what: str, seconds: float) -> Iterator[LearnedCount]:
    for count in lane.all_counts():
        if (
            isinstance(count, LearnedCount)
            and count.window.what == what
            and count.period == seconds
            and not count.bursts
        ):
            yield count


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
