"""The state of an engine as plain lists and mappings, for a snapshot; ``unpacking`` is the way back.

What an object remembers is what it has slots for: a slot that is added later is packed without a word here. Only what
ties objects together (which lane a failure blamed, which entries a lease has in which windows) is packed by number.
No secret is in it: a shared engine knows its keys by their fingerprints.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from stable_openai.clock import ManualClock
from stable_openai.learned import LearnedCount
from stable_openai.limits import Limits, Spread, Window
from stable_openai.stores.lanes import Habits, Kind, Lane
from stable_openai.stores.orders import Shares
from stable_openai.windows import CalendarCount, SlidingCount

from .descriptions import pack_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stable_openai.stores.engine import Engine
    from stable_openai.stores.members import Lanes, Member, Owner
    from stable_openai.stores.outages import Endpoint
    from stable_openai.stores.protocol import Grant
    from stable_openai.stores.queues import Queue
    from stable_openai.stores.roster import Roster
    from stable_openai.windows import AnyCount

__all__ = ["COUNT_KINDS", "pack_engine", "slots_of"]

COUNT_KINDS: Final[dict[str, type[AnyCount]]] = {"s": SlidingCount, "l": LearnedCount, "c": CalendarCount}
_NAMES: Final = {kind: name for name, kind in COUNT_KINDS.items()}
_COUNT_APART: Final = frozenset({"window", "_entries", "_clock", "_zone"})
_LANE_APART: Final = frozenset(
    {"counts", "credit", "done", "fresh", "groups", "habits", "kind", "limits", "model", "rejects", "token_counts"}
)


_SLOTS: Final[dict[type[Any], tuple[str, ...]]] = {}


def slots_of(kind: type[Any]) -> tuple[str, ...]:
    """The slots of a class, those of its bases first."""
    found = _SLOTS.get(kind)
    if found is None:
        found = _SLOTS[kind] = _find_slots(kind)
    return found


def _find_slots(kind: type[Any]) -> tuple[str, ...]:
    return tuple(slot for base in reversed(kind.__mro__) for slot in getattr(base, "__slots__", ()))


@functools.cache
def _fresh_lane() -> Mapping[str, Any]:
    lane = Lane(Kind.KEY, Limits(), Habits(ManualClock()))
    return {slot: getattr(lane, slot) for slot in slots_of(Lane)}


class _Numbers:
    """Gives each lane a number, in the order in which they come up."""

    def __init__(self) -> None:
        self.lanes: dict[int, int] = {}
        self.packed: list[Any] = []
        self._kept: list[Lane] = []  # so that no id is used again

    def of(self, lane: Lane) -> int:
        number = self.lanes.get(id(lane))
        if number is None:
            number = self.lanes[id(lane)] = len(self.packed)
            self._kept.append(lane)
            self.packed.append(_pack_lane(lane))
        return number


def pack_engine(engine: Engine, leases: Iterable[Grant]) -> dict[str, Any]:
    """The whole state, with the grants that are not settled. What went out on credit is entered first."""
    roster = engine.roster
    leases = list(leases)
    members = list(roster.members.values())
    members += dict.fromkeys(lease.state.slot.member for lease in leases if lease.state.slot.member.gone)
    places = {member: place for place, member in enumerate(members)}
    owners = _owners_of(roster, members)
    owner_places = {owner: place for place, owner in enumerate(owners)}
    numbers = _Numbers()
    return {
        "members": [_pack_member(member, owner_places, numbers) for member in members],
        "owners": [_pack_owner(owner, places, numbers) for owner in owners],
        "told": {name: owner_places[owner] for name, owner in roster.owners.items()},
        "aliases": {name: owner_places[owner] for name, owner in roster.aliases.items()},
        "endpoints": [_pack_endpoint(endpoint, places, numbers) for endpoint in roster.endpoints.values()],
        "next_index": roster.next_index,
        "counts_tokens": roster.counts_tokens,
        "queues": [_pack_queue(queue, places) for queue in _queues_of(roster)],
        "others": roster.others is not roster.any,
        "leases": [_pack_lease(lease, places, numbers) for lease in leases],
        "lanes": numbers.packed,
    }


def _owners_of(roster: Roster, members: Iterable[Member]) -> list[Owner]:
    found = [*roster.owners.values(), *roster.aliases.values()]
    found += [member.owner for member in members if member.owner is not None]
    return list(dict.fromkeys(found))


def _queues_of(roster: Roster) -> list[Queue]:
    return list(roster.all_queues())


def _pack_member(member: Member, owners: Mapping[Owner, int], numbers: _Numbers) -> list[Any]:
    key = member.key
    return [
        key.secret, key.name, key.owner, key.base_url, None if key.models is None else sorted(key.models), key.weight,
        pack_limits(member.lanes.limits), {model: pack_limits(told) for model, told in key.model_limits.items()},
        member.index, member.failed, member.gone, None if member.owner is None else owners[member.owner],
        _pack_lanes(member.lanes, numbers),
    ]  # fmt: skip


def _pack_owner(owner: Owner, places: Mapping[Member, int], numbers: _Numbers) -> list[Any]:
    lanes = owner.lanes
    limits = [pack_limits(lanes.limits), {model: pack_limits(told) for model, told in lanes.model_limits.items()}]
    return [owner.name, owner.told, limits, [places[member] for member in owner.members], _pack_lanes(lanes, numbers)]


def _pack_endpoint(endpoint: Endpoint, places: Mapping[Member, int], numbers: _Numbers) -> list[Any]:
    failures = []
    for failure in endpoint.failures:
        blamed = None if failure.blamed is None else numbers.of(failure.blamed)
        failures.append([failure.at, failure.what, places.get(failure.member), failure.call, blamed])
    lane = None if endpoint.lane is None else numbers.of(endpoint.lane)
    return [endpoint.name, [places[member] for member in endpoint.members], lane, endpoint.served, failures]


def _pack_queue(queue: Queue, places: Mapping[Member, int]) -> list[Any]:
    """The ready ones in their order; then those that are tried last, and the sleepers, by their last nap."""
    listed = list(dict.fromkeys([*queue.ready, *queue.reserve]))
    known = set(listed)
    rest = sorted((slot for slot in queue.slots.values() if slot not in known), key=lambda slot: slot.stamp)
    order = [places[slot.member] for slot in [*listed, *rest] if not slot.out_of_use]
    if isinstance(queue.ready, Shares):
        return [queue.model, order, queue.ready.floor, list(queue.ready.behind.items())]
    return [queue.model, order, 0.0, []]


def _pack_lease(lease: Grant, places: Mapping[Member, int], numbers: _Numbers) -> list[Any]:
    taken = lease.state
    entries = []
    for count, entry in taken.entries:
        place = _place_of(count, taken.lanes, numbers)
        if place is not None:
            entries.append([*place, *_entry_in(count, entry)])
    lanes = [numbers.of(lane) for lane in taken.lanes]
    return [places[taken.slot.member], lease.model, lease.tokens, lease.call, lanes, taken.at, entries]


def _place_of(count: AnyCount, lanes: Iterable[Lane], numbers: _Numbers) -> tuple[int, int] | None:
    for lane in lanes:
        for place, known in enumerate(lane.all_counts()):
            if known is count:
                return numbers.of(lane), place
    return None  # a window that the lane has no more


def _entry_in(count: AnyCount, entry: Any) -> list[Any]:
    """Which of the window's entries it is; by its values where the window keeps none (or has dropped it)."""
    if isinstance(count, SlidingCount):
        for place, known in enumerate(count.entries()):
            if known is entry:
                return [place]
    return [None, entry.first, entry.amount, entry.at]


