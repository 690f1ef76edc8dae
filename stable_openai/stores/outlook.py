"""Looking ahead: which keys are to have room for a call, and when. Nothing changes by it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from .protocol import Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lanes import Lane
    from .queues import Queue, Slot

__all__ = ["outlook"]

_LOOKS: Final = 64  # keys that are looked at: all of them in a usual pool, and bounded in a vast one


def outlook(queue: Queue, tokens: int, now: float) -> list[Way]:
    """The keys of a queue, the one first that is to have room first for so many tokens."""
    slots = (slot for slot in queue.slots.values() if slot.lanes)  # others have not come up yet: they have no past
    ways = [_way(slot, tokens, now) for slot in itertools.islice(slots, _LOOKS)]
    ways.sort(key=lambda way: way.at)
    return ways


def _way(slot: Slot, tokens: int, now: float) -> Way:
    at = float("-inf")
    keys = {slot.member.name}
    for lane in slot.lanes:
        free_at = lane.foresee(tokens)
        at = max(at, free_at)
        if free_at > now:
            keys.update(_sharers(slot, lane))
    return Way(at, slot.member.name, frozenset(keys))


def _sharers(slot: Slot, lane: Lane) -> Iterator[str]:
    """The keys that draw on a lane."""
    owner = slot.member.owner
    if owner is not None and lane in owner.lanes.all():
        yield from (member.name for member in owner.members if member in slot.queue.slots)
