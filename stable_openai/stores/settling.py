"""Settling: what the end of a call does to the lanes that it went through.

All functions are called under the store's lock.
"""

from __future__ import annotations

import datetime
import zoneinfo
from typing import TYPE_CHECKING, Final

from .choosing import rouse
from .lanes import INFINITY, Kind, Lane, Standing
from .learning import note_rejection, teach
from .outages import Failure
from .protocol import Change
from .queues import TROUBLED

if TYPE_CHECKING:
    from stable_openai.windows import AnyCount, Entry

    from .members import Member
    from .protocol import Effect, Grant, Outcome
    from .queues import Slot
    from .roster import Roster

__all__ = ["Taken", "apply", "revive", "settle"]

_FIRST: Final = {Standing.COOLING: 60.0, Standing.PARKED: 600.0, Standing.BARRED: 600.0}
_LONGEST: Final = {Standing.COOLING: 3_600.0, Standing.PARKED: 4 * 3_600.0, Standing.BARRED: 4 * 3_600.0}
_WORDS: Final = {
    Standing.COOLING: "cooldown",
    Standing.PARKED: "parked",
    Standing.BARRED: "barred",
    Standing.RETIRED: "retired",
}
_OWNERS: Final = (Kind.OWNER, Kind.OWNER_AND_MODEL)
_JITTER: Final = 0.05  # of a rest that we derived ourselves; what a provider named is taken to the letter
_DOUBT: Final = 30.0  # seconds after an unclear word against a key
_LAST_FOR: Final = 30.0  # seconds for which a lane that fails again and again is tried last
_LEAST_REPEAT: Final = 0.25  # seconds at least after a second rejection in a row, doubled with each
_BRIEF: Final = 4.0  # seconds: a rest for which no trial is needed at its first occasion
_HOUR: Final = 3_600.0
_RESET_ZONES: Final = ("UTC", "America/Los_Angeles")  # whose midnights providers name as the end of their day


class Taken:
    """What the store remembers of a grant: the lanes it went through and what was entered in their windows."""

    __slots__ = ("at", "ended", "entries", "lanes", "slot")

    def __init__(self, slot: Slot, lanes: tuple[Lane, ...], entries: list[tuple[AnyCount, Entry]], at: float) -> None:
        self.slot = slot
        self.lanes = lanes
        self.entries = entries
        self.at = at
        self.ended = False


def settle(roster: Roster, grant: Grant, outcome: Outcome, now: float) -> list[Change]:
    """End a grant; only the first settlement counts."""
    taken: Taken = grant.state
    if taken.ended:
        return []
    taken.ended = True
    member = taken.slot.member
    if outcome.effect is not None or outcome.alike is not None:
        member.failed += 1
    changes = _end_flights(roster, taken, outcome, now)
    for count, entry in taken.entries:
        count.arrived(entry, now)
    if outcome.unused or (outcome.tokens is not None and grant.tokens != outcome.tokens):
        _correct(taken, grant.tokens, outcome)
    if not member.gone:
        changes += _learn(roster, taken, grant, outcome, now)
        changes += _react(roster, taken, grant, outcome, now)
    rouse(taken.lanes)
    return changes


def _end_flights(roster: Roster, taken: Taken, outcome: Outcome, now: float) -> list[Change]:
    changes = []
    clear = []
    for lane in taken.lanes:
        lane.done.append(None)
        if lane.trials_out:
            lane.trials_out -= 1
        if outcome.success:
            if (
                lane.kind is Kind.ENDPOINT
                and taken.slot.member.endpoint is not None
                and taken.slot.member.endpoint.down
            ):
                roster.come_up(taken.slot.member.endpoint)
                changes.append(Change("outage over", lane.kind, taken.slot.member.name))
            elif (lane.strikes or lane.troubles or lane.trial or lane.suspected > -INFINITY) and lane.succeeded():
                changes.append(_change("recovered", lane, taken.slot.member))
            clear.append(lane)
        elif outcome.trouble:
            lane.flush()
            lane.troubles += 1
            if lane.troubles >= TROUBLED:
                lane.troubled_until = now + _LAST_FOR
    if clear and len(taken.lanes) > 1:
        roster.prune(taken.slot.member, clear)
    return changes


def _correct(taken: Taken, reserved: int, outcome: Outcome) -> None:
    """Correct the windows to what was really used."""
    for count, entry in taken.entries:
        if outcome.unused:
            count.correct(entry, -(reserved if count.window.what == "tokens" else 1))
        elif count.window.what == "tokens":
            count.correct(entry, (outcome.tokens or 0) - reserved)
    if outcome.unused:
        for lane in taken.lanes:
            lane.flush()
            lane.granted -= 1
            lane.settled -= 1


# -- learning


def _learn(roster: Roster, taken: Taken, grant: Grant, outcome: Outcome, now: float) -> list[Change]:
    changes = []
    member = taken.slot.member
    if outcome.owner is not None and roster.meet_owner(member, outcome.owner):
        owner = member.owner.name if member.owner is not None else None
        changes.append(Change("owner", Kind.OWNER, member.name, note=f"an answer names {outcome.owner}", owner=owner))
        if roster.of_one_owner(member):
            note = "all keys draw on one quota: rotation will not raise its limit"
            changes.append(Change("one owner", Kind.OWNER, member.name, note=note, owner=owner))
    effect = outcome.effect
    if not outcome.observed and (outcome.rejection is None or effect is None):
        return changes
    kind = Kind.KEY_AND_MODEL if outcome.rejection is None or effect is None else effect.kind
    lane = roster.lane_for(member, grant.model, kind)
    flying = roster.flying(member, lane)
    news = teach(lane, outcome.observed, now, outcome.rejection, told=taken.lanes)
    if lane.token_counts:
        roster.learned_tokens(lane)
    if outcome.rejection is not None and effect is not None:
        news += note_rejection(taken.lanes, lane, outcome.rejection, outcome.observed, flying, now)
    return changes + [_change("learned", lane, member, note=word) for word in news]