def _pack_lanes(lanes: Lanes, numbers: _Numbers) -> list[Any]:
    own = lanes.own
    if own is not None and not own.uses and own.model is None and _is_fresh(own):
        own = None  # made when it is first needed, as it was
    return [
        None if own is None else numbers.of(own),
        [[name, numbers.of(lane)] for name, lane in lanes.by_model.items()],
    ]


def _is_fresh(lane: Lane) -> bool:
    lane.flush()
    told = lane.max_concurrency == lane.limits.max_concurrency and lane.rejects is None
    meters = all(not count.learned or getattr(count, "unlimited", False) for count in lane.all_counts())
    unused = not any(count.used for count in lane.all_counts())
    return told and meters and unused and set(_state_of(lane)) <= {"max_concurrency", "plain"}


def _pack_lane(lane: Lane) -> list[Any]:
    lane.flush()
    rejects = None if lane.rejects is None else _pack_count(lane.rejects)
    counts = [_pack_count(count) for count in lane.all_counts()]
    return [lane.kind.value, lane.model, pack_limits(lane.limits), _state_of(lane), counts, rejects]


def _state_of(lane: Lane) -> dict[str, Any]:
    fresh = _fresh_lane()
    state = {slot: getattr(lane, slot) for slot in slots_of(Lane) if slot not in _LANE_APART}
    return {slot: value for slot, value in state.items() if value != fresh[slot]}


def _pack_count(count: AnyCount) -> list[Any]:
    state = {slot: getattr(count, slot) for slot in slots_of(count.__class__) if slot not in _COUNT_APART}
    entries = []
    if isinstance(count, SlidingCount):
        entries = [[entry.first, entry.amount, entry.at] for entry in count.entries()]
    return [_NAMES[type(count)], _pack_window(count.window), state, entries]


def _pack_window(window: Window) -> list[Any]:
    return [window.what, window.limit, window.seconds, window.calendar, window.zone, isinstance(window, Spread)]
