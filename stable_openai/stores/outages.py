"""Evidence before blame: when keys of several owners fail alike within seconds, the endpoint is at fault.

A tracker per endpoint remembers the failures of the last seconds while nothing succeeds. Enough of them, from several
calls and several owners, make an outage: no key is blamed (what was blamed for it is undone), the endpoint rests, and
one probe at a time tests it. The first probe that succeeds ends the outage for all.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from stable_openai.limits import Limits

from .lanes import Habits, Kind, Lane, Standing

if TYPE_CHECKING:
    from .members import Member

__all__ = ["Endpoint"]

_SPAN: Final = 5.0  # seconds within which failures count as alike
_ENOUGH: Final = 3  # failures
_CALLS: Final = 2  # different calls: one request alone may be the fault itself
_PROBE_EVERY: Final = 0.6  # seconds between two probes


class Failure:
    """One failure, and what it had done to a lane."""

    __slots__ = ("at", "blamed", "call", "member", "what")

    def __init__(self, at: float, what: str, member: Member, call: int, blamed: Lane | None) -> None:
        self.at = at
        self.what = what
        self.member = member
        self.call = call
        self.blamed = blamed


class Endpoint:
    """One base URL, with the keys that belong to it.

    Attributes:
        lane: The lane that all its keys go through while it is down; None while it is up.
        failures: Those of the last seconds, while nothing succeeds.
        served: How many calls had ended well when the last failure came.
    """

    __slots__ = ("_habits", "failures", "lane", "members", "name", "served")

    def __init__(self, name: str | None, habits: Habits) -> None:
        self.name = name
        self.members: dict[Member, None] = {}
        self.lane: Lane | None = None
        self._habits = habits
        self.failures: deque[Failure] = deque()
        self.served = 0

    @property
    def down(self) -> bool:
        """Whether an outage is on."""
        return self.lane is not None and self.lane.reason == "outage"

    def failed(self, failure: Failure) -> bool:
        """Note a failure; True where it makes an outage."""
        failures = self.failures
        while failures and failures[0].at < failure.at - _SPAN:
            failures.popleft()
        served = sum(member.served for member in self.members)
        if served > self.served:
            failures.clear()  # somebody has had an answer meanwhile
        self.served = served
        failures.append(failure)
        alike = [other for other in failures if other.what == failure.what]
        if len(alike) < _ENOUGH or len({other.call for other in alike}) < _CALLS:
            return False
        members = {other.member for other in alike}
        owners = {member.owner or member for member in members}
        if len(owners) < min(2, len(self.members)):
            return False
        # Keys that never worked are simply wrong: an outage takes some that did.
        return failure.what != "auth" or sum(member.served > 0 for member in members) >= min(2, len(self.members))

    def go_down(self, now: float) -> tuple[Lane, list[Lane]]:
        """Begin an outage; returns the endpoint's lane and the lanes that were blamed for it."""
        blamed = [failure.blamed for failure in self.failures if failure.blamed is not None]
        self.failures.clear()
        self.lane = Lane(Kind.ENDPOINT, Limits(), self._habits)
        self.rest(now)
        return self.lane, blamed

    def rest(self, now: float) -> None:
        """No call for a moment, and then one probe."""
        assert self.lane is not None  # noqa: S101  # only while it is down
        self.lane.rest(Standing.COOLING, now + _PROBE_EVERY, "outage", "keys of several owners fail alike", trial=True)

    def come_up(self) -> Lane | None:
        """End an outage; returns the lane that is no more."""
        lane, self.lane = self.lane, None
        self.failures.clear()
        if lane is not None:
            lane.reopen()
        return lane
