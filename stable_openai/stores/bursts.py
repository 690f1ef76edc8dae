"""Limits that are enforced by the second: a rejection far below the minute's limit shows them.

Where the answer says how much of the minute is used, it tells two things more: how many the provider has accepted in
the last second, which is the limit; and whether it counts what it rejects. What it does not count is taken back from
the windows, or it would eat up the minute.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeGuard

from stable_openai.learned import LearnedCount
from stable_openai.limits import MINUTE
from stable_openai.windows import SlidingCount

from .estimates import estimate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stable_openai.verdict import ObservedLimit
    from stable_openai.windows import AnyCount

    from .lanes import Lane

__all__ = ["is_burst", "learn_burst", "take_back", "used_of"]

_SECONDS: Final = 60  # a minute's limit may be enforced by the second


def is_burst(count: AnyCount) -> TypeGuard[LearnedCount]:
    """Whether it was learned from rejections far below a limit."""
    return isinstance(count, LearnedCount) and count.bursts and not count.spreads


def used_of(observed: Iterable[ObservedLimit]) -> int | None:
    """What the provider counts in the running minute, where the answer says so."""
    known = (limit.used for limit in observed if limit.dimension == "requests" and limit.period_s == MINUTE)
    return next((used for used in known if used is not None), None)


def take_back(lanes: Iterable[Lane], target: Lane, used: int, now: float) -> bool:
    """Take the rejected request back, where the provider does not seem to count it; True where that was done."""
    ours = _minute_of(target, now)
    if used > ours.used or target.counts_rejected:  # or somebody else uses the quota too: that is alike
        target.counts_rejected = True
    if used >= ours.used or target.counts_rejected:
        return False
    for lane in lanes:
        for count in lane.counts:
            if isinstance(count, SlidingCount) and count.period <= lane.habits.minute:
                count.take_back()
    return True


def learn_burst(  # noqa: PLR0917  # all that is known of it
    lane: Lane, binding: list[SlidingCount], used: int | None, wait_s: float | None, flying: int, now: float
) -> list[str]:
    """Spread the grants from now on; the news in words."""
    second = lane.habits.minute / _SECONDS
    count = next((known for known in lane.counts if is_burst(known) and known.period == second), None)
    if count is None:
        count = LearnedCount("requests", second)
        count.bursts = True
        count.unit = lane.habits.minute
        count.enough = math.ceil(min(known.limit / known.period for known in binding) * second)
        count.take_over(_minute_of(lane, now))
        lane.set_counts((*lane.all_counts(), count))
    if used is None:
        return estimate(lane, count, flying, now)
    accepted = _accepted(lane, used, now - second, now)
    if accepted >= count.limit:  # as many as that are let in; so we were early
        count.early(now, wait_s)
        return []
    count.state(now, accepted, f"with {used} used in all, {accepted} of them in {second:g} s, one more was rejected")
    return [f"about {accepted} requests per {second:g} s"]


def _accepted(lane: Lane, used: int, since: float, now: float) -> int:
    """How many the provider has let in since then: by its count, and not more than we sent."""
    ours = _minute_of(lane, now)
    recent = ours.granted_since(since)
    rejected = 0 if lane.rejects is None else lane.rejects.since(since)
    return max(1, min(used - (ours.used - recent), recent - rejected))


def _minute_of(lane: Lane, now: float) -> SlidingCount:
    """The lane's own count of the minute: each lane has one, if only a meter."""
    found = [count for count in lane.counts if isinstance(count, SlidingCount) and count.period == lane.habits.minute]
    for count in found:
        count.room(now)
    return max(found, key=lambda count: count.used)
