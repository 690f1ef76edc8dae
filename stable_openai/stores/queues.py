"""Who may be next: per model, an order of the slots that are ready and a heap of those that rest.

A slot is a key as one model sees it. It is looked at only when it comes up; where it turns out not to be eligible, it
goes to sleep on the lane that holds it back longest, together with all others that sleep there. When the lane's
moment comes, as many wake as it can take. So neither a grant nor a settlement ever walks over all keys.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, Final

from .lanes import CLOSED, INFINITY, ClosedLane, Lane
from .orders import make_order

if TYPE_CHECKING:
    import random
    from collections.abc import Container, Iterator

    from .members import Member
    from .orders import StrategyLike

__all__ = ["TROUBLED", "Group", "Queue", "Slot"]

_LOOKS: Final = 64  # sleepers that a smaller request looks at: all of them in a usual pool, and bounded in a vast one
TROUBLED: Final = 5  # failures in a row after which a lane is tried last


class Slot:
    """A key as one model sees it."""

    __slots__ = ("done", "dropped", "lane", "lanes", "member", "queue", "secret", "short_of", "stamp")

    def __init__(self, member: Member, queue: Queue) -> None:
        self.member: Member = member
        self.queue: Queue = queue
        self.secret = member.key.secret
        self.lanes: tuple[Lane, ...] = ()
        self.lane: Lane | ClosedLane = CLOSED  # the only lane, where there is one alone: the one that may lend credit
        self.done: list[None] = []
        self.dropped = False  # the key is no longer for this model
        self.stamp = 0  # changes with each nap and waking, so that what points to an older one is known as stale
        self.short_of = 0  # tokens that it was asked for in vain, while it sleeps for that reason

    @property
    def out_of_use(self) -> bool:
        """Whether the key has left the pool, or is no longer for this model."""
        return self.dropped or self.member.gone

    def troubled_until(self) -> float:
        """Until when it is tried last, because a lane of it has failed again and again."""
        until = -INFINITY  # as a loop: each grant asks twice
        for lane in self.lanes:
            if lane.troubles >= TROUBLED and lane.troubled_until > until:
                until = lane.troubled_until
        return until

    def largest_request(self) -> float:
        """The most tokens that one request may ever have here."""
        return min(lane.largest_request() for lane in self.lanes)


class Group:
    """The slots of one queue that sleep on one lane, until ``at``."""

    __slots__ = ("at", "lane", "sleepers")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.at = INFINITY
        self.sleepers: deque[tuple[int, Slot]] = deque()

    def drop_stale(self) -> None:
        sleepers = self.sleepers
        while sleepers and (sleepers[0][0] != sleepers[0][1].stamp or sleepers[0][1].out_of_use):
            sleepers.popleft()


class Queue:
    """The slots of one model (or of all that have nothing of their own)."""

    __slots__ = (
        "_dice",
        "_heap",
        "_order",
        "_reserve_until",
        "due",
        "held",
        "least_largest",
        "model",
        "ready",
        "reserve",
        "short",
        "slots",
    )

    def __init__(self, model: str | None, strategy: StrategyLike, dice: random.Random) -> None:
        self.model = model
        self._dice = dice
        self.slots: dict[Member, Slot] = {}
        self.least_largest = INFINITY  # the smallest of the slots' largest requests, in tokens
        self.held: set[Group] = set()  # those that only an event wakes
        self.short: deque[tuple[int, Slot]] = deque()
        self._heap: list[tuple[float, int, Group]] = []
        self._order = itertools.count()
        self.due = INFINITY  # when somebody wakes, where the hot path can see it
        self._reserve_until = INFINITY
        self.use(strategy)

    def use(self, strategy: StrategyLike) -> None:
        """Start the orders afresh, with every slot ready."""
        self.ready = make_order(strategy, self._dice)
        self.reserve = make_order(strategy, self._dice)
        self._heap.clear()
        self.due = self._reserve_until = INFINITY
        self.short.clear()
        self.held.clear()
        for slot in self.slots.values():
            slot.stamp += 1
            for lane in slot.lanes:
                lane.groups.pop(self, None)
            self.ready.push(slot)

    def put(self, slot: Slot, now: float) -> None:
        """Make a slot ready: in its turn, or to be tried last where its lane fails again and again."""
        until = slot.troubled_until()
        if until > now:
            self.reserve.push(slot)
            self._reserve_until = min(self._reserve_until, until)
            self.due = min(self.due, until)
        else:
            self.ready.push(slot)

    def _call_reserves(self) -> bool:
        """Give those that were to be tried last a turn again."""
        self._reserve_until = INFINITY
        woken = len(self.reserve) > 0
        while len(self.reserve):
            self.ready.push(self.reserve.pop())
        return woken

    # -- sleeping

    def rest(self, slot: Slot, lane: Lane, at: float, short_of: int) -> None:
        """Put a slot that came up to sleep on the lane that holds it back."""
        slot.stamp += 1
        slot.short_of = short_of
        if short_of:
            self.short.append((slot.stamp, slot))
        group = lane.groups.get(self)
        if group is None:
            group = lane.groups[self] = Group(lane)
        group.sleepers.append((slot.stamp, slot))
        if at < group.at or at == INFINITY:
            self._set(group, min(at, group.at))
        for other in slot.lanes:  # a shared lane had let this one go first: its next sleeper may have its place
            waiting = other.groups.get(self) if other is not lane else None
            if waiting is not None and waiting.sleepers:
                self._set(waiting, -INFINITY)

    def _set(self, group: Group, at: float) -> None:
        group.at = at
        if at == INFINITY:
            self.held.add(group)
        else:
            self.held.discard(group)
            heapq.heappush(self._heap, (at, next(self._order), group))
            self.due = min(self.due, at)

    def rouse(self, lane: Lane) -> None:
        """Look at a lane's sleepers at the next occasion: something about it has changed."""
        group = lane.groups.get(self)
        if group is not None:
            self._set(group, -INFINITY)

    def look_again(self, lane: Lane, now: float) -> None:
        """Set the alarm of a lane's sleepers anew after a grant, where none was set for want of knowing."""
        group = lane.groups.get(self)
        if group is not None and group.at == INFINITY:
            self._set(group, lane.free_at(now, 0) or -INFINITY)

    def wake(self, now: float) -> bool:
        """Make ready whoever's moment has come; True if there was one."""
        woken = self._reserve_until <= now and self._call_reserves()
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, group = heapq.heappop(heap)
            if at == group.at:
                woken = self._wake_group(group, now) or woken
        self.due = min(heap[0][0] if heap else INFINITY, self._reserve_until)
        return woken

    def _wake_group(self, group: Group, now: float) -> bool:
        lane, sleepers = group.lane, group.sleepers
        lane.flush()
        room = lane.room(now)
        woken = 0
        group.drop_stale()
        while sleepers and woken < room:
            _, slot = sleepers.popleft()
            slot.stamp += 1
            self.put(slot, now)
            woken += 1
            group.drop_stale()
        if sleepers:
            # Where even an empty window has no room for one more, the next grant sets the alarm (look_again).
            self._set(group, lane.free_at(now, 0, room + 1) or -INFINITY)
        else:
            lane.groups.pop(self, None)
            group.at = INFINITY
            self.held.discard(group)
        return woken > 0

    def wake_past(self, lane: Lane, now: float, seen: Container[Slot]) -> bool:
        """Make ready those of a lane's sleepers that are not seen yet, as many as it has room for; True if any."""
        group = lane.groups.get(self)
        if group is None:
            return False
        lane.flush()
        room, woken = lane.room(now), 0
        kept = []
        while group.sleepers and woken < room:
            stamp, slot = group.sleepers.popleft()
            if stamp != slot.stamp or slot.out_of_use:
                continue
            if slot in seen:
                kept.append((stamp, slot))
                continue
            slot.stamp += 1
            self.put(slot, now)
            woken += 1
        group.sleepers.extendleft(reversed(kept))
        return woken > 0

    def next_at(self) -> float:
        """The earliest moment at which a sleeper may wake; infinity where none is due."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].at:
            heapq.heappop(heap)
        return heap[0][0] if heap else INFINITY

    # -- smaller requests

    def short_sleepers(self, tokens: int) -> Iterator[Slot]:
        """Sleepers that lack tokens for a larger request, and may have enough for this one."""
        short = self.short
        for _ in range(min(len(short), _LOOKS)):
            stamp, slot = short.popleft()
            if stamp != slot.stamp or slot.out_of_use:
                continue
            short.append((stamp, slot))
            if tokens < slot.short_of:
                yield slot

    def rouse_slot(self, slot: Slot, now: float) -> None:
        """Make one sleeper ready."""
        slot.stamp += 1
        self.put(slot, now)
