"""The store of one process: everything under one short lock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from stable_openai.clock import SystemClock

from .choosing import choose, refusal, renew_credit, rouse
from .lanes import CLOSED, INFINITY, Kind, Lane, Standing
from .protocol import Change, Grant, Refusal
from .roster import Roster
from .snapshots import KeyStatus, reason_of, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sized

    from stable_openai.clock import Clock
    from stable_openai.keys import Key
    from stable_openai.limits import Limits

    from .members import Member
    from .orders import StrategyLike
    from .protocol import Ask, Effect, Outcome
    from .queues import Queue, Slot

__all__ = ["MemoryStore"]

_FIRST_REST = 60.0  # seconds that a lane rests where the provider named nothing; doubled with each repeat
_FIRST_PARKING = 600.0
_LONGEST_REST = 3_600.0
_LONGEST_PARKING = 4 * 3_600.0


class _Taken:
    """What the store remembers of a grant: the lanes it went through and what was entered in their windows."""

    __slots__ = ("ended", "entries", "lanes", "slot")

    def __init__(self, slot: Slot, lanes: tuple[Lane, ...], entries: list[tuple[Any, Any]]) -> None:
        self.slot = slot
        self.lanes = lanes
        self.entries = entries
        self.ended = False


class MemoryStore:
    """Keys, counts and cooldowns in this process.

    Args:
        strategy: The order among eligible keys, as ``check_strategy`` returns it.
        clock: Where time comes from.
    """

    def __init__(self, strategy: StrategyLike, clock: Clock) -> None:
        self._clock = clock
        self._system = type(clock) is SystemClock
        self._latest = -INFINITY
        self._offset = 0.0
        self._roster = Roster(strategy, clock)
        self._any = self._roster.any  # these two are the roster's own, at hand for the hot path
        self._queues = self._roster.queues
        self.crowd: Sized = {}  # those who wait: while there are any, nobody is served out of turn
        self.renew_lock()

    def renew_lock(self) -> None:
        """Take a fresh lock, in a process that was forked while another thread may have held the old one."""
        self._lock = threading.Lock()

    # -- time

    def now(self) -> float:
        """The store's monotonic time in seconds. Even where the clock is set back (a frozen one), it goes on."""
        with self._lock:
            return self._now()

    def _now(self) -> float:
        now = self._clock.monotonic() + self._offset
        if now < self._latest:
            self._offset += self._latest - now
            now = self._latest
        self._latest = now
        return now

    def alarm_time(self, at: float) -> float:
        """The clock's own reading at a moment of the store's time."""
        return at - self._offset

    # -- granting

    def quick(self, model: str | None) -> Slot | None:
        """Grant on credit: the hot path. None means that ``grant`` has to look.

        One lock, one choice, one count: some 0.2 µs. ``slot.done.append(None)`` settles a success.
        """
        if self.crowd:
            return None
        with self._lock:
            queue = self._roster.queue_of(model) if self._queues and isinstance(model, str) else self._any
            now = time.monotonic() if self._system else self._clock.monotonic()
            if not self._latest <= now < queue.due:
                now = self._now()
                queue.wake(now)
            self._latest = now
            ready = queue.ready
            try:
                slot = ready.pop()
            except IndexError:
                return None
            lane = slot.lane
            credit = lane.credit
            if credit > 0:
                lane.credit = credit - 1
                lane.fresh.append(now)
                ready.push(slot)
                return slot
            return renew_credit(self._roster, queue, slot, now)

    def grant(self, ask: Ask) -> Grant | Refusal:
        """Choose a key and count its use, or say when to ask again."""
        with self._lock:
            now = self._now()
            queue = self._roster.queue_of(ask.model)
            slot = choose(self._roster, queue, ask, now)
            if slot is None:
                return refusal(self._roster, queue, ask)
            return self._take(queue, slot, ask, now)

    def _take(self, queue: Queue, slot: Slot, ask: Ask, now: float) -> Grant:
        entries: list[tuple[Any, Any]] = []
        for lane in slot.lanes:
            lane.take(now, ask.tokens, entries)
            if lane.groups:
                queue.look_again(lane, now)
        if slot.lane is not CLOSED:
            slot.lanes[0].lend(now)
        queue.put(slot)
        return Grant(slot.member.key, slot.member.name, ask, _Taken(slot, slot.lanes, entries))

    def adopt(self, slot: Slot, ask: Ask) -> Grant:
        """Make a grant of what ``quick`` returned, so that it can be settled in another way than by success."""
        return Grant(slot.member.key, slot.member.name, ask, _Taken(slot, slot.lanes[:1], []))

    # -- settling

    def settle(self, grant: Grant, outcome: Outcome) -> list[Change]:
        """End a grant; only the first settlement counts."""
        taken: _Taken = grant.state
        with self._lock:
            if taken.ended:
                return []
            taken.ended = True
            now = self._now()
            roused = False
            for lane in taken.lanes:
                lane.done.append(None)
                roused = roused or lane.max_concurrency is not None
                if outcome.success and (lane.troubles or lane.strikes):
                    lane.troubles = lane.strikes = 0
                elif outcome.trouble:
                    lane.flush()
                    lane.troubles += 1
            if outcome.unused or (outcome.tokens is not None and grant.tokens != outcome.tokens):
                roused = self._correct(taken, grant.tokens, outcome) or roused
            if roused:
                rouse(taken.lanes)
            if outcome.early is not None:
                for lane in taken.lanes:
                    lane.flush()
                    lane.came_early(now, outcome.early, outcome.effect.seconds if outcome.effect else None)
            member = taken.slot.member
            if outcome.effect is not None or outcome.trouble:
                member.failed += 1
            if outcome.effect is None or member.gone:
                return []
            return self._apply(member, grant.model, outcome.effect, now)

    def _correct(self, taken: _Taken, reserved: int, outcome: Outcome) -> bool:
        """Correct the windows to what was really used; True if that made room."""
        freed = False
        for count, entry in taken.entries:
            if outcome.unused:
                by = -(reserved if count.window.what == "tokens" else 1)
            elif count.window.what == "tokens":
                by = (outcome.tokens or 0) - reserved
            else:
                continue
            count.correct(entry, by)
            freed = freed or by < 0
        if outcome.unused:
            for lane in taken.lanes:
                lane.flush()
                lane.granted -= 1
                lane.settled -= 1
        return freed

    # -- standings

    def rest(self, name: str, effect: Effect, model: str | None = None) -> list[Change]:
        """Make a lane of this key rest."""
        with self._lock:
            return self._apply(self._roster.members[name], model, effect, self._now())

    def _apply(self, member: Member, model: str | None, effect: Effect, now: float) -> list[Change]:
        lane = self._roster.lane_for(member, model, effect.kind)
        seconds = effect.seconds
        if effect.standing is Standing.RETIRED:
            seconds = INFINITY
        elif seconds is None:
            if lane.is_resting(now):
                return []  # calls that ran at the same time met the same: that is one incident, not a repeat
            parking = effect.standing in (Standing.PARKED, Standing.BARRED)
            first, longest = (_FIRST_PARKING, _LONGEST_PARKING) if parking else (_FIRST_REST, _LONGEST_REST)
            seconds = min(first * 2.0**lane.strikes, longest)
        if not lane.rest(effect.standing, now + seconds, effect.reason, effect.note):
            return []
        lane.strikes = min(lane.strikes + 1, 30)
        owner = (
            member.owner.name if member.owner is not None and lane.kind in (Kind.OWNER, Kind.OWNER_AND_MODEL) else None
        )
        return [Change(lane.kind, member.name, effect.standing, seconds, effect.reason, effect.note, owner, lane.model)]

    def revive(self, names: Iterable[str] | None, model: str | None = None) -> list[Change]:
        """Clear cooldowns, parking and retirement of these keys (None: of all), and of their owners."""
        changes = []
        with self._lock:
            for member in (
                list(self._roster.members.values()) if names is None else [self._roster.members[name] for name in names]
            ):
                lanes = member.lanes.all() + (member.owner.lanes.all() if member.owner is not None else [])
                for lane in lanes:
                    if model is not None and lane.model != model:
                        continue
                    lane.flush()
                    if lane.standing is not Standing.OPEN or lane.strikes or lane.troubles:
                        lane.reopen()
                        changes.append(Change(lane.kind, member.name, Standing.OPEN, 0.0, "revived", model=lane.model))
                    rouse((lane,))
        return changes

    # -- keys

    def add(self, entries: Iterable[tuple[Key, str, Limits]]) -> None:
        """Add keys under names that are new, with the limits of each."""
        with self._lock:
            self._roster.add(entries)

    def remove(self, name: str) -> None:
        """Take a key out of use at once."""
        with self._lock:
            self._roster.remove(name)

    def retell(self, name: str, key: Key, limits: Limits) -> None:
        """Take another description of a key that stays; its counts are kept."""
        with self._lock:
            self._roster.retell(name, key, limits)

    def set_owner(self, name: str, limits: Limits, model_limits: Mapping[str, Limits]) -> None:
        """Tell an owner's limits; the counts of windows that stay are kept."""
        with self._lock:
            self._roster.set_owner(name, limits, model_limits)

    def use(self, strategy: StrategyLike) -> None:
        """Change the order among eligible keys."""
        with self._lock:
            self._roster.use(strategy)

    # -- looking

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit that was told is about tokens."""
        return self._roster.counts_tokens

    def snapshot(self) -> list[KeyStatus]:
        """The state of each key."""
        with self._lock:
            now = self._now()
            return [snapshot_of(member, now) for member in self._roster.members.values()]

    def reasons(self, model: str | None, tokens: int = 0) -> dict[str, str]:
        """Why each key is out for this model, by name; keys that are not out are left out."""
        with self._lock:
            now = self._now()
            found = {}
            for member in self._roster.members.values():
                if model is not None and member.key.models is not None and model not in member.key.models:
                    found[member.name] = f"is not for the model {model}"
                    continue
                for lane in member.lanes_for(model):
                    reason = reason_of(lane, now, tokens)
                    if reason:
                        found[member.name] = reason
                        break
            return found

    def earliest(self, model: str | None) -> float:
        """The moment before which no sleeping key of this model is looked at again; infinity where none is."""
        with self._lock:
            return self._roster.queue_of(model).next_at()

    def pending_work(self) -> int:
        """Grants that are not settled."""
        with self._lock:
            return sum(member.in_flight for member in self._roster.members.values())
