"""Choosing: from what is ready, in the strategy's order, the first slot that is eligible.

All functions are called under the store's lock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stable_openai.errors import RequestTooLarge

from .lanes import INFINITY, Lane, Standing
from .protocol import NOBODY, Refusal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from .orders import Order
    from .protocol import Ask
    from .queues import Queue, Slot
    from .roster import Roster

__all__ = ["choose", "choose_of_few", "free_at", "preferred", "refusal", "renew_credit", "rouse"]


def preferred(roster: Roster, queue: Queue, ask: Ask, now: float) -> Slot | None:
    """The slot of the key that the call prefers, left in its place; None where it is not eligible."""
    member = roster.members.get(ask.prefer) if ask.prefer is not None else None
    slot = queue.slots.get(member) if member is not None else None
    if slot is None or slot.out_of_use or slot.member.name in ask.avoid:
        return None
    if not slot.lanes:
        roster.furnish(slot)
    return slot if _will_do(slot, ask, now) else None


def choose(roster: Roster, queue: Queue, ask: Ask, now: float) -> Slot | None:
    """The slot to use now, taken out of its order; None where none is eligible."""
    slot = _find(roster, queue, ask, now)
    if slot is None and ask.avoid:  # there is no other, then
        slot = _find(roster, queue, replace(ask, avoid=NOBODY), now)
    return slot


def choose_of_few(roster: Roster, queue: Queue, ask: Ask, now: float) -> Slot | Refusal:
    """Of the few keys that alone may serve a call, the one that was used longest ago, left in its place.

    Only these are looked at, so what it costs does not grow with the pool. The strategy is not asked: they are known
    by name, not come up in turn.

    Raises:
        RequestTooLarge: Their limits never allow so many tokens.
    """
    found: Slot | None = None
    least: tuple[bool, bool, float] | None = None
    at, largest, pending = INFINITY, 0.0, False
    for slot in _slots_of(roster, queue, ask):
        blocked = _blocking(slot, now, ask.tokens)
        largest = max(largest, slot.largest_request())
        if blocked is not None:
            at = min(at, blocked[1])
            for lane in filter(_waits_for_a_call, slot.lanes):
                lane.wanted = pending = True
            continue
        rank = (slot.member.name in ask.avoid, slot.troubled_until() > now, slot.member.used_at)
        if least is None or rank < least:
            found, least = slot, rank
    if found is not None:
        for lane in found.lanes:
            lane.wanted = False
        return found
    if 0 < largest < ask.tokens:
        raise RequestTooLarge(ask.tokens, int(largest))
    return Refusal(at, pending)


def _slots_of(roster: Roster, queue: Queue, ask: Ask) -> Iterator[Slot]:
    for member in roster.few((ask.only or NOBODY) - ask.shun):
        slot = queue.slots.get(member)
        if slot is not None and not slot.out_of_use:
            if not slot.lanes:
                roster.furnish(slot)
            yield slot


def _find(roster: Roster, queue: Queue, ask: Ask, now: float) -> Slot | None:
    queue.wake(now)
    aside: list[Slot] = []
    seen: set[Slot] = set()
    slot = _search(roster, queue, ask, now, aside, seen)
    while slot is None and (queue.wake(now) or _wake_past(queue, aside, now, seen)):
        slot = _search(roster, queue, ask, now, aside, seen)
    if slot is None and queue.short:
        unwanted = ask.shun | ask.avoid
        for sleeper in queue.short_sleepers(ask.tokens):
            if sleeper.member.name not in unwanted and _blocking(sleeper, now, ask.tokens) is None:
                queue.rouse_slot(sleeper, now)
                slot = _search(roster, queue, ask, now, aside, seen)
                break
    for skipped in reversed(aside):
        queue.ready.unpop(skipped)
    return slot


def _wake_past(queue: Queue, aside: Iterable[Slot], now: float, seen: Container[Slot]) -> bool:
    """Wake those who sleep behind slots that this call has to pass over: as many woke as a lane has room for."""
    lanes = dict.fromkeys(lane for slot in aside for lane in slot.lanes if lane.groups)
    return sum(queue.wake_past(lane, now, seen) for lane in lanes) > 0


def _search(  # noqa: PLR0917  # one step of _find, with all that it holds
    roster: Roster, queue: Queue, ask: Ask, now: float, aside: list[Slot], seen: set[Slot]
) -> Slot | None:
    """Look at what is ready, in order, until one is eligible; the others go to sleep, or aside for other calls."""
    found = None
    for order in (queue.ready, queue.reserve):
        while found is None and len(order):
            found = _look_at_next(roster, queue, order, ask, now, aside, seen)
    return found


def _look_at_next(  # noqa: PLR0917  # a step of _search
    roster: Roster, queue: Queue, order: Order, ask: Ask, now: float, aside: list[Slot], seen: set[Slot]
) -> Slot | None:
    """Take the next slot of an order and return it if it is to be used; else put it where it belongs."""
    slot = order.pop()
    seen.add(slot)
    if slot.out_of_use:
        rouse(slot.lanes)
        return None
    if not slot.lanes:
        roster.furnish(slot)
    if order is queue.ready and slot.troubled_until() > now:
        queue.put(slot, now)  # with those that are tried last
        return None
    blocked = _blocking(slot, now, ask.tokens)
    if blocked is None and slot.member.name not in ask.avoid and slot.member.name not in ask.shun:
        return slot
    if blocked is None or ask.tokens > slot.largest_request():
        aside.append(slot)  # others may use it
    else:
        lane, at, short_of = blocked
        queue.rest(slot, lane, at, short_of)
    return None


def _will_do(slot: Slot, ask: Ask, now: float) -> bool:
    if slot.member.name in ask.shun or (ask.only is not None and slot.member.name not in ask.only):
        return False
    return _blocking(slot, now, ask.tokens) is None


def _blocking(slot: Slot, now: float, tokens: int) -> tuple[Lane, float, int] | None:
    """The lane that holds a slot back longest, until when, and the tokens it is short of; None where none does.

    What holds back every call comes first: a smaller one may go ahead as soon as that is over.
    """
    worst: tuple[Lane, float, int] | None = None
    for lane in slot.lanes:
        lane.note_overlap(now)
        lane.flush()
        at = lane.free_at(now, 0)
        if at:
            if worst is None or worst[2] or at > worst[1]:
                worst = (lane, at, 0)
        elif tokens and (worst is None or worst[2]):
            at = lane.free_at(now, tokens)
            if at and (worst is None or at > worst[1]):
                worst = (lane, at, tokens)
    return worst


def free_at(lanes: Iterable[Lane], now: float, tokens: int) -> float:
    """When a call may go through all of these lanes; now or earlier where it may at once."""
    at = 0.0
    for lane in lanes:
        lane.flush()
        at = max(at, lane.free_at(now, tokens))
    return at


def renew_credit(roster: Roster, queue: Queue, slot: Slot, now: float) -> Slot | None:
    """Grant the slot that came up on the hot path, with new credit for its lane; None where it needs a closer look."""
    if not slot.lanes:
        roster.furnish(slot)
    lane = slot.lane
    if isinstance(lane, Lane) and lane.plain and not slot.out_of_use:
        lane.note_overlap(now)
        lane.flush()
        lane.opens_at(now)
        lane.lend(now)
        if lane.credit > 0:
            lane.credit -= 1
            lane.fresh.append(now)
            queue.put(slot, now)
            return slot
    queue.ready.unpop(slot)
    return None


def refusal(roster: Roster, queue: Queue, ask: Ask) -> Refusal:
    """Why there is no slot now.

    Raises:
        RequestTooLarge: No key's limits ever allow so many tokens.
    """
    if ask.tokens > queue.least_largest:
        for slot in queue.slots.values():
            if not slot.lanes:
                roster.furnish(slot)
        largest = max((slot.largest_request() for slot in queue.slots.values()), default=INFINITY)
        if ask.tokens > largest:
            raise RequestTooLarge(ask.tokens, int(largest))
    return Refusal(queue.next_at(), pending=any(_waits_for_a_call(group.lane) for group in queue.held))


def _waits_for_a_call(lane: Lane) -> bool:
    full = lane.max_concurrency is not None and lane.in_flight > 0
    return (full or lane.trials_out > 0) and lane.standing is not Standing.RETIRED


def rouse(lanes: Iterable[Lane]) -> None:
    """Look at the sleepers of these lanes at the next occasion: something about them has changed."""
    for lane in lanes:
        for queue in tuple(lane.groups):
            queue.rouse(lane)
