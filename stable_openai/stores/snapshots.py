"""The state of a key as it may be shown: no secret in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stable_openai.learned import UNLIMITED
from stable_openai.limits import DAY

from .lanes import INFINITY, Kind, Lane, Standing

if TYPE_CHECKING:
    from stable_openai.limits import Window

    from .members import Member

__all__ = ["KeyStatus", "LaneStatus", "WindowStatus", "snapshot_of"]

_CALENDAR: Final = {"day": DAY, "month": 365.2425 / 12 * DAY}


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """One window of a lane.

    Attributes:
        what: ``"requests"`` or ``"tokens"``.
        per: The window's length in words, such as ``"minute"``.
        seconds: The same in seconds, as the pool counts them; of a calendar day or month, what it lasts on average.
        limit: How many it allows.
        used: How many are used now.
        learned: True where the provider's answers told it rather than the user.
    """

    what: str
    per: str
    seconds: float
    limit: int
    used: int
    learned: bool

    @property
    def left(self) -> int:
        """How many are left now."""
        return max(self.limit - self.used, 0)


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One lane that a key's calls go through.

    Attributes:
        kind: What it belongs to: ``"key"``, ``"key and model"``, ``"owner"`` or ``"owner and model"``.
        model: The model, for a lane of one.
        standing: ``"open"``, ``"cooling down"``, ``"parked"``, ``"barred"`` or ``"retired"``.
        seconds_left: Until it may be used again, in seconds; 0 where it may, infinity where only ``revive()`` helps.
        reason: Why it rests, in one of the verdict's words, or an empty text.
        note: The evidence, in the provider's words.
        in_flight: Calls that run now.
        windows: Its limits and their use.
    """

    kind: str
    model: str | None
    standing: str
    seconds_left: float
    reason: str
    note: str
    in_flight: int
    windows: tuple[WindowStatus, ...]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """One key of a pool.

    Attributes:
        name: Its name.
        masked: Its secret as it may be shown.
        owner: The owner whose quota it draws on, or None.
        standing: The worst standing of the lanes for all models.
        seconds_left: Until the key may be used again, in seconds; infinity where only ``revive()`` helps.
        reason: Why it is out, or an empty text.
        uses: Grants so far.
        failed: Grants that ended with a provider's error.
        in_flight: Calls that run now.
        lanes: All its lanes, the key's own first.
    """

    name: str
    masked: str
    owner: str | None
    standing: str
    seconds_left: float
    reason: str
    uses: int
    failed: int
    in_flight: int
    lanes: tuple[LaneStatus, ...]


def snapshot_of(member: Member, now: float) -> KeyStatus:
    """The state of one key now. Called under the store's lock."""
    member.lanes.whole()  # made, where nobody has needed it yet
    lanes = member.lanes.all()
    if member.owner is not None:
        lanes = [*lanes, *member.owner.lanes.for_looking()]
    shown = _without_echoes([_lane_status(lane, now) for lane in lanes])
    worst = max((lane for lane in shown if lane.model is None), key=lambda lane: lane.seconds_left)
    return KeyStatus(
        name=member.name,
        masked=member.key.masked,
        owner=None if member.owner is None else member.owner.name,
        standing=worst.standing,
        seconds_left=worst.seconds_left,
        reason=worst.reason,
        uses=member.uses,
        failed=member.failed,
        in_flight=member.in_flight,
        lanes=shown,
    )


def _without_echoes(lanes: list[LaneStatus]) -> tuple[LaneStatus, ...]:
    """Leave out learned windows that only say again what was told."""
    told = {(w.what, w.per, w.limit): w.used for lane in lanes for w in lane.windows if not w.learned}

    def tells(window: WindowStatus) -> bool:
        return not window.learned or window.used > told.get((window.what, window.per, window.limit), -1)

    return tuple(replace(lane, windows=tuple(w for w in lane.windows if tells(w))) for lane in lanes)


def _lane_status(lane: Lane, now: float) -> LaneStatus:
    lane.flush()
    opens_at = lane.opens_at(now)
    left = 0.0 if not opens_at else INFINITY if lane.standing is Standing.RETIRED else max(opens_at - now, 0.0)
    windows = []
    for count in lane.all_counts():
        if count.limit >= UNLIMITED:
            continue  # a meter
        room = count.room(now)
        per = str(count.window).split(" per ")[1]
        windows.append(
            WindowStatus(
                what=count.window.what,
                per=per,
                seconds=_seconds_of(count.window),
                limit=count.limit,
                used=count.limit - room,
                learned=count.learned,
            )
        )
    return LaneStatus(
        kind=Kind(lane.kind).value,
        model=lane.model,
        standing=Standing(lane.standing).value,
        seconds_left=left,
        reason=lane.reason if opens_at else "",
        note=lane.note if opens_at else "",
        in_flight=lane.in_flight,
        windows=tuple(windows),
    )


def _seconds_of(window: Window) -> float:
    return float(window.seconds or _CALENDAR[window.calendar or "day"])


def reason_of(lane: Lane, now: float, tokens: int) -> str | None:
    """Why nothing goes through a lane now, in a few words; None where something does."""
    lane.flush()
    opens_at = lane.opens_at(now)
    where = "" if lane.kind is Kind.KEY else f" ({lane.kind.value}{f' {lane.model}' if lane.model else ''})"
    if opens_at:
        why = f": {lane.reason}" if lane.reason else ""
        if lane.standing is Standing.RETIRED:
            return f"retired{why}{where}"
        return f"{lane.standing.value} for {opens_at - now:.1f} s{why}{where}"
    for count in (*lane.counts, *lane.token_counts):
        need = tokens if count.window.what == "tokens" else 1
        if count.room(now) < need:
            ready_at = count.ready_at(now, need)
            if ready_at == INFINITY:
                return f"{need} tokens are more than its limit of {count}{where}"
            return f"its {count} are used; room in {ready_at - now:.1f} s{where}"
    if lane.max_concurrency is not None and lane.in_flight >= lane.max_concurrency:
        return f"all {lane.max_concurrency} calls at once are running{where}"
    return None