# -- reacting


def _react(roster: Roster, taken: Taken, grant: Grant, outcome: Outcome, now: float) -> list[Change]:
    member, effect = taken.slot.member, outcome.effect
    endpoint = member.endpoint
    if outcome.alike is not None and endpoint is not None:
        if endpoint.down:
            endpoint.rest(now)
            grant.outage = True
            return []
        changes = [] if effect is None else apply(roster, member, grant.model, effect, now, granted_at=taken.at)
        blamed = roster.lane_for(member, grant.model, effect.kind) if effect is not None and changes else None
        if endpoint.failed(Failure(now, outcome.alike, member, grant.call, blamed)):
            grant.outage = True
            _, wronged = endpoint.go_down(now)
            for lane in wronged:
                lane.reopen()
                rouse((lane,))
            roster.restructure(endpoint.members, ())
            note = f"keys of several owners fail alike ({outcome.alike}); one probe at a time"
            return [Change("outage", Kind.ENDPOINT, member.name, reason=outcome.alike, note=note)]
        return changes
    return [] if effect is None else apply(roster, member, grant.model, effect, now, granted_at=taken.at)


def apply(
    roster: Roster, member: Member, model: str | None, effect: Effect, now: float, *, granted_at: float = INFINITY
) -> list[Change]:
    """Do to a lane what an answer says."""
    lane = roster.lane_for(member, model, effect.kind)
    standing, seconds = effect.standing, effect.seconds
    if standing is Standing.RETIRED and not effect.plain:
        if lane.suspected == -INFINITY:
            lane.flush()
            lane.suspected = now
            standing, seconds = Standing.COOLING, _DOUBT
        elif granted_at <= lane.suspected:
            return []  # it ran at the same time as the first witness, so it is no second one
    resting = lane.is_resting(now)
    derived = seconds is None and standing is not Standing.RETIRED and not effect.long
    if derived and (resting or (standing is Standing.COOLING and _is_full(lane, now))):
        return []  # what ran at the same time is one incident, no repeat; and a learned window is rest enough
    seconds, trial = _rest_of(roster, lane, standing, effect, seconds, resting=resting)
    if not lane.rest(standing, now + seconds, effect.reason, effect.note, trial=trial):
        return []
    if not resting:
        lane.strikes = min(lane.strikes + 1, 30)
    rouse((lane,))  # who slept on it for a trial call to end now waits for another moment
    return [_change(_WORDS[standing], lane, member, seconds=seconds, reason=effect.reason, note=effect.note)]


def _rest_of(  # all that the length of a rest hangs on
    roster: Roster, lane: Lane, standing: Standing, effect: Effect, seconds: float | None, *, resting: bool
) -> tuple[float, bool]:
    """How long to rest, and whether one call goes on trial first when it is over."""
    if standing is Standing.RETIRED:
        return INFINITY, False
    if effect.long:
        return _until_reset(roster, lane, seconds), True
    if seconds is None:
        seconds = min(_FIRST[standing] * 2.0**lane.strikes, _LONGEST[standing]) * lane.habits.scale
        return seconds * (1.0 + _JITTER * lane.habits.dice.random()), True  # so that not all come back at once
    if standing is not Standing.COOLING:
        return seconds, True
    if lane.strikes and not resting:  # the provider's word is good, until it has proved wrong
        seconds = max(seconds, min(_LEAST_REPEAT * 2.0**lane.strikes, _FIRST[standing]) * lane.habits.scale)
    together = resting and seconds <= _BRIEF * lane.habits.scale  # one burst, that met a limit by the second
    return seconds, lane.strikes > int(together)


def _is_full(lane: Lane, now: float) -> bool:
    lane.flush()
    return any(count.learned and count.room(now) <= 0 for count in lane.counts)


def _until_reset(roster: Roster, lane: Lane, seconds: float | None) -> float:
    """Rest for a spent day: as told at first, then until the next midnight of those that providers go by."""
    if seconds is not None and (not lane.strikes or seconds >= _HOUR):
        return seconds
    if not lane.strikes:
        return _HOUR
    wall = roster.habits.clock.time()
    ends = []
    for zone in _RESET_ZONES:
        today = datetime.datetime.fromtimestamp(wall, zoneinfo.ZoneInfo(zone))
        midnight = today.replace(hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1)
        ends.append(midnight.timestamp() - wall)
    return min((end for end in ends if end > _HOUR / 2), default=_HOUR) + 5.0 * lane.habits.dice.random()


def revive(roster: Roster, member: Member, model: str | None) -> list[Change]:
    """Clear what keeps a key and its owner out."""
    changes = []
    lanes = member.lanes.all() + (member.owner.lanes.all() if member.owner is not None else [])
    if member.endpoint is not None and member.endpoint.down and model is None:
        roster.come_up(member.endpoint)
    for lane in lanes:
        if model is not None and lane.model != model:
            continue
        lane.flush()
        if lane.standing is not Standing.OPEN or lane.strikes or lane.troubles or lane.trial:
            lane.reopen()
            changes.append(_change("revived", lane, member))
        rouse((lane,))
    return changes


def _change(what: str, lane: Lane, member: Member, *, seconds: float = 0.0, reason: str = "", note: str = "") -> Change:
    owner = member.owner.name if member.owner is not None and lane.kind in _OWNERS else None
    return Change(what, lane.kind, member.name, seconds, reason, note, owner, lane.model)
